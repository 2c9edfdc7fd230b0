//! What an evaluation allocates.

use super::json;
use crate::{Value, parse};
use allocation_counter::measure;

#[test]
fn a_comparison_of_paths_with_constants_allocates_nothing() {
    let scope = json(
        r#"{"msg": {"type": "payment", "amount": 5000, "tags": ["a", "b"], "at": "2026-01-31",
            "user": {"country": "DE"}}, "limit": 100}"#,
    );
    for text in [
        "msg.amount > 1000",
        "msg.amount * 2 - 1 >= limit",
        "msg.type == 'payment' && msg.user.country in ['DE', 'FR']",
        "msg.type.startsWith('pay') || msg.user['country'] == 'FR'",
        "msg.tags[1] == 'b' && size(msg.tags) == 2",
        "has(msg.user.country) && !has(msg.user.city)",
        "msg.amount > limit ? true : false",
        "msg.type.matches('^pay')",
        "timestamp('2026-01-31T00:00:00Z') > timestamp(msg.amount)",
        "type(msg.amount) == int",
    ] {
        let expression = parse(text).unwrap();
        // The first time, a regular expression makes room for its search.
        assert_eq!(expression.evaluate_bool(&scope), Ok(true), "{text}");
        let mut truth = Ok(false);
        let allocations = measure(|| truth = expression.evaluate_bool(&scope));
        assert_eq!((truth, allocations.count_total), (Ok(true), 0), "{text}");
    }
}

#[test]
fn a_macro_allocates_room_for_its_variables_alone() {
    let list = Value::list((0..1_000_i64).map(Value::from));
    let scope = Value::map([("list", list), ("limit", Value::Int(-1))]);
    for text in ["list.all(x, x > limit)", "!list.exists(x, list[0] > x && x < limit)"] {
        let expression = parse(text).unwrap();
        let mut truth = Ok(false);
        let allocations = measure(|| truth = expression.evaluate_bool(&scope));
        assert_eq!((truth, allocations.count_total), (Ok(true), 1), "{text}");
    }
}
