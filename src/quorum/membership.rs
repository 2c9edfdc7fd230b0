//! Who belongs to the group, with which data directory, and how that changes.
//!
//! A membership and a change are bytes in entries and in snapshots. Version 1, little-endian:
//!
//! | membership | bytes |
//! | --- | --- |
//! | version, 1 | 1 |
//! | how many members | 1 |
//! | each: node, store | 8, 8 |
//! | each: standing (1 voter, 2 outgoing voter, 4 learner) | 1 |
//! | each: the address's length (0: none) and text | 2, n |
//!
//! | change | bytes |
//! | --- | --- |
//! | version, 1 | 1 |
//! | how many steps (0: leave the joint majorities) | 1 |
//! | each: kind (1 learn, 2 promote, 3 remove, 4 move), node | 1, 8 |
//! | learn: store; learn and move: the address's length and text | 8; 2, n |
//!
//! Invariants:
//! - there is a voter, unless nobody belongs to the group at all;
//! - nobody is voter (or outgoing voter) and learner at once;
//! - whoever has a standing has a store, and the other way round;
//! - what is read from bytes was checked as what is made by a change.

mod bytes_of;
#[cfg(test)]
mod tests;

pub use bytes_of::ReadError;

use base::{Address, NodeId, StoreId};
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};
use raft::prelude::ConfState;
use std::collections::{BTreeMap, BTreeSet};

/// The most voters of a group. Seven survive three failures; every more makes each commit wait for
/// more disks and survives no more failures that are likely.
pub const VOTERS_MAX: usize = 7;

/// The most learners. Each costs the leader a stream of the whole log.
pub const LEARNERS_MAX: usize = 8;

/// The most steps of one change: all voters replaced at once.
pub const STEPS_MAX: usize = 2 * VOTERS_MAX;

/// Besides its place in the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The data directory that it votes and acknowledges with. Another one is another member.
    pub store: StoreId,
    /// Where its peers reach it. A lone voter needs none.
    pub address: Option<Address>,
}

/// Who belongs to the group as of some index of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    members: BTreeMap<NodeId, Member>,
    voters: BTreeSet<NodeId>,
    outgoing: BTreeSet<NodeId>,
    learners: BTreeSet<NodeId>,
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new node gets the log, and no vote.
    Learn {
        /// Which.
        node: NodeId,
        /// With which data directory.
        member: Member,
    },
    /// A learner becomes a voter.
    Promote {
        /// Which.
        node: NodeId,
    },
    /// A voter or learner leaves the group.
    Remove {
        /// Which.
        node: NodeId,
    },
    /// A member is reached elsewhere. Alone in its change.
    Move {
        /// Which.
        node: NodeId,
        /// Where now.
        address: Address,
    },
}

impl Step {
    /// Whom it is about.
    pub fn node(&self) -> NodeId {
        match self {
            Self::Learn { node, .. }
            | Self::Promote { node }
            | Self::Remove { node }
            | Self::Move { node, .. } => *node,
        }
    }
}

/// A change of members, taken or refused as a whole. One step changes the majority at once; more
/// pass through joint majorities (Ongaro 2014, section 4.3), which the leader ends by itself with
/// a change without steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In order.
    pub steps: Vec<Step>,
}

impl Change {
    /// Nothing but the end of joint majorities.
    pub(crate) const LEAVE: Self = Self { steps: Vec::new() };

    /// A new node gets the log, and no vote.
    pub fn learn(node: NodeId, member: Member) -> Self {
        Self { steps: vec![Step::Learn { node, member }] }
    }

    /// A learner becomes a voter.
    pub fn promote(node: NodeId) -> Self {
        Self { steps: vec![Step::Promote { node }] }
    }

    /// A voter or learner leaves.
    pub fn remove(node: NodeId) -> Self {
        Self { steps: vec![Step::Remove { node }] }
    }

    /// A learner takes a voter's place, in one change: at no time fewer voters are up than before.
    pub fn replace(old: NodeId, new: NodeId) -> Self {
        Self { steps: vec![Step::Promote { node: new }, Step::Remove { node: old }] }
    }

    /// As the library is told of it.
    pub(crate) fn conf_change(&self) -> ConfChangeV2 {
        let mut change = ConfChangeV2::default();
        for step in &self.steps {
            let (kind, node) = match step {
                Step::Learn { node, .. } => (ConfChangeType::AddLearnerNode, node.0),
                Step::Promote { node } => (ConfChangeType::AddNode, node.0),
                Step::Remove { node } => (ConfChangeType::RemoveNode, node.0),
                // Node 0 is passed over by the library: the majorities stay as they are.
                Step::Move { .. } => (ConfChangeType::AddNode, 0),
            };
            let single =
                ConfChangeSingle { change_type: kind, node_id: node, ..Default::default() };
            change.mut_changes().push(single);
        }
        if self.steps.len() > 1 {
            change.set_transition(ConfChangeTransition::Explicit);
        }
        change
    }
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// One at a time.
    #[error("the change before is not finished: the group still decides by two majorities")]
    Joint,
    /// A change without steps ends joint majorities, and there are none.
    #[error("a change has at least one step")]
    Empty,
    /// See [`STEPS_MAX`].
    #[error("{steps} steps in one change: at most {STEPS_MAX}")]
    TooManySteps {
        /// How many.
        steps: usize,
    },
    /// No node has the number 0.
    #[error("node 0 is nobody")]
    Nobody,
    /// A node is named by two steps.
    #[error("node {node} is named twice in one change")]
    Twice {
        /// Which.
        node: NodeId,
    },
    /// A move among other steps.
    #[error("node {node} changes its address in a change of its own")]
    MoveAlone {
        /// Which.
        node: NodeId,
    },
    /// To be added, and there already.
    #[error("node {node} belongs to the group already")]
    Known {
        /// Which.
        node: NodeId,
    },
    /// Not there.
    #[error("node {node} does not belong to the group")]
    Unknown {
        /// Which.
        node: NodeId,
    },
    /// Only learners are promoted: a new voter must have the log first.
    #[error("node {node} is no learner")]
    NoLearner {
        /// Which.
        node: NodeId,
    },
    /// Somebody must decide.
    #[error("no voter would be left")]
    NoVoter,
    /// See [`VOTERS_MAX`].
    #[error("{voters} voters: at most {VOTERS_MAX}")]
    TooManyVoters {
        /// How many there would be.
        voters: usize,
    },
    /// See [`LEARNERS_MAX`].
    #[error("{learners} learners: at most {LEARNERS_MAX}")]
    TooManyLearners {
        /// How many there would be.
        learners: usize,
    },
}

