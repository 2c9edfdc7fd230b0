//! The workers that the cluster knows, and the plugins that they have brought.
//!
//! Invariants:
//! - of a worker one run is known, the latest: an earlier one never comes back, and one that is lost or
//!   has left stays so;
//! - at most [`WORKERS_MAX`] workers are known. Where another one comes, the one that has been gone for
//!   longest is forgotten; where none is gone, the newcomer is refused;
//! - a plugin that was brought once stays known. At most [`PLUGINS_MAX`] are: where another one comes, one
//!   is forgotten that no known worker has, or else one that none has which is there. Only where all are
//!   at workers that are there the newcomer is not known.

use crate::record::{WorkerDrained, WorkerJoined, WorkerPlugin};
use base::{BootId, UnixMicros, WorkerId};
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Workers that a cluster knows.
pub(crate) const WORKERS_MAX: usize = 1_024;
/// Plugins that a cluster knows.
pub(crate) const PLUGINS_MAX: usize = 1_024;

/// Whether a worker is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Presence {
    /// It is, as far as its lease says.
    Here,
    /// Its lease was over.
    Lost,
    /// It has gone, as it wished.
    Left,
}

/// The latest run of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Worker {
    /// Which run.
    pub boot: BootId,
    /// Whether it is there.
    pub presence: Presence,
    /// Since when.
    pub since: UnixMicros,
    /// An operator wishes that it gets no tasks.
    pub drained: bool,
    /// Its name, for people.
    pub name: String,
    /// Where it shows health and metrics; empty: nowhere.
    pub address: String,
    /// How many tasks it runs at once.
    pub capacity: u32,
    /// Where it stands; empty: not said.
    pub zone: String,
    /// What it has, by name.
    pub plugins: Vec<WorkerPlugin>,
}

/// What became of a worker that wants to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// It belongs to the cluster. What an earlier run of it had is lost.
    Joined {
        /// That run.
        lost: Option<BootId>,
    },
    /// A later run is known, or this one is gone.
    Over,
    /// There are too many workers.
    Full,
}

/// Plugins by name, each as it was brought last.
pub(crate) type Plugins = BTreeMap<String, WorkerPlugin>;

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Workers {
    by_id: BTreeMap<WorkerId, Worker>,
    plugins: Arc<Plugins>,
}

