//! What a worker and the leader say to each other.
//!
//! They speak over one connection, which the worker makes. While it lives nothing is lost and nothing
//! overtakes; when it breaks, everything on it may be lost, and what must arrive is said again:
//!
//! - the worker registers, and says again every result that is not known to be recorded;
//! - the leader sends again every order that the state says this worker has, and every stop.
//!
//! Invariants (SOUNDNESS 18, 19):
//! - an order is sent once `TaskAssigned` for it is applied, never before;
//! - a worker runs an order of its own boot alone, at most as many as its capacity at once, and none
//!   twice that it remembers;
//! - a lease is counted by the worker from when it sent what was answered, by the leader from its answer.
//!   The leader answers [`FromWorker::Renew`] and [`FromWorker::Register`] only after it has made sure,
//!   *since that message came*, that it still leads: by a read index asked for later, or an entry of its
//!   own applied. One that was deposed while it was frozen would otherwise prolong leases that its
//!   successor has waited out.

use crate::record::Ended;
use crate::shard::OrderId;
use base::{Address, BootId, WorkerId};
use bytes::Bytes;
use telemetry::TraceContext;

/// The longest configuration of a task. Unit: bytes. It is a part of its definition.
pub const CONFIG_BYTES_MAX: usize = flow::DEFINITION_BYTES_MAX;

/// The longest input of a task. Unit: bytes. As one task's output.
pub const INPUT_BYTES_MAX: usize = flow::OUTPUT_BYTES_MAX;

/// The longest text that one side gives the other as a reason, for people. Unit: bytes.
pub const FAULT_BYTES_MAX: usize = 4 * 1024;

/// The most plugins of a worker. A folder has half as many at most, each of which is at least a process.
pub const PLUGINS_MAX: usize = 256;

/// The most orders that a worker runs at once: each is a thread of a plugin's process. What one worker takes
/// with it when it is lost is one record in the log, and what it has is sent again when it connects.
pub const CAPACITY_MAX: u32 = 4_096;

/// A plugin that a worker has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginInfo {
    /// The type of task that it runs. At most [`base::limits::NAME_BYTES_MAX`].
    pub name: String,
    /// Its version, for people. At most as long.
    pub version: String,
    /// The version of the contract that it was built for.
    pub abi: u32,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// The first thing on every connection, of the worker that its `hello` named. Answered by
    /// [`ToWorker::Registered`], [`ToWorker::NotTaken`], [`ToWorker::Lost`] or, where this run has left
    /// and did not hear it, [`ToWorker::Left`].
    ///
    /// Its texts have at most [`base::limits::NAME_BYTES_MAX`] bytes each.
    Register {
        /// Who.
        worker: WorkerId,
        /// Which run of it: another one of the same worker means that this one's predecessor is gone,
        /// with all that it ran.
        boot: BootId,
        /// Its name, for people.
        name: String,
        /// Where it shows health and metrics, for people. Empty: nowhere.
        address: String,
        /// How many orders it runs at once, at most [`CAPACITY_MAX`].
        capacity: u32,
        /// What it has, by name: at most [`PLUGINS_MAX`].
        plugins: Vec<PluginInfo>,
        /// Where it stands: the strategy `locality` prefers the leader's own zone. Empty: not said.
        zone: String,
    },
    /// Its lease, please, for longer. Answered by [`ToWorker::Renewed`].
    Renew {
        /// Which run of it.
        boot: BootId,
        /// Which renewal of this run: each is greater than the one before.
        number: u64,
        /// How many orders run.
        running: u32,
        /// How busy its processors are, all of them together: 0 to 1,000.
        cpu_permille: u32,
        /// How much memory its processes have. Unit: bytes.
        memory_bytes: u64,
    },
    /// The order has come, and runs. Said again to an order that came again.
    Accepted {
        /// Which.
        order: OrderId,
    },
    /// The order does not run here, and will not.
    Refused {
        /// Which.
        order: OrderId,
        /// Why.
        why: Refusal,
    },
    /// It has ended. Kept, and said again after each new connection, until [`ToWorker::Recorded`].
    Ended {
        /// Which.
        order: OrderId,
        /// How.
        ended: Ended,
    },
    /// It does not run here, and its outcome is not known: it was stopped, because the leader wished
    /// so, because the lease ran out, or because the worker has to go. Also said of an order that was
    /// to be stopped and is not known here. What was not stopped by the leader's wish is kept, and said
    /// again like an end.
    Stopped {
        /// Which.
        order: OrderId,
    },
    /// No new orders, please; or they may come again. Said again after each new connection while it is on.
    Drain {
        /// Whether it is on.
        on: bool,
    },
    /// Nothing runs, and every result is recorded: the worker goes. Answered by [`ToWorker::Left`].
    Leave {
        /// Which run of it.
        boot: BootId,
    },
    /// What a plugin says to a configuration.
    Validated {
        /// The question's.
        ticket: u64,
        /// What it says.
        verdict: Verdict,
    },
}

