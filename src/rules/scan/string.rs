//! Texts inside a message: where they end, and what their escapes mean.

use super::Scanner;
use crate::bad_message::BadMessage;
use std::ops::Range;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is `byte`. Above the first such byte there may be wrong ones
/// (a borrow runs upwards), so only the lowest bit counts.
fn bytes_equal(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & HIGHS
}

/// The same for bytes below a space.
fn bytes_control(word: u64) -> u64 {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGHS
}

impl Scanner<'_> {
    /// Steps over the text that opens here; what lies between its quotes, and whether there is an
    /// escape in it.
    pub(super) fn string(&mut self) -> Result<(Range<usize>, bool), BadMessage> {
        self.at += 1;
        let start = self.at;
        let mut has_escape = false;
        loop {
            // Eight bytes at a time: most texts are longer than that, and none need a look at
            // every byte.
            while let Some(word) = self.bytes.get(self.at..self.at + 8) {
                let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
                let special =
                    bytes_equal(word, b'"') | bytes_equal(word, b'\\') | bytes_control(word);
                if special != 0 {
                    self.at += special.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
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
                Some(_) => self.at += 1,
                None => return Err(self.unexpected("the closing quote")),
            }
        }
    }

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
pub(super) fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, width) = unescape_one(&rest[at..]);
        out.push(character);
        rest = &rest[at + width..];
    }
    out.push_str(rest);
}

fn unescape_one(text: &str) -> (char, usize) {
    let unit = |at: usize| u32::from_str_radix(&text[at..at + 4], 16).expect("was accepted");
    let character = match text.as_bytes()[1] {
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
