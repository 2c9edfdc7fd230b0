//! One core of a node: its mailbox, its shard, its door for clients, and on core 0 the log.
//!
//! The loop is the whole of it: wait for a packet, a bell or a deadline; hand what came to the
//! minds; let them flush; send. Connections are tasks beside it. They run first, so that a round
//! gathers what all of them had.

use crate::door::Door;
use crate::founding;
use crate::health::{Board, Facts, LogFacts, Reporter};
use crate::identity;
use crate::members::{self, Members, Part};
use crate::plugins;
use crate::process;
use crate::settings::Settings;
use crate::trace::{self, Traces};
use api::{ApiError, Code};
use base::{CoreId, Instant, Prng, WorkerId};
use consensus::{Consensus, Links};
use engine::cluster::{Fulfilled, GroupView};
use engine::message::{Answer, ConsensusStatus, Packet, Question, ToConsensus, ToShard};
use engine::{Membership, ShardConfig, ShardCore};
use ingress::Doors;
use membership::{MemberId, Roles};
use replica::{Outgoing, Replica};
use rpc::Identity;
use runtime::{
    CoreContext, CoreFailure, DataDirectory, Listener, LocalEvent, LocalNotify, MeshEnd,
    MeshReceiver, sleep, sleep_until, spawn_local, yield_if_needed,
};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use telemetry::{Registry, Sampler};
use wire::Hello;

/// The core that keeps the log.
pub(crate) const CONSENSUS: CoreId = CoreId(0);

/// Why there is no log to ask.
const NOT_YET: &str = "this node belongs to no cluster yet, or is still reading its log";

/// Packets handled in one round: what comes meanwhile waits for the next.
const PACKETS_PER_ROUND: usize = 256;
/// How often a core that has nothing left looks whether the others have, when the node stops.
const DRAIN_POLL: Duration = Duration::from_millis(1);
/// How long a stop waits for a collector to take the last spans.
const TRACES_STOP_MAX: Duration = Duration::from_secs(1);
/// How long a full mesh is left alone.
const FULL_PAUSE: Duration = Duration::from_micros(50);

/// What every core of a node is handed.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) http: SocketAddr,
    /// None: the binary protocol is not served.
    pub(crate) tcp: Option<SocketAddr>,
    /// None: the node has no peers.
    pub(crate) peer: Option<SocketAddr>,
    /// None: the node takes neither gossip nor workers of other machines.
    pub(crate) gossip: Option<SocketAddr>,
    /// None: the node runs no tasks but built-in ones.
    pub(crate) plugins: Option<host::Host>,
    /// As it was at the start.
    pub(crate) identity: crate::identity::Identity,
    pub(crate) directory: Arc<DataDirectory>,
    pub(crate) board: Board,
    pub(crate) traces: Traces,
    pub(crate) shard: ShardConfig,
    pub(crate) seed: u64,
    /// Cores on which somebody still waits for an answer.
    pub(crate) busy: Arc<AtomicUsize>,
    /// Requests without an answer when the node ended.
    pub(crate) unanswered: Arc<AtomicUsize>,
}

