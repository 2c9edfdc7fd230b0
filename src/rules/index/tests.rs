//! Ranges and parts against a walk over all of them.

use super::grams::{Frequencies, GRAM_BYTES, Grams};
use super::ranges::Ranges;
use proptest::prelude::*;

fn found(ranges: &Ranges, key: u64) -> Vec<u32> {
    let mut rules = Vec::new();
    ranges.at(key, |found| rules.extend_from_slice(found));
    rules.sort_unstable();
    rules
}

fn key() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..40, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

proptest! {
    // No file of past failures: proptest would put it among the crates, where a folder is a crate.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_finds_the_ranges_that_hold_it(
        ends in prop::collection::vec((key(), key()), 0..80),
        keys in prop::collection::vec(key(), 1..40),
    ) {
        let ranges: Vec<(u64, u64, u32)> = (0..)
            .zip(ends)
            .map(|(rule, (left, right))| (left.min(right), left.max(right), rule))
            .collect();
        let table = Ranges::of(&ranges);
        for key in keys {
            let holds = |(low, high, _): &&(u64, u64, u32)| (*low..=*high).contains(&key);
            let expected: Vec<u32> = ranges.iter().filter(holds).map(|(_, _, rule)| *rule).collect();
            prop_assert_eq!(found(&table, key), expected);
        }
    }

    #[test]
    fn a_text_finds_the_parts_that_it_has(
        parts in prop::collection::btree_set("[ab]{4,15}", 1..12),
        text in "[abc]{0,40}",
    ) {
        let all: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let mut frequencies = Frequencies::default();
        all.iter().skip(1).for_each(|part| frequencies.count(part));
        let shortest = all.iter().map(|part| part.len()).min().unwrap();
        for step in 1..=Grams::step_for(shortest) {
            let grams = Grams::of(&all, step, &frequencies);
            let mut found = Vec::new();
            grams.search(text.as_bytes(), |part| found.push(part));
            found.sort_unstable();
            found.dedup();
            let has = |(_, part): &(usize, &String)| text.contains(part.as_str());
            let expected: Vec<usize> = parts.iter().enumerate().filter(has).map(|(at, _)| at).collect();
            prop_assert_eq!(found, expected);
        }
        prop_assert!(shortest >= GRAM_BYTES);
    }
}
