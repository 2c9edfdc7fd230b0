//! Numbers inside a message (RFC 8259, section 6).

use super::Scanner;
use crate::bad_message::BadMessage;
use crate::number::Double;

/// A number that was stepped over.
#[derive(Clone, Copy)]
pub(super) struct Written {
    is_negative: bool,
    has_exponent: bool,
    /// The digits read as one number; meaningless if there are more than 19.
    significand: u64,
    digits: usize,
    /// How many of the digits stand behind the point.
    fraction: usize,
}

impl Written {
    #[inline]
    pub(super) fn double(self, text: &[u8]) -> Double {
        if self.digits <= 19 && !self.has_exponent {
            let parts = Double::of_parts(self.is_negative, self.significand, self.fraction);
            if let Some(double) = parts {
                return double;
            }
        }
        Double::of_any(text)
    }
}

impl Scanner<'_> {
    /// Steps over digits; how many there were.
    #[inline]
    fn digits(&mut self, significand: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *significand = significand.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - start
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<Written, BadMessage> {
        let is_negative = self.peek() == Some(b'-');
        self.at += usize::from(is_negative);
        let first = self.at;
        let mut significand = 0;
        let mut digits = self.digits(&mut significand);
        match digits {
            0 => return Err(self.unexpected("a digit")),
            1 => {}
            _ if self.bytes[first] == b'0' => {
                return Err(self.unexpected_at(first, "a number without a leading zero"));
            }
            _ => {}
        }
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = self.digits(&mut significand);
            if fraction == 0 {
                return Err(self.unexpected("a digit"));
            }
            digits += fraction;
        }
        let has_exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if has_exponent {
            self.exponent()?;
        }
        Ok(Written { is_negative, has_exponent, significand, digits, fraction })
    }

    #[cold]
    fn exponent(&mut self) -> Result<(), BadMessage> {
        self.at += 1;
        if let Some(b'+' | b'-') = self.peek() {
            self.at += 1;
        }
        if self.digits(&mut 0) == 0 {
            return Err(self.unexpected("a digit"));
        }
        Ok(())
    }
}
