//! Which worker gets which task: the leader's view of all workers and of everything that waits for one.
//!
//! It decides; the decision is a record of the log, and what that record made of the state comes back
//! here. What is known of a worker's tasks is what the partitions say it has, and what was decided and
//! is on its way into the log. So it can be lost with the office and made anew from the state
//! (docs/decisions/0025).
//!
//! Invariants:
//! - an order is in one place: it waits, or one worker has it;
//! - no worker is given more than its capacity, nor anything while it is drained, leaves, is doubted, has
//!   no connection, or its lease is over;
//! - an order does not wait while a worker that may have it has room;
//! - of one plugin the most urgent goes first, then what came first;
//! - a lease is never shorter than was promised: of a worker of which nothing was heard it counts from
//!   the first look at the clock after all cores had reported. Before that no worker is answered, so
//!   none can be late.

mod peer;
mod room;
mod strategy;
mod waiting;

pub(crate) use peer::{Load, Peer};
pub use room::Free;
pub use strategy::{Candidate, Strategy, StrategyName, UnknownStrategy};

use crate::globals::{Presence, WORKERS_MAX, Worker, Workers};
use crate::shard::OrderId;
use crate::workers::{Refusal, WorkerLink};
use base::{BootId, Instant, Prng, WorkerId};
use peer::Placed;
use room::Room;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;
use waiting::{Rank, Waiting, Wanted};

/// A worker that refused a task gets none for so long: it knows something that is not known here.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Decisions made at once. Their records bring the next ones about, and a core must not be held up by what
/// a thousand workers that come back together may take.
const DECISIONS_MAX: usize = 1_024;

/// Workers that gossip doubts and that are remembered, before those are forgotten that the cluster does not
/// know: twice as many as it can know.
const SUSPECTED_MAX: usize = 2 * WORKERS_MAX;

/// How the leader treats workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkersConfig {
    /// How long a worker that says nothing is believed to be there. Unit: milliseconds. Default 10 s: a
    /// worker renews four times in it, and stops its work after 80 % of it.
    pub lease_ms: u32,
    /// Who gets a task.
    pub strategy: StrategyName,
    /// Where this node stands; empty: not said.
    pub zone: String,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self { lease_ms: 10_000, strategy: StrategyName::default(), zone: String::new() }
    }
}

impl WorkersConfig {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(u64::from(self.lease_ms))
    }
}

/// A decision: this worker is to have this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) order: OrderId,
    pub(crate) worker: WorkerId,
    pub(crate) boot: BootId,
}

/// Decides who gets what, while this node leads.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    lease: Duration,
    zone: String,
    strategy: Box<dyn Strategy>,
    random: Prng,
    peers: BTreeMap<WorkerId, Peer>,
    /// Whom of the peers a decision looks at.
    room: Room,
    waiting: Waiting,
    /// Whose turn it is: of each plugin the first one that waits. Empty between decisions.
    turns: BinaryHeap<Reverse<(Rank, Arc<str>)>>,
    /// Who has which order: the same as what the peers have.
    placed: BTreeMap<OrderId, WorkerId>,
    /// Whom gossip doubts.
    suspected: BTreeSet<WorkerId>,
    /// All cores have said which tasks have which worker: workers are answered, and leases count.
    is_open: bool,
    /// Something has changed since the last decisions.
    is_due: bool,
    /// When the clock is to be looked at; not later than anything that is due.
    look_at: Option<Instant>,
}

impl Dispatcher {
    pub(crate) fn new(config: &WorkersConfig, seed: u64) -> Self {
        Self {
            lease: config.lease(),
            zone: config.zone.clone(),
            strategy: config.strategy.strategy(),
            random: Prng::new(seed),
            peers: BTreeMap::new(),
            room: Room::default(),
            waiting: Waiting::default(),
            turns: BinaryHeap::new(),
            placed: BTreeMap::new(),
            suspected: BTreeSet::new(),
            is_open: false,
            is_due: false,
            look_at: None,
        }
    }

