//! Texts inside a message: where they end, and what their escapes mean.

use super::Scanner;
use crate::bad_message::BadMessage;
use std::ops::Range;
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// A bit for each byte that is a quote, a backslash or below a space; and for each beyond ASCII.
#[inline]
fn look(chunk: [u8; LANES]) -> (u32, u32) {
    let chunk = u8x16::new(chunk);
    let quote = chunk.simd_eq(u8x16::splat(b'"'));
    let backslash = chunk.simd_eq(u8x16::splat(b'\\'));
    let control = chunk.min(u8x16::splat(b' ' - 1)).simd_eq(chunk);
    ((quote | backslash | control).to_bitmask(), chunk.to_bitmask())
}

impl Scanner<'_> {
    /// Steps over the text that opens here; what lies between its quotes, and whether there is an
    /// escape in it.
    #[inline]
    pub(super) fn string(&mut self) -> Result<(Range<usize>, bool), BadMessage> {
        self.at += 1;
        let start = self.at;
        let mut has_escape = false;
        loop {
            while let Some(chunk) = self.bytes.get(self.at..self.at + LANES) {
                let (special, beyond) = look(chunk.try_into().expect("as many bytes"));
                // Perhaps of a byte behind the quote: then what is checked needs no check.
                self.may_hold_more_than_ascii |= beyond != 0;
                if special != 0 {
                    self.at += special.trailing_zeros() as usize;
                    break;
                }
                self.at += LANES;
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start..self.at - 1, has_escape));
                }
                Some(b'\\') => {
                    has_escape = true;
                    self.escape()?;
                }
                Some(0..b' ') => return Err(self.unexpected("text without control characters")),
                Some(byte) => {
                    self.may_hold_more_than_ascii |= !byte.is_ascii();
                    self.at += 1;
                }
                None => return Err(self.unexpected("the closing quote")),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Result<(), BadMessage> {
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
                            return Err(BadMessage::LoneSurrogate { offset: start });
                        }
                    }
                    0xdc00..0xe000 => return Err(BadMessage::LoneSurrogate { offset: start }),
                    _ => {}
                }
            }
            _ => {
                self.at += 1;
                return Err(self.unexpected("one of `\"\\/bfnrtu` after a backslash"));
            }
        }
        Ok(())
    }

    /// The four hex digits after `\u`.
    fn unit(&mut self) -> Result<u16, BadMessage> {
        self.at += 2;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.unexpected("a hex digit")) };
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
