//! The mind of a shard: one core's share of everything a client sees.
//!
//! It matches messages, gathers them into session batches, applies what was committed to its
//! partitions, answers requests, and hands out the orders of running instances. Whoever drives it
//! feeds it requests, packets and the end of calls, and carries out its effects.
//!
//! Invariants:
//! - a request is answered once, and one that changes state only after its record was applied;
//! - a session's batches are numbered without a gap; what was refused goes again under its number;
//! - an order goes out only while this node leads and after its term's first entry was applied
//!   here (SOUNDNESS 12);
//! - everything held is bounded: see [`limits`].

mod apply;
mod catalogue;
mod cluster;
mod events;
mod hashes;
mod office;
mod orders;
mod passing;
mod queries;
mod reads;
mod session;
mod submit;
mod swap;
mod workers;

#[cfg(test)]
mod tests;

pub(crate) use catalogue::{Asked, ChangeReady};
pub use orders::OrderId;

use crate::dispatch::WorkersConfig;
use crate::globals::Globals;
use crate::message::{ToConsensus, ToShard};
use crate::metrics::ShardMetrics;
use crate::partition::{Partition, PartitionEffect};
use crate::record::{Born, Change};
use crate::submission::SubmitResults;
use crate::work::Work;
use crate::workers::{ToWorker, WorkerLink};
use api::Response;
use base::{BootId, CoreId, Instant, NodeId, Now, Outbox, PartitionId, StoreId, UnixMicros};
use catalogue::Changes;
use events::Events;
use orders::Orders;
use passing::Passing;
use queries::Queries;
use session::Session;
use std::time::Duration;
use swap::{Backlog, Merging};
use workers::Workers;

/// Bounds of one shard.
pub mod limits {
    /// Session batches on their way at once. Their sum is bounded by [`UNANSWERED_BYTES_MAX`].
    pub const SECTIONS_IN_FLIGHT_MAX: usize = 64;
    /// A session batch is sealed at this size, though nothing else asks for it. Unit: bytes.
    pub const SECTION_BYTES: usize = 256 * 1024;
    /// Records that must stay in one batch: the largest request with its matches. Unit: bytes. With
    /// what else an entry holds it stays below [`base::limits::ENTRY_BYTES_MAX`].
    pub const GROUP_BYTES_MAX: usize = 3 * 1024 * 1024;
    /// Rules that one message may wake. More is a catalogue gone wrong, and would make records
    /// that no entry holds.
    pub const MATCHES_MAX: usize = 1_000;
    /// Records that wait for their answer, on one core. Unit: bytes. Beyond it clients are asked
    /// to wait: what is gathered could not be answered in reasonable time anyway.
    pub const UNANSWERED_BYTES_MAX: usize = 32 * 1024 * 1024;
    /// Orders between partitions that one core has on their way at once.
    pub const PASSING_MAX: usize = 512;
    /// Of them, those from one partition to another: a partition with many orders for one leaves
    /// room for the others.
    pub const PASSING_OF_LINK_MAX: usize = 64;
    /// What they take together. Unit: bytes. Some of what clients' records may take.
    pub const PASSING_BYTES_MAX: usize = UNANSWERED_BYTES_MAX / 4;
    /// Outgoing calls of one core at once.
    pub const CALLS_MAX: usize = 256;
    /// Requests that ask other cores, at once, on one core.
    pub const QUERIES_MAX: usize = 1_024;
    /// Of them, those that wait for events: a wait takes up to a minute, also when its client has
    /// gone meanwhile, and other reads must find their place.
    pub const EVENT_WAITS_MAX: usize = 256;
    /// Changes of the catalogue that wait for their turn, on one core. Each comes with its text.
    pub const CHANGES_MAX: usize = 64;
    /// How long a shard waits after a refused batch before it tries its own records again.
    pub const RETRY_MS: u64 = 100;
    /// Rounds of reads that wait for an index, on one core: those that come meanwhile share the next.
    pub const READ_ROUNDS_MAX: usize = 8;
    /// So long after a read had its index it is refused by a core that has not applied it.
    pub const READ_APPLY_MAX_MS: u64 = 5_000;
    /// How often a shard looks whether something waits for too long.
    pub const CHECK_MS: u64 = 500;
    /// So long after a record was sent its client is told that the outcome is not known: longer than
    /// any election takes, and what clients commonly wait.
    pub const OUTCOME_MAX_MS: u64 = 10_000;
    /// A follower that hears nothing of what it sent for so long sends it again: it was lost without
    /// the link saying so.
    pub const RESEND_MS: u64 = 5_000;
    /// So long without a leader, new requests are refused at once: an election takes less.
    pub const NO_LEADER_GRACE_MS: u64 = 1_000;

