//! What a condition asks of a single value.

use crate::network::Network;
use crate::pattern::{Folded, Pattern, Wildcard};
use crate::value::{Bound, Seen, Value, Values};
use std::cmp::Ordering;

/// The operators' names in rule files.
pub const OPERATORS: [&str; 18] = [
    "equals",
    "not_equals",
    "greater_than",
    "greater_or_equal",
    "less_than",
    "less_or_equal",
    "in_range",
    "in",
    "not_in",
    "contains",
    "starts_with",
    "ends_with",
    "wildcard",
    "regex",
    "exists",
    "not_exists",
    "cidr",
    "equals_ignore_case",
];

/// Kinds are strict: a text is never equal to, above or below a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    Equals(Value),
    NotEquals(Value),
    Greater(Bound),
    GreaterOrEqual(Bound),
    Less(Bound),
    LessOrEqual(Bound),
    InRange {
        low: Option<End>,
        high: Option<End>,
    },
    In(Values),
    NotIn(Values),
    /// Part of a text; or an element of an array.
    Contains(Value),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Wildcard(Wildcard),
    Regex(Pattern),
    Exists,
    NotExists,
    Cidr(Vec<Network>),
    EqualsIgnoreCase(Folded),
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub(crate) bound: Bound,
    pub(crate) included: bool,
}

impl Operator {
    /// Whether it holds for a value that is there. Only `NotExists` holds for one that is not, and
    /// for none that is.
    pub(crate) fn holds(&self, seen: &Seen<'_>, is_element: bool) -> bool {
        match self {
            Self::Equals(value) => value.equals(seen),
            Self::NotEquals(value) => !value.equals(seen),
            Self::Greater(bound) => bound.place(seen).is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual(bound) => bound.place(seen).is_some_and(Ordering::is_ge),
            Self::Less(bound) => bound.place(seen).is_some_and(Ordering::is_lt),
            Self::LessOrEqual(bound) => bound.place(seen).is_some_and(Ordering::is_le),
            Self::InRange { low, high } => {
                let is_inside = |end: &Option<End>, outward: Ordering| {
                    end.as_ref().is_none_or(|End { bound, included }| match bound.place(seen) {
                        None => false,
                        Some(Ordering::Equal) => *included,
                        Some(place) => place != outward,
                    })
                };
                is_inside(low, Ordering::Less) && is_inside(high, Ordering::Greater)
            }
            Self::In(values) => values.has(seen),
            Self::NotIn(values) => !values.has(seen),
            Self::Contains(value) => match (value, seen) {
                (Value::Text(part), Seen::Text(text)) if !is_element => {
                    memchr::memmem::find(text, part.as_bytes()).is_some()
                }
                _ => is_element && value.equals(seen),
            },
            Self::Exists => true,
            Self::NotExists => false,
            Self::StartsWith(_)
            | Self::EndsWith(_)
            | Self::Wildcard(_)
            | Self::Regex(_)
            | Self::Cidr(_)
            | Self::EqualsIgnoreCase(_) => match seen {
                Seen::Text(text) => self.holds_for_text(text),
                _ => false,
            },
        }
    }

    fn holds_for_text(&self, text: &[u8]) -> bool {
        match self {
            Self::StartsWith(part) => text.starts_with(part.as_bytes()),
            Self::EndsWith(part) => text.ends_with(part.as_bytes()),
            Self::Wildcard(wildcard) => wildcard.matches(text),
            Self::Regex(pattern) => pattern.is_match(text),
            Self::Cidr(networks) => Network::any_contains(networks, text),
            Self::EqualsIgnoreCase(folded) => folded.equals(text),
            _ => unreachable!("the other operators look at values of every kind"),
        }
    }

    /// Its name in rule files.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Equals(_) => "equals",
            Self::NotEquals(_) => "not_equals",
            Self::Greater(_) => "greater_than",
            Self::GreaterOrEqual(_) => "greater_or_equal",
            Self::Less(_) => "less_than",
            Self::LessOrEqual(_) => "less_or_equal",
            Self::InRange { .. } => "in_range",
            Self::In(_) => "in",
            Self::NotIn(_) => "not_in",
            Self::Contains(_) => "contains",
            Self::StartsWith(_) => "starts_with",
            Self::EndsWith(_) => "ends_with",
            Self::Wildcard(_) => "wildcard",
            Self::Regex(_) => "regex",
            Self::Exists => "exists",
            Self::NotExists => "not_exists",
            Self::Cidr(_) => "cidr",
            Self::EqualsIgnoreCase(_) => "equals_ignore_case",
        }
    }

    /// What it costs, roughly: the cheaper of two conditions is looked at first.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::Exists | Self::NotExists => 0,
            Self::Equals(_) | Self::NotEquals(_) => 1,
            Self::Greater(_)
            | Self::GreaterOrEqual(_)
            | Self::Less(_)
            | Self::LessOrEqual(_)
            | Self::InRange { .. }
            | Self::StartsWith(_)
            | Self::EndsWith(_) => 2,
            Self::In(_) | Self::NotIn(_) | Self::EqualsIgnoreCase(_) => 3,
            Self::Contains(_) | Self::Cidr(_) => 4,
            Self::Wildcard(_) => 5,
            Self::Regex(_) => 6,
        }
    }
}
