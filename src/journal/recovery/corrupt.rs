//! Why a start is refused.

use base::StoreId;

/// The journal lost what it had reported durable, or is not one that this release can read. Nothing
/// was changed on disk. A lone voter restores its data directory from a backup; a member of a group
/// is removed and added again with an empty one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Entries that were durable cannot be read.
    #[error(
        "the journal is damaged in {slot:08x}.seg at byte {offset}: {reason}, but what stands there \
         was durable (entry {index} follows; entries up to {durable_through} were durable). A node \
         alone is restored from a backup; a member of a cluster is removed and added again with an \
         empty data directory"
    )]
    Entries {
        /// The segment.
        slot: u32,
        /// Where in its file the first unreadable frame starts. Unit: bytes.
        offset: u64,
        /// The first entry that is missing.
        index: u64,
        /// The highest entry that the rest of the journal, or the snapshot, says was durable.
        durable_through: u64,
        /// What is there instead.
        reason: Reason,
    },
    /// No segment holds the entry behind the snapshot.
    #[error(
        "the journal lacks entry {index}, which follows the snapshot: the first one found is \
         {first} (0: none). A node alone is restored from a backup; a member of a cluster is removed \
         and added again with an empty data directory"
    )]
    Gap {
        /// The entry that is missing.
        index: u64,
        /// The first entry of the first readable segment, 0 if there is none.
        first: u64,
    },
    /// There are segments, but neither copy of the vote can be read.
    #[error(
        "no copy of term and vote can be read in the file `vote`, though there are {segments} \
         segments: without it this node could vote twice. A node alone is restored from a backup; \
         a member of a cluster is removed and added again with an empty data directory"
    )]
    Vote {
        /// How many segment files there are.
        segments: usize,
    },
    /// A file of another data directory.
    #[error(
        "{file} belongs to store {found}, but this data directory is store {expected}: put back the \
         files that belong here"
    )]
    Store {
        /// The file's name.
        file: String,
        /// This directory.
        expected: StoreId,
        /// Where it comes from.
        found: StoreId,
    },
    /// A file that a later release wrote.
    #[error("{file} has layout {found}, which this release does not know: start a newer one")]
    Version {
        /// The file's name.
        file: String,
        /// Its version.
        found: u16,
    },
    /// Bytes that are whole by their checksums, and yet contradict each other.
    #[error(
        "{file} contradicts itself at byte {offset}: {what}. Its checksums hold, so this is \
         a fault of the program that wrote it: please report it"
    )]
    Contradiction {
        /// The file's name.
        file: String,
        /// Where. Unit: bytes.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// What stands where a frame should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Only zeros in its first block.
    #[error("there are zeros instead of a frame")]
    Zeros,
    /// No frame's header can be read.
    #[error("the frame's header cannot be read")]
    Header,
    /// A frame from an earlier use of the file, or of another place.
    #[error("a stale frame is there")]
    Stale,
    /// The right header, and a payload that does not match its checksum.
    #[error("the frame's payload of {0} bytes does not match its checksum")]
    Payload(u32),
    /// The file ends.
    #[error("the file ends")]
    End,
    /// The next segment does not continue here.
    #[error("the next segment does not continue here")]
    Link,
}

/// The name of a segment's file.
pub(super) fn segment_name(slot: u32) -> String {
    format!("{slot:08x}.seg")
}
