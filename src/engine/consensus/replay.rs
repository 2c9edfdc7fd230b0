//! What a node does with its journal's entries while it reads them: committed ones go to the
//! shards at once, so that a start holds one segment in memory, not the whole log.

use crate::batch::BatchView;
use crate::message::Committed;
use base::UnixMicros;
use quorum::{Entry, EntryKind};

/// What is left when a journal was read.
#[derive(Debug)]
pub struct Left {
    /// Index and term of the last entry handed out.
    pub delivered: (u64, u64),
    /// The log's time at the end of the log.
    pub stamp: UnixMicros,
    /// The entries above.
    pub tail: Vec<Entry>,
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
}

impl Replay {
    /// A reading that starts behind a snapshot, or at the beginning (index and term 0).
    pub fn new(snapshot: (u64, u64), stamp: UnixMicros) -> Self {
        Self { delivered: snapshot, stamp }
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
            self.check(&entry)?;
            let journal::Entry { index, term, data, .. } = entry;
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
        Ok(Left { delivered, stamp: self.stamp, tail })
    }

    fn check(&mut self, entry: &journal::Entry) -> Result<EntryKind, String> {
        if entry.index != self.delivered.0 + 1 {
            let last = self.delivered.0;
            return Err(format!("entry {} follows entry {last} in the journal", entry.index));
        }
        self.delivered = (entry.index, entry.term);
        if !entry.data.is_empty() {
            let batch = BatchView::parse(&entry.data)
                .map_err(|error| format!("entry {} of the journal: {error}", entry.index))?;
            self.stamp = self.stamp.max(batch.stamp);
        }
        EntryKind::from_code(entry.kind)
            .ok_or_else(|| format!("entry {} is of kind {}", entry.index, entry.kind))
    }
}
