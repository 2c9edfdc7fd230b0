//! Changes and merges against compiling at once.

use super::{Catalogue, DELTA_RULES_MAX, Matches};
use crate::{Matcher, Rule, parse};
use base::Prng;
use document::Source;
use std::collections::BTreeMap;

fn rule(id: &str, field: &str, value: u64, more: &str) -> Rule {
    let text = format!(
        "{{id: {id}, {more} conditions: [{{field: {field}, op: equals, value: {value}}}], actions: [{{workflow: w}}]}}"
    );
    parse(Source { name: "rule", text: &text }).unwrap().remove(0)
}

fn matched(catalogue: &Catalogue, matcher: &mut Matcher, message: &str) -> Vec<String> {
    let mut found = Matches::new();
    matcher.matches(catalogue, message.as_bytes(), &mut found).unwrap();
    found.iter().map(|index| catalogue.rule(*index).id.clone()).collect()
}

#[test]
fn a_changed_catalogue_matches_as_one_that_was_compiled_at_once() {
    let mut prng = Prng::new(7);
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    let mut changed = Catalogue::default();
    let mut matcher = Matcher::new();
    for step in 0..1_500 {
        let id = format!("r{}", prng.below(200));
        if prng.chance(1, 4) {
            rules.remove(&id);
            changed = changed.with_change(Vec::new(), &[&id]);
        } else {
            let field = format!("f{}", prng.below(6));
            let priority = prng.below(3);
            let more = match prng.below(20) {
                0 => "stop: true,".to_owned(),
                1 => "enabled: false,".to_owned(),
                _ => format!("priority: {priority},"),
            };
            let rule = rule(&id, &field, prng.below(3), &more);
            rules.insert(id, rule.clone());
            changed = changed.with_change(vec![rule], &[]);
        }
        if changed.needs_merge() {
            changed = changed.merge();
            assert!(!changed.needs_merge());
        }
        if step % 5 == 0 {
            let whole = Catalogue::compile(rules.values().cloned().collect());
            let ids = |catalogue: &Catalogue| -> Vec<String> {
                catalogue.rules().iter().map(|rule| rule.id.clone()).collect()
            };
            assert_eq!(ids(&changed), ids(&whole));
            assert_eq!(changed.len(), whole.len());
            for value in 0..3 {
                let message = format!(
                    "{{\"f0\":{value},\"f1\":{value},\"f2\":0,\"f3\":1,\"f4\":2,\"f5\":{value}}}"
                );
                let expected = matched(&whole, &mut Matcher::new(), &message);
                assert_eq!(matched(&changed, &mut matcher, &message), expected);
            }
        }
    }
}

#[test]
fn a_change_replaces_adds_and_removes_and_leaves_the_old_catalogue_as_it_was() {
    let old = Catalogue::compile(vec![rule("a", "x", 1, ""), rule("b", "x", 1, "")]);
    let replaced = rule("a", "x", 2, "");
    let new = old.with_change(vec![replaced, rule("c", "x", 1, "priority: 1,")], &["b", "unknown"]);
    let mut matcher = Matcher::new();
    assert_eq!(matched(&old, &mut matcher, "{\"x\":1}"), ["a", "b"]);
    assert_eq!(matched(&new, &mut matcher, "{\"x\":1}"), ["c"]);
    assert_eq!(matched(&new, &mut matcher, "{\"x\":2}"), ["a"]);
    assert_eq!((old.len(), new.len()), (2, 2));
    assert!(new.find("b").is_none() && old.find("b").is_some());
    assert_eq!(new.rule(new.find("a").unwrap()).id, "a");
    let off = new.with_change(vec![rule("a", "x", 2, "enabled: false,")], &["c"]);
    assert!(off.is_empty() && off.find("a").is_none());
    // Of two rules with one id the last counts.
    let twice = old.with_change(vec![rule("a", "x", 3, ""), rule("a", "x", 4, "")], &[]);
    assert_eq!(matched(&twice, &mut matcher, "{\"x\":3}"), [""; 0]);
    assert_eq!(matched(&twice, &mut matcher, "{\"x\":4}"), ["a"]);
}

#[test]
fn a_merge_is_due_after_many_changes_and_not_after_few() {
    let all: Vec<Rule> = (0..1_000).map(|n| rule(&format!("r{n}"), "x", n, "")).collect();
    let base = Catalogue::compile(all);
    let mut changed = base.clone();
    for n in 0..u64::try_from(DELTA_RULES_MAX).unwrap() {
        changed = changed.with_change(vec![rule(&format!("r{n}"), "y", n, "")], &[]);
    }
    assert!(!changed.needs_merge());
    changed = changed.with_change(vec![rule("more", "y", 0, "")], &[]);
    assert!(changed.needs_merge());
    assert_eq!(changed.merge().len(), 1_001);
}
