//! What an instance tells its driver to do, and what comes back.

use crate::definition::{Level, TaskIndex};
use crate::http::HttpRequest;
use crate::status::InstanceStatus;
use base::InstanceId;
use expr::{EvalError, Value};
use std::sync::Arc;
use std::time::Duration;
use telemetry::TraceContext;

/// What the driver of an instance is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Carry out an attempt and hand its result back. Stays outstanding until then: see
    /// [`Instance::orders`](crate::Instance::orders).
    Order(Order),
    /// Stop an attempt that was ordered, and say so with
    /// [`Instance::on_stopped`](crate::Instance::on_stopped). Its result is not wanted any more.
    Withdraw {
        /// Whose.
        instance: InstanceId,
        /// Of which task.
        task: TaskIndex,
        /// Which attempt.
        attempt: u32,
    },
    /// Write a line of the log.
    Log(LogLine),
    /// A task has failed for good: it gets no further attempt.
    TaskFailed {
        /// Whose.
        instance: InstanceId,
        /// Which task.
        task: TaskIndex,
        /// How many attempts it had.
        attempts: u32,
        /// The last one's error.
        error: TaskError,
    },
    /// The instance has ended.
    Ended {
        /// Which.
        instance: InstanceId,
        /// How.
        status: InstanceStatus,
    },
}

/// One attempt of one task, to be carried out outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Whose.
    pub instance: InstanceId,
    /// Of which task.
    pub task: TaskIndex,
    /// Which attempt, counted from 1: the result must name it.
    pub attempt: u32,
    /// What is to be done.
    pub kind: OrderKind,
    /// The same for every attempt of the task, so that the other side can drop a repeat:
    /// `instance/task`.
    pub idempotency_key: String,
    /// What the attempt's span belongs below. An instance knows of none: who keeps the message that
    /// started it adds the message's.
    pub trace: Option<TraceContext>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderKind {
    /// Call a server.
    Http(HttpRequest),
    /// Have a worker's plugin do it.
    Plugin(PluginCall),
}

/// What a plugin is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginCall {
    /// Its name.
    pub plugin: Arc<str>,
    /// What it is set up with, as JSON.
    pub config: Arc<str>,
    /// What it is given, as JSON.
    pub input: Vec<u8>,
    /// How long an attempt may take, from when a worker has it.
    pub timeout: Option<Duration>,
    /// What goes first where several wait for a worker: 0 to 9.
    pub priority: u8,
    /// The workflow's name.
    pub workflow: String,
    /// The task's name within it.
    pub task_id: String,
}

/// A line that a workflow writes to the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Whose.
    pub instance: InstanceId,
    /// Of which task.
    pub task: TaskIndex,
    /// How loud.
    pub level: Level,
    /// The text.
    pub message: String,
    /// A map, or null.
    pub fields: Value,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    /// For programs: `http_503`, `timeout`, `expression`, or what a `fail` task says.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether another attempt could do better.
    pub retryable: bool,
}

/// The code of an attempt that took too long. Whoever carries an attempt out and gives it up by its
/// own clock reports it with this code: the task then has the status `timeout`.
pub const TIMEOUT_CODE: &str = "timeout";

/// The code of a task that was lost with its worker [`LOSSES_MAX`](crate::LOSSES_MAX) times.
pub const WORKER_LOST_CODE: &str = "worker_lost";

/// The longest code of an error. Unit: bytes.
pub const ERROR_CODE_BYTES_MAX: usize = 128;

/// The longest message of an error. Unit: bytes. What is longer is cut: the beginning says it.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 2 * 1024;

impl TaskError {
    /// An error that another attempt may not meet again.
    pub fn passing(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: true }.bounded()
    }

    /// An error that every attempt would meet again.
    pub fn lasting(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false }.bounded()
    }

    /// An expression that could not be evaluated. It would fail again: all that it sees has ended.
    pub(crate) fn expression(what: &str, error: &EvalError) -> Self {
        match error {
            // What stands in place of a condition is known here by its name.
            EvalError::WrongKind { operation: "condition", kind } => {
                Self::no_value(what, &format!("it must be true or false, it is {kind}"))
            }
            error => Self::no_value(what, &error.to_string()),
        }
    }

    /// An expression that gave something of no use.
    pub(crate) fn no_value(what: &str, why: &str) -> Self {
        Self::lasting("expression", format!("{what}: {why}"))
    }

    /// The same with texts no longer than the bounds.
    pub(crate) fn bounded(mut self) -> Self {
        cut(&mut self.code, ERROR_CODE_BYTES_MAX);
        cut(&mut self.message, ERROR_MESSAGE_BYTES_MAX);
        self
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::map([
            ("code", Value::text(self.code.as_str())),
            ("message", Value::text(self.message.as_str())),
        ])
    }
}

/// Shortens a text to at most `bytes_max` bytes, between two characters.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

/// What became of a result that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was the awaited one and has been recorded.
    Recorded,
    /// It came after its attempt had timed out: it is not recorded, but shows that the attempt has
    /// stopped, so that the next may start.
    Stopped,
    /// Nobody waits for it (any more); nothing has changed.
    Stale,
}
