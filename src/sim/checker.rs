//! What must hold, looked at from outside: the world sees all nodes at once and keeps account.
//!
//! At each step:
//! - one leader per term;
//! - an index holds one entry, for good and on all nodes; entries come without a gap;
//! - within one run of a process what it knows committed never shrinks;
//! - stamps never go back, and within a term they run at most 1.1 times as fast as time itself
//!   (SOUNDNESS 9);
//! - two logs that have an entry of one index and term have the same entry there, behind entries of
//!   the same term: by all that leaders send;
//! - a data directory votes for one candidate in a term, whatever its process went through;
//! - a data directory that took the place of a lost one never votes (SOUNDNESS 4);
//! - what nodes send keeps its bounds;
//! - an order goes out only where its shard was told that it leads, after that term's first entry
//!   was applied there (SOUNDNESS 12).
//!
//! At each checkpoint of the log: every node's state is equal, whatever its cores.
//!
//! At rest: no session was admitted beyond a gap (SOUNDNESS 11); what was acknowledged is there, once, with its body; nothing is there that nobody sent;
//! every instance ended, each task with one result.

use crate::clients::Clients;
use crate::keyed;
use crate::marks::{Mark, Marks};
use crate::node::Node;
use crate::read::Read;
use base::{BootId, CoreId, Instant, MessageId, NodeId, PartitionId, StoreId, UnixMicros, hash64};
use engine::batch::BatchView;
use engine::message::Committed;
use engine::peer::PeerMessage;
use engine::{Membership, Partition};
use quorum::{Append, Message};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// States are compared after every entry whose index is a multiple of this.
pub(crate) const CHECKPOINT_ENTRIES: u64 = 64;
/// Rounding of the stamps of a term, all together. Unit: microseconds.
const STAMP_SLACK_US: u64 = 1_000;

/// A message of entries: 1 MiB, or one entry alone.
const APPEND_BYTES_MAX: u64 = quorum::MESSAGE_BYTES_MAX;
/// A piece of a snapshot.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// How a term began.
#[derive(Clone, Copy, Debug)]
struct Office {
    leader: NodeId,
    since: Instant,
    /// The first stamp given in it.
    first_stamp: Option<UnixMicros>,
}

/// What is kept account of.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    offices: BTreeMap<u64, Office>,
    /// By index, from 1: term and content.
    entries: Vec<(u64, u64)>,
    stamp: UnixMicros,
    first_of_term: BTreeMap<u64, u64>,
    /// By index and term, of all that leaders have sent: the term of the entry before, the content.
    sent: BTreeMap<(u64, u64), (u64, u64)>,
    /// Data directories that took the place of a voter's and were not added since.
    wiped: BTreeSet<StoreId>,
    /// By data directory and term: for whom it voted.
    votes: BTreeMap<(StoreId, u64), NodeId>,
    /// By session: the highest number that the log has, and up to where its numbers came in order.
    sessions: BTreeMap<(NodeId, BootId, CoreId), (u64, u64)>,
    /// By place: what its process knows committed, and how many of its entries were looked at.
    runs: BTreeMap<usize, (u64, usize)>,
    /// At checkpoints, by the entry; and at rest, where all is hashed anew.
    states: BTreeMap<(u64, Option<PartitionId>), u64>,
    at_rest: BTreeMap<(u64, Option<PartitionId>), u64>,
    read: Read,
    last_leader: Option<NodeId>,
}

impl Checker {
    /// A process begins.
    pub(crate) fn on_start(&mut self, place: usize) {
        self.runs.insert(place, (0, 0));
    }

    /// A data directory takes the place of a voter's.
    pub(crate) fn on_wiped(&mut self, store: StoreId) {
        self.wiped.insert(store);
    }

    /// A node says who belongs to the group.
    pub(crate) fn on_members(&mut self, members: &Membership) {
        for (_, member) in members.members() {
            self.wiped.remove(&member.store);
        }
    }

