//! Raft's view of the log: its end in memory, the rest in the journal, of which every entry's term
//! is known here.
//!
//! ```text
//! 1 ............ begin | ............ base | ............... last
//! compacted away       | in the journal    | in memory
//! ```
//!
//! Invariants:
//! - entries in memory are contiguous: the i-th has index `base + 1 + i`;
//! - what is not applied is in memory; what was applied is kept there only up to a bound of bytes;
//! - the term of every index from `begin` to `last` is known;
//! - an applied entry is never superseded.

use crate::membership::Membership;
use base::NodeId;
use raft::prelude::{Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

/// Requests for old entries that wait for the journal. One per member is usual; what is more is
/// asked for again with the next heartbeat.
const WANTED_MAX: usize = 32;

/// What an entry takes in memory besides its data, about. Unit: bytes.
const ENTRY_BYTES: u64 = 128;

/// A durable snapshot of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMark {
    /// The last index that it holds.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The members as of that index.
    pub membership: Membership,
}

/// Old entries that the library asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The first.
    pub(crate) low: u64,
    /// Behind the last.
    pub(crate) high: u64,
    pub(crate) bytes: u64,
    /// Whether the driver was told.
    pub(crate) told: bool,
    contexts: Vec<GetEntriesContext>,
}

/// Raft's view of the log.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) hard_state: HardState,
    /// Who belongs to the group now.
    membership: Membership,
    base: u64,
    entries: VecDeque<Entry>,
    /// Where each term begins: index, term. The first is (begin, its term).
    terms: VecDeque<(u64, u64)>,
    /// Up to where the driver has applied; never below `base`.
    applied: u64,
    /// Up to where the journal has nothing any more.
    compacted: u64,
    bytes: u64,
    bytes_unapplied: u64,
    /// What may stay in memory after it was applied. Unit: bytes.
    tail_bytes_max: u64,
    pub(crate) snapshot: Option<SnapshotMark>,
    /// What the journal just gave, while it is handed to the library.
    fetched: Vec<Entry>,
    wanted: RefCell<Vec<Wanted>>,
    snapshot_wanted: RefCell<BTreeSet<u64>>,
    /// Something was asked for since the driver was last told.
    wants: Cell<bool>,
}

impl Window {
    /// `terms` as in [`crate::Config`]; `base` is the last entry applied.
    pub(crate) fn new(
        hard_state: HardState,
        membership: Membership,
        base: (u64, u64),
        terms: Vec<(u64, u64)>,
        entries: &[Entry],
        snapshot: Option<SnapshotMark>,
    ) -> Self {
        assert!(terms.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "terms grow with the log");
        let last_term = terms.last().expect("the log begins somewhere");
        assert!(last_term.0 <= base.0 && last_term.1 == base.1, "terms lead up to the base");
        let begin = terms[0].0;
        let fits = |mark: &SnapshotMark| mark.index >= begin && mark.index <= base.0;
        assert!(snapshot.as_ref().is_none_or(fits), "the log goes on behind its snapshot");
        let mut window = Self {
            hard_state,
            membership,
            base: base.0,
            entries: VecDeque::with_capacity(entries.len()),
            terms: terms.into(),
            applied: base.0,
            compacted: begin,
            bytes: 0,
            bytes_unapplied: 0,
            tail_bytes_max: 0,
            snapshot,
            fetched: Vec::new(),
            wanted: RefCell::default(),
            snapshot_wanted: RefCell::default(),
            wants: Cell::new(false),
        };
        window.append(entries);
        window
    }

