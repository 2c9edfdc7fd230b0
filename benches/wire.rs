//! Messages made into frames and back. Beside them, in the same run, what nobody can do without:
//! crc32fast over as many bytes, and a copy of them.

use base::UnixMicros;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wire::{
    AppendEntries, Decoder, Entry, Flags, Frame, HEADER_BYTES, Head, Header, Kind, List, Message,
    RequestVote, Submit, TaskAssignment, write_frame,
};

/// Larger than any payload here.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

fn head(kind: Kind) -> Head {
    let sent_at = UnixMicros(1_763_640_000_000_000);
    Head { kind, flags: Flags::NONE, call: 7, sent_at, trace: None }
}

fn frame_of<'a, M: Message<'a>>(message: &M) -> Vec<u8> {
    let mut frame = Vec::new();
    write_frame(&mut frame, &head(M::KIND), |out| message.encode(out));
    frame
}

fn assignment(config: &[u8]) -> TaskAssignment<'_> {
    TaskAssignment {
        worker: 3,
        boot: 0x9a3f_0000_1111_2222,
        term: 12,
        message: 0x0030_0000_0000_00a1,
        ordinal: 1,
        task: 4,
        attempt: 1,
        kind: "http",
        idempotency_key: "00300000000000a1-1/score_item",
        config,
        input: b"{\"amount\":5000}",
        timeout_ms: 30_000,
        workflow: "",
        name: "",
    }
}

const VOTE: RequestVote<'static> = RequestVote {
    from: 1,
    to: 2,
    term: 12,
    store: 0x0123_4567_89ab_cdef,
    index: 123_456_789,
    log_term: 11,
    commit: 123_456_780,
    commit_term: 11,
    context: b"",
    priority: 0,
};

fn headers(criterion: &mut Criterion) {
    let header = Header {
        version: wire::VERSION,
        flags: Flags::RESPONSE,
        kind: Kind::SUBMIT,
        payload_bytes: 256,
        crc: 0x1234_5678,
        call: 7,
        sent_at: UnixMicros(1_763_640_000_000_000),
    };
    let bytes = header.encode();
    let mut group = criterion.benchmark_group("header");
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&header).encode()));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Header::decode(black_box(&bytes)).expect("a header of ours").call);
    });
    group.finish();
}

fn checksum(criterion: &mut Criterion) {
    let payload = vec![7; 4096 - HEADER_BYTES];
    let mut frame = Vec::new();
    write_frame(&mut frame, &head(Kind::QUERY_RESULT), |out| out.extend_from_slice(&payload));
    assert_eq!(frame.len(), 4096);
    let mut group = criterion.benchmark_group("a frame of 4 KiB");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("crc32fast alone", |bencher| {
        bencher.iter(|| crc32fast::hash(black_box(&frame)));
    });
    group.bench_function("checked", |bencher| {
        bencher.iter(|| {
            Frame::decode(black_box(&frame), PAYLOAD_BYTES_MAX)
                .expect("a frame of ours")
                .payload
                .len()
        });
    });
    group.finish();
}

/// Reads a frame until the buffer takes it in one go.
fn grow(decoder: &mut Decoder, frame: &[u8]) {
    while decoder.space().len() < frame.len() {
        let mut rest = frame;
        while !rest.is_empty() {
            let space = decoder.space();
            let bytes = rest.len().min(space.len());
            space[..bytes].copy_from_slice(&rest[..bytes]);
            decoder.filled(bytes);
            rest = &rest[bytes..];
            assert_eq!(decoder.next().expect("frames of ours").is_some(), rest.is_empty());
        }
    }
}

/// Encoded into a frame with its checksum, and decoded from a frame that is checked.
macro_rules! there_and_back {
    ($group:expr, $message:expr, $type:ident, |$read:ident| $sum:expr) => {{
        let message = $message;
        let frame = frame_of(&message);
        $group.throughput(Throughput::Bytes(frame.len() as u64));
        $group.bench_function("crc32fast alone, twice", |bencher| {
            bencher
                .iter(|| crc32fast::hash(black_box(&frame)) ^ crc32fast::hash(black_box(&frame)));
        });
        $group.bench_function("encode", |bencher| {
            let mut out = Vec::with_capacity(frame.len());
            bencher.iter(|| {
                out.clear();
                write_frame(&mut out, &head($type::KIND), |out| black_box(&message).encode(out));
                out.len()
            });
        });
        $group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                let frame =
                    Frame::decode(black_box(&frame), PAYLOAD_BYTES_MAX).expect("a frame of ours");
                let $read = $type::decode(frame.payload).expect("a message of ours");
                $sum
            });
        });
        $group.bench_function("encode and decode", |bencher| {
            let mut out = Vec::with_capacity(frame.len());
            bencher.iter(|| {
                out.clear();
                write_frame(&mut out, &head($type::KIND), |out| black_box(&message).encode(out));
                let frame =
                    Frame::decode(black_box(&out), PAYLOAD_BYTES_MAX).expect("a frame of ours");
                let $read = $type::decode(frame.payload).expect("a message of ours");
                $sum
            });
        });
        $group.bench_function("encode, and decode from a stream", |bencher| {
            let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
            grow(&mut decoder, &frame);
            let mut out = Vec::with_capacity(frame.len());
            bencher.iter(|| {
                out.clear();
                write_frame(&mut out, &head($type::KIND), |out| black_box(&message).encode(out));
                decoder.space()[..out.len()].copy_from_slice(&out);
                decoder.filled(out.len());
                let frame = decoder.next().expect("frames of ours").expect("it is whole");
                let $read = $type::decode(frame.payload).expect("a message of ours");
                $sum
            });
        });
    }};
}

