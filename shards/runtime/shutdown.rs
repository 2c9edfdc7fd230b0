//! One word to all cores: stop.
//!
//! Invariants:
//! - A level is never taken back: running, then asked to stop, then told to stop at once.
//! - Whoever waits for a level goes on when it is reached, on whatever thread it waits.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Level {
    /// 0 is: running.
    Requested = 1,
    Forced = 2,
}

/// The order to stop, shared by every core. Clones are the same order.
#[derive(Clone, Default)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    level: AtomicU8,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    wakers: BTreeMap<u64, (Waker, u8)>,
    reason: Option<String>,
}

impl Shutdown {
    /// One that has not been given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop in order: finish what is in flight, flush, close. Only the first
    /// reason is kept. From any thread.
    pub fn request(&self, reason: &str) {
        self.raise(Level::Requested, reason);
    }

    /// Ends the cores' bodies where they stand: each is dropped. For when asking took too long.
    pub fn force(&self, reason: &str) {
        self.raise(Level::Forced, reason);
    }

    /// Whether somebody asked to stop.
    pub fn is_requested(&self) -> bool {
        self.level() >= Level::Requested as u8
    }

    /// Whether everybody must stop at once.
    pub fn is_forced(&self) -> bool {
        self.level() >= Level::Forced as u8
    }

    /// Why, once somebody asked.
    pub fn reason(&self) -> Option<String> {
        self.lock().reason.clone()
    }

    /// Waits until somebody asks to stop. On a core with many waiting tasks,
    /// [`crate::CoreContext::stop`] is cheaper.
    pub fn requested(&self) -> ShutdownWait {
        self.wait(Level::Requested)
    }

    /// Waits until everybody must stop at once.
    pub fn forced(&self) -> ShutdownWait {
        self.wait(Level::Forced)
    }

    fn wait(&self, level: Level) -> ShutdownWait {
        ShutdownWait { shutdown: self.clone(), level: level as u8, ticket: None }
    }

    fn level(&self) -> u8 {
        self.inner.level.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, level: Level, reason: &str) {
        let mut waiting = self.lock();
        waiting.reason.get_or_insert_with(|| reason.to_owned());
        self.inner.level.fetch_max(level as u8, Ordering::AcqRel);
        let reached = self.level();
        let wakers: Vec<Waker> = waiting
            .wakers
            .extract_if(.., |_, (_, level)| *level <= reached)
            .map(|(_, (waker, _))| waker)
            .collect();
        drop(waiting);
        for waker in wakers {
            waker.wake();
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("level", &self.level()).finish_non_exhaustive()
    }
}

/// The future of [`Shutdown::requested`] and [`Shutdown::forced`].
#[derive(Debug)]
pub struct ShutdownWait {
    shutdown: Shutdown,
    level: u8,
    ticket: Option<u64>,
}

impl Future for ShutdownWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shutdown = self.shutdown.clone();
        if shutdown.level() >= self.level {
            return Poll::Ready(());
        }
        let mut waiting = shutdown.lock();
        // Once more below the lock: a level raised in between has already woken its waiters.
        if shutdown.level() >= self.level {
            return Poll::Ready(());
        }
        let ticket = *self.ticket.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        waiting.wakers.insert(ticket, (context.waker().clone(), self.level));
        Poll::Pending
    }
}

impl Drop for ShutdownWait {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shutdown.lock().wakers.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests;
