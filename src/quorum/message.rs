//! What the members of a group say to each other, with the fields that the wire gives them
//! (docs/WIRE.md). Who sends, to whom and with which store is the envelope's.

use crate::entry::Entry;
use crate::membership::Membership;
use bytes::Bytes;
use raft::eraftpb as library;
use raft::eraftpb::MessageType;

/// One message of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A candidate asks for a vote in `term`.
    RequestVote(Candidacy),
    /// Would it be voted for? Changes nobody's term.
    PreVote(Candidacy),
    /// The vote, or the refusal.
    RequestVoteResponse(Ballot),
    /// It would be voted for, or not.
    PreVoteResponse(Ballot),
    /// The leader's entries.
    AppendEntries(Append),
    /// How far the follower's log is the leader's.
    AppendEntriesResponse(AppendAnswer),
    /// The leader offers a snapshot: what the follower needs is no longer in the log. The bytes
    /// of the snapshot are the driver's.
    InstallSnapshot(Offer),
    /// The leader is alive.
    Heartbeat {
        /// The leader's term.
        term: u64,
        /// Up to where the log is committed, as far as the follower has it.
        commit: u64,
        /// Which reads it confirms: the answer repeats it.
        context: Bytes,
    },
    /// So is the follower.
    HeartbeatResponse {
        /// The follower's term.
        term: u64,
        /// Up to where the follower knows the log committed.
        commit: u64,
        /// As in the heartbeat.
        context: Bytes,
    },
    /// The leader hands over: stand for election at once.
    TimeoutNow {
        /// The leader's term.
        term: u64,
    },
    /// The sender wants to lead.
    TransferLeader {
        /// The sender's term.
        term: u64,
    },
    /// A follower asks up to where the log is committed, to answer reads.
    ReadIndex {
        /// The follower's term.
        term: u64,
        /// Which read: node, boot and a counter.
        context: Bytes,
    },
    /// Up to there.
    ReadIndexResponse {
        /// The leader's term.
        term: u64,
        /// The read waits until this index is applied.
        index: u64,
        /// Which read.
        context: Bytes,
    },
}

/// Why a candidate should be elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// The term it stands for.
    pub term: u64,
    /// The last index of its log.
    pub index: u64,
    /// The term of that entry.
    pub log_term: u64,
    /// Up to where it knows the log committed.
    pub commit: u64,
    /// The term of that entry.
    pub commit_term: u64,
    /// Why it stands: the library's name for a hand-over, else empty.
    pub context: Bytes,
}

/// A voter's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The term voted in; of a refused pre-vote, the voter's own.
    pub term: u64,
    /// No vote.
    pub reject: bool,
    /// Up to where the voter knows the log committed, when it refuses.
    pub commit: u64,
    /// The term of that entry.
    pub commit_term: u64,
}

/// Entries, to follow the one that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The leader's term.
    pub term: u64,
    /// The index before the first of the entries.
    pub index: u64,
    /// The term of the entry there.
    pub log_term: u64,
    /// Up to where the log is committed.
    pub commit: u64,
    /// Without a gap.
    pub entries: Vec<Entry>,
}

/// A follower's answer to entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendAnswer {
    /// The follower's term.
    pub term: u64,
    /// Up to there it is durable and the same; when refused, the index that did not fit.
    pub index: u64,
    /// The entries did not follow on anything the follower has.
    pub reject: bool,
    /// Where the follower guesses that both logs are the same.
    pub reject_hint: u64,
    /// The term of the follower's entry there.
    pub log_term: u64,
    /// Up to where the follower knows the log committed.
    pub commit: u64,
    /// It asks for a snapshot of at least this index instead; 0 when it does not.
    pub request_snapshot: u64,
}

/// A snapshot that the leader has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The leader's term.
    pub term: u64,
    /// The last index that the snapshot holds.
    pub index: u64,
    /// The term of that entry.
    pub log_term: u64,
    /// The members as of that index.
    pub membership: Membership,
}

