//! The mind of the consensus core: session batches in, one replicated log out.
//!
//! It joins session batches into entries, proposes them to the group, has the journal make them
//! durable, hands what is committed to every shard, makes the log's time, and decides when a
//! snapshot is taken and what of the journal may go. Where it does not lead, it sends its shards'
//! batches to whoever does (docs/decisions/0018).
//!
//! Invariants:
//! - nothing is proposed on a node that does not lead, nor without room for it in the journal
//!   (SOUNDNESS 3, 11);
//! - entries reach every shard in the log's order, none left out;
//! - the lag between what is handed out and what every shard has applied is bounded;
//! - the journal is compacted only below a snapshot that is durable (SOUNDNESS 21).

mod batcher;
mod checksums;
mod clocks;
mod ingress;
mod members;
mod peers;
mod reads;
mod replay;
mod requests;
mod snapshots;
mod space;
mod transfers;

#[cfg(test)]
mod tests;

pub use replay::{Left, Replay};
pub use snapshots::SnapshotEffect;
pub use transfers::{FetchEffect, ReadBack};

use crate::batch::join;
use crate::clock::StampClock;
use crate::cluster::{Demand, Everybody};
use crate::message::{
    Answer, Committed, ConsensusStatus, Part, PreparedSections, Question, ToConsensus, ToShard,
};
use crate::metrics::ConsensusMetrics;
use crate::peer::PeerMessage;
use base::{Address, BootId, CoreId, Instant, NodeId, Now, Outbox, StoreId, UnixMicros};
use batcher::{Batcher, Gathered};
use bytes::Bytes;
use checksums::Checksums;
use clocks::Clocks;
use ingress::Ingress;
use journal::{Buffers, Journal, Token};
use members::{Confirmed, Members};
use quorum::{Entry, EntryKind, Group, HardState, Membership, Role, SnapshotMark, Status};
use reads::Reads;
use replay::stamp_of;
use requests::{Asker, Requests};
use snapshots::Snapshots;
use space::Space;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;
use transfers::Transfers;

/// One tick of Raft.
const TICK: Duration = Duration::from_millis(10);
/// A late wake-up counts at most so many ticks: a paused process must not call an election before
/// it has looked at its mail.
const LATE_TICKS_MAX: u32 = 2;
/// Between two entries made for time alone. Timers are this exact.
const TIME_ENTRY_INTERVAL: Duration = Duration::from_millis(5);
/// Handed out and not yet applied on every shard. Unit: bytes. More waits in the log.
const UNAPPLIED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest request's records, about. Unit: bytes.
const LARGEST_REQUEST_BYTES: u64 = 2 * base::limits::BATCH_BYTES_MAX as u64;
/// Headers that an entry adds to its sections in the journal. Unit: bytes, rounded up.
const ENTRY_HEADERS_BYTES: u64 = 8 * 1024;

/// What a consensus core is told at its start.
#[derive(Clone, Debug)]
pub struct ConsensusConfig {
    /// This node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// The run: greater than every earlier run's of this data directory.
    pub boot: BootId,
    /// The members that the group was founded with; nobody for a node that waits to be added.
    pub founded: Membership,
    /// Where the other coordinators reach this node; none where there are none to reach it.
    pub address: Option<Address>,
    /// How many shards there are.
    pub shards: u16,
    /// Decides every random choice.
    pub seed: u64,
    /// A snapshot is taken when the journal is larger. Unit: bytes.
    pub snapshot_journal_bytes: u64,
}

/// What a node starts from, after its journal was read.
#[derive(Debug)]
pub struct Start<A: Buffers> {
    /// The journal, its tail on the way to a new segment.
    pub journal: Journal<A>,
    /// What the journal wanted done first.
    pub first: Outbox<journal::Effect<A::Buffer>>,
    /// Term and vote as they were left.
    pub term: u64,
    /// See `term`.
    pub vote: u64,
    /// The commit index, never above what is durable.
    pub commit: u64,
    /// What reading the journal has left.
    pub left: Left,
    /// The snapshot the node started from, and its size in bytes.
    pub snapshot: Option<(SnapshotMark, u64)>,
    /// Up to there the journal may have lost what this node acknowledged (SOUNDNESS 2); 0 when it
    /// is whole.
    pub whole_through: u64,
}

