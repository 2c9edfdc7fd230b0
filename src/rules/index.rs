//! Which rules are worth a look: each rule is filed under something that must be true for it to
//! match, and only what is found under a message's own values is looked at.
//!
//! Invariant: a rule that matches is always among the candidates. That it is found under a
//! *necessary* condition is what makes that so: see [`Access`].

use crate::operator::Operator;
use crate::paths::PathIndex;
use crate::program::Program;
use crate::rule::{Condition, Predicate, Rule};
use crate::scan::Tape;
use crate::value::{Seen, Value};
use base::FixedState;
use hashbrown::{HashMap, HashSet, HashTable};

#[derive(Debug, Default)]
pub(crate) struct Index {
    equal: HashTable<Posting>,
    /// The fields that `equal` has postings for.
    equal_paths: Vec<PathIndex>,
    /// Rules to look at when a field is there.
    present: Vec<(PathIndex, Vec<u32>)>,
    /// Rules to look at for every message: they ask for absence alone.
    always: Vec<u32>,
}

/// Rules to look at when a field has a value.
#[derive(Debug)]
struct Posting {
    path: PathIndex,
    value: Value,
    rules: Vec<u32>,
}

/// One thing that may be true of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Equal(PathIndex, Value),
    Present(PathIndex),
}

/// Keys of which at least one is true whenever the rule matches; none of them: it never does.
type Access = Vec<Key>;

/// What looking a rule up under a key costs, in parts of what it would cost to look at it always.
const COST_PRESENT: u64 = 500_000;
const COST_EQUAL: u64 = 400_000;

impl Index {
    pub(crate) fn of(rules: &[Rule], program: &mut Program) -> Self {
        let values_of = count_values(rules, program);
        let mut index = Self::default();
        let mut equal: HashMap<(PathIndex, Value), Vec<u32>, FixedState> = HashMap::default();
        let mut present: HashMap<PathIndex, Vec<u32>, FixedState> = HashMap::default();
        for (at, rule) in rules.iter().enumerate() {
            let at = u32::try_from(at).expect("texts of rules are bounded");
            let Some(keys) = access(&rule.when, program, &values_of) else {
                index.always.push(at);
                continue;
            };
            for key in keys {
                match key {
                    Key::Equal(path, value) => equal.entry((path, value)).or_default().push(at),
                    Key::Present(path) => present.entry(path).or_default().push(at),
                }
            }
        }
        for ((path, value), rules) in equal {
            if !index.equal_paths.contains(&path) {
                index.equal_paths.push(path);
            }
            let hash = hash(path, &value.seen()).expect("only such values become keys");
            index.equal.insert_unique(hash, Posting { path, value, rules }, |posting| {
                hash_of_posting(posting)
            });
        }
        index.present = present.into_iter().collect();
        index.equal_paths.sort_unstable();
        index.present.sort_unstable_by_key(|(path, _)| *path);
        index
    }

    /// The rules that are looked at for every message.
    pub(crate) fn always(&self) -> &[u32] {
        &self.always
    }

    pub(crate) fn candidates(&self, tape: &Tape, message: &str, out: &mut Candidates) {
        for rule in &self.always {
            out.insert(*rule);
        }
        for (path, rules) in &self.present {
            if tape.first(*path).is_some() {
                for rule in rules {
                    out.insert(*rule);
                }
            }
        }
        for path in &self.equal_paths {
            for cell in tape.cells_of(*path) {
                let Some(seen) = Seen::of(tape, message, cell) else { continue };
                let Some(hash) = hash(*path, &seen) else { continue };
                let is_it =
                    |posting: &Posting| posting.path == *path && posting.value.equals(&seen);
                if let Some(posting) = self.equal.find(hash, is_it) {
                    for rule in &posting.rules {
                        out.insert(*rule);
                    }
                }
            }
        }
    }
}

