//! What is asked of the group: who belongs to it, who leads, how far everybody is.
//!
//! Whoever leads carries it out, one change at a time, and answers from what was applied. Any other
//! node asks its leader, and answers once it has applied as much itself.
//!
//! Invariants:
//! - a demand is answered once: with what became of it, or that this is not known;
//! - one change of members or of the lead is under way at most;
//! - no change is begun whose group could not go on with those heard of lately.

use super::members::Confirmed;
use super::{ConsensusCore, ConsensusEffect, ENTRY_HEADERS_BYTES};
use crate::cluster::{
    Answered, Demand, Fulfilled, GroupView, PluginConfig, Probed, Progress, REQUESTS_MAX, Reached,
};
use crate::message::{Answer, ToShard};
use crate::peer::PeerMessage;
use api::{ApiError, Code};
use base::{Address, BootId, CoreId, Instant, NodeId, Now, Outbox, StoreId};
use journal::Buffers;
use quorum::{Change, Member, ProposeError, Step, TransferError};
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Who was heard of so lately is up. Twenty heartbeats.
const HEARD_MAX: Duration = Duration::from_secs(1);
/// A new node answers a probe within this time, or is not there.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// A change is committed within this time, or its outcome is not known: as with messages.
const CHANGE_MAX: Duration = Duration::from_secs(10);
/// A successor is looked for so long: until a majority has been heard of anew.
const SUCCESSOR_MAX: Duration = Duration::from_secs(1);
/// A leader says how far its group is within this time, or is not there.
const PROGRESS_MAX: Duration = Duration::from_secs(1);
/// A leader carries out what it is asked within this time, or nothing is known of it: the longest
/// way that it may take, and the ways between.
const DEMAND_MAX: Duration = Duration::from_secs(16);
/// Who leads no more says within this time what became of a change, or is frozen or cut off: the new
/// leader's first entries reach it at once, and with them whether the change was committed.
const DEPOSED_MAX: Duration = Duration::from_secs(1);
/// Uploads that wait at the leader for what workers say. Of one core one waits at a time.
const VALIDATIONS_MAX: usize = 256;
/// Between two attempts of a node to have its new address told.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);

/// Who is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A shard, for a client.
    Client { core: CoreId, ticket: u64 },
    /// A shard that wants to know of the whole group, whether or not its leader can be asked.
    Viewer { core: CoreId, ticket: u64 },
    /// Another coordinator.
    Peer { node: NodeId, boot: BootId, ticket: u64 },
    /// Nobody, or nobody any more.
    Nobody,
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The last ticket given, to a leader or a probe.
    last: u64,
    /// What the leader was asked, by ticket.
    asked: BTreeMap<u64, Asked>,
    /// Answers that wait until this node has come to their entry.
    held: Vec<Held>,
    /// What this leader does.
    change: Option<Underway>,
    /// Who waits for what workers say to configurations, by ticket.
    validations: BTreeMap<u64, Asker>,
    /// When each member was heard of last.
    heard: BTreeMap<NodeId, Instant>,
    /// When the leader may be told again that this node is reached elsewhere.
    move_at: Instant,
}

#[derive(Debug)]
struct Asked {
    by: Asker,
    /// Whom, and its data directory: it may have left the group by the time it answers.
    to: (NodeId, Option<StoreId>),
    due: Instant,
    demand: Demand,
}

#[derive(Debug)]
struct Held {
    index: u64,
    due: Instant,
    by: Asker,
}

#[derive(Debug)]
struct Underway {
    by: Asker,
    due: Instant,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    /// A new node is asked who it is.
    Probing { ticket: u64, node: NodeId, address: Address, cluster: u64 },
    /// The change is on its way through the log.
    Committing { index: u64, term: u64 },
    /// The change is made, by this entry, and a majority of the new members is to know it for good.
    Confirming { index: u64 },
    /// The lead goes over. Without `begun`, a successor is still looked for.
    HandingOver { to: Option<NodeId>, begun: bool },
}

/// What is said of the members as somebody else may see them by now.
const LOOK: &str = "look at GET /api/v1/cluster/nodes, then ask again if it was not done";

fn refused(code: Code, detail: impl Into<String>, hint: impl Into<String>) -> ApiError {
    ApiError::new(code, detail.into()).with_hint(hint.into())
}

