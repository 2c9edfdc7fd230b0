//! A node that only runs tasks: no log, no state; gossip, a connection to the leader, plugins, and a door
//! for health and metrics. One core is enough for it: the work is done in the plugins' processes.
//!
//! Its data directory holds nothing but who it is:
//!
//! ```text
//! worker   {"format":1,"store":"9f3c00d2ab5517e0","cluster":"00000000000000c1","starts":3}
//! ```

#[cfg(test)]
mod tests;

use crate::console::{Console, Left, Stopped};
use crate::members::{self, Members, Part, Parted};
use crate::process::{self, EXIT_FATAL};
use crate::settings::Settings;
use crate::{identity, log, plugins};
use anyhow::{Context, Result, bail};
use api::{ApiError, Code, Request, Response, Route};
use base::{CoreId, StoreId, WorkerId};
use crew::Worker;
use engine::workers::WorkerCore;
use engine::{Submission, SubmitResults};
use host::Host;
use ingress::{Backend, Doors};
use membership::{MemberId, Roles};
use runtime::{
    CoreContext, CoreFailure, CoreSpec, DataDirectory, DirectoryError, Listener, LocalOneshot,
    LocalReceiver, Placement, Shutdown, launch, offload, probe_port, sleep, spawn_local,
    stop_on_signals,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use telemetry::{Health, Registry, Sampler, State};

const FILE: &str = "worker";
/// The file is a few numbers. Unit: bytes.
const FILE_BYTES_MAX: usize = 4 * 1024;
/// Workers of one machine that find a place by themselves.
const PLACES_MAX: u32 = 1_024;
/// How often a worker that has not found its cluster yet looks, and tells its health.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A stop that takes longer than this beyond the stop timeout is cut off.
const STOP_GRACE: Duration = Duration::from_secs(8);

/// Who a worker's directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    store: StoreId,
    /// None before it has found one.
    cluster: Option<u64>,
    starts: u64,
}

impl Identity {
    /// Reads it, or makes it, and counts this start.
    fn claim(directory: &DataDirectory) -> Result<Self> {
        let identity = match directory.read(FILE, FILE_BYTES_MAX)? {
            Some(bytes) => {
                let path = directory.path().display();
                let was = Self::parse(&bytes);
                let was = was.with_context(|| format!("the file {FILE} in {path} is damaged"))?;
                Self { starts: was.starts + 1, ..was }
            }
            None => Self { store: StoreId(identity::random()?), cluster: None, starts: 1 },
        };
        identity.keep(directory)?;
        Ok(identity)
    }

    fn keep(&self, directory: &DataDirectory) -> Result<()> {
        let text = json!({
            "format": 1,
            "store": format!("{:016x}", self.store.0),
            "cluster": self.cluster.map(|cluster| format!("{cluster:016x}")),
            "starts": self.starts,
        });
        directory.replace(FILE, text.to_string().as_bytes())?;
        Ok(())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes)?;
        let id = |key: &str| {
            let text = value[key].as_str().with_context(|| format!("it lacks `{key}`"))?;
            u64::from_str_radix(text, 16).with_context(|| format!("`{key}` is no number"))
        };
        match value["format"].as_u64() {
            Some(1) => {}
            format => bail!("it has format {format:?}, this program knows format 1"),
        }
        let cluster = if value["cluster"].is_null() { None } else { Some(id("cluster")?) };
        let starts = value["starts"].as_u64().context("it lacks `starts`")?;
        Ok(Self { store: StoreId(id("store")?), cluster, starts })
    }
}

