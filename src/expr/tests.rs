//! Tests of the language as a whole: expressions in, values and errors out.

mod allocation;
mod functions;
mod language;
mod macros;
mod oracle;
mod properties;
mod scopes;
mod templates;

use crate::value::Value;

/// A value written as JSON.
fn json(text: &str) -> Value {
    Value::parse_json(text.as_bytes()).unwrap()
}
