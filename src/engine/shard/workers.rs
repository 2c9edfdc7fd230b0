//! Workers, as a shard sees them: a core that hosts partitions tells the first core which tasks want a
//! worker and what became of those that have one; the first core, on the node that leads, speaks with the
//! workers and decides who gets what.
//!
//! ```text
//! host: an instance orders        -> Wanted     -> core 0 chooses -> Assign
//! host: Assign                    -> the record TaskAssigned, which is applied everywhere
//! host: applied, in office        -> Assigned   -> core 0 sends ToWorker::Run
//! core 0: FromWorker::Ended       -> Ended      -> host: the record TaskEnded
//! host: applied, in office        -> Unassigned -> core 0 frees the place and says ToWorker::Recorded
//! ```
//!
//! Invariants (SOUNDNESS 17-20):
//! - what a core says of tasks names its term: what was said in another one is not listened to;
//! - core 0 gives nothing out before each core has said which tasks have which worker in this term;
//! - a worker is told of an order after its record was applied on the order's core, never before;
//! - a result becomes a record only where the state says that this run of this worker has the order;
//! - a worker is answered, and its lease renewed, only after it was made sure since its word came that this
//!   node leads still, and not once it was decided that its lease is over.

mod events;
mod links;
mod validations;
pub(super) mod view;

use super::session::Waiter;
use super::{ShardCore, ShardEffect};
use crate::batch::GLOBAL;
use crate::dispatch::{Assignment, Dispatcher};
use crate::events::WorkerNews;
use crate::globals::{Join, Presence};
use crate::message::{Dispatched, TaskNews, ToShard};
use crate::metrics::WORKER_STATES;
use crate::partition::{Outcome, Partition};
use crate::record::{
    RecordType, TaskAssigned, TaskReleased, WorkerDrained, WorkerJoined, WorkerLeft, WorkerLost,
    partition_of,
};
use crate::shard::OrderId;
use crate::workers::Run;
use base::{BootId, CoreId, Instant, Now, Outbox, WorkerId};
use bytes::Bytes;
use flow::OrderKind;
use links::Links;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use validations::Validations;

/// Who speaks with the workers.
const FIRST: CoreId = CoreId(0);

/// What a shard knows of tasks at workers besides its state. Everything can be lost with the office.
#[derive(Debug)]
pub(super) struct Workers {
    /// What core 0 is to be told at the end of this round.
    news: Vec<TaskNews>,
    /// Orders whose end is on its way into the log.
    ending: BTreeSet<OrderId>,
    /// Of core 0 alone.
    desk: Option<Box<Desk>>,
}

/// What core 0 has besides.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) dispatcher: Dispatcher,
    pub(super) links: Links,
    validations: Validations,
    /// The term whose news are listened to.
    term: u64,
    /// Said in this term before it began here.
    early: Vec<(CoreId, Vec<TaskNews>)>,
    /// Who has said which tasks have which worker in this term.
    reported: BTreeSet<CoreId>,
    /// The clock as it was read last.
    now: Instant,
    assignments: Vec<Assignment>,
}

impl Workers {
    pub(super) fn new(config: &super::ShardConfig) -> Self {
        let desk = (config.core == FIRST).then(|| {
            let seed = config.node.0 ^ config.boot.0.rotate_left(32);
            Box::new(Desk {
                dispatcher: Dispatcher::new(&config.workers, seed),
                links: Links::default(),
                validations: Validations::default(),
                term: 0,
                early: Vec::new(),
                reported: BTreeSet::new(),
                now: Instant::default(),
                assignments: Vec::new(),
            })
        });
        Self { news: Vec::new(), ending: BTreeSet::new(), desk }
    }

    pub(super) fn desk(&self) -> Option<&Desk> {
        self.desk.as_deref()
    }

    fn desk_mut(&mut self) -> &mut Desk {
        self.desk.as_deref_mut().expect("workers speak to the first core")
    }

    /// An order wants a worker.
    pub(super) fn want(&mut self, order: &flow::Order) {
        if let OrderKind::Plugin(call) = &order.kind {
            let (plugin, priority) = (Arc::clone(&call.plugin), call.priority);
            self.news.push(TaskNews::Wanted { order: OrderId::of(order), plugin, priority });
        }
    }

    /// An order that no worker has is not wanted any more.
    pub(super) fn unwant(&mut self, order: OrderId) {
        self.news.push(TaskNews::Unwanted { order });
    }

    /// Whoever has the order is to stop it.
    pub(super) fn stop(&mut self, order: OrderId, (worker, boot): (WorkerId, BootId)) {
        self.news.push(TaskNews::Stop { order, worker, boot });
    }

