//! How an instance moves: tasks are decided, begun and ended until nothing more can happen now.
//!
//! Every call walks at most once over each task and each edge of the graph, besides the timers that
//! fire: it ends, however the workflow is written.

use crate::definition::{Definition, OnFailure, RunIf, TaskIndex, Work};
use crate::effect::{Effect, Order, OrderKind, TIMEOUT_CODE, TaskError, WORKER_LOST_CODE};
use crate::history::{Change, Reason};
use crate::instance::{
    Failure, INSTANCE_BYTES_MAX, Instance, LOSSES_MAX, OUTPUT_BYTES_MAX, TaskState,
};
use crate::run::{self, Began};
use crate::scope::Scope;
use crate::status::{InstanceStatus, TaskStatus};
use base::limits::NESTING_MAX;
use base::{Outbox, UnixMicros};
use expr::Value;
use smallvec::SmallVec;
use std::time::Duration;

/// One input at work on an instance.
pub(crate) struct Stepper<'a> {
    pub(crate) instance: &'a mut Instance,
    definition: &'a Definition,
    now: UnixMicros,
    out: &'a mut Outbox<Effect>,
    /// Tasks of which every dependency has ended, in the order in which they became so.
    decidable: SmallVec<[TaskIndex; 16]>,
}

/// What the endings of the tasks before it mean for a task.
enum Verdict {
    Run,
    Skip(Reason),
    Cancel(Reason),
}

/// A timer of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A delay is over or an attempt is due.
    Wake(TaskIndex),
    /// An attempt has taken too long.
    Limit(TaskIndex),
    /// The instance has taken too long. The last at equal times: what is done in time counts.
    Instance,
}

impl<'a> Stepper<'a> {
    pub(crate) fn new(
        instance: &'a mut Instance,
        definition: &'a Definition,
        now: UnixMicros,
        out: &'a mut Outbox<Effect>,
    ) -> Self {
        Self { instance, definition, now, out, decidable: SmallVec::new() }
    }

    pub(crate) fn start(&mut self) {
        let free = |state: &TaskState| state.waiting == 0;
        let tasks = self.instance.tasks.iter().enumerate();
        self.decidable =
            tasks.filter(|(_, state)| free(state)).map(|(task, _)| TaskIndex::new(task)).collect();
        self.settle();
    }

    pub(crate) fn result(&mut self, task: TaskIndex, result: Result<Value, TaskError>) {
        match result {
            Ok(output) => self.complete(task, output),
            Err(error) => {
                // Whoever carried the attempt out has given it up, so nothing is left to stop.
                let status = if error.code == TIMEOUT_CODE {
                    TaskStatus::Timeout
                } else {
                    TaskStatus::Failed
                };
                self.fail(task, error.bounded(), status, false);
            }
        }
        self.settle();
    }

    pub(crate) fn is_stopping(&self, task: TaskIndex) -> bool {
        self.instance.tasks[task.index()].stopping
    }

    pub(crate) fn stopped(&mut self, task: TaskIndex) {
        let state = &mut self.instance.tasks[task.index()];
        assert!(state.stopping, "only a task that is stopping can have stopped");
        state.stopping = false;
        if state.wake.is_none() {
            self.attempt(task);
        }
        self.settle();
    }

    /// A worker has the attempt: its time runs.
    pub(crate) fn assigned(&mut self, task: TaskIndex) {
        let timeout = self.timeout(task);
        self.instance.tasks[task.index()].limit = timeout.map(|timeout| self.now + timeout);
    }

    /// The worker that had the attempt is lost: another one gets the next.
    pub(crate) fn lost(&mut self, task: TaskIndex) {
        let state = &mut self.instance.tasks[task.index()];
        state.losses += 1;
        if state.losses >= LOSSES_MAX {
            let message = format!("{LOSSES_MAX} workers were lost while they had the task");
            let error = TaskError::lasting(WORKER_LOST_CODE, message);
            self.fail(task, error, TaskStatus::Failed, false);
        } else {
            self.again(task, WORKER_LOST_CODE);
        }
        self.settle();
    }

    /// The worker that had the attempt did not carry it out: another one gets the next.
    pub(crate) fn released(&mut self, task: TaskIndex) {
        let state = &mut self.instance.tasks[task.index()];
        state.released = state.released.saturating_add(1);
        self.again(task, "released");
        self.settle();
    }

    /// The next attempt at once, through no fault of the task's.
    fn again(&mut self, task: TaskIndex, reason: &'static str) {
        self.enter(task, TaskStatus::Ready, Some(Reason::Borrowed(reason)));
        self.attempt(task);
    }

