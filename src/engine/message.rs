//! What the cores of one node tell each other. Batches are the elements: the cost of a hand-over
//! is paid once for many records.

use crate::cluster::{Compared, Demand, Fulfilled, GroupView, PluginConfig};
use crate::events::EventKind;
use crate::globals::{Globals, Merged, Prepared};
use crate::partition::{ListedInstance, Outcome};
use crate::record::Ended;
use crate::shard::OrderId;
use crate::workers::Run;
use api::{ApiError, EventsQuery, InstancesQuery, Response, Route, WorkerHeard};
use base::{BootId, CoreId, Instant, NodeId, PartitionId, UnixMicros, WorkerId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An element of the mesh between cores.
#[derive(Debug)]
pub enum Packet {
    /// For the core that hosts consensus.
    Consensus(ToConsensus),
    /// For a shard.
    Shard(ToShard),
}

/// What shards tell the consensus core.
#[derive(Debug)]
pub enum ToConsensus {
    /// A sealed session batch.
    Submit {
        /// The number in its session.
        number: u64,
        /// The session's round: see [`ToShard::Refused`].
        round: u32,
        /// How many records it holds.
        records: u32,
        /// The section.
        section: Bytes,
        /// What was made ready of the change of the catalogue that closes it.
        prepared: Option<Arc<Prepared>>,
    },
    /// The shard's next timer. The log's time must pass it, even when nothing else happens.
    Wake {
        /// When it is due; none when there is no timer.
        due: Option<UnixMicros>,
    },
    /// Everything up to here is applied on the shard.
    Applied {
        /// The index.
        index: u64,
    },
    /// An image that [`ToShard::TakeImage`] asked for.
    Image {
        /// What it is an image of.
        part: Part,
        /// The last entry in it.
        applied: u64,
        /// How many partitions the state is cut into.
        partitions: u16,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Reads wait for an index; answered by [`ToShard::ReadIndex`].
    ReadIndex {
        /// Repeated in the answer.
        ticket: u64,
    },
    /// A client wants something of the group; answered by [`ToShard::Answer`].
    Demand {
        /// Repeated in the answer.
        ticket: u64,
        /// What.
        demand: Demand,
    },
    /// All members are to compare their states; answered by [`ToShard::Answer`], after a
    /// [`ToShard::Mark`].
    Compare {
        /// Repeated in the answer.
        ticket: u64,
    },
    /// The shard's part of the state at a checksum's record.
    Hashed {
        /// Which record.
        of: Marked,
        /// What was hashed.
        sums: Sums,
    },
    /// What became of [`ToShard::Validate`]. Of core 0.
    Validated {
        /// The question's.
        ticket: u64,
        /// What is wrong, each with the configuration's place; or why nobody could say.
        result: Result<Vec<(u32, String)>, ApiError>,
    },
    /// How the whole group fares; answered by [`ToShard::Answer`], also when its leader says nothing.
    View {
        /// Repeated in the answer.
        ticket: u64,
    },
    /// A question; answered by [`ToShard::Answer`].
    Ask {
        /// Repeated in the answer.
        ticket: u64,
        /// What is asked.
        question: Question,
    },
}

/// The record of a checksum, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marked {
    /// The entry.
    pub index: u64,
    /// Who wrote the record: the node.
    pub node: NodeId,
    /// And its run.
    pub boot: BootId,
    /// Its name for the record.
    pub ticket: u64,
}

/// Checksums of a shard's part of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Of the globals, which one shard has hashed for all.
    pub globals: Option<u64>,
    /// Of each partition hosted there; or why there are none.
    pub partitions: Result<Vec<(PartitionId, u64)>, String>,
}

/// A part of the state that has an image of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The global part. It is taken first, so that no partition's image is older.
    Globals,
    /// One partition.
    Partition(PartitionId),
}

/// An entry of the log that is committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The batch; empty where a leader took office.
    pub data: Bytes,
    /// What this node made ready of the changes in it, each with its section's place: nothing where
    /// the entry was read from the journal.
    pub prepared: PreparedSections,
}

/// What was made ready of an entry's changes of the catalogue, each with its section's place.
pub type PreparedSections = Vec<(usize, Arc<Prepared>)>;

