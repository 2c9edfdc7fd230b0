//! The log as bytes, and what a crash leaves of it.
//!
//! This crate is the pure part of the segmented write-ahead log: it decides which bytes go where,
//! when they count as durable, and what a start makes of the files it finds. A driver carries out
//! the [`Effect`]s on real files; the simulator does it on a model disk. `docs/JOURNAL.md` has the
//! byte tables.
//!
//! Invariants:
//! - An entry is reported durable only when its frame and every frame before it was written and a
//!   later fdatasync of its file has ended.
//! - What was reported durable is recovered, or the start is refused; it is never cut.
//! - Nothing that was not appended is ever recovered.
//! - At most [`WRITES_IN_FLIGHT_MAX`] frames are on their way at any time.
//! - No entry is written before the term and vote that came before it are durable in both copies.
//! - No epoch is used by two runs.
//! - What is read back ([`Journal::find`]) are entries of the log, or it is said that they are gone.

mod buffers;
mod config;
mod format;
mod frame;
mod recovery;
#[cfg(test)]
mod tests;
mod vote;
mod writer;

pub use buffers::{Buffers, HeapBuffers};
pub use config::Config;
pub use format::BLOCK_BYTES;
pub use recovery::{Corrupt, Cut, Reason, Recovered, Recovery};
pub use writer::{Journal, Overwritten, PREPARE_RETRY, SEAL_AFTER, Stretch, WRITES_IN_FLIGHT_MAX};

use bytes::Bytes;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, counted from 1.
    pub index: u64,
    /// The term of the leader that made it.
    pub term: u64,
    /// What it is for; the journal only keeps the number.
    pub kind: u8,
    /// What it holds.
    pub data: Bytes,
}

/// A file of the journal's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// `vote`: two copies of term and vote, 8 KiB. The driver makes it (zeros, synced, directory
    /// synced) before the first run.
    Vote,
    /// `%08x.seg`: the segment in that slot.
    Segment(u32),
}

/// Names one order, so that its end can be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u64);

/// An order to whoever owns the files, or news for whoever owns the log. Orders on one file may
/// overlap in time; nothing depends on their order but through [`Journal::on_done`].
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<B> {
    /// Write these bytes. Offset and length are multiples of [`BLOCK_BYTES`].
    Write {
        /// For [`Journal::on_done`].
        token: Token,
        /// Where.
        file: File,
        /// Where in it.
        offset: u64,
        /// What.
        bytes: B,
    },
    /// fdatasync.
    Sync {
        /// For [`Journal::on_done`].
        token: Token,
        /// Of which file.
        file: File,
    },
    /// Make the segment's file (an unfinished one of that name starts over), write zeros over its
    /// whole length, fdatasync it, fsync the directory.
    Prepare {
        /// For [`Journal::on_done`] or [`Journal::on_prepare_failed`].
        token: Token,
        /// Whose file.
        slot: u32,
        /// How long.
        bytes: u64,
    },
    /// Remove the segment's file. A removal that a crash undoes does no harm.
    Remove {
        /// Whose file.
        slot: u32,
    },
    /// Every entry up to here is durable. Said when it grows.
    Durable {
        /// The highest durable index.
        through: u64,
    },
    /// The last [`Journal::on_vote`] is durable, in both copies.
    VoteDurable,
}
