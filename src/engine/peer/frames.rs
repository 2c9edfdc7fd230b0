//! What coordinators say to each other as frames: docs/WIRE.md, "Messages of the log" and "Messages
//! between coordinators".
//!
//! Every message is one frame with call 0: nothing is answered by number. Who speaks to whom, and
//! with which data directory, the link's hellos said, so the fields for it are 0 and not looked at.
//!
//! Invariants:
//! - what is decoded is what was encoded, whatever the message;
//! - no bytes of a peer make the reader panic, or take more memory than a few times their number;
//! - what may be large (data of entries, sections, pieces, bodies) is copied once into the frame, and
//!   stays in the payload that it came in;
//! - a frame's payload is within what every link takes, [`PEER_BYTES_MAX`].

#[cfg(test)]
mod tests;

use super::{BODY_BYTES_MAX, Forward, PeerMessage};
use crate::message::NotTaken;
use base::limits::ENTRY_BYTES_MAX;
use base::{BootId, CoreId, UnixMicros};
use bytes::Bytes;
use quorum::{
    Append, AppendAnswer, Ballot, Candidacy, Entry, EntryKind, Membership, MembershipReadError,
    Message, Offer,
};
use smallvec::SmallVec;
use wire::{
    Flags, HEADER_BYTES, Head, Kind, List, Message as _, MessageError, PEER_BYTES_MAX, write_frame,
};

/// The most entries of one frame: as many as an array has. Only entries with nothing in them, one
/// election after the other, are small enough to be more within one message; the rest is then lost
/// on the way, which Raft bears.
const ENTRIES_MAX: usize = wire::tlv::ELEMENTS_MAX as usize;

/// What stands around an entry's data. Unit: bytes. The element, index, term, kind, the data's head.
const ENTRY_HEAD_BYTES: usize = 5 + 15 + 15 + 8 + 7;

/// What stands around a message's parts of variable length, at most. Unit: bytes. The header and
/// ten fields: an answer to entries has the most.
const AROUND_BYTES_MAX: usize = HEADER_BYTES + 10 * 15;

const _: () = assert!(ENTRY_BYTES_MAX + ENTRY_HEAD_BYTES + AROUND_BYTES_MAX <= PEER_BYTES_MAX);
const _: () = assert!(BODY_BYTES_MAX + AROUND_BYTES_MAX <= PEER_BYTES_MAX);
const _: () = assert!(
    1024 * 1024 + ENTRIES_MAX * ENTRY_HEAD_BYTES + AROUND_BYTES_MAX <= PEER_BYTES_MAX
        && quorum::MESSAGE_BYTES_MAX <= 1024 * 1024
);

/// How many entries are looked at without an allocation.
const ENTRIES_INLINE: usize = 16;

/// A frame that says nothing a coordinator can hear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFrameError {
    /// Something else than what coordinators say to each other once they are linked.
    #[error("{kind} is nothing that one coordinator says to another on an open link")]
    Kind {
        /// What it is.
        kind: Kind,
    },
    /// The payload is not the message that its kind says.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// An entry that is neither batch nor change of members.
    #[error("entry {index} has kind {kind}: 0 and 1 are known")]
    EntryKind {
        /// Its index.
        index: u64,
        /// Its kind.
        kind: u8,
    },
    /// An offered snapshot without readable members.
    #[error("the members in the offer of snapshot {index} are not readable: {error}")]
    Members {
        /// The snapshot's index.
        index: u64,
        /// Why.
        error: MembershipReadError,
    },
    /// A refusal for a reason that is none.
    #[error("batch {number} was refused for reason {why}: 1 to 4 are known")]
    Why {
        /// The batch.
        number: u64,
        /// The reason's number.
        why: u8,
    },
}

impl PeerMessage {
    /// Appends the message to `out`, as one whole frame.
    pub fn encode(&self, sent_at: UnixMicros, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(self.encoded_bytes());
        let frame = &mut Frame { sent_at, out };
        match self {
            Self::Raft(message) => encode_raft(message, frame),
            Self::Forward(forward) => frame.write(&wire::Forward {
                boot: forward.boot.0,
                core: forward.core.0,
                number: forward.number,
                round: forward.round,
                records: forward.records,
                section: &forward.section,
            }),
            Self::NotTaken { boot, core, number, round, why } => {
                frame.write(&wire::ForwardRefused {
                    boot: boot.0,
                    core: core.0,
                    number: *number,
                    round: *round,
                    why: code_of(*why),
                });
            }
            Self::SnapshotWanted { index, offset } => {
                frame.write(&wire::SnapshotWanted { index: *index, offset: *offset });
            }
            Self::SnapshotPiece { index, offset, total_bytes, data } => {
                let (index, offset, total_bytes) = (*index, *offset, *total_bytes);
                frame.write(&wire::SnapshotPiece { index, offset, total_bytes, data });
            }
            Self::SnapshotGone { index } => frame.write(&wire::SnapshotGone { index: *index }),
            Self::Request { boot, ticket, body } => {
                frame.write(&wire::ClusterRequest { boot: boot.0, ticket: *ticket, body });
            }
            Self::Answer { boot, ticket, body } => {
                frame.write(&wire::ClusterAnswer { boot: boot.0, ticket: *ticket, body });
            }
        }
        let payload_bytes = out.len() - start - HEADER_BYTES;
        assert!(payload_bytes <= PEER_BYTES_MAX, "every link takes what is said");
    }

