//! One pass over a message: is it one JSON object, and where are the fields that rules ask for?
//!
//! Why not a JSON library: a library makes a tree of everything, and what is wanted here is the
//! proof that the text is JSON and a handful of fields. Skipping costs less than storing, and the
//! text of a number stays at hand, so that it can be compared exactly.
//!
//! # Invariants
//! - A text is accepted if and only if it is a JSON object by RFC 8259, but for lone surrogates,
//!   nesting beyond `NESTING_MAX` and a tracked key that stands twice in one object: those are
//!   refused.
//! - No recursion, and no allocation once the buffers are warm.
//! - Cells stand in the order of the text, but for those of an array's elements that are asked for by
//!   index: they come first in the array. A cell's `end` is the first cell after everything inside
//!   it.

#![allow(
    clippy::inline_always,
    reason = "the loop over tokens is one function: what it calls would otherwise take its place in the \
              text through memory"
)]

use crate::bad_message::{BadMessage, Found};
use crate::chains::CHAIN_RULES_MAX;
use crate::enrichment::ENRICH_BYTES_MAX;
use crate::expression::Built;
use crate::number::Double;
use crate::path::INDEXES_MAX;
use crate::paths::{PathIndex, Paths};
use base::limits::{MESSAGE_BYTES_MAX, NESTING_MAX};
use std::ops::Range;

mod number;
mod numbers;
mod skip;
mod string;
mod trusted;

/// The longest text that is scanned. Unit: bytes. A message with all that a chain of enrichments
/// can add, which is counted without escapes: each byte can take six.
const SCANNED_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 8 * (CHAIN_RULES_MAX + 1) * ENRICH_BYTES_MAX;

/// What a tracked value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellKind {
    Null,
    Bool(bool),
    /// `start..stop` is the number in the message.
    Number,
    /// `start..stop` is the text in the message, without its quotes.
    Text,
    /// `start..stop` is the text in [`Tape::unescaped`].
    Unescaped,
    /// `start..stop` is the object in the message, with its braces.
    Object,
    /// `start..stop` is the array in the message, with its brackets.
    Array,
}

/// A tracked value of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) path: PathIndex,
    start: u32,
    stop: u32,
    /// The first cell that is not inside this one.
    pub(crate) end: u32,
    /// The next cell of the same path; 0 is none, for that is the message itself.
    pub(crate) next: u32,
    pub(crate) kind: CellKind,
    /// Whether it is any element of an array: those have their array's path. One that is asked for by
    /// index has a path of its own, and is there a second time.
    pub(crate) is_element: bool,
    is_exact: bool,
    /// Of a number.
    value: f64,
}

impl Cell {
    #[inline]
    pub(crate) fn double(&self) -> Double {
        Double { value: self.value, is_exact: self.is_exact }
    }
}

/// The first and the last cell of a path, if `epoch` is the message's.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    epoch: u32,
    first: u32,
    last: u32,
}

/// What something is that is open and tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Object,
    Array,
    /// An array that is read for the elements that are asked for by index: see [`Place`].
    Indexed,
}

/// Something that is open and tracked.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The brace or bracket that ends it.
    close: u8,
    open: Open,
    cell: u32,
    path: PathIndex,
    /// See [`Paths::classes`].
    classes: u64,
}

impl Frame {
    #[inline(always)]
    fn is_object(&self) -> bool {
        self.close == b'}'
    }
}

const NO_FRAME: Frame =
    Frame { close: b'}', open: Open::Object, cell: 0, path: PathIndex::ROOT, classes: 0 };

/// Where reading stands in an [`Open::Indexed`] array.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Of the next element.
    index: u32,
    /// The next that is asked for, or the root.
    wanted: PathIndex,
}

