//! Where the leaves meet: what the log holds ([`record`], [`batch`]), what it does to the state
//! ([`Globals`], [`Partition`]), and the two pure minds that every coordinator runs:
//! [`ShardCore`] on each core that serves, [`ConsensusCore`] on the one that keeps the log.
//!
//! Whoever drives a mind (a role in `shards/`, or the simulator) calls its `on_…` and carries out
//! the effects. Nothing here waits, reads a clock or touches a device.
//!
//! What several coordinators need of their driver, besides what one needs:
//!
//! | effect of [`ConsensusCore`] | answered by | what the driver does |
//! | --- | --- | --- |
//! | [`Peer`](ConsensusEffect::Peer) | - | sends it: in order while the link lives, or not at all |
//! | [`Members`](ConsensusEffect::Members) | - | keeps a link to each of them, and to nobody else |
//! | [`Probe`](ConsensusEffect::Probe) | `on_probed` | exchanges hellos with whoever is at that address |
//! | [`ReadEntries`](ConsensusEffect::ReadEntries) | `on_entries_read` | reads a stretch of a journal file |
//! | [`ReadSnapshot`](ConsensusEffect::ReadSnapshot) | `on_snapshot_read` | reads a piece of the newest snapshot's file |
//! | [`Fetch`](ConsensusEffect::Fetch) | `on_fetch_done` | writes, checks and names the file of another node's snapshot |
//!
//! And it tells: `on_peer` (what a link brought, with the store that its hello named), `on_peer_up`
//! (a link is there, again too), `on_peer_down` (a link broke; `refused` once a new connection was
//! refused, so that the process is known to be gone). A node is founded by the
//! [`Membership`] in [`ConsensusConfig::founded`], the same on every member; a node that waits to be
//! added has an empty one. After a start, [`Replay`] needs the same. `src/engine/tests/world.rs` is
//! such a driver, in memory.

pub mod batch;
mod clock;
pub mod cluster;
pub mod consensus;
mod dispatch;
mod events;
pub mod founding;
mod globals;
mod keys;
pub mod message;
mod metrics;
mod partition;
pub mod peer;
mod producers;
pub mod record;
mod shard;
mod shelf;
pub mod snapshot;
mod submission;
mod work;
pub mod workers;

#[cfg(test)]
mod tests;

pub use clock::StampClock;
pub use consensus::{
    ConsensusConfig, ConsensusCore, ConsensusEffect, FetchEffect, Left, ReadBack, Replay,
    SnapshotEffect, Start,
};
pub use dispatch::{Candidate, Free, Strategy, StrategyName, UnknownStrategy, WorkersConfig};
pub use events::EventKind;
pub use globals::{
    Admission, Came, Catalogue, CatalogueEdits, Changed, Draft, Edits, Globals, How, Merged,
    Prepared, Presence, Refusal, StoredDefinition, StoredRule, Worker, Workers,
};
pub use metrics::{ConsensusMetrics, ShardMetrics};
pub use partition::{
    CancelOutcome, InstanceRow, ListedInstance, Outcome, Partition, PartitionEffect, Workflows,
};
/// Who belongs to the group, as [`ConsensusConfig`] is told it.
pub use quorum::{Member, Membership, VOTERS_MAX};
pub use shard::{Birth, OrderId, RequestId, ShardConfig, ShardCore, ShardEffect, limits};
pub use shelf::ShelfSum;
pub use submission::{LineResult, Origin, Submission, SubmitResults};
pub use work::{Work, Worked};
