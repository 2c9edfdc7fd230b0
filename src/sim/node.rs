//! One node of the world: its minds, and what is on its way between them and the disk.

mod recovery;

pub use recovery::deliver;

use crate::checker::CHECKPOINT_ENTRIES;
use crate::disk::Disk;
use base::{
    Address, BootId, CoreId, Instant, NodeId, Now, Outbox, PartitionId, Prng, StoreId, WorkerId,
    hash64,
};
use bytes::Bytes;
use engine::cluster::Probed;
use engine::message::{Committed, Packet, ToShard};
use engine::peer::PeerMessage;
use engine::record::{Born, Change, Ended, Failed};
use engine::workers::{FromWorker, ToWorker, WorkerLink};
use engine::{
    Birth, ConsensusConfig, ConsensusCore, ConsensusEffect, FetchEffect, Membership, OrderId,
    ReadBack, RequestId, ShardConfig, ShardCore, ShardEffect, ShelfSum, SnapshotEffect, Submission,
    SubmitResults, Work, WorkersConfig,
};
use journal::{Effect, File, HeapBuffers, Token};
use recovery::recover;
use std::collections::BTreeMap;

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// How many shards.
    pub shards: u16,
    /// The catalogue of a new cluster.
    pub catalogue: Vec<Change>,
    /// The parameters of a new cluster.
    pub born: Born,
    /// The journal's segments. Unit: bytes.
    pub segment_bytes: u64,
    /// A snapshot is due above this. Unit: bytes.
    pub snapshot_journal_bytes: u64,
    /// How long a worker that says nothing is believed to be there. Unit: milliseconds.
    pub lease_ms: u32,
}

/// Something that will happen to a node.
#[derive(Debug)]
pub enum Event {
    /// A packet reaches a core.
    Packet {
        /// Who sent it.
        from: CoreId,
        /// For whom.
        to: CoreId,
        /// What.
        packet: Packet,
    },
    /// A write reaches the drive.
    Written {
        /// The journal's name for it.
        token: Token,
        /// The file.
        file: File,
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A sync ends.
    Synced {
        /// The journal's name for it.
        token: Token,
        /// The file.
        file: File,
        /// What it covers.
        covered: usize,
    },
    /// A segment's file is made.
    Prepared {
        /// The journal's name for it.
        token: Token,
        /// The slot.
        slot: u32,
        /// Its size.
        bytes: u64,
    },
    /// The snapshot files have done something.
    Snapshot(SnapshotEffect),
    /// The file of a snapshot that is being fetched has done something.
    Fetch(FetchEffect),
    /// Entries were read back.
    ReadEntries(ReadBack),
    /// A piece of the newest snapshot was read.
    ReadSnapshot {
        /// For whom.
        to: NodeId,
        /// The snapshot.
        index: u64,
        /// Where the piece begins.
        offset: u64,
        /// Its size at most.
        bytes: usize,
    },
    /// A peer's message.
    Peer {
        /// Whose.
        from: NodeId,
        /// Its data directory.
        store: StoreId,
        /// What.
        message: PeerMessage,
    },
    /// Who is at an address, or why nobody is.
    Probed {
        /// As it was asked.
        ticket: u64,
        /// Who.
        found: Result<Probed, String>,
    },
    /// There is a link to a peer.
    PeerUp(NodeId),
    /// There is none any more; a new one was refused, or was not tried.
    PeerDown(NodeId, bool),
    /// A call ended.
    Called {
        /// On which core.
        core: CoreId,
        /// Which.
        order: Box<flow::Order>,
    },
    /// A worker says something over its connection.
    Worker(WorkerLink, Box<FromWorker>),
    /// A worker's connection has ended.
    WorkerGone(WorkerLink),
    /// Gossip doubts that a worker is there, or no longer does.
    WorkerSuspected(WorkerId, bool),
    /// Work that a core ordered is done beside it.
    Worked {
        /// Which core's.
        core: CoreId,
        /// What it ordered.
        work: Work,
    },
    /// A shard's round ends.
    ShardRound(CoreId),
    /// The consensus core's round ends.
    ConsensusRound,
    /// The consensus core's deadline may have come.
    ConsensusDeadline,
    /// A shard's deadline may have come.
    ShardDeadline(CoreId),
}

/// Which process it is.
#[derive(Debug, Clone)]
pub struct Who {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// The run.
    pub boot: BootId,
    /// Where others reach it.
    pub address: Address,
}

/// What a node says to the world.
#[derive(Debug)]
pub enum Said {
    /// An answer to a client.
    Reply {
        /// Whose request.
        request: RequestId,
        /// The answer.
        response: api::Response,
    },
    /// What became of a client's messages.
    Submitted {
        /// Whose request.
        request: RequestId,
        /// What became of them.
        results: SubmitResults,
    },
    /// To a worker.
    ToWorker {
        /// Over which connection.
        link: WorkerLink,
        /// What.
        message: ToWorker,
    },
    /// An order went out: the term in which its shard was told that it leads, and what the shard
    /// has applied. For whoever checks.
    Ordered {
        /// None where the shard was told that it does not lead.
        leads: Option<u64>,
        /// The last entry applied.
        applied: u64,
    },
    /// The state of a part after an entry. For whoever checks.
    State {
        /// The entry.
        index: u64,
        /// The partition; none for the global part.
        part: Option<PartitionId>,
        /// Equal exactly where the state is.
        checksum: u64,
    },
    /// Who belongs to the group, as this node knows. For whoever checks.
    Members(Membership),
    /// The end of the process.
    Fatal(String),
}

/// How far an orderly stop has come: the shards first, then the log, as the real process does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    Shards,
    Log,
}

