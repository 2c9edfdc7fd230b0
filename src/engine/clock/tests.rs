use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn now(instant_us: u64, wall_us: u64) -> Now {
    Now { instant: Instant(instant_us * 1_000), wall: UnixMicros(wall_us) }
}

#[test]
fn a_jump_of_the_wall_clock_moves_the_stamp_by_a_tenth_at_most() {
    let mut clock = StampClock::new(UnixMicros(0));
    clock.on_office(now(0, 1_000_000));
    assert_eq!(clock.stamp(now(1_000, 1_001_000)), UnixMicros(1_001_000));
    assert_eq!(clock.stamp(now(2_000, 90_000_000)), UnixMicros(1_002_100), "a jump ahead");
    assert_eq!(clock.stamp(now(3_000, 5)), UnixMicros(1_003_000), "a jump back");
}

#[test]
fn a_new_leader_steps_forward_to_the_wall_clock_and_never_back() {
    let mut clock = StampClock::new(UnixMicros(500));
    clock.on_office(now(0, 400));
    assert_eq!(clock.stamp(now(0, 400)), UnixMicros(500));
    clock.on_office(now(0, 9_000));
    assert_eq!(clock.stamp(now(0, 9_000)), UnixMicros(9_000));
}

proptest! {
    #[test]
    fn stamps_never_go_back_and_keep_their_rate(
        steps in prop::collection::vec((0_u64..1_000_000, any::<u32>()), 1..200),
    ) {
        let mut clock = StampClock::new(UnixMicros(7));
        clock.on_office(now(0, 1_000_000));
        let (mut instant, mut last) = (0, clock.stamp(now(0, 1_000_000)));
        for (step, wall) in steps {
            instant += step;
            let stamp = clock.stamp(now(instant, u64::from(wall)));
            let moved = stamp.since(last);
            prop_assert!(stamp >= last);
            prop_assert!(moved <= Duration::from_micros(step + step / 10));
            prop_assert!(moved >= Duration::from_micros(step - step / 10));
            last = stamp;
        }
    }
}
