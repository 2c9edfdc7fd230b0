//! Which messages the library may see. It trusts its callers: some messages that no right peer
//! sends make it panic, others make it believe what nobody vouched for. docs/decisions/0017 has the
//! scenario that each of these closes.

use crate::membership::{Change, Membership};
use crate::message::{Append, AppendAnswer, Message, Offer};
use crate::window::Window;
use crate::{Entry, EntryKind};
use base::{NodeId, StoreId};
use raft::{Raft, StateRole};

/// Terms and indices beyond are nobody's: at a thousand elections a second, 2^62 of them take
/// longer than the sun lasts, and below it nothing that is added overflows.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;

/// The longest context of a read or of heartbeats: node, boot and a counter. Unit: bytes.
pub(crate) const READ_CONTEXT_BYTES: usize = 24;

/// The reads that a leader confirms for others at a time. Each follower has one on its way, and a
/// few that it gave up.
const READS_OF_OTHERS_MAX: usize = 256;

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Dropped {
    /// Votes, acknowledgements and requests count from members only.
    #[error("its sender does not belong to the group")]
    Stranger,
    /// Another data directory than the one that the member was added with.
    #[error("its sender has another store than the one the group knows")]
    ForeignStore,
    /// No term, or one that no election reached.
    #[error("its term cannot be")]
    Term,
    /// An index or a log term that cannot be.
    #[error("its place in the log cannot be")]
    Position,
    /// Entries out of order, of terms that shrink or are too high, or unreadable changes.
    #[error("its entries cannot be")]
    Entries,
    /// The log is said to be committed, or acknowledged, further than it goes. Of a heartbeat only
    /// that part is dropped.
    #[error("it speaks of entries behind the end of the log")]
    BeyondLog,
    /// A snapshot whose members cannot be, or that leaves this node out.
    #[error("the members of its snapshot cannot be")]
    Members,
    /// A leader's message from somebody who does not lead that term.
    #[error("its sender does not lead that term")]
    NotTheLeader,
    /// A request to a leader that came to somebody else.
    #[error("this node does not lead")]
    NotLeading,
    /// A read that cannot be confirmed: an impossible context, too many of them, or too early in
    /// a leader's term. It is asked again.
    #[error("its read cannot be confirmed now")]
    Read,
    /// This node's log is not whole: it neither votes nor stands.
    #[error("this node's log is not whole, so that it does not vote")]
    Mending,
    /// This node has not applied what it has: it takes no more.
    #[error("this node has more to apply than it may hold")]
    Lagging,
    /// A vote for a candidate that has not asked for it: what it would ask with is not durable.
    #[error("it answers what was not asked")]
    Unasked,
    /// To ourselves.
    #[error("its sender is this node")]
    Own,
}

impl Dropped {
    /// Every reason, in order.
    pub const ALL: [Self; 14] = [
        Self::Stranger,
        Self::ForeignStore,
        Self::Term,
        Self::Position,
        Self::Entries,
        Self::BeyondLog,
        Self::Members,
        Self::NotTheLeader,
        Self::NotLeading,
        Self::Read,
        Self::Mending,
        Self::Lagging,
        Self::Unasked,
        Self::Own,
    ];
}

impl Dropped {
    /// The reason's name, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::ForeignStore => "foreign_store",
            Self::Term => "term",
            Self::Position => "position",
            Self::Entries => "entries",
            Self::BeyondLog => "beyond_log",
            Self::Members => "members",
            Self::NotTheLeader => "not_the_leader",
            Self::NotLeading => "not_leading",
            Self::Read => "read",
            Self::Mending => "mending",
            Self::Lagging => "lagging",
            Self::Unasked => "unasked",
            Self::Own => "own",
        }
    }
}

/// What a message is looked at against.
pub(crate) struct Filter<'a> {
    pub(crate) node: NodeId,
    pub(crate) store: StoreId,
    pub(crate) raft: &'a Raft<Window>,
    pub(crate) membership: &'a Membership,
    pub(crate) whole: bool,
    pub(crate) lagging: bool,
    /// A vote or a snapshot is on its way to the disk.
    pub(crate) waiting: bool,
}

