//! Entries made into the bytes of the journal. Beside it, in the same run, crc32fast over the same
//! bytes and a copy of them: the two things that must be done.

use base::{Instant, Outbox, StoreId};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use journal::{Config, Effect, Entry, HeapBuffers, Journal};
use std::hint::black_box;

const ENTRY_BYTES: usize = 64 * 1024;

/// Carries out every effect at once, as a disk that takes no time.
fn pump(journal: &mut Journal<HeapBuffers>, out: &mut Outbox<Effect<Vec<u8>>>) -> usize {
    let mut written = 0;
    while !out.is_empty() {
        for effect in out.take() {
            match effect {
                Effect::Write { token, bytes, .. } => {
                    written += bytes.len();
                    journal.on_done(Instant(1), token, out);
                }
                Effect::Sync { token, .. } | Effect::Prepare { token, .. } => {
                    journal.on_done(Instant(1), token, out);
                }
                Effect::Remove { .. } | Effect::Durable { .. } | Effect::VoteDurable => {}
            }
        }
    }
    written
}

fn appends(criterion: &mut Criterion) {
    let data = Bytes::from(vec![7; ENTRY_BYTES]);
    let mut group = criterion.benchmark_group("an entry of 64 KiB");
    group.throughput(Throughput::Bytes(ENTRY_BYTES as u64));
    group.bench_function("crc32fast alone", |bencher| {
        bencher.iter(|| crc32fast::hash(black_box(&data)));
    });
    group.bench_function("a copy alone", |bencher| {
        bencher.iter(|| black_box(&data[..]).to_vec().len());
    });
    group.bench_function("appended", |bencher| {
        let mut out = Outbox::new();
        let mut journal = Journal::create(Config::new(StoreId(1)), HeapBuffers, &mut out);
        journal.on_vote(1, 1, &mut out);
        pump(&mut journal, &mut out);
        let mut index = 0;
        bencher.iter(|| {
            index += 1;
            let entry = Entry { index, term: 1, kind: 0, data: data.clone() };
            journal.on_append(Instant(1), vec![entry], index - 1, &mut out);
            let written = pump(&mut journal, &mut out);
            journal.compact(index - 1, &mut out);
            pump(&mut journal, &mut out);
            written
        });
    });
    group.finish();
}

criterion_group!(benches, appends);
criterion_main!(benches);
