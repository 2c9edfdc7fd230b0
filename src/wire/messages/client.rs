//! What clients and nodes say to each other.

use crate::list::List;
use crate::message::{FieldType, MessageError, Record, message, part};
use crate::tlv::writer::{begin_element, begin_field, end, length, put_element};
use crate::tlv::{COUNT_BYTES, ELEMENT_BYTES, FIELD_BYTES, Fault, Type};
use base::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, KEY_BYTES_MAX};

/// The bodies of a submit.
pub type Messages<'a> = List<'a, &'a [u8]>;

/// What a submit's own fields take at most, its bodies not counted: four fields, a key and the
/// array's count. Unit: bytes.
const SUBMIT_FIELDS_BYTES: usize = 4 * FIELD_BYTES + 8 + 8 + KEY_BYTES_MAX + COUNT_BYTES;

/// The largest payload of a submit that is within the limits. Unit: bytes.
pub const SUBMIT_BYTES_MAX: usize =
    BATCH_BYTES_MAX + BATCH_MESSAGES_MAX * ELEMENT_BYTES + SUBMIT_FIELDS_BYTES;

message! {
    /// Messages for the log. All of them are durable together, or none is.
    pub struct Submit<'a>: SUBMIT = "submit" {
        /// Who numbers its messages, so that a repeat is known; 0 for nobody.
        1 producer: u64 = 0,
        /// The number of the first message, counted from 1; the others follow it. 0 without
        /// a producer.
        2 sequence: u64 = 0,
        /// The idempotency key of a single message, or `KEY#i` of the i-th of several, counted from 1.
        /// Empty for none, and with a producer.
        3 key: &'a str = "",
        /// The bodies, JSON each. At most 1,000 with together 1 MiB.
        4 messages: Messages<'a>,
    }
    check = check_submit
}

fn check_submit(submit: &Submit<'_>) -> Result<(), MessageError> {
    let error = |field, fault| Err(MessageError { record: Submit::NAME, field, fault });
    let count = submit.messages.len();
    if count > BATCH_MESSAGES_MAX {
        return error("messages", Fault::TooMany { count, count_max: BATCH_MESSAGES_MAX });
    }
    let bytes = submit.messages.bytes();
    if bytes > BATCH_BYTES_MAX {
        return error("messages", Fault::TooLong { bytes, bytes_max: BATCH_BYTES_MAX });
    }
    if (submit.producer == 0) != (submit.sequence == 0) {
        let expected = if submit.producer == 0 {
            "0 without a producer"
        } else {
            "at least 1 with a producer"
        };
        return error("sequence", Fault::Value { found: submit.sequence, expected });
    }
    Ok(())
}

/// Writes a [`Submit`] whose messages come one by one, straight into a frame.
#[derive(Debug)]
pub struct SubmitWriter<'o> {
    out: &'o mut Vec<u8>,
    array_at: usize,
    count: usize,
}

impl<'o> SubmitWriter<'o> {
    /// Begins the payload at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>, producer: u64, sequence: u64, key: &str) -> Self {
        let head = Submit { producer, sequence, key, messages: List::EMPTY };
        head.write_fields(out);
        // The array is the last field: it is taken off again and begun.
        out.truncate(out.len() - FIELD_BYTES - COUNT_BYTES);
        let array_at = begin_field(out, MESSAGES_TAG, Type::Array);
        out.extend_from_slice(&[0; COUNT_BYTES]);
        Self { out, array_at, count: 0 }
    }

    /// Appends a message.
    #[inline]
    pub fn push(&mut self, message: &[u8]) {
        put_element(self.out, Type::Bytes, message);
        self.count += 1;
    }

    /// Ends the payload. Returns how many messages it has.
    pub fn finish(self) -> usize {
        self.out[self.array_at..][..COUNT_BYTES].copy_from_slice(&length(self.count).to_be_bytes());
        end(self.out, self.array_at);
        self.count
    }
}

/// The tag of [`Submit::messages`].
const MESSAGES_TAG: u16 = 4;

const _: () = {
    let fields = Submit::FIELDS;
    assert!(fields[fields.len() - 1].tag == MESSAGES_TAG, "the messages are the last field");
};

