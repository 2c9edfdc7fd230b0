//! A structure of templates: what the `with:` of a task compiles to.

use crate::error::{EvalError, ParseError};
use crate::evaluate::{self, Meter};
use crate::expression::Reference;
use crate::scope::Scope;
use crate::steps::Steps;
use crate::template::Template;
use crate::value::{Map, Value};
use std::sync::Arc;

/// A JSON-like structure whose texts may hold `${ … }`. Keys of maps are taken as they are.
///
/// Built by [`Tree::text`], [`Tree::list`], [`Tree::map`] and from constants, which fold what is
/// constant. Functions over a tree recurse as deep as it nests, which the loader of the definition
/// has bounded ([`base::limits::NESTING_MAX`]).
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// The same in every scope.
    Constant(Value),
    /// A text with expressions.
    Template(Template),
    /// A list of which at least one element is no constant.
    List(Vec<Tree>),
    /// A map of which at least one value is no constant.
    Map(Vec<(Arc<str>, Tree)>),
}

impl Tree {
    /// A text, which may hold `${ … }`.
    pub fn text(text: &str) -> Result<Tree, ParseError> {
        let template = Template::parse(text)?;
        Ok(match template.constant() {
            Some(value) => Tree::Constant(value.clone()),
            None => Tree::Template(template),
        })
    }

    /// A list.
    pub fn list(elements: Vec<Tree>) -> Tree {
        match elements.iter().map(Tree::constant).collect::<Option<Vec<&Value>>>() {
            Some(values) => Tree::Constant(values.into_iter().cloned().collect::<Vec<_>>().into()),
            None => Tree::List(elements),
        }
    }

    /// A map. Of equal keys the first stays.
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Tree)>) -> Tree {
        let entries: Vec<(Arc<str>, Tree)> =
            entries.into_iter().map(|(key, tree)| (key.into(), tree)).collect();
        let constant =
            |(key, tree): &(Arc<str>, Tree)| Some((key.clone(), tree.constant()?.clone()));
        match entries.iter().map(constant).collect::<Option<Vec<_>>>() {
            Some(values) => Tree::Constant(Map::from_entries(values).into()),
            None => Tree::Map(entries),
        }
    }

    /// Its value, when that is the same in every scope.
    pub fn constant(&self) -> Option<&Value> {
        match self {
            Tree::Constant(value) => Some(value),
            Tree::Template(template) => template.constant(),
            Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// Every path that its expressions use.
    pub fn references(&self) -> Vec<&Reference> {
        let mut references = Vec::new();
        self.collect_references(&mut references);
        references
    }

    fn collect_references<'t>(&'t self, into: &mut Vec<&'t Reference>) {
        match self {
            Tree::Constant(_) => {}
            Tree::Template(template) => into.extend(template.references()),
            Tree::List(elements) => {
                for tree in elements {
                    tree.collect_references(into);
                }
            }
            Tree::Map(entries) => {
                for (_, tree) in entries {
                    tree.collect_references(into);
                }
            }
        }
    }

    /// Its value in `scope`. The bounds of an evaluation hold for the tree as a whole.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        self.evaluate_checked(scope, &mut Meter::new())
    }

    /// The same, paid from steps that it shares with others.
    pub fn evaluate_paid(&self, scope: &dyn Scope, steps: &mut Steps) -> Result<Value, EvalError> {
        steps.pay(|meter| self.evaluate_checked(scope, meter))
    }

    fn evaluate_checked(&self, scope: &dyn Scope, meter: &mut Meter) -> Result<Value, EvalError> {
        let value = self.evaluate_within(scope, meter)?;
        if matches!(self, Tree::List(_) | Tree::Map(_)) {
            evaluate::check_built(&value)?;
        }
        Ok(value)
    }

    fn evaluate_within(&self, scope: &dyn Scope, meter: &mut Meter) -> Result<Value, EvalError> {
        meter.spend(1)?;
        match self {
            Tree::Constant(value) => Ok(value.clone()),
            Tree::Template(template) => template.evaluate_within(scope, meter),
            Tree::List(elements) => elements
                .iter()
                .map(|element| element.evaluate_within(scope, meter))
                .collect::<Result<_, _>>()
                .map(Value::List),
            Tree::Map(entries) => {
                let entry = |(key, tree): &(Arc<str>, Tree)| {
                    Ok((key.clone(), tree.evaluate_within(scope, meter)?))
                };
                let entries = entries.iter().map(entry).collect::<Result<_, EvalError>>()?;
                Ok(Map::from_entries(entries).into())
            }
        }
    }
}

/// A value as it is: nothing in it is scanned for `${`.
impl From<Value> for Tree {
    fn from(value: Value) -> Tree {
        Tree::Constant(value)
    }
}