    /// Takes entries in; a new entry at a known index supersedes it and all after it.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.applied, "an applied entry is never superseded");
        assert!(first.index <= self.last() + 1, "entries are contiguous");
        if first.index <= self.last() {
            self.cut(first.index);
        }
        let mut term = self.terms.back().map_or(0, |(_, term)| *term);
        let mut bytes = 0;
        for (entry, index) in entries.iter().zip(self.last() + 1..) {
            assert_eq!(entry.index, index, "entries are contiguous");
            if term != entry.term {
                term = entry.term;
                self.terms.push_back((index, term));
            }
            bytes += cost(entry);
        }
        self.entries.extend(entries.iter().cloned());
        self.bytes += bytes;
        self.bytes_unapplied += bytes;
    }

    /// Gives up everything from `index` on.
    fn cut(&mut self, index: u64) {
        while self.last() >= index {
            let entry = self.entries.pop_back().expect("what is not applied is in memory");
            self.bytes -= cost(&entry);
            self.bytes_unapplied -= cost(&entry);
        }
        while self.terms.back().is_some_and(|(begins, _)| *begins >= index) {
            self.terms.pop_back();
        }
    }

    /// Everything up to `index` was applied: of that, only a bounded tail stays in memory.
    pub(crate) fn on_applied(&mut self, index: u64) {
        assert!(index <= self.last(), "only what is in the log is applied");
        if index <= self.applied {
            return;
        }
        let at = |index: u64| usize::try_from(index - self.base).expect("a window is small");
        for entry in self.entries.range(at(self.applied)..at(index)) {
            self.bytes_unapplied -= cost(entry);
        }
        self.applied = index;
        self.trim();
    }

    /// The members are others. Followers are served from memory as far as `tail_bytes_max`.
    pub(crate) fn on_members(&mut self, membership: Membership, tail_bytes_max: u64) {
        self.membership = membership;
        self.tail_bytes_max = tail_bytes_max;
        self.trim();
    }

    /// Whether the snapshot is one for this node: a learner that was added after it, or again
    /// with another store, is not in it, and would refuse it.
    fn is_for(&self, mark: &SnapshotMark, to: u64) -> bool {
        let to = NodeId(to);
        let now = self.membership.member(to);
        let then = mark.membership.member(to);
        now.is_some_and(|now| then.is_some_and(|then| then.store == now.store))
    }

    /// Lets go what was applied and is more than may stay.
    fn trim(&mut self) {
        while self.base < self.applied && self.bytes > self.tail_bytes_max.max(self.bytes_unapplied)
        {
            let entry = self.entries.pop_front().expect("it lies above the base");
            self.bytes -= cost(&entry);
            self.base = entry.index;
        }
        if self.compacted > self.terms[0].0 {
            self.move_begin();
        }
    }

    /// The journal no longer has anything up to `through`.
    pub(crate) fn compact(&mut self, through: u64) {
        self.compacted = self.compacted.max(through);
        self.move_begin();
    }

    /// The log begins where neither the journal nor memory has anything before.
    fn move_begin(&mut self) {
        let through = self.compacted.min(self.base);
        if through <= self.begin() {
            return;
        }
        let term = self.term_at(through).expect("it lies in the log");
        while self.terms.front().is_some_and(|(begins, _)| *begins <= through) {
            self.terms.pop_front();
        }
        self.terms.push_front((through, term));
    }

    /// The log starts over behind a snapshot.
    pub(crate) fn restore(&mut self, mark: SnapshotMark) {
        assert!(mark.index > self.applied, "a snapshot leads forward");
        self.base = mark.index;
        self.applied = mark.index;
        self.compacted = mark.index;
        self.entries.clear();
        self.terms = VecDeque::from([(mark.index, mark.term)]);
        self.bytes = 0;
        self.bytes_unapplied = 0;
        self.snapshot = Some(mark);
        self.wanted.borrow_mut().clear();
    }

    /// Where the log begins: of that index only the term is known.
    pub(crate) fn begin(&self) -> u64 {
        self.terms[0].0
    }

    /// The last index.
    pub(crate) fn last(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The last index the driver has applied.
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    /// Entries not yet applied. Unit: bytes.
    pub(crate) fn bytes_unapplied(&self) -> u64 {
        self.bytes_unapplied
    }

    /// The term of an index in the log, or of its beginning.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if let Some(at) = self.position(index) {
            return Some(self.entries[at].term);
        }
        if index < self.begin() || index > self.last() {
            return None;
        }
        let after = self.terms.partition_point(|(begins, _)| *begins <= index);
        Some(self.terms[after - 1].1)
    }

    /// Whether the library asked for anything since this was last called.
    pub(crate) fn wants(&self) -> bool {
        self.wants.take()
    }

    /// What the library asked for and the driver has not heard of.
    pub(crate) fn newly_wanted(&self, mut tell: impl FnMut(&Wanted)) {
        for wanted in self.wanted.borrow_mut().iter_mut().filter(|wanted| !wanted.told) {
            wanted.told = true;
            tell(wanted);
        }
    }

    /// Whose snapshots the library asked for since.
    pub(crate) fn snapshots_wanted(&self) -> BTreeSet<u64> {
        self.snapshot_wanted.take()
    }

    /// The journal gave these; returns who waits for them.
    pub(crate) fn on_fetched(&mut self, low: u64, entries: Vec<Entry>) -> Vec<GetEntriesContext> {
        let mut wanted = self.wanted.borrow_mut();
        let Some(at) = wanted.iter().position(|wanted| wanted.low == low && wanted.told) else {
            return Vec::new();
        };
        let found = wanted.swap_remove(at);
        drop(wanted);
        for (entry, index) in entries.iter().zip(low..) {
            assert!(entry.index == index, "the journal gives entries in order");
            // Compacted since, perhaps; what is known must agree.
            let term = self.term_at(index);
            assert!(
                term.is_none_or(|term| term == entry.term),
                "the journal gives what was written"
            );
        }
        self.fetched = entries;
        if self.fetched.is_empty() { Vec::new() } else { found.contexts }
    }

    /// What was fetched has been handed on.
    pub(crate) fn forget_fetched(&mut self) {
        self.fetched = Vec::new();
    }

    /// Nobody is served any more.
    pub(crate) fn forget_wanted(&mut self) {
        self.wanted.borrow_mut().clear();
        self.snapshot_wanted.borrow_mut().clear();
    }

    fn position(&self, index: u64) -> Option<usize> {
        let above = index.checked_sub(self.base + 1)?;
        usize::try_from(above).ok().filter(|at| *at < self.entries.len())
    }

    fn want(&self, low: u64, high: u64, bytes: u64, context: GetEntriesContext) {
        self.wants.set(true);
        let mut wanted = self.wanted.borrow_mut();
        if let Some(known) = wanted.iter_mut().find(|wanted| wanted.low == low) {
            if known.contexts.len() < WANTED_MAX {
                known.contexts.push(context);
            }
        } else if wanted.len() < WANTED_MAX {
            wanted.push(Wanted { low, high, bytes, told: false, contexts: vec![context] });
        }
    }
}

