//! The keys of one partition's instances: which instance a workflow has for a key.
//!
//! Invariants (SOUNDNESS 15):
//! - a key stands for at most one instance, and is known exactly as long as that instance is kept,
//!   running or on the shelf;
//! - what the table says depends on the instances alone: it is made anew from them.

use base::{FixedState, PartitionId, hash64};
use hashbrown::HashMap;

/// Memory that a key takes besides its text. Unit: bytes, about.
pub(super) const KEY_OVERHEAD_BYTES: usize = 64;

/// The sequences of the instances with a key.
#[derive(Debug)]
pub(super) struct Keyed {
    sequences: HashMap<Box<str>, u64, FixedState>,
}

/// A key as the table knows it. A NUL, which neither a namespace nor a workflow's id can hold, parts
/// the three.
fn scoped(namespace: &str, workflow: &str, key: &str) -> String {
    format!("{namespace}\0{workflow}\0{key}")
}

/// The partition, of so many, that decides about a key.
pub(crate) fn partition_of_key(
    partitions: u16,
    namespace: &str,
    workflow: &str,
    key: &str,
) -> PartitionId {
    let number = hash64(scoped(namespace, workflow, key).as_bytes()) % u64::from(partitions);
    PartitionId(u16::try_from(number).expect("partitions are few"))
}

impl Keyed {
    /// An empty table.
    pub(super) fn new() -> Self {
        Self { sequences: HashMap::with_hasher(FixedState) }
    }

    /// The sequence of the instance that has the key.
    pub(super) fn find(&self, namespace: &str, workflow: &str, key: &str) -> Option<u64> {
        self.sequences.get(scoped(namespace, workflow, key).as_str()).copied()
    }

    /// The key has an instance from now on.
    pub(super) fn insert(&mut self, namespace: &str, workflow: &str, key: &str, sequence: u64) {
        let scoped = scoped(namespace, workflow, key).into_boxed_str();
        let old = self.sequences.insert(scoped, sequence);
        assert!(old.is_none(), "a key stands for one instance");
    }

    /// The instance is kept no longer.
    pub(super) fn remove(&mut self, namespace: &str, workflow: &str, key: &str) {
        let gone = self.sequences.remove(scoped(namespace, workflow, key).as_str());
        assert!(gone.is_some(), "a key is known as long as its instance is kept");
    }
}
