//! What a follower lacks: entries that are read back from the journal, and snapshots that are sent
//! in pieces, checked, and installed in place.
//!
//! The follower asks for one piece after the other, so that nothing piles up on the way, and goes on
//! where it was when its link comes back.
//!
//! Invariants:
//! - one effect on the fetched file is with the driver at most;
//! - pieces of two snapshots are not mixed;
//! - a snapshot takes the place of state and journal only once it is whole, checked, what its leader
//!   had offered, and durable under its name.

use super::{ConsensusCore, ConsensusEffect};
use crate::peer::PeerMessage;
use crate::snapshot::{self, Snapshot};
use base::{CoreId, NodeId, Now, Outbox};
use bytes::Bytes;
use journal::{Buffers, Stretch};
use quorum::{Entry, EntryKind, Membership};

/// One piece of a snapshot. Unit: bytes. As much as a message of entries: it delays those behind it
/// by no more.
const PIECE_BYTES: usize = 1024 * 1024;

/// Old entries that the driver reads back.
#[derive(Debug)]
pub struct ReadBack {
    /// Where they lie.
    pub stretch: Stretch,
    from: u64,
    through: u64,
    bytes: u64,
}

/// What is to be done with the file of a snapshot that is being fetched. One at a time: each but the
/// last is answered by [`ConsensusCore::on_fetch_done`] before the next comes.
#[derive(Debug)]
pub enum FetchEffect {
    /// Write these bytes there; at 0 the file begins anew.
    Write {
        /// Where. Unit: bytes.
        offset: u64,
        /// What.
        bytes: Bytes,
    },
    /// Append these bytes, make the file durable, then read it with [`snapshot::read`] and answer
    /// with what it holds.
    Check {
        /// What to append: that the snapshot came from elsewhere.
        bytes: Vec<u8>,
    },
    /// Give the file its name, make that durable, then remove older snapshots. If that fails the
    /// process ends with the reason: it is not answered.
    Keep {
        /// The snapshot's index, which is in its name.
        index: u64,
    },
    /// Remove the unnamed file. Not answered.
    Abandon,
}

#[derive(Debug, Default)]
pub(super) struct Transfers {
    fetching: Option<Fetching>,
    /// Fetched and checked, not yet ordered to be installed.
    fetched: Option<Box<Snapshot>>,
    /// Getting its name.
    installing: Option<Box<Snapshot>>,
    /// The journal is making room for the snapshot of this index.
    pub(super) journal_behind: Option<u64>,
    /// An effect is with the driver.
    busy: bool,
}

#[derive(Debug)]
struct Fetching {
    from: NodeId,
    index: u64,
    term: u64,
    membership: Membership,
    /// What is written.
    have: u64,
    total: Option<u64>,
    /// What the driver is doing for this very snapshot.
    doing: Doing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// So many bytes more.
    Writing(u64),
    Checking,
}

impl<A: Buffers> ConsensusCore<A> {
    /// What [`ConsensusEffect::ReadEntries`] asked for was read, or could not be.
    pub fn on_entries_read(
        &mut self,
        now: Now,
        wanted: &ReadBack,
        read: Result<&[u8], String>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let ReadBack { stretch, from, through, bytes } = wanted;
        let found = match read {
            // Overwritten meanwhile: it was compacted, and a snapshot holds it.
            Ok(read) => stretch.entries(read).unwrap_or_default(),
            Err(reason) => {
                let reason = format!("entry {from} cannot be read for a follower: {reason}");
                out.push(ConsensusEffect::Notice(reason));
                Vec::new()
            }
        };
        let mut size = 0;
        let within = |entry: &journal::Entry| {
            size += entry.data.len() as u64;
            entry.index <= *through && (entry.index == *from || size <= *bytes)
        };
        let found = found.into_iter().take_while(within).map(from_journal).collect();
        self.group.on_entries_fetched(*from, found, &mut self.group_out);
        self.pump(now, out);
    }

