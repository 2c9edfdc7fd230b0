use super::*;
use crate::File;
use crate::format::FRAME_HEADER_BYTES;
use crate::tests::rig::{Rig, entries, entry};
use crate::tests::world::{recover, small_config};
use crate::writer::SEAL_AFTER;

const BLOCK: usize = BLOCK_BYTES;

fn rig() -> Rig {
    Rig::new(small_config(0))
}

/// Three frames, of entries 1 to 6, at blocks 1, 2 and 3 of slot 0; the last is not known to be
/// durable.
fn three_frames() -> Rig {
    let mut rig = rig();
    for first in [1, 3, 5] {
        rig.append(entries(first..=first + 1));
        rig.finish();
    }
    rig
}

fn sealed() -> Rig {
    let mut rig = three_frames();
    rig.wait(SEAL_AFTER);
    rig.finish();
    rig
}

#[test]
fn an_empty_directory_is_a_fresh_journal() {
    let recovery = Recovery::new(small_config(0), (0, 0));
    let recovered = recovery.finish(&mut Vec::new()).expect("there is nothing to refuse");
    assert_eq!((recovered.term, recovered.vote, recovered.commit), (0, 0, 0));
    assert_eq!((recovered.last, recovered.cut), ((0, 0), None));
}

#[test]
fn a_torn_last_frame_is_cut() {
    // Rows: which byte of the last frame is damaged, how many frames can still be told.
    let last = 3 * BLOCK;
    let rows = [(last, 0), (last + 95, 0), (last + FRAME_HEADER_BYTES, 1), (last + 130, 1)];
    for (at, dropped_frames) in rows {
        let mut rig = three_frames();
        rig.damage(File::Segment(0), at);
        let (recovered, log) = rig.read().expect("it was never known to be durable");
        assert_eq!(log, entries(1..=4));
        assert_eq!(recovered.last, (4, 0));
        let cut = Cut {
            at_index: 5,
            dropped_frames,
            dropped_bytes: dropped_frames * 4096,
            slot: 0,
            offset: last as u64,
        };
        assert_eq!(recovered.cut, (dropped_frames > 0).then_some(cut));
    }
}

#[test]
fn a_damaged_durable_frame_is_reported_with_its_place() {
    let rows = [
        (BLOCK + 8, 1, Reason::Header),
        (BLOCK + FRAME_HEADER_BYTES, 1, Reason::Payload(62)),
        (2 * BLOCK, 3, Reason::Header),
        (3 * BLOCK + 140, 5, Reason::Payload(62)),
    ];
    for (at, index, reason) in rows {
        let mut rig = sealed();
        rig.damage(File::Segment(0), at);
        let offset = (at - at % BLOCK) as u64;
        let expected = Corrupt::Entries { slot: 0, offset, index, durable_through: 6, reason };
        assert_eq!(rig.read().map(|_| ()), Err(expected));
    }
}

#[test]
fn the_message_says_where_and_what_to_do() {
    let mut rig = sealed();
    rig.damage(File::Segment(0), 2 * BLOCK);
    let text = rig.read().expect_err("it is damaged").to_string();
    assert_eq!(
        text,
        "the journal is damaged in 00000000.seg at byte 8192: the frame's header cannot be read, \
         but what stands there was durable (entry 3 follows; entries up to 6 were durable). \
         A node alone is restored from a backup; a member of a cluster is removed and added again \
         with an empty data directory"
    );
}

#[test]
fn a_damaged_seal_and_damaged_padding_do_no_harm() {
    for at in [4 * BLOCK, 4 * BLOCK + 90, 4 * BLOCK - 1, 5 * BLOCK, BLOCK - 1] {
        let mut rig = sealed();
        rig.damage(File::Segment(0), at);
        let (_, log) = rig.read().expect("nothing is lost");
        assert_eq!(log, entries(1..=6));
    }
}

#[test]
fn a_damaged_or_missing_segment_is_reported() {
    let mut full = rig();
    while full.segment_files() < 4 {
        full.append_bytes(3000);
        full.finish();
    }
    full.wait(SEAL_AFTER);
    full.finish();
    for slot in 0..3 {
        let mut rig = full.files.clone();
        rig.get_mut(&File::Segment(slot)).unwrap()[40] ^= 1;
        let fault = recover(&full.config, (0, 0), &rig).expect_err("a header is damaged");
        assert!(matches!(fault, Corrupt::Entries { .. } | Corrupt::Gap { .. }), "{fault}");
        rig.remove(&File::Segment(slot));
        if slot < 2 {
            let fault = recover(&full.config, (0, 0), &rig).expect_err("a file is missing");
            assert!(matches!(fault, Corrupt::Entries { .. } | Corrupt::Gap { .. }), "{fault}");
        }
    }
}

