//! The world: several machines, their clients, and one virtual time.
//!
//! One heap holds everything that will happen; a step takes the first of it, or the first deadline
//! of a mind. Whatever a step orders gets its own time and goes into the heap again.

use crate::catalogue::{CatalogueUser, Changing};
use crate::checker::{self, Checker};
use crate::clients::{Clients, Produced};
use crate::faults::{DiskFaults, Faults, Trouble};
use crate::keyed;
use crate::machine::Machine;
use crate::marks::{Mark, Marks};
use crate::network::{self, Delivery, Network, Under, Weather};
use crate::node::{Event, Node, NodeConfig, Said, Schedule};
use crate::reads::Readers;
use api::{Method, Request};
use base::{BootId, CoreId, Instant, NodeId, Prng};
use engine::message::Committed;
use engine::peer::PeerMessage;
use engine::{Member, Membership, Origin, RequestId, ShardCore, Submission};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::time::Duration;

/// Once nothing goes wrong any more, rest is reached within so much virtual time, or something is
/// stuck. Nothing takes longer than an election, a snapshot that is sent and the workflows' retries,
/// one after the other.
const REST_MAX: Duration = Duration::from_mins(2);
/// How often producers send again, once nothing goes wrong any more.
const SEND_AGAIN_MAX: u32 = 5;
/// Events at one instant; more are a loop.
const EVENTS_AT_ONCE_MAX: u32 = 10_000;
/// Events of one run; more are messages or work that breed more of their kind.
const EVENTS_MAX: u64 = 20_000_000;
/// Until a node that starts serves: a new segment, the catalogue's birth, or the term's first entry.
const COME_UP: Duration = Duration::from_secs(3);
/// What clients send at first is under way for about so long. Unit: nanoseconds.
const EARLY_NS: u64 = 30_000_000;
/// A stop in order takes so long at most; then the process is killed.
const STOP_MAX: Duration = Duration::from_secs(2);
/// A process that does nothing for longer than this has missed an election. Unit: milliseconds.
const LONG_PAUSE_MS: u64 = 300;

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages answered 202.
    pub acknowledged: u64,
    /// Repeats of a key that were told the first answer.
    pub duplicates: u64,
    /// Numbers of producers that had come before, and were told their first answer.
    pub repeated: u64,
    /// Reads that found their message.
    pub reads: u64,
    /// Requests without an answer, because a process was gone.
    pub unanswered: u64,
    /// Instances that ended.
    pub instances: u64,
    /// Those of them that have a key.
    pub keyed_instances: u64,
    /// Actions with a key.
    pub keyed_starts: u64,
    /// Power cuts.
    pub crashes: u32,
    /// Requests refused.
    pub refused: u64,
    /// Times a disk became full.
    pub full_disks: u32,
    /// Snapshots a start began from.
    pub snapshot_starts: u32,
    /// Changes of the catalogue that were asked for.
    pub catalogue_changes: u64,
    /// Steps.
    pub events: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// From the end of all troubles to rest: the longest.
    pub to_rest: Duration,
    /// Rare branches that were reached.
    pub marks: Marks,
    /// A number that only the same run gives.
    pub digest: u64,
}

impl Report {
    /// Adds another run's; a number that only one run gives is lost.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.duplicates += other.duplicates;
        self.repeated += other.repeated;
        self.reads += other.reads;
        self.to_rest = self.to_rest.max(other.to_rest);
        self.unanswered += other.unanswered;
        self.instances += other.instances;
        self.keyed_instances += other.keyed_instances;
        self.keyed_starts += other.keyed_starts;
        self.crashes += other.crashes;
        self.refused += other.refused;
        self.full_disks += other.full_disks;
        self.snapshot_starts += other.snapshot_starts;
        self.catalogue_changes += other.catalogue_changes;
        self.events += other.events;
        self.virtual_time += other.virtual_time;
        self.marks.add(&other.marks);
        self.digest = 0;
    }
}

/// A catalogue's version, and its rules by id, each with its version.
pub type CatalogueAt = (u64, Vec<(String, u64)>);

