//! SIGTERM, one node after the other: whoever leads hands the lead over first.

use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::kill::MIX;
use crate::load::{Load, put_workflows};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The default of `stop_timeout`, within which a stop must end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn rolling_restart_under_load_loses_nothing_and_hands_the_lead_over() {
    let mut cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let load = Load::over(&cluster.http(), MIX, 1);

    let mut waits = Vec::new();
    for _ in 0..2 {
        for node in cluster.nodes() {
            load.after(100);
            let leads = cluster.leader() == node;
            let stopped_at = Instant::now();
            let (longest, status, said) = {
                let mut probe = cluster.server(cluster.others(node)[0]).connect();
                let server = cluster.take(node);
                let is_over = AtomicBool::new(false);
                thread::scope(|scope| {
                    let probing = scope.spawn(|| {
                        let mut longest = Duration::ZERO;
                        while !is_over.load(Ordering::Acquire) {
                            let sent_at = Instant::now();
                            let body = br#"{"kind":"probe"}"#;
                            let answer = probe.call("POST", "/api/v1/messages", &[], body).unwrap();
                            assert_eq!(answer.status(), 202, "{}", answer.text());
                            longest = longest.max(sent_at.elapsed());
                        }
                        longest
                    });
                    server.terminate();
                    let (status, said) = server.ended();
                    is_over.store(true, Ordering::Release);
                    (probing.join().unwrap(), status, said)
                })
            };
            assert!(status.success(), "{status}: {said}");
            let end = r#""msg":"stopped","reason":"SIGTERM","unanswered":0"#;
            assert!(said.contains(end), "{said}");
            assert!(stopped_at.elapsed() < STOP_TIMEOUT, "{:?}", stopped_at.elapsed());
            if leads {
                waits.push((longest, stopped_at.elapsed()));
            }
            cluster.start(node);
        }
    }
    assert!(waits.len() >= 2, "in each round somebody handed the lead over");
    load.after(100);
    let refusals = load.refusals();
    let ledger = load.end();
    println!(
        "the longest that a message at another node waited while the leader stopped, and the \
         stop: {waits:?}; {} accepted, {} duplicates, {} unknown, {} refused {refusals:?}",
        ledger.accepted.len(),
        ledger.duplicates,
        ledger.unknown.len(),
        ledger.refused.len(),
    );
    cluster.audit(&ledger, &endpoint);
}
