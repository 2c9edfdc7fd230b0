//! Catalogues and messages by chance, of the same few keys and values, so that they meet.

use super::Prng;
use std::fmt::Write;

pub(crate) fn pick<'a>(prng: &mut Prng, from: &[&'a str]) -> &'a str {
    from[usize::try_from(prng.below(from.len() as u64)).unwrap()]
}

/// As they are written; several are equal, several nearly.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "2",
    "3",
    "-1",
    "-2.5",
    "0.5",
    "5e-1",
    "0.1",
    "0.10",
    "0.1000000000000000055511151231257827",
    "0.30000000000000004",
    "10",
    "100",
    "1e2",
    "9007199254740992",
    "9007199254740993",
    "9007199254740993.0",
    "-9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "123456789012345678901234567891",
    "1.2345678901234567890123456789e29",
    "1e400",
    "1e401",
    "-1e400",
    "1e-400",
    "-1e-400",
    "1e15",
    "0.000001",
    "1E-6",
    "4503599627370496.5",
    "4503599627370497.5",
    "1e999999999999",
];

/// As the value is, before it is written.
const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "ab",
    "ba",
    "aa",
    "abab",
    "abcd",
    "abcde",
    "bcdea",
    "A",
    "aB",
    "é",
    "É",
    "éa",
    "ß",
    "ẞ",
    "σ",
    "ς",
    "Σ",
    "k",
    "K",
    "\u{212a}",
    "s",
    "\u{17f}",
    "ks",
    "\u{212a}\u{17f}",
    "😀",
    "a😀",
    "1",
    "1.0",
    "10",
    "true",
    "null",
    "10.0.0.1",
    "10.1.2.3",
    "192.168.7.7",
    "::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "2024-01-31",
    "2024-02-01",
    "2024-01-3",
    "é\n\"\\",
    "\u{0}",
    "a\u{0}b",
    "exactly sixteen!",
    "a text longer than sixteen bytes",
    "a text longer than sixteen bytez",
    "abcdefgh",
    "abcdefghi",
    "xabcdefgh",
    "sixty-four bytes of text that is folded whole and not one more.",
    "sixty-four bytes of text that is folded whole and not one more..",
    "SIXTY-FOUR BYTES OF TEXT THAT IS FOLDED WHOLE AND NOT ONE MORE..",
];

const KEYS: &[&str] = &["a", "b", "c", "a.b", "é", "d", "a[0]", "a key of more than sixteen bytes"];

const FIELDS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "a.a",
    "a.b",
    "a.c",
    "b.a",
    "b.c",
    "a.b.c",
    "a.b.a",
    r"a\.b",
    "é",
    r"a.a\.b",
    "a key of more than sixteen bytes",
    "b.b.b",
    "a[0]",
    "a[1]",
    "a[0].b",
    "a[1].a",
    "a.b[0]",
    "b[0][1]",
    "b[2].c[0]",
    "a[-1]",
    r"a\[0\]",
    "c[0].a.b",
];

/// Several ways into the same arrays.
const INTO_ARRAYS: &[&str] =
    &["a", "a[0]", "a[1]", "a.b", "a[0].b", "a[1].b", "a.b[0]", "a[0].b[0]", "a.c", "a[0][0]"];

pub(crate) fn text(prng: &mut Prng) -> String {
    match prng.below(4) {
        0..3 => pick(prng, TEXTS).to_owned(),
        _ => (0..prng.below(24)).map(|_| pick(prng, &["a", "b", "ab", "c", "d"])).collect(),
    }
}

/// A text as a library would write it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn scalar(prng: &mut Prng) -> String {
    match prng.below(8) {
        0..3 => pick(prng, NUMBERS).to_owned(),
        3..6 => quoted(&text(prng)),
        6 => pick(prng, &["true", "false"]).to_owned(),
        _ => "null".to_owned(),
    }
}

fn list(prng: &mut Prng, most: u64, mut one: impl FnMut(&mut Prng) -> String) -> String {
    let elements: Vec<String> = (0..prng.below(most)).map(|_| one(prng)).collect();
    format!("[{}]", elements.join(","))
}

