//! The world: several machines, their clients, and one virtual time.
//!
//! One heap holds everything that will happen; a step takes the first of it, or the first deadline
//! of a mind. Whatever a step orders gets its own time and goes into the heap again.

mod asking;
mod operator;
mod rest;
mod script;
mod troubles;

use crate::catalogue::CatalogueUser;
use crate::checker::Checker;
use crate::clients::Clients;
use crate::faults::{Faults, Trouble};
use crate::machine::Machine;
use crate::marks::{Mark, Marks};
use crate::network::{self, Delivery, Network, Under};
use crate::node::{Event, Node, NodeConfig, Said, Schedule};
use crate::reads::Readers;
use crate::transcript::Transcript;
use base::{Address, BootId, Instant, NodeId, Prng};
use bytes::Bytes;
use engine::cluster::Probed;
use engine::message::Committed;
use engine::peer::PeerMessage;
use engine::{FetchEffect, Member, Membership, ShardCore};
use operator::Operator;
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
/// The cluster's id: see `Born`.
const CLUSTER: u64 = 1;
/// One of so many messages goes as a frame.
const FRAMED_ONE_OF: u64 = 16;
/// Every world begins then.
const BEGIN: Instant = Instant(1);
/// So much of an answer is written in a transcript.
const ANSWER_CHARS_SHOWN: usize = 90;
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