    const _: () = assert!(
        GROUP_BYTES_MAX + SECTION_BYTES + 4_096 <= base::limits::ENTRY_BYTES_MAX,
        "a group fits an entry"
    );
    const _: () = assert!(
        QUERIES_MAX == 1_024 && EVENT_WAITS_MAX == 256 && 2 * EVENT_WAITS_MAX < QUERIES_MAX,
        "docs/API.md names the bounds, and most of the places are for reads"
    );
    const _: () = assert!(CHANGES_MAX == 64, "docs/API.md names the bound");
}

/// A client's request on this core, named by whoever holds the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a shard is told at its start.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The node.
    pub node: NodeId,
    /// The run: greater than every earlier run's of this data directory.
    pub boot: BootId,
    /// The data directory.
    pub store: StoreId,
    /// This core.
    pub core: CoreId,
    /// How many shards the node has: they are the cores 0 to `shards` - 1.
    pub shards: u16,
    /// The machine's CPU of each shard.
    pub cpus: Vec<u32>,
    /// The program's version, for the cluster's status.
    pub program_version: &'static str,
    /// When the process started.
    pub started_at: Instant,
    /// What a cluster is born with. Used by core 0 when the log is empty.
    pub birth: Birth,
    /// How workers are treated while this node leads.
    pub workers: WorkersConfig,
}

/// What a cluster is born with.
#[derive(Clone, Debug)]
pub struct Birth {
    /// The parameters.
    pub born: Born,
    /// The first catalogue; may be empty.
    pub catalogue: Vec<Change>,
}

/// An order to whoever drives the shard.
#[derive(Debug)]
pub enum ShardEffect {
    /// To the consensus core.
    ToConsensus(ToConsensus),
    /// To another shard of this node. A shard never sends to itself.
    ToShard {
        /// Which.
        to: CoreId,
        /// What.
        message: ToShard,
    },
    /// Answer the client.
    Reply {
        /// Whose request.
        request: RequestId,
        /// The answer.
        response: Response,
    },
    /// Tell a client what became of its messages: [`ShardCore::on_submit`].
    Submitted {
        /// Whose request.
        request: RequestId,
        /// What became of them.
        results: SubmitResults,
    },
    /// Carry out a call; then tell [`ShardCore::on_call_ended`].
    Call(Box<flow::Order>),
    /// Stop a call; then tell [`ShardCore::on_call_stopped`].
    Abort(OrderId),
    /// Carry this out beside the core; then tell [`ShardCore::on_worked`]. What is ordered later may
    /// be done earlier.
    Work(Work),
    /// Tell a worker, over its connection to this node: in order while that lives, or not at all. From
    /// core 0 alone.
    ToWorker {
        /// Which connection.
        link: WorkerLink,
        /// What.
        message: ToWorker,
    },
    /// A line for the log that a workflow asked for.
    Log(Box<flow::LogLine>),
    /// Say in the node's log what happened.
    Note(String),
    /// Say there what an operator should see.
    Notice(String),
    /// The catalogue holds and the shard serves: said once.
    Serving,
    /// The state cannot be carried on: end the process with this reason.
    Fatal(String),
}

