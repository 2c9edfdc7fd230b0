//! Flipped bits and arbitrary bytes.

use super::disk::{Crash, draw};
use super::world::{World, recover, small_config};
use crate::format::{BLOCK_BYTES, FrameHeader, FrameKind, SegmentHeader, VoteCopy};
use crate::{Corrupt, Entry, File, HeapBuffers, Journal};
use base::Outbox;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A world that has lived through some crashes.
fn old_world(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..3 {
        for _ in 0..world.prng.below(80) {
            world.step();
        }
        world.crash(Crash::Power);
        world.start();
    }
    for _ in 0..20 + world.prng.below(80) {
        world.step();
    }
    world
}

/// Flips one bit anywhere in the image, more often near the start of a block, where headers are.
fn flip(world: &mut World, image: &mut BTreeMap<File, Vec<u8>>) -> (File, usize) {
    let files: Vec<File> = image.keys().copied().collect();
    let file = files[draw(&mut world.prng, files.len())];
    let bytes = image.get_mut(&file).unwrap();
    if bytes.is_empty() {
        return (file, 0);
    }
    let mut at = draw(&mut world.prng, bytes.len());
    if world.prng.chance(1, 2) {
        at = (at & !(BLOCK_BYTES - 1)) + draw(&mut world.prng, 100);
    }
    at = at.min(bytes.len() - 1);
    bytes[at] ^= 1 << world.prng.below(8);
    (file, at)
}

#[test]
fn a_flipped_bit_in_a_sealed_journal_is_reported_or_harmless() {
    let mut reported = 0;
    for seed in 0..300 {
        let mut world = old_world(seed);
        world.quiesce();
        let image = world.disk.image();
        let (whole, log) = world.read(&image).expect("all is well");
        assert_eq!(whole.last.0, world.journal.last());
        for _ in 0..40 {
            let mut image = image.clone();
            let (file, at) = flip(&mut world, &mut image);
            match world.read(&image) {
                Ok((recovered, entries)) => {
                    assert!(entries == log, "{file:?} at {at}, seed {seed}: nothing is cut");
                    assert_eq!(recovered.last, whole.last);
                    assert_eq!((recovered.term, recovered.vote), (whole.term, whole.vote));
                }
                Err(Corrupt::Entries { .. } | Corrupt::Gap { .. }) => reported += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(reported > 1000, "flips hit what matters: {reported}");
}

#[test]
fn a_flipped_bit_after_a_crash_never_makes_up_an_entry() {
    for seed in 0..300 {
        let mut world = old_world(seed);
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Kill });
        let snapshot = world.judge.snapshot;
        let image = world.disk.image();
        for _ in 0..20 {
            let mut image = image.clone();
            flip(&mut world, &mut image);
            let Ok((recovered, entries)) = world.read(&image) else {
                continue;
            };
            let appended = &world.judge.appended;
            assert!(entries.iter().all(|entry| appended.contains(entry)));
            assert!(entries.is_sorted_by_key(|entry| entry.index));
            assert!(recovered.last.0 >= snapshot.0);
        }
    }
}

/// Recovers, and if that succeeds goes on: nothing may panic.
fn digest(snapshot: (u64, u64), image: &BTreeMap<File, Vec<u8>>) -> Result<Vec<Entry>, Corrupt> {
    let config = small_config(20_000);
    let (recovered, entries) = recover(&config, snapshot, image)?;
    let mut out = Outbox::new();
    let journal = Journal::resume(config, HeapBuffers, recovered, &mut out);
    assert!(journal.durable() <= journal.last());
    Ok(entries)
}

/// Numbers that matter: small ones that agree with each other, and extreme ones.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..4,
        4 => (0u64..6).prop_map(|blocks| blocks * 4096),
        1 => any::<u64>(),
        1 => (0u64..3).prop_map(|below| u64::MAX - below),
        1 => (0u64..3).prop_map(|above| (1 << 62) + above),
    ]
}

prop_compose! {
    /// A whole header with any numbers in it.
    fn segment_block()(numbers in prop::array::uniform8(number()), chain in 0u32..2) -> Vec<u8> {
        let [epoch, sequence, position, joins, first_index, through, durable, _] = numbers;
        let header = SegmentHeader {
            store: small_config(0).store,
            epoch,
            sequence,
            position,
            joins,
            first_index,
            durable_through: through,
            durable_position: durable,
            chain,
        };
        let mut block = vec![0; BLOCK_BYTES];
        header.write(&mut block);
        block
    }
}

prop_compose! {
    /// A whole frame with any numbers in it, and payloads that may be whole too.
    fn frame_block()(
        numbers in prop::array::uniform8(number()),
        seal in any::<bool>(),
        chain in 0u32..2,
        entries in prop::collection::vec((number(), number()), 0..3),
        payload_more in prop_oneof![9 => Just(0u32), 1 => any::<u32>()],
    ) -> Vec<u8> {
        let [epoch, sequence, position, first_index, last_index, through, durable, commit] = numbers;
        let mut payload = Vec::new();
        for (index, term) in entries {
            payload.extend(index.to_le_bytes());
            payload.extend(term.to_le_bytes());
            payload.push(0);
            payload.extend(3u32.to_le_bytes());
            payload.extend(b"abc");
        }
        let header = FrameHeader {
            kind: if seal { FrameKind::Seal } else { FrameKind::Entries },
            store: small_config(0).store,
            epoch,
            sequence,
            position,
            first_index,
            last_index,
            durable_through: through,
            durable_position: durable,
            commit,
            payload_bytes: u32::try_from(payload.len()).unwrap().wrapping_add(payload_more),
            payload_crc: crc32fast::hash(&payload),
            chain,
        };
        let mut block = vec![0; BLOCK_BYTES];
        header.write(&mut block);
        block[96..96 + payload.len()].copy_from_slice(&payload);
        block
    }
}

prop_compose! {
    fn vote_block()(numbers in prop::array::uniform6(number())) -> Vec<u8> {
        let [generation, epoch, term, vote, begins, bare] = numbers;
        let store = small_config(0).store;
        let copy = VoteCopy { store, generation, epoch, term, vote, begins, bare };
        let mut block = vec![0; BLOCK_BYTES];
        copy.write(&mut block);
        block
    }
}

fn segment() -> impl Strategy<Value = Vec<u8>> {
    let rest = prop_oneof![
        8 => frame_block(),
        1 => segment_block(),
        1 => prop::collection::vec(any::<u8>(), 0..600),
    ];
    let first = prop_oneof![9 => segment_block(), 1 => frame_block()];
    (first, prop::collection::vec(rest, 0..4)).prop_map(|(first, rest)| {
        let mut bytes = first;
        bytes.extend(rest.into_iter().flatten());
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_headers_that_contradict_each_other_never_panic(
        votes in prop::collection::vec(vote_block(), 0..3),
        segments in prop::collection::vec(segment(), 0..4),
        snapshot in 0u64..3,
    ) {
        let mut image: BTreeMap<File, Vec<u8>> =
            (0..).map(File::Segment).zip(segments).collect();
        image.insert(File::Vote, votes.concat());
        let _ = digest((snapshot, 1), &image);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_are_never_a_log(
        vote in prop::collection::vec(any::<u8>(), 0..200),
        segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
    ) {
        let mut image: BTreeMap<File, Vec<u8>> =
            (0..).map(File::Segment).zip(segments).collect();
        image.insert(File::Vote, vote);
        prop_assert!(digest((0, 0), &image).is_ok_and(|log| log.is_empty()) == (image.len() == 1));
    }
}