fn operation(prng: &mut Prng) -> String {
    let of = |op: &str, value: &str| format!("\"op\":\"{op}\",\"value\":{value}");
    match prng.below(30) {
        0..4 => of("equals", &scalar(prng)),
        4 => of("not_equals", &scalar(prng)),
        5..8 => {
            let bound = if prng.chance(1, 4) {
                quoted(&text(prng))
            } else {
                pick(prng, NUMBERS).to_owned()
            };
            of(
                pick(prng, &["greater_than", "greater_or_equal", "less_than", "less_or_equal"]),
                &bound,
            )
        }
        8..11 => {
            let low = prng.below(6);
            let high = low + 1 + prng.below(3);
            let range = match prng.below(5) {
                0 => format!("{{\"gt\":{low}.5,\"lte\":{high}}}"),
                1 => format!("{{\"gte\":-{high},\"lt\":{low}e0}}"),
                2 => format!("{{\"gte\":{}}}", pick(prng, NUMBERS)),
                3 => "{\"gt\":\"a\",\"lt\":\"b\"}".to_owned(),
                _ => format!("[{low},{high}]"),
            };
            of("in_range", &range)
        }
        11..14 => of("in", &list(prng, 5, scalar)),
        14 => of("not_in", &list(prng, 4, scalar)),
        15..18 => {
            of("contains", &if prng.chance(2, 3) { quoted(&text(prng)) } else { scalar(prng) })
        }
        18..20 => of(pick(prng, &["starts_with", "ends_with"]), &quoted(&text(prng))),
        20 => of("equals_ignore_case", &quoted(&text(prng))),
        21..23 => {
            let pieces = (0..=prng.below(5))
                .map(|_| pick(prng, &["*", "?", "a", "b", "ab", "abcd", "\\*", "é"]));
            of("wildcard", &quoted(&pieces.collect::<String>()))
        }
        23 => of(
            "regex",
            &quoted(pick(
                prng,
                &[
                    "a",
                    "^a",
                    "b$",
                    "^[ab]+$",
                    "^$",
                    "é",
                    "(?i)A",
                    "ab|cd",
                    "a(b|c)d",
                    "(abcd|bcde)+",
                    "^.*text.*$",
                    "\\d+",
                    "a{2}",
                    "a(bcd)*",
                    "^x?(abcd)?$",
                    "(?s).",
                ],
            )),
        ),
        24 => of(
            "cidr",
            pick(
                prng,
                &[
                    "\"10.0.0.0/8\"",
                    "\"10.1.0.0/16\"",
                    "\"::/0\"",
                    "\"2001:db8::/32\"",
                    "[\"0.0.0.0/0\",\"::1\"]",
                    "\"192.168.7.7\"",
                ],
            ),
        ),
        25..28 => "\"op\":\"exists\"".to_owned(),
        _ => "\"op\":\"not_exists\"".to_owned(),
    }
}

fn predicate(prng: &mut Prng, fields: &[&str]) -> String {
    let field = quoted(pick(prng, fields));
    let operation = operation(prng);
    let has_value = operation.contains("\"value\"");
    let quantifier = match prng.below(10) {
        0 if has_value => ",\"quantifier\":\"all\"",
        1 if has_value => ",\"quantifier\":\"none\"",
        _ => "",
    };
    format!("{{\"field\":{field},{operation}{quantifier}}}")
}

/// What an expression may name; as a list or a map, too.
const NAMES: &[&str] =
    &["msg", "msg.a", "msg.b", "msg.c", "msg.d", "msg.a.a", "msg.a.b", "msg.b.c", "msg.a.b.c"];

const LITERALS: &[&str] = &["0", "1", "2", "1.0", "0.5", "-1", "true", "null", "\"a\"", "\"\""];

fn term(prng: &mut Prng) -> String {
    match prng.below(8) {
        0..4 => pick(prng, NAMES).to_owned(),
        4 => format!("size({})", pick(prng, NAMES)),
        5 => format!("{}[{}]", pick(prng, NAMES), prng.below(3)),
        6 => format!("{}[{}]", pick(prng, NAMES), pick(prng, NAMES)),
        _ => pick(prng, LITERALS).to_owned(),
    }
}