fn no_leader(detail: impl Into<String>) -> ApiError {
    ApiError::new(Code::NoLeader, detail.into()).with_retry_after(1)
}

fn unknown(detail: impl Into<String>) -> ApiError {
    refused(Code::OutcomeUnknown, detail, LOOK).with_retry_after(1)
}

/// Why the lead stays where it is.
fn not_handed_over(error: &TransferError) -> ApiError {
    match error {
        TransferError::NotLeader => no_leader(format!("{error}; nothing was handed over")),
        TransferError::Nobody => {
            let hint = "add a node and promote it: POST /api/v1/cluster/nodes";
            refused(Code::WrongState, "there is no other voter", hint)
        }
        TransferError::NoVoter { .. } => {
            let hint = "GET /api/v1/cluster/nodes lists the voters";
            refused(Code::WrongState, error.to_string(), hint)
        }
    }
}

impl Requests {
    pub(super) fn on_heard(&mut self, now: Now, node: NodeId) {
        self.heard.insert(node, now.instant);
    }

    pub(super) fn next_ticket(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn is_heard(&self, now: Now, node: NodeId) -> bool {
        self.heard.get(&node).is_some_and(|at| now.instant.since(*at) < HEARD_MAX)
    }
}

impl<A: Buffers> ConsensusCore<A> {
    /// Somebody wants something of the group.
    pub(super) fn on_demand(
        &mut self,
        now: Now,
        by: Asker,
        demand: Demand,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let is_change = demand != Demand::Progress;
        let of_peer = matches!(by, Asker::Peer { .. });
        let refusal = match self.leader() {
            _ if self.stopping && is_change => Some(ApiError::stopping()),
            _ if self.leading => None,
            _ if self.members.is_removed => {
                Some(no_leader("this node was removed from the cluster"))
            }
            Some(leader) if !of_peer => {
                self.ask_leader(now, by, leader, demand, out);
                return;
            }
            Some(leader) => Some(no_leader(format!(
                "node {} does not lead, node {leader} does",
                self.config.node
            ))),
            None => Some(no_leader("this node does not lead and knows no leader")),
        };
        let fulfilled = match (refusal, demand) {
            (Some(refusal), _) => Some(Fulfilled::Refused(refusal)),
            (None, Demand::Progress) => Some(Fulfilled::Progress(self.progress(now))),
            (None, Demand::Validate { configs }) => {
                self.validate(by, configs, out).err().map(Fulfilled::Refused)
            }
            (None, demand) => self.begin(now, by, demand, out).err().map(Fulfilled::Refused),
        };
        if let Some(fulfilled) = fulfilled {
            self.tell(by, fulfilled, out);
        }
    }

    /// Core 0, which speaks with the workers, is asked.
    fn validate(
        &mut self,
        by: Asker,
        configs: Vec<PluginConfig>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) -> Result<(), ApiError> {
        if self.requests.validations.len() >= VALIDATIONS_MAX {
            let detail = format!("{VALIDATIONS_MAX} uploads wait for workers already");
            return Err(ApiError::overloaded(detail, 1));
        }
        let ticket = self.requests.next_ticket();
        self.requests.validations.insert(ticket, by);
        let message = ToShard::Validate { ticket, configs };
        out.push(ConsensusEffect::ToShard { to: CoreId(0), message });
        Ok(())
    }

    /// Core 0 answers, always: workers have said something, or nobody does in time, or it leads no more.
    pub(super) fn on_validated(
        &mut self,
        ticket: u64,
        result: Result<Vec<(u32, String)>, ApiError>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let by = self.requests.validations.remove(&ticket).expect("a question is answered once");
        let fulfilled = match result {
            Ok(faults) => Fulfilled::Validated { faults },
            Err(error) => Fulfilled::Refused(error),
        };
        self.tell(by, fulfilled, out);
    }