/// A running node.
pub struct Node {
    name: NodeId,
    consensus: ConsensusCore<HeapBuffers>,
    shards: Vec<ShardCore>,
    shard_out: Outbox<ShardEffect>,
    consensus_out: Outbox<ConsensusEffect<Vec<u8>>>,
    /// Calls that were withdrawn while under way.
    aborted: Vec<OrderId>,
    /// By core: the term in which it was told that it leads.
    leads: Vec<Option<u64>>,
    stopping: Stopping,
    /// By partition, what was hashed of it at the last checkpoint.
    sums: BTreeMap<PartitionId, ShelfSum>,
    /// Every entry handed to the shards in this run, in order.
    pub committed: Vec<Committed>,
}

/// Where a node puts what is to happen: the world gives each a time.
pub struct Schedule<'a> {
    /// What will happen.
    pub events: &'a mut Vec<Event>,
    /// What is said at once.
    pub said: &'a mut Vec<Said>,
    /// What is sent to other nodes.
    pub sent: &'a mut Vec<(NodeId, PeerMessage)>,
    /// Who is asked for: a ticket and an address.
    pub probes: &'a mut Vec<(u64, Address)>,
}

impl Node {
    /// Starts a node on what its disk holds, as the consensus role does.
    pub fn start(
        config: &NodeConfig,
        who: &Who,
        founded: &Membership,
        disk: &mut Disk,
        now: Now,
        seed: u64,
        schedule: &mut Schedule<'_>,
    ) -> Result<Self, String> {
        let mut shards: Vec<ShardCore> = (0..config.shards)
            .map(|core| {
                ShardCore::new(ShardConfig {
                    node: who.node,
                    boot: who.boot,
                    store: who.store,
                    core: CoreId(core),
                    shards: config.shards,
                    cpus: (0..u32::from(config.shards)).collect(),
                    program_version: "simulated",
                    started_at: now.instant,
                    birth: Birth { born: config.born.clone(), catalogue: config.catalogue.clone() },
                    workers: WorkersConfig {
                        lease_ms: config.lease_ms,
                        ..WorkersConfig::default()
                    },
                })
            })
            .collect();
        let (mut committed, mut kept) = (Vec::new(), Vec::new());
        let start = recover(
            config,
            who.store,
            founded,
            disk,
            now,
            &mut shards,
            (&mut committed, &mut kept),
        )?;
        let consensus_config = ConsensusConfig {
            node: who.node,
            store: who.store,
            boot: who.boot,
            founded: founded.clone(),
            address: Some(who.address.clone()),
            shards: config.shards,
            seed,
            snapshot_journal_bytes: config.snapshot_journal_bytes,
        };
        let mut node = Self {
            name: who.node,
            consensus: ConsensusCore::new(consensus_config, start, now),
            shards,
            shard_out: Outbox::new(),
            consensus_out: Outbox::new(),
            aborted: Vec::new(),
            leads: vec![None; usize::from(config.shards)],
            stopping: Stopping::No,
            sums: BTreeMap::new(),
            committed,
        };
        // What the shards said while they read the log waits for the mind.
        for (from, message) in kept {
            node.consensus.on_packet(now, from, message, &mut node.consensus_out);
        }
        node.consensus.on_start(now, &mut node.consensus_out);
        node.drain_consensus(disk, schedule);
        Ok(node)
    }

