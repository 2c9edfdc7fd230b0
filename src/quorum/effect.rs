//! What the group orders, and how it looks from outside.

use crate::entry::Entry;
use crate::membership::Membership;
use crate::message::Message;
use base::NodeId;

/// What a node is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows, or does not know whom.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// A look at the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What this node is.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// The leader, 0 when unknown.
    pub leader: u64,
    /// The highest index known committed.
    pub commit: u64,
    /// The last index of the log.
    pub last: u64,
}

/// How far a member is, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Who.
    pub node: NodeId,
    /// Up to there its log is durable and the leader's.
    pub matched: u64,
    /// The leader has heard from it since it last looked whether a majority is there.
    pub active: bool,
    /// It waits for a snapshot.
    pub needs_snapshot: bool,
    /// Sent to it and not answered. Unit: bytes.
    pub in_flight_bytes: u64,
}

/// An order to whoever drives the group.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write term and vote, and make them durable before anything else of this group is done;
    /// then call [`crate::Group::on_vote_durable`].
    Vote {
        /// The new term.
        term: u64,
        /// The vote in it.
        vote: u64,
    },
    /// Append these to the journal; call [`crate::Group::on_durable`] once they are durable.
    Append {
        /// Contiguous; the first may supersede a suffix of the log.
        entries: Vec<Entry>,
        /// The commit index to write along.
        commit: u64,
    },
    /// Send this now. What must wait for the disk comes out only when it was waited for. It may
    /// be lost, doubled or overtaken.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Apply these, in order.
    Committed {
        /// Never handed out before in this run.
        entries: Vec<Entry>,
    },
    /// The members are others, from the entry at `index` on: it is the last of the effect before.
    Membership {
        /// Where.
        index: u64,
        /// Who belongs to the group now.
        membership: Membership,
    },
    /// This node's role changed, or its term, or its leader.
    Role(Status),
    /// The read may be answered once `index` is applied.
    ReadState {
        /// Which: as given to [`crate::Group::on_read`].
        context: u64,
        /// Up to where the log was committed when the read came.
        index: u64,
    },
    /// No leader could answer the read in time.
    ReadExpired {
        /// Which.
        context: u64,
    },
    /// Read these from the journal and hand them to [`crate::Group::on_entries_fetched`].
    EntriesWanted {
        /// The first.
        from: u64,
        /// The last; fewer may be given, from the first on.
        through: u64,
        /// How much at most; one entry may be larger. Unit: bytes.
        bytes: u64,
    },
    /// A follower needs what the log no longer has: take a snapshot, and call
    /// [`crate::Group::on_snapshot_taken`]. The group offers it by itself then.
    SnapshotWanted {
        /// Who.
        to: NodeId,
    },
    /// A leader offers a snapshot: fetch it, make it durable beside what is there, then call
    /// [`crate::Group::on_snapshot_fetched`]. A later one of these takes the place of this one; the
    /// same again means that the leader has not heard of progress: go on with what is there, or
    /// begin again.
    FetchSnapshot {
        /// The leader.
        from: NodeId,
        /// The last index that it holds.
        index: u64,
        /// The term of that entry.
        term: u64,
        /// The members as of that index.
        membership: Membership,
    },
    /// The fetched snapshot takes the place of the log and the state: install it, begin the journal
    /// behind `index`, make both durable, then call [`crate::Group::on_snapshot_installed`].
    /// No vote, entry or message is ordered until then.
    InstallSnapshot {
        /// The last index that it holds.
        index: u64,
        /// The term of that entry.
        term: u64,
        /// The members as of that index.
        membership: Membership,
    },
}
