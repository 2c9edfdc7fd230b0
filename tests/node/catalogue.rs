//! Rules and definitions: put, replaced, deleted, refused, and in force on every core at once.

use crate::client::Connection;
use crate::server::{Place, Server};
use serde_json::{Value, json};

const RULES: &str = "/api/v1/rules";
const DEFINITIONS: &str = "/api/v1/definitions";
const YAML: (&str, &str) = ("content-type", "application/yaml");
const JSON: (&str, &str) = ("content-type", "application/json");

fn definition(version: u32) -> String {
    format!(
        "workflow: {{ id: w, version: {version}, tasks: [{{ id: t, type: transform, with: 1 }}] }}"
    )
}

fn rule(version: u32, kind: &str) -> String {
    format!(
        "rules: [{{ id: r, version: {version}, conditions: [{{ field: kind, op: equals, value: \
         {kind} }}], actions: [{{ workflow: w }}] }}]"
    )
}

/// The refusal's `error`, of an answer that must have this status.
fn refusal(server: &Server, method: &str, path: &str, body: &str, status: u16) -> Value {
    let answer = server.call(method, path, &[YAML], body);
    assert_eq!(answer.status(), status, "{method} {path}: {}", answer.text());
    let refusal = answer.json();
    for field in ["detail", "hint"] {
        assert!(refusal[field].as_str().is_some_and(|text| !text.is_empty()), "{refusal}");
    }
    refusal
}

#[test]
fn the_catalogue_is_changed_through_the_log() {
    let place = Place::new(&[]);
    let server = place.start();
    let put = |path: &str, body: &str, status: u16| {
        server.call("PUT", path, &[YAML], body).json_of(status)
    };
    // A rule needs its workflow first.
    let early = refusal(&server, "PUT", "/api/v1/rules/r", &rule(1, "a"), 409);
    assert!(early["detail"].as_str().unwrap().contains("`w`, which is not defined"), "{early}");

    let created = put("/api/v1/definitions/w", &definition(1), 201);
    assert_eq!(created, json!({"version": 1, "stored": ["w"], "deleted": []}));
    assert_eq!(put("/api/v1/rules/r", &rule(1, "a"), 201)["version"], 2);
    assert_eq!(put("/api/v1/rules/r", &rule(1, "a"), 200)["version"], 2, "the same again");
    let clash = refusal(&server, "PUT", "/api/v1/rules/r", &rule(1, "b"), 409);
    assert!(clash["hint"].as_str().unwrap().contains("`version: 2` or higher"), "{clash}");
    assert_eq!(put("/api/v1/rules/r", &rule(2, "b"), 200)["version"], 3);
    assert_eq!(put("/api/v1/definitions/w", &definition(2), 200)["version"], 4);

    let rules = server.get(RULES).json_of(200);
    let expected = json!([{
        "id": "r", "version": 2, "priority": 0, "enabled": true, "workflows": ["w"],
    }]);
    assert_eq!((&rules["version"], &rules["rules"]), (&json!(4), &expected));
    let definitions = server.get(DEFINITIONS).json_of(200);
    assert_eq!(definitions["definitions"], json!([{"id": "w", "version": 2, "tasks": ["t"]}]));
    // What is read can be put again.
    let text = server.get("/api/v1/rules/r").text();
    let same = server.call("PUT", "/api/v1/rules/r", &[JSON], text).json_of(200);
    assert_eq!(same["version"], 4, "nothing has changed");

    let in_use = refusal(&server, "DELETE", "/api/v1/definitions/w", "", 409);
    assert!(in_use["detail"].as_str().unwrap().contains("rule `r`"), "{in_use}");
    let deleted = server.call("DELETE", "/api/v1/rules/r", &[], "").json_of(200);
    assert_eq!(deleted, json!({"version": 5, "stored": [], "deleted": ["r"]}));
    assert_eq!(server.call("DELETE", "/api/v1/definitions/w", &[], "").status(), 200);
    for path in ["/api/v1/rules/r", "/api/v1/definitions/w"] {
        assert_eq!(refusal(&server, "DELETE", path, "", 404)["error"], "unknown_id");
        assert_eq!(refusal(&server, "GET", path, "", 404)["error"], "unknown_id");
    }
}

