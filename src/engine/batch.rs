//! A batch: one entry of the log, made of session batches ("sections"), made of records.
//!
//! ```text
//! batch    version u8 | 0 u8 | sections u16 | 0 u32 | stamp u64                          16 bytes
//! section  node u64 | boot u64 | number u64 | catalogue u64 | round u32 | core u16 | 0 u16
//!          | records u32 | bytes u32                                                     48 bytes
//! record   type u16 | version u8 | 0 u8 | partition u16 | from u16 | bytes u32           12 bytes
//! ```
//! `from` is the partition that gives, in a record between two partitions, where `partition` is the
//! one that takes; it is 0 in every other record. It stands in the header so that a core that hosts
//! neither passes the record without reading it.
//!
//! All integers are little-endian. `bytes` counts what follows the header. The journal's checksum
//! covers a batch; what does not parse is our own mistake or a newer program's, and stops the node.

use crate::record::{Accepted, RecordType};
use base::{BootId, CoreId, NodeId, PartitionId, UnixMicros};
use bytes::Bytes;

/// The batch header's size.
pub const BATCH_HEADER_BYTES: usize = 16;
/// A section header's size.
pub const SECTION_HEADER_BYTES: usize = 48;
/// A record header's size.
pub const RECORD_HEADER_BYTES: usize = 12;
/// The partition field of a record that every core applies.
pub const GLOBAL: PartitionId = PartitionId(u16::MAX);

const BATCH_VERSION: u8 = 1;
/// Where the round is in a section's header.
const ROUND: std::ops::Range<usize> = 32..36;

/// Who made a session batch, and under which catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionHeader {
    /// The node of the session.
    pub node: NodeId,
    /// The node's boot: another boot is another session.
    pub boot: BootId,
    /// The ingress core.
    pub core: CoreId,
    /// The batch's number in its session, from 1. Only the last one's successor is admitted.
    pub number: u64,
    /// The catalogue version its messages were matched with.
    pub catalogue: u64,
    /// How often the session had to start over from a refused batch. Tells a refusal that was
    /// already dealt with from a new one; no state depends on it.
    pub round: u32,
}

/// A session batch under construction, and then as it travels to the consensus core.
#[derive(Clone, Debug)]
pub struct Section {
    bytes: Vec<u8>,
    records: u32,
}

/// A place between two records of a [`Section`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    bytes: usize,
    records: u32,
}

impl Mark {
    /// How many records stand before it.
    pub fn records(self) -> u32 {
        self.records
    }

    /// The section's size up to it, with header.
    pub fn len(self) -> usize {
        self.bytes
    }

    /// Whether no record stands before it.
    pub fn is_empty(self) -> bool {
        self.records == 0
    }
}

