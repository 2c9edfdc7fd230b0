//! Values: the constants of a rule, and what a message holds.

use crate::hash;
use crate::number::{Constant, Number};
use crate::scan::{Cell, CellKind, Tape};
use document::{Kind, Node};
use std::cmp::Ordering;

/// A constant of a rule that a single value can equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Constant),
    Text(Box<str>),
}

/// A value of a message. Arrays are not among them: their elements are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'m> {
    Null,
    Bool(bool),
    Number(Number<'m>),
    /// UTF-8, escapes resolved.
    Text(&'m [u8]),
    Object,
}

impl Value {
    /// `None` for lists and maps.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        match &node.kind {
            Kind::Null => Some(Self::Null),
            Kind::Bool(value) => Some(Self::Bool(*value)),
            Kind::Int(_) | Kind::Number(_) | Kind::Float(_) => {
                Some(Self::Number(Constant::of(&node.to_json())))
            }
            Kind::Text { value, .. } => Some(Self::Text(value.as_str().into())),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    pub(crate) fn equals(&self, seen: &Seen<'_>) -> bool {
        match (self, seen) {
            (Self::Null, Seen::Null) => true,
            (Self::Bool(own), Seen::Bool(other)) => own == other,
            (Self::Number(own), Seen::Number(other)) => own.number().compare(other).is_eq(),
            (Self::Text(own), Seen::Text(other)) => hash::same(own.as_bytes(), other),
            _ => false,
        }
    }
}

/// The constants of `in` and `not_in`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Values {
    all: Box<[Value]>,
    /// The [`hash::word`]s of the short texts among them: mostly they are all there is, and stand together.
    words: Box<[u64]>,
}

impl Values {
    pub(crate) fn has(&self, seen: &Seen<'_>) -> bool {
        match seen {
            Seen::Text(text) if text.len() <= hash::WORD_BYTES => {
                self.words.contains(&hash::word(text))
            }
            _ => self.all.iter().any(|value| value.equals(seen)),
        }
    }
}

impl From<Vec<Value>> for Values {
    fn from(all: Vec<Value>) -> Self {
        let words = all.iter().filter_map(|value| match value {
            Value::Text(text) if text.len() <= hash::WORD_BYTES => {
                Some(hash::word(text.as_bytes()))
            }
            _ => None,
        });
        Self { words: words.collect(), all: all.into() }
    }
}

impl std::ops::Deref for Values {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.all
    }
}

impl<'m> Seen<'m> {
    /// What a cell holds; `None` for an array.
    #[inline]
    pub(crate) fn of(tape: &'m Tape, message: &'m [u8], cell: &Cell) -> Option<Self> {
        Some(match cell.kind {
            CellKind::Null => Self::Null,
            CellKind::Bool(value) => Self::Bool(value),
            CellKind::Number => {
                Self::Number(Number { double: cell.double(), text: tape.text(message, cell) })
            }
            CellKind::Text | CellKind::Unescaped => Self::Text(tape.text(message, cell)),
            CellKind::Object => Self::Object,
            CellKind::Array => return None,
        })
    }
}

/// A constant that values can lie above or below.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bound {
    Number(Constant),
    /// Compared bytewise, which for UTF-8 is the order of code points.
    Text(Box<str>),
}

impl Bound {
    /// Where a value lies; `None` if it is not of the bound's kind.
    pub(crate) fn place(&self, seen: &Seen<'_>) -> Option<Ordering> {
        match (self, seen) {
            (Self::Number(own), Seen::Number(other)) => Some(other.compare(&own.number())),
            (Self::Text(own), Seen::Text(other)) => Some((*other).cmp(own.as_bytes())),
            _ => None,
        }
    }

    /// Where another bound lies; `None` if it is not of the same kind.
    pub(crate) fn place_of(&self, other: &Self) -> Option<Ordering> {
        match other {
            Self::Number(number) => self.place(&Seen::Number(number.number())),
            Self::Text(text) => self.place(&Seen::Text(text.as_bytes())),
        }
    }
}
