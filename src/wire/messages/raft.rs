//! What the members of the Raft group say to each other: the fields that tikv's `raft` gives its
//! messages (eraftpb.proto), one message each. All its numbers are 64 bits wide.
//!
//! Besides, every message names sender, receiver and the sender's store, the data directory that it
//! votes and acknowledges with: a member whose store is not the one that the group knows is not
//! listened to (a wiped voter must not vote again). On a link between coordinators its hellos say
//! all three, once and for every frame; there `from`, `to` and `store` are 0 and not looked at.

use crate::list::List;
use crate::message::{message, part};

message! {
    /// A candidate asks for a vote.
    pub struct RequestVote<'a>: REQUEST_VOTE = "request_vote" {
        /// The candidate.
        1 from: u64,
        /// Who is asked.
        2 to: u64,
        /// The candidate's new term.
        3 term: u64,
        /// The candidate's store id.
        4 store: u64,
        /// The last index of the candidate's log.
        5 index: u64,
        /// Its term.
        6 log_term: u64,
        /// Up to where the candidate knows the log committed.
        7 commit: u64 = 0,
        /// The term of that entry.
        8 commit_term: u64 = 0,
        /// Why it stands: `CampaignTransfer` when the leader handed over.
        9 context: &'a [u8] = b"",
        /// The larger, the rather it is elected.
        10 priority: i64 = 0,
    }
}

message! {
    /// The vote, or the refusal.
    pub struct RequestVoteResponse: REQUEST_VOTE_RESPONSE = "request_vote_response" {
        /// The voter.
        1 from: u64,
        /// The candidate.
        2 to: u64,
        /// The voter's term.
        3 term: u64,
        /// The voter's store id.
        4 store: u64,
        /// No vote.
        5 reject: bool = false,
        /// Up to where the voter knows the log committed, when it refuses.
        6 commit: u64 = 0,
        /// The term of that entry.
        7 commit_term: u64 = 0,
    }
}

message! {
    /// Would a candidate be voted for? Changes nobody's term.
    pub struct PreVote<'a>: PRE_VOTE = "pre_vote" {
        /// Who would stand.
        1 from: u64,
        /// Who is asked.
        2 to: u64,
        /// The term it would stand for.
        3 term: u64,
        /// The sender's store id.
        4 store: u64,
        /// The last index of its log.
        5 index: u64,
        /// Its term.
        6 log_term: u64,
        /// Up to where it knows the log committed.
        7 commit: u64 = 0,
        /// The term of that entry.
        8 commit_term: u64 = 0,
        /// Why it would stand.
        9 context: &'a [u8] = b"",
        /// The larger, the rather it is elected.
        10 priority: i64 = 0,
    }
}

message! {
    /// It would, or would not.
    pub struct PreVoteResponse: PRE_VOTE_RESPONSE = "pre_vote_response" {
        /// The voter.
        1 from: u64,
        /// Who would stand.
        2 to: u64,
        /// The term asked about, or the voter's own when it refuses.
        3 term: u64,
        /// The voter's store id.
        4 store: u64,
        /// It would not.
        5 reject: bool = false,
        /// Up to where the voter knows the log committed, when it refuses.
        6 commit: u64 = 0,
        /// The term of that entry.
        7 commit_term: u64 = 0,
    }
}

part! {
    /// One entry of the log.
    pub struct Entry<'a> = "entry" {
        /// Its place in the log.
        1 index: u64,
        /// The term in which it was made.
        2 term: u64,
        /// 0 a batch, 1 a change of members.
        3 kind: u8 = 0,
        /// The batch, or the change.
        4 data: &'a [u8] = b"",
        /// Of tikv's entries; empty here.
        5 context: &'a [u8] = b"",
    }
}

message! {
    /// The leader's entries, to follow the one that it names.
    pub struct AppendEntries<'a>: APPEND_ENTRIES = "append_entries" {
        /// The leader.
        1 from: u64,
        /// The follower.
        2 to: u64,
        /// The leader's term.
        3 term: u64,
        /// The leader's store id.
        4 store: u64,
        /// The index before the first of the entries.
        5 index: u64,
        /// The term of the entry there.
        6 log_term: u64,
        /// Up to where the log is committed.
        7 commit: u64,
        /// The entries, without a gap.
        8 entries: List<'a, Entry<'a>> = List::EMPTY,
    }
}

message! {
    /// How far the follower's log is that of the leader.
    pub struct AppendEntriesResponse: APPEND_ENTRIES_RESPONSE = "append_entries_response" {
        /// The follower.
        1 from: u64,
        /// The leader.
        2 to: u64,
        /// The follower's term.
        3 term: u64,
        /// The follower's store id.
        4 store: u64,
        /// Up to there it is durable and the same; when refused, the index that did not fit.
        5 index: u64,
        /// The entries did not follow on anything the follower has.
        6 reject: bool = false,
        /// Where the follower guesses that both logs are the same.
        7 reject_hint: u64 = 0,
        /// The term of the follower's entry there.
        8 log_term: u64 = 0,
        /// Up to where the follower knows the log committed.
        9 commit: u64 = 0,
        /// It asks for a snapshot of at least this index instead.
        10 request_snapshot: u64 = 0,
    }
}

