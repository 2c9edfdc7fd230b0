use super::*;

#[test]
fn the_defaults_can_be_carried_out() {
    assert_eq!(Options::default().check(), Ok(()));
    assert_eq!(Options::to("node:8081").addresses, ["node:8081"]);
}

#[test]
fn options_that_make_no_sense_are_refused_with_their_name_and_value() {
    type Change = fn(&mut Options);
    let rows: [(Change, &str); 10] = [
        (|o| o.addresses.clear(), "option `addresses`: at least one is needed"),
        (|o| o.producer = Some(0), "option `producer`: 0 means that there is none"),
        (|o| o.batch_messages_max = 0, "option `batch_messages_max`: 0 is not within 1 to 1000"),
        (|o| o.batch_messages_max = 1_001, "1001 is not within 1 to 1000"),
        (|o| o.batch_bytes_max = 2 << 20, "2097152 is not within 1 to 1048576"),
        (|o| o.in_flight_max = 1_025, "1025 is not within 1 to 1024"),
        (|o| o.answer_timeout = Duration::ZERO, "option `answer_timeout`: it must be longer"),
        (|o| o.give_up_after = Duration::from_secs(61), "61s is longer than 60s"),
        (|o| o.backoff.max = Duration::from_millis(1), "max 1ms is shorter than first 20ms"),
        (|o| o.addresses.push("node".to_owned()), "option `addresses`: "),
    ];
    for (change, expected) in rows {
        let mut options = Options::default();
        change(&mut options);
        let text = options.check().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
