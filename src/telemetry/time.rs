//! Times as people read them: RFC 3339, UTC, microseconds.

use base::{UnixMicros, calendar};

const MICROS_PER_SECOND: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// The last time that RFC 3339 can name, as its years have four digits.
const YEAR_9999_END: u64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// Writes `at` as `2026-11-20T09:58:00.123456Z`. A time past the year 9999 is written as the last
/// moment of that year.
pub fn write_time(out: &mut Vec<u8>, at: UnixMicros) {
    let micros = at.0.min(YEAR_9999_END);
    let seconds = micros / MICROS_PER_SECOND;
    let days = i64::try_from(seconds / SECONDS_PER_DAY).expect("a u64 of micros has fewer days");
    let (year, month, day) = calendar::date_of_days(days);
    let year = u64::try_from(year).expect("no time is before 1970");
    let second = seconds % SECONDS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month.into());
    digits(&mut text[8..10], day.into());
    digits(&mut text[11..13], second / 3600);
    digits(&mut text[14..16], second / 60 % 60);
    digits(&mut text[17..19], second % 60);
    digits(&mut text[20..26], micros % MICROS_PER_SECOND);
    out.extend_from_slice(&text);
}

/// Puts `number` into the whole of `place`, with leading zeros.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
    assert!(number == 0, "the number fits its place");
}

#[cfg(test)]
mod tests;
