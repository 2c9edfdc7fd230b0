//! Groups of several nodes, in which everything goes wrong that the seed says.

use super::{changing, node, replayable};
use sim::{Faults, Mark, Report, World};
use std::time::Duration;

/// Seeds of one `cargo test`. More by `DISTRIC_SIM_SEEDS`.
const SEEDS: u64 = 60;

fn run(seed: u64) -> Report {
    let nodes = [3, 3, 5][usize::try_from(seed % 3).unwrap()];
    let faults = Faults {
        messages: 100 + seed % 400,
        crashes: u32::try_from(seed % 5).unwrap(),
        crash_within: Duration::from_millis(500 + seed * 37 % 5_000),
        catalogue_change_odds: if seed.is_multiple_of(4) { 200 } else { 0 },
        ..Faults::default()
    };
    let changes = faults.catalogue_change_odds > 0;
    let faults = faults.with_troubles(seed);
    let configs = (0..nodes).map(|at: u64| {
        // Nodes differ in their cores, and in how often they take a snapshot.
        let shards = 1 + u16::try_from((seed + at) % 3).unwrap();
        let mut config = if changes { changing(shards) } else { node(shards) };
        config.snapshot_journal_bytes = (16 << 10) << ((seed + at) % 6);
        config
    });
    let replay = format!("replay: DISTRIC_SIM_SEED={seed} cargo sim group");
    replayable(&replay, || World::group(seed, configs.collect(), faults).run())
}

#[test]
fn a_group_loses_and_doubles_nothing_whatever_goes_wrong() {
    if let Ok(seed) = std::env::var("DISTRIC_SIM_SEED") {
        let report = run(seed.parse().expect("a seed is a number"));
        println!("{report:#?}");
        return;
    }
    let seeds = std::env::var("DISTRIC_SIM_SEEDS").map_or(SEEDS, |n| n.parse().expect("a number"));
    let mut total = Report::default();
    for seed in 0..seeds {
        let report = run(seed);
        total.acknowledged += report.acknowledged;
        total.instances += report.instances;
        total.unanswered += report.unanswered;
        total.refused += report.refused;
        total.crashes += report.crashes;
        total.events += report.events;
        total.virtual_time += report.virtual_time;
        total.marks.add(&report.marks);
    }
    println!("{seeds} seeds: {total:#?}");
    // A run that never reached the rare branches shows nothing.
    for mark in [
        Mark::CutUnderLoad,
        Mark::StartFromSnapshot,
        Mark::LongPause,
        Mark::KeyRepeated,
        Mark::KeyRetried,
        Mark::NumberRepeated,
        Mark::ConnectionRefused,
        Mark::SectionAgain,
        Mark::SectionGap,
        Mark::LeaderChange,
        Mark::Forwarded,
        Mark::ForwardGap,
        Mark::PreVoteRefused,
        Mark::PeerRefused,
        Mark::EntriesServed,
        Mark::NoLeaderTold,
    ] {
        assert!(total.marks.count(mark) > 0, "{mark:?} was reached");
    }
}

#[test]
fn the_same_seed_replays_a_group_exactly() {
    for seed in [1, 2] {
        assert_eq!(run(seed), run(seed));
    }
}
