//! What no message shows: where two keys of one hash lead, and which table has a part.

use super::{Builder, Frequencies, Index, Layer, PARTS_FEW, Target, parts};
use aho_corasick::AhoCorasickKind;
use smallvec::SmallVec;

#[test]
fn two_keys_of_one_hash_lead_to_the_rules_of_both() {
    let frequencies = Frequencies::default();
    let index = Index::default();
    let mut builder = Builder { clauses: &[], index, frequencies, told: Vec::new() };
    let all = builder.span(&[2, 3]);
    builder.index.layers.push(Layer { always: all, all, fields: SmallVec::new() });
    let one = Target::Rules(builder.span(&[3, 5]));
    builder.post(7, one);
    builder.post(8, one);
    builder.post(7, Target::Layer(0));
    let rules = |hash: u64| {
        let posting = *builder.index.postings.find(hash, |posting| posting.hash == hash).unwrap();
        builder.all_of(posting.target)
    };
    assert_eq!(rules(7), [2, 3, 5]);
    assert_eq!(rules(8), [3, 5], "another one is left alone");
}

#[test]
fn a_part_of_four_bytes_has_a_gram_and_shorter_ones_an_automaton_the_quickest_for_few() {
    let short: Vec<String> = (0..PARTS_FEW).map(|n| format!("{n:03}")).collect();
    let target = Target::Layer(0);
    for (count, kind) in [
        (1, AhoCorasickKind::DFA),
        (PARTS_FEW - 1, AhoCorasickKind::DFA),
        (PARTS_FEW, AhoCorasickKind::ContiguousNFA),
    ] {
        let all = short[..count].iter().map(|text| (text.as_bytes(), target));
        let all: Vec<(&[u8], Target)> = all.chain([(&b"four"[..], target)]).collect();
        let parts = parts(&all, &Frequencies::default());
        let (automaton, targets) = parts.automaton.as_deref().unwrap();
        assert_eq!((automaton.kind(), targets.len()), (kind, count));
        assert_eq!(parts.grams.as_ref().map(|(_, targets)| targets.len()), Some(1));
    }
}