/// What may happen to a machine.
#[derive(Debug)]
enum Happening {
    /// Something that its process began.
    Process(BootId, Event),
    /// Its process starts, if it does not run.
    Start,
    /// The process of this run ends: an orderly stop has taken too long.
    Kill(BootId),
    /// Something is under way between machines.
    Network(Delivery<PeerMessage>),
}

#[derive(Debug)]
struct Timed {
    at: Instant,
    /// Events of one time happen in the order in which they were scheduled.
    order: u64,
    place: usize,
    happening: Happening,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A world of machines.
pub struct World {
    faults: Faults,
    machines: Vec<Machine>,
    /// The group's first members.
    founded: Membership,
    network: Network,
    instant: Instant,
    heap: BinaryHeap<Reverse<Timed>>,
    next_order: u64,
    at_once: u32,
    crashes: Prng,
    troubles: Prng,
    next_trouble: Instant,
    disks: Prng,
    clients: Clients,
    readers: Readers,
    catalogue: CatalogueUser,
    checker: Checker,
    report: Report,
}

impl World {
    /// A world of one node that `seed` decides.
    pub fn new(seed: u64, config: NodeConfig, faults: Faults) -> Self {
        Self::group(seed, vec![config], faults)
    }

    /// A world of one group of nodes that `seed` decides.
    pub fn group(seed: u64, configs: Vec<NodeConfig>, faults: Faults) -> Self {
        let mut seeds = Prng::new(seed);
        let machines = (configs.into_iter().zip(1..)).map(|(config, name)| {
            let prng = seeds.fork(&format!("machine {name}"));
            Machine::new(NodeId(name), config, faults.clocks, prng)
        });
        let machines: Vec<Machine> = machines.collect();
        let member =
            |machine: &Machine| (machine.name, Member { store: machine.store, address: None });
        let founded = Membership::founded(machines.iter().map(member)).expect("a group's size");
        Self {
            network: Network::new(machines.len(), faults.weather, seeds.fork("network")),
            founded,
            machines,
            crashes: seeds.fork("crashes"),
            troubles: seeds.fork("troubles"),
            disks: seeds.fork("disks"),
            clients: Clients::new(seeds.fork("clients"), seeds.fork("producers")),
            readers: Readers::new(seeds.fork("readers")),
            catalogue: CatalogueUser::new(seeds.fork("catalogue")),
            faults,
            instant: Instant(1),
            heap: BinaryHeap::new(),
            next_order: 0,
            at_once: 0,
            next_trouble: Instant(1),
            checker: Checker::default(),
            report: Report::default(),
        }
    }

    /// Runs to the end. The error names what was violated.
    pub fn run(mut self) -> Result<Report, String> {
        self.start_all()?;
        for _ in 0..self.faults.crashes {
            let within = u64::try_from(self.faults.crash_within.as_nanos()).unwrap_or(u64::MAX);
            // Half of the cuts come while the first messages are on their way.
            let within = if self.crashes.chance(1, 2) { within.min(EARLY_NS) } else { within };
            let until = self.instant + Duration::from_nanos(self.crashes.below(within) + 1);
            let share = self.faults.messages / u64::from(self.faults.crashes + 1);
            self.live(until, share)?;
            self.cut_power();
            let until = self.instant + Duration::from_millis(self.crashes.below(2_000));
            self.pass(until, |_| Ok(()))?;
            self.start_all()?;
        }
        let last = self.faults.messages.saturating_sub(self.clients.next_nonce - 1).max(10);
        let until = self.instant + Duration::from_secs(1);
        self.live(until, last)?;
        self.rest()?;
        self.send_what_is_left()?;
        for machine in &self.machines {
            checker::check_acknowledged(machine.running(), &self.clients)?;
            self.report.instances = checker::check_instances(machine.running())?;
            let keyed::Seen { instances, asked } = keyed::check(machine.running().shards())?;
            self.report.keyed_instances = instances;
            self.report.keyed_starts = asked;
            self.checker.on_rest(machine.running())?;
        }
        self.report.virtual_time = self.instant.since(Instant(1));
        self.report.acknowledged = self.clients.acknowledged.len() as u64;
        self.report.duplicates = self.clients.duplicates;
        self.report.repeated = self.clients.repeated;
        self.report.refused = self.clients.refused;
        self.report.reads = self.readers.found;
        self.report.marks.reach_if(Mark::KeyRepeated, self.clients.duplicates);
        self.report.marks.reach_if(Mark::NumberRepeated, self.clients.repeated);
        self.report.marks.reach_if(Mark::Refused, self.clients.refused);
        self.report.digest = self.digest();
        Ok(self.report)
    }

