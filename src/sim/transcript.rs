//! What happens, in words: for whoever replays a seed, and for the recorded scenarios.
//!
//! Heartbeats and what merely goes well (entries that are taken) are left out: what is written is what
//! somebody would tell of the run.

use base::{Instant, NodeId};
use engine::peer::PeerMessage;
use quorum::Message;
use std::fmt::Write;

/// The start of every world.
const BEGIN: Instant = Instant(1);

/// What was said so far, if anybody wants to know.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    is_kept: bool,
    lines: Vec<String>,
}

impl Transcript {
    /// From now on it is written.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// For a while it is not.
    pub(crate) fn pause(&mut self) {
        self.is_kept = false;
    }

    pub(crate) fn say(&mut self, at: Instant, text: impl FnOnce() -> String) {
        if self.is_kept {
            let us = at.since(BEGIN).as_micros();
            self.lines.push(format!("{:>6}.{} ms  {}", us / 1_000, us % 1_000 / 100, text()));
        }
    }

    /// A node sends something to another.
    pub(crate) fn on_sent(&mut self, at: Instant, from: NodeId, to: NodeId, message: &PeerMessage) {
        if self.is_kept
            && let Some(text) = text_of(message)
        {
            self.say(at, || format!("{from} to {to}: {text}"));
        }
    }

    /// What was said since the last time.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

fn text_of(message: &PeerMessage) -> Option<String> {
    let mut text = String::new();
    match message {
        PeerMessage::Raft(message) => return text_of_raft(message),
        PeerMessage::Forward(forward) => {
            let (core, number, round) = (forward.core, forward.number, forward.round);
            write!(text, "batch {number} of my core {core}, round {round}")
        }
        PeerMessage::NotTaken { core, number, round, why, .. } => {
            write!(text, "batch {number} of your core {core}, round {round}, is not taken: {why:?}")
        }
        PeerMessage::SnapshotWanted { index, offset } => {
            write!(text, "your snapshot of entry {index} from byte {offset} on, please")
        }
        PeerMessage::SnapshotPiece { index, offset, total_bytes, data } => {
            let end = offset + data.len() as u64;
            let is_last = if end == *total_bytes { ", the last" } else { "" };
            write!(text, "a piece of the snapshot of entry {index}{is_last}")
        }
        PeerMessage::SnapshotGone { index } => {
            write!(text, "the snapshot of entry {index} is gone")
        }
        // Clocks go so every second.
        PeerMessage::Request { .. } | PeerMessage::Answer { .. } => return None,
    }
    .expect("a string grows");
    Some(text)
}

fn text_of_raft(message: &Message) -> Option<String> {
    let mut text = String::new();
    match message {
        Message::PreVote(candidacy) => write!(
            text,
            "would you vote for me in term {}? My log ends with {} of term {}",
            candidacy.term, candidacy.index, candidacy.log_term
        ),
        Message::RequestVote(candidacy) => write!(
            text,
            "vote for me in term {}! My log ends with {} of term {}",
            candidacy.term, candidacy.index, candidacy.log_term
        ),
        Message::PreVoteResponse(ballot) if ballot.reject => write!(text, "I would not"),
        Message::PreVoteResponse(_) => write!(text, "I would"),
        Message::RequestVoteResponse(ballot) if ballot.reject => {
            write!(text, "I do not vote for you in term {}", ballot.term)
        }
        Message::RequestVoteResponse(ballot) => {
            write!(text, "you have my vote in term {}", ballot.term)
        }
        Message::AppendEntries(append) => {
            let (first, last) = (append.entries.first()?, append.entries.last()?);
            if first.index == last.index {
                write!(text, "entry {}", last.index)
            } else {
                write!(text, "entries {} to {}", first.index, last.index)
            }
            .expect("a string grows");
            let (before, before_term) = (append.index, append.log_term);
            write!(text, " of term {}, behind {before} of term {before_term}", last.term)
        }
        Message::AppendEntriesResponse(answer) if answer.request_snapshot > 0 => {
            write!(text, "a snapshot of entry {} or later, please", answer.request_snapshot)
        }
        Message::AppendEntriesResponse(answer) if answer.reject => write!(
            text,
            "I have no such entry {}: maybe {} of term {}",
            answer.index, answer.reject_hint, answer.log_term
        ),
        Message::AppendEntriesResponse(_)
        | Message::Heartbeat { .. }
        | Message::HeartbeatResponse { .. }
        | Message::ReadIndex { .. }
        | Message::ReadIndexResponse { .. } => return None,
        Message::InstallSnapshot(offer) => {
            write!(text, "you need my snapshot of entry {} of term {}", offer.index, offer.log_term)
        }
        Message::TimeoutNow { term } => {
            write!(text, "stand for election, I lead term {term} no more")
        }
        Message::TransferLeader { .. } => write!(text, "let me lead"),
    }
    .expect("a string grows");
    Some(text)
}
