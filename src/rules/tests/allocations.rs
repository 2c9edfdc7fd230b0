//! Matching allocates nothing once the buffers have grown to what messages need.

#![allow(clippy::unwrap_used, reason = "a test")]

use document::Source;
use rules::{Catalogue, Matcher, Matches, parse};
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

fn catalogue() -> Catalogue {
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
    let rules = parse(Source { name: "rules", text: &text }).unwrap();
    // Changed once, so that there is a delta, too.
    let again = rules[..20].to_vec();
    Catalogue::compile(rules).with_change(&again, &["r50"])
}

fn messages() -> Vec<String> {
    let values =
        ["\"v\"", "7", "\"abcde\"", "\"\\u0061bcde\"", "\"10.1.2.3\"", "null", "[1,\"v\",8]"];
    let message = |n: usize| {
        let mut text =
            format!("{{\"sum\":{{\"n\":{n}.5,\"flag\":{}}},\"none\":null,\"items\":[", n % 2 == 0);
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
    let (catalogue, messages) = (catalogue(), messages());
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
