//! Values that nobody asks for: checked as strictly as the others, and forgotten.

use super::{Refused, Scanner};
use crate::bad_message::BadMessage;
use base::limits::NESTING_MAX;

impl Scanner<'_> {
    /// Steps over a value.
    #[inline(always)]
    pub(super) fn skip_value(&mut self) -> Result<(), Refused> {
        match self.peek() {
            Some(b'{' | b'[') => self.skip_container(),
            _ => self.skip_scalar(),
        }
    }

    #[inline(always)]
    fn skip_scalar(&mut self) -> Result<(), Refused> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            _ => self.word().map(drop),
        }
    }

    /// Steps over an object or an array and everything inside it.
    fn skip_container(&mut self) -> Result<(), Refused> {
        const { assert!(NESTING_MAX <= 128, "a bit for each") }
        // A bit for each level, the innermost lowest: whether it is an object.
        let mut levels: u128 = 0;
        let mut depth = self.depth;
        loop {
            // Something opens here.
            if depth == NESTING_MAX {
                return self.refuse(BadMessage::TooDeep { offset: self.at });
            }
            depth += 1;
            let mut is_object = self.peek() == Some(b'{');
            levels = levels << 1 | u128::from(is_object);
            self.at += 1;
            self.skip_white_space();
            let close = if is_object { b'}' } else { b']' };
            let mut is_empty = self.peek() == Some(close);
            loop {
                if !is_empty {
                    if is_object {
                        self.skip_key()?;
                    }
                    if let Some(b'{' | b'[') = self.peek() {
                        break;
                    }
                    self.skip_scalar()?;
                    self.skip_white_space();
                }
                is_empty = false;
                loop {
                    match (self.peek(), is_object) {
                        (Some(b','), _) => {
                            self.at += 1;
                            self.skip_white_space();
                            break;
                        }
                        (Some(b'}'), true) | (Some(b']'), false) => {
                            self.at += 1;
                            depth -= 1;
                            if depth == self.depth {
                                return Ok(());
                            }
                            levels >>= 1;
                            is_object = levels & 1 == 1;
                            self.skip_white_space();
                        }
                        (_, true) => return self.unexpected("`,` or `}`"),
                        (_, false) => return self.unexpected("`,` or `]`"),
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn skip_key(&mut self) -> Result<(), Refused> {
        if self.peek() != Some(b'"') {
            return self.unexpected("a key in double quotes");
        }
        self.string()?;
        self.skip_white_space();
        if self.peek() != Some(b':') {
            return self.unexpected("`:`");
        }
        self.at += 1;
        self.skip_white_space();
        Ok(())
    }
}
