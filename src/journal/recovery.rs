//! What a start makes of the files that it finds. Pure: the driver reads, this decides.
//!
//! The log is walked frame by frame, through the segments in their order. The first frame that is
//! not whole, or not the next one, ends the walk. If anything that can be read elsewhere says that
//! the log was durable beyond that place, the start is refused. Else that place is the end: it and
//! all after it is cut, valid or not, for none of it was ever reported durable.
//!
//! Invariants:
//! - Nothing below what any readable frame or header calls durable is cut.
//! - Any bytes may be in the files: the answer is a log or an error, never a panic.

mod corrupt;
mod walk;

pub use corrupt::{Corrupt, Reason};

use crate::Entry;
use crate::config::Config;
use crate::format::{BLOCK_BYTES, NotOurs, SegmentHeader, VoteCopy};
use crate::writer::{Free, Places, Segment};
use base::StoreId;
use corrupt::segment_name;
use std::collections::{BTreeMap, VecDeque};
use walk::Walk;

/// No counter on disk comes near this: what does was not written by us, and is refused before it
/// can overflow anything.
const COUNTER_MAX: u64 = 1 << 62;

/// What the walk did not reach and dropped. None of it was ever reported durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first entry that is not there.
    pub at_index: u64,
    /// Frames dropped, as far as their headers can be read.
    pub dropped_frames: u64,
    /// What these frames take. Unit: bytes.
    pub dropped_bytes: u64,
    /// The segment in which the log ends now.
    pub slot: u32,
    /// Where in its file. Unit: bytes.
    pub offset: u64,
}

/// The log as it was recovered, but for its entries.
#[derive(Debug)]
pub struct Recovered {
    /// The term last stored, or one that was about to be.
    pub term: u64,
    /// The vote in it, 0 for none.
    pub vote: u64,
    /// The highest commit index found, at most what is known to be durable, at least the
    /// snapshot's.
    pub commit: u64,
    /// Index and term of the last entry; the snapshot's where there is none behind it.
    pub last: (u64, u64),
    /// What was dropped, if anything was.
    pub cut: Option<Cut>,
    pub(crate) state: State,
}

/// What [`crate::Journal::resume`] goes on from.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) vote: VoteCopy,
    pub(crate) newest_copy: u64,
    /// Of the next segment.
    pub(crate) epoch: u64,
    /// Of the next segment.
    pub(crate) sequence: u64,
    /// Of the next segment.
    pub(crate) position: u64,
    /// Of the next segment.
    pub(crate) joins: u64,
    /// Of the next segment.
    pub(crate) chain: u32,
    pub(crate) durable_index: u64,
    pub(crate) durable_position: u64,
    /// What the next segment starts with.
    pub(crate) tail: Vec<Entry>,
    /// The log on disk is to give way to an installed snapshot of this index.
    pub(crate) replaced_by: Option<u64>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) places: Places,
    /// Not to be touched before the next segment's header is durable.
    pub(crate) held: Vec<Free>,
    pub(crate) free: Vec<Free>,
    pub(crate) next_slot: u32,
}

impl Recovered {
    /// Nothing: the journal of a fresh directory.
    pub(crate) fn fresh(store: StoreId) -> Self {
        let vote =
            VoteCopy { store, generation: 0, epoch: 0, term: 0, vote: 0, begins: 0, bare: 0 };
        Self {
            term: 0,
            vote: 0,
            commit: 0,
            last: (0, 0),
            cut: None,
            state: State {
                vote,
                newest_copy: 1,
                epoch: 1,
                sequence: 1,
                position: 0,
                joins: 0,
                chain: 0,
                durable_index: 0,
                durable_position: 0,
                tail: Vec::new(),
                replaced_by: None,
                segments: Vec::new(),
                places: Places::default(),
                held: Vec::new(),
                free: Vec::new(),
                next_slot: 0,
            },
        }
    }
}

/// A segment file.
#[derive(Debug)]
struct Found {
    header: Option<SegmentHeader>,
    bytes: u64,
}

/// Reads a journal. First [`Self::on_vote_file`], if there is that file, and [`Self::on_header`] for
/// every segment file; then [`Self::on_segment`] for each one that [`Self::next_segment`] names;
/// then [`Self::finish`].
#[derive(Debug)]
pub struct Recovery {
    config: Config,
    /// Index and term.
    snapshot: (u64, u64),
    /// Whether the snapshot came from elsewhere, so that the log need not lead up to it.
    installed: bool,
    /// The newest copy and its number.
    vote: Option<(VoteCopy, u64)>,
    files: BTreeMap<u32, Found>,
    /// What is still to be read, in order, once decided.
    unread: Option<VecDeque<u32>>,
    walk: Walk,
    fault: Option<Corrupt>,
}

