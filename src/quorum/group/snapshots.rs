//! Snapshots, given and taken. Their bytes are the driver's; here is who is offered which, and when
//! one takes the place of the log.
//!
//! The library knows a snapshot as one message that installs itself. A real one takes seconds to
//! fetch, and its leader may die meanwhile: so the library hears of an offer only when its bytes are
//! here, and goes on as it is until then.

use super::Group;
use crate::effect::Effect;
use crate::membership::Membership;
use crate::message::{Message, Offer, snapshot};
use crate::window::{SnapshotMark, Window};
use base::{NodeId, Outbox};
use raft::prelude as library;
use raft::{ProgressState, RawNode, SnapshotStatus, StateRole};
use std::collections::BTreeMap;

/// An offer that nothing was heard of for so many ticks is made again: it may be lost. 1 s.
const OFFER_TICKS: u64 = 100;

/// A snapshot of which nothing more is heard for so many ticks is offered again. The driver reports
/// progress with every piece: 5 s are a mebibyte at 200 KiB/s.
const PIECE_TICKS: u64 = 500;

/// A snapshot that was wanted and not taken is asked for again after so many ticks.
const ASK_AGAIN_TICKS: u64 = 100;

#[derive(Debug)]
struct Given {
    index: u64,
    /// Ticks until it is offered again.
    patience: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    ticks: u64,
    /// Offers under way, by follower.
    given: BTreeMap<u64, Given>,
    /// When the driver was last asked for one, by follower.
    asked: BTreeMap<u64, u64>,
    /// What the driver fetches, and from whom.
    fetching: Option<(NodeId, SnapshotMark)>,
    /// What the library was told to restore.
    pub(crate) restoring: Option<SnapshotMark>,
}

impl Snapshots {
    pub(crate) fn on_offered(&mut self, to: u64, index: u64) {
        self.given.insert(to, Given { index, patience: OFFER_TICKS });
    }

    pub(crate) fn on_tick(&mut self, raw: &mut RawNode<Window>) {
        self.ticks += 1;
        let mut late = Vec::new();
        for (to, given) in &mut self.given {
            given.patience -= 1;
            if given.patience == 0 {
                late.push(*to);
            }
        }
        for to in late {
            self.fail(to, raw);
        }
    }

    /// The link is gone: the offer, or its pieces, may be lost.
    pub(crate) fn on_unreachable(&mut self, to: u64, raw: &mut RawNode<Window>) {
        self.fail(to, raw);
    }

    /// The follower has everything up to `index`. The library only then forgets that the follower
    /// had asked for a snapshot, when it is told that one has arrived.
    pub(crate) fn on_acknowledged(&mut self, from: u64, index: u64, raw: &mut RawNode<Window>) {
        if self.given.get(&from).is_some_and(|given| given.index <= index) {
            self.given.remove(&from);
            raw.report_snapshot(from, SnapshotStatus::Finish);
        }
    }

    pub(crate) fn on_role_changed(&mut self) {
        self.given.clear();
        self.asked.clear();
    }

    fn fail(&mut self, to: u64, raw: &mut RawNode<Window>) {
        if self.given.remove(&to).is_some() {
            raw.report_snapshot(to, SnapshotStatus::Failure);
        }
    }

    fn is_news(&mut self, to: u64) -> bool {
        let last = self.asked.get(&to).copied();
        if last.is_some_and(|last| self.ticks - last < ASK_AGAIN_TICKS) {
            return false;
        }
        self.asked.insert(to, self.ticks);
        true
    }
}

impl Group {
    /// A piece of the offered snapshot was answered by the follower.
    pub fn on_snapshot_progress(&mut self, to: NodeId) {
        if let Some(given) = self.snapshots.given.get_mut(&to.0) {
            given.patience = PIECE_TICKS;
        }
    }

    /// The follower cannot take the snapshot that it was offered: it is offered one again, later.
    pub fn on_snapshot_failed(&mut self, to: NodeId, out: &mut Outbox<Effect>) {
        self.snapshots.fail(to.0, &mut self.raw);
        self.step(out);
    }

    /// A snapshot of everything up to `index`, which was applied, is durable on this node.
    pub fn on_snapshot_taken(&mut self, index: u64) {
        let window = self.raw.store();
        let newer = window.snapshot.as_ref().is_none_or(|mark| mark.index < index);
        if index < window.begin() || !newer {
            return;
        }
        assert!(index <= window.applied(), "a snapshot holds what was applied");
        let term = window.term_at(index).expect("it lies in the log");
        let membership = self.membership_at(index).expect("members are known since then").clone();
        while self.history.get(1).is_some_and(|(from, _)| *from <= index) {
            self.history.pop_front();
        }
        self.raw.mut_store().snapshot = Some(SnapshotMark { index, term, membership });
    }

