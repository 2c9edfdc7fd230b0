use super::*;

#[test]
fn a_plugin_may_have_codes_of_its_own_and_none_of_the_hosts() {
    let rows = [
        ("card_declined", "card_declined"),
        ("e2", "e2"),
        ("", code::FAILED),
        ("Card", code::FAILED),
        ("2e", code::FAILED),
        ("a b", code::FAILED),
        ("timeout", code::FAILED),
        ("plugin_crashed", code::FAILED),
        ("worker_stopped", code::FAILED),
    ];
    for (said, expected) in rows {
        let error = TaskError::of_plugin(said, "why", true);
        assert_eq!((error.code.as_str(), error.retryable), (expected, true), "{said}");
    }
    let long = "x".repeat(CODE_BYTES_MAX + 1);
    assert_eq!(TaskError::of_plugin(&long, "", false).code, code::FAILED);
    assert_eq!(TaskError::of_plugin(&long[1..], "", false).code, long[1..]);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let message = format!("x{}", "ä".repeat(MESSAGE_BYTES_MAX));
    let error = TaskError::lasting(code::FAILED, message.clone());
    assert_eq!(error.message.len(), MESSAGE_BYTES_MAX - 1);
    assert!(message.starts_with(&error.message));
}

#[test]
fn what_a_process_says_has_a_code_of_the_host_or_a_name() {
    let rows = [("timeout", "timeout"), ("own", "own"), ("O w n", code::FAILED)];
    for (said, expected) in rows {
        let error = TaskError { code: said.into(), message: "m".repeat(9_999), retryable: false };
        let error = error.received();
        assert_eq!((error.code.as_str(), error.message.len()), (expected, MESSAGE_BYTES_MAX));
    }
}

#[test]
fn every_code_of_the_host_is_a_name() {
    assert!(code::ALL.iter().all(|code| crate::is_name(code)));
}