    /// Runs without faults and returns the log: for those who apply it in other ways.
    pub fn log(mut self) -> Result<(Vec<Committed>, NodeConfig), String> {
        let node = self.logged()?;
        Ok((node.committed, self.machines.swap_remove(0).config))
    }

    /// Runs without faults and returns the log, and of each core the catalogue's version and its
    /// rules with their versions.
    pub fn log_and_rules(mut self) -> Result<(Vec<Committed>, Vec<CatalogueAt>), String> {
        let node = self.logged()?;
        let of = |shard: &ShardCore| {
            let globals = shard.globals();
            let rules = globals.catalogue.rules.values().map(|stored| &stored.rule);
            let rules = rules.map(|rule| (rule.id.clone(), u64::from(rule.version))).collect();
            (globals.catalogue.version, rules)
        };
        let catalogues = node.shards().iter().map(of).collect();
        Ok((node.committed, catalogues))
    }

    fn logged(&mut self) -> Result<Node, String> {
        self.start_all()?;
        let until = self.instant + Duration::from_secs(2);
        let messages = self.faults.messages;
        self.live(until, messages)?;
        self.rest()?;
        Ok(self.machines[0].node.take().expect("the node runs"))
    }

    // -- processes ----------------------------------------------------------------------------

    /// Starts what is down, and waits until it serves.
    fn start_all(&mut self) -> Result<(), String> {
        let down = (0..self.machines.len()).filter(|place| !self.machines[*place].is_up());
        let down: Vec<usize> = down.collect();
        if down.is_empty() {
            return Ok(());
        }
        for place in down {
            self.start(place)?;
        }
        let slowest = self.machines.iter().map(|machine| machine.slowness).max().unwrap_or(1);
        let until = self.instant + COME_UP * u32::try_from(slowest).expect("a small factor");
        self.pass(until, |_| Ok(()))?;
        // What several nodes have, one alone may not have yet.
        if let [alone] = &self.machines[..]
            && let Some(node) = &alone.node
        {
            checker::check_acknowledged(node, &self.clients)?;
        }
        Ok(())
    }

    fn start(&mut self, place: usize) -> Result<(), String> {
        if self.disks.chance(self.faults.disks.read_errors, 1_000) {
            // The process ends with the reason, and whoever keeps it running starts it again.
            self.report.marks.reach(Mark::StartUnreadable);
            self.start_later(place);
            return Ok(());
        }
        self.machines[place].disk.read_errors = self.faults.disks.read_errors;
        if self.machines[place].disk.snapshot().is_some() {
            self.report.snapshot_starts += 1;
            self.report.marks.reach(Mark::StartFromSnapshot);
        }
        self.checker.on_start(place);
        let (instant, founded) = (self.instant, self.founded.clone());
        self.with(place, |machine, schedule| machine.start(instant, &founded, schedule))??;
        self.net(|network, now, out| network.on_start(now, place, out));
        Ok(())
    }

    /// Does something with the network, and puts what is under way then into the heap.
    fn net<T>(
        &mut self,
        act: impl FnOnce(&mut Network, Instant, &mut Under<PeerMessage>) -> T,
    ) -> T {
        let mut under = Under::new();
        let done = act(&mut self.network, self.instant, &mut under);
        for (at, delivery) in under {
            // The network is nobody's place: its own events never wait for a process.
            self.put(at, 0, Happening::Network(delivery));
        }
        done
    }