part! {
    /// Who is a member, as of a snapshot (tikv's ConfState).
    pub struct Configuration<'a> = "configuration" {
        /// Who votes.
        1 voters: List<'a, u64> = List::EMPTY,
        /// Who only learns.
        2 learners: List<'a, u64> = List::EMPTY,
        /// Who voted before the change under way.
        3 voters_outgoing: List<'a, u64> = List::EMPTY,
        /// Who will only learn after it.
        4 learners_next: List<'a, u64> = List::EMPTY,
        /// Whether the change ends by itself.
        5 auto_leave: bool = false,
    }
}

message! {
    /// The leader offers a snapshot: what the follower needs is no longer in the log. Its bytes are
    /// fetched with `snapshot_wanted`, so `snapshot` is `index` and the offer carries no piece.
    pub struct InstallSnapshot<'a>: INSTALL_SNAPSHOT = "install_snapshot" {
        /// The leader.
        1 from: u64,
        /// The follower.
        2 to: u64,
        /// The leader's term.
        3 term: u64,
        /// The leader's store id.
        4 store: u64,
        /// Which snapshot.
        5 snapshot: u64,
        /// The last index that it holds.
        6 index: u64,
        /// Its term.
        7 log_term: u64,
        /// Who votes and learns as of that index, by number alone. Empty where `membership` says it.
        8 configuration: Configuration<'a>,
        /// Where a piece that comes with it begins; 0 in an offer. Unit: bytes.
        9 offset: u64,
        /// How long the whole is; 0 in an offer, the pieces say it. Unit: bytes.
        10 total_bytes: u64,
        /// A piece; empty in an offer.
        11 data: &'a [u8] = b"",
        /// The members as of that index, with their data directories and addresses, as in a
        /// snapshot's file.
        12 membership: &'a [u8] = b"",
    }
}

message! {
    /// How much of a snapshot is there. Not sent by coordinators that ask for pieces.
    pub struct InstallSnapshotResponse: INSTALL_SNAPSHOT_RESPONSE = "install_snapshot_response" {
        /// The follower.
        1 from: u64,
        /// The leader.
        2 to: u64,
        /// The follower's term.
        3 term: u64,
        /// The follower's store id.
        4 store: u64,
        /// Which snapshot.
        5 snapshot: u64,
        /// Where the next piece is to begin; the snapshot's length once it is installed.
        6 offset: u64,
        /// The follower does not want it, or cannot install it.
        7 reject: bool = false,
    }
}

message! {
    /// The leader is alive.
    pub struct Heartbeat<'a>: HEARTBEAT = "heartbeat" {
        /// The leader.
        1 from: u64,
        /// The follower.
        2 to: u64,
        /// The leader's term.
        3 term: u64,
        /// The leader's store id.
        4 store: u64,
        /// Up to where the log is committed, as far as the follower has it.
        5 commit: u64 = 0,
        /// Which reads it confirms: the answer repeats it.
        6 context: &'a [u8] = b"",
    }
}

message! {
    /// So is the follower.
    pub struct HeartbeatResponse<'a>: HEARTBEAT_RESPONSE = "heartbeat_response" {
        /// The follower.
        1 from: u64,
        /// The leader.
        2 to: u64,
        /// The follower's term.
        3 term: u64,
        /// The follower's store id.
        4 store: u64,
        /// Up to where the follower knows the log committed.
        5 commit: u64 = 0,
        /// As in the heartbeat.
        6 context: &'a [u8] = b"",
    }
}

message! {
    /// The leader hands over: stand for election at once.
    pub struct TimeoutNow: TIMEOUT_NOW = "timeout_now" {
        /// The leader.
        1 from: u64,
        /// Who is to follow it.
        2 to: u64,
        /// The leader's term.
        3 term: u64,
        /// The leader's store id.
        4 store: u64,
    }
}

message! {
    /// The sender wants to lead: the leader is asked to hand over to it.
    pub struct TransferLeader: TRANSFER_LEADER = "transfer_leader" {
        /// Who wants to lead.
        1 from: u64,
        /// The leader.
        2 to: u64,
        /// The sender's term.
        3 term: u64,
        /// The sender's store id.
        4 store: u64,
    }
}

message! {
    /// A follower asks up to where the log is committed, to answer a read.
    pub struct ReadIndex<'a>: READ_INDEX = "read_index" {
        /// The follower.
        1 from: u64,
        /// The leader.
        2 to: u64,
        /// The follower's term.
        3 term: u64,
        /// The follower's store id.
        4 store: u64,
        /// Which read: node, boot and a counter. Equal ones vanish.
        5 context: &'a [u8],
    }
}

message! {
    /// Up to there.
    pub struct ReadIndexResponse<'a>: READ_INDEX_RESPONSE = "read_index_response" {
        /// The leader.
        1 from: u64,
        /// The follower.
        2 to: u64,
        /// The leader's term.
        3 term: u64,
        /// The leader's store id.
        4 store: u64,
        /// The read waits until this index is applied.
        5 index: u64,
        /// Which read.
        6 context: &'a [u8],
    }
}
