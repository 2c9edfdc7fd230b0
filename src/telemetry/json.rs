//! JSON written by hand into a caller's buffer: log lines, health and REST answers share it.
//! Nothing is allocated but what the buffer needs to grow.
//!
//! Invariants:
//! - what is written parses as JSON, whatever text is handed in (`raw` excepted: its caller vouches);
//! - no control character leaves unescaped, so one value never spans two lines.

use crate::time::write_time;
use base::UnixMicros;
use std::fmt;

/// Writes `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Writes `text` as it stands inside a JSON string's quotes. Beside what JSON asks for, all other
/// control characters are escaped, too (DEL, and U+0080 to U+009F): a terminal obeys them, and
/// lines with a client's text in them end up on terminals.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Runs that need no escape are copied whole: nearly every text is one such run.
    let mut run = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && !matches!(byte, b'"' | b'\\' | 0x7f | 0xc2) {
            continue;
        }
        let (control, length) = match (byte, bytes.get(at + 1)) {
            // The lead of U+0080 to U+00BF, the first half of which are control characters.
            (0xc2, Some(&next)) if next < 0xa0 => (next, 2),
            (0xc2, _) => continue,
            _ => (byte, 1),
        };
        out.extend_from_slice(&bytes[run..at]);
        run = at + length;
        match control {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digit = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(control >> 4), digit(control)]);
            }
        }
    }
    out.extend_from_slice(&bytes[run..]);
}

/// Writes a whole number in decimal.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    const DIGITS: usize = 20;
    let mut digits = [0; DIGITS];
    let mut at = DIGITS;
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A `fmt::Write` that escapes what it is given as the inside of a JSON string, so that `Display`
/// and `Debug` values need no text of their own in between.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.0, text);
        Ok(())
    }
}

/// Writes an object; `fill` puts its fields in.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, first: true });
    out.push(b'}');
}

/// Writes an array; `fill` puts its elements in.
pub fn array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, first: true });
    out.push(b']');
}

/// The inside of an object that is being written.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A string.
    pub fn text(&mut self, name: &str, value: &str) {
        write_string(self.name(name), value);
    }

    /// A string, or nothing at all.
    pub fn text_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A string in the value's text form.
    pub fn display(&mut self, name: &str, value: impl fmt::Display) {
        let out = self.name(name);
        out.push(b'"');
        // A value whose Display fails leaves what it wrote so far: still a whole string.
        let _ = fmt::write(&mut Escaped(out), format_args!("{value}"));
        out.push(b'"');
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        write_number(self.name(name), value);
    }

    /// A whole number that may be below zero.
    pub fn signed(&mut self, name: &str, value: i64) {
        let out = self.name(name);
        if value < 0 {
            out.push(b'-');
        }
        write_number(out, value.unsigned_abs());
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str, value: bool) {
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.name(name).extend_from_slice(text);
    }

    /// A time in RFC 3339, UTC, microseconds; `null` when there is none.
    pub fn time(&mut self, name: &str, value: Option<UnixMicros>) {
        let out = self.name(name);
        match value {
            Some(at) => {
                out.push(b'"');
                write_time(out, at);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
    }

    /// `null`.
    pub fn null(&mut self, name: &str) {
        self.name(name).extend_from_slice(b"null");
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name).extend_from_slice(json);
    }

    /// A nested object.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.name(name), fill);
    }

    /// A nested array.
    pub fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.name(name), fill);
    }

    /// An array of strings.
    pub fn texts(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        self.array(name, |list| {
            for value in values {
                list.text(value.as_ref());
            }
        });
    }
}

/// The inside of an array that is being written.
#[derive(Debug)]
pub struct Array<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Array<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out
    }

    /// A string.
    pub fn text(&mut self, value: &str) {
        write_string(self.next(), value);
    }

    /// A whole number.
    pub fn number(&mut self, value: u64) {
        write_number(self.next(), value);
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &[u8]) {
        self.next().extend_from_slice(json);
    }

    /// An object.
    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.next(), fill);
    }
}

#[cfg(test)]
mod tests;
