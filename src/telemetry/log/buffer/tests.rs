use super::*;

const AT: UnixMicros = UnixMicros(1_795_168_680_123_456);

fn line(byte: u8) -> impl Fn(&mut Vec<u8>) {
    move |out| {
        out.extend(std::iter::repeat_n(byte, 1023));
        out.push(b'\n');
    }
}

fn lines(bytes: &[u8], first: u8) -> usize {
    bytes.split(|b| *b == b'\n').filter(|line| line.first() == Some(&first)).count()
}

#[test]
fn lines_leave_in_the_order_in_which_they_came() {
    let mut buffer = LogBuffer::new();
    assert!(buffer.is_empty());
    for (level, byte) in [(Level::Info, b'a'), (Level::Error, b'b'), (Level::Debug, b'c')] {
        assert!(buffer.push(level, line(byte)));
    }
    let taken = buffer.take(AT, LogBuffer::block());
    let firsts: Vec<_> = taken.chunks(1024).map(|line| line[0]).collect();
    assert_eq!(firsts, *b"abc");
    assert!(buffer.is_empty());
}

#[test]
fn a_full_buffer_drops_counts_and_keeps_room_for_warnings() {
    let mut buffer = LogBuffer::new();
    let capacity = buffer.bytes.capacity();
    for _ in 0..300 {
        buffer.push(Level::Info, line(b'i'));
    }
    for _ in 0..70 {
        buffer.push(Level::Warn, line(b'w'));
    }
    assert!(!buffer.push(Level::Info, line(b'i')));
    assert!(!buffer.push(Level::Error, line(b'e')));
    assert_eq!(buffer.dropped_total(), 300 - 256 + 70 - 64 + 2);
    let taken = buffer.take(AT, LogBuffer::block());
    assert_eq!((lines(&taken, b'i'), lines(&taken, b'w')), (256, 64));
    assert_eq!(taken.capacity(), capacity, "it never grew");
    let last = taken.split(|b| *b == b'\n').rev().nth(1).unwrap();
    assert_eq!(
        std::str::from_utf8(last).unwrap(),
        concat!(
            r#"{"ts":"2026-11-20T09:58:00.123456Z","level":"WARN","component":"telemetry","#,
            r#""msg":"log lines were dropped: their buffer was full","below_warn":45,"warn_and_above":7}"#
        )
    );
    assert!(buffer.is_empty());
    assert!(buffer.push(Level::Info, line(b'i')), "there is room again");
    assert_eq!(lines(&buffer.take(AT, taken), b'{'), 0, "drops are told once");
}

#[test]
fn a_line_that_does_not_fit_leaves_no_piece_of_itself() {
    let mut buffer = LogBuffer::new();
    for _ in 0..255 {
        buffer.push(Level::Info, line(b'i'));
    }
    let long = |out: &mut Vec<u8>| out.extend(std::iter::repeat_n(b'x', 1025));
    assert!(!buffer.push(Level::Info, long));
    assert_eq!(buffer.len(), 255 * 1024);
    assert!(buffer.push(Level::Info, line(b'i')));
}
