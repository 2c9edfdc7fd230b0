//! What a frame's payload is.

use std::fmt;

/// What a frame's payload is: the header's `type`. An answer that has no kind of its own has the
/// kind of what it answers, and [`Flags::RESPONSE`](crate::Flags::RESPONSE).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

macro_rules! kinds {
    ($($(#[$doc:meta])* $constant:ident = $code:literal $name:literal;)*) => {
        impl Kind {
            $($(#[$doc])* pub const $constant: Self = Self($code);)*

            /// Every kind that this version knows, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$constant,)*];

            /// The kind's name, for metrics and logs; `unknown` for every number that has none.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$constant => $name,)* _ => "unknown" }
            }
        }
    };
}

kinds! {
    /// Who is there: the first frame of each side of a connection.
    HELLO = 0x0001 "hello";
    /// A call, or the whole connection, was refused.
    ERROR = 0x0002 "error";
    /// Whoever made the call no longer waits for it.
    CANCEL = 0x0003 "cancel";
    /// Is the connection alive? Answered by the same with RESPONSE.
    PING = 0x0004 "ping";

    /// A candidate asks for a vote.
    REQUEST_VOTE = 0x1001 "request_vote";
    /// The vote, or the refusal.
    REQUEST_VOTE_RESPONSE = 0x1002 "request_vote_response";
    /// The leader sends entries of the log.
    APPEND_ENTRIES = 0x1003 "append_entries";
    /// How far the follower's log goes.
    APPEND_ENTRIES_RESPONSE = 0x1004 "append_entries_response";
    /// A piece of a snapshot.
    INSTALL_SNAPSHOT = 0x1005 "install_snapshot";
    /// How much of a snapshot has arrived.
    INSTALL_SNAPSHOT_RESPONSE = 0x1006 "install_snapshot_response";
    /// Would a candidate be voted for?
    PRE_VOTE = 0x1010 "pre_vote";
    /// It would, or would not.
    PRE_VOTE_RESPONSE = 0x1011 "pre_vote_response";
    /// The leader is alive.
    HEARTBEAT = 0x1012 "heartbeat";
    /// So is the follower.
    HEARTBEAT_RESPONSE = 0x1013 "heartbeat_response";
    /// Stand for election at once: the leader hands over.
    TIMEOUT_NOW = 0x1014 "timeout_now";
    /// A follower wants to lead.
    TRANSFER_LEADER = 0x1015 "transfer_leader";
    /// A follower asks up to where the log is committed.
    READ_INDEX = 0x1016 "read_index";
    /// Up to there.
    READ_INDEX_RESPONSE = 0x1017 "read_index_response";
    /// A follower's batch, for the log that the receiver leads.
    FORWARD = 0x1018 "forward";
    /// It was not taken into the log.
    FORWARD_REFUSED = 0x1019 "forward_refused";
    /// A snapshot's next piece, please.
    SNAPSHOT_WANTED = 0x101a "snapshot_wanted";
    /// The piece.
    SNAPSHOT_PIECE = 0x101b "snapshot_piece";
    /// The snapshot is not there any more.
    SNAPSHOT_GONE = 0x101c "snapshot_gone";
    /// To whom the receiver belongs: it may begin.
    WELCOME = 0x101d "welcome";
    /// A node asks another one, as a rule the leader, something that it cannot answer itself.
    CLUSTER_REQUEST = 0x101e "cluster_request";
    /// The answer.
    CLUSTER_ANSWER = 0x101f "cluster_answer";

    /// Are you alive?
    GOSSIP_PING = 0x2001 "gossip_ping";
    /// I am.
    GOSSIP_ACK = 0x2002 "gossip_ack";
    /// Is the other one alive?
    GOSSIP_INDIRECT_PING = 0x2003 "gossip_indirect_ping";
    /// News of members.
    MEMBERSHIP_UPDATE = 0x2004 "membership_update";
    /// Are you alive? Another one asks through me.
    GOSSIP_RELAYED_PING = 0x2005 "gossip_relayed_ping";
    /// I am; tell the one that asks.
    GOSSIP_RELAYED_ACK = 0x2006 "gossip_relayed_ack";
    /// The one that you could not reach is alive.
    GOSSIP_FORWARDED_ACK = 0x2007 "gossip_forwarded_ack";
    /// You are taken for failed.
    GOSSIP_FAILED = 0x2008 "gossip_failed";
    /// That one did not answer.
    GOSSIP_SUSPICION = 0x2009 "gossip_suspicion";
    /// Is your view the same as mine?
    GOSSIP_SYNC = 0x200a "gossip_sync";
    /// One of these, for those who have a key.
    GOSSIP_SEALED = 0x200b "gossip_sealed";
    /// Is anybody there?
    GOSSIP_SEARCH = 0x200c "gossip_search";

    /// A worker is to run a task.
    TASK_ASSIGNMENT = 0x3001 "task_assignment";
    /// How a task ended.
    TASK_RESULT = 0x3002 "task_result";
    /// A worker renews its lease, and says what it runs.
    TASK_STATUS = 0x3003 "task_status";
    /// A worker wants to belong to the cluster.
    WORKER_REGISTER = 0x3004 "worker_register";
    /// It does.
    WORKER_REGISTERED = 0x3005 "worker_registered";
    /// It does not: somebody else is to be asked, or later.
    WORKER_NOT_TAKEN = 0x3006 "worker_not_taken";
    /// A task has come, and runs.
    TASK_ACCEPTED = 0x3007 "task_accepted";
    /// A task does not run at the worker, and will not.
    TASK_REFUSED = 0x3008 "task_refused";
    /// A task is to be stopped.
    TASK_STOP = 0x3009 "task_stop";
    /// What became of a task is recorded.
    TASK_RECORDED = 0x300a "task_recorded";
    /// A worker is to get no tasks, or may get them again.
    WORKER_DRAIN = 0x300b "worker_drain";
    /// A worker leaves.
    WORKER_LEAVE = 0x300c "worker_leave";
    /// It has left.
    WORKER_LEFT = 0x300d "worker_left";
    /// A run of a worker was declared lost.
    WORKER_LOST = 0x300e "worker_lost";
    /// Would a plugin take a configuration?
    TASK_VALIDATE = 0x300f "task_validate";
    /// What it says.
    TASK_VALIDATED = 0x3010 "task_validated";

    /// A client's messages.
    SUBMIT = 0x4001 "submit";
    /// What became of them.
    RESPONSE = 0x4002 "response";
    /// A client reads.
    QUERY = 0x4003 "query";
    /// What it reads.
    QUERY_RESULT = 0x4004 "query_result";
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({:#06x} {})", self.0, self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "unknown" => write!(f, "{:#06x}", self.0),
            name => f.write_str(name),
        }
    }
}
