//! The three headers on disk: of a segment, of a frame, of a copy of the vote. All numbers are
//! little-endian, every header lies within one 512-byte sector, and its last four bytes are the
//! CRC-32 (IEEE) of those before. Layouts are frozen; golden bytes stand in the tests.

use base::StoreId;

/// Everything on disk starts and ends at a multiple of this. Unit: bytes. The largest block size
/// that direct I/O asks for in practice.
pub const BLOCK_BYTES: usize = 4096;

/// The version of all three layouts, but for a vote with [`VoteCopy::bare`].
pub(crate) const VERSION: u16 = 1;
/// The version of a vote's copy that says that the log begins behind a snapshot and nowhere on disk.
const VERSION_BARE: u16 = 2;

const SEGMENT_MAGIC: [u8; 4] = *b"DCsg";
const FRAME_MAGIC: [u8; 4] = *b"DCfr";
const VOTE_MAGIC: [u8; 4] = *b"DCvt";

/// The used part of a segment's first block.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 80;
/// What stands before a frame's payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 96;
/// What stands before an entry's data within a payload.
pub(crate) const ENTRY_HEADER_BYTES: usize = 21;
/// The used part of a vote copy's block.
pub(crate) const VOTE_BYTES: usize = 60;
/// The same of a copy that is bare.
pub(crate) const BARE_VOTE_BYTES: usize = 68;

const _: () = {
    assert!(SEGMENT_HEADER_BYTES <= 512);
    assert!(FRAME_HEADER_BYTES <= 512);
    assert!(VOTE_BYTES <= 512);
    assert!(BLOCK_BYTES.is_multiple_of(512));
};

/// Unit: bytes, up to the next block.
pub(crate) fn whole_blocks(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// What an entry of that much data takes on disk when it is alone in its frame.
pub(crate) fn frame_bytes(data_bytes: usize) -> u64 {
    whole_blocks(FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES + data_bytes) as u64
}

/// Why bytes are not one of our headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOurs {
    /// Zeros, torn, or something else.
    Unreadable,
    /// Whole, but in a layout of this version.
    Version(u16),
    /// Whole, but of this store.
    Store(StoreId),
}

/// The first block of a segment.
///
/// A *position* counts the bytes that the log took on disk since its birth, segment headers
/// included. It never goes back, not over restarts either, so it can say what was durable without
/// any doubt about which of two entries with the same index is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: StoreId,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    /// The position of this block.
    pub(crate) position: u64,
    /// The position at which the log continues here. What older segments hold at or after it is
    /// superseded. Equal to `position` but in the first segment of an epoch.
    pub(crate) joins: u64,
    pub(crate) first_index: u64,
    pub(crate) durable_through: u64,
    pub(crate) durable_position: u64,
    /// The chain at `joins`.
    pub(crate) chain: u32,
}

impl SegmentHeader {
    /// Writes the header over the start of `block` and zeros over the rest.
    pub(crate) fn write(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK_BYTES, "a header has a block of its own");
        let mut put = Put::new(block, SEGMENT_MAGIC);
        put.u64(self.store.0);
        put.u64(self.epoch);
        put.u64(self.sequence);
        put.u64(self.position);
        put.u64(self.joins);
        put.u64(self.first_index);
        put.u64(self.durable_through);
        put.u64(self.durable_position);
        put.u32(self.chain);
        put.crc();
        assert_eq!(put.at, SEGMENT_HEADER_BYTES, "the layout is frozen");
        block[SEGMENT_HEADER_BYTES..].fill(0);
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(bytes: &[u8], store: StoreId) -> Result<Self, NotOurs> {
        let mut take = Take::new(bytes, SEGMENT_MAGIC, SEGMENT_HEADER_BYTES, store)?;
        Ok(Self {
            store,
            epoch: take.u64(),
            sequence: take.u64(),
            position: take.u64(),
            joins: take.u64(),
            first_index: take.u64(),
            durable_through: take.u64(),
            durable_position: take.u64(),
            chain: take.u32(),
        })
    }
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// It holds entries.
    Entries,
    /// It holds nothing: it says what is durable once all is quiet.
    Seal,
}

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    pub(crate) store: StoreId,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) position: u64,
    /// Of a seal: the last index so far, plus one.
    pub(crate) first_index: u64,
    /// Of a seal: the last index so far.
    pub(crate) last_index: u64,
    pub(crate) durable_through: u64,
    pub(crate) durable_position: u64,
    pub(crate) commit: u64,
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
    /// The header CRC of the frame before.
    pub(crate) chain: u32,
}

impl FrameHeader {
    /// Writes the header and returns its CRC, which is the next frame's chain.
    pub(crate) fn write(&self, bytes: &mut [u8]) -> u32 {
        let mut put = Put::new(bytes, FRAME_MAGIC);
        put.bytes[6] = match self.kind {
            FrameKind::Entries => 1,
            FrameKind::Seal => 2,
        };
        put.u64(self.store.0);
        put.u64(self.epoch);
        put.u64(self.sequence);
        put.u64(self.position);
        put.u64(self.first_index);
        put.u64(self.last_index);
        put.u64(self.durable_through);
        put.u64(self.durable_position);
        put.u64(self.commit);
        put.u32(self.payload_bytes);
        put.u32(self.payload_crc);
        put.u32(self.chain);
        let crc = put.crc();
        assert_eq!(put.at, FRAME_HEADER_BYTES, "the layout is frozen");
        crc
    }

