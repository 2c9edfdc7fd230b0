//! The walk through the log, frame by frame, and the look around where it ends.

use super::Cut;
use super::corrupt::{Corrupt, Reason, segment_name};
use crate::Entry;
use crate::config::Config;
use crate::format::{BLOCK_BYTES, FrameHeader, FrameKind, NotOurs, SegmentHeader};
use crate::frame;
use crate::writer::{Places, Segment};
use base::StoreId;
use std::collections::VecDeque;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A segment that holds part of the log.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) slot: u32,
    pub(super) header: SegmentHeader,
    /// The position from which on its frames do not count.
    limit: u64,
    /// The position behind its last frame.
    end: u64,
    last_index: u64,
}

impl Live {
    pub(super) fn new(slot: u32, header: SegmentHeader, limit: u64) -> Self {
        Self { slot, header, limit, end: header.position, last_index: 0 }
    }
}

/// A frame that was walked over and may have to be copied.
#[derive(Debug)]
struct Walked {
    /// Which of the live segments it is in.
    live: usize,
    end: u64,
    crc: u32,
    first_index: u64,
    last_index: u64,
    entries: Vec<Entry>,
}

/// A place between two frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) chain: u32,
    /// The last index before it.
    pub(super) index: u64,
}

/// Where the walk ended.
#[derive(Clone, Copy, Debug)]
struct Stop {
    slot: u32,
    offset: u64,
    epoch: u64,
    reason: Reason,
}

/// The walk and what it found.
#[derive(Debug)]
pub(super) struct Walk {
    store: StoreId,
    merge_bytes_max: u64,
    live: Vec<Live>,
    /// How many of them were walked into.
    entered: usize,
    /// Index and term.
    snapshot: (u64, u64),
    /// Whether the log need not lead up to it.
    installed: bool,
    /// The term of the log's entry at the snapshot's index, where the log has one.
    term_there: Option<u64>,
    /// The position of the next frame.
    pub(super) position: u64,
    chain: u32,
    /// Index and term of the last entry.
    pub(super) last: (u64, u64),
    pub(super) commit: u64,
    /// The highest claim of durability found anywhere, position and index: below it nothing is cut.
    claimed: (u64, u64),
    /// The highest such claim that nothing but the log itself has to vouch for. What a start reads
    /// may still be lost, unless it was synced before something that can be read was written. The
    /// header of a copied tail speaks for the copy, but not for itself.
    sure: u64,
    /// Segments that a live one supersedes as a whole.
    superseded: Vec<(u32, SegmentHeader)>,
    stop: Option<Stop>,
    /// The frames above `passed` that may have to be copied.
    recent: VecDeque<Walked>,
    passed: Place,
    /// Where the entries walked over lie.
    pub(super) places: Places,
    dropped_frames: u64,
    dropped_bytes: u64,
}

impl Walk {
    pub(super) fn new(config: &Config, snapshot: (u64, u64), installed: bool) -> Self {
        Self {
            store: config.store,
            merge_bytes_max: config.merge_bytes_max,
            live: Vec::new(),
            entered: 0,
            snapshot,
            installed,
            term_there: None,
            position: 0,
            chain: 0,
            last: (0, 0),
            commit: 0,
            claimed: (0, 0),
            sure: 0,
            superseded: Vec::new(),
            stop: None,
            recent: VecDeque::new(),
            passed: Place::default(),
            places: Places::default(),
            dropped_frames: 0,
            dropped_bytes: 0,
        }
    }

    /// The segments to walk through, in order, the position at which the log begins, and the index
    /// behind which it does so where no segment says it.
    pub(super) fn start(
        &mut self,
        live: Vec<Live>,
        superseded: Vec<(u32, SegmentHeader)>,
        begins: u64,
        bare: u64,
    ) {
        self.superseded = superseded;
        self.position = begins;
        self.last.0 = bare;
        if let Some(Live { header, .. }) = live.first().filter(|live| live.header.joins == begins) {
            self.chain = header.chain;
            self.last.0 = header.first_index - 1;
        }
        self.passed = Place { position: begins, chain: self.chain, index: self.last.0 };
        self.live = live;
    }

