//! Rare branches that a run reached. A run that never reached them shows nothing about them.

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
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 15] = [
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

    pub(crate) fn reach(&mut self, mark: Mark) {
        self.reach_if(mark, 1);
    }

    pub(crate) fn reach_if(&mut self, mark: Mark, count: u64) {
        if count > 0 {
            *self.0.entry(mark).or_default() += count;
        }
    }
}
