//! Which rules are worth a look: each rule is filed under something that must be true for it to
//! match, and only what is found under a message's own values is looked at.
//!
//! Rules that share a key and are many are filed again, under another of their clauses, in a layer
//! of their own that is asked only when the key was found: so what is looked at does not grow with
//! the number of rules as long as any of their conditions tell them apart.
//!
//! # Invariants
//! - A rule that matches is always among the candidates: it is filed under every key of a necessary
//!   clause, see [`crate::access`]. Candidates that do not match are only a cost.
//! - Asking takes time linear in the message: a layer is asked once per message, and one whose
//!   fields have many values is not asked but taken whole.

use crate::access::{FOLDED_BYTES_MAX, end_class, folded_hash, network_hash, number_hash};
use crate::access::{text_key, word_hash};
use crate::hash;
use crate::network;
use crate::paths::PathIndex;
use crate::scan::{Cell, CellKind, Tape};
use aho_corasick::AhoCorasick;
use candidates::Candidates;
use grams::Grams;
use hashbrown::HashTable;
use ranges::Ranges;
use smallvec::SmallVec;

pub(crate) mod build;
pub(crate) mod candidates;
mod grams;
mod ranges;

/// A field with more values than this makes a layer not worth asking.
const CELLS_MAX: usize = 8;

/// A place in [`Index::pool`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    count: u32,
}

/// A range of numbers and its rule. Where there are few, to go through them costs less than to look
/// for the right ones: they stand together, and all but the first have been fetched meanwhile.
#[derive(Clone, Copy, Debug)]
struct Near {
    /// The [`near_key`] of the lower end, and how far from it that of the upper one is.
    low: u32,
    width: u32,
    rule: u32,
}

impl Near {
    /// One comparison, which seldom holds: two would each hold for half of the keys, at random.
    #[inline]
    fn has(&self, key: u32) -> bool {
        key.wrapping_sub(self.low) <= self.width
    }
}

/// The upper half of a number's key: of two keys the larger one has no smaller half.
#[inline]
fn near_key(key: u64) -> u32 {
    u32::try_from(key >> 32).expect("32 bits")
}

/// What is found under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Rules(Span),
    Layer(u32),
}

/// What is found under the hash of a key. Two keys of one hash would share it: each then finds the
/// candidates of both.
#[derive(Clone, Copy, Debug)]
struct Posting {
    hash: u64,
    target: Target,
}

/// The kinds of keys that are found by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Equal,
    Prefix,
    Suffix,
    Folded,
    Network,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The first is asked for every message.
    layers: Vec<Layer>,
    /// By path: the field of the first layer, plus one; 0 is none.
    first: Vec<u32>,
    postings: HashTable<Posting>,
    pool: Vec<u32>,
    /// The ranges of layers that have few of them.
    near: Vec<Near>,
}

/// What is asked of a message at once.
#[derive(Debug, Default)]
struct Layer {
    /// Rules that no field finds.
    always: Span,
    /// All rules of the layer.
    all: Span,
    /// One of most layers: beside it, not behind it.
    fields: SmallVec<[Field; 1]>,
}

/// What some rules of a layer ask of a field.
#[derive(Debug)]
struct Field {
    path: PathIndex,
    /// The longest text that is looked for as a whole. Unit: bytes.
    equal_bytes_max: u32,
    /// A bit for each [`class`] of what is looked for as a whole.
    equal: u64,
    present: Option<Target>,
    /// Ranges of numbers: few, or many.
    near: Span,
    numbers: Option<Box<Ranges>>,
    texts: Option<Box<Texts>>,
}

/// What is asked of a field's texts besides equality.
#[derive(Debug, Default)]
struct Texts {
    prefixes: Ends,
    suffixes: Ends,
    has_folded: bool,
    /// Version and prefix length.
    networks: Box<[(bool, u8)]>,
    ranges: Option<Ranges>,
    parts: Parts,
}

/// Texts that others begin with, or end with.
#[derive(Debug, Default)]
struct Ends {
    /// A bit for each class of their outermost bytes, see [`end_class`].
    classes: u64,
    /// How long they are, ascending. Unit: bytes.
    bytes: Box<[u32]>,
}

