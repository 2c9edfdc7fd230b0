//! Orders that wait for a worker, by plugin, and of each plugin the most urgent first.
//!
//! Invariants:
//! - an order waits once;
//! - of one priority, what came first goes first.

use crate::shard::OrderId;
use base::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The highest priority, which goes first.
const PRIORITY_MAX: u8 = 9;

/// Whose turn it is: the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// How far its priority is below the highest.
    behind: u8,
    arrival: u64,
}

/// An order that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) order: OrderId,
    /// When it came to this dispatcher.
    pub(super) since: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_plugin: BTreeMap<Arc<str>, BTreeMap<Rank, Wanted>>,
    places: BTreeMap<OrderId, (Arc<str>, Rank)>,
    arrivals: u64,
}

impl Waiting {
    /// False when it waits already.
    pub(super) fn push(&mut self, plugin: &Arc<str>, priority: u8, wanted: Wanted) -> bool {
        if self.places.contains_key(&wanted.order) {
            return false;
        }
        self.arrivals += 1;
        let behind = PRIORITY_MAX.saturating_sub(priority);
        let rank = Rank { behind, arrival: self.arrivals };
        // The plugin's name is shared with those that wait for it already.
        let known = self.by_plugin.get_key_value(plugin).map(|(known, _)| Arc::clone(known));
        let plugin = known.unwrap_or_else(|| Arc::clone(plugin));
        self.places.insert(wanted.order, (Arc::clone(&plugin), rank));
        self.by_plugin.entry(plugin).or_default().insert(rank, wanted);
        true
    }

    pub(super) fn remove(&mut self, order: OrderId) -> Option<Wanted> {
        let (plugin, rank) = self.places.remove(&order)?;
        let queue = self.by_plugin.get_mut(&plugin).expect("what has a place waits there");
        let wanted = queue.remove(&rank);
        if queue.is_empty() {
            self.by_plugin.remove(&plugin);
        }
        wanted
    }

    /// The plugins that something waits for, with the turn of the most urgent one of each.
    pub(super) fn heads(&self) -> impl Iterator<Item = (Rank, &Arc<str>)> {
        self.by_plugin.iter().map(|(plugin, queue)| {
            let (rank, _) = queue.first_key_value().expect("an empty queue is removed");
            (*rank, plugin)
        })
    }

    /// The most urgent one that waits for a plugin.
    pub(super) fn head(&self, plugin: &str) -> Option<(Rank, Wanted)> {
        let (rank, wanted) = self.by_plugin.get(plugin)?.first_key_value()?;
        Some((*rank, *wanted))
    }

    /// How many wait for each plugin, and since when the first of them to come.
    pub(super) fn of_plugins(&self) -> impl Iterator<Item = (&Arc<str>, usize, Instant)> {
        self.by_plugin.iter().map(|(plugin, queue)| {
            // Of each priority what came first stands first.
            let firsts = (0..=PRIORITY_MAX).filter_map(|behind| {
                let all = Rank { behind, arrival: 0 }..=Rank { behind, arrival: u64::MAX };
                queue.range(all).next().map(|(_, wanted)| wanted.since)
            });
            (plugin, queue.len(), firsts.min().expect("an empty queue is removed"))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn clear(&mut self) {
        self.by_plugin.clear();
        self.places.clear();
    }
}
