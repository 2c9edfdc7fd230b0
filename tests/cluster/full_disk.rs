//! One node's disk is full: the others have a majority, and go on.

use crate::cluster::{Cluster, founders};
use crate::disk::{Disk, LARGE};
use crate::endpoint::Endpoint;
use crate::kill::MIX;
use crate::load::{Load, Mix, Style, put_workflows};
use crate::server::{Place, until};

/// Fills a disk quickly.
const LARGE_MESSAGES: Mix = Mix {
    clients: &[Style::Single(4), Style::Single(4), Style::Batch(8)],
    shares: [8, 1, 0, 0],
    padding: 100 * 1024,
    keyed: 0,
};

/// The node with the small disk.
const SMALL: u64 = 2;

#[test]
fn disk_full_on_one_node_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::make(directory.path()) else { return };
    // Everything is held against what was accepted: nothing may be dropped meanwhile.
    let settings = ["retention=2GiB"];
    let small = Place::at(&directory.path().join("data"), &settings).within(&disk.enter);
    let places = vec![Place::new(&settings), small, Place::new(&settings)];
    let mut cluster = Cluster::of(founders(places));
    cluster.start_all();
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);

    let load = Load::over(&cluster.http(), LARGE_MESSAGES, 7);
    let storage = |cluster: &Cluster| {
        let ready = cluster.server(SMALL).get("/health/ready").json();
        ready["checks"]["storage"]["status"].clone()
    };
    until("the small disk is full, and its node says so", || {
        (storage(&cluster) == "DOWN").then_some(())
    });
    let mut ledger = load.end();
    until("whoever cannot write does not lead", || (cluster.leader() != SMALL).then_some(()));
    let others = cluster.others(SMALL).into_iter().map(|node| cluster.place(node).address);
    let load = Load::over(&others.collect::<Vec<_>>(), LARGE_MESSAGES, 8);
    load.after(300);
    assert_eq!(load.refusals(), [].into(), "the others refuse nobody");
    ledger.add(load.end());
    let answer = until("it takes nothing", || {
        let body = r#"{"kind":"refused"}"#;
        let answer = cluster.server(SMALL).call("POST", "/api/v1/messages", &[], body);
        (answer.status() != 202).then_some(answer)
    });
    assert_eq!(answer.json_of(503)["error"], "no_space");
    assert_ne!(cluster.leader(), SMALL);

    disk.resize(LARGE);
    until("it has room again", || (storage(&cluster) == "UP").then_some(()));
    let load = Load::over(&cluster.http(), MIX, 9);
    load.after(100);
    ledger.add(load.end());
    cluster.audit(&ledger, &endpoint);
}
