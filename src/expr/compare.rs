//! Equality and order of values, as the language sees them.
//!
//! Numbers compare by their mathematical value, whatever their kinds: no comparison goes through
//! a rounding conversion, so that `9007199254740993 == 9007199254740992.0` is false.

use crate::error::EvalError;
use crate::evaluate::Meter;
use crate::transient::Kept;
use crate::value::Value;
use std::cmp::Ordering;

impl Value {
    /// The language's `==`: numbers by their value, lists and maps by their parts, different kinds
    /// are different.
    pub fn equals(&self, other: &Value) -> bool {
        equals(self, other, &mut Meter::unlimited()).expect("an unlimited meter never runs out")
    }

    /// The language's order: of numbers, of texts (by code points), of truth values (false first),
    /// of points in time, of spans of time, of bytes. None for all else and for different kinds.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Value::Transient(left), Value::Transient(right)) => compare_kept(&left.0, &right.0),
            (left, right) => compare_numbers(left, right),
        }
    }
}

/// `==`, paid for by the elements and bytes it looks at. Recurses as deep as the values nest,
/// which whoever made them has bounded.
pub(crate) fn equals(left: &Value, right: &Value, meter: &mut Meter) -> Result<bool, EvalError> {
    match (left, right) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            meter.spend_bytes(left.len())?;
            Ok(left == right)
        }
        (Value::List(left), Value::List(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right.iter()) {
                meter.spend(1)?;
                if !equals(left, right, meter)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for ((left_key, left), (right_key, right)) in left.iter().zip(right.iter()) {
                meter.spend(1)?;
                meter.spend_bytes(left_key.len())?;
                if left_key != right_key || !equals(left, right, meter)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Transient(left), Value::Transient(right)) => {
            if let (Kept::Bytes(left), Kept::Bytes(right)) = (&left.0, &right.0) {
                meter.spend_bytes(left.len().min(right.len()))?;
            }
            Ok(left == right)
        }
        (left, right) => Ok(compare_numbers(left, right) == Some(Ordering::Equal)),
    }
}

/// The order of points in time, of spans of it, of bytes. Types have none.
fn compare_kept(left: &Kept, right: &Kept) -> Option<Ordering> {
    match (left, right) {
        (Kept::Bytes(left), Kept::Bytes(right)) => Some(left.cmp(right)),
        (Kept::Timestamp(left), Kept::Timestamp(right)) => Some(left.cmp(right)),
        (Kept::Duration(left), Kept::Duration(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// The order of two numbers; None when one is none.
fn compare_numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Double(left), right) => {
            compare_whole_to_double(whole(right)?, *left).map(Ordering::reverse)
        }
        (left, Value::Double(right)) => compare_whole_to_double(whole(left)?, *right),
        (left, right) => Some(whole(left)?.cmp(&whole(right)?)),
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    }
}

/// Compares exactly. `whole` is in the range of i64 and u64.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the double is below 2^64, so that its whole part fits and converts back exactly"
)]
fn compare_whole_to_double(whole: i128, double: f64) -> Option<Ordering> {
    /// 2^64, beyond every whole number that a value holds.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    if double.is_nan() {
        return None;
    }
    if double >= BEYOND {
        return Some(Ordering::Less);
    }
    if double <= -BEYOND {
        return Some(Ordering::Greater);
    }
    let truncated = double as i128;
    let fraction = double - truncated as f64;
    Some(whole.cmp(&truncated).then(0.0_f64.partial_cmp(&fraction)?))
}

#[cfg(test)]
mod tests;
