//! Rules made ready to be matched.
//!
//! A catalogue is a compiled base and, after changes, a compiled delta of a few rules: those that
//! are new or other than in the base. What the delta replaces is marked in a set of bits. So a
//! change costs what the delta costs, whatever the size of the base, until [`Catalogue::merge`]
//! makes one base of both.
//!
//! # Invariants
//! - No rule's id is alive twice.
//! - Whether a catalogue was compiled at once or came by changes and merges makes no difference to
//!   what matches, nor to its order.

use crate::access::{Clauses, Estimates};
use crate::index::Index;
use crate::index::build::best;
use crate::links::{Links, Slot};
use crate::paths::Paths;
use crate::program::Program;
use crate::rule::Rule;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

/// A rule of one catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleIndex(u32);

/// Set in the indexes of the delta's rules.
const IN_DELTA: u32 = 1 << 31;

/// The rules that match a message, highest rank first.
pub type Matches = SmallVec<[RuleIndex; 8]>;

/// A delta of more rules, or one that replaces more, is worth a merge. A delta is compiled anew
/// with every change: so many rules take less than a millisecond.
const DELTA_RULES_MAX: usize = 64;

/// Rules in the order of rank (priority descending, then id), compiled. Immutable: a change of a
/// rule makes another catalogue.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub(crate) base: Arc<Compiled>,
    /// A bit for each rule of the base that is replaced or removed; empty if none is.
    pub(crate) dead: Vec<u64>,
    dead_count: usize,
    pub(crate) delta: Option<Arc<Compiled>>,
}

/// What is compiled at once.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Those that continue from no other first; then those that do, the ones that continue from the
    /// same rule together. Each of these parts is in the order of rank.
    rules: Vec<Arc<Rule>>,
    /// A bit for each rule: whether it says `stop`. The rules themselves lie all over the memory.
    stops: Vec<u64>,
    /// The rules that see the message as it came.
    pub(crate) root: View,
    pub(crate) links: Links,
    /// The rules by the hashes of their ids.
    by_id: HashTable<u32>,
}

/// Rules that see the same of a message, compiled.
#[derive(Debug)]
pub(crate) struct View {
    /// Where they begin in [`Compiled::rules`].
    first: u32,
    count: u32,
    pub(crate) program: Program,
    pub(crate) index: Index,
}

type Rank<'r> = (Reverse<i32>, &'r str);

fn rank(rule: &Rule) -> Rank<'_> {
    (Reverse(rule.priority), &rule.id)
}

fn id_hash(id: &str) -> u64 {
    crate::hash::text(id.as_bytes())
}

impl View {
    pub(crate) fn of(first: usize, rules: &[Arc<Rule>], paths: Paths) -> Self {
        let mut program = Program::new(paths);
        for rule in rules {
            program.add(&rule.when);
        }
        program.finish();
        let index = Index::of(&mut program);
        Self { first: narrow(first), count: narrow(rules.len()), program, index }
    }

    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// The place among all rules of one of these.
    pub(crate) fn place(&self, at: u32) -> u32 {
        self.first + at
    }

    pub(crate) fn bytes(&self) -> usize {
        self.program.bytes() + self.index.bytes()
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("catalogues are bounded")
}

impl Compiled {
    /// What is compiled on top of a `base` knows what that knows, and more.
    fn of(mut rules: Vec<Arc<Rule>>, base: Option<&Self>) -> Self {
        rules.retain(|rule| rule.enabled);
        rules.sort_by(|left, right| {
            left.continue_from.cmp(&right.continue_from).then_with(|| rank(left).cmp(&rank(right)))
        });
        let roots = rules.partition_point(|rule| rule.continue_from.is_none());
        let mut paths = base.map(|base| base.root.program.paths.clone()).unwrap_or_default();
        // A key that any rule asks for must not stand twice in a message, whoever asks.
        for rule in &rules[roots..] {
            paths.intern_all(&rule.when);
        }
        let root = View::of(0, &rules[..roots], paths);
        let mut by_id = HashTable::with_capacity(rules.len());
        let hash = |at: &u32| id_hash(&rules[*at as usize].id);
        for at in 0..narrow(rules.len()) {
            by_id.insert_unique(hash(&at), at, hash);
        }
        let mut stops = vec![0; rules.len().div_ceil(64)];
        for (at, _) in rules.iter().enumerate().filter(|(_, rule)| rule.stop) {
            stops[at / 64] |= 1 << (at % 64);
        }
        let links = Links::of(&rules, roots, base);
        Self { rules, stops, root, links, by_id }
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a rule that matches is the last one.
    #[inline]
    pub(crate) fn stops(&self, at: u32) -> bool {
        self.stops[at as usize / 64] >> (at % 64) & 1 == 1
    }

    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.by_id.find(id_hash(id), |at| self.rules[*at as usize].id == id).copied()
    }
}

impl Catalogue {
    /// Takes rules that [`crate::parse`] has checked; those that are not enabled are left out.
    pub fn compile(rules: Vec<Rule>) -> Self {
        Self::compile_shared(rules.into_iter().map(Arc::new).collect())
    }

