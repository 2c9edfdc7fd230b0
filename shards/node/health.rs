//! How the parts of the node do: each core says so of its own, a probe hears the worst.
//!
//! | part | is down | is degraded |
//! | --- | --- | --- |
//! | `raft` | while the node belongs to no cluster; while the log is read; while nobody is known to lead | |
//! | `state` | until a core's state is whole | |
//! | `storage` | while the log is read; when the journal has no room for the largest request | when the disk has none for another segment |
//! | `stopping` | when the node stops | |
//! | `workers` | | when there was one once, and none is there now that gets tasks |
//!
//! Invariants:
//! - a core that has nothing new to say takes no lock;
//! - a probe is answered whatever the cores do, since it asks none of them.

use api::Response;
use base::{CoreId, UnixMicros};
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use telemetry::{Health, State};

/// What the node's cores have said.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    cores: Arc<[Mutex<Health>]>,
}

impl Board {
    /// A node that starts, on so many cores. The first one keeps the log.
    pub(crate) fn new(cores: usize, at: UnixMicros) -> Self {
        let parts = |core| match core {
            0 => &["raft", "state", "storage", "stopping"][..],
            _ => &["state"][..],
        };
        let cores = (0..cores).map(|core| Mutex::new(Health::starting(parts(core), at)));
        Self { cores: cores.collect() }
    }

    /// The node belongs to no cluster yet, so there is no log to read.
    pub(crate) fn say_waiting(&self, at: UnixMicros) {
        let mut health = self.cores[0].lock().unwrap_or_else(PoisonError::into_inner);
        health.set("raft", State::Down, "the node waits to belong to a cluster", at);
    }

    /// The answer to `GET /health/ready`.
    pub(crate) fn ready(&self) -> Response {
        let mut health = Health::default();
        for core in &*self.cores {
            health.absorb(&core.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let mut body = Vec::new();
        let status = health.ready(&mut body);
        Response::json(status, body)
    }
}

/// What the log's core knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogFacts {
    /// This node leads, or knows who does.
    pub(crate) has_leader: bool,
    pub(crate) has_space: bool,
    pub(crate) is_disk_full: bool,
}

/// What a core knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its state is whole.
    pub(crate) serving: bool,
    pub(crate) stopping: bool,
    /// None where the log is not, and while it is read.
    pub(crate) log: Option<LogFacts>,
    /// Whether a worker is there that gets tasks. None where there never was one, and on other cores
    /// than the first.
    pub(crate) has_workers: Option<bool>,
}

/// A core's pen.
#[derive(Debug)]
pub(crate) struct Reporter {
    board: Board,
    core: CoreId,
    said: Cell<Option<Facts>>,
}

impl Reporter {
    pub(crate) fn new(board: &Board, core: CoreId) -> Self {
        Self { board: board.clone(), core, said: Cell::new(None) }
    }

    /// So it is now; `at` is asked for only when that is news.
    pub(crate) fn report(&self, facts: Facts, at: impl FnOnce() -> UnixMicros) {
        if self.said.replace(Some(facts)) == Some(facts) {
            return;
        }
        let at = at();
        let mine = &self.board.cores[usize::from(self.core.0)];
        let mut health = mine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut set = |part, state, why| {
            health.set(part, state, if state == State::Up { "" } else { why }, at);
        };
        let up_if = |is_up| if is_up { State::Up } else { State::Down };
        set("state", up_if(facts.serving), "the log is being read");
        if self.core == crate::core::CONSENSUS {
            set("stopping", up_if(!facts.stopping), "the node is stopping");
        }
        if let Some(has_workers) = facts.has_workers {
            // The node does all else that it is for.
            let state = if has_workers { State::Up } else { State::Degraded };
            set("workers", state, "no worker is there that gets tasks: those of plugins wait");
        }
        if let Some(log) = facts.log {
            set("raft", up_if(log.has_leader), "no coordinator is known to lead");
            match (log.has_space, log.is_disk_full) {
                (false, _) => set("storage", State::Down, "the journal's disk is full"),
                (true, true) => {
                    let why = "the disk has no room for another segment of the journal";
                    set("storage", State::Degraded, why);
                }
                (true, false) => set("storage", State::Up, ""),
            }
        }
    }
}

#[cfg(test)]
mod tests;
