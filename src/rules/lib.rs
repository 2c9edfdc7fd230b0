//! Which rules a message wakes.
//!
//! [`parse`] reads rule files and says what is wrong with them; [`lint`] says what looks odd;
//! [`Catalogue::compile`] makes rules ready; a [`Matcher`] holds a message against all of them.
//!
//! # What the conditions mean
//! - Kinds are strict: `"5"` is not `5`. Numbers compare by their exact value: `1` is `1.0`, and
//!   2^53 + 1 is not 2^53. Texts compare bytewise, escapes resolved.
//! - A field that is missing satisfies `not_exists` and nothing else; `null` is not missing.
//!   `not_equals` and `not_in` need the field. A NOT group is plain negation.
//! - Arrays on the path, and at its end, are entered: a condition holds if it holds for any
//!   element. Conditions that stand directly in the same AND group and whose paths lead through
//!   the same array hold for the same element of it; a group inside a group is on its own.
//!   `not_exists` alone asks that no element has the field.
//! - An index stands for one element alone: no other is entered there, and nothing is bound by it.
//! - An expression holds when it is true. It calculates as `expr` says: what it does not find, and
//!   what it cannot calculate, is an error, and then it does not hold.
//! - `contains` looks for a part of a text, or for an element of an array.
//!
//! # Invariants
//! - Matching allocates nothing once warm, but for expressions: the texts, lists and maps that they
//!   ask for, and the texts of their errors. It takes no lock and reads the message once.
//! - Matches come by priority descending, then by id.

#![forbid(unsafe_code)]

mod access;
mod action;
mod bad_message;
mod catalogue;
mod chains;
mod enrichment;
mod explain;
mod expression;
mod hash;
mod index;
mod links;
mod lint;
mod matcher;
mod network;
mod number;
mod operator;
mod parse;
mod path;
mod paths;
mod pattern;
mod program;
mod required;
mod rule;
mod scan;
mod trial;
mod value;

pub use action::{Action, ActionError, STARTS_STEPS_MAX, Started};
pub use bad_message::{BadMessage, Found};
pub use catalogue::{Catalogue, Matches, RuleIndex};
pub use chains::{CHAIN_RULES_MAX, ChainCheck, ChainError, Dependents, Find, seen_by};
pub use enrichment::{ENRICH_BYTES_MAX, ENRICH_FIELDS_MAX, Enriched, Enrichment};
pub use explain::{Explained, Explanation, Need, Seen, explain};
pub use lint::{Findings, lint};
pub use matcher::Matcher;
pub use operator::OPERATORS;
pub use parse::{ACTIONS_MAX, REQUIRES_MAX, parse};
pub use path::{FieldPath, FieldPathError, PathStep};
pub use rule::{Condition, ExpressionCondition, Predicate, Rule, RuleTest};
pub use trial::{FailedTest, failed_tests};

#[cfg(test)]
mod guide {
    mod tests;
}

#[cfg(test)]
mod oracle {
    mod chains;
    mod formula;
    pub(crate) mod json;
    pub(crate) mod naive;
    mod random;
    mod tests;
    pub(crate) mod texts;
    pub(crate) mod tree;
    mod world;

    use crate::{BadMessage, Catalogue, Matcher, Matches, Rule, parse};
    use base::Prng;
}

#[cfg(test)]
mod semantics {
    mod tests;
}
