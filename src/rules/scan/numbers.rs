//! Arrays of numbers that nobody asks for, 64 bytes at a time: coordinates, samples, matrices.
//!
//! What is digit, point, comma and so on is a set of 64 bits each, and the grammar of nested arrays
//! of numbers is asked of the sets: what may follow what. No number is gone through by itself. (The
//! idea is that of Langdale and Lemire 2019, who find the structure of a text so.)
//!
//! # Invariants
//! - What is stepped over is right: whatever is not understood here, an exponent, a text, a mistake,
//!   ends the stretch before it, for others to read.
//! - A stretch begins where a value of an array is expected, and ends behind a comma of an array.

use base::limits::NESTING_MAX;
use wide::u8x16;

/// How many bytes are looked at at once: a bit each.
const WINDOW: usize = 64;

/// The place of its last bit.
const LAST: u32 = 63;

const LANES: usize = 16;

/// What is open inside of a value that is skipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nest {
    /// A bit for each level, the innermost lowest: whether it is an object.
    pub(super) levels: u128,
    /// How many there are, with those that are open around the value.
    pub(super) depth: usize,
}

impl Nest {
    #[inline(always)]
    pub(super) fn push(&mut self, is_object: bool) {
        const { assert!(NESTING_MAX <= 128, "a bit for each") }
        self.depth += 1;
        self.levels = self.levels << 1 | u128::from(is_object);
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) {
        self.depth -= 1;
        self.levels >>= 1;
    }

    #[inline(always)]
    pub(super) fn is_object(&self) -> bool {
        self.levels & 1 == 1
    }
}

/// Where which bytes stand.
struct Window {
    digits: u64,
    zeros: u64,
    minuses: u64,
    points: u64,
    commas: u64,
    opening: u64,
    closing: u64,
    /// Spaces and line ends; other white space is rare.
    white: u64,
}

impl Window {
    #[inline(always)]
    fn of(bytes: &[u8; WINDOW]) -> Self {
        let (chunks, _) = bytes.as_chunks::<LANES>();
        let chunks: [u8x16; WINDOW / LANES] = std::array::from_fn(|at| u8x16::new(chunks[at]));
        let all = |is_it: &dyn Fn(u8x16) -> u8x16| {
            let bits = |at: usize| u64::from(is_it(chunks[at]).to_bitmask()) << (at * LANES);
            bits(0) | bits(1) | bits(2) | bits(3)
        };
        let equal = |byte: u8| all(&|chunk| chunk.simd_eq(u8x16::splat(byte)));
        Self {
            digits: all(&|chunk| {
                let digits = chunk - u8x16::splat(b'0');
                digits.min(u8x16::splat(9)).simd_eq(digits)
            }),
            zeros: equal(b'0'),
            minuses: equal(b'-'),
            points: equal(b'.'),
            commas: equal(b','),
            opening: equal(b'['),
            closing: equal(b']'),
            white: all(&|chunk| {
                chunk.simd_eq(u8x16::splat(b' ')) | chunk.simd_eq(u8x16::splat(b'\n'))
            }),
        }
    }

    /// How many bytes from the first on are of nested arrays of numbers.
    #[inline(always)]
    fn known(&self) -> u32 {
        let numbers = self.digits | self.minuses | self.points;
        let others = self.commas | self.opening | self.closing | self.white;
        (numbers | others).trailing_ones()
    }

    /// The last comma of the first `count` bytes before which no array ends that was open already
    /// and does not stand in another one below `depth`; and what is open there.
    #[inline(always)]
    fn last_comma(&self, count: u32, open: Nest, depth: usize) -> Option<(u32, Nest)> {
        let within = u64::MAX.checked_shr(LAST + 1 - count).unwrap_or_default();
        let mut brackets = (self.opening | self.closing) & within;
        let mut commas = self.commas & within;
        let (mut found, mut open) = (None, open);
        while brackets != 0 {
            let bracket = brackets & brackets.wrapping_neg();
            brackets ^= bracket;
            let before = commas & (bracket - 1);
            if before != 0 {
                found = Some((before.ilog2(), open));
                commas ^= before;
            }
            if self.opening & bracket != 0 {
                if open.depth == NESTING_MAX {
                    return found;
                }
                open.push(false);
            } else {
                open.pop();
                if open.depth == depth || open.is_object() {
                    return found;
                }
            }
        }
        if commas == 0 { found } else { Some((commas.ilog2(), open)) }
    }

    /// Whether the bytes up to this one, a comma, are as they must be; at the first of them a value
    /// is expected.
    #[inline(always)]
    fn is_right(&self, comma: u32) -> bool {
        let within = u64::MAX >> (LAST - comma);
        let numbers = (self.digits | self.minuses | self.points) & within;
        let (digits, points) = (self.digits & within, self.points & within);
        let (minuses, commas) = (self.minuses & within, self.commas & within);
        let (opening, closing) = (self.opening & within, self.closing & within);
        // The first bytes behind some that are not white: a sum carries over white space.
        let white = self.white & within;
        let behind = |of: u64| (of << 1).wrapping_add(white) & !white & within;
        let (first, last) = (numbers & !(numbers << 1), numbers & !(numbers >> 1));
        let values = digits | minuses | opening;
        // Of arrays: what stands first, behind a bracket, behind a comma, behind a value.
        let arrays = (1 & !values)
            | (behind(opening) & !(values | closing))
            | (behind(commas) & !values)
            | (behind(last | closing) & !(commas | closing));
        // Of numbers: a minus stands first; digits stand behind it, and around the only point.
        let behind_fraction = (points << 1).wrapping_add(digits) & !digits;
        let signs = (minuses & !first) | ((minuses | points) << 1 & !digits);
        let fractions = (points & !(digits << 1)) | (behind_fraction & points);
        // A zero that stands first has no digit behind it.
        let leading = ((first & digits) | minuses << 1) & self.zeros & within;
        arrays | signs | fractions | (leading << 1 & digits) == 0
    }
}

/// Steps over as much of nested arrays of numbers as can be seen at once, from where a value of an
/// array is expected to behind a comma; `None` if that is nothing. Nothing is left that is open
/// at `depth` or below.
#[inline(never)]
pub(super) fn skip(bytes: &[u8], at: usize, open: &mut Nest, depth: usize) -> Option<usize> {
    let window = Window::of(bytes.get(at..)?.first_chunk()?);
    let (comma, inside) = window.last_comma(window.known(), *open, depth)?;
    if !window.is_right(comma) {
        return None;
    }
    *open = inside;
    Some(at + comma as usize + 1)
}
