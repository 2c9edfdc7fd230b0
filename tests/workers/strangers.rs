//! Workers that do not get in: what is said of it, and where.

use crate::crew::Crew;
use crate::server::until;
use serde_json::Value;

#[test]
fn who_has_other_keys_is_told_of_where_they_are_missing_and_where_they_are_missed() {
    let Some(crew) = Crew::found(1) else { return };
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "7".repeat(64)).unwrap();
    let worker = crew.start(1, &[&format!("gossip_keys={}", keys.path().display())]);
    worker.ready();
    until("the coordinator says what it drops", || {
        let said = crew.server().said();
        said.contains("it is sealed, and this node has no gossip_keys").then_some(())
    });
    let why = until("the worker's health says why", || {
        let mut connection = crate::client::Connection::open(worker.address).ok()?;
        let answer = connection.get("/health/ready").ok()?;
        let body: Value = answer.json();
        let why = body["checks"]["leader"]["message"].as_str()?.to_owned();
        why.contains("nobody has answered").then_some(why)
    });
    assert!(why.contains("in its gossip_keys"), "{why}");
    // The log is written beside the work.
    until("the worker's log says why", || {
        worker.said().contains("gossip: nobody has answered").then_some(())
    });
}
