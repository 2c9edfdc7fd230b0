//! What a cluster does, step by step.

use super::world::{CLUSTER, World, address, data, id};
use crate::{Config, Dropped, Happened, KeyRing, MemberData, Pace, State};
use std::time::Duration;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A cluster that has found together by its seeds.
fn cluster(seed: u64, count: usize) -> World {
    let mut world = World::new(seed, &[0, 1, 2]);
    for _ in 0..count {
        world.add();
    }
    let took = world.run_until(secs(20), World::is_right);
    assert!(took.is_some(), "{count} nodes find together");
    world.run(secs(12));
    world
}

#[test]
fn two_nodes_find_each_other_by_a_seed() {
    let mut world = World::new(1, &[0]);
    world.add();
    world.add();
    let took = world.run_until(secs(3), World::is_right).unwrap();
    assert!(took < secs(1), "{took:?}");
    let member = world.nodes[1].membership.member(id(0)).unwrap();
    assert_eq!((member.address, member.data), (address(0), data(0)));
}

#[test]
fn seeds_that_are_down_at_first_are_asked_until_they_are_there() {
    let mut world = World::new(3, &[0]);
    world.add_asleep();
    for _ in 1..10 {
        world.add();
    }
    world.run(secs(60));
    assert!((1..10).all(|node| world.nodes[node].membership.active() == 1));
    world.start(0);
    let took = world.run_until(secs(30), World::is_right).unwrap();
    assert!(took < secs(14), "{took:?}");
}

#[test]
fn a_seed_that_is_learnt_of_later_is_asked_at_once_and_a_known_one_is_not() {
    let mut world = World::new(5, &[]);
    world.add();
    world.add();
    world.run(secs(60));
    assert!((0..2).all(|node| world.nodes[node].membership.active() == 1));
    let learn = |world: &mut World| {
        let before = world.traffic.datagrams;
        let seeds = vec![address(0), address(1)];
        world.with(0, |member, now, out| member.on_seeds(now, seeds, out));
        world.traffic.datagrams - before
    };
    assert_eq!(learn(&mut world), 1);
    let took = world.run_until(secs(1), World::is_right).unwrap();
    assert!(took < millis(100), "{took:?}");
    assert_eq!(learn(&mut world), 0);
}

#[test]
fn two_clusters_with_a_seed_in_common_become_one() {
    let mut world = World::new(4, &[0, 5]);
    for _ in 0..10 {
        world.add_asleep();
    }
    world.network.sides = (0..10).map(|node| u8::from(node >= 5)).collect();
    (0..10).for_each(|node| world.start(node));
    world.run(secs(10));
    assert!((0..10).all(|node| world.nodes[node].membership.active() == 5));
    world.network.sides.clear();
    assert!(world.run_until(secs(40), World::is_right).is_some());
}

#[test]
fn a_node_that_leaves_is_seen_as_left_by_all() {
    let mut world = cluster(5, 30);
    let since = world.now();
    world.leave(7);
    let left = |world: &World, by: usize| world.state(by, 7) == Some(State::Left);
    assert!(world.run_until(secs(3), left).is_some());
    world.run(secs(20));
    assert_eq!(world.left, [7]);
    assert_eq!(world.seen_since(since, Happened::Left).count(), 29);
    assert_eq!(world.seen_since(since, Happened::Failed).count(), 0);
    assert_eq!(world.seen_since(since, Happened::Suspected).count(), 0);
}

#[test]
fn a_node_that_crashes_is_suspected_and_then_failed_for_all() {
    let mut world = cluster(6, 30);
    let since = world.now();
    world.crash(7);
    let failed = |world: &World, by: usize| world.state(by, 7) == Some(State::Failed);
    assert!(world.run_until(secs(5), failed).is_some());
    assert_eq!(world.seen_since(since, Happened::Failed).count(), 29);
    let detections: u64 = world.nodes.iter().map(|node| node.membership.counts().detections).sum();
    assert!((1..=4).contains(&detections), "those who watched it found it: {detections}");
}

#[test]
fn a_node_that_comes_back_as_a_new_run_joins_again_whether_it_was_missed_or_not() {
    for missed in [secs(10), millis(50)] {
        let mut world = cluster(7, 20);
        world.crash(7);
        world.run(missed);
        let since = world.now();
        world.restart(7);
        assert!(world.run_until(secs(10), World::is_right).is_some());
        let joined =
            world.seen_since(since, Happened::Joined).filter(|seen| seen.member.id == id(7));
        assert_eq!(joined.filter(|seen| seen.member.boot.0 == 2).count(), 19, "{missed:?}");
        world.run(secs(10));
        assert_eq!(world.seen_since(since + secs(1), Happened::Failed).count(), 0);
    }
}

