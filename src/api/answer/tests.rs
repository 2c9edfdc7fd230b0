use super::*;

fn answer(id: u64, outcome: Outcome, workflows: &[&str]) -> String {
    let mut out = Vec::new();
    write_answer(&mut out, MessageId(id), outcome, workflows);
    String::from_utf8(out).unwrap()
}

#[test]
fn an_accepted_message_is_answered_with_its_id_and_workflows() {
    assert_eq!(
        answer(0x0030_0000_0000_00a1, Outcome::Accepted, &["fraud_check"]),
        r#"{"message_id":"00300000000000a1","status":"accepted","workflows_triggered":["fraud_check"]}"#
    );
    assert_eq!(
        answer(u64::MAX, Outcome::Accepted, &[]),
        r#"{"message_id":"ffffffffffffffff","status":"accepted","workflows_triggered":[]}"#
    );
}

#[test]
fn a_repeat_is_answered_as_the_first_but_for_its_status() {
    let first = answer(7, Outcome::Accepted, &["a", "b"]);
    let repeat = answer(7, Outcome::Duplicate, &["a", "b"]);
    assert_eq!(repeat, first.replace("accepted", "duplicate"));
}

#[test]
fn the_name_of_a_workflow_is_escaped() {
    let text = answer(1, Outcome::Accepted, &["say \"hi\"\n"]);
    assert!(text.ends_with(r#""workflows_triggered":["say \"hi\"\n"]}"#), "{text}");
}

#[test]
fn an_id_is_written_as_it_is_displayed() {
    for id in [0, 1, 0xdead_beef, 0x1230_0000_0000_4567, u64::MAX] {
        let mut out = Vec::new();
        write_message_id(&mut out, MessageId(id));
        assert_eq!(String::from_utf8(out).unwrap(), MessageId(id).to_string());
    }
}

#[test]
fn a_batch_is_answered_line_by_line_in_order() {
    let mut out = Vec::new();
    let mut batch = BatchAnswer::new(&mut out);
    batch.push(MessageId(1), Outcome::Accepted, ["w"]);
    batch.push(MessageId(2), Outcome::Duplicate, [""; 0]);
    batch.push(MessageId(3), Outcome::Conflict, [""; 0]);
    batch.finish();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"{"results":[{"message_id":"0000000000000001","status":"accepted","workflows_triggered":["w"]},"#,
            r#"{"message_id":"0000000000000002","status":"duplicate","workflows_triggered":[]},"#,
            r#"{"message_id":"0000000000000003","status":"conflict","workflows_triggered":[]}]}"#
        )
    );
}
