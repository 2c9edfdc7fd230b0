//! The simulator's runs: one node under power cuts, groups of several under all that may go wrong,
//! from seeds; and the log applied in other ways than it was.
//!
//! A failing seed prints the line that replays it. `seeds.txt` keeps every seed that ever failed.
//! `cargo sim` runs more of them, for as long as asked: see `run.rs`.

#![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

mod determinism;
mod group;
mod power;
mod reload;
mod scenarios;
mod workers;
mod worlds;

use sim::Report;
use worlds::Kind;

/// What a run comes to; where it fails, by an error or a panic, the line that replays it is said.
fn run(kind: Kind, seed: u64) -> Report {
    let replay = kind.replay(seed);
    match std::panic::catch_unwind(|| kind.run(seed)) {
        Ok(Ok(report)) => report,
        Ok(Err(violation)) => panic!("{violation}\n{replay}"),
        Err(panicked) => {
            eprintln!("the panic above ends the run\n{replay}");
            std::panic::resume_unwind(panicked)
        }
    }
}

/// What the first so many seeds come to together.
fn run_all(kind: Kind, seeds: u64) -> Report {
    let mut total = Report::default();
    for seed in 0..seeds {
        total.add(&run(kind, seed));
    }
    println!("{seeds} seeds of {}: {total:#?}", kind.name());
    total
}

#[test]
fn seeds_that_failed_once_pass() {
    for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let kind = words.next().and_then(Kind::of).expect("a line begins with a kind of world");
        let seed = words.next().and_then(|seed| seed.parse().ok());
        run(kind, seed.expect("a seed follows"));
    }
}

#[test]
fn every_scenario_goes_as_it_was_recorded() {
    let changed = scenarios::changed(false);
    assert!(
        changed.is_empty(),
        "{}\nif that is right: cargo sim scenarios --record, and look through what has changed",
        changed.join("\n")
    );
}
