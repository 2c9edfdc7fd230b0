//! One slice of the replicated state: its messages, instances, keys and timers.
//!
//! Invariants:
//! - the state after an entry is a function of the state before it, the entry and the globals at
//!   it; never of the core that hosts the partition, nor of where a snapshot was taken;
//! - sequences are dense: message n+1 exists only after message n, and what was below and is not
//!   found has been dropped by the retention budget;
//! - a message is live while one of its instances is unfinished, then it is on the shelf, whole;
//! - an instance with a key has a place of its own in the sequence, as if it were a message that
//!   started it alone; no answer calls it a message.

mod answer;
mod assigned;
mod image;
mod keyed;
mod live;
mod passing;
mod start;
pub(crate) mod view;

pub use answer::{CancelOutcome, Outcome, Workflows};
use assigned::Assigned;
pub(crate) use assigned::Holder;
pub(crate) use image::{IMAGE_VERSION, upgraded};
use keyed::Keyed;
use passing::Passing;
pub(crate) use passing::Waiting;
use view::Found;
pub use view::{InstanceRow, ListedInstance};

use crate::globals::Globals;
use crate::keys::{KeyTable, Known, Verdict, fingerprint};
use crate::producers::{self, ProducerTable};
use crate::record::{AcceptedView, Ended, Failed, TaskEnded, TaskStopped};
use crate::shard::OrderId;
use crate::shelf::{Entry, Shelf};
use base::{BootId, FixedState, InstanceId, MessageId, Outbox, PartitionId, UnixMicros, WorkerId};
use expr::Value;
use flow::TaskIndex;
use hashbrown::HashMap;
use live::{Live, OnShelf, Run};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Timers fired per entry, over all partitions: bounds the work of one entry. The rest fire at the
/// next one, which is proposed at once while timers are due.
const TIMERS_PER_ENTRY: usize = 4_096;
/// Timers fired per entry in any one partition, however many there are.
const TIMERS_PER_ENTRY_MIN: usize = 16;

/// What an instance takes from its start on, besides its message. Unit: bytes, about.
const INSTANCE_BYTES: usize = 1_024;

/// Memory for messages with unfinished instances, over all partitions. Unit: bytes. A message that
/// would start an instance beyond it is refused, so that a stuck workflow cannot eat the machine.
const LIVE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// An order of a partition to the core that hosts it.
#[derive(Clone, Debug)]
pub enum PartitionEffect {
    /// What an instance wants done.
    Flow(flow::Effect),
    /// A task of an instance has failed for good.
    TaskFailed {
        /// The instance.
        instance: InstanceId,
        /// What it is a run of.
        definition: Arc<flow::Definition>,
        /// The task.
        task: TaskIndex,
        /// How many attempts it had.
        attempts: u32,
        /// The last one's error.
        error: flow::TaskError,
    },
    /// A worker has an attempt from now on.
    Assigned {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
    /// A worker was to have an attempt and does not get it: it is not wanted any more, or the worker is
    /// gone, or another leader has chosen meanwhile.
    NotAssigned {
        /// Which.
        order: OrderId,
        /// Who.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
        /// The term of the leader that chose.
        term: u64,
    },
    /// A worker has an attempt no longer: it has ended or stopped, or the worker is gone.
    Unassigned {
        /// Which.
        order: OrderId,
        /// Who had it.
        worker: WorkerId,
        /// Which run of it.
        boot: BootId,
    },
    /// An instance was started for a key.
    Started,
    /// An instance has ended.
    Ended {
        /// How.
        status: flow::InstanceStatus,
        /// How long it took, in log time.
        took: Duration,
    },
}

/// One slice of the state.
#[derive(Debug)]
pub struct Partition {
    id: PartitionId,
    applied: u64,
    /// The entry under way. Less than `applied` after a start from an image that already has it.
    current: u64,
    next_sequence: u64,
    live: HashMap<u64, Live, FixedState>,
    live_bytes: usize,
    live_bytes_max: usize,
    shelf: Shelf,
    /// Finished messages that had instances: what lists walk.
    shelved_with_instances: view::Recent,
    keys: KeyTable,
    producers: ProducerTable,
    /// The keys of instances.
    keyed: Keyed,
    /// Orders to other partitions and from them.
    passing: Passing,
    /// What workers have.
    assigned: Assigned,
    /// How many partitions there are.
    partitions: u16,
    /// Shared by all messages that start none.
    no_workflows: Workflows,
    timers: BTreeSet<(UnixMicros, u64, u16)>,
    timers_per_entry: usize,
    /// Reused, so that an entry without instances allocates nothing.
    flow_out: Outbox<flow::Effect>,
}

impl Partition {
    /// An empty partition of a cluster with these parameters, that has seen everything up to
    /// `applied`.
    pub fn new(id: PartitionId, born: &crate::record::Born, applied: u64) -> Self {
        let share = |total: u64| {
            usize::try_from(total / u64::from(born.partitions)).expect("a share fits memory")
        };
        Self {
            id,
            applied,
            current: 0,
            next_sequence: 1,
            live: HashMap::with_hasher(FixedState),
            live_bytes: 0,
            live_bytes_max: LIVE_BYTES_MAX / usize::from(born.partitions),
            shelf: Shelf::new(share(born.retention_bytes)),
            shelved_with_instances: view::Recent::default(),
            keys: KeyTable::new(Duration::from_millis(born.key_ttl_ms), share(born.keys_max)),
            producers: ProducerTable::new(
                Duration::from_millis(born.key_ttl_ms),
                share(born.keys_max).max(producers::PLACES_MIN),
            ),
            keyed: Keyed::new(),
            passing: Passing::new(born.partitions),
            assigned: Assigned::new(),
            partitions: born.partitions,
            no_workflows: Workflows::default(),
            timers: BTreeSet::new(),
            timers_per_entry: (TIMERS_PER_ENTRY / usize::from(born.partitions))
                .max(TIMERS_PER_ENTRY_MIN),
            flow_out: Outbox::new(),
        }
    }

