use super::*;
use proptest::prelude::*;

#[test]
fn every_bucket_ends_where_the_next_begins() {
    assert_eq!(bucket_of(0), 0);
    assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    assert_eq!(largest_of(BUCKETS - 1), u64::MAX);
    for bucket in 0..BUCKETS - 1 {
        let largest = largest_of(bucket);
        assert_eq!(bucket_of(largest), bucket);
        assert_eq!(bucket_of(largest + 1), bucket + 1);
    }
}

#[test]
fn quantiles_are_those_of_what_was_observed() {
    let summary = Summary::default();
    assert_eq!(quantile(&summary.buckets(), 500), None);
    for value in 1..=1_000 {
        summary.observe(value);
    }
    assert_eq!(summary.sum(), 500_500);
    let buckets = summary.buckets();
    let told: Vec<_> = QUANTILES.iter().map(|(q, _)| quantile(&buckets, *q).unwrap()).collect();
    assert_eq!(told, [503, 911, 991, 1_007]);
    summary.observe_duration(Duration::from_secs(3));
    assert_eq!(summary.sum(), 3_000_500_500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_quantile_is_right_to_a_32nd_upwards(
        mut values in prop::collection::vec(any::<u64>(), 1..200),
        scale in 0_u32..64,
        thousandths in 1_u16..=1_000,
    ) {
        let summary = Summary::default();
        for value in &mut values {
            *value >>= scale;
            summary.observe(*value);
        }
        values.sort_unstable();
        let rank = (values.len() * usize::from(thousandths)).div_ceil(1_000);
        let exact = values[rank - 1];
        let told = quantile(&summary.buckets(), thousandths).unwrap();
        prop_assert!(told >= exact, "{told} {exact}");
        prop_assert!(told - exact <= exact / 32, "{told} {exact}");
    }
}
