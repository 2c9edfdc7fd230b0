//! Records: every change of the replicated state is one of these.
//!
//! A record has a type (u16) and a version (u8); the layout of a version is frozen, with golden
//! bytes in the tests. Bodies are rkyv archives (unaligned, little-endian, 32-bit offsets), checked
//! on every read. A reader that meets a type or version it does not know stops the node: skipping
//! it would let two nodes' states differ.

mod passed;
mod workers;

pub use passed::{ArchivedKeyedStart, KeyedStart, Passed, PassedView};
pub use workers::{
    TaskAssigned, TaskReleased, WorkerDrained, WorkerJoined, WorkerLeft, WorkerLost, WorkerPlugin,
};

use base::{InstanceId, MessageId};
use rkyv::rancor::Error as Rancor;
use rkyv::with::InlineAsBox;
use rkyv::{Archive, Deserialize, Serialize};
use telemetry::TraceContext;

/// The namespace of everything, until requests can name one.
pub(crate) const NAMESPACE: &str = "default";

/// The level of the formats that nodes share: which records, batches and snapshots they may write
/// (docs/decisions/0012).
pub(crate) const FORMAT_LEVEL: u16 = crate::founding::FORMATS.1;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum RecordType {
    /// The cluster's birth: its parameters. The first record of every log. Global.
    Born = 1,
    /// Rules and definitions changed. Global.
    CatalogueChanged = 2,
    /// Every node hashes its state at this place. Global.
    Checksum = 3,
    /// A run of a worker belongs to the cluster. Global.
    WorkerJoined = 4,
    /// A worker's lease was over. Global.
    WorkerLost = 5,
    /// A worker has gone, as it wished. Global.
    WorkerLeft = 6,
    /// An operator wishes a worker to get no more tasks, or to get them again. Global.
    WorkerDrained = 7,
    /// A message was accepted.
    Accepted = 16,
    /// A task's attempt ended at a worker.
    TaskEnded = 17,
    /// A withdrawn attempt is known to have stopped.
    TaskStopped = 18,
    /// A user cancelled an instance.
    Cancelled = 19,
    /// An order of one partition was passed to another. Both apply it.
    Passed = 20,
    /// A worker has an attempt of a task.
    TaskAssigned = 21,
    /// A worker does not carry out an attempt that it had.
    TaskReleased = 22,
}

impl RecordType {
    /// The type with that number.
    pub fn from_code(code: u16) -> Option<Self> {
        [
            Self::Born,
            Self::CatalogueChanged,
            Self::Checksum,
            Self::WorkerJoined,
            Self::WorkerLost,
            Self::WorkerLeft,
            Self::WorkerDrained,
            Self::Accepted,
            Self::TaskEnded,
            Self::TaskStopped,
            Self::Cancelled,
            Self::Passed,
            Self::TaskAssigned,
            Self::TaskReleased,
        ]
        .into_iter()
        .find(|kind| *kind as u16 == code)
    }

    /// The newest version of its layout. This program reads every version from 1 on.
    pub fn newest_version(self) -> u8 {
        match self {
            Self::Accepted | Self::CatalogueChanged => 2,
            _ => 1,
        }
    }

    /// Whether every core applies it, not one partition alone.
    pub fn is_global(self) -> bool {
        matches!(
            self,
            Self::Born
                | Self::CatalogueChanged
                | Self::Checksum
                | Self::WorkerJoined
                | Self::WorkerLost
                | Self::WorkerLeft
                | Self::WorkerDrained
        )
    }

    /// Whether two partitions apply it: one that gives, one that takes.
    pub fn is_between(self) -> bool {
        self == Self::Passed
    }
}

/// Parameters that all nodes share, fixed at the cluster's birth.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Born {
    /// Drawn at random when the first data directory was made.
    pub cluster_id: u64,
    /// How many partitions the state is cut into.
    pub partitions: u16,
    /// Finished messages and instances kept. Unit: bytes, over all partitions.
    pub retention_bytes: u64,
    /// Idempotency keys kept, over all partitions; and, apart from them, as many places in the
    /// windows of producers.
    pub keys_max: u64,
    /// How long a key is remembered, and a producer after its last message. Unit: milliseconds of
    /// log time.
    pub key_ttl_ms: u64,
}

