//! Who is in the cluster and alive, by gossip over UDP: a pure state machine over `foca`. Datagrams
//! and deadlines in, [`Effect`]s out; it owns no socket, no clock and no random number generator of
//! its own. docs/decisions/0024-gossip.md says what is foca's and what is built around it and why.
//!
//! | what | where |
//! | --- | --- |
//! | the core | [`Membership`]: `on_start`, `on_datagram`, `on_group_datagram`, `on_deadline`, `set_data`, `leave` |
//! | who is there | [`Membership::members`], [`Member`], [`MemberEvent`] |
//! | how fast | [`Pace`] |
//! | sealed datagrams | [`KeyRing`] |
//! | what was counted | [`Counts`] |
//! | what is said when nobody is found | [`Lookout`] |
//!
//! Invariants:
//! - no datagram that is received makes this crate panic or allocate more than its bound;
//! - no datagram that is sent is longer than [`DATAGRAM_BYTES_MAX`];
//! - a name that was said to have failed or left never becomes alive again: a member that is back
//!   has a newer name (a later boot, or a renewal of this one);
//! - the view ([`Membership::members`]) and foca's own list say the same;
//! - a member is not said to have failed because this node itself was not running;
//! - the same inputs and the same seed give the same effects.

mod bridge;
mod config;
mod data;
mod datagram;
mod identity;
mod keys;
mod lookout;
mod member;
mod membership;
mod news;
mod pace;
mod table;
mod timers;

pub use config::{Config, ConfigError};
pub use datagram::{DATAGRAM_BYTES_MAX, Dropped};
pub use keys::{KEYS_MAX, KeyRing, KeyRingError};
pub use lookout::{Lookout, NAMED_MAX, PATIENCE, PAUSES, Sight, Word};
pub use member::{
    DataError, Happened, Member, MemberData, MemberEvent, MemberId, Roles, State, TEXT_BYTES_MAX,
};
pub use membership::{Counts, Effect, MEMBERS_MAX, Membership, StartError};
pub use pace::{Pace, PaceError};

#[cfg(test)]
mod tests;
