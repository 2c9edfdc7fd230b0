//! Matching one message, from raw bytes, strict: 256 bytes against 0, 100 and 10,000 rules that it
//! does not match. Beside it, in the same run, serde_json's reading of the same bytes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write;
use std::hint::black_box;

const MESSAGE: &[u8] = br#"{"event_type":"payment_received","amount":15000,"currency":"EUR","country":"DE","user":{"id":"user_12345","name":"Ada Lovelace","tags":["vip","eu","2024"]},"device":"iPhone 15","ip":"203.0.113.7","session":"5f1c9a7e-31d0-4a53-9c1b-7a3b9b0f7c55","ok":true}"#;

fn catalogue(count: usize) -> rules::Catalogue {
    let mut text = String::from("rules:\n");
    for n in 0..count {
        writeln!(
            text,
            "  - {{ id: r{n}, version: 1, conditions: [{{ field: event_type, op: equals, value: never_{n} }}, {{ field: amount, op: in_range, value: [{n}, {}] }}, {{ field: country, op: in, value: [DE, FR, IT] }}], actions: [{{ workflow: w }}] }}",
            n + 500
        )
        .expect("writing to a string");
    }
    if count == 0 {
        text = "rules: []".into();
    }
    let parsed = rules::parse(document::Source { name: "bench", text: &text });
    rules::Catalogue::compile(parsed.expect("the bench's rules are right"))
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(1));
    for count in [0, 100, 10_000] {
        let catalogue = catalogue(count);
        let (mut matcher, mut woken) = (rules::Matcher::new(), rules::Matches::new());
        group.bench_function(format!("{count} rules"), |bencher| {
            bencher.iter(|| {
                matcher.matches(&catalogue, black_box(MESSAGE), &mut woken).expect("a message");
                woken.len()
            });
        });
    }
    group.bench_function("serde_json value alone", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(MESSAGE)).is_ok());
    });
    group.finish();
}

criterion_group!(benches, matching);
criterion_main!(benches);