impl Filter<'_> {
    pub(crate) fn check(
        &self,
        from: NodeId,
        store: StoreId,
        message: &Message,
    ) -> Result<(), Dropped> {
        self.check_sender(from, store, message)?;
        let term = message.term();
        if term == 0 || term >= NUMBER_MAX {
            return Err(Dropped::Term);
        }
        match message {
            Message::RequestVote(candidacy) | Message::PreVote(candidacy) => {
                check_position(candidacy.index, candidacy.log_term, term)?;
                if !self.whole || self.membership.is_empty() {
                    return Err(Dropped::Mending);
                }
            }
            Message::RequestVoteResponse(_) => {
                let log = &self.raft.raft_log;
                let asked = !self.waiting && log.last_index() == log.persisted;
                if self.raft.state == StateRole::Candidate && !asked {
                    return Err(Dropped::Unasked);
                }
            }
            Message::PreVoteResponse(_) => {}
            Message::AppendEntries(append) => self.check_append(append)?,
            Message::AppendEntriesResponse(answer) => self.check_answer(answer)?,
            Message::InstallSnapshot(offer) => self.check_offer(offer)?,
            Message::Heartbeat { context, .. } | Message::HeartbeatResponse { context, .. } => {
                if !context.is_empty() && context.len() != READ_CONTEXT_BYTES {
                    return Err(Dropped::Read);
                }
            }
            Message::TimeoutNow { .. } => {
                // Only who leads this very term can hand it over; the library would take anyone's
                // word.
                if term != self.raft.term || self.raft.leader_id != from.0 {
                    return Err(Dropped::NotTheLeader);
                }
                if !self.whole {
                    return Err(Dropped::Mending);
                }
            }
            Message::TransferLeader { .. } => self.check_leading()?,
            Message::ReadIndex { context, .. } => {
                self.check_leading()?;
                let own =
                    context.len() == READ_CONTEXT_BYTES && context[..8] == from.0.to_le_bytes();
                let early = !self.raft.commit_to_current_term();
                if !own || early || self.raft.pending_read_count() >= READS_OF_OTHERS_MAX {
                    return Err(Dropped::Read);
                }
            }
            Message::ReadIndexResponse { index, context, .. } => {
                if context.len() != READ_CONTEXT_BYTES || *index >= NUMBER_MAX {
                    return Err(Dropped::Read);
                }
            }
        }
        if message.is_of_a_leader() && self.leads_otherwise(from, term) {
            return Err(Dropped::NotTheLeader);
        }
        Ok(())
    }

    /// A leader is believed for its term, whoever it is: a voter that lagged while the others were
    /// replaced would otherwise be deaf to all of them for good. Whatever is counted, or asked,
    /// comes from a member with the store that the group knows.
    fn check_sender(&self, from: NodeId, store: StoreId, message: &Message) -> Result<(), Dropped> {
        if from == self.node {
            return Err(Dropped::Own);
        }
        if message.is_of_a_leader() {
            return if from.0 == 0 { Err(Dropped::Stranger) } else { Ok(()) };
        }
        let asks_for_a_vote = matches!(message, Message::RequestVote(_) | Message::PreVote(_));
        match self.membership.member(from) {
            Some(member) if member.store == store => Ok(()),
            Some(_) => Err(Dropped::ForeignStore),
            // A voter may be asked by somebody it has not heard of yet (Ongaro 2014, section 4.1).
            None if asks_for_a_vote && from.0 != 0 => Ok(()),
            None => Err(Dropped::Stranger),
        }
    }

    fn check_append(&self, append: &Append) -> Result<(), Dropped> {
        check_position(append.index, append.log_term, append.term)?;
        check_entries(append)?;
        if self.lagging && !append.entries.is_empty() {
            return Err(Dropped::Lagging);
        }
        Ok(())
    }

    /// A leader's log does not shrink in its term: what a follower has of it, or refused of it, lies
    /// within.
    fn check_answer(&self, answer: &AppendAnswer) -> Result<(), Dropped> {
        let last = self.raft.raft_log.last_index();
        let leads = self.raft.state == StateRole::Leader && answer.term == self.raft.term;
        let beyond = answer.index.max(answer.request_snapshot) > last
            || (answer.reject && answer.reject_hint > answer.index);
        if leads && beyond { Err(Dropped::BeyondLog) } else { Ok(()) }
    }

    fn check_offer(&self, offer: &Offer) -> Result<(), Dropped> {
        check_position(offer.index, offer.log_term, offer.term)?;
        if offer.index == 0 {
            return Err(Dropped::Position);
        }
        let own = offer.membership.member(self.node);
        if own.is_none_or(|own| own.store != self.store) {
            return Err(Dropped::Members);
        }
        let log = &self.raft.raft_log;
        let known = log.store.term_at(offer.index);
        if offer.index <= log.committed && known.is_some_and(|term| term != offer.log_term) {
            return Err(Dropped::Position);
        }
        Ok(())
    }

    fn check_leading(&self) -> Result<(), Dropped> {
        if self.raft.state == StateRole::Leader { Ok(()) } else { Err(Dropped::NotLeading) }
    }

    /// One leader per term: another one that says so is wrong.
    fn leads_otherwise(&self, from: NodeId, term: u64) -> bool {
        term == self.raft.term && self.raft.leader_id != 0 && self.raft.leader_id != from.0
    }
}

fn check_position(index: u64, log_term: u64, term: u64) -> Result<(), Dropped> {
    let begins = index == 0 && log_term == 0;
    let inside = index > 0 && log_term > 0;
    if !(begins || inside) || index >= NUMBER_MAX || log_term > term {
        return Err(Dropped::Position);
    }
    Ok(())
}

fn check_entries(append: &Append) -> Result<(), Dropped> {
    let mut before = append.log_term;
    for (entry, index) in append.entries.iter().zip(append.index + 1..) {
        if entry.index != index || entry.term < before.max(1) || entry.term > append.term {
            return Err(Dropped::Entries);
        }
        if !is_readable(entry) {
            return Err(Dropped::Entries);
        }
        before = entry.term;
    }
    Ok(())
}

fn is_readable(entry: &Entry) -> bool {
    entry.kind == EntryKind::Normal || Change::from_bytes(&entry.data).is_ok()
}
