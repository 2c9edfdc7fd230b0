//! The conditions of all rules, flat: predicates shared between rules, groups as spans of steps.

use crate::operator::Operator;
use crate::paths::{PathIndex, Paths};
use crate::rule::{Condition, Predicate, Quantifier};
use base::FixedState;
use expr::Expression;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

/// The most predicates of one group that share a first key: one bit each, see [`Shared`].
pub(crate) const SHARED_MAX: usize = 64;

/// Above what all other conditions of a rule come to: an expression is looked at last.
const EXPRESSION_COST: u32 = 1 << 24;

/// A predicate that is evaluated at most once per message, however many rules have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Atom {
    pub(crate) path: PathIndex,
    pub(crate) quantifier: Quantifier,
    pub(crate) operator: Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AtomIndex(u32);

impl AtomIndex {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a group takes the verdicts of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    All,
    Any,
    None,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Atom(AtomIndex),
    /// Index into [`Program::shared`].
    Shared(u32),
    /// Index into [`Program::expressions`].
    Expression(u32),
    /// The members stand behind it, up to `end`.
    Group {
        group: Group,
        end: u32,
    },
}

/// Predicates of one AND group whose paths begin with the same key: where that way leads through
/// an array, all of them must hold for the same element.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) members: Vec<Member>,
    /// A bit for each member that asks for absence.
    pub(crate) absent: u64,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) atom: AtomIndex,
    /// The nodes from the first key to the field.
    pub(crate) lineage: Vec<PathIndex>,
}

#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) paths: Paths,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) steps: Vec<Step>,
    pub(crate) shared: Vec<Shared>,
    /// Each is evaluated at most once per message, however many rules have it.
    pub(crate) expressions: Vec<Expression>,
    /// By rule: its first step.
    pub(crate) starts: Vec<u32>,
    /// A bit for each atom that stands in more than one place: only its verdict is worth keeping.
    repeated: Vec<u64>,
    /// The atoms by their hash, while rules are added.
    known: HashTable<AtomIndex>,
    /// The expressions by their text, while rules are added.
    known_expressions: BTreeMap<Box<str>, u32>,
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

impl Program {
    /// `paths` may hold more than the rules that will be added ask for.
    pub(crate) fn new(paths: Paths) -> Self {
        Self {
            paths,
            atoms: Vec::new(),
            steps: Vec::new(),
            shared: Vec::new(),
            expressions: Vec::new(),
            starts: Vec::new(),
            repeated: Vec::new(),
            known: HashTable::new(),
            known_expressions: BTreeMap::new(),
        }
    }

    /// Adds the conditions of the next rule.
    pub(crate) fn add(&mut self, condition: &Condition) {
        self.starts.push(narrow(self.steps.len()));
        self.emit(condition);
    }

