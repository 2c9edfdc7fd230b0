//! The group: Raft's rules from the library, order and durability from us.

mod clock;
mod failover;
mod flow;
mod members;
mod persist;
mod reads;
mod snapshots;
#[cfg(test)]
mod tests;

pub use clock::Timing;
pub use members::ProposeError;
pub use reads::ReadError;

use crate::effect::{Effect, Progress, Role, Status};
use crate::entry::{Entry, HardState};
use crate::filter::{Dropped, Filter};
use crate::membership::Membership;
use crate::message::{AppendAnswer, Message};
use crate::window::{SnapshotMark, Window};
use base::{BootId, NodeId, Outbox, Prng, StoreId};
use bytes::Bytes;
use clock::{Clock, WINDOW_FACTOR_MAX};
use failover::Failover;
use flow::Flows;
use persist::Persisting;
use raft::prelude as library;
use raft::{ProgressState, RawNode, StateRole};
use reads::Reads;
use snapshots::Snapshots;
use std::collections::VecDeque;

/// Entries in one message. A larger entry goes alone. Unit: bytes.
pub const MESSAGE_BYTES_MAX: u64 = 1024 * 1024;

/// Messages with entries on their way to one follower. With small entries it covers a round trip of
/// 50 ms at one per heartbeat's fraction; with large ones the bytes bound it first.
const MESSAGES_IN_FLIGHT_MAX: usize = 128;

/// What a follower may hold and not have applied before it takes no more entries. Unit: bytes.
pub const LAG_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Applied entries kept in memory for followers, so that one which lags by seconds costs the disk
/// nothing. Unit: bytes.
const TAIL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Committed entries handed out per step. Unit: bytes. Bounds the work of one step, not the log.
const COMMITTED_BYTES_PER_STEP: u64 = 16 * 1024 * 1024;

/// What a group starts from.
#[derive(Debug)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// This run of it: contexts of reads are never those of a run before.
    pub boot: BootId,
    /// Who belongs to the group as of `applied`; empty for a node that waits to be added.
    pub membership: Membership,
    /// Decides every random choice.
    pub seed: u64,
    /// When to send heartbeats, and when to miss them.
    pub timing: Timing,
    /// The term and vote as recovered, and the commit index, never above what is durable.
    pub hard_state: HardState,
    /// Index and term of the last entry that was applied before this start. Nothing at or below
    /// it is handed out again.
    pub applied: (u64, u64),
    /// Where each term begins in the log up to `applied`: index, term, in order. The first is where
    /// the journal begins: the last entry that it no longer has. `[applied]` says that it has nothing
    /// below.
    pub terms: Vec<(u64, u64)>,
    /// Every recovered entry above `applied`, in order.
    pub entries: Vec<Entry>,
    /// The newest durable snapshot, for followers that need one.
    pub snapshot: Option<SnapshotMark>,
    /// Up to there this node may have acknowledged entries that its journal has lost (SOUNDNESS 2):
    /// it neither votes nor stands before its log reaches there again. 0 when nothing was lost.
    pub whole_through: u64,
}

impl Config {
    /// A node with nothing in its journal yet.
    pub fn new(node: NodeId, store: StoreId, membership: Membership) -> Self {
        Self {
            node,
            store,
            boot: BootId(0),
            membership,
            seed: 0,
            timing: Timing::default(),
            hard_state: HardState::default(),
            applied: (0, 0),
            terms: vec![(0, 0)],
            entries: Vec::new(),
            snapshot: None,
            whole_through: 0,
        }
    }
}

/// Why the lead was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// Only a leader hands over.
    #[error("this node does not lead")]
    NotLeader,
    /// Only to a voter.
    #[error("node {to} is no other voter")]
    NoVoter {
        /// Whom.
        to: NodeId,
    },
    /// Nobody was heard of lately.
    #[error("no other voter was heard of lately")]
    Nobody,
}

