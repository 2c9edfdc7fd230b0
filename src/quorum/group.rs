//! The group: Raft's rules from the library, order and durability from us.

use crate::window::Window;
use base::{NodeId, Outbox, Prng};
use bytes::Bytes;
use raft::prelude as wire;
use raft::{RawNode, StateRole};
use std::collections::VecDeque;

/// Heartbeat every 5 ticks of 10 ms (RAFT-2).
const HEARTBEAT_TICKS: usize = 5;
/// Elections start after 15 to 30 ticks of 10 ms without a leader (RAFT-2).
const ELECTION_TICKS: usize = 15;
/// The upper end of the random election timeout, exclusive. It leaves room for the window to widen
/// with the node's own lateness, since the library asserts the bound given at construction.
const ELECTION_TICKS_MAX: usize = 120;
/// Committed entries handed out per step. Unit: bytes. Bounds the work of one step, not the log.
const COMMITTED_BYTES_PER_STEP: u64 = 16 * 1024 * 1024;

/// What a group starts from.
#[derive(Debug)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// The voters, this node among them.
    pub voters: Vec<NodeId>,
    /// Decides every random choice.
    pub seed: u64,
    /// The term and vote as recovered, and the commit index, never above what is durable.
    pub hard_state: HardState,
    /// Index and term of the last entry that was applied before this start. Nothing at or below
    /// it is handed out again.
    pub applied: (u64, u64),
    /// Every recovered entry above `applied`, in order.
    pub entries: Vec<Entry>,
}

/// What must survive a restart besides the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The current term.
    pub term: u64,
    /// Who got this node's vote in that term; 0 is nobody.
    pub vote: u64,
    /// The highest index known committed.
    pub commit: u64,
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A batch of records; empty when a leader took office.
    Normal,
    /// A change of the group's members.
    Membership,
}

impl EntryKind {
    /// The kind's number on disk.
    pub fn code(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Membership => 1,
        }
    }

    /// The kind with that number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Normal),
            1 => Some(Self::Membership),
            _ => None,
        }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 1.
    pub index: u64,
    /// The term of the leader that made it.
    pub term: u64,
    /// What it is for.
    pub kind: EntryKind,
    /// The batch. Empty where a new leader took office.
    pub data: Bytes,
}

/// What a node is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows, or does not know whom.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// A look at the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What this node is.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// The leader, 0 when unknown.
    pub leader: u64,
    /// The highest index known committed.
    pub commit: u64,
    /// The last index of the log.
    pub last: u64,
}

/// An order to whoever drives the group.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write term and vote, and make them durable before anything else of this group is done;
    /// then call [`Group::on_vote_durable`].
    Vote {
        /// The new term.
        term: u64,
        /// The vote in it.
        vote: u64,
    },
    /// Append these to the journal; call [`Group::on_durable`] once they are durable.
    Append {
        /// Contiguous; the first may supersede a suffix of the log.
        entries: Vec<Entry>,
        /// The commit index to write along.
        commit: u64,
    },
    /// Apply these, in order.
    Committed {
        /// Never handed out before in this run.
        entries: Vec<Entry>,
    },
    /// This node's role changed.
    Role(Status),
}

/// Why a proposal was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Never propose on a node that does not lead: the library would forward it silently.
    #[error("this node does not lead; the leader of term {term} is node {leader} (0: unknown)")]
    NotLeader {
        /// The current term.
        term: u64,
        /// Who leads, 0 when unknown.
        leader: u64,
    },
}

