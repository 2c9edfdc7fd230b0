//! SIGSTOP: a process that neither runs nor is gone.

use crate::client::{Connection, request};
use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::kill::{MIX, count, told};
use crate::load::{Load, put_workflows};
use crate::server::until;
use std::time::Instant;

/// Freezes, unless the environment says how many.
const FREEZES: usize = 3;

#[test]
fn leader_frozen_and_woken_steps_down_and_denies_nothing() {
    let mut cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(3), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);

    let mut gaps = Vec::new();
    let freezes = count("CLUSTER_FREEZES", FREEZES);
    for _ in 0..freezes {
        load.after(200);
        let frozen = cluster.leader();
        let term = cluster.status(frozen).unwrap()["term"].as_u64().unwrap();
        let others = cluster.others(frozen);
        let probes: Vec<Connection> =
            others.iter().map(|node| cluster.server(*node).connect()).collect();
        let mut reader = cluster.server(frozen).connect();
        let frozen_at = Instant::now();
        cluster.freeze(frozen);
        gaps.push(Cluster::first_commit(probes, frozen_at));

        // What the others acknowledge meanwhile is asked of the frozen one before it is woken: it
        // finds the question before it has heard of anything else.
        let leader = cluster.leader();
        assert!(others.contains(&leader));
        let body = r#"{"nonce":0,"kind":"none"}"#;
        let answer = cluster.server(leader).call("POST", "/api/v1/messages", &[], body);
        let id = answer.json_of(202)["message_id"].as_str().unwrap().to_owned();
        let read = request("GET", &format!("/api/v1/messages/{id}"), &[], b"");
        reader.send(&read).unwrap();
        cluster.wake(frozen);
        let answer = reader.answer().unwrap();
        assert!(
            matches!(answer.status(), 200 | 503),
            "acknowledged before it was asked for: {}",
            answer.text()
        );
        until("the woken one follows", || {
            let status = cluster.status(frozen)?;
            (status["role"] == "follower" && status["term"].as_u64()? > term).then_some(())
        });
        if freezes > FREEZES {
            // Who was late is patient for half a minute: many in a row measure that.
            cluster.kill(frozen);
            cluster.start(frozen);
        }
    }
    load.after(100);
    let ledger = told("SIGSTOP", gaps, load);
    cluster.audit(&ledger, &endpoint);
}