#[test]
fn a_snapshot_vouches_for_the_entries_that_it_holds() {
    let mut rig = three_frames();
    rig.damage(File::Segment(0), 3 * BLOCK);
    rig.snapshot = (4, 0);
    let (recovered, log) = rig.read().expect("only what follows the snapshot is gone");
    assert_eq!((recovered.last, recovered.commit, log), ((4, 0), 4, vec![]));
    rig.snapshot = (5, 0);
    let fault = rig.read().expect_err("entry 5 was durable");
    assert!(matches!(fault, Corrupt::Entries { index: 5, durable_through: 5, .. }), "{fault}");
}

#[test]
fn a_log_that_does_not_reach_back_to_the_snapshot_is_refused() {
    let mut rig = rig();
    while rig.segment_files() < 4 {
        rig.append_bytes(3000);
        rig.finish();
    }
    let last = rig.journal.last();
    rig.compact(last - 1);
    rig.finish();
    assert!(rig.read().is_ok());
    rig.snapshot = (0, 0);
    let fault = rig.read().expect_err("entries before the log are gone");
    assert!(matches!(fault, Corrupt::Gap { index: 1, first } if first > 1), "{fault}");
    rig.files.retain(|file, _| *file == File::Vote);
    rig.snapshot = (last - 1, 0);
    let fault = rig.read().expect_err("no segment is left");
    assert_eq!(fault, Corrupt::Gap { index: last, first: 0 });
}

#[test]
fn the_stored_commit_is_at_most_what_is_known_to_be_durable() {
    let mut rig = rig();
    rig.append_and_commit(entries(1..=2), 0);
    rig.finish();
    // The leader's commit may run ahead of its own disk.
    rig.append_and_commit(entries(3..=4), 4);
    rig.finish();
    let (recovered, _) = rig.read().expect("all is well");
    assert_eq!((recovered.commit, recovered.last), (2, (4, 0)));
    rig.wait(SEAL_AFTER);
    rig.finish();
    let (recovered, _) = rig.read().expect("all is well");
    assert_eq!(recovered.commit, 4);
}

#[test]
fn the_newest_whole_copy_of_the_vote_counts_and_is_not_the_first_to_be_overwritten() {
    for (torn, first) in [(0, "write vote 0+1"), (1, "write vote 1+1")] {
        let mut rig = rig();
        rig.vote(3, 1);
        rig.finish();
        rig.damage(File::Vote, torn * BLOCK + 20);
        let (recovered, _) = rig.read().expect("one copy is whole");
        assert_eq!((recovered.term, recovered.vote), (3, 1));
        rig.restart();
        rig.carry_out(0);
        assert_eq!(rig.waiting(), [first]);
        rig.finish();
        rig.damage(File::Vote, (1 - torn) * BLOCK + 20);
        let (recovered, _) = rig.read().expect("both copies were written");
        assert_eq!((recovered.term, recovered.vote), (3, 1));
    }
}

#[test]
fn a_vote_that_reached_one_copy_may_count_and_one_that_reached_none_does_not() {
    let mut rig = rig();
    rig.vote(3, 1);
    rig.finish();
    rig.vote(4, 2);
    let vote = |rig: &Rig| {
        let (recovered, _) = rig.read().expect("a copy is whole");
        (recovered.term, recovered.vote)
    };
    assert_eq!(vote(&rig), (3, 1));
    rig.carry_out(0);
    assert_eq!(vote(&rig), (4, 2));
    rig.damage(File::Vote, 9);
    assert_eq!(vote(&rig), (3, 1), "torn");
}

#[test]
fn segments_without_a_vote_are_refused() {
    let mut rig = three_frames();
    rig.damage(File::Vote, 9);
    rig.damage(File::Vote, BLOCK + 9);
    assert_eq!(rig.read().map(|_| ()), Err(Corrupt::Vote { segments: 2 }));
    rig.files.remove(&File::Vote);
    assert_eq!(rig.read().map(|_| ()), Err(Corrupt::Vote { segments: 2 }));
}

#[test]
fn files_of_another_store_are_refused_by_name() {
    let mut rig = three_frames();
    let expected = rig.config.store;
    rig.config.store = StoreId(1);
    let fault = rig.read().expect_err("it is another store");
    let file = "vote".to_owned();
    assert_eq!(fault, Corrupt::Store { file, expected: StoreId(1), found: expected });
}

