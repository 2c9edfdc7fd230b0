use super::*;

fn ready(health: &Health) -> (u16, String) {
    let mut out = Vec::new();
    let status = health.ready(&mut out);
    (status, String::from_utf8(out).unwrap())
}

#[test]
fn a_node_is_ready_when_no_part_is_down() {
    let mut health = Health::starting(&["storage", "raft"], UnixMicros(0));
    assert_eq!(
        ready(&health),
        (
            503,
            concat!(
                r#"{"status":"DOWN","checks":{"#,
                r#""raft":{"status":"DOWN","message":"starting","since":"1970-01-01T00:00:00.000000Z"},"#,
                r#""storage":{"status":"DOWN","message":"starting","since":"1970-01-01T00:00:00.000000Z"}}}"#
            )
            .to_owned()
        )
    );
    health.set("raft", State::Up, "", UnixMicros(1));
    assert!(!health.is_ready());
    health.set("storage", State::Degraded, "no O_DIRECT here: \"buffered\"", UnixMicros(2));
    assert_eq!(
        ready(&health),
        (
            200,
            concat!(
                r#"{"status":"DEGRADED","checks":{"#,
                r#""raft":{"status":"UP","since":"1970-01-01T00:00:00.000001Z"},"#,
                r#""storage":{"status":"DEGRADED","message":"no O_DIRECT here: \"buffered\"","since":"1970-01-01T00:00:00.000002Z"}}}"#
            )
            .to_owned()
        )
    );
}

#[test]
fn a_node_that_knows_of_no_part_is_not_ready() {
    assert_eq!(ready(&Health::default()), (503, r#"{"status":"DOWN","checks":{}}"#.to_owned()));
    assert_eq!(Health::live_body(), br#"{"status":"UP"}"#);
}

#[test]
fn a_part_keeps_its_time_while_its_state_stays() {
    let mut health = Health::default();
    health.set("raft", State::Up, "term 1", UnixMicros(1));
    health.set("raft", State::Up, "term 2", UnixMicros(2));
    let check = health.check("raft").unwrap();
    assert_eq!((check.message.as_str(), check.since), ("term 2", UnixMicros(1)));
    health.set("raft", State::Down, "", UnixMicros(3));
    assert_eq!(health.check("raft").unwrap().since, UnixMicros(3));
}

#[test]
fn of_two_words_on_one_part_the_worse_counts() {
    let mut mine = Health::default();
    mine.set("a", State::Degraded, "mine", UnixMicros(1));
    mine.set("b", State::Up, "mine", UnixMicros(1));
    let mut theirs = Health::default();
    theirs.set("a", State::Up, "theirs", UnixMicros(2));
    theirs.set("b", State::Down, "theirs", UnixMicros(2));
    theirs.set("c", State::Up, "theirs", UnixMicros(2));
    mine.absorb(&theirs);
    let messages = ["a", "b", "c"].map(|part| mine.check(part).unwrap().message.clone());
    assert_eq!(messages, ["mine", "theirs", "theirs"]);
    assert_eq!(mine.state(), State::Down);
}
