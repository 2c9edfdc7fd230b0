//! The workers of a world: the mind of each ([`WorkerCore`]), what it runs, and its link to whoever leads.
//!
//! What gossip does is done by a look every now and then: a worker is told where the one leads that has the
//! highest term, and coordinators which workers do not answer.
//!
//! | goes wrong | how |
//! | --- | --- |
//! | a worker's process | dies with all it runs; does nothing for a while, and what it runs goes on; leaves in order |
//! | its machine | freezes with all that runs on it, and goes on |
//! | its clock | runs up to a tenth too fast or too slow |
//! | its link | is cut: what is on it is lost, and both ends hear of it later |
//! | a task | fails, or never ends |
//!
//! What must hold, whenever a task begins or ends:
//! - a task runs at one place at once, in true time (SOUNDNESS 19);
//! - a worker runs no more than it has room for;
//! - nothing runs beyond four fifths of a lease, counted by its worker's clock from when that was asked
//!   for which the leader answered.
//!
//! At rest: nothing runs, every result is recorded, each once, as the one who ran it said.

mod troubles;

use crate::machine::Machine;
use crate::marks::{Mark, Marks};
use crate::node::{self, Node};
use base::{Address, BootId, InstanceId, Instant, Outbox, Prng, StoreId, WorkerId};
use engine::OrderId;
use engine::Partition;
use engine::record::{Ended, Failed};
use engine::workers::{
    FromWorker, PluginInfo, ToWorker, Verdict, WorkerConfig, WorkerCore, WorkerEffect, WorkerLink,
};
use flow::TaskIndex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use troubles::TROUBLE_MS;

/// How far a worker's clock may run apart from the true time. Unit: parts per million. A lease leaves a
/// fifth for two of them (SOUNDNESS 19).
const DRIFT_PPM: u64 = 100_000;
/// Between two looks of the gossip.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Until an end of a connection that says nothing more is known at the other end. Unit: milliseconds.
const SILENCE_MS: u64 = 3_000;
/// A worker's runs are so far apart: one that is declared lost goes on as the next.
const BOOTS: u64 = 1 << 20;

/// What workers are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrewConfig {
    /// How many.
    pub workers: usize,
    /// How many tasks each runs at once.
    pub capacity: u32,
    /// Whether anything happens to them.
    pub is_troubled: bool,
}

/// Something that will happen to a worker.
#[derive(Debug)]
pub(crate) enum Event {
    /// Gossip: who leads, and who does not answer.
    Look,
    Trouble,
    /// Its process starts.
    Start(usize),
    /// The mind of this run has a deadline: this one.
    Deadline(usize, u64, Instant),
    /// An attempt to connect ends.
    Dialed(usize, u64, u64),
    /// A message arrives over a connection.
    ToWorker(u64, ToWorker),
    ToNode(u64, FromWorker),
    /// One end of a connection hears that it has ended.
    WorkerHears(usize, u64, u64),
    NodeHears(usize, BootId, u64),
    /// A task ends by itself, or because its end was ordered.
    Ends(usize, u64),
    Killed(usize, u64),
    /// The mind of this run is told what became of an order; nothing where it was stopped.
    Report(usize, u64, OrderId, Option<Ended>),
    /// Whoever keeps the lease looks at what runs.
    Watch(usize, u64),
    /// A machine goes on.
    Thaw(usize),
}

#[derive(Debug)]
struct Task {
    order: OrderId,
    ends: Instant,
    /// None: it never does.
    outcome: Option<Ended>,
}

#[derive(Debug)]
struct Connection {
    worker: usize,
    place: usize,
    node: BootId,
    /// Something on it was lost: nothing comes behind that.
    is_broken: bool,
    /// When the last message to the worker, and to the node, arrives.
    lanes: [Instant; 2],
    /// By the worker's clock.
    registered_at: Option<Instant>,
    renewed_at: BTreeMap<u64, Instant>,
}

