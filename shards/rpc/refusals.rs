//! What is said against callers that are turned away.
//!
//! Invariant: a reason is said once, however often and from wherever it is given, until it is forgotten.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;

#[cfg(test)]
mod tests;

/// Reasons that are remembered. Beyond it all are forgotten: callers make them up.
const REASONS_MAX: usize = 32;

/// Reasons why callers of a door were turned away.
#[derive(Debug)]
pub struct Refusals {
    door: &'static str,
    said: RefCell<BTreeSet<String>>,
}

impl Refusals {
    /// Of the door that is for these: `peers`.
    pub fn new(door: &'static str) -> Self {
        Self { door, said: RefCell::default() }
    }

    /// What to say of it; nothing when that was said before. The caller's port is left out: it is
    /// another one every time.
    pub fn notice(&self, caller: SocketAddr, reason: String) -> Option<String> {
        let mut said = self.said.borrow_mut();
        if said.len() >= REASONS_MAX {
            said.clear();
        }
        let (door, caller) = (self.door, caller.ip());
        let text =
            format!("connections from {caller} to the address for {door} are refused: {reason}");
        said.insert(reason).then_some(text)
    }

    /// All of them may be said again.
    pub fn forget(&self) {
        self.said.borrow_mut().clear();
    }
}
