//! Rules that are legal and probably wrong.

use crate::catalogue::{Catalogue, Matches};
use crate::matcher::Matcher;
use crate::rule::{Doubt, Predicate, Rule, RuleTest};
use document::{Fault, Source};
use std::collections::BTreeMap;

mod shape;

/// Looks at rules that [`crate::parse`] has read from `source`: what may not be meant as it is
/// written, ids that are there twice, tests that fail, rules that every message has to be held
/// against, rules that never match or that another one hides, rules that say the same, and order
/// that hangs on the ids. In the order of the text.
pub fn lint(source: Source<'_>, rules: &[Rule]) -> Vec<Fault> {
    let mut warnings = Vec::new();
    let mut first_places = BTreeMap::new();
    let mut matcher = Matcher::new();
    for rule in rules {
        if let Some(first) = first_places.insert(&rule.id, rule.span) {
            let what = format!("the rule id `{}` is here twice", rule.id);
            let hint = format!("the first one is at {}:{}", first.line, first.column);
            warnings.push(Fault::at(source, rule.span, what).hint(hint));
        }
        rule.when.visit(&mut |predicate| {
            warnings.extend(doubt(source, predicate));
            warnings.extend(negative_index(source, predicate));
        });
        // Its verdict alone counts, so it is matched alone, and also while it is disabled.
        let alone = Catalogue::compile(vec![Rule { enabled: true, ..rule.clone() }]);
        if alone.always_checked().next().is_some() {
            let what = format!("the rule `{}` is looked at for every message", rule.id);
            warnings.push(
                Fault::at(source, rule.span, what)
                    .hint("nothing that it needs can be looked up: add a condition that asks a field for a value"),
            );
        }
        for test in &rule.tests {
            warnings.extend(run(source, rule, &alone, test, &mut matcher));
        }
    }
    warnings.extend(shape::lint(source, rules));
    warnings.sort_by_key(|warning| warning.span);
    warnings
}

fn doubt(source: Source<'_>, predicate: &Predicate) -> Option<Fault> {
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
    Some(Fault::at(source, predicate.span, what).hint(hint))
}

fn negative_index(source: Source<'_>, predicate: &Predicate) -> Option<Fault> {
    let index = predicate.field.indexes().find(|index| *index < 0)?;
    let what = format!("`{}` is never there: no element has the index {index}", predicate.field);
    Some(Fault::at(source, predicate.span, what).hint("indexes count from 0, from the beginning"))
}

fn run(
    source: Source<'_>,
    rule: &Rule,
    alone: &Catalogue,
    test: &RuleTest,
    matcher: &mut Matcher,
) -> Option<Fault> {
    let mut fired = Matches::new();
    let what = match matcher.matches(alone, test.message.as_bytes(), &mut fired) {
        Err(error) => format!("a test of `{}` has a message that is refused: {error}", rule.id),
        Ok(()) if fired.is_empty() != test.fires => return None,
        Ok(()) if test.fires => format!("a test fails: `{}` should fire and does not", rule.id),
        Ok(()) => format!("a test fails: `{}` should not fire and does", rule.id),
    };
    Some(Fault::at(source, test.span, what))
}

#[cfg(test)]
mod tests;
