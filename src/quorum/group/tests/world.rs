//! Time, the network, and what one may do to the nodes. One heap of events, one seed.

use super::checker::{Checker, is_majority};
use super::machine::{Image, Machine, Write};
use crate::group::ProposeError;
use crate::{Change, Dropped, Effect, Member, Membership, Message, Role};
use base::{Address, NodeId, Prng, StoreId, hash64};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Unit: microseconds, as all times here.
pub(crate) const MS: u64 = 1_000;
const TICK: u64 = 10 * MS;

/// How bad the network and the disks are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) delay: (u64, u64),
    /// Per thousand messages.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) disk: (u64, u64),
}

impl Weather {
    pub(crate) const FINE: Self =
        Self { delay: (200, 400), lost: 0, doubled: 0, disk: (500, 1_500) };
    pub(crate) const FOUL: Self =
        Self { delay: (200, 30 * MS), lost: 50, doubled: 50, disk: (500, 25 * MS) };
}

#[derive(Debug)]
enum Event {
    Tick { node: u64, boot: u64 },
    Deliver { from: u64, store: StoreId, to: u64, message: Message },
    Written { node: u64, boot: u64 },
    Fetched { node: u64, boot: u64, from: u64, index: u64 },
    Entries { node: u64, boot: u64, from: u64, through: u64, bytes: u64 },
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) dice: Prng,
    net: Prng,
    seeds: Prng,
    pub(crate) weather: Weather,
    pub(crate) machines: BTreeMap<u64, Machine>,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    /// Which way no message goes.
    pub(crate) cut: BTreeSet<(u64, u64)>,
    pub(crate) checker: Checker,
    /// Of everything that was ordered, in order.
    pub(crate) digest: u64,
    /// Snapshots are taken after so many entries.
    pub(crate) snapshot_every: u64,
    pub(crate) keep: u64,
    /// Whether a start applies what is committed before the group starts; at random if not said.
    pub(crate) replay_at_start: Option<bool>,
    pub(crate) drops: BTreeMap<Dropped, u64>,
    proposals: BTreeMap<Bytes, (u64, u64)>,
    /// What a client was told is done, and where.
    pub(crate) told: BTreeMap<Bytes, u64>,
    next_proposal: u64,
    /// Reads under way: what was told when they came.
    reads: BTreeMap<u64, (u64, u64)>,
    pub(crate) reads_done: u64,
    pub(crate) reads_expired: u64,
    next_read: u64,
    /// When somebody last became leader.
    pub(crate) elected_at: u64,
    /// Orders counted by kind, for what a scenario expects to have happened.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    /// Entries in messages, most at once.
    pub(crate) memberships: u64,
}

pub(crate) fn member(store: u64) -> Member {
    let address = Address::parse(&format!("10.0.0.{}:9100", store % 250 + 1)).unwrap();
    Member { store: StoreId(store), address: Some(address) }
}

impl World {
    /// A group of `voters` nodes, all down.
    pub(crate) fn new(seed: u64, voters: u64) -> Self {
        let founded = Membership::founded((1..=voters).map(|node| (NodeId(node), member(node))));
        let founded = founded.unwrap();
        let mut dice = Prng::new(seed);
        let (net, seeds) = (dice.fork("net"), dice.fork("seeds"));
        let machines =
            (1..=voters).map(|node| (node, Machine::new(node, node, founded.clone()))).collect();
        Self {
            now: 0,
            dice,
            net,
            seeds,
            weather: Weather::FINE,
            machines,
            events: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            checker: Checker::default(),
            digest: 0,
            snapshot_every: u64::MAX,
            keep: 0,
            replay_at_start: None,
            drops: BTreeMap::new(),
            proposals: BTreeMap::new(),
            told: BTreeMap::new(),
            next_proposal: 0,
            reads: BTreeMap::new(),
            reads_done: 0,
            reads_expired: 0,
            next_read: 0,
            elected_at: 0,
            seen: BTreeMap::new(),
            memberships: 0,
        }
    }

    /// A group of `voters` nodes that has a leader.
    pub(crate) fn elected(seed: u64, voters: u64) -> Self {
        let mut world = Self::new(seed, voters);
        for node in 1..=voters {
            world.start(node);
        }
        world.run_until("a leader", 3_000, |world| world.leader().is_some());
        world.settle();
        world
    }

    // -- what one may do ------------------------------------------------------------------------