    pub(crate) fn time(&mut self) {
        while let Some(timer) = self.due() {
            match timer {
                Timer::Wake(task) => self.wake(task),
                Timer::Limit(task) => self.exceed(task),
                Timer::Instance => self.expire(),
            }
            self.settle();
        }
    }

    pub(crate) fn cancel(&mut self) {
        self.close(&Reason::Borrowed("the instance was cancelled"));
        self.finish(InstanceStatus::Cancelled);
    }

    /// Ends the instance before anything of it was begun.
    pub(crate) fn refuse(&mut self, error: TaskError) {
        self.instance.error = Some(Failure { task: None, error });
        self.close(&Reason::Borrowed("the workflow was not begun"));
        self.finish(InstanceStatus::Failed);
    }

    /// The earliest timer that is due; of equal ones the earlier task's.
    fn due(&self) -> Option<Timer> {
        if self.instance.is_finished() {
            return None;
        }
        let tasks = self.instance.tasks.iter().enumerate().flat_map(|(task, state)| {
            let task = TaskIndex::new(task);
            let wake = state.wake.map(|at| (at, Timer::Wake(task)));
            let limit = state.limit.map(|at| (at, Timer::Limit(task)));
            [wake, limit]
        });
        let instance = self.instance.limit.map(|at| (at, Timer::Instance));
        let (at, timer) = tasks.chain([instance]).flatten().min()?;
        (at <= self.now).then_some(timer)
    }

    fn wake(&mut self, task: TaskIndex) {
        let state = &mut self.instance.tasks[task.index()];
        state.wake = None;
        match state.status {
            TaskStatus::Running => self.complete(task, Value::Null),
            TaskStatus::Ready if !state.stopping => self.attempt(task),
            TaskStatus::Ready => {}
            status => panic!("a task that is {status} has no timer"),
        }
    }

    fn exceed(&mut self, task: TaskIndex) {
        let ordered = self.definition.tasks[task.index()].work.is_ordered();
        if ordered {
            self.withdraw(task);
        }
        let state = &self.instance.tasks[task.index()];
        let limit = self.timeout(task).unwrap_or_default();
        let message = format!("attempt {} had no result within {}", state.attempt, spelled(limit));
        let error = TaskError::passing(TIMEOUT_CODE, message);
        self.fail(task, error, TaskStatus::Timeout, ordered);
    }

    fn expire(&mut self) {
        let limit = self.instance.limit.expect("its timer fired").since(self.instance.started);
        let message = format!("the workflow had not ended within {}", spelled(limit));
        self.instance.error =
            Some(Failure { task: None, error: TaskError::lasting("workflow_timeout", message) });
        self.close(&Reason::Borrowed("the workflow took too long"));
        self.finish(InstanceStatus::Timeout);
    }

    /// Decides tasks until none is left to decide, and ends the instance with its last task.
    fn settle(&mut self) {
        let mut next = 0;
        while let Some(task) = self.decidable.get(next).copied() {
            next += 1;
            self.decide(task);
        }
        self.decidable.clear();
        if self.instance.open == 0 && !self.instance.is_finished() {
            self.conclude();
        }
    }

    fn decide(&mut self, task: TaskIndex) {
        let (verdict, after_failure) = self.verdict(task);
        self.instance.tasks[task.index()].after_failure = after_failure;
        match verdict {
            Verdict::Skip(reason) => self.end(task, TaskStatus::Skipped, Some(reason)),
            Verdict::Cancel(reason) => self.end(task, TaskStatus::Cancelled, Some(reason)),
            Verdict::Run => match self.condition(task) {
                Ok(true) => self.attempt(task),
                Ok(false) => {
                    let reason = Reason::Borrowed("its `when` is false");
                    self.end(task, TaskStatus::Skipped, Some(reason));
                }
                Err(error) => self.fail(task, error, TaskStatus::Failed, false),
            },
        }
    }

    fn condition(&self, task: TaskIndex) -> Result<bool, TaskError> {
        let Some(when) = &self.definition.tasks[task.index()].when else { return Ok(true) };
        let scope = self.scope(None);
        when.evaluate_bool(&scope).map_err(|error| TaskError::expression("`when`", &error))
    }

