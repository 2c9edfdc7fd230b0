//! What is JSON and what is not, with serde_json as the judge.

use super::{CellKind, Tape};
use crate::bad_message::BadMessage;
use crate::oracle::json::Judgement;
use crate::path::FieldPath;
use crate::paths::{PathIndex, Paths};
use proptest::prelude::*;

mod texts;

fn paths(fields: &[&str]) -> (Paths, Vec<PathIndex>) {
    let mut paths = Paths::new();
    let interned =
        fields.iter().map(|field| paths.intern(&FieldPath::parse(field).unwrap())).collect();
    (paths, interned)
}

fn scan(message: &[u8]) -> Result<(), BadMessage> {
    let (paths, _) = paths(&["a", "a.b", "c"]);
    Tape::new().scan(&paths, message)
}

#[test]
fn valid_objects_are_accepted() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(127), "]".repeat(127));
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(100_000));
    let rows = [
        "{}",
        " \t\r\n{ \t\r\n} \t\r\n",
        r#"{"":""}"#,
        r#"{"a":null,"b":true,"c":false}"#,
        r#"{"a":-0,"b":0.0,"c":1e5,"d":1E-5,"e":-1.25e+3}"#,
        r#"{"a":123456789012345678901234567890.5e-400}"#,
        r#"{"a":1e99999999999999999999}"#,
        r#"{"a":[1,[2,[]],{}],"b":{"c":{}}}"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u0000\uD83D\uDE00\u00e9"}"#,
        "{\"a\":\"é😀\u{7f}\u{2028}\"}",
        r#"{"x":1,"x":2}"#,
        r#"{"x":{"a":1},"y":{"a":1}}"#,
        r#"{"c":[{"a":1},{"a":2}],"a":[{"b":1},{"b":2}]}"#,
        r#"{"1234567":"1234567","12345678":"12345678"}"#,
        r#"{"a":0,"b":-0.0,"c":0.125,"d":123456789012345,"e":1234567890123456,"f":12345678901234567}"#,
        r#"{"a":1234567890123.5,"b":12345678901234.5,"c":123456789012345.5,"d":1234567890123456.25}"#,
        r#"{"a":0e0,"b":1E0,"c":1.5E+05,"d":12345678901234e1,"e":1.2345678901234e1,"f":0.0e-0}"#,
        r#"{"a":[0],"b":[0,0],"c":[-1],"d":[1]}"#,
        "{\"a\"\n:\t1\r,\n\n\"b\"  :  [  1  ,  2  ]  }",
        r#"{"\u0000":"\uDBFF\uDFFF\uD800\uDC00","\/":"\/"}"#,
        "{\"123456789012345\u{e9}\":\"123456789012345\u{10ffff}\"}",
        r#"{"x":{"x":{"x":[[[[{}]]]]}},"y":[[],{},[{}],""]}"#,
        &deep,
        &long,
    ];
    for text in rows {
        assert_eq!(scan(text.as_bytes()), Ok(()), "{text}");
    }
}

/// Arrays in one another, a number before each.
fn nested(depth: usize) -> String {
    format!("{{\"x\":{}1{},\"y\":{:100}}}", "[0,".repeat(depth), ",2]".repeat(depth), 0)
}

#[test]
fn arrays_of_numbers_nest_as_deep_as_others() {
    assert_eq!(scan(nested(127).as_bytes()), Ok(()));
    let expected = BadMessage::TooDeep { offset: 5 + 127 * 3 };
    assert_eq!(scan(nested(128).as_bytes()), Err(expected));
}

