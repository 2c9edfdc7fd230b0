//! The gossip role: pumps [`swim::Membership`] over UDP on one core. It decides nothing.
//!
//! | what others do | how |
//! | --- | --- |
//! | take part | [`Gossip::start`], and [`Gossip::leave`] before the process ends |
//! | see who is there | [`Gossip::members`], [`Gossip::member`], [`Gossip::leader`] |
//! | hear of changes | [`Gossip::watch`] |
//! | say something of this node | [`Gossip::update`]: its leadership as soon as it changes, its load every few seconds |
//! | tell the cluster once it is founded | [`Gossip::set_cluster`] |
//! | tell where others take gossip, from another source than `--join` | [`Gossip::ask_too`] |
//! | see what keeps this node from taking part | [`Gossip::trouble`] |
//!
//! All of it belongs to one core; what other cores want to know goes over the mesh.
//!
//! Invariants:
//! - a datagram that cannot be sent now is lost, and counted: gossip says everything more than once;
//! - a key file that cannot be read, or is none, changes nothing: the keys stay, and a notice says why;
//! - watchers are called after the view has changed, one event after the other.

mod group;
mod keys;
mod metrics;

use base::{Address, BootId, Now, Outbox, Prng};
use keys::KeyFile;
use metrics::Metrics;
use runtime::{
    DATAGRAM_BYTES_MAX, LocalEvent, LocalNotify, PortError, TaskSet, Udp, UdpError, UdpMetrics,
    UdpOptions, resolve, sleep, timeout,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use swim::{
    Config, DataError, Effect, Lookout, MemberData, Membership, NAMED_MAX, Sight, StartError, Word,
};
use telemetry::Registry;

pub use group::GroupError;
pub use keys::{KeyFileError, check_keys};
pub use swim::{Happened, KeyRing, Member, MemberEvent, MemberId, Pace, Roles, State};

const _: () = assert!(swim::DATAGRAM_BYTES_MAX <= DATAGRAM_BYTES_MAX);

/// How often seeds' names are looked up again, and the key file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often is seen whether others are there.
const LOOK_OUT_EVERY: Duration = Duration::from_secs(1);

/// How long a goodbye may take: three rounds of gossip take a good half of a second.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// Before receiving is tried again after the machine had run out of something.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// How a node takes part.
#[derive(Debug)]
pub struct Options {
    /// Where it takes gossip: an address that others can send to, so neither `0.0.0.0` nor `::`.
    /// Port 0 chooses a free one.
    pub address: SocketAddr,
    /// Where others take gossip: names are looked up, again and again.
    pub seeds: Vec<Address>,
    /// A multicast group and a port, by which nodes find each other that are not named to each other.
    pub group: Option<SocketAddr>,
    /// Which member it is: a coordinator's node id, a worker's worker id.
    pub member: MemberId,
    /// This run of its process, greater than all earlier ones.
    pub boot: BootId,
    /// The cluster, where it is known. A node that has none takes that of its seeds.
    pub cluster: Option<u64>,
    /// What it says of itself, to begin with.
    pub data: MemberData,
    /// The keys by which datagrams are sealed; none: they are sent in clear text.
    pub key_file: Option<PathBuf>,
    /// How fast: the same on all nodes.
    pub pace: Pace,
    /// Drawn from the system's generator, for this run.
    pub random: [u64; 2],
}

/// What the role says beside its work.
pub trait Host {
    /// Something that is as it should be.
    fn note(&self, text: &str);
    /// Something an operator should see.
    fn notice(&self, text: &str);
}

/// Why a node cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    /// The address cannot be used.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The configuration cannot work.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The group cannot be used.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
}

/// Called with every change of the view.
type Watcher = Rc<dyn Fn(&MemberEvent)>;

/// Where a datagram comes in.
#[derive(Clone, Copy, Debug)]
enum Door {
    Own,
    Group,
}

/// What is done with one.
type Hear = fn(&mut Membership, Now, SocketAddr, &[u8], &mut Outbox<Effect>);

/// A node's part in the gossip of its cluster. Clones are the same part.
#[derive(Clone)]
pub struct Gossip {
    inner: Rc<Inner>,
}

struct Inner {
    core: RefCell<Membership>,
    out: RefCell<Outbox<Effect>>,
    data: RefCell<MemberData>,
    udp: Udp,
    /// What is sent to the group comes here.
    group: Option<Udp>,
    member: MemberId,
    seeds: Vec<Address>,
    /// Where those were when they were last looked up.
    found: RefCell<Vec<SocketAddr>>,
    /// Where others are said to take gossip.
    told: RefCell<Vec<SocketAddr>>,
    lookout: RefCell<Lookout>,
    keys: Option<KeyFile>,
    metrics: Metrics,
    host: Rc<dyn Host>,
    watchers: RefCell<Vec<Watcher>>,
    /// Events that watchers have not been told yet: one may change something while it is told.
    events: RefCell<VecDeque<MemberEvent>>,
    is_telling: Cell<bool>,
    /// The deadline has changed.
    wake: LocalNotify,
    has_left: LocalEvent,
    tasks: TaskSet,
}

