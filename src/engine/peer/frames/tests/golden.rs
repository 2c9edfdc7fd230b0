//! The bytes that every message between coordinators has on a link, frozen.

use super::{decoded, frame_of};
use crate::message::NotTaken;
use crate::peer::{Forward, PeerMessage};
use base::{Address, BootId, CoreId, NodeId, StoreId};
use bytes::Bytes;
use quorum::{
    Append, AppendAnswer, Ballot, Candidacy, Change, Entry, EntryKind, Member, Membership, Message,
    Offer,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use wire::tlv::TlvReader;
use wire::{Frame, HEADER_BYTES, Kind, PEER_BYTES_MAX};

const GOLDEN: &str = include_str!("../../../../wire/testdata/peers.txt");

/// Two voters, a third that takes the place of one of them, and a learner without an address.
fn members() -> Membership {
    let member = |store, address: Option<&str>| {
        let address = address.map(|text| Address::parse(text).unwrap());
        Member { store: StoreId(store), address }
    };
    let voters = [
        (NodeId(1), member(0x0123_4567_89ab_cdef, Some("10.0.0.1:9100"))),
        (NodeId(2), member(0x1123_4567_89ab_cdef, Some("[2001:db8::2]:9100"))),
    ];
    let mut members = Membership::founded(voters).unwrap();
    for change in [
        Change::learn(NodeId(3), member(0x2123_4567_89ab_cdef, Some("three.example:9100"))),
        Change::learn(NodeId(4), member(u64::MAX, None)),
        Change::replace(NodeId(2), NodeId(3)),
    ] {
        members = members.changed(&change).unwrap();
    }
    members
}

/// The group's messages, one of each kind, with something in every field.
fn of_the_group() -> [Message; 13] {
    let (term, index, log_term, commit, commit_term) = (12, 1 << 40, 11, (1 << 40) - 3, 10);
    let context = Bytes::from_static(b"\x00\x01\xfe\xff");
    let candidacy = Candidacy {
        term,
        index,
        log_term,
        commit,
        commit_term,
        context: Bytes::from_static(b"CampaignTransfer"),
    };
    let ballot = Ballot { term, reject: true, commit, commit_term };
    let change = Change::promote(NodeId(3)).to_bytes();
    let batch = Bytes::from_static(b"a batch");
    let entries = vec![
        Entry { index: 43, term: 11, kind: EntryKind::Normal, data: batch },
        Entry { index: 44, term: 12, kind: EntryKind::Membership, data: change },
        Entry { index: 45, term: 12, kind: EntryKind::Normal, data: Bytes::new() },
    ];
    let answer = AppendAnswer {
        term,
        index: 42,
        reject: true,
        reject_hint: 39,
        log_term: 9,
        commit: 38,
        request_snapshot: 50,
    };
    [
        Message::RequestVote(candidacy.clone()),
        Message::RequestVoteResponse(ballot),
        Message::AppendEntries(Append { term, index: 42, log_term, commit: 40, entries }),
        Message::AppendEntriesResponse(answer),
        Message::InstallSnapshot(Offer { term, index, log_term, membership: members() }),
        Message::PreVote(candidacy),
        Message::PreVoteResponse(ballot),
        Message::Heartbeat { term, commit, context: context.clone() },
        Message::HeartbeatResponse { term, commit, context: context.clone() },
        Message::TimeoutNow { term },
        Message::TransferLeader { term },
        Message::ReadIndex { term, context: context.clone() },
        Message::ReadIndexResponse { term, index, context },
    ]
}

/// One of each kind.
pub(super) fn messages() -> Vec<PeerMessage> {
    let (boot, core, number, round) = (BootId(0x9a3f_0000_1111_2222), CoreId(3), 41, 7);
    let (index, offset) = (1 << 40, 1 << 20);
    let section = Bytes::from_static(b"a section");
    let mut messages: Vec<_> = of_the_group().into_iter().map(PeerMessage::Raft).collect();
    messages.extend([
        PeerMessage::Forward(Forward { boot, core, number, round, records: 2, section }),
        PeerMessage::NotTaken { boot, core, number, round, why: NotTaken::Gap },
        PeerMessage::SnapshotWanted { index, offset },
        PeerMessage::SnapshotPiece {
            index,
            offset,
            total_bytes: offset + 4,
            data: Bytes::from_static(b"tail"),
        },
        PeerMessage::SnapshotGone { index },
        PeerMessage::Request { boot, ticket: 9, body: Bytes::from_static(b"question") },
        PeerMessage::Answer { boot, ticket: 9, body: Bytes::from_static(b"answer") },
    ]);
    messages
}

fn kind_of(frame: &[u8]) -> Kind {
    Frame::decode(frame, PEER_BYTES_MAX).expect("it is a frame").header.kind
}

/// The frames of the file, by name.
fn golden() -> BTreeMap<&'static str, Vec<u8>> {
    let mut frames: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut name = "";
    for line in GOLDEN.lines() {
        if let Some(next) = line.strip_prefix("== ") {
            name = next;
            assert!(frames.insert(name, Vec::new()).is_none(), "{name} stands there twice");
            continue;
        }
        let digits = line.split('#').next().unwrap_or_default().split_whitespace();
        let bytes = digits.map(|byte| u8::from_str_radix(byte, 16).expect("two digits"));
        if !name.is_empty() {
            frames.entry(name).or_default().extend(bytes);
        }
    }
    frames
}

/// A frame as the file shows it: the header, then a line per field.
fn show(frame: &[u8]) -> String {
    let read = Frame::decode(frame, PEER_BYTES_MAX).unwrap();
    let mut text = format!("== {}\n", read.header.kind);
    let mut line = |bytes: &[u8], what: &str| {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{} # {what}", hex.join(" ")).unwrap();
    };
    line(&frame[..HEADER_BYTES], "header");
    let mut reader = TlvReader::new(read.payload);
    while let Some(field) = reader.next().unwrap() {
        let raw = field.value.raw();
        let mut bytes = field.tag.to_be_bytes().to_vec();
        bytes.push(field.value.type_code());
        bytes.extend(u32::try_from(raw.len()).unwrap().to_be_bytes());
        bytes.extend(raw);
        line(&bytes, &format!("field {}", field.tag));
    }
    text
}

#[test]
fn every_message_has_the_bytes_that_were_once_given_to_it() {
    let golden = golden();
    let messages = messages();
    let shown: Vec<_> = messages.iter().map(|message| show(&frame_of(message))).collect();
    let shown = shown.join("\n");
    for message in &messages {
        let frame = frame_of(message);
        let kind = kind_of(&frame);
        assert_eq!(
            golden.get(kind.name()),
            Some(&frame),
            "{kind}: the bytes of src/wire/testdata/peers.txt are frozen. What is new is shown \
             like this:\n{shown}"
        );
        assert_eq!(decoded(&golden[kind.name()]).as_ref(), Ok(message));
    }
    assert_eq!(golden.len(), messages.len(), "every frame of the file has its message");
}

#[test]
fn every_kind_between_coordinators_is_a_message_but_what_is_said_before_and_what_never_is() {
    let shown: BTreeSet<_> = messages().iter().map(|message| kind_of(&frame_of(message))).collect();
    let others = [Kind::INSTALL_SNAPSHOT_RESPONSE, Kind::WELCOME];
    let kinds = Kind::ALL.iter().filter(|kind| kind.0 >> 12 == 1 && !others.contains(kind));
    assert_eq!(shown, kinds.copied().collect());
}
