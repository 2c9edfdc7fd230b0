//! A message that is known to be one JSON object, because it was checked before, read once more: what
//! nobody asks for is stepped over and not looked at, and where nothing more is asked for, reading
//! ends.
//!
//! # Invariants
//! - Of a message that [`Tape::scan`](super::Tape::scan) accepts, the cells are the same. Where a
//!   tracked key stands twice in an object, the first one counts.
//! - Of any other bytes the cells are anything; but reading ends, and nothing outside is read.

use super::{CellKind, Open, Refused, Scanner, narrow, next, peek, string};
use crate::paths::{PathIndex, Paths};
use base::limits::NESTING_MAX;
use wide::u8x16;

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// A bit for each byte that is a quote, a brace or a bracket.
#[inline(always)]
fn look(chunk: [u8; LANES]) -> u32 {
    let chunk = u8x16::new(chunk);
    // A brace and its bracket differ in one bit, which letters alone differ in, too.
    let folded = chunk | u8x16::splat(0x20);
    let quote = chunk.simd_eq(u8x16::splat(b'"'));
    let open = folded.simd_eq(u8x16::splat(b'{'));
    let close = folded.simd_eq(u8x16::splat(b'}'));
    (quote | open | close).to_bitmask()
}

/// A [`Scanner`] that trusts what it reads.
pub(super) struct Trusting<'s> {
    scanner: Scanner<'s>,
    /// By depth: how many of the keys that are asked for in an object have not come yet.
    left: [u32; NESTING_MAX],
}

impl<'s> Trusting<'s> {
    pub(super) fn new(scanner: Scanner<'s>) -> Self {
        Self { scanner, left: [0; NESTING_MAX] }
    }

    /// Reads as much of a message as is asked for.
    pub(super) fn message(&mut self, bytes: &[u8]) {
        let (start, _) = next(bytes, 0);
        // Bytes that are no object leave what was found until then.
        let _: Result<(), Refused> = self.run(bytes, start);
        if self.scanner.tape.cells.is_empty() {
            self.scanner.push(PathIndex::ROOT, false, CellKind::Object, 0..0);
        }
        // It may not have been read to its end.
        let end = narrow(self.scanner.tape.cells.len());
        let whole = &mut self.scanner.tape.cells[0];
        (whole.start, whole.stop, whole.end) = (0, narrow(bytes.len()), end);
    }