    /// The piece of a snapshot that [`ConsensusEffect::ReadSnapshot`] asked for, with the size of the
    /// whole; none when there is no such snapshot any more.
    pub fn on_snapshot_read(
        &mut self,
        now: Now,
        to: NodeId,
        (index, offset): (u64, u64),
        read: Option<(Bytes, u64)>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        match read.filter(|(data, _)| !data.is_empty()) {
            Some((data, total_bytes)) => {
                let piece = PeerMessage::SnapshotPiece { index, offset, total_bytes, data };
                Self::send(to, piece, out);
            }
            None => self.refuse_snapshot(to, index, out),
        }
        self.pump(now, out);
    }

    /// A [`FetchEffect`] was carried out; a check answers with the snapshot.
    pub fn on_fetch_done(
        &mut self,
        now: Now,
        done: Result<Option<Box<Snapshot>>, String>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        assert!(self.transfers.busy, "an effect is answered once");
        self.transfers.busy = false;
        if let Some(snapshot) = self.transfers.installing.take() {
            self.install(&snapshot, out);
        } else if let Some(fetching) = &mut self.transfers.fetching {
            match (std::mem::replace(&mut fetching.doing, Doing::Nothing), done) {
                (Doing::Writing(bytes), Ok(_)) => {
                    fetching.have += bytes;
                    self.go_on_fetching(out);
                }
                (Doing::Checking, Ok(Some(snapshot))) => self.on_checked(snapshot, out),
                // Of a snapshot that is no longer fetched.
                (Doing::Nothing, _) => self.go_on_fetching(out),
                (_, done) => {
                    let reason = done.err().unwrap_or_else(|| "nothing was read".into());
                    self.fetch_anew(&reason, out);
                }
            }
        }
        self.pump(now, out);
    }

    /// The group wants old entries for a follower.
    pub(super) fn on_entries_wanted(
        &mut self,
        (from, through): (u64, u64),
        bytes: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        match self.journal.find(from) {
            Some(stretch) => {
                let wanted = ReadBack { stretch, from, through, bytes };
                out.push(ConsensusEffect::ReadEntries(wanted));
            }
            None => self.group.on_entries_fetched(from, Vec::new(), &mut self.group_out),
        }
    }

    /// The leader offers a snapshot, or says again that it does.
    pub(super) fn on_offer(
        &mut self,
        from: NodeId,
        (index, term): (u64, u64),
        membership: Membership,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        // One after the other: the leader offers again.
        if self.transfers.fetched.is_some() || self.transfers.installing.is_some() {
            return;
        }
        let same = |now: &Fetching| (now.from, now.index, now.term) == (from, index, term);
        if !self.transfers.fetching.as_ref().is_some_and(same) {
            let doing = Doing::Nothing;
            self.transfers.fetching =
                Some(Fetching { from, index, term, membership, have: 0, total: None, doing });
        }
        self.go_on_fetching(out);
    }

    /// A follower asks for a piece.
    pub(super) fn on_snapshot_wanted(
        &mut self,
        to: NodeId,
        index: u64,
        offset: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if !self.leading {
            return;
        }
        if index != self.snapshots.last_index() {
            self.refuse_snapshot(to, index, out);
            return;
        }
        self.group.on_snapshot_progress(to);
        out.push(ConsensusEffect::ReadSnapshot { to, index, offset, bytes: PIECE_BYTES });
    }

    fn refuse_snapshot(
        &mut self,
        to: NodeId,
        index: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        Self::send(to, PeerMessage::SnapshotGone { index }, out);
        self.group.on_snapshot_failed(to, &mut self.group_out);
    }

    /// A piece has come.
    pub(super) fn on_snapshot_piece(
        &mut self,
        from: NodeId,
        index: u64,
        (offset, total): (u64, u64),
        data: Bytes,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let transfers = &mut self.transfers;
        let Some(fetching) = &mut transfers.fetching else { return };
        let end = offset.checked_add(data.len() as u64);
        let is_next = (fetching.from, fetching.index, fetching.have) == (from, index, offset)
            && fetching.doing == Doing::Nothing
            && fetching.total.is_none_or(|known| known == total)
            && !data.is_empty()
            && end.is_some_and(|end| end <= total);
        if !is_next || transfers.busy {
            return;
        }
        fetching.total = Some(total);
        fetching.doing = Doing::Writing(data.len() as u64);
        transfers.busy = true;
        out.push(ConsensusEffect::Fetch(FetchEffect::Write { offset, bytes: data }));
    }