    /// The power fails: of one machine, or of all.
    fn cut_power(&mut self) {
        let count = self.machines.len() as u64;
        let one = usize::try_from(self.crashes.below(count)).expect("few");
        let is_all = self.crashes.chance(1, 3);
        for place in 0..self.machines.len() {
            if is_all || place == one {
                self.end(place, false);
                let machine = &mut self.machines[place];
                // Whoever starts a node again sees to its disk first.
                machine.disk.capacity = None;
                let is_lost = machine.disk.crash(&mut self.crashes.fork("disk"));
                self.report.marks.reach_if(Mark::SectorsLost, u64::from(is_lost));
            }
        }
        self.report.crashes += 1;
    }

    /// A process ends, alone or with its machine.
    fn end(&mut self, place: usize, is_powered: bool) {
        if self.machines[place].is_up() {
            self.net(|network, now, out| network.on_end(now, place, is_powered, out));
        }
        self.machines[place].end();
        self.readers.on_lost(place);
        let lost = self.clients.on_lost(place);
        self.report.unanswered += lost;
        self.report.marks.reach_if(Mark::CutUnderLoad, u64::from(lost > 0));
    }

    fn make_trouble(&mut self) {
        let within = u64::try_from(self.faults.trouble_within.as_nanos()).unwrap_or(u64::MAX);
        let pause = Duration::from_nanos(self.troubles.below(within.max(1)));
        self.next_trouble = self.instant + pause;
        let Some(trouble) = self.faults.next_trouble(&mut self.troubles) else { return };
        let count = self.machines.len() as u64;
        let place = usize::try_from(self.troubles.below(count)).expect("few");
        let machine = &mut self.machines[place];
        match trouble {
            Trouble::Pause if machine.is_answering(self.instant) => {
                let most = if self.troubles.chance(1, 4) { 10 * LONG_PAUSE_MS } else { 50 };
                let ms = self.troubles.below(most);
                machine.paused_until = Some(self.instant + Duration::from_millis(ms));
                self.report.marks.reach_if(Mark::LongPause, u64::from(ms > LONG_PAUSE_MS));
            }
            Trouble::ClockJump => {
                let before = machine.clock.now(self.instant).wall;
                machine.clock.jump(self.faults.clocks, &mut self.troubles);
                let is_back = machine.clock.now(self.instant).wall < before;
                self.report.marks.reach_if(Mark::ClockBack, u64::from(is_back));
            }
            Trouble::Kill if machine.is_up() => {
                let is_unsynced = machine.disk.has_unsynced();
                self.report.marks.reach_if(Mark::KilledWithUnsynced, u64::from(is_unsynced));
                self.end(place, true);
                self.start_later(place);
            }
            Trouble::Stop if machine.is_up() => {
                machine.node.as_mut().expect("it is up").on_stop();
                let boot = machine.boot;
                self.put(self.instant + STOP_MAX, place, Happening::Kill(boot));
            }
            Trouble::Slow => {
                machine.slowness = 1 + self.troubles.below(self.faults.slowness_max.max(1));
                let slowness = self.faults.disks.slowness_max.max(1);
                machine.disk_slowness = 1 + self.troubles.below(slowness);
            }
            Trouble::Pause | Trouble::Kill | Trouble::Stop => {}
            trouble => self.make_network_trouble(trouble, place),
        }
    }

    /// Whoever keeps the process running starts it again.
    fn start_later(&mut self, place: usize) {
        let at = self.instant + Duration::from_millis(self.troubles.below(500));
        self.put(at, place, Happening::Start);
    }

