//! Rules that are legal and probably wrong.

use crate::catalogue::Catalogue;
use crate::chains::{ChainCheck, ChainError};
use crate::rule::{Doubt, Predicate, Rule};
use crate::trial::failed_tests;
use document::{Fault, Lines, Source, Span};
use std::collections::{BTreeMap, BTreeSet};

mod shape;

/// What is to be said of rules; each part by file, then in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What their authors, or a node, will not have: tests that fail; rules that need each other in
    /// a circle.
    pub faults: Vec<Fault>,
    /// What is legal and may not be meant.
    pub doubts: Vec<Fault>,
    /// By text, how many tests could not run: their rule needs one that is nowhere.
    pub not_run: BTreeMap<String, usize>,
}

/// A rule and the text that it stands in.
#[derive(Clone, Copy)]
struct Placed<'r> {
    rule: &'r Rule,
    file: usize,
}

/// Rules of several texts, as one set.
struct Set<'r> {
    files: Vec<Lines<'r>>,
    rules: Vec<Placed<'r>>,
    /// Of rules with one id the last.
    by_id: BTreeMap<&'r str, Placed<'r>>,
}

impl<'r> Set<'r> {
    fn of(files: &[(Source<'r>, &'r [Rule])]) -> Self {
        let place = |(file, (_, rules)): (usize, &(Source<'r>, &'r [Rule]))| {
            rules.iter().map(move |rule| Placed { rule, file })
        };
        let rules: Vec<Placed<'r>> = files.iter().enumerate().flat_map(place).collect();
        let by_id = rules.iter().map(|placed| (&*placed.rule.id, *placed)).collect();
        let files = files.iter().map(|(source, _)| Lines::of(*source)).collect();
        Self { files, rules, by_id }
    }

    fn fault(&self, at: Placed<'_>, span: Span, what: impl Into<String>) -> Fault {
        self.files[at.file].fault(span, what)
    }

    /// Where a rule stands, for one who reads about another one.
    fn place(&self, of: Placed<'_>, from: Placed<'_>) -> String {
        let Span { line, column } = of.rule.span;
        if of.file == from.file {
            return format!("{line}:{column}");
        }
        format!("{}:{line}:{column}", self.files[of.file].source().name)
    }

    fn find(&self, id: &str) -> Option<&'r Rule> {
        self.by_id.get(id).map(|placed| placed.rule)
    }
}

/// Looks at rules that [`crate::parse`] has read from these texts, as one set: what may not be meant
/// as it is written, ids that are there twice in a text, tests that fail, rules that every message
/// has to be held against, rules that need what is not there or that nobody needs, rules that never
/// match or that another one hides, rules that say the same, and order that hangs on the ids.
pub fn lint<'r>(files: &[(Source<'r>, &'r [Rule])]) -> Findings {
    let set = Set::of(files);
    let mut findings = Findings::default();
    let mut first_places = BTreeMap::new();
    for placed in &set.rules {
        let rule = placed.rule;
        if let Some(first) = first_places.insert((placed.file, &*rule.id), rule.span) {
            let what = format!("the rule id `{}` is here twice", rule.id);
            let hint = format!("the first one is at {}:{}", first.line, first.column);
            findings.doubts.push(set.fault(*placed, rule.span, what).hint(hint));
        }
        rule.when.visit(&mut |predicate| {
            findings.doubts.extend(doubt(&set, *placed, predicate));
            findings.doubts.extend(negative_index(&set, *placed, predicate));
        });
        findings.doubts.extend(always_checked(&set, *placed));
        let failed = failed_tests(rule, &|id| set.find(id), usize::MAX);
        // An id that is nowhere is told of with the chains.
        if failed.is_err() && !rule.tests.is_empty() {
            let name = set.files[placed.file].source().name.to_owned();
            *findings.not_run.entry(name).or_default() += rule.tests.len();
        }
        for failed in failed.unwrap_or_default() {
            findings.faults.push(set.fault(*placed, failed.span, failed.what));
        }
    }
    chains(&set, &mut findings);
    findings.doubts.extend(shape::lint(&set));
    let order: BTreeMap<&str, usize> =
        files.iter().enumerate().map(|(at, (source, _))| (source.name, at)).collect();
    for said in [&mut findings.faults, &mut findings.doubts] {
        said.sort_by_key(|fault| (order.get(&*fault.file).copied(), fault.span));
    }
    findings
}

