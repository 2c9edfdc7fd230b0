//! Where the leaves meet: what the log holds ([`record`], [`batch`]), what it does to the state
//! ([`Globals`], [`Partition`]), and the two pure minds that every coordinator runs:
//! [`ShardCore`] on each core that serves, [`ConsensusCore`] on the one that keeps the log.
//!
//! Whoever drives a mind (a role in `shards/`, or the simulator) calls its `on_…` and carries out
//! the effects. Nothing here waits, reads a clock or touches a device.

pub mod batch;
mod clock;
pub mod consensus;
mod events;
mod globals;
mod keys;
pub mod message;
mod metrics;
mod partition;
mod producers;
pub mod record;
mod shard;
mod shelf;
pub mod snapshot;
mod submission;
mod work;

pub use clock::StampClock;
pub use consensus::{
    ConsensusConfig, ConsensusCore, ConsensusEffect, Left, Replay, SnapshotEffect, Start,
};
pub use events::EventKind;
pub use globals::{
    Admission, Came, Catalogue, CatalogueEdits, Changed, Draft, Edits, Globals, How, Merged,
    Prepared, Refusal, StoredDefinition, StoredRule,
};
pub use metrics::{ConsensusMetrics, ShardMetrics};
pub use partition::{
    CancelOutcome, InstanceRow, ListedInstance, Outcome, Partition, PartitionEffect, Workflows,
};
pub use shard::{Birth, OrderId, RequestId, ShardConfig, ShardCore, ShardEffect, limits};
pub use submission::{LineResult, Origin, Submission, SubmitResults};
pub use work::{Work, Worked};
