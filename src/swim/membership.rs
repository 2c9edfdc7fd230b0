//! The core: foca, and what is built around it.

mod hearing;
#[cfg(test)]
mod inside;
mod probing;
mod searching;
mod suspecting;
mod syncing;

use crate::bridge::{Codec, Collected, Draw, read_packet};
use crate::config::{Config, ConfigError, jittered, transmissions};
use crate::data::Said;
use crate::datagram::{Addressee, Dropped, NEWS_BYTES_MAX, Outgoing, Talk};
use crate::identity::{Identity, Update};
use crate::keys::{KeyRing, Nonces};
use crate::member::{DataError, Happened, Member, MemberData, MemberEvent, MemberId, State};
use crate::news::News;
use crate::table::{Known, Table};
use crate::timers::Timers;
use base::{BootId, Instant, Now, Outbox, Prng, UnixMicros};
use foca::{Foca, NoCustomBroadcast, Timer};
use probing::Probes;
use searching::Searching;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use suspecting::Suspicions;
use syncing::Joining;
use wire::Kind;
use wire::tlv::ELEMENT_BYTES;

/// How many members are known at most, those that failed lately among them: who has no key, or uses
/// none, must not fill the memory with members that do not exist.
pub const MEMBERS_MAX: usize = 8_192;

/// A wake-up that is later than this means that this node did not run. Far above what a busy machine
/// delays a timer by, far below the probe timeout.
const STALL: Duration = Duration::from_millis(100);

/// How much slower than usual a node takes itself to be at most: nine times.
/// Source: Dadgar, Phillips and Currey 2018, "Lifeguard", section IV-A (there 8 as well).
const SLOWNESS_MAX: u32 = 8;

/// How often a change of the load alone is told to others at most.
const LOAD_EVERY: Duration = Duration::from_secs(5);

/// The change of load that is worth telling. Unit: thousandths.
const LOAD_STEP: u16 = 200;

/// How often a leaver says goodbye, and to how many each time: that none of thirty hears of it while
/// one datagram in five is lost has a probability of 10^-21.
const GOODBYES: u8 = 3;
const GOODBYE_MEMBERS: usize = 10;

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// At most [`crate::DATAGRAM_BYTES_MAX`].
        datagram: Vec<u8>,
    },
    /// The view has changed.
    Changed(MemberEvent),
    /// A member's data came by gossip, so long after it said them: by two machines' clocks of day,
    /// so as right as they agree.
    Heard {
        /// How long.
        took: Duration,
    },
    /// This member did not know its cluster, and has found it.
    Found {
        /// The cluster.
        cluster: u64,
    },
    /// Another process says that it is this member, in a later run. Whoever sees this should end:
    /// two nodes have one id, or this one is a copy.
    Usurped {
        /// Its run.
        boot: BootId,
        /// Where it is.
        address: SocketAddr,
    },
    /// Goodbye was said: nothing more comes.
    Left,
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members that this node found to have failed, by itself.
    pub detections: u64,
    /// Suspicions that this node came to by itself.
    pub suspicions: u64,
    /// Times that this node had to say that it is alive.
    pub refutations: u64,
    /// Times that this node was taken for failed, and came back.
    pub renewals: u64,
    /// Times that this node did not run for a while, by late wake-ups.
    pub stalls: u64,
    /// Views compared with another member's.
    pub syncs: u64,
    /// Of those, how many differed.
    pub differences: u64,
    /// Datagrams dropped, by reason.
    pub dropped: BTreeMap<Dropped, u64>,
}

/// Something to do later.
#[derive(Debug)]
enum Due {
    /// foca's.
    Foca(Timer<Identity>),
    /// Send news, if there are any.
    Gossip,
    /// Begin to probe those that this member watches.
    Round,
    /// Ask others to ask.
    Indirect { member: u64, probe: u64 },
    /// The probe is over.
    Verdict { member: u64, probe: u64 },
    /// The suspect had its time.
    Suspicion { member: u64, serial: u64 },
    /// Tell of the suspicion once more.
    Tell { member: u64, serial: u64 },
    /// Ask how it ended with those that are suspected.
    Doubt,
    /// Compare views.
    Sync,
    /// See whether somebody is there, and whether all seeds are.
    Join,
    /// Ask the group whether somebody is there.
    Search,
    /// Call one that failed: a network that was cut may be whole again.
    Call,
    /// Say goodbye once more.
    Goodbye,
}

