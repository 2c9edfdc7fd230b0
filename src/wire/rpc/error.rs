//! Why a call has no answer that its caller wanted.

use std::time::Duration;

/// Why a call failed. [`CallError::is_unsent`] says whether it can have had an effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The deadline passed. The peer was told that nobody waits any more.
    #[error("no answer within {after:?}; whether the call had an effect is not known")]
    Timeout {
        /// The time that the caller gave.
        after: Duration,
    },
    /// No connection could be made.
    #[error("cannot connect: {reason}")]
    Refused {
        /// What the system, or the peer's greeting, said.
        reason: Box<str>,
    },
    /// The peer speaks another version of the protocol.
    #[error("the peer speaks version {theirs} of the protocol and this program version {ours}")]
    Version {
        /// The version that the peer named.
        theirs: u8,
        /// The version of this program.
        ours: u8,
    },
    /// The peer has too much to do; it did nothing for this call.
    #[error("the peer has too much to do: {detail}")]
    Overloaded {
        /// The peer's words.
        detail: Box<str>,
        /// How long the peer asks to wait before the next attempt; zero when it does not say.
        retry_after: Duration,
    },
    /// This side has too many calls under way to this peer, or too many bytes on their way to it.
    #[error("{what} to this peer are at their limit of {limit}")]
    Full {
        /// What is used up.
        what: &'static str,
        /// Its bound.
        limit: usize,
    },
    /// The call is larger than the peer takes.
    #[error("the call has {bytes} bytes, and the peer takes at most {bytes_max}")]
    TooLarge {
        /// Its payload.
        bytes: usize,
        /// What the peer said in its hello.
        bytes_max: usize,
    },
    /// The peer failed so often that it is left alone for a while.
    #[error("the peer failed repeatedly and is left alone for {retry_after:?} more")]
    BreakerOpen {
        /// How long still.
        retry_after: Duration,
    },
    /// The connection ended before the answer.
    #[error("the connection ended before the answer ({reason}){}", effect(*.sent))]
    Closed {
        /// Whether the peer may have got the call.
        sent: bool,
        /// How it ended.
        reason: Box<str>,
    },
    /// The peer did what no peer may; the connection was closed.
    #[error("the peer broke the protocol: {reason}")]
    Protocol {
        /// How.
        reason: Box<str>,
    },
    /// The peer answered with an error.
    #[error("{code}: {detail}")]
    Remote {
        /// A stable word.
        code: Box<str>,
        /// What happened, with the values.
        detail: Box<str>,
        /// What to do.
        hint: Box<str>,
        /// How long the peer asks to wait before another attempt; zero when it does not say.
        retry_after: Duration,
    },
}

fn effect(sent: bool) -> &'static str {
    if sent { "; whether the call had an effect is not known" } else { "; it was not sent" }
}

impl CallError {
    /// Whether it is certain that the peer did nothing because it never got the whole call.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Version { .. }
            | Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::BreakerOpen { .. }
            | Self::Closed { sent: false, .. } => true,
            Self::Timeout { .. }
            | Self::Overloaded { .. }
            | Self::Closed { sent: true, .. }
            | Self::Protocol { .. }
            | Self::Remote { .. } => false,
        }
    }

    /// Whether it speaks against the peer, as [`crate::rpc::Breaker`] counts it. An answer, even an
    /// unwelcome one, shows that the peer is there.
    pub fn is_failure_of_peer(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Refused { .. }
            | Self::Version { .. }
            | Self::Closed { .. }
            | Self::Protocol { .. } => true,
            Self::Overloaded { .. }
            | Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::BreakerOpen { .. }
            | Self::Remote { .. } => false,
        }
    }

    /// How long the peer, or the breaker, asks to be left alone; zero when nobody does.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Overloaded { retry_after, .. }
            | Self::BreakerOpen { retry_after }
            | Self::Remote { retry_after, .. } => *retry_after,
            _ => Duration::ZERO,
        }
    }

    /// The word under which it is counted: the label `error_type` of `rpc_errors_total`.
    pub fn error_type(&self) -> &str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::Version { .. } => "version",
            Self::Overloaded { .. } => "overloaded",
            Self::Full { .. } => "full",
            Self::TooLarge { .. } => "too_large",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Closed { .. } => "closed",
            Self::Protocol { .. } => "protocol",
            Self::Remote { .. } => "remote",
        }
    }
}
