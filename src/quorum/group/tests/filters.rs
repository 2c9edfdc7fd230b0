//! Messages that no right peer sends.

use super::world::member;
use crate::group::{Config, Group};
use crate::{
    Append, AppendAnswer, Ballot, Candidacy, Change, Dropped, Effect, Entry, EntryKind, HardState,
    Membership, Message, Offer, Role,
};
use base::{NodeId, Outbox, StoreId};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::VecDeque;

const OWN: NodeId = NodeId(1);

#[derive(Debug)]
enum Completion {
    Vote,
    Durable(u64),
    Fetched(u64),
    Installed(u64),
    Applied(u64),
}

/// A member of three, whose peers are whoever writes the test.
struct Lonely {
    group: Group,
    out: Outbox<Effect>,
    waiting: VecDeque<Completion>,
    sent: Vec<Message>,
}

fn entry(index: u64, term: u64) -> Entry {
    Entry { index, term, kind: EntryKind::Normal, data: Bytes::from_static(b"entry") }
}

fn three() -> Membership {
    Membership::founded((1..=3).map(|node| (NodeId(node), member(node)))).unwrap()
}

impl Lonely {
    /// Entries 1 to 3 of term 2 are durable, 1 and 2 are committed and applied.
    fn new() -> Self {
        let config = Config {
            seed: 7,
            hard_state: HardState { term: 2, vote: 0, commit: 2 },
            entries: (1..=3).map(|index| entry(index, 2)).collect(),
            ..Config::new(OWN, StoreId(1), three())
        };
        let group = Group::new(config);
        let mut lonely =
            Self { group, out: Outbox::new(), waiting: VecDeque::new(), sent: Vec::new() };
        lonely.group.on_tick(&mut lonely.out);
        lonely.finish();
        lonely
    }

    fn hear(&mut self, from: u64, store: u64, message: Message) -> Result<(), Dropped> {
        let result = self.group.on_message(NodeId(from), StoreId(store), message, &mut self.out);
        self.carry_out();
        result
    }

    fn carry_out(&mut self) {
        for effect in self.out.take() {
            let completion = match effect {
                Effect::Vote { .. } => Completion::Vote,
                Effect::Append { entries, commit } => {
                    let last = entries.last().unwrap().index;
                    assert!(commit <= last, "nothing is called committed that is not written");
                    for before in &mut self.waiting {
                        if let Completion::Durable(stands) = before {
                            *stands = (*stands).min(entries[0].index - 1);
                        }
                    }
                    Completion::Durable(entries.last().unwrap().index)
                }
                Effect::Committed { entries } => Completion::Applied(entries.last().unwrap().index),
                Effect::FetchSnapshot { index, .. } => Completion::Fetched(index),
                Effect::InstallSnapshot { index, .. } => Completion::Installed(index),
                Effect::Send { message, .. } => {
                    self.sent.push(message);
                    continue;
                }
                _ => continue,
            };
            self.waiting.push_back(completion);
        }
    }

    fn complete(&mut self) {
        let Some(completion) = self.waiting.pop_front() else { return };
        match completion {
            Completion::Vote => self.group.on_vote_durable(&mut self.out),
            Completion::Durable(index) => self.group.on_durable(index, &mut self.out),
            Completion::Fetched(index) => {
                self.group.on_snapshot_fetched(index, &mut self.out);
            }
            Completion::Installed(index) => self.group.on_snapshot_installed(index, &mut self.out),
            Completion::Applied(index) => self.group.on_applied(index),
        }
        self.carry_out();
    }

    fn finish(&mut self) {
        self.carry_out();
        while !self.waiting.is_empty() {
            self.complete();
        }
    }

    /// Makes it lead, with the votes of all.
    fn lead(mut self) -> Self {
        self.group.on_campaign(&mut self.out);
        self.finish();
        let yes = |term| Ballot { term, reject: false, commit: 0, commit_term: 0 };
        self.hear(2, 2, Message::PreVoteResponse(yes(3))).unwrap();
        self.finish();
        self.hear(2, 2, Message::RequestVoteResponse(yes(3))).unwrap();
        self.finish();
        assert_eq!(self.group.status().role, Role::Leader);
        self
    }
}

fn append(term: u64, index: u64, log_term: u64, entries: Vec<Entry>) -> Message {
    Message::AppendEntries(Append { term, index, log_term, commit: 0, entries })
}

fn candidacy(term: u64, index: u64, log_term: u64) -> Candidacy {
    Candidacy { term, index, log_term, commit: 0, commit_term: 0, context: Bytes::new() }
}

