//! One Raft group over tikv `raft`, as a pure state machine: proposals, ticks and completions in,
//! [`Effect`]s out. It owns no disk, no socket, no clock and no random number generator of its own.
//!
//! Invariants:
//! - nothing is appended in a term before that term and its vote are durable;
//! - an entry is handed out as committed exactly once per run, in index order;
//! - the same inputs and the same seed give the same effects (the election timeout is drawn from
//!   the seeded generator, never from the library's own).
//!
//! In this step a group has one voter and therefore sends no message: a message to a peer is a
//! programming error and is asserted against.

mod group;
mod window;

pub use group::{Config, Effect, Entry, EntryKind, Group, HardState, ProposeError, Role, Status};
