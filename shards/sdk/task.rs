//! What a task knows of itself, and what it may ask its node for.

use crate::raw::Node;
use abi::LOG_LEVELS;
use std::fmt;
use std::time::Duration;

/// A task, while it runs.
pub struct Task<'a> {
    pub(crate) instance: &'a str,
    pub(crate) workflow: &'a str,
    pub(crate) id: &'a str,
    pub(crate) idempotency_key: &'a str,
    pub(crate) trace: &'a str,
    pub(crate) attempt: u32,
    pub(crate) timeout_ms: u64,
    pub(crate) node: Node<'a>,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// What should not have happened.
    Warn,
    /// What somebody has to look after.
    Error,
}

impl Task<'_> {
    /// The workflow's instance.
    pub fn instance(&self) -> &str {
        self.instance
    }

    /// The workflow's definition.
    pub fn workflow(&self) -> &str {
        self.workflow
    }

    /// The task's id in it.
    pub fn id(&self) -> &str {
        self.id
    }

    /// The same for every attempt: to be passed on to whatever has effects, as a task may be run more
    /// than once.
    pub fn idempotency_key(&self) -> &str {
        self.idempotency_key
    }

    /// A W3C traceparent, or empty.
    pub fn trace(&self) -> &str {
        self.trace
    }

    /// From 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What was left when the task began. `None`: there is no limit.
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms))
    }

    /// Whether the result is not wanted any more. Whoever returns soon then saves its process from
    /// being killed.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Writes a line to the node's log.
    pub fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Debug => LOG_LEVELS[0],
            Level::Info => LOG_LEVELS[1],
            Level::Warn => LOG_LEVELS[2],
            Level::Error => LOG_LEVELS[3],
        };
        self.node.log(level, line);
    }

    /// Writes a line of [`Level::Info`].
    pub fn info(&self, line: &str) {
        self.log(Level::Info, line);
    }

    /// Writes a line of [`Level::Warn`].
    pub fn warn(&self, line: &str) {
        self.log(Level::Warn, line);
    }
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("instance", &self.instance())
            .field("task", &self.id())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
