//! A world of gossiping nodes. It knows no more of them than their interface.

use super::gossip::{
    Config, Effect, Happened, KeyRing, Member, MemberData, MemberEvent, MemberId, Membership,
    Roles, State,
};
use base::{BootId, Instant, Now, Outbox, Prng, UnixMicros};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What a network does to datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// In thousandths.
    pub(crate) loss_permille: u64,
    pub(crate) delay_min: Duration,
    pub(crate) delay_max: Duration,
    /// Datagrams that come twice, in thousandths.
    pub(crate) twice_permille: u64,
    /// Which side of a cut each node is on; empty: no cut.
    pub(crate) sides: Vec<u8>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            loss_permille: 0,
            delay_min: Duration::from_micros(200),
            delay_max: Duration::from_millis(5),
            twice_permille: 0,
            sides: Vec::new(),
        }
    }
}

pub(crate) struct Node {
    pub(crate) membership: Membership,
    /// It runs.
    pub(crate) is_up: bool,
    /// Its clock is ahead of the world's by so much.
    skew: Duration,
    /// When it will look at its deadline next.
    wake: Option<u64>,
    stalled_until: u64,
    boot: u64,
}

enum Event {
    Datagram { to: usize, from: SocketAddr, bytes: Vec<u8>, by_group: bool },
    Wake { node: usize },
}

/// What a node saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) by: usize,
    pub(crate) what: Happened,
    pub(crate) member: Member,
}

#[derive(Default, Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) seen: Vec<Seen>,
    pub(crate) heard: Vec<Duration>,
    pub(crate) left: Vec<usize>,
    pub(crate) usurped: Vec<usize>,
    pub(crate) found: Vec<(usize, u64)>,
    pub(crate) traffic: Traffic,
    /// Every datagram that was sent, when asked for.
    pub(crate) record: Option<Vec<Vec<u8>>>,
    pub(crate) prng: Prng,
    pub(crate) keys: Option<KeyRing>,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    count: u64,
    out: Outbox<Effect>,
    seeds: Vec<usize>,
    tune: fn(&mut Config),
}

pub(crate) const CLUSTER: u64 = 0xc1;

/// All nodes belong to it.
pub(crate) const GROUP: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 1, 2, 3)), 9_209);

pub(crate) fn address(node: usize) -> SocketAddr {
    let node = u32::try_from(node).expect("few nodes");
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + node)), 9_201)
}

fn node_at(address: SocketAddr) -> Option<usize> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    usize::try_from(u32::from(ip).checked_sub(0x0a00_0001)?).ok()
}

pub(crate) fn id(node: usize) -> MemberId {
    MemberId(node as u64 + 1)
}

impl World {
    /// `count` nodes that are not yet there. `seeds` are whom all ask at first.
    pub(crate) fn new(seed: u64, seeds: &[usize]) -> Self {
        Self {
            nodes: Vec::new(),
            network: Network::default(),
            seen: Vec::new(),
            heard: Vec::new(),
            left: Vec::new(),
            usurped: Vec::new(),
            found: Vec::new(),
            traffic: Traffic::default(),
            record: None,
            prng: Prng::new(seed),
            keys: None,
            // Some time after the machine's start.
            now: 1_000_000_000_000,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            count: 0,
            out: Outbox::new(),
            seeds: seeds.to_vec(),
            tune: |_| {},
        }
    }

    /// With other settings than the defaults.
    #[allow(dead_code, reason = "the figures use the defaults")]
    pub(crate) fn tuned(mut self, tune: fn(&mut Config)) -> Self {
        self.tune = tune;
        self
    }

    fn membership(&mut self, node: usize, boot: u64) -> Membership {
        self.membership_as(id(node), node, boot)
    }

    /// A member that takes gossip at a node's address, whatever it calls itself.
    pub(crate) fn membership_as(&mut self, id: MemberId, node: usize, boot: u64) -> Membership {
        let mut config = Config::new(Some(CLUSTER), id, BootId(boot), address(node));
        config.seeds = self.seeds.iter().copied().map(address).collect();
        (self.tune)(&mut config);
        self.membership_of(config)
    }

