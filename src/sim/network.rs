//! What is between machines: one connection per pair, which delivers in order while it lives.
//!
//! A cut holds messages back as a transport that sends again does; when it lasts, the connection
//! ends and what was on its way is lost. Weather may also lose, double and reorder messages, as
//! full queues and several connections would: nobody above may count on more.
//!
//! Invariants:
//! - in fine weather what is sent on a connection arrives in order, all of it or a beginning of it;
//! - nothing of an earlier connection arrives after a later one was told to be up;
//! - who is told that a peer refused a connection can be sure that the process ended.

#[cfg(test)]
mod tests;

use base::{Instant, Prng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two tries to connect, at most. Unit: microseconds.
const DIAL_US_MAX: u64 = 200_000;
/// Between two tries to get a message through a cut, at most. Unit: microseconds.
const RETRANSMIT_US_MAX: u64 = 50_000;

/// How bad the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// A message takes up to so long. Unit: microseconds.
    pub delay_us: u64,
    /// One of fifty takes up to so long. Unit: microseconds.
    pub delay_rare_us: u64,
    /// So many of a thousand are lost.
    pub lost: u64,
    /// So many of a thousand arrive twice.
    pub doubled: u64,
    /// So many of a thousand may overtake others, or fall behind.
    pub disordered: u64,
    /// A connection lives so long without a way through. Unit: microseconds.
    pub timeout_us: u64,
}

impl Weather {
    /// A machine room's.
    pub const FINE: Self = Self {
        delay_us: 200,
        delay_rare_us: 5_000,
        lost: 0,
        doubled: 0,
        disordered: 0,
        timeout_us: 3_000_000,
    };

    /// What a seed draws: which kinds, and how bad.
    pub fn drawn(prng: &mut Prng) -> Self {
        let mut some = |odds, most: u64| if prng.chance(1, odds) { prng.below(most) } else { 0 };
        Self {
            delay_us: 200 + some(3, 20_000),
            delay_rare_us: 5_000 + some(2, 400_000),
            lost: some(3, 100),
            doubled: some(3, 100),
            disordered: some(3, 100),
            timeout_us: 500_000 + some(1, 5_000_000),
        }
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self::FINE
    }
}

/// Something under way.
#[derive(Clone, Debug)]
pub struct Delivery<M>(Way<M>);

#[derive(Clone, Debug)]
enum Way<M> {
    Message {
        from: usize,
        to: usize,
        connection: u64,
        message: M,
    },
    /// Whoever is up tries to connect.
    Dial {
        pair: Pair,
    },
    /// The connection ends if there is still no way through.
    Expire {
        pair: Pair,
        connection: u64,
    },
    /// A process hears of a connection.
    Told {
        to: usize,
        run: u64,
        peer: usize,
        news: News,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Up,
    Down { refused: bool },
}

/// Two machines, the lower first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair(usize, usize);

impl Pair {
    fn of(one: usize, other: usize) -> Self {
        assert_ne!(one, other, "nobody connects to itself");
        Self(one.min(other), one.max(other))
    }

    fn both(self) -> [(usize, usize); 2] {
        [(self.0, self.1), (self.1, self.0)]
    }
}

/// What a process sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<M> {
    /// A message of a peer.
    Message {
        /// Whose.
        from: usize,
        /// For whom.
        to: usize,
        /// What.
        message: M,
    },
    /// There is a connection to a peer.
    Up {
        /// Who hears of it.
        to: usize,
        /// The peer.
        peer: usize,
    },
    /// There is none any more.
    Down {
        /// Who hears of it.
        to: usize,
        /// The peer.
        peer: usize,
        /// A new one was refused: the peer's process is gone.
        refused: bool,
    },
}

