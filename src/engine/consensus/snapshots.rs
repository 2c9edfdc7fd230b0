//! When a snapshot is taken, and how: the globals first, then one partition after the other, so
//! that work goes on between them.
//!
//! Invariants (SOUNDNESS 21):
//! - a snapshot's index is its globals' index; no partition's image is older;
//! - one snapshot is under way at most, and one image of it is in memory;
//! - the journal may be compacted only once the whole snapshot is durable under its name.

use super::ConsensusEffect;
use crate::message::{Part, ToShard};
use crate::snapshot;
use base::{CoreId, Instant, Outbox, PartitionId};
use quorum::Membership;
use std::collections::VecDeque;
use std::time::Duration;

/// After a snapshot that failed (a full disk, say), the next try comes so much later.
const RETRY: Duration = Duration::from_secs(10);

/// What is to be done with snapshot files. One at a time: each is answered by
/// [`super::ConsensusCore::on_snapshot_done`] before the next comes.
#[derive(Debug)]
pub enum SnapshotEffect {
    /// Begin a new, unnamed file with these bytes.
    Begin {
        /// The file's beginning.
        bytes: Vec<u8>,
    },
    /// Append.
    Write {
        /// What to append.
        bytes: Vec<u8>,
    },
    /// Append, make durable, give it its name, make that durable, then remove older snapshots.
    Finish {
        /// The snapshot's index, which is in its name.
        index: u64,
        /// What to append.
        bytes: Vec<u8>,
    },
    /// Remove the unnamed file.
    Abandon,
}

#[derive(Debug)]
pub(super) struct Snapshots {
    /// Index and size of the last one.
    last: (u64, u64),
    journal_bytes: u64,
    /// The journal's size when it was last compacted.
    left_bytes: u64,
    under_way: Option<UnderWay>,
    retry_at: Option<Instant>,
    /// A follower needs one, however small the journal is.
    wanted: bool,
    /// An effect is with the driver.
    busy: bool,
}

#[derive(Debug)]
struct UnderWay {
    index: u64,
    bytes: u64,
    /// Parts still to be taken, with the shard to ask.
    left: VecDeque<(CoreId, Part)>,
    shards: u16,
    /// An effect is with the driver; the last one when true.
    finishing: bool,
}

impl Snapshots {
    pub(super) fn new(last: (u64, u64), journal_bytes: u64) -> Self {
        Self {
            last,
            journal_bytes,
            left_bytes: 0,
            under_way: None,
            retry_at: None,
            wanted: false,
            busy: false,
        }
    }

    /// The last snapshot's index; 0 without one.
    pub(super) fn last_index(&self) -> u64 {
        self.last.0
    }

    /// The journal was compacted behind a snapshot: what is left cannot go, as it is in the open
    /// segment. Only growth from here on counts.
    pub(super) fn on_compacted(&mut self, journal_bytes: u64) {
        self.left_bytes = journal_bytes;
    }

    /// A follower needs a snapshot.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Another node's snapshot takes the place of what is being written.
    pub(super) fn abandon<B>(&mut self, out: &mut Outbox<ConsensusEffect<B>>) {
        // What is with the driver ends first; the next beginning takes the file over.
        if self.under_way.take().is_some() && !self.busy {
            out.push(ConsensusEffect::Snapshot(SnapshotEffect::Abandon));
        }
    }

    /// Another node's snapshot is installed: its index and size.
    pub(super) fn on_installed(&mut self, last: (u64, u64)) {
        self.last = last;
        self.left_bytes = 0;
        self.wanted = false;
    }

    /// Begins a snapshot when the journal has grown by more than the limit and twice the last one.
    /// `applied` is none where no snapshot may be taken.
    pub(super) fn consider<B>(
        &mut self,
        journal_bytes: u64,
        applied: Option<u64>,
        shards: u16,
        out: &mut Outbox<ConsensusEffect<B>>,
    ) {
        let grown = journal_bytes.saturating_sub(self.left_bytes);
        let due = self.wanted || grown > self.journal_bytes.max(2 * self.last.1);
        let may = applied.is_some_and(|applied| applied > self.last.0);
        let is_busy = self.under_way.is_some() || self.busy;
        if !due || !may || is_busy || self.retry_at.is_some() {
            return;
        }
        self.wanted = false;
        self.under_way =
            Some(UnderWay { index: 0, bytes: 0, left: VecDeque::new(), shards, finishing: false });
        ask(CoreId(0), Part::Globals, out);
    }

    /// Whether an image taken at this index is of use: one from before a snapshot was installed is
    /// not.
    pub(super) fn wants(&self, applied: u64) -> bool {
        self.under_way.is_some() && applied > self.last.0
    }

    /// An image came from a shard; `members` are those as of its index.
    pub(super) fn on_image<B>(
        &mut self,
        part: Part,
        (applied, term): (u64, u64),
        partitions: u16,
        image: &[u8],
        members: &Membership,
        out: &mut Outbox<ConsensusEffect<B>>,
    ) {
        let now = self.under_way.as_mut().expect("asked for");
        let mut bytes = snapshot::chunk(part, applied, term, image);
        if part == Part::Globals {
            bytes.extend(snapshot::members_chunk(applied, term, members));
        }
        now.bytes += bytes.len() as u64;
        let effect = match part {
            Part::Globals => {
                now.index = applied;
                now.left = (0..partitions)
                    .map(|id| (CoreId(id % now.shards), Part::Partition(PartitionId(id))))
                    .collect();
                SnapshotEffect::Begin { bytes }
            }
            Part::Partition(_) => {
                assert!(applied >= now.index, "no partition's image is older than the globals'");
                SnapshotEffect::Write { bytes }
            }
        };
        self.busy = true;
        out.push(ConsensusEffect::Snapshot(effect));
    }

    /// The driver is done with an effect. Returns the index that the journal may be compacted
    /// through once a snapshot is complete.
    pub(super) fn on_done<B>(
        &mut self,
        now: Instant,
        result: Result<(), String>,
        out: &mut Outbox<ConsensusEffect<B>>,
    ) -> Option<u64> {
        self.busy = false;
        let under_way = self.under_way.as_mut()?;
        if let Err(reason) = result {
            out.push(ConsensusEffect::Notice(format!(
                "a snapshot could not be written: {reason}; the next try is in {} s, and until \
                 then the journal grows",
                RETRY.as_secs()
            )));
            self.under_way = None;
            self.retry_at = Some(now + RETRY);
            out.push(ConsensusEffect::Snapshot(SnapshotEffect::Abandon));
            return None;
        }
        if under_way.finishing {
            self.last = (under_way.index, under_way.bytes);
            self.under_way = None;
            return Some(self.last.0);
        }
        if let Some((core, part)) = under_way.left.pop_front() {
            ask(core, part, out);
        } else {
            under_way.finishing = true;
            let index = under_way.index;
            let bytes = snapshot::trailer(index);
            self.busy = true;
            out.push(ConsensusEffect::Snapshot(SnapshotEffect::Finish { index, bytes }));
        }
        None
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) fn on_deadline(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|due| due <= now) {
            self.retry_at = None;
        }
    }
}

fn ask<B>(to: CoreId, part: Part, out: &mut Outbox<ConsensusEffect<B>>) {
    out.push(ConsensusEffect::ToShard { to, message: ToShard::TakeImage(part) });
}