    /// The joining rule. Also tells whether anything before the task failed or was cancelled.
    fn verdict(&self, task: TaskIndex) -> (Verdict, bool) {
        let before = self.definition.graph.dependencies(task);
        let mut succeeded = before.is_empty();
        let mut unsuccessful = None;
        let mut after_failure = false;
        for dependency in before {
            let state = &self.instance.tasks[dependency.index()];
            assert!(state.status.is_final(), "a task is decided after every task before it");
            succeeded |= state.status == TaskStatus::Completed;
            after_failure |= state.after_failure || state.status.is_unsuccessful();
            if unsuccessful.is_none() && state.status.is_unsuccessful() {
                unsuccessful = Some((*dependency, state.status));
            }
        }
        let verdict = match self.definition.tasks[task.index()].run_if {
            RunIf::Always => Verdict::Run,
            RunIf::Failure if after_failure => Verdict::Run,
            RunIf::Failure => Verdict::Skip(Reason::Borrowed("nothing before it failed")),
            RunIf::Success => {
                if let Some((dependency, status)) = unsuccessful {
                    let id = &self.definition.tasks[dependency.index()].id;
                    Verdict::Cancel(Reason::Owned(format!("`{id}` ended as {status}")))
                } else if !succeeded {
                    Verdict::Skip(Reason::Borrowed("everything before it was skipped"))
                } else if self.is_stopped() {
                    Verdict::Cancel(Reason::Borrowed("the workflow had failed before"))
                } else {
                    Verdict::Run
                }
            }
        };
        (verdict, after_failure)
    }

    /// Whether a failure keeps tasks with `run_if: success` from being started.
    fn is_stopped(&self) -> bool {
        self.definition.on_failure == OnFailure::Stop && self.instance.error.is_some()
    }

    /// Begins the next attempt of a task.
    fn attempt(&mut self, task: TaskIndex) {
        // What waits for a worker has time until one has it.
        let timeout = self.timeout(task).filter(|_| !self.work(task).is_assigned());
        let state = &mut self.instance.tasks[task.index()];
        assert!(!state.stopping, "the next attempt waits until the last one has stopped");
        state.attempt += 1;
        state.started.get_or_insert(self.now);
        state.wake = None;
        state.limit = timeout.map(|timeout| self.now + timeout);
        self.enter(task, TaskStatus::Running, None);
        if self.instance.tasks[task.index()].attempt > 1 && self.work(task).is_ordered() {
            // What a task was given never changes between its attempts: the other side may know
            // its idempotency key from the first.
            let order = self.instance.order(self.definition, task);
            self.out.push(Effect::Order(order));
            return;
        }
        let began = run::begin(self.definition, task, &self.scope(None));
        match began {
            Ok(Began::Done { input, output }) => {
                if self.keep_input(task, input) {
                    self.complete(task, output);
                }
            }
            Ok(Began::Failed { input, error }) => {
                if self.keep_input(task, input) {
                    self.fail(task, error, TaskStatus::Failed, false);
                }
            }
            Ok(Began::Logged { input, line }) => {
                if self.keep_input(task, input) {
                    self.out.push(Effect::Log(line));
                    self.complete(task, Value::Null);
                }
            }
            Ok(Began::Waits { input, span }) => {
                if self.keep_input(task, input) {
                    self.instance.tasks[task.index()].wake = Some(self.now + span);
                }
            }
            Ok(Began::Ordered { input, kind }) => {
                if self.keep_input(task, input) {
                    let order = self.instance.order_of(self.definition, task, kind);
                    self.out.push(Effect::Order(order));
                }
            }
            Err(error) => self.fail(task, error, TaskStatus::Failed, false),
        }
    }