impl std::fmt::Debug for Gossip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gossip").field("core", &self.inner.core.borrow()).finish_non_exhaustive()
    }
}

impl Gossip {
    /// Opens the address and begins. Seeds that cannot be looked up are looked up again; that nobody
    /// is there yet is no error.
    ///
    /// # Errors
    /// The address cannot be used, the configuration cannot work, or the key file cannot be read.
    pub fn start(
        options: Options,
        registry: &Registry,
        host: Rc<dyn Host>,
    ) -> Result<Self, GossipError> {
        let keys = options.key_file.map(KeyFile::open).transpose()?;
        let udp = Udp::bind(options.address, &UdpOptions::default(), UdpMetrics::new(registry))?;
        let group = options.group.map(|group| group::join(group, &udp, registry)).transpose()?;
        let config = Config {
            group: options.group,
            pace: options.pace,
            ..Config::new(options.cluster, options.member, options.boot, udp.address())
        };
        let [seed, salt] = options.random;
        let ring = keys.as_ref().map(KeyFile::ring);
        let core = Membership::new(config, options.data.clone(), ring, salt, Prng::new(seed))?;
        let inner = Rc::new(Inner {
            core: RefCell::new(core),
            out: RefCell::new(Outbox::new()),
            data: RefCell::new(options.data),
            udp,
            group,
            member: options.member,
            seeds: options.seeds,
            found: RefCell::new(Vec::new()),
            told: RefCell::new(Vec::new()),
            lookout: RefCell::new(Lookout::new()),
            keys,
            metrics: Metrics::new(registry),
            host,
            watchers: RefCell::new(Vec::new()),
            events: RefCell::new(VecDeque::new()),
            is_telling: Cell::new(false),
            wake: LocalNotify::new(),
            has_left: LocalEvent::new(),
            tasks: TaskSet::new(),
        });
        let gossip = Self { inner };
        gossip.begin();
        Ok(gossip)
    }

    /// The tasks that belong to this role. Each holds the inside of it, and ends with
    /// [`Gossip::leave`].
    fn begin(&self) {
        let inner = &self.inner;
        if let Some(keys) = &inner.keys {
            inner.host.note(&format!("gossip is sealed with {}", keys.describe()));
            inner.metrics.sealed_with(keys.sealing());
            if let Some(mode) = keys.exposed() {
                inner.host.notice(&format!(
                    "gossip_keys: every user of this machine can reach {0} (its mode is {mode:03o}): chmod 600 {0}",
                    keys.path().display()
                ));
            }
        }
        let role = self.clone();
        inner.tasks.spawn(async move {
            role.look_up_seeds().await;
            role.with(Membership::on_start);
            role.keep_deadlines().await;
        });
        for door in std::iter::once(Door::Own).chain(inner.group.as_ref().map(|_| Door::Group)) {
            let role = self.clone();
            inner.tasks.spawn(async move { role.receive(door).await });
        }
        let role = self.clone();
        inner.tasks.spawn(async move { role.look_around().await });
        let role = self.clone();
        inner.tasks.spawn(async move { role.look_out().await });
    }

    /// Where this node takes gossip; the port is the one that was chosen if none was given.
    pub fn address(&self) -> SocketAddr {
        self.inner.udp.address()
    }

    /// The cluster, if it is known.
    pub fn cluster(&self) -> Option<u64> {
        self.inner.core.borrow().cluster()
    }

    /// The cluster is known now: it was founded, or this node belongs to it.
    pub fn set_cluster(&self, cluster: u64) {
        self.inner.core.borrow_mut().set_cluster(cluster);
    }

    /// Where others take gossip, as somebody else than an operator says: they are asked like seeds.
    /// Those that were told before are asked no more.
    pub fn ask_too(&self, addresses: Vec<SocketAddr>) {
        *self.inner.told.borrow_mut() = addresses;
        self.set_seeds();
    }

    /// What keeps this node from finding others, or a leader, once that has lasted.
    pub fn trouble(&self) -> Option<String> {
        self.inner.lookout.borrow().trouble().map(str::to_owned)
    }

    /// Everybody who is known, this node among them, by their ids.
    pub fn members(&self) -> Vec<Member> {
        self.inner.core.borrow().members().collect()
    }

