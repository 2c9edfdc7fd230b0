//! Proposals, and changes of members: made by the leader, in force on each node where the entry is
//! handed out.

use super::{Group, TAIL_BYTES_MAX};
use crate::effect::Effect;
use crate::entry::{Entry, EntryKind};
use crate::membership::{Change, ChangeError, Step};
use base::{NodeId, Outbox};
use raft::StateRole;
use raft::prelude as library;

/// A learner may be promoted when it lacks at most so many committed entries: what it lacks, the
/// next commit waits for.
const PROMOTE_LAG_MAX: u64 = 1_000;

/// Why a proposal was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Never propose on a node that does not lead: the library would forward it silently.
    #[error("this node does not lead; the leader of term {term} is node {leader} (0: unknown)")]
    NotLeader {
        /// The current term.
        term: u64,
        /// Who leads, 0 when unknown.
        leader: u64,
    },
    /// The lead is being handed over.
    #[error("the lead is being handed over to node {to}")]
    Transferring {
        /// To whom.
        to: NodeId,
    },
    /// One change of members at a time, and none before this term's first entry is committed.
    #[error("an earlier change of members is not finished")]
    ChangeUnderWay,
    /// The change cannot be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A new voter must have the log.
    #[error("node {node} has the log up to {matched} of {commit}: too far behind to vote")]
    Behind {
        /// Who.
        node: NodeId,
        /// Up to where it has the log.
        matched: u64,
        /// Up to where the log is committed.
        commit: u64,
    },
}

impl Group {
    /// Proposes a change of members, and says at which index. It is in force once
    /// [`Effect::Membership`] says so at that index. If the entry there turns out to be empty, the
    /// change was refused after all.
    pub fn on_propose_membership(
        &mut self,
        change: &Change,
        out: &mut Outbox<Effect>,
    ) -> Result<u64, ProposeError> {
        self.check_may_propose()?;
        if self.raw.raft.has_pending_conf() || self.membership.is_joint() {
            return Err(ProposeError::ChangeUnderWay);
        }
        if change.steps.is_empty() {
            return Err(ChangeError::Empty.into());
        }
        self.membership.changed(change)?;
        let commit = self.raw.raft.raft_log.committed;
        for step in &change.steps {
            if let Step::Promote { node } = step {
                let progress = self.raw.raft.prs().get(node.0);
                let matched = progress.map_or(0, |progress| progress.matched);
                if matched + PROMOTE_LAG_MAX < commit || matched == 0 {
                    return Err(ProposeError::Behind { node: *node, matched, commit });
                }
            }
        }
        self.propose_change(change);
        let index = self.raw.raft.raft_log.last_index();
        self.step(out);
        Ok(index)
    }

    pub(crate) fn check_may_propose(&self) -> Result<(), ProposeError> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            return Err(ProposeError::NotLeader { term: raft.term, leader: raft.leader_id });
        }
        if let Some(to) = raft.lead_transferee {
            return Err(ProposeError::Transferring { to: NodeId(to) });
        }
        Ok(())
    }

    /// Ends joint majorities as soon as that can be proposed: whoever leads, also when the leader
    /// that began them is gone. True when it was proposed.
    pub(crate) fn leave_joint(&mut self) -> bool {
        if !self.membership.is_joint() {
            return false;
        }
        if self.check_may_propose().is_err() || self.raw.raft.has_pending_conf() {
            return false;
        }
        self.propose_change(&Change::LEAVE);
        true
    }

    fn propose_change(&mut self, change: &Change) {
        self.raw
            .propose_conf_change(change.to_bytes().to_vec(), change.conf_change())
            .expect("a leader that hands nothing over takes every proposal");
    }

    /// Hands committed entries out, and puts the changes among them in force. The library counts
    /// them as applied with that, so that an election never waits for the cores, nor reads what
    /// they have not applied.
    pub(crate) fn hand_out(&mut self, entries: Vec<library::Entry>, out: &mut Outbox<Effect>) {
        let Some(last) = entries.last().map(|entry| entry.index) else { return };
        let mut rest: Vec<Entry> = entries.into_iter().map(Entry::from_library).collect();
        while let Some(at) = rest.iter().position(|entry| entry.kind == EntryKind::Membership) {
            let behind = rest.split_off(at + 1);
            let change = rest[at].clone();
            out.push(Effect::Committed { entries: rest });
            self.change_members(&change, out);
            rest = behind;
        }
        if !rest.is_empty() {
            out.push(Effect::Committed { entries: rest });
        }
        self.raw.advance_apply_to(last);
        self.step_down_if_removed();
    }

    fn change_members(&mut self, entry: &Entry, out: &mut Outbox<Effect>) {
        let change = Change::from_bytes(&entry.data).expect("what enters the log is readable");
        // The same on every node: all have the same members before it.
        let Ok(next) = self.membership.changed(&change) else { return };
        let state = self
            .raw
            .apply_conf_change(&change.conf_change())
            .expect("what the membership takes, the library takes");
        assert!(is_same(state, &next.conf_state()), "the library counts the members that we know");
        self.membership = next.clone();
        self.history.push_back((entry.index, next.clone()));
        self.on_members_changed();
        out.push(Effect::Membership { index: entry.index, membership: next });
    }

    /// The membership is another.
    pub(crate) fn on_members_changed(&mut self) {
        let alone = self.membership.members().len() <= 1;
        let tail = if alone { 0 } else { TAIL_BYTES_MAX };
        self.raw.mut_store().on_members(self.membership.clone(), tail);
    }

    /// The library lets a removed leader lead on, without a place of its own to count in: its next
    /// durable entry would be a panic. Whoever has all of the log is told to stand at once: the others
    /// would miss this leader only after an election's timeout.
    fn step_down_if_removed(&mut self) {
        if self.raw.raft.state != StateRole::Leader || self.raw.raft.promotable() {
            return;
        }
        let last = self.raw.raft.raft_log.last_index();
        let voters = self.progress().into_iter().filter(|other| {
            other.matched == last && self.membership.voters().any(|voter| voter == other.node)
        });
        // One that was heard of rather than one that was not; of equals the lowest number.
        let heir = voters.min_by_key(|other| (!other.active, other.node));
        let raft = &mut self.raw.raft;
        if let Some(heir) = heir {
            raft.send_timeout_now(heir.node.0);
        }
        let term = raft.term;
        raft.become_follower(term, raft::INVALID_ID);
    }
}

fn is_same(mut a: library::ConfState, b: &library::ConfState) -> bool {
    for list in [&mut a.voters, &mut a.learners, &mut a.voters_outgoing] {
        list.sort_unstable();
    }
    a == *b
}
