//! The calendar, counted in days: Gregorian before its time too, no leap seconds, no time zones.
//!
//! Whole numbers alone, so that it needs no table and is the same everywhere. An era is 400 years;
//! a year begins in March, so that the leap day is its last.
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013.

const ERA_DAYS: i64 = 146_097;

/// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Year, month (from 1) and day (from 1) of the day that is `days` after 1970-01-01.
pub fn date_of_days(days: i64) -> (i64, u8, u8) {
    let shifted = days + EPOCH_DAYS;
    let (era, of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u8::try_from(number).expect("months and days are below 32");
    (year, small(month), small(day))
}

/// How many days after 1970-01-01 a date is; none when there is no such date.
pub fn days_of_date(year: i32, month: u8, day: u8) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let march_year = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let march_month = (i64::from(month) + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = era * ERA_DAYS + of_era - EPOCH_DAYS;
    // A day that its month does not have is one of the next month.
    (date_of_days(days) == (i64::from(year), month, day)).then_some(days)
}

#[cfg(test)]
mod tests;