/// One that continues from another is looked at only where that one holds.
fn always_checked(set: &Set<'_>, placed: Placed<'_>) -> Option<Fault> {
    let rule = placed.rule;
    let alone = Rule { enabled: true, requires: Vec::new(), ..rule.clone() };
    if rule.continue_from.is_some()
        || Catalogue::compile(vec![alone]).always_checked().next().is_none()
    {
        return None;
    }
    let what = format!("the rule `{}` is looked at for every message", rule.id);
    let hint =
        "nothing that it needs can be looked up: add a condition that asks a field for a value";
    Some(set.fault(placed, rule.span, what).hint(hint))
}

/// What rules need of each other, and what nobody needs.
fn chains(set: &Set<'_>, findings: &mut Findings) {
    let find = |id: &str| set.find(id);
    let mut check = ChainCheck::among(&find);
    let mut needed = BTreeSet::new();
    let mut continued = BTreeSet::new();
    for placed in &set.rules {
        let rule = placed.rule;
        if let Err(wrong) = check.check(rule) {
            let at = set.by_id[wrong.rule()];
            findings.faults.push(told(set, at, &wrong));
        }
        needed.extend(rule.needs());
        continued.extend(rule.continue_from.as_deref());
    }
    for placed in &set.rules {
        let rule = placed.rule;
        let mut doubt = |what: String, hint: &str| {
            findings.doubts.push(set.fault(*placed, rule.span, what).hint(hint));
        };
        let id = &rule.id;
        for other in rule.needs().collect::<BTreeSet<_>>() {
            match set.find(other) {
                None => doubt(
                    format!("the rule `{id}` needs the rule `{other}`, which is not here"),
                    "a node takes it if that one is there; its tests cannot run without",
                ),
                Some(needed) if rule.enabled && !needed.enabled => doubt(
                    format!("the rule `{id}` needs the rule `{other}`, which is disabled"),
                    "as long as it is, the rule never matches",
                ),
                Some(_) => {}
            }
        }
        if !rule.actions.is_empty() {
            continue;
        }
        if !needed.contains(&**id) {
            doubt(
                format!("the rule `{id}` has no actions, and no rule needs it"),
                "add `actions`, or name it in the `requires` or `continue_from` of another rule",
            );
        } else if !rule.enrich.is_empty() && !continued.contains(&**id) {
            doubt(
                format!("what the rule `{id}` adds to the message is seen by nobody"),
                "it has no actions; name it in the `continue_from` of another rule",
            );
        }
    }
}

fn told(set: &Set<'_>, at: Placed<'_>, wrong: &ChainError) -> Fault {
    let fault = set.fault(at, at.rule.span, wrong.to_string());
    fault.hint(wrong.hint())
}

fn doubt(set: &Set<'_>, placed: Placed<'_>, predicate: &Predicate) -> Option<Fault> {
    let field = &predicate.field;
    let (what, hint) = match predicate.doubt? {
        Doubt::QuotedNumberOrdered => (
            format!("the bound for `{field}` is text that reads as a number: it is taken as one"),
            "remove the quotes",
        ),
        Doubt::QuotedNumberEqual => (
            format!("`{field}` is compared with text that reads as a number: 5 is not \"5\""),
            "remove the quotes if the messages hold a number",
        ),
        Doubt::NeverHolds => {
            (format!("`{field}` in an empty list: this never holds"), "list the values")
        }
        Doubt::HoldsIfPresent => (
            format!("`{field}` not in an empty list: this holds whenever the field is there"),
            "say `exists` if that is meant",
        ),
    };
    Some(set.fault(placed, predicate.span, what).hint(hint))
}

fn negative_index(set: &Set<'_>, placed: Placed<'_>, predicate: &Predicate) -> Option<Fault> {
    let index = predicate.field.indexes().find(|index| *index < 0)?;
    let what = format!("`{}` is never there: no element has the index {index}", predicate.field);
    let fault = set.fault(placed, predicate.span, what);
    Some(fault.hint("indexes count from 0, from the beginning"))
}

#[cfg(test)]
mod tests;
