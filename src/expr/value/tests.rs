//! Tests of values and maps.

use super::*;

#[test]
fn a_map_is_ordered_by_its_keys_and_keeps_the_first_of_equal_keys() {
    let map: Map = [("b", 1_i64), ("a", 2), ("ab", 3), ("b", 4), ("", 5), ("B", 6)]
        .into_iter()
        .map(|(key, value)| (Arc::from(key), Value::Int(value)))
        .collect();
    assert_eq!(map.keys().collect::<Vec<_>>(), ["", "B", "a", "ab", "b"]);
    assert_eq!(map.get("b"), Some(&Value::Int(1)));
    assert_eq!(map.get(""), Some(&Value::Int(5)));
    assert_eq!(map.get("c"), None);
    assert!(map.contains_key("ab") && !map.contains_key("A"));
    assert_eq!((map.len(), map.is_empty()), (5, false));
    assert!(Map::default().is_empty());
    let entries: Vec<_> = map.iter().map(|(key, value)| (&**key, value.clone())).collect();
    assert_eq!(entries[2], ("a", Value::Int(2)));
}

#[test]
fn a_whole_number_is_a_uint_only_above_the_ints() {
    assert_eq!(Value::from(5_u64), Value::Int(5));
    assert_eq!(Value::from(i64::MAX.unsigned_abs()), Value::Int(i64::MAX));
    assert_eq!(Value::from(1_u64 << 63), Value::Uint(1 << 63));
}

#[test]
fn a_double_is_finite() {
    assert_eq!(Value::double(1.5), Some(Value::Double(1.5)));
    assert_eq!(Value::double(f64::NAN), None);
    assert_eq!(Value::double(f64::INFINITY), None);
    assert_eq!(Value::double(f64::NEG_INFINITY), None);
}

#[test]
fn every_kind_is_named_and_seen_as_itself_only() {
    let values = [
        (Value::Null, "null"),
        (Value::from(true), "bool"),
        (Value::from(1_i64), "int"),
        (Value::from(u64::MAX), "uint"),
        (Value::Double(0.5), "double"),
        (Value::from("x"), "string"),
        (Value::from(vec![Value::Null]), "list"),
        (Value::map([("k", Value::Null)]), "map"),
    ];
    for (value, kind) in values {
        assert_eq!(value.kind_name(), kind);
        assert_eq!(value.as_bool(), (kind == "bool").then_some(true));
        assert_eq!(value.as_int(), (kind == "int").then_some(1));
        assert_eq!(value.as_text(), (kind == "string").then_some("x"));
        assert_eq!(value.as_list().is_some(), kind == "list");
        assert_eq!(value.as_map().is_some(), kind == "map");
        assert_eq!(value.get("k").is_some(), kind == "map");
    }
}

#[test]
fn the_estimate_of_bytes_grows_with_all_that_is_held() {
    let sizes: Vec<usize> = [
        Value::Null,
        Value::text(""),
        Value::text("x".repeat(100)),
        Value::list([Value::text("x".repeat(100)), Value::Null]),
        Value::map([("k".repeat(100), Value::list([Value::text("x".repeat(100))]))]),
    ]
    .iter()
    .map(Value::bytes_estimate)
    .collect();
    assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
    assert!((200..400).contains(&sizes[4]), "{sizes:?}");
}

#[test]
fn a_value_is_no_larger_than_three_words() {
    assert_eq!(size_of::<Value>(), 24);
}
