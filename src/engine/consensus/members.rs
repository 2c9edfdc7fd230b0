//! Who belongs to the group, as far as this mind has a part in it.

use super::{ConsensusCore, ConsensusEffect};
use base::Outbox;
use journal::Buffers;
use quorum::{Change, Step};

impl<A: Buffers> ConsensusCore<A> {
    /// Whoever keeps the links hears who belongs to the group now.
    pub(super) fn tell_members(&self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        out.push(ConsensusEffect::Members(self.group.membership().clone()));
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
