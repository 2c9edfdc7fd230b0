//! The links to the other coordinators: one connection to each, kept for as long as it is a member,
//! and those that the others keep to this node.
//!
//! What is sent to a member goes over the connection that this side has made; what comes is taken
//! from whichever brings it. To a node that is not reached at any address that this one knows (the
//! leader that a new node has not heard the members from yet; a member that moved), it goes over the
//! connection that the other has made.
//!
//! Invariants:
//! - nothing is taken from a link whose two ends were not meant for each other
//!   ([`engine::founding`]);
//! - a link that breaks is made again at once, then after pauses that grow; a refusal is told apart
//!   from a silence;
//! - what is said of a link is said once, until something else is to be said.

use crate::{Consensus, Host};
use base::{Address, BootId, NodeId, Prng, StoreId};
use bytes::Bytes;
use engine::Membership;
use engine::founding::{Card, FORMATS, Foundation, Founding, Known, Met, greet, meet};
use engine::peer::PeerMessage;
use rpc::{
    Channel, ChannelError, ChannelOptions, Introduced, Refusals, answer_channel, call_channel,
};
use runtime::{Listener, LocalNotify, Task, TaskSet, is_out_of_files, resolve, sleep, spawn_local};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use wire::{Head, Header, Hello, Kind, Message as _, PEER_BYTES_MAX, Welcome, write_frame};

/// How links behave. A peer that is only slow must not be taken for dead: elections have timeouts of
/// their own, far shorter than these.
const OPTIONS: ChannelOptions = ChannelOptions {
    payload_bytes_max: PEER_BYTES_MAX,
    // What Raft has on its way to one follower, and a piece of a snapshot.
    output_bytes_max: 32 * 1024 * 1024,
    hello_within: Duration::from_secs(1),
    ping_after: Duration::from_secs(1),
    ping_patience: Duration::from_secs(3),
};

/// Before the second attempt to make a link; each further pause is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// A link that lived so long is made again without a pause.
const LIVED: Duration = Duration::from_secs(1);
/// How long a link is kept to whoever is no member any more.
const PARTING: Duration = Duration::from_secs(1);
/// Before another attempt at one that does not want to speak: only an operator changes that.
const STRANGER_PAUSE: Duration = Duration::from_secs(1);
/// Data directories whose latest run is remembered: more than members ever have.
const BOOTS_MAX: usize = 256;
/// Between two looks at who else is to found the cluster.
const MEETING_PAUSE: Duration = Duration::from_millis(200);
/// Connections of others at a time: each member has one, and one that it has not seen break yet.
const ACCEPTED_MAX: usize = 64;
/// After an attempt to accept for which no file was left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The links of one node.
#[derive(Clone)]
pub struct Links {
    inner: Rc<Inner>,
}

struct Inner {
    own: Card,
    program: String,
    /// Where this node takes gossip; empty: nowhere.
    gossip: String,
    host: Rc<dyn Host>,
    wake: Rc<LocalNotify>,
    cluster: Cell<Option<u64>>,
    /// What this node tells members that do not know it.
    foundation: RefCell<Option<Foundation>>,
    /// A foundation that this node was told.
    welcome: RefCell<Option<Foundation>>,
    welcomed: LocalNotify,
    members: RefCell<Membership>,
    /// This node leads: it knows every change of members.
    leading: Cell<bool>,
    role: RefCell<Option<Consensus>>,
    kept: RefCell<BTreeMap<NodeId, Kept>>,
    /// Of those that others have made: the last one of each node.
    accepted: RefCell<BTreeMap<NodeId, Accepted>>,
    accepted_count: Cell<u64>,
    /// The latest run of each data directory that has called.
    boots: RefCell<BTreeMap<StoreId, BootId>>,
    /// What was said against callers since the members changed last.
    refusals: Refusals,
    /// Where the others take gossip, as their hellos said last.
    gossips: RefCell<BTreeMap<NodeId, SocketAddr>>,
    gossips_watcher: RefCell<Option<GossipWatcher>>,
    dice: RefCell<Prng>,
    tasks: TaskSet,
}

