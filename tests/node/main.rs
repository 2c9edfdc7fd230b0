//! The real binary, from outside: started on a directory and an address of its own, spoken to over
//! HTTP, killed and started again.
//!
//! | what is shown | where |
//! | --- | --- |
//! | nothing answered 202 is lost or doubled by SIGKILL | [`kill`] |
//! | the orderly stop loses nothing and is held up by nobody | [`stop`] |
//! | a full disk refuses, serves reads, and takes messages again | [`full_disk`] |
//! | ten thousand connections; how they end; slow clients | [`connections`], [`tcp`], [`slow`] |
//! | a start that cannot work says what to do | [`refused_starts`] |
//! | what a scraper gets | [`metrics`] |
//! | what the API answers | [`messages`], [`catalogue`], [`retention`] |
//! | the binary door answers what HTTP answers, and keeps it | [`binary`] |
//! | what happens is told, logged and traced | [`events`] |
//! | what a restart keeps | [`restart`] |
//!
//! What every test needs is in `tests/common`, as `tests/cluster` needs it too: [`server`] runs nodes,
//! [`client`] speaks HTTP, [`caller`] the binary protocol, [`endpoint`] is called by http tasks,
//! [`load`] sends messages and remembers the answers, [`audit`] compares them with what a node holds,
//! [`disk`] is small.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong, its helpers too")]

#[path = "../common/audit.rs"]
mod audit;
#[path = "../common/caller.rs"]
mod caller;
#[path = "../common/client.rs"]
mod client;
#[path = "../common/disk.rs"]
mod disk;
#[path = "../common/endpoint.rs"]
mod endpoint;
#[path = "../common/load.rs"]
mod load;
#[path = "../common/server.rs"]
#[allow(dead_code, reason = "tests/cluster needs the rest of it")]
mod server;

mod binary;
mod catalogue;
mod connections;
mod events;
mod full_disk;
mod kill;
mod messages;
mod metrics;
mod refused_starts;
mod restart;
mod retention;
mod slow;
mod stop;
mod tcp;
