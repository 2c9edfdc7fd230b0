use super::*;
use crate::tests::{directory, text};

const RULES: &str = r"
- id: pay
  priority: 5
  stop: true
  conditions:
    - { field: kind, op: equals, value: payment }
    - none: [{ field: blocked, op: exists }]
  actions: [{ workflow: w }]
- id: later
  conditions: [{ field: kind, op: exists }, { expr: '${ size(msg.kind) > 1 }' }]
  actions: [{ workflow: w }]
- id: shelf
  enabled: false
  conditions:
    - { field: items.stock, op: equals, value: true }
    - { field: items.count, op: greater_than, value: 0 }
  actions: [{ workflow: w }]
";

fn told(rule: &str, message: &str, json: bool) -> (Result<(), String>, String) {
    let directory = directory(&[("r.yaml", RULES), ("m.json", message)]);
    let rule = rule.replace("r.yaml", &directory.path().join("r.yaml").display().to_string());
    let message = directory.path().join("m.json");
    let (outcome, out) = text(|out| explain(&rule, &message, json, out));
    let folder = format!("{}/", directory.path().display());
    (outcome.map_err(|error| error.replace(&folder, "")), out.replace(&folder, ""))
}

#[test]
fn every_condition_stands_with_what_was_seen_its_verdict_and_its_place() {
    let (outcome, out) = told("r.yaml#pay", r#"{"kind":"payment","blocked":null}"#, false);
    assert_eq!(outcome, Ok(()));
    let expected = r#"
rule pay: does not match
  found by: kind: a value
  no   all of
  yes    kind equals "payment"  it is "payment"  (r.yaml:6:41)
  no     none of
  yes      blocked exists       it is null  (r.yaml:7:36)
"#;
    assert_eq!(out, expected.trim_start());
}

#[test]
fn a_rule_whose_conditions_hold_may_not_act_all_the_same() {
    let payment = r#"{"kind":"payment","items":[{"stock":true,"count":1}]}"#;
    let split = r#"{"items":[{"stock":true,"count":0},{"stock":false,"count":1}]}"#;
    let rows = [
        ("r.yaml#pay", payment, "rule pay: matches\n"),
        (
            "r.yaml#later",
            payment,
            "rule later: would match, but `pay` matches first and says `stop`\n",
        ),
        ("r.yaml#shelf", payment, "rule shelf: would match, but is disabled\n"),
        ("r.yaml#shelf", split, "rule shelf: does not match\n"),
        ("r.yaml#shelf", split, "  no   all of: each holds, but for no element all at once\n"),
        ("r.yaml#later", "{}", "it is not there"),
        ("r.yaml#later", r#"{"kind":1}"#, "it is an error: `size` cannot take int"),
    ];
    for (rule, message, expected) in rows {
        let (outcome, out) = told(rule, message, false);
        assert_eq!(outcome, Ok(()));
        assert!(out.contains(expected), "{expected}: {out}");
    }
}

#[test]
fn a_file_stands_for_all_its_rules_in_the_order_of_rank() {
    let (outcome, out) = told("r.yaml", r#"{"kind":"payment"}"#, true);
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    let ids: Vec<_> = (0..3).map(|at| value["rules"][at]["rule"].as_str().unwrap()).collect();
    assert_eq!(ids, ["pay", "later", "shelf"]);
    let later = &value["rules"][1];
    assert_eq!(later["conditions_hold"], true);
    assert_eq!((&later["matches"], &later["stopped_by"]), (&json!(false), &json!("pay")));
    assert_eq!(later["found_by"], json!(["kind: that it is there"]));
    let condition = json!({
        "depth": 1, "condition": "kind exists", "holds": true, "seen": ["\"payment\""],
        "line": 10, "column": 35,
    });
    assert_eq!(later["conditions"][1], condition);
    let expression = json!({
        "depth": 1, "condition": "${ size(msg.kind) > 1 }", "holds": true, "outcome": "true",
        "line": 10, "column": 53,
    });
    assert_eq!(later["conditions"][2], expression);
}

#[test]
fn what_cannot_be_explained_is_told() {
    let rows = [
        ("r.yaml#payy", "{}", "r.yaml: there is no rule `payy`; did you mean `pay`?"),
        ("r.yaml#zzzzzzzz", "{}", "r.yaml: there is no rule `zzzzzzzz`"),
        ("r.yaml#pay", "[1]", "m.json: a message is a JSON object"),
        ("r.yml#pay", "{}", "cannot read r.yml"),
    ];
    for (rule, message, expected) in rows {
        let (outcome, out) = told(rule, message, false);
        let error = outcome.unwrap_err();
        assert!(error.starts_with(expected), "{expected}: {error}");
        assert_eq!(out, "");
    }
    let many = (0..=RULES_MAX)
        .map(|n| format!("- {{ id: r{n}, conditions: [{{ field: a, op: exists }}], actions: [{{ workflow: w }}] }}\n"));
    let directory = directory(&[("r.yaml", &many.collect::<String>()), ("m.json", "{}")]);
    let (rule, message) = (directory.path().join("r.yaml"), directory.path().join("m.json"));
    let (outcome, _) = text(|out| explain(&rule.display().to_string(), &message, false, out));
    let error = outcome.unwrap_err();
    assert!(error.contains("51 rules are too many") && error.ends_with("r.yaml#r0"), "{error}");
}

#[test]
fn a_file_whose_name_has_a_number_sign_is_a_file() {
    let directory = directory(&[("a#b", "")]);
    let path = directory.path().join("a#b");
    assert_eq!(Named::of(path.to_str().unwrap()), Named { path: path.clone(), id: None });
    let with_id = format!("{}#x", path.display());
    assert_eq!(Named::of(&with_id), Named { path, id: Some("x".to_owned()) });
}

#[test]
fn a_chain_stands_above_the_conditions() {
    let rules = "
- id: score
  conditions: [{ field: a, op: exists }]
  enrich: { risk.score: '${ 1 / msg.n }', risk.by: score }
- id: risky
  continue_from: score
  requires: [other]
  enrich: { more: true }
  conditions: [{ field: risk.by, op: equals, value: score }]
  actions: [{ workflow: w }]
- { id: other, enabled: false, conditions: [{ field: a, op: exists }], actions: [{ workflow: w }] }
";
    let directory = directory(&[("r.yaml", rules), ("m.json", r#"{"a":1,"n":0}"#)]);
    let (rule, message) = (directory.path().join("r.yaml"), directory.path().join("m.json"));
    let rule = format!("{}#risky", rule.display());
    let (outcome, out) = text(|out| explain(&rule, &message, false, out));
    assert_eq!(outcome, Ok(()));
    let out = out.replace(&format!("{}/", directory.path().display()), "");
    let expected = r#"
rule risky: would match, but needs `other`, which is not there, or is disabled
  found by: risk.by: a value
  continues from score, which holds
  requires other, which is not there, or is disabled
  sees risk.by = "score", from score
  sees no risk.score: `/` by zero, from score
  adds more = true
  yes  all of
  yes    risk.by equals "score"  it is "score"  (r.yaml:9:53)
"#;
    assert_eq!(out, expected.trim_start());
    let (_, out) = text(|out| explain(&rule, &message, true, out));
    let value: Value = serde_json::from_str(&out).unwrap();
    let told = &value["rules"][0];
    assert_eq!((&told["conditions_hold"], &told["matches"]), (&json!(true), &json!(false)));
    let needs = json!([
        { "rule": "score", "continues": true, "is_there": true, "holds": true },
        { "rule": "other", "continues": false, "is_there": false, "holds": false },
    ]);
    assert_eq!(told["needs"], needs);
    let missing = json!({
        "rule": "score", "field": "risk.score", "value": null, "missing": "`/` by zero",
    });
    assert_eq!(told["sees"][1], missing);
}
