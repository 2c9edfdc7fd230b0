//! Files the rules of a program.

use super::grams::{Frequencies, GRAM_BYTES, Grams};
use super::ranges::Ranges;
use super::{Ends, Field, Index, Layer, Near, Parts, Posting, Span, Tag, Target, Texts};
use super::{class, near_key};
use crate::access::{COST_ALWAYS, Clause, Clauses, Estimates, Key};
use crate::hash;
use crate::paths::PathIndex;
use crate::program::Program;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many rules under one key are held against a message one by one: to ask another layer costs
/// about as much.
const RULES_TOGETHER: usize = 3;

/// So many ranges are gone through one by one.
const RANGES_NEAR: usize = 160;

/// How many layers lie below one another.
pub(super) const DEPTH_MAX: usize = 4;

/// A clause that more messages than this fulfil does not divide a layer. See [`Clause::cost`].
const COST_MAX: u64 = 500_000;

/// Fewer parts than this are found by the quickest automaton, which takes the most room.
const PARTS_FEW: usize = 100;

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

impl Index {
    pub(crate) fn of(program: &mut Program) -> Self {
        let estimates = Estimates::of(program);
        let clauses = Clauses::new(program, &estimates);
        let clauses: Vec<Vec<Clause>> =
            program.starts.iter().map(|start| clauses.of(*start as usize)).collect();
        let mut frequencies = Frequencies::default();
        for clause in clauses.iter().flatten() {
            for (_, key) in &clause.keys {
                if let Key::Part(text) = key {
                    frequencies.count(text.as_bytes());
                }
            }
        }
        let told = vec![SmallVec::new(); clauses.len()];
        let mut builder = Builder { clauses: &clauses, index: Self::default(), frequencies, told };
        let all: Vec<u32> = (0..narrow(program.starts.len())).collect();
        builder.layer(&all, &mut Vec::new());
        let Builder { mut index, told, .. } = builder;
        for (start, told) in program.starts.clone().into_iter().zip(&told) {
            program.look_last_at(start as usize, told);
        }
        index.first = vec![0; program.paths.len()];
        for (at, field) in index.layers[0].fields.iter().enumerate() {
            index.first[field.path.index()] = narrow(at + 1);
        }
        index.pool.shrink_to_fit();
        index.near.shrink_to_fit();
        index
    }
}

struct Builder<'c> {
    /// By rule.
    clauses: &'c [Vec<Clause>],
    index: Index,
    frequencies: Frequencies,
    /// By rule: the fields that it is filed under.
    told: Vec<SmallVec<[PathIndex; 4]>>,
}

/// What is found by hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hashed {
    path: PathIndex,
    tag: Tag,
    /// The text's length; of a network the prefix and the version.
    bytes: u32,
    hash: u64,
    /// Of a beginning or an end: see [`crate::access::end_class`].
    ends: u64,
}

/// The lowest and the highest key, and the rule.
type Ranged = (u64, u64, u32);

/// The keys of a layer, sorted out.
#[derive(Default)]
struct Filed {
    hashed: Vec<(Hashed, u32)>,
    present: BTreeMap<PathIndex, Vec<u32>>,
    parts: BTreeMap<PathIndex, BTreeMap<Arc<str>, Vec<u32>>>,
    /// Whether they are of texts; low, high and rule.
    ranges: BTreeMap<(PathIndex, bool), Vec<Ranged>>,
    always: Vec<u32>,
}

impl Filed {
    fn file(&mut self, rule: u32, clause: &Clause) {
        for (path, key) in &clause.keys {
            let path = *path;
            let (tag, bytes, hash, ends) = match key {
                Key::Equal { hash, bytes } => (Tag::Equal, *bytes, *hash, 0),
                Key::Prefix { hash, bytes, ends } => (Tag::Prefix, *bytes, *hash, *ends),
                Key::Suffix { hash, bytes, ends } => (Tag::Suffix, *bytes, *hash, *ends),
                Key::Folded { hash } => (Tag::Folded, 0, *hash, 0),
                Key::Network { is_v4, prefix, hash } => {
                    let version = u64::from(*is_v4);
                    let bytes = u32::from(*prefix) << 1 | u32::from(*is_v4);
                    (Tag::Network, bytes, hash ^ version, 0)
                }
                Key::Present => {
                    self.present.entry(path).or_default().push(rule);
                    continue;
                }
                Key::Part(text) => {
                    let parts = self.parts.entry(path).or_default();
                    parts.entry(Arc::clone(text)).or_default().push(rule);
                    continue;
                }
                Key::Range { is_text, low, high } => {
                    self.ranges.entry((path, *is_text)).or_default().push((*low, *high, rule));
                    continue;
                }
            };
            self.hashed.push((Hashed { path, tag, bytes, hash, ends }, rule));
        }
    }
}