/// One change of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Change {
    /// Adds a rule or replaces it. The text is one rule's canonical JSON.
    PutRule(String),
    /// Removes the rule with this id.
    DeleteRule(String),
    /// Adds a workflow definition or replaces it. The text is one definition's canonical JSON.
    PutDefinition(String),
    /// Removes the definition with this id.
    DeleteDefinition(String),
    /// Lets the rule with this id be looked at: again, or no longer.
    EnableRule(String, bool),
    /// Stores the text that the rule with this id had in this earlier version, as a new version.
    RollBackRule(String, u32),
    /// The same with a workflow definition.
    RollBackDefinition(String, u32),
    /// These rules become all rules, and every other one is removed: first those that stay as they
    /// are, each by its id with [`base::hash64`] of its text (the change is refused when one has
    /// another text by now), then the texts of those that are added or replaced.
    ReplaceRules(Vec<(String, u64)>, Vec<String>),
}

impl Change {
    /// What it takes in its record. Unit: bytes, about, and never less.
    pub fn bytes(&self) -> usize {
        // A text's or an element's place, rounded up.
        const PLACE_BYTES: usize = 24;
        let text = |text: &str| text.len() + PLACE_BYTES;
        PLACE_BYTES
            + match self {
                Self::PutRule(one)
                | Self::DeleteRule(one)
                | Self::PutDefinition(one)
                | Self::DeleteDefinition(one)
                | Self::EnableRule(one, _)
                | Self::RollBackRule(one, _)
                | Self::RollBackDefinition(one, _) => text(one),
                Self::ReplaceRules(keep, put) => {
                    let keep: usize = keep.iter().map(|(id, _)| text(id)).sum();
                    keep + put.iter().map(|one| text(one)).sum::<usize>()
                }
            }
    }
}

/// The catalogue was changed, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueChanged {
    /// Whose catalogue. Always `default` in this step.
    pub namespace: String,
    /// Who says to have changed it; empty when nobody was named. Nothing vouches for it.
    pub by: String,
    /// In order.
    pub changes: Vec<Change>,
    /// Whether a rule's text that differs from the one that is there in `enabled` alone needs no
    /// higher version. Records of version 1 were applied without that, and must always be.
    pub flips: bool,
}

/// The layout of a change that names nobody. Read, no longer written.
#[derive(Archive, Serialize, Deserialize)]
struct CatalogueChangedV1 {
    namespace: String,
    changes: Vec<ChangeV1>,
}

#[derive(Archive, Serialize, Deserialize)]
enum ChangeV1 {
    PutRule(String),
    DeleteRule(String),
    PutDefinition(String),
    DeleteDefinition(String),
}

#[derive(Archive, Serialize, Deserialize)]
struct CatalogueChangedV2 {
    namespace: String,
    by: String,
    changes: Vec<Change>,
}

impl From<ChangeV1> for Change {
    fn from(old: ChangeV1) -> Self {
        match old {
            ChangeV1::PutRule(text) => Self::PutRule(text),
            ChangeV1::DeleteRule(id) => Self::DeleteRule(id),
            ChangeV1::PutDefinition(text) => Self::PutDefinition(text),
            ChangeV1::DeleteDefinition(id) => Self::DeleteDefinition(id),
        }
    }
}

impl CatalogueChanged {
    /// A change as this program makes it.
    pub fn new(namespace: &str, by: &str, changes: Vec<Change>) -> Self {
        Self { namespace: namespace.into(), by: by.into(), changes, flips: true }
    }

    /// Appends the body's bytes, in the newest layout.
    pub fn write(self, out: &mut Vec<u8>) {
        let Self { namespace, by, changes, flips } = self;
        assert!(flips, "what is written is applied as the newest layout is");
        let body = CatalogueChangedV2 { namespace, by, changes };
        rkyv::api::high::to_bytes_in::<_, Rancor>(&body, out)
            .expect("writing to memory cannot fail");
    }

