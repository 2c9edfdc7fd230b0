//! Whole nodes in memory: minds, shards and journals of several coordinators, with a network that
//! can be cut and disks that are done at once. Time goes by in milliseconds.

mod node;

use crate::cluster::{Everybody, Probed};
use crate::message::{Packet, ToShard};
use crate::peer::PeerMessage;
use crate::record::{Born, Change};
use crate::workers::{FromWorker, ToWorker, WorkerLink};
use crate::{
    Birth, ConsensusConfig, ConsensusCore, ConsensusEffect, Member, Membership, Replay, RequestId,
    ShardConfig, ShardCore, ShardEffect, Start, snapshot,
};
use api::{Method, Request};
use base::{Address, BootId, CoreId, Instant, NodeId, Now, Outbox, StoreId, UnixMicros};
use bytes::Bytes;
use journal::{File, HeapBuffers, Journal, Recovery, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Every node's cores, unless it says otherwise.
pub(super) const SHARDS: u16 = 2;
const SEGMENT_BYTES: u64 = 1 << 20;
/// How long a worker that says nothing is believed to be there.
pub(super) const LEASE_MS: u32 = 2_000;

/// What survives a crash.
#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<File, Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    unnamed: Vec<u8>,
    fetched: Vec<u8>,
}

#[derive(Debug)]
enum Event {
    Packet(CoreId, CoreId, Packet),
    Journal(Token),
    NoRoom(Token),
    Snapshot,
    Fetch(Result<Option<Box<snapshot::Snapshot>>, String>),
    Read(crate::ReadBack, Vec<u8>),
    Piece(NodeId, (u64, u64), Option<(Bytes, u64)>),
}

/// The minds of a running node.
pub(super) struct Minds {
    pub(super) consensus: ConsensusCore<HeapBuffers>,
    pub(super) shards: Vec<ShardCore>,
    events: VecDeque<Event>,
    consensus_out: Outbox<ConsensusEffect<Vec<u8>>>,
    shard_out: Outbox<ShardEffect>,
    /// What workers were told.
    to_workers: Vec<(WorkerLink, ToWorker)>,
}

pub(super) struct Node {
    pub(super) id: NodeId,
    /// Where it says that it is reached.
    pub(super) address: Option<Address>,
    /// Who belongs to the group, as its mind told last.
    pub(super) members: Membership,
    /// How far its wall clock is ahead of the world's.
    pub(super) ahead: Duration,
    /// How many cores it has.
    pub(super) cores: u16,
    /// It begins without the members that the group was founded with.
    knows_nobody: bool,
    boot: u64,
    disk: Disk,
    /// Its disk has no room for another segment.
    pub(super) is_full: bool,
    /// What its mind told the operator.
    pub(super) notices: Vec<String>,
    pub(super) minds: Option<Minds>,
    pub(super) replies: BTreeMap<u64, (u16, String)>,
    /// What was fetched and installed, and read back for others.
    pub(super) installed: usize,
    pub(super) read_back: usize,
    /// Addresses to ask who is there.
    probes: Vec<(u64, Address)>,
    /// The cluster that it says it belongs to.
    pub(super) cluster: Option<u64>,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) nodes: Vec<Node>,
    founded: Membership,
    snapshot_bytes: u64,
    /// What the cluster is born with.
    catalogue: Vec<Change>,
    /// On their way: when due, from, to, what.
    mail: VecDeque<(Instant, NodeId, NodeId, PeerMessage)>,
    /// Whose messages do not reach whom.
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
    /// How long a message takes.
    pub(super) delay_ms: u64,
    next_request: u64,
}

fn store(node: NodeId) -> StoreId {
    StoreId(100 + node.0)
}

fn address(node: NodeId) -> Address {
    Address::parse(&format!("10.0.0.{node}:9101")).unwrap()
}

fn born() -> Born {
    Born {
        cluster_id: 1,
        partitions: 8,
        retention_bytes: 1 << 30,
        keys_max: 100_000,
        key_ttl_ms: 600_000,
    }
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).unwrap()
}

impl Node {
    fn new(id: NodeId) -> Self {
        Self {
            id,
            address: Some(address(id)),
            members: Membership::default(),
            ahead: Duration::ZERO,
            cores: SHARDS,
            boot: 0,
            disk: Disk::default(),
            is_full: false,
            notices: Vec::new(),
            minds: None,
            replies: BTreeMap::new(),
            installed: 0,
            read_back: 0,
            probes: Vec::new(),
            knows_nobody: false,
            cluster: None,
        }
    }

    pub(super) fn has_snapshot(&self) -> bool {
        self.disk.snapshot.is_some()
    }
}

