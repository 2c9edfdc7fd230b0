//! An answer, ready for a socket.

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// JSON.
    Json,
    /// Prometheus' text exposition format.
    Prometheus,
    /// Plain text.
    Text,
}

impl ContentType {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// An answer: status, the few headers that are ours, body. Length and date are the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: ContentType,
    /// `Retry-After`. Unit: seconds.
    pub retry_after_seconds: Option<u32>,
    /// `Allow`.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self::new(status, ContentType::Json, body)
    }

    /// Any other answer.
    pub fn new(status: u16, content_type: ContentType, body: Vec<u8>) -> Self {
        Self { status, content_type, retry_after_seconds: None, allow: None, body }
    }
}
