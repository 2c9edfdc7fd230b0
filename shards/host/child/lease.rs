//! Ends the process when its node's lease on its tasks has run out: the node may be frozen then, and
//! cannot kill it.
//!
//! Invariants:
//! - once a lease was told, no task runs beyond its end by more than the time that this machine takes to
//!   wake a thread; a process that runs nothing lives on.

use super::crash;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How a process ends whose lease is over: none of its tasks is to blame.
pub(crate) const LEASE_OVER: i32 = 75;

/// The end of the lease, by the boot clock. Unit: nanoseconds.
static UNTIL: AtomicU64 = AtomicU64::new(u64::MAX);

/// Tasks that run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

static WATCH: Once = Once::new();

/// The longest sleep: sleeps do not count the time in which the machine itself sleeps.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The process may live until then.
pub(crate) fn keep(until: u64) {
    UNTIL.store(until, Ordering::SeqCst);
    WATCH.call_once(|| {
        let watch = std::thread::Builder::new().name("lease".to_owned());
        if watch.spawn(watch_over).is_err() {
            // Nobody would end what must not run on. The node starts another process.
            crash::leave(LEASE_OVER);
        }
    });
}

/// A task runs while this is kept.
pub(crate) struct Running;

/// A task begins: not without a lease, where one was told.
pub(crate) fn running() -> Running {
    RUNNING.fetch_add(1, Ordering::SeqCst);
    end_when_over();
    Running
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

fn watch_over() {
    loop {
        let left = end_when_over();
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

/// When to look again.
fn end_when_over() -> Duration {
    let until = UNTIL.load(Ordering::SeqCst);
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let now = seconds.saturating_mul(1_000_000_000) + u64::try_from(now.tv_nsec).unwrap_or(0);
    if until > now {
        return Duration::from_nanos(until - now);
    }
    if RUNNING.load(Ordering::SeqCst) > 0 {
        crash::leave(LEASE_OVER);
    }
    LOOK_EVERY
}
