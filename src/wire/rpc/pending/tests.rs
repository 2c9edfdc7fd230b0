use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000_000)
}

fn expire<T>(pending: &mut Pending<T>, now: Instant) -> Vec<(u64, T)> {
    let mut out = Outbox::new();
    pending.on_deadline(now, &mut out);
    out.take()
}

#[test]
fn answers_find_their_calls_in_any_order() {
    let mut pending = Pending::new(8);
    let calls: Vec<u64> = (0..8).map(|n| pending.insert(at(n), n).unwrap()).collect();
    for n in [3, 0, 7, 1, 6, 2, 5, 4] {
        let call = calls[usize::try_from(n).unwrap()];
        assert_eq!(pending.on_answer(call), Answered::Expected(n));
    }
    assert!(pending.is_empty());
    assert_eq!(pending.deadline(), None);
}

#[test]
fn a_full_table_refuses_a_call_until_another_one_ends() {
    let mut pending = Pending::new(2);
    let first = pending.insert(at(1), 'a').unwrap();
    pending.insert(at(1), 'b').unwrap();
    assert!(pending.is_full());
    assert_eq!(pending.insert(at(1), 'c'), Err(PendingFull { calls_max: 2 }));
    assert_eq!(pending.cancel(first), Some('a'));
    let third = pending.insert(at(1), 'c').unwrap();
    assert_eq!(pending.on_answer(third), Answered::Expected('c'));
}

#[test]
fn a_late_answer_is_told_from_one_to_a_call_that_never_was() {
    let mut pending = Pending::new(4);
    let answered = pending.insert(at(9), 0).unwrap();
    assert_eq!(pending.on_answer(answered), Answered::Expected(0));
    let cancelled = pending.insert(at(9), 1).unwrap();
    assert_eq!(pending.cancel(cancelled), Some(1));
    let expired = pending.insert(at(9), 2).unwrap();
    assert_eq!(expire(&mut pending, at(9)), [(expired, 2)]);
    let current = pending.insert(at(99), 3).unwrap();

    let rows = [
        (answered, Answered::Late),
        (cancelled, Answered::Late),
        (expired, Answered::Late),
        (0, Answered::Unknown),
        // The current slot, one use ahead; a slot that was never used; nonsense.
        (current + (1 << SLOT_BITS), Answered::Unknown),
        (current + 1, Answered::Unknown),
        (u64::MAX, Answered::Unknown),
        (current, Answered::Expected(3)),
        (current, Answered::Late),
    ];
    for (call, expected) in rows {
        assert_eq!(pending.on_answer(call), expected, "{call:x}");
    }
    assert_eq!(pending.late(), 4);
}

#[test]
fn deadlines_end_calls_in_their_order_and_not_before() {
    let mut pending = Pending::new(8);
    let late = pending.insert(at(30), 'c').unwrap();
    let early = pending.insert(at(10), 'a').unwrap();
    let middle = pending.insert(at(20), 'b').unwrap();
    assert_eq!(pending.deadline(), Some(at(10)));
    assert_eq!(expire(&mut pending, at(9)), []);
    assert_eq!(expire(&mut pending, at(20)), [(early, 'a'), (middle, 'b')]);
    assert_eq!(pending.deadline(), Some(at(30)));
    assert_eq!(expire(&mut pending, at(1_000)), [(late, 'c')]);
}

#[test]
fn a_drain_ends_every_call_once_and_their_answers_are_late() {
    let mut pending = Pending::new(8);
    let calls: Vec<u64> = (0..5).map(|n| pending.insert(at(5), n).unwrap()).collect();
    assert_eq!(pending.cancel(calls[2]), Some(2));
    let mut out = Outbox::new();
    pending.drain(&mut out);
    assert_eq!(out.take(), [(calls[0], 0), (calls[1], 1), (calls[3], 3), (calls[4], 4)]);
    pending.drain(&mut out);
    assert!(out.is_empty());
    assert_eq!(expire(&mut pending, at(99)), []);
    assert_eq!(pending.on_answer(calls[0]), Answered::Late);
}

/// A call's deadline outlives the call by far when answers are quick: the heap must not keep them.
#[test]
fn the_heap_of_deadlines_stays_small_over_a_million_quick_calls() {
    let mut pending = Pending::new(1_000);
    let resident: Vec<u64> = (0..10).map(|n| pending.insert(at(1), n).unwrap()).collect();
    for n in 0..1_000_000 {
        let call = pending.insert(at(30_000 + n), n).unwrap();
        assert!(pending.deadlines.len() <= 2 * pending.len() + VOID_FREE);
        assert_eq!(pending.on_answer(call), Answered::Expected(n));
    }
    assert_eq!(expire(&mut pending, at(1)).len(), resident.len(), "the sweep lost no deadline");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Answer(usize),
    Cancel(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..50u64).prop_map(Step::Insert),
        3 => (0..40usize).prop_map(Step::Answer),
        1 => (0..40usize).prop_map(Step::Cancel),
        2 => (0..20u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Beside a model that is a plain map: the same calls wait, each ends once, none ends late.
    #[test]
    fn it_does_what_a_map_of_deadlines_does(steps in prop::collection::vec(step(), 1..300)) {
        let mut pending = Pending::new(16);
        let mut model: BTreeMap<u64, Instant> = BTreeMap::new();
        let mut made: Vec<u64> = Vec::new();
        let mut now = at(0);
        for step in steps {
            match step {
                Step::Insert(timeout) => {
                    let deadline = now + std::time::Duration::from_millis(timeout);
                    let inserted = pending.insert(deadline, deadline);
                    prop_assert_eq!(inserted.is_err(), model.len() == 16);
                    if let Ok(call) = inserted {
                        prop_assert!(call != 0 && !made.contains(&call));
                        made.push(call);
                        model.insert(call, deadline);
                    }
                }
                Step::Answer(index) => {
                    let Some(&call) = made.get(index) else { continue };
                    let expected = model.remove(&call).map_or(Answered::Late, Answered::Expected);
                    prop_assert_eq!(pending.on_answer(call), expected);
                }
                Step::Cancel(index) => {
                    let Some(&call) = made.get(index) else { continue };
                    prop_assert_eq!(pending.cancel(call), model.remove(&call));
                }
                Step::Pass(by) => {
                    now = now + std::time::Duration::from_millis(by);
                    let expired = expire(&mut pending, now);
                    prop_assert!(expired.is_sorted_by_key(|(_, deadline)| *deadline));
                    for (call, deadline) in expired {
                        prop_assert!(deadline <= now);
                        prop_assert_eq!(model.remove(&call), Some(deadline));
                    }
                    prop_assert!(model.values().all(|deadline| *deadline > now));
                }
            }
            prop_assert_eq!(pending.len(), model.len());
            let first = model.values().min().copied();
            prop_assert_eq!(pending.deadline().is_some(), first.is_some());
            prop_assert!(pending.deadline() <= first);
        }
    }
}