    fn run(&mut self, bytes: &[u8], start: usize) -> Result<(), Refused> {
        if peek(bytes, start) != Some(b'{') {
            return Err(Refused);
        }
        let mut at = self.scanner.open(start, PathIndex::ROOT, false, Open::Object)?;
        self.expect_keys();
        let mut byte;
        let mut is_opened = true;
        'values: loop {
            (at, byte) = next(bytes, at);
            if !(is_opened && byte == self.scanner.top.close) {
                (at, is_opened) = self.element(bytes, at, byte)?;
                if is_opened {
                    continue;
                }
                if self.is_done() {
                    if self.scanner.depth == 1 {
                        return Ok(());
                    }
                    at = self.rest(bytes, at)?;
                }
                (at, byte) = next(bytes, at);
            }
            is_opened = false;
            // What follows a value.
            while byte != b',' {
                if byte != self.scanner.top.close {
                    return Err(Refused);
                }
                let top = &self.scanner.top;
                if top.open == Open::Indexed && self.scanner.paths.has_elements(top.path) {
                    at = self.scanner.read_again();
                    is_opened = true;
                    continue 'values;
                }
                at += 1;
                if self.scanner.close(at) || (self.scanner.depth == 1 && self.is_done()) {
                    return Ok(());
                }
                (at, byte) = next(bytes, at);
            }
            at += 1;
        }
    }

    /// A value, with its key in an object; whether it was stepped into.
    #[inline(always)]
    fn element(&mut self, bytes: &[u8], start: usize, first: u8) -> Result<(usize, bool), Refused> {
        let (mut at, mut byte, mut path) = (start, first, Some(self.scanner.top.path));
        match self.scanner.top.open {
            Open::Object => (at, byte, path) = self.key(bytes, start, first)?,
            Open::Array => {}
            Open::Indexed => path = self.scanner.indexed_element(),
        }
        let Some(path) = path else { return Ok((self.skip(bytes, at, byte)?, false)) };
        let (at, is_opened) = self.scanner.tracked_value(bytes, at, byte, path)?;
        if is_opened {
            self.expect_keys();
        }
        Ok((at, is_opened))
    }

    /// Counts what is asked for in what was just opened.
    fn expect_keys(&mut self) {
        let top = &self.scanner.top;
        self.left[self.scanner.depth - 1] = self.scanner.paths.keys(top.path);
    }

    /// Whether nothing more is asked for in the innermost of what is open.
    #[inline(always)]
    fn is_done(&self) -> bool {
        let depth = self.scanner.depth - 1;
        match self.scanner.top.open {
            Open::Object => self.left[depth] == 0,
            Open::Array => false,
            Open::Indexed => self.scanner.tape.places[depth].wanted == PathIndex::ROOT,
        }
    }

    /// A key and its colon; what comes then, and its path, if anybody asks for it.
    #[inline(always)]
    fn key(
        &mut self,
        bytes: &[u8],
        start: usize,
        byte: u8,
    ) -> Result<(usize, u8, Option<PathIndex>), Refused> {
        if byte != b'"' {
            return Err(Refused);
        }
        let (at, has_escape) = self.scanner.string(bytes, start)?;
        let key = &bytes[start + 1..at - 1];
        let mut path = None;
        if has_escape {
            path = self.escaped_key(key);
        } else if Paths::may_have(self.scanner.top.classes, key) {
            path = self.scanner.paths.child(self.scanner.top.path, key);
        }
        if let Some(known) = path {
            let chain = self.scanner.tape.chains[known.index()];
            if chain.epoch == self.scanner.tape.epoch && chain.last > self.scanner.top.cell {
                path = None;
            } else {
                let left = &mut self.left[self.scanner.depth - 1];
                *left = left.saturating_sub(1);
            }
        }
        let (at, byte) = self.scanner.colon(bytes, at)?;
        Ok((at, byte, path))
    }

    #[cold]
    fn escaped_key(&mut self, key: &[u8]) -> Option<PathIndex> {
        let tape = &mut *self.scanner.tape;
        let kept = tape.unescaped.len();
        string::unescape(key, &mut tape.unescaped);
        let path = self.scanner.paths.child(self.scanner.top.path, &tape.unescaped[kept..]);
        tape.unescaped.truncate(kept);
        path
    }

    /// Steps over a value.
    #[inline(always)]
    fn skip(&mut self, bytes: &[u8], start: usize, byte: u8) -> Result<usize, Refused> {
        match byte {
            b'"' => self.scanner.string(bytes, start).map(|(at, _)| at),
            b'{' | b'[' => Ok(self.rest(bytes, start + 1)? + 1),
            _ => {
                let is_inside = |byte: &u8| !matches!(byte, b',' | b'}' | b']' | 0..=b' ');
                let rest = bytes.get(start..).unwrap_or_default();
                Ok(start + rest.iter().take_while(|byte| is_inside(byte)).count())
            }
        }
    }

    /// The brace or bracket that ends what is open here.
    #[inline(never)]
    fn rest(&mut self, bytes: &[u8], mut at: usize) -> Result<usize, Refused> {
        let mut depth: usize = 0;
        loop {
            while let Some(chunk) = bytes.get(at..at + LANES) {
                let special = look(chunk.try_into().expect("as many bytes"));
                if special != 0 {
                    at += special.trailing_zeros() as usize;
                    break;
                }
                at += LANES;
            }
            match peek(bytes, at) {
                Some(b'"') => (at, _) = self.scanner.string(bytes, at)?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    at += 1;
                }
                Some(b'}' | b']') if depth == 0 => return Ok(at),
                Some(b'}' | b']') => {
                    depth -= 1;
                    at += 1;
                }
                Some(_) => at += 1,
                None => return Err(Refused),
            }
        }
    }
}
