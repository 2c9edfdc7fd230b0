//! The world: one node, its clients, virtual time, and power cuts.
//!
//! What is checked:
//! - every message answered 202 is in the state after any crash, once, with its body;
//! - a key's repeat gets the first answer, whatever happened in between, and so does a producer's
//!   (see `producers`);
//! - after the last crash everything comes to rest: every instance ends, each with one result per
//!   task;
//! - nothing is there that no client sent;
//! - of keys and orders between partitions what `keyed` says.

use crate::catalogue::{CatalogueUser, Changing};
use crate::disk::Disk;
use crate::keyed;
use crate::node::{Event, Node, NodeConfig, Said, Schedule};
use crate::producers::{Producers, Sent, Told};
use api::{Method, Request};
use base::{BootId, CoreId, Instant, MessageId, Now, Prng, UnixMicros};
use engine::message::Committed;
use engine::{Origin, RequestId, Submission, SubmitResults};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write;
use std::time::Duration;

/// Where the wall clock starts. Unit: microseconds.
const EPOCH: UnixMicros = UnixMicros(1_700_000_000_000_000);
/// Rest is reached within so much virtual time, or something is stuck.
const REST_MAX: Duration = Duration::from_hours(1);

/// How often producers send again, once nothing goes wrong any more.
const SEND_AGAIN_MAX: u32 = 5;

/// Events at one instant; more are a loop.
const EVENTS_AT_ONCE_MAX: u32 = 10_000;

/// What goes wrong, and how much is asked.
#[derive(Debug, Clone)]
pub struct Faults {
    /// Messages that clients send in all.
    pub messages: u64,
    /// Power cuts.
    pub crashes: u32,
    /// The most time between two cuts.
    pub crash_within: Duration,
    /// While messages come, the catalogue is changed at one event of so many; 0: never.
    pub catalogue_change_odds: u64,
    /// Whether the disk is full now and then.
    pub full_disk: bool,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages answered 202.
    pub acknowledged: u64,
    /// Repeats of a key that were told the first answer.
    pub duplicates: u64,
    /// Numbers of producers that had come before, and were told their first answer.
    pub repeated: u64,
    /// Requests without an answer, because the power failed.
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
    /// Times the disk became full.
    pub full_disks: u32,
    /// Snapshots a start began from.
    pub snapshot_starts: u32,
    /// Changes of the catalogue that were asked for.
    pub catalogue_changes: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// A number that only the same run gives.
    pub digest: u64,
}

/// A catalogue's version, and its rules by id, each with its version.
pub type CatalogueAt = (u64, Vec<(String, u64)>);

/// A request under way.
#[derive(Debug, Clone)]
struct Asked {
    nonce: u64,
    key: Option<u64>,
}

/// What was acknowledged.
#[derive(Debug, Clone)]
struct Acknowledged {
    nonce: u64,
    key: Option<u64>,
}

#[derive(Debug)]
struct Timed {
    at: Instant,
    /// Events of one time happen in the order in which they were scheduled.
    order: u64,
    event: Event,
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

/// A world around one node.
pub struct World {
    config: NodeConfig,
    faults: Faults,
    disk: Disk,
    node: Option<Node>,
    boot: BootId,
    instant: Instant,
    heap: BinaryHeap<Reverse<Timed>>,
    next_order: u64,
    at_once: u32,
    /// The last time given to a packet between two cores: they do not overtake each other.
    lanes: BTreeMap<(CoreId, CoreId, bool), Instant>,
    seeds: Prng,
    delays: Prng,
    crashes: Prng,
    clients: Prng,
    outside: Prng,
    catalogue: CatalogueUser,
    asked: BTreeMap<RequestId, Asked>,
    producers: Producers,
    sent: BTreeMap<RequestId, Sent>,
    acknowledged: BTreeMap<MessageId, Acknowledged>,
    by_key: BTreeMap<u64, MessageId>,
    next_nonce: u64,
    next_request: u64,
    report: Report,
}

impl World {
    /// A world that `seed` decides.
    pub fn new(seed: u64, config: NodeConfig, faults: Faults) -> Self {
        let mut seeds = Prng::new(seed);
        Self {
            delays: seeds.fork("delays"),
            crashes: seeds.fork("crashes"),
            clients: seeds.fork("clients"),
            outside: seeds.fork("outside"),
            producers: Producers::new(seeds.fork("producers")),
            catalogue: CatalogueUser::new(seeds.fork("catalogue")),
            seeds,
            config,
            faults,
            disk: Disk::default(),
            node: None,
            boot: BootId(0),
            instant: Instant(1),
            heap: BinaryHeap::new(),
            next_order: 0,
            at_once: 0,
            lanes: BTreeMap::new(),
            asked: BTreeMap::new(),
            sent: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next_nonce: 1,
            next_request: 1,
            report: Report::default(),
        }
    }

