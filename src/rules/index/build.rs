//! Files the rules of a program.

use super::ranges::Ranges;
use super::{Field, Index, Layer, Parts, Posting, Span, Tag, Target};
use crate::access::{COST_ALWAYS, Clause, Clauses, Estimates, Key};
use crate::hash;
use crate::paths::PathIndex;
use crate::program::Program;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many rules under one key are held against a message one by one: to ask another layer costs
/// about as much.
const RULES_TOGETHER: usize = 8;

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
    pub(crate) fn of(program: &Program) -> Self {
        let estimates = Estimates::of(program);
        let clauses = Clauses::new(program, &estimates);
        let clauses: Vec<Vec<Clause>> =
            program.starts.iter().map(|start| clauses.of(*start as usize)).collect();
        let mut builder = Builder { clauses: &clauses, index: Self::default() };
        let all: Vec<u32> = (0..narrow(program.starts.len())).collect();
        builder.layer(&all, &mut Vec::new());
        let mut index = builder.index;
        index.first = vec![0; program.paths.len()];
        for (at, field) in index.layers[0].fields.iter().enumerate() {
            index.first[field.path.index()] = narrow(at + 1);
        }
        index.pool.shrink_to_fit();
        index
    }
}

struct Builder<'c> {
    /// By rule.
    clauses: &'c [Vec<Clause>],
    index: Index,
}

/// The keys of a layer, sorted out.
#[derive(Default)]
struct Filed {
    /// By what is hashed; the number is the text's length or the network's prefix.
    hashed: Vec<((PathIndex, Tag, u32, u64), u32)>,
    present: BTreeMap<PathIndex, Vec<u32>>,
    parts: BTreeMap<PathIndex, BTreeMap<Arc<str>, Vec<u32>>>,
    ranges: BTreeMap<(PathIndex, bool), Vec<(u64, u64, u32)>>,
    always: Vec<u32>,
}