    fn ask_leader(
        &mut self,
        now: Now,
        by: Asker,
        to: NodeId,
        demand: Demand,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if self.requests.asked.len() >= REQUESTS_MAX {
            let detail = format!("{REQUESTS_MAX} requests to the leader are under way already");
            self.tell(by, Fulfilled::Refused(ApiError::overloaded(detail, 1)), out);
            return;
        }
        let is_change = demand != Demand::Progress;
        let due = now.instant + if is_change { DEMAND_MAX } else { PROGRESS_MAX };
        let ticket = self.requests.next_ticket();
        let store = self.group.membership().member(to).map(|leader| leader.store);
        let (boot, body) = (self.config.boot, demand.to_body());
        self.requests.asked.insert(ticket, Asked { by, to: (to, store), due, demand });
        Self::send(to, PeerMessage::Request { boot, ticket, body }, out);
    }

    /// Another coordinator asks.
    pub(super) fn on_request(
        &mut self,
        now: Now,
        from: NodeId,
        (boot, ticket): (BootId, u64),
        body: &[u8],
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let by = Asker::Peer { node: from, boot, ticket };
        match Demand::from_body(body) {
            Ok(Demand::Clock { wall }) => self.clocks.on_told(now, from, wall),
            Ok(demand) => self.on_demand(now, by, demand, out),
            Err(error) => {
                self.dropped += 1;
                let hint = "let all coordinators run the same release";
                let error = refused(Code::NotSupported, error.to_string(), hint);
                self.tell(by, Fulfilled::Refused(error), out);
            }
        }
    }

    /// Another coordinator answers. It may have left the group with what it was asked.
    pub(super) fn on_answered(
        &mut self,
        from: (NodeId, StoreId),
        (boot, ticket): (BootId, u64),
        body: &[u8],
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let answered = match Answered::from_body(body) {
            Ok(answered) if boot == self.config.boot => answered,
            _ => {
                self.dropped += 1;
                return;
            }
        };
        let fulfilled = match answered {
            Answered::Demand(fulfilled) => fulfilled,
            Answered::Hashed(hashed) => {
                self.on_hashed_elsewhere(from, ticket, hashed, out);
                return;
            }
        };
        // A node that was just added may not know its leader as a member yet.
        let is_of =
            |asked: &&Asked| asked.to.0 == from.0 && asked.to.1.is_none_or(|store| store == from.1);
        let asked = self.requests.asked.get(&ticket).filter(is_of);
        let Some((by, due)) = asked.map(|asked| (asked.by, asked.due)) else { return };
        self.requests.asked.remove(&ticket);
        match fulfilled {
            Fulfilled::Changed { index } if index > self.delivered.0 => {
                self.requests.held.push(Held { index, due, by });
            }
            fulfilled => self.tell(by, fulfilled, out),
        }
    }

    pub(super) fn tell(
        &self,
        by: Asker,
        fulfilled: Fulfilled,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let (to, ticket, answer) = match by {
            Asker::Nobody => return,
            Asker::Peer { node, boot, ticket } => {
                let body = Answered::Demand(fulfilled).to_body();
                Self::send(node, PeerMessage::Answer { boot, ticket, body }, out);
                return;
            }
            Asker::Client { core, ticket } => {
                (core, ticket, Answer::Fulfilled(Box::new(fulfilled)))
            }
            Asker::Viewer { core, ticket } => {
                let progress = match fulfilled {
                    Fulfilled::Progress(progress) => Ok(progress),
                    Fulfilled::Refused(error) => Err(error.detail.into_owned()),
                    other => Err(format!("the leader answered {other:?}")),
                };
                let members = self.group.membership().clone();
                let everybody = self.everybody.clone();
                let view = GroupView { members, leader: self.leader(), progress, everybody };
                (core, ticket, Answer::Group(Box::new(view)))
            }
        };
        let message = ToShard::Answer { ticket, from: None, answer };
        out.push(ConsensusEffect::ToShard { to, message });
    }

    fn progress(&self, now: Now) -> Progress {
        let status = self.group.status();
        let own = Reached {
            node: self.config.node,
            matched: self.journal.durable(),
            heard: true,
            snapshot: false,
        };
        let others = self.group.progress().into_iter().map(|other| Reached {
            node: other.node,
            matched: other.matched,
            heard: self.requests.is_heard(now, other.node),
            snapshot: other.needs_snapshot,
        });
        let mut reached: Vec<Reached> = others.chain([own]).collect();
        reached.sort_by_key(|one| one.node);
        Progress { commit: status.commit, reached }
    }

