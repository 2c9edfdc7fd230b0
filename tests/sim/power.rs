use super::{changing, node, replayable};
use sim::{Faults, Mark, Report, World};
use std::time::Duration;

/// Seeds of one `cargo test`. More by `DISTRIC_SIM_SEEDS`.
const SEEDS: u64 = 300;

fn faults(seed: u64) -> Faults {
    let full_disk = seed.is_multiple_of(5);
    let faults = Faults {
        messages: 60 + seed % 200 + if full_disk { 4_000 } else { 0 },
        crashes: 1 + u32::try_from(seed % 6).unwrap(),
        crash_within: Duration::from_millis(50 + seed * 37 % if full_disk { 9_000 } else { 1_500 }),
        catalogue_change_odds: if seed.is_multiple_of(3) { 30 } else { 0 },
        full_disk,
        ..Faults::default()
    };
    if seed.is_multiple_of(2) { faults.with_troubles(seed) } else { faults }
}

fn run(seed: u64) -> Report {
    let shards = 1 + u16::try_from(seed % 4).unwrap();
    let faults = faults(seed);
    let changes = faults.catalogue_change_odds > 0;
    let mut config = if changes { changing(shards) } else { node(shards) };
    // Some take a snapshot every few entries, some hardly ever.
    config.snapshot_journal_bytes = (16 << 10) << (seed % 6);
    let replay = format!("replay: DISTRIC_SIM_SEED={seed} cargo sim power");
    replayable(&replay, || World::new(seed, config, faults).run())
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_through_power_cuts() {
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
        total.duplicates += report.duplicates;
        total.repeated += report.repeated;
        total.unanswered += report.unanswered;
        total.instances += report.instances;
        total.keyed_instances += report.keyed_instances;
        total.keyed_starts += report.keyed_starts;
        total.refused += report.refused;
        total.full_disks += report.full_disks;
        total.catalogue_changes += report.catalogue_changes;
        total.crashes += report.crashes;
        total.snapshot_starts += report.snapshot_starts;
        total.events += report.events;
        total.virtual_time += report.virtual_time;
        total.marks.add(&report.marks);
    }
    println!("{seeds} seeds: {total:#?}");
    // A run that never reached the rare branches shows nothing.
    assert!(total.acknowledged > seeds * 20, "clients were served");
    assert!(total.catalogue_changes > seeds, "the catalogue was changed");
    assert!(total.keyed_instances > seeds, "keys had instances");
    assert!(total.keyed_starts > 2 * total.keyed_instances, "keys were asked for again");
    for (mark, one_of) in [
        (Mark::CutUnderLoad, 4),
        (Mark::SectorsLost, 10),
        (Mark::KilledWithUnsynced, 100),
        (Mark::StartFromSnapshot, 10),
        (Mark::LongPause, 10),
        (Mark::ClockBack, 4),
        (Mark::KeyRepeated, 4),
        (Mark::KeyRetried, 4),
        (Mark::NumberRepeated, 1),
        (Mark::ConnectionRefused, 4),
        (Mark::Refused, 10),
        (Mark::DiskFull, 10),
    ] {
        let count = total.marks.count(mark);
        assert!(count > seeds / one_of, "{mark:?} was reached {count} times in {seeds} seeds");
    }
}

#[test]
fn seeds_that_failed_once_pass() {
    for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().and_then(|seed| seed.parse().ok());
        run(seed.expect("a line begins with a seed"));
    }
}

#[test]
fn the_same_seed_replays_exactly() {
    for seed in [3, 12, 26] {
        assert_eq!(run(seed), run(seed));
    }
}
