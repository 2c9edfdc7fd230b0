//! What the API answers about messages and instances.

use crate::client::Connection;
use crate::server::{Place, Server, until};
use serde_json::{Value, json};
use std::net::Shutdown;

const MESSAGES: &str = "/api/v1/messages";
const BATCH: &str = "/api/v1/messages:batch";
const JSON: (&str, &str) = ("content-type", "application/json");
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

fn key(key: &str) -> (&str, &str) {
    ("idempotency-key", key)
}

fn start(settings: &[&str]) -> (Place, Server) {
    let place = Place::new(settings);
    let server = place.start();
    let workflows = r#"
workflows:
  - { id: quick, tasks: [{ id: one, type: transform, with: { n: "${ input.n }" } }] }
  - { id: slow, tasks: [{ id: wait, type: delay, with: { for: 1h } }] }
  - { id: broken, tasks: [{ id: stop, type: fail, with: { code: NO, message: never } }] }
"#;
    let rules = r"
rules:
  - { id: to-quick, conditions: [{ field: kind, op: equals, value: quick }], actions: [{ workflow: quick }] }
  - { id: to-slow, conditions: [{ field: kind, op: equals, value: slow }], actions: [{ workflow: slow }] }
  - { id: to-broken, conditions: [{ field: kind, op: equals, value: broken }], actions: [{ workflow: broken }] }
";
    server.put("/api/v1/definitions", workflows);
    server.put("/api/v1/rules", rules);
    (place, server)
}

/// A refusal says what, why and what to do.
fn assert_refusal(body: &Value, error: &str, what: &str) {
    assert_eq!(body["error"], error, "{what}: {body}");
    for field in ["detail", "hint"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{what}: {body}");
    }
}

struct Row<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Vec<u8>,
    status: u16,
    error: &'a str,
}

#[test]
fn whatever_is_wrong_with_a_request_has_its_status_and_says_why_and_what_to_do() {
    let (_place, server) = start(&[]);
    let row = |method, path, status, error| Row {
        method,
        path,
        headers: &[],
        body: Vec::new(),
        status,
        error,
    };
    let post = |path, body: &str, status, error| Row {
        body: body.into(),
        ..row("POST", path, status, error)
    };
    let too_long = "k".repeat(257);
    let too_deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let many_lines = "{}\n".repeat(1_001);
    let rows = [
        post(MESSAGES, r#"{"a":"#, 400, "bad_json"),
        post(MESSAGES, "", 400, "bad_json"),
        post(MESSAGES, "\u{feff}{}", 400, "bad_json"),
        Row { body: b"{\"a\":\"\xff\"}".to_vec(), ..row("POST", MESSAGES, 400, "bad_json") },
        post(MESSAGES, &too_deep, 400, "bad_json"),
        post(MESSAGES, "[1]", 400, "not_an_object"),
        post(MESSAGES, "7", 400, "not_an_object"),
        post(MESSAGES, &format!("{{\"a\":\"{}\"}}", "x".repeat(256 << 10)), 413, "too_large"),
        Row {
            headers: &[("content-type", "text/plain")],
            ..post(MESSAGES, "{}", 415, "unsupported_media_type")
        },
        Row {
            headers: &[("content-type", "application/json; charset=latin1")],
            ..post(MESSAGES, "{}", 415, "unsupported_media_type")
        },
        Row { headers: &[key("")], ..post(MESSAGES, "{}", 400, "bad_key") },
        Row { headers: &[key("a\u{e9}")], ..post(MESSAGES, "{}", 400, "bad_key") },
        Row { headers: &[key(&too_long)], ..post(MESSAGES, "{}", 400, "key_too_long") },
        post("/api/v1/messages?x=1", "{}", 400, "bad_query"),
        row("GET", "/api/v1/messages/xyz", 400, "bad_id"),
        row("GET", "/api/v1/messages/0010000000000063", 404, "unknown_id"),
        row("GET", "/api/v1/messages/fff0000000000001", 404, "unknown_id"),
        row("GET", "/api/v1/messages/0000000000000000", 404, "unknown_id"),
        row("GET", "/api/v1/workflows/0010000000000063-1", 404, "unknown_id"),
        row("GET", "/api/v1/workflows/0010000000000063", 400, "bad_id"),
        post("/api/v1/workflows/0010000000000063-1/cancel", "", 404, "unknown_id"),
        post("/api/v1/workflows/fff0000000000063-1/cancel", "", 404, "unknown_id"),
        row("GET", "/api/v1/workflows?status=odd", 400, "bad_query"),
        row("GET", "/api/v1/workflows?limit=0", 400, "bad_query"),
        row("GET", "/api/v1/workflows?limit=1001", 400, "bad_query"),
        row("GET", "/api/v1/workflows?after=x", 400, "bad_query"),
        row("GET", "/api/v1/workflows?color=red", 400, "bad_query"),
        row("GET", "/", 404, "unknown_path"),
        row("GET", "/api/v1/message", 404, "unknown_path"),
        row("GET", "/api/v1/rules/", 404, "unknown_path"),
        row("GET", "/health", 404, "unknown_path"),
        post(BATCH, "", 400, "empty_batch"),
        post(BATCH, "\n \n", 400, "empty_batch"),
        post(BATCH, &many_lines, 413, "too_large"),
        post(BATCH, &format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)), 413, "too_large"),
        Row {
            headers: &[("content-type", "text/csv")],
            ..post(BATCH, "{}", 415, "unsupported_media_type")
        },
    ];
    for Row { method, path, headers, body, status, error } in rows {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let what = format!("{method} {path} {headers:?} {shown}");
        let answer = server.call(method, path, headers, body);
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
        assert_refusal(&answer.json(), error, &what);
    }
    assert_eq!(server.metric("distric_messages_received_total{outcome=\"accepted\"}"), 0);
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let (_place, server) = start(&[]);
    let mut connection = server.connect();
    for (method, path, allow) in [
        ("GET", MESSAGES, "POST"),
        ("DELETE", BATCH, "POST"),
        ("POST", "/api/v1/messages/0010000000000001", "GET, HEAD"),
        ("GET", "/api/v1/workflows/0010000000000001-1/cancel", "POST"),
        ("PATCH", "/api/v1/rules/a", "GET, HEAD, PUT, DELETE"),
        ("DELETE", "/api/v1/rules", "GET, HEAD, POST, PUT"),
        ("DELETE", "/api/v1/definitions", "GET, HEAD, POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/health/live", "GET, HEAD"),
    ] {
        // One connection for all: a refusal does not cost it.
        let answer = connection.call(method, path, &[], b"").unwrap();
        assert_eq!(answer.status(), 405, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_refusal(&answer.json(), "method_not_allowed", path);
    }
}

