//! SIGKILL of whoever leads, again and again.

use crate::client::Connection;
use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::load::{Ledger, Load, Mix, Style, put_workflows};
use base::Prng;
use std::time::{Duration, Instant};

/// Kills, unless the environment says how many.
const KILLS: usize = 5;

pub(crate) const MIX: Mix = Mix {
    clients: &[
        Style::Single(1),
        Style::Single(1),
        Style::Single(4),
        Style::Single(16),
        Style::Batch(20),
        Style::Single(1),
    ],
    shares: [8, 6, 2, 2],
    padding: 0,
    keyed: 2,
};

/// How often something is done: as the environment says, or else so often.
pub(crate) fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |count| count.parse().unwrap())
}

/// How times are spread.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    format!("p50 {:?}, p99 {:?}, at most {:?} of {}", at(50), at(99), at(100), times.len())
}

/// Ends the load, tells what it met, and how long nobody committed after each signal.
pub(crate) fn told(signal: &str, gaps: Vec<Duration>, load: Load) -> Ledger {
    let refusals = load.refusals();
    let ledger = load.end();
    println!(
        "first new commit after {signal} of the leader: {}; {} accepted, {} duplicates, {} unknown, \
         {} refused {refusals:?}",
        spread(gaps),
        ledger.accepted.len(),
        ledger.duplicates,
        ledger.unknown.len(),
        ledger.refused.len(),
    );
    ledger
}

#[test]
fn leader_killed_again_and_again_loses_and_doubles_nothing() {
    let kills = count("CLUSTER_KILLS", KILLS);
    let mut cluster = Cluster::found(3, &["snapshot_journal=2MiB", "retention=2GiB"]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    // When a process is hit is the kernel's choice anyway; the seed only spreads the moments.
    let mut random = Prng::new(u64::from(std::process::id()));
    let load = Load::over(&cluster.http(), MIX, random.next_u64() >> 1);

    let mut gaps: Vec<Duration> = Vec::new();
    for _ in 0..kills {
        load.after(50 + random.below(1_000));
        let leader = cluster.leader();
        let probes: Vec<Connection> =
            cluster.others(leader).iter().map(|node| cluster.server(*node).connect()).collect();
        let killed_at = Instant::now();
        cluster.kill(leader);
        gaps.push(Cluster::first_commit(probes, killed_at));
        load.after(20);
        cluster.start(leader);
    }
    load.after(100);
    let ledger = told("SIGKILL", gaps, load);
    assert!(ledger.duplicates > 0, "keys were repeated");
    cluster.audit(&ledger, &endpoint);
}