    /// A segment's header was found.
    pub(super) fn hear_header(&mut self, header: &SegmentHeader) {
        self.claimed = self.claimed.max((header.durable_position, header.durable_through));
        if header.durable_position <= header.position {
            self.sure = self.sure.max(header.durable_position);
        }
    }

    /// A frame was found, in the log or elsewhere.
    fn hear(&mut self, frame: &FrameHeader) {
        self.claimed = self.claimed.max((frame.durable_position, frame.durable_through));
        self.sure = self.sure.max(frame.durable_position);
    }

    /// Reads a whole segment file: as the next part of the log, if it is that.
    pub(super) fn read(
        &mut self,
        slot: u32,
        bytes: &[u8],
        term_max: u64,
        out: &mut Vec<Entry>,
    ) -> Result<(), Corrupt> {
        let next = self.live.get(self.entered).is_some_and(|live| live.slot == slot);
        let mut from = BLOCK;
        if next && self.stop.is_none() && self.enter(slot) {
            match self.walk(bytes, term_max, out)? {
                Some(offset) => from = offset,
                None => return Ok(()),
            }
        }
        self.look_around(slot, bytes, from)
    }

    /// Steps over into the next segment, if that continues the log.
    fn enter(&mut self, slot: u32) -> bool {
        let header = self.live[self.entered].header;
        if self.position != header.joins || self.chain != header.chain {
            self.stop = Some(Stop { slot, offset: 0, epoch: header.epoch, reason: Reason::Link });
            return false;
        }
        // Of the segments before, only what is not known to be durable may have to be copied.
        self.pass(true);
        self.position = header.position.saturating_add(BLOCK);
        self.live[self.entered].end = self.position;
        self.live[self.entered].last_index = self.last.0;
        self.entered += 1;
        true
    }

    /// Walks through the segment just entered. Says where it stopped, if not at the segment's end.
    fn walk(
        &mut self,
        bytes: &[u8],
        term_max: u64,
        out: &mut Vec<Entry>,
    ) -> Result<Option<u64>, Corrupt> {
        let number = self.entered - 1;
        let Live { slot, header, limit, .. } = self.live[number];
        loop {
            if self.position == limit {
                return Ok(None);
            }
            let offset = self.position.saturating_sub(header.position);
            let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
            let (frame, crc, payload) = match self.next_frame(rest, &header, limit) {
                Ok(next) => next,
                Err(NotNext::Version(found)) => {
                    return Err(Corrupt::Version { file: segment_name(slot), found });
                }
                Err(NotNext::Reason(reason)) => {
                    self.stop = Some(Stop { slot, offset, epoch: header.epoch, reason });
                    return Ok(Some(offset));
                }
            };
            let wrong = |what| Corrupt::Contradiction { file: segment_name(slot), offset, what };
            let entries = match frame.kind {
                FrameKind::Seal if payload.is_empty() => Vec::new(),
                FrameKind::Seal => return Err(wrong("a seal holds something")),
                FrameKind::Entries => {
                    let entries = frame::entries(&frame, payload);
                    let entries = entries.filter(|entries| !entries.is_empty());
                    let entries =
                        entries.ok_or(wrong("a frame holds other entries than it says"))?;
                    self.check_entries(&entries, term_max).map_err(wrong)?;
                    entries
                }
            };
            self.accept(number, &frame, crc, entries, out);
        }
    }

