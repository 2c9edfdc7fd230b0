//! Where a result is waited for.

use crate::error::ClientError;
use base::MessageId;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How a message came to be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This answer's attempt put it there.
    Accepted,
    /// An earlier attempt did, whose answer was lost.
    Duplicate,
}

/// An accepted message: it is durable, applied, and there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its id: `client.query("/api/v1/messages/ID")` shows it.
    pub id: MessageId,
    /// Which attempt it was.
    pub outcome: Outcome,
    /// The workflows that it started, in the order of the matches.
    pub workflows: Vec<String>,
}

/// A query's answer: what `GET path` over HTTP answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As in HTTP.
    pub status: u16,
    /// As in HTTP.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What a waiter and the driver share.
pub(crate) struct Slot<R> {
    state: Mutex<State<R>>,
}

enum State<R> {
    /// No result yet; who wants to know of it.
    Open(Option<Waker>),
    Done(Result<R, ClientError>),
    /// The result was handed out.
    Taken,
}

impl<R> Slot<R> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Open(None)) })
    }

    /// Gives the result, once, and wakes who waits for it.
    pub(crate) fn fill(&self, result: Result<R, ClientError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Done(result));
        drop(state);
        match before {
            State::Open(Some(waker)) => waker.wake(),
            State::Open(None) => {}
            State::Done(_) | State::Taken => panic!("a slot is filled once"),
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<R, ClientError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Open(known) => {
                match known {
                    Some(known) => known.clone_from(waker),
                    None => *known = Some(waker.clone()),
                }
                Poll::Pending
            }
            State::Done(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::Done(result) => Poll::Ready(result),
                State::Open(_) | State::Taken => unreachable!("it was done under the same lock"),
            },
            State::Taken => panic!("a receipt was polled after it had given its result"),
        }
    }

    fn is_done(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Done(_))
    }
}

/// The duty to fill a slot. One that is dropped says so to who waits.
pub(crate) struct Promise<R>(Option<Arc<Slot<R>>>);

impl<R> Promise<R> {
    pub(crate) fn new(slot: &Arc<Slot<R>>) -> Self {
        Self(Some(Arc::clone(slot)))
    }

    pub(crate) fn keep(mut self, result: Result<R, ClientError>) {
        if let Some(slot) = self.0.take() {
            slot.fill(result);
        }
    }
}

impl<R> Drop for Promise<R> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.fill(Err(ClientError::Broken));
        }
    }
}

impl<R> fmt::Debug for Promise<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a slot in this thread; nothing when `until` comes first.
pub(crate) fn wait<R>(slot: &Slot<R>, until: Option<Instant>) -> Option<Result<R, ClientError>> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(result) = slot.poll(&waker) {
            return Some(result);
        }
        match until {
            None => thread::park(),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
    }
}

/// The promise of one message's result. Dropping it changes nothing for the message.
///
/// A thread calls [`Receipt::wait`]; a task of any async runtime awaits it: it is a future, too.
#[must_use = "only its result says whether the message was accepted"]
pub struct Receipt {
    slot: Arc<Slot<Submitted>>,
}

impl Receipt {
    pub(crate) fn new(slot: Arc<Slot<Submitted>>) -> Self {
        Self { slot }
    }

    /// Waits for the result. It comes at the latest `give_up_after` after the submit.
    pub fn wait(self) -> Result<Submitted, ClientError> {
        wait(&self.slot, None).expect("without an end, only a result ends it")
    }

    /// Waits for the result for a while; the receipt comes back when there is none yet.
    pub fn wait_for(self, time: Duration) -> Result<Result<Submitted, ClientError>, Self> {
        // A time beyond the clock's end is as good as none.
        wait(&self.slot, Instant::now().checked_add(time)).ok_or(self)
    }

    /// Whether the result is there.
    pub fn is_done(&self) -> bool {
        self.slot.is_done()
    }
}

impl Future for Receipt {
    type Output = Result<Submitted, ClientError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.slot.poll(context.waker())
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("is_done", &self.is_done()).finish()
    }
}

#[cfg(test)]
mod tests;
