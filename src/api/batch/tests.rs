use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn split(content_type: Option<&str>, body: &str) -> Result<Vec<(u32, String)>, ApiError> {
    let mut lines = vec![BatchLine { number: 9, range: 0..1 }];
    split_batch(content_type, body.as_bytes(), &mut lines)?;
    Ok(lines.into_iter().map(|line| (line.number, body[line.range].to_owned())).collect())
}

fn rows(expected: &[(u32, &str)]) -> Vec<(u32, String)> {
    expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}

const NDJSON: Option<&str> = Some("application/x-ndjson");

#[test]
fn lines_are_cut_at_line_ends_of_both_kinds_and_empty_ones_only_count() {
    let table: &[(&str, &[(u32, &str)])] = &[
        ("{}", &[(1, "{}")]),
        ("{}\n", &[(1, "{}")]),
        ("{\"a\":1}\r\n\r\n  \n {\"b\":2} \r\n", &[(1, "{\"a\":1}"), (4, "{\"b\":2}")]),
        ("\n\n{}\n[1]", &[(3, "{}"), (4, "[1]")]),
    ];
    for (body, expected) in table {
        assert_eq!(split(NDJSON, body), Ok(rows(expected)), "{body:?}");
        assert_eq!(split(None, body), Ok(rows(expected)), "{body:?}");
    }
}

#[test]
fn an_array_is_cut_at_its_own_commas_only() {
    let table: &[(&str, &[(u32, &str)])] = &[
        ("[{}]", &[(1, "{}")]),
        (" [ {} , {\"a\":[1,2]} ]\n", &[(1, "{}"), (2, "{\"a\":[1,2]}")]),
        (r#"[{"a":"],}\\\""},{"b":"\\"}]"#, &[(1, r#"{"a":"],}\\\""}"#), (2, r#"{"b":"\\"}"#)]),
        ("[{\n\"a\":1\n},\n7]", &[(1, "{\n\"a\":1\n}"), (2, "7")]),
    ];
    for (body, expected) in table {
        assert_eq!(split(Some("application/json"), body), Ok(rows(expected)), "{body:?}");
    }
}

#[test]
fn a_batch_without_a_message_is_refused() {
    for body in ["", "\n\n", "[]", " [ ] "] {
        assert_eq!(split(None, body).unwrap_err().code, Code::EmptyBatch, "{body:?}");
    }
}

#[test]
fn a_broken_array_is_refused_with_the_element_at_fault() {
    let table = [
        ("[{}", 1),
        ("[{},", 2),
        ("[{},]", 2),
        ("[,{}]", 1),
        ("[{},,{}]", 2),
        ("[{}}", 1),
        ("[{}] {}", 1),
        ("[{},\"ab", 2),
        ("[\"ab\\", 1),
        ("[\"ab\\\"", 1),
    ];
    for (body, line) in table {
        let error = split(None, body).unwrap_err();
        assert_eq!((error.code, error.line), (Code::BadJson, Some(line)), "{body:?}");
        assert!(error.detail.starts_with(&format!("line {line}: ")), "{}", error.detail);
    }
}

#[test]
fn a_batch_at_its_limits_is_taken_and_past_them_refused() {
    let full = "{}\n".repeat(BATCH_MESSAGES_MAX);
    assert_eq!(split(NDJSON, &full).unwrap().len(), BATCH_MESSAGES_MAX);
    let error = split(NDJSON, &format!("{full}{{}}\n")).unwrap_err();
    assert_eq!((error.code, error.line), (Code::TooLarge, Some(1_001)));

    let line = " ".repeat(5) + &"x".repeat(MESSAGE_BYTES_MAX);
    assert_eq!(split(NDJSON, &line).unwrap().len(), 1);
    let error = split(NDJSON, &format!("{{}}\nx{line}")).unwrap_err();
    assert_eq!((error.code, error.line), (Code::TooLarge, Some(2)));

    let body = "\n".repeat(BATCH_BYTES_MAX + 1);
    assert_eq!(split(NDJSON, &body).unwrap_err().code, Code::TooLarge);
}

#[test]
fn a_type_that_is_no_json_is_refused() {
    for content_type in ["text/csv", "application/json; charset=utf-16", "multipart/form-data"] {
        let error = split(Some(content_type), "{}").unwrap_err();
        assert_eq!(error.code, Code::UnsupportedMediaType);
    }
    assert!(split(Some("application/x-www-form-urlencoded"), "{}").is_ok());
}

/// Any JSON value, small.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[\\PC\"\\\\,\\[\\]{}\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z\"\\\\,]{0,4}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_elements_of_any_array_come_back(
        values in prop::collection::vec(value(), 1..6),
        pretty: bool,
    ) {
        let body = if pretty {
            serde_json::to_string_pretty(&values).unwrap()
        } else {
            serde_json::to_string(&values).unwrap()
        };
        let pieces = split(Some("application/json"), &body).unwrap();
        let back: Vec<Value> =
            pieces.iter().map(|(_, piece)| serde_json::from_str(piece).unwrap()).collect();
        prop_assert_eq!(back, values);
    }

    #[test]
    fn a_body_is_an_array_of_values_exactly_when_it_splits_into_values(
        body in "\\[[\\[\\]{}\",:a1 \\\\]{0,12}\\]?",
    ) {
        let known = serde_json::from_str::<Vec<Value>>(&body).is_ok_and(|values| !values.is_empty());
        let ours = split(Some("application/json"), &body).is_ok_and(|pieces| {
            pieces.iter().all(|(_, piece)| serde_json::from_str::<Value>(piece).is_ok())
        });
        prop_assert_eq!(ours, known, "{}", body);
    }

    #[test]
    fn the_lines_of_any_values_come_back(
        values in prop::collection::vec(value(), 1..6),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")],
    ) {
        let body: String = values.iter().flat_map(|value| [value.to_string(), end.to_owned()]).collect();
        let pieces = split(NDJSON, &body).unwrap();
        let back: Vec<Value> =
            pieces.iter().map(|(_, piece)| serde_json::from_str(piece).unwrap()).collect();
        prop_assert_eq!(back, values);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut lines = Vec::new();
        let _ = split_batch(None, &body, &mut lines);
        for pair in lines.windows(2) {
            prop_assert!(pair[0].range.end <= pair[1].range.start);
            prop_assert!(pair[0].number < pair[1].number);
        }
        prop_assert!(lines.iter().all(|line| line.range.end <= body.len()));
    }
}