/// Messages and what is said of them.
const REFUSED: &[(&[u8], &str)] = &[
    (b"", "the message is empty, a JSON object was expected"),
    (b" \n ", "the message is empty, a JSON object was expected"),
    (b"[]", "a message is a JSON object, this is an array"),
    (b"\"a\"", "a message is a JSON object, this is text"),
    (b" 1", "a message is a JSON object, this is a number"),
    (b"true", "a message is a JSON object, this is a word"),
    (b"hello", "not JSON: at byte 0 `{` was expected, there is `h`"),
    (b"\xef\xbb\xbf{}", "not JSON: at byte 0 `{` was expected, there is `\u{feff}`"),
    (b"\0{}", "not JSON: at byte 0 `{` was expected, there is U+0000"),
    (b"{", "not JSON: at byte 1 a key in double quotes was expected, there is the end"),
    (b"{a:1}", "not JSON: at byte 1 a key in double quotes was expected, there is `a`"),
    (b"{'a':1}", "not JSON: at byte 1 a key in double quotes was expected, there is `'`"),
    (b"{\"a\"}", "not JSON: at byte 4 `:` was expected, there is `}`"),
    (b"{\"a\" 1}", "not JSON: at byte 5 `:` was expected, there is `1`"),
    (b"{\"a\":}", "not JSON: at byte 5 a value was expected, there is `}`"),
    (b"{\"a\":", "not JSON: at byte 5 a value was expected, there is the end"),
    (b"{\"a\":1,}", "not JSON: at byte 7 a key in double quotes was expected, there is `}`"),
    (b"{,}", "not JSON: at byte 1 a key in double quotes was expected, there is `,`"),
    (b"{\"a\":1 \"b\":2}", "not JSON: at byte 7 `,` or `}` was expected, there is `\"`"),
    (b"{\"a\":1]", "not JSON: at byte 6 `,` or `}` was expected, there is `]`"),
    (b"{\"a\":[1}", "not JSON: at byte 7 `,` or `]` was expected, there is `}`"),
    (b"{\"a\":[1,]}", "not JSON: at byte 8 a value was expected, there is `]`"),
    (b"{\"a\":[,]}", "not JSON: at byte 6 a value was expected, there is `,`"),
    (b"{\"a\":[1 2]}", "not JSON: at byte 8 `,` or `]` was expected, there is `2`"),
    (b"{} {}", "not JSON: at byte 3 the end was expected, there is `{`"),
    (b"{}x", "not JSON: at byte 2 the end was expected, there is `x`"),
    (b"{}\0", "not JSON: at byte 2 the end was expected, there is U+0000"),
    (b"{\"a\":1}}", "not JSON: at byte 7 the end was expected, there is `}`"),
    (
        b"{\"a\":01}",
        "not JSON: at byte 5 a number without a leading zero was expected, there is `0`",
    ),
    (
        b"{\"a\":-01}",
        "not JSON: at byte 6 a number without a leading zero was expected, there is `0`",
    ),
    (b"{\"a\":-}", "not JSON: at byte 6 a digit was expected, there is `}`"),
    (b"{\"a\":+1}", "not JSON: at byte 5 a value was expected, there is `+`"),
    (b"{\"a\":.5}", "not JSON: at byte 5 a value was expected, there is `.`"),
    (b"{\"a\":1.}", "not JSON: at byte 7 a digit was expected, there is `}`"),
    (b"{\"a\":1.e5}", "not JSON: at byte 7 a digit was expected, there is `e`"),
    (b"{\"a\":1e}", "not JSON: at byte 7 a digit was expected, there is `}`"),
    (b"{\"a\":1e+}", "not JSON: at byte 8 a digit was expected, there is `}`"),
    (b"{\"a\":1e5.5}", "not JSON: at byte 8 `,` or `}` was expected, there is `.`"),
    (b"{\"a\":0x1}", "not JSON: at byte 6 `,` or `}` was expected, there is `x`"),
    (b"{\"a\":NaN}", "not JSON: at byte 5 a value was expected, there is `N`"),
    (b"{\"a\":nul}", "not JSON: at byte 5 a value was expected, there is `n`"),
    (b"{\"a\":nullx}", "not JSON: at byte 9 `,` or `}` was expected, there is `x`"),
    (b"{\"a\":True}", "not JSON: at byte 5 a value was expected, there is `T`"),
    (b"{\"a\":\"", "not JSON: at byte 6 the closing quote was expected, there is the end"),
    (b"{\"a\":\"b\\\"", "not JSON: at byte 9 the closing quote was expected, there is the end"),
    (
        b"{\"a\":\"b\nc\"}",
        "not JSON: at byte 7 text without control characters was expected, there is U+000A",
    ),
    (
        b"{\"a\":\"12345678\x1f\"}",
        "not JSON: at byte 14 text without control characters was expected, there is U+001F",
    ),
    (
        b"{\"\t\":1}",
        "not JSON: at byte 2 text without control characters was expected, there is U+0009",
    ),
    (
        b"{\"a\":\"\\x\"}",
        "not JSON: at byte 7 one of `\"\\/bfnrtu` after a backslash was expected, there is `x`",
    ),
    (
        b"{\"a\":\"\\",
        "not JSON: at byte 7 one of `\"\\/bfnrtu` after a backslash was expected, there is the end",
    ),
    (b"{\"a\":\"\\u12\"}", "not JSON: at byte 10 a hex digit was expected, there is `\"`"),
    (b"{\"a\":\"\\u12g4\"}", "not JSON: at byte 10 a hex digit was expected, there is `g`"),
    (b"{\"a\":\"\\u12\xc3\xa94\"}", "not JSON: at byte 10 a hex digit was expected, there is `é`"),
    (b"{\"a\":\"\\ud83d\"}", "at byte 6 an escape is half of a surrogate pair"),
    (b"{\"a\":\"\\ude00\"}", "at byte 6 an escape is half of a surrogate pair"),
    (b"{\"a\":\"\\ud83d\\u0041\"}", "at byte 6 an escape is half of a surrogate pair"),
    (b"{\"\\ud83d\\ud83d\":1}", "at byte 2 an escape is half of a surrogate pair"),
    (b"{\"a\":\"\xff\"}", "not UTF-8 at byte 6"),
    (b"{\"a\":\"\xed\xa0\xbd\"}", "not UTF-8 at byte 6"),
    (b"{\"a\":\"\xc0\x80\"}", "not UTF-8 at byte 6"),
];

