//! The worlds that seeds draw, for the tests and for `cargo sim`.

use engine::record::{Born, Change};
use sim::{Faults, NodeConfig, Report, World};
use std::time::Duration;

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

/// How long nothing happens in an idle world.
const IDLE: Duration = Duration::from_hours(1);
/// What a world under a burst is sent within a second.
const BURST_MESSAGES: u64 = 20_000;
/// What a world under load is sent: a request a millisecond.
const LOAD_MESSAGES: u64 = 20_000;
const LOAD_PACE: Duration = Duration::from_millis(1);

/// Which worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One node under power cuts.
    Power,
    /// Groups of three and five, in which everything goes wrong.
    Group,
    /// Three nodes that nobody asks anything: an hour.
    Idle,
    /// Three nodes that are kept busy, and nothing goes wrong.
    Load,
    /// Three nodes that are sent as much as they take.
    Burst,
}

impl Kind {
    /// By the name that a replay line has.
    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Power, Self::Group, Self::Idle, Self::Load, Self::Burst]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Group => "group",
            Self::Idle => "idle",
            Self::Load => "load",
            Self::Burst => "burst",
        }
    }

    /// The line that runs a seed again.
    pub(crate) fn replay(self, seed: u64) -> String {
        format!("replay: cargo sim {} --seed {seed}", self.name())
    }

    /// Runs the world of a seed. The error says what was violated.
    pub(crate) fn run(self, seed: u64) -> Result<Report, String> {
        let world = self.world(seed);
        if self == Self::Idle { world.idle(IDLE) } else { world.run() }
    }

    /// The world of a seed.
    pub(crate) fn world(self, seed: u64) -> World {
        match self {
            Self::Power => power(seed),
            Self::Group => group(seed),
            Self::Idle => calm(seed, Faults::none(0)),
            Self::Load => calm(seed, Faults { pace: LOAD_PACE, ..Faults::none(LOAD_MESSAGES) }),
            Self::Burst => calm(seed, Faults::none(BURST_MESSAGES)),
        }
    }
}

fn calm(seed: u64, faults: Faults) -> World {
    // Under load entries grow as large as they may, and nothing is dropped while the world watches. A
    // snapshot is much larger than in small worlds, and comes as rarely as where people run nodes.
    let config = |shards| {
        let small = node(shards);
        let (segment_bytes, snapshot_journal_bytes) = (16 << 20, 32 << 20);
        let mut config = NodeConfig { segment_bytes, snapshot_journal_bytes, ..small };
        config.born.retention_bytes = 4 << 30;
        config
    };
    let configs = (1..=3).map(config).collect();
    World::group(seed, configs, faults)
}

fn power(seed: u64) -> World {
    let full_disk = seed.is_multiple_of(5);
    let faults = Faults {
        messages: 60 + seed % 200 + if full_disk { 4_000 } else { 0 },
        crashes: 1 + u32::try_from(seed % 6).expect("small"),
        crash_within: Duration::from_millis(50 + seed * 37 % if full_disk { 9_000 } else { 1_500 }),
        catalogue_change_odds: if seed.is_multiple_of(3) { 30 } else { 0 },
        full_disk,
        ..Faults::default()
    };
    let faults = if seed.is_multiple_of(2) { faults.with_troubles(seed) } else { faults };
    let shards = 1 + u16::try_from(seed % 4).expect("small");
    let changes = faults.catalogue_change_odds > 0;
    let mut config = if changes { changing(shards) } else { node(shards) };
    // Some take a snapshot every few entries, some hardly ever.
    config.snapshot_journal_bytes = (16 << 10) << (seed % 6);
    World::new(seed, config, faults)
}

fn group(seed: u64) -> World {
    let nodes = [3, 3, 5][usize::try_from(seed % 3).expect("small")];
    let faults = Faults {
        messages: 100 + seed % 400,
        crashes: u32::try_from(seed % 5).expect("small"),
        crash_within: Duration::from_millis(500 + seed * 37 % 5_000),
        catalogue_change_odds: if seed.is_multiple_of(4) { 200 } else { 0 },
        ..Faults::default()
    };
    let changes = faults.catalogue_change_odds > 0;
    let faults = faults.with_troubles(seed);
    let configs = (0..nodes).map(|at: u64| {
        // Nodes differ in their cores, and in how often they take a snapshot.
        let shards = 1 + u16::try_from((seed + at) % 3).expect("small");
        let mut config = if changes { changing(shards) } else { node(shards) };
        config.snapshot_journal_bytes = (16 << 10) << ((seed + at) % 6);
        config
    });
    World::group(seed, configs.collect(), faults)
}

/// Segments that hold the largest entry: whole sets of rules gather in one.
const SEGMENT_BYTES_OF_CHANGES: u64 = 2 << 20;

/// A node whose catalogue is changed.
pub(crate) fn changing(shards: u16) -> NodeConfig {
    let mut config = NodeConfig { segment_bytes: SEGMENT_BYTES_OF_CHANGES, ..node(shards) };
    // Nothing is dropped while the world watches it: messages may start many instances.
    config.born.retention_bytes = 512 << 20;
    config
}

/// A node small enough that segments roll over and snapshots are taken in a short run.
pub(crate) fn node(shards: u16) -> NodeConfig {
    let source = |text| document::Source { name: "the test's catalogue", text };
    let mut catalogue: Vec<Change> = flow::parse(source(WORKFLOWS), flow::Plugins::Any)
        .expect("the workflows are right")
        .into_iter()
        .map(|found| Change::PutDefinition(found.source))
        .collect();
    catalogue.extend(
        rules::parse(source(RULES))
            .expect("the rules are right")
            .into_iter()
            .map(|rule| Change::PutRule(rule.source)),
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