message! {
    /// What became of the messages of a [`Submit`], in its order.
    pub struct SubmitResponse<'a>: RESPONSE = "response" {
        /// One byte each: 0 accepted, 1 duplicate, 2 conflict, 3 refused.
        1 outcomes: &'a [u8],
        /// Eight bytes each, big-endian: the message's id, or that of the first message with this key
        /// or sequence; 0 when refused.
        2 ids: &'a [u8],
        /// Of those messages that started workflows, by rising index.
        3 workflows: List<'a, Started<'a>> = List::EMPTY,
        /// Of exactly those messages that were refused, by rising index.
        4 refusals: List<'a, Refusal<'a>> = List::EMPTY,
    }
    check = check_response
}

part! {
    /// The workflows that a message started.
    pub struct Started<'a> = "response.started" {
        /// Which message, counted from 0.
        1 index: u32,
        /// The workflows' names.
        2 names: List<'a, &'a str>,
    }
}

part! {
    /// Why a message was refused.
    pub struct Refusal<'a> = "response.refusal" {
        /// Which message, counted from 0.
        1 index: u32,
        /// A stable word, as in an error.
        2 code: &'a str,
        /// What happened, for people.
        3 detail: &'a str = "",
        /// What to do next, for people.
        4 hint: &'a str = "",
        /// When to try again. Unit: milliseconds. 0: nothing is known.
        5 retry_after_ms: u32 = 0,
    }
}

const ACCEPTED: u8 = 0;
const DUPLICATE: u8 = 1;
const CONFLICT: u8 = 2;
const REFUSED: u8 = 3;

/// What an id takes. Unit: bytes.
const ID_BYTES: usize = 8;

fn check_response(response: &SubmitResponse<'_>) -> Result<(), MessageError> {
    let error = |field, fault| Err(MessageError { record: SubmitResponse::NAME, field, fault });
    let value = |found: usize, expected| Fault::Value { found: found as u64, expected };
    let SubmitResponse { outcomes, ids, workflows, refusals } = response;
    if ids.len() != outcomes.len() * ID_BYTES {
        let fault = Fault::Length { bytes: ids.len(), expected: outcomes.len() * ID_BYTES };
        return error("ids", fault);
    }
    if let Some(unknown) = outcomes.iter().find(|outcome| **outcome > REFUSED) {
        return error("outcomes", value(usize::from(*unknown), "0 to 3"));
    }
    let mut from = 0;
    for started in workflows {
        let index = started.index as usize;
        if index < from || outcomes.get(index).is_none_or(|outcome| *outcome == REFUSED) {
            return error("workflows", value(index, "a later message that was not refused"));
        }
        from = index + 1;
    }
    let refused = outcomes.iter().enumerate().filter(|(_, outcome)| **outcome == REFUSED);
    let refused = refused.map(|(index, _)| index);
    if !refused.eq(refusals.iter().map(|refusal| refusal.index as usize)) {
        return error("refusals", value(refusals.len(), "one for each refused message, in order"));
    }
    Ok(())
}

/// What became of one message. `W` are the names of the workflows that it started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a, W> {
    /// It is in the log.
    Accepted {
        /// Its id.
        id: u64,
        /// What it started.
        workflows: W,
    },
    /// It came before.
    Duplicate {
        /// The first one's id.
        id: u64,
        /// What the first one started.
        workflows: W,
    },
    /// Its key or sequence came before, with another body.
    Conflict {
        /// The first one's id.
        id: u64,
    },
    /// It is not in the log.
    Refused {
        /// A stable word.
        code: &'a str,
        /// What happened.
        detail: &'a str,
        /// What to do next.
        hint: &'a str,
        /// Unit: milliseconds. 0: nothing is known.
        retry_after_ms: u32,
    },
}

impl<W> Answer<'_, W> {
    fn outcome(&self) -> u8 {
        match self {
            Self::Accepted { .. } => ACCEPTED,
            Self::Duplicate { .. } => DUPLICATE,
            Self::Conflict { .. } => CONFLICT,
            Self::Refused { .. } => REFUSED,
        }
    }

    /// The id of the message, or of the first one like it; none when it was refused.
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Accepted { id, .. } | Self::Duplicate { id, .. } | Self::Conflict { id } => {
                Some(*id)
            }
            Self::Refused { .. } => None,
        }
    }
}

