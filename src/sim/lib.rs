//! A world to run a node in: virtual time, seeded scheduling of cores, a disk that lies, crashes.
//! One seed decides everything; the same seed replays exactly.
//!
//! The world pumps the same minds that the roles in `shards/` pump ([`engine::ConsensusCore`],
//! [`engine::ShardCore`]) and checks after every crash and at the end that nothing acknowledged is
//! lost and nothing is there twice.

mod catalogue;
mod disk;
mod keyed;
mod node;
mod producers;
mod world;

pub use disk::Disk;
pub use node::{Event, Node, NodeConfig, deliver};
pub use world::{CatalogueAt, Faults, Report, World};