/// One member's part in the cluster.
pub struct Membership {
    config: Config,
    foca: Foca<Identity, Codec, Draw, NoCustomBroadcast>,
    collected: Collected,
    table: Table,
    news: News,
    timers: Timers<Due>,
    prng: Prng,
    keys: Option<KeyRing>,
    nonces: Nonces,
    probes: Probes,
    suspicions: Suspicions,
    joining: Joining,
    searching: Searching,
    /// Of this member under its present name, as foca last said it.
    incarnation: u16,
    transmissions: u8,
    /// How much slower than usual this node takes itself to be: 0 as usual, 1 twice as slow.
    slowness: u32,
    /// A gossip is due.
    is_gossiping: bool,
    /// It will be asked how it ended with suspects.
    is_doubting: bool,
    /// When this member began.
    began: Instant,
    data: MemberData,
    data_version: u64,
    /// When the data were last told.
    told_at: Option<Instant>,
    /// How many goodbyes are still to be said, once this member leaves.
    goodbyes: Option<u8>,
    usurper: Option<u64>,
    counts: Counts,
    /// Where the last datagram came from that was dropped for this reason.
    dropped_from: BTreeMap<Dropped, SocketAddr>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("member", &self.config.member)
            .field("active", &(self.table.others() + 1))
            .field("slowness", &self.slowness)
            .finish_non_exhaustive()
    }
}

impl Membership {
    /// A member that knows nobody yet. `prng` decides all draws; `salt` is drawn from the system's
    /// generator for this run, and makes the nonces of sealed datagrams its own (any number does
    /// where there are no keys).
    ///
    /// # Errors
    /// The configuration cannot work.
    pub fn new(
        config: Config,
        data: MemberData,
        keys: Option<KeyRing>,
        salt: u64,
        mut prng: Prng,
    ) -> Result<Self, StartError> {
        config.check()?;
        data.check()?;
        let identity = Identity {
            member: config.member.0,
            boot: config.boot.0,
            renewal: 0,
            address: SocketAddr::new(config.address.ip().to_canonical(), config.address.port()),
            leaving: false,
        };
        let transmissions = transmissions(1);
        let draw = Draw(prng.fork("foca"));
        Ok(Self {
            foca: Foca::new(identity, config.foca(transmissions), draw, Codec),
            collected: Collected::default(),
            table: Table::new(identity.member, identity.boot),
            news: News::default(),
            timers: Timers::new(),
            keys,
            nonces: Nonces::new(salt),
            probes: Probes::default(),
            suspicions: Suspicions::default(),
            joining: Joining::default(),
            searching: Searching::default(),
            incarnation: 0,
            transmissions,
            slowness: 0,
            is_gossiping: false,
            is_doubting: false,
            began: Instant(0),
            data,
            data_version: 0,
            told_at: None,
            goodbyes: None,
            usurper: None,
            counts: Counts::default(),
            dropped_from: BTreeMap::new(),
            prng,
            config,
        })
    }

    /// Begins: says what this member is, and asks the seeds.
    pub fn on_start(&mut self, now: Now, out: &mut Outbox<Effect>) {
        if self.goodbyes.is_some() {
            return;
        }
        self.began = now.instant;
        self.tell(now);
        let period = self.config.pace.period;
        // Members that were started together watch at different times.
        let first = period * u32::try_from(self.prng.below(1_000)).expect("below 1,000") / 1_000;
        self.after(now, first, Due::Round);
        self.sync_after(now, self.config.pace.sync);
        let call = jittered(syncing::CALL_EVERY, &mut self.prng);
        self.after(now, call, Due::Call);
        self.join(now, out);
        self.search(now, out);
        self.settle(now, out);
    }

    /// When [`Self::on_deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The deadline has come.
    pub fn on_deadline(&mut self, now: Now, out: &mut Outbox<Effect>) {
        self.see_stall(now);
        while let Some(due) = self.timers.take(now.instant) {
            self.on_due(now, due, out);
            self.settle(now, out);
        }
    }