/// A field while its keys are gathered.
#[derive(Default)]
struct Draft {
    present: Option<Target>,
    equal: u64,
    equal_bytes_max: u32,
    near: Span,
    numbers: Option<Box<Ranges>>,
    prefixes: DraftEnds,
    suffixes: DraftEnds,
    has_folded: bool,
    networks: Vec<(bool, u8)>,
    ranges: Option<Ranges>,
    parts: Option<Parts>,
}

#[derive(Default)]
struct DraftEnds {
    classes: u64,
    bytes: Vec<u32>,
}

impl DraftEnds {
    fn note(&mut self, bytes: u32, class: u64) {
        self.classes |= class;
        // The keys come in the order of their lengths.
        if self.bytes.last() != Some(&bytes) {
            self.bytes.push(bytes);
        }
    }

    fn finish(self) -> Ends {
        Ends { classes: self.classes, bytes: self.bytes.into() }
    }
}

impl Draft {
    fn note(&mut self, key: &Hashed) {
        match key.tag {
            Tag::Equal => {
                self.equal |= class(key.hash);
                self.equal_bytes_max = self.equal_bytes_max.max(key.bytes);
            }
            Tag::Folded => self.has_folded = true,
            Tag::Prefix => self.prefixes.note(key.bytes, key.ends),
            Tag::Suffix => self.suffixes.note(key.bytes, key.ends),
            Tag::Network => {
                let prefix = u8::try_from(key.bytes >> 1).expect("at most 128");
                let network = (key.bytes & 1 == 1, prefix);
                if self.networks.last() != Some(&network) {
                    self.networks.push(network);
                }
            }
        }
    }

    fn finish(self, path: PathIndex) -> Field {
        let asks_texts = !self.prefixes.bytes.is_empty()
            || !self.suffixes.bytes.is_empty()
            || self.has_folded
            || !self.networks.is_empty()
            || self.ranges.is_some()
            || self.parts.is_some();
        let texts = Texts {
            prefixes: self.prefixes.finish(),
            suffixes: self.suffixes.finish(),
            has_folded: self.has_folded,
            networks: self.networks.into(),
            ranges: self.ranges,
            parts: self.parts.unwrap_or_default(),
        };
        Field {
            path,
            equal_bytes_max: self.equal_bytes_max,
            equal: self.equal,
            present: self.present,
            near: self.near,
            numbers: self.numbers,
            texts: asks_texts.then(|| Box::new(texts)),
        }
    }
}

/// Parts, and what each leads to.
fn parts(all: &[(&[u8], Target)], frequencies: &Frequencies) -> Parts {
    let mut parts = Parts::default();
    let mut left: Vec<(&[u8], Target)> = all.to_vec();
    let targets = |group: &[(&[u8], Target)]| group.iter().map(|(_, target)| *target).collect();
    let short: Vec<_> = left.extract_if(.., |(text, _)| text.len() < GRAM_BYTES).collect();
    if !short.is_empty() {
        let kind = if short.len() < PARTS_FEW {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .build(short.iter().map(|(text, _)| text))
            .expect("a catalogue's texts are below the automaton's bounds");
        parts.automaton = Some(Box::new((automaton, targets(&short))));
    }
    if let Some(shortest) = left.iter().map(|(text, _)| text.len()).min() {
        let texts: Vec<&[u8]> = left.iter().map(|(text, _)| *text).collect();
        let grams = Grams::of(&texts, Grams::step_for(shortest), frequencies);
        parts.grams = Some((grams, targets(&left)));
    }
    parts
}

/// The best of a rule's clauses that tells something new where all of `used` is known.
pub(crate) fn best<'c>(clauses: &'c [Clause], used: &[PathIndex]) -> Option<&'c Clause> {
    let is_below = !used.is_empty();
    let is_new = |clause: &&Clause| {
        clause.keys.iter().all(|(path, key)| {
            let is_plain = !matches!(key, Key::Present | Key::Part(_));
            !is_below || (is_plain && !used.contains(path))
        })
    };
    // Ranges come last: what is found under one is not divided further.
    let rank = |clause: &&Clause| {
        let is_range = clause.keys.iter().any(|(_, key)| matches!(key, Key::Range { .. }));
        clause.cost.saturating_mul(if is_range { 16 } else { 1 })
    };
    let best = clauses.iter().filter(is_new).min_by_key(rank);
    best.filter(|clause| !is_below || clause.cost <= COST_MAX)
}