impl Section {
    /// An empty session batch.
    pub fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(SECTION_HEADER_BYTES + capacity);
        bytes.resize(SECTION_HEADER_BYTES, 0);
        Self { bytes, records: 0 }
    }

    /// Adds a record of version 1 and says its place in the section, from 0.
    pub fn push(
        &mut self,
        kind: RecordType,
        partition: PartitionId,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        self.push_version((kind, 1), partition, None, body)
    }

    /// Adds a record between two partitions, of version 1.
    pub fn push_between(
        &mut self,
        kind: RecordType,
        from: PartitionId,
        to: PartitionId,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        self.push_version((kind, 1), to, Some(from), body)
    }

    /// Adds a message, in the oldest version that says all of it.
    pub fn push_accepted(&mut self, partition: PartitionId, record: &Accepted<'_>) -> u32 {
        let kind = (RecordType::Accepted, record.version());
        self.push_version(kind, partition, None, |body| record.write(body))
    }

    /// Adds a change of the catalogue, written in the newest layout.
    pub fn push_change(&mut self, record: &[u8]) -> u32 {
        let kind = RecordType::CatalogueChanged;
        let kind = (kind, kind.newest_version());
        self.push_version(kind, GLOBAL, None, |body| body.extend_from_slice(record))
    }

    fn push_version(
        &mut self,
        (kind, version): (RecordType, u8),
        partition: PartitionId,
        from: Option<PartitionId>,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        assert_eq!(kind.is_global(), partition == GLOBAL, "global records have no partition");
        assert_eq!(kind.is_between(), from.is_some(), "only an order has one that gives it");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&(kind as u16).to_le_bytes());
        self.bytes.extend_from_slice(&[version, 0]);
        self.bytes.extend_from_slice(&partition.0.to_le_bytes());
        self.bytes.extend_from_slice(&from.map_or(0, |from| from.0).to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        body(&mut self.bytes);
        let length = self.bytes.len() - start - RECORD_HEADER_BYTES;
        let length = u32::try_from(length).expect("a record is bounded far below 4 GiB");
        self.bytes[start + 8..start + RECORD_HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        self.records += 1;
        self.records - 1
    }

    /// Copies a record of another section.
    pub fn push_raw(&mut self, record: &RecordView<'_>) -> u32 {
        let kind = (record.kind, record.version);
        let write = |out: &mut Vec<u8>| out.extend_from_slice(record.body);
        self.push_version(kind, record.partition, record.from, write)
    }

    /// Its present end, to come back to.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), records: self.records }
    }

    /// Forgets what came since `mark`, and keeps the memory.
    pub fn truncate(&mut self, mark: Mark) {
        assert!(mark.bytes <= self.bytes.len(), "a mark is of the section that it is used on");
        self.bytes.truncate(mark.bytes);
        self.records = mark.records;
    }

    /// Moves what came since `mark` to a section of its own.
    pub fn split_off(&mut self, mark: Mark) -> Self {
        let mut tail = Self::new(self.bytes.capacity());
        tail.bytes.extend_from_slice(&self.bytes[mark.bytes..]);
        tail.records = self.records - mark.records;
        self.truncate(mark);
        tail
    }

    /// How many records it holds.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Its size with header.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Closes the section: header and records as they go into the log.
    pub fn seal(mut self, header: &SectionHeader) -> Bytes {
        let length = self.bytes.len() - SECTION_HEADER_BYTES;
        let length = u32::try_from(length).expect("a section is bounded far below 4 GiB");
        let head = &mut self.bytes[..SECTION_HEADER_BYTES];
        head[0..8].copy_from_slice(&header.node.0.to_le_bytes());
        head[8..16].copy_from_slice(&header.boot.0.to_le_bytes());
        head[16..24].copy_from_slice(&header.number.to_le_bytes());
        head[24..32].copy_from_slice(&header.catalogue.to_le_bytes());
        head[ROUND].copy_from_slice(&header.round.to_le_bytes());
        head[36..38].copy_from_slice(&header.core.0.to_le_bytes());
        head[40..44].copy_from_slice(&self.records.to_le_bytes());
        head[44..48].copy_from_slice(&length.to_le_bytes());
        Bytes::from(self.bytes)
    }
}

/// The same section, sent in another round. Of the session's next rounds it is the same batch.
pub(crate) fn with_round(section: Bytes, round: u32) -> Bytes {
    let mut bytes = section.try_into_mut().unwrap_or_else(|shared| shared[..].into());
    bytes[ROUND].copy_from_slice(&round.to_le_bytes());
    bytes.freeze()
}

/// Joins session batches into one entry.
pub fn join(stamp: UnixMicros, sections: &[Bytes]) -> Bytes {
    let total: usize = sections.iter().map(Bytes::len).sum();
    let mut bytes = Vec::with_capacity(BATCH_HEADER_BYTES + total);
    let count = u16::try_from(sections.len()).expect("the batcher bounds the sections");
    bytes.extend_from_slice(&[BATCH_VERSION, 0]);
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&stamp.0.to_le_bytes());
    for section in sections {
        bytes.extend_from_slice(section);
    }
    Bytes::from(bytes)
}

/// Bytes that are no batch, or a batch of a newer program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// The bytes end early or hold more than they say.
    #[error("the batch ends at byte {at}, {needed} bytes short")]
    Short {
        /// Where reading stopped.
        at: usize,
        /// How much is missing.
        needed: usize,
    },
    /// Bytes are left over.
    #[error("{left} bytes follow the last section of the batch")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// Another version of the program wrote it.
    #[error("the batch has version {version}; this program knows version {BATCH_VERSION}")]
    Version {
        /// The version found.
        version: u8,
    },
    /// A record of another version of the program.
    #[error(
        "record type {kind} version {version} is unknown to this program; start a newer release"
    )]
    UnknownRecord {
        /// The type found.
        kind: u16,
        /// The version found.
        version: u8,
    },
}

/// A batch as it lies in the log.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    /// The log's time at this entry.
    pub stamp: UnixMicros,
    sections: u16,
    bytes: &'a [u8],
}

