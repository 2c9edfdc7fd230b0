use super::*;
use crate::{block_on, instant};

fn wheel_and_entries(count: usize, deadline: Duration) -> (Wheel, Vec<Arc<Entry>>) {
    let wheel = Wheel::new(1);
    let entries: Vec<Arc<Entry>> = (0..count).map(|_| Arc::default()).collect();
    for entry in &entries {
        wheel.insert(entry, wheel.start + deadline);
    }
    (wheel, entries)
}

fn fired(entries: &[Arc<Entry>]) -> usize {
    entries.iter().filter(|entry| entry.fired.load(Ordering::Relaxed)).count()
}

#[test]
fn an_entry_fires_in_the_tick_after_its_deadline_and_not_before() {
    for (deadline_ms, tick) in [(0, 1), (1, 1), (99, 1), (100, 2), (1_000, 11), (200_000, 2_001)] {
        let (wheel, entries) = wheel_and_entries(1, Duration::from_millis(deadline_ms));
        for before in 1..tick {
            wheel.turn_to(before);
            assert_eq!(fired(&entries), 0, "{deadline_ms} ms at tick {before}");
        }
        wheel.turn_to(tick);
        assert_eq!(fired(&entries), 1, "{deadline_ms} ms at tick {tick}");
        assert_eq!(wheel.entries.get(), 0);
    }
}

#[test]
fn a_late_turn_fires_all_that_is_due() {
    for late in [5, 1_023, 1_024, 1_025, 100_000] {
        let (wheel, entries) = wheel_and_entries(3, Duration::from_millis(250));
        wheel.turn_to(late);
        assert_eq!(fired(&entries), 3, "{late}");
    }
}

#[test]
fn removed_entries_do_not_fire_and_the_others_know_their_places() {
    let (wheel, entries) = wheel_and_entries(10, Duration::from_millis(250));
    for index in [0, 8, 4, 9] {
        wheel.remove(&entries[index]);
    }
    assert_eq!(wheel.entries.get(), 6);
    wheel.turn_to(3);
    assert_eq!(fired(&entries), 6);
    assert!(!entries[4].fired.load(Ordering::Relaxed));
}

#[test]
fn a_coarse_sleep_ends_after_its_deadline() {
    block_on(async {
        let before = instant();
        sleep_coarse(Duration::from_millis(1)).await;
        assert!(instant().since(before) >= Duration::from_millis(1));
        let late = timeout_coarse(Duration::from_millis(1), std::future::pending::<()>()).await;
        assert!(late.is_err());
        assert_eq!(timeout_coarse(Duration::ZERO, async { 7 }).await, Ok(7));
    });
}

#[test]
fn a_dropped_or_reset_sleep_leaves_nothing_behind() {
    block_on(async {
        let wheel = Rc::clone(&core_state::current().wheel);
        let mut sleep = sleep_coarse(Duration::from_hours(1));
        assert!(crate::timeout(Duration::from_micros(100), &mut sleep).await.is_err());
        assert_eq!(wheel.entries.get(), 1);
        sleep.reset(Instant::now());
        assert_eq!(wheel.entries.get(), 0);
        sleep.await;
        let again = sleep_coarse(Duration::from_hours(1));
        assert!(crate::timeout(Duration::from_micros(100), again).await.is_err());
        assert_eq!(wheel.entries.get(), 0);
    });
}

#[test]
fn a_sleep_may_be_dropped_on_another_thread_or_after_its_executor() {
    let (elsewhere, here) = block_on(async {
        let mut first = sleep_coarse(Duration::from_hours(1));
        let mut second = sleep_coarse(Duration::from_hours(1));
        let wait = Duration::from_micros(100);
        assert!(crate::timeout(wait, &mut first).await.is_err());
        assert!(crate::timeout(wait, &mut second).await.is_err());
        (first, second)
    });
    std::thread::spawn(move || drop(elsewhere)).join().unwrap();
    block_on(async move { drop(here) });
}
