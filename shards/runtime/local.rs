//! Waiting for one another within one core: no atomics, no locks, `Rc` all through.
//!
//! Invariants:
//! - A waiter that is dropped leaves nothing behind.
//! - Nothing is lost: a notification without a waiter is kept for the next one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// One value, from one task to another of the same core.
pub struct LocalOneshot;

impl LocalOneshot {
    /// Both ends of a new one.
    #[allow(clippy::new_ret_no_self, reason = "a channel is made as a pair of ends")]
    pub fn new<T>() -> (LocalSender<T>, LocalReceiver<T>) {
        let slot = Rc::new(Slot { state: RefCell::new(State::Empty(None)) });
        (LocalSender { slot: Rc::clone(&slot) }, LocalReceiver { slot })
    }
}

struct Slot<T> {
    state: RefCell<State<T>>,
}

enum State<T> {
    Empty(Option<Waker>),
    Sent(T),
    /// An end is gone, or the value was taken.
    Closed,
}

/// The giving end of a [`LocalOneshot`].
pub struct LocalSender<T> {
    slot: Rc<Slot<T>>,
}

impl<T> LocalSender<T> {
    /// Gives the value; it comes back when nobody waits for it any more.
    pub fn send(self, value: T) -> Result<(), T> {
        let before = self.slot.state.replace(State::Closed);
        match before {
            State::Empty(waker) => {
                self.slot.state.replace(State::Sent(value));
                if let Some(waker) = waker {
                    waker.wake();
                }
                Ok(())
            }
            State::Closed => Err(value),
            State::Sent(_) => unreachable!("a sender is used up by its one value"),
        }
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        matches!(*self.slot.state.borrow(), State::Closed)
    }
}

impl<T> Drop for LocalSender<T> {
    fn drop(&mut self) {
        let unsent = matches!(*self.slot.state.borrow(), State::Empty(_));
        if unsent && let State::Empty(Some(waker)) = self.slot.state.replace(State::Closed) {
            waker.wake();
        }
    }
}

/// The waiting end of a [`LocalOneshot`]: a future of the value, or of [`SenderGone`].
pub struct LocalReceiver<T> {
    slot: Rc<Slot<T>>,
}

/// The sender was dropped without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sender was dropped without a value")]
pub struct SenderGone;

impl<T> Future for LocalReceiver<T> {
    type Output = Result<T, SenderGone>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.state.borrow_mut();
        match &mut *state {
            State::Empty(waker) => {
                keep_waker(waker, context.waker());
                Poll::Pending
            }
            State::Sent(_) => match std::mem::replace(&mut *state, State::Closed) {
                State::Sent(value) => Poll::Ready(Ok(value)),
                State::Empty(_) | State::Closed => unreachable!("the state was seen as sent"),
            },
            State::Closed => Poll::Ready(Err(SenderGone)),
        }
    }
}

impl<T> Drop for LocalReceiver<T> {
    fn drop(&mut self) {
        self.slot.state.replace(State::Closed);
    }
}

/// A wake-up for one waiting task of the same core. A notification that finds nobody waiting is
/// kept, and several of them are one.
#[derive(Clone, Default)]
pub struct LocalNotify {
    inner: Rc<NotifyState>,
}

#[derive(Default)]
struct NotifyState {
    pending: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl LocalNotify {
    /// One without a pending notification.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the waiting task, or lets the next wait return at once.
    pub fn notify(&self) {
        self.inner.pending.set(true);
        let waker = self.inner.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for a notification and takes it. One task waits at a time: a second one takes the
    /// first one's place.
    pub async fn notified(&self) {
        std::future::poll_fn(|context| self.poll_notified(context)).await;
    }

    /// The poll form of [`LocalNotify::notified`].
    pub fn poll_notified(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.inner.pending.take() {
            return Poll::Ready(());
        }
        keep_waker(&mut self.inner.waker.borrow_mut(), context.waker());
        Poll::Pending
    }
}

/// Something that happens once and stays so, with any number of tasks of the same core waiting for
/// it. Clones are the same event.
#[derive(Clone, Default)]
pub struct LocalEvent {
    inner: Rc<EventState>,
}

#[derive(Default)]
struct EventState {
    set: Cell<bool>,
    next: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Waker>>,
}

impl LocalEvent {
    /// One that has not happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets it happen: everyone who waits goes on.
    pub fn set(&self) {
        self.inner.set.set(true);
        let waiting = self.inner.waiting.take();
        for waker in waiting.into_values() {
            waker.wake();
        }
    }

    /// Whether it has happened.
    pub fn is_set(&self) -> bool {
        self.inner.set.get()
    }

    /// Waits until it has happened.
    pub fn wait(&self) -> EventWait {
        EventWait { event: self.clone(), ticket: None }
    }
}

/// The future of [`LocalEvent::wait`].
pub struct EventWait {
    event: LocalEvent,
    ticket: Option<u64>,
}

impl Future for EventWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.event.is_set() {
            return Poll::Ready(());
        }
        let state = Rc::clone(&self.event.inner);
        let ticket = *self.ticket.get_or_insert_with(|| {
            let ticket = state.next.get();
            state.next.set(ticket + 1);
            ticket
        });
        let mut waiting = state.waiting.borrow_mut();
        let waker = waiting.entry(ticket).or_insert_with(|| context.waker().clone());
        if !waker.will_wake(context.waker()) {
            waker.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for EventWait {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.event.inner.waiting.borrow_mut().remove(&ticket);
        }
    }
}

/// Keeps `new` in `slot`, without a clone when the same task waits there already.
pub(crate) fn keep_waker(slot: &mut Option<Waker>, new: &Waker) {
    match slot {
        Some(old) if old.will_wake(new) => {}
        _ => *slot = Some(new.clone()),
    }
}

impl<T> fmt::Debug for LocalSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LocalReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalReceiver").finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalNotify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNotify").field("pending", &self.inner.pending.get()).finish()
    }
}

impl fmt::Debug for LocalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEvent").field("set", &self.is_set()).finish()
    }
}

impl fmt::Debug for EventWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").field("event", &self.event).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
