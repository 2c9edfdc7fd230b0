//! The expression language in `${ }`: parsed once, checked, evaluated over values.
//!
//! [`Value`] is the dynamic value that all workflow data is made of. An [`Expression`] is a first
//! useful part of CEL (<https://github.com/google/cel-spec>, `doc/langdef.md`): [`parse`] reads
//! it once, [`Expression::references`] names every path it uses, [`Expression::evaluate`] runs it
//! against a [`Scope`]. A [`Template`] is a text with `${ … }` in it, a [`Tree`] a whole structure
//! of such texts.
//!
//! # The language
//!
//! | what | forms |
//! |---|---|
//! | literals | `1` `-0x1F` `2.5` `1e3` `'a'` `"b"` `r'raw'` `'''several lines'''` `true` `false` `null` `[1, 2]` `{"k": v}` |
//! | paths | `a.b.c` `a["k"]` `a[0]` `a[b.i]` |
//! | operators, weakest first | `?:`, `\|\|`, `&&`, `== != < <= > >= in`, `+ -`, `* / %`, `! -` |
//! | functions | `has(a.b)` `size(x)` `string(x)` `int(x)` `double(x)` |
//! | methods | `s.startsWith(t)` `s.endsWith(t)` `s.contains(t)` `x.size()` |
//!
//! All else that CEL has (`all`, `exists`, `map`, `filter`, `matches`, unsigned literals, bytes,
//! times, messages) is refused by the parser as "not supported yet", so that no text changes its
//! meaning later. As in CEL, `false && error` and `error && false` are both false, likewise `||`
//! with true: an operand that alone decides the result absorbs the other's error.
//!
//! # Where it differs from CEL
//!
//! - Numbers come from JSON, where `5` and `5.0` are the same kind of thing to the one who writes
//!   it. So arithmetic between an int and a double is done in doubles, not refused. A whole number
//!   above `i64::MAX` (only data has one) calculates exactly with ints.
//! - A NaN or an infinity is an error, so that every result can be written as JSON.
//! - `==` between different kinds is false rather than an error, as in CEL's newer
//!   implementations; numbers compare by their exact mathematical value whatever their kinds.
//! - `has(a.b.c)` is false also when `a.b` is missing or is not a map, and takes `a["k"]` too:
//!   what comes from outside may lack any part of it.
//! - Keys of a map are strings.
//! - `string(2.0)` is `2.0`, the form that a double has in JSON.
//!
//! # Invariants
//!
//! - An evaluation ends: there are no loops, and length, depth and steps are bounded
//!   ([`limits`]).
//! - What an evaluation builds can be written as JSON and read back: it nests no deeper than
//!   [`base::limits::NESTING_MAX`] and is no larger than [`limits::VALUE_BYTES_MAX`].
//! - Data is never scanned for `${`: only the text of a definition is.
//! - An error names operators, kinds, counts and what is written in the expression, never data:
//!   a secret that an expression uses cannot leave through its error.

mod arithmetic;
mod ast;
mod compare;
mod error;
mod evaluate;
mod expression;
mod functions;
mod json;
mod lexer;
pub mod limits;
mod parser;
mod scope;
mod template;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use error::{EvalError, ParseError, Problem};
pub use expression::{Expression, Reference, parse};
pub use json::{BadJson, JsonReader};
pub use scope::{Empty, Found, Names, Scope};
pub use template::Template;
pub use tree::Tree;
pub use value::{Map, Value};