    /// The partition's name.
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The last entry applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Begins an entry: expires keys and producers and fires what is due at its stamp. False when the partition
    /// has this entry already (its image was taken later than the globals').
    pub fn begin(
        &mut self,
        index: u64,
        stamp: UnixMicros,
        out: &mut Outbox<PartitionEffect>,
    ) -> bool {
        if index <= self.applied {
            return false;
        }
        assert_eq!(index, self.applied + 1, "entries are applied in order, none left out");
        self.applied = index;
        self.current = index;
        self.keys.expire(stamp);
        self.producers.expire(stamp);
        for _ in 0..self.timers_per_entry {
            let Some(&(due, sequence, ordinal)) = self.timers.first() else { break };
            if due > stamp {
                break;
            }
            self.step(sequence, ordinal, stamp, out, |run, out| {
                run.instance.on_time(&run.definition, stamp, out);
            });
        }
        true
    }

    /// Whether the records of this entry are to be applied: it was begun here, not taken over
    /// with an image.
    pub fn is_applying(&self, index: u64) -> bool {
        self.current == index
    }

    /// When the next timer is due.
    pub fn deadline(&self) -> Option<UnixMicros> {
        self.timers.first().map(|(due, _, _)| *due)
    }

    /// A message was accepted.
    pub fn apply_accepted(
        &mut self,
        globals: &Globals,
        stamp: UnixMicros,
        record: &AcceptedView<'_>,
        out: &mut Outbox<PartitionEffect>,
    ) -> Outcome {
        let payload = record.payload;
        let key = scoped_key(record.namespace, record.key);
        let named = key.is_some() || record.producer.is_some();
        let body = if named { fingerprint(payload) } else { (0, 0) };
        if let Some(outcome) = self.known_before(key.as_deref(), body, stamp, record) {
            return outcome;
        }
        let id = MessageId::new(self.id, self.next_sequence);
        let starts = start::starts(globals, record, id);
        let needed = payload.len() + starts.len() * INSTANCE_BYTES;
        if !starts.is_empty() && self.live_bytes + needed > self.live_bytes_max {
            return Outcome::LiveFull;
        }
        let plan = (!starts.is_empty()).then(|| {
            let message = Value::parse_json(payload)
                .expect("ingress accepts only what parses, and both parsers are strict");
            start::plan(globals, record, &message, &starts)
        });
        let keyed = plan.as_ref().map_or(0, |plan| plan.keyed);
        if let Some(plan) = &plan
            && keyed > 0
            && !self.passing.has_room(plan.order_bytes)
        {
            return Outcome::LiveFull;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let workflows = match &starts[..] {
            [] => Arc::clone(&self.no_workflows),
            starts => start::names(starts),
        };
        if named {
            let known = Known { sequence, body, workflows: Arc::clone(&workflows) };
            if let Some(at) = record.producer {
                self.producers.remember(at, known.clone());
            }
            if let Some(key) = &key {
                self.keys.remember(key, stamp, known);
            }
        }
        match plan {
            None => {
                let Self { shelf, keyed, .. } = self;
                let write = |out: &mut Vec<u8>| live::write_plain(record, stamp, out);
                shelf.put_with(sequence, false, write, |gone| forget_key(keyed, gone));
            }
            Some(plan) => self.start(id, stamp, record, (&starts, plan), out),
        }
        Outcome::Accepted { id, workflows, keyed }
    }

    /// What a message is told that is not new, or that could not be remembered.
    fn known_before(
        &mut self,
        key: Option<&str>,
        body: (u64, u32),
        stamp: UnixMicros,
        record: &AcceptedView<'_>,
    ) -> Option<Outcome> {
        let id = |known: &Known| MessageId::new(self.id, known.sequence);
        let repeat =
            |known: Known| Outcome::Duplicate { id: id(&known), workflows: known.workflows };
        let by_key = key.map_or(Verdict::New, |key| self.keys.look(key, body));
        match by_key {
            Verdict::New => {}
            Verdict::Repeat(known) => return Some(repeat(known)),
            Verdict::Conflict(known) => return Some(Outcome::Conflict { id: id(&known) }),
            Verdict::Full => return Some(Outcome::KeysFull),
        }
        Some(match self.producers.look(record.producer?, body, stamp) {
            producers::Verdict::New => return None,
            producers::Verdict::Repeat(known) => repeat(known),
            producers::Verdict::Conflict(known) => Outcome::Conflict { id: id(&known) },
            producers::Verdict::Full => Outcome::KeysFull,
            producers::Verdict::TooOld(lowest) => Outcome::SequenceTooOld { lowest },
            producers::Verdict::Unknown => Outcome::UnknownProducer,
        })
    }

    /// A task's attempt ended.
    pub fn apply_task_ended(
        &mut self,
        stamp: UnixMicros,
        record: TaskEnded,
        out: &mut Outbox<PartitionEffect>,
    ) -> Outcome {
        let result = match record.ended {
            Ended::Output(json) => Value::parse_json(&json).map_err(|error| flow::TaskError {
                code: "bad_output".into(),
                message: error.to_string(),
                retryable: false,
            }),
            Ended::Failed(Failed { code, message, retryable }) => {
                Err(flow::TaskError { code, message, retryable })
            }
        };
        // Depends on state alone, so that every node decides alike.
        let full = self.live_bytes > self.live_bytes_max;
        let result = if full {
            let message = format!(
                "the unfinished instances of partition {} hold {} bytes, more than {}",
                self.id, self.live_bytes, self.live_bytes_max
            );
            Err(flow::TaskError { code: "too_large".into(), message, retryable: true })
        } else {
            result
        };
        let (task, attempt) = (TaskIndex(record.task), record.attempt);
        let at = record.instance;
        self.unassign(OrderId { instance: at, task, attempt }, out);
        self.step(at.message.sequence(), at.ordinal, stamp, out, |run, out| {
            // A stale result changes nothing: the fencing number of the attempt decides.
            let _stale = run.instance.on_result(&run.definition, task, attempt, result, stamp, out);
        });
        Outcome::Done
    }

    /// A withdrawn attempt has stopped.
    pub fn apply_task_stopped(
        &mut self,
        stamp: UnixMicros,
        record: &TaskStopped,
        out: &mut Outbox<PartitionEffect>,
    ) -> Outcome {
        let (task, attempt) = (TaskIndex(record.task), record.attempt);
        let at = record.instance;
        self.unassign(OrderId { instance: at, task, attempt }, out);
        self.step(at.message.sequence(), at.ordinal, stamp, out, |run, out| {
            run.instance.on_stopped(&run.definition, task, attempt, stamp, out);
        });
        Outcome::Done
    }

    /// A user cancelled an instance.
    pub fn apply_cancelled(
        &mut self,
        stamp: UnixMicros,
        instance: InstanceId,
        out: &mut Outbox<PartitionEffect>,
    ) -> Outcome {
        let (sequence, ordinal) = (instance.message.sequence(), instance.ordinal);
        let running = self.live.get(&sequence).and_then(|live| live.run(ordinal));
        let outcome = match running {
            Some(run) if !run.instance.is_finished() => CancelOutcome::Cancelled,
            Some(_) => CancelOutcome::Finished,
            None => match self.find(instance.message) {
                Found::Gone => CancelOutcome::Gone,
                Found::Shelved(found) if found.finished.has_instance(ordinal) => {
                    CancelOutcome::Finished
                }
                Found::Never | Found::Live(_) | Found::Shelved(_) => CancelOutcome::Never,
            },
        };
        if outcome == CancelOutcome::Cancelled {
            self.step(sequence, ordinal, stamp, out, |run, out| {
                run.instance.cancel(&run.definition, stamp, out);
            });
        }
        Outcome::Cancelled(outcome)
    }

    /// Every order that is outstanding, in the order of the ids: whoever takes office sends them
    /// again.
    pub fn outstanding(&self) -> Vec<flow::Order> {
        let mut orders: Vec<flow::Order> = (self.live.values())
            .flat_map(|live| {
                let runs = live.runs.iter();
                let orders = runs.flat_map(|run| run.instance.orders(&run.definition));
                orders.map(|order| flow::Order { trace: live.trace, ..order })
            })
            .collect();
        orders.sort_by_key(|order| (order.instance, order.task, order.attempt));
        orders
    }

    /// Attempts that were withdrawn and whose end nobody has confirmed.
    pub fn stopping(&self) -> Vec<(InstanceId, TaskIndex, u32)> {
        let mut stopping: Vec<_> = (self.live.values())
            .flat_map(|live| &live.runs)
            .flat_map(|run| {
                let id = run.instance.id();
                run.instance.stopping().map(move |(task, attempt)| (id, task, attempt))
            })
            .collect();
        stopping.sort_unstable();
        stopping
    }

    /// How many instances are unfinished.
    pub fn running(&self) -> usize {
        (self.live.values())
            .flat_map(|live| &live.runs)
            .filter(|run| !run.instance.is_finished())
            .count()
    }

    /// Messages accepted so far, and instances started for a key.
    pub fn accepted(&self) -> u64 {
        self.next_sequence - 1
    }

    fn step(
        &mut self,
        sequence: u64,
        ordinal: u16,
        stamp: UnixMicros,
        out: &mut Outbox<PartitionEffect>,
        change: impl FnOnce(&mut Run, &mut Outbox<flow::Effect>),
    ) {
        let Some(live) = self.live.get_mut(&sequence) else { return };
        let Some(run) = live.run_mut(ordinal) else { return };
        if let Some(due) = run.instance.deadline() {
            self.timers.remove(&(due, sequence, ordinal));
        }
        change(run, &mut self.flow_out);
        if let Some(due) = run.instance.deadline() {
            self.timers.insert((due, sequence, ordinal));
        }
        hand_out(&mut self.flow_out, live, out);
        self.live_bytes -= live.counted();
        self.live_bytes += live.recount();
        if live.is_finished() {
            let live = self.live.remove(&sequence).expect("it was just there");
            self.live_bytes -= live.counted();
            self.shelve(sequence, &live, stamp);
        }
    }

    fn shelve(&mut self, sequence: u64, live: &Live, stamp: UnixMicros) {
        let Self { shelf, keyed, .. } = self;
        let write = |out: &mut Vec<u8>| live.write(stamp, out);
        shelf.put_with(sequence, live.is_linked(), write, |gone| forget_key(keyed, gone));
        if !live.runs.is_empty() {
            self.shelved_with_instances.push(sequence);
        }
        self.shelved_with_instances.forget(|sequence| self.shelf.find(sequence).is_none());
    }
}

/// What a message's instances want done, and which of them have ended.
fn hand_out(flow_out: &mut Outbox<flow::Effect>, live: &Live, out: &mut Outbox<PartitionEffect>) {
    for effect in flow_out.drain() {
        out.push(match effect {
            flow::Effect::Ended { instance, status } => {
                let run = live.run(instance.ordinal).expect("an instance that ended is there");
                let ended = run.instance.ended().unwrap_or(run.instance.started());
                PartitionEffect::Ended { status, took: ended.since(run.instance.started()) }
            }
            flow::Effect::TaskFailed { instance, task, attempts, error } => {
                let run = live.run(instance.ordinal).expect("an instance that goes on is there");
                let definition = Arc::clone(&run.definition);
                PartitionEffect::TaskFailed { instance, definition, task, attempts, error }
            }
            flow::Effect::Order(order) => PartitionEffect::Flow(flow::Effect::Order(flow::Order {
                trace: live.trace,
                ..order
            })),
            effect => PartitionEffect::Flow(effect),
        });
    }
}

/// An entry of the shelf is dropped: if it was an instance with a key, the key is free.
fn forget_key(keyed: &mut Keyed, gone: &[u8]) {
    let found = OnShelf::of(Entry { bytes: gone, linked: true });
    if let Some(caused) = found.caused {
        keyed.remove(&caused.namespace, &found.finished.instances[0].row.workflow, &caused.key);
    }
}

/// The key as the table knows it. A NUL, which a namespace cannot hold, parts the two.
pub(crate) fn scoped_key(namespace: &str, key: &str) -> Option<String> {
    (!key.is_empty()).then(|| format!("{namespace}\0{key}"))
}

#[cfg(test)]
mod tests;
