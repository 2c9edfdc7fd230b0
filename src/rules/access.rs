//! What must be true of a message for a rule to match it: the conditions under which a rule may be
//! filed, so that it is looked at only where one of them holds.
//!
//! # Invariants
//! - A clause is *necessary*: whenever the rule matches, at least one of the clause's keys holds of
//!   the message.
//! - A key may hold where the predicate that it was made of does not: a key only finds candidates.

use crate::hash;
use crate::network::{Network, mask};
use crate::number::Double;
use crate::operator::{End, Operator};
use crate::paths::PathIndex;
use crate::pattern::{Folded, Wildcard, fold};
use crate::program::{Atom, Group, Program, Shared, Step};
use crate::rule::Quantifier;
use crate::value::{Bound, Value};
use base::FixedState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use std::sync::Arc;

/// Something that an index can find to be true of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    /// The field is there.
    Present,
    /// It has this value, or another one of the same hash. `bytes` of a text, 0 else.
    Equal { hash: u64, bytes: u32 },
    /// It is a text that begins so. `ends` is the [`end_class`] of the outermost bytes.
    Prefix { hash: u64, bytes: u32, ends: u64 },
    /// It is a text that ends so.
    Suffix { hash: u64, bytes: u32, ends: u64 },
    /// It is this text but for case.
    Folded { hash: u64 },
    /// It is an address in this network.
    Network { is_v4: bool, prefix: u8, hash: u64 },
    /// It is a text with this part.
    Part(Arc<str>),
    /// Its key ([`Double::key`] or [`text_key`]) lies between these, both included.
    Range { is_text: bool, low: u64, high: u64 },
}

impl Key {
    /// What is looked up, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Present => "that it is there",
            Self::Equal { .. } => "a value",
            Self::Prefix { .. } => "a beginning",
            Self::Suffix { .. } => "an end",
            Self::Folded { .. } => "a text without case",
            Self::Network { .. } => "a network",
            Self::Part(_) => "a part",
            Self::Range { .. } => "a range",
        }
    }
}

/// A key and the field that it is about.
pub(crate) type FieldKey = (PathIndex, Key);

/// Keys of which at least one holds of every message that the rule matches.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) keys: SmallVec<[FieldKey; 1]>,
    /// How many of a million messages are expected to lead to the rule.
    pub(crate) cost: u64,
}

/// The cost of a clause that every message fulfils.
pub(crate) const COST_ALWAYS: u64 = 1_000_000;

/// A text that is longer is not folded whole. Unit: bytes.
pub(crate) const FOLDED_BYTES_MAX: usize = 64;

/// As large as the text, in the order of texts: a larger one has no smaller key.
#[inline]
pub(crate) fn text_key(text: &[u8]) -> u64 {
    let mut word = [0; 8];
    let count = text.len().min(8);
    word[..count].copy_from_slice(&text[..count]);
    u64::from_be_bytes(word)
}

/// Which of 64 classes the outermost bytes of a text are of; all, if it is one byte or none.
#[inline]
pub(crate) fn end_class(outermost: u8, next: Option<u8>) -> u64 {
    let Some(next) = next else { return u64::MAX };
    1 << ((outermost.wrapping_mul(7) ^ next.wrapping_mul(13)) % 64)
}

/// The hash of a number, the same for equal ones.
#[inline]
pub(crate) fn number_hash(double: Double) -> u64 {
    hash::join(double.bits(), 3)
}

/// The hash of a truth value, or of null.
#[inline]
pub(crate) fn word_hash(word: Option<bool>) -> u64 {
    hash::join(word.map_or(2, u64::from), 5)
}

/// The hash of the first bits of an address.
#[inline]
pub(crate) fn network_hash(bits: u128, prefix: u8) -> u64 {
    let bytes = (bits & mask(u32::from(prefix))).to_le_bytes();
    hash::join(hash::text(&bytes), u64::from(prefix))
}