/// Runs one core until the node stops.
pub(crate) async fn run(
    context: CoreContext,
    end: MeshEnd<Packet>,
    shared: Shared,
) -> Result<(), CoreFailure> {
    let core = context.core();
    let (sender, inbox) = end.split();
    let wake = Rc::new(LocalNotify::new());
    let outgoing = Outgoing::new(sender);
    let mind = ShardCore::new(ShardConfig { core, ..shared.shard.clone() });
    let registry = mind.metrics().registry().clone();
    let spans = shared.traces.buffer(core);
    let replica = Replica::new(
        mind,
        CONSENSUS,
        outgoing.clone(),
        Rc::clone(&wake),
        crate::call::caller(&registry),
        Box::new(process::Host::new(core)),
    );
    let replica = replica.with_spans(spans.clone());
    let _logging = crate::log::on_core(core, &registry);
    let tracing = trace::start(&shared.traces, core, &spans, &registry);
    let _watching = process::watch(core, context.cpu(), &registry);
    let own_plugins = shared.plugins.as_ref().filter(|_| core == CONSENSUS);
    let _plugins = own_plugins.map(|host| plugins::watch(host, &registry));
    let listener = Listener::bind(shared.http)?;
    let binary = shared.tcp.map(Listener::bind).transpose()?;

    let log = Rc::new(Log::default());
    let members = Rc::new(RefCell::new(None));
    let core_loop = Loop {
        replica: replica.clone(),
        log: Rc::clone(&log),
        members: Rc::clone(&members),
        outgoing: outgoing.clone(),
        wake: Rc::clone(&wake),
        reporter: Reporter::new(&shared.board, core),
        stop: context.stop().clone(),
    };
    let pumping = spawn_local(async move { core_loop.run(inbox).await });
    let door = Door::new(replica.clone(), shared.board.clone());
    let doors = Doors::new(door, sampler(&shared, core)?, &registry);
    let serving =
        spawn_local(serve(doors, listener, binary, shared.clone(), context.stop().clone()));
    if core == CONSENSUS {
        let links = founding::links(&shared, &wake)?;
        let opening = open_log(&shared, links.as_ref(), &replica, sink(&outgoing, &wake), &log);
        let opened = unless_stopped(&context, opening).await;
        if let Ok(Some((opened, cluster))) = opened {
            let taking_part = take_part(&shared, cluster, &replica, &registry)?;
            if let (Some(gossip), Some(links)) = (taking_part.gossip().cloned(), &links) {
                links.watch_gossip(move |addresses| gossip.ask_too(addresses));
            }
            *members.borrow_mut() = Some(taking_part);
            let host = Rc::new(process::Host::new(core));
            let sink = sink(&outgoing, &wake);
            let role = Consensus::start(opened, sink, Rc::clone(&wake), host, links);
            log.begin(&role);
            wake.notify();
        } else {
            if let Some(links) = links {
                links.close().await;
            }
            opened?;
        }
    }
    say_ready(&context, &replica).await;
    if core == CONSENSUS {
        say_differences(&shared, &replica);
    }
    context.stop().wait().await;
    // The loop tells who asks for the node's health.
    wake.notify();
    let taking_part = members.borrow().clone();
    if let Some(members) = &taking_part {
        members.stop_worker(shared.settings.stop_timeout / 2).await;
    }
    stop(&shared, &replica, &log, serving, taking_part).await;
    members.take();
    pumping.cancel().await;
    // What apply may have started since.
    replica.close().await;
    tracing.stop(runtime::instant() + TRACES_STOP_MAX).await;
    Ok(())
}

/// Serves this core's clients until the node stops and all of them have their answers.
async fn serve(
    doors: Doors<Door>,
    http: Listener,
    binary: Option<Listener>,
    shared: Shared,
    stop: LocalEvent,
) {
    let Shared { settings, shard, .. } = shared;
    let binary = binary.map(|listener| {
        let identity = Identity {
            node: shard.node.0,
            role: Hello::BOTH,
            features: 0,
            program: format!("distric-shard {}", shard.program_version).into(),
        };
        let (doors, stop) = (doors.clone(), stop.clone());
        spawn_local(async move {
            doors.serve_binary(listener, settings.tcp_limits, identity, &stop).await;
        })
    });
    doors.serve_http(http, settings.http_limits, &stop).await;
    if let Some(binary) = binary {
        binary.await;
    }
}

/// Which requests that come in on this core are traced.
fn sampler(shared: &Shared, core: CoreId) -> Result<Sampler, CoreFailure> {
    if shared.settings.trace_endpoint.is_none() {
        return Ok(Sampler::off());
    }
    let dice = Prng::new(shared.seed).fork("traces").fork(&core.to_string());
    Ok(Sampler::new(shared.settings.trace_ratio, dice)?)
}

