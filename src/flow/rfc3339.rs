//! Times as people read them: `2026-01-31T09:15:00.000250Z`.
//!
//! The date is counted by Howard Hinnant's `civil_from_days`, in whole numbers, so that it needs no
//! table of time zones and is the same everywhere.
//! Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013.

use base::UnixMicros;
use std::fmt::Write as _;

/// The time in UTC as RFC 3339 with six digits of fraction, always 27 characters before the year
/// 10000.
pub fn rfc3339(time: UnixMicros) -> String {
    let mut text = String::with_capacity(27);
    write_rfc3339(&mut text, time);
    text
}

pub(crate) fn write_rfc3339(text: &mut String, time: UnixMicros) {
    const DAY_SECONDS: u64 = 86_400;
    let (seconds, micros) = (time.0 / 1_000_000, time.0 % 1_000_000);
    let (days, second) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
        .expect("a String takes everything");
}

/// Year, month and day of the `days`-th day after 1970-01-01. An era is 400 years, a year starts in
/// March, so that the leap day is its last.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    const DAYS_FROM_YEAR_0: u64 = 719_468;
    let shifted = days + DAYS_FROM_YEAR_0;
    let (era, of_era) = (shifted / ERA_DAYS, shifted % ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
