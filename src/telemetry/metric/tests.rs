use super::*;

static SIZES: HistogramFamily =
    HistogramFamily { name: "sizes", help: "Sizes.", unit: Unit::One, bounds: &[1, 10, 100] };

#[test]
fn a_counter_counts_for_every_holder_of_it() {
    let counter = Counter::default();
    let other = counter.clone();
    counter.increment();
    other.add(4);
    assert_eq!(counter.value(), 5);
    counter.add_duration(Duration::from_nanos(7));
    assert_eq!(other.value(), 12);
}

#[test]
fn a_counter_that_follows_another_never_goes_back() {
    let counter = Counter::default();
    for (total, expected) in [(5, 5), (3, 5), (9, 9)] {
        counter.advance_to(total);
        assert_eq!(counter.value(), expected);
    }
}

#[test]
fn a_gauge_goes_both_ways() {
    let gauge = Gauge::default();
    gauge.set_count(3);
    gauge.add(-1.5);
    assert!((gauge.value() - 1.5).abs() < f64::EPSILON);
}

#[test]
fn an_observation_goes_into_the_first_bucket_whose_bound_holds_it() {
    let histogram = Histogram::new(&SIZES);
    for value in [0, 1, 2, 10, 11, 100, 101, 1_000] {
        histogram.observe(value);
    }
    assert_eq!(histogram.buckets(), [2, 2, 2, 2]);
    assert_eq!(histogram.sum(), 1_225);
    histogram.observe_many(5, 100);
    assert_eq!(histogram.buckets(), [2, 102, 2, 2]);
    assert_eq!(histogram.sum(), 1_725);
}