    /// The same, of rules that others hold, too.
    pub fn compile_shared(rules: Vec<Arc<Rule>>) -> Self {
        let base = Arc::new(Compiled::of(rules, None));
        Self { base, dead: Vec::new(), dead_count: 0, delta: None }
    }

    /// This catalogue after a change: rules of `put` replace those of their ids or are new, those
    /// of `removed` are gone. A disabled rule is gone, too. Takes time in the number of rules that
    /// have changed since the last merge, not in that of all.
    #[must_use]
    pub fn with_change(&self, put: &[Rule], removed: &[&str]) -> Self {
        let put: Vec<Arc<Rule>> = put.iter().cloned().map(Arc::new).collect();
        self.with_shared_change(&put, removed)
    }

    /// The same, with rules that others hold, too.
    #[must_use]
    pub fn with_shared_change(&self, put: &[Arc<Rule>], removed: &[&str]) -> Self {
        let mut changed: Vec<&str> = put.iter().map(|rule| &*rule.id).collect();
        changed.extend(removed);
        let (mut dead, mut dead_count) = (self.dead.clone(), self.dead_count);
        for at in changed.iter().filter_map(|id| self.base.find(id)) {
            dead.resize(self.base.len().div_ceil(64), 0);
            let (word, bit) = (&mut dead[at as usize / 64], 1 << (at % 64));
            dead_count += usize::from(*word & bit == 0);
            *word |= bit;
        }
        let kept = self.delta.iter().flat_map(|delta| &delta.rules);
        let kept = kept.filter(|rule| !changed.contains(&&*rule.id)).cloned();
        let mut rules: Vec<Arc<Rule>> = kept.collect();
        // Of two rules with one id in `put` the last counts.
        for (at, rule) in put.iter().enumerate() {
            if put[at + 1..].iter().all(|later| later.id != rule.id) {
                rules.push(Arc::clone(rule));
            }
        }
        let delta = Compiled::of(rules, Some(&self.base));
        let delta = (delta.len() > 0).then(|| Arc::new(delta));
        Self { base: Arc::clone(&self.base), dead, dead_count, delta }
    }

    /// Whether so much has changed that matching, or the next change, costs more than it must.
    pub fn needs_merge(&self) -> bool {
        let changed = self.delta.as_ref().map_or(0, |delta| delta.len());
        changed > DELTA_RULES_MAX || self.dead_count > DELTA_RULES_MAX.max(self.base.len() / 8)
    }

    /// The same rules, compiled at once. Takes time in the number of all of them: best done where
    /// nobody waits, and followed by the changes that came meanwhile.
    #[must_use]
    pub fn merge(&self) -> Self {
        Self::compile_shared(self.alive().map(|index| Arc::clone(self.shared(index))).collect())
    }

    fn shared(&self, index: RuleIndex) -> &Arc<Rule> {
        let (part, at) = self.part(index);
        &part.rules[at as usize]
    }

    /// A rule of this catalogue.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        self.shared(index)
    }

    /// The rule of an id, if it can match.
    pub fn find(&self, id: &str) -> Option<RuleIndex> {
        let in_delta = self.delta.as_ref().and_then(|delta| delta.find(id));
        in_delta
            .map(Self::index_in_delta)
            .or_else(|| self.base.find(id).filter(|at| !self.is_dead(*at)).map(Self::index_in_base))
    }

    /// The fields that any rule asks for: those of the delta are those of the base and more.
    #[inline]
    pub(crate) fn paths(&self) -> &Paths {
        &self.delta.as_ref().unwrap_or(&self.base).root.program.paths
    }

    pub(crate) fn index_in_base(at: u32) -> RuleIndex {
        RuleIndex(at)
    }

    pub(crate) fn index_in_delta(at: u32) -> RuleIndex {
        RuleIndex(at | IN_DELTA)
    }

