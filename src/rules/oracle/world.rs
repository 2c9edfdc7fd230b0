//! Rules as the judge sees them, beside a catalogue that is changed along with them.
//!
//! The tests of this crate and the fuzz targets (tests/fuzz) have it in common: what it takes of
//! the crate comes by way of the module around it, chance too.

use super::chains::{Holding, Judged};
use super::tree::Tree;
use super::{Catalogue, Matcher, Matches, Prng, Rule, parse, random};
use document::Source;
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(crate) fn read(text: &str) -> Vec<Rule> {
    parse(Source { name: "random.json", text }).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

/// One catalogue after the other.
pub(crate) struct World {
    prng: Prng,
    rules: BTreeMap<String, Judged>,
    /// Whether rules need others.
    is_chained: bool,
    catalogue: Catalogue,
    matcher: Matcher,
}

impl World {
    pub(crate) fn new(prng: Prng) -> Self {
        Self {
            prng,
            rules: BTreeMap::new(),
            is_chained: false,
            catalogue: Catalogue::default(),
            matcher: Matcher::new(),
        }
    }

    fn put(&mut self, id: &str) -> Rule {
        let conditions = random::conditions(&mut self.prng);
        let mut text = random::rule(&mut self.prng, id, &conditions);
        if self.is_chained {
            text = random::in_chains(&mut self.prng, id, &text, self.rules.len() as u64);
        }
        let rule = read(&text).remove(0);
        self.rules.insert(id.to_owned(), Judged::of(&text));
        rule
    }

    pub(crate) fn compile(&mut self, count: u64) {
        self.rules.clear();
        self.is_chained = self.prng.chance(1, 3);
        let rules = (0..count).map(|n| self.put(&format!("r{n}"))).collect();
        self.catalogue = Catalogue::compile(rules);
    }

    pub(crate) fn change(&mut self) {
        let below = self.rules.len() as u64 + 3;
        let id = format!("r{}", self.prng.below(below));
        self.catalogue = match self.prng.below(4) {
            0 => {
                self.rules.remove(&id);
                self.catalogue.with_change(&[], &[&id])
            }
            1 => self.catalogue.merge(),
            _ => {
                let rule = self.put(&id);
                self.catalogue.with_change(&[rule], &[])
            }
        };
    }

    fn expected(&self, message: &Tree) -> Vec<String> {
        let mut holding = Holding::new(&self.rules, message);
        let mut matching: Vec<(&String, &Judged)> =
            self.rules.iter().filter(|(id, _)| holding.holds(id)).collect();
        matching.sort_by_key(|(id, judged)| (Reverse(judged.priority), (*id).clone()));
        let stop = matching.iter().position(|(_, judged)| judged.stop);
        matching.truncate(stop.map_or(matching.len(), |at| at + 1));
        matching.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// A random message against the catalogue as it is.
    pub(crate) fn meet(&mut self) {
        let message = random::message(&mut self.prng);
        self.check(&message);
    }

    fn check(&mut self, message: &str) {
        let mut found = Matches::new();
        let outcome = self.matcher.matches(&self.catalogue, message.as_bytes(), &mut found);
        assert!(outcome.is_ok(), "{outcome:?}\n{message}");
        let mut trusted = Matches::new();
        self.matcher.matches_trusted(&self.catalogue, message.as_bytes(), &mut trusted);
        assert_eq!(trusted, found, "trusted: {message}");
        let found: Vec<String> =
            found.iter().map(|index| self.catalogue.rule(*index).id.clone()).collect();
        let expected = self.expected(&Tree::parse(message));
        if found != expected {
            let differs = |id: &&String| found.contains(id) != expected.contains(id);
            let is_told = |id: &&String| self.is_chained || differs(id);
            let rules: Vec<&str> =
                self.rules.keys().filter(is_told).map(|id| &*self.rules[id].text).collect();
            panic!("found {found:?}\nexpected {expected:?}\n{message}\n{}", rules.join("\n"));
        }
    }

    /// Random messages against random catalogues, `pairs` of them.
    pub(crate) fn run(&mut self, pairs: u64) {
        let mut done = 0;
        while done < pairs {
            let (count, messages) = match self.prng.below(20) {
                0 => (100 + self.prng.below(100), 20),
                1..6 => (7 + self.prng.below(34), 60),
                _ => (1 + self.prng.below(6), 60),
            };
            self.compile(count);
            for _ in 0..messages {
                self.meet();
                if self.prng.chance(1, 10) {
                    self.change();
                }
                done += 1;
            }
        }
    }
}
