//! Rules and definitions: put, replaced, deleted, refused, and in force on every core at once.

use crate::client::Connection;
use crate::server::{Place, Server};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

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

    let hash = |path: &str| format!("{:016x}", base::hash64(server.get(path).text().as_bytes()));
    let rules = server.get(RULES).json_of(200);
    let expected = json!([{
        "id": "r", "version": 2, "priority": 0, "enabled": true, "workflows": ["w"],
        "hash": hash("/api/v1/rules/r"),
    }]);
    assert_eq!((&rules["version"], &rules["rules"]), (&json!(4), &expected));
    let definitions = server.get(DEFINITIONS).json_of(200);
    let hash = hash("/api/v1/definitions/w");
    let expected = json!([{"id": "w", "version": 2, "tasks": ["t"], "hash": hash}]);
    assert_eq!(definitions["definitions"], expected);
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

#[test]
fn a_rules_versions_are_kept_with_their_authors_and_can_be_gone_back_to() {
    let place = Place::new(&[]);
    let server = place.start();
    server.put(DEFINITIONS, &definition(1));
    let by = |name: &'static str| [YAML, ("x-distric-user", name)];
    let path = "/api/v1/rules/r";
    for (version, kind, user) in [(1, "a", "ann"), (2, "b", "bob")] {
        let answer = server.call("PUT", path, &by(user), rule(version, kind));
        assert!(answer.status() < 300, "{}", answer.text());
    }
    let post = |verb: &str, body: &str, status: u16| {
        server.call("POST", &format!("{path}/{verb}"), &by("eve"), body).json_of(status)
    };
    post("disable", "", 200);
    let listed = server.get(RULES).json_of(200);
    assert_eq!(
        (&listed["rules"][0]["enabled"], &listed["rules"][0]["version"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(post("disable", "", 200)["version"], listed["version"], "nothing has changed");
    post("enable", "", 200);
    assert_eq!(post("rollback", "{\"version\":1}", 200)["stored"], json!(["r"]));
    let same = server.get(path).json_of(200);
    assert_eq!((&same["version"], &same["conditions"][0]["value"]), (&json!(3), &json!("a")));
    let told = |server: &Server| -> Vec<Value> {
        let versions = server.get(&format!("{path}/versions")).json_of(200);
        let one = |row: &Value| json!([row["version"], row["action"], row["by"]]);
        versions["versions"].as_array().unwrap().iter().map(one).collect()
    };
    let expected = json!([
        [3, "rolled_back", "eve"],
        [2, "enabled", "eve"],
        [2, "disabled", "eve"],
        [2, "stored", "bob"],
        [1, "stored", "ann"],
    ]);
    assert_eq!(json!(told(&server)), expected);
    assert_eq!(
        server.get(&format!("{path}/versions/2")).json_of(200)["conditions"][0]["value"],
        "b"
    );
    for (method, verb, body, status) in [
        ("POST", "rollback", "{\"version\":9}", 404),
        ("POST", "rollback", "{\"verson\":1}", 400),
        ("POST", "rollback", "", 400),
        ("GET", "versions/9", "", 404),
    ] {
        refusal(&server, method, &format!("{path}/{verb}"), body, status);
    }
    refusal(&server, "POST", "/api/v1/rules/x/enable", "", 404);
    refusal(&server, "GET", "/api/v1/definitions/x/versions", "", 404);
    let long =
        server.call("POST", &format!("{path}/enable"), &[("x-distric-user", &"x".repeat(129))], "");
    assert_eq!(long.status(), 400, "{}", long.text());
    // It is state: it survives the power.
    assert_eq!(server.call("DELETE", path, &[], "").status(), 200);
    server.kill();
    let server = place.start();
    assert_eq!(told(&server)[0], json!([3, "deleted", ""]));
    let back = server.call("POST", &format!("{path}/rollback"), &[JSON], "{\"version\":2}");
    assert_eq!(back.json_of(201)["stored"], json!(["r"]));
    assert_eq!(server.get(path).json_of(200)["version"], 4);
}

#[test]
fn a_rule_whose_own_test_fails_is_refused_with_its_place() {
    let place = Place::new(&[]);
    let server = place.start();
    server.put(DEFINITIONS, &definition(1));
    let tested = |fires: bool| {
        format!(
            "rules:\n- id: r\n  enabled: false\n  conditions: [{{ field: k, op: equals, value: 1 }}]\n  \
             actions: [{{ workflow: w }}]\n  tests:\n  - {{ message: {{ k: 1 }}, fires: {fires} }}\n"
        )
    };
    for (method, path) in [("POST", RULES), ("PUT", RULES), ("PUT", "/api/v1/rules/r")] {
        let refusal = refusal(&server, method, path, &tested(false), 400);
        assert_eq!(refusal["error"], "invalid_rule");
        let fault = &refusal["faults"][0];
        assert_eq!((&fault["line"], &fault["column"]), (&json!(7), &json!(5)), "{refusal}");
        assert!(
            fault["what"].as_str().unwrap().contains("`r` should not fire and does"),
            "{fault}"
        );
    }
    assert_eq!(server.call("PUT", RULES, &[YAML], tested(true)).status(), 200);
}

/// Rules in a set that is swapped.
const SET_RULES: usize = 10_000;

/// So many rules of which one is woken by each message, all of one version.
fn set(version: u32, workflow: &str) -> String {
    let rules = (0..SET_RULES).map(|at| {
        format!(
            "{{\"id\":\"r{at}\",\"version\":{version},\"conditions\":[{{\"field\":\"k\",\"op\":\"equals\",\
             \"value\":{at}}}],\"actions\":[{{\"workflow\":\"{workflow}\"}}]}}"
        )
    });
    format!("{{\"rules\":[{}]}}", rules.collect::<Vec<_>>().join(","))
}

#[test]
fn ten_thousand_rules_are_swapped_under_load_and_every_answer_is_of_one_set() {
    let place = Place::new(&["http_body_timeout=60s"]);
    let server = place.start();
    for id in ["one", "two"] {
        let text = definition(1).replace("id: w,", &format!("id: {id},"));
        assert_eq!(server.call("POST", DEFINITIONS, &[YAML], text).status(), 201);
    }
    let put = |version: u32, workflow: &str| {
        server.call("PUT", RULES, &[JSON], set(version, workflow)).json_of(200)
    };
    let first = put(1, "one");
    assert_eq!(first["added"].as_array().map(Vec::len), Some(SET_RULES));
    let (over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let answered: Vec<(u64, u64)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let (server, over, answers) = (&server, &over, &answers);
                scope.spawn(move || {
                    let mut connection = server.connect();
                    let (mut one, mut two, mut at) = (0, 0, client);
                    while !over.load(Ordering::Relaxed) {
                        at = (at + 7_919) % SET_RULES;
                        let body = format!("{{\"k\":{at}}}");
                        let path = "/api/v1/messages";
                        let answer = connection.call("POST", path, &[], body.as_bytes()).unwrap();
                        let woken = &answer.json_of(202)["workflows_triggered"];
                        one += u64::from(*woken == json!(["one"]));
                        two += u64::from(*woken == json!(["two"]));
                        answers.fetch_add(1, Ordering::Relaxed);
                        assert!(*woken == json!(["one"]) || *woken == json!(["two"]), "{woken}");
                    }
                    (one, two)
                })
            })
            .collect();
        for version in 2..=5 {
            let workflow = if version % 2 == 0 { "two" } else { "one" };
            let before = answers.load(Ordering::Relaxed);
            let swapped = put(version, workflow);
            let meanwhile = answers.load(Ordering::Relaxed) - before;
            assert!(meanwhile > 0, "messages are answered while a set is made ready");
            assert_eq!(swapped["changed"].as_array().map(Vec::len), Some(SET_RULES));
            assert_eq!(swapped["unchanged"], 0);
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let (one, two) = answered.iter().fold((0, 0), |(a, b), (one, two)| (a + one, b + two));
    assert!(one > 0 && two > 0, "service went on under both: {one}, {two}");
    // The same set again changes nothing, whatever the size of it.
    let again = put(5, "one");
    assert_eq!((&again["unchanged"], &again["changed"]), (&json!(SET_RULES), &json!([])));
    // A start makes the sets of the log ready again, in order.
    server.kill();
    let server = place.start();
    let listed = server.get(RULES).json_of(200);
    assert_eq!(listed["version"], again["version"]);
    let body = r#"{"k":9999}"#;
    let woken = server.call("POST", "/api/v1/messages", &[], body).json_of(202);
    assert_eq!(woken["workflows_triggered"], json!(["one"]));
    assert!(server.metric("distric_catalogue_swap_duration_seconds_count") > 0);
    let fewer = server.call("PUT", RULES, &[JSON], "{\"rules\":[]}").json_of(200);
    assert_eq!(fewer["deleted"].as_array().map(Vec::len), Some(SET_RULES));
}
