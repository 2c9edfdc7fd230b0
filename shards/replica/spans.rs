//! Spans of the requests and calls that somebody records.
//!
//! ```text
//! receive                       a client's request, from its bytes to its answer
//!   rule_match                  its messages checked, matched and gathered
//!   commit                      from there until they are durable, applied and answered
//!   task                        each attempt that a workflow which they started makes outside
//! ```
//!
//! Invariants:
//! - what nobody records costs one branch;
//! - what is carried into the log, and further, is the span that is recorded here.

use api::Response;
use base::UnixMicros;
use engine::record::Ended;
use engine::{OrderId, SubmitResults};
use telemetry::{SpanBuffer, SpanKind, TraceContext};

/// A client's request under way.
pub(crate) struct Traced {
    parent: TraceContext,
    /// What is caused by the request belongs below this.
    pub(crate) own: TraceContext,
    what: &'static str,
    began: UnixMicros,
    gathered: UnixMicros,
}

impl Traced {
    pub(crate) fn begin(
        spans: &SpanBuffer,
        parent: Option<TraceContext>,
        what: &'static str,
        now: UnixMicros,
    ) -> Option<Box<Self>> {
        let parent = parent.filter(|_| spans.is_on())?;
        let own = spans.child(parent);
        Some(Box::new(Self { parent, own, what, began: now, gathered: now }))
    }

    /// The mind has seen it.
    pub(crate) fn gathered(&mut self, spans: &SpanBuffer, now: UnixMicros) {
        self.gathered = now;
        spans.push(spans.span(self.own, "rule_match").times(self.began, now));
    }

    /// It is answered.
    pub(crate) fn end(&self, spans: &SpanBuffer, now: UnixMicros, answer: Answer) {
        if answer == Answer::Taken {
            spans.push(spans.span(self.own, "commit").times(self.gathered, now));
        }
        let receive = spans.span_of(self.own, self.parent, "receive");
        let receive = receive.kind(SpanKind::Server).times(self.began, now);
        let receive = receive.with("distric.request", self.what);
        spans.push(match answer {
            Answer::Failed(code) => receive.failed(code),
            Answer::Taken | Answer::Refused => receive,
        });
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is in the log and applied.
    Taken,
    /// It was the client's mistake, or is to come again later.
    Refused,
    /// It was the node's fault.
    Failed(&'static str),
}

impl Answer {
    pub(crate) fn of_response(response: &Response) -> Self {
        match response.status {
            ..300 => Self::Taken,
            300..500 => Self::Refused,
            _ => Self::Failed("the request could not be served"),
        }
    }

    pub(crate) fn of_results(results: &SubmitResults) -> Self {
        match results {
            SubmitResults::Lines(_) => Self::Taken,
            SubmitResults::Refused(error) if error.code.status() < 500 => Self::Refused,
            SubmitResults::Refused(error) => Self::Failed(error.code.as_str()),
        }
    }
}

/// A call under way.
pub(crate) struct TaskSpan {
    parent: TraceContext,
    own: TraceContext,
}

impl TaskSpan {
    /// The order goes on with the span of this attempt, so that whoever is called is below it.
    pub(crate) fn begin(spans: &SpanBuffer, order: &mut flow::Order) -> Option<Self> {
        let parent = order.trace.filter(|_| spans.is_on())?;
        let own = spans.child(parent);
        order.trace = Some(own);
        Some(Self { parent, own })
    }

    pub(crate) fn end(
        self,
        spans: &SpanBuffer,
        (began, now): (UnixMicros, UnixMicros),
        id: OrderId,
        ended: &Ended,
    ) {
        let span = spans.span_of(self.own, self.parent, "task").kind(SpanKind::Client);
        let span = (span.times(began, now))
            .with("distric.instance", id.instance.to_string())
            .with("distric.task", u64::from(id.task.0))
            .with("distric.attempt", u64::from(id.attempt));
        spans.push(match ended {
            Ended::Output(_) => span,
            Ended::Failed(failed) => span.failed(failed.code.clone()),
        });
    }
}