    /// The office has ended here: whoever takes it makes all of it anew.
    pub(super) fn leave_office(&mut self) {
        self.news.clear();
        self.ending.clear();
    }

    /// The clock, for what is asked without one.
    pub(super) fn read_clock(&mut self, now: Now) {
        if let Some(desk) = &mut self.desk {
            desk.now = now.instant;
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self, stopping: bool) -> Option<Instant> {
        let desk = self.desk.as_ref()?;
        // Of a node that stops no lease is watched.
        let leases = desk.dispatcher.deadline().filter(|_| !stopping);
        leases.into_iter().chain(desk.validations.deadline()).min()
    }
}

/// An order as a worker is told it.
fn run(order: flow::Order, boot: BootId) -> Box<Run> {
    let id = OrderId::of(&order);
    let OrderKind::Plugin(call) = order.kind else {
        unreachable!("only tasks of plugins are assigned")
    };
    let timeout_ms = call.timeout.map_or(0, |timeout: Duration| timeout.as_millis());
    Box::new(Run {
        boot,
        order: id,
        plugin: call.plugin.as_ref().into(),
        config: Bytes::copy_from_slice(call.config.as_bytes()),
        input: call.input.into(),
        timeout_ms: u64::try_from(timeout_ms).unwrap_or(u64::MAX),
        idempotency_key: order.idempotency_key,
        workflow: call.workflow,
        task: call.task_id,
        trace: order.trace,
    })
}

// What a core that hosts partitions does.
impl ShardCore {
    /// This node took office: core 0 is told what workers have, before anything else.
    pub(super) fn report_tasks(&mut self) {
        let partitions = self.partitions.iter().flatten();
        let assigned = partitions.flat_map(Partition::assigned).collect();
        self.workers.news.push(TaskNews::Report { assigned });
    }

    /// What apply has made of an assignment.
    pub(super) fn on_assigned(&mut self, order: OrderId, (worker, boot): (WorkerId, BootId)) {
        let Some(found) = self.partition_at(order).and_then(|p| p.order_at(order)) else { return };
        let run = run(found, boot);
        self.workers.news.push(TaskNews::Assigned { order, worker, boot, run });
    }

    pub(super) fn on_not_assigned(&mut self, order: OrderId, (worker, boot): (WorkerId, BootId)) {
        self.workers.news.push(TaskNews::NotAssigned { order, worker, boot });
        let partition = self.partition_at(order);
        let is_free = partition.is_some_and(|partition| partition.holder_of(order).is_none());
        let wanted = partition.filter(|_| is_free).and_then(|p| p.order_at(order));
        if let Some(wanted) = wanted {
            self.workers.want(&wanted);
        }
    }

    pub(super) fn on_unassigned(&mut self, order: OrderId, (worker, boot): (WorkerId, BootId)) {
        self.workers.ending.remove(&order);
        self.workers.news.push(TaskNews::Unassigned { order, worker, boot });
    }

    fn partition_at(&self, order: OrderId) -> Option<&Partition> {
        let partition = partition_of(order.instance);
        self.partitions.get(usize::from(partition.0)).and_then(Option::as_ref)
    }

    /// What core 0 has decided or heard.
    pub(super) fn on_dispatched(&mut self, what: Dispatched, out: &mut Outbox<ShardEffect>) {
        if !self.role.in_office {
            return;
        }
        match what {
            Dispatched::Assign { order, worker, boot } => self.assign(order, worker, boot, out),
            Dispatched::SendAgain { worker, boot } => self.send_tasks_again(worker, boot),
            Dispatched::Ended { order, worker, boot, ended } => {
                if self.takes_end(order, worker, boot) {
                    self.push_ended(order, ended, out);
                }
            }
            Dispatched::Stopped { order, worker, boot } => {
                if self.takes_end(order, worker, boot) {
                    self.on_task_stopped(order, worker, boot, out);
                }
            }
        }
    }

    fn assign(
        &mut self,
        order: OrderId,
        worker: WorkerId,
        boot: BootId,
        out: &mut Outbox<ShardEffect>,
    ) {
        let is_open = self
            .partition_at(order)
            .is_some_and(|p| p.holder_of(order).is_none() && p.order_at(order).is_some());
        if !is_open {
            self.workers.news.push(TaskNews::NotAssigned { order, worker, boot });
            return;
        }
        let OrderId { instance, task, attempt } = order;
        let term = self.role.term;
        let record = TaskAssigned { instance, task: task.0, attempt, worker, boot, term };
        let write = |body: &mut Vec<u8>| record.write(body);
        let partition = partition_of(instance);
        self.push_one(RecordType::TaskAssigned, partition, Waiter::Own, write, out);
    }