pub use script::Scripted;

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
    next_request: Instant,
    disks: Prng,
    clients: Clients,
    readers: Readers,
    catalogue: CatalogueUser,
    operator: Operator,
    checker: Checker,
    transcript: Transcript,
    /// By place: whether it leads, whom it follows and in which term, as last written.
    roles: Vec<(bool, u64, u64)>,
    /// A script says what happens: nothing is started again by itself.
    is_scripted: bool,
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
        let member = |machine: &Machine| {
            let address = Some(machine.address.clone());
            (machine.name, Member { store: machine.store, address })
        };
        let founded = Membership::founded(machines.iter().map(member)).expect("a group's size");
        Self {
            network: Network::new(machines.len(), faults.weather, seeds.fork("network")),
            founded,
            roles: vec![(false, 0, 0); machines.len()],
            machines,
            crashes: seeds.fork("crashes"),
            troubles: seeds.fork("troubles"),
            disks: seeds.fork("disks"),
            clients: Clients::new(seeds.fork("clients"), seeds.fork("producers")),
            readers: Readers::new(seeds.fork("readers")),
            catalogue: CatalogueUser::new(seeds.fork("catalogue")),
            operator: Operator::new(seeds.fork("operator")),
            faults,
            instant: BEGIN,
            heap: BinaryHeap::new(),
            next_order: 0,
            at_once: 0,
            next_trouble: BEGIN,
            next_request: BEGIN,
            checker: Checker::default(),
            transcript: Transcript::default(),
            is_scripted: false,
            report: Report::default(),
        }
    }

    /// Runs to the end. The error names what was violated.
    pub fn run(mut self) -> Result<Report, String> {
        self.run_to_end()
    }

    /// The same, with all that happened in words.
    pub fn tell(mut self) -> (Result<Report, String>, Vec<String>) {
        self.transcript.keep();
        let run = std::panic::AssertUnwindSafe(|| self.run_to_end());
        let result = std::panic::catch_unwind(run).unwrap_or_else(|_| Err("a panic".into()));
        (result, self.transcript.take())
    }

    /// A group that nobody asks anything, for so long.
    pub fn idle(mut self, time: Duration) -> Result<Report, String> {
        self.start_all()?;
        let until = self.instant + time;
        self.pass(until, Self::operate)?;
        self.report.virtual_time = self.instant.since(BEGIN);
        Ok(self.report)
    }

    fn run_to_end(&mut self) -> Result<Report, String> {
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
            self.pass(until, Self::operate)?;
            self.start_all()?;
        }
        let last = self.faults.messages.saturating_sub(self.clients.next_nonce - 1).max(10);
        let lasts = self.faults.pace * u32::try_from(last).unwrap_or(u32::MAX);
        let until = self.instant + lasts.max(Duration::from_secs(1));
        self.live(until, last)?;
        self.rest()?;
        self.send_what_is_left()?;
        for machine in &self.machines {
            let seen = self.checker.check_all(machine.running(), &self.clients)?;
            self.report.instances = seen.instances;
            self.report.keyed_instances = seen.keyed.instances;
            self.report.keyed_starts = seen.keyed.asked;
            self.checker.on_rest(machine.running())?;
        }
        self.report.virtual_time = self.instant.since(BEGIN);
        self.report.acknowledged = self.clients.acknowledged.len() as u64;
        self.report.duplicates = self.clients.duplicates;
        self.report.repeated = self.clients.repeated;
        self.report.refused = self.clients.refused;
        self.report.reads = self.readers.found;
        self.report.marks.reach_if(Mark::KeyRepeated, self.clients.duplicates);
        self.report.marks.reach_if(Mark::NumberRepeated, self.clients.repeated);
        self.report.marks.reach_if(Mark::Refused, self.clients.refused);
        self.report.digest = self.digest();
        Ok(std::mem::take(&mut self.report))
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
        self.pass(until, Self::operate)?;
        // What several nodes have, one alone may not have yet.
        if let [alone] = &self.machines[..]
            && let Some(node) = &alone.node
        {
            self.checker.check_acknowledged(node, &self.clients)?;
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
        let started =
            self.with(place, |machine, schedule| machine.start(instant, &founded, schedule))?;
        if let Err(reason) = started {
            if !self.machines[place].is_rotten {
                return Err(reason);
            }
            // What was durable cannot be read: nobody repairs that in place (docs/decisions/0021).
            self.report.marks.reach(Mark::RotFound);
            self.transcript.say(instant, || format!("{} does not start: {reason}", place + 1));
            self.lose_disk(place);
            self.start_later(place);
            return Ok(());
        }
        self.machines[place].is_rotten = false;
        self.net(|network, now, out| network.on_start(now, place, out));
        let machine = &self.machines[place];
        self.transcript.say(instant, || format!("{} starts, run {}", machine.name, machine.boot));
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

    /// A process ends, alone or with its machine.
    fn end(&mut self, place: usize, is_powered: bool) {
        if self.machines[place].is_up() {
            self.net(|network, now, out| network.on_end(now, place, is_powered, out));
            let (name, how) =
                (self.machines[place].name, if is_powered { "" } else { " with its machine" });
            self.transcript.say(self.instant, || format!("{name} ends{how}"));
            self.roles[place] = (false, 0, 0);
        }
        self.machines[place].end();
        self.readers.on_lost(place);
        self.operator.on_lost(place);
        let lost = self.clients.on_lost(place);
        self.report.unanswered += lost;
        self.report.marks.reach_if(Mark::CutUnderLoad, u64::from(lost > 0));
    }

    // -- time ---------------------------------------------------------------------------------

    /// Clients send until their share or the time is used up, while things go wrong.
    fn live(&mut self, until: Instant, messages: u64) -> Result<(), String> {
        let last = self.clients.next_nonce + messages;
        self.pass(until, |world| {
            while world.clients.next_nonce < last && world.is_request_due() {
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
            world.operate()?;
            world.fill_disk();
            if world.next_trouble <= world.instant {
                world.make_trouble();
            }
            Ok(())
        })
    }

    /// Whether a client asks something now.
    fn is_request_due(&mut self) -> bool {
        let pace = self.faults.pace;
        if pace.is_zero() {
            return self.clients.prng.chance(1, 3);
        }
        let due = self.next_request.max(BEGIN);
        if due > self.instant {
            return false;
        }
        // Nothing is made up for: what was not asked while nothing happened is not asked at once.
        self.next_request = if self.instant.since(due) > pace { self.instant } else { due } + pace;
        true
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
                let how = if refused { "refuses connections" } else { "is not connected any more" };
                self.transcript.say(self.instant, || format!("{}: {} {how}", place + 1, peer + 1));
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
        let mut probes = Vec::new();
        let mut schedule =
            Schedule { events: &mut events, said: &mut said, sent: &mut sent, probes: &mut probes };
        let done = act(&mut self.machines[place], &mut schedule);
        for event in events {
            let machine = &mut self.machines[place];
            self.report.marks.on_event(&event);
            if let Event::Fetch(FetchEffect::Keep { index }) = &event {
                let name = machine.name;
                let text =
                    || format!("{name} has the snapshot of entry {index}, and goes on behind it");
                self.transcript.say(self.instant, text);
            }
            let at = machine.time_of(self.instant, &event);
            let boot = machine.boot;
            self.put(at, place, Happening::Process(boot, event));
        }
        for (ticket, address) in probes {
            self.probe(place, ticket, &address);
        }
        for (to, message) in sent {
            self.report.marks.on_sent(&message);
            let machine = &self.machines[place];
            self.checker.on_sent(machine.name, machine.store, to, &message)?;
            self.transcript.on_sent(self.instant, machine.name, to, &message);
            let message = through_frames(message, &mut self.disks)?;
            let to = self.machines.iter().position(|machine| machine.name == to);
            let to = to.expect("nodes send to members");
            self.net(|network, now, out| network.send(now, (place, to), message, out));
        }
        let (instant, machine) = (self.instant, &self.machines[place]);
        if let Some(node) = &machine.node {
            self.checker.on_step(place, node, instant, &mut self.report.marks)?;
            self.note_role(place);
        }
        for said in said {
            self.on_said(place, said)?;
        }
        Ok(done)
    }

    /// A node asks who is at an address. It is told so a little later, if there is a way.
    fn probe(&mut self, place: usize, ticket: u64, address: &Address) {
        let there = self.machines.iter().position(|machine| machine.address == *address);
        let there = there.filter(|there| {
            self.machines[*there].is_answering(self.instant)
                && self.network.is_connected(place, *there)
        });
        let found = there.map(|there| {
            let machine = &self.machines[there];
            let cluster = (!machine.is_wiped).then_some(CLUSTER);
            Probed { node: machine.name, store: machine.store, cluster }
        });
        let found = found.ok_or_else(|| "nobody answers".to_owned());
        let event = Event::Probed { ticket, found };
        let machine = &mut self.machines[place];
        let at = machine.time_of(self.instant, &event);
        let boot = machine.boot;
        self.put(at, place, Happening::Process(boot, event));
    }

    fn note_role(&mut self, place: usize) {
        let Some(node) = &self.machines[place].node else { return };
        let status = node.status();
        let role = (status.leading, status.leader, status.term);
        if role == self.roles[place] {
            return;
        }
        self.roles[place] = role;
        let name = node.name();
        self.transcript.say(self.instant, || match role {
            (true, _, term) => format!("{name} leads term {term}"),
            (false, 0, term) => format!("{name} knows no leader in term {term}"),
            (false, leader, term) => format!("{name} follows {leader} in term {term}"),
        });
    }

    fn on_said(&mut self, place: usize, said: Said) -> Result<(), String> {
        match said {
            Said::Fatal(reason) => {
                Err(format!("{} ended itself: {reason}", self.machines[place].name))
            }
            Said::Reply { request, response } => {
                self.transcript.say(self.instant, || {
                    let text = String::from_utf8_lossy(&response.body);
                    let short: String = text.chars().take(ANSWER_CHARS_SHOWN).collect();
                    format!("{} answers {}: {short}", place + 1, response.status)
                });
                if self.on_operators_answer(request, &response)? {
                    return Ok(());
                }
                let marks = &mut self.report.marks;
                if self.readers.on_reply(request, &response, &self.clients, marks)? {
                    return Ok(());
                }
                self.report.marks.on_reply(&response);
                self.clients.on_reply(request, &response)
            }
            Said::Members(members) => {
                self.checker.on_members(&members);
                Ok(())
            }
            Said::Submitted { request, results } => self.clients.on_results(request, &results),
            Said::Ordered { leads, applied } => self.checker.on_order(leads, applied),
            Said::State { index, part, checksum } => self.checker.on_state(index, part, checksum),
        }
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

/// Now and then a message goes as the frame that real links carry, and has to come out as it was.
fn through_frames(message: PeerMessage, prng: &mut Prng) -> Result<PeerMessage, String> {
    if !prng.chance(1, FRAMED_ONE_OF) {
        return Ok(message);
    }
    let mut frame = Vec::new();
    message.encode(base::UnixMicros(1), &mut frame);
    let header: &[u8; wire::HEADER_BYTES] = frame.first_chunk().expect("a frame has a header");
    let header = wire::Header::decode(header).map_err(|error| format!("{error:?}: {message:?}"))?;
    let payload = Bytes::copy_from_slice(&frame[wire::HEADER_BYTES..]);
    let read = PeerMessage::decode(header.kind, &payload)
        .map_err(|error| format!("{message:?} is not read back: {error}"))?;
    if read == message { Ok(read) } else { Err(format!("{message:?} is read as {read:?}")) }
}
