//! Nodes that nobody named to each other, and a group that all of them belong to.

use super::world::{CLUSTER, GROUP, World, address, id};
use crate::{Config, ConfigError, Dropped, KeyRing, Membership, State};
use base::BootId;
use std::time::Duration;
use wire::{Frame, Kind};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn grouped(seed: u64) -> World {
    World::new(seed, &[]).tuned(|config| config.group = Some(GROUP))
}

/// Of what was recorded since, how many were of that kind.
fn count(world: &mut World, kind: Kind) -> usize {
    let recorded = world.record.replace(Vec::new()).unwrap_or_default();
    let is_one = |bytes: &Vec<u8>| Frame::decode(bytes, 1_400).unwrap().header.kind == kind;
    recorded.iter().filter(|bytes| is_one(bytes)).count()
}

#[test]
fn nodes_that_nobody_named_find_each_other_by_the_group() {
    for seed in 0..10 {
        let mut world = grouped(seed);
        world.network.loss_permille = 50;
        for _ in 0..12 {
            world.add();
        }
        let took = world.run_until(secs(30), World::is_right);
        assert!(took.is_some_and(|took| took < secs(10)), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_search_is_answered_by_a_few_however_many_hear_it() {
    let mut world = grouped(1);
    for _ in 0..100 {
        world.add();
    }
    assert!(world.run_until(secs(60), World::is_right).is_some());
    world.run(secs(12));
    world.record = Some(Vec::new());
    let mut answers = 0;
    for _ in 0..10 {
        let new = world.add_asleep();
        count(&mut world, Kind::GOSSIP_SEARCH);
        world.start(new);
        assert_eq!(count(&mut world, Kind::GOSSIP_SEARCH), 1, "it searches at once");
        // Until the answers are there, and before anybody compares in his turn.
        world.run(Duration::from_millis(6));
        answers += count(&mut world, Kind::GOSSIP_SYNC);
        assert!(world.run_until(secs(15), World::is_right).is_some());
    }
    // Three each, and what the others compare meanwhile.
    assert!((10..80).contains(&answers), "{answers} answers to ten searches among a hundred");
}

#[test]
fn a_cluster_searches_on_rarely_and_so_two_that_were_founded_apart_become_one() {
    let mut world = grouped(2);
    for _ in 0..20 {
        world.add_asleep();
    }
    world.network.sides = (0..20).map(|node| u8::from(node >= 10)).collect();
    (0..20).for_each(|node| world.start(node));
    world.run(secs(60));
    assert!((0..20).all(|node| world.nodes[node].membership.active() == 10));
    world.record = Some(Vec::new());
    world.run(secs(300));
    let searches = count(&mut world, Kind::GOSSIP_SEARCH);
    assert!((20..120).contains(&searches), "{searches} searches of two clusters in five minutes");
    world.network.sides.clear();
    let took = world.run_until(secs(300), World::is_right);
    assert!(took.is_some(), "they find together");
}

#[test]
fn a_node_that_knows_no_cluster_takes_the_one_that_answers_and_no_cluster_another() {
    let mut world = grouped(3);
    let first = world.add();
    world.run(secs(1));
    let mut config = Config::new(None, id(1), BootId(1), address(1));
    config.group = Some(GROUP);
    let new = world.add_asleep();
    world.nodes[new].membership = world.membership_of(config);
    world.start(new);
    assert!(world.run_until(secs(5), World::is_right).is_some());
    assert_eq!(world.found, [(new, CLUSTER)]);
    // Of another cluster.
    let mut config = Config::new(Some(CLUSTER + 1), id(2), BootId(1), address(2));
    config.group = Some(GROUP);
    let other = world.add_asleep();
    world.nodes[other].membership = world.membership_of(config);
    world.start(other);
    world.run(secs(60));
    assert_eq!(world.nodes[other].membership.active(), 1);
    assert_eq!(world.state(first, other), None);
    assert!(world.nodes[first].membership.counts().dropped[&Dropped::Cluster] > 2);
}

#[test]
fn by_the_group_only_searches_are_heard_and_searches_only_by_it() {
    let mut world = grouped(4);
    world.record = Some(Vec::new());
    (0..2).for_each(|_| _ = world.add());
    assert!(world.run_until(secs(5), World::is_right).is_some());
    world.run(secs(3));
    let recorded = world.record.take().unwrap();
    let stranger = address(7);
    for bytes in recorded {
        let is_search = Frame::decode(&bytes, 1_400).unwrap().header.kind == Kind::GOSSIP_SEARCH;
        let before = world.nodes[0].membership.counts().dropped.clone();
        let wrong_door =
            if is_search { Membership::on_datagram } else { Membership::on_group_datagram };
        world.with(0, |membership, now, out| {
            wrong_door(membership, now, address(1), &bytes, out);
        });
        let after = world.nodes[0].membership.counts().dropped.clone();
        let more = |why| after.get(&why).unwrap_or(&0) - before.get(&why).unwrap_or(&0);
        assert_eq!(more(Dropped::Addressee), 1, "it came in by the wrong door");
        // A search from elsewhere than it says: the answer would go to somebody who did not ask.
        if is_search {
            world.with(0, |membership, now, out| {
                membership.on_group_datagram(now, stranger, &bytes, out);
            });
            let dropped = &world.nodes[0].membership.counts().dropped;
            assert!(dropped[&Dropped::Address] > 0);
        }
    }
}

#[test]
fn a_search_without_the_key_is_not_answered() {
    let mut world = grouped(5);
    world.keys = Some(KeyRing::parse(&"07".repeat(32)).unwrap());
    (0..2).for_each(|_| _ = world.add());
    assert!(world.run_until(secs(5), World::is_right).is_some());
    world.keys = None;
    let stranger = world.add();
    world.run(secs(20));
    assert_eq!(world.nodes[stranger].membership.active(), 1);
    assert_eq!(world.state(0, stranger), None::<State>);
    assert!(world.nodes[0].membership.counts().dropped[&Dropped::Unsealed] > 2);
}

#[test]
fn what_is_no_group_of_the_addresss_family_is_refused() {
    let config = Config::new(Some(CLUSTER), id(0), BootId(1), address(0));
    for group in ["10.0.0.1:9209", "239.1.2.3:0", "[ff02::7]:9209"] {
        let group = group.parse().unwrap();
        let refused = Config { group: Some(group), ..config.clone() }.check();
        assert_eq!(refused, Err(ConfigError::Group { group, address: address(0) }));
    }
    assert_eq!(Config { group: Some(GROUP), ..config }.check(), Ok(()));
}
