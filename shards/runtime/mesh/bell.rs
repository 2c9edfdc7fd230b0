//! Waking a task of another core only when it waits.
//!
//! The waiting side arms the bell and then looks once more at what it waits for; the other side
//! changes that and then looks whether the bell is armed. With a full fence between the two steps
//! on both sides, at least one of them sees the other (Dekker's argument).

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Kept apart from its neighbours: two lines, because the adjacent one is fetched along.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Bell {
    armed: AtomicBool,
    /// Locked only to arm and to ring an armed bell: once per sleep, not per message.
    waiting: Mutex<Vec<Waker>>,
}

impl Bell {
    /// Asks to be woken. The caller must look once more at what it waits for afterwards.
    pub(super) fn arm(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|kept| kept.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        self.armed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Takes the arming back, when what was waited for turned out to be there.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// Wakes whoever armed the bell, after something it may wait for has changed.
    pub(super) fn ring(&self) {
        fence(Ordering::SeqCst);
        if !self.armed.load(Ordering::Relaxed) || !self.armed.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for waker in waiting.drain(..) {
            waker.wake();
        }
    }
}