impl Workers {
    /// The workers, by their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (WorkerId, &Worker)> {
        self.by_id.iter().map(|(id, worker)| (*id, worker))
    }

    /// A worker.
    pub fn find(&self, worker: WorkerId) -> Option<&Worker> {
        self.by_id.get(&worker)
    }

    /// Whether this run of the worker is there.
    pub fn is_here(&self, worker: WorkerId, boot: BootId) -> bool {
        self.find(worker)
            .is_some_and(|known| known.boot == boot && known.presence == Presence::Here)
    }

    /// The plugins that were ever brought, by name, each as it was brought last.
    pub(crate) fn plugins(&self) -> &Arc<Plugins> {
        &self.plugins
    }

    /// A worker joins. The caller moves what a run that is lost by it had.
    pub(crate) fn join(&mut self, record: WorkerJoined, stamp: UnixMicros) -> Join {
        let WorkerJoined { worker, boot, name, address, capacity, zone, plugins } = record;
        let known = self.by_id.get(&worker);
        if let Some(known) = known
            && (boot < known.boot || boot == known.boot && known.presence != Presence::Here)
        {
            return Join::Over;
        }
        if known.is_none() && self.by_id.len() >= WORKERS_MAX && !self.forget_one() {
            return Join::Full;
        }
        let known = self.by_id.get(&worker);
        let drained = known.is_some_and(|known| known.drained);
        // The same run again, with other plugins: it has been there all along.
        let since = known.filter(|known| known.boot == boot).map_or(stamp, |known| known.since);
        let lost = known
            .filter(|known| known.boot != boot && known.presence == Presence::Here)
            .map(|known| known.boot);
        let presence = Presence::Here;
        let joined =
            Worker { boot, presence, since, drained, name, address, capacity, zone, plugins };
        let brought = joined.plugins.clone();
        self.by_id.insert(worker, joined);
        self.bring(brought);
        Join::Joined { lost }
    }

    /// The plugins of a worker that has joined are known from now on.
    fn bring(&mut self, brought: Vec<WorkerPlugin>) {
        let new = brought.iter().filter(|plugin| !self.plugins.contains_key(&plugin.name)).count();
        let excess = (self.plugins.len() + new).saturating_sub(PLUGINS_MAX);
        let mut spare =
            if excess > 0 { self.spare_plugins(excess) } else { Vec::new() }.into_iter();
        let known = Arc::make_mut(&mut self.plugins);
        for plugin in brought {
            let is_full = known.len() >= PLUGINS_MAX && !known.contains_key(&plugin.name);
            if is_full {
                let Some(forgotten) = spare.next() else { continue };
                known.remove(&forgotten);
            }
            known.insert(plugin.name.clone(), plugin);
        }
    }

    /// Names to forget, as many as that if there are so many: the first by their order that no worker has,
    /// and then those that none has which is there.
    fn spare_plugins(&self, most: usize) -> Vec<String> {
        let mut here: BTreeSet<&str> = BTreeSet::new();
        let mut gone: BTreeSet<&str> = BTreeSet::new();
        for worker in self.by_id.values() {
            let at = if worker.presence == Presence::Here { &mut here } else { &mut gone };
            at.extend(worker.plugins.iter().map(|plugin| plugin.name.as_str()));
        }
        let spare = || self.plugins.keys().filter(|name| !here.contains(name.as_str()));
        let nobodys = spare().filter(|name| !gone.contains(name.as_str()));
        let of_gone = spare().filter(|name| gone.contains(name.as_str()));
        nobodys.chain(of_gone).take(most).cloned().collect()
    }

    /// A run of a worker is lost or has left. False where it is not there.
    pub(crate) fn part(
        &mut self,
        worker: WorkerId,
        boot: BootId,
        how: Presence,
        stamp: UnixMicros,
    ) -> bool {
        assert_ne!(how, Presence::Here, "a worker that goes is not there");
        let is_here = self.is_here(worker, boot);
        if is_here && let Some(known) = self.by_id.get_mut(&worker) {
            (known.presence, known.since) = (how, stamp);
        }
        is_here
    }

    /// An operator's wish. False where no such worker is known.
    pub(crate) fn drain(&mut self, record: WorkerDrained) -> bool {
        let known = self.by_id.get_mut(&record.worker);
        known.map(|known| known.drained = record.on).is_some()
    }

    /// Forgets whoever has been gone for longest. False where all are there.
    fn forget_one(&mut self) -> bool {
        let gone = self.by_id.iter().filter(|(_, worker)| worker.presence != Presence::Here);
        let Some(oldest) = gone.min_by_key(|(id, worker)| (worker.since, **id)).map(|(id, _)| *id)
        else {
            return false;
        };
        self.by_id.remove(&oldest).is_some()
    }

    pub(super) fn image(&self) -> WorkersImage {
        WorkersImage {
            workers: self.by_id.iter().map(|(id, worker)| (*id, worker.clone())).collect(),
            plugins: self.plugins.values().cloned().collect(),
        }
    }

    pub(super) fn from_image(image: WorkersImage) -> Self {
        let plugins = image.plugins.into_iter().map(|plugin| (plugin.name.clone(), plugin));
        Self { by_id: image.workers.into_iter().collect(), plugins: Arc::new(plugins.collect()) }
    }
}

#[derive(Default, Archive, Serialize, Deserialize)]
pub(super) struct WorkersImage {
    workers: Vec<(WorkerId, Worker)>,
    plugins: Vec<WorkerPlugin>,
}

#[cfg(test)]
mod tests;
