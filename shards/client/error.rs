//! What can go wrong, and what is known about the message when it has.

use base::MessageId;
use std::time::Duration;

/// Why a submit or a query has no good result.
///
/// For a submit there are two kinds, told apart by [`ClientError::is_in_doubt`]: either it is certain
/// that the message was not accepted, or nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The options contradict each other or a limit.
    #[error("option `{option}`: {what}")]
    Options {
        /// The option's name.
        option: &'static str,
        /// What is wrong with its value.
        what: String,
    },
    /// The driver could not be set up: no thread, no descriptor, no random numbers.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: String,
    },
    /// No address could be reached while connecting. Nothing was sent.
    #[error("no node can be reached; {address}: {trouble}")]
    Unreachable {
        /// The address that was tried last.
        address: String,
        /// What happened there.
        trouble: Trouble,
    },
    /// The message is larger than any node takes. It was not sent.
    #[error("the message has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit: [`base::limits::MESSAGE_BYTES_MAX`], or less when the options say so.
        bytes_max: usize,
    },
    /// Too much waits already and the options say not to wait. The message was not taken.
    #[error("{messages} messages of together {bytes} bytes wait already")]
    QueueFull {
        /// Messages without a result.
        messages: usize,
        /// Their bodies.
        bytes: usize,
    },
    /// The node refused it for good, or every time until the client gave up. It was not accepted.
    #[error("refused ({code}): {detail}; {hint}")]
    Refused {
        /// A stable word, as in docs/API.md.
        code: String,
        /// What happened, with the values.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// Another client uses the same producer: its message has this one's number. This message was
    /// not accepted.
    #[error(
        "sequence {sequence} of producer {producer:016x} is message {first}, with another body"
    )]
    Conflict {
        /// The producer.
        producer: u64,
        /// The number that was taken already.
        sequence: u64,
        /// The message that has it.
        first: MessageId,
    },
    /// The client gave up before it could send the message once. It was not accepted.
    #[error("not sent within {after:?}{}", because(trouble.as_ref()))]
    NotSent {
        /// The time that the options give a message.
        after: Duration,
        /// What went wrong last.
        trouble: Option<Trouble>,
    },
    /// The message was sent and its fate is not known: it may have been accepted, now or later, once.
    /// It was not sent again under another number.
    #[error(
        "sent {attempts} times as sequence {sequence} of producer {producer:016x}, its fate is not \
         known{}",
        because(trouble.as_ref())
    )]
    Unknown {
        /// The producer under which it was sent.
        producer: u64,
        /// Its number.
        sequence: u64,
        /// How often it was sent, always under this number.
        attempts: u32,
        /// What went wrong last.
        trouble: Option<Trouble>,
    },
    /// The client was closed before it sent the message or got an answer to the query.
    #[error("the client was closed")]
    Closed,
    /// The client's own thread has failed, which is an error in this crate. The message may have been
    /// accepted.
    #[error("the client's own thread has failed")]
    Broken,
    /// A query had no answer in time.
    #[error("the query had no answer within {after:?}{}", because(trouble.as_ref()))]
    NoAnswer {
        /// The time that the options give a query.
        after: Duration,
        /// What went wrong last.
        trouble: Option<Trouble>,
    },
}

fn because(trouble: Option<&Trouble>) -> String {
    trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default()
}

impl ClientError {
    /// Whether the message may have been accepted all the same. When false, it certainly was not.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Broken)
    }
}

/// What ended a connection, or kept it from coming about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The name has no address.
    #[error("cannot look the name up: {error}")]
    Lookup {
        /// What the resolver said.
        error: String,
    },
    /// The system reported an error.
    #[error("{error}")]
    Io {
        /// What the system said.
        error: String,
    },
    /// The node closed the connection.
    #[error("the node closed the connection")]
    Closed,
    /// The connection did not come about, hello included, in time.
    #[error("no connection within {after:?}")]
    ConnectTimeout {
        /// The time that the options give.
        after: Duration,
    },
    /// A call had no answer in time, so the connection was given up.
    #[error("no answer within {after:?}")]
    AnswerTimeout {
        /// The time that the options give.
        after: Duration,
    },
    /// The node speaks only other versions of the protocol.
    #[error("it speaks versions {theirs_min} to {theirs_max} of the protocol, this client {ours}")]
    Version {
        /// The node's oldest.
        theirs_min: u8,
        /// The node's newest.
        theirs_max: u8,
        /// This client's.
        ours: u8,
    },
    /// The node refused the connection.
    #[error("refused ({code}): {detail}; {hint}")]
    Refused {
        /// A stable word.
        code: String,
        /// What happened.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// What came is not the protocol.
    #[error("what came is not the protocol: {what}")]
    Protocol {
        /// What is wrong.
        what: String,
    },
}