    /// One member, other than this node.
    pub fn member(&self, id: MemberId) -> Option<Member> {
        self.inner.core.borrow().member(id)
    }

    /// The coordinator that says that it leads, in the highest term that anybody says so: a guess,
    /// as good as gossip is quick. Who is asked and does not lead knows better.
    pub fn leader(&self) -> Option<Member> {
        let core = self.inner.core.borrow();
        let leading = core.members().filter(|member| {
            let is_coordinator = member.data.roles.contains(Roles::COORDINATOR);
            is_coordinator && member.state.is_active() && member.data.leader_term > 0
        });
        leading.max_by_key(|member| member.data.leader_term)
    }

    /// Calls `watcher` with every change of the view from now on, on this core. What is there
    /// already is not told: see [`Gossip::members`].
    pub fn watch(&self, watcher: impl Fn(&MemberEvent) + 'static) {
        self.inner.watchers.borrow_mut().push(Rc::new(watcher));
    }

    /// Changes what this node says of itself. The load alone is told to others when it has changed
    /// by a fifth, every five seconds at most; everything else at once.
    ///
    /// # Errors
    /// A text is too long; nothing has changed.
    pub fn update(&self, change: impl FnOnce(&mut MemberData)) -> Result<(), DataError> {
        let mut data = self.inner.data.borrow().clone();
        change(&mut data);
        let mut told = Ok(());
        self.with(|core, now, out| told = core.set_data(now, data.clone(), out));
        if told.is_ok() {
            *self.inner.data.borrow_mut() = data;
        }
        told
    }

    /// Says goodbye, so that nobody takes this node for failed, and ends the role.
    pub async fn leave(&self) {
        self.with(Membership::leave);
        if timeout(GOODBYE_WITHIN, self.inner.has_left.wait()).await.is_err() {
            self.inner.host.notice("gossip could not say goodbye in time");
        }
        self.inner.tasks.cancel_all().await;
    }

