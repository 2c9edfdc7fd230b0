//! Gossip, the door for workers, and this node's own part that runs tasks: what core 0 has beside the log.
//!
//! | node | gossip | door for workers | its own worker |
//! | --- | --- | --- | --- |
//! | a coordinator with `--gossip` | there | there, by TCP | when it has plugins and its role is `both` |
//! | one alone without it | none | for itself, when it has a worker | likewise |
//! | a worker | there | none | always |
//!
//! Invariants:
//! - a worker goes to whom gossip takes for the leader; where there is no gossip, to the node itself;
//! - what the gossip says of leadership is what the log's core says of itself;
//! - a worker that gossip doubts is doubted by its own name, also when a coordinator runs it.

use crate::process::Host;
use crate::settings;
use base::{Address, BootId, NodeId, Now, WorkerId};
use crew::{Desk, Door, Load, Worker};
use engine::cluster::Seen;
use engine::workers::{FromWorker, WorkerCore, WorkerLink};
use membership::{Gossip, KeyFileError, Member, MemberEvent, MemberId, Options, Roles, State};
use replica::Replica;
use runtime::{CoreFailure, TaskSet, sleep};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use swim::MemberData;
use telemetry::Registry;

/// Runs of a worker lie so far apart: one that is declared lost goes on as the next number.
const BOOT_STRIDE: u64 = 1 << 20;

/// Beyond what the worker's mind waits for, for a core that is busy.
const WORKER_STOP_GRACE: Duration = Duration::from_secs(3);

/// How often the machine's load is looked at, for the gossip: oftener than it is told.
const LOAD_EVERY: Duration = Duration::from_secs(2);

/// The run of a worker in the so-many-th start of its directory.
pub(crate) fn worker_boot(starts: u64) -> BootId {
    BootId(starts.saturating_mul(BOOT_STRIDE))
}

/// How a node takes part in the gossip.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) address: SocketAddr,
    pub(crate) member: MemberId,
    pub(crate) boot: BootId,
    pub(crate) cluster: Option<u64>,
    pub(crate) roles: Roles,
    pub(crate) name: String,
    pub(crate) http: SocketAddr,
    pub(crate) capacity: u32,
    /// The worker that it runs, where that is not the member itself.
    pub(crate) worker: Option<WorkerId>,
    pub(crate) random: [u64; 2],
}

/// Whether the file that is to have the gossip's keys has any.
pub(crate) fn check_keys(settings: &settings::Membership) -> Result<(), KeyFileError> {
    settings.gossip_keys.as_ref().map_or(Ok(()), |file| membership::check_keys(file))
}

/// Begins to gossip.
pub(crate) fn gossip(
    part: Part,
    settings: &settings::Membership,
    registry: &Registry,
    host: Rc<Host>,
) -> Result<Gossip, CoreFailure> {
    let data = MemberData {
        roles: part.roles,
        name: part.name,
        zone: settings.zone.clone(),
        http_address: part.http.to_string(),
        version_min: wire::VERSION,
        version_max: wire::VERSION,
        capacity: part.capacity,
        worker: part.worker,
        ..MemberData::default()
    };
    let options = Options {
        address: part.address,
        seeds: settings.join.clone(),
        group: settings.gossip_multicast,
        member: part.member,
        boot: part.boot,
        cluster: part.cluster,
        data,
        key_file: settings.gossip_keys.clone(),
        pace: settings.gossip_pace,
        random: part.random,
    };
    Ok(Gossip::start(options, registry, host)?)
}

/// Takes what workers say to the mind of core 0.
pub(crate) struct OfReplica {
    pub(crate) replica: Replica,
    pub(crate) host: Rc<Host>,
}

impl Desk for OfReplica {
    fn on_message(&self, link: WorkerLink, message: FromWorker) {
        self.replica.on_worker_message(link, message);
    }

    fn on_down(&self, link: WorkerLink) {
        self.replica.on_worker_link_down(link);
    }

    fn notice(&self, text: &str) {
        consensus::Host::notice(&*self.host, text);
    }
}

/// What takes part in a cluster besides the log.
#[derive(Clone)]
pub(crate) struct Members {
    inner: Rc<Inner>,
}

struct Inner {
    gossip: Option<Gossip>,
    door: Option<Door>,
    /// Whom this node's own worker asks where there is no gossip.
    own_door: Option<Address>,
    replica: Option<Replica>,
    worker: RefCell<Option<Worker>>,
    /// What the gossip was told last: the term in which this node leads, or 0.
    leader_term: Cell<u64>,
    tasks: TaskSet,
}

impl Members {
    /// Of a coordinator: its door, open at that address, and what it says to workers.
    pub(crate) fn of_coordinator(
        gossip: Option<Gossip>,
        door: Option<(Door, SocketAddr)>,
        replica: &Replica,
    ) -> Self {
        let own_door = door.as_ref().map(|(_, address)| Address::from(*address));
        let door = door.map(|(door, _)| door);
        if let Some(door) = door.clone() {
            let say = Box::new(move |link, message: &_| door.send(link, message));
            replica.link_workers(Some(say));
        }
        Self::new(Inner {
            gossip,
            door,
            own_door,
            replica: Some(replica.clone()),
            worker: RefCell::new(None),
            leader_term: Cell::new(0),
            tasks: TaskSet::new(),
        })
    }

    /// Of a node that only runs tasks.
    pub(crate) fn of_worker(gossip: Gossip) -> Self {
        Self::new(Inner {
            gossip: Some(gossip),
            door: None,
            own_door: None,
            replica: None,
            worker: RefCell::new(None),
            leader_term: Cell::new(0),
            tasks: TaskSet::new(),
        })
    }

