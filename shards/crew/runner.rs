//! What runs a worker's orders.

use base::Instant;
use bytes::Bytes;
use engine::OrderId;
use engine::record::Ended;
use engine::workers::{Run, Verdict};
use std::task::{Context, Poll};

/// Runs orders beside the core. Each that was started is over exactly once.
pub trait Runner {
    /// Starts it. One that cannot be started has ended, with the reason.
    fn start(&self, run: Run);

    /// Has it end: by asking, and by killing when that does not help soon.
    fn stop(&self, order: OrderId);

    /// All that run end at once.
    fn kill_all(&self);

    /// Nothing runs beyond that instant, also when this process stands still, unless a later one is
    /// told.
    fn keep(&self, until: Instant);

    /// Would this plugin take this configuration?
    fn validate(&self, ticket: u64, plugin: &str, config: Bytes);

    /// What is over since it was asked last. One task waits at a time.
    fn poll_over(&self, context: &mut Context<'_>) -> Poll<Vec<Over>>;

    /// How much memory its processes have. Unit: bytes.
    fn memory_bytes(&self) -> u64;
}

/// What a [`Runner`] tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    /// An order has ended by itself.
    Ended {
        /// Which.
        order: OrderId,
        /// How.
        ended: Ended,
    },
    /// An order was stopped.
    Stopped {
        /// Which.
        order: OrderId,
    },
    /// What a plugin says to a configuration.
    Validated {
        /// The question's.
        ticket: u64,
        /// What it says.
        verdict: Verdict,
    },
}
