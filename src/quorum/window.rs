//! The part of the log that Raft may still ask for, in memory.
//!
//! Invariants:
//! - entries are contiguous: the i-th has index `base_index + 1 + i`;
//! - what is at or below `base_index` is durable, applied, and only its term is kept.

use raft::prelude::{ConfState, Entry, HardState};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use std::collections::VecDeque;

/// Raft's view of the log.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) hard_state: HardState,
    pub(crate) conf_state: ConfState,
    base_index: u64,
    base_term: u64,
    entries: VecDeque<Entry>,
}

impl Window {
    pub(crate) fn new(
        hard_state: HardState,
        conf_state: ConfState,
        base: (u64, u64),
        entries: VecDeque<Entry>,
    ) -> Self {
        let window =
            Self { hard_state, conf_state, base_index: base.0, base_term: base.1, entries };
        assert!(
            window.entries.iter().zip(base.0 + 1..).all(|(entry, index)| entry.index == index),
            "entries are contiguous from the base"
        );
        window
    }

    /// Takes entries in; a new entry at a known index supersedes it and all after it.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.base_index, "an applied entry is never superseded");
        let keep = usize::try_from(first.index - self.base_index - 1).expect("a window is small");
        assert!(keep <= self.entries.len(), "entries are contiguous");
        self.entries.truncate(keep);
        self.entries.extend(entries.iter().cloned());
    }

    /// Forgets entries at or below `index`.
    pub(crate) fn compact(&mut self, index: u64) {
        while let Some(front) = self.entries.front()
            && front.index <= index
        {
            self.base_index = front.index;
            self.base_term = front.term;
            self.entries.pop_front();
        }
    }

    fn last(&self) -> u64 {
        self.base_index + self.entries.len() as u64
    }
}

impl Storage for Window {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.base_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last() + 1, "raft asks only for what was appended");
        let skip = usize::try_from(low - self.base_index - 1).expect("a window is small");
        let count = usize::try_from(high - low).expect("a window is small");
        let mut budget = max_size.into().unwrap_or(u64::MAX);
        let mut found = Vec::with_capacity(count);
        for entry in self.entries.iter().skip(skip).take(count) {
            let bytes = entry.data.len() as u64;
            if !found.is_empty() && bytes > budget {
                break;
            }
            budget = budget.saturating_sub(bytes);
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.base_index {
            return Ok(self.base_term);
        }
        if index < self.base_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let at = usize::try_from(index - self.base_index - 1).expect("a window is small");
        self.entries.get(at).map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.base_index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> Result<raft::prelude::Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