    /// Forgets everything but whom gossip doubts: another office begins, or this one has ended.
    pub(crate) fn start_over(&mut self) {
        self.peers.clear();
        self.room.clear();
        self.placed.clear();
        self.waiting.clear();
        self.is_open = false;
        self.look_at = None;
    }

    /// All cores have said which tasks have which worker. From now on leases count.
    pub(crate) fn open(&mut self) {
        self.is_open = true;
        self.is_due = true;
        if !self.peers.is_empty() {
            self.look_at = Some(Instant(0));
        }
    }

    /// Whether it has been.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The workers are these: an office begins.
    pub(crate) fn on_workers(&mut self, workers: &Workers) {
        for (id, worker) in workers.iter() {
            self.on_worker(id, Some(worker));
        }
    }

    /// What is known of a worker has changed; nothing where it is not known.
    pub(crate) fn on_worker(&mut self, id: WorkerId, known: Option<&Worker>) {
        let here = known.filter(|worker| worker.presence == Presence::Here);
        let before = self.peers.get(&id).map(|peer| peer.boot);
        if before.is_some() && before != here.map(|worker| worker.boot) {
            self.part(id);
        }
        if let Some(worker) = here {
            let Self { peers, room, .. } = self;
            let peer = peers.entry(id).or_insert_with(|| Peer::new(worker.boot, room.enter()));
            peer.update(worker);
            let names = || worker.plugins.iter().map(|plugin| plugin.name.as_str());
            if !names().eq(peer.plugins.iter().map(AsRef::as_ref)) {
                peer.plugins.iter().for_each(|plugin| room.withdraw(id, plugin));
                peer.plugins = names().map(|plugin| room.bring(id, peer.place, plugin)).collect();
            }
            if peer.lease.is_none() {
                self.look_at = Some(Instant(0));
            }
            self.stand(id);
        }
        self.is_due = true;
    }

    /// A run of a worker is gone.
    fn part(&mut self, id: WorkerId) {
        let Some(peer) = self.peers.remove(&id) else { return };
        for order in peer.has.keys() {
            self.placed.remove(order);
        }
        peer.plugins.iter().for_each(|plugin| self.room.withdraw(id, plugin));
        self.room.leave(peer.place);
    }

    /// Where a worker stands among those with room, now that something about it is different.
    fn stand(&mut self, id: WorkerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let is_free = peer.has_room() && !self.suspected.contains(&id);
        let rank = is_free.then(|| {
            self.strategy.rank(&Candidate {
                worker: id,
                running: peer.running(),
                capacity: peer.capacity,
                cpu_permille: peer.load.cpu_permille,
                is_near: !self.zone.is_empty() && peer.zone == self.zone,
            })
        });
        self.room.set_rank(peer.place, rank);
    }

    /// Changes a worker's run, if it is there.
    fn change<T>(
        &mut self,
        worker: WorkerId,
        boot: Option<BootId>,
        change: impl FnOnce(&mut Peer) -> T,
    ) -> Option<T> {
        let peer = self.peers.get_mut(&worker);
        let peer = peer.filter(|peer| boot.is_none_or(|boot| peer.boot == boot))?;
        let changed = change(peer);
        self.stand(worker);
        Some(changed)
    }

