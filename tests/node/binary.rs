//! The binary door: it answers what HTTP answers, and keeps what it answered.

use crate::caller::{Answer, Caller};
use crate::server::{Place, Server, until};
use serde_json::{Value, json};
use std::io::Write as _;
use wire::{Kind, Messages, Query, QueryResult, Submit, SubmitResponse};

const MESSAGES: &str = "/api/v1/messages";
const BATCH: &str = "/api/v1/messages:batch";

const RULES: &str = r"
rules:
  - { id: to-quick, conditions: [{ field: kind, op: equals, value: quick }], actions: [{ workflow: quick }] }
";

const WORKFLOWS: &str =
    r#"{"workflows":[{"id":"quick","tasks":[{"id":"one","type":"transform","with":{"n":1}}]}]}"#;

fn start(settings: &[&str]) -> (Place, Server) {
    let place = Place::new(settings);
    let server = place.start();
    server.put("/api/v1/definitions", WORKFLOWS);
    server.put("/api/v1/rules", RULES);
    (place, server)
}

fn submit<'a>(messages: &'a [&'a [u8]]) -> Submit<'a> {
    Submit { producer: 0, sequence: 0, key: "", messages: Messages::from(messages) }
}

/// What an answer says, in the words of HTTP.
fn outcomes(answer: &Answer) -> Vec<Value> {
    let response: SubmitResponse<'_> = answer.read();
    let outcomes = response.answers().map(|answer| match answer {
        wire::Answer::Accepted { id, workflows } => result(id, "accepted", workflows.iter()),
        wire::Answer::Duplicate { id, workflows } => result(id, "duplicate", workflows.iter()),
        wire::Answer::Conflict { id } => result(id, "conflict", std::iter::empty()),
        wire::Answer::Refused { code, detail, hint, .. } => {
            json!({"status": "refused", "error": code, "detail": detail, "hint": hint})
        }
    });
    outcomes.collect()
}

fn result<'a>(id: u64, status: &str, workflows: impl Iterator<Item = &'a str>) -> Value {
    json!({
        "message_id": format!("{id:016x}"),
        "status": status,
        "workflows_triggered": workflows.collect::<Vec<_>>(),
    })
}

/// Why a submit was refused: all of it, or its only message.
fn refusal(answer: &Answer) -> String {
    match answer.kind {
        Kind::ERROR => answer.error().code.to_owned(),
        _ => outcome(answer)["error"].as_str().unwrap_or("none").to_owned(),
    }
}

/// The only outcome of a submit of one message.
fn outcome(answer: &Answer) -> Value {
    let [one] = <[Value; 1]>::try_from(outcomes(answer)).unwrap();
    one
}

