//! Nothing goes wrong.

use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::load::{Accepted, Ledger, Load, Mix, Style, put_workflows};
use ::client::{Client, Options, Outcome};
use std::net::SocketAddr;
use std::thread;

/// What each way of sending has accepted at least, over all nodes.
const EACH: u64 = 2_500;

const MIX: Mix = Mix {
    clients: &[Style::Single(8), Style::Single(8), Style::Batch(20), Style::Single(1)],
    shares: [2, 12, 1, 1],
    padding: 0,
    keyed: 4,
};

/// Sends messages to one node by the binary protocol.
fn send_binary(address: SocketAddr, nonces: impl Iterator<Item = u64> + Clone) -> Ledger {
    let client = Client::connect(Options::to(address.to_string())).unwrap();
    let body = |nonce| format!(r#"{{"nonce":{nonce},"kind":"pure","padding":""}}"#);
    let results = client.submit_all(nonces.clone().map(body));
    client.close();
    let mut ledger = Ledger::default();
    for (nonce, result) in nonces.zip(results) {
        let submitted = result.unwrap_or_else(|error| panic!("message {nonce}: {error}"));
        assert_eq!(submitted.workflows, ["pure"], "message {nonce}");
        assert_eq!(submitted.outcome, Outcome::Accepted, "no answer was lost");
        let accepted = Accepted { id: submitted.id.to_string(), kind: "pure", key: None };
        ledger.accepted.insert(nonce, accepted);
    }
    ledger
}

#[test]
fn steady_state_messages_at_all_nodes_are_there_once_on_each() {
    let cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(2), &endpoint);

    let load = Load::over(&cluster.http(), MIX, 1);
    let binary: Vec<_> = cluster
        .nodes()
        .into_iter()
        .map(|node| {
            let address = cluster.place(node).tcp;
            let nonces = (1 << 60) + node * EACH..;
            let count = usize::try_from(EACH / 3 + 1).unwrap();
            thread::spawn(move || send_binary(address, nonces.take(count)))
        })
        .collect();
    // A few are repeats of others.
    load.after(EACH + EACH / 10);
    assert_eq!(load.refusals(), [].into(), "nobody was refused");
    let mut ledger = load.end();
    for sender in binary {
        ledger.add(sender.join().unwrap());
    }
    println!("{} accepted, {} duplicates", ledger.accepted.len(), ledger.duplicates);
    assert!(ledger.accepted.len() as u64 >= 2 * EACH);
    assert!(ledger.unknown.is_empty(), "no answer was lost");
    cluster.audit(&ledger, &endpoint);
}
