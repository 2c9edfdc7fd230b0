//! What is checked of orders between partitions, and of the keys that they start instances for, once
//! everything rests:
//! - the partition that gives and the one that takes count alike, and nothing waits;
//! - a workflow has at most one instance for a key;
//! - whatever a message asked for by a key is there.

use crate::read::{Key, Read};
use base::PartitionId;
use engine::{Partition, ShardCore};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Instances with a key.
    pub(crate) instances: u64,
    /// Actions with a key.
    pub(crate) asked: u64,
}

/// Checks a node whose every shard has applied as much.
pub(crate) fn check(shards: &[ShardCore], read: &mut Read) -> Result<Seen, String> {
    check_counts(shards)?;
    let keys = keys(shards, read)?;
    let mut asked = 0;
    for shard in shards {
        for partition in shard.partitions() {
            for (id, _) in partition.messages() {
                let shown = partition
                    .message_view(shard.globals(), id)
                    .map_err(|error| format!("message {id} is not shown: {}", error.detail))?;
                for key in read.asked(&shown.body)? {
                    if !keys.contains(key) {
                        let (workflow, key) = key;
                        return Err(format!(
                            "message {id} asked for {workflow} with key {key}, which is not there"
                        ));
                    }
                    asked += 1;
                }
            }
        }
    }
    Ok(Seen { instances: keys.len() as u64, asked })
}

/// Who gives has passed on what who takes has taken.
fn check_counts(shards: &[ShardCore]) -> Result<(), String> {
    let partitions = || shards.iter().flat_map(ShardCore::partitions);
    let taken: BTreeMap<(PartitionId, PartitionId), u64> = partitions()
        .flat_map(|to| to.taken().map(move |(from, number)| ((from, to.id()), number)))
        .collect();
    let mut passed: BTreeMap<(PartitionId, PartitionId), u64> = BTreeMap::new();
    for from in partitions() {
        if from.has_orders() {
            return Err(format!("partition {} still has orders", from.id()));
        }
        passed.extend(from.passed().map(|(to, number)| ((from.id(), to), number)));
    }
    if passed == taken {
        return Ok(());
    }
    Err(format!("orders were passed on up to {passed:?} and taken up to {taken:?}"))
}

/// The workflows and keys of all instances that have a key.
fn keys(shards: &[ShardCore], read: &mut Read) -> Result<BTreeSet<Key>, String> {
    let mut keys = BTreeSet::new();
    for json in shards.iter().flat_map(ShardCore::partitions).flat_map(Partition::instances) {
        if let Some(key) = read.instance(&json)?
            && !keys.insert(key.clone())
        {
            let json = String::from_utf8_lossy(&json);
            return Err(format!("a second instance has the key {}: {json}", key.1));
        }
    }
    Ok(keys)
}