impl<M> Event<M> {
    /// Whose process sees it.
    pub fn to(&self) -> usize {
        match self {
            Self::Message { to, .. } | Self::Up { to, .. } | Self::Down { to, .. } => *to,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Machine {
    /// Counts its processes.
    run: u64,
    is_up: bool,
    /// It answers, if only by a refusal.
    is_powered: bool,
}

/// The network between some machines, named by their places from 0.
#[derive(Debug)]
pub struct Network {
    /// How bad it is.
    pub weather: Weather,
    prng: Prng,
    machines: Vec<Machine>,
    connections: BTreeMap<Pair, u64>,
    next_connection: u64,
    /// Who believes to be connected to whom.
    believed: BTreeSet<(usize, usize)>,
    /// Pairs of which one is told already that the other refuses.
    refused: BTreeSet<Pair>,
    dialing: BTreeSet<Pair>,
    cut: BTreeSet<(usize, usize)>,
    clogged: BTreeMap<(usize, usize), Instant>,
    lanes: BTreeMap<(usize, usize), Instant>,
}

/// Where a network puts what is under way.
pub type Under<M> = Vec<(Instant, Delivery<M>)>;

impl Network {
    /// A network of machines that are down.
    pub fn new(machines: usize, weather: Weather, prng: Prng) -> Self {
        Self {
            weather,
            prng,
            machines: vec![Machine { run: 0, is_up: false, is_powered: false }; machines],
            connections: BTreeMap::new(),
            next_connection: 1,
            believed: BTreeSet::new(),
            refused: BTreeSet::new(),
            dialing: BTreeSet::new(),
            cut: BTreeSet::new(),
            clogged: BTreeMap::new(),
            lanes: BTreeMap::new(),
        }
    }

    /// A process starts, and dials all others.
    pub fn on_start<M>(&mut self, now: Instant, place: usize, out: &mut Under<M>) {
        let machine = &mut self.machines[place];
        *machine = Machine { run: machine.run + 1, is_up: true, is_powered: true };
        self.believed.retain(|(who, _)| *who != place);
        for other in self.others(place) {
            self.refused.remove(&Pair::of(place, other));
            self.dial(now, Pair::of(place, other), 1_000, out);
        }
    }

    /// A process ends; its machine stays up and resets its connections, or it does not.
    pub fn on_end<M>(&mut self, now: Instant, place: usize, is_powered: bool, out: &mut Under<M>) {
        let machine = &mut self.machines[place];
        (machine.is_up, machine.is_powered) = (false, is_powered);
        for other in self.others(place) {
            let pair = Pair::of(place, other);
            let Some(connection) = self.connections.get(&pair).copied() else { continue };
            if is_powered && !self.is_cut(pair) {
                self.end(now, pair, out);
            } else {
                self.expire(now, pair, connection, out);
            }
        }
    }

    /// A process sends. Without a connection it is for nothing.
    pub fn send<M: Clone>(
        &mut self,
        now: Instant,
        (from, to): (usize, usize),
        message: M,
        out: &mut Under<M>,
    ) {
        let weather = self.weather;
        let Some(connection) = self.connections.get(&Pair::of(from, to)).copied() else { return };
        if !self.believed.contains(&(from, to)) || self.prng.chance(weather.lost, 1_000) {
            return;
        }
        let copies = 1 + u64::from(self.prng.chance(weather.doubled, 1_000));
        for _ in 0..copies {
            let at = self.time(now, from, to);
            let message = message.clone();
            out.push((at, Delivery(Way::Message { from, to, connection, message })));
        }
    }

    /// From now on nothing gets through in this direction.
    pub fn cut<M>(&mut self, now: Instant, from: usize, to: usize, out: &mut Under<M>) {
        self.cut.insert((from, to));
        let pair = Pair::of(from, to);
        if let Some(connection) = self.connections.get(&pair).copied() {
            self.expire(now, pair, connection, out);
        }
    }

    /// Nothing gets from one of `these` to any other machine, nor back.
    pub fn part<M>(&mut self, now: Instant, these: &[usize], out: &mut Under<M>) {
        for place in 0..self.machines.len() {
            for other in these.iter().copied().filter(|_| !these.contains(&place)) {
                self.cut(now, place, other, out);
                self.cut(now, other, place, out);
            }
        }
    }

    /// Everything gets through again.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.clogged.clear();
    }

    /// Nothing arrives in this direction before `until`; then everything does.
    pub fn clog(&mut self, from: usize, to: usize, until: Instant) {
        self.clogged.insert((from, to), until);
    }

    /// A connection ends in the middle of whatever it carried.
    pub fn reset<M>(&mut self, now: Instant, one: usize, other: usize, out: &mut Under<M>) {
        if self.connections.contains_key(&Pair::of(one, other)) {
            self.end(now, Pair::of(one, other), out);
        }
    }

    /// Whether both machines are connected and believe it.
    pub fn is_connected(&self, one: usize, other: usize) -> bool {
        Pair::of(one, other).both().iter().all(|side| self.believed.contains(side))
    }

    /// Something under way arrives: what a process sees of it.
    pub fn on_arrival<M>(
        &mut self,
        now: Instant,
        delivery: Delivery<M>,
        out: &mut Under<M>,
    ) -> Option<Event<M>> {
        match delivery.0 {
            Way::Message { from, to, connection, message } => {
                if self.connections.get(&Pair::of(from, to)) != Some(&connection) {
                    return None;
                }
                let clogged = self.clogged.get(&(from, to)).copied().filter(|until| *until > now);
                let later = match clogged {
                    _ if self.cut.contains(&(from, to)) => Some(now + self.draw(RETRANSMIT_US_MAX)),
                    clogged => clogged,
                };
                if let Some(at) = later {
                    let lane = self.lanes.entry((from, to)).or_insert(at);
                    *lane = at.max(*lane);
                    let way = Way::Message { from, to, connection, message };
                    out.push((*lane, Delivery(way)));
                    return None;
                }
                self.machines[to].is_up.then_some(Event::Message { from, to, message })
            }
            Way::Dial { pair } => {
                self.on_dial(now, pair, out);
                None
            }
            Way::Expire { pair, connection } => {
                let is_there = self.connections.get(&pair) == Some(&connection);
                let is_through = !self.is_cut(pair)
                    && self.machines[pair.0].is_up
                    && self.machines[pair.1].is_up;
                if is_there && !is_through {
                    self.end(now, pair, out);
                }
                None
            }
            Way::Told { to, run, peer, news } => {
                let machine = self.machines[to];
                if !machine.is_up || machine.run != run {
                    return None;
                }
                Some(match news {
                    News::Up => {
                        self.believed.insert((to, peer));
                        Event::Up { to, peer }
                    }
                    News::Down { refused } => {
                        self.believed.remove(&(to, peer));
                        Event::Down { to, peer, refused }
                    }
                })
            }
        }
    }

    fn others(&self, place: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.machines.len()).filter(move |other| *other != place)
    }

    fn is_cut(&self, pair: Pair) -> bool {
        pair.both().iter().any(|way| self.cut.contains(way))
    }

    fn draw(&mut self, us_max: u64) -> Duration {
        Duration::from_micros(self.prng.below(us_max) + 1)
    }

    /// When a message sent now arrives: after those before it, in most weather.
    fn time(&mut self, now: Instant, from: usize, to: usize) -> Instant {
        let weather = self.weather;
        let rare = self.prng.chance(1, 50);
        let at = now + self.draw(if rare { weather.delay_rare_us } else { weather.delay_us });
        if self.prng.chance(weather.disordered, 1_000) {
            return at;
        }
        let lane = self.lanes.entry((from, to)).or_insert(at);
        *lane = at.max(*lane);
        *lane
    }

    fn dial<M>(&mut self, now: Instant, pair: Pair, us_max: u64, out: &mut Under<M>) {
        if self.dialing.insert(pair) {
            out.push((now + self.draw(us_max), Delivery(Way::Dial { pair })));
        }
    }

    fn expire<M>(&mut self, now: Instant, pair: Pair, connection: u64, out: &mut Under<M>) {
        let at = now + self.draw(self.weather.timeout_us);
        out.push((at, Delivery(Way::Expire { pair, connection })));
    }

    /// The connection is no more; whoever is up hears of it, and dials again.
    fn end<M>(&mut self, now: Instant, pair: Pair, out: &mut Under<M>) {
        self.connections.remove(&pair).expect("the connection is there");
        for (to, peer) in pair.both() {
            self.tell(now, to, peer, News::Down { refused: false }, out);
        }
        self.dial(now, pair, 10_000, out);
    }

    fn tell<M>(
        &mut self,
        now: Instant,
        to: usize,
        peer: usize,
        news: News,
        out: &mut Under<M>,
    ) -> Instant {
        // Behind what came before, so that news of one peer keeps its order.
        let at = (now + self.draw(500)).max(self.lanes.get(&(peer, to)).copied().unwrap_or(now));
        self.lanes.insert((peer, to), at);
        let run = self.machines[to].run;
        if self.machines[to].is_up {
            out.push((at, Delivery(Way::Told { to, run, peer, news })));
        }
        at
    }

    fn on_dial<M>(&mut self, now: Instant, pair: Pair, out: &mut Under<M>) {
        self.dialing.remove(&pair);
        let (one, other) = (self.machines[pair.0], self.machines[pair.1]);
        let stale = self.connections.contains_key(&pair);
        if !one.is_up && !other.is_up {
            return;
        }
        if self.is_cut(pair) {
            return self.dial(now, pair, DIAL_US_MAX, out);
        }
        if one.is_up && other.is_up {
            let is_believed = pair.both().iter().all(|side| self.believed.contains(side));
            if stale && is_believed {
                return;
            }
            self.connections.insert(pair, self.next_connection);
            self.next_connection += 1;
            self.refused.remove(&pair);
            for (to, peer) in pair.both() {
                if self.believed.remove(&(to, peer)) {
                    self.tell(now, to, peer, News::Down { refused: false }, out);
                }
                self.tell(now, to, peer, News::Up, out);
            }
            return;
        }
        let (down, up) = if one.is_up { (pair.1, pair.0) } else { (pair.0, pair.1) };
        if self.machines[down].is_powered && self.refused.insert(pair) {
            self.connections.remove(&pair);
            self.tell(now, up, down, News::Down { refused: true }, out);
        }
        self.dial(now, pair, DIAL_US_MAX, out);
    }
}
