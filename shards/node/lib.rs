//! Boots a node: settings, data directory, placement of roles on cores, wiring, signals.
//!
//! | step | what can go wrong, and is said |
//! | --- | --- |
//! | settings | unknown key, unusable value, with the place it came from |
//! | data directory | not writable, held by another node, of another node |
//! | port | in use, forbidden, not of this machine, reachable from outside without leave |
//! | cores | no such CPU (folded, with a notice), `io_uring` forbidden, memlock too low |
//! | journal | damaged, of another store |
//!
//! Every core reports ready, or the process exits with the reason.

mod call;
mod console;
mod core;
mod door;
mod examples;
mod founding;
mod health;
mod identity;
mod log;
mod members;
mod plugins;
mod process;
mod settings;
mod trace;
mod worker_node;

pub use settings::{Membership, Options, Role, Settings};

use anyhow::{Context, Result, bail};
use clap::Parser;
use console::{Console, Left, Ready, Stopped};
use engine::message::Packet;
use engine::record::Born;
use engine::{Birth, ShardConfig};
use identity::Identity;
use runtime::{
    DataDirectory, Mesh, Placement, Port, Shutdown, launch, probe_port, raise_open_files,
    stop_on_signals, use_small_pages,
};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use telemetry::Resource;
use trace::Traces;

