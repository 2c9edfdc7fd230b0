//! Tests of the calendar.

use super::*;
use proptest::prelude::*;

#[test]
fn known_days_have_their_known_dates() {
    // `date -u -d DATE +%s`, divided by 86,400.
    for (days, (year, month, day)) in [
        (0, (1970, 1, 1)),
        (-1, (1969, 12, 31)),
        (11_016, (2000, 2, 29)),
        (11_017, (2000, 3, 1)),
        (19_782, (2024, 2, 29)),
        (47_541, (2100, 3, 1)),
        (2_932_896, (9999, 12, 31)),
        (-719_162, (1, 1, 1)),
        (-719_468, (0, 3, 1)),
    ] {
        assert_eq!(date_of_days(days), (i64::from(year), month, day), "{days}");
        assert_eq!(days_of_date(year, month, day), Some(days), "{year}-{month}-{day}");
    }
}

#[test]
fn a_date_that_is_none_has_no_day() {
    for (year, month, day) in [
        (2023, 2, 29),
        (2100, 2, 29),
        (2024, 2, 30),
        (2024, 4, 31),
        (2024, 13, 1),
        (2024, 0, 1),
        (2024, 1, 0),
        (2024, 1, 32),
        (2024, 12, 255),
    ] {
        assert_eq!(days_of_date(year, month, day), None, "{year}-{month}-{day}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_day_has_one_date_and_the_next_day_a_later_one(days in -1_000_000_i64..3_000_000) {
        let (year, month, day) = date_of_days(days);
        prop_assert_eq!(days_of_date(i32::try_from(year).unwrap(), month, day), Some(days));
        prop_assert!(date_of_days(days + 1) > (year, month, day));
    }
}