    /// A leader begins what it is asked.
    fn begin(
        &mut self,
        now: Now,
        by: Asker,
        demand: Demand,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) -> Result<(), ApiError> {
        if self.requests.change.is_some() {
            let detail = "another change of the group is under way";
            return Err(refused(Code::WrongState, detail, LOOK).with_retry_after(1));
        }
        match demand {
            Demand::Progress | Demand::Clock { .. } | Demand::Validate { .. } => {
                unreachable!("no change of the group")
            }
            Demand::Add { node, address, cluster } => {
                self.probe(now, by, (node, address, cluster), out)
            }
            Demand::Promote { node } => self.propose_change(now, by, &Change::promote(node)),
            Demand::Remove { node } => self.propose_change(now, by, &Change::remove(node)),
            Demand::Transfer { to } if to == Some(self.config.node) => {
                self.tell(by, Fulfilled::Leads { node: self.config.node }, out);
                Ok(())
            }
            Demand::Transfer { to } => {
                let due = now.instant + SUCCESSOR_MAX;
                let begun = self.hand_over(to)?;
                let doing = Doing::HandingOver { to, begun };
                self.requests.change = Some(Underway { by, due, doing });
                Ok(())
            }
            Demand::Move { address } => {
                let Asker::Peer { node, .. } = by else {
                    unreachable!("this program asks it of its leader alone")
                };
                let own = self.group.membership().member(node);
                if own.is_some_and(|own| own.address.as_ref() == Some(&address)) {
                    let index = self.delivered.0;
                    self.tell(by, Fulfilled::Changed { index }, out);
                    return Ok(());
                }
                let change = Change { steps: vec![Step::Move { node, address }] };
                self.propose_change(now, by, &change)
            }
        }
    }

    /// Hands the lead over. False when nobody was found just now to take it.
    fn hand_over(&mut self, to: Option<NodeId>) -> Result<bool, ApiError> {
        let is_alone = self.group.membership().is_lone_voter(self.config.node);
        match self.group.on_transfer(to, &mut self.group_out) {
            Ok(_) => Ok(true),
            // Who was heard of is counted anew now and then.
            Err(TransferError::Nobody) if !is_alone => Ok(false),
            Err(error) => Err(not_handed_over(&error)),
        }
    }

    /// Asks a node who it is, before it is added.
    fn probe(
        &mut self,
        now: Now,
        by: Asker,
        (node, address, cluster): (NodeId, Address, u64),
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) -> Result<(), ApiError> {
        let members = self.group.membership();
        let at = |member: &Member| {
            member.address.as_ref().map_or(String::new(), |at| format!(" at {at}"))
        };
        if let Some(member) = members.member(node) {
            let detail = format!("node {node} belongs to the cluster already{}", at(member));
            let hint = "choose another number; a node that lost its data directory is removed \
                        before it is added again";
            return Err(refused(Code::InUse, detail, hint));
        }
        let there = members.members().find(|(_, member)| member.address.as_ref() == Some(&address));
        if let Some((other, _)) = there {
            let detail = format!("the others reach node {other} at {address}");
            return Err(refused(Code::InUse, detail, "give the address of the new node"));
        }
        let own = members.member(self.config.node);
        if own.is_none_or(|own| own.address.is_none()) {
            let detail = "nobody knows where to reach this node, so no other can follow it";
            let hint = "restart it with --peer ADDRESS, where the new node reaches it";
            return Err(refused(Code::WrongState, detail, hint));
        }
        let ticket = self.requests.next_ticket();
        let due = now.instant + PROBE_MAX;
        out.push(ConsensusEffect::Probe { ticket, address: address.clone() });
        let doing = Doing::Probing { ticket, node, address, cluster };
        self.requests.change = Some(Underway { by, due, doing });
        Ok(())
    }

