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
//! - Cells stand in the order of the text; a cell's `end` is the first cell after everything
//!   inside it.

use crate::bad_message::{BadMessage, Found};
use crate::number::Short;
use crate::paths::{PathIndex, Paths};
use base::limits::{MESSAGE_BYTES_MAX, NESTING_MAX};

mod string;

/// What a tracked value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellKind {
    Null,
    Bool(bool),
    /// `start..stop` is the number in the message.
    Number(Option<Short>),
    /// `start..stop` is the text in the message, without its quotes.
    Text,
    /// `start..stop` is the text in [`Tape::unescaped`].
    Unescaped,
    Object,
    Array,
}

/// A tracked value of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) path: PathIndex,
    pub(crate) kind: CellKind,
    /// Whether it is an element of an array. Elements have their array's path.
    pub(crate) is_element: bool,
    start: u32,
    stop: u32,
    /// The first cell that is not inside this one.
    pub(crate) end: u32,
    /// The next cell of the same path; 0 is none, for that is the message itself.
    pub(crate) next: u32,
}

/// The first and the last cell of a path, if `epoch` is the message's.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    epoch: u32,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    is_object: bool,
    /// `None`: nobody asks for anything inside.
    cell: Option<u32>,
    path: PathIndex,
}

const NO_FRAME: Frame = Frame { is_object: false, cell: None, path: PathIndex::ROOT };

/// The tracked values of one message; reused for the next.
#[derive(Debug)]
pub(crate) struct Tape {
    cells: Vec<Cell>,
    unescaped: String,
    /// By path.
    chains: Vec<Chain>,
    epoch: u32,
    has_array: bool,
    frames: Box<[Frame; NESTING_MAX]>,
}

/// What is known of a value before it is looked at.
#[derive(Clone, Copy)]
struct Place {
    /// `None`: nobody asks for it.
    path: Option<PathIndex>,
    is_element: bool,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self {
            cells: Vec::new(),
            unescaped: String::new(),
            chains: Vec::new(),
            epoch: 0,
            has_array: false,
            frames: Box::new([NO_FRAME; NESTING_MAX]),
        }
    }

    pub(crate) fn cell(&self, at: u32) -> &Cell {
        &self.cells[at as usize]
    }

    /// Whether any tracked value is an array.
    pub(crate) fn has_array(&self) -> bool {
        self.has_array
    }

    /// The first cell of a path.
    pub(crate) fn first(&self, path: PathIndex) -> Option<u32> {
        let chain = &self.chains[path.index()];
        (chain.epoch == self.epoch).then_some(chain.first)
    }

    /// All cells of a path, in the order of the text.
    pub(crate) fn cells_of(&self, path: PathIndex) -> impl Iterator<Item = &Cell> {
        let first = self.first(path).map(|at| self.cell(at));
        std::iter::successors(first, |cell| (cell.next != 0).then(|| self.cell(cell.next)))
    }

    /// The text or the number of a cell.
    pub(crate) fn text<'m>(&'m self, message: &'m str, cell: &Cell) -> &'m str {
        let range = cell.start as usize..cell.stop as usize;
        if cell.kind == CellKind::Unescaped { &self.unescaped[range] } else { &message[range] }
    }

    /// Reads a message; returns it as text.
    pub(crate) fn scan<'m>(
        &mut self,
        paths: &Paths,
        message: &'m [u8],
    ) -> Result<&'m str, BadMessage> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(BadMessage::TooLarge { bytes: message.len() });
        }
        let text = std::str::from_utf8(message)
            .map_err(|error| BadMessage::NotUtf8 { offset: error.valid_up_to() })?;
        self.cells.clear();
        self.unescaped.clear();
        self.has_array = false;
        if self.chains.len() != paths.len() {
            self.chains.resize(paths.len(), Chain::default());
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.chains.fill(Chain::default());
            self.epoch = 1;
        }
        let mut scanner = Scanner { tape: self, paths, text, bytes: message, at: 0, depth: 0 };
        scanner.skip_white_space();
        match scanner.peek() {
            Some(b'{') => scanner.run()?,
            None => return Err(BadMessage::Empty),
            Some(b'[') => return Err(BadMessage::NotAnObject { what: "an array" }),
            Some(b'"') => return Err(BadMessage::NotAnObject { what: "text" }),
            Some(b'-' | b'0'..=b'9') => return Err(BadMessage::NotAnObject { what: "a number" }),
            Some(b't' | b'f' | b'n') => return Err(BadMessage::NotAnObject { what: "a word" }),
            Some(_) => return Err(scanner.unexpected("`{`")),
        }
        assert!(self.cells.len() <= MESSAGE_BYTES_MAX, "a value has at least one byte");
        Ok(text)
    }
}

