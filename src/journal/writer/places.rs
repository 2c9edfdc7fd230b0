//! Where entries lie on disk, so that they can be read back: of every so many bytes one place.
//!
//! Invariants:
//! - Places rise, in position and in index alike: of the frames that hold an index, the last counts,
//!   and no place leads to an earlier one.
//! - Every frame that supersedes has a place of its own, so nothing between two places supersedes.

use crate::format::FrameHeader;
use crate::frame;
use crate::{Entry, File};
use base::StoreId;
use std::collections::VecDeque;

/// From one place to the next, about. Unit: bytes. What is read at once, and small beside a segment;
/// the list of them for 1 GiB of log takes 64 KiB.
pub(crate) const STRETCH_BYTES: u64 = 256 * 1024;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// The frame's first entry.
    pub(crate) index: u64,
}

/// The places of one log.
#[derive(Debug, Default)]
pub(crate) struct Places {
    places: VecDeque<Place>,
}

impl Places {
    /// A frame of entries from `index` on is put at `position`, behind all others. It has a place of
    /// its own where it is its segment's first, or supersedes; and now and then.
    pub(crate) fn push(&mut self, position: u64, index: u64, of_its_own: bool) {
        self.forget_from(index);
        let far = |last: &Place| position >= last.position + STRETCH_BYTES;
        if of_its_own || self.places.back().is_none_or(far) {
            self.places.push_back(Place { position, index });
        }
    }

    fn forget_from(&mut self, index: u64) {
        while self.places.pop_back_if(|place| place.index >= index).is_some() {}
    }

    /// What lies at `position` and behind it counts no more.
    pub(crate) fn cut(&mut self, position: u64) {
        while self.places.pop_back_if(|place| place.position >= position).is_some() {}
    }

    /// What lies before `position` was given up.
    pub(crate) fn release(&mut self, position: u64) {
        while self.places.pop_front_if(|place| place.position < position).is_some() {}
    }

    /// Nothing is there.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
    }

    /// The place that leads to the entry, and the one behind it.
    pub(crate) fn find(&self, index: u64) -> Option<(Place, Option<Place>)> {
        let at = self.places.partition_point(|place| place.index <= index).checked_sub(1)?;
        Some((self.places[at], self.places.get(at + 1).copied()))
    }
}

/// A part of a segment file that holds entries in their order. It may be overwritten before it is
/// read; [`Self::entries`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub(crate) slot: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) store: StoreId,
    pub(crate) sequence: u64,
    pub(crate) position: u64,
    /// The entry that was asked for.
    pub(crate) from: u64,
    /// Entries from here on are elsewhere.
    pub(crate) below: u64,
}

/// What was read is not, or no longer, what should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal does not hold entry {index} any more where it was ({slot:08x}.seg, byte {offset})"
)]
pub struct Overwritten {
    /// The entry.
    pub index: u64,
    /// The segment.
    pub slot: u32,
    /// Where in its file. Unit: bytes.
    pub offset: u64,
}

impl Stretch {
    /// The file.
    pub fn file(&self) -> File {
        File::Segment(self.slot)
    }

    /// Where in it. Unit: bytes, whole blocks.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How much of it. Unit: bytes, whole blocks.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The entries in what was read, from the one asked for on; at least that one.
    pub fn entries(&self, mut bytes: &[u8]) -> Result<Vec<Entry>, Overwritten> {
        let overwritten = || Overwritten { index: self.from, slot: self.slot, offset: self.offset };
        let (mut found, mut position) = (Vec::new(), self.position);
        while !bytes.is_empty() {
            let (frame, _) = FrameHeader::read(bytes, self.store).map_err(|_| overwritten())?;
            if (frame.sequence, frame.position) != (self.sequence, position) {
                return Err(overwritten());
            }
            let payload = frame::payload(&frame, bytes).ok_or_else(overwritten)?;
            let entries = frame::entries(&frame, payload).ok_or_else(overwritten)?;
            found
                .extend(entries.into_iter().filter(|e| (self.from..self.below).contains(&e.index)));
            position += frame.bytes();
            let length = usize::try_from(frame.bytes()).map_err(|_| overwritten())?;
            bytes = bytes.get(length..).ok_or_else(overwritten)?;
        }
        match found.first() {
            Some(first) if first.index == self.from => Ok(found),
            _ => Err(overwritten()),
        }
    }
}
