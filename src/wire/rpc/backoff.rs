//! The pause before another attempt: twice as long each time, with a random half, so that many who
//! failed together do not come back together.
//! Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (equal jitter:
//! unlike full jitter it never comes back at once).

use base::Prng;
use std::time::Duration;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffOptions {
    /// The upper end of the first pause. Default 20 ms: a peer that restarts a connection, or that
    /// is busy for a moment, is over it.
    pub first: Duration,
    /// The upper end of every pause. Default 2 s: a peer that comes back is found soon.
    pub max: Duration,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self { first: Duration::from_millis(20), max: Duration::from_secs(2) }
    }
}

/// The pauses between attempts at one thing.
#[derive(Clone, Debug)]
pub struct Backoff {
    options: BackoffOptions,
    /// The upper end of the next pause.
    ceiling: Duration,
    prng: Prng,
}

impl Backoff {
    /// Pauses from `options.first` up; `prng` decides the random half.
    pub fn new(options: BackoffOptions, prng: Prng) -> Self {
        assert!(options.first <= options.max, "the first pause is not longer than the longest");
        Self { options, ceiling: options.first, prng }
    }

    /// The next pause: between half of its upper end and all of it.
    pub fn next_pause(&mut self) -> Duration {
        let ceiling = u64::try_from(self.ceiling.as_nanos()).unwrap_or(u64::MAX);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.options.max);
        let half = ceiling / 2;
        Duration::from_nanos(half + self.prng.below(ceiling - half + 1))
    }

    /// It worked: the next pause is a first one.
    pub fn reset(&mut self) {
        self.ceiling = self.options.first;
    }
}

#[cfg(test)]
mod tests;
