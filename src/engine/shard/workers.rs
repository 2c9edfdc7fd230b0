//! Workers, as the first core of the node that leads sees them.

use super::{ShardCore, ShardEffect};
use crate::workers::{FromWorker, ToWorker, WorkerLink};
use base::{CoreId, Now, Outbox, WorkerId};

impl ShardCore {
    /// A worker says something over a connection of its own. Told to core 0 alone.
    pub fn on_worker_message(
        &mut self,
        now: Now,
        link: WorkerLink,
        message: FromWorker,
        out: &mut Outbox<ShardEffect>,
    ) {
        assert_eq!(self.config.core, CoreId(0), "workers speak to the first core");
        let _ = now;
        if matches!(message, FromWorker::Register { .. }) {
            let why = "this release takes no workers yet".to_owned();
            let message = ToWorker::NotTaken { why, leader: None };
            out.push(ShardEffect::ToWorker { link, message });
        }
    }

    /// A worker's connection has ended: what was on its way may be lost. Told to core 0 alone.
    pub fn on_worker_link_down(
        &mut self,
        now: Now,
        link: WorkerLink,
        out: &mut Outbox<ShardEffect>,
    ) {
        let _ = (now, link, out);
    }

    /// Whether gossip doubts that a worker lives. It gets nothing new meanwhile. Told to core 0 alone.
    pub fn on_worker_suspected(
        &mut self,
        now: Now,
        worker: WorkerId,
        is_suspected: bool,
        out: &mut Outbox<ShardEffect>,
    ) {
        let _ = (now, worker, is_suspected, out);
    }
}