/// Gossip, the door for workers, and this node's own worker.
fn take_part(
    shared: &Shared,
    cluster: u64,
    replica: &Replica,
    registry: &Registry,
) -> Result<Members, CoreFailure> {
    let (settings, own_identity) = (&shared.settings.membership, &shared.identity);
    let log = Rc::new(process::Host::new(CONSENSUS));
    let own = shared.plugins.as_ref().filter(|host| plugins::capacity(settings, host) > 0);
    let address = shared.gossip.or(own.map(|_| SocketAddr::from(([127, 0, 0, 1], 0))));
    let door = address.map(|address| open_door(shared, address, cluster, replica, &log));
    let random = [identity::random()?, identity::random()?];
    let part = shared.gossip.map(|address| Part {
        address,
        member: MemberId(own_identity.node.0),
        boot: own_identity.boot,
        cluster: Some(cluster),
        roles: if own.is_some() { Roles::BOTH } else { Roles::COORDINATOR },
        name: format!("node-{}", own_identity.node),
        http: shared.http,
        capacity: own.map_or(0, |host| plugins::capacity(settings, host)),
        worker: own.map(|_| WorkerId::of(own_identity.store)),
        random,
    });
    let gossip = part.map(|part| members::gossip(part, settings, registry, Rc::clone(&log)));
    let members = Members::of_coordinator(gossip.transpose()?, door.transpose()?, replica);
    if let Some(host) = own {
        let name = settings.worker_name.clone();
        let who = plugins::Who {
            store: own_identity.store,
            boot: members::worker_boot(own_identity.starts),
            cluster,
            name: name.unwrap_or_else(|| format!("node-{}", own_identity.node)),
            address: shared.http.to_string(),
            seed: shared.seed,
        };
        members.employ(plugins::employ(settings, host, who, log));
    }
    Ok(members)
}

fn open_door(
    shared: &Shared,
    address: SocketAddr,
    cluster: u64,
    replica: &Replica,
    log: &Rc<process::Host>,
) -> Result<(crew::Door, SocketAddr), CoreFailure> {
    let listener = Listener::bind(address)?;
    let address = listener.address();
    let own = crew::DoorIdentity {
        node: shared.identity.node,
        store: shared.identity.store,
        boot: shared.identity.boot,
        program: format!("distric-shard {}", shared.shard.program_version),
    };
    let desk = members::OfReplica { replica: replica.clone(), host: Rc::clone(log) };
    let door = crew::Door::new(own, Rc::new(desk));
    door.open(listener, cluster);
    Ok((door, address))
}

/// Joins the cluster, and reads the log.
async fn open_log(
    shared: &Shared,
    links: Option<&Links>,
    replica: &Replica,
    sink: consensus::Sink,
    log: &Log,
) -> Result<(consensus::Opened, u64), CoreFailure> {
    let foundation = founding::settle(shared, links).await?;
    let cluster = foundation.cluster;
    replica.on_founded(foundation.cluster);
    let founded = foundation.of(shared.identity.node, shared.identity.store);
    if let Some(links) = links {
        links.on_founded(foundation);
    }
    let options = open_options(shared, founded);
    let opened = consensus::open(&shared.settings.data, &options, &sink, &log.applied).await?;
    if links.is_none() && !opened.is_alone {
        return Err(crate::identity::without_peers(shared.identity.node).into());
    }
    Ok((opened, cluster))
}

/// Nothing when the node is told to stop meanwhile.
async fn unless_stopped<T>(
    context: &CoreContext,
    work: impl Future<Output = Result<T, CoreFailure>>,
) -> Result<Option<T>, CoreFailure> {
    let (mut work, mut stopping) = (pin!(work), pin!(context.stop().wait()));
    std::future::poll_fn(|task| {
        if let Poll::Ready(done) = work.as_mut().poll(task) {
            return Poll::Ready(done.map(Some));
        }
        stopping.as_mut().poll(task).map(|()| Ok(None))
    })
    .await
}

/// Says ready once the state is whole, unless the node is told to stop before.
async fn say_ready(context: &CoreContext, replica: &Replica) {
    let mut serving = pin!(replica.serving().wait());
    let mut stopping = pin!(context.stop().wait());
    let ready = std::future::poll_fn(|task| {
        if serving.as_mut().poll(task).is_ready() {
            return Poll::Ready(true);
        }
        stopping.as_mut().poll(task).map(|()| false)
    })
    .await;
    if ready {
        context.ready();
    }
}