    /// Reads a body of that version back, checking every byte.
    pub fn read(version: u8, bytes: &[u8]) -> Result<Self, BadBody> {
        let bad = bad(RecordType::CatalogueChanged);
        if version == 1 {
            let old = rkyv::from_bytes::<CatalogueChangedV1, Rancor>(bytes).map_err(bad)?;
            let changes = old.changes.into_iter().map(Change::from).collect();
            let (namespace, by) = (old.namespace, String::new());
            return Ok(Self { namespace, by, changes, flips: false });
        }
        let body = rkyv::from_bytes::<CatalogueChangedV2, Rancor>(bytes).map_err(bad)?;
        let CatalogueChangedV2 { namespace, by, changes } = body;
        Ok(Self { namespace, by, changes, flips: true })
    }
}

/// A rule that a message woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize)]
pub struct Match<'a> {
    /// The rule.
    #[rkyv(with = InlineAsBox)]
    pub rule: &'a str,
    /// Its version.
    pub version: u32,
}

/// Names one message of a producer: the producer counts its messages from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSequence {
    /// The producer, never 0.
    pub producer: u64,
    /// The message's number.
    pub sequence: u64,
}

/// A message was accepted by an ingress core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The namespace of key and matches.
    pub namespace: &'a str,
    /// The idempotency key; empty when none was given.
    pub key: &'a str,
    /// Every rule that the message woke, by priority, then id.
    pub matches: &'a [Match<'a>],
    /// The message as it came: one JSON object.
    pub payload: &'a [u8],
    /// The message's place among its producer's, when it has one.
    pub producer: Option<ProducerSequence>,
    /// The trace that the message's tasks go on with, when somebody records it.
    pub trace: Option<TraceContext>,
}

/// The layout of a message that has neither producer nor trace: most have neither.
#[derive(Archive, Serialize)]
struct AcceptedV1<'a> {
    #[rkyv(with = InlineAsBox)]
    namespace: &'a str,
    #[rkyv(with = InlineAsBox)]
    key: &'a str,
    #[rkyv(with = InlineAsBox)]
    matches: &'a [Match<'a>],
    #[rkyv(with = InlineAsBox)]
    payload: &'a [u8],
}

/// The layout of a message that has one of them. Zeros stand for what it has not.
#[derive(Archive, Serialize)]
struct AcceptedV2<'a> {
    #[rkyv(with = InlineAsBox)]
    namespace: &'a str,
    #[rkyv(with = InlineAsBox)]
    key: &'a str,
    #[rkyv(with = InlineAsBox)]
    matches: &'a [Match<'a>],
    #[rkyv(with = InlineAsBox)]
    payload: &'a [u8],
    producer: u64,
    sequence: u64,
    trace: u128,
    span: u64,
}

/// A checked view of an [`Accepted`] record's body, without a copy.
#[derive(Clone, Copy)]
pub struct AcceptedView<'a> {
    /// See [`Accepted::namespace`].
    pub namespace: &'a str,
    /// See [`Accepted::key`].
    pub key: &'a str,
    /// See [`Accepted::matches`].
    pub matches: &'a [ArchivedMatch<'a>],
    /// See [`Accepted::payload`].
    pub payload: &'a [u8],
    /// See [`Accepted::producer`].
    pub producer: Option<ProducerSequence>,
    /// See [`Accepted::trace`].
    pub trace: Option<TraceContext>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Failed {
    /// A stable word, as `timeout`.
    pub code: String,
    /// What happened, with the values.
    pub message: String,
    /// Whether another attempt may help.
    pub retryable: bool,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Ended {
    /// With this output, a JSON value.
    Output(Vec<u8>),
    /// With an error.
    Failed(Failed),
}

/// A task's attempt ended at a worker.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TaskEnded {
    /// The instance.
    pub instance: InstanceId,
    /// The task's place in the definition.
    pub task: u16,
    /// The fencing number: a result of another attempt is refused.
    pub attempt: u32,
    /// How it ended.
    pub ended: Ended,
}

