//! Who belongs to the group, and what is told of it.

use super::FAR;
use super::world::World;
use crate::cluster::{Answered, Fulfilled, Seen};
use api::Method;
use base::{Address, NodeId, UnixMicros, WorkerId};
use serde_json::json;

fn address_of(world: &World, at: NodeId, of: NodeId) -> Option<Address> {
    let told = &world.nodes[usize::try_from(at.0 - 1).unwrap()].members;
    told.member(of).expect("everybody is told of all members").address.clone()
}

#[test]
fn every_node_is_told_its_members_at_the_start() {
    let world = World::new(3, FAR);
    for node in &world.nodes {
        let told: Vec<u64> = node.members.members().map(|(id, _)| id.0).collect();
        assert_eq!(told, [1, 2, 3]);
    }
}

#[test]
fn a_node_that_is_reached_elsewhere_says_so_to_all() {
    let mut world = World::serving(3, FAR);
    let elsewhere = |id| Address::parse(&format!("10.0.1.{id}:9102")).unwrap();
    for id in (1..=3).map(NodeId) {
        world.kill(id);
        world.nodes[usize::try_from(id.0 - 1).unwrap()].address = Some(elsewhere(id));
    }
    (1..=3).map(NodeId).for_each(|id| world.start(id));
    world.until("all serve", World::all_serve);
    world.run(5_000);
    for (at, of) in (1..=3).flat_map(|at| (1..=3).map(move |of| (NodeId(at), NodeId(of)))) {
        assert_eq!(address_of(&world, at, of), Some(elsewhere(of)), "node {at} of node {of}");
    }
    let leader = world.leader().unwrap();
    let commit = world.commit(leader);
    world.run(3_000);
    assert_eq!(world.commit(leader), commit, "it is said once");
    world.accepted(leader, None, "{}");
    world.settle();
}

const ADD: (Method, &str) = (Method::Post, "/api/v1/cluster/nodes");

fn add(world: &mut World, at: NodeId, node: NodeId) -> (u16, String) {
    let body = format!("{{\"node\":{node},\"address\":\"10.0.0.{node}:9101\"}}");
    world.demanded(at, ADD, &body)
}

fn promote(world: &mut World, at: NodeId, node: NodeId) -> (u16, String) {
    let path = format!("/api/v1/cluster/nodes/{node}/promote");
    world.demanded(at, (Method::Post, &path), "")
}

fn remove(world: &mut World, at: NodeId, node: NodeId) -> (u16, String) {
    let path = format!("/api/v1/cluster/nodes/{node}");
    world.demanded(at, (Method::Delete, &path), "")
}

fn nodes(world: &mut World, at: NodeId) -> String {
    world.answered(at, 0, "/api/v1/cluster/nodes").1
}

