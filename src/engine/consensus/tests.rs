use super::*;
use crate::batch::{BatchView, Section, SectionHeader};
use crate::message::NotTaken;
use crate::record::{Cancelled, RecordType};
use base::{BootId, InstanceId, MessageId, PartitionId, StoreId};
use journal::{Config, Effect, HeapBuffers};
use quorum::Member;

/// A consensus core whose disk answers when told to.
struct Case {
    core: ConsensusCore<HeapBuffers>,
    out: Outbox<ConsensusEffect<Vec<u8>>>,
    /// Writes and syncs under way.
    disk: Vec<Token>,
    prepares: Vec<Token>,
    to_shard: Vec<ToShard>,
    now: Now,
}

impl Case {
    /// A lone voter in office, with an idle disk.
    fn leading() -> Self {
        let mut case = Self::new();
        case.core.on_start(case.now, &mut case.out);
        case.drain();
        case.finish_disk();
        assert!(case.core.leading);
        case.to_shard.clear();
        case
    }

    fn new() -> Self {
        let store = StoreId(1);
        let alone = [(NodeId(1), Member { store, address: None })];
        let founded = Membership::founded(alone).unwrap();
        let config = ConsensusConfig {
            node: NodeId(1),
            store,
            boot: BootId(1),
            founded: founded.clone(),
            address: None,
            shards: 1,
            seed: 1,
            snapshot_journal_bytes: 1 << 40,
        };
        let mut journal_config = Config::new(StoreId(1));
        journal_config.segment_bytes = 8 << 20;
        let mut first = Outbox::new();
        let journal = Journal::create(journal_config, HeapBuffers, &mut first);
        let start = Start {
            journal,
            first,
            term: 0,
            vote: 0,
            commit: 0,
            left: Replay::new(None, &founded).finish(Vec::new()).unwrap(),
            snapshot: None,
            whole_through: 0,
        };
        let now = Now { instant: Instant(1), wall: UnixMicros(1_000_000) };
        Self {
            core: ConsensusCore::new(config, start, now),
            out: Outbox::new(),
            disk: Vec::new(),
            prepares: Vec::new(),
            to_shard: Vec::new(),
            now,
        }
    }

    fn drain(&mut self) {
        for effect in self.out.take() {
            match effect {
                ConsensusEffect::Journal(
                    Effect::Write { token, .. } | Effect::Sync { token, .. },
                ) => {
                    self.disk.push(token);
                }
                ConsensusEffect::Journal(Effect::Prepare { token, .. }) => {
                    self.prepares.push(token);
                }
                ConsensusEffect::ToShard { message, .. } => {
                    if let ToShard::Committed(entries) = &message {
                        let index = entries.last().unwrap().index;
                        self.core.on_packet(
                            self.now,
                            CoreId(0),
                            ToConsensus::Applied { index },
                            &mut self.out,
                        );
                    }
                    self.to_shard.push(message);
                }
                _ => {}
            }
        }
    }

    /// The disk does everything asked of it, and what that leads to.
    fn finish_disk(&mut self) {
        while !self.disk.is_empty() || !self.prepares.is_empty() {
            let tokens: Vec<Token> = self.disk.drain(..).chain(self.prepares.drain(..)).collect();
            for token in tokens {
                self.core.on_journal_done(self.now, token, &mut self.out);
                self.drain();
            }
            self.core.on_flush(self.now, &mut self.out);
            self.drain();
        }
    }

    fn submit(&mut self, number: u64, round: u32, records: u32) {
        let mut section = Section::new(64);
        let instance = InstanceId { message: MessageId::new(PartitionId(0), number), ordinal: 1 };
        for _ in 0..records {
            let record = Cancelled { instance };
            section.push(RecordType::Cancelled, PartitionId(0), |body| record.write(body));
        }
        let header = SectionHeader {
            node: NodeId(1),
            boot: BootId(1),
            core: CoreId(0),
            number,
            catalogue: 0,
            round,
        };
        let section = section.seal(&header);
        let message = ToConsensus::Submit { number, round, records, section, prepared: None };
        self.core.on_packet(self.now, CoreId(0), message, &mut self.out);
        self.core.on_flush(self.now, &mut self.out);
        self.drain();
    }

    /// The same, but for segments that are to be made.
    fn finish_writes(&mut self) {
        while !self.disk.is_empty() {
            let token = self.disk.remove(0);
            self.core.on_journal_done(self.now, token, &mut self.out);
            self.drain();
            self.core.on_flush(self.now, &mut self.out);
            self.drain();
        }
    }

    /// How many sections each entry handed out holds.
    fn entries(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for message in &self.to_shard {
            if let ToShard::Committed(entries) = message {
                for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
                    let batch = BatchView::parse(&entry.data).unwrap();
                    counts.push(batch.sections().count());
                }
            }
        }
        counts
    }
}

#[test]
fn a_batch_goes_out_at_once_when_nothing_is_in_flight_and_gathers_others_meanwhile() {
    let mut case = Case::leading();
    for number in 1..=5 {
        case.submit(number, 0, 1);
    }
    assert_eq!(case.disk.len(), 1, "the first batch is being written, the rest wait");
    assert!(case.entries().is_empty(), "nothing is handed out before it is durable");
    case.finish_disk();
    assert_eq!(case.entries(), [1, 4]);
}