    /// Runs to the end. The error names what was violated.
    pub fn run(mut self) -> Result<Report, String> {
        for crash in 0..=self.faults.crashes {
            self.start()?;
            self.check_acknowledged()?;
            if crash < self.faults.crashes {
                let within = u64::try_from(self.faults.crash_within.as_nanos()).unwrap_or(u64::MAX);
                let until = self.instant + Duration::from_nanos(self.crashes.below(within) + 1);
                let share = self.faults.messages / u64::from(self.faults.crashes + 1);
                self.live(until, share)?;
                self.crash();
            }
        }
        let last = self.faults.messages.saturating_sub(self.next_nonce - 1).max(10);
        let until = self.instant + Duration::from_secs(1);
        self.live(until, last)?;
        self.rest()?;
        self.send_what_is_left()?;
        self.check_acknowledged()?;
        self.check_instances()?;
        let node = self.node.as_ref().expect("the node runs");
        let keyed::Seen { instances, asked } = keyed::check(node.shards())?;
        self.report.keyed_instances = instances;
        self.report.keyed_starts = asked;
        self.report.virtual_time = self.instant.since(Instant(1));
        self.report.acknowledged = self.acknowledged.len() as u64;
        self.report.digest = self.digest();
        Ok(self.report)
    }

    /// Runs without faults and returns the log: for those who apply it in other ways.
    pub fn log(mut self) -> Result<(Vec<Committed>, NodeConfig), String> {
        let node = self.logged()?;
        Ok((node.committed, self.config))
    }

    /// Runs without faults and returns the log, and of each core the catalogue's version and its
    /// rules with their versions.
    pub fn log_and_rules(mut self) -> Result<(Vec<Committed>, Vec<CatalogueAt>), String> {
        let node = self.logged()?;
        let of = |shard: &engine::ShardCore| {
            let globals = shard.globals();
            let rules = globals.catalogue.rules.values().map(|stored| &stored.rule);
            let rules = rules.map(|rule| (rule.id.clone(), u64::from(rule.version))).collect();
            (globals.catalogue.version, rules)
        };
        let catalogues = node.shards().iter().map(of).collect();
        Ok((node.committed, catalogues))
    }

    fn logged(&mut self) -> Result<Node, String> {
        self.start()?;
        let until = self.instant + Duration::from_secs(2);
        let messages = self.faults.messages;
        self.live(until, messages)?;
        self.rest()?;
        Ok(self.node.take().expect("the node runs"))
    }

    fn now(&self) -> Now {
        let wall = EPOCH + self.instant.since(Instant(0));
        Now { instant: self.instant, wall }
    }

    fn start(&mut self) -> Result<(), String> {
        self.boot = BootId(self.boot.0 + 1);
        if self.disk.snapshot().is_some() {
            self.report.snapshot_starts += 1;
        }
        let (mut events, mut said) = (Vec::new(), Vec::new());
        let mut schedule = Schedule { events: &mut events, said: &mut said };
        let (now, seed) = (self.now(), self.seeds.next_u64());
        let node = Node::start(&self.config, self.boot, &mut self.disk, now, seed, &mut schedule)
            .map_err(|reason| format!("start {} was refused: {reason}", self.boot))?;
        self.node = Some(node);
        self.settle(events, said)?;
        // Until it serves: the catalogue's birth, or the first entry of the term.
        let until = self.instant + Duration::from_millis(500);
        self.pass(until, |_| Ok(()))
    }

