//! A snapshot from elsewhere takes the log's place; and entries are read back.

use super::rig::{Rig, entries, entry};
use super::world::small_config;
use crate::{Corrupt, Recovery};
use std::collections::BTreeMap;

/// Entries 1 to 6, durable and sealed in words, in term 1.
fn old_log() -> Rig {
    let mut rig = Rig::new(small_config(0));
    rig.vote(1, 1);
    rig.finish();
    for first in [1, 3, 5] {
        rig.append((first..first + 2).map(|index| entry(index, 1, 10)).collect());
        rig.finish();
    }
    rig
}

#[test]
fn the_log_goes_on_behind_an_installed_snapshot() {
    // Rows: the snapshot's index; ahead of the log, at its end, within what conflicts.
    for index in [20, 6, 4] {
        let mut rig = old_log();
        rig.vote(2, 2);
        rig.install(index, 2);
        let after = vec![entry(index + 1, 2, 5), entry(index + 2, 2, 5)];
        rig.append(after.clone());
        rig.finish();
        assert_eq!((rig.durable, rig.journal.last()), (index + 2, index + 2));
        assert_eq!(rig.journal.find(index), None, "nothing below it can be read back");
        assert_eq!(rig.read_back(index + 1), Some(after.clone()));
        assert_eq!(rig.restart(), after);
        rig.finish();
        assert_eq!(rig.durable, index + 2);
        assert_eq!(rig.segment_files(), 3, "the old segments are used again, or gone");
    }
}

#[test]
fn durable_through_the_snapshot_is_said_only_once_the_old_log_cannot_come_back() {
    let mut rig = old_log();
    let before = rig.durable;
    rig.install(20, 1);
    let steps = ["write vote 0+1", "sync vote", "write vote 1+1", "sync vote"];
    for step in steps {
        assert_eq!(rig.waiting(), [step]);
        assert_eq!(rig.durable, before, "at `{step}`");
        rig.carry_out(0);
    }
    assert_eq!(rig.durable, 20);
}

#[test]
fn a_start_drops_a_log_that_does_not_lead_up_to_the_installed_snapshot() {
    // Rows: index and term of the snapshot, what of the log stays.
    let rows = [((20, 3), 0), ((5, 3), 0), ((5, 1), 1), ((6, 1), 0)];
    for (snapshot, left) in rows {
        let rig = old_log();
        let recovery = Recovery::of_installed(small_config(0), snapshot);
        let (recovered, log) = super::world::read(recovery, &rig.files).expect("it was installed");
        assert_eq!(log.len(), left, "{snapshot:?}");
        let last = if left == 0 { snapshot } else { (6, 1) };
        assert_eq!((recovered.last, recovered.commit >= snapshot.0), (last, true));
        let own = Recovery::new(small_config(0), snapshot);
        let of_own = super::world::read(own, &rig.files).map(|_| ());
        // A snapshot of our own was made of the log: then the log has lost its end.
        assert_eq!(of_own.is_err(), snapshot.0 > 6, "{snapshot:?}: {of_own:?}");
    }
}

#[test]
fn a_first_segment_that_was_lost_is_told_from_one_that_never_was() {
    let mut rig = old_log();
    rig.install(20, 1);
    rig.finish();
    assert_eq!(rig.read().map(|(_, log)| log), Ok(Vec::new()), "nothing was appended yet");
    for index in [21, 22, 23] {
        rig.append(vec![entry(index, 1, 10)]);
        rig.finish();
    }
    assert_eq!(rig.read().map(|(_, log)| log.len()), Ok(3));
    let segments: Vec<_> = rig.files.keys().copied().skip(1).collect();
    let newest = segments.iter().find(|file| rig.journal.find(21).unwrap().file() == **file);
    rig.files.remove(newest.expect("it is one of them"));
    assert!(matches!(rig.read(), Err(Corrupt::Gap { index: 21, .. })));
}

#[test]
fn a_fresh_node_can_start_from_a_snapshot_alone() {
    let recovery = Recovery::of_installed(small_config(0), (9, 2));
    let (recovered, log) = super::world::read(recovery, &BTreeMap::new()).expect("all is new");
    assert_eq!((recovered.last, recovered.commit, log), ((9, 2), 9, Vec::new()));
}

#[test]
fn of_two_entries_with_one_index_the_later_is_read_back() {
    let mut rig = Rig::new(small_config(0));
    rig.append(entries(1..=6));
    rig.finish();
    rig.append(vec![entry(4, 0, 77), entry(5, 0, 77)]);
    assert_eq!(rig.read_back(3), Some(entries(3..=3)), "what is not durable is not read");
    assert_eq!(rig.read_back(4), None);
    rig.finish();
    assert_eq!(rig.read_back(1), Some(entries(1..=3)));
    assert_eq!(rig.read_back(4), Some(vec![entry(4, 0, 77), entry(5, 0, 77)]));
    assert_eq!(rig.read_back(6), None);
}

#[test]
fn a_segment_that_was_overwritten_is_not_taken_for_the_log() {
    let rig = old_log();
    let stretch = rig.journal.find(3).expect("it is durable");
    let bytes = rig.files[&stretch.file()].clone();
    let at = usize::try_from(stretch.offset()).unwrap();
    let read = &bytes[at..at + usize::try_from(stretch.bytes()).unwrap()];
    assert_eq!(stretch.entries(read).map(|found| found[0].index), Ok(3));
    for (place, flipped) in [(0, 0x10), (130, 0x01), (24, 0x01)] {
        let mut other = read.to_vec();
        other[place] ^= flipped;
        assert!(stretch.entries(&other).is_err(), "byte {place}");
    }
    assert!(stretch.entries(&read[..read.len() - 1]).is_err(), "it was cut off");
    assert!(stretch.entries(&[]).is_err());
}
