//! Texts inside a message: where they end, and what their escapes mean.

use super::{Refused, Scanner, peek};
use crate::bad_message::BadMessage;
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// A bit for each byte that is a quote; and for each that needs a closer look: a backslash, what is
/// below a space, what is beyond ASCII.
#[inline(always)]
fn look(chunk: [u8; LANES]) -> (u32, u32) {
    let chunk = u8x16::new(chunk);
    let quotes = chunk.simd_eq(u8x16::splat(b'"'));
    let backslash = chunk.simd_eq(u8x16::splat(b'\\'));
    let control = chunk.min(u8x16::splat(b' ' - 1)).simd_eq(chunk);
    // The mask is of the highest bits, which bytes beyond ASCII have themselves.
    (quotes.to_bitmask(), (chunk | backslash | control).to_bitmask())
}

impl Scanner<'_> {
    /// Steps over the text that opens here; where it ends, and whether there is an escape in it.
    #[inline(always)]
    pub(super) fn string(&mut self, bytes: &[u8], start: usize) -> Result<(usize, bool), Refused> {
        let mut at = start + 1;
        while let Some(chunk) = bytes.get(at..at + LANES) {
            let (quotes, closer) = look(chunk.try_into().expect("as many bytes"));
            // All below the first quote, and other quotes.
            if closer & quotes.wrapping_sub(1) != 0 {
                break;
            }
            if quotes != 0 {
                return Ok((at + quotes.trailing_zeros() as usize + 1, false));
            }
            at += LANES;
        }
        self.rest_of_string(bytes, at)
    }

    #[inline(never)]
    fn rest_of_string(&mut self, bytes: &[u8], mut at: usize) -> Result<(usize, bool), Refused> {
        let mut has_escape = false;
        loop {
            while let Some(chunk) = bytes.get(at..at + LANES) {
                let (quotes, closer) = look(chunk.try_into().expect("as many bytes"));
                let special = quotes | closer;
                if special != 0 {
                    at += special.trailing_zeros() as usize;
                    break;
                }
                at += LANES;
            }
            // A run of what is beyond ASCII needs no look at each chunk.
            while let Some(0x80..) = peek(bytes, at) {
                self.is_beyond_ascii = true;
                at += 1;
            }
            match peek(bytes, at) {
                Some(b'"') => return Ok((at + 1, has_escape)),
                Some(b'\\') => {
                    has_escape = true;
                    at = self.escape(bytes, at)?;
                }
                Some(0..b' ') => {
                    return self.unexpected(bytes, at, "text without control characters");
                }
                Some(_) => at += 1,
                None => return self.unexpected(bytes, at, "the closing quote"),
            }
        }
    }

    /// Steps over the escape that begins here.
    fn escape(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        match peek(bytes, start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(start + 2),
            Some(b'u') => {
                let (mut at, first) = self.unit(bytes, start)?;
                let is_whole = match first {
                    0xd800..0xdc00 if bytes[at..].starts_with(b"\\u") => {
                        let (after, second) = self.unit(bytes, at)?;
                        at = after;
                        (0xdc00..0xe000).contains(&second)
                    }
                    0xd800..0xe000 => false,
                    _ => true,
                };
                if is_whole {
                    Ok(at)
                } else {
                    self.refuse(BadMessage::LoneSurrogate { offset: start })
                }
            }
            _ => self.unexpected(bytes, start + 1, "one of `\"\\/bfnrtu` after a backslash"),
        }
    }

    /// The four hex digits after `\u`, and where they end.
    fn unit(&mut self, bytes: &[u8], start: usize) -> Result<(usize, u16), Refused> {
        let mut unit = 0;
        for at in start + 2..start + 6 {
            let digit = peek(bytes, at).and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return self.unexpected(bytes, at, "a hex digit") };
            unit = unit << 4 | u16::try_from(digit).expect("below 16");
        }
        Ok((start + 6, unit))
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
