//! CPU time of the threads that run tasks, where a manifest bounds it.
//!
//! The kernel's own limit counts a process for all its life; a task is one thread for a while, so it
//! is looked at from outside, ten times a second.

use plugin::frame::Ticket;
use plugin::pool::Child;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::time::Duration;

/// How often a thread is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The threads that are looked at.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    threads: HashMap<(Child, Ticket), Thread>,
}

#[derive(Debug)]
struct Thread {
    stat: String,
    /// What it had used when its task began. Unit: ticks of the kernel.
    before: u64,
}

impl Watch {
    /// A task begins on a thread. False: it has begun before.
    pub(crate) fn begun(
        &mut self,
        child: Child,
        ticket: Ticket,
        process: u32,
        thread: u32,
    ) -> bool {
        let Entry::Vacant(place) = self.threads.entry((child, ticket)) else { return false };
        let stat = format!("/proc/{process}/task/{thread}/stat");
        let before = ticks(&stat).unwrap_or(0);
        place.insert(Thread { stat, before });
        true
    }

    /// A task is over.
    pub(crate) fn ended(&mut self, child: Child, ticket: Ticket) {
        self.threads.remove(&(child, ticket));
    }

    /// A process is no more.
    pub(crate) fn forget(&mut self, child: Child) {
        self.threads.retain(|(of, _), _| *of != child);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// The tasks that have used more than `limit`.
    pub(crate) fn beyond(&self, limit: Duration) -> Vec<(Child, Ticket)> {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let used = |thread: &Thread| {
            let ticks = ticks(&thread.stat)?.saturating_sub(thread.before);
            Some(Duration::from_millis(ticks.saturating_mul(1_000) / per_second))
        };
        let beyond = self.threads.iter().filter(|(_, thread)| used(thread) > Some(limit));
        let mut beyond: Vec<_> = beyond.map(|(task, _)| *task).collect();
        beyond.sort_unstable();
        beyond
    }
}

/// What a thread has used, in user space and in the kernel. `None`: there is no such thread any more.
fn ticks(stat: &str) -> Option<u64> {
    let stat = fs::read_to_string(stat).ok()?;
    // Behind the name, which may hold anything: state is the 3rd field, utime the 14th, stime the 15th.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_seen_and_one_that_is_gone_is_not() {
        let mut watch = Watch::default();
        let own = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
        let thread = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        assert!(watch.begun(1, 1, own, thread));
        assert!(!watch.begun(1, 1, own, u32::MAX), "once");
        assert!(watch.begun(1, 2, own, u32::MAX));
        let mut number = 0_u64;
        while watch.beyond(Duration::ZERO).is_empty() {
            number = std::hint::black_box(number + 1);
        }
        assert_eq!(watch.beyond(Duration::ZERO), [(1, 1)]);
        assert_eq!(watch.beyond(Duration::from_hours(1)), []);
        watch.ended(1, 1);
        watch.forget(1);
        assert!(watch.is_empty());
    }
}
