//! Golden bytes: whoever changes one of these breaks every disk out there.

use super::*;
use crate::frame;
use crate::{BLOCK_BYTES, Entry};
use bytes::Bytes;
use std::fmt::Write;

const STORE: StoreId = StoreId(0x0102_0304_0506_0708);

/// In groups of eight bytes.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let space = if at > 0 && at % 8 == 0 { " " } else { "" };
        write!(text, "{space}{byte:02x}").expect("a string takes all");
    }
    text
}

fn segment() -> SegmentHeader {
    SegmentHeader {
        store: STORE,
        epoch: 3,
        sequence: 7,
        position: 0x9000,
        joins: 0x8000,
        first_index: 41,
        durable_through: 42,
        durable_position: 0xb000,
        chain: 0xdead_beef,
    }
}

fn frame_header(kind: FrameKind) -> FrameHeader {
    FrameHeader {
        kind,
        store: STORE,
        epoch: 3,
        sequence: 7,
        position: 0xa000,
        first_index: 41,
        last_index: if kind == FrameKind::Seal { 40 } else { 42 },
        durable_through: 40,
        durable_position: 0x8000,
        commit: 39,
        payload_bytes: 0,
        payload_crc: 0,
        chain: 0xdead_beef,
    }
}

fn vote() -> VoteCopy {
    VoteCopy { store: STORE, generation: 9, epoch: 3, term: 5, vote: 2, begins: 0x4000, bare: 0 }
}

#[test]
fn a_segment_header_has_these_bytes() {
    let mut block = vec![0xff; BLOCK_BYTES];
    segment().write(&mut block);
    assert_eq!(hex(&block[..SEGMENT_HEADER_BYTES]), SEGMENT_GOLDEN);
    assert!(block[SEGMENT_HEADER_BYTES..].iter().all(|byte| *byte == 0), "the rest is zeros");
    assert_eq!(SegmentHeader::read(&block, STORE), Ok(segment()));
}

#[test]
fn a_frame_has_these_bytes() {
    let entries = [
        Entry { index: 41, term: 4, kind: 0, data: Bytes::from_static(b"one") },
        Entry { index: 42, term: 5, kind: 1, data: Bytes::new() },
    ];
    let mut block = vec![0xff; BLOCK_BYTES];
    let chain = frame::write(frame_header(FrameKind::Entries), entries.iter(), &mut block);
    assert_eq!(hex(&block[..FRAME_HEADER_BYTES + 45]), FRAME_GOLDEN);
    assert!(block[FRAME_HEADER_BYTES + 45..].iter().all(|byte| *byte == 0), "the rest is zeros");
    let (header, crc) = FrameHeader::read(&block, STORE).expect("it is whole");
    assert_eq!(crc, chain, "the header's checksum is the next frame's chain");
    assert_eq!(header.bytes(), 4096);
    let payload = frame::payload(&header, &block).expect("it is whole");
    assert_eq!(frame::entries(&header, payload), Some(entries.to_vec()));
}

#[test]
fn a_seal_has_these_bytes() {
    let mut block = vec![0xff; BLOCK_BYTES];
    frame::write(frame_header(FrameKind::Seal), std::iter::empty(), &mut block);
    assert_eq!(hex(&block[..FRAME_HEADER_BYTES]), SEAL_GOLDEN);
    assert!(block[FRAME_HEADER_BYTES..].iter().all(|byte| *byte == 0), "the rest is zeros");
}

#[test]
fn a_copy_of_the_vote_has_these_bytes() {
    let mut block = vec![0xff; BLOCK_BYTES];
    vote().write(&mut block);
    assert_eq!(hex(&block[..VOTE_BYTES]), VOTE_GOLDEN);
    assert!(block[VOTE_BYTES..].iter().all(|byte| *byte == 0), "the rest is zeros");
    assert_eq!(VoteCopy::read(&block, STORE), Ok(vote()));
}

