//! Followers that are away for a while, or come back as somebody else.

use crate::cluster::{Cluster, places};
use crate::endpoint::Endpoint;
use crate::kill::MIX;
use crate::load::{Load, Mix, Style, put_workflows};
use crate::server::until;
use std::fs;

/// Fills a journal quickly.
const LARGE: Mix = Mix {
    clients: &[Style::Single(4), Style::Batch(8)],
    shares: [2, 1, 0, 0],
    padding: 20 * 1024,
    keyed: 2,
};

#[test]
fn a_follower_restarted_in_mid_load_catches_up() {
    let mut cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);
    for _ in 0..3 {
        load.after(200);
        let leader = cluster.leader();
        let follower = cluster.others(leader)[0];
        cluster.kill(follower);
        load.after(500);
        cluster.start(follower);
        load.after(100);
    }
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}

#[test]
fn a_follower_that_was_away_for_long_is_brought_up_by_a_snapshot() {
    // Each node takes snapshots of its own; this one takes none, so what it has was sent to it.
    const AWAY: u64 = 3;
    let mut places = places(3, &["snapshot_journal=1MiB"]);
    let last = places.pop().unwrap();
    places.push(last.with("snapshot_journal=1GiB"));
    let mut cluster = Cluster::of(places);
    cluster.start_all();
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let leader = cluster.leader();
    let away_at = cluster.status(leader).unwrap()["commit_index"].as_u64().unwrap();
    cluster.kill(AWAY);

    let load = Load::over(&cluster.http(), LARGE, 1);
    until("the others' logs begin behind what it has", || {
        let newest = cluster.running().into_iter().map(|node| newest_snapshot(&cluster, node));
        (newest.min()? > Some(away_at + 20)).then_some(())
    });
    load.after(10);
    // What they keep in memory for a follower that is only slow is gone, too.
    for node in cluster.running() {
        cluster.kill(node);
        cluster.start(node);
        load.after(10);
    }
    assert_eq!(newest_snapshot(&cluster, AWAY), None);
    cluster.start(AWAY);
    load.after(50);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
    let given = newest_snapshot(&cluster, AWAY).expect("it was given a snapshot");
    assert!(given > away_at + 20, "{given}");
}

/// The index of the newest snapshot that a node has.
fn newest_snapshot(cluster: &Cluster, node: u64) -> Option<u64> {
    let files = fs::read_dir(cluster.place(node).data()).unwrap();
    let names = files.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| u64::from_str_radix(name.strip_prefix("snapshot-")?, 16).ok()).max()
}

#[test]
fn a_follower_that_was_wiped_is_refused_with_the_reason() {
    let mut cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);
    load.after(200);
    let leader = cluster.leader();
    let wiped = cluster.others(leader)[0];
    cluster.kill(wiped);
    let kept = cluster.place(wiped).data().with_extension("kept");
    fs::rename(cluster.place(wiped).data(), &kept).unwrap();
    cluster.spawn(wiped);

    let reason = "its data directory is another one";
    let advice = format!("distric-admin nodes remove {wiped}");
    for node in cluster.nodes() {
        until("every node says what is wrong", || {
            let said = cluster.server(node).said();
            (said.contains(reason) && said.contains(&advice)).then_some(())
        });
    }
    let ready = cluster.server(wiped).get("/health/ready");
    assert_eq!(ready.status(), 503, "{}", ready.text());
    assert_eq!(ready.json()["checks"]["raft"]["status"], "DOWN", "{}", ready.text());
    let answer = cluster.server(wiped).call("POST", "/api/v1/messages", &[], "{}");
    assert_eq!(answer.status(), 503, "it takes nothing: {}", answer.text());
    // The others go on as before.
    load.after(200);
    cluster.kill(wiped);

    // Its own data directory is as good as ever.
    fs::remove_dir_all(cluster.place(wiped).data()).unwrap();
    fs::rename(&kept, cluster.place(wiped).data()).unwrap();
    cluster.start(wiped);
    load.after(50);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}
