//! Rules beside each other: which never match, which are hidden, which say the same.

use crate::access::{Clauses, Estimates};
use crate::operator::Operator;
use crate::paths::Paths;
use crate::program::{AtomIndex, Group, Program, Step};
use crate::rule::{Doubt, Rule};
use document::{Fault, Source};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) fn lint(source: Source<'_>, rules: &[Rule]) -> Vec<Fault> {
    let mut enabled: Vec<&Rule> = rules.iter().filter(|rule| rule.enabled).collect();
    enabled.sort_by_key(|rule| (Reverse(rule.priority), &rule.id));
    let mut program = Program::new(Paths::new());
    for rule in &enabled {
        program.add(&rule.when);
    }
    program.finish();
    let mut warnings = Vec::new();
    warnings.extend(never(source, &enabled, &program));
    warnings.extend(same(source, &enabled, &program));
    warnings.extend(hidden(source, &enabled, &program));
    warnings.extend(ties(source, &enabled));
    warnings
}

/// Rules of which some necessary condition never holds.
fn never(source: Source<'_>, rules: &[&Rule], program: &Program) -> Vec<Fault> {
    let estimates = Estimates::of(program);
    let clauses = Clauses::new(program, &estimates);
    let never = rules.iter().zip(&program.starts).filter(|(_, start)| {
        clauses.of(**start as usize).iter().any(|clause| clause.keys.is_empty())
    });
    // An empty list was told of already.
    let never = never.filter(|(rule, _)| {
        let mut is_told = false;
        rule.when.visit(&mut |predicate| is_told |= predicate.doubt == Some(Doubt::NeverHolds));
        !is_told
    });
    never
        .map(|(rule, _)| {
            let what = format!("the rule `{}` never matches", rule.id);
            Fault::at(source, rule.span, what).hint("some of its conditions exclude each other")
        })
        .collect()
}

/// The conditions of a rule, the same text for the same conditions.
fn shape(program: &Program, start: usize) -> String {
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
    steps.collect()
}

fn same(source: Source<'_>, rules: &[&Rule], program: &Program) -> Vec<Fault> {
    let mut first: BTreeMap<String, &Rule> = BTreeMap::new();
    let mut warnings = Vec::new();
    for (rule, start) in rules.iter().zip(&program.starts) {
        let shape = shape(program, *start as usize);
        let Some(other) = first.get(&shape) else {
            first.insert(shape, rule);
            continue;
        };
        if other.id == rule.id {
            continue;
        }
        let what = format!("the rule `{}` has the same conditions as `{}`", rule.id, other.id);
        let hint = format!(
            "one rule can have several actions; `{}` is at {}:{}",
            other.id, other.span.line, other.span.column
        );
        warnings.push(Fault::at(source, rule.span, what).hint(hint));
    }
    warnings
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

/// Rules behind a rule that stops and that matches whenever they do.
fn hidden(source: Source<'_>, rules: &[&Rule], program: &Program) -> Vec<Fault> {
    let mut warnings = Vec::new();
    let atoms: Vec<Option<Vec<AtomIndex>>> =
        program.starts.iter().map(|start| plain(program, *start as usize)).collect();
    for (at, stopping) in rules.iter().enumerate().filter(|(_, rule)| rule.stop) {
        let Some(needed) = &atoms[at] else { continue };
        for (rule, has) in rules[at + 1..].iter().zip(&atoms[at + 1..]) {
            let Some(has) = has else { continue };
            if needed.iter().all(|atom| has.contains(atom)) {
                let what = format!("the rule `{}` is never reached", rule.id);
                let hint = format!(
                    "`{}` matches whenever it would, has the higher rank and says `stop`",
                    stopping.id
                );
                warnings.push(Fault::at(source, rule.span, what).hint(hint));
            }
        }
    }
    warnings
}

/// Rules that stop, where their ids decide what they stop.
fn ties(source: Source<'_>, rules: &[&Rule]) -> Vec<Fault> {
    let stopping = rules.iter().filter(|rule| rule.stop);
    let tied = stopping.filter_map(|rule| {
        let other = rules.iter().find(|r| r.priority == rule.priority && r.id != rule.id)?;
        let what = format!(
            "the rule `{}` says `stop` and has the priority of `{}`: their ids decide the order",
            rule.id, other.id
        );
        Some(Fault::at(source, rule.span, what).hint("give it a priority of its own"))
    });
    tied.collect()
}
