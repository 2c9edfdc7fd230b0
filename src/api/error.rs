//! Refusals. A program goes by `error`, a person reads `detail` and does what `hint` says.
//!
//! Invariants:
//! - a code has one status, and one name that never changes;
//! - `detail` says what happened with the values, `hint` what to do next.

use crate::json::{self, Object};
use crate::response::{ContentType, Response};
use base::{MessageId, limits};
use std::borrow::Cow;
use std::fmt;

/// How much of a client's own text an error repeats. Unit: characters. Enough to recognise it, too
/// little to be of use as an amplifier.
const QUOTE_CHARS_MAX: usize = 120;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $text:literal, $hint:literal;)*) => {
        /// Why a request was refused: the stable part of an [`ApiError`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code there is, for documents and tests.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The code's name in an answer.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// What helps against it when nothing more is known.
            pub fn hint(self) -> &'static str {
                match self { $(Code::$name => $hint,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    BadJson = 400 "bad_json", "send one JSON object in UTF-8";
    /// The body is JSON, but not an object.
    NotAnObject = 400 "not_an_object", "a message is a JSON object, as in {\"event_type\":\"payment_received\"}";
    /// A batch holds no message.
    EmptyBatch = 400 "empty_batch", "send one JSON object per line (NDJSON), or a JSON array of objects";
    /// An id in the path does not have the form of one.
    BadId = 400 "bad_id", "use an id as an answer gave it";
    /// The query string is wrong.
    BadQuery = 400 "bad_query", "look at the names and values after the `?`";
    /// The idempotency key is empty or holds bytes that are not printable ASCII.
    BadKey = 400 "bad_key", "use 1 to 256 printable ASCII characters as Idempotency-Key";
    /// The idempotency key is too long.
    KeyTooLong = 400 "key_too_long", "use a shorter Idempotency-Key, a UUID for example";
    /// A rule file has faults; they are listed.
    InvalidRule = 400 "invalid_rule", "correct what `faults` lists; `distric-admin rules check FILE` finds the same without a node";
    /// A workflow definition has faults; they are listed.
    InvalidDefinition = 400 "invalid_definition", "correct what `faults` lists; `distric-admin definitions check FILE` finds the same without a node";
    /// The id in the path is not the id in the body.
    IdMismatch = 400 "id_mismatch", "give the path and the body the same id";
    /// The HTTP request itself is broken.
    BadRequest = 400 "bad_request", "send a well-formed HTTP/1.1 request";
    /// There is no such path.
    UnknownPath = 404 "unknown_path", "paths begin with /api/v1/messages, /api/v1/workflows, /api/v1/rules, /api/v1/definitions, /api/v1/events, /api/v1/log, /api/v1/cluster, /metrics or /health/";
    /// There is no such thing, and never was.
    UnknownId = 404 "unknown_id", "look the id up in a list, or in the answer that named it";
    /// The path exists, the method does not.
    MethodNotAllowed = 405 "method_not_allowed", "use a method that the Allow header names";
    /// The client took too long to send its request.
    RequestTimeout = 408 "request_timeout", "send the whole request at once";
    /// The thing cannot be done in the state that it is in.
    WrongState = 409 "wrong_state", "look at its status first";
    /// The producer's sequence is below what is remembered of it.
    SequenceTooOld = 409 "sequence_too_old", "whether it was taken is no longer known: look for its effects, then send it under a new producer id if it is missing";
    /// A producer that is not known begins in the middle.
    UnknownProducer = 409 "unknown_producer", "begin under a new producer id with sequence 1; what had no answer may have been taken: look for its effects first";
    /// Something else still needs it.
    InUse = 409 "in_use", "remove what needs it first";
    /// There was such a thing; it is no longer kept.
    Gone = 410 "gone", "it has ended and was dropped to keep memory bounded; a larger retention keeps more";
    /// The body is larger than allowed.
    TooLarge = 413 "too_large", "send less at once";
    /// The content type is none that is understood here.
    UnsupportedMediaType = 415 "unsupported_media_type", "send Content-Type: application/json, in UTF-8";
    /// The same idempotency key came before with another body.
    KeyConflict = 422 "key_conflict", "use a new Idempotency-Key for a new message, or repeat the first body exactly";
    /// More is asked than the node can take just now.
    Overloaded = 429 "overloaded", "wait as long as Retry-After says, then send again";
    /// The table of idempotency keys is full.
    KeysFull = 429 "keys_full", "wait as long as Retry-After says; keys are forgotten some time after their last use";
    /// Something went wrong in the node itself.
    Internal = 500 "internal", "look into the node's log";
    /// The language knows it, this version does not run it.
    NotSupported = 501 "not_supported", "leave it out until a version supports it";
    /// The log's disk is full.
    NoSpace = 503 "no_space", "free space in the data directory's file system; reads are still served";
    /// The node is stopping.
    Stopping = 503 "stopping", "send to another node, or again once it is back";
    /// The node is not yet ready.
    Starting = 503 "starting", "wait until /health/ready answers 200";
    /// No leader is known who could take it.
    NoLeader = 503 "no_leader", "wait as long as Retry-After says, then send again";
    /// No worker could say whether a plugin takes its configuration.
    NotValidated = 503 "not_validated", "start a worker that has the plugin (`distric-admin workers list` shows what there is), or wait as long as Retry-After says, then send it again";
    /// The node has not applied all that the answer must hold.
    Behind = 503 "behind", "ask another node, or wait as long as Retry-After says and ask again";
    /// Whether it was taken is not known.
    OutcomeUnknown = 503 "outcome_unknown", "it may have been taken: with the same Idempotency-Key, or the same producer and sequence, it is safe to send it again";
}

/// One fault of a rule or workflow file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The file, where there is one.
    pub file: Option<String>,
    /// The line, counted from 1; 0 when the place is not known.
    pub line: u32,
    /// The column, counted from 1; 0 when the place is not known.
    pub column: u32,
    /// What is wrong.
    pub what: String,
    /// What was expected, or what to do.
    pub hint: Option<String>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct ApiError {
    /// The stable part.
    pub code: Code,
    /// What happened, with the values.
    pub detail: Cow<'static, str>,
    /// What to do next.
    pub hint: Cow<'static, str>,
    /// The line of a batch that is at fault, counted from 1.
    pub line: Option<u32>,
    /// What is wrong with a file, one by one.
    pub faults: Vec<Fault>,
    /// When to try again. Unit: seconds.
    pub retry_after_seconds: Option<u32>,
    /// The methods that the path knows.
    pub allow: Option<&'static str>,
}

impl ApiError {
    /// A refusal with the hint that goes with its code.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: Cow::Borrowed(code.hint()),
            line: None,
            faults: Vec::new(),
            retry_after_seconds: None,
            allow: None,
        }
    }

    /// The same with another hint.
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same, at fault being one line of a batch.
    pub fn at_line(mut self, line: u32) -> Self {
        self.detail = Cow::Owned(format!("line {line}: {}", self.detail));
        self.line = Some(line);
        self
    }

    /// The same with the time after which another try makes sense.
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// A rule or definition with `faults`.
    pub fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }

    /// A body larger than the `bytes_max` allowed.
    pub fn too_large(bytes: usize, bytes_max: usize) -> Self {
        let detail = format!("the body has {bytes} bytes, at most {bytes_max} are allowed");
        Self::new(Code::TooLarge, detail)
    }

    /// A body of unknown length that passed the `bytes_max` allowed.
    pub fn larger_than(bytes_max: usize) -> Self {
        Self::new(Code::TooLarge, format!("the body has more than {bytes_max} bytes"))
    }

    /// There is no `kind` (message, rule …) `id`.
    pub fn unknown_id(kind: &str, id: impl fmt::Display) -> Self {
        Self::new(Code::UnknownId, format!("there is no {kind} `{}`", quoted(&id.to_string())))
    }

    /// There was a `kind` `id`, and it is no longer kept.
    pub fn gone(kind: &str, id: impl fmt::Display) -> Self {
        Self::new(Code::Gone, format!("the {kind} `{id}` has ended and is no longer kept"))
    }

    /// `key` was used before, by `first`, with another body.
    pub fn key_conflict(key: &str, first: MessageId) -> Self {
        let detail = format!("the key `{key}` belongs to message {first}, whose body differs");
        Self::new(Code::KeyConflict, detail)
    }

    /// More is asked than the node can take just now.
    pub fn overloaded(detail: impl Into<Cow<'static, str>>, retry_after_seconds: u32) -> Self {
        Self::new(Code::Overloaded, detail).with_retry_after(retry_after_seconds)
    }

    /// The node stops and takes nothing new.
    pub fn stopping() -> Self {
        Self::new(Code::Stopping, "the node is stopping and takes nothing new").with_retry_after(1)
    }

    /// The body: `{"error":…,"detail":…,"hint":…}` and, where there are any, `line` and `faults`.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.text("error", self.code.as_str());
            o.text("detail", &self.detail);
            o.text("hint", &self.hint);
            if let Some(line) = self.line {
                o.number("line", u64::from(line));
            }
            if !self.faults.is_empty() {
                o.array("faults", |list| {
                    for fault in &self.faults {
                        list.object(|o| fault.write(o));
                    }
                });
            }
        });
    }

    /// The whole answer.
    pub fn to_response(&self) -> Response {
        let mut body = Vec::with_capacity(128 + self.detail.len() + self.hint.len());
        self.write(&mut body);
        Response {
            status: self.code.status(),
            content_type: ContentType::Json,
            retry_after_seconds: self.retry_after_seconds,
            allow: self.allow,
            body,
        }
    }
}

impl From<ApiError> for Response {
    fn from(error: ApiError) -> Self {
        error.to_response()
    }
}

impl Fault {
    fn write(&self, o: &mut Object<'_>) {
        o.text_if("file", self.file.as_deref());
        o.number("line", u64::from(self.line));
        o.number("column", u64::from(self.column));
        o.text("what", &self.what);
        o.text_if("hint", self.hint.as_deref());
    }
}

/// The beginning of a text that a client sent.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

const _: () = assert!(limits::KEY_BYTES_MAX == 256, "the hint of `bad_key` names the limit");

#[cfg(test)]
mod tests;