    /// What [`ConsensusEffect::Probe`] asked for: who is there, or why nobody answered.
    pub fn on_probed(
        &mut self,
        now: Now,
        ticket: u64,
        found: Result<Probed, String>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let is_this = |change: &mut Underway| matches!(change.doing, Doing::Probing { ticket: asked, .. } if asked == ticket);
        // Otherwise it was given up meanwhile.
        let Some(change) = self.requests.change.take_if(is_this) else { return };
        let Doing::Probing { node, address, cluster, .. } = change.doing else {
            unreachable!("matched above")
        };
        let checked = self.check_probed((node, &address, cluster), found);
        let begun = checked.and_then(|store| {
            let member = Member { store, address: Some(address) };
            self.propose_change(now, change.by, &Change::learn(node, member))
        });
        if let Err(error) = begun {
            self.tell(change.by, Fulfilled::Refused(error), out);
        }
        self.pump(now, out);
    }

    fn check_probed(
        &self,
        (node, address, cluster): (NodeId, &Address, u64),
        found: Result<Probed, String>,
    ) -> Result<StoreId, ApiError> {
        let probed = found.map_err(|reason| {
            let detail = format!("node {node} does not answer at {address}: {reason}");
            let hint = format!("start it there with --node {node} --peer {address}, then add it");
            refused(Code::WrongState, detail, hint)
        })?;
        if probed.node != node {
            let detail = format!("at {address} answers node {}, not node {node}", probed.node);
            return Err(refused(Code::WrongState, detail, "give node and address of one node"));
        }
        if let Some(other) = probed.cluster.filter(|other| *other != cluster) {
            let detail = format!("node {node} at {address} belongs to cluster {other:016x}");
            let hint = "start it with an empty data directory; what it holds is another cluster's";
            return Err(refused(Code::WrongState, detail, hint));
        }
        let mut members = self.group.membership().members();
        if let Some((other, _)) = members.find(|(_, member)| member.store == probed.store) {
            let detail = format!("the data directory of node {node} is that of node {other}");
            let hint = "start it with a data directory of its own, not with a copy";
            return Err(refused(Code::InUse, detail, hint));
        }
        Ok(probed.store)
    }

    fn propose_change(&mut self, now: Now, by: Asker, change: &Change) -> Result<(), ApiError> {
        if !self.leading {
            return Err(no_leader("this node leads no longer; nothing was changed"));
        }
        if self.journal.room() < ENTRY_HEADERS_BYTES {
            return Err(ApiError::new(Code::NoSpace, "the journal's disk has no room for more"));
        }
        self.check_goes_on(now, change)?;
        let index = self
            .group
            .on_propose_membership(change, &mut self.group_out)
            .map_err(|error| self.not_proposed(&error))?;
        let term = self.group.status().term;
        let doing = Doing::Committing { index, term };
        let due = now.instant + CHANGE_MAX;
        self.requests.change = Some(Underway { by, due, doing });
        Ok(())
    }

    /// Whether a majority of the voters after the change was heard of lately. Without one the group
    /// would stand still, and could not even take the change back.
    fn check_goes_on(&self, now: Now, change: &Change) -> Result<(), ApiError> {
        let members = self.group.membership();
        // What cannot be changed is refused with its reason, by whoever proposes it.
        let Ok(next) = members.changed(change) else { return Ok(()) };
        if next.voters().eq(members.voters()) {
            return Ok(());
        }
        let is_up = |node: &NodeId| *node == self.config.node || self.requests.is_heard(now, *node);
        let (up, voters) = (next.voters().filter(is_up).count(), next.voters().len());
        if up * 2 > voters {
            return Ok(());
        }
        let detail = format!(
            "of the {voters} voters that there would be, {up} were heard of lately: too few to go on"
        );
        let hint = "bring the missing nodes back first, or remove those that are gone for good";
        Err(refused(Code::WrongState, detail, hint))
    }

    fn not_proposed(&self, error: &ProposeError) -> ApiError {
        use quorum::ChangeError as E;
        let detail = error.to_string();
        match error {
            ProposeError::NotLeader { .. } | ProposeError::Transferring { .. } => {
                no_leader(format!("{detail}; nothing was changed"))
            }
            ProposeError::ChangeUnderWay | ProposeError::Change(E::Joint) => {
                refused(Code::WrongState, detail, LOOK).with_retry_after(1)
            }
            ProposeError::Change(E::Unknown { node } | E::NoLearner { node })
                if self.group.membership().member(*node).is_none() =>
            {
                let hint = "GET /api/v1/cluster/nodes lists those that belong to it";
                refused(Code::UnknownId, detail, hint)
            }
            ProposeError::Behind { .. } => {
                let hint = "wait until GET /api/v1/cluster/nodes shows a small `lag` for it";
                refused(Code::WrongState, detail, hint).with_retry_after(1)
            }
            ProposeError::Change(_) => {
                let hint = "GET /api/v1/cluster/nodes shows what each node is";
                refused(Code::WrongState, detail, hint)
            }
        }
    }