/// An order to whoever drives the consensus core.
#[derive(Debug)]
pub enum ConsensusEffect<B> {
    /// To the journal's files.
    Journal(journal::Effect<B>),
    /// To a shard.
    ToShard {
        /// Which.
        to: CoreId,
        /// What.
        message: ToShard,
    },
    /// To the snapshot files.
    Snapshot(SnapshotEffect),
    /// To the file of a snapshot that another node sends.
    Fetch(FetchEffect),
    /// Read these entries back from the journal's files; then
    /// [`ConsensusCore::on_entries_read`].
    ReadEntries(ReadBack),
    /// Read so much of the newest snapshot's file, less at its end; then
    /// [`ConsensusCore::on_snapshot_read`].
    ReadSnapshot {
        /// For whom.
        to: NodeId,
        /// The snapshot's index.
        index: u64,
        /// Where to begin. Unit: bytes.
        offset: u64,
        /// How much.
        bytes: usize,
    },
    /// To another coordinator. It may be lost; what is sent to one arrives in order while the link
    /// lives.
    Peer {
        /// Which.
        to: NodeId,
        /// What.
        message: PeerMessage,
    },
    /// Exchange hellos with whoever is at the address, to learn who it is; then
    /// [`ConsensusCore::on_probed`].
    Probe {
        /// Repeated in the answer.
        ticket: u64,
        /// Where.
        address: Address,
    },
    /// Who belongs to the group: at the start, and whenever somebody comes, goes or moves. Links are
    /// kept to all of them, and to nobody else; what was ordered before goes out first.
    Members(Membership),
    /// Something an operator should see.
    Notice(String),
}

/// Why a node does not know who is there.
const NO_GOSSIP: &str = "this node takes no gossip: start it with --gossip ADDRESS";

