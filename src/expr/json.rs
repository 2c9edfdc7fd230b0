//! JSON: bytes to a value and back.
//!
//! Invariants
//! - What is not JSON by RFC 8259, not UTF-8, or nests deeper than
//!   [`base::limits::NESTING_MAX`] is refused.
//! - A value is written in one form everywhere: keys in order, no blanks, doubles by their shortest
//!   digits and never without a fraction or an exponent, so that a double stays one.
//! - What is written reads back as the same value.

use crate::value::{Map, Value};
use base::limits::NESTING_MAX;
use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};
use std::io::Write;
use std::sync::Arc;
use thiserror::Error;

/// Bytes that are not JSON as we take it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadJson {
    /// Not JSON.
    #[error("not valid JSON near byte {at}: {what}")]
    Syntax {
        /// About where. Unit: bytes.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Not UTF-8, or an escape that is half a surrogate pair.
    #[error("not valid UTF-8, or half a surrogate pair")]
    NotUtf8,
    /// A number that no double is near.
    #[error("the number near byte {at} is malformed or out of range")]
    Number {
        /// About where. Unit: bytes.
        at: usize,
    },
    /// Too deep.
    #[error("the JSON nests deeper than {NESTING_MAX} levels")]
    TooDeep,
    /// Too long.
    #[error("the JSON has {bytes} bytes; {} is the most", u32::MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl Value {
    /// Reads JSON (RFC 8259).
    ///
    /// A whole number becomes an int, or a uint above `i64::MAX`, or a double when it is beyond 64
    /// bits; one with a fraction or an exponent becomes a double. A double that would be infinite
    /// is refused. Of equal keys in an object the first counts.
    pub fn parse_json(text: &[u8]) -> Result<Value, BadJson> {
        JsonReader::new().read(text)
    }

    /// Appends the value as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(number) => append(out, format_args!("{number}")),
            Value::Uint(number) => append(out, format_args!("{number}")),
            Value::Double(number) => {
                assert!(number.is_finite(), "a value holds no NaN and no infinity");
                // The shortest digits that read back as the same double, with `.0` or an exponent.
                append(out, format_args!("{number:?}"));
            }
            Value::Text(text) => write_text(text, out),
            Value::List(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    element.write_json(out);
                }
                out.push(b']');
            }
            Value::Transient(_) => unreachable!("an evaluation hands out JSON alone"),
            Value::Map(map) => {
                out.push(b'{');
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_text(key, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).expect("all parts written are UTF-8")
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..index]);
        if escape.is_empty() {
            append(out, format_args!("\\u{byte:04x}"));
        } else {
            out.extend_from_slice(escape);
        }
        written = index + 1;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

/// Reads JSON, keeping its working memory from one text to the next.
pub struct JsonReader {
    /// The parser unescapes strings in place, so it works on a copy.
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for JsonReader {
    fn default() -> JsonReader {
        JsonReader::new()
    }
}

impl JsonReader {
    /// A reader without memory yet.
    pub fn new() -> JsonReader {
        JsonReader {
            copy: Vec::new(),
            buffers: Buffers::with_max_depth(0, NESTING_MAX),
            tape: Tape(Vec::new()),
        }
    }

    /// Reads one text, as [`Value::parse_json`].
    pub fn read(&mut self, text: &[u8]) -> Result<Value, BadJson> {
        if u32::try_from(text.len()).is_err() {
            return Err(BadJson::TooLong { bytes: text.len() });
        }
        self.copy.clear();
        self.copy.extend_from_slice(text);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let result = simd_json::fill_tape(&mut self.copy, &mut self.buffers, &mut tape)
            .map_err(|error| bad_json(&error))
            .map(|()| value(&mut tape.0.iter()));
        self.tape = tape.reset();
        result
    }
}

/// The next value of the tape. Recurses no deeper than the parser let the text nest.
fn value(nodes: &mut std::slice::Iter<'_, Node<'_>>) -> Value {
    match nodes.next().expect("a tape holds every element it announces") {
        Node::Static(StaticNode::Null) => Value::Null,
        Node::Static(StaticNode::Bool(truth)) => Value::Bool(*truth),
        Node::Static(StaticNode::I64(number)) => Value::Int(*number),
        Node::Static(StaticNode::U64(number)) => Value::from(*number),
        Node::Static(StaticNode::F64(number)) => Value::Double(*number),
        Node::String(text) => Value::text(*text),
        Node::Array { len, .. } => Value::List((0..*len).map(|_| value(nodes)).collect()),
        Node::Object { len, .. } => {
            let mut entries = Vec::with_capacity(*len);
            for _ in 0..*len {
                let Some(Node::String(key)) = nodes.next() else {
                    unreachable!("a tape has a string for every key")
                };
                entries.push((Arc::from(*key), value(nodes)));
            }
            Map::from_entries(entries).into()
        }
    }
}

fn bad_json(error: &simd_json::Error) -> BadJson {
    let at = error.index();
    let what = match error.error() {
        ErrorType::DepthLimitExceeded => return BadJson::TooDeep,
        ErrorType::InvalidUtf8 => return BadJson::NotUtf8,
        ErrorType::InvalidNumber | ErrorType::InvalidExponent => return BadJson::Number { at },
        ErrorType::Eof => "it is empty",
        ErrorType::TrailingData => "something follows the value",
        ErrorType::InvalidEscape
        | ErrorType::InvalidUnicodeEscape
        | ErrorType::InvalidUnicodeCodepoint => "a bad escape in a string",
        ErrorType::UnterminatedString => "a string without an end",
        ErrorType::ExpectedObjectColon => "expected `:`",
        ErrorType::ExpectedObjectKey => "expected a key in quotes",
        ErrorType::ExpectedObjectContent => "expected a key in quotes, `,` or `}`",
        ErrorType::ExpectedArrayContent => "expected `,` or `]`",
        ErrorType::ExpectedTrue | ErrorType::ExpectedFalse | ErrorType::ExpectedNull => {
            "an unknown word"
        }
        _ => "something unexpected, or an end too early",
    };
    BadJson::Syntax { at, what }
}

#[cfg(test)]
mod tests;
