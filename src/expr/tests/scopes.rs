//! References, and scopes that answer for parts of paths.

use super::json;
use crate::{EvalError, Expression, Found, Scope, Value, parse};
use std::cell::RefCell;

/// A path with dots, where it begins, whether it goes on, whether it is tested.
type Row = (&'static str, usize, bool, bool);

fn rows(expression: &Expression) -> Vec<(String, usize, bool, bool)> {
    expression
        .references()
        .map(|reference| (reference.to_string(), reference.at, reference.open, reference.tested))
        .collect()
}

#[test]
fn every_path_of_an_expression_is_listed_where_it_stands() {
    let table: &[(&str, &[Row])] = &[
        ("1 + 2", &[]),
        ("a", &[("a", 0, false, false)]),
        ("tasks.validate.output", &[("tasks.validate.output", 0, false, false)]),
        ("tasks['validate'].output", &[("tasks.validate.output", 0, false, false)]),
        ("tasks[which].output", &[("tasks", 0, true, false), ("which", 6, false, false)]),
        ("a.b[0].c", &[("a.b", 0, true, false)]),
        ("a.b.startsWith(c.d)", &[("a.b", 0, false, false), ("c.d", 15, false, false)]),
        ("  a.b + c", &[("a.b", 2, false, false), ("c", 8, false, false)]),
        (
            "has(a.b) ? a.b : c",
            &[("a.b", 4, false, true), ("a.b", 11, false, false), ("c", 17, false, false)],
        ),
        ("has(a[b.i].c)", &[("a", 4, true, true), ("b.i", 6, false, false)]),
        (
            "x && !y || z in [w, {'k': v}]",
            &[
                ("x", 0, false, false),
                ("y", 6, false, false),
                ("z", 11, false, false),
                ("w", 17, false, false),
                ("v", 26, false, false),
            ],
        ),
        ("size(a) - -b", &[("a", 5, false, false), ("b", 11, false, false)]),
    ];
    for (text, expected) in table {
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, at, open, tested)| ((*path).to_owned(), *at, *open, *tested))
            .collect();
        let expression = parse(text).unwrap();
        assert_eq!(rows(&expression), expected, "{text}");
        for reference in expression.references() {
            assert!(text[reference.at..].starts_with(reference.root()), "{text}");
        }
    }
}

/// Answers for `tasks.ID.output` and `tasks.ID.status`, and remembers what it was asked.
struct Tasks {
    output: Value,
    asked: RefCell<Vec<String>>,
}

impl Scope for Tasks {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        self.asked.borrow_mut().push(path.join("."));
        match path {
            ["tasks", "validate", "output", ..] => Some(Found::borrowed(&self.output, 3)),
            ["tasks", "validate", "status", ..] => Some(Found::owned(Value::text("completed"), 3)),
            ["tasks", "validate", "error", ..] => {
                Some(Found::owned(json(r#"{"codes": [{"code": "E1"}]}"#), 3))
            }
            _ => None,
        }
    }
}

#[test]
fn a_scope_answers_for_the_beginning_of_a_path_and_the_rest_is_looked_up_in_its_answer() {
    for (text, expected) in [
        ("tasks.validate.output.score", "7"),
        ("tasks.validate.output['score']", "7"),
        ("tasks.validate.output", r#"{"score":7}"#),
        ("tasks.validate.status", r#""completed""#),
        ("tasks.validate.status == 'completed' && tasks.validate.output.score > 6", "true"),
        ("tasks.validate.error.codes[0].code", r#""E1""#),
        ("has(tasks.validate.output.score)", "true"),
        ("has(tasks.validate.output.nope)", "false"),
        ("has(tasks.other.output)", "false"),
        ("has(tasks.validate.error.codes[1].code)", "false"),
    ] {
        let scope = Tasks { output: json(r#"{"score": 7}"#), asked: RefCell::default() };
        let value = parse(text).unwrap().evaluate(&scope).unwrap();
        assert_eq!(value.to_json(), expected, "{text}");
    }
}

#[test]
fn a_missing_part_is_named_as_it_was_written() {
    let scope = Tasks { output: json(r#"{"score": 7}"#), asked: RefCell::default() };
    for (text, path) in [
        ("tasks.other.output.score", "tasks.other.output.score"),
        ("tasks.validate.output.nope.x", "tasks.validate.output.nope"),
        ("tasks['validate'].output [ 'nope' ]", "tasks['validate'].output [ 'nope' ]"),
        ("tasks.validate.error.codes[0].x + 1", "tasks.validate.error.codes[0].x"),
    ] {
        let error = parse(text).unwrap().evaluate(&scope);
        assert_eq!(error, Err(EvalError::NoSuchKey { path: path.to_owned() }), "{text}");
    }
}

#[test]
fn a_scope_is_asked_for_whole_paths_and_only_for_what_is_needed() {
    let scope = Tasks { output: json(r#"{"score": 7}"#), asked: RefCell::default() };
    let expression = parse("tasks.validate.output.score > 6 || never.asked").unwrap();
    assert_eq!(expression.evaluate(&scope), Ok(Value::Bool(true)));
    assert_eq!(*scope.asked.borrow(), ["tasks.validate.output.score"]);
}

#[test]
#[should_panic(expected = "a scope answers for one to all names of a path")]
fn a_scope_that_answers_for_more_than_it_was_asked_is_our_bug() {
    struct Wrong;
    impl Scope for Wrong {
        fn resolve(&self, _path: &[&str]) -> Option<Found<'_>> {
            Some(Found::owned(Value::Null, 2))
        }
    }
    let _ = parse("a").unwrap().evaluate(&Wrong);
}

#[test]
fn an_expression_keeps_its_source_and_equals_one_written_the_same() {
    let expression = parse(" a + 1 ").unwrap();
    assert_eq!(expression.source(), " a + 1 ");
    assert_eq!(expression, parse(" a + 1 ").unwrap());
    assert_ne!(expression, parse("a + 1").unwrap());
    assert_eq!(format!("{expression:?}"), r#"Expression(" a + 1 ")"#);
}