/// All parts that texts of a field are searched for.
#[derive(Debug, Default)]
struct Parts {
    /// Parts of four bytes and more.
    grams: Option<(Grams, Box<[Target]>)>,
    /// Shorter ones; the targets by pattern.
    automaton: Option<Box<(AhoCorasick, Box<[Target]>)>>,
}

/// Which of 64 classes a hash is of.
#[inline]
fn class(hash: u64) -> u64 {
    1 << (hash >> 58)
}

impl Layer {
    /// What a value is hashed with, so that one table serves all layers and fields.
    fn seed(layer: u32, path: PathIndex, tag: Tag) -> u64 {
        (u64::from(layer) << 32 | u64::from(path.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (tag as u64) << 56
    }
}

impl Index {
    /// The rules that are looked at for every message.
    pub(crate) fn always(&self) -> &[u32] {
        self.layers.first().map_or(&[], |layer| self.rules(layer.always))
    }

    /// How many layers there are: what [`Candidates::fit`] wants to know.
    pub(crate) fn layers(&self) -> usize {
        self.layers.len()
    }

    fn near(&self, span: Span) -> &[Near] {
        &self.near[span.start as usize..][..span.count as usize]
    }

    fn rules(&self, span: Span) -> &[u32] {
        &self.pool[span.start as usize..][..span.count as usize]
    }

    /// Adds the rules that are worth a look.
    pub(crate) fn candidates(&self, tape: &Tape, message: &[u8], out: &mut Candidates) {
        let Some(layer) = self.layers.first() else { return };
        out.insert_all(self.rules(layer.always));
        let asked = Asked { index: self, tape, message };
        for (at, cell) in (1..).zip(tape.cells()) {
            let Some(field @ 1..) = self.first.get(cell.path.index()).copied() else { continue };
            let field = &layer.fields[field as usize - 1];
            if let Some(target) = field.present
                && tape.first(field.path) == Some(at)
            {
                asked.found(target, out);
            }
            asked.cell(0, field, cell, out);
        }
    }

    /// What the tables take, but for the automata. Unit: bytes.
    pub(crate) fn bytes(&self) -> usize {
        let ends = |ends: &Ends| ends.bytes.len() * size_of::<u32>();
        let target = size_of::<Target>();
        let parts = |parts: &Parts| {
            let grams = parts.grams.as_ref().map(|(grams, to)| grams.bytes() + to.len() * target);
            let automaton = parts
                .automaton
                .as_deref()
                .map_or(0, |(automaton, to)| automaton.memory_usage() + to.len() * target);
            grams.unwrap_or_default() + automaton
        };
        let texts = |texts: &Texts| {
            size_of::<Texts>()
                + ends(&texts.prefixes)
                + ends(&texts.suffixes)
                + texts.networks.len() * size_of::<(bool, u8)>()
                + texts.ranges.as_ref().map_or(0, Ranges::bytes)
                + parts(&texts.parts)
        };
        let numbers = |ranges: &Ranges| size_of::<Ranges>() + ranges.bytes();
        let field = |field: &Field| {
            size_of::<Field>()
                + field.numbers.as_deref().map_or(0, numbers)
                + field.texts.as_deref().map_or(0, texts)
        };
        let layer =
            |layer: &Layer| size_of::<Layer>() + layer.fields.iter().map(field).sum::<usize>();
        self.layers.iter().map(layer).sum::<usize>()
            + self.first.capacity() * size_of::<u32>()
            + self.postings.allocation_size()
            + self.pool.capacity() * size_of::<u32>()
            + self.near.capacity() * size_of::<Near>()
    }
}

/// One message that is asked.
struct Asked<'m> {
    index: &'m Index,
    tape: &'m Tape,
    message: &'m [u8],
}

impl Asked<'_> {
    /// Recursion, with [`Self::layer`], [`Self::cell`] and [`Self::by_hash`]: bounded by
    /// `build::DEPTH_MAX`.
    #[inline]
    fn found(&self, target: Target, out: &mut Candidates) {
        match target {
            Target::Rules(span) => out.insert_all(self.index.rules(span)),
            Target::Layer(layer) => self.layer(layer, out),
        }
    }