#[test]
fn what_is_no_http_is_refused_and_the_next_client_served() {
    let (_place, server) = start(&["http_header_bytes_max=8KiB"]);
    let long_header = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20 << 10));
    for bytes in
        ["\x16\x03\x01\x02\x00", "NONSENSE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long_header]
    {
        let mut connection = server.connect();
        connection.send(bytes.as_bytes()).unwrap();
        if let Ok(answer) = connection.answer() {
            assert!(matches!(answer.status(), 400 | 414 | 431 | 505), "{}", answer.first_line);
        }
        assert_eq!(server.get("/health/live").status(), 200);
    }
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending_and_costs_no_connection() {
    let (_place, server) = start(&[]);
    let mut connection = server.connect();
    let large = vec![b' '; 2 << 20];
    for (path, status) in [(MESSAGES, 413), (BATCH, 413), ("/no/where", 404), ("/metrics", 405)] {
        // Sent to its end before the answer is looked at.
        let answer = connection.call("POST", path, &[], &large).unwrap();
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
    }
    assert_eq!(connection.get("/health/live").unwrap().status(), 200);
    // One that asks first is answered at once.
    let head = "content-length: 4000000\r\nexpect: 100-continue\r\n\r\n";
    connection.send(format!("POST {BATCH} HTTP/1.1\r\nhost: test\r\n{head}").as_bytes()).unwrap();
    assert_eq!(connection.answer().unwrap().status(), 413);
    // There is an end to it.
    let mut endless = server.connect();
    let sent = endless.send(&crate::client::request("POST", MESSAGES, &[], &vec![b' '; 64 << 20]));
    assert!(sent.is_err(), "the connection is reset");
    assert_eq!(server.get("/health/live").status(), 200);
}

#[test]
fn a_message_is_shown_as_it_was_sent_with_what_it_woke() {
    let (_place, server) = start(&[]);
    let sent = r#"{ "kind": "quick", "n": 7, "text": "größe \ud83d\ude00", "exact": 1.50 }"#;
    let accepted = server.call("POST", MESSAGES, &[JSON], sent).json_of(202);
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(accepted["workflows_triggered"], json!(["quick"]));
    let id = accepted["message_id"].as_str().unwrap();

    let answer = server.get(&format!("{MESSAGES}/{id}"));
    let shown = answer.json_of(200);
    assert!(answer.text().contains(sent), "the very bytes: {}", answer.text());
    assert_eq!(shown["message_id"], id);
    assert_eq!(shown["rules"], json!([{"rule": "to-quick", "version": 1, "workflows": ["quick"]}]));
    let instance = &shown["instances"][0];
    assert_eq!(instance["workflow"], "quick");
    assert_eq!(instance["message_id"], id);

    let path = format!("/api/v1/workflows/{}", instance["instance"].as_str().unwrap());
    let whole = server.get(&path).json_of(200);
    assert_eq!(
        (&whole["status"], &whole["tasks"][0]["output"]),
        (&json!("completed"), &json!({"n": 7}))
    );
    assert_eq!(whole["tasks"][0]["attempts"], 1);
    assert_eq!(server.get(&format!("{MESSAGES}/{id}")).json()["status"], "completed");

    let none = server.call("POST", MESSAGES, &[], "{}").json_of(202);
    assert_eq!(none["workflows_triggered"], json!([]));
    let path = format!("{MESSAGES}/{}", none["message_id"].as_str().unwrap());
    assert_eq!(server.get(&path).json_of(200)["status"], "completed", "nothing is left to do");

    let failed = server.call("POST", MESSAGES, &[], r#"{"kind":"broken"}"#).json_of(202);
    let path = format!("{MESSAGES}/{}", failed["message_id"].as_str().unwrap());
    assert_eq!(server.get(&path).json_of(200)["status"], "failed");
}

#[test]
fn a_head_request_is_answered_like_get_without_the_body() {
    let (_place, server) = start(&[]);
    let accepted = server.call("POST", MESSAGES, &[], "{}").json_of(202);
    let message = format!("{MESSAGES}/{}", accepted["message_id"].as_str().unwrap());
    let mut connection: Connection = server.connect();
    for path in [&message, "/api/v1/workflows", "/api/v1/rules", "/health/live", "/no/where"] {
        let whole = connection.get(path).unwrap();
        let head = connection.call("HEAD", path, &[], b"").unwrap();
        assert_eq!(head.status(), whole.status(), "{path}");
        assert_eq!(head.header("content-length"), whole.header("content-length"), "{path}");
    }
}

#[test]
fn an_idempotency_key_answers_a_repeat_with_the_first_id_and_refuses_another_body() {
    let (_place, server) = start(&[]);
    // On connections of their own: any core answers alike.
    let send = |body: &str| server.call("POST", MESSAGES, &[key("order-17")], body);
    let first = send(r#"{"kind":"quick","n":1}"#).json_of(202);
    assert_eq!(first["status"], "accepted");
    for _ in 0..8 {
        let again = send(r#"{"kind":"quick","n":1}"#).json_of(202);
        assert_eq!(again["message_id"], first["message_id"]);
        assert_eq!(again["status"], "duplicate");
        assert_eq!(again["workflows_triggered"], json!(["quick"]));
        let other = send(r#"{"kind":"quick","n":2}"#);
        assert_eq!(other.status(), 422);
        assert_refusal(&other.json(), "key_conflict", "another body");
    }
    let path = format!("{MESSAGES}/{}", first["message_id"].as_str().unwrap());
    let shown = server.get(&path).json_of(200);
    assert_eq!(shown["idempotency_key"], "order-17");
    let all = server.get("/api/v1/workflows").json_of(200);
    assert_eq!(all["workflows"].as_array().unwrap().len(), 1, "it ran once: {all}");
}

#[test]
fn a_full_table_of_keys_refuses_new_ones_until_old_ones_expire() {
    let (_place, server) = start(&["partitions=2", "keys_max=8", "key_ttl=1s"]);
    let send = |name: &str| server.call("POST", MESSAGES, &[key(name)], "{}");
    let names: Vec<String> = (0..100).map(|n| format!("key-{n}")).collect();
    let mut accepted = Vec::new();
    let refused = names.iter().find_map(|name| {
        let answer = send(name);
        match answer.status() {
            202 => accepted.push((name, answer.json()["message_id"].clone())),
            _ => return Some((name, answer)),
        }
        None
    });
    let (name, refusal) = refused.expect("8 keys fit and 100 do not");
    assert_eq!(refusal.status(), 429, "{}", refusal.text());
    assert_refusal(&refusal.json(), "keys_full", name);
    assert!(refusal.header("retry-after").is_some());
    assert!(!accepted.is_empty());
    assert_eq!(server.call("POST", MESSAGES, &[], "{}").status(), 202, "no key, no table");
    until("old keys expire", || (send(name).status() == 202).then_some(()));
    let (name, first) = &accepted[0];
    let again =
        until("the first key expires", || Some(send(name)).filter(|answer| answer.status() == 202));
    assert_ne!(again.json()["message_id"], *first, "a key that has expired is a new one");
}

#[test]
fn a_batch_is_accepted_whole_or_refused_with_the_bad_lines_number() {
    let (_place, server) = start(&[]);
    let good =
        "{\"kind\":\"quick\",\"n\":1}\n\n{\"kind\":\"none\"}\r\n{\"kind\":\"quick\",\"n\":2}";
    let array = r#" [{"kind":"quick","n":1}, {"kind":"none"},{"kind":"quick","n":2}] "#;
    for (headers, body) in [(&[NDJSON], good), (&[JSON], array), (&[JSON], good)] {
        let results = server.call("POST", BATCH, headers, body).json_of(202);
        let results = results["results"].as_array().unwrap();
        let triggered: Vec<_> = results.iter().map(|r| r["workflows_triggered"].clone()).collect();
        assert_eq!(triggered, [json!(["quick"]), json!([]), json!(["quick"])], "{body}");
        for result in results {
            assert_eq!(result["status"], "accepted");
            let path = format!("{MESSAGES}/{}", result["message_id"].as_str().unwrap());
            assert_eq!(server.get(&path).status(), 200);
        }
    }
    let accepted = || server.metric("distric_messages_received_total{outcome=\"accepted\"}");
    let before = accepted();
    for (headers, body, line, error) in [
        (&[NDJSON], "{\"n\":1}\n{\"n\":2}\n{\"n\":", 3, "bad_json"),
        (&[NDJSON], "{\"n\":1}\n\n[2]\n{}", 3, "not_an_object"),
        (&[JSON], "[{\"n\":1},7,{}]", 2, "not_an_object"),
        (&[JSON], "[{\"n\":1},{\"n\":2}", 2, "bad_json"),
        (&[JSON], "[{\"n\":1},,{\"n\":2}]", 2, "bad_json"),
    ] {
        let refusal = server.call("POST", BATCH, headers, body);
        assert_eq!(refusal.status(), 400, "{body}: {}", refusal.text());
        let refusal = refusal.json();
        assert_refusal(&refusal, error, body);
        assert_eq!(refusal["line"], line, "{body}: {refusal}");
    }
    assert_eq!(accepted(), before, "nothing of a bad batch is accepted");
}

#[test]
fn each_line_of_a_repeated_batch_is_a_duplicate_and_a_changed_one_a_conflict() {
    let (_place, server) = start(&[]);
    let send = |body: &str| {
        let results = server.call("POST", BATCH, &[NDJSON, key("batch")], body).json_of(202);
        results["results"].as_array().unwrap().clone()
    };
    let first = send("{\"n\":1}\n{\"n\":2}\n{\"n\":3}");
    let again = send("{\"n\":1}\n{\"n\":0}\n{\"n\":3}");
    let statuses: Vec<_> = again.iter().map(|result| result["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["duplicate", "conflict", "duplicate"]);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first["message_id"], again["message_id"], "a conflict names the first one");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let (_place, server) = start(&[]);
    let mut connection = server.connect();
    let mut bytes = Vec::new();
    for n in 0..200 {
        let body = format!(r#"{{"kind":"quick","n":{n}}}"#);
        bytes.extend(crate::client::request("POST", MESSAGES, &[], body.as_bytes()));
    }
    connection.send(&bytes).unwrap();
    let ids: Vec<String> = (0..200)
        .map(|_| connection.answer().unwrap().json_of(202)["message_id"].as_str().unwrap().into())
        .collect();
    for (n, id) in ids.iter().enumerate() {
        let shown = connection.get(&format!("{MESSAGES}/{id}")).unwrap().json_of(200);
        assert_eq!(shown["message"]["n"], n);
    }
}

#[test]
fn a_client_that_has_closed_its_sending_side_still_gets_its_answers() {
    let (_place, server) = start(&[]);
    let mut connection = server.connect();
    let one = crate::client::request("POST", MESSAGES, &[], b"{}");
    connection.send(&one.repeat(20)).unwrap();
    connection.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..20 {
        assert_eq!(connection.answer().unwrap().status(), 202);
    }
    assert!(connection.is_closed_by_peer());
}

#[test]
fn a_running_instance_is_cancelled_once() {
    let (_place, server) = start(&[]);
    let accepted = server.call("POST", MESSAGES, &[], r#"{"kind":"slow"}"#).json_of(202);
    let message = format!("{MESSAGES}/{}", accepted["message_id"].as_str().unwrap());
    let shown = server.get(&message).json_of(200);
    assert_eq!(shown["status"], "accepted");
    let path = format!("/api/v1/workflows/{}", shown["instances"][0]["instance"].as_str().unwrap());
    assert_eq!(server.get(&path).json_of(200)["status"], "running");

    let cancelled = server.call("POST", &format!("{path}/cancel"), &[], "").json_of(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["tasks"][0]["status"], "cancelled");
    let again = server.call("POST", &format!("{path}/cancel"), &[], "");
    assert_eq!(again.status(), 409);
    assert_refusal(&again.json(), "wrong_state", "cancelled twice");
    assert_eq!(server.get(&message).json_of(200)["status"], "failed");
}

#[test]
fn lists_come_in_pages_newest_first_and_by_status_and_workflow() {
    let (_place, server) = start(&[]);
    for n in 0..25 {
        let kind = if n % 5 == 0 { "slow" } else { "quick" };
        let body = format!(r#"{{"kind":"{kind}","n":{n}}}"#);
        assert_eq!(server.call("POST", MESSAGES, &[], body).status(), 202);
    }
    let list = |query: &str| -> (Vec<Value>, Value) {
        let page = server.get(&format!("/api/v1/workflows?{query}")).json_of(200);
        (page["workflows"].as_array().unwrap().clone(), page["next"].clone())
    };
    let (mut all, mut query, mut pages) = (Vec::new(), "limit=10".to_owned(), 0);
    loop {
        let (rows, next) = list(&query);
        all.extend(rows);
        pages += 1;
        let Some(next) = next.as_str() else { break };
        query = format!("limit=10&after={next}");
    }
    assert_eq!((all.len(), pages), (25, 3));
    let started: Vec<&str> = all.iter().map(|row| row["started_at"].as_str().unwrap()).collect();
    assert!(started.is_sorted_by(|one, next| one >= next), "{started:?}");
    let mut ids: Vec<&str> = all.iter().map(|row| row["instance"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 25, "none twice");
    for (query, count) in [
        ("status=running", 5),
        ("status=completed", 20),
        ("workflow=slow", 5),
        ("workflow=slow&status=completed", 0),
        ("status=failed", 0),
    ] {
        assert_eq!(list(query).0.len(), count, "{query}");
    }
}

#[test]
fn metrics_health_and_status_tell_how_the_node_is() {
    let (_place, server) = start(&[]);
    assert_eq!(server.get("/health/live").json_of(200), json!({"status": "UP"}));
    let ready = server.get("/health/ready?from=probe").json_of(200);
    assert_eq!(ready["status"], "UP");
    for check in ["raft", "state", "storage"] {
        assert_eq!(ready["checks"][check]["status"], "UP", "{ready}");
    }
    assert_eq!(server.call("POST", MESSAGES, &[], r#"{"kind":"slow"}"#).status(), 202);
    let metrics = server.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for name in [
        "distric_messages_received_total",
        "distric_workflows_started_total",
        "distric_workflows_running",
        "distric_raft_commit_index",
        "distric_journal_syncs_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(metrics.text().contains(&format!("# TYPE {name} ")), "{name}");
        assert!(server.metric(name) > 0, "{name}");
    }
    let status = server.get("/api/v1/cluster/status").json_of(200);
    assert_eq!(status["role"], "leader");
    assert_eq!(status["voters"], json!([1]));
    assert_eq!(status["partitions"], 64);
    let cores = status["cores"].as_array().unwrap();
    assert_eq!(cores.len(), 2);
    let sum = |field: &str| cores.iter().map(|core| core[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("partitions"), sum("instances_running"), sum("connections")), (64, 1, 1));
}