    /// A client's request reaches a core.
    pub fn request(
        &mut self,
        now: Now,
        core: CoreId,
        id: RequestId,
        request: &api::Request<'_>,
        schedule: &mut Schedule<'_>,
    ) {
        let route = api::route(request.method, request.path, request.query)
            .expect("the world asks what there is");
        let shard = &mut self.shards[usize::from(core.0)];
        shard.on_request(now, id, &route, request, &mut self.shard_out);
        schedule.events.push(Event::ShardRound(core));
        self.drain_shard(core, schedule);
    }

    /// A client's messages reach a core.
    pub fn submit(
        &mut self,
        core: CoreId,
        id: RequestId,
        submission: &Submission<'_>,
        schedule: &mut Schedule<'_>,
    ) {
        self.shards[usize::from(core.0)].on_submit(id, submission, &mut self.shard_out);
        schedule.events.push(Event::ShardRound(core));
        self.drain_shard(core, schedule);
    }

    /// Something happens.
    pub fn on_event(
        &mut self,
        now: Now,
        event: Event,
        disk: &mut Disk,
        prng: &mut Prng,
        schedule: &mut Schedule<'_>,
    ) {
        match event {
            Event::Packet { from, to, packet: Packet::Shard(message) } => {
                self.on_packet(now, from, to, message, schedule);
                schedule.events.push(Event::ShardRound(to));
            }
            Event::Packet { from, packet: Packet::Consensus(message), .. } => {
                self.consensus.on_packet(now, from, message, &mut self.consensus_out);
                schedule.events.push(Event::ConsensusRound);
                self.drain_consensus(disk, schedule);
            }
            Event::Written { token, file, offset, bytes } => {
                disk.write(file, offset, &bytes);
                self.on_journal_done(now, token, disk, schedule);
            }
            Event::Synced { token, file, covered } => {
                disk.end_sync(file, covered);
                self.on_journal_done(now, token, disk, schedule);
            }
            Event::Prepared { token, slot, bytes } => {
                let bytes = usize::try_from(bytes).expect("a small segment");
                if disk.prepare(File::Segment(slot), bytes) {
                    self.consensus.on_journal_done(now, token, &mut self.consensus_out);
                } else {
                    self.consensus.on_prepare_failed(now, token, &mut self.consensus_out);
                }
                self.drain_consensus(disk, schedule);
            }
            Event::Snapshot(effect) => self.on_snapshot(now, effect, disk, schedule),
            Event::Fetch(effect) => self.on_fetch(now, effect, disk, schedule),
            Event::ReadEntries(wanted) => {
                let fails = prng.chance(disk.read_errors, 1_000);
                self.on_read_entries(now, &wanted, fails, disk, schedule);
            }
            Event::ReadSnapshot { to, index, offset, bytes } => {
                let bytes = if prng.chance(disk.read_errors, 1_000) { 0 } else { bytes };
                self.on_read_snapshot(now, to, (index, offset, bytes), disk, schedule);
            }
            Event::Peer { from, store, message } => {
                self.consensus.on_peer(now, from, store, message, &mut self.consensus_out);
                self.end_input(disk, schedule);
            }
            Event::Probed { ticket, found } => {
                self.consensus.on_probed(now, ticket, found, &mut self.consensus_out);
                self.end_input(disk, schedule);
            }
            Event::PeerUp(peer) => {
                self.consensus.on_peer_up(now, peer, &mut self.consensus_out);
                self.end_input(disk, schedule);
            }
            Event::PeerDown(peer, refused) => {
                self.consensus.on_peer_down(now, peer, refused, &mut self.consensus_out);
                self.end_input(disk, schedule);
            }
            Event::Worker(link, message) => {
                self.shards[0].on_worker_message(now, link, *message, &mut self.shard_out);
                self.end_of_worker(schedule);
            }
            Event::WorkerGone(link) => {
                self.shards[0].on_worker_link_down(now, link, &mut self.shard_out);
                self.end_of_worker(schedule);
            }
            Event::WorkerSuspected(worker, is_suspected) => {
                let out = &mut self.shard_out;
                self.shards[0].on_worker_suspected(now, worker, is_suspected, out);
                self.end_of_worker(schedule);
            }
            Event::Called { core, order } => self.on_called(core, &order, prng, schedule),
            Event::Worked { core, work } => {
                self.shards[usize::from(core.0)].on_worked(work.run(), &mut self.shard_out);
                schedule.events.push(Event::ShardRound(core));
                self.drain_shard(core, schedule);
            }
            Event::ShardRound(core) => {
                self.shards[usize::from(core.0)].on_flush(&mut self.shard_out);
                self.drain_shard(core, schedule);
            }
            Event::ConsensusRound => {
                self.consensus.on_flush(now, &mut self.consensus_out);
                self.drain_consensus(disk, schedule);
            }
            Event::ConsensusDeadline => {
                self.consensus.on_deadline(now, &mut self.consensus_out);
                self.drain_consensus(disk, schedule);
            }
            Event::ShardDeadline(core) => {
                self.shards[usize::from(core.0)].on_deadline(now, &mut self.shard_out);
                self.drain_shard(core, schedule);
            }
        }
    }

