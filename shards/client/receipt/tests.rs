use super::*;
use std::pin::pin;

fn submitted() -> Submitted {
    Submitted { id: MessageId(7), outcome: Outcome::Accepted, workflows: Vec::new() }
}

#[test]
fn a_result_that_is_there_is_handed_out_at_once() {
    let slot = Slot::new();
    let receipt = Receipt::new(Arc::clone(&slot));
    assert!(!receipt.is_done());
    slot.fill(Ok(submitted()));
    assert!(receipt.is_done());
    assert_eq!(receipt.wait(), Ok(submitted()));
}

#[test]
fn a_thread_that_waits_is_woken_by_the_result() {
    let slot = Slot::new();
    let receipt = Receipt::new(Arc::clone(&slot));
    let waiter = thread::spawn(move || receipt.wait());
    slot.fill(Err(ClientError::Closed));
    assert_eq!(waiter.join().unwrap(), Err(ClientError::Closed));
}

#[test]
fn a_wait_that_is_too_short_gives_the_receipt_back() {
    let slot = Slot::new();
    let receipt = Receipt::new(Arc::clone(&slot));
    let receipt = receipt.wait_for(Duration::ZERO).unwrap_err();
    slot.fill(Ok(submitted()));
    assert_eq!(receipt.wait_for(Duration::ZERO).unwrap(), Ok(submitted()));
}

#[test]
fn a_task_that_awaits_is_woken_once_and_then_has_the_result() {
    struct Count(std::sync::atomic::AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let count = Arc::new(Count(0.into()));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let slot = Slot::new();
    let mut receipt = pin!(Receipt::new(Arc::clone(&slot)));
    assert!(receipt.as_mut().poll(&mut context).is_pending());
    assert!(receipt.as_mut().poll(&mut context).is_pending());
    slot.fill(Ok(submitted()));
    assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(receipt.as_mut().poll(&mut context), Poll::Ready(Ok(submitted())));
}

#[test]
fn a_promise_that_is_dropped_is_told_to_who_waits() {
    let slot = Slot::<Submitted>::new();
    drop(Promise::new(&slot));
    assert_eq!(Receipt::new(slot).wait(), Err(ClientError::Broken));
    let slot = Slot::new();
    Promise::new(&slot).keep(Ok(submitted()));
    assert_eq!(Receipt::new(slot).wait(), Ok(submitted()));
}

#[test]
fn a_wait_beyond_the_clocks_end_is_one_without_end() {
    let slot = Slot::new();
    let receipt = Receipt::new(Arc::clone(&slot));
    slot.fill(Ok(submitted()));
    assert_eq!(receipt.wait_for(Duration::MAX).unwrap(), Ok(submitted()));
}
