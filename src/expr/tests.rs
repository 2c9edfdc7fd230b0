//! Tests of the language as a whole: expressions in, values and errors out.

mod allocation;
mod conformance;
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

/// What the crate says of itself, in one line.
fn front_page() -> String {
    let page = include_str!("lib.rs").lines().filter_map(|line| line.strip_prefix("//!"));
    page.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}