    /// The message that a frame of this kind carries. Its large parts are slices of the payload.
    ///
    /// # Errors
    /// It is none that coordinators send each other, or its payload is not what its kind says.
    pub fn decode(kind: Kind, payload: &Bytes) -> Result<Self, PeerFrameError> {
        Ok(match kind {
            Kind::FORWARD => {
                let read = wire::Forward::decode(payload)?;
                Self::Forward(Forward {
                    boot: BootId(read.boot),
                    core: CoreId(read.core),
                    number: read.number,
                    round: read.round,
                    records: read.records,
                    section: payload.slice_ref(read.section),
                })
            }
            Kind::FORWARD_REFUSED => {
                let read = wire::ForwardRefused::decode(payload)?;
                let (number, round) = (read.number, read.round);
                let unknown = PeerFrameError::Why { number, why: read.why };
                let why = with_code(read.why).ok_or(unknown)?;
                let (boot, core) = (BootId(read.boot), CoreId(read.core));
                Self::NotTaken { boot, core, number, round, why }
            }
            Kind::SNAPSHOT_WANTED => {
                let wire::SnapshotWanted { index, offset } = wire::Message::decode(payload)?;
                Self::SnapshotWanted { index, offset }
            }
            Kind::SNAPSHOT_PIECE => {
                let read = wire::SnapshotPiece::decode(payload)?;
                let (index, offset, total_bytes) = (read.index, read.offset, read.total_bytes);
                let data = payload.slice_ref(read.data);
                Self::SnapshotPiece { index, offset, total_bytes, data }
            }
            Kind::SNAPSHOT_GONE => {
                let wire::SnapshotGone { index } = wire::Message::decode(payload)?;
                Self::SnapshotGone { index }
            }
            Kind::CLUSTER_REQUEST => {
                let wire::ClusterRequest { boot, ticket, body } = wire::Message::decode(payload)?;
                Self::Request { boot: BootId(boot), ticket, body: payload.slice_ref(body) }
            }
            Kind::CLUSTER_ANSWER => {
                let wire::ClusterAnswer { boot, ticket, body } = wire::Message::decode(payload)?;
                Self::Answer { boot: BootId(boot), ticket, body: payload.slice_ref(body) }
            }
            kind => Self::Raft(decode_raft(kind, payload)?),
        })
    }

    /// How long the frame is, or a little more. Unit: bytes. For the bounds of what waits to be sent.
    pub fn encoded_bytes(&self) -> usize {
        let parts = match self {
            Self::Raft(Message::AppendEntries(append)) => {
                let entries = append.entries.iter().take(ENTRIES_MAX);
                entries.map(|entry| ENTRY_HEAD_BYTES + entry.data.len()).sum()
            }
            Self::Raft(Message::RequestVote(candidacy) | Message::PreVote(candidacy)) => {
                candidacy.context.len()
            }
            Self::Raft(
                Message::Heartbeat { context, .. }
                | Message::HeartbeatResponse { context, .. }
                | Message::ReadIndex { context, .. }
                | Message::ReadIndexResponse { context, .. },
            ) => context.len(),
            // Seldom enough to be made twice.
            Self::Raft(Message::InstallSnapshot(offer)) => offer.membership.to_bytes().len(),
            Self::Raft(
                Message::RequestVoteResponse(_)
                | Message::PreVoteResponse(_)
                | Message::AppendEntriesResponse(_)
                | Message::TimeoutNow { .. }
                | Message::TransferLeader { .. },
            )
            | Self::NotTaken { .. }
            | Self::SnapshotWanted { .. }
            | Self::SnapshotGone { .. } => 0,
            Self::Forward(forward) => forward.section.len(),
            Self::SnapshotPiece { data, .. } => data.len(),
            Self::Request { body, .. } | Self::Answer { body, .. } => body.len(),
        };
        AROUND_BYTES_MAX + parts
    }
}

/// The reason's number, the same in every release.
fn code_of(why: NotTaken) -> u8 {
    match why {
        NotTaken::NoSpace => 1,
        NotTaken::NoLeader => 2,
        NotTaken::Stopping => 3,
        NotTaken::Gap => 4,
    }
}