fn hash(path: PathIndex, seen: &Seen<'_>) -> Option<u64> {
    Some(seen.hash()? ^ u64::from(path.0).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn hash_of_posting(posting: &Posting) -> u64 {
    hash(posting.path, &posting.value.seen()).expect("only such values become keys")
}

type Counts = HashMap<PathIndex, u64, FixedState>;

/// How many different values the rules ask a field for: the more, the fewer rules a value finds.
fn count_values(rules: &[Rule], program: &mut Program) -> Counts {
    let mut seen: HashSet<Key, FixedState> = HashSet::default();
    let mut counts = Counts::default();
    for rule in rules {
        rule.when.visit(&mut |predicate| {
            for key in keys_of(predicate, program).unwrap_or_default() {
                if let Key::Equal(path, _) = &key {
                    let path = *path;
                    *counts.entry(path).or_default() += u64::from(seen.insert(key));
                }
            }
        });
    }
    counts
}

/// `None`: the predicate can hold for a message without the field.
fn keys_of(predicate: &Predicate, program: &mut Program) -> Option<Access> {
    let path = program.paths.intern(&predicate.field);
    let equal = |values: &[Value]| {
        let all_hashed = values.iter().all(|value| value.seen().hash().is_some());
        if all_hashed {
            values.iter().map(|value| Key::Equal(path, value.clone())).collect()
        } else {
            vec![Key::Present(path)]
        }
    };
    match &predicate.operator {
        Operator::NotExists => None,
        Operator::Equals(value) => Some(equal(std::slice::from_ref(value))),
        Operator::In(values) => Some(equal(values)),
        _ => Some(vec![Key::Present(path)]),
    }
}

/// Recursion: bounded by the nesting of the rule's text.
fn access(condition: &Condition, program: &mut Program, counts: &Counts) -> Option<Access> {
    match condition {
        Condition::Predicate(predicate) => keys_of(predicate, program),
        // Each member is necessary: the cheapest does.
        Condition::All(members) => members
            .iter()
            .filter_map(|member| access(member, program, counts))
            .min_by_key(|keys| cost(keys, counts)),
        // One of the members is necessary: the keys of all of them.
        Condition::Any(members) => members
            .iter()
            .map(|member| access(member, program, counts))
            .collect::<Option<Vec<Access>>>()
            .map(|keys| keys.concat()),
        Condition::None(_) => None,
    }
}

fn cost(keys: &Access, counts: &Counts) -> u64 {
    let cost = |key: &Key| match key {
        Key::Equal(path, _) => COST_EQUAL / counts.get(path).copied().unwrap_or(1).max(1) + 1,
        Key::Present(_) => COST_PRESENT,
    };
    keys.iter().map(cost).fold(0, u64::saturating_add)
}

/// A set of rules that is emptied in order, which is the order of rank.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// A bit for each rule.
    words: Vec<u64>,
    /// A bit for each word that is not zero.
    summary: Vec<u64>,
}

impl Candidates {
    /// Makes room for the rules of a catalogue. The set is empty before and after.
    pub(crate) fn fit(&mut self, rules: usize) {
        let words = rules.div_ceil(64);
        if self.words.len() != words {
            self.words.resize(words, 0);
            self.summary.resize(words.div_ceil(64), 0);
        }
    }

    fn insert(&mut self, rule: u32) {
        let word = rule as usize / 64;
        self.words[word] |= 1 << (rule % 64);
        self.summary[word / 64] |= 1 << (word % 64);
    }

    /// Empties the set, smallest first, until `visit` says stop.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(u32) -> std::ops::ControlFlow<()>) {
        let mut is_stopped = false;
        for (above, summary) in self.summary.iter_mut().enumerate() {
            let mut left = std::mem::take(summary);
            while left != 0 {
                let word = above * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let mut bits = std::mem::take(&mut self.words[word]);
                while bits != 0 && !is_stopped {
                    let rule = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    is_stopped = visit(u32::try_from(rule).expect("was a u32")).is_break();
                }
            }
        }
    }
}
