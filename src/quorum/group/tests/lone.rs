//! One voter: as a node alone has always been driven.

use crate::group::{Config, Group, ProposeError, Timing};
use crate::{Effect, Entry, EntryKind, HardState, Member, Membership, Role};
use base::{NodeId, Outbox, StoreId};
use bytes::Bytes;

/// A driver whose disk answers when told to.
struct Driver {
    group: Group,
    out: Outbox<Effect>,
    log: Vec<Entry>,
    committed: Vec<(u64, Bytes)>,
    vote: (u64, u64),
}

fn start(hard_state: HardState, applied: (u64, u64), entries: Vec<Entry>) -> Driver {
    let alone = [(NodeId(1), Member { store: StoreId(1), address: None })];
    let membership = Membership::founded(alone).unwrap();
    let config = Config {
        seed: 1,
        hard_state,
        applied,
        terms: vec![applied],
        entries,
        ..Config::new(NodeId(1), StoreId(1), membership)
    };
    Driver {
        group: Group::new(config),
        out: Outbox::new(),
        log: Vec::new(),
        committed: Vec::new(),
        vote: (0, 0),
    }
}

impl Driver {
    /// Carries effects out until nothing is left; the journal is durable at once when `durable`.
    fn pump(&mut self, durable: bool) {
        while !self.out.is_empty() {
            for effect in self.out.take() {
                match effect {
                    Effect::Vote { term, vote } => {
                        self.vote = (term, vote);
                        self.group.on_vote_durable(&mut self.out);
                    }
                    Effect::Append { entries, .. } => {
                        assert!(self.vote.0 == entries[0].term, "the vote is durable first");
                        let last = entries.last().unwrap().index;
                        self.log.extend(entries);
                        if durable {
                            self.group.on_durable(last, &mut self.out);
                        }
                    }
                    Effect::Committed { entries } => {
                        for entry in entries {
                            self.committed.push((entry.index, entry.data));
                            self.group.on_applied(entry.index);
                        }
                    }
                    Effect::Role(_) => {}
                    effect => panic!("a lone voter orders no {effect:?}"),
                }
            }
        }
    }

    fn lead(mut self) -> Self {
        self.group.on_campaign(&mut self.out);
        self.pump(true);
        self
    }
}

#[test]
fn a_lone_voter_leads_at_once_and_its_first_entry_is_empty() {
    let driver = start(HardState::default(), (0, 0), vec![]).lead();
    assert_eq!(driver.group.status().role, Role::Leader);
    assert_eq!(driver.vote, (1, 1));
    assert_eq!(driver.committed, [(1, Bytes::new())]);
}

#[test]
fn an_entry_is_committed_only_after_it_is_durable_and_in_order() {
    let mut driver = start(HardState::default(), (0, 0), vec![]).lead();
    for text in ["a", "b", "c"] {
        driver.group.on_propose(Bytes::from(text), &mut driver.out).unwrap();
    }
    driver.pump(false);
    assert_eq!(driver.committed.len(), 1, "nothing is durable yet");
    driver.group.on_durable(3, &mut driver.out);
    driver.pump(false);
    assert_eq!(driver.committed[1..], [(2, "a".into()), (3, "b".into())]);
    driver.group.on_durable(4, &mut driver.out);
    driver.pump(false);
    assert_eq!(driver.committed[3..], [(4, "c".into())]);
}

#[test]
fn nothing_is_proposed_on_a_node_that_does_not_lead() {
    let mut driver = start(HardState::default(), (0, 0), vec![]);
    let refused = driver.group.on_propose(Bytes::from("x"), &mut driver.out);
    assert_eq!(refused, Err(ProposeError::NotLeader { term: 0, leader: 0 }));
    assert!(driver.out.is_empty());
}

#[test]
fn a_restart_hands_out_what_was_not_applied_and_nothing_twice() {
    let entry = |index: u64, term| Entry {
        index,
        term,
        kind: EntryKind::Normal,
        data: Bytes::from(index.to_string()),
    };
    let hard_state = HardState { term: 3, vote: 1, commit: 6 };
    let driver = start(hard_state, (5, 2), vec![entry(6, 3), entry(7, 3), entry(8, 3)]).lead();
    let indices: Vec<u64> = driver.committed.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [6, 7, 8, 9]);
    assert_eq!(driver.group.status().term, 4);
    assert_eq!(driver.log.iter().map(|e| e.index).collect::<Vec<_>>(), [9]);
}

#[test]
fn a_leader_that_only_ticks_stays_leader_and_says_nothing() {
    let mut driver = start(HardState::default(), (0, 0), vec![]).lead();
    for _ in 0..1_000 {
        driver.group.on_tick(&mut driver.out);
        assert!(driver.out.is_empty());
    }
    assert_eq!(driver.group.status().term, 1);
}

#[test]
fn a_lone_voter_elects_itself_by_ticks_alone() {
    let mut driver = start(HardState::default(), (0, 0), vec![]);
    for _ in 0..2 * Timing::default().election_ticks {
        driver.group.on_tick(&mut driver.out);
        driver.pump(true);
    }
    assert_eq!(driver.group.status().role, Role::Leader);
}
