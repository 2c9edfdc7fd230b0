//! What is done with bytes that anybody may send. Each body takes any input and panics only when a
//! promise is broken: cargo-fuzz looks for such an input (tests/fuzz/targets), `cargo test` runs them
//! over golden frames and damaged ones (tests/fuzz/main.rs).

#![allow(dead_code, reason = "each fuzz target calls one of them")]

use api::{Method, route};
use base::{BootId, Instant, Now, Outbox, Prng, UnixMicros};
use bytes::Bytes;
use engine::peer::PeerMessage;
use engine::workers::{FromWorker, ToWorker};
use std::net::SocketAddr;
use std::ops::Range;
use swim::{Config, Effect, MemberData, MemberId, Membership};
use wire::tlv::{DEPTH_MAX, TlvReader, Value};
use wire::{
    Decoder, Flags, Frame, FrameError, HEADER_BYTES, Head, Header, Kind, Message, PEER_BYTES_MAX,
    TRACE_BYTES,
};

/// What a connection of the decoder's body allows. Unit: bytes. Small, so that the refusal is near.
const PAYLOAD_BYTES_MAX: usize = 4096;

/// The first 32 bytes as a header: it is refused, or it is written back as it was read.
pub(crate) fn header(data: &[u8]) {
    let Some(bytes) = data.first_chunk::<HEADER_BYTES>() else { return };
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(header.encode(), *bytes, "a header has one encoding");
    }
}

/// A record of fields, walked to its last byte.
pub(crate) fn tlv(data: &[u8]) {
    walk(TlvReader::new(data), data.as_ptr_range(), 0);
}

fn walk(mut reader: TlvReader<'_>, input: Range<*const u8>, depth: u8) {
    assert!(depth <= DEPTH_MAX, "what is too deep is refused");
    let mut last = None;
    while let Ok(Some(field)) = reader.next() {
        assert!(last < Some(field.tag), "tags rise");
        last = Some(field.tag);
        look(field.value, &input, depth);
    }
}

fn look(value: Value<'_>, input: &Range<*const u8>, depth: u8) {
    assert!(lies_in(value.raw(), input), "nothing is read beyond the input");
    if let Ok(text) = value.string() {
        assert!(text.len() == value.raw().len(), "a text is its bytes");
    }
    if let Ok(bytes) = value.bytes() {
        assert!(bytes.len() == value.raw().len(), "bytes are lent, not copied");
    }
    if let Ok(mut array) = value.array() {
        let mut left = array.count();
        assert!(left <= value.raw().len(), "a count is not trusted beyond the bytes");
        while let Ok(Some(element)) = array.next() {
            left = left.checked_sub(1).expect("no more elements than the count says");
            look(element, input, depth + 1);
        }
    }
    if let Ok(record) = value.map() {
        walk(record, input.clone(), depth + 1);
    }
}

fn lies_in(part: &[u8], whole: &Range<*const u8>) -> bool {
    let range = part.as_ptr_range();
    part.is_empty() || (whole.start <= range.start && range.end <= whole.end)
}

/// The kinds of gossip, and who is addressed by the golden frames.
const GOSSIP_KINDS: Range<u16> = Kind::GOSSIP_PING.0..Kind::GOSSIP_SEARCH.0 + 1;
const GOSSIP_CLUSTER: u64 = 0x00d1_0000_0000_c001;
const GOSSIP_BOOT: u64 = 0x9a3f_0000_1111_2222;