    fn crash(&mut self) {
        // Whoever starts a node again sees to its disk first.
        self.disk.capacity = None;
        let mut prng = self.crashes.fork("disk");
        self.disk.crash(&mut prng);
        self.node = None;
        self.heap.clear();
        self.lanes.clear();
        self.report.unanswered += (self.asked.len() + self.sent.len()) as u64;
        self.sent.clear();
        self.report.crashes += 1;
        self.asked.clear();
        self.instant = self.instant + Duration::from_millis(self.crashes.below(2_000));
    }

    /// Clients send until their share or the time is used up.
    fn live(&mut self, until: Instant, messages: u64) -> Result<(), String> {
        let last = self.next_nonce + messages;
        self.pass(until, |world| {
            while world.next_nonce < last && world.clients.chance(1, 3) {
                if world.producers.is_next() {
                    world.produce()?;
                } else {
                    world.send()?;
                }
            }
            let odds = world.faults.catalogue_change_odds;
            // Only while messages come: changes of an idle node show little, and take long.
            if odds > 0 && world.next_nonce < last && world.clients.chance(1, odds) {
                world.change_catalogue()?;
            }
            // Full for long enough to use up the segments at hand, then somebody makes room.
            let full = world.disk.capacity.is_none();
            let odds = if full { 300 } else { 6_000 };
            if world.faults.full_disk && world.crashes.chance(1, odds) {
                world.disk.capacity = full.then(|| world.disk.taken());
                world.report.full_disks += u32::from(full);
            }
            Ok(())
        })
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
        let now = self.now();
        let node = self.node.as_ref().expect("the node runs");
        let (consensus, shards) = node.deadlines(now);
        let mut due = Some((consensus.max(now.instant), Event::ConsensusDeadline));
        for (core, at) in shards {
            if due.as_ref().is_none_or(|(first, _)| at < *first) {
                due = Some((at.max(now.instant), Event::ShardDeadline(core)));
            }
        }
        let (at, event) = match (self.heap.peek(), due) {
            (Some(Reverse(timed)), Some((at, _))) if timed.at <= at => {
                let Reverse(timed) = self.heap.pop().expect("it was just seen");
                (timed.at, timed.event)
            }
            (_, Some((at, event))) => (at, event),
            (_, None) => unreachable!("the consensus core always has a deadline"),
        };
        if at > until {
            if !matches!(event, Event::ConsensusDeadline | Event::ShardDeadline(_)) {
                self.put(at, event);
            }
            self.instant = until;
            return Ok(());
        }
        // A mind whose deadline is always now would stop time: that is a fault of the mind.
        self.at_once = if at > self.instant { 0 } else { self.at_once + 1 };
        if self.at_once > EVENTS_AT_ONCE_MAX {
            return Err(format!("time stands still: {event:?} comes again and again"));
        }
        self.instant = self.instant.max(at);
        let (mut events, mut said) = (Vec::new(), Vec::new());
        let mut schedule = Schedule { events: &mut events, said: &mut said };
        let now = self.now();
        let node = self.node.as_mut().expect("the node runs");
        node.on_event(now, event, &mut self.disk, &mut self.outside, &mut schedule);
        self.settle(events, said)
    }

