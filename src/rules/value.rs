//! Values: the constants of a rule, and what a message holds.

use crate::number::{Constant, Number};
use crate::scan::{Cell, CellKind, Tape};
use base::hash64;
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
    Text(&'m str),
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
            (Self::Text(own), Seen::Text(other)) => **own == **other,
            _ => false,
        }
    }

    pub(crate) fn seen(&self) -> Seen<'_> {
        match self {
            Self::Null => Seen::Null,
            Self::Bool(value) => Seen::Bool(*value),
            Self::Number(number) => Seen::Number(number.number()),
            Self::Text(text) => Seen::Text(text),
        }
    }
}

impl<'m> Seen<'m> {
    /// What a cell holds; `None` for an array.
    pub(crate) fn of(tape: &'m Tape, message: &'m str, cell: &Cell) -> Option<Self> {
        Some(match cell.kind {
            CellKind::Null => Self::Null,
            CellKind::Bool(value) => Self::Bool(value),
            CellKind::Number(short) => {
                Self::Number(Number { short, text: tape.text(message, cell) })
            }
            CellKind::Text | CellKind::Unescaped => Self::Text(tape.text(message, cell)),
            CellKind::Object => Self::Object,
            CellKind::Array => return None,
        })
    }

    /// The same for equal values; `None` for what no hash is kept of: objects, which equal no
    /// constant, and numbers too long for their short form.
    pub(crate) fn hash(&self) -> Option<u64> {
        Some(match self {
            Self::Null => 1,
            Self::Bool(value) => 2 + u64::from(*value),
            Self::Number(number) => {
                let short = number.short?;
                let exponent = (short.exponent << 1 | i64::from(short.negative)).cast_unsigned();
                let mixed = short.significand ^ exponent.rotate_left(48);
                mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mixed.rotate_left(32)
            }
            Self::Text(text) => hash64(text.as_bytes()),
            Self::Object => return None,
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
            (Self::Text(own), Seen::Text(other)) => Some((**other).cmp(&**own)),
            _ => None,
        }
    }

    /// Where another bound lies; `None` if it is not of the same kind.
    pub(crate) fn place_of(&self, other: &Self) -> Option<Ordering> {
        match other {
            Self::Number(number) => self.place(&Seen::Number(number.number())),
            Self::Text(text) => self.place(&Seen::Text(text)),
        }
    }
}