/// What was fixed at the cluster's birth and is now set otherwise has no effect: say so.
fn say_differences(shared: &Shared, replica: &Replica) {
    let Some(born) = replica.look(|mind| mind.globals().born.clone()) else { return };
    let wanted = &shared.shard.birth.born;
    let rows = [
        ("partitions", u64::from(born.partitions), u64::from(wanted.partitions)),
        ("retention", born.retention_bytes, wanted.retention_bytes),
        ("keys_max", born.keys_max, wanted.keys_max),
        ("key_ttl (ms)", born.key_ttl_ms, wanted.key_ttl_ms),
    ];
    for (setting, born, wanted) in rows.into_iter().filter(|(_, born, wanted)| born != wanted) {
        tracing::warn!(
            setting,
            born,
            wanted,
            "the data directory was made with another value, which stays in force"
        );
    }
}

/// The orderly end: clients first, then the other cores, then workers and the log: as long as clients
/// are waited for, this node leads, and workers have nobody else to renew their leases.
async fn stop(
    shared: &Shared,
    replica: &Replica,
    log: &Rc<Log>,
    serving: runtime::Task<()>,
    members: Option<Members>,
) {
    let until = runtime::instant() + shared.settings.stop_timeout;
    replica.stop();
    let in_time = runtime::timeout(shared.settings.stop_timeout, serving).await.is_ok();
    while !replica.is_drained() && runtime::instant() < until {
        sleep(DRAIN_POLL).await;
    }
    if !in_time || !replica.is_drained() {
        shared.unanswered.fetch_add(replica.unanswered(), Ordering::Relaxed);
    }
    shared.busy.fetch_sub(1, Ordering::AcqRel);
    // The others may still need this core's partitions, and all of them the log.
    while shared.busy.load(Ordering::Acquire) > 0 && runtime::instant() < until {
        sleep(DRAIN_POLL).await;
    }
    let leaving = members.map(|members| {
        spawn_local(async move {
            members.shut_door().await;
            members.leave().await;
        })
    });
    if let Some(role) = log.role() {
        role.stop();
        while !role.is_drained() && runtime::instant() < until {
            sleep(DRAIN_POLL).await;
        }
        if let Some(leaving) = leaving {
            leaving.await;
        }
        role.close().await;
    }
}

fn open_options(shared: &Shared, founded: Membership) -> consensus::Options {
    consensus::Options {
        founded,
        address: founding::own_address(shared),
        node: shared.shard.node,
        store: shared.shard.store,
        boot: shared.shard.boot,
        shards: shared.shard.shards,
        seed: shared.seed,
        segment_bytes: shared.settings.segment,
        snapshot_journal_bytes: shared.settings.snapshot_journal,
    }
}

fn sink(outgoing: &Outgoing, wake: &Rc<LocalNotify>) -> consensus::Sink {
    let (outgoing, wake) = (outgoing.clone(), Rc::clone(wake));
    Box::new(move |to, packet| {
        outgoing.push(to, packet);
        wake.notify();
    })
}

/// The log's role on this core, once its journal is read.
#[derive(Default)]
struct Log {
    role: RefCell<Option<Consensus>>,
    /// What shards said of their timers before that.
    early: RefCell<Vec<(CoreId, ToConsensus)>>,
    /// How far shards are while the journal is read.
    applied: consensus::Progress,
}

impl Log {
    fn begin(&self, role: &Consensus) {
        for (from, message) in self.early.take() {
            role.on_packet(from, message);
        }
        *self.role.borrow_mut() = Some(role.clone());
    }

    fn role(&self) -> Option<Consensus> {
        self.role.borrow().clone()
    }

    fn on_packet(&self, from: CoreId, message: ToConsensus, outgoing: &Outgoing) {
        if let Some(role) = &*self.role.borrow() {
            role.on_packet(from, message);
            return;
        }
        match message {
            ToConsensus::Ask { ticket, question } => {
                let answer = match question {
                    Question::Metrics => Answer::Metrics(Box::default()),
                    _ => Answer::Consensus(ConsensusStatus::default()),
                };
                let message = ToShard::Answer { ticket, from: None, answer };
                outgoing.push(from, Packet::Shard(message));
            }
            ToConsensus::View { ticket } => {
                let progress = Err(NOT_YET.to_owned());
                let view = GroupView {
                    members: Membership::default(),
                    leader: None,
                    progress,
                    everybody: Err(NOT_YET.into()),
                };
                let answer = Answer::Group(Box::new(view));
                outgoing.push(from, Packet::Shard(ToShard::Answer { ticket, from: None, answer }));
            }
            ToConsensus::Demand { ticket, .. } => {
                let refused = ApiError::new(Code::Starting, NOT_YET).with_retry_after(1);
                let answer = Answer::Fulfilled(Box::new(Fulfilled::Refused(refused)));
                outgoing.push(from, Packet::Shard(ToShard::Answer { ticket, from: None, answer }));
            }
            ToConsensus::Applied { index } => {
                self.applied.on_applied(from, index);
                let message = ToConsensus::Applied { index };
                let mut early = self.early.borrow_mut();
                early.retain(|(core, kept)| {
                    *core != from || !matches!(kept, ToConsensus::Applied { .. })
                });
                early.push((from, message));
            }
            message => self.early.borrow_mut().push((from, message)),
        }
    }
}

