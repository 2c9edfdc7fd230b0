//! One run of a workflow.
//!
//! Invariants:
//! - a task is decided once, when every task before it has ended, and ends once;
//! - an attempt has a number; a result is recorded only for the attempt that is under way, and at
//!   most once;
//! - after a timeout the next attempt of a task waits until the old one is known to have stopped;
//! - an instance that has ended changes no more, has no timer and no outstanding order;
//! - the same calls give the same instance, byte for byte: nothing here depends on a clock, a
//!   machine or the order of a hash map.

use crate::definition::{Definition, TaskIndex};
use crate::effect::{Effect, Order, Outcome, TaskError};
use crate::history::{Change, History, Step};
use crate::retry::RETRIES_MAX;
use crate::status::{InstanceStatus, TaskStatus};
use crate::step::Stepper;
use base::{InstanceId, Outbox, UnixMicros};
use expr::Value;
use std::time::Duration;

/// The largest output of a task, as it is held in memory. Unit: bytes. An answer of 256 KiB of JSON
/// takes about this much once it is read.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// All values of an instance together, as they are held in memory, its message included. Unit:
/// bytes. A task whose output does not fit any more fails with `too_large`.
pub const INSTANCE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A task that was lost with its worker so often fails: whatever it does, it does to workers.
pub const LOSSES_MAX: u32 = 5;

/// The start of an instance.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Its name.
    pub id: InstanceId,
    /// The workflow.
    pub definition: &'a Definition,
    /// What it is given: the message that caused it, or what the rule's action makes of that.
    /// `input` and `msg` in expressions.
    pub message: Value,
    /// What the rule's action hands over: `params` in expressions.
    pub params: Value,
    /// The stamp.
    pub now: UnixMicros,
    /// The rule action's timeout, which goes before the workflow's own.
    pub timeout: Option<Duration>,
    /// The rule action's retry: how many more attempts tasks get that name no `retry` themselves.
    pub retry: Option<u32>,
}

/// Why an instance did not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The task that failed first; none where the instance as a whole did.
    pub task: Option<TaskIndex>,
    /// Its error.
    pub error: TaskError,
}

impl Failure {
    pub(crate) fn to_value(&self, definition: &Definition) -> Value {
        let task = self
            .task
            .map_or(Value::Null, |task| Value::text(definition.tasks[task.index()].id.as_str()));
        Value::map([
            ("task", task),
            ("code", Value::text(self.error.code.as_str())),
            ("message", Value::text(self.error.message.as_str())),
        ])
    }
}

/// Where a task of an instance is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskState {
    pub(crate) status: TaskStatus,
    /// How many of its dependencies have not ended.
    pub(crate) waiting: u16,
    /// Whether a task before it failed or was cancelled; known once it is decided.
    pub(crate) after_failure: bool,
    /// Whether its last attempt timed out and is not yet known to have stopped.
    pub(crate) stopping: bool,
    /// The number of its last attempt; 0 before the first.
    pub(crate) attempt: u32,
    /// How many of its attempts were lost with their worker.
    pub(crate) losses: u32,
    /// How many of its attempts a worker had and did not carry out.
    pub(crate) released: u32,
    /// What it was given. Null for a `transform`, whose input is its output.
    pub(crate) input: Value,
    pub(crate) output: Value,
    /// The last attempt's error.
    pub(crate) error: Option<TaskError>,
    /// When its first attempt began.
    pub(crate) started: Option<UnixMicros>,
    pub(crate) ended: Option<UnixMicros>,
    /// When a delay is over, or the next attempt is due.
    pub(crate) wake: Option<UnixMicros>,
    /// When the attempt has taken too long.
    pub(crate) limit: Option<UnixMicros>,
}