    fn new(inner: Inner) -> Self {
        let members = Self { inner: Rc::new(inner) };
        if let Some(gossip) = &members.inner.gossip {
            let watching = Rc::downgrade(&members.inner);
            gossip.watch(move |event| {
                if let Some(inner) = watching.upgrade() {
                    Self { inner }.on_event(event);
                }
            });
            members.inner.tasks.spawn(tell_load(gossip.clone()));
        }
        members
    }

    /// This node runs tasks, too.
    pub(crate) fn employ(&self, worker: Worker) {
        *self.inner.worker.borrow_mut() = Some(worker);
        self.follow_the_leader();
    }

    /// Everybody whom the gossip knows, by their ids; none without gossip.
    pub(crate) fn everybody(&self) -> Option<Arc<[Seen]>> {
        let now = runtime::now();
        let members = self.inner.gossip.as_ref()?.members();
        Some(members.into_iter().map(|member| seen(now, member)).collect())
    }

    pub(crate) fn gossip(&self) -> Option<&Gossip> {
        self.inner.gossip.as_ref()
    }

    pub(crate) fn worker(&self) -> Option<Worker> {
        self.inner.worker.borrow().clone()
    }

    /// Whether this node leads, in which term, as its log says after each round.
    pub(crate) fn on_role(&self, leading: bool, term: u64) {
        let leads_in = if leading { term } else { 0 };
        if self.inner.leader_term.replace(leads_in) == leads_in {
            return;
        }
        if let Some(gossip) = &self.inner.gossip {
            let told = gossip.update(|data| data.leader_term = leads_in);
            told.expect("no text was changed");
        }
        self.follow_the_leader();
    }

    fn on_event(&self, event: &MemberEvent) {
        let member = &event.member;
        if let (Some(replica), Some(worker)) = (&self.inner.replica, worker_of(member)) {
            // Whatever happened: that a coordinator is back may be known before which worker it runs.
            match member.state {
                State::Suspected | State::Failed => replica.on_worker_suspected(worker, true),
                State::Alive => replica.on_worker_suspected(worker, false),
                State::Left => {}
            }
        }
        if member.data.roles.contains(Roles::COORDINATOR) {
            self.follow_the_leader();
        }
    }

    fn follow_the_leader(&self) {
        let Some(worker) = self.worker() else { return };
        let door = match &self.inner.gossip {
            Some(gossip) => gossip.leader().map(|leader| Address::from(leader.address)),
            // Nobody else could lead; before its log does, the door takes nobody.
            None => self.inner.own_door.clone().filter(|_| self.inner.leader_term.get() > 0),
        };
        worker.on_leader(door.as_ref());
    }

    /// What this node runs may end within that time; it takes nothing new. Tells what became of it.
    pub(crate) async fn stop_worker(&self, within: Duration) -> Parted {
        let Some(worker) = self.worker() else { return Parted::default() };
        let running = worker.look(WorkerCore::running);
        tracing::info!(
            running,
            "no more tasks are taken; those that run may end within {} s",
            within.as_secs()
        );
        worker.stop(within);
        let most = within + WORKER_STOP_GRACE;
        let in_time = runtime::timeout(most, worker.gone().wait()).await.is_ok();
        if !in_time || !worker.has_left() {
            tracing::warn!(
                "this worker goes without the leader's word: what it ran is given to others once \
                 its lease is over"
            );
        }
        let given_back = worker.look(WorkerCore::given_back);
        worker.close().await;
        self.inner.worker.borrow_mut().take();
        Parted { ended: running.saturating_sub(given_back), given_back }
    }

    /// Takes no workers any more: they turn to the next leader.
    pub(crate) async fn shut_door(&self) {
        if let Some(replica) = &self.inner.replica {
            replica.link_workers(None);
        }
        if let Some(door) = &self.inner.door {
            door.close().await;
        }
    }

    /// Says goodbye.
    pub(crate) async fn leave(&self) {
        self.inner.tasks.cancel_all().await;
        if let Some(worker) = self.worker() {
            worker.close().await;
        }
        if let Some(gossip) = &self.inner.gossip {
            gossip.leave().await;
        }
    }
}

/// What became of the tasks that ran when this node was told to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parted {
    /// They came to their end.
    pub(crate) ended: usize,
    /// They were stopped, and others run them.
    pub(crate) given_back: usize,
}

/// Keeps what this node says of its load true.
async fn tell_load(gossip: Gossip) {
    let mut before = Load::read().unwrap_or_default();
    loop {
        sleep(LOAD_EVERY).await;
        let now = Load::read().unwrap_or_default();
        let permille = u16::try_from(now.permille_since(before)).unwrap_or(1_000);
        gossip.update(|data| data.load_permille = permille).expect("no text was changed");
        before = now;
    }
}

/// The coordinator that a member is.
fn node_of(member: &Member) -> Option<NodeId> {
    u32::try_from(member.id.0).ok().map(|node| NodeId(u64::from(node)))
}

/// The worker that a member is, or says that it runs.
fn worker_of(member: &Member) -> Option<WorkerId> {
    match node_of(member) {
        Some(_) => member.data.worker,
        None => Some(WorkerId(member.id.0)),
    }
}

/// A member, as it is shown.
fn seen(now: Now, member: Member) -> Seen {
    let (node, worker) = (node_of(&member), worker_of(&member));
    let Member { address, state, since, data, .. } = member;
    Seen {
        node,
        worker,
        is_coordinator: data.roles.contains(Roles::COORDINATOR),
        is_worker: data.roles.contains(Roles::WORKER),
        name: data.name,
        state: state.as_str(),
        since: now.wall - now.instant.since(since),
        gossip: address,
        http: data.http_address,
        zone: data.zone,
        capacity: data.capacity,
        load_permille: data.load_permille,
        versions: (data.version_min, data.version_max),
    }
}
