//! Properties of the language over generated texts.

use super::json;
use crate::{Template, Value, parse};
use proptest::prelude::*;

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

/// Expressions that parse, of small numbers and truth values.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1", "2", "0", "2.5", "true", "false", "null", "'x'", "a", "b", "missing", "a.b", "[1]",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(l, o, r)| format!("({l} {o} {r})")),
            inner.clone().prop_map(|x| format!("!({x})")),
            inner.clone().prop_map(|x| format!("-({x})")),
            inner.clone().prop_map(|x| format!("size({x})")),
            inner.clone().prop_map(|x| format!("[{x}]")),
            inner.clone().prop_map(|x| format!("{{'k': {x}}}")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(c, t, e)| format!("({c} ? {t} : {e})")),
        ]
    })
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
        let scope = json(r#"{"a": {"b": 1}, "b": 3}"#);
        let expression = parse(&text).unwrap();
        let template = Template::parse(&format!("${{ {text} }}")).unwrap();
        prop_assert_eq!(template.evaluate(&scope).ok(), expression.evaluate(&scope).ok());
    }

    #[test]
    fn and_and_or_do_not_care_about_the_order_of_their_operands(
        left in expression(),
        right in expression(),
    ) {
        let scope = json(r#"{"a": {"b": 1}, "b": 3}"#);
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
        let scope = json(r#"{"a": {"b": 1}, "b": 3, "one": 1, "t": true, "f": false, "x": "x"}"#);
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
        let scope = json(r#"{"a": {"b": 1}, "b": 3}"#);
        if let Ok(value) = parse(&text).unwrap().evaluate(&scope) {
            prop_assert_eq!(Value::parse_json(value.to_json().as_bytes()).unwrap(), value);
        }
    }
}