impl<'c> Builder<'c> {
    fn best(&self, rule: u32, used: &[PathIndex]) -> Option<&'c Clause> {
        best(&self.clauses[rule as usize], used)
    }

    fn span(&mut self, rules: &[u32]) -> Span {
        let start = narrow(self.index.pool.len());
        self.index.pool.extend_from_slice(rules);
        Span { start, count: narrow(rules.len()) }
    }

    fn near(&mut self, ranges: &[Ranged]) -> Span {
        let start = narrow(self.index.near.len());
        // A range that ends before it begins holds nothing.
        let ranges: SmallVec<[&Ranged; RANGES_NEAR]> =
            ranges.iter().filter(|(low, high, _)| low <= high).collect();
        let near = ranges.iter().map(|(low, high, rule)| Near {
            low: near_key(*low),
            width: near_key(*high).checked_sub(near_key(*low)).expect("was looked at"),
            rule: *rule,
        });
        self.index.near.extend(near);
        Span { start, count: narrow(ranges.len()) }
    }

    /// Files rules that are found where all of `used` is known. Recursion: at most `DEPTH_MAX`.
    fn layer(&mut self, rules: &[u32], used: &mut Vec<PathIndex>) -> u32 {
        let at = self.index.layers.len();
        self.index.layers.push(Layer::default());
        let mut filed = Filed::default();
        for rule in rules {
            match self.best(*rule, used) {
                Some(clause) => {
                    filed.file(*rule, clause);
                    let told = &mut self.told[*rule as usize];
                    for (path, _) in &clause.keys {
                        if !told.contains(path) {
                            told.push(*path);
                        }
                    }
                }
                None => filed.always.push(*rule),
            }
        }
        let mut drafts: BTreeMap<PathIndex, Draft> = BTreeMap::new();
        self.hashed(narrow(at), filed.hashed, used, &mut drafts);
        for (path, rules) in filed.present {
            drafts.entry(path).or_default().present = Some(self.target(&rules, path, used));
        }
        for ((path, is_text), ranges) in filed.ranges {
            let draft = drafts.entry(path).or_default();
            if is_text {
                draft.ranges = Some(Ranges::of(&ranges));
            } else if ranges.len() <= RANGES_NEAR {
                draft.near = self.near(&ranges);
            } else {
                draft.numbers = Some(Box::new(Ranges::of(&ranges)));
            }
        }
        for (path, by_text) in filed.parts {
            let all: Vec<(&[u8], Target)> = by_text
                .iter()
                .map(|(text, rules)| (text.as_bytes(), self.target(rules, path, used)))
                .collect();
            drafts.entry(path).or_default().parts = Some(parts(&all, &self.frequencies));
        }
        let all = if used.is_empty() { Span::default() } else { self.span(rules) };
        let always = self.span(&filed.always);
        let fields = drafts.into_iter().map(|(path, draft)| draft.finish(path)).collect();
        self.index.layers[at] = Layer { always, all, fields };
        narrow(at)
    }

    fn hashed(
        &mut self,
        layer: u32,
        mut hashed: Vec<(Hashed, u32)>,
        used: &mut Vec<PathIndex>,
        drafts: &mut BTreeMap<PathIndex, Draft>,
    ) {
        hashed.sort_unstable();
        hashed.dedup();
        let mut rules = Vec::new();
        for same in hashed.chunk_by(|(left, _), (right, _)| left == right) {
            let key = same[0].0;
            drafts.entry(key.path).or_default().note(&key);
            rules.clear();
            rules.extend(same.iter().map(|(_, rule)| *rule));
            let target = self.target(&rules, key.path, used);
            let hash = hash::join(key.hash, Layer::seed(layer, key.path, key.tag));
            self.post(hash, target);
        }
    }

    /// Two keys of one hash share what they find.
    fn post(&mut self, hash: u64, target: Target) {
        let same = |posting: &Posting| posting.hash == hash;
        let both = match self.index.postings.find(hash, same) {
            None => None,
            Some(posting) => {
                let mut rules = self.all_of(posting.target);
                rules.extend(self.all_of(target));
                rules.sort_unstable();
                rules.dedup();
                Some(rules)
            }
        };
        match both {
            None => {
                let posting = Posting { hash, target };
                self.index.postings.insert_unique(hash, posting, |posting| posting.hash);
            }
            Some(rules) => {
                let target = Target::Rules(self.span(&rules));
                let posting = self.index.postings.find_mut(hash, same).expect("was found");
                posting.target = target;
            }
        }
    }

    fn all_of(&self, target: Target) -> Vec<u32> {
        match target {
            Target::Rules(span) => self.index.rules(span).to_vec(),
            Target::Layer(layer) => {
                self.index.rules(self.index.layers[layer as usize].all).to_vec()
            }
        }
    }

    /// What is found where a key of `path` holds, too.
    fn target(&mut self, rules: &[u32], path: PathIndex, used: &mut Vec<PathIndex>) -> Target {
        if rules.len() > RULES_TOGETHER && used.len() + 1 < DEPTH_MAX {
            used.push(path);
            let divided = rules.iter().filter(|rule| self.best(**rule, used).is_some()).count();
            let layer = (divided * 2 > rules.len()).then(|| self.layer(rules, used));
            used.pop();
            if let Some(layer) = layer {
                return Target::Layer(layer);
            }
        }
        let span = self.span(rules);
        if rules.len() <= RULES_TOGETHER {
            return Target::Rules(span);
        }
        // A layer without fields: it is visited once, however often the message has the key.
        let layer = narrow(self.index.layers.len());
        self.index.layers.push(Layer { always: span, all: span, fields: SmallVec::new() });
        Target::Layer(layer)
    }
}

const _: () = assert!(COST_MAX < COST_ALWAYS);

#[cfg(test)]
mod tests;
