//! What a worker and the leader say to each other as frames: docs/WIRE.md, "Messages of tasks".
//!
//! Every message is one frame with call 0: nothing is answered by number. Which worker speaks, the
//! link's hellos and its first message say, so the fields for it are 0 and not looked at, and so are
//! those that this release says in another way: the leader's term, a worker's capacity in its status,
//! the names of what it runs. The trace of an order travels in the frame's header.
//!
//! Invariants:
//! - what is decoded is what was encoded, whatever the message;
//! - no bytes of a peer make the reader panic, or take more memory than a few times their number;
//! - what may be large is copied once into the frame, and stays in the payload that it came in;
//! - a frame's payload is within what every link takes, [`PEER_BYTES_MAX`].

#[cfg(test)]
mod tests;

use super::message::{
    CAPACITY_MAX, CONFIG_BYTES_MAX, FAULT_BYTES_MAX, FromWorker, INPUT_BYTES_MAX, PLUGINS_MAX,
    PluginInfo, Refusal, Run, ToWorker, Verdict,
};
use crate::record::{Ended, Failed};
use crate::shard::OrderId;
use base::limits::{KEY_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use base::{Address, AddressError, BootId, InstanceId, MessageId, UnixMicros, WorkerId};
use bytes::Bytes;
use flow::{ERROR_CODE_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX, TaskIndex};
use telemetry::TraceContext;
use wire::{
    Flags, HEADER_BYTES, Head, Kind, List, Message as _, MessageError, PEER_BYTES_MAX, write_frame,
};

/// What stands around a message's parts of variable length, at most. Unit: bytes. The header, the
/// trace, and the fields of an assignment, which has the most.
const AROUND_BYTES_MAX: usize = HEADER_BYTES + wire::TRACE_BYTES + 14 * 15;

/// What stands around a plugin's texts. Unit: bytes. The element, and three fields.
const PLUGIN_HEAD_BYTES: usize = 5 + 7 + 7 + 11;

const _: () = assert!(
    CONFIG_BYTES_MAX + INPUT_BYTES_MAX + 4 * MESSAGE_BYTES_MAX + AROUND_BYTES_MAX <= PEER_BYTES_MAX
);
const _: () = assert!(
    PLUGINS_MAX * (2 * NAME_BYTES_MAX + PLUGIN_HEAD_BYTES) + AROUND_BYTES_MAX <= PEER_BYTES_MAX
);
const _: () = assert!(OUTPUT_BYTES_MAX + AROUND_BYTES_MAX <= PEER_BYTES_MAX);

/// The outcomes of a `task_result`.
mod outcome {
    pub(super) const COMPLETED: u8 = 1;
    pub(super) const FAILED: u8 = 2;
    /// Failed, with the code that says so. Not written: the code is there.
    pub(super) const TIMED_OUT: u8 = 3;
    pub(super) const STOPPED: u8 = 4;
}

/// A frame that says nothing that a worker or a leader can hear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerFrameError {
    /// Something else than what is said on an open link in this direction.
    #[error("{kind} is nothing that {speaker} says on an open link")]
    Kind {
        /// What it is.
        kind: Kind,
        /// Who would have said it.
        speaker: &'static str,
    },
    /// The payload is not the message that its kind says.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A number that stands for nothing.
    #[error("{message}.{field} is {value}, which stands for nothing")]
    Unknown {
        /// Of which message.
        message: &'static str,
        /// Which field.
        field: &'static str,
        /// What it is.
        value: u64,
    },
    /// A part is longer than it may be, or is more than may be.
    #[error("{message}.{field} has {found}, {max} at most are taken")]
    TooMuch {
        /// Of which message.
        message: &'static str,
        /// Which field.
        field: &'static str,
        /// How much it has.
        found: usize,
        /// How much it may have.
        max: usize,
    },
    /// A leader's place that is none.
    #[error("worker_not_taken.leader: {0}")]
    Leader(#[from] AddressError),
}

impl FromWorker {
    /// Appends the frame.
    pub fn encode(&self, sent_at: UnixMicros, out: &mut Vec<u8>) {
        let start = out.len();
        let mut frame = Frame { sent_at, trace: None, out };
        match self {
            Self::Register { worker, boot, name, address, capacity, plugins, zone } => {
                let plugins: Vec<wire::Plugin<'_>> = plugins
                    .iter()
                    .map(|plugin| wire::Plugin {
                        name: &plugin.name,
                        version: &plugin.version,
                        abi: plugin.abi,
                    })
                    .collect();
                frame.write(&wire::WorkerRegister {
                    worker: worker.0,
                    boot: boot.0,
                    name,
                    address,
                    capacity: *capacity,
                    plugins: List::from(&plugins[..]),
                    zone,
                });
            }
            Self::Renew { boot, number, running, cpu_permille, memory_bytes } => {
                frame.write(&wire::TaskStatus {
                    worker: OF_THE_LINK,
                    boot: boot.0,
                    renewal: *number,
                    capacity: 0,
                    draining: false,
                    running: List::EMPTY,
                    ended: List::EMPTY,
                    running_count: *running,
                    cpu_permille: *cpu_permille,
                    memory_bytes: *memory_bytes,
                });
            }
            Self::Accepted { order } => {
                let (message, ordinal, task, attempt) = parts(*order);
                frame.write(&wire::TaskAccepted { message, ordinal, task, attempt });
            }
            Self::Refused { order, why } => {
                let (message, ordinal, task, attempt) = parts(*order);
                let why = code_of(*why);
                frame.write(&wire::TaskRefused { message, ordinal, task, attempt, why });
            }
            Self::Ended { order, ended } => frame.write(&result(*order, Some(ended))),
            Self::Stopped { order } => frame.write(&result(*order, None)),
            Self::Drain { on } => frame.write(&wire::WorkerDrain { on: *on }),
            Self::Leave { boot } => frame.write(&wire::WorkerLeave { boot: boot.0 }),
            Self::Validated { ticket, verdict } => frame.write(&wire::TaskValidated {
                ticket: *ticket,
                valid: *verdict == Verdict::Valid,
                fault: verdict.fault(),
                unsaid: matches!(verdict, Verdict::Unsaid(_)),
            }),
        }
        check_length(out, start);
    }

    /// The message that a frame of this kind carries. Its large parts are slices of the payload.
    ///
    /// # Errors
    /// It is none that a worker says.
    pub fn decode(kind: Kind, payload: &Bytes) -> Result<Self, WorkerFrameError> {
        Ok(match kind {
            Kind::WORKER_REGISTER => decode_register(payload)?,
            Kind::TASK_STATUS => {
                let read = wire::TaskStatus::decode(payload)?;
                Self::Renew {
                    boot: BootId(read.boot),
                    number: read.renewal,
                    running: read.running_count,
                    cpu_permille: read.cpu_permille,
                    memory_bytes: read.memory_bytes,
                }
            }
            Kind::TASK_ACCEPTED => {
                let wire::TaskAccepted { message, ordinal, task, attempt } =
                    wire::Message::decode(payload)?;
                Self::Accepted { order: order(message, ordinal, task, attempt) }
            }
            Kind::TASK_REFUSED => {
                let wire::TaskRefused { message, ordinal, task, attempt, why } =
                    wire::Message::decode(payload)?;
                let unknown = unknown("task_refused", "why", why);
                let why = with_code(why).ok_or(unknown)?;
                Self::Refused { order: order(message, ordinal, task, attempt), why }
            }
            Kind::TASK_RESULT => decode_result(payload)?,
            Kind::WORKER_DRAIN => Self::Drain { on: wire::WorkerDrain::decode(payload)?.on },
            Kind::WORKER_LEAVE => {
                Self::Leave { boot: BootId(wire::WorkerLeave::decode(payload)?.boot) }
            }
            Kind::TASK_VALIDATED => {
                let read = wire::TaskValidated::decode(payload)?;
                limit("task_validated", "fault", read.fault.len(), FAULT_BYTES_MAX)?;
                let verdict = match (read.valid, read.unsaid) {
                    (true, _) => Verdict::Valid,
                    (false, false) => Verdict::Invalid(read.fault.to_owned()),
                    (false, true) => Verdict::Unsaid(read.fault.to_owned()),
                };
                Self::Validated { ticket: read.ticket, verdict }
            }
            kind => return Err(WorkerFrameError::Kind { kind, speaker: "a worker" }),
        })
    }

    /// How long the frame is, or a little more. Unit: bytes. For the bounds of what waits to be sent.
    pub fn encoded_bytes(&self) -> usize {
        let parts = match self {
            Self::Register { name, address, plugins, zone, .. } => {
                let plugins = plugins
                    .iter()
                    .map(|plugin| PLUGIN_HEAD_BYTES + 4 + plugin.name.len() + plugin.version.len());
                name.len() + address.len() + zone.len() + plugins.sum::<usize>()
            }
            Self::Ended { ended: Ended::Output(output), .. } => output.len(),
            Self::Ended { ended: Ended::Failed(failed), .. } => {
                failed.code.len() + failed.message.len()
            }
            Self::Validated { verdict, .. } => verdict.fault().len(),
            Self::Renew { .. }
            | Self::Accepted { .. }
            | Self::Refused { .. }
            | Self::Stopped { .. }
            | Self::Drain { .. }
            | Self::Leave { .. } => 0,
        };
        AROUND_BYTES_MAX + parts
    }
}

impl ToWorker {
    /// Appends the frame.
    pub fn encode(&self, sent_at: UnixMicros, out: &mut Vec<u8>) {
        let start = out.len();
        let mut frame = Frame { sent_at, trace: None, out };
        match self {
            Self::Registered { lease_ms, boot } => {
                frame.write(&wire::WorkerRegistered { boot: boot.0, lease_ms: *lease_ms });
            }
            Self::NotTaken { why, leader } => {
                let leader = leader.as_ref().map(ToString::to_string).unwrap_or_default();
                frame.write(&wire::WorkerNotTaken { why, leader: &leader });
            }
            Self::Renewed { number } => frame.answer(&wire::TaskStatusResponse {
                worker: OF_THE_LINK,
                boot: OF_THE_LINK,
                renewal: *number,
                term: 0,
                lease_ms: 0,
                recorded: List::EMPTY,
                stop: List::EMPTY,
            }),
            Self::Run(run) => {
                frame.trace = run.trace;
                frame.write(&assignment(run));
            }
            Self::Stop { order } => {
                let (message, ordinal, task, attempt) = parts(*order);
                frame.write(&wire::TaskStop { message, ordinal, task, attempt });
            }
            Self::Recorded { order } => {
                let (message, ordinal, task, attempt) = parts(*order);
                frame.write(&wire::TaskRecorded { message, ordinal, task, attempt });
            }
            Self::Draining { on } => frame.write(&wire::WorkerDrain { on: *on }),
            Self::Left => frame.write(&wire::WorkerLeft {}),
            Self::Lost { boot } => frame.write(&wire::WorkerLost { boot: boot.0 }),
            Self::Validate { ticket, plugin, config } => {
                frame.write(&wire::TaskValidate { ticket: *ticket, plugin, config });
            }
        }
        check_length(out, start);
    }

    /// The message that a frame of this kind carries, with the trace of its header. Its large parts are
    /// slices of the payload.
    ///
    /// # Errors
    /// It is none that a leader says to a worker.
    pub fn decode(
        kind: Kind,
        payload: &Bytes,
        trace: Option<TraceContext>,
    ) -> Result<Self, WorkerFrameError> {
        Ok(match kind {
            Kind::WORKER_REGISTERED => {
                let wire::WorkerRegistered { boot, lease_ms } = wire::Message::decode(payload)?;
                Self::Registered { lease_ms, boot: BootId(boot) }
            }
            Kind::WORKER_NOT_TAKEN => {
                let read = wire::WorkerNotTaken::decode(payload)?;
                limit("worker_not_taken", "why", read.why.len(), FAULT_BYTES_MAX)?;
                let leader = match read.leader {
                    "" => None,
                    leader => Some(Address::parse(leader)?),
                };
                Self::NotTaken { why: read.why.to_owned(), leader }
            }
            Kind::TASK_STATUS => {
                Self::Renewed { number: wire::TaskStatusResponse::decode(payload)?.renewal }
            }
            Kind::TASK_ASSIGNMENT => Self::Run(Box::new(decode_run(payload, trace)?)),
            Kind::TASK_STOP => {
                let wire::TaskStop { message, ordinal, task, attempt } =
                    wire::Message::decode(payload)?;
                Self::Stop { order: order(message, ordinal, task, attempt) }
            }
            Kind::TASK_RECORDED => {
                let wire::TaskRecorded { message, ordinal, task, attempt } =
                    wire::Message::decode(payload)?;
                Self::Recorded { order: order(message, ordinal, task, attempt) }
            }
            Kind::WORKER_DRAIN => Self::Draining { on: wire::WorkerDrain::decode(payload)?.on },
            Kind::WORKER_LEFT => {
                let wire::WorkerLeft {} = wire::Message::decode(payload)?;
                Self::Left
            }
            Kind::WORKER_LOST => {
                Self::Lost { boot: BootId(wire::WorkerLost::decode(payload)?.boot) }
            }
            Kind::TASK_VALIDATE => {
                let read = wire::TaskValidate::decode(payload)?;
                limit("task_validate", "plugin", read.plugin.len(), NAME_BYTES_MAX)?;
                limit("task_validate", "config", read.config.len(), CONFIG_BYTES_MAX)?;
                let (plugin, config) = (read.plugin.to_owned(), payload.slice_ref(read.config));
                Self::Validate { ticket: read.ticket, plugin, config }
            }
            kind => return Err(WorkerFrameError::Kind { kind, speaker: "a leader" }),
        })
    }

    /// How long the frame is, or a little more. Unit: bytes. For the bounds of what waits to be sent.
    pub fn encoded_bytes(&self) -> usize {
        let parts = match self {
            Self::NotTaken { why, leader } => {
                why.len() + leader.as_ref().map_or(0, |leader| leader.to_string().len())
            }
            Self::Run(run) => {
                let texts = [&run.plugin, &run.idempotency_key, &run.workflow, &run.task];
                let texts: usize = texts.into_iter().map(String::len).sum();
                texts + run.config.len() + run.input.len()
            }
            Self::Validate { plugin, config, .. } => plugin.len() + config.len(),
            Self::Registered { .. }
            | Self::Renewed { .. }
            | Self::Stop { .. }
            | Self::Recorded { .. }
            | Self::Draining { .. }
            | Self::Left
            | Self::Lost { .. } => 0,
        };
        AROUND_BYTES_MAX + parts
    }
}

/// The worker, and its boot: the link says them.
const OF_THE_LINK: u64 = 0;

/// Where a message goes.
struct Frame<'o> {
    sent_at: UnixMicros,
    trace: Option<TraceContext>,
    out: &'o mut Vec<u8>,
}

