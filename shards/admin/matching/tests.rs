use super::*;
use crate::tests::{directory, text};

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

#[test]
fn the_rules_that_match_are_named_by_priority() {
    let files = [("r.yaml", RULES), ("m.json", "{\"event_type\":\"payment\",\"amount\":1001}\n")];
    let directory = directory(&files);
    let (rules, message) = (directory.path().join("r.yaml"), directory.path().join("m.json"));
    let (outcome, out) = text(|out| test(&rules, Some(&message), true, out));
    assert_eq!((outcome, out.as_str()), (Ok(()), "{\"matched\":[\"large\",\"any-payment\"]}\n"));
    let (_, out) = text(|out| test(&rules, Some(&message), false, out));
    let lines: Vec<_> = out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["PRIORITY", "RULE", "VERSION", "WORKFLOWS"]);
    assert_eq!(lines[1], ["100", "large", "1", "fraud_check"]);
    assert_eq!(lines[2], ["5", "any-payment", "1", "audit,", "score"]);
}

#[test]
fn a_message_that_no_rule_matches_is_no_error() {
    let directory = directory(&[("r.yaml", RULES), ("m.json", "{}")]);
    let (rules, message) = (directory.path().join("r.yaml"), directory.path().join("m.json"));
    let (outcome, out) = text(|out| test(&rules, Some(&message), false, out));
    assert_eq!((outcome, out.as_str()), (Ok(()), "none of 2 enabled rules matches\n"));
    let (_, out) = text(|out| test(&rules, Some(&message), true, out));
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
        let (outcome, out) = text(|out| test(&rules, Some(&message), true, out));
        let error = outcome.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(out, "", "nothing is printed as if it were an answer");
    }
    let stdin = PathBuf::from("-");
    let (outcome, _) = text(|out| test(&stdin, Some(&stdin), true, out));
    assert!(outcome.unwrap_err().contains("standard input"));
}

#[test]
fn the_files_own_tests_run_with_a_message_and_without() {
    let failing = RULES.replace("fires: true", "fires: false");
    let files = [("good.yaml", RULES), ("bad.yaml", failing.as_str()), ("m.json", "{}")];
    let directory = directory(&files);
    let path = |name: &str| directory.path().join(name);
    let message = path("m.json");

    let (outcome, out) = text(|out| test(&path("good.yaml"), None, false, out));
    assert_eq!(outcome, Ok(()));
    assert!(out.ends_with("good.yaml: 1 of 1 test passed\n"), "{out}");
    let (_, out) = text(|out| test(&path("good.yaml"), None, true, out));
    assert_eq!(out, "{\"passed\":1,\"failed\":[],\"not_run\":0}\n");

    let (outcome, out) = text(|out| test(&path("bad.yaml"), Some(&message), true, out));
    assert_eq!(out, "{\"matched\":[]}\n", "what was asked is answered");
    let error = outcome.unwrap_err();
    assert!(error.starts_with("1 fault in the rules' own files\n"), "{error}");
    assert!(error.contains("bad.yaml:9:9: a test fails: `large` should not fire"), "{error}");
}

#[test]
fn a_folder_is_one_set_of_rules() {
    let other =
        "- { id: other, conditions: [{ field: a, op: exists }], actions: [{ workflow: w }] }";
    let directory = directory(&[("a.yaml", RULES), ("b.yml", other), ("notes.txt", "not rules")]);
    let message = directory.path().join("notes.txt");
    std::fs::write(&message, r#"{"event_type":"payment","a":1}"#).unwrap();
    let folder = directory.path().to_owned();
    let (outcome, out) = text(|out| test(&folder, Some(&message), true, out));
    assert_eq!((outcome, out.as_str()), (Ok(()), "{\"matched\":[\"any-payment\",\"other\"]}\n"));
}
