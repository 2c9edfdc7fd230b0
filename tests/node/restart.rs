//! What a restart keeps.

use crate::server::{Place, Server, until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const MESSAGES: &str = "/api/v1/messages";
const BATCH: &str = "/api/v1/messages:batch";

fn put_catalogue(server: &Server) {
    let workflows = r#"
workflows:
  - { id: quick, tasks: [{ id: one, type: transform, with: { n: "${ input.n }" } }] }
  - id: patient
    tasks:
      - { id: wait, type: delay, with: { for: 1500ms } }
      - { id: then, type: transform, depends_on: [wait], with: { n: "${ input.n }" } }
  - { id: endless, tasks: [{ id: wait, type: delay, with: { for: 10h } }] }
"#;
    server.put("/api/v1/definitions", workflows);
    let rule = |kind| {
        format!(
            "  - {{ id: to-{kind}, conditions: [{{ field: kind, op: equals, value: {kind} }}], \
             actions: [{{ workflow: {kind} }}] }}\n"
        )
    };
    let rules: String = ["quick", "patient", "endless"].map(rule).concat();
    server.put("/api/v1/rules", &format!("rules:\n{rules}"));
}

fn send(server: &Server, kind: &str, key: &str) -> Value {
    let body = format!(r#"{{"kind":"{kind}","n":1}}"#);
    let headers = [("idempotency-key", key)];
    server.call("POST", MESSAGES, &headers, body).json_of(202)
}

fn message(server: &Server, id: &Value) -> Value {
    server.get(&format!("{MESSAGES}/{}", id.as_str().unwrap())).json_of(200)
}

fn instance(server: &Server, message_id: &Value) -> Value {
    let shown = message(server, message_id);
    let id = shown["instances"][0]["instance"].as_str().unwrap().to_owned();
    server.get(&format!("/api/v1/workflows/{id}")).json_of(200)
}

/// Everything that a client can ask for and that a restart must not change.
fn seen(server: &Server, ids: &[&Value]) -> Vec<Value> {
    let mut seen = vec![
        server.get("/api/v1/rules").json_of(200),
        server.get("/api/v1/definitions").json_of(200),
        server.get("/api/v1/rules/to-quick").json_of(200),
        server.get("/api/v1/definitions/quick").json_of(200),
        server.get("/api/v1/workflows").json_of(200),
    ];
    seen.extend(ids.iter().map(|id| message(server, id)));
    seen.extend(ids.iter().map(|id| instance(server, id)));
    seen
}

/// `how` ends a node in one way or the other.
fn a_restart_keeps_everything(settings: &[&str], how: impl Fn(Server)) {
    let place = Place::new(settings);
    let mut server = place.start();
    put_catalogue(&server);
    let done = send(&server, "quick", "key-done")["message_id"].clone();
    let endless = send(&server, "endless", "key-endless")["message_id"].clone();
    let patient = send(&server, "patient", "key-patient")["message_id"].clone();
    for _ in 0..3 {
        let before = seen(&server, &[&done, &endless]);
        how(server);
        server = place.start();
        let mut after = seen(&server, &[&done, &endless]);
        // The patient one goes on with time.
        let mut before = before;
        for list in [&mut before[4], &mut after[4]] {
            let rows = list["workflows"].as_array_mut().unwrap();
            rows.retain(|row| row["workflow"] != "patient");
        }
        assert_eq!(before, after);
        let again = send(&server, "quick", "key-done");
        assert_eq!((&again["message_id"], &again["status"]), (&done, &json!("duplicate")));
        let other = server.call("POST", MESSAGES, &[("idempotency-key", "key-done")], "{}");
        assert_eq!(other.status(), 422, "{}", other.text());
    }
    let ended = until("the delay is over", || {
        Some(instance(&server, &patient)).filter(|instance| instance["status"] != "running")
    });
    assert_eq!(ended["status"], "completed", "{ended}");
    let delay = &ended["tasks"][0];
    assert_eq!(delay["attempts"], 1, "it went on, and did not begin anew: {delay}");
    assert_eq!(instance(&server, &endless)["status"], "running");
}

#[test]
fn a_restart_after_a_kill_keeps_everything() {
    a_restart_keeps_everything(&[], Server::kill);
}

#[test]
fn a_restart_after_a_stop_keeps_everything() {
    a_restart_keeps_everything(&[], |server| {
        server.terminate();
        let (status, said) = server.ended();
        assert!(status.success(), "{said}");
    });
}

#[test]
fn a_restart_with_another_number_of_cores_keeps_everything() {
    let place = Place::new(&[]);
    let server = place.start();
    put_catalogue(&server);
    let ids: Vec<Value> = (0..100)
        .map(|n| send(&server, "quick", &format!("key-{n}"))["message_id"].clone())
        .collect();
    let ids: Vec<&Value> = ids.iter().collect();
    let before = seen(&server, &ids);
    server.kill();
    for cores in ["0", "0,1,2", "0-4", "0,1"] {
        let server = place.start_on(cores);
        assert_eq!(seen(&server, &ids), before, "on the cores {cores}");
        let again = send(&server, "quick", "key-7");
        assert_eq!((&again["message_id"], &again["status"]), (ids[7], &json!("duplicate")));
        server.kill();
    }
}

#[test]
fn a_read_during_a_start_is_refused_and_never_denies_what_was_accepted() {
    let place = Place::new(&[]);
    let mut server = place.start();
    put_catalogue(&server);
    let ids: Vec<Value> = (0..200)
        .map(|n| send(&server, "quick", &format!("key-{n}"))["message_id"].clone())
        .collect();
    let mut refused = 0;
    for round in 0..5 {
        server.kill();
        server = place.spawn();
        let mut connection = server.serving();
        let path = |n: usize| match n % 3 {
            0 => "/api/v1/workflows?limit=1000".to_owned(),
            1 => "/api/v1/rules/to-quick".to_owned(),
            _ => format!("{MESSAGES}/{}", ids[n % ids.len()].as_str().unwrap()),
        };
        let mut answered = 0;
        // Until it has served for a while, on whichever core the connection is.
        for n in 0.. {
            let path = path(n);
            let answer = connection.get(&path).unwrap();
            if answer.status() == 503 {
                assert_eq!(answer.json()["error"], "starting", "{path}");
                refused += 1;
                continue;
            }
            let answer = answer.json_of(200);
            if n % 3 == 0 {
                let rows = answer["workflows"].as_array().unwrap().len();
                assert_eq!(rows, ids.len(), "round {round}: a page is whole, or refused");
            }
            answered += 1;
            if answered == 20 {
                break;
            }
        }
    }
    println!("{refused} reads were refused while the node started");
}

/// The names of the files of a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn snapshots(place: &Place) -> Vec<String> {
    files(place.data()).into_iter().filter(|name| name.starts_with("snapshot-")).collect()
}

#[test]
fn a_journal_that_grows_is_cut_behind_a_snapshot_and_a_start_goes_on_from_it() {
    let place = Place::new(&["snapshot_journal=1MiB", "retention=1MiB"]);
    let mut server = place.start();
    put_catalogue(&server);
    let endless = send(&server, "endless", "key-endless")["message_id"].clone();
    let line = format!(r#"{{"padding":"{}"}}"#, "x".repeat(1_000));
    let batch = vec![line; 1_000].join("\n");
    let send_mebibytes = |server: &Server, count: u32| {
        let mut connection = server.connect();
        for _ in 0..count {
            let answer = connection.call("POST", BATCH, &[], batch.as_bytes()).unwrap();
            assert_eq!(answer.status(), 202, "{}", answer.text());
        }
    };
    let mut older = Vec::new();
    for round in 0..2 {
        // What the first snapshot leaves, the next ones cut.
        send_mebibytes(&server, 120);
        let segments_max = 10;
        until("the journal is cut behind a new snapshot", || {
            send_mebibytes(&server, 3);
            let segments = files(&place.data().join("journal")).len() - 1;
            let now = snapshots(&place);
            (segments <= segments_max && now.len() == 1 && now != older).then(|| older = now)
        });
        let last = send(&server, "quick", &format!("key-{round}"))["message_id"].clone();
        let before = seen(&server, &[&endless, &last]);
        server.kill();
        server = place.start();
        assert_eq!(seen(&server, &[&endless, &last]), before);
        assert_eq!(send(&server, "endless", "key-endless")["message_id"], endless);
    }
}
