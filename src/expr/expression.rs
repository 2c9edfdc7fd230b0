//! An expression: parsed once, evaluated many times.

use crate::ast::Node;
use crate::error::{EvalError, ParseError};
use crate::evaluate::{self, Evaluation, Meter};
use crate::parser::{self, Ending, Parsed};
use crate::scope::Scope;
use crate::transient;
use crate::value::Value;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A parsed expression. Immutable, cheap to clone.
#[derive(Clone)]
pub struct Expression {
    parts: Arc<Parts>,
}

struct Parts {
    source: Box<str>,
    node: Node,
    references: Box<[Reference]>,
    /// Whether a constant in it has something that only an evaluation knows.
    has_transients: bool,
}

/// A path that an expression uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its names, at least one: `["tasks", "validate", "output"]`.
    pub names: Box<[Arc<str>]>,
    /// Where it begins in the text that was parsed. Unit: bytes.
    pub at: usize,
    /// Whether more follows that only the evaluation knows, as in `tasks[input.which]`.
    pub open: bool,
    /// Whether it stands in `has()`, and so may be missing.
    pub tested: bool,
}

impl Reference {
    /// The first name.
    pub fn root(&self) -> &str {
        &self.names[0]
    }
}

/// The names with dots between them.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join("."))
    }
}

/// Parses an expression: the text between `${` and `}`.
pub fn parse(text: &str) -> Result<Expression, ParseError> {
    let parsed = parser::parse(text, 0, Ending::Text)?;
    Ok(Expression::new(text, 0, parsed))
}

impl Expression {
    /// The expression that was parsed in `text` from `start` on.
    pub(crate) fn new(text: &str, start: usize, parsed: Parsed) -> Expression {
        let Parsed { mut node, end, mut has_transients } = parsed;
        if let Node::Constant(value) = &node
            && has_transients
        {
            let settled = transient::settle(Cow::Borrowed(value));
            node = Node::Constant(settled.expect("what is folded is small").into_owned());
            has_transients = false;
        }
        let mut references = Vec::new();
        node.each_path(false, &mut |path, open, tested| {
            references.push(Reference {
                names: path.names.iter().map(|(name, _)| name.clone()).collect(),
                at: start + path.start as usize,
                open,
                tested,
            });
        });
        let source = text[start..end].into();
        let references = references.into();
        Expression { parts: Arc::new(Parts { source, node, references, has_transients }) }
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.parts.source
    }

    /// Every path it uses, in the order written, so that a loader can check them.
    pub fn references(&self) -> impl ExactSizeIterator<Item = &Reference> {
        self.parts.references.iter()
    }

    /// Its value, when no scope can change it.
    pub fn constant(&self) -> Option<&Value> {
        match &self.parts.node {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Its value in `scope`.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        self.evaluate_within(scope, &mut Meter::new()).map(Cow::into_owned)
    }

    /// Its value in `scope`, which must be true or false. Allocates nothing for comparisons of
    /// paths with constants.
    pub fn evaluate_bool(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        match &*self.evaluate_within(scope, &mut Meter::new())? {
            Value::Bool(truth) => Ok(*truth),
            other => Err(EvalError::WrongKind { operation: "condition", kind: other.kind_name() }),
        }
    }

    /// Its value, paid from a meter that it shares with others.
    pub(crate) fn evaluate_within<'e>(
        &'e self,
        scope: &'e dyn Scope,
        meter: &mut Meter,
    ) -> Result<Cow<'e, Value>, EvalError> {
        let mut evaluation = Evaluation::new(&self.parts.source, scope, meter);
        let value = evaluation.node(&self.parts.node)?;
        match &value {
            // What is borrowed was there before; what is owned may have been built.
            Cow::Owned(built @ (Value::List(_) | Value::Map(_))) => {
                // Measured first: what shares its parts may be far larger than it looks.
                if evaluate::check_built(built)? { transient::settle(value) } else { Ok(value) }
            }
            Cow::Owned(Value::Uint(_) | Value::Transient(_)) => transient::settle(value),
            Cow::Borrowed(_) if self.parts.has_transients => transient::settle(value),
            _ => Ok(value),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.parts.source).finish()
    }
}

/// Two expressions are the same when they were written the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.parts.source == other.parts.source
    }
}

impl Eq for Expression {}
