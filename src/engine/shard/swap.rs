//! From one catalogue to the next: entries that wait for a change to be ready, the swap itself, and
//! merges of the compiled rules.
//!
//! Invariants:
//! - entries are applied in the log's order: behind a change that is not ready, nothing is;
//! - a change is applied as what it makes of the catalogue at its place in the log, whoever made it
//!   ready;
//! - a merge changes nothing that matches.

use super::hashes::Hashes;
use super::{ShardCore, ShardEffect};
use crate::batch::RecordView;
use crate::globals::{Catalogue, Changed, Merged, Prepared};
use crate::message::{Committed, Part, Place, ToConsensus, ToShard};
use crate::work::{CommittedChange, Kind, Outcome, Retired, Work, Worked};
use base::{CoreId, Outbox};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A catalogue of fewer rules is freed sooner than another thread is told of it.
const RETIRED_RULES_MIN: usize = 256;
/// Who has work done that all cores of the node need once.
const FOR_ALL: CoreId = CoreId(0);

/// What waits to be applied. The log bounds what it hands out before it is applied.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) entries: VecDeque<Committed>,
    /// The change in the first of them that apply waits for, or the checksum.
    pub(super) halted: Option<Place>,
    /// What another core has had made ready, for here or for later.
    arrived: BTreeMap<Place, Arc<Prepared>>,
    /// The checksum that is made where apply halts.
    pub(super) hashes: Hashes,
    /// Images that were asked for in the middle of an entry.
    images: Vec<Part>,
}

/// Merges of the compiled rules.
#[derive(Debug, Default)]
pub(super) struct Merging {
    under_way: bool,
    /// The newest. Kept while a catalogue may come that was made over older rules.
    newest: Option<Arc<Merged>>,
}

impl Backlog {
    /// A snapshot takes the place of what waits here. Images that were asked for are not taken.
    pub(super) fn give_up(&mut self) {
        *self = Self::default();
    }
}

impl Merging {
    /// The catalogue came from elsewhere.
    pub(super) fn give_up(&mut self) {
        self.newest = None;
    }
}

impl ShardCore {
    /// Work that was ordered is done.
    pub fn on_worked(&mut self, worked: Worked, out: &mut Outbox<ShardEffect>) {
        match worked.0 {
            Outcome::Change(ready) => self.on_change_ready(ready.map(|ready| *ready), out),
            // A snapshot has taken the place of what apply waited for.
            Outcome::Committed(place, _) if self.backlog.halted != Some(place) => {}
            Outcome::Committed(place, Ok(prepared)) => {
                self.tell_others(out, || ToShard::Prepared {
                    place,
                    prepared: Arc::clone(&prepared),
                });
                self.on_prepared(place, prepared, out);
            }
            Outcome::Committed(place, Err(reason)) => {
                out.push(ShardEffect::Fatal(format!(
                    "entry {} of the log cannot be applied: {reason}",
                    place.index
                )));
            }
            Outcome::Merged(merged) => {
                self.merging.under_way = false;
                self.tell_others(out, || ToShard::Merged(Arc::clone(&merged)));
                self.on_merged(merged, out);
                self.consider_merge(out);
            }
            Outcome::Image { applied, partitions, bytes } => {
                send_image(Part::Globals, (applied, partitions), bytes, out);
            }
            Outcome::Summed(place, sum) => self.on_globals_hashed(place, sum, out),
            Outcome::Nothing => {}
        }
    }

    fn tell_others(&self, out: &mut Outbox<ShardEffect>, message: impl Fn() -> ToShard) {
        for to in (0..self.config.shards).map(CoreId).filter(|to| *to != self.config.core) {
            out.push(ShardEffect::ToShard { to, message: message() });
        }
    }

    /// A change is ready that apply waits for, or will.
    pub(super) fn on_prepared(
        &mut self,
        place: Place,
        prepared: Arc<Prepared>,
        out: &mut Outbox<ShardEffect>,
    ) {
        if place.index <= self.applied() {
            // A snapshot was installed meanwhile.
            return;
        }
        self.backlog.arrived.insert(place, prepared);
        self.apply_backlog(out);
    }

    /// Whether apply can go on.
    pub(super) fn is_halted(&self) -> bool {
        let Backlog { halted, arrived, hashes, .. } = &self.backlog;
        halted.is_some_and(|place| !arrived.contains_key(&place) && !hashes.is_done(place))
    }

