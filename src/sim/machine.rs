//! A machine of the world: a disk, a clock, a data directory's name, and the process on it.

use crate::clock::{Clock, ClockFaults};
use crate::disk::Disk;
use crate::node::{Event, Node, NodeConfig, Schedule, Who};
use base::{Address, BootId, CoreId, Instant, NodeId, Now, Prng, StoreId};
use engine::message::Packet;
use engine::{Membership, RequestId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is handed from one place to another and keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// Packets between two cores, apart for the consensus core, which shares core 0 with a shard.
    Cores(CoreId, CoreId, bool),
    /// The snapshot's file.
    Snapshot,
    /// The file of a snapshot that another node sends.
    Fetch,
}

/// A mind's deadline.
#[derive(Clone, Copy, Debug)]
enum Due {
    Consensus,
    Shard(CoreId),
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) name: NodeId,
    pub(crate) config: NodeConfig,
    pub(crate) disk: Disk,
    pub(crate) store: StoreId,
    /// Where others reach it.
    pub(crate) address: Address,
    /// Something on its disk was flipped: a start may find it.
    pub(crate) is_rotten: bool,
    /// When something was last written to its journal.
    pub(crate) written_at: Instant,
    /// The data directory is not the one that the group was founded with.
    pub(crate) is_wiped: bool,
    /// The present or last run of its process.
    pub(crate) boot: BootId,
    pub(crate) clock: Clock,
    pub(crate) node: Option<Node>,
    /// Until then the process does nothing.
    pub(crate) paused_until: Option<Instant>,
    /// Everything takes so many times as long.
    pub(crate) slowness: u64,
    /// So does everything on its disk, besides.
    pub(crate) disk_slowness: u64,
    /// The minds' next deadline, as they said after the last input.
    due: Option<(Instant, Due)>,
    lanes: BTreeMap<Lane, Instant>,
    seeds: Prng,
    delays: Prng,
    outside: Prng,
}

impl Machine {
    pub(crate) fn new(
        name: NodeId,
        config: NodeConfig,
        clocks: ClockFaults,
        mut prng: Prng,
    ) -> Self {
        Self {
            name,
            config,
            disk: Disk::default(),
            store: StoreId(prng.next_u64()),
            is_wiped: false,
            is_rotten: false,
            written_at: Instant(1),
            address: Address::parse(&format!("10.0.0.{}:9101", name.0)).expect("an address"),
            boot: BootId(0),
            clock: Clock::new(clocks, &mut prng.fork("clock")),
            node: None,
            paused_until: None,
            slowness: 1,
            disk_slowness: 1,
            due: None,
            lanes: BTreeMap::new(),
            seeds: prng.fork("seeds"),
            delays: prng.fork("delays"),
            outside: prng.fork("outside"),
        }
    }

    /// Whether somebody who asks now is answered at once.
    pub(crate) fn is_answering(&self, instant: Instant) -> bool {
        self.is_up() && self.paused_until.is_none_or(|until| until <= instant)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// The process, which runs.
    pub(crate) fn running(&self) -> &Node {
        self.node.as_ref().expect("the process runs")
    }

    /// Starts the process on what the disk holds.
    pub(crate) fn start(
        &mut self,
        instant: Instant,
        founded: &Membership,
        schedule: &mut Schedule<'_>,
    ) -> Result<(), String> {
        assert!(!self.is_up(), "one process at a time");
        self.boot = BootId(self.boot.0 + 1);
        let address = self.address.clone();
        let who = Who { node: self.name, store: self.store, boot: self.boot, address };
        // Whoever waits to be added knows no members.
        let nobody = Membership::default();
        let founded = if self.is_wiped { &nobody } else { founded };
        let (now, seed) = (self.clock.now(instant), self.seeds.next_u64());
        let node = Node::start(&self.config, &who, founded, &mut self.disk, now, seed, schedule)
            .map_err(|reason| {
                format!("start {} of {} was refused: {reason}", self.boot, who.node)
            })?;
        self.node = Some(node);
        self.plan(now);
        Ok(())
    }

    /// The data directory is gone; the next start makes another, which belongs to no group.
    pub(crate) fn wipe(&mut self) {
        self.disk = Disk::default();
        self.store = StoreId(self.seeds.next_u64());
        (self.is_wiped, self.is_rotten) = (true, false);
    }

    /// The process is gone. Its writes stay as far as they went.
    pub(crate) fn end(&mut self) {
        self.node = None;
        self.due = None;
        self.paused_until = None;
        self.lanes.clear();
        self.disk.abandon_snapshot();
    }

    /// When the process does something by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        let (at, _) = self.due?;
        Some(self.paused_until.map_or(at, |until| at.max(until)))
    }