fn task_assignment(criterion: &mut Criterion) {
    let config = [b' '; 1024];
    let mut group = criterion.benchmark_group("a task assignment of 256 bytes");
    let mut empty = Vec::new();
    assignment(b"").encode(&mut empty);
    // The configuration's own head is 7 bytes.
    let config = &config[..256 - 7 - empty.len()];
    assert_eq!(frame_of(&assignment(config)).len(), HEADER_BYTES + 256);
    there_and_back!(group, assignment(config), TaskAssignment, |read| {
        read.worker + read.timeout_ms + read.config.len() as u64
    });
    group.finish();
}

fn request_vote(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a request for a vote");
    there_and_back!(group, VOTE, RequestVote, |read| read.term + read.commit_term);
    group.finish();
}

fn append_entries(criterion: &mut Criterion) {
    let data = [9; 128];
    let entries: Vec<_> = (0..100)
        .map(|index| Entry { index: 1000 + index, term: 12, kind: 0, data: &data, context: b"" })
        .collect();
    let message = AppendEntries {
        from: 1,
        to: 2,
        term: 12,
        store: 0x0123_4567_89ab_cdef,
        index: 999,
        log_term: 12,
        commit: 990,
        entries: List::from(&entries[..]),
    };
    let mut group = criterion.benchmark_group("100 entries of 128 bytes");
    there_and_back!(group, message, AppendEntries, |read| {
        read.entries.iter().map(|entry| entry.index + entry.data.len() as u64).sum::<u64>()
    });
    group.finish();
}

fn submit(criterion: &mut Criterion) {
    let body = [b' '; 256];
    let bodies = [&body[..]; 100];
    let message = Submit { producer: 7, sequence: 1, key: "", messages: List::from(&bodies) };
    let mut group = criterion.benchmark_group("a submit of 100 messages of 256 bytes");
    there_and_back!(group, message, Submit, |read| {
        read.messages.iter().map(<[u8]>::len).sum::<usize>()
    });
    group.finish();
}

/// A stream as a busy socket brings it: reads that end anywhere.
fn stream(criterion: &mut Criterion) {
    let body = [b' '; 256];
    let bodies = [&body[..]];
    let message = Submit { producer: 7, sequence: 1, key: "", messages: List::from(&bodies) };
    let frames = frame_of(&message).repeat(1000);
    let mut group = criterion.benchmark_group("a stream of 1,000 submits");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("a copy alone", |bencher| {
        let mut to = vec![0; frames.len()];
        bencher.iter(|| to.copy_from_slice(black_box(&frames)));
    });
    for read_bytes in [1448, 16 * 1024, 128 * 1024] {
        group.bench_with_input(
            BenchmarkId::new("reads of at most", read_bytes),
            &read_bytes,
            |bencher, read_bytes| {
                bencher.iter_batched_ref(
                    || Decoder::new(PAYLOAD_BYTES_MAX),
                    |decoder| {
                        let (mut rest, mut yielded) = (&frames[..], 0);
                        while !rest.is_empty() {
                            let space = decoder.space();
                            let bytes = rest.len().min(space.len()).min(*read_bytes);
                            space[..bytes].copy_from_slice(&rest[..bytes]);
                            decoder.filled(bytes);
                            rest = &rest[bytes..];
                            while let Some(frame) = decoder.next().expect("frames of ours") {
                                yielded += Submit::decode(frame.payload)
                                    .expect("a message of ours")
                                    .messages
                                    .len();
                            }
                        }
                        assert_eq!(yielded, 1000);
                    },
                    BatchSize::SmallInput,
                );
            },
        );
    }
    group.finish();
}

criterion_group!(
    benches,
    headers,
    checksum,
    task_assignment,
    request_vote,
    append_entries,
    submit,
    stream
);
criterion_main!(benches);
