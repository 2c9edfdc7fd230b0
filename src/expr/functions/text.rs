//! Methods of texts. Positions count code points, from 0.

use super::{Call, count};
use crate::error::EvalError;
use crate::evaluate::{Meter, push_text};
use crate::functions::Function;
use crate::limits::LIST_ELEMENTS_MAX;
use crate::value::Value;

impl Call<'_> {
    fn bad_position(&self) -> EvalError {
        EvalError::Position { operation: self.name() }
    }

    /// The byte where the code point begins that the argument counts to, or the end of the text.
    fn byte_of(&self, text: &str, index: usize) -> Result<usize, EvalError> {
        let position = self.whole(index)?;
        let position = usize::try_from(position).map_err(|_| self.bad_position())?;
        let starts = text.char_indices().map(|(byte, _)| byte);
        starts.chain([text.len()]).nth(position).ok_or_else(|| self.bad_position())
    }
}

/// `startsWith`, `endsWith`, `contains`.
pub(super) fn tested(call: &Call<'_>) -> Result<Value, EvalError> {
    let (text, part) = (call.text(0)?, call.text(1)?);
    Ok(Value::Bool(match call.function {
        Function::StartsWith => text.starts_with(part),
        Function::EndsWith => text.ends_with(part),
        // In linear time: the standard library searches by the two-way algorithm.
        _ => text.contains(part),
    }))
}

/// The text of one code point; empty right behind the last.
pub(super) fn char_at(call: &Call<'_>) -> Result<Value, EvalError> {
    let text = call.text(0)?;
    let byte = call.byte_of(text, 1)?;
    Ok(text[byte..].chars().next().map_or_else(|| "".into(), |c| c.to_string().into()))
}

/// Where a part is first found, from a position on; -1 when it is not.
pub(super) fn index_of(call: &Call<'_>) -> Result<Value, EvalError> {
    let (text, part) = (call.text(0)?, call.text(1)?);
    let start = if call.optional(2).is_some() { call.byte_of(text, 2)? } else { 0 };
    Ok(match text[start..].find(part) {
        Some(byte) => count(text[..start + byte].chars().count()),
        None => Value::Int(-1),
    })
}

/// Where a part is last found, beginning at a position or before; -1 when it is not.
pub(super) fn last_index_of(call: &Call<'_>) -> Result<Value, EvalError> {
    let (text, part) = (call.text(0)?, call.text(1)?);
    let end = if call.optional(2).is_some() {
        // What begins there at the latest ends so many bytes further on.
        let mut end = (call.byte_of(text, 2)? + part.len()).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        end
    } else {
        text.len()
    };
    Ok(match text[..end].rfind(part) {
        Some(byte) => count(text[..byte].chars().count()),
        None => Value::Int(-1),
    })
}

/// The elements of a list of texts, with a text between them.
pub(super) fn join(call: &Call<'_>, meter: &mut Meter) -> Result<Value, EvalError> {
    let Value::List(elements) = call.argument(0) else { return Err(call.wrong_kind(0)) };
    let between = if call.optional(1).is_some() { call.text(1)? } else { "" };
    let mut joined = String::new();
    for (index, element) in elements.iter().enumerate() {
        meter.spend(1)?;
        let Value::Text(text) = element else {
            let kind = element.kind_name();
            return Err(EvalError::WrongKind { operation: call.name(), kind });
        };
        if index > 0 {
            push_text(&mut joined, between, meter)?;
        }
        push_text(&mut joined, text, meter)?;
    }
    Ok(joined.into())
}

/// `lowerAscii`, `upperAscii`, `reverse`.
pub(super) fn rewritten(call: &Call<'_>, meter: &mut Meter) -> Result<Value, EvalError> {
    let text = call.text(0)?;
    meter.spend_bytes(text.len())?;
    Ok(match call.function {
        Function::LowerAscii => text.to_ascii_lowercase(),
        Function::UpperAscii => text.to_ascii_uppercase(),
        _ => text.chars().rev().collect(),
    }
    .into())
}

/// Every occurrence of a part, or the first so many, replaced from the left.
pub(super) fn replace(call: &Call<'_>, meter: &mut Meter) -> Result<Value, EvalError> {
    let (text, part, by) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let most = most(call, 3)?;
    let mut replaced = String::new();
    let mut written = 0;
    for (byte, found) in text.match_indices(part).take(most) {
        meter.spend(1)?;
        push_text(&mut replaced, &text[written..byte], meter)?;
        push_text(&mut replaced, by, meter)?;
        written = byte + found.len();
    }
    push_text(&mut replaced, &text[written..], meter)?;
    Ok(replaced.into())
}

/// The parts of a text between the occurrences of another, at most so many; with an empty text
/// between them, its code points.
pub(super) fn split(call: &Call<'_>, meter: &mut Meter) -> Result<Value, EvalError> {
    let (text, between) = (call.text(0)?, call.text(1)?);
    let most = most(call, 2)?;
    let mut parts = Vec::new();
    let mut rest = Some(text).filter(|_| most > 0 && !(text.is_empty() && between.is_empty()));
    while let Some(text) = rest {
        meter.spend(1)?;
        if parts.len() == LIST_ELEMENTS_MAX {
            return Err(EvalError::ListTooLong);
        }
        let first = text.chars().next().map_or(0, char::len_utf8);
        let cut = if parts.len() + 1 == most {
            None
        } else if between.is_empty() {
            Some(first).filter(|first| *first < text.len())
        } else {
            text.find(between)
        };
        let part = &text[..cut.unwrap_or(text.len())];
        meter.spend_bytes(part.len())?;
        parts.push(Value::text(part));
        rest = cut.map(|cut| &text[cut + between.len()..]);
    }
    Ok(parts.into())
}

/// How many at most: a number that is left out or negative means all.
fn most(call: &Call<'_>, index: usize) -> Result<usize, EvalError> {
    match call.optional(index) {
        Some(_) => Ok(usize::try_from(call.whole(index)?).unwrap_or(usize::MAX)),
        None => Ok(usize::MAX),
    }
}

/// From one position up to another, or to the end.
pub(super) fn substring(call: &Call<'_>) -> Result<Value, EvalError> {
    let text = call.text(0)?;
    let start = call.byte_of(text, 1)?;
    let end = if call.optional(2).is_some() { call.byte_of(text, 2)? } else { text.len() };
    text.get(start..end).map(Value::from).ok_or_else(|| call.bad_position())
}

/// Without the white space of Unicode at both ends.
pub(super) fn trim(call: &Call<'_>) -> Result<Value, EvalError> {
    Ok(call.text(0)?.trim().into())
}