    /// A worker has a new connection: what it has is sent again, and so is every stop.
    fn send_tasks_again(&mut self, worker: WorkerId, boot: BootId) {
        for partition in self.partitions.iter().flatten() {
            for order in partition.orders_of(worker, boot) {
                if self.workers.ending.contains(&order) {
                    continue;
                }
                let news = match partition.order_at(order) {
                    Some(found) => {
                        TaskNews::Assigned { order, worker, boot, run: run(found, boot) }
                    }
                    None => TaskNews::Stop { order, worker, boot },
                };
                self.workers.news.push(news);
            }
        }
    }

    /// Whether the end of an order is to be recorded. Where it is not wanted any more, its worker is told.
    fn takes_end(&mut self, order: OrderId, worker: WorkerId, boot: BootId) -> bool {
        let Some(partition) = self.partition_at(order) else { return false };
        if partition.holder_of(order) == Some((worker, boot)) {
            return self.workers.ending.insert(order);
        }
        if partition.is_past(order) {
            self.workers.news.push(TaskNews::Unassigned { order, worker, boot });
        }
        false
    }

    /// A worker does not run an order, and nothing came of it.
    fn on_task_stopped(
        &mut self,
        order: OrderId,
        worker: WorkerId,
        boot: BootId,
        out: &mut Outbox<ShardEffect>,
    ) {
        let is_wanted = self.partition_at(order).is_some_and(|p| p.order_at(order).is_some());
        if !is_wanted {
            self.push_stopped(order, out);
            return;
        }
        let OrderId { instance, task, attempt } = order;
        let record = TaskReleased { instance, task: task.0, attempt, worker, boot };
        let write = |body: &mut Vec<u8>| record.write(body);
        let partition = partition_of(instance);
        self.push_one(RecordType::TaskReleased, partition, Waiter::Own, write, out);
    }

    /// The end of a round: core 0 hears what there is, and decides.
    pub(super) fn flush_tasks(&mut self, out: &mut Outbox<ShardEffect>) {
        let term = self.role.term;
        if self.config.core != FIRST {
            if !self.workers.news.is_empty() {
                let news = std::mem::take(&mut self.workers.news);
                let message = ToShard::Tasks { term, news };
                out.push(ShardEffect::ToShard { to: FIRST, message });
            }
            return;
        }
        loop {
            while !self.workers.news.is_empty() {
                let news = std::mem::take(&mut self.workers.news);
                self.on_tasks(FIRST, term, news, out);
            }
            self.decide(out);
            // That this core does not take a decision is news at once.
            if self.workers.news.is_empty() {
                break;
            }
        }
        self.ask_links(out);
    }
}

// What core 0 does.
impl ShardCore {
    /// What a core says of tasks.
    pub(super) fn on_tasks(
        &mut self,
        from: CoreId,
        term: u64,
        news: Vec<TaskNews>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let is_begun = self.role.in_office && self.role.term == term;
        let desk = self.workers.desk_mut();
        if term < desk.term {
            return;
        }
        if term > desk.term {
            desk.begin(term);
        }
        if !is_begun {
            // Another core has applied more than this one.
            desk.early.push((from, news));
            return;
        }
        for one in news {
            self.on_task_news(from, one, out);
        }
    }

    /// This core took office: what the others said before it did holds now.
    pub(super) fn open_desk(&mut self, out: &mut Outbox<ShardEffect>) {
        let term = self.role.term;
        if self.config.core != FIRST {
            return;
        }
        let desk = self.workers.desk_mut();
        if desk.term < term {
            desk.begin(term);
        }
        desk.dispatcher.on_workers(&self.globals.workers);
        for (from, news) in std::mem::take(&mut desk.early) {
            for one in news {
                self.on_task_news(from, one, out);
            }
        }
    }

