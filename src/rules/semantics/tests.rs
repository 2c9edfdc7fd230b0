//! The sentences that docs/RULES.md says about the meaning of rules, each as a test of its name.
//! Every row about messages is asked of the matcher and of the naive evaluator.

use crate::oracle::naive::Condition;
use crate::oracle::tree::Tree;
use crate::{BadMessage, Catalogue, Matcher, Matches, Rule, lint, parse};
use document::Source;
use std::fmt::Write as _;

fn with(conditions: &str) -> String {
    format!("id: r\nactions: [{{workflow: w}}]\nconditions: {conditions}\n")
}

fn read(text: &str) -> Vec<Rule> {
    parse(Source { name: "r.yaml", text }).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

fn refusal(text: &str) -> String {
    match parse(Source { name: "r.yaml", text }) {
        Ok(_) => panic!("was accepted:\n{text}"),
        Err(faults) => faults.to_string(),
    }
}

/// How much of it the linter doubts.
fn doubts(text: &str) -> usize {
    lint(&[(Source { name: "r.yaml", text }, &read(text))]).doubts.len()
}

fn answer(conditions: &str, message: &[u8]) -> Result<bool, BadMessage> {
    let catalogue = Catalogue::compile(read(&with(conditions)));
    let mut found = Matches::new();
    Matcher::new().matches(&catalogue, message, &mut found).map(|()| !found.is_empty())
}

/// Conditions about the field `f`, its value, and whether they hold.
fn check(rows: &[(&str, &str, bool)]) {
    for (conditions, value, expected) in rows {
        let message = format!("{{\"f\":{value}}}");
        check_message(conditions, &message, *expected);
    }
}

fn check_message(conditions: &str, message: &str, expected: bool) {
    let holds = answer(conditions, message.as_bytes());
    assert_eq!(holds, Ok(expected), "{conditions}\n{message}");
    let source = Source { name: "conditions", text: conditions };
    let judge = Condition::of(&Tree::parse(&document::parse(source).unwrap().to_json()));
    assert_eq!(judge.holds(&Tree::parse(message)), expected, "the judge: {conditions}\n{message}");
}

#[test]
fn kinds_are_strict() {
    let scalars = ["5", "\"5\"", "true", "\"true\"", "null", "\"null\"", "0", "false", "\"\""];
    for value in scalars {
        for other in scalars {
            check(&[(
                &format!("[{{field: f, op: equals, value: {value}}}]"),
                other,
                value == other,
            )]);
        }
    }
}

#[test]
fn a_quoted_number_as_the_bound_of_an_order_is_a_number_and_in_equals_it_is_text() {
    check(&[
        ("[{field: f, op: greater_than, value: '10'}]", "11", true),
        ("[{field: f, op: greater_than, value: '10'}]", "9", false),
        ("[{field: f, op: greater_than, value: '10'}]", "\"9\"", false),
        ("[{field: f, op: in_range, value: ['1', '5']}]", "3", true),
        ("[{field: f, op: in_range, value: ['1', '5']}]", "\"3\"", false),
        ("[{field: f, op: equals, value: '10'}]", "10", false),
        ("[{field: f, op: equals, value: '10'}]", "\"10\"", true),
    ]);
    for op in ["greater_than", "equals"] {
        let text = with(&format!("[{{field: f, op: {op}, value: '10'}}]"));
        assert_eq!(doubts(&text), 1, "{op}");
    }
}

#[test]
fn numbers_compare_by_their_exact_value() {
    check(&[
        ("[{field: f, op: equals, value: 1}]", "1.0", true),
        ("[{field: f, op: equals, value: 1}]", "1e0", true),
        ("[{field: f, op: equals, value: 1.0}]", "1", true),
        // 2^53 and its neighbours, which no double tells apart.
        ("[{field: f, op: equals, value: 9007199254740992}]", "9007199254740993", false),
        ("[{field: f, op: equals, value: 9007199254740993}]", "9007199254740993", true),
        ("[{field: f, op: not_equals, value: 9007199254740992}]", "9007199254740993", true),
        ("[{field: f, op: greater_than, value: 9007199254740992}]", "9007199254740993", true),
        ("[{field: f, op: in, value: [9007199254740992]}]", "9007199254740993", false),
        (
            "[{field: f, op: in_range, value: {gt: 9007199254740992, lt: 9007199254740994}}]",
            "9007199254740993",
            true,
        ),
        ("[{field: f, op: contains, value: 9007199254740992}]", "[9007199254740993]", false),
        ("[{field: f, op: less_than, value: 0}]", "-9223372036854775808", true),
        ("[{field: f, op: less_than, value: -9223372036854775807}]", "-9223372036854775808", true),
        ("[{field: f, op: greater_than, value: 1}]", "1e400", true),
        ("[{field: f, op: less_than, value: 1e400}]", "1e308", true),
        ("[{field: f, op: equals, value: 1e400}]", "1e401", false),
        ("[{field: f, op: equals, value: 1e400}]", "10e399", true),
        ("[{field: f, op: greater_than, value: 0}]", "1e-400", true),
        ("[{field: f, op: equals, value: 0}]", "-0", true),
        ("[{field: f, op: equals, value: -0.0}]", "0", true),
        ("[{field: f, op: less_than, value: 0}]", "-0", false),
        // Twenty-five digits.
        (
            "[{field: f, op: equals, value: 1234567890123456789012345}]",
            "1234567890123456789012345",
            true,
        ),
        (
            "[{field: f, op: equals, value: 1234567890123456789012345}]",
            "1234567890123456789012346",
            false,
        ),
        (
            "[{field: f, op: greater_than, value: 1234567890123456789012345}]",
            "1234567890123456789012345.1",
            true,
        ),
        ("[{field: f, op: equals, value: 0.1}]", "0.1000000000000000055511151231257827", false),
    ]);
}

#[test]
fn beyond_a_bound_all_powers_of_ten_are_alike() {
    let bound = 1_u64 << 56;
    let (at, beyond) = (format!("1e{bound}"), format!("1e{}", bound + 1));
    let below = format!("1e{}", bound - 1);
    check(&[
        (&format!("[{{field: f, op: equals, value: {at}}}]"), &beyond, true),
        (&format!("[{{field: f, op: equals, value: {at}}}]"), "1e99999999999999999999999", true),
        (&format!("[{{field: f, op: equals, value: {at}}}]"), &below, false),
        (&format!("[{{field: f, op: greater_than, value: {below}}}]"), &at, true),
        (
            &format!("[{{field: f, op: equals, value: 1e-{bound}}}]"),
            "1e-99999999999999999999999",
            true,
        ),
    ]);
}

#[test]
fn text_is_compared_by_its_bytes_escapes_resolved() {
    check(&[
        ("[{field: f, op: equals, value: é}]", r#""\u00e9""#, true),
        ("[{field: f, op: equals, value: é}]", r#""e\u0301""#, false),
        ("[{field: f, op: starts_with, value: 😀}]", r#""\ud83d\ude00x""#, true),
        ("[{field: f, op: contains, value: \"a\\nb\"}]", r#""xa\u000abx""#, true),
        ("[{field: f, op: ends_with, value: /}]", r#""a\/""#, true),
        ("[{field: f, op: greater_than, value: z}]", "\"é\"", true),
        ("[{field: f, op: less_than, value: a}]", "\"Z\"", true),
    ]);
}

#[test]
fn equality_without_case_folds_letter_by_letter() {
    check(&[
        ("[{field: f, op: equals_ignore_case, value: Ab}]", "\"aB\"", true),
        ("[{field: f, op: equals_ignore_case, value: É}]", "\"é\"", true),
        ("[{field: f, op: equals_ignore_case, value: ß}]", "\"ẞ\"", true),
        ("[{field: f, op: equals_ignore_case, value: ß}]", "\"ss\"", false),
        ("[{field: f, op: equals_ignore_case, value: σ}]", "\"ς\"", true),
        ("[{field: f, op: equals_ignore_case, value: k}]", "\"\u{212a}\"", true),
        ("[{field: f, op: equals_ignore_case, value: '1'}]", "1", false),
    ]);
}

#[test]
fn keys_with_escapes_are_found_and_a_dot_in_a_key_is_no_step() {
    for (field, message) in [
        ("f", r#"{"\u0066":1}"#),
        ("a.b", r#"{"\u0061":{"\u0062":1}}"#),
        (r"a\.b", r#"{"a.b":1}"#),
        (r"a\.b", r#"{"a\u002eb":1}"#),
        ("é", r#"{"\u00e9":1}"#),
    ] {
        check_message(&format!("[{{field: '{field}', op: equals, value: 1}}]"), message, true);
    }
    check_message(r"[{field: 'a\.b', op: exists}]", r#"{"a":{"b":1}}"#, false);
    check_message("[{field: a.b, op: exists}]", r#"{"a.b":1}"#, false);
}

#[test]
fn a_lone_surrogate_is_refused_in_what_rules_ask_for_and_elsewhere() {
    for text in
        [r#"{"f":"\ud83d"}"#, r#"{"x":"\ude00"}"#, r#"{"\ud83d":1}"#, r#"{"x":["\ud83d\u0041"]}"#]
    {
        let said = answer("[{field: f, op: exists}]", text.as_bytes());
        assert!(matches!(said, Err(BadMessage::LoneSurrogate { .. })), "{text}: {said:?}");
    }
}

#[test]
fn a_key_that_rules_ask_for_stands_once_and_others_as_often_as_they_like() {
    let said = |text: &str| answer("[{field: a.f, op: exists}]", text.as_bytes());
    for text in
        [r#"{"a":{"f":1,"f":1}}"#, r#"{"a":1,"a":{"f":1}}"#, r#"{"a":[{"f":1,"\u0066":2}]}"#]
    {
        assert!(matches!(said(text), Err(BadMessage::RepeatedKey { .. })), "{text}");
    }
    assert_eq!(said(r#"{"f":1,"f":2,"a":{"x":1,"x":1,"f":1}}"#), Ok(true));
}

#[test]
fn a_message_nests_to_128_and_no_deeper() {
    let nested =
        |depth: usize| format!("{{\"f\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    for field in ["f", "g"] {
        let conditions = format!("[{{field: {field}, op: exists}}]");
        assert_eq!(answer(&conditions, nested(128).as_bytes()), Ok(field == "f"));
        let said = answer(&conditions, nested(129).as_bytes());
        assert!(matches!(said, Err(BadMessage::TooDeep { .. })), "{said:?}");
    }
}

#[test]
fn not_equals_and_not_in_need_the_field_and_a_none_group_does_not() {
    for (conditions, for_missing) in [
        ("[{field: f, op: not_equals, value: 1}]", false),
        ("[{field: f, op: not_in, value: [1]}]", false),
        ("[{field: f, op: not_in, value: []}]", false),
        ("{none: [{field: f, op: equals, value: 1}]}", true),
        ("{none: [{field: f, op: in, value: [1]}]}", true),
        ("{combinator: NOT, conditions: [{field: f, op: equals, value: 1}]}", true),
        ("{none: [{field: f, op: not_equals, value: 1}]}", true),
        ("[{field: f, op: equals, value: 1, quantifier: none}]", true),
        ("[{field: f, op: equals, value: 1, quantifier: all}]", false),
        ("[{field: f, op: exists}]", false),
        ("[{field: f, op: not_exists}]", true),
    ] {
        check_message(conditions, "{}", for_missing);
        check_message(conditions, r#"{"g":1}"#, for_missing);
    }
}

#[test]
fn null_and_objects_and_arrays_are_there() {
    for value in ["null", "{}", "[]", "[[]]", "0", "\"\"", "false"] {
        check(&[
            ("[{field: f, op: exists}]", value, true),
            ("[{field: f, op: not_exists}]", value, false),
        ]);
    }
}

#[test]
fn contains_asks_for_a_part_of_a_text_or_for_an_element_of_an_array() {
    check(&[
        ("[{field: f, op: contains, value: b}]", "\"abc\"", true),
        ("[{field: f, op: contains, value: b}]", "[\"a\",\"b\"]", true),
        ("[{field: f, op: contains, value: b}]", "[\"abc\"]", false),
        ("[{field: f, op: contains, value: 1}]", "[1.0]", true),
        ("[{field: f, op: contains, value: 1}]", "1", false),
        ("[{field: f, op: contains, value: b}]", "{\"b\":1}", false),
    ]);
}

#[test]
fn a_quantifier_says_of_how_many_values_a_condition_holds() {
    let of = |quantifier: &str| {
        format!("[{{field: f, op: greater_than, value: 0, quantifier: {quantifier}}}]")
    };
    for (values, any, all, none) in [
        ("[1,2]", true, true, false),
        ("[1,0]", true, false, false),
        ("[0,-1]", false, false, true),
        ("[]", false, false, true),
        ("1", true, true, false),
        ("[[1],[[2]]]", true, true, false),
        ("[1,\"1\"]", true, false, false),
    ] {
        check(&[(&of("any"), values, any), (&of("all"), values, all), (&of("none"), values, none)]);
    }
}

#[test]
fn a_list_of_nothing_is_refused_as_a_group_and_never_holds_as_a_choice() {
    for group in ["[]", "{all: []}", "{any: []}", "{none: []}", "{combinator: AND, conditions: []}"]
    {
        assert!(refusal(&with(group)).contains("a group without conditions"), "{group}");
    }
    for value in ["1", "null", "[]", "\"\""] {
        check(&[("[{field: f, op: in, value: []}]", value, false)]);
    }
    let text = with("[{field: f, op: in, value: []}]");
    assert!(doubts(&text) > 0);
}

#[test]
fn what_is_not_known_is_refused_with_its_place_and_matches_nothing() {
    for (conditions, place, what) in [
        ("[{field: f, op: equal, value: 1}]", "r.yaml:3:29", "unknown operator `equal`"),
        ("[{field: f, op: exists, foo: 1}]", "r.yaml:3:37", "a condition has no key `foo`"),
        ("{some: [{field: f, op: exists}]}", "r.yaml:3:13", "needs the key `field`"),
        ("[{field: f, op: regex, value: '(?=a)'}]", "r.yaml:3:43", "look-around"),
        (r"[{field: f, op: regex, value: '(a)\1'}]", "r.yaml:3:43", "backreference"),
        (r"[{field: f, op: regex, value: '\w{5000}'}]", "r.yaml:3:43", "exceeds size limit"),
    ] {
        let said = refusal(&with(conditions));
        assert!(said.contains(place) && said.contains(what), "{conditions}\n{said}");
    }
}

#[test]
fn unquoted_words_are_what_yaml_1_2_says() {
    for word in ["no", "on", "yes", "off", "12:30", "1_000", "2024-01-31"] {
        let conditions = format!("[{{field: f, op: equals, value: {word}}}]");
        check(&[(&conditions, &format!("\"{word}\""), true), (&conditions, "false", false)]);
    }
    check(&[
        ("[{field: f, op: equals, value: True}]", "true", true),
        ("[{field: f, op: equals, value: ~}]", "null", true),
        ("[{field: f, op: equals, value: 0x1F}]", "31", true),
        ("[{field: f, op: equals, value: 'true'}]", "true", false),
    ]);
}

#[test]
fn a_number_with_a_leading_zero_and_a_key_that_stands_twice_are_refused() {
    for (conditions, what) in [
        ("[{field: f, op: equals, value: 01234}]", "begins with 0"),
        ("[{field: f, op: equals, value: -01.5}]", "begins with 0"),
        ("[{field: f, op: equals, value: 1, value: 2}]", "the key `value` is here twice"),
        ("[{field: f, op: exists, \"op\": exists}]", "the key `op` is here twice"),
    ] {
        let said = refusal(&with(conditions));
        assert!(said.contains("r.yaml:3:") && said.contains(what), "{conditions}\n{said}");
    }
    check(&[("[{field: f, op: equals, value: '01234'}]", "\"01234\"", true)]);
}

#[test]
fn anchors_and_merge_keys_are_expanded_up_to_a_bound() {
    let text = "
- id: a
  conditions: &conditions [{field: f, op: equals, value: 1}]
  actions: &actions [{workflow: w}]
- {id: b, conditions: *conditions, actions: *actions}
- {id: c, <<: {actions: *actions, priority: 3}, conditions: [{<<: {field: f, op: exists}}]}
";
    let catalogue = Catalogue::compile(read(text));
    let mut found = Matches::new();
    Matcher::new().matches(&catalogue, b"{\"f\":1}", &mut found).unwrap();
    let ids: Vec<&str> = found.iter().map(|at| &*catalogue.rule(*at).id).collect();
    assert_eq!(ids, ["c", "a", "b"]);

    let mut laughs = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(laughs, "- &a{level} [{row}]").unwrap();
    }
    assert!(refusal(&laughs).contains("more than 1000000 values"));
}

#[test]
fn ties_of_priority_are_ordered_by_id() {
    let rule = |id: &str, priority: i32| {
        format!(
            "- {{id: {id}, priority: {priority}, conditions: [{{field: f, op: exists}}], actions: [{{workflow: w}}]}}\n"
        )
    };
    // Bytewise: upper case before lower case, 10 before 9.
    let text: String = [("r9", 0), ("z", 1), ("r10", 0), ("R", 0), ("a", -1)]
        .map(|(id, priority)| rule(id, priority))
        .concat();
    let catalogue = Catalogue::compile(read(&text));
    let mut found = Matches::new();
    Matcher::new().matches(&catalogue, b"{\"f\":1}", &mut found).unwrap();
    let ids: Vec<&str> = found.iter().map(|at| &*catalogue.rule(*at).id).collect();
    assert_eq!(ids, ["z", "R", "r10", "r9", "a"]);
}
