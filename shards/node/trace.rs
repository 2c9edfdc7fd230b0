//! Traces on their way out: from each core's spans to an OpenTelemetry collector.
//!
//! ```text
//! a core's spans -> its own SpanBuffer --- every 100 ms ---> Gathered -> core 0: SpanExporter -> HTTP
//! ```
//!
//! When what is sent, and what becomes of it, is `telemetry`'s; here is who carries it.
//!
//! Invariants:
//! - A core never waits for another one, nor for the collector: what finds no room stays with it,
//!   and what it has no room for is dropped and counted.
//! - Nothing runs, and nothing is kept, while traces are switched off.
//! - The end of the node waits for the collector no longer than it is told to.

mod exporting;

use base::{CoreId, Instant, Prng};
use exporting::Exporting;
use runtime::{LocalEvent, Task, sleep, spawn_local};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use telemetry::families::{TRACE_EXPORT_DURATION, TRACE_SPANS_DROPPED, TRACE_SPANS_EXPORTED};
use telemetry::{
    BATCH_SPANS_MAX, Counter, DropReason, Registry, Resource, Span, SpanBuffer, Summary,
};

/// How often cores bring their spans and the exporter looks for them. At 40,000 spans a second a
/// core's buffer would overflow in between.
const TICK: Duration = Duration::from_millis(100);

/// Spans of all cores on their way to core 0.
const GATHERED_MAX: usize = 4 * BATCH_SPANS_MAX;

/// Where a node's spans go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// A collector's URL for traces, as in `http://127.0.0.1:4318/v1/traces`. `None`: nowhere.
    pub(crate) endpoint: Option<&'a str>,
    /// Who this node is.
    pub(crate) resource: &'a Resource,
    /// Of this start alone: spans' ids come from it.
    pub(crate) seed: u64,
}

/// The traces of a node, for all of its cores.
#[derive(Clone)]
pub(crate) struct Traces {
    /// `None`: switched off.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    endpoint: String,
    resource: Resource,
    seed: u64,
    gathered: Mutex<Vec<Span>>,
    /// Cores that may still bring spans.
    feeding: AtomicUsize,
}

impl Traces {
    pub(crate) fn new(options: &Options<'_>) -> Self {
        let shared = options.endpoint.map(|endpoint| {
            Arc::new(Shared {
                endpoint: endpoint.to_owned(),
                resource: options.resource.clone(),
                seed: options.seed,
                gathered: Mutex::default(),
                feeding: AtomicUsize::new(0),
            })
        });
        Self { shared }
    }

    /// Where a core's spans wait: for [`start`], and for all who record some.
    pub(crate) fn buffer(&self, core: CoreId) -> SpanBuffer {
        match &self.shared {
            Some(shared) => {
                SpanBuffer::new(Prng::new(shared.seed).fork("spans").fork(&core.to_string()))
            }
            None => SpanBuffer::off(),
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.shared.as_ref().map(|shared| &shared.endpoint);
        f.debug_struct("Traces").field("endpoint", &endpoint).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Span>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One core's share of the work, while it lives.
#[must_use = "spans are carried while this lives"]
pub(crate) struct Tracing {
    feeding: Option<Task<()>>,
    exporting: Option<(LocalEvent, Task<Exporting>)>,
}

/// Carries the spans of one core, and on core 0 sends those of all, until [`Tracing::stop`].
pub(crate) fn start(
    traces: &Traces,
    core: CoreId,
    spans: &SpanBuffer,
    registry: &Registry,
) -> Tracing {
    let counters = Counters::new(registry);
    let Some(shared) = &traces.shared else { return Tracing { feeding: None, exporting: None } };
    shared.feeding.fetch_add(1, Ordering::AcqRel);
    let feeder =
        Feeder { shared: Arc::clone(shared), spans: spans.clone(), full: counters.full.clone() };
    let feeding = spawn_local(async move {
        loop {
            sleep(TICK).await;
            feeder.hand_over();
        }
    });
    let exporting = (core == CoreId(0)).then(|| {
        let stop = LocalEvent::new();
        let exporting = Exporting::new(shared, counters);
        (stop.clone(), spawn_local(exporting.run(stop)))
    });
    Tracing { feeding: Some(feeding), exporting }
}

impl Tracing {
    /// Brings the last spans, and on core 0 sends what waits, also for the other cores that stop
    /// now; to be called when nothing records spans any more. What is not sent by `until`, or has
    /// no collector, is lost and counted.
    pub(crate) async fn stop(self, until: Instant) {
        if let Some(feeding) = self.feeding {
            feeding.cancel().await;
        }
        if let Some((stop, task)) = self.exporting {
            stop.set();
            task.await.finish(until).await;
        }
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").finish_non_exhaustive()
    }
}

/// What a core counts of its spans. All of it is there, at zero, while traces are switched off.
struct Counters {
    exported: Counter,
    full: Counter,
    unreachable: Counter,
    rejected: Counter,
    stopped: Counter,
    call: Summary,
}

impl Counters {
    fn new(registry: &Registry) -> Self {
        let dropped = |reason| registry.counter(&TRACE_SPANS_DROPPED, &[("reason", reason)]);
        Self {
            exported: registry.counter(&TRACE_SPANS_EXPORTED, &[]),
            full: dropped("full"),
            unreachable: dropped(DropReason::Unreachable.as_str()),
            rejected: dropped(DropReason::Rejected.as_str()),
            stopped: dropped(DropReason::Stopped.as_str()),
            call: registry.summary(&TRACE_EXPORT_DURATION, &[]),
        }
    }

    fn dropped(&self, reason: DropReason) -> &Counter {
        match reason {
            DropReason::Unreachable => &self.unreachable,
            DropReason::Rejected => &self.rejected,
            DropReason::Stopped => &self.stopped,
        }
    }
}

/// Brings the spans of one core, the last of them when it is dropped.
struct Feeder {
    shared: Arc<Shared>,
    spans: SpanBuffer,
    full: Counter,
}

impl Feeder {
    fn hand_over(&self) {
        self.full.advance_to(self.spans.dropped_total());
        if self.spans.is_empty() {
            return;
        }
        match self.shared.gathered.try_lock() {
            Ok(mut gathered) => self.bring(&mut gathered),
            Err(TryLockError::Poisoned(gathered)) => self.bring(&mut gathered.into_inner()),
            // Another core is here just now: later, then.
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn bring(&self, gathered: &mut Vec<Span>) {
        let room = GATHERED_MAX.saturating_sub(gathered.len());
        self.spans.drain_into(gathered, room);
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // The core ends: it may wait for the moves of another one. What finds no room is lost.
        self.bring(&mut self.shared.lock());
        self.full.advance_to(self.spans.dropped_total() + self.spans.len() as u64);
        self.shared.feeding.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
