use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn bucket(rate: u32, burst: u32) -> TokenBucket {
    TokenBucket::new(
        NonZeroU32::new(rate).unwrap(),
        NonZeroU32::new(burst).unwrap(),
        Instant(5 * SECOND),
    )
}

/// At so many nanoseconds after the bucket was made, so many tokens are asked for: given, or how
/// many nanoseconds after the making to come again.
type Row = (u64, u32, Result<(), u64>);

#[test]
fn tokens_are_given_or_the_moment_is_told_when_they_will_be_there() {
    let tables: &[(u32, u32, &[Row])] = &[
        // Ten per second, three at once.
        (
            10,
            3,
            &[
                (0, 1, Ok(())),
                (0, 2, Ok(())),
                (0, 1, Err(SECOND / 10)),
                (SECOND / 10 - 1, 1, Err(SECOND / 10)),
                (SECOND / 10, 1, Ok(())),
                // A refusal took nothing.
                (SECOND / 10, 2, Err(3 * SECOND / 10)),
                (2 * SECOND / 10, 1, Ok(())),
                // An hour fills it to the burst, not to more.
                (3_600 * SECOND, 3, Ok(())),
                (3_600 * SECOND, 1, Err(3_600 * SECOND + SECOND / 10)),
            ],
        ),
        // A rate that does not divide a second: the moment is rounded up, never down.
        (
            3,
            2,
            &[
                (0, 2, Ok(())),
                (0, 1, Err(333_333_334)),
                (333_333_333, 1, Err(333_333_334)),
                (333_333_334, 1, Ok(())),
                // Two billionths were left over, and count.
                (666_666_667, 1, Ok(())),
                (1_000_000_000, 1, Ok(())),
            ],
        ),
        // Nothing is always there.
        (1, 1, &[(0, 1, Ok(())), (0, 0, Ok(())), (0, 1, Err(SECOND))]),
    ];
    for (rate, burst, rows) in tables {
        let mut bucket = bucket(*rate, *burst);
        for (at, tokens, expected) in *rows {
            let start = Instant(5 * SECOND);
            let taken = bucket.take(start + Duration::from_nanos(*at), *tokens);
            let expected = expected
                .map_err(|until| TokenError::Later { until: start + Duration::from_nanos(until) });
            assert_eq!(taken, expected, "{rate}/s, burst {burst}: {tokens} at {at} ns");
        }
    }
}

#[test]
fn more_than_a_burst_is_never_there() {
    let error = bucket(1_000, 10).take(Instant(u64::MAX), 11).unwrap_err();
    assert_eq!(error, TokenError::Never { wanted: 11, burst: 10 });
    assert_eq!(error.to_string(), "11 at once, and a burst is at most 10");
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut bucket = bucket(1, 1);
    bucket.take(Instant(9 * SECOND), 1).unwrap();
    assert_eq!(bucket.available(Instant(0)), 0);
    assert_eq!(bucket.available(Instant(10 * SECOND)), 1);
}

#[test]
fn the_largest_bucket_and_the_end_of_time_overflow_nothing() {
    let mut bucket = bucket(u32::MAX, u32::MAX);
    bucket.take(Instant(5 * SECOND), u32::MAX).unwrap();
    assert_eq!(bucket.available(Instant(6 * SECOND)), u32::MAX);
    bucket.take(Instant(u64::MAX), u32::MAX).unwrap();
    assert!(bucket.take(Instant(u64::MAX), 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_more_is_given_than_the_burst_and_what_the_time_refilled(
        rate in 1_u32..100_000,
        burst in 1_u32..5_000,
        steps in prop::collection::vec((0_u64..50_000_000, 0_u32..6_000), 0..100),
    ) {
        let mut bucket = bucket(rate, burst);
        let start = Instant(5 * SECOND);
        let (mut now, mut given) = (start, 0_u128);
        for (pause, tokens) in steps {
            now = now + Duration::from_nanos(pause);
            match bucket.take(now, tokens) {
                Ok(()) => given += u128::from(tokens),
                Err(TokenError::Never { .. }) => prop_assert!(tokens > burst),
                Err(TokenError::Later { until }) => {
                    // Neither a moment too early nor one too late.
                    let mut early = bucket.clone();
                    prop_assert!(early.take(Instant(until.0 - 1), tokens).is_err());
                    prop_assert!(bucket.clone().take(until, tokens).is_ok());
                }
            }
            let refilled = now.since(start).as_nanos() * u128::from(rate);
            prop_assert!(given * 1_000_000_000 <= u128::from(burst) * 1_000_000_000 + refilled);
        }
    }
}