    pub(crate) fn peer(&self, worker: WorkerId) -> Option<&Peer> {
        self.peers.get(&worker)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (WorkerId, &Peer)> {
        self.peers.iter().map(|(id, peer)| (*id, peer))
    }

    /// The worker is registered over this connection: its lease begins.
    pub(crate) fn on_linked(&mut self, now: Instant, worker: WorkerId, link: WorkerLink) {
        let lease = now + self.lease;
        let linked = self.change(worker, None, |peer| {
            peer.link = Some(link);
            peer.leaving = false;
            peer.lease = Some(lease);
        });
        if linked.is_some() {
            self.look_at = Some(self.look_at.map_or(lease, |at| at.min(lease)));
            self.is_due = true;
        }
    }

    pub(crate) fn on_link_down(&mut self, link: WorkerLink) {
        let of_it = self.peers.iter().find(|(_, peer)| peer.link == Some(link));
        if let Some(worker) = of_it.map(|(worker, _)| *worker) {
            self.change(worker, None, |peer| peer.link = None);
        }
    }

    /// A worker's lease is renewed. False when it is over.
    pub(crate) fn renew(&mut self, now: Instant, worker: WorkerId, boot: BootId) -> bool {
        let lease = now + self.lease;
        let run = self.peers.get_mut(&worker).filter(|peer| peer.boot == boot);
        let renewed = run.filter(|peer| !peer.is_expelled);
        renewed.map(|peer| peer.lease = Some(lease)).is_some()
    }

    /// What a worker says of itself.
    pub(crate) fn on_load(&mut self, worker: WorkerId, boot: BootId, load: Load) {
        self.change(worker, Some(boot), |peer| peer.load = load);
    }

    /// A worker wishes to leave, or stays after all.
    pub(crate) fn on_leaving(&mut self, worker: WorkerId, on: bool) {
        if self.change(worker, None, |peer| peer.leaving = on).is_some() {
            self.is_due = true;
        }
    }

    /// Gossip doubts that a worker lives, or no longer does.
    pub(crate) fn on_suspected(&mut self, worker: WorkerId, is_suspected: bool) {
        if is_suspected {
            self.suspected.insert(worker);
        } else {
            self.suspected.remove(&worker);
            self.is_due = true;
        }
        self.stand(worker);
    }

    /// Gossip speaks of whoever is there, and of many over the years. Those that the cluster does not know
    /// are kept while they are few: one may join in a moment.
    pub(crate) fn forget_strangers(&mut self, workers: &Workers) {
        if self.suspected.len() > SUSPECTED_MAX {
            self.suspected.retain(|worker| workers.find(*worker).is_some());
        }
    }

    pub(crate) fn is_suspected(&self, worker: WorkerId) -> bool {
        self.suspected.contains(&worker)
    }

    /// A worker does not take an order that it was given.
    pub(crate) fn on_refused(&mut self, now: Instant, worker: WorkerId, why: Refusal) {
        let until = now + REFUSED_PAUSE;
        match why {
            Refusal::Draining => {
                self.change(worker, None, |peer| peer.leaving = true);
            }
            Refusal::Full | Refusal::Plugin | Refusal::Lease => {
                if self.change(worker, None, |peer| peer.held_until = Some(until)).is_some() {
                    self.look_at = Some(self.look_at.map_or(until, |at| at.min(until)));
                }
            }
            Refusal::Boot | Refusal::Over => {}
        }
    }

    /// An order waits for a worker.
    pub(crate) fn on_wanted(
        &mut self,
        now: Instant,
        order: OrderId,
        plugin: &Arc<str>,
        priority: u8,
    ) {
        let is_placed = self.placed.contains_key(&order);
        if !is_placed && self.waiting.push(plugin, priority, Wanted { order, since: now }) {
            self.is_due = true;
        }
    }

    /// An order waits no more: nobody wants it.
    pub(crate) fn on_unwanted(&mut self, order: OrderId) {
        self.waiting.remove(order);
    }

    /// The state says that a worker has an order.
    pub(crate) fn on_assigned(&mut self, order: OrderId, worker: WorkerId, boot: BootId) {
        let wanted = self.waiting.remove(order);
        let wanted = wanted.map(|wanted| wanted.since);
        let placed = self.change(worker, Some(boot), |peer| {
            peer.has.entry(order).or_insert(Placed { wanted, begun: None });
        });
        if placed.is_some() {
            self.placed.insert(order, worker);
        }
    }

    /// A worker does not have an order, or no longer.
    pub(crate) fn on_freed(&mut self, order: OrderId, worker: WorkerId, boot: BootId) {
        let freed = self.change(worker, Some(boot), |peer| peer.has.remove(&order));
        if freed.flatten().is_some() {
            self.placed.remove(&order);
            self.is_due = true;
        }
    }

    /// A worker has received an order: how long that took from when it was wanted, where that is known,
    /// and is told for the first time.
    pub(crate) fn on_accepted(
        &mut self,
        now: Instant,
        worker: WorkerId,
        order: OrderId,
    ) -> Option<Duration> {
        let placed = self.peers.get_mut(&worker)?.has.get_mut(&order)?;
        placed.begun.get_or_insert(now);
        placed.wanted.take().map(|since| now.since(since))
    }

    /// A worker says that an order has ended: how long it took from when it had been received, where that
    /// is known, and is told for the first time.
    pub(crate) fn on_ended(
        &mut self,
        now: Instant,
        worker: WorkerId,
        order: OrderId,
    ) -> Option<Duration> {
        let placed = self.peers.get_mut(&worker)?.has.get_mut(&order)?;
        placed.begun.take().map(|since| now.since(since))
    }

    /// Looks at the clock: the runs whose lease is over. Each is told once; from then on it gets nothing
    /// and its lease is not renewed.
    pub(crate) fn on_time(&mut self, now: Instant) -> Vec<(WorkerId, BootId)> {
        let mut over = Vec::new();
        if !self.is_open {
            return over;
        }
        let mut changed = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.held_until.is_some_and(|until| until <= now) {
                peer.held_until = None;
                self.is_due = true;
                changed.push(*id);
            }
            let lease = *peer.lease.get_or_insert(now + self.lease);
            if lease <= now && !peer.is_expelled {
                peer.is_expelled = true;
                over.push((*id, peer.boot));
                changed.push(*id);
            }
        }
        for id in changed {
            self.stand(id);
        }
        let due = self.peers.values().flat_map(|peer| {
            let lease = peer.lease.filter(|_| !peer.is_expelled);
            [lease, peer.held_until]
        });
        self.look_at = due.flatten().min();
        over
    }

