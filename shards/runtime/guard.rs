//! Insurance against a known defect of the pinned glommio (0.12.0, also in the original).
//!
//! Its executor looks for input, then runs what is ready, and sleeps when nothing ran. When an
//! event arrives between the first two (the time slice's end, a wake-up from another core), it runs
//! nothing and takes that for idleness: it sleeps although tasks are ready, until the next event,
//! which may be never. Found here as two cores asleep with a message for each other; described, and
//! fixed in a version not yet released, in glommio/glommio pull request 53. Remove this file when
//! a release with that fix is pinned.
//!
//! Whatever wakes the executor lets it run what is ready. So a ladder of timers is always set
//! ahead: each bounds the sleep, and several of them because one that fires may meet the same
//! defect. A millisecond after work, and at ever longer intervals while nothing happens.
//!
//! Invariants:
//! - At least [`RUNGS_MIN`] timers are set whenever the guard has run.

use glommio::timer::Timer;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The first rung after work: what a stall can cost. On an otherwise idle core that is some 1 %.
const AFTER_WORK: Duration = Duration::from_millis(1);

/// The first rung when nothing happened: about 16 wake-ups per second.
const WHEN_IDLE: Duration = Duration::from_millis(32);

/// Timers of a whole ladder, each at twice the distance of the one before.
const RUNGS: u32 = 6;

/// A ladder with fewer is made anew.
const RUNGS_MIN: usize = 3;

/// Runs for as long as the core does.
pub(crate) async fn watch() {
    let mut ladder = Ladder { rungs: Vec::new(), tasks_run: 0 };
    std::future::poll_fn(|context| ladder.step(context)).await;
}

struct Ladder {
    rungs: Vec<(Instant, Timer)>,
    tasks_run: u64,
}

impl Ladder {
    fn step(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let tasks_run = glommio::executor().executor_stats().tasks_executed();
        // The guard's own last run is one of them.
        let worked = tasks_run > self.tasks_run + 1;
        self.tasks_run = tasks_run;
        self.rungs.retain(|(deadline, _)| *deadline > now);
        if worked || self.rungs.len() < RUNGS_MIN {
            self.rungs.clear();
            let first = if worked { AFTER_WORK } else { WHEN_IDLE };
            for doublings in 0..RUNGS {
                let distance = first * 2_u32.pow(doublings);
                let mut timer = Timer::new(distance);
                // Registers it; a second poll would register it twice.
                if Pin::new(&mut timer).poll(context).is_pending() {
                    self.rungs.push((now + distance, timer));
                }
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