    /// Reads what [`Self::write`] wrote: the header and its CRC. The payload is not looked at.
    pub(crate) fn read(bytes: &[u8], store: StoreId) -> Result<(Self, u32), NotOurs> {
        let mut take = Take::new(bytes, FRAME_MAGIC, FRAME_HEADER_BYTES, store)?;
        let kind = match bytes[6] {
            1 => FrameKind::Entries,
            2 => FrameKind::Seal,
            _ => return Err(NotOurs::Unreadable),
        };
        let header = Self {
            kind,
            store,
            epoch: take.u64(),
            sequence: take.u64(),
            position: take.u64(),
            first_index: take.u64(),
            last_index: take.u64(),
            durable_through: take.u64(),
            durable_position: take.u64(),
            commit: take.u64(),
            payload_bytes: take.u32(),
            payload_crc: take.u32(),
            chain: take.u32(),
        };
        Ok((header, take.u32()))
    }

    /// What the frame takes on disk. Unit: bytes, whole blocks.
    pub(crate) fn bytes(&self) -> u64 {
        (FRAME_HEADER_BYTES as u64 + u64::from(self.payload_bytes))
            .next_multiple_of(BLOCK_BYTES as u64)
    }
}

/// One copy of the vote. The file has two, each in a block of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VoteCopy {
    pub(crate) store: StoreId,
    /// Counts the changes of this file.
    pub(crate) generation: u64,
    /// The highest epoch that a run may have written frames of.
    pub(crate) epoch: u64,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    /// The position at which the first segment that is needed joins: what lies below was given up.
    pub(crate) begins: u64,
    /// Not 0 where no segment may be there yet that joins at `begins`: the log is empty behind a
    /// snapshot of this index, which was installed. Written in a layout of its own, so that a release
    /// that does not know it refuses the file.
    pub(crate) bare: u64,
}

impl VoteCopy {
    /// Writes the copy over the start of `block` and zeros over the rest.
    pub(crate) fn write(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK_BYTES, "a copy has a block of its own");
        let (version, bytes) = match self.bare {
            0 => (VERSION, VOTE_BYTES),
            _ => (VERSION_BARE, BARE_VOTE_BYTES),
        };
        let mut put = Put::of_version(block, VOTE_MAGIC, version);
        put.u64(self.store.0);
        put.u64(self.generation);
        put.u64(self.epoch);
        put.u64(self.term);
        put.u64(self.vote);
        put.u64(self.begins);
        if self.bare != 0 {
            put.u64(self.bare);
        }
        put.crc();
        assert_eq!(put.at, bytes, "the layouts are frozen");
        block[bytes..].fill(0);
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(bytes: &[u8], store: StoreId) -> Result<Self, NotOurs> {
        let is_bare = bytes.get(4..6) == Some(&VERSION_BARE.to_le_bytes());
        let (version, header_bytes) =
            if is_bare { (VERSION_BARE, BARE_VOTE_BYTES) } else { (VERSION, VOTE_BYTES) };
        let mut take = Take::of_version(bytes, VOTE_MAGIC, version, header_bytes, store)?;
        Ok(Self {
            store,
            generation: take.u64(),
            epoch: take.u64(),
            term: take.u64(),
            vote: take.u64(),
            begins: take.u64(),
            bare: if is_bare { take.u64() } else { 0 },
        })
    }
}

/// Writes one field after the other behind magic, version and two zero bytes.
struct Put<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Put<'a> {
    fn new(bytes: &'a mut [u8], magic: [u8; 4]) -> Self {
        Self::of_version(bytes, magic, VERSION)
    }

    fn of_version(bytes: &'a mut [u8], magic: [u8; 4], version: u16) -> Self {
        bytes[..4].copy_from_slice(&magic);
        bytes[4..6].copy_from_slice(&version.to_le_bytes());
        bytes[6..8].fill(0);
        Self { bytes, at: 8 }
    }

    fn u64(&mut self, n: u64) {
        self.bytes[self.at..self.at + 8].copy_from_slice(&n.to_le_bytes());
        self.at += 8;
    }

    fn u32(&mut self, n: u32) {
        self.bytes[self.at..self.at + 4].copy_from_slice(&n.to_le_bytes());
        self.at += 4;
    }

    fn crc(&mut self) -> u32 {
        let crc = crc32fast::hash(&self.bytes[..self.at]);
        self.u32(crc);
        crc
    }
}

/// Reads one field after the other of a header that is whole and of this store.
struct Take<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Take<'a> {
    /// The store is looked at before the version, so that what a client put into an entry is never
    /// taken for a header of ours. A later version keeps magic, version, store and length.
    fn new(
        bytes: &'a [u8],
        magic: [u8; 4],
        header_bytes: usize,
        store: StoreId,
    ) -> Result<Self, NotOurs> {
        Self::of_version(bytes, magic, VERSION, header_bytes, store)
    }

    fn of_version(
        bytes: &'a [u8],
        magic: [u8; 4],
        expected: u16,
        header_bytes: usize,
        store: StoreId,
    ) -> Result<Self, NotOurs> {
        if bytes.len() < header_bytes || bytes[..4] != magic {
            return Err(NotOurs::Unreadable);
        }
        let mut take = Self { bytes, at: header_bytes - 4 };
        if take.u32() != crc32fast::hash(&bytes[..header_bytes - 4]) {
            return Err(NotOurs::Unreadable);
        }
        take.at = 8;
        let found = StoreId(take.u64());
        if found != store {
            return Err(NotOurs::Store(found));
        }
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if version != expected {
            return Err(NotOurs::Version(version));
        }
        Ok(take)
    }

    fn u64(&mut self) -> u64 {
        let bytes = &self.bytes[self.at..self.at + 8];
        self.at += 8;
        u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
    }

    fn u32(&mut self) -> u32 {
        let bytes = &self.bytes[self.at..self.at + 4];
        self.at += 4;
        u32::from_le_bytes(bytes.try_into().expect("4 bytes"))
    }
}

#[cfg(test)]
mod tests;