    /// Entries reach a shard up to each checkpoint on their own, so that its state can be looked at
    /// there.
    fn on_packet(
        &mut self,
        now: Now,
        from: CoreId,
        to: CoreId,
        message: ToShard,
        schedule: &mut Schedule<'_>,
    ) {
        let at = usize::from(to.0);
        let ToShard::Committed(mut entries) = message else {
            if let ToShard::Role { leading, term, .. } = &message {
                self.leads[at] = leading.then_some(*term);
            }
            if let ToShard::Restore { .. } = &message {
                // Its partitions are others from now on.
                self.sums.clear();
            }
            self.shards[at].on_packet(now, from, message, &mut self.shard_out);
            return self.drain_shard(to, schedule);
        };
        while !entries.is_empty() {
            let is_checkpoint = |entry: &Committed| entry.index.is_multiple_of(CHECKPOINT_ENTRIES);
            let checkpoint = entries.iter().position(is_checkpoint);
            let rest = entries.split_off(checkpoint.map_or(entries.len(), |at| at + 1));
            let last = entries.last().map(|entry| entry.index);
            let message = ToShard::Committed(std::mem::replace(&mut entries, rest));
            self.shards[at].on_packet(now, from, message, &mut self.shard_out);
            self.drain_shard(to, schedule);
            let shard = &self.shards[at];
            // A shard that waits for a change to be made ready is looked at another time.
            if checkpoint.is_some() && last == Some(shard.applied()) {
                let index = shard.applied();
                let checksum = hash64(&shard.globals().image());
                schedule.said.push(Said::State { index, part: None, checksum });
                // An image that a snapshot holds may be of a later entry than its globals.
                let there = shard.partitions().filter(|partition| partition.applied() <= index);
                schedule.said.extend(there.map(|partition| {
                    let sum = self.sums.entry(partition.id()).or_default();
                    let checksum = partition.checksum_again(sum);
                    Said::State { index, part: Some(partition.id()), checksum }
                }));
            }
        }
    }

