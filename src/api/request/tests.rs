use super::*;

#[test]
fn a_key_is_1_to_256_printable_ascii_characters() {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let rows: [(&[u8], Result<&str, Code>); 6] = [
        (b"order-17 / 3", Ok("order-17 / 3")),
        (&long.as_bytes()[1..], Ok(&long[1..])),
        (b"", Err(Code::BadKey)),
        (b"tab\there", Err(Code::BadKey)),
        ("größe".as_bytes(), Err(Code::BadKey)),
        (long.as_bytes(), Err(Code::KeyTooLong)),
    ];
    for (key, expected) in rows {
        assert_eq!(key_of(Some(key)).map_err(|e| e.code), expected.map(Some));
    }
    assert_eq!(key_of(None), Ok(None));
}

#[test]
fn the_longest_key_of_a_batch_leaves_room_for_the_longest_line_number() {
    let key = "k".repeat(BATCH_KEY_BYTES_MAX);
    assert_eq!(batch_key_of(Some(key.as_bytes())), Ok(Some(&*key)));
    let over = "k".repeat(BATCH_KEY_BYTES_MAX + 1);
    assert_eq!(batch_key_of(Some(over.as_bytes())).unwrap_err().code, Code::KeyTooLong);
    let mut line_key = Vec::new();
    write_line_key(&mut line_key, &key, 1 << 20);
    assert_eq!(line_key.len(), KEY_BYTES_MAX);
    assert!(line_key.ends_with(b"#1048576"));
}

#[test]
fn json_is_assumed_for_its_type_for_none_and_for_curls_default() {
    let taken = [
        None,
        Some(""),
        Some("application/json"),
        Some("Application/JSON; charset=UTF-8"),
        Some("application/json;charset=\"utf-8\""),
        Some("application/x-www-form-urlencoded"),
    ];
    for content_type in taken {
        assert_eq!(check_json(content_type), Ok(()), "{content_type:?}");
    }
    for content_type in ["text/plain", "application/xml", "application/json; charset=latin1"] {
        let error = check_json(Some(content_type)).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedMediaType);
        assert!(error.detail.contains(content_type), "{}", error.detail);
    }
}

#[test]
fn a_document_is_yaml_unless_it_says_json() {
    use DocumentFormat::{Json, Yaml};
    let rows = [
        (None, Ok(Yaml)),
        (Some("application/json"), Ok(Json)),
        (Some("text/yaml; charset=utf-8"), Ok(Yaml)),
        (Some("application/yaml"), Ok(Yaml)),
        (Some("application/x-www-form-urlencoded"), Ok(Yaml)),
        (Some("text/html"), Err(Code::UnsupportedMediaType)),
    ];
    for (content_type, expected) in rows {
        assert_eq!(document_format(content_type).map_err(|e| e.code), expected);
    }
}

#[test]
fn methods_are_told_by_their_exact_name() {
    assert_eq!(Method::parse("POST"), Method::Post);
    assert_eq!(Method::parse("post"), Method::Other);
    assert_eq!(Method::parse("BREW"), Method::Other);
}

#[test]
fn who_changes_the_catalogue_is_bounded_and_printable_or_nobody() {
    type Row<'a> = (Option<&'a [u8]>, Result<&'a str, Code>);
    let long = [b'x'; USER_BYTES_MAX + 1];
    let rows: [Row<'_>; 7] = [
        (None, Ok("")),
        (Some(b""), Ok("")),
        (Some(b" ann lee@team "), Ok("ann lee@team")),
        (Some(&long[1..]), Ok(std::str::from_utf8(&long[1..]).unwrap())),
        (Some(&long), Err(Code::BadRequest)),
        (Some(b"a\tb"), Err(Code::BadRequest)),
        (Some(b"\xff"), Err(Code::BadRequest)),
    ];
    for (header, expected) in rows {
        assert_eq!(user_of(header).map_err(|error| error.code), expected, "{header:?}");
    }
}