impl Frame<'_> {
    fn write<'m, M: wire::Message<'m>>(&mut self, message: &M) {
        self.with(Flags::NONE, message);
    }

    fn answer<'m, M: wire::Message<'m>>(&mut self, message: &M) {
        self.with(Flags::RESPONSE, message);
    }

    fn with<'m, M: wire::Message<'m>>(&mut self, flags: Flags, message: &M) {
        let (kind, sent_at, trace) = (M::KIND, self.sent_at, self.trace);
        let head = Head { kind, flags, call: 0, sent_at, trace };
        write_frame(self.out, &head, |out| message.encode(out));
    }
}

fn check_length(out: &[u8], start: usize) {
    assert!(out.len() - start - HEADER_BYTES <= PEER_BYTES_MAX, "every link takes what is said");
}

fn parts(order: OrderId) -> (u64, u16, u16, u32) {
    let OrderId { instance, task, attempt } = order;
    (instance.message.0, instance.ordinal, task.0, attempt)
}

fn order(message: u64, ordinal: u16, task: u16, attempt: u32) -> OrderId {
    let instance = InstanceId { message: MessageId(message), ordinal };
    OrderId { instance, task: TaskIndex(task), attempt }
}

/// How an order ended; none for one that was stopped.
fn result(of: OrderId, ended: Option<&Ended>) -> wire::TaskResult<'_> {
    let (message, ordinal, task, attempt) = parts(of);
    let stopped = wire::TaskResult {
        worker: OF_THE_LINK,
        boot: OF_THE_LINK,
        message,
        ordinal,
        task,
        attempt,
        outcome: outcome::STOPPED,
        output: b"",
        error_code: "",
        error_message: "",
        duration_us: 0,
        retryable: false,
    };
    match ended {
        None => stopped,
        Some(Ended::Output(output)) => {
            wire::TaskResult { outcome: outcome::COMPLETED, output, ..stopped }
        }
        Some(Ended::Failed(Failed { code, message, retryable })) => wire::TaskResult {
            outcome: outcome::FAILED,
            error_code: code,
            error_message: message,
            retryable: *retryable,
            ..stopped
        },
    }
}