    pub(crate) fn start(&mut self, node: u64) {
        self.check_vote(node);
        let seed = self.seeds.next_u64();
        let machine = self.machines.get_mut(&node).unwrap();
        let replays = self.dice.chance(1, 2);
        let replayed = if self.replay_at_start.unwrap_or(replays) { u64::MAX } else { 0 };
        machine.start(seed, replayed);
        let boot = machine.boot;
        let alone = machine.state.membership.is_lone_voter(NodeId(node));
        let phase = self.dice.below(TICK);
        self.at(self.now + phase, Event::Tick { node, boot });
        if alone {
            let machine = self.machines.get_mut(&node).unwrap();
            machine.up.as_mut().unwrap().on_campaign(&mut machine.out);
            self.carry_out(node);
        }
    }

    pub(crate) fn crash(&mut self, node: u64) {
        let machine = self.machines.get_mut(&node).unwrap();
        machine.crash(&mut self.dice);
        self.reads.retain(|_, (at, _)| *at != node);
    }

    /// The node's process is gone, and its connections with it: nothing comes after a reset.
    pub(crate) fn end(&mut self, node: u64) {
        self.crash(node);
        self.events
            .retain(|_, event| !matches!(event, Event::Deliver { from, .. } if *from == node));
    }

    /// The node's process is gone, and all others see it: reset, and refused.
    pub(crate) fn kill(&mut self, node: u64) {
        self.end(node);
        for other in self.up() {
            self.with(other, |group, out| {
                group.on_peer_unreachable(NodeId(node), out);
                group.on_leader_gone(NodeId(node), out);
            });
        }
    }

    /// The node comes back without anything, as a new store.
    pub(crate) fn wipe(&mut self, node: u64, store: u64) {
        self.crash(node);
        let boot = self.machines[&node].boot;
        let mut machine = Machine::new(node, store, Membership::default());
        machine.boot = boot;
        self.machines.insert(node, machine);
    }

    /// A node that waits to be added.
    pub(crate) fn add(&mut self, node: u64, store: u64) {
        self.machines.insert(node, Machine::new(node, store, Membership::default()));
        self.start(node);
    }