    /// A member with settings of its own.
    pub(crate) fn membership_of(&mut self, config: Config) -> Membership {
        let salt = self.prng.next_u64();
        let prng = self.prng.fork("node");
        let data = data(node_at(config.address).expect("a node's address"));
        Membership::new(config, data, self.keys.clone(), salt, prng)
            .expect("the configuration is fine")
    }

    /// Adds a node, and starts it.
    pub(crate) fn add(&mut self) -> usize {
        let node = self.add_asleep();
        self.start(node);
        node
    }

    /// Adds a node that is not started yet.
    pub(crate) fn add_asleep(&mut self) -> usize {
        let node = self.nodes.len();
        let membership = self.membership(node, 1);
        let skew = Duration::from_nanos(self.prng.below(1 << 40));
        let node_ = Node { membership, is_up: false, skew, wake: None, stalled_until: 0, boot: 1 };
        self.nodes.push(node_);
        node
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.nodes[node].is_up = true;
        self.with(node, Membership::on_start);
    }

    /// It is gone, without a word.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].is_up = false;
        self.nodes[node].wake = None;
    }

    /// It comes back as a new run.
    pub(crate) fn restart(&mut self, node: usize) {
        let boot = self.nodes[node].boot + 1;
        self.nodes[node].boot = boot;
        self.nodes[node].membership = self.membership(node, boot);
        self.nodes[node].stalled_until = 0;
        self.start(node);
    }

    /// It does nothing for a while; what comes to it waits.
    pub(crate) fn stall(&mut self, node: usize, time: Duration) {
        self.nodes[node].stalled_until = self.now + nanos(time);
    }

    pub(crate) fn leave(&mut self, node: usize) {
        self.with(node, Membership::leave);
    }

    pub(crate) fn set_data(&mut self, node: usize, data: &MemberData) {
        self.with(node, |membership, now, out| {
            membership.set_data(now, data.clone(), out).expect("the texts are short");
        });
    }

    /// Time since the world began.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    fn clock(&self, node: usize) -> Now {
        let instant = Instant(self.now) + self.nodes[node].skew;
        Now { instant, wall: UnixMicros(1_764_000_000_000_000 + self.now / 1_000) }
    }

    pub(crate) fn with(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Membership, Now, &mut Outbox<Effect>),
    ) {
        let now = self.clock(node);
        let mut out = std::mem::take(&mut self.out);
        call(&mut self.nodes[node].membership, now, &mut out);
        for effect in out.drain() {
            match effect {
                Effect::Send { to, datagram } => self.send(node, to, &datagram),
                Effect::Changed(MemberEvent { what, member }) => {
                    self.seen.push(Seen { at: self.now(), by: node, what, member });
                }
                Effect::Heard { took } => self.heard.push(took),
                Effect::Found { cluster } => self.found.push((node, cluster)),
                Effect::Usurped { .. } => self.usurped.push(node),
                Effect::Left => {
                    self.left.push(node);
                    self.crash(node);
                }
            }
        }
        self.out = out;
        self.plan(node);
    }

    /// Sees to it that the node is woken at its deadline.
    fn plan(&mut self, node: usize) {
        let skew = nanos(self.nodes[node].skew);
        let it = &mut self.nodes[node];
        let Some(deadline) = it.membership.deadline().filter(|_| it.is_up) else { return };
        let at = deadline.0.saturating_sub(skew).max(self.now).max(it.stalled_until);
        if it.wake.is_none_or(|wake| at < wake) {
            it.wake = Some(at);
            self.put(at, Event::Wake { node });
        }
    }

    fn put(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count)));
        self.events.insert(self.count, event);
    }

    fn send(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        assert!(bytes.len() <= super::gossip::DATAGRAM_BYTES_MAX, "{} bytes", bytes.len());
        self.traffic.datagrams += 1;
        self.traffic.bytes += bytes.len() as u64;
        if let Some(record) = &mut self.record {
            record.push(bytes.to_vec());
        }
        if to == GROUP {
            // The sender is in it, too.
            for node in 0..self.nodes.len() {
                self.carry(from, node, bytes, true);
            }
        } else if let Some(to) = node_at(to).filter(|to| *to < self.nodes.len()) {
            self.carry(from, to, bytes, false);
        }
    }

    fn carry(&mut self, from: usize, to: usize, bytes: &[u8], by_group: bool) {
        let sides = &self.network.sides;
        let is_cut = !sides.is_empty() && sides[from] != sides[to];
        if is_cut || self.prng.chance(self.network.loss_permille, 1_000) {
            return;
        }
        let copies = 1 + u64::from(self.prng.chance(self.network.twice_permille, 1_000));
        for _ in 0..copies {
            let (min, max) = (nanos(self.network.delay_min), nanos(self.network.delay_max));
            let at = self.now + min + self.prng.below(max - min + 1);
            let event =
                Event::Datagram { to, from: address(from), bytes: bytes.to_vec(), by_group };
            self.put(at, event);
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + nanos(time);
        while let Some(Reverse((at, count))) = self.queue.peek().copied() {
            if at > until {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            let event = self.events.remove(&count).expect("every place in the queue has an event");
            self.carry_out(event);
        }
        self.now = until;
    }

    fn carry_out(&mut self, event: Event) {
        let (Event::Datagram { to: node, .. } | Event::Wake { node }) = &event;
        let node = *node;
        let it = &self.nodes[node];
        if !it.is_up {
            return;
        }
        if it.stalled_until > self.now {
            let until = it.stalled_until;
            if let Event::Wake { .. } = event {
                self.nodes[node].wake = Some(until);
            }
            self.put(until, event);
            return;
        }
        match event {
            Event::Datagram { from, bytes, by_group: false, .. } => {
                self.with(node, |membership, now, out| {
                    membership.on_datagram(now, from, &bytes, out);
                });
            }
            Event::Datagram { from, bytes, .. } => {
                self.with(node, |membership, now, out| {
                    membership.on_group_datagram(now, from, &bytes, out);
                });
            }
            Event::Wake { .. } if it.wake != Some(self.now) => {}
            Event::Wake { .. } => {
                self.nodes[node].wake = None;
                let due = self.nodes[node].membership.deadline();
                if due.is_some_and(|due| due <= self.clock(node).instant) {
                    self.with(node, Membership::on_deadline);
                } else {
                    self.plan(node);
                }
            }
        }
    }

    /// Lets time pass until something holds of all running nodes; how long that took.
    pub(crate) fn run_until(
        &mut self,
        at_most: Duration,
        holds: impl Fn(&Self, usize) -> bool,
    ) -> Option<Duration> {
        let began = self.now();
        loop {
            let running = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_up);
            if running.clone().all(|node| holds(self, node)) {
                return Some(self.now().checked_sub(began).expect("time goes on"));
            }
            if self.now() >= began + at_most {
                return None;
            }
            self.run(Duration::from_millis(20));
        }
    }

    /// What `by` knows of `of`.
    pub(crate) fn state(&self, by: usize, of: usize) -> Option<State> {
        self.nodes[by].membership.member(id(of)).map(|member| member.state)
    }

    /// Whether `by` knows exactly the running nodes as active, and what they say of themselves.
    pub(crate) fn is_right(&self, by: usize) -> bool {
        let running = self.nodes.iter().filter(|node| node.is_up).count();
        let mut nodes = self.nodes.iter().enumerate().filter(|(of, _)| *of != by);
        self.nodes[by].membership.active() == running
            && nodes.all(|(of, node)| match self.nodes[by].membership.member(id(of)) {
                Some(member) if node.is_up => {
                    member.state.is_active()
                        && member.data_version > 0
                        && member.boot.0 == node.boot
                }
                Some(member) => !member.state.is_active(),
                None => !node.is_up,
            })
    }

    /// What was seen of this kind since then.
    pub(crate) fn seen_since(
        &self,
        since: Duration,
        what: Happened,
    ) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.at >= since && seen.what == what)
    }
}

pub(crate) fn data(node: usize) -> MemberData {
    MemberData {
        roles: if node < 3 { Roles::BOTH } else { Roles::WORKER },
        name: format!("node-{node}"),
        zone: "east".to_owned(),
        http_address: format!("10.0.0.{node}:8080"),
        version_min: 1,
        version_max: 1,
        capacity: 4,
        load_permille: 0,
        leader_term: 0,
        worker: None,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a test is shorter than 584 years")
}
