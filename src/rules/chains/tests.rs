//! What rules name of each other.

use super::*;
use crate::parse;
use document::Source;

/// Rules as `id: needed needed`, a `>` before what is continued from.
fn rules(lines: &[&str]) -> Vec<Rule> {
    let rule = |line: &&str| {
        let (id, needs) = line.split_once(':').unwrap();
        let (mut more, mut requires) = (String::new(), Vec::new());
        for needed in needs.split_whitespace() {
            match needed.strip_prefix('>') {
                Some(id) => more = format!(", continue_from: {id}"),
                None => requires.push(needed),
            }
        }
        if !requires.is_empty() {
            more = format!("{more}, requires: [{}]", requires.join(", "));
        }
        let text = format!("{{id: {id}, conditions: [{{field: a, op: exists}}]{more}}}");
        // One by one, so that circles are not refused already.
        let source = Source { name: "r", text: &text };
        parse(source).map_or_else(|_| looping(&text), |mut rules| rules.remove(0))
    };
    lines.iter().map(rule).collect()
}

/// A rule that needs itself.
fn looping(text: &str) -> Rule {
    let (start, _) = text.split_once(", requires").or(text.split_once(", continue_from")).unwrap();
    let text = format!("{start}}}");
    let rule = parse(Source { name: "r", text: &text }).unwrap().remove(0);
    Rule { requires: vec![rule.id.clone()], ..rule }
}

fn said(lines: &[&str]) -> Vec<String> {
    let rules = rules(lines);
    let find = |id: &str| rules.iter().find(|rule| rule.id == id);
    let mut check = ChainCheck::new(&find);
    rules.iter().filter_map(|rule| check.check(rule).err()).map(|e| e.to_string()).collect()
}

#[test]
fn what_rules_need_is_there_and_is_no_circle() {
    let rows: [(&[&str], &[&str]); 7] = [
        (&["a:", "b: a", "c: a b", "d: >c b"], &[]),
        (&["a: x"], &["the rule `a` needs the rule `x`, which is not there"]),
        (&["a: >x y"], &["the rule `a` needs the rule `x`, which is not there"]),
        (&["a: a"], &["rules need each other in a circle: `a` needs `a`"]),
        (
            &["a: b", "b: >c", "c: b", "d: c"],
            &["rules need each other in a circle: `b` needs `c` needs `b`"],
        ),
        (
            &["z: a", "a: b", "b: c", "c: a", "x: x"],
            &[
                "rules need each other in a circle: `a` needs `b` needs `c` needs `a`",
                "rules need each other in a circle: `x` needs `x`",
            ],
        ),
        (&["d: a b c", "a:", "b: a", "c: b a"], &[]),
    ];
    for (lines, expected) in rows {
        assert_eq!(said(lines), expected, "{lines:?}");
    }
}

#[test]
fn a_row_of_needs_is_bounded_whichever_end_is_looked_at_first() {
    let row = |count: usize| {
        let one = |n: usize| match n {
            0 => "r0:".to_owned(),
            n if n % 2 == 0 => format!("r{n}: r{}", n - 1),
            n => format!("r{n}: >r{}", n - 1),
        };
        (0..count).map(one).collect::<Vec<_>>()
    };
    for reversed in [false, true] {
        for (count, faults) in [(CHAIN_RULES_MAX, 0), (CHAIN_RULES_MAX + 1, 1)] {
            let mut lines = row(count);
            if reversed {
                lines.reverse();
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let said = said(&lines);
            assert_eq!(said.len(), faults, "{said:?}");
            if let Some(said) = said.first() {
                assert!(said.starts_with("more than 16 rules need one another in a row: `r16`"));
                assert!(said.ends_with("needs `r0`"), "{said}");
            }
        }
    }
    // However long the row, the recursion is not.
    let lines = row(100_000);
    let lines: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
    let rules = rules(&lines[..2_000]);
    let by_id: BTreeMap<&str, &Rule> = rules.iter().map(|rule| (&*rule.id, rule)).collect();
    let find = |id: &str| by_id.get(id).copied();
    let mut check = ChainCheck::among(&find);
    assert!(rules.iter().any(|rule| check.check(rule).is_err()));
}

#[test]
fn dependents_are_those_who_need_a_rule_directly_or_over_others() {
    let rules = rules(&["a:", "b: a", "c: >b a", "d: c", "e: a"]);
    let mut dependents = Dependents::default();
    for rule in &rules {
        dependents.insert(rule);
    }
    assert_eq!(dependents.of("a").collect::<Vec<_>>(), ["b", "c", "e"]);
    assert_eq!(dependents.of("e").count(), 0);
    let all = dependents.of_all(["b"]);
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["c", "d"]);
    dependents.remove(&rules[2]);
    assert_eq!(dependents.of("a").collect::<Vec<_>>(), ["b", "e"]);
    assert_eq!(dependents.of("b").count(), 0);
    for rule in [&rules[1], &rules[3], &rules[4]] {
        dependents.remove(rule);
    }
    assert_eq!(dependents, Dependents::default());
}
