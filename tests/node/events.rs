//! What an operator sees of a node: events as they happen, a log whose filter changes while it
//! runs, traces that go on in the services that a workflow calls.

use crate::caller::Caller;
use crate::endpoint::Endpoint;
use crate::server::{Place, Server, until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use telemetry::TraceContext;
use wire::{Messages, Submit};

const MESSAGES: &str = "/api/v1/messages";

const RULE: &str = r"
rules:
  - { id: to-caller, conditions: [{ field: kind, op: equals, value: call }], actions: [{ workflow: caller }] }
";

/// A workflow that calls `url` once.
fn put_caller(server: &Server, url: &str) {
    let workflow = json!({"workflows": [{
        "id": "caller",
        "tasks": [{"id": "call", "type": "http", "with": {"url": url, "method": "POST"}, "retry": 1}],
    }]});
    server.put("/api/v1/definitions", &workflow.to_string());
    server.put("/api/v1/rules", RULE);
}

fn events(server: &Server, query: &str) -> Value {
    server.get(&format!("/api/v1/events?{query}")).json_of(200)
}

fn kinds(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn what_happens_is_told_in_order_and_once() {
    let place = Place::new(&[]);
    let server = place.start();
    let page = events(&server, "");
    assert_eq!(kinds(&page), ["leader_elected"], "{page}");
    assert_eq!((&page["start"], &page["next"], &page["lost"]), (&json!(1), &json!(1), &json!(0)));
    let elected = &page["events"][0];
    assert_eq!((&elected["number"], &elected["node"]), (&json!(1), &json!(1)), "{elected}");

    put_caller(&server, &format!("http://{}/", nobody()));
    server.call("POST", MESSAGES, &[], r#"{"kind":"call"}"#).json_of(202);
    let mut told = Vec::new();
    let mut after = page["next"].clone();
    // Waits: without the event it would answer after a minute, and the test fail.
    while told.len() < 3 {
        let page = events(&server, &format!("after={after}&wait=60s&limit=2"));
        assert!(!page["events"].as_array().unwrap().is_empty(), "{page}");
        told.extend(page["events"].as_array().unwrap().clone());
        after = page["next"].clone();
    }
    let numbers: Vec<u64> = told.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 3, 4]);
    let [definitions, rules, failed] = <[Value; 3]>::try_from(told).unwrap();
    assert_eq!(definitions["kind"], "definitions_changed");
    assert_eq!(definitions["stored"], json!(["caller"]));
    assert_eq!((&rules["kind"], &rules["deleted"]), (&json!("rules_changed"), &json!([])));
    assert_eq!(rules["stored"], json!(["to-caller"]));
    assert_eq!(failed["kind"], "task_failed", "{failed}");
    assert_eq!((&failed["workflow"], &failed["task"]), (&json!("caller"), &json!("call")));
    assert_eq!(failed["attempts"], 2, "{failed}");
    assert!(!failed["code"].as_str().unwrap().is_empty() && failed["message"].is_string());

    // A restart counts anew; a number of before gets all there is.
    server.kill();
    let server = place.start();
    let page = events(&server, &format!("after={after}"));
    assert_eq!((&page["start"], kinds(&page)), (&json!(2), vec!["leader_elected"]), "{page}");
}

#[test]
fn the_admin_tool_follows_events_and_changes_the_log() {
    let place = Place::new(&[]);
    let server = place.start();
    let url = format!("http://{}", place.address);
    let admin = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_distric-admin"));
        command.args(["--server", &url]).args(arguments).stdout(Stdio::piped());
        command
    };
    let mut following = admin(&["events", "--follow"]).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("  leader_elected  node=1 term="), "{first}");
    server.put(
        "/api/v1/definitions",
        r#"{"workflows":[{"id":"w","tasks":[{"id":"t","type":"log","with":{"message":"m"}}]}]}"#,
    );
    let second = lines.next().unwrap().unwrap();
    assert!(second.contains("  definitions_changed  version=1 stored=w deleted=-"), "{second}");
    following.kill().unwrap();
    following.wait().unwrap();

    let shown = admin(&["log"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "warn\n");
    let changed = admin(&["log", "info,node=debug"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&changed.stdout), "info,node=debug\n");
    let refused = admin(&["log", "loud"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`loud`"));
}

#[test]
fn the_logs_filter_changes_while_the_node_runs() {
    let place = Place::new(&[]);
    let server = place.start();
    let workflow = r#"{"workflows":[{"id":"w","tasks":[{"id":"t","type":"log","with":{"message":"${ input.text }"}}]}]}"#;
    server.put("/api/v1/definitions", workflow);
    let rule = "rules:\n  - { id: r, conditions: [{ field: text, op: exists }], actions: [{ workflow: w }] }\n";
    server.put("/api/v1/rules", rule);
    let say = |text: &str| {
        let body = json!({ "text": text }).to_string();
        let id = server.call("POST", MESSAGES, &[], body).json_of(202)["message_id"].clone();
        let path = format!("{MESSAGES}/{}", id.as_str().unwrap());
        until("it is logged", || {
            (server.get(&path).json_of(200)["status"] == "completed").then_some(())
        });
    };
    let set = |filter: &str| {
        let body = json!({ "filter": filter }).to_string();
        let answer = server.call("PUT", "/api/v1/log", &[], body).json_of(200);
        assert_eq!(answer["filter"], filter);
        assert_eq!(server.get("/api/v1/log").json_of(200), answer);
    };
    say("under warn");
    set("warn,workflow=info");
    say("under info");
    set("warn,workflow=off");
    say("under off");
    set("info");
    say("at last");
    until("the last line is written", || server.said().contains("at last").then_some(()));
    let said = server.said();
    assert!(said.contains("under info"), "{said}");
    assert!(!said.contains("under warn") && !said.contains("under off"), "{said}");

    let refused = server.call("PUT", "/api/v1/log", &[], r#"{"filter":"loud"}"#).json_of(400);
    assert_eq!(refused["error"], "bad_request");
    assert_eq!(server.get("/api/v1/log").json_of(200)["filter"], "info");
}

/// A collector of traces: what was exported to it.
fn collector() -> (SocketAddr, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let spans = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&spans);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let taken = Arc::clone(&taken);
            // Ends with its connection: the node that holds it is killed by its test.
            thread::spawn(move || {
                let mut connection = crate::client::Connection::over(stream.unwrap()).unwrap();
                while let Ok(request) = connection.message(true) {
                    let body: Value = serde_json::from_slice(&request.body).unwrap();
                    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
                    taken.lock().unwrap().extend(spans.as_array().unwrap().clone());
                    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                }
            });
        }
    });
    (address, spans)
}

