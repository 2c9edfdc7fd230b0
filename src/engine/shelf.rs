//! Finished messages with their instances, kept as bytes within a budget, the oldest dropped
//! first.
//!
//! A shelf is a ring of chunks: putting copies the bytes once, dropping frees whole chunks, and
//! nothing else moves. So memory stays flat however many messages pass, and an image of the shelf
//! is a copy of memory.
//!
//! Invariants:
//! - the bytes kept, each entry counted with [`ENTRY_OVERHEAD_BYTES`], are within the budget, but
//!   for the newest entry, which is always kept;
//! - what is dropped depends only on the sequence of puts, never on time or memory.
//!
//! Most messages finish in the order of their sequences: those are found by bisection, as the highest
//! sequence put so far rises with every place. Only the few that finish late are in a table: for a
//! message that starts nothing, putting and dropping touch the ends of two rings and nothing else.

use base::{FixedState, hash64};
use hashbrown::HashMap;
use std::collections::VecDeque;

/// What an entry costs besides its bytes, about: its place. Unit: bytes. A part of the rule of what
/// is dropped, so it stays as it is.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Room is made for entries of this size from the start. Unit: bytes. Partitions fill evenly, so
/// tables that grew would all grow in the same moment, and hold up a core for many milliseconds.
const ENTRY_USUAL_BYTES: usize = 256;

/// Room made from the start, at most. Unit: entries.
const PLACES_RESERVED_MAX: usize = 1 << 16;

/// The size of a chunk. An entry larger than this has a chunk of its own.
const CHUNK_BYTES: usize = 64 * 1024;

/// A chunk with less room than this takes no further entry: one that does not fit makes the chunk
/// grow, which copies it and leaves room that nobody uses. Unit: bytes.
const ROOM_BYTES: usize = 4 * 1024;

#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    /// The highest sequence put up to here. Another one than `sequence` when this was late.
    highest: u64,
    chunk: u64,
    offset: u32,
    /// With [`LINKED`] for an entry of that layout.
    length: u32,
}

/// Marks the length of a linked entry: no entry is half as long.
const LINKED: u32 = 1 << 31;

/// An entry as it lies on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// Whether it has the layout of those that know of others: of what they caused elsewhere, or
    /// of what caused them.
    pub(crate) linked: bool,
}

impl Place {
    fn length(&self) -> usize {
        (self.length & !LINKED) as usize
    }

    fn is_linked(&self) -> bool {
        self.length & LINKED != 0
    }
}

fn marked(length: usize, linked: bool) -> u32 {
    let length = u32::try_from(length).expect("an entry is far below 4 GiB");
    assert!(length < LINKED, "an entry is far below 2 GiB");
    if linked { length | LINKED } else { length }
}

/// A ring of finished entries, found by their sequence.
#[derive(Debug)]
pub(crate) struct Shelf {
    budget: usize,
    used: usize,
    chunks: VecDeque<Vec<u8>>,
    /// The number of the first chunk of the ring.
    first_chunk: u64,
    order: VecDeque<Place>,
    /// The number of the first place of the ring.
    first_place: u64,
    highest: u64,
    /// The numbers of the places of those that were late.
    late: HashMap<u64, u64, FixedState>,
    spare: Option<Vec<u8>>,
}

/// A shelf's entries as one number, for whoever asks again and again: an entry never changes while it
/// lies there, so each is hashed once.
#[derive(Debug, Default)]
pub struct ShelfSum {
    /// The number of the first place that is counted.
    first: u64,
    /// Each entry's hash, the oldest first.
    entries: VecDeque<u64>,
    /// Of every two neighbours, added up: so their order counts.
    links: u64,
}

fn link(one: u64, next: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&one.to_le_bytes());
    bytes[8..].copy_from_slice(&next.to_le_bytes());
    hash64(&bytes)
}

impl ShelfSum {
    fn push(&mut self, entry: u64) {
        if let Some(last) = self.entries.back() {
            self.links = self.links.wrapping_add(link(*last, entry));
        }
        self.entries.push_back(entry);
    }

    fn pop(&mut self) {
        self.first += 1;
        if let Some(gone) = self.entries.pop_front()
            && let Some(next) = self.entries.front()
        {
            self.links = self.links.wrapping_sub(link(gone, *next));
        }
    }

    fn total(&self) -> u64 {
        let ends = link(self.entries.front().copied().unwrap_or(0), self.entries.len() as u64);
        link(ends, self.links)
    }
}

