//! The functions and methods of the language.

use crate::arithmetic::double;
use crate::ast::Function;
use crate::error::EvalError;
use crate::evaluate::Meter;
use crate::value::Value;
use std::num::IntErrorKind;
use std::sync::Arc;

/// Calls a function of one argument; a method without arguments is one, too.
pub(crate) fn call(
    function: Function,
    argument: &Value,
    meter: &mut Meter,
) -> Result<Value, EvalError> {
    if let Value::Text(text) = argument {
        meter.spend_bytes(text.len())?;
    }
    match function {
        Function::Size => size(argument),
        Function::Text => text(argument),
        Function::Int => int(argument),
        Function::Double => to_double(argument),
        Function::StartsWith | Function::EndsWith | Function::Contains => {
            unreachable!("the parser gives {} its argument", function.name())
        }
    }
}

/// Calls a method of one argument.
pub(crate) fn call_method(
    function: Function,
    receiver: &Value,
    argument: &Value,
    meter: &mut Meter,
) -> Result<Value, EvalError> {
    let (Value::Text(text), Value::Text(part)) = (receiver, argument) else {
        return Err(EvalError::WrongKinds {
            operation: function.name(),
            left: receiver.kind_name(),
            right: argument.kind_name(),
        });
    };
    meter.spend_bytes(text.len())?;
    meter.spend_bytes(part.len())?;
    let part: &str = part;
    Ok(Value::Bool(match function {
        Function::StartsWith => text.starts_with(part),
        Function::EndsWith => text.ends_with(part),
        // In linear time: the standard library searches by the two-way algorithm.
        Function::Contains => text.contains(part),
        _ => unreachable!("the parser knows {} as no method of one argument", function.name()),
    }))
}

fn wrong_kind(function: Function, value: &Value) -> EvalError {
    EvalError::WrongKind { operation: function.name(), kind: value.kind_name() }
}

/// Code points of a text, elements of a list, entries of a map.
fn size(value: &Value) -> Result<Value, EvalError> {
    let count = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(elements) => elements.len(),
        Value::Map(map) => map.len(),
        other => return Err(wrong_kind(Function::Size, other)),
    };
    Ok(Value::Int(i64::try_from(count).expect("nothing in memory has 2^63 parts")))
}

/// A text stays, numbers and truth values take their JSON form.
fn text(value: &Value) -> Result<Value, EvalError> {
    match value {
        Value::Text(_) => Ok(value.clone()),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) => {
            Ok(Value::text(value.to_json()))
        }
        other => Err(wrong_kind(Function::Text, other)),
    }
}

/// A double is cut off towards zero.
fn int(value: &Value) -> Result<Value, EvalError> {
    /// 2^63, the first whole number that is no int.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let function = Function::Int.name();
    let overflow = EvalError::Overflow { operation: function };
    match value {
        Value::Int(_) => Ok(value.clone()),
        #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
        Value::Double(number) if (-BEYOND..BEYOND).contains(number) => {
            Ok(Value::Int(*number as i64))
        }
        Value::Uint(_) | Value::Double(_) => Err(overflow),
        Value::Text(text) => match text.parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(error) => Err(match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => overflow,
                _ => EvalError::NotANumber { function },
            }),
        },
        other => Err(wrong_kind(Function::Int, other)),
    }
}

fn to_double(value: &Value) -> Result<Value, EvalError> {
    let function = Function::Double.name();
    let number = match value {
        Value::Int(_) | Value::Uint(_) | Value::Double(_) => double(value),
        Value::Text(text) => parse_double(text).ok_or(EvalError::NotANumber { function })?,
        other => return Err(wrong_kind(Function::Double, other)),
    };
    Value::double(number).ok_or(EvalError::NotFinite { operation: function })
}

fn parse_double(text: &Arc<str>) -> Option<f64> {
    // The standard library also reads "nan" and "infinity": no numbers here.
    let begins_as_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    text.parse().ok().filter(|_| begins_as_number)
}
