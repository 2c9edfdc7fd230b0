use super::*;
use crate::{block_on, spawn_local};
use std::rc::Rc;

const MS: Duration = Duration::from_millis(1);

#[test]
fn the_clocks_go_forward() {
    let (first, second) = (now(), now());
    assert!(first.instant <= second.instant);
    // 2024-01-01: a machine whose clock is before this is set wrong.
    assert!(first.wall.0 > 1_704_067_200_000_000);
}

#[test]
fn a_sleep_never_ends_before_its_deadline() {
    block_on(async {
        for wait in [Duration::ZERO, MS / 10, MS, 3 * MS] {
            let before = instant();
            sleep(wait).await;
            assert!(instant().since(before) >= wait, "{wait:?}");
        }
    });
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = instant();
        let tasks: Vec<_> = [5_u32, 1, 4, 2, 3]
            .map(|number| {
                let order = Rc::clone(&order);
                spawn_local(async move {
                    sleep_until(start + number * 2 * MS).await;
                    order.borrow_mut().push(number);
                })
            })
            .into_iter()
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn an_earlier_sleep_does_not_wait_for_a_later_one() {
    block_on(async {
        let hour = spawn_local(sleep(Duration::from_hours(1)));
        let before = instant();
        sleep(2 * MS).await;
        assert!(instant().since(before) < Duration::from_mins(1));
        hour.cancel().await;
    });
}

#[test]
fn a_dropped_sleep_leaves_nothing_behind() {
    block_on(async {
        let timers = Rc::clone(&core_state::current().timers);
        for _ in 0..100 {
            assert!(timeout(MS / 10, sleep(Duration::from_hours(1))).await.is_err());
        }
        assert!(timers.entries.borrow().is_empty());
    });
}

#[test]
fn a_reset_sleep_keeps_to_its_new_deadline() {
    block_on(async {
        let start = instant();
        let mut earlier = sleep(Duration::from_hours(1));
        assert!(timeout(MS / 10, &mut earlier).await.is_err());
        earlier.reset(start + 2 * MS);
        earlier.await;
        let mut later = sleep(MS);
        later.reset(start + 6 * MS);
        later.await;
        assert!(instant() >= start + 6 * MS);
    });
}

#[test]
fn a_future_that_is_ready_wins_over_its_timeout() {
    block_on(async {
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        let late = timeout(MS, std::future::pending::<()>()).await;
        assert_eq!(late.unwrap_err().to_string(), "not done within 1ms");
    });
}