fn cost(entry: &Entry) -> u64 {
    entry.data.len() as u64 + ENTRY_BYTES
}

/// As many as fit the bytes, and at least one.
fn bounded<'a>(entries: impl Iterator<Item = &'a Entry>, max: u64) -> Vec<Entry> {
    let mut budget = max;
    let mut found = Vec::with_capacity(entries.size_hint().1.unwrap_or(0));
    for entry in entries {
        let bytes = entry.data.len() as u64;
        if !found.is_empty() && bytes > budget {
            break;
        }
        budget = budget.saturating_sub(bytes);
        found.push(entry.clone());
    }
    found
}

impl Storage for Window {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.membership.conf_state()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.begin() {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last() + 1, "raft asks only for what was appended");
        let max = max_size.into().unwrap_or(u64::MAX);
        let count = usize::try_from(high - low).expect("a window is small");
        if let Some(skip) = self.position(low) {
            return Ok(bounded(self.entries.range(skip..skip + count), max));
        }
        let fetched = self.fetched.iter().skip_while(|entry| entry.index < low).take(count);
        if self.fetched.first().is_some_and(|first| first.index <= low) {
            let found = bounded(fetched, max);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        assert!(context.can_async(), "only followers are sent what is no longer in memory");
        self.want(low, high.min(self.base + 1), max, context);
        Err(Error::Store(StorageError::LogTemporarilyUnavailable))
    }

    fn term(&self, index: u64) -> Result<u64> {
        if let Some(term) = self.term_at(index) {
            return Ok(term);
        }
        Err(Error::Store(if index < self.begin() {
            StorageError::Compacted
        } else {
            StorageError::Unavailable
        }))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.begin() + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        if let Some(mark) = &self.snapshot
            && mark.index >= request_index
            && mark.index >= self.begin()
            && self.is_for(mark, to)
        {
            return Ok(crate::message::snapshot(mark.index, mark.term, &mark.membership));
        }
        self.wants.set(true);
        self.snapshot_wanted.borrow_mut().insert(to);
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

#[cfg(test)]
mod tests;
