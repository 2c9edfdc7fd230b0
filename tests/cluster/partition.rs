//! Nodes that live and cannot hear each other.

use crate::client::Connection;
use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::load::{Load, Mix, Style, put_workflows};
use crate::network::{Network, is_within};
use crate::server::until;
use serde_json::Value;
use std::time::Instant;

/// Nothing that calls somebody: nodes see each other alone.
const MIX: Mix = Mix {
    clients: &[Style::Single(1), Style::Single(4), Style::Batch(10), Style::Single(1)],
    shares: [4, 6, 2, 0],
    padding: 0,
    keyed: 2,
};

fn probes(cluster: &Cluster, nodes: &[u64]) -> Vec<Connection> {
    nodes.iter().map(|node| cluster.server(*node).connect()).collect()
}

/// What a node that is cut off says: nothing that may be wrong.
fn decides_nothing(cluster: &Cluster, alone: u64, acknowledged: &str) {
    let server = cluster.server(alone);
    let read = format!("/api/v1/messages/{acknowledged}");
    let refused = server.get(&read).json_of(503);
    assert!(refused["hint"].is_string(), "{refused}");
    until("it says that it knows no leader", || {
        let answer = server.call("POST", "/api/v1/messages", &[], r#"{"kind":"refused"}"#);
        (answer.json_of(503)["error"] == "no_leader").then_some(())
    });
    assert_eq!(server.get(&read).json_of(503)["error"], "no_leader");
    let status = cluster.status(alone).unwrap();
    assert_eq!(status["leader"], Value::Null, "{status}");
}

/// A message that these nodes acknowledge.
fn acknowledged(cluster: &Cluster, node: u64) -> String {
    let body = r#"{"nonce":0,"kind":"none"}"#;
    let answer = cluster.server(node).call("POST", "/api/v1/messages", &[], body);
    answer.json_of(202)["message_id"].as_str().unwrap().to_owned()
}

/// Nodes that can be cut off from each other, and clients that send to all of them.
fn under_load(network: &Network) -> (Cluster, Endpoint, Load) {
    let mut cluster = Cluster::of(network.places());
    cluster.start_all();
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);
    (cluster, endpoint, load)
}

#[test]
fn partition_with_the_leader_alone_elects_another_and_heals() {
    if !is_within("partition::partition_with_the_leader_alone_elects_another_and_heals") {
        return;
    }
    let network = Network::make(3);
    let (cluster, endpoint, load) = under_load(&network);
    for _ in 0..2 {
        load.after(100);
        let alone = cluster.leader();
        let others = cluster.others(alone);
        let probes = probes(&cluster, &others);
        let parted_at = Instant::now();
        for other in &others {
            network.part(alone, *other);
        }
        let gap = Cluster::first_commit(probes, parted_at);
        let leader = cluster.leader_of(&others);
        decides_nothing(&cluster, alone, &acknowledged(&cluster, leader));
        load.after(50);
        network.heal();
        let healed_at = Instant::now();
        cluster.leader();
        println!(
            "first new commit after {gap:?}; one again {:?} after it healed",
            healed_at.elapsed()
        );
    }
    load.after(50);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}

#[test]
fn one_way_partitions_leave_a_leader_or_make_one_and_lose_nothing() {
    if !is_within("partition::one_way_partitions_leave_a_leader_or_make_one_and_lose_nothing") {
        return;
    }
    let network = Network::make(3);
    let (cluster, endpoint, load) = under_load(&network);
    // The leader is not heard, and hears.
    // The leader is heard, and does not hear.
    for is_heard in [false, true] {
        load.after(100);
        let alone = cluster.leader();
        let others = cluster.others(alone);
        let probes = probes(&cluster, &others);
        let cut_at = Instant::now();
        for other in &others {
            let (from, to) = if is_heard { (*other, alone) } else { (alone, *other) };
            network.cut(from, to);
        }
        let gap = Cluster::first_commit(probes, cut_at);
        let leader = cluster.leader_of(&others);
        assert_ne!(leader, alone);
        load.after(50);
        network.heal();
        let healed_at = Instant::now();
        cluster.leader();
        println!(
            "the leader {}: first new commit after {gap:?}; one again {:?} after it healed",
            if is_heard { "does not hear" } else { "is not heard" },
            healed_at.elapsed()
        );
    }
    // One follower does not hear the leader; the other one hears both.
    let leader = cluster.leader();
    let others = cluster.others(leader);
    network.cut(leader, others[0]);
    until("it knows no leader", || {
        (cluster.status(others[0])?["leader"] == Value::Null).then_some(())
    });
    acknowledged(&cluster, others[1]);
    load.after(50);
    network.heal();
    cluster.leader();
    load.after(50);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}
