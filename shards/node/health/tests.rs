use super::*;
use serde_json::{Value, json};

const LATER: UnixMicros = UnixMicros(1_795_168_681_000_000);
const BEFORE: UnixMicros = UnixMicros(1_795_168_680_000_000);

fn answer(board: &Board) -> (u16, Value) {
    let response = board.ready();
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

const UP: LogFacts = LogFacts { has_leader: true, has_space: true, is_disk_full: false };

fn facts(serving: bool, log: Option<LogFacts>) -> Facts {
    Facts { serving, stopping: false, log, has_workers: None }
}

#[test]
fn a_node_is_ready_when_every_core_and_the_log_are() {
    let board = Board::new(2, BEFORE);
    let cores = [0, 1].map(|core| Reporter::new(&board, CoreId(core)));
    let down = |what: &str| {
        let (status, body) = answer(&board);
        assert_eq!(status, 503, "{what}: {body}");
        let down = body["checks"].as_object().unwrap().iter();
        down.filter(|(_, check)| check["status"] == "DOWN")
            .map(|(name, check)| format!("{name}: {}", check["message"].as_str().unwrap()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(
        down("at first"),
        "raft: starting, state: starting, stopping: starting, storage: starting"
    );
    cores[0].report(facts(true, Some(UP)), || BEFORE);
    assert_eq!(down("one core is behind"), "state: starting");
    cores[1].report(facts(false, None), || BEFORE);
    assert_eq!(down("and says so"), "state: the log is being read");
    cores[1].report(facts(true, None), || LATER);
    let (status, body) = answer(&board);
    assert_eq!((status, &body["status"]), (200, &json!("UP")), "{body}");
    let since = &body["checks"]["storage"]["since"];
    assert_eq!(body["checks"]["storage"], json!({"status": "UP", "since": since}));
    let full = LogFacts { is_disk_full: true, ..UP };
    cores[0].report(facts(true, Some(full)), || LATER);
    let (status, body) = answer(&board);
    assert_eq!((status, &body["status"]), (200, &json!("DEGRADED")), "{body}");
    let why = "the disk has no room for another segment of the journal";
    assert_eq!(body["checks"]["storage"]["message"], why);
    cores[0].report(facts(true, Some(LogFacts { has_space: false, ..full })), || LATER);
    assert_eq!(down("full"), "storage: the journal's disk is full");
    let (_, body) = answer(&board);
    assert_eq!(body["checks"]["storage"]["since"], "2026-11-20T09:58:01.000000Z", "{body}");
    cores[0].report(facts(true, Some(LogFacts { has_leader: false, ..UP })), || LATER);
    assert_eq!(down("no leader"), "raft: no coordinator is known to lead");
    cores[0].report(Facts { has_workers: Some(false), ..facts(true, Some(UP)) }, || LATER);
    let (status, body) = answer(&board);
    assert_eq!((status, &body["status"]), (200, &json!("DEGRADED")), "it only informs: {body}");
    assert_eq!(body["checks"]["workers"]["status"], "DEGRADED");
    cores[0].report(Facts { stopping: true, ..facts(true, Some(UP)) }, || LATER);
    assert_eq!(down("stop"), "stopping: the node is stopping");
}

#[test]
fn what_is_no_news_is_not_written_again() {
    let board = Board::new(1, BEFORE);
    let core = Reporter::new(&board, CoreId(0));
    core.report(facts(true, Some(UP)), || BEFORE);
    core.report(facts(true, Some(UP)), || unreachable!("nobody asks for the time"));
}
