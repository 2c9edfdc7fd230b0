//! Times as people read them: `2026-01-31T09:15:00.000250Z`.

use base::{UnixMicros, calendar};
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
    let days = i64::try_from(days).expect("a u64 of micros has fewer days");
    let (year, month, day) = calendar::date_of_days(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
        .expect("a String takes everything");
}

#[cfg(test)]
mod tests;
