//! Who can be given something, and of which plugins: all that a decision looks at, side by side.
//!
//! A decision passes over the workers that have the plugin, a few instructions each, and allocates nothing;
//! a change of a worker writes one number.
//!
//! Invariants:
//! - a worker has a rank while it can be given something, and none while it cannot;
//! - of each plugin the workers that have it stand once, in the order of their ids;
//! - `free` is how many have a rank.

use base::WorkerId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rank of a worker that can be given nothing.
const NONE: u64 = u64::MAX;

/// Where a worker's rank is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Debug, Default)]
pub(super) struct Room {
    ranks: Vec<u64>,
    free: usize,
    /// Places that nobody has.
    vacant: Vec<Place>,
    by_plugin: BTreeMap<Arc<str>, Vec<(WorkerId, Place)>>,
}

impl Room {
    /// A place for a worker, which can be given nothing yet.
    pub(super) fn enter(&mut self) -> Place {
        if let Some(place) = self.vacant.pop() {
            return place;
        }
        let place = u32::try_from(self.ranks.len()).expect("there are fewer workers");
        self.ranks.push(NONE);
        Place(place)
    }

    /// The worker is gone, which has no plugins any more.
    pub(super) fn leave(&mut self, place: Place) {
        self.set_rank(place, None);
        self.vacant.push(place);
    }

    /// The worker has this plugin. Its name, as all share it.
    pub(super) fn bring(&mut self, worker: WorkerId, place: Place, plugin: &str) -> Arc<str> {
        let known = self.by_plugin.get_key_value(plugin).map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| plugin.into());
        let those = self.by_plugin.entry(Arc::clone(&name)).or_default();
        if let Err(at) = those.binary_search_by_key(&worker, |(one, _)| *one) {
            those.insert(at, (worker, place));
        }
        name
    }

    /// The worker has this plugin no more.
    pub(super) fn withdraw(&mut self, worker: WorkerId, plugin: &str) {
        let Some(those) = self.by_plugin.get_mut(plugin) else { return };
        if let Ok(at) = those.binary_search_by_key(&worker, |(one, _)| *one) {
            those.remove(at);
        }
        if those.is_empty() {
            self.by_plugin.remove(plugin);
        }
    }

    /// Where the worker stands among those that can be given something; none: it cannot.
    pub(super) fn set_rank(&mut self, place: Place, rank: Option<u64>) {
        let rank = rank.map_or(NONE, |rank| rank.min(NONE - 1));
        let before = std::mem::replace(&mut self.ranks[place.0 as usize], rank);
        self.free += usize::from(rank != NONE);
        self.free -= usize::from(before != NONE);
    }

    /// Whether anybody can be given something.
    pub(super) fn is_free(&self) -> bool {
        self.free > 0
    }

    /// Those that can be given something of this plugin.
    pub(super) fn of(&self, plugin: &str) -> Free<'_> {
        let those = self.by_plugin.get(plugin).map_or(&[][..], Vec::as_slice);
        Free { those, ranks: &self.ranks }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The workers that can take a task.
#[derive(Clone, Copy, Debug)]
pub struct Free<'a> {
    those: &'a [(WorkerId, Place)],
    ranks: &'a [u64],
}

impl<'a> Free<'a> {
    /// Each with its rank, in the order of their ids.
    pub fn iter(self) -> impl Iterator<Item = (WorkerId, u64)> + 'a {
        let Self { those, ranks } = self;
        let ranked = those.iter().map(|(worker, place)| (*worker, ranks[place.0 as usize]));
        ranked.filter(|(_, rank)| *rank != NONE)
    }

    /// The one with the lowest rank; of equal ones the first.
    pub fn lowest(self) -> Option<WorkerId> {
        let (mut lowest, mut found) = (NONE, None);
        for (worker, place) in self.those {
            let rank = self.ranks[place.0 as usize];
            if rank < lowest {
                (lowest, found) = (rank, Some(*worker));
            }
        }
        found
    }
}
