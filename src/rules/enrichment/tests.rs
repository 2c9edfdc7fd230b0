//! Fields set in a value and in a text.

use super::*;
use crate::parse;
use document::Source;
use proptest::prelude::*;

fn enrichment(text: &str) -> Enrichment {
    let text = format!("{{id: r, conditions: [{{field: a, op: exists}}], enrich: {text}}}");
    let rules = parse(Source { name: "r", text: &text }).unwrap_or_else(|said| panic!("{said}"));
    rules[0].enrich.clone()
}

fn spliced(enrichment: &Enrichment, message: &str) -> String {
    let value = Value::parse_json(message.as_bytes()).ok();
    let mut out = Vec::new();
    text::splice(message.as_bytes(), &enrichment.edits(value.as_ref()), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_field_is_what_its_expression_gave_or_is_missing() {
    // (enrich, message, the text afterwards)
    let rows = [
        ("{a: 5}", r"{}", r#"{"a":5}"#),
        ("{a: 5}", r#" { "b" : 1 } "#, r#"{"b" : 1,"a":5}"#),
        ("{a: 5}", r#"{"a":[1,{"x":"}"}], "b": 2}"#, r#"{"a":5,"b": 2}"#),
        ("{a.b.c: x}", r#"{"z":1}"#, r#"{"z":1,"a":{"b":{"c":"x"}}}"#),
        (
            "{a.b.c: x}",
            r#"{"a":{"y":1,"b":{"c":2,"d":3}}}"#,
            r#"{"a":{"y":1,"b":{"c":"x","d":3}}}"#,
        ),
        // What is no object is replaced on the way, an array too.
        ("{a.b: x}", r#"{"a":7,"c":1}"#, r#"{"a":{"b":"x"},"c":1}"#),
        ("{a.b: x}", r#"{"a":[{"b":1}]}"#, r#"{"a":{"b":"x"}}"#),
        ("{a.b: x, a.c: y, d: z}", r#"{"a":{"c":1,"b":2}}"#, r#"{"a":{"c":"y","b":"x"},"d":"z"}"#),
        // What fails is missing, whatever stood there.
        ("{a: '${ msg.z }'}", r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        ("{a.b: '${ msg.z }'}", r#"{"a":{"b":1}}"#, r#"{"a":{}}"#),
        ("{a.b: '${ msg.z }'}", r#"{"a":[{"b":1}],"c":1}"#, r#"{"c":1}"#),
        ("{a.b: '${ msg.z }'}", r#"{"a":5}"#, r"{}"),
        ("{a.b: '${ 1 / 0 }'}", r#"{"c":1}"#, r#"{"c":1}"#),
        ("{a.b: '${ msg.z }', a.c: 1}", r"{}", r#"{"a":{"c":1}}"#),
        // All of them see the message as it was.
        ("{a: '${ msg.b }', b: '${ msg.a }'}", r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
        // Of equal keys the first counts; keys are found however they are written.
        ("{a: 5}", r#"{"a":1,"a":2,"b":3}"#, r#"{"a":5,"b":3}"#),
        ("{a: '${ msg.z }'}", r#"{"\u0061":1,"a":2,"b":3}"#, r#"{"b":3}"#),
        ("{'a\\.b': 5, 'a\"': 6}", r#"{"a.b":1,"a\"":2}"#, r#"{"a.b":5,"a\"":6}"#),
        // Numbers beyond 64 bits stay as they are written.
        (
            "{a: 5}",
            r#"{"b":123456789012345678901234567890.10}"#,
            r#"{"b":123456789012345678901234567890.10,"a":5}"#,
        ),
        // No expression reads such a message, but what is constant is set.
        ("{a: 5, c: '${ msg.b }'}", r#"{"b":1e400,"c":1}"#, r#"{"b":1e400,"a":5}"#),
        ("{a: {x: ['${ msg.b }', 1]}}", r#"{"b":true}"#, r#"{"b":true,"a":{"x":[true,1]}}"#),
    ];
    for (enrich, message, expected) in rows {
        let enrichment = enrichment(enrich);
        let text = spliced(&enrichment, message);
        assert_eq!(text, expected, "{enrich} in {message}");
        if let Ok(value) = Value::parse_json(message.as_bytes()) {
            let spliced = Value::parse_json(text.as_bytes()).unwrap();
            assert_eq!(enrichment.apply(&value), spliced, "{enrich} in {message}");
            let paid = enrichment.apply_paid(&value, &mut Steps::new(1_000));
            assert_eq!(paid, Ok(spliced), "{enrich} in {message}");
        }
    }
}

#[test]
fn what_fields_take_together_is_bounded() {
    let enrichment = enrichment("{a: '${ msg.x }', b: '${ msg.x }', c: 1}");
    let text = "x".repeat(ENRICH_BYTES_MAX * 2 / 3);
    let message = Value::map([("x", Value::from(text.as_str()))]);
    let enriched = enrichment.apply(&message);
    assert!(enriched.get("a").is_some() && enriched.get("b").is_none());
    assert_eq!(enriched.get("c"), Some(&Value::Int(1)), "what has room is set");
    let told = enrichment.explain(Some(&message));
    let missing = Enriched::Missing("the fields take more than 65536 bytes together".into());
    assert_eq!(told[1].1, missing);
}

#[test]
fn for_want_of_steps_there_is_no_message_rather_than_one_that_lacks_a_field() {
    let enrichment = enrichment("{a: '${ msg.x + 1 }', b.c: '${ msg.z }', d: 1}");
    let message = Value::parse_json(br#"{"x":1,"b":{"e":2,"f":3}}"#).unwrap();
    let mut steps = Steps::new(1_000);
    let enriched = enrichment.apply_paid(&message, &mut steps);
    assert_eq!(enriched, Ok(enrichment.apply(&message)));
    let taken = 1_000 - steps.left();
    for steps_max in 0..taken {
        let enriched = enrichment.apply_paid(&message, &mut Steps::new(steps_max));
        let error = EvalError::TooManyStepsTogether { steps_max };
        assert_eq!(enriched, Err(error), "{steps_max} of {taken}");
    }
    assert!(enrichment.apply_paid(&message, &mut Steps::new(taken)).is_ok());
}

#[test]
fn entries_that_an_enrichment_copies_are_paid_for() {
    let wide = Value::map((0..1_000).map(|n| (format!("k{n}"), Value::Null)));
    let message = Value::map([("a", wide.clone()), ("b", wide)]);
    // (enrich, at least so many steps, fewer than so many)
    for (enrich, least, most) in
        [("{a.x: 1}", 1_002, 1_020), ("{a.x: 1, b.x: 1}", 2_002, 2_020), ("{a: 1}", 2, 20)]
    {
        let mut steps = Steps::new(10_000);
        assert!(enrichment(enrich).apply_paid(&message, &mut steps).is_ok());
        let taken = 10_000 - steps.left();
        assert!((least..most).contains(&taken), "{enrich} took {taken}");
    }
}

#[test]
fn a_message_never_nests_deeper_than_one_may() {
    let mut deep = Value::Int(1);
    for _ in 0..NESTING_MAX - 2 {
        deep = Value::list([deep]);
    }
    let message = Value::map([("x", deep)]);
    let enriched = enrichment("{a.b: '${ msg.x }', a.b2.c: '${ msg.x }'}").apply(&message);
    assert!(enriched.get("a").unwrap().get("b").is_some());
    assert!(enriched.get("a").unwrap().get("b2").is_none());
    let text = enriched.to_json();
    assert!(Value::parse_json(text.as_bytes()).is_ok());
}

fn json(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter_map("finite", Value::double),
        "[ab\"\\\\é\n]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec(("[abc]", inner), 0..4).prop_map(Value::map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_text_and_the_value_are_enriched_alike(
        entries in proptest::collection::vec(("[abc]", json(3)), 0..5),
        paths in proptest::collection::btree_set(
            proptest::collection::vec("[abc]", 1..4), 1..6),
        values in proptest::collection::vec(0_usize..5, 6),
    ) {
        let mut kept: Vec<&Vec<String>> = Vec::new();
        for path in &paths {
            if kept.iter().all(|other| !path.starts_with(other)) {
                kept.push(path);
            }
        }
        let expressions = ["5", "'${ msg.a }'", "'${ msg.b.c }'", "'${ 1 / 0 }'", "{x: ['${ msg.c }']}"];
        let fields: Vec<String> = kept.iter().zip(&values)
            .map(|(path, at)| format!("{}: {}", path.join("."), expressions[*at])).collect();
        let enrichment = enrichment(&format!("{{{}}}", fields.join(", ")));
        let message = Value::map(entries);
        let spliced = spliced(&enrichment, &message.to_json());
        let spliced = Value::parse_json(spliced.as_bytes()).unwrap();
        prop_assert_eq!(enrichment.apply(&message), spliced);
    }
}
