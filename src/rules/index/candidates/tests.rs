//! The set against a sorted one of the standard library.

use super::Candidates;
use base::Prng;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// What comes out, up to and with the one that says stop.
fn drained(candidates: &mut Candidates, stop: Option<u32>) -> Vec<u32> {
    let mut out = Vec::new();
    candidates.drain(|rule| {
        out.push(rule);
        if stop == Some(rule) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    out
}

#[test]
fn what_was_put_in_comes_out_once_and_in_order_and_nothing_is_left() {
    let mut prng = Prng::new(11);
    let mut candidates = Candidates::default();
    // As many rules as fill one word, one word of words, and some more; up and down.
    for rules in [1, 63, 64, 65, 4_095, 4_096, 4_097, 20_000, 64, 9_000, 1] {
        candidates.fit(rules, 0);
        assert_eq!(drained(&mut candidates, None), [0; 0], "empty at first");
        let ends = [0, 63, 64, 4_095, 4_096, rules - 1];
        let mut expected: BTreeSet<u32> = ends
            .into_iter()
            .filter(|rule| *rule < rules)
            .map(|rule| u32::try_from(rule).unwrap())
            .collect();
        for _ in 0..prng.below(200) {
            expected.insert(u32::try_from(prng.below(rules as u64)).unwrap());
        }
        let mut put: Vec<u32> = expected.iter().copied().rev().collect();
        put.push(put[0]);
        candidates.insert_all(&put);
        let expected: Vec<u32> = expected.into_iter().collect();
        assert_eq!(drained(&mut candidates, None), expected, "{rules}");
        assert_eq!(drained(&mut candidates, None), [0; 0], "it was emptied");

        let middle = expected.len() / 2;
        candidates.insert_all(&put);
        assert_eq!(drained(&mut candidates, Some(expected[middle])), expected[..=middle]);
        assert_eq!(drained(&mut candidates, None), [0; 0], "also by a stop");
    }
}

#[test]
fn a_layer_is_visited_once_for_each_message() {
    let mut candidates = Candidates::default();
    // The counter begins anew after 2^32 messages, and what was visited before is not taken for
    // visited then.
    for start in [0, 7, u32::MAX - 2] {
        candidates.message = start;
        for layers in [3, 2, 5, 5] {
            candidates.fit(1, layers);
            for layer in 0..u32::try_from(layers).unwrap() {
                assert!(candidates.visit(layer), "{start}, {layers}: {layer}");
                assert!(!candidates.visit(layer));
            }
        }
    }
}

#[test]
fn what_the_first_message_visited_is_not_visited_for_the_first_one_after_the_counter_began_anew() {
    let mut candidates = Candidates::default();
    candidates.fit(1, 2);
    assert!(candidates.visit(0));
    candidates.message = u32::MAX;
    candidates.fit(1, 2);
    assert!(candidates.visit(0) && candidates.visit(1));
}
