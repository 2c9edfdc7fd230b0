//! Whom a leader holds for lost, and since when it counts.

use super::*;
use base::CoreId;

/// How many cores of each node run; the others are held up.
fn let_run(world: &mut World, cores: u16) {
    for node in &mut world.nodes {
        node.cores = cores;
    }
}

#[test]
fn leases_count_from_when_every_core_of_a_new_leader_has_reported() {
    let (mut world, mut worker, order) = busy(TASK, 1);
    let old = world.leader().unwrap();
    world.kill(old);
    worker.link = None;
    // Of whoever leads next, all cores but the first are held up: it can answer no worker.
    let_run(&mut world, 1);
    world.until("another leads", |world| world.leader().is_some_and(|id| id != old));
    let leader = world.leader().unwrap();
    worker.connect(&mut world, leader);
    pass(&mut world, &mut [&mut worker], 3 * u64::from(LEASE_MS));
    assert!(!worker.registered, "{:?}", worker.heard);
    let_run(&mut world, super::super::world::SHARDS);
    until(&mut world, &mut [&mut worker], "it is registered", |_, w| w[0].registered);
    pass(&mut world, &mut [&mut worker], 2 * u64::from(LEASE_MS));
    assert_eq!(worker.running(), order, "it asked all the time, and lost nothing");
    assert!(!worker.is_told(|message| matches!(message, ToWorker::Lost { .. })));
    worker.ends(&mut world, order, output("1"));
    until(&mut world, &mut [&mut worker], "it is recorded", |_, w| w[0].ended.is_empty());
    world.start(old);
    world.until("all serve", World::all_serve);
    world.settle();
}

#[test]
fn a_leader_that_stops_declares_nobody_lost() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    let leader = world.leader().unwrap();
    let at = usize::try_from(leader.0 - 1).unwrap();
    for shard in &mut world.nodes[at].minds.as_mut().unwrap().shards {
        shard.on_stop();
    }
    worker.renews = false;
    pass(&mut world, &mut [&mut worker], 3 * u64::from(LEASE_MS));
    assert_eq!(world.leader(), Some(leader));
    let minds = world.nodes[at].minds.as_ref().unwrap();
    let due = minds.shards[usize::from(CoreId(0).0)].deadline();
    assert!(due.is_none_or(|due| due > world.now.instant), "it looks at no clock in vain");
    let follower = world.follower();
    let (status, text) = world.answered(follower, 1, "/api/v1/workers");
    assert!(status == 200 && text.contains(r#""state":"ready""#), "{text}");
}
