//! A run of a worker that is there, as the leader sees it.

use super::room::Place;
use crate::globals::Worker;
use crate::shard::OrderId;
use crate::workers::WorkerLink;
use base::{BootId, Instant};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a worker said of itself last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) running: u32,
    pub(crate) cpu_permille: u32,
    pub(crate) memory_bytes: u64,
}

/// When what happened to an order that a worker has, as far as that is known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Placed {
    /// When it began to wait; not known any more once that was told.
    pub(super) wanted: Option<Instant>,
    /// When the worker had received it.
    pub(super) begun: Option<Instant>,
}

/// A run of a worker that is there.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) boot: BootId,
    pub(super) place: Place,
    pub(super) capacity: u32,
    /// By name.
    pub(super) plugins: Vec<Arc<str>>,
    pub(super) zone: String,
    drained: bool,
    /// Its connection to this node, once it is registered over it.
    pub(crate) link: Option<WorkerLink>,
    /// It wishes to leave.
    pub(crate) leaving: bool,
    /// What it has.
    pub(super) has: BTreeMap<OrderId, Placed>,
    /// It gets nothing until then.
    pub(super) held_until: Option<Instant>,
    /// When it is lost; not known before the clock was looked at.
    pub(super) lease: Option<Instant>,
    /// That it is lost is on its way into the log: its lease is not renewed any more.
    pub(crate) is_expelled: bool,
    pub(crate) load: Load,
}

impl Peer {
    pub(super) fn new(boot: BootId, place: Place) -> Self {
        Self {
            boot,
            place,
            capacity: 0,
            plugins: Vec::new(),
            zone: String::new(),
            drained: false,
            link: None,
            leaving: false,
            has: BTreeMap::new(),
            held_until: None,
            lease: None,
            is_expelled: false,
            load: Load::default(),
        }
    }

    /// What the state says of it; not its plugins.
    pub(super) fn update(&mut self, worker: &Worker) {
        self.capacity = worker.capacity;
        self.drained = worker.drained;
        self.zone.clone_from(&worker.zone);
    }

    /// How many tasks it has, decided ones included.
    pub(crate) fn running(&self) -> u32 {
        u32::try_from(self.has.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How long until its lease is over.
    pub(crate) fn lease_left(&self, now: Instant) -> Option<Duration> {
        self.lease.map(|lease| lease.since(now))
    }

    pub(super) fn has_room(&self) -> bool {
        let is_barred = self.drained || self.leaving || self.is_expelled;
        !is_barred
            && self.link.is_some()
            && self.held_until.is_none()
            && self.running() < self.capacity
    }
}
