//! A hash of short texts, quick where most keys and values are: up to 16 bytes.
//!
//! Not against attackers, and it need not be: the tables hold what rules name, messages only look
//! up. The same on every machine.

const FIRST: u64 = 0xa076_1d64_78bd_642f;
const SECOND: u64 = 0xe703_7ed1_a0b4_28db;

/// Multiplies and folds (the idea of `wyhash`).
#[inline]
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    let wide = u128::from(left) * u128::from(right);
    let bytes = wide.to_le_bytes();
    let low = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
    let high = u64::from_le_bytes(bytes[8..].try_into().expect("8 bytes"));
    low ^ high
}

#[inline]
fn eight(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
}

#[inline]
fn four(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(bytes.try_into().expect("4 bytes")))
}

/// The hash of a text.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    let mut state = FIRST ^ count as u64;
    // Two words that overlap where there are fewer than 16 bytes: no loop, no copy.
    let (low, high) = match count {
        0 => (0, 0),
        1..4 => {
            let middle = u64::from(bytes[count / 2]) << 8;
            (u64::from(bytes[0]) << 16 | middle | u64::from(bytes[count - 1]), 0)
        }
        4..8 => (four(&bytes[..4]), four(&bytes[count - 4..])),
        8..=16 => (eight(&bytes[..8]), eight(&bytes[count - 8..])),
        _ => {
            let (chunks, _) = bytes[..count - 1].as_chunks::<16>();
            for chunk in chunks {
                state = mix(eight(&chunk[..8]) ^ SECOND, eight(&chunk[8..]) ^ state);
            }
            (eight(&bytes[count - 16..count - 8]), eight(&bytes[count - 8..]))
        }
    };
    mix(low ^ SECOND, high ^ state)
}

/// The longest text that is a word. Unit: bytes.
pub(crate) const WORD_BYTES: usize = 7;

/// A text of at most [`WORD_BYTES`] and its length as one number: no other text has the same.
#[inline]
pub(crate) fn word(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    let letters = match count {
        0 => 0,
        1..4 => {
            let middle = u64::from(bytes[count / 2]) << 8;
            u64::from(bytes[0]) | middle | u64::from(bytes[count - 1]) << 16
        }
        // Where the two overlap they are equal.
        4..=WORD_BYTES => four(&bytes[..4]) | four(&bytes[count - 4..]) << (8 * (count - 4)),
        _ => panic!("a word has at most {WORD_BYTES} bytes, not {count}"),
    };
    letters | (count as u64) << 56
}

/// Whether two texts are equal: without a call where they are short.
#[inline]
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    let count = left.len();
    if right.len() != count {
        return false;
    }
    // Two words that overlap, as in [`text`]: equal where their differences are nothing.
    match count {
        0..4 => left.iter().zip(right).all(|(left, right)| left == right),
        4..8 => {
            let last = count - 4;
            let first = four(&left[..4]) ^ four(&right[..4]);
            first | (four(&left[last..]) ^ four(&right[last..])) == 0
        }
        8..=16 => {
            let last = count - 8;
            let first = eight(&left[..8]) ^ eight(&right[..8]);
            first | (eight(&left[last..]) ^ eight(&right[last..])) == 0
        }
        _ => left == right,
    }
}

/// The hash of two things that are hashed already, or are small numbers.
#[inline]
pub(crate) fn join(left: u64, right: u64) -> u64 {
    mix(left ^ FIRST, right ^ SECOND)
}

#[cfg(test)]
mod tests;
