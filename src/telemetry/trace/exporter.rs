//! When spans go out, what happens to those that are not taken, and what is said about it.
//!
//! One request is under way at a time. A collector that is away is asked again, later and later;
//! its spans wait as long as there is room, and what there is no room for stays with the cores,
//! which drop and count.
//!
//! Invariants:
//! - at most [`QUEUE_SPANS_MAX`] spans wait, and one batch is under way;
//! - every span that was taken in is exported or dropped, once, and counted as that;
//! - the same change for the worse, or for the better, is told once.

use super::Span;
use crate::otlp::{OTLP_REQUEST_BYTES_MIN, Resource, write_traces};
use base::{Instant, Outbox, Prng};
use std::collections::VecDeque;
use std::time::Duration;

/// Spans of one request.
pub const BATCH_SPANS_MAX: usize = 1_000;

/// How long a span waits for others to go with it.
pub const EXPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Spans that wait. Eight requests: some 2 MiB, 12 MiB if all attributes are as long as they may be.
pub const QUEUE_SPANS_MAX: usize = 8 * BATCH_SPANS_MAX;

/// How often a batch is sent before it is given up: with the pauses between, after half a minute.
const ATTEMPTS_MAX: u32 = 6;

/// The pause after a first failure. Doubles with each that follows.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause, also where a collector asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The collector has it. Some spans it may have refused.
    Accepted {
        /// How many it refused.
        rejected: u64,
    },
    /// Later it may work: nobody answered, or the collector is busy.
    Later {
        /// What went wrong.
        reason: String,
        /// How long the collector asks us to wait.
        pause: Option<Duration>,
    },
    /// It will never work.
    Never {
        /// What went wrong.
        reason: String,
    },
}

/// Why a span was dropped after it had left its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The collector could not be reached, time and again.
    Unreachable,
    /// The collector did not want it.
    Rejected,
    /// The node ended before it could go out.
    Stopped,
}

impl DropReason {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Stopped => "stopped",
        }
    }
}

/// What the exporter tells its driver to do.
#[derive(Debug, PartialEq, Eq)]
pub enum ExportEffect {
    /// Send this request; its answer goes to [`SpanExporter::on_answer`].
    Post {
        /// An `ExportTraceServiceRequest` in JSON.
        body: Vec<u8>,
    },
    /// Count spans that a collector has.
    Exported {
        /// How many.
        spans: u64,
    },
    /// Count spans that are lost.
    Dropped {
        /// How many.
        spans: u64,
        /// Why.
        reason: DropReason,
    },
    /// Say that spans cannot be exported, as from now.
    WentDown {
        /// What went wrong.
        reason: String,
    },
    /// Say that they can be exported again.
    CameUp {
        /// Spans that were lost meanwhile; those that their cores dropped come on top.
        dropped: u64,
    },
}

/// Limits that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportError {
    /// The bytes of a request that were asked for.
    pub request_bytes_max: usize,
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bytes are too few for a request: expected at least {OTLP_REQUEST_BYTES_MIN}",
            self.request_bytes_max
        )
    }
}

impl std::error::Error for ExportError {}

/// A request that is under way, or waits to be sent again.
#[derive(Debug)]
struct Batch {
    body: Vec<u8>,
    spans: u64,
    attempts: u32,
}

/// Takes in spans of all cores and hands out requests.
#[derive(Debug)]
pub struct SpanExporter {
    resource: Resource,
    request_bytes_max: usize,
    dice: Prng,
    queue: VecDeque<Span>,
    batch: Option<Batch>,
    is_under_way: bool,
    /// When something is to be sent, if anything waits.
    due: Option<Instant>,
    /// Until then a collector that failed is left alone.
    not_before: Instant,
    failures: u32,
    dropped_while_down: u64,
    is_down: bool,
    is_stopping: bool,
}

impl SpanExporter {
    /// An exporter whose requests have at most `request_bytes_max` bytes.
    pub fn new(
        resource: Resource,
        request_bytes_max: usize,
        dice: Prng,
    ) -> Result<Self, ExportError> {
        if request_bytes_max < OTLP_REQUEST_BYTES_MIN {
            return Err(ExportError { request_bytes_max });
        }
        Ok(Self {
            resource,
            request_bytes_max,
            dice,
            queue: VecDeque::new(),
            batch: None,
            is_under_way: false,
            due: None,
            not_before: Instant(0),
            failures: 0,
            dropped_while_down: 0,
            is_down: false,
            is_stopping: false,
        })
    }

    /// How many spans can be taken in.
    pub fn room(&self) -> usize {
        QUEUE_SPANS_MAX - self.queue.len()
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.batch.is_none()
    }

