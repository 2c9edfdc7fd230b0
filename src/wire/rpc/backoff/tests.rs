use super::*;
use proptest::prelude::*;

const OPTIONS: BackoffOptions =
    BackoffOptions { first: Duration::from_millis(10), max: Duration::from_millis(100) };

fn pauses(seed: u64, count: usize) -> Vec<Duration> {
    let mut backoff = Backoff::new(OPTIONS, Prng::new(seed));
    (0..count).map(|_| backoff.next_pause()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_pause_lies_in_the_upper_half_of_a_ceiling_that_doubles_up_to_the_longest(seed: u64) {
        for (ceiling, pause) in [10, 20, 40, 80, 100, 100, 100].into_iter().zip(pauses(seed, 7)) {
            let ceiling = Duration::from_millis(ceiling);
            prop_assert!(ceiling / 2 <= pause && pause <= ceiling, "{pause:?} of {ceiling:?}");
        }
    }
}

#[test]
fn two_seeds_spread_and_one_seed_repeats() {
    assert_eq!(pauses(1, 20), pauses(1, 20));
    assert_ne!(pauses(1, 20), pauses(2, 20));
}

#[test]
fn after_a_success_the_pauses_begin_anew() {
    let mut backoff = Backoff::new(OPTIONS, Prng::new(7));
    for _ in 0..6 {
        backoff.next_pause();
    }
    backoff.reset();
    assert!(backoff.next_pause() <= OPTIONS.first);
}

#[test]
fn no_pause_at_all_and_the_longest_there_is_are_both_fine() {
    for most in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let options = BackoffOptions { first: most, max: most };
        let mut backoff = Backoff::new(options, Prng::new(3));
        for _ in 0..3 {
            assert!(backoff.next_pause() <= most);
        }
    }
}
