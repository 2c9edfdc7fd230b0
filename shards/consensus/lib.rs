//! Pumps the [`ConsensusCore`]: reads the journal at the start, then writes it, and the snapshots,
//! and keeps the [`Links`] to the other coordinators. It decides nothing.
//!
//! Invariants:
//! - a failed write or fdatasync of the journal is never answered to the mind: the process ends
//!   with the reason (SOUNDNESS 3);
//! - effects on one file are carried out in the order in which the mind gave them.

mod files;
mod links;
mod open;
mod snapshots;

pub use links::Links;
pub use open::{OpenError, Opened, Options, Progress, open};

use base::{Address, CoreId, Instant, NodeId, Now, Outbox, StoreId};
use engine::cluster::{Everybody, Probed};
use engine::founding::Card;
use engine::message::{ConsensusStatus, Packet, ToConsensus, ToShard};
use engine::peer::PeerMessage;
use engine::{ConsensusCore, ConsensusEffect, FetchEffect, ReadBack};
use files::Files;
use journal::{Buffers, Effect, File, Token};
use runtime::{DmaBuffer, LocalNotify, TaskSet};
use snapshots::SnapshotFiles;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Where a mind's packets go: the core and the packet.
pub type Sink = Box<dyn Fn(CoreId, Packet)>;

/// What a mind says beside its work.
pub trait Host {
    /// Something that is as it should be.
    fn note(&self, text: &str);
    /// Something an operator should see.
    fn notice(&self, text: &str);
    /// The journal cannot be carried on. Does not return to normal work: the process ends.
    fn fatal(&self, reason: &str);
}

/// Buffers that direct I/O takes as they are.
#[derive(Debug, Default)]
pub struct DmaBuffers;

impl Buffers for DmaBuffers {
    type Buffer = DmaBuffer;

    fn allocate(&mut self, bytes: usize) -> DmaBuffer {
        DmaBuffer::zeroed(bytes)
    }
}

/// The consensus role of one core.
#[derive(Clone)]
pub struct Consensus {
    inner: Rc<Inner>,
}

struct Inner {
    mind: RefCell<ConsensusCore<DmaBuffers>>,
    out: RefCell<Outbox<ConsensusEffect<DmaBuffer>>>,
    files: Files,
    snapshots: SnapshotFiles,
    sink: Sink,
    wake: Rc<LocalNotify>,
    host: Rc<dyn Host>,
    /// None: the node has no address for peers.
    links: Option<Links>,
    /// Who leads, and in which term, as was last told.
    lead: Cell<Option<(Option<NodeId>, u64)>>,
    tasks: TaskSet,
}

impl std::fmt::Debug for Consensus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consensus").field("mind", &self.inner.mind.borrow()).finish_non_exhaustive()
    }
}

impl Consensus {
    /// The role around a mind that [`open`] made. Takes office at once.
    pub fn start(
        opened: Opened,
        sink: Sink,
        wake: Rc<LocalNotify>,
        host: Rc<dyn Host>,
        links: Option<Links>,
    ) -> Self {
        let Opened { mind, files, snapshots, notices, .. } = opened;
        let inner = Inner {
            mind: RefCell::new(mind),
            out: RefCell::new(Outbox::new()),
            files,
            snapshots,
            sink,
            wake,
            host,
            links,
            lead: Cell::new(None),
            tasks: TaskSet::new(),
        };
        let role = Self { inner: Rc::new(inner) };
        for notice in notices {
            role.inner.host.notice(&notice);
        }
        if let Some(links) = &role.inner.links {
            links.begin(&role);
        }
        role.with(ConsensusCore::on_start);
        role
    }

    /// A shard's packet.
    pub fn on_packet(&self, from: CoreId, message: ToConsensus) {
        self.with(|mind, now, out| mind.on_packet(now, from, message, out));
    }

    /// A message of another coordinator.
    pub(crate) fn on_peer(&self, from: NodeId, store: StoreId, message: PeerMessage) {
        self.with(|mind, now, out| mind.on_peer(now, from, store, message, out));
    }

    /// The link to a coordinator is there.
    pub(crate) fn on_peer_up(&self, node: NodeId) {
        self.with(|mind, now, out| mind.on_peer_up(now, node, out));
        self.count_links();
    }

    /// The link to a coordinator broke, or cannot be made.
    pub(crate) fn on_peer_down(&self, node: NodeId, refused: bool) {
        self.with(|mind, now, out| mind.on_peer_down(now, node, refused, out));
        self.count_links();
    }