fn expression(prng: &mut Prng) -> String {
    let part = |prng: &mut Prng| match prng.below(8) {
        0 => format!("has({})", pick(prng, &NAMES[1..])),
        1 => pick(prng, NAMES).to_owned(),
        _ => {
            let operator = pick(prng, &["==", "!=", "<", ">=", "in", "=="]);
            format!("{} {operator} {}", term(prng), term(prng))
        }
    };
    let parts: Vec<String> = (0..=prng.below(2)).map(|_| part(prng)).collect();
    format!("${{ {} }}", parts.join(" && "))
}

fn condition(prng: &mut Prng, depth: u64, fields: &[&str]) -> String {
    if prng.chance(1, 12) {
        let text = expression(prng);
        // One without the message is the same for every message, and refused.
        if text.contains("msg") {
            return format!("{{\"expr\":{}}}", quoted(&text));
        }
    }
    if depth == 0 || prng.chance(1, 3) {
        return predicate(prng, fields);
    }
    let members: Vec<String> =
        (0..=prng.below(4)).map(|_| condition(prng, depth - 1, fields)).collect();
    let members = members.join(",");
    match prng.below(8) {
        0..3 => format!("{{\"all\":[{members}]}}"),
        3..5 => format!("{{\"any\":[{members}]}}"),
        5 => format!("{{\"none\":[{members}]}}"),
        6 => format!("{{\"combinator\":\"NOT\",\"conditions\":[{members}]}}"),
        _ => format!("{{\"combinator\":\"OR\",\"conditions\":[{members}]}}"),
    }
}

/// The conditions of a rule.
pub(crate) fn conditions(prng: &mut Prng) -> String {
    match prng.below(5) {
        // Few fields and plain conditions: many rules share their keys.
        0 => {
            let members: Vec<String> =
                (0..=prng.below(4)).map(|_| predicate(prng, &["a", "b", "c"])).collect();
            format!("[{}]", members.join(","))
        }
        1 => format!("[{}]", predicate(prng, FIELDS)),
        2 => {
            let depth = 1 + prng.below(2);
            format!("[{}]", condition(prng, depth, INTO_ARRAYS))
        }
        _ => {
            let depth = 1 + prng.below(3);
            format!("[{}]", condition(prng, depth, FIELDS))
        }
    }
}

/// A rule as a file has it, but for its conditions' own text.
pub(crate) fn rule(prng: &mut Prng, id: &str, conditions: &str) -> String {
    let priority = prng.below(3);
    let stop = prng.chance(1, 30);
    format!(
        "{{\"id\":\"{id}\",\"priority\":{priority},\"stop\":{stop},\"conditions\":{conditions},\"actions\":[{{\"workflow\":\"w\"}}]}}"
    )
}

/// Conditions that most messages satisfy, so that chains go on.
const EASY: &[&str] = &[
    r#"[{"none":[{"field":"d","op":"equals","value":"a"}]}]"#,
    r#"[{"any":[{"field":"a","op":"exists"},{"field":"b","op":"exists"},{"field":"d","op":"exists"}]}]"#,
    r#"[{"field":"a","op":"exists"}]"#,
    r#"[{"field":"b.c","op":"exists"}]"#,
    r#"[{"field":"a.b.c","op":"not_exists"}]"#,
    r#"[{"field":"c","op":"equals","value":1}]"#,
    r#"[{"field":"a.b","op":"in","value":[1,"a",true]}]"#,
];

/// Fields of which none lies inside another.
const APART: [&[&str]; 2] =
    [&["a", "b.a", "b.c", "c", r"a\\.b"], &["a.b.c", "a.c", "b", "d", "c.a"]];

const SETTINGS: &[&str] = &[
    "1",
    "0.5",
    "1e2",
    r#""a""#,
    r#""ab""#,
    "true",
    "null",
    "[]",
    "{}",
    "[1,2]",
    r#"{"b":1,"c":{"a":2}}"#,
    r#"[{"b":1},{"b":[2,3]}]"#,
    r#""${ msg.a / 0 }""#,
    r#""${ msg.a }""#,
    r#""${ msg.b }""#,
    r#""${ msg.b.c }""#,
    r#""${ msg.a.b }""#,
    r#""${ msg.a.a }""#,
    r#""${ msg.d }""#,
];