/// The tracked values of one message; reused for the next.
#[derive(Debug)]
pub(crate) struct Tape {
    cells: Vec<Cell>,
    unescaped: Vec<u8>,
    /// By path.
    chains: Vec<Chain>,
    epoch: u32,
    has_array: bool,
    frames: Box<[Frame; NESTING_MAX]>,
    /// By depth.
    places: Box<[Place; NESTING_MAX]>,
    /// What expressions have asked for of this message.
    built: Built,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self {
            cells: Vec::new(),
            unescaped: Vec::new(),
            chains: Vec::new(),
            epoch: 0,
            has_array: false,
            frames: Box::new([NO_FRAME; NESTING_MAX]),
            places: Box::new([Place { index: 0, wanted: PathIndex::ROOT }; NESTING_MAX]),
            built: Built::default(),
        }
    }

    /// What expressions have asked for of this message.
    pub(crate) fn built(&self) -> &Built {
        &self.built
    }

    #[inline]
    pub(crate) fn cell(&self, at: u32) -> &Cell {
        &self.cells[at as usize]
    }

    /// All cells but the message itself, in the order of the text.
    #[inline]
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells[1..]
    }

    /// Whether any tracked value is an array.
    #[inline]
    pub(crate) fn has_array(&self) -> bool {
        self.has_array
    }

    /// The first cell of a path.
    #[inline]
    pub(crate) fn first(&self, path: PathIndex) -> Option<u32> {
        let chain = &self.chains[path.index()];
        (chain.epoch == self.epoch).then_some(chain.first)
    }

    /// The cell of a path that has one and no other.
    #[inline]
    pub(crate) fn only(&self, path: PathIndex) -> Option<&Cell> {
        let chain = &self.chains[path.index()];
        let is_only = chain.epoch == self.epoch && chain.first == chain.last;
        is_only.then(|| self.cell(chain.first))
    }

    /// All cells of a path, in the order of the text.
    #[inline]
    pub(crate) fn cells_of(&self, path: PathIndex) -> impl Iterator<Item = &Cell> {
        let first = self.first(path).map(|at| self.cell(at));
        std::iter::successors(first, |cell| (cell.next != 0).then(|| self.cell(cell.next)))
    }

    /// The text or the number of a cell.
    #[inline]
    pub(crate) fn text<'m>(&'m self, message: &'m [u8], cell: &Cell) -> &'m [u8] {
        let range = cell.start as usize..cell.stop as usize;
        if cell.kind == CellKind::Unescaped { &self.unescaped[range] } else { &message[range] }
    }

    /// Forgets the last message.
    #[inline(always)]
    fn begin(&mut self, paths: &Paths) {
        self.cells.clear();
        self.unescaped.clear();
        self.built.clear();
        self.has_array = false;
        if self.chains.len() != paths.len() {
            self.chains.resize(paths.len(), Chain::default());
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.chains.fill(Chain::default());
            self.epoch = 1;
        }
    }

    /// Reads a message that was accepted before, perhaps for other paths, as far as anybody asks for
    /// it. It may have been enriched since, and be longer than one from outside. Other bytes leave
    /// anything.
    pub(crate) fn scan_trusted(&mut self, paths: &Paths, message: &[u8]) {
        // No longer one was accepted, and enrichments are bounded.
        let message = message.get(..SCANNED_BYTES_MAX).unwrap_or(message);
        self.begin(paths);
        let scanner = Scanner {
            tape: self,
            paths,
            depth: 0,
            top: NO_FRAME,
            is_beyond_ascii: false,
            error: None,
        };
        trusted::Trusting::new(scanner).message(message);
        assert!(self.cells.len() <= CELLS_MAX, "a value has at least one byte");
    }

    /// Reads a message.
    pub(crate) fn scan(&mut self, paths: &Paths, message: &[u8]) -> Result<(), BadMessage> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(BadMessage::TooLarge { bytes: message.len() });
        }
        self.begin(paths);
        let mut scanner = Scanner {
            tape: self,
            paths,
            depth: 0,
            top: NO_FRAME,
            is_beyond_ascii: false,
            error: None,
        };
        let read = scanner.message(message);
        // Outside of texts all of JSON is ASCII, and the scanner refuses anything else there.
        if scanner.is_beyond_ascii || read.is_err() {
            check_utf8(message)?;
        }
        if read.is_err() {
            return Err(scanner.error.expect("who refuses says why"));
        }
        assert!(self.cells.len() <= CELLS_MAX, "a value has at least one byte");
        Ok(())
    }
}

fn check_utf8(message: &[u8]) -> Result<(), BadMessage> {
    match std::str::from_utf8(message) {
        Ok(_) => Ok(()),
        Err(error) => Err(BadMessage::NotUtf8 { offset: error.valid_up_to() }),
    }
}

/// What is known besides the place in the text. That one goes from function to function by value,
/// with the text: what is behind a reference would be stored and loaded again for every token.
struct Scanner<'s> {
    tape: &'s mut Tape,
    paths: &'s Paths,
    depth: usize,
    /// The innermost of what is open.
    top: Frame,
    /// Whether some text may hold more than ASCII.
    is_beyond_ascii: bool,
    error: Option<BadMessage>,
}