    /// A mind's deadline has come.
    pub(crate) fn on_due(&mut self, instant: Instant, schedule: &mut Schedule<'_>) {
        let (_, due) = self.due.expect("something is due");
        let event = match due {
            Due::Consensus => Event::ConsensusDeadline,
            Due::Shard(core) => Event::ShardDeadline(core),
        };
        self.on_event(instant, event, schedule);
    }

    /// Something happens to the process.
    pub(crate) fn on_event(&mut self, instant: Instant, event: Event, schedule: &mut Schedule<'_>) {
        let now = self.clock.now(instant);
        if matches!(event, Event::Written { .. }) {
            self.written_at = instant;
        }
        let node = self.node.as_mut().expect("the process runs");
        node.on_event(now, event, &mut self.disk, &mut self.outside, schedule);
        self.plan(now);
    }

    /// A client's request reaches a core.
    pub(crate) fn request(
        &mut self,
        instant: Instant,
        (core, id): (CoreId, RequestId),
        request: &api::Request<'_>,
        schedule: &mut Schedule<'_>,
    ) {
        let now = self.clock.now(instant);
        let node = self.node.as_mut().expect("the process runs");
        node.request(now, core, id, request, schedule);
        self.plan(now);
    }

    /// A client's messages reach a core.
    pub(crate) fn submit(
        &mut self,
        instant: Instant,
        (core, id): (CoreId, RequestId),
        submission: &engine::Submission<'_>,
        schedule: &mut Schedule<'_>,
    ) {
        let now = self.clock.now(instant);
        let node = self.node.as_mut().expect("the process runs");
        node.submit(core, id, submission, schedule);
        self.plan(now);
    }

    fn plan(&mut self, now: Now) {
        let (consensus, shards) = self.running().deadlines(now);
        let mut first = (consensus, Due::Consensus);
        for (core, at) in shards {
            if at < first.0 {
                first = (at, Due::Shard(core));
            }
        }
        self.due = Some((first.0.max(now.instant), first.1));
    }

    /// When something that begins now is over: usually soon, now and then much later.
    pub(crate) fn time_of(&mut self, instant: Instant, event: &Event) -> Instant {
        // Unit: microseconds.
        let (usual, rare) = match event {
            Event::Packet { .. } => (30, 3_000),
            Event::Written { .. } => (150, 20_000),
            Event::Synced { .. } => (300, 100_000),
            Event::Prepared { .. } => (20_000, 1_000_000),
            Event::Snapshot(_) | Event::Fetch(_) => (5_000, 100_000),
            Event::ReadEntries(_) | Event::ReadSnapshot { .. } => (500, 30_000),
            Event::Probed { .. } => (1_000, 500_000),
            Event::Called { .. } => (20_000, 3_000_000),
            // Small changes, all rules at once, and everything that is behind on its thread.
            Event::Worked { .. } => (400, 250_000),
            Event::ShardRound(_) | Event::ConsensusRound => (5, 200),
            // A deadline has come, and the network has taken its time.
            Event::ConsensusDeadline
            | Event::Worker(..)
            | Event::WorkerGone(_)
            | Event::WorkerSuspected(..)
            | Event::ShardDeadline(_)
            | Event::Peer { .. }
            | Event::PeerUp(_)
            | Event::PeerDown(..) => (0, 0),
        };
        let most = if self.delays.chance(1, 50) { rare } else { usual };
        let is_disk = matches!(
            event,
            Event::Written { .. }
                | Event::Synced { .. }
                | Event::Prepared { .. }
                | Event::Snapshot(_)
                | Event::Fetch(_)
                | Event::ReadEntries(_)
                | Event::ReadSnapshot { .. }
        );
        let slowness = self.slowness * if is_disk { self.disk_slowness } else { 1 };
        let takes = self.delays.below(most + 1) * slowness;
        let at = instant + Duration::from_micros(takes);
        let lane = match event {
            Event::Packet { from, to, packet } => {
                Lane::Cores(*from, *to, matches!(packet, Packet::Consensus(_)))
            }
            Event::Snapshot(_) => Lane::Snapshot,
            Event::Fetch(_) => Lane::Fetch,
            _ => return at,
        };
        let last = self.lanes.entry(lane).or_insert(at);
        *last = (*last).max(at);
        *last
    }
}
