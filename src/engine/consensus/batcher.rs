//! Session batches that wait to become an entry.

use base::Instant;
use bytes::Bytes;
use std::collections::VecDeque;
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

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    waiting: VecDeque<(Instant, u32, Bytes)>,
    records: u64,
    bytes: u64,
}

impl Batcher {
    pub(super) fn push(&mut self, now: Instant, records: u32, section: Bytes) {
        self.records += u64::from(records);
        self.bytes += section.len() as u64;
        self.waiting.push_back((now, records, section));
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
        self.waiting.front().map(|(since, _, _)| *since + AGE_DUE)
    }

    /// The next entry's sections, in order, and how many records they hold.
    pub(super) fn take(&mut self) -> (Vec<Bytes>, u64) {
        let (mut sections, mut bytes, mut records) = (Vec::new(), 0, 0);
        while let Some((_, _, section)) = self.waiting.front() {
            let fits = bytes + section.len() <= ENTRY_BYTES && sections.len() < SECTIONS_MAX;
            if !fits && !sections.is_empty() {
                break;
            }
            let (_, count, section) = self.waiting.pop_front().expect("the loop saw one");
            bytes += section.len();
            records += u64::from(count);
            sections.push(section);
        }
        self.bytes -= bytes as u64;
        self.records -= records;
        (sections, records)
    }
}