/// The mind of the consensus core.
#[derive(Debug)]
pub struct ConsensusCore<A: Buffers> {
    config: ConsensusConfig,
    group: Group,
    journal: Journal<A>,
    ingress: Ingress,
    batcher: Batcher,
    clock: StampClock,
    clocks: Clocks,
    snapshots: Snapshots,
    transfers: Transfers,
    reads: Reads,
    requests: Requests,
    checksums: Checksums,
    members: Members,
    /// As the driver's gossip said last: for those who ask.
    everybody: Everybody,
    metrics: ConsensusMetrics,
    leading: bool,
    term: u64,
    /// Messages of peers that were not listened to.
    dropped: u64,
    /// The operator was told that the disk is full.
    warned: bool,
    space: Space,
    stopping: bool,
    /// The last index proposed or recovered.
    last_proposed: u64,
    /// When entries were proposed, for the commit's duration.
    proposed_at: VecDeque<(u64, Instant)>,
    /// What was made ready of the changes in entries on their way, by index and term.
    prepared: VecDeque<(u64, u64, PreparedSections)>,
    /// Per shard: what it has applied, when its next timer is due.
    shards: Vec<Shard>,
    /// Handed out and not yet applied everywhere: index, bytes.
    unapplied: VecDeque<(u64, usize)>,
    unapplied_bytes: usize,
    /// Where each term begins in the log, from the last snapshot's on: index, term.
    terms: VecDeque<(u64, u64)>,
    delivered: (u64, u64),
    applied: u64,
    next_tick: Instant,
    last_time_entry: Option<Instant>,
    group_out: Outbox<quorum::Effect>,
    journal_out: Outbox<journal::Effect<A::Buffer>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shard {
    applied: u64,
    wake: Option<UnixMicros>,
}

impl<A: Buffers> ConsensusCore<A> {
    /// A node that continues where its journal ends.
    pub fn new(config: ConsensusConfig, start: Start<A>, now: Now) -> Self {
        let Left { delivered, stamp, tail, membership, terms } = start.left;
        let last = tail.last().map_or(delivered.0, |entry| entry.index);
        let (mark, bytes) = start.snapshot.unzip();
        let snapshot = (mark.as_ref().map_or(0, |mark| mark.index), bytes.unwrap_or(0));
        let group = Group::new(quorum::Config {
            boot: config.boot,
            seed: config.seed,
            hard_state: HardState { term: start.term, vote: start.vote, commit: start.commit },
            applied: delivered,
            terms: terms.clone(),
            entries: tail,
            snapshot: mark,
            whole_through: start.whole_through,
            ..quorum::Config::new(config.node, config.store, membership)
        });
        let shard = Shard { applied: delivered.0, ..Shard::default() };
        Self {
            group,
            journal: start.journal,
            ingress: Ingress::default(),
            batcher: Batcher::default(),
            clock: StampClock::new(stamp),
            clocks: Clocks::default(),
            snapshots: Snapshots::new(snapshot, config.snapshot_journal_bytes),
            transfers: Transfers::default(),
            reads: Reads::default(),
            requests: Requests::default(),
            checksums: Checksums::default(),
            members: Members::default(),
            everybody: Err(Cow::Borrowed(NO_GOSSIP)),
            metrics: ConsensusMetrics::new(),
            leading: false,
            term: start.term,
            dropped: 0,
            warned: false,
            space: Space::default(),
            stopping: false,
            last_proposed: last,
            proposed_at: VecDeque::new(),
            prepared: VecDeque::new(),
            shards: vec![shard; usize::from(config.shards)],
            unapplied: VecDeque::new(),
            unapplied_bytes: 0,
            terms: terms.into(),
            delivered,
            applied: delivered.0,
            next_tick: now.instant + TICK,
            last_time_entry: None,
            group_out: Outbox::new(),
            journal_out: start.first,
            config,
        }
    }

    /// Takes office if this node is the only voter: it needs nobody's leave. Any other finds out who
    /// leads, and up to where the log was acknowledged.
    pub fn on_start(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        // A compaction that a stop cut short is not remembered.
        self.journal.compact(self.snapshots.last_index(), &mut self.journal_out);
        self.on_members(self.delivered.0, out);
        if self.group.membership().is_lone_voter(self.config.node) {
            self.group.on_campaign(&mut self.group_out);
        } else {
            self.catch_up();
        }
        self.pump(now, out);
    }

    /// A shard's message.
    pub fn on_packet(
        &mut self,
        now: Now,
        from: CoreId,
        message: ToConsensus,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        match message {
            ToConsensus::Submit { number, round, records, section, prepared } => {
                self.on_submit(now, from, (number, round), (records, section, prepared), out);
            }
            ToConsensus::Wake { due } => self.shards[usize::from(from.0)].wake = due,
            ToConsensus::Applied { index } => self.on_applied(from, index),
            ToConsensus::Image { part, applied, partitions, bytes } => {
                self.on_image(part, (applied, partitions), &bytes, out);
            }
            ToConsensus::Demand { ticket, demand } => {
                self.on_demand(now, Asker::Client { core: from, ticket }, demand, out);
                self.pump(now, out);
            }
            ToConsensus::Validated { ticket, result } => self.on_validated(ticket, result, out),
            ToConsensus::Compare { ticket } => self.on_compare(now, from, ticket, out),
            ToConsensus::Hashed { of, sums } => self.on_hashed(of, sums, out),
            ToConsensus::View { ticket } => {
                let by = Asker::Viewer { core: from, ticket };
                self.on_demand(now, by, Demand::Progress, out);
            }
            ToConsensus::ReadIndex { ticket } => self.on_read(now, from, ticket, out),
            ToConsensus::Ask { ticket, question } => {
                let answer = self.answer(&question);
                let message = ToShard::Answer { ticket, from: None, answer };
                out.push(ConsensusEffect::ToShard { to: from, message });
            }
        }
    }

