//! Whether a connection is still alive, and still wanted.
//!
//! A peer that vanished without a word (its machine lost power, a middle box forgot the connection)
//! is noticed only by asking. So when nothing was heard for a while, a ping goes out; when that
//! stays without any answer too, the connection is dead. One that nobody called over for long is
//! given back.

use base::{Instant, Outbox};
use std::time::Duration;

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// A ping goes out when nothing was heard for so long. Default 10 s.
    pub ping_after: Duration,
    /// So long after the ping the connection counts as dead. Default 5 s.
    pub ping_patience: Duration,
    /// A connection on which something was heard less than so long ago is called over without asking.
    /// After a longer silence a ping goes first, so that a call that must not be made twice is not
    /// lost to a connection that has ended unseen. Default 1 s: that one round trip more is rare,
    /// and an end within it is seen by itself.
    pub trust_for: Duration,
    /// A connection without a call for so long is closed. Default 60 s, less than servers, which
    /// close idle connections too, give: so the caller's side closes first and no call meets it.
    pub retire_after: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            ping_after: Duration::from_secs(10),
            ping_patience: Duration::from_secs(5),
            trust_for: Duration::from_secs(1),
            retire_after: Duration::from_mins(1),
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEffect {
    /// Send a ping.
    Ping,
    /// Close it: the peer does not answer.
    GiveUp,
    /// Close it: nobody needs it.
    Retire,
}

/// Watches over one connection.
#[derive(Clone, Debug)]
pub struct Watch {
    options: WatchOptions,
    heard: Instant,
    used: Instant,
    pinged: Option<Instant>,
    /// Calls are under way: it is wanted.
    busy: bool,
}

impl Watch {
    /// A connection that was made now.
    pub fn new(options: WatchOptions, now: Instant) -> Self {
        Self { options, heard: now, used: now, pinged: None, busy: false }
    }

    /// Bytes came.
    pub fn on_heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// Calls are under way, or none is any more.
    pub fn on_calls(&mut self, now: Instant, busy: bool) {
        self.busy = busy;
        self.used = now;
    }

    /// Whether a call may go out without a ping before it. Calls under way are a question already.
    pub fn is_trusted(&self, now: Instant) -> bool {
        self.busy || now.since(self.heard) < self.options.trust_for
    }

    /// A ping went out that was not asked for here.
    pub fn on_pinged(&mut self, now: Instant) {
        self.pinged = Some(now);
    }

    /// Whether a ping waits for its answer.
    pub fn is_pinged(&self) -> bool {
        self.pinged.is_some()
    }

    /// When to call [`Watch::on_deadline`].
    pub fn deadline(&self) -> Instant {
        let alive = match self.pinged {
            None => self.heard + self.options.ping_after,
            Some(pinged) => pinged + self.options.ping_patience,
        };
        if self.busy { alive } else { alive.min(self.used + self.options.retire_after) }
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Instant, out: &mut Outbox<WatchEffect>) {
        if now < self.deadline() {
            return;
        }
        if !self.busy && now >= self.used + self.options.retire_after {
            out.push(WatchEffect::Retire);
        } else if self.pinged.is_some() {
            out.push(WatchEffect::GiveUp);
        } else {
            self.pinged = Some(now);
            out.push(WatchEffect::Ping);
        }
    }
}

#[cfg(test)]
mod tests;
