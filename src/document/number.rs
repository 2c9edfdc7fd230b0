//! Numbers without loss.

use crate::node::Kind;

/// A JSON number's text as a node: `i64` if it is whole and fits, `f64` if that is the very number
/// written, else the text itself.
///
/// `text` follows JSON's grammar (RFC 8259, section 6).
pub(crate) fn from_json_text(text: &str) -> Kind {
    if !text.contains(['.', 'e', 'E']) {
        return text.parse().map_or_else(|_| Kind::Number(text.to_owned()), Kind::Int);
    }
    let value: f64 = text.parse().expect("JSON's numbers are a part of Rust's");
    if value.is_finite() && Decimal::of(text) == Decimal::of(&format!("{value:e}")) {
        Kind::Float(value)
    } else {
        Kind::Number(text.to_owned())
    }
}

/// A decimal number in a form that is equal for equal numbers: `0.digits x 10^exponent`, the
/// digits without zeros at either end.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i128,
}

impl Decimal {
    fn of(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // An exponent beyond i64 belongs to a number that no f64 holds, unless it is zero.
        let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
        let digits = format!("{whole}{fraction}");
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let digits = digits.trim_matches('0').to_owned();
        let exponent = if digits.is_empty() {
            0
        } else {
            i128::from(exponent) + whole.len() as i128 - leading as i128
        };
        Self { negative, digits, exponent }
    }
}
