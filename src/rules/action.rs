//! What a match starts: a workflow, and what it is handed.

use crate::enrichment::Enrichment;
use base::limits::KEY_BYTES_MAX;
use document::Span;
use expr::{EvalError, Names, Steps, Template, Tree, Value};
use std::fmt::Write;
use std::time::Duration;

/// The steps that all that one message starts may take together. The starts beyond it fail: otherwise
/// one message that wakes all rules there are could hold up its partition, on every node, for minutes.
/// Sixteen times the bound of one expression: a few tenths of a second at the most.
pub const STARTS_STEPS_MAX: u32 = 1 << 22;

const _: () = assert!(STARTS_STEPS_MAX >= 16 * expr::limits::STEPS_MAX);

/// One workflow that a match starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Which workflow.
    pub workflow: String,
    /// A map that is handed to the workflow beside the message; empty if there is none.
    pub params: Tree,
    /// Instead of the workflow's own.
    pub timeout: Option<Duration>,
    /// How many more attempts each task gets, instead of the workflow's default.
    pub retry: Option<u32>,
    /// The same key, the same instance: never a second run while that one is kept.
    pub key: Option<Template>,
    /// What this workflow alone sees besides.
    pub enrich: Enrichment,
    /// The workflow's input, instead of the message.
    pub transform: Option<Tree>,
    /// Where it starts.
    pub span: Span,
}

/// What an action hands to its workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The workflow's input: the message as the action sees it, or its transform.
    pub input: Value,
    /// What stands beside it.
    pub params: Value,
    /// See [`Action::key`].
    pub key: Option<String>,
}

/// Why an action cannot say what it hands over. The texts name what is written in the rule, kinds
/// and counts, never data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// An expression failed.
    #[error("`{place}`: {error}")]
    Expression {
        /// Where in the action: `params.limit`.
        place: String,
        /// What went wrong.
        error: EvalError,
    },
    /// What belongs together takes too many steps.
    #[error("all that the message starts: {0}")]
    Together(EvalError),
    /// A transform that gives something else than a map.
    #[error("`transform` gives {kind}, a map was expected")]
    NotAMap {
        /// What it gives.
        kind: &'static str,
    },
    /// A key that is no text and has no plain text form.
    #[error("`key` gives {kind}; a string, a number, true or false were expected")]
    KeyKind {
        /// What it gives.
        kind: &'static str,
    },
    /// A key of a wrong length.
    #[error("`key` gives {bytes} bytes; 1 to {KEY_BYTES_MAX} are allowed")]
    KeyBytes {
        /// How many it gives.
        bytes: usize,
    },
}

impl ActionError {
    /// What every such failure is known by.
    pub const CODE: &'static str = "expression";
}

impl Action {
    /// What the workflow is handed. `seen` is the message as the action's rule sees it
    /// ([`crate::seen_by`]), with the rule's own enrichment; `steps` are those of all actions that
    /// the message wakes.
    pub fn start(&self, seen: &Value, steps: &mut Steps) -> Result<Started, ActionError> {
        let message = self.enrich.apply_paid(seen, steps).map_err(ActionError::Together)?;
        let params = evaluate("params", &self.params, &message, steps)?;
        let input = self.transform.as_ref();
        let input = input.map(|tree| evaluate("transform", tree, &message, steps)).transpose()?;
        let key = self.key.as_ref().map(|key| {
            let value = key.evaluate_paid(&Names(&[("msg", &message)]), steps);
            key_text(&value.map_err(|error| failed("key".to_owned(), error))?)
        });
        let key = key.transpose()?;
        if let Some(input) = &input
            && input.as_map().is_none()
        {
            return Err(ActionError::NotAMap { kind: input.kind_name() });
        }
        Ok(Started { input: input.unwrap_or(message), params, key })
    }

    /// Whether what it hands over is the message and nothing that is calculated.
    pub fn is_plain(&self) -> bool {
        self.key.is_none()
            && self.enrich.is_empty()
            && self.transform.is_none()
            && self.params.constant().is_some()
    }
}

/// The text of a key's value.
pub(crate) fn key_text(value: &Value) -> Result<String, ActionError> {
    let text = match value {
        Value::Text(text) => text.to_string(),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) => value.to_json(),
        Value::Null | Value::List(_) | Value::Map(_) => {
            return Err(ActionError::KeyKind { kind: value.kind_name() });
        }
        Value::Transient(_) => unreachable!("an evaluation hands out JSON alone"),
    };
    let bytes = text.len();
    if (1..=KEY_BYTES_MAX).contains(&bytes) {
        Ok(text)
    } else {
        Err(ActionError::KeyBytes { bytes })
    }
}

fn failed(place: String, error: EvalError) -> ActionError {
    match error {
        EvalError::TooManyStepsTogether { .. } => ActionError::Together(error),
        error => ActionError::Expression { place, error },
    }
}

fn evaluate(
    place: &str,
    tree: &Tree,
    message: &Value,
    steps: &mut Steps,
) -> Result<Value, ActionError> {
    tree.evaluate_paid(&Names(&[("msg", message)]), steps).map_err(|error| {
        let mut place = place.to_owned();
        narrow(&mut place, tree, message, &error, steps);
        failed(place, error)
    })
}

/// Finds what failed with this error inside of a tree, and names it. If nothing fails by itself, a
/// bound was hit by all together; if no steps are left to look for it, the place is less narrow.
/// Recursion: as deep as a rule's text nests.
fn narrow(place: &mut String, tree: &Tree, message: &Value, error: &EvalError, steps: &mut Steps) {
    let names = [("msg", message)];
    let mut fails = |tree: &Tree| tree.evaluate_paid(&Names(&names), steps).as_ref() == Err(error);
    match tree {
        Tree::Map(entries) => {
            if let Some((key, inside)) = entries.iter().find(|(_, tree)| fails(tree)) {
                place.push('.');
                place.push_str(key);
                narrow(place, inside, message, error, steps);
            }
        }
        Tree::List(elements) => {
            if let Some(at) = elements.iter().position(fails) {
                write!(place, "[{at}]").expect("a String takes all");
                narrow(place, &elements[at], message, error, steps);
            }
        }
        Tree::Constant(_) | Tree::Template(_) => {}
    }
}

#[cfg(test)]
mod tests;
