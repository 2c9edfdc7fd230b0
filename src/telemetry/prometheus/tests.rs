use super::*;
use crate::metric::{CounterFamily, GaugeFamily, HistogramFamily, Merge};
use crate::registry::{Registry, merge};
use crate::summary::SummaryFamily;
use openmetrics_parser::prometheus::parse_prometheus;
use openmetrics_parser::{PrometheusType, PrometheusValue};
use proptest::prelude::*;

static HITS: CounterFamily =
    CounterFamily { name: "hits_total", help: "Hits \\ of\nall kinds \"x\".", unit: Unit::One };
static BUSY: CounterFamily =
    CounterFamily { name: "busy_seconds_total", help: "Time at work.", unit: Unit::Nanoseconds };
static OPEN: GaugeFamily = GaugeFamily { name: "open", help: "Open.", merge: Merge::Sum };
static WAIT: HistogramFamily = HistogramFamily {
    name: "wait_seconds",
    help: "Waiting.",
    unit: Unit::Nanoseconds,
    bounds: &[50_000, 1_000_000, 2_500_000_000],
};

static LONG: SummaryFamily =
    SummaryFamily { name: "long_seconds", help: "Taking long.", unit: Unit::Nanoseconds };

fn text(registry: &Registry) -> String {
    let mut out = Vec::new();
    prometheus(&merge([registry.snapshot()]), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn families_stand_under_their_help_and_type_in_order() {
    let registry = Registry::new();
    registry.counter(&HITS, &[("path", "a\\b\n\"c\""), ("code", "200")]).add(3);
    registry.counter(&HITS, &[]).add(u64::MAX);
    registry.counter(&BUSY, &[]).add(12_345_678_900);
    registry.gauge(&OPEN, &[("core", "1")]).set(-0.25);
    let wait = registry.histogram(&WAIT, &[("core", "0")]);
    let long = registry.summary(&LONG, &[("core", "0")]);
    for nanos in [50_000, 60_000, 1_000_001, 2_000_000_000, 9_000_000_000] {
        wait.observe(nanos);
        long.observe(nanos);
    }
    registry.summary(&LONG, &[("core", "1")]);
    let expected = r#"# HELP busy_seconds_total Time at work.
# TYPE busy_seconds_total counter
busy_seconds_total 12.3456789
# HELP distric_metric_series_refused_total Cells that were asked for and not kept, as the core's registry was full.
# TYPE distric_metric_series_refused_total counter
distric_metric_series_refused_total 0
# HELP hits_total Hits \\ of\nall kinds "x".
# TYPE hits_total counter
hits_total 18446744073709551615
hits_total{code="200",path="a\\b\n\"c\""} 3
# HELP long_seconds Taking long.
# TYPE long_seconds summary
long_seconds{core="0",quantile="0.5"} 0.001015807
long_seconds{core="0",quantile="0.9"} 9.126805503
long_seconds{core="0",quantile="0.99"} 9.126805503
long_seconds{core="0",quantile="0.999"} 9.126805503
long_seconds_sum{core="0"} 11.001110001
long_seconds_count{core="0"} 5
long_seconds{core="1",quantile="0.5"} NaN
long_seconds{core="1",quantile="0.9"} NaN
long_seconds{core="1",quantile="0.99"} NaN
long_seconds{core="1",quantile="0.999"} NaN
long_seconds_sum{core="1"} 0
long_seconds_count{core="1"} 0
# HELP open Open.
# TYPE open gauge
open{core="1"} -0.25
# HELP wait_seconds Waiting.
# TYPE wait_seconds histogram
wait_seconds_bucket{core="0",le="0.00005"} 1
wait_seconds_bucket{core="0",le="0.001"} 2
wait_seconds_bucket{core="0",le="2.5"} 4
wait_seconds_bucket{core="0",le="+Inf"} 5
wait_seconds_sum{core="0"} 11.001110001
wait_seconds_count{core="0"} 5
"#;
    assert_eq!(text(&registry), expected);
}

#[test]
fn levels_that_are_no_numbers_are_written_as_prometheus_reads_them() {
    let rows = [
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
        (1e15, "1000000000000000"),
        (0.5, "0.5"),
    ];
    for (value, expected) in rows {
        let mut out = Vec::new();
        write_float(value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

/// A reader that is not ours, and strict: a grammar for the format, and rules for what belongs
/// together.
#[test]
fn a_strict_reader_finds_every_family_with_its_samples() {
    let registry = Registry::new();
    registry.counter(&HITS, &[("code", "200"), ("path", "a\\b\n\"c\",=}{ö")]).add(3);
    registry.counter(&HITS, &[("code", "404"), ("path", "")]).add(1 << 40);
    registry.counter(&BUSY, &[]).add(12_345_678_900);
    registry.gauge(&OPEN, &[("core", "1")]).set(f64::NEG_INFINITY);
    let wait = registry.histogram(&WAIT, &[("core", "0")]);
    let long = registry.summary(&LONG, &[("core", "0")]);
    for nanos in [50_000, 60_000, 1_000_001, 2_000_000_000, 9_000_000_000] {
        wait.observe(nanos);
        long.observe(nanos);
    }
    let read = parse_prometheus(&text(&registry)).unwrap();
    let mut names: Vec<_> = read.families.keys().map(String::as_str).collect();
    names.sort_unstable();
    let refused = "distric_metric_series_refused_total";
    assert_eq!(
        names,
        ["busy_seconds_total", refused, "hits_total", "long_seconds", "open", "wait_seconds"]
    );

    let family = &read.families["hits_total"];
    assert_eq!(family.family_type, PrometheusType::Counter);
    assert_eq!(family.help, HITS.help);
    assert_eq!(family.get_label_names(), ["code", "path"]);
    let values = |name: &str| -> Vec<PrometheusValue> {
        read.families[name].iter_samples().map(|sample| sample.value.clone()).collect()
    };
    let hit = |path: &str| {
        let mut samples = family.iter_samples();
        let sample =
            samples.find(|s| s.get_labelset().unwrap().get_label_value("path") == Some(path));
        match &sample.unwrap().value {
            PrometheusValue::Counter(counter) => counter.value.as_f64(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(hit("a\\b\n\"c\",=}{ö").to_string(), "3");
    assert_eq!(hit("").to_string(), (1_u64 << 40).to_string());
    let [PrometheusValue::Gauge(open)] = values("open")[..] else { panic!("a gauge") };
    assert!(open.as_f64().is_infinite());
    let [PrometheusValue::Histogram(ref wait)] = values("wait_seconds")[..] else {
        panic!("a histogram")
    };
    let buckets: Vec<_> = wait
        .buckets
        .iter()
        .map(|b| (b.upper_bound.to_string(), b.count.as_i64().unwrap()))
        .collect();
    let expected = [("0.00005", 1), ("0.001", 2), ("2.5", 4), ("inf", 5)];
    assert_eq!(buckets, expected.map(|(bound, count)| (bound.to_owned(), count)));
    assert_eq!(wait.count, Some(5));
    let [PrometheusValue::Summary(ref long)] = values("long_seconds")[..] else {
        panic!("a summary")
    };
    assert_eq!((long.quantiles.len(), long.count), (4, Some(5)));
}

#[test]
fn the_strict_reader_refuses_what_is_not_the_format() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 1\n";
    assert!(parse_prometheus(good).is_ok());
    for (right, wrong) in [
        ("# TYPE a_total counter", "# TYPE a_total count"),
        ("x=\"1\"", "x=\"\\q\""),
        ("x=\"1\"", "x=\"1"),
        ("} 1", "} one"),
        ("a_total{", "a-total{"),
    ] {
        assert!(parse_prometheus(&good.replace(right, wrong)).is_err(), "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_value_of_a_label_comes_back_from_its_line(label in any::<String>()) {
        let registry = Registry::new();
        registry.counter(&HITS, &[("label", &label)]).increment();
        let read = parse_prometheus(&text(&registry)).unwrap();
        let sample = read.families["hits_total"].iter_samples().next().unwrap();
        let cut = &label[..label.floor_char_boundary(crate::LABEL_BYTES_MAX)];
        let labels = sample.get_labelset().unwrap();
        prop_assert_eq!(labels.get_label_value("label"), Some(cut));
    }
}
