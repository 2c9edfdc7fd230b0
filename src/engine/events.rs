//! What happened on a node that an operator may want to know at once: a bounded log in memory, kept
//! by core 0, read in pages.
//!
//! Invariants:
//! - numbers count from 1 since the node's start, without a gap;
//! - at most [`EVENTS_MAX`] events of [`BYTES_MAX`] together are kept, the newest always; what is no
//!   longer kept is counted for whoever has not read it.

use crate::globals::Edits;
use api::{CatalogueEvent, EventView, EventsQuery, EventsView, WorkerEvent};
use base::{BootId, InstanceId, NodeId, UnixMicros, WorkerId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events that are kept: hours of a quiet node.
pub(crate) const EVENTS_MAX: usize = 1_024;
/// What they may take together. Unit: bytes. A change of the catalogue can name thousands of ids.
const BYTES_MAX: usize = 1024 * 1024;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Rules were stored or deleted.
    RulesChanged {
        /// The catalogue's version with the change.
        version: u64,
        /// Which.
        edits: Arc<Edits>,
    },
    /// Definitions were stored or deleted.
    DefinitionsChanged {
        /// The catalogue's version with the change.
        version: u64,
        /// Which.
        edits: Arc<Edits>,
    },
    /// A task failed for good.
    TaskFailed {
        /// The instance.
        instance: InstanceId,
        /// Its workflow.
        workflow: String,
        /// The task.
        task: String,
        /// How often it was tried.
        attempts: u32,
        /// The last attempt's error.
        error: flow::TaskError,
    },
    /// A node leads from now on.
    LeaderElected {
        /// Which.
        node: NodeId,
        /// In which term.
        term: u64,
    },
    /// Something happened to a worker.
    Worker {
        /// Which.
        worker: WorkerId,
        /// Its name, for people.
        name: String,
        /// What.
        what: WorkerNews,
    },
}

/// What can happen to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerNews {
    /// It belongs to the cluster from now on, or another run of it does.
    Joined,
    /// It was silent for longer than its lease, or another run of it has come.
    Lost {
        /// How many tasks it had.
        tasks: u32,
    },
    /// It has ended in order.
    Left,
    /// Whether an operator wishes that it gets no more tasks.
    Drained(bool),
}

impl EventKind {
    fn bytes(&self) -> usize {
        let texts =
            |ids: &[String]| -> usize { ids.iter().map(|id| id.len() + size_of::<String>()).sum() };
        let more: usize = match self {
            Self::RulesChanged { edits, .. } | Self::DefinitionsChanged { edits, .. } => {
                [&edits.added, &edits.changed, &edits.deleted]
                    .into_iter()
                    .map(|ids| texts(ids))
                    .sum()
            }
            Self::TaskFailed { workflow, task, error, .. } => {
                workflow.len() + task.len() + error.code.len() + error.message.len()
            }
            Self::LeaderElected { .. } => 0,
            Self::Worker { name, .. } => name.len(),
        };
        size_of::<(UnixMicros, Self)>() + more
    }
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<(UnixMicros, EventKind)>,
    bytes: usize,
    /// The number of the newest event.
    last: u64,
}

impl EventLog {
    /// Adds an event.
    pub(crate) fn push(&mut self, at: UnixMicros, kind: EventKind) {
        self.bytes += kind.bytes();
        self.last += 1;
        self.events.push_back((at, kind));
        while self.events.len() > 1 && (self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX) {
            let (_, gone) = self.events.pop_front().expect("the loop saw two");
            self.bytes -= gone.bytes();
        }
    }

    /// Whether a page would have an event in it.
    pub(crate) fn has_more(&self, query: &EventsQuery) -> bool {
        self.after(query) < self.last
    }

    /// The number that the page begins behind. One that is yet to come is of an earlier run.
    fn after(&self, query: &EventsQuery) -> u64 {
        if query.after > self.last { 0 } else { query.after }
    }

    /// Writes a page.
    pub(crate) fn write(&self, start: BootId, query: &EventsQuery, out: &mut Vec<u8>) {
        let after = self.after(query);
        let dropped = self.last - self.events.len() as u64;
        let lost = dropped.saturating_sub(after);
        let skip = usize::try_from(after + lost - dropped).expect("the log is in memory");
        let page = self.events.iter().skip(skip).take(query.limit as usize);
        let named: Vec<(UnixMicros, &EventKind, Vec<&str>, Vec<&str>)> = page
            .map(|(at, kind)| {
                let (stored, deleted) = names(kind);
                (*at, kind, stored, deleted)
            })
            .collect();
        let events: Vec<EventView<'_>> = (named.iter().zip(after + lost + 1..))
            .map(|((at, kind, stored, deleted), number)| EventView {
                number,
                at: *at,
                kind: view(kind, stored, deleted),
            })
            .collect();
        // A reader that is told of a start that is not its own begins anew, from 0 on.
        let next = events.last().map_or(after, |event| event.number);
        EventsView { start: start.0, events: &events, next, lost }.write(out);
    }
}

fn names(kind: &EventKind) -> (Vec<&str>, Vec<&str>) {
    match kind {
        EventKind::RulesChanged { edits, .. } | EventKind::DefinitionsChanged { edits, .. } => {
            (edits.stored().collect(), edits.deleted.iter().map(String::as_str).collect())
        }
        EventKind::TaskFailed { .. }
        | EventKind::LeaderElected { .. }
        | EventKind::Worker { .. } => Default::default(),
    }
}

fn view<'a>(
    kind: &'a EventKind,
    stored: &'a [&'a str],
    deleted: &'a [&'a str],
) -> api::EventKind<'a> {
    let change = |version| CatalogueEvent { version, stored, deleted };
    match kind {
        EventKind::RulesChanged { version, .. } => api::EventKind::RulesChanged(change(*version)),
        EventKind::DefinitionsChanged { version, .. } => {
            api::EventKind::DefinitionsChanged(change(*version))
        }
        EventKind::TaskFailed { instance, workflow, task, attempts, error } => {
            api::EventKind::TaskFailed {
                instance: *instance,
                workflow,
                task,
                attempts: *attempts,
                code: &error.code,
                message: &error.message,
            }
        }
        EventKind::LeaderElected { node, term } => {
            api::EventKind::LeaderElected { node: *node, term: *term }
        }
        EventKind::Worker { worker, name, what } => {
            let worker = WorkerEvent { worker: *worker, name };
            match *what {
                WorkerNews::Joined => api::EventKind::WorkerJoined(worker),
                WorkerNews::Lost { tasks } => api::EventKind::WorkerLost { worker, tasks },
                WorkerNews::Left => api::EventKind::WorkerLeft(worker),
                WorkerNews::Drained(true) => api::EventKind::WorkerDrained(worker),
                WorkerNews::Drained(false) => api::EventKind::WorkerResumed(worker),
            }
        }
    }
}

#[cfg(test)]
mod tests;
