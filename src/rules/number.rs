//! Numbers that compare exactly, whatever their size: never by `f64` alone.
//!
//! Each number carries the double that is nearest to it. Rounding to nearest keeps order, so where
//! two doubles differ, the numbers lie the same way; where they are equal and one of the numbers is
//! not exactly its double, the decimals are compared digit by digit. Most comparisons end with the
//! doubles, and indexes may use them as keys.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Powers of ten beyond this are all alike: no use of a number tells them apart, and sums of
/// exponents stay within 64 bits.
const EXPONENT_MAX: i64 = 1 << 56;

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Up to here every whole number is a double.
const WHOLE_MAX: u64 = 1 << 53;

/// A number of a message or a rule, as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    pub(crate) double: Double,
    /// Follows JSON's grammar.
    pub(crate) text: &'a [u8],
}

/// The double nearest to a number; infinite beyond the largest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Double {
    pub(crate) value: f64,
    /// Whether it is the number itself. Not claimed of all that are.
    pub(crate) is_exact: bool,
}

impl Double {
    /// `text` follows JSON's grammar.
    pub(crate) fn of(text: &[u8]) -> Self {
        let (is_negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        // At most 19 digits, which fit 64 bits.
        let mut significand: u64 = 0;
        let mut point = None;
        for (at, byte) in unsigned.iter().enumerate().take(20) {
            match byte {
                b'0'..=b'9' => {
                    significand = significand.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                }
                b'.' => point = Some(at),
                _ => return Self::of_any(text),
            }
        }
        let fraction = point.map_or(0, |point| unsigned.len() - point - 1);
        let digits = unsigned.len() - usize::from(point.is_some());
        if digits > 19 {
            return Self::of_any(text);
        }
        Self::of_parts(is_negative, significand, fraction).unwrap_or_else(|| Self::of_any(text))
    }

    /// `significand / 10^fraction`, if that can be had by one exact division (Clinger 1990).
    #[inline]
    pub(crate) fn of_parts(is_negative: bool, significand: u64, fraction: usize) -> Option<Self> {
        if significand > WHOLE_MAX || fraction >= POWERS.len() {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "was compared with the largest exact one")]
        let whole = significand as f64;
        let value = if fraction == 0 { whole } else { whole / POWERS[fraction] };
        Some(Self { value: if is_negative { -value } else { value }, is_exact: fraction == 0 })
    }

    #[cold]
    pub(crate) fn of_any(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).expect("a number is ASCII");
        let value = text.parse().expect("JSON's numbers are among those of Rust");
        Self { value, is_exact: false }
    }

    /// The same for equal numbers.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        // Minus zero plus zero is zero.
        (self.value + 0.0).to_bits()
    }

    /// As large as the number, in the order of numbers: a larger one has no smaller key.
    #[inline]
    pub(crate) fn key(self) -> u64 {
        let bits = self.bits();
        if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
    }
}

impl Number<'_> {
    #[inline]
    pub(crate) fn compare(&self, other: &Number<'_>) -> Ordering {
        let (own, others) = (self.double, other.double);
        match own.value.partial_cmp(&others.value).expect("no number is NaN") {
            Ordering::Equal if !(own.is_exact && others.is_exact) => {
                Digits::of(self.text).compare(&Digits::of(other.text))
            }
            order => order,
        }
    }
}

/// Whether a text is a number by JSON's grammar (RFC 8259, section 6).
pub(crate) fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    is_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// What stands after the `e`.
fn written_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let longer = |value: i64, digit: &u8| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX);
    let value = digits.iter().fold(0, longer);
    if negative { -value } else { value }
}

/// Any number, digit by digit, without an allocation: the slow way, where doubles cannot tell.
struct Digits<'a> {
    negative: bool,
    /// From the first digit that is not zero to the end; a point may stand among them.
    significand: &'a [u8],
    /// The power of ten of the first digit.
    top: i64,
}

impl<'a> Digits<'a> {
    fn of(text: &'a [u8]) -> Self {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], written_exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let Some(first) = mantissa.iter().position(|byte| matches!(byte, b'1'..=b'9')) else {
            return Self { negative: false, significand: b"", top: i64::MIN };
        };
        let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let signed = |n: usize| i64::try_from(n).expect("a text's length fits");
        let place =
            if first < point { signed(point - first) - 1 } else { signed(point) - signed(first) };
        Self { negative, significand: &mantissa[first..], top: exponent + place }
    }

    fn compare(&self, other: &Digits<'_>) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    fn magnitude(&self, other: &Digits<'_>) -> Ordering {
        self.top.cmp(&other.top).then_with(|| {
            let mut own = self.significand.iter().filter(|byte| **byte != b'.');
            let mut others = other.significand.iter().filter(|byte| **byte != b'.');
            loop {
                let (left, right) = (own.next(), others.next());
                if left.is_none() && right.is_none() {
                    return Ordering::Equal;
                }
                let order = left.unwrap_or(&b'0').cmp(right.unwrap_or(&b'0'));
                if order.is_ne() {
                    return order;
                }
            }
        })
    }
}

/// A rule's number: owned, with equality and hash by value.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub(crate) double: Double,
    text: Box<[u8]>,
}

impl Constant {
    /// `text` follows JSON's grammar.
    pub(crate) fn of(text: &str) -> Self {
        Self { double: Double::of(text.as_bytes()), text: text.as_bytes().into() }
    }

    #[inline]
    pub(crate) fn number(&self) -> Number<'_> {
        Number { double: self.double, text: &self.text }
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.number().compare(&other.number()).is_eq()
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.double.bits().hash(state);
    }
}

#[cfg(test)]
mod tests;