#[test]
fn a_trace_goes_on_in_the_services_that_a_workflow_calls() {
    let (collector, spans) = collector();
    let endpoint = Endpoint::start();
    let place = Place::new(&[&format!("trace_endpoint=http://{collector}/v1/traces")]);
    let server = place.start();
    put_caller(&server, &format!("http://{}/", endpoint.address));
    let send = |headers: &[(&str, &str)]| {
        let before = endpoint.calls().len();
        server.call("POST", MESSAGES, headers, r#"{"kind":"call"}"#).json_of(202);
        until("the service is called", || endpoint.calls().get(before).cloned())
    };
    // By HTTP.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = send(&[("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))]);
    let passed = call.traceparent.expect("the service hears of the trace");
    assert!(passed.starts_with(&format!("00-{trace}-")) && passed.ends_with("-01"), "{passed}");
    assert!(!passed.contains("00f067aa0ba902b7"), "its parent is the task, not the client");
    // By the binary protocol.
    let mut caller = Caller::connect(place.tcp).unwrap();
    let before = endpoint.calls().len();
    let bodies: [&[u8]; 1] = [br#"{"kind":"call"}"#];
    let submit = Submit { producer: 0, sequence: 0, key: "", messages: Messages::from(&bodies) };
    let context = TraceContext { trace: 0xabc, span: 0xdef };
    caller.send_traced(&submit, Some(context)).unwrap();
    let call = until("the service is called", || endpoint.calls().get(before).cloned());
    let passed = call.traceparent.expect("the service hears of the trace");
    assert!(passed.starts_with(&format!("00-{:032x}-", context.trace)), "{passed}");
    // Whose caller does not record it, and who has none: nothing, as `trace_ratio` is 0.
    assert_eq!(
        send(&[("traceparent", &format!("00-{trace}-00f067aa0ba902b7-00"))]).traceparent,
        None
    );
    assert_eq!(send(&[]).traceparent, None);

    // What was passed on is a span that the collector gets, below the client's; at the stop at last.
    server.terminate();
    let (status, said) = server.ended();
    assert!(status.success(), "{said}");
    let spans = spans.lock().unwrap();
    let names: Vec<&str> = (spans.iter())
        .filter(|span| span["traceId"] == trace)
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    for name in ["receive", "rule_match", "commit", "task"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let roots = spans.iter().filter(|span| span["parentSpanId"] == "00f067aa0ba902b7").count();
    assert!(roots >= 1, "{spans:?}");
    assert!(spans.iter().all(
        |span| span["traceId"] == trace || span["traceId"] == format!("{:032x}", context.trace)
    ));
}