#[test]
fn everything_else_is_refused_with_place_and_reason() {
    let deep = format!("{{\"x\":{}", "[".repeat(128));
    let deep_and_long = "{\"x\":".repeat(50_000);
    let large = vec![b' '; 256 * 1024 + 1];
    let bounds: [(&[u8], &str); 2] = [
        (deep.as_bytes(), "at byte 132 the message nests deeper than 128"),
        (&large, "the message has 262145 bytes, the limit is 262144"),
    ];
    for (message, expected) in REFUSED.iter().chain(&bounds) {
        let shown = String::from_utf8_lossy(&message[..message.len().min(200)]);
        assert_eq!(scan(message).unwrap_err().to_string(), *expected, "{shown}");
    }
    assert!(matches!(scan(deep_and_long.as_bytes()), Err(BadMessage::TooDeep { .. })));
}

#[test]
fn a_tracked_key_may_not_be_there_twice() {
    let rows: [(&str, usize, &str); 6] = [
        (r#"{"a":1,"a":2}"#, 7, "a"),
        (r#"{"a":1,"\u0061":2}"#, 7, "a"),
        (r#"{"a":{"b":1},"a":{"b":2}}"#, 13, "a"),
        (r#"{"a":{"b":1,"b":2}}"#, 12, "b"),
        (r#"{"a":[{"b":[],"x":0,"b":2}]}"#, 20, "b"),
        (r#"{"a":[{},{"b":1}],"c":0,"c":0}"#, 24, "c"),
    ];
    for (text, offset, key) in rows {
        let expected = BadMessage::RepeatedKey { offset, key: key.to_owned() };
        assert_eq!(scan(text.as_bytes()), Err(expected), "{text}");
    }
}

#[test]
fn fields_are_found_with_their_values() {
    let (paths, fields) = paths(&["a", "a.b", "é.\"", "n", r"x\.y"]);
    let text = r#"{"z":{"a":0},"\u0061":[{"b":"\u00e9\t"},[{"b":-1.50}],null],"é":{"\"":true},"x.y":{"q":1},"n":"plain"}"#;
    let mut tape = Tape::new();
    tape.scan(&paths, text.as_bytes()).unwrap();
    let shown = |cell| String::from_utf8(tape.text(text.as_bytes(), cell).to_vec()).unwrap();
    let of = |field: usize| -> Vec<(CellKind, String, bool)> {
        let cells = tape.cells_of(fields[field]);
        cells.map(|cell| (cell.kind, shown(cell), cell.is_element)).collect()
    };
    let plain = |kind, is_element| (kind, String::new(), is_element);
    let whole = |kind, text: &str, is_element| (kind, text.to_owned(), is_element);
    assert_eq!(
        of(0),
        [
            whole(CellKind::Array, r#"[{"b":"\u00e9\t"},[{"b":-1.50}],null]"#, false),
            whole(CellKind::Object, r#"{"b":"\u00e9\t"}"#, true),
            whole(CellKind::Array, r#"[{"b":-1.50}]"#, true),
            whole(CellKind::Object, r#"{"b":-1.50}"#, true),
            plain(CellKind::Null, true),
        ]
    );
    assert_eq!(
        of(1),
        [
            (CellKind::Unescaped, "é\t".to_owned(), false),
            (CellKind::Number, "-1.50".to_owned(), false),
        ]
    );
    assert_eq!(of(2), [plain(CellKind::Bool(true), false)]);
    assert_eq!(of(3), [(CellKind::Text, "plain".to_owned(), false)]);
    assert_eq!(of(4), [whole(CellKind::Object, r#"{"q":1}"#, false)]);

    tape.scan(&paths, b"{}").unwrap();
    assert!(fields.iter().all(|field| tape.first(*field).is_none()));
}

#[test]
fn elements_are_found_by_index_and_as_any() {
    let fields =
        ["a", "a[0]", "a[2]", "a[-1]", "a[2].b", "a.b", "a[0][1]", "only[1]", "only[70].x"];
    let (paths, fields) = paths(&fields);
    let text = r#"{"a":[["x",["y"]],{"b":1},{"b":2,"c":[]}],"only":[0,[ {} , 3],{"x":4}]}"#;
    let mut tape = Tape::new();
    tape.scan(&paths, text.as_bytes()).unwrap();
    let rows: &[&[(&str, bool)]] = &[
        &[
            (r#"[["x",["y"]],{"b":1},{"b":2,"c":[]}]"#, false),
            (r#"["x",["y"]]"#, true),
            ("x", true),
            (r#"["y"]"#, true),
            ("y", true),
            (r#"{"b":1}"#, true),
            (r#"{"b":2,"c":[]}"#, true),
        ],
        &[(r#"["x",["y"]]"#, false), ("x", true), (r#"["y"]"#, true), ("y", true)],
        &[(r#"{"b":2,"c":[]}"#, false)],
        &[],
        &[("2", false)],
        &[("1", false), ("2", false)],
        &[(r#"["y"]"#, false), ("y", true)],
        &[("[ {} , 3]", false), ("{}", true), ("3", true)],
        &[],
    ];
    for (field, expected) in fields.iter().zip(rows) {
        let name = paths.name(*field);
        let cells = tape.cells_of(*field).map(|cell| {
            (std::str::from_utf8(tape.text(text.as_bytes(), cell)).unwrap(), cell.is_element)
        });
        assert_eq!(cells.collect::<Vec<_>>(), *expected, "{name}");
    }
    // Elements of `only` that nobody asks for left nothing behind.
    assert_eq!(tape.cells_of(paths.find(&FieldPath::parse("only").unwrap()).unwrap()).count(), 1);
}

/// What serde_json says of a text when nobody asks for a field.
fn judge(text: &[u8]) -> bool {
    matches!(Judgement::of(text, &[]), Judgement::Accepted(_))
}

/// Texts made of JSON's own pieces, so that many are nearly valid.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":", " ", "\n"]),
        4 => prop::sample::select(vec!["\"a\"", "\"b\"", "\"\"", "\"a\":", "{\"a\":"]),
        2 => prop::sample::select(vec!["0", "1", "-", "1.5", "e", "E+1", ".", "10", "01"]),
        1 => prop::sample::select(vec!["true", "false", "null", "nul", "x"]),
        1 => prop::sample::select(vec!["\"", "\\", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\n", "é"]),
        1 => prop::sample::select(vec!["\u{0}", "\u{1f}", "\u{7f}", "\t", "12345678"]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What one byte of an array of numbers may become.
const NUMBERS: &[u8] = b"0123456789-.,[] \n\te{\"";

/// Arrays of numbers and of arrays.
fn numbers() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,18})?";
    number.prop_recursive(4, 64, 12, |inner| {
        let comma = prop::sample::select(vec![",", ", ", " ,", ",\n  "]);
        let space = prop::sample::select(vec!["", "", " ", "\n"]);
        (prop::collection::vec(inner, 0..12), comma, space)
            .prop_map(|(members, comma, space)| format!("[{space}{}{space}]", members.join(comma)))
    })
}

/// One part of a JSON text is changed: taken away, doubled, or another byte.
#[test]
fn a_text_with_one_byte_changed_is_judged_as_serde_json_judges_it() {
    let texts = [
        r#"{"a":-0.5e+10,"b":[true,false,null,{"c":"d\u00e9\n\\"}],"k":"0123456789abcdef0123"}"#,
        r#" { "long key of more than sixteen bytes" : [ 1 , 2.5 , 1e5, -0 ] , "x" : "" } "#,
        "{\"é\":\"a text of several bytes beyond: ä😀\",\"n\":12345678901234567890.5}",
        r#"{"a":{"b":{"c":[[],[{}],[1234567.125,12345678901234.5]]}},"e":"\ud83d\ude00 and more"}"#,
        "{\"x\":[0,[[-12.5,0.25,0 ],[ 1,20,[],[-0,7]],\n[[3]],10],1002, 12345678901234567890.123456,-0.5,[4]],\"z\":[1,2,{\"y\":[3,[4,5],6]},7,8,[9],[10,11],12,13,14]}",
    ];
    let (paths, _) =
        paths(&["a", "b.c", "a.b.c", "k", "b[1]", "b[3].c", "a.b.c[1][0]", "a.b.c[7]"]);
    let nobody = Paths::new();
    let mut tape = Tape::new();
    let mut count = 0;
    for text in texts {
        for at in 0..text.len() {
            let bytes = text.as_bytes();
            let cut = [&bytes[..at], &bytes[at + 1..]].concat();
            let doubled = [&bytes[..=at], &bytes[at..]].concat();
            let other = (0..=255_u8).map(|byte| [&bytes[..at], &[byte], &bytes[at + 1..]].concat());
            let ended = bytes[..at].to_vec();
            for changed in other.chain([cut, doubled, ended]) {
                let theirs = judge(&changed);
                let shown = String::from_utf8_lossy(&changed);
                let ours = tape.scan(&nobody, &changed);
                assert_eq!(ours.is_ok(), theirs, "{ours:?}: {shown}");
                // Who tracks fields may refuse a key that came to be there twice, and nothing else.
                match tape.scan(&paths, &changed) {
                    Err(BadMessage::RepeatedKey { .. }) => assert!(theirs, "{shown}"),
                    ours => assert_eq!(ours.is_ok(), theirs, "{ours:?}: {shown}"),
                }
                count += 1;
            }
        }
    }
    assert!(count > 50_000);
}

proptest! {
    // No file of past failures: proptest would put it among the crates, where a folder is a crate.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_serde_json_accepts_is_accepted_and_nothing_else(inside in pieces()) {
        let (paths, _) = paths(&["zzz"]);
        for text in [format!("{{\"k\":{inside}}}"), format!("{{\"k\":\"{inside}\"}}"), format!("{{{inside}"), inside] {
            let ours = Tape::new().scan(&paths, text.as_bytes());
            prop_assert_eq!(ours.is_ok(), judge(text.as_bytes()), "{:?}: {:?}", text, ours);
        }
    }

    #[test]
    fn arrays_of_numbers_are_judged_as_serde_json_judges_them(
        inside in numbers(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..NUMBERS.len()), 0..3),
        around in 0..3_usize,
    ) {
        let (paths, _) = paths(&["a"]);
        let (before, behind) = [("{\"x\":", "}"), ("{\"x\":{\"y\":[1,", "],\"z\":true}}"), ("{\"x\":[0,{\"y\":", "},[1,2],3]}")][around];
        let mut inside = inside.into_bytes();
        for (at, byte) in changes {
            let at = at.index(inside.len());
            inside[at] = NUMBERS[byte];
        }
        let text = format!("{before}{}{behind}{:80}", String::from_utf8(inside).unwrap(), "");
        let ours = Tape::new().scan(&paths, text.as_bytes());
        prop_assert_eq!(ours.is_ok(), judge(text.as_bytes()), "{:?}: {:?}", text, ours);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let ours = scan(&bytes);
        let theirs = judge(&bytes);
        prop_assert_eq!(ours.is_ok(), theirs);
    }

    #[test]
    fn a_text_ends_at_its_own_quote(text in "[\\x20-\\x7e\u{e9}\\n\u{0}\u{1F600}]{0,40}") {
        let (paths, fields) = paths(&["k"]);
        let message = format!("{{\"k\":{},\"l\":0}}", serde_json::to_string(&text).unwrap());
        let mut tape = Tape::new();
        tape.scan(&paths, message.as_bytes()).unwrap();
        let cell = *tape.cells_of(fields[0]).next().unwrap();
        prop_assert_eq!(tape.text(message.as_bytes(), &cell), text.as_bytes());
    }
}
