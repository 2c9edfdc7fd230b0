//! The binary door: calls over TCP, each one a submit or a query. Frames, hello, deadlines and
//! slow clients are `rpc`'s.
//!
//! Invariants:
//! - a submit's messages are copied once on this core, from the connection's buffer into their records;
//! - what a client may have under way is bounded: beyond [`SUBMITS_BYTES_MAX`] and [`QUERIES_MAX`] a
//!   call is answered `overloaded` at once, and the log bounds what all clients of a core have.

use crate::{Backend, Doors};
use api::{ApiError, Method, Request, Response};
use engine::{LineResult, Origin, Submission, SubmitResults};
use rpc::{Call, Reply, Service, error_reply};
use runtime::TaskSet;
use smallvec::SmallVec;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use telemetry::Traceparent;
use wire::{
    Answer, ErrorReply, Kind, Message as _, MessageError, Query, QueryResult, Submit, words,
    write_submit_response,
};

/// Submits of one connection whose outcome is not known yet. Unit: bytes. At 300,000 messages of
/// 256 bytes a second and 20 ms until they are durable, 1.5 MiB are under way; eight times that
/// leaves room for a slow disk, and four such clients fit what the log takes from one core.
pub(crate) const SUBMITS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Queries of one connection that are being answered. An answer may be large, and events are waited
/// for.
pub(crate) const QUERIES_MAX: usize = 64;

const _: () = assert!(
    SUBMITS_BYTES_MAX == 8 << 20 && QUERIES_MAX == 64,
    "answers and docs/API.md name the bounds"
);

/// Messages of a submit that are listed without an allocation.
const MESSAGES_USUAL: usize = 64;

/// What answers the calls of one connection.
pub(crate) struct Connection<B> {
    doors: Doors<B>,
    submits: Rc<Cell<usize>>,
    queries: Rc<Cell<usize>>,
    /// Queries that wait for their answer. They end with the connection.
    waiting: TaskSet,
}

impl<B: Backend> Connection<B> {
    pub(crate) fn new(doors: &Doors<B>) -> Self {
        Self {
            doors: doors.clone(),
            submits: Rc::default(),
            queries: Rc::default(),
            waiting: TaskSet::new(),
        }
    }

    fn submit(&self, call: &Call<'_>, reply: Reply) {
        let submit = match Submit::decode(call.payload) {
            Ok(submit) => submit,
            Err(error) => return fail_bad(reply, &error),
        };
        let origin = match (submit.producer, submit.key) {
            (0, "") => Origin::None,
            (0, key) => Origin::Key(key),
            (producer, "") => Origin::Producer { producer, sequence: submit.sequence },
            _ => {
                let detail = "the submit has a key and a producer";
                let hint = "send one of them: either tells repeats from new messages";
                return reply.fail(&error_reply(words::BAD_MESSAGE, detail, hint));
            }
        };
        let Some(share) = Share::take(&self.submits, call.payload.len(), SUBMITS_BYTES_MAX) else {
            let detail = "8 MiB of this connection's submits have no outcome yet";
            return fail_overloaded(reply, detail);
        };
        let messages: SmallVec<[&[u8]; MESSAGES_USUAL]> = submit.messages.iter().collect();
        let trace = self.doors.trace(traceparent(call));
        let submission = Submission { origin, messages: &messages, trace };
        self.doors.backend.submit(
            &submission,
            Box::new(move |results| {
                drop(share);
                answer_submit(reply, &results);
            }),
        );
    }