fn with_code(code: u8) -> Option<NotTaken> {
    match code {
        1 => Some(NotTaken::NoSpace),
        2 => Some(NotTaken::NoLeader),
        3 => Some(NotTaken::Stopping),
        4 => Some(NotTaken::Gap),
        _ => None,
    }
}

/// Where a message goes.
struct Frame<'o> {
    sent_at: UnixMicros,
    out: &'o mut Vec<u8>,
}

impl Frame<'_> {
    fn write<'m, M: wire::Message<'m>>(&mut self, message: &M) {
        let (kind, flags, sent_at) = (M::KIND, Flags::NONE, self.sent_at);
        let head = Head { kind, flags, call: 0, sent_at, trace: None };
        write_frame(self.out, &head, |out| message.encode(out));
    }
}

/// `from`, `to` and `store` of the group's messages: the link says them.
const OF_THE_LINK: (u64, u64, u64) = (0, 0, 0);

fn encode_raft(message: &Message, frame: &mut Frame<'_>) {
    let (from, to, store) = OF_THE_LINK;
    let term = message.term();
    match message {
        Message::RequestVote(candidacy) => {
            let Candidacy { index, log_term, commit, commit_term, ref context, .. } = *candidacy;
            frame.write(&wire::RequestVote {
                from,
                to,
                term,
                store,
                index,
                log_term,
                commit,
                commit_term,
                context,
                priority: 0,
            });
        }
        Message::PreVote(candidacy) => {
            let Candidacy { index, log_term, commit, commit_term, ref context, .. } = *candidacy;
            frame.write(&wire::PreVote {
                from,
                to,
                term,
                store,
                index,
                log_term,
                commit,
                commit_term,
                context,
                priority: 0,
            });
        }
        Message::RequestVoteResponse(Ballot { reject, commit, commit_term, .. }) => {
            let (reject, commit, commit_term) = (*reject, *commit, *commit_term);
            let ballot =
                wire::RequestVoteResponse { from, to, term, store, reject, commit, commit_term };
            frame.write(&ballot);
        }
        Message::PreVoteResponse(Ballot { reject, commit, commit_term, .. }) => {
            let (reject, commit, commit_term) = (*reject, *commit, *commit_term);
            let ballot =
                wire::PreVoteResponse { from, to, term, store, reject, commit, commit_term };
            frame.write(&ballot);
        }
        Message::AppendEntries(append) => encode_append(append, frame),
        Message::AppendEntriesResponse(answer) => {
            frame.write(&wire::AppendEntriesResponse {
                from,
                to,
                term,
                store,
                index: answer.index,
                reject: answer.reject,
                reject_hint: answer.reject_hint,
                log_term: answer.log_term,
                commit: answer.commit,
                request_snapshot: answer.request_snapshot,
            });
        }
        Message::InstallSnapshot(offer) => encode_offer(offer, frame),
        Message::Heartbeat { commit, context, .. } => {
            frame.write(&wire::Heartbeat { from, to, term, store, commit: *commit, context });
        }
        Message::HeartbeatResponse { commit, context, .. } => {
            let commit = *commit;
            frame.write(&wire::HeartbeatResponse { from, to, term, store, commit, context });
        }
        Message::TimeoutNow { .. } => frame.write(&wire::TimeoutNow { from, to, term, store }),
        Message::TransferLeader { .. } => {
            frame.write(&wire::TransferLeader { from, to, term, store });
        }
        Message::ReadIndex { context, .. } => {
            frame.write(&wire::ReadIndex { from, to, term, store, context });
        }
        Message::ReadIndexResponse { index, context, .. } => {
            let index = *index;
            frame.write(&wire::ReadIndexResponse { from, to, term, store, index, context });
        }
    }
}