#[test]
fn a_node_is_added_promoted_and_takes_the_place_of_one_that_is_removed() {
    let mut world = World::serving(3, FAR);
    let id = world.accepted(NodeId(1), None, "{}");
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let fourth = world.extend();
    // Asked of a follower, which asks its leader.
    let (status, text) = add(&mut world, follower, fourth);
    assert_eq!(
        (status, text.contains(r#""node":4,"is":"learner","index":"#)),
        (200, true),
        "{text}"
    );
    let told = nodes(&mut world, follower);
    assert!(told.contains(r#"{"node":4,"standing":"learner","leader":false,"#), "{told}");
    world.until("the new node serves", World::all_serve);
    assert_eq!(world.answered(fourth, 1, &format!("/api/v1/messages/{id}")).0, 200);
    let (status, text) = promote(&mut world, fourth, fourth);
    assert_eq!((status, text.contains(r#""is":"voter""#)), (200, true), "{text}");
    // Any node can be removed: its leader, too, which steps down behind its own removal.
    let before = world.now.instant;
    let (status, text) = remove(&mut world, leader, leader);
    assert_eq!((status, text.contains(r#""is":"removed""#)), (200, true), "{text}");
    world.until("another leads", |world| world.leader().is_some_and(|now| now != leader));
    let ms = world.now.instant.since(before).as_millis();
    assert!(ms < 50, "the lead went over in {ms} ms");
    world.kill(leader);
    for at in (1..=4).map(NodeId).filter(|at| *at != leader) {
        world.accepted(at, None, "{}");
        let told = nodes(&mut world, at);
        assert!(!told.contains(&format!("{{\"node\":{leader},")), "{told}");
    }
    world.settle();
}

#[test]
fn a_node_that_knows_nobody_is_brought_up_by_a_snapshot_of_the_leader_that_added_it() {
    let mut world = World::serving(3, FAR);
    let id = world.accepted(NodeId(1), None, "{}");
    let leader = world.leader().unwrap();
    let fourth = world.extend_with_nobody();
    let (status, text) = add(&mut world, leader, fourth);
    assert_eq!(status, 200, "{text}");
    world.until("the new node serves", World::all_serve);
    assert_eq!(world.nodes[3].installed, 1);
    assert_eq!(world.answered(fourth, 1, &format!("/api/v1/messages/{id}")).0, 200);
    let (status, text) = promote(&mut world, fourth, fourth);
    assert_eq!(status, 200, "{text}");
    world.settle();
}

#[test]
fn what_cannot_be_changed_is_refused_with_the_reason() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let fourth = world.extend();
    let body = |node: u64, address: &str| format!("{{\"node\":{node},\"address\":\"{address}\"}}");
    let rows = [
        (body(2, "10.0.0.4:9101"), 409, "in_use", "node 2 belongs to the cluster already"),
        (body(5, "10.0.0.2:9101"), 409, "in_use", "the others reach node 2 at"),
        (body(5, "10.0.0.4:9101"), 409, "wrong_state", "answers node 4, not node 5"),
        (body(5, "10.0.0.5:9101"), 409, "wrong_state", "connection refused"),
        (body(0, "10.0.0.5:9101"), 400, "bad_request", "from 1 on"),
        (body(5, "here"), 400, "bad_request", "here"),
        ("{}".to_owned(), 400, "bad_request", "`node`"),
        ("[]".to_owned(), 400, "not_an_object", "object"),
        ("{".to_owned(), 400, "bad_json", ""),
        (r#"{"node":5,"address":"a:1","x":1}"#.to_owned(), 400, "bad_request", "more fields"),
    ];
    for at in [leader, follower] {
        for (body, status, code, part) in &rows {
            let (found, text) = world.demanded(at, ADD, body);
            assert_eq!(found, *status, "{body}: {text}");
            assert!(text.contains(code) && text.contains(part), "{body}: {text}");
        }
    }
    world.nodes[3].cluster = Some(7);
    let (status, text) = add(&mut world, follower, fourth);
    assert_eq!(
        (status, text.contains("belongs to cluster 0000000000000007")),
        (409, true),
        "{text}"
    );
    world.nodes[3].cluster = Some(1);
    assert_eq!(add(&mut world, follower, fourth).0, 200, "its own cluster's is welcome back");
    let refused = [
        (promote(&mut world, leader, NodeId(9)), 404, "unknown_id"),
        (promote(&mut world, leader, NodeId(9)), 404, "node 9 does not belong to the group"),
        (promote(&mut world, leader, follower), 409, "is no learner"),
        (remove(&mut world, follower, NodeId(9)), 404, "unknown_id"),
        (world.demanded(leader, TRANSFER, r#"{"to":4}"#), 409, "is no other voter"),
        (world.demanded(leader, TRANSFER, r#"{"to":"x"}"#), 400, "`to`"),
    ];
    for ((found, text), status, part) in refused {
        assert_eq!((found, text.contains(part)), (status, true), "{text}");
    }
}

const TRANSFER: (Method, &str) = (Method::Post, "/api/v1/cluster/transfer");

#[test]
fn a_change_after_which_nobody_could_decide_is_refused() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let last = (1..=3).map(NodeId).find(|id| *id != leader && *id != follower).unwrap();
    world.kill(last);
    world.run(1_500);
    let (status, text) = remove(&mut world, leader, follower);
    assert_eq!((status, text.contains("too few to go on")), (409, true), "{text}");
    // Whoever is gone for good can go.
    assert_eq!(remove(&mut world, leader, last).0, 200);
    world.accepted(follower, None, "{}");
    world.settle();
}

#[test]
fn whoever_asks_for_the_group_is_told_everybody_whom_gossip_knows_as_well() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let absent = "\"members_absent\":\"this node takes no gossip: start it with --gossip ADDRESS\"";
    assert!(nodes(&mut world, follower).ends_with(&format!("{absent}}}")));
    let one = |node: Option<NodeId>, worker| Seen {
        node,
        worker,
        is_coordinator: node.is_some(),
        is_worker: worker.is_some(),
        name: "it".to_owned(),
        state: "alive",
        since: UnixMicros(0),
        gossip: "10.0.0.7:9201".parse().unwrap(),
        http: String::new(),
        zone: "a".to_owned(),
        capacity: 4,
        load_permille: 250,
        versions: (1, 1),
    };
    let everybody = [one(Some(leader), Some(WorkerId(7))), one(None, Some(WorkerId(8)))];
    world.tell_everybody(follower, Ok(everybody.into()));
    for path in ["/api/v1/cluster/nodes", "/api/v1/cluster/status"] {
        let told = world.answered(follower, 0, path).1;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let members = told["members"].as_array().unwrap();
        let roles: Vec<&serde_json::Value> = members.iter().map(|it| &it["roles"]).collect();
        assert_eq!(roles, [&json!(["coordinator", "worker"]), &json!(["worker"])]);
        let leads = members.iter().map(|member| member["leader"] == true);
        assert_eq!(leads.collect::<Vec<_>>(), [true, false]);
        assert_eq!(told["members_absent"], serde_json::Value::Null);
    }
}

#[test]
fn the_lead_goes_over_when_asked() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let (status, text) = world.demanded(follower, TRANSFER, &format!("{{\"to\":{follower}}}"));
    assert_eq!((status, text), (200, format!("{{\"node\":{follower},\"is\":\"leader\"}}")));
    assert_eq!(world.leader(), Some(follower));
    let (status, text) = world.demanded(follower, TRANSFER, &format!("{{\"to\":{follower}}}"));
    assert_eq!((status, text), (200, format!("{{\"node\":{follower},\"is\":\"leader\"}}")));
    // Of nobody in particular.
    let (status, text) = world.demanded(leader, TRANSFER, "");
    assert_eq!(status, 200, "{text}");
    assert_ne!(world.leader(), Some(follower));
    world.accepted(follower, None, "{}");
    world.settle();
}

#[test]
fn without_an_answer_of_the_leader_a_change_is_not_known_and_nothing_is_left_waiting() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let fourth = world.extend();
    world.cut.insert((leader, follower));
    let body = "{\"node\":4,\"address\":\"10.0.0.4:9101\"}";
    let asked = world.request(follower, 0, (Method::Post, ADD.1, ""), (None, body.as_bytes()));
    let listed = world.get(follower, 1, "/api/v1/cluster/nodes");
    world.run(1_100);
    let (status, text) = world.reply(follower, listed).expect("a list needs no leader");
    assert_eq!((status, text.contains("progress_absent")), (200, true), "{text}");
    world.run(15_000);
    let (status, text) = world.reply(follower, asked).expect("its time is up");
    assert_eq!((status, text.contains("outcome_unknown")), (503, true), "{text}");
    world.cut.clear();
    world.until("all follow", |world| world.leader().is_some());
    world.run(1_000);
    assert!(nodes(&mut world, follower).contains("{\"node\":4,"), "it was done");
    world.kill(fourth);
    for id in (1..=3).map(NodeId).filter(|id| *id != follower) {
        world.kill(id);
    }
    world.run(2_000);
    let (status, text) = world.demanded(follower, TRANSFER, "");
    assert_eq!((status, text.contains("no_leader")), (503, true), "{text}");
    let told = nodes(&mut world, follower);
    assert!(told.contains("this node does not lead and knows no leader"), "{told}");
}

#[test]
fn a_lone_node_grows_to_three_and_back() {
    let mut world = World::serving(1, FAR);
    let first = NodeId(1);
    let id = world.accepted(first, None, "{}");
    for _ in 0..2 {
        let node = world.extend();
        assert_eq!(add(&mut world, first, node).0, 200);
        world.until("it serves", World::all_serve);
        assert_eq!(world.answered(node, 0, &format!("/api/v1/messages/{id}")).0, 200);
        let read = world.accepted(node, None, "{}");
        for core in 0..2 {
            let (status, text) = world.answered(first, core, &format!("/api/v1/messages/{read}"));
            assert_eq!(status, 200, "{text}");
        }
        let (status, text) = promote(&mut world, first, node);
        assert_eq!(status, 200, "{text}");
    }
    world.settle();
    for node in [NodeId(1), NodeId(3)] {
        let (status, text) = remove(&mut world, NodeId(2), node);
        assert_eq!(status, 200, "{text}");
        world.kill(node);
        world.until("it goes on", |world| world.leader() == Some(NodeId(2)) || node == NodeId(1));
        world.accepted(NodeId(2), None, "{}");
    }
    let now = world.now.instant;
    assert_eq!(world.answered(NodeId(2), 0, &format!("/api/v1/messages/{id}")).0, 200);
    assert_eq!(world.now.instant, now, "who is alone again reads at once");
}

#[test]
fn a_transfer_whose_leader_lost_its_office_to_nobody_known_ends_as_unknown() {
    for body in ["", r#"{"to":2}"#, r#"{"to":3}"#] {
        let mut world = World::serving(3, FAR);
        let leader = world.leader().unwrap();
        if body.contains(&format!(":{leader}}}")) {
            continue;
        }
        world.isolate(leader, true);
        // It believes that it leads until it has heard of nobody for a whole election timeout.
        world.run(160);
        assert!(world.nodes[usize::try_from(leader.0 - 1).unwrap()].leads(), "{body}");
        let path = (Method::Post, TRANSFER.1, "");
        let asked = world.request(leader, 1, path, (None, body.as_bytes()));
        world.run(1_500);
        let (status, text) = world.reply(leader, asked).expect("it is answered in bounded time");
        // Nobody in particular was to take it: nobody was heard of, and so nobody was told to.
        let code = if body.is_empty() { "no_leader" } else { "outcome_unknown" };
        assert_eq!((status, text.contains(code)), (503, true), "{body}: {text}");
    }
}

#[test]
fn a_lone_voter_has_nobody_to_hand_over_to_and_says_so_at_once() {
    let mut world = World::serving(1, FAR);
    let now = world.now.instant;
    let (status, text) = world.demanded(NodeId(1), TRANSFER, "");
    assert_eq!((status, text.contains("there is no other voter")), (409, true), "{text}");
    assert_eq!(world.now.instant, now);
}

#[test]
fn a_change_asked_of_a_leader_that_froze_is_unknown_soon_after_another_leads() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.extend();
    world.isolate(leader, true);
    let body = "{\"node\":4,\"address\":\"10.0.0.4:9101\"}";
    let asked = world.request(follower, 0, (Method::Post, ADD.1, ""), (None, body.as_bytes()));
    let path = (Method::Post, TRANSFER.1, "");
    let handed = world.request(follower, 1, path, (None, b""));
    world.until("another leads", |world| world.leader().is_some_and(|now| now != leader));
    world.run(50);
    let replies = [handed, asked].map(|id| world.reply(follower, id));
    assert_eq!(replies, [None, None], "whoever led may still say it");
    world.run(1_000);
    let another = world.leader().unwrap();
    let (status, text) = world.reply(follower, handed).expect("another leads, as was asked");
    assert_eq!((status, text), (200, format!("{{\"node\":{another},\"is\":\"leader\"}}")));
    let (status, text) = world.reply(follower, asked).expect("it will not");
    assert_eq!((status, text.contains("outcome_unknown")), (503, true), "{text}");
}

#[test]
fn a_change_that_this_node_has_not_come_to_is_not_told_as_made_here() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.cut.insert((leader, follower));
    let body = "{\"node\":4,\"address\":\"10.0.0.4:9101\"}";
    let asked = world.request(follower, 0, (Method::Post, ADD.1, ""), (None, body.as_bytes()));
    // The leader's answer gets through, and its entries do not.
    let index = world.commit(leader) + 1_000;
    let answer = Answered::Demand(Fulfilled::Changed { index }).to_body();
    world.answer_all(leader, follower, &answer);
    world.run(15_500);
    assert_eq!(world.reply(follower, asked), None, "it waits for the entry");
    world.run(1_000);
    let (status, text) = world.reply(follower, asked).expect("its time is up");
    let is_said = text.contains("outcome_unknown") && text.contains(&format!("entry {index}"));
    assert_eq!((status, is_said), (503, true), "{text}");
}

#[test]
fn a_node_that_knows_of_its_removal_refuses_at_once_and_ends_what_waits_soon() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let (place, of_leader) = (follower.0 - 1, leader.0 - 1);
    let [place, of_leader] = [place, of_leader].map(|at| usize::try_from(at).unwrap());
    let path = format!("/api/v1/cluster/nodes/{follower}");
    world.request(leader, 0, (Method::Delete, &path, ""), (None, b""));
    world.until("the leader has removed it", |world| {
        world.nodes[of_leader].members.member(follower).is_none()
    });
    let waits = world.post(follower, 0, None, "{}");
    assert!(world.nodes[place].members.member(follower).is_some(), "it does not know yet");
    world.until("it knows", |world| world.nodes[place].members.member(follower).is_none());
    let before = world.now.instant;
    let rows = [
        (Method::Post, "/api/v1/messages", "{}"),
        (Method::Get, "/api/v1/messages/0000000000000001", ""),
        (Method::Post, TRANSFER.1, ""),
        (ADD.0, ADD.1, "{\"node\":4,\"address\":\"10.0.0.4:9101\"}"),
    ];
    for (method, path, body) in rows {
        for core in 0..2 {
            let (status, text) = world.demanded_of(follower, core, (method, path), body);
            assert_eq!((status, text.contains("was removed")), (503, true), "{path}: {text}");
        }
    }
    assert_eq!(world.now.instant, before, "all at once");
    assert_eq!(world.reply(follower, waits), None, "it may be in the log");
    world.run(2_000);
    let (status, text) = world.reply(follower, waits).expect("nothing will be heard of it");
    assert_eq!((status, text.contains("outcome_unknown")), (503, true), "{text}");
    world.accepted(leader, None, "{}");
}

#[test]
fn whoever_is_told_of_a_new_voter_may_lose_an_old_one_in_the_same_moment() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let last = (1..=3).map(NodeId).find(|id| *id != leader && *id != follower).unwrap();
    assert_eq!(remove(&mut world, leader, last).0, 200);
    world.kill(last);
    let fourth = world.extend();
    assert_eq!(add(&mut world, leader, fourth).0, 200);
    world.until("it serves", |world| world.nodes[3].minds.as_ref().unwrap().shards[0].is_serving());
    let id = world.accepted(leader, None, "{}");
    // A majority of the three that there are is a majority, also if nobody's process lives on who knew
    // that they are three.
    assert_eq!(promote(&mut world, leader, fourth).0, 200);
    for node in [leader, follower, fourth] {
        world.kill(node);
    }
    world.start(leader);
    world.start(fourth);
    world.until("one of both leads", |world| world.leader().is_some());
    world.until("both serve", World::all_serve);
    assert_eq!(world.answered(fourth, 1, &format!("/api/v1/messages/{id}")).0, 200);
    world.accepted(fourth, None, "{}");
}
