//! A machine's wall clock: near the true time, and wrong by a drift and by jumps.
//!
//! The boot clock is the world's own time: it neither jumps nor runs apart, as the kernel's
//! `CLOCK_BOOTTIME` does not within what matters here.

use base::{Instant, Now, Prng, UnixMicros};

/// Where the wall clocks start. Unit: microseconds since 1970.
const EPOCH: i64 = 1_700_000_000_000_000;

/// How wrong clocks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFaults {
    /// How far clocks are apart at the start, at most. Unit: microseconds.
    pub apart_us: u64,
    /// How much faster or slower than the true time they run, at most. Unit: parts per million.
    pub drift_ppm: u64,
    /// How far one jumps, at most, in either direction. Unit: microseconds.
    pub jump_us: u64,
}

/// One machine's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    ahead_us: i64,
    drift_ppm: i64,
}

impl Clock {
    pub(crate) fn new(faults: ClockFaults, prng: &mut Prng) -> Self {
        Self {
            ahead_us: either_way(faults.apart_us, prng),
            drift_ppm: either_way(faults.drift_ppm, prng),
        }
    }

    pub(crate) fn now(&self, instant: Instant) -> Now {
        let elapsed = instant.since(Instant(0)).as_micros();
        let elapsed = i64::try_from(elapsed).expect("a run lasts less than ages");
        let wall = EPOCH + elapsed + elapsed / 1_000_000 * self.drift_ppm + self.ahead_us;
        Now { instant, wall: UnixMicros(u64::try_from(wall).expect("after 1970")) }
    }

    /// Somebody sets it.
    pub(crate) fn jump(&mut self, faults: ClockFaults, prng: &mut Prng) {
        self.ahead_us += either_way(faults.jump_us, prng);
    }

    /// Somebody sets it right.
    pub(crate) fn correct(&mut self) {
        *self = Self { ahead_us: 0, drift_ppm: 0 };
    }
}

fn either_way(most: u64, prng: &mut Prng) -> i64 {
    let most = i64::try_from(most).expect("a fault has bounds");
    let range = u64::try_from(2 * most + 1).expect("it is positive");
    i64::try_from(prng.below(range)).expect("it is below an i64") - most
}