    /// When [`SpanExporter::on_deadline`] wants to be called; not before an answer while a request
    /// is under way.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_under_way { None } else { self.due }
    }

    /// Takes in spans, no more than there is room for.
    pub fn on_spans(
        &mut self,
        now: Instant,
        spans: impl IntoIterator<Item = Span>,
        out: &mut Outbox<ExportEffect>,
    ) {
        self.queue.extend(spans);
        assert!(self.queue.len() <= QUEUE_SPANS_MAX, "the caller asked how much room there is");
        if self.queue.is_empty() || self.batch.is_some() {
            return;
        }
        let due = self.due.unwrap_or(now + EXPORT_INTERVAL);
        let due = if self.is_full_batch() { now } else { due };
        self.due = Some(due.max(self.not_before));
        self.on_deadline(now, out);
    }

    /// Time has come.
    pub fn on_deadline(&mut self, now: Instant, out: &mut Outbox<ExportEffect>) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.send(out);
        }
    }

    /// A request has ended.
    pub fn on_answer(&mut self, now: Instant, answer: Answer, out: &mut Outbox<ExportEffect>) {
        assert!(self.is_under_way, "an answer belongs to a request");
        self.is_under_way = false;
        let batch = self.batch.take().expect("what is under way is kept until its answer");
        match answer {
            Answer::Accepted { rejected } => {
                let rejected = rejected.min(batch.spans);
                self.drop_spans(rejected, DropReason::Rejected, out);
                if batch.spans > rejected {
                    out.push(ExportEffect::Exported { spans: batch.spans - rejected });
                }
                self.come_up(out);
                self.go_on(now, out);
            }
            Answer::Never { reason } => {
                self.go_down(reason, out);
                self.drop_spans(batch.spans, DropReason::Rejected, out);
                self.pause(now, None);
            }
            Answer::Later { reason, pause } => {
                self.go_down(reason, out);
                if self.is_stopping {
                    self.drop_spans(batch.spans, DropReason::Stopped, out);
                } else if batch.attempts >= ATTEMPTS_MAX {
                    self.drop_spans(batch.spans, DropReason::Unreachable, out);
                } else {
                    self.batch = Some(batch);
                }
                self.pause(now, pause);
            }
        }
        if self.is_stopping && self.is_down {
            self.give_up(out);
        }
    }

    /// The node ends: what waits goes out now. A collector that is away is not waited for.
    pub fn on_stop(&mut self, now: Instant, out: &mut Outbox<ExportEffect>) {
        self.is_stopping = true;
        if self.is_under_way {
            return;
        }
        if self.is_down {
            self.give_up(out);
        } else if !self.is_settled() {
            self.due = Some(now);
            self.on_deadline(now, out);
        }
    }

    /// Nothing more will be sent: what waits, or is under way without an answer, is lost.
    pub fn on_end(&mut self, out: &mut Outbox<ExportEffect>) {
        self.is_under_way = false;
        self.give_up(out);
    }

    fn is_full_batch(&self) -> bool {
        self.queue.len() >= BATCH_SPANS_MAX
    }

    /// Sends the batch that waits for another attempt, or a new one.
    fn send(&mut self, out: &mut Outbox<ExportEffect>) {
        let batch = self.batch.take().unwrap_or_else(|| {
            let spans = self.queue.make_contiguous();
            let spans = &spans[..spans.len().min(BATCH_SPANS_MAX)];
            let mut body = Vec::new();
            let written = write_traces(&mut body, &self.resource, spans, self.request_bytes_max);
            self.queue.drain(..written);
            Batch { body, spans: written as u64, attempts: 0 }
        });
        assert!(batch.spans > 0, "a request has spans");
        // A copy is kept, in case there is no answer: a megabyte every five seconds is not worth a
        // shared one.
        out.push(ExportEffect::Post { body: batch.body.clone() });
        self.batch = Some(Batch { attempts: batch.attempts + 1, ..batch });
        self.is_under_way = true;
        self.due = None;
    }

    /// After a success: at once if a batch is full or the node ends, else when the time has come.
    fn go_on(&mut self, now: Instant, out: &mut Outbox<ExportEffect>) {
        self.due = match self.queue.is_empty() {
            true => None,
            false if self.is_full_batch() || self.is_stopping => Some(now),
            false => Some(now + EXPORT_INTERVAL),
        };
        self.on_deadline(now, out);
    }

    /// After a failure: exponential, and half of it by dice, so that not all nodes come at once.
    fn pause(&mut self, now: Instant, asked: Option<Duration>) {
        let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(16));
        let most = doubled.min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        let half = most / 2;
        let nanos = u64::try_from(half.as_nanos()).expect("half a minute fits");
        let drawn = half + Duration::from_nanos(self.dice.below(nanos.max(1)));
        let pause = drawn.max(asked.unwrap_or_default().min(PAUSE_MAX));
        self.not_before = now + pause;
        self.due = (!self.is_settled()).then_some(self.not_before);
    }

    fn go_down(&mut self, reason: String, out: &mut Outbox<ExportEffect>) {
        if !self.is_down {
            self.is_down = true;
            self.dropped_while_down = 0;
            out.push(ExportEffect::WentDown { reason });
        }
    }

    fn come_up(&mut self, out: &mut Outbox<ExportEffect>) {
        self.failures = 0;
        if self.is_down {
            self.is_down = false;
            out.push(ExportEffect::CameUp { dropped: self.dropped_while_down });
        }
    }

    fn drop_spans(&mut self, spans: u64, reason: DropReason, out: &mut Outbox<ExportEffect>) {
        if spans > 0 {
            self.dropped_while_down += spans;
            out.push(ExportEffect::Dropped { spans, reason });
        }
    }

    fn give_up(&mut self, out: &mut Outbox<ExportEffect>) {
        let batch = self.batch.take().map_or(0, |batch| batch.spans);
        let spans = batch + self.queue.len() as u64;
        self.queue.clear();
        self.due = None;
        self.drop_spans(spans, DropReason::Stopped, out);
    }
}

#[cfg(test)]
mod tests;
