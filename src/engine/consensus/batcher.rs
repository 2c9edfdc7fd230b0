//! Session batches that wait to become an entry.

use crate::globals::Prepared;
use crate::message::PreparedSections;
use base::Instant;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// An entry is made at once of so many records, though another write is under way (REPL-1).
const RECORDS_DUE: u64 = 64;
/// Or of so many bytes.
const BYTES_DUE: u64 = 256 * 1024;
/// Or when the oldest batch has waited so long.
const AGE_DUE: Duration = Duration::from_millis(1);
/// An entry takes batches up to this size, one at least. Unit: bytes.
const ENTRY_BYTES: usize = 1024 * 1024;
/// Sections of one entry: its header counts them with 16 bits.
const SECTIONS_MAX: usize = 1 << 12;

#[derive(Debug)]
struct Waiting {
    since: Instant,
    records: u32,
    section: Bytes,
    prepared: Option<Arc<Prepared>>,
}

/// What the next entry is made of.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) sections: Vec<Bytes>,
    pub(super) records: u64,
    /// What was made ready of their changes, each with its section's place.
    pub(super) prepared: PreparedSections,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    waiting: VecDeque<Waiting>,
    records: u64,
    bytes: u64,
}

impl Batcher {
    pub(super) fn push(
        &mut self,
        since: Instant,
        records: u32,
        section: Bytes,
        prepared: Option<Arc<Prepared>>,
    ) {
        self.records += u64::from(records);
        self.bytes += section.len() as u64;
        self.waiting.push_back(Waiting { since, records, section, prepared });
    }

    /// Forgets everything: the sessions send it again to whoever leads.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What the queue takes in the journal at most: its bytes, and a block for each entry.
    pub(super) fn cost(&self) -> u64 {
        let entries = self.bytes / ENTRY_BYTES as u64 + 1;
        self.bytes + entries * journal::BLOCK_BYTES as u64
    }

    /// Whether an entry is to be made, though another is on its way to the disk.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.records >= RECORDS_DUE
            || self.bytes >= BYTES_DUE
            || self.deadline().is_some_and(|due| due <= now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|first| first.since + AGE_DUE)
    }

    /// The next entry's sections, in order.
    pub(super) fn take(&mut self) -> Gathered {
        let (mut taken, mut bytes) = (Gathered::default(), 0);
        while let Some(next) = self.waiting.front() {
            let (at, size) = (taken.sections.len(), next.section.len());
            if at > 0 && (bytes + size > ENTRY_BYTES || at >= SECTIONS_MAX) {
                break;
            }
            let next = self.waiting.pop_front().expect("the loop saw one");
            bytes += size;
            taken.records += u64::from(next.records);
            taken.sections.push(next.section);
            taken.prepared.extend(next.prepared.map(|prepared| (at, prepared)));
        }
        self.bytes -= bytes as u64;
        self.records -= taken.records;
        taken
    }
}
