//! What a node does with its journal's entries while it reads them: committed ones go to the
//! shards at once, so that a start holds one segment in memory, not the whole log.

use crate::batch::{BadBatch, BatchView};
use crate::message::Committed;
use crate::snapshot::Snapshot;
use base::UnixMicros;
use bytes::Bytes;
use quorum::{Change, Entry, EntryKind, Membership};

/// The log's time at an entry, if it says one.
pub(super) fn stamp_of(kind: EntryKind, data: &[u8]) -> Result<Option<UnixMicros>, BadBatch> {
    if kind == EntryKind::Membership || data.is_empty() {
        return Ok(None);
    }
    BatchView::parse(data).map(|batch| Some(batch.stamp))
}

/// What is left when a journal was read.
#[derive(Debug)]
pub struct Left {
    /// Index and term of the last entry handed out.
    pub delivered: (u64, u64),
    /// The log's time at the end of the log.
    pub stamp: UnixMicros,
    /// The entries above.
    pub tail: Vec<Entry>,
    /// Who belongs to the group there, at the last entry handed out.
    pub membership: Membership,
    /// Where each term begins in the journal, up to there: index, term.
    pub terms: Vec<(u64, u64)>,
}

/// The reading of a journal.
///
/// Invariants:
/// - an entry is handed out only when some frame says that it is committed: a committed entry is
///   never superseded;
/// - entries are handed out in order, none left out.
#[derive(Debug)]
pub struct Replay {
    delivered: (u64, u64),
    stamp: UnixMicros,
    membership: Membership,
    terms: Vec<(u64, u64)>,
}

impl Replay {
    /// A reading that starts behind a snapshot, or at the beginning. `founded` are the group's
    /// first members.
    pub fn new(snapshot: Option<&Snapshot>, founded: &Membership) -> Self {
        let delivered = snapshot.map_or((0, 0), |snapshot| (snapshot.index, snapshot.term));
        Self {
            delivered,
            stamp: snapshot.map_or(UnixMicros(0), |snapshot| snapshot.stamp),
            membership: snapshot.map_or(founded.clone(), |at| at.mark(founded).membership),
            terms: vec![delivered],
        }
    }

    /// Takes those entries out of what recovery has found so far that are at or below `commit`,
    /// the highest commit index seen. They are what the shards are to apply.
    pub fn on_entries(
        &mut self,
        found: &mut Vec<journal::Entry>,
        commit: u64,
    ) -> Result<Vec<Committed>, String> {
        let ready = found.partition_point(|entry| entry.index <= commit);
        let mut committed = Vec::with_capacity(ready);
        for entry in found.drain(..ready) {
            if entry.index <= self.delivered.0 {
                continue;
            }
            let kind = self.check(&entry)?;
            let journal::Entry { index, term, mut data, .. } = entry;
            if self.terms.last().is_none_or(|(_, last)| *last < term) {
                self.terms.push((index, term));
            }
            if kind == EntryKind::Membership {
                self.change_members(index, &data)?;
                data = Bytes::new();
            }
            committed.push(Committed { index, term, data, prepared: Vec::new() });
        }
        Ok(committed)
    }

    /// What is left.
    pub fn finish(mut self, found: Vec<journal::Entry>) -> Result<Left, String> {
        let delivered = self.delivered;
        let mut tail = Vec::with_capacity(found.len());
        for entry in found {
            if entry.index <= delivered.0 {
                continue;
            }
            let kind = self.check(&entry)?;
            tail.push(Entry { index: entry.index, term: entry.term, kind, data: entry.data });
        }
        let Self { stamp, membership, terms, .. } = self;
        Ok(Left { delivered, stamp, tail, membership, terms })
    }

    /// The same that the group did when the entry was committed.
    fn change_members(&mut self, index: u64, data: &[u8]) -> Result<(), String> {
        let change = Change::from_bytes(data).map_err(|error| format!("entry {index}: {error}"))?;
        // One that was refused then is refused again.
        if let Ok(next) = self.membership.changed(&change) {
            self.membership = next;
        }
        Ok(())
    }

    fn check(&mut self, entry: &journal::Entry) -> Result<EntryKind, String> {
        if entry.index != self.delivered.0 + 1 {
            let last = self.delivered.0;
            return Err(format!("entry {} follows entry {last} in the journal", entry.index));
        }
        self.delivered = (entry.index, entry.term);
        let kind = EntryKind::from_code(entry.kind)
            .ok_or_else(|| format!("entry {} is of kind {}", entry.index, entry.kind))?;
        if let Some(stamp) = stamp_of(kind, &entry.data)
            .map_err(|error| format!("entry {} of the journal: {error}", entry.index))?
        {
            self.stamp = self.stamp.max(stamp);
        }
        Ok(kind)
    }
}
