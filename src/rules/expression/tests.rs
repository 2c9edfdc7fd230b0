//! What an expression sees of a message, held against what it sees of the message read whole.

use super::MessageScope;
use crate::paths::Paths;
use crate::scan::Tape;
use expr::{EvalError, Names, Value};
use std::mem::{Discriminant, discriminant};

const MESSAGES: [&str; 12] = [
    "{}",
    r#"{"a":1,"b":2.5,"c":"x"}"#,
    r#"{"a":{"b":{"c":7}},"b":[1,2,3],"c":null}"#,
    r#"{"a":[{"b":{"c":1}},{"b":5}],"b":{"c":[{"d":1},[2]]},"c":"\u00e9\ud83d\ude00\n"}"#,
    r#"{"a":9223372036854775807,"b":9223372036854775808,"c":18446744073709551616}"#,
    r#"{"a":-9223372036854775808,"b":-9223372036854775809,"c":-0}"#,
    r#"{"a":-0.0,"b":1e0,"c":1E5}"#,
    r#"{"a":0.1,"b":123456789012345678901234567890,"c":1.7976931348623157e308}"#,
    r#"{"\u0061":true,"b":{"\u0063":false},"c":{}}"#,
    "{ \"a\" : [ ] , \"b\" : { \"c\" : [ \"é\" , null ] } }",
    r#"{"a":"","b":"true","c":"1","d":{"a":1}}"#,
    r#"{"a":1,"b":1,"items":[{"p":1},{"p":2}],"i":1}"#,
];

const EXPRESSIONS: [&str; 24] = [
    "msg.a",
    "msg.b",
    "msg.c",
    "msg.a.b",
    "msg.a.b.c",
    "msg.b.c",
    "msg.b[1]",
    "msg.b.c[0].d",
    "msg.a + msg.b",
    "msg.a > 1 && msg.b < 3",
    "msg.c == 'x' || msg.c == 'é😀\\n'",
    "has(msg.a.b.c)",
    "has(msg.c)",
    "size(msg)",
    "size(msg.b)",
    "string(msg.a)",
    "msg",
    "msg[msg.c]",
    "msg.items[msg.i].p",
    "'a' in msg",
    "[msg.a, msg.b]",
    "msg.a.b == msg.a.b",
    "msg.c.startsWith('é')",
    "msg['a']",
];

/// The value, or the kind of the error: which of the keys of a path is missing is not told.
fn outcome(value: Result<Value, EvalError>) -> Result<Value, Discriminant<EvalError>> {
    value.map_err(|error| discriminant(&error))
}

#[test]
fn an_expression_sees_of_the_cells_what_it_sees_of_the_whole_message() {
    for text in EXPRESSIONS {
        let expression = expr::parse(text).unwrap();
        let mut paths = Paths::new();
        paths.intern_expression(&expression);
        // Other rules ask for other fields, into the same arrays, too.
        let mut more = paths.clone();
        for field in ["a", "a.b.c", "b[1]", "items.p", "items[0]", "x"] {
            more.intern(&crate::FieldPath::parse(field).unwrap());
        }
        let mut tape = Tape::new();
        for message in MESSAGES {
            let whole = Value::parse_json(message.as_bytes()).unwrap();
            let expected = outcome(expression.evaluate(&Names(&[("msg", &whole)])));
            for (read, known) in [(&paths, &paths), (&more, &paths), (&more, &more)] {
                tape.scan(read, message.as_bytes()).unwrap();
                let scope = MessageScope::new(known, &tape, message.as_bytes());
                // Twice: what was built is kept.
                for _ in 0..2 {
                    assert_eq!(outcome(expression.evaluate(&scope)), expected, "{text}: {message}");
                }
            }
        }
    }
}

#[test]
fn a_number_that_no_double_is_near_is_not_there() {
    let message = br#"{"a":1e400,"b":[1,-1e400],"c":{"d":1}}"#;
    let rows = [
        ("has(msg.a)", "Ok(Bool(false))"),
        ("msg.a > 1", "Err(NoSuchKey { path: \"msg.a\" })"),
        ("size(msg.b)", "Err(NoSuchKey { path: \"msg.b\" })"),
        ("msg.c.d", "Ok(Int(1))"),
    ];
    for (text, expected) in rows {
        let expression = expr::parse(text).unwrap();
        let mut paths = Paths::new();
        paths.intern_expression(&expression);
        let mut tape = Tape::new();
        tape.scan(&paths, message).unwrap();
        let outcome = expression.evaluate(&MessageScope::new(&paths, &tape, message));
        assert_eq!(format!("{outcome:?}"), expected, "{text}");
    }
}

#[test]
fn what_was_built_of_one_message_is_not_seen_of_the_next() {
    let expression = expr::parse("msg.a").unwrap();
    let mut paths = Paths::new();
    paths.intern_expression(&expression);
    let mut tape = Tape::new();
    for text in ["x", "y", "z"] {
        let message = format!("{{\"a\":\"{text}\"}}");
        tape.scan(&paths, message.as_bytes()).unwrap();
        let scope = MessageScope::new(&paths, &tape, message.as_bytes());
        assert_eq!(expression.evaluate(&scope), Ok(text.into()));
    }
}
