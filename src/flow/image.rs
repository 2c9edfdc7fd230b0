//! An instance as bytes, for a snapshot: everything that decides what it does next, and its
//! history.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the layout's version: [`IMAGE_VERSION`]; version 1, without losses, is still read |
//! | the rest | [`Image`] as `rkyv` archives it (unaligned, little endian), its root at the end |
//!
//! Values are JSON, null is empty. An image is checked when it is read; what can be counted again
//! (open tasks, sizes) is not in it.
//!
//! Invariants:
//! - `from_image(image())` is the same instance;
//! - equal instances have equal images.

use crate::definition::TaskIndex;
use crate::effect::TaskError;
use crate::graph::TASKS_MAX;
use crate::history::{Change, HISTORY_STEPS_MAX, History, Step};
use crate::instance::{Failure, Instance, TaskState};
use crate::status::{InstanceStatus, TaskStatus};
use base::{InstanceId, UnixMicros};
use expr::Value;
use rkyv::rancor;
use std::borrow::Cow;

/// The version of the layout. A change of the layout is a new version, never a new meaning.
pub const IMAGE_VERSION: u8 = 2;

/// Stands for "no task" where a task's place is written.
const NO_TASK: u16 = u16::MAX;

const _: () = assert!(TASKS_MAX < NO_TASK as usize);