/// One Raft group of which this node is a member, or waits to be.
pub struct Group {
    node: NodeId,
    store: StoreId,
    raw: RawNode<Window>,
    membership: Membership,
    /// The members since the last snapshot: from which index on, who.
    history: VecDeque<(u64, Membership)>,
    clock: Clock,
    persisting: Persisting,
    failover: Failover,
    flows: Flows,
    reads: Reads,
    snapshots: Snapshots,
    whole_through: u64,
    drops: [u64; Dropped::ALL.len()],
    reported: Option<(StateRole, u64, u64)>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Group {
    /// A group as it was left. A lone voter should be told to [`Group::on_campaign`] at once.
    pub fn new(config: Config) -> Self {
        let own = config.membership.member(config.node);
        assert!(
            own.is_none_or(|own| own.store == config.store),
            "a log names the store that it lies in"
        );
        let last = config.entries.last().map_or(config.applied.0, |entry| entry.index);
        assert!(config.hard_state.commit <= last, "the stored commit is at most what is durable");
        let hard_state = library::HardState {
            term: config.hard_state.term,
            vote: config.hard_state.vote,
            commit: config.hard_state.commit.max(config.applied.0),
            ..Default::default()
        };
        let entries: Vec<_> = config.entries.into_iter().map(Entry::into_library).collect();
        let window = Window::new(
            hard_state,
            config.membership.clone(),
            config.applied,
            config.terms,
            &entries,
            config.snapshot,
        );
        let timing = config.timing;
        let options = raft::Config {
            id: config.node.0,
            heartbeat_tick: timing.heartbeat_ticks,
            election_tick: timing.election_ticks,
            min_election_tick: timing.election_ticks,
            max_election_tick: WINDOW_FACTOR_MAX * timing.election_ticks,
            applied: config.applied.0,
            check_quorum: true,
            pre_vote: true,
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: MESSAGES_IN_FLIGHT_MAX,
            max_committed_size_per_ready: COMMITTED_BYTES_PER_STEP,
            ..Default::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&options, window, &logger)
            .expect("the configuration is constant and the window was checked");
        let mut group = Self {
            node: config.node,
            store: config.store,
            raw,
            history: VecDeque::from([(config.applied.0, config.membership.clone())]),
            membership: config.membership,
            clock: Clock::new(timing, Prng::new(config.seed)),
            persisting: Persisting::new((config.hard_state.term, config.hard_state.vote), last),
            failover: Failover::default(),
            flows: Flows::default(),
            reads: Reads::new(config.node, config.boot),
            snapshots: Snapshots::default(),
            whole_through: config.whole_through,
            drops: [0; Dropped::ALL.len()],
            reported: None,
        };
        group.on_members_changed();
        group
    }

    /// One tick of 10 ms went by.
    pub fn on_tick(&mut self, out: &mut Outbox<Effect>) {
        self.clock.on_tick();
        if self.failover.on_tick() {
            self.campaign_in_rank();
        }
        self.snapshots.on_tick(&mut self.raw);
        if self.reads.on_tick(out) {
            self.reads.retry();
        }
        if self.raw.raft.promotable() && !self.may_campaign() {
            // A leader counts its own ticks with the same number, and may always campaign.
            self.raw.raft.election_elapsed = 0;
        }
        self.clock.settle(&mut self.raw.raft);
        self.raw.tick();
        self.hand_over_again();
        self.step(out);
    }

    /// The caller's own ticks came `ticks` late. Elections wait the longer for it, for a while: who
    /// cannot keep its own time does not see whether the leader keeps its.
    pub fn on_late(&mut self, ticks: u64) {
        self.clock.on_late(ticks);
    }

    /// Asks for the leadership now, without waiting for a timeout.
    pub fn on_campaign(&mut self, out: &mut Outbox<Effect>) {
        if self.may_campaign() {
            self.campaign();
        }
        self.step(out);
    }

    /// A message of a peer. `store` is that of its sender. What cannot be true is dropped: it is
    /// counted, and the reason is returned for a log line.
    pub fn on_message(
        &mut self,
        from: NodeId,
        store: StoreId,
        message: Message,
        out: &mut Outbox<Effect>,
    ) -> Result<(), Dropped> {
        let filter = Filter {
            node: self.node,
            store: self.store,
            raft: &self.raw.raft,
            membership: &self.membership,
            whole: self.is_whole(),
            lagging: self.raw.store().bytes_unapplied() > LAG_BYTES_MAX,
            waiting: self.persisting.is_waiting(),
        };
        if let Err(reason) = filter.check(from, store, &message) {
            self.count(reason);
            return Err(reason);
        }
        if message.is_of_a_leader() && message.term() >= self.raw.raft.term {
            self.failover.cancel();
        }
        match message {
            Message::AppendEntries(append) if self.membership.is_empty() => {
                self.ask_for_snapshot(from, append.term, append.index);
            }
            Message::InstallSnapshot(offer) => self.on_offer(from, offer, out),
            Message::Heartbeat { term, commit, context }
                if commit > self.raw.raft.raft_log.last_index() =>
            {
                // It leads, and it is wrong about us: our log lost what we once acknowledged. It
                // will find out by the entries it sends, if it may go on sending them.
                self.count(Dropped::BeyondLog);
                self.feed(from, Message::Heartbeat { term, commit: 0, context });
            }
            Message::AppendEntriesResponse(answer) => {
                self.on_answer(from, &answer);
                self.feed(from, Message::AppendEntriesResponse(answer));
            }
            message => {
                if matches!(message, Message::RequestVote(_) | Message::PreVote(_)) {
                    self.failover.give_way();
                }
                self.feed(from, message);
            }
        }
        self.step(out);
        Ok(())
    }

    /// Proposes one batch, and says at which index. It comes back in [`Effect::Committed`] at that
    /// index and in this term once it is durable on a majority; or something else does, if this
    /// node loses the lead.
    pub fn on_propose(
        &mut self,
        data: Bytes,
        out: &mut Outbox<Effect>,
    ) -> Result<u64, ProposeError> {
        self.check_may_propose()?;
        // `RawNode::propose` takes a Vec; a message keeps the shared buffer without a copy.
        let mut message = library::Message::default();
        message.set_msg_type(library::MessageType::MsgPropose);
        message.from = self.raw.raft.id;
        message.set_entries(vec![library::Entry { data, ..Default::default() }].into());
        self.raw.raft.step(message).expect("a leader that hands nothing over takes every proposal");
        let index = self.raw.raft.raft_log.last_index();
        self.step(out);
        Ok(index)
    }

    /// Everything up to `index` is durable on this node: of the log as the last [`Effect::Append`]
    /// left it. News of the journal are to be handed on before it is given further entries, or an
    /// index might mean an entry that was superseded.
    pub fn on_durable(&mut self, index: u64, out: &mut Outbox<Effect>) {
        self.persisting.on_durable(index);
        self.release(out);
        self.step(out);
    }

    /// The vote of the last [`Effect::Vote`] is durable.
    pub fn on_vote_durable(&mut self, out: &mut Outbox<Effect>) {
        self.on_vote_kept(out);
        self.step(out);
    }

    /// Everything up to `index` was applied, on every core.
    pub fn on_applied(&mut self, index: u64) {
        self.raw.mut_store().on_applied(index);
    }

    /// The journal gave entries from `from` on, in order, as [`Effect::EntriesWanted`] asked;
    /// none if it no longer has them.
    pub fn on_entries_fetched(&mut self, from: u64, entries: Vec<Entry>, out: &mut Outbox<Effect>) {
        let entries = entries.into_iter().map(Entry::into_library).collect();
        for context in self.raw.mut_store().on_fetched(from, entries) {
            self.raw.on_entries_fetched(context);
        }
        self.raw.mut_store().forget_fetched();
        self.step(out);
    }

    /// What was sent to this node lately is lost: its link broke, or its queue was full.
    pub fn on_peer_unreachable(&mut self, node: NodeId, out: &mut Outbox<Effect>) {
        self.raw.report_unreachable(node.0);
        self.flows.forget(node.0, &mut self.raw.raft);
        self.snapshots.on_unreachable(node.0, &mut self.raw);
        self.step(out);
    }

    /// Reads may be answered from the state at a certain index: [`Effect::ReadState`] says at which,
    /// once the leader has made sure that it still leads. `context` is the caller's, and comes back.
    pub fn on_read(&mut self, context: u64, out: &mut Outbox<Effect>) -> Result<(), ReadError> {
        self.reads.push(context)?;
        self.step(out);
        Ok(())
    }

    /// Hands the lead over, to the node given or to the one that has most of the log. No proposal is
    /// taken meanwhile; an election timeout later it is over, with or without success.
    pub fn on_transfer(
        &mut self,
        to: Option<NodeId>,
        out: &mut Outbox<Effect>,
    ) -> Result<NodeId, TransferError> {
        if self.raw.raft.state != StateRole::Leader {
            return Err(TransferError::NotLeader);
        }
        let to = match to {
            Some(to) => to,
            None => self.successor().ok_or(TransferError::Nobody)?,
        };
        if to == self.node || !self.membership.voters().any(|voter| voter == to) {
            return Err(TransferError::NoVoter { to });
        }
        self.raw.transfer_leader(to.0);
        self.step(out);
        Ok(to)
    }

    /// Whether this node is handing the lead over: nothing is proposed meanwhile.
    pub fn is_handing_over(&self) -> bool {
        self.raw.raft.lead_transferee.is_some()
    }

    /// The leader's process is gone: its connection was reset, and a new one refused. Forgets that
    /// leader and stands for election after those with a lower number (SOUNDNESS 22).
    pub fn on_leader_gone(&mut self, node: NodeId, out: &mut Outbox<Effect>) {
        let raft = &mut self.raw.raft;
        if raft.state != StateRole::Follower || raft.leader_id != node.0 || !raft.promotable() {
            return;
        }
        let others = self.membership.members().map(|(member, _)| member);
        let others = others.filter(|member| self.membership.is_voter(*member) && *member != node);
        let rank = others.take_while(|member| *member < self.node).count();
        if !self.failover.on_leader_gone(raft.term, rank, self.clock.ticks()) {
            return;
        }
        let term = raft.term;
        raft.become_follower(term, raft::INVALID_ID);
        if self.failover.on_tick() {
            self.campaign_in_rank();
        }
        self.step(out);
    }

    /// A look at the group.
    pub fn status(&self) -> Status {
        let raft = &self.raw.raft;
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        };
        Status {
            role,
            term: raft.term,
            leader: raft.leader_id,
            commit: raft.raft_log.committed,
            last: raft.raft_log.last_index(),
        }
    }

