//! Several coordinators in one world: what one acknowledges, all have, once.

mod checksums;
mod clocks;
mod members;
mod reads;
mod workers;
mod world;

use crate::message::NotTaken;
use crate::peer::PeerMessage;
use base::{BootId, CoreId, NodeId, StoreId};
use std::collections::BTreeSet;
use world::World;

const FAR: u64 = 1 << 40;

/// Every id is one of its own, and every node that is up has it.
fn each_is_there_once(world: &mut World, ids: &[String]) {
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    world.settle();
}

#[test]
fn every_node_takes_messages_and_all_have_the_same_state() {
    let mut world = World::serving(3, FAR);
    let mut ids = Vec::new();
    for number in 0..60 {
        let node = NodeId(number % 3 + 1);
        ids.push(world.accepted(node, None, &format!("{{\"n\":{number}}}")));
    }
    each_is_there_once(&mut world, &ids);
}

#[test]
fn five_nodes_go_on_without_two() {
    let mut world = World::serving(5, FAR);
    let first = world.leader().unwrap();
    world.accepted(first, None, "{}");
    world.kill(first);
    let second = world.follower();
    world.kill(second);
    world.until("there is a leader", |world| world.leader().is_some());
    let node = world.follower();
    let id = world.accepted(node, Some("k"), "{}");
    assert_eq!(world.accepted(node, Some("k"), "{}"), id);
    world.start(first);
    world.start(second);
    world.until("all serve", World::all_serve);
    assert_eq!(world.accepted(first, Some("k"), "{}"), id, "and so does who was away");
    world.settle();
}

#[test]
fn a_dead_leader_loses_nothing_that_was_acknowledged() {
    let mut world = World::serving(3, FAR);
    for round in 0..4 {
        let (leader, follower) = (world.leader().unwrap(), world.follower());
        let mut acknowledged = Vec::new();
        for number in 0..10 {
            let key = format!("{round}-{number}");
            acknowledged.push((world.accepted(follower, Some(&key), "{}"), key));
        }
        let waiting: Vec<u64> = (10..20)
            .map(|number| world.post(follower, 1, Some(&format!("{round}-{number}")), "{}"))
            .collect();
        world.run(round);
        world.kill(leader);
        world.until("what was on its way is answered", |world| {
            waiting.iter().all(|request| world.reply(follower, *request).is_some())
        });
        for request in &waiting {
            let (status, text) = world.reply(follower, *request).unwrap();
            assert_eq!(status, 202, "{text}");
        }
        for (id, key) in acknowledged {
            assert_eq!(world.accepted(follower, Some(&key), "{}"), id, "the first answer again");
        }
        world.start(leader);
        world.until("all serve", World::all_serve);
        world.settle();
    }
}

#[test]
fn what_a_follower_sent_to_a_leader_that_is_cut_off_goes_to_the_next_once() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let waiting: Vec<u64> =
        (0..10).map(|n| world.post(follower, 0, None, &format!("{{\"n\":{n}}}"))).collect();
    // The leader has them in its log, and nobody hears of it.
    world.run(1);
    world.isolate(leader, true);
    let on_the_old = world.post(leader, 0, Some("old"), "{}");
    world.until("they are answered", |world| {
        waiting.iter().all(|request| world.reply(follower, *request).is_some())
    });
    assert!(world.reply(leader, on_the_old).is_none(), "a cut off leader acknowledges nothing");
    world.isolate(leader, false);
    world.until("the old leader's own goes to the new one", |world| {
        world.reply(leader, on_the_old).is_some()
    });
    assert_eq!(world.reply(leader, on_the_old).unwrap().0, 202);
    let ids: Vec<String> = (waiting.iter())
        .map(|request| world::message_id(&world.reply(follower, *request).unwrap().1))
        .collect();
    each_is_there_once(&mut world, &ids);
}

#[test]
fn without_a_majority_nothing_is_acknowledged_and_clients_hear_why() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let last = (1..=3).map(NodeId).find(|id| *id != leader && *id != follower).unwrap();
    world.kill(leader);
    world.kill(last);
    // Each in a batch of its own.
    let early = [(); 5].map(|()| {
        world.run(1);
        world.post(follower, 0, None, "{}")
    });
    world.run(2_000);
    let late = world.post(follower, 0, None, "{}");
    let (status, text) = world.reply(follower, late).expect("refused at once");
    assert_eq!((status, text.contains("no_leader")), (503, true), "{text}");
    assert!(early.iter().all(|early| world.reply(follower, *early).is_none()), "not known yet");
    world.run(9_500);
    for early in early {
        let (status, text) = world.reply(follower, early).expect("its time is up");
        assert_eq!((status, text.contains("outcome_unknown")), (503, true), "{text}");
    }
    world.start(leader);
    world.start(last);
    world.until("all serve", World::all_serve);
    world.accepted(follower, None, "{}");
    world.settle();
}

