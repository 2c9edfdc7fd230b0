//! What is to be done when.

use base::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// Things to do, by time; those of one time in the order in which they were put there.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeMap<(Instant, u64), T>,
    count: u64,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { due: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn put(&mut self, at: Instant, what: T) {
        self.count += 1;
        self.due.insert((at, self.count), what);
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next one that is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Everything `by` later: a time in which this node did not run has not passed for it.
    pub(crate) fn shift(&mut self, by: Duration) {
        let due = std::mem::take(&mut self.due);
        self.due = due.into_iter().map(|((at, count), what)| ((at + by, count), what)).collect();
    }

    pub(crate) fn clear(&mut self) {
        self.due.clear();
    }
}
