//! Which of many parts a text has: the text is looked at at every `step`-th place, four bytes
//! there are a gram, and each part is filed under `step` of its grams, one beside the other: of them
//! one must stand at such a place. A gram that is found is held against its parts, byte by byte.
//!
//! Why not an automaton: it takes every byte of the text, one after the other, and most texts have
//! none of the parts; here a part of seven bytes needs a look at every fourth byte, and a few bits
//! answer most of them. Parts of less than four bytes have no gram: see [`super::Parts`].

use base::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// The bytes of a gram, and of the shortest part.
pub(super) const GRAM_BYTES: usize = 4;

/// Longer steps save little: texts are short.
const STEP_MAX: usize = 8;

/// How often each gram stands in the parts of all rules: what is rare there is rare in messages.
#[derive(Debug, Default)]
pub(super) struct Frequencies(HashMap<u32, u32, FixedState>);

impl Frequencies {
    pub(super) fn count(&mut self, part: &[u8]) {
        for window in part.windows(GRAM_BYTES) {
            *self.0.entry(gram(window)).or_default() += 1;
        }
    }

    fn of(&self, gram: u32) -> u64 {
        self.0.get(&gram).copied().unwrap_or_default().into()
    }

    /// Where the rarest `step` grams of a part begin.
    fn rarest(&self, part: &[u8], step: usize) -> usize {
        let counts: SmallVec<[u64; 32]> =
            part.windows(GRAM_BYTES).map(|window| self.of(gram(window))).collect();
        let sums = counts.windows(step).map(|counts| counts.iter().sum::<u64>());
        sums.enumerate().min_by_key(|(_, sum)| *sum).map_or(0, |(at, _)| at)
    }
}

/// A gram of a part.
#[derive(Clone, Copy, Debug)]
struct Slot {
    gram: u32,
    /// Where in the part it stands.
    offset: u32,
    /// Which part, plus one; 0 is an empty slot.
    part: u32,
}

#[derive(Debug)]
pub(super) struct Grams {
    step: usize,
    /// A bit for each gram, by its hash: most grams of texts are nobody's.
    filter: Box<[u64]>,
    /// A gram's slot, or one after it.
    slots: Box<[Slot]>,
    /// The parts, one after the other, and where each begins; one more at the end.
    texts: Box<[u8]>,
    starts: Box<[u32]>,
}

#[inline]
fn gram(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

#[inline]
fn hash(gram: u32) -> usize {
    let wide = u64::from(gram).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(wide >> 32).expect("32 bits")
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

impl Grams {
    /// How far apart the looks may be for a part of so many bytes.
    pub(super) fn step_for(part_bytes: usize) -> usize {
        (part_bytes + 1 - GRAM_BYTES).min(STEP_MAX)
    }

    /// Parts of at least [`GRAM_BYTES`], for which `step` is not too far.
    pub(super) fn of(parts: &[&[u8]], step: usize, frequencies: &Frequencies) -> Self {
        let empty = Slot { gram: 0, offset: 0, part: 0 };
        let count = parts.len() * step;
        let mut slots = vec![empty; (2 * count).next_power_of_two().max(8)];
        let mut filter = vec![0; (16 * count).next_power_of_two().div_ceil(64).max(1)];
        let mut starts = vec![0];
        for (at, part) in parts.iter().enumerate() {
            assert!(part.len() >= GRAM_BYTES + step - 1, "one of its grams stands at a step");
            let first = frequencies.rarest(part, step);
            for offset in first..first + step {
                let gram = gram(&part[offset..offset + GRAM_BYTES]);
                let hash = hash(gram);
                let bit = hash % (filter.len() * 64);
                filter[bit / 64] |= 1 << (bit % 64);
                let mut slot = hash / 64 % slots.len();
                while slots[slot].part != 0 {
                    slot = (slot + 1) % slots.len();
                }
                slots[slot] = Slot { gram, offset: narrow(offset), part: narrow(at + 1) };
            }
            starts.push(starts[at] + narrow(part.len()));
        }
        Self {
            step,
            filter: filter.into(),
            slots: slots.into(),
            texts: parts.concat().into(),
            starts: starts.into(),
        }
    }

    /// Calls `found` with every part that the text has, once or more often.
    #[inline]
    pub(super) fn search(&self, text: &[u8], mut found: impl FnMut(usize)) {
        let last_bit = self.filter.len() * 64 - 1;
        for (at, window) in text.windows(GRAM_BYTES).enumerate().step_by(self.step) {
            let gram = gram(window);
            let hash = hash(gram);
            let bit = hash & last_bit;
            if self.filter[bit / 64] >> (bit % 64) & 1 == 1 {
                self.look_up(text, at, gram, hash, &mut found);
            }
        }
    }

    fn look_up(
        &self,
        text: &[u8],
        at: usize,
        gram: u32,
        hash: usize,
        found: &mut impl FnMut(usize),
    ) {
        let last_slot = self.slots.len() - 1;
        let mut slot = (hash / 64) & last_slot;
        while self.slots[slot].part != 0 {
            let Slot { gram: own, offset, part } = self.slots[slot];
            if own == gram {
                let part = part as usize - 1;
                let own = &self.texts[self.starts[part] as usize..self.starts[part + 1] as usize];
                let start = at.checked_sub(offset as usize);
                if start.is_some_and(|start| text[start..].starts_with(own)) {
                    found(part);
                }
            }
            slot = (slot + 1) & last_slot;
        }
    }

    /// Unit: bytes.
    pub(super) fn bytes(&self) -> usize {
        self.filter.len() * size_of::<u64>()
            + self.slots.len() * size_of::<Slot>()
            + self.texts.len()
            + self.starts.len() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests;
