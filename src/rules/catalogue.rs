//! Rules made ready to be matched.

use crate::index::Index;
use crate::program::Program;
use crate::rule::Rule;
use smallvec::SmallVec;
use std::cmp::Reverse;

/// A rule of one catalogue. A smaller index is a higher rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub(crate) u32);

/// The rules that match a message, highest rank first.
pub type Matches = SmallVec<[RuleIndex; 8]>;

/// Rules in the order of rank (priority descending, then id), compiled. Immutable: a change of a
/// rule makes another catalogue.
#[derive(Debug)]
pub struct Catalogue {
    rules: Vec<Rule>,
    pub(crate) program: Program,
    pub(crate) index: Index,
}

impl Catalogue {
    /// Takes rules that [`crate::parse`] has checked; those that are not enabled are left out.
    pub fn compile(rules: Vec<Rule>) -> Self {
        let mut rules = rules;
        rules.retain(|rule| rule.enabled);
        rules.sort_by(|left, right| {
            (Reverse(left.priority), &left.id).cmp(&(Reverse(right.priority), &right.id))
        });
        let mut program = Program::new();
        for rule in &rules {
            program.add(&rule.when);
        }
        let index = Index::of(&rules, &mut program);
        program.finish();
        Self { rules, program, index }
    }

    /// A rule of this catalogue.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.0 as usize]
    }

    /// The rules in the order of rank, the disabled ones left out.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many rules can match.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether no message can match.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that are looked at for every message, because they ask for the absence of fields
    /// alone.
    pub fn always_checked(&self) -> impl Iterator<Item = RuleIndex> {
        self.index.always().iter().map(|index| RuleIndex(*index))
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::compile(Vec::new())
    }
}