impl Shelf {
    /// A number that is equal exactly when the entries and their order are. `sum` was made of this
    /// very shelf before, or is new.
    pub(crate) fn sum(&self, sum: &mut ShelfSum) -> u64 {
        while sum.first < self.first_place {
            sum.pop();
        }
        for place in self.order.range(sum.entries.len()..) {
            let bytes = hash64(self.entry(place).bytes);
            sum.push(link(link(place.sequence, place.length.into()), bytes));
        }
        sum.total()
    }

    /// An empty shelf that keeps at most `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        let places = (budget / ENTRY_USUAL_BYTES).min(PLACES_RESERVED_MAX);
        Self {
            budget,
            used: 0,
            chunks: VecDeque::new(),
            first_chunk: 0,
            order: VecDeque::with_capacity(places),
            first_place: 0,
            highest: 0,
            late: HashMap::with_hasher(FixedState),
            spare: None,
        }
    }

    /// Adds an entry as the newest and drops the oldest ones that no longer fit: of the linked ones
    /// among them `dropped` is told.
    pub(crate) fn put(&mut self, sequence: u64, entry: Entry<'_>, dropped: impl FnMut(&[u8])) {
        let write = |out: &mut Vec<u8>| out.extend_from_slice(entry.bytes);
        self.put_with(sequence, entry.linked, write, dropped);
    }

    /// The same, with the bytes written in place.
    pub(crate) fn put_with(
        &mut self,
        sequence: u64,
        linked: bool,
        write: impl FnOnce(&mut Vec<u8>),
        mut dropped: impl FnMut(&[u8]),
    ) {
        if self.chunks.back().is_none_or(|chunk| chunk.len() + ROOM_BYTES > CHUNK_BYTES) {
            if let Some(full) = self.chunks.back_mut()
                && full.capacity() > CHUNK_BYTES
            {
                full.shrink_to_fit();
            }
            let chunk = self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
            self.chunks.push_back(chunk);
        }
        let chunk = self.chunks.back_mut().expect("one was just added");
        let offset = chunk.len();
        write(chunk);
        let length = chunk.len() - offset;
        let in_order = sequence > self.highest;
        self.highest = self.highest.max(sequence);
        let place = Place {
            sequence,
            highest: self.highest,
            chunk: self.first_chunk + self.chunks.len() as u64 - 1,
            offset: u32::try_from(offset).expect("a chunk is far below 4 GiB"),
            length: marked(length, linked),
        };
        let number = self.first_place + self.order.len() as u64;
        self.order.push_back(place);
        if !in_order {
            let old = self.late.insert(sequence, number);
            assert!(old.is_none(), "a message finishes once");
        }
        self.used += length + ENTRY_OVERHEAD_BYTES;
        while self.used > self.budget && self.order.len() > 1 {
            let oldest = self.order.front().expect("there is more than one");
            if oldest.is_linked() {
                dropped(self.entry(oldest).bytes);
            }
            self.drop_oldest();
        }
    }

    /// The entry with that sequence.
    pub(crate) fn find(&self, sequence: u64) -> Option<Entry<'_>> {
        let at = match self.late.get(&sequence) {
            Some(number) => {
                usize::try_from(number - self.first_place).expect("the ring fits memory")
            }
            None => self.order.partition_point(|place| place.highest < sequence),
        };
        let place = self.order.get(at).filter(|place| place.sequence == sequence)?;
        Some(self.entry(place))
    }

    /// All entries with their sequences, the oldest first.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = (u64, Entry<'_>)> {
        self.order.iter().map(|place| (place.sequence, self.entry(place)))
    }

    /// How many entries are kept.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// What the entries cost. Unit: bytes.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    fn entry(&self, place: &Place) -> Entry<'_> {
        let chunk = usize::try_from(place.chunk - self.first_chunk).expect("the ring fits memory");
        let offset = place.offset as usize;
        let bytes = &self.chunks[chunk][offset..offset + place.length()];
        Entry { bytes, linked: place.is_linked() }
    }

    fn drop_oldest(&mut self) {
        let place = self.order.pop_front().expect("the caller saw one");
        self.first_place += 1;
        if place.sequence != place.highest {
            self.late.remove(&place.sequence);
        }
        self.used -= place.length() + ENTRY_OVERHEAD_BYTES;
        let needed = self.order.front().map_or(u64::MAX, |next| next.chunk);
        while self.first_chunk < needed && self.chunks.len() > 1 {
            let mut chunk = self.chunks.pop_front().expect("the loop saw one");
            self.first_chunk += 1;
            // A chunk of another size, for a large entry, would waste memory: only plain ones are kept.
            if chunk.capacity() == CHUNK_BYTES {
                chunk.clear();
                self.spare = Some(chunk);
            }
        }
    }
}

#[cfg(test)]
mod tests;
