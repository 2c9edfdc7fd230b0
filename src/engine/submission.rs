//! What a client submits, and what it is told.

use crate::partition::Workflows;
use api::ApiError;
use base::MessageId;
use smallvec::SmallVec;
use telemetry::TraceContext;

/// How repeats of a submission are told from new messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// They are not: each is a new message.
    None,
    /// By an idempotency key. Of several messages the one at place i, from 1, has the key `KEY#i`.
    Key(&'a str),
    /// By their numbers at a producer, which counts its messages.
    Producer {
        /// The producer, drawn at random by the client; not 0.
        producer: u64,
        /// The number of the first message, from 1; the others follow.
        sequence: u64,
    },
}

/// Messages that a client submits together: all of them are taken, or none.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Who names the messages.
    pub origin: Origin<'a>,
    /// The messages: each a JSON object, which is checked. At most
    /// [`base::limits::BATCH_MESSAGES_MAX`], of [`base::limits::BATCH_BYTES_MAX`] together.
    pub messages: &'a [&'a [u8]],
    /// The span that what the messages cause belongs below, when somebody records it.
    pub trace: Option<TraceContext>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitResults {
    /// None of it was taken.
    Refused(ApiError),
    /// What became of each message, in their order.
    Lines(SmallVec<[LineResult; 1]>),
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineResult {
    /// It is durable and applied.
    Accepted {
        /// Its id.
        id: MessageId,
        /// The workflows that it started, in order.
        workflows: Workflows,
    },
    /// It came before.
    Duplicate {
        /// The first one's id.
        id: MessageId,
        /// The workflows that the first one started.
        workflows: Workflows,
    },
    /// Another message came before under the same name.
    Conflict {
        /// That one's id.
        id: MessageId,
    },
    /// It was not taken. Apart, as an error is large and rare.
    Refused(Box<ApiError>),
}
