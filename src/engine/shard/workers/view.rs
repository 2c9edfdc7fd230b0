//! What clients are told of workers and plugins, and what operators wish of workers.

use crate::batch::GLOBAL;
use crate::globals::{Globals, Presence, Worker};
use crate::message::WorkersPart;
use crate::record::{RecordType, WorkerDrained, WorkerPlugin};
use crate::shard::queries::reply;
use crate::shard::session::Waiter;
use crate::shard::{RequestId, ShardCore, ShardEffect};
use api::{
    ApiError, PluginOf, PluginView, PluginsView, Response, WaitingView, WorkerHeard, WorkerState,
    WorkerView, WorkersView,
};
use base::{BootId, Outbox, WorkerId};
use std::collections::BTreeMap;

impl ShardCore {
    /// What this core knows of workers that not every core knows.
    pub(in crate::shard) fn workers_part(&self) -> WorkersPart {
        let mut has: BTreeMap<(WorkerId, BootId), u32> = BTreeMap::new();
        for partition in self.partitions.iter().flatten() {
            for (_, worker, boot) in partition.assigned() {
                *has.entry((worker, boot)).or_default() += 1;
            }
        }
        let desk = self.workers.desk().filter(|_| self.role.in_office);
        let heard = desk.map(|desk| {
            let of = |(id, peer): (WorkerId, &crate::dispatch::Peer)| {
                let heard = WorkerHeard {
                    connected: peer.link.is_some(),
                    suspected: desk.dispatcher.is_suspected(id),
                    cpu_permille: peer.load.cpu_permille,
                    memory_bytes: peer.load.memory_bytes,
                    lease_left: peer.lease_left(desk.now),
                };
                (id, (heard, peer.leaving))
            };
            desk.dispatcher.peers().map(of).collect()
        });
        let waiting = desk.map(|desk| desk.dispatcher.waiting_for(desk.now));
        WorkersPart { has, heard, waiting }
    }

    /// All workers, or one.
    pub(in crate::shard) fn workers_told(
        &self,
        only: Option<WorkerId>,
        parts: &[WorkersPart],
    ) -> Response {
        let known = &self.globals.workers;
        if let Some(worker) = only
            && known.find(worker).is_none()
        {
            return ApiError::unknown_id("worker", worker).to_response();
        }
        let wanted = known.iter().filter(|(id, _)| only.is_none_or(|only| only == *id));
        let wanted: Vec<(WorkerId, &Worker)> = wanted.collect();
        let plugins: Vec<Vec<PluginOf<'_>>> =
            wanted.iter().map(|(_, worker)| worker.plugins.iter().map(plugin).collect()).collect();
        let views: Vec<WorkerView<'_>> = (wanted.iter().zip(&plugins))
            .map(|((id, worker), plugins)| view(*id, worker, plugins, parts))
            .collect();
        let mut body = Vec::new();
        if let (Some(_), [one]) = (only, &views[..]) {
            one.write(&mut body);
            return Response::json(200, body);
        }
        let waiting = parts.iter().find_map(|part| part.waiting.as_ref());
        let waiting: Option<Vec<WaitingView<'_>>> = waiting.map(|waiting| {
            let told = waiting.iter().map(|(plugin, count, oldest)| WaitingView {
                plugin,
                count: *count as u64,
                oldest: *oldest,
            });
            told.collect()
        });
        WorkersView { workers: &views, waiting: waiting.as_deref() }.write(&mut body);
        Response::json(200, body)
    }

    /// An operator wishes that a worker gets no more tasks, or gets them again.
    pub(in crate::shard) fn drain_worker(
        &mut self,
        id: RequestId,
        worker: WorkerId,
        on: bool,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(0)?;
        // Whether there is such a worker is decided in the log: this node may lag.
        let record = WorkerDrained { worker, on };
        let write = |body: &mut Vec<u8>| record.write(body);
        let waiter = Waiter::Worker(id, worker, on);
        self.push_one(RecordType::WorkerDrained, GLOBAL, waiter, write, out);
        Ok(())
    }

    /// The wish is in the state.
    pub(in crate::shard) fn worker_drained(
        request: RequestId,
        (worker, drained): (WorkerId, bool),
        is_known: bool,
        out: &mut Outbox<ShardEffect>,
    ) {
        let response = if is_known {
            let mut body = Vec::new();
            api::WorkerDrained { worker, drained }.write(&mut body);
            Response::json(200, body)
        } else {
            ApiError::unknown_id("worker", worker).to_response()
        };
        reply(request, response, out);
    }
}

fn plugin(plugin: &WorkerPlugin) -> PluginOf<'_> {
    PluginOf { name: &plugin.name, version: &plugin.version, abi: plugin.abi }
}

fn view<'a>(
    id: WorkerId,
    worker: &'a Worker,
    plugins: &'a [PluginOf<'a>],
    parts: &[WorkersPart],
) -> WorkerView<'a> {
    let has = parts.iter().filter_map(|part| part.has.get(&(id, worker.boot)));
    let is_here = worker.presence == Presence::Here;
    let heard = parts.iter().find_map(|part| part.heard.as_ref()?.get(&id)).filter(|_| is_here);
    let leaving = heard.is_some_and(|(_, leaving)| *leaving);
    let state = match worker.presence {
        Presence::Here if worker.drained || leaving => WorkerState::Draining,
        Presence::Here => WorkerState::Ready,
        Presence::Lost => WorkerState::Lost,
        Presence::Left => WorkerState::Left,
    };
    WorkerView {
        worker: id,
        name: &worker.name,
        state,
        since: worker.since,
        drained: worker.drained,
        boot: worker.boot,
        address: &worker.address,
        zone: &worker.zone,
        capacity: worker.capacity,
        running: has.sum(),
        plugins,
        heard: heard.map(|(heard, _)| *heard),
    }
}

/// The plugins that workers have brought.
pub(in crate::shard) fn plugins(globals: &Globals) -> Response {
    let has = |worker: &Worker, name: &str| {
        worker.presence == Presence::Here && worker.plugins.iter().any(|has| has.name == name)
    };
    let views: Vec<PluginView<'_>> = (globals.workers.plugins().values())
        .map(|known| PluginView {
            plugin: plugin(known),
            workers: globals.workers.iter().filter(|(_, w)| has(w, &known.name)).count() as u64,
        })
        .collect();
    let mut body = Vec::new();
    PluginsView { plugins: &views }.write(&mut body);
    Response::json(200, body)
}
