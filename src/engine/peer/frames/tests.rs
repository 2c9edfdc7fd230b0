//! Every message goes through its frame and comes out the same; no other bytes do harm.

mod golden;
mod strategy;

use super::*;
use golden::messages;
use proptest::prelude::*;
use wire::Frame as WireFrame;

const SENT_AT: UnixMicros = UnixMicros(1_763_640_000_123_456);

fn frame_of(message: &PeerMessage) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(SENT_AT, &mut out);
    out
}

/// The kind and the payload of a frame, as a link hands them on.
fn opened(frame: &[u8]) -> (Kind, Bytes) {
    let read = WireFrame::decode(frame, PEER_BYTES_MAX).expect("it is a frame");
    let header = read.header;
    assert_eq!((header.call, header.flags, header.sent_at), (0, Flags::NONE, SENT_AT));
    assert_eq!(read.trace, None);
    (header.kind, Bytes::copy_from_slice(read.payload))
}

fn decoded(frame: &[u8]) -> Result<PeerMessage, PeerFrameError> {
    let (kind, payload) = opened(frame);
    PeerMessage::decode(kind, &payload)
}

/// The parts of a message that may be large.
fn large_parts(message: &PeerMessage) -> Vec<&Bytes> {
    match message {
        PeerMessage::Raft(Message::AppendEntries(append)) => {
            append.entries.iter().map(|entry| &entry.data).collect()
        }
        PeerMessage::Forward(forward) => vec![&forward.section],
        PeerMessage::SnapshotPiece { data, .. } => vec![data],
        PeerMessage::Request { body, .. } | PeerMessage::Answer { body, .. } => vec![body],
        _ => Vec::new(),
    }
}

/// What is read from a payload is a message that can be sent on, or an error that says something.
fn check_any(kind: Kind, payload: &Bytes) {
    match PeerMessage::decode(kind, payload) {
        Ok(message) => assert_eq!(decoded(&frame_of(&message)), Ok(message)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_decoded_is_what_was_encoded(
        messages in prop::collection::vec(strategy::message(), 1..4),
    ) {
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for message in &messages {
            message.encode(SENT_AT, &mut stream);
            ends.push(stream.len());
        }
        let mut start = 0;
        for (message, end) in messages.iter().zip(ends) {
            let frame = &stream[start..end];
            let read = decoded(frame);
            prop_assert_eq!(read.as_ref(), Ok(message));
            let (bytes, estimate) = (frame.len(), message.encoded_bytes());
            // Of an entry, a kind of 0 and empty data are left out.
            let entries_max = bytes / (ENTRY_HEAD_BYTES - 15);
            prop_assert!(bytes <= estimate, "{} {}", bytes, estimate);
            prop_assert!(estimate <= bytes + AROUND_BYTES_MAX + 15 * entries_max);
            start = end;
        }
    }

    #[test]
    fn what_may_be_large_is_not_copied_out_of_the_payload(message in strategy::message()) {
        let (kind, payload) = opened(&frame_of(&message));
        let read = PeerMessage::decode(kind, &payload).unwrap();
        let whole = payload.as_ptr_range();
        for part in large_parts(&read) {
            let part = part.as_ptr_range();
            prop_assert!(part.is_empty() || (whole.start <= part.start && part.end <= whole.end));
        }
    }

    #[test]
    fn damaged_payloads_are_messages_or_errors(
        message in strategy::message(),
        kind in prop::option::weighted(0.2, prop::sample::select(Kind::ALL)),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (of_message, payload) = opened(&frame_of(&message));
        let mut payload = payload.to_vec();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len()));
        }
        check_any(kind.unwrap_or(of_message), &payload.into());
    }
}

#[test]
fn a_payload_that_is_cut_or_has_a_flipped_bit_is_a_message_or_an_error() {
    for message in messages() {
        let (kind, payload) = opened(&frame_of(&message));
        for bytes in 0..payload.len() {
            check_any(kind, &payload.slice(..bytes));
        }
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_any(kind, &flipped.into());
        }
        for other in Kind::ALL {
            check_any(*other, &payload);
        }
    }
}

/// The payload of a message of the protocol.
fn payload<'m, M: wire::Message<'m>>(message: &M) -> (Kind, Bytes) {
    let mut out = Vec::new();
    message.encode(&mut out);
    (M::KIND, out.into())
}