    fn query(&self, call: &Call<'_>, reply: Reply) {
        let query = match Query::decode(call.payload) {
            Ok(query) => query,
            Err(error) => return fail_bad(reply, &error),
        };
        let Some(share) = Share::take(&self.queries, 1, QUERIES_MAX) else {
            let detail = "64 queries of this connection are being answered";
            return fail_overloaded(reply, detail);
        };
        let (path, parameters) = query.path.split_once('?').unwrap_or((query.path, ""));
        let route = match api::route(Method::Get, path, parameters) {
            Ok(route) => route,
            Err(error) => return answer_query(reply, &error.to_response()),
        };
        let request = Request {
            method: Method::Get,
            path,
            query: parameters,
            content_type: None,
            idempotency_key: None,
            by: None,
            trace: None,
            body: b"",
        };
        let response = self.doors.backend.request(&route, &request);
        self.waiting.spawn(async move {
            // Nothing comes when the core ends meanwhile: then the reply says that by itself.
            if let Ok(response) = response.await {
                answer_query(reply, &response);
            }
            drop(share);
        });
    }
}

impl<B: Backend> Service for Connection<B> {
    fn on_call(&self, call: Call<'_>, reply: Reply) {
        match call.kind {
            Kind::SUBMIT => self.submit(&call, reply),
            Kind::QUERY => self.query(&call, reply),
            _ => reply.fail_unknown(),
        }
    }
}

/// A connection's share of what it may have under way; given back when dropped.
struct Share {
    taken: Rc<Cell<usize>>,
    amount: usize,
}

impl Share {
    fn take(taken: &Rc<Cell<usize>>, amount: usize, most: usize) -> Option<Self> {
        let sum = taken.get() + amount;
        (sum <= most).then(|| {
            taken.set(sum);
            Self { taken: Rc::clone(taken), amount }
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - self.amount);
    }
}

/// A frame carries a context only when its sender records the trace.
fn traceparent(call: &Call<'_>) -> Traceparent {
    call.trace.map_or(Traceparent::Absent, Traceparent::Sampled)
}

fn answer_submit(reply: Reply, results: &SubmitResults) {
    match results {
        SubmitResults::Refused(error) => reply.fail(&refusal(error)),
        SubmitResults::Lines(lines) => {
            let answers = lines.iter().map(answer);
            reply.send(Kind::RESPONSE, |out| write_submit_response(out, answers));
        }
    }
}

fn answer(line: &LineResult) -> Answer<'_, &[Arc<str>]> {
    match line {
        LineResult::Accepted { id, workflows } => Answer::Accepted { id: id.0, workflows },
        LineResult::Duplicate { id, workflows } => Answer::Duplicate { id: id.0, workflows },
        LineResult::Conflict { id } => Answer::Conflict { id: id.0 },
        LineResult::Refused(error) => {
            let ErrorReply { code, detail, hint, retry_after_ms, .. } = refusal(error);
            Answer::Refused { code, detail, hint, retry_after_ms }
        }
    }
}

/// A refusal of the REST API, as a frame says it.
fn refusal(error: &ApiError) -> ErrorReply<'_> {
    let retry_after_ms = error.retry_after_seconds.unwrap_or(0).saturating_mul(1_000);
    ErrorReply { retry_after_ms, ..error_reply(error.code.as_str(), &error.detail, &error.hint) }
}

fn answer_query(reply: Reply, response: &Response) {
    let result = QueryResult {
        status: response.status,
        content_type: response.content_type.as_str(),
        body: &response.body,
    };
    reply.send(Kind::QUERY_RESULT, |out| result.encode(out));
}

fn fail_bad(reply: Reply, error: &MessageError) {
    let detail = error.to_string();
    let hint = "compare the versions of both programs; docs/WIRE.md has every field";
    reply.fail(&error_reply(words::BAD_MESSAGE, &detail, hint));
}

fn fail_overloaded(reply: Reply, detail: &str) {
    let hint = "wait for answers before you send more on this connection";
    let error = error_reply(words::OVERLOADED, detail, hint);
    reply.fail(&ErrorReply { retry_after_ms: RETRY_AFTER_MS, ..error });
}

/// What a client that has too much under way is told to wait. Unit: milliseconds. Some commits.
const RETRY_AFTER_MS: u32 = 100;

#[cfg(test)]
mod tests;
