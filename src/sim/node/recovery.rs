//! A node's start: what its disk holds is read as the consensus role reads it, and the shards apply
//! what of it is committed.

use super::NodeConfig;
use crate::disk::Disk;
use base::{CoreId, Now, Outbox, StoreId};
use bytes::Bytes;
use engine::message::{Committed, ToConsensus, ToShard};
use engine::{Membership, Replay, ShardCore, ShardEffect, Start};
use journal::{File, HeapBuffers, Journal, Recovery};
use std::collections::VecDeque;

/// What a node finds on its disk. The shards are handed what is committed.
pub(super) fn recover(
    config: &NodeConfig,
    store: StoreId,
    founded: &Membership,
    disk: &mut Disk,
    now: Now,
    shards: &mut [ShardCore],
    (committed, kept): (&mut Vec<Committed>, &mut Vec<(CoreId, ToConsensus)>),
) -> Result<Start<HeapBuffers>, String> {
    let mut journal_config = journal::Config::new(store);
    journal_config.segment_bytes = config.segment_bytes;
    // Small segments roll over often; a run's entries are far smaller still.
    journal_config.entry_bytes_max =
        usize::try_from(config.segment_bytes).expect("a small segment") - 64 * 1024;
    let snapshot = match disk.snapshot() {
        Some((_, bytes)) => {
            let bytes = Bytes::from(bytes.clone());
            Some(engine::snapshot::read(&bytes).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    if let Some(snapshot) = &snapshot {
        let mut out = Outbox::new();
        for (shard, core) in shards.iter_mut().zip(0..) {
            let message = snapshot.restore(core, config.shards);
            shard.on_packet(now, CoreId(0), message, &mut out);
            no_failure(&mut out)?;
        }
    }
    let at = snapshot.as_ref().map_or((0, 0), |snapshot| (snapshot.index, snapshot.term));
    if disk.read(File::Vote).is_none() {
        disk.prepare(File::Vote, 2 * journal::BLOCK_BYTES);
    }
    let was_sent = snapshot.as_ref().is_some_and(|snapshot| snapshot.was_sent);
    let recovery = if was_sent { Recovery::of_installed } else { Recovery::new };
    let mut recovery = recovery(journal_config.clone(), at);
    recovery.on_vote_file(disk.read(File::Vote).expect("it was just made"));
    for (file, bytes) in disk.files() {
        if let File::Segment(slot) = file {
            recovery.on_header(slot, &bytes[..journal::BLOCK_BYTES.min(bytes.len())]);
        }
    }
    let mut reading = Replay::new(snapshot.as_ref(), founded);
    let mut entries = Vec::new();
    while let Some(slot) = recovery.next_segment() {
        let bytes = disk.read(File::Segment(slot)).expect("it was listed");
        recovery.on_segment(slot, bytes, &mut entries);
        let ready = reading.on_entries(&mut entries, recovery.commit())?;
        replay(now, &ready, shards, kept)?;
        committed.extend(ready);
    }
    let recovered = recovery.finish(&mut entries).map_err(|error| error.to_string())?;
    let ready = reading.on_entries(&mut entries, recovered.commit)?;
    replay(now, &ready, shards, kept)?;
    committed.extend(ready);
    let left = reading.finish(entries)?;
    let (term, vote, commit) = (recovered.term, recovered.vote, recovered.commit);
    let mut first = Outbox::new();
    let journal = Journal::resume(journal_config, HeapBuffers, recovered, &mut first);
    let snapshot = snapshot.map(|snapshot| (snapshot.mark(founded), snapshot.bytes));
    Ok(Start { journal, first, term, vote, commit, left, snapshot, whole_through: 0 })
}

/// Hands entries to the shards of a node that only applies, and carries out what that takes: what is
/// for the log or for clients is dropped.
pub fn deliver(now: Now, entries: &[Committed], shards: &mut [ShardCore]) -> Result<(), String> {
    replay(now, entries, shards, &mut Vec::new())
}

/// The same; what is for the consensus core is kept.
fn replay(
    now: Now,
    entries: &[Committed],
    shards: &mut [ShardCore],
    kept: &mut Vec<(CoreId, ToConsensus)>,
) -> Result<(), String> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut out = Outbox::new();
    let mut left: VecDeque<(usize, ShardEffect)> = VecDeque::new();
    for (at, shard) in shards.iter_mut().enumerate() {
        let message = ToShard::Committed(entries.to_vec());
        shard.on_packet(now, CoreId(0), message, &mut out);
        left.extend(out.drain().map(|effect| (at, effect)));
    }
    while let Some((at, effect)) = left.pop_front() {
        let from = CoreId(u16::try_from(at).expect("few shards"));
        let at = match effect {
            ShardEffect::Work(work) => {
                shards[at].on_worked(work.run(), &mut out);
                at
            }
            ShardEffect::ToShard { to, message } => {
                shards[usize::from(to.0)].on_packet(now, from, message, &mut out);
                usize::from(to.0)
            }
            ShardEffect::Fatal(reason) => return Err(reason),
            ShardEffect::ToConsensus(message) => {
                kept.push((from, message));
                continue;
            }
            _ => continue,
        };
        left.extend(out.drain().map(|effect| (at, effect)));
    }
    Ok(())
}

fn no_failure(out: &mut Outbox<ShardEffect>) -> Result<(), String> {
    let failure = out.drain().find_map(|effect| match effect {
        ShardEffect::Fatal(reason) => Some(reason),
        _ => None,
    });
    failure.map_or(Ok(()), Err)
}
