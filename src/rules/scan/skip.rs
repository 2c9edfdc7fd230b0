//! Values that nobody asks for: checked as strictly as the others, and forgotten.

use super::numbers::{self, Nest};
use super::{Refused, Scanner, next};
use crate::bad_message::BadMessage;
use base::limits::NESTING_MAX;

impl Scanner<'_> {
    /// Steps over a value that begins with this byte; where it ends.
    #[inline(always)]
    pub(super) fn skip_value(
        &mut self,
        bytes: &[u8],
        at: usize,
        byte: u8,
    ) -> Result<usize, Refused> {
        match byte {
            b'{' | b'[' => self.skip_container(bytes, at, byte),
            _ => self.skip_scalar(bytes, at, byte),
        }
    }

    #[inline(always)]
    fn skip_scalar(&mut self, bytes: &[u8], at: usize, byte: u8) -> Result<usize, Refused> {
        match byte {
            b'"' => self.string(bytes, at).map(|(at, _)| at),
            b'-' | b'0'..=b'9' => self.number(bytes, at, byte),
            _ => self.word(bytes, at).map(|(at, _)| at),
        }
    }

    /// Steps over an object or an array and everything inside it.
    #[inline(never)]
    fn skip_container(&mut self, bytes: &[u8], start: usize, byte: u8) -> Result<usize, Refused> {
        let mut open = Nest { levels: 0, depth: self.depth };
        let (mut at, mut byte) = (start, byte);
        loop {
            // Something opens here.
            if open.depth == NESTING_MAX {
                return self.refuse(BadMessage::TooDeep { offset: at });
            }
            open.push(byte == b'{');
            (at, byte) = next(bytes, at + 1);
            let mut is_empty = byte == closes(open.is_object());
            loop {
                if !is_empty {
                    if open.is_object() {
                        (at, byte) = self.skip_key(bytes, at, byte)?;
                    }
                    if let b'{' | b'[' = byte {
                        break;
                    }
                    at = self.skip_scalar(bytes, at, byte)?;
                    (at, byte) = next(bytes, at);
                }
                is_empty = false;
                while byte != b',' {
                    if byte != closes(open.is_object()) {
                        return self.expected_more(bytes, at, open.is_object());
                    }
                    at += 1;
                    open.pop();
                    if open.depth == self.depth {
                        return Ok(at);
                    }
                    (at, byte) = next(bytes, at);
                }
                (at, byte) = next(bytes, at + 1);
                // Where one number was more will follow.
                while !open.is_object()
                    && let b'-' | b'0'..=b'9' | b'[' = byte
                    && let Some(behind) = numbers::skip(bytes, at, &mut open, self.depth)
                {
                    (at, byte) = next(bytes, behind);
                }
            }
        }
    }

    /// A key and its colon; what comes then.
    #[inline(always)]
    fn skip_key(&mut self, bytes: &[u8], start: usize, byte: u8) -> Result<(usize, u8), Refused> {
        if byte != b'"' {
            return self.unexpected(bytes, start, "a key in double quotes");
        }
        let (at, _) = self.string(bytes, start)?;
        self.colon(bytes, at)
    }
}

/// What ends an object or an array.
#[inline(always)]
fn closes(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}
