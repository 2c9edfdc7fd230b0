//! A snapshot as a file: chunks, each with its checksum, closed by a trailer.
//!
//! ```text
//! chunk    magic u32 "DSNP" | version u16 = 5 | part u16 | applied u64 | term u64
//!          | bytes u64 | crc32 u32 | 0 u32                                         40 bytes
//!          image                                                                   `bytes` bytes
//! ```
//! All integers are little-endian. `part` is a partition, or
//!
//! | part | chunk | where |
//! | --- | --- | --- |
//! | 0xffff | the globals | first |
//! | 0xfffd | the members of the group at that index ([`Membership::to_bytes`]) | second; not in files of a single node's older program |
//! | 0xfffe | the trailer, without an image | behind the partitions |
//! | 0xfffc | the mark of a snapshot that was sent by another node, without an image | behind the trailer, one for each time it was sent |
//!
//! `crc32` is over header (crc32 zero) and image. A file without its trailer, or with other bytes
//! behind it, is no snapshot. The version is that of the images; a file of an older one is read, and
//! its images are made anew.

use crate::globals::{self, Globals};
use crate::message::{Part, ToShard};
use crate::partition::{IMAGE_VERSION, upgraded};
use base::{PartitionId, UnixMicros};
use bytes::Bytes;
use quorum::{Membership, SnapshotMark};

/// A chunk header's size.
pub const CHUNK_HEADER_BYTES: usize = 40;

const MAGIC: u32 = u32::from_le_bytes(*b"DSNP");
const VERSION: u16 = IMAGE_VERSION;
const GLOBALS: u16 = u16::MAX;
const TRAILER: u16 = u16::MAX - 1;
const MEMBERS: u16 = u16::MAX - 2;
const SENT: u16 = u16::MAX - 3;

/// A snapshot, read and checked.
#[derive(Debug)]
pub struct Snapshot {
    /// Its index: everything up to there is in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The log's time there.
    pub stamp: UnixMicros,
    /// The global part.
    pub globals: Globals,
    /// Every partition's image.
    pub partitions: Vec<(PartitionId, Bytes)>,
    /// The file's size.
    pub bytes: u64,
    /// Who belonged to the group at the index; not known of a file that a single node's older
    /// program wrote.
    pub membership: Option<Membership>,
    /// Whether another node sent it. The journal need not lead up to it then.
    pub was_sent: bool,
}

impl Snapshot {
    /// As the group knows it. `founded` are the members of a group whose older files do not name
    /// them.
    pub fn mark(&self, founded: &Membership) -> SnapshotMark {
        let membership = self.membership.as_ref().unwrap_or(founded).clone();
        SnapshotMark { index: self.index, term: self.term, membership }
    }

    /// What a shard starts from: the globals, and the partitions that it hosts.
    pub fn restore(&self, core: u16, shards: u16) -> ToShard {
        let hosted = self.partitions.iter().filter(|(id, _)| id.0 % shards == core);
        ToShard::Restore {
            globals: Box::new(self.globals.clone()),
            partitions: hosted.map(|(_, image)| image.clone()).collect(),
        }
    }
}

/// Bytes that are no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// A header or an image is cut off.
    #[error("the file ends at byte {at}, in the middle of a chunk")]
    Short {
        /// The file's end.
        at: usize,
    },
    /// A chunk does not check.
    #[error("the chunk at byte {at} does not check: {what}")]
    Chunk {
        /// Where it begins.
        at: usize,
        /// What is wrong.
        what: String,
    },
}

/// One part's chunk.
pub fn chunk(part: Part, applied: u64, term: u64, image: &[u8]) -> Vec<u8> {
    let code = match part {
        Part::Globals => GLOBALS,
        Part::Partition(id) => id.0,
    };
    raw_chunk(code, applied, term, image)
}

/// The members as of the snapshot's index.
pub fn members_chunk(index: u64, term: u64, members: &Membership) -> Vec<u8> {
    raw_chunk(MEMBERS, index, term, &members.to_bytes())
}

/// What a node appends to a snapshot that another one has sent.
pub(crate) fn sent_mark(index: u64) -> Vec<u8> {
    raw_chunk(SENT, index, 0, &[])
}

/// The chunk that closes a snapshot.
pub fn trailer(index: u64) -> Vec<u8> {
    raw_chunk(TRAILER, index, 0, &[])
}