#[test]
fn what_no_coordinator_says_is_refused_with_its_values() {
    let entries = [wire::Entry { index: 44, term: 3, kind: 2, data: b"", context: b"" }];
    let append = wire::AppendEntries {
        from: 0,
        to: 0,
        term: 3,
        store: 0,
        index: 43,
        log_term: 3,
        commit: 40,
        entries: List::from(&entries),
    };
    let none = wire::Configuration {
        voters: List::EMPTY,
        learners: List::EMPTY,
        voters_outgoing: List::EMPTY,
        learners_next: List::EMPTY,
        auto_leave: false,
    };
    let offer = |membership| wire::InstallSnapshot {
        from: 0,
        to: 0,
        term: 3,
        store: 0,
        snapshot: 40,
        index: 40,
        log_term: 2,
        configuration: none,
        offset: 0,
        total_bytes: 0,
        data: b"",
        membership,
    };
    let refused = wire::ForwardRefused { boot: 1, core: 2, number: 41, round: 4, why: 5 };
    let answered = wire::InstallSnapshotResponse {
        from: 0,
        to: 0,
        term: 3,
        store: 0,
        snapshot: 40,
        offset: 0,
        reject: false,
    };
    let rows = [
        (payload(&append), "entry 44 has kind 2: 0 and 1 are known"),
        (payload(&offer(b"")), "offer of snapshot 40 are not readable: it ends after 0 bytes"),
        (payload(&offer(b"\x02\x00")), "its version is 2"),
        (payload(&offer(b"\x01\xff")), "255 in a list of at most"),
        (payload(&offer(b"\x01\x00\x00")), "1 bytes are left"),
        (payload(&refused), "batch 41 was refused for reason 5: 1 to 4 are known"),
        (payload(&wire::Welcome { cluster: 1, founded: b"" }), "welcome is nothing that one"),
        (payload(&answered), "install_snapshot_response is nothing that one"),
        (payload(&wire::Hello::of(2)), "hello is nothing that one"),
        ((Kind(0x1fff), Bytes::new()), "0x1fff is nothing that one"),
        ((Kind::FORWARD, Bytes::new()), "forward.boot is missing"),
        ((Kind::HEARTBEAT, Bytes::from_static(&[0, 1])), "heartbeat"),
    ];
    for ((kind, payload), text) in rows {
        let error = PeerMessage::decode(kind, &payload).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn the_largest_of_each_kind_fits_a_frame() {
    let large = Bytes::from(vec![7; ENTRY_BYTES_MAX]);
    let (kind, term) = (EntryKind::Normal, u64::MAX);
    let entries = vec![Entry { index: u64::MAX, term, kind, data: large.clone() }];
    let (index, boot, ticket) = (u64::MAX, BootId(u64::MAX), u64::MAX);
    let append = Append { term, index, log_term: term, commit: index, entries };
    let rows = [
        PeerMessage::Raft(Message::AppendEntries(append)),
        PeerMessage::Forward(Forward {
            boot,
            core: CoreId(u16::MAX),
            number: u64::MAX,
            round: u32::MAX,
            records: u32::MAX,
            section: large.clone(),
        }),
        PeerMessage::Request { boot, ticket, body: large.clone() },
        PeerMessage::Answer { boot, ticket, body: large },
    ];
    for message in rows {
        // Comparing beats printing four million bytes.
        assert!(decoded(&frame_of(&message)).unwrap() == message);
    }
}

#[test]
fn of_more_entries_than_an_array_has_the_first_are_sent() {
    let entry = |index| Entry { index, term: 9, kind: EntryKind::Normal, data: Bytes::new() };
    let count = ENTRIES_MAX as u64 + 1;
    let append = |count: u64| {
        let entries = (1..=count).map(entry).collect();
        let append = Append { term: 9, index: 0, log_term: 0, commit: count, entries };
        PeerMessage::Raft(Message::AppendEntries(append))
    };
    let frame = frame_of(&append(count));
    assert!(frame.len() <= append(count).encoded_bytes());
    let Ok(PeerMessage::Raft(Message::AppendEntries(read))) = decoded(&frame) else {
        panic!("it is what was sent")
    };
    assert_eq!(read.commit, count);
    assert!(read.entries.iter().eq((1..count).map(entry).collect::<Vec<_>>().iter()));
}

#[test]
fn entries_go_into_a_buffer_with_room_without_an_allocation() {
    let data = Bytes::from(vec![1; 600]);
    for (count, allocations_max) in [(ENTRIES_INLINE, 0), (64, 1)] {
        let entries = (0..count as u64).map(|index| Entry {
            index,
            term: 2,
            kind: EntryKind::Normal,
            data: data.clone(),
        });
        let entries = entries.collect();
        let append = Append { term: 2, index: 0, log_term: 2, commit: 0, entries };
        let message = PeerMessage::Raft(Message::AppendEntries(append));
        let mut out = Vec::with_capacity(message.encoded_bytes());
        let allocations = allocation_counter::measure(|| message.encode(SENT_AT, &mut out));
        assert!(allocations.count_total <= allocations_max, "{count} entries: {allocations:?}");
        assert!(allocations.bytes_total <= 64 * 64, "the data are not among it: {allocations:?}");
    }
}
