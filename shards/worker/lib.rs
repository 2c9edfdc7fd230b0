//! Runs tasks: outgoing HTTP and HTTPS on a core.
//!
//! [`HttpClient::call`] makes one request and gives the whole answer, or a [`CallError`] with a
//! code that a retry policy can ask for. Connections are kept and used again, within bounds; names
//! are looked up and certificates loaded off the core. Redirects are answers, not followed: where a
//! task's effect happens is for the workflow to say.
//!
//! An effect may happen although the call failed (the answer was lost, or came too late), so every
//! task's call carries an idempotency key, and the same key with each attempt.
//!
//! Invariants:
//! - There are at most [`HttpOptions::connections_per_origin_max`] connections to one origin.
//! - A request is sent at most once per call, except on a kept connection that the server had
//!   closed: then once more if nothing of it was sent, or if it carries its key and not a byte of
//!   an answer came.
//! - A call that failed or ran out of time leaves no connection open.
//! - Nothing is kept without a bound: answers, headers, connections, calls that wait for one.

mod client;
mod permits;
mod pool;
mod request;
mod target;
mod transport;
mod trust;

pub use client::{HttpClient, HttpOptions};
pub use request::{
    CallError, CallErrorCode, HEADERS_MAX, HttpRequest, HttpResponse, REQUEST_BYTES_MAX,
};
pub use trust::{Trust, TrustError};

#[cfg(test)]
mod tests;