fn answer(index: u64, reject_hint: u64, reject: bool, request_snapshot: u64) -> Message {
    Message::AppendEntriesResponse(AppendAnswer {
        term: 3,
        index,
        reject,
        reject_hint,
        request_snapshot,
        ..AppendAnswer::default()
    })
}

fn offer(term: u64, index: u64, log_term: u64, membership: Membership) -> Message {
    Message::InstallSnapshot(Offer { term, index, log_term, membership })
}

fn change_entry(data: &'static [u8]) -> Entry {
    let data = Bytes::from_static(data);
    Entry { index: 4, term: 2, kind: EntryKind::Membership, data }
}

#[test]
fn what_cannot_be_true_is_dropped_with_its_reason() {
    let strangers = Membership::founded([(NodeId(2), member(2))]).unwrap();
    let other_store = Membership::founded([(OWN, member(9)), (NodeId(2), member(2))]).unwrap();
    let high = 1 << 62;
    let read = |context: &'static [u8]| Bytes::from_static(context);
    let rows: Vec<(&str, u64, u64, Message, Dropped)> = vec![
        ("to itself", 1, 1, append(2, 0, 0, vec![]), Dropped::Own),
        ("nobody leads", 0, 2, append(2, 0, 0, vec![]), Dropped::Stranger),
        ("no term", 2, 2, append(0, 0, 0, vec![]), Dropped::Term),
        ("a vote without a term", 2, 2, Message::RequestVote(candidacy(0, 3, 2)), Dropped::Term),
        ("a term beyond counting", 2, 2, append(u64::MAX, 0, 0, vec![]), Dropped::Term),
        ("an index without a term", 2, 2, append(2, 9, 0, vec![entry(10, 2)]), Dropped::Position),
        ("a term without an index", 2, 2, append(2, 0, 1, vec![]), Dropped::Position),
        ("a log ahead of its term", 2, 2, append(2, 3, 3, vec![]), Dropped::Position),
        ("an index beyond counting", 2, 2, append(2, high, 2, vec![]), Dropped::Position),
        ("a gap", 2, 2, append(2, 3, 2, vec![entry(5, 2)]), Dropped::Entries),
        ("no order", 2, 2, append(2, 3, 2, vec![entry(4, 2), entry(4, 2)]), Dropped::Entries),
        ("a term that shrinks", 2, 2, append(2, 3, 2, vec![entry(4, 1)]), Dropped::Entries),
        ("an entry of no term", 2, 2, append(2, 0, 0, vec![entry(1, 0)]), Dropped::Entries),
        ("an entry of the future", 2, 2, append(2, 3, 2, vec![entry(4, 3)]), Dropped::Entries),
        ("an unreadable change", 2, 2, append(2, 3, 2, vec![change_entry(b"?")]), Dropped::Entries),
        (
            "a stranger's vote",
            4,
            4,
            Message::RequestVoteResponse(Ballot {
                term: 2,
                reject: false,
                commit: 0,
                commit_term: 0,
            }),
            Dropped::Stranger,
        ),
        ("another store stands", 2, 9, Message::PreVote(candidacy(3, 9, 2)), Dropped::ForeignStore),
        ("another store agrees", 2, 9, answer(3, 0, false, 0), Dropped::ForeignStore),
        ("a snapshot of nothing", 2, 2, offer(2, 0, 0, three()), Dropped::Position),
        ("a snapshot for others", 2, 2, offer(2, 9, 2, strangers), Dropped::Members),
        ("a snapshot for another store", 2, 2, offer(2, 9, 2, other_store), Dropped::Members),
        ("a snapshot for nobody", 2, 2, offer(2, 9, 2, Membership::default()), Dropped::Members),
        ("a committed entry of another term", 2, 2, offer(2, 2, 1, three()), Dropped::Position),
        ("an order of no leader", 2, 2, Message::TimeoutNow { term: 2 }, Dropped::NotTheLeader),
        ("a lead that is not here", 2, 2, Message::TransferLeader { term: 2 }, Dropped::NotLeading),
        (
            "a read elsewhere",
            2,
            2,
            Message::ReadIndex { term: 2, context: read(&[0; 24]) },
            Dropped::NotLeading,
        ),
        (
            "a read with a short name",
            2,
            2,
            Message::ReadIndexResponse { term: 2, index: 2, context: read(b"short") },
            Dropped::Read,
        ),
        (
            "a heartbeat with a long context",
            2,
            2,
            Message::Heartbeat { term: 2, commit: 0, context: read(&[0; 25]) },
            Dropped::Read,
        ),
    ];
    for (what, from, store, message, reason) in rows {
        let mut lonely = Lonely::new();
        let before = lonely.group.status();
        assert_eq!(lonely.hear(from, store, message), Err(reason), "{what}");
        assert_eq!(lonely.group.status(), before, "{what}: nothing has changed");
        let counted: Vec<_> = lonely.group.drops().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(reason, 1)], "{what}");
    }
}