    /// The end of a round of inputs: entries are made of what was gathered.
    pub fn on_flush(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        self.propose(now, out);
        self.snapshots.consider(
            self.journal.bytes(),
            self.may_take_snapshot().then_some(self.applied),
            self.config.shards,
            out,
        );
        self.hand_over_at_stop(now, out);
        self.hand_over_when_full(now, out);
    }

    /// A journal effect was carried out.
    pub fn on_journal_done(
        &mut self,
        now: Now,
        token: Token,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        self.journal.on_done(now.instant, token, &mut self.journal_out);
        self.warned &= self.journal.is_disk_full();
        self.pump(now, out);
    }

    /// There was no space for a new segment.
    pub fn on_prepare_failed(
        &mut self,
        now: Now,
        token: Token,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        self.journal.on_prepare_failed(now.instant, token, &mut self.journal_out);
        if !self.warned {
            self.warned = true;
            out.push(ConsensusEffect::Notice(format!(
                "no space for another journal segment: {} bytes are left before new messages are \
                 refused; free space in the data directory's file system",
                self.journal.room()
            )));
        }
        self.pump(now, out);
    }

    /// The last snapshot effect was carried out.
    pub fn on_snapshot_done(
        &mut self,
        now: Now,
        result: Result<(), String>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if let Some(through) = self.snapshots.on_done(now.instant, result, out) {
            self.group.on_snapshot_taken(through);
            self.group.on_compacted(through);
            self.journal.compact(through, &mut self.journal_out);
            self.snapshots.on_compacted(self.journal.bytes());
            while self.terms.get(1).is_some_and(|(first, _)| *first <= through) {
                self.terms.pop_front();
            }
        }
        self.pump(now, out);
    }

    /// When to call [`Self::on_deadline`]. Only what could then be done counts: what waits for a
    /// disk or a shard is woken by their answer.
    pub fn deadline(&self, now: Now) -> Instant {
        let mut next = self.next_tick;
        let mut at_most = |due: Option<Instant>| next = due.map_or(next, |due| next.min(due));
        at_most(self.journal.deadline());
        at_most(self.snapshots.deadline());
        if self.may_propose() {
            at_most(self.batcher.deadline());
            at_most(self.time_entry_due(now).filter(|_| self.is_idle()));
        }
        next
    }

    /// The deadline has come.
    pub fn on_deadline(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let late = now.instant.since(self.next_tick).as_millis() / TICK.as_millis();
        if late > 0 {
            self.group.on_late(u64::try_from(late).unwrap_or(u64::MAX));
        }
        let mut ticks = 0;
        while self.next_tick <= now.instant {
            self.next_tick = self.next_tick + TICK;
            ticks += 1;
            if ticks <= LATE_TICKS_MAX {
                self.group.on_tick(&mut self.group_out);
            } else {
                self.next_tick = self.next_tick.max(now.instant);
            }
        }
        if self.journal.deadline().is_some_and(|due| due <= now.instant) {
            self.journal.on_deadline(now.instant, &mut self.journal_out);
        }
        self.snapshots.on_deadline(now.instant);
        self.move_if_elsewhere(now, out);
        self.check_requests(now, out);
        self.check_comparison(now, out);
        self.tell_clock(now, out);
        self.pump(now, out);
        self.on_flush(now, out);
    }

    /// Who is there by this node's gossip. Whoever asks for the group is told so, too.
    pub fn on_everybody(&mut self, everybody: Everybody) {
        self.everybody = everybody;
    }

    /// The node stops. One that leads takes no more session batches, and hands the lead over once
    /// what it took is committed.
    pub fn on_stop(&mut self) {
        self.stopping = true;
    }

    /// Whether everything taken is durable and handed out, and somebody else leads where there is
    /// somebody else.
    pub fn is_drained(&self) -> bool {
        let alone = self.group.membership().is_lone_voter(self.config.node);
        self.batcher.is_empty() && self.is_idle() && (alone || !self.leading)
    }

