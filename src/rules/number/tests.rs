//! Numbers in ascending order: every pair of a table is compared both ways.

use super::{Constant, Double, Number, is_number};
use proptest::prelude::*;
use std::cmp::Ordering;

fn compare(left: &str, right: &str) -> Ordering {
    fn number(text: &str) -> Number<'_> {
        Number { double: Double::of(text.as_bytes()), text: text.as_bytes() }
    }
    number(left).compare(&number(right))
}

/// Ascending; the texts of one row are the same number.
const ASCENDING: &[&[&str]] = &[
    &["-1e400", "-10e399"],
    &["-18446744073709551617"],
    &["-18446744073709551616", "-1.8446744073709551616e19"],
    &["-9223372036854775809"],
    &["-9223372036854775808", "-9223372036854775808.0"],
    &["-9007199254740993"],
    &["-9007199254740992", "-9007199254740992.000"],
    &["-1.5", "-15e-1"],
    &["-1", "-1.0", "-1e0", "-0.1e1"],
    &["-1e-400"],
    &["0", "-0", "0.0", "0e99999999999999999999", "-0.000e-5"],
    &["1e-400", "0.1e-399"],
    &["0.1", "1e-1", "0.10000000000000000000000000"],
    &["0.1000000000000000055511151231257827"],
    &["0.3"],
    &["0.30000000000000004"],
    &["1", "1.0", "1e0", "10E-1", "1.00000000000000000000000000000000"],
    &["1.00000000000000000000000000000001"],
    &["9", "9.0"],
    &["10", "1e1", "1E+1"],
    &["15000", "1.5e4", "15000.00"],
    &["9007199254740992"],
    &["9007199254740993"],
    &["9223372036854775807"],
    &["9223372036854775808"],
    &["18446744073709551615", "1844674407370955161.5e1"],
    &["18446744073709551615.5"],
    &["18446744073709551616", "18446744073709551616.0", "1.8446744073709551616e19"],
    &["99999999999999999990", "9999999999999999999e1"],
    &["100000000000000000000", "1e20"],
    &["123456789012345678901234567890"],
    &["123456789012345678901234567890.1"],
    &["1e308"],
    &["1e400", "0.0001e404"],
    &["1e99999999999999999999"],
];

#[test]
fn numbers_compare_by_their_exact_value() {
    for (left_rank, left_row) in ASCENDING.iter().enumerate() {
        for (right_rank, right_row) in ASCENDING.iter().enumerate() {
            for left in *left_row {
                for right in *right_row {
                    let order = compare(left, right);
                    assert_eq!(order, left_rank.cmp(&right_rank), "{left} against {right}");
                    let equal = Constant::of(left) == Constant::of(right);
                    assert_eq!(equal, left_rank == right_rank, "{left} = {right}");
                }
            }
        }
    }
}

#[test]
fn keys_ascend_with_the_numbers_and_bits_are_those_of_equals() {
    let double = |text: &str| Double::of(text.as_bytes());
    let mut last = 0;
    for row in ASCENDING {
        for text in *row {
            assert!(double(text).key() >= last, "{text}");
            assert_eq!(double(text).bits(), double(row[0]).bits(), "{text}");
        }
        last = double(row[0]).key();
    }
}

#[test]
fn the_texts_of_numbers_are_told_from_other_texts() {
    for text in ["0", "-0", "15", "1.5", "1e5", "1E-5", "-1.5e+300", "0.0", "10"] {
        assert!(is_number(text), "{text}");
    }
    for text in [
        "", "-", "+1", "01", "1.", ".5", "1e", "1e+", " 1", "1 ", "0x1", "1_0", "NaN", "--1",
        "1e5.5", "٣",
    ] {
        assert!(!is_number(text), "{text}");
    }
}

proptest! {
    // No file of past failures: proptest would put it among the crates, where a folder is a crate.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_numbers_compare_as_i128_does(
        left in any::<i128>(), right in any::<i128>(), left_shift in 0_u32..127, right_shift in 0_u32..127,
    ) {
        let (left, right) = (left >> left_shift, right >> right_shift);
        let (a, b) = (left.to_string(), right.to_string());
        prop_assert_eq!(compare(&a, &b), left.cmp(&right));
    }

    #[test]
    fn the_place_of_the_point_does_not_matter(digits in "[1-9][0-9]{0,30}", point in 1_usize..31) {
        let point = point.min(digits.len());
        let moved = format!("{}.{}e{}", &digits[..point], &digits[point..], digits.len() - point);
        let moved = if point == digits.len() { digits.clone() } else { moved };
        prop_assert!(compare(&digits, &moved).is_eq());
        let bits = |text: &str| Double::of(text.as_bytes()).bits();
        prop_assert_eq!(bits(&digits), bits(&moved));
        let more = format!("{digits}1");
        prop_assert!(compare(&digits, &more).is_lt());
    }
}
