//! Identifiers. Each has one text form, used in URLs, logs and JSON alike.

use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A member of the cluster. Chosen by the operator, never 0 (Raft's "nobody").
    NodeId(u64)
);
number!(
    /// A CPU core's executor on one node, counted from 0 in the order of `--cores`.
    CoreId(u16)
);
number!(
    /// One slice of the replicated state. Fixed in number at the cluster's birth.
    PartitionId(u16)
);
number!(
    /// One run of one process.
    BootId(u64)
);
number!(
    /// One data directory: drawn at random when the directory is made, never changed.
    StoreId(u64)
);

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected {expected}")]
pub struct ParseIdError {
    /// What was read.
    pub text: String,
    /// The form that was expected.
    pub expected: &'static str,
}

/// An accepted message: the partition that holds it (12 bits) and its place in that partition's
/// sequence (52 bits, counted from 1). Text form: 16 hexadecimal digits.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize,
)]
pub struct MessageId(pub u64);

const SEQUENCE_BITS: u32 = 52;

impl MessageId {
    /// The id of the `sequence`-th message of `partition`.
    pub fn new(partition: PartitionId, sequence: u64) -> Self {
        assert!(partition.0 < crate::limits::PARTITIONS_MAX, "a partition fits 12 bits");
        assert!(sequence < 1 << SEQUENCE_BITS, "a sequence fits 52 bits");
        Self(u64::from(partition.0) << SEQUENCE_BITS | sequence)
    }

    /// The partition that holds the message.
    pub fn partition(self) -> PartitionId {
        PartitionId(u16::try_from(self.0 >> SEQUENCE_BITS).expect("12 bits fit"))
    }

    /// The message's place in its partition, counted from 1.
    pub fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for MessageId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        hexadecimal(text, "16 hexadecimal digits, as in 00300000000000a1").map(Self)
    }
}

/// One run of a workflow, named after its cause: the message, and which of the message's matched
/// actions started it (counted from 1, in the order of the matches). Text form:
/// `00300000000000a1-1`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize,
)]
pub struct InstanceId {
    /// The message that started it.
    pub message: MessageId,
    /// Which of the message's matched actions, counted from 1.
    pub ordinal: u16,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.message, self.ordinal)
    }
}

impl FromStr for InstanceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.chars().take(80).collect(),
            expected: "a message id and a number, as in 00300000000000a1-1",
        };
        let (message, ordinal) = text.split_once('-').ok_or_else(error)?;
        let plain = !ordinal.is_empty()
            && ordinal.bytes().all(|b| b.is_ascii_digit())
            && !ordinal.starts_with('0');
        if !plain {
            return Err(error());
        }
        Ok(Self {
            message: message.parse().map_err(|_| error())?,
            ordinal: ordinal.parse().map_err(|_| error())?,
        })
    }
}

/// A worker: the number of its data directory. Nodes have numbers up to `u32::MAX` and workers greater
/// ones, so that the two are never confused where both are members of the gossip. Text form: 16
/// hexadecimal digits.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Archive,
    Serialize,
    Deserialize,
)]
pub struct WorkerId(pub u64);

impl WorkerId {
    /// The worker of a data directory.
    pub fn of(store: StoreId) -> Self {
        Self(store.0 | 1 << 63)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for WorkerId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        hexadecimal(text, "16 hexadecimal digits, as in 9f3c00d2ab5517e0").map(Self)
    }
}

/// Sixteen digits, neither more nor fewer.
fn hexadecimal(text: &str, expected: &'static str) -> Result<u64, ParseIdError> {
    let error = || ParseIdError { text: text.chars().take(80).collect(), expected };
    let plain = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain {
        return Err(error());
    }
    u64::from_str_radix(text, 16).map_err(|_| error())
}

#[cfg(test)]
mod tests;
