//! Values that only an evaluation knows: bytes, points in time, spans of time, types.
//!
//! They stand beside JSON's values in lists and maps while an expression is evaluated, so that
//! `events.map(e, timestamp(e.at)).all(t, t < limit)` works on them as on any other. What an
//! evaluation hands out is JSON: [`settle`] turns them into text on the way out.
//!
//! Invariants
//! - No value that this crate hands out has a transient in it, or a uint that an int could hold.

use crate::error::EvalError;
use crate::limits::TEXT_BYTES_MAX;
use crate::times::{Duration, Timestamp};
use crate::value::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// A value that only an evaluation knows. Nobody outside of this crate ever meets one.
#[derive(Clone, Debug, PartialEq)]
pub struct Transient(pub(crate) Kept);

/// What a [`Transient`] is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Bytes(Arc<Vec<u8>>),
    Timestamp(Timestamp),
    Duration(Duration),
    Type(Type),
}

/// What `type()` tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    List,
    Map,
    Timestamp,
    Duration,
    /// That of types.
    Itself,
}

impl Type {
    const ALL: [Type; 12] = [
        Type::Null,
        Type::Bool,
        Type::Int,
        Type::Uint,
        Type::Double,
        Type::Text,
        Type::Bytes,
        Type::List,
        Type::Map,
        Type::Timestamp,
        Type::Duration,
        Type::Itself,
    ];

    /// CEL's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Null => "null_type",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::Text => "string",
            Type::Bytes => "bytes",
            Type::List => "list",
            Type::Map => "map",
            Type::Timestamp => "google.protobuf.Timestamp",
            Type::Duration => "google.protobuf.Duration",
            Type::Itself => "type",
        }
    }

    /// The type of this name, given as the names between its dots.
    pub(crate) fn named(names: &[&str]) -> Option<Type> {
        Type::ALL.into_iter().find(|of| of.name().split('.').eq(names.iter().copied()))
    }

    pub(crate) fn of(value: &Value) -> Type {
        match value {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Uint(_) => Type::Uint,
            Value::Double(_) => Type::Double,
            Value::Text(_) => Type::Text,
            Value::List(_) => Type::List,
            Value::Map(_) => Type::Map,
            Value::Transient(Transient(kept)) => match kept {
                Kept::Bytes(_) => Type::Bytes,
                Kept::Timestamp(_) => Type::Timestamp,
                Kept::Duration(_) => Type::Duration,
                Kept::Type(_) => Type::Itself,
            },
        }
    }
}

impl Kept {
    /// The name of the kind, as people who write expressions know it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Kept::Bytes(_) => "bytes",
            Kept::Timestamp(_) => "timestamp",
            Kept::Duration(_) => "duration",
            Kept::Type(_) => "type",
        }
    }

    /// How long the text that stands for it can be. Unit: bytes.
    pub(crate) fn text_bytes_max(&self) -> usize {
        match self {
            Kept::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
            // `9999-12-31T23:59:59.123456789Z`, `-9223372036.854775807s`, the longest name.
            Kept::Timestamp(_) | Kept::Duration(_) | Kept::Type(_) => 30,
        }
    }

    /// The text that stands for it in JSON.
    fn text(&self) -> String {
        match self {
            Kept::Bytes(bytes) => base64(bytes),
            Kept::Timestamp(at) => at.to_string(),
            Kept::Duration(span) => span.to_string(),
            Kept::Type(of) => of.name().to_owned(),
        }
    }
}

impl From<Kept> for Value {
    fn from(kept: Kept) -> Value {
        Value::Transient(Transient(kept))
    }
}

impl Value {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Value {
        Kept::Bytes(Arc::new(bytes)).into()
    }
}

/// Whether there is anything in `value` that JSON has no form for. Looks at every part.
pub(crate) fn is_unsettled(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::Text(_) => false,
        Value::Uint(number) => i64::try_from(*number).is_ok(),
        Value::Transient(_) => true,
        Value::List(elements) => elements.iter().any(is_unsettled),
        Value::Map(map) => map.iter().any(|(_, value)| is_unsettled(value)),
    }
}

/// The value as JSON has it.
pub(crate) fn settle(value: Cow<'_, Value>) -> Result<Cow<'_, Value>, EvalError> {
    if is_unsettled(&value) { settled(&value).map(Cow::Owned) } else { Ok(value) }
}

/// Recurses as deep as the value nests.
fn settled(value: &Value) -> Result<Value, EvalError> {
    Ok(match value {
        Value::Uint(number) => Value::from(*number),
        Value::Transient(Transient(kept)) => {
            let text = kept.text();
            if text.len() > TEXT_BYTES_MAX {
                return Err(EvalError::TextTooLong);
            }
            Value::text(text)
        }
        Value::List(elements) => {
            Value::List(elements.iter().map(settled).collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let entry = |(key, value): (&Arc<str>, &Value)| Ok((key.clone(), settled(value)?));
            Map::from_entries(map.iter().map(entry).collect::<Result<_, EvalError>>()?).into()
        }
        other => other.clone(),
    })
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= group.len() {
                let index = bits >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
