//! What the leader and the workers say to each other.
//!
//! A task's attempt is named by the instance (message and ordinal), the task's place in the
//! definition, and the attempt: (task, attempt) is the fencing token. A worker is named by its data
//! directory and its boot: another boot is another worker.

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
    /// A worker is to run a task. Sent again on each new link until its result is recorded: the worker
    /// remembers what it ran. A worker with another boot refuses.
    pub struct TaskAssignment<'a>: TASK_ASSIGNMENT = "task_assignment" {
        /// The worker, 0 for the one at the other end.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// The leader's term, 0 where it is not said.
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
        /// The workflow's id.
        13 workflow: &'a str = "",
        /// The task's id in the workflow.
        14 name: &'a str = "",
    }
}

message! {
    /// How an attempt ended. Sent again on each new link until it is known to be recorded.
    pub struct TaskResult<'a>: TASK_RESULT = "task_result" {
        /// The worker, 0 for the one at the other end.
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
        /// 1 completed, 2 failed, 3 timed out, 4 stopped: it does not run, and how it ended is not known.
        7 outcome: u8,
        /// What it returned, JSON.
        8 output: &'a [u8] = b"",
        /// A stable word, when it did not complete.
        9 error_code: &'a str = "",
        /// What happened, for people.
        10 error_message: &'a str = "",
        /// How long it ran. Unit: microseconds. 0: it is not said.
        11 duration_us: u64 = 0,
        /// Another attempt could do better.
        12 retryable: bool = false,
    }
}

message! {
    /// A worker renews its lease, and says what it runs. The worker counts the lease from when it
    /// sent this.
    pub struct TaskStatus<'a>: TASK_STATUS = "task_status" {
        /// The worker, 0 for the one at the other end.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// Which renewal: the answer repeats it.
        3 renewal: u64,
        /// How many tasks it can run at once, 0 where it is not said.
        4 capacity: u32,
        /// It takes no more tasks.
        5 draining: bool = false,
        /// What it runs, where that is said.
        6 running: List<'a, TaskName> = List::EMPTY,
        /// What has ended and is not known to be recorded, where that is said.
        7 ended: List<'a, TaskName> = List::EMPTY,
        /// How many tasks it runs.
        8 running_count: u32 = 0,
        /// How busy its processors are, all of them together. Unit: thousandths.
        9 cpu_permille: u32 = 0,
        /// How much memory its processes have. Unit: bytes.
        10 memory_bytes: u64 = 0,
    }
}

message! {
    /// The lease is renewed: the answer to a status, of the same kind, with RESPONSE. The leader counts
    /// the lease from when it sent this.
    pub struct TaskStatusResponse<'a>: TASK_STATUS = "task_status_response" {
        /// The worker, 0 for the one at the other end.
        1 worker: u64,
        /// The worker's boot.
        2 boot: u64,
        /// Which renewal.
        3 renewal: u64,
        /// The leader's term, 0 where it is not said.
        4 term: u64,
        /// How long the lease is. Unit: milliseconds. 0: as long as when the worker registered.
        5 lease_ms: u64,
        /// Whose results are recorded: the worker may forget them.
        6 recorded: List<'a, TaskName> = List::EMPTY,
        /// What the worker must stop.
        7 stop: List<'a, TaskName> = List::EMPTY,
    }
}

part! {
    /// A plugin that a worker has.
    pub struct Plugin<'a> = "plugin" {
        /// The type of task that it runs.
        1 name: &'a str,
        /// Its version, for people.
        2 version: &'a str = "",
        /// The version of the contract that it was built for.
        3 abi: u32,
    }
}

