use super::*;
use crate::tests::{directory, text};
use serde_json::Value;

const RULES: &str = "
- { id: pay, conditions: [{ field: kind, op: equals, value: pay }], actions: [{ workflow: w }] }
- { id: off, enabled: false, conditions: [{ field: a, op: exists }], actions: [{ workflow: w }] }
- { id: gone, conditions: [{ field: kind, op: not_exists }], actions: [{ workflow: w }] }
";

const MESSAGES: &str = "{\"kind\":\"pay\"}\n\n  {\"kind\":\"x\"}\r\n{\"kind\":\"pay\",\"a\":1}\n";

fn run(rules: &str, messages: &str, json: bool) -> (Result<(), String>, String) {
    run_in(Mode::Strict, rules, messages, json)
}

fn run_in(mode: Mode, rules: &str, messages: &str, json: bool) -> (Result<(), String>, String) {
    let directory = directory(&[("r.yaml", rules), ("m.jsonl", messages)]);
    let (rules, messages) = (directory.path().join("r.yaml"), directory.path().join("m.jsonl"));
    let time = Duration::from_millis(1);
    let asked = Asked { rules: &rules, messages: &messages, time, mode, json };
    text(|out| bench(&asked, out))
}

#[test]
fn what_was_counted_is_right_and_what_was_measured_is_there() {
    let (outcome, out) = run(RULES, MESSAGES, true);
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    let counted = [
        ("messages", 3),
        ("matches", 2),
        ("matched_messages", 2),
        ("rules", 2),
        ("always_checked", 1),
        ("slowest_sampled", 2),
    ];
    for (name, expected) in counted {
        assert_eq!(value[name], expected, "{name}");
    }
    // `gone` is looked at for every message, `pay` for two of three.
    let candidates = value["candidates_per_event"].as_f64().unwrap();
    assert!((candidates - 5.0 / 3.0).abs() < 1e-9, "{candidates}");
    for name in ["events_per_cpu_second", "best_events_per_cpu_second", "p50_ns", "p99_ns"] {
        assert!(value[name].as_u64().unwrap() > 0, "{name}: {value}");
    }
    assert!(value["events"].as_u64().unwrap() >= ROUND_EVENTS_MIN as u64);
    assert!(value["p50_ns"].as_u64() <= value["p99_ns"].as_u64());
    let rules = value["slowest_rules"].as_array().unwrap();
    let gone = rules.iter().find(|rule| rule["rule"] == "gone").unwrap();
    assert_eq!((&gone["candidate_share"], &gone["match_share"]), (&1.0.into(), &0.0.into()));
    assert!(!value["machine"]["cpu"].as_str().unwrap().is_empty());
}

#[test]
fn in_fast_mode_the_same_is_found() {
    let (outcome, out) = run_in(Mode::Fast, RULES, MESSAGES, true);
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["mode"], &value["matches"]), (&"fast".into(), &2.into()));
    let (_, out) = run_in(Mode::Fast, RULES, MESSAGES, false);
    assert!(out.contains("raw, each read as far as some rule asks (fast)\n"), "{out}");
    let (outcome, _) = run_in(Mode::Fast, RULES, "{}\n[1]\n", true);
    assert!(outcome.unwrap_err().contains("m.jsonl:2: a message is a JSON object"));
}

#[test]
fn people_read_the_same() {
    let (_, out) = run(RULES, MESSAGES, false);
    for expected in [
        "rules  2 enabled rules, 1 looked at for every message; compiled in ",
        "input  3 messages of 15 bytes, raw, each checked whole (strict)\n",
        "events per CPU second  ",
        "matches                2 in all, in 2 messages\n",
        "candidates per event   1.67\n",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}

#[test]
fn a_bad_message_is_told_with_its_line() {
    let rows = [
        ("{}\n\n[1]\n", "m.jsonl:3: a message is a JSON object"),
        ("{}\n{\"a\":}\n", "m.jsonl:2: not JSON: at byte 5"),
        ("\n \n", "m.jsonl: no message; one JSON object a line was expected"),
    ];
    for (messages, expected) in rows {
        let (outcome, out) = run(RULES, messages, true);
        let error = outcome.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(out, "");
    }
}

#[test]
fn no_rules_are_rules_too() {
    let (outcome, out) = run("rules: []", MESSAGES, true);
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["matches"], &value["slowest_rules"]), (&0.into(), &Value::Array(vec![])));
}