    fn layer(&self, at: u32, out: &mut Candidates) {
        if !out.visit(at) {
            return;
        }
        let layer = &self.index.layers[at as usize];
        let has_many = |field: &Field| self.tape.cells_of(field.path).nth(CELLS_MAX).is_some();
        if self.tape.has_array() && layer.fields.iter().any(has_many) {
            out.insert_all(self.index.rules(layer.all));
            return;
        }
        out.insert_all(self.index.rules(layer.always));
        for field in &layer.fields {
            for cell in self.tape.cells_of(field.path) {
                self.cell(at, field, cell, out);
            }
        }
    }

    #[inline]
    fn by_hash(&self, layer: u32, path: PathIndex, tag: Tag, hash: u64, out: &mut Candidates) {
        let hash = hash::join(hash, Layer::seed(layer, path, tag));
        if let Some(posting) = self.index.postings.find(hash, |posting| posting.hash == hash) {
            self.found(posting.target, out);
        }
    }

    #[inline]
    fn equal(&self, layer: u32, field: &Field, hash: u64, out: &mut Candidates) {
        if field.equal & class(hash) != 0 {
            self.by_hash(layer, field.path, Tag::Equal, hash, out);
        }
    }

    #[inline]
    fn cell(&self, layer: u32, field: &Field, cell: &Cell, out: &mut Candidates) {
        match cell.kind {
            CellKind::Text | CellKind::Unescaped => {
                let text = self.tape.text(self.message, cell);
                if field.equal != 0 && text.len() <= field.equal_bytes_max as usize {
                    self.equal(layer, field, hash::text(text), out);
                }
                if let Some(texts) = &field.texts {
                    self.text(layer, field.path, texts, text, out);
                }
            }
            CellKind::Number => {
                if field.equal != 0 {
                    self.equal(layer, field, number_hash(cell.double()), out);
                }
                if field.near.count > 0 {
                    let key = near_key(cell.double().key());
                    for near in self.index.near(field.near) {
                        if near.has(key) {
                            out.insert(near.rule);
                        }
                    }
                }
                if let Some(ranges) = &field.numbers {
                    ranges.at(cell.double().key(), |rules| out.insert_all(rules));
                }
            }
            CellKind::Null if field.equal != 0 => {
                self.equal(layer, field, word_hash(None), out);
            }
            CellKind::Bool(value) if field.equal != 0 => {
                self.equal(layer, field, word_hash(Some(value)), out);
            }
            CellKind::Null | CellKind::Bool(_) | CellKind::Object | CellKind::Array => {}
        }
    }

    fn text(&self, layer: u32, path: PathIndex, texts: &Texts, text: &[u8], out: &mut Candidates) {
        if let [first, rest @ ..] = text {
            if texts.prefixes.classes & end_class(*first, rest.first().copied()) != 0 {
                for bytes in &texts.prefixes.bytes {
                    let Some(beginning) = text.get(..*bytes as usize) else { break };
                    self.by_hash(layer, path, Tag::Prefix, hash::text(beginning), out);
                }
            }
            let (last, rest) = text.split_last().expect("has a first");
            if texts.suffixes.classes & end_class(*last, rest.last().copied()) != 0 {
                for bytes in &texts.suffixes.bytes {
                    let Some(start) = text.len().checked_sub(*bytes as usize) else { break };
                    self.by_hash(layer, path, Tag::Suffix, hash::text(&text[start..]), out);
                }
            }
        }
        // No character takes more than four bytes.
        if texts.has_folded
            && text.len() <= 4 * FOLDED_BYTES_MAX
            && let Some(hash) = folded_hash(text)
        {
            self.by_hash(layer, path, Tag::Folded, hash, out);
        }
        if !texts.networks.is_empty()
            && let Some((bits, is_v4)) = network::address(text)
        {
            for (_, prefix) in texts.networks.iter().filter(|(v4, _)| *v4 == is_v4) {
                let hash = network_hash(bits, *prefix) ^ u64::from(is_v4);
                self.by_hash(layer, path, Tag::Network, hash, out);
            }
        }
        if let Some(ranges) = &texts.ranges {
            ranges.at(text_key(text), |rules| out.insert_all(rules));
        }
        if let Some((grams, targets)) = &texts.parts.grams {
            grams.search(text, |part| self.found(targets[part], out));
        }
        if let Some((automaton, targets)) = texts.parts.automaton.as_deref() {
            for found in automaton.find_overlapping_iter(text) {
                self.found(targets[found.pattern().as_usize()], out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