fn encode_append(append: &Append, frame: &mut Frame<'_>) {
    let (from, to, store) = OF_THE_LINK;
    let entries = append.entries.iter().take(ENTRIES_MAX);
    let entries: SmallVec<[wire::Entry<'_>; ENTRIES_INLINE]> = entries
        .map(|entry| wire::Entry {
            index: entry.index,
            term: entry.term,
            kind: entry.kind.code(),
            data: &entry.data,
            context: b"",
        })
        .collect();
    frame.write(&wire::AppendEntries {
        from,
        to,
        term: append.term,
        store,
        index: append.index,
        log_term: append.log_term,
        commit: append.commit,
        entries: List::from(&entries[..]),
    });
}

fn encode_offer(offer: &Offer, frame: &mut Frame<'_>) {
    let (from, to, store) = OF_THE_LINK;
    frame.write(&wire::InstallSnapshot {
        from,
        to,
        term: offer.term,
        store,
        snapshot: offer.index,
        index: offer.index,
        log_term: offer.log_term,
        configuration: wire::Configuration {
            voters: List::EMPTY,
            learners: List::EMPTY,
            voters_outgoing: List::EMPTY,
            learners_next: List::EMPTY,
            auto_leave: false,
        },
        offset: 0,
        total_bytes: 0,
        data: b"",
        membership: &offer.membership.to_bytes(),
    });
}

fn decode_raft(kind: Kind, payload: &Bytes) -> Result<Message, PeerFrameError> {
    Ok(match kind {
        Kind::REQUEST_VOTE => {
            let wire::RequestVote { term, index, log_term, commit, commit_term, context, .. } =
                wire::Message::decode(payload)?;
            let context = payload.slice_ref(context);
            let candidacy = Candidacy { term, index, log_term, commit, commit_term, context };
            Message::RequestVote(candidacy)
        }
        Kind::PRE_VOTE => {
            let wire::PreVote { term, index, log_term, commit, commit_term, context, .. } =
                wire::Message::decode(payload)?;
            let context = payload.slice_ref(context);
            let candidacy = Candidacy { term, index, log_term, commit, commit_term, context };
            Message::PreVote(candidacy)
        }
        Kind::REQUEST_VOTE_RESPONSE => {
            let wire::RequestVoteResponse { term, reject, commit, commit_term, .. } =
                wire::Message::decode(payload)?;
            Message::RequestVoteResponse(Ballot { term, reject, commit, commit_term })
        }
        Kind::PRE_VOTE_RESPONSE => {
            let wire::PreVoteResponse { term, reject, commit, commit_term, .. } =
                wire::Message::decode(payload)?;
            Message::PreVoteResponse(Ballot { term, reject, commit, commit_term })
        }
        Kind::APPEND_ENTRIES => Message::AppendEntries(decode_append(payload)?),
        Kind::APPEND_ENTRIES_RESPONSE => {
            let read = wire::AppendEntriesResponse::decode(payload)?;
            Message::AppendEntriesResponse(AppendAnswer {
                term: read.term,
                index: read.index,
                reject: read.reject,
                reject_hint: read.reject_hint,
                log_term: read.log_term,
                commit: read.commit,
                request_snapshot: read.request_snapshot,
            })
        }
        Kind::INSTALL_SNAPSHOT => Message::InstallSnapshot(decode_offer(payload)?),
        Kind::HEARTBEAT => {
            let wire::Heartbeat { term, commit, context, .. } = wire::Message::decode(payload)?;
            Message::Heartbeat { term, commit, context: payload.slice_ref(context) }
        }
        Kind::HEARTBEAT_RESPONSE => {
            let wire::HeartbeatResponse { term, commit, context, .. } =
                wire::Message::decode(payload)?;
            Message::HeartbeatResponse { term, commit, context: payload.slice_ref(context) }
        }
        Kind::TIMEOUT_NOW => {
            let wire::TimeoutNow { term, .. } = wire::Message::decode(payload)?;
            Message::TimeoutNow { term }
        }
        Kind::TRANSFER_LEADER => {
            let wire::TransferLeader { term, .. } = wire::Message::decode(payload)?;
            Message::TransferLeader { term }
        }
        Kind::READ_INDEX => {
            let wire::ReadIndex { term, context, .. } = wire::Message::decode(payload)?;
            Message::ReadIndex { term, context: payload.slice_ref(context) }
        }
        Kind::READ_INDEX_RESPONSE => {
            let wire::ReadIndexResponse { term, index, context, .. } =
                wire::Message::decode(payload)?;
            Message::ReadIndexResponse { term, index, context: payload.slice_ref(context) }
        }
        kind => return Err(PeerFrameError::Kind { kind }),
    })
}

fn decode_append(payload: &Bytes) -> Result<Append, PeerFrameError> {
    let wire::AppendEntries { term, index, log_term, commit, entries: list, .. } =
        wire::Message::decode(payload)?;
    let mut entries = Vec::with_capacity(list.len());
    for entry in list {
        let wire::Entry { index, term, kind, data, .. } = entry;
        let unknown = PeerFrameError::EntryKind { index, kind };
        let kind = EntryKind::from_code(kind).ok_or(unknown)?;
        entries.push(Entry { index, term, kind, data: payload.slice_ref(data) });
    }
    Ok(Append { term, index, log_term, commit, entries })
}

fn decode_offer(payload: &Bytes) -> Result<Offer, PeerFrameError> {
    let wire::InstallSnapshot { term, index, log_term, membership, .. } =
        wire::Message::decode(payload)?;
    let membership = Membership::from_bytes(membership)
        .map_err(|error| PeerFrameError::Members { index, error })?;
    Ok(Offer { term, index, log_term, membership })
}
