//! One client's connection: hyper speaks HTTP, this hands whole requests in and answers out.

use crate::counted::Counted;
use crate::{BODIES_BYTES_MAX, Backend, Doors, Limits, Share};
use api::{ApiError, Code, Method, Request, Response, Route};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use runtime::http_io::{HttpIo, HttpTimer};
use runtime::{LocalEvent, Stream, timeout_coarse};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use telemetry::Traceparent;

type Answer = hyper::Response<Full<Bytes>>;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The name under which refused paths are counted: clients choose those, so they get one.
const UNROUTED: &str = "unknown";

/// How much of a refused body is read only to be thrown away. Unit: bytes. Four times the largest
/// batch, and as much as the largest body of all: who sends more has its connection reset.
const DRAIN_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// And for how long.
const DRAIN_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(DRAIN_BYTES_MAX >= 4 * base::limits::BATCH_BYTES_MAX as u64);
const _: () = assert!(DRAIN_BYTES_MAX >= api::SET_BYTES_MAX as u64);

pub(crate) async fn run<B: Backend>(
    stream: Stream,
    doors: &Doors<B>,
    limits: Limits,
    stop: &LocalEvent,
) {
    let _open = doors.metrics.opened();
    let counted = Counted::new(stream, Rc::clone(&doors.metrics));
    let io = HttpIo::new(counted, limits.write_stall_max);
    let service = service_fn(|request| async move {
        Ok::<Answer, Infallible>(serve(request, doors, limits).await)
    });
    let connection = http1::Builder::new()
        .timer(HttpTimer)
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max)
        .half_close(true)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut stopping = pin!(stop.wait());
    let mut told = stop.is_set();
    if told {
        connection.as_mut().graceful_shutdown();
    }
    let ended = std::future::poll_fn(|context| {
        if !told && stopping.as_mut().poll(context).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await;
    if let Err(error) = ended {
        doors.metrics.failed(reason(&error));
    }
}

fn reason(error: &hyper::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_parse() {
        "bad_request"
    } else if error.is_incomplete_message() {
        "incomplete"
    } else {
        "io"
    }
}

async fn serve<B: Backend>(
    request: hyper::Request<Incoming>,
    doors: &Doors<B>,
    limits: Limits,
) -> Answer {
    let began = runtime::instant();
    let (head, mut body) = request.into_parts();
    let method = Method::parse(head.method.as_str());
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or(""));
    // The time that a client asks to wait for an event says nothing of the node.
    let mut waits = false;
    let (pattern, response) = match api::route(method, path, query) {
        Err(error) => (UNROUTED, error.to_response()),
        Ok(route) => {
            waits = matches!(&route, Route::Events(query) if !query.wait.is_zero());
            let head = Head { method, path, query, headers: &head.headers };
            let answer = routed(&route, &head, &mut body, doors, limits).await;
            (route.pattern(), answer.unwrap_or_else(|error| error.to_response()))
        }
    };
    if response.status >= 400 && !head.headers.contains_key(header::EXPECT) {
        // What is still to come then is the client's loss: it was given its time.
        let _in_time = timeout_coarse(limits.body_timeout.min(DRAIN_MAX), drain(&mut body)).await;
    }
    doors.metrics.answered(pattern, response.status);
    if !waits {
        doors.metrics.took(runtime::instant().since(began));
    }
    to_http(response)
}

struct Head<'a> {
    method: Method,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
}

async fn routed<B: Backend>(
    route: &Route,
    head: &Head<'_>,
    body: &mut Incoming,
    doors: &Doors<B>,
    limits: Limits,
) -> Result<Response, ApiError> {
    let content_type = head.headers.get(header::CONTENT_TYPE).map(text).transpose()?;
    let bytes_max = route.body_bytes_max();
    let mut share = Share::of(&doors.bodies);
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        let late = |_| {
            let seconds = limits.body_timeout.as_secs();
            let detail = format!("the body did not arrive within {seconds} s");
            ApiError::new(Code::RequestTimeout, detail)
        };
        timeout_coarse(limits.body_timeout, whole(body, bytes_max, &mut share))
            .await
            .map_err(late)??
    };
    let request = Request {
        method: head.method,
        path: head.path,
        query: head.query,
        content_type,
        idempotency_key: head.headers.get(IDEMPOTENCY_KEY).map(HeaderValue::as_bytes),
        by: head.headers.get(api::USER_HEADER).map(HeaderValue::as_bytes),
        trace: match route {
            Route::SubmitMessage | Route::SubmitBatch => doors.trace(traceparent(head.headers)),
            // Nothing is caused that a trace could show.
            _ => None,
        },
        body: &body,
    };
    doors.backend.request(route, &request).await.map_err(|_| {
        // The core ends while the request waits: its outcome is not known.
        ApiError::new(Code::Stopping, "the node stopped before the outcome was known")
            .with_hint("send again with the same Idempotency-Key once the node is back")
    })
}

/// What the caller says of its trace. Two headers contradict each other: none counts.
fn traceparent(headers: &HeaderMap) -> Traceparent {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Traceparent::parse(value.as_bytes().trim_ascii()),
        _ => Traceparent::Absent,
    }
}

fn text(value: &HeaderValue) -> Result<&str, ApiError> {
    value.to_str().map_err(|_| {
        ApiError::new(Code::BadRequest, "the Content-Type header holds bytes that are not text")
    })
}

/// The whole body, in one piece without a copy when it came in one.
async fn whole(
    body: &mut Incoming,
    bytes_max: usize,
    share: &mut Share<'_>,
) -> Result<Bytes, ApiError> {
    if let Some(length) = body.size_hint().exact()
        && length > bytes_max as u64
    {
        return Err(ApiError::too_large(usize::try_from(length).unwrap_or(usize::MAX), bytes_max));
    }
    let mut first = Bytes::new();
    let mut joined: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::new(Code::BadRequest, format!("the body broke off: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + joined.len() + data.len() > bytes_max {
            return Err(ApiError::larger_than(bytes_max));
        }
        if !share.take(data.len()) {
            let detail = format!("{BODIES_BYTES_MAX} bytes of bodies are on their way already");
            return Err(ApiError::overloaded(detail, 1));
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if joined.is_empty() { first } else { Bytes::from(joined) })
}

/// Reads on after a refusal, so that a client that is still sending gets to the answer: to close
/// with bytes unread resets the connection, and many clients then never look at what came before.
/// One that asked first (`Expect`) has not begun to send.
async fn drain(body: &mut Incoming) {
    let mut drained = 0;
    while !body.is_end_stream()
        && body.size_hint().lower() <= DRAIN_BYTES_MAX
        && drained <= DRAIN_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}

fn to_http(response: Response) -> Answer {
    let mut answer = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *answer.status_mut() =
        hyper::StatusCode::from_u16(response.status).expect("the api's statuses are HTTP's");
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(response.content_type.as_str()));
    if let Some(seconds) = response.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = response.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    answer
}