    pub(crate) fn cut_off(&mut self, node: u64) {
        for other in self.machines.keys().copied().filter(|other| *other != node) {
            self.cut.insert((node, other));
            self.cut.insert((other, node));
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn propose(&mut self, node: u64) -> Option<Bytes> {
        self.propose_bytes(node, 0)
    }

    pub(crate) fn propose_bytes(&mut self, node: u64, bytes: usize) -> Option<Bytes> {
        self.next_proposal += 1;
        let mut data = format!("proposal {}", self.next_proposal).into_bytes();
        data.resize(data.len().max(bytes), b'.');
        let data = Bytes::from(data);
        let proposed = self.with(node, |group, out| {
            let term = group.status().term;
            group.on_propose(data.clone(), out).ok().map(|index| (index, term))
        })?;
        let (index, term) = proposed?;
        if !self.told.contains_key(&data) {
            self.proposals.insert(data.clone(), (index, term));
        }
        Some(data)
    }

    /// Proposes and waits until it is committed.
    pub(crate) fn commit(&mut self) -> Bytes {
        let leader = self.leader().expect("there is a leader");
        let data = self.propose(leader).expect("a leader takes it");
        self.run_until("a commit", 5_000, |world| world.told.contains_key(&data));
        data
    }

    pub(crate) fn change(&mut self, change: &Change) -> Result<u64, ProposeError> {
        let leader = self.leader().expect("there is a leader");
        self.with(leader, |group, out| group.on_propose_membership(change, out)).unwrap()
    }

    /// Begins the change, as soon as it may begin.
    pub(crate) fn begin(&mut self, change: &Change) -> u64 {
        for _ in 0..200 {
            match self.change(change) {
                Ok(index) => return index,
                Err(ProposeError::ChangeUnderWay | ProposeError::Behind { .. }) => self.run(20),
                Err(error) => panic!("{change:?}: {error}"),
            }
        }
        panic!("{change:?} never begins: {self:?}");
    }

    /// Makes the change, and waits until it is in force.
    pub(crate) fn make(&mut self, change: &Change) {
        let index = self.begin(change);
        self.run_until("a change of members", 5_000, |world| {
            let members = world.leader().map(|leader| &world.machines[&leader].state);
            members.is_some_and(|state| state.applied.0 >= index && !state.membership.is_joint())
        });
    }

    pub(crate) fn read(&mut self, node: u64) {
        self.next_read += 1;
        let context = self.next_read;
        let told = self.checker.told;
        self.reads.insert(context, (node, told));
        let taken = self.with(node, |group, out| group.on_read(context, out));
        assert!(taken.is_none_or(|taken| taken.is_ok()));
    }

    /// Does something with a node's group, if it is up, and carries out what it orders.
    pub(crate) fn with<T>(
        &mut self,
        node: u64,
        act: impl FnOnce(&mut crate::Group, &mut base::Outbox<Effect>) -> T,
    ) -> Option<T> {
        let machine = self.machines.get_mut(&node)?;
        let result = act(machine.up.as_mut()?, &mut machine.out);
        self.carry_out(node);
        Some(result)
    }

    // -- what one may see -----------------------------------------------------------------------

    pub(crate) fn up(&self) -> Vec<u64> {
        self.machines.iter().filter(|(_, m)| m.up.is_some()).map(|(node, _)| *node).collect()
    }

    /// The leader of the highest term.
    pub(crate) fn leader(&self) -> Option<u64> {
        let leads = |(node, machine): (&u64, &Machine)| {
            let status = machine.up.as_ref()?.status();
            (status.role == Role::Leader).then_some((status.term, *node))
        };
        self.machines.iter().filter_map(leads).max().map(|(_, node)| node)
    }

    pub(crate) fn term(&self, node: u64) -> u64 {
        self.machines[&node].up.as_ref().unwrap().status().term
    }

    pub(crate) fn role(&self, node: u64) -> Role {
        self.machines[&node].up.as_ref().unwrap().status().role
    }

    pub(crate) fn applied(&self, node: u64) -> u64 {
        self.machines[&node].state.applied.0
    }

    pub(crate) fn dropped(&self, reason: Dropped) -> u64 {
        self.drops.get(&reason).copied().unwrap_or(0)
    }

    pub(crate) fn saw(&self, what: &str) -> u64 {
        self.seen.get(what).copied().unwrap_or(0)
    }

    // -- time -----------------------------------------------------------------------------------

    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now + ms * MS;
        while self.step(until) {}
        self.now = until;
    }

    pub(crate) fn run_until(&mut self, what: &str, ms: u64, done: impl Fn(&Self) -> bool) {
        let until = self.now + ms * MS;
        while !done(self) {
            assert!(self.step(until), "within {ms} ms: {what}\n{self:?}");
        }
    }

    /// Until all members that are up have applied the same.
    pub(crate) fn settle(&mut self) {
        self.run_until("all equal", 20_000, Self::is_settled);
    }

    pub(crate) fn is_settled(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let leader = &self.machines[&leader];
        let status = leader.up.as_ref().unwrap().status();
        let members = leader.state.membership.members();
        let mut members = members.filter_map(|(node, _)| self.machines.get(&node.0));
        status.commit == status.last
            && !leader.state.membership.is_joint()
            && members.all(|machine| {
                machine.up.is_none()
                    || (machine.state.applied.0 == status.last
                        && machine.up.as_ref().unwrap().status().term == status.term)
            })
    }

    fn at(&mut self, when: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((when, self.sequence), event);
    }

    fn step(&mut self, until: u64) -> bool {
        let Some(entry) = self.events.first_entry() else { return false };
        if entry.key().0 > until {
            return false;
        }
        let ((when, _), event) = entry.remove_entry();
        self.now = when;
        self.handle(event);
        true
    }

    fn is_running(&self, node: u64, boot: u64) -> bool {
        let machine = &self.machines[&node];
        machine.up.is_some() && machine.boot == boot
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { node, boot } if self.is_running(node, boot) => {
                self.on_tick(node);
                self.at(self.now + TICK, Event::Tick { node, boot });
            }
            Event::Deliver { from, store, to, message } => {
                let cut = self.cut.contains(&(from, to));
                let Some(machine) = self.machines.get_mut(&to) else { return };
                let Some(group) = machine.up.as_mut().filter(|_| !cut) else { return };
                let taken = group.on_message(NodeId(from), store, message, &mut machine.out);
                if let Err(reason) = taken {
                    *self.drops.entry(reason).or_default() += 1;
                }
                self.carry_out(to);
            }
            Event::Written { node, boot } if self.is_running(node, boot) => {
                self.machines.get_mut(&node).unwrap().on_written();
                self.check_vote(node);
                self.next_write(node);
                self.carry_out(node);
            }
            Event::Fetched { node, boot, from, index } if self.is_running(node, boot) => {
                self.on_fetched(node, from, index);
            }
            Event::Entries { node, boot, from, through, bytes } if self.is_running(node, boot) => {
                let mut left = bytes;
                let log = self.machines[&node].log.iter();
                let wanted = log.filter(|entry| (from..=through).contains(&entry.index));
                let taken = wanted.enumerate().take_while(|(at, entry)| {
                    let fits = *at == 0 || entry.data.len() as u64 <= left;
                    left = left.saturating_sub(entry.data.len() as u64);
                    fits
                });
                let mut entries: Vec<_> = taken.map(|(_, entry)| entry.clone()).collect();
                if entries.first().is_none_or(|entry| entry.index != from) {
                    entries.clear();
                }
                self.with(node, |group, out| group.on_entries_fetched(from, entries, out));
            }
            _ => {}
        }
    }

