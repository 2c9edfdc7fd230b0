//! Whether all members have the same state: a record in the log names the place, every node hashes
//! its state there, and tells the node that wrote the record.
//!
//! Invariants:
//! - states are compared at one place of the log, whatever each node's number of cores;
//! - a comparison ends within its time, and names who has not said anything;
//! - one is under way on a node at most: each has all nodes hash all they have.

use super::requests::Asker;
use super::{ConsensusCore, ConsensusEffect};
use crate::cluster::{Answered, Compared, Fulfilled, Hashed};
use crate::message::{Answer, Marked, Sums, ToShard};
use crate::partition::IMAGE_VERSION;
use crate::peer::PeerMessage;
use api::ApiError;
use base::{CoreId, Instant, NodeId, Now, Outbox, PartitionId, StoreId, hash64};
use journal::Buffers;
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// A comparison takes no longer.
const COMPARE_MAX: Duration = Duration::from_secs(10);

/// A comparison that a client of this node wants, and this node's part in all of them.
#[derive(Debug, Default)]
pub(super) struct Checksums {
    comparing: Option<Comparing>,
    /// What this node's shards have hashed, until all have. No more than the log hands out before it
    /// is applied.
    parts: BTreeMap<Marked, Parts>,
}

#[derive(Debug)]
struct Comparing {
    ticket: u64,
    core: CoreId,
    answer_ticket: u64,
    due: Instant,
    told: BTreeMap<NodeId, Hashed>,
}

#[derive(Debug, Default)]
struct Parts {
    shards: u16,
    globals: Option<u64>,
    partitions: BTreeMap<PartitionId, u64>,
    refused: Option<String>,
}

impl Parts {
    /// The same whatever the number of cores.
    fn checksum(&self) -> Result<u64, String> {
        if let Some(reason) = &self.refused {
            return Err(reason.clone());
        }
        let globals = self.globals.expect("a shard hashes the globals for all");
        let mut bytes = Vec::with_capacity(8 + 10 * self.partitions.len());
        bytes.extend_from_slice(&globals.to_le_bytes());
        for (id, sum) in &self.partitions {
            bytes.extend_from_slice(&id.0.to_le_bytes());
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        Ok(hash64(&bytes))
    }
}

impl<A: Buffers> ConsensusCore<A> {
    /// A client wants all members compared.
    pub(super) fn on_compare(
        &mut self,
        now: Now,
        core: CoreId,
        answer_ticket: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if self.checksums.comparing.is_some() {
            let detail = "a comparison that this node was asked for is under way already";
            let error = ApiError::overloaded(detail, 1);
            let by = Asker::Client { core, ticket: answer_ticket };
            self.tell(by, Fulfilled::Refused(error), out);
            return;
        }
        let ticket = self.requests.next_ticket();
        let due = now.instant + COMPARE_MAX;
        let told = BTreeMap::new();
        self.checksums.comparing = Some(Comparing { ticket, core, answer_ticket, due, told });
        out.push(ConsensusEffect::ToShard { to: core, message: ToShard::Mark { ticket } });
    }

    /// A shard has hashed its part.
    pub(super) fn on_hashed(
        &mut self,
        of: Marked,
        sums: Sums,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let parts = self.checksums.parts.entry(of).or_default();
        parts.shards += 1;
        parts.globals = parts.globals.or(sums.globals);
        match sums.partitions {
            Ok(partitions) => parts.partitions.extend(partitions),
            Err(reason) => parts.refused = Some(reason),
        }
        if parts.shards < self.config.shards {
            return;
        }
        let parts = self.checksums.parts.remove(&of).expect("it was just there");
        let hashed = Hashed { layout: IMAGE_VERSION, index: of.index, checksum: parts.checksum() };
        if of.node == self.config.node {
            if of.boot == self.config.boot {
                self.on_told(of.node, of.ticket, hashed, out);
            }
            return;
        }
        let Marked { node, boot, ticket, .. } = of;
        let body = Answered::Hashed(hashed).to_body();
        Self::send(node, PeerMessage::Answer { boot, ticket, body }, out);
    }

    /// Another coordinator says what its state hashes to.
    pub(super) fn on_hashed_elsewhere(
        &mut self,
        (node, store): (NodeId, StoreId),
        ticket: u64,
        hashed: Hashed,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let member = self.group.membership().member(node);
        if member.is_some_and(|member| member.store == store) {
            self.on_told(node, ticket, hashed, out);
        } else {
            self.dropped += 1;
        }
    }

    fn on_told(
        &mut self,
        node: NodeId,
        ticket: u64,
        hashed: Hashed,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        let comparing = self.checksums.comparing.as_mut();
        let Some(comparing) = comparing.filter(|now| now.ticket == ticket) else { return };
        comparing.told.insert(node, hashed);
        let members: Vec<NodeId> = self.group.membership().members().map(|(id, _)| id).collect();
        let is_whole = comparing.told.contains_key(&self.config.node)
            && members.iter().all(|member| comparing.told.contains_key(member));
        if is_whole {
            self.end_comparison(out);
        }
    }

    /// A tick: a comparison whose time is up ends with what was said.
    pub(super) fn check_comparison(
        &mut self,
        now: Now,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        if self.checksums.comparing.as_ref().is_some_and(|now_on| now_on.due <= now.instant) {
            self.end_comparison(out);
        }
    }

    /// A snapshot takes the place of what this node's shards were hashing.
    pub(super) fn forget_hashes(&mut self) {
        self.checksums.parts.clear();
    }

    fn end_comparison(&mut self, out: &mut Outbox<ConsensusEffect<A::Buffer>>) {
        let Some(comparing) = self.checksums.comparing.take() else { return };
        let index = comparing.told.get(&self.config.node).map(|own| own.index);
        let said = |node| match comparing.told.get(&node) {
            None => {
                let seconds = COMPARE_MAX.as_secs();
                Err(format!("it did not say within {seconds} s what it has at the place"))
            }
            Some(hashed) if hashed.layout != IMAGE_VERSION => Err(format!(
                "its release hashes images of layout {}, this one of {IMAGE_VERSION}",
                hashed.layout
            )),
            Some(hashed) if index.is_some_and(|index| index != hashed.index) => {
                Err(format!("it found the record at entry {}", hashed.index))
            }
            Some(hashed) => hashed.checksum.clone(),
        };
        let members = self.group.membership().members();
        let nodes = members.map(|(node, _)| (node, said(node))).collect();
        let answer = Answer::Compared(Box::new(Compared { index, nodes }));
        let message = ToShard::Answer { ticket: comparing.answer_ticket, from: None, answer };
        out.push(ConsensusEffect::ToShard { to: comparing.core, message });
    }
}
