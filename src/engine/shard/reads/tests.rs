use crate::message::ToShard;
use crate::shard::limits::READ_APPLY_MAX_MS;
use crate::shard::tests::Case;
use std::time::Duration;

/// A shard that serves, of a group of several.
fn in_company() -> Case {
    let mut case = Case::serving();
    case.packet(ToShard::Alone { since: None });
    case
}

#[test]
fn reads_of_one_round_of_inputs_share_an_index_and_later_ones_do_not() {
    let mut case = in_company();
    case.get(1, "/api/v1/rules", "");
    case.get(2, "/api/v1/workflows", "");
    case.flush();
    case.get(3, "/api/v1/definitions", "");
    case.flush();
    case.flush();
    assert_eq!(case.reads, [1, 2]);
    let applied = case.shard.applied();
    case.packet(ToShard::ReadIndex { ticket: 1, index: Some(applied) });
    assert_eq!(case.statuses(), [(1, 200), (2, 200)]);
    case.packet(ToShard::ReadIndex { ticket: 2, index: None });
    assert_eq!(case.statuses()[2], (3, 503));
    assert!(case.replies[2].2.contains("no_leader"), "{}", case.replies[2].2);
}

#[test]
fn a_read_waits_until_its_index_is_applied_here() {
    let mut case = in_company();
    let applied = case.shard.applied();
    for (id, path) in [(1, "/api/v1/rules"), (2, "/api/v1/workflows")] {
        case.get(id, path, "");
    }
    case.flush();
    case.packet(ToShard::ReadIndex { ticket: 1, index: Some(applied + 1) });
    assert_eq!(case.statuses(), []);
    case.message(3, "{}");
    case.commit_all();
    assert_eq!(case.shard.applied(), applied + 1);
    assert_eq!(case.statuses(), [(3, 202), (1, 200), (2, 200)]);
}

#[test]
fn a_read_whose_index_is_not_applied_in_time_is_refused() {
    let mut case = in_company();
    let applied = case.shard.applied();
    for (id, path) in [(1, "/api/v1/rules"), (2, "/api/v1/workflows")] {
        case.get(id, path, "");
    }
    case.flush();
    case.packet(ToShard::ReadIndex { ticket: 1, index: Some(applied + 1) });
    let due = case.now.instant + Duration::from_millis(READ_APPLY_MAX_MS);
    assert_eq!(case.shard.deadline(), Some(due));
    case.now.instant = due;
    case.deadline();
    assert_eq!(case.statuses(), [(1, 503), (2, 503)]);
    assert!(case.replies[0].2.contains("\"behind\""), "{}", case.replies[0].2);
    // What is applied later answers nobody twice.
    case.message(3, "{}");
    case.commit_all();
    assert_eq!(case.statuses().len(), 3);
}

#[test]
fn a_node_is_alone_only_from_the_index_on_that_it_was_told() {
    let mut case = in_company();
    let applied = case.shard.applied();
    case.packet(ToShard::Alone { since: Some(applied + 1) });
    case.get(1, "/api/v1/rules", "");
    case.message(2, "{}");
    case.commit_all();
    case.get(3, "/api/v1/rules", "");
    assert_eq!(case.statuses(), [(2, 202), (3, 200)], "the first asked the group");
}