    fn make_network_trouble(&mut self, trouble: Trouble, place: usize) {
        let count = self.machines.len();
        let other = usize::try_from(self.troubles.below(count as u64)).expect("few");
        if count < 2 || (other == place && trouble != Trouble::Heal) {
            return;
        }
        match trouble {
            Trouble::Part if self.troubles.chance(1, 2) && count > 2 => {
                self.net(|network, now, out| network.part(now, &[place, other], out));
            }
            Trouble::Part => self.net(|network, now, out| network.part(now, &[place], out)),
            Trouble::IsolateLeader => {
                let leads = |machine: &Machine| {
                    machine.node.as_ref().is_some_and(|node| node.status().leading)
                };
                if let Some(leader) = self.machines.iter().position(leads) {
                    self.net(|network, now, out| network.part(now, &[leader], out));
                }
            }
            Trouble::CutOneWay => {
                self.net(|network, now, out| network.cut(now, place, other, out));
            }
            Trouble::Clog => {
                let ms = self.troubles.below(1_000);
                self.network.clog(place, other, self.instant + Duration::from_millis(ms));
            }
            Trouble::Reset => {
                self.net(|network, now, out| network.reset(now, place, other, out));
            }
            Trouble::Heal => self.network.heal(),
            Trouble::Pause | Trouble::ClockJump | Trouble::Kill | Trouble::Stop | Trouble::Slow => {
                unreachable!("{trouble:?} is a machine's")
            }
        }
    }

    // -- time ---------------------------------------------------------------------------------

    /// Clients send until their share or the time is used up, while things go wrong.
    fn live(&mut self, until: Instant, messages: u64) -> Result<(), String> {
        let last = self.clients.next_nonce + messages;
        self.pass(until, |world| {
            while world.clients.next_nonce < last && world.clients.prng.chance(1, 3) {
                world.send()?;
            }
            if world.faults.read_odds > 0 && world.readers.prng.chance(1, world.faults.read_odds) {
                world.read()?;
            }
            let odds = world.faults.catalogue_change_odds;
            // Only while messages come: changes of an idle node show little, and take long.
            let is_fed = world.clients.next_nonce < last;
            if odds > 0 && is_fed && world.clients.prng.chance(1, odds) {
                world.change_catalogue()?;
            }
            world.fill_disk();
            if world.next_trouble <= world.instant {
                world.make_trouble();
            }
            Ok(())
        })
    }

    /// Full for long enough to use up the segments at hand, then somebody makes room.
    fn fill_disk(&mut self) {
        if !self.faults.full_disk {
            return;
        }
        let place = usize::try_from(self.crashes.below(self.machines.len() as u64)).expect("few");
        let disk = &mut self.machines[place].disk;
        let is_filled = disk.capacity.is_none();
        let odds = if is_filled { 300 } else { 6_000 };
        if self.crashes.chance(1, odds) {
            disk.capacity = is_filled.then(|| disk.taken());
            self.report.full_disks += u32::from(is_filled);
            self.report.marks.reach_if(Mark::DiskFull, u64::from(is_filled));
        }
    }

    /// Runs until `until`, calling `each` between events.
    fn pass(
        &mut self,
        until: Instant,
        mut each: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        while self.instant < until {
            each(self)?;
            self.step(until)?;
        }
        Ok(())
    }

    /// The next event, or the next deadline, or nothing until `until`.
    fn step(&mut self, until: Instant) -> Result<(), String> {
        let machines = self.machines.iter().zip(0..);
        let due = machines.filter_map(|(machine, place)| Some((machine.due()?, place))).min();
        let event = self.heap.peek().map(|Reverse(timed)| timed.at);
        let at = due.map(|(at, _)| at).into_iter().chain(event).min();
        let Some(at) = at.filter(|at| *at <= until) else {
            self.instant = until;
            return Ok(());
        };
        // A mind whose deadline is always now would stop time: that is a fault of the mind.
        self.at_once = if at > self.instant { 0 } else { self.at_once + 1 };
        if self.at_once > EVENTS_AT_ONCE_MAX {
            return Err(format!("time stands still at {due:?}, {} wait", self.heap.len()));
        }
        self.instant = self.instant.max(at);
        self.report.events += 1;
        if self.report.events > EVENTS_MAX {
            return Err(format!("{EVENTS_MAX} events, and no end: {}", self.unrest()));
        }
        if event.is_some_and(|event| event <= at) {
            let Reverse(timed) = self.heap.pop().expect("it was just seen");
            return self.happen(timed.place, timed.happening);
        }
        let (_, place) = due.expect("one of both is first");
        let instant = self.instant;
        self.with(place, |machine, schedule| machine.on_due(instant, schedule))
    }