    fn count_links(&self) {
        let links = self.inner.links.as_ref().map_or(0, Links::count);
        self.inner.mind.borrow().metrics().peer_links.set_count(links);
    }

    /// Who is there by this node's gossip, for those who ask.
    pub fn on_everybody(&self, everybody: Everybody) {
        self.inner.mind.borrow_mut().on_everybody(everybody);
    }

    /// The end of a round.
    pub fn flush(&self) {
        self.with(ConsensusCore::on_flush);
    }

    /// When [`Self::on_deadline`] is due.
    pub fn deadline(&self) -> Instant {
        self.inner.mind.borrow().deadline(runtime::now())
    }

    /// The deadline has come.
    pub fn on_deadline(&self) {
        self.with(ConsensusCore::on_deadline);
    }

    /// How the group fares.
    pub fn status(&self) -> ConsensusStatus {
        self.inner.mind.borrow().status()
    }

    /// Nothing new is taken from now on.
    pub fn stop(&self) {
        self.inner.mind.borrow_mut().on_stop();
    }

    /// Whether everything taken is durable.
    pub fn is_drained(&self) -> bool {
        self.inner.mind.borrow().is_drained()
    }

    /// Ends what is still under way on the disks, without waiting for it.
    pub async fn close(&self) {
        if let Some(links) = &self.inner.links {
            links.close().await;
        }
        self.inner.tasks.cancel_all().await;
        self.inner.files.close().await;
    }

    fn with(
        &self,
        call: impl FnOnce(&mut ConsensusCore<DmaBuffers>, Now, &mut Outbox<ConsensusEffect<DmaBuffer>>),
    ) {
        let now = runtime::now();
        call(&mut self.inner.mind.borrow_mut(), now, &mut self.inner.out.borrow_mut());
        let effects = self.inner.out.borrow_mut().take();
        for effect in effects {
            self.carry_out_one(effect);
        }
    }

    fn carry_out_one(&self, effect: ConsensusEffect<DmaBuffer>) {
        match effect {
            ConsensusEffect::ToShard { to, message } => {
                if let ToShard::Role { leading, term, leader } = message {
                    self.tell_lead(leading, term, leader);
                }
                (self.inner.sink)(to, Packet::Shard(message));
            }
            ConsensusEffect::Members(members) => match &self.inner.links {
                Some(links) => links.on_members(members),
                None if members.members().len() > 1 => self.inner.host.fatal(
                    "this node belongs to a cluster of several, and has no address for the others \
                     to reach it: start it with --peer ADDRESS",
                ),
                None => {}
            },
            ConsensusEffect::Peer { to, message } => {
                let links = self.inner.links.as_ref();
                if !links.is_some_and(|links| links.send(to, &message)) {
                    self.inner.mind.borrow().metrics().peer_messages_unsent.increment();
                }
            }
            ConsensusEffect::Probe { ticket, address } => self.probe(ticket, address),
            ConsensusEffect::ReadEntries(wanted) => self.read_entries(wanted),
            ConsensusEffect::ReadSnapshot { to, index, offset, bytes } => {
                self.read_snapshot(to, (index, offset), bytes);
            }
            ConsensusEffect::Fetch(effect) => self.fetch(effect),
            ConsensusEffect::Notice(text) => self.inner.host.notice(&text),
            ConsensusEffect::Journal(effect) => self.on_journal(effect),
            ConsensusEffect::Snapshot(effect) => {
                let role = self.clone();
                self.inner.tasks.spawn(async move {
                    let result = role.inner.snapshots.carry_out(effect).await;
                    if let Some(result) = result {
                        role.with(|mind, now, out| mind.on_snapshot_done(now, result, out));
                        role.inner.wake.notify();
                    }
                });
            }
        }
    }

    fn probe(&self, ticket: u64, address: Address) {
        let role = self.clone();
        self.inner.tasks.spawn(async move {
            let found = match &role.inner.links {
                Some(links) => links.ask(&address).await,
                None => Err("this node has no address of its own: start it with --peer".to_owned()),
            };
            let found =
                found.map(|Card { node, store, cluster, .. }| Probed { node, store, cluster });
            role.with(|mind, now, out| mind.on_probed(now, ticket, found, out));
            role.inner.wake.notify();
        });
    }