/// Bytes that are no instance.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing at all.
    #[error("the image of an instance is empty")]
    Empty,
    /// A layout of another release.
    #[error("the image of an instance has version {version}, this release reads {IMAGE_VERSION}")]
    Version {
        /// What was found.
        version: u8,
    },
    /// Not what the layout says.
    #[error("the image of an instance is damaged: {0}")]
    Layout(#[from] rancor::Error),
    /// A value that is no JSON.
    #[error("a value in the image of an instance is damaged: {0}")]
    Value(#[from] expr::BadJson),
    /// Parts that do not go together.
    #[error("the image of an instance contradicts itself: {what}")]
    Contradiction {
        /// Which parts.
        what: &'static str,
    },
}

/// `T` is a task's layout, in which the versions differ.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Image<T> {
    id: InstanceId,
    definition_hash: u64,
    status: u8,
    retry: Option<u32>,
    started: UnixMicros,
    ended: Option<UnixMicros>,
    limit: Option<UnixMicros>,
    message: Vec<u8>,
    params: Vec<u8>,
    output: Vec<u8>,
    error: Option<FailureImage>,
    tasks: Vec<T>,
    steps: Vec<StepImage>,
    steps_forgotten: u32,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct FailureImage {
    task: u16,
    error: ErrorImage,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct ErrorImage {
    code: String,
    message: String,
    retryable: bool,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct TaskImage {
    status: u8,
    waiting: u16,
    after_failure: bool,
    stopping: bool,
    attempt: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    error: Option<ErrorImage>,
    started: Option<UnixMicros>,
    ended: Option<UnixMicros>,
    wake: Option<UnixMicros>,
    limit: Option<UnixMicros>,
    losses: u32,
    released: u32,
}

/// A task of version 1, when no worker could be lost.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct TaskImageV1 {
    status: u8,
    waiting: u16,
    after_failure: bool,
    stopping: bool,
    attempt: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    error: Option<ErrorImage>,
    started: Option<UnixMicros>,
    ended: Option<UnixMicros>,
    wake: Option<UnixMicros>,
    limit: Option<UnixMicros>,
}

impl From<TaskImageV1> for TaskImage {
    fn from(old: TaskImageV1) -> Self {
        Self {
            status: old.status,
            waiting: old.waiting,
            after_failure: old.after_failure,
            stopping: old.stopping,
            attempt: old.attempt,
            input: old.input,
            output: old.output,
            error: old.error,
            started: old.started,
            ended: old.ended,
            wake: old.wake,
            limit: old.limit,
            losses: 0,
            released: 0,
        }
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct StepImage {
    at: UnixMicros,
    task: u16,
    attempt: u32,
    status: u8,
    reason: Option<String>,
}

impl Instance {
    /// The instance as bytes.
    pub fn image(&self) -> Vec<u8> {
        let image = Image {
            id: self.id,
            definition_hash: self.definition_hash,
            status: self.status as u8,
            retry: self.retry,
            started: self.started,
            ended: self.ended,
            limit: self.limit,
            message: value_image(&self.message),
            params: value_image(&self.params),
            output: value_image(&self.output),
            error: self.error.as_ref().map(|failure| FailureImage {
                task: failure.task.map_or(NO_TASK, |task| task.0),
                error: error_image(&failure.error),
            }),
            tasks: self.tasks.iter().map(task_image).collect(),
            steps: self.history().map(step_image).collect(),
            steps_forgotten: self.history.forgotten,
        };
        let body = rkyv::to_bytes::<rancor::Error>(&image)
            .expect("only memory can fail, and a lack of it does not return");
        let mut bytes = Vec::with_capacity(1 + body.len());
        bytes.push(IMAGE_VERSION);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// The instance that `bytes` are the image of. [`Instance::definition_hash`] names the
    /// definition that it goes on with; [`Instance::belongs_to`] checks one.
    pub fn from_image(bytes: &[u8]) -> Result<Self, ImageError> {
        let (version, body) = bytes.split_first().ok_or(ImageError::Empty)?;
        match *version {
            1 => Self::from_parts(rkyv::from_bytes::<Image<TaskImageV1>, rancor::Error>(body)?),
            IMAGE_VERSION => {
                Self::from_parts(rkyv::from_bytes::<Image<TaskImage>, rancor::Error>(body)?)
            }
            version => Err(ImageError::Version { version }),
        }
    }

    fn from_parts<T: Into<TaskImage>>(image: Image<T>) -> Result<Self, ImageError> {
        if image.tasks.len() > TASKS_MAX || image.steps.len() > HISTORY_STEPS_MAX {
            return Err(ImageError::Contradiction { what: "it is larger than an instance can be" });
        }
        let status = InstanceStatus::from_number(image.status)
            .ok_or(ImageError::Contradiction { what: "an unknown status of an instance" })?;
        let count = image.tasks.len();
        let error = image.error.map(|failure| failure_of(failure, count)).transpose()?;
        let mut history = History { forgotten: image.steps_forgotten, ..History::default() };
        history.steps.reserve_exact(image.steps.len());
        for step in image.steps {
            let Step { at, change, reason } = step_of(step, count)?;
            history.push(at, change, reason);
        }
        let tasks = image
            .tasks
            .into_iter()
            .map(|task| task_of(task.into()))
            .collect::<Result<Vec<TaskState>, ImageError>>()?;
        let open = tasks.iter().filter(|state| !state.status.is_final()).count();
        let mut instance = Self {
            id: image.id,
            definition_hash: image.definition_hash,
            status,
            message: value_of(&image.message)?,
            params: value_of(&image.params)?,
            retry: image.retry,
            started: image.started,
            ended: image.ended,
            limit: image.limit,
            error,
            output: value_of(&image.output)?,
            tasks,
            open: TaskIndex::new(open).0,
            history,
            value_bytes: 0,
        };
        instance.value_bytes = instance.count_value_bytes();
        instance.check()?;
        Ok(instance)
    }

    fn count_value_bytes(&self) -> usize {
        let kept = self.tasks.iter().flat_map(|state| [&state.input, &state.output]);
        let kept = kept.chain([&self.output]).filter(|value| **value != Value::Null);
        let given = [&self.message, &self.params];
        kept.chain(given).map(Value::bytes_estimate).sum()
    }

    /// Checks what the rest of this crate relies on.
    fn check(&self) -> Result<(), ImageError> {
        let finished = self.is_finished();
        let rules = [
            (finished == (self.open == 0), "an instance ends with its last task"),
            (finished == self.ended.is_some(), "an instance that ended has an end"),
            (!finished || self.limit.is_none(), "an instance that ended has no timer"),
        ];
        if let Some((_, what)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Err(ImageError::Contradiction { what });
        }
        self.tasks.iter().try_for_each(TaskState::check)
    }
}

impl TaskState {
    fn check(&self) -> Result<(), ImageError> {
        let running = self.status == TaskStatus::Running;
        let ready = self.status == TaskStatus::Ready;
        let pending = self.status == TaskStatus::Pending;
        let rules = [
            (pending == (self.waiting > 0), "a task waits exactly while it is pending"),
            (self.status.is_final() == self.ended.is_some(), "a task that ended has an end"),
            (self.wake.is_none() || running || ready, "only a task under way has a timer"),
            (self.limit.is_none() || running, "only an attempt under way has a limit"),
            (!self.stopping || ready, "only a task between attempts waits for a stop"),
            (!ready || self.stopping || self.wake.is_some(), "a ready task waits for something"),
            (!(running || ready) || self.attempt > 0, "an attempt has a number"),
            (
                self.losses.checked_add(self.released).is_some_and(|lost| lost <= self.attempt),
                "what was lost was an attempt",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(ImageError::Contradiction { what }),
            None => Ok(()),
        }
    }
}

fn value_image(value: &Value) -> Vec<u8> {
    let mut json = Vec::new();
    if *value != Value::Null {
        value.write_json(&mut json);
    }
    json
}

fn value_of(json: &[u8]) -> Result<Value, ImageError> {
    if json.is_empty() {
        return Ok(Value::Null);
    }
    Ok(Value::parse_json(json)?)
}

fn error_image(error: &TaskError) -> ErrorImage {
    let TaskError { code, message, retryable } = error.clone();
    ErrorImage { code, message, retryable }
}

fn error_of(image: ErrorImage) -> TaskError {
    let ErrorImage { code, message, retryable } = image;
    TaskError { code, message, retryable }
}

fn failure_of(image: FailureImage, tasks: usize) -> Result<Failure, ImageError> {
    let task = match image.task {
        NO_TASK => None,
        task => Some(known_task(task, tasks)?),
    };
    Ok(Failure { task, error: error_of(image.error) })
}

fn known_task(task: u16, tasks: usize) -> Result<TaskIndex, ImageError> {
    let task = TaskIndex(task);
    if task.index() < tasks {
        return Ok(task);
    }
    Err(ImageError::Contradiction { what: "a task that the instance does not have" })
}

fn task_image(state: &TaskState) -> TaskImage {
    TaskImage {
        status: state.status as u8,
        waiting: state.waiting,
        after_failure: state.after_failure,
        stopping: state.stopping,
        attempt: state.attempt,
        input: value_image(&state.input),
        output: value_image(&state.output),
        error: state.error.as_ref().map(error_image),
        started: state.started,
        ended: state.ended,
        wake: state.wake,
        limit: state.limit,
        losses: state.losses,
        released: state.released,
    }
}

fn task_of(image: TaskImage) -> Result<TaskState, ImageError> {
    Ok(TaskState {
        status: task_status(image.status)?,
        waiting: image.waiting,
        after_failure: image.after_failure,
        stopping: image.stopping,
        attempt: image.attempt,
        input: value_of(&image.input)?,
        output: value_of(&image.output)?,
        error: image.error.map(error_of),
        started: image.started,
        ended: image.ended,
        wake: image.wake,
        limit: image.limit,
        losses: image.losses,
        released: image.released,
    })
}

fn task_status(number: u8) -> Result<TaskStatus, ImageError> {
    TaskStatus::from_number(number)
        .ok_or(ImageError::Contradiction { what: "an unknown status of a task" })
}

fn step_image(step: &Step) -> StepImage {
    let (task, attempt, status) = match step.change {
        Change::Instance(status) => (NO_TASK, 0, status as u8),
        Change::Task { task, attempt, status } => (task.0, attempt, status as u8),
    };
    let reason = step.reason.as_ref().map(|reason| reason.clone().into_owned());
    StepImage { at: step.at, task, attempt, status, reason }
}

fn step_of(image: StepImage, tasks: usize) -> Result<Step, ImageError> {
    let change = match image.task {
        NO_TASK => Change::Instance(
            InstanceStatus::from_number(image.status)
                .ok_or(ImageError::Contradiction { what: "an unknown status of an instance" })?,
        ),
        task => Change::Task {
            task: known_task(task, tasks)?,
            attempt: image.attempt,
            status: task_status(image.status)?,
        },
    };
    Ok(Step { at: image.at, change, reason: image.reason.map(Cow::Owned) })
}

#[cfg(test)]
mod tests;