    fn happen(&mut self, place: usize, happening: Happening) -> Result<(), String> {
        let happening = match happening {
            Happening::Network(delivery) => return self.on_delivery(delivery),
            happening => happening,
        };
        let (instant, machine) = (self.instant, &mut self.machines[place]);
        if let Some(until) = machine.paused_until {
            if until > instant {
                self.put(until, place, happening);
                return Ok(());
            }
            machine.paused_until = None;
        }
        match happening {
            Happening::Process(boot, event) => {
                if !machine.is_up() || machine.boot != boot {
                    return Ok(());
                }
                if let Event::Synced { file, covered, .. } = event
                    && self.disks.chance(self.faults.disks.sync_errors, 100_000)
                {
                    machine.disk.fail_sync(file, covered, &mut self.disks);
                    self.report.marks.reach(Mark::SyncFailed);
                    self.end(place, true);
                    self.start_later(place);
                    return Ok(());
                }
                self.with(place, |machine, schedule| machine.on_event(instant, event, schedule))?;
                self.consider_stop(place);
                Ok(())
            }
            Happening::Kill(boot) => {
                if machine.is_up() && machine.boot == boot {
                    self.report.marks.reach(Mark::StopCutShort);
                    self.end(place, true);
                    self.start_later(place);
                }
                Ok(())
            }
            Happening::Start if machine.is_up() => Ok(()),
            Happening::Start => self.start(place),
            Happening::Network(_) => unreachable!("handled above"),
        }
    }

    /// A process that was told to stop ends once it has nothing left to do.
    fn consider_stop(&mut self, place: usize) {
        if self.machines[place].node.as_mut().is_some_and(Node::is_stopped) {
            self.report.marks.reach(Mark::StoppedInOrder);
            self.end(place, true);
            self.start_later(place);
        }
    }

    fn on_delivery(&mut self, delivery: Delivery<PeerMessage>) -> Result<(), String> {
        let seen = self.net(|network, now, out| network.on_arrival(now, delivery, out));
        let Some(seen) = seen else { return Ok(()) };
        let place = seen.to();
        let event = match seen {
            network::Event::Message { from, message, .. } => {
                let from = &self.machines[from];
                Event::Peer { from: from.name, store: from.store, message }
            }
            network::Event::Up { peer, .. } => Event::PeerUp(self.machines[peer].name),
            network::Event::Down { peer, refused, .. } => {
                self.report.marks.reach_if(Mark::PeerRefused, u64::from(refused));
                Event::PeerDown(self.machines[peer].name, refused)
            }
        };
        let boot = self.machines[place].boot;
        self.happen(place, Happening::Process(boot, event))
    }

    fn put(&mut self, at: Instant, place: usize, happening: Happening) {
        self.next_order += 1;
        self.heap.push(Reverse(Timed { at, order: self.next_order, place, happening }));
    }

