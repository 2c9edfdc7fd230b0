//! A workflow as it was loaded: checked, its expressions parsed, its graph drawn.
//!
//! Invariants:
//! - a definition that exists is sound: [`parse`](crate::parse) refuses everything else;
//! - `source` alone makes the definition again, and `hash` is the hash of `source`.

use crate::graph::Graph;
use crate::retry::Retry;
use expr::{Expression, Template, Tree};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A task's place in its definition, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIndex(pub u16);

impl TaskIndex {
    pub(crate) fn new(index: usize) -> Self {
        Self(u16::try_from(index).expect("a workflow has at most TASKS_MAX tasks"))
    }

    /// The place as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for TaskIndex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What the failure of a task does to the rest of the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Only tasks with `run_if: failure` or `always` are started from then on.
    Stop,
    /// Only what comes after the failed task is affected.
    Continue,
}

/// Under which endings of the tasks before it a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunIf {
    /// None of them failed and at least one succeeded, or there are none.
    Success,
    /// Something before it failed.
    Failure,
    /// All of them have ended.
    Always,
}

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// Something to look at.
    Warn,
    /// Something that went wrong.
    Error,
}

impl Level {
    pub(crate) const NAMES: [&'static str; 4] = ["debug", "info", "warn", "error"];

    /// The text form.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            _ => return None,
        })
    }
}

/// One case of a `branch`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) when: Expression,
    pub(crate) then: Tree,
}

/// What a task does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Its output is `with`.
    Transform { with: Tree },
    /// Its output is the `then` of the first case that holds.
    Branch { cases: Vec<Case>, otherwise: Option<Tree> },
    /// It fails.
    Fail { code: Template, message: Template },
    /// It writes a line of the log.
    Log { level: Level, message: Template, fields: Option<Tree> },
    /// It completes when the time is over.
    Delay { span: Span },
    /// It calls a server.
    Http { with: Tree },
    /// A plugin does it, on a worker.
    Plugin(PluginWork),
}

/// What a plugin is to do.
#[derive(Clone, Debug)]
pub(crate) struct PluginWork {
    /// Its name, which is the task's type.
    pub(crate) plugin: Arc<str>,
    /// What it is set up with, as JSON: the same for every run.
    pub(crate) config: Arc<str>,
    /// Where that stands in the text that it was read from.
    pub(crate) config_at: document::Span,
    /// What it is given.
    pub(crate) with: Tree,
    /// What goes first where several wait for a worker.
    pub(crate) priority: u8,
}

/// How long a `delay` lasts.
#[derive(Clone, Debug)]
pub(crate) enum Span {
    /// Known when the workflow is loaded.
    Fixed(Duration),
    /// Known when the task runs.
    Computed(Template),
}

impl Work {
    /// Every built-in type, as it is written.
    pub(crate) const TYPES: [&'static str; 6] =
        ["transform", "branch", "fail", "log", "delay", "http"];

    pub(crate) fn type_name(&self) -> &str {
        match self {
            Self::Transform { .. } => "transform",
            Self::Branch { .. } => "branch",
            Self::Fail { .. } => "fail",
            Self::Log { .. } => "log",
            Self::Delay { .. } => "delay",
            Self::Http { .. } => "http",
            Self::Plugin(work) => &work.plugin,
        }
    }

    /// Whether it is carried out outside of the state machine, by whoever gets its order.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self, Self::Http { .. } | Self::Plugin(_))
    }

    /// Whether a worker carries it out: it waits until one has room.
    pub(crate) fn is_assigned(&self) -> bool {
        matches!(self, Self::Plugin(_))
    }
}

/// One task of a workflow.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name within the workflow.
    pub id: String,
    /// Under which endings of the tasks before it it runs.
    pub run_if: RunIf,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    pub(crate) work: Work,
    pub(crate) when: Option<Expression>,
    pub(crate) retry: Option<Retry>,
}

impl Task {
    /// Its type as it is written: `http`, or the name of a plugin.
    pub fn type_name(&self) -> &str {
        self.work.type_name()
    }

    /// The plugin that carries it out and what that is set up with, as JSON; none for the types that
    /// are built in.
    pub fn plugin(&self) -> Option<(&str, &str)> {
        match &self.work {
            Work::Plugin(work) => Some((&work.plugin, &work.config)),
            _ => None,
        }
    }

    /// Where what its plugin is set up with stands in the text that it was read from; where the task
    /// does, if it says nothing of that.
    pub fn config_at(&self) -> Option<document::Span> {
        match &self.work {
            Work::Plugin(work) => Some(work.config_at),
            _ => None,
        }
    }
}

/// A workflow that can be run.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub id: String,
    /// Which edition of it.
    pub version: u32,
    /// How long an instance may take.
    pub timeout: Option<Duration>,
    /// What the failure of a task does to the rest.
    pub on_failure: OnFailure,
    /// The tasks in the order in which they are written.
    pub tasks: Vec<Task>,
    /// The definition as canonical JSON, from which it can be loaded again.
    pub source: String,
    /// The hash of `source`: an instance is continued only by the definition that started it.
    pub hash: u64,
    pub(crate) output: Option<Tree>,
    pub(crate) default_retry: Option<Retry>,
    pub(crate) graph: Graph,
    /// The tasks ordered by id.
    pub(crate) by_id: Vec<TaskIndex>,
}

impl Definition {
    /// The task named `id`.
    pub fn task(&self, id: &str) -> Option<TaskIndex> {
        let name = |task: &TaskIndex| self.tasks[task.index()].id.as_str();
        let place = self.by_id.binary_search_by(|task| name(task).cmp(id)).ok()?;
        Some(self.by_id[place])
    }

    /// The names of the tasks that `task` waits for.
    pub fn depends_on(&self, task: TaskIndex) -> impl Iterator<Item = &str> {
        self.graph.dependencies(task).iter().map(|before| self.tasks[before.index()].id.as_str())
    }
}
