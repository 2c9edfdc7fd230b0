//! A world to run nodes in: virtual time, seeded scheduling, disks that lie, clocks that are wrong,
//! power cuts. One seed decides everything; the same seed replays exactly.
//!
//! The world pumps the same minds that the roles in `shards/` pump ([`engine::ConsensusCore`],
//! [`engine::ShardCore`]), several whole nodes in one thread. Where to read:
//!
//! | file | what |
//! | --- | --- |
//! | `world` | time, the one heap of events, and the course of a run |
//! | `machine`, `node`, `disk`, `clock` | one machine, the process on it, what it stands on |
//! | `network` | what is between machines |
//! | `faults` | what goes wrong, drawn per seed |
//! | `clients`, `producers`, `reads`, `catalogue` | who asks |
//! | `checker`, `keyed`, `read`, `marks` | what must hold, and which rare branches a run reached |
//! | `transcript`, `world/script` | what happened, in words; worlds that do what a script says |

mod catalogue;
mod checker;
mod clients;
mod clock;
mod disk;
mod faults;
mod keyed;
mod machine;
mod marks;
mod network;
mod node;
mod producers;
mod read;
mod reads;
mod transcript;
mod world;

pub use clock::ClockFaults;
pub use disk::Disk;
pub use faults::{DiskFaults, Faults, Trouble};
pub use marks::{Mark, Marks};
pub use network::{Delivery, Event as NetworkEvent, Network, Under, Weather};
pub use node::{Event, Node, NodeConfig, Said, Schedule, Who, deliver};
pub use world::{CatalogueAt, Report, Scripted, World};