/// What the loop of a core turns.
struct Loop {
    replica: Replica,
    log: Rc<Log>,
    /// On core 0, once the node belongs to its cluster.
    members: Rc<RefCell<Option<Members>>>,
    outgoing: Outgoing,
    wake: Rc<LocalNotify>,
    reporter: Reporter,
    stop: LocalEvent,
}

impl Loop {
    async fn run(&self, mut inbox: MeshReceiver<Packet>) {
        let Self { replica, log, outgoing, wake, .. } = self;
        let mut packets: Vec<(CoreId, Packet)> = Vec::new();
        let held_up = Cell::new(false);
        loop {
            let role = log.role();
            let deadline = earliest(replica.deadline(), role.as_ref().map(Consensus::deadline));
            wait(&mut inbox, &mut packets, wake, deadline, held_up.get()).await;
            inbox.drain(&mut packets, PACKETS_PER_ROUND);
            for (from, packet) in packets.drain(..) {
                match packet {
                    Packet::Shard(message) => replica.on_packet(from, message),
                    Packet::Consensus(message) => {
                        if matches!(message, ToConsensus::View { .. }) {
                            self.see_everybody();
                        }
                        log.on_packet(from, message, outgoing);
                    }
                }
            }
            let now = runtime::instant();
            if replica.deadline().is_some_and(|due| due <= now) {
                replica.on_deadline();
            }
            replica.flush();
            if let Some(role) = &role {
                if role.deadline() <= now {
                    role.on_deadline();
                }
                role.flush();
            }
            held_up.set(!outgoing.flush());
            self.report(role.as_ref());
            yield_if_needed().await;
        }
    }

    /// Somebody asks for the group, and with it for all whom the gossip knows: it is looked at then, and
    /// not with every change of a view that may have a thousand members.
    fn see_everybody(&self) {
        let members = self.members.borrow();
        let everybody = members.as_ref().and_then(Members::everybody);
        if let (Some(role), Some(everybody)) = (self.log.role(), everybody) {
            role.on_everybody(Ok(everybody));
        }
    }

    fn report(&self, role: Option<&Consensus>) {
        let log = role.map(|role| {
            let status = role.status();
            let members = self.members.borrow().clone();
            if let Some(members) = members {
                members.on_role(status.leading, status.term);
            }
            LogFacts {
                has_leader: status.leader != 0,
                has_space: status.has_space,
                is_disk_full: status.is_disk_full,
            }
        });
        // The first core, which keeps the log, speaks with the workers, too.
        let has_workers = log.and_then(|_| self.replica.look(ShardCore::has_workers));
        let (serving, stopping) = (self.replica.serving().is_set(), self.stop.is_set());
        let facts = Facts { serving, stopping, log, has_workers };
        self.reporter.report(facts, || runtime::now().wall);
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Until there is something to do.
async fn wait(
    inbox: &mut MeshReceiver<Packet>,
    packets: &mut Vec<(CoreId, Packet)>,
    wake: &LocalNotify,
    deadline: Option<Instant>,
    held_up: bool,
) {
    let pause = held_up.then(|| runtime::instant() + FULL_PAUSE);
    let deadline = earliest(deadline, pause);
    let mut due = pin!(async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    });
    std::future::poll_fn(|task| {
        let mut woken = wake.poll_notified(task).is_ready();
        if let Poll::Ready(Some(packet)) = inbox.poll_recv(task) {
            packets.push(packet);
            woken = true;
        }
        if woken || due.as_mut().poll(task).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}
