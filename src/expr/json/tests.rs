//! Tests of reading and writing JSON; serde_json is the witness.

use super::*;
use proptest::prelude::*;

/// What is read and what is written for it.
const READ: &[(&str, &str)] = &[
    ("null", "null"),
    (" \t\r\n true \n", "true"),
    ("0", "0"),
    ("-0", "0"),
    ("-0.0", "-0.0"),
    ("12", "12"),
    ("9223372036854775807", "9223372036854775807"),
    ("9223372036854775808", "9223372036854775808"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("-9223372036854775809", "-9.223372036854776e18"),
    ("18446744073709551615", "18446744073709551615"),
    ("18446744073709551616", "1.8446744073709552e19"),
    ("123456789012345678901234567890", "1.2345678901234568e29"),
    ("1.0", "1.0"),
    ("1e2", "100.0"),
    ("1E+2", "100.0"),
    ("1e-7", "1e-7"),
    ("0e999999999999", "0.0"),
    ("1e-999", "0.0"),
    ("1.7976931348623157e308", "1.7976931348623157e308"),
    ("5e-324", "5e-324"),
    ("0.1", "0.1"),
    ("0.30000000000000004", "0.30000000000000004"),
    ("9007199254740993.0", "9007199254740992.0"),
    ("1e15", "1000000000000000.0"),
    ("1e16", "1e16"),
    (r#""""#, r#""""#),
    (r#""\"\\\/\b\f\n\r\t""#, r#""\"\\/\b\f\n\r\t""#),
    (r#""\u0041\u00e9\ud83d\ude00\u0000\u001f\u007f""#, "\"Aé😀\\u0000\\u001f\u{7f}\""),
    ("\"\u{2028}ä\"", "\"\u{2028}ä\""),
    ("[ ]", "[]"),
    ("[1, [2, {}], null]", "[1,[2,{}],null]"),
    (r#"{ "b" : 1 , "a" : { "c" : [] } }"#, r#"{"a":{"c":[]},"b":1}"#),
    (r#"{"a": 1, "a": 2}"#, r#"{"a":1}"#),
    (r#"{"a": 1, "\u0061": 2}"#, r#"{"a":1}"#),
    (r#"{"": 0}"#, r#"{"":0}"#),
];

#[test]
fn json_is_read_and_written_in_one_form() {
    for (text, expected) in READ {
        let value = Value::parse_json(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(value.to_json(), *expected, "{text}");
        let again = Value::parse_json(value.to_json().as_bytes()).unwrap();
        assert_eq!(again, value, "{text}");
    }
}

/// What is not JSON.
const REFUSED: &[&[u8]] = &[
    b"",
    b" ",
    b"\n",
    b"nul",
    b"nulll",
    b"True",
    b"tru e",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"undefined",
    b"'a'",
    b"a",
    b"\x00",
    b"1\x00",
    b"[1\x00]",
    b"true\x00",
    b"[true\x00]",
    b"{\"a\":1\x00}",
    b"\xef\xbb\xbf1",
    b"1 2",
    b"1,",
    b"[1]]",
    b"{}{}",
    b"[1]x",
    b"\"a\" \"b\"",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b"[1:2]",
    b"[1,,2]",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,}",
    b"{\"a\" 1}",
    b"{\"a\":1 \"b\":2}",
    b"{a:1}",
    b"{1:1}",
    b"{null:1}",
    b"{'a':1}",
    b"{\"a\":1:2}",
    b"[}",
    b"{]",
    b"[1}",
    b"{\"a\":1]",
    b"01",
    b"-01",
    b"00",
    b"-",
    b"+1",
    b"1.",
    b".5",
    b"-.5",
    b"1.e1",
    b"1e",
    b"1e+",
    b"1e1.5",
    b"0x10",
    b"1_000",
    b"1a",
    b"--1",
    b"1-",
    b"1e999",
    b"-1e999",
    b"1e309",
    b"[1e99999999999]",
    b"\"",
    b"\"a",
    b"\"\\\"",
    b"\"\\x\"",
    b"\"\\u\"",
    b"\"\\u12\"",
    b"\"\\u12g4\"",
    b"\"\\'\"",
    b"\"\\ud800\"",
    b"\"\\udc00\"",
    b"\"\\ud800\\u0041\"",
    b"\"\\ud800x\"",
    b"\"\\ud800\\ud800\"",
    b"\"\\ude00\\ud83d\"",
    b"{\"\\ud800\":1}",
    b"\"a\nb\"",
    b"\"a\tb\"",
    b"\"\x01\"",
    b"\"\x1f\"",
    b"\"\x00\"",
    b"\"\xff\"",
    b"\"\xc3\"",
    b"\"\xc0\x80\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf5\x80\x80\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xe2\x82\"",
    b"\xff",
    b"[\xa0]",
    b"/**/1",
    b"1//x",
    b"#",
    b"[1\x0c]",
    b"\x0b1",
    b"\xc2\xa01",
    b"[\xe2\x80\x831]",
];

#[test]
fn hostile_json_is_refused() {
    for text in REFUSED {
        let shown = String::from_utf8_lossy(text);
        let error = Value::parse_json(text).expect_err(&shown);
        assert!(!error.to_string().is_empty());
        // The witness agrees that none of these is JSON.
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_err(), "{shown}");
    }
}

#[test]
fn errors_say_what_is_wrong_and_about_where() {
    for (text, expected) in [
        ("", "not valid JSON near byte 0: it is empty"),
        ("[1] 2", "not valid JSON near byte 2: something unexpected, or an end too early"),
        ("1 2", "not valid JSON near byte 0: something follows the value"),
        ("[1 2]", "not valid JSON near byte 3: expected `,` or `]`"),
        (r#"{"a" 1}"#, "not valid JSON near byte 5: expected `:`"),
        ("[1e999]", "the number near byte 1 is malformed or out of range"),
        ("[01]", "the number near byte 2 is malformed or out of range"),
        ("1\0", "the number near byte 1 is malformed or out of range"),
    ] {
        assert_eq!(Value::parse_json(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
    }
    assert_eq!(Value::parse_json(b"\"\xff\""), Err(BadJson::NotUtf8));
}

#[test]
fn json_nests_up_to_the_bound_and_no_deeper() {
    for (open, inner, close) in [("[", "", "]"), ("{\"a\":", "1", "}"), ("[{\"a\":", "1", "}]")] {
        let levels = open.matches(['[', '{']).count();
        let nested =
            |depth: usize| open.repeat(depth / levels) + inner + &close.repeat(depth / levels);
        let deepest = Value::parse_json(nested(NESTING_MAX).as_bytes()).unwrap();
        assert_eq!(deepest.to_json(), nested(NESTING_MAX));
        for depth in [NESTING_MAX + levels, 100 * NESTING_MAX, 1_000_000] {
            assert_eq!(Value::parse_json(nested(depth).as_bytes()), Err(BadJson::TooDeep));
        }
    }
    // Never closed.
    assert_eq!(Value::parse_json("[".repeat(1_000_000).as_bytes()), Err(BadJson::TooDeep));
    assert_eq!(Value::parse_json("{\"a\":".repeat(1_000_000).as_bytes()), Err(BadJson::TooDeep));
}

#[test]
fn a_byte_after_a_value_ends_it_only_where_json_lets_it() {
    for before in
        ["1", "-1", "1.5", "1e5", "0", "true", "null", "\"a\"", "[]", "12345678901234567890"]
    {
        for byte in 0..=u8::MAX {
            for close in ["]", ",1]", ""] {
                let mut text = format!("[{before}").into_bytes();
                text.push(byte);
                text.extend_from_slice(close.as_bytes());
                let ours = Value::parse_json(&text);
                let theirs = serde_json::from_slice::<serde_json::Value>(&text);
                let shown = String::from_utf8_lossy(&text);
                assert_eq!(ours.is_ok(), theirs.is_ok(), "{shown:?} {ours:?} {theirs:?}");
            }
        }
    }
}

#[test]
fn a_reader_forgets_what_it_read_before() {
    let mut reader = JsonReader::new();
    let long = format!("[{}1]", "\"a long element\",".repeat(1_000));
    for _ in 0..3 {
        assert_eq!(reader.read(long.as_bytes()).unwrap().as_list().unwrap().len(), 1_001);
        assert!(reader.read(b"[1, 2").is_err());
        assert!(reader.read("[".repeat(1_000).as_bytes()).is_err());
        assert_eq!(reader.read(b"{\"a\": [1]}").unwrap().to_json(), r#"{"a":[1]}"#);
        assert!(reader.read(b"").is_err());
    }
}

#[test]
#[should_panic(expected = "a value holds no NaN and no infinity")]
fn a_nan_is_never_written() {
    Value::Double(f64::NAN).to_json();
}

/// The same value, as the witness has it.
fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
        (Value::Int(ours), serde_json::Value::Number(theirs)) => {
            // The witness makes a double of `-0`.
            theirs.as_i64() == Some(*ours) || (*ours == 0 && theirs.as_f64() == Some(0.0))
        }
        (Value::Uint(ours), serde_json::Value::Number(theirs)) => theirs.as_u64() == Some(*ours),
        (Value::Double(ours), serde_json::Value::Number(theirs)) => {
            // As this crate uses it, the witness reads some doubles as their neighbour.
            let theirs = theirs.as_f64().filter(|_| theirs.is_f64()).unwrap();
            (ours - theirs).abs() <= ours.abs() * 1e-13
        }
        (Value::Text(ours), serde_json::Value::String(theirs)) => **ours == **theirs,
        (Value::List(ours), serde_json::Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(o, t)| same(o, t))
        }
        (Value::Map(ours), serde_json::Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, o)| theirs.get(&**key).is_some_and(|t| same(o, t)))
        }
        _ => false,
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-100_i64..100).prop_map(Value::Int),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", Value::double),
        (-1000_i32..1000).prop_map(|n| Value::Double(f64::from(n) / 8.0)),
        any::<String>().prop_map(Value::text),
        "[\\x00-\\x7f]{0,80}".prop_map(Value::text),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8).prop_map(Value::map),
        ]
    })
}

/// JSON with one byte changed, dropped or doubled.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    (values(), any::<prop::sample::Index>(), 0..4, any::<u8>()).prop_map(
        |(value, index, how, byte)| {
            let mut text = value.to_json().into_bytes();
            let index = index.index(text.len());
            match how {
                0 => text[index] = byte,
                1 => drop(text.remove(index)),
                2 => text.insert(index, byte),
                _ => text.insert(index, text[index]),
            }
            text
        },
    )
}

