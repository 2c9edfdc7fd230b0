//! Both engines, and what they come to in one form.

use crate::error::EvalError;
use crate::evaluate::{Evaluation, Meter};
use crate::parser::{self, Ending};
use crate::scope::{Found, Scope};
use crate::times::{Duration, Timestamp};
use crate::transient::{Kept, Transient};
use crate::value::Value;
use cel::objects::Key;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What both engines can say, kinds told apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Timestamp(String),
    Duration(String),
    List(Vec<Said>),
    Map(BTreeMap<String, Said>),
    /// What only one of them has a form for.
    Other(String),
    /// It failed; the engines need not agree how.
    Failure,
}

/// A name that both engines know, and its value in each.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) ours: Value,
    pub(super) theirs: cel::Value,
}

impl Binding {
    /// A name for what JSON can hold.
    pub(super) fn of(name: &str, value: Value) -> Binding {
        let theirs = their_value(&value);
        Binding { name: name.to_owned(), ours: value, theirs }
    }
}

struct Known<'n>(&'n [Binding]);

impl Scope for Known<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        let known = self.0.iter().find(|known| known.name == path[0])?;
        Some(Found::borrowed(&known.ours, 1))
    }
}

/// What ours comes to, before it is made JSON: so kinds are compared that JSON does not tell apart.
pub(super) fn ours(text: &str, names: &[Binding]) -> Result<Value, String> {
    let parsed = parser::parse(text, 0, Ending::Text).map_err(|error| error.to_string())?;
    let scope = Known(names);
    let mut meter = Meter::new();
    let mut evaluation = Evaluation::new(text, &scope, &mut meter);
    let value = evaluation.node(&parsed.node).map_err(|error: EvalError| error.to_string())?;
    Ok(value.into_owned())
}

/// What comes out of the public door.
pub(super) fn ours_as_json(text: &str, names: &[Binding]) -> Result<Value, String> {
    let expression = crate::parse(text).map_err(|error| error.to_string())?;
    expression.evaluate(&Known(names)).map_err(|error| error.to_string())
}

fn environment() -> &'static Arc<cel::Env> {
    static ENVIRONMENT: OnceLock<Arc<cel::Env>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = cel::Env::stdlib();
        environment.add_extension(cel::extensions::strings).unwrap();
        environment.add_extension(cel::extensions::math).unwrap();
        Arc::new(environment)
    })
}

/// What the oracle comes to.
pub(super) fn theirs(text: &str, names: &[Binding]) -> Result<cel::Value, String> {
    let program = environment().compile(text).map_err(|error| error.to_string())?;
    let mut context = cel::Context::with_env(environment().clone());
    for known in names {
        context.add_variable_from_value(known.name.as_str(), known.theirs.clone());
    }
    program.execute(&context).map_err(|error| error.to_string())
}

fn their_value(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(truth) => cel::Value::Bool(*truth),
        Value::Int(number) => cel::Value::Int(*number),
        Value::Uint(number) => cel::Value::UInt(*number),
        Value::Double(number) => cel::Value::Float(*number),
        Value::Text(text) => cel::Value::from(&**text),
        Value::List(elements) => {
            cel::Value::List(Arc::new(elements.iter().map(their_value).collect()))
        }
        Value::Map(map) => {
            let entry = |(key, value): (&Arc<str>, &Value)| (Key::from(&**key), their_value(value));
            let map = Arc::new(map.iter().map(entry).collect());
            cel::Value::Map(cel::objects::Map { map })
        }
        Value::Transient(_) => unreachable!("JSON has none"),
    }
}

impl Said {
    pub(super) fn ours(result: &Result<Value, String>) -> Said {
        result.as_ref().map_or(Said::Failure, Said::our_value)
    }

    pub(super) fn theirs(result: &Result<cel::Value, String>) -> Said {
        result.as_ref().map_or(Said::Failure, Said::their_value)
    }

    fn our_value(value: &Value) -> Said {
        match value {
            Value::Null => Said::Null,
            Value::Bool(truth) => Said::Bool(*truth),
            Value::Int(number) => Said::Int(*number),
            Value::Uint(number) => Said::Uint(*number),
            Value::Double(number) => Said::Double(*number),
            Value::Text(text) => Said::Text(text.to_string()),
            Value::List(elements) => Said::List(elements.iter().map(Said::our_value).collect()),
            Value::Map(map) => Said::Map(
                map.iter().map(|(key, value)| (key.to_string(), Said::our_value(value))).collect(),
            ),
            Value::Transient(Transient(kept)) => match kept {
                Kept::Bytes(bytes) => Said::Bytes(bytes.to_vec()),
                Kept::Timestamp(at) => Said::Timestamp(at.to_string()),
                Kept::Duration(span) => Said::Duration(span.to_string()),
                Kept::Type(of) => Said::Other(of.name().to_owned()),
            },
        }
    }

    fn their_value(value: &cel::Value) -> Said {
        match value {
            cel::Value::Null => Said::Null,
            cel::Value::Bool(truth) => Said::Bool(*truth),
            cel::Value::Int(number) => Said::Int(*number),
            cel::Value::UInt(number) => Said::Uint(*number),
            cel::Value::Float(number) => Said::Double(*number),
            cel::Value::String(text) => Said::Text(text.to_string()),
            cel::Value::Bytes(bytes) => Said::Bytes(bytes.to_vec()),
            cel::Value::List(elements) => {
                Said::List(elements.iter().map(Said::their_value).collect())
            }
            cel::Value::Map(map) => Said::Map(
                map.map
                    .iter()
                    .map(|(key, value)| match key {
                        Key::String(key) => (key.to_string(), Said::their_value(value)),
                        other => (format!("{other:?}"), Said::their_value(value)),
                    })
                    .collect(),
            ),
            cel::Value::Timestamp(at) => {
                let text = at.to_rfc3339();
                Said::Timestamp(Timestamp::parse(&text).map_or(text, |at| at.to_string()))
            }
            cel::Value::Duration(span) => {
                let (seconds, nanos) = (span.num_seconds(), span.subsec_nanos());
                let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
                let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
                let text = format!("{sign}{seconds}.{nanos:09}s");
                Said::Duration(match Duration::parse(&text) {
                    Ok(span) => span.to_string(),
                    Err(_) => text,
                })
            }
            other => Said::Other(format!("{other:?}")),
        }
    }

    /// The same, a double by its bits: -0.0 is not 0.0.
    pub(super) fn is(&self, other: &Said) -> bool {
        match (self, other) {
            (Said::Double(left), Said::Double(right)) => left.to_bits() == right.to_bits(),
            (Said::List(left), Said::List(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|(left, right)| left.is(right))
            }
            (Said::Map(left), Said::Map(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|((left_key, left), (right_key, right))| {
                        left_key == right_key && left.is(right)
                    })
            }
            (left, right) => left == right,
        }
    }

    /// Whether this or anything in it is so.
    pub(super) fn any(&self, is_so: &impl Fn(&Said) -> bool) -> bool {
        is_so(self)
            || match self {
                Said::List(elements) => elements.iter().any(|element| element.any(is_so)),
                Said::Map(map) => map.values().any(|value| value.any(is_so)),
                _ => false,
            }
    }
}
