//! One piece of work that was done, and how it ended.

use super::TraceContext;
use base::UnixMicros;
use std::borrow::Cow;

/// Attributes of one span.
pub const ATTRIBUTES_MAX: usize = 4;

/// The longest text of an attribute or an error; what is longer is cut at a character. Unit: bytes.
/// A name or an address, not a payload: it keeps a full buffer of spans in the low megabytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 256;

/// Which side of a call a span stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Inside a node.
    Internal,
    /// It answers somebody.
    Server,
    /// It asks somebody.
    Client,
    /// It hands on what will be done later.
    Producer,
    /// It does what was handed on.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number. What is above the largest signed number is written as that.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Attribute {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A piece of work that has ended. Plain data: it may leave its core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its trace, and its own id, which its children name as their parent's.
    pub context: TraceContext,
    /// The span that caused it; none where the trace begins.
    pub parent: Option<u64>,
    /// What was done, the same for all of its sort: `receive`, `commit`.
    pub name: &'static str,
    /// Which side of a call it stands on.
    pub kind: SpanKind,
    /// When it began.
    pub start: UnixMicros,
    /// When it ended.
    pub end: UnixMicros,
    /// Why it failed; none when it did not.
    pub error: Option<Cow<'static, str>>,
    attributes: [Option<(&'static str, Attribute)>; ATTRIBUTES_MAX],
}

impl Span {
    /// A span of which nothing but its name is known yet.
    pub(super) fn new(context: TraceContext, parent: Option<u64>, name: &'static str) -> Self {
        Self {
            context,
            parent,
            name,
            kind: SpanKind::Internal,
            start: UnixMicros(0),
            end: UnixMicros(0),
            error: None,
            attributes: [const { None }; ATTRIBUTES_MAX],
        }
    }

    /// Which side of a call it stands on; [`SpanKind::Internal`] unless said.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// When it began and ended. Clocks jump: an end before the start becomes the start.
    pub fn times(mut self, start: UnixMicros, end: UnixMicros) -> Self {
        self.start = start;
        self.end = end.max(start);
        self
    }

    /// One more attribute, of at most [`ATTRIBUTES_MAX`].
    pub fn with(mut self, name: &'static str, value: impl Into<Attribute>) -> Self {
        let place = self.attributes.iter_mut().find(|place| place.is_none());
        let place = place.unwrap_or_else(|| panic!("`{name}` is one attribute too many"));
        let value = match value.into() {
            Attribute::Text(text) => Attribute::Text(bounded(text)),
            other => other,
        };
        *place = Some((name, value));
        self
    }

    /// It failed, and why.
    pub fn failed(mut self, error: impl Into<Cow<'static, str>>) -> Self {
        self.error = Some(bounded(error.into()));
        self
    }

    /// Its attributes, in the order in which they were given.
    pub fn attributes(&self) -> impl Iterator<Item = &(&'static str, Attribute)> {
        self.attributes.iter().flatten()
    }
}

fn bounded(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= ATTRIBUTE_BYTES_MAX {
        return text;
    }
    let end = text.floor_char_boundary(ATTRIBUTE_BYTES_MAX);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        // A copy, as a cut String would keep all of its memory.
        Cow::Owned(text) => Cow::Owned(text[..end].to_owned()),
    }
}

#[cfg(test)]
mod tests;