#[test]
fn what_cannot_be_true_to_a_leader_is_dropped_with_its_reason() {
    let read = |context: Vec<u8>| Message::ReadIndex { term: 3, context: context.into() };
    let mut of_another = vec![0; 24];
    of_another[0] = 3;
    let mut own = vec![0; 24];
    own[0] = 2;
    let rows = vec![
        ("an acknowledgement behind the log", answer(5, 0, false, 0), Dropped::BeyondLog),
        ("a refusal behind the log", answer(5, 3, true, 0), Dropped::BeyondLog),
        ("a hint behind what is refused", answer(3, 4, true, 0), Dropped::BeyondLog),
        ("a snapshot behind the log", answer(3, 3, true, 9), Dropped::BeyondLog),
        ("a second leader", append(3, 3, 2, vec![]), Dropped::NotTheLeader),
        ("a second leader's order", Message::TimeoutNow { term: 3 }, Dropped::NotTheLeader),
        ("somebody else's read", read(of_another), Dropped::Read),
        ("a read without a name", read(vec![]), Dropped::Read),
        ("a read before this term's first commit", read(own), Dropped::Read),
    ];
    for (what, message, reason) in rows {
        let mut lonely = Lonely::new().lead();
        let before = lonely.group.status();
        assert_eq!(lonely.hear(2, 2, message), Err(reason), "{what}");
        assert_eq!(lonely.group.status(), before, "{what}: nothing has changed");
    }
}

#[test]
fn a_heartbeat_that_commits_what_is_not_there_is_only_a_sign_of_life() {
    let mut lonely = Lonely::new();
    let heartbeat = Message::Heartbeat { term: 2, commit: 9, context: Bytes::new() };
    assert_eq!(lonely.hear(2, 2, heartbeat), Ok(()));
    lonely.finish();
    let status = lonely.group.status();
    assert_eq!((status.leader, status.commit), (2, 2));
    assert_eq!(
        lonely.group.drops().find(|(reason, _)| *reason == Dropped::BeyondLog).unwrap().1,
        1
    );
}

#[test]
fn a_node_whose_journal_lost_entries_does_not_vote_until_it_has_them_again() {
    let config = Config {
        hard_state: HardState { term: 2, vote: 0, commit: 2 },
        entries: (1..=3).map(|index| entry(index, 2)).collect(),
        whole_through: 5,
        ..Config::new(OWN, StoreId(1), three())
    };
    let mut lonely = Lonely {
        group: Group::new(config),
        out: Outbox::new(),
        waiting: VecDeque::new(),
        sent: Vec::new(),
    };
    for _ in 0..100 {
        lonely.group.on_tick(&mut lonely.out);
        lonely.finish();
    }
    lonely.group.on_campaign(&mut lonely.out);
    lonely.finish();
    assert_eq!(lonely.group.status().role, Role::Follower, "it does not stand");
    let request = Message::RequestVote(candidacy(3, 9, 2));
    assert_eq!(lonely.hear(2, 2, request.clone()), Err(Dropped::Mending));
    // Its leader, which knows that it had entry 5 once, sends what it lacks.
    let heartbeat = Message::Heartbeat { term: 2, commit: 5, context: Bytes::new() };
    assert_eq!(lonely.hear(2, 2, heartbeat), Ok(()));
    assert_eq!(lonely.hear(2, 2, append(2, 3, 2, vec![entry(4, 2), entry(5, 2)])), Ok(()));
    lonely.finish();
    assert!(lonely.group.is_whole());
    for _ in 0..40 {
        lonely.group.on_tick(&mut lonely.out);
        lonely.finish();
    }
    assert_eq!(lonely.group.status().role, Role::Candidate, "now it stands");
    assert_eq!(lonely.hear(2, 2, request), Ok(()));
}

