//! Linearisable reads by ReadIndex, Safe mode only: the leader asks a majority whether it still leads
//! (SOUNDNESS 22: no leases, the ranked pre-vote would break them).
//!
//! The library drops early reads and repeated contexts without a word. So all reads that wait share
//! one round with a context of its own (node, boot, counter); what gets no answer is asked again
//! under a new one. An answer to a round is one to every read that was asked with it or before: where
//! the way takes longer than the pause between rounds, each round would give up the one before it,
//! and no read be answered at all.

use crate::effect::Effect;
use crate::filter::READ_CONTEXT_BYTES;
use crate::window::Window;
use base::{BootId, NodeId, Outbox};
use raft::{RawNode, StateRole};
use std::collections::VecDeque;

/// A round without an answer is asked again after this many ticks: two heartbeats.
const RETRY_TICKS: u64 = 10;

/// Reads wait this long for an index, in ticks: a second, longer than an election takes.
const EXPIRE_TICKS: u64 = 100;

/// Reads that may wait. The callers' own bounds are far below.
const READS_MAX: usize = 1 << 16;

/// Why a read was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// See the number.
    #[error("{waiting} reads wait already: at most {READS_MAX}")]
    TooMany {
        /// How many wait.
        waiting: usize,
    },
}

#[derive(Debug)]
struct Read {
    context: u64,
    since: u64,
    /// The first round that it was asked in; 0 before.
    round: u64,
}

#[derive(Debug)]
pub(crate) struct Reads {
    node: NodeId,
    boot: BootId,
    counter: u64,
    ticks: u64,
    /// In no round yet.
    waiting: VecDeque<Read>,
    /// In the round under way.
    asked: Vec<Read>,
    /// Since when there is a round, and its context.
    round: Option<(u64, [u8; READ_CONTEXT_BYTES])>,
}

impl Reads {
    pub(crate) fn new(node: NodeId, boot: BootId) -> Self {
        Self {
            node,
            boot,
            counter: 0,
            ticks: 0,
            waiting: VecDeque::new(),
            asked: Vec::new(),
            round: None,
        }
    }

    pub(crate) fn push(&mut self, context: u64) -> Result<(), ReadError> {
        let waiting = self.waiting.len() + self.asked.len();
        if waiting >= READS_MAX {
            return Err(ReadError::TooMany { waiting });
        }
        self.waiting.push_back(Read { context, since: self.ticks, round: 0 });
        Ok(())
    }

    /// Starts a round if some read waits, none is under way, and somebody can answer; true if so.
    pub(crate) fn start(&mut self, raw: &mut RawNode<Window>) -> bool {
        if self.waiting.is_empty() || self.round.is_some() {
            return false;
        }
        let raft = &raw.raft;
        let answerable = match raft.state {
            StateRole::Leader => raft.commit_to_current_term(),
            StateRole::Follower => raft.leader_id != raft::INVALID_ID,
            StateRole::Candidate | StateRole::PreCandidate => false,
        };
        if !answerable {
            return false;
        }
        self.counter += 1;
        let context = self.context(self.counter);
        for mut read in self.waiting.drain(..) {
            if read.round == 0 {
                read.round = self.counter;
            }
            self.asked.push(read);
        }
        self.round = Some((self.ticks, context));
        raw.read_index(context.to_vec());
        true
    }

    /// The library has an answer, to the round under way or to one before it.
    pub(crate) fn on_state(&mut self, index: u64, context: &[u8], out: &mut Outbox<Effect>) {
        let Some(round) = self.round_of(context) else { return };
        let is_answered = |read: &mut Read| read.round != 0 && read.round <= round;
        // Who was asked before waits in front.
        while let Some(read) = self.waiting.pop_front_if(is_answered) {
            out.push(Effect::ReadState { context: read.context, index });
        }
        for read in self.asked.extract_if(.., is_answered) {
            out.push(Effect::ReadState { context: read.context, index });
        }
        self.round.take_if(|(_, now)| now == context);
    }

    /// The number of one of this run's rounds.
    fn round_of(&self, context: &[u8]) -> Option<u64> {
        let round = u64::from_le_bytes(*context.get(16..)?.first_chunk()?);
        let is_ours = context == self.context(round) && (1..=self.counter).contains(&round);
        is_ours.then_some(round)
    }

    fn context(&self, round: u64) -> [u8; READ_CONTEXT_BYTES] {
        let mut context = [0; READ_CONTEXT_BYTES];
        context[..8].copy_from_slice(&self.node.0.to_le_bytes());
        context[8..16].copy_from_slice(&self.boot.0.to_le_bytes());
        context[16..].copy_from_slice(&round.to_le_bytes());
        context
    }

    /// True when the round under way is to be given up.
    pub(crate) fn on_tick(&mut self, out: &mut Outbox<Effect>) -> bool {
        self.ticks += 1;
        if self.waiting.is_empty() && self.asked.is_empty() {
            return false;
        }
        let now = self.ticks;
        let expired = |read: &Read| now - read.since >= EXPIRE_TICKS;
        for read in self.asked.extract_if(.., |read| expired(read)) {
            out.push(Effect::ReadExpired { context: read.context });
        }
        while let Some(read) = self.waiting.pop_front_if(|read| expired(read)) {
            out.push(Effect::ReadExpired { context: read.context });
        }
        self.round.is_some_and(|(since, _)| now - since >= RETRY_TICKS)
    }

    /// The round under way gets no answer: its reads wait for the next.
    pub(crate) fn retry(&mut self) {
        self.round = None;
        for read in self.asked.drain(..).rev() {
            self.waiting.push_front(read);
        }
    }
}
