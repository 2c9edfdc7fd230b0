use super::*;
use proptest::prelude::*;

fn load() -> Load {
    Load {
        file: "/p/a.so".into(),
        name: "a".into(),
        threads: 2,
        memory_max: 3,
        output_max: 4,
        network: true,
        tell_begun: false,
        read: vec!["/x".into()],
        parent: 5,
    }
}

fn to_child() -> Vec<ToChild<'static>> {
    let run = Run {
        config: "{}",
        input: "[1]",
        instance: "i",
        workflow: "w",
        task: "t",
        idempotency_key: "k",
        trace: "",
        attempt: 2,
        timeout_ms: 9,
    };
    vec![
        ToChild::Load(load()),
        ToChild::Run(run),
        ToChild::Cancel,
        ToChild::Validate { config: "null" },
        ToChild::Ping,
        ToChild::Quit,
        ToChild::Keep { until: 1 << 60 },
    ]
}

fn from_child() -> Vec<FromChild<'static>> {
    let error = TaskError { code: "c".into(), message: "m".into(), retryable: true };
    vec![
        FromChild::ShutIn { enforced: "e" },
        FromChild::Ready { name: "a", version: "1", abi: 1 },
        FromChild::Begun { thread: 7 },
        FromChild::Done { output: b"1" },
        FromChild::Failed(error),
        FromChild::Log { level: 2, line: "l" },
        FromChild::Pong,
    ]
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn frames_have_the_bytes_of_version_3() {
    let mut bytes = Vec::new();
    ToChild::Ping.write(0x0102, &mut bytes);
    assert_eq!(hex(&bytes), "00000000000500030000000000000102");
    bytes.clear();
    ToChild::Keep { until: 0x0304 }.write(0, &mut bytes);
    assert_eq!(
        hex(&bytes),
        "0000000f00070003000000000000000000010400000008".to_owned() + "0000000000000304"
    );
    bytes.clear();
    ToChild::Validate { config: "{}" }.write(3, &mut bytes);
    assert_eq!(hex(&bytes), "0000000900040003000000000000000300011000000002".to_owned() + "7b7d");
    bytes.clear();
    FromChild::Done { output: b"42" }.write(4, &mut bytes);
    assert_eq!(hex(&bytes), "00000009010300030000000000000004000111000000023432");
    // All others, as one number: a change of any is a new version.
    bytes.clear();
    for frame in to_child().into_iter().filter(|frame| !matches!(frame, ToChild::Keep { .. })) {
        frame.write(1, &mut bytes);
    }
    for frame in from_child() {
        frame.write(1, &mut bytes);
    }
    assert_eq!((bytes.len(), base::hash64(&bytes)), (GOLDEN_BYTES, GOLDEN_HASH));
}

const GOLDEN_BYTES: usize = 505;
const GOLDEN_HASH: u64 = 7_011_066_589_542_019_020;

#[test]
fn what_is_written_is_read_in_pieces_of_any_size() {
    let mut bytes = Vec::new();
    for (ticket, frame) in (1..).zip(to_child()) {
        frame.write(ticket, &mut bytes);
    }
    for size in [1, 3, 17, bytes.len()] {
        let mut reader = FrameReader::default();
        let mut read = 0;
        let expected = to_child();
        for piece in bytes.chunks(size) {
            reader.push(piece);
            while let Some(raw) = reader.next().unwrap() {
                assert_eq!(raw.ticket, read as u64 + 1);
                assert_eq!(raw.to_child().unwrap(), expected[read]);
                read += 1;
            }
        }
        assert_eq!((read, reader.pending_bytes()), (expected.len(), 0));
    }
    let mut bytes = Vec::new();
    for frame in from_child() {
        frame.write(6, &mut bytes);
    }
    let mut reader = FrameReader::default();
    reader.push(&bytes);
    for expected in from_child() {
        assert_eq!(reader.next().unwrap().unwrap().from_child().unwrap(), expected);
    }
}

#[test]
fn a_stream_that_is_none_of_frames_is_refused_for_good() {
    let head = |bytes: u32, version: u16| {
        let mut head = bytes.to_be_bytes().to_vec();
        head.extend([0, 5]);
        head.extend(version.to_be_bytes());
        head.extend([0; 8]);
        head
    };
    let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    let rows = [
        (head(0, 1), FrameFault::Version { found: 1 }),
        (head(too_long, VERSION), FrameFault::TooLong { bytes: FRAME_BYTES_MAX + 1 }),
    ];
    for (bytes, fault) in rows {
        let mut reader = FrameReader::default();
        reader.push(&bytes);
        assert_eq!(reader.next().err(), Some(fault));
        let mut good = Vec::new();
        ToChild::Ping.write(1, &mut good);
        reader.push(&good);
        assert_eq!(reader.next().err(), Some(fault));
    }
}

#[test]
fn a_frame_of_the_other_direction_or_with_a_wrong_field_is_a_fault() {
    let mut bytes = Vec::new();
    FromChild::Pong.write(1, &mut bytes);
    let mut reader = FrameReader::default();
    reader.push(&bytes);
    let raw = reader.next().unwrap().unwrap();
    assert_eq!(raw.to_child(), Err(FrameFault::Kind { kind: PONG }));
    let mut bytes = Vec::new();
    write(&mut bytes, DONE, 1, |to| to.u8(1, 3));
    let mut reader = FrameReader::default();
    reader.push(&bytes);
    let fault = reader.next().unwrap().unwrap().from_child().unwrap_err();
    assert!(matches!(fault, FrameFault::Field { kind: DONE, tag: 1, .. }), "{fault}");
}

#[test]
fn a_field_of_a_later_release_is_skipped() {
    let mut bytes = Vec::new();
    write(&mut bytes, VALIDATE, 1, |to| {
        to.string(1, "{}");
        to.u64(900, 1);
    });
    let mut reader = FrameReader::default();
    reader.push(&bytes);
    let raw = reader.next().unwrap().unwrap();
    assert_eq!(raw.to_child(), Ok(ToChild::Validate { config: "{}" }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, kind in 0_u16..0x0110) {
        let mut reader = FrameReader::default();
        reader.push(&bytes);
        while let Ok(Some(raw)) = reader.next() {
            let _ = (raw.to_child(), raw.from_child());
        }
        // A right head in front, so that the fields are reached.
        let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(kind.to_be_bytes());
        framed.extend(VERSION.to_be_bytes());
        framed.extend([0; 8]);
        framed.extend(&bytes);
        let mut reader = FrameReader::default();
        reader.push(&framed);
        let raw = reader.next().unwrap().unwrap();
        let _ = (raw.to_child(), raw.from_child());
    }
}
