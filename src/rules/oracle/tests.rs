//! The matcher against the naive evaluator: rows of data from past differences, and as many random
//! catalogues and messages as are asked for, with changes of the catalogue in between.

use super::naive::Condition;
use super::tree::Tree;
use super::world::{self, World};
use super::{Catalogue, Matcher, Matches, Prng, random};

/// Conditions, a message, and whether it matches; three lines each, an empty one between.
const PAST: &str = include_str!("past.txt");

#[test]
fn past_differences_stay_settled() {
    let cases: Vec<&str> = PAST.split("\n\n").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert!(cases.len() >= 20, "the corpus is there");
    for case in cases {
        let lines: Vec<&str> = case.lines().filter(|line| !line.starts_with('#')).collect();
        let [conditions, message, verdict] = lines[..] else { panic!("not three lines: {case}") };
        let expected = verdict == "true";
        let rule = random::rule(&mut Prng::new(0), "r", conditions);
        let catalogue = Catalogue::compile(world::read(&rule));
        let mut found = Matches::new();
        Matcher::new().matches(&catalogue, message.as_bytes(), &mut found).unwrap();
        assert_eq!(!found.is_empty(), expected, "{case}");
        let naive = Condition::of(&Tree::parse(conditions)).holds(&Tree::parse(message));
        assert_eq!(naive, expected, "the judge: {case}");
    }
}

#[test]
fn the_matcher_and_the_naive_evaluator_agree() {
    #[allow(clippy::disallowed_methods, reason = "how long a test runs is asked for by hand")]
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    // Of the workspace's tests this one is bounded; `RULES_PAIRS=10000000` in release takes ten minutes.
    World::new(Prng::new(number("RULES_SEED", 1))).run(number("RULES_PAIRS", 20_000));
}