#[derive(Debug)]
struct Worker {
    config: WorkerConfig,
    drift_ppm: i64,
    /// Counts its processes.
    run: u64,
    mind: Option<WorkerCore>,
    /// Its process does nothing until then.
    paused: Option<Instant>,
    /// Its machine has stood still since then, until then.
    frozen: Option<(Instant, Instant)>,
    connection: Option<u64>,
    /// By a number that no other has.
    tasks: BTreeMap<u64, Task>,
    /// By its clock: nothing runs beyond this.
    keep: Instant,
    /// The same, as the checker counts it: what was granted, and for how long.
    granted: Option<(Instant, Duration)>,
    due: Option<Instant>,
    is_suspected: bool,
}

/// What the world is to do.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) events: Vec<(Instant, Event)>,
    /// Something happens to the process at a place, if it is this run's.
    pub(crate) nodes: Vec<(usize, BootId, node::Event)>,
}

/// All workers of a world.
#[derive(Debug)]
pub(crate) struct Crew {
    config: CrewConfig,
    prng: Prng,
    workers: Vec<Worker>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    cut: BTreeSet<(usize, usize)>,
    /// What runs now, and where.
    live: BTreeMap<(InstanceId, TaskIndex), usize>,
    /// Every output that was made, and of what.
    made: BTreeMap<u64, OrderId>,
    is_calm: bool,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Worker {
    /// Its clock.
    fn clock(&self, at: Instant) -> Instant {
        let at_ns = i128::from(at.0);
        let shown = at_ns + at_ns * i128::from(self.drift_ppm) / 1_000_000;
        Instant(u64::try_from(shown).expect("a clock runs forward"))
    }

    /// When its clock shows this, at the earliest.
    fn when(&self, shown: Instant) -> Instant {
        let at = i128::from(shown.0) * 1_000_000 / (1_000_000 + i128::from(self.drift_ppm));
        Instant(u64::try_from(at).expect("a clock runs forward") + 2)
    }

    fn idle_until(&self) -> Option<Instant> {
        self.paused.max(self.frozen.map(|(_, until)| until))
    }
}

impl Crew {
    pub(crate) fn new(config: CrewConfig, mut prng: Prng) -> Self {
        let worker = |number| {
            let store = StoreId(prng.next_u64());
            let drift = prng.below(2 * DRIFT_PPM + 1);
            let drift = i64::try_from(drift).expect("small") - DRIFT_PPM.cast_signed();
            let plugin = PluginInfo { name: "check".into(), version: "1.0".into(), abi: 1 };
            Worker {
                config: WorkerConfig {
                    worker: WorkerId::of(store),
                    boot: BootId(0),
                    name: format!("worker-{number}"),
                    address: String::new(),
                    zone: String::new(),
                    capacity: config.capacity,
                    plugins: vec![plugin],
                    seed: prng.next_u64(),
                },
                drift_ppm: if config.is_troubled { drift } else { 0 },
                run: 0,
                mind: None,
                paused: None,
                frozen: None,
                connection: None,
                tasks: BTreeMap::new(),
                keep: Instant(0),
                granted: None,
                due: None,
                is_suspected: false,
            }
        };
        Self {
            workers: (1..=config.workers).map(worker).collect(),
            config,
            prng,
            connections: BTreeMap::new(),
            next: 1,
            cut: BTreeSet::new(),
            live: BTreeMap::new(),
            made: BTreeMap::new(),
            is_calm: false,
        }
    }

    /// The world begins.
    pub(crate) fn begin(&mut self, now: Instant, out: &mut Orders) {
        if self.workers.is_empty() {
            return;
        }
        out.events.push((now, Event::Look));
        if self.config.is_troubled {
            out.events.push((now + ms(TROUBLE_MS), Event::Trouble));
        }
        for at in 0..self.workers.len() {
            out.events.push((now + ms(self.prng.below(500)), Event::Start(at)));
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm(&mut self) {
        self.is_calm = true;
        self.cut.clear();
    }

    /// Whether nothing is to be done: all are there, run nothing, and have told everything.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.workers.iter().all(|worker| {
            let is_still =
                |mind: &WorkerCore| mind.is_registered() && mind.running() == 0 && mind.kept() == 0;
            worker.tasks.is_empty() && worker.mind.as_ref().is_some_and(is_still)
        })
    }