/// The mind of a shard.
#[derive(Debug)]
pub struct ShardCore {
    config: ShardConfig,
    globals: Globals,
    /// By partition number; those of other cores are none.
    partitions: Vec<Option<Partition>>,
    /// The partitions hosted here.
    hosted: Vec<PartitionId>,
    /// Which of them gets the next message without a name.
    turn: usize,
    matcher: rules::Matcher,
    matches: rules::Matches,
    session: Session,
    changes: Changes,
    backlog: Backlog,
    merging: Merging,
    /// Up to where the log was acknowledged before this node knew a leader.
    caught_up: Option<u64>,
    /// The birth of the cluster was asked for.
    birth_asked: bool,
    orders: Orders,
    passing: Passing,
    workers: Workers,
    queries: Queries,
    events: Events,
    metrics: ShardMetrics,
    role: Role,
    stopping: bool,
    serving: bool,
    /// What the consensus core was last told of this shard's timers.
    wake: Option<UnixMicros>,
    connections: u64,
    partition_out: Outbox<PartitionEffect>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Role {
    leading: bool,
    term: u64,
    leader: Option<NodeId>,
    /// This term's first entry was applied here.
    in_office: bool,
    /// Since when nobody is known to lead; not before the shard serves.
    leaderless_since: Option<Instant>,
    /// That is too long.
    is_forsaken: bool,
}

impl ShardCore {
    /// A shard with empty state. Its images come with [`ToShard::Restore`].
    pub fn new(config: ShardConfig) -> Self {
        assert!(config.core.0 < config.shards, "a shard is one of the node's shards");
        Self {
            session: Session::new(&config),
            globals: Globals::default(),
            partitions: Vec::new(),
            hosted: Vec::new(),
            turn: 0,
            matcher: rules::Matcher::new(),
            matches: rules::Matches::new(),
            changes: Changes::default(),
            backlog: Backlog::default(),
            merging: Merging::default(),
            caught_up: None,
            birth_asked: false,
            orders: Orders::default(),
            passing: Passing::default(),
            workers: Workers::new(&config),
            queries: Queries::default(),
            events: Events::default(),
            metrics: ShardMetrics::new(config.core.0),
            role: Role::default(),
            stopping: false,
            serving: false,
            wake: None,
            connections: 0,
            partition_out: Outbox::new(),
            config,
        }
    }

    /// The node belongs to this cluster, of which it knew nothing when the shard was made. To be told
    /// before it can lead.
    pub fn on_founded(&mut self, cluster: u64) {
        self.config.birth.born.cluster_id = cluster;
    }

    /// Another core's packet.
    pub fn on_packet(
        &mut self,
        now: Now,
        from: CoreId,
        message: ToShard,
        out: &mut Outbox<ShardEffect>,
    ) {
        self.workers.read_clock(now);
        match message {
            ToShard::Restore { globals, partitions } => self.on_restore(*globals, &partitions, out),
            ToShard::Committed(entries) => self.on_committed(entries, out),
            ToShard::Prepared { place, prepared } => self.on_prepared(place, prepared, out),
            ToShard::Merged(merged) => self.on_merged(merged, out),
            ToShard::Role { leading, term, leader } => {
                self.on_role(now, leading, term, leader, out);
            }
            ToShard::Resend => self.session.send_again(out),
            ToShard::CaughtUp { index } => {
                self.caught_up = Some(index);
                self.consider_serving(out);
            }
            ToShard::Removed { is_removed } => self.session.on_removed(is_removed),
            ToShard::Alone { since } => self.queries.reads.on_alone(since),
            ToShard::ReadIndex { ticket, index } => self.on_read_index(now, ticket, index, out),
            ToShard::Refused { number, round, why } => {
                self.on_refused(now, number, round, why, out);
            }
            ToShard::Mark { ticket } => self.mark(ticket, out),
            ToShard::Validate { ticket, configs } => self.on_validate(ticket, configs, out),
            ToShard::TakeImage(part) => self.take_image(part, out),
            ToShard::Outcomes(outcomes) => {
                for (number, slot, outcome) in outcomes {
                    self.resolve(number, slot, outcome, out);
                }
            }
            ToShard::Full { partition, is_full } => self.passing.on_full(partition, is_full),
            ToShard::Tasks { term, news } => self.on_tasks(from, term, news, out),
            ToShard::Dispatched(what) => self.on_dispatched(*what, out),
            ToShard::Event { at, kind } => self.on_event(at, *kind, out),
            ToShard::Ask { ticket, question } => {
                self.on_question(now, from, ticket, &question, out);
            }
            ToShard::Answer { ticket, from, answer } => self.on_answer(ticket, from, answer, out),
        }
    }

