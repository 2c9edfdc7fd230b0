//! One node whose power is cut, and its disk with it.

use super::worlds::Kind;
use super::{run, run_all};
use sim::Mark;

/// Seeds of one `cargo test`.
const SEEDS: u64 = 300;

#[test]
fn nothing_acknowledged_is_lost_or_doubled_through_power_cuts() {
    let (total, seeds) = (run_all(Kind::Power, SEEDS), SEEDS);
    // A run that never reached the rare branches shows nothing.
    assert!(total.acknowledged > seeds * 20, "clients were served");
    assert!(total.catalogue_changes > seeds, "the catalogue was changed");
    assert!(total.keyed_instances > seeds, "keys had instances");
    assert!(total.keyed_starts > 2 * total.keyed_instances, "keys were asked for again");
    for (mark, one_of) in [
        (Mark::CutUnderLoad, 4),
        (Mark::SectorsLost, 10),
        (Mark::KilledWithUnsynced, 150),
        (Mark::StartFromSnapshot, 10),
        (Mark::LongPause, 15),
        (Mark::ClockBack, 6),
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
fn the_same_seed_replays_exactly() {
    for seed in [3, 12, 26] {
        assert_eq!(run(Kind::Power, seed), run(Kind::Power, seed));
    }
}