    /// What still goes on.
    pub(crate) fn unrest(&self) -> String {
        let shown = |worker: &Worker| match &worker.mind {
            None => format!("; {} is down", worker.config.name),
            Some(mind) => format!(
                "; {} run {}: registered {}, {} run, {} wait to be recorded",
                worker.config.name,
                mind.boot(),
                mind.is_registered(),
                mind.running(),
                mind.kept()
            ),
        };
        self.workers.iter().map(shown).collect()
    }

    /// What tasks of plugins are recorded to have put out was made for these very tasks.
    pub(crate) fn check_outputs(&self, node: &Node) -> Result<(), String> {
        for json in node.partitions().flat_map(Partition::instances) {
            let shown: Value = serde_json::from_slice(&json)
                .map_err(|error| format!("an instance is no JSON: {error}"))?;
            let instance = shown["instance"].as_str().unwrap_or_default();
            for (task, place) in shown["tasks"].as_array().into_iter().flatten().zip(0..) {
                let Some(number) = task["output"]["made"].as_u64() else { continue };
                let is_its = |order: &OrderId| {
                    order.instance.to_string() == instance && order.task.index() == place
                };
                if !self.made.get(&number).is_some_and(is_its) {
                    return Err(format!("task {place} has output {number} of another: {shown}"));
                }
            }
        }
        Ok(())
    }