/// Found by the simulator (`cargo sim group --seed 3178`): the journal was told that an entry is
/// committed before it was given it, and then refused to have that entry superseded.
#[test]
fn what_came_while_a_vote_was_on_its_way_is_called_committed_once_it_is_written() {
    let mut lonely = Lonely::new();
    assert_eq!(lonely.hear(2, 2, append(3, 3, 2, vec![entry(4, 3)])), Ok(()));
    assert!(matches!(lonely.waiting.front(), Some(Completion::Vote)), "the term is on its way");
    let entries = vec![entry(5, 3)];
    let next = Append { term: 3, index: 4, log_term: 3, commit: 5, entries };
    assert_eq!(lonely.hear(2, 2, Message::AppendEntries(next)), Ok(()));
    lonely.finish();
    assert_eq!(lonely.group.status().commit, 5);
}

#[test]
fn a_follower_that_does_not_apply_takes_no_more_than_it_may_hold() {
    let mut lonely = Lonely::new();
    let data = Bytes::from(vec![0; 1 << 20]);
    let mut index = 3;
    let reason = loop {
        let next = Entry { index: index + 1, term: 2, kind: EntryKind::Normal, data: data.clone() };
        let result = lonely.hear(2, 2, append(2, index, 2, vec![next]));
        lonely.waiting.retain(|completion| !matches!(completion, Completion::Applied(_)));
        lonely.finish();
        match result {
            Ok(()) => index += 1,
            Err(reason) => break reason,
        }
    };
    assert_eq!(reason, Dropped::Lagging);
    assert!((index << 20) <= crate::LAG_BYTES_MAX + (5 << 20));
    // Its leader still counts on it, and commits what it has: then it can apply.
    let heartbeat = Message::Heartbeat { term: 2, commit: index, context: Bytes::new() };
    assert_eq!(lonely.hear(2, 2, heartbeat), Ok(()));
    lonely.finish();
    assert_eq!(lonely.hear(2, 2, append(2, index, 2, vec![entry(index + 1, 2)])), Ok(()));
}

#[test]
fn entries_that_come_again_are_not_taken_for_those_on_their_way() {
    // 4 and 5 of term 2 are on their way to the disk, are superseded by 4 of term 3, and come again
    // from a leader of term 4 that has them in its log. What was written first no longer counts.
    let mut lonely = Lonely::new();
    let old = vec![entry(4, 2), entry(5, 2)];
    lonely.hear(2, 2, append(2, 3, 2, old.clone())).unwrap();
    lonely.hear(3, 3, append(3, 3, 2, vec![entry(4, 3)])).unwrap();
    assert!(matches!(lonely.waiting[1], Completion::Vote), "{:?}", lonely.waiting);
    let vote = lonely.waiting.remove(1).unwrap();
    lonely.waiting.push_front(vote);
    lonely.complete();
    lonely.hear(2, 2, append(4, 3, 2, old)).unwrap();
    let vote = lonely.waiting.pop_back().unwrap();
    assert!(matches!(vote, Completion::Vote));
    lonely.waiting.push_front(vote);
    lonely.complete();
    let stands: Vec<u64> = lonely
        .waiting
        .iter()
        .map(|completion| match completion {
            Completion::Durable(index) => *index,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(stands, [3, 3, 5], "of what is superseded nothing stands");
    lonely.sent.clear();
    lonely.complete();
    lonely.complete();
    let acknowledges =
        |sent: &[Message]| sent.iter().any(|m| matches!(m, Message::AppendEntriesResponse(_)));
    assert!(!acknowledges(&lonely.sent), "{:?}", lonely.sent);
    lonely.complete();
    assert!(acknowledges(&lonely.sent));
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..8_u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn any_context() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(Bytes::new()),
        (0..4_u8).prop_map(|node| {
            let mut context = vec![0; 24];
            context[0] = node;
            context.into()
        }),
        Just(Bytes::from_static(b"CampaignTransfer")),
        Just(Bytes::from_static(b"x")),
    ]
}

fn any_change() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(Change::remove(NodeId(1)).to_bytes()),
        Just(Change::remove(NodeId(3)).to_bytes()),
        Just(Change::learn(NodeId(4), member(4)).to_bytes()),
        Just(Change::promote(NodeId(4)).to_bytes()),
        Just(Change::replace(NodeId(2), NodeId(4)).to_bytes()),
        Just(Change::default().to_bytes()),
        Just(Bytes::from_static(b"?")),
    ]
}

