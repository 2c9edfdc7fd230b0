//! Which parts of the node work.
//!
//! Invariants:
//! - a node is ready when no part is DOWN; a part is DOWN until it says otherwise;
//! - the node's state is that of its worst part.

use crate::json;
use base::UnixMicros;
use std::collections::BTreeMap;

/// How a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It works.
    Up,
    /// It works, worse than it should.
    Degraded,
    /// It does not work.
    Down,
}

impl State {
    /// Its name in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Degraded => "DEGRADED",
            Self::Down => "DOWN",
        }
    }
}

/// What is known of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// How it does.
    pub state: State,
    /// Why, in words; empty when there is nothing to say.
    pub message: String,
    /// Since when it does so.
    pub since: UnixMicros,
}

/// What is known of all parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    checks: BTreeMap<&'static str, Check>,
}

impl Health {
    /// A node whose `parts` have yet to come up.
    pub fn starting(parts: &[&'static str], at: UnixMicros) -> Self {
        let mut health = Self::default();
        for part in parts {
            health.set(part, State::Down, "starting", at);
        }
        health
    }

    /// `part` does so from `at` on. As long as its state stays the same, so does its time.
    pub fn set(&mut self, part: &'static str, state: State, message: &str, at: UnixMicros) {
        let fresh = || Check { state, message: String::new(), since: at };
        let check = self.checks.entry(part).or_insert_with(fresh);
        if check.state != state {
            check.state = state;
            check.since = at;
        }
        if check.message != message {
            message.clone_into(&mut check.message);
        }
    }

    /// Takes in what another core knows. Of a part that both know, the worse word counts.
    pub fn absorb(&mut self, other: &Self) {
        for (part, theirs) in &other.checks {
            match self.checks.get_mut(part) {
                Some(mine) if mine.state >= theirs.state => {}
                _ => {
                    self.checks.insert(part, theirs.clone());
                }
            }
        }
    }

    /// What is known of `part`.
    pub fn check(&self, part: &str) -> Option<&Check> {
        self.checks.get(part)
    }

    /// The state of the worst part; DOWN when nothing is known.
    pub fn state(&self) -> State {
        self.checks.values().map(|check| check.state).max().unwrap_or(State::Down)
    }

    /// Whether requests may be sent here.
    pub fn is_ready(&self) -> bool {
        self.state() != State::Down
    }

    /// The answer to `GET /health/live`: that it comes is what it says.
    pub fn live_body() -> &'static [u8] {
        b"{\"status\":\"UP\"}"
    }

    /// The answer to `GET /health/ready`: its HTTP status, 200 or 503, and its body.
    pub fn ready(&self, out: &mut Vec<u8>) -> u16 {
        json::object(out, |o| {
            o.text("status", self.state().as_str());
            o.object("checks", |checks| {
                for (part, check) in &self.checks {
                    checks.object(part, |o| {
                        o.text("status", check.state.as_str());
                        if !check.message.is_empty() {
                            o.text("message", &check.message);
                        }
                        o.time("since", Some(check.since));
                    });
                }
            });
        });
        if self.is_ready() { 200 } else { 503 }
    }
}

#[cfg(test)]
mod tests;