/// What a plugin says to a configuration. Texts are for people, at most [`FAULT_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it.
    Valid,
    /// It does not, for this reason.
    Invalid(String),
    /// It could not say, for this reason: it hung, crashed, or is not there.
    Unsaid(String),
}

impl Verdict {
    /// What is wrong; empty when nothing is.
    pub(crate) fn fault(&self) -> &str {
        match self {
            Self::Valid => "",
            Self::Invalid(fault) | Self::Unsaid(fault) => fault,
        }
    }
}

/// Why a worker does not run an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It is for another run of the worker.
    Boot,
    /// As many as its capacity run already, or too many results wait to be recorded.
    Full,
    /// It takes no more orders: it leaves.
    Draining,
    /// It has no such plugin.
    Plugin,
    /// It came before: it ran and what became of it was recorded, or it was refused.
    Over,
    /// Its lease has run out, or it is not registered.
    Lease,
}

/// What the leader says to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// The worker belongs to the cluster, and has a lease: as an answer to a renewal it counts from when
    /// [`FromWorker::Register`] was sent.
    Registered {
        /// How long each lease is. Unit: milliseconds.
        lease_ms: u32,
        /// Which run.
        boot: BootId,
    },
    /// The worker was not registered: whoever is asked does not lead, there are too many workers, a later
    /// run of this one is known, or this very run is connected already. The worker asks somebody else, or
    /// again later.
    NotTaken {
        /// For people. At most [`FAULT_BYTES_MAX`].
        why: String,
        /// Where the leader takes workers, when that is known.
        leader: Option<Address>,
    },
    /// The lease was renewed.
    Renewed {
        /// By which renewal.
        number: u64,
    },
    /// An order. Sent again after each new connection while it is assigned to this worker.
    Run(Box<Run>),
    /// The order is not wanted any more: stop it. Answered by [`FromWorker::Stopped`], or by
    /// [`FromWorker::Ended`] when that was on its way.
    Stop {
        /// Which.
        order: OrderId,
    },
    /// What became of the order is recorded, or wanted by nobody: the worker may forget it.
    Recorded {
        /// Which.
        order: OrderId,
    },
    /// An operator drains the worker, or has ceased to. For its log and its health: the leader gives it
    /// no orders.
    Draining {
        /// Whether it is on.
        on: bool,
    },
    /// The worker belongs to the cluster no longer, as it wished.
    Left,
    /// This run was declared lost: what it runs was given to others. The worker stops everything and
    /// registers as another run.
    Lost {
        /// Which run.
        boot: BootId,
    },
    /// Would this plugin take this configuration? Answered by [`FromWorker::Validated`].
    Validate {
        /// Repeated in the answer.
        ticket: u64,
        /// Which plugin.
        plugin: String,
        /// The configuration, JSON. At most [`CONFIG_BYTES_MAX`].
        config: Bytes,
    },
}

/// One attempt of one task, for a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run of the worker that it is assigned to.
    pub boot: BootId,
    /// Its name. Task and attempt are the fencing token.
    pub order: OrderId,
    /// What runs it.
    pub plugin: String,
    /// The task's configuration, JSON. At most [`CONFIG_BYTES_MAX`].
    pub config: Bytes,
    /// Its input, JSON. At most [`INPUT_BYTES_MAX`].
    pub input: Bytes,
    /// How long it may run. 0: as long as the plugin's own limit says. Unit: milliseconds.
    pub timeout_ms: u64,
    /// The same for every attempt of the task, so that the other side can drop a repeat.
    pub idempotency_key: String,
    /// The workflow's id.
    pub workflow: String,
    /// The task's id in the workflow.
    pub task: String,
    /// What the attempt's span belongs below.
    pub trace: Option<TraceContext>,
}