    /// A process has done something.
    pub(crate) fn on_step(
        &mut self,
        place: usize,
        node: &Node,
        instant: Instant,
        marks: &mut Marks,
    ) -> Result<(), String> {
        let status = node.status();
        let (commit, seen) = self.runs.entry(place).or_default();
        if status.commit < *commit {
            return Err(format!("{} knew {commit} committed, now {status:?}", node.name()));
        }
        *commit = status.commit;
        let news = &node.committed[*seen..];
        *seen = node.committed.len();
        if status.leading {
            self.on_leader(status.term, node.name(), instant, marks)?;
        }
        for entry in news {
            self.on_entry(node.name(), entry, instant, marks)?;
        }
        Ok(())
    }

    /// A node sends something to another.
    pub(crate) fn on_sent(
        &mut self,
        from: NodeId,
        store: StoreId,
        to: NodeId,
        message: &PeerMessage,
    ) -> Result<(), String> {
        match message {
            PeerMessage::Raft(Message::AppendEntries(append)) => self.on_append(from, append),
            PeerMessage::Raft(Message::RequestVote(candidacy)) => {
                self.on_vote(store, candidacy.term, from)
            }
            PeerMessage::Raft(Message::RequestVoteResponse(ballot)) if !ballot.reject => {
                self.on_vote(store, ballot.term, to)
            }
            PeerMessage::Forward(forward)
                if forward.section.len() > base::limits::ENTRY_BYTES_MAX =>
            {
                Err(format!("{from} forwards a batch of {} bytes", forward.section.len()))
            }
            PeerMessage::SnapshotPiece { data, .. } if data.len() > PIECE_BYTES_MAX => {
                Err(format!("{from} sends a piece of {} bytes", data.len()))
            }
            _ => Ok(()),
        }
    }

    /// Somebody who stands has voted for itself.
    fn on_vote(&mut self, store: StoreId, term: u64, to: NodeId) -> Result<(), String> {
        if self.wiped.contains(&store) {
            return Err(format!("data directory {store} votes, and no member has it"));
        }
        let first = *self.votes.entry((store, term)).or_insert(to);
        if first == to {
            return Ok(());
        }
        Err(format!("data directory {store} votes for {first} and for {to} in term {term}"))
    }

    fn on_append(&mut self, from: NodeId, append: &Append) -> Result<(), String> {
        let (mut index, mut before) = (append.index, append.log_term);
        let mut bytes = 0;
        for entry in &append.entries {
            index += 1;
            bytes += entry.data.len() as u64;
            if entry.index != index || entry.term < before {
                return Err(format!(
                    "{from} sends entry {} of term {} behind {} of term {before}",
                    entry.index,
                    entry.term,
                    index - 1
                ));
            }
            let content = (before, hash64(&entry.data));
            let known = *self.sent.entry((index, entry.term)).or_insert(content);
            if known != content {
                return Err(format!(
                    "{from} sends as entry {index} of term {} what is not the same as before",
                    entry.term
                ));
            }
            before = entry.term;
        }
        if append.entries.len() > 1 && bytes > APPEND_BYTES_MAX {
            return Err(format!("{from} sends {bytes} bytes of entries together"));
        }
        Ok(())
    }

    fn on_leader(
        &mut self,
        term: u64,
        leader: NodeId,
        since: Instant,
        marks: &mut Marks,
    ) -> Result<(), String> {
        let office = self.offices.entry(term).or_insert_with(|| {
            let changed = self.last_leader.replace(leader).is_some_and(|last| last != leader);
            marks.reach_if(Mark::LeaderChange, u64::from(changed));
            Office { leader, since, first_stamp: None }
        });
        if office.leader != leader {
            return Err(format!("{} and {leader} both lead term {term}", office.leader));
        }
        Ok(())
    }

