use super::*;
use crate::tests::rig::{Rig, entries, entry};
use crate::tests::world::small_config;
use crate::{Config, Effect};
use base::StoreId;

fn rig() -> Rig {
    Rig::new(small_config(0))
}

#[test]
fn a_fresh_journal_stores_its_epoch_twice_and_then_makes_its_first_segment_ready() {
    let mut rig = Rig::unready(small_config(0));
    let mut seen = Vec::new();
    while !rig.orders.is_empty() {
        seen.extend(rig.waiting());
        rig.carry_out(0);
    }
    let order =
        ["sync vote", "write vote 0+1", "sync vote", "write vote 1+1", "sync vote", "prepare 0"];
    assert_eq!(seen, order);
    assert_eq!(rig.votes_durable, 0, "nobody asked for a vote");
}

#[test]
fn the_first_frame_takes_its_segments_header_along_and_orders_the_next_segment() {
    let mut rig = rig();
    rig.append(entries(1..=3));
    assert_eq!(rig.waiting(), ["write 0 0+2", "prepare 1"]);
    rig.carry_out(0);
    assert_eq!(rig.waiting(), ["prepare 1", "sync 0"]);
    assert_eq!(rig.durable, 0, "written is not durable");
    rig.carry_out(1);
    assert_eq!(rig.durable, 3);
    rig.append(entries(4..=4));
    assert_eq!(rig.waiting(), ["prepare 1", "write 0 2+1"]);
}

#[test]
fn what_is_queued_while_two_writes_are_in_flight_goes_out_as_one_frame() {
    let mut rig = rig();
    rig.append(entries(1..=1));
    rig.append(entries(2..=2));
    for index in 3..=9 {
        rig.append(entries(index..=index));
    }
    assert_eq!(rig.journal.writes_in_flight(), WRITES_IN_FLIGHT_MAX);
    assert_eq!(rig.waiting(), ["write 0 0+2", "prepare 1", "write 0 2+1"]);
    rig.carry_out(0);
    rig.carry_out(2);
    assert_eq!(rig.durable, 1);
    assert_eq!(rig.waiting(), ["prepare 1", "write 0 2+1", "write 0 3+1"]);
    rig.finish();
    assert_eq!(rig.durable, 9);
}

#[test]
fn a_frame_takes_one_buffer_and_no_more_entries_than_its_bound() {
    let config = Config { segment_bytes: 64 * 4096, ..small_config(0) };
    let mut rig = Rig::new(config.clone());
    rig.append(entries(1..=1));
    rig.append(entries(2..=2));
    // Two of them reach the bound of 12 KiB.
    rig.append((3..=8).map(|index| entry(index, 0, 8000)).collect());
    rig.finish();
    assert_eq!(rig.durable, 8);
    // The vote's two copies, two frames, three frames of two entries each.
    assert_eq!(rig.journal.buffers.count, 2 + 2 + 3);
}

#[test]
fn an_entry_is_durable_only_with_all_before_it() {
    let mut rig = rig();
    rig.append(entries(1..=1));
    rig.append(entries(2..=2));
    // The second write and its sync first.
    rig.carry_out(2);
    assert_eq!(rig.waiting(), ["write 0 0+2", "prepare 1", "sync 0"]);
    rig.carry_out(2);
    assert_eq!(rig.durable, 0);
    rig.append(entries(3..=3));
    assert_eq!(rig.waiting(), ["write 0 0+2", "prepare 1"], "it still counts as in flight");
    rig.carry_out(0);
    rig.carry_out(1);
    assert_eq!(rig.durable, 2, "then both at once");
}

#[test]
fn a_vote_is_durable_once_both_copies_are_and_entries_wait_for_it() {
    let mut rig = rig();
    rig.vote(4, 2);
    rig.append(vec![entry(1, 4, 10)]);
    for step in ["write vote 0+1", "sync vote", "write vote 1+1", "sync vote"] {
        assert_eq!(rig.waiting(), [step]);
        assert_eq!(rig.votes_durable, 0);
        rig.carry_out(0);
    }
    assert_eq!(rig.votes_durable, 1);
    assert_eq!(rig.waiting(), ["write 0 0+2", "prepare 1"]);
    let (recovered, _) = rig.read().expect("all is well");
    assert_eq!((recovered.term, recovered.vote), (4, 2));
}

#[test]
fn a_vote_during_a_vote_is_stored_too_and_only_the_last_is_reported() {
    let mut rig = rig();
    rig.vote(4, 2);
    rig.carry_out(0);
    rig.vote(5, 0);
    rig.vote(5, 3);
    rig.finish();
    assert_eq!(rig.votes_durable, 1);
    let (recovered, _) = rig.read().expect("all is well");
    assert_eq!((recovered.term, recovered.vote), (5, 3));
}

