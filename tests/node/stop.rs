//! SIGTERM: what was answered is kept, what is refused is refused in words, and nobody who only
//! holds a connection open holds the node up.

use crate::audit;
use crate::endpoint::Endpoint;
use crate::load::{Load, Mix, Style, put_workflows};
use crate::server::{Place, Server};
use serde_json::{Value, from_str, json};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

/// The default of `stop_timeout`.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

const MIX: Mix = Mix {
    clients: &[
        Style::Single(1),
        Style::Single(1),
        Style::Single(4),
        Style::Single(16),
        Style::Batch(50),
    ],
    shares: [4, 8, 2, 2],
    padding: 0,
    keyed: 3,
};

/// Ends a node in order: how it ended, what it said, and how long it took.
fn stop(server: Server) -> (ExitStatus, String, Duration) {
    let began = Instant::now();
    server.terminate();
    let (status, said) = server.ended();
    (status, said, began.elapsed())
}

#[test]
fn a_stop_under_load_loses_nothing_and_refuses_in_words() {
    let place = Place::new(&[]);
    let endpoint = Endpoint::start();
    let mut server = place.start();
    put_workflows(&server, &endpoint);
    let load = Load::start(place.address, MIX, 1);
    let mut took = Vec::new();
    for _ in 0..3 {
        load.after(300);
        let (status, said, stopped_after) = stop(server);
        assert!(status.success(), "{status}: {said}");
        assert!(said.contains(r#""msg":"stopped","reason":"SIGTERM","unanswered":0"#), "{said}");
        assert!(stopped_after < STOP_TIMEOUT, "{stopped_after:?}");
        took.push(stopped_after);
        server = place.start();
    }
    let refusals = load.refusals();
    let ledger = load.end();
    println!(
        "stopped under load after {took:?}: {} accepted, {} unknown, {} refused {refusals:?}",
        ledger.accepted.len(),
        ledger.unknown.len(),
        ledger.refused.len(),
    );
    audit::every_accepted_message_is_there(&server, &ledger);
    audit::every_instance_completes_once(&server, &ledger, &endpoint);
}

#[test]
fn idle_connections_do_not_hold_up_a_stop_and_are_closed_in_order() {
    let place = Place::new(&[]);
    let server = place.start();
    let mut idle: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for connection in &mut idle {
        assert_eq!(connection.get("/health/live").unwrap().status(), 200);
    }
    let mut silent = server.connect();
    let (status, said, took) = stop(server);
    println!("stopped beside idle connections after {took:?}");
    assert!(status.success(), "{status}: {said}");
    assert!(took < STOP_TIMEOUT, "{took:?}");
    for connection in &mut idle {
        assert!(connection.is_closed_by_peer(), "an idle connection is closed in order");
    }
    assert!(silent.is_closed_by_peer(), "so is one that never sent anything");
}

#[test]
fn a_stop_is_bounded_by_its_timeout_when_a_client_never_ends_its_request() {
    let place = Place::new(&["stop_timeout=1s", "http_body_timeout=1h", "http_header_timeout=1h"]);
    let server = place.start();
    let mut half_head = server.connect();
    half_head.send(b"GET /health/live HTTP/1.1\r\nhost: te").unwrap();
    let mut half_body = server.connect();
    half_body.send(b"POST /api/v1/messages HTTP/1.1\r\nhost: test\r\n").unwrap();
    half_body.send(b"content-length: 100\r\nexpect: 100-continue\r\n\r\n").unwrap();
    // The node has begun to read the body.
    assert!(half_body.message(false).unwrap().first_line.contains("100"));
    half_body.send(b"{").unwrap();
    let (status, said, took) = stop(server);
    println!("stopped beside half a request after {took:?}: {said}");
    assert!(status.success(), "{status}: {said}");
    assert!(took < STOP_TIMEOUT, "{took:?}");
}

#[test]
fn a_node_that_is_told_to_stop_while_it_starts_ends_in_order() {
    let place = Place::new(&[]);
    place.start().kill();
    for moment in 0..8 {
        let server = place.spawn();
        // No wait for anything: only so that the signal comes at another moment each time.
        thread::park_timeout(Duration::from_millis(10 * moment));
        let (status, said, _) = stop(server);
        // By the signal itself, before it is waited for; later in words.
        let is_orderly = match status.code() {
            None => status.signal() == Some(15) && said.is_empty(),
            Some(0) => said.contains(r#""msg":"stopped","reason":"SIGTERM""#),
            Some(_) => said.contains("stopped before every core was ready: SIGTERM"),
        };
        assert!(is_orderly, "{status}: {said}");
    }
    assert_eq!(place.start().get("/health/ready").status(), 200);
}

#[test]
fn in_json_a_node_says_nothing_else_and_in_text_it_speaks_to_people() {
    let json = Place::new(&["log=off"]);
    let (status, said, _) = stop(json.start());
    assert!(status.success(), "{status}: {said}");
    let lines: Vec<Value> = said.lines().map(|line| from_str(line).expect(line)).collect();
    let [ready, stopped] = lines.as_slice() else { panic!("not two lines: {said}") };
    assert_eq!((&ready["msg"], &ready["cores"]), (&json!("ready"), &json!(2)));
    assert_eq!(ready["http"], json.address.to_string());
    assert_eq!(ready["tcp"], json.tcp.to_string());
    assert_eq!(ready["data"], json!(json.data()));
    assert_eq!((&ready["node"], &ready["start"]), (&json!(1), &json!(1)));
    assert_eq!((&stopped["msg"], &stopped["unanswered"]), (&json!("stopped"), &json!(0)));

    let text = Place::new(&["log_format=text"]);
    let (status, said, _) = stop(text.start());
    assert!(status.success(), "{status}: {said}");
    let api = format!("\n  API      http://{}/api/v1/ ", text.address);
    let binary = format!("\n  binary   {}\n", text.tcp);
    let end = "distric-shard stopped (SIGTERM): everything taken was answered and is durable.\n";
    assert!(said.contains(&api) && said.contains(&binary) && said.ends_with(end), "{said}");
}
