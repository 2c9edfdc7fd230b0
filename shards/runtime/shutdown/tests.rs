use super::*;
use futures_lite::future::block_on;
use std::pin::pin;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn waiters_go_on_when_their_level_is_reached_and_the_first_reason_stays() {
    let shutdown = Shutdown::new();
    let (mut requested, mut forced) = (pin!(shutdown.requested()), pin!(shutdown.forced()));
    assert!(poll(requested.as_mut()).is_pending());
    assert!(poll(forced.as_mut()).is_pending());
    assert!(!shutdown.is_requested());

    shutdown.request("first");
    assert!(poll(requested).is_ready());
    assert!(poll(forced.as_mut()).is_pending());
    assert!(shutdown.is_requested() && !shutdown.is_forced());

    shutdown.force("second");
    assert!(poll(forced).is_ready());
    assert!(shutdown.is_requested() && shutdown.is_forced());
    shutdown.request("third");
    assert!(shutdown.is_forced(), "a level is never taken back");
    assert_eq!(shutdown.reason().as_deref(), Some("first"));
}

#[test]
fn force_without_a_request_is_a_request_too() {
    let shutdown = Shutdown::new();
    let waiting = shutdown.clone();
    let waiter = std::thread::spawn(move || block_on(waiting.requested()));
    shutdown.force("now");
    waiter.join().unwrap();
}

#[test]
fn a_dropped_waiter_leaves_nothing_behind() {
    let shutdown = Shutdown::new();
    let mut wait = Box::pin(shutdown.requested());
    assert!(poll(wait.as_mut()).is_pending());
    assert_eq!(shutdown.lock().wakers.len(), 1);
    drop(wait);
    assert!(shutdown.lock().wakers.is_empty());
}

#[test]
fn a_core_is_woken_from_its_sleep_by_another_thread() {
    let shutdown = Shutdown::new();
    let (asleep, heard) = std::sync::mpsc::channel();
    let other = shutdown.clone();
    let thread = std::thread::spawn(move || {
        heard.recv().unwrap();
        other.request("from outside");
    });
    crate::block_on(async {
        asleep.send(()).unwrap();
        shutdown.requested().await;
    });
    thread.join().unwrap();
}