#[test]
fn a_full_batch_does_not_wait_for_the_write_before_it() {
    let mut case = Case::leading();
    case.submit(1, 0, 1);
    case.submit(2, 0, 64);
    case.submit(3, 0, 64);
    assert_eq!(case.disk.len(), 2, "two writes are in flight, no more");
    case.finish_disk();
    assert_eq!(case.entries(), [1, 1, 1]);
}

#[test]
fn a_batch_waits_a_millisecond_at_most_while_one_write_is_in_flight() {
    let mut case = Case::leading();
    case.submit(1, 0, 1);
    case.submit(2, 0, 1);
    let due = case.core.deadline(case.now);
    assert_eq!(due, case.now.instant + Duration::from_millis(1));
    case.now.instant = due;
    case.core.on_deadline(case.now, &mut case.out);
    case.drain();
    assert_eq!(case.disk.len(), 2);
}

#[test]
fn a_node_that_knows_no_leader_lets_batches_lie_and_takes_the_next_round_once_it_leads() {
    let mut case = Case::new();
    case.submit(1, 0, 1);
    case.submit(2, 0, 1);
    assert!(case.to_shard.is_empty());
    case.core.on_start(case.now, &mut case.out);
    case.drain();
    case.finish_disk();
    case.submit(1, 1, 1);
    case.submit(2, 1, 1);
    case.finish_disk();
    assert_eq!(case.entries().iter().sum::<usize>(), 2);
}

#[test]
fn a_batch_behind_a_gap_is_refused_and_nothing_more_of_its_round_is_taken() {
    let mut case = Case::leading();
    case.submit(1, 0, 1);
    case.submit(3, 0, 1);
    case.submit(4, 0, 1);
    let refused: Vec<_> = case
        .to_shard
        .iter()
        .filter_map(|message| match message {
            ToShard::Refused { number, round, why } => Some((*number, *round, *why)),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [(3, 0, NotTaken::Gap)]);
    case.submit(2, 1, 1);
    case.submit(2, 1, 1);
    case.submit(3, 1, 1);
    case.finish_disk();
    assert_eq!(case.entries().iter().sum::<usize>(), 3, "the next round is taken, each batch once");
}

#[test]
fn a_full_disk_refuses_before_anything_is_accepted_and_takes_more_once_there_is_space() {
    let mut case = Case::new();
    case.core.on_start(case.now, &mut case.out);
    case.drain();
    // The first segment is made; there is no space for the next.
    while case.prepares.is_empty() {
        case.finish_writes();
    }
    let first = case.prepares.remove(0);
    case.core.on_journal_done(case.now, first, &mut case.out);
    case.drain();
    let mut number = 0;
    let refused = loop {
        for token in std::mem::take(&mut case.prepares) {
            case.core.on_prepare_failed(case.now, token, &mut case.out);
            case.drain();
        }
        case.finish_writes();
        number += 1;
        case.submit(number, 0, 5_000);
        let last = case.to_shard.last();
        if let Some(ToShard::Refused { number, why, .. }) = last {
            assert_eq!(*why, NotTaken::NoSpace);
            break *number;
        }
        assert!(number < 1_000, "the journal never fills");
    };
    assert!(!case.core.status().has_space);
    case.finish_writes();
    assert_eq!(case.entries().iter().sum::<usize>() as u64, refused - 1, "all taken is durable");
    // The disk is retried by itself; now there is space.
    while case.prepares.is_empty() {
        case.now.instant = case.core.deadline(case.now).max(case.now.instant + TICK);
        case.core.on_deadline(case.now, &mut case.out);
        case.drain();
    }
    case.finish_disk();
    case.submit(refused, 1, 1);
    case.finish_disk();
    assert!(case.core.status().has_space);
    assert_eq!(case.entries().iter().sum::<usize>() as u64, refused);
}

#[test]
fn the_logs_time_passes_a_timer_of_an_idle_node() {
    let mut case = Case::leading();
    let due = UnixMicros(case.now.wall.0 + 50_000);
    case.core.on_packet(case.now, CoreId(0), ToConsensus::Wake { due: Some(due) }, &mut case.out);
    for _ in 0..100 {
        let next = case.core.deadline(case.now);
        let passed = next.since(case.now.instant);
        case.now = Now { instant: next, wall: case.now.wall + passed };
        case.core.on_deadline(case.now, &mut case.out);
        case.drain();
        case.finish_disk();
        if let Some(ToShard::Committed(entries)) = case.to_shard.last() {
            let batch = BatchView::parse(&entries[0].data).unwrap();
            if batch.stamp >= due {
                assert!(case.now.wall.since(due) < Duration::from_millis(20));
                return;
            }
        }
    }
    panic!("the timer was never passed");
}

#[test]
fn a_late_wake_up_counts_two_ticks_at_most() {
    let mut case = Case::leading();
    case.now.instant = case.now.instant + Duration::from_mins(1);
    case.core.on_deadline(case.now, &mut case.out);
    case.drain();
    assert!(case.core.leading, "a pause alone unseats nobody");
    assert!(case.core.deadline(case.now) > case.now.instant, "and time goes on from here");
}
