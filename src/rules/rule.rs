//! A rule as it was read and checked.

use crate::action::Action;
use crate::enrichment::Enrichment;
use crate::operator::Operator;
use crate::path::FieldPath;
use document::Span;

/// Which messages wake which workflows.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in the catalogue.
    pub id: String,
    /// Counted by who writes the rule, from 1.
    pub version: u32,
    /// Higher first; ties by id.
    pub priority: i32,
    /// Whether it is looked at at all.
    pub enabled: bool,
    /// What a message must be like.
    pub when: Condition,
    /// Ids of rules that must hold, too.
    pub requires: Vec<String>,
    /// A rule that must hold, too, and whose enrichment the conditions and actions see.
    pub continue_from: Option<String>,
    /// What is added to the message before the actions, and the rules that continue from this one,
    /// see it.
    pub enrich: Enrichment,
    /// What happens then; nothing, in a rule that is there for others.
    pub actions: Vec<Action>,
    /// After a match no rule of lower rank is looked at.
    pub stop: bool,
    /// Messages with the verdict that is expected of this rule.
    pub tests: Vec<RuleTest>,
    /// For people.
    pub description: Option<String>,
    /// The rule as canonical JSON: [`crate::parse`] of it gives this rule again, but for spans.
    pub source: String,
    /// Where it starts in the text it was read from.
    pub span: Span,
}

/// A message and whether the rule should fire for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTest {
    /// A JSON object.
    pub message: String,
    /// What is expected.
    pub fires: bool,
    /// Where it starts.
    pub span: Span,
}

/// A tree of conditions.
#[derive(Clone, Debug)]
pub enum Condition {
    /// All of them hold. The predicates that stand directly in one such group and share an array
    /// hold for the same element of it.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// None holds.
    None(Vec<Condition>),
    /// One question about one field.
    Predicate(Predicate),
    /// A question that is calculated.
    Expression(ExpressionCondition),
}

/// `expr: ${ … }`: it holds when the expression is true; not when it is false, or something else, or
/// has no value.
#[derive(Clone, Debug)]
pub struct ExpressionCondition {
    /// It sees the message, as `msg`.
    pub(crate) expression: expr::Expression,
    /// Where its text stands.
    pub span: Span,
}

/// One question about one field.
#[derive(Clone, Debug)]
pub struct Predicate {
    /// Which field.
    pub field: FieldPath,
    /// Of which of the field's values, where there are several.
    pub(crate) quantifier: Quantifier,
    /// What of it.
    pub(crate) operator: Operator,
    /// What looks odd, for the linter.
    pub(crate) doubt: Option<Doubt>,
    /// Where the value stands, or the predicate if it has none.
    pub span: Span,
}

/// For which values of a field a predicate must hold, where arrays lead to several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Quantifier {
    /// For at least one.
    #[default]
    Any,
    /// For all of them, and there is one.
    All,
    /// For none of them; there may be none.
    None,
}

/// Legal, but probably not what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// `greater_than: "1000"`: read as a number.
    QuotedNumberOrdered,
    /// `equals: "1000"`: equals only text.
    QuotedNumberEqual,
    /// `in: []`.
    NeverHolds,
    /// `not_in: []`.
    HoldsIfPresent,
}

impl Rule {
    /// The rules that must hold for this one to match, besides its own conditions. One may be named
    /// twice.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        self.continue_from.iter().chain(&self.requires).map(String::as_str)
    }

    /// Whether it neither needs other rules nor changes what is seen of the message, and its actions
    /// calculate nothing.
    pub fn is_plain(&self) -> bool {
        self.needs().next().is_none()
            && self.enrich.is_empty()
            && !self.actions.is_empty()
            && self.actions.iter().all(Action::is_plain)
    }
}

impl Condition {
    /// Calls `visit` for every predicate, in the order of the text. Recursion: bounded by the
    /// nesting of the text.
    pub(crate) fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a Predicate)) {
        match self {
            Self::All(conditions) | Self::Any(conditions) | Self::None(conditions) => {
                for condition in conditions {
                    condition.visit(visit);
                }
            }
            Self::Predicate(predicate) => visit(predicate),
            Self::Expression(_) => {}
        }
    }
}