fn decode_result(payload: &Bytes) -> Result<FromWorker, WorkerFrameError> {
    let read = wire::TaskResult::decode(payload)?;
    let of = order(read.message, read.ordinal, read.task, read.attempt);
    let field = |field, found, max| limit("task_result", field, found, max);
    field("output", read.output.len(), OUTPUT_BYTES_MAX)?;
    field("error_code", read.error_code.len(), ERROR_CODE_BYTES_MAX)?;
    field("error_message", read.error_message.len(), ERROR_MESSAGE_BYTES_MAX)?;
    Ok(match read.outcome {
        outcome::COMPLETED => {
            FromWorker::Ended { order: of, ended: Ended::Output(read.output.to_vec()) }
        }
        outcome::FAILED | outcome::TIMED_OUT => {
            let failed = Failed {
                code: read.error_code.to_owned(),
                message: read.error_message.to_owned(),
                retryable: read.retryable,
            };
            FromWorker::Ended { order: of, ended: Ended::Failed(failed) }
        }
        outcome::STOPPED => FromWorker::Stopped { order: of },
        other => return Err(unknown("task_result", "outcome", other)),
    })
}

fn assignment(run: &Run) -> wire::TaskAssignment<'_> {
    let (message, ordinal, task, attempt) = parts(run.order);
    wire::TaskAssignment {
        worker: OF_THE_LINK,
        boot: run.boot.0,
        term: 0,
        message,
        ordinal,
        task,
        attempt,
        kind: &run.plugin,
        idempotency_key: &run.idempotency_key,
        config: &run.config,
        input: &run.input,
        timeout_ms: run.timeout_ms,
        workflow: &run.workflow,
        name: &run.task,
    }
}