/// The text of a rule that needs others, with an enrichment now and then. Mostly rules need those
/// with smaller numbers; else they may form a circle.
pub(crate) fn in_chains(prng: &mut Prng, id: &str, text: &str, count: u64) -> String {
    let number: u64 = id[1..].parse().unwrap();
    let other = |prng: &mut Prng| {
        let below = if prng.chance(1, 12) { count + 2 } else { number };
        let other = if below == 0 { count + 1 } else { prng.below(below) };
        // Itself it must not name; one that is nowhere it may.
        format!("\"r{}\"", if other == number { number + 1 } else { other })
    };
    let mut text = text.strip_suffix('}').unwrap().to_owned();
    if prng.chance(1, 2) {
        let (head, rest) = text.split_once("\"conditions\":").unwrap();
        let (_, tail) = rest.rsplit_once(",\"actions\"").unwrap();
        text = format!("{head}\"conditions\":{},\"actions\"{tail}", pick(prng, EASY));
    }
    if prng.chance(1, 3) {
        let others: std::collections::BTreeSet<String> =
            (0..=prng.below(3)).map(|_| other(prng)).collect();
        let others: Vec<String> = others.into_iter().collect();
        write!(text, ",\"requires\":[{}]", others.join(",")).unwrap();
    }
    if prng.chance(1, 3) {
        write!(text, ",\"continue_from\":{}", other(prng)).unwrap();
    }
    let fields = APART[usize::from(prng.chance(1, 2))].iter();
    let fields: Vec<String> =
        fields.filter(|_| prng.chance(1, 4)).map(|field| format!("\"{field}\":")).collect();
    if !fields.is_empty() {
        let fields: Vec<String> =
            fields.into_iter().map(|field| field + pick(prng, SETTINGS)).collect();
        write!(text, ",\"enrich\":{{{}}}", fields.join(",")).unwrap();
    }
    if prng.chance(1, 15) {
        text.push_str(",\"enabled\":false");
    }
    text + "}"
}

fn space<'a>(prng: &mut Prng) -> &'a str {
    pick(prng, &["", "", "", "", " ", "\n\t", "  \r\n"])
}

/// A text with escapes where none are needed.
fn spelled(prng: &mut Prng, text: &str) -> String {
    let mut out = String::from("\"");
    let often = if prng.chance(1, 3) { 4 } else { 1_000 };
    for character in text.chars() {
        if character < ' ' || matches!(character, '"' | '\\') || prng.chance(1, often) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04X}").unwrap();
            }
        } else {
            out.push(character);
        }
    }
    out.push('"');
    out
}

fn value(prng: &mut Prng, depth: u64, out: &mut String) {
    out.push_str(space(prng));
    match prng.below(if depth == 0 { 6 } else { 11 }) {
        0..2 => out.push_str(pick(prng, NUMBERS)),
        2..5 => {
            let text = text(prng);
            out.push_str(&spelled(prng, &text));
        }
        5 => out.push_str(pick(prng, &["true", "false", "null"])),
        6..9 => object(prng, depth - 1, out),
        _ => array(prng, depth - 1, out),
    }
    out.push_str(space(prng));
}

fn array(prng: &mut Prng, depth: u64, out: &mut String) {
    // Now and then more elements than the index asks one by one.
    let most = if prng.chance(1, 12) { 14 } else { 4 };
    out.push('[');
    let inner = if most > 4 { 0 } else { depth };
    for element in 0..prng.below(most) {
        out.push_str(if element > 0 { "," } else { "" });
        value(prng, inner, out);
    }
    out.push_str(space(prng));
    out.push(']');
}

fn object(prng: &mut Prng, depth: u64, out: &mut String) {
    out.push('{');
    let mut is_first = true;
    for key in KEYS {
        if !prng.chance(2, 5) {
            continue;
        }
        out.push_str(if is_first { "" } else { "," });
        is_first = false;
        out.push_str(space(prng));
        out.push_str(&spelled(prng, key));
        out.push_str(space(prng));
        out.push(':');
        // Many paths lead through arrays under this key.
        if *key == "a" && depth > 0 && prng.chance(1, 3) {
            array(prng, depth - 1, out);
        } else {
            value(prng, depth, out);
        }
    }
    out.push_str(space(prng));
    out.push('}');
}

/// A message.
pub(crate) fn message(prng: &mut Prng) -> String {
    let mut out = String::new();
    object(prng, 3, &mut out);
    out
}
