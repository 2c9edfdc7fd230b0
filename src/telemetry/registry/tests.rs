use super::*;
use crate::metric::Unit;

static HITS: CounterFamily = CounterFamily { name: "hits_total", help: "Hits.", unit: Unit::One };
static OPEN: GaugeFamily = GaugeFamily { name: "open", help: "Open.", merge: Merge::Sum };
static TERM: GaugeFamily = GaugeFamily { name: "term", help: "Term.", merge: Merge::Max };
static SIZES: HistogramFamily =
    HistogramFamily { name: "sizes", help: "Sizes.", unit: Unit::One, bounds: &[1, 10] };

static TIMES: SummaryFamily = SummaryFamily { name: "times", help: "Times.", unit: Unit::One };

fn value<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Value {
    snapshot.samples().iter().find(|sample| sample.name() == name).unwrap().value()
}

#[test]
fn equal_labels_in_any_order_give_the_same_cell() {
    let registry = Registry::new();
    registry.counter(&HITS, &[("a", "1"), ("b", "2")]).add(2);
    registry.clone().counter(&HITS, &[("b", "2"), ("a", "1")]).add(3);
    registry.counter(&HITS, &[("a", "1")]).add(7);
    let snapshot = registry.snapshot();
    let hits: Vec<_> =
        snapshot.samples().iter().filter(|s| s.name() == "hits_total").map(Sample::value).collect();
    assert_eq!(hits, [&Value::Count(7), &Value::Count(5)]);
}

#[test]
fn a_snapshot_may_leave_its_core_and_does_not_change_there() {
    fn leaves_its_core(_: &(impl Send + 'static)) {}
    let registry = Registry::new();
    let hits = registry.counter(&HITS, &[]);
    hits.increment();
    let snapshot = registry.snapshot();
    leaves_its_core(&snapshot);
    hits.increment();
    assert_eq!(value(&snapshot, "hits_total"), &Value::Count(1));
}

#[test]
fn cores_are_merged_as_each_family_asks() {
    let core = |number: u8| {
        let registry = Registry::new();
        registry.counter(&HITS, &[]).add(u64::from(number));
        registry.gauge(&OPEN, &[]).set(f64::from(number));
        registry.gauge(&TERM, &[]).set(f64::from(number));
        registry.histogram(&SIZES, &[]).observe(u64::from(number));
        registry.summary(&TIMES, &[]).observe(u64::from(number));
        registry.snapshot()
    };
    let merged = merge([core(1), core(5), core(2)]);
    assert_eq!(value(&merged, "hits_total"), &Value::Count(8));
    assert_eq!(value(&merged, "open"), &Value::Level(8.0));
    assert_eq!(value(&merged, "term"), &Value::Level(5.0));
    assert_eq!(value(&merged, "sizes"), &Value::Buckets { buckets: vec![1, 2, 0], sum: 8 });
    let times = Value::Quantiles { buckets: vec![0, 1, 1, 0, 0, 1], sum: 8 };
    assert_eq!(value(&merged, "times"), &times);
}

#[test]
fn the_order_of_the_cores_does_not_matter() {
    let core = |label: &'static str| {
        let registry = Registry::new();
        registry.counter(&HITS, &[("core", label)]).increment();
        registry.snapshot()
    };
    let forth = merge([core("0"), core("1"), core("2")]);
    let back = merge([core("2"), core("1"), core("0")]);
    assert_eq!(forth, back);
}

#[test]
fn a_full_registry_hands_out_cells_that_nobody_scrapes_and_counts_them() {
    let registry = Registry::new();
    for number in 0..SERIES_MAX + 10 {
        registry.counter(&HITS, &[("id", &number.to_string())]).increment();
    }
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.samples().len(), SERIES_MAX);
    // One place is the count of refusals itself.
    assert_eq!(value(&snapshot, "distric_metric_series_refused_total"), &Value::Count(11));
    registry.counter(&HITS, &[("id", "0")]).increment();
    assert_eq!(value(&registry.snapshot(), "hits_total"), &Value::Count(2));
}

#[test]
#[should_panic(expected = "`le` is the format's own")]
fn a_histogram_has_no_label_le() {
    Registry::new().histogram(&SIZES, &[("le", "1")]);
}

#[test]
#[should_panic(expected = "`quantile` is the format's own")]
fn a_summary_has_no_label_quantile() {
    Registry::new().summary(&TIMES, &[("quantile", "1")]);
}

#[test]
fn a_label_too_long_is_cut_at_a_character() {
    let registry = Registry::new();
    let long = format!("x{}", "ö".repeat(LABEL_BYTES_MAX));
    registry.counter(&HITS, &[("path", &long)]).increment();
    registry.counter(&HITS, &[("path", &format!("{long}!"))]).increment();
    let snapshot = registry.snapshot();
    let hits = snapshot.samples().iter().find(|s| s.name() == "hits_total").unwrap();
    let cut = format!("x{}", "ö".repeat((LABEL_BYTES_MAX - 1) / 2));
    assert_eq!(hits.labels(), [("path", cut)]);
    assert_eq!(hits.value(), &Value::Count(2));
}

#[test]
#[should_panic(expected = "has 9 labels")]
fn nine_labels_are_too_many() {
    let labels: Vec<_> =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"].into_iter().map(|l| (l, "x")).collect();
    Registry::new().counter(&HITS, &labels);
}