#[test]
fn after_20_ms_of_silence_one_seal_is_written() {
    let mut rig = rig();
    assert_eq!(rig.journal.deadline(), None, "nothing to seal");
    rig.append(entries(1..=2));
    assert_eq!(rig.journal.deadline(), None, "not silent yet");
    rig.now = Instant(5_000_000);
    rig.finish();
    assert_eq!(rig.journal.deadline(), Some(Instant(25_000_000)));
    rig.wait(Duration::from_millis(19));
    assert!(rig.orders.is_empty(), "early calls do no harm");
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.waiting(), ["write 0 2+1"]);
    assert_eq!(rig.journal.deadline(), None);
    rig.finish();
    rig.wait(Duration::from_secs(1));
    assert!(rig.orders.is_empty() && rig.journal.deadline().is_none(), "it is sealed");
    rig.append(entries(3..=3));
    rig.finish();
    assert!(rig.journal.deadline().is_some(), "and now it is not");
}

#[test]
fn an_append_within_the_silence_puts_the_seal_off() {
    let mut rig = rig();
    rig.append(entries(1..=1));
    rig.finish();
    rig.wait(Duration::from_millis(15));
    rig.append(entries(2..=2));
    assert_eq!(rig.journal.deadline(), None);
    rig.wait(Duration::from_millis(15));
    assert_eq!(rig.waiting(), ["write 0 2+1"], "no seal between");
}

#[test]
fn every_entry_that_has_room_gets_durable_without_another_segment() {
    // Rows: the sizes of the entries, in turn.
    let rows: [&[usize]; 6] =
        [&[0], &[1, 9000], &[9000], &[3000, 10, 8076], &[3979, 3980], &[4096, 0, 0, 8000]];
    for sizes in rows {
        for fill in [false, true] {
            let mut rig = Rig::new(small_config(0));
            // One segment open, one ready, and no more.
            rig.append_bytes(1);
            rig.finish();
            let mut appended = 1;
            for size in sizes.iter().cycle() {
                if rig.journal.room() <= *size as u64 {
                    break;
                }
                rig.append_bytes(*size);
                appended += 1;
                if fill {
                    // Alone in its frame, and a seal behind it where there is room to spare.
                    rig.finish_writes();
                }
                assert!(appended < 1000, "room comes to an end");
            }
            rig.finish_writes();
            assert_eq!(rig.durable, appended, "{sizes:?}");
        }
    }
}

#[test]
fn room_starts_at_nothing_and_is_the_largest_entry_at_least_in_a_default_segment() {
    let config = Config::new(StoreId(1));
    let mut rig = Rig::unready(config.clone());
    assert_eq!(rig.journal.room(), 0, "no segment is ready");
    rig.finish();
    let room = rig.journal.room();
    assert!(room > 60 * 1024 * 1024 && room < config.segment_bytes, "{room}");
    rig.append_bytes(1024);
    assert!(rig.journal.room() < room);
}

#[test]
fn a_full_disk_shrinks_the_room_and_is_tried_again_every_second() {
    let mut rig = rig();
    rig.append(entries(1..=1));
    rig.fail_preparation();
    rig.finish();
    assert!(rig.journal.is_disk_full());
    while rig.journal.room() >= 5000 {
        rig.append_bytes(5000);
        rig.finish();
    }
    let before = rig.durable;
    // Not asked for room: it waits, and nothing is lost.
    for _ in 0..6 {
        rig.append_bytes(9000);
    }
    rig.finish();
    assert!(rig.durable < rig.journal.last());
    assert_eq!(rig.journal.room(), 0);
    rig.wait(Duration::from_secs(1));
    rig.fail_preparation();
    assert!(rig.journal.is_disk_full());
    rig.finish();
    rig.wait(Duration::from_millis(900));
    assert!(!rig.waiting().contains(&"prepare 1".to_owned()), "not yet");
    rig.wait(Duration::from_millis(100));
    assert!(rig.waiting().contains(&"prepare 1".to_owned()), "{:?}", rig.waiting());
    rig.finish();
    assert!(!rig.journal.is_disk_full());
    assert!(rig.journal.room() > 0);
    assert_eq!(rig.durable, rig.journal.last());
    assert!(rig.durable > before);
}

#[test]
fn what_supersedes_takes_back_what_was_durable_until_it_is_itself() {
    let mut rig = rig();
    rig.vote(1, 1);
    rig.append(vec![entry(1, 1, 1), entry(2, 1, 1), entry(3, 1, 1)]);
    rig.finish();
    rig.append(vec![entry(4, 1, 1)]);
    rig.append(vec![entry(5, 1, 1)]);
    rig.append(vec![entry(6, 1, 1)]);
    rig.vote(2, 1);
    rig.append(vec![entry(2, 2, 1), entry(3, 2, 1)]);
    assert_eq!((rig.journal.durable(), rig.journal.last()), (1, 3));
    rig.finish();
    assert_eq!((rig.durable, rig.journal.durable()), (3, 3));
    let (recovered, log) = rig.read().expect("all is well");
    assert_eq!(recovered.last, (3, 2));
    let terms: Vec<_> = log.iter().map(|entry| (entry.index, entry.term)).collect();
    assert_eq!(terms, [(1, 1), (2, 2), (3, 2)]);
}

