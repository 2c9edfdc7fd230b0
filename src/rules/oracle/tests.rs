//! The matcher against the naive evaluator: rows of data from past differences, and as many random
//! catalogues and messages as are asked for, with changes of the catalogue in between.

use super::naive::Condition;
use super::random;
use super::tree::Tree;
use crate::{Catalogue, Matcher, Matches, Rule, parse};
use base::Prng;
use document::Source;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Conditions, a message, and whether it matches; three lines each, an empty one between.
const PAST: &str = include_str!("past.txt");

fn read(text: &str) -> Vec<Rule> {
    parse(Source { name: "random.json", text }).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

#[test]
fn past_differences_stay_settled() {
    let cases: Vec<&str> = PAST.split("\n\n").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert!(cases.len() >= 20, "the corpus is there");
    for case in cases {
        let lines: Vec<&str> = case.lines().filter(|line| !line.starts_with('#')).collect();
        let [conditions, message, verdict] = lines[..] else { panic!("not three lines: {case}") };
        let expected = verdict == "true";
        let rule = random::rule(&mut Prng::new(0), "r", conditions);
        let catalogue = Catalogue::compile(read(&rule));
        let mut found = Matches::new();
        Matcher::new().matches(&catalogue, message.as_bytes(), &mut found).unwrap();
        assert_eq!(!found.is_empty(), expected, "{case}");
        let naive = Condition::of(&Tree::parse(conditions)).holds(&Tree::parse(message));
        assert_eq!(naive, expected, "the judge: {case}");
    }
}

struct Judged {
    priority: i32,
    stop: bool,
    condition: Condition,
    text: String,
}

/// Rules as the judge sees them, beside the catalogue that was changed along with them.
struct World {
    prng: Prng,
    rules: BTreeMap<String, Judged>,
    catalogue: Catalogue,
    matcher: Matcher,
}

impl World {
    fn put(&mut self, id: &str) -> Rule {
        let conditions = random::conditions(&mut self.prng);
        let text = random::rule(&mut self.prng, id, &conditions);
        let rule = read(&text).remove(0);
        let condition = Condition::of(&Tree::parse(&conditions));
        let judged = Judged { priority: rule.priority, stop: rule.stop, condition, text };
        self.rules.insert(id.to_owned(), judged);
        rule
    }

    fn compile(&mut self, count: u64) {
        self.rules.clear();
        let rules = (0..count).map(|n| self.put(&format!("r{n}"))).collect();
        self.catalogue = Catalogue::compile(rules);
    }

    fn change(&mut self) {
        let below = self.rules.len() as u64 + 3;
        let id = format!("r{}", self.prng.below(below));
        self.catalogue = match self.prng.below(4) {
            0 => {
                self.rules.remove(&id);
                self.catalogue.with_change(Vec::new(), &[&id])
            }
            1 => self.catalogue.merge(),
            _ => {
                let rule = self.put(&id);
                self.catalogue.with_change(vec![rule], &[])
            }
        };
    }

    fn expected(&self, message: &Tree) -> Vec<String> {
        let mut matching: Vec<(&String, &Judged)> =
            self.rules.iter().filter(|(_, judged)| judged.condition.holds(message)).collect();
        matching.sort_by_key(|(id, judged)| (Reverse(judged.priority), (*id).clone()));
        let stop = matching.iter().position(|(_, judged)| judged.stop);
        matching.truncate(stop.map_or(matching.len(), |at| at + 1));
        matching.into_iter().map(|(id, _)| id.clone()).collect()
    }

    fn check(&mut self, message: &str) {
        let mut found = Matches::new();
        let outcome = self.matcher.matches(&self.catalogue, message.as_bytes(), &mut found);
        assert!(outcome.is_ok(), "{outcome:?}\n{message}");
        let found: Vec<String> =
            found.iter().map(|index| self.catalogue.rule(*index).id.clone()).collect();
        let expected = self.expected(&Tree::parse(message));
        if found != expected {
            let differs = |id: &&String| found.contains(id) != expected.contains(id);
            let rules: Vec<&str> =
                self.rules.keys().filter(differs).map(|id| &*self.rules[id].text).collect();
            panic!("found {found:?}\nexpected {expected:?}\n{message}\n{}", rules.join("\n"));
        }
    }
}

/// Random messages against random catalogues, `pairs` of them.
fn run(seed: u64, pairs: u64) {
    let mut world = World {
        prng: Prng::new(seed),
        rules: BTreeMap::new(),
        catalogue: Catalogue::default(),
        matcher: Matcher::new(),
    };
    let mut done = 0;
    while done < pairs {
        let (count, messages) = match world.prng.below(20) {
            0 => (100 + world.prng.below(100), 20),
            1..6 => (7 + world.prng.below(34), 60),
            _ => (1 + world.prng.below(6), 60),
        };
        world.compile(count);
        for _ in 0..messages {
            let message = random::message(&mut world.prng);
            world.check(&message);
            if world.prng.chance(1, 10) {
                world.change();
            }
            done += 1;
        }
    }
}

#[test]
fn the_matcher_and_the_naive_evaluator_agree() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    // Of the workspace's tests this one is bounded; `RULES_PAIRS=10000000` in release takes an hour.
    run(number("RULES_SEED", 1), number("RULES_PAIRS", 20_000));
}
