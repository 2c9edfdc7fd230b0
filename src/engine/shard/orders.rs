//! Orders of running instances that this core carries out: outgoing calls. Those of plugins go to
//! workers: see `workers`.
//!
//! Invariants:
//! - an order is in one place: waiting, or running; an order handed in twice is one order;
//! - at most [`CALLS_MAX`] run, the rest wait in the order of arrival;
//! - orders are state of the instances; what is here can be lost and made anew from them.

use super::limits::CALLS_MAX;
use super::{ShardCore, ShardEffect};
use crate::partition::Holder;
use crate::record::{Ended, RecordType, TaskEnded, TaskStopped, partition_of};
use crate::shard::session::Waiter;
use base::{InstanceId, Outbox};
use flow::TaskIndex;
use std::collections::{BTreeSet, VecDeque};

/// Names one order: whose it is and which attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId {
    /// The instance.
    pub instance: InstanceId,
    /// The task's place in the definition.
    pub task: TaskIndex,
    /// The attempt's number.
    pub attempt: u32,
}

impl OrderId {
    /// The order's name.
    pub fn of(order: &flow::Order) -> Self {
        Self { instance: order.instance, task: order.task, attempt: order.attempt }
    }
}

#[derive(Debug, Default)]
pub(super) struct Orders {
    /// In the order of arrival. One that is not in `wanted` any more was withdrawn.
    waiting: VecDeque<Box<flow::Order>>,
    wanted: BTreeSet<OrderId>,
    running: BTreeSet<OrderId>,
    /// Withdrawn while running: their end is told as stopped, whatever it brings.
    stopping: BTreeSet<OrderId>,
    /// Nothing is started any more: the node stops.
    halted: bool,
}

impl Orders {
    fn give(&mut self, order: Box<flow::Order>) {
        let id = OrderId::of(&order);
        if !self.halted && !self.running.contains(&id) && self.wanted.insert(id) {
            self.waiting.push_back(order);
        }
    }

    fn start(&mut self, out: &mut Outbox<ShardEffect>) {
        while self.running.len() < CALLS_MAX
            && !self.halted
            && let Some(order) = self.waiting.pop_front()
        {
            let id = OrderId::of(&order);
            if self.wanted.remove(&id) {
                self.running.insert(id);
                out.push(ShardEffect::Call(order));
            }
        }
    }

    /// Nothing is started from now on. What waits is state, and goes out after the next start.
    pub(super) fn halt(&mut self) {
        self.halted = true;
        self.waiting.clear();
        self.wanted.clear();
    }

    /// Whoever leads now gives them anew. What runs is heard to its end: its outcome is worth having.
    pub(super) fn leave_office(&mut self) {
        self.waiting.clear();
        self.wanted.clear();
    }

    /// Orders that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.wanted.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }
}

impl ShardCore {
    /// A call ended by itself.
    pub fn on_call_ended(&mut self, id: OrderId, ended: Ended, out: &mut Outbox<ShardEffect>) {
        if !self.orders.running.remove(&id) {
            return;
        }
        if self.orders.stopping.remove(&id) {
            self.push_stopped(id, out);
        } else {
            self.push_ended(id, ended, out);
        }
        self.orders.start(out);
    }

    pub(super) fn push_ended(&mut self, id: OrderId, ended: Ended, out: &mut Outbox<ShardEffect>) {
        let record =
            TaskEnded { instance: id.instance, task: id.task.0, attempt: id.attempt, ended };
        let partition = partition_of(id.instance);
        let write = |body: &mut Vec<u8>| record.write(body);
        self.push_one(RecordType::TaskEnded, partition, Waiter::Own, write, out);
    }

    /// A call was stopped, as [`ShardEffect::Abort`] asked.
    pub fn on_call_stopped(&mut self, id: OrderId, out: &mut Outbox<ShardEffect>) {
        if self.orders.running.remove(&id) {
            self.orders.stopping.remove(&id);
            self.push_stopped(id, out);
        }
        self.orders.start(out);
    }

    /// What an instance wants done, as apply said it.
    pub(super) fn on_flow(&mut self, effect: flow::Effect, out: &mut Outbox<ShardEffect>) {
        match effect {
            flow::Effect::Order(order) if self.role.in_office && is_plugins(&order) => {
                self.workers.want(&order);
            }
            flow::Effect::Order(order) if self.role.in_office => {
                self.orders.give(Box::new(order));
                self.orders.start(out);
            }
            flow::Effect::Withdraw { instance, task, attempt } if self.role.in_office => {
                self.withdraw(OrderId { instance, task, attempt }, out);
            }
            flow::Effect::Log(line) if self.role.in_office => {
                out.push(ShardEffect::Log(Box::new(line)));
            }
            // Orders are state: whoever takes office finds them there. Ends are counted by apply.
            _ => {}
        }
    }

    /// This node took office: everything outstanding goes out again.
    pub(super) fn take_office(&mut self, out: &mut Outbox<ShardEffect>) {
        self.role.in_office = true;
        self.passing.start_over();
        self.report_tasks();
        let (mut orders, mut stopping) = (Vec::new(), Vec::new());
        for partition in self.partitions.iter().flatten() {
            orders.extend(partition.outstanding());
            stopping.extend(partition.stopping());
        }
        for order in orders {
            if !is_plugins(&order) {
                self.orders.give(Box::new(order));
            } else if self.holder_of(OrderId::of(&order)).is_none() {
                self.workers.want(&order);
            }
        }
        for (instance, task, attempt) in stopping {
            self.withdraw(OrderId { instance, task, attempt }, out);
        }
        self.orders.start(out);
        self.open_desk(out);
    }

    fn holder_of(&self, id: OrderId) -> Option<Holder> {
        let partition = self.partitions.get(usize::from(partition_of(id.instance).0));
        partition.and_then(Option::as_ref).and_then(|partition| partition.holder_of(id))
    }

    fn withdraw(&mut self, id: OrderId, out: &mut Outbox<ShardEffect>) {
        if self.orders.running.contains(&id) {
            if self.orders.stopping.insert(id) {
                out.push(ShardEffect::Abort(id));
            }
            return;
        }
        if let Some(holder) = self.holder_of(id) {
            self.workers.stop(id, holder);
            return;
        }
        // It never ran here, or its end is on its way into the log: either way it has stopped.
        if !self.orders.wanted.remove(&id) {
            self.workers.unwant(id);
        }
        self.push_stopped(id, out);
    }

    pub(super) fn push_stopped(&mut self, id: OrderId, out: &mut Outbox<ShardEffect>) {
        let record = TaskStopped { instance: id.instance, task: id.task.0, attempt: id.attempt };
        let partition = partition_of(id.instance);
        let write = |body: &mut Vec<u8>| record.write(body);
        self.push_one(RecordType::TaskStopped, partition, Waiter::Own, write, out);
    }
}

/// Whether a worker carries it out.
fn is_plugins(order: &flow::Order) -> bool {
    matches!(order.kind, flow::OrderKind::Plugin(_))
}
