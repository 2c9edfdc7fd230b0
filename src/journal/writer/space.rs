//! Which segment files are in use, ready or on their way.
//!
//! Invariants:
//! - A slot is in use, ready, being prepared, or not there: never two of these.
//! - At most one preparation is on its way.

use crate::config::Config;
use crate::format::{BLOCK_BYTES, frame_bytes};
use crate::vote::Tokens;
use crate::{Effect, Token};
use base::{Instant, Outbox};
use std::collections::VecDeque;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A segment that holds part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) slot: u32,
    pub(crate) sequence: u64,
    pub(crate) position: u64,
    pub(crate) joins: u64,
    /// The first index in it. Entries that supersede may be lower.
    pub(crate) first_index: u64,
    /// The last index that it holds and that no other segment superseded.
    pub(crate) last_index: u64,
    /// Where its next frame goes. Unit: bytes from the start of the file.
    pub(crate) end: u64,
    /// Whether a start would find it.
    pub(crate) header_durable: bool,
    /// Whether its file has the length that the config asks for.
    pub(crate) reusable: bool,
    /// Whether an earlier run wrote it.
    pub(crate) inherited: bool,
}

/// A file that holds nothing of the log any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Free {
    pub(crate) slot: u32,
    pub(crate) reusable: bool,
}

/// All segment files.
#[derive(Debug)]
pub(super) struct Space {
    /// In the order of the log.
    segments: VecDeque<Segment>,
    /// Whether the last of them is written to in this run.
    is_open: bool,
    spares: VecDeque<u32>,
    /// Found by a start, superseded by a segment whose header may not be durable.
    held: Vec<Free>,
    /// Found by a start, and holding nothing.
    found: Vec<Free>,
    preparing: Option<(Token, u32)>,
    /// When to try again what failed.
    retry_at: Option<Instant>,
    /// The slot whose preparation failed.
    failed: Option<u32>,
    is_full: bool,
    next_slot: u32,
    /// Entries up to here are not needed.
    compacted: u64,
}

/// What a fresh segment has for entries: all but its header and the room for a seal.
pub(super) fn fresh_bytes(config: &Config) -> u64 {
    config.segment_bytes - 2 * BLOCK
}

impl Space {
    pub(super) fn new(
        segments: Vec<Segment>,
        held: Vec<Free>,
        found: Vec<Free>,
        next_slot: u32,
    ) -> Self {
        Self {
            segments: segments.into(),
            is_open: false,
            spares: VecDeque::new(),
            held,
            found,
            preparing: None,
            retry_at: None,
            failed: None,
            is_full: false,
            next_slot,
            compacted: 0,
        }
    }

    /// Makes use of the files that a start found and that hold nothing. Not before the vote file of
    /// this run is stored: it says which these are.
    pub(super) fn use_found<B>(&mut self, config: &Config, out: &mut Outbox<Effect<B>>) {
        for file in std::mem::take(&mut self.found) {
            self.recycle(file, config, out);
        }
    }

    /// Keeps a file for use, or removes it.
    fn recycle<B>(&mut self, file: Free, config: &Config, out: &mut Outbox<Effect<B>>) {
        if file.reusable && self.spares.len() < config.spare_segments_max {
            self.spares.push_back(file.slot);
        } else {
            out.push(Effect::Remove { slot: file.slot });
        }
    }

    /// A ready slot.
    pub(super) fn take_spare(&mut self) -> Option<u32> {
        self.spares.pop_front()
    }

    /// From now on this is the segment that is written to.
    pub(super) fn open(&mut self, segment: Segment) {
        self.segments.push_back(segment);
        self.is_open = true;
    }

    /// Nothing is written to the open segment any more.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    /// The open segment, a frame longer.
    pub(super) fn grow(&mut self, bytes: u64, last_index: u64) -> Segment {
        assert!(self.is_open, "frames go to the open segment");
        let segment = self.segments.back_mut().expect("the open segment is the last");
        segment.end += bytes;
        segment.last_index = segment.last_index.max(last_index);
        *segment
    }

    /// Whether there is no frame yet in the open segment.
    pub(super) fn is_open_segment_empty(&self) -> bool {
        self.is_open && self.segments.back().is_some_and(|segment| segment.end == BLOCK)
    }

    /// Where the first segment begins.
    pub(super) fn first_position(&self) -> u64 {
        self.segments.front().map_or(0, |segment| segment.position)
    }

    /// The segment in which this position lies.
    pub(super) fn segment_at(&self, position: u64) -> Option<&Segment> {
        let at = self.segments.partition_point(|segment| segment.position <= position);
        let segment = &self.segments[at.checked_sub(1)?];
        (position < segment.position + segment.end).then_some(segment)
    }

    /// What the open segment still has for entries; room for a seal is kept.
    pub(super) fn open_bytes(&self, config: &Config) -> Option<u64> {
        let segment = self.segments.back().filter(|_| self.is_open)?;
        Some((config.segment_bytes - segment.end).saturating_sub(BLOCK))
    }