fn decode_run(payload: &Bytes, trace: Option<TraceContext>) -> Result<Run, WorkerFrameError> {
    let read = wire::TaskAssignment::decode(payload)?;
    let field = |field, found, max| limit("task_assignment", field, found, max);
    field("kind", read.kind.len(), NAME_BYTES_MAX)?;
    field("idempotency_key", read.idempotency_key.len(), KEY_BYTES_MAX)?;
    field("config", read.config.len(), CONFIG_BYTES_MAX)?;
    field("input", read.input.len(), INPUT_BYTES_MAX)?;
    field("workflow", read.workflow.len(), NAME_BYTES_MAX)?;
    field("name", read.name.len(), NAME_BYTES_MAX)?;
    Ok(Run {
        boot: BootId(read.boot),
        order: order(read.message, read.ordinal, read.task, read.attempt),
        plugin: read.kind.to_owned(),
        config: payload.slice_ref(read.config),
        input: payload.slice_ref(read.input),
        timeout_ms: read.timeout_ms,
        idempotency_key: read.idempotency_key.to_owned(),
        workflow: read.workflow.to_owned(),
        task: read.name.to_owned(),
        trace,
    })
}

fn decode_register(payload: &Bytes) -> Result<FromWorker, WorkerFrameError> {
    let read = wire::WorkerRegister::decode(payload)?;
    let field = |field, found, max| limit("worker_register", field, found, max);
    field("name", read.name.len(), NAME_BYTES_MAX)?;
    field("address", read.address.len(), NAME_BYTES_MAX)?;
    field("zone", read.zone.len(), NAME_BYTES_MAX)?;
    field("plugins", read.plugins.len(), PLUGINS_MAX)?;
    let capacity = usize::try_from(read.capacity).unwrap_or(usize::MAX);
    field("capacity", capacity, CAPACITY_MAX as usize)?;
    let mut plugins = Vec::with_capacity(read.plugins.len());
    for wire::Plugin { name, version, abi } in read.plugins {
        limit("plugin", "name", name.len(), NAME_BYTES_MAX)?;
        limit("plugin", "version", version.len(), NAME_BYTES_MAX)?;
        plugins.push(PluginInfo { name: name.to_owned(), version: version.to_owned(), abi });
    }
    Ok(FromWorker::Register {
        worker: WorkerId(read.worker),
        boot: BootId(read.boot),
        name: read.name.to_owned(),
        address: read.address.to_owned(),
        capacity: read.capacity,
        plugins,
        zone: read.zone.to_owned(),
    })
}

fn limit(
    message: &'static str,
    field: &'static str,
    found: usize,
    max: usize,
) -> Result<(), WorkerFrameError> {
    if found > max {
        return Err(WorkerFrameError::TooMuch { message, field, found, max });
    }
    Ok(())
}

fn unknown(message: &'static str, field: &'static str, value: u8) -> WorkerFrameError {
    WorkerFrameError::Unknown { message, field, value: value.into() }
}

/// The reason's number, the same in every release.
fn code_of(why: Refusal) -> u8 {
    match why {
        Refusal::Boot => 1,
        Refusal::Full => 2,
        Refusal::Draining => 3,
        Refusal::Plugin => 4,
        Refusal::Over => 5,
        Refusal::Lease => 6,
    }
}

fn with_code(code: u8) -> Option<Refusal> {
    match code {
        1 => Some(Refusal::Boot),
        2 => Some(Refusal::Full),
        3 => Some(Refusal::Draining),
        4 => Some(Refusal::Plugin),
        5 => Some(Refusal::Over),
        6 => Some(Refusal::Lease),
        _ => None,
    }
}