/// One run of a workflow. Every call names the definition that it was started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) definition_hash: u64,
    pub(crate) status: InstanceStatus,
    pub(crate) message: Value,
    pub(crate) params: Value,
    pub(crate) retry: Option<u32>,
    pub(crate) started: UnixMicros,
    pub(crate) ended: Option<UnixMicros>,
    pub(crate) limit: Option<UnixMicros>,
    pub(crate) error: Option<Failure>,
    pub(crate) output: Value,
    pub(crate) tasks: Vec<TaskState>,
    /// How many tasks have not ended.
    pub(crate) open: u16,
    pub(crate) history: History,
    /// The values together, as they are held in memory. Unit: bytes.
    pub(crate) value_bytes: usize,
}

impl Instance {
    /// Starts an instance and runs every task that can run on the spot.
    pub fn start(start: Start<'_>, out: &mut Outbox<Effect>) -> Self {
        let (definition, now) = (start.definition, start.now);
        let mut instance = Self::new(start);
        Stepper::new(&mut instance, definition, now, out).start();
        instance
    }

    /// Starts an instance that ends at once as failed, because what it was to be given could not be
    /// made. No task of it is begun.
    pub fn start_failed(start: Start<'_>, error: TaskError, out: &mut Outbox<Effect>) -> Self {
        let (definition, now) = (start.definition, start.now);
        let mut instance = Self::new(start);
        Stepper::new(&mut instance, definition, now, out).refuse(error.bounded());
        instance
    }

    fn new(start: Start<'_>) -> Self {
        let Start { id, definition, message, params, now, timeout, retry } = start;
        let count = definition.tasks.len();
        let tasks = (0..count).map(|task| TaskState::new(definition, TaskIndex::new(task)));
        let value_bytes = message.bytes_estimate() + params.bytes_estimate();
        let mut instance = Self {
            id,
            definition_hash: definition.hash,
            status: InstanceStatus::Running,
            message,
            params,
            retry: retry.map(|count| count.min(RETRIES_MAX)),
            started: now,
            ended: None,
            limit: timeout.or(definition.timeout).map(|timeout| now + timeout),
            error: None,
            output: Value::Null,
            tasks: tasks.collect(),
            open: TaskIndex::new(count).0,
            history: History::with_room_for(count),
            value_bytes,
        };
        instance.history.push(now, Change::Instance(InstanceStatus::Running), None);
        instance
    }

    /// Takes the result of an attempt that was ordered.
    pub fn on_result(
        &mut self,
        definition: &Definition,
        task: TaskIndex,
        attempt: u32,
        result: Result<Value, TaskError>,
        now: UnixMicros,
        out: &mut Outbox<Effect>,
    ) -> Outcome {
        self.expect(definition);
        let Some(state) = self.tasks.get(task.index()) else { return Outcome::Stale };
        let ordered = definition.tasks[task.index()].work.is_ordered();
        if !ordered || state.attempt != attempt {
            return Outcome::Stale;
        }
        let mut stepper = Stepper::new(self, definition, now, out);
        match (stepper.instance.tasks[task.index()].status, stepper.is_stopping(task)) {
            (TaskStatus::Running, _) => {
                stepper.result(task, result);
                Outcome::Recorded
            }
            (TaskStatus::Ready, true) => {
                stepper.stopped(task);
                Outcome::Stopped
            }
            _ => Outcome::Stale,
        }
    }

    /// Takes the word that an attempt which timed out has stopped, or that whoever ran it is gone,
    /// so that it will do nothing any more. Returns whether anybody waited for it.
    pub fn on_stopped(
        &mut self,
        definition: &Definition,
        task: TaskIndex,
        attempt: u32,
        now: UnixMicros,
        out: &mut Outbox<Effect>,
    ) -> bool {
        self.expect(definition);
        let awaited = self.tasks.get(task.index()).is_some_and(|state| {
            state.status == TaskStatus::Ready && state.stopping && state.attempt == attempt
        });
        if awaited {
            Stepper::new(self, definition, now, out).stopped(task);
        }
        awaited
    }

