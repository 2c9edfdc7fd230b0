//! The tests of a rule: it is held against their messages together with the rules that it needs.
//!
//! They say what the rule means, not what is in force: so it is tried also while it is disabled, or
//! a rule that it needs is, and no other rule can stop it.

use crate::catalogue::{Catalogue, Matches};
use crate::chains::Find;
use crate::matcher::Matcher;
use crate::rule::Rule;
use document::Span;
use std::collections::BTreeMap;

/// A test that does not say what the rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTest {
    /// Where the test stands.
    pub span: Span,
    /// What it did.
    pub what: String,
}

/// A rule and all that it needs, each as if it were enabled and did not stop. `Err` is an id that is
/// nowhere.
fn ensemble<'r>(rule: &'r Rule, find: Find<'_, 'r>) -> Result<Catalogue, &'r str> {
    let mut all: BTreeMap<&str, &Rule> = BTreeMap::new();
    let mut left = vec![rule];
    while let Some(rule) = left.pop() {
        if all.insert(&rule.id, rule).is_some() {
            continue;
        }
        for id in rule.needs() {
            left.push(find(id).ok_or(id)?);
        }
    }
    // Not what a namesake elsewhere says.
    all.insert(&rule.id, rule);
    let tried = |rule: &Rule| Rule { enabled: true, stop: false, ..rule.clone() };
    Ok(Catalogue::compile(all.into_values().map(tried).collect()))
}

/// The first tests of a rule that fail, up to `most`. `find` gives the rules that it needs; `Err` is
/// the id of one that it does not know, so that nothing can be said.
pub fn failed_tests<'r>(
    rule: &'r Rule,
    find: Find<'_, 'r>,
    most: usize,
) -> Result<Vec<FailedTest>, &'r str> {
    let mut failed = Vec::new();
    if rule.tests.is_empty() {
        return Ok(failed);
    }
    let catalogue = ensemble(rule, find)?;
    let (mut matcher, mut found) = (Matcher::new(), Matches::new());
    for test in &rule.tests {
        if failed.len() >= most {
            break;
        }
        let read = matcher.matches(&catalogue, test.message.as_bytes(), &mut found);
        let fired = found.iter().any(|index| catalogue.rule(*index).id == rule.id);
        let what = match read {
            Err(error) => format!("a test of `{}` has a message that is refused: {error}", rule.id),
            Ok(()) if fired == test.fires => continue,
            Ok(()) if test.fires => format!("a test fails: `{}` should fire and does not", rule.id),
            Ok(()) => format!("a test fails: `{}` should not fire and does", rule.id),
        };
        failed.push(FailedTest { span: test.span, what });
    }
    Ok(failed)
}