/// A withdrawn attempt is known to have stopped.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TaskStopped {
    /// The instance.
    pub instance: InstanceId,
    /// The task's place in the definition.
    pub task: u16,
    /// The attempt that stopped.
    pub attempt: u32,
}

/// A user cancelled an instance.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Cancelled {
    /// The instance.
    pub instance: InstanceId,
}

/// Every node is to hash its state at this record's place, and to tell the node that wrote it. It
/// changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Checksum {
    /// The writer's name for it, in its run.
    pub ticket: u64,
}

/// A record's body that is not what its type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of type {kind:?} has a body that does not check: {reason}")]
pub struct BadBody {
    /// The record's type.
    pub kind: RecordType,
    /// What the check said.
    pub reason: String,
}

fn bad(kind: RecordType) -> impl Fn(Rancor) -> BadBody {
    move |error| BadBody { kind, reason: error.to_string() }
}

macro_rules! body {
    ($name:ident, $kind:ident) => {
        impl $name {
            /// Appends the body's bytes.
            pub fn write(&self, out: &mut Vec<u8>) {
                rkyv::api::high::to_bytes_in::<_, Rancor>(self, out)
                    .expect("writing to memory cannot fail");
            }

            /// Reads a body back, checking every byte.
            pub fn read(bytes: &[u8]) -> Result<Self, BadBody> {
                rkyv::from_bytes::<Self, Rancor>(bytes).map_err(bad(RecordType::$kind))
            }
        }
    };
}

body!(Born, Born);
body!(TaskEnded, TaskEnded);
body!(TaskStopped, TaskStopped);
body!(Cancelled, Cancelled);
body!(Checksum, Checksum);

impl Accepted<'_> {
    /// The version of the layout that says all of it, the oldest such one.
    pub fn version(&self) -> u8 {
        if self.producer.is_none() && self.trace.is_none() { 1 } else { 2 }
    }

    /// Appends the body's bytes, in the layout of [`Self::version`].
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { namespace, key, matches, payload, producer, trace } = *self;
        let written = if self.version() == 1 {
            let body = AcceptedV1 { namespace, key, matches, payload };
            rkyv::api::high::to_bytes_in::<_, Rancor>(&body, out)
        } else {
            let (producer, sequence) = producer.map_or((0, 0), |p| (p.producer, p.sequence));
            let (trace, span) = trace.map_or((0, 0), |context| (context.trace, context.span));
            let body =
                AcceptedV2 { namespace, key, matches, payload, producer, sequence, trace, span };
            rkyv::api::high::to_bytes_in::<_, Rancor>(&body, out)
        };
        written.expect("writing to memory cannot fail");
    }
}

impl<'a> AcceptedView<'a> {
    /// Reads a body of that version.
    pub fn read(version: u8, bytes: &'a [u8]) -> Result<Self, BadBody> {
        let bad = bad(RecordType::Accepted);
        if version == 1 {
            let body = rkyv::access::<ArchivedAcceptedV1<'a>, Rancor>(bytes).map_err(bad)?;
            return Ok(Self {
                namespace: &body.namespace,
                key: &body.key,
                matches: &body.matches,
                payload: &body.payload,
                producer: None,
                trace: None,
            });
        }
        let body = rkyv::access::<ArchivedAcceptedV2<'a>, Rancor>(bytes).map_err(bad)?;
        let (producer, sequence) = (body.producer.to_native(), body.sequence.to_native());
        let (trace, span) = (body.trace.to_native(), body.span.to_native());
        Ok(Self {
            namespace: &body.namespace,
            key: &body.key,
            matches: &body.matches,
            payload: &body.payload,
            producer: (producer != 0).then_some(ProducerSequence { producer, sequence }),
            trace: (trace != 0).then_some(TraceContext { trace, span }),
        })
    }
}

/// Which partition holds an instance: its message's.
pub fn partition_of(instance: InstanceId) -> base::PartitionId {
    let message: MessageId = instance.message;
    message.partition()
}

#[cfg(test)]
mod tests;
