//! One hash for all nodes: which partition a key belongs to must not depend on the machine, and a
//! replay must walk its tables as the first run did.

use std::hash::{BuildHasher, Hasher};
use xxhash_rust::xxh3::xxh3_64;

/// XXH3, 64 bits, seed 0.
pub fn hash64(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// A hasher for maps whose keys are small numbers or short texts: multiply and fold (the idea of
/// `wyhash`), with a fixed seed. Not against attackers: maps keyed by what a client chose use
/// [`hash64`] of the whole key first and bound their size.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedState;

impl BuildHasher for FixedState {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher { state: 0x243f_6a88_85a3_08d3 }
    }
}

/// The hasher of [`FixedState`].
#[derive(Clone, Copy, Debug)]
pub struct FixedHasher {
    state: u64,
}

impl FixedHasher {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word) * 0x9e37_79b9_7f4a_7c15;
        let bytes = wide.to_le_bytes();
        let low = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
        let high = u64::from_le_bytes(bytes[8..].try_into().expect("8 bytes"));
        self.state = low ^ high;
    }
}

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.len() <= 8 {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.fold(u64::from_le_bytes(word));
            self.fold(bytes.len() as u64);
        } else {
            self.fold(hash64(bytes));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.fold(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.fold(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.fold(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.fold(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.fold(n as u64);
    }
}
