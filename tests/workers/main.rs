//! Workers as real processes beside their coordinators: killed, frozen, stopped, gone and back, many of
//! them; and plugins that do all that they should not, seen from a workflow.
//!
//! | what is shown | where |
//! | --- | --- |
//! | a worker killed in the midst of tasks, frozen past its lease and woken, all gone and back | [`losses`] |
//! | the leader killed while tasks run | [`leaders`] |
//! | twenty that come and go under load, a stop under load, a hundred on one machine | [`crowds`] |
//! | who is there, as gossip knows it and nodes tell it | [`everybody`] |
//! | plugins that hang, crash, eat memory, fork | [`faults`] |
//! | workers that do not get in, and what is said of it | [`strangers`] |
//!
//! A witness sees every task run: no two attempts of one are ever seen at the same time. Where there is no C
//! compiler these tests say so and show nothing.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong, its helpers too")]

#[path = "../common/audit.rs"]
#[allow(dead_code, reason = "tests/cluster needs all of it")]
mod audit;
#[path = "../common/caller.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod caller;
#[path = "../common/client.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod client;
#[path = "../cluster/cluster.rs"]
#[allow(dead_code, reason = "tests/cluster needs all of it")]
mod cluster;
#[path = "../common/endpoint.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod endpoint;
#[path = "../common/load.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod load;
#[path = "../common/server.rs"]
#[allow(dead_code, reason = "tests/node needs all of it")]
mod server;

mod crew;
mod witness;

mod crowds;
mod everybody;
mod faults;
mod leaders;
mod losses;
mod strangers;
