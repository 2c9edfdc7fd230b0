//! The functions and methods of the language: which there are, and where each is worked out.
//!
//! All are pure: the same arguments give the same result on every machine, in every year.

mod convert;
mod math;
mod signature;
mod text;
mod time;

pub(crate) use signature::{Function, Signature, names};

use crate::error::EvalError;
use crate::evaluate::Meter;
use crate::pattern::Pattern;
use crate::transient::{Kept, Transient, Type};
use crate::value::Value;

/// Calls a function. The parser has counted its arguments; of a method the first is what stands
/// before the dot.
pub(crate) fn call(
    function: Function,
    arguments: &[&Value],
    meter: &mut Meter,
) -> Result<Value, EvalError> {
    for argument in arguments {
        meter.spend_bytes(bytes_of(argument))?;
    }
    let call = Call { function, arguments };
    match function {
        Function::Size => size(&call),
        Function::Dyn => Ok(call.argument(0).clone()),
        Function::Type => Ok(Kept::Type(Type::of(call.argument(0))).into()),
        Function::Matches => matches(&call, meter),
        Function::Bool => convert::bool(&call),
        Function::Bytes => convert::bytes(&call),
        Function::Double => convert::double(&call),
        Function::Duration => convert::duration(&call),
        Function::Int => convert::int(&call),
        Function::Text => convert::text(&call),
        Function::Timestamp => convert::timestamp(&call),
        Function::Uint => convert::uint(&call),
        Function::Max | Function::Min | Function::Greatest | Function::Least => {
            math::extreme(&call, meter)
        }
        Function::Abs => math::abs(&call),
        Function::Sign => math::sign(&call),
        Function::Ceil => math::rounded(&call, f64::ceil),
        Function::Floor => math::rounded(&call, f64::floor),
        Function::Round => math::rounded(&call, f64::round),
        Function::Trunc => math::rounded(&call, f64::trunc),
        Function::Contains | Function::StartsWith | Function::EndsWith => text::tested(&call),
        Function::CharAt => text::char_at(&call),
        Function::IndexOf => text::index_of(&call),
        Function::LastIndexOf => text::last_index_of(&call),
        Function::Join => text::join(&call, meter),
        Function::LowerAscii | Function::UpperAscii | Function::Reverse => {
            text::rewritten(&call, meter)
        }
        Function::Replace => text::replace(&call, meter),
        Function::Split => text::split(&call, meter),
        Function::Substring => text::substring(&call),
        Function::Trim => text::trim(&call),
        Function::GetDate
        | Function::GetDayOfMonth
        | Function::GetDayOfWeek
        | Function::GetDayOfYear
        | Function::GetFullYear
        | Function::GetHours
        | Function::GetMilliseconds
        | Function::GetMinutes
        | Function::GetMonth
        | Function::GetSeconds => time::part(&call),
    }
}

/// A function and its arguments, which report kinds that do not fit.
struct Call<'c> {
    function: Function,
    arguments: &'c [&'c Value],
}

impl<'c> Call<'c> {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn argument(&self, index: usize) -> &'c Value {
        self.arguments[index]
    }

    /// An argument that may be left out.
    fn optional(&self, index: usize) -> Option<&'c Value> {
        self.arguments.get(index).copied()
    }

    /// The argument is of a kind that the function does not take.
    fn wrong_kind(&self, index: usize) -> EvalError {
        let operation = self.name();
        match self.arguments {
            [left, right] => EvalError::WrongKinds {
                operation,
                left: left.kind_name(),
                right: right.kind_name(),
            },
            arguments => EvalError::WrongKind { operation, kind: arguments[index].kind_name() },
        }
    }

    fn text(&self, index: usize) -> Result<&'c str, EvalError> {
        self.argument(index).as_text().ok_or_else(|| self.wrong_kind(index))
    }

    fn whole(&self, index: usize) -> Result<i64, EvalError> {
        match self.argument(index) {
            Value::Int(number) => Ok(*number),
            // No text is so long: as far out of range as any.
            Value::Uint(number) => Ok(i64::try_from(*number).unwrap_or(i64::MAX)),
            _ => Err(self.wrong_kind(index)),
        }
    }
}

/// What a function may have to look through. Unit: bytes.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Transient(Transient(Kept::Bytes(bytes))) => bytes.len(),
        _ => 0,
    }
}

/// A count of something in memory.
fn count(count: usize) -> Value {
    Value::Int(i64::try_from(count).expect("nothing in memory has 2^63 parts"))
}

/// Code points of a text, bytes of bytes, elements of a list, entries of a map.
fn size(call: &Call<'_>) -> Result<Value, EvalError> {
    Ok(count(match call.argument(0) {
        Value::Text(text) => text.chars().count(),
        Value::List(elements) => elements.len(),
        Value::Map(map) => map.len(),
        Value::Transient(Transient(Kept::Bytes(bytes))) => bytes.len(),
        _ => return Err(call.wrong_kind(0)),
    }))
}

/// With a pattern that only the evaluation knows; one that is written in the expression was
/// compiled when it was read.
fn matches(call: &Call<'_>, meter: &mut Meter) -> Result<Value, EvalError> {
    let text = call.text(0)?;
    let pattern = Pattern::compiled_now(call.text(1)?, meter)?;
    pattern.is_match(text, meter).map(Value::Bool)
}
