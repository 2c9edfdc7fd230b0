//! Tests of equality and order.

use super::*;

/// In ascending order; those in one row are equal.
fn ladder() -> Vec<Vec<Value>> {
    let beyond = 2.0_f64.powi(64);
    vec![
        vec![Value::Double(-f64::MAX)],
        vec![Value::Double(-2.0_f64.powi(63) - 2048.0)],
        vec![Value::Int(i64::MIN), Value::Double(-2.0_f64.powi(63))],
        vec![Value::Int(i64::MIN + 1)],
        vec![Value::Int(-2)],
        vec![Value::Double(-1.5)],
        vec![Value::Int(-1), Value::Double(-1.0)],
        vec![Value::Double(-f64::MIN_POSITIVE)],
        vec![Value::Int(0), Value::Double(0.0), Value::Double(-0.0)],
        vec![Value::Double(5e-324)],
        vec![Value::Int(1), Value::Double(1.0)],
        vec![Value::Double(1.5)],
        vec![Value::Int(1 << 53), Value::Double(2.0_f64.powi(53))],
        vec![Value::Int((1 << 53) + 1)],
        vec![Value::Int((1 << 53) + 2), Value::Double(2.0_f64.powi(53) + 2.0)],
        vec![Value::Int(i64::MAX)],
        vec![Value::Uint(1 << 63), Value::Double(2.0_f64.powi(63))],
        vec![Value::Uint(u64::MAX)],
        vec![Value::Double(beyond)],
        vec![Value::Double(f64::MAX)],
    ]
}

#[test]
fn numbers_of_all_kinds_stand_in_one_exact_order() {
    let ladder = ladder();
    for (low, lows) in ladder.iter().enumerate() {
        for (high, highs) in ladder.iter().enumerate() {
            for left in lows {
                for right in highs {
                    assert_eq!(left.compare(right), Some(low.cmp(&high)), "{left:?} {right:?}");
                    assert_eq!(left.equals(right), low == high, "{left:?} {right:?}");
                }
            }
        }
    }
}

#[test]
fn different_kinds_are_different_and_have_no_order() {
    let kinds = [
        Value::Null,
        Value::Bool(false),
        Value::Int(0),
        Value::text(""),
        Value::list([]),
        Value::map::<&str>([]),
    ];
    for (i, left) in kinds.iter().enumerate() {
        for (j, right) in kinds.iter().enumerate() {
            assert_eq!(left.equals(right), i == j, "{left:?} {right:?}");
            if i != j {
                assert_eq!(left.compare(right), None, "{left:?} {right:?}");
            }
        }
    }
}

#[test]
fn a_nan_that_should_not_exist_is_at_least_no_panic() {
    let nan = Value::Double(f64::NAN);
    assert!(!nan.equals(&nan));
    assert_eq!(nan.compare(&Value::Int(0)), None);
}