/// Is told where the others take gossip, whenever that changes.
type GossipWatcher = Rc<dyn Fn(Vec<SocketAddr>)>;

/// A link that another node has made.
struct Accepted {
    number: u64,
    card: Card,
    channel: Rc<Channel>,
}

/// A link that this node keeps to a member.
struct Kept {
    store: StoreId,
    address: Address,
    channel: Rc<RefCell<Option<Rc<Channel>>>>,
    _task: Task<()>,
}

impl Links {
    /// No links yet. `own` is what every hello says of this node, and `gossip` where it takes that.
    pub fn new(
        own: Card,
        program: String,
        gossip: Option<SocketAddr>,
        host: Rc<dyn Host>,
        wake: Rc<LocalNotify>,
        seed: u64,
    ) -> Self {
        let inner = Inner {
            own,
            program,
            gossip: gossip.map(|address| address.to_string()).unwrap_or_default(),
            host,
            wake,
            cluster: Cell::new(own.cluster),
            foundation: RefCell::new(None),
            welcome: RefCell::new(None),
            welcomed: LocalNotify::new(),
            members: RefCell::new(Membership::default()),
            leading: Cell::new(false),
            role: RefCell::new(None),
            kept: RefCell::new(BTreeMap::new()),
            accepted: RefCell::new(BTreeMap::new()),
            accepted_count: Cell::new(0),
            boots: RefCell::new(BTreeMap::new()),
            refusals: Refusals::new("peers"),
            gossips: RefCell::new(BTreeMap::new()),
            gossips_watcher: RefCell::new(None),
            dice: RefCell::new(Prng::new(seed).fork("links")),
            tasks: TaskSet::new(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Takes the connections of others from now on.
    pub fn listen(&self, listener: Listener) {
        let links = self.clone();
        self.inner.tasks.spawn(async move { links.accept_all(listener).await });
    }

    /// The node belongs to a cluster: its hellos say so.
    pub fn on_founded(&self, foundation: Foundation) {
        self.inner.cluster.set(Some(foundation.cluster));
        *self.inner.foundation.borrow_mut() = Some(foundation);
    }

    pub(crate) fn set_leading(&self, leading: bool) {
        self.inner.leading.set(leading);
    }

    /// Whose mind hears what the links bring.
    pub(crate) fn begin(&self, role: &Consensus) {
        *self.inner.role.borrow_mut() = Some(role.clone());
    }

    /// Tells `watcher` where the other coordinators take gossip, now and with every change.
    pub fn watch_gossip(&self, watcher: impl Fn(Vec<SocketAddr>) + 'static) {
        *self.inner.gossips_watcher.borrow_mut() = Some(Rc::new(watcher));
        self.tell_of_gossip();
    }

    fn tell_of_gossip(&self) {
        let watcher = self.inner.gossips_watcher.borrow().clone();
        if let Some(watcher) = watcher {
            let known = self.inner.gossips.borrow().values().copied().collect();
            watcher(known);
        }
    }

    /// Of a node whose hello was found good.
    fn hear_of_gossip(&self, node: NodeId, address: Option<SocketAddr>) {
        let Some(address) = address else { return };
        if self.inner.gossips.borrow_mut().insert(node, address) != Some(address) {
            self.tell_of_gossip();
        }
    }

    /// Waits until a member tells this node its cluster.
    pub async fn welcomed(&self) -> Foundation {
        loop {
            if let Some(foundation) = self.inner.welcome.borrow_mut().take() {
                return foundation;
            }
            self.inner.welcomed.notified().await;
        }
    }

    /// Meets the other founders until the cluster is founded, by this node or by another one.
    pub async fn founded(&self, mut founding: Founding) -> Foundation {
        if let Some(foundation) = founding.alone() {
            return foundation;
        }
        let mut meeting = pin!(self.meet_all(&mut founding));
        let mut welcomed = pin!(self.welcomed());
        std::future::poll_fn(|context| {
            if let Poll::Ready(foundation) = welcomed.as_mut().poll(context) {
                return Poll::Ready(foundation);
            }
            meeting.as_mut().poll(context)
        })
        .await
    }

    /// Ends only once this node has founded the cluster.
    async fn meet_all(&self, founding: &mut Founding) -> Foundation {
        let mut said = BTreeMap::new();
        loop {
            founding.begin_round();
            for (node, address) in founding.to_meet() {
                let news = match self.ask(&address).await {
                    Ok(card) => match founding.on_met(node, &card) {
                        Ok(Met::Founded(foundation)) => return foundation,
                        Ok(Met::Waiting) => None,
                        Ok(Met::TooLate { node, cluster }) => Some(format!(
                            "node {node} belongs to cluster {cluster:016x} already, and this data \
                             directory to none: nothing is founded. If this node was one of its \
                             founders and is met by the others in a moment, all is well; if not, add \
                             it: `distric-admin nodes add {} ADDRESS`",
                            self.inner.own.node
                        )),
                        Err(stranger) => Some(stranger.to_string()),
                    },
                    Err(reason) => Some(format!("node {node} cannot be met yet: {reason}")),
                };
                if said.get(&node) != Some(&news) {
                    if let Some(news) = &news {
                        self.inner.host.notice(news);
                    }
                    said.insert(node, news);
                }
            }
            sleep(MEETING_PAUSE).await;
        }
    }

    /// Who belongs to the group from now on.
    pub(crate) fn on_members(&self, members: Membership) {
        let inner = &self.inner;
        let is_still = |node: &NodeId, kept: &mut Kept| {
            members.member(*node).is_some_and(|member| {
                (member.store, member.address.as_ref()) == (kept.store, Some(&kept.address))
            })
        };
        let mut kept = inner.kept.take();
        let gone: Vec<NodeId> = {
            let mut gone = Vec::new();
            for (node, link) in &mut kept {
                if !is_still(node, link) {
                    gone.push(*node);
                }
            }
            gone
        };
        let ended: Vec<Kept> = gone.iter().filter_map(|node| kept.remove(node)).collect();
        for (node, member) in members.members() {
            let Some(address) = &member.address else { continue };
            if node == inner.own.node || kept.contains_key(&node) {
                continue;
            }
            kept.insert(node, self.keep(node, member.store, address.clone()));
        }
        *inner.kept.borrow_mut() = kept;
        let before = inner.members.replace(members);
        // One that was never a member may be one that this node has not heard of yet.
        let has_left =
            |node| before.member(node).is_some() && inner.members.borrow().member(node).is_none();
        inner.gossips.borrow_mut().retain(|node, _| !has_left(*node));
        inner.refusals.forget();
        if !ended.is_empty() {
            // The last that a leader says to whoever it removes is that it did.
            inner.tasks.spawn(async move {
                sleep(PARTING).await;
                drop(ended);
            });
        }
    }

    /// Sends, or not: see [`engine::ConsensusEffect::Peer`]. False when it was not.
    pub(crate) fn send(&self, to: NodeId, message: &PeerMessage) -> bool {
        let Some(channel) = self.channel(to) else { return false };
        let now = runtime::now().wall;
        channel.send(|out| message.encode(now, out))
    }

    /// How many of the links that this node keeps are there.
    pub(crate) fn count(&self) -> u64 {
        let kept = self.inner.kept.borrow();
        kept.values().filter(|kept| kept.channel.borrow().is_some()).count() as u64
    }

    fn channel(&self, to: NodeId) -> Option<Rc<Channel>> {
        let kept = self.inner.kept.borrow();
        let own = kept.get(&to).and_then(|kept| kept.channel.borrow().clone());
        // A member may be reached elsewhere than is known here, until it has said so.
        own.or_else(|| {
            let accepted = self.inner.accepted.borrow();
            accepted.get(&to).map(|accepted| Rc::clone(&accepted.channel))
        })
    }

    /// Ends every link. To be called before the last handle is dropped.
    pub async fn close(&self) {
        self.inner.tasks.cancel_all().await;
        let kept = self.inner.kept.take();
        drop(kept);
        self.inner.role.take();
        self.inner.gossips_watcher.take();
    }

    pub(crate) async fn ask(&self, address: &Address) -> Result<Card, String> {
        let introduced = self.call(address, None).await.map_err(|error| error.to_string())?;
        card(&introduced)
    }

    async fn call(
        &self,
        address: &Address,
        to: Option<StoreId>,
    ) -> Result<Introduced, ChannelError> {
        let lost = |reason: String| ChannelError::Lost { address: address.to_string(), reason };
        let found = resolve(address).await.map_err(|error| lost(error.to_string()))?;
        let first: SocketAddr = *found.first().ok_or_else(|| lost("it has no address".into()))?;
        let own = Card { cluster: self.inner.cluster.get(), to_store: to, ..self.inner.own };
        call_channel(first, &self.inner.hello(&own), OPTIONS).await
    }

    /// Keeps a link to a member.
    fn keep(&self, node: NodeId, store: StoreId, address: Address) -> Kept {
        let channel = Rc::new(RefCell::new(None));
        let keeper = Keeper {
            links: self.clone(),
            node,
            store,
            address: address.clone(),
            channel: Rc::clone(&channel),
            said: RefCell::new(String::new()),
        };
        let task = spawn_local(async move { keeper.run().await });
        Kept { store, address, channel, _task: task }
    }

    async fn accept_all(&self, listener: Listener) {
        let connections = Rc::new(Cell::new(0));
        loop {
            match listener.accept().await {
                Ok(stream) if connections.get() < ACCEPTED_MAX => {
                    let (links, count) = (self.clone(), Counted::new(&connections));
                    self.inner.tasks.spawn(async move {
                        let _count = count;
                        let from = stream.peer();
                        if let Err(reason) = links.serve(stream).await {
                            links.say_against(from, reason);
                        }
                    });
                }
                // More than members ever have: whoever it is may try again.
                Ok(stream) => drop(stream),
                Err(error) => {
                    if !is_out_of_files(&error) {
                        self.inner.host.notice(&format!("peers cannot be accepted: {error}"));
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn say_against(&self, caller: SocketAddr, reason: String) {
        if let Some(text) = self.inner.refusals.notice(caller, reason) {
            self.inner.host.notice(&text);
        }
    }

    /// A connection that another one has made.
    async fn serve(&self, stream: runtime::Stream) -> Result<(), String> {
        let inner = &self.inner;
        // Without its port: what is said of a caller is said once, however often it calls.
        let greeted = answer_channel(stream, OPTIONS).await;
        let mut introduced = greeted.map_err(|error| error.reason())?;
        let theirs = card(&introduced)?;
        let own = Card { cluster: inner.cluster.get(), ..inner.own };
        let verdict = {
            let running = inner.accepted.borrow().get(&theirs.node).map(|last| last.card);
            let latest = inner.boots.borrow().get(&theirs.store).copied();
            let (members, leading) = (inner.members.borrow(), inner.leading.get());
            greet(&own, Known { members: &members, leading, latest, running }, &theirs)
        };
        if let Err(stranger) = verdict {
            let reason = stranger.to_string();
            introduced.refuse(&reason).await;
            return Err(reason);
        }
        let answered = introduced.answer(&inner.hello(&own)).await;
        answered.map_err(|error| error.to_string())?;
        if theirs.to_store.is_none() {
            // It only asked who is there.
            return Ok(());
        }
        self.remember(&theirs);
        if theirs.cluster.is_some() && theirs.cluster == own.cluster {
            self.hear_of_gossip(theirs.node, gossip(&introduced));
        }
        let (channel, mut driver) = introduced.open();
        let number = inner.accepted_count.get();
        inner.accepted_count.set(number + 1);
        let entry = Accepted { number, card: theirs, channel: Rc::clone(&channel) };
        inner.accepted.borrow_mut().insert(theirs.node, entry);
        let _why = driver.run(|frame| self.on_frame(&theirs, &frame.header, frame.payload)).await;
        let mut accepted = inner.accepted.borrow_mut();
        if accepted.get(&theirs.node).is_some_and(|last| last.number == number) {
            accepted.remove(&theirs.node);
        }
        Ok(())
    }

    fn remember(&self, theirs: &Card) {
        let mut boots = self.inner.boots.borrow_mut();
        if boots.len() >= BOOTS_MAX && !boots.contains_key(&theirs.store) {
            boots.clear();
        }
        boots.insert(theirs.store, theirs.boot);
    }

    fn on_frame(&self, theirs: &Card, header: &Header, payload: &[u8]) -> Result<(), String> {
        let inner = &self.inner;
        if header.kind == Kind::WELCOME {
            return self.on_welcome(theirs, payload);
        }
        let payload = Bytes::copy_from_slice(payload);
        let message =
            PeerMessage::decode(header.kind, &payload).map_err(|error| error.to_string())?;
        let role = inner.role.borrow().clone();
        // What comes before the journal was read comes again.
        if let Some(role) = role {
            role.on_peer(theirs.node, theirs.store, message);
            inner.wake.notify();
        }
        Ok(())
    }

    fn on_welcome(&self, theirs: &Card, payload: &[u8]) -> Result<(), String> {
        let inner = &self.inner;
        let welcome = Welcome::decode(payload).map_err(|error| error.to_string())?;
        let founded = Membership::from_bytes(welcome.founded).map_err(|error| error.to_string())?;
        match inner.cluster.get() {
            Some(own) if own == welcome.cluster => {}
            Some(own) => {
                return Err(format!(
                    "node {} welcomes this node to cluster {:016x}, and it belongs to cluster \
                     {own:016x}",
                    theirs.node, welcome.cluster
                ));
            }
            None if theirs.cluster == Some(welcome.cluster) => {
                let foundation = Foundation { cluster: welcome.cluster, founded };
                inner.welcome.borrow_mut().get_or_insert(foundation);
                inner.welcomed.notify();
            }
            None => return Err("a welcome to another cluster than the hello's".to_owned()),
        }
        Ok(())
    }

    fn write_welcome(&self, channel: &Channel) {
        let foundation = self.inner.foundation.borrow();
        let Some(foundation) = &*foundation else { return };
        let founded = foundation.founded.to_bytes();
        let welcome = Welcome { cluster: foundation.cluster, founded: &founded };
        let sent_at = runtime::now().wall;
        let head =
            Head { kind: Kind::WELCOME, flags: wire::Flags::NONE, call: 0, sent_at, trace: None };
        channel.send(|out| write_frame(out, &head, |out| welcome.encode(out)));
    }

    /// From half of `pause` to all of it: those that lost one peer at once do not come back at once.
    fn jittered(&self, pause: Duration) -> Duration {
        let half = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
        let more = self.inner.dice.borrow_mut().below(half + 1);
        Duration::from_micros(half + more)
    }

    fn tell(&self, what: impl FnOnce(&Consensus)) {
        let role = self.inner.role.borrow().clone();
        if let Some(role) = role {
            what(&role);
            self.inner.wake.notify();
        }
    }
}

/// One of the connections that others have made, counted while it lives.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Keeps one link: makes it, and makes it again.
struct Keeper {
    links: Links,
    node: NodeId,
    store: StoreId,
    address: Address,
    channel: Rc<RefCell<Option<Rc<Channel>>>>,
    /// What was last said of it.
    said: RefCell<String>,
}

impl Keeper {
    async fn run(&self) {
        let mut pause = PAUSE_MIN;
        let mut was_refused = false;
        loop {
            match self.links.call(&self.address, Some(self.store)).await {
                Ok(introduced) => match self.open(introduced).await {
                    Ok(lived) => {
                        was_refused = false;
                        if lived >= LIVED {
                            pause = PAUSE_MIN;
                            continue;
                        }
                    }
                    Err(reason) => {
                        self.say(&reason);
                        pause = STRANGER_PAUSE;
                    }
                },
                Err(error @ ChannelError::Refused { .. }) => {
                    self.say(&error.to_string());
                    if !std::mem::replace(&mut was_refused, true) {
                        self.links.tell(|role| role.on_peer_down(self.node, true));
                    }
                }
                Err(error @ ChannelError::Said { .. }) => {
                    self.say(&error.to_string());
                    pause = STRANGER_PAUSE;
                }
                Err(error) => self.say(&error.to_string()),
            }
            sleep(self.links.jittered(pause)).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Runs over a link until it breaks, and tells how long it lived. An error: it is not the member.
    async fn open(&self, introduced: Introduced) -> Result<Duration, String> {
        let inner = &self.links.inner;
        let theirs = card(&introduced)?;
        let own = Card { cluster: inner.cluster.get(), ..inner.own };
        let knows_nothing =
            meet(&own, (self.node, self.store), &theirs).map_err(|error| error.to_string())?;
        self.links.hear_of_gossip(self.node, gossip(&introduced));
        let (channel, mut driver) = introduced.open();
        if knows_nothing {
            self.links.write_welcome(&channel);
        }
        *self.channel.borrow_mut() = Some(channel);
        inner.host.note(&format!("the link to node {} at {} is up", self.node, self.address));
        self.said.borrow_mut().clear();
        self.links.tell(|role| role.on_peer_up(self.node));
        let began = runtime::instant();
        let why =
            driver.run(|frame| self.links.on_frame(&theirs, &frame.header, frame.payload)).await;
        self.channel.borrow_mut().take();
        self.say(&why);
        self.links.tell(|role| role.on_peer_down(self.node, false));
        Ok(runtime::instant().since(began))
    }

    fn say(&self, reason: &str) {
        let mut said = self.said.borrow_mut();
        if *said != reason {
            reason.clone_into(&mut said);
            let (node, address) = (self.node, &self.address);
            let text = format!("no link to node {node} at {address}: {reason}");
            self.links.inner.host.notice(&text);
        }
    }
}

impl Inner {
    fn hello(&self, own: &Card) -> Hello<'_> {
        Hello {
            node: own.node.0,
            program: &self.program,
            payload_bytes_max: u32::try_from(PEER_BYTES_MAX).unwrap_or(u32::MAX),
            cluster: own.cluster.unwrap_or(0),
            store: own.store.0,
            boot: own.boot.0,
            to_store: own.to_store.map_or(0, |store| store.0),
            format_min: FORMATS.0,
            format_max: FORMATS.1,
            gossip: &self.gossip,
            ..Hello::of(Hello::COORDINATOR)
        }
    }
}

/// Where the other side takes gossip, if it says so, and somebody could send there.
fn gossip(introduced: &Introduced) -> Option<SocketAddr> {
    let address: SocketAddr = introduced.hello().ok()?.gossip.parse().ok()?;
    let ip = address.ip();
    (address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()).then_some(address)
}

/// Who the other side says that it is.
fn card(introduced: &Introduced) -> Result<Card, String> {
    let hello = introduced.hello().map_err(|error| error.to_string())?;
    if hello.role != Hello::COORDINATOR || hello.store == 0 {
        return Err(format!(
            "at {} is no coordinator's address for peers (a door for clients?): it is what that \
             node has as --peer",
            introduced.peer()
        ));
    }
    let some = |number: u64| (number != 0).then_some(number);
    Ok(Card {
        node: NodeId(hello.node),
        store: StoreId(hello.store),
        boot: BootId(hello.boot),
        cluster: some(hello.cluster),
        to_store: some(hello.to_store).map(StoreId),
        formats: (hello.format_min, hello.format_max),
    })
}
