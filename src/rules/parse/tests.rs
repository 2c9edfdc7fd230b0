//! Rule files, good and bad.

use crate::{Action, Catalogue, Condition, Findings, Matcher, Matches, Rule, lint, parse, seen_by};
use document::{FAULTS_MAX, Fault, Source};
use expr::{Steps, Value};
use std::fmt::Write as _;
use std::time::Duration;

fn read(text: &str) -> Vec<Rule> {
    parse(Source { name: "rules.yaml", text }).unwrap_or_else(|faults| panic!("{faults}"))
}

fn refusal(text: &str) -> String {
    match parse(Source { name: "r.yaml", text }) {
        Ok(_) => panic!("was accepted:\n{text}"),
        Err(faults) => faults.to_string(),
    }
}

/// A rule file of one rule with these conditions.
fn with_conditions(conditions: &str) -> String {
    format!("id: r\nactions: [{{workflow: w}}]\nconditions: {conditions}\n")
}

const EXAMPLES: [(&str, &str); 2] = [
    ("payments.yaml", include_str!("../../../config/rules/payments.yaml")),
    ("operations.yaml", include_str!("../../../config/rules/operations.yaml")),
];

#[test]
fn the_example_rules_are_right_and_pass_their_own_tests() {
    let mut rules = Vec::new();
    for (name, text) in EXAMPLES {
        let source = Source { name, text };
        let read = parse(source).unwrap_or_else(|faults| panic!("{faults}"));
        let findings = lint(&[(source, &read)]);
        assert_eq!(findings, Findings::default());
        assert!(read.iter().all(|rule| rule.tests.len() >= 4 || rule.id == "order-paid"));
        rules.extend(read);
    }
    assert_eq!(rules.len(), 5);
    let catalogue = Catalogue::compile(rules);
    let message = br#"{"event_type":"payment_received","amount":15000,"user_id":"user_12345"}"#;
    let mut matches = Matches::new();
    Matcher::new().matches(&catalogue, message, &mut matches).unwrap();
    let started: Vec<&str> = matches
        .iter()
        .flat_map(|index| &catalogue.rule(*index).actions)
        .map(|action| action.workflow.as_str())
        .collect();
    assert_eq!(started, ["fraud_check"]);
}

#[test]
fn a_rule_has_everything_its_text_says() {
    let text = r"
rules:
  - id: high
    version: 3
    priority: -5
    enabled: false
    stop: true
    description: x
    conditions: [{field: a, operator: equals, value: 1}]
    actions:
      - {workflow: w1, params: {b: 1.50, a: [x, null]}, timeout: 90, retry: 2}
      - {workflow: w2}
    tests: [{message: {a: 1}, fires: true}]
  - {id: low, conditions: {field: a, op: exists}, actions: [{workflow: w}]}
";
    let rules = read(text);
    let [high, low] = rules.as_slice() else { panic!("two rules") };
    assert_eq!((high.id.as_str(), high.version, high.priority), ("high", 3, -5));
    assert_eq!((high.enabled, high.stop), (false, true));
    assert_eq!(high.description.as_deref(), Some("x"));
    let params = |action: &Action| action.params.constant().unwrap().to_json();
    assert_eq!(params(&high.actions[0]), r#"{"a":["x",null],"b":1.5}"#);
    assert_eq!(high.actions[0].timeout, Some(Duration::from_secs(90)));
    assert_eq!(high.actions[0].retry, Some(2));
    assert_eq!(params(&high.actions[1]), "{}");
    assert_eq!((high.actions[1].timeout, high.actions[1].retry), (None, None));
    assert_eq!(high.tests[0].message, r#"{"a":1}"#);
    assert!(high.tests[0].fires);
    assert_eq!((high.span.line, high.span.column), (3, 5));
    assert_eq!((low.version, low.priority, low.enabled, low.stop), (1, 0, true, false));
    assert!(low.tests.is_empty() && low.description.is_none());
}

#[test]
fn a_file_is_a_map_with_rules_a_list_of_rules_or_one_rule() {
    let rule = "{id: a, conditions: [{field: x, op: exists}], actions: [{workflow: w}]}";
    let as_json =
        r#"{"id":"a","conditions":[{"field":"x","op":"exists"}],"actions":[{"workflow":"w"}]}"#;
    for text in [
        format!("rules: [{rule}]"),
        format!("- {rule}"),
        rule.to_owned(),
        as_json.to_owned(),
        format!("[{as_json}]"),
        format!("{{\"rules\":[{as_json}]}}"),
    ] {
        let rules = read(&text);
        assert_eq!(rules.len(), 1, "{text}");
        assert_eq!(rules[0].source, as_json);
    }
    assert!(read("rules: []").is_empty());
    assert!(read("[]").is_empty());
}

#[test]
fn the_canonical_text_of_a_rule_gives_the_rule_again() {
    for (_, text) in EXAMPLES {
        for rule in read(text) {
            let again = read(&rule.source);
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].source, rule.source);
            assert_eq!(again[0].id, rule.id);
            assert_eq!(again[0].priority, rule.priority);
            assert_eq!(again[0].stop, rule.stop);
            assert_eq!(again[0].tests.len(), rule.tests.len());
            let canonical = Source { name: "canonical", text: &rule.source };
            assert_eq!(lint(&[(canonical, &again)]), Findings::default());
        }
    }
}

