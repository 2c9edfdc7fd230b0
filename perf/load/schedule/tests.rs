use super::*;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_rate_is_kept_exactly_however_long_the_run() {
    let rows = [(10_000, 1), (3, 1), (50_000, 100), (999_983, 7)];
    for (rate, batch) in rows {
        let schedule = Schedule::new(rate, batch, 0, 1);
        assert_eq!(schedule.due(0), 0);
        for seconds in [1, 60, 86_400] {
            let requests = rate * seconds / batch as u64;
            assert!(schedule.due(requests) <= seconds * SECOND, "{rate} {batch} {seconds}");
            assert!(schedule.due(requests + 1) > seconds * SECOND, "{rate} {batch} {seconds}");
        }
    }
}

#[test]
fn threads_share_one_schedule() {
    let one = Schedule::new(1_000, 5, 0, 1);
    let three: Vec<_> = (0..3).map(|thread| Schedule::new(1_000, 5, thread, 3)).collect();
    for request in 0..300_u64 {
        let share = three[usize::try_from(request % 3).unwrap()];
        assert_eq!(share.due(request / 3), one.due(request));
    }
}

#[test]
fn a_time_too_far_away_is_never() {
    assert_eq!(Schedule::new(1, 1_000, 0, 1).due(u64::MAX), u64::MAX);
}