    /// The process is told to stop, and its clients go away.
    pub fn on_stop(&mut self) {
        for shard in &mut self.shards {
            shard.on_stop();
        }
        self.stopping = Stopping::Shards;
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping != Stopping::No
    }

    /// Whether the process is to end: it was told to stop, and all is done in its order.
    pub fn is_stopped(&mut self) -> bool {
        if self.stopping == Stopping::Shards && self.shards.iter().all(ShardCore::is_drained) {
            self.consensus.on_stop();
            self.stopping = Stopping::Log;
        }
        self.stopping == Stopping::Log && self.consensus.is_drained()
    }

    /// Which node it is.
    pub fn name(&self) -> NodeId {
        self.name
    }

    /// Every partition, by the core that hosts it.
    pub fn partitions(&self) -> impl Iterator<Item = &engine::Partition> {
        self.shards.iter().flat_map(ShardCore::partitions)
    }

    /// The minds' next deadlines.
    pub fn deadlines(&self, now: Now) -> (Instant, Vec<(CoreId, Instant)>) {
        let shards = self.shards.iter().zip(0..);
        let due = shards.filter_map(|(shard, core)| Some((CoreId(core), shard.deadline()?)));
        (self.consensus.deadline(now), due.collect())
    }

    /// How the log fares.
    pub fn status(&self) -> engine::message::ConsensusStatus {
        self.consensus.status()
    }

    /// The shards, for whoever checks.
    pub fn shards(&self) -> &[ShardCore] {
        &self.shards
    }

    fn on_snapshot(
        &mut self,
        now: Now,
        effect: SnapshotEffect,
        disk: &mut Disk,
        schedule: &mut Schedule<'_>,
    ) {
        if disk.capacity.is_some() && !matches!(effect, SnapshotEffect::Abandon) {
            disk.abandon_written();
            let failed = Err("no space".to_owned());
            self.consensus.on_snapshot_done(now, failed, &mut self.consensus_out);
            return self.drain_consensus(disk, schedule);
        }
        match effect {
            SnapshotEffect::Begin { bytes } => disk.begin_snapshot(bytes),
            SnapshotEffect::Write { bytes } => disk.append_snapshot(&bytes),
            SnapshotEffect::Finish { index, bytes } => {
                disk.append_snapshot(&bytes);
                disk.name_snapshot(index);
            }
            SnapshotEffect::Abandon => return,
        }
        self.consensus.on_snapshot_done(now, Ok(()), &mut self.consensus_out);
        self.drain_consensus(disk, schedule);
    }

    fn on_journal_done(
        &mut self,
        now: Now,
        token: Token,
        disk: &mut Disk,
        schedule: &mut Schedule<'_>,
    ) {
        self.consensus.on_journal_done(now, token, &mut self.consensus_out);
        self.end_input(disk, schedule);
    }

    /// After an input of the consensus core: its round will end.
    fn end_input(&mut self, disk: &mut Disk, schedule: &mut Schedule<'_>) {
        schedule.events.push(Event::ConsensusRound);
        self.drain_consensus(disk, schedule);
    }

