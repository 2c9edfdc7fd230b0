//! Numbers inside a message (RFC 8259, section 6).

use super::{Refused, Scanner, peek};
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// Where digits that begin here end.
#[inline(always)]
fn skip_digits(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + LANES) {
        let chunk: [u8; LANES] = chunk.try_into().expect("as many bytes");
        let digits = u8x16::new(chunk) - u8x16::splat(b'0');
        let are_digits = digits.min(u8x16::splat(9)).simd_eq(digits).to_bitmask();
        at += are_digits.trailing_ones() as usize;
        if are_digits != (1 << LANES) - 1 {
            return at;
        }
    }
    while let Some(b'0'..=b'9') = peek(bytes, at) {
        at += 1;
    }
    at
}

impl Scanner<'_> {
    /// Steps over a number; where it ends.
    #[inline(always)]
    pub(super) fn number(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        let first = start + usize::from(peek(bytes, start) == Some(b'-'));
        let mut at = skip_digits(bytes, first);
        if at == first {
            return self.unexpected(bytes, at, "a digit");
        }
        if at > first + 1 && bytes[first] == b'0' {
            return self.unexpected(bytes, first, "a number without a leading zero");
        }
        if peek(bytes, at) == Some(b'.') {
            let fraction = at + 1;
            at = skip_digits(bytes, fraction);
            if at == fraction {
                return self.unexpected(bytes, at, "a digit");
            }
        }
        if let Some(b'e' | b'E') = peek(bytes, at) {
            return self.exponent(bytes, at + 1);
        }
        Ok(at)
    }

    #[inline(never)]
    fn exponent(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        let first = start + usize::from(matches!(peek(bytes, start), Some(b'+' | b'-')));
        let at = skip_digits(bytes, first);
        if at == first {
            return self.unexpected(bytes, at, "a digit");
        }
        Ok(at)
    }
}
