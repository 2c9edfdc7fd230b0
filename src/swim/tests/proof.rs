//! What is promised of gossip, over many runs and a thousand nodes. `DISTRIC_GOSSIP_RUNS=1000`,
//! given when the tests are compiled, asks for so many runs in place of the promised ones.

use super::world::{World, data, id};
use crate::{Happened, MemberData, State};
use std::time::Duration;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn runs(promised: u64) -> u64 {
    let asked = option_env!("DISTRIC_GOSSIP_RUNS").and_then(|runs| runs.parse().ok());
    asked.unwrap_or(promised)
}

/// Nodes that have been together for some time.
fn grown(seed: u64, count: usize) -> World {
    let mut world = World::new(seed, &[0, 1, 2]);
    world.network.sides = (0..count).map(|node| u8::try_from(node % 256).unwrap()).collect();
    (0..count).for_each(|_| _ = world.add());
    let cards: Vec<_> = world.nodes.iter().map(|node| node.membership.card()).collect();
    for node in 0..count {
        world.with(node, |membership, now, _| membership.acquaint(now, &cards));
    }
    world.network.sides.clear();
    world.run(secs(2));
    assert!((0..count).all(|node| world.nodes[node].membership.active() == count));
    world
}

/// How long it takes until all know that a node failed.
fn failure(world: &mut World, node: usize) -> Option<Duration> {
    // At any time of the others' periods.
    let wait = millis(world.prng.below(1_000));
    world.run(wait);
    world.crash(node);
    world.run_until(secs(8), |world, by| world.state(by, node) == Some(State::Failed))
}

#[test]
fn a_failure_is_known_everywhere_within_five_seconds_in_every_run() {
    let mut took = Vec::new();
    for run in 0..runs(50) {
        let mut world = grown(run, 100);
        let found = failure(&mut world, 42);
        took.push(found.unwrap_or_else(|| panic!("run {run}: not known after 8 s")));
        let mut others = world.seen_since(Duration::ZERO, Happened::Failed);
        assert!(others.all(|seen| seen.member.id == id(42)), "run {run}");
    }
    took.sort_unstable();
    println!("half {:?}, most {:?}", took[took.len() / 2], took[took.len() - 1]);
    assert!(took.iter().all(|took| *took < secs(5)), "{took:?}");
}

#[test]
fn a_failure_is_known_everywhere_within_five_seconds_where_one_datagram_in_twenty_is_lost() {
    for run in 0..runs(10) {
        let mut world = grown(1_000 + run, 100);
        world.network.loss_permille = 50;
        let took = failure(&mut world, 42);
        assert!(took.is_some_and(|took| took < secs(5)), "run {run}: {took:?}");
    }
}

#[test]
fn a_thousand_nodes_know_of_an_update_within_three_seconds_and_of_a_failure_within_five() {
    let mut world = grown(77, 1_000);
    world.set_data(3, &MemberData { leader_term: 9, ..data(3) });
    let heard = |world: &World, by: usize| {
        let known = world.nodes[by].membership.member(id(3));
        by == 3 || known.is_some_and(|member| member.data.leader_term == 9)
    };
    let update = world.run_until(secs(8), heard);
    assert!(update.is_some_and(|took| took < secs(3)), "{update:?}");
    let failure = failure(&mut world, 777);
    println!("update {update:?}, failure {failure:?}");
    assert!(failure.is_some_and(|took| took < secs(5)), "{failure:?}");
}

#[test]
fn an_update_reaches_a_hundred_nodes_within_three_seconds_in_every_run() {
    for run in 0..runs(20) {
        let mut world = grown(2_000 + run, 100);
        world.network.loss_permille = 50;
        world.set_data(3, &MemberData { leader_term: 9, ..data(3) });
        let heard = |world: &World, by: usize| {
            let known = world.nodes[by].membership.member(id(3));
            by == 3 || known.is_some_and(|member| member.data.leader_term == 9)
        };
        let took = world.run_until(secs(8), heard);
        assert!(took.is_some_and(|took| took < secs(3)), "run {run}: {took:?}");
    }
}

#[test]
fn nobody_is_taken_for_failed_where_one_in_twenty_is_lost_and_nodes_stall_for_half_a_second() {
    let mut suspected = 0;
    for run in 0..runs(4) {
        let mut world = grown(3_000 + run, 100);
        world.network.loss_permille = 50;
        world.network.twice_permille = 10;
        // Each second ten of them stall: a node every ten seconds.
        for _ in 0..60 {
            for _ in 0..10 {
                let node = usize::try_from(world.prng.below(100)).unwrap();
                world.stall(node, millis(500));
                world.run(millis(100));
            }
        }
        suspected += world.seen_since(Duration::ZERO, Happened::Suspected).count();
        let failed: Vec<_> = world.seen_since(Duration::ZERO, Happened::Failed).collect();
        assert!(failed.is_empty(), "run {run}: {failed:?}");
    }
    assert!(suspected > 0, "there was something to refute");
}

#[test]
fn a_cut_network_heals_and_all_views_are_equal_again() {
    for run in 0..runs(5) {
        let mut world = grown(4_000 + run, 60);
        let side = usize::try_from(world.prng.below(20)).unwrap() + 20;
        world.network.sides = (0..60).map(|node| u8::from(node < side)).collect();
        world.run(secs(20));
        assert!((0..60).all(|node| world.nodes[node].membership.active() == side.max(60 - side)
            || world.nodes[node].membership.active() == side.min(60 - side)));
        world.network.sides.clear();
        let took = world.run_until(secs(60), World::is_right);
        println!("healed in {took:?}");
        assert!(took.is_some_and(|took| took < secs(30)), "run {run}: {took:?}");
        let since = world.now();
        world.run(secs(30));
        assert!(world.seen_since(since + secs(10), Happened::Failed).next().is_none());
    }
}

#[test]
fn a_hundred_nodes_that_start_together_know_each_other_within_five_seconds_in_every_run() {
    for run in 0..runs(10) {
        let mut world = World::new(5_000 + run, &[0, 1, 2]);
        (0..100).for_each(|_| _ = world.add());
        let took = world.run_until(secs(20), World::is_right);
        assert!(took.is_some_and(|took| took < secs(5)), "run {run}: {took:?}");
    }
}

#[test]
fn twenty_of_a_hundred_that_fail_at_once_are_known_everywhere_within_seconds() {
    for run in 0..runs(5) {
        let mut world = grown(6_000 + run, 100);
        let gone = |node: usize| node % 5 == 2;
        (0..100).filter(|node| gone(*node)).for_each(|node| world.crash(node));
        let known = |world: &World, by: usize| {
            (0..100).filter(|node| gone(*node)).all(|of| world.state(by, of) == Some(State::Failed))
        };
        let took = world.run_until(secs(20), known);
        println!("run {run}: {took:?}");
        // Some have lost one of their watchers with them, some two, a few all three.
        assert!(took.is_some_and(|took| took < secs(10)), "run {run}: {took:?}");
        let failed = world.seen_since(Duration::ZERO, Happened::Failed);
        let wrong = failed.filter(|seen| !gone(usize::try_from(seen.member.id.0).unwrap() - 1));
        assert_eq!(wrong.count(), 0, "run {run}");
    }
}
