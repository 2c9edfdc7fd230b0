//! Nodes that come and go while the cluster works.

use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::kill::MIX;
use crate::load::{Load, put_workflows};
use crate::server::{Place, Server, free_address, until};
use serde_json::{Value, json};
use std::fs;

/// Asks a node for a change of the group, until it is done: while a change is under way, or a node
/// lacks too much of the log, the answer is 409.
fn change(cluster: &Cluster, node: u64, method: &str, path: &str, body: &str) -> Value {
    let headers = [("content-type", "application/json")];
    until("the group is changed", || {
        let path = format!("/api/v1/cluster/{path}");
        let answer = cluster.server(node).call(method, &path, &headers, body);
        assert!(matches!(answer.status(), 200 | 201 | 409 | 503), "{path}: {}", answer.text());
        (answer.status() < 300).then(|| answer.json())
    })
}

/// Adds a node that waits for it, and lets it vote.
fn add(cluster: &Cluster, asked: u64, node: u64) {
    let body = json!({"node": node, "address": cluster.peer(node).to_string()}).to_string();
    let added = change(cluster, asked, "POST", "nodes", &body);
    assert_eq!(added["is"], "learner", "{added}");
    let promoted = change(cluster, asked, "POST", &format!("nodes/{node}/promote"), "");
    assert_eq!(promoted["is"], "voter", "{promoted}");
}

fn remove(cluster: &Cluster, asked: u64, node: u64) {
    let removed = change(cluster, asked, "DELETE", &format!("nodes/{node}"), "");
    assert_eq!(removed["is"], "removed", "{removed}");
}

/// Waits until a node, whichever was asked for the change, has come to it.
fn has_voters(cluster: &Cluster, node: u64, voters: &Value) {
    until("a node knows who votes", || (cluster.status(node)?["voters"] == *voters).then_some(()));
}

#[test]
fn a_fourth_node_is_added_and_the_first_removed_under_load() {
    let mut cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);
    load.after(200);
    let place = Place::new(&["node=4"]).with_peer(free_address());
    cluster.join(place);
    cluster.spawn(4);
    add(&cluster, 2, 4);
    cluster.server(4).ready();
    load.after(100);
    has_voters(&cluster, 3, &json!([1, 2, 3, 4]));

    remove(&cluster, 4, 1);
    until("it knows that it is no member", || {
        (cluster.status(1)?["role"] == "stranger").then_some(())
    });
    has_voters(&cluster, 4, &json!([2, 3, 4]));
    cluster.kill(1);
    cluster.leave(1);
    load.after(100);
    // The new one counts: without another one it is the majority's half.
    let leader = cluster.leader();
    cluster.kill(leader);
    load.after(100);
    cluster.start(leader);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}

#[test]
fn a_follower_that_was_wiped_is_removed_added_again_and_rebuilt() {
    let mut cluster = Cluster::found(3, &["snapshot_journal=1MiB"]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);
    load.after(500);
    let wiped = cluster.others(cluster.leader())[0];
    let asked = cluster.others(wiped)[0];
    cluster.kill(wiped);
    fs::remove_dir_all(cluster.place(wiped).data()).unwrap();
    cluster.spawn(wiped);
    until("it is refused", || {
        cluster.server(wiped).said().contains("its data directory is another one").then_some(())
    });

    remove(&cluster, asked, wiped);
    add(&cluster, asked, wiped);
    cluster.server(wiped).ready();
    load.after(100);
    let snapshot = fs::read_dir(cluster.place(wiped).data())
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("snapshot-"));
    assert!(snapshot, "it was given a snapshot");
    has_voters(&cluster, wiped, &json!([1, 2, 3]));
    // It counts again.
    cluster.kill(asked);
    load.after(100);
    cluster.start(asked);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}

#[test]
fn a_cluster_that_shrank_to_one_starts_without_peers() {
    let mut cluster = Cluster::found(3, &[]);
    let last = cluster.leader();
    let others = cluster.others(last);
    for node in &others {
        remove(&cluster, last, *node);
        cluster.kill(*node);
        cluster.leave(*node);
    }
    let body = r#"{"nonce":0,"kind":"none"}"#;
    let posted = cluster.server(last).call("POST", "/api/v1/messages", &[], body);
    assert_eq!(posted.status(), 202, "{}", posted.text());
    cluster.kill(last);

    let place = cluster.place(last);
    let mut arguments = place.arguments_on("0");
    arguments.extend(["--set", "peer=off", "--set", "bootstrap=off"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::run(&[], &arguments, place.address);
    server.ready();
    let id = posted.json()["message_id"].as_str().unwrap().to_owned();
    let read = server.call("GET", &format!("/api/v1/messages/{id}"), &[], "");
    assert_eq!(read.status(), 200, "{}", read.text());
}
