//! Traces: which trace a piece of work belongs to, what is recorded of it, and where records wait.
//!
//! What is not sampled carries no [`TraceContext`] and costs a comparison.
//!
//! Invariants:
//! - a context that was read or made names a trace, and whatever leaves a node names a span too;
//! - a full buffer drops the new span and counts it; it never grows and never waits;
//! - no span's id is 0.

mod buffer;
mod exporter;
mod sampler;
mod span;
mod traceparent;

pub use buffer::{SPANS_MAX, SpanBuffer};
pub use exporter::{
    Answer, BATCH_SPANS_MAX, DropReason, EXPORT_INTERVAL, ExportEffect, ExportError,
    QUEUE_SPANS_MAX, SpanExporter,
};
pub use sampler::{RatioError, Sampler};
pub use span::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, Attribute, Span, SpanKind};
pub(crate) use traceparent::write_hex;
pub use traceparent::{TRACEPARENT_BYTES, Traceparent};

/// The name of a trace and of the span that caused what carries it: W3C Trace Context, level 2,
/// section 3.2. Whoever carries one is to be recorded: what is not sampled travels without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace, never 0.
    pub trace: u128,
    /// The parent's span. 0 where the trace begins, between the door that sampled a request and the
    /// first span that is recorded of it: no such context leaves a node.
    pub span: u64,
}