impl Filed {
    fn file(&mut self, rule: u32, clause: &Clause) {
        for (path, key) in &clause.keys {
            let path = *path;
            let hashed = match key {
                Key::Equal { hash, bytes } => (Tag::Equal, *bytes, *hash),
                Key::Prefix { hash, bytes } => (Tag::Prefix, *bytes, *hash),
                Key::Suffix { hash, bytes } => (Tag::Suffix, *bytes, *hash),
                Key::Folded { hash } => (Tag::Folded, 0, *hash),
                Key::Network { is_v4, prefix, hash } => {
                    let version = u64::from(*is_v4);
                    (Tag::Network, u32::from(*prefix) << 1 | u32::from(*is_v4), hash ^ version)
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
            let (tag, bytes, hash) = hashed;
            self.hashed.push(((path, tag, bytes, hash), rule));
        }
    }
}

/// A field while its keys are gathered.
#[derive(Default)]
struct Draft {
    present: Option<Target>,
    has_equal: bool,
    has_folded: bool,
    equal_bytes_max: u32,
    prefix_bytes: Vec<u32>,
    suffix_bytes: Vec<u32>,
    networks: Vec<(bool, u8)>,
    numbers: Option<Ranges>,
    texts: Option<Ranges>,
    parts: Option<Box<Parts>>,
}

impl Draft {
    fn note(&mut self, tag: Tag, bytes: u32) {
        match tag {
            Tag::Equal => {
                self.has_equal = true;
                self.equal_bytes_max = self.equal_bytes_max.max(bytes);
            }
            Tag::Folded => self.has_folded = true,
            // The keys come in the order of their lengths.
            Tag::Prefix if self.prefix_bytes.last() != Some(&bytes) => {
                self.prefix_bytes.push(bytes)
            }
            Tag::Suffix if self.suffix_bytes.last() != Some(&bytes) => {
                self.suffix_bytes.push(bytes)
            }
            Tag::Prefix | Tag::Suffix => {}
            Tag::Network => {
                let prefix = u8::try_from(bytes >> 1).expect("at most 128");
                let network = (bytes & 1 == 1, prefix);
                if self.networks.last() != Some(&network) {
                    self.networks.push(network);
                }
            }
        }
    }

    fn finish(self, path: PathIndex) -> Field {
        Field {
            path,
            present: self.present,
            has_equal: self.has_equal,
            has_folded: self.has_folded,
            equal_bytes_max: self.equal_bytes_max,
            prefix_bytes: self.prefix_bytes.into(),
            suffix_bytes: self.suffix_bytes.into(),
            networks: self.networks.into(),
            numbers: self.numbers,
            texts: self.texts,
            parts: self.parts,
        }
    }
}

impl<'c> Builder<'c> {
    /// The best clause of a rule that tells something new where all of `used` is known.
    fn best(&self, rule: u32, used: &[PathIndex]) -> Option<&'c Clause> {
        let is_below = !used.is_empty();
        let is_new = |clause: &&Clause| {
            clause.keys.iter().all(|(path, key)| {
                let is_plain = !matches!(key, Key::Present | Key::Part(_));
                !is_below || (is_plain && !used.contains(path))
            })
        };
        let usable = self.clauses[rule as usize].iter().filter(is_new);
        // Ranges come last: what is found under one is not divided further.
        let has_other = self.clauses[rule as usize].len() > 1;
        let rank = |clause: &&Clause| {
            let is_range = clause.keys.iter().any(|(_, key)| matches!(key, Key::Range { .. }));
            let is_split_later = is_range && !is_below && has_other;
            clause.cost.saturating_mul(if is_split_later { 16 } else { 1 })
        };
        usable.min_by_key(rank).filter(|clause| !is_below || clause.cost <= COST_MAX)
    }

    fn span(&mut self, rules: &[u32]) -> Span {
        let start = narrow(self.index.pool.len());
        self.index.pool.extend_from_slice(rules);
        Span { start, count: narrow(rules.len()) }
    }

    /// Files rules that are found where all of `used` is known. Recursion: at most `DEPTH_MAX`.
    fn layer(&mut self, rules: &[u32], used: &mut Vec<PathIndex>) -> u32 {
        let at = self.index.layers.len();
        self.index.layers.push(Layer::default());
        let mut filed = Filed::default();
        for rule in rules {
            match self.best(*rule, used) {
                Some(clause) => filed.file(*rule, clause),
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
            let place = if is_text { &mut draft.texts } else { &mut draft.numbers };
            *place = Some(Ranges::of(&ranges));
        }
        for (path, parts) in filed.parts {
            let targets = parts.values().map(|rules| self.target(rules, path, used)).collect();
            let kind = if parts.len() < PARTS_FEW {
                AhoCorasickKind::DFA
            } else {
                AhoCorasickKind::ContiguousNFA
            };
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(kind))
                .build(parts.keys().map(|text| text.as_bytes()))
                .expect("a catalogue's texts are below the automaton's bounds");
            drafts.entry(path).or_default().parts = Some(Box::new(Parts { automaton, targets }));
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
        mut hashed: Vec<((PathIndex, Tag, u32, u64), u32)>,
        used: &mut Vec<PathIndex>,
        drafts: &mut BTreeMap<PathIndex, Draft>,
    ) {
        hashed.sort_unstable();
        hashed.dedup();
        let mut rules = Vec::new();
        for same in hashed.chunk_by(|(left, _), (right, _)| left == right) {
            let (path, tag, bytes, hash) = same[0].0;
            drafts.entry(path).or_default().note(tag, bytes);
            rules.clear();
            rules.extend(same.iter().map(|(_, rule)| *rule));
            let target = self.target(&rules, path, used);
            let hash = hash::join(hash, Layer::seed(layer, path, tag));
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
        Target::Rules(self.span(rules))
    }
}

const _: () = assert!(COST_MAX < COST_ALWAYS);