/// Appends the payload of a [`SubmitResponse`] with these answers, in the order of the messages.
/// Nothing is gathered first: the answers are gone through once per field.
pub fn write_submit_response<'a, W>(
    out: &mut Vec<u8>,
    answers: impl Iterator<Item = Answer<'a, W>> + Clone,
) where
    W: IntoIterator<Item: AsRef<str>, IntoIter: Clone>,
{
    let index = |index: usize| u32::try_from(index).expect("a batch has at most 1,000 messages");
    let outcomes = begin_field(out, 1, Type::Bytes);
    out.extend(answers.clone().map(|answer| answer.outcome()));
    end(out, outcomes);

    let ids = begin_field(out, 2, Type::Bytes);
    for answer in answers.clone() {
        out.extend_from_slice(&answer.id().unwrap_or(0).to_be_bytes());
    }
    end(out, ids);

    write_parts(out, 3, |out| {
        let mut count = 0;
        for (at, answer) in answers.clone().enumerate() {
            let (Answer::Accepted { workflows, .. } | Answer::Duplicate { workflows, .. }) = answer
            else {
                continue;
            };
            count += usize::from(write_started(out, index(at), workflows.into_iter()));
        }
        count
    });
    write_parts(out, 4, |out| {
        let mut count = 0;
        for (at, answer) in answers.enumerate() {
            let Answer::Refused { code, detail, hint, retry_after_ms } = answer else { continue };
            Refusal { index: index(at), code, detail, hint, retry_after_ms }.write_element(out);
            count += 1;
        }
        count
    });
}

/// Appends an array, unless `elements` writes none. It returns how many.
fn write_parts(out: &mut Vec<u8>, tag: u16, elements: impl FnOnce(&mut Vec<u8>) -> usize) {
    let start = out.len();
    let array = begin_field(out, tag, Type::Array);
    out.extend_from_slice(&[0; COUNT_BYTES]);
    let count = elements(out);
    if count == 0 {
        out.truncate(start);
        return;
    }
    out[array..][..COUNT_BYTES].copy_from_slice(&length(count).to_be_bytes());
    end(out, array);
}

/// Appends a [`Started`] with these names, unless there is none.
fn write_started(
    out: &mut Vec<u8>,
    index: u32,
    mut names: impl Iterator<Item: AsRef<str>> + Clone,
) -> bool {
    if names.clone().next().is_none() {
        return false;
    }
    let element = begin_element(out, Type::Map);
    index.write_field(1, out);
    write_parts(out, 2, |out| {
        let mut count = 0;
        names.by_ref().for_each(|name| {
            put_element(out, Type::String, name.as_ref().as_bytes());
            count += 1;
        });
        count
    });
    end(out, element);
    true
}

impl<'a> SubmitResponse<'a> {
    /// How many messages are answered.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The answers, in the order of the messages.
    pub fn answers(&self) -> impl Iterator<Item = Answer<'a, List<'a, &'a str>>> + Clone + use<'a> {
        let ids = self.ids.as_chunks::<ID_BYTES>().0.iter().map(|id| u64::from_be_bytes(*id));
        let mut workflows = self.workflows.iter().peekable();
        let mut refusals = self.refusals.iter();
        self.outcomes.iter().zip(ids).enumerate().map(move |(index, (outcome, id))| {
            let started = workflows.next_if(|started| started.index as usize == index);
            let workflows = started.map_or(List::EMPTY, |started| started.names);
            match *outcome {
                ACCEPTED => Answer::Accepted { id, workflows },
                DUPLICATE => Answer::Duplicate { id, workflows },
                CONFLICT => Answer::Conflict { id },
                _ => {
                    let refusal = refusals.next().expect("every refused message has its refusal");
                    let Refusal { code, detail, hint, retry_after_ms, .. } = refusal;
                    Answer::Refused { code, detail, hint, retry_after_ms }
                }
            }
        })
    }
}

message! {
    /// Reads what a GET of the HTTP API reads.
    pub struct Query<'a>: QUERY = "query" {
        /// The path with its query string, as in `/api/v1/workflows?limit=10`.
        1 path: &'a str,
    }
}

message! {
    /// What the HTTP API would answer.
    pub struct QueryResult<'a>: QUERY_RESULT = "query_result" {
        /// The HTTP status.
        1 status: u16,
        /// The body's media type.
        2 content_type: &'a str = "",
        /// The body.
        3 body: &'a [u8] = b"",
    }
}

#[cfg(test)]
mod tests;