/// What comes next.
#[derive(Clone, Copy)]
enum Expected {
    Value(Place),
    KeyOrEnd,
    Key,
    ElementOrEnd,
    CommaOrEnd,
}

struct Scanner<'s> {
    tape: &'s mut Tape,
    paths: &'s Paths,
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    depth: usize,
}

/// An offset or an index of a cell: both are below `MESSAGE_BYTES_MAX`.
fn narrow(n: usize) -> u32 {
    const { assert!(MESSAGE_BYTES_MAX < u32::MAX as usize) }
    u32::try_from(n).expect("was asserted")
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), BadMessage> {
        let mut expected =
            Expected::Value(Place { path: Some(PathIndex::ROOT), is_element: false });
        loop {
            self.skip_white_space();
            expected = match expected {
                Expected::Value(place) => self.value(place)?,
                Expected::KeyOrEnd if self.peek() == Some(b'}') => self.close(),
                Expected::KeyOrEnd | Expected::Key => self.key()?,
                Expected::ElementOrEnd if self.peek() == Some(b']') => self.close(),
                Expected::ElementOrEnd => Expected::Value(self.element()),
                Expected::CommaOrEnd if self.depth == 0 => {
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => Err(self.unexpected("the end")),
                    };
                }
                Expected::CommaOrEnd => self.comma_or_end()?,
            };
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn unexpected(&self, expected: &'static str) -> BadMessage {
        self.unexpected_at(self.at, expected)
    }

    #[cold]
    fn unexpected_at(&self, offset: usize, expected: &'static str) -> BadMessage {
        let found = self.text[offset..].chars().next().map_or(Found::End, Found::Character);
        BadMessage::NotJson { offset, expected, found }
    }

    fn frame(&self) -> Frame {
        self.tape.frames[self.depth - 1]
    }

    /// The place of the next element of the array that is open.
    fn element(&self) -> Place {
        let frame = self.frame();
        Place { path: frame.cell.map(|_| frame.path), is_element: true }
    }

    fn comma_or_end(&mut self) -> Result<Expected, BadMessage> {
        let frame = self.frame();
        match (self.peek(), frame.is_object) {
            (Some(b','), true) => {
                self.at += 1;
                Ok(Expected::Key)
            }
            (Some(b','), false) => {
                self.at += 1;
                Ok(Expected::Value(self.element()))
            }
            (Some(b'}'), true) | (Some(b']'), false) => Ok(self.close()),
            (_, true) => Err(self.unexpected("`,` or `}`")),
            (_, false) => Err(self.unexpected("`,` or `]`")),
        }
    }

    fn open(&mut self, place: Place, is_object: bool) -> Result<Expected, BadMessage> {
        if self.depth == NESTING_MAX {
            return Err(BadMessage::TooDeep { offset: self.at });
        }
        let kind = if is_object { CellKind::Object } else { CellKind::Array };
        let cell = place.path.map(|path| {
            self.tape.has_array |= !is_object;
            self.push(path, place.is_element, kind, 0..0)
        });
        let path = place.path.unwrap_or(PathIndex::ROOT);
        self.tape.frames[self.depth] = Frame { is_object, cell, path };
        self.depth += 1;
        self.at += 1;
        Ok(if is_object { Expected::KeyOrEnd } else { Expected::ElementOrEnd })
    }

    fn close(&mut self) -> Expected {
        self.at += 1;
        self.depth -= 1;
        if let Some(cell) = self.tape.frames[self.depth].cell {
            self.tape.cells[cell as usize].end = narrow(self.tape.cells.len());
        }
        Expected::CommaOrEnd
    }

    fn push(
        &mut self,
        path: PathIndex,
        is_element: bool,
        kind: CellKind,
        range: std::ops::Range<usize>,
    ) -> u32 {
        let tape = &mut *self.tape;
        let at = narrow(tape.cells.len());
        let (start, stop) = (narrow(range.start), narrow(range.end));
        tape.cells.push(Cell { path, kind, is_element, start, stop, end: at + 1, next: 0 });
        let chain = &mut tape.chains[path.index()];
        if chain.epoch == tape.epoch {
            tape.cells[chain.last as usize].next = at;
            chain.last = at;
        } else {
            *chain = Chain { epoch: tape.epoch, first: at, last: at };
        }
        at
    }

    fn key(&mut self) -> Result<Expected, BadMessage> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let start = self.at;
        let (range, has_escape) = self.string()?;
        let frame = self.frame();
        let mut path = None;
        if let Some(object) = frame.cell {
            path = if has_escape {
                let kept = self.tape.unescaped.len();
                string::unescape(&self.text[range], &mut self.tape.unescaped);
                let path = self.paths.child(frame.path, &self.tape.unescaped[kept..]);
                self.tape.unescaped.truncate(kept);
                path
            } else {
                self.paths.child(frame.path, &self.text[range])
            };
            // Cells of that path after the object's own cell can only stand in this object.
            let chain = path.map(|path| self.tape.chains[path.index()]);
            if chain.is_some_and(|chain| chain.epoch == self.tape.epoch && chain.last > object) {
                let mut key = String::new();
                string::unescape(&self.text[start + 1..self.at - 1], &mut key);
                return Err(BadMessage::RepeatedKey { offset: start, key });
            }
        }
        self.skip_white_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        Ok(Expected::Value(Place { path, is_element: false }))
    }

    fn value(&mut self, place: Place) -> Result<Expected, BadMessage> {
        match self.peek() {
            Some(b'"') => {
                let (mut range, has_escape) = self.string()?;
                if let Some(path) = place.path {
                    let mut kind = CellKind::Text;
                    if has_escape {
                        kind = CellKind::Unescaped;
                        let kept = self.tape.unescaped.len();
                        string::unescape(&self.text[range], &mut self.tape.unescaped);
                        range = kept..self.tape.unescaped.len();
                    }
                    self.push(path, place.is_element, kind, range);
                }
            }
            Some(b'{') => return self.open(place, true),
            Some(b'[') => return self.open(place, false),
            Some(b'-' | b'0'..=b'9') => {
                let range = self.number()?;
                if let Some(path) = place.path {
                    let kind = CellKind::Number(Short::of(&self.text[range.clone()]));
                    self.push(path, place.is_element, kind, range);
                }
            }
            _ => {
                let kind = self.word()?;
                if let Some(path) = place.path {
                    self.push(path, place.is_element, kind, 0..0);
                }
            }
        }
        Ok(Expected::CommaOrEnd)
    }

    fn word(&mut self) -> Result<CellKind, BadMessage> {
        let rest = &self.bytes[self.at..];
        let words = [
            ("true", CellKind::Bool(true)),
            ("false", CellKind::Bool(false)),
            ("null", CellKind::Null),
        ];
        for (word, kind) in words {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Result<std::ops::Range<usize>, BadMessage> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        match self.digits() {
            0 => return Err(self.unexpected("a digit")),
            1 => {}
            _ if self.bytes[first] == b'0' => {
                return Err(self.unexpected_at(first, "a number without a leading zero"));
            }
            _ => {}
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        Ok(start..self.at)
    }
}

#[cfg(test)]
mod tests;
