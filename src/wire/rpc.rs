//! Calls, as far as they can be decided without a socket: which are in flight and when they are
//! late, whether a peer is worth calling, how long to wait before the next attempt, which calls may
//! be made again, which connection of a pool to take, and when a silent connection is dead.
//!
//! | what | where |
//! | --- | --- |
//! | calls in flight on one connection | [`Pending`] |
//! | a peer that keeps failing | [`Breaker`] |
//! | the pause before another attempt | [`Backoff`], [`RetryPolicy`] |
//! | connections to one peer | [`Pool`] |
//! | a connection on which nothing is heard | [`Watch`] |
//! | why a call failed | [`CallError`] |
//!
//! Invariants:
//! - Nothing here grows with traffic: every table has a bound that is given when it is made.
//! - A call that may have reached its peer is made again only when it is marked idempotent.

mod backoff;
mod breaker;
mod error;
mod pending;
mod pool;
mod retry;
mod watch;

pub use backoff::{Backoff, BackoffOptions};
pub use breaker::{Breaker, BreakerOptions, BreakerState, Permit, Refusal};
pub use error::CallError;
pub use pending::{Answered, CALLS_MAX, Pending, PendingFull};
pub use pool::{Choice, ConnectionId, Pool, PoolOptions};
pub use retry::RetryPolicy;
pub use watch::{Watch, WatchEffect, WatchOptions};
