use super::super::Sink;
use super::super::tests::{log_of, logging, written};
use base::CoreId;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use telemetry::families::{LOG_LINES, LOG_LINES_DROPPED};
use telemetry::{Level, Registry, Value};

const CORE: CoreId = CoreId(0);

/// Long enough for any machine; what is waited for comes at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the registry holds for a counter, over all its labels.
fn total(registry: &Registry, name: &str) -> u64 {
    let snapshot = registry.snapshot();
    let samples = snapshot.samples().iter().filter(|sample| sample.name() == name);
    samples.map(|sample| if let Value::Count(count) = sample.value() { *count } else { 0 }).sum()
}

#[test]
fn a_core_that_ends_hands_over_its_last_lines() {
    let log = log_of("info");
    let registry = Registry::new();
    logging(&log, || {
        runtime::block_on(async {
            let task = super::take(Arc::clone(&log), CORE, &registry);
            tracing::info!("first");
            tracing::warn!("second");
            assert!(log.queue.flush(Duration::ZERO), "they are in the core's own buffer");
            task.cancel().await;
            tracing::info!("from no core any more");
        });
    });
    let text = written(&log);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(total(&registry, LOG_LINES.name), 2);
}

/// An output that sends what is written to it.
struct Sending(Sender<Vec<u8>>);

impl std::io::Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_owned()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_core_that_goes_on_hands_its_lines_over_all_the_same() {
    let log = log_of("info");
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let writing = Arc::clone(&log);
    let writer = std::thread::spawn(move || {
        writing.queue.write_until_closed(Sink::new(Box::new(Sending(sender)), false));
    });
    logging(&log, || {
        runtime::block_on(async {
            let seat = super::take(Arc::clone(&log), CORE, &Registry::new());
            for round in ["first", "second"] {
                tracing::info!("{round}");
                tracing::info!("{round} again");
                let receiver = Arc::clone(&receiver);
                let next = move || receiver.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                let bytes = runtime::offload(next).unwrap().await;
                let text = String::from_utf8(bytes).unwrap();
                assert_eq!(text.matches(round).count(), 2, "in one piece: {text}");
            }
            seat.cancel().await;
        });
    });
    assert!(log.queue.close(PATIENCE));
    writer.join().unwrap();
}

/// The scenario "log ring full".
#[test]
fn a_full_buffer_drops_counts_and_tells() {
    let log = log_of("info");
    let registry = Registry::new();
    logging(&log, || {
        runtime::block_on(async {
            let task = super::take(Arc::clone(&log), CORE, &registry);
            let field = "x".repeat(4_000);
            // Without an await the task cannot run: this is a core in one long turn.
            for _ in 0..100 {
                tracing::info!("{field}");
            }
            tracing::error!("an error still fits");
            task.cancel().await;
        });
    });
    let dropped = total(&registry, LOG_LINES_DROPPED.name);
    assert!(dropped > 0);
    assert_eq!(total(&registry, LOG_LINES.name) + dropped, 101);
    let text = written(&log);
    assert!(text.contains("an error still fits"));
    assert!(text.contains(&format!("\"below_warn\":{dropped}")), "{}", text.len());
}

#[test]
fn lines_of_other_threads_show_in_a_cores_registry() {
    let log = log_of("info");
    let registry = Registry::new();
    logging(&log, || tracing::info!("before any core"));
    runtime::block_on(async {
        let task = super::take(Arc::clone(&log), CORE, &registry);
        super::current().unwrap().hand_over();
        task.cancel().await;
    });
    assert_eq!(total(&registry, LOG_LINES.name), 1);
}

#[test]
fn a_line_within_a_line_goes_another_way_and_both_are_whole() {
    let log = log_of("info");
    runtime::block_on(async {
        let task = super::take(Arc::clone(&log), CORE, &Registry::new());
        let outer = super::push(Level::Info, true, |out| {
            out.extend_from_slice(b"outer ");
            let inner = super::push(Level::Info, true, |_| unreachable!("it is not taken"));
            assert!(!inner);
            out.extend_from_slice(b"line\n");
        });
        assert!(outer);
        task.cancel().await;
    });
    assert_eq!(written(&log), "outer line\n");
}
