//! Tests of what only an evaluation knows.

use super::*;

#[test]
fn bytes_become_base64() {
    // RFC 4648, section 10.
    for (bytes, expected) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(bytes.as_bytes()), expected);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
}

#[test]
fn every_type_is_found_by_its_name_alone() {
    let named = |name: &str| Type::named(&name.split('.').collect::<Vec<_>>());
    for of in Type::ALL {
        assert_eq!(named(of.name()), Some(of));
    }
    for none in ["", "integer", "google", "google.protobuf", "int.x", "protobuf.Timestamp"] {
        assert_eq!(named(none), None, "{none}");
    }
}

#[test]
fn what_is_settled_is_handed_on_as_it_is() {
    let plain = Value::list([Value::Null, Value::Uint(u64::MAX), Value::text("a")]);
    assert!(matches!(settle(Cow::Borrowed(&plain)), Ok(Cow::Borrowed(_))));
    let mixed = Value::list([Value::Uint(1), Value::map([("k", Value::bytes(vec![0x66]))])]);
    let expected = Value::list([Value::Int(1), Value::map([("k", Value::text("Zg=="))])]);
    assert_eq!(settle(Cow::Borrowed(&mixed)).unwrap().into_owned(), expected);
}

#[test]
fn bytes_whose_text_would_be_too_long_are_refused() {
    let fits = Value::bytes(vec![0; TEXT_BYTES_MAX / 4 * 3]);
    assert!(settle(Cow::Owned(fits)).is_ok());
    let longer = Value::bytes(vec![0; TEXT_BYTES_MAX / 4 * 3 + 1]);
    assert_eq!(settle(Cow::Owned(longer)), Err(EvalError::TextTooLong));
}