    fn on_task_news(&mut self, from: CoreId, news: TaskNews, out: &mut Outbox<ShardEffect>) {
        let shards = usize::from(self.config.shards);
        let desk = self.workers.desk_mut();
        let now = desk.now;
        match news {
            TaskNews::Report { assigned } => {
                for (order, worker, boot) in assigned {
                    desk.dispatcher.on_assigned(order, worker, boot);
                }
                desk.reported.insert(from);
                if desk.reported.len() == shards {
                    desk.dispatcher.open();
                }
            }
            TaskNews::Wanted { order, plugin, priority } => {
                desk.dispatcher.on_wanted(now, order, &plugin, priority);
            }
            TaskNews::Unwanted { order } => desk.dispatcher.on_unwanted(order),
            TaskNews::Assigned { order, worker, boot, run } => {
                desk.dispatcher.on_assigned(order, worker, boot);
                desk.tell(worker, boot, crate::workers::ToWorker::Run(run), out);
            }
            TaskNews::NotAssigned { order, worker, boot } => {
                desk.dispatcher.on_freed(order, worker, boot);
            }
            TaskNews::Unassigned { order, worker, boot } => {
                desk.dispatcher.on_freed(order, worker, boot);
                desk.tell(worker, boot, crate::workers::ToWorker::Recorded { order }, out);
            }
            TaskNews::Stop { order, worker, boot } => {
                desk.tell(worker, boot, crate::workers::ToWorker::Stop { order }, out);
            }
        }
    }

    /// Gives out what can be given out.
    fn decide(&mut self, out: &mut Outbox<ShardEffect>) {
        if !self.role.in_office || self.stopping {
            return;
        }
        let desk = self.workers.desk_mut();
        desk.dispatcher.decide(&mut desk.assignments);
        for Assignment { order, worker, boot } in std::mem::take(&mut desk.assignments) {
            self.tell_host(order, Dispatched::Assign { order, worker, boot }, out);
        }
    }

    /// Tells the core that hosts an order.
    fn tell_host(&mut self, order: OrderId, what: Dispatched, out: &mut Outbox<ShardEffect>) {
        let partition = partition_of(order.instance);
        // A worker may name what it likes.
        if usize::from(partition.0) >= self.partitions.len() {
            return;
        }
        let to = self.host(partition);
        if to == self.config.core {
            self.on_dispatched(what, out);
        } else {
            let message = ToShard::Dispatched(Box::new(what));
            out.push(ShardEffect::ToShard { to, message });
        }
    }

    /// The office has ended: workers are sent away.
    pub(super) fn close_desk(&mut self, out: &mut Outbox<ShardEffect>) {
        self.workers.leave_office();
        if let Some(desk) = self.workers.desk.as_deref_mut() {
            desk.dispatcher.start_over();
            desk.links.send_away(out);
        }
        self.end_validations(out);
    }

    /// The clock was read: leases that are over. A node that stops declares nobody lost: it sends workers
    /// away that come, and whoever leads next gives each a whole lease.
    pub(super) fn watch_workers(&mut self, now: Now, out: &mut Outbox<ShardEffect>) {
        let (in_office, term) = (self.role.in_office, self.role.term);
        let Some(desk) = self.workers.desk.as_deref_mut() else { return };
        desk.now = now.instant;
        if !in_office {
            return;
        }
        self.watch_validations(out);
        let Some(desk) = self.workers.desk.as_deref_mut().filter(|_| !self.stopping) else {
            return;
        };
        for (worker, boot) in desk.dispatcher.on_time(now.instant) {
            let record = WorkerLost { worker, boot, term };
            let write = |body: &mut Vec<u8>| record.write(body);
            self.push_one(RecordType::WorkerLost, GLOBAL, Waiter::Own, write, out);
        }
    }
}

impl Desk {
    /// Another term: nothing that was known holds.
    fn begin(&mut self, term: u64) {
        self.term = term;
        self.dispatcher.start_over();
        self.reported.clear();
        self.early.clear();
    }

    /// Tells a run of a worker, if it is registered here.
    fn tell(
        &self,
        worker: WorkerId,
        boot: BootId,
        message: crate::workers::ToWorker,
        out: &mut Outbox<ShardEffect>,
    ) {
        let peer = self.dispatcher.peer(worker).filter(|peer| peer.boot == boot);
        if let Some(link) = peer.and_then(|peer| peer.link) {
            out.push(ShardEffect::ToWorker { link, message });
        }
    }
}

// What every core does with the records that say which workers there are.
impl ShardCore {
    pub(super) fn apply_worker_joined(
        &mut self,
        index: u64,
        record: WorkerJoined,
        out: &mut Outbox<ShardEffect>,
    ) -> Outcome {
        let (worker, boot) = (record.worker, record.boot);
        let was_here = self.globals.workers.is_here(worker, boot);
        let joined = self.globals.workers.join(record, self.globals.stamp);
        if let Join::Joined { lost: Some(lost) } = joined {
            let tasks = self.tasks_of(worker, lost);
            let why = "another run of it has come";
            self.tell_of_worker(worker, WorkerNews::Lost { tasks }, why, out);
            self.move_tasks(index, (worker, lost), Presence::Lost, out);
        }
        if let (Join::Joined { .. }, false) = (joined, was_here) {
            self.tell_of_joined(worker, out);
        }
        self.after_worker(worker);
        self.on_joined(worker, boot, joined, out);
        Outcome::Done
    }

