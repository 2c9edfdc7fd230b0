use super::*;
use base::{MessageId, PartitionId};

fn instance(sequence: u64) -> InstanceId {
    InstanceId { message: MessageId::new(PartitionId(3), sequence), ordinal: 1 }
}

fn delays(retry: &Retry, attempts: std::ops::RangeInclusive<u32>) -> Vec<u128> {
    attempts
        .map(|attempt| retry.delay(instance(1), TaskIndex::new(0), attempt).as_millis())
        .collect()
}

#[test]
fn a_delay_doubles_until_the_cap() {
    let retry = Retry {
        first: Duration::from_millis(200),
        cap: Duration::from_secs(2),
        jitter: Jitter::None,
        ..Retry::times(9)
    };
    assert_eq!(delays(&retry, 1..=6), [200, 400, 800, 1600, 2000, 2000]);
    let fixed = Retry { backoff: Backoff::Fixed, ..retry };
    assert_eq!(delays(&fixed, 1..=3), [200, 200, 200]);
}

#[test]
fn doubling_past_64_bits_ends_at_the_cap() {
    let cap = Duration::from_hours(24);
    let retry = Retry { jitter: Jitter::None, cap, ..Retry::times(RETRIES_MAX) };
    for attempt in [44, 45, 46, 63, 64, 65, 100, u32::MAX] {
        assert_eq!(retry.delay(instance(1), TaskIndex::new(0), attempt), cap, "{attempt}");
    }
    let none = Retry { first: Duration::ZERO, ..retry };
    assert_eq!(none.delay(instance(1), TaskIndex::new(0), 90), Duration::ZERO);
}

#[test]
fn full_jitter_stays_within_the_delay_and_uses_all_of_it() {
    let retry = Retry::times(5);
    let micros: Vec<u128> =
        (1..=4_000).map(|n| retry.delay(instance(n), TaskIndex::new(2), 3).as_micros()).collect();
    let ceiling = 4_000_000;
    assert!(micros.iter().all(|delay| *delay <= ceiling));
    let quarter = |n: u128| micros.iter().filter(|delay| **delay / (ceiling / 4) == n).count();
    for n in 0..4 {
        assert!((900..1_100).contains(&quarter(n)), "quarter {n} holds {}", quarter(n));
    }
}

#[test]
fn jitter_is_the_same_on_every_node_and_differs_by_instance_task_and_attempt() {
    let retry = Retry { backoff: Backoff::Fixed, ..Retry::times(5) };
    let delay = |n, task, attempt| retry.delay(instance(n), TaskIndex::new(task), attempt);
    // Golden: a change would move the timers of instances that are under way.
    assert_eq!(delay(1, 0, 1), Duration::from_micros(830_301));
    let all = [delay(1, 0, 1), delay(2, 0, 1), delay(1, 1, 1), delay(1, 0, 2)];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[place + 1..].contains(one), "{all:?}");
    }
}
