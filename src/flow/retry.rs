//! When a failed attempt is tried again.
//!
//! The delay is a pure function of the policy, the instance, the task and the attempt: every node
//! that applies the same log waits equally long, and still two instances that failed together do
//! not come back together.

use crate::definition::TaskIndex;
use base::InstanceId;
use expr::Expression;
use std::time::Duration;

/// Attempts after the first that a policy may ask for. With the default delays a hundred of them
/// take more than an hour and a half.
pub const RETRIES_MAX: u32 = 100;

/// The first delay where a policy names none.
pub(crate) const FIRST_DELAY_DEFAULT: Duration = Duration::from_secs(1);

/// The longest delay where a policy names none.
pub(crate) const DELAY_CAP_DEFAULT: Duration = Duration::from_mins(1);

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Every delay is twice the one before.
    Exponential,
    /// Every delay is the first one.
    Fixed,
}

/// What chance does to a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Anything from nothing to the whole delay, evenly.
    /// Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    Full,
    /// Nothing.
    None,
}

/// How often, when, and unless what a failed attempt is tried again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts after the first.
    pub max: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The delay before the second attempt.
    pub first: Duration,
    /// No delay is longer.
    pub cap: Duration,
    /// What chance does to the delay.
    pub jitter: Jitter,
    /// An expression over `error`: where it is true the task fails at once.
    pub unless: Option<Expression>,
}

impl Retry {
    /// The policy that `retry: max` stands for.
    pub fn times(max: u32) -> Self {
        Self {
            max,
            backoff: Backoff::Exponential,
            first: FIRST_DELAY_DEFAULT,
            cap: DELAY_CAP_DEFAULT,
            jitter: Jitter::Full,
            unless: None,
        }
    }

    /// How long to wait after the failed attempt number `attempt`, counted from 1.
    pub(crate) fn delay(&self, instance: InstanceId, task: TaskIndex, attempt: u32) -> Duration {
        let ceiling = self.ceiling_micros(attempt);
        let micros = match self.jitter {
            Jitter::None => ceiling,
            Jitter::Full => {
                let wide = u128::from(draw(instance, task, attempt)) * (u128::from(ceiling) + 1);
                u64::try_from(wide >> 64).expect("the high half fits")
            }
        };
        Duration::from_micros(micros)
    }

    /// The delay before chance. Doubling is a shift that saturates: no power of a float, whose last
    /// digit differs between machines.
    fn ceiling_micros(&self, attempt: u32) -> u64 {
        assert!(attempt >= 1, "attempts are counted from 1");
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (first, cap) = (micros(self.first), micros(self.cap));
        let doublings = match self.backoff {
            Backoff::Fixed => 0,
            Backoff::Exponential => attempt - 1,
        };
        let room = first.leading_zeros();
        let grown = if first == 0 {
            0
        } else if doublings <= room {
            first << doublings
        } else {
            u64::MAX
        };
        grown.min(cap)
    }
}

/// 64 evenly distributed bits that are the same on every node.
fn draw(instance: InstanceId, task: TaskIndex, attempt: u32) -> u64 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&instance.message.0.to_le_bytes());
    seed[8..10].copy_from_slice(&instance.ordinal.to_le_bytes());
    seed[10..12].copy_from_slice(&task.0.to_le_bytes());
    seed[12..].copy_from_slice(&attempt.to_le_bytes());
    base::hash64(&seed)
}

#[cfg(test)]
mod tests;
