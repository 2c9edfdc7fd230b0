//! Numbers that compare exactly, whatever their size: never through `f64`.
//!
//! A JSON number is a decimal, so it is kept as one: a significand without zeros at its end, times
//! a power of ten. That form is the same for equal numbers (`1`, `1.0` and `1e0`), which makes
//! equality a comparison of fields and lets it be hashed. A significand that does not fit 64 bits
//! stays text and is compared digit by digit.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Powers of ten beyond this are all alike: no use of a number tells 10^1000000000 from
/// 10^1000000001, and sums of exponents stay within 64 bits.
const EXPONENT_MAX: i64 = 1_000_000_000;

/// `(-1)^negative * significand * 10^exponent`, the significand not divisible by ten. Zero is
/// `0 * 10^0`, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Short {
    pub(crate) negative: bool,
    pub(crate) significand: u64,
    pub(crate) exponent: i64,
}

/// A number of a message or a rule, as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    /// `None` if the significand does not fit. That depends on the number's value alone, so a
    /// number with and one without are never equal.
    pub(crate) short: Option<Short>,
    /// Follows JSON's grammar.
    pub(crate) text: &'a str,
}

impl Short {
    /// `text` follows JSON's grammar.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let negative = bytes[0] == b'-';
        let mut significand: u64 = 0;
        let mut exponent: i64 = 0;
        let mut after_point = false;
        for (at, byte) in bytes.iter().enumerate().skip(usize::from(negative)) {
            match byte {
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let longer = significand.checked_mul(10).and_then(|ten| ten.checked_add(digit));
                    match longer {
                        Some(longer) => {
                            significand = longer;
                            exponent -= i64::from(after_point);
                        }
                        // A zero that does not fit changes the exponent only.
                        None if digit == 0 => exponent += i64::from(!after_point),
                        None => return None,
                    }
                }
                b'.' => after_point = true,
                _ => {
                    exponent += written_exponent(&text[at + 1..]);
                    break;
                }
            }
        }
        if significand == 0 {
            return Some(Self { negative: false, significand: 0, exponent: 0 });
        }
        while significand.is_multiple_of(10) {
            significand /= 10;
            exponent += 1;
        }
        Some(Self { negative, significand, exponent })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        if self.significand == 0 || other.significand == 0 {
            return self.significand.cmp(&other.significand);
        }
        let (own_digits, other_digits) = (self.digits(), other.digits());
        let own_top = self.exponent + i64::from(own_digits);
        let other_top = other.exponent + i64::from(other_digits);
        own_top.cmp(&other_top).then_with(|| {
            // Same place of the first digit: make both as long. At most 20 digits times 10^19 each,
            // which is below 2^128.
            let digits = own_digits.max(other_digits);
            let scale =
                |significand: u64, have: u32| u128::from(significand) * 10_u128.pow(digits - have);
            scale(self.significand, own_digits).cmp(&scale(other.significand, other_digits))
        })
    }

    fn digits(&self) -> u32 {
        self.significand.checked_ilog10().map_or(0, |log| log + 1)
    }
}

impl Ord for Short {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Short {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Number<'_> {
    pub(crate) fn compare(&self, other: &Number<'_>) -> Ordering {
        match (self.short, other.short) {
            (Some(own), Some(other)) => own.cmp(&other),
            _ => Digits::of(self.text).compare(&Digits::of(other.text)),
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
fn written_exponent(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    // All digits: what does not parse is too large.
    let value = digits.parse::<i64>().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
    if negative { -value } else { value }
}

/// Any number, digit by digit, without an allocation: the slow way, for numbers of more than 19
/// digits.
struct Digits<'a> {
    negative: bool,
    /// From the first digit that is not zero to the end; a point may stand among them.
    significand: &'a [u8],
    /// The power of ten of the first digit.
    top: i64,
}

impl<'a> Digits<'a> {
    fn of(text: &'a str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, written_exponent(exponent)),
            None => (text, 0),
        };
        let Some(first) = mantissa.find(|c: char| c.is_ascii_digit() && c != '0') else {
            return Self { negative: false, significand: b"", top: i64::MIN };
        };
        let point = mantissa.find('.').unwrap_or(mantissa.len());
        let signed = |n: usize| i64::try_from(n).expect("a text's length fits");
        let place =
            if first < point { signed(point - first) - 1 } else { signed(point) - signed(first) };
        Self { negative, significand: &mantissa.as_bytes()[first..], top: exponent + place }
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
    short: Option<Short>,
    text: Box<str>,
}

impl Constant {
    /// `text` follows JSON's grammar.
    pub(crate) fn of(text: &str) -> Self {
        Self { short: Short::of(text), text: text.into() }
    }

    pub(crate) fn number(&self) -> Number<'_> {
        Number { short: self.short, text: &self.text }
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
        // All numbers that are too long share a hash: they are rare.
        self.short.hash(state);
    }
}

#[cfg(test)]
mod tests;
