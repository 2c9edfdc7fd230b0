//! What a bad line does to frames.

use super::cases::cases;
use crate::{Decoder, Frame, FrameError, HEADER_BYTES, MAGIC, VERSION};

/// What a stream with these bytes yields: how many frames, and how it ends.
fn stream(bytes: &[u8]) -> (usize, Result<(), FrameError>) {
    let mut decoder = Decoder::new(1024);
    let mut rest = bytes;
    let mut yielded = 0;
    loop {
        let space = decoder.space();
        let read = rest.len().min(space.len());
        space[..read].copy_from_slice(&rest[..read]);
        decoder.filled(read);
        rest = &rest[read..];
        loop {
            match decoder.next() {
                Ok(Some(_)) => yielded += 1,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(), Err(error), "an error stays");
                    assert_eq!(decoder.finish(), Err(error), "an error stays");
                    return (yielded, Err(error));
                }
            }
        }
        if rest.is_empty() {
            return (yielded, decoder.finish());
        }
    }
}

#[test]
fn no_frame_with_a_flipped_bit_is_yielded_and_the_stream_ends_in_an_error() {
    for case in cases() {
        let frame = case.frame();
        assert_eq!(stream(&frame), (1, Ok(())), "{}", case.name);
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (yielded, end) = stream(&damaged);
            assert_eq!(yielded, 0, "{}, bit {bit}", case.name);
            assert!(end.is_err(), "{}, bit {bit}", case.name);
            assert!(Frame::decode(&damaged, 1024).is_err(), "{}, bit {bit}", case.name);
            // Neither does what follows bring it back: where the next one begins is not known.
            damaged.extend_from_slice(&frame);
            let (yielded, end) = stream(&damaged);
            assert_eq!(yielded, 0, "{}, bit {bit}, and a second frame", case.name);
            assert!(end.is_err(), "{}, bit {bit}, and a second frame", case.name);
        }
    }
}

#[test]
fn a_stream_that_ends_within_a_frame_ends_in_an_error_that_says_how_much_is_missing() {
    for case in cases() {
        let frame = case.frame();
        for bytes in 1..frame.len() {
            let needed = if bytes < HEADER_BYTES { HEADER_BYTES } else { frame.len() };
            let error = FrameError::Truncated { bytes, needed };
            assert_eq!(stream(&frame[..bytes]), (0, Err(error)), "{}", case.name);
            assert_eq!(Frame::decode(&frame[..bytes], 1024), Err(error), "{}", case.name);
            let mut two = frame.clone();
            two.extend_from_slice(&frame[..bytes]);
            assert_eq!(stream(&two), (1, Err(error)), "{}, the second one", case.name);
        }
    }
}

#[test]
fn what_is_wrong_with_a_frame_is_said_with_its_values() {
    let frame = cases()[0].frame();
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = frame.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let ours = VERSION;
    for (damaged, error, text) in [
        (with(0, b"GET "), FrameError::Magic { found: 0x4745_5420 }, "0x47455420"),
        (
            with(4, &[2]),
            FrameError::Version { theirs: 2, ours },
            "version 2, this side speaks version 1",
        ),
        (with(4, &[0]), FrameError::Version { theirs: 0, ours }, "version 0"),
        (with(5, &[1]), FrameError::Flags { flags: 1, supported: 28 }, "0x01"),
        (with(5, &[2 | 4]), FrameError::Flags { flags: 6, supported: 28 }, "0x06"),
        (with(5, &[32]), FrameError::Flags { flags: 32, supported: 28 }, "0x20"),
        (
            with(8, &[255; 4]),
            FrameError::TooLarge { payload_bytes: u32::MAX as usize, payload_bytes_max: 1024 },
            "4294967295 bytes of payload, at most 1024",
        ),
    ] {
        assert_eq!(stream(&damaged), (0, Err(error)));
        assert_eq!(Frame::decode(&damaged, 1024), Err(error));
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_stream_of_something_else_is_refused_at_its_first_bytes() {
    for bytes in [&b"G"[..], b"GET / HTTP/1.1\r\n", b"DISP", b"\x16\x03\x01"] {
        let (yielded, end) = stream(bytes);
        assert_eq!(yielded, 0);
        assert!(matches!(end, Err(FrameError::Magic { .. })), "{end:?}");
    }
    let newer = [&MAGIC.to_be_bytes()[..], &[9]].concat();
    assert_eq!(stream(&newer), (0, Err(FrameError::Version { theirs: 9, ours: VERSION })));
}

#[test]
fn a_datagram_is_one_frame_and_nothing_more() {
    let mut datagram = cases()[0].frame();
    datagram.push(0);
    assert_eq!(Frame::decode(&datagram, 1024), Err(FrameError::Trailing { bytes: 1 }));
    assert!(matches!(Frame::decode(b"", 1024), Err(FrameError::Truncated { bytes: 0, .. })));
}

#[test]
fn a_trace_context_that_is_none_is_refused() {
    let case = cases().into_iter().find(|case| case.head.trace.is_some()).unwrap();
    let whole = case.frame();
    let sealed = |mut frame: Vec<u8>| {
        let bytes = u32::try_from(frame.len() - HEADER_BYTES).unwrap();
        frame[8..12].copy_from_slice(&bytes.to_be_bytes());
        frame[12..16].fill(0);
        let crc = crc32fast::hash(&frame);
        frame[12..16].copy_from_slice(&crc.to_be_bytes());
        frame
    };
    assert_eq!(sealed(whole.clone()), whole);
    let mut damaged: Vec<_> =
        (0..24).map(|bytes| sealed(whole[..HEADER_BYTES + bytes].to_vec())).collect();
    for zeros in [32..48, 48..56] {
        let mut frame = whole.clone();
        frame[zeros].fill(0);
        damaged.push(sealed(frame));
    }
    for frame in damaged {
        let error = FrameError::Trace { payload_bytes: frame.len() - HEADER_BYTES };
        assert_eq!(stream(&frame), (0, Err(error)));
        assert_eq!(Frame::decode(&frame, 1024), Err(error));
    }
}