    fn read_entries(&self, wanted: ReadBack) {
        let role = self.clone();
        self.inner.tasks.spawn(async move {
            let stretch = &wanted.stretch;
            let bytes = usize::try_from(stretch.bytes()).expect("a stretch fits memory");
            let read = role.inner.files.read(stretch.file(), stretch.offset(), bytes).await;
            let read = read.as_deref().map_err(Clone::clone);
            role.with(|mind, now, out| mind.on_entries_read(now, &wanted, read, out));
            role.inner.wake.notify();
        });
    }

    fn read_snapshot(&self, to: NodeId, at: (u64, u64), bytes: usize) {
        let role = self.clone();
        self.inner.tasks.spawn(async move {
            let read = role.inner.snapshots.read(at.0, at.1, bytes).await;
            let read = read.unwrap_or_else(|reason| {
                let text = format!("a snapshot cannot be read for node {to}: {reason}");
                role.inner.host.notice(&text);
                None
            });
            role.with(|mind, now, out| mind.on_snapshot_read(now, to, at, read, out));
            role.inner.wake.notify();
        });
    }

    fn fetch(&self, effect: FetchEffect) {
        let role = self.clone();
        let is_kept = matches!(effect, FetchEffect::Keep { .. });
        self.inner.tasks.spawn(async move {
            match role.inner.snapshots.fetch(effect).await {
                Some(Err(reason)) if is_kept => role.inner.host.fatal(&format!(
                    "a snapshot of another node could not be given its name: {reason}. See to the \
                     disk, then start again"
                )),
                Some(done) => {
                    role.with(|mind, now, out| mind.on_fetch_done(now, done, out));
                    role.inner.wake.notify();
                }
                None => {}
            }
        });
    }

    /// Once for each change, for operators.
    fn tell_lead(&self, leading: bool, term: u64, leader: Option<NodeId>) {
        if self.inner.lead.replace(Some((leader, term))) == Some((leader, term)) {
            return;
        }
        if let Some(links) = &self.inner.links {
            links.set_leading(leading);
        }
        let text = match leader {
            Some(_) if leading => format!("this node leads in term {term}"),
            Some(leader) => format!("node {leader} leads in term {term}"),
            None => format!("nobody is known to lead in term {term}"),
        };
        self.inner.host.note(&text);
    }

    fn on_journal(&self, effect: Effect<DmaBuffer>) {
        let role = self.clone();
        match effect {
            Effect::Write { token, file, offset, bytes } => {
                self.inner.mind.borrow().metrics().journal_written.add(bytes.len() as u64);
                self.inner.tasks.spawn(async move {
                    let done = role.inner.files.write(file, offset, bytes).await;
                    role.on_done(token, done.map_err(|error| error.to_string()));
                });
            }
            Effect::Sync { token, file } => self.inner.tasks.spawn(async move {
                role.sync(token, file).await;
            }),
            Effect::Prepare { token, slot, bytes } => self.inner.tasks.spawn(async move {
                match role.inner.files.prepare(slot, bytes).await {
                    Err(error) if error.is_no_space() => {
                        role.with(|mind, now, out| mind.on_prepare_failed(now, token, out));
                    }
                    done => role.on_done(token, done.map_err(|error| error.to_string())),
                }
            }),
            Effect::Remove { slot } => self.inner.tasks.spawn(async move {
                // A segment that stays is read and found superseded at the next start.
                if let Err(error) = role.inner.files.remove(slot).await {
                    role.inner.host.notice(&error.to_string());
                }
            }),
            Effect::Durable { .. } | Effect::VoteDurable => {
                unreachable!("the mind keeps these to itself")
            }
        }
    }

    async fn sync(&self, token: Token, file: File) {
        let began = runtime::instant();
        let done = self.inner.files.sync(file).await;
        let took: Duration = runtime::instant().since(began);
        {
            let mind = self.inner.mind.borrow();
            mind.metrics().journal_syncs.increment();
            mind.metrics().journal_sync_duration.observe_duration(took);
        }
        self.on_done(token, done.map_err(|error| error.to_string()));
    }

    fn on_done(&self, token: Token, done: Result<(), String>) {
        match done {
            Ok(()) => {
                self.with(|mind, now, out| mind.on_journal_done(now, token, out));
                self.inner.wake.notify();
            }
            Err(reason) => self.inner.host.fatal(&format!(
                "the journal could not be written: {reason}. What was not answered yet may be \
                 lost, what was is safe. See to the disk, then start again"
            )),
        }
    }
}
