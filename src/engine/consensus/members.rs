//! Who belongs to the group, as far as this mind has a part in it.

use super::{ConsensusCore, ConsensusEffect};
use crate::message::ToShard;
use base::Outbox;
use journal::Buffers;
use quorum::{Change, Step};

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

impl<A: Buffers> ConsensusCore<A> {
    /// Who belongs to the group was told for the entry at `index`, or at the start.
    pub(super) fn on_members(&mut self, index: u64, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let members = self.group.membership();
        let is_alone = members.members().len() == 1 && members.is_lone_voter(self.config.node);
        out.push(ConsensusEffect::Members(members.clone()));
        if is_alone != matches!(self.alone, Alone::Since(_)) {
            self.alone = if is_alone { Alone::Since(index) } else { Alone::Until(index) };
            let since = is_alone.then_some(index);
            self.tell_all(out, || ToShard::Alone { since });
        }
    }

    /// The entry at `index` may end this node's being alone: its shards hear of it before they apply
    /// the entry, so that who has applied it answers no read by itself.
    pub(super) fn before_change(
        &mut self,
        index: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if let Alone::Since(_) = self.alone {
            self.alone = Alone::Until(index);
            self.tell_all(out, || ToShard::Alone { since: None });
        }
    }

    /// Whether every shard knows that it is not alone.
    pub(super) fn knows_others(&self) -> bool {
        matches!(self.alone, Alone::Until(index) if index <= self.applied)
    }

    /// A leader that is reached elsewhere than the members say has them say so. What stands in the
    /// way (its term's first entry, another change) is over soon: it is tried with every tick.
    pub(super) fn move_if_elsewhere(&mut self) {
        let node = self.config.node;
        let Some(address) = self.config.address.as_ref().filter(|_| self.leading) else { return };
        let own = self.group.membership().member(node);
        if own.is_none_or(|own| own.address.as_ref() == Some(address)) || !self.may_propose() {
            return;
        }
        let change = Change { steps: vec![Step::Move { node, address: address.clone() }] };
        let _tried_again = self.group.on_propose_membership(&change, &mut self.group_out);
    }
}
