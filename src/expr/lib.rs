//! The expression language in `${ }`: parsed once, checked, evaluated over values.
//!
//! [`Value`] is the dynamic value that all workflow data is made of. An [`Expression`] is written
//! in CEL (<https://github.com/google/cel-spec>, `doc/langdef.md`): all of its syntax, macros and
//! functions that have a meaning for JSON, and the functions of its extensions for texts and
//! numbers. [`parse`] reads it once, [`Expression::references`] names every path it uses,
//! [`Expression::evaluate`] runs it against a [`Scope`]. A [`Template`] is a text with `${ … }` in
//! it, a [`Tree`] a whole structure of such texts.
//!
//! # The language
//!
//! | what | forms |
//! |---|---|
//! | literals | `1` `-0x1F` `5u` `2.5` `1e3` `true` `false` `null` `[1, 2]` `{"k": v}` |
//! | texts | `'a'` `"b"` `r'raw'` `'''several lines'''`; escapes `\n` `\x41` `\101` `\u00e9` `\U0001F600` |
//! | bytes | `b'a'` `br"\n"`; `\xff` and `\377` are one byte |
//! | paths | `a.b.c` `a["k"]` `a[0]` `a[b.i]` `` a.`b-c` ``; `.a` is `a` even where a macro has such a variable |
//! | operators, weakest first | `?:`, `\|\|`, `&&`, `== != < <= > >= in`, `+ -`, `* / %`, `! -` |
//! | macros | `has(a.b)` `l.all(x, p)` `l.exists(x, p)` `l.exists_one(x, p)` `l.filter(x, p)` `l.map(x, e)` `l.map(x, p, e)` |
//! | kinds | `int(x)` `uint(x)` `double(x)` `bool(x)` `string(x)` `bytes(x)` `dyn(x)` `type(x)`; types `int` `uint` `double` `bool` `string` `bytes` `list` `map` `null_type` `type` `google.protobuf.Timestamp` `google.protobuf.Duration` |
//! | texts | `size(s)` `s.contains(t)` `s.startsWith(t)` `s.endsWith(t)` `s.matches(regex)` `s.charAt(i)` `s.indexOf(t)` `s.indexOf(t, from)` `s.lastIndexOf(t)` `s.lastIndexOf(t, until)` `s.substring(from)` `s.substring(from, to)` `s.lowerAscii()` `s.upperAscii()` `s.trim()` `s.reverse()` `s.replace(t, by)` `s.replace(t, by, most)` `s.split(t)` `s.split(t, most)` `l.join()` `l.join(between)` |
//! | numbers | `min(…)` `max(…)` `math.least(…)` `math.greatest(…)` `math.abs(x)` `math.sign(x)` `math.ceil(x)` `math.floor(x)` `math.round(x)` `math.trunc(x)` |
//! | times | `timestamp("2026-01-31T09:15:00Z")` `timestamp(seconds)` `duration("1h30m")`; `+` `-` and comparisons of them; `t.getFullYear()` `getMonth` `getDate` `getDayOfMonth` `getDayOfWeek` `getDayOfYear` `getHours` `getMinutes` `getSeconds` `getMilliseconds`, each with an offset as in `t.getHours("+02:00")` |
//!
//! As in CEL, `false && error` and `error && false` are both false, likewise `||` with true: an
//! operand that alone decides the result absorbs the other's error. `all` and `exists` do the same
//! over a list. A macro over a map goes over its keys, in their order. Positions in texts count code
//! points; `size` of bytes counts bytes.
//!
//! There is no function that asks the time or a machine: an expression over the same data has the
//! same value on every node and in every replay.
//!
//! # What comes out
//!
//! A result is JSON. What JSON has no form for becomes text when it leaves the expression, also
//! inside of lists and maps: bytes as base64 (RFC 4648, padded), a timestamp as RFC 3339 in UTC
//! (`2026-01-31T09:15:00.25Z`), a duration as seconds (`90s`, `-0.5s`), a type as its name. A uint
//! becomes the number that it is. `string()` of bytes is the text they hold, if they hold one.
//!
//! # Where it differs from CEL
//!
//! - Numbers come from JSON, where `5` and `5.0` are the same kind of thing to the one who writes
//!   it. So arithmetic between an int and a double is done in doubles, not refused, and
//!   `math.ceil` and its like leave a whole number what it is.
//! - Whole numbers calculate exactly whatever their kinds: an int and a uint together give
//!   whatever whole number fits 64 bits, `1u - 2u` is -1, `-5u` is -5. Data has a uint where a number
//!   is above `i64::MAX`.
//! - A NaN or an infinity is an error, so that every result can be written as JSON.
//! - `==` between different kinds is false rather than an error, as in CEL's newer
//!   implementations; numbers compare by their exact mathematical value whatever their kinds.
//! - `has(a.b.c)` is false also when `a.b` is missing or is not a map, and takes `a["k"]` too:
//!   what comes from outside may lack any part of it.
//! - Keys of a map are strings, and nothing else is `in` one.
//! - A position in a text may be right behind its last character, never further on, whatever is
//!   looked for. Where a function of texts takes an int, it takes a uint.
//! - `string(2.0)` is `2.0`, the form that a double has in JSON.
//! - A regular expression is one of the `regex` crate (as in rules): linear time, no look-around,
//!   `\d` and `\w` know all of Unicode.
//! - Time zones are offsets. Their names would need a table that differs between machines and years.
//! - A name of a type, like `list`, stands for what the scope has of that name, if it has.
//! - Escapes of texts may be a surrogate pair, as JSON writes them: `\uD83D\uDE00`.
//! - What is wrong whatever the data is (a function that is not there, a count of arguments, a
//!   pattern) is refused when the expression is read, also where it would not be evaluated.
//! - There are no messages (`Name{field: value}`), no optional values (`a.?b`), no `format`, no macros
//!   with two variables.
//!
//! # Invariants
//!
//! - An evaluation ends: a macro goes once over a list that is there before it begins, nothing else
//!   repeats, and length, depth and steps are bounded ([`limits`]).
//! - A function gives the same result on every machine.
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
mod macros;
mod parser;
mod pattern;
mod scope;
mod steps;
mod template;
mod times;
mod transient;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use error::{EvalError, ParseError, Problem};
pub use expression::{Expression, Reference, parse};
pub use json::{BadJson, JsonReader};
pub use scope::{Empty, Found, Names, Scope};
pub use steps::Steps;
pub use template::Template;
pub use transient::Transient;
pub use tree::Tree;
pub use value::{Map, Value};
