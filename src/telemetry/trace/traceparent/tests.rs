use super::*;
use proptest::prelude::*;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
const CONTEXT: TraceContext = TraceContext { trace: TRACE, span: SPAN };

/// The examples of W3C Trace Context, and each rule of section 3.2.2 broken once.
#[test]
fn a_header_is_read_as_the_standard_says() {
    use Traceparent::{Absent, Sampled, Unsampled};
    let sampled = Sampled(CONTEXT);
    let rows = [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", sampled),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Unsampled),
        // Flags beyond the first bit are not ours: level 2's random bit, and what is to come.
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", sampled),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", Unsampled),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", sampled),
        // A later version is read by the first four fields, whatever follows after a dash.
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", sampled),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", sampled),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", sampled),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", Absent),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", Absent),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Absent),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", Absent),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01", Absent),
        ("0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", Absent),
        ("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", Absent),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", Absent),
        (" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Absent),
        ("", Absent),
        ("00", Absent),
    ];
    for (text, expected) in rows {
        assert_eq!(Traceparent::parse(text.as_bytes()), expected, "{text}");
        let context = if let Sampled(context) = expected { Some(context) } else { None };
        assert_eq!(TraceContext::parse(text.as_bytes()), context, "{text}");
    }
}

#[test]
fn a_header_is_written_as_the_standards_example_is() {
    let mut out = b"traceparent: ".to_vec();
    CONTEXT.write_traceparent(&mut out);
    let expected = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
#[should_panic(expected = "names its trace and span")]
fn a_context_without_a_span_does_not_leave_a_node() {
    TraceContext { trace: 1, span: 0 }.write_traceparent(&mut Vec::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_again(trace in 1..=u128::MAX, span in 1..=u64::MAX) {
        let context = TraceContext { trace, span };
        let mut out = Vec::new();
        context.write_traceparent(&mut out);
        prop_assert_eq!(out.len(), TRACEPARENT_BYTES);
        prop_assert_eq!(TraceContext::parse(&out), Some(context));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert_eq!(Traceparent::parse(&bytes), Traceparent::Absent);
    }

    /// One byte of a good header changed: it is another good header, or none.
    #[test]
    fn a_changed_byte_gives_no_zero_and_no_panic(at in 0..TRACEPARENT_BYTES, byte in any::<u8>()) {
        let mut out = Vec::new();
        CONTEXT.write_traceparent(&mut out);
        out[at] = byte;
        if let Some(context) = TraceContext::parse(&out) {
            prop_assert!(context.trace != 0 && context.span != 0);
        }
    }
}
