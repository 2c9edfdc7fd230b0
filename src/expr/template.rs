//! A text with `${ … }` in it.

use crate::error::{EvalError, ParseError, Problem};
use crate::evaluate::{Meter, push_text};
use crate::expression::{Expression, Reference};
use crate::parser::{self, Ending};
use crate::scope::Scope;
use crate::steps::Steps;
use crate::value::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A parsed text with zero or more expressions. Immutable, cheap to clone.
///
/// - A text that is only one `${ … }`, with nothing around it, not even a blank, has the value of
///   the expression, of whatever kind.
/// - In any other text each `${ … }` becomes text: a string as it is, all else as JSON.
/// - `$${` stands for the two characters `${`.
/// - What an expression gives is data and is never scanned for `${` again.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq)]
enum Parts {
    Constant(Value),
    Single(Expression),
    Several(Arc<[Part]>),
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(Box<str>),
    Expression(Expression),
}

impl Template {
    /// Parses a text. Offsets in errors and references count from its beginning.
    pub fn parse(text: &str) -> Result<Template, ParseError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$') {
            plain.push_str(&text[at..at + dollar]);
            at += dollar;
            if text[at..].starts_with("$${") {
                plain.push_str("${");
                at += "$${".len();
            } else if text[at..].starts_with("${") {
                let start = at + "${".len();
                let parsed = parser::parse(text, start, Ending::Brace)
                    .map_err(|error| name_the_missing_brace(text, at, error))?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                at = parsed.end + "}".len();
                parts.push(Part::Expression(Expression::new(text, start, parsed)));
            } else {
                plain.push('$');
                at += "$".len();
            }
        }
        plain.push_str(&text[at..]);
        if parts.is_empty() {
            return Ok(Template { parts: Parts::Constant(Value::text(plain)) });
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Template { parts: Parts::new(parts) })
    }

    /// Whether its value is the same in every scope.
    pub fn is_constant(&self) -> bool {
        self.constant().is_some()
    }

    /// Its value, when that is the same in every scope.
    pub fn constant(&self) -> Option<&Value> {
        match &self.parts {
            Parts::Constant(value) => Some(value),
            Parts::Single(_) | Parts::Several(_) => None,
        }
    }

    /// The expression, when the text is only one `${ … }` that is no constant.
    pub fn single(&self) -> Option<&Expression> {
        match &self.parts {
            Parts::Single(expression) => Some(expression),
            Parts::Constant(_) | Parts::Several(_) => None,
        }
    }

    /// Every path that its expressions use, in the order written.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let (single, several) = match &self.parts {
            Parts::Constant(_) => (None, &[][..]),
            Parts::Single(expression) => (Some(expression), &[][..]),
            Parts::Several(parts) => (None, &parts[..]),
        };
        let among = several.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expression(expression) => Some(expression),
        });
        single.into_iter().chain(among).flat_map(Expression::references)
    }

    /// Its value in `scope`.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        self.evaluate_within(scope, &mut Meter::new())
    }

    /// The same, paid from steps that it shares with others.
    pub fn evaluate_paid(&self, scope: &dyn Scope, steps: &mut Steps) -> Result<Value, EvalError> {
        steps.pay(|meter| self.evaluate_within(scope, meter))
    }

    pub(crate) fn evaluate_within(
        &self,
        scope: &dyn Scope,
        meter: &mut Meter,
    ) -> Result<Value, EvalError> {
        match &self.parts {
            Parts::Constant(value) => Ok(value.clone()),
            Parts::Single(expression) => {
                expression.evaluate_within(scope, meter).map(Cow::into_owned)
            }
            Parts::Several(parts) => {
                let mut text = String::new();
                for part in parts.iter() {
                    match part {
                        Part::Text(plain) => push_text(&mut text, plain, meter)?,
                        Part::Expression(expression) => {
                            let value = expression.evaluate_within(scope, meter)?;
                            push_value(&mut text, &value, meter)?;
                        }
                    }
                }
                Ok(Value::text(text))
            }
        }
    }
}

impl Parts {
    fn new(parts: Vec<Part>) -> Parts {
        match &parts[..] {
            [Part::Expression(expression)] => match expression.constant() {
                Some(value) => Parts::Constant(value.clone()),
                None => Parts::Single(expression.clone()),
            },
            _ => Parts::Several(parts.into()),
        }
    }
}

fn push_value(text: &mut String, value: &Value, meter: &mut Meter) -> Result<(), EvalError> {
    match value {
        Value::Text(more) => push_text(text, more, meter),
        other => push_text(text, &other.to_json(), meter),
    }
}

/// An expression that has no end is a forgotten brace, or was cut by YAML: say that.
fn name_the_missing_brace(text: &str, at: usize, error: ParseError) -> ParseError {
    match error.problem {
        Problem::Expected { .. } if error.at == text.len() => {
            ParseError::new(text, at, Problem::Unclosed)
        }
        _ => error,
    }
}