    /// When to call [`Self::on_time`]: never later than it has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.look_at.filter(|_| self.is_open)
    }

    /// Gives out what can be given out.
    pub(crate) fn decide(&mut self, out: &mut Vec<Assignment>) {
        if !self.is_open || !std::mem::take(&mut self.is_due) {
            return;
        }
        let mut turns = std::mem::take(&mut self.turns);
        turns.extend(self.waiting.heads().map(|(rank, name)| Reverse((rank, Arc::clone(name)))));
        while let Some(Reverse((_, plugin))) = turns.pop() {
            if !self.room.is_free() {
                break;
            }
            // Nobody has room for it, and nobody gets any by a decision: it has had its last turn.
            let free = self.room.of(&plugin);
            let Some(worker) = self.strategy.choose(free, &mut self.random) else { continue };
            let (_, wanted) = self.waiting.head(&plugin).expect("what has a turn waits");
            out.push(self.give(wanted, worker));
            if out.len() >= DECISIONS_MAX {
                self.is_due = true;
                break;
            }
            if let Some((rank, _)) = self.waiting.head(&plugin) {
                turns.push(Reverse((rank, plugin)));
            }
        }
        turns.clear();
        self.turns = turns;
    }

    fn give(&mut self, wanted: Wanted, worker: WorkerId) -> Assignment {
        let Wanted { order, since } = wanted;
        self.waiting.remove(order);
        let placed = Placed { wanted: Some(since), begun: None };
        let boot = self.change(worker, None, |peer| {
            assert!(peer.has_room(), "no worker is given more than its capacity");
            peer.has.insert(order, placed);
            peer.boot
        });
        let before = self.placed.insert(order, worker);
        assert_eq!(before, None, "an order waits, or one worker has it");
        Assignment { order, worker, boot: boot.expect("a candidate is there") }
    }

    /// How many orders wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many wait for each plugin, and for how long the first of them to come has.
    pub(crate) fn waiting_for(&self, now: Instant) -> Vec<(Arc<str>, usize, Duration)> {
        let plugins = self.waiting.of_plugins();
        plugins
            .map(|(plugin, count, since)| (Arc::clone(plugin), count, now.since(since)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
