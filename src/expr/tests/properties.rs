//! Properties of the language over generated texts.

use super::{json, oracle};
use crate::limits::STEPS_MAX;
use crate::{Found, Scope, Template, Value, parse};
use proptest::prelude::*;
use std::cell::Cell;

/// Expressions with a few pieces put in or cut out: the parser gets further than with noise.
fn expression_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        ".b",
        "input",
        "1",
        "2.5",
        "'x'",
        "\"",
        "'",
        "[",
        "]",
        "[0]",
        "(",
        ")",
        "{",
        "}",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "&&",
        "||",
        "==",
        "<",
        " in ",
        "?",
        ":",
        ",",
        ".",
        "has(",
        "size(",
        "true",
        "null",
        "r'",
        "'''",
        "\\",
        "0x",
        "5u",
        "//",
        "\n",
        "ä",
        "$",
        "${",
        "}",
        ".all(",
        ".size()",
        ".startsWith('x')",
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), piece, 0..3_usize), 0..3);
    (expression(), changes).prop_map(|(mut text, changes)| {
        for (index, piece, cut) in changes {
            let mut at = index.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let rest: String = text[at..].chars().skip(cut).collect();
            text.replace_range(at.., &format!("{piece}{rest}"));
        }
        text
    })
}

/// What is made of one part. No macro has the variable `x`: a test writes a name of that kind for
/// the text `'x'`.
const OF_ONE: &[&str] = &[
    "!(①)",
    "-(①)",
    "[①]",
    "{'k': ①}",
    "(①)[0]",
    "(①).k",
    "has((①).k)",
    "size(①)",
    "string(①)",
    "int(①)",
    "uint(①)",
    "double(①)",
    "bool(①)",
    "bytes(①)",
    "dyn(①)",
    "type(①)",
    "timestamp(①)",
    "duration(①)",
    "timestamp(①).getHours()",
    "math.abs(①)",
    "math.sign(①)",
    "math.round(①)",
    "math.least(①)",
    "max(①)",
    "(①).trim()",
    "(①).reverse()",
    "(①).upperAscii()",
    "(①).join()",
    "(①).charAt(0)",
    "(①).matches('x')",
    "(①).split('')",
];

/// What is made of two.
const OF_TWO: &[&str] = &[
    "(① + ②)",
    "(① - ②)",
    "(① * ②)",
    "(① / ②)",
    "(① % ②)",
    "(① == ②)",
    "(① != ②)",
    "(① < ②)",
    "(① >= ②)",
    "(① in ②)",
    "(① && ②)",
    "(① || ②)",
    "[①, ②]",
    "(①)[②]",
    "(①).all(y, ②)",
    "(①).exists(y, ②)",
    "(①).exists_one(y, ②)",
    "(①).filter(y, ②)",
    "(①).map(y, ②)",
    "(①).map(z, ②)",
    "(①).contains(②)",
    "(①).indexOf(②)",
    "(①).join(②)",
    "(①).matches(②)",
    "(①).replace('x', ②)",
    "(①).split(②)",
    "(①).substring(②)",
    "math.greatest(①, ②)",
    "min(①, ②)",
];

/// What is made of three.
const OF_THREE: &[&str] = &["(① ? ② : ③)", "(①).map(y, ②, ③)", "(①).replace(②, ③)", "[①, ②, ③]"];

/// Expressions that parse: of small numbers, truth values, macros and functions. They are made of
/// whatever comes, so that most of the deep ones fail; those of the oracle mostly do not.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1", "2", "0", "2.5", "true", "false", "null", "'x'", "a", "b", "y", "z", "missing", "a.b",
        "[1]", "long",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let of = |shapes: &'static [&'static str]| {
            let parts = (inner.clone(), inner.clone(), inner.clone());
            (prop::sample::select(shapes), parts).prop_map(|(shape, (a, b, c))| {
                let part = |letter| match letter {
                    '①' => a.clone(),
                    '②' => b.clone(),
                    '③' => c.clone(),
                    other => other.to_string(),
                };
                shape.chars().map(part).collect::<String>()
            })
        };
        prop_oneof![of(OF_ONE), of(OF_TWO), of(OF_THREE)]
    })
}

/// `a`, `b`, and a list that no three macros within each other get through.
fn scope() -> Value {
    let long = Value::list((0..300).map(Value::Int));
    Value::map([("a", json(r#"{"b": 1}"#)), ("b", Value::Int(3)), ("long", long)])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse(&text);
        let _ = Template::parse(&text);
        let _ = Template::parse(&format!("${{{text}}}"));
    }

    #[test]
    fn no_text_like_an_expression_makes_parser_or_evaluator_panic(text in expression_like()) {
        let scope = json(r#"{"a": {"b": 1}, "input": [1]}"#);
        for template in [Template::parse(&text), Template::parse(&format!("${{{text}}}"))] {
            match template {
                Ok(template) => { let _ = template.evaluate(&scope); }
                Err(error) => {
                    let at = error.at;
                    prop_assert!(at <= text.len() + 3, "{error:?}");
                    let _ = error.to_string();
                }
            }
        }
    }

    #[test]
    fn an_expression_in_a_template_means_the_same(text in expression()) {
        let scope = scope();
        let expression = parse(&text).unwrap();
        let template = Template::parse(&format!("${{ {text} }}")).unwrap();
        prop_assert_eq!(template.evaluate(&scope).ok(), expression.evaluate(&scope).ok());
    }

    #[test]
    fn and_and_or_do_not_care_about_the_order_of_their_operands(
        left in expression(),
        right in expression(),
    ) {
        let scope = scope();
        for operator in ["&&", "||"] {
            let value = |left: &str, right: &str| {
                parse(&format!("{left} {operator} {right}")).unwrap().evaluate(&scope).ok()
            };
            prop_assert_eq!(value(&left, &right), value(&right, &left));
        }
    }

    #[test]
    fn what_is_folded_means_what_it_meant(text in expression()) {
        // Names instead of literals: nothing can be folded.
        let literals = json(r#"{"one": 1, "t": true, "f": false, "x": "x"}"#);
        let scope = scope();
        let both = [&scope, &literals].map(|value| value.as_map().unwrap().iter());
        let names = both.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
        let scope = Value::map(names);
        let unfolded = text
            .replace("true", "t")
            .replace("false", "f")
            .replace("'x'", "x")
            .replace('1', "one");
        let value = |text: &str| parse(text).unwrap().evaluate(&scope).map_err(|e| e.to_string());
        prop_assert_eq!(value(&text).ok(), value(&unfolded).ok());
    }

    #[test]
    fn every_result_can_be_written_and_read_back(text in expression()) {
        let scope = scope();
        if let Ok(value) = parse(&text).unwrap().evaluate(&scope) {
            prop_assert_eq!(Value::parse_json(value.to_json().as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn an_evaluation_ends_within_its_steps(text in expression(), sample in oracle::samples()) {
        let (sample, names) = sample;
        let (scope, names) = (scope(), Value::map(names));
        for (text, scope) in [(text, &scope), (sample, &names)] {
            let counting = Counting { scope, asked: Cell::new(0) };
            if let Err(error) = parse(&text).unwrap().evaluate(&counting) {
                let _ = error.to_string();
            }
            prop_assert!(counting.asked.get() <= STEPS_MAX, "{text}");
        }
    }
}

/// A scope that counts how often it is asked: every time costs a step.
struct Counting<'s> {
    scope: &'s Value,
    asked: Cell<u32>,
}

impl Scope for Counting<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        self.asked.set(self.asked.get() + 1);
        self.scope.resolve(path)
    }
}
