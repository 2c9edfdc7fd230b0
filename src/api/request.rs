//! The parts of a request, and the rules for its headers.

use crate::error::{ApiError, Code, quoted};
use base::limits::KEY_BYTES_MAX;
use telemetry::TraceContext;
use telemetry::json::write_number;

/// What the client wants done with the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Read, and leave the body out: routed as [`Method::Get`], the server drops the body.
    Head,
    /// Add, or do.
    Post,
    /// Put in its place.
    Put,
    /// Remove.
    Delete,
    /// Any other: no path knows it.
    Other,
}

impl Method {
    /// The method of a request line.
    pub fn parse(text: &str) -> Self {
        match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// A request as it came from a connection. It borrows from the connection's buffers: what is
/// accepted is copied once, into its record.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path, still percent-encoded, without the query.
    pub path: &'a str,
    /// What stands behind the `?`; empty when there is none.
    pub query: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Idempotency-Key`, any bytes that a header may hold.
    pub idempotency_key: Option<&'a [u8]>,
    /// [`USER_HEADER`], any bytes that a header may hold.
    pub by: Option<&'a [u8]>,
    /// The trace that it is part of; none for one that nobody records.
    pub trace: Option<TraceContext>,
    /// The whole body.
    pub body: &'a [u8],
}

/// The header that names who changes the catalogue. Nothing vouches for it: there is no
/// authentication yet.
pub const USER_HEADER: &str = "x-distric-user";

/// The longest name in that header. Unit: bytes.
pub const USER_BYTES_MAX: usize = 128;

/// Who is named as the author of a change; empty when nobody is.
pub fn user_of(header: Option<&[u8]>) -> Result<&str, ApiError> {
    let Some(user) = header else { return Ok("") };
    let printable = user.iter().all(|byte| (0x20..0x7f).contains(byte));
    let text = std::str::from_utf8(user).ok().map(str::trim);
    text.filter(|_| printable && user.len() <= USER_BYTES_MAX).ok_or_else(|| {
        let detail = format!("the {USER_HEADER} of {} bytes cannot be used", user.len());
        let hint = format!("use at most {USER_BYTES_MAX} printable ASCII characters, or none");
        ApiError::new(Code::BadRequest, detail).with_hint(hint)
    })
}

/// The longest key of a batch: a line's own key is `KEY#LINE`, and must fit the limit of a key. The
/// number of a line has at most 7 digits, as a batch has at most 2^20 bytes.
pub const BATCH_KEY_BYTES_MAX: usize = KEY_BYTES_MAX - 8;

const _: () = assert!(base::limits::BATCH_BYTES_MAX < 10_000_000, "a line number has 7 digits");

/// The idempotency key of a single message, if it has one that can be used.
pub fn key_of(header: Option<&[u8]>) -> Result<Option<&str>, ApiError> {
    header.map(|key| check_key(key, KEY_BYTES_MAX)).transpose()
}

/// The idempotency key of a batch, from which its lines' keys are made.
pub fn batch_key_of(header: Option<&[u8]>) -> Result<Option<&str>, ApiError> {
    header.map(|key| check_key(key, BATCH_KEY_BYTES_MAX)).transpose()
}

/// The key of one line of a batch: `KEY#LINE`.
pub fn write_line_key(out: &mut Vec<u8>, key: &str, line: u32) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'#');
    write_number(out, u64::from(line));
}

fn check_key(key: &[u8], bytes_max: usize) -> Result<&str, ApiError> {
    if key.len() > bytes_max {
        let detail =
            format!("the Idempotency-Key has {} bytes, at most {bytes_max} are allowed", key.len());
        return Err(ApiError::new(Code::KeyTooLong, detail));
    }
    if key.is_empty() {
        return Err(ApiError::new(Code::BadKey, "the Idempotency-Key is empty"));
    }
    match key.iter().find(|byte| !(0x20..0x7f).contains(*byte)) {
        Some(byte) => {
            let detail = format!("the Idempotency-Key holds the byte 0x{byte:02x}");
            Err(ApiError::new(Code::BadKey, detail))
        }
        None => Ok(std::str::from_utf8(key).expect("printable ASCII is UTF-8")),
    }
}

/// The media type of a `Content-Type` in parts: `type/subtype`, and whether its charset, if it names
/// one, is UTF-8.
pub(crate) fn media_type(content_type: &str) -> (&str, bool) {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let utf8 = parameters.split(';').all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known))
        }
        _ => true,
    });
    (essence.trim(), utf8)
}

/// What `curl -d` says when the user says nothing: taken as if nothing had been said.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Whether the body is to be read as JSON: it is for `application/json`, for no type at all and for
/// curl's default.
pub fn check_json(content_type: Option<&str>) -> Result<(), ApiError> {
    // The two that nearly every client sends.
    let Some(given) = content_type else { return Ok(()) };
    if given == "application/json" {
        return Ok(());
    }
    let (essence, utf8) = media_type(given);
    let known = essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case(FORM)
        || essence.is_empty();
    if known && utf8 { Ok(()) } else { Err(unsupported(given, "application/json")) }
}

/// How a rule or workflow file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFormat {
    /// JSON.
    Json,
    /// YAML; JSON is YAML too.
    Yaml,
}

/// How the body of a rule or definition request is to be read. Without a type it is YAML, of which
/// JSON is a part.
pub fn document_format(content_type: Option<&str>) -> Result<DocumentFormat, ApiError> {
    const YAML: [&str; 6] =
        ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", FORM, ""];
    let Some(given) = content_type else { return Ok(DocumentFormat::Yaml) };
    let (essence, utf8) = media_type(given);
    if utf8 && essence.eq_ignore_ascii_case("application/json") {
        Ok(DocumentFormat::Json)
    } else if utf8 && YAML.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        Ok(DocumentFormat::Yaml)
    } else {
        Err(unsupported(given, "application/yaml or application/json"))
    }
}

/// `given` is none of the types that are `expected`.
pub(crate) fn unsupported(given: &str, expected: &str) -> ApiError {
    let detail = format!("the content type `{}` is not understood here", quoted(given));
    ApiError::new(Code::UnsupportedMediaType, detail)
        .with_hint(format!("send Content-Type: {expected}, in UTF-8"))
}

#[cfg(test)]
mod tests;