    /// A coordinator's process has ended, alone or with its machine.
    pub(crate) fn on_node_end(
        &mut self,
        now: Instant,
        place: usize,
        is_powered: bool,
        out: &mut Orders,
    ) {
        let gone: Vec<u64> = (self.connections.iter())
            .filter(|(_, connection)| connection.place == place)
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            let connection = self.connections.remove(&number).expect("it was listed");
            let later = ms(self.prng.below(if is_powered { 2 } else { SILENCE_MS }));
            let run = self.workers[connection.worker].run;
            out.events.push((now + later, Event::WorkerHears(connection.worker, run, number)));
        }
    }

    /// A coordinator says something to a worker.
    pub(crate) fn on_told(
        &mut self,
        now: Instant,
        link: WorkerLink,
        message: ToWorker,
        out: &mut Orders,
    ) {
        let delay = self.delay();
        let Some(connection) = self.connections.get_mut(&link.0) else { return };
        connection.lanes[0] = connection.lanes[0].max(now + delay);
        out.events.push((connection.lanes[0], Event::ToWorker(link.0, message)));
    }

    fn delay(&mut self) -> Duration {
        let most = if self.prng.chance(1, 50) { 50_000 } else { 500 };
        Duration::from_micros(1 + self.prng.below(most))
    }

    /// Something happens.
    pub(crate) fn on_event(
        &mut self,
        now: Instant,
        event: Event,
        machines: &[Machine],
        marks: &mut Marks,
        out: &mut Orders,
    ) -> Result<(), String> {
        match event {
            Event::Look => self.look(now, machines, out)?,
            Event::Trouble => self.make_trouble(now, machines, marks, out)?,
            Event::Start(at) => self.start(now, at, out),
            Event::ToNode(number, message) => self.arrives_at_node(now, number, message, out),
            Event::NodeHears(place, boot, number) => {
                let event = node::Event::WorkerGone(WorkerLink(number));
                out.nodes.push((place, boot, event));
            }
            Event::Ends(at, number) => {
                if let Some(task) = self.workers[at].tasks.get(&number) {
                    // A machine that stood still has not come to it, and comes to it later.
                    if task.ends <= now && self.workers[at].frozen.is_none() {
                        let task = self.remove(now, at, number)?.expect("it was there");
                        self.report(now, at, task.order, task.outcome, out);
                    }
                }
            }
            Event::Killed(at, number) => {
                if let Some((_, until)) = self.workers[at].frozen {
                    out.events.push((until, Event::Killed(at, number)));
                } else if let Some(task) = self.remove(now, at, number)? {
                    self.report(now, at, task.order, None, out);
                }
            }
            Event::Watch(at, run) => {
                if self.workers[at].run == run {
                    self.watch(now, at, out)?;
                }
            }
            Event::Thaw(at) => self.thaw(now, at, out)?,
            event => self.on_mind(now, event, machines, marks, out)?,
        }
        Ok(())
    }

    /// Something that a worker's process sees: later, where it does nothing now.
    fn on_mind(
        &mut self,
        now: Instant,
        event: Event,
        machines: &[Machine],
        marks: &mut Marks,
        out: &mut Orders,
    ) -> Result<(), String> {
        let at = match &event {
            Event::Deadline(at, run, _)
            | Event::Dialed(at, run, _)
            | Event::WorkerHears(at, run, _)
            | Event::Report(at, run, ..) => (self.workers[*at].run == *run).then_some(*at),
            Event::ToWorker(number, _) => self.connections.get(number).map(|it| it.worker),
            other => unreachable!("{other:?} is not for a mind"),
        };
        let Some(at) = at else { return Ok(()) };
        let worker = &mut self.workers[at];
        if let Some(until) = worker.idle_until().filter(|until| *until > now) {
            out.events.push((until, event));
            return Ok(());
        }
        worker.paused = None;
        let shown = worker.clock(now);
        let mut effects = Outbox::new();
        let Some(mind) = &mut worker.mind else { return Ok(()) };
        match event {
            Event::Deadline(_, _, due) => {
                if worker.due != Some(due) {
                    // An earlier one took its place.
                    return Ok(());
                }
                worker.due = None;
                if mind.deadline().is_some_and(|due| due <= shown) {
                    mind.on_deadline(shown, &mut effects);
                }
            }
            Event::Dialed(_, _, number) => {
                if self.is_open(number, machines) {
                    self.mind(at).on_link_up(shown, &mut effects);
                } else if self.workers[at].connection == Some(number) {
                    self.connections.remove(&number);
                    self.workers[at].connection = None;
                    self.mind(at).on_link_down(shown, "refused", &mut effects);
                }
            }
            Event::WorkerHears(_, _, number) => {
                if worker.connection == Some(number) {
                    worker.connection = None;
                    self.connections.remove(&number);
                    mind.on_link_down(shown, "reset", &mut effects);
                }
            }
            Event::Report(_, _, order, ended) => match ended {
                Some(ended) => mind.on_task_ended(shown, order, ended, &mut effects),
                None => mind.on_task_stopped(shown, order, &mut effects),
            },
            Event::ToWorker(number, message) => {
                if worker.connection != Some(number) || self.is_lost(now, number, out) {
                    return Ok(());
                }
                self.note_grant(at, number, &message, marks);
                self.mind(at).on_message(shown, message, &mut effects);
            }
            other => unreachable!("{other:?} is not for a mind"),
        }
        self.carry_out(now, at, effects, machines, marks, out)
    }

    fn mind(&mut self, at: usize) -> &mut WorkerCore {
        self.workers[at].mind.as_mut().expect("its process runs")
    }

    /// What the leader grants, as the checker counts it.
    fn note_grant(&mut self, at: usize, number: u64, message: &ToWorker, marks: &mut Marks) {
        let connection = &self.connections[&number];
        let worker = &mut self.workers[at];
        let asked = match message {
            ToWorker::Registered { lease_ms, boot } => {
                if worker.mind.as_ref().is_some_and(|mind| mind.boot() != *boot) {
                    return;
                }
                let asked = connection.registered_at;
                asked.map(|asked| (asked, ms((*lease_ms).into())))
            }
            ToWorker::Renewed { number } => {
                let length = worker.granted.map_or(Duration::ZERO, |(_, length)| length);
                connection.renewed_at.get(number).map(|asked| (*asked, length))
            }
            ToWorker::Lost { .. } => {
                marks.reach(Mark::WorkerLost);
                return;
            }
            _ => return,
        };
        worker.granted = worker.granted.max(asked);
    }

    fn start(&mut self, now: Instant, at: usize, out: &mut Orders) {
        let worker = &mut self.workers[at];
        if worker.mind.is_some() {
            return;
        }
        worker.run += 1;
        worker.config.boot = BootId(worker.run * BOOTS);
        (worker.paused, worker.frozen, worker.due) = (None, None, None);
        (worker.keep, worker.granted, worker.connection) = (Instant(0), None, None);
        worker.mind = Some(WorkerCore::new(worker.config.clone()));
        self.plan(now, at, out);
    }

    /// The process ends, and with it all that it runs; its connection is reset.
    fn end(&mut self, now: Instant, at: usize, out: &mut Orders) -> Result<(), String> {
        for number in self.workers[at].tasks.keys().copied().collect::<Vec<_>>() {
            self.remove(now, at, number)?;
        }
        self.workers[at].mind = None;
        if let Some(number) = self.workers[at].connection.take() {
            self.disconnect(now, number, 2, out);
        }
        out.events.push((now + ms(self.prng.below(2_000)), Event::Start(at)));
        Ok(())
    }

    // -- links --------------------------------------------------------------------------------

    fn is_open(&self, number: u64, machines: &[Machine]) -> bool {
        self.connections.get(&number).is_some_and(|connection| {
            let machine = &machines[connection.place];
            machine.is_up()
                && machine.boot == connection.node
                && !self.cut.contains(&(connection.worker, connection.place))
        })
    }

    fn connect(
        &mut self,
        now: Instant,
        at: usize,
        door: &Address,
        machines: &[Machine],
        out: &mut Orders,
    ) {
        let number = self.next();
        let place = machines.iter().position(|machine| machine.address == *door);
        let place = place.expect("doors are machines'");
        let node = machines[place].boot;
        let lanes = [now; 2];
        let (registered_at, renewed_at) = (None, BTreeMap::new());
        let connection = Connection {
            worker: at,
            place,
            node,
            is_broken: false,
            lanes,
            registered_at,
            renewed_at,
        };
        self.connections.insert(number, connection);
        self.workers[at].connection = Some(number);
        let later = ms(1 + self.prng.below(5));
        out.events.push((now + later, Event::Dialed(at, self.workers[at].run, number)));
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The worker's end is gone; the node hears of it within so many milliseconds.
    fn disconnect(&mut self, now: Instant, number: u64, within: u64, out: &mut Orders) {
        let Some(connection) = self.connections.remove(&number) else { return };
        // Behind what is on its way already.
        let at = connection.lanes[1].max(now + ms(self.prng.below(within)));
        out.events.push((at, Event::NodeHears(connection.place, connection.node, number)));
    }

    /// Whether what arrives over a connection is lost: then both ends will hear that it has ended.
    fn is_lost(&mut self, now: Instant, number: u64, out: &mut Orders) -> bool {
        let connection = self.connections.get_mut(&number).expect("it was just there");
        let (worker, place) = (connection.worker, connection.place);
        if !connection.is_broken && self.cut.contains(&(worker, place)) {
            connection.is_broken = true;
            let node = connection.node;
            let run = self.workers[worker].run;
            let [one, other] = [(); 2].map(|()| now + ms(self.prng.below(SILENCE_MS)));
            out.events.push((one, Event::WorkerHears(worker, run, number)));
            out.events.push((other, Event::NodeHears(place, node, number)));
        }
        self.connections[&number].is_broken
    }

    fn arrives_at_node(
        &mut self,
        now: Instant,
        number: u64,
        message: FromWorker,
        out: &mut Orders,
    ) {
        if self.connections.contains_key(&number) && !self.is_lost(now, number, out) {
            let Connection { place, node, .. } = &self.connections[&number];
            let event = node::Event::Worker(WorkerLink(number), Box::new(message));
            out.nodes.push((*place, *node, event));
        }
    }

    fn send(&mut self, now: Instant, at: usize, message: FromWorker, out: &mut Orders) {
        let delay = self.delay();
        let shown = self.workers[at].clock(now);
        let Some(number) = self.workers[at].connection else { return };
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match &message {
            FromWorker::Register { .. } => connection.registered_at = Some(shown),
            FromWorker::Renew { number, .. } => {
                connection.renewed_at.insert(*number, shown);
            }
            _ => {}
        }
        connection.lanes[1] = connection.lanes[1].max(now + delay);
        out.events.push((connection.lanes[1], Event::ToNode(number, message)));
    }

    /// What gossip knows.
    fn look(&mut self, now: Instant, machines: &[Machine], out: &mut Orders) -> Result<(), String> {
        out.events.push((now + LOOK_EVERY, Event::Look));
        let leaders = machines.iter().filter_map(|machine| {
            let status = machine.node.as_ref()?.status();
            status.leading.then_some((status.term, &machine.address))
        });
        let door = leaders.max_by_key(|(term, _)| *term).map(|(_, address)| address.clone());
        for at in 0..self.workers.len() {
            let worker = &mut self.workers[at];
            let is_idle = worker.idle_until().is_some_and(|until| until > now);
            let is_suspected = worker.mind.is_none() || is_idle;
            if std::mem::replace(&mut worker.is_suspected, is_suspected) != is_suspected {
                for (place, machine) in machines.iter().enumerate() {
                    let name = worker.config.worker;
                    let event = node::Event::WorkerSuspected(name, is_suspected);
                    out.nodes.push((place, machine.boot, event));
                }
            }
            if is_suspected || self.prng.chance(1, 3) {
                continue;
            }
            let shown = self.workers[at].clock(now);
            let mut effects = Outbox::new();
            self.mind(at).on_leader(shown, door.as_ref(), &mut effects);
            self.carry_out(now, at, effects, machines, &mut Marks::default(), out)?;
        }
        Ok(())
    }

    // -- tasks --------------------------------------------------------------------------------

    fn carry_out(
        &mut self,
        now: Instant,
        at: usize,
        mut effects: Outbox<WorkerEffect>,
        machines: &[Machine],
        marks: &mut Marks,
        out: &mut Orders,
    ) -> Result<(), String> {
        for effect in effects.take() {
            match effect {
                WorkerEffect::Connect { address } => self.connect(now, at, &address, machines, out),
                WorkerEffect::Disconnect => {
                    if let Some(number) = self.workers[at].connection.take() {
                        self.disconnect(now, number, 2, out);
                    }
                }
                WorkerEffect::Send(message) => self.send(now, at, message, out),
                WorkerEffect::Run(run) => self.run(now, at, run.order, marks, out)?,
                WorkerEffect::Stop { order } => {
                    let found = self.workers[at].tasks.iter().find(|(_, task)| task.order == order);
                    if let Some((number, _)) = found {
                        let number = *number;
                        let later = ms(self.prng.below(50));
                        out.events.push((now + later, Event::Killed(at, number)));
                    }
                }
                WorkerEffect::KillAll => {
                    marks.reach(Mark::WorkerKilledAll);
                    for number in self.workers[at].tasks.keys().copied().collect::<Vec<_>>() {
                        let later = ms(self.prng.below(10));
                        out.events.push((now + later, Event::Killed(at, number)));
                    }
                }
                WorkerEffect::Keep { until } => {
                    let worker = &mut self.workers[at];
                    worker.keep = until;
                    out.events.push((worker.when(until), Event::Watch(at, worker.run)));
                }
                WorkerEffect::Validate { ticket, .. } => {
                    let mut effects = Outbox::new();
                    self.mind(at).on_validated(ticket, Verdict::Valid, &mut effects);
                    self.carry_out(now, at, effects, machines, marks, out)?;
                }
                WorkerEffect::Exit { left } => {
                    marks.reach_if(Mark::WorkerLeft, u64::from(left));
                    return self.end(now, at, out);
                }
                WorkerEffect::Note(_) | WorkerEffect::Notice(_) => {}
            }
        }
        self.plan(now, at, out);
        Ok(())
    }

    /// The mind's next deadline.
    fn plan(&mut self, now: Instant, at: usize, out: &mut Orders) {
        let worker = &mut self.workers[at];
        let Some(due) = worker.mind.as_ref().and_then(WorkerCore::deadline) else { return };
        let due = worker.when(due).max(now);
        if worker.due.is_none_or(|known| due < known) {
            worker.due = Some(due);
            out.events.push((due, Event::Deadline(at, worker.run, due)));
        }
    }

    fn run(
        &mut self,
        now: Instant,
        at: usize,
        order: OrderId,
        marks: &mut Marks,
        out: &mut Orders,
    ) -> Result<(), String> {
        let number = self.next();
        let name = &self.workers[at].config.name;
        if let Some(other) = self.live.insert((order.instance, order.task), at) {
            let other = &self.workers[other].config.name;
            return Err(format!("{name} begins {order:?}, and {other} runs that task still"));
        }
        let running = self.workers[at].tasks.len() + 1;
        if running > self.config.capacity as usize {
            return Err(format!("{name} runs {running} tasks, and has room for fewer"));
        }
        marks.reach(Mark::TaskRun);
        marks.reach_if(Mark::TaskRunAgain, u64::from(order.attempt > 1));
        let takes = match self.prng.below(20) {
            0 => 3_000,
            1..4 => 600,
            _ => 60,
        };
        let ends = now + ms(1 + self.prng.below(takes));
        let outcome = match self.prng.below(20) {
            0 => None,
            1 => Some(failed("plugin_failed", true)),
            2 => Some(failed("plugin_failed", false)),
            _ => {
                self.made.insert(number, order);
                Some(Ended::Output(format!("{{\"made\":{number}}}").into_bytes()))
            }
        };
        if outcome.is_some() {
            out.events.push((ends, Event::Ends(at, number)));
        }
        self.workers[at].tasks.insert(number, Task { order, ends, outcome });
        self.check_lease(now, at)
    }

    /// A task runs no longer.
    fn remove(&mut self, now: Instant, at: usize, number: u64) -> Result<Option<Task>, String> {
        let Some(task) = self.workers[at].tasks.remove(&number) else { return Ok(None) };
        // What a machine that stands still holds does not run.
        if self.workers[at].frozen.is_none() {
            self.live.remove(&(task.order.instance, task.order.task));
            self.check_lease(now, at)?;
        }
        Ok(Some(task))
    }

    /// Something ran until now.
    fn check_lease(&self, now: Instant, at: usize) -> Result<(), String> {
        let worker = &self.workers[at];
        let shown = worker.clock(now);
        // A clock's rounding.
        let most = worker.granted.map(|(asked, length)| asked + length * 4 / 5 + ms(1));
        if most.is_none_or(|most| shown > most) {
            let name = &worker.config.name;
            return Err(format!("{name} runs a task at {shown:?}, its lease ended at {most:?}"));
        }
        Ok(())
    }

    fn report(
        &mut self,
        now: Instant,
        at: usize,
        order: OrderId,
        ended: Option<Ended>,
        out: &mut Orders,
    ) {
        out.events.push((now, Event::Report(at, self.workers[at].run, order, ended)));
    }

    /// Nothing runs beyond the lease, whether or not the process does anything.
    fn watch(&mut self, now: Instant, at: usize, out: &mut Orders) -> Result<(), String> {
        let worker = &self.workers[at];
        if worker.frozen.is_some() || worker.clock(now) < worker.keep {
            return Ok(());
        }
        for number in worker.tasks.keys().copied().collect::<Vec<_>>() {
            if let Some(task) = self.remove(now, at, number)? {
                self.report(now, at, task.order, None, out);
            }
        }
        Ok(())
    }
}

fn failed(code: &str, retryable: bool) -> Ended {
    Ended::Failed(Failed { code: code.into(), message: "as the world wishes".into(), retryable })
}
