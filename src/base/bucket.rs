//! A token bucket: so much per second in the long run, and a bounded burst.
//!
//! | given | then |
//! | --- | --- |
//! | nothing was taken for long | a whole burst may be taken at once |
//! | the bucket is empty | each token is there `1 / rate` seconds after the one before |
//!
//! Time is an input, so a limit can be tested, and simulated, without waiting.
//!
//! Invariants:
//! - in any time, no more is given than the burst and what that time refilled;
//! - nothing is lost to rounding: the level is kept in billionths of a token, and a rate is then a
//!   whole number of them per nanosecond;
//! - a clock that goes back refills nothing and takes nothing away.

use crate::Instant;
use std::num::NonZeroU32;
use std::time::Duration;

/// Parts of a token: as many as nanoseconds in a second.
const PARTS: u64 = 1_000_000_000;

/// Gives tokens at a steady rate, and a burst of them after a pause.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: NonZeroU32,
    burst: NonZeroU32,
    /// What can be taken now. Unit: billionths of a token.
    level: u64,
    /// When `level` was right.
    as_of: Instant,
}

/// The tokens are not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// They will be, if nobody takes them before.
    #[error("not before {until:?}")]
    Later {
        /// When.
        until: Instant,
    },
    /// They never will be: the bucket does not hold as many.
    #[error("{wanted} at once, and a burst is at most {burst}")]
    Never {
        /// Tokens that were asked for.
        wanted: u32,
        /// Tokens that the bucket holds.
        burst: u32,
    },
}

impl TokenBucket {
    /// A full bucket. `rate`: tokens per second. `burst`: tokens it holds.
    pub fn new(rate: NonZeroU32, burst: NonZeroU32, now: Instant) -> Self {
        Self { rate, burst, level: u64::from(burst.get()) * PARTS, as_of: now }
    }

    /// Takes `tokens`, or says when to come again. A refusal takes nothing.
    pub fn take(&mut self, now: Instant, tokens: u32) -> Result<(), TokenError> {
        if tokens > self.burst.get() {
            return Err(TokenError::Never { wanted: tokens, burst: self.burst.get() });
        }
        self.refill(now);
        let wanted = u64::from(tokens) * PARTS;
        if let Some(left) = self.level.checked_sub(wanted) {
            self.level = left;
            return Ok(());
        }
        let wait = (wanted - self.level).div_ceil(u64::from(self.rate.get()));
        Err(TokenError::Later { until: self.as_of + Duration::from_nanos(wait) })
    }

    /// Whole tokens that could be taken now.
    pub fn available(&mut self, now: Instant) -> u32 {
        self.refill(now);
        u32::try_from(self.level / PARTS).expect("the level is at most the burst")
    }

    fn refill(&mut self, now: Instant) {
        if now <= self.as_of {
            return;
        }
        let elapsed = now.0 - self.as_of.0;
        let full = u64::from(self.burst.get()) * PARTS;
        let refilled = elapsed.saturating_mul(u64::from(self.rate.get()));
        self.level = self.level.saturating_add(refilled).min(full);
        self.as_of = now;
        assert!(self.level <= full, "no more than a burst is ever saved up");
    }
}

#[cfg(test)]
mod tests;
