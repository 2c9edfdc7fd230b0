use super::{Format, Front, Log, Mode, Sink, filter, init_to, on_core, set_filter};
use base::CoreId;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use telemetry::{Filter, Registry};

/// An output that can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn log_of(filter: &str) -> Arc<Log> {
    Arc::new(Log::new(Filter::parse(filter).unwrap(), Mode::Async))
}

/// Runs `body` with its events in `log`.
pub(crate) fn logging<T>(log: &Arc<Log>, body: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(Front { log: Arc::clone(log) }, body)
}

/// All that waits in `log`, written on this thread.
pub(crate) fn written(log: &Log) -> String {
    let shown = Shown::default();
    log.queue.close(Duration::ZERO);
    log.queue.write_until_closed(Sink::new(Box::new(shown.clone()), false));
    shown.text()
}

/// The value of a field in each line.
fn each(text: &str, field: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()[field].clone())
        .collect()
}

#[test]
fn an_event_becomes_one_json_line_with_its_component_and_fields() {
    let log = log_of("info");
    logging(&log, || tracing::info!(target: "ingress::http", port = 8080, "listening"));
    let text = written(&log);
    assert_eq!(text.lines().count(), 1, "{text}");
    for (field, value) in [
        ("level", serde_json::json!("INFO")),
        ("component", serde_json::json!("ingress")),
        ("msg", serde_json::json!("listening")),
        ("port", serde_json::json!(8080)),
    ] {
        assert_eq!(each(&text, field), [value], "{field}");
    }
}

#[test]
fn the_filter_says_which_component_writes_which_level() {
    let log = log_of("warn,consensus=debug,rules=off");
    logging(&log, || {
        tracing::info!(target: "ingress", "no: below warn");
        tracing::warn!(target: "ingress", "yes: warn");
        tracing::debug!(target: "consensus::peer", "yes: debug");
        tracing::trace!(target: "consensus", "no: trace is never written");
        tracing::error!(target: "rules", "no: off");
    });
    assert_eq!(each(&written(&log), "msg"), ["yes: warn", "yes: debug"]);
}

#[test]
fn spans_are_not_kept_and_their_events_are() {
    let log = log_of("debug");
    logging(&log, || {
        let span = tracing::error_span!("request", id = 7);
        assert!(span.is_disabled());
        span.in_scope(|| tracing::info!("inside"));
    });
    assert_eq!(each(&written(&log), "msg"), ["inside"]);
}

#[test]
fn the_log_of_a_process_takes_libraries_lines_and_a_new_filter_and_ends_complete() {
    let shown = Shown::default();
    let sink = |out: Box<dyn Write + Send>| Sink::new(out, false);
    let guard = init_to("info,changing=info", Mode::Async, sink(Box::new(shown.clone()))).unwrap();
    assert!(init_to("info", Mode::Async, sink(Box::new(std::io::sink()))).is_err());
    assert_eq!(filter(), "info,changing=info");

    tracing_log::log::info!(target: "rustls::client", "of the log crate");
    let place = || tracing::debug!(target: "changing", "only after the change");
    place();
    set_filter("info,changing=debug").unwrap();
    place();
    assert!(set_filter("loud").is_err());
    assert_eq!(filter(), "info,changing=debug");
    runtime::block_on(async {
        let registry = Registry::new();
        let task = on_core(CoreId(0), &registry);
        tracing::info!("of a core");
        task.cancel().await;
    });
    guard.close();

    let text = shown.text();
    let count = |message| each(&text, "msg").iter().filter(|msg| *msg == message).count();
    assert_eq!(count("of the log crate"), 1, "{text}");
    assert_eq!(count("only after the change"), 1, "{text}");
    assert_eq!(count("of a core"), 1, "{text}");
    assert!(each(&text, "component").contains(&"rustls".into()), "{text}");
}

#[test]
fn in_sync_mode_a_line_is_written_when_its_call_returns() {
    let log = Arc::new(Log::new(Filter::default(), Mode::Sync));
    let shown = Shown::default();
    let (writing, sink) = (Arc::clone(&log), Sink::new(Box::new(shown.clone()), false));
    let writer = std::thread::spawn(move || writing.queue.write_until_closed(sink));
    logging(&log, || {
        runtime::block_on(async {
            let seat = super::seat::take(Arc::clone(&log), CoreId(0), &Registry::new());
            for count in 1..=100 {
                tracing::info!("of a core");
                assert_eq!(shown.text().lines().count(), count);
            }
            seat.cancel().await;
        });
    });
    log.queue.close(Duration::from_mins(1));
    writer.join().unwrap();
}

#[test]
fn a_mode_is_read_from_its_name() {
    for mode in [Mode::Async, Mode::Sync] {
        assert_eq!(mode.as_str().parse::<Mode>().unwrap(), mode);
    }
    let error = "slow".parse::<Mode>().unwrap_err().to_string();
    assert_eq!(error, "`slow` is no log mode: expected async or sync");
}

#[test]
fn a_format_is_read_from_its_name() {
    for format in [Format::Json, Format::Text, Format::Auto] {
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
    }
    let error = "xml".parse::<Format>().unwrap_err().to_string();
    assert_eq!(error, "`xml` is no log format: expected json, text or auto");
}
