//! One node's disk is full: the others have a majority, and go on.

use crate::cluster::{Cluster, founders};
use crate::disk::{Disk, LARGE};
use crate::endpoint::Endpoint;
use crate::load::{Load, Mix, Style, put_workflows};
use crate::server::{Place, until};

/// Fills a disk quickly.
const LARGE_MESSAGES: Mix = Mix {
    clients: &[Style::Single(4), Style::Single(4), Style::Batch(8)],
    shares: [8, 1, 0, 0],
    padding: 100 * 1024,
    keyed: 2,
};

/// The node with the small disk.
const SMALL: u64 = 2;

#[test]
fn disk_full_on_one_node_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::make(directory.path()) else { return };
    let small = Place::at(&directory.path().join("data"), &[]).within(&disk.enter);
    let places = vec![Place::new(&[]), small, Place::new(&[])];
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
    until("whoever cannot write does not lead", || (cluster.leader() != SMALL).then_some(()));
    let others = cluster.others(SMALL).into_iter().map(|node| cluster.place(node).address);
    let at_others = Load::over(&others.collect::<Vec<_>>(), LARGE_MESSAGES, 8);
    at_others.after(300);
    assert_eq!(at_others.refusals(), [].into(), "the others refuse nobody");
    let mut ledger = at_others.end();
    until("whoever asks the full one is told why", || {
        load.refusals().contains_key("no_space").then_some(())
    });
    let body = r#"{"kind":"refused"}"#;
    let answer = until("it takes nothing", || {
        let answer = cluster.server(SMALL).call("POST", "/api/v1/messages", &[], body);
        (answer.status() != 202).then_some(answer)
    });
    assert_eq!(answer.json_of(503)["error"], "no_space");
    assert_ne!(cluster.leader(), SMALL);

    disk.resize(LARGE);
    until("it has room again", || (storage(&cluster) == "UP").then_some(()));
    load.after(20);
    println!("refused meanwhile: {:?}", load.refusals());
    ledger.add(load.end());
    cluster.audit(&ledger, &endpoint);
}
