//! Which grams a part is filed under. That parts are found is tested beside the other tables of
//! the index.

use super::{Frequencies, GRAM_BYTES, Grams, STEP_MAX, gram, hash};
use std::collections::BTreeSet;

#[test]
fn a_step_is_as_long_as_the_part_allows() {
    let rows = [(4, 1), (5, 2), (7, 4), (11, STEP_MAX), (12, STEP_MAX), (1_000, STEP_MAX)];
    for (bytes, step) in rows {
        assert_eq!(Grams::step_for(bytes), step, "{bytes}");
    }
}

#[test]
fn a_part_is_filed_under_its_rarest_grams() {
    let mut frequencies = Frequencies::default();
    for part in ["aaaabbbb", "aaaab", "aaaa"] {
        frequencies.count(part.as_bytes());
    }
    let of = |text: &str| frequencies.of(gram(text.as_bytes()));
    assert_eq!([of("aaaa"), of("aaab"), of("aabb"), of("bbbb"), of("xxxx")], [3, 2, 1, 1, 0]);
    // The part, the step, and where the first of its grams stands.
    let rows = [
        ("aaaabbbb", 1, 2),
        ("aaaabbbb", 2, 2),
        ("aaaabbbb", 4, 1),
        ("aaaabbbb", 5, 0),
        ("aaaaxxxx", 1, 1),
        ("aaaaxxxx", 2, 1),
        ("aaaa", 1, 0),
        ("xxxxaaaa", 1, 0),
    ];
    for (part, step, expected) in rows {
        assert_eq!(frequencies.rarest(part.as_bytes(), step), expected, "{part}, {step}");
    }
}

#[test]
fn grams_are_read_whole_and_hashed_apart() {
    assert_eq!(gram(b"\x01\x02\x03\x04"), 0x0403_0201);
    let letters = (b'a'..=b'z').flat_map(|first| (b'a'..=b'z').map(move |second| (first, second)));
    let hashes: BTreeSet<usize> =
        letters.map(|(first, second)| hash(gram(&[b'x', first, second, b'y']))).collect();
    assert_eq!(hashes.len(), 26 * 26);
    // Where the filter and the slots look.
    let bits: BTreeSet<usize> = hashes.iter().map(|hash| hash % 4_096).collect();
    let slots: BTreeSet<usize> = hashes.iter().map(|hash| hash / 64 % 4_096).collect();
    assert!(bits.len() > 500 && slots.len() > 500, "{} {}", bits.len(), slots.len());
}

#[test]
fn the_filter_stops_most_of_what_is_nobodys() {
    let parts: Vec<String> = (0..200).map(|n| format!("part-{n:03}-of-it")).collect();
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    for step in 1..=STEP_MAX {
        let grams = Grams::of(&parts, step, &Frequencies::default());
        assert!(grams.slots.len().is_power_of_two() && grams.filter.len().is_power_of_two());
        let used = grams.slots.iter().filter(|slot| slot.part != 0).count();
        assert_eq!(used, parts.len() * step);
        assert!(used * 2 <= grams.slots.len() && grams.slots.len() <= used * 4);
        let set: u32 = grams.filter.iter().map(|word| word.count_ones()).sum();
        let share = grams.filter.len() * 64 / set as usize;
        assert!(share >= 8, "at most one bit in eight is set: one in {share}");
    }
    assert!(parts[0].len() >= GRAM_BYTES + STEP_MAX - 1);
}
