//! Times as people read them: RFC 3339, UTC, microseconds.

use base::UnixMicros;

const MICROS_PER_SECOND: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// The last time that RFC 3339 can name, as its years have four digits.
const YEAR_9999_END: u64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// Writes `at` as `2026-11-20T09:58:00.123456Z`. A time past the year 9999 is written as the last
/// moment of that year.
pub fn write_time(out: &mut Vec<u8>, at: UnixMicros) {
    let micros = at.0.min(YEAR_9999_END);
    let seconds = micros / MICROS_PER_SECOND;
    let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
    let second = seconds % SECONDS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
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

/// Year, month and day of the `days`-th day after 1970-01-01.
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`, with
/// the branch for days before the epoch left out.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
