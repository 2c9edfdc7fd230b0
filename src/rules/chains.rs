//! Rules that need other rules: what they name of each other, and what of a message they see.
//!
//! # Invariants
//! - Whatever is checked is checked in time linear in the rules and the ids that they name.
//! - Recursion is as deep as a chain may be long, whatever the rules say.

use crate::rule::Rule;
use expr::{EvalError, Steps, Value};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// The most rules one behind the other, each needing the next. What one message can set off stays
/// within what people can follow, and what enrichments add up to within a bound.
pub const CHAIN_RULES_MAX: usize = 16;

/// What is wrong with what rules name of each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// An id that is nowhere.
    #[error("the rule `{rule}` needs the rule `{needed}`, which is not there")]
    Unknown {
        /// Who names it.
        rule: String,
        /// What it names.
        needed: String,
    },
    /// Rules that need each other, so that none could ever hold.
    #[error("rules need each other in a circle: {}", path(.rules))]
    Circle {
        /// The first is the last again.
        rules: Vec<String>,
    },
    /// A chain that is too long.
    #[error("more than {CHAIN_RULES_MAX} rules need one another in a row: {}", path(.rules))]
    TooLong {
        /// Its beginning.
        rules: Vec<String>,
    },
}

fn path(rules: &[String]) -> String {
    let quoted: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
    quoted.join(" needs ")
}

impl ChainError {
    /// The rule that it is about, or the first of them.
    pub fn rule(&self) -> &str {
        match self {
            Self::Unknown { rule, .. } => rule,
            Self::Circle { rules } | Self::TooLong { rules } => &rules[0],
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "send both at once, or correct the id",
            Self::Circle { .. } => "none of them could ever hold: break the circle",
            Self::TooLong { .. } => "let one rule ask for more, or require several of them",
        }
    }
}

/// Gives the rule of an id.
pub type Find<'f, 'r> = &'f dyn Fn(&str) -> Option<&'r Rule>;

/// Checks what rules need, one after the other; what was looked at for one is known for the next.
pub struct ChainCheck<'r, 'f> {
    find: Find<'f, 'r>,
    /// How many rules stand in a row from each on, itself counted; nothing where that is wrong.
    lengths: BTreeMap<&'r str, Option<usize>>,
    /// Those whose needs are being looked at.
    open: Vec<&'r str>,
    is_whole: bool,
}

impl<'r, 'f> ChainCheck<'r, 'f> {
    /// `find` gives all rules there are, as they are after a change.
    pub fn new(find: Find<'f, 'r>) -> Self {
        Self { find, lengths: BTreeMap::new(), open: Vec::new(), is_whole: true }
    }

    /// `find` gives some of the rules there are: one that it does not know may be elsewhere.
    pub fn among(find: Find<'f, 'r>) -> Self {
        Self { is_whole: false, ..Self::new(find) }
    }

    /// Whether all that a rule needs is there, and is no circle and not too much. What is wrong is
    /// told once, for the first rule that is found to need it.
    pub fn check(&mut self, rule: &'r Rule) -> Result<(), ChainError> {
        self.length(rule).map(|_| ())
    }

    /// Nothing where something was told already. Recursion: at most `CHAIN_RULES_MAX` deep.
    fn length(&mut self, rule: &'r Rule) -> Result<Option<usize>, ChainError> {
        if let Some(known) = self.lengths.get(&*rule.id) {
            return Ok(*known);
        }
        let names = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        if let Some(at) = self.open.iter().position(|id| *id == rule.id) {
            self.open.push(&rule.id);
            return Err(ChainError::Circle { rules: names(&self.open[at..]) });
        }
        self.open.push(&rule.id);
        if self.open.len() > CHAIN_RULES_MAX {
            return Err(ChainError::TooLong { rules: names(&self.open) });
        }
        let length = self.length_of_needs(rule);
        // Who found something wrong leaves the way to it open: everything on it is wrong.
        if let Ok(length) = length {
            self.open.pop();
            self.lengths.insert(&rule.id, length);
        } else {
            for id in self.open.drain(..) {
                self.lengths.insert(id, None);
            }
        }
        length
    }

