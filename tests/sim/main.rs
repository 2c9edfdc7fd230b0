//! The simulator's runs: one node under power cuts, groups of several under all that may go wrong,
//! from seeds; and the log applied in other ways than it was.
//!
//! A failing seed prints the line that replays it. `seeds.txt` keeps every seed that ever failed.
//! `cargo sim` runs more of them: `DISTRIC_SIM_SEEDS=100000 cargo sim power`, or `group`.

#![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

mod determinism;
mod group;
mod power;
mod reload;

use engine::record::{Born, Change};
use sim::NodeConfig;

const WORKFLOWS: &str = r#"
workflows:
  - id: pure
    version: 1
    tasks:
      - { id: one, type: transform, with: { n: "${ input.nonce }" } }
      - { id: two, type: transform, depends_on: [one], with: { n: "${ tasks.one.output.n + 1 }" } }
      - { id: three, type: transform, depends_on: [two], with: { n: "${ tasks.two.output.n + 1 }" } }
  - id: call
    version: 1
    on_failure: continue
    timeout: 10m
    tasks:
      - id: ask
        type: http
        with: { method: POST, url: "http://127.0.0.1:9/", body: { n: "${ input.nonce }" } }
        timeout: 1s
        retry: { max: 5, backoff: exponential, first: 50ms, cap: 1s, jitter: full }
      - { id: pause, type: delay, with: { for: 120ms } }
      - { id: both, type: transform, depends_on: [ask, pause], with: { done: true } }
      - { id: sorry, type: transform, depends_on: [ask], run_if: failure, with: { sorry: true } }
  - id: by-key
    version: 1
    tasks:
      - { id: one, type: transform, with: { n: "${ input.nonce }" } }
      - { id: pause, type: delay, depends_on: [one], with: { for: 70ms } }
"#;

/// Some start an instance for a key, one of a few, and some of these can name no key; some calculate
/// what they hand over.
const RULES: &str = r#"
rules:
  - { id: b-is-pure, version: 1, priority: 2, conditions: [{ field: kind, op: equals, value: b }], actions: [{ workflow: pure }] }
  - { id: c-calls, version: 1, priority: 1, conditions: [{ field: kind, op: equals, value: c }], actions: [{ workflow: call }] }
  - id: a-by-key
    version: 1
    conditions: [{ field: kind, op: equals, value: a }]
    actions: [{ workflow: by-key, key: "k${ msg.nonce % 20 }", params: { half: "${ msg.amount / 2 }" } }]
  - id: b-made
    version: 1
    conditions: [{ field: kind, op: equals, value: b }]
    enrich: { user.level: "${ msg.amount * 1.5 }" }
    actions:
      - { workflow: pure, transform: { nonce: "${ msg.nonce + 1 }", level: "${ msg.user.level }" } }
      - { workflow: pure, key: "${ 100 / (msg.nonce % 5) }" }
  - id: b-after-made
    version: 1
    continue_from: b-made
    requires: [b-is-pure]
    conditions: [{ field: user.level, op: less_than, value: 900 }]
    actions: [{ workflow: by-key, key: "l${ msg.user.level }" }]
  - id: c-by-key
    version: 1
    conditions: [{ field: kind, op: equals, value: c }]
    actions: [{ workflow: call, key: "${ msg.nonce % 7 }" }, { workflow: pure }]
"#;

/// What a run comes to; where it fails, by an error or a panic, the line that replays it is said.
fn replayable<T>(replay: &str, run: impl FnOnce() -> Result<T, String>) -> T {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(done)) => done,
        Ok(Err(violation)) => panic!("{violation}\n{replay}"),
        Err(panicked) => {
            eprintln!("the panic above ends the run\n{replay}");
            std::panic::resume_unwind(panicked)
        }
    }
}

/// Segments that hold the largest entry: whole sets of rules gather in one.
const SEGMENT_BYTES_OF_CHANGES: u64 = 2 << 20;

/// A node whose catalogue is changed.
fn changing(shards: u16) -> NodeConfig {
    let mut config = NodeConfig { segment_bytes: SEGMENT_BYTES_OF_CHANGES, ..node(shards) };
    // Nothing is dropped while the world watches it: messages may start many instances.
    config.born.retention_bytes = 512 << 20;
    config
}

/// A node small enough that segments roll over and snapshots are taken in a short run.
fn node(shards: u16) -> NodeConfig {
    let source = |text| document::Source { name: "the test's catalogue", text };
    let mut catalogue: Vec<Change> = flow::parse(source(WORKFLOWS))
        .unwrap()
        .into_iter()
        .map(|found| Change::PutDefinition(found.source))
        .collect();
    catalogue.extend(
        rules::parse(source(RULES)).unwrap().into_iter().map(|rule| Change::PutRule(rule.source)),
    );
    NodeConfig {
        shards,
        catalogue,
        born: Born {
            cluster_id: 1,
            partitions: 7,
            retention_bytes: 64 << 20,
            keys_max: 1_000_000,
            // Longer than a run: a key never expires while the world watches it.
            key_ttl_ms: 24 * 3_600 * 1_000,
        },
        segment_bytes: 512 << 10,
        snapshot_journal_bytes: 256 << 10,
    }
}