    /// Takes the word that a worker has the attempt: its timeout counts from now. Returns false, and
    /// changes nothing, where that attempt is not outstanding or needs no worker.
    pub fn on_assigned(
        &mut self,
        definition: &Definition,
        task: TaskIndex,
        attempt: u32,
        now: UnixMicros,
        out: &mut Outbox<Effect>,
    ) -> bool {
        let is_outstanding = self.is_outstanding(definition, task, attempt);
        if is_outstanding {
            Stepper::new(self, definition, now, out).assigned(task);
        }
        is_outstanding
    }

    /// Takes the word that the worker which had the attempt is lost. The next attempt begins at once
    /// and is not charged to `retry`; the last of [`LOSSES_MAX`] losses fails the task. An attempt
    /// that was being stopped has stopped. Returns whether anybody waited for it.
    pub fn on_lost(
        &mut self,
        definition: &Definition,
        task: TaskIndex,
        attempt: u32,
        now: UnixMicros,
        out: &mut Outbox<Effect>,
    ) -> bool {
        if self.is_outstanding(definition, task, attempt) {
            Stepper::new(self, definition, now, out).lost(task);
            return true;
        }
        self.on_stopped(definition, task, attempt, now, out)
    }

    /// The same where the worker is well but did not carry the attempt out: that is no loss.
    pub fn on_released(
        &mut self,
        definition: &Definition,
        task: TaskIndex,
        attempt: u32,
        now: UnixMicros,
        out: &mut Outbox<Effect>,
    ) -> bool {
        if self.is_outstanding(definition, task, attempt) {
            Stepper::new(self, definition, now, out).released(task);
            return true;
        }
        self.on_stopped(definition, task, attempt, now, out)
    }

    /// Whether the attempt is under way, or about to be, at a worker.
    pub fn is_outstanding(&self, definition: &Definition, task: TaskIndex, attempt: u32) -> bool {
        self.expect(definition);
        self.tasks.get(task.index()).is_some_and(|state| {
            let is_assigned = definition.tasks[task.index()].work.is_assigned();
            is_assigned && state.status == TaskStatus::Running && state.attempt == attempt
        })
    }

    /// The order of one attempt, if it is outstanding at a worker.
    pub fn order_at(
        &self,
        definition: &Definition,
        task: TaskIndex,
        attempt: u32,
    ) -> Option<Order> {
        self.is_outstanding(definition, task, attempt).then(|| self.order(definition, task))
    }

    /// Fires every timer that is due at `now`, the earliest first.
    pub fn on_time(&mut self, definition: &Definition, now: UnixMicros, out: &mut Outbox<Effect>) {
        self.expect(definition);
        Stepper::new(self, definition, now, out).time();
    }

    /// Ends the instance: nothing is started any more, what was ordered is withdrawn. Returns false
    /// when it had ended before.
    pub fn cancel(
        &mut self,
        definition: &Definition,
        now: UnixMicros,
        out: &mut Outbox<Effect>,
    ) -> bool {
        self.expect(definition);
        let runs = !self.is_finished();
        if runs {
            Stepper::new(self, definition, now, out).cancel();
        }
        runs
    }

    /// What the rule's action handed over.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// The earliest timer: [`Instance::on_time`] has something to do from then on.
    pub fn deadline(&self) -> Option<UnixMicros> {
        if self.is_finished() {
            return None;
        }
        let timers = self.tasks.iter().flat_map(|state| [state.wake, state.limit]);
        timers.chain([self.limit]).flatten().min()
    }

