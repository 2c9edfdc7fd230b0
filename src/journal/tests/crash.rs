//! Crashes at any moment, of every kind, again and again.

use super::disk::Crash;
use super::world::World;

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

/// Lives through `crashes` crashes, each after a random number of steps.
fn live(seed: u64, crashes: u64) {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    for _ in 0..crashes {
        // Short lives too: a crash may hit the copy of the tail.
        let steps = [2, 8, 30, 120][usize::try_from(world.prng.below(4)).unwrap()];
        for _ in 0..world.prng.below(steps) {
            world.step();
        }
        if world.prng.chance(1, 4) {
            world.quiesce();
            assert_eq!(world.journal.durable(), world.journal.last(), "all gets durable");
        }
        let crash = if world.prng.chance(1, 3) { Crash::Kill } else { Crash::Power };
        world.crash(crash);
        world.start();
    }
    world.quiesce();
    assert_eq!(world.journal.durable(), world.journal.last(), "all gets durable");
    assert_eq!(world.judge.promised, world.judge.appended.len(), "and is said to be");
}

/// What longer searches found: a segment that was removed, came back and shared its sequence with
/// one of a later epoch.
const FOUND: [u64; 1] = [114_233];

#[test]
fn what_was_reported_durable_survives_every_crash_and_nothing_else_appears() {
    for seed in (0..3000).chain(FOUND) {
        live(seed, 12);
    }
}
