use super::*;
use crate::trace::{ATTRIBUTE_BYTES_MAX, SpanBuffer, TraceContext};
use base::Prng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use proptest::prelude::*;
use serde_json::Value;

const TRACE: u128 = 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c;

fn resource() -> Resource {
    Resource {
        service: "distric".to_owned(),
        instance: "node-1".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn span(own: u64, parent: u64, name: &'static str) -> Span {
    let context = |span| TraceContext { trace: TRACE, span };
    SpanBuffer::off().span_of(context(own), context(parent), name)
}

fn written(spans: &[Span]) -> String {
    let mut out = Vec::new();
    assert_eq!(write_traces(&mut out, &resource(), spans, 1 << 20), spans.len());
    String::from_utf8(out).unwrap()
}

/// A collector's reader, strict: its types skip fields they do not know, so what they write again
/// has to be what they were given, defaults left out.
fn decoded(json: &str) -> ExportTraceServiceRequest {
    let request: ExportTraceServiceRequest = serde_json::from_str(json).unwrap();
    let given: Value = serde_json::from_str(json).unwrap();
    let again = serde_json::to_value(&request).unwrap();
    assert_eq!(without_defaults(&given), without_defaults(&again));
    request
}

/// What is empty, zero or null is the same as absent in the schema.
fn without_defaults(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_u64() == Some(0) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) => {
            Some(list.iter().map(|item| without_defaults(item).unwrap_or(Value::Null)).collect())
        }
        Value::Object(fields) => {
            let kept: serde_json::Map<_, _> = fields
                .iter()
                .filter_map(|(name, field)| Some((name.clone(), without_defaults(field)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

#[test]
fn a_request_has_the_form_that_the_protocol_shows() {
    let at = |micros: u64| UnixMicros(1_544_712_660_000_000 + micros);
    let receive = span(0xeee1_9b7e_c3c1_b174, 0, "receive")
        .kind(SpanKind::Server)
        .times(at(0), at(1_000_000))
        .with("http.request.method", "POST")
        .with("bytes", 256)
        .with("durable", true);
    let commit = span(0xeee1_9b7e_c3c1_b173, 0xeee1_9b7e_c3c1_b174, "commit")
        .times(at(5), at(7))
        .failed("no \"space\"");
    let expected = concat!(
        r#"{"resourceSpans":[{"resource":{"attributes":["#,
        r#"{"key":"service.name","value":{"stringValue":"distric"}},"#,
        r#"{"key":"service.instance.id","value":{"stringValue":"node-1"}},"#,
        r#"{"key":"service.version","value":{"stringValue":"0.1.0"}}]},"#,
        r#""scopeSpans":[{"scope":{"name":"distric","version":"0.1.0"},"spans":["#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":1,"#,
        r#""name":"receive","kind":2,"startTimeUnixNano":"1544712660000000000","#,
        r#""endTimeUnixNano":"1544712661000000000","attributes":["#,
        r#"{"key":"http.request.method","value":{"stringValue":"POST"}},"#,
        r#"{"key":"bytes","value":{"intValue":"256"}},"#,
        r#"{"key":"durable","value":{"boolValue":true}}]},"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b173","#,
        r#""parentSpanId":"eee19b7ec3c1b174","flags":1,"name":"commit","kind":1,"#,
        r#""startTimeUnixNano":"1544712660000005000","endTimeUnixNano":"1544712660000007000","#,
        r#""status":{"message":"no \"space\"","code":2}}]}]}]}"#,
    );
    let text = written(&[receive, commit]);
    assert_eq!(text, expected);

    let request = decoded(&text);
    let [resource_spans] = request.resource_spans.as_slice() else { panic!("one resource") };
    let [scope_spans] = resource_spans.scope_spans.as_slice() else { panic!("one scope") };
    let [receive, commit] = scope_spans.spans.as_slice() else { panic!("two spans") };
    assert_eq!(receive.trace_id, TRACE.to_be_bytes());
    assert_eq!(receive.parent_span_id, Vec::<u8>::new());
    assert_eq!(receive.kind, 2);
    assert_eq!(receive.end_time_unix_nano, 1_544_712_661_000_000_000);
    let number = receive.attributes[1].value.as_ref().unwrap().value.as_ref().unwrap();
    assert_eq!(*number, any_value::Value::IntValue(256));
    assert_eq!(commit.parent_span_id, receive.span_id);
    assert_eq!(commit.status.as_ref().unwrap().code, 2);
    assert_eq!(commit.status.as_ref().unwrap().message, "no \"space\"");
}

#[test]
fn the_strict_reader_sees_a_field_that_is_misspelt_and_an_id_that_is_cut() {
    let good = written(&[span(1, 2, "commit")]);
    decoded(&good);
    let wrong = [
        (r#""spanId""#, r#""span_id""#),
        (r#""startTimeUnixNano""#, r#""startTimeUnixNanos""#),
        (r#""kind":1"#, r#""kind":"internal""#),
        (r#""0000000000000001""#, r#""000000000000001""#),
        (r#""scopeSpans""#, r#""instrumentationLibrarySpans""#),
    ];
    for (right, wrong) in wrong {
        let text = good.replacen(right, wrong, 1);
        assert_ne!(text, good, "{right}");
        let caught = std::panic::catch_unwind(|| decoded(&text)).is_err();
        assert!(caught, "{wrong} went through");
    }
}

#[test]
fn no_spans_are_a_request_all_the_same() {
    let request = decoded(&written(&[]));
    assert_eq!(request.resource_spans[0].scope_spans[0].spans, []);
}

#[test]
fn numbers_and_times_past_the_schemas_are_its_largest() {
    let text =
        written(&[span(1, 0, "x").times(UnixMicros(0), UnixMicros(u64::MAX)).with("n", u64::MAX)]);
    assert!(text.contains(r#""endTimeUnixNano":"18446744073709551615""#), "{text}");
    assert!(text.contains(r#""intValue":"9223372036854775807""#), "{text}");
    decoded(&text);
}

#[test]
fn spans_beyond_the_bytes_wait_for_the_next_request() {
    let long = "\u{1}".repeat(ATTRIBUTE_BYTES_MAX);
    let large = |number| {
        let span = span(number, 0, "large").failed(long.clone());
        ["a", "b", "c", "d"].into_iter().fold(span, |span, name| span.with(name, long.clone()))
    };
    let spans: Vec<_> = (1..=40).map(large).collect();
    let mut left = spans.as_slice();
    let mut requests = 0;
    while !left.is_empty() {
        let mut out = Vec::new();
        let written = write_traces(&mut out, &resource(), left, OTLP_REQUEST_BYTES_MIN);
        assert!(written > 0);
        assert!(out.len() <= OTLP_REQUEST_BYTES_MIN, "{}", out.len());
        let request = decoded(std::str::from_utf8(&out).unwrap());
        assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), written);
        left = &left[written..];
        requests += 1;
    }
    assert!(requests > 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_span_is_read_by_a_collector_as_it_was_meant(
        seed in any::<u64>(),
        times in any::<(u32, u32)>(),
        error in prop::option::of("\\PC{0,40}"),
        attributes in prop::collection::vec(prop_oneof![
            any::<String>().prop_map(Attribute::from),
            any::<u64>().prop_map(Attribute::from),
            any::<bool>().prop_map(Attribute::from),
        ], 0..=4),
    ) {
        let buffer = SpanBuffer::new(Prng::new(seed));
        let mut span = buffer
            .span(TraceContext { trace: u128::from(seed) + 1, span: seed }, "task")
            .times(UnixMicros(times.0.into()), UnixMicros(times.1.into()));
        for (name, value) in ["a", "b", "c", "d"].into_iter().zip(attributes) {
            span = span.with(name, value);
        }
        if let Some(error) = error {
            span = span.failed(error);
        }
        let request = decoded(&written(std::slice::from_ref(&span)));
        let read = &request.resource_spans[0].scope_spans[0].spans[0];
        prop_assert_eq!(&read.span_id, &span.context.span.to_be_bytes());
        prop_assert_eq!(read.attributes.len(), span.attributes().count());
        for (read, (name, value)) in read.attributes.iter().zip(span.attributes()) {
            prop_assert_eq!(&read.key, name);
            let expected = match value {
                Attribute::Text(text) => any_value::Value::StringValue(text.to_string()),
                Attribute::Number(n) => {
                    any_value::Value::IntValue(i64::try_from(*n).unwrap_or(i64::MAX))
                }
                Attribute::Flag(flag) => any_value::Value::BoolValue(*flag),
            };
            prop_assert_eq!(read.value.as_ref().unwrap().value.as_ref(), Some(&expected));
        }
        let message = read.status.as_ref().map(|status| status.message.as_str());
        prop_assert_eq!(message.filter(|text| !text.is_empty()), span.error.as_deref().filter(|text| !text.is_empty()));
    }
}