    fn on_due(&mut self, now: Now, due: Due, out: &mut Outbox<Effect>) {
        match due {
            Due::Foca(timer) => {
                if let Timer::RemoveDown(identity) = &timer {
                    self.table.forget(identity);
                }
                // The one error there is: the cycle of probes was not complete. foca says so and
                // goes on.
                let _ = self.foca.handle_timer(timer, &mut self.collected);
            }
            Due::Gossip => {
                self.is_gossiping = false;
                self.send_news();
            }
            Due::Round => self.on_round(now, out),
            Due::Indirect { member, probe } => self.on_indirect(now, member, probe, out),
            Due::Verdict { member, probe } => self.on_verdict(now, member, probe, out),
            Due::Suspicion { member, serial } => self.on_suspicion_over(now, member, serial, out),
            Due::Tell { member, serial } => self.on_tell(now, member, serial, out),
            Due::Doubt => self.on_doubt(now, out),
            Due::Sync => self.on_sync_due(now, out),
            Due::Join => self.join(now, out),
            Due::Search => self.search(now, out),
            Due::Call => self.on_call(now, out),
            Due::Goodbye => self.say_goodbye(now, out),
        }
    }

    /// What this member says of itself from now on.
    ///
    /// # Errors
    /// A text is too long; nothing has changed.
    pub fn set_data(
        &mut self,
        now: Now,
        data: MemberData,
        out: &mut Outbox<Effect>,
    ) -> Result<(), DataError> {
        data.check()?;
        let load = data.load_permille;
        let same = MemberData { load_permille: self.data.load_permille, ..data.clone() };
        let is_load_alone = same == self.data;
        let step = load.abs_diff(self.data.load_permille);
        let is_early = self.told_at.is_some_and(|at| now.instant.since(at) < LOAD_EVERY);
        if is_load_alone && (step < LOAD_STEP || is_early) {
            return Ok(());
        }
        self.data = data;
        if self.goodbyes.is_none() {
            self.tell(now);
            if !is_load_alone {
                // A new leader is not to wait for the next gossip to be found.
                self.send_news();
            }
            self.settle(now, out);
        }
        Ok(())
    }

    /// The cluster is known now, from a better source than gossip.
    pub fn set_cluster(&mut self, cluster: u64) {
        self.config.cluster = Some(cluster);
    }

    /// The cluster, if it is known.
    pub fn cluster(&self) -> Option<u64> {
        self.config.cluster
    }

    /// Other keys: from now on the first one seals.
    pub fn set_keys(&mut self, keys: Option<KeyRing>) {
        self.keys = keys;
    }

    /// Says goodbye: a few members are told, three times; then comes [`Effect::Left`]. What is
    /// received from now on is dropped.
    pub fn leave(&mut self, now: Now, out: &mut Outbox<Effect>) {
        if self.goodbyes.is_none() {
            self.goodbyes = Some(GOODBYES);
            self.timers.clear();
            self.say_goodbye(now, out);
        }
    }

    fn say_goodbye(&mut self, now: Now, out: &mut Outbox<Effect>) {
        let left = self.goodbyes.unwrap_or(0);
        if left == 0 || self.table.others() == 0 {
            out.push(Effect::Left);
            return;
        }
        self.goodbyes = Some(left - 1);
        let own = self.own();
        let goodbye = Update {
            identity: Identity { leaving: true, ..own.identity },
            state: State::Left,
            ..own
        };
        for member in self.table.draw(GOODBYE_MEMBERS, 0, &mut self.prng) {
            let talk = Talk::new(Kind::MEMBERSHIP_UPDATE, own, member.identity);
            self.post(now, &talk, &goodbye.encode(), &[], b"", out);
        }
        self.after(now, self.config.pace.interval, Due::Goodbye);
    }