/// A datagram of gossip: its first byte chooses the kind, the rest is the payload. A member hears
/// it, lives on for a few seconds, and says nothing that is no frame.
pub(crate) fn gossip(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    let kind =
        Kind(GOSSIP_KINDS.start + u16::from(*kind) % (GOSSIP_KINDS.end - GOSSIP_KINDS.start));
    let other: SocketAddr = ([10, 0, 0, 1], 7_946).into();
    let (member, boot) = (MemberId(4), BootId(GOSSIP_BOOT));
    let config = Config::new(Some(GOSSIP_CLUSTER), member, boot, ([10, 0, 0, 4], 7_946).into());
    let mut membership =
        Membership::new(config, MemberData::default(), None, 0, Prng::new(1)).expect("it is fine");
    let mut out = Outbox::new();
    let mut now = Now { instant: Instant(1 << 40), wall: UnixMicros(1 << 50) };
    membership.on_start(now, &mut out);
    let hear = |membership: &mut Membership, kind, payload: &[u8], out: &mut Outbox<Effect>| {
        let head = Head { kind, flags: Flags::NONE, call: 0, sent_at: now.wall, trace: None };
        let mut datagram = Vec::new();
        wire::write_frame(&mut datagram, &head, |out| out.extend_from_slice(payload));
        if kind == Kind::GOSSIP_SEARCH {
            membership.on_group_datagram(now, other, &datagram, out);
        } else {
            membership.on_datagram(now, other, &datagram, out);
        }
    };
    // The golden frames are for a member that was once taken for failed, and came back.
    let mut failed = Vec::new();
    wire::GossipFailed {
        cluster: GOSSIP_CLUSTER,
        from: wire::Gossiper {
            member: 1,
            boot: 1,
            renewal: 0,
            incarnation: 0,
            address: &[10, 0, 0, 1, 0x1f, 0x0a],
        },
        to: member.0,
        to_boot: boot.0,
        to_renewal: 0,
        updates: b"",
        data: wire::List::EMPTY,
    }
    .encode(&mut failed);
    hear(&mut membership, Kind::GOSSIP_FAILED, &failed, &mut out);
    hear(&mut membership, kind, payload, &mut out);
    for _ in 0..16 {
        let deadline = membership.deadline().expect("a member always has something to do");
        now.instant = deadline.max(now.instant);
        membership.on_deadline(now, &mut out);
        for effect in out.drain() {
            if let Effect::Send { datagram, .. } = effect {
                let frame = Frame::decode(&datagram, swim::DATAGRAM_BYTES_MAX);
                assert!(frame.is_ok_and(|it| GOSSIP_KINDS.contains(&it.header.kind.0)));
            }
        }
    }
    assert!(membership.members().count() <= 60, "one datagram names few members");
}

macro_rules! every_message {
    ($data:ident: $($message:ty,)*) => { $(
        if let Some(written) = one_message::<$message>($data) {
            let again = <$message>::decode(&written).expect("what is written can be read");
            let mut second = Vec::new();
            again.encode(&mut second);
            assert_eq!(second, written, "a message has one encoding");
        }
    )* };
}

/// A payload, read as every message there is.
pub(crate) fn message(data: &[u8]) {
    every_message!(data:
        wire::Hello<'_>,
        wire::ErrorReply<'_>,
        wire::Cancel,
        wire::Ping,
        wire::Submit<'_>,
        wire::SubmitResponse<'_>,
        wire::Query<'_>,
        wire::QueryResult<'_>,
        wire::RequestVote<'_>,
        wire::RequestVoteResponse,
        wire::PreVote<'_>,
        wire::PreVoteResponse,
        wire::AppendEntries<'_>,
        wire::AppendEntriesResponse,
        wire::InstallSnapshot<'_>,
        wire::InstallSnapshotResponse,
        wire::Heartbeat<'_>,
        wire::HeartbeatResponse<'_>,
        wire::TimeoutNow,
        wire::TransferLeader,
        wire::ReadIndex<'_>,
        wire::ReadIndexResponse<'_>,
        wire::Forward<'_>,
        wire::ForwardRefused,
        wire::SnapshotWanted,
        wire::SnapshotPiece<'_>,
        wire::SnapshotGone,
        wire::Welcome<'_>,
        wire::ClusterRequest<'_>,
        wire::ClusterAnswer<'_>,
        wire::GossipPing<'_>,
        wire::GossipAck<'_>,
        wire::GossipIndirectPing<'_>,
        wire::MembershipUpdate<'_>,
        wire::GossipRelayedPing<'_>,
        wire::GossipRelayedAck<'_>,
        wire::GossipForwardedAck<'_>,
        wire::GossipFailed<'_>,
        wire::GossipSuspicion<'_>,
        wire::GossipSync<'_>,
        wire::GossipSearch<'_>,
        wire::GossipSealed<'_>,
        wire::TaskAssignment<'_>,
        wire::TaskResult<'_>,
        wire::TaskStatus<'_>,
        wire::TaskStatusResponse<'_>,
    );
    submit_answers(data);
}

