use super::*;
use std::fs;
use tempfile::TempDir;

const RULES: &str = "
rules:
  - id: large
    priority: 100
    conditions:
      - { field: amount, op: greater_than, value: 1000 }
    actions: [{ workflow: fraud_check }]
    tests:
      - { message: { amount: 5000 }, fires: true }
  - id: any-payment
    priority: 5
    conditions:
      - { field: event_type, op: equals, value: payment }
    actions: [{ workflow: audit }, { workflow: score }]
";

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn text(run: impl FnOnce(&mut dyn Write) -> Result<(), Trouble>) -> (Result<(), String>, String) {
    let mut out = Vec::new();
    let outcome = run(&mut out).map_err(|trouble| match trouble {
        Trouble::Input(error) => error.map(|error| format!("{error:#}")).unwrap_or_default(),
        other => panic!("{other:?}"),
    });
    (outcome, String::from_utf8(out).unwrap())
}

#[test]
fn the_rules_that_match_are_named_by_priority() {
    let files = [("r.yaml", RULES), ("m.json", "{\"event_type\":\"payment\",\"amount\":1001}\n")];
    let directory = directory(&files);
    let (rules, message) = (directory.path().join("r.yaml"), directory.path().join("m.json"));
    let (outcome, out) = text(|out| test_rules(&rules, &message, true, out));
    assert_eq!((outcome, out.as_str()), (Ok(()), "{\"matched\":[\"large\",\"any-payment\"]}\n"));
    let (_, out) = text(|out| test_rules(&rules, &message, false, out));
    let lines: Vec<_> = out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["PRIORITY", "RULE", "VERSION", "WORKFLOWS"]);
    assert_eq!(lines[1], ["100", "large", "1", "fraud_check"]);
    assert_eq!(lines[2], ["5", "any-payment", "1", "audit,", "score"]);
}

#[test]
fn a_message_that_no_rule_matches_is_no_error() {
    let directory = directory(&[("r.yaml", RULES), ("m.json", "{}")]);
    let (rules, message) = (directory.path().join("r.yaml"), directory.path().join("m.json"));
    let (outcome, out) = text(|out| test_rules(&rules, &message, false, out));
    assert_eq!((outcome, out.as_str()), (Ok(()), "none of 2 enabled rules matches\n"));
    let (_, out) = text(|out| test_rules(&rules, &message, true, out));
    assert_eq!(out, "{\"matched\":[]}\n");
}

#[test]
fn wrong_rules_and_wrong_messages_are_told_with_their_place() {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MESSAGE_BYTES_MAX));
    let files = [
        ("r.yaml", RULES),
        ("bad.yaml", "rules:\n  - id: x\n    conditions: [{ field: a, op: equal, value: 1 }]\n"),
        ("m.json", "{}"),
        ("list.json", "[1]"),
        ("broken.json", "{\"a\":}"),
        ("large.json", &large),
    ];
    let directory = directory(&files);
    let rows = [
        ("bad.yaml", "m.json", "bad.yaml:3:"),
        ("r.yaml", "list.json", "list.json: a message is a JSON object"),
        ("r.yaml", "broken.json", "broken.json: not JSON"),
        ("r.yaml", "large.json", "the limit is 262144"),
        ("none.yaml", "m.json", "cannot read"),
        ("r.yaml", "none.json", "cannot read"),
    ];
    for (rules, message, expected) in rows {
        let (rules, message) = (directory.path().join(rules), directory.path().join(message));
        let (outcome, out) = text(|out| test_rules(&rules, &message, true, out));
        let error = outcome.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(out, "", "nothing is printed as if it were an answer");
    }
    let (outcome, _) = text(|out| test_rules(Path::new("-"), Path::new("-"), true, out));
    assert!(outcome.unwrap_err().contains("standard input"));
}

#[test]
fn a_rule_file_is_checked_with_its_tests() {
    let failing = RULES.replace("fires: true", "fires: false");
    let directory = directory(&[("good.yaml", RULES), ("failing.yaml", &failing)]);
    let good = vec![directory.path().join("good.yaml")];
    let (outcome, out) = text(|out| check_rules(&good, false, out));
    assert_eq!(outcome, Ok(()));
    assert!(out.ends_with("good.yaml: 2 rules, 1 of 1 test passed\n"), "{out}");

    let failing = vec![directory.path().join("failing.yaml")];
    let (outcome, out) = text(|out| check_rules(&failing, false, out));
    assert_eq!(outcome, Err(String::new()));
    assert!(out.contains("should not fire and does"), "{out}");
    assert!(out.ends_with("failing.yaml: 2 rules, 0 of 1 test passed\n"), "{out}");
}

#[test]
fn a_rule_id_in_two_files_is_a_warning() {
    let directory = directory(&[("a.yaml", RULES), ("b.yaml", RULES)]);
    let files: Vec<_> = ["a.yaml", "b.yaml"].map(|name| directory.path().join(name)).to_vec();
    let (outcome, out) = text(|out| check_rules(&files, true, out));
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["files"][0]["warnings"], json!([]));
    let what = value["files"][1]["warnings"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("the rule id `large` is in ") && what.ends_with("a.yaml too"),
        "{what}"
    );
    assert_eq!(value["files"][1]["ids"], json!(["large", "any-payment"]));
}

#[test]
fn definitions_are_checked_with_the_place_of_every_fault() {
    let good =
        "workflow: { id: w, version: 3, tasks: [{ id: a, type: log, with: { message: x } }] }";
    let bad = "workflow:\n  id: w\n  tasks:\n    - { id: a, type: logg }\n";
    let directory = directory(&[("good.yaml", good), ("bad.yaml", bad)]);
    let path = |name: &str| vec![directory.path().join(name)];
    let (outcome, out) = text(|out| check_definitions(&path("good.yaml"), false, out));
    assert_eq!(outcome, Ok(()), "{out}");
    assert!(out.ends_with("good.yaml: 1 workflow: w version 3 with 1 task\n"), "{out}");
    let (outcome, out) = text(|out| check_definitions(&path("bad.yaml"), false, out));
    assert!(outcome.is_err());
    assert!(out.contains("bad.yaml:4:") && out.contains("logg"), "{out}");
}