    /// `term` is the entry's.
    pub(super) fn apply_worker_lost(
        &mut self,
        (index, term): (u64, u64),
        record: WorkerLost,
        out: &mut Outbox<ShardEffect>,
    ) -> Outcome {
        if record.term == term {
            self.part(index, (record.worker, record.boot), Presence::Lost, out);
        }
        Outcome::Done
    }

    pub(super) fn apply_worker_left(
        &mut self,
        index: u64,
        record: WorkerLeft,
        out: &mut Outbox<ShardEffect>,
    ) -> Outcome {
        self.part(index, (record.worker, record.boot), Presence::Left, out);
        Outcome::Done
    }

    pub(super) fn apply_worker_drained(
        &mut self,
        record: WorkerDrained,
        out: &mut Outbox<ShardEffect>,
    ) -> Outcome {
        let was = self.globals.workers.find(record.worker).map(|known| known.drained);
        let is_known = self.globals.workers.drain(record);
        self.after_worker(record.worker);
        if was.is_some_and(|was| was != record.on) {
            self.tell_of_worker(record.worker, WorkerNews::Drained(record.on), "", out);
        }
        if is_known {
            self.on_drained(record.worker, record.on, out);
        }
        Outcome::Worker { is_known }
    }

    fn part(
        &mut self,
        index: u64,
        run: (WorkerId, BootId),
        how: Presence,
        out: &mut Outbox<ShardEffect>,
    ) {
        let stamp = self.globals.stamp;
        let tasks = self.tasks_of(run.0, run.1);
        if !self.globals.workers.part(run.0, run.1, how, stamp) {
            return;
        }
        let what = match how {
            Presence::Left => WorkerNews::Left,
            _ => WorkerNews::Lost { tasks },
        };
        self.tell_of_worker(run.0, what, "it said nothing for as long as its lease", out);
        self.move_tasks(index, run, how, out);
        self.on_parted(run, how, out);
        self.after_worker(run.0);
    }

    /// What a run of a worker had goes to others.
    fn move_tasks(
        &mut self,
        index: u64,
        run: (WorkerId, BootId),
        how: Presence,
        out: &mut Outbox<ShardEffect>,
    ) {
        let stamp = self.globals.stamp;
        for partition in self.partitions.iter_mut().flatten() {
            if partition.is_applying(index) {
                partition.apply_worker_gone(run, how, stamp, &mut self.partition_out);
            }
        }
        self.drain_partitions(out);
    }

    /// What is known of a worker is different now. Another one that was forgotten for it had gone before.
    fn after_worker(&mut self, worker: WorkerId) {
        let in_office = self.role.in_office;
        if let Some(desk) = self.workers.desk.as_deref_mut()
            && in_office
        {
            desk.dispatcher.on_worker(worker, self.globals.workers.find(worker));
        }
    }
}

impl ShardCore {
    /// Whether some worker is there that gets tasks; none where there has never been one.
    pub fn has_workers(&self) -> Option<bool> {
        let mut known = self.globals.workers.iter().peekable();
        known.peek()?;
        Some(known.any(|(_, worker)| worker.presence == Presence::Here && !worker.drained))
    }

    /// The gauges about workers, of core 0 alone. How many tasks workers have, on the node that leads.
    pub(super) fn refresh_worker_metrics(&self) -> u64 {
        let Some(desk) = self.workers.desk() else { return 0 };
        let mut states = [0; WORKER_STATES.len()];
        for (_, worker) in self.globals.workers.iter() {
            let state = match worker.presence {
                Presence::Here if worker.drained => 1,
                Presence::Here => 0,
                Presence::Lost => 2,
                Presence::Left => 3,
            };
            states[state] += 1;
        }
        for (gauge, count) in self.metrics.workers.iter().zip(states) {
            gauge.set_count(count);
        }
        let (mut running, mut capacity) = (0_u32, 0_u32);
        for (_, peer) in desk.dispatcher.peers() {
            running = running.saturating_add(peer.running());
            capacity = capacity.saturating_add(peer.capacity());
        }
        let share = f64::from(running) / f64::from(capacity.max(1));
        self.metrics.utilization.set(share);
        self.metrics.tasks_waiting.set_count(desk.dispatcher.waiting() as u64);
        let waiting = desk.dispatcher.waiting_for(desk.now);
        let oldest = waiting.iter().map(|(.., since)| *since).max().unwrap_or_default();
        self.metrics.oldest_waiting.set(oldest.as_secs_f64());
        u64::from(running)
    }
}
