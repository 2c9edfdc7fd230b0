//! Three coordinators and twenty workers, in which everything goes wrong that the seed says.

use super::worlds::Kind;
use super::{run, run_all};
use sim::Mark;

/// Seeds of one `cargo test`.
const SEEDS: u64 = 16;

#[test]
fn a_task_has_one_worker_at_a_time_and_one_result_and_none_is_stranded() {
    let total = run_all(Kind::Workers, SEEDS);
    // A run that never reached the rare branches shows nothing.
    for mark in [
        Mark::TaskRun,
        Mark::TaskRunAgain,
        Mark::WorkerDied,
        Mark::WorkerLost,
        Mark::WorkerKilledAll,
        Mark::WorkerLeft,
        Mark::LeaderChange,
    ] {
        assert!(total.marks.count(mark) > 0, "{mark:?} was reached");
    }
}

#[test]
fn the_same_seed_replays_workers_exactly() {
    assert_eq!(run(Kind::Workers, 3), run(Kind::Workers, 3));
}