#[test]
fn a_node_that_was_away_for_long_comes_back_under_a_new_name_by_itself() {
    let mut world = cluster(8, 20);
    world.stall(7, secs(20));
    world.run(secs(19));
    assert!((0..20).all(|by| by == 7 || world.state(by, 7) == Some(State::Failed)));
    assert!(world.run_until(secs(10), World::is_right).is_some());
    let renewals = world.nodes[7].membership.counts().renewals;
    assert_eq!(renewals, 1);
    assert_eq!(world.nodes[7].membership.counts().detections, 0, "it does not blame the others");
}

#[test]
fn a_network_that_was_cut_becomes_whole() {
    for (seed, side) in [(9, 15), (10, 1), (11, 29)] {
        let mut world = cluster(seed, 30);
        world.network.sides = (0..30).map(|node| u8::from(node < side)).collect();
        world.run(secs(30));
        // Those that still have company know who is gone.
        let sizes = [(0..side, side), (side..30, 30 - side)];
        for (mut nodes, size) in sizes.into_iter().filter(|(_, size)| *size > 1) {
            assert!(nodes.all(|node| world.nodes[node].membership.active() == size), "{side}");
        }
        world.network.sides.clear();
        let took = world.run_until(secs(40), World::is_right);
        assert!(took.is_some(), "{side} of 30");
    }
}

#[test]
fn a_node_that_hears_nobody_doubts_itself_before_it_doubts_all_others() {
    let mut world = cluster(18, 30);
    world.network.sides = (0..30).map(|node| u8::from(node == 7)).collect();
    let since = world.now();
    world.run(secs(10));
    assert!(world.nodes[7].membership.slowness() >= 3);
    assert!(world.nodes[7].membership.active() > 20);
    let failed = world.seen_since(since, Happened::Failed);
    assert!(failed.filter(|seen| seen.by != 7).all(|seen| seen.member.id == id(7)));
}

#[test]
fn a_suspect_that_is_alive_says_so_and_stays() {
    let mut world = cluster(12, 20);
    let since = world.now();
    // A probe of it begins within the first of these seconds and takes one; nobody is taken for
    // failed sooner than one second after that.
    world.stall(7, millis(1_900));
    world.run(secs(15));
    assert!(world.seen_since(since, Happened::Suspected).count() > 0);
    assert!(world.seen_since(since, Happened::Refuted).count() > 0);
    assert_eq!(world.seen_since(since, Happened::Failed).count(), 0);
    assert!(world.nodes[7].membership.counts().refutations > 0);
    assert!((0..20).all(|by| by == 7 || world.state(by, 7) == Some(State::Alive)));
}

#[test]
fn what_a_member_says_of_itself_reaches_all_and_the_latest_wins() {
    let mut world = cluster(13, 50);
    world.network.loss_permille = 100;
    for term in 1..=5 {
        let leading = MemberData { leader_term: term, ..data(0) };
        world.set_data(0, &leading);
        world.run(millis(70));
    }
    let heard = |world: &World, by: usize| {
        let known = world.nodes[by].membership.members().find(|member| member.id == id(0));
        known.is_some_and(|member| member.data.leader_term == 5)
    };
    let took = world.run_until(secs(5), heard).unwrap();
    assert!(took < secs(2), "{took:?}");
    assert!(world.heard.iter().all(|took| *took < secs(5)));
}

#[test]
fn a_load_is_told_only_when_it_has_changed_much_and_not_often() {
    let mut world = cluster(14, 3);
    let version = |world: &World| world.nodes[0].membership.member(id(1)).unwrap().data_version;
    let first = version(&world);
    for (load, after, expected) in [
        (100, secs(6), 0),
        (300, secs(1), 1),
        (900, secs(1), 1),
        (900, secs(6), 1),
        (950, secs(1), 2),
    ] {
        world.set_data(1, &MemberData { load_permille: load, ..data(1) });
        world.run(after);
        assert_eq!(version(&world) - first, expected, "{load}");
    }
}

#[test]
fn members_with_a_key_hear_each_other_and_nobody_else() {
    let ring = |text: &str| KeyRing::parse(text).unwrap();
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let mut world = World::new(15, &[0]);
    world.keys = Some(ring(&old));
    (0..5).for_each(|_| _ = world.add());
    world.keys = Some(ring(&new));
    let stranger = world.add();
    world.keys = None;
    let open = world.add();
    world.run(secs(5));
    assert!((0..5).all(|node| world.nodes[node].membership.active() == 5));
    assert!([stranger, open].iter().all(|node| world.nodes[*node].membership.active() == 1));
    // A new key: first all can open it, then all seal with it, then the old one goes.
    for text in [format!("{old}\n{new}"), format!("{new}\n{old}"), new] {
        for node in 0..5 {
            world.with(node, |membership, _, _| membership.set_keys(Some(ring(&text))));
            world.run(millis(700));
        }
    }
    world.crash(open);
    assert!(world.run_until(secs(15), World::is_right).is_some(), "the stranger is none any more");
    assert_eq!(world.seen_since(Duration::ZERO, Happened::Failed).count(), 0);
}

