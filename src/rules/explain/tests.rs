//! What is said of a rule and a message.

use super::explain;
use crate::{Catalogue, parse};
use document::Source;

fn told(rules: &str, id: &str, message: &str) -> (bool, Vec<String>, Vec<String>) {
    let catalogue = Catalogue::compile(parse(Source { name: "rules", text: rules }).unwrap());
    let index = catalogue.find(id).unwrap();
    let told = explain(&catalogue, index, message.as_bytes()).unwrap();
    let line = |c: &super::Explained| {
        let verdict = if c.holds { "yes" } else { "no" };
        let seen =
            if c.seen.is_empty() { String::new() } else { format!(" <- {}", c.seen.join(", ")) };
        let outcome = c.outcome.as_ref().map(|text| format!(" = {text}")).unwrap_or_default();
        format!("{}{verdict}: {}{seen}{outcome}", "  ".repeat(c.depth), c.text)
    };
    (told.matches, told.found_by, told.conditions.iter().map(line).collect())
}

const RULES: &str = "
- id: pay
  conditions:
    - { field: event_type, op: equals, value: payment }
    - any:
        - { field: amount, op: in_range, value: {gt: 10, lte: 20} }
        - { field: tags, op: contains, value: vip }
    - none: [{ field: blocked, op: exists }]
    - { field: items.qty, op: greater_than, value: 0, quantifier: all }
  actions: [{ workflow: w }]
- { id: gone, conditions: [{ field: x, op: not_exists }], actions: [{ workflow: w }] }
";

#[test]
fn every_condition_is_told_with_what_was_seen_and_its_verdict() {
    let message =
        r#"{"event_type":"payment","amount":10,"tags":["a","vip"],"items":[{"qty":1},{"qty":0}]}"#;
    let (matches, found_by, conditions) = told(RULES, "pay", message);
    assert!(!matches);
    assert_eq!(found_by, ["event_type: a value"]);
    assert_eq!(
        conditions,
        [
            "no: all of",
            "  yes: event_type equals \"payment\" <- \"payment\"",
            "  yes: any of",
            "    no: amount in_range > 10 and <= 20 <- 10",
            "    yes: tags contains \"vip\" <- an array, \"a\", \"vip\"",
            "  yes: none of",
            "    no: blocked exists",
            "  no: items.qty greater_than 0, of all <- 1, 0",
        ]
    );
}

#[test]
fn an_expression_is_told_with_what_it_came_to() {
    let rule = |text: &str| {
        format!(
            "id: r\nactions: [{{workflow: w}}]\nconditions:\n- {{field: 'a[0].b', op: exists}}\n- expr: ${{ {text} }}\n"
        )
    };
    let message = r#"{"a":[{"b":"secret"}],"n":3}"#;
    let rows = [
        ("msg.n > 2", "  yes: ${ msg.n > 2 } = true"),
        ("msg.n > 3", "  no: ${ msg.n > 3 } = false"),
        ("msg.n + 1", "  no: ${ msg.n + 1 } = int, neither true nor false"),
        ("msg.n > msg.x", "  no: ${ msg.n > msg.x } = an error: there is no `msg.x`"),
        ("msg.n / 0 == 1", "  no: ${ msg.n / 0 == 1 } = an error: `/` by zero"),
    ];
    for (text, expected) in rows {
        let (_, found_by, conditions) = told(&rule(text), "r", message);
        assert_eq!(found_by, ["a[0].b: that it is there"]);
        assert_eq!(conditions[1], "  yes: a[0].b exists <- \"secret\"");
        assert_eq!(conditions[2], expected);
    }
}

#[test]
fn a_chain_is_told_with_what_holds_and_what_was_added() {
    let rules = "
- { id: base, enrich: { x: '${ msg.n + 1 }', y: '${ msg.gone }' }, conditions: [{ field: a, op: equals, value: 1 }] }
- { id: other, stop: true, priority: 9, conditions: [{ field: b, op: exists }] }
- id: next
  continue_from: base
  requires: [other, gone]
  enrich: { z: '${ msg.x * 2 }' }
  conditions: [{ field: x, op: equals, value: 5 }]
";
    let catalogue = Catalogue::compile(parse(Source { name: "rules", text: rules }).unwrap());
    let told = |message: &str| {
        explain(&catalogue, catalogue.find("next").unwrap(), message.as_bytes()).unwrap()
    };
    let all = told(r#"{"a":1,"n":4,"b":1}"#);
    assert!(all.conditions_hold && !all.matches);
    let needs: Vec<_> =
        all.needs.iter().map(|n| (&*n.id, n.continues, n.is_there, n.holds)).collect();
    let expected =
        [("base", true, true, true), ("other", false, true, true), ("gone", false, false, false)];
    assert_eq!(needs, expected);
    let field = |seen: &super::Seen| format!("{} {} {:?}", seen.rule, seen.field, seen.value);
    let sees: Vec<String> = all.sees.iter().map(field).collect();
    assert_eq!(sees, ["base x Ok(\"5\")", "base y Err(\"there is no `msg.gone`\")"]);
    assert_eq!(all.adds.iter().map(field).collect::<Vec<_>>(), ["next z Ok(\"10\")"]);
    assert_eq!(all.found_by, ["x: a value"]);
    assert_eq!(all.conditions[1].seen, ["5"]);
    // Told as if it held.
    let without = told(r#"{"a":2,"n":4}"#);
    assert!(without.conditions_hold && !without.matches && !without.needs[0].holds);
}

#[test]
fn a_message_that_is_enriched_beyond_what_one_may_be_is_explained_as_it_is_matched() {
    let text = "
- id: base
  conditions: [{ field: n, op: exists }]
  enrich: { more: '${ msg.some }' }
- id: next
  continue_from: base
  conditions: [{ field: more, op: ends_with, value: yz }, { field: n, op: equals, value: 1 }]
  actions: [{ workflow: w }]
";
    let catalogue = Catalogue::compile(parse(Source { name: "rules", text }).unwrap());
    let rest = base::limits::MESSAGE_BYTES_MAX - 60_000;
    let message =
        format!(r#"{{"n":1,"some":"{}yz","b":"{}"}}"#, "x".repeat(59_000), "x".repeat(rest));
    assert!(message.len() <= base::limits::MESSAGE_BYTES_MAX);
    let next = catalogue.find("next").unwrap();
    let mut matches = crate::Matches::new();
    crate::Matcher::new().matches(&catalogue, message.as_bytes(), &mut matches).unwrap();
    assert!(matches.contains(&next));
    let told = explain(&catalogue, next, message.as_bytes()).unwrap();
    assert!(told.matches && told.conditions.iter().all(|condition| condition.holds));
    assert_eq!(told.conditions[2].seen, ["1"]);
}

#[test]
fn a_rule_that_nothing_finds_says_so() {
    let (matches, found_by, conditions) = told(RULES, "gone", "{\"y\":1}");
    assert!(matches && found_by.is_empty());
    assert_eq!(conditions, ["yes: all of", "  yes: x not_exists"]);
}

#[test]
fn a_bad_message_is_refused_as_the_matcher_refuses_it() {
    let catalogue = Catalogue::compile(parse(Source { name: "rules", text: RULES }).unwrap());
    assert!(explain(&catalogue, catalogue.find("pay").unwrap(), b"[1]").is_err());
}
