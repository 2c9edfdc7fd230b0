use super::exporting::read;
use super::*;
use crate::log::tests::{log_of, logging, written};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use telemetry::{Answer, TraceContext, Value};
use worker::HttpResponse;

const CORE_0: CoreId = CoreId(0);
const ROOT: TraceContext = TraceContext { trace: 7, span: 0 };

/// Long enough for any machine; what is waited for comes at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// A collector: it decodes what comes strictly, and answers as it is told.
struct Collector {
    address: SocketAddr,
    requests: Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    /// Answers with each of `answers` in turn, and with the last one from then on.
    fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        // Ends with the process, as it waits for connections.
        std::thread::spawn(move || {
            let mut answers = answers.iter();
            let mut answer = *answers.next().unwrap();
            for stream in listener.incoming() {
                serve(stream.unwrap(), &sender, || {
                    let next = answers.next().copied().unwrap_or(answer);
                    std::mem::replace(&mut answer, next)
                });
            }
        });
        Self { address, requests }
    }

    fn traces(&self) -> Traces {
        traces_to(self.address)
    }

    fn next(&self) -> ExportTraceServiceRequest {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

/// One connection. A collector may close it after any answer; this one keeps it.
fn serve(
    mut stream: TcpStream,
    requests: &Sender<ExportTraceServiceRequest>,
    mut answer: impl FnMut() -> &'static str,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_ascii_lowercase());
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let _ = requests.send(strictly_decoded(&body));
        let answer = answer();
        if answer.is_empty() {
            continue;
        }
        let (status, text) = answer.split_once(' ').unwrap();
        let length = text.len();
        write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{text}").unwrap();
    }
}

/// The schema's types skip what they do not know: they must write again all that they were given.
fn strictly_decoded(body: &[u8]) -> ExportTraceServiceRequest {
    fn names(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Array(list) => list.iter().for_each(|item| names(item, into)),
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                into.push(name.clone());
                names(field, into);
            }),
            _ => {}
        }
    }
    let request: ExportTraceServiceRequest = serde_json::from_slice(body).unwrap();
    let (mut given, mut known) = (Vec::new(), Vec::new());
    names(&serde_json::from_slice(body).unwrap(), &mut given);
    names(&serde_json::to_value(&request).unwrap(), &mut known);
    let unknown: Vec<_> = given.iter().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no fields of OTLP");
    request
}