/// The place of a record in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The entry.
    pub index: u64,
    /// The section's place in it.
    pub section: usize,
    /// The record's place in that.
    pub slot: u32,
}

/// What a shard is told.
#[derive(Debug)]
pub enum ToShard {
    /// Images to go on from, this shard's partitions among them: before any entry, or in place of
    /// what this node lacks and its leader no longer has.
    Restore {
        /// The global part. Cores share its catalogue.
        globals: Box<Globals>,
        /// Every partition this shard hosts.
        partitions: Vec<Bytes>,
    },
    /// Entries to apply, in order.
    Committed(Vec<Committed>),
    /// Whether this node leads, in which term, and who does.
    Role {
        /// Whether it leads.
        leading: bool,
        /// The term.
        term: u64,
        /// The leader, when it is known.
        leader: Option<NodeId>,
    },
    /// What was sent to the leader may be lost on its way: everything unanswered goes again.
    Resend,
    /// Who has applied so far knows all that was acknowledged before this node started.
    CaughtUp {
        /// The index.
        index: u64,
    },
    /// Whether this node alone is the group: then nobody else acknowledges anything, and what is
    /// applied here answers a read.
    Alone {
        /// From which index on; none while there are others.
        since: Option<u64>,
    },
    /// Whether this node was removed from the group: it takes nothing more.
    Removed {
        /// Whether it was; no more once it is added again.
        is_removed: bool,
    },
    /// Up to where the log was committed at some time after the reads came.
    ReadIndex {
        /// The reads'.
        ticket: u64,
        /// The index; none when no leader could say it in time.
        index: Option<u64>,
    },
    /// A session batch, and all after it of the same round, was not taken into the log. The shard
    /// goes on under the same number in a new round.
    Refused {
        /// The first batch that was refused.
        number: u64,
        /// Its round.
        round: u32,
        /// Why.
        why: NotTaken,
    },
    /// Write a checksum's record into the log.
    Mark {
        /// Its name.
        ticket: u64,
    },
    /// Ask workers whether plugins take these configurations: of the node that leads, to core 0.
    /// Answered by [`ToConsensus::Validated`].
    Validate {
        /// Repeated in the answer.
        ticket: u64,
        /// Which.
        configs: Vec<PluginConfig>,
    },
    /// An image is wanted.
    TakeImage(Part),
    /// The change at this place of the log is ready: of core 0, to cores that halt there, or will.
    Prepared {
        /// Where.
        place: Place,
        /// What.
        prepared: Arc<Prepared>,
    },
    /// The rules of an earlier version, compiled at once.
    Merged(Arc<Merged>),
    /// Another shard applied records of this shard's session.
    Outcomes(Vec<(u64, u32, Outcome)>),
    /// A partition of another shard has become full, or is no longer: orders to it wait.
    Full {
        /// Which.
        partition: PartitionId,
        /// Whether it is.
        is_full: bool,
    },
    /// What became of tasks that want a worker or have one: of a core that hosts some, to core 0.
    Tasks {
        /// The term it was said in.
        term: u64,
        /// In order.
        news: Vec<TaskNews>,
    },
    /// What core 0 has decided about a task, or heard of it from a worker.
    Dispatched(Box<Dispatched>),
    /// Something happened on another shard that the log of events on core 0 keeps.
    Event {
        /// When.
        at: UnixMicros,
        /// What.
        kind: Box<EventKind>,
    },
    /// Another shard's question.
    Ask {
        /// Repeated in the answer.
        ticket: u64,
        /// What is asked.
        question: Question,
    },
    /// An answer to a question of this shard.
    Answer {
        /// The question's.
        ticket: u64,
        /// Who answers; none for the consensus core.
        from: Option<CoreId>,
        /// What it says.
        answer: Answer,
    },
}