    fn length_of_needs(&mut self, rule: &'r Rule) -> Result<Option<usize>, ChainError> {
        let mut longest = Some(0);
        for id in rule.needs() {
            let Some(needed) = (self.find)(id) else {
                if !self.is_whole {
                    continue;
                }
                return Err(ChainError::Unknown { rule: rule.id.clone(), needed: id.to_owned() });
            };
            let length = self.length(needed)?;
            longest = longest.zip(length).map(|(longest, length)| longest.max(length));
        }
        match longest {
            Some(CHAIN_RULES_MAX) => {
                let mut rules: Vec<String> = self.open.iter().map(|id| (*id).to_owned()).collect();
                rules.extend(self.longest_from(rule));
                Err(ChainError::TooLong { rules })
            }
            longest => Ok(longest.map(|longest| longest + 1)),
        }
    }

    /// The longest row that a rule needs, itself left out.
    fn longest_from(&self, rule: &'r Rule) -> Vec<String> {
        let mut row = Vec::new();
        let mut at = rule;
        while row.len() < CHAIN_RULES_MAX
            && let Some(next) = at
                .needs()
                .filter_map(self.find)
                .max_by_key(|rule| self.lengths.get(&*rule.id).copied().flatten())
        {
            row.push(next.id.clone());
            at = next;
        }
        row
    }
}

impl std::fmt::Debug for ChainCheck<'_, '_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ChainCheck").field("lengths", &self.lengths).finish_non_exhaustive()
    }
}

/// Which rules need a rule: kept beside a set of rules that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependents(BTreeSet<(String, String)>);

impl Dependents {
    /// A rule came into the set.
    pub fn insert(&mut self, rule: &Rule) {
        self.0.extend(rule.needs().map(|needed| (needed.to_owned(), rule.id.clone())));
    }

    /// A rule left the set.
    pub fn remove(&mut self, rule: &Rule) {
        for needed in rule.needs() {
            self.0.remove(&(needed.to_owned(), rule.id.clone()));
        }
    }

    /// The rules that name it, by id.
    pub fn of<'d>(&'d self, id: &str) -> impl Iterator<Item = &'d str> + use<'d> {
        let id = id.to_owned();
        let from = self.0.range((id.clone(), String::new())..);
        from.take_while(move |(needed, _)| *needed == id).map(|(_, rule)| rule.as_str())
    }

    /// The rules that need one of these, over however many others. They need a check, too, when
    /// these have changed: their chains may have become too long.
    pub fn of_all<'d>(&'d self, ids: impl IntoIterator<Item = &'d str>) -> BTreeSet<&'d str> {
        let mut found = BTreeSet::new();
        let mut left: Vec<&str> = ids.into_iter().collect();
        while let Some(id) = left.pop() {
            left.extend(self.of(id).filter(|rule| found.insert(*rule)));
        }
        found
    }
}

/// The rules that a message has gone through; no allocation.
pub(crate) type Way<'r> = SmallVec<[&'r Rule; CHAIN_RULES_MAX + 1]>;

/// The rules that a rule continues from, the first one first. Where ids are nowhere, or form a
/// circle, they end.
pub(crate) fn continued<'r>(rule: &'r Rule, find: Find<'_, 'r>) -> Way<'r> {
    let before = |rule: &&'r Rule| rule.continue_from.as_deref().and_then(find);
    let mut chain: Way<'r> =
        std::iter::successors(Some(rule), before).skip(1).take(CHAIN_RULES_MAX).collect();
    chain.reverse();
    chain
}

/// The message as a rule sees it: enriched by the rules that it continues from, first to last.
/// `find` gives the rules of the catalogue that the message was matched with. It fails for want of steps
/// alone.
pub fn seen_by<'r>(
    rule: &'r Rule,
    message: &Value,
    find: Find<'_, 'r>,
    steps: &mut Steps,
) -> Result<Value, EvalError> {
    let mut seen = message.clone();
    for before in continued(rule, find) {
        seen = before.enrich.apply_paid(&seen, steps)?;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests;