#[test]
fn long_and_short_groups_give_the_same_tree() {
    let shape = |text: &str| {
        fn shape(condition: &Condition) -> String {
            let group = |name: &str, members: &[Condition]| {
                let members: Vec<String> = members.iter().map(shape).collect();
                format!("{name}({})", members.join(" "))
            };
            match condition {
                Condition::All(members) => group("all", members),
                Condition::Any(members) => group("any", members),
                Condition::None(members) => group("none", members),
                Condition::Predicate(predicate) => predicate.field.to_string(),
                Condition::Expression(condition) => condition.expression.source().to_owned(),
            }
        }
        shape(&read(&with_conditions(text))[0].when)
    };
    let a = "{field: a, op: exists}";
    let b = r"{field: 'b\.c.d', op: exists}";
    let rows = [
        (format!("[{a}, {b}]"), r"all(a b\.c.d)"),
        (a.to_string(), "a"),
        (format!("{{all: [{a}, {b}]}}"), r"all(a b\.c.d)"),
        (format!("{{combinator: AND, conditions: [{a}, {b}]}}"), r"all(a b\.c.d)"),
        (format!("{{any: [{a}, {{none: [{b}]}}]}}"), r"any(a none(b\.c.d))"),
        (
            format!(
                "{{combinator: or, conditions: [{a}, {{combinator: NOT, conditions: [{b}]}}]}}"
            ),
            r"any(a none(b\.c.d))",
        ),
        (format!("[{{any: [{a}]}}, {{none: [{b}, {a}]}}]"), r"all(any(a) none(b\.c.d a))"),
    ];
    for (text, expected) in rows {
        assert_eq!(shape(&text), expected, "{text}");
    }
}

#[test]
fn messages_for_people_name_place_reason_and_remedy() {
    let text = "\
rules:
  - id: high value
    version: 0
    priorty: 5
    conditions:
      - { field: amount, op: greater_then, value: 1000 }
      - { field: amount, op: in_range, value: [5000, 1000] }
      - any: []
    actions:
      - { workflow: w, timeout: 5 minutes, key: '' }
    tests:
      - { message: { a: 1 }, fire: true }
  - id: b
    conditions: { al: [] }
    actions: []
";
    assert_eq!(
        refusal(text),
        "\
r.yaml:2:9: `id` must not hold ' '
  2 |   - id: high value
    |         ^
    = letters, digits and - _ . : are allowed
r.yaml:3:14: `version` is out of range: 0 is not in 1 to 4294967295
  3 |     version: 0
    |              ^
r.yaml:4:5: a rule has no key `priorty`
  4 |     priorty: 5
    |     ^
    = did you mean `priority`?
r.yaml:6:30: unknown operator `greater_then`
  6 |       - { field: amount, op: greater_then, value: 1000 }
    |                              ^
    = did you mean `greater_than`?
r.yaml:7:47: nothing lies in this range
  7 |       - { field: amount, op: in_range, value: [5000, 1000] }
    |                                               ^
    = the lower end comes first
r.yaml:8:14: a group without conditions
  8 |       - any: []
    |              ^
    = a rule for every message must ask for something they all have
r.yaml:10:33: `5 minutes` is not a duration: a whole number and a unit, as in 500ms, 30s, 15m, 4h, 30d
  10 |       - { workflow: w, timeout: 5 minutes, key: '' }
     |                                 ^
r.yaml:10:49: `key` gives 0 bytes; 1 to 256 are allowed
  10 |       - { workflow: w, timeout: 5 minutes, key: '' }
     |                                                 ^
r.yaml:12:9: a rule's test needs the key `fires`
  12 |       - { message: { a: 1 }, fire: true }
     |         ^
     = is `fire` meant to be it?
r.yaml:14:17: a condition needs the key `field`
  14 |     conditions: { al: [] }
     |                 ^
     = a condition is `field`, `op`, `value`; or `expr`; or a group: `all`, `any`, `none`
r.yaml:15:14: `actions` has 0 elements, it must have 1 to 16
  15 |     actions: []
     |              ^"
    );
}