    /// Forgets what only the adding needs.
    pub(crate) fn finish(&mut self) {
        self.known = HashTable::new();
        self.known_expressions = BTreeMap::new();
        self.atoms.shrink_to_fit();
        self.steps.shrink_to_fit();
        self.shared.shrink_to_fit();
        self.expressions.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// Of the predicates that stand directly in a rule's outermost group, moves those about `told`
    /// behind the others: a rule that is looked at was found by them, so they mostly hold.
    pub(crate) fn look_last_at(&mut self, start: usize, told: &[PathIndex]) {
        let Step::Group { group: Group::All, end } = self.steps[start] else { return };
        let mut places = SmallVec::<[usize; 8]>::new();
        let mut at = start + 1;
        while at < end as usize {
            if matches!(self.steps[at], Step::Atom(_)) {
                places.push(at);
            }
            at = self.after(at);
        }
        let mut steps: SmallVec<[Step; 8]> = places.iter().map(|at| self.steps[*at]).collect();
        steps.sort_by_key(|step| match step {
            Step::Atom(atom) => told.contains(&self.atoms[atom.index()].path),
            _ => unreachable!("only predicates were taken"),
        });
        for (at, step) in places.into_iter().zip(steps) {
            self.steps[at] = step;
        }
    }

    /// Whether an atom stands in more than one place.
    #[inline]
    pub(crate) fn is_repeated(&self, atom: AtomIndex) -> bool {
        self.repeated[atom.index() / 64] >> (atom.index() % 64) & 1 == 1
    }

    /// The step after the one at `at` and all inside it.
    pub(crate) fn after(&self, at: usize) -> usize {
        match self.steps[at] {
            Step::Atom(_) | Step::Shared(_) | Step::Expression(_) => at + 1,
            Step::Group { end, .. } => end as usize,
        }
    }

    /// How many verdicts are worth keeping: those of the atoms, then those of the expressions.
    #[inline]
    pub(crate) fn verdicts(&self) -> usize {
        self.atoms.len() + self.expressions.len()
    }

    /// Everything that the expression refers to becomes a tracked field.
    fn expression(&mut self, expression: &Expression) -> u32 {
        if let Some(at) = self.known_expressions.get(expression.source()) {
            return *at;
        }
        self.paths.intern_expression(expression);
        let at = narrow(self.expressions.len());
        self.known_expressions.insert(expression.source().into(), at);
        self.expressions.push(expression.clone());
        at
    }

    fn atom(&mut self, predicate: &Predicate) -> AtomIndex {
        let path = self.paths.intern(&predicate.field);
        let quantifier = predicate.quantifier;
        let atom = Atom { path, quantifier, operator: predicate.operator.clone() };
        let hash = FixedState.hash_one(&atom);
        if let Some(index) = self.known.find(hash, |known| self.atoms[known.index()] == atom) {
            self.repeated[index.index() / 64] |= 1 << (index.index() % 64);
            return *index;
        }
        let index = AtomIndex(narrow(self.atoms.len()));
        self.repeated.resize(index.index() / 64 + 1, 0);
        self.atoms.push(atom);
        let atoms = &self.atoms;
        let rehash = |known: &AtomIndex| FixedState.hash_one(&atoms[known.index()]);
        self.known.insert_unique(hash, index, rehash);
        index
    }

    /// Recursion, with `emit_group`: bounded by the nesting of the rule's text.
    fn emit(&mut self, condition: &Condition) {
        match condition {
            Condition::All(members) => self.emit_all(members),
            Condition::Any(members) => self.emit_group(Group::Any, members),
            Condition::None(members) => self.emit_group(Group::None, members),
            Condition::Predicate(predicate) => {
                let atom = self.atom(predicate);
                self.steps.push(Step::Atom(atom));
            }
            Condition::Expression(condition) => {
                let expression = self.expression(&condition.expression);
                self.steps.push(Step::Expression(expression));
            }
        }
    }

    fn open(&mut self, group: Group) -> usize {
        self.steps.push(Step::Group { group, end: 0 });
        self.steps.len() - 1
    }

    fn close(&mut self, group: Group, at: usize) {
        self.steps[at] = Step::Group { group, end: narrow(self.steps.len()) };
    }

    fn emit_group(&mut self, group: Group, members: &[Condition]) {
        let at = self.open(group);
        let mut members: Vec<&Condition> = members.iter().collect();
        members.sort_by_key(|member| cost(member));
        for member in members {
            self.emit(member);
        }
        self.close(group, at);
    }

    /// Predicates that share a first key become one step; everything else stands alone. Cheapest
    /// first.
    fn emit_all(&mut self, members: &[Condition]) {
        let mut units: Vec<(u32, Unit<'_>)> = Vec::new();
        for member in members {
            let member_cost = cost(member);
            let Condition::Predicate(predicate) = member else {
                units.push((member_cost, Unit::Group(member)));
                continue;
            };
            if predicate.quantifier != Quantifier::Any {
                // It is about all elements, so it is bound to none.
                units.push((member_cost, Unit::Predicates(vec![predicate])));
                continue;
            }
            let key = predicate.field.first();
            let same_key = units.iter_mut().find_map(|(cost, unit)| match unit {
                Unit::Predicates(others)
                    if others[0].field.first() == key
                        && others[0].quantifier == Quantifier::Any =>
                {
                    Some((cost, others))
                }
                _ => None,
            });
            match same_key {
                Some((cost, others)) => {
                    *cost += member_cost;
                    others.push(predicate);
                }
                None => units.push((member_cost, Unit::Predicates(vec![predicate]))),
            }
        }
        units.sort_by_key(|(cost, _)| *cost);
        // All of one is that one.
        let at = (units.len() > 1).then(|| self.open(Group::All));
        for (_, unit) in units {
            match unit {
                Unit::Group(condition) => self.emit(condition),
                Unit::Predicates(mut predicates) => {
                    predicates.sort_by_key(|predicate| predicate.operator.cost());
                    self.emit_predicates(&predicates);
                }
            }
        }
        if let Some(at) = at {
            self.close(Group::All, at);
        }
    }

    fn emit_predicates(&mut self, predicates: &[&Predicate]) {
        if let [predicate] = predicates {
            let atom = self.atom(predicate);
            self.steps.push(Step::Atom(atom));
            return;
        }
        assert!(predicates.len() <= SHARED_MAX, "larger crowds were refused when read");
        let mut shared = Shared { members: Vec::with_capacity(predicates.len()), absent: 0 };
        for (bit, predicate) in predicates.iter().enumerate() {
            let atom = self.atom(predicate);
            let lineage = self.paths.lineage(self.atoms[atom.index()].path);
            shared.absent |= u64::from(predicate.operator == Operator::NotExists) << bit;
            shared.members.push(Member { atom, lineage });
        }
        self.steps.push(Step::Shared(narrow(self.shared.len())));
        self.shared.push(shared);
    }
}

impl Program {
    /// What the tables take, but for what operators hold outside of them. Unit: bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.paths.bytes()
            + self.atoms.capacity() * size_of::<Atom>()
            + self.steps.capacity() * size_of::<Step>()
            + self.starts.capacity() * size_of::<u32>()
            + self.repeated.capacity() * size_of::<u64>()
            + self.expressions.capacity() * size_of::<Expression>()
            + self.shared.iter().map(Shared::bytes).sum::<usize>()
    }
}

impl Shared {
    fn bytes(&self) -> usize {
        let member = |member: &Member| {
            size_of::<Member>() + member.lineage.capacity() * size_of::<PathIndex>()
        };
        size_of::<Self>() + self.members.iter().map(member).sum::<usize>()
    }
}

/// What stands directly in an AND group.
enum Unit<'a> {
    /// A group, or an expression.
    Group(&'a Condition),
    Predicates(Vec<&'a Predicate>),
}

/// Recursion: bounded by the nesting of the rule's text.
fn cost(condition: &Condition) -> u32 {
    match condition {
        Condition::All(members) | Condition::Any(members) | Condition::None(members) => {
            members.iter().map(cost).fold(1, u32::saturating_add)
        }
        Condition::Predicate(predicate) => predicate.operator.cost(),
        Condition::Expression(_) => EXPRESSION_COST,
    }
}
