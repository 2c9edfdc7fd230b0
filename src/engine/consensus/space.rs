//! A disk that is full. Whoever leads hands the lead over, as the others may have room; whoever
//! follows takes nothing from its own clients, and keeps what it is sent in memory until there is room.
//!
//! Invariants:
//! - where nobody has room the lead does not go round and round: each node tries once in a while.

use super::{ConsensusCore, ConsensusEffect, ENTRY_HEADERS_BYTES};
use base::{Instant, Now, Outbox};
use journal::Buffers;
use std::time::Duration;

/// After an attempt to hand the lead over. The next one may have no room either, and gives it back.
const PAUSE: Duration = Duration::from_secs(5);

/// What a node remembers of it.
#[derive(Debug, Default)]
pub(super) struct Space {
    handed_over_at: Option<Instant>,
}

impl<A: Buffers> ConsensusCore<A> {
    /// Whether the journal has room for a batch more, or will have: a segment that is only not ready
    /// yet makes batches wait, a full disk refuses them.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        let needed = self.batcher.cost() + bytes as u64 + ENTRY_HEADERS_BYTES;
        !self.journal.is_disk_full() || self.journal.room() >= needed
    }

    /// Hands the lead over while the journal has no room for the largest request.
    pub(super) fn hand_over_when_full(
        &mut self,
        now: Now,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if !self.leading || self.has_space() || self.group.is_handing_over() {
            return;
        }
        let before = self.space.handed_over_at;
        if before.is_some_and(|before| now.instant.since(before) < PAUSE) {
            return;
        }
        if let Ok(to) = self.group.on_transfer(None, &mut self.group_out) {
            self.space.handed_over_at = Some(now.instant);
            let text = format!("no room for more in the journal: node {to} is asked to lead");
            out.push(ConsensusEffect::Notice(text));
            self.pump(now, out);
        }
    }
}
