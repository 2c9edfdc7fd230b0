//! The other coordinators: what they say, and when their links come and go.

use super::{ConsensusCore, ConsensusEffect};
use crate::message::ToShard;
use crate::peer::PeerMessage;
use base::{NodeId, Now, Outbox, StoreId};
use journal::Buffers;

impl<A: Buffers> ConsensusCore<A> {
    /// A message of another coordinator. `store` is the data directory that its link named.
    pub fn on_peer(
        &mut self,
        now: Now,
        from: NodeId,
        store: StoreId,
        message: PeerMessage,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let known = self.group.membership().member(from);
        let is_known = from != self.config.node && known.is_some_and(|known| known.store == store);
        if is_known {
            self.requests.on_heard(now, from);
        }
        if let PeerMessage::Raft(message) = message {
            // The group judges these itself: it must hear leaders that it does not know yet.
            if self.group.on_message(from, store, message, &mut self.group_out).is_err() {
                self.dropped += 1;
            }
            self.pump(now, out);
            return;
        }
        if let PeerMessage::Answer { boot, ticket, body } = message {
            self.on_answered((from, store), (boot, ticket), &body, out);
            self.pump(now, out);
            return;
        }
        // What a leader alone says is believed of whoever leads, as the group does: a node that was just
        // added, or lags behind a change of members, does not know it as a member.
        let is_a_leaders = matches!(
            message,
            PeerMessage::NotTaken { .. }
                | PeerMessage::SnapshotPiece { .. }
                | PeerMessage::SnapshotGone { .. }
        );
        if !(is_known || is_a_leaders && self.leader() == Some(from)) {
            self.dropped += 1;
            return;
        }
        match message {
            PeerMessage::Raft(_) | PeerMessage::Answer { .. } => unreachable!("handled above"),
            PeerMessage::Forward(forward) => self.on_forward(now, from, forward, out),
            PeerMessage::NotTaken { boot, core, number, round, why } => {
                if boot == self.config.boot && core.0 < self.config.shards {
                    let message = ToShard::Refused { number, round, why };
                    out.push(ConsensusEffect::ToShard { to: core, message });
                }
            }
            PeerMessage::SnapshotWanted { index, offset } => {
                self.on_snapshot_wanted(from, index, offset, out);
            }
            PeerMessage::SnapshotPiece { index, offset, total_bytes, data } => {
                self.on_snapshot_piece(from, index, (offset, total_bytes), data, out);
            }
            PeerMessage::SnapshotGone { index } => self.on_snapshot_gone(from, index),
            PeerMessage::Request { boot, ticket, body } => {
                self.on_request(now, from, (boot, ticket), &body, out);
            }
        }
        self.pump(now, out);
    }

    /// The link to a coordinator is there, for the first time or again.
    pub fn on_peer_up(
        &mut self,
        now: Now,
        node: NodeId,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        self.tell_clock_to(now, node, out);
        if self.leader() == Some(node) {
            self.tell_all(out, || ToShard::Resend);
        }
        self.pump(now, out);
    }

    /// The link to a coordinator broke: what was on its way may be lost. `refused`: a new connection
    /// was refused, so its process is gone (SOUNDNESS 22).
    pub fn on_peer_down(
        &mut self,
        now: Now,
        node: NodeId,
        refused: bool,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        self.group.on_peer_unreachable(node, &mut self.group_out);
        if refused {
            self.group.on_leader_gone(node, &mut self.group_out);
        }
        self.pump(now, out);
    }

    pub(super) fn send(
        to: NodeId,
        message: PeerMessage,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        out.push(ConsensusEffect::Peer { to, message });
    }
}
