//! Reads on any node see what any node acknowledged before they began.

use super::FAR;
use super::world::{SHARDS, World};
use base::NodeId;

fn message(id: &str) -> String {
    format!("/api/v1/messages/{id}")
}

#[test]
fn a_read_on_any_node_sees_what_was_acknowledged_anywhere_before_it_began() {
    let mut world = World::serving(3, FAR);
    for number in 0..30 {
        let (at, from) = (NodeId(number % 3 + 1), NodeId((number + 1 + number / 3 % 2) % 3 + 1));
        let id = world.accepted(at, None, &format!("{{\"n\":{number}}}"));
        let core = u16::try_from(number).unwrap() % SHARDS;
        let (status, text) = world.answered(from, core, &message(&id));
        assert_eq!(status, 200, "node {from} core {core} of what node {at} took: {text}");
    }
}

#[test]
fn a_follower_that_lags_answers_once_it_has_applied_the_index() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let id = world.accepted(leader, None, "{}");
    // The leader says how far it is; the entries themselves take a while longer.
    world.cut.insert((leader, follower));
    let later = world.accepted(leader, None, "{}");
    world.run(50);
    let request = world.get(follower, 1, &message(&later));
    world.run(20);
    assert!(world.reply(follower, request).is_none());
    world.cut.remove(&(leader, follower));
    world.until("it is answered", |world| world.reply(follower, request).is_some());
    assert_eq!(world.reply(follower, request).unwrap().0, 200);
    assert_eq!(world.answered(follower, 0, &message(&id)).0, 200);
}

#[test]
fn a_deposed_leader_never_answers_with_what_is_stale() {
    let mut world = World::serving(3, FAR);
    let (old, other) = (world.leader().unwrap(), world.follower());
    let known = world.accepted(old, None, "{}");
    assert_eq!(world.answered(old, 0, &message(&known)).0, 200);
    world.isolate(old, true);
    // It leads on, for all that it knows.
    let early = world.get(old, 0, &message(&known));
    world.until("there is another leader", |world| world.leader().is_some_and(|id| id != old));
    world.accepted(other, None, "{}");
    let late = world.get(old, 1, "/api/v1/workflows");
    let rules = world.get(old, 1, "/api/v1/rules");
    world.run(1_200);
    for request in [early, late, rules] {
        let (status, text) = world.reply(old, request).expect("it is not left waiting");
        assert_eq!((status, text.contains("no_leader")), (503, true), "{text}");
    }
    let events = world.get(old, 0, "/api/v1/events");
    assert_eq!(world.reply(old, events).expect("of the node itself").0, 200);
    world.isolate(old, false);
    world.until("it follows", |world| world.leader().is_some_and(|id| id != old));
    world.run(2_000);
    assert_eq!(world.answered(old, 0, &message(&known)).0, 200);
    assert_eq!(world.answered(old, 1, "/api/v1/rules").0, 200);
    assert_eq!(world.answered(old, 1, "/api/v1/workflows").0, 200);
}

#[test]
fn a_node_that_is_alone_answers_at_once() {
    let mut world = World::serving(1, FAR);
    let id = world.accepted(NodeId(1), None, "{}");
    for core in 0..SHARDS {
        let now = world.now.instant;
        assert_eq!(world.answered(NodeId(1), core, &message(&id)).0, 200);
        assert_eq!(world.now.instant, now, "nothing is waited for");
    }
}

#[test]
fn reads_are_answered_however_slow_the_way_is() {
    let mut world = World::serving(3, FAR);
    world.delay_ms = 90;
    world.until("all follow", |world| world.leader().is_some());
    world.run(3_000);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let id = world.accepted(leader, None, "{}");
    for node in [leader, follower] {
        let (status, text) = world.answered(node, 0, &message(&id));
        assert_eq!(status, 200, "{text}");
    }
}
