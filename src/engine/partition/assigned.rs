//! Which worker has which attempt of a task.
//!
//! An attempt is here from when it was assigned until it has ended, is known to have stopped, or its
//! worker is gone: also when nobody wants it any more, as the worker has it all the same.
//!
//! Invariants (SOUNDNESS 17, 18, 20):
//! - an attempt is assigned once: what a worker gave back or was lost with is another attempt then;
//! - who has an attempt was there when it was assigned, and has not gone since;
//! - no result of an attempt is recorded that nobody has.

use super::{Partition, PartitionEffect};
use crate::globals::{Globals, Presence};
use crate::record::{TaskAssigned, TaskReleased};
use crate::shard::OrderId;
use base::{BootId, Outbox, UnixMicros, WorkerId};
use flow::TaskIndex;
use std::collections::BTreeMap;

/// Who has an attempt: a worker, and which run of it.
pub(crate) type Holder = (WorkerId, BootId);

/// The attempts of one partition that workers have.
pub(super) type Assigned = BTreeMap<OrderId, Holder>;

impl Partition {
    /// A worker is to have an attempt. `term` is the entry's.
    pub fn apply_task_assigned(
        &mut self,
        globals: &Globals,
        (term, stamp): (u64, UnixMicros),
        record: &TaskAssigned,
        out: &mut Outbox<PartitionEffect>,
    ) {
        let TaskAssigned { instance, task, attempt, worker, boot, .. } = *record;
        let order = OrderId { instance, task: TaskIndex(task), attempt };
        let is_possible = record.term == term
            && globals.workers.is_here(worker, boot)
            && !self.assigned.contains_key(&order);
        let mut is_taken = false;
        if is_possible {
            let (sequence, ordinal) = (instance.message.sequence(), instance.ordinal);
            self.step(sequence, ordinal, stamp, out, |run, out| {
                let task = order.task;
                is_taken = run.instance.on_assigned(&run.definition, task, attempt, stamp, out);
            });
        }
        if is_taken {
            self.assigned.insert(order, (worker, boot));
            out.push(PartitionEffect::Assigned { order, worker, boot });
        } else {
            out.push(PartitionEffect::NotAssigned { order, worker, boot, term: record.term });
        }
    }

    /// A worker does not carry out an attempt that it had.
    pub fn apply_task_released(
        &mut self,
        stamp: UnixMicros,
        record: &TaskReleased,
        out: &mut Outbox<PartitionEffect>,
    ) {
        let TaskReleased { instance, task, attempt, worker, boot } = *record;
        let order = OrderId { instance, task: TaskIndex(task), attempt };
        if self.assigned.get(&order) != Some(&(worker, boot)) {
            return;
        }
        self.unassign(order, out);
        let (sequence, ordinal) = (instance.message.sequence(), instance.ordinal);
        self.step(sequence, ordinal, stamp, out, |run, out| {
            run.instance.on_released(&run.definition, order.task, attempt, stamp, out);
        });
    }

    /// A run of a worker is gone: what it had goes to others, in the order of the ids.
    pub fn apply_worker_gone(
        &mut self,
        (worker, boot): (WorkerId, BootId),
        how: Presence,
        stamp: UnixMicros,
        out: &mut Outbox<PartitionEffect>,
    ) {
        for order in self.orders_of(worker, boot) {
            self.unassign(order, out);
            let OrderId { instance, task, attempt } = order;
            let (sequence, ordinal) = (instance.message.sequence(), instance.ordinal);
            self.step(sequence, ordinal, stamp, out, |run, out| {
                let (instance, definition) = (&mut run.instance, &run.definition);
                match how {
                    Presence::Lost => instance.on_lost(definition, task, attempt, stamp, out),
                    // It has carried nothing out since it wished to leave.
                    Presence::Left => instance.on_released(definition, task, attempt, stamp, out),
                    Presence::Here => unreachable!("a worker that is gone is not there"),
                };
            });
        }
    }

    /// Nobody has the attempt any more.
    pub(super) fn unassign(&mut self, order: OrderId, out: &mut Outbox<PartitionEffect>) {
        if let Some((worker, boot)) = self.assigned.remove(&order) {
            out.push(PartitionEffect::Unassigned { order, worker, boot });
        }
    }

    /// Every attempt that a worker has, with who has it.
    pub fn assigned(&self) -> impl ExactSizeIterator<Item = (OrderId, WorkerId, BootId)> {
        self.assigned.iter().map(|(order, (worker, boot))| (*order, *worker, *boot))
    }

    /// Who has an attempt.
    pub(crate) fn holder_of(&self, order: OrderId) -> Option<Holder> {
        self.assigned.get(&order).copied()
    }

    /// What a run of a worker has.
    pub(crate) fn orders_of(&self, worker: WorkerId, boot: BootId) -> Vec<OrderId> {
        let of_it = self.assigned.iter().filter(|(_, holder)| **holder == (worker, boot));
        of_it.map(|(order, _)| *order).collect()
    }

    /// The order of an attempt, where it is outstanding at a worker, or waits for one.
    pub(crate) fn order_at(&self, order: OrderId) -> Option<flow::Order> {
        let live = self.live.get(&order.instance.message.sequence())?;
        let run = live.run(order.instance.ordinal)?;
        let found = run.instance.order_at(&run.definition, order.task, order.attempt)?;
        Some(flow::Order { trace: live.trace, ..found })
    }

    /// Whether whatever is said of an attempt comes too late: nobody has it, nor will.
    pub(crate) fn is_past(&self, order: OrderId) -> bool {
        if self.assigned.contains_key(&order) || self.order_at(order).is_some() {
            return false;
        }
        let sequence = order.instance.message.sequence();
        match self.live.get(&sequence) {
            Some(live) => live.run(order.instance.ordinal).is_none_or(|run| {
                let known = order.task.index() < run.definition.tasks.len();
                !known || run.instance.task_attempt(order.task) >= order.attempt
            }),
            // It has ended and was dropped, or has never been: a worker hears of an order once its record
            // is applied, so that one is of a state that is no more, restored from a backup.
            None => true,
        }
    }
}

#[cfg(test)]
mod tests;
