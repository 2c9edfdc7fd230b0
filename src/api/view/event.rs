//! `GET /api/v1/events`

use crate::json::{self, Object};
use base::{InstanceId, NodeId, UnixMicros, WorkerId};

/// What happened on a node that an operator may want to know at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView<'a> {
    /// Counts from 1 since the node's start, without a gap.
    pub number: u64,
    /// When.
    pub at: UnixMicros,
    /// What.
    pub kind: EventKind<'a>,
}

/// The kinds of events. Fields are added, never taken away or given another meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind<'a> {
    /// Rules were stored or deleted.
    RulesChanged(CatalogueEvent<'a>),
    /// Definitions were stored or deleted.
    DefinitionsChanged(CatalogueEvent<'a>),
    /// A task failed for good: no attempt is left, or none may be made.
    TaskFailed {
        /// The instance.
        instance: InstanceId,
        /// Its workflow.
        workflow: &'a str,
        /// The task.
        task: &'a str,
        /// How often it was tried.
        attempts: u32,
        /// The last attempt's error.
        code: &'a str,
        /// The same in words.
        message: &'a str,
    },
    /// A node leads from now on.
    LeaderElected {
        /// Which.
        node: NodeId,
        /// In which term.
        term: u64,
    },
    /// A worker belongs to the cluster from now on, or another run of it does.
    WorkerJoined(WorkerEvent<'a>),
    /// A worker was silent for longer than its lease, or another run of it has come.
    WorkerLost {
        /// Which.
        worker: WorkerEvent<'a>,
        /// How many tasks it had: others get them.
        tasks: u32,
    },
    /// A worker has ended in order.
    WorkerLeft(WorkerEvent<'a>),
    /// An operator wishes that a worker gets no more tasks.
    WorkerDrained(WorkerEvent<'a>),
    /// It gets tasks again.
    WorkerResumed(WorkerEvent<'a>),
}

/// A worker that something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerEvent<'a> {
    /// Its id.
    pub worker: WorkerId,
    /// Its name, for people.
    pub name: &'a str,
}

/// A change of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEvent<'a> {
    /// The catalogue's version with the change.
    pub version: u64,
    /// Ids that were added or replaced.
    pub stored: &'a [&'a str],
    /// Ids that were removed.
    pub deleted: &'a [&'a str],
}

impl EventKind<'_> {
    /// Its name in an answer.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::RulesChanged(_) => "rules_changed",
            Self::DefinitionsChanged(_) => "definitions_changed",
            Self::TaskFailed { .. } => "task_failed",
            Self::LeaderElected { .. } => "leader_elected",
            Self::WorkerJoined(_) => "worker_joined",
            Self::WorkerLost { .. } => "worker_lost",
            Self::WorkerLeft(_) => "worker_left",
            Self::WorkerDrained(_) => "worker_drained",
            Self::WorkerResumed(_) => "worker_resumed",
        }
    }

    fn write(&self, o: &mut Object<'_>) {
        match self {
            Self::RulesChanged(change) | Self::DefinitionsChanged(change) => {
                o.number("version", change.version);
                o.texts("stored", change.stored);
                o.texts("deleted", change.deleted);
            }
            Self::TaskFailed { instance, workflow, task, attempts, code, message } => {
                o.display("instance", instance);
                o.text("workflow", workflow);
                o.text("task", task);
                o.number("attempts", u64::from(*attempts));
                o.text("code", code);
                o.text("message", message);
            }
            Self::LeaderElected { node, term } => {
                o.number("node", node.0);
                o.number("term", *term);
            }
            Self::WorkerLost { worker, tasks } => {
                worker.write(o);
                o.number("tasks", u64::from(*tasks));
            }
            Self::WorkerJoined(worker)
            | Self::WorkerLeft(worker)
            | Self::WorkerDrained(worker)
            | Self::WorkerResumed(worker) => worker.write(o),
        }
    }
}

impl WorkerEvent<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.display("worker", self.worker);
        o.text("name", self.name);
    }
}

/// A page of events, oldest first. It begins behind the number that was asked for; when that number
/// is yet to come it is one of an earlier run of the node, and the page begins with the oldest event
/// that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsView<'a> {
    /// The run of the node: numbers of another one mean nothing in this.
    pub start: u64,
    /// The events.
    pub events: &'a [EventView<'a>],
    /// What to ask for next: the number of the last event here, or what was asked for when there is
    /// none.
    pub next: u64,
    /// How many events behind the number asked for are no longer kept.
    pub lost: u64,
}

impl EventsView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("start", self.start);
            o.array("events", |list| {
                for event in self.events {
                    list.object(|o| {
                        o.number("number", event.number);
                        o.time("at", Some(event.at));
                        o.text("kind", event.kind.as_str());
                        event.kind.write(o);
                    });
                }
            });
            o.number("next", self.next);
            o.number("lost", self.lost);
        });
    }
}
