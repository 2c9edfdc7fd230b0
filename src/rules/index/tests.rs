//! Ranges and parts against a walk over all of them.

use super::grams::{Frequencies, GRAM_BYTES, Grams};
use super::ranges::Ranges;
use super::{Index, Layer, Tag, class};
use crate::paths::{PathIndex, Paths};
use crate::program::{Program, Step};
use crate::{Catalogue, Matcher, Matches, hash, parse};
use document::Source;
use proptest::prelude::*;
use std::collections::BTreeSet;

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
        let all: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
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

#[test]
fn hashes_fall_into_64_classes_and_one_key_into_another_place_for_each_field_of_each_layer() {
    let classes: BTreeSet<u64> =
        (0..2_000_u64).map(|n| class(hash::text(&n.to_le_bytes()))).collect();
    assert_eq!(classes.len(), 64);
    assert!(classes.iter().all(|class| class.is_power_of_two()));

    let tags = [Tag::Equal, Tag::Prefix, Tag::Suffix, Tag::Folded, Tag::Network];
    let mut seeds = BTreeSet::new();
    for (layer, path) in (0..40).flat_map(|layer| (0..200).map(move |path| (layer, path))) {
        seeds.extend(tags.map(|tag| Layer::seed(layer, PathIndex(path), tag)));
    }
    assert_eq!(seeds.len(), 40 * 200 * tags.len());
}

/// How many rules are looked at, and how many match.
fn looked_at(rules: &str, message: &str) -> (usize, usize) {
    let rules = parse(Source { name: "rules", text: rules }).unwrap_or_else(|f| panic!("{f}"));
    let catalogue = Catalogue::compile(rules);
    let (mut matcher, mut found) = (Matcher::new(), Matches::new());
    matcher.matches(&catalogue, message.as_bytes(), &mut found).unwrap();
    (matcher.looked_at(), found.len())
}

/// Rules of these conditions, one for each number below `count`.
fn many(count: u32, conditions: impl Fn(u32) -> String) -> String {
    let rule = |n| {
        format!("- {{id: r{n:05}, conditions: [{}], actions: [{{workflow: w}}]}}\n", conditions(n))
    };
    (0..count).map(rule).collect()
}