    fn work(&self, task: TaskIndex) -> &'a Work {
        &self.definition.tasks[task.index()].work
    }

    fn scope<'s>(&'s self, error: Option<&'s TaskError>) -> Scope<'s> {
        Scope { instance: self.instance, definition: self.definition, error }
    }

    fn timeout(&self, task: TaskIndex) -> Option<Duration> {
        self.definition.tasks[task.index()].timeout
    }

    /// Keeps what a task was given, or fails the task when the instance has no room for it.
    fn keep_input(&mut self, task: TaskIndex, input: Value) -> bool {
        let state = &mut self.instance.tasks[task.index()];
        // A delay that timed out begins anew.
        let before = std::mem::replace(&mut state.input, Value::Null);
        if before != Value::Null {
            self.instance.value_bytes -= before.bytes_estimate();
        }
        if let Err(error) = self.take_room("input", &input) {
            self.fail(task, error, TaskStatus::Failed, false);
            return false;
        }
        self.instance.tasks[task.index()].input = input;
        true
    }

    /// Counts a value that the instance is about to keep, or says why it cannot keep it.
    fn take_room(&mut self, what: &str, value: &Value) -> Result<(), TaskError> {
        if *value == Value::Null {
            return Ok(());
        }
        // What cannot be read back from JSON could be kept here but not in a snapshot.
        if !nests_within(value, NESTING_MAX) {
            let message = format!("the {what} nests deeper than {NESTING_MAX} levels");
            return Err(TaskError::lasting("too_large", message));
        }
        let bytes = value.bytes_estimate();
        let together = self.instance.value_bytes + bytes;
        let (bytes, bytes_max, whose) = if bytes > OUTPUT_BYTES_MAX {
            (bytes, OUTPUT_BYTES_MAX, "a task's")
        } else if together > INSTANCE_BYTES_MAX {
            (together, INSTANCE_BYTES_MAX, "all of an instance's")
        } else {
            self.instance.value_bytes = together;
            return Ok(());
        };
        let message = format!(
            "the {what} takes too much memory: {bytes} bytes, {whose} may take {bytes_max}"
        );
        Err(TaskError::lasting("too_large", message))
    }

    fn complete(&mut self, task: TaskIndex, output: Value) {
        if let Err(error) = self.take_room("output", &output) {
            self.fail(task, error, TaskStatus::Failed, false);
            return;
        }
        let state = &mut self.instance.tasks[task.index()];
        state.output = output;
        state.error = None;
        self.end(task, TaskStatus::Completed, None);
    }

    /// Ends an attempt without success: the task gets another one, or ends as `status`.
    fn fail(&mut self, task: TaskIndex, error: TaskError, status: TaskStatus, stopping: bool) {
        let state = &self.instance.tasks[task.index()];
        let attempt = state.attempt;
        let (again, error) = match self.delay(task, attempt, &error) {
            Ok(delay) => (delay, error),
            Err(evaluation) => (None, evaluation),
        };
        let reason = Reason::Owned(error.code.clone());
        if let Some(delay) = again {
            let state = &mut self.instance.tasks[task.index()];
            state.error = Some(error);
            state.stopping = stopping;
            state.limit = None;
            state.wake = Some(self.now + delay);
            self.enter(task, TaskStatus::Ready, Some(reason));
            return;
        }
        if self.instance.error.is_none() {
            self.instance.error = Some(Failure { task: Some(task), error: error.clone() });
        }
        let (instance, attempts) = (self.instance.id, attempt);
        self.out.push(Effect::TaskFailed { instance, task, attempts, error: error.clone() });
        self.instance.tasks[task.index()].error = Some(error);
        self.end(task, status, Some(reason));
    }

    /// How long the task waits for its next attempt; none when it gets none.
    fn delay(
        &self,
        task: TaskIndex,
        attempt: u32,
        error: &TaskError,
    ) -> Result<Option<Duration>, TaskError> {
        if !error.retryable {
            return Ok(None);
        }
        assert!(attempt > 0, "only an attempt fails with an error that can pass");
        // What was lost or released with its worker is not the task's doing.
        let attempt = self.instance.tasks[task.index()].charged();
        let own = self.definition.tasks[task.index()].retry.as_ref();
        let policy = own.or(self.definition.default_retry.as_ref());
        let max = match (own, self.instance.retry) {
            (None, Some(max)) => max,
            _ => policy.map_or(0, |policy| policy.max),
        };
        if attempt > max {
            return Ok(None);
        }
        let plain;
        let policy = if let Some(policy) = policy {
            policy
        } else {
            plain = crate::retry::Retry::times(max);
            &plain
        };
        if let Some(unless) = &policy.unless {
            let hopeless =
                unless.evaluate_bool(&self.scope(Some(error))).map_err(|evaluation| {
                    let what = format!("`unless`, asked about {} ({})", error.code, error.message);
                    TaskError::expression(&what, &evaluation)
                })?;
            if hopeless {
                return Ok(None);
            }
        }
        Ok(Some(policy.delay(self.instance.id, task, attempt)))
    }

    fn withdraw(&mut self, task: TaskIndex) {
        let attempt = self.instance.tasks[task.index()].attempt;
        self.out.push(Effect::Withdraw { instance: self.instance.id, task, attempt });
    }

    /// Notes a task's new status.
    fn enter(&mut self, task: TaskIndex, status: TaskStatus, reason: Option<Reason>) {
        let state = &mut self.instance.tasks[task.index()];
        assert!(!state.status.is_final(), "a task ends once");
        state.status = status;
        let change = Change::Task { task, attempt: state.attempt, status };
        self.instance.history.push(self.now, change, reason);
    }

    /// Ends a task and frees those that waited for it alone.
    fn end(&mut self, task: TaskIndex, status: TaskStatus, reason: Option<Reason>) {
        assert!(status.is_final(), "{status} is no ending");
        self.enter(task, status, reason);
        let state = &mut self.instance.tasks[task.index()];
        state.ended = Some(self.now);
        state.wake = None;
        state.limit = None;
        state.stopping = false;
        self.instance.open -= 1;
        for dependent in self.definition.graph.dependents(task) {
            let waiting = &mut self.instance.tasks[dependent.index()].waiting;
            *waiting -= 1;
            if *waiting == 0 {
                self.decidable.push(*dependent);
            }
        }
    }

    /// Cancels every task that has not ended and withdraws what was ordered.
    fn close(&mut self, reason: &Reason) {
        for task in (0..self.instance.tasks.len()).map(TaskIndex::new) {
            let status = self.instance.tasks[task.index()].status;
            if status.is_final() {
                continue;
            }
            if status == TaskStatus::Running && self.work(task).is_ordered() {
                self.withdraw(task);
            }
            self.end(task, TaskStatus::Cancelled, Some(reason.clone()));
        }
        self.decidable.clear();
    }

    /// Ends the instance, of which every task has ended.
    fn conclude(&mut self) {
        let failed = match self.definition.on_failure {
            OnFailure::Stop => self.instance.error.is_some(),
            OnFailure::Continue => self.last_task_is_unsuccessful(),
        };
        if failed {
            return self.finish(InstanceStatus::Failed);
        }
        let output = match &self.definition.output {
            None => Ok(Value::Null),
            Some(tree) => tree
                .evaluate(&self.scope(None))
                .map_err(|error| TaskError::expression("the workflow's `output`", &error))
                .and_then(|output| self.take_room("workflow's output", &output).map(|()| output)),
        };
        match output {
            Ok(output) => {
                self.instance.output = output;
                self.finish(InstanceStatus::Completed);
            }
            Err(error) => {
                self.instance.error = Some(Failure { task: None, error });
                self.finish(InstanceStatus::Failed);
            }
        }
    }

    fn last_task_is_unsuccessful(&self) -> bool {
        let tasks = self.instance.tasks.iter().enumerate();
        let mut last =
            tasks.filter(|(task, _)| self.definition.graph.is_last(TaskIndex::new(*task)));
        last.any(|(_, state)| state.status.is_unsuccessful())
    }

    fn finish(&mut self, status: InstanceStatus) {
        assert!(status.is_final(), "{status} is no ending");
        assert!(self.instance.open == 0, "an instance ends after its tasks");
        let reason = match (status, &self.instance.error) {
            (InstanceStatus::Failed | InstanceStatus::Timeout, Some(failure)) => {
                Some(Reason::Owned(failure.error.code.clone()))
            }
            _ => None,
        };
        self.instance.status = status;
        self.instance.ended = Some(self.now);
        self.instance.limit = None;
        self.instance.history.push(self.now, Change::Instance(status), reason);
        self.out.push(Effect::Ended { instance: self.instance.id, status });
    }
}

