//! Field paths: how they are read, and written again.

use super::{FieldPath, PathStep};

#[test]
fn a_path_is_read_and_written_the_same() {
    let key = |key: &str| PathStep::Key(key.to_owned());
    let rows: &[(&str, &[PathStep])] = &[
        ("a", &[key("a")]),
        ("a.b.c", &[key("a"), key("b"), key("c")]),
        (r"a\.b", &[key("a.b")]),
        (r"a\\.b", &[key("a\\"), key("b")]),
        ("a[0]", &[key("a"), PathStep::Index(0)]),
        (
            "a[0].b[65535][2]",
            &[key("a"), PathStep::Index(0), key("b"), PathStep::Index(65_535), PathStep::Index(2)],
        ),
        ("a[-1]", &[key("a"), PathStep::Index(-1)]),
        ("a[10].b", &[key("a"), PathStep::Index(10), key("b")]),
        (r"a\[0\]", &[key("a[0]")]),
        (r"\[\]\.\\", &[key("[].\\")]),
        ("a b.é", &[key("a b"), key("é")]),
    ];
    for (text, steps) in rows {
        let path = FieldPath::parse(text).unwrap();
        assert_eq!(path.steps(), *steps, "{text}");
        assert_eq!(path.to_string(), *text);
    }
}

#[test]
fn what_is_no_path_is_refused_with_its_reason() {
    let long = |count: usize| vec!["a"; count].join(".");
    let (longest, too_long) = (long(32), long(33));
    assert!(FieldPath::parse(&longest).is_ok());
    assert!(FieldPath::parse("a[0][0][0][0]").is_ok());
    let rows = [
        ("", "has an empty key"),
        (".a", "has an empty key"),
        ("a.", "has an empty key"),
        ("a..b", "has an empty key"),
        ("[0]", "has an empty key"),
        ("a.[0]", "has an empty key"),
        ("a[0].", "has an empty key"),
        (r"a\", "stands before none of"),
        (r"a\b", "stands before none of"),
        ("a[]", "is not a whole number in brackets"),
        ("a[", "is not a whole number in brackets"),
        ("a]", "is not a whole number in brackets"),
        ("a[0", "is not a whole number in brackets"),
        ("a[x]", "is not a whole number in brackets"),
        ("a[1.5]", "is not a whole number in brackets"),
        ("a[+1]", "is not a whole number in brackets"),
        ("a[01]", "is not a whole number in brackets"),
        ("a[-0]", "is not a whole number in brackets"),
        ("a[--1]", "is not a whole number in brackets"),
        ("a[ 1 ]", "is not a whole number in brackets"),
        ("a[\"b\"]", "is not a whole number in brackets"),
        ("a[65536]", "an index is beyond 65535"),
        ("a[-65536]", "an index is beyond 65535"),
        ("a[99999999999999999999]", "an index is beyond 65535"),
        ("a[0]b", "neither `.` nor `[`"),
        ("a[0]]", "neither `.` nor `[`"),
        (too_long.as_str(), "more than 32 keys and indexes"),
        ("a[0][0][0][0][0]", "more than 4 indexes"),
    ];
    for (text, reason) in rows {
        let told = FieldPath::parse(text).unwrap_err().to_string();
        assert!(told.contains(reason) && told.contains(text), "{text}: {told}");
    }
}
