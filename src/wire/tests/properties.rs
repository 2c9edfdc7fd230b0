//! What holds for any bytes: the bodies that a fuzzer runs, with fewer of them.

use super::cases::{cases, messages};
use crate::tlv::{ArrayReader, TlvReader, Value};
use crate::{Decoder, Frame, FrameError, HEADER_BYTES, Header, READ_BYTES_MAX, write_frame};
use proptest::collection::vec;
use proptest::prelude::*;

const PAYLOAD_BYTES_MAX: usize = 4096;

/// Reads a stream in pieces of these sizes, over and over; returns what came out and how it ended.
fn yielded(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
    let (mut rest, mut frames) = (stream, Vec::new());
    for piece in pieces.iter().cycle() {
        let space = decoder.space();
        let bytes = (*piece).max(1).min(space.len()).min(rest.len());
        space[..bytes].copy_from_slice(&rest[..bytes]);
        decoder.filled(bytes);
        rest = &rest[bytes..];
        assert!(decoder.memory_bytes() <= READ_BYTES_MAX);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => {
                    frames.push([&frame.header.encode()[..], frame.payload].concat());
                }
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        if rest.is_empty() {
            return (frames, decoder.finish());
        }
    }
    unreachable!("the pieces go on for ever")
}

fn walk_record(mut reader: TlvReader<'_>) -> usize {
    let mut count = 0;
    while let Ok(Some(field)) = reader.next() {
        count += 1 + walk_value(field.value);
    }
    count
}

fn walk_array(mut array: ArrayReader<'_>) -> usize {
    let mut count = 0;
    while let Ok(Some(value)) = array.next() {
        count += 1 + walk_value(value);
    }
    count
}

fn walk_value(value: Value<'_>) -> usize {
    let _ = (value.u8(), value.u16(), value.u32(), value.u64(), value.i64(), value.f64());
    let _ = (value.bool(), value.string(), value.bytes());
    value.map().map_or(0, walk_record) + value.array().map_or(0, walk_array)
}

/// Bytes that look like fields more often than chance would have it.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    let field = (0..14u16, prop::sample::select(vec![1, 2, 3, 4, 5, 6, 7, 16, 17, 32, 33, 9u8]));
    let field = (field, vec(any::<u8>(), 0..20), prop::option::weighted(0.1, any::<u32>()));
    vec(field, 0..10).prop_map(|fields| {
        let mut out = Vec::new();
        for ((tag, code), value, length) in fields {
            let length = length.unwrap_or(u32::try_from(value.len()).unwrap());
            out.extend_from_slice(&tag.to_be_bytes());
            out.push(code);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&value);
        }
        out
    })
}

/// A golden payload with a few bytes changed.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let payloads: Vec<_> = cases().into_iter().map(|case| case.payload).collect();
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(payloads), changes).prop_map(|(mut payload, changes)| {
        for (at, byte) in changes {
            if !payload.is_empty() {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
        }
        payload
    })
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..200), fields(), nearly()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_a_message_or_an_error(payload in any_payload()) {
        for (_, _, _, again) in messages() {
            if let Ok(encoded) = again(&payload) {
                // What is read says no more than was written, and is read the same once more.
                prop_assert!(encoded.len() <= payload.len());
                prop_assert_eq!(again(&encoded), Ok(encoded.clone()));
            }
        }
    }

    #[test]
    fn any_bytes_are_fields_or_an_error(payload in any_payload()) {
        prop_assert!(walk_record(TlvReader::new(&payload)) <= payload.len() / 5);
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(bytes in any::<[u8; HEADER_BYTES]>()) {
        let mut bytes = bytes;
        for magic in [false, true] {
            if magic {
                bytes[..6].copy_from_slice(b"DIST\x01\x04");
            }
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(header.encode(), bytes);
            }
        }
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(
        bytes in vec(any::<u8>(), 0..300),
        prefix in prop::sample::select(vec![&b""[..], b"DIST", b"DIST\x01\x00\x00\x01\x00\x00"]),
        pieces in vec(1..200_usize, 1..5),
    ) {
        let stream = [prefix, &bytes].concat();
        let (frames, end) = yielded(&stream, &pieces);
        prop_assert!(frames.is_empty());
        prop_assert_eq!(end.is_ok(), stream.is_empty());
        prop_assert!(Frame::decode(&stream, PAYLOAD_BYTES_MAX).is_err());
    }

    #[test]
    fn a_stream_yields_the_same_frames_however_it_is_cut(
        order in vec(any::<prop::sample::Index>(), 1..12),
        bulk in vec(0..4096_usize, 0..4),
        cut in 0..200_usize,
        pieces in vec(1..5000_usize, 1..6),
    ) {
        let cases = cases();
        let mut stream = Vec::new();
        for index in order {
            stream.extend(index.get(&cases).frame());
        }
        for bytes in bulk {
            write_frame(&mut stream, &cases[0].head, |out| out.resize(out.len() + bytes, 7));
        }
        stream.truncate(stream.len().saturating_sub(cut));
        let whole = yielded(&stream, &[usize::MAX]);
        prop_assert_eq!(&yielded(&stream, &pieces), &whole);
        prop_assert_eq!(&yielded(&stream, &[1]), &whole);
    }
}