/// Entries that follow each other more often than not.
fn any_entries() -> impl Strategy<Value = (u64, u64, Vec<Entry>)> {
    let entry = (0..4_u64, any::<bool>(), any_change(), prop_oneof![9 => Just(0), 1 => 0..3_u64]);
    let entries = proptest::collection::vec(entry, 0..4);
    (any_number(), 0..4_u64, entries).prop_map(|(index, log_term, drawn)| {
        let mut entries = Vec::new();
        let (mut at, mut before) = (index, log_term);
        for (term, is_change, change, skip) in drawn {
            at = at.saturating_add(1 + skip);
            before = before.max(term);
            let kind = if is_change { EntryKind::Membership } else { EntryKind::Normal };
            let data = if is_change { change } else { Bytes::from_static(b"entry") };
            entries.push(Entry { index: at, term: before, kind, data });
        }
        (index, log_term, entries)
    })
}

fn any_membership() -> impl Strategy<Value = Membership> {
    prop_oneof![
        Just(three()),
        Just(Membership::default()),
        Just(Membership::founded([(OWN, member(1))]).unwrap()),
        Just(three().changed(&Change::learn(NodeId(4), member(4))).unwrap()),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let n = any_number;
    let stand = (n(), n(), n(), n(), n(), any_context()).prop_map(
        |(term, index, log_term, commit, commit_term, context)| Candidacy {
            term,
            index,
            log_term,
            commit,
            commit_term,
            context,
        },
    );
    let stand = stand.boxed();
    let ballot = (n(), any::<bool>(), n(), n()).prop_map(|(term, reject, commit, commit_term)| {
        Ballot { term, reject, commit, commit_term }
    });
    let ballot = ballot.boxed();
    let answer = (n(), n(), any::<bool>(), n(), n(), n(), n()).prop_map(
        |(term, index, reject, reject_hint, log_term, commit, request_snapshot)| AppendAnswer {
            term,
            index,
            reject,
            reject_hint,
            log_term,
            commit,
            request_snapshot,
        },
    );
    let append =
        (n(), n(), any_entries()).prop_map(|(term, commit, (index, log_term, entries))| {
            Message::AppendEntries(Append { term, index, log_term, commit, entries })
        });
    let offer = (n(), n(), n(), any_membership())
        .prop_map(|(term, index, log_term, membership)| offer(term, index, log_term, membership));
    let beat = (n(), n(), any_context()).boxed();
    prop_oneof![
        1 => stand.clone().prop_map(Message::RequestVote),
        1 => stand.prop_map(Message::PreVote),
        1 => ballot.clone().prop_map(Message::RequestVoteResponse),
        1 => ballot.prop_map(Message::PreVoteResponse),
        4 => append,
        2 => answer.prop_map(Message::AppendEntriesResponse),
        1 => offer,
        1 => beat.clone().prop_map(|(term, commit, context)| Message::Heartbeat { term, commit, context }),
        1 => beat.prop_map(|(term, commit, context)| {
            Message::HeartbeatResponse { term, commit, context }
        }),
        1 => n().prop_map(|term| Message::TimeoutNow { term }),
        1 => n().prop_map(|term| Message::TransferLeader { term }),
        1 => (n(), any_context()).prop_map(|(term, context)| Message::ReadIndex { term, context }),
        1 => (n(), n(), any_context()).prop_map(|(term, index, context)| {
            Message::ReadIndexResponse { term, index, context }
        }),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Hear(u64, Message),
    Tick,
    Complete,
    Campaign,
    Propose,
    Gone(u64),
    Read,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (0..5_u64, any_message()).prop_map(|(from, message)| Act::Hear(from, message)),
        3 => Just(Act::Tick),
        8 => Just(Act::Complete),
        1 => Just(Act::Campaign),
        1 => Just(Act::Propose),
        1 => (0..4_u64).prop_map(Act::Gone),
        1 => Just(Act::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_message_makes_the_group_panic(
        leads in any::<bool>(),
        acts in proptest::collection::vec(any_act(), 1..60),
    ) {
        let mut lonely = Lonely::new();
        if leads {
            lonely = lonely.lead();
        }
        for act in acts {
            match act {
                Act::Hear(from, message) => {
                    let _dropped_or_not = lonely.hear(from, from, message);
                }
                Act::Tick => lonely.group.on_tick(&mut lonely.out),
                Act::Complete => lonely.complete(),
                Act::Campaign => lonely.group.on_campaign(&mut lonely.out),
                Act::Propose => {
                    let _refused = lonely.group.on_propose("x".into(), &mut lonely.out);
                }
                Act::Gone(node) => lonely.group.on_leader_gone(NodeId(node), &mut lonely.out),
                Act::Read => lonely.group.on_read(1, &mut lonely.out).unwrap(),
            }
            lonely.carry_out();
        }
        lonely.finish();
    }
}
