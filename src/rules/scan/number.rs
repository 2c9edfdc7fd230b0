//! Numbers inside a message (RFC 8259, section 6).

use super::{Refused, Scanner};
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

impl Scanner<'_> {
    /// Steps over digits; how many there were.
    #[inline(always)]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(chunk) = self.bytes.get(self.at..self.at + LANES) {
            let chunk: [u8; LANES] = chunk.try_into().expect("as many bytes");
            let digits = u8x16::new(chunk) - u8x16::splat(b'0');
            let are_digits = digits.min(u8x16::splat(9)).simd_eq(digits).to_bitmask();
            self.at += are_digits.trailing_ones() as usize;
            if are_digits != (1 << LANES) - 1 {
                return self.at - start;
            }
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// Steps over a number.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<(), Refused> {
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.at;
        match self.digits() {
            0 => return self.unexpected("a digit"),
            1 => {}
            _ if self.bytes[first] == b'0' => {
                return self.unexpected_at(first, "a number without a leading zero");
            }
            _ => {}
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.unexpected("a digit");
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.exponent()?;
        }
        Ok(())
    }

    #[inline(never)]
    fn exponent(&mut self) -> Result<(), Refused> {
        self.at += 1;
        if let Some(b'+' | b'-') = self.peek() {
            self.at += 1;
        }
        if self.digits() == 0 {
            return self.unexpected("a digit");
        }
        Ok(())
    }
}