impl Node {
    pub(super) fn leads(&self) -> bool {
        self.minds.as_ref().is_some_and(|minds| minds.consensus.status().leading)
    }
}

impl World {
    /// A node more, with an empty disk: it waits to be added.
    pub(super) fn extend(&mut self) -> NodeId {
        let id = NodeId(self.nodes.len() as u64 + 1);
        self.nodes.push(Node::new(id));
        self.start(id);
        id
    }

    /// The same, and it knows nobody: the foundation names it with a store that it lost.
    pub(super) fn extend_with_nobody(&mut self) -> NodeId {
        let id = NodeId(self.nodes.len() as u64 + 1);
        self.nodes.push(Node { knows_nobody: true, ..Node::new(id) });
        self.start(id);
        id
    }

    pub(super) fn new(nodes: u64, snapshot_bytes: u64) -> Self {
        Self::born_with(nodes, snapshot_bytes, Vec::new())
    }

    /// The same, with rules and definitions.
    pub(super) fn born_with(nodes: u64, snapshot_bytes: u64, catalogue: Vec<Change>) -> Self {
        let ids = (1..=nodes).map(NodeId);
        let member = |id| Member { store: store(id), address: Some(address(id)) };
        let members = ids.clone().map(|id| (id, member(id)));
        let founded = Membership::founded(members).unwrap();
        let now = Now { instant: Instant(1), wall: UnixMicros(1_000_000_000) };
        let mut world = Self {
            now,
            nodes: ids.clone().map(Node::new).collect(),
            founded,
            snapshot_bytes,
            catalogue,
            mail: VecDeque::new(),
            cut: BTreeSet::new(),
            delay_ms: 1,
            next_request: 0,
        };
        for id in ids {
            world.start(id);
        }
        world
    }

    /// Runs until there is a leader that everybody serves under.
    pub(super) fn serving(nodes: u64, snapshot_bytes: u64) -> Self {
        let mut world = Self::new(nodes, snapshot_bytes);
        world.until("all nodes serve", World::all_serve);
        world
    }

    pub(super) fn all_serve(&self) -> bool {
        let mut minds = self.nodes.iter().filter_map(|node| node.minds.as_ref());
        minds.all(|minds| minds.shards.iter().all(ShardCore::is_serving))
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        let leaders = self.nodes.iter().filter(|node| node.leads());
        let newest = leaders
            .max_by_key(|node| node.minds.as_ref().map(|minds| minds.consensus.status().term));
        newest.map(|node| node.id)
    }

    /// Up to where the log is committed, as a node knows.
    pub(super) fn commit(&self, node: NodeId) -> u64 {
        let minds = self.nodes[index(node)].minds.as_ref().expect("it is up");
        minds.consensus.status().commit
    }

    /// Some node that does not lead.
    pub(super) fn follower(&self) -> NodeId {
        let leader = self.leader();
        let up = self.nodes.iter().filter(|node| node.minds.is_some());
        up.map(|node| node.id).find(|id| Some(*id) != leader).unwrap()
    }