    /// The members are others from the entry handed out last: the change under way, if it is its
    /// entry.
    pub(super) fn on_change_made(&mut self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let at = self.delivered;
        let is_made = |change: &mut Underway| matches!(change.doing, Doing::Committing { index, term } if (index, term) == at);
        if let Some(mut change) = self.requests.change.take_if(is_made) {
            if self.is_in_office() {
                change.doing = Doing::Confirming { index: at.0 };
                self.requests.change = Some(change);
            } else {
                // Another one leads, or will: this leader is no member any more.
                self.tell(change.by, Fulfilled::Changed { index: at.0 }, out);
            }
        }
        let Self { requests, clocks, group, .. } = self;
        requests.heard.retain(|node, _| group.membership().member(*node).is_some());
        clocks.retain(|node| group.membership().member(node).is_some());
    }

    /// Entries were handed out: what waited for one of them is answered.
    pub(super) fn settle_requests(&mut self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let delivered = self.delivered.0;
        let is_past = |change: &mut Underway| matches!(change.doing, Doing::Committing { index, .. } if index <= delivered);
        if let Some(change) = self.requests.change.take_if(is_past) {
            let detail = "the change came out of the log empty, or another leader's entry took its \
                          place: nothing has changed";
            self.tell(change.by, Fulfilled::Refused(refused(Code::WrongState, detail, LOOK)), out);
        }
        if matches!(self.members.confirmed, Confirmed::By(index) if index <= delivered) {
            self.members.confirmed = Confirmed::Yes;
            let is_made = |change: &mut Underway| matches!(change.doing, Doing::Confirming { .. });
            if let Some(change) = self.requests.change.take_if(is_made)
                && let Doing::Confirming { index } = change.doing
            {
                self.tell(change.by, Fulfilled::Changed { index }, out);
            }
        }
        let is_ready = |held: &mut Held| held.index <= delivered;
        let ready: Vec<Held> = self.requests.held.extract_if(.., is_ready).collect();
        for Held { index, by, .. } in ready {
            self.tell(by, Fulfilled::Changed { index }, out);
        }
    }

    /// A snapshot took the place of the log in which a change was on its way.
    pub(super) fn skip_requests(&mut self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let is_in_log = |change: &mut Underway| matches!(change.doing, Doing::Committing { .. });
        if let Some(change) = self.requests.change.take_if(is_in_log) {
            let detail = "a snapshot took the place of the part of the log that it is in";
            self.tell(change.by, Fulfilled::Refused(unknown(detail)), out);
        }
    }

    /// Who leads, or the term, is another.
    pub(super) fn on_lead_changed(
        &mut self,
        now: Now,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let Some(node) = self.leader() else { return };
        // Whoever was asked while it led, and leads no more, says soon what became of it, or never.
        let deposed = self.requests.asked.values_mut().filter(|asked| asked.to.0 != node);
        for asked in deposed {
            asked.due = asked.due.min(now.instant + DEPOSED_MAX);
        }
        if self.leading {
            return;
        }
        let Some(change) = self.requests.change.take() else { return };
        match change.doing {
            Doing::HandingOver { .. } => self.tell(change.by, Fulfilled::Leads { node }, out),
            Doing::Probing { .. } => {
                let error = no_leader(format!("node {node} leads now; nothing was changed"));
                self.tell(change.by, Fulfilled::Refused(error), out);
            }
            Doing::Confirming { index } => {
                let detail = format!("the change is made by entry {index}; node {node} leads now");
                self.tell(change.by, Fulfilled::Refused(unknown(detail)), out);
            }
            // Its entry may be committed all the same: what comes out of the log there tells.
            Doing::Committing { .. } => self.requests.change = Some(change),
        }
    }

