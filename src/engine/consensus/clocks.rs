//! What time it is, by a majority: coordinators tell each other what their clocks say, and the log's
//! time is steered by the lower median of the voters' (SOUNDNESS 9).
//!
//! Invariants:
//! - one clock that is wrong, the leader's own too, moves the log's time no further than another
//!   voter's that is right;
//! - with too few clocks known the log's time goes on as the boot clock does, and steps nowhere.

use super::{ConsensusCore, ConsensusEffect};
use crate::cluster::Demand;
use crate::peer::PeerMessage;
use base::{Instant, NodeId, Now, Outbox, UnixMicros};
use journal::Buffers;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two times that a node tells what its clock says.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// What was told so long ago counts no more: the clock may have been set since.
const TOLD_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Of each other member: what its clock said, and when that came.
    told: BTreeMap<NodeId, (UnixMicros, Instant)>,
    tell_at: Instant,
}

impl Clocks {
    pub(super) fn on_told(&mut self, now: Now, node: NodeId, wall: UnixMicros) {
        self.told.insert(node, (wall, now.instant));
    }

    /// Forgets those who are members no longer.
    pub(super) fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.told.retain(|node, _| is_member(*node));
    }

    /// The lower median of those of `voters` whose clocks are known; none when they are no majority.
    /// What another clock says is late by the way it took: that, too, is on the lower side.
    fn agreed(
        &self,
        now: Now,
        own: NodeId,
        voters: impl ExactSizeIterator<Item = NodeId>,
    ) -> Option<UnixMicros> {
        let count = voters.len();
        let clock = |node: NodeId| {
            if node == own {
                return Some(now.wall);
            }
            let (wall, came) = *self.told.get(&node)?;
            let age = now.instant.since(came);
            (age < TOLD_MAX).then(|| wall + age)
        };
        let mut known: SmallVec<[UnixMicros; quorum::VOTERS_MAX]> =
            voters.filter_map(clock).collect();
        known.sort_unstable();
        (2 * known.len() > count).then(|| known[(known.len() - 1) / 2])
    }
}

impl<A: Buffers> ConsensusCore<A> {
    /// Now, with the wall clock that the log's time is steered by.
    pub(super) fn agreed_now(&self, now: Now) -> Now {
        let members = self.group.membership();
        let agreed = self.clocks.agreed(now, self.config.node, members.voters());
        Now { wall: agreed.unwrap_or_else(|| self.clock.coasting(now)), ..now }
    }

    /// Tells the others what this node's clock says, now and then.
    pub(super) fn tell_clock(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        if now.instant < self.clocks.tell_at {
            return;
        }
        self.clocks.tell_at = now.instant + TELL_INTERVAL;
        let own = self.config.node;
        let members = self.group.membership().members().map(|(node, _)| node);
        for to in members.filter(|node| *node != own) {
            self.tell_clock_to(now, to, out);
        }
    }

    /// Tells one: before anything else is said on a new link, so that whoever is elected by votes has
    /// the clocks of those who cast them.
    pub(super) fn tell_clock_to(
        &self,
        now: Now,
        to: NodeId,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let (boot, body) = (self.config.boot, Demand::Clock { wall: now.wall }.to_body());
        Self::send(to, PeerMessage::Request { boot, ticket: 0, body }, out);
    }
}

#[cfg(test)]
mod tests;