/// Whether lists and maps nest at most `levels` deep. Recursion: ends with `levels`.
pub(crate) fn nests_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::List(elements) => {
            levels > 0 && elements.iter().all(|element| nests_within(element, levels - 1))
        }
        Value::Map(map) => {
            levels > 0 && map.iter().all(|(_, value)| nests_within(value, levels - 1))
        }
        _ => true,
    }
}

/// A duration in the largest unit that is exact. Not the standard library's form: this text is a
/// part of replicated state and must not change with a compiler.
pub(crate) fn spelled(duration: Duration) -> String {
    const UNITS: [(u128, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let millis = duration.as_millis();
    let exact = UNITS.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

impl Instance {
    /// The order for the attempt of `task` that is under way.
    pub(crate) fn order(&self, definition: &Definition, task: TaskIndex) -> Order {
        let kind = run::order_kind(definition, task, &self.tasks[task.index()].input)
            .expect("what is ordered was checked before it became the task's input");
        self.order_of(definition, task, kind)
    }

    fn order_of(&self, definition: &Definition, task: TaskIndex, kind: OrderKind) -> Order {
        Order {
            instance: self.id,
            task,
            attempt: self.tasks[task.index()].attempt,
            kind,
            idempotency_key: format!("{}/{}", self.id, definition.tasks[task.index()].id),
            trace: None,
        }
    }
}