fn traces_to(address: SocketAddr) -> Traces {
    let resource = Resource {
        service: "distric".to_owned(),
        instance: "1".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let endpoint = format!("http://{address}/v1/traces");
    Traces::new(&Options { endpoint: Some(&endpoint), resource: &resource, seed: 5 })
}

fn record(spans: &SpanBuffer, count: usize) {
    for _ in 0..count {
        spans.push(spans.span(ROOT, "receive"));
    }
}

/// Names of a request's spans, and who it says did them.
fn spans_of(request: &ExportTraceServiceRequest) -> (Vec<&str>, &str) {
    let [of_resource] = request.resource_spans.as_slice() else { panic!("one resource") };
    let resource = &of_resource.resource.as_ref().unwrap().attributes[0];
    let [of_scope] = of_resource.scope_spans.as_slice() else { panic!("one scope") };
    (of_scope.spans.iter().map(|span| span.name.as_str()).collect(), &resource.key)
}

/// What the registry holds for spans: exported, and dropped for a reason.
fn counted(registry: &Registry, reason: Option<&str>) -> u64 {
    let snapshot = registry.snapshot();
    let name = if reason.is_some() { TRACE_SPANS_DROPPED.name } else { TRACE_SPANS_EXPORTED.name };
    let sample = snapshot.samples().iter().find(|sample| {
        sample.name() == name && reason.is_none_or(|reason| sample.labels()[0].1 == reason)
    });
    match sample.unwrap().value() {
        Value::Count(count) => *count,
        other => panic!("{other:?}"),
    }
}

/// Waits until the counters say so.
async fn until(registry: &Registry, reason: Option<&str>, count: u64) {
    runtime::timeout(PATIENCE, async {
        while counted(registry, reason) < count {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

fn soon() -> Instant {
    runtime::instant() + PATIENCE
}

#[test]
fn a_thousand_spans_go_to_the_collector_and_the_rest_when_the_node_stops() {
    let collector = Collector::start(&["200 {}"]);
    let registry = Registry::new();
    runtime::block_on(async {
        let traces = collector.traces();
        let spans = traces.buffer(CORE_0);
        let tracing = start(&traces, CORE_0, &spans, &registry);
        record(&spans, BATCH_SPANS_MAX + 3);
        until(&registry, None, 1_000).await;
        tracing.stop(soon()).await;
    });
    for expected in [1_000, 3] {
        let request = collector.next();
        let (names, resource) = spans_of(&request);
        assert_eq!(names, vec!["receive"; expected]);
        assert_eq!(resource, "service.name");
    }
    assert_eq!(counted(&registry, None), 1_003);
}

#[test]
fn spans_of_all_cores_go_out_with_core_0_as_the_last() {
    let collector = Collector::start(&["200 {}"]);
    let (registry, other) = (Registry::new(), Registry::new());
    runtime::block_on(async {
        let traces = collector.traces();
        let (mine, theirs) = (traces.buffer(CORE_0), traces.buffer(CoreId(1)));
        let tracing = start(&traces, CORE_0, &mine, &registry);
        let core_1 = start(&traces, CoreId(1), &theirs, &other);
        record(&mine, 1);
        let ending = spawn_local(tracing.stop(soon()));
        // Core 0 waits for what core 1 does in its last moments.
        sleep(Duration::from_millis(1)).await;
        record(&theirs, 2);
        core_1.stop(soon()).await;
        ending.await;
    });
    assert_eq!(counted(&registry, None), 3);
}

/// The scenario "exporter down".
#[test]
fn exporter_down_costs_its_spans_and_one_line_and_nothing_else() {
    // An address at which nobody listens any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = log_of("info");
    let registry = Registry::new();
    let recorded = logging(&log, || {
        runtime::block_on(async {
            let traces = traces_to(address);
            let spans = traces.buffer(CORE_0);
            let tracing = start(&traces, CORE_0, &spans, &registry);
            let mut recorded = 0;
            // More than all places together hold: cores go on, and drop.
            runtime::timeout(PATIENCE, async {
                while counted(&registry, Some("full")) == 0 {
                    record(&spans, BATCH_SPANS_MAX);
                    recorded += 1_000;
                    sleep(Duration::from_millis(20)).await;
                }
            })
            .await
            .unwrap();
            let began = runtime::instant();
            tracing.stop(began + PATIENCE).await;
            assert!(runtime::instant().since(began) < PATIENCE / 2, "nobody waits for nobody");
            recorded
        })
    });
    let dropped = counted(&registry, Some("full")) + counted(&registry, Some("stopped"));
    assert_eq!((counted(&registry, None), dropped), (0, recorded));
    let text = written(&log);
    assert_eq!(text.matches("spans cannot be exported").count(), 1, "{text}");
    assert!(text.contains("WARN") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn a_collector_that_comes_back_gets_what_waited() {
    let collector = Collector::start(&["503 busy", "200 {}"]);
    let log = log_of("info");
    let registry = Registry::new();
    logging(&log, || {
        runtime::block_on(async {
            let traces = collector.traces();
            let spans = traces.buffer(CORE_0);
            let tracing = start(&traces, CORE_0, &spans, &registry);
            record(&spans, BATCH_SPANS_MAX);
            until(&registry, None, 1_000).await;
            tracing.stop(soon()).await;
        });
    });
    let (first, second) = (collector.next(), collector.next());
    assert_eq!(first, second, "the same spans again");
    let text = written(&log);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(r#""reason":"it answers 503: busy""#), "{text}");
    assert!(text.contains("spans can be exported again"), "{text}");
}

#[test]
fn a_collector_that_never_answers_does_not_hold_up_the_stop() {
    let collector = Collector::start(&[""]);
    let registry = Registry::new();
    runtime::block_on(async {
        let traces = collector.traces();
        let spans = traces.buffer(CORE_0);
        let tracing = start(&traces, CORE_0, &spans, &registry);
        record(&spans, 3);
        tracing.stop(runtime::instant() + Duration::from_millis(50)).await;
    });
    assert_eq!(counted(&registry, Some("stopped")), 3);
}

#[test]
fn switched_off_nothing_is_kept_and_the_counters_are_there() {
    let registry = Registry::new();
    runtime::block_on(async {
        let resource =
            Resource { service: String::new(), instance: String::new(), version: String::new() };
        let traces = Traces::new(&Options { endpoint: None, resource: &resource, seed: 5 });
        let spans = traces.buffer(CORE_0);
        assert!(!spans.is_on());
        let tracing = start(&traces, CORE_0, &spans, &registry);
        record(&spans, 3);
        tracing.stop(soon()).await;
    });
    for reason in ["full", "unreachable", "rejected", "stopped"] {
        assert_eq!(counted(&registry, Some(reason)), 0);
    }
}

#[test]
fn an_answer_means_what_the_protocol_says() {
    let later = |reason: &str, pause: Option<u64>| Answer::Later {
        reason: reason.to_owned(),
        pause: pause.map(Duration::from_secs),
    };
    let accepted = |rejected| Answer::Accepted { rejected };
    let never = |reason: &str| Answer::Never { reason: reason.to_owned() };
    let rows = [
        (200, "", "{}", accepted(0)),
        (200, "", "", accepted(0)),
        (202, "", "{\"partialSuccess\":{}}", accepted(0)),
        (200, "", r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#, accepted(3)),
        (200, "", r#"{"partialSuccess":{"rejectedSpans":4}}"#, accepted(4)),
        (200, "", r#"{"partialSuccess":{"rejectedSpans":"-1"}}"#, accepted(0)),
        (429, "7", "", later("it answers 429", Some(7))),
        (503, "Fri, 20 Nov 2026 10:00:00 GMT", "down", later("it answers 503: down", None)),
        (502, "", "", later("it answers 502", None)),
        (504, "", "", later("it answers 504", None)),
        (400, "", "bad", never("it answers 400: bad")),
        (404, "", "", never("it answers 404")),
        (500, "", "", never("it answers 500")),
        (301, "", "", never("it answers 301")),
    ];
    for (status, retry_after, body, expected) in rows {
        let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
        let response = HttpResponse { status, headers, body: Bytes::from(body) };
        assert_eq!(read(&response), expected, "{status} {body}");
    }
}
