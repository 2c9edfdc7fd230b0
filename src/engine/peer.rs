//! What coordinators say to each other.
//!
//! Links lose, and never reorder while they live: what must arrive is said again by whoever needs it.
//! The frames that carry it are docs/WIRE.md's ([`PeerMessage::encode`], [`PeerMessage::decode`]).

mod frames;

pub use frames::PeerFrameError;

use crate::message::NotTaken;
use base::{BootId, CoreId};
use bytes::Bytes;

/// The largest body of a request between coordinators, and of an answer. Unit: bytes. As an entry
/// of the log: what it asks for may end there.
pub const BODY_BYTES_MAX: usize = base::limits::ENTRY_BYTES_MAX;

/// One message between two coordinators. Who sends it, with which data directory, the link knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// Of the Raft group.
    Raft(quorum::Message),
    /// A follower's session batch, for the log that the receiver leads.
    Forward(Forward),
    /// A forwarded batch, and all after it of its round, was not taken into the log.
    NotTaken {
        /// The run that sent it.
        boot: BootId,
        /// The core whose session it is of.
        core: CoreId,
        /// The first batch that was not taken.
        number: u64,
        /// Its round.
        round: u32,
        /// Why.
        why: NotTaken,
    },
    /// The sender fetches a snapshot that it was offered: its next piece, please.
    SnapshotWanted {
        /// The snapshot's index.
        index: u64,
        /// Where the piece is to begin: all before it is there. Unit: bytes.
        offset: u64,
    },
    /// A piece of a snapshot.
    SnapshotPiece {
        /// The snapshot's index.
        index: u64,
        /// Where it begins. Unit: bytes.
        offset: u64,
        /// How long the whole is. Unit: bytes.
        total_bytes: u64,
        /// The piece.
        data: Bytes,
    },
    /// The snapshot that was wanted is not there any more; a later one is offered.
    SnapshotGone {
        /// The snapshot's index.
        index: u64,
    },
    /// The sender asks something that it cannot answer itself.
    Request {
        /// Its run.
        boot: BootId,
        /// Which request of that run.
        ticket: u64,
        /// What it asks. At most [`BODY_BYTES_MAX`].
        body: Bytes,
    },
    /// What a request is answered.
    Answer {
        /// The run that asked.
        boot: BootId,
        /// Which request of that run.
        ticket: u64,
        /// The answer. At most [`BODY_BYTES_MAX`].
        body: Bytes,
    },
}

/// A session batch on its way from a follower to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The run of the node that it comes from.
    pub boot: BootId,
    /// The core whose session it is of.
    pub core: CoreId,
    /// Its number in the session.
    pub number: u64,
    /// The session's round.
    pub round: u32,
    /// How many records it holds.
    pub records: u32,
    /// The section.
    pub section: Bytes,
}
