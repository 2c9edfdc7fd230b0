//! What the leader and the workers say to each other.
//!
//! A task's attempt is named by the instance (message and ordinal), the task's place in the
//! definition, and the attempt: (task, attempt) is the fencing token. A worker is named by its node
//! and its boot: another boot is another worker.

use crate::list::List;
use crate::message::{message, part};

part! {
    /// One attempt of one task.
    pub struct TaskName = "task_name" {
        /// The message that started the instance.
        1 message: u64,
        /// Which of the message's actions did, counted from 1.
        2 ordinal: u16,
        /// The task's place in the definition, counted from 0.
        3 task: u16,
        /// Which attempt, counted from 1.
        4 attempt: u32,
    }
}

message! {
    /// A worker is to run a task. Sent again until its result is recorded: the worker remembers what
    /// it ran. A worker with another boot refuses.
    pub struct TaskAssignment<'a>: TASK_ASSIGNMENT = "task_assignment" {
        /// The worker's node.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// The leader's term: an older leader's orders are refused.
        3 term: u64,
        /// The message that started the instance.
        4 message: u64,
        /// Which of the message's actions did, counted from 1.
        5 ordinal: u16,
        /// The task's place in the definition, counted from 0.
        6 task: u16,
        /// Which attempt, counted from 1.
        7 attempt: u32,
        /// What runs it: a plugin, or a built-in type.
        8 kind: &'a str,
        /// The same for every attempt, so that the other side can drop a repeat.
        9 idempotency_key: &'a str,
        /// The task's configuration, JSON.
        10 config: &'a [u8] = b"",
        /// Its input, JSON.
        11 input: &'a [u8] = b"",
        /// How long it may run. Unit: milliseconds. 0: no limit of its own.
        12 timeout_ms: u64 = 0,
    }
}

message! {
    /// How an attempt ended. Sent again until the answer says that it is recorded.
    pub struct TaskResult<'a>: TASK_RESULT = "task_result" {
        /// The worker's node.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// The message that started the instance.
        3 message: u64,
        /// Which of the message's actions did, counted from 1.
        4 ordinal: u16,
        /// The task's place in the definition, counted from 0.
        5 task: u16,
        /// Which attempt.
        6 attempt: u32,
        /// 1 completed, 2 failed, 3 timed out, 4 stopped.
        7 outcome: u8,
        /// What it returned, JSON.
        8 output: &'a [u8] = b"",
        /// A stable word, when it did not complete.
        9 error_code: &'a str = "",
        /// What happened, for people.
        10 error_message: &'a str = "",
        /// How long it ran. Unit: microseconds.
        11 duration_us: u64 = 0,
    }
}

message! {
    /// A worker renews its lease, and says what it runs. The worker counts the lease from when it
    /// sent this.
    pub struct TaskStatus<'a>: TASK_STATUS = "task_status" {
        /// The worker's node.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// Which renewal: the answer repeats it.
        3 renewal: u64,
        /// How many tasks it can run at once.
        4 capacity: u32,
        /// It takes no more tasks.
        5 draining: bool = false,
        /// What it runs.
        6 running: List<'a, TaskName> = List::EMPTY,
        /// What has ended and is not known to be recorded.
        7 ended: List<'a, TaskName> = List::EMPTY,
    }
}

message! {
    /// The lease is renewed: the answer to a status, of the same kind. The leader counts the lease
    /// from when it sent this.
    pub struct TaskStatusResponse<'a>: TASK_STATUS = "task_status_response" {
        /// The worker's node.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// Which renewal.
        3 renewal: u64,
        /// The leader's term.
        4 term: u64,
        /// How long the lease is. Unit: milliseconds.
        5 lease_ms: u64,
        /// Whose results are recorded: the worker may forget them.
        6 recorded: List<'a, TaskName> = List::EMPTY,
        /// What the worker must stop.
        7 stop: List<'a, TaskName> = List::EMPTY,
    }
}