    /// A tick: those whose time is up are told.
    pub(super) fn check_requests(
        &mut self,
        now: Now,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        self.check_change(now, out);
        let late = |_: &u64, asked: &mut Asked| asked.due <= now.instant;
        let late: Vec<Asked> =
            self.requests.asked.extract_if(.., late).map(|(_, one)| one).collect();
        for Asked { by, to: (to, _), demand, .. } in late {
            let other = self.leader().filter(|leader| *leader != to);
            let fulfilled = match (demand, other) {
                (Demand::Transfer { .. }, Some(node)) => Fulfilled::Leads { node },
                (Demand::Progress, _) => {
                    let ms = PROGRESS_MAX.as_millis();
                    let detail = format!("node {to}, which led, did not answer within {ms} ms");
                    Fulfilled::Refused(no_leader(detail))
                }
                (Demand::Validate { .. }, _) => {
                    let detail = format!(
                        "node {to}, which led, did not say in time what plugins make of their \
                         configurations; nothing was changed"
                    );
                    Fulfilled::Refused(no_leader(detail))
                }
                _ => {
                    let detail =
                        format!("node {to}, which led, did not say in time what became of it");
                    Fulfilled::Refused(unknown(detail))
                }
            };
            self.tell(by, fulfilled, out);
        }
        let late = |held: &mut Held| held.due <= now.instant;
        let late: Vec<Held> = self.requests.held.extract_if(.., late).collect();
        for Held { index, by, .. } in late {
            let at = self.delivered.0;
            let error = unknown(format!(
                "the leader has made the change by entry {index}, and this node is at entry {at}: \
                 what it shows is older"
            ));
            self.tell(by, Fulfilled::Refused(error), out);
        }
    }

    fn check_change(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let Some(mut change) = self.requests.change.take() else { return };
        let is_late = change.due <= now.instant;
        // A tick may have ended the office just now.
        let leads = self.is_in_office();
        let error = match &mut change.doing {
            Doing::HandingOver { to, begun } if leads && !self.group.is_handing_over() => {
                if *begun || is_late {
                    let whom = to.map_or("anybody".to_owned(), |to| format!("node {to}"));
                    let detail = format!("the lead did not go over to {whom} in time");
                    let hint = "GET /api/v1/cluster/nodes shows who was heard of, and who lags";
                    Some(refused(Code::WrongState, detail, hint).with_retry_after(1))
                } else {
                    match self.hand_over(*to) {
                        Ok(found) => {
                            *begun = found;
                            None
                        }
                        Err(error) => Some(error),
                    }
                }
            }
            Doing::HandingOver { begun: false, .. } if !leads => {
                Some(not_handed_over(&TransferError::NotLeader))
            }
            Doing::HandingOver { .. } if !leads && is_late => {
                let detail = "this node leads no more, and does not know yet who does";
                Some(unknown(detail))
            }
            Doing::Probing { node, address, .. } if is_late => {
                let ms = PROBE_MAX.as_millis();
                let detail = format!("node {node} did not answer at {address} within {ms} ms");
                let hint = format!("start it there with --node {node} --peer {address}");
                Some(refused(Code::WrongState, detail, hint))
            }
            Doing::Confirming { index } if is_late => {
                let ms = CHANGE_MAX.as_millis();
                Some(unknown(format!(
                    "the change is made by entry {index}; a majority did not confirm it within {ms} ms"
                )))
            }
            Doing::Committing { .. } if is_late => {
                let ms = CHANGE_MAX.as_millis();
                let error = unknown(format!("the change was not committed within {ms} ms"));
                self.tell(change.by, Fulfilled::Refused(error), out);
                // Whatever comes out of the log at its place ends it.
                change.by = Asker::Nobody;
                None
            }
            _ => None,
        };
        match error {
            Some(error) => self.tell(change.by, Fulfilled::Refused(error), out),
            None => self.requests.change = Some(change),
        }
    }

    /// A follower that is reached elsewhere than the members say tells its leader.
    pub(super) fn tell_of_move(&mut self, now: Now, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let Some(leader) = self.leader().filter(|_| now.instant >= self.requests.move_at) else {
            return;
        };
        let Some(address) = self.own_new_address().cloned() else { return };
        self.requests.move_at = now.instant + MOVE_INTERVAL;
        self.ask_leader(now, Asker::Nobody, leader, Demand::Move { address }, out);
    }
}