impl Recovery {
    /// Entries up to `snapshot`, index and term, are held by a durable snapshot: they are not
    /// yielded and need not be there. (0, 0) without one.
    pub fn new(config: Config, snapshot: (u64, u64)) -> Self {
        config.check();
        let files = BTreeMap::new();
        let walk = Walk::new(&config, snapshot, false);
        Self {
            config,
            snapshot,
            installed: false,
            vote: None,
            files,
            unread: None,
            walk,
            fault: None,
        }
    }

    /// The same, with a snapshot that this node was sent. A log that does not lead up to it gives
    /// way: see [`crate::Journal::on_installed`].
    pub fn of_installed(config: Config, snapshot: (u64, u64)) -> Self {
        let walk = Walk::new(&config, snapshot, true);
        Self { installed: true, walk, ..Self::new(config, snapshot) }
    }

    /// The whole file `vote`. Not called where there is none.
    pub fn on_vote_file(&mut self, bytes: &[u8]) {
        for (number, block) in (0..2).zip(bytes.chunks(BLOCK_BYTES)) {
            match VoteCopy::read(block, self.config.store) {
                Ok(VoteCopy { generation, epoch, begins, bare, .. })
                    if generation.max(epoch).max(begins).max(bare) > COUNTER_MAX =>
                {
                    self.contradicts("vote".into(), "a counter is out of range");
                }
                Ok(copy) => {
                    if self.vote.is_none_or(|(newest, _)| copy.generation > newest.generation) {
                        self.vote = Some((copy, number));
                    }
                }
                Err(other) => self.on_other("vote", other),
            }
        }
    }

    /// The first block of a segment file, or less where the file is shorter.
    pub fn on_header(&mut self, slot: u32, block: &[u8]) {
        assert!(self.unread.is_none(), "all headers come before the first segment");
        let header = match SegmentHeader::read(block, self.config.store) {
            Ok(header) if !is_plausible(&header) => {
                self.contradicts(segment_name(slot), "a counter is out of range");
                None
            }
            Ok(header) => Some(header),
            Err(other) => {
                self.on_other(&segment_name(slot), other);
                None
            }
        };
        self.files.insert(slot, Found { header, bytes: 0 });
    }

    fn contradicts(&mut self, file: String, what: &'static str) {
        self.fault.get_or_insert(Corrupt::Contradiction { file, offset: 0, what });
    }

    fn on_other(&mut self, file: &str, other: NotOurs) {
        let file = file.to_owned();
        let fault = match other {
            NotOurs::Unreadable => return,
            NotOurs::Version(found) => Corrupt::Version { file, found },
            NotOurs::Store(found) => Corrupt::Store { file, expected: self.config.store, found },
        };
        self.fault.get_or_insert(fault);
    }

    /// The segment to read next, as a whole; nothing once all was read, or when it is clear already
    /// that the start is refused.
    pub fn next_segment(&mut self) -> Option<u32> {
        if self.unread.is_none() {
            self.unread = Some(self.plan());
        }
        if self.fault.is_some() {
            return None;
        }
        self.unread.as_mut().and_then(VecDeque::pop_front)
    }

    /// Decides the order: the segments that hold the log, as they follow each other, then all other
    /// files, which may hold a word about what was durable.
    fn plan(&mut self) -> VecDeque<u32> {
        let mut headers: Vec<(u32, SegmentHeader)> =
            self.files.iter().filter_map(|(slot, file)| Some((*slot, file.header?))).collect();
        headers.sort_by_key(|(_, header)| (header.epoch, header.sequence));
        for (_, header) in &headers {
            self.walk.hear_header(header);
        }
        let begins = self.vote.map_or(0, |(vote, _)| vote.begins);
        // From the newest to the oldest: each says from where on those before it do not count. What
        // lies before the beginning was given up, and may be half overwritten.
        let mut live = VecDeque::new();
        let mut superseded = Vec::new();
        let mut limit = u64::MAX;
        for (slot, header) in headers.iter().rev() {
            if header.position < begins {
                continue;
            }
            if header.position >= limit {
                superseded.push((*slot, *header));
            } else {
                live.push_front(walk::Live::new(*slot, *header, limit));
                limit = header.joins;
            }
        }
        let first_index = live.front().map_or(0, |live| live.header.first_index);
        let found = live.front().is_some_and(|live| live.header.joins == begins);
        let needed = self.snapshot.0.saturating_add(1);
        // Before the first segment there is nothing to begin with; so it is with a snapshot that
        // is installed where nothing was, or instead of all that was.
        let bare = self.vote.map_or(0, |(vote, _)| vote.bare);
        let is_new = begins == 0 && (self.snapshot.0 == 0 || self.installed);
        let is_bare = bare != 0 && bare <= self.snapshot.0;
        // What was there before an installed snapshot came may end below it.
        let is_behind = found && first_index <= needed;
        if !(is_behind || !found && (is_new || is_bare)) {
            self.fault.get_or_insert(Corrupt::Gap { index: needed, first: first_index });
        }
        let mut unread: VecDeque<u32> = live.iter().map(|live| live.slot).collect();
        let others = self.files.keys().filter(|slot| !live.iter().any(|live| live.slot == **slot));
        unread.extend(others);
        self.walk.start(live.into(), superseded, begins, bare);
        unread
    }