#[test]
fn wrong_conditions_are_refused() {
    // (conditions, what is said)
    let rows = [
        ("5", "a condition must be a map, this is a whole number"),
        ("[]", "a group without conditions"),
        ("{all: {field: a, op: exists}}", "a list of conditions was expected, this is a map"),
        ("{all: [], any: []}", "a group of conditions has no key `any`"),
        ("{combinator: XOR, conditions: []}", "unknown combinator `XOR`"),
        ("{combinator: AND}", "a group of conditions needs the key `conditions`"),
        ("{conditions: []}", "a group of conditions needs the key `combinator`"),
        ("[{expr: '${ mgs.a > 1 }'}]", "did you mean `msg`?"),
        ("[{expr: '${ msg.a > }'}]", "r.yaml:3:33: expected"),
        ("[{expr: '${ input.a > 1 }'}]", "r.yaml:3:25: a rule has no `input`"),
        ("[{expr: '${ secrets.a == msg.b }'}]", "a rule cannot see `secrets`"),
        ("[{expr: msg.a > 1}]", "`expr` must be one expression in ${ }"),
        ("[{expr: '${ msg.a } > 1'}]", "`expr` must be one expression in ${ }"),
        ("[{expr: '${ true }'}]", "`expr` must be one expression in ${ }"),
        ("[{expr: true}]", "`expr` must be an expression, this is"),
        ("[{expr: '${ msg.a > 1 }', field: b}]", "`expr` is a whole condition"),
        ("[{field: a, value: 1}]", "a condition needs the key `op`"),
        ("[{field: a, oprator: equals, value: 1}]", "is `oprator` meant to be it?"),
        ("[{field: a, op: equals}]", "a condition needs the key `value`"),
        ("[{field: a, op: equals, valeu: 1}]", "is `valeu` meant to be it?"),
        ("[{field: a, op: equals, value: 1, vlaue: 2}]", "a condition has no key `vlaue`"),
        (
            "[{field: a, op: equals, operator: equals, value: 1}]",
            "`operator` and `op` are the same",
        ),
        ("[{field: 5, op: exists}]", "`field` must be text, this is a whole number"),
        ("[{field: '', op: exists}]", "the field path `` has an empty key"),
        ("[{field: a..b, op: exists}]", "the field path `a..b` has an empty key"),
        ("[{field: a., op: exists}]", "the field path `a.` has an empty key"),
        ("[{field: 'a[x]', op: exists}]", "an index is not a whole number in brackets"),
        ("[{field: 'a\\b', op: exists}]", "a `\\` stands before none of `.`, `[`, `]` and `\\`"),
        ("[{field: a, op: exists, value: false}]", "`exists` takes no value"),
        ("[{field: a, op: equals, value: [1]}]", "`equals` needs a single value, this is a list"),
        ("[{field: a, op: not_equals, value: {b: 1}}]", "`not_equals` needs a single value"),
        ("[{field: a, op: in, value: 5}]", "`in` needs a list, this is a whole number"),
        ("[{field: a, op: not_in, value: [[1]]}]", "`not_in` needs a single value, this is a list"),
        ("[{field: a, op: less_than, value: true}]", "`less_than` needs a number or text"),
        ("[{field: a, op: in_range, value: [1]}]", "`in_range` needs two ends"),
        ("[{field: a, op: in_range, value: [1, x]}]", "one end is a number, the other is text"),
        ("[{field: a, op: in_range, value: {gt: 5, lt: 5}}]", "nothing lies in this range"),
        ("[{field: a, op: in_range, value: {gt: 5, gte: 5}}]", "`gt` and `gte` are the same key"),
        ("[{field: a, op: in_range, value: {}}]", "the range has no end"),
        ("[{field: a, op: in_range, value: {above: 5}}]", "a range has no key `above`"),
        ("[{field: a, op: contains, value: [x]}]", "`contains` needs a single value"),
        ("[{field: a, op: starts_with, value: 49}]", "`starts_with` needs text"),
        (
            "[{field: a, op: regex, value: '(a'}]",
            "not a regular expression we can use: unclosed group",
        ),
        ("[{field: a, op: regex, value: 'a(?=b)'}]", "look-around"),
        ("[{field: a, op: regex, value: '\\w{5000}'}]", "exceeds size limit"),
        ("[{field: a, op: wildcard, value: 'a\\'}]", "has nothing to escape"),
        ("[{field: a, op: cidr, value: 10.0.0.1/8}]", "has bits set beyond its 8 first ones"),
        ("[{field: a, op: cidr, value: 10.0.0.0/33}]", "is not a network"),
        ("[{field: a, op: cidr, value: [localhost]}]", "is not a network"),
        ("[{field: a, op: cidr, value: []}]", "`cidr` needs at least one network"),
    ];
    let mut wrong = String::new();
    for (conditions, expected) in rows {
        let said = refusal(&with_conditions(conditions));
        if !said.contains(expected) {
            writeln!(wrong, "{conditions}\nexpected: {expected}\n{said}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_not_supported_yet_is_refused_by_name() {
    let rule = |more: &str, action: &str| {
        format!(
            "id: r\nconditions: [{{field: a, op: exists}}]\nactions: [{{workflow: w{action}}}]\n{more}"
        )
    };
    let rows = [
        (rule("namespace: x", ""), "`namespace` is not supported yet"),
        (rule("chain: x", ""), "`chain` is not supported yet"),
        (rule("retries: 3", ""), "a rule has no key `retries`"),
        (rule("", ", retry: 101"), "`retry` is out of range: 101 is not in 0 to 100"),
        (rule("", ", params: [1]"), "`params` must be a map, this is a list"),
        ("5".to_owned(), "rules were expected, this is a whole number"),
        (String::new(), "rules were expected, this is nothing"),
        ("rules: 5".to_owned(), "`rules` must be a list"),
        ("rules: []\nrule: 1".to_owned(), "a rule file has no key `rule`"),
        ("[5]".to_owned(), "a rule must be a map"),
        (
            format!(
                "- {{id: x, {0}}}\n- {{id: x, {0}}}",
                "conditions: [{field: a, op: exists}], actions: [{workflow: w}]"
            ),
            "the rule id `x` is here twice",
        ),
    ];
    for (text, expected) in rows {
        let said = refusal(&text);
        assert!(said.contains(expected), "{text}\nexpected: {expected}\n{said}");
    }
}

#[test]
fn chains_enrichments_and_expressions_are_read() {
    let text = r"
- id: base
  conditions: [{field: a, op: exists}]
  enrich: { risk.level: '${ msg.a + 1 }', seen: [1, '${ msg.a }'], risk.by: base }
- id: next
  continue_from: base
  requires: [other, third]
  conditions: [{field: risk.level, op: greater_than, value: 1}]
  actions:
    - workflow: w
      params: { level: '${ msg.risk.level }', text: 'level ${ msg.risk.level }' }
      key: ${ msg.a }
      enrich: { extra: true }
      transform: { id: '${ msg.a }', extra: '${ msg.extra }' }
";
    let rules = read(text);
    let [base, next] = rules.as_slice() else { panic!("two rules") };
    let fields: Vec<String> = base.enrich.fields().map(|(path, _)| path.to_string()).collect();
    assert_eq!(fields, ["risk.by", "risk.level", "seen"]);
    assert!(base.actions.is_empty() && base.needs().next().is_none());
    assert_eq!(next.needs().collect::<Vec<_>>(), ["base", "other", "third"]);
    assert!(!base.is_plain() && !next.is_plain());
    let find = |id: &str| rules.iter().find(|rule| rule.id == id);
    let mut steps = Steps::new(1_000);
    let seen =
        seen_by(next, &Value::parse_json(br#"{"a":4}"#).unwrap(), &find, &mut steps).unwrap();
    assert_eq!(seen.to_json(), r#"{"a":4,"risk":{"by":"base","level":5},"seen":[1,4]}"#);
    let started = next.actions[0].start(&next.enrich.apply(&seen), &mut steps).unwrap();
    assert_eq!(started.input.to_json(), r#"{"extra":true,"id":4}"#);
    assert_eq!(started.params.to_json(), r#"{"level":5,"text":"level 5"}"#);
    assert_eq!(started.key.as_deref(), Some("4"));
    for rule in &rules {
        let again = read(&rule.source);
        assert_eq!(again[0].source, rule.source);
        assert_eq!(again[0].enrich, rule.enrich);
        assert_eq!(again[0].requires, rule.requires);
        assert_eq!(again[0].continue_from, rule.continue_from);
    }
}

#[test]
fn wrong_chains_enrichments_and_expressions_are_refused_with_their_places() {
    // (what a rule has besides, what its action has besides, what is said)
    let many: Vec<String> = (0..17).map(|n| format!("r{n}")).collect();
    let many = format!("requires: [{}]", many.join(", "));
    let long = format!("key: {}", "x".repeat(257));
    let rows = [
        ("requires: x", "", "r.yaml:4:11: `requires` must be a list, this is text"),
        ("requires: []", "", "`requires` has 0 elements, it must have 1 to 16"),
        (&many, "", "`requires` has 17 elements, it must have 1 to 16"),
        ("requires: [x, 5]", "", "r.yaml:4:15: `requires` must be text, this is a whole number"),
        ("requires: [x, x]", "", "r.yaml:4:15: `x` is required twice"),
        ("requires: [a b]", "", "`requires` must not hold ' '"),
        ("requires: [r]", "", "r.yaml:1:1: rules need each other in a circle: `r` needs `r`"),
        ("continue_from: r", "", "rules need each other in a circle: `r` needs `r`"),
        ("continue_from: [r]", "", "`continue_from` must be text, this is a list"),
        ("enrich: 5", "", "`enrich` must be a map"),
        ("enrich: {}", "", "`enrich` has 0 fields, it must have 1 to 64"),
        ("enrich: { 'a..b': 1 }", "", "r.yaml:4:11: the field path `a..b` has an empty key"),
        (
            "enrich: { 'a[0]': 1 }",
            "",
            "r.yaml:4:11: `enrich` cannot set an element of an array: `a[0]`",
        ),
        ("enrich: { a: 1, a.b: 1 }", "", "r.yaml:4:17: `a.b` lies inside `a`, which is set, too"),
        ("enrich: { x: '${ msg. }' }", "", "r.yaml:4:23: expected the name of a field"),
        ("enrich: { x: '${ mgs.a }' }", "", "r.yaml:4:18: there is no `mgs`"),
        ("enrich: { x: '${ mgs.a }' }", "", "did you mean `msg`?"),
        ("enrich: { x: [1, '${ secrets.a }'] }", "", "r.yaml:4:22: a rule cannot see `secrets`"),
        ("enrich: { x: '${ input.a }' }", "", "a rule sees the message, which is `msg`"),
        ("enrich: { x: 1e400 }", "", "r.yaml:4:14: "),
        ("", "params: { a: { b: ['x ${ tasks.y }'] } }", "a rule has no `tasks`, a workflow has"),
        ("", "key: 5", "`key` must be text, this is a whole number"),
        ("", "key: [a]", "`key` must be text, this is a list"),
        ("", "key: ''", "`key` gives 0 bytes; 1 to 256 are allowed"),
        ("", &long, "`key` gives 257 bytes; 1 to 256 are allowed"),
        ("", "key: '${ null }'", "`key` gives null; a string, a number, true or false"),
        ("", "key: '${ msg.a'", "`${` has no `}`"),
        ("", "transform: 5", "`transform` must be a map, this is a whole number"),
        ("", "transform: [a]", "`transform` must be a map, this is a list"),
        ("", "transform: plain", "`transform` must be a map, this is text"),
        ("", "transform: 'x ${ msg.a }'", "`transform` must be a map, this gives none"),
        ("", "transform: '${ 5 }'", "`transform` must be a map, this gives none"),
        ("", "enrich: { a: '${ item }' }", "a rule has no `item`"),
    ];
    let mut wrong = String::new();
    for (rule, action, expected) in rows {
        let comma = if action.is_empty() { "" } else { ", " };
        let text = format!(
            "id: r\nconditions: [{{field: a, op: exists}}]\nactions: [{{workflow: w{comma}{action}}}]\n{rule}\n"
        );
        let said = refusal(&text);
        if !said.contains(expected) {
            writeln!(wrong, "{rule} {action}\nexpected: {expected}\n{said}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_linter_tells_what_looks_odd() {
    let text = r#"
- id: a
  conditions:
    - {field: amount, op: greater_than, value: "1000"}
    - {field: zip, op: equals, value: "1000"}
    - {field: b, op: in, value: []}
    - {field: c, op: not_in, value: []}
    - {field: d, op: in, value: [x, "5"]}
  actions: [{workflow: w}]
- id: b
  enabled: false
  conditions: [{field: test, op: not_exists}]
  actions: [{workflow: w}]
  tests:
    - {message: {a: 1}, fires: true}
    - {message: {a: 1}, fires: false}
    - {message: {test: 1}, fires: true}
"#;
    let source = Source { name: "r.yaml", text };
    let mut rules = parse(source).unwrap();
    rules.push(rules[0].clone());
    let said = |said: &[Fault]| -> Vec<String> {
        said.iter().map(|f| format!("{}:{} {}", f.span.line, f.span.column, f.what)).collect()
    };
    let findings = lint(&[(source, &rules)]);
    let odd = [
        "4:48 the bound for `amount` is text that reads as a number: it is taken as one",
        "5:39 `zip` is compared with text that reads as a number: 5 is not \"5\"",
        "6:33 `b` in an empty list: this never holds",
        "7:37 `c` not in an empty list: this holds whenever the field is there",
        "8:33 `d` is compared with text that reads as a number: 5 is not \"5\"",
    ];
    let mut expected = vec!["2:3 the rule id `a` is here twice"];
    expected.extend(odd.iter().flat_map(|line| [line, line]));
    expected.push("10:3 the rule `b` is looked at for every message");
    assert_eq!(said(&findings.doubts), expected);
    let failed = [
        "16:7 a test fails: `b` should not fire and does",
        "17:7 a test fails: `b` should fire and does not",
    ];
    assert_eq!(said(&findings.faults), failed);
}

#[test]
fn many_faults_are_told_up_to_a_bound() {
    let bad = "- {id: 5}\n".repeat(1_000);
    let said = refusal(&bad);
    assert!(said.lines().count() < 200, "{said}");
}

#[test]
fn crowds_in_one_group_are_refused() {
    let one = "{field: a.b, op: exists},";
    read(&with_conditions(&format!("[{}]", one.repeat(64))));
    let said = refusal(&with_conditions(&format!("[{}]", one.repeat(65))));
    assert!(said.contains("more than 64 conditions of one group ask about `a`"), "{said}");
    read(&with_conditions(&format!("{{any: [{}]}}", one.repeat(500))));
}

#[test]
fn no_more_is_looked_for_once_there_are_as_many_faults_as_are_told() {
    // Each is wrong in so many ways that to place them all would take minutes.
    let many = |piece: &str| vec![piece; 20_000].join(", ");
    let keys: Vec<String> = (0..20_000).map(|n| format!("k{n}: 1")).collect();
    let action = |more: &str| format!("[{{ workflow: w, {more} }}]");
    let condition = "{ field: a, op: exists }";
    let rows = [
        (many("{ field: a, op: equal, value: 1 }"), action("retry: 1")),
        (
            format!("{condition}, {{ field: a, op: exists, {} }}", keys.join(", ")),
            action("retry: 1"),
        ),
        (condition.to_owned(), action(&format!("params: {{ a: [{}] }}", many("'${ msg. }'")))),
        (condition.to_owned(), action(&format!("params: {{ {} }}", many("a: '${ x }'")))),
        (
            condition.to_owned(),
            action(&format!("transform: {{ a: \"{}\" }}", "${ x }".repeat(20_000))),
        ),
        (condition.to_owned(), format!("[{}]", many("5"))),
    ];
    for (conditions, actions) in rows {
        let text = format!("id: r\nconditions: [{conditions}]\nactions: {actions}\n");
        let faults = parse(Source { name: "r", text: &text }).expect_err("it is wrong").0.len();
        assert!(faults <= 2 * FAULTS_MAX, "{faults}: {}", &text[..100]);
    }
}
