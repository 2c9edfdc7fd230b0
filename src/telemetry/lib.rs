//! What a node says about itself, as values: metric cells and the Prometheus text made of them,
//! log lines, health. Who owns a clock, a socket or a thread hands in time and takes out bytes.
//!
//! - A core keeps a [`Registry`] and updates the cells that it hands out; a scrape takes a
//!   [`Snapshot`] of each core, [`merge`]s them and writes [`prometheus`] text.
//! - A core keeps a [`LogBuffer`]; lines are written into it by [`write_event`] or [`Line`], and
//!   taken out in one piece for the thread that writes.
//! - A core keeps a [`SpanBuffer`] and a [`Sampler`]; what carries a [`TraceContext`] is recorded as a
//!   [`Span`].
//! - [`Health`] knows which parts of the node work.
//!
//! Invariants:
//! - no lock, no atomic and no allocation when a cell is updated or a line is put into its buffer;
//! - what is full drops and counts, it never grows and never waits.

pub mod families;
mod health;
pub mod json;
mod log;
mod metric;
mod otlp;
mod prometheus;
mod registry;
mod summary;
mod time;
mod trace;

pub use health::{Check, Health, State};
pub use log::{
    Filter, FilterError, LINE_BYTES_MAX, Level, Line, LogBuffer, component_of, write_event,
};
pub use metric::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, Merge, Unit,
};
pub use otlp::{OTLP_REQUEST_BYTES_MIN, OTLP_SPAN_BYTES_MAX, Resource, write_traces};
pub use prometheus::prometheus;
pub use registry::{
    LABEL_BYTES_MAX, LABELS_MAX, Registry, SERIES_MAX, Sample, Snapshot, Value, merge,
};
pub use summary::{Summary, SummaryFamily};
pub use time::write_time;
pub use trace::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, Answer, Attribute, BATCH_SPANS_MAX, DropReason,
    EXPORT_INTERVAL, ExportEffect, ExportError, QUEUE_SPANS_MAX, RatioError, SPANS_MAX, Sampler,
    Span, SpanBuffer, SpanExporter, SpanKind, TRACEPARENT_BYTES, TraceContext, Traceparent,
};
