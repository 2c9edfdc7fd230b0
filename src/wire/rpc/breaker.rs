//! A peer that keeps failing is left alone for a while: its callers learn at once instead of
//! waiting, and it gets the quiet to recover.
//!
//! ```text
//!            failures_max in a row              open_for over: one call goes
//!   closed ------------------------> open ---------------------------------> half-open
//!     ^                               ^                                        |    |
//!     |                               +----------- it fails: twice as long ----+    |
//!     +-------------------------------------------- it succeeds -------------------+
//! ```
//!
//! Invariants:
//! - While it is half-open, one call is under way and no more.
//! - What a call says that was let through before the last change counts for nothing.
//! - A connection that is lost with a thousand calls is one failure.

use crate::rpc::ConnectionId;
use base::Instant;
use std::time::Duration;

/// When to give up on a peer, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many failures in a row open it. Default 5: more than the attempts of one call.
    pub failures_max: u32,
    /// How long it is open the first time. Default 500 ms.
    pub open_for: Duration,
    /// How long it is open at most. Default 10 s.
    pub open_for_max: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures_max: 5,
            open_for: Duration::from_millis(500),
            open_for_max: Duration::from_secs(10),
        }
    }
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets them through.
    Closed,
    /// Refuses them until then.
    Open {
        /// When one will be let through.
        until: Instant,
    },
    /// One call is under way to find out; others are refused.
    HalfOpen,
}

/// A call may be made. What became of it must be said once: [`Breaker::on_success`],
/// [`Breaker::on_failure`] or [`Breaker::on_abandoned`].
#[must_use = "a breaker waits for what became of the call"]
#[derive(Debug)]
pub struct Permit {
    epoch: u64,
}

/// A call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How long still, as far as is known.
    pub retry_after: Duration,
}

/// Whether a peer is worth calling.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: BreakerState,
    /// Counts the changes of state.
    epoch: u64,
    failures: u32,
    /// The connection whose loss was counted last.
    lost: Option<ConnectionId>,
    open_for: Duration,
}

#[allow(clippy::needless_pass_by_value, reason = "what became of a call is said once")]
impl Breaker {
    /// A closed one.
    pub fn new(options: BreakerOptions) -> Self {
        assert!(options.failures_max > 0, "a breaker lets a first call through");
        let state = BreakerState::Closed;
        Self { options, state, epoch: 0, failures: 0, lost: None, open_for: options.open_for }
    }

    /// Asks for a call.
    pub fn admit(&mut self, now: Instant) -> Result<Permit, Refusal> {
        match self.state {
            BreakerState::Closed => {}
            BreakerState::Open { until } if now >= until => self.enter(BreakerState::HalfOpen),
            BreakerState::Open { until } => return Err(Refusal { retry_after: until.since(now) }),
            // The call that is under way decides; it takes about as long as a call does.
            BreakerState::HalfOpen => return Err(Refusal { retry_after: Duration::ZERO }),
        }
        Ok(Permit { epoch: self.epoch })
    }

    /// The peer answered.
    pub fn on_success(&mut self, permit: Permit) {
        if permit.epoch != self.epoch {
            return;
        }
        self.failures = 0;
        if self.state == BreakerState::HalfOpen {
            self.open_for = self.options.open_for;
            self.enter(BreakerState::Closed);
        }
    }

    /// The peer failed; when by the loss of a connection, or in making it, `lost` says which one.
    pub fn on_failure(&mut self, now: Instant, permit: Permit, lost: Option<ConnectionId>) {
        if permit.epoch != self.epoch {
            return;
        }
        match self.state {
            BreakerState::Closed => {
                if lost.is_some() && lost == self.lost {
                    return;
                }
                self.lost = lost.or(self.lost);
                self.failures += 1;
                if self.failures >= self.options.failures_max {
                    self.open(now);
                }
            }
            BreakerState::HalfOpen => {
                self.open_for = self.open_for.saturating_mul(2).min(self.options.open_for_max);
                self.open(now);
            }
            BreakerState::Open { .. } => unreachable!("an open breaker gives no permit"),
        }
    }

    /// The caller gave up before anything was learnt.
    pub fn on_abandoned(&mut self, now: Instant, permit: Permit) {
        if permit.epoch == self.epoch && self.state == BreakerState::HalfOpen {
            // The next call finds out.
            self.enter(BreakerState::Open { until: now });
        }
    }

    /// What it does with calls.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    fn open(&mut self, now: Instant) {
        self.failures = 0;
        self.enter(BreakerState::Open { until: now + self.open_for });
    }

    fn enter(&mut self, state: BreakerState) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests;