    fn on_entry(
        &mut self,
        name: NodeId,
        entry: &Committed,
        instant: Instant,
        marks: &mut Marks,
    ) -> Result<(), String> {
        let content = (entry.term, hash64(&entry.data));
        let at = usize::try_from(entry.index - 1).expect("a run is short");
        if let Some(known) = self.entries.get(at) {
            if *known != content {
                return Err(format!(
                    "{name} has at index {} the entry {content:?}, others have {known:?}",
                    entry.index
                ));
            }
            return Ok(());
        }
        if at != self.entries.len() {
            return Err(format!("{name} begins at {}, {} are known", entry.index, at));
        }
        if self.entries.last().is_some_and(|(term, _)| *term > entry.term) {
            return Err(format!("entry {} is of the older term {}", entry.index, entry.term));
        }
        self.entries.push(content);
        self.first_of_term.entry(entry.term).or_insert(entry.index);
        if entry.data.is_empty() {
            return Ok(());
        }
        let batch = BatchView::parse(&entry.data).map_err(|error| format!("{error:?}"))?;
        self.on_stamp(entry, batch.stamp, instant)?;
        for section in batch.sections() {
            let header = section.map_err(|error| format!("{error:?}"))?.header;
            let session = (header.node, header.boot, header.core);
            let (last, whole) = self.sessions.entry(session).or_default();
            marks.reach_if(Mark::SectionAgain, u64::from(header.number <= *last));
            marks.reach_if(Mark::SectionGap, u64::from(header.number > *last + 1));
            *last = (*last).max(header.number);
            *whole += u64::from(header.number == *whole + 1);
        }
        Ok(())
    }

    fn on_stamp(
        &mut self,
        entry: &Committed,
        stamp: UnixMicros,
        instant: Instant,
    ) -> Result<(), String> {
        let index = entry.index;
        if stamp < self.stamp {
            return Err(format!("the stamp went back at {index}: {} to {}", self.stamp.0, stamp.0));
        }
        self.stamp = stamp;
        let office = self.offices.get_mut(&entry.term);
        let office = office.ok_or_else(|| format!("nobody led the term of entry {index}"))?;
        let first = *office.first_stamp.get_or_insert(stamp);
        let passed = instant.since(office.since);
        let most = passed + passed / 10 + Duration::from_micros(STAMP_SLACK_US);
        if stamp.since(first) > most {
            return Err(format!(
                "in term {} stamps ran {:?} by entry {index}, time {passed:?}",
                entry.term,
                stamp.since(first)
            ));
        }
        Ok(())
    }

    /// The last entry that is known committed.
    pub(crate) fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    /// A node rests: its state is that of all others.
    pub(crate) fn on_rest(&mut self, node: &Node) -> Result<(), String> {
        let index = node.shards()[0].applied();
        for ((name, boot, core), (last, whole)) in &self.sessions {
            let admitted = node.shards()[0].globals().last_of(*name, *core, *boot);
            if admitted > *whole {
                return Err(format!(
                    "session {name} {boot} {core} was admitted up to {admitted}, and came in order \
                     up to {whole}, at most {last}"
                ));
            }
        }
        for shard in node.shards() {
            same(&mut self.at_rest, (index, None), hash64(&shard.globals().image()))?;
            for partition in shard.partitions() {
                same(&mut self.at_rest, (index, Some(partition.id())), partition.checksum())?;
            }
        }
        Ok(())
    }

    /// A shard gives out an order: what it was last told of its role, and what it has applied.
    pub(crate) fn on_order(&self, leads: Option<u64>, applied: u64) -> Result<(), String> {
        let term = leads.ok_or("a shard gives out an order and was not told that it leads")?;
        match self.first_of_term.get(&term) {
            Some(first) if *first <= applied => Ok(()),
            first => Err(format!(
                "an order goes out at {applied}, before term {term}'s first entry {first:?}"
            )),
        }
    }

    /// The state after entry `index`: of a partition, or the global part of it.
    pub(crate) fn on_state(
        &mut self,
        index: u64,
        part: Option<PartitionId>,
        checksum: u64,
    ) -> Result<(), String> {
        same(&mut self.states, (index, part), checksum)
    }

    /// What clients were told is there, and nothing else is; each message's workflows ran once, to
    /// their end; orders between partitions and their keys are as they should be.
    pub(crate) fn check_all(&mut self, node: &Node, clients: &Clients) -> Result<Seen, String> {
        self.check_acknowledged(node, clients)?;
        let instances = self.check_instances(node)?;
        let keyed = keyed::check(node.shards(), &mut self.read)?;
        Ok(Seen { instances, keyed })
    }

