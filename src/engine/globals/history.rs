//! Earlier versions of rules and definitions: what was stored, by whom and when, to look at and to
//! go back to.
//!
//! Invariants:
//! - of one id at most [`PAST_PER_ID_MAX`] are kept, of all ids together at most
//!   [`HISTORY_BYTES_MAX`]; the oldest go first, and the newest one always stays;
//! - ids that were deleted keep theirs until it is their turn to go.

use super::{Came, How, Table};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// Earlier versions kept of one id: with the one in force, 16 are told.
pub(super) const PAST_PER_ID_MAX: usize = 15;
/// What all of them may take. Unit: bytes. All cores share them.
pub(super) const HISTORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What an entry takes besides its texts, about. Unit: bytes.
const ENTRY_BYTES: usize = 256;

/// A version that is in force no longer.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) table: Table,
    pub(super) id: Arc<str>,
    pub(super) version: u32,
    pub(super) came: Came,
    /// Empty for a removal.
    pub(super) text: Arc<str>,
}

impl Past {
    fn bytes(&self) -> usize {
        self.text.len() + self.id.len() + self.came.by().len() + ENTRY_BYTES
    }
}

/// All of them. A copy shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// By the order in which they came here.
    past: OrdMap<u64, Arc<Past>>,
    /// Each id with its places in that order.
    by_id: OrdSet<(Table, Arc<str>, u64)>,
    next: u64,
    bytes: usize,
}

impl History {
    pub(super) fn push(&mut self, past: Past) {
        let (table, id, place) = (past.table, Arc::clone(&past.id), self.next);
        self.bytes += past.bytes();
        self.past.insert(place, Arc::new(past));
        self.by_id.insert((table, Arc::clone(&id), place));
        self.next += 1;
        if self.places(table, &id).count() > PAST_PER_ID_MAX {
            let oldest = self.places(table, &id).next().expect("there are more than one");
            self.forget(oldest);
        }
        while self.bytes > HISTORY_BYTES_MAX && self.past.len() > 1 {
            let (oldest, _) = self.past.get_min().expect("the loop saw two");
            self.forget(*oldest);
        }
    }

    /// Drops an entry, the oldest of its id.
    fn forget(&mut self, place: u64) {
        let past = self.past.remove(&place).expect("a place is of an entry");
        self.bytes -= past.bytes();
        let is_oldest = self.places(past.table, &past.id).next() == Some(place);
        assert!(is_oldest, "the oldest of an id goes first");
        self.by_id.remove(&(past.table, Arc::clone(&past.id), place));
    }

    /// An id's places, the oldest first.
    fn places(&self, table: Table, id: &str) -> impl DoubleEndedIterator<Item = u64> {
        let id: Arc<str> = id.into();
        let all = (table, Arc::clone(&id), 0)..=(table, id, u64::MAX);
        self.by_id.range(all).map(|(_, _, place)| *place)
    }

    /// All, in the order in which they came here.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Past> {
        self.past.values().map(|past| &**past)
    }

    /// An id's, the newest first.
    pub(super) fn of(&self, table: Table, id: &str) -> impl Iterator<Item = &Past> {
        self.places(table, id).rev().map(|place| &*self.past[&place])
    }

    /// The text that an id had last under this version.
    pub(super) fn text(&self, table: Table, id: &str, version: u32) -> Option<&str> {
        self.of(table, id)
            .find(|past| past.version == version && past.came.how != How::Deleted)
            .map(|past| &*past.text)
    }
}

#[cfg(test)]
mod tests;
