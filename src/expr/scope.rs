//! Where the names in an expression get their values.

use crate::value::{Map, Value};
use std::borrow::Cow;

/// Gives the values that paths stand for.
///
/// The evaluator asks for a whole path, and the scope answers with the longest beginning it has a
/// value for; what is left of the path is looked up inside that value. So `input.amount` costs no
/// copy of the input, and `tasks.validate.output.score` needs no map of all tasks:
///
/// ```
/// # use expr::{Found, Scope, Value};
/// # struct Instance { input: Value, output: Value }
/// impl Scope for Instance {
///     fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
///         match path {
///             ["input", ..] => Some(Found::borrowed(&self.input, 1)),
///             ["tasks", "validate", "output", ..] => Some(Found::borrowed(&self.output, 3)),
///             ["tasks", "validate", "attempts", ..] => Some(Found::owned(Value::Int(2), 3)),
///             _ => None,
///         }
///     }
/// }
/// # let instance = Instance {
/// #     input: Value::parse_json(br#"{"amount": 5}"#)?,
/// #     output: Value::parse_json(br#"{"score": 7}"#)?,
/// # };
/// let expression = expr::parse("input.amount + tasks.validate.output.score")?;
/// assert_eq!(expression.evaluate(&instance)?, Value::Int(12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Scope {
    /// The value that a beginning of `path` stands for, and how many names that beginning has.
    /// None when nothing is known of it: the expression then fails with
    /// [`NoSuchKey`](crate::EvalError::NoSuchKey), or `has()` is false.
    ///
    /// `path` has at least one name.
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>>;
}

/// What a [`Scope`] found for the beginning of a path.
#[derive(Clone, Debug)]
pub struct Found<'s> {
    pub(crate) value: Cow<'s, Value>,
    pub(crate) names: usize,
}

impl<'s> Found<'s> {
    /// A value that the scope holds, for the first `names` names of the path.
    pub fn borrowed(value: &'s Value, names: usize) -> Found<'s> {
        Found { value: Cow::Borrowed(value), names }
    }

    /// A value made on the spot, for the first `names` names of the path.
    pub fn owned(value: Value, names: usize) -> Found<'s> {
        Found { value: Cow::Owned(value), names }
    }
}

/// A scope without names: for expressions of constants.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Scope for Empty {
    fn resolve(&self, _path: &[&str]) -> Option<Found<'_>> {
        None
    }
}

/// A scope of a few names. The first of equal names counts.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a>(pub &'a [(&'a str, &'a Value)]);

impl Scope for Names<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        let (_, value) = self.0.iter().find(|(name, _)| *name == path[0])?;
        Some(Found::borrowed(value, 1))
    }
}

/// A map is a scope of its keys.
impl Scope for Map {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        Some(Found::borrowed(self.get(path[0])?, 1))
    }
}

/// A value is a scope of its keys, when it is a map.
impl Scope for Value {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        Some(Found::borrowed(self.get(path[0])?, 1))
    }
}