    async fn receive(&self, door: Door) {
        let (socket, hear): (&Udp, Hear) = match (door, &self.inner.group) {
            (Door::Group, Some(group)) => (group, Membership::on_group_datagram),
            _ => (&self.inner.udp, Membership::on_datagram),
        };
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            match socket.receive_from(&mut buffer).await {
                Ok((bytes, from)) => {
                    self.with(|core, now, out| hear(core, now, from, &buffer[..bytes], out));
                }
                Err(error) => {
                    self.inner.host.notice(&format!("gossip: {error}"));
                    sleep(RECEIVE_PAUSE).await;
                }
            }
        }
    }

    async fn keep_deadlines(&self) {
        loop {
            let deadline = self.inner.core.borrow().deadline();
            let now = runtime::now();
            match deadline {
                Some(deadline) if deadline <= now.instant => self.with(Membership::on_deadline),
                Some(deadline) => {
                    // Woken, or it is time: the loop looks which.
                    let _ = timeout(deadline.since(now.instant), self.inner.wake.notified()).await;
                }
                None => self.inner.wake.notified().await,
            }
        }
    }

    /// What may change around a node: where the seeds' names lead, and its keys.
    async fn look_around(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            let has_names = |seed: &Address| seed.socket_address().is_none();
            if self.inner.seeds.iter().any(has_names) {
                self.look_up_seeds().await;
            }
            let Some(keys) = &self.inner.keys else { continue };
            match keys.look().await {
                Ok(None) => {}
                Ok(Some(ring)) => {
                    self.inner.host.note(&format!("gossip is now sealed with {}", keys.describe()));
                    self.inner.metrics.sealed_with(keys.sealing());
                    self.inner.core.borrow_mut().set_keys(Some(ring));
                }
                Err(error) => {
                    self.inner.host.notice(&format!("{error}; the keys stay as they were"));
                }
            }
        }
    }

    async fn look_up_seeds(&self) {
        let mut seeds = Vec::new();
        for seed in &self.inner.seeds {
            match resolve(seed).await {
                Ok(addresses) => seeds.extend_from_slice(&addresses),
                Err(error) => self.inner.host.notice(&format!("gossip: {error}")),
            }
        }
        // What cannot be looked up now may still be where it was.
        if !seeds.is_empty() {
            *self.inner.found.borrow_mut() = seeds;
            self.set_seeds();
        }
    }

    fn set_seeds(&self) {
        let mut seeds = self.inner.found.borrow().clone();
        seeds.extend_from_slice(&self.inner.told.borrow());
        self.with(|core, now, out| core.on_seeds(now, seeds, out));
    }

    /// Sees whether others are there, and says so when they are not.
    async fn look_out(&self) {
        loop {
            sleep(LOOK_OUT_EVERY).await;
            for word in self.look() {
                match word {
                    Word::Note(text) => self.inner.host.note(&text),
                    Word::Notice(text) => self.inner.host.notice(&text),
                }
            }
        }
    }

    fn look(&self) -> Vec<Word> {
        let inner = &self.inner;
        let own = self.address();
        let told: Vec<Address> = inner.told.borrow().iter().copied().map(Address::from).collect();
        let asked = inner.seeds.iter().chain(&told).filter(|one| **one != Address::from(own));
        let mut asked: Vec<String> = asked.map(ToString::to_string).collect();
        if let Some(group) = inner.group.as_ref() {
            asked.push(format!("the group {}", group.address()));
        }
        let runs_tasks = inner.data.borrow().roles.contains(Roles::WORKER);
        let has_leader = self.leader().is_some();
        let core = inner.core.borrow();
        let others = core.members().filter(|one| one.id != inner.member && one.state.is_active());
        let named: Vec<String> = others.take(NAMED_MAX).map(|one| describe(&one)).collect();
        let from = core.dropped_from();
        let dropped = core.counts().dropped.iter();
        let dropped = dropped.filter_map(|(why, count)| Some((*why, (*count, *from.get(why)?))));
        let sight = Sight {
            asked: &asked,
            others: core.active() - 1,
            named: &named,
            has_leader,
            runs_tasks,
            dropped: &dropped.collect(),
            key: inner.keys.as_ref().map(KeyFile::sealing),
            cluster: core.cluster(),
        };
        inner.lookout.borrow_mut().on_look(runtime::instant(), &sight)
    }

    fn with(&self, call: impl FnOnce(&mut Membership, Now, &mut Outbox<Effect>)) {
        let inner = &self.inner;
        let effects = {
            let mut core = inner.core.borrow_mut();
            let before = core.deadline();
            call(&mut core, runtime::now(), &mut inner.out.borrow_mut());
            if core.deadline() != before {
                inner.wake.notify();
            }
            inner.metrics.follow(core.counts(), core.slowness());
            inner.out.borrow_mut().take()
        };
        for effect in effects {
            self.carry_out(effect);
        }
        self.tell_watchers();
    }

    fn carry_out(&self, effect: Effect) {
        let inner = &self.inner;
        match effect {
            Effect::Send { to, datagram } => {
                // One that is not sent is counted by the socket, and the next one says it again.
                let sent = inner.udp.try_send_to(&datagram, to);
                assert!(!matches!(sent, Err(UdpError::TooLarge { .. })), "{sent:?}");
            }
            Effect::Changed(event) => inner.events.borrow_mut().push_back(event),
            Effect::Heard { took } => inner.metrics.heard(took),
            Effect::Found { cluster } => {
                inner.host.note(&format!("gossip belongs to cluster {cluster:016x}"));
            }
            Effect::Usurped { boot, address } => inner.host.notice(&format!(
                "member {} is also run by another process, at {address} (boot {boot}): two nodes \
                 must not have one id, and a data directory must not be copied. Stop one of them",
                inner.member
            )),
            Effect::Left => inner.has_left.set(),
        }
    }

    /// One event after the other, also when a watcher brings about another one.
    fn tell_watchers(&self) {
        let inner = &self.inner;
        if inner.is_telling.replace(true) {
            return;
        }
        let mut has_changed = false;
        loop {
            let Some(event) = inner.events.borrow_mut().pop_front() else { break };
            has_changed = true;
            self.describe(&event);
            let watchers = inner.watchers.borrow().clone();
            for watcher in &watchers {
                watcher(&event);
            }
        }
        inner.is_telling.set(false);
        if has_changed {
            inner.metrics.members(inner.core.borrow().states());
        }
    }

    /// For operators.
    fn describe(&self, event: &MemberEvent) {
        let name = describe(&event.member);
        match event.what {
            Happened::Joined => self.inner.host.note(&format!("{name} has joined")),
            Happened::Left => self.inner.host.note(&format!("{name} has left")),
            Happened::Failed => self.inner.host.notice(&format!("{name} has failed")),
            Happened::Suspected => self.inner.host.note(&format!("{name} does not answer")),
            Happened::Refuted => self.inner.host.note(&format!("{name} is alive after all")),
            Happened::Updated => {}
        }
        if event.what == Happened::Failed {
            self.inner.metrics.failed();
        }
    }
}

fn describe(member: &Member) -> String {
    match member.data.name.as_str() {
        "" => format!("member {} at {}", member.id, member.address),
        name => format!("member {} ({name}) at {}", member.id, member.address),
    }
}

#[cfg(test)]
mod tests;