    fn on_read_entries(
        &mut self,
        now: Now,
        wanted: &ReadBack,
        fails: bool,
        disk: &mut Disk,
        schedule: &mut Schedule<'_>,
    ) {
        let file = disk.read(wanted.stretch.file());
        let begin = usize::try_from(wanted.stretch.offset()).expect("a small disk");
        let end = begin + usize::try_from(wanted.stretch.bytes()).expect("a small disk");
        let read = file.and_then(|file| file.get(begin..end));
        let read = read.filter(|_| !fails).ok_or_else(|| "the file is not to be read".to_owned());
        self.consensus.on_entries_read(now, wanted, read, &mut self.consensus_out);
        self.end_input(disk, schedule);
    }

    fn on_read_snapshot(
        &mut self,
        now: Now,
        to: NodeId,
        (index, offset, bytes): (u64, u64, usize),
        disk: &mut Disk,
        schedule: &mut Schedule<'_>,
    ) {
        let file = disk.snapshot().filter(|(at, _)| *at == index);
        let read = file.map(|(_, file)| {
            let begin = usize::try_from(offset).expect("a small disk").min(file.len());
            let end = (begin + bytes).min(file.len());
            (Bytes::copy_from_slice(&file[begin..end]), file.len() as u64)
        });
        self.consensus.on_snapshot_read(now, to, (index, offset), read, &mut self.consensus_out);
        self.end_input(disk, schedule);
    }

    fn on_fetch(
        &mut self,
        now: Now,
        effect: FetchEffect,
        disk: &mut Disk,
        schedule: &mut Schedule<'_>,
    ) {
        let done = match effect {
            FetchEffect::Write { .. } if disk.capacity.is_some() => Err("no space".to_owned()),
            FetchEffect::Write { offset, bytes } => {
                disk.write_fetched(offset, &bytes);
                Ok(None)
            }
            FetchEffect::Check { bytes } => {
                let file = disk.append_fetched(&bytes);
                let read = engine::snapshot::read(&Bytes::from(file));
                read.map(|snapshot| Some(Box::new(snapshot))).map_err(|error| error.to_string())
            }
            FetchEffect::Keep { index } => {
                disk.name_fetched(index);
                Ok(None)
            }
            FetchEffect::Abandon => unreachable!("it is done at once"),
        };
        self.consensus.on_fetch_done(now, done, &mut self.consensus_out);
        self.end_input(disk, schedule);
    }

    /// The outside world's part: a call succeeds, fails or fails for good.
    fn on_called(
        &mut self,
        core: CoreId,
        order: &flow::Order,
        prng: &mut Prng,
        schedule: &mut Schedule<'_>,
    ) {
        let id = OrderId::of(order);
        if let Some(at) = self.aborted.iter().position(|aborted| *aborted == id) {
            self.aborted.swap_remove(at);
            return;
        }
        let ended = match prng.below(10) {
            0..7 => Ended::Output(
                format!("{{\"status\":200,\"nonce\":{}}}", prng.below(1 << 40)).into_bytes(),
            ),
            7..9 => failed("http_503", true),
            _ => failed("http_400", false),
        };
        let shard = &mut self.shards[usize::from(core.0)];
        shard.on_call_ended(id, ended, &mut self.shard_out);
        schedule.events.push(Event::ShardRound(core));
        self.drain_shard(core, schedule);
    }

    /// After a word of a worker, which the first core alone hears.
    fn end_of_worker(&mut self, schedule: &mut Schedule<'_>) {
        schedule.events.push(Event::ShardRound(CoreId(0)));
        self.drain_shard(CoreId(0), schedule);
    }

