//! An answer that another thread will give: awaited on a core, or waited for on a plain thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

struct Slot<T> {
    state: Mutex<State<T>>,
    given: Condvar,
}

struct State<T> {
    answer: Option<T>,
    waker: Option<Waker>,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer to come.
pub struct Pending<T> {
    slot: Arc<Slot<T>>,
}

/// Who gives the answer.
pub(crate) struct Answer<T> {
    slot: Arc<Slot<T>>,
}

/// Both ends.
pub(crate) fn pending<T>() -> (Answer<T>, Pending<T>) {
    let state = Mutex::new(State { answer: None, waker: None });
    let slot = Arc::new(Slot { state, given: Condvar::new() });
    (Answer { slot: Arc::clone(&slot) }, Pending { slot })
}

impl<T> Answer<T> {
    /// Gives it.
    pub(crate) fn give(self, answer: T) {
        let waker = {
            let mut state = self.slot.lock();
            state.answer = Some(answer);
            state.waker.take()
        };
        self.slot.given.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Pending<T> {
    /// Waits on a plain thread: never on a core.
    pub fn wait(self) -> T {
        let mut state = self.slot.lock();
        loop {
            if let Some(answer) = state.answer.take() {
                return answer;
            }
            state = self.slot.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.slot.lock();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
