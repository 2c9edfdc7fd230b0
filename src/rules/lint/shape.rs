//! Rules beside each other: which never match, which are hidden, which say the same.

use super::{Placed, Set};
use crate::access::{Clauses, Estimates};
use crate::operator::Operator;
use crate::paths::Paths;
use crate::program::{AtomIndex, Group, Program, Step};
use crate::rule::{Doubt, Rule};
use document::Fault;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

pub(super) fn lint(set: &Set<'_>) -> Vec<Fault> {
    let mut enabled: Vec<Placed<'_>> =
        set.rules.iter().filter(|placed| placed.rule.enabled).copied().collect();
    enabled.sort_by_key(|placed| (Reverse(placed.rule.priority), &placed.rule.id));
    let mut program = Program::new(Paths::new());
    for placed in &enabled {
        program.add(&placed.rule.when);
    }
    program.finish();
    let beside = Beside { set, rules: &enabled, program: &program };
    let mut doubts = beside.never();
    doubts.extend(beside.same());
    doubts.extend(beside.hidden());
    doubts.extend(beside.ties());
    doubts
}

/// The enabled rules of a set, in the order of rank.
struct Beside<'s> {
    set: &'s Set<'s>,
    rules: &'s [Placed<'s>],
    program: &'s Program,
}

impl Beside<'_> {
    fn fault(&self, placed: &Placed<'_>, what: String) -> Fault {
        self.set.fault(*placed, placed.rule.span, what)
    }

    /// Rules of which some necessary condition never holds.
    fn never(&self) -> Vec<Fault> {
        let estimates = Estimates::of(self.program);
        let clauses = Clauses::new(self.program, &estimates);
        let never = self.rules.iter().zip(&self.program.starts).filter(|(_, start)| {
            clauses.of(**start as usize).iter().any(|clause| clause.keys.is_empty())
        });
        // An empty list was told of already.
        let never = never.filter(|(placed, _)| {
            let mut is_told = false;
            placed
                .rule
                .when
                .visit(&mut |predicate| is_told |= predicate.doubt == Some(Doubt::NeverHolds));
            !is_told
        });
        never
            .map(|(placed, _)| {
                let what = format!("the rule `{}` never matches", placed.rule.id);
                self.fault(placed, what).hint("some of its conditions exclude each other")
            })
            .collect()
    }

    fn same(&self) -> Vec<Fault> {
        let mut first: BTreeMap<String, &Placed<'_>> = BTreeMap::new();
        let mut doubts = Vec::new();
        for (placed, start) in self.rules.iter().zip(&self.program.starts) {
            let shape = shape(self.program, *start as usize, placed.rule);
            let Some(other) = first.get(&shape) else {
                first.insert(shape, placed);
                continue;
            };
            let (id, other_id) = (&placed.rule.id, &other.rule.id);
            if id == other_id {
                continue;
            }
            let what = format!("the rule `{id}` has the same conditions as `{other_id}`");
            let place = self.set.place(**other, *placed);
            let hint = format!("one rule can have several actions; `{other_id}` is at {place}");
            doubts.push(self.fault(placed, what).hint(hint));
        }
        doubts
    }

    /// Rules behind a rule that stops and that matches whenever they do. One that is there for
    /// others has its use all the same.
    fn hidden(&self) -> Vec<Fault> {
        let mut doubts = Vec::new();
        let atoms: Vec<Option<Vec<AtomIndex>>> =
            self.program.starts.iter().map(|start| plain(self.program, *start as usize)).collect();
        for (at, stopping) in self.rules.iter().enumerate().filter(|(_, p)| p.rule.stop) {
            let Some(needed) = &atoms[at] else { continue };
            let stopping = stopping.rule;
            for (placed, has) in self.rules[at + 1..].iter().zip(&atoms[at + 1..]) {
                let rule = placed.rule;
                let Some(has) = has else { continue };
                if needed.iter().all(|atom| has.contains(atom))
                    && stopping.continue_from == rule.continue_from
                    && stopping.requires.iter().all(|id| rule.requires.contains(id))
                    && !rule.actions.is_empty()
                    && stopping.id != rule.id
                {
                    let what = format!("the rule `{}` is never reached", rule.id);
                    let hint = format!(
                        "`{}` matches whenever it would, has the higher rank and says `stop`",
                        stopping.id
                    );
                    doubts.push(self.fault(placed, what).hint(hint));
                }
            }
        }
        doubts
    }

    /// Rules that stop, where their ids decide what they stop.
    fn ties(&self) -> Vec<Fault> {
        let mut by_priority: BTreeMap<i32, Vec<&Placed<'_>>> = BTreeMap::new();
        for placed in self.rules {
            by_priority.entry(placed.rule.priority).or_default().push(placed);
        }
        let stopping = self.rules.iter().filter(|placed| placed.rule.stop);
        let tied = stopping.filter_map(|placed| {
            let rule = placed.rule;
            let beside = &by_priority[&rule.priority];
            let other = beside.iter().find(|other| other.rule.id != rule.id)?;
            let what = format!(
                "the rule `{}` says `stop` and has the priority of `{}`: their ids decide the order",
                rule.id, other.rule.id
            );
            Some(self.fault(placed, what).hint("give it a priority of its own"))
        });
        tied.collect()
    }
}

/// The conditions of a rule with what it needs, the same text for the same.
fn shape(program: &Program, start: usize, rule: &Rule) -> String {
    let end = program.after(start);
    let steps = program.steps[start..end].iter().map(|step| match step {
        Step::Atom(atom) => format!("{} ", atom.index()),
        Step::Shared(shared) => {
            let members = &program.shared[*shared as usize].members;
            let atoms: Vec<String> = members.iter().map(|m| m.atom.index().to_string()).collect();
            format!("({}) ", atoms.join(" "))
        }
        Step::Expression(expression) => format!("expression {expression} "),
        Step::Group { group, end } => format!("{group:?} to {} ", *end as usize - start),
    });
    let mut shape: String = steps.collect();
    let requires: BTreeSet<&String> = rule.requires.iter().collect();
    write!(shape, "{:?} {requires:?}", rule.continue_from).expect("a String takes all");
    shape
}

/// The predicates of a rule that asks for all of them and nothing else; `None` for another one. One
/// that asks for absence is another one: beside other conditions absence means something else.
fn plain(program: &Program, start: usize) -> Option<Vec<AtomIndex>> {
    let mut atoms = Vec::new();
    for step in &program.steps[start..program.after(start)] {
        match step {
            Step::Atom(atom) => atoms.push(*atom),
            Step::Shared(shared) => {
                atoms.extend(program.shared[*shared as usize].members.iter().map(|m| m.atom));
            }
            Step::Group { group: Group::All, .. } => {}
            Step::Group { .. } | Step::Expression(_) => return None,
        }
    }
    let is_absence = |atom: &AtomIndex| program.atoms[atom.index()].operator == Operator::NotExists;
    let has_inner = program.steps[start + 1..program.after(start).max(start + 1)]
        .iter()
        .any(|step| matches!(step, Step::Group { .. }));
    (!has_inner && !atoms.iter().any(is_absence)).then_some(atoms)
}
