//! What it costs in memory: nothing, once the buffers are there.

use super::cases::cases;
use crate::{
    AppendEntries, Decoder, Entry, Flags, Frame, HEADER_BYTES, Head, Header, Kind, List, Message,
    READ_BYTES_MAX, READ_BYTES_MIN, Submit, VERSION, write_frame,
};
use allocation_counter::measure;
use base::UnixMicros;

const HEAD: Head =
    Head { kind: Kind::SUBMIT, flags: Flags::NONE, call: 1, sent_at: UnixMicros(2), trace: None };

fn read(decoder: &mut Decoder, bytes: &[u8]) -> usize {
    let (mut rest, mut frames) = (bytes, 0);
    while !rest.is_empty() {
        let space = decoder.space();
        let bytes = rest.len().min(space.len());
        space[..bytes].copy_from_slice(&rest[..bytes]);
        decoder.filled(bytes);
        rest = &rest[bytes..];
        while decoder.next().unwrap().is_some() {
            frames += 1;
        }
    }
    frames
}

#[test]
fn nothing_is_allocated_from_a_message_to_a_frame_to_a_message() {
    let body = [b' '; 256];
    let bodies = [&body[..]; 100];
    let entries = [Entry { index: 1, term: 2, kind: 0, data: &body, context: b"" }; 100];
    let submit = Submit { producer: 7, sequence: 1, key: "", messages: List::from(&bodies) };
    let append = AppendEntries {
        from: 1,
        to: 2,
        term: 3,
        store: 4,
        index: 5,
        log_term: 6,
        commit: 7,
        entries: List::from(&entries),
    };
    let mut out = Vec::with_capacity(128 * 1024);
    let mut round = || {
        out.clear();
        write_frame(&mut out, &HEAD, |out| submit.encode(out));
        let frame = Frame::decode(&out, 1 << 20).unwrap();
        let read = Submit::decode(frame.payload).unwrap();
        assert_eq!(read.messages.iter().map(<[u8]>::len).sum::<usize>(), 25_600);
        out.clear();
        write_frame(&mut out, &HEAD, |out| append.encode(out));
        let frame = Frame::decode(&out, 1 << 20).unwrap();
        let read = AppendEntries::decode(frame.payload).unwrap();
        assert_eq!(read.entries.iter().map(|entry| entry.data.len()).sum::<usize>(), 25_600);
    };
    assert_eq!(measure(&mut round).count_total, 0);
}

#[test]
fn nothing_is_allocated_for_a_stream_that_flows() {
    let mut stream = Vec::new();
    for case in cases() {
        stream.extend(case.frame());
    }
    let count = cases().len();
    let mut decoder = Decoder::new(1 << 20);
    for _ in 0..10 {
        read(&mut decoder, &stream);
    }
    let allocations = measure(|| {
        for _ in 0..100 {
            assert_eq!(read(&mut decoder, &stream), count);
        }
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_length_that_is_claimed_allocates_nothing() {
    let header = Header {
        version: VERSION,
        flags: Flags::NONE,
        kind: Kind::SUBMIT,
        payload_bytes: u32::MAX,
        crc: 0,
        call: 0,
        sent_at: UnixMicros(0),
    };
    // More than is allowed: refused. As much as is allowed: waited for, in the memory that is there.
    for (payload_bytes, is_allowed) in [(u32::MAX, false), (1 << 20, true), ((1 << 20) + 1, false)]
    {
        let mut decoder = Decoder::new(1 << 20);
        decoder.space()[..HEADER_BYTES]
            .copy_from_slice(&Header { payload_bytes, ..header }.encode());
        decoder.filled(HEADER_BYTES);
        let allocations = measure(|| {
            assert_eq!(decoder.next().is_ok(), is_allowed);
            assert!(!decoder.space().is_empty());
        });
        assert_eq!(allocations.count_total, 0);
        assert_eq!(decoder.memory_bytes(), READ_BYTES_MIN);
    }
}

#[test]
fn a_buffer_grows_for_its_frame_and_for_a_busy_stream_and_shrinks_again() {
    let mut large = Vec::new();
    write_frame(&mut large, &HEAD, |out| out.resize(out.len() + (1 << 20), 7));
    let mut small = Vec::new();
    write_frame(&mut small, &HEAD, |out| out.extend_from_slice(b"small"));

    let mut decoder = Decoder::new(1 << 20);
    assert_eq!(decoder.memory_bytes(), 0);
    // Memory follows the bytes that arrived.
    for arrived in 0..large.len() / 1000 {
        assert_eq!(read(&mut decoder, &large[arrived * 1000..][..1000]), 0);
        let memory_max = (2 * (arrived + 1) * 1000).next_power_of_two().max(READ_BYTES_MIN);
        assert!(decoder.memory_bytes() <= memory_max, "{arrived}");
    }
    assert_eq!(read(&mut decoder, &large[large.len() / 1000 * 1000..]), 1);
    assert!(decoder.memory_bytes() >= large.len() && decoder.memory_bytes() < 2 * large.len());
    // What is small then, makes the buffer small, in two looks at the most.
    for _ in 0..130 {
        assert_eq!(read(&mut decoder, &small), 1);
    }
    assert_eq!(decoder.memory_bytes(), READ_BYTES_MIN);
    // Reads that fill it make it large, up to what a read needs.
    let busy = small.repeat(40_000);
    assert_eq!(read(&mut decoder, &busy), 40_000);
    assert_eq!(decoder.memory_bytes(), READ_BYTES_MAX);
    assert_eq!(decoder.space().len(), READ_BYTES_MAX);
    // A peer that fell silent costs nothing, and may speak again.
    decoder.trim();
    assert_eq!((decoder.memory_bytes(), decoder.unread_bytes()), (0, 0));
    assert_eq!(read(&mut decoder, &small), 1);
    decoder.space()[..5].copy_from_slice(&small[..5]);
    decoder.filled(5);
    decoder.trim();
    assert_eq!((decoder.memory_bytes(), decoder.unread_bytes()), (READ_BYTES_MIN, 5));
    assert_eq!(read(&mut decoder, &small[5..]), 1);
}