    /// Starts a node on what its disk holds.
    pub(super) fn start(&mut self, id: NodeId) {
        let (now, mut founded) = (self.now_at(id), self.founded.clone());
        let node = &mut self.nodes[index(id)];
        if node.knows_nobody {
            founded = Membership::default();
        }
        node.boot += 1;
        let cores = node.cores;
        let boot = BootId(node.boot);
        let born = born();
        let shard = |core| ShardConfig {
            node: id,
            boot,
            store: store(id),
            core: CoreId(core),
            shards: cores,
            cpus: vec![0; usize::from(cores)],
            program_version: "test",
            started_at: now.instant,
            birth: Birth { born: born.clone(), catalogue: self.catalogue.clone() },
            workers: crate::WorkersConfig { lease_ms: LEASE_MS, ..Default::default() },
        };
        let mut events = VecDeque::new();
        let packet = |core, message| Event::Packet(CoreId(0), CoreId(core), Packet::Shard(message));
        let mut config = journal::Config::new(store(id));
        config.segment_bytes = SEGMENT_BYTES;
        config.entry_bytes_max = usize::try_from(SEGMENT_BYTES).unwrap() - 64 * 1024;
        let read = node.disk.snapshot.clone().map(|file| snapshot::read(&file.into()).unwrap());
        for core in (0..cores).filter(|_| read.is_some()) {
            events.push_back(packet(core, read.as_ref().unwrap().restore(core, cores)));
        }
        let at = read.as_ref().map_or((0, 0), |read| (read.index, read.term));
        let recovery = match &read {
            Some(read) if read.was_sent => Recovery::of_installed,
            _ => Recovery::new,
        };
        let mut recovery = recovery(config.clone(), at);
        let vote = node.disk.files.entry(File::Vote);
        recovery.on_vote_file(vote.or_insert_with(|| vec![0; 2 * journal::BLOCK_BYTES]));
        for (file, bytes) in &node.disk.files {
            if let File::Segment(slot) = file {
                recovery.on_header(*slot, &bytes[..journal::BLOCK_BYTES]);
            }
        }
        let (mut replay, mut found) = (Replay::new(read.as_ref(), &founded), Vec::new());
        let mut hand_out = |found: &mut Vec<_>, replay: &mut Replay, commit| {
            let ready = replay.on_entries(found, commit).unwrap();
            for core in (0..cores).filter(|_| !ready.is_empty()) {
                events.push_back(packet(core, ToShard::Committed(ready.clone())));
            }
        };
        while let Some(slot) = recovery.next_segment() {
            recovery.on_segment(slot, &node.disk.files[&File::Segment(slot)], &mut found);
            hand_out(&mut found, &mut replay, recovery.commit());
        }
        let recovered = recovery.finish(&mut found).unwrap();
        hand_out(&mut found, &mut replay, recovered.commit);
        let left = replay.finish(found).unwrap();
        let (term, vote, commit) = (recovered.term, recovered.vote, recovered.commit);
        let mut first = Outbox::new();
        let journal = Journal::resume(config, HeapBuffers, recovered, &mut first);
        let snapshot = read.map(|read| (read.mark(&founded), read.bytes));
        let start = Start { journal, first, term, vote, commit, left, snapshot, whole_through: 0 };
        let config = ConsensusConfig {
            node: id,
            store: store(id),
            boot,
            founded,
            address: node.address.clone(),
            shards: cores,
            seed: id.0 * 1_000 + boot.0,
            snapshot_journal_bytes: self.snapshot_bytes,
        };
        let mut minds = Minds {
            consensus: ConsensusCore::new(config, start, now),
            shards: (0..cores).map(|core| ShardCore::new(shard(core))).collect(),
            events,
            consensus_out: Outbox::new(),
            shard_out: Outbox::new(),
            to_workers: Vec::new(),
        };
        minds.consensus.on_start(now, &mut minds.consensus_out);
        node.minds = Some(minds);
        self.work(id);
        for other in self.others(id) {
            self.tell_link(other, id, true);
            self.tell_link(id, other, true);
        }
    }

    /// The process dies; its links are reset, and new ones refused.
    pub(super) fn kill(&mut self, id: NodeId) {
        self.nodes[index(id)].minds = None;
        self.mail.retain(|(_, _, to, _)| *to != id);
        for other in self.others(id) {
            self.tell_link(other, id, false);
        }
    }

