//! What waits for the disk.
//!
//! The library hands out its news in numbered parts ("readies"): entries, a vote, a snapshot,
//! messages. A leader's messages go at once; anybody else's wait until the part that they came with,
//! and every part before, is durable.
//!
//! Invariants:
//! - parts count as durable in their order;
//! - a part whose entries are superseded counts as durable only with the part that superseded it:
//!   the same entries may come again from a later leader, and would then be taken for durable;
//! - while a vote is on its way to the disk, or a snapshot, nothing else leaves the library.

use super::Group;
use crate::effect::Effect;
use crate::entry::Entry;
use crate::message::Message;
use base::{NodeId, Outbox};
use raft::eraftpb::MessageType;
use raft::prelude as library;
use std::collections::VecDeque;

/// A part of the library's news.
#[derive(Debug, Default)]
struct Part {
    number: u64,
    /// The snapshot that it begins with.
    snapshot: u64,
    entries: Vec<Entry>,
    /// To go as soon as the vote is durable.
    at_once: Vec<library::Message>,
    /// To go once all of it is.
    later: Vec<library::Message>,
}

/// A part whose entries are on their way to the disk.
#[derive(Debug)]
struct Written {
    number: u64,
    /// The index that must be durable.
    needed: u64,
    messages: Vec<library::Message>,
}

#[derive(Debug)]
enum Wait {
    Vote,
    Snapshot,
}

#[derive(Debug)]
pub(crate) struct Persisting {
    /// Term and vote as last ordered to be kept.
    vote: (u64, u64),
    durable: u64,
    /// The last index that was ordered to be written.
    last: u64,
    written: VecDeque<Written>,
    waiting: Option<(Wait, Part)>,
}

impl Persisting {
    pub(crate) fn new(vote: (u64, u64), durable: u64) -> Self {
        Self { vote, durable, last: durable, written: VecDeque::new(), waiting: None }
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// It goes back only where entries are superseded, which is seen here first.
    pub(crate) fn on_durable(&mut self, index: u64) {
        self.durable = self.durable.max(index);
    }

    /// Whether a vote or a snapshot is on its way to the disk.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether a snapshot is taking the place of the log.
    pub(crate) fn is_installing(&self) -> bool {
        self.waiting.as_ref().is_some_and(|(_, part)| part.snapshot > 0)
    }

    /// Entries from `first` on take the place of others: the parts that brought those wait with
    /// the new one, which gets their messages.
    fn supersede(&mut self, first: u64) -> Vec<library::Message> {
        self.durable = self.durable.min(first - 1);
        let touched = self.written.iter().position(|part| part.needed >= first);
        let from = touched.unwrap_or(self.written.len());
        self.written.drain(from..).flat_map(|part| part.messages).collect()
    }
}

impl Group {
    /// Takes the library's next part.
    pub(crate) fn take_ready(&mut self, out: &mut Outbox<Effect>) {
        let mut ready = self.raw.ready();
        self.report_role(out);
        let entries = ready.take_entries();
        let mut snapshot = 0;
        if let Some(mark) = self.snapshots.restoring.take() {
            snapshot = ready.snapshot().get_metadata().index;
            assert_eq!(snapshot, mark.index, "the library restores what it was given");
            self.membership = mark.membership.clone();
            self.history = VecDeque::from([(mark.index, mark.membership.clone())]);
            self.raw.mut_store().restore(mark);
            self.on_members_changed();
        }
        self.raw.mut_store().append(&entries);
        let part = Part {
            number: ready.number(),
            snapshot,
            entries: entries.into_iter().map(Entry::from_library).collect(),
            at_once: ready.take_messages(),
            later: ready.take_persisted_messages(),
        };
        for state in ready.read_states() {
            self.reads.on_state(state.index, &state.request_ctx, out);
        }
        let vote = ready.hs().map(|hs| (hs.term, hs.vote));
        let vote = vote.filter(|vote| *vote != self.persisting.vote);
        let committed = ready.take_committed_entries();
        self.raw.advance_append_async(ready);
        if let Some((term, vote)) = vote {
            self.persisting.vote = (term, vote);
            out.push(Effect::Vote { term, vote });
            self.persisting.waiting = Some((Wait::Vote, part));
        } else if part.snapshot > 0 {
            self.install(part, out);
        } else {
            self.write(part, out);
        }
        self.hand_out(committed, out);
    }