    fn drain_shard(&mut self, core: CoreId, schedule: &mut Schedule<'_>) {
        while !self.shard_out.is_empty() {
            for effect in self.shard_out.take() {
                match effect {
                    ShardEffect::ToConsensus(message) => schedule.events.push(Event::Packet {
                        from: core,
                        to: CoreId(0),
                        packet: Packet::Consensus(message),
                    }),
                    ShardEffect::ToShard { to, message } => {
                        assert_ne!(to, core, "a shard never sends to itself");
                        let packet = Packet::Shard(message);
                        schedule.events.push(Event::Packet { from: core, to, packet });
                    }
                    ShardEffect::Reply { request, response } => {
                        schedule.said.push(Said::Reply { request, response });
                    }
                    ShardEffect::Submitted { request, results } => {
                        schedule.said.push(Said::Submitted { request, results });
                    }
                    ShardEffect::Call(order) => {
                        let at = usize::from(core.0);
                        let (leads, applied) = (self.leads[at], self.shards[at].applied());
                        schedule.said.push(Said::Ordered { leads, applied });
                        schedule.events.push(Event::Called { core, order });
                    }
                    ShardEffect::Abort(id) => {
                        self.aborted.push(id);
                        let shard = &mut self.shards[usize::from(core.0)];
                        shard.on_call_stopped(id, &mut self.shard_out);
                        schedule.events.push(Event::ShardRound(core));
                    }
                    ShardEffect::Work(work) => schedule.events.push(Event::Worked { core, work }),
                    ShardEffect::ToWorker { link, message } => {
                        schedule.said.push(Said::ToWorker { link, message });
                    }
                    ShardEffect::Log(_)
                    | ShardEffect::Note(_)
                    | ShardEffect::Notice(_)
                    | ShardEffect::Serving => {}
                    ShardEffect::Fatal(reason) => schedule.said.push(Said::Fatal(reason)),
                }
            }
        }
    }

    fn drain_consensus(&mut self, disk: &mut Disk, schedule: &mut Schedule<'_>) {
        for effect in self.consensus_out.take() {
            match effect {
                ConsensusEffect::ToShard { to, message } => {
                    if to == CoreId(0)
                        && let ToShard::Committed(entries) = &message
                    {
                        self.committed.extend(entries.iter().cloned());
                    }
                    let packet = Packet::Shard(message);
                    schedule.events.push(Event::Packet { from: CoreId(0), to, packet });
                }
                ConsensusEffect::Notice(_) => {}
                // The world's network reaches every node, whoever belongs to the group.
                ConsensusEffect::Members(members) => schedule.said.push(Said::Members(members)),
                ConsensusEffect::Probe { ticket, address } => {
                    schedule.probes.push((ticket, address));
                }
                ConsensusEffect::Snapshot(effect) => {
                    schedule.events.push(Event::Snapshot(effect));
                }
                ConsensusEffect::Journal(effect) => journal_event(effect, disk, schedule),
                ConsensusEffect::Peer { to, message } => schedule.sent.push((to, message)),
                ConsensusEffect::Fetch(FetchEffect::Abandon) => disk.abandon_fetched(),
                ConsensusEffect::Fetch(effect) => schedule.events.push(Event::Fetch(effect)),
                ConsensusEffect::ReadEntries(wanted) => {
                    schedule.events.push(Event::ReadEntries(wanted));
                }
                ConsensusEffect::ReadSnapshot { to, index, offset, bytes } => {
                    schedule.events.push(Event::ReadSnapshot { to, index, offset, bytes });
                }
            }
        }
    }
}

fn failed(code: &str, retryable: bool) -> Ended {
    let message = format!("the world says {code}");
    Ended::Failed(Failed { code: code.into(), message, retryable })
}

fn journal_event(effect: Effect<Vec<u8>>, disk: &mut Disk, schedule: &mut Schedule<'_>) {
    let event = match effect {
        Effect::Write { token, file, offset, bytes } => {
            Event::Written { token, file, offset, bytes }
        }
        Effect::Sync { token, file } => {
            Event::Synced { token, file, covered: disk.begin_sync(file) }
        }
        Effect::Prepare { token, slot, bytes } => Event::Prepared { token, slot, bytes },
        Effect::Remove { slot } => return disk.remove(File::Segment(slot)),
        Effect::Durable { .. } | Effect::VoteDurable => {
            unreachable!("the mind keeps these to itself")
        }
    };
    schedule.events.push(event);
}
