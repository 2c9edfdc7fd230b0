//! Points in time and spans of it: reading, writing, parts and arithmetic.
//!
//! Invariants
//! - A timestamp is in the years 1 to 9999, so that it can be written by RFC 3339.
//! - Nothing reads a clock or a table of time zones: the same on every machine, always.

use base::calendar::{date_of_days, days_of_date};
use std::fmt;

const DAY_SECONDS: i64 = 86_400;
const SECOND_NANOS: i64 = 1_000_000_000;

/// 0001-01-01T00:00:00Z.
const SECONDS_MIN: i64 = -62_135_596_800;

/// 9999-12-31T23:59:59Z.
const SECONDS_MAX: i64 = 253_402_300_799;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp {
    /// Since 1970-01-01T00:00:00Z, leap seconds not counted.
    seconds: i64,
    /// Behind `seconds`, below a second.
    nanos: u32,
}

/// A span of time, 292 years at most in either direction. Unit: nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duration(i64);

/// How far a clock on the wall is ahead of UTC. Unit: seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset(i32);

/// A part of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Timestamp {
    /// None outside of the years 1 to 9999.
    pub(crate) fn from_seconds(seconds: i64) -> Option<Timestamp> {
        Timestamp::new(seconds, 0)
    }

    fn new(seconds: i64, nanos: u32) -> Option<Timestamp> {
        (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some(Timestamp { seconds, nanos })
    }

    /// Since 1970-01-01T00:00:00Z, rounded down.
    pub(crate) fn seconds(self) -> i64 {
        self.seconds
    }

    /// Reads RFC 3339, which allows lower case letters and a fraction (here of at most nine
    /// digits). A leap second (`:60`) is refused: the calendar does not count them.
    pub(crate) fn parse(text: &str) -> Option<Timestamp> {
        let mut reader = Reader { rest: text.as_bytes() };
        let year = reader.digits(4)?;
        reader.one_of(b"-")?;
        let month = reader.digits(2)?;
        reader.one_of(b"-")?;
        let day = reader.digits(2)?;
        reader.one_of(b"Tt")?;
        let hour = reader.digits(2).filter(|hour| *hour < 24)?;
        reader.one_of(b":")?;
        let minute = reader.digits(2).filter(|minute| *minute < 60)?;
        reader.one_of(b":")?;
        let second = reader.digits(2).filter(|second| *second < 60)?;
        let nanos = if reader.one_of(b".").is_some() { reader.fraction()? } else { 0 };
        let ahead = if reader.one_of(b"Zz").is_some() { 0 } else { reader.offset()? };
        if !reader.rest.is_empty() {
            return None;
        }
        let days = days_of_date(
            i32::try_from(year).ok()?,
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
        )?;
        let of_day = i64::from(hour * 3_600 + minute * 60 + second);
        Timestamp::new(days * DAY_SECONDS + of_day - i64::from(ahead), nanos)
    }

    /// None outside of the years 1 to 9999.
    pub(crate) fn plus(self, span: Duration) -> Option<Timestamp> {
        let nanos = i64::from(self.nanos) + span.0.rem_euclid(SECOND_NANOS);
        let seconds = self.seconds + span.0.div_euclid(SECOND_NANOS) + nanos / SECOND_NANOS;
        let below = u32::try_from(nanos % SECOND_NANOS).expect("below a second");
        Timestamp::new(seconds, below)
    }

    /// None outside of the years 1 to 9999.
    pub(crate) fn minus(self, span: Duration) -> Option<Timestamp> {
        match span.negative() {
            Some(span) => self.plus(span),
            // The longest span has no opposite: one nanosecond less has.
            None => self.plus(Duration(i64::MAX))?.plus(Duration(1)),
        }
    }

    /// None when that is more than a duration holds.
    pub(crate) fn since(self, earlier: Timestamp) -> Option<Duration> {
        let seconds = i128::from(self.seconds - earlier.seconds) * i128::from(SECOND_NANOS);
        let nanos = i128::from(self.nanos) - i128::from(earlier.nanos);
        i64::try_from(seconds + nanos).ok().map(Duration)
    }

    /// A part of the date or the time of day that a clock shows which is so far ahead of UTC.
    pub(crate) fn part(self, part: Part, ahead: Offset) -> i64 {
        let seconds = self.seconds + i64::from(ahead.0);
        let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        let (year, month, day) = date_of_days(days);
        match part {
            Part::FullYear => year,
            Part::Month => i64::from(month) - 1,
            Part::Date => i64::from(day),
            Part::DayOfMonth => i64::from(day) - 1,
            // 1970-01-01 was a Thursday; the week begins on Sunday.
            Part::DayOfWeek => (days + 4).rem_euclid(7),
            Part::DayOfYear => {
                let year = i32::try_from(year).expect("years have about four digits");
                days - days_of_date(year, 1, 1).expect("every year has a first day")
            }
            Part::Hours => second / 3_600,
            Part::Minutes => second / 60 % 60,
            Part::Seconds => second % 60,
            Part::Milliseconds => i64::from(self.nanos / 1_000_000),
        }
    }
}

/// RFC 3339 in UTC, with as many digits of fraction as there are.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of_days(self.seconds.div_euclid(DAY_SECONDS));
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        write_fraction(f, self.nanos)?;
        f.write_str("Z")
    }
}

