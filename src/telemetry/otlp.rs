//! Spans as OTLP/HTTP reads them: the JSON form of `ExportTraceServiceRequest`.
//! Source: OpenTelemetry Protocol 1.9, "JSON Protobuf Encoding": field names in lowerCamelCase, ids
//! in hexadecimal, 64-bit integers as strings, enumerations as numbers.
//!
//! Invariants:
//! - a request has the spans that were counted, whole, and at most the bytes that were asked for;
//! - fields that the schema leaves out at their defaults are left out.

use crate::json::{self, Object};
use crate::trace::{Attribute, Span, SpanKind, write_hex};
use base::UnixMicros;

/// What no span is larger than. Unit: bytes. Four attributes and an error of
/// [`crate::ATTRIBUTE_BYTES_MAX`] bytes, each of them an escape of six, and names beside them.
pub const OTLP_SPAN_BYTES_MAX: usize = 16 * 1024;

/// Everything around the spans of a request, at most, if the resource keeps to usual lengths.
const AROUND_BYTES: usize = 16 * 1024;

/// The least that a request may be limited to. Unit: bytes.
pub const OTLP_REQUEST_BYTES_MIN: usize = OTLP_SPAN_BYTES_MAX + AROUND_BYTES;

/// The trace is recorded: the only one of W3C's flags that we set.
const SAMPLED: u64 = 1;

/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: u64 = 2;

/// Who did what the spans tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `service.name`: the same for all nodes of a cluster.
    pub service: String,
    /// `service.instance.id`: one node.
    pub instance: String,
    /// `service.version`: the program's.
    pub version: String,
}

/// Ends spans, scope, resource and request.
const END: &[u8] = b"]}]}]}";

/// Writes a request with as many of `spans`, from the first on, as `bytes_max` has room for, and
/// tells how many: at least one, if there is any. `bytes_max` is at least
/// [`OTLP_REQUEST_BYTES_MIN`].
pub fn write_traces(
    out: &mut Vec<u8>,
    resource: &Resource,
    spans: &[Span],
    bytes_max: usize,
) -> usize {
    assert!(bytes_max >= OTLP_REQUEST_BYTES_MIN, "a request has room for one span");
    let before = out.len();
    out.extend_from_slice(b"{\"resourceSpans\":[{\"resource\":");
    json::object(out, |object| {
        object.array("attributes", |list| {
            let values = [
                ("service.name", &resource.service),
                ("service.instance.id", &resource.instance),
                ("service.version", &resource.version),
            ];
            for (name, value) in values {
                list.object(|pair| text_pair(pair, name, value));
            }
        });
    });
    out.extend_from_slice(b",\"scopeSpans\":[{\"scope\":");
    json::object(out, |scope| {
        scope.text("name", "distric");
        scope.text("version", env!("CARGO_PKG_VERSION"));
    });
    out.extend_from_slice(b",\"spans\":[");
    let room = bytes_max.saturating_sub(END.len());
    let mut written = 0;
    for span in spans {
        let end = out.len();
        if written > 0 {
            out.push(b',');
        }
        json::object(out, |object| write_span(object, span));
        assert!(out.len() - end <= OTLP_SPAN_BYTES_MAX, "a span keeps to its limit");
        if written > 0 && out.len() - before > room {
            out.truncate(end);
            break;
        }
        written += 1;
    }
    out.extend_from_slice(END);
    written
}

fn write_span(object: &mut Object<'_>, span: &Span) {
    id(object, "traceId", &span.context.trace.to_be_bytes());
    id(object, "spanId", &span.context.span.to_be_bytes());
    if let Some(parent) = span.parent {
        id(object, "parentSpanId", &parent.to_be_bytes());
    }
    object.number("flags", SAMPLED);
    object.text("name", span.name);
    object.number("kind", kind(span.kind));
    time(object, "startTimeUnixNano", span.start);
    time(object, "endTimeUnixNano", span.end);
    if span.attributes().next().is_some() {
        object.array("attributes", |list| {
            for (name, value) in span.attributes() {
                list.object(|pair| write_attribute(pair, name, value));
            }
        });
    }
    if let Some(error) = &span.error {
        object.object("status", |status| {
            status.text("message", error);
            status.number("code", STATUS_ERROR);
        });
    }
}

fn id(object: &mut Object<'_>, name: &str, bytes: &[u8]) {
    let mut hex = Vec::with_capacity(2 * bytes.len());
    write_hex(&mut hex, bytes);
    object.text(name, std::str::from_utf8(&hex).expect("digits are ASCII"));
}

/// `SpanKind` of the schema; its 0 means unknown.
fn kind(kind: SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// 64-bit integers are strings in JSON, whose numbers may be doubles.
fn time(object: &mut Object<'_>, name: &str, at: UnixMicros) {
    const NANOS_PER_MICRO: u64 = 1_000;
    object.display(name, at.0.saturating_mul(NANOS_PER_MICRO));
}

fn write_attribute(pair: &mut Object<'_>, name: &str, value: &Attribute) {
    match value {
        Attribute::Text(text) => text_pair(pair, name, text),
        Attribute::Number(number) => {
            let number = i64::try_from(*number).unwrap_or(i64::MAX);
            pair.text("key", name);
            pair.object("value", |value| value.display("intValue", number));
        }
        Attribute::Flag(flag) => {
            pair.text("key", name);
            pair.object("value", |value| value.boolean("boolValue", *flag));
        }
    }
}

fn text_pair(pair: &mut Object<'_>, name: &str, text: &str) {
    pair.text("key", name);
    pair.object("value", |value| value.text("stringValue", text));
}

#[cfg(test)]
mod tests;
