//! Orders between partitions on their way: the shard that hosts the giving partition makes records
//! of them, on the node that leads.
//!
//! The orders are state of the partition. What is here can be lost and made anew from it: an order
//! that goes twice acts once, as only the successor of the last one does (SOUNDNESS 16).
//!
//! Invariants:
//! - the records of one partition to another leave in the order of their numbers; when one is not
//!   taken into the log, or its batch is made anew, all after the last one passed go again;
//! - at most [`PASSING_MAX`] records of [`PASSING_BYTES_MAX`] together are on their way, and at most
//!   [`PASSING_OF_LINK_MAX`] of them from one partition to another;
//! - nothing goes to a partition that says that it is full.

use super::limits::{PASSING_BYTES_MAX, PASSING_MAX, PASSING_OF_LINK_MAX, RETRY_MS};
use super::session::Waiter;
use super::{ShardCore, ShardEffect};
use crate::batch::RecordView;
use crate::message::ToShard;
use crate::partition::{Outcome, Waiting};
use crate::record::{Passed, PassedView, RecordType};
use base::{CoreId, Instant, Now, Outbox, PartitionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An order's record on its way: who waits for it is the shard itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnItsWay {
    from: PartitionId,
    to: PartitionId,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Passing {
    /// The number of the last order sent, by who gives and who takes.
    sent: BTreeMap<(PartitionId, PartitionId), u64>,
    on_their_way: usize,
    bytes: usize,
    /// Which of the pairs comes first next time.
    turn: usize,
    /// The partitions of all cores that are full.
    full: BTreeSet<PartitionId>,
    /// When orders that were not taken into the log go again.
    retry_at: Option<Instant>,
}

impl Passing {
    fn has_room(&self) -> bool {
        self.on_their_way < PASSING_MAX && self.bytes < PASSING_BYTES_MAX
    }

    /// An order's record has arrived, or will not.
    pub(super) fn arrived(&mut self, order: OnItsWay) {
        self.on_their_way -= 1;
        self.bytes -= order.bytes;
    }

    /// An order's record will not arrive: it goes again, with all that follow it.
    pub(super) fn dropped(&mut self, order: OnItsWay) {
        self.arrived(order);
        self.sent.remove(&(order.from, order.to));
    }

    /// Everything goes again from the last ones passed on.
    pub(super) fn start_over(&mut self) {
        self.sent.clear();
        self.retry_at = None;
    }

    /// Records were not taken into the log: not at once again.
    pub(super) fn hold_back(&mut self, now: Now) {
        self.retry_at = Some(now.instant + Duration::from_millis(RETRY_MS));
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) fn retry(&mut self) {
        self.retry_at = None;
    }

    pub(super) fn on_full(&mut self, partition: PartitionId, is_full: bool) {
        if is_full {
            self.full.insert(partition);
        } else {
            self.full.remove(&partition);
        }
    }

    /// How many of a link's orders are to be sent, behind how many that are on their way.
    fn next(
        &self,
        link: (PartitionId, PartitionId),
        passed: u64,
        waiting: usize,
    ) -> (usize, usize) {
        let sent = self.sent.get(&link).copied().unwrap_or(0).max(passed);
        let ahead = usize::try_from(sent - passed).expect("what waits is in memory");
        if self.full.contains(&link.1) {
            return (ahead, 0);
        }
        (ahead, waiting.min(PASSING_OF_LINK_MAX).saturating_sub(ahead))
    }
}

impl ShardCore {
    /// Makes records of orders that wait, as many as there is room for.
    pub(super) fn pass_orders(&mut self, out: &mut Outbox<ShardEffect>) {
        let is_held_back = self.passing.retry_at.is_some();
        if !self.role.in_office || self.stopping || is_held_back || !self.passing.has_room() {
            return;
        }
        let Self { partitions, passing, session, globals, .. } = self;
        let givers = partitions.iter().flatten().filter(|partition| partition.has_orders());
        let links: Vec<_> = givers
            .flat_map(|giver| {
                giver.waiting().map(|(to, passed, orders)| (giver.id(), to, passed, orders))
            })
            .collect();
        let count = links.len();
        for at in 0..count {
            let (from, to, passed, orders) = links[(passing.turn + at) % count];
            let (ahead, count) = passing.next((from, to), passed, orders.len());
            for (order, number) in
                orders.range(ahead..).take(count).zip(passed + ahead as u64 + 1..)
            {
                if !passing.has_room() {
                    // Whoever had no turn comes first next time.
                    passing.turn = (passing.turn + at) % links.len();
                    return;
                }
                let catalogue = globals.catalogue.version;
                let bytes = order.bytes();
                let mark = session.begin_group(bytes, catalogue, out);
                let Waiting { start, definition } = order;
                let stored = globals.catalogue.definitions.get(&*start.workflow);
                let is_there =
                    stored.is_some_and(|stored| stored.definition.hash == start.definition);
                let source = (!is_there).then_some(definition.source.as_str());
                session.group().push_between(RecordType::Passed, from, to, |body| {
                    Passed { number, source, start }.write(body);
                });
                let order = OnItsWay { from, to, bytes };
                session.keep(mark, [Waiter::Order(order)], catalogue, out);
                passing.sent.insert((from, to), number);
                passing.on_their_way += 1;
                passing.bytes += bytes;
            }
        }
    }

    /// An order's record: applied by the partition that gives, and by the one that takes. Its
    /// outcome is told by the host of the latter.
    pub(super) fn apply_passed(
        &mut self,
        index: u64,
        record: &RecordView<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<Option<Outcome>, String> {
        let (from, to) = (record.from.expect("the record is between two"), record.partition);
        for partition in [from, to] {
            if usize::from(partition.0) >= self.partitions.len() {
                return Err(format!("partition {partition} does not exist"));
            }
        }
        // Each of the two may be taken from an image that has the record already.
        let applies = |partition: &Option<crate::partition::Partition>| {
            partition.as_ref().is_some_and(|partition| partition.is_applying(index))
        };
        let is_given = applies(&self.partitions[usize::from(from.0)]);
        let is_taken = applies(&self.partitions[usize::from(to.0)]);
        // Only the taker's host tells what became of it.
        let is_host = self.partitions[usize::from(to.0)].is_some();
        let skipped = is_host.then_some(Outcome::Skipped);
        if !is_given && !is_taken {
            return Ok(skipped);
        }
        let body = PassedView::read(record.body).map_err(|error| error.to_string())?;
        if is_given {
            let giver = self.partitions[usize::from(from.0)].as_mut().expect("it is hosted here");
            giver.apply_given(to, body.number);
        }
        if !is_taken {
            return Ok(skipped);
        }
        let (globals, stamp) = (&self.globals, self.globals.stamp);
        let taker = self.partitions[usize::from(to.0)].as_mut().expect("it is hosted here");
        let outcome = taker.apply_taken(globals, stamp, from, &body, &mut self.partition_out)?;
        self.drain_partitions(out);
        Ok(Some(outcome))
    }

    /// Tells every core which partitions have become full here, and which no longer are.
    pub(super) fn tell_full(&mut self, out: &mut Outbox<ShardEffect>) {
        for partition in self.partitions.iter().flatten() {
            let (id, is_full) = (partition.id(), partition.is_full());
            if self.passing.full.contains(&id) == is_full {
                continue;
            }
            self.passing.on_full(id, is_full);
            for to in (0..self.config.shards).map(CoreId).filter(|to| *to != self.config.core) {
                let message = ToShard::Full { partition: id, is_full };
                out.push(ShardEffect::ToShard { to, message });
            }
        }
    }
}

#[cfg(test)]
mod tests;
