//! The file `vote`: term and vote, the epochs used, and where the log begins. All is kept twice:
//! one copy is written and synced, then the other, so that a crash at any moment leaves one that is
//! whole.
//!
//! Invariants:
//! - The copy written first is never the only one that is whole and durable.
//! - A change is done only when both copies hold it.

use crate::buffers::Buffers;
use crate::format::{BLOCK_BYTES, VoteCopy};
use crate::{Effect, File, Token};
use base::Outbox;

/// Where a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// What a start found may still be on its way to the disk.
    SyncFound,
    WriteFirst,
    SyncFirst,
    WriteSecond,
    SyncSecond,
}

/// Writes the vote file.
#[derive(Debug)]
pub(crate) struct VoteFile {
    /// What the file is to hold, or holds when nothing is on its way.
    wanted: VoteCopy,
    /// What both copies are known to hold.
    stored: VoteCopy,
    /// The change on its way.
    busy: Option<(Token, Step, VoteCopy)>,
    /// Which copy is written first: not the newest whole one.
    first: u64,
    /// Whether the owner waits for the change in `wanted`.
    asked: bool,
}

impl VoteFile {
    /// The file as it was found; `newest` is the number of the copy that holds `found`.
    pub(crate) fn new(found: VoteCopy, newest: u64) -> Self {
        // Nothing of it is known to be in both copies.
        let stored = VoteCopy { epoch: 0, begins: 0, bare: 0, ..found };
        Self { wanted: found, stored, busy: None, first: 1 - newest, asked: false }
    }

    /// Whether entries have to wait: for the vote that came before them, or for the epoch they are
    /// to be written in.
    pub(crate) fn holds_entries(&self) -> bool {
        let VoteCopy { epoch, term, vote, .. } = self.wanted;
        (epoch, term, vote) != (self.stored.epoch, self.stored.term, self.stored.vote)
    }

    /// The position at which the log begins for any start to come.
    pub(crate) fn begins(&self) -> u64 {
        self.stored.begins
    }

    /// The term in the file, or about to be.
    pub(crate) fn term(&self) -> u64 {
        self.wanted.term
    }

    /// The epoch of this run, which no other run has used or will use.
    pub(crate) fn epoch(&self) -> u64 {
        self.wanted.epoch
    }

    /// Claims an epoch above every one that was ever used.
    pub(crate) fn claim_epoch<B>(
        &mut self,
        epoch: u64,
        tokens: &mut Tokens,
        out: &mut Outbox<Effect<B>>,
    ) {
        assert!(epoch > self.wanted.epoch, "no epoch is used by two runs");
        self.wanted.epoch = epoch;
        self.wanted.generation += 1;
        let token = tokens.next();
        self.busy = Some((token, Step::SyncFound, self.wanted));
        out.push(Effect::Sync { token, file: File::Vote });
    }

    /// Moves the place where the log begins, if it is not there yet.
    pub(crate) fn begin<A: Buffers>(
        &mut self,
        position: u64,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        if position > self.wanted.begins {
            self.wanted.begins = position;
            self.change(tokens, buffers, out);
        }
    }

    /// Has the log begin at `position`, where nothing is yet, behind a snapshot of `index`.
    pub(crate) fn begin_bare<A: Buffers>(
        &mut self,
        position: u64,
        index: u64,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        assert!(
            position >= self.wanted.begins,
            "the log does not begin anew where it was given up"
        );
        assert!(index > 0, "a snapshot holds something");
        self.wanted.begins = position;
        self.wanted.bare = index;
        self.change(tokens, buffers, out);
    }

    /// Whether it is stored that the log begins so.
    pub(crate) fn is_bare(&self, position: u64, index: u64) -> bool {
        (self.stored.begins, self.stored.bare) == (position, index)
    }

    /// A segment is there, durable, where the log begins.
    pub(crate) fn on_first_segment<A: Buffers>(
        &mut self,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        if self.wanted.bare != 0 {
            self.wanted.bare = 0;
            self.change(tokens, buffers, out);
        }
    }

    /// Changes term and vote.
    pub(crate) fn set<A: Buffers>(
        &mut self,
        term: u64,
        vote: u64,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        assert!(term >= self.wanted.term, "a term never goes back");
        self.wanted.term = term;
        self.wanted.vote = vote;
        self.asked = true;
        self.change(tokens, buffers, out);
    }

    fn change<A: Buffers>(
        &mut self,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        self.wanted.generation += 1;
        if self.busy.is_none() {
            self.start(tokens, buffers, out);
        }
    }

    fn start<A: Buffers>(
        &mut self,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        let token = tokens.next();
        self.busy = Some((token, Step::WriteFirst, self.wanted));
        out.push(write(token, self.first, &self.wanted, buffers));
    }

    /// Whether `token` is ours; then the next step has been taken.
    pub(crate) fn on_done<A: Buffers>(
        &mut self,
        token: Token,
        tokens: &mut Tokens,
        buffers: &mut A,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) -> bool {
        let Some((_, step, copy)) = self.busy.filter(|(busy, ..)| *busy == token) else {
            return false;
        };
        let next = tokens.next();
        match step {
            Step::SyncFound => {
                // The newest that is wanted by now: the epoch is in it.
                self.busy = Some((next, Step::WriteFirst, self.wanted));
                out.push(write(next, self.first, &self.wanted, buffers));
            }
            Step::WriteFirst => {
                self.busy = Some((next, Step::SyncFirst, copy));
                out.push(Effect::Sync { token: next, file: File::Vote });
            }
            Step::SyncFirst => {
                self.busy = Some((next, Step::WriteSecond, copy));
                out.push(write(next, 1 - self.first, &copy, buffers));
            }
            Step::WriteSecond => {
                self.busy = Some((next, Step::SyncSecond, copy));
                out.push(Effect::Sync { token: next, file: File::Vote });
            }
            Step::SyncSecond => {
                self.busy = None;
                self.stored = copy;
                // From here on both are whole and equal, so either may go first.
                self.first = 0;
                if copy != self.wanted {
                    self.start(tokens, buffers, out);
                } else if std::mem::take(&mut self.asked) {
                    out.push(Effect::VoteDurable);
                }
            }
        }
        true
    }
}

fn write<A: Buffers>(
    token: Token,
    number: u64,
    copy: &VoteCopy,
    buffers: &mut A,
) -> Effect<A::Buffer> {
    let mut bytes = buffers.allocate(BLOCK_BYTES);
    copy.write(bytes.as_mut());
    Effect::Write { token, file: File::Vote, offset: number * BLOCK_BYTES as u64, bytes }
}

/// Hands out tokens, each once.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    last: u64,
}

impl Tokens {
    pub(crate) fn next(&mut self) -> Token {
        self.last += 1;
        Token(self.last)
    }
}
