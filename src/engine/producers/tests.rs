use super::*;
use crate::keys::fingerprint;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const TTL: Duration = Duration::from_secs(1);

fn at(producer: u64, sequence: u64) -> ProducerSequence {
    ProducerSequence { producer, sequence }
}

fn known(sequence: u64, body: &[u8]) -> Known {
    Known { sequence, body: fingerprint(body), workflows: Arc::new([]) }
}

/// A table that accepts what is new, giving each message the next sequence of the partition.
struct Case {
    table: ProducerTable,
    next: u64,
}

impl Case {
    fn new(places_max: usize) -> Self {
        Self { table: ProducerTable::new(TTL, places_max), next: 1 }
    }

    fn send(&mut self, stamp: u64, at: ProducerSequence, body: &[u8]) -> Verdict {
        let verdict = self.table.look(at, fingerprint(body), UnixMicros(stamp));
        if verdict == Verdict::New {
            self.table.remember(at, known(self.next, body));
            self.next += 1;
        }
        verdict
    }

    fn through_an_image(self, places_max: usize) -> Self {
        let mut table = ProducerTable::new(TTL, places_max);
        for (id, producer) in self.table.iter() {
            table.restore(id, producer.clone());
        }
        Self { table, next: self.next }
    }
}

#[test]
fn five_before_four_does_not_lose_four_and_a_repeat_is_told_the_first_message() {
    let mut case = Case::new(10_000);
    for sequence in [1, 2, 3, 5, 4] {
        assert_eq!(case.send(0, at(7, sequence), b"x"), Verdict::New, "{sequence}");
    }
    assert_eq!(case.send(0, at(7, 5), b"x"), Verdict::Repeat(known(4, b"x")));
    assert_eq!(case.send(0, at(7, 4), b"x"), Verdict::Repeat(known(5, b"x")));
    assert_eq!(case.send(0, at(7, 4), b"y"), Verdict::Conflict(known(5, b"x")));
}

#[test]
fn an_unknown_producer_begins_with_one_and_is_known_even_if_that_one_is_refused() {
    let mut case = Case::new(10_000);
    assert_eq!(case.send(0, at(7, 2), b"x"), Verdict::Unknown);
    assert_eq!(case.table.look(at(7, 1), fingerprint(b"x"), UnixMicros(0)), Verdict::New);
    assert_eq!(case.send(0, at(7, 2), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(7, 1), b"x"), Verdict::New);
}

#[test]
fn what_is_below_the_window_is_an_error() {
    let mut case = Case::new(10_000);
    case.send(0, at(7, 1), b"x");
    assert_eq!(case.send(0, at(7, WINDOW), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(7, 1), b"x"), Verdict::Repeat(known(1, b"x")));
    assert_eq!(case.send(0, at(7, WINDOW + 1), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(7, 1), b"x"), Verdict::TooOld(2));
    assert_eq!(case.send(0, at(7, 2), b"x"), Verdict::New);
    let far = 1 << 60;
    assert_eq!(case.send(0, at(7, far), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(7, far - WINDOW), b"x"), Verdict::TooOld(far - WINDOW + 1));
    assert_eq!(case.send(0, at(7, far - WINDOW + 1), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(7, 0), b"x"), Verdict::TooOld(far - WINDOW + 1));
    assert_eq!(case.send(0, at(7, u64::MAX - 1), b"x"), Verdict::New);
}

#[test]
fn a_producer_is_forgotten_after_its_silence_and_not_before() {
    let mut case = Case::new(10_000);
    case.send(0, at(7, 1), b"x");
    case.send(600_000, at(7, 1), b"x");
    case.table.expire(UnixMicros(1_599_999));
    assert_eq!(case.table.look(at(7, 3), fingerprint(b"x"), UnixMicros(1_599_999)), Verdict::New);
    case.table.expire(UnixMicros(2_599_998));
    assert_eq!(case.table.iter().count(), 1);
    case.table.expire(UnixMicros(2_599_999));
    assert_eq!((case.table.iter().count(), case.table.places), (0, 0));
    assert_eq!(case.send(3_000_000, at(7, 2), b"x"), Verdict::Unknown);
}

#[test]
fn a_full_table_refuses_and_a_window_that_moves_on_takes_no_more_room() {
    let places_max = places(WINDOW) + 1;
    let mut case = Case::new(places_max);
    for sequence in 1..=WINDOW {
        assert_eq!(case.send(0, at(1, sequence), b"x"), Verdict::New);
    }
    assert_eq!(case.send(0, at(2, 1), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(2, 2), b"x"), Verdict::Full);
    assert_eq!(case.send(0, at(3, 1), b"x"), Verdict::Full);
    assert_eq!(case.send(0, at(3, 2), b"x"), Verdict::Full);
    assert_eq!(case.send(0, at(1, WINDOW + 500), b"x"), Verdict::New);
    assert_eq!(case.send(0, at(1, 1 << 40), b"x"), Verdict::New);
    assert_eq!(case.table.places, places_max);
}

proptest! {
    /// Against a model that remembers everything: a number is accepted at most once, and one that
    /// was accepted is never called new, whatever the order, the leaps and the snapshots.
    #[test]
    fn no_number_is_accepted_twice(
        steps in prop::collection::vec((0_u64..3, 0_u64..3_000, 0_u8..4, any::<bool>()), 1..200),
    ) {
        let places_max = 2_500;
        let mut case = Case::new(places_max);
        let mut accepted: BTreeMap<(u64, u64), (u64, u8)> = BTreeMap::new();
        for producer in 0..3 {
            accepted.insert((producer, 1), (case.next, 0));
            prop_assert_eq!(case.send(0, at(producer, 1), &[0]), Verdict::New);
        }
        for (producer, sequence, body, image) in steps {
            let next = case.next;
            let verdict = case.send(0, at(producer, sequence), &[body]);
            let model = accepted.get(&(producer, sequence)).copied();
            match verdict {
                Verdict::New => {
                    prop_assert_eq!(model, None);
                    accepted.insert((producer, sequence), (next, body));
                }
                Verdict::Repeat(told) => prop_assert_eq!(model, Some((told.sequence, body))),
                Verdict::Conflict(told) => {
                    let (first, other) = model.expect("it came before");
                    prop_assert_eq!(told.sequence, first);
                    prop_assert_ne!(other, body);
                }
                Verdict::TooOld(lowest) => prop_assert!(sequence < lowest),
                Verdict::Full => prop_assert!(case.table.places > places_max - places(WINDOW)),
                Verdict::Unknown => prop_assert!(false, "it has begun"),
            }
            let counted: usize = case.table.iter().map(|(_, one)| one.places.len()).sum();
            prop_assert_eq!(counted, case.table.places);
            prop_assert!(counted <= places_max);
            if image {
                case = case.through_an_image(places_max);
            }
        }
    }
}
