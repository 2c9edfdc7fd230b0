//! One Raft group over tikv `raft`, as a pure state machine: messages, proposals, ticks and
//! completions in, [`Effect`]s out. It owns no disk, no socket, no clock and no random number
//! generator of its own.
//!
//! A group has one to seven voters and up to eight learners. A lone voter is a group like any
//! other that happens to send nothing.
//!
//! Invariants:
//! - nothing is appended, and nothing is said, in a term before that term and its vote are durable;
//! - a follower acknowledges, and a voter answers, only what is durable; a leader's own disk counts
//!   as one of the majority when its entries are durable, not before;
//! - an entry is handed out as committed exactly once per run, in index order;
//! - votes and acknowledgements count only from the store that the membership names (SOUNDNESS 4);
//! - no message makes the group panic: what cannot be true is dropped, with a counted reason;
//! - joint majorities end by themselves, whoever leads;
//! - the same inputs and the same seed give the same effects (the election timeout is drawn from
//!   the seeded generator, never from the library's own).

mod effect;
mod entry;
mod filter;
mod group;
mod membership;
mod message;
mod window;

pub use effect::{Effect, Progress, Role, Status};
pub use entry::{Entry, EntryKind, HardState};
pub use filter::Dropped;
pub use group::{
    Config, Group, LAG_BYTES_MAX, MESSAGE_BYTES_MAX, ProposeError, ReadError, Timing, TransferError,
};
pub use membership::{
    Change, ChangeError, LEARNERS_MAX, Member, Membership, ReadError as MembershipReadError,
    STEPS_MAX, Step, VOTERS_MAX,
};
pub use message::{Append, AppendAnswer, Ballot, Candidacy, Message, Offer};
pub use window::SnapshotMark;
