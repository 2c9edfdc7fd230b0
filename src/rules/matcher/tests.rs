//! What matches: tables for every operator and for arrays, and a naive evaluator as the judge of
//! everything that can be composed of them.

use super::Matcher;
use crate::{BadMessage, Catalogue, Matches, Rule, parse};
use base::Prng;
use document::Source;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write as _;

mod naive;

fn rules(text: &str) -> Vec<Rule> {
    parse(Source { name: "rules", text }).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

fn matched(catalogue: &Catalogue, matcher: &mut Matcher, message: &str) -> Vec<String> {
    let mut found = Matches::new();
    matcher
        .matches(catalogue, message.as_bytes(), &mut found)
        .unwrap_or_else(|error| panic!("{error}\n{message}"));
    found.iter().map(|index| catalogue.rule(*index).id.clone()).collect()
}

fn fires(conditions: &str, message: &str) -> bool {
    let text = format!("id: r\nactions: [{{workflow: w}}]\nconditions: {conditions}\n");
    let catalogue = Catalogue::compile(rules(&text));
    !matched(&catalogue, &mut Matcher::new(), message).is_empty()
}

/// Rows of `op: …, value: …` and the values of field `f` it holds for and does not hold for.
type OperatorRow = (&'static str, &'static [&'static str], &'static [&'static str]);

const OPERATOR_ROWS: &[OperatorRow] = &[
    (
        "equals, value: 1",
        &["1", "1.0", "1e0", "10e-1", "[2,1]"],
        &["2", "\"1\"", "true", "null", "{}", "[]"],
    ),
    ("equals, value: '1'", &["\"1\"", r#""\u0031""#], &["1", "\"1.0\"", "\" 1\""]),
    ("equals, value: true", &["true", "[false,true]"], &["false", "\"true\"", "1"]),
    ("equals, value: null", &["null", "[null]"], &["0", "\"\"", "false", "{}", "[]"]),
    ("equals, value: 0", &["0", "-0", "0.0", "0e9"], &["1e-400", "false", "\"\""]),
    (
        "equals, value: 9007199254740993",
        &["9007199254740993", "9007199254740993.0"],
        &["9007199254740992", "9007199254740994"],
    ),
    (
        "equals, value: 123456789012345678901234567890",
        &["123456789012345678901234567890", "1.23456789012345678901234567890e29"],
        &["123456789012345678901234567891", "1.2345678901234568e29"],
    ),
    ("equals, value: 0.1", &["0.1", "1e-1", "0.10"], &["0.1000000000000000055511151231257827"]),
    ("equals, value: é", &["\"é\"", r#""\u00e9""#, r#""\u00E9""#], &[r#""e\u0301""#, "\"É\""]),
    ("equals, value: 😀", &["\"😀\"", r#""\ud83d\ude00""#], &["\"\""]),
    ("equals, value: ''", &["\"\""], &["null", "[]"]),
    (
        "not_equals, value: 1",
        &["2", "\"1\"", "null", "{}", "true", "[1,2]"],
        &["1", "1.0", "[1]", "[]"],
    ),
    ("not_equals, value: a", &["\"b\"", "1", "null"], &["\"a\""]),
    (
        "greater_than, value: 10",
        &["10.5", "11", "1e400", "18446744073709551616"],
        &["10", "10.0", "9", "-11", "\"11\"", "true", "null"],
    ),
    ("greater_than, value: '10'", &["11"], &["10", "\"11\""]),
    (
        "greater_than, value: 9223372036854775807",
        &["9223372036854775808", "9223372036854775807.5"],
        &["9223372036854775807", "-9223372036854775808"],
    ),
    ("greater_than, value: b", &["\"c\"", "\"ba\"", "\"é\""], &["\"b\"", "\"a\"", "\"B\"", "1"]),
    ("greater_or_equal, value: 10", &["10", "10.0", "11"], &["9.999999999999999999999"]),
    (
        "greater_or_equal, value: 2024-01-31",
        &["\"2024-01-31\"", "\"2025-01-01\""],
        &["\"2023-12-31\""],
    ),
    ("less_than, value: 0", &["-1", "-1e-400", "-9223372036854775808"], &["0", "-0", "-0.0", "1"]),
    ("less_or_equal, value: -0.5", &["-0.5", "-5e-1", "-1"], &["-0.4", "0"]),
    ("in_range, value: [1, 5]", &["1", "5", "3.3", "[9,3]"], &["0.99", "5.01", "\"3\"", "[0,9]"]),
    ("in_range, value: {gt: 1, lt: 5}", &["1.1", "4.9"], &["1", "5"]),
    ("in_range, value: {gte: 1}", &["1", "1e99"], &["0"]),
    ("in_range, value: {lt: m}", &["\"a\"", "\"\""], &["\"m\"", "1"]),
    ("in, value: [a, 1, null]", &["\"a\"", "1.0", "null", "[0,\"a\"]"], &["\"1\"", "false", "[]"]),
    ("in, value: []", &[], &["1", "null", "[]", "\"\""]),
    (
        "in, value: [123456789012345678901234567890, 2]",
        &["123456789012345678901234567890", "2"],
        &["3"],
    ),
    (
        "not_in, value: [a, 1]",
        &["\"b\"", "2", "null", "{}", "[\"a\",2]"],
        &["\"a\"", "1", "[1]", "[]"],
    ),
    ("not_in, value: []", &["1", "null"], &["[]"]),
    (
        "contains, value: b",
        &["\"abc\"", "\"b\"", "[\"b\"]", "[[\"b\"]]"],
        &["\"ac\"", "[\"abc\"]", "{\"b\":1}", "1"],
    ),
    ("contains, value: 5", &["[4,5.0]"], &["5", "15", "\"5\"", "[\"5\"]", "[]"]),
    ("contains, value: ''", &["\"\"", "\"a\"", "[\"\"]"], &["[]", "[\"a\"]"]),
    (
        "starts_with, value: vip",
        &["\"vip\"", "\"vip-1\"", "[\"a\",\"vipx\"]", r#""\u0076ip""#],
        &["\"VIP\"", "\"a vip\"", "\"vi\""],
    ),
    ("ends_with, value: .pdf", &["\"a.pdf\"", "\".pdf\""], &["\"a.pdf \"", "\"pdf\""]),
    (
        "wildcard, value: 'a*c'",
        &["\"ac\"", "\"abc\"", "\"a\\nc\"", "\"acc\""],
        &["\"a\"", "\"abcd\"", "\"xac\""],
    ),
    ("wildcard, value: 'a?c'", &["\"abc\"", "\"aéc\"", "\"a😀c\""], &["\"ac\"", "\"abbc\""]),
    ("wildcard, value: '*.log'", &["\".log\"", "\"x.log\""], &["\"x.logs\"", "\"xlog\""]),
    ("wildcard, value: 'x*'", &["\"x\"", "\"xyz\""], &["\"\"", "\"ax\""]),
    ("wildcard, value: '*x*'", &["\"x\"", "\"axb\""], &["\"\"", "\"ab\""]),
    ("wildcard, value: 'a\\*b'", &["\"a*b\""], &["\"axb\"", "\"a\\\\*b\""]),
    ("wildcard, value: '*'", &["\"\"", "\"x\""], &["1", "null"]),
    ("wildcard, value: ''", &["\"\""], &["\"x\""]),
    ("wildcard, value: 'a.b|c'", &["\"a.b|c\""], &["\"axb\"", "\"c\""]),
    ("regex, value: '^a+$'", &["\"a\"", "\"aaa\""], &["\"\"", "\"ab\"", "1"]),
    ("regex, value: 'b'", &["\"abc\""], &["\"ac\""]),
    ("regex, value: '(?i)É'", &["\"é\""], &["\"e\""]),
    ("exists", &["1", "null", "[]", "{}", "\"\"", "false"], &[]),
    ("not_exists", &[], &["1", "null", "[]", "{}"]),
    (
        "cidr, value: 10.0.0.0/8",
        &["\"10.1.2.3\"", "\"::ffff:10.0.0.1\"", "[\"x\",\"10.0.0.0\"]"],
        &["\"11.0.0.1\"", "\"10.1.2\"", "\"10.1.2.3/32\"", "\"010.1.2.3\"", "1", "\"::10.0.0.1\""],
    ),
    (
        "cidr, value: ['2001:db8::/32', 192.0.2.7]",
        &["\"2001:DB8::1\"", "\"192.0.2.7\""],
        &["\"2001:db9::1\"", "\"192.0.2.8\""],
    ),
    ("cidr, value: '::/0'", &["\"::1\"", "\"2001:db8::\""], &["\"10.0.0.1\""]),
    ("cidr, value: 0.0.0.0/0", &["\"10.0.0.1\""], &["\"::1\""]),
    (
        "equals_ignore_case, value: Kelvin",
        &["\"KELVIN\"", "\"kelvin\"", "\"\u{212a}elvin\""],
        &["\"kelvi\"", "\"kelvins\"", "\"kelv\u{131}n\""],
    ),
    (
        "equals_ignore_case, value: STRASSE",
        &["\"stra\u{17f}\u{17f}e\"", "\"strasse\""],
        &["\"straße\""],
    ),
    ("equals_ignore_case, value: ÄÖ.", &["\"äö.\"", "\"ÄÖ.\""], &["\"äöx\"", "\"ao.\""]),
    ("equals_ignore_case, value: straße", &["\"STRAẞE\"", "\"straße\""], &["\"STRASSE\""]),
];

#[test]
fn every_operator_holds_for_what_it_should() {
    let mut wrong = String::new();
    for (operator, holds_for, not_for) in OPERATOR_ROWS {
        let conditions = format!("[{{field: f, op: {operator}}}]");
        for (values, expected) in [(holds_for, true), (not_for, false)] {
            for value in *values {
                if fires(&conditions, &format!("{{\"f\":{value}}}")) != expected {
                    writeln!(wrong, "{operator}: {value} should be {expected}").unwrap();
                }
            }
        }
        let for_missing = fires(&conditions, "{\"g\":1}");
        if for_missing != (*operator == "not_exists") {
            writeln!(wrong, "{operator}: a missing field").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn fields_are_found_by_path() {
    let message = r#"{"a":{"b.c":{"\u0064":1}},"a.b":2,"e":null,"":{"x":3},"é":4,"a\\b":5}"#;
    let rows = [
        (r"a.b\.c.d", 1, true),
        ("a.b.c.d", 1, false),
        (r"a\.b", 2, true),
        ("a.b", 2, false),
        ("e.x", 1, false),
        ("é", 4, true),
        (r"a\\b", 5, true),
    ];
    for (field, value, expected) in rows {
        let conditions = format!("[{{field: '{field}', op: equals, value: {value}}}]");
        assert_eq!(fires(&conditions, message), expected, "{field}");
    }
}

#[test]
fn conditions_of_one_group_hold_for_the_same_element() {
    let x1 = "{field: items.x, op: equals, value: 1}";
    let y2 = "{field: items.y, op: equals, value: 2}";
    let no_y = "{field: items.y, op: not_exists}";
    let both = "{\"items\":[{\"x\":1,\"y\":2}]}";
    let apart = "{\"items\":[{\"x\":1},{\"y\":2}]}";
    let low_high = "[{field: n, op: greater_than, value: 5}, {field: n, op: less_than, value: 8}]";
    let tags = "[{field: t, op: contains, value: a}, {field: t, op: contains, value: b}]";
    let rows = [
        (format!("[{x1}, {y2}]"), both, true),
        (format!("[{x1}, {y2}]"), apart, false),
        (format!("[{x1}, {y2}]"), "{\"items\":{\"x\":1,\"y\":2}}", true),
        (format!("[{x1}, {y2}]"), "{\"items\":[[{\"x\":1}],[[{\"x\":1,\"y\":2}]]]}", true),
        (format!("[{x1}, {y2}]"), "{\"items\":[{\"x\":[0,1],\"y\":[2]}]}", true),
        (format!("[{x1}, {y2}]"), "{\"items\":[]}", false),
        // A group inside a group is on its own.
        (format!("[{x1}, {{all: [{y2}]}}]"), apart, true),
        (format!("[{x1}, {{any: [{y2}]}}]"), apart, true),
        (format!("{{any: [{x1}, {y2}]}}"), "{\"items\":[{\"y\":2}]}", true),
        (format!("{{none: [{x1}, {y2}]}}"), "{\"items\":[{\"y\":2}]}", false),
        // Absence beside something else is about the same element, alone about all of them.
        (format!("[{x1}, {no_y}]"), apart, true),
        (format!("[{x1}, {no_y}]"), both, false),
        (format!("[{no_y}]"), apart, false),
        (format!("[{no_y}]"), "{\"items\":[{\"x\":1},{}]}", true),
        (format!("[{no_y}]"), "{\"items\":[]}", true),
        (format!("[{no_y}]"), "{}", true),
        (format!("[{no_y}, {{field: items.z, op: not_exists}}]"), apart, false),
        (
            format!("[{no_y}, {{field: items.z, op: not_exists}}]"),
            "{\"items\":[{},{\"x\":1}]}",
            true,
        ),
        (low_high.to_owned(), "{\"n\":6}", true),
        (low_high.to_owned(), "{\"n\":[9,6]}", true),
        (low_high.to_owned(), "{\"n\":[9,1]}", false),
        // `contains` and `exists` are about the array as a whole.
        (tags.to_owned(), "{\"t\":[\"a\",\"b\"]}", true),
        (tags.to_owned(), "{\"t\":\"ba\"}", true),
        (tags.to_owned(), "{\"t\":[\"ba\"]}", false),
        (format!("[{{field: items, op: exists}}, {x1}]"), apart, true),
        // What an inner array holds is no element of the outer one.
        (
            "[{field: x.t, op: contains, value: a}, {field: x.t.u, op: exists}]".to_owned(),
            r#"{"x":[{"t":["a"]},{"t":[{"u":["a"]}]}]}"#,
            false,
        ),
    ];
    for (conditions, message, expected) in rows {
        assert_eq!(fires(&conditions, message), expected, "{conditions}\n{message}");
        let as_json: Value =
            serde_json::from_str(&document_json(&conditions)).expect("canonical JSON");
        let naive = naive::holds(&as_json, &serde_json::from_str(message).unwrap());
        assert_eq!(naive, expected, "the judge: {conditions}\n{message}");
    }
}

fn document_json(text: &str) -> String {
    document::parse(Source { name: "conditions", text }).unwrap().to_json()
}

#[test]
fn matches_come_by_priority_then_id_and_end_at_a_stop() {
    let rule = |id: &str, priority: i32, more: &str| {
        format!(
            "- {{id: {id}, priority: {priority}, conditions: [{{field: a, op: exists}}], actions: [{{workflow: w}}]{more}}}\n"
        )
    };
    let order = |text: String, message: &str| {
        matched(&Catalogue::compile(rules(&text)), &mut Matcher::new(), message)
    };
    let three = rule("b", 1, "") + &rule("z", 5, "") + &rule("a", 1, "");
    assert_eq!(order(three.clone(), "{\"a\":1}"), ["z", "a", "b"]);
    assert_eq!(order(three.clone(), "{\"b\":1}"), [""; 0]);
    assert_eq!(
        order(three.clone() + &rule("s", 1, ", stop: true"), "{\"a\":1}"),
        ["z", "a", "b", "s"]
    );
    assert_eq!(order(three.clone() + &rule("s", 2, ", stop: true"), "{\"a\":1}"), ["z", "s"]);
    assert_eq!(
        order(three + &rule("s", 9, ", enabled: false, stop: true"), "{\"a\":1}"),
        ["z", "a", "b"]
    );

    // A rule that stops leaves nothing behind for the next message.
    let many: String = (0..200).map(|n| rule(&format!("r{n:03}"), 0, "")).collect();
    let catalogue = Catalogue::compile(rules(&(many + &rule("first", 1, ", stop: true"))));
    let mut matcher = Matcher::new();
    assert_eq!(matched(&catalogue, &mut matcher, "{\"a\":1}"), ["first"]);
    assert_eq!(matched(&catalogue, &mut matcher, "{\"b\":1}"), [""; 0]);
}

#[test]
fn a_message_is_checked_whatever_the_catalogue() {
    let empty = Catalogue::default();
    assert!(empty.is_empty());
    let mut matcher = Matcher::new();
    let mut found = Matches::new();
    assert_eq!(matcher.matches(&empty, b"{\"a\":[1]}", &mut found), Ok(()));
    for message in [&b"{\"a\":[1}"[..], b"[]", b"", b"{\"a\":\"\xff\"}", b"{} x"] {
        assert!(matcher.matches(&empty, message, &mut found).is_err());
    }
    // A refusal empties what was there, and the next message is answered as if nothing had been.
    let catalogue = Catalogue::compile(rules(
        "- {id: r, conditions: [{field: a, op: exists}], actions: [{workflow: w}]}",
    ));
    matcher.matches(&catalogue, b"{\"a\":1}", &mut found).unwrap();
    assert_eq!(found.len(), 1);
    let error = matcher.matches(&catalogue, b"{\"a\":1,\"a\":2}", &mut found).unwrap_err();
    assert!(matches!(error, BadMessage::RepeatedKey { offset: 7, .. }));
    assert!(found.is_empty());
    assert_eq!(matched(&catalogue, &mut matcher, "{\"b\":1}"), [""; 0]);
}

#[test]
fn one_matcher_serves_many_catalogues() {
    let rule = |field: &str| {
        let text = format!(
            "- {{id: {field}, conditions: [{{field: {field}, op: equals, value: 1}}], actions: [{{workflow: w}}]}}"
        );
        Catalogue::compile(rules(&text))
    };
    let (a, b) = (rule("a"), rule("b"));
    let mut matcher = Matcher::new();
    for _ in 0..3 {
        assert_eq!(matched(&a, &mut matcher, "{\"a\":1}"), ["a"]);
        assert_eq!(matched(&b, &mut matcher, "{\"a\":1}"), [""; 0]);
        assert_eq!(matched(&b, &mut matcher, "{\"b\":1}"), ["b"]);
        assert_eq!(matched(&Catalogue::default(), &mut matcher, "{\"b\":1}"), [""; 0]);
    }
}

#[test]
fn deep_rules_and_deep_messages_are_held_against_each_other() {
    let leaf = "{field: a.a.a, op: equals, value: 1}, {field: a.a.b, op: not_exists}";
    let depth = 60;
    let conditions = format!("{}{leaf}{}", "{all: [".repeat(depth), "]}".repeat(depth));
    assert!(fires(&conditions, r#"{"a":{"a":{"a":1}}}"#));
    let nested = format!("{{\"a\":{}{{\"a\":{{\"a\":1}}}}{}}}", "[".repeat(125), "]".repeat(125));
    assert!(fires(&conditions, &nested));
    let long: Vec<String> = (0..3_000).map(|n| format!("{{\"a\":{{\"a\":{n}}}}}")).collect();
    assert!(fires(&conditions, &format!("{{\"a\":[{}]}}", long.join(","))));
}

#[test]
fn rules_are_filed_under_what_they_need() {
    let text = "
- {id: absent, conditions: [{field: a, op: not_exists}], actions: [{workflow: w}]}
- {id: negated, conditions: {none: [{field: a, op: exists}]}, actions: [{workflow: w}]}
- {id: either, conditions: {any: [{field: a, op: exists}, {field: b, op: not_exists}]}, actions: [{workflow: w}]}
- {id: filed, conditions: {any: [{field: a, op: exists}, {field: b, op: equals, value: 1}]}, actions: [{workflow: w}]}
- {id: never, conditions: [{field: a, op: in, value: []}], actions: [{workflow: w}]}
";
    let catalogue = Catalogue::compile(rules(text));
    let always: Vec<&str> =
        catalogue.always_checked().map(|index| catalogue.rule(index).id.as_str()).collect();
    assert_eq!(always, ["absent", "either", "negated"]);
}

// ---- the judge ------------------------------------------------------------------------------

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-3_i64..4).prop_map(Value::from),
        2 => (-3_i32..4).prop_map(|n| json!(f64::from(n) + 0.5)),
        1 => prop::sample::select(vec![
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1e15),
        ]),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[abAé]{0,3}",
        1 => prop::sample::select(
            ["10.0.0.1", "10.1.2.3", "192.168.7.7", "2001:db8::1", "::1", "1", "é\n\"", "😀", "longer than eight"]
                .map(str::to_owned)
                .to_vec()
        ),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => number(),
        3 => text().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "a.b", "é"]).prop_map(str::to_owned)
}

fn message() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map(key(), value, 0..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn operation() -> impl Strategy<Value = (&'static str, Option<Value>)> {
    let of = |names: &'static [&'static str]| prop::sample::select(names.to_vec());
    let pattern =
        prop::sample::select(vec!["a*", "*a", "*a*", "a?*", "?", "*", "a*b", "\\*a", "é*"]);
    let expression = prop::sample::select(vec!["a", "^a", "b$", "^[ab]+$", "^$", "é", "(?i)A"]);
    let network = prop::sample::select(vec!["10.0.0.0/8", "10.1.0.0/16", "::/0", "2001:db8::/32"]);
    prop_oneof![
        6 => (of(&["equals", "not_equals"]), scalar()).prop_map(|(op, v)| (op, Some(v))),
        3 => (of(&["greater_than", "greater_or_equal", "less_than", "less_or_equal"]), number())
            .prop_map(|(op, v)| (op, Some(v))),
        1 => (of(&["greater_than", "less_or_equal"]), "[abAé]{0,2}")
            .prop_map(|(op, v)| (op, Some(v.into()))),
        3 => (of(&["in", "not_in"]), prop::collection::vec(scalar(), 0..4))
            .prop_map(|(op, v)| (op, Some(v.into()))),
        2 => (-3_i64..3, 1_i64..3, any::<bool>()).prop_map(|(low, width, open)| {
            let high = low + width;
            ("in_range", Some(if open { json!({"gt": low, "lt": high}) } else { json!([low, high]) }))
        }),
        2 => scalar().prop_map(|v| ("contains", Some(v))),
        2 => (of(&["starts_with", "ends_with", "equals_ignore_case", "contains"]), text())
            .prop_map(|(op, v)| (op, Some(v.into()))),
        1 => pattern.prop_map(|v| ("wildcard", Some(v.into()))),
        1 => expression.prop_map(|v| ("regex", Some(v.into()))),
        1 => network.prop_map(|v| ("cidr", Some(v.into()))),
        3 => of(&["exists", "not_exists"]).prop_map(|op| (op, None)),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(vec![
        "a", "b", "c", "a.a", "a.b", "a.c", "b.a", "b.c", "a.b.c", "a.b.a", r"a\.b", "é", r"a.a\.b",
    ]);
    let quantifier = prop::sample::select(vec!["", "", "", "", "any", "all", "none"]);
    let predicate =
        (field, operation(), quantifier).prop_map(|(field, (op, value), quantifier)| {
            let mut condition = json!({"field": field, "op": op});
            if let Some(value) = value {
                condition["value"] = value;
                if !quantifier.is_empty() {
                    condition["quantifier"] = quantifier.into();
                }
            }
            condition
        });
    predicate.prop_recursive(3, 16, 4, |inner| {
        (
            prop::sample::select(vec!["all", "all", "any", "none"]),
            prop::collection::vec(inner, 1..5),
        )
            .prop_map(|(group, members)| json!({ group: members }))
    })
}

fn pick<'a>(prng: &mut Prng, from: &[&'a str]) -> &'a str {
    let index = prng.below(from.len() as u64);
    from[usize::try_from(index).unwrap()]
}

/// Writes JSON as no library would: with white space, escapes where none are needed, and numbers
/// in other spellings.
fn spell(value: &Value, prng: &mut Prng, out: &mut String) {
    let space = |prng: &mut Prng| pick(prng, &[" ", "", "", "\n\t", ""]);
    out.push_str(space(prng));
    match value {
        Value::String(text) => spell_text(text, prng, out),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                spell(element, prng, out);
            }
            out.push_str(space(prng));
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(space(prng));
                spell_text(key, prng, out);
                out.push_str(space(prng));
                out.push(':');
                spell(value, prng, out);
            }
            out.push_str(space(prng));
            out.push('}');
        }
        Value::Number(number) => {
            let text = number.to_string();
            let is_whole = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
            out.push_str(&text);
            if is_whole {
                out.push_str(pick(prng, &["", "", ".0", "e0", ".00E+0"]));
            }
        }
        other => write!(out, "{other}").unwrap(),
    }
    out.push_str(space(prng));
}

fn spell_text(text: &str, prng: &mut Prng, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let must = character < ' ' || matches!(character, '"' | '\\');
        if must || prng.chance(1, 6) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04X}").unwrap();
            }
        } else {
            out.push(character);
        }
    }
    out.push('"');
}

proptest! {
    // No file of past failures: proptest would put it among the crates, where a folder is a crate.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_matcher_and_the_naive_evaluator_agree(
        conditions in prop::collection::vec(condition(), 1..6),
        messages in prop::collection::vec(message(), 1..4),
        seed in any::<u64>(),
    ) {
        let rules_json: Vec<Value> = conditions
            .iter()
            .enumerate()
            .map(|(n, when)| json!({"id": format!("r{n}"), "conditions": when, "actions": [{"workflow": "w"}]}))
            .collect();
        let catalogue = Catalogue::compile(rules(&Value::from(rules_json).to_string()));
        let mut matcher = Matcher::new();
        let mut prng = Prng::new(seed);
        for message in &messages {
            let mut text = String::new();
            spell(message, &mut prng, &mut text);
            let expected: Vec<String> = conditions
                .iter()
                .enumerate()
                .filter(|(_, when)| naive::holds(when, message))
                .map(|(n, _)| format!("r{n}"))
                .collect();
            prop_assert_eq!(matched(&catalogue, &mut matcher, &text), expected, "{}", text);
        }
    }
}