impl Membership {
    /// The members of a new group, all of them voters.
    pub fn founded(
        members: impl IntoIterator<Item = (NodeId, Member)>,
    ) -> Result<Self, ChangeError> {
        let mut founded = Self::default();
        for (node, member) in members {
            if node.0 == 0 {
                return Err(ChangeError::Nobody);
            }
            if founded.members.insert(node, member).is_some() {
                return Err(ChangeError::Twice { node });
            }
            founded.voters.insert(node);
        }
        founded.check_counts()?;
        Ok(founded)
    }

    /// Who votes; in joint majorities, the new one.
    pub fn voters(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.voters.iter().copied()
    }

    /// Who voted before the change under way, and votes until it ends. Empty when there is none.
    pub fn outgoing(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.outgoing.iter().copied()
    }

    /// Who only learns.
    pub fn learners(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.learners.iter().copied()
    }

    /// Everybody, in the order of their numbers.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (NodeId, &Member)> {
        self.members.iter().map(|(node, member)| (*node, member))
    }

    /// A member.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// Whether the node votes, in the new majority or the old.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.outgoing.contains(&node)
    }

    /// Whether the node only learns.
    pub fn is_learner(&self, node: NodeId) -> bool {
        self.learners.contains(&node)
    }

    /// Whether a change is under way that needs two majorities.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether nobody belongs to it: that of a node which waits to be added.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether this node's vote alone decides.
    pub fn is_lone_voter(&self, node: NodeId) -> bool {
        self.voters.len() == 1 && self.voters.contains(&node) && self.outgoing.is_empty()
    }

    /// The members after the change, or why there is none.
    pub fn changed(&self, change: &Change) -> Result<Self, ChangeError> {
        let mut next = self.clone();
        if change.steps.is_empty() {
            if !self.is_joint() {
                return Err(ChangeError::Empty);
            }
            next.outgoing.clear();
            next.forget_who_left();
            return Ok(next);
        }
        if self.is_joint() {
            return Err(ChangeError::Joint);
        }
        if change.steps.len() > STEPS_MAX {
            return Err(ChangeError::TooManySteps { steps: change.steps.len() });
        }
        let joint = change.steps.len() > 1;
        let mut named = BTreeSet::new();
        for step in &change.steps {
            if !named.insert(step.node()) {
                return Err(ChangeError::Twice { node: step.node() });
            }
            next.take(step, joint)?;
        }
        next.check_counts()?;
        if joint {
            next.outgoing.clone_from(&self.voters);
        }
        next.forget_who_left();
        Ok(next)
    }

    fn take(&mut self, step: &Step, joint: bool) -> Result<(), ChangeError> {
        match step {
            Step::Learn { node, .. } if node.0 == 0 => return Err(ChangeError::Nobody),
            Step::Learn { node, member } => {
                if self.members.insert(*node, member.clone()).is_some() {
                    return Err(ChangeError::Known { node: *node });
                }
                self.learners.insert(*node);
            }
            Step::Promote { node } if !self.members.contains_key(node) => {
                return Err(ChangeError::Unknown { node: *node });
            }
            Step::Promote { node } => {
                if !self.learners.remove(node) {
                    return Err(ChangeError::NoLearner { node: *node });
                }
                self.voters.insert(*node);
            }
            Step::Remove { node } => {
                if !self.voters.remove(node) && !self.learners.remove(node) {
                    return Err(ChangeError::Unknown { node: *node });
                }
            }
            Step::Move { node, .. } if joint => {
                return Err(ChangeError::MoveAlone { node: *node });
            }
            Step::Move { node, address } => {
                let member =
                    self.members.get_mut(node).ok_or(ChangeError::Unknown { node: *node })?;
                member.address = Some(address.clone());
            }
        }
        Ok(())
    }

    fn forget_who_left(&mut self) {
        let Self { members, voters, outgoing, learners } = self;
        members.retain(|node, _| {
            voters.contains(node) || outgoing.contains(node) || learners.contains(node)
        });
    }

    fn check_counts(&self) -> Result<(), ChangeError> {
        let (voters, learners) = (self.voters.len(), self.learners.len());
        if voters == 0 {
            return Err(ChangeError::NoVoter);
        }
        if voters > VOTERS_MAX {
            return Err(ChangeError::TooManyVoters { voters });
        }
        if learners > LEARNERS_MAX {
            return Err(ChangeError::TooManyLearners { learners });
        }
        Ok(())
    }

    /// As the library knows it. The group itself ends joint majorities, so `auto_leave` is off;
    /// voters are never made learners, so `learners_next` is empty.
    pub(crate) fn conf_state(&self) -> ConfState {
        let list = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0).collect();
        ConfState {
            voters: list(&self.voters),
            learners: list(&self.learners),
            voters_outgoing: list(&self.outgoing),
            ..Default::default()
        }
    }
}
