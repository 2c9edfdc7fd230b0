//! Any message that coordinators can send.

use crate::message::NotTaken;
use crate::peer::{Forward, PeerMessage};
use base::{Address, BootId, CoreId, NodeId, StoreId};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quorum::{
    Append, AppendAnswer, Ballot, Candidacy, Change, Entry, EntryKind, Member, Membership, Message,
    Offer,
};

fn bytes(bytes_max: usize) -> impl Strategy<Value = Bytes> + Clone {
    vec(any::<u8>(), 0..=bytes_max).prop_map(Bytes::from)
}

/// Numbers that are often small or the largest.
fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)]
}

fn member() -> impl Strategy<Value = Member> {
    let addresses = ["10.0.0.7:9100", "[2001:db8::7]:1", "node-7.example:65535"];
    let address = prop::option::of(prop::sample::select(addresses.to_vec()));
    (any::<u64>(), address).prop_map(|(store, address)| Member {
        store: StoreId(store),
        address: address.map(|text| Address::parse(text).unwrap()),
    })
}

/// Voters, then learners; and perhaps a learner is on its way to take a voter's place.
fn membership() -> impl Strategy<Value = Membership> {
    let members = (vec(member(), 1..=7), vec(member(), 0..=8), any::<bool>());
    members.prop_map(|(voters, learners, replace)| {
        let numbered = (1..).map(NodeId).zip(voters);
        let mut members = Membership::founded(numbered).unwrap();
        let is_joint = replace && !learners.is_empty();
        for (node, member) in (100..).map(NodeId).zip(learners) {
            members = members.changed(&Change::learn(node, member)).unwrap();
        }
        if is_joint {
            members = members.changed(&Change::replace(NodeId(1), NodeId(100))).unwrap();
        }
        members
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![Just(EntryKind::Normal), Just(EntryKind::Membership)];
    (number(), number(), kind, bytes(700)).prop_map(|(index, term, kind, data)| Entry {
        index,
        term,
        kind,
        data,
    })
}

fn candidacy() -> impl Strategy<Value = Candidacy> {
    let fields = (number(), number(), number(), number(), number(), bytes(20));
    fields.prop_map(|(term, index, log_term, commit, commit_term, context)| Candidacy {
        term,
        index,
        log_term,
        commit,
        commit_term,
        context,
    })
}

fn ballot() -> impl Strategy<Value = Ballot> {
    let fields = (number(), any::<bool>(), number(), number());
    fields.prop_map(|(term, reject, commit, commit_term)| Ballot {
        term,
        reject,
        commit,
        commit_term,
    })
}

fn append() -> impl Strategy<Value = Append> {
    let fields = (number(), number(), number(), number(), vec(entry(), 0..40));
    fields.prop_map(|(term, index, log_term, commit, entries)| Append {
        term,
        index,
        log_term,
        commit,
        entries,
    })
}

fn append_answer() -> impl Strategy<Value = AppendAnswer> {
    let fields = (number(), number(), any::<bool>(), number(), number(), number(), number());
    fields.prop_map(|(term, index, reject, reject_hint, log_term, commit, request_snapshot)| {
        AppendAnswer { term, index, reject, reject_hint, log_term, commit, request_snapshot }
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    let fields = (number(), number(), number(), membership());
    fields.prop_map(|(term, index, log_term, membership)| Offer {
        term,
        index,
        log_term,
        membership,
    })
}

fn of_the_group() -> impl Strategy<Value = Message> {
    let fields = || (number(), number(), bytes(40));
    prop_oneof![
        candidacy().prop_map(Message::RequestVote),
        candidacy().prop_map(Message::PreVote),
        ballot().prop_map(Message::RequestVoteResponse),
        ballot().prop_map(Message::PreVoteResponse),
        append().prop_map(Message::AppendEntries),
        append_answer().prop_map(Message::AppendEntriesResponse),
        offer().prop_map(Message::InstallSnapshot),
        fields().prop_map(|(term, commit, context)| Message::Heartbeat { term, commit, context }),
        fields().prop_map(|(term, commit, context)| {
            Message::HeartbeatResponse { term, commit, context }
        }),
        number().prop_map(|term| Message::TimeoutNow { term }),
        number().prop_map(|term| Message::TransferLeader { term }),
        fields().prop_map(|(term, _, context)| Message::ReadIndex { term, context }),
        fields().prop_map(|(term, index, context)| {
            Message::ReadIndexResponse { term, index, context }
        }),
    ]
}

fn not_taken() -> impl Strategy<Value = NotTaken> {
    let (space, leader) = (Just(NotTaken::NoSpace), Just(NotTaken::NoLeader));
    prop_oneof![space, leader, Just(NotTaken::Stopping), Just(NotTaken::Gap)]
}

fn besides() -> impl Strategy<Value = PeerMessage> {
    let session = || (number().prop_map(BootId), any::<u16>().prop_map(CoreId), number());
    let forward = (session(), any::<u32>(), any::<u32>(), bytes(2_000));
    let refusal = (session(), any::<u32>(), not_taken());
    let wanted = (number(), number());
    let piece = (number(), number(), number(), bytes(2_000));
    let ticket = || (number().prop_map(BootId), number(), bytes(2_000));
    prop_oneof![
        forward.prop_map(|((boot, core, number), round, records, section)| {
            PeerMessage::Forward(Forward { boot, core, number, round, records, section })
        }),
        refusal.prop_map(|((boot, core, number), round, why)| {
            PeerMessage::NotTaken { boot, core, number, round, why }
        }),
        wanted.prop_map(|(index, offset)| PeerMessage::SnapshotWanted { index, offset }),
        piece.prop_map(|(index, offset, total_bytes, data)| {
            PeerMessage::SnapshotPiece { index, offset, total_bytes, data }
        }),
        number().prop_map(|index| PeerMessage::SnapshotGone { index }),
        ticket().prop_map(|(boot, ticket, body)| PeerMessage::Request { boot, ticket, body }),
        ticket().prop_map(|(boot, ticket, body)| PeerMessage::Answer { boot, ticket, body }),
    ]
}

/// Any of them.
pub(super) fn message() -> impl Strategy<Value = PeerMessage> {
    prop_oneof![2 => of_the_group().prop_map(PeerMessage::Raft), 1 => besides()]
}