    /// Does something with a machine's process, and with what that orders.
    fn with<T>(
        &mut self,
        place: usize,
        act: impl FnOnce(&mut Machine, &mut Schedule<'_>) -> T,
    ) -> Result<T, String> {
        let (mut events, mut said, mut sent) = (Vec::new(), Vec::new(), Vec::new());
        let mut schedule = Schedule { events: &mut events, said: &mut said, sent: &mut sent };
        let done = act(&mut self.machines[place], &mut schedule);
        for event in events {
            let machine = &mut self.machines[place];
            self.report.marks.on_event(&event);
            let at = machine.time_of(self.instant, &event);
            let boot = machine.boot;
            self.put(at, place, Happening::Process(boot, event));
        }
        for (to, message) in sent {
            self.report.marks.on_sent(&message);
            let machine = &self.machines[place];
            self.checker.on_sent(machine.name, machine.store, to, &message)?;
            let to = self.machines.iter().position(|machine| machine.name == to);
            let to = to.expect("nodes send to members");
            self.net(|network, now, out| network.send(now, (place, to), message, out));
        }
        let (instant, machine) = (self.instant, &self.machines[place]);
        if let Some(node) = &machine.node {
            self.checker.on_step(place, node, instant, &mut self.report.marks)?;
        }
        for said in said {
            self.on_said(place, said)?;
        }
        Ok(done)
    }

    fn on_said(&mut self, place: usize, said: Said) -> Result<(), String> {
        match said {
            Said::Fatal(reason) => {
                Err(format!("{} ended itself: {reason}", self.machines[place].name))
            }
            Said::Reply { request, response } => {
                let marks = &mut self.report.marks;
                if self.readers.on_reply(request, &response, &self.clients, marks)? {
                    return Ok(());
                }
                self.report.marks.on_reply(&response);
                self.clients.on_reply(request, &response)
            }
            Said::Submitted { request, results } => self.clients.on_results(request, &results),
            Said::Ordered { leads, applied } => self.checker.on_order(leads, applied),
            Said::State { index, part, checksum } => self.checker.on_state(index, part, checksum),
        }
    }

    // -- clients ------------------------------------------------------------------------------

    /// A node whose process answers, if there is one: who finds none tries another.
    fn choose(&mut self) -> Option<usize> {
        let count = self.machines.len();
        let first = usize::try_from(self.clients.prng.below(count as u64)).expect("few");
        for place in (first..count).chain(0..first) {
            if self.machines[place].is_answering(self.instant) {
                return Some(place);
            }
            self.report.marks.reach(Mark::ConnectionRefused);
        }
        None
    }

    /// A client sends a message, or a producer several: new ones or old ones.
    fn send(&mut self) -> Result<(), String> {
        let Some(place) = self.choose() else { return Ok(()) };
        if self.clients.is_producers_turn() {
            let produced = self.clients.produce(place);
            return self.submit(place, &produced);
        }
        let post = self.clients.post(place, &mut self.report.marks);
        let request = Request {
            method: Method::Post,
            path: "/api/v1/messages",
            query: "",
            content_type: None,
            idempotency_key: post.key.as_deref().map(str::as_bytes),
            by: None,
            trace: None,
            body: post.body.as_bytes(),
        };
        self.ask(place, post.request, &request)
    }

    /// Somebody reads a message, somewhere.
    fn read(&mut self) -> Result<(), String> {
        let Some(id) = self.readers.choose(&self.clients) else { return Ok(()) };
        let Some(place) = self.choose() else { return Ok(()) };
        let request = self.clients.request();
        self.readers.ask(place, request, id, &self.clients);
        let path = format!("/api/v1/messages/{id}");
        let asked = Request {
            method: Method::Get,
            path: &path,
            query: "",
            content_type: None,
            idempotency_key: None,
            by: None,
            trace: None,
            body: b"",
        };
        self.ask(place, request, &asked)
    }

    fn submit(&mut self, place: usize, sent: &Produced) -> Result<(), String> {
        let messages: Vec<&[u8]> = sent.bodies.iter().map(String::as_bytes).collect();
        let (producer, sequence) = (sent.producer, sent.sequence);
        let origin = Origin::Producer { producer, sequence };
        // Some are recorded: their records have all that a record can have.
        let trace = (sequence % 3 == 0)
            .then_some(api::TraceContext { trace: u128::from(producer), span: sequence });
        let submission = Submission { origin, messages: &messages, trace };
        let (instant, core) = (self.instant, self.core(place));
        let id = sent.request;
        self.with(place, |machine, schedule| {
            machine.submit(instant, (core, id), &submission, schedule);
        })
    }

    /// Producers send what they have no answer for until they have all answers.
    fn send_what_is_left(&mut self) -> Result<(), String> {
        for round in 0..SEND_AGAIN_MAX {
            let (count, round) = (self.machines.len(), usize::try_from(round).expect("few"));
            let left = self.clients.left(|at| (at + round) % count);
            if left.is_empty() {
                return Ok(());
            }
            for (at, produced) in left.iter().enumerate() {
                self.submit((at + round) % count, produced)?;
            }
            self.rest()?;
        }
        Err("producers have no answer to all that they sent".into())
    }

    fn change_catalogue(&mut self) -> Result<(), String> {
        let Some(place) = self.choose() else { return Ok(()) };
        let Changing { method, path, body } = self.catalogue.next();
        self.report.catalogue_changes += 1;
        let request = Request {
            method,
            path: &path,
            query: "",
            content_type: Some("application/json"),
            idempotency_key: None,
            by: Some(b"somebody"),
            trace: None,
            body: body.as_bytes(),
        };
        let id = self.clients.request();
        self.ask(place, id, &request)
    }

    fn ask(&mut self, place: usize, id: RequestId, request: &Request<'_>) -> Result<(), String> {
        let (instant, core) = (self.instant, self.core(place));
        self.with(place, |machine, schedule| {
            machine.request(instant, (core, id), request, schedule);
        })
    }

    /// The core that a client's connection reaches.
    fn core(&mut self, place: usize) -> CoreId {
        let core = self.clients.prng.below(u64::from(self.machines[place].config.shards));
        CoreId(u16::try_from(core).expect("a core's number"))
    }

    // -- rest ---------------------------------------------------------------------------------

    /// Nothing new comes, nothing goes wrong; everything under way ends.
    fn rest(&mut self) -> Result<(), String> {
        for machine in &mut self.machines {
            machine.disk.capacity = None;
            machine.disk.read_errors = 0;
            machine.disk_slowness = 1;
            machine.slowness = 1;
            machine.clock.correct();
        }
        self.faults.disks = DiskFaults::default();
        let since = self.instant;
        self.network.heal();
        self.network.weather = Weather::FINE;
        self.start_all()?;
        let limit = self.instant + REST_MAX;
        while !self.is_at_rest() {
            if self.instant >= limit {
                return Err(format!(
                    "no rest after {} s of virtual time: {}",
                    REST_MAX.as_secs(),
                    self.unrest()
                ));
            }
            let until = self.instant + Duration::from_secs(1);
            self.pass(until, |_| Ok(()))?;
        }
        self.report.to_rest = self.report.to_rest.max(self.instant.since(since));
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        let is_still = |node: &Node| {
            node.partitions().all(|part| part.running() == 0 && !part.has_orders())
                && node.shards().iter().all(ShardCore::is_drained)
        };
        let mut nodes = self.machines.iter().map(|machine| &machine.node);
        let is_still = |node: &Node| {
            is_still(node)
                && !node.is_stopping()
                && node.shards()[0].applied() == self.checker.last()
        };
        let waiting = self.clients.waiting() + self.readers.waiting();
        waiting == 0 && nodes.all(|node| node.as_ref().is_some_and(is_still))
    }

    /// What still goes on.
    fn unrest(&self) -> String {
        let (messages, reads) = (self.clients.waiting(), self.readers.waiting());
        let mut text = format!("{messages} requests and {reads} reads wait");
        for machine in &self.machines {
            let Some(node) = &machine.node else {
                write!(text, "; {} is down", machine.name).expect("a string grows");
                continue;
            };
            write!(text, "; {}: {:?}", node.name(), node.status()).expect("a string grows");
            for (shard, core) in node.shards().iter().zip(0..) {
                let running: usize = shard.partitions().map(engine::Partition::running).sum();
                let (applied, waiting) = (shard.applied(), shard.unanswered());
                let orders = shard.partitions().filter(|part| part.has_orders()).count();
                write!(
                    text,
                    "; core {core}: applied {applied}, {waiting} wait, {running} instances run, \
                     {orders} partitions have orders"
                )
                .expect("a string grows");
            }
            if let Some(instance) = checker::first_running(node) {
                write!(text, "; {instance}").expect("a string grows");
            }
        }
        text
    }

    fn digest(&self) -> u64 {
        let mut text = format!("{:?}", self.clients.acknowledged);
        for partition in self.machines[0].running().partitions() {
            let checksum = partition.checksum();
            writeln!(text, "{} {checksum:016x}", partition.id()).expect("a string grows");
        }
        base::hash64(text.as_bytes())
    }
}