#[test]
fn nodes_that_do_not_know_their_cluster_find_it_by_the_seeds_and_no_other() {
    // Nodes 1 to 3 are there before the seed, and know each other already.
    let unknown = |config: &mut Config| {
        if config.member != id(0) {
            config.cluster = None;
            config.seeds.push(address(1));
        }
    };
    let mut world = World::new(17, &[0]).tuned(unknown);
    world.add_asleep();
    (0..3).for_each(|_| _ = world.add());
    world.run(secs(5));
    assert!((1..4).all(|node| world.nodes[node].membership.active() == 3));
    world.start(0);
    assert!(world.run_until(secs(60), World::is_right).is_some());
    world.found.sort_unstable();
    assert_eq!(world.found, [(1, CLUSTER), (2, CLUSTER), (3, CLUSTER)]);
    // One of another cluster is not heard.
    let other = world.add_asleep();
    world.nodes[other].membership.set_cluster(7);
    world.start(other);
    world.run(secs(5));
    assert!((0..4).all(|node| world.nodes[node].membership.active() == 4));
    let dropped = &world.nodes[0].membership.counts().dropped;
    assert!(dropped.contains_key(&Dropped::Cluster), "{dropped:?}");
}

#[test]
fn an_id_that_two_processes_use_is_noticed_by_the_older_one() {
    let mut world = cluster(16, 5);
    let copy = world.add_asleep();
    world.nodes[copy].membership = world.membership_as(id(2), copy, 9);
    world.start(copy);
    world.run(secs(3));
    assert_eq!(world.usurped, [2]);
}

#[test]
fn a_quicker_pace_knows_failures_sooner_and_a_slower_one_later() {
    type Tune = fn(&mut Config);
    // A period, and how soon all know of a failure: five of it.
    let rows: [(Tune, Duration, Duration); 3] = [
        (|_| (), secs(1), secs(5)),
        (
            |config| {
                config.pace.period = millis(400);
                config.pace.probe_timeout = millis(200);
                config.pace.interval = millis(50);
            },
            millis(400),
            secs(2),
        ),
        (
            |config| {
                config.pace.period = secs(4);
                config.pace.probe_timeout = secs(2);
            },
            secs(4),
            secs(20),
        ),
    ];
    for (tune, at_least, at_most) in rows {
        let mut world = World::new(21, &[0, 1]).tuned(tune);
        (0..20).for_each(|_| _ = world.add());
        assert!(world.run_until(secs(60), World::is_right).is_some());
        world.run(secs(30));
        world.crash(13);
        let took =
            world.run_until(secs(60), |world, by| world.state(by, 13) == Some(State::Failed));
        let took = took.expect("all know that it failed");
        assert!((at_least..at_most).contains(&took), "{took:?}");
    }
}

#[test]
fn the_ends_of_what_can_be_set_work() {
    let rows: [fn(&mut Config); 2] = [
        |config| {
            config.pace = Pace {
                period: millis(400),
                probe_timeout: millis(200),
                indirect_probes: 1,
                watched: 1,
                suspicion_periods: 1,
                interval: millis(20),
                sync: secs(1),
                forget: secs(60),
            };
        },
        |config| {
            config.pace = Pace {
                period: secs(60),
                probe_timeout: secs(30),
                indirect_probes: 16,
                watched: 16,
                suspicion_periods: 60,
                interval: secs(10),
                sync: secs(600),
                forget: secs(24 * 3_600),
            };
        },
    ];
    for tune in rows {
        let mut world = World::new(22, &[0, 1]).tuned(tune);
        (0..20).for_each(|_| _ = world.add());
        assert!(world.run_until(secs(3_600), World::is_right).is_some());
        world.run(secs(60));
        let failed = |what: &Happened| matches!(what, Happened::Failed | Happened::Suspected);
        assert!(!world.seen.iter().any(|seen| failed(&seen.what)), "nobody was taken for failed");
        world.crash(13);
        // Sixty periods of a minute, at the longest.
        let knows =
            |world: &World, by| world.state(by, 13).is_none_or(|state| state == State::Failed);
        assert!(world.run_until(secs(2 * 3_600), knows).is_some());
    }
}
