//! Which requests are traced.

use super::buffer::nonzero;
use super::{TraceContext, Traceparent};
use base::Prng;

/// What a draw of 64 bits may give: 2^64 numbers.
const OUTCOMES: f64 = 18_446_744_073_709_551_616.0;

/// A share of requests that is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioError(
    /// What was asked for.
    pub f64,
);

impl std::fmt::Display for RatioError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is no share of requests to trace: expected a number from 0 to 1", self.0)
    }
}

impl std::error::Error for RatioError {}

/// Decides, once per request, where it enters the node: the caller's decision stands; where the
/// caller made none, dice fall.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// A draw of 64 bits below this one begins a trace: 0 for none, 2^64 for all.
    threshold: u128,
    is_on: bool,
    dice: Prng,
}

impl Sampler {
    /// Traces `ratio` of the requests whose caller made no decision: 0 for none, 1 for all. `dice`
    /// must differ from core to core and from start to start, as traces' ids are drawn from it.
    pub fn new(ratio: f64, dice: Prng) -> Result<Self, RatioError> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(RatioError(ratio));
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a ratio within 0 to 1, times 2^64, is within 0 to 2^64"
        )]
        let threshold = (ratio * OUTCOMES) as u128;
        Ok(Self { threshold, is_on: true, dice })
    }

    /// Traces nothing, whatever callers say: there is nowhere to send spans to.
    pub fn off() -> Self {
        Self { threshold: 0, is_on: false, dice: Prng::new(0) }
    }

    /// Whether this request is traced, and below what. A trace that begins here has no parent.
    pub fn decide(&mut self, caller: Traceparent) -> Option<TraceContext> {
        match caller {
            Traceparent::Sampled(context) => self.is_on.then_some(context),
            Traceparent::Unsampled => None,
            Traceparent::Absent => self.begin(),
        }
    }

    fn begin(&mut self) -> Option<TraceContext> {
        if self.threshold == 0 || u128::from(self.dice.next_u64()) >= self.threshold {
            return None;
        }
        let high = u128::from(nonzero(&mut self.dice));
        Some(TraceContext { trace: high << 64 | u128::from(self.dice.next_u64()), span: 0 })
    }
}

#[cfg(test)]
mod tests;
