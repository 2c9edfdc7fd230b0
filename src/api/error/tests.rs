use super::*;

fn body(error: &ApiError) -> String {
    String::from_utf8(error.to_response().body).unwrap()
}

#[test]
fn the_name_and_status_of_every_code_are_what_clients_rely_on() {
    let table: Vec<_> =
        Code::ALL.iter().map(|code| format!("{} {}", code.status(), code.as_str())).collect();
    let expected = "\
400 bad_json
400 not_an_object
400 empty_batch
400 bad_id
400 bad_query
400 bad_key
400 key_too_long
400 invalid_rule
400 invalid_definition
400 id_mismatch
400 bad_request
404 unknown_path
404 unknown_id
405 method_not_allowed
408 request_timeout
409 wrong_state
409 sequence_too_old
409 unknown_producer
409 in_use
410 gone
413 too_large
415 unsupported_media_type
422 key_conflict
429 overloaded
429 keys_full
500 internal
501 not_supported
503 no_space
503 stopping
503 starting
503 no_leader
503 not_validated
503 behind
503 outcome_unknown
";
    assert_eq!(table, expected.lines().collect::<Vec<_>>());
}

#[test]
fn every_code_has_a_name_of_its_own_and_a_hint() {
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(Code::ALL.iter().all(|code| code.hint().len() > 10));
}

#[test]
fn a_refusal_is_one_json_object_with_error_detail_and_hint() {
    let error = ApiError::too_large(300_000, 262_144);
    assert_eq!(
        body(&error),
        r#"{"error":"too_large","detail":"the body has 300000 bytes, at most 262144 are allowed","hint":"send less at once"}"#
    );
    assert_eq!(error.to_response().status, 413);
    assert_eq!(error.to_response().content_type.as_str(), "application/json");
}

#[test]
fn a_fault_of_a_batch_names_its_line() {
    let error = ApiError::new(Code::NotAnObject, "found an array").at_line(7);
    assert_eq!(
        body(&error.with_hint("h")),
        r#"{"error":"not_an_object","detail":"line 7: found an array","hint":"h","line":7}"#
    );
}

#[test]
fn faults_of_a_file_are_listed_with_their_place() {
    let faults = vec![
        Fault {
            file: Some("rules.yaml".to_owned()),
            line: 3,
            column: 9,
            what: "unknown operator `equal`".to_owned(),
            hint: Some("did you mean `equals`?".to_owned()),
        },
        Fault { what: "no rules".to_owned(), ..Fault::default() },
    ];
    let error = ApiError::new(Code::InvalidRule, "2 faults").with_hint("h").with_faults(faults);
    assert_eq!(
        body(&error),
        concat!(
            r#"{"error":"invalid_rule","detail":"2 faults","hint":"h","faults":["#,
            r#"{"file":"rules.yaml","line":3,"column":9,"what":"unknown operator `equal`","hint":"did you mean `equals`?"},"#,
            r#"{"line":0,"column":0,"what":"no rules"}]}"#
        )
    );
}

#[test]
fn an_overload_says_when_to_come_back() {
    let response = ApiError::overloaded("4096 requests wait on this core", 1).to_response();
    assert_eq!((response.status, response.retry_after_seconds), (429, Some(1)));
    assert_eq!(ApiError::stopping().to_response().retry_after_seconds, Some(1));
}

#[test]
fn a_long_text_of_the_client_is_repeated_only_in_part() {
    let error = ApiError::unknown_id("rule", "ö".repeat(10_000));
    assert!(error.detail.len() < 300, "{}", error.detail.len());
}
