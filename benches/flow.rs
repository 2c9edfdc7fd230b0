//! One instance of three pure tasks, from its start to its end, and its image.

use base::{InstanceId, MessageId, Outbox, PartitionId, UnixMicros};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use expr::Value;
use flow::{Instance, Start};
use std::hint::black_box;

const WORKFLOW: &str = r#"
workflow:
  id: three
  version: 1
  tasks:
    - { id: one, type: transform, with: { n: "${ input.n + 1 }" } }
    - { id: two, type: transform, depends_on: [one], with: { n: "${ tasks.one.output.n + 1 }" } }
    - { id: three, type: transform, depends_on: [two], with: { n: "${ tasks.two.output.n + 1 }" } }
"#;

fn instances(criterion: &mut Criterion) {
    let source = document::Source { name: "bench", text: WORKFLOW };
    let definition =
        flow::parse(source, flow::Plugins::Any).expect("the bench's workflow is right").remove(0);
    let message = Value::parse_json(br#"{"event_type":"order","n":1,"note":"a small message"}"#)
        .expect("the bench's message is JSON");
    let id = InstanceId { message: MessageId::new(PartitionId(0), 1), ordinal: 1 };
    let start = |out: &mut Outbox<flow::Effect>| {
        let instance = Instance::start(
            Start {
                id,
                definition: &definition,
                message: message.clone(),
                params: Value::Null,
                now: UnixMicros(1),
                timeout: None,
                retry: None,
            },
            out,
        );
        out.drain().for_each(drop);
        instance
    };
    let mut group = criterion.benchmark_group("instance");
    group.throughput(Throughput::Elements(1));
    let mut out = Outbox::new();
    group.bench_function("3 pure tasks, start to end", |bencher| {
        bencher.iter(|| black_box(start(&mut out)).is_finished());
    });
    let instance = start(&mut out);
    group.bench_function("as JSON", |bencher| {
        bencher.iter(|| black_box(&instance).to_json(&definition, &()).len());
    });
    group.bench_function("as an image", |bencher| {
        bencher.iter(|| black_box(&instance).image().len());
    });
    group.finish();
}

criterion_group!(benches, instances);
criterion_main!(benches);
