//! Where a core's spans wait to be exported, and where their ids come from.

use super::{Span, TraceContext};
use base::Prng;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Spans that wait on one core. Two exports' worth and more: 4,096 spans of some 250 bytes are a
/// megabyte, and are drained several times a second.
pub const SPANS_MAX: usize = 4_096;

/// A core's spans, waiting. Clones are the same buffer.
#[derive(Clone, Debug)]
pub struct SpanBuffer {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spans: RefCell<Vec<Span>>,
    ids: RefCell<Prng>,
    spans_max: usize,
    dropped: Cell<u64>,
}

impl SpanBuffer {
    /// An empty buffer for [`SPANS_MAX`] spans. `ids` must differ from core to core and from start
    /// to start, as spans' ids are drawn from it.
    pub fn new(ids: Prng) -> Self {
        Self::with_room(ids, SPANS_MAX)
    }

    /// A buffer that keeps nothing and counts nothing as dropped: traces are switched off.
    pub fn off() -> Self {
        Self::with_room(Prng::new(0), 0)
    }

    fn with_room(ids: Prng, spans_max: usize) -> Self {
        let inner = Inner {
            // Grown on first use: most nodes are not traced.
            spans: RefCell::default(),
            ids: RefCell::new(ids),
            spans_max,
            dropped: Cell::new(0),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Whether spans are kept at all.
    pub fn is_on(&self) -> bool {
        self.inner.spans_max > 0
    }

    /// The context of a new span below `parent`: what its own children, and calls to others, carry.
    pub fn child(&self, parent: TraceContext) -> TraceContext {
        TraceContext { trace: parent.trace, span: nonzero(&mut self.inner.ids.borrow_mut()) }
    }

    /// A span of `name` below `parent`, with an id of its own: fill in the rest and
    /// [`SpanBuffer::push`] it.
    pub fn span(&self, parent: TraceContext, name: &'static str) -> Span {
        self.span_of(self.child(parent), parent, name)
    }

    /// As [`SpanBuffer::span`], for a context that [`SpanBuffer::child`] gave out when the work
    /// began, or that was carried along since.
    #[allow(clippy::unused_self, reason = "a span is made by the buffer that it is for")]
    pub fn span_of(&self, own: TraceContext, parent: TraceContext, name: &'static str) -> Span {
        assert!(own.trace == parent.trace, "a span is in its parent's trace");
        assert!(own.span != 0, "a span has an id");
        Span::new(own, (parent.span != 0).then_some(parent.span), name)
    }

    /// Adds a span, and tells whether there was room for it.
    pub fn push(&self, span: Span) -> bool {
        let inner = &*self.inner;
        if !self.is_on() {
            return false;
        }
        let mut spans = inner.spans.borrow_mut();
        if spans.len() == inner.spans_max {
            inner.dropped.set(inner.dropped.get() + 1);
            return false;
        }
        spans.push(span);
        true
    }

    /// Spans that wait.
    pub fn len(&self) -> usize {
        self.inner.spans.borrow().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Spans dropped so far.
    pub fn dropped_total(&self) -> u64 {
        self.inner.dropped.get()
    }

    /// Moves spans that wait to the end of `to`, oldest first, at most `spans_max` of them.
    pub fn drain_into(&self, to: &mut Vec<Span>, spans_max: usize) {
        let mut spans = self.inner.spans.borrow_mut();
        let count = spans.len().min(spans_max);
        to.extend(spans.drain(..count));
    }
}

/// A random number that is not 0.
pub(super) fn nonzero(ids: &mut Prng) -> u64 {
    // A second draw of 0 means that the generator is broken: its states never repeat that soon.
    match ids.next_u64() {
        0 => ids.next_u64().max(1),
        id => id,
    }
}

#[cfg(test)]
mod tests;