message! {
    /// The first thing that a worker says. Answered by `worker_registered`, `worker_not_taken` or
    /// `worker_lost`.
    pub struct WorkerRegister<'a>: WORKER_REGISTER = "worker_register" {
        /// Who: the number of its data directory.
        1 worker: u64,
        /// Which run of it.
        2 boot: u64,
        /// Its name, for people.
        3 name: &'a str = "",
        /// Where it shows health and metrics, for people.
        4 address: &'a str = "",
        /// How many tasks it runs at once.
        5 capacity: u32,
        /// What it has, by name.
        6 plugins: List<'a, Plugin<'a>> = List::EMPTY,
        /// Where it stands.
        7 zone: &'a str = "",
    }
}

message! {
    /// The worker belongs to the cluster, and has its first lease, which it counts from when it sent
    /// `worker_register`.
    pub struct WorkerRegistered: WORKER_REGISTERED = "worker_registered" {
        /// Which run.
        1 boot: u64,
        /// How long each lease is. Unit: milliseconds.
        2 lease_ms: u32,
    }
}

message! {
    /// The worker was not registered.
    pub struct WorkerNotTaken<'a>: WORKER_NOT_TAKEN = "worker_not_taken" {
        /// Why, for people.
        1 why: &'a str = "",
        /// Where the leader takes workers, when that is known: host and port.
        2 leader: &'a str = "",
    }
}

message! {
    /// A task has come, and runs.
    pub struct TaskAccepted: TASK_ACCEPTED = "task_accepted" {
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
    /// A task does not run at the worker, and will not.
    pub struct TaskRefused: TASK_REFUSED = "task_refused" {
        /// The message that started the instance.
        1 message: u64,
        /// Which of the message's actions did, counted from 1.
        2 ordinal: u16,
        /// The task's place in the definition, counted from 0.
        3 task: u16,
        /// Which attempt, counted from 1.
        4 attempt: u32,
        /// Why: 1 it is for another run of the worker, 2 the worker is full, 3 it leaves, 4 it has no
        /// such plugin, 5 it ran here before and that was recorded, 6 the worker has no lease.
        5 why: u8,
    }
}

message! {
    /// A task is not wanted any more. Answered by its `task_result`.
    pub struct TaskStop: TASK_STOP = "task_stop" {
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
    /// What became of a task is recorded, or wanted by nobody: the worker may forget it.
    pub struct TaskRecorded: TASK_RECORDED = "task_recorded" {
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
    /// Of a worker: it wants no more tasks, or may get them again. Of the leader: an operator wants it so.
    pub struct WorkerDrain: WORKER_DRAIN = "worker_drain" {
        /// Whether there are to be none.
        1 on: bool,
    }
}

message! {
    /// Nothing runs at the worker, and every result is recorded: it goes. Answered by `worker_left`.
    pub struct WorkerLeave: WORKER_LEAVE = "worker_leave" {
        /// Which run.
        1 boot: u64,
    }
}

message! {
    /// The worker belongs to the cluster no longer, as it wished.
    pub struct WorkerLeft: WORKER_LEFT = "worker_left" {}
}

message! {
    /// This run was declared lost, and what it runs given to others: the worker stops everything, and
    /// registers as another run.
    pub struct WorkerLost: WORKER_LOST = "worker_lost" {
        /// Which run.
        1 boot: u64,
    }
}

message! {
    /// Would a plugin take a configuration? Answered by `task_validated`.
    pub struct TaskValidate<'a>: TASK_VALIDATE = "task_validate" {
        /// Which question: the answer repeats it.
        1 ticket: u64,
        /// Which plugin.
        2 plugin: &'a str,
        /// The configuration, JSON.
        3 config: &'a [u8] = b"",
    }
}

message! {
    /// What a plugin says to a configuration.
    pub struct TaskValidated<'a>: TASK_VALIDATED = "task_validated" {
        /// Which question.
        1 ticket: u64,
        /// It would take it.
        2 valid: bool,
        /// What is wrong with it, or why nobody could say, for people.
        3 fault: &'a str = "",
        /// The plugin could not say: not `valid`, and not refused either.
        4 unsaid: bool = false,
    }
}
