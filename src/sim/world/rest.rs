//! The end of all troubles: nothing new comes, nothing goes wrong, and everything under way ends within
//! a bounded time.

use super::{REST_MAX, World};
use crate::checker;
use crate::faults::DiskFaults;
use crate::network::Weather;
use crate::node::Node;
use engine::ShardCore;
use std::fmt::Write;
use std::time::Duration;

impl World {
    /// Nothing new comes, nothing goes wrong; everything under way ends.
    pub(super) fn rest(&mut self) -> Result<(), String> {
        for machine in &mut self.machines {
            machine.disk.capacity = None;
            machine.disk.read_errors = 0;
            machine.disk_slowness = 1;
            machine.slowness = 1;
            machine.clock.correct();
        }
        self.faults.disks = DiskFaults::default();
        let since = self.instant;
        self.network.heal();
        self.crew.calm();
        self.network.weather = Weather::FINE;
        self.start_all()?;
        let limit = self.instant + REST_MAX;
        while !self.is_at_rest() {
            if self.instant >= limit {
                return Err(format!(
                    "no rest after {} s of virtual time: {}",
                    REST_MAX.as_secs(),
                    self.unrest()
                ));
            }
            let until = self.instant + Duration::from_secs(1);
            self.pass(until, Self::operate)?;
        }
        self.report.to_rest = self.report.to_rest.max(self.instant.since(since));
        Ok(())
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let is_still = |node: &Node| {
            node.partitions().all(|part| part.running() == 0 && !part.has_orders())
                && node.shards().iter().all(ShardCore::is_drained)
        };
        let mut nodes = self.machines.iter().map(|machine| &machine.node);
        let is_still = |node: &Node| {
            is_still(node)
                && !node.is_stopping()
                && node.shards()[0].applied() == self.checker.last()
        };
        let waiting = self.clients.waiting() + self.readers.waiting();
        waiting == 0
            && self.operator.is_idle()
            && self.crew.is_at_rest()
            && nodes.all(|node| node.as_ref().is_some_and(is_still))
    }

    /// What still goes on.
    pub(super) fn unrest(&self) -> String {
        let (messages, reads) = (self.clients.waiting(), self.readers.waiting());
        let mut text = format!("{messages} requests and {reads} reads wait{}", self.crew.unrest());
        for machine in &self.machines {
            let Some(node) = &machine.node else {
                write!(text, "; {} is down", machine.name).expect("a string grows");
                continue;
            };
            write!(text, "; {}: {:?}", node.name(), node.status()).expect("a string grows");
            for (shard, core) in node.shards().iter().zip(0..) {
                let running: usize = shard.partitions().map(engine::Partition::running).sum();
                let (applied, waiting) = (shard.applied(), shard.unanswered());
                let orders = shard.partitions().filter(|part| part.has_orders()).count();
                write!(
                    text,
                    "; core {core}: applied {applied}, {waiting} wait, {running} instances run, \
                     {orders} partitions have orders"
                )
                .expect("a string grows");
            }
            if let Some(instance) = checker::first_running(node) {
                write!(text, "; {instance}").expect("a string grows");
            }
        }
        text
    }
}
