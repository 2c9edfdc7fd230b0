//! Matching allocates nothing once the buffers have grown to what messages need.

#![allow(clippy::unwrap_used, reason = "a test")]

use document::Source;
use rules::{Catalogue, Matcher, Matches, Rule, parse};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::fmt::Write;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OPERATIONS: [&str; 14] = [
    "op: equals, value: v",
    "op: not_equals, value: v",
    "op: greater_than, value: 5",
    "op: in_range, value: [1, 9]",
    "op: in, value: [v, 3, null]",
    "op: not_in, value: [v]",
    "op: contains, value: abcde",
    "op: contains, value: b",
    "op: starts_with, value: ab",
    "op: ends_with, value: de",
    "op: wildcard, value: 'a*c?e'",
    "op: equals_ignore_case, value: ABCDE",
    "op: cidr, value: 10.0.0.0/8",
    "op: exists",
];

fn catalogue(is_chained: bool) -> Catalogue {
    let mut text = String::new();
    for n in 0..300 {
        let operation = OPERATIONS[n % OPERATIONS.len()];
        let (field, other) = (n % 7, n % 5);
        writeln!(
            text,
            "- {{id: r{n}, conditions: [{{field: f{field}, {operation}}}, {{field: items.q, op: equals, value: {other}}}], actions: [{{workflow: w}}]}}"
        )
        .unwrap();
    }
    // Numbers, truth values and null are calculated with as they are.
    for n in 0..20 {
        writeln!(
            text,
            "- {{id: e{n}, conditions: [{{field: f1, op: exists}}, {{expr: '${{ msg.sum.n * 2 > {n} && (msg.sum.flag || has(msg.x.y) || msg.none == null) }}'}}], actions: [{{workflow: w}}]}}"
        )
        .unwrap();
    }
    // Some need others; none adds to the message.
    for n in 0..60 {
        let (needed, other, field) = (n * 3, n * 3 + 1, n % 7);
        writeln!(
            text,
            "- {{id: c{n}, requires: [r{needed}, r{other}], conditions: [{{field: f{field}, op: exists}}]}}
- {{id: d{n}, continue_from: c{n}, conditions: [{{field: f{field}, op: exists}}], actions: [{{workflow: w}}]}}"
        )
        .unwrap();
    }
    let rules = parse(Source { name: "rules", text: &text }).unwrap();
    if !is_chained {
        let plain = rules.into_iter().filter(|rule| rule.needs().next().is_none());
        return changed(plain.collect());
    }
    changed(rules)
}

fn changed(rules: Vec<Rule>) -> Catalogue {
    // Changed once, so that there is a delta, too.
    let again = rules[..20].to_vec();
    Catalogue::compile(rules).with_change(&again, &["r50"])
}

fn messages() -> Vec<String> {
    let values =
        ["\"v\"", "7", "\"abcde\"", "\"\\u0061bcde\"", "\"10.1.2.3\"", "null", "[1,\"v\",8]"];
    let message = |n: usize| {
        let mut text = format!(
            "{{\"sum\":{{\"n\":{n}.5,\"flag\":{}}},\"none\":null,\"items\":[",
            n.is_multiple_of(2)
        );
        for element in 0..n * 40 {
            let comma = if element > 0 { "," } else { "" };
            write!(text, "{comma}{{\"q\":{}}}", element % 11).unwrap();
        }
        text.push(']');
        for field in 0..7 {
            write!(text, ",\"f{field}\":{}", values[(n + field) % values.len()]).unwrap();
        }
        text + "}"
    };
    (0..40).map(message).collect()
}

#[test]
fn matching_allocates_nothing_once_warm() {
    for is_chained in [false, true] {
        matching_allocates_nothing(is_chained);
    }
}

fn matching_allocates_nothing(is_chained: bool) {
    let (catalogue, messages) = (catalogue(is_chained), messages());
    let (mut matcher, mut found) = (Matcher::new(), Matches::new());
    let mut total = 0;
    for message in &messages {
        matcher.matches(&catalogue, message.as_bytes(), &mut found).unwrap();
        total += found.len();
    }
    assert!(total > 100, "the rules match");
    let region = Region::new(ALLOCATOR);
    for message in &messages {
        matcher.matches(&catalogue, message.as_bytes(), &mut found).unwrap();
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
