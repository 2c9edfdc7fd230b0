//! What is said of rules that are legal and look wrong.

use crate::{lint, parse};
use document::{Fault, Source};

fn said(text: &str) -> Vec<String> {
    let source = Source { name: "rules", text };
    let rules = parse(source).unwrap_or_else(|faults| panic!("{faults}"));
    lint(&[(source, &rules)]).doubts.into_iter().map(|fault| fault.what).collect()
}

fn rule(id: &str, more: &str, conditions: &str) -> String {
    format!("- {{id: {id}, {more} conditions: [{conditions}], actions: [{{workflow: w}}]}}\n")
}

#[test]
fn what_looks_wrong_is_said_and_what_does_not_is_not() {
    let a1 = "{field: a, op: equals, value: 1}";
    let b1 = "{field: b, op: equals, value: 1}";
    let crossed = "{field: a, op: greater_than, value: 9}, {field: a, op: less_than, value: 3}";
    let rows: [(String, &[&str]); 9] = [
        (rule("x", "", a1) + &rule("y", "", b1), &[]),
        (rule("x", "", crossed), &["the rule `x` never matches"]),
        (
            rule("x", "", &format!("{a1}, {b1}"))
                + &rule("y", "priority: 2,", &format!("{a1}, {b1}")),
            &["the rule `x` has the same conditions as `y`"],
        ),
        (
            rule("x", "", &format!("{a1}, {b1}")) + &rule("y", "priority: 2, stop: true,", a1),
            &["the rule `x` is never reached"],
        ),
        // Not hidden: it comes first, or does not need what the other needs.
        (
            rule("x", "priority: 3,", &format!("{a1}, {b1}"))
                + &rule("y", "priority: 2, stop: true,", a1),
            &[],
        ),
        (rule("x", "", a1) + &rule("y", "priority: 2, stop: true,", &format!("{a1}, {b1}")), &[]),
        (
            rule("x", "", a1) + &rule("y", "stop: true,", b1),
            &["the rule `y` says `stop` and has the priority of `x`: their ids decide the order"],
        ),
        (
            rule("x", "", &format!("{a1}, {{field: 'b[0].c[-2]', op: exists}}")),
            &["`b[0].c[-2]` is never there: no element has the index -2"],
        ),
        // A disabled rule is beside nothing.
        (rule("x", "", a1) + &rule("y", "enabled: false,", a1), &[]),
    ];
    for (text, expected) in rows {
        assert_eq!(said(&text), expected, "{text}");
    }
}

#[test]
fn what_rules_need_of_each_other_is_looked_at_over_all_files() {
    let one = "
- { id: base, enrich: { x: 1 }, conditions: [{ field: a, op: exists }] }
- { id: lonely, conditions: [{ field: b, op: exists }] }
- { id: off, enabled: false, conditions: [{ field: c, op: exists }] }
- { id: unseen, enrich: { x: 1 }, conditions: [{ field: d, op: exists }] }
";
    let two = "
- id: next
  continue_from: base
  requires: [off, gone, unseen]
  conditions: [{ field: x, op: not_exists }]
  actions: [{ workflow: w }]
  tests: [{ message: { a: 1 }, fires: true }]
- id: tested
  continue_from: base
  requires: [off]
  conditions: [{ field: x, op: equals, value: 1 }]
  actions: [{ workflow: w }]
  tests:
    - { message: { a: 1, c: 1 }, fires: true }
    - { message: { a: 1 }, fires: true }
";
    let (one, two) = (Source { name: "one", text: one }, Source { name: "two", text: two });
    let (first, second) = (parse(one).unwrap(), parse(two).unwrap());
    let findings = lint(&[(two, &second), (one, &first)]);
    let said = |faults: &[Fault]| -> Vec<String> {
        faults.iter().map(|f| format!("{}:{} {}", f.file, f.span.line, f.what)).collect()
    };
    // Whether what is needed is enabled is no matter to a test; without `gone` none can run.
    assert_eq!(said(&findings.faults), ["two:15 a test fails: `tested` should fire and does not"]);
    assert_eq!(
        said(&findings.doubts),
        [
            "two:2 the rule `next` needs the rule `gone`, which is not here",
            "two:2 the rule `next` needs the rule `off`, which is disabled",
            "two:8 the rule `tested` needs the rule `off`, which is disabled",
            "one:3 the rule `lonely` has no actions, and no rule needs it",
            "one:5 what the rule `unseen` adds to the message is seen by nobody",
        ]
    );
}

#[test]
fn circles_and_namesakes_are_told_over_all_files() {
    let text = |id: &str, needs: &str| {
        format!(
            "{{id: {id}, requires: [{needs}], conditions: [{{field: a, op: exists}}], actions: [{{workflow: w}}]}}"
        )
    };
    let texts = [("x", text("a", "b")), ("y", text("b", "c")), ("z", text("c", "a"))];
    let rules: Vec<_> = (texts.iter())
        .map(|(name, text)| (Source { name, text }, parse(Source { name, text }).unwrap()))
        .collect();
    let files: Vec<_> = rules.iter().map(|(source, rules)| (*source, rules.as_slice())).collect();
    let findings = lint(&files);
    let [circle] = &findings.faults[..] else { panic!("{:?}", findings.faults) };
    assert_eq!(circle.file, "x");
    assert!(circle.what.ends_with("`a` needs `b` needs `c` needs `a`"), "{}", circle.what);

    let same = "{id: N, conditions: [{field: a, op: equals, value: 1}], actions: [{workflow: w}]}";
    let (one, two) = (same.replace('N', "one"), same.replace('N', "two"));
    let (one, two) = (Source { name: "1", text: &one }, Source { name: "2", text: &two });
    let (first, second) = (parse(one).unwrap(), parse(two).unwrap());
    let findings = lint(&[(one, &first), (two, &second)]);
    let [doubt] = &findings.doubts[..] else { panic!("{:?}", findings.doubts) };
    assert_eq!(doubt.what, "the rule `two` has the same conditions as `one`");
    assert!(doubt.hint.as_ref().unwrap().ends_with("`one` is at 1:1:1"));
}

#[test]
fn rules_that_need_different_things_are_neither_the_same_nor_hidden() {
    let a1 = "{field: a, op: equals, value: 1}";
    let base = rule("base", "enrich: {x: 1},", "{field: b, op: exists}");
    let rows: [(String, &[&str]); 4] = [
        (rule("x", "", a1) + &rule("y", "requires: [base],", a1), &[]),
        (rule("x", "continue_from: base,", a1) + &rule("y", "requires: [base],", a1), &[]),
        (
            rule("x", "priority: 1,", a1)
                + &rule("y", "priority: 2, stop: true, requires: [base],", a1),
            &[],
        ),
        (
            rule("x", "requires: [base],", a1) + &rule("y", "priority: 2, stop: true,", a1),
            &["the rule `x` is never reached"],
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(said(&(base.clone() + &text)), expected, "{text}");
    }
}
