//! Workers, from both ends of their connections.
//!
//! - [`Door`]: where a coordinator takes the connections of workers. What they say goes to whoever
//!   decides about them ([`Desk`]: the mind of core 0), and what that says goes back.
//! - [`Worker`]: pumps an [`engine::workers::WorkerCore`]: keeps its connection to the leader, has a
//!   [`Runner`] run what is to run, and tells when it is gone.
//!
//! The calls that built-in tasks make are the role `worker`'s: they run on the leader's cores, without a
//! lease. Here is what runs elsewhere.
//!
//! Invariants:
//! - nothing is taken over a connection whose two ends belong to different clusters;
//! - while a connection lives, what is said over it arrives in order; when something cannot be kept for
//!   it any more, it ends;
//! - what is said of a connection is said once, until something else is to be said.

mod door;
mod greeting;
mod load;
mod plugins;
mod runner;
mod worker;

pub use door::{Desk, Door, DoorIdentity};
pub use load::Load;
pub use plugins::Plugins;
pub use runner::{Over, Runner};
pub use worker::{Host, Worker, WorkerIdentity};

#[cfg(test)]
mod tests;