    /// Who belongs to the group, by what is committed here.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Who belonged to the group as of `index`, which is not below the last snapshot.
    pub fn membership_at(&self, index: u64) -> Option<&Membership> {
        let after = self.history.partition_point(|(from, _)| *from <= index);
        Some(&self.history.get(after.checked_sub(1)?)?.1)
    }

    /// Whether this node's log has all that it ever acknowledged, and is not just being replaced by
    /// a snapshot. Otherwise it neither votes nor stands.
    pub fn is_whole(&self) -> bool {
        self.persisting.durable() >= self.whole_through && !self.is_being_replaced()
    }

    /// Whether a snapshot is taking the place of state and log: from when it was fetched until
    /// [`Group::on_snapshot_installed`]. What this node has applied itself is of no use meanwhile.
    pub fn is_being_replaced(&self) -> bool {
        self.snapshots.restoring.is_some() || self.persisting.is_installing()
    }

    /// The ticks after which an election starts without a leader: at least, and less than. They
    /// grow with this node's own lateness.
    pub fn election_window(&self) -> (usize, usize) {
        self.clock.window()
    }

    /// Below so many ticks this node waits for a silent leader: more while it runs late itself.
    pub fn election_timeout_max(&self) -> usize {
        self.clock.window().1
    }

    /// How many messages were dropped, and why.
    pub fn drops(&self) -> impl ExactSizeIterator<Item = (Dropped, u64)> + '_ {
        Dropped::ALL.into_iter().zip(self.drops.iter().copied())
    }

    /// How far the others are; empty unless this node leads.
    pub fn progress(&self) -> Vec<Progress> {
        if self.raw.raft.state != StateRole::Leader {
            return Vec::new();
        }
        let others = self.membership.members().filter(|(node, _)| *node != self.node);
        let progress = |(node, _): (NodeId, _)| {
            let progress = self.raw.raft.prs().get(node.0)?;
            Some(Progress {
                node,
                matched: progress.matched,
                active: progress.recent_active,
                needs_snapshot: progress.state == ProgressState::Snapshot,
                in_flight_bytes: self.flows.in_flight_bytes(node.0),
            })
        };
        others.filter_map(progress).collect()
    }

    fn count(&mut self, reason: Dropped) {
        self.drops[reason as usize] += 1;
    }

    /// Hands a message to the library.
    fn feed(&mut self, from: NodeId, message: Message) {
        let message = message.into_library(from.0, self.node.0);
        if self.raw.step(message).is_err() {
            // An answer of somebody whom the library does not follow.
            self.count(Dropped::Stranger);
        }
    }

    /// An answer to entries, before the library sees it.
    fn on_answer(&mut self, from: NodeId, answer: &AppendAnswer) {
        if self.raw.raft.state != StateRole::Leader || answer.term != self.raw.raft.term {
            return;
        }
        if answer.reject {
            self.flows.forget(from.0, &mut self.raw.raft);
        } else {
            self.flows.on_acknowledged(from.0, answer.index, &mut self.raw.raft);
            self.snapshots.on_acknowledged(from.0, answer.index, &mut self.raw);
        }
    }

    /// Carries the library on until it has nothing more to say.
    fn step(&mut self, out: &mut Outbox<Effect>) {
        loop {
            while !self.persisting.is_waiting() && self.raw.has_ready() {
                self.take_ready(out);
            }
            if !self.leave_joint() && !self.reads.start(&mut self.raw) {
                break;
            }
        }
        self.tell_what_is_wanted(out);
    }

    fn report_role(&mut self, out: &mut Outbox<Effect>) {
        let raft = &self.raw.raft;
        let role = (raft.state, raft.term, raft.leader_id);
        if self.reported == Some(role) {
            return;
        }
        if self.reported.is_none_or(|(_, term, _)| term != raft.term) {
            self.failover.cancel();
        }
        self.reported = Some(role);
        self.flows.clear(&mut self.raw.raft);
        self.snapshots.on_role_changed();
        self.reads.retry();
        if self.raw.raft.state != StateRole::Leader {
            self.raw.mut_store().forget_wanted();
        }
        out.push(Effect::Role(self.status()));
    }

    /// Whether this node may stand: it is a voter, its log is whole, and, when its vote alone
    /// decides, durable: the library leads on the spot then, and expects it so.
    fn may_campaign(&self) -> bool {
        if self.raw.raft.state == StateRole::Leader {
            return true;
        }
        let log = &self.raw.raft.raft_log;
        self.raw.raft.promotable()
            && self.is_whole()
            && (!self.membership.is_lone_voter(self.node) || log.last_index() == log.persisted)
    }

    fn campaign(&mut self) {
        self.raw.campaign().expect("the library takes it, or leaves the role as it is");
    }

    fn campaign_in_rank(&mut self) {
        let raft = &self.raw.raft;
        let stands = matches!(raft.state, StateRole::Follower | StateRole::PreCandidate);
        if stands && raft.leader_id == raft::INVALID_ID && self.may_campaign() {
            self.campaign();
        } else {
            self.failover.cancel();
        }
    }

    /// The voter that has most of the log, of those heard of lately.
    fn successor(&self) -> Option<NodeId> {
        let others = self.progress().into_iter().filter(|progress| {
            progress.active && self.membership.voters().any(|voter| voter == progress.node)
        });
        // Of equals the lowest number.
        let most = others.rev().max_by_key(|progress| progress.matched);
        most.map(|progress| progress.node)
    }

    /// The order to stand may be lost on its way: it is given again with each tick, while the
    /// successor has everything.
    fn hand_over_again(&mut self) {
        let raft = &mut self.raw.raft;
        if let Some(to) = raft.lead_transferee
            && raft.state == StateRole::Leader
            && raft.prs().get(to).is_some_and(|to| to.matched == raft.raft_log.last_index())
        {
            raft.send_timeout_now(to);
        }
    }
}