/// Of each kind of key a thousand: a message leads to the rules that have its own.
#[test]
fn whatever_rules_are_filed_under_only_those_of_the_message_are_looked_at() {
    let one = |op: &str, value: String| format!("{{field: a, op: {op}, value: {value}}}");
    let network = |n: u32| format!("10.{}.{}.0/24", n / 256, n % 256);
    // The rules, a message, and how many rules it leads to and matches.
    let rows: [(String, String, usize); 14] = [
        (many(1_000, |n| one("equals", n.to_string())), r#"{"a":17}"#.to_owned(), 1),
        (many(1_000, |n| one("equals", format!("v{n}"))), r#"{"a":"v17"}"#.to_owned(), 1),
        (many(1_000, |n| one("equals", format!("v{n}"))), r#"{"a":"v1700"}"#.to_owned(), 0),
        (many(1_000, |n| one("in", format!("[x{n}, {n}]"))), r#"{"a":["x3",4]}"#.to_owned(), 2),
        (
            many(1_000, |n| one("starts_with", format!("p{n:04}"))),
            r#"{"a":"p0017z"}"#.to_owned(),
            1,
        ),
        (many(1_000, |n| one("ends_with", format!("{n:04}s"))), r#"{"a":"z0017s"}"#.to_owned(), 1),
        (
            many(1_000, |n| one("contains", format!("part{n:04}"))),
            r#"{"a":"a part0017 b part0018"}"#.to_owned(),
            2,
        ),
        (
            many(1_000, |n| one("wildcard", format!("'?part{n:04}*'"))),
            r#"{"a":"xpart0017"}"#.to_owned(),
            1,
        ),
        (
            many(1_000, |n| one("regex", format!("'[xy]part{n:04}'"))),
            r#"{"a":"ypart0017"}"#.to_owned(),
            1,
        ),
        (
            many(1_000, |n| one("equals_ignore_case", format!("Text{n}"))),
            r#"{"a":"TEXT17"}"#.to_owned(),
            1,
        ),
        (many(1_000, |n| one("cidr", network(n))), r#"{"a":"10.1.2.3"}"#.to_owned(), 1),
        (
            many(1_000, |n| one("in_range", format!("[{}, {}.5]", 2 * n, 2 * n))),
            r#"{"a":34.25}"#.to_owned(),
            1,
        ),
        (
            many(1_000, |n| one("in_range", format!("[t{n:04}, t{n:04}x]"))),
            r#"{"a":"t0017m"}"#.to_owned(),
            1,
        ),
        (many(1_000, |n| format!("{{field: f{n}, op: exists}}")), r#"{"f17":null}"#.to_owned(), 1),
    ];
    for (rules, message, expected) in rows {
        let (looked_at, matching) = looked_at(&rules, &message);
        assert_eq!(matching, expected, "{message}: {rules:.200}");
        assert_eq!(looked_at, expected, "{message}: {rules:.200}");
    }
}

/// The longest text that folds into what is filed: three bytes for each of its letters.
#[test]
fn a_text_that_grows_shorter_by_folding_is_found() {
    let text = "k".repeat(64);
    let rule = many(1, |_| format!("{{field: a, op: equals_ignore_case, value: {text}}}"));
    let kelvins = "\u{212a}".repeat(64);
    assert_eq!(looked_at(&rule, &format!("{{\"a\":\"{kelvins}\"}}")), (1, 1));
    assert_eq!(looked_at(&rule, &format!("{{\"a\":\"{kelvins}k\"}}")), (0, 0));
}

/// Rules that share their best key are filed again under the next one, level by level.
#[test]
fn rules_that_share_keys_are_told_apart_by_the_next() {
    // Each field tells the rules apart by half as much as the one before.
    let shared = |n: u32| {
        format!(
            "{{field: a, op: equals, value: a{}}}, {{field: b, op: equals, value: b{}}}, {{field: c, op: equals, value: c{}}}",
            n / 50,
            n % 10,
            n % 50
        )
    };
    let rules = many(1_000, shared);
    for n in [0, 17, 999] {
        let message =
            format!("{{\"a\":\"a{}\",\"b\":\"b{}\",\"c\":\"c{}\"}}", n / 50, n % 10, n % 50);
        assert_eq!(looked_at(&rules, &message), (1, 1), "{message}");
    }
    assert_eq!(looked_at(&rules, r#"{"a":"a0","b":"b1","c":"c2"}"#).1, 0);

    // Nine that nothing tells apart, and eight: all are looked at, each once.
    for count in [8, 9] {
        let same = many(count, |_| "{field: a, op: in, value: [1, 2]}".to_owned());
        let count = usize::try_from(count).unwrap();
        assert_eq!(looked_at(&same, r#"{"a":[1,2,1]}"#), (count, count));
    }
}

/// Few ranges are gone through and many looked for: at the same values the same rules are found.
#[test]
fn a_range_is_found_at_its_ends_and_inside_whether_ranges_are_few_or_many() {
    for count in [1, 2, 160, 161, 400] {
        // Of one type each, so that the ranges stand in a layer of their own.
        let rules = many(count, |n| {
            let low = i64::from(n) * 10 - 1_000;
            let kind = "{field: kind, op: equals, value: k}";
            format!("{kind}, {{field: a, op: in_range, value: [{low}, {}]}}", low + 4)
        });
        for n in [0, count / 2, count - 1] {
            let low = i64::from(n) * 10 - 1_000;
            for (value, expected) in
                [(low - 1, 0), (low, 1), (low + 2, 1), (low + 4, 1), (low + 5, 0)]
            {
                let message = format!("{{\"a\":{value}.0,\"kind\":\"k\"}}");
                // Two rules of one kind stand together, and their ranges are asked of nothing.
                let looked = if count > 3 { expected } else { count as usize };
                assert_eq!(looked_at(&rules, &message), (looked, expected), "{count}: {value}");
            }
        }
        let far = looked_at(&rules, r#"{"a":1e300,"kind":"k"}"#);
        assert_eq!(far.1, 0, "{count}");
    }
}

fn indexed(rules: &str) -> (Program, Index) {
    let rules = parse(Source { name: "rules", text: rules }).unwrap_or_else(|f| panic!("{f}"));
    let mut program = Program::new(Paths::new());
    for rule in &rules {
        program.add(&rule.when);
    }
    program.finish();
    let index = Index::of(&mut program);
    (program, index)
}

#[test]
fn few_ranges_stand_together_and_many_in_a_table() {
    for (count, near) in [(1, 1), (160, 160), (161, 0)] {
        let rules = many(count, |n| format!("{{field: a, op: in_range, value: [{n}, {n}.5]}}"));
        let (_, index) = indexed(&rules);
        assert_eq!(index.near.len(), near, "{count}");
        assert_eq!(index.layers[0].fields[0].numbers.is_some(), near == 0, "{count}");
    }
}

#[test]
fn what_a_rule_was_found_by_is_held_against_the_message_last() {
    let rules = many(20, |n| {
        format!("{{field: a, op: equals, value: {n}}}, {{field: b, op: equals, value: 1}}")
    });
    let (program, _) = indexed(&rules);
    for start in &program.starts {
        let Step::Atom(first) = program.steps[*start as usize + 1] else {
            panic!("two predicates")
        };
        assert_eq!(program.paths.name(program.atoms[first.index()].path), "b");
    }
}

#[test]
fn rules_that_share_all_keys_are_filed_again_when_they_are_many_and_four_times_at_most() {
    let fields =
        ["a", "b", "c", "d", "e", "f"].map(|f| format!("{{field: {f}, op: equals, value: 1}}"));
    // Four that ask for fields, one below the other, and one that is visited once.
    for (count, layers) in [(1, 1), (3, 1), (4, 5), (8, 5)] {
        let (_, index) = indexed(&many(count, |_| fields.join(", ")));
        assert_eq!(index.layers(), layers, "{count}");
    }
}

#[test]
fn rules_that_share_a_key_are_filed_again_when_more_than_half_can_be_told_apart() {
    for (told_apart, fields) in [(0, 0), (4, 0), (5, 1), (8, 1)] {
        let rules = many(8, |n| {
            let own = format!(", {{field: b, op: equals, value: {n}}}");
            let own = if n < told_apart { own } else { String::new() };
            format!("{{field: a, op: equals, value: 1}}{own}")
        });
        let (_, index) = indexed(&rules);
        assert_eq!(index.layers(), 2);
        assert_eq!(index.layers[1].fields.len(), fields, "{told_apart}");
    }
}
