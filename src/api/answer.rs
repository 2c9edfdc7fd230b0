//! The answers to submissions: the hot ones, written straight into a reused buffer.

use crate::ApiError;
use crate::json::{self, write_string};
use base::MessageId;

/// What became of a submitted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted and durable.
    Accepted,
    /// Accepted before, under the same idempotency key: the answer is the first one's.
    Duplicate,
    /// Refused: its idempotency key belongs to the named message, whose body differs. Only a line of
    /// a batch is answered like this; a single message is refused with 422.
    Conflict,
}

impl Outcome {
    /// Its name in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
        }
    }
}

/// Writes a message's id as its 16 hexadecimal digits.
pub fn write_message_id(out: &mut Vec<u8>, id: MessageId) {
    let mut digits = [0; 16];
    let mut rest = id.0;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::from(u8::try_from(rest & 15).expect("four bits"))];
        rest >>= 4;
    }
    out.extend_from_slice(&digits);
}

/// Writes the body of the answer to one message:
/// `{"message_id":"…","status":"accepted","workflows_triggered":["fraud_check"]}`. The status is 202
/// for an accepted message and for a duplicate, so that a client that repeats itself need not tell
/// the two apart.
pub fn write_answer(
    out: &mut Vec<u8>,
    id: MessageId,
    outcome: Outcome,
    workflows: impl IntoIterator<Item = impl AsRef<str>>,
) {
    out.extend_from_slice(b"{\"message_id\":\"");
    write_message_id(out, id);
    out.extend_from_slice(b"\",\"status\":\"");
    out.extend_from_slice(outcome.as_str().as_bytes());
    out.extend_from_slice(b"\",\"workflows_triggered\":[");
    for (at, workflow) in workflows.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(out, workflow.as_ref());
    }
    out.extend_from_slice(b"]}");
}

/// Writes the body of the answer to a batch, `{"results":[…]}`: one answer per message, in the order
/// of the request.
#[derive(Debug)]
pub struct BatchAnswer<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> BatchAnswer<'a> {
    /// Begins an answer at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"results\":[");
        Self { out, first: true }
    }

    /// The next message's answer.
    pub fn push(
        &mut self,
        id: MessageId,
        outcome: Outcome,
        workflows: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_answer(self.out, id, outcome, workflows);
    }

    /// The next message was not accepted, though the others may have been:
    /// `{"status":"refused","error":…,"detail":…,"hint":…}`.
    pub fn push_refused(&mut self, error: &ApiError) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        json::object(self.out, |o| {
            o.text("status", "refused");
            o.text("error", error.code.as_str());
            o.text("detail", &error.detail);
            o.text("hint", &error.hint);
        });
    }

    /// Ends the answer.
    pub fn finish(self) {
        self.out.extend_from_slice(b"]}");
    }
}

#[cfg(test)]
mod tests;