    /// Whether a rule of the base is replaced or removed.
    #[inline]
    pub(crate) fn is_dead(&self, at: u32) -> bool {
        self.dead.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Whether the first of two rules has the higher rank.
    pub(crate) fn is_above(&self, left: RuleIndex, right: RuleIndex) -> bool {
        rank(self.rule(left)) < rank(self.rule(right))
    }

    /// The order of rank.
    pub(crate) fn compare(&self, left: RuleIndex, right: RuleIndex) -> Ordering {
        rank(self.rule(left)).cmp(&rank(self.rule(right)))
    }

    /// The rules that can match: those of the base, then those of the delta.
    fn alive(&self) -> impl Iterator<Item = RuleIndex> {
        let base = (0..narrow(self.base.len())).filter(|at| !self.is_dead(*at));
        let delta = 0..narrow(self.delta.as_ref().map_or(0, |delta| delta.len()));
        base.map(Self::index_in_base).chain(delta.map(Self::index_in_delta))
    }

    /// The rules in the order of rank, the disabled ones left out.
    pub fn rules(&self) -> Vec<&Rule> {
        let mut rules: Vec<&Rule> = self.alive().map(|index| self.rule(index)).collect();
        rules.sort_by(|left, right| rank(left).cmp(&rank(right)));
        rules
    }

    /// How many rules can match.
    pub fn len(&self) -> usize {
        self.base.len() - self.dead_count + self.delta.as_ref().map_or(0, |delta| delta.len())
    }

    /// Whether no message can match.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some rule needs another one.
    #[inline]
    pub(crate) fn is_chained(&self) -> bool {
        // What the delta knows of is what the base knows of, and more.
        self.delta.as_ref().unwrap_or(&self.base).links.len() > 0
    }

    /// How many ids are needed by rules.
    pub(crate) fn slots(&self) -> usize {
        self.delta.as_ref().unwrap_or(&self.base).links.len()
    }

    fn part(&self, index: RuleIndex) -> (&Compiled, u32) {
        match (&self.delta, index.0 & IN_DELTA) {
            (_, 0) => (&self.base, index.0),
            (Some(delta), _) => (delta, index.0 & !IN_DELTA),
            (None, _) => unreachable!("an index is of its own catalogue"),
        }
    }

    /// What a rule requires, but for what it continues from.
    pub(crate) fn needed_by(&self, index: RuleIndex) -> &[Slot] {
        let (part, at) = self.part(index);
        part.links.needed_by(at)
    }

    /// The slot that a rule fills when it holds.
    pub(crate) fn filled_by(&self, index: RuleIndex) -> Option<Slot> {
        let (part, at) = self.part(index);
        part.links.filled_by(at).or_else(|| match &self.delta {
            Some(delta) if index.0 & IN_DELTA == 0 => delta.links.filled_by_base(at),
            _ => None,
        })
    }

    /// The rules that are looked at for every message, because nothing that they need can be
    /// looked up: they ask for absence alone, for instance. Not those that continue from another.
    pub fn always_checked(&self) -> impl Iterator<Item = RuleIndex> {
        let base = self.base.root.index.always().iter().filter(|at| !self.is_dead(**at));
        let delta = self.delta.iter().flat_map(|delta| delta.root.index.always());
        base.map(|at| Self::index_in_base(*at)).chain(delta.map(|at| Self::index_in_delta(*at)))
    }

    /// How a rule is found: the fields, and what is looked up of them; empty if it is looked at for
    /// every message that it sees. Takes time in the number of all rules: for people.
    pub fn found_by(&self, index: RuleIndex) -> Vec<String> {
        let (part, at) = self.part(index);
        let view = match &part.rules[at as usize].continue_from {
            None => &part.root,
            Some(id) => {
                let base = (index.0 & IN_DELTA != 0).then_some(&*self.base);
                part.links
                    .view_of(id, base)
                    .expect("a rule that continues from another is in a view")
            }
        };
        let program = &view.program;
        let estimates = Estimates::of(program);
        let start = program.starts[(at - view.first) as usize] as usize;
        let clauses = Clauses::new(program, &estimates).of(start);
        let best = best(&clauses, &[]);
        let mut told = Vec::new();
        for (path, key) in best.iter().flat_map(|clause| &clause.keys) {
            let text = format!("{}: {}", program.paths.name(*path), key.name());
            if !told.contains(&text) {
                told.push(text);
            }
        }
        told
    }

    /// What the compiled tables take, without the rules themselves. Unit: bytes, about.
    pub fn table_bytes(&self) -> usize {
        let compiled = |compiled: &Compiled| {
            compiled.root.bytes() + compiled.links.bytes() + compiled.by_id.allocation_size()
        };
        compiled(&self.base) + self.delta.as_ref().map_or(0, |delta| compiled(delta))
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::compile(Vec::new())
    }
}

#[cfg(test)]
mod tests;
