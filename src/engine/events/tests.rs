use super::*;
use std::time::Duration;

fn elected(term: u64) -> EventKind {
    EventKind::LeaderElected { node: NodeId(1), term }
}

fn log(events: u64) -> EventLog {
    let mut log = EventLog::default();
    for term in 1..=events {
        log.push(UnixMicros(term), elected(term));
    }
    log
}

/// The numbers of a page, what to ask for next, and how many were lost.
fn page(log: &EventLog, after: u64, limit: u32) -> (Vec<u64>, u64, u64) {
    let mut body = Vec::new();
    log.write(BootId(7), &EventsQuery { after, limit, wait: Duration::ZERO }, &mut body);
    let page: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(page["start"], 7);
    let events = page["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event["term"] == event["number"]), "{page}");
    let numbers = events.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    (numbers, page["next"].as_u64().unwrap(), page["lost"].as_u64().unwrap())
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let log = log(5);
    assert_eq!(page(&log, 0, 2), (vec![1, 2], 2, 0));
    assert_eq!(page(&log, 2, 2), (vec![3, 4], 4, 0));
    assert_eq!(page(&log, 4, 2), (vec![5], 5, 0));
    assert_eq!(page(&log, 5, 2), (vec![], 5, 0));
}

#[test]
fn a_number_that_is_yet_to_come_is_of_an_earlier_run_and_the_page_begins_anew() {
    assert_eq!(page(&log(2), 9, 10), (vec![1, 2], 2, 0));
    assert_eq!(page(&log(0), 9, 10), (vec![], 0, 0));
}

#[test]
fn what_is_no_longer_kept_is_counted() {
    let log = log(EVENTS_MAX as u64 + 10);
    assert_eq!(page(&log, 0, 1), (vec![11], 11, 10));
    assert_eq!(page(&log, 4, 1), (vec![11], 11, 6));
    assert_eq!(page(&log, 10, 1), (vec![11], 11, 0));
    assert_eq!(page(&log, 11, 1), (vec![12], 12, 0));
}

#[test]
fn the_log_is_bounded_in_bytes_and_keeps_the_newest() {
    let mut log = EventLog::default();
    let edits = Arc::new(Edits { added: vec!["r".repeat(100); 20_000], ..Edits::default() });
    for version in 1..=3 {
        log.push(UnixMicros(0), EventKind::RulesChanged { version, edits: edits.clone() });
        assert_eq!(log.events.len(), 1);
    }
    log.push(UnixMicros(0), elected(4));
    assert_eq!((log.events.len(), log.bytes), (1, elected(4).bytes()));
}

#[test]
fn each_kind_is_told_with_its_fields() {
    let mut log = EventLog::default();
    let edits = Arc::new(Edits {
        changed: vec!["a".into()],
        deleted: vec!["b".into()],
        ..Edits::default()
    });
    log.push(UnixMicros(1), EventKind::RulesChanged { version: 3, edits: edits.clone() });
    log.push(UnixMicros(1), EventKind::DefinitionsChanged { version: 3, edits });
    let instance: InstanceId = "0030000000000001-1".parse().unwrap();
    log.push(
        UnixMicros(1),
        EventKind::TaskFailed {
            instance,
            workflow: "w".into(),
            task: "t".into(),
            attempts: 3,
            error: flow::TaskError::passing("http_503", "it said"),
        },
    );
    let mut body = Vec::new();
    log.write(BootId(1), &EventsQuery::default(), &mut body);
    let text = String::from_utf8(body).unwrap();
    let rules = r#""kind":"rules_changed","version":3,"stored":["a"],"deleted":["b"]"#;
    let definitions = rules.replace("rules_changed", "definitions_changed");
    let failed = r#""kind":"task_failed","instance":"0030000000000001-1","workflow":"w","task":"t","attempts":3,"code":"http_503","message":"it said""#;
    for part in [rules, &definitions, failed] {
        assert!(text.contains(part), "{text}");
    }
}
