//! Calls over TCP: many in flight on one connection, answered in any order.
//!
//! | what | where |
//! | --- | --- |
//! | serving | [`serve_connection`] with a [`Service`], for example a [`Router`]: it gets each [`Call`] with a [`Reply`] |
//! | calling | [`Peer::call`]: pool, retries, breaker; how in [`CallOptions`], why not in [`CallError`] |
//! | who is there | [`Identity`] of this side, [`PeerInfo`] of the other |
//! | counting | [`RpcMetrics`] |
//! | frames that nobody answers | [`call_channel`], [`answer_channel`] -> [`Channel`] |
//! | what is said against callers | [`Refusals`] |
//!
//! What can be decided without a socket is decided in `wire::rpc`; how frames look is docs/WIRE.md.
//!
//! Invariants:
//! - One connection is one task, which reads as much as there is, handles all of it and then writes
//!   once.
//! - Every queue has a bound: calls in flight, calls that wait for a connection, bytes to be
//!   written. What does not fit is refused with an error that says so, never kept.

mod call;
mod channel;
mod greeting;
mod link;
mod metrics;
mod output;
mod peer;
mod refusals;
mod serve;

pub use call::{Call, Reply, Router, Service};
pub use channel::{
    Channel, ChannelDriver, ChannelError, ChannelOptions, Introduced, answer_channel, call_channel,
};
pub use greeting::{Identity, PeerInfo, error_reply};
pub use link::Answer;
pub use metrics::{RpcMetrics, Side};
pub use peer::{CallOptions, Peer, PeerOptions};
pub use refusals::Refusals;
pub use serve::{Ended, ServeOptions, serve_connection};
pub use wire::rpc::{
    BackoffOptions, BreakerOptions, BreakerState, CallError, PoolOptions, RetryPolicy, WatchOptions,
};

#[cfg(test)]
mod tests;
