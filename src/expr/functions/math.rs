//! Functions of numbers. All are exact or rounded as IEEE 754 prescribes: the same everywhere.

use super::Call;
use crate::error::EvalError;
use crate::evaluate::Meter;
use crate::functions::Function;
use crate::value::Value;

/// `min`, `max` of anything that has an order, `math.least`, `math.greatest` of numbers: of the
/// arguments, or of the elements of a list that is the only one. Of equal ones the first.
pub(super) fn extreme(call: &Call<'_>, meter: &mut Meter) -> Result<Value, EvalError> {
    match call.arguments {
        [only] => match only {
            Value::List(elements) => extreme_of(call, elements.iter(), meter),
            only => extreme_of(call, std::iter::once(*only), meter),
        },
        arguments => extreme_of(call, arguments.iter().copied(), meter),
    }
}

fn extreme_of<'v>(
    call: &Call<'_>,
    values: impl Iterator<Item = &'v Value>,
    meter: &mut Meter,
) -> Result<Value, EvalError> {
    let numbers_only = matches!(call.function, Function::Greatest | Function::Least);
    let wants_greater = matches!(call.function, Function::Greatest | Function::Max);
    let mut best: Option<&Value> = None;
    for value in values {
        meter.spend(1)?;
        meter.spend_bytes(super::bytes_of(value))?;
        let wrong_kind =
            || EvalError::WrongKind { operation: call.name(), kind: value.kind_name() };
        if numbers_only && !is_number(value) {
            return Err(wrong_kind());
        }
        let Some(so_far) = best else {
            // What has no order with itself has none with others.
            value.compare(value).ok_or_else(wrong_kind)?;
            best = Some(value);
            continue;
        };
        let order = value.compare(so_far).ok_or_else(|| EvalError::WrongKinds {
            operation: call.name(),
            left: so_far.kind_name(),
            right: value.kind_name(),
        })?;
        if if wants_greater { order.is_gt() } else { order.is_lt() } {
            best = Some(value);
        }
    }
    best.cloned().ok_or(EvalError::EmptyList { operation: call.name() })
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

pub(super) fn abs(call: &Call<'_>) -> Result<Value, EvalError> {
    match call.argument(0) {
        Value::Int(number) => match number.checked_abs() {
            Some(number) => Ok(Value::Int(number)),
            None => Err(EvalError::Overflow { operation: call.name() }),
        },
        Value::Uint(number) => Ok(Value::Uint(*number)),
        Value::Double(number) => Ok(Value::Double(number.abs())),
        _ => Err(call.wrong_kind(0)),
    }
}

/// -1, 0 or 1, of the argument's kind.
pub(super) fn sign(call: &Call<'_>) -> Result<Value, EvalError> {
    match call.argument(0) {
        Value::Int(number) => Ok(Value::Int(number.signum())),
        Value::Uint(number) => Ok(Value::Uint((*number).min(1))),
        Value::Double(number) if *number == 0.0 => Ok(Value::Double(0.0)),
        Value::Double(number) => Ok(Value::Double(number.signum())),
        _ => Err(call.wrong_kind(0)),
    }
}

/// A whole number stays what it is.
pub(super) fn rounded(call: &Call<'_>, round: fn(f64) -> f64) -> Result<Value, EvalError> {
    match call.argument(0) {
        whole @ (Value::Int(_) | Value::Uint(_)) => Ok(whole.clone()),
        Value::Double(number) => Ok(Value::Double(round(*number))),
        _ => Err(call.wrong_kind(0)),
    }
}