/// Fills segments with entries of one block each; returns the last index.
fn fill(rig: &mut Rig, segments: usize) -> u64 {
    while rig.segment_files() < segments + 1 {
        rig.append_bytes(3000);
        rig.finish();
    }
    rig.journal.last()
}

#[test]
fn segments_that_hold_nothing_needed_are_recycled_or_removed() {
    let mut rig = rig();
    let last = fill(&mut rig, 5);
    let (files, bytes) = (rig.segment_files(), rig.journal.bytes());
    rig.compact(last - 1);
    assert_eq!(rig.segment_files(), files, "not before it is stored where the log begins");
    rig.finish();
    assert_eq!(rig.segment_files(), 1 + 2, "the open one and two spares");
    assert!(rig.journal.bytes() < bytes / 2);
    // Recycled segments are used again, with what was in them still there.
    rig.append_bytes(3000);
    for _ in 0..40 {
        rig.append_bytes(3000);
        rig.finish();
    }
    let (recovered, log) = rig.read().expect("all is well");
    assert_eq!(recovered.last.0, last + 41);
    assert_eq!(log.first().map(|entry| entry.index), Some(last));
}

#[test]
fn nothing_is_given_up_that_an_uncompacted_entry_is_in() {
    let mut rig = rig();
    let last = fill(&mut rig, 4);
    for through in 1..last {
        rig.compact(through);
        rig.finish();
        let (_, log) = rig.read().expect("all is well");
        let indexes: Vec<u64> = log.iter().map(|entry| entry.index).collect();
        assert_eq!(indexes, (through + 1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn a_node_that_restarts_again_and_again_does_not_fill_its_disk() {
    for merge_bytes_max in [0, 1 << 20] {
        for appends in [false, true] {
            let mut rig = Rig::new(small_config(merge_bytes_max));
            rig.append(entries(1..=2));
            rig.finish();
            for _ in 0..40 {
                rig.restart();
                rig.finish();
                rig.wait(SEAL_AFTER);
                rig.finish();
                if appends && merge_bytes_max > 0 {
                    rig.append_bytes(1);
                    rig.finish();
                }
            }
            assert!(rig.segment_files() <= 5, "{}", rig.segment_files());
            assert!(rig.journal.bytes() <= 4 * 4096, "what was copied is given up");
        }
    }
}

#[test]
fn a_restart_copies_what_is_not_known_to_be_durable_and_vouches_for_it_last() {
    let mut rig = rig();
    rig.append(entries(1..=2));
    rig.finish();
    rig.append(entries(3..=4));
    rig.finish();
    let log = rig.restart();
    assert_eq!(log, entries(1..=4));
    assert_eq!(rig.durable, 2, "the second frame says so");
    rig.append(entries(5..=5));
    let mut seen = Vec::new();
    while !rig.orders.is_empty() {
        let next = rig.waiting()[0].clone();
        rig.carry_out(0);
        if !next.contains("vote") {
            seen.push(format!("{next} -> {}", rig.durable));
        }
    }
    let order = [
        "write 1 1+1 -> 2",
        "prepare 2 -> 2",
        "sync 1 -> 2",
        "write 1 0+1 -> 2",
        "sync 1 -> 4",
        "write 1 2+1 -> 4",
        "sync 1 -> 5",
    ];
    assert_eq!(seen, order);
}

#[test]
fn a_restart_of_a_sealed_journal_copies_nothing() {
    let mut rig = rig();
    rig.append(entries(1..=2));
    rig.finish();
    rig.wait(SEAL_AFTER);
    rig.finish();
    rig.restart();
    assert_eq!(rig.durable, 2, "at once");
    rig.finish_writes();
    assert_eq!(rig.journal.writes_in_flight(), 0);
    rig.append(entries(3..=3));
    assert_eq!(rig.waiting(), ["write 1 0+2", "prepare 2"]);
}

#[test]
#[should_panic(expected = "the log has no gap")]
fn a_gap_in_the_log_is_our_own_fault() {
    rig().append(entries(2..=2));
}

#[test]
#[should_panic(expected = "a term is stored before its entries")]
fn an_entry_of_a_term_that_is_not_stored_is_our_own_fault() {
    rig().append(vec![entry(1, 1, 1)]);
}

#[test]
fn tokens_are_never_handed_out_twice() {
    let mut rig = rig();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        rig.append_bytes(3000);
        while !rig.orders.is_empty() {
            if let Some(Effect::Write { token, .. } | Effect::Sync { token, .. }) =
                rig.orders.front()
            {
                assert!(seen.insert(*token));
            }
            rig.carry_out(0);
        }
    }
}
