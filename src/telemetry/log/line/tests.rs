use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::cell::RefCell;
use tracing_core::{Dispatch, Metadata, Subscriber, span};

const AT: UnixMicros = UnixMicros(1_795_168_680_123_456);

fn written(fill: impl FnOnce(&mut Line<'_>)) -> String {
    let mut out = Vec::new();
    let mut line = Line::begin(&mut out, AT, Level::Warn, "ingress", format_args!("slow {}", 7));
    fill(&mut line);
    line.end();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_is_one_json_object_with_its_own_fields_first() {
    let line = written(|line| {
        line.field("peer", "127.0.0.1:4\n\"");
        line.number("bytes", 17);
        line.display("code", 'x');
    });
    assert_eq!(
        line,
        concat!(
            r#"{"ts":"2026-11-20T09:58:00.123456Z","level":"WARN","component":"ingress","#,
            r#""msg":"slow 7","peer":"127.0.0.1:4\n\"","bytes":17,"code":"x"}"#,
            "\n"
        )
    );
}

#[test]
fn a_field_called_like_one_of_the_lines_own_gets_an_underscore() {
    let line = written(|line| {
        line.field("level", "high");
        line.field("msg", "m");
    });
    assert!(line.contains(r#","level_":"high","msg_":"m"}"#), "{line}");
}

#[test]
fn a_value_too_long_is_cut_and_what_follows_left_out() {
    let line = written(|line| {
        line.field("text", &"ö\u{1}".repeat(LINE_BYTES_MAX));
        line.number("after", 1);
    });
    assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
    assert!(line.len() > LINE_BYTES_MAX - 2 * END_BYTES, "{}", line.len());
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["truncated"], true);
    assert_eq!(value.get("after"), None);
}

#[test]
fn many_fields_end_at_the_limit_of_the_line() {
    let line = written(|line| {
        for number in 0..10_000 {
            line.number("number", number);
        }
    });
    assert!(line.len() <= LINE_BYTES_MAX);
    assert!(line.ends_with(",\"truncated\":true}\n"));
}

/// Writes every event that reaches it.
struct Writer;

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Subscriber for Writer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = Level::of(*event.metadata().level()).unwrap();
        let component = crate::component_of(event.metadata().target());
        OUT.with_borrow_mut(|out| write_event(out, AT, level, component, event));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn an_event_of_tracing_becomes_a_line() {
    tracing_core::dispatcher::with_default(&Dispatch::new(Writer), || {
        tracing::info!(target: "ingress::http", bytes = 7_u64, ok = true, ratio = 0.5, "closed {}", 1);
        tracing::error!(below = -3, none = f64::NAN, text = "t", debug = ?Some(1), "no");
        tracing::warn!(message = "last", a = 1);
        tracing::debug!(log.line = 7_u64, log.target = "x", fatal = false);
    });
    let text = String::from_utf8(OUT.take()).unwrap();
    let tails: Vec<_> = text.lines().map(|line| line.split_once("\"level\":").unwrap().1).collect();
    assert_eq!(
        tails[0],
        r#""INFO","component":"ingress","msg":"closed 1","bytes":7,"ok":true,"ratio":0.5}"#
    );
    assert_eq!(
        tails[1],
        r#""ERROR","component":"telemetry","msg":"no","below":-3,"none":"NaN","text":"t","debug":"Some(1)"}"#
    );
    assert_eq!(tails[2], r#""WARN","component":"telemetry","msg":"last","a":1}"#);
    assert!(
        tails[3].starts_with(r#""DEBUG","component":"telemetry","msg":"event "#),
        "{}",
        tails[3]
    );
    assert!(tails[3].ends_with(r#","fatal":false}"#), "{}", tails[3]);
}

#[test]
fn bytes_that_are_no_text_and_control_characters_stay_on_their_line() {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"a\xff\x1b[2J\n");
    tracing_core::dispatcher::with_default(&Dispatch::new(Writer), || {
        tracing::warn!(bytes = &b"\xff\n"[..], ?name, path = %std::path::Path::new(name).display(), "{}", "\u{9b}2J\n\"");
    });
    let text = String::from_utf8(OUT.take()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["msg"], "\u{9b}2J\n\"");
    assert_eq!(line["name"], r#""a\xFF\u{1b}[2J\n""#);
    assert_eq!(line["path"], "a\u{fffd}\u{1b}[2J\n");
    assert_eq!(line["bytes"], "[ff 0a]");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_fields_give_one_line_of_json(
        message in any::<String>(),
        fields in prop::collection::vec((any::<String>(), ".{0,3000}"), 0..6),
    ) {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out, AT, Level::Info, "c", format_args!("{message}"));
        for (name, value) in &fields {
            line.field(name, value);
        }
        line.end();
        prop_assert!(out.len() <= LINE_BYTES_MAX);
        let text = std::str::from_utf8(&out).unwrap();
        prop_assert!(text.ends_with('\n'));
        prop_assert_eq!(text.lines().count(), 1);
        prop_assert!(!text[..text.len() - 1].contains(char::is_control));
        let json: Value = serde_json::from_str(text).unwrap();
        prop_assert_eq!(json["msg"].as_str().unwrap(), message);
    }
}