    /// What the disk has of votes, also of those that a crash let through.
    fn check_vote(&mut self, node: u64) {
        let machine = &self.machines[&node];
        let (term, vote) = machine.disk.vote;
        self.checker.on_vote(term, machine.store.0, vote);
    }

    fn on_tick(&mut self, node: u64) {
        let machine = self.machines.get_mut(&node).unwrap();
        let applied = machine.state.applied.0;
        if applied > machine.untold {
            machine.untold = applied;
            machine.group().on_applied(applied);
        }
        let taken = machine.disk.image.as_ref().map_or(0, |image| image.mark.index);
        if applied.saturating_sub(taken) >= self.snapshot_every {
            machine.take_snapshot(self.keep);
        }
        self.with(node, crate::Group::on_tick);
    }

    fn on_fetched(&mut self, node: u64, from: u64, index: u64) {
        let cut = self.cut.contains(&(from, node)) || self.cut.contains(&(node, from));
        let source = self.machines.get(&from).filter(|source| source.up.is_some() && !cut);
        let image = source.and_then(|source| source.disk.image.clone());
        match image.filter(|image| image.mark.index == index) {
            Some(image) => {
                self.machines.get_mut(&node).unwrap().fetched = Some(image);
                self.with(node, |group, out| group.on_snapshot_fetched(index, out));
            }
            None => {
                self.with(from, |group, out| group.on_snapshot_failed(NodeId(node), out));
            }
        }
    }

    fn within(&mut self, (low, high): (u64, u64)) -> u64 {
        self.now + low + self.net.below(high - low + 1)
    }

    fn next_write(&mut self, node: u64) {
        let machine = &self.machines[&node];
        if !machine.writes.is_empty() {
            let (boot, disk) = (machine.boot, self.weather.disk);
            let when = self.within(disk);
            self.at(when, Event::Written { node, boot });
        }
    }

    fn carry_out(&mut self, node: u64) {
        let effects = self.machines.get_mut(&node).unwrap().out.take();
        for effect in effects {
            let summary = format!("{} {node} {}", self.now, summary(&effect));
            self.digest = hash64(summary.as_bytes()) ^ self.digest.rotate_left(1);
            self.carry_out_one(node, effect);
        }
    }

    fn queue(&mut self, node: u64, write: Write) {
        let machine = self.machines.get_mut(&node).unwrap();
        machine.write(write);
        if machine.writes.len() == 1 {
            self.next_write(node);
        }
    }

