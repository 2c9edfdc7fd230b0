//! What coordinators say to each other besides the messages of their Raft group. As those, these are
//! frames that go one way, with call 0; who sends them, and with which store, the link's hellos said.

use crate::message::message;
use base::limits::ENTRY_BYTES_MAX;

/// The largest payload on a link between coordinators. Unit: bytes. An entry of the log at its
/// limit goes alone in its frame, and so does a section of it that is forwarded; what stands around
/// its bytes takes less than the rest. Entries that go together are a good deal smaller, and so is a
/// piece of a snapshot.
pub const PEER_BYTES_MAX: usize = ENTRY_BYTES_MAX + 1024 * 1024;

message! {
    /// A follower's session batch, for the log that the receiver leads.
    pub struct Forward<'a>: FORWARD = "forward" {
        /// The run of the node that it comes from.
        1 boot: u64,
        /// The core whose session it is of.
        2 core: u16,
        /// Its number in the session.
        3 number: u64,
        /// The session's round.
        4 round: u32,
        /// How many records it holds.
        5 records: u32,
        /// The batch, as it will stand in an entry.
        6 section: &'a [u8],
    }
}

message! {
    /// A forwarded batch, and all after it of its round, was not taken into the log.
    pub struct ForwardRefused: FORWARD_REFUSED = "forward_refused" {
        /// The run that sent it.
        1 boot: u64,
        /// The core whose session it is of.
        2 core: u16,
        /// The first batch that was not taken.
        3 number: u64,
        /// Its round.
        4 round: u32,
        /// Why: 1 the disk has no room, 2 nobody is known to lead, 3 the node stops, 4 a batch
        /// before it is missing.
        5 why: u8,
    }
}

message! {
    /// The sender fetches a snapshot that it was offered: its next piece, please.
    pub struct SnapshotWanted: SNAPSHOT_WANTED = "snapshot_wanted" {
        /// The snapshot's index.
        1 index: u64,
        /// Where the piece is to begin: all before it is there. Unit: bytes.
        2 offset: u64,
    }
}

message! {
    /// A piece of a snapshot.
    pub struct SnapshotPiece<'a>: SNAPSHOT_PIECE = "snapshot_piece" {
        /// The snapshot's index.
        1 index: u64,
        /// Where it begins. Unit: bytes.
        2 offset: u64,
        /// How long the whole is. Unit: bytes.
        3 total_bytes: u64,
        /// The piece.
        4 data: &'a [u8],
    }
}

message! {
    /// The snapshot that was wanted is not there any more; a later one is offered.
    pub struct SnapshotGone: SNAPSHOT_GONE = "snapshot_gone" {
        /// The snapshot's index.
        1 index: u64,
    }
}

message! {
    /// What a cluster was founded with. Sent to a member that belongs to none yet: it keeps it for
    /// good, and begins.
    pub struct Welcome<'a>: WELCOME = "welcome" {
        /// The cluster.
        1 cluster: u64,
        /// The members at index 0 of its log, the same on every member: bytes as those of an offer's
        /// `membership`.
        2 founded: &'a [u8],
    }
}

message! {
    /// A node asks another one, as a rule the leader, something that it cannot answer itself.
    pub struct ClusterRequest<'a>: CLUSTER_REQUEST = "cluster_request" {
        /// The run of the node that asks.
        1 boot: u64,
        /// Which request of that run: the answer repeats both.
        2 ticket: u64,
        /// What is asked.
        3 body: &'a [u8],
    }
}

message! {
    /// The answer to a request. It may never come: who asks gives up after a while.
    pub struct ClusterAnswer<'a>: CLUSTER_ANSWER = "cluster_answer" {
        /// The run that asked.
        1 boot: u64,
        /// Which request.
        2 ticket: u64,
        /// What is answered.
        3 body: &'a [u8],
    }
}
