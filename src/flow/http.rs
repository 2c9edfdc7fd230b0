//! What an `http` task asks for, and what an answer means for it.
//!
//! Invariants:
//! - a request that exists can be written: its method, its URL and its headers hold no character
//!   that would end a line of HTTP;
//! - which answers are failures is decided here, before the result becomes a record.

use crate::effect::TaskError;
use crate::step::nests_within;
use base::limits::NESTING_MAX;
use expr::{Map, Value};
use std::borrow::Cow;
use std::time::Duration;

/// How long a call may take where nothing else is said. A call without an end would hold its
/// instance for ever.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The largest body of a request or an answer. Unit: bytes. An answer becomes a record of the log.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Headers a request can have.
pub(crate) const HEADERS_MAX: usize = 64;

/// The longest value of a header. Unit: bytes. Servers commonly refuse more than 8 KiB.
pub(crate) const HEADER_BYTES_MAX: usize = 8 * 1024;

/// The longest URL. Unit: bytes. Servers commonly refuse more than 8 KiB.
pub(crate) const URL_BYTES_MAX: usize = 8 * 1024;

/// How much of a refusing answer goes into the error's message. Unit: bytes.
const EXCERPT_BYTES_MAX: usize = 256;

pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A call to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `POST`.
    pub method: String,
    /// Begins with `http://` or `https://`.
    pub url: String,
    /// In the order of their names; a name is given once. The content's type is among them when
    /// there is a body, the idempotency key is not: it is the order's.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Option<Vec<u8>>,
    /// How long the whole call may take.
    pub timeout: Duration,
}

/// Why something is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("`{key}` must be {expected}, this is {kind}")]
    Kind { key: &'static str, expected: &'static str, kind: &'static str },
    #[error(
        "there is no method `{method}`: known are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    )]
    Method { method: String },
    #[error("a url begins with http:// or https:// and a host")]
    Scheme,
    #[error("a url holds only visible characters of ASCII; escape others as in %20")]
    UrlCharacter,
    #[error("the url is too long: {bytes} bytes, the limit is {URL_BYTES_MAX}")]
    UrlLength { bytes: usize },
    #[error("`{name}` is no name of a header")]
    HeaderName { name: String },
    #[error("the header `{name}` is set by the one who makes the call")]
    HeaderTaken { name: String },
    #[error("the header `{name}` is given twice: case does not count")]
    HeaderTwice { name: String },
    #[error("the value of the header `{name}` is too long or holds a control character")]
    HeaderValue { name: String },
    #[error("there are too many headers: {count}, the limit is {HEADERS_MAX}")]
    HeaderCount { count: usize },
    #[error("the body is too large: {bytes} bytes, the limit is {BODY_BYTES_MAX}")]
    Body { bytes: usize },
}

/// Makes a request of what `with` came out as.
pub(crate) fn request(with: &Value, timeout: Option<Duration>) -> Result<HttpRequest, BadRequest> {
    let empty = Map::default();
    let with = with.as_map().unwrap_or(&empty);
    let method = match with.get("method") {
        None => "GET",
        Some(method) => text("method", method)?,
    };
    check_method(method)?;
    let url = text("url", with.get("url").unwrap_or(&Value::Null))?;
    check_url(url)?;
    let mut headers = match with.get("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Map(map)) => request_headers(map)?,
        Some(other) => return Err(wrong("headers", "a map", other)),
    };
    let body = match with.get("body") {
        None | Some(Value::Null) => None,
        Some(Value::Text(text)) => Some((text.as_bytes().to_vec(), "text/plain; charset=utf-8")),
        Some(other) => Some((other.to_json().into_bytes(), "application/json")),
    };
    let body = if let Some((bytes, content_type)) = body {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(BadRequest::Body { bytes: bytes.len() });
        }
        let place = headers.binary_search_by(|(name, _)| name.as_str().cmp("content-type"));
        if let Err(place) = place {
            headers.insert(place, ("content-type".to_owned(), content_type.to_owned()));
        }
        Some(bytes)
    } else {
        None
    };
    let timeout = timeout.unwrap_or(TIMEOUT_DEFAULT);
    Ok(HttpRequest { method: method.to_owned(), url: url.to_owned(), headers, body, timeout })
}

pub(crate) fn wrong(key: &'static str, expected: &'static str, value: &Value) -> BadRequest {
    BadRequest::Kind { key, expected, kind: value.kind_name() }
}

fn text<'a>(key: &'static str, value: &'a Value) -> Result<&'a str, BadRequest> {
    value.as_text().ok_or_else(|| wrong(key, "text", value))
}

