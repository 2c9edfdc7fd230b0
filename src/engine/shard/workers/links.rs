//! The connections of workers to core 0 of the node that leads, and what is said over them.
//!
//! Invariants:
//! - a connection is of one worker, and of one run of it at a time;
//! - a run of a worker is registered over one connection. Another process that says that it is the same run,
//!   as a copied directory makes one, is not taken while the first one is heard: what that has would be
//!   sent to both.

use super::{Desk, FIRST};
use crate::batch::GLOBAL;
use crate::dispatch::Load;
use crate::globals::{Join, Presence, WORKERS_MAX, Worker};
use crate::message::Dispatched;
use crate::metrics::ShardMetrics;
use crate::record::{Ended, Failed, RecordType, WorkerJoined, WorkerLeft, WorkerPlugin};
use crate::shard::session::Waiter;
use crate::shard::{OrderId, ShardCore, ShardEffect};
use crate::workers::{CAPACITY_MAX, FromWorker, PLUGINS_MAX, PluginInfo, ToWorker, WorkerLink};
use base::limits::NAME_BYTES_MAX;
use base::{BootId, CoreId, Instant, Now, Outbox, WorkerId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Connections of workers to one node. A worker that comes again may have its old one for a while.
const LINKS_MAX: usize = 2 * WORKERS_MAX;

/// The connections.
#[derive(Debug, Default)]
pub(in crate::shard) struct Links {
    named: BTreeMap<WorkerLink, Link>,
    /// They wait for the word that this node leads still, which was not asked for yet.
    waiting: BTreeMap<WorkerLink, Wish>,
    /// The same, asked for under this ticket in this term.
    asked: Option<(u64, u64, BTreeMap<WorkerLink, Wish>)>,
}

/// A connection over which a worker has named itself.
#[derive(Debug)]
struct Link {
    worker: WorkerId,
    boot: BootId,
    /// It is told once the worker's record is applied.
    is_joining: bool,
    /// It wishes to leave.
    leaving: bool,
    /// That it has gone is on its way into the log.
    is_going: bool,
    /// When something was heard over it.
    heard: Instant,
}

/// What a worker wants to hear.
#[derive(Debug, Default)]
struct Wish {
    /// That it is registered.
    register: Option<Box<WorkerJoined>>,
    /// That its lease is renewed: by the last renewal alone.
    renew: Option<(BootId, u64)>,
}

impl Links {
    /// Sends every worker away: this node leads no longer.
    pub(super) fn send_away(&mut self, out: &mut Outbox<ShardEffect>) {
        let named = std::mem::take(&mut self.named);
        let waiting = std::mem::take(&mut self.waiting);
        // The question will be answered; by then nobody asks.
        let asked = self.asked.as_mut().map(|(_, _, asked)| std::mem::take(asked));
        let mut all: Vec<WorkerLink> = named.into_keys().collect();
        all.extend(waiting.into_keys().chain(asked.unwrap_or_default().into_keys()));
        all.sort_unstable();
        all.dedup();
        for link in all {
            not_taken(link, "this node leads no longer", out);
        }
    }
}

impl Desk {
    /// Whether this run of a worker is registered over another connection, over which it was heard not
    /// long ago. Who comes again has ended the one before, as a rule; where that is not known yet, it is
    /// taken when nothing has come over it for so long that a renewal is overdue.
    fn is_elsewhere(
        &self,
        now: Instant,
        link: WorkerLink,
        (worker, boot): (WorkerId, BootId),
        lease: Duration,
    ) -> bool {
        let peer = self.dispatcher.peer(worker).filter(|peer| peer.boot == boot);
        let other = peer.and_then(|peer| peer.link).filter(|other| *other != link);
        let named = other.and_then(|other| self.links.named.get(&other));
        // A worker renews its lease four times in it.
        named.is_some_and(|named| now.since(named.heard) < lease * 3 / 8)
    }
}

/// What a run of a worker hears that is not the latest, or is gone; nothing where it may belong to the
/// cluster.
fn over(known: &Worker, boot: BootId) -> Option<ToWorker> {
    // It would climb up to the later run one by one, and then be taken for it.
    if boot < known.boot {
        return Some(to_seek(BEHIND));
    }
    match known.presence {
        _ if boot > known.boot => None,
        Presence::Here => None,
        Presence::Lost => Some(ToWorker::Lost { boot }),
        Presence::Left => Some(ToWorker::Left),
    }
}

/// Why a run is not taken that came before the latest of its worker.
const BEHIND: &str = "a later run of this worker is known: is its data directory a copy, or an old one? Then \
                      give it another, or remove that";

/// Why a run is not taken that is registered already.
const ELSEWHERE: &str = "this worker is connected already: its data directory is a copy, or its last connection \
                         has not been seen to break yet";

fn to_seek(why: &str) -> ToWorker {
    ToWorker::NotTaken { why: why.into(), leader: None }
}

fn not_taken(link: WorkerLink, why: &str, out: &mut Outbox<ShardEffect>) {
    out.push(ShardEffect::ToWorker { link, message: to_seek(why) });
}

impl ShardCore {
    /// A worker says something over a connection of its own. Told to core 0 alone.
    pub fn on_worker_message(
        &mut self,
        now: Now,
        link: WorkerLink,
        message: FromWorker,
        out: &mut Outbox<ShardEffect>,
    ) {
        assert_eq!(self.config.core, FIRST, "workers speak to the first core");
        self.workers.read_clock(now);
        let desk = self.workers.desk_mut();
        if let FromWorker::Register { worker, boot, name, address, capacity, plugins, zone } =
            message
        {
            let record = WorkerJoined {
                worker,
                boot,
                name: short(name),
                address: short(address),
                capacity: capacity.min(CAPACITY_MAX),
                zone: short(zone),
                plugins: known_plugins(plugins),
            };
            self.on_register(now.instant, link, record, out);
            return;
        }
        // Whoever has not named itself is not listened to.
        let Some(known) = desk.links.named.get_mut(&link) else { return };
        known.heard = now.instant;
        let (worker, boot) = (known.worker, known.boot);
        let is_here = desk.dispatcher.peer(worker).is_some_and(|peer| peer.link == Some(link));
        match message {
            FromWorker::Register { .. } => unreachable!("handled above"),
            FromWorker::Renew { boot, number, running, cpu_permille, memory_bytes } => {
                let load = Load { running, cpu_permille, memory_bytes };
                desk.dispatcher.on_load(worker, boot, load);
                desk.links.waiting.entry(link).or_default().renew = Some((boot, number));
            }
            FromWorker::Drain { on } => {
                known.leaving = on;
                if is_here {
                    desk.dispatcher.on_leaving(worker, on);
                    out.push(ShardEffect::ToWorker { link, message: ToWorker::Draining { on } });
                }
            }
            FromWorker::Leave { boot } if !self.globals.workers.is_here(worker, boot) => {
                out.push(ShardEffect::ToWorker { link, message: ToWorker::Left });
            }
            FromWorker::Leave { boot: left } => {
                // One record, of the run that is registered over this connection.
                if !is_here || left != boot || std::mem::replace(&mut known.is_going, true) {
                    return;
                }
                let record = WorkerLeft { worker, boot };
                let write = |body: &mut Vec<u8>| record.write(body);
                self.push_one(RecordType::WorkerLeft, GLOBAL, Waiter::Own, write, out);
            }
            // What follows is about tasks, of a run that is registered.
            _ if !is_here => {}
            FromWorker::Accepted { order } => {
                if let Some(took) = desk.dispatcher.on_accepted(now.instant, worker, order) {
                    self.metrics.assignment.observe_duration(took);
                }
            }
            FromWorker::Refused { order, why } => {
                desk.dispatcher.on_refused(now.instant, worker, why);
                self.tell_host(order, Dispatched::Stopped { order, worker, boot }, out);
            }
            FromWorker::Stopped { order } => {
                self.tell_host(order, Dispatched::Stopped { order, worker, boot }, out);
            }
            FromWorker::Ended { order, ended } => {
                if let Some(took) = desk.dispatcher.on_ended(now.instant, worker, order) {
                    let is_output = matches!(ended, Ended::Output(_));
                    let ShardMetrics { task_completed, task_failed, .. } = &self.metrics;
                    let metric = if is_output { task_completed } else { task_failed };
                    metric.observe_duration(took);
                }
                self.on_worker_ended(order, (worker, boot), ended, out);
            }
            FromWorker::Validated { ticket, verdict } => {
                self.on_verdict(link, ticket, verdict, out);
            }
        }
    }

    fn on_worker_ended(
        &mut self,
        order: OrderId,
        (worker, boot): (WorkerId, BootId),
        ended: Ended,
        out: &mut Outbox<ShardEffect>,
    ) {
        let ended = bounded(ended);
        self.tell_host(order, Dispatched::Ended { order, worker, boot, ended }, out);
    }

    /// A worker's connection has ended: what was on its way may be lost. Told to core 0 alone.
    pub fn on_worker_link_down(
        &mut self,
        now: Now,
        link: WorkerLink,
        out: &mut Outbox<ShardEffect>,
    ) {
        assert_eq!(self.config.core, FIRST, "workers speak to the first core");
        self.workers.read_clock(now);
        let desk = self.workers.desk_mut();
        desk.links.named.remove(&link);
        desk.links.waiting.remove(&link);
        if let Some((_, _, asked)) = &mut desk.links.asked {
            asked.remove(&link);
        }
        desk.dispatcher.on_link_down(link);
        self.on_link_of_validations_down(link, out);
    }

    /// Whether gossip doubts that a worker lives. It gets nothing new meanwhile. Told to core 0 alone.
    pub fn on_worker_suspected(
        &mut self,
        now: Now,
        worker: WorkerId,
        is_suspected: bool,
        _out: &mut Outbox<ShardEffect>,
    ) {
        assert_eq!(self.config.core, FIRST, "workers speak to the first core");
        self.workers.read_clock(now);
        let desk = self.workers.desk_mut();
        desk.dispatcher.on_suspected(worker, is_suspected);
        desk.dispatcher.forget_strangers(&self.globals.workers);
    }

    fn on_register(
        &mut self,
        now: Instant,
        link: WorkerLink,
        record: WorkerJoined,
        out: &mut Outbox<ShardEffect>,
    ) {
        let in_office = self.role.in_office && !self.stopping;
        let (is_born, serving) = (self.globals.born.is_some(), self.serving);
        let desk = self.workers.desk_mut();
        if !in_office || !is_born || !serving {
            not_taken(link, "this node does not lead", out);
            return;
        }
        match desk.links.named.get(&link) {
            None if desk.links.named.len() >= LINKS_MAX => {
                return not_taken(link, "too many workers are connected", out);
            }
            Some(named) if named.worker != record.worker => {
                return not_taken(link, "this connection is another worker's", out);
            }
            // It hears what becomes of that first.
            Some(named) if named.is_joining => return,
            _ => {}
        }
        let named = Link {
            worker: record.worker,
            boot: record.boot,
            is_joining: false,
            leaving: false,
            is_going: false,
            heard: now,
        };
        desk.links.named.insert(link, named);
        // Whoever comes as another run is gone as the one before: nothing more for that one.
        if desk.dispatcher.peer(record.worker).is_some_and(|peer| peer.boot < record.boot) {
            desk.dispatcher.on_leaving(record.worker, true);
        }
        desk.links.waiting.entry(link).or_default().register = Some(Box::new(record));
    }

    /// The end of a round: whoever wants to hear something of the leader waits until it is sure that this
    /// node is still the one.
    pub(super) fn ask_links(&mut self, out: &mut Outbox<ShardEffect>) {
        let term = self.role.term;
        let links = &mut self.workers.desk_mut().links;
        if links.asked.is_some() || links.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut links.waiting);
        let ticket = self.queries.reads.ask_index(out);
        self.workers.desk_mut().links.asked = Some((ticket, term, waiting));
    }

    /// Whether the answer to a question for an index is about workers. It is dealt with then.
    pub(in crate::shard) fn on_lead_confirmed(
        &mut self,
        now: Now,
        ticket: u64,
        index: Option<u64>,
        out: &mut Outbox<ShardEffect>,
    ) -> bool {
        let Some(desk) = self.workers.desk.as_deref_mut() else { return false };
        let Some((_, term, wishes)) = desk.links.asked.take_if(|(asked, ..)| *asked == ticket)
        else {
            return false;
        };
        // Whoever was deposed meanwhile has been told so, before this.
        if !self.role.in_office || self.role.term != term {
            return true;
        }
        let is_ready = desk.dispatcher.is_open();
        for (link, wish) in wishes {
            if index.is_none() || !is_ready {
                // Nobody could say it in time, or a core is not in office yet, which would not listen
                // to what the worker has to say: it is asked again.
                let waiting = self.workers.desk_mut().links.waiting.entry(link).or_default();
                waiting.register = waiting.register.take().or(wish.register);
                waiting.renew = waiting.renew.or(wish.renew);
                continue;
            }
            if let Some(record) = wish.register {
                self.register(now, link, &record, out);
            }
            if let Some((boot, number)) = wish.renew {
                self.renew(now, link, boot, number, out);
            }
        }
        true
    }

    /// A worker wants to belong to the cluster, and this node leads.
    fn register(
        &mut self,
        now: Now,
        link: WorkerLink,
        record: &WorkerJoined,
        out: &mut Outbox<ShardEffect>,
    ) {
        let (worker, boot) = (record.worker, record.boot);
        let desk = self.workers.desk.as_deref_mut().expect("workers speak to the first core");
        let known = self.globals.workers.find(worker);
        if let Some(message) = known.and_then(|known| over(known, boot)) {
            desk.links.named.remove(&link);
            out.push(ShardEffect::ToWorker { link, message });
            return;
        }
        if desk.is_elsewhere(now.instant, link, (worker, boot), self.config.workers.lease()) {
            desk.links.named.remove(&link);
            return not_taken(link, ELSEWHERE, out);
        }
        let is_expelled =
            desk.dispatcher.peer(worker).is_some_and(|peer| peer.boot == boot && peer.is_expelled);
        if is_expelled {
            // It is lost in a moment, and told so then.
            return;
        }
        let is_same = known.is_some_and(|known| {
            known.boot == boot
                && known.capacity == record.capacity
                && known.plugins == record.plugins
                && known.zone == record.zone
                && known.address == record.address
                && known.name == record.name
        });
        if is_same {
            self.registered(now.instant, link, worker, out);
            return;
        }
        let Some(named) = desk.links.named.get_mut(&link) else { return };
        named.is_joining = true;
        let write = |body: &mut Vec<u8>| record.write(body);
        self.push_one(RecordType::WorkerJoined, GLOBAL, Waiter::Own, write, out);
    }

    /// The worker belongs to the cluster, and may be told so.
    fn registered(
        &mut self,
        now: Instant,
        link: WorkerLink,
        worker: WorkerId,
        out: &mut Outbox<ShardEffect>,
    ) {
        let known = self.globals.workers.find(worker).expect("who is registered is known");
        let (boot, drained) = (known.boot, known.drained);
        let lease_ms = self.config.workers.lease_ms;
        let desk = self.workers.desk_mut();
        let Some(named) = desk.links.named.get_mut(&link) else { return };
        named.is_joining = false;
        desk.dispatcher.on_linked(now, worker, link);
        if named.leaving {
            desk.dispatcher.on_leaving(worker, true);
        }
        out.push(ShardEffect::ToWorker { link, message: ToWorker::Registered { lease_ms, boot } });
        if drained {
            let message = ToWorker::Draining { on: true };
            out.push(ShardEffect::ToWorker { link, message });
        }
        for to in (0..self.config.shards).map(CoreId) {
            let what = Dispatched::SendAgain { worker, boot };
            if to == self.config.core {
                self.on_dispatched(what, out);
            } else {
                let message = crate::message::ToShard::Dispatched(Box::new(what));
                out.push(ShardEffect::ToShard { to, message });
            }
        }
        self.on_worker_to_ask(out);
    }

    /// A worker wants its lease for longer, and this node leads.
    fn renew(
        &mut self,
        now: Now,
        link: WorkerLink,
        boot: BootId,
        number: u64,
        out: &mut Outbox<ShardEffect>,
    ) {
        let desk = self.workers.desk_mut();
        let Some(named) = desk.links.named.get(&link) else { return };
        let worker = named.worker;
        if named.is_joining || named.boot != boot {
            return;
        }
        if desk.dispatcher.renew(now.instant, worker, boot) {
            out.push(ShardEffect::ToWorker { link, message: ToWorker::Renewed { number } });
        }
    }

    /// A worker's record was applied: those that wait for it are told.
    pub(super) fn on_joined(
        &mut self,
        worker: WorkerId,
        boot: BootId,
        joined: Join,
        out: &mut Outbox<ShardEffect>,
    ) {
        if !self.role.in_office {
            return;
        }
        if let Join::Joined { lost: Some(lost) } = joined {
            self.say_gone((worker, lost), &ToWorker::Lost { boot: lost }, out);
        }
        let Some(desk) = self.workers.desk.as_deref_mut() else { return };
        let (now, lease) = (desk.now, self.config.workers.lease());
        let is_of_it = |link: &Link| link.is_joining && (link.worker, link.boot) == (worker, boot);
        let links: Vec<WorkerLink> =
            (desk.links.named.iter()).filter(|(_, l)| is_of_it(l)).map(|(id, _)| *id).collect();
        for link in links {
            let desk = self.workers.desk_mut();
            let refused = match joined {
                Join::Joined { .. } if desk.is_elsewhere(now, link, (worker, boot), lease) => {
                    to_seek(ELSEWHERE)
                }
                Join::Joined { .. } => {
                    self.registered(now, link, worker, out);
                    continue;
                }
                Join::Over => {
                    let known = self.globals.workers.find(worker);
                    let message = known.and_then(|known| over(known, boot));
                    message.expect("a run that does not join is over")
                }
                Join::Full => to_seek("too many workers belong to the cluster"),
            };
            self.workers.desk_mut().links.named.remove(&link);
            out.push(ShardEffect::ToWorker { link, message: refused });
        }
    }

    /// A run of a worker is gone: it is told, if it hears.
    pub(super) fn on_parted(
        &mut self,
        run: (WorkerId, BootId),
        how: Presence,
        out: &mut Outbox<ShardEffect>,
    ) {
        if !self.role.in_office || self.workers.desk.is_none() {
            return;
        }
        self.metrics.workers_lost.add(u64::from(how == Presence::Lost));
        let message = match how {
            Presence::Left => ToWorker::Left,
            _ => ToWorker::Lost { boot: run.1 },
        };
        self.say_gone(run, &message, out);
    }

    /// Says it to a run over whatever connections it has, and knows those no more.
    fn say_gone(
        &mut self,
        run: (WorkerId, BootId),
        message: &ToWorker,
        out: &mut Outbox<ShardEffect>,
    ) {
        let Some(desk) = self.workers.desk.as_deref_mut() else { return };
        let is_of_it = |link: &Link| (link.worker, link.boot) == run;
        for (link, _) in desk.links.named.extract_if(.., |_, link| is_of_it(link)) {
            out.push(ShardEffect::ToWorker { link, message: message.clone() });
        }
    }

    /// An operator's wish is in the state: the worker is told, if it hears.
    pub(super) fn on_drained(&self, worker: WorkerId, on: bool, out: &mut Outbox<ShardEffect>) {
        let Some(desk) = self.workers.desk().filter(|_| self.role.in_office) else { return };
        if let Some(link) = desk.dispatcher.peer(worker).and_then(|peer| peer.link) {
            out.push(ShardEffect::ToWorker { link, message: ToWorker::Draining { on } });
        }
    }
}