    /// What entries can still take, in whole blocks, however they are packed: an entry that does
    /// not fit the end of a segment leaves that end empty.
    pub(super) fn free_bytes(&self, config: &Config) -> u64 {
        let wasted_max = frame_bytes(config.entry_bytes_max) - BLOCK;
        let spares = self.spares.iter().map(|_| fresh_bytes(config));
        let mut bins = self.open_bytes(config).into_iter().chain(spares).rev();
        let last = bins.next().unwrap_or(0);
        last + bins.map(|bin| bin.saturating_sub(wasted_max)).sum::<u64>()
    }

    /// Orders the next segment when none is ready.
    pub(super) fn prepare<B>(
        &mut self,
        config: &Config,
        tokens: &mut Tokens,
        out: &mut Outbox<Effect<B>>,
    ) {
        if !self.spares.is_empty() || self.preparing.is_some() || self.retry_at.is_some() {
            return;
        }
        let slot = self.failed.take().unwrap_or_else(|| {
            let slot = self.next_slot;
            self.next_slot = slot.checked_add(1).expect("slots outlast every disk");
            slot
        });
        let token = tokens.next();
        self.preparing = Some((token, slot));
        out.push(Effect::Prepare { token, slot, bytes: config.segment_bytes });
    }

    /// Whether `token` was the preparation; then its slot is ready.
    pub(super) fn on_prepared(&mut self, token: Token) -> bool {
        let Some((_, slot)) = self.preparing.take_if(|(preparing, _)| *preparing == token) else {
            return false;
        };
        self.spares.push_back(slot);
        self.is_full = false;
        true
    }

    /// The preparation failed; it waits until then.
    pub(super) fn on_prepare_failed(&mut self, token: Token, retry_at: Instant) {
        let preparing = self.preparing.take_if(|(preparing, _)| *preparing == token);
        let (_, slot) = preparing.expect("only a preparation may fail");
        self.failed = Some(slot);
        self.retry_at = Some(retry_at);
        self.is_full = true;
    }

    /// When to try again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether the last preparation found no space.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Time has passed.
    pub(super) fn on_time(&mut self, now: Instant) {
        self.retry_at.take_if(|at| *at <= now);
    }

    /// Nothing above `last_index` stands in the segments so far.
    pub(super) fn supersede(&mut self, last_index: u64) {
        for segment in &mut self.segments {
            segment.last_index = segment.last_index.min(last_index);
        }
    }

    /// All headers up to that of the segment `sequence` are durable. What that one superseded as a
    /// whole is given up.
    pub(super) fn on_headers_durable<B>(
        &mut self,
        sequence: u64,
        config: &Config,
        out: &mut Outbox<Effect<B>>,
    ) {
        let mut fresh = self.segments.iter().filter(|segment| !segment.header_durable);
        let Some(joins) = fresh.find(|segment| !segment.inherited).map(|segment| segment.joins)
        else {
            return;
        };
        // Whatever this run begins with supersedes what those were superseded by.
        for file in std::mem::take(&mut self.held) {
            self.recycle(file, config, out);
        }
        let mut kept = VecDeque::with_capacity(self.segments.len());
        for mut segment in std::mem::take(&mut self.segments) {
            if segment.inherited && segment.position >= joins {
                let Segment { slot, reusable, .. } = segment;
                self.recycle(Free { slot, reusable }, config, out);
            } else {
                segment.header_durable |= segment.sequence <= sequence;
                kept.push_back(segment);
            }
        }
        self.segments = kept;
    }

    /// Nothing in any segment is needed, and that is stored.
    pub(super) fn clear<B>(&mut self, config: &Config, out: &mut Outbox<Effect<B>>) {
        let segments = std::mem::take(&mut self.segments).into_iter();
        let segments = segments.map(|Segment { slot, reusable, .. }| Free { slot, reusable });
        for file in std::mem::take(&mut self.held).into_iter().chain(segments) {
            self.recycle(file, config, out);
        }
    }

    /// Entries up to `through` are not needed.
    pub(super) fn compact(&mut self, through: u64) {
        self.compacted = self.compacted.max(through);
    }

    /// The position at which the first segment joins that is needed. A start finds its way from that
    /// one's header, so that must be durable.
    pub(super) fn begins(&self) -> u64 {
        let not_needed = self.segments.iter().zip(self.segments.iter().skip(1));
        let not_needed = not_needed.take_while(|(segment, next)| {
            segment.last_index <= self.compacted
                && next.first_index <= self.compacted + 1
                && next.header_durable
        });
        not_needed.last().map_or(0, |(_, first)| first.joins)
    }

    /// Gives up the segments before the one that joins at `begins`.
    pub(super) fn release<B>(&mut self, begins: u64, config: &Config, out: &mut Outbox<Effect<B>>) {
        while let [first, second, ..] = self.segments.make_contiguous() {
            // The copy of a segment joins where that does, and is not worth it yet.
            if second.joins > begins || !second.header_durable {
                return;
            }
            let Segment { slot, reusable, .. } = *first;
            self.segments.pop_front();
            self.recycle(Free { slot, reusable }, config, out);
        }
    }

    /// What frames take in the segments of the log.
    pub(super) fn live_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end - BLOCK).sum()
    }
}