    fn carry_out_one(&mut self, node: u64, effect: Effect) {
        let boot = self.machines[&node].boot;
        match effect {
            Effect::Vote { term, vote } => {
                self.queue(node, Write::Vote(term, vote));
            }
            Effect::Append { entries, commit } => {
                let first = entries[0].index;
                let machine = &self.machines[&node];
                let before = machine.log.iter().find(|entry| entry.index + 1 == first);
                let before = before.map_or_else(
                    || machine.disk.term_at(first - 1).unwrap_or(machine.disk.begin.1),
                    |entry| entry.term,
                );
                self.checker.on_append(&entries, before);
                let last = entries.last().unwrap().index;
                self.queue(node, Write::Append(entries, commit, last));
            }
            Effect::Send { to, message } => self.send(node, to.0, &message),
            Effect::Committed { entries } => {
                for entry in entries {
                    self.on_committed(node, &entry);
                }
            }
            Effect::Membership { index, membership } => {
                let state = &self.machines[&node].state;
                assert_eq!(state.applied.0, index, "the entry was the last of the effect before");
                assert_eq!(state.membership, membership);
                self.memberships += 1;
            }
            Effect::Role(status) => {
                if status.role == Role::Leader {
                    let machine = &self.machines[&node];
                    self.checker.on_leader(status.term, machine, machine.disk.begin.0);
                    self.elected_at = self.now;
                }
            }
            Effect::ReadState { context, index } => {
                let (_, told) = self.reads.remove(&context).expect("a read is answered once");
                assert!(index >= told, "a read sees what was told before it came");
                self.reads_done += 1;
            }
            Effect::ReadExpired { context } => {
                self.reads.remove(&context).expect("a read is answered once");
                self.reads_expired += 1;
            }
            Effect::EntriesWanted { from, through, bytes } => {
                *self.seen.entry("entries wanted").or_default() += 1;
                let when = self.within(self.weather.disk);
                self.at(when, Event::Entries { node, boot, from, through, bytes });
            }
            Effect::SnapshotWanted { .. } => {
                *self.seen.entry("snapshot wanted").or_default() += 1;
                let keep = self.keep;
                self.machines.get_mut(&node).unwrap().take_snapshot(keep);
            }
            Effect::FetchSnapshot { from, index, .. } => {
                *self.seen.entry("fetch").or_default() += 1;
                if !self.cut.contains(&(node, from.0)) {
                    self.with(from.0, |group, _| group.on_snapshot_progress(NodeId(node)));
                }
                let when = self.within((MS, 100 * MS));
                self.at(when, Event::Fetched { node, boot, from: from.0, index });
            }
            Effect::InstallSnapshot { index, membership, .. } => {
                *self.seen.entry("install").or_default() += 1;
                let image: Image = self.machines[&node].fetched.clone().unwrap();
                assert_eq!(image.mark.index, index);
                assert_eq!(image.mark.membership, membership);
                self.queue(node, Write::Install(image));
            }
        }
    }

    fn send(&mut self, from: u64, to: u64, message: &Message) {
        let copies = 1 + u64::from(self.net.below(1_000) < self.weather.doubled);
        for _ in 0..copies {
            if self.net.below(1_000) < self.weather.lost {
                continue;
            }
            let when = self.within(self.weather.delay);
            let store = self.machines[&from].store;
            self.at(when, Event::Deliver { from, store, to, message: message.clone() });
        }
    }

    fn on_committed(&mut self, node: u64, entry: &crate::Entry) {
        self.machines.get_mut(&node).unwrap().state.apply(entry);
        let state = &self.machines[&node].state;
        self.checker.on_state(entry.index, state.digest);
        if self.checker.on_committed(entry) {
            let holds = |node: NodeId| {
                let machine = self.machines.get(&node.0);
                machine.is_some_and(|machine| machine.disk.holds(entry.index, entry.term))
            };
            // A change of members counts from where it is handed out on. A leader that commits it
            // together with entries behind it commits those by the majority before: every majority
            // after has a node in common with that one.
            let durable =
                is_majority(&state.previous, holds) || is_majority(&state.membership, holds);
            assert!(durable, "what is committed is durable on a majority: {}", entry.index);
        }
        if let Some((index, term)) = self.proposals.get(&entry.data)
            && (*index, *term) == (entry.index, entry.term)
        {
            self.proposals.remove(&entry.data);
            self.told.insert(entry.data.clone(), entry.index);
            self.checker.told = self.checker.told.max(entry.index);
        }
    }
}

/// An effect as text, with the hash of each entry in place of its bytes.
fn summary(effect: &Effect) -> String {
    let brief = |entries: &[crate::Entry]| {
        let brief = entries.iter().map(|entry| (entry.index, entry.term, hash64(&entry.data)));
        format!("{:?}", brief.collect::<Vec<_>>())
    };
    match effect {
        Effect::Append { entries, commit } => format!("append {commit} {}", brief(entries)),
        Effect::Committed { entries } => format!("committed {}", brief(entries)),
        Effect::Send { to, message: Message::AppendEntries(append) } => {
            let place = (append.term, append.index, append.log_term, append.commit);
            format!("send {to} {place:?} {}", brief(&append.entries))
        }
        effect => format!("{effect:?}"),
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "at {} ms", self.now / MS)?;
        for (node, machine) in &self.machines {
            let status = machine.up.as_ref().map(crate::Group::status);
            writeln!(
                f,
                "{node} (store {}): {status:?}, applied {:?}, begin {:?}, {} writes, {:?}",
                machine.store,
                machine.state.applied,
                machine.disk.begin,
                machine.writes.len(),
                machine.state.membership.conf_state(),
            )?;
        }
        writeln!(f, "cut: {:?}, drops: {:?}", self.cut, self.drops)
    }
}