impl Message {
    /// The message's term.
    pub fn term(&self) -> u64 {
        match self {
            Self::RequestVote(candidacy) | Self::PreVote(candidacy) => candidacy.term,
            Self::RequestVoteResponse(ballot) | Self::PreVoteResponse(ballot) => ballot.term,
            Self::AppendEntries(append) => append.term,
            Self::AppendEntriesResponse(answer) => answer.term,
            Self::InstallSnapshot(offer) => offer.term,
            Self::Heartbeat { term, .. }
            | Self::HeartbeatResponse { term, .. }
            | Self::TimeoutNow { term }
            | Self::TransferLeader { term }
            | Self::ReadIndex { term, .. }
            | Self::ReadIndexResponse { term, .. } => *term,
        }
    }

    /// Whether only the leader of its term says so.
    pub fn is_of_a_leader(&self) -> bool {
        matches!(
            self,
            Self::AppendEntries(_)
                | Self::InstallSnapshot(_)
                | Self::Heartbeat { .. }
                | Self::TimeoutNow { .. }
                | Self::ReadIndexResponse { .. }
        )
    }

    /// As the library reads it. A snapshot's members go as the library's own kind of list.
    pub(crate) fn into_library(self, from: u64, to: u64) -> library::Message {
        let mut message = library::Message { from, to, term: self.term(), ..Default::default() };
        let kind = match self {
            Self::RequestVote(candidacy) => {
                candidacy.fill(&mut message);
                MessageType::MsgRequestVote
            }
            Self::PreVote(candidacy) => {
                candidacy.fill(&mut message);
                MessageType::MsgRequestPreVote
            }
            Self::RequestVoteResponse(ballot) => {
                ballot.fill(&mut message);
                MessageType::MsgRequestVoteResponse
            }
            Self::PreVoteResponse(ballot) => {
                ballot.fill(&mut message);
                MessageType::MsgRequestPreVoteResponse
            }
            Self::AppendEntries(append) => {
                message.index = append.index;
                message.log_term = append.log_term;
                message.commit = append.commit;
                let entries: Vec<_> = append.entries.into_iter().map(Entry::into_library).collect();
                message.entries = entries.into();
                MessageType::MsgAppend
            }
            Self::AppendEntriesResponse(answer) => {
                message.index = answer.index;
                message.reject = answer.reject;
                message.reject_hint = answer.reject_hint;
                message.log_term = answer.log_term;
                message.commit = answer.commit;
                message.request_snapshot = answer.request_snapshot;
                MessageType::MsgAppendResponse
            }
            Self::InstallSnapshot(offer) => {
                let snapshot = snapshot(offer.index, offer.log_term, &offer.membership);
                message.set_snapshot(snapshot);
                MessageType::MsgSnapshot
            }
            Self::Heartbeat { commit, context, .. } => {
                message.commit = commit;
                message.context = context;
                MessageType::MsgHeartbeat
            }
            Self::HeartbeatResponse { commit, context, .. } => {
                message.commit = commit;
                message.context = context;
                MessageType::MsgHeartbeatResponse
            }
            Self::TimeoutNow { .. } => MessageType::MsgTimeoutNow,
            Self::TransferLeader { .. } => MessageType::MsgTransferLeader,
            Self::ReadIndex { context, .. } => {
                // The library sends and expects these without a term.
                message.term = 0;
                message.entries =
                    vec![library::Entry { data: context, ..Default::default() }].into();
                MessageType::MsgReadIndex
            }
            Self::ReadIndexResponse { index, context, .. } => {
                message.index = index;
                message.entries =
                    vec![library::Entry { data: context, ..Default::default() }].into();
                MessageType::MsgReadIndexResp
            }
        };
        message.msg_type = kind;
        message
    }

