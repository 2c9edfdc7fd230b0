//! Who belongs to the group, as far as this mind has a part in it.
//!
//! A change is in force on a node that knows its entry to be committed, and a node that starts again
//! knows of that what its journal says. So a leader makes an entry behind every change: what it writes,
//! and what it sends with that, says that the change is committed, and once a majority of the new
//! members has it, any majority of them can elect one who knows. Otherwise the old members alone could,
//! of whom too many may be gone by then.

use super::{ConsensusCore, ConsensusEffect};
use crate::message::ToShard;
use base::{Address, Now, Outbox};
use journal::Buffers;
use quorum::{Change, Role, Step};

/// Whether this node alone is the group. Its shards answer reads by themselves then, and what others
/// send is taken only once all of them know that there are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    /// From this index on.
    Since(u64),
    /// Up to this index, at most.
    Until(u64),
}

impl Default for Alone {
    fn default() -> Self {
        Self::Until(0)
    }
}

/// Whether a majority of the members knows, whatever becomes of its processes, who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// It does, or this node does not lead.
    #[default]
    Yes,
    /// An entry is to be made behind the change.
    Due,
    /// Once this entry is committed.
    By(u64),
}

#[derive(Debug, Default)]
pub(super) struct Members {
    alone: Alone,
    pub(super) confirmed: Confirmed,
    /// This node was a member, and is none any more.
    pub(super) is_removed: bool,
    /// Whoever keeps the links is to be told.
    changed: bool,
}

impl<A: Buffers> ConsensusCore<A> {
    /// Tells whoever keeps the links, behind what was ordered of those who are members no longer.
    pub(super) fn tell_members(&mut self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        if std::mem::take(&mut self.members.changed) {
            out.push(ConsensusEffect::Members(self.group.membership().clone()));
        }
    }

    /// Who belongs to the group was told for the entry at `index`, or at the start.
    pub(super) fn on_members(&mut self, index: u64, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let members = self.group.membership();
        if self.is_in_office() {
            self.members.confirmed = Confirmed::Due;
        }
        let is_alone = members.members().len() == 1 && members.is_lone_voter(self.config.node);
        self.members.changed = true;
        if is_alone != matches!(self.members.alone, Alone::Since(_)) {
            self.members.alone = if is_alone { Alone::Since(index) } else { Alone::Until(index) };
            let since = is_alone.then_some(index);
            self.tell_all(out, || ToShard::Alone { since });
        }
        // A node that waits to be added knows no members at all.
        let is_removed = !members.is_empty() && members.member(self.config.node).is_none();
        if is_removed != self.members.is_removed {
            self.members.is_removed = is_removed;
            self.tell_all(out, || ToShard::Removed { is_removed });
        }
        self.on_change_made(out);
    }

    /// Whether this node leads, also after what was just put in force: a leader that was removed does not.
    pub(super) fn is_in_office(&self) -> bool {
        self.leading && self.group.status().role == Role::Leader
    }

    /// An entry was made, behind whatever was in force.
    pub(super) fn on_proposed(&mut self, index: u64) {
        if self.members.confirmed == Confirmed::Due {
            self.members.confirmed = Confirmed::By(index);
        }
    }

    /// The entry at `index` may end this node's being alone: its shards hear of it before they apply
    /// the entry, so that who has applied it answers no read by itself.
    pub(super) fn before_change(
        &mut self,
        index: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if let Alone::Since(_) = self.members.alone {
            self.members.alone = Alone::Until(index);
            self.tell_all(out, || ToShard::Alone { since: None });
        }
    }

    /// Whether every shard knows that it is not alone.
    pub(super) fn knows_others(&self) -> bool {
        matches!(self.members.alone, Alone::Until(index) if index <= self.applied)
    }

    /// Where this node is reached, if the members say something else.
    pub(super) fn own_new_address(&self) -> Option<&Address> {
        let own = self.group.membership().member(self.config.node)?;
        self.config.address.as_ref().filter(|address| own.address.as_ref() != Some(address))
    }

    /// A node that is reached elsewhere than the members say has them say so: by itself where it
    /// leads, else by its leader. What stands in the way (its term's first entry, another change) is
    /// over soon: it is tried again.
    pub(super) fn move_if_elsewhere(
        &mut self,
        now: Now,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let Some(address) = self.own_new_address() else { return };
        if !self.leading {
            self.tell_of_move(now, out);
        } else if self.may_propose() {
            let step = Step::Move { node: self.config.node, address: address.clone() };
            let change = Change { steps: vec![step] };
            let _tried_again = self.group.on_propose_membership(&change, &mut self.group_out);
        }
    }
}
