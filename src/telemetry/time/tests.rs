use super::*;

fn text(micros: u64) -> String {
    let mut out = Vec::new();
    write_time(&mut out, UnixMicros(micros));
    String::from_utf8(out).unwrap()
}

#[test]
fn known_moments_are_written_as_date_would_write_them() {
    let rows = [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
        (1_709_164_800_000_000, "2024-02-29T00:00:00.000000Z"),
        (1_795_168_680_123_456, "2026-11-20T09:58:00.123456Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ];
    for (micros, expected) in rows {
        assert_eq!(text(micros), expected);
    }
}

#[test]
fn a_time_past_the_year_9999_is_written_as_the_last_moment_of_it() {
    assert_eq!(text(u64::MAX), "9999-12-31T23:59:59.999999Z");
}

#[test]
fn every_day_of_400_years_follows_the_one_before() {
    let mut last = text(0);
    for day in 1..146_097_u64 {
        let next = text(day * SECONDS_PER_DAY * MICROS_PER_SECOND);
        assert!(next > last, "{next} follows {last}");
        last = next;
    }
}