    /// The leader no longer has what is fetched; it will offer what it has.
    pub(super) fn on_snapshot_gone(&mut self, from: NodeId, index: u64) {
        let gone = |now: &mut Fetching| (now.from, now.index) == (from, index);
        self.transfers.fetching.take_if(gone);
    }

    fn go_on_fetching(&mut self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let transfers = &mut self.transfers;
        let Some(fetching) = &mut transfers.fetching else { return };
        if transfers.busy || fetching.doing != Doing::Nothing {
            return;
        }
        if fetching.total == Some(fetching.have) {
            fetching.doing = Doing::Checking;
            transfers.busy = true;
            let bytes = snapshot::sent_mark(fetching.index);
            out.push(ConsensusEffect::Fetch(FetchEffect::Check { bytes }));
            return;
        }
        let (to, index, offset) = (fetching.from, fetching.index, fetching.have);
        Self::send(to, PeerMessage::SnapshotWanted { index, offset }, out);
    }

    /// What was fetched is no use. The leader offers again, and it begins anew then.
    fn fetch_anew(&mut self, reason: &str, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let Some(fetching) = &mut self.transfers.fetching else { return };
        (fetching.have, fetching.total) = (0, None);
        out.push(ConsensusEffect::Notice(format!(
            "the snapshot at entry {} that node {} sends cannot be taken: {reason}; it is fetched \
             anew",
            fetching.index, fetching.from
        )));
    }

    fn on_checked(
        &mut self,
        snapshot: Box<Snapshot>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let fetching = self.transfers.fetching.as_ref().expect("it was being fetched");
        let is_offered = (snapshot.index, snapshot.term) == (fetching.index, fetching.term)
            && snapshot.membership.as_ref() == Some(&fetching.membership);
        if !is_offered {
            self.fetch_anew("it is not the one that was offered", out);
            return;
        }
        self.transfers.fetching = None;
        let index = snapshot.index;
        self.transfers.fetched = Some(snapshot);
        if !self.group.on_snapshot_fetched(index, &mut self.group_out) {
            self.transfers.fetched = None;
            out.push(ConsensusEffect::Fetch(FetchEffect::Abandon));
        }
    }

    /// The group says that the snapshot takes the place of state and journal.
    pub(super) fn on_install(&mut self, index: u64, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let fetched = self.transfers.fetched.take();
        let fetched = fetched.filter(|fetched| fetched.index == index);
        let fetched = fetched.expect("the group installs what was fetched last");
        assert!(!self.transfers.busy, "what is fetched is not written any more");
        self.snapshots.abandon(out);
        self.transfers.installing = Some(fetched);
        self.transfers.busy = true;
        out.push(ConsensusEffect::Fetch(FetchEffect::Keep { index }));
    }

    /// The snapshot has its name: journal and shards go on behind it.
    fn install(&mut self, snapshot: &Snapshot, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let (index, term) = (snapshot.index, snapshot.term);
        assert!(index > self.delivered.0, "a snapshot leads forward");
        self.journal.on_installed(index, &mut self.journal_out);
        self.transfers.journal_behind = Some(index);
        self.snapshots.on_installed((index, snapshot.bytes));
        self.clock.on_applied(snapshot.stamp);
        self.forget_proposals(index);
        self.skip_requests(out);
        self.forget_hashes();
        self.delivered = (index, term);
        self.applied = index;
        self.terms = [(index, term)].into();
        self.unapplied.clear();
        self.unapplied_bytes = 0;
        for (shard, core) in self.shards.iter_mut().zip(0..) {
            shard.applied = index;
            let message = snapshot.restore(core, self.config.shards);
            out.push(ConsensusEffect::ToShard { to: CoreId(core), message });
        }
    }
}

fn from_journal(entry: journal::Entry) -> Entry {
    let kind = EntryKind::from_code(entry.kind).expect("what this node has written");
    Entry { index: entry.index, term: entry.term, kind, data: entry.data }
}