/// Packets on their way between two cores at once.
const MESH_CAPACITY: usize = 16 * 1024;
/// A start or stop that takes longer than this beyond the stop timeout is cut off.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// `distric-shard`.
pub fn main() -> ExitCode {
    // A plugin's process is this program, too: before anything of a node begins.
    if let Some(code) = host::child_main(std::env::args_os()) {
        return code;
    }
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("distric-shard: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it; a cause that is told already is not told again.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

fn run(options: &Options) -> Result<()> {
    let settings = Settings::read(options, |name| std::env::var(name).ok())?;
    let logging = log::init(&log::Options {
        filter: &settings.log,
        format: settings.log_format,
        mode: settings.log_mode,
        file: settings.log_file.as_deref(),
    })?;
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    let console = Console::new(settings.log_format, settings.log_file.is_none());
    // Processes of plugins have it from here: each of their threads would clear a huge page of its own.
    use_small_pages().context("cannot turn huge pages off for this process")?;
    let ended = match settings.membership.role {
        Role::Worker => worker_node::serve(settings, console),
        Role::Both | Role::Coordinator => serve(settings, console),
    };
    logging.close();
    console.stopped(&ended?);
    Ok(())
}

fn serve(settings: Settings, console: Console) -> Result<Stopped> {
    let files = raise_open_files().context("cannot raise the limit of open files")?;
    check_addresses(&settings)?;
    worker_node::refuse_a_workers(&settings.data)?;
    members::check_keys(&settings.membership)?;
    let directory = Arc::new(DataDirectory::open(&settings.data)?);
    let ports = Ports::probe(&settings)?;
    let plugins = plugins::open(&settings.membership)?;
    let placement = match &settings.cores {
        Some(spec) => spec.place(),
        None => Placement::everywhere(),
    }
    .context("cannot read which CPUs this process may use")?;
    let shards = u16::try_from(placement.len()).context("too many cores")?;
    if shards > settings.partitions {
        bail!(
            "{shards} cores cannot share {} partitions: use fewer cores, or more partitions in a \
             new data directory",
            settings.partitions
        );
    }
    let identity = identity::claim(&directory, settings.node, settings.peer.is_some())?;
    let cluster = identity.foundation.as_ref().map(|foundation| foundation.cluster);
    let catalogue = if settings.examples { examples::catalogue()? } else { Vec::new() };
    let template = ShardConfig {
        node: identity.node,
        boot: identity.boot,
        store: identity.store,
        core: core::CONSENSUS,
        shards,
        cpus: placement.cores().map(|(_, cpu)| u32::try_from(cpu).unwrap_or(u32::MAX)).collect(),
        program_version: env!("CARGO_PKG_VERSION"),
        started_at: runtime::instant(),
        // A node that is yet to be founded is told before it can lead.
        birth: Birth { born: born(&settings, cluster.unwrap_or_default()), catalogue },
        workers: settings.membership.workers_config(),
    };
    let seed = identity::random()?;
    let traces = traces(&settings, &identity, template.program_version, seed);
    let shared = core::Shared {
        http: ports.http.address(),
        tcp: ports.tcp.as_ref().map(Port::address),
        peer: ports.peer.as_ref().map(Port::address),
        gossip: ports.gossip.as_ref().map(Port::address),
        plugins,
        identity,
        directory,
        board: health::Board::new(placement.len(), runtime::now().wall),
        shard: template,
        traces,
        seed,
        busy: Arc::new(AtomicUsize::new(placement.len())),
        unanswered: Arc::new(AtomicUsize::new(0)),
        settings,
    };
    let shutdown = Shutdown::new();
    let _signals = stop_on_signals(&shutdown).context("cannot wait for signals")?;
    let bodies: Vec<_> = Mesh::new::<Packet>(placement.len(), MESH_CAPACITY)
        .into_iter()
        .map(|end| {
            let shared = shared.clone();
            move |context| core::run(context, end, shared)
        })
        .collect();
    let running = launch(&placement, &shutdown, bodies)?;
    let tasks = plugins::tasks(&shared.settings.membership, shared.plugins.as_ref());
    console.ready(&Ready {
        version: shared.shard.program_version,
        http: shared.http,
        tcp: shared.tcp,
        peer: shared.peer,
        gossip: shared.gossip,
        data: &shared.settings.data,
        node: shared.shard.node.0,
        start: shared.identity.starts,
        placement: &placement,
        open_files: files,
        role: shared.settings.membership.role.as_str(),
        tasks: tasks.as_ref().map(|(capacity, names)| (*capacity, names.as_str())),
    });
    let _limit = limit_stop(&shutdown, shared.settings.stop_timeout + STOP_GRACE);
    running.join()?;
    let stopped = Stopped {
        reason: shutdown.reason().unwrap_or_default(),
        left: Left::Requests { unanswered: shared.unanswered.load(Ordering::Acquire) },
    };
    drop((ports, shared));
    console.stopping(&stopped);
    Ok(stopped)
}

fn traces(settings: &Settings, identity: &Identity, version: &str, seed: u64) -> Traces {
    let store = base::hash64(&identity.store.0.to_le_bytes());
    Traces::new(&trace::Options {
        endpoint: settings.trace_endpoint.as_deref(),
        resource: &Resource {
            service: "distric".to_owned(),
            instance: format!("{}-{store:016x}", identity.node),
            version: version.to_owned(),
        },
        seed,
    })
}

/// Held until every core has ended.
struct Ports {
    http: Port,
    tcp: Option<Port>,
    peer: Option<Port>,
    gossip: Option<Port>,
}

impl Ports {
    fn probe(settings: &Settings) -> Result<Self> {
        Ok(Self {
            http: probe_port(settings.http)?,
            tcp: settings.tcp.map(probe_port).transpose()?,
            peer: settings.peer.map(probe_port).transpose()?,
            gossip: settings.membership.gossip.map(probe_port).transpose()?,
        })
    }
}

fn check_addresses(settings: &Settings) -> Result<()> {
    let gossip = settings.membership.gossip;
    let addresses = [Some(settings.http), settings.tcp, settings.peer, gossip];
    let open = addresses.into_iter().flatten().find(|address| !address.ip().is_loopback());
    match open {
        Some(address) if !settings.allow_remote => bail!(
            "{address} can be reached from other machines, and there is no authentication yet: \
             bind a loopback address, or say --allow-remote when something in front of the node \
             keeps strangers out"
        ),
        _ => Ok(()),
    }
}

fn born(settings: &Settings, cluster_id: u64) -> Born {
    Born {
        cluster_id,
        partitions: settings.partitions,
        retention_bytes: settings.retention,
        keys_max: settings.keys_max,
        key_ttl_ms: u64::try_from(settings.key_ttl.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Ends the cores where they stand when the orderly stop takes too long.
fn limit_stop(shutdown: &Shutdown, most: Duration) -> std::thread::JoinHandle<()> {
    let shutdown = shutdown.clone();
    std::thread::spawn(move || {
        runtime::block_on(shutdown.requested());
        std::thread::sleep(most);
        shutdown.force("the orderly stop took too long");
    })
}
