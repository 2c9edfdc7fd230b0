//! Records: written into a session batch, and applied to the state. Beside it, in the same run, a
//! copy of the payload: what no design can save.

use base::{BootId, CoreId, Instant, NodeId, Now, Outbox, PartitionId, StoreId, UnixMicros};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::batch::{GLOBAL, Section, SectionHeader, join};
use engine::message::{Committed, ToShard};
use engine::record::{Accepted, Born, RecordType};
use engine::{Birth, ShardConfig, ShardCore};
use std::hint::black_box;

const RECORDS: u64 = 64;
const PARTITIONS: u16 = 64;
const PAYLOAD: [u8; 256] = [b'x'; 256];
const NOW: Now = Now { instant: Instant(1), wall: UnixMicros(1) };

fn header(number: u64) -> SectionHeader {
    SectionHeader {
        node: NodeId(1),
        boot: BootId(1),
        core: CoreId(0),
        number,
        catalogue: 0,
        round: 0,
    }
}

fn section() -> Section {
    let mut section = Section::new(32 * 1024);
    for record in 0..RECORDS {
        let partition = PartitionId(u16::try_from(record).expect("small") % PARTITIONS);
        let payload = black_box(&PAYLOAD);
        let accepted = Accepted { namespace: "default", payload, ..Accepted::default() };
        section.push_accepted(partition, &accepted);
    }
    section
}

fn born() -> Born {
    Born {
        cluster_id: 1,
        partitions: PARTITIONS,
        retention_bytes: 256 << 20,
        keys_max: 1_000_000,
        key_ttl_ms: 120_000,
    }
}

fn shard() -> ShardCore {
    ShardCore::new(ShardConfig {
        node: NodeId(2),
        boot: BootId(1),
        store: StoreId(1),
        core: CoreId(0),
        shards: 1,
        cpus: vec![0],
        program_version: "bench",
        started_at: NOW.instant,
        birth: Birth { born: born(), catalogue: Vec::new() },
        workers: engine::WorkersConfig::default(),
    })
}

fn entry(index: u64, section: Bytes) -> Committed {
    Committed { index, term: 1, data: join(UnixMicros(index), &[section]), prepared: Vec::new() }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("64 records of 256 B");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("copy of the payloads", |bencher| {
        bencher.iter(|| {
            let mut out: Vec<u8> = Vec::with_capacity(32 * 1024);
            for _ in 0..RECORDS {
                out.extend_from_slice(black_box(&PAYLOAD));
            }
            out.len()
        });
    });
    group.bench_function("written into a session batch", |bencher| {
        bencher.iter(|| section().seal(&header(1)).len());
    });
    group.bench_function("applied", |bencher| {
        let mut shard = shard();
        let mut out = Outbox::new();
        let mut first = Section::new(64);
        first.push(RecordType::Born, GLOBAL, |body| born().write(body));
        let birth = entry(1, first.seal(&header(1)));
        shard.on_packet(NOW, CoreId(0), ToShard::Committed(vec![birth]), &mut out);
        let mut index = 1;
        bencher.iter_batched(
            || {
                index += 1;
                entry(index, section().seal(&header(index)))
            },
            |entry| {
                shard.on_packet(NOW, CoreId(0), ToShard::Committed(vec![entry]), &mut out);
                out.drain().for_each(drop);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, records);
criterion_main!(benches);