    /// The frame at the start of `rest`, if it is the next one of the log.
    fn next_frame<'a>(
        &self,
        rest: Option<&'a [u8]>,
        segment: &SegmentHeader,
        limit: u64,
    ) -> Result<(FrameHeader, u32, &'a [u8]), NotNext> {
        let rest = rest.filter(|rest| rest.len() >= BLOCK_BYTES);
        let rest = rest.ok_or(NotNext::Reason(Reason::End))?;
        let (frame, crc) = FrameHeader::read(rest, self.store).map_err(|other| match other {
            NotOurs::Version(version) => NotNext::Version(version),
            NotOurs::Store(_) => NotNext::Reason(Reason::Stale),
            NotOurs::Unreadable if rest[..BLOCK_BYTES].iter().all(|byte| *byte == 0) => {
                NotNext::Reason(Reason::Zeros)
            }
            NotOurs::Unreadable => NotNext::Reason(Reason::Header),
        })?;
        let is_next = (frame.epoch, frame.sequence) == (segment.epoch, segment.sequence)
            && frame.position == self.position
            && frame.chain == self.chain
            && self.position.checked_add(frame.bytes()).is_some_and(|end| end <= limit);
        if !is_next {
            return Err(NotNext::Reason(Reason::Stale));
        }
        let payload = frame::payload(&frame, rest);
        let payload = payload.ok_or(NotNext::Reason(Reason::Payload(frame.payload_bytes)))?;
        Ok((frame, crc, payload))
    }

    /// What must hold of entries that a whole frame brings.
    fn check_entries(&self, entries: &[Entry], term_max: u64) -> Result<(), &'static str> {
        let first = entries[0].index;
        if first > self.last.0.saturating_add(1) {
            return Err("entries are missing before a frame");
        }
        if first == 0 {
            return Err("entries are counted from 1");
        }
        if entries.iter().any(|entry| entry.term > term_max) {
            return Err("an entry is of a term that the vote file does not know");
        }
        Ok(())
    }

    /// Takes over a frame.
    fn accept(
        &mut self,
        number: usize,
        frame: &FrameHeader,
        crc: u32,
        entries: Vec<Entry>,
        out: &mut Vec<Entry>,
    ) {
        self.hear(frame);
        self.commit = self.commit.max(frame.commit);
        self.position += frame.bytes();
        self.chain = crc;
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            let below = first.index - 1;
            let is_first = frame.position == self.live[number].header.position + BLOCK;
            let of_its_own = is_first || first.index <= self.last.0;
            self.places.push(frame.position, first.index, of_its_own);
            while out.pop_if(|entry| entry.index > below).is_some() {}
            let there = entries.iter().find(|entry| entry.index == self.snapshot.0);
            if let Some(there) = there {
                self.term_there = Some(there.term);
            } else if below < self.snapshot.0 {
                self.term_there = None;
            }
            let needed = entries.iter().filter(|entry| entry.index > self.snapshot.0);
            out.extend(needed.cloned());
            for live in &mut self.live[..number] {
                live.last_index = live.last_index.min(below);
            }
            self.last = (last.index, last.term);
        }
        let live = &mut self.live[number];
        live.end = self.position;
        live.last_index = live.last_index.max(self.last.0);
        self.recent.push_back(Walked {
            live: number,
            end: self.position,
            crc,
            first_index: entries.first().map_or(u64::MAX, |first| first.index),
            last_index: self.last.0,
            entries,
        });
        self.pass(live_bytes(&self.live[number]) > self.merge_bytes_max);
    }

    /// Forgets the frames that need no copy: those known to be durable, and where the last segment
    /// is small enough to be copied as a whole, only those before it.
    fn pass(&mut self, all: bool) {
        let current = self.entered.wrapping_sub(1);
        while let Some(frame) = self.recent.front() {
            let known = frame.end <= self.sure;
            if !known || !(all || frame.live != current) {
                return;
            }
            self.passed = Place { position: frame.end, chain: frame.crc, index: frame.last_index };
            self.recent.pop_front();
        }
    }

    /// Behind the end of the walk: whose headers can be read, and what do they say was durable?
    fn look_around(&mut self, slot: u32, bytes: &[u8], from: u64) -> Result<(), Corrupt> {
        let mut at = usize::try_from(from).unwrap_or(usize::MAX);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let mut step = BLOCK;
            match FrameHeader::read(rest, self.store) {
                Ok((frame, _)) => {
                    self.hear(&frame);
                    if self.stop.is_some_and(|stop| stop.epoch == frame.epoch)
                        && frame.position >= self.position
                    {
                        self.dropped_frames += 1;
                        self.dropped_bytes += frame.bytes();
                        // What lies within is its own, or older.
                        step = frame.bytes();
                    }
                }
                Err(NotOurs::Version(found)) => {
                    return Err(Corrupt::Version { file: segment_name(slot), found });
                }
                Err(NotOurs::Unreadable | NotOurs::Store(_)) => {}
            }
            at = usize::try_from(step).map_or(usize::MAX, |step| at.saturating_add(step));
        }
        Ok(())
    }

    /// Refuses when something durable lies behind the end of the walk. Whether the log gives way to
    /// a snapshot that was installed, to which it does not lead up.
    pub(super) fn check(&self) -> Result<bool, Corrupt> {
        let index = self.last.0.saturating_add(1);
        let lost = self.claimed.0 > self.position;
        let is_short = self.last.0 < self.snapshot.0;
        let is_other = self.term_there.is_some_and(|term| term != self.snapshot.1);
        if !lost && self.installed {
            return Ok(is_short || is_other);
        }
        if !lost && !is_short {
            return Ok(false);
        }
        let through = if lost { self.claimed.1 } else { 0 };
        let Some(stop) = self.stop else {
            return Err(Corrupt::Gap { index, first: 0 });
        };
        Err(Corrupt::Entries {
            slot: stop.slot,
            offset: stop.offset,
            index,
            durable_through: through.max(self.snapshot.0),
            reason: stop.reason,
        })
    }

    /// The place up to which the log is known to be durable.
    pub(super) fn settled(&self) -> Place {
        let known = |frame: &Walked| frame.end <= self.sure;
        let known = self.recent.iter().rposition(known).map_or(0, |at| at + 1);
        let mut place = match known.checked_sub(1).map(|at| &self.recent[at]) {
            Some(frame) => Place { position: frame.end, chain: frame.crc, index: frame.last_index },
            None => self.passed,
        };
        // What later frames supersede is not in the log any more.
        for frame in self.recent.range(known..) {
            place.index = place.index.min(frame.first_index - 1);
        }
        place
    }

    /// Where the next segment joins, its chain, and what it has to start with: all that is not known
    /// to be durable, and the whole last segment where that is small.
    pub(super) fn tail(mut self, settled: &Place) -> (u64, u32, Vec<Entry>) {
        let mut join = *settled;
        if let Some(last) = self.entered.checked_sub(1).map(|number| &self.live[number])
            && live_bytes(last) <= self.merge_bytes_max
            && last.header.joins < join.position
        {
            join.position = last.header.joins;
            join.chain = last.header.chain;
        }
        let mut tail: Vec<Entry> = Vec::new();
        for frame in self.recent.drain(..).filter(|frame| frame.end > join.position) {
            for entry in frame.entries {
                while tail.pop_if(|before| before.index >= entry.index).is_some() {}
                tail.push(entry);
            }
        }
        (join.position, join.chain, tail)
    }

    /// The segments that the log is in.
    pub(super) fn segments(&self, durable: u64, reusable: impl Fn(&u32) -> bool) -> Vec<Segment> {
        let segment = |live: &Live| Segment {
            slot: live.slot,
            sequence: live.header.sequence,
            position: live.header.position,
            joins: live.header.joins,
            first_index: live.header.first_index,
            last_index: live.last_index,
            end: live.end - live.header.position,
            header_durable: live.header.position < durable,
            reusable: reusable(&live.slot),
            inherited: true,
        };
        self.live[..self.entered].iter().map(segment).collect()
    }

    /// The segments that the log would be in if the header that supersedes them got lost after all:
    /// it is not known to be durable.
    pub(super) fn held(&self, durable: u64) -> Vec<u32> {
        let age = |header: &SegmentHeader| (header.epoch, header.sequence);
        let is_held = |old: &SegmentHeader| {
            !self.live[..self.entered].iter().any(|live| {
                age(&live.header) > age(old)
                    && live.header.joins <= old.position
                    && live.header.position < durable
            })
        };
        let held = self.superseded.iter().filter(|(_, header)| is_held(header));
        held.map(|(slot, _)| *slot).collect()
    }

    /// What was dropped, if anything was.
    pub(super) fn cut(&self) -> Option<Cut> {
        let stop = self.stop.filter(|_| self.dropped_frames > 0)?;
        Some(Cut {
            at_index: self.last.0.saturating_add(1),
            dropped_frames: self.dropped_frames,
            dropped_bytes: self.dropped_bytes,
            slot: stop.slot,
            offset: stop.offset,
        })
    }
}

/// Why the walk does not go on.
enum NotNext {
    Version(u16),
    Reason(Reason),
}

/// What the frames in it take.
fn live_bytes(live: &Live) -> u64 {
    live.end.saturating_sub(live.header.position).saturating_sub(BLOCK)
}