    /// The end of a round of inputs: what was gathered goes out.
    pub fn on_flush(&mut self, out: &mut Outbox<ShardEffect>) {
        self.flush_tasks(out);
        self.pass_orders(out);
        self.queries.reads.flush(out);
        self.session.flush(self.globals.catalogue.version, out);
    }

    /// When to call [`Self::on_deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        let grace = self.role.leaderless_since.filter(|_| !self.role.is_forsaken);
        let grace = grace.map(|since| since + Duration::from_millis(limits::NO_LEADER_GRACE_MS));
        let events = self.events.deadline(self.stopping);
        let reads = self.queries.reads.deadline();
        let hashes = self.backlog.hashes.deadline();
        let passing = self.passing.retry_at();
        let workers = self.workers.deadline(self.stopping);
        let due = [self.session.deadline(), passing, workers, events, reads, hashes, grace];
        due.into_iter().flatten().min()
    }

    /// The deadline has come.
    pub fn on_deadline(&mut self, now: Now, out: &mut Outbox<ShardEffect>) {
        if self.session.is_again_due(now) {
            self.session.send_again(out);
        }
        if self.session.may_retry(now) {
            self.session.retry(self.globals.catalogue.version, out);
            self.on_flush(out);
        }
        if self.passing.retry_at().is_some_and(|due| due <= now.instant) {
            self.passing.retry();
            self.on_flush(out);
        }
        if self.workers.deadline(self.stopping).is_some_and(|due| due <= now.instant) {
            self.watch_workers(now, out);
            self.on_flush(out);
        }
        if self.session.is_check_due(now) {
            let overdue = self.session.check(now, self.role.leading, out);
            self.on_overdue(overdue, out);
        }
        let grace = Duration::from_millis(limits::NO_LEADER_GRACE_MS);
        if self.role.leaderless_since.is_some_and(|since| now.instant.since(since) >= grace) {
            self.role.is_forsaken = true;
        }
        self.answer_events(Some(now.instant), out);
        self.refuse_late_reads(now.instant, out);
        self.hash_next(out);
    }

    /// The node stops: nothing new is taken.
    pub fn on_stop(&mut self) {
        self.stopping = true;
        self.orders.halt();
    }

    /// Whether nothing that a client waits for is under way.
    pub fn is_drained(&self) -> bool {
        self.unanswered() == 0
    }

    /// Client requests whose outcome is not known yet: what a stop that runs out of time reports.
    pub fn unanswered(&self) -> usize {
        self.session.waiting() + self.changes.waiting() + self.queries.len()
    }

    /// How many client connections this core holds.
    pub fn on_connections(&mut self, count: u64) {
        self.connections = count;
    }

    /// The core's metric cells, for what its driver counts.
    pub fn metrics(&self) -> &ShardMetrics {
        &self.metrics
    }

    /// Whether the shard answers clients.
    pub fn is_serving(&self) -> bool {
        self.serving
    }

    /// The last entry applied whole.
    pub fn applied(&self) -> u64 {
        self.globals.applied - u64::from(self.backlog.halted.is_some())
    }

    /// The global part of the state.
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The partitions hosted here, by number.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().flatten()
    }

    /// The shard of this node that hosts a partition.
    fn host(&self, partition: PartitionId) -> CoreId {
        CoreId(partition.0 % self.config.shards)
    }
}
