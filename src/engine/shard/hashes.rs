//! The state's checksum at one place of the log: apply halts there, and one partition is hashed after
//! the other, so that the core rests in between.
//!
//! Invariants:
//! - what is hashed is the state at the record's place, on every core: nothing is applied meanwhile;
//! - a checksum changes nothing: a start that reads its record in the journal passes it by.

use super::session::Waiter;
use super::swap::work;
use super::{ShardCore, ShardEffect};
use crate::batch::{GLOBAL, SectionHeader};
use crate::message::{Marked, Place, Sums, ToConsensus};
use crate::record::{Checksum, RecordType};
use crate::work::Kind;
use base::{CoreId, Instant, Outbox, PartitionId};

/// Who hashes the globals: every core has them.
const OF_GLOBALS: CoreId = CoreId(0);

/// What is hashed while apply halts.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    under_way: Option<Hashing>,
    done: Option<Place>,
}

#[derive(Debug)]
struct Hashing {
    place: Place,
    of: Marked,
    /// The last comes first.
    left: Vec<PartitionId>,
    /// The globals are still to come: apply waits.
    awaits_globals: bool,
    globals: Option<u64>,
    partitions: Result<Vec<(PartitionId, u64)>, String>,
}

impl Hashes {
    pub(super) fn is_done(&self, place: Place) -> bool {
        self.done == Some(place)
    }

    /// Another partition can be hashed at any time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.under_way.as_ref().filter(|hashing| !hashing.left.is_empty()).map(|_| Instant(0))
    }
}

impl ShardCore {
    /// Writes a checksum's record.
    pub(super) fn mark(&mut self, ticket: u64, out: &mut Outbox<ShardEffect>) {
        let body = Checksum { ticket };
        let write = |bytes: &mut Vec<u8>| body.write(bytes);
        self.push_one(RecordType::Checksum, GLOBAL, Waiter::Own, write, out);
    }

    /// Apply has come to a checksum's record. False while the state is being hashed there.
    pub(super) fn hash_at(
        &mut self,
        place: Place,
        header: &SectionHeader,
        record: Checksum,
        out: &mut Outbox<ShardEffect>,
    ) -> bool {
        let is_done = self.backlog.hashes.done.take_if(|done| *done == place).is_some();
        // What is read from the journal was answered, or not, in an earlier run.
        if is_done || self.role.term == 0 {
            return true;
        }
        let index = place.index;
        let (node, boot, ticket) = (header.node, header.boot, record.ticket);
        let is_there = self.partitions().all(|partition| partition.is_applying(index));
        let partitions = if is_there {
            Ok(Vec::with_capacity(self.hosted.len()))
        } else {
            Err(format!("it went on from a snapshot whose state is ahead of entry {index}"))
        };
        let left = if is_there { self.hosted.iter().rev().copied().collect() } else { Vec::new() };
        let is_of_globals = is_there && self.config.core == OF_GLOBALS;
        if is_of_globals {
            work(Kind::Sum(place, Box::new(self.globals.clone())), out);
        }
        self.backlog.hashes.under_way = Some(Hashing {
            place,
            of: Marked { index, node, boot, ticket },
            left,
            awaits_globals: is_of_globals,
            globals: None,
            partitions,
        });
        !self.tell_hashed(out)
    }

    /// Whether something is still to be hashed; what is not is told.
    fn tell_hashed(&mut self, out: &mut Outbox<ShardEffect>) -> bool {
        let hashes = &mut self.backlog.hashes;
        let is_whole = |hashing: &mut Hashing| hashing.left.is_empty() && !hashing.awaits_globals;
        let Some(hashing) = hashes.under_way.take_if(is_whole) else { return true };
        let Hashing { of, globals, partitions, .. } = hashing;
        let sums = Sums { globals, partitions };
        out.push(ShardEffect::ToConsensus(ToConsensus::Hashed { of, sums }));
        false
    }

    /// The core has time: one partition more.
    pub(super) fn hash_next(&mut self, out: &mut Outbox<ShardEffect>) {
        let Some(hashing) = &mut self.backlog.hashes.under_way else { return };
        let Some(id) = hashing.left.pop() else { return };
        let partition = self.partitions[usize::from(id.0)].as_ref().expect("it is hosted here");
        if let Ok(sums) = &mut hashing.partitions {
            sums.push((id, partition.checksum()));
        }
        self.go_on_behind_hashes(out);
    }

    /// The globals are hashed, beside the core.
    pub(super) fn on_globals_hashed(
        &mut self,
        place: Place,
        sum: u64,
        out: &mut Outbox<ShardEffect>,
    ) {
        let under_way = self.backlog.hashes.under_way.as_mut();
        // Otherwise a snapshot has taken the place of what apply was to go on with.
        let Some(hashing) = under_way.filter(|hashing| hashing.place == place) else { return };
        (hashing.awaits_globals, hashing.globals) = (false, Some(sum));
        self.go_on_behind_hashes(out);
    }

    fn go_on_behind_hashes(&mut self, out: &mut Outbox<ShardEffect>) {
        let place = self.backlog.hashes.under_way.as_ref().map(|hashing| hashing.place);
        if !self.tell_hashed(out) {
            self.backlog.hashes.done = place;
            self.apply_backlog(out);
        }
    }
}