    /// The core's metric cells, for what its driver counts.
    pub fn metrics(&self) -> &ConsensusMetrics {
        &self.metrics
    }

    /// Whether the largest request would still be taken.
    fn has_space(&self) -> bool {
        !self.journal.is_disk_full() || self.journal.room() >= LARGEST_REQUEST_BYTES
    }

    fn on_applied(&mut self, from: CoreId, index: u64) {
        let shard = &mut self.shards[usize::from(from.0)];
        shard.applied = shard.applied.max(index);
        let applied = self.shards.iter().map(|shard| shard.applied).min().unwrap_or(index);
        if applied <= self.applied {
            return;
        }
        self.applied = applied;
        while let Some(&(index, bytes)) = self.unapplied.front()
            && index <= applied
        {
            self.unapplied_bytes -= bytes;
            self.unapplied.pop_front();
        }
        self.group.on_applied(applied);
    }

    /// Every node takes its own; not while it is being given another's.
    fn may_take_snapshot(&self) -> bool {
        (self.leading || self.leader().is_some()) && !self.group.is_being_replaced()
    }

    fn on_image(
        &mut self,
        part: Part,
        (applied, partitions): (u64, u16),
        bytes: &[u8],
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if self.group.is_being_replaced() {
            // It is of a state that goes, and of members that are not known any more.
            self.snapshots.abandon(out);
        }
        if !self.snapshots.wants(applied) {
            return;
        }
        let at = (applied, self.term_of(applied));
        let members = self.group.membership_at(applied);
        let members = members.expect("members are known from the last snapshot on");
        self.snapshots.on_image(part, at, partitions, bytes, members, out);
    }

    /// Whoever leads, as far as this node knows.
    fn leader(&self) -> Option<NodeId> {
        let leader = self.group.status().leader;
        (leader != 0).then_some(NodeId(leader))
    }

    /// What was proposed is the next leader's, or nobody's: the sessions send it again.
    fn forget_proposals(&mut self, last: u64) {
        self.batcher.clear();
        self.ingress.close();
        self.proposed_at.clear();
        self.prepared.clear();
        self.last_proposed = last;
    }

    /// A stopping leader hands over once everything it took is committed.
    fn hand_over_at_stop(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let done = self.batcher.is_empty() && self.delivered.0 >= self.last_proposed;
        if self.stopping && self.leading && done && !self.group.is_handing_over() {
            // With nobody to follow, whoever drives the stop loses patience at last.
            if self.group.on_transfer(None, &mut self.group_out).is_ok() {
                self.pump(now, out);
            }
        }
    }

    /// The term of an entry that was handed out since the last snapshot.
    fn term_of(&self, index: u64) -> u64 {
        let found = self.terms.iter().rev().find(|(first, _)| *first <= index);
        found.expect("terms are kept from the last snapshot on").1
    }

    /// Nothing proposed is on its way to the disk.
    fn is_idle(&self) -> bool {
        self.journal.durable() >= self.last_proposed
    }

    /// Whether an entry could be made at all.
    fn may_propose(&self) -> bool {
        self.leading
            && !self.group.is_handing_over()
            && self.unapplied_bytes < UNAPPLIED_BYTES_MAX
            && (self.is_idle() || self.journal.writes_in_flight() < 2)
            && self.journal.room() >= ENTRY_HEADERS_BYTES
    }

    fn propose(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        while self.may_propose() {
            let time_is_due =
                self.is_idle() && self.time_entry_due(now).is_some_and(|due| due <= now.instant);
            let batch_is_due =
                !self.batcher.is_empty() && (self.is_idle() || self.batcher.is_due(now.instant));
            let is_confirming = self.members.confirmed == Confirmed::Due;
            if !time_is_due && !batch_is_due && !is_confirming {
                break;
            }
            self.last_time_entry = Some(now.instant);
            let Gathered { sections, records, prepared } = self.batcher.take();
            self.metrics.batch_records.observe(records);
            let data = join(self.clock.stamp(self.agreed_now(now)), &sections);
            self.last_proposed = self
                .group
                .on_propose(data, &mut self.group_out)
                .expect("a leader that hands nothing over takes every proposal");
            self.on_proposed(self.last_proposed);
            self.proposed_at.push_back((self.last_proposed, now.instant));
            if !prepared.is_empty() {
                self.prepared.push_back((self.last_proposed, self.group.status().term, prepared));
            }
            self.pump(now, out);
        }
    }