    /// What clients were told is there, and nothing else is.
    pub(crate) fn check_acknowledged(
        &mut self,
        node: &Node,
        clients: &Clients,
    ) -> Result<(), String> {
        let name = node.name();
        let mut nonces: BTreeMap<MessageId, u64> = BTreeMap::new();
        let mut by_nonce: BTreeMap<u64, MessageId> = BTreeMap::new();
        for (id, payload) in node.partitions().flat_map(Partition::messages) {
            let text = || String::from_utf8_lossy(payload);
            let nonce = self.read.nonce(payload).filter(|nonce| *nonce < clients.next_nonce);
            let nonce = nonce.ok_or_else(|| format!("nobody sent message {id}: {}", text()))?;
            // A message that is sent once is there once; a keyed one, however often it is sent.
            if let Some(other) = by_nonce.insert(nonce, id) {
                return Err(format!("nonce {nonce} is there twice, as {other} and as {id}"));
            }
            nonces.insert(id, nonce);
        }
        for (id, acknowledged) in &clients.acknowledged {
            let nonce = acknowledged.nonce;
            let found = *nonces.get(id).ok_or_else(|| {
                format!("{id} (nonce {nonce}) was acknowledged and {name} lacks it")
            })?;
            if found != nonce {
                return Err(format!("message {id} of nonce {nonce} has the body of {found}"));
            }
        }
        Ok(())
    }

    /// Each message's workflows ran once, to their end, with one result per task. How many there are.
    fn check_instances(&mut self, node: &Node) -> Result<u64, String> {
        let mut ended = 0;
        for json in node.partitions().flat_map(Partition::instances) {
            self.read.instance(&json)?;
            ended += 1;
        }
        Ok(ended)
    }
}

/// What a node's state was seen to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Instances that ended.
    pub(crate) instances: u64,
    /// Of keys.
    pub(crate) keyed: keyed::Seen,
}

fn same(
    known: &mut BTreeMap<(u64, Option<PartitionId>), u64>,
    (index, part): (u64, Option<PartitionId>),
    checksum: u64,
) -> Result<(), String> {
    let known = *known.entry((index, part)).or_insert(checksum);
    if known == checksum {
        return Ok(());
    }
    Err(format!("the state of {part:?} after entry {index} is {checksum:x} and {known:x}"))
}

/// How an instance ends. A clock that jumped ahead ends some early: a new leader steps to its time.
const ENDED: [&str; 3] = ["completed", "failed", "timeout"];

/// An instance ended, each of its tasks with one result.
pub(crate) fn check_instance(instance: &Value) -> Result<(), String> {
    let status = instance["status"].as_str().unwrap_or("");
    if !ENDED.contains(&status) {
        return Err(format!("an instance rests as {status:?}: {instance}"));
    }
    let mut tasks = instance["tasks"].as_array().into_iter().flatten();
    tasks.try_for_each(|task| check_task(task, instance))
}

/// Some instance that has not ended.
pub(crate) fn first_running(node: &Node) -> Option<String> {
    node.partitions().flat_map(Partition::instances).find_map(|json| {
        let instance: Value = serde_json::from_slice(&json).ok()?;
        let has_ended = ENDED.iter().any(|end| instance["status"] == **end);
        (!has_ended).then(|| instance.to_string())
    })
}

/// A task ends once: one final transition in the history.
fn check_task(task: &Value, instance: &Value) -> Result<(), String> {
    const FINAL: [&str; 5] = ["completed", "failed", "timeout", "cancelled", "skipped"];
    let (id, status) = (&task["id"], task["status"].as_str().unwrap_or(""));
    if !FINAL.contains(&status) {
        return Err(format!("task {id} rests as {status:?} in {instance}"));
    }
    let results = (instance["history"].as_array().into_iter().flatten())
        .filter(|line| line["task"] == *id && line["status"] == "completed")
        .count();
    if results > 1 {
        return Err(format!("task {id} has {results} results in {instance}"));
    }
    Ok(())
}
