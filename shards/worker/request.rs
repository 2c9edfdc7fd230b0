//! What is asked and what comes back, as values of our own: no type of hyper's leaves this crate.

use crate::target::Target;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, header};
use std::fmt;
use std::time::Duration;
use telemetry::TraceContext;

/// Headers of a request and of an answer.
pub const HEADERS_MAX: usize = 100;

/// The largest body that is sent. Four of the largest messages. Unit: bytes.
pub const REQUEST_BYTES_MAX: usize = 4 * base::limits::MESSAGE_BYTES_MAX;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const TRACEPARENT: &str = "traceparent";

/// What a vendor adds to a trace: it belongs to the `traceparent` that it came with.
const TRACESTATE: &str = "tracestate";

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.
    pub method: String,
    /// `http://` or `https://`, a host, perhaps a port, a path and a query.
    pub url: String,
    /// Names and values. Those that frame the message (`host`, `content-length`, `connection`,
    /// `transfer-encoding` and the like) are the client's to set.
    pub headers: Vec<(String, String)>,
    /// Sent with its length.
    pub body: Bytes,
    /// For all of it: name, connection, TLS, answer.
    pub timeout: Duration,
    /// Sent as `Idempotency-Key`; the same for every attempt of a task.
    pub idempotency_key: Option<String>,
}

impl HttpRequest {
    /// Says which trace the call is part of, by a `traceparent` header in the place of any that was
    /// given: what a workflow writes by hand is for requests that are not traced.
    pub fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        let Some(trace) = trace else { return self };
        self.headers.retain(|(name, _)| {
            !name.eq_ignore_ascii_case(TRACEPARENT) && !name.eq_ignore_ascii_case(TRACESTATE)
        });
        let mut value = Vec::new();
        trace.write_traceparent(&mut value);
        let value = String::from_utf8(value).expect("it is made of digits and dashes");
        self.headers.push((TRACEPARENT.to_owned(), value));
        self
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case, in the order received; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallErrorCode {
    /// The time was over. The effect may have happened.
    Timeout,
    /// Nobody listens there.
    Refused,
    /// There is no way to that host.
    Unreachable,
    /// The name was not found, or the name server did not answer.
    Dns,
    /// No trust, or no agreement on how to encrypt.
    Tls,
    /// The answer, or the request, has too many bytes or headers.
    TooLarge,
    /// Not an address this client can call.
    BadUrl,
    /// A method or header that is not one, or is the client's to set.
    BadRequest,
    /// The connection ended before the answer did. The effect may have happened.
    Broken,
    /// What came back is not HTTP.
    Protocol,
    /// Too many look-ups wait already.
    Busy,
    /// Every connection that may be had to that origin is in use. Nothing was sent.
    Exhausted,
}

impl CallErrorCode {
    /// The text form, for rules of retry and for records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::TooLarge => "too_large",
            Self::BadUrl => "bad_url",
            Self::BadRequest => "bad_request",
            Self::Broken => "broken",
            Self::Protocol => "protocol",
            Self::Busy => "busy",
            Self::Exhausted => "exhausted",
        }
    }
}

impl fmt::Display for CallErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Which kind.
    pub code: CallErrorCode,
    /// In words, with the values.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl CallError {
    pub(crate) fn later(code: CallErrorCode, message: String) -> Self {
        Self { code, message, retryable: true }
    }

    pub(crate) fn never(code: CallErrorCode, message: String) -> Self {
        Self { code, message, retryable: false }
    }
}

/// A request that was checked, ready to be sent once or twice.
pub(crate) struct Prepared {
    pub(crate) target: Target,
    pub(crate) has_key: bool,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Prepared {
    /// Checks everything that can be wrong with a request before anybody is asked.
    pub(crate) fn new(request: HttpRequest) -> Result<Self, CallError> {
        let target = Target::parse(&request.url)?;
        let method = parse_method(&request.method)?;
        if request.body.len() > REQUEST_BYTES_MAX {
            return Err(CallError::never(
                CallErrorCode::TooLarge,
                format!(
                    "the request's body has {} bytes, at most {REQUEST_BYTES_MAX} are sent",
                    request.body.len()
                ),
            ));
        }
        let mut headers = parse_headers(&request.headers)?;
        let own = [(header::HOST, target.authority()), (header::USER_AGENT, USER_AGENT)];
        for (name, value) in own {
            if !headers.contains_key(&name) {
                headers.insert(name, header_value("host", value)?);
            }
        }
        if let Some(key) = &request.idempotency_key {
            headers.insert(IDEMPOTENCY_KEY, header_value("idempotency-key", key)?);
        }
        let has_key = headers.contains_key(IDEMPOTENCY_KEY);
        Ok(Self { target, has_key, method, headers, body: request.body })
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.path();
        request.headers_mut().clone_from(&self.headers);
        request
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

const USER_AGENT: &str = concat!("distric/", env!("CARGO_PKG_VERSION"));

fn parse_method(text: &str) -> Result<Method, CallError> {
    match text {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "OPTIONS" => Ok(Method::OPTIONS),
        _ => Err(bad_request(format!(
            "`{}` is not a method: expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
            shortened(text)
        ))),
    }
}

fn parse_headers(list: &[(String, String)]) -> Result<HeaderMap, CallError> {
    // Room for those we set ourselves.
    if list.len() > HEADERS_MAX - 4 {
        return Err(CallError::never(
            CallErrorCode::TooLarge,
            format!("{} headers, at most {} are sent", list.len(), HEADERS_MAX - 4),
        ));
    }
    let mut headers = HeaderMap::with_capacity(list.len() + 4);
    for (name, value) in list {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            bad_request(format!("`{}` is not the name of a header", shortened(name)))
        })?;
        if FRAMING.contains(&parsed) {
            return Err(bad_request(format!("the header `{parsed}` is set by the client")));
        }
        headers.append(parsed, header_value(name, value)?);
    }
    Ok(headers)
}

/// Headers that say how the message is framed or which connection it is on: one that contradicts
/// what is really sent lets two requests be read as one.
const FRAMING: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

fn header_value(name: &str, value: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(value).map_err(|_| {
        // The value may be a secret: it is not repeated.
        bad_request(format!("the value of the header `{name}` has control characters"))
    })
}

fn bad_request(message: String) -> CallError {
    CallError::never(CallErrorCode::BadRequest, message)
}

/// The beginning of a text that came from outside, for a message.
pub(crate) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
