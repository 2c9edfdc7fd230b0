//! The reader as its users see it: texts in, trees or messages out.

use crate::{Fault, Kind, Node, Source, Span, did_you_mean, parse, parse_duration};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Duration;

fn read(name: &str, text: &str) -> Node {
    parse(Source { name, text }).unwrap_or_else(|fault| panic!("{fault}\n---\n{text}"))
}

fn refusal(name: &str, text: &str) -> Fault {
    match parse(Source { name, text }) {
        Ok(node) => panic!("{text:?} was read as {}", node.to_json()),
        Err(fault) => fault,
    }
}

#[test]
fn plain_scalars_are_typed_by_the_core_schema() {
    let rows = [
        ("", "null"),
        ("~", "null"),
        ("null", "null"),
        ("NULL", "null"),
        ("true", "true"),
        ("False", "false"),
        ("no", r#""no""#),
        ("on", r#""on""#),
        ("yes", r#""yes""#),
        ("off", r#""off""#),
        ("12:30", r#""12:30""#),
        ("12:30:45", r#""12:30:45""#),
        ("1_000", r#""1_000""#),
        ("2024-01-31", r#""2024-01-31""#),
        ("1.2.3", r#""1.2.3""#),
        ("+", r#""+""#),
        (".", r#"".""#),
        ("e5", r#""e5""#),
        ("1e", r#""1e""#),
        ("0x", r#""0x""#),
        ("0b101", r#""0b101""#),
        ("-0x1f", r#""-0x1f""#),
        ("0", "0"),
        ("-0", "0"),
        ("+7", "7"),
        ("42", "42"),
        ("0x1F", "31"),
        ("0o17", "15"),
        ("1.5", "1.5"),
        ("1.50", "1.5"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("-0.0", "-0.0"),
        ("1e3", "1000.0"),
        ("1E+3", "1000.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854775808"),
        ("0xffffffffffffffff", "18446744073709551615"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("1e400", "1e400"),
        ("1e-400", "1e-400"),
        ("1e99999999999999999999", "1e99999999999999999999"),
        ("0e99999999999999999999", "0.0"),
        ("'5'", r#""5""#),
        ("\"5\"", r#""5""#),
        ("!!str 5", r#""5""#),
        ("\"a\\u00e9\\n\\x41\"", "\"aé\\nA\""),
        ("a # comment", r#""a""#),
        ("[a, 1, {b: c}]", r#"["a",1,{"b":"c"}]"#),
        ("|\n  one\n  two\n", r#""one\ntwo\n""#),
        (">-\n  one\n  two\n", r#""one two""#),
    ];
    for (text, json) in rows {
        assert_eq!(read("a.yaml", text).to_json(), json, "{text}");
        let text = format!("key: {text}");
        let indented = text.replace('\n', "\n  ");
        assert_eq!(read("a.yaml", &indented).to_json(), format!("{{\"key\":{json}}}"), "{text}");
    }
}

#[test]
fn json_means_the_same_as_the_same_text_in_yaml() {
    let rows = [
        (" {} ", "{}"),
        ("[]", "[]"),
        (r#"{"a": [1, -2.5, true, false, null, "x"]}"#, r#"{"a":[1,-2.5,true,false,null,"x"]}"#),
        (r#"["\u0041\n\/\\\"\b\f\r\t"]"#, "[\"A\\n/\\\\\\\"\\u0008\\u000c\\r\\t\"]"),
        (r#"["\ud83d\ude00 \u00e9 é 😀"]"#, "[\"😀 é é 😀\"]"),
        (r#"{"\u0061": 1}"#, r#"{"a":1}"#),
        ("[1e2, 1.0, 18446744073709551616]", "[100.0,1.0,18446744073709551616]"),
        ("[0.1, 1E400, -0, -0.0, 1e-7, 5e-324]", "[0.1,1E400,0,-0.0,1e-7,5e-324]"),
        ("[\"\u{7f}\u{2028}\"]", "[\"\u{7f}\u{2028}\"]"),
    ];
    for name in ["a.json", "a.yaml", "request body"] {
        for (text, json) in rows {
            assert_eq!(read(name, text).to_json(), json, "{name}: {text}");
        }
    }
    assert_eq!(read("a.json", "5").to_json(), "5");
    assert_eq!(read("body", "\u{feff}{\"a\":1}").to_json(), r#"{"a":1}"#);
}

#[test]
fn a_text_in_braces_that_is_not_json_is_yaml() {
    assert_eq!(read("body", "{a: 1, b: [x]}").to_json(), r#"{"a":1,"b":["x"]}"#);
    assert_eq!(
        refusal("a.json", "{a: 1}").what,
        "a key in double quotes was expected, there is `a`"
    );
}

#[test]
fn every_node_knows_its_place() {
    let text = "é: ü # note\nlist:\n  - one\n  -  two: [3, \"ö\", x]\n\n  - >\n    block\n";
    let node = read("a.yaml", text);
    let span = |line, column| Span { line, column };
    let entries = node.as_map().unwrap();
    assert_eq!(node.span, span(1, 1));
    assert_eq!(entries[0].value.span, span(1, 4));
    assert_eq!(entries[1].key_span, span(2, 1));
    let list = entries[1].value.as_list().unwrap();
    assert_eq!(entries[1].value.span, span(3, 3));
    assert_eq!(list[0].span, span(3, 5));
    assert_eq!(list[1].span, span(4, 6));
    let inner = list[1].get("two").unwrap().as_list().unwrap();
    assert_eq!(inner[1].span, span(4, 15));
    assert_eq!(inner[2].span, span(4, 20));
    assert_eq!(list[2].span, span(7, 5)); // a block begins with its content

    let node = read("a.json", "{\"é\": [\"ü\",\r\n\t3,\r{\"k\":\n null}]}");
    let list = node.get("é").unwrap().as_list().unwrap();
    assert_eq!(list[0].span, span(1, 8));
    assert_eq!(list[1].span, span(2, 2));
    assert_eq!(list[2].span, span(3, 1));
    assert_eq!(list[2].get("k").unwrap().span, span(4, 2));
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n\
                one: {<<: *base, b: 9}\ntwo: {<<: [*base, *more]}\nthree: *more\nfour: {\"<<\": 1}";
    assert_eq!(
        read("a.yaml", text).to_json(),
        r#"{"base":{"a":1,"b":2},"more":{"b":3,"c":4},"one":{"b":9,"a":1},"two":{"a":1,"b":2,"c":4},"three":{"b":3,"c":4},"four":{"<<":1}}"#
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    // (name, text, line, column, what, hint)
    let rows = [
        ("a.yaml", "a: 1\nb: 2\na: 3", 3, 1, "the key `a` is here twice", "first one is at 1:1"),
        ("a.yaml", "{a: 1, b: {c: 1, c: 2}}", 1, 18, "the key `c` is here twice", "1:12"),
        ("a.json", "{\"a\": 1,\n \"a\": 2}", 2, 2, "the key `a` is here twice", "1:2"),
        ("a.json", "{\"a\":1,\"\\u0061\":2}", 1, 8, "the key `a` is here twice", "1:2"),
        ("a.yaml", "zip: 01234", 1, 6, "the number `01234` begins with 0", "\"01234\""),
        ("a.yaml", "zip: -01.5", 1, 6, "the number `-01.5` begins with 0", "quotes"),
        ("a.yaml", "x: .inf", 1, 4, "`.inf` is a number that JSON does not have", "quotes"),
        ("a.yaml", "x: 0x1ffffffffffffffff", 1, 4, "larger than 64 bits", "quotes"),
        ("a.yaml", "a:\n\tb: 1", 2, 1, "a tab stands where YAML wants spaces", "spaces"),
        ("a.yaml", "a: b: c", 1, 5, "`: ` is not allowed here", "quotes"),
        ("a.yaml", "a: [1, 2", 1, 9, "expected ',' or ']'", ""),
        ("a.yaml", "a: [1, 2\n\n\n", 1, 9, "expected ',' or ']'", ""),
        ("a.yaml", "a: \"open", 1, 4, "the quotes that open here are never closed", ""),
        ("a.yaml", "a: \"\\d\"", 1, 4, "no such escape in double quotes", "single quotes"),
        ("a.yaml", "a: *nobody", 1, 4, "no anchor of this name", "quoted"),
        ("a.yaml", "a: &x [*x]", 1, 8, "inside what it refers to", ""),
        ("a.yaml", "a: !secret b", 1, 4, "the tag `!secret` is not supported", "quotes"),
        ("a.yaml", "a: @b", 1, 4, "a value cannot begin with this character", "quotes"),
        ("a.yaml", "a: 1\n---\nb: 2", 2, 1, "a second document begins here", "list"),
        ("a.yaml", "[a]: 1", 1, 1, "a key must be text", ""),
        ("a.yaml", ": 1", 1, 1, "a key is missing", ""),
        ("a.yaml", "a: 1\n  b: 2", 2, 4, "`: ` is not allowed here", "indentation"),
        ("a.yaml", "<<: 5", 1, 5, "`<<` merges a map or a list of maps", ""),
        ("a.yaml", "a: x\u{0}y", 1, 5, "the control character U+0000", "remove"),
        ("a.yaml", "a: 1\r\nb: x\u{1}y", 2, 5, "the control character U+0001", "remove"),
        ("a.yaml", "when: ${ a == 'x' # note", 1, 7, "this expression has no end", "quotes"),
        ("a.yaml", "when: ${ a ? b : c }", 1, 7, "this expression has no end", "quotes"),
        ("a.yaml", "- {when: ${ a }}", 1, 11, "expected ',' or '}'", "`${ … }`"),
        ("a.yaml", "- [${ a }]", 1, 5, "expected ',' or ']'", "`${ … }`"),
        ("a.json", "", 1, 1, "a value was expected, the text ends", ""),
        ("a.json", "{\"a\": 1,}", 1, 9, "a key in double quotes was expected", ""),
        ("a.json", "{\"a\" 1}", 1, 6, "`:` was expected, there is `1`", ""),
        ("a.json", "[1 2]", 1, 4, "`,` or `]` was expected", ""),
        ("a.json", "[1] x", 1, 5, "this is too much", ""),
        ("a.json", "[01]", 1, 2, "a number may not begin with 0", "quotes"),
        ("a.json", "[1., 2]", 1, 2, "a digit was expected after the point", ""),
        ("a.json", "[-]", 1, 2, "a digit was expected after `-`", ""),
        ("a.json", "[1e+]", 1, 2, "a digit was expected in the exponent", ""),
        ("a.json", "[tru]", 1, 2, "a value was expected", ""),
        ("a.json", "[truex]", 1, 2, "a value was expected", ""),
        ("a.json", "[NaN]", 1, 2, "a value was expected", ""),
        ("a.json", "[\"a\nb\"]", 1, 4, "the control character U+000A", "\\n"),
        ("a.json", "[\"abc", 1, 6, "the text in quotes does not end", ""),
        ("a.json", "[\"\\x41\"]", 1, 3, "no such escape", ""),
        ("a.json", "[\"\\ud83d\"]", 1, 3, "half of a surrogate pair", ""),
        ("a.json", "[\"\\ude00\\ud83d\"]", 1, 3, "half of a surrogate pair", ""),
        ("a.json", "[\"\\ud83d\\u0041\"]", 1, 3, "half of a surrogate pair", ""),
        ("a.json", "[\"\\u00g0\"]", 1, 3, "four hex digits", ""),
        ("a.json", "[\"\\u+041\"]", 1, 3, "four hex digits", ""),
        ("a.json", "[\"\\u00é\"]", 1, 3, "four hex digits", ""),
    ];
    let mut wrong = String::new();
    for (name, text, line, column, what, hint) in rows {
        let fault = refusal(name, text);
        let is_right = fault.what.contains(what)
            && fault.span == Span { line, column }
            && fault.hint.as_deref().unwrap_or("").contains(hint)
            && fault.file == name;
        if !is_right {
            writeln!(wrong, "{text:?}, expected {line}:{column}: {what}\n{fault}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_fault_shows_the_line_with_a_caret() {
    let fault = refusal("rules/zip.yaml", "rules:\n\t\n  - zip: 01234 # Dresden\n");
    assert_eq!(
        fault.to_string(),
        "rules/zip.yaml:3:10: the number `01234` begins with 0\n\
         \x20 3 |   - zip: 01234 # Dresden\n\
         \x20   |          ^\n\
         \x20   = put it in quotes if it is text: \"01234\""
    );
    let long = format!("a: [{}01, 2]", "x, ".repeat(2_000));
    let shown = refusal("long.yaml", &long).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "long.yaml:1:6005: the number `01` begins with 0");
    let caret = lines[2].find('^').unwrap();
    assert_eq!(&lines[1][caret..caret + 2], "01");
    assert!(lines[1].len() < 120);
}

#[test]
fn a_small_text_cannot_become_a_large_tree() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{row}]").unwrap();
    }
    let fault = refusal("laughs.yaml", &text);
    assert!(fault.what.contains("more than 1000000 values"), "{fault}");
}

#[test]
fn nesting_is_allowed_to_the_limit_and_refused_beyond_it() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for name in ["a.json", "a.yaml"] {
        assert_eq!(read(name, &nested(128)).to_json(), nested(128));
        assert!(refusal(name, &nested(129)).what.contains("nested deeper than 128"));
        refusal(name, &nested(100_000));
        refusal(name, &"[".repeat(100_000));
        refusal(name, &"{\"a\":".repeat(100_000));
    }
    let block = |depth: usize| format!("{}x", "- ".repeat(depth));
    read("a.yaml", &block(128));
    assert!(refusal("a.yaml", &block(129)).what.contains("nested deeper than 128"));
    assert!(refusal("a.yaml", &block(50_000)).what.contains("nested deeper than 128"));
    let via_alias = format!("- &deep {}\n- {}*deep{}", nested(100), "[".repeat(40), "]".repeat(40));
    assert!(refusal("a.yaml", &via_alias).what.contains("aliases expanded"));
}

#[test]
fn durations_are_read_in_every_unit_and_bounded() {
    let rows = [
        ("500ms", 500),
        ("30s", 30_000),
        ("30", 30_000),
        ("0", 0),
        ("15m", 900_000),
        ("4h", 14_400_000),
        ("30d", 2_592_000_000),
        ("30 s", 30_000),
    ];
    for (text, ms) in rows {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "s", "1.5h", "-3s", "3 weeks", "1h30m", "3S", "٣s"] {
        let error = parse_duration(text).unwrap_err().to_string();
        assert!(error.contains("is not a duration"), "{text}: {error}");
    }
    for text in ["3651d", "99999999999999999999999s", "18446744073709551615d"] {
        let error = parse_duration(text).unwrap_err().to_string();
        assert!(error.contains("the longest duration is 3650d"), "{text}: {error}");
    }
    let source = Source { name: "a.yaml", text: "timeout: [1]" };
    let node = parse(source).unwrap();
    let fault = crate::duration(source, node.get("timeout").unwrap()).unwrap_err();
    assert_eq!(fault.what, "a duration was expected, this is a list");
    assert_eq!(fault.span, Span { line: 1, column: 10 });
}

#[test]
fn a_near_word_is_suggested_and_a_far_one_is_not() {
    let known = ["equals", "not_equals", "greater_than", "in", "regex"];
    let rows = [
        ("equal", Some("equals")),
        ("eqauls", Some("equals")),
        ("EQUALS", Some("equals")),
        ("greaterthan", Some("greater_than")),
        ("regexp", Some("regex")),
        ("im", Some("in")),
        ("zz", None),
        ("", None),
        ("frobnicate", None),
    ];
    for (word, expected) in rows {
        assert_eq!(did_you_mean(word, known), expected, "{word}");
    }
}

#[test]
fn fields_refuse_what_nobody_asked_for() {
    let source = Source {
        name: "a.yaml",
        text: "id: 5\nversion: 99\nop: a\noperator: b\npriorty: 3\nenabled: maybe\ntags: x\nstopp: 1\n",
    };
    let node = parse(source).unwrap();
    let mut fields = crate::Fields::of(source, &node, "a rule").unwrap();
    assert_eq!(fields.missing("stop").hint.unwrap(), "is `stopp` meant to be it?");
    let said = [
        fields.require_text("id").unwrap_err(),
        fields.whole("version", 1..=10).unwrap_err(),
        fields.take_any(&["op", "operator"]).unwrap_err(),
        fields.flag("enabled").unwrap_err(),
        fields.list("tags").unwrap_err(),
        fields.require("actions").unwrap_err(),
    ]
    .map(|fault| fault.what);
    assert_eq!(
        said,
        [
            "`id` must be text, this is a whole number",
            "`version` is out of range: 99 is not in 1 to 10",
            "`operator` and `op` are the same key",
            "`enabled` must be true or false, this is text",
            "`tags` must be a list, this is text",
            "a rule needs the key `actions`",
        ]
    );
    assert_eq!(fields.whole("priority", 0..=9), Ok(None));
    let faults = fields.finish();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].what, "a rule has no key `priorty`");
    assert_eq!(faults[0].hint.as_deref(), Some("did you mean `priority`?"));

    let list = parse(Source { name: "a.yaml", text: "- 1" }).unwrap();
    let fault = crate::Fields::of(source, &list, "a rule").unwrap_err();
    assert_eq!(fault.what, "a rule must be a map, this is a list");
}

/// Values as JSON texts, numbers of every size among them.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u128>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|v| format!("{v:?}")),
        "-?(0|[1-9][0-9]{0,25})\\.[0-9]{1,25}([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|list| format!("[{}]", list.join(", "))),
            proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| {
                let rows: Vec<String> = map
                    .iter()
                    .map(|(key, value)| {
                        format!("{}:\n{value}", serde_json::to_string(key).unwrap())
                    })
                    .collect();
                format!("{{{}}}", rows.join(","))
            }),
        ]
    })
}

/// The values alone: without places, without quotes.
fn without_places(node: &Node) -> Node {
    let kind = match &node.kind {
        Kind::Text { value, .. } => Kind::Text { value: value.clone(), quoted: true },
        Kind::List(nodes) => Kind::List(nodes.iter().map(without_places).collect()),
        Kind::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|entry| crate::Entry {
                    key: entry.key.clone(),
                    key_span: Span::START,
                    value: without_places(&entry.value),
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { span: Span::START, kind }
}

proptest! {
    // No file of past failures: proptest would put it among the crates, where a folder is a crate.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writing_as_json_and_reading_again_gives_the_same_values(text in json_text()) {
        let node = read("a.json", &text);
        let json = node.to_json();
        let again = read("a.json", &json);
        prop_assert_eq!(without_places(&again), without_places(&node));
        prop_assert_eq!(again.to_json(), json);
    }

    #[test]
    fn json_is_read_as_serde_json_reads_it(text in json_text()) {
        let node = read("a.json", &text);
        let ours: Result<serde_json::Value, _> = serde_json::from_str(&node.to_json());
        let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
        prop_assert_eq!(ours.ok(), theirs.ok());
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        text in "[ \\t\\r\\n\\[\\]{}:,#&*!|>'\"%@`$?a0.~<\\-\\\\eé\u{feff}\u{0}]{0,60}"
    ) {
        for name in ["a.yaml", "a.json", "body"] {
            if let Err(fault) = parse(Source { name, text: &text }) {
                prop_assert!(!fault.to_string().is_empty());
            }
        }
    }
}
