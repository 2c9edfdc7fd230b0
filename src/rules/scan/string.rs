//! Texts inside a message: where they end, and what their escapes mean.

use super::{Refused, Scanner};
use crate::bad_message::BadMessage;
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// A bit for each byte that is a quote, a backslash or below a space; and for each beyond ASCII.
#[inline(always)]
fn look(chunk: [u8; LANES]) -> (u32, u32) {
    let chunk = u8x16::new(chunk);
    let quote = chunk.simd_eq(u8x16::splat(b'"'));
    let backslash = chunk.simd_eq(u8x16::splat(b'\\'));
    let control = chunk.min(u8x16::splat(b' ' - 1)).simd_eq(chunk);
    ((quote | backslash | control).to_bitmask(), chunk.to_bitmask())
}

impl Scanner<'_> {
    /// Steps over the text that opens here; whether there is an escape in it.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<bool, Refused> {
        self.at += 1;
        // Most texts are shorter than a chunk and plain: for them this is all.
        if let Some(chunk) = self.bytes.get(self.at..self.at + LANES) {
            let (special, beyond) = look(chunk.try_into().expect("as many bytes"));
            // Perhaps of a byte behind the quote: then what is checked needs no check.
            self.beyond_ascii |= beyond;
            if special != 0 {
                self.at += special.trailing_zeros() as usize;
                if self.peek() == Some(b'"') {
                    self.at += 1;
                    return Ok(false);
                }
            } else {
                self.at += LANES;
            }
        }
        self.rest_of_string()
    }

    #[inline(never)]
    fn rest_of_string(&mut self) -> Result<bool, Refused> {
        let mut has_escape = false;
        loop {
            while let Some(chunk) = self.bytes.get(self.at..self.at + LANES) {
                let (special, beyond) = look(chunk.try_into().expect("as many bytes"));
                self.beyond_ascii |= beyond;
                if special != 0 {
                    self.at += special.trailing_zeros() as usize;
                    break;
                }
                self.at += LANES;
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escape);
                }
                Some(b'\\') => {
                    has_escape = true;
                    self.escape()?;
                }
                Some(0..b' ') => return self.unexpected("text without control characters"),
                Some(byte) => {
                    self.beyond_ascii |= u32::from(!byte.is_ascii());
                    self.at += 1;
                }
                None => return self.unexpected("the closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Refused> {
        let start = self.at;
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let first = self.unit()?;
                match first {
                    0xd800..0xdc00 => {
                        let is_pair = self.bytes[self.at..].starts_with(b"\\u")
                            && (0xdc00..0xe000).contains(&self.unit()?);
                        if !is_pair {
                            return self.refuse(BadMessage::LoneSurrogate { offset: start });
                        }
                    }
                    0xdc00..0xe000 => {
                        return self.refuse(BadMessage::LoneSurrogate { offset: start });
                    }
                    _ => {}
                }
            }
            _ => {
                self.at += 1;
                return self.unexpected("one of `\"\\/bfnrtu` after a backslash");
            }
        }
        Ok(())
    }

    /// The four hex digits after `\u`.
    fn unit(&mut self) -> Result<u16, Refused> {
        self.at += 2;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return self.unexpected("a hex digit") };
            unit = unit << 4 | u16::try_from(digit).expect("below 16");
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Adds to `out` what `text`, which [`Scanner::string`] has accepted, means.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (character, width) = unescape_one(&rest[at..]);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + width..];
    }
    out.extend_from_slice(rest);
}

fn unescape_one(text: &[u8]) -> (char, usize) {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("was accepted");
    let unit = |at: usize| text[at..at + 4].iter().fold(0, |unit, byte| unit << 4 | digit(*byte));
    let character = match text[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(2);
            let (code, width) = if (0xd800..0xdc00).contains(&first) {
                (0x1_0000 + ((first - 0xd800) << 10) + (unit(8) - 0xdc00), 12)
            } else {
                (first, 6)
            };
            return (char::from_u32(code).expect("was accepted"), width);
        }
        other => char::from(other),
    };
    (character, 2)
}
