//! The plugins of this node, and the worker that runs them.

use crate::process;
use crate::settings::Membership;
use anyhow::{Result, anyhow};
use base::{BootId, StoreId, WorkerId};
use crew::{Plugins, Worker, WorkerIdentity};
use engine::workers::WorkerConfig;
use host::{Host, Meters};
use runtime::{Task, sleep, spawn_local};
use std::rc::Rc;
use std::time::Duration;
use telemetry::Registry;

/// How often the plugins' figures are read.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the plugins of a node that runs tasks. To be called before the cores are started: processes
/// may run on the CPUs that this thread may use.
pub(crate) fn open(settings: &Membership) -> Result<Option<Host>> {
    let Some(folder) = settings.plugins.as_deref().filter(|_| settings.has_worker()) else {
        return Ok(None);
    };
    let opened = Host::open(host::Options::new(folder));
    let host =
        opened.map_err(|error| anyhow!("{error}: name a folder by --plugins, or say `off`"))?;
    Ok(Some(host))
}

/// How many tasks a node runs at once.
pub(crate) fn capacity(settings: &Membership, host: &Host) -> u32 {
    let most = host.capacity().min(engine::workers::CAPACITY_MAX);
    settings.worker_capacity.map_or(most, |wanted| wanted.min(most))
}

/// How many tasks a node runs at once, and of which plugins; none: it runs none.
pub(crate) fn tasks(settings: &Membership, host: Option<&Host>) -> Option<(u32, String)> {
    let host = host.filter(|host| capacity(settings, host) > 0)?;
    Some((capacity(settings, host), names(host)))
}

/// Their names, for people.
pub(crate) fn names(host: &Host) -> String {
    let names: Vec<&str> = host.plugins().iter().map(|plugin| plugin.name.as_str()).collect();
    names.join(", ")
}

/// What of the plugins no task will use.
fn unused(settings: &Membership, host: &Host) -> Vec<String> {
    let (threads, most) = (host.capacity(), engine::workers::CAPACITY_MAX);
    let mut texts = Vec::new();
    if settings.worker_capacity.is_none() && threads > most {
        texts.push(format!(
            "the plugins have {threads} threads: a worker runs {most} tasks at most"
        ));
    }
    for plugin in host.plugins().iter().filter(|plugin| !flow::is_plugin_name(&plugin.name)) {
        let name = &plugin.name;
        texts.push(format!(
            "the plugin `{name}` is never asked: a task's type `{name}` is a built-in one; rename it"
        ));
    }
    texts
}

/// Keeps the figures of this node's plugins, on one core, until dropped.
pub(crate) fn watch(host: &Host, registry: &Registry) -> Task<()> {
    let meters = Meters::new(registry, host);
    spawn_local(async move {
        loop {
            sleep(WATCH_INTERVAL).await;
            meters.read();
        }
    })
}

/// Who a worker is.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) store: StoreId,
    pub(crate) boot: BootId,
    pub(crate) cluster: u64,
    pub(crate) name: String,
    /// Where it shows health and metrics.
    pub(crate) address: String,
    pub(crate) seed: u64,
}

/// Puts a worker to work, on core 0.
pub(crate) fn employ(
    settings: &Membership,
    host: &Host,
    who: Who,
    log: Rc<process::Host>,
) -> Worker {
    for text in unused(settings, host) {
        crew::Host::notice(&*log, &text);
    }
    let program = format!("distric-shard {}", env!("CARGO_PKG_VERSION"));
    let config = WorkerConfig {
        worker: WorkerId::of(who.store),
        boot: who.boot,
        name: who.name,
        address: who.address,
        zone: settings.zone.clone(),
        capacity: capacity(settings, host),
        plugins: Plugins::known(host),
        seed: who.seed,
    };
    let identity = WorkerIdentity { store: who.store, cluster: who.cluster, program };
    Worker::start(config, identity, Box::new(Plugins::new(host.clone())), log)
}