    /// The journal no longer has anything up to `through`. A durable snapshot does.
    pub fn on_compacted(&mut self, through: u64) {
        let taken = self.raw.store().snapshot.as_ref().map_or(0, |mark| mark.index);
        assert!(through <= taken, "the log goes on behind its snapshot");
        self.raw.mut_store().compact(through);
    }

    /// The snapshot of [`Effect::FetchSnapshot`] is here and durable beside what is installed. True
    /// when [`Effect::InstallSnapshot`] follows; otherwise it is no longer needed.
    pub fn on_snapshot_fetched(&mut self, index: u64, out: &mut Outbox<Effect>) -> bool {
        let fetched = self.snapshots.fetching.take_if(|(_, mark)| mark.index == index);
        let Some((_, mark)) = fetched else { return false };
        let raft = &mut self.raw.raft;
        if raft.raft_log.committed >= index || raft.state == StateRole::Leader {
            return false;
        }
        if raft.state != StateRole::Follower {
            let term = raft.term;
            raft.become_follower(term, raft::INVALID_ID);
        }
        let content = snapshot(mark.index, mark.term, &mark.membership);
        if raft.leader_id == raft::INVALID_ID {
            raft.restore(content);
        } else {
            // What it holds is committed, so it is right for every leader since.
            let mut message = library::Message::default();
            message.set_msg_type(library::MessageType::MsgSnapshot);
            (message.from, message.to, message.term) = (raft.leader_id, raft.id, raft.term);
            message.set_snapshot(content);
            self.raw.step(message).expect("it is no answer");
        }
        let restores = self.raw.snap().is_some();
        if restores {
            self.snapshots.restoring = Some(mark);
        }
        self.step(out);
        restores
    }

    /// The snapshot of [`Effect::InstallSnapshot`] has taken the place of state and journal, and
    /// both are durable.
    pub fn on_snapshot_installed(&mut self, index: u64, out: &mut Outbox<Effect>) {
        self.on_install_done(index, out);
        self.step(out);
    }

    /// A leader offers a snapshot.
    pub(crate) fn on_offer(&mut self, from: NodeId, offer: Offer, out: &mut Outbox<Effect>) {
        let log = &self.raw.raft.raft_log;
        if offer.index <= log.committed || log.match_term(offer.index, offer.log_term) {
            // All of it is here: the library says so.
            self.feed(from, Message::InstallSnapshot(offer));
            return;
        }
        // A sign of life of its leader, like any other.
        let heartbeat =
            Message::Heartbeat { term: offer.term, commit: 0, context: bytes::Bytes::new() };
        self.feed(from, heartbeat);
        if self.raw.raft.term != offer.term || self.raw.raft.leader_id != from.0 {
            return;
        }
        let Offer { index, log_term: term, membership, .. } = offer;
        let mark = SnapshotMark { index, term, membership };
        if self.snapshots.restoring.as_ref().is_some_and(|mark| mark.index >= index) {
            return;
        }
        let membership = mark.membership.clone();
        self.snapshots.fetching = Some((from, mark));
        out.push(Effect::FetchSnapshot { from, index, term, membership });
    }

    /// This node belongs to no group yet: entries without the members before them mean nothing to
    /// it. The library has an answer that asks for a snapshot; it only never gives it by itself.
    pub(crate) fn ask_for_snapshot(&mut self, from: NodeId, term: u64, index: u64) {
        self.feed(from, Message::Heartbeat { term, commit: 0, context: bytes::Bytes::new() });
        let raft = &mut self.raw.raft;
        if raft.term != term {
            return;
        }
        let mut answer = library::Message::default();
        answer.set_msg_type(library::MessageType::MsgAppendResponse);
        (answer.from, answer.to, answer.term) = (raft.id, from.0, term);
        (answer.index, answer.reject, answer.request_snapshot) = (index, true, 1);
        raft.msgs.push(answer);
    }

    /// The members as of the snapshot that the library offers.
    pub(crate) fn offered_members(&self, index: u64) -> Membership {
        let mark = self.raw.store().snapshot.as_ref();
        let mark = mark.filter(|mark| mark.index == index);
        mark.expect("the library offers the snapshot that it was given").membership.clone()
    }

    pub(crate) fn tell_what_is_wanted(&mut self, out: &mut Outbox<Effect>) {
        if !self.raw.store().wants() {
            return;
        }
        self.raw.store().newly_wanted(|wanted| {
            out.push(Effect::EntriesWanted {
                from: wanted.low,
                through: wanted.high - 1,
                bytes: wanted.bytes,
            });
        });
        for to in self.raw.store().snapshots_wanted() {
            let waits = self.raw.raft.prs().get(to);
            let waits = waits.is_some_and(|progress| progress.state != ProgressState::Snapshot);
            if waits && self.snapshots.is_news(to) {
                out.push(Effect::SnapshotWanted { to: NodeId(to) });
            }
        }
    }
}
