//! The exporter's hands, on core 0: it gathers the cores' spans and makes its calls.

use super::{Counters, Shared, TICK};
use base::{Instant, Outbox, Prng};
use bytes::Bytes;
use runtime::{LocalEvent, instant, sleep_until};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use telemetry::{Answer, ExportEffect, SpanExporter};
use worker::{HttpClient, HttpOptions, HttpRequest, HttpResponse, REQUEST_BYTES_MAX};

/// For one request and its answer. OTLP exporters' usual default.
const CALL_MAX: Duration = Duration::from_secs(10);

/// How much of a refusal's text is told. Unit: characters.
const REASON_CHARACTERS: usize = 200;

pub(super) struct Exporting {
    shared: Arc<Shared>,
    exporter: SpanExporter,
    out: Outbox<ExportEffect>,
    client: HttpClient,
    call: Option<Pin<Box<dyn Future<Output = Answer>>>>,
    called: Instant,
    counters: Counters,
}

impl Exporting {
    pub(super) fn new(shared: &Arc<Shared>, counters: Counters) -> Self {
        let dice = Prng::new(shared.seed).fork("export");
        let exporter = SpanExporter::new(shared.resource.clone(), REQUEST_BYTES_MAX, dice)
            .expect("the client sends a megabyte, which has room for a span");
        Self {
            shared: Arc::clone(shared),
            exporter,
            out: Outbox::new(),
            client: HttpClient::new(HttpOptions::default()),
            call: None,
            called: Instant(0),
            counters,
        }
    }

    /// Sends spans until told to stop.
    pub(super) async fn run(mut self, stop: LocalEvent) -> Self {
        while !stop.is_set() {
            self.turn(&stop, instant() + TICK).await;
        }
        self
    }

    /// Sends what waits, and what other cores bring before they end, until there is nothing left or
    /// the time is over.
    pub(super) async fn finish(mut self, until: Instant) {
        let never = LocalEvent::new();
        loop {
            // Asked first: what a core brought before it ended is seen by the look that follows.
            let others_ended = self.shared.feeding.load(Ordering::Acquire) == 0;
            let now = instant();
            self.gather(now);
            self.exporter.on_stop(now, &mut self.out);
            self.carry_out();
            let is_done = others_ended && self.exporter.is_settled();
            if (is_done && self.shared.lock().is_empty()) || now >= until {
                break;
            }
            self.turn(&never, until.min(now + TICK / 10)).await;
        }
        self.call = None;
        self.exporter.on_end(&mut self.out);
        self.carry_out();
    }

    /// Waits for an answer, a moment, or the end, whichever is first, and does what is due.
    async fn turn(&mut self, stop: &LocalEvent, moment: Instant) {
        let mut moment = pin!(sleep_until(moment));
        let mut stopped = pin!(stop.wait());
        let call = &mut self.call;
        let answer = std::future::poll_fn(|task| {
            if let Some(call) = call
                && let Poll::Ready(answer) = call.as_mut().poll(task)
            {
                return Poll::Ready(Some(answer));
            }
            if moment.as_mut().poll(task).is_ready() || stopped.as_mut().poll(task).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await;
        let now = instant();
        if let Some(answer) = answer {
            self.call = None;
            self.counters.call.observe_duration(now.since(self.called));
            self.exporter.on_answer(now, answer, &mut self.out);
        }
        self.gather(now);
        self.exporter.on_deadline(now, &mut self.out);
        self.carry_out();
    }

    /// Takes as many of the cores' spans as the exporter has room for.
    fn gather(&mut self, now: Instant) {
        let mut gathered = self.shared.lock();
        let count = gathered.len().min(self.exporter.room());
        if count > 0 {
            self.exporter.on_spans(now, gathered.drain(..count), &mut self.out);
        }
    }

    fn carry_out(&mut self) {
        for effect in self.out.take() {
            match effect {
                ExportEffect::Post { body } => {
                    let (client, url) = (self.client.clone(), self.shared.endpoint.clone());
                    self.called = instant();
                    self.call = Some(Box::pin(post(client, url, body.into())));
                }
                ExportEffect::Exported { spans } => self.counters.exported.add(spans),
                ExportEffect::Dropped { spans, reason } => {
                    self.counters.dropped(reason).add(spans);
                }
                ExportEffect::WentDown { reason } => tracing::warn!(
                    endpoint = self.shared.endpoint,
                    reason,
                    "spans cannot be exported: they wait, and what there is no room for is dropped"
                ),
                ExportEffect::CameUp { dropped } => tracing::info!(
                    endpoint = self.shared.endpoint,
                    dropped,
                    "spans can be exported again"
                ),
            }
        }
    }
}

/// One request to the collector.
async fn post(client: HttpClient, url: String, body: Bytes) -> Answer {
    let request = HttpRequest {
        method: "POST".to_owned(),
        url,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body,
        timeout: CALL_MAX,
        idempotency_key: None,
    };
    match client.call(request).await {
        Ok(response) => read(&response),
        Err(error) if error.retryable => Answer::Later { reason: error.to_string(), pause: None },
        Err(error) => Answer::Never { reason: error.to_string() },
    }
}

/// What an answer means. Source: OTLP 1.9, "OTLP/HTTP Response".
pub(super) fn read(response: &HttpResponse) -> Answer {
    match response.status {
        200..=299 => Answer::Accepted { rejected: rejected(&response.body) },
        429 | 502 | 503 | 504 => {
            Answer::Later { reason: reason(response), pause: retry_after(response) }
        }
        _ => Answer::Never { reason: reason(response) },
    }
}

/// How many spans a collector refused of those that it took as a whole: `partialSuccess`. A body
/// that is none says that it took all; collectors may answer with nothing.
fn rejected(body: &[u8]) -> u64 {
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(body) else { return 0 };
    let partial = &answer["partialSuccess"];
    // A 64-bit integer is a string in OTLP's JSON, and readers take both.
    let rejected = match &partial["rejectedSpans"] {
        serde_json::Value::String(text) => text.parse().unwrap_or(0),
        number => number.as_u64().unwrap_or(0),
    };
    if let Some(reason) = partial["errorMessage"].as_str().filter(|text| !text.is_empty()) {
        tracing::debug!(rejected, reason, "the collector has something to say about spans");
    }
    rejected
}

/// `Retry-After` in seconds; the form with a date is as good as none.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let header = response.headers.iter().find(|(name, _)| name == "retry-after");
    header.and_then(|(_, value)| value.trim().parse().ok()).map(Duration::from_secs)
}

fn reason(response: &HttpResponse) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let text: String = text.trim().chars().take(REASON_CHARACTERS).collect();
    if text.is_empty() {
        format!("it answers {}", response.status)
    } else {
        format!("it answers {}: {text}", response.status)
    }
}