/// A section as it lies in the log.
#[derive(Clone, Copy, Debug)]
pub struct SectionView<'a> {
    /// Who made it.
    pub header: SectionHeader,
    /// How many records it holds.
    pub records: u32,
    bytes: &'a [u8],
}

/// A record as it lies in the log.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// What it is.
    pub kind: RecordType,
    /// The version of its layout.
    pub version: u8,
    /// Whose it is; [`GLOBAL`] for all; of one between two partitions, the one that takes.
    pub partition: PartitionId,
    /// Of one between two partitions, the one that gives.
    pub from: Option<PartitionId>,
    /// The rkyv archive.
    pub body: &'a [u8],
}

fn cut<'a>(bytes: &mut &'a [u8], at: usize, count: usize) -> Result<&'a [u8], BadBatch> {
    let Some((head, tail)) = bytes.split_at_checked(count) else {
        return Err(BadBatch::Short { at, needed: count - bytes.len() });
    };
    *bytes = tail;
    Ok(head)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl<'a> BatchView<'a> {
    /// Reads the header of an entry's data.
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, BadBatch> {
        let head = cut(&mut bytes, 0, BATCH_HEADER_BYTES)?;
        if head[0] != BATCH_VERSION {
            return Err(BadBatch::Version { version: head[0] });
        }
        Ok(Self { stamp: UnixMicros(u64_at(head, 8)), sections: u16_at(head, 2), bytes })
    }

    /// The sections in order. After an error nothing more comes.
    pub fn sections(&self) -> impl Iterator<Item = Result<SectionView<'a>, BadBatch>> + use<'a> {
        let (mut rest, mut left, mut failed) = (self.bytes, self.sections, false);
        let total = self.bytes.len();
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            if left == 0 {
                failed = true;
                let trailing = BadBatch::Trailing { left: rest.len() };
                return (!rest.is_empty()).then_some(Err(trailing));
            }
            left -= 1;
            let section = SectionView::parse(&mut rest, total);
            failed = section.is_err();
            Some(section)
        })
    }
}

impl<'a> SectionView<'a> {
    /// Reads one sealed section, as it travels before it is part of a batch.
    pub fn of(bytes: &'a [u8]) -> Result<Self, BadBatch> {
        let mut rest = bytes;
        Self::parse(&mut rest, bytes.len())
    }

    fn parse(rest: &mut &'a [u8], total: usize) -> Result<Self, BadBatch> {
        let head = cut(rest, total - rest.len(), SECTION_HEADER_BYTES)?;
        let header = SectionHeader {
            node: NodeId(u64_at(head, 0)),
            boot: BootId(u64_at(head, 8)),
            number: u64_at(head, 16),
            catalogue: u64_at(head, 24),
            round: u32_at(head, 32),
            core: CoreId(u16_at(head, 36)),
        };
        let length = u32_at(head, 44) as usize;
        let bytes = cut(rest, total - rest.len(), length)?;
        Ok(Self { header, records: u32_at(head, 40), bytes })
    }

    /// Whether nothing follows the section that [`Self::of`] has read.
    pub fn is_whole_of(&self, bytes: &[u8]) -> bool {
        bytes.len() == SECTION_HEADER_BYTES + self.bytes.len()
    }

    /// The records in order. After an error nothing more comes.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordView<'a>, BadBatch>> + use<'a> {
        let (mut rest, mut left, mut failed) = (self.bytes, self.records, false);
        let total = self.bytes.len();
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            if left == 0 {
                failed = true;
                let trailing = BadBatch::Trailing { left: rest.len() };
                return (!rest.is_empty()).then_some(Err(trailing));
            }
            left -= 1;
            let record = RecordView::parse(&mut rest, total);
            failed = record.is_err();
            Some(record)
        })
    }
}

impl<'a> RecordView<'a> {
    fn parse(rest: &mut &'a [u8], total: usize) -> Result<Self, BadBatch> {
        let head = cut(rest, total - rest.len(), RECORD_HEADER_BYTES)?;
        let (code, version) = (u16_at(head, 0), head[2]);
        let kind = RecordType::from_code(code)
            .filter(|kind| (1..=kind.newest_version()).contains(&version))
            .ok_or(BadBatch::UnknownRecord { kind: code, version })?;
        let body = cut(rest, total - rest.len(), u32_at(head, 8) as usize)?;
        let from = kind.is_between().then(|| PartitionId(u16_at(head, 6)));
        Ok(Self { kind, version, partition: PartitionId(u16_at(head, 4)), from, body })
    }
}

#[cfg(test)]
mod tests;
