//! What every connection says, whoever speaks.

use crate::header::VERSION;
use crate::message::message;

message! {
    /// Who is there. Whoever connects says it first, in a frame of the lowest version that it
    /// speaks; the other side answers with its own.
    pub struct Hello<'a>: HELLO = "hello" {
        /// The lowest version of the protocol that the sender speaks.
        1 version_min: u8,
        /// The highest.
        2 version_max: u8,
        /// Which node it is, 0 for a client.
        3 node: u64 = 0,
        /// What it is: 1 a client, 2 a coordinator, 3 a worker, 4 both.
        4 role: u8,
        /// What it can do beyond the version, one bit each. None is given out so far.
        5 features: u64 = 0,
        /// Its program and version, for people.
        6 program: &'a str = "",
        /// The largest payload that it takes. Unit: bytes. 0: it does not say.
        7 payload_bytes_max: u32 = 0,
        /// How many calls it takes before it has answered the first. 0: it does not say.
        8 calls_max: u32 = 0,
        /// The cluster that it belongs to. 0: to none yet, or it is a client.
        9 cluster: u64 = 0,
        /// Its data directory, 0 for who has none. Another directory is another member.
        10 store: u64 = 0,
        /// Which run of its process, 0 for a client.
        11 boot: u64 = 0,
        /// The data directory that it means to reach: any other one refuses the connection. 0: it
        /// only asks who is there.
        12 to_store: u64 = 0,
        /// The oldest version of what is replicated (entries, snapshots) that it reads. 0: it does
        /// not say.
        13 format_min: u16 = 0,
        /// The newest. 0: it does not say.
        14 format_max: u16 = 0,
        /// Where it takes gossip, as `IP:PORT`. Empty: nowhere, or it does not say.
        15 gossip: &'a str = "",
    }
}

impl Hello<'static> {
    /// That of a role, in this version of the protocol, with nothing that can be left out: the rest
    /// of a struct literal that names what it does say.
    pub const fn of(role: u8) -> Self {
        Self {
            version_min: VERSION,
            version_max: VERSION,
            node: 0,
            role,
            features: 0,
            program: "",
            payload_bytes_max: 0,
            calls_max: 0,
            cluster: 0,
            store: 0,
            boot: 0,
            to_store: 0,
            format_min: 0,
            format_max: 0,
            gossip: "",
        }
    }
}

impl Hello<'_> {
    /// The role of who sends messages and queries.
    pub const CLIENT: u8 = 1;
    /// The role of a node that holds the log.
    pub const COORDINATOR: u8 = 2;
    /// The role of a node that runs tasks.
    pub const WORKER: u8 = 3;
    /// The role of a node that does both.
    pub const BOTH: u8 = 4;

    /// The version that two sides speak with each other: the highest that both know.
    pub fn agree(&self, other: &Hello<'_>) -> Option<u8> {
        let version = self.version_max.min(other.version_max);
        (version >= self.version_min.max(other.version_min)).then_some(version)
    }
}

message! {
    /// A call was refused; with call 0 the connection itself, which is then closed.
    pub struct ErrorReply<'a>: ERROR = "error" {
        /// A stable word, for programs: one of [`words`], or a code of the HTTP API.
        1 code: &'a str,
        /// What happened, for people.
        2 detail: &'a str = "",
        /// What to do next, for people.
        3 hint: &'a str = "",
        /// When to try again. Unit: milliseconds. 0: nothing is known.
        4 retry_after_ms: u32 = 0,
        /// The version that the sender speaks, where the version is what is wrong, else 0.
        5 version: u8 = 0,
    }
}

/// The words of an [`ErrorReply`] that the HTTP API does not have, or has for the same.
pub mod words {
    /// No handler for this kind of frame. The connection lives.
    pub const UNKNOWN_TYPE: &str = "unknown_type";
    /// The first frame was no hello. The connection closes.
    pub const HELLO_EXPECTED: &str = "hello_expected";
    /// What came is no frame. The connection closes.
    pub const BAD_FRAME: &str = "bad_frame";
    /// The frame's payload is not the message it should be. The connection lives.
    pub const BAD_MESSAGE: &str = "bad_message";
    /// No version of the protocol is common to both. The connection closes.
    pub const VERSION: &str = "version";
    /// More calls than are taken at once. The connection lives.
    pub const OVERLOADED: &str = "overloaded";
    /// The caller no longer waits.
    pub const CANCELLED: &str = "cancelled";
    /// The call took longer than it may.
    pub const DEADLINE: &str = "deadline";
    /// The connection closes before the call was begun.
    pub const CLOSED: &str = "closed";
    /// The call was answered, and the caller's hello says that it takes no answer so large. What the
    /// call does was done.
    pub const ANSWER_TOO_LARGE: &str = "answer_too_large";
    /// Something went wrong in the node itself.
    pub const INTERNAL: &str = "internal";

    /// All of them.
    pub const ALL: &[&str] = &[
        UNKNOWN_TYPE,
        HELLO_EXPECTED,
        BAD_FRAME,
        BAD_MESSAGE,
        VERSION,
        OVERLOADED,
        CANCELLED,
        DEADLINE,
        CLOSED,
        ANSWER_TOO_LARGE,
        INTERNAL,
    ];
}

message! {
    /// Nobody waits any longer for the call that the header names. Not answered; an answer that was
    /// on its way is dropped by who receives it.
    pub struct Cancel: CANCEL = "cancel" {}
}

message! {
    /// Is the connection alive? Answered by the same with RESPONSE.
    pub struct Ping: PING = "ping" {}
}