/// Numbers in all shapes that JSON allows, and some that it does not.
const NUMBERS: &str = "-?(0|[1-9][0-9]{0,40}|0[0-9]{1,3})(\\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_value_survives_writing_and_reading(value in values()) {
        let text = value.to_json();
        let again = Value::parse_json(text.as_bytes()).unwrap();
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(again.to_json(), text);
    }

    #[test]
    fn the_witness_reads_what_we_write_and_we_read_what_it_writes(value in values()) {
        let theirs: serde_json::Value = serde_json::from_str(&value.to_json()).unwrap();
        prop_assert!(same(&value, &theirs), "{theirs}");
        for text in [serde_json::to_vec(&theirs).unwrap(), serde_json::to_vec_pretty(&theirs).unwrap()] {
            prop_assert!(same(&Value::parse_json(&text).unwrap(), &theirs), "{theirs}");
        }
    }

    #[test]
    fn we_and_the_witness_agree_on_what_is_json(text in nearly_json()) {
        let ours = Value::parse_json(&text);
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        let shown = String::from_utf8_lossy(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", shown, ours, theirs);
        if let (Ok(ours), Ok(_)) = (ours, theirs) {
            prop_assert_eq!(Value::parse_json(ours.to_json().as_bytes()).unwrap(), ours);
        }
    }

    #[test]
    fn numbers_of_every_shape_are_read_to_the_last_bit(text in NUMBERS) {
        let ours = Value::parse_json(text.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?} {:?}", text, ours, theirs);
        match ours {
            // The standard library is the better witness of doubles.
            Ok(Value::Double(number)) => {
                prop_assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
            }
            Ok(ours) => prop_assert!(same(&ours, &theirs.unwrap()), "{text}"),
            Err(_) => {}
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Value::parse_json(&text);
    }
}
