//! What is said of rules that are legal and look wrong.

use crate::{lint, parse};
use document::Source;

fn said(text: &str) -> Vec<String> {
    let source = Source { name: "rules", text };
    lint(source, &parse(source).unwrap()).into_iter().map(|fault| fault.what).collect()
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
