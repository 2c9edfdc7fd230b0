//! What telemetry costs where it is used: metric cells, log lines, spans.
//!
//! Each figure is the best and the median of many rounds, in nanoseconds of the thread's CPU time per
//! operation: what else the machine does costs the caches, but is not counted. Beside the cells
//! stand a plain number in memory, which is what must be done, and an atomic that two cores share,
//! which is what is avoided. The two cores' threads are pinned, and a round on one core is followed
//! by the same round on both. There medians are compared: in the best round of two threads that
//! have to share their CPUs with others, one may have run after the other.

use base::{Prng, UnixMicros};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use telemetry::families::{HTTP_REQUEST_DURATION, MESSAGES_RECEIVED, TRACE_EXPORT_DURATION};
use telemetry::{
    BATCH_SPANS_MAX, Level, LogBuffer, Registry, Resource, Sampler, SpanBuffer, TraceContext,
    Traceparent, write_event, write_traces,
};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Metadata, Subscriber};

/// Operations of a round on a cell: some milliseconds.
const CELL_ROUND: u32 = 2_000_000;
/// Log lines and spans of a round.
const LINE_ROUND: u32 = 50_000;
const ROUNDS: usize = 41;

const TRACEPARENT: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn main() {
    // `cargo test --benches` asks for one quick look at whether it runs.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let cpus = cpus();
    println!("ns per operation, best and median of {rounds} rounds; CPUs {cpus:?}\n");
    cells(rounds, &cpus);
    println!();
    both_at_once(rounds, &cpus);
    println!();
    lines(rounds);
    println!();
    spans(rounds);
}

/// The CPUs that this process may use.
fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("a process may ask for its CPUs");
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect()
}

fn pin(cpu: usize) {
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one).expect("the CPU is one of the process's");
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let part = |number: i64| u64::try_from(number).expect("a thread's time does not run backwards");
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// Nanoseconds of each of `count` operations.
fn round(count: u32, mut operation: impl FnMut()) -> f64 {
    let began = cpu_time();
    for _ in 0..count {
        operation();
    }
    cpu_time().saturating_sub(began).as_secs_f64() * 1e9 / f64::from(count)
}

/// The best and the median of many rounds.
fn best_and_median(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2])
}

fn report(what: &str, figures: Vec<f64>, promise: &str) {
    let (best, median) = best_and_median(figures);
    println!("{what:<44} {best:>8.2} {median:>8.2}   {promise}");
}

fn measure(rounds: usize, count: u32, what: &str, promise: &str, mut operation: impl FnMut()) {
    round(count, &mut operation);
    let figures = (0..rounds).map(|_| round(count, &mut operation)).collect();
    report(what, figures, promise);
}

/// Sizes as they come: all buckets are met, in no order.
fn sizes() -> impl FnMut() -> u64 {
    let mut dice = Prng::new(7);
    let sizes: Vec<u64> = (0..1024).map(|_| dice.next_u64() >> (30 + dice.below(30))).collect();
    let mut at = 0;
    move || {
        at = (at + 1) % sizes.len();
        sizes[at]
    }
}

fn cells(rounds: usize, cpus: &[usize]) {
    pin(cpus[0]);
    let registry = Registry::new();
    let plain = Cell::new(0_u64);
    measure(rounds, CELL_ROUND, "a number in memory", "(what must be done)", || {
        let plain = black_box(&plain);
        plain.set(plain.get() + 1);
    });
    let counter = registry.counter(&MESSAGES_RECEIVED, &[("outcome", "accepted")]);
    measure(rounds, CELL_ROUND, "counter", "< 2", || black_box(&counter).increment());
    let mut next = sizes();
    measure(rounds, CELL_ROUND, "(drawing a size)", "(in the two below)", || {
        black_box(next());
    });
    let histogram = registry.histogram(&HTTP_REQUEST_DURATION, &[]);
    let mut next = sizes();
    measure(rounds, CELL_ROUND, "histogram, 22 buckets", "< 10", || {
        black_box(&histogram).observe(next());
    });
    let summary = registry.summary(&TRACE_EXPORT_DURATION, &[]);
    let mut next = sizes();
    measure(rounds, CELL_ROUND, "summary", "", || black_box(&summary).observe(next()));
}

/// A cell of its own, made on its own thread, and a figure per round.
fn hammer(work: Work, count: u32, shared: &AtomicU64) -> f64 {
    let registry = Registry::new();
    match work {
        Work::Counter => {
            let counter = registry.counter(&MESSAGES_RECEIVED, &[("outcome", "accepted")]);
            round(count, || black_box(&counter).increment())
        }
        Work::Histogram => {
            let histogram = registry.histogram(&HTTP_REQUEST_DURATION, &[]);
            let mut next = sizes();
            round(count, || black_box(&histogram).observe(next()))
        }
        Work::Atomic => round(count, || {
            shared.fetch_add(1, Ordering::Relaxed);
        }),
    }
}

#[derive(Clone, Copy)]
enum Work {
    Counter,
    Histogram,
    Atomic,
}