#[test]
fn a_leader_without_room_hands_the_lead_over_and_all_goes_on() {
    let mut world = World::serving(3, FAR);
    let full = world.leader().unwrap();
    world.nodes[usize::try_from(full.0 - 1).unwrap()].is_full = true;
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(100_000));
    let other = world.follower();
    let mut refused = 0;
    for _ in 0..60 {
        world.accepted(other, None, &body);
        let request = world.post(full, 0, None, &body);
        world.until("it is answered", |world| world.reply(full, request).is_some());
        let (status, text) = world.reply(full, request).unwrap();
        assert!(status == 202 || text.contains("no_space"), "{status}: {text}");
        refused += u32::from(status != 202);
    }
    assert!(refused > 50, "who cannot write takes nothing of its own: {refused}");
    let node = &world.nodes[usize::try_from(full.0 - 1).unwrap()];
    assert!(
        node.notices.iter().any(|text| text.contains("is asked to lead")),
        "{:?}",
        node.notices
    );
    assert_ne!(world.leader(), Some(full));
    // Once there is room it writes what it was sent, and goes on.
    world.nodes[usize::try_from(full.0 - 1).unwrap()].is_full = false;
    world.run(2_000);
    let id = world.accepted(full, Some("k"), "{}");
    assert_eq!(world.accepted(other, Some("k"), "{}"), id);
    world.settle();
}

#[test]
fn a_node_that_lacks_what_was_compacted_gets_a_snapshot_in_place_and_starts_from_it() {
    let mut world = World::serving(3, 100_000);
    let away = world.follower();
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(10_000));
    let known = world.accepted(away, Some("before"), "{}");
    world.isolate(away, true);
    let node = world.leader().unwrap();
    for _ in 0..300 {
        world.accepted(node, None, &body);
    }
    // Who starts anew has nothing in memory of what its snapshot holds.
    for id in (1..=3).map(NodeId).filter(|id| *id != away) {
        world.kill(id);
        world.start(id);
    }
    world.until("there is a leader", |world| world.leader().is_some_and(|id| id != away));
    world.run(500);
    world.isolate(away, false);
    world.until("it is installed", |world| world.nodes.iter().any(|node| node.installed > 0));
    world.settle();
    assert_eq!(world.accepted(away, Some("before"), "{}"), known);
    world.accepted(away, None, &body);
    world.kill(away);
    world.start(away);
    world.until("all serve", World::all_serve);
    assert_eq!(world.accepted(away, Some("before"), "{}"), known);
    world.settle();
}

#[test]
fn a_slow_follower_is_served_from_the_journal() {
    let mut world = World::serving(3, FAR);
    let away = world.follower();
    world.kill(away);
    let node = world.leader().unwrap();
    for number in 0..50 {
        world.accepted(node, None, &format!("{{\"n\":{number}}}"));
    }
    // Who starts anew has what is applied on its disk alone.
    for id in (1..=3).map(NodeId).filter(|id| *id != away) {
        world.kill(id);
        world.start(id);
    }
    world.until("there is a leader", |world| world.leader().is_some());
    world.start(away);
    world.until("all serve", World::all_serve);
    world.settle();
    assert!(world.nodes.iter().any(|node| node.read_back > 0));
}

#[test]
fn a_stopping_leader_hands_over() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let at = usize::try_from(leader.0 - 1).unwrap();
    world.nodes[at].minds.as_mut().unwrap().consensus.on_stop();
    let began = world.now.instant;
    world.until("another leads", |world| world.leader().is_some_and(|now| now != leader));
    assert!(world.now.instant.since(began).as_millis() < 100);
    let minds = world.nodes[at].minds.as_ref().unwrap();
    assert!(minds.consensus.is_drained());
    world.accepted(follower, None, "{}");
    world.settle();
}

#[test]
fn peers_that_are_wrong_are_not_listened_to() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let refusal = PeerMessage::NotTaken {
        boot: BootId(1),
        core: CoreId(0),
        number: 1,
        round: 1,
        why: NotTaken::NoSpace,
    };
    let nonsense = PeerMessage::Forward(crate::peer::Forward {
        boot: BootId(1),
        core: CoreId(0),
        number: 7,
        round: 99,
        records: 1,
        section: bytes::Bytes::from_static(b"nonsense"),
    });
    for (store, message) in [(9, refusal), (9, nonsense.clone()), (100 + follower.0, nonsense)] {
        let at = usize::try_from(leader.0 - 1).unwrap();
        let minds = world.nodes[at].minds.as_mut().unwrap();
        let mut out = base::Outbox::new();
        minds.consensus.on_peer(world.now, follower, StoreId(store), message, &mut out);
        assert!(out.is_empty());
    }
    world.accepted(follower, None, "{}");
    world.settle();
}