/// What a core that hosts partitions says of tasks, while this node leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskNews {
    /// The first of a term: what workers have.
    Report {
        /// Each with who has it.
        assigned: Vec<(OrderId, WorkerId, BootId)>,
    },
    /// An order waits for a worker.
    Wanted {
        /// Which.
        order: OrderId,
        /// What the worker needs.
        plugin: Arc<str>,
        /// What goes first: 0 to 9.
        priority: u8,
    },
    /// An order that waited is not wanted any more.
    Unwanted {
        /// Which.
        order: OrderId,
    },
    /// A worker has an order: it is to be told, if it hears.
    Assigned {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
        /// What it is told.
        run: Box<Run>,
    },
    /// A worker that was to have an order does not get it.
    NotAssigned {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
    /// A worker has an order no longer: it may forget what came of it.
    Unassigned {
        /// Which.
        order: OrderId,
        /// Who had it.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
    /// A worker has an order that is not wanted any more.
    Stop {
        /// Which.
        order: OrderId,
        /// Who has it.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
}

/// What core 0 says to a core that hosts partitions, while this node leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// A worker is to have an order.
    Assign {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
    /// A worker has a new connection: what it has is to be said again.
    SendAgain {
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
    /// A worker says that an order has ended.
    Ended {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
        /// How.
        ended: Ended,
    },
    /// A worker says that an order does not run, and that nothing came of it.
    Stopped {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
}

/// Why a session batch was not taken into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The disk has no room for it.
    NoSpace,
    /// Nobody is known to lead.
    NoLeader,
    /// The node stops.
    Stopping,
    /// A batch before it is missing: everything unanswered is to go again.
    Gap,
}

/// A question between cores.
#[derive(Clone, Debug)]
pub enum Question {
    /// What the asked shard's part of the state says to a request.
    Read(Route, AsOf),
    /// A page of instances.
    List(InstancesQuery, AsOf),
    /// What the asked shard knows of workers that not every shard knows.
    Workers(AsOf),
    /// A page of events, of core 0. Answered once there is one, or the wait is over.
    Events(EventsQuery),
    /// Answered once everything up to the index is applied.
    AppliedThrough(u64),
    /// Metrics of the core.
    Metrics,
    /// How the core fares.
    Status,
}

/// What an answer must not lack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// Everything up to this entry.
    pub index: u64,
    /// When a core that has not applied it refuses.
    pub due: Instant,
}

impl AsOf {
    /// Whatever is applied.
    pub const APPLIED: Self = Self { index: 0, due: Instant(0) };
}

/// What a core answers.
#[derive(Debug)]
pub enum Answer {
    /// A whole answer to a client.
    Response(Response),
    /// Rows of a page, newest first, and whether there are more.
    Rows {
        /// The rows.
        rows: Vec<ListedInstance>,
        /// Whether older ones were left out.
        more: bool,
    },
    /// The index is applied.
    Applied,
    /// The core's metrics.
    Metrics(Box<telemetry::Snapshot>),
    /// What a shard knows of workers.
    Workers(Box<WorkersPart>),
    /// How a shard fares.
    Shard(ShardStatus),
    /// How the node fares in its group.
    Consensus(ConsensusStatus),
    /// How the whole group fares.
    Group(Box<GroupView>),
    /// What became of a demand.
    Fulfilled(Box<Fulfilled>),
    /// How the members' states compare.
    Compared(Box<Compared>),
}

/// What one shard knows of workers that not every shard knows.
#[derive(Clone, Debug, Default)]
pub struct WorkersPart {
    /// How many tasks of its partitions each run of a worker has.
    pub has: BTreeMap<(WorkerId, BootId), u32>,
    /// Of the first core of the node that leads: what it hears of each, and whether it wishes to leave.
    pub heard: Option<BTreeMap<WorkerId, (WorkerHeard, bool)>>,
    /// Of the same: how many tasks wait for each plugin, and for how long the first of them has.
    pub waiting: Option<Vec<(Arc<str>, usize, Duration)>>,
}

/// How a shard fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStatus {
    /// Partitions it hosts.
    pub partitions: u32,
    /// Unfinished instances.
    pub running: u64,
    /// The last entry applied.
    pub applied: u64,
    /// Client connections open, as the ingress last said.
    pub connections: u64,
}

/// How the group fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsensusStatus {
    /// Whether this node leads.
    pub leading: bool,
    /// The leader, 0 when unknown.
    pub leader: u64,
    /// The term.
    pub term: u64,
    /// The last index known committed.
    pub commit: u64,
    /// The last index applied on every core.
    pub applied: u64,
    /// Whether there is room for more.
    pub has_space: bool,
    /// Whether the disk has none for another segment.
    pub is_disk_full: bool,
    /// The journal's live size. Unit: bytes.
    pub journal_bytes: u64,
}