/// The most cells of a message: at most one for each of its bytes, for each way to it.
const CELLS_MAX: usize = SCANNED_BYTES_MAX << INDEXES_MAX;

/// A bit for each byte that is white space.
const WHITE_SPACE: u64 = 1 << b' ' | 1 << b'\n' | 1 << b'\t' | 1 << b'\r';

/// The message is refused; [`Scanner::error`] says why. An error that is handed from function to
/// function would cost every one of them room for it.
#[derive(Clone, Copy, Debug)]
struct Refused;

/// An offset or an index of a cell: neither is above `CELLS_MAX`.
#[inline]
fn narrow(n: usize) -> u32 {
    const { assert!(SCANNED_BYTES_MAX <= CELLS_MAX && CELLS_MAX < u32::MAX as usize) }
    #[allow(clippy::cast_possible_truncation, reason = "was asserted")]
    {
        n as u32
    }
}

#[inline(always)]
fn peek(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// Where white space that begins here ends, and the byte there; 0, which nothing begins with, at the
/// end of the text.
#[inline(always)]
fn next(bytes: &[u8], mut at: usize) -> (usize, u8) {
    while let Some(byte) = peek(bytes, at) {
        // Whatever may come here is above a space, or white space, or wrong.
        if byte > b' ' || WHITE_SPACE >> byte & 1 == 0 {
            return (at, byte);
        }
        at += 1;
    }
    (at, 0)
}

impl Scanner<'_> {
    fn message(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let (start, first) = next(bytes, 0);
        let not_an_object = match first {
            b'{' => {
                let (end, _) = next(bytes, self.run(bytes, start)?);
                if end < bytes.len() {
                    return self.unexpected(bytes, end, "the end");
                }
                return Ok(());
            }
            b'[' => "an array",
            b'"' => "text",
            b'-' | b'0'..=b'9' => "a number",
            b't' | b'f' | b'n' => "a word",
            _ if start == bytes.len() => return self.refuse(BadMessage::Empty),
            _ => return self.unexpected(bytes, start, "`{`"),
        };
        self.refuse(BadMessage::NotAnObject { what: not_an_object })
    }

    #[cold]
    fn refuse<T>(&mut self, error: BadMessage) -> Result<T, Refused> {
        self.error = Some(error);
        Err(Refused)
    }

    #[cold]
    fn unexpected<T>(
        &mut self,
        bytes: &[u8],
        offset: usize,
        expected: &'static str,
    ) -> Result<T, Refused> {
        // Where it is not UTF-8, that is what is told: see `scan`.
        let rest = std::str::from_utf8(&bytes[offset..]).unwrap_or_default();
        let found = rest.chars().next().map_or(Found::End, Found::Character);
        self.refuse(BadMessage::NotJson { offset, expected, found })
    }

    /// From the first brace to the last; where it ends.
    fn run(&mut self, bytes: &[u8], start: usize) -> Result<usize, Refused> {
        let mut at = self.open(start, PathIndex::ROOT, false, Open::Object)?;
        let mut byte;
        let mut is_opened = true;
        'values: loop {
            (at, byte) = next(bytes, at);
            if !(is_opened && byte == self.top.close) {
                // A value.
                let mut path = Some(self.top.path);
                match self.top.open {
                    Open::Object => (at, byte, path) = self.key(bytes, at, byte)?,
                    Open::Array => {}
                    Open::Indexed => path = self.indexed_element(),
                }
                (at, is_opened) = self.value(bytes, at, byte, path)?;
                if is_opened {
                    continue;
                }
                (at, byte) = next(bytes, at);
            }
            is_opened = false;
            // What follows a value.
            while byte != b',' {
                if byte != self.top.close {
                    return self.expected_more(bytes, at, self.top.is_object());
                }
                if self.top.open == Open::Indexed && self.paths.has_elements(self.top.path) {
                    at = self.read_again();
                    is_opened = true;
                    continue 'values;
                }
                at += 1;
                if self.close(at) {
                    return Ok(at);
                }
                (at, byte) = next(bytes, at);
            }
            at += 1;
        }
    }

    #[cold]
    fn expected_more<T>(&mut self, bytes: &[u8], at: usize, is_object: bool) -> Result<T, Refused> {
        self.unexpected(bytes, at, if is_object { "`,` or `}`" } else { "`,` or `]`" })
    }

    fn open(
        &mut self,
        at: usize,
        path: PathIndex,
        is_element: bool,
        open: Open,
    ) -> Result<usize, Refused> {
        if self.depth == NESTING_MAX {
            return self.refuse(BadMessage::TooDeep { offset: at });
        }
        self.tape.frames[self.depth] = self.top;
        self.depth += 1;
        let (kind, close) = match open {
            Open::Object => (CellKind::Object, b'}'),
            Open::Array | Open::Indexed => (CellKind::Array, b']'),
        };
        let cell = self.push(path, is_element, kind, at..at);
        self.top = Frame { close, open, cell, path, classes: self.paths.classes(path) };
        Ok(at + 1)
    }

    /// An index asks for an element of the array under its key, not of one that is an element
    /// itself. An array that expressions alone take, as a whole, is read as one without any index
    /// that is asked for: so nothing in it is.
    #[inline(never)]
    fn open_array(
        &mut self,
        start: usize,
        path: PathIndex,
        is_element: bool,
    ) -> Result<usize, Refused> {
        self.tape.has_array = true;
        let wanted = self.paths.first_index(path);
        let is_indexed = wanted != PathIndex::ROOT && !is_element;
        if !is_indexed && self.paths.has_elements(path) {
            return self.open(start, path, is_element, Open::Array);
        }
        let at = self.open(start, path, is_element, Open::Indexed)?;
        self.tape.places[self.depth - 1] = Place { index: 0, wanted };
        Ok(at)
    }

    /// The path of the next element, if it is asked for by its index.
    #[inline(never)]
    fn indexed_element(&mut self) -> Option<PathIndex> {
        let place = &mut self.tape.places[self.depth - 1];
        let (index, wanted) = (place.index, place.wanted);
        place.index += 1;
        if wanted == PathIndex::ROOT || self.paths.index(wanted) != Some(index) {
            return None;
        }
        place.wanted = self.paths.next_index(wanted);
        Some(wanted)
    }

    /// The array at hand was read for its indexes, and is read once more for any of its elements;
    /// where that begins.
    #[cold]
    fn read_again(&mut self) -> usize {
        self.top.open = Open::Array;
        self.tape.cell(self.top.cell).start as usize + 1
    }

    /// Whether nothing is open any more. What ends here ends before `at`.
    fn close(&mut self, at: usize) -> bool {
        self.depth -= 1;
        let end = narrow(self.tape.cells.len());
        let cell = &mut self.tape.cells[self.top.cell as usize];
        cell.end = end;
        cell.stop = narrow(at);
        self.top = self.tape.frames[self.depth];
        self.depth == 0
    }

    #[inline(always)]
    fn push(
        &mut self,
        path: PathIndex,
        is_element: bool,
        kind: CellKind,
        range: Range<usize>,
    ) -> u32 {
        self.push_cell(path, is_element, kind, range, Double { value: 0.0, is_exact: true })
    }

    #[inline(always)]
    fn push_cell(
        &mut self,
        path: PathIndex,
        is_element: bool,
        kind: CellKind,
        range: Range<usize>,
        double: Double,
    ) -> u32 {
        let tape = &mut *self.tape;
        let at = narrow(tape.cells.len());
        let (start, stop) = (narrow(range.start), narrow(range.end));
        let Double { value, is_exact } = double;
        tape.cells.push(Cell {
            path,
            start,
            stop,
            end: at + 1,
            next: 0,
            kind,
            is_element,
            is_exact,
            value,
        });
        let chain = &mut tape.chains[path.index()];
        if chain.epoch == tape.epoch {
            tape.cells[chain.last as usize].next = at;
            chain.last = at;
        } else {
            *chain = Chain { epoch: tape.epoch, first: at, last: at };
        }
        at
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
            return self.unexpected(bytes, start, "a key in double quotes");
        }
        let (end, has_escape) = self.string(bytes, start)?;
        let key = &bytes[start + 1..end - 1];
        let mut path = None;
        if has_escape {
            path = self.escaped_key(start, key)?;
        } else if Paths::may_have(self.top.classes, key) {
            path = self.paths.child(self.top.path, key);
            if let Some(path) = path {
                self.refuse_repeated(path, start, key)?;
            }
        }
        let (at, byte) = self.colon(bytes, end)?;
        Ok((at, byte, path))
    }

    /// The colon that comes here; what comes behind it.
    #[inline(always)]
    fn colon(&mut self, bytes: &[u8], at: usize) -> Result<(usize, u8), Refused> {
        let (at, byte) = next(bytes, at);
        if byte != b':' {
            return self.unexpected(bytes, at, "`:`");
        }
        Ok(next(bytes, at + 1))
    }

    #[cold]
    fn escaped_key(&mut self, start: usize, key: &[u8]) -> Result<Option<PathIndex>, Refused> {
        let kept = self.tape.unescaped.len();
        string::unescape(key, &mut self.tape.unescaped);
        let path = self.paths.child(self.top.path, &self.tape.unescaped[kept..]);
        self.tape.unescaped.truncate(kept);
        if let Some(path) = path {
            self.refuse_repeated(path, start, key)?;
        }
        Ok(path)
    }

    #[inline(always)]
    fn refuse_repeated(
        &mut self,
        path: PathIndex,
        start: usize,
        key: &[u8],
    ) -> Result<(), Refused> {
        // Cells of that path after the object's own cell can only stand in this object.
        let chain = self.tape.chains[path.index()];
        if chain.epoch == self.tape.epoch && chain.last > self.top.cell {
            return self.repeated(start, key);
        }
        Ok(())
    }

    #[cold]
    fn repeated<T>(&mut self, offset: usize, written: &[u8]) -> Result<T, Refused> {
        let mut key = Vec::new();
        string::unescape(written, &mut key);
        let key = String::from_utf8_lossy(&key).into_owned();
        self.refuse(BadMessage::RepeatedKey { offset, key })
    }

    /// Steps over a value that begins with this byte, or into it: then the answer is true.
    #[inline(always)]
    fn value(
        &mut self,
        bytes: &[u8],
        start: usize,
        byte: u8,
        path: Option<PathIndex>,
    ) -> Result<(usize, bool), Refused> {
        match path {
            Some(path) => self.tracked_value(bytes, start, byte, path),
            None => Ok((self.skip_value(bytes, start, byte)?, false)),
        }
    }

    /// The same for a value that is asked for.
    #[inline(always)]
    fn tracked_value(
        &mut self,
        bytes: &[u8],
        start: usize,
        byte: u8,
        path: PathIndex,
    ) -> Result<(usize, bool), Refused> {
        let is_element = self.top.open == Open::Array;
        let at = match byte {
            b'"' => {
                let (at, has_escape) = self.string(bytes, start)?;
                let (mut kind, mut range) = (CellKind::Text, start + 1..at - 1);
                if has_escape {
                    kind = CellKind::Unescaped;
                    range = self.unescape(&bytes[range]);
                }
                self.push(path, is_element, kind, range);
                at
            }
            b'{' => return Ok((self.open(start, path, is_element, Open::Object)?, true)),
            b'[' => return Ok((self.open_array(start, path, is_element)?, true)),
            b'-' | b'0'..=b'9' => {
                let at = self.number(bytes, start, byte)?;
                let double = Double::of(&bytes[start..at]);
                self.push_cell(path, is_element, CellKind::Number, start..at, double);
                at
            }
            _ => {
                let (at, kind) = self.word(bytes, start)?;
                self.push(path, is_element, kind, 0..0);
                at
            }
        };
        Ok((at, false))
    }

    /// Where the meaning of a text with escapes stands.
    #[cold]
    fn unescape(&mut self, text: &[u8]) -> Range<usize> {
        let kept = self.tape.unescaped.len();
        string::unescape(text, &mut self.tape.unescaped);
        kept..self.tape.unescaped.len()
    }

    #[inline(always)]
    fn word(&mut self, bytes: &[u8], at: usize) -> Result<(usize, CellKind), Refused> {
        match bytes.get(at..).unwrap_or_default() {
            [b't', b'r', b'u', b'e', ..] => Ok((at + 4, CellKind::Bool(true))),
            [b'f', b'a', b'l', b's', b'e', ..] => Ok((at + 5, CellKind::Bool(false))),
            [b'n', b'u', b'l', b'l', ..] => Ok((at + 4, CellKind::Null)),
            _ => self.unexpected(bytes, at, "a value"),
        }
    }
}

#[cfg(test)]
mod tests;
