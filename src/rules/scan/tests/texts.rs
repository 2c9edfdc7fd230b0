//! Texts as data (testdata/json.txt), and those that are better counted than written down, each at
//! every offset that blocks of 16 to 64 bytes can meet it at.

use super::{Tape, paths};
use crate::BadMessage;
use crate::oracle::json::Judgement;
use crate::oracle::texts::{Verdict, texts};
use crate::paths::Paths;
use std::ops::RangeInclusive;

/// Two blocks of 64 bytes, and what is beyond them.
const OFFSETS: Offsets = 0..=130;

/// Each place in a block of 16 bytes, about the end of one of 64.
const FEW_OFFSETS: Offsets = 56..=72;

type Offsets = RangeInclusive<usize>;

/// Whether the scanner's answer is right.
fn allows(expected: Verdict, answer: &Result<(), BadMessage>) -> bool {
    match expected {
        Verdict::Valid => answer.is_ok(),
        Verdict::Invalid => answer.is_err(),
        Verdict::LoneSurrogate => matches!(answer, Err(BadMessage::LoneSurrogate { .. })),
    }
}

/// The scanner, with paths that lead into the places, and with none.
struct Scanners {
    tracking: Paths,
    fields: Vec<Vec<String>>,
    nobody: Paths,
    tape: Tape,
}

impl Scanners {
    fn new() -> Self {
        let fields = ["a", "a.b", "c"];
        let keys = |field: &&str| field.split('.').map(str::to_owned).collect();
        Self {
            tracking: paths(&fields).0,
            fields: fields.iter().map(keys).collect(),
            nobody: Paths::new(),
            tape: Tape::new(),
        }
    }

    fn check(&mut self, text: &[u8], expected: Verdict) {
        for paths in [&self.tracking, &self.nobody] {
            let answer = self.tape.scan(paths, text);
            let shown = String::from_utf8_lossy(text);
            assert!(allows(expected, &answer), "{expected:?}: {answer:?}: {shown}");
        }
    }

    fn check_with_judge(&mut self, text: &[u8], expected: Verdict) {
        self.check(text, expected);
        let judgement = Judgement::of(text, &self.fields);
        let answer = self.tape.scan(&self.tracking, text);
        let shown = String::from_utf8_lossy(text);
        assert!(judgement.allows(&answer), "{answer:?}, {judgement:?}: {shown}");
        let is_valid = matches!(judgement, Judgement::Accepted(_));
        assert_eq!(is_valid, expected == Verdict::Valid, "the judge: {shown}");
    }
}

/// What stands before and behind a value: where nobody asks for it and where somebody does, in
/// objects and in arrays.
const PLACES: [(&str, &str); 6] = [
    ("\"k\":", ""),
    ("\"a\":", ""),
    ("\"k\":[0,", "]"),
    ("\"a\":[0,", "]"),
    ("\"k\":{\"x\":[],\"y\":", "}"),
    ("\"a\":{\"x\":{},\"b\":", "}"),
];

/// The end of the text near, and far.
const TAILS: [&str; 2] =
    ["}", ",\"t\":\"as many bytes as any block has, and some more: sixty-four\"}"];

/// Moves what follows by some bytes: white space, a key, a text, a number.
fn padding(kind: usize, bytes: usize) -> String {
    match kind % 4 {
        0 => " ".repeat(bytes),
        1 => format!("\"{}\":0,", "p".repeat(bytes)),
        2 => format!("\"p\":\"{}\",", "é".repeat(bytes / 2) + &"p".repeat(bytes % 2)),
        _ => format!("\"p\":1{},", "0".repeat(bytes)),
    }
}

/// A value in every place, at every offset. The judge is asked once for each place.
fn check_value(scanners: &mut Scanners, offsets: Offsets, value: &[u8], expected: Verdict) {
    let first = *offsets.start();
    let mut text = Vec::new();
    for offset in offsets {
        let padding = padding(offset, offset);
        for (before, behind) in PLACES {
            for tail in TAILS {
                text.clear();
                let pieces = ["{", &padding, before].map(str::as_bytes);
                for piece in pieces {
                    text.extend_from_slice(piece);
                }
                text.extend_from_slice(value);
                text.extend_from_slice(behind.as_bytes());
                text.extend_from_slice(tail.as_bytes());
                if offset == first {
                    scanners.check_with_judge(&text, expected);
                } else {
                    scanners.check(&text, expected);
                }
            }
        }
    }
}

