//! One clock that is wrong expires nothing.

use super::FAR;
use super::world::World;
use api::Method;
use base::NodeId;
use std::time::Duration;

#[test]
fn a_leader_whose_clock_is_a_day_ahead_expires_nothing() {
    const DAY: Duration = Duration::from_hours(24);
    let mut world = World::serving(3, FAR);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.nodes[usize::try_from(follower.0 - 1).unwrap()].ahead = DAY;
    let id = world.accepted(leader, Some("k"), "{}");
    world.run(1_500);
    let transfer = (Method::Post, "/api/v1/cluster/transfer");
    let (status, text) = world.demanded(leader, transfer, &format!("{{\"to\":{follower}}}"));
    assert_eq!(status, 200, "{text}");
    // A step to its own clock would be far beyond the time that keys are kept.
    assert_eq!(world.accepted(leader, Some("k"), "{}"), id);
    world.run(5_000);
    assert_eq!(world.accepted(follower, Some("k"), "{}"), id);
    // Elected by votes, the same.
    for other in (1..=3).map(NodeId).filter(|other| *other != follower) {
        world.kill(other);
        world.start(other);
    }
    world.until("all serve", World::all_serve);
    assert_eq!(world.accepted(leader, Some("k"), "{}"), id);
    world.settle();
}
