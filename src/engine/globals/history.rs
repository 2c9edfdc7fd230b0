//! Earlier versions of rules and definitions: what was stored, by whom and when, to look at and to
//! go back to.
//!
//! Invariants:
//! - of one id at most [`PAST_PER_ID_MAX`] are kept, of all ids together at most
//!   [`HISTORY_BYTES_MAX`]; the oldest go first, and the newest one always stays;
//! - ids that were deleted keep theirs until it is their turn to go.

use super::{Came, How, Table};
use std::collections::{BTreeMap, VecDeque};

/// Earlier versions kept of one id: with the one in force, 16 are told.
pub(super) const PAST_PER_ID_MAX: usize = 15;
/// What all of them may take. Unit: bytes. Every core holds them.
pub(super) const HISTORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What an entry takes besides its texts, about. Unit: bytes.
const ENTRY_BYTES: usize = 256;

/// A version that is in force no longer.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) table: Table,
    pub(super) id: String,
    pub(super) version: u32,
    pub(super) came: Came,
    /// Empty for a removal.
    pub(super) text: String,
}

impl Past {
    fn bytes(&self) -> usize {
        self.text.len() + self.id.len() + self.came.by.len() + ENTRY_BYTES
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By the order in which they came here.
    past: BTreeMap<u64, Past>,
    by_id: BTreeMap<(Table, String), VecDeque<u64>>,
    next: u64,
    bytes: usize,
}

impl History {
    pub(super) fn push(&mut self, past: Past) {
        let key = (past.table, past.id.clone());
        self.bytes += past.bytes();
        let places = self.by_id.entry(key).or_default();
        places.push_back(self.next);
        let oldest = (places.len() > PAST_PER_ID_MAX).then(|| places[0]);
        self.past.insert(self.next, past);
        self.next += 1;
        if let Some(oldest) = oldest {
            self.forget(oldest);
        }
        while self.bytes > HISTORY_BYTES_MAX && self.past.len() > 1 {
            let (&oldest, _) = self.past.first_key_value().expect("the loop saw two");
            self.forget(oldest);
        }
    }

    /// Drops an entry, the oldest of its id.
    fn forget(&mut self, place: u64) {
        let past = self.past.remove(&place).expect("a place is of an entry");
        self.bytes -= past.bytes();
        let key = (past.table, past.id);
        let places = self.by_id.get_mut(&key).expect("every entry is found by its id");
        assert_eq!(places.pop_front(), Some(place), "the oldest of an id goes first");
        if places.is_empty() {
            self.by_id.remove(&key);
        }
    }

    /// All, in the order in which they came here.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Past> {
        self.past.values()
    }

    /// An id's, the newest first.
    pub(super) fn of(&self, table: Table, id: &str) -> impl Iterator<Item = &Past> {
        let places = self.by_id.get(&(table, id.to_owned()));
        places.into_iter().flatten().rev().map(|place| &self.past[place])
    }

    /// The text that an id had last under this version.
    pub(super) fn text(&self, table: Table, id: &str, version: u32) -> Option<&str> {
        self.of(table, id)
            .find(|past| past.version == version && past.came.how != How::Deleted)
            .map(|past| past.text.as_str())
    }
}

#[cfg(test)]
mod tests;
