use super::*;
use std::pin::pin;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_value_arrives_once() {
    let (sender, receiver) = LocalOneshot::new();
    let mut receiver = pin!(receiver);
    assert!(poll(receiver.as_mut()).is_pending());
    sender.send(7).unwrap();
    assert_eq!(poll(receiver.as_mut()), Poll::Ready(Ok(7)));
    assert_eq!(poll(receiver.as_mut()), Poll::Ready(Err(SenderGone)));
}

#[test]
fn a_dropped_sender_is_told_apart_from_a_value() {
    let (sender, receiver) = LocalOneshot::new::<u8>();
    let mut receiver = pin!(receiver);
    assert!(poll(receiver.as_mut()).is_pending());
    drop(sender);
    assert_eq!(poll(receiver.as_mut()), Poll::Ready(Err(SenderGone)));
}

#[test]
fn a_dropped_receiver_gives_the_value_back() {
    let (sender, receiver) = LocalOneshot::new();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send("value"), Err("value"));
}

#[test]
fn a_notification_without_a_waiter_is_kept_and_two_are_one() {
    let notify = LocalNotify::new();
    notify.notify();
    notify.notify();
    assert!(poll(pin!(notify.notified())).is_ready());
    assert!(poll(pin!(notify.notified())).is_pending());
}

#[test]
fn everyone_who_waits_for_an_event_goes_on_and_the_late_ones_do_not_wait() {
    let event = LocalEvent::new();
    let (mut first, mut second) = (pin!(event.wait()), pin!(event.wait()));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    event.set();
    assert!(poll(first).is_ready());
    assert!(poll(second).is_ready());
    assert!(poll(pin!(event.wait())).is_ready());
}

#[test]
fn a_dropped_waiter_leaves_nothing_behind() {
    let event = LocalEvent::new();
    let mut wait = Box::pin(event.wait());
    assert!(poll(wait.as_mut()).is_pending());
    assert_eq!(event.inner.waiting.borrow().len(), 1);
    drop(wait);
    assert!(event.inner.waiting.borrow().is_empty());
}
