//! The parts of timestamps and durations.

use super::Call;
use crate::error::EvalError;
use crate::times::Offset;
use crate::transient::{Kept, Transient};
use crate::value::Value;

/// `getHours()` and its like: of a timestamp, seen from UTC or from the offset given; of a duration.
pub(super) fn part(call: &Call<'_>) -> Result<Value, EvalError> {
    let part = call.function.part().expect("the function asks for a part of a time");
    let Value::Transient(Transient(kept)) = call.argument(0) else {
        return Err(call.wrong_kind(0));
    };
    let number = match (kept, call.optional(1)) {
        (Kept::Timestamp(at), None) => at.part(part, Offset::UTC),
        (Kept::Timestamp(at), Some(_)) => {
            at.part(part, Offset::parse(call.text(1)?).ok_or(EvalError::TimeZone)?)
        }
        (Kept::Duration(span), None) => span.part(part).ok_or_else(|| call.wrong_kind(0))?,
        _ => return Err(call.wrong_kind(0)),
    };
    Ok(Value::Int(number))
}
