//! Orders between partitions: what this one has yet to hand to others, and how far others have come
//! with what they hand to this one.
//!
//! The orders from one partition to another are numbered from 1. A record carries one; the two
//! partitions apply it, and each acts on the successor of the last one alone: the one that takes
//! does what is asked, the one that gives deletes it. So both count alike, however often a record
//! comes, and an order is done once.
//!
//! Invariants (SOUNDNESS 16):
//! - at one place of the log the giver's count of orders passed equals the taker's;
//! - an order is kept until its record is applied, whatever time that takes;
//! - orders are kept within a budget, but for those of one message, which an empty table takes
//!   whatever they come to: that is bounded by what one message may start.

use super::live::{Caused, Live, Run};
use super::{Outcome, Partition, PartitionEffect};
use crate::globals::Globals;
use crate::record::{KeyedStart, PassedView};
use base::{InstanceId, MessageId, Outbox, PartitionId, UnixMicros};
use document::Source;
use expr::Value;
use flow::{Definition, Instance};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use telemetry::TraceContext;

/// Memory for orders that wait, over all partitions. Unit: bytes. They leave within a commit, unless
/// the partition that is to take them is full. A message whose orders do not fit is refused.
const ORDERS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an order takes besides its texts. Unit: bytes, about.
const ORDER_BYTES: usize = 512;

/// An order that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) start: KeyedStart,
    /// The definition that was in force where the message is in the log.
    pub(crate) definition: Arc<Definition>,
}

impl Waiting {
    /// What it takes in memory, and in its record. Unit: bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        let KeyedStart { namespace, workflow, key, input, params, .. } = &self.start;
        ORDER_BYTES + namespace.len() + workflow.len() + key.len() + input.len() + params.len()
    }
}

/// The orders to one partition.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The number of the last one that was given.
    pub(super) given: u64,
    pub(super) waiting: VecDeque<Waiting>,
}

impl Link {
    /// The number of the last one that was taken.
    pub(super) fn passed(&self) -> u64 {
        self.given - self.waiting.len() as u64
    }
}

/// What one partition hands to others and takes from them.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) links: BTreeMap<PartitionId, Link>,
    bytes: usize,
    bytes_max: usize,
    /// The number of the last order taken from each partition.
    pub(super) taken: BTreeMap<PartitionId, u64>,
}

impl Passing {
    /// Nothing to hand over, in one of so many partitions.
    pub(super) fn new(partitions: u16) -> Self {
        Self {
            links: BTreeMap::new(),
            bytes: 0,
            bytes_max: ORDERS_BYTES_MAX / usize::from(partitions),
            taken: BTreeMap::new(),
        }
    }

    /// Whether orders that take so many bytes may be given. Unit: bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= self.bytes_max
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What waits takes. Unit: bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives an order.
    pub(super) fn give(&mut self, to: PartitionId, order: Waiting) {
        self.bytes += order.bytes();
        let link = self.links.entry(to).or_default();
        link.given += 1;
        link.waiting.push_back(order);
    }

    /// The record of an order of this partition was applied: deletes it when it is the next.
    pub(super) fn passed(&mut self, to: PartitionId, number: u64) {
        let Some(link) = self.links.get_mut(&to).filter(|link| link.passed() + 1 == number) else {
            return;
        };
        let order = link.waiting.pop_front().expect("a number above the last is never passed");
        self.bytes -= order.bytes();
    }

    /// Whether the order with that number is the next one from there; counts it when it is.
    pub(super) fn take(&mut self, from: PartitionId, number: u64) -> bool {
        let last = self.taken.entry(from).or_default();
        let is_next = *last + 1 == number;
        *last += u64::from(is_next);
        is_next
    }

    /// Puts a link of an image back.
    pub(super) fn restore(&mut self, to: PartitionId, link: Link) {
        self.bytes += link.waiting.iter().map(Waiting::bytes).sum::<usize>();
        self.links.insert(to, link);
    }
}