fn raw_chunk(code: u16, applied: u64, term: u64, image: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHUNK_HEADER_BYTES + image.len());
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&code.to_le_bytes());
    bytes.extend_from_slice(&applied.to_le_bytes());
    bytes.extend_from_slice(&term.to_le_bytes());
    bytes.extend_from_slice(&(image.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(image);
    let crc = crc32fast::hash(&bytes);
    bytes[32..36].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads a whole file.
pub fn read(file: &Bytes) -> Result<Snapshot, BadSnapshot> {
    let (mut at, mut globals, mut partitions) = (0, None, Vec::new());
    let mut membership = None;
    loop {
        let Chunk { version, code, applied, term, image } = read_chunk(file, at)?;
        let bad = |what: &str| BadSnapshot::Chunk { at, what: what.into() };
        match (code, &globals) {
            (GLOBALS, None) => {
                let upgraded;
                let image = if version == VERSION {
                    &image
                } else {
                    upgraded = globals::upgraded(version, &image).map_err(|what| bad(&what))?;
                    &upgraded[..]
                };
                let state =
                    Globals::from_image(image).map_err(|what| BadSnapshot::Chunk { at, what })?;
                globals = Some((applied, term, state));
            }
            (TRAILER, Some((index, term, state))) => {
                let end = at + CHUNK_HEADER_BYTES;
                let wanted = state.born.as_ref().map_or(0, |born| usize::from(born.partitions));
                if partitions.len() != wanted {
                    return Err(bad(&format!("{} of {wanted} partitions", partitions.len())));
                }
                let was_sent = read_marks(file, end, *index)?;
                if applied != *index {
                    return Err(bad("the trailer is of another file"));
                }
                return Ok(Snapshot {
                    index: *index,
                    term: *term,
                    stamp: state.stamp,
                    globals: state.clone(),
                    partitions,
                    bytes: file.len() as u64,
                    membership,
                    was_sent,
                });
            }
            (MEMBERS, Some((index, ..))) if partitions.is_empty() && membership.is_none() => {
                let members = Membership::from_bytes(&image);
                let members = members.map_err(|error| bad(&error.to_string()))?;
                if applied != *index {
                    return Err(bad("the members are of another index"));
                }
                membership = Some(members);
            }
            (id, Some(_)) if usize::from(id) == partitions.len() => {
                let image = if version == VERSION {
                    image.clone()
                } else {
                    upgraded(version, &image).map_err(|what| bad(&what))?.into()
                };
                partitions.push((PartitionId(id), image));
            }
            _ => return Err(bad(&format!("part {code:#x} is out of its turn"))),
        }
        at += CHUNK_HEADER_BYTES + image.len();
    }
}

/// What stands behind the trailer: whether the snapshot was sent by another node.
fn read_marks(file: &Bytes, mut at: usize, index: u64) -> Result<bool, BadSnapshot> {
    let begin = at;
    while at < file.len() {
        let Chunk { code, applied, image, .. } = read_chunk(file, at)?;
        if (code, applied, image.len()) != (SENT, index, 0) {
            let what = "something else stands behind the trailer".into();
            return Err(BadSnapshot::Chunk { at, what });
        }
        at += CHUNK_HEADER_BYTES;
    }
    Ok(at > begin)
}

struct Chunk {
    version: u16,
    code: u16,
    applied: u64,
    term: u64,
    image: Bytes,
}

fn read_chunk(file: &Bytes, at: usize) -> Result<Chunk, BadSnapshot> {
    let short = BadSnapshot::Short { at: file.len() };
    let header = file.get(at..at + CHUNK_HEADER_BYTES).ok_or(short.clone())?;
    let bad = |what: &str| BadSnapshot::Chunk { at, what: what.into() };
    let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
    let u16_at = |at: usize| u16::from_le_bytes(header[at..at + 2].try_into().expect("2 bytes"));
    let version = u16_at(4);
    if header[0..4] != MAGIC.to_le_bytes() || !(1..=VERSION).contains(&version) {
        return Err(bad("not a snapshot of a version that this program knows"));
    }
    let length = usize::try_from(u64_at(24)).map_err(|_| bad("a length beyond memory"))?;
    let start = at + CHUNK_HEADER_BYTES;
    let end = start.checked_add(length).filter(|end| *end <= file.len()).ok_or(short)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..32]);
    hasher.update(&[0; 4]);
    hasher.update(&header[36..]);
    hasher.update(&file[start..end]);
    if header[32..36] != hasher.finalize().to_le_bytes() {
        return Err(bad("the checksum differs"));
    }
    let image = file.slice(start..end);
    Ok(Chunk { version, code: u16_at(6), applied: u64_at(8), term: u64_at(16), image })
}

#[cfg(test)]
mod tests;
