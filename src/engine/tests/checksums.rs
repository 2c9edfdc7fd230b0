//! All members have the same state, and an operator can see it.

use super::FAR;
use super::world::World;
use api::Method;
use base::NodeId;

const COMPARE: (Method, &str) = (Method::Post, "/api/v1/cluster/checksum");

/// The checksums of an answer, in the order of the nodes.
fn sums(text: &str) -> Vec<&str> {
    text.split("\"checksum\":\"").skip(1).map(|rest| &rest[..16]).collect()
}

#[test]
fn all_members_are_compared_at_one_index_whatever_their_cores() {
    let mut world = World::new(3, FAR);
    for (at, cores) in [(1, 1), (2, 3)] {
        world.kill(NodeId(at + 1));
        world.nodes[usize::try_from(at).unwrap()].cores = cores;
        world.start(NodeId(at + 1));
    }
    world.until("all serve", World::all_serve);
    for number in 0..20 {
        world.accepted(NodeId(number % 3 + 1), Some(&format!("{number}")), "{}");
    }
    let mut before = String::new();
    for node in (1..=3).map(NodeId) {
        let (status, text) = world.demanded_of(node, 0, COMPARE, "");
        assert_eq!((status, text.starts_with("{\"equal\":true,\"index\":")), (200, true), "{text}");
        let sums = sums(&text);
        assert_eq!(sums.len(), 3, "{text}");
        assert_ne!(sums[0], before, "the record's own place is in the state");
        sums[0].clone_into(&mut before);
    }
    world.accepted(NodeId(1), None, "{}");
    world.settle();
}

#[test]
fn a_lone_node_has_its_checksum_too() {
    let mut world = World::serving(1, FAR);
    world.accepted(NodeId(1), None, "{}");
    let (status, text) = world.demanded(NodeId(1), COMPARE, "");
    assert_eq!((status, sums(&text).len()), (200, 1), "{text}");
    assert!(text.starts_with("{\"equal\":true,"), "{text}");
}

#[test]
fn who_says_nothing_is_named() {
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let away = (1..=3).map(NodeId).find(|id| *id != leader && *id != follower).unwrap();
    world.kill(away);
    let asked = world.request(follower, 1, (COMPARE.0, COMPARE.1, ""), (None, b""));
    world.run(100);
    let again = world.demanded(follower, COMPARE, "");
    assert_eq!((again.0, again.1.contains("under way already")), (429, true), "{}", again.1);
    world.run(10_000);
    let (status, text) = world.reply(follower, asked).expect("its time is up");
    assert_eq!((status, text.starts_with("{\"equal\":false,")), (200, true), "{text}");
    assert_eq!(sums(&text).len(), 2, "{text}");
    let named = format!("{{\"node\":{away},\"missing\":\"it did not say within 10 s");
    assert!(text.contains(&named), "{text}");
    // What it finds in the log when it comes back is of no use any more, and harms nobody.
    world.start(away);
    world.until("all serve", World::all_serve);
    let (_, text) = world.demanded(follower, COMPARE, "");
    assert!(text.starts_with("{\"equal\":true,"), "{text}");
    world.settle();
}

#[test]
fn without_a_leader_nothing_is_compared() {
    let mut world = World::serving(3, FAR);
    let follower = world.follower();
    for id in (1..=3).map(NodeId).filter(|id| *id != follower) {
        world.kill(id);
    }
    // Its record goes nowhere.
    let asked = world.request(follower, 1, (COMPARE.0, COMPARE.1, ""), (None, b""));
    world.run(10_100);
    let (status, text) = world.reply(follower, asked).expect("its time is up");
    assert_eq!(
        (status, text.starts_with("{\"equal\":false,\"index\":null,")),
        (200, true),
        "{text}"
    );
    let (status, text) = world.demanded(follower, COMPARE, "");
    assert_eq!((status, text.contains("no_leader")), (503, true), "{text}");
}
