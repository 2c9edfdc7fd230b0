//! Values that nobody asks for: checked as strictly as the others, and forgotten.

use super::{Refused, Scanner, peek, skip_white_space};
use crate::bad_message::BadMessage;
use base::limits::NESTING_MAX;

impl Scanner<'_> {
    /// Steps over a value; where it ends.
    #[inline(always)]
    pub(super) fn skip_value(&mut self, bytes: &[u8], at: usize) -> Result<usize, Refused> {
        match peek(bytes, at) {
            Some(b'{' | b'[') => self.skip_container(bytes, at),
            _ => self.skip_scalar(bytes, at),
        }
    }

    #[inline(always)]
    fn skip_scalar(&mut self, bytes: &[u8], at: usize) -> Result<usize, Refused> {
        match peek(bytes, at) {
            Some(b'"') => self.string(bytes, at).map(|(at, _)| at),
            Some(b'-' | b'0'..=b'9') => self.number(bytes, at),
            _ => self.word(bytes, at).map(|(at, _)| at),
        }
    }

    /// Steps over an object or an array and everything inside it.
    #[inline(never)]
    fn skip_container(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        const { assert!(NESTING_MAX <= 128, "a bit for each") }
        // A bit for each level, the innermost lowest: whether it is an object.
        let mut levels: u128 = 0;
        let mut depth = self.depth;
        let mut at = start;
        loop {
            // Something opens here.
            if depth == NESTING_MAX {
                return self.refuse(BadMessage::TooDeep { offset: at });
            }
            depth += 1;
            let mut is_object = peek(bytes, at) == Some(b'{');
            levels = levels << 1 | u128::from(is_object);
            at = skip_white_space(bytes, at + 1);
            let close = if is_object { b'}' } else { b']' };
            let mut is_empty = peek(bytes, at) == Some(close);
            loop {
                if !is_empty {
                    if is_object {
                        at = self.skip_key(bytes, at)?;
                    }
                    if let Some(b'{' | b'[') = peek(bytes, at) {
                        break;
                    }
                    at = skip_white_space(bytes, self.skip_scalar(bytes, at)?);
                }
                is_empty = false;
                loop {
                    match (peek(bytes, at), is_object) {
                        (Some(b','), _) => {
                            at = skip_white_space(bytes, at + 1);
                            break;
                        }
                        (Some(b'}'), true) | (Some(b']'), false) => {
                            at += 1;
                            depth -= 1;
                            if depth == self.depth {
                                return Ok(at);
                            }
                            levels >>= 1;
                            is_object = levels & 1 == 1;
                            at = skip_white_space(bytes, at);
                        }
                        (_, true) => return self.unexpected(bytes, at, "`,` or `}`"),
                        (_, false) => return self.unexpected(bytes, at, "`,` or `]`"),
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn skip_key(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        if peek(bytes, start) != Some(b'"') {
            return self.unexpected(bytes, start, "a key in double quotes");
        }
        let (at, _) = self.string(bytes, start)?;
        let at = skip_white_space(bytes, at);
        if peek(bytes, at) != Some(b':') {
            return self.unexpected(bytes, at, "`:`");
        }
        Ok(skip_white_space(bytes, at + 1))
    }
}
