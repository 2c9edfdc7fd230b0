//! Two of three are gone: nothing can be decided, and nobody is told otherwise.

use crate::client::Message;
use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::kill::MIX;
use crate::load::{Load, put_workflows};
use crate::server::until;
use serde_json::Value;

/// The refusal that an answer must be: 503, what, why, what to do and when.
fn refusal(answer: &Message) -> Value {
    let body = answer.json_of(503);
    for field in ["error", "detail", "hint"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
    }
    let after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(after.is_some_and(|seconds| seconds > 0), "{}: when to try again", answer.text());
    body
}

#[test]
fn cascade_with_two_of_three_gone_nothing_is_decided_and_it_recovers() {
    let mut cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let body = r#"{"nonce":0,"kind":"none"}"#;
    let before = cluster.server(2).call("POST", "/api/v1/messages", &[], body);
    let before = before.json_of(202)["message_id"].as_str().unwrap().to_owned();
    let read = format!("/api/v1/messages/{before}");
    let load = Load::over(&cluster.http(), MIX, 1);

    // Who is left had the lead, or had not.
    for leads in [true, false] {
        load.after(100);
        let leader = cluster.leader();
        let left = if leads { leader } else { cluster.others(leader)[0] };
        let gone = cluster.others(left);
        for node in &gone {
            cluster.kill(*node);
        }
        let server = cluster.server(left);
        until("it says that nobody leads", || {
            let message = server.call("POST", "/api/v1/messages", &[], r#"{"kind":"refused"}"#);
            // What came while it still hoped may yet be decided, and it says so.
            let error = refusal(&message)["error"].clone();
            let read = refusal(&server.get(&read))["error"].clone();
            (error == "no_leader" && read == "no_leader").then_some(())
        });
        for path in ["/api/v1/workflows", "/api/v1/messages/0000000000000000"] {
            assert_eq!(refusal(&server.get(path))["error"], "no_leader", "{path}");
        }
        let status = server.get("/api/v1/cluster/status").json_of(200);
        assert_eq!(status["leader"], Value::Null, "{status}");
        let ready = server.get("/health/ready");
        assert_eq!(ready.status(), 503, "{}", ready.text());
        assert_eq!(ready.json()["checks"]["raft"]["status"], "DOWN", "{}", ready.text());
        assert_eq!(server.get("/health/live").status(), 200);

        // One more is a majority.
        cluster.start(gone[1]);
        cluster.leader();
        assert_eq!(cluster.server(left).get(&read).status(), 200);
        load.after(100);
        cluster.start(gone[0]);
    }
    load.after(100);
    let refusals = load.refusals();
    let ledger = load.end();
    println!(
        "{} accepted, {} duplicates, {} unknown, {} refused {refusals:?}",
        ledger.accepted.len(),
        ledger.duplicates,
        ledger.unknown.len(),
        ledger.refused.len(),
    );
    cluster.audit(&ledger, &endpoint);
}
