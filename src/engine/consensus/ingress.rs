//! Session batches on their way into the log: of this node's shards and, where it leads, of its
//! followers'.
//!
//! Invariants (SOUNDNESS 11):
//! - into the log goes, of one round of a session, an unbroken run of numbers: nothing is queued
//!   behind a gap, which apply would refuse;
//! - of a round of which something was refused, or lost with the lead, nothing more is taken;
//! - what is refused was never taken in its round.

use super::{ConsensusCore, ConsensusEffect};
use crate::batch::SectionView;
use crate::globals::Prepared;
use crate::message::{NotTaken, ToShard};
use crate::peer::{Forward, PeerMessage};
use base::{BootId, CoreId, NodeId, Now, Outbox};
use bytes::Bytes;
use journal::Buffers;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sessions that a leader remembers: of each member, learners too, a core per CPU of a large
/// machine. A session beyond them is not heard.
const SESSIONS_MAX: usize = (quorum::VOTERS_MAX + quorum::LEARNERS_MAX) * 512;

/// What a leader knows of a session.
#[derive(Clone, Copy, Debug)]
struct Heard {
    boot: BootId,
    round: u32,
    /// The number that continues the round. Without one only a later round is heard.
    next: Option<u64>,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Take,
    /// It is old, or comes twice.
    Drop,
    /// One before it is missing.
    Gap,
}

/// The sessions that send to this node while it leads.
#[derive(Debug, Default)]
pub(super) struct Ingress {
    sessions: BTreeMap<(NodeId, CoreId), Heard>,
}

/// Whose session batch it is, and which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) node: NodeId,
    pub(super) boot: BootId,
    pub(super) core: CoreId,
    pub(super) number: u64,
    pub(super) round: u32,
}

impl Ingress {
    /// Everything taken so far is given up: sessions begin a new round.
    pub(super) fn close(&mut self) {
        for heard in self.sessions.values_mut() {
            heard.next = None;
        }
    }

    fn judge(&self, name: &Name) -> Verdict {
        let Some(heard) = self.sessions.get(&(name.node, name.core)) else {
            let is_full = self.sessions.len() >= SESSIONS_MAX;
            return if is_full { Verdict::Drop } else { Verdict::Take };
        };
        match (name.boot, name.round).cmp(&(heard.boot, heard.round)) {
            std::cmp::Ordering::Less => Verdict::Drop,
            std::cmp::Ordering::Greater => Verdict::Take,
            std::cmp::Ordering::Equal => match heard.next {
                Some(next) if name.number == next => Verdict::Take,
                Some(next) if name.number > next => Verdict::Gap,
                _ => Verdict::Drop,
            },
        }
    }

    fn note(&mut self, name: &Name, next: Option<u64>) {
        let heard = Heard { boot: name.boot, round: name.round, next };
        self.sessions.insert((name.node, name.core), heard);
    }
}

impl<A: Buffers> ConsensusCore<A> {
    /// A shard's batch: into the log where this node leads, else to whoever does. Where nobody is
    /// known to lead it is left lying: its session sends it again once somebody is.
    pub(super) fn on_submit(
        &mut self,
        now: Now,
        core: CoreId,
        (number, round): (u64, u32),
        (records, section, prepared): (u32, Bytes, Option<Arc<Prepared>>),
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let (node, boot) = (self.config.node, self.config.boot);
        let name = Name { node, boot, core, number, round };
        if self.leading {
            self.take(now, &name, (records, section, prepared), out);
        } else if let Some(leader) = self.leader()
            && self.ingress.judge(&name) != Verdict::Drop
        {
            if !self.fits(section.len()) {
                // The others may have room, but nobody could be answered here: what is committed is
                // applied only once it is written.
                self.refuse(&name, NotTaken::NoSpace, out);
                return;
            }
            let forward = Forward { boot, core, number, round, records, section };
            Self::send(leader, PeerMessage::Forward(forward), out);
        }
    }

    /// A follower's batch.
    pub(super) fn on_forward(
        &mut self,
        now: Now,
        from: NodeId,
        forward: Forward,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let Forward { boot, core, number, round, records, section } = forward;
        let name = Name { node: from, boot, core, number, round };
        if !is_whole(&name, records, &section) {
            self.dropped += 1;
        } else if self.leading && !self.stopping {
            self.take(now, &name, (records, section, None), out);
        }
        // Otherwise there is, or will be, another leader, and it is sent again to that one.
    }

    fn take(
        &mut self,
        now: Now,
        name: &Name,
        (records, section, prepared): (u32, Bytes, Option<Arc<Prepared>>),
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let is_early = name.node != self.config.node && !self.knows_others();
        let why = match self.ingress.judge(name) {
            Verdict::Drop => return,
            Verdict::Take if is_early => NotTaken::Gap,
            Verdict::Gap => NotTaken::Gap,
            Verdict::Take if self.stopping => NotTaken::Stopping,
            Verdict::Take if !self.fits(section.len()) => NotTaken::NoSpace,
            Verdict::Take => {
                self.ingress.note(name, Some(name.number + 1));
                self.batcher.push(now.instant, records, section, prepared);
                return;
            }
        };
        self.refuse(name, why, out);
    }

    fn refuse(&mut self, name: &Name, why: NotTaken, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        // Until the shard has heard of the refusal, all it sends belongs to the refused round.
        self.ingress.note(name, None);
        let Name { node, boot, core, number, round } = *name;
        if node == self.config.node {
            let message = ToShard::Refused { number, round, why };
            out.push(ConsensusEffect::ToShard { to: core, message });
        } else {
            Self::send(node, PeerMessage::NotTaken { boot, core, number, round, why }, out);
        }
    }
}

/// Whether the bytes are the section that they are said to be, with records that this program
/// knows: one that is not would stop every node that applies it.
fn is_whole(name: &Name, records: u32, bytes: &Bytes) -> bool {
    if bytes.len() > base::limits::ENTRY_BYTES_MAX {
        return false;
    }
    let Ok(section) = SectionView::of(bytes) else { return false };
    let header = &section.header;
    let named = (header.node, header.boot, header.core) == (name.node, name.boot, name.core);
    let numbered = (header.number, header.round) == (name.number, name.round);
    named
        && numbered
        && name.number < u64::MAX
        && section.records == records
        && section.is_whole_of(bytes)
        && section.records().all(|record| record.is_ok())
}
