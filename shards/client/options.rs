//! What a user may choose, and what it must lie within.

use crate::error::ClientError;
use base::Address;
use base::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX};
use std::time::Duration;
use wire::rpc::BackoffOptions;

/// Sequences of one producer that may be on their way, counted from the oldest without a result: as
/// many as a node remembers. With more, a retry could fall out of its window.
pub const WINDOW_MESSAGES: usize = 1_024;

/// How long a node remembers a producer that is silent: the default of its `key_ttl`.
pub const KEY_TTL: Duration = Duration::from_mins(2);

/// The longest time in which a message is tried again.
pub const GIVE_UP_AFTER_MAX: Duration = Duration::from_mins(1);

/// A producer without an accepted message for so long is given up for a new one before the next
/// message is numbered: the node might forget it meanwhile.
pub(crate) const PRODUCER_IDLE_MAX: Duration = Duration::from_secs(30);

/// The log's time, by which a node forgets, may run faster than this machine's by so many percent.
const LOG_TIME_FASTER_PERCENT: u64 = 10;

// The last try of a message goes out while the node still remembers its producer.
const _: () = assert!(
    (PRODUCER_IDLE_MAX.as_secs() + GIVE_UP_AFTER_MAX.as_secs()) * (100 + LOG_TIME_FASTER_PERCENT)
        < KEY_TTL.as_secs() * 100
);

/// What to do with a message when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Wait until there is room.
    #[default]
    Wait,
    /// Return [`ClientError::QueueFull`].
    Refuse,
}

/// How a client goes about its work. The defaults suit a program that sends from a few threads to a
/// node in the same data centre.
///
/// ```
/// let options = client::Options {
///     addresses: vec!["node-1:8081".to_owned(), "node-2:8081".to_owned()],
///     linger: std::time::Duration::from_millis(1),
///     ..client::Options::default()
/// };
/// assert!(options.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The nodes' binary doors, `HOST:PORT` each. One is used at a time; when it fails, the next.
    /// Names are looked up whenever a connection is opened. Default: `127.0.0.1:8081`.
    pub addresses: Vec<String>,
    /// The first producer id, never 0. It must never have been used before, by nobody. Default: drawn
    /// at random, which is right for all but tests.
    pub producer: Option<u64>,
    /// Messages of one submit at most. 1 to 1,000. Default 128.
    pub batch_messages_max: usize,
    /// Bytes of one submit's bodies at most; a larger message goes alone. Default 256 KiB.
    pub batch_bytes_max: usize,
    /// How long a message waits for company while its batch is not full. With 0, the default, it is
    /// sent as soon as fewer than `in_flight_max` submits are in flight; under load batches fill up all
    /// the same.
    pub linger: Duration,
    /// Submits without an answer at most. Default 8: with the default batch, a whole window.
    pub in_flight_max: usize,
    /// Messages that may wait for a result before `submit` waits or refuses. Default 65,536.
    pub queue_messages_max: usize,
    /// The same in bytes of bodies. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// What `submit` does then.
    pub when_full: WhenFull,
    /// How long connecting may take, hello included. Default 3 s.
    pub connect_timeout: Duration,
    /// How long an answer may take before the connection is given up for another, besides what a
    /// query asks the node to wait. Default 5 s.
    pub answer_timeout: Duration,
    /// How long after `submit` a message is given up at the latest. At most 60 s
    /// ([`GIVE_UP_AFTER_MAX`]), half of the node's `key_ttl`: a node that is told to remember less
    /// needs less here, too. Default 30 s.
    pub give_up_after: Duration,
    /// How long to pause after a failure or a refusal that passes.
    pub backoff: BackoffOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addresses: vec!["127.0.0.1:8081".to_owned()],
            producer: None,
            batch_messages_max: 128,
            batch_bytes_max: 256 * 1024,
            linger: Duration::ZERO,
            in_flight_max: 8,
            queue_messages_max: 65_536,
            queue_bytes_max: 64 * 1024 * 1024,
            when_full: WhenFull::Wait,
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(5),
            give_up_after: Duration::from_secs(30),
            backoff: BackoffOptions::default(),
        }
    }
}

impl Options {
    /// The defaults with one address.
    pub fn to(address: impl Into<String>) -> Self {
        Self { addresses: vec![address.into()], ..Self::default() }
    }

    /// Whether they can be carried out.
    pub fn check(&self) -> Result<(), ClientError> {
        let wrong = |option, what: String| Err(ClientError::Options { option, what });
        if self.addresses.is_empty() {
            return wrong("addresses", "at least one is needed".to_owned());
        }
        for address in &self.addresses {
            if let Err(error) = Address::parse(address) {
                return wrong("addresses", error.to_string());
            }
        }
        if self.producer == Some(0) {
            return wrong("producer", "0 means that there is none".to_owned());
        }
        let ranges = [
            ("batch_messages_max", self.batch_messages_max, BATCH_MESSAGES_MAX),
            ("batch_bytes_max", self.batch_bytes_max, BATCH_BYTES_MAX),
            ("in_flight_max", self.in_flight_max, WINDOW_MESSAGES),
            ("queue_messages_max", self.queue_messages_max, usize::MAX),
            ("queue_bytes_max", self.queue_bytes_max, usize::MAX),
        ];
        for (option, value, max) in ranges {
            if !(1..=max).contains(&value) {
                return wrong(option, format!("{value} is not within 1 to {max}"));
            }
        }
        let times = [
            ("connect_timeout", self.connect_timeout),
            ("answer_timeout", self.answer_timeout),
            ("give_up_after", self.give_up_after),
            ("backoff", self.backoff.first),
        ];
        for (option, value) in times {
            if value.is_zero() {
                return wrong(option, "it must be longer than nothing".to_owned());
            }
        }
        if self.give_up_after > GIVE_UP_AFTER_MAX {
            let (value, max) = (self.give_up_after, GIVE_UP_AFTER_MAX);
            return wrong("give_up_after", format!("{value:?} is longer than {max:?}"));
        }
        let BackoffOptions { first, max } = self.backoff;
        if max < first {
            return wrong("backoff", format!("max {max:?} is shorter than first {first:?}"));
        }
        Ok(())
    }

    /// The largest message that is taken: one that a node takes and that fits the queue.
    pub(crate) fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX.min(self.queue_bytes_max)
    }
}

#[cfg(test)]
mod tests;
