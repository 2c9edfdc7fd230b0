//! Several real processes that are one cluster, from outside: each node on a directory and addresses
//! of its own, killed, frozen, cut off, stopped and started again under load.
//!
//! | what is shown | where |
//! | --- | --- |
//! | three nodes take messages at once and hold the same | [`steady`] |
//! | SIGKILL of the leader, and how long nobody answers | [`kill`] |
//! | a node that was wiped, or away | [`followers`] |
//! | SIGSTOP of the leader | [`freeze`] |
//! | SIGTERM of each, one after the other | [`rolling`] |
//! | two of three gone | [`majority`] |
//! | one disk full | [`full_disk`] |
//! | nodes that cannot hear each other | [`partition`] |
//! | nodes that are added, removed, rebuilt | [`members`] |
//! | whoever is no member, at a member's door or on its directory | [`strangers`] |
//! | what docs/OPERATING.md says, step by step | [`guide`] |
//!
//! After each, [`cluster::Cluster::audit`]: every acknowledged message is there once, on every node,
//! and all nodes hold the same.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong, its helpers too")]

#[path = "../common/audit.rs"]
mod audit;
#[path = "../common/caller.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod caller;
#[path = "../common/client.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod client;
#[path = "../common/disk.rs"]
mod disk;
#[path = "../common/endpoint.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod endpoint;
#[path = "../common/load.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod load;
#[path = "../common/server.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod server;

mod cluster;
mod network;

mod followers;
mod freeze;
mod full_disk;
mod guide;
mod kill;
mod majority;
mod members;
mod partition;
mod rolling;
mod steady;
mod strangers;
