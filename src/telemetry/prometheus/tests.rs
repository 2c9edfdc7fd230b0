use super::*;
use crate::metric::{CounterFamily, GaugeFamily, HistogramFamily, Merge};
use crate::registry::{Registry, merge};
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
    for nanos in [50_000, 60_000, 1_000_001, 2_000_000_000, 9_000_000_000] {
        wait.observe(nanos);
    }
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

/// A reader of the format, strict about what a scraper is strict about: one line per sample, a name,
/// labels with escaped values, one number.
fn value_of_label(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("label=\"")?;
    let mut value = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    (chars.as_str() == "} 1").then_some(value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_value_of_a_label_comes_back_from_its_line(label in any::<String>()) {
        let registry = Registry::new();
        registry.counter(&HITS, &[("label", &label)]).increment();
        let text = text(&registry);
        let line = text.split('\n').find(|line| line.starts_with("hits_total{")).unwrap();
        prop_assert_eq!(value_of_label(line), Some(label));
    }
}