fn both_at_once(rounds: usize, cpus: &[usize]) {
    let &[first, second, ..] = cpus else {
        println!("two cores at once: skipped, as this process may use one CPU only");
        return;
    };
    println!("{:<44} {:>8} {:>8} {:>8}", "medians", "one core", "of two", "ratio");
    for (what, work, promise) in [
        ("counter", Work::Counter, "<= 1.10"),
        ("histogram", Work::Histogram, "<= 1.10"),
        ("an atomic that both share", Work::Atomic, "(what is avoided)"),
    ] {
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let shared = AtomicU64::new(0);
            let on = |cpu: usize, barrier: &Barrier| {
                pin(cpu);
                barrier.wait();
                hammer(work, CELL_ROUND, &shared)
            };
            let (one, two) = (Barrier::new(1), Barrier::new(2));
            alone.push(std::thread::scope(|scope| {
                scope.spawn(|| on(first, &one)).join().expect("a round does not panic")
            }));
            let pair = std::thread::scope(|scope| {
                let threads = [first, second].map(|cpu| {
                    let (on, two) = (&on, &two);
                    scope.spawn(move || on(cpu, two))
                });
                threads.map(|thread| thread.join().expect("a round does not panic"))
            });
            together.push(f64::max(pair[0], pair[1]));
        }
        let (_, alone) = best_and_median(alone);
        let (_, together) = best_and_median(together);
        let ratio = together / alone;
        println!("{what:<44} {alone:>8.2} {together:>8.2} {ratio:>8.2}   {promise}");
    }
}

thread_local! {
    static BUFFER: RefCell<LogBuffer> = RefCell::new(LogBuffer::new());
}

/// What the node's own front does with an event on a core: both clocks are read, and the line is
/// written into the core's buffer.
struct Front;

impl Subscriber for Front {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= tracing_core::Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        black_box(Instant::now());
        let metadata = event.metadata();
        let level = Level::of(*metadata.level()).expect("no TRACE gets here");
        let component = telemetry::component_of(metadata.target());
        let at = wall();
        BUFFER.with_borrow_mut(|buffer| {
            assert!(buffer.push(level, |out| write_event(out, at, level, component, event)));
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn wall() -> UnixMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn lines(rounds: usize) {
    tracing_core::dispatcher::set_global_default(Front.into()).expect("it is the first");
    let mut spare = LogBuffer::block();
    let mut bytes = 0;
    // What the core's task does every so often, here as often as the buffer is half full.
    let mut hand_over = |bytes: &mut usize| {
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() > 128 * 1024 {
                *bytes += buffer.len();
                spare = buffer.take(UnixMicros(0), std::mem::take(&mut spare));
            }
        });
    };
    let mut port = 0_u64;
    let what = "log line: a message, a number and a text";
    let began = cpu_time();
    measure(rounds, LINE_ROUND, what, "< 300, so > 3.3 M lines/s", || {
        port += 1;
        tracing::info!(target: "ingress::http", port, peer = "127.0.0.1:51234", "a connection was closed");
        hand_over(&mut bytes);
    });
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = port as f64 / cpu_time().saturating_sub(began).as_secs_f64();
    println!(
        "{:<44} {:>8.2} M per second of CPU, {} bytes each, clocks and hand-over included",
        "log lines accepted",
        rate / 1e6,
        bytes / usize::try_from(port).expect("it fits"),
    );
    measure(rounds, CELL_ROUND, "log line below the filter", "", || {
        tracing::debug!(port, "nobody reads this");
    });
}

fn spans(rounds: usize) {
    let buffer = SpanBuffer::new(Prng::new(3));
    let root = TraceContext::parse(TRACEPARENT).expect("the standard's example is right");
    let mut drained = Vec::with_capacity(BATCH_SPANS_MAX);
    measure(rounds, LINE_ROUND, "span with an attribute, recorded and drained", "", || {
        let span = buffer
            .span(root, "commit")
            .times(UnixMicros(1_795_168_680_123_456), UnixMicros(1_795_168_680_123_999))
            .with("records", 64);
        buffer.push(black_box(span));
        if buffer.len() == BATCH_SPANS_MAX {
            drained.clear();
            buffer.drain_into(&mut drained, BATCH_SPANS_MAX);
        }
    });
    let mut sampler = Sampler::new(0.0, Prng::new(4)).expect("a ratio");
    measure(rounds, CELL_ROUND, "request without a decision, at a ratio of 0", "", || {
        black_box(black_box(&mut sampler).decide(Traceparent::Absent));
    });
    let mut sampler = Sampler::new(0.01, Prng::new(4)).expect("a ratio");
    measure(rounds, CELL_ROUND, "request without a decision, at one of 0.01", "", || {
        black_box(black_box(&mut sampler).decide(Traceparent::Absent));
    });
    measure(rounds, CELL_ROUND, "traceparent read", "", || {
        black_box(Traceparent::parse(black_box(TRACEPARENT)));
    });
    let mut header = Vec::with_capacity(64);
    measure(rounds, CELL_ROUND, "traceparent written", "", || {
        header.clear();
        black_box(root).write_traceparent(&mut header);
        black_box(&header);
    });
    let batch: Vec<_> = (0..BATCH_SPANS_MAX)
        .map(|_| buffer.span(root, "commit").with("records", 64).with("route", "POST /messages"))
        .collect();
    let resource = Resource {
        service: "distric".to_owned(),
        instance: "1".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let mut out = Vec::new();
    let figures = (0..rounds)
        .map(|_| {
            out.clear();
            round(1, || {
                black_box(write_traces(&mut out, &resource, &batch, 1 << 20));
            }) / 1_000.0
        })
        .collect();
    report("span as OTLP/JSON, in a batch of 1,000", figures, "(core 0, every 5 s)");
}