    /// When an entry must be made for time alone: some shard has a timer.
    fn time_entry_due(&self, now: Now) -> Option<Instant> {
        let due = self.shards.iter().filter_map(|shard| shard.wake).min()?;
        if !self.leading || self.stopping {
            return None;
        }
        let at = now.instant + self.clock.until(due, self.agreed_now(now));
        Some(match self.last_time_entry {
            Some(last) => at.max(last + TIME_ENTRY_INTERVAL),
            None => at,
        })
    }

    /// Carries group and journal on until neither has anything more to say.
    fn pump(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        while !self.group_out.is_empty() || !self.journal_out.is_empty() {
            for effect in self.group_out.take() {
                self.on_group_effect(now, effect, out);
            }
            for effect in self.journal_out.take() {
                match effect {
                    journal::Effect::Durable { through } => self.on_durable(through),
                    journal::Effect::VoteDurable => {
                        self.group.on_vote_durable(&mut self.group_out);
                    }
                    effect => out.push(ConsensusEffect::Journal(effect)),
                }
            }
        }
        self.settle_requests(out);
        self.tell_members(out);
    }

    fn on_group_effect(
        &mut self,
        now: Now,
        effect: quorum::Effect,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        match effect {
            quorum::Effect::Vote { term, vote } => {
                self.journal.on_vote(term, vote, &mut self.journal_out);
            }
            quorum::Effect::Append { entries, commit } => {
                for entry in entries.iter().filter(|_| !self.leading) {
                    // What another leader has said must not be undercut when this node leads.
                    if let Ok(Some(stamp)) = stamp_of(entry.kind, &entry.data) {
                        self.clock.on_applied(stamp);
                    }
                }
                let entries: Vec<journal::Entry> = entries.into_iter().map(to_journal).collect();
                self.last_proposed = entries.last().map_or(self.last_proposed, |last| last.index);
                self.journal.on_append(now.instant, entries, commit, &mut self.journal_out);
            }
            quorum::Effect::Committed { entries } => self.deliver(now, entries, out),
            quorum::Effect::Role(status) => self.on_role(now, &status, out),
            quorum::Effect::Send { to, message } => {
                Self::send(to, PeerMessage::Raft(message), out);
            }
            quorum::Effect::Membership { index, .. } => self.on_members(index, out),
            quorum::Effect::ReadState { context, index } => {
                self.on_read_answered(context, Some(index), out);
            }
            quorum::Effect::ReadExpired { context } => self.on_read_answered(context, None, out),
            quorum::Effect::EntriesWanted { from, through, bytes } => {
                self.on_entries_wanted((from, through), bytes, out);
            }
            quorum::Effect::SnapshotWanted { .. } => self.snapshots.want(),
            quorum::Effect::FetchSnapshot { from, index, term, membership } => {
                self.on_offer(from, (index, term), membership, out);
            }
            quorum::Effect::InstallSnapshot { index, .. } => {
                self.on_members(index, out);
                self.on_install(index, out);
            }
        }
    }

    fn on_durable(&mut self, through: u64) {
        if self.transfers.journal_behind.take_if(|index| *index == through).is_some() {
            self.group.on_snapshot_installed(through, &mut self.group_out);
        } else {
            self.group.on_durable(through, &mut self.group_out);
        }
    }