    pub(crate) fn on_vote_kept(&mut self, out: &mut Outbox<Effect>) {
        let Some((Wait::Vote, part)) = self.persisting.waiting.take() else {
            panic!("no vote was asked for");
        };
        if part.snapshot > 0 {
            self.install(part, out);
        } else {
            self.write(part, out);
        }
    }

    pub(crate) fn on_install_done(&mut self, index: u64, out: &mut Outbox<Effect>) {
        let Some((Wait::Snapshot, part)) = self.persisting.waiting.take() else {
            panic!("no snapshot was to be installed");
        };
        assert_eq!(part.snapshot, index, "the snapshot that was to be installed");
        self.persisting.durable = index;
        self.persisting.last = index;
        self.write(part, out);
        // The library looks through what is not applied before it stands for election, and would
        // look for entries from before the snapshot.
        self.raw.advance_apply_to(index);
    }

    fn install(&mut self, part: Part, out: &mut Outbox<Effect>) {
        let mark = self.raw.store().snapshot.as_ref().expect("the window starts behind it");
        out.push(Effect::InstallSnapshot {
            index: mark.index,
            term: mark.term,
            membership: mark.membership.clone(),
        });
        self.persisting.waiting = Some((Wait::Snapshot, part));
    }

    fn write(&mut self, part: Part, out: &mut Outbox<Effect>) {
        let mut messages = part.later;
        if part.snapshot > 0 {
            // The whole log before is superseded.
            let before = self.persisting.written.drain(..).flat_map(|part| part.messages);
            messages = before.chain(messages).collect();
        }
        let mut needed = part.snapshot;
        if let (Some(first), Some(last)) = (part.entries.first(), part.entries.last()) {
            needed = last.index;
            if first.index <= std::mem::replace(&mut self.persisting.last, needed) {
                let before = self.persisting.supersede(first.index);
                messages = before.into_iter().chain(messages).collect();
            }
            // While a vote was on its way more may have come, and be committed: what is not in the
            // journal yet is not called so there.
            let commit = self.raw.raft.raft_log.committed.min(needed);
            out.push(Effect::Append { entries: part.entries, commit });
        }
        if !part.at_once.is_empty() {
            self.send(part.at_once, out);
        }
        self.persisting.written.push_back(Written { number: part.number, needed, messages });
        self.release(out);
    }

    /// Lets go what the disk has.
    pub(crate) fn release(&mut self, out: &mut Outbox<Effect>) {
        if matches!(self.persisting.waiting, Some((Wait::Snapshot, _))) {
            // The parts before it are superseded by it.
            return;
        }
        let durable = self.persisting.durable;
        while let Some(part) = self.persisting.written.pop_front_if(|part| part.needed <= durable) {
            self.raw.on_persist_ready(part.number);
            if !part.messages.is_empty() {
                self.send(part.messages, out);
            }
        }
    }

    /// Sends in the order of the receivers: the library's own is that of its hash map.
    fn send(&mut self, mut messages: Vec<library::Message>, out: &mut Outbox<Effect>) {
        messages.sort_by_key(|message| message.to);
        for message in messages {
            let term = self.raw.raft.term;
            // What was to be said in an earlier term is said no more: entries that it speaks of
            // may be superseded.
            let is_old = message.term < term && message.msg_type != MessageType::MsgReadIndex;
            if is_old || message.to == self.node.0 {
                continue;
            }
            let to = NodeId(message.to);
            self.on_sending(&message);
            let message = Message::from_library(message, term, |index| self.offered_members(index));
            out.push(Effect::Send { to, message });
        }
    }

    fn on_sending(&mut self, message: &library::Message) {
        if message.msg_type == MessageType::MsgAppend
            && let Some(last) = message.entries.last()
        {
            let bytes = message.entries.iter().map(|entry| entry.data.len() as u64).sum();
            self.flows.on_sent(message.to, last.index, bytes, &mut self.raw.raft);
        }
        if message.msg_type == MessageType::MsgSnapshot {
            let index = message.get_snapshot().get_metadata().index;
            self.snapshots.on_offered(message.to, index);
        }
    }
}
