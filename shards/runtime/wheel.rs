//! Coarse timers, cheap enough to be set and cleared for every request of every connection: a
//! wheel of slots 100 ms apart, turned by one task per core. Setting and clearing are a push and a
//! swap-remove.
//!
//! Invariants:
//! - A coarse sleep never ends before its deadline, and at most two ticks after it.
//! - Entry `i` of a slot knows that it is entry `i` of that slot.

use crate::core_state;
use crate::local::{LocalNotify, keep_waker};
use crate::timer::TimedOut;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The distance of two slots.
pub const COARSE_TICK: Duration = Duration::from_millis(100);

/// Slots of the wheel: deadlines up to 102 s away are looked at once, later ones once per turn.
const SLOTS: usize = 1024;

/// Waits for about `duration`: never less, at most 200 ms more.
pub fn sleep_coarse(duration: Duration) -> CoarseSleep {
    CoarseSleep::until(Instant::now() + duration)
}

/// Waits for `future`, but not longer than about `duration` (never less, at most 200 ms more).
pub async fn timeout_coarse<F: Future>(
    duration: Duration,
    future: F,
) -> Result<F::Output, TimedOut> {
    let mut future = pin!(future);
    let mut sleep = sleep_coarse(duration);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(context).map(|()| Err(TimedOut(duration)))
    })
    .await
}

/// The future of [`sleep_coarse`]. It is `Send` and `Sync` because hyper demands it of its timers;
/// it works on the core where it is first polled, and nowhere else.
#[derive(Debug)]
pub struct CoarseSleep {
    entry: Arc<Entry>,
    deadline: Instant,
}

impl CoarseSleep {
    /// Ends at `deadline`, or at most 200 ms later.
    pub fn until(deadline: Instant) -> Self {
        Self { entry: Arc::new(Entry::default()), deadline }
    }

    /// Moves the deadline, earlier or later.
    pub fn reset(&mut self, deadline: Instant) {
        self.forget();
        self.entry.fired.store(false, Ordering::Relaxed);
        self.deadline = deadline;
    }

    fn forget(&self) {
        let wheel_id = self.entry.wheel.load(Ordering::Relaxed);
        if wheel_id == NO_WHEEL {
            return;
        }
        // On another thread, or after the executor's end, the entry stays and its slot's turn
        // throws it away.
        if let Some(core) = core_state::try_current().filter(|core| core.id == wheel_id) {
            core.wheel.remove(&self.entry);
        }
    }
}

impl Future for CoarseSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let entry = &self.entry;
        if entry.fired.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        keep_waker(
            &mut entry.waker.lock().unwrap_or_else(PoisonError::into_inner),
            context.waker(),
        );
        let core = core_state::current();
        match entry.wheel.load(Ordering::Relaxed) {
            NO_WHEEL => core.wheel.insert(entry, self.deadline),
            wheel => assert_eq!(wheel, core.id, "a sleep stays on the core that polled it first"),
        }
        Poll::Pending
    }
}

impl Drop for CoarseSleep {
    fn drop(&mut self) {
        self.forget();
    }
}

const NO_WHEEL: u64 = 0;

/// The numbers are atomic only to be `Sync`: one thread reads and writes them.
#[derive(Debug, Default)]
struct Entry {
    /// The wheel it is in, or [`NO_WHEEL`].
    wheel: AtomicU64,
    /// The tick at which it is due. Its slot is this modulo [`SLOTS`].
    due: AtomicU64,
    /// Its index in the slot.
    index: AtomicUsize,
    fired: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// All coarse sleeps of one core.
pub(crate) struct Wheel {
    id: u64,
    start: Instant,
    slots: Vec<RefCell<Vec<Arc<Entry>>>>,
    entries: Cell<usize>,
    /// The last tick whose slot was emptied.
    turned: Cell<u64>,
    filled: LocalNotify,
}

impl Wheel {
    pub(crate) fn new(id: u64) -> Self {
        assert_ne!(id, NO_WHEEL, "a wheel has an id of its own");
        Self {
            id,
            start: Instant::now(),
            slots: (0..SLOTS).map(|_| RefCell::default()).collect(),
            entries: Cell::new(0),
            turned: Cell::new(0),
            filled: LocalNotify::new(),
        }
    }

    fn slot(&self, tick: u64) -> &RefCell<Vec<Arc<Entry>>> {
        let index = tick % SLOTS as u64;
        &self.slots[usize::try_from(index).expect("a slot's index is below SLOTS")]
    }

    /// Ticks that have passed until `time`, rounded down.
    fn ticks(&self, time: Instant) -> u64 {
        let passed = time.saturating_duration_since(self.start);
        u64::try_from(passed.as_millis() / COARSE_TICK.as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn insert(&self, entry: &Arc<Entry>, deadline: Instant) {
        if self.entries.get() == 0 {
            // An empty wheel does not turn: it goes on from here.
            self.turned.set(self.ticks(Instant::now()));
            self.filled.notify();
        }
        // The tick after the deadline's: a tick is over before its slot is emptied.
        let due = (self.ticks(deadline) + 1).max(self.turned.get() + 1);
        let mut slot = self.slot(due).borrow_mut();
        entry.wheel.store(self.id, Ordering::Relaxed);
        entry.due.store(due, Ordering::Relaxed);
        entry.index.store(slot.len(), Ordering::Relaxed);
        slot.push(Arc::clone(entry));
        self.entries.set(self.entries.get() + 1);
    }

    fn remove(&self, entry: &Arc<Entry>) {
        let mut slot = self.slot(entry.due.load(Ordering::Relaxed)).borrow_mut();
        let index = entry.index.load(Ordering::Relaxed);
        assert!(Arc::ptr_eq(&slot[index], entry), "entry i of a slot knows that it is entry i");
        slot.swap_remove(index);
        if let Some(moved) = slot.get(index) {
            moved.index.store(index, Ordering::Relaxed);
        }
        entry.wheel.store(NO_WHEEL, Ordering::Relaxed);
        self.entries.set(self.entries.get() - 1);
    }

    /// Fires everything that is due at `tick`.
    fn turn_to(&self, tick: u64) {
        let first = (self.turned.get() + 1).max(tick.saturating_sub(SLOTS as u64));
        for passed in first..=tick {
            let entries = std::mem::take(&mut *self.slot(passed).borrow_mut());
            let mut kept = Vec::new();
            for entry in entries {
                if entry.due.load(Ordering::Relaxed) > tick {
                    entry.index.store(kept.len(), Ordering::Relaxed);
                    kept.push(entry);
                    continue;
                }
                self.entries.set(self.entries.get() - 1);
                entry.wheel.store(NO_WHEEL, Ordering::Relaxed);
                entry.fired.store(true, Ordering::Relaxed);
                let waker = entry.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            *self.slot(passed).borrow_mut() = kept;
        }
        self.turned.set(tick);
    }

    /// Runs for as long as the core does.
    pub(crate) async fn drive(self: Rc<Self>) {
        loop {
            while self.entries.get() == 0 {
                self.filled.notified().await;
            }
            let next = u32::try_from(self.turned.get() + 1).unwrap_or(u32::MAX);
            let wait = (self.start + COARSE_TICK * next).saturating_duration_since(Instant::now());
            crate::timer::sleep(wait).await;
            self.turn_to(self.ticks(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests;