    /// The bytes of the segment that [`Self::next_segment`] named. Its entries are put behind those
    /// in `out`, which is the same list in every call: entries that a later one supersedes are
    /// taken out of it again.
    pub fn on_segment(&mut self, slot: u32, bytes: &[u8], out: &mut Vec<Entry>) {
        let file = self.files.get_mut(&slot).expect("only segments that were announced are read");
        file.bytes = bytes.len() as u64;
        let term_max = self.vote.map_or(u64::MAX, |(vote, _)| vote.term);
        if let Err(fault) = self.walk.read(slot, bytes, term_max, out) {
            self.fault.get_or_insert(fault);
        }
    }

    /// The highest commit index read so far. Entries at or below it are never taken out again, so
    /// that they may be handed on while the rest is read.
    pub fn commit(&self) -> u64 {
        self.walk.commit
    }

    /// The verdict. `out` is the list that [`Self::on_segment`] filled: what of it is not in the log
    /// after all is taken out.
    pub fn finish(mut self, out: &mut Vec<Entry>) -> Result<Recovered, Corrupt> {
        if self.unread.is_none() {
            self.unread = Some(self.plan());
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        assert!(self.unread.is_none_or(|unread| unread.is_empty()), "every segment was read");
        let Some((vote, newest_copy)) = self.vote else {
            if self.files.is_empty() {
                let mut fresh = Recovered::fresh(self.config.store);
                (fresh.last, fresh.commit) = (self.snapshot, self.snapshot.0);
                fresh.state.replaced_by = (self.snapshot.0 > 0).then_some(self.snapshot.0);
                return Ok(fresh);
            }
            return Err(Corrupt::Vote { segments: self.files.len() });
        };
        let mut walk = self.walk;
        let replaced = walk.check()?;
        if replaced {
            out.clear();
        }
        let settled = walk.settled();
        let is_below = replaced || walk.last.0 <= self.snapshot.0;
        let last = if is_below { self.snapshot } else { walk.last };
        let epoch = self.files.values().filter_map(|file| file.header).map(|header| header.epoch);
        let sequence =
            self.files.values().filter_map(|file| file.header).map(|header| header.sequence);
        let epoch = epoch.max().unwrap_or(0).max(vote.epoch);
        let sequence = sequence.max().unwrap_or(0);
        let position = walk.position;
        let reusable = |slot: &u32| self.files[slot].bytes == self.config.segment_bytes;
        let segments = walk.segments(settled.position, reusable);
        let held = walk.held(settled.position);
        let in_use = |slot: &&u32| segments.iter().any(|segment| segment.slot == **slot);
        let file = |slot: &u32| Free { slot: *slot, reusable: reusable(slot) };
        let others = self.files.keys().filter(|slot| !in_use(slot));
        let (held, free) = others.map(file).partition(|file| held.contains(&file.slot));
        let settled_index = if replaced { self.snapshot.0 } else { settled.index };
        let commit = walk.commit.min(settled_index).max(self.snapshot.0);
        let cut = walk.cut().filter(|_| !replaced);
        let places = std::mem::take(&mut walk.places);
        let (joins, chain, mut tail) = walk.tail(&settled);
        if replaced {
            tail.clear();
        }
        Ok(Recovered {
            term: vote.term,
            vote: vote.vote,
            commit,
            last,
            cut,
            state: State {
                vote,
                newest_copy,
                epoch: epoch + 1,
                sequence: sequence + 1,
                position,
                joins,
                chain,
                // The snapshot stands for the log once that has given way.
                durable_index: if replaced { 0 } else { settled.index.max(self.snapshot.0) },
                durable_position: settled.position,
                tail,
                replaced_by: replaced.then_some(self.snapshot.0),
                segments,
                places,
                held,
                free,
                next_slot: self.files.keys().last().map_or(0, |slot| slot.saturating_add(1)),
            },
        })
    }
}

fn is_plausible(header: &SegmentHeader) -> bool {
    let SegmentHeader { epoch, sequence, position, joins, first_index, .. } = *header;
    let largest = [epoch, sequence, position, joins, first_index].into_iter().max();
    largest <= Some(COUNTER_MAX) && joins <= position && first_index > 0
}

#[cfg(test)]
mod tests;