/// One Raft group of which this node is a voter.
pub struct Group {
    raw: RawNode<Window>,
    prng: Prng,
    /// Readies whose entries are on their way to the disk: (number, index that must be durable).
    persisting: VecDeque<(u64, u64)>,
    /// Entries that wait for the vote of their term.
    held: Option<Vec<Entry>>,
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
        assert!(config.voters.contains(&config.node), "a group's node is one of its voters");
        assert_eq!(config.voters.len(), 1, "groups of more voters need peer links");
        let last = config.entries.last().map_or(config.applied.0, |entry| entry.index);
        assert!(config.hard_state.commit <= last, "the stored commit is at most what is durable");
        let hard_state = wire::HardState {
            term: config.hard_state.term,
            vote: config.hard_state.vote,
            commit: config.hard_state.commit.max(config.applied.0),
            ..Default::default()
        };
        let conf_state = wire::ConfState {
            voters: config.voters.iter().map(|node| node.0).collect(),
            ..Default::default()
        };
        let entries = config.entries.into_iter().map(to_wire).collect();
        let window = Window::new(hard_state, conf_state, config.applied, entries);
        let options = raft::Config {
            id: config.node.0,
            heartbeat_tick: HEARTBEAT_TICKS,
            election_tick: ELECTION_TICKS,
            min_election_tick: ELECTION_TICKS,
            max_election_tick: ELECTION_TICKS_MAX,
            applied: config.applied.0,
            check_quorum: true,
            pre_vote: true,
            max_committed_size_per_ready: COMMITTED_BYTES_PER_STEP,
            ..Default::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&options, window, &logger)
            .expect("the configuration is constant and the window was checked");
        let mut group = Self {
            raw,
            prng: Prng::new(config.seed),
            persisting: VecDeque::new(),
            held: None,
            reported: None,
        };
        group.draw_election_timeout();
        group
    }

    /// One tick of 10 ms went by.
    pub fn on_tick(&mut self, out: &mut Outbox<Effect>) {
        self.raw.tick();
        self.step(out);
    }

    /// Asks for the leadership now, without waiting for a timeout.
    pub fn on_campaign(&mut self, out: &mut Outbox<Effect>) {
        // The only refusals are "leads already" and "may not vote": both leave the role as it is,
        // and the role is reported by the step below.
        self.raw.campaign().expect("a voter may campaign");
        self.step(out);
    }

    /// Proposes one batch. The entry comes back in [`Effect::Committed`] once it is durable on a
    /// majority.
    pub fn on_propose(
        &mut self,
        data: Bytes,
        out: &mut Outbox<Effect>,
    ) -> Result<(), ProposeError> {
        let status = self.status();
        if status.role != Role::Leader {
            return Err(ProposeError::NotLeader { term: status.term, leader: status.leader });
        }
        // `RawNode::propose` takes a Vec; a message keeps the shared buffer without a copy.
        let mut message = wire::Message::default();
        message.set_msg_type(wire::MessageType::MsgPropose);
        message.from = self.raw.raft.id;
        message.set_entries(vec![wire::Entry { data, ..Default::default() }].into());
        self.raw.raft.step(message).expect("a leader without limits takes every proposal");
        self.step(out);
        Ok(())
    }

    /// Everything up to `index` is durable on this node.
    pub fn on_durable(&mut self, index: u64, out: &mut Outbox<Effect>) {
        let mut number = None;
        while let Some(&(ready, needed)) = self.persisting.front()
            && needed <= index
            && self.held.is_none()
        {
            number = Some(ready);
            self.persisting.pop_front();
        }
        if let Some(number) = number {
            self.raw.on_persist_ready(number);
        }
        self.step(out);
    }

    /// The vote of the last [`Effect::Vote`] is durable.
    pub fn on_vote_durable(&mut self, out: &mut Outbox<Effect>) {
        let entries = self.held.take().expect("a vote was asked for");
        self.append(entries, out);
        self.on_durable(0, out);
    }

    /// Everything up to `index` was applied and Raft need not keep it.
    pub fn on_applied(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
        self.raw.mut_store().compact(index);
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

    fn step(&mut self, out: &mut Outbox<Effect>) {
        while self.held.is_none() && self.raw.has_ready() {
            let mut ready = self.raw.ready();
            assert!(
                ready.messages().is_empty() && ready.persisted_messages().is_empty(),
                "a lone voter sends no message"
            );
            let role = (self.raw.raft.state, self.raw.raft.term, self.raw.raft.leader_id);
            if self.reported != Some(role) {
                self.reported = Some(role);
                self.draw_election_timeout();
                out.push(Effect::Role(self.status()));
            }
            let entries = ready.take_entries();
            self.raw.mut_store().append(&entries);
            let needed = entries.last().map_or(0, |entry| entry.index);
            self.persisting.push_back((ready.number(), needed));
            let entries: Vec<Entry> = entries.into_iter().map(from_wire).collect();
            let vote = ready.hs().filter(|_| ready.must_sync()).map(|hs| (hs.term, hs.vote));
            let stored = &self.raw.store().hard_state;
            if let Some((term, vote)) = vote.filter(|v| *v != (stored.term, stored.vote)) {
                out.push(Effect::Vote { term, vote });
                self.held = Some(entries);
            } else {
                self.append(entries, out);
            }
            if let Some(hs) = ready.hs() {
                self.raw.mut_store().hard_state = hs.clone();
            }
            let committed: Vec<Entry> =
                ready.take_committed_entries().into_iter().map(from_wire).collect();
            if !committed.is_empty() {
                out.push(Effect::Committed { entries: committed });
            }
            self.raw.advance_append_async(ready);
            self.confirm_empty_readies();
        }
    }

    /// A ready without entries needs no disk: it counts as durable once all before it are.
    fn confirm_empty_readies(&mut self) {
        while self.held.is_none()
            && let Some(&(number, 0)) = self.persisting.front()
        {
            self.persisting.pop_front();
            self.raw.on_persist_ready(number);
        }
    }

    fn append(&mut self, entries: Vec<Entry>, out: &mut Outbox<Effect>) {
        if !entries.is_empty() {
            out.push(Effect::Append { entries, commit: self.raw.raft.raft_log.committed });
        }
    }

    fn draw_election_timeout(&mut self) {
        let spread = self.prng.below(ELECTION_TICKS as u64);
        let ticks = ELECTION_TICKS + usize::try_from(spread).expect("a small number");
        self.raw.raft.set_randomized_election_timeout(ticks);
    }
}

fn to_wire(entry: Entry) -> wire::Entry {
    let entry_type = match entry.kind {
        EntryKind::Normal => wire::EntryType::EntryNormal,
        EntryKind::Membership => wire::EntryType::EntryConfChangeV2,
    };
    wire::Entry {
        entry_type,
        index: entry.index,
        term: entry.term,
        data: entry.data,
        ..Default::default()
    }
}

fn from_wire(entry: wire::Entry) -> Entry {
    let kind = match entry.entry_type {
        wire::EntryType::EntryNormal => EntryKind::Normal,
        wire::EntryType::EntryConfChange | wire::EntryType::EntryConfChangeV2 => {
            EntryKind::Membership
        }
    };
    Entry { index: entry.index, term: entry.term, kind, data: entry.data }
}

#[cfg(test)]
mod tests;
