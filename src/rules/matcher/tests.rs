//! What matches: tables for every operator and for arrays. What can be composed of them is held
//! against a judge in `crate::oracle`.

use super::Matcher;
use crate::oracle::naive::Condition;
use crate::oracle::tree::Tree;
use crate::{BadMessage, Catalogue, Matches, Rule, explain, parse};
use document::Source;

mod counted;
mod kept;
mod trusted;

use std::fmt::Write as _;

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
        (format!("[{x1}, {no_y}]"), "{\"items\":{\"x\":1}}", true),
        (format!("[{x1}, {no_y}]"), "{\"items\":{\"x\":1,\"y\":2}}", false),
        (
            format!("[{x1}, {no_y}, {{field: items.z, op: not_exists}}]"),
            "{\"items\":[{\"x\":1},{\"y\":2,\"z\":3}]}",
            true,
        ),
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
        // An array is there, though nothing is in it.
        (format!("[{{field: items, op: not_exists}}, {no_y}]"), "{\"items\":[]}", false),
        (format!("[{{field: items, op: not_exists}}, {no_y}]"), "{\"item\":[]}", true),
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
        let judge = Condition::of(&Tree::parse(&document_json(&conditions)));
        let naive = judge.holds(&Tree::parse(message));
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
fn an_index_means_one_element_and_binds_nothing() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            "[{field: 'a[1]', op: equals, value: 5}]",
            &[r#"{"a":[0,5]}"#, r#"{"a":[{},[7,5]]}"#, r#"{"a":[0,[[5]]]}"#],
            &[
                r#"{"a":[5]}"#,
                r#"{"a":5}"#,
                r#"{"a":[[0,5]]}"#,
                r#"{"a":{"1":5}}"#,
                r#"{"a":[5,{}]}"#,
            ],
        ),
        // The first is asked about one element, the second about any.
        (
            "[{field: 'a[0].x', op: equals, value: 1}, {field: a.y, op: equals, value: 2}]",
            &[r#"{"a":[{"x":1},{"y":2}]}"#, r#"{"a":[{"x":1,"y":2}]}"#],
            &[r#"{"a":[{"y":2},{"x":1}]}"#, r#"{"a":{"x":1,"y":2}}"#],
        ),
        // Two elements, each by its index.
        (
            "[{field: 'a[0].x', op: equals, value: 1}, {field: 'a[1].x', op: equals, value: 2}]",
            &[r#"{"a":[{"x":1},{"x":2}]}"#],
            &[r#"{"a":[{"x":2},{"x":1}]}"#, r#"{"a":[{"x":1}]}"#],
        ),
        // Below an index arrays bind as elsewhere, and before it.
        (
            "[{field: 'a[0].b.x', op: equals, value: 1}, {field: 'a[0].b.y', op: equals, value: 2}]",
            &[r#"{"a":[{"b":[{"x":3},{"x":1,"y":2}]}]}"#],
            &[r#"{"a":[{"b":[{"x":1},{"y":2}]}]}"#],
        ),
        (
            "[{field: 'a.b[0]', op: equals, value: 1}, {field: a.y, op: equals, value: 2}]",
            &[r#"{"a":[{"b":[0,1]},{"b":[1],"y":2}]}"#],
            &[r#"{"a":[{"b":[1]},{"b":[2],"y":2}]}"#],
        ),
        (
            "[{field: 'a[0]', op: not_exists}, {field: a, op: exists}]",
            &[r#"{"a":[]}"#, r#"{"a":1}"#, r#"{"a":{"b":[1]}}"#],
            &["{}", r#"{"a":[null]}"#],
        ),
        (
            "[{field: 'a[1].x', op: not_exists}, {field: a.y, op: equals, value: 1}]",
            &[r#"{"a":[{"x":1,"y":1}]}"#, r#"{"a":[{"x":1},{"y":1}]}"#, r#"{"a":{"y":1}}"#],
            &[r#"{"a":[{"y":1},{"x":1}]}"#, r#"{"a":[{"x":1},{}]}"#],
        ),
        // A text that is found by its index is a text, not an element.
        (
            "[{field: 'a[0]', op: contains, value: ell}, {field: a, op: contains, value: hello}]",
            &[r#"{"a":["hello"]}"#],
            &[r#"{"a":["bell"]}"#, r#"{"a":["x","hello"]}"#],
        ),
        (
            "[{field: 'a[0]', op: contains, value: x}]",
            &[r#"{"a":[["x"]]}"#, r#"{"a":["x"]}"#],
            &[r#"{"a":[["xx"]]}"#, r#"{"a":[[],"x"]}"#],
        ),
        (
            "[{field: 'a.b[1]', op: greater_than, value: 0, quantifier: all}]",
            &[r#"{"a":[{"b":[0,1]},{"b":[0]},{"b":[0,[2,3]]}]}"#],
            &[r#"{"a":[{"b":[0,1]},{"b":[1,0]}]}"#, r#"{"a":[{"b":[1]}]}"#],
        ),
        ("[{field: 'a[-1]', op: exists}]", &[], &[r#"{"a":[1]}"#, r#"{"a":[]}"#]),
        ("[{field: 'a[-1]', op: not_exists}]", &[r#"{"a":[1]}"#, "{}"], &[]),
        (r"[{field: 'a\[0\]', op: exists}]", &[r#"{"a[0]":1}"#], &[r#"{"a":[1]}"#]),
    ];
    for (conditions, hold, fail) in rows {
        for (message, expected) in
            hold.iter().map(|message| (message, true)).chain(fail.iter().map(|m| (m, false)))
        {
            assert_eq!(fires(conditions, message), expected, "{conditions}: {message}");
            let judge = Condition::of(&Tree::parse(&document_json(conditions)));
            let naive = judge.holds(&Tree::parse(message));
            assert_eq!(naive, expected, "the judge: {conditions}: {message}");
        }
    }
}

#[test]
fn indexes_far_inside_of_long_arrays_are_found() {
    let elements: Vec<String> = (0..3_000).map(|n| format!("{{\"x\":{n}}}")).collect();
    let message = format!("{{\"a\":[{}]}}", elements.join(","));
    let at =
        |index: u32, value: u32| format!("{{field: 'a[{index}].x', op: equals, value: {value}}}");
    assert!(fires(&format!("[{}, {}]", at(2_999, 2_999), at(0, 0)), &message));
    assert!(!fires(&format!("[{}, {}]", at(2_999, 2_999), at(3_000, 0)), &message));
    let both = format!("[{}, {{field: a.x, op: equals, value: 17}}]", at(1, 1));
    assert!(fires(&both, &message));
}

#[test]
fn an_expression_holds_when_it_is_true_and_only_then() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            "[{expr: '${ msg.amount > msg.payload.limit * 1.2 }'}]",
            &[r#"{"amount":13,"payload":{"limit":10}}"#],
            // Too little; missing; of another kind.
            &[
                r#"{"amount":12,"payload":{"limit":10}}"#,
                r#"{"amount":13}"#,
                r#"{"amount":"13","payload":{"limit":10}}"#,
                r#"{"amount":13,"payload":[{"limit":10}]}"#,
            ],
        ),
        ("[{expr: '${ msg.a }'}]", &[r#"{"a":true}"#], &[r#"{"a":1}"#, r#"{"a":false}"#, "{}"]),
        ("[{expr: '${ msg.a / msg.b == 2 }'}]", &[r#"{"a":4,"b":2}"#], &[r#"{"a":4,"b":0}"#]),
        // Under `none` whatever is not true is right.
        (
            "{none: [{expr: '${ msg.a / msg.b == 2 }'}]}",
            &[r#"{"a":4,"b":0}"#, r#"{"a":1,"b":1}"#, "{}"],
            &[r#"{"a":4,"b":2}"#],
        ),
        (
            "{any: [{field: c, op: exists}, {expr: '${ size(msg) == 1 }'}]}",
            &[r#"{"c":1,"d":2}"#, r#"{"x":[1,{"y":2}]}"#],
            &["{}", r#"{"a":1,"b":2}"#],
        ),
        (
            "[{field: a, op: equals, value: 1}, {expr: '${ msg.list[msg.at].name == msg.name }'}]",
            &[r#"{"a":1,"list":[{"name":"x"},{"name":"y"}],"at":1,"name":"\u0079"}"#],
            &[
                r#"{"a":1,"list":[{"name":"x"},{"name":"y"}],"at":0,"name":"y"}"#,
                r#"{"a":2,"list":[{"name":"x"},{"name":"y"}],"at":1,"name":"y"}"#,
            ],
        ),
    ];
    for (conditions, hold, fail) in rows {
        for (message, expected) in
            hold.iter().map(|message| (message, true)).chain(fail.iter().map(|m| (m, false)))
        {
            assert_eq!(fires(conditions, message), expected, "{conditions}: {message}");
        }
    }
}

#[test]
fn a_rule_with_an_expression_alone_is_looked_at_always_and_one_with_more_is_found_by_that() {
    let text = "
- {id: alone, conditions: [{expr: '${ msg.a > 1 }'}], actions: [{workflow: w}]}
- {id: either, conditions: {any: [{expr: '${ msg.a > 1 }'}, {field: b, op: exists}]}, actions: [{workflow: w}]}
- {id: found, conditions: [{expr: '${ msg.a > 1 }'}, {field: b, op: equals, value: 1}], actions: [{workflow: w}]}
";
    let catalogue = Catalogue::compile(rules(text));
    let always: Vec<&str> =
        catalogue.always_checked().map(|index| catalogue.rule(index).id.as_str()).collect();
    assert_eq!(always, ["alone", "either"]);
    // The same one stands in the delta, where it is asked of the same message.
    let mut changed = rules(text);
    let changed = catalogue.with_change(&changed.split_off(2), &["either"]);
    let mut matcher = Matcher::new();
    for catalogue in [&catalogue, &changed] {
        let found = matched(catalogue, &mut matcher, r#"{"a":2,"b":1}"#);
        assert!(found.starts_with(&["alone".to_owned()]) && found.ends_with(&["found".to_owned()]));
        assert!(matched(catalogue, &mut matcher, r#"{"a":1,"b":1}"#).len() < 2);
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

#[test]
fn what_tells_rules_apart_decides_how_many_are_looked_at() {
    let rule = |n: u32| {
        let (kind, country, low) = (n % 7, n % 11, n * 10);
        format!(
            "- {{id: r{n}, conditions: [{{field: kind, op: equals, value: k{kind}}}, {{field: country, op: in, value: [c{country}, d{country}]}}, {{field: amount, op: in_range, value: [{low}, {}]}}], actions: [{{workflow: w}}]}}\n",
            low + 15
        )
    };
    let catalogue = Catalogue::compile(rules(&(0..3_000).map(rule).collect::<String>()));
    assert_eq!(catalogue.always_checked().count(), 0);
    let mut matcher = Matcher::new();
    let mut matched_any = 0;
    for n in (0..3_000).step_by(7) {
        let message = format!(
            "{{\"kind\":\"k{}\",\"country\":\"d{}\",\"amount\":{}}}",
            n % 7,
            n % 11,
            n * 10 + 3
        );
        matched_any += usize::from(matched(&catalogue, &mut matcher, &message).len() == 1);
        assert!(matcher.looked_at() <= 3, "{message}: {}", matcher.looked_at());
    }
    assert!(matched_any > 400);
    matched(&catalogue, &mut matcher, "{\"kind\":\"other\",\"country\":\"c1\",\"amount\":3}");
    assert!(matcher.looked_at() <= 1);
}

#[test]
fn rules_that_share_a_key_are_found_where_another_field_has_many_values() {
    let rule = |n: u32| {
        format!(
            "- {{id: r{n}, conditions: [{{field: a, op: equals, value: 1}}, {{field: b, op: equals, value: {n}}}], actions: [{{workflow: w}}]}}\n"
        )
    };
    // They make `a` the field that tells most rules apart.
    let other = |n: u32| {
        format!(
            "- {{id: o{n}, conditions: [{{field: a, op: equals, value: {n}}}], actions: [{{workflow: w}}]}}\n"
        )
    };
    let text: String = (10..40).map(rule).chain((100..200).map(other)).collect();
    let catalogue = Catalogue::compile(rules(&text));
    let mut matcher = Matcher::new();
    let few = matched(&catalogue, &mut matcher, "{\"a\":1,\"b\":[12,39]}");
    assert_eq!(few, ["r12", "r39"]);
    assert_eq!(matcher.looked_at(), 2);
    let values: Vec<String> = (0..3_000).map(|n| (n * 13).to_string()).collect();
    let message = format!("{{\"a\":[1,1,1],\"b\":[{}]}}", values.join(","));
    assert_eq!(matched(&catalogue, &mut matcher, &message), ["r13", "r26", "r39"]);
    assert_eq!(matcher.looked_at(), 30, "many values: the rules of the key are taken whole");
}

/// Rules whose conditions ask one field for one value: `id: field=value, more`.
fn chain(lines: &[&str]) -> Vec<Rule> {
    let rule = |line: &&str| {
        let (id, rest) = line.split_once(": ").unwrap();
        let (asked, more) = rest.split_once(", ").unwrap_or((rest, ""));
        let (field, value) = asked.split_once('=').unwrap();
        format!(
            "- {{id: {id}, conditions: [{{field: {field}, op: equals, value: {value}}}], {more}}}\n"
        )
    };
    rules(&lines.iter().map(rule).collect::<String>())
}

#[test]
fn a_rule_holds_when_all_it_needs_holds_and_sees_what_was_added() {
    let all = chain(&[
        "base: a=1, priority: -1, enrich: { risk.level: '${ msg.n * 2 }', a: '${ msg.gone }' }",
        "high: risk.level=8, continue_from: base, enrich: { top: '${ msg.risk.level + 1 }' }",
        "plain: risk.level=8, actions: [{workflow: w}]",
        "gone: a=1, continue_from: base",
        "top: top=9, continue_from: high, requires: [other], priority: 5",
        "top2: top=9, continue_from: high, requires: [other, never]",
        "other: b=true",
        "never: c=1",
        "twice: b=true, requires: [base, top]",
    ]);
    let rows: [(&str, &[&str]); 5] = [
        (r#"{"a":1,"n":4,"b":true}"#, &["top", "high", "other", "twice", "base"]),
        (r#"{"a":1,"n":4}"#, &["high", "base"]),
        (r#"{"a":1,"n":3,"b":true}"#, &["other", "base"]),
        (r#"{"n":4,"b":true,"risk":{"level":8}}"#, &["other", "plain"]),
        // No expression reads such a message; what it says itself is still compared.
        (r#"{"a":1,"n":1e999,"risk":{"level":8}}"#, &["plain", "base"]),
    ];
    let catalogue = Catalogue::compile(all.clone());
    let mut matcher = Matcher::new();
    for (message, expected) in rows {
        assert_eq!(matched(&catalogue, &mut matcher, message), expected, "{message}");
    }
    // However the same rules came together, and a catalogue without what others need.
    let (half, rest) = all.split_at(4);
    let changed = Catalogue::compile(rest.to_vec()).with_change(half, &[]);
    let other = Catalogue::compile(half.to_vec()).with_change(rest, &[]).merge();
    for (message, expected) in rows {
        assert_eq!(matched(&changed, &mut matcher, message), expected, "{message}");
        assert_eq!(matched(&other, &mut matcher, message), expected, "{message}");
    }
    let message = rows[0].0;
    let without = changed.with_change(&[], &["other"]);
    assert_eq!(matched(&without, &mut matcher, message), ["high", "base"]);
    let disabled = Rule { enabled: false, ..all[1].clone() };
    let without = catalogue.with_change(&[disabled], &[]);
    assert_eq!(matched(&without, &mut matcher, message), ["other", "base"]);
    let other_base = chain(&["base: a=1, enrich: { risk: { level: 8 } }"]);
    let catalogue = catalogue.with_change(&other_base, &[]);
    assert_eq!(matched(&catalogue, &mut matcher, r#"{"a":1}"#), ["base", "gone", "high"]);
}

#[test]
fn a_number_that_no_expression_can_read_is_gone_once_something_else_is_set_there() {
    let all = chain(&[
        "base: a=1, enrich: { n: 0, x: '${ msg.b }' }",
        "next: n=0, continue_from: base, enrich: { x: '${ msg.b }' }",
        "last: x=5, continue_from: next",
        "near: x=5, continue_from: base",
    ]);
    let catalogue = Catalogue::compile(all);
    let rows: [(&str, &[&str]); 3] = [
        (r#"{"a":1,"b":5,"n":1e400}"#, &["base", "last", "next"]),
        (r#"{"a":1,"b":5,"n":1e400,"m":1e400}"#, &["base", "next"]),
        (r#"{"a":1,"b":5,"n":1}"#, &["base", "last", "near", "next"]),
    ];
    for (message, expected) in rows {
        assert_eq!(matched(&catalogue, &mut Matcher::new(), message), expected, "{message}");
        let told =
            |id| explain(&catalogue, catalogue.find(id).unwrap(), message.as_bytes()).unwrap();
        for id in ["last", "near"] {
            assert_eq!(told(id).matches, expected.contains(&id), "{id}: {message}");
        }
    }
}

#[test]
fn stop_cuts_what_matches_and_not_what_holds() {
    let catalogue = Catalogue::compile(chain(&[
        "low: a=1, priority: 1, enrich: { z: 1 }",
        "stop: b=1, priority: 2, stop: true",
        "high: c=1, priority: 3, requires: [low], stop: true",
        "view: z=1, priority: 4, continue_from: low",
        "last: c=1, priority: 0",
    ]));
    let rows: [(&str, &[&str]); 5] = [
        (r#"{"a":1,"b":1,"c":1}"#, &["view", "high"]),
        (r#"{"a":1,"b":1}"#, &["view", "stop"]),
        (r#"{"b":1,"c":1}"#, &["stop"]),
        (r#"{"a":1,"c":1}"#, &["view", "high"]),
        (r#"{"c":1}"#, &["last"]),
    ];
    let mut matcher = Matcher::new();
    for (message, expected) in rows {
        assert_eq!(matched(&catalogue, &mut matcher, message), expected, "{message}");
    }
    let mut all = Matches::new();
    matcher.holding(&catalogue, br#"{"a":1,"b":1,"c":1}"#, &mut all).unwrap();
    let ids: Vec<&str> = all.iter().map(|index| &*catalogue.rule(*index).id).collect();
    assert_eq!(ids, ["view", "high", "stop", "low", "last"]);
}

#[test]
fn numbers_that_nobody_touched_stay_exact_in_an_enriched_message() {
    let catalogue = Catalogue::compile(chain(&[
        "base: a=1, enrich: { x: 1 }",
        "exact: n=123456789012345678901234567890, continue_from: base",
        "near: n=123456789012345678901234567891, continue_from: base",
    ]));
    let message = r#"{"a":1,"n":123456789012345678901234567890}"#;
    assert_eq!(matched(&catalogue, &mut Matcher::new(), message), ["base", "exact"]);
}

#[test]
fn rules_in_a_circle_never_hold_and_harm_nobody() {
    // What checks refuse: the matcher must not depend on it.
    let mut all = chain(&["a: x=1", "b: x=1", "c: x=1", "d: x=1", "e: x=1, requires: [c]"]);
    all[0].requires = vec!["b".into()];
    all[1].requires = vec!["a".into()];
    all[3].continue_from = Some("d".into());
    let catalogue = Catalogue::compile(all);
    assert_eq!(matched(&catalogue, &mut Matcher::new(), "{\"x\":1}"), ["c", "e"]);
    assert_eq!(catalogue.found_by(catalogue.find("d").unwrap()), ["x: a value"]);
}

#[test]
fn a_key_that_only_an_enriched_view_asks_for_must_not_stand_twice_either() {
    let catalogue = Catalogue::compile(chain(&[
        "base: a=1, enrich: { x: 1 }",
        "next: k=1, continue_from: base",
    ]));
    let message = br#"{"a":2,"k":1,"k":2}"#;
    let outcome = Matcher::new().matches(&catalogue, message, &mut Matches::new());
    assert!(matches!(outcome, Err(BadMessage::RepeatedKey { .. })), "{outcome:?}");
}