    fn settle(&mut self, events: Vec<Event>, said: Vec<Said>) -> Result<(), String> {
        for event in events {
            let at = self.time_of(&event);
            self.put(at, event);
        }
        for said in said {
            match said {
                Said::Fatal(reason) => return Err(format!("the node ended itself: {reason}")),
                Said::Reply { request, response } => self.on_reply(request, &response)?,
                Said::Submitted { request, results } => self.on_results(request, &results)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, at: Instant, event: Event) {
        self.next_order += 1;
        self.heap.push(Reverse(Timed { at, order: self.next_order, event }));
    }

    /// How long things take, in microseconds: usually little, now and then much.
    fn time_of(&mut self, event: &Event) -> Instant {
        let (usual, rare) = match event {
            Event::Packet { .. } => (30, 3_000),
            Event::Written { .. } => (150, 20_000),
            Event::Synced { .. } => (300, 100_000),
            Event::Prepared { .. } => (20_000, 1_000_000),
            Event::Snapshot(_) => (5_000, 100_000),
            Event::Called { .. } => (20_000, 3_000_000),
            // Small changes, all rules at once, and everything that is behind on its thread.
            Event::Worked { .. } => (400, 250_000),
            Event::ShardRound(_) | Event::ConsensusRound => (5, 200),
            Event::ConsensusDeadline | Event::ShardDeadline(_) => (0, 0),
        };
        let most = if self.delays.chance(1, 50) { rare } else { usual };
        let at = self.instant + Duration::from_micros(self.delays.below(most + 1));
        let lane = match event {
            Event::Packet { from, to, packet } => {
                (*from, *to, matches!(packet, engine::message::Packet::Consensus(_)))
            }
            // The snapshot's file is one lane, too.
            Event::Snapshot(_) => (CoreId(u16::MAX), CoreId(u16::MAX), false),
            _ => return at,
        };
        let last = self.lanes.entry(lane).or_insert(at);
        *last = (*last).max(at);
        *last
    }

    fn send(&mut self) -> Result<(), String> {
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        // A third has a key, and some repeat an old one, with its old body.
        let key = self.clients.chance(1, 3).then_some(nonce);
        let repeated = (!self.by_key.is_empty() && self.clients.chance(1, 6)).then(|| {
            let at = usize::try_from(self.clients.below(self.by_key.len() as u64)).expect("few");
            *self.by_key.keys().nth(at).expect("below the length")
        });
        let (nonce, key) = repeated.map_or((nonce, key), |old| (old, Some(old)));
        let body = body(nonce);
        let text = key.map(|key| format!("key-{key}"));
        let request = Request {
            method: Method::Post,
            path: "/api/v1/messages",
            query: "",
            content_type: None,
            idempotency_key: text.as_deref().map(str::as_bytes),
            by: None,
            trace: None,
            body: body.as_bytes(),
        };
        // Before it is asked: it may be refused at once.
        self.asked.insert(RequestId(self.next_request), Asked { nonce, key });
        self.ask(&request)
    }

    /// A producer sends, new messages or old ones.
    fn produce(&mut self) -> Result<(), String> {
        let sent = self.producers.send(&mut self.next_nonce);
        self.submit(sent)
    }

    fn submit(&mut self, sent: Sent) -> Result<(), String> {
        let (producer, sequence, nonces) = self.producers.of(&sent);
        let bodies: Vec<String> = nonces.into_iter().map(body).collect();
        let messages: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        let origin = Origin::Producer { producer, sequence };
        // Some are recorded: their records have all that a record can have.
        let trace = (sequence % 3 == 0)
            .then_some(api::TraceContext { trace: u128::from(producer), span: sequence });
        let submission = Submission { origin, messages: &messages, trace };
        let (id, core) = self.next_request();
        self.sent.insert(id, sent);
        let (mut events, mut said) = (Vec::new(), Vec::new());
        let mut schedule = Schedule { events: &mut events, said: &mut said };
        let now = self.now();
        let node = self.node.as_mut().expect("the node runs");
        node.submit(now, core, id, &submission, &mut schedule);
        self.settle(events, said)
    }

    fn on_results(&mut self, request: RequestId, results: &SubmitResults) -> Result<(), String> {
        let Some(sent) = self.sent.remove(&request) else {
            return Err(format!("{request:?} was answered twice"));
        };
        let Told { acknowledged, repeated, refused } = self.producers.on_results(&sent, results)?;
        self.report.repeated += repeated;
        self.report.refused += refused;
        for (nonce, id) in acknowledged {
            let told = Acknowledged { nonce, key: None };
            if let Some(known) = self.acknowledged.insert(id, told)
                && known.nonce != nonce
            {
                return Err(format!("message {nonce} got the id {id} of message {}", known.nonce));
            }
        }
        Ok(())
    }

    /// Producers send what they have no answer for until they have all answers.
    fn send_what_is_left(&mut self) -> Result<(), String> {
        for _ in 0..SEND_AGAIN_MAX {
            let left = self.producers.left();
            if left.is_empty() {
                return Ok(());
            }
            for sent in left {
                self.submit(sent)?;
            }
            self.rest()?;
        }
        Err(format!("producers have no answer to {:?}", self.producers.left()))
    }

    fn change_catalogue(&mut self) -> Result<(), String> {
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
        self.ask(&request)
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<(), String> {
        let (id, core) = self.next_request();
        let (mut events, mut said) = (Vec::new(), Vec::new());
        let mut schedule = Schedule { events: &mut events, said: &mut said };
        let now = self.now();
        let node = self.node.as_mut().expect("the node runs");
        node.request(now, core, id, request, &mut schedule);
        self.settle(events, said)
    }

    /// The next request's name, and the core that it reaches.
    fn next_request(&mut self) -> (RequestId, CoreId) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let core = self.clients.below(u64::from(self.config.shards));
        (id, CoreId(u16::try_from(core).expect("a core's number")))
    }

    fn on_reply(&mut self, request: RequestId, response: &api::Response) -> Result<(), String> {
        let Some(asked) = self.asked.remove(&request) else { return Ok(()) };
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let body: Value = serde_json::from_str(&text)
            .map_err(|error| format!("an answer is no JSON: {error}: {text}"))?;
        match response.status {
            202 => {}
            // Refusals of a node that starts, or is asked too much.
            429 | 503 => {
                self.report.refused += 1;
                return Ok(());
            }
            status => return Err(format!("message {} was answered {status}: {text}", asked.nonce)),
        }
        let id: MessageId = body["message_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| format!("an answer without an id: {text}"))?;
        if body["status"] == "duplicate" {
            self.report.duplicates += 1;
        }
        if let Some(known) = self.acknowledged.get(&id)
            && (known.nonce != asked.nonce || known.key.is_none())
        {
            return Err(format!(
                "message {} got the id {id} of message {}",
                asked.nonce, known.nonce
            ));
        }
        if let Some(key) = asked.key {
            let first = *self.by_key.entry(key).or_insert(id);
            if first != id {
                return Err(format!("key {key} stands for {first} and for {id}"));
            }
        }
        self.acknowledged.insert(id, Acknowledged { nonce: asked.nonce, key: asked.key });
        Ok(())
    }

    /// Nothing new comes; everything under way ends.
    fn rest(&mut self) -> Result<(), String> {
        self.disk.capacity = None;
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
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        let node = self.node.as_ref().expect("the node runs");
        let rests = |shard: &engine::ShardCore| {
            shard.partitions().all(|partition| partition.running() == 0 && !partition.has_orders())
        };
        self.asked.is_empty()
            && self.sent.is_empty()
            && node.shards().iter().all(|shard| rests(shard) && shard.is_drained())
    }

    /// What still goes on.
    fn unrest(&self) -> String {
        let node = self.node.as_ref().expect("the node runs");
        let mut text =
            format!("{} requests wait, {:?}", self.asked.len() + self.sent.len(), node.status());
        for (shard, core) in node.shards().iter().zip(0..) {
            let running: usize = shard.partitions().map(engine::Partition::running).sum();
            let (applied, waiting) = (shard.applied(), shard.unanswered());
            let orders = shard.partitions().filter(|partition| partition.has_orders()).count();
            write!(
                text,
                "; core {core}: applied {applied}, {waiting} wait, {running} instances run, \
                 {orders} partitions have orders"
            )
            .expect("a string grows");
        }
        text
    }

    /// Every message of the state, by what its client sent.
    fn messages(&self) -> BTreeMap<MessageId, Value> {
        let node = self.node.as_ref().expect("the node runs");
        (node.shards().iter().flat_map(engine::ShardCore::partitions))
            .flat_map(engine::Partition::messages)
            .map(|(id, payload)| (id, serde_json::from_slice(payload).expect("it was accepted")))
            .collect()
    }

    fn check_acknowledged(&self) -> Result<(), String> {
        let messages = self.messages();
        for (id, acknowledged) in &self.acknowledged {
            let found = messages.get(id).ok_or_else(|| {
                format!("message {id} (nonce {}) was acknowledged and is lost", acknowledged.nonce)
            })?;
            if found["nonce"] != acknowledged.nonce {
                return Err(format!("message {id} has the body of another: {found}"));
            }
        }
        let mut keyed: BTreeMap<u64, MessageId> = BTreeMap::new();
        for (id, message) in &messages {
            let nonce = message["nonce"].as_u64().filter(|nonce| *nonce < self.next_nonce);
            let nonce = nonce.ok_or_else(|| format!("nobody sent message {id}: {message}"))?;
            // A message that is sent once is there once; a keyed one, however often it is sent.
            if let Some(other) = keyed.insert(nonce, *id) {
                return Err(format!("nonce {nonce} is there twice, as {other} and as {id}"));
            }
        }
        Ok(())
    }

    /// Each message's workflows ran once, to their end, with one result per task.
    fn check_instances(&mut self) -> Result<(), String> {
        let node = self.node.as_ref().expect("the node runs");
        let mut ended = 0;
        for partition in node.shards().iter().flat_map(engine::ShardCore::partitions) {
            for json in partition.instances() {
                let text = String::from_utf8_lossy(&json);
                let instance: Value = serde_json::from_str(&text)
                    .map_err(|error| format!("an instance is no JSON: {error}: {text}"))?;
                let status = instance["status"].as_str().unwrap_or("");
                if !["completed", "failed"].contains(&status) {
                    return Err(format!("an instance rests as {status:?}: {text}"));
                }
                for task in instance["tasks"].as_array().into_iter().flatten() {
                    check_task(task, &instance)?;
                }
                ended += 1;
            }
        }
        self.report.instances = ended;
        Ok(())
    }

    fn digest(&self) -> u64 {
        let node = self.node.as_ref().expect("the node runs");
        let mut text = format!("{:?}", self.acknowledged);
        for partition in node.shards().iter().flat_map(engine::ShardCore::partitions) {
            let checksum = partition.checksum();
            writeln!(text, "{} {checksum:016x}", partition.id()).expect("a string grows");
        }
        base::hash64(text.as_bytes())
    }
}

/// A task ends once: one final transition in the history.
fn check_task(task: &Value, instance: &Value) -> Result<(), String> {
    const FINAL: [&str; 5] = ["completed", "failed", "timeout", "cancelled", "skipped"];
    let (id, status) = (&task["id"], task["status"].as_str().unwrap_or(""));
    if !FINAL.contains(&status) {
        return Err(format!("task {id} rests as {status:?} in {instance}"));
    }
    let results = (instance["history"].as_array().into_iter().flatten())
        .filter(|line| line["task"] == *id && line["status"] == "completed")
        .count();
    if results > 1 {
        return Err(format!("task {id} has {results} results in {instance}"));
    }
    Ok(())
}

/// A message: a third wakes nothing, a third a workflow of pure tasks, a third one with a call.
fn body(nonce: u64) -> String {
    let kind = ["a", "b", "c"][usize::try_from(nonce % 3).expect("below three")];
    format!("{{\"nonce\":{nonce},\"kind\":\"{kind}\",\"amount\":{}}}", nonce * 7 % 1_000)
}
