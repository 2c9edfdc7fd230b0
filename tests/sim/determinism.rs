use super::worlds::changing;
use base::{BootId, CoreId, Instant, NodeId, Now, Outbox, StoreId, UnixMicros};
use engine::message::{Committed, Part, ToConsensus, ToShard};
use engine::{Birth, ShardConfig, ShardCore, ShardEffect, snapshot};
use sim::{Faults, NodeConfig, World};
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: Now = Now { instant: Instant(1), wall: UnixMicros(1) };

/// Finished messages that are kept: all of a run, or so few that keys come free again. Unit: bytes.
const RETENTIONS: [u64; 2] = [512 << 20, (7 * 24) << 10];

fn log(seed: u64, retention_bytes: u64) -> (Vec<Committed>, NodeConfig) {
    let faults = Faults {
        messages: 400,
        crashes: 0,
        crash_within: Duration::from_secs(1),
        catalogue_change_odds: 20,
        full_disk: false,
        ..Faults::default()
    };
    let mut config = changing(2);
    config.born.retention_bytes = retention_bytes;
    World::new(seed, config, faults).log().unwrap()
}

fn shards(count: u16, config: &NodeConfig) -> Vec<ShardCore> {
    let shard = |core| {
        ShardCore::new(ShardConfig {
            node: NodeId(9),
            boot: BootId(99),
            store: StoreId(9),
            core: CoreId(core),
            shards: count,
            cpus: (0..u32::from(count)).collect(),
            program_version: "test",
            started_at: NOW.instant,
            birth: Birth { born: config.born.clone(), catalogue: Vec::new() },
            workers: engine::WorkersConfig::default(),
        })
    };
    (0..count).map(shard).collect()
}

fn apply(shards: &mut [ShardCore], entries: &[Committed]) {
    sim::deliver(NOW, entries, shards).unwrap();
}

/// Per partition its checksum, and the globals' image.
fn state(shards: &[ShardCore]) -> (BTreeMap<u16, u64>, Vec<u8>) {
    let partitions = shards.iter().flat_map(ShardCore::partitions);
    let checksums = partitions.map(|partition| (partition.id().0, partition.checksum()));
    let checksums: BTreeMap<u16, u64> = checksums.collect();
    let images: Vec<Vec<u8>> = shards.iter().map(|shard| shard.globals().image()).collect();
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]), "all copies of the globals agree");
    (checksums, images[0].clone())
}

fn image(shard: &mut ShardCore, part: Part) -> (u64, u16, Vec<u8>) {
    let mut out = Outbox::new();
    shard.on_packet(NOW, CoreId(0), ToShard::TakeImage(part), &mut out);
    let mut effects = out.take();
    if let Some(ShardEffect::Work(work)) =
        effects.pop_if(|last| matches!(last, ShardEffect::Work(_)))
    {
        shard.on_worked(work.run(), &mut out);
        effects = out.take();
    }
    match effects.pop() {
        Some(ShardEffect::ToConsensus(ToConsensus::Image {
            applied, partitions, bytes, ..
        })) => (applied, partitions, bytes),
        other => panic!("{other:?} is no image"),
    }
}

#[test]
fn the_same_log_gives_the_same_state_whatever_the_number_of_cores() {
    for retention_bytes in RETENTIONS {
        let (log, config) = log(1, retention_bytes);
        assert!(log.len() > 50, "the log has {} entries", log.len());
        let mut one = shards(1, &config);
        apply(&mut one, &log);
        let expected = state(&one);
        assert!(one[0].partitions().map(engine::Partition::accepted).sum::<u64>() > 300);
        let taken = one[0].partitions().flat_map(engine::Partition::taken);
        assert!(taken.map(|(_, number)| number).sum::<u64>() > 100, "orders were passed");
        for count in [2, 3, 5, 7] {
            let mut many = shards(count, &config);
            apply(&mut many, &log);
            assert!(state(&many) == expected, "{count} cores differ from one");
        }
    }
}

/// The partitions' images are taken one after the other while the log goes on, as a node does it.
#[test]
fn the_same_log_gives_the_same_state_whatever_the_snapshot_point_it_restarts_from() {
    for (seed, retention_bytes) in [2, 5].into_iter().zip(RETENTIONS) {
        let (log, config) = log(seed, retention_bytes);
        let mut whole = shards(2, &config);
        apply(&mut whole, &log);
        let expected = state(&whole);
        for start in (3..log.len()).step_by(log.len() / 12) {
            let mut running = shards(2, &config);
            apply(&mut running, &log[..start]);
            let (index, partitions, globals) = image(&mut running[0], Part::Globals);
            let mut file = snapshot::chunk(Part::Globals, index, 1, &globals);
            let mut at = start;
            for id in (0..partitions).map(base::PartitionId) {
                let part = Part::Partition(id);
                let (applied, _, bytes) = image(&mut running[usize::from(id.0 % 2)], part);
                file.extend(snapshot::chunk(part, applied, 1, &bytes));
                let next = (at + 2).min(log.len());
                apply(&mut running, &log[at..next]);
                at = next;
            }
            file.extend(snapshot::trailer(index));
            let read = snapshot::read(&file.into()).unwrap();
            assert_eq!(usize::try_from(read.index).unwrap(), start);
            for count in [1, 3] {
                let mut again = shards(count, &config);
                for (shard, core) in again.iter_mut().zip(0..) {
                    let mut out = Outbox::new();
                    let message = read.restore(core, count);
                    shard.on_packet(NOW, CoreId(0), message, &mut out);
                    assert!(out.is_empty(), "{:?}", out.take());
                }
                apply(&mut again, &log[start..]);
                let found = state(&again);
                assert_eq!(found.0, expected.0, "seed {seed}, restart at {start} on {count}");
                assert!(found.1 == expected.1, "globals: seed {seed}, restart at {start}");
            }
        }
    }
}