/// What was read, written again: nothing that did not stand in the input.
fn one_message<'a, M>(data: &'a [u8]) -> Option<Vec<u8>>
where
    M: Message<'a>,
{
    let message = M::decode(data).ok()?;
    let mut written = Vec::new();
    message.encode(&mut written);
    assert!(written.len() <= data.len(), "{}: only what is known is written", M::NAME);
    assert_known_fields(M::NAME, data, &written);
    Some(written)
}

/// Every field that was written back stands in the input, as it is.
fn assert_known_fields(name: &str, data: &[u8], written: &[u8]) {
    let mut input = TlvReader::new(data);
    let mut output = TlvReader::new(written);
    while let Ok(Some(ours)) = output.next() {
        let theirs = loop {
            match input.next() {
                Ok(Some(field)) if field.tag < ours.tag => {}
                other => break other,
            }
        };
        let theirs = theirs.ok().flatten();
        let is_there = theirs.is_some_and(|theirs| {
            theirs.tag == ours.tag && theirs.value.type_code() == ours.value.type_code()
        });
        assert!(is_there, "{name}: field {} comes from nowhere", ours.tag);
    }
    assert!(output.finish().is_ok(), "{name}: what is written can be read");
}

/// What a client does with an answer, and a node with a submit.
fn submit_answers(data: &[u8]) {
    if let Ok(submit) = wire::Submit::decode(data) {
        let bytes: usize = submit.messages.iter().map(<[u8]>::len).sum();
        assert!(bytes <= data.len(), "messages are lent from the payload");
        assert_eq!(submit.messages.iter().count(), submit.messages.len(), "the count is true");
    }
    if let Ok(response) = wire::SubmitResponse::decode(data) {
        let count = response.outcomes.len();
        assert_eq!(response.ids.len(), 8 * count, "every message has an outcome and an id");
        for started in &response.workflows {
            assert!((started.index as usize) < count, "workflows belong to a message");
            assert!(started.names.iter().all(|name| name.len() <= data.len()), "names are lent");
        }
        for refusal in &response.refusals {
            assert!((refusal.index as usize) < count, "a refusal belongs to a message");
        }
    }
}

/// A payload, read as everything that one coordinator may say to another.
pub(crate) fn peers(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    for kind in Kind::ALL {
        let Ok(message) = PeerMessage::decode(*kind, &payload) else { continue };
        let mut frame = Vec::new();
        message.encode(UnixMicros(0), &mut frame);
        assert!(frame.len() <= message.encoded_bytes(), "a frame is no longer than was said");
        let read = Frame::decode(&frame, PEER_BYTES_MAX).expect("what was read can be sent on");
        assert_eq!(read.header.kind, *kind, "as what it was");
        let again = PeerMessage::decode(*kind, &Bytes::copy_from_slice(read.payload));
        assert_eq!(again, Ok(message), "and is read the same again");
    }
}

/// A payload, read as everything that a worker and the leader may say to each other.
pub(crate) fn workers(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    for kind in Kind::ALL {
        let mut frame = Vec::new();
        if let Ok(message) = FromWorker::decode(*kind, &payload) {
            message.encode(UnixMicros(0), &mut frame);
            assert!(frame.len() <= message.encoded_bytes(), "a frame is no longer than was said");
            let read = Frame::decode(&frame, PEER_BYTES_MAX).expect("what was read can be sent on");
            let again = FromWorker::decode(*kind, &Bytes::copy_from_slice(read.payload));
            assert_eq!(again, Ok(message), "and is read the same again");
        }
        frame.clear();
        if let Ok(message) = ToWorker::decode(*kind, &payload, None) {
            message.encode(UnixMicros(0), &mut frame);
            assert!(frame.len() <= message.encoded_bytes(), "a frame is no longer than was said");
            let read = Frame::decode(&frame, PEER_BYTES_MAX).expect("what was read can be sent on");
            let again = ToWorker::decode(*kind, &Bytes::copy_from_slice(read.payload), read.trace);
            assert_eq!(again, Ok(message), "and is read the same again");
        }
    }
}

