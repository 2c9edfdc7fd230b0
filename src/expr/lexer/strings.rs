//! Strings and bytes between quotes: one kind of quote or three of it, escapes or none.

use super::{Lexer, Token};
use crate::error::{ParseError, Problem};

/// What an escape sequence stands for.
enum Escaped {
    /// A character, which bytes hold as UTF-8.
    Character(char),
    /// A number given as two hexadecimal or three octal digits: in bytes this byte, in a string
    /// this code point.
    Byte(u8),
    /// A code point given as `\u` or `\U`, which bytes have none of.
    CodePoint(char),
}

impl<'t> Lexer<'t> {
    /// A string whose first quote is here; `start` is where the literal begins.
    pub(super) fn string(&mut self, start: usize, raw: bool) -> Result<String, ParseError> {
        let mut text = String::new();
        self.quotation(start, raw, |escaped| {
            text.push(match escaped {
                Escaped::Character(c) | Escaped::CodePoint(c) => c,
                Escaped::Byte(byte) => char::from(byte),
            });
            true
        })?;
        Ok(text)
    }

    /// Bytes whose `b` is here.
    pub(super) fn bytes(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        let raw = matches!(self.byte(1), Some(b'r' | b'R'));
        self.at += if raw { 2 } else { 1 };
        let mut bytes = Vec::new();
        self.quotation(start, raw, |escaped| {
            match escaped {
                Escaped::Character(c) => {
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Escaped::Byte(byte) => bytes.push(byte),
                Escaped::CodePoint(_) => return false,
            }
            true
        })?;
        Ok(Token::Bytes(bytes))
    }

    /// Goes over what stands between the quotes, the first of which is here. `take` says whether
    /// it takes what it is given.
    fn quotation(
        &mut self,
        start: usize,
        raw: bool,
        mut take: impl FnMut(Escaped) -> bool,
    ) -> Result<(), ParseError> {
        let rest = self.rest();
        let triple = rest.starts_with("\"\"\"") || rest.starts_with("'''");
        let quote = &rest[..if triple { 3 } else { 1 }];
        self.at += quote.len();
        loop {
            let rest = self.rest();
            if self.at > self.bytes_end {
                return Err(self.error(start, Problem::TooLong));
            }
            if rest.starts_with(quote) {
                self.at += quote.len();
                return Ok(());
            }
            match rest.chars().next() {
                None => return Err(self.error(start, Problem::OpenString)),
                Some('\n' | '\r') if !triple => {
                    return Err(self.error(start, Problem::OpenString));
                }
                Some('\\') if !raw => {
                    let at = self.at;
                    if !self.escape().is_some_and(&mut take) {
                        let escape = self.text[at + 1..].chars().take(1).collect();
                        return Err(self.error(at, Problem::Escape { escape }));
                    }
                }
                Some(c) => {
                    take(Escaped::Character(c));
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// An escape sequence, whose backslash is here; None when it is none.
    fn escape(&mut self) -> Option<Escaped> {
        let kind = self.rest()[1..].chars().next()?;
        self.at += 1 + kind.len_utf8();
        let byte = |code: u32| u8::try_from(code).ok().map(Escaped::Byte);
        match kind {
            '\\' | '?' | '"' | '\'' | '`' => Some(Escaped::Character(kind)),
            'a' => Some(Escaped::Character('\x07')),
            'b' => Some(Escaped::Character('\x08')),
            'f' => Some(Escaped::Character('\x0c')),
            'n' => Some(Escaped::Character('\n')),
            'r' => Some(Escaped::Character('\r')),
            't' => Some(Escaped::Character('\t')),
            'v' => Some(Escaped::Character('\x0b')),
            'x' | 'X' => self.code(2, 16).and_then(byte),
            'u' => {
                let code = self.code(4, 16)?;
                self.low_surrogate(code).map(Escaped::CodePoint)
            }
            'U' => self.code(8, 16).and_then(char::from_u32).map(Escaped::CodePoint),
            '0'..='3' => {
                self.at -= 1;
                self.code(3, 8).and_then(byte)
            }
            _ => None,
        }
    }

    /// A number of exactly `count` digits.
    fn code(&mut self, count: usize, radix: u32) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        self.at += count;
        u32::from_str_radix(digits, radix).ok()
    }

    /// The character of a `\u` code, which for the first half of a surrogate pair takes the
    /// second half with it.
    fn low_surrogate(&mut self, code: u32) -> Option<char> {
        if !(0xd800..0xdc00).contains(&code) {
            return char::from_u32(code);
        }
        if !self.rest().starts_with("\\u") {
            return None;
        }
        self.at += 2;
        let low = self.code(4, 16).filter(|low| (0xdc00..0xe000).contains(low))?;
        char::from_u32(0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00))
    }
}
