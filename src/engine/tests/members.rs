//! Who belongs to the group, and what is told of it.

use super::FAR;
use super::world::World;
use base::{Address, NodeId};

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
fn a_leader_that_is_reached_elsewhere_says_so_to_all() {
    let mut world = World::serving(3, FAR);
    let elsewhere = Address::parse("10.0.0.1:9101").unwrap();
    for id in (1..=3).map(NodeId) {
        world.kill(id);
        world.nodes[usize::try_from(id.0 - 1).unwrap()].address = Some(elsewhere.clone());
    }
    (1..=3).map(NodeId).for_each(|id| world.start(id));
    world.until("all serve", World::all_serve);
    world.run(100);
    let leader = world.leader().unwrap();
    for (at, of) in (1..=3).flat_map(|at| (1..=3).map(move |of| (NodeId(at), NodeId(of)))) {
        let moved = (of == leader).then(|| elsewhere.clone());
        assert_eq!(address_of(&world, at, of), moved, "node {at} of node {of}");
    }
    let commit = world.commit(leader);
    world.run(1_000);
    assert_eq!(world.commit(leader), commit, "it is said once");
    world.accepted(leader, None, "{}");
    world.settle();
}