/// A stream in pieces of many sizes: the same frames as in one piece, bounded memory, one error.
///
/// The first byte chooses the sizes of the pieces. Half of the inputs get their checksums put right
/// first, or no fuzzer would ever get behind them.
pub(crate) fn decoder(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let mut stream = stream.to_vec();
    if choice & 1 == 1 {
        put_checksums_right(&mut stream);
    }
    let whole = frames_of(&stream, stream.len().max(1));
    let pieces = frames_of(&stream, usize::from(choice >> 1) + 1);
    assert_eq!(whole.0, pieces.0, "how a stream is cut changes no frame");
    // A fault found early is told with the few bytes that were there: the same fault all the same.
    let fault = |read: &Read| read.1.as_ref().err().map(std::mem::discriminant);
    assert_eq!(fault(&whole), fault(&pieces), "nor what is wrong with it");
    // A stream that is one frame is a datagram, too, and the other way round.
    let datagram = Frame::decode(&stream, PAYLOAD_BYTES_MAX);
    if let (1, Ok(())) = (whole.0.len(), &whole.1) {
        let frame = datagram.expect("a stream of one frame is a datagram");
        assert_eq!(frame.payload, whole.0[0].1, "a datagram says what a stream says");
    } else {
        assert!(datagram.is_err(), "a datagram is one frame");
    }
}

type Read = (Vec<(Header, Vec<u8>)>, Result<(), FrameError>);

fn frames_of(stream: &[u8], piece: usize) -> Read {
    let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
    let mut frames = Vec::new();
    let mut rest = stream;
    loop {
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push((frame.header, frame.payload.to_vec())),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(), Err(error), "a broken stream stays broken");
                    assert_eq!(decoder.finish(), Err(error), "and says so at its end");
                    return (frames, Err(error));
                }
            }
        }
        if rest.is_empty() {
            return (frames, decoder.finish());
        }
        let space = decoder.space();
        let bytes = piece.min(rest.len()).min(space.len());
        space[..bytes].copy_from_slice(&rest[..bytes]);
        decoder.filled(bytes);
        rest = &rest[bytes..];
        let bytes_max = (HEADER_BYTES + TRACE_BYTES + PAYLOAD_BYTES_MAX).max(wire::READ_BYTES_MAX);
        assert!(decoder.memory_bytes() <= bytes_max, "memory is bounded");
    }
}

/// Makes each header that could be one carry the checksum of what follows it.
fn put_checksums_right(stream: &mut [u8]) {
    let mut at = 0;
    while let Some(first) = stream.get(at..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>()) {
        let Ok(header) = Header::decode(first) else { return };
        let end = at + HEADER_BYTES + header.payload_bytes as usize;
        let Some(frame) = stream.get_mut(at..end) else { return };
        let mut fresh = Vec::new();
        let head = Head {
            kind: header.kind,
            flags: header.flags.without(Flags::TRACED),
            call: header.call,
            sent_at: header.sent_at,
            trace: None,
        };
        let traced = header.flags.contains(Flags::TRACED);
        if traced {
            // A trace context is part of the payload: its checksum is made by hand.
            frame[12..16].fill(0);
            let crc = crc32fast::hash(frame);
            frame[12..16].copy_from_slice(&crc.to_be_bytes());
        } else {
            let payload = frame[HEADER_BYTES..].to_vec();
            wire::write_frame(&mut fresh, &head, |out| out.extend_from_slice(&payload));
            frame.copy_from_slice(&fresh);
        }
        at = end;
    }
}

/// A request line: method, path and query. Whatever it is, it has a route or a refusal.
pub(crate) fn routes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match route(Method::parse(method), path, query) {
        Ok(route) => {
            assert!(!route.pattern().is_empty(), "every route has a pattern");
            assert!(route.body_bytes_max() <= api::SET_BYTES_MAX, "bodies are bounded");
        }
        Err(error) => {
            let response = error.to_response();
            assert!((400..=599).contains(&response.status), "a refusal has a status of its own");
            // It may quote a little of what was asked, never all of it.
            assert!(response.body.len() <= 8 * 1024, "a refusal is short");
        }
    }
}
