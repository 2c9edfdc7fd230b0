//! Templates and trees of them.

use super::json;
use crate::limits::TEXT_BYTES_MAX;
use crate::{EvalError, Names, Problem, Template, Tree, Value};

const SCOPE: &str = r#"{"n": 5, "d": 1.0, "s": "x\"y", "l": [1, "a"], "z": null, "t": true,
    "m": {"b": 2, "a": 1}, "evil": "${ n }", "dollar": "$"}"#;

#[test]
fn a_template_has_the_value_beside_it() {
    let scope = json(SCOPE);
    for (text, expected) in [
        // no expression
        ("", r#""""#),
        ("plain", r#""plain""#),
        ("5", r#""5""#),
        ("$", r#""$""#),
        ("a $ b", r#""a $ b""#),
        ("$5 {x} $", r#""$5 {x} $""#),
        // only an expression: its kind stays
        ("${ n }", "5"),
        ("${n}", "5"),
        ("${ d }", "1.0"),
        ("${ s }", r#""x\"y""#),
        ("${ l }", r#"[1,"a"]"#),
        ("${ z }", "null"),
        ("${ m }", r#"{"a":1,"b":2}"#),
        ("${ n > 4 }", "true"),
        ("${ {'a': {'b': n}} }", r#"{"a":{"b":5}}"#),
        ("${{'a': n}}", r#"{"a":5}"#),
        ("${ '}' }", r#""}""#),
        ("${ \"}\" + '}' }", r#""}}""#),
        ("${\n  n\n}", "5"),
        ("${ 1 + 1 }", "2"),
        // with text around it: it becomes text
        (" ${ n }", r#"" 5""#),
        ("${ n } ", r#""5 ""#),
        ("n = ${ n }, d = ${ d }", r#""n = 5, d = 1.0""#),
        ("${ n }${ n }", r#""55""#),
        ("s: ${ s }", r#""s: x\"y""#),
        ("l: ${ l }", r#""l: [1,\"a\"]""#),
        ("${ z }/${ t }", r#""null/true""#),
        ("${ 1 }-${ 'a' }", r#""1-a""#),
        ("ä${ n }ö", r#""ä5ö""#),
        // the escape
        ("$${ n }", r#""${ n }""#),
        ("$${", r#""${""#),
        ("a $${ b } ${ n }", r#""a ${ b } 5""#),
        ("$$${ n }", r#""$${ n }""#),
        ("$$ ${ n }", r#""$$ 5""#),
        // data is never scanned
        ("${ evil }", r#""${ n }""#),
        ("${ dollar }{ n }", r#""${ n }""#),
        ("${ dollar }${ '{ n }' }", r#""${ n }""#),
    ] {
        let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = template.evaluate(&scope).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_json(), expected, "{text}");
    }
}

#[test]
fn a_template_that_is_wrong_says_where() {
    for (text, at, expected) in [
        ("${", 0, Problem::Unclosed),
        ("a ${ n", 2, Problem::Unclosed),
        ("a ${ n == ", 2, Problem::Unclosed),
        ("${ {'a': 1 }", 0, Problem::Unclosed),
        ("${ 'a }", 3, Problem::OpenString),
        ("${ n } and ${ n + }", 18, expected_value("`}`")),
        ("${}", 2, expected_value("`}`")),
        ("ä ${ * }", 6, expected_value("`*`")),
        (
            "${ a b }",
            5,
            Problem::Expected { expected: "an operator or `}`", found: "`b`".to_owned() },
        ),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!((error.at, error.problem), (at, expected), "{text}");
    }
}

fn expected_value(found: &str) -> Problem {
    Problem::Expected { expected: "a value", found: found.to_owned() }
}

#[test]
fn what_is_constant_is_known_without_a_scope() {
    for (text, expected) in [
        ("plain", Some(r#""plain""#)),
        ("$${x}", Some(r#""${x}""#)),
        ("${ 1 + 1 }", Some("2")),
        ("${ n }", None),
        ("a ${ n }", None),
    ] {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.constant().map(Value::to_json).as_deref(), expected, "{text}");
        assert_eq!(template.is_constant(), expected.is_some(), "{text}");
    }
    assert_eq!(Template::parse("${ n }").unwrap().single().unwrap().source(), " n ");
    assert!(Template::parse("x${ n }").unwrap().single().is_none());
}

#[test]
fn references_count_from_the_beginning_of_the_template() {
    let text = "ä ${ a.b } and ${c} $${ no } ${ 'x' }";
    let template = Template::parse(text).unwrap();
    let found: Vec<_> = template.references().map(|r| (r.to_string(), r.at)).collect();
    assert_eq!(found, [("a.b".to_owned(), 6), ("c".to_owned(), 18)]);
    for (name, at) in found {
        assert!(text[at..].starts_with(&name));
    }
}

#[test]
fn a_failing_expression_fails_its_template() {
    let template = Template::parse("Bearer ${ secrets.bank }").unwrap();
    assert_eq!(
        template.evaluate(&json("{}")),
        Err(EvalError::NoSuchKey { path: "secrets.bank".to_owned() })
    );
}

#[test]
fn a_template_builds_no_longer_text_than_the_bound() {
    let long = Value::text("x".repeat(TEXT_BYTES_MAX / 2));
    let roots = [("long", &long)];
    let scope = Names(&roots);
    let fits = Template::parse("${ long }${ long }").unwrap();
    assert_eq!(fits.evaluate(&scope).unwrap().as_text().unwrap().len(), TEXT_BYTES_MAX);
    let longer = Template::parse("${ long }${ long }.").unwrap();
    assert_eq!(longer.evaluate(&scope), Err(EvalError::TextTooLong));
}

fn tree() -> Tree {
    Tree::map([
        ("method", Tree::text("POST").unwrap()),
        ("url", Tree::text("https://bank.local/holds/${ n }").unwrap()),
        (
            "body",
            Tree::map([
                ("id", Tree::text("${ s }").unwrap()),
                ("list", Tree::list(vec![Tree::text("${ n }").unwrap(), Value::Int(2).into()])),
            ]),
        ),
        ("fixed", Tree::list(vec![Value::Int(1).into(), Tree::text("a").unwrap()])),
    ])
}

#[test]
fn a_tree_evaluates_every_template_in_it() {
    assert_eq!(
        tree().evaluate(&json(SCOPE)).unwrap().to_json(),
        concat!(
            r#"{"body":{"id":"x\"y","list":[5,2]},"fixed":[1,"a"],"method":"POST","#,
            r#""url":"https://bank.local/holds/5"}"#
        )
    );
    let roots: Vec<_> = tree().references().iter().map(ToString::to_string).collect();
    assert_eq!(roots, ["n", "s", "n"]);
}

#[test]
fn a_tree_of_constants_is_a_constant() {
    let folded = Tree::map([
        ("b", Tree::list(vec![Tree::text("${ 1 + 1 }").unwrap(), Tree::text("x").unwrap()])),
        ("a", Tree::map::<&str>([])),
        ("b", Value::Null.into()),
    ]);
    assert_eq!(folded, Tree::Constant(json(r#"{"a": {}, "b": [2, "x"]}"#)));
    assert!(tree().constant().is_none());
}

#[test]
fn a_value_put_into_a_tree_is_data() {
    let tree = Tree::from(Value::text("${ n }"));
    assert_eq!(tree.evaluate(&json(SCOPE)), Ok(Value::text("${ n }")));
}

#[test]
fn the_bounds_hold_for_a_tree_as_a_whole() {
    let part = Value::text("x".repeat(TEXT_BYTES_MAX / 4));
    let roots = [("part", &part)];
    let scope = Names(&roots);
    let tree =
        |count: usize| Tree::list((0..count).map(|_| Tree::text("${ part }").unwrap()).collect());
    assert!(tree(3).evaluate(&scope).is_ok());
    assert_eq!(tree(4).evaluate(&scope), Err(EvalError::TooLarge));
}
