//! `bool()`, `int()` and the others that make one kind of another.

use super::Call;
use crate::arithmetic;
use crate::error::EvalError;
use crate::times::{BadDuration, Duration, Timestamp};
use crate::transient::{Kept, Transient};
use crate::value::Value;
use std::num::IntErrorKind;

impl Call<'_> {
    fn overflow(&self) -> EvalError {
        EvalError::Overflow { operation: self.name() }
    }

    fn out_of_range(&self) -> EvalError {
        EvalError::TimeRange { operation: self.name() }
    }

    fn not_a_number(&self) -> EvalError {
        EvalError::NotANumber { function: self.name() }
    }

    fn bad_text(&self, expected: &'static str) -> EvalError {
        EvalError::BadText { function: self.name(), expected }
    }

    /// Why a text is no whole number of the kind wanted.
    fn bad_whole(&self, error: &std::num::ParseIntError) -> EvalError {
        match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => self.overflow(),
            _ => self.not_a_number(),
        }
    }
}

pub(super) fn bool(call: &Call<'_>) -> Result<Value, EvalError> {
    match call.argument(0) {
        Value::Bool(truth) => Ok(Value::Bool(*truth)),
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(call.bad_text("true or false")),
        },
        _ => Err(call.wrong_kind(0)),
    }
}

/// A double is cut off towards zero, a time becomes seconds. As CEL has it, the double -2^63 is out
/// of range: it may stand for a number below, rounded.
pub(super) fn int(call: &Call<'_>) -> Result<Value, EvalError> {
    /// 2^63, the first whole number that is no int.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match call.argument(0) {
        Value::Int(number) => Ok(Value::Int(*number)),
        Value::Uint(number) => i64::try_from(*number).map(Value::Int).map_err(|_| call.overflow()),
        #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
        Value::Double(number) if number.abs() < BEYOND => Ok(Value::Int(*number as i64)),
        Value::Double(_) => Err(call.overflow()),
        Value::Text(text) => text.parse().map(Value::Int).map_err(|error| call.bad_whole(&error)),
        Value::Transient(Transient(Kept::Timestamp(at))) => Ok(Value::Int(at.seconds())),
        _ => Err(call.wrong_kind(0)),
    }
}

/// A double is cut off towards zero.
pub(super) fn uint(call: &Call<'_>) -> Result<Value, EvalError> {
    /// 2^64, the first whole number that is no uint.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    match call.argument(0) {
        Value::Uint(number) => Ok(Value::Uint(*number)),
        Value::Int(number) => u64::try_from(*number).map(Value::Uint).map_err(|_| call.overflow()),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked"
        )]
        Value::Double(number) if (0.0..BEYOND).contains(number) => Ok(Value::Uint(*number as u64)),
        Value::Double(_) => Err(call.overflow()),
        Value::Text(text) if text.starts_with('-') => Err(call.not_a_number()),
        Value::Text(text) => text.parse().map(Value::Uint).map_err(|error| call.bad_whole(&error)),
        _ => Err(call.wrong_kind(0)),
    }
}

pub(super) fn double(call: &Call<'_>) -> Result<Value, EvalError> {
    let argument = call.argument(0);
    let number = match argument {
        Value::Int(_) | Value::Uint(_) | Value::Double(_) => arithmetic::double(argument),
        Value::Text(text) => parse_double(text).ok_or_else(|| call.not_a_number())?,
        _ => return Err(call.wrong_kind(0)),
    };
    Value::double(number).ok_or(EvalError::NotFinite { operation: call.name() })
}

fn parse_double(text: &str) -> Option<f64> {
    // The standard library also reads "nan" and "infinity": no numbers here.
    let begins_as_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    text.parse().ok().filter(|_| begins_as_number)
}

/// A text stays, numbers and truth values take their JSON form, times and bytes theirs.
pub(super) fn text(call: &Call<'_>) -> Result<Value, EvalError> {
    let argument = call.argument(0);
    match argument {
        Value::Text(_) => Ok(argument.clone()),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) => {
            Ok(Value::text(argument.to_json()))
        }
        Value::Transient(Transient(Kept::Bytes(bytes))) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::text(text)),
            Err(_) => Err(EvalError::NotUtf8),
        },
        Value::Transient(Transient(Kept::Timestamp(at))) => Ok(Value::text(at.to_string())),
        Value::Transient(Transient(Kept::Duration(span))) => Ok(Value::text(span.to_string())),
        _ => Err(call.wrong_kind(0)),
    }
}

pub(super) fn bytes(call: &Call<'_>) -> Result<Value, EvalError> {
    match call.argument(0) {
        Value::Text(text) => Ok(Value::bytes(text.as_bytes().to_vec())),
        argument @ Value::Transient(Transient(Kept::Bytes(_))) => Ok(argument.clone()),
        _ => Err(call.wrong_kind(0)),
    }
}

/// Of RFC 3339, or of seconds since 1970.
pub(super) fn timestamp(call: &Call<'_>) -> Result<Value, EvalError> {
    let at = match call.argument(0) {
        Value::Text(text) => Timestamp::parse(text)
            .ok_or_else(|| call.bad_text("a time by RFC 3339, like 2026-01-31T09:15:00Z"))?,
        Value::Int(seconds) => {
            Timestamp::from_seconds(*seconds).ok_or_else(|| call.out_of_range())?
        }
        argument @ Value::Transient(Transient(Kept::Timestamp(_))) => return Ok(argument.clone()),
        _ => return Err(call.wrong_kind(0)),
    };
    Ok(Kept::Timestamp(at).into())
}

pub(super) fn duration(call: &Call<'_>) -> Result<Value, EvalError> {
    match call.argument(0) {
        Value::Text(text) => match Duration::parse(text) {
            Ok(span) => Ok(Kept::Duration(span).into()),
            Err(BadDuration::Range) => Err(call.out_of_range()),
            Err(BadDuration::Text) => Err(call.bad_text("a duration, like 90s or 1h30m")),
        },
        argument @ Value::Transient(Transient(Kept::Duration(_))) => Ok(argument.clone()),
        _ => Err(call.wrong_kind(0)),
    }
}