/// A text of a worker, cut to what the state keeps of it.
fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(NAME_BYTES_MAX));
    text
}

/// The plugins of a worker that tasks can name, by name.
fn known_plugins(plugins: Vec<PluginInfo>) -> Vec<WorkerPlugin> {
    let named = plugins.into_iter().filter(|plugin| flow::is_plugin_name(&plugin.name));
    let mut known: BTreeMap<String, WorkerPlugin> = BTreeMap::new();
    for PluginInfo { name, version, abi } in named.take(PLUGINS_MAX) {
        known.insert(name.clone(), WorkerPlugin { name, version: short(version), abi });
    }
    known.into_values().collect()
}

/// A result that is small enough for the log.
fn bounded(ended: Ended) -> Ended {
    match ended {
        Ended::Output(output) if output.len() > flow::BODY_BYTES_MAX => {
            let (bytes, bytes_max) = (output.len(), flow::BODY_BYTES_MAX);
            Ended::Failed(Failed {
                code: "output_too_large".into(),
                message: format!("the output has {bytes} bytes, the limit is {bytes_max}"),
                retryable: false,
            })
        }
        Ended::Failed(Failed { mut code, mut message, retryable }) => {
            code.truncate(code.floor_char_boundary(flow::ERROR_CODE_BYTES_MAX));
            message.truncate(message.floor_char_boundary(flow::ERROR_MESSAGE_BYTES_MAX));
            Ended::Failed(Failed { code, message, retryable })
        }
        ended @ Ended::Output(_) => ended,
    }
}