impl Partition {
    /// An order of this partition was passed to another.
    pub(crate) fn apply_given(&mut self, to: PartitionId, number: u64) {
        self.passing.passed(to, number);
    }

    /// An order of another partition: what it asks for is done if it is the next one from there.
    pub(crate) fn apply_taken(
        &mut self,
        globals: &Globals,
        stamp: UnixMicros,
        from: PartitionId,
        record: &PassedView<'_>,
        out: &mut Outbox<PartitionEffect>,
    ) -> Result<Outcome, String> {
        if !self.passing.take(from, record.number) {
            return Ok(Outcome::Done);
        }
        let start = record.start();
        let KeyedStart { namespace, workflow, key, .. } = &start;
        if self.keyed.find(namespace, workflow, key).is_some() {
            return Ok(Outcome::Done);
        }
        let definition = definition_of(globals, &start, record.source)?;
        let value = |json: &[u8]| Value::parse_json(json).map_err(|error| error.to_string());
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let instance = Instance::start(
            flow::Start {
                id: InstanceId { message: MessageId::new(self.id, sequence), ordinal: 1 },
                definition: &definition,
                message: value(&start.input)?,
                params: value(&start.params)?,
                now: stamp,
                timeout: start.timeout_us.map(Duration::from_micros),
                retry: start.retry,
            },
            &mut self.flow_out,
        );
        self.keyed.insert(namespace, workflow, key, sequence);
        let caused = Caused {
            cause: start.cause,
            namespace: namespace.as_str().into(),
            key: key.as_str().into(),
        };
        let trace = start.trace.map(|(trace, span)| TraceContext { trace, span });
        let live = Live::of_key(stamp, trace, caused, Run { definition, instance });
        out.push(PartitionEffect::Started);
        self.begin_live(sequence, live, stamp, out);
        Ok(Outcome::Done)
    }

    /// The partitions for which orders wait, each with the number of the last one passed and the
    /// orders after it.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (PartitionId, u64, &VecDeque<Waiting>)> {
        let links = self.passing.links.iter().filter(|(_, link)| !link.waiting.is_empty());
        links.map(|(to, link)| (*to, link.passed(), &link.waiting))
    }

    /// Whether orders wait.
    pub fn has_orders(&self) -> bool {
        !self.passing.is_empty()
    }

    /// Whether it would rather take no orders: too much is unfinished.
    pub(crate) fn is_full(&self) -> bool {
        self.live_bytes >= self.live_bytes_max
    }

    /// The number of the last order passed to each partition: for audits.
    pub fn passed(&self) -> impl Iterator<Item = (PartitionId, u64)> {
        self.passing.links.iter().map(|(to, link)| (*to, link.passed()))
    }

    /// The number of the last order taken from each partition: for audits.
    pub fn taken(&self) -> impl Iterator<Item = (PartitionId, u64)> {
        self.passing.taken.iter().map(|(from, number)| (*from, *number))
    }
}

/// The definition that was in force where the message is in the log.
fn definition_of(
    globals: &Globals,
    start: &KeyedStart,
    source: Option<&str>,
) -> Result<Arc<Definition>, String> {
    let wanted = start.definition;
    let stored =
        globals.catalogue.definitions.get(&*start.workflow).map(|stored| &stored.definition);
    if let Some(stored) = stored.filter(|stored| stored.hash == wanted) {
        return Ok(Arc::clone(stored));
    }
    let text = source.unwrap_or_default();
    let found = flow::parse(Source { name: "order", text }, flow::Plugins::Any)
        .map_err(|faults| faults.to_string())?;
    let found = found.into_iter().find(|found| found.hash == wanted);
    found.map(Arc::new).ok_or_else(|| {
        let workflow = &start.workflow;
        format!("an order names definition {wanted:016x} of `{workflow}` and does not bring it")
    })
}

#[cfg(test)]
mod tests;