#[test]
fn a_file_with_faults_is_refused_with_each_place() {
    let place = Place::new(&[]);
    let server = place.start();
    let two_faults = "rules:\n  - id: r\n    conditons: []\n    actions: [{ workflw: w }]\n";
    let cycle = "workflow:\n  id: w\n  tasks:\n    - { id: a, type: transform, depends_on: [b] }\n    - { id: b, type: transform, depends_on: [a] }\n";
    for (path, body, error) in [
        (RULES, "rules: [", "invalid_rule"),
        (RULES, "", "invalid_rule"),
        (RULES, two_faults, "invalid_rule"),
        (
            DEFINITIONS,
            "workflow: { id: w, tasks: [{ id: t, type: trnsform }] }",
            "invalid_definition",
        ),
        (DEFINITIONS, cycle, "invalid_definition"),
        (
            DEFINITIONS,
            "workflow: { id: w, tasks: [{ id: t, type: approval }] }",
            "invalid_definition",
        ),
    ] {
        let refusal = refusal(&server, "POST", path, body, 400);
        assert_eq!(refusal["error"], error, "{refusal}");
        let faults = refusal["faults"].as_array().unwrap();
        assert!(!faults.is_empty(), "{refusal}");
        for fault in faults {
            assert!(fault["what"].as_str().is_some_and(|what| !what.is_empty()), "{refusal}");
        }
    }
    let refusal_of_two = refusal(&server, "POST", RULES, two_faults, 400);
    let faults = refusal_of_two["faults"].as_array().unwrap();
    let lines: Vec<_> = faults.iter().map(|fault| fault["line"].as_u64().unwrap()).collect();
    assert!(lines == [2, 4], "all are told at once: {refusal_of_two}");
    assert!(faults[0]["hint"].as_str().unwrap().contains("`conditons`"), "{refusal_of_two}");

    let mismatch = refusal(&server, "PUT", "/api/v1/definitions/other", &definition(1), 400);
    assert_eq!(mismatch["error"], "id_mismatch");
    let csv = server.call("POST", RULES, &[("content-type", "text/csv")], rule(1, "a"));
    assert_eq!(csv.status(), 415, "{}", csv.text());
    let large = format!("# {}\n", "x".repeat(1 << 20));
    assert_eq!(server.call("POST", RULES, &[YAML], large).status(), 413);
    assert_eq!(server.get(RULES).json_of(200)["version"], 0, "nothing has changed");
}

#[test]
fn a_change_is_in_force_on_every_core_once_it_is_answered() {
    let place = Place::new(&[]);
    let server = place.start();
    server.put(DEFINITIONS, &definition(1));
    // The kernel spreads connections over the cores: opened until each core has some.
    let mut connections: Vec<Connection> = Vec::new();
    while core_connections(&server).iter().any(|count| *count < 3) {
        assert!(connections.len() < 1_000, "the kernel gives every core its share");
        connections.push(server.connect());
    }
    for version in 1..=20 {
        let kind = format!("kind-{version}");
        let path = "/api/v1/rules/r";
        let at = version as usize % connections.len();
        let answer = connections[at].call("PUT", path, &[YAML], rule(version, &kind).as_bytes());
        assert!(matches!(answer.unwrap().status(), 200 | 201));
        for connection in &mut connections {
            let body = format!(r#"{{"kind":"{kind}"}}"#);
            let answer = connection.call("POST", "/api/v1/messages", &[], body.as_bytes()).unwrap();
            assert_eq!(answer.json_of(202)["workflows_triggered"], json!(["w"]), "{kind}");
        }
    }
}

fn core_connections(server: &Server) -> Vec<u64> {
    let status = server.get("/api/v1/cluster/status").json_of(200);
    let cores = status["cores"].as_array().unwrap();
    cores.iter().map(|core| core["connections"].as_u64().unwrap()).collect()
}

#[test]
fn the_examples_come_with_a_new_directory_and_only_then() {
    let place = Place::new(&["examples=true"]);
    let server = place.start();
    let ids = |server: &Server| -> Vec<String> {
        let rules = server.get(RULES).json_of(200);
        let id = |rule: &Value| rule["id"].as_str().unwrap().to_owned();
        rules["rules"].as_array().unwrap().iter().map(id).collect()
    };
    assert!(ids(&server).contains(&"high-value-payment".to_owned()));
    let message = r#"{"event_type":"payment_received","amount":15000,"user_id":"user_12345"}"#;
    let accepted = server.call("POST", "/api/v1/messages", &[JSON], message).json_of(202);
    assert_eq!(accepted["workflows_triggered"], json!(["fraud_check"]));
    let path = "/api/v1/rules/high-value-payment";
    assert_eq!(server.call("DELETE", path, &[], "").status(), 200);
    let left = ids(&server);
    server.kill();
    assert_eq!(ids(&place.start()), left, "what was deleted stays deleted");
}
