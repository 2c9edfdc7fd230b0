//! Groups of several nodes, in which everything goes wrong that the seed says.

use super::worlds::Kind;
use super::{run, run_all};
use sim::Mark;

/// Seeds of one `cargo test`.
const SEEDS: u64 = 60;

#[test]
fn a_group_loses_and_doubles_nothing_whatever_goes_wrong() {
    let total = run_all(Kind::Group, SEEDS);
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
        Mark::SyncFailed,
        Mark::HandedOver,
        Mark::Wiped,
        Mark::RotFound,
        Mark::Mended,
    ] {
        assert!(total.marks.count(mark) > 0, "{mark:?} was reached");
    }
}

#[test]
fn the_same_seed_replays_a_group_exactly() {
    for seed in [1, 2] {
        assert_eq!(run(Kind::Group, seed), run(Kind::Group, seed));
    }
}