/// The directory that was named; or the first of `./distric-worker-1`, … that nobody holds.
fn directory(settings: &Settings) -> Result<DataDirectory> {
    if settings.data_is_given {
        refuse_a_coordinators(&settings.data)?;
        return Ok(DataDirectory::open(&settings.data)?);
    }
    for number in 1..=PLACES_MAX {
        let path = PathBuf::from(format!("./distric-worker-{number}"));
        match DataDirectory::open(&path) {
            Ok(directory) => return Ok(directory),
            Err(DirectoryError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!(
        "{PLACES_MAX} workers have their directories here already: name another one by --data DIR"
    )
}

fn refuse_a_coordinators(path: &Path) -> Result<()> {
    if path.join("identity").exists() {
        bail!(
            "the data directory {} is a coordinator's: give the worker one of its own, or none",
            path.display()
        );
    }
    Ok(())
}

/// One core, another one for each worker of a machine where there are several.
fn placement(settings: &Settings) -> Result<Placement> {
    if let Some(spec) = &settings.cores {
        return Ok(spec.place()?);
    }
    let all = Placement::everywhere()?;
    let turn = usize::try_from(std::process::id()).unwrap_or(0) % all.len();
    let (_, cpu) = all.cores().nth(turn).context("this process may use no CPU")?;
    let spec: CoreSpec = cpu.to_string().parse()?;
    Ok(spec.place()?)
}

/// What the core is handed.
struct Shared {
    settings: Settings,
    http: SocketAddr,
    gossip: SocketAddr,
    identity: Identity,
    directory: DataDirectory,
    host: Host,
    random: [u64; 2],
    seed: u64,
    /// What became of its tasks, at the end.
    parted: Arc<Mutex<Parted>>,
}

impl Shared {
    fn name(&self) -> String {
        let given = self.settings.membership.worker_name.clone();
        given.unwrap_or_else(|| named_after(self.directory.path(), &machine()))
    }
}

/// What a worker is called that was given no name: its directory's, which other machines may have as
/// well, and the machine's.
fn named_after(directory: &Path, machine: &str) -> String {
    let last = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let last = last.unwrap_or_else(|| "worker".to_owned());
    let mut name = if machine.is_empty() { last } else { format!("{last}@{machine}") };
    name.retain(|letter| !letter.is_control());
    name.truncate(name.floor_char_boundary(base::limits::NAME_BYTES_MAX));
    name
}

/// This machine's name.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A directory that is a worker's has no log.
pub(crate) fn refuse_a_workers(path: &Path) -> Result<()> {
    if path.join(FILE).exists() {
        bail!(
            "the data directory {} is a worker's: start it with --role worker, or give the \
             coordinator one of its own by --data DIR",
            path.display()
        );
    }
    Ok(())
}

/// Runs until it is told to stop.
pub(crate) fn serve(settings: Settings, console: Console) -> Result<Stopped> {
    crate::check_addresses(&settings)?;
    members::check_keys(&settings.membership)?;
    let directory = directory(&settings)?;
    let ports = (
        probe_port(settings.http)?,
        probe_port(settings.membership.gossip.context("a worker has an address for gossip")?)?,
    );
    let host = plugins::open(&settings.membership)?.context("a worker has plugins")?;
    if plugins::capacity(&settings.membership, &host) == 0 {
        let why: Vec<String> = host
            .refused()
            .iter()
            .map(|plugin| format!("{}: {}", plugin.file.display(), plugin.why))
            .collect();
        let folder = settings.membership.plugins.as_deref().unwrap_or(Path::new("plugins"));
        let why = if why.is_empty() {
            format!("there is no NAME.so in {}", folder.display())
        } else {
            why.join("; ")
        };
        bail!("this worker has no plugin that it could run: {why}");
    }
    let identity = Identity::claim(&directory)?;
    let placement = placement(&settings).context("cannot read which CPUs this process may use")?;
    let stop_timeout = settings.stop_timeout;
    let (http, gossip) = (ports.0.address(), ports.1.address());
    let shared = Shared {
        settings,
        http,
        gossip,
        identity,
        directory,
        host,
        random: [identity::random()?, identity::random()?],
        seed: identity::random()?,
        parted: Arc::default(),
    };
    let parted = Arc::clone(&shared.parted);
    let plugins = plugins::names(&shared.host);
    let (name, data) = (shared.name(), shared.directory.path().display().to_string());
    let lines = Started {
        name: &name,
        worker: WorkerId::of(shared.identity.store),
        http,
        gossip,
        data: &data,
        capacity: plugins::capacity(&shared.settings.membership, &shared.host),
        plugins: &plugins,
    };
    let shutdown = Shutdown::new();
    let _signals = stop_on_signals(&shutdown).context("cannot wait for signals")?;
    console.worker_ready(&lines);
    let mut bodies = vec![move |context| run(context, shared)];
    // Only the first core is used; where several were named, the others are none of ours.
    let placement = if placement.len() == 1 { placement } else { first_of(&placement)? };
    let running = launch(&placement, &shutdown, std::mem::take(&mut bodies))?;
    let _limit = crate::limit_stop(&shutdown, stop_timeout + STOP_GRACE);
    running.join()?;
    drop(ports);
    let left = Left::Tasks(*parted.lock().unwrap_or_else(PoisonError::into_inner));
    let stopped = Stopped { reason: shutdown.reason().unwrap_or_default(), left };
    console.stopping(&stopped);
    Ok(stopped)
}

fn first_of(placement: &Placement) -> Result<Placement> {
    let (_, cpu) = placement.cores().next().context("no CPU was named")?;
    let spec: CoreSpec = cpu.to_string().parse()?;
    Ok(spec.place()?)
}

/// What a worker says when it starts.
#[derive(Debug)]
pub(crate) struct Started<'a> {
    pub(crate) name: &'a str,
    pub(crate) worker: WorkerId,
    pub(crate) http: SocketAddr,
    pub(crate) gossip: SocketAddr,
    pub(crate) data: &'a str,
    pub(crate) capacity: u32,
    pub(crate) plugins: &'a str,
}

async fn run(context: CoreContext, shared: Shared) -> Result<(), CoreFailure> {
    let core = CoreId(0);
    let registry = Registry::new();
    let _logging = log::on_core(core, &registry);
    let _watching = process::watch(core, context.cpu(), &registry);
    let _plugins = plugins::watch(&shared.host, &registry);
    let host = Rc::new(process::Host::new(core));
    let settings = &shared.settings.membership;
    let part = Part {
        address: shared.gossip,
        member: MemberId(WorkerId::of(shared.identity.store).0),
        boot: members::worker_boot(shared.identity.starts),
        cluster: shared.identity.cluster,
        roles: Roles::WORKER,
        name: shared.name(),
        http: shared.http,
        capacity: plugins::capacity(settings, &shared.host),
        worker: None,
        random: shared.random,
    };
    let members = Members::of_worker(members::gossip(part, settings, &registry, Rc::clone(&host))?);
    let desk = Desk::new(&members, &registry);
    let doors = Doors::new(desk.clone(), Sampler::off(), &registry);
    let listener = Listener::bind(shared.http)?;
    let (limits, stop) = (shared.settings.http_limits, context.stop().clone());
    let serving = spawn_local(async move { doors.serve_http(listener, limits, &stop).await });
    context.ready();
    let hiring = spawn_local(hire(shared_parts(&shared), members.clone(), host));
    let health = desk.clone();
    let looking = spawn_local(async move {
        loop {
            health.look();
            sleep(LOOK_EVERY).await;
        }
    });
    context.stop().wait().await;
    desk.say_stopping();
    hiring.cancel().await;
    let parted = members.stop_worker(shared.settings.stop_timeout).await;
    *shared.parted.lock().unwrap_or_else(PoisonError::into_inner) = parted;
    members.leave().await;
    shared.host.shutdown(Duration::ZERO).await;
    let _served = runtime::timeout(Duration::from_secs(1), serving).await;
    looking.cancel().await;
    Ok(())
}

/// What is needed to begin once the cluster is known.
struct Hiring {
    settings: Settings,
    host: Host,
    identity: Identity,
    directory: DataDirectory,
    name: String,
    address: String,
    seed: u64,
}

fn shared_parts(shared: &Shared) -> Hiring {
    Hiring {
        settings: shared.settings.clone(),
        host: shared.host.clone(),
        identity: shared.identity.clone(),
        directory: shared.directory.clone(),
        name: shared.name(),
        address: shared.http.to_string(),
        seed: shared.seed,
    }
}

/// Waits until the gossip knows the cluster, keeps it for good, and puts the worker to work.
async fn hire(hiring: Hiring, members: Members, log: Rc<process::Host>) {
    let Hiring { settings, host, identity, directory, name, address, seed } = hiring;
    let cluster = loop {
        if let Some(cluster) = members.gossip().and_then(membership::Gossip::cluster) {
            break cluster;
        }
        sleep(LOOK_EVERY).await;
    };
    if identity.cluster.is_none() {
        let known = Identity { cluster: Some(cluster), ..identity.clone() };
        let kept = match offload(move || known.keep(&directory)) {
            Ok(kept) => kept.await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = kept {
            tracing::error!(
                fatal = true,
                "which cluster this worker is of cannot be kept: {error:#}"
            );
            std::process::exit(EXIT_FATAL);
        }
        tracing::info!("this worker belongs to cluster {cluster:016x}");
    }
    let boot = members::worker_boot(identity.starts);
    let who = plugins::Who { store: identity.store, boot, cluster, name, address, seed };
    members.employ(plugins::employ(&settings.membership, &host, who, log));
}

/// Answers who asks for the worker's health and metrics.
#[derive(Clone)]
struct Desk {
    inner: Rc<Inside>,
}

struct Inside {
    members: Members,
    registry: Registry,
    health: RefCell<Health>,
}

impl Desk {
    fn new(members: &Members, registry: &Registry) -> Self {
        let health = Health::starting(&["leader", "stopping"], runtime::now().wall);
        let inside = Inside {
            members: members.clone(),
            registry: registry.clone(),
            health: RefCell::new(health),
        };
        inside.health.borrow_mut().set("stopping", State::Up, "", runtime::now().wall);
        Self { inner: Rc::new(inside) }
    }

    /// Whether the leader knows this worker.
    fn look(&self) {
        let worker = self.inner.members.worker();
        let is_known = worker.is_some_and(|worker: Worker| worker.look(WorkerCore::is_registered));
        let trouble = self.inner.members.gossip().and_then(membership::Gossip::trouble);
        let (state, why) = match &trouble {
            _ if is_known => (State::Up, ""),
            Some(trouble) => (State::Down, trouble.as_str()),
            None => (State::Down, "no leader has taken this worker yet, or its connection is gone"),
        };
        self.inner.health.borrow_mut().set("leader", state, why, runtime::now().wall);
    }

    fn say_stopping(&self) {
        let mut health = self.inner.health.borrow_mut();
        health.set("stopping", State::Down, "the worker is stopping", runtime::now().wall);
    }

    fn answer(&self, route: &Route) -> Response {
        match route {
            Route::Live => Response::json(200, Health::live_body().to_vec()),
            Route::Ready => {
                let mut body = Vec::new();
                let status = self.inner.health.borrow().ready(&mut body);
                Response::json(status, body)
            }
            Route::Metrics => {
                let mut text = Vec::new();
                telemetry::prometheus(&self.inner.registry.snapshot(), &mut text);
                Response::new(200, api::ContentType::Prometheus, text)
            }
            route => {
                let detail = format!("a worker does not answer {}", route.pattern());
                let error = ApiError::new(Code::NotSupported, detail);
                Response::from(error.with_hint("ask a coordinator of its cluster"))
            }
        }
    }
}

impl Backend for Desk {
    fn request(&self, route: &Route, _: &Request<'_>) -> LocalReceiver<Response> {
        let (sender, receiver) = LocalOneshot::new();
        sender.send(self.answer(route)).expect("its receiver is here");
        receiver
    }

    fn submit(&self, _: &Submission<'_>, done: Box<dyn FnOnce(SubmitResults)>) {
        let error = ApiError::new(Code::NotSupported, "a worker takes no messages");
        done(SubmitResults::Refused(error));
    }

    fn set_connections(&self, _: u64) {}
}
