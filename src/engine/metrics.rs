//! The metric cells of the minds: plain cells of one core, merged when somebody asks.

use flow::InstanceStatus;
use std::time::Duration;
use telemetry::{Counter, Gauge, Histogram, Registry, families};

/// Where a worker is.
pub(crate) const WORKER_STATES: [&str; 4] = ["ready", "drained", "lost", "left"];

/// What a shard counts.
#[derive(Debug)]
pub struct ShardMetrics {
    registry: Registry,
    /// Messages by what became of them.
    pub(crate) accepted: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) conflict: Counter,
    pub(crate) refused: Counter,
    /// Workflow instances started.
    pub(crate) started: Counter,
    /// Session batches made anew because the catalogue changed under them.
    pub(crate) rematched: Counter,
    /// Unfinished instances.
    pub(crate) running: Gauge,
    /// Outgoing calls under way.
    pub(crate) calls: Gauge,
    /// Workers by where they are, in the order of [`WORKER_STATES`].
    pub(crate) workers: [Gauge; WORKER_STATES.len()],
    /// How much of what workers can run they run.
    pub(crate) utilization: Gauge,
    /// Tasks that wait for a worker, and for how long the first of them has.
    pub(crate) tasks_waiting: Gauge,
    pub(crate) oldest_waiting: Gauge,
    /// Workers whose lease was over.
    pub(crate) workers_lost: Counter,
    /// The catalogue's version.
    pub(crate) catalogue: Gauge,
    /// What the partitions hold.
    pub(crate) state_bytes: Gauge,
    /// Bytes that wait for the log.
    pub(crate) unanswered: Gauge,
    /// Orders that wait for a call.
    pub(crate) orders: Gauge,
    /// Requests that wait for other cores, or for events.
    pub(crate) queries: Gauge,
    /// Time from when a task wanted a worker to when one had received it.
    pub(crate) assignment: Histogram,
    /// Time of an attempt that gave a result; observed by whoever holds the clock.
    pub task_completed: Histogram,
    /// Time of an attempt that failed.
    pub task_failed: Histogram,
    /// Time to match and gather one message; observed by whoever holds the clock.
    pub rule_evaluation: Histogram,
    /// Time to go over to another catalogue; observed by whoever holds the clock.
    pub catalogue_swap: Histogram,
}

impl ShardMetrics {
    pub(crate) fn new(core: u16) -> Self {
        let registry = Registry::new();
        let received =
            |outcome| registry.counter(&families::MESSAGES_RECEIVED, &[("outcome", outcome)]);
        let core = core.to_string();
        let queue = |name| {
            registry.gauge(&families::QUEUE_DEPTH, &[("core", core.as_str()), ("queue", name)])
        };
        let task = |status| registry.histogram(&families::TASK_DURATION, &[("status", status)]);
        Self {
            accepted: received("accepted"),
            duplicate: received("duplicate"),
            conflict: received("conflict"),
            refused: received("refused"),
            started: registry.counter(&families::WORKFLOWS_STARTED, &[]),
            rematched: registry.counter(&families::BATCHES_REMATCHED, &[]),
            running: registry.gauge(&families::WORKFLOWS_RUNNING, &[]),
            calls: registry.gauge(&families::TASKS_RUNNING, &[]),
            workers: WORKER_STATES
                .map(|state| registry.gauge(&families::WORKERS, &[("state", state)])),
            utilization: registry.gauge(&families::WORKER_UTILIZATION, &[]),
            tasks_waiting: registry.gauge(&families::TASKS_WAITING, &[]),
            oldest_waiting: registry.gauge(&families::TASKS_WAITING_OLDEST, &[]),
            workers_lost: registry.counter(&families::WORKERS_LOST, &[]),
            catalogue: registry.gauge(&families::CATALOGUE_VERSION, &[]),
            state_bytes: registry.gauge(&families::STATE_BYTES, &[]),
            unanswered: queue("unanswered_bytes"),
            orders: queue("orders"),
            queries: queue("queries"),
            assignment: registry.histogram(&families::TASK_ASSIGNMENT, &[]),
            task_completed: task("completed"),
            task_failed: task("failed"),
            rule_evaluation: registry.histogram(&families::RULE_EVALUATION, &[]),
            catalogue_swap: registry.histogram(&families::CATALOGUE_SWAP, &[]),
            registry,
        }
    }

    /// The registry, for what else lives on the core.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// An instance ended.
    pub(crate) fn ended(&self, status: InstanceStatus, took: Duration) {
        let labels = [("status", status.name())];
        self.registry.counter(&families::WORKFLOWS_FINISHED, &labels).increment();
        self.registry.histogram(&families::WORKFLOW_DURATION, &labels).observe_duration(took);
    }
}

/// What the consensus core counts.
#[derive(Debug)]
pub struct ConsensusMetrics {
    registry: Registry,
    pub(crate) leader_changes: Counter,
    pub(crate) leading: Gauge,
    pub(crate) election_timeout_max: Gauge,
    pub(crate) messages_dropped: Vec<Counter>,
    pub(crate) term: Gauge,
    pub(crate) commit: Gauge,
    pub(crate) applied: Gauge,
    pub(crate) journal_bytes: Gauge,
    pub(crate) batch_records: Histogram,
    pub(crate) commit_duration: Histogram,
    pub(crate) waiting: Gauge,
    /// Links to other coordinators; counted by whoever keeps them.
    pub peer_links: Gauge,
    /// What could not be sent to them; counted by whoever sends.
    pub peer_messages_unsent: Counter,
    /// Bytes written to the journal; counted by whoever writes.
    pub journal_written: Counter,
    /// Times the journal was made durable.
    pub journal_syncs: Counter,
    /// How long that took.
    pub journal_sync_duration: Histogram,
}

impl ConsensusMetrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let labels = [("core", "consensus"), ("queue", "batches")];
        Self {
            leader_changes: registry.counter(&families::RAFT_LEADER_CHANGES, &[]),
            leading: registry.gauge(&families::RAFT_LEADING, &[]),
            election_timeout_max: registry.gauge(&families::RAFT_ELECTION_TIMEOUT_MAX, &[]),
            messages_dropped: (quorum::Dropped::ALL.into_iter().map(quorum::Dropped::name))
                .map(|reason| {
                    registry.counter(&families::RAFT_MESSAGES_DROPPED, &[("reason", reason)])
                })
                .collect(),
            term: registry.gauge(&families::RAFT_TERM, &[]),
            commit: registry.gauge(&families::RAFT_COMMIT_INDEX, &[]),
            applied: registry.gauge(&families::RAFT_APPLIED_INDEX, &[]),
            journal_bytes: registry.gauge(&families::JOURNAL_BYTES, &[]),
            batch_records: registry.histogram(&families::JOURNAL_BATCH_RECORDS, &[]),
            commit_duration: registry.histogram(&families::RAFT_COMMIT_DURATION, &[]),
            waiting: registry.gauge(&families::QUEUE_DEPTH, &labels),
            peer_links: registry.gauge(&families::PEER_LINKS, &[]),
            peer_messages_unsent: registry.counter(&families::PEER_MESSAGES_UNSENT, &[]),
            journal_written: registry.counter(&families::JOURNAL_WRITTEN, &[]),
            journal_syncs: registry.counter(&families::JOURNAL_SYNCS, &[]),
            journal_sync_duration: registry.histogram(&families::JOURNAL_SYNC_DURATION, &[]),
            registry,
        }
    }

    /// The registry, for what else lives on the core.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