    /// The orders that are outstanding, so that whoever leads can send them again.
    pub fn orders<'a>(
        &'a self,
        definition: &'a Definition,
    ) -> impl Iterator<Item = Order> + use<'a> {
        self.expect(definition);
        (0..self.tasks.len()).map(TaskIndex::new).filter_map(|task| {
            let running = self.tasks[task.index()].status == TaskStatus::Running;
            let ordered = definition.tasks[task.index()].work.is_ordered();
            (running && ordered).then(|| self.order(definition, task))
        })
    }

    /// The attempts that timed out and are not yet known to have stopped. A node that starts (and
    /// so carries out nothing of what its last run was ordered) confirms each of its own with
    /// [`Instance::on_stopped`].
    pub fn stopping(&self) -> impl Iterator<Item = (TaskIndex, u32)> + '_ {
        self.tasks
            .iter()
            .enumerate()
            .filter(|(_, state)| state.stopping && state.status == TaskStatus::Ready)
            .map(|(task, state)| (TaskIndex::new(task), state.attempt))
    }

    /// Its name.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// The hash of the definition that it was started with.
    pub fn definition_hash(&self) -> u64 {
        self.definition_hash
    }

    /// Where it is.
    pub fn status(&self) -> InstanceStatus {
        self.status
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.status.is_final()
    }

    /// When it was started.
    pub fn started(&self) -> UnixMicros {
        self.started
    }

    /// When it ended.
    pub fn ended(&self) -> Option<UnixMicros> {
        self.ended
    }

    /// Why it did not complete; while it runs, the first failure of a task.
    pub fn error(&self) -> Option<&Failure> {
        self.error.as_ref()
    }

    /// What the workflow's `output` made; null before it has completed.
    pub fn output(&self) -> &Value {
        &self.output
    }

    /// Where a task is.
    ///
    /// # Panics
    /// If the workflow has no such task.
    pub fn task_status(&self, task: TaskIndex) -> TaskStatus {
        self.tasks[task.index()].status
    }

    /// The number of a task's last attempt; 0 before the first.
    ///
    /// # Panics
    /// If the workflow has no such task.
    pub fn task_attempt(&self, task: TaskIndex) -> u32 {
        self.tasks[task.index()].attempt
    }

    /// Every transition, oldest first; see
    /// [`HISTORY_STEPS_MAX`](crate::HISTORY_STEPS_MAX).
    pub fn history(&self) -> impl ExactSizeIterator<Item = &Step> {
        self.history.steps.iter()
    }

    /// What it holds in memory. Unit: bytes, about; what it shares with others (its message, with
    /// the other instances that the message started) is counted as its own.
    pub fn bytes_estimate(&self) -> usize {
        let texts = |error: &TaskError| error.code.len() + error.message.len();
        let errors: usize =
            self.tasks.iter().filter_map(|state| state.error.as_ref()).map(texts).sum();
        size_of::<Self>()
            + self.tasks.len() * size_of::<TaskState>()
            + self.history.steps.len() * size_of::<Step>()
            + self.history.reason_bytes
            + self.error.as_ref().map_or(0, |failure| texts(&failure.error))
            + errors
            + self.value_bytes
    }

    /// Whether this is the definition that the instance was started with.
    pub fn belongs_to(&self, definition: &Definition) -> bool {
        self.definition_hash == definition.hash && self.tasks.len() == definition.tasks.len()
    }

    pub(crate) fn expect(&self, definition: &Definition) {
        assert!(
            self.belongs_to(definition),
            "instance {} of definition {:016x} was handed definition {} ({:016x})",
            self.id,
            self.definition_hash,
            definition.id,
            definition.hash
        );
    }
}

impl TaskState {
    /// The attempts that count for `retry`.
    pub(crate) fn charged(&self) -> u32 {
        self.attempt - self.losses - self.released
    }

    fn new(definition: &Definition, task: TaskIndex) -> Self {
        Self {
            status: TaskStatus::Pending,
            waiting: TaskIndex::new(definition.graph.dependencies(task).len()).0,
            after_failure: false,
            stopping: false,
            attempt: 0,
            losses: 0,
            released: 0,
            input: Value::Null,
            output: Value::Null,
            error: None,
            started: None,
            ended: None,
            wake: None,
            limit: None,
        }
    }
}

#[cfg(test)]
mod tests;
