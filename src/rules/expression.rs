//! What an expression sees of a message: values that are made when it asks for them, of the cells
//! that the scanner has found, never of the document as a whole unless it asks for that.
//!
//! Numbers, truth values and null are made without an allocation. Texts, lists and maps are made of
//! their bytes, by the reader that all workflow data comes through, and kept for the message: who
//! asks again gets the same one.
//!
//! # Invariants
//! - An expression sees of a message what it would see of [`Value::parse_json`] of it; where that
//!   refuses a number (no double is near `1e400`), what holds the number is not there.

use crate::paths::{PathIndex, Paths};
use crate::scan::{Cell, CellKind, Tape};
use base::FixedState;
use expr::{Found, Scope, Value};
use hashbrown::HashMap;
use std::cell::RefCell;

/// The one name that an expression of a rule begins with.
pub(crate) const MESSAGE: &str = "msg";

/// The texts, lists and maps that were made of a message, by their cells.
#[derive(Debug, Default)]
pub(crate) struct Built(RefCell<HashMap<u32, Value, FixedState>>);

impl Built {
    /// For the next message.
    #[inline]
    pub(crate) fn clear(&mut self) {
        let built = self.0.get_mut();
        if !built.is_empty() {
            built.clear();
        }
    }

    fn get_or_make(&self, cell: u32, make: impl FnOnce() -> Option<Value>) -> Option<Value> {
        if let Some(value) = self.0.borrow().get(&cell) {
            return Some(value.clone());
        }
        let value = make()?;
        self.0.borrow_mut().insert(cell, value.clone());
        Some(value)
    }
}

/// A message that was scanned, as `msg`.
pub(crate) struct MessageScope<'m> {
    paths: &'m Paths,
    tape: &'m Tape,
    message: &'m [u8],
}

impl<'m> MessageScope<'m> {
    /// `paths` are those that the tape was made with, or the fewer that they grew from.
    pub(crate) fn new(paths: &'m Paths, tape: &'m Tape, message: &'m [u8]) -> Self {
        Self { paths, tape, message }
    }

    fn value(&self, at: u32) -> Option<Value> {
        let cell = self.tape.cell(at);
        match cell.kind {
            CellKind::Null => Some(Value::Null),
            CellKind::Bool(value) => Some(Value::Bool(value)),
            CellKind::Number => number(self.text(cell)?),
            CellKind::Text | CellKind::Unescaped => {
                self.tape.built().get_or_make(at, || Some(Value::text(self.text(cell)?)))
            }
            CellKind::Object | CellKind::Array => self
                .tape
                .built()
                .get_or_make(at, || Value::parse_json(self.tape.text(self.message, cell)).ok()),
        }
    }

    fn text(&self, cell: &Cell) -> Option<&'m str> {
        std::str::from_utf8(self.tape.text(self.message, cell)).ok()
    }
}

impl Scope for MessageScope<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        let (root, names) = path.split_first()?;
        if *root != MESSAGE {
            return None;
        }
        // Nothing but objects is walked through, so a cell that is reached is the only one of its
        // path but for its own elements, which come behind it.
        let (mut node, mut at) = (PathIndex::ROOT, 0);
        for (depth, name) in names.iter().enumerate() {
            let child = match self.tape.cell(at).kind {
                CellKind::Object => self.paths.child(node, name.as_bytes()),
                // Has no fields, as the evaluation will find.
                _ => None,
            };
            let Some(child) = child else {
                return Some(Found::owned(self.value(at)?, depth + 1));
            };
            (node, at) = (child, self.tape.first(child)?);
        }
        Some(Found::owned(self.value(at)?, path.len()))
    }
}

/// As [`Value::parse_json`] reads a number. `None`: no double is near it.
fn number(text: &str) -> Option<Value> {
    let is_whole = !text.contains(['.', 'e', 'E']);
    if is_whole && let Ok(number) = text.parse::<i64>() {
        return Some(Value::Int(number));
    }
    if is_whole && let Ok(number) = text.parse::<u64>() {
        return Some(Value::from(number));
    }
    Value::double(text.parse().ok()?)
}

#[cfg(test)]
mod tests;
