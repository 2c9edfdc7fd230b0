//! The view and foca's own list say the same, whatever happens.

use super::world::World;
use proptest::prelude::*;
use std::time::Duration;

/// What may happen to a cluster.
#[derive(Clone, Debug)]
enum Fate {
    Crash(usize),
    Restart(usize),
    Stall(usize, u64),
    Leave(usize),
    Cut(u8),
    Heal,
    Lose(u64),
    Pass(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    let node = 0_usize..8;
    prop_oneof![
        node.clone().prop_map(Fate::Crash),
        node.clone().prop_map(Fate::Restart),
        (node.clone(), 100_u64..9_000).prop_map(|(node, time)| Fate::Stall(node, time)),
        node.prop_map(Fate::Leave),
        any::<u8>().prop_map(Fate::Cut),
        Just(Fate::Heal),
        (0_u64..400).prop_map(Fate::Lose),
        (1_u64..8_000).prop_map(Fate::Pass),
        (1_u64..8_000).prop_map(Fate::Pass),
    ]
}

fn suffer(world: &mut World, fate: &Fate) {
    match fate {
        Fate::Crash(node) => world.crash(*node),
        Fate::Restart(node) => world.restart(*node),
        Fate::Stall(node, time) => world.stall(*node, Duration::from_millis(*time)),
        Fate::Leave(node) if world.nodes[*node].is_up => world.leave(*node),
        Fate::Leave(_) => {}
        Fate::Cut(sides) => {
            world.network.sides = (0..8).map(|node| sides >> node & 1).collect();
        }
        Fate::Heal => world.network.sides.clear(),
        Fate::Lose(permille) => world.network.loss_permille = *permille,
        Fate::Pass(time) => world.run(Duration::from_millis(*time)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_view_and_focas_list_agree_and_a_whole_network_ends_in_the_truth(
        seed: u64,
        fates in prop::collection::vec(fate(), 1..30),
    ) {
        let mut world = World::new(seed, &[0, 1]);
        (0..8).for_each(|_| _ = world.add());
        for fate in fates {
            suffer(&mut world, &fate);
            for node in &world.nodes {
                let [ours, theirs] = node.membership.both_views();
                prop_assert_eq!(ours, theirs, "after {:?}", fate);
            }
        }
        world.network.sides.clear();
        world.network.loss_permille = 0;
        // Nobody finds anybody without a seed.
        for seed in [0, 1] {
            if !world.nodes[seed].is_up {
                world.restart(seed);
            }
        }
        let took = world.run_until(Duration::from_mins(2), World::is_right);
        prop_assert!(took.is_some(), "all is well again in the end");
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = |seed| {
        let mut world = World::new(seed, &[0]);
        world.network.loss_permille = 100;
        (0..20).for_each(|_| _ = world.add());
        world.run(Duration::from_secs(5));
        world.crash(3);
        world.run(Duration::from_secs(10));
        let seen = world.seen.iter().map(|seen| (seen.at, seen.by, seen.what, seen.member.id));
        (seen.collect::<Vec<_>>(), world.traffic.bytes)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
