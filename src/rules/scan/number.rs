//! Numbers inside a message (RFC 8259, section 6).

use super::{Refused, Scanner, peek};
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// A bit for each byte that is no digit, and one behind the last.
#[inline(always)]
fn others(chunk: [u8; LANES]) -> u32 {
    let digits = u8x16::new(chunk) - u8x16::splat(b'0');
    let are_digits = digits.min(u8x16::splat(9)).simd_eq(digits).to_bitmask();
    !are_digits & ((1 << LANES) - 1) | 1 << LANES
}

/// Where digits that begin here end.
#[inline(always)]
fn skip_digits(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + LANES) {
        let others = others(chunk.try_into().expect("as many bytes"));
        at += others.trailing_zeros() as usize;
        if others != 1 << LANES {
            return at;
        }
    }
    while let Some(b'0'..=b'9') = peek(bytes, at) {
        at += 1;
    }
    at
}

impl Scanner<'_> {
    /// Steps over a number that begins with this byte; where it ends.
    #[inline(always)]
    pub(super) fn number(
        &mut self,
        bytes: &[u8],
        start: usize,
        byte: u8,
    ) -> Result<usize, Refused> {
        let first = start + usize::from(byte == b'-');
        // One look shows most numbers whole.
        let Some(chunk) = bytes.get(first..first + LANES) else {
            return self.any_number(bytes, first);
        };
        let others = others(chunk.try_into().expect("as many bytes"));
        let whole = others.trailing_zeros() as usize;
        // None, or so many that more may follow; or a leading zero.
        if whole.wrapping_sub(1) >= LANES - 1 || (whole > 1 && chunk[0] == b'0') {
            return self.any_number(bytes, first);
        }
        let mut at = first + whole;
        if bytes[at] == b'.' {
            let end = (others & (others - 1)).trailing_zeros() as usize;
            if end == whole + 1 {
                return self.fraction(bytes, at + 1);
            }
            at = first + end;
            if end == LANES {
                at = skip_digits(bytes, at);
            }
        }
        self.after_digits(bytes, at)
    }

    /// The same of a number whose sign was read, whatever its length and what comes behind it.
    #[inline(never)]
    fn any_number(&mut self, bytes: &[u8], first: usize) -> Result<usize, Refused> {
        let at = skip_digits(bytes, first);
        if at == first {
            return self.unexpected(bytes, at, "a digit");
        }
        if at > first + 1 && bytes[first] == b'0' {
            return self.unexpected(bytes, first, "a number without a leading zero");
        }
        if peek(bytes, at) == Some(b'.') {
            return self.fraction(bytes, at + 1);
        }
        self.after_digits(bytes, at)
    }

    /// What stands behind a point.
    #[inline(never)]
    fn fraction(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        let at = skip_digits(bytes, start);
        if at == start {
            return self.unexpected(bytes, at, "a digit");
        }
        self.after_digits(bytes, at)
    }

    #[inline(always)]
    fn after_digits(&mut self, bytes: &[u8], at: usize) -> Result<usize, Refused> {
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