#[test]
fn a_value_is_valid_or_not_wherever_it_stands() {
    let values = texts("values");
    assert!(values.len() > 750, "the list is there: {}", values.len());
    let mut scanners = Scanners::new();
    for (value, expected) in values {
        check_value(&mut scanners, OFFSETS, &value, expected);
    }
}

#[test]
fn a_text_is_valid_or_not_however_much_white_space_stands_before_it() {
    let objects = texts("objects");
    assert!(objects.len() > 100, "the list is there: {}", objects.len());
    let mut scanners = Scanners::new();
    for (object, expected) in objects {
        for offset in OFFSETS {
            let text = [&b" \n\t\r".repeat(33)[..offset], &object].concat();
            scanners.check_with_judge(&text, expected);
        }
    }
}

#[test]
fn every_byte_is_right_or_wrong_as_the_grammar_says() {
    let mut scanners = Scanners::new();
    let mut check = |value: &[u8], expected| {
        check_value(&mut scanners, FEW_OFFSETS, value, expected);
    };
    for byte in 0..=u8::MAX {
        let valid_if = |is_valid| if is_valid { Verdict::Valid } else { Verdict::Invalid };
        let is_white_space = b" \t\n\r".contains(&byte);
        let is_plain = (b' '..0x80).contains(&byte) && !b"\"\\".contains(&byte);
        let is_escape = b"\"\\/bfnrt".contains(&byte);
        let value =
            |before: &str, behind: &str| [before.as_bytes(), &[byte], behind.as_bytes()].concat();
        check(&value("", ""), valid_if(byte.is_ascii_digit()));
        check(&value("\"", "\""), valid_if(is_plain));
        check(&value("\"0123456789", "abcdef\""), valid_if(is_plain));
        check(&value("\"\\", "\""), valid_if(is_escape));
        let is_hex = byte.is_ascii_hexdigit();
        for (before, behind) in [("", "041"), ("0", "41"), ("00", "1"), ("004", "")] {
            let (before, behind) = (format!("\"\\u{before}"), format!("{behind}\""));
            // `\ud041` is a letter, and no surrogate.
            check(&value(&before, &behind), valid_if(is_hex));
        }
        check(&value("", "0"), valid_if(is_white_space || b"123456789-".contains(&byte)));
        check(&value("[", "1]"), valid_if(is_white_space || b"123456789-".contains(&byte)));
        check(&value("{", "\"x\":0}"), valid_if(is_white_space));
        check(&value("{\"x\"", ":0}"), valid_if(is_white_space));
        check(&value("{\"x\"", "0}"), valid_if(byte == b':'));
        check(&value("[[]", "[]]"), valid_if(byte == b','));
        check(&value("[1.5e3", "]"), valid_if(is_white_space || byte.is_ascii_digit()));
    }
}

/// The longest and the shortest of each length in bytes, and what lies beside them.
#[test]
fn text_is_utf_8_wherever_it_stands() {
    let valid: [&[u8]; 8] = [
        b"\x7f",
        b"\xc2\x80",
        b"\xdf\xbf",
        b"\xe0\xa0\x80",
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        b"\xf0\x90\x80\x80",
        b"\xf4\x8f\xbf\xbf",
    ];
    let invalid: [&[u8]; 12] = [
        b"\x80",
        b"\xc1\xbf",
        b"\xc2",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x9f\x98",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
    ];
    let mut scanners = Scanners::new();
    let valid = valid.iter().map(|character| (character, Verdict::Valid));
    for (character, expected) in valid.chain(invalid.iter().map(|c| (c, Verdict::Invalid))) {
        for before in OFFSETS {
            for behind in [0, 1, 15, 16, 17, 64] {
                let text = [&b"x".repeat(before)[..], character, &b"y".repeat(behind)].concat();
                let as_value = [b"{\"k\":\"", &text[..], b"\"}"].concat();
                let as_key = [b"{\"", &text[..], b"\":0}"].concat();
                let after_escape = [b"{\"a\":\"\\n", &text[..], b"\"}"].concat();
                for text in [as_value, as_key, after_escape] {
                    scanners.check(&text, expected);
                }
            }
        }
    }
}

