use super::*;

#[test]
fn answers_in_any_order_find_the_time_of_their_request() {
    let mut in_flight = InFlight::default();
    for due in [10, 11, 12, u64::MAX] {
        in_flight.begin(due);
    }
    let rows = [
        (2, Some(12), 3),
        (2, None, 3),
        (0, Some(10), 2),
        (0, None, 2),
        (1, Some(11), 1),
        (4, None, 1),
        (3, Some(u64::MAX - 1), 0),
    ];
    for (request, due, left) in rows {
        assert_eq!(in_flight.end(request), due, "{request}");
        assert_eq!(in_flight.count, left, "{request}");
    }
    assert!(in_flight.due.is_empty());
    in_flight.begin(7);
    assert_eq!(in_flight.end(4), Some(7));
}

#[test]
fn a_word_keeps_what_fits() {
    assert_eq!(Word::new("unknown_producer").to_string(), "unknown_producer");
    assert_eq!(Word::new(&"ä".repeat(20)).to_string(), "ä".repeat(16));
}