#[test]
fn a_layout_of_a_later_release_is_refused_and_never_cut() {
    for (file, at, header_bytes, name) in [
        (File::Vote, 0, 60, "vote"),
        (File::Segment(0), 0, 80, "00000000.seg"),
        (File::Segment(0), 3 * BLOCK, 96, "00000000.seg"),
        (File::Segment(0), 5 * BLOCK, 96, "00000000.seg"),
    ] {
        let mut rig = sealed();
        let bytes = rig.files.get_mut(&file).unwrap();
        if at == 5 * BLOCK {
            bytes.copy_within(4 * BLOCK..5 * BLOCK, at);
        }
        bytes[at + 4] = 3;
        let crc = crc32fast::hash(&bytes[at..at + header_bytes - 4]);
        bytes[at + header_bytes - 4..at + header_bytes].copy_from_slice(&crc.to_le_bytes());
        let file = name.to_owned();
        assert_eq!(rig.read().map(|_| ()), Err(Corrupt::Version { file, found: 3 }));
    }
}

#[test]
fn a_frame_that_is_not_the_next_one_ends_the_log() {
    // The second frame again, in the place of the third: whole, and yet stale.
    let mut rig = three_frames();
    let segment = rig.files.get_mut(&File::Segment(0)).unwrap();
    segment.copy_within(2 * BLOCK..3 * BLOCK, 3 * BLOCK);
    let (recovered, log) = rig.read().expect("the third was not known to be durable");
    assert_eq!((log, recovered.cut), (entries(1..=4), None));
    // The third with another chain: what preceded it is not what stands before it.
    let mut rig = three_frames();
    let segment = rig.files.get_mut(&File::Segment(0)).unwrap();
    let frame = &mut segment[3 * BLOCK..4 * BLOCK];
    frame[88] ^= 1;
    let crc = crc32fast::hash(&frame[..92]);
    frame[92..96].copy_from_slice(&crc.to_le_bytes());
    let (_, log) = rig.read().expect("the third was not known to be durable");
    assert_eq!(log, entries(1..=4));
}

#[test]
fn an_entry_of_a_term_that_the_vote_file_does_not_know_is_refused() {
    let mut rig = rig();
    let old = rig.files[&File::Vote].clone();
    rig.vote(2, 1);
    rig.append(vec![entry(1, 2, 10)]);
    rig.finish();
    rig.files.insert(File::Vote, old);
    let fault = rig.read().expect_err("a vote was forgotten");
    assert!(matches!(fault, Corrupt::Contradiction { offset: 4096, .. }), "{fault}");
}

#[test]
fn the_first_frame_of_all_may_be_lost_with_its_header() {
    let mut rig = rig();
    rig.append(entries(1..=2));
    rig.carry_out(0);
    rig.append(entries(3..=3));
    rig.finish_writes();
    // The second frame is there, the first block is not.
    rig.files.get_mut(&File::Segment(0)).unwrap()[..BLOCK].fill(0);
    let (recovered, log) = rig.read().expect("nothing says that it was durable");
    assert_eq!((recovered.last, log), ((0, 0), vec![]));
    rig.restart();
    rig.append(entries(1..=1));
    rig.finish();
    let (_, log) = rig.read().expect("all is well");
    assert_eq!(log, entries(1..=1), "what was there before is not taken for a part of the log");
}

#[test]
fn segments_of_another_size_are_read_and_removed_once_not_needed() {
    let mut rig = rig();
    while rig.segment_files() < 3 {
        rig.append_bytes(3000);
        rig.finish();
    }
    let last = rig.journal.last();
    rig.config.segment_bytes *= 2;
    let log = rig.restart();
    assert_eq!(log.len() as u64, last);
    rig.finish();
    rig.append_bytes(10);
    rig.finish();
    rig.compact(last);
    rig.finish();
    let sizes: Vec<usize> = rig.files.values().map(Vec::len).collect();
    assert_eq!(sizes, [2 * BLOCK, 32 * BLOCK, 32 * BLOCK], "only new ones are left");
}

#[test]
fn a_removed_segment_that_comes_back_is_not_taken_for_one_of_the_same_sequence() {
    let mut rig = rig();
    rig.append_bytes(3000);
    rig.finish();
    // A frame that fills the first segment, and one that opens the second: only that is written.
    while !rig.waiting().iter().any(|order| order == "write 1 0+2") {
        rig.finish();
        rig.append_bytes(3000);
        rig.append_bytes(3000);
    }
    let at = rig.waiting().iter().position(|order| order == "write 1 0+2").unwrap();
    rig.carry_out(at);
    let removed = rig.files.remove(&File::Segment(1)).unwrap();
    let last = rig.restart().len() as u64;
    rig.finish();
    assert_eq!(rig.journal.last(), last);
    // The new run's segment has the same sequence as the one that comes back.
    rig.append_bytes(3000);
    rig.finish();
    rig.files.insert(File::Segment(1), removed);
    rig.restart();
    rig.finish();
    for _ in 0..60 {
        rig.append_bytes(3000);
        rig.finish();
        rig.compact(rig.journal.last());
        rig.finish();
        let (recovered, log) = rig.read().unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((recovered.last.0, log), (rig.journal.last(), vec![]));
    }
}