#[test]
fn half_of_a_surrogate_pair_is_refused_wherever_it_stands_and_a_whole_one_is_not() {
    let mut scanners = Scanners::new();
    let units: [u16; 11] =
        [0x0041, 0xd7ff, 0xd800, 0xd801, 0xdbff, 0xdc00, 0xdc01, 0xdfff, 0xe000, 0xfffd, 0xffff];
    for first in units {
        for second in units {
            let is_whole = char::decode_utf16([first, second]).all(|unit| unit.is_ok());
            let expected = if is_whole { Verdict::Valid } else { Verdict::LoneSurrogate };
            for offset in OFFSETS {
                let pad = "x".repeat(offset);
                for behind in
                    ["", "y", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"]
                {
                    let text = format!("{pad}\\u{first:04x}\\u{second:04X}{behind}");
                    scanners.check(format!("{{\"a\":\"{text}\"}}").as_bytes(), expected);
                    scanners.check(format!("{{\"{text}\":0}}").as_bytes(), expected);
                }
            }
        }
    }
}

/// All ways to nest that differ: arrays and objects, where somebody asks for a field and where
/// nobody does.
#[test]
fn nesting_is_allowed_to_128_and_no_deeper() {
    let mut scanners = Scanners::new();
    for depth in [1, 2, 63, 64, 65, 126, 127, 128, 129, 130, 200, 100_000] {
        let levels = |opens: &[&str], closes: &[&str]| -> String {
            // The message itself is the first level.
            let inner = depth - 1;
            let open: String = (0..inner).map(|level| opens[level % opens.len()]).collect();
            let close: String = (0..inner).rev().map(|level| closes[level % opens.len()]).collect();
            if inner == 0 { "0".to_owned() } else { open + "0" + &close }
        };
        for inside in [
            levels(&["["], &["]"]),
            levels(&["{\"b\":"], &["}"]),
            levels(&["[", "{\"b\":"], &["]", "}"]),
            levels(&["{\"x\":", "["], &["}", "]"]),
            levels(&["[[],", "{\"x\":{},\"b\":"], &[",{}]", ",\"z\":[]}"]),
        ] {
            for key in ["a", "k"] {
                let text = format!("{{\"{key}\":{inside}}}");
                for paths in [&scanners.tracking, &scanners.nobody] {
                    let answer = scanners.tape.scan(paths, text.as_bytes());
                    match &answer {
                        Ok(()) => assert!(depth <= 128, "{depth}: {text:.200}"),
                        Err(BadMessage::TooDeep { .. }) => {
                            assert!(depth > 127, "{depth}: {text:.200}");
                        }
                        Err(BadMessage::TooLarge { .. }) => assert_eq!(depth, 100_000),
                        Err(other) => panic!("{other}: {text:.200}"),
                    }
                }
                if depth < 1_000 {
                    let answer = scanners.tape.scan(&scanners.tracking, text.as_bytes());
                    let judgement = Judgement::of(text.as_bytes(), &scanners.fields);
                    assert!(judgement.allows(&answer), "{depth}: {answer:?}: {text:.200}");
                }
            }
        }
    }
}

#[test]
fn a_key_may_be_repeated_where_nobody_asks_for_it() {
    let rows = [
        (r#"{"a":1,"a":1}"#, false),
        (r#"{"a":1,"\u0061":1}"#, false),
        (r#"{"\u0061":1,"a":1}"#, false),
        (r#"{"a":{},"b":0,"a":[]}"#, false),
        (r#"{"a":{"b":1,"b":1}}"#, false),
        (r#"{"a":{"b":1,"\u0062":1}}"#, false),
        (r#"{"a":[{"b":1,"b":1}]}"#, false),
        (r#"{"a":[[{"b":1},{"b":1,"b":2}]]}"#, false),
        (r#"{"a":[{"b":1},{"b":1}],"c":0}"#, true),
        (r#"{"a":{"x":1,"x":1,"b":0}}"#, true),
        (r#"{"x":{"a":1,"a":1}}"#, true),
        (r#"{"x":1,"x":1,"a":{"b":{"b":1,"b":1}}}"#, true),
        (r#"{"b":1,"b":1}"#, true),
        (r#"{"c":{"a":1,"a":1}}"#, true),
        (r#"{"A":1,"A":1}"#, true),
    ];
    let mut scanners = Scanners::new();
    for (text, is_accepted) in rows {
        for offset in OFFSETS {
            let text = format!("{}{text}", " ".repeat(offset));
            let answer = scanners.tape.scan(&scanners.tracking, text.as_bytes());
            let repeated = matches!(answer, Err(BadMessage::RepeatedKey { .. }));
            assert_eq!((answer.is_ok(), repeated), (is_accepted, !is_accepted), "{text}");
            assert!(Judgement::of(text.as_bytes(), &scanners.fields).allows(&answer), "{text}");
            assert_eq!(scanners.tape.scan(&scanners.nobody, text.as_bytes()), Ok(()), "{text}");
        }
    }
}