/// The hash of a text without case; `None` if it is too long to be any that is looked for.
#[inline]
pub(crate) fn folded_hash(text: &[u8]) -> Option<u64> {
    let mut folded = [0; FOLDED_BYTES_MAX];
    let mut count = 0;
    if text.is_ascii() {
        let folded = folded.get_mut(..text.len())?;
        folded.copy_from_slice(text);
        folded.make_ascii_lowercase();
        count = text.len();
    } else {
        // Of the characters beyond ASCII only those that fold into it are of use: a text with any
        // other is not among those that are filed.
        for character in std::str::from_utf8(text).ok()?.chars() {
            let character = fold(character);
            if !character.is_ascii() {
                return None;
            }
            *folded.get_mut(count)? = u8::try_from(u32::from(character)).ok()?;
            count += 1;
        }
    }
    Some(hash::text(&folded[..count]))
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

fn equal(value: &Value) -> Key {
    match value {
        Value::Null => Key::Equal { hash: word_hash(None), bytes: 0 },
        Value::Bool(value) => Key::Equal { hash: word_hash(Some(*value)), bytes: 0 },
        Value::Number(number) => Key::Equal { hash: number_hash(number.double), bytes: 0 },
        Value::Text(text) => equal_text(text),
    }
}

fn equal_text(text: &str) -> Key {
    Key::Equal { hash: hash::text(text.as_bytes()), bytes: narrow(text.len()) }
}

fn prefix(text: &str) -> Key {
    if text.is_empty() {
        return Key::Present;
    }
    let bytes = text.as_bytes();
    let ends = end_class(bytes[0], bytes.get(1).copied());
    Key::Prefix { hash: hash::text(bytes), bytes: narrow(text.len()), ends }
}

fn suffix(text: &str) -> Key {
    if text.is_empty() {
        return Key::Present;
    }
    let bytes = text.as_bytes();
    let (last, rest) = bytes.split_last().expect("is not empty");
    let ends = end_class(*last, rest.last().copied());
    Key::Suffix { hash: hash::text(bytes), bytes: narrow(text.len()), ends }
}

fn part(text: &str) -> Key {
    if text.is_empty() { Key::Present } else { Key::Part(text.into()) }
}

fn network(network: &Network) -> Key {
    let prefix = u8::try_from(network.prefix).expect("at most 128");
    Key::Network { is_v4: network.is_v4, prefix, hash: network_hash(network.bits, prefix) }
}

/// Whether a bound is a text, and its key.
fn bound_key(bound: &Bound) -> (bool, u64) {
    match bound {
        Bound::Number(number) => (false, number.double.key()),
        Bound::Text(text) => (true, text_key(text.as_bytes())),
    }
}

fn range(low: Option<&Bound>, high: Option<&Bound>) -> Key {
    let is_text = low.or(high).is_some_and(|bound| bound_key(bound).0);
    let low = low.map_or(0, |bound| bound_key(bound).1);
    let high = high.map_or(u64::MAX, |bound| bound_key(bound).1);
    Key::Range { is_text, low, high }
}

/// The keys of which one holds when the predicate does; none: it never does. `None`: it can hold
/// for a message without the field.
fn keys_of(atom: &Atom) -> Option<SmallVec<[Key; 1]>> {
    if atom.quantifier == Quantifier::None {
        return None;
    }
    let one = |key: Key| Some(SmallVec::from_iter([key]));
    match &atom.operator {
        Operator::NotExists => None,
        Operator::Exists
        | Operator::NotEquals(_)
        | Operator::NotIn(_)
        | Operator::EqualsIgnoreCase(Folded::Unicode(_)) => one(Key::Present),
        Operator::In(values) => Some(values.iter().map(equal).collect()),
        Operator::Greater(bound) | Operator::GreaterOrEqual(bound) => one(range(Some(bound), None)),
        Operator::Less(bound) | Operator::LessOrEqual(bound) => one(range(None, Some(bound))),
        Operator::InRange { low, high } => {
            let bound = |end: &'_ Option<End>| end.as_ref().map(|end| end.bound.clone());
            one(range(bound(low).as_ref(), bound(high).as_ref()))
        }
        // An element that is equal is a text that has the part.
        Operator::Contains(Value::Text(text)) => one(part(text)),
        Operator::Equals(value) | Operator::Contains(value) => one(equal(value)),
        Operator::StartsWith(text) => one(prefix(text)),
        Operator::EndsWith(text) => one(suffix(text)),
        Operator::Wildcard(wildcard) => one(wildcard_key(wildcard)),
        Operator::Regex(pattern) => {
            let parts = crate::required::parts(pattern.as_str());
            if parts.is_empty() {
                return one(Key::Present);
            }
            Some(parts.iter().map(|text| part(text)).collect())
        }
        Operator::Cidr(networks) => Some(networks.iter().map(network).collect()),
        Operator::EqualsIgnoreCase(Folded::Ascii(text)) => {
            one(folded_hash(text.as_bytes()).map_or(Key::Present, |hash| Key::Folded { hash }))
        }
    }
}

fn wildcard_key(wildcard: &Wildcard) -> Key {
    match wildcard {
        Wildcard::Exact(text) => equal_text(text),
        Wildcard::Prefix(text) => prefix(text),
        Wildcard::Suffix(text) => suffix(text),
        Wildcard::Part(text) => part(text),
        Wildcard::Pieces { first, middle, last } => {
            let longest = middle.iter().max_by_key(|text| text.len());
            let inside = longest.map_or(0, |text| text.len());
            // The ends are quicker to find than a part.
            if first.len().max(last.len()) * 2 >= inside {
                if first.len() >= last.len() { prefix(first) } else { suffix(last) }
            } else {
                part(longest.map_or("", |text| text))
            }
        }
        Wildcard::Any { longest, .. } => part(longest),
    }
}

/// The keys and the cost of every predicate of a program.
#[derive(Debug)]
pub(crate) struct Estimates {
    keys: Vec<Option<SmallVec<[Key; 1]>>>,
    by_field: HashMap<PathIndex, Field, FixedState>,
}

/// What all rules together ask of a field.
#[derive(Debug, Default)]
struct Field {
    /// How many different values, parts and so on: the more, the fewer rules one of them finds.
    distinct: u64,
    /// The smallest and the largest bound of a range.
    lowest: Option<u64>,
    highest: Option<u64>,
}

impl Estimates {
    pub(crate) fn of(program: &Program) -> Self {
        let mut by_field: HashMap<PathIndex, Field, FixedState> = HashMap::default();
        let mut seen: HashSet<(PathIndex, u64), FixedState> = HashSet::default();
        let keys: Vec<_> = program.atoms.iter().map(keys_of).collect();
        for (atom, keys) in program.atoms.iter().zip(&keys) {
            for key in keys.iter().flatten() {
                let field = by_field.entry(atom.path).or_default();
                match key {
                    Key::Present => {}
                    Key::Equal { hash, .. }
                    | Key::Prefix { hash, .. }
                    | Key::Suffix { hash, .. }
                    | Key::Folded { hash }
                    | Key::Network { hash, .. } => {
                        field.distinct += u64::from(seen.insert((atom.path, *hash)));
                    }
                    Key::Part(text) => {
                        let hash = hash::text(text.as_bytes());
                        field.distinct += u64::from(seen.insert((atom.path, hash)));
                    }
                    Key::Range { low, high, .. } => {
                        for bound in [*low, *high] {
                            if bound != 0 && bound != u64::MAX {
                                let lowest = field.lowest.get_or_insert(bound);
                                *lowest = bound.min(*lowest);
                                let highest = field.highest.get_or_insert(bound);
                                *highest = bound.max(*highest);
                            }
                        }
                    }
                }
            }
        }
        Self { keys, by_field }
    }

    fn cost(&self, path: PathIndex, key: &Key) -> u64 {
        let default = Field::default();
        let field = self.by_field.get(&path).unwrap_or(&default);
        let one_of = |at_most: u64| (COST_ALWAYS / field.distinct.max(1)).min(at_most) + 1;
        // A short text is found in many.
        let by_length = |bytes: usize| match bytes {
            1 => 200_000,
            2 => 60_000,
            3 => 20_000,
            _ => 0,
        };
        match key {
            Key::Present => COST_ALWAYS,
            Key::Equal { .. } => one_of(100_000),
            Key::Folded { .. } => one_of(100_000) + 1_000,
            Key::Network { .. } => one_of(100_000) + 2_000,
            Key::Prefix { bytes, .. } | Key::Suffix { bytes, .. } => {
                one_of(100_000) + 1_000 + by_length(*bytes as usize)
            }
            Key::Part(text) => one_of(100_000) + 10_000 + by_length(text.len()),
            Key::Range { is_text, low, high } => field.range_cost(*is_text, *low, *high),
        }
    }
}

impl Field {
    fn range_cost(&self, is_text: bool, low: u64, high: u64) -> u64 {
        /// Nothing is known of how the messages' values lie.
        const COST_UNKNOWN: u64 = 300_000;
        let (Some(lowest), Some(highest)) = (self.lowest, self.highest) else {
            return COST_UNKNOWN;
        };
        let number = |key: u64| f64::from_bits(if key >> 63 == 1 { key ^ 1 << 63 } else { !key });
        let (all, own) = if is_text {
            #[allow(clippy::cast_precision_loss, reason = "an estimate")]
            let width = |low: u64, high: u64| high.saturating_sub(low) as f64;
            (width(lowest, highest), width(low.max(lowest), high.min(highest)))
        } else {
            let width = |low: u64, high: u64| number(high) - number(low);
            (width(lowest, highest), width(low.max(lowest), high.min(highest)))
        };
        let fraction = own / all;
        if !fraction.is_finite() {
            return COST_UNKNOWN;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
        let cost = (fraction.clamp(0.0, 1.0) * 900_000.0) as u64;
        // A range alone cannot be divided further.
        cost.max(2_000)
    }
}

/// What one rule needs.
pub(crate) struct Clauses<'p> {
    program: &'p Program,
    estimates: &'p Estimates,
}

impl<'p> Clauses<'p> {
    pub(crate) fn new(program: &'p Program, estimates: &'p Estimates) -> Self {
        Self { program, estimates }
    }

    /// The clauses of the rule whose conditions begin at step `at`. An empty one: it never matches.
    pub(crate) fn of(&self, at: usize) -> Vec<Clause> {
        let mut clauses = Vec::new();
        self.holds(at, &mut clauses);
        clauses
    }

    fn clause(&self, path: PathIndex, keys: &[Key]) -> Clause {
        let cost = keys.iter().map(|key| self.estimates.cost(path, key));
        Clause {
            cost: cost.fold(0, u64::saturating_add),
            keys: keys.iter().map(|key| (path, key.clone())).collect(),
        }
    }

    /// A group without members is refused where it is read.
    fn members(&self, at: usize, end: u32) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at + 1), move |at| {
            let next = self.program.after(*at);
            (next < end as usize).then_some(next)
        })
    }

    /// Adds what follows from a step's holding. Recursion, with [`Self::fails`] and
    /// [`Self::either`]: bounded by the nesting of the rule's text.
    fn holds(&self, at: usize, out: &mut Vec<Clause>) {
        match self.program.steps[at] {
            Step::Atom(atom) => {
                if let Some(keys) = &self.estimates.keys[atom.index()] {
                    out.push(self.clause(self.program.atoms[atom.index()].path, keys));
                }
            }
            Step::Shared(shared) => self.together(&self.program.shared[shared as usize], out),
            // What an expression needs is not known.
            Step::Expression(_) => {}
            Step::Group { group: Group::All, end } => {
                self.members(at, end).for_each(|member| self.holds(member, out));
            }
            Step::Group { group: Group::Any, end } => {
                out.extend(Self::either(self.members(at, end), |member, out| {
                    self.holds(member, out);
                }));
            }
            Step::Group { group: Group::None, end } => {
                self.members(at, end).for_each(|member| self.fails(member, out));
            }
        }
    }

    /// Adds what follows from a step's not holding.
    fn fails(&self, at: usize, out: &mut Vec<Clause>) {
        match self.program.steps[at] {
            Step::Atom(atom) => {
                let atom = &self.program.atoms[atom.index()];
                if atom.operator == Operator::NotExists {
                    out.push(self.clause(atom.path, &[Key::Present]));
                }
            }
            // That they do not hold together says nothing of any of them.
            Step::Shared(_) | Step::Expression(_) => {}
            Step::Group { group: Group::All, end } => {
                out.extend(Self::either(self.members(at, end), |member, out| {
                    self.fails(member, out);
                }));
            }
            Step::Group { group: Group::Any, end } => {
                self.members(at, end).for_each(|member| self.fails(member, out));
            }
            Step::Group { group: Group::None, end } => {
                out.extend(Self::either(self.members(at, end), |member, out| {
                    self.holds(member, out);
                }));
            }
        }
    }

    /// One of the members is necessary: the best clause of each, all in one. `None` if one of them
    /// has none.
    fn either(
        members: impl Iterator<Item = usize>,
        follows: impl Fn(usize, &mut Vec<Clause>),
    ) -> Option<Clause> {
        let mut all = Clause { keys: SmallVec::new(), cost: 0 };
        for member in members {
            let mut clauses = Vec::new();
            follows(member, &mut clauses);
            let best = clauses.into_iter().min_by_key(|clause| clause.cost)?;
            all.cost = all.cost.saturating_add(best.cost);
            all.keys.extend(best.keys);
        }
        // The same key of several members counts once.
        let mut at = 0;
        while at < all.keys.len() {
            if all.keys[..at].contains(&all.keys[at]) {
                all.keys.remove(at);
            } else {
                at += 1;
            }
        }
        Some(all)
    }

    /// Predicates that hold for the same element: two ends of a range make one range.
    fn together(&self, shared: &Shared, out: &mut Vec<Clause>) {
        let mut ranges: SmallVec<[(PathIndex, bool, u64, u64); 4]> = SmallVec::new();
        for member in &shared.members {
            let path = self.program.atoms[member.atom.index()].path;
            let Some(keys) = &self.estimates.keys[member.atom.index()] else { continue };
            if let [Key::Range { is_text, low, high }] = keys[..] {
                let same = ranges.iter_mut().find(|range| (range.0, range.1) == (path, is_text));
                match same {
                    Some(range) => {
                        range.2 = range.2.max(low);
                        range.3 = range.3.min(high);
                    }
                    None => ranges.push((path, is_text, low, high)),
                }
            } else {
                out.push(self.clause(path, keys));
            }
        }
        for (path, is_text, low, high) in ranges {
            if low > high {
                // Nothing lies there.
                out.push(self.clause(path, &[]));
            } else {
                out.push(self.clause(path, &[Key::Range { is_text, low, high }]));
            }
        }
    }
}

#[cfg(test)]
mod tests;