    /// What the library wants said. `membership` is that of the snapshot it offers, if it is one;
    /// `term` is ours, for what the library sends without one.
    pub(crate) fn from_library(
        mut message: library::Message,
        term: u64,
        membership: impl FnOnce(u64) -> Membership,
    ) -> Self {
        let own = message.term;
        match message.msg_type {
            MessageType::MsgRequestVote => Self::RequestVote(Candidacy::read(&mut message)),
            MessageType::MsgRequestPreVote => Self::PreVote(Candidacy::read(&mut message)),
            MessageType::MsgRequestVoteResponse => {
                Self::RequestVoteResponse(Ballot::read(&message))
            }
            MessageType::MsgRequestPreVoteResponse => Self::PreVoteResponse(Ballot::read(&message)),
            MessageType::MsgAppend => {
                let entries: Vec<library::Entry> = message.take_entries().into();
                Self::AppendEntries(Append {
                    term: own,
                    index: message.index,
                    log_term: message.log_term,
                    commit: message.commit,
                    entries: entries.into_iter().map(Entry::from_library).collect(),
                })
            }
            MessageType::MsgAppendResponse => Self::AppendEntriesResponse(AppendAnswer {
                term: own,
                index: message.index,
                reject: message.reject,
                reject_hint: message.reject_hint,
                log_term: message.log_term,
                commit: message.commit,
                request_snapshot: message.request_snapshot,
            }),
            MessageType::MsgSnapshot => {
                let metadata = message.get_snapshot().get_metadata();
                Self::InstallSnapshot(Offer {
                    term: own,
                    index: metadata.index,
                    log_term: metadata.term,
                    membership: membership(metadata.index),
                })
            }
            MessageType::MsgHeartbeat => {
                let context = message.take_context();
                Self::Heartbeat { term: own, commit: message.commit, context }
            }
            MessageType::MsgHeartbeatResponse => {
                let context = message.take_context();
                Self::HeartbeatResponse { term: own, commit: message.commit, context }
            }
            MessageType::MsgTimeoutNow => Self::TimeoutNow { term: own },
            MessageType::MsgTransferLeader => Self::TransferLeader { term: own },
            MessageType::MsgReadIndex => {
                Self::ReadIndex { term, context: take_context(&mut message) }
            }
            MessageType::MsgReadIndexResp => Self::ReadIndexResponse {
                term: own,
                index: message.index,
                context: take_context(&mut message),
            },
            // A proposal is made on the leader only, and the others never leave the library.
            kind => unreachable!("the library never sends {kind:?}"),
        }
    }
}

impl Candidacy {
    fn fill(self, message: &mut library::Message) {
        message.index = self.index;
        message.log_term = self.log_term;
        message.commit = self.commit;
        message.commit_term = self.commit_term;
        message.context = self.context;
    }

    fn read(message: &mut library::Message) -> Self {
        Self {
            term: message.term,
            index: message.index,
            log_term: message.log_term,
            commit: message.commit,
            commit_term: message.commit_term,
            context: message.take_context(),
        }
    }
}

impl Ballot {
    fn fill(self, message: &mut library::Message) {
        message.reject = self.reject;
        message.commit = self.commit;
        message.commit_term = self.commit_term;
    }

    fn read(message: &library::Message) -> Self {
        Self {
            term: message.term,
            reject: message.reject,
            commit: message.commit,
            commit_term: message.commit_term,
        }
    }
}

/// A snapshot as the library knows it: where it ends and who is a member there.
pub(crate) fn snapshot(index: u64, term: u64, membership: &Membership) -> library::Snapshot {
    let mut snapshot = library::Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = index;
    metadata.term = term;
    metadata.set_conf_state(membership.conf_state());
    snapshot
}

fn take_context(message: &mut library::Message) -> Bytes {
    let mut entries: Vec<library::Entry> = message.take_entries().into();
    entries.pop().map(|mut entry| entry.take_data()).unwrap_or_default()
}