    /// What was made ready of the change at this place; when nothing was, apply halts there.
    pub(super) fn prepared_at(
        &mut self,
        entry: &Committed,
        place: Place,
        record: &RecordView<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Option<Arc<Prepared>> {
        let carried = entry.prepared.iter().find(|(section, _)| *section == place.section);
        let carried = carried.map(|(_, prepared)| prepared);
        if let Some(carried) = carried.filter(|found| found.is_for(&self.globals.catalogue)) {
            return Some(Arc::clone(carried));
        }
        if let Some(arrived) = self.backlog.arrived.remove(&place) {
            let is_for = arrived.is_for(&self.globals.catalogue);
            assert!(is_for, "all cores have the same catalogue at the same place");
            return Some(arrived);
        }
        if self.config.core == FOR_ALL {
            let change = match carried {
                Some(carried) => CommittedChange::Drafted(Arc::clone(carried.draft())),
                None => CommittedChange::Record(record.version, entry.data.slice_ref(record.body)),
            };
            let catalogue = Arc::clone(&self.globals.catalogue);
            work(Kind::Committed { place, catalogue, change }, out);
        }
        None
    }

    /// A change has its place in the log.
    pub(super) fn apply_change(
        &mut self,
        prepared: &Arc<Prepared>,
        out: &mut Outbox<ShardEffect>,
    ) -> Arc<Changed> {
        if let Some(next) = prepared.next(self.globals.stamp) {
            let over = self.merging.newest.as_ref().and_then(|merged| next.over(merged));
            let next = over.map_or_else(|| Arc::clone(next), Arc::new);
            let retired = Retired::Prepared(Arc::clone(prepared));
            self.swap(next, Some(retired), out);
            if let Changed::Applied { edits, .. } = &**prepared.changed() {
                self.on_edits(edits, out);
            }
            self.match_open_again(out);
            self.consider_merge(out);
        }
        Arc::clone(prepared.changed())
    }

    /// Another catalogue, or the same over other compiled rules.
    fn swap(&mut self, next: Arc<Catalogue>, with: Option<Retired>, out: &mut Outbox<ShardEffect>) {
        let old = std::mem::replace(&mut self.globals.catalogue, next);
        let now = &self.globals.catalogue;
        let useless = self.merging.newest.take_if(|merged| now.is_beyond(merged));
        // Where all rules were compiled anew, as much is given up.
        if old.rules.len() >= RETIRED_RULES_MIN && !old.shares_compiled(now) {
            let mut retired = vec![Retired::Catalogue(old)];
            retired.extend(with);
            retired.extend(useless.map(Retired::Merged));
            work(Kind::Drop(retired), out);
        }
    }

    pub(super) fn consider_merge(&mut self, out: &mut Outbox<ShardEffect>) {
        let wanted = self.config.core == FOR_ALL && !self.merging.under_way;
        if wanted && self.globals.catalogue.needs_merge() {
            self.merging.under_way = true;
            work(Kind::Merge(Arc::clone(&self.globals.catalogue)), out);
        }
    }

    /// Rules of some version were merged: of an earlier one, or of one that is yet to come here.
    pub(super) fn on_merged(&mut self, merged: Arc<Merged>, out: &mut Outbox<ShardEffect>) {
        if self.globals.catalogue.is_past(&merged) {
            work(Kind::Drop(vec![Retired::Merged(merged)]), out);
            return;
        }
        let over = self.globals.catalogue.over(&merged);
        self.merging.newest = Some(merged);
        if let Some(over) = over {
            self.swap(Arc::new(over), None, out);
        }
    }

    /// An image is wanted: of a state between two entries.
    pub(super) fn take_image(&mut self, part: Part, out: &mut Outbox<ShardEffect>) {
        if self.backlog.halted.is_some() {
            self.backlog.images.push(part);
            return;
        }
        match part {
            Part::Globals => work(Kind::Image(Box::new(self.globals.clone())), out),
            Part::Partition(id) => {
                let partition = self.partitions[usize::from(id.0)].as_ref();
                let partition = partition.expect("images are asked of the host");
                let count = u16::try_from(self.partitions.len()).expect("partitions fit 12 bits");
                send_image(part, (partition.applied(), count), partition.image(), out);
            }
        }
    }

    /// An entry is applied whole: images that waited for that are taken.
    pub(super) fn take_images(&mut self, out: &mut Outbox<ShardEffect>) {
        for part in std::mem::take(&mut self.backlog.images) {
            self.take_image(part, out);
        }
    }
}

/// An image, of a state that has so many partitions: the globals' may be of before the cluster's birth,
/// though it comes after that.
fn send_image(
    part: Part,
    (applied, partitions): (u64, u16),
    bytes: Vec<u8>,
    out: &mut Outbox<ShardEffect>,
) {
    let image = ToConsensus::Image { part, applied, partitions, bytes };
    out.push(ShardEffect::ToConsensus(image));
}

pub(super) fn work(kind: Kind, out: &mut Outbox<ShardEffect>) {
    out.push(ShardEffect::Work(Work(kind)));
}