impl Duration {
    /// Reads `90s`, `1h30m`, `-1.5h`, `250ms`: numbers with a unit of h, m, s, ms, us or ns, one
    /// after the other, and one sign in front. A bare `0` is a duration, too.
    pub(crate) fn parse(text: &str) -> Result<Duration, BadDuration> {
        let negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        if rest == "0" {
            return Ok(Duration(0));
        }
        if rest.is_empty() {
            return Err(BadDuration::Text);
        }
        let mut nanos = 0_i128;
        while !rest.is_empty() {
            let (part, behind) = duration_part(rest)?;
            nanos += part;
            if nanos > -i128::from(i64::MIN) {
                return Err(BadDuration::Range);
            }
            rest = behind;
        }
        let nanos = if negative { -nanos } else { nanos };
        i64::try_from(nanos).map(Duration).map_err(|_| BadDuration::Range)
    }

    pub(crate) fn plus(self, other: Duration) -> Option<Duration> {
        self.0.checked_add(other.0).map(Duration)
    }

    pub(crate) fn minus(self, other: Duration) -> Option<Duration> {
        self.0.checked_sub(other.0).map(Duration)
    }

    /// The other way round.
    fn negative(self) -> Option<Duration> {
        self.0.checked_neg().map(Duration)
    }

    /// Whole hours, minutes and seconds of the duration; the milliseconds below a second. None for
    /// the parts that a duration does not have.
    pub(crate) fn part(self, part: Part) -> Option<i64> {
        Some(match part {
            Part::Hours => self.0 / (3_600 * SECOND_NANOS),
            Part::Minutes => self.0 / (60 * SECOND_NANOS),
            Part::Seconds => self.0 / SECOND_NANOS,
            Part::Milliseconds => self.0 % SECOND_NANOS / 1_000_000,
            _ => return None,
        })
    }
}

/// Seconds with as many digits of fraction as there are: `90s`, `-0.5s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        let second = SECOND_NANOS.unsigned_abs();
        write!(f, "{}", nanos / second)?;
        write_fraction(f, u32::try_from(nanos % second).expect("below a second"))?;
        f.write_str("s")
    }
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadDuration {
    /// It is not written as one.
    Text,
    /// It is longer than one can be.
    Range,
}

impl Offset {
    pub(crate) const UTC: Offset = Offset(0);

    /// Reads `UTC`, `Z`, `+02:00`, `-05:30` or `02:00`.
    pub(crate) fn parse(text: &str) -> Option<Offset> {
        if matches!(text, "" | "UTC" | "Z") {
            return Some(Offset::UTC);
        }
        let signed = text.starts_with(['+', '-']);
        let text = if signed { text.to_owned() } else { format!("+{text}") };
        let mut reader = Reader { rest: text.as_bytes() };
        let ahead = reader.offset()?;
        reader.rest.is_empty().then_some(Offset(ahead))
    }
}

/// `.`, and the digits behind it up to the last that is not 0; nothing for 0.
fn write_fraction(f: &mut fmt::Formatter<'_>, nanos: u32) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

/// The first number and its unit, in nanoseconds rounded towards zero, and what follows.
fn duration_part(text: &str) -> Result<(i128, &str), BadDuration> {
    let behind_digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(behind_digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(behind_digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(BadDuration::Text);
    }
    let unit_end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => i128::from(SECOND_NANOS),
        "m" => 60 * i128::from(SECOND_NANOS),
        "h" => 3_600 * i128::from(SECOND_NANOS),
        _ => return Err(BadDuration::Text),
    };
    // More than 19 digits that are not 0 are out of range in every unit.
    let whole = whole.trim_start_matches('0');
    let whole: i128 = match whole {
        "" => 0,
        whole if whole.len() <= 19 => whole.parse().expect("19 digits fit"),
        _ => return Err(BadDuration::Range),
    };
    // An hour has 13 digits of nanoseconds: what stands further behind is less than one.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_i128.pow(u32::try_from(fraction.len()).expect("at most 18"));
    let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().expect("digits") };
    Ok((whole * unit + fraction * unit / scale, rest))
}

/// Reads off the front of a text.
struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        bytes.contains(first).then(|| {
            self.rest = rest;
            *first
        })
    }

    fn digit(&mut self) -> Option<u32> {
        self.one_of(b"0123456789").map(|digit| u32::from(digit - b'0'))
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    /// One to nine digits, as nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let mut nanos = self.digit()? * 100_000_000;
        let mut unit = 10_000_000;
        while let Some(digit) = self.digit() {
            if unit == 0 {
                return None;
            }
            nanos += digit * unit;
            unit /= 10;
        }
        Some(nanos)
    }

    /// `+02:00`, in seconds.
    fn offset(&mut self) -> Option<i32> {
        let sign = self.one_of(b"+-")?;
        let hours = self.digits(2).filter(|hours| *hours < 24)?;
        self.one_of(b":")?;
        let minutes = self.digits(2).filter(|minutes| *minutes < 60)?;
        let seconds = i32::try_from(hours * 3_600 + minutes * 60).expect("less than a day");
        Some(if sign == b'-' { -seconds } else { seconds })
    }
}

#[cfg(test)]
mod tests;
