//! Worlds in which everything goes wrong, one per seed.

use super::world::{MS, Weather, World, member};
use crate::{Change, Role, Step};
use base::{NodeId, Prng};

/// What one seed does to its world.
struct Chaos {
    world: World,
    dice: Prng,
    voters: u64,
    next_node: u64,
    next_store: u64,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut dice = Prng::new(seed).fork("chaos");
        let voters = [1, 3, 5, 7][usize::try_from(dice.below(4)).unwrap()];
        let mut world = World::new(seed, voters);
        if dice.chance(2, 3) {
            world.weather = Weather::FOUL;
            world.weather.lost = dice.below(150);
            world.weather.doubled = dice.below(150);
            world.weather.delay.1 = MS + dice.below(60 * MS);
            world.weather.disk.1 = MS + dice.below(60 * MS);
        }
        world.snapshot_every = [5, 20, 1_000][usize::try_from(dice.below(3)).unwrap()];
        world.keep = dice.below(8);
        for node in 1..=voters {
            world.start(node);
        }
        Self { world, dice, voters, next_node: voters + 1, next_store: 100 }
    }

    fn someone(&mut self) -> u64 {
        let nodes: Vec<u64> = self.world.machines.keys().copied().collect();
        nodes[usize::try_from(self.dice.below(nodes.len() as u64)).unwrap()]
    }

    fn act(&mut self) {
        let node = self.someone();
        match self.dice.below(22) {
            0 | 1 => {
                if self.world.machines[&node].up.is_some() {
                    self.world.crash(node);
                }
            }
            2 => {
                if self.world.machines[&node].up.is_some() {
                    self.world.kill(node);
                }
            }
            3..=5 => {
                if self.world.machines[&node].up.is_none() {
                    self.world.start(node);
                }
            }
            6 => self.world.cut_off(node),
            7 => {
                let other = self.someone();
                self.world.cut.insert((node, other));
            }
            8..=10 => self.world.heal(),
            11 => {
                // A false alarm.
                let leader = NodeId(self.someone());
                self.world.with(node, |group, out| group.on_leader_gone(leader, out));
            }
            12 => {
                let other = NodeId(self.someone());
                self.world.with(node, |group, out| group.on_peer_unreachable(other, out));
            }
            13 => {
                self.world.with(node, |group, out| group.on_transfer(None, out));
            }
            14 => {
                let late = self.dice.below(40);
                self.world.with(node, |group, _| group.on_late(late));
            }
            15..=17 => self.change(),
            _ => {
                for _ in 0..self.dice.below(30) {
                    self.propose();
                }
            }
        }
    }

    fn propose(&mut self) {
        let node = self.someone();
        if self.world.machines[&node].up.is_some() {
            if self.world.role(node) == Role::Leader {
                self.world.propose(node);
            }
            if self.dice.chance(1, 4) {
                self.world.read(node);
            }
        }
    }

    /// A change of members by whoever leads, sensible or not: what is not, is refused.
    fn change(&mut self) {
        let Some(leader) = self.world.leader() else { return };
        let (node, other) = (NodeId(self.someone()), NodeId(self.someone()));
        let change = match self.dice.below(6) {
            0 | 1 if self.world.machines.len() < 10 => {
                self.next_node += 1;
                self.next_store += 1;
                self.world.add(self.next_node, self.next_store);
                Change::learn(NodeId(self.next_node), member(self.next_store))
            }
            2 => Change::remove(node),
            3 => Change { steps: vec![Step::Promote { node }, Step::Promote { node: other }] },
            4 => Change::replace(node, other),
            _ => Change::promote(node),
        };
        self.world.with(leader, |group, out| {
            let _refused = group.on_propose_membership(&change, out);
        });
    }

    /// Everything is well again: what was told is there, and the group goes on.
    fn heal(&mut self) {
        self.world.heal();
        self.world.weather = Weather::FINE;
        let down: Vec<u64> =
            self.world.machines.iter().filter(|(_, m)| m.up.is_none()).map(|(n, _)| *n).collect();
        for node in down {
            self.world.start(node);
        }
        self.world.run_until("a leader", 20_000, |world| world.leader().is_some());
        // Long enough for whatever waits for an answer that was lost.
        self.world.run(6_000);
        self.world.commit();
        self.world.settle();
        let reads = self.world.reads_done;
        for node in self.world.up() {
            self.world.read(node);
        }
        self.world.run(1_500);
        assert!(self.world.reads_done > reads, "reads are answered");
        for (data, index) in &self.world.told {
            assert!(self.world.checker.committed.contains_key(index), "{data:?} was told");
        }
    }
}

fn run(seed: u64) -> World {
    let mut chaos = Chaos::new(seed);
    assert!(chaos.voters <= 7);
    for _ in 0..60 {
        let pause = 5 + chaos.dice.below(400);
        for _ in 0..4 {
            chaos.propose();
            chaos.world.run(pause / 4);
        }
        chaos.act();
    }
    chaos.heal();
    chaos.world
}

/// How many seeds `cargo test` tries.
const SEEDS: u64 = 60;

#[test]
fn nothing_that_was_committed_is_lost_whatever_happens() {
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed} fails: run({seed}) repeats it");
    }
}

#[test]
fn a_run_repeats_exactly_from_its_seed() {
    for seed in [3, 8, 21] {
        assert_eq!(run(seed).digest, run(seed).digest, "seed {seed}");
    }
}
