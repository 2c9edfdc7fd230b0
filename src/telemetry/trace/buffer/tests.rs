use super::*;
use std::collections::BTreeSet;

const ROOT: TraceContext = TraceContext { trace: 7, span: 0 };

#[test]
fn a_full_buffer_drops_and_counts_and_has_room_again_when_drained() {
    let buffer = SpanBuffer::new(Prng::new(1));
    for _ in 0..SPANS_MAX {
        assert!(buffer.push(buffer.span(ROOT, "early")));
    }
    assert!(!buffer.push(buffer.span(ROOT, "late")));
    assert_eq!((buffer.len(), buffer.dropped_total()), (SPANS_MAX, 1));
    let mut drained = Vec::new();
    buffer.drain_into(&mut drained, 1);
    assert_eq!((drained.len(), buffer.len()), (1, SPANS_MAX - 1));
    buffer.drain_into(&mut drained, SPANS_MAX);
    assert!(drained.iter().all(|span| span.name == "early"));
    assert!(buffer.is_empty());
    assert!(buffer.push(buffer.span(ROOT, "again")));
    assert_eq!(buffer.dropped_total(), 1);
}

#[test]
fn a_buffer_that_is_off_keeps_nothing_and_drops_nothing() {
    let buffer = SpanBuffer::off();
    assert!(!buffer.is_on());
    assert!(!buffer.push(buffer.span(ROOT, "receive")));
    assert_eq!((buffer.len(), buffer.dropped_total()), (0, 0));
}

#[test]
fn a_trace_begins_with_a_span_that_has_no_parent_and_goes_on_below_it() {
    let buffer = SpanBuffer::new(Prng::new(1));
    let receive = buffer.span(ROOT, "receive");
    let commit = buffer.span(receive.context, "commit");
    assert_eq!((receive.parent, receive.context.trace), (None, 7));
    assert_eq!((commit.parent, commit.context.trace), (Some(receive.context.span), 7));
    let ahead = buffer.child(commit.context);
    let task = buffer.span_of(ahead, commit.context, "task");
    assert_eq!((task.context, task.parent), (ahead, Some(commit.context.span)));
}

#[test]
fn ids_are_unique_over_cores_and_starts() {
    let mut seeds = Prng::new(3);
    let mut ids = BTreeSet::new();
    for _ in 0..16 {
        let buffer = SpanBuffer::new(seeds.fork("spans"));
        for _ in 0..10_000 {
            let id = buffer.child(ROOT).span;
            assert!(id != 0);
            assert!(ids.insert(id), "{id} came twice");
        }
    }
}
