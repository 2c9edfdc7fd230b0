//! Matching one message, from raw bytes, strict, over the workloads of `benches/workloads/rules.rs`.
//! Beside it, in the same run, serde_json's reading of the same bytes; and what compiling costs.
//!
//! The table against other matchers comes from `perf/rivals`, instructions per event from
//! `perf/instructions`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use workloads::Workload;

#[path = "workloads/rules.rs"]
mod workloads;

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(1));
    let mut all: Vec<Workload> = [0, 10, 1_000, 10_000].map(workloads::payments).into();
    all.push(workloads::exact(10_000));
    all.extend(workloads::parcels());
    all.push(workloads::mixed(3_000));
    for workload in &all {
        let catalogue = rules::Catalogue::compile(workload.rules());
        let (mut matcher, mut woken) = (rules::Matcher::new(), rules::Matches::new());
        let mut messages = workload.messages.iter().cycle();
        group.bench_function(&workload.name, |bencher| {
            bencher.iter(|| {
                let message = messages.next().expect("there is always another");
                let read = matcher.matches(&catalogue, black_box(message.as_bytes()), &mut woken);
                read.expect("the workload's messages are JSON");
                woken.len()
            });
        });
    }
    group.bench_function("serde_json value of a payment alone", |bencher| {
        let message = &all[0].messages[0];
        bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(message)).is_ok());
    });
    group.finish();
}

fn changing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change");
    let rules = workloads::payments(10_000).rules();
    group.sample_size(10);
    group.bench_function("10,000 rules compiled", |bencher| {
        bencher.iter_batched(|| rules.clone(), rules::Catalogue::compile, BatchSize::LargeInput);
    });
    let catalogue = rules::Catalogue::compile(rules.clone());
    group.bench_function("one of 10,000 rules changed", |bencher| {
        bencher.iter(|| catalogue.with_change(black_box(&rules[5_000..5_001]), &[]));
    });
    group.finish();
}

criterion_group!(benches, matching, changing);
criterion_main!(benches);