#[test]
fn a_vote_of_a_log_that_begins_behind_an_installed_snapshot_has_these_bytes() {
    let bare = VoteCopy { bare: 41, ..vote() };
    let mut block = vec![0xff; BLOCK_BYTES];
    bare.write(&mut block);
    assert_eq!(hex(&block[..BARE_VOTE_BYTES]), BARE_VOTE_GOLDEN);
    assert!(block[BARE_VOTE_BYTES..].iter().all(|byte| *byte == 0), "the rest is zeros");
    assert_eq!(VoteCopy::read(&block, STORE), Ok(bare));
    for bit in 0..8 * BARE_VOTE_BYTES {
        let mut flipped = block.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(VoteCopy::read(&flipped, STORE), Err(NotOurs::Unreadable));
    }
}

#[test]
fn every_bit_of_a_header_counts() {
    let mut segment_block = vec![0; BLOCK_BYTES];
    segment().write(&mut segment_block);
    let mut frame_block = vec![0; BLOCK_BYTES];
    frame::write(frame_header(FrameKind::Seal), std::iter::empty(), &mut frame_block);
    let mut vote_block = vec![0; BLOCK_BYTES];
    vote().write(&mut vote_block);
    for bit in 0..8 * FRAME_HEADER_BYTES {
        let flip = |block: &[u8]| {
            let mut block = block.to_vec();
            block[bit / 8] ^= 1 << (bit % 8);
            block
        };
        let unreadable = NotOurs::Unreadable;
        assert_eq!(FrameHeader::read(&flip(&frame_block), STORE), Err(unreadable));
        if bit < 8 * SEGMENT_HEADER_BYTES {
            assert_eq!(SegmentHeader::read(&flip(&segment_block), STORE), Err(unreadable));
        }
        if bit < 8 * VOTE_BYTES {
            assert_eq!(VoteCopy::read(&flip(&vote_block), STORE), Err(unreadable));
        }
    }
}

#[test]
fn another_store_and_another_version_are_told_apart_from_rubbish() {
    let mut block = vec![0; BLOCK_BYTES];
    segment().write(&mut block);
    let other = StoreId(1);
    assert_eq!(SegmentHeader::read(&block, other), Err(NotOurs::Store(STORE)));
    block[4] = 2;
    let crc = crc32fast::hash(&block[..SEGMENT_HEADER_BYTES - 4]);
    block[SEGMENT_HEADER_BYTES - 4..SEGMENT_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHeader::read(&block, STORE), Err(NotOurs::Version(2)));
    assert_eq!(SegmentHeader::read(&block, other), Err(NotOurs::Store(STORE)));
    assert_eq!(SegmentHeader::read(&block[..40], STORE), Err(NotOurs::Unreadable));
    assert_eq!(SegmentHeader::read(&[], STORE), Err(NotOurs::Unreadable));
}

const SEGMENT_GOLDEN: &str = "\
    4443736701000000 0807060504030201 0300000000000000 0700000000000000 \
    0090000000000000 0080000000000000 2900000000000000 2a00000000000000 \
    00b0000000000000 efbeaddedabba386";
const FRAME_GOLDEN: &str = "\
    4443667201000100 0807060504030201 0300000000000000 0700000000000000 \
    00a0000000000000 2900000000000000 2a00000000000000 2800000000000000 \
    0080000000000000 2700000000000000 2d0000000d234ec8 efbeadde0feaa88c \
    2900000000000000 0400000000000000 00030000006f6e65 2a00000000000000 \
    0500000000000000 0100000000";
const SEAL_GOLDEN: &str = "\
    4443667201000200 0807060504030201 0300000000000000 0700000000000000 \
    00a0000000000000 2900000000000000 2800000000000000 2800000000000000 \
    0080000000000000 2700000000000000 0000000000000000 efbeaddef4eeaca3";
const BARE_VOTE_GOLDEN: &str = "\
4443767402000000 0807060504030201 0900000000000000 0300000000000000 0500000000000000 \
0200000000000000 0040000000000000 2900000000000000 bcb41d14";
const VOTE_GOLDEN: &str = "\
    4443767401000000 0807060504030201 0900000000000000 0300000000000000 \
    0500000000000000 0200000000000000 0040000000000000 0d341955";
