//! What `/api/v1/workers` and `/api/v1/plugins` answer.

use crate::json::{self, Object};
use base::{BootId, UnixMicros, WorkerId};
use std::time::Duration;

/// Where a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It gets tasks.
    Ready,
    /// An operator has drained it, or it wishes to leave: it gets no more tasks.
    Draining,
    /// Its lease was over: what it had was given to others.
    Lost,
    /// It has gone, as it wished.
    Left,
}

impl WorkerState {
    /// As an answer names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }
}

/// A plugin, as a worker brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginOf<'a> {
    /// The type of task that it runs.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The version of the contract that it was built for.
    pub abi: u32,
}

/// What only the leader knows of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerHeard {
    /// Whether it has a connection to the leader.
    pub connected: bool,
    /// Whether gossip doubts that it lives.
    pub suspected: bool,
    /// How busy its processors are: 0 to 1,000.
    pub cpu_permille: u32,
    /// What its processes hold. Unit: bytes.
    pub memory_bytes: u64,
    /// How long until its lease is over.
    pub lease_left: Option<Duration>,
}

/// A worker that the cluster knows.
#[derive(Clone, Debug)]
pub struct WorkerView<'a> {
    /// Which.
    pub worker: WorkerId,
    /// Its name, for people.
    pub name: &'a str,
    /// Where it is.
    pub state: WorkerState,
    /// Since when it belongs to the cluster, or does no more.
    pub since: UnixMicros,
    /// Whether an operator has drained it.
    pub drained: bool,
    /// Which run of it.
    pub boot: BootId,
    /// Where it shows health and metrics; empty: nowhere.
    pub address: &'a str,
    /// Where it stands; empty: not said.
    pub zone: &'a str,
    /// How many tasks it runs at once.
    pub capacity: u32,
    /// How many it has.
    pub running: u32,
    /// What it has, by name.
    pub plugins: &'a [PluginOf<'a>],
    /// What the leader knows besides, where the leader is asked.
    pub heard: Option<WorkerHeard>,
}

/// Tasks that wait for a worker with one plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingView<'a> {
    /// The plugin.
    pub plugin: &'a str,
    /// How many.
    pub count: u64,
    /// How long the first of them has waited.
    pub oldest: Duration,
}

/// All workers.
#[derive(Clone, Debug)]
pub struct WorkersView<'a> {
    /// By their ids.
    pub workers: &'a [WorkerView<'a>],
    /// What waits for one, where the leader is asked.
    pub waiting: Option<&'a [WaitingView<'a>]>,
}

impl WorkersView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.array("workers", |list| {
                for worker in self.workers {
                    list.object(|o| worker.write_fields(o));
                }
            });
            if let Some(waiting) = self.waiting {
                o.array("waiting", |list| {
                    for WaitingView { plugin, count, oldest } in waiting {
                        list.object(|o| {
                            o.text("plugin", plugin);
                            o.number("count", *count);
                            o.number("oldest_ms", millis(*oldest));
                        });
                    }
                });
            }
        });
    }
}

impl WorkerView<'_> {
    /// Writes the body of an answer about it alone.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| self.write_fields(o));
    }

    fn write_fields(&self, o: &mut Object<'_>) {
        o.display("worker", self.worker);
        o.text("name", self.name);
        o.text("state", self.state.as_str());
        o.time("since", Some(self.since));
        o.boolean("drained", self.drained);
        o.number("boot", self.boot.0);
        o.text("address", self.address);
        o.text("zone", self.zone);
        o.number("capacity", u64::from(self.capacity));
        o.number("running", u64::from(self.running));
        o.array("plugins", |list| {
            for plugin in self.plugins {
                list.object(|o| plugin.write_fields(o));
            }
        });
        if let Some(heard) = &self.heard {
            o.boolean("connected", heard.connected);
            o.boolean("suspected", heard.suspected);
            o.number("cpu_permille", u64::from(heard.cpu_permille));
            o.number("memory_bytes", heard.memory_bytes);
            match heard.lease_left {
                Some(left) => o.number("lease_left_ms", millis(left)),
                None => o.null("lease_left_ms"),
            }
        }
    }
}

impl PluginOf<'_> {
    fn write_fields(&self, o: &mut Object<'_>) {
        o.text("name", self.name);
        o.text("version", self.version);
        o.number("abi", u64::from(self.abi));
    }
}

/// A plugin that some worker has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginView<'a> {
    /// It, as it was brought last.
    pub plugin: PluginOf<'a>,
    /// How many workers that are there have it.
    pub workers: u64,
}

/// All plugins.
#[derive(Clone, Copy, Debug)]
pub struct PluginsView<'a> {
    /// By name.
    pub plugins: &'a [PluginView<'a>],
}

impl PluginsView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.array("plugins", |list| {
                for PluginView { plugin, workers } in self.plugins {
                    list.object(|o| {
                        plugin.write_fields(o);
                        o.number("workers", *workers);
                    });
                }
            });
        });
    }
}

/// A worker was drained, or gets tasks again.
#[derive(Clone, Copy, Debug)]
pub struct WorkerDrained {
    /// Which.
    pub worker: WorkerId,
    /// Whether it gets none.
    pub drained: bool,
}

impl WorkerDrained {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.display("worker", self.worker);
            o.boolean("drained", self.drained);
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
