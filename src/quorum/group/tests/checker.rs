//! What must hold at every moment, whatever happens.

use super::machine::Machine;
use crate::{Entry, Membership};
use base::{NodeId, hash64};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Who led each term.
    leaders: BTreeMap<u64, NodeId>,
    /// What the entry at (index, term) holds, and the term before it.
    entries: BTreeMap<(u64, u64), (u64, u64)>,
    /// What was committed at each index.
    pub(crate) committed: BTreeMap<u64, (u64, u64)>,
    /// The state after each index.
    states: BTreeMap<u64, u64>,
    /// Who voted for whom: (term, store of the voter).
    votes: BTreeMap<(u64, u64), u64>,
    /// The highest index that a client was told of.
    pub(crate) told: u64,
}

impl Checker {
    /// One leader per term, and it has all that was ever committed.
    pub(crate) fn on_leader(&mut self, term: u64, machine: &Machine, begin: u64) {
        let leader = *self.leaders.entry(term).or_insert(machine.node);
        assert_eq!(leader, machine.node, "one leader per term: {term}");
        for (&index, &(committed_term, _)) in self.committed.range(begin + 1..) {
            let entry = machine.log.iter().find(|entry| entry.index == index);
            let found = entry.map(|entry| entry.term);
            assert_eq!(found, Some(committed_term), "a leader has what is committed: {index}");
        }
    }

    /// Logs that agree on an entry agree on all before it.
    pub(crate) fn on_append(&mut self, entries: &[Entry], before: u64) {
        let mut before = before;
        for entry in entries {
            let content = (hash64(&entry.data), before);
            let known = *self.entries.entry((entry.index, entry.term)).or_insert(content);
            assert_eq!(known, content, "logs match at {} in {}", entry.index, entry.term);
            before = entry.term;
        }
    }

    /// A store votes once per term.
    pub(crate) fn on_vote(&mut self, term: u64, store: u64, vote: u64) {
        if vote != 0 {
            let voted = *self.votes.entry((term, store)).or_insert(vote);
            assert_eq!(voted, vote, "store {store} votes once in term {term}");
        }
    }

    /// What is committed is the same everywhere and for good. True when this is news.
    pub(crate) fn on_committed(&mut self, entry: &Entry) -> bool {
        let content = (entry.term, hash64(&entry.data));
        let news = !self.committed.contains_key(&entry.index);
        let known = *self.committed.entry(entry.index).or_insert(content);
        assert_eq!(known, content, "what is committed stays: {}", entry.index);
        news
    }

    /// All states after the same entry are equal.
    pub(crate) fn on_state(&mut self, index: u64, digest: u64) {
        let known = *self.states.entry(index).or_insert(digest);
        assert_eq!(known, digest, "states are equal at {index}");
    }
}

/// Whether those who hold something are a majority, of both groups in joint majorities.
pub(crate) fn is_majority(membership: &Membership, holds: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: Vec<NodeId>| {
        let count = voters.iter().filter(|node| holds(**node)).count();
        voters.is_empty() || 2 * count > voters.len()
    };
    majority(membership.voters().collect()) && majority(membership.outgoing().collect())
}