    fn on_role(&mut self, now: Now, status: &Status, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let Status { term, leader, last, .. } = *status;
        let leading = status.role == Role::Leader;
        let is_new = (leading, term) != (self.leading, self.term);
        if self.leading && is_new {
            self.forget_proposals(last);
            self.members.confirmed = Confirmed::Yes;
        }
        if leading && is_new {
            self.clock.on_office(self.agreed_now(now));
            self.metrics.leader_changes.increment();
        }
        (self.leading, self.term) = (leading, term);
        let leader = (leader != 0).then_some(NodeId(leader));
        self.tell_all(out, || ToShard::Role { leading, term, leader });
        self.on_lead_changed(now, out);
    }

    fn deliver(
        &mut self,
        now: Now,
        entries: Vec<Entry>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let mut committed = Vec::with_capacity(entries.len());
        for entry in entries {
            assert_eq!(entry.index, self.delivered.0 + 1, "entries are handed out in order");
            if entry.term != self.delivered.1 {
                self.terms.push_back((entry.index, entry.term));
            }
            self.delivered = (entry.index, entry.term);
            self.unapplied.push_back((entry.index, entry.data.len()));
            self.unapplied_bytes += entry.data.len();
            while let Some(&(index, at)) = self.proposed_at.front()
                && index <= entry.index
            {
                self.metrics.commit_duration.observe_duration(now.instant.since(at));
                self.proposed_at.pop_front();
            }
            let prepared = self.prepared_of(entry.index, entry.term);
            let Entry { index, term, kind, mut data } = entry;
            if kind == EntryKind::Membership {
                self.before_change(index, out);
                // The group has put it in force; the state knows nothing of members.
                data = Bytes::new();
            }
            committed.push(Committed { index, term, data, prepared });
        }
        self.tell_all(out, || ToShard::Committed(committed.clone()));
    }

    /// What was made ready of an entry's changes. Index and term name an entry: another leader's
    /// under the same index is another.
    fn prepared_of(&mut self, index: u64, term: u64) -> PreparedSections {
        let mut found = PreparedSections::new();
        while let Some((at, of_term, _)) = self.prepared.front()
            && *at <= index
        {
            let is_this = (*at, *of_term) == (index, term);
            let (_, _, prepared) = self.prepared.pop_front().expect("the loop saw one");
            if is_this {
                found = prepared;
            }
        }
        found
    }

    fn tell_all(
        &self,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
        message: impl Fn() -> ToShard,
    ) {
        for to in (0..self.config.shards).map(CoreId) {
            out.push(ConsensusEffect::ToShard { to, message: message() });
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        let status = self.status();
        match question {
            Question::Metrics => {
                let metrics = &self.metrics;
                metrics.leading.set_count(u64::from(status.leading));
                let ticks = u32::try_from(self.group.election_timeout_max()).unwrap_or(u32::MAX);
                metrics.election_timeout_max.set((TICK * ticks).as_secs_f64());
                for (count, (_, dropped)) in metrics.messages_dropped.iter().zip(self.group.drops())
                {
                    count.advance_to(dropped);
                }
                metrics.term.set_count(status.term);
                metrics.commit.set_count(status.commit);
                metrics.applied.set_count(status.applied);
                metrics.journal_bytes.set_count(status.journal_bytes);
                metrics.waiting.set_count(self.batcher.len() as u64);
                Answer::Metrics(Box::new(metrics.registry().snapshot()))
            }
            Question::Status => Answer::Consensus(status),
            question => unreachable!("{question:?} is not for the consensus core"),
        }
    }

    /// How the group fares.
    pub fn status(&self) -> ConsensusStatus {
        let group = self.group.status();
        ConsensusStatus {
            leading: self.leading,
            leader: group.leader,
            term: group.term,
            commit: group.commit,
            applied: self.applied,
            has_space: self.has_space(),
            is_disk_full: self.journal.is_disk_full(),
            journal_bytes: self.journal.bytes(),
        }
    }
}

fn to_journal(entry: Entry) -> journal::Entry {
    journal::Entry {
        index: entry.index,
        term: entry.term,
        kind: entry.kind.code(),
        data: entry.data,
    }
}
