//! When this node believes that the leader is gone.
//!
//! The library draws election timeouts from the thread's own generator whenever it changes state.
//! None of its draws is ever used: a timeout is only looked at when a tick comes, and before each it is
//! set to the one drawn here; a new one is drawn when role, term or leader have changed.

use crate::window::Window;
use base::Prng;
use raft::{Raft, StateRole};

/// A widened window ends below this many election timeouts; the library is told so when it is made,
/// and asserts it.
pub(crate) const WINDOW_FACTOR_MAX: usize = 8;

/// The window's lower end grows by at most this many election timeouts; twice that end, exclusive,
/// is the upper one.
const WIDENED_MAX: usize = 3;

/// Lateness is halved after this many ticks without more: five seconds, a few times as long as a
/// busy machine takes to recover.
const LATENESS_HALVES_TICKS: u64 = 500;

const _: () = assert!(2 * (1 + WIDENED_MAX) <= WINDOW_FACTOR_MAX);

/// In ticks of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader. Default 5 (RAFT-2).
    pub heartbeat_ticks: usize,
    /// The shortest time without a leader before an election; the longest is twice that, exclusive.
    /// Default 15 (RAFT-2). Must exceed the heartbeat.
    pub election_ticks: usize,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ticks: 5, election_ticks: 15 }
    }
}

#[derive(Debug)]
pub(crate) struct Clock {
    timing: Timing,
    prng: Prng,
    ticks: u64,
    late: usize,
    late_since: u64,
    drawn_for: Option<(StateRole, u64, u64)>,
    timeout: usize,
}

impl Clock {
    pub(crate) fn new(timing: Timing, prng: Prng) -> Self {
        Self { timing, prng, ticks: 0, late: 0, late_since: 0, drawn_for: None, timeout: 0 }
    }

    /// Ticks of this run.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    pub(crate) fn on_tick(&mut self) {
        self.ticks += 1;
        if self.late > 0 && self.ticks - self.late_since >= LATENESS_HALVES_TICKS {
            self.late /= 2;
            self.late_since = self.ticks;
        }
    }

    pub(crate) fn on_late(&mut self, ticks: u64) {
        let max = WIDENED_MAX * self.timing.election_ticks;
        let late = usize::try_from(ticks).unwrap_or(max).min(max);
        if late >= self.late {
            // The timeout that runs already waits longer, too. Lateness is forgotten in time, a
            // timeout is not: it never goes beyond what would be drawn now, however often both meet.
            let longer = self.timeout + late - self.late;
            self.late = late;
            let (_, high) = self.window();
            self.timeout = self.timeout.max(longer.min(high - 1));
            self.late_since = self.ticks;
        }
    }

    /// From and below which election timeouts are drawn.
    pub(crate) fn window(&self) -> (usize, usize) {
        let low = self.timing.election_ticks + self.late;
        (low, 2 * low)
    }

    /// Sets the library's timeout to ours, a new one if its state is another. Before each tick.
    pub(crate) fn settle(&mut self, raft: &mut Raft<Window>) {
        let state = (raft.state, raft.term, raft.leader_id);
        if self.drawn_for != Some(state) {
            self.drawn_for = Some(state);
            let (low, high) = self.window();
            let spread = self.prng.below((high - low) as u64);
            self.timeout = low + usize::try_from(spread).expect("a small number");
        }
        raft.set_randomized_election_timeout(self.timeout);
    }
}
