//! Tests of times.

use super::*;
use proptest::prelude::*;

fn span(text: &str) -> Duration {
    Duration::parse(text).unwrap()
}

#[test]
fn a_timestamp_is_written_in_utc_with_the_digits_it_needs() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2026-01-31t09:15:00.250z", "2026-01-31T09:15:00.25Z"),
        ("2026-01-31T09:15:00+02:00", "2026-01-31T07:15:00Z"),
        ("2026-01-01T00:15:00+05:30", "2025-12-31T18:45:00Z"),
        ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("1969-12-31T23:59:59.000000001Z", "1969-12-31T23:59:59.000000001Z"),
        ("2026-01-31T09:15:00.000000-00:00", "2026-01-31T09:15:00Z"),
    ] {
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_not_rfc_3339_or_not_in_the_years_is_no_timestamp() {
    for text in [
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T09:15Z",
        "2026-01-31T09:15:00",
        "2026-01-31 09:15:00Z",
        "2026-1-31T09:15:00Z",
        "2026-02-29T09:15:00Z",
        "2026-13-01T09:15:00Z",
        "2026-00-01T09:15:00Z",
        "2026-01-00T09:15:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T09:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-01-31T09:15:00.Z",
        "2026-01-31T09:15:00.1234567891Z",
        "2026-01-31T09:15:00+2:00",
        "2026-01-31T09:15:00+0200",
        "2026-01-31T09:15:00+24:00",
        "2026-01-31T09:15:00Z ",
        " 2026-01-31T09:15:00Z",
        "２026-01-31T09:15:00Z",
        "+2026-01-31T09:15:00Z",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ] {
        assert_eq!(Timestamp::parse(text), None, "{text}");
    }
}

#[test]
fn a_duration_is_written_in_seconds() {
    for (text, expected) in [
        ("0", "0s"),
        ("0s", "0s"),
        ("-0s", "0s"),
        ("90s", "90s"),
        ("+1h30m", "5400s"),
        ("1.5h", "5400s"),
        ("-1m30.5s", "-90.5s"),
        (".5s", "0.5s"),
        ("1.s", "1s"),
        ("250ms", "0.25s"),
        ("1us", "0.000001s"),
        ("1µs1μs", "0.000002s"),
        ("1ns", "0.000000001s"),
        ("0.9ns", "0s"),
        ("0.0000000000000000000000001s", "0s"),
        ("000000000000000000000000001s", "1s"),
        ("1s1s1s", "3s"),
        ("9223372036854775807ns", "9223372036.854775807s"),
        ("-9223372036854775808ns", "-9223372036.854775808s"),
        ("2562047h47m16.854775807s", "9223372036.854775807s"),
    ] {
        assert_eq!(span(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_written_or_lasts_otherwise_is_no_duration() {
    for text in
        ["", "-", "+", "s", "1", "1x", "1 s", " 1s", "1d", "--1s", "1h-1m", ".", ".s", "1.2.3s"]
    {
        assert_eq!(Duration::parse(text), Err(BadDuration::Text), "{text}");
    }
    for text in [
        "9223372036854775808ns",
        "-9223372036854775809ns",
        "9223372037s",
        "99999999999999999999s",
        "99999999999999999999999999999999999999999999h",
        "2562048h",
    ] {
        assert_eq!(Duration::parse(text), Err(BadDuration::Range), "{text}");
    }
}

#[test]
fn an_offset_is_utc_or_hours_and_minutes() {
    for (text, seconds) in [
        ("", Some(0)),
        ("UTC", Some(0)),
        ("Z", Some(0)),
        ("+02:00", Some(7_200)),
        ("02:00", Some(7_200)),
        ("-05:30", Some(-19_800)),
        ("-00:00", Some(0)),
        ("+23:59", Some(86_340)),
        ("+24:00", None),
        ("+2:00", None),
        ("+0200", None),
        ("Europe/Berlin", None),
        ("utc", None),
        ("+02:00 ", None),
    ] {
        assert_eq!(Offset::parse(text), seconds.map(Offset), "{text}");
    }
}

#[test]
fn the_ends_of_time_are_reached_and_not_passed() {
    let first = Timestamp::parse("0001-01-01T00:00:00Z").unwrap();
    let last = Timestamp::parse("9999-12-31T23:59:59.999999999Z").unwrap();
    let tick = span("1ns");
    assert_eq!(first.minus(tick), None);
    assert_eq!(last.plus(tick), None);
    assert_eq!(last.minus(tick).unwrap().plus(tick), Some(last));
    assert_eq!(last.since(first), None);
    let longest = Duration(i64::MIN);
    assert_eq!(longest.negative(), None);
    assert_eq!(longest.plus(Duration(-1)), None);
    assert_eq!(longest.minus(tick), None);
    let epoch = Timestamp::from_seconds(0).unwrap();
    assert_eq!(epoch.minus(longest).unwrap().plus(longest), Some(epoch));
    assert_eq!(epoch.minus(longest).unwrap().since(epoch), None);
    assert_eq!(epoch.plus(longest).unwrap().since(epoch), Some(longest));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn what_is_written_reads_back(
        seconds in SECONDS_MIN..=SECONDS_MAX,
        nanos in 0..1_000_000_000_u32,
        span in any::<i64>(),
    ) {
        let at = Timestamp { seconds, nanos };
        prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        prop_assert_eq!(Duration::parse(&Duration(span).to_string()), Ok(Duration(span)));
    }

    #[test]
    fn what_is_added_is_the_difference(
        seconds in SECONDS_MIN..=SECONDS_MAX,
        nanos in 0..1_000_000_000_u32,
        span in any::<i64>(),
    ) {
        let (at, span) = (Timestamp { seconds, nanos }, Duration(span));
        if let Some(later) = at.plus(span) {
            prop_assert_eq!(later.since(at), Some(span));
            prop_assert_eq!(later.minus(span), Some(at));
            prop_assert_eq!(later > at, span > Duration(0));
        }
    }

    #[test]
    fn the_parts_are_those_that_are_written(
        seconds in SECONDS_MIN + 86_400..=SECONDS_MAX - 86_400,
        nanos in 0..1_000_000_000_u32,
        minutes in -1_439..1_440_i32,
    ) {
        let at = Timestamp { seconds, nanos };
        let ahead = Offset(minutes * 60);
        let shown = Timestamp { seconds: seconds + i64::from(minutes) * 60, nanos }.to_string();
        let number = |from: usize, to: usize| shown[from..to].parse::<i64>().unwrap();
        prop_assert_eq!(at.part(Part::FullYear, ahead), number(0, 4));
        prop_assert_eq!(at.part(Part::Month, ahead) + 1, number(5, 7));
        prop_assert_eq!(at.part(Part::Date, ahead), number(8, 10));
        prop_assert_eq!(at.part(Part::DayOfMonth, ahead) + 1, number(8, 10));
        prop_assert_eq!(at.part(Part::Hours, ahead), number(11, 13));
        prop_assert_eq!(at.part(Part::Minutes, ahead), number(14, 16));
        prop_assert_eq!(at.part(Part::Seconds, ahead), number(17, 19));
        prop_assert_eq!(at.part(Part::Milliseconds, ahead), i64::from(nanos / 1_000_000));
        prop_assert!((0..7).contains(&at.part(Part::DayOfWeek, ahead)));
        prop_assert!((0..366).contains(&at.part(Part::DayOfYear, ahead)));
    }
}
