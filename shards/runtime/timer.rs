//! The clocks, and sleeping.
//!
//! Every sleep of a core is an entry in one ordered map, driven by a single timer of glommio's:
//! glommio searches all its timers in every turn of its reactor, so a timer there for each of ten
//! thousand connections would cost more than the connections' work.
//!
//! Invariants:
//! - A sleep never ends before its deadline.
//! - A dropped sleep leaves nothing behind.

use crate::core_state;
use base::{Instant, Now, UnixMicros};
use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Reads the boot clock: monotonic, counts through suspend. Some 25 ns, no system call.
pub fn instant() -> Instant {
    Instant(nanoseconds(ClockId::Boottime))
}

/// Reads both clocks.
pub fn now() -> Now {
    Now { instant: instant(), wall: UnixMicros(nanoseconds(ClockId::Realtime) / 1_000) }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Before 1970, which only a wrong wall clock can say, is shown as 1970.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let below = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(below)
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(instant() + duration)
}

/// Waits until the boot clock reads `deadline`, to within about 50 microseconds.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { timers: Rc::clone(&core_state::current().timers), deadline, key: None }
}

/// The future did not end in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {0:?}")]
pub struct TimedOut(pub Duration);

/// Waits for `future`, but not longer than `duration`. The future is asked first: one that is
/// ready just in time wins.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, TimedOut> {
    let mut future = pin!(future);
    let mut sleep = sleep(duration);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(context).map(|()| Err(TimedOut(duration)))
    })
    .await
}

/// The future of [`sleep`] and [`sleep_until`]. It can be used again after [`Sleep::reset`].
pub struct Sleep {
    timers: Rc<Timers>,
    deadline: Instant,
    key: Option<Key>,
}

impl Sleep {
    /// Moves the deadline, earlier or later.
    pub fn reset(&mut self, deadline: Instant) {
        self.forget();
        self.deadline = deadline;
    }

    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            self.timers.entries.borrow_mut().remove(&key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if instant() >= self.deadline {
            self.forget();
            return Poll::Ready(());
        }
        let deadline = self.deadline;
        let timers = Rc::clone(&self.timers);
        let key = *self.key.get_or_insert_with(|| timers.next_key(deadline));
        timers.register(key, context.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Deadline, then a number that keeps equal deadlines apart.
type Key = (Instant, u64);

const NEVER: Instant = Instant(u64::MAX);

/// All sleeps of one core.
pub(crate) struct Timers {
    entries: RefCell<BTreeMap<Key, Waker>>,
    next: Cell<u64>,
    /// What the driver sleeps until. Entries before it must wake the driver.
    armed: Cell<Instant>,
    driver: RefCell<Option<Waker>>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            entries: RefCell::default(),
            next: Cell::new(0),
            armed: Cell::new(NEVER),
            driver: RefCell::default(),
        }
    }
}

impl Timers {
    fn next_key(&self, deadline: Instant) -> Key {
        let number = self.next.get();
        self.next.set(number + 1);
        (deadline, number)
    }

    fn register(&self, key: Key, waker: &Waker) {
        let mut entries = self.entries.borrow_mut();
        let kept = entries.entry(key).or_insert_with(|| waker.clone());
        if !kept.will_wake(waker) {
            kept.clone_from(waker);
        }
        drop(entries);
        if key.0 < self.armed.get() {
            // Said before the driver runs, so that it is woken once for many new sleeps.
            self.armed.set(key.0);
            let driver = self.driver.borrow_mut().take();
            if let Some(driver) = driver {
                driver.wake();
            }
        }
    }

    /// Wakes every sleep that is due; tells the next deadline.
    fn fire(&self, now: Instant) -> Instant {
        loop {
            let mut entries = self.entries.borrow_mut();
            let Some(first) = entries.first_entry() else { return NEVER };
            if first.key().0 > now {
                return first.key().0;
            }
            let waker = first.remove();
            drop(entries);
            waker.wake();
        }
    }

    /// Runs for as long as the core does.
    pub(crate) async fn drive(self: Rc<Self>) {
        let mut timer: Option<glommio::timer::Timer> = None;
        std::future::poll_fn(|context| {
            let now = instant();
            let next = self.fire(now);
            self.armed.set(next);
            *self.driver.borrow_mut() = Some(context.waker().clone());
            // A poll of glommio's timer registers it once more, so each is polled only once; its
            // drop takes it back.
            timer = (next != NEVER).then(|| glommio::timer::Timer::new(next.since(now)));
            match timer.as_mut().map(|timer| Pin::new(timer).poll(context)) {
                Some(Poll::Ready(_)) => context.waker().wake_by_ref(),
                Some(Poll::Pending) | None => {}
            }
            Poll::<()>::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests;
