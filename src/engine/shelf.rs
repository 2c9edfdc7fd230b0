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

use base::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// What an entry costs besides its bytes: its place in two tables. Unit: bytes.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Room is made for entries of this size from the start. Unit: bytes. Partitions fill evenly, so
/// tables that grew would all grow in the same moment, and hold up a core for many milliseconds.
const ENTRY_USUAL_BYTES: usize = 256;

/// Room made from the start, at most. Unit: entries.
const PLACES_RESERVED_MAX: usize = 1 << 16;

/// The size of a chunk. An entry larger than this has a chunk of its own.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    chunk: u64,
    offset: u32,
    length: u32,
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
    places: HashMap<u64, u64, FixedState>,
    spare: Option<Vec<u8>>,
}

impl Shelf {
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
            places: HashMap::with_capacity_and_hasher(places, FixedState),
            spare: None,
        }
    }

    /// Adds an entry as the newest and drops the oldest ones that no longer fit.
    pub(crate) fn put(&mut self, sequence: u64, bytes: &[u8]) {
        self.put_with(sequence, |out| out.extend_from_slice(bytes));
    }

    /// The same, with the bytes written in place.
    pub(crate) fn put_with(&mut self, sequence: u64, write: impl FnOnce(&mut Vec<u8>)) {
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= CHUNK_BYTES) {
            let chunk = self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
            self.chunks.push_back(chunk);
        }
        let chunk = self.chunks.back_mut().expect("one was just added");
        let offset = chunk.len();
        write(chunk);
        let length = chunk.len() - offset;
        let place = Place {
            sequence,
            chunk: self.first_chunk + self.chunks.len() as u64 - 1,
            offset: u32::try_from(offset).expect("a chunk is far below 4 GiB"),
            length: u32::try_from(length).expect("an entry is far below 4 GiB"),
        };
        let number = self.first_place + self.order.len() as u64;
        self.order.push_back(place);
        let old = self.places.insert(sequence, number);
        assert!(old.is_none(), "a message finishes once");
        self.used += length + ENTRY_OVERHEAD_BYTES;
        while self.used > self.budget && self.order.len() > 1 {
            self.drop_oldest();
        }
    }

    /// The entry with that sequence.
    pub(crate) fn find(&self, sequence: u64) -> Option<&[u8]> {
        let number = *self.places.get(&sequence)?;
        let at = usize::try_from(number - self.first_place).expect("the ring fits memory");
        Some(self.bytes(&self.order[at]))
    }

    /// All entries with their sequences, the oldest first.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.order.iter().map(|place| (place.sequence, self.bytes(place)))
    }

    /// How many entries are kept.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// What the entries cost. Unit: bytes.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    fn bytes(&self, place: &Place) -> &[u8] {
        let chunk = usize::try_from(place.chunk - self.first_chunk).expect("the ring fits memory");
        let offset = place.offset as usize;
        &self.chunks[chunk][offset..offset + place.length as usize]
    }

    fn drop_oldest(&mut self) {
        let place = self.order.pop_front().expect("the caller saw one");
        self.first_place += 1;
        self.places.remove(&place.sequence);
        self.used -= place.length as usize + ENTRY_OVERHEAD_BYTES;
        let needed = self.order.front().map_or(u64::MAX, |next| next.chunk);
        while self.first_chunk < needed && self.chunks.len() > 1 {
            let mut chunk = self.chunks.pop_front().expect("the loop saw one");
            self.first_chunk += 1;
            // A chunk that grew for a large entry would keep its memory: only plain ones are kept.
            if chunk.capacity() <= 2 * CHUNK_BYTES {
                chunk.clear();
                self.spare = Some(chunk);
            }
        }
    }
}

#[cfg(test)]
mod tests;
