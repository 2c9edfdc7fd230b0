//! What a log is made of, and what of a node's state must survive a restart besides it.

use bytes::Bytes;
use raft::prelude as library;

/// What must survive a restart besides the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The current term.
    pub term: u64,
    /// Who got this node's vote in that term; 0 is nobody.
    pub vote: u64,
    /// The highest index known committed.
    pub commit: u64,
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A batch of records; empty when a leader took office.
    Normal,
    /// A change of the group's members.
    Membership,
}

impl EntryKind {
    /// The kind's number on disk and on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Membership => 1,
        }
    }

    /// The kind with that number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Normal),
            1 => Some(Self::Membership),
            _ => None,
        }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 1.
    pub index: u64,
    /// The term of the leader that made it.
    pub term: u64,
    /// What it is for.
    pub kind: EntryKind,
    /// The batch, or the [`crate::Change`] as bytes. Empty where a new leader took office, and
    /// where a change was refused.
    pub data: Bytes,
}

impl Entry {
    /// As the library keeps it. A change of members lies in its context: what the library itself
    /// reads of a change is only looked at when it is proposed, so no bytes from a disk or a peer
    /// ever reach its protobuf decoder.
    pub(crate) fn into_library(self) -> library::Entry {
        let (entry_type, data, context) = match self.kind {
            EntryKind::Normal => (library::EntryType::EntryNormal, self.data, Bytes::new()),
            EntryKind::Membership => {
                (library::EntryType::EntryConfChangeV2, Bytes::new(), self.data)
            }
        };
        library::Entry {
            entry_type,
            index: self.index,
            term: self.term,
            data,
            context,
            ..Default::default()
        }
    }

    pub(crate) fn from_library(entry: library::Entry) -> Self {
        let (kind, data) = match entry.entry_type {
            library::EntryType::EntryNormal => (EntryKind::Normal, entry.data),
            library::EntryType::EntryConfChange | library::EntryType::EntryConfChangeV2 => {
                (EntryKind::Membership, entry.context)
            }
        };
        Self { index: entry.index, term: entry.term, kind, data }
    }
}
