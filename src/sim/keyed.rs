//! What is checked of orders between partitions, and of the keys that they start instances for, once
//! everything rests:
//! - the partition that gives and the one that takes count alike, and nothing waits;
//! - a workflow has at most one instance for a key;
//! - whatever a message asked for by a key is there.

use base::{MessageId, PartitionId};
use engine::{Partition, ShardCore};
use serde_json::Value;
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
pub(crate) fn check(shards: &[ShardCore]) -> Result<Seen, String> {
    check_counts(shards)?;
    let keys = keys(shards)?;
    let mut asked = 0;
    for shard in shards {
        for partition in shard.partitions() {
            for (id, _) in partition.messages() {
                for (workflow, key) in keyed(shard, partition, id)? {
                    if !keys.contains(&(workflow.clone(), key.clone())) {
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
fn keys(shards: &[ShardCore]) -> Result<BTreeSet<(String, String)>, String> {
    let mut keys = BTreeSet::new();
    for json in shards.iter().flat_map(ShardCore::partitions).flat_map(Partition::instances) {
        let instance: Value = serde_json::from_slice(&json)
            .map_err(|error| format!("an instance is no JSON: {error}"))?;
        let Some(key) = instance["key"].as_str() else { continue };
        let workflow = instance["workflow"].as_str().unwrap_or_default();
        if !keys.insert((workflow.to_owned(), key.to_owned())) {
            return Err(format!("a second instance has the key {key}: {instance}"));
        }
    }
    Ok(keys)
}

/// What a message asked for by a key, as its answer tells it.
fn keyed(
    shard: &ShardCore,
    partition: &Partition,
    id: MessageId,
) -> Result<Vec<(String, String)>, String> {
    let shown = partition
        .message_view(shard.globals(), id)
        .map_err(|error| format!("message {id} is not shown: {}", error.detail))?;
    let shown: Value = serde_json::from_slice(&shown.body)
        .map_err(|error| format!("message {id} is shown as no JSON: {error}"))?;
    let text = |start: &Value, name: &str| start[name].as_str().unwrap_or_default().to_owned();
    let starts = shown["keyed"].as_array().into_iter().flatten();
    Ok(starts.map(|start| (text(start, "workflow"), text(start, "key"))).collect())
}