pub(crate) fn check_method(method: &str) -> Result<(), BadRequest> {
    if METHODS.contains(&method) {
        return Ok(());
    }
    Err(BadRequest::Method { method: method.chars().take(20).collect() })
}

pub(crate) fn check_url(url: &str) -> Result<(), BadRequest> {
    let after = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if after.is_none_or(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return Err(BadRequest::Scheme);
    }
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(BadRequest::UrlCharacter);
    }
    if url.len() > URL_BYTES_MAX {
        return Err(BadRequest::UrlLength { bytes: url.len() });
    }
    Ok(())
}

/// RFC 9110, section 5.1: a name is a token.
pub(crate) fn check_header_name(name: &str) -> Result<(), BadRequest> {
    /// What says where a message ends and where it goes belongs to the one who writes it; the
    /// idempotency key is the promise that a repeat can be dropped.
    const TAKEN: [&str; 8] = [
        "connection",
        "content-length",
        "host",
        "idempotency-key",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
        return Err(BadRequest::HeaderName { name: name.chars().take(40).collect() });
    }
    if TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
        return Err(BadRequest::HeaderTaken { name: name.to_ascii_lowercase() });
    }
    Ok(())
}

fn request_headers(map: &Map) -> Result<Vec<(String, String)>, BadRequest> {
    if map.len() > HEADERS_MAX {
        return Err(BadRequest::HeaderCount { count: map.len() });
    }
    let mut headers = Vec::with_capacity(map.len());
    for (name, value) in map.iter() {
        check_header_name(name)?;
        let name = name.to_ascii_lowercase();
        let value: Cow<'_, str> = match value {
            Value::Null => continue,
            Value::Text(text) => Cow::Borrowed(text),
            Value::List(_) | Value::Map(_) => {
                return Err(wrong("headers", "a map of texts and numbers", value));
            }
            scalar => Cow::Owned(scalar.to_json()),
        };
        if value.len() > HEADER_BYTES_MAX || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(BadRequest::HeaderValue { name });
        }
        headers.push((name, value.into_owned()));
    }
    headers.sort();
    if let Some(pair) = headers.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(BadRequest::HeaderTwice { name: pair[0].0.clone() });
    }
    Ok(headers)
}

/// What an answer means for its task: 2xx completes it with `{status, headers, body}`, everything
/// else fails it with the code `http_` and the status. Another attempt can help where the server
/// says that it cannot answer now: 408, 425, 429 and 5xx. Redirections are not followed.
///
/// `headers` are as they came; names are made lower case, values of equal names are joined with
/// `, ` (RFC 9110, section 5.3). A body whose type is JSON is read, any other becomes text.
pub fn response(
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Value, TaskError> {
    let text = String::from_utf8_lossy(body);
    if !(200..300).contains(&status) {
        let code = format!("http_{status}");
        let mut excerpt = text.trim().to_owned();
        crate::effect::cut(&mut excerpt, EXCERPT_BYTES_MAX);
        let message = if excerpt.is_empty() {
            format!("the server answered {status} without a body")
        } else {
            format!("the server answered {status}: {excerpt}")
        };
        let passing = matches!(status, 408 | 425 | 429) || status >= 500;
        return Err(if passing {
            TaskError::passing(code, message)
        } else {
            TaskError::lasting(code, message)
        });
    }
    if body.len() > BODY_BYTES_MAX {
        let message = format!("the answer has {} bytes, the limit is {BODY_BYTES_MAX}", body.len());
        return Err(TaskError::lasting("too_large", message));
    }
    let mut joined: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        match joined.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push_str(", ");
                values.push_str(value);
            }
            None => joined.push((name, value.clone())),
        }
    }
    let content_type = joined.iter().find(|(name, _)| name == "content-type");
    let is_json = content_type.is_some_and(|(_, value)| is_json(value));
    let body = if body.is_empty() {
        Value::Null
    } else if is_json {
        json(body)?
    } else {
        Value::text(text.as_ref())
    };
    let headers = Value::map(joined.into_iter().map(|(name, value)| (name, Value::text(value))));
    Ok(Value::map([
        ("status", Value::from(u32::from(status))),
        ("headers", headers),
        ("body", body),
    ]))
}

/// A body that says it is JSON. It becomes a part of the output, which must not nest deeper than
/// can be read back.
fn json(body: &[u8]) -> Result<Value, TaskError> {
    let bad = |why: &str| {
        TaskError::lasting("bad_answer", format!("the answer says it is JSON, but {why}"))
    };
    let value = Value::parse_json(body).map_err(|error| bad(&error.to_string()))?;
    if !nests_within(&value, NESTING_MAX - 1) {
        return Err(bad("it nests too deep"));
    }
    Ok(value)
}

/// `application/json`, or a type with the suffix `+json` (RFC 6839).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests;
