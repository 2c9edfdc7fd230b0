//! Which calls are made again.

use crate::rpc::{Backoff, CallError};
use std::time::Duration;

/// How often a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts, the first included. Default 3: a connection that had died and a peer that was busy
    /// for a moment are both survived; more would multiply the load of a peer in trouble.
    pub attempts_max: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 3 }
    }
}

impl RetryPolicy {
    /// The pause before the next attempt, after `attempts` failed, the last one with `error`;
    /// `None` when there is to be none: the call may have had an effect and is not idempotent, the
    /// error stays whatever is done, or there is no time left.
    pub fn pause(
        &self,
        error: &CallError,
        idempotent: bool,
        attempts: u32,
        remaining: Duration,
        backoff: &mut Backoff,
    ) -> Option<Duration> {
        let harmless = idempotent || error.is_unsent();
        if !harmless || !is_passing(error) || attempts >= self.attempts_max {
            return None;
        }
        // A connection that had died while nobody used it says nothing about its peer: the call goes
        // out on another one at once.
        let at_once = attempts == 1 && matches!(error, CallError::Closed { sent: false, .. });
        let pause =
            if at_once { Duration::ZERO } else { backoff.next_pause().max(error.retry_after()) };
        (pause < remaining).then_some(pause)
    }
}

/// Whether another attempt may end otherwise.
fn is_passing(error: &CallError) -> bool {
    match error {
        CallError::Refused { .. } | CallError::Overloaded { .. } | CallError::Closed { .. } => true,
        // A timeout has used up the caller's time. What is full, or open, is for the caller to
        // know at once. The others say the same again.
        CallError::Timeout { .. }
        | CallError::Full { .. }
        | CallError::TooLarge { .. }
        | CallError::BreakerOpen { .. }
        | CallError::Version { .. }
        | CallError::Protocol { .. }
        | CallError::Remote { .. } => false,
    }
}

#[cfg(test)]
mod tests;