    fn others(&self, id: NodeId) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id).filter(|other| *other != id).collect()
    }

    /// Cuts a node off, or lets it back: links come and go without a word, as in a cut network.
    pub(super) fn isolate(&mut self, id: NodeId, is_cut: bool) {
        for other in self.others(id) {
            for way in [(id, other), (other, id)] {
                if is_cut {
                    self.cut.insert(way);
                } else {
                    self.cut.remove(&way);
                    self.tell_link(way.0, way.1, true);
                }
            }
        }
    }

    /// Now, by a node's clocks.
    fn now_at(&self, node: NodeId) -> Now {
        Now { wall: self.now.wall + self.nodes[index(node)].ahead, ..self.now }
    }

    fn tell_link(&mut self, at: NodeId, other: NodeId, is_up: bool) {
        let now = self.now_at(at);
        if let Some(minds) = &mut self.nodes[index(at)].minds {
            let (mind, out) = (&mut minds.consensus, &mut minds.consensus_out);
            if is_up {
                mind.on_peer_up(now, other, out);
            } else {
                mind.on_peer_down(now, other, true, out);
            }
            self.work(at);
        }
    }

    /// A millisecond goes by.
    pub(super) fn tick(&mut self) {
        let ms = Duration::from_millis(1);
        self.now = Now { instant: self.now.instant + ms, wall: self.now.wall + ms };
        let now = self.now;
        while let Some((_, from, to, message)) =
            self.mail.pop_front_if(|(due, ..)| *due <= now.instant)
        {
            let now = self.now_at(to);
            let Some(minds) = &mut self.nodes[index(to)].minds else { continue };
            if !self.cut.contains(&(from, to)) {
                let out = &mut minds.consensus_out;
                minds.consensus.on_peer(now, from, store(from), message, out);
                self.work(to);
            }
        }
        for at in 0..self.nodes.len() {
            let now = self.now_at(self.nodes[at].id);
            let Node { id, minds, replies, cores, .. } = &mut self.nodes[at];
            let (id, Some(minds)) = (*id, minds) else { continue };
            if minds.consensus.deadline(now) <= now.instant {
                minds.consensus.on_deadline(now, &mut minds.consensus_out);
            }
            for core in 0..*cores {
                let shard = &mut minds.shards[usize::from(core)];
                if shard.deadline().is_some_and(|due| due <= now.instant) {
                    shard.on_deadline(now, &mut minds.shard_out);
                    minds.drain_shard(CoreId(core), replies);
                }
            }
            self.work(id);
        }
    }

    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.tick();
        }
    }

    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..30_000 {
            if done(self) {
                return;
            }
            self.tick();
        }
        let status = |node: &Node| node.minds.as_ref().map(|minds| minds.consensus.status());
        let status: Vec<_> = self.nodes.iter().map(status).collect();
        panic!("not within 30 s: {what}; {status:?}");
    }

    /// A client posts a message to a core of a node. Returns the request's number.
    pub(super) fn post(&mut self, node: NodeId, core: u16, key: Option<&str>, body: &str) -> u64 {
        let idempotency_key = key.map(str::as_bytes);
        let path = "/api/v1/messages";
        self.request(node, core, (Method::Post, path, ""), (idempotency_key, body.as_bytes()))
    }

    /// A client asks a core of a node. Returns the request's number.
    pub(super) fn get(&mut self, node: NodeId, core: u16, path: &str) -> u64 {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.request(node, core, (Method::Get, path, query), (None, b""))
    }

    /// Asks, and waits for the answer.
    pub(super) fn answered(&mut self, node: NodeId, core: u16, path: &str) -> (u16, String) {
        let request = self.get(node, core, path);
        self.until(path, |world| world.reply(node, request).is_some());
        self.reply(node, request).expect("it was there")
    }

    /// Asks for a change of the group, and waits for the answer.
    pub(super) fn demanded(
        &mut self,
        node: NodeId,
        (method, path): (Method, &str),
        body: &str,
    ) -> (u16, String) {
        self.demanded_of(node, 1, (method, path), body)
    }

    /// The same of a certain core.
    pub(super) fn demanded_of(
        &mut self,
        node: NodeId,
        core: u16,
        (method, path): (Method, &str),
        body: &str,
    ) -> (u16, String) {
        let request = self.request(node, core, (method, path, ""), (None, body.as_bytes()));
        self.until(path, |world| world.reply(node, request).is_some());
        self.reply(node, request).expect("it was there")
    }

    pub(super) fn request(
        &mut self,
        node: NodeId,
        core: u16,
        (method, path, query): (Method, &str, &str),
        (idempotency_key, body): (Option<&[u8]>, &[u8]),
    ) -> u64 {
        self.next_request += 1;
        let id = self.next_request;
        let request = Request {
            method,
            path,
            query,
            content_type: None,
            idempotency_key,
            by: None,
            trace: None,
            body,
        };
        let route = api::route(request.method, request.path, request.query).unwrap();
        let now = self.now;
        let Node { minds, replies, .. } = &mut self.nodes[index(node)];
        let minds = minds.as_mut().expect("a client speaks to a node that is up");
        let shard = &mut minds.shards[usize::from(core)];
        shard.on_request(now, RequestId(id), &route, &request, &mut minds.shard_out);
        minds.drain_shard(CoreId(core), replies);
        self.work(node);
        id
    }

    /// A worker says something to a node.
    pub(super) fn worker_says(&mut self, node: NodeId, link: WorkerLink, message: FromWorker) {
        let now = self.now;
        let Node { minds, replies, .. } = &mut self.nodes[index(node)];
        let Some(minds) = minds else { return };
        minds.shards[0].on_worker_message(now, link, message, &mut minds.shard_out);
        minds.drain_shard(CoreId(0), replies);
        self.work(node);
    }

    /// A worker's connection to a node has ended.
    pub(super) fn worker_gone(&mut self, node: NodeId, link: WorkerLink) {
        let now = self.now;
        if let Some(minds) = &mut self.nodes[index(node)].minds {
            minds.shards[0].on_worker_link_down(now, link, &mut minds.shard_out);
            self.work(node);
        }
    }

    /// Gossip doubts that a worker lives, or no longer does.
    pub(super) fn suspect(&mut self, node: NodeId, worker: base::WorkerId, is_suspected: bool) {
        let now = self.now;
        if let Some(minds) = &mut self.nodes[index(node)].minds {
            let out = &mut minds.shard_out;
            minds.shards[0].on_worker_suspected(now, worker, is_suspected, out);
            self.work(node);
        }
    }

    /// A node's gossip tells who is there.
    pub(super) fn tell_everybody(&mut self, node: NodeId, everybody: Everybody) {
        if let Some(minds) = &mut self.nodes[index(node)].minds {
            minds.consensus.on_everybody(everybody);
        }
    }

    /// What a node has told over a connection since it was asked last.
    pub(super) fn heard(&mut self, node: NodeId, link: WorkerLink) -> Vec<ToWorker> {
        let Some(minds) = &mut self.nodes[index(node)].minds else { return Vec::new() };
        let told = minds.to_workers.extract_if(.., |(of, _)| *of == link);
        told.map(|(_, message)| message).collect()
    }

    pub(super) fn reply(&self, node: NodeId, request: u64) -> Option<(u16, String)> {
        self.nodes[index(node)].replies.get(&request).cloned()
    }

    /// Posts a message, and waits until it is accepted: its id.
    pub(super) fn accepted(&mut self, node: NodeId, key: Option<&str>, body: &str) -> String {
        let request = self.post(node, 0, key, body);
        self.until("the message is answered", |world| world.reply(node, request).is_some());
        let (status, text) = self.reply(node, request).unwrap();
        assert_eq!(status, 202, "{text}");
        message_id(&text)
    }

    /// The whole state of a node: images of the globals and of all partitions.
    pub(super) fn state(&self, node: NodeId) -> Vec<Vec<u8>> {
        let minds = self.nodes[index(node)].minds.as_ref().expect("it is up");
        let mut partitions: Vec<_> =
            minds.shards.iter().flat_map(super::super::shard::ShardCore::partitions).collect();
        partitions.sort_by_key(|partition| partition.id());
        let images = partitions.into_iter().map(super::super::partition::Partition::image);
        std::iter::once(minds.shards[0].globals().image()).chain(images).collect()
    }

    /// Waits until all nodes that are up have applied the same, and compares them.
    pub(super) fn settle(&mut self) {
        self.until("all have applied the same", |world| {
            let up = world.nodes.iter().filter_map(|node| node.minds.as_ref());
            let mut applied = up.flat_map(|minds| minds.shards.iter().map(ShardCore::applied));
            let first = applied.next();
            applied.all(|other| Some(other) == first)
        });
        let up: Vec<NodeId> =
            self.nodes.iter().filter(|node| node.minds.is_some()).map(|node| node.id).collect();
        for other in &up[1..] {
            assert_eq!(self.state(up[0]), self.state(*other), "nodes {} and {other}", up[0]);
        }
    }

    /// Answers whatever a node may have asked another so far.
    pub(super) fn answer_all(&mut self, from: NodeId, to: NodeId, body: &Bytes) {
        let now = self.now_at(to);
        let node = &mut self.nodes[index(to)];
        let boot = BootId(node.boot);
        let minds = node.minds.as_mut().expect("it is up");
        for ticket in 0..1_000 {
            let message = PeerMessage::Answer { boot, ticket, body: body.clone() };
            minds.consensus.on_peer(now, from, store(from), message, &mut minds.consensus_out);
        }
        self.work(to);
    }

    /// Carries a node on until it has nothing more to do at this moment.
    fn work(&mut self, id: NodeId) {
        let now = self.now_at(id);
        let due = now.instant + Duration::from_millis(self.delay_ms);
        let node = &mut self.nodes[index(id)];
        let mut sent = Vec::new();
        node.work(now, &mut sent);
        for (to, message) in sent {
            if !self.cut.contains(&(id, to)) {
                self.mail.push_back((due, id, to, message));
            }
        }
        for (ticket, address) in std::mem::take(&mut self.nodes[index(id)].probes) {
            let is_there =
                |node: &&Node| node.minds.is_some() && node.address.as_ref() == Some(&address);
            let there = self.nodes.iter().find(is_there);
            let found = there.map(|node| Probed {
                node: node.id,
                store: store(node.id),
                cluster: node.cluster,
            });
            let found = found.ok_or_else(|| "connection refused".to_owned());
            let minds = self.nodes[index(id)].minds.as_mut().expect("it asked just now");
            minds.consensus.on_probed(now, ticket, found, &mut minds.consensus_out);
            self.work(id);
        }
    }
}

pub(super) fn message_id(text: &str) -> String {
    let (_, rest) = text.split_once("\"message_id\":\"").unwrap();
    rest[..16].to_owned()
}