    /// All members that are known, this one among them, by their ids.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        let own = self.own();
        let own = Known {
            identity: own.identity,
            incarnation: own.incarnation,
            state: if self.goodbyes.is_some() { State::Left } else { State::Alive },
            since: self.began,
        };
        let (below, above): (Vec<_>, Vec<_>) =
            self.table.iter().partition(|known| known.identity.member < own.identity.member);
        let own = self.table.member(&own);
        let below = below.into_iter().map(|known| self.table.member(known));
        below.chain([own]).chain(above.into_iter().map(|known| self.table.member(known)))
    }

    /// The states of all members, this one's included.
    pub fn states(&self) -> impl Iterator<Item = State> + '_ {
        self.table.iter().map(|known| known.state).chain([State::Alive])
    }

    /// One member, other than this one.
    pub fn member(&self, id: MemberId) -> Option<Member> {
        self.table.get(id.0).map(|known| self.table.member(known))
    }

    /// How many members are active, this one included.
    pub fn active(&self) -> usize {
        self.table.others() + 1
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Where the last datagram came from that was dropped, by reason.
    pub fn dropped_from(&self) -> &BTreeMap<Dropped, SocketAddr> {
        &self.dropped_from
    }

    /// How much slower than usual this node takes itself to be: 0 as usual, 1 twice as slow.
    pub fn slowness(&self) -> u32 {
        self.slowness
    }

    /// This member as it is now.
    fn own(&self) -> Update {
        let identity = *self.foca.identity();
        Update { identity, incarnation: self.incarnation, state: State::Alive }
    }

    fn after(&mut self, now: Now, delay: Duration, due: Due) {
        self.timers.put(now.instant + delay, due);
    }

    /// A time of foca's or ours, as long as this node is slow.
    fn scaled(&self, time: Duration) -> Duration {
        time * (1 + self.slowness)
    }

    fn set_slowness(&mut self, slowness: u32) {
        self.slowness = slowness.min(SLOWNESS_MAX);
    }

    /// A node that did not run for a while has missed answers, not their senders: all that was to
    /// happen happens so much later.
    fn see_stall(&mut self, now: Now) {
        let Some(next) = self.timers.next() else { return };
        let late = now.instant.since(next);
        if late > STALL {
            self.timers.shift(late);
            self.suspicions.shift(late);
            self.counts.stalls += 1;
        }
    }

    /// This member's data are news.
    fn tell(&mut self, now: Now) {
        self.data_version += 1;
        let own = self.own().identity;
        let name = (own.member, own.boot);
        let said = Said::new(name, self.data_version, now.wall, self.data.clone());
        assert!(self.table.hear(Arc::new(said)), "a version of one's own is always newer");
        self.news.put(own.member, self.transmissions);
        self.told_at = Some(now.instant);
    }

    /// Sends what there is to tell to a few members.
    fn send_news(&mut self) {
        // It fails only where a codec does, and ours does not.
        let _ = self.foca.gossip(&mut self.collected);
    }

    /// Carries out what foca asked for, until it asks for nothing more.
    fn settle(&mut self, now: Now, out: &mut Outbox<Effect>) {
        loop {
            let renewals = std::mem::take(&mut self.collected.renewals);
            if renewals > 0 {
                self.counts.renewals += renewals;
                self.incarnation = 0;
            }
            let timers = std::mem::take(&mut self.collected.timers);
            let sends = std::mem::take(&mut self.collected.sends);
            if timers.is_empty() && sends.is_empty() {
                break;
            }
            for packet in sends {
                self.post_packet(now, &packet, out);
            }
            for (timer, after) in timers {
                self.on_foca_timer(now, timer, after, out);
            }
        }
        let has_news = self.foca.updates_backlog() > 0 || !self.news.is_empty();
        if has_news && !self.is_gossiping && self.table.others() > 0 && self.goodbyes.is_none() {
            self.is_gossiping = true;
            self.after(now, self.config.pace.interval, Due::Gossip);
        }
    }

    fn on_foca_timer(
        &mut self,
        now: Now,
        timer: Timer<Identity>,
        after: Duration,
        out: &mut Outbox<Effect>,
    ) {
        match timer {
            // How long a suspicion lasts is ours to say; that there is one is foca's.
            Timer::ChangeSuspectToDown { member_id, incarnation, .. } => {
                self.suspect(now, member_id, incarnation, out);
            }
            Timer::ProbeRandomMember(_) | Timer::SendIndirectProbe { .. } => {
                self.after(now, self.scaled(after), Due::Foca(timer));
            }
            other => self.after(now, after, Due::Foca(other)),
        }
    }

    /// Sends what foca says.
    fn post_packet(&mut self, now: Now, packet: &[u8], out: &mut Outbox<Effect>) {
        let (talk, updates) = read_packet(packet).expect("foca sends what our codec wrote");
        if talk.from.identity == *self.foca.identity() {
            let refuted = talk.from.incarnation.saturating_sub(self.incarnation);
            self.counts.refutations += u64::from(refuted);
            self.incarnation = talk.from.incarnation;
        }
        self.post(now, &talk, updates, &[], b"", out);
    }

    /// Sends a message to the name that it is for, with the data of `about` and whatever news there
    /// is room for.
    fn post(
        &mut self,
        now: Now,
        talk: &Talk,
        updates: &[u8],
        about: &[u64],
        digests: &[u8],
        out: &mut Outbox<Effect>,
    ) {
        let to = Addressee { member: talk.to.member, boot: talk.to.boot, renewal: talk.to.renewal };
        self.post_to(now, talk, to, updates, about, digests, out);
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one datagram")]
    fn post_to(
        &mut self,
        now: Now,
        talk: &Talk,
        to: Addressee,
        updates: &[u8],
        about: &[u64],
        digests: &[u8],
        out: &mut Outbox<Effect>,
    ) {
        let table = &self.table;
        let bytes_of = |member| table.said(member).map(|said| said.record.len() + ELEMENT_BYTES);
        let taken: usize = about.iter().filter_map(|member| bytes_of(*member)).sum();
        let room = NEWS_BYTES_MAX.checked_sub(updates.len() + digests.len() + taken);
        let room = room.expect("what must be said was counted");
        // One that is taken for failed does not listen, nor does whoever is searched for; a page is full.
        let is_alone = matches!(talk.kind, Kind::GOSSIP_FAILED | Kind::GOSSIP_SEARCH) || talk.flag;
        let news = if is_alone { Vec::new() } else { self.news.take(room, bytes_of) };
        let news = news.iter().filter(|member| !about.contains(member));
        let members = about.iter().chain(news);
        let data: Vec<&[u8]> =
            members.filter_map(|member| table.said(*member)).map(|said| &said.record[..]).collect();
        let cluster = self.config.cluster.unwrap_or(0);
        let frame = Outgoing { cluster, talk, to, updates, data: &data, digests }.encode(now.wall);
        let datagram = match &self.keys {
            Some(keys) => keys.seal(&frame, self.nonces.next(), now.wall),
            None => frame,
        };
        out.push(Effect::Send { to: talk.to.address, datagram });
    }

    /// Takes an update into the view, and says what happened.
    fn note(&mut self, now: Now, update: &Update, out: &mut Outbox<Effect>) {
        let before = self.table.apply(update, now.instant);
        let member = update.identity.member;
        let is_doubted = update.state == State::Suspected;
        if !is_doubted {
            self.suspicions.settle(member);
        } else if !self.is_doubting {
            self.is_doubting = true;
            self.after(now, self.config.pace.period * syncing::DOUBTS_AFTER, Due::Doubt);
        }
        if !update.state.is_active() {
            self.probes.remove(member);
            self.news.remove(member);
        }
        let transmissions = transmissions(self.table.others() + 1);
        if transmissions != self.transmissions {
            self.transmissions = transmissions;
            let config = self.config.foca(transmissions);
            self.foca.set_config(config).expect("only how often news are sent has changed");
        }
        if let Some(what) = happened(before, update) {
            if what == Happened::Joined {
                self.sync_soon(now);
            }
            self.changed(what, member, out);
        }
    }

    fn changed(&mut self, what: Happened, member: u64, out: &mut Outbox<Effect>) {
        if let Some(known) = self.table.get(member) {
            out.push(Effect::Changed(MemberEvent { what, member: self.table.member(known) }));
        }
    }

    /// An update of our own making: into the view, and to foca, which tells it to others.
    fn decide(&mut self, now: Now, update: &Update, out: &mut Outbox<Effect>) {
        if self.table.is_news(update) {
            self.note(now, update, out);
            self.teach(&[*update], true);
        }
    }

    /// Tells foca what the view has already. `aloud`: it is news to others as well.
    fn teach(&mut self, updates: &[Update], aloud: bool) {
        let members = updates.iter().map(|update| update.to_foca());
        // It fails only where a codec does, and ours does not.
        let _ = self.foca.apply_many(members, aloud, &mut self.collected);
    }
}

/// What an update means to people.
fn happened(before: Option<Known>, update: &Update) -> Option<Happened> {
    let was = before.map(|known| known.state);
    let was_active = was.is_some_and(State::is_active);
    let is_new_run = before.is_some_and(|known| known.identity.boot != update.identity.boot);
    match update.state {
        State::Alive | State::Suspected if !was_active || is_new_run => Some(Happened::Joined),
        State::Alive if was == Some(State::Suspected) => Some(Happened::Refuted),
        State::Suspected if was == Some(State::Alive) => Some(Happened::Suspected),
        State::Failed if was_active => Some(Happened::Failed),
        State::Left if was_active => Some(Happened::Left),
        _ => None,
    }
}

/// Why a member cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What it would say of itself.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// How old what was said is.
fn age(now: UnixMicros, at: UnixMicros) -> Duration {
    now.since(at)
}
