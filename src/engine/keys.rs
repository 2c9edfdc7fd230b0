//! Idempotency keys of one partition.
//!
//! Invariants (SOUNDNESS 13):
//! - a key is remembered until its time to live has passed in log time, never shorter;
//! - a full table refuses a new key, it never forgets one early;
//! - a repeat is told the first one's message and workflows; another body is a conflict.

use base::{FixedState, UnixMicros, hash64};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The message's sequence in this partition.
    pub(crate) sequence: u64,
    /// A hash of the message's body, and its length: another body is another message.
    pub(crate) body: (u64, u32),
    /// The workflows that the message started, in order.
    pub(crate) workflows: Arc<[Arc<str>]>,
}

/// What the table says to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Never seen, or long ago: go on, then [`KeyTable::remember`].
    New,
    /// Seen with the same body.
    Repeat(Known),
    /// Seen with another body.
    Conflict(Known),
    /// Never seen, and there is no room to remember it.
    Full,
}

/// The keys of one partition.
#[derive(Debug)]
pub(crate) struct KeyTable {
    ttl: Duration,
    keys_max: usize,
    known: HashMap<Arc<str>, Known, FixedState>,
    /// In the order of arrival, which is the order of expiry.
    expiry: VecDeque<(UnixMicros, Arc<str>)>,
}

/// The fingerprint of a body.
pub(crate) fn fingerprint(body: &[u8]) -> (u64, u32) {
    (hash64(body), u32::try_from(body.len()).expect("a message is far below 4 GiB"))
}

impl KeyTable {
    /// An empty table.
    pub(crate) fn new(ttl: Duration, keys_max: usize) -> Self {
        Self { ttl, keys_max, known: HashMap::with_hasher(FixedState), expiry: VecDeque::new() }
    }

    /// Forgets what has expired at `stamp`.
    pub(crate) fn expire(&mut self, stamp: UnixMicros) {
        while let Some((due, _)) = self.expiry.front()
            && *due <= stamp
        {
            let (_, key) = self.expiry.pop_front().expect("the loop saw one");
            self.known.remove(&key);
        }
    }

    /// What is known of a key.
    pub(crate) fn look(&self, key: &str, body: (u64, u32)) -> Verdict {
        match self.known.get(key) {
            Some(known) if known.body == body => Verdict::Repeat(known.clone()),
            Some(known) => Verdict::Conflict(known.clone()),
            None if self.known.len() >= self.keys_max => Verdict::Full,
            None => Verdict::New,
        }
    }

    /// Remembers a key that [`Self::look`] called new, from `stamp` on.
    pub(crate) fn remember(&mut self, key: &str, stamp: UnixMicros, known: Known) {
        assert!(self.known.len() < self.keys_max, "a full table refuses");
        self.restore(stamp + self.ttl, key, known);
    }

    /// Puts an entry of an image back.
    pub(crate) fn restore(&mut self, due: UnixMicros, key: &str, known: Known) {
        let key: Arc<str> = key.into();
        assert!(
            self.expiry.back().is_none_or(|(last, _)| *last <= due),
            "keys arrive in the order of the stamps"
        );
        let old = self.known.insert(Arc::clone(&key), known);
        assert!(old.is_none(), "a key is remembered once");
        self.expiry.push_back((due, key));
    }

    /// Every key with its expiry, in the order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (UnixMicros, &str, &Known)> {
        self.expiry.iter().map(|(due, key)| (*due, &**key, &self.known[key]))
    }
}

#[cfg(test)]
mod tests;
