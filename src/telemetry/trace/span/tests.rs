use super::*;

fn span() -> Span {
    Span::new(TraceContext { trace: 1, span: 2 }, None, "commit")
}

#[test]
fn attributes_stand_in_the_order_in_which_they_were_given() {
    let span = span().with("records", 3).with("core", "0").with("durable", true);
    let attributes: Vec<_> = span.attributes().cloned().collect();
    assert_eq!(
        attributes,
        [("records", 3.into()), ("core", "0".into()), ("durable", Attribute::Flag(true))]
    );
}

#[test]
#[should_panic(expected = "`e` is one attribute too many")]
fn a_fifth_attribute_is_a_mistake_of_ours() {
    let _ = span().with("a", 1).with("b", 2).with("c", 3).with("d", 4).with("e", 5);
}

#[test]
fn an_end_before_the_start_becomes_the_start() {
    let span = span().times(UnixMicros(7), UnixMicros(5));
    assert_eq!((span.start, span.end), (UnixMicros(7), UnixMicros(7)));
}

#[test]
fn a_text_too_long_is_cut_at_a_character() {
    // 1 byte, then 2 per character: the limit lies within one.
    let long = format!("x{}", "ö".repeat(ATTRIBUTE_BYTES_MAX));
    let cut = format!("x{}", "ö".repeat((ATTRIBUTE_BYTES_MAX - 1) / 2));
    let span = span().with("key", long.clone()).failed(long);
    assert_eq!(span.attributes().next(), Some(&("key", cut.clone().into())));
    assert_eq!(span.error.as_deref(), Some(cut.as_str()));
}