#[test]
fn a_submit_is_answered_with_what_http_answers_and_is_there() {
    let (place, server) = start(&[]);
    let mut caller = Caller::connect(place.tcp).unwrap();

    let one = outcome(&caller.call(&submit(&[br#"{"kind":"quick","n":1}"#])).unwrap());
    assert_eq!(
        (&one["status"], &one["workflows_triggered"]),
        (&json!("accepted"), &json!(["quick"]))
    );
    let shown = server.get(&format!("{MESSAGES}/{}", one["message_id"].as_str().unwrap()));
    assert_eq!(shown.json_of(200)["message"], json!({"kind": "quick", "n": 1}));

    // Under one key over both doors: the first one's answer comes again over each.
    let bodies: [&[u8]; 3] =
        [br#"{"kind":"quick"}"#, br#"{"kind":"none"}"#, br#"{"kind":"quick","n":2}"#];
    let batch = Submit { key: "order-17", ..submit(&bodies) };
    let first = outcomes(&caller.call(&batch).unwrap());
    assert!(first.iter().all(|one| one["status"] == "accepted"), "{first:?}");
    let again = outcomes(&caller.call(&batch).unwrap());
    let lines = bodies.join(&b'\n');
    let headers = [("idempotency-key", "order-17"), ("content-type", "application/x-ndjson")];
    let over_http = server.call("POST", BATCH, &headers, lines).json_of(202);
    assert_eq!(json!(again), over_http["results"]);
    let ids = |list: &[Value]| list.iter().map(|one| one["message_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&first));
    assert!(again.iter().all(|one| one["status"] == "duplicate"), "{again:?}");

    let other = Submit { key: "order-17", ..submit(&[b"{}", b"{}", b"{}"]) };
    let conflicts = outcomes(&caller.call(&other).unwrap());
    assert!(conflicts.iter().all(|one| one["status"] == "conflict"), "{conflicts:?}");
    assert_eq!(ids(&conflicts), ids(&first));
    assert_eq!(server.metric("distric_messages_received_total"), 13);
    assert!(server.get("/metrics").text().contains("rpc_calls_total{msg_type=\"submit\""));
}

#[test]
fn a_refused_submit_has_the_code_and_the_words_of_http_and_the_connection_lives() {
    let (place, server) = start(&[]);
    let mut caller = Caller::connect(place.tcp).unwrap();
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(300_000));
    let long_key = "k".repeat(300);
    let rows: [(&str, &str); 6] = [
        ("", "{"),
        ("", "[]"),
        ("", "{\"n\":NaN}"),
        ("", &large),
        (&long_key, "{}"),
        ("tab\tkey", "{}"),
    ];
    for (key, body) in rows {
        let bodies = [body.as_bytes()];
        let answer = caller.call(&Submit { key, ..submit(&bodies) }).unwrap();
        let headers = [("idempotency-key", key)];
        let headers = if key.is_empty() { &[][..] } else { &headers };
        let over_http = server.call("POST", MESSAGES, headers, body).json();
        assert_eq!(
            answer.kind,
            Kind::ERROR,
            "{key} {}: {}",
            &body[..body.len().min(9)],
            answer.said()
        );
        let error = answer.error();
        // HTTP counts a body that it has not read.
        assert_eq!(json!(error.code), over_http["error"], "{error:?}");
        assert!(!error.detail.is_empty() && !error.hint.is_empty(), "{error:?}");
    }
    let none = caller.call(&submit(&[])).unwrap();
    assert_eq!(none.error().code, "empty_batch");
    let both = Submit { producer: 1, sequence: 1, key: "k", ..submit(&[b"{}"]) };
    assert_eq!(caller.call(&both).unwrap().error().code, "bad_message");
    let many = vec![&b"{}"[..]; 1_001];
    assert_eq!(caller.call(&submit(&many)).unwrap().error().code, "bad_message");
    assert_eq!(outcome(&caller.call(&submit(&[b"{}"])).unwrap())["status"], "accepted");
}

#[test]
fn a_query_is_answered_with_what_http_answers() {
    let (place, server) = start(&[]);
    let mut caller = Caller::connect(place.tcp).unwrap();
    let id = server.call("POST", MESSAGES, &[], r#"{"kind":"quick"}"#).json_of(202);
    let id = id["message_id"].as_str().unwrap();
    until("the instance has ended", || {
        let shown = server.get(&format!("{MESSAGES}/{id}")).json_of(200);
        (shown["status"] == "completed").then_some(())
    });
    let paths = [
        format!("{MESSAGES}/{id}"),
        format!("/api/v1/workflows/{id}-1"),
        "/api/v1/workflows?status=completed&limit=1".to_owned(),
        "/api/v1/workflows?status=unheard".to_owned(),
        "/api/v1/rules".to_owned(),
        "/api/v1/definitions/quick".to_owned(),
        "/api/v1/log".to_owned(),
        "/health/ready".to_owned(),
        format!("{MESSAGES}/0020000000009999"),
        MESSAGES.to_owned(),
        "/nowhere".to_owned(),
        "no path at all".to_owned(),
    ];
    for path in &paths {
        let answer = caller.call(&Query { path }).unwrap();
        let result: QueryResult<'_> = answer.read();
        if path.starts_with('/') {
            let over_http = server.get(path);
            assert_eq!(result.status, over_http.status(), "{path}");
            assert_eq!(Some(result.content_type), over_http.header("content-type"), "{path}");
            assert_eq!(String::from_utf8_lossy(result.body), over_http.text(), "{path}");
        } else {
            assert_eq!(result.status, 404, "{path}");
        }
    }
    let answer = caller.call(&Query { path: "/metrics" }).unwrap();
    let metrics: QueryResult<'_> = answer.read();
    let text = String::from_utf8_lossy(metrics.body);
    assert!(text.contains("tcp_connections_active{protocol=\"binary\"} 1\n"), "{text}");
}

#[test]
fn a_retry_after_kill_9_is_told_the_first_id_and_is_no_second_message() {
    let (place, mut server) = start(&[]);
    let body: &[&[u8]] = &[br#"{"kind":"quick"}"#];
    let numbered = |sequence| Submit { producer: 7_777, sequence, ..submit(body) };
    let mut caller = Caller::connect(place.tcp).unwrap();
    let mut first = Vec::new();
    for sequence in 1..=5 {
        first.push(outcome(&caller.call(&numbered(sequence)).unwrap()));
    }
    for _ in 0..2 {
        // This one may or may not be answered, may or may not be taken.
        let unanswered = 5 + u64::try_from(first.len() - 4).unwrap();
        caller.send(&numbered(unanswered)).unwrap();
        server.kill();
        server = place.start();
        caller = Caller::connect(place.tcp).unwrap();
        for (sequence, known) in (1..).zip(&first) {
            let again = outcome(&caller.call(&numbered(sequence)).unwrap());
            assert_eq!(again["status"], "duplicate", "{again}");
            assert_eq!(again["message_id"], known["message_id"]);
            assert_eq!(again["workflows_triggered"], json!(["quick"]));
        }
        let retried = outcome(&caller.call(&numbered(unanswered)).unwrap());
        let again = outcome(&caller.call(&numbered(unanswered)).unwrap());
        assert_eq!(again["message_id"], retried["message_id"]);
        first.push(retried);
    }
    let list = server.get("/api/v1/workflows?limit=1000").json_of(200);
    assert_eq!(list["workflows"].as_array().unwrap().len(), first.len(), "each once: {list}");

    // What cannot be told apart is refused.
    let empty: [&[u8]; 1] = [b"{}"];
    let other = Submit { messages: Messages::from(&empty), ..numbered(1) };
    assert_eq!(outcome(&caller.call(&other).unwrap())["status"], "conflict");
    let unknown = Submit { producer: 8_888, ..numbered(3) };
    let refused = caller.call(&unknown).unwrap();
    assert_eq!(refusal(&refused), "unknown_producer", "{}", refused.said());
}

#[test]
fn calls_in_flight_are_answered_by_their_numbers() {
    let (place, server) = start(&[]);
    let mut caller = Caller::connect(place.tcp).unwrap();
    let mut asked = Vec::new();
    for n in 0..500 {
        let body = format!(r#"{{"n":{n}}}"#);
        asked.push(if n % 10 == 0 {
            caller.send(&Query { path: "/api/v1/rules" }).unwrap()
        } else {
            caller.send(&submit(&[body.as_bytes()])).unwrap()
        });
    }
    let mut ids = std::collections::BTreeMap::new();
    for _ in &asked {
        let answer = caller.next().unwrap().unwrap();
        match answer.kind {
            Kind::QUERY_RESULT => assert_eq!(answer.read::<QueryResult<'_>>().status, 200),
            _ => {
                ids.insert(answer.call, outcome(&answer)["message_id"].clone());
            }
        }
    }
    for (n, call) in asked.iter().enumerate().filter(|(n, _)| n % 10 != 0).step_by(25) {
        let id = ids[call].as_str().unwrap();
        let shown = server.get(&format!("{MESSAGES}/{id}")).json_of(200);
        assert_eq!(shown["message"], json!({ "n": n }));
    }
}

#[test]
fn an_unknown_type_and_a_wrong_message_are_refused_and_the_connection_lives() {
    let (place, _server) = start(&[]);
    let mut caller = Caller::connect(place.tcp).unwrap();
    let rows: [(Kind, &[u8], &str); 5] = [
        (Kind(0x7777), b"", "unknown_type"),
        (Kind::REQUEST_VOTE, b"", "unknown_type"),
        (Kind::SUBMIT, b"no fields", "bad_message"),
        (Kind::SUBMIT, b"", "bad_message"),
        (Kind::QUERY, b"\x00\x01\x10\x00\x00\x00\x01\xff", "bad_message"),
    ];
    for (kind, payload, code) in rows {
        let call = caller.send_raw(kind, None, |out| out.extend_from_slice(payload)).unwrap();
        let answer = caller.next().unwrap().unwrap();
        assert_eq!((answer.call, answer.error().code), (call, code), "{kind}: {}", answer.said());
    }
    assert_eq!(outcome(&caller.call(&submit(&[b"{}"])).unwrap())["status"], "accepted");
}

#[test]
fn what_is_no_frame_is_told_so_and_closed() {
    let (place, server) = start(&[]);
    let greeted = || Caller::connect(place.tcp).unwrap();
    let rows: [(&str, Caller, &[u8], &str); 3] = [
        ("HTTP", Caller::silent(place.tcp).unwrap(), &[b'G'; 64], "bad_frame"),
        ("noise after the hello", greeted(), &[0x44; 64], "bad_frame"),
        ("no hello", Caller::silent(place.tcp).unwrap(), &[], "hello_expected"),
    ];
    for (what, mut caller, bytes, code) in rows {
        if bytes.is_empty() {
            caller.send(&submit(&[b"{}"])).unwrap();
        } else {
            caller.stream.write_all(bytes).unwrap();
        }
        let last = caller.next().unwrap().unwrap();
        assert_eq!((last.call, last.error().code), (0, code), "{what}: {}", last.said());
        assert!(caller.next().unwrap().is_none(), "{what}: and nothing more");
    }
    assert!(server.metric("tcp_errors_total") >= 3);
}

#[test]
fn a_client_with_too_much_under_way_is_told_at_once_and_the_rest_is_answered() {
    let (place, server) = start(&[]);
    let mut caller = Caller::connect(place.tcp).unwrap();
    // Nothing happens that they could be told.
    let next = server.get("/api/v1/events?limit=1000").json_of(200)["next"].clone();
    let path = format!("/api/v1/events?after={next}&wait=60s");
    let calls: Vec<u64> = (0..65).map(|_| caller.send(&Query { path: &path }).unwrap()).collect();
    let refused = caller.next().unwrap().unwrap();
    assert_eq!((refused.call, refused.error().code), (calls[64], "overloaded"));
    assert!(refused.error().retry_after_ms > 0);
    // Submits are not held up by them, and something happens now.
    assert_eq!(outcome(&caller.call(&submit(&[b"{}"])).unwrap())["status"], "accepted");
    server.put("/api/v1/rules", &RULES.replace("to-quick", "another"));
    for _ in 0..64 {
        let answer = caller.next().unwrap().unwrap();
        let page: QueryResult<'_> = answer.read();
        let page: Value = serde_json::from_slice(page.body).unwrap();
        assert_eq!(page["events"][0]["kind"], "rules_changed", "{page}");
    }
}

#[test]
fn a_stop_answers_what_is_in_flight_and_closes_idle_connections() {
    let (place, server) = start(&[]);
    let mut idle: Vec<_> = (0..20).map(|_| Caller::connect(place.tcp).unwrap()).collect();
    let mut busy = Caller::connect(place.tcp).unwrap();
    let waiting = busy.send(&Query { path: "/api/v1/events?after=1000&wait=60s" }).unwrap();
    let first = busy.next().unwrap().unwrap();
    // A number that no event has is of another run: it is answered at once.
    assert_eq!(first.call, waiting);
    let page: QueryResult<'_> = first.read();
    let page: Value = serde_json::from_slice(page.body).unwrap();
    let path = format!("/api/v1/events?after={}&wait=60s", page["next"]);
    let waiting = busy.send(&Query { path: &path }).unwrap();
    let bodies = [&b"{}"[..]; 100];
    let submits: Vec<u64> = (0..20).map(|_| busy.send(&submit(&bodies)).unwrap()).collect();
    // The last of them is taken when the first is answered, or is told that it was not.
    let mut answered = vec![busy.next().unwrap().unwrap()];
    server.terminate();
    let goodbye = loop {
        match busy.next().unwrap() {
            Some(answer) if answer.call == 0 => break answer,
            Some(answer) => answered.push(answer),
            None => panic!("the node closes with a word"),
        }
    };
    assert_eq!(goodbye.error().code, "closed", "{}", goodbye.said());
    assert!(answered.iter().any(|answer| answer.call == waiting), "who waits is told");
    let mut accepted = Vec::new();
    for answer in answered.iter().filter(|answer| submits.contains(&answer.call)) {
        match answer.kind {
            Kind::RESPONSE => accepted.extend(outcomes(answer)),
            _ => assert_eq!(answer.error().code, "stopping", "{}", answer.said()),
        }
    }
    for caller in &mut idle {
        let goodbye = caller.next().unwrap().unwrap();
        assert_eq!((goodbye.call, goodbye.error().code), (0, "closed"));
        assert!(caller.next().unwrap().is_none());
    }
    let (status, said) = server.ended();
    assert!(status.success(), "{said}");
    let server = place.start();
    assert!(accepted.len() >= 100, "the first was answered before");
    for one in accepted.iter().step_by(50) {
        let id = one["message_id"].as_str().unwrap();
        assert_eq!(server.get(&format!("{MESSAGES}/{id}")).status(), 200, "{one}");
    }
}

#[test]
fn the_start_says_where_the_door_is_and_off_means_that_there_is_none() {
    let place = Place::new(&[]);
    let server = place.start();
    let line = format!(r#""tcp":"{}""#, place.tcp);
    until("it says where", || server.said().contains(&line).then_some(()));
    server.kill();
    let data = place.data().to_str().unwrap();
    let address = place.address.to_string();
    let off = ["--cores", "0", "--data", data, "--http", &address, "--tcp", "off"];
    let server = Server::run(&[], &off, place.address);
    server.ready();
    assert!(!server.said().contains(r#""tcp""#), "{}", server.said());
    assert!(Caller::connect(place.tcp).is_err(), "nobody is there");
}
