//! `+ - * / %` and the sign, on numbers.
//!
//! Invariants
//! - Whole numbers never wrap and never round: a result out of range is an error.
//! - Two ints give an int, two uints a uint as long as it is not negative. An int and a uint, which
//!   data has above `i64::MAX` and an expression writes as `5u`, give whatever whole number fits.
//! - With a double in it the result is a double, and finite.

use crate::ast::Operator;
use crate::error::EvalError;
use crate::transient::Kept;
use crate::value::Value;

/// Applies an arithmetic operator to two numbers.
pub(crate) fn calculate(
    operator: Operator,
    left: &Value,
    right: &Value,
) -> Result<Value, EvalError> {
    let operation = operator.symbol();
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => on_ints(operator, *left, *right).map(Value::Int),
        (Value::Int(_) | Value::Uint(_), Value::Int(_) | Value::Uint(_)) => {
            let result = on_wholes(operator, wide(left), wide(right))?;
            if let (Value::Uint(_), Value::Uint(_)) = (left, right)
                && let Ok(result) = u64::try_from(result)
            {
                return Ok(Value::Uint(result));
            }
            narrow(result).ok_or(EvalError::Overflow { operation })
        }
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) if operator != Operator::Remainder => {
            let result = on_doubles(operator, double(left), double(right));
            Value::double(result).ok_or(EvalError::NotFinite { operation })
        }
        (Value::Transient(moved), Value::Transient(by)) => on_times(operator, &moved.0, &by.0)
            .ok_or_else(|| wrong_kinds(operation, left, right))?,
        (left, right) => Err(wrong_kinds(operation, left, right)),
    }
}

fn wrong_kinds(operation: &'static str, left: &Value, right: &Value) -> EvalError {
    EvalError::WrongKinds { operation, left: left.kind_name(), right: right.kind_name() }
}

/// Sums and differences of times; None when the two do not go together.
fn on_times(operator: Operator, left: &Kept, right: &Kept) -> Option<Result<Value, EvalError>> {
    let result = match (operator, left, right) {
        (Operator::Add, Kept::Timestamp(at), Kept::Duration(span))
        | (Operator::Add, Kept::Duration(span), Kept::Timestamp(at)) => {
            at.plus(*span).map(Kept::Timestamp)
        }
        (Operator::Add, Kept::Duration(left), Kept::Duration(right)) => {
            left.plus(*right).map(Kept::Duration)
        }
        (Operator::Subtract, Kept::Timestamp(at), Kept::Duration(span)) => {
            at.minus(*span).map(Kept::Timestamp)
        }
        (Operator::Subtract, Kept::Timestamp(later), Kept::Timestamp(earlier)) => {
            later.since(*earlier).map(Kept::Duration)
        }
        (Operator::Subtract, Kept::Duration(left), Kept::Duration(right)) => {
            left.minus(*right).map(Kept::Duration)
        }
        _ => return None,
    };
    let operation = operator.symbol();
    Some(result.map(Value::from).ok_or(EvalError::TimeRange { operation }))
}

/// The number with the other sign.
pub(crate) fn negate(value: &Value) -> Result<Value, EvalError> {
    let operation = "-";
    match value {
        Value::Int(number) => {
            number.checked_neg().map(Value::Int).ok_or(EvalError::Overflow { operation })
        }
        Value::Uint(_) => narrow(-wide(value)).ok_or(EvalError::Overflow { operation }),
        Value::Double(number) => Ok(Value::Double(-number)),
        other => Err(EvalError::WrongKind { operation, kind: other.kind_name() }),
    }
}

/// A number as a double, rounded to the nearest.
#[allow(
    clippy::cast_precision_loss,
    reason = "rounding is what this conversion is documented to do"
)]
pub(crate) fn double(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Uint(number) => *number as f64,
        Value::Double(number) => *number,
        _ => unreachable!("callers hand in numbers alone"),
    }
}

fn on_ints(operator: Operator, left: i64, right: i64) -> Result<i64, EvalError> {
    let operation = operator.symbol();
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide | Operator::Remainder if right == 0 => {
            return Err(EvalError::DivisionByZero { operation });
        }
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
        _ => unreachable!("{operation} is no arithmetic"),
    };
    result.ok_or(EvalError::Overflow { operation })
}

fn on_wholes(operator: Operator, left: i128, right: i128) -> Result<i128, EvalError> {
    let operation = operator.symbol();
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide | Operator::Remainder if right == 0 => {
            return Err(EvalError::DivisionByZero { operation });
        }
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
        _ => unreachable!("{operation} is no arithmetic"),
    };
    result.ok_or(EvalError::Overflow { operation })
}

fn on_doubles(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        _ => unreachable!("{} is no arithmetic on doubles", operator.symbol()),
    }
}

fn wide(value: &Value) -> i128 {
    match value {
        Value::Int(number) => i128::from(*number),
        Value::Uint(number) => i128::from(*number),
        _ => unreachable!("callers hand in whole numbers alone"),
    }
}

fn narrow(number: i128) -> Option<Value> {
    i64::try_from(number).map(Value::Int).or_else(|_| u64::try_from(number).map(Value::Uint)).ok()
}
