//! Rare branches that a run reached. A run that never reached them shows nothing about them.

use crate::node::Event;
use engine::FetchEffect;
use engine::message::NotTaken;
use engine::peer::PeerMessage;
use std::collections::BTreeMap;

/// What a run may reach, and how often it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<Mark, u64>);

/// A rare branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A power cut took answers with it.
    CutUnderLoad,
    /// A power cut lost or tore sectors that were written and not yet synced.
    SectorsLost,
    /// A process was killed while its disk had writes that were not yet synced.
    KilledWithUnsynced,
    /// A start began from a snapshot.
    StartFromSnapshot,
    /// A process did nothing for longer than an election takes.
    LongPause,
    /// A wall clock jumped back.
    ClockBack,
    /// A key's repeat was told the first answer.
    KeyRepeated,
    /// A keyed message whose answer was lost was sent again.
    KeyRetried,
    /// A producer's numbers were told their first answer again.
    NumberRepeated,
    /// A client found no process where it asked.
    ConnectionRefused,
    /// A client was refused for now.
    Refused,
    /// The log holds a session batch twice, or again.
    SectionAgain,
    /// The log holds a session batch before its predecessor.
    SectionGap,
    /// A disk became full.
    DiskFull,
    /// Another node took the lead.
    LeaderChange,
    /// A follower sent its session's batches to the leader.
    Forwarded,
    /// A leader did not take a forwarded batch.
    NotTaken,
    /// A leader refused a batch because one before it was missing.
    ForwardGap,
    /// A node asked for leave to stand for election and did not get it.
    PreVoteRefused,
    /// A node was told that the process of a peer is gone.
    PeerRefused,
    /// A leader read old entries back for a follower.
    EntriesServed,
    /// A follower installed its leader's snapshot in place.
    SnapshotInstalled,
    /// A leader no longer had the snapshot that it had offered.
    SnapshotGone,
    /// A client was told that no leader is known.
    NoLeaderTold,
    /// A client was told that the outcome is unknown.
    UnknownTold,
    /// Somebody asked for a message that was not there yet.
    ReadTooEarly,
    /// A read was refused for now.
    ReadRefused,
    /// A sync failed, and the process ended.
    SyncFailed,
    /// A file could not be read at a start.
    StartUnreadable,
    /// A stop in order: the process said that it was done.
    StoppedInOrder,
    /// A stop in order took too long, and the process was killed.
    StopCutShort,
    /// A snapshot could not be written.
    SnapshotFailed,
    /// A vote was given.
    Voted,
    /// A node lost its data directory.
    Wiped,
    /// A start found what flipped bits have left.
    RotFound,
    /// A node that lost its data directory votes again with a new one.
    Mended,
    /// A leader offered its lead to another.
    HandedOver,
    /// A worker was given a task.
    TaskRun,
    /// It was not the task's first attempt.
    TaskRunAgain,
    /// A worker's process died.
    WorkerDied,
    /// A worker was told that it had been declared lost.
    WorkerLost,
    /// A worker had to kill all that it ran.
    WorkerKilledAll,
    /// A worker left in order.
    WorkerLeft,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 43] = [
        Self::CutUnderLoad,
        Self::SectorsLost,
        Self::KilledWithUnsynced,
        Self::StartFromSnapshot,
        Self::LongPause,
        Self::ClockBack,
        Self::KeyRepeated,
        Self::KeyRetried,
        Self::NumberRepeated,
        Self::ConnectionRefused,
        Self::Refused,
        Self::SectionAgain,
        Self::SectionGap,
        Self::DiskFull,
        Self::LeaderChange,
        Self::Forwarded,
        Self::NotTaken,
        Self::ForwardGap,
        Self::PreVoteRefused,
        Self::PeerRefused,
        Self::EntriesServed,
        Self::SnapshotInstalled,
        Self::SnapshotGone,
        Self::NoLeaderTold,
        Self::UnknownTold,
        Self::ReadTooEarly,
        Self::ReadRefused,
        Self::SyncFailed,
        Self::StartUnreadable,
        Self::StoppedInOrder,
        Self::StopCutShort,
        Self::SnapshotFailed,
        Self::Voted,
        Self::HandedOver,
        Self::Wiped,
        Self::RotFound,
        Self::Mended,
        Self::TaskRun,
        Self::TaskRunAgain,
        Self::WorkerDied,
        Self::WorkerLost,
        Self::WorkerKilledAll,
        Self::WorkerLeft,
    ];
}

impl Marks {
    /// How often it was reached.
    pub fn count(&self, mark: Mark) -> u64 {
        self.0.get(&mark).copied().unwrap_or(0)
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (mark, count) in &other.0 {
            *self.0.entry(*mark).or_default() += count;
        }
    }

    /// A node sends this to another.
    pub(crate) fn on_sent(&mut self, message: &PeerMessage) {
        let mark = match message {
            PeerMessage::Forward(_) => Mark::Forwarded,
            PeerMessage::NotTaken { why: NotTaken::Gap, .. } => Mark::ForwardGap,
            PeerMessage::NotTaken { .. } => Mark::NotTaken,
            PeerMessage::SnapshotGone { .. } => Mark::SnapshotGone,
            PeerMessage::Raft(quorum::Message::PreVoteResponse(ballot)) if ballot.reject => {
                Mark::PreVoteRefused
            }
            PeerMessage::Raft(quorum::Message::RequestVoteResponse(ballot)) if !ballot.reject => {
                Mark::Voted
            }
            PeerMessage::Raft(quorum::Message::TimeoutNow { .. }) => Mark::HandedOver,
            _ => return,
        };
        self.reach(mark);
    }

    /// A node begins this.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::ReadEntries(_) => self.reach(Mark::EntriesServed),
            Event::Fetch(FetchEffect::Keep { .. }) => self.reach(Mark::SnapshotInstalled),
            _ => {}
        }
    }

    /// A client is told this.
    pub(crate) fn on_reply(&mut self, response: &api::Response) {
        if response.status != 503 {
            return;
        }
        let text = String::from_utf8_lossy(&response.body);
        let says = |code: api::Code| u64::from(text.contains(code.as_str()));
        self.reach_if(Mark::NoLeaderTold, says(api::Code::NoLeader));
        self.reach_if(Mark::UnknownTold, says(api::Code::OutcomeUnknown));
    }

    pub(crate) fn reach(&mut self, mark: Mark) {
        self.reach_if(mark, 1);
    }

    pub(crate) fn reach_if(&mut self, mark: Mark, count: u64) {
        if count > 0 {
            *self.0.entry(mark).or_default() += count;
        }
    }
}
