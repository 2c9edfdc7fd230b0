//! What is counted of gossip. What the socket counts (`udp_…`) is the runtime's.

use std::cell::RefCell;
use std::time::Duration;
use swim::{Counts, State};
use telemetry::families::DURATION_BOUNDS;
use telemetry::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, Merge, Registry, Unit,
};

static DETECTIONS: CounterFamily = counter(
    "distric_gossip_failure_detections_total",
    "Members that this node found to have failed, by itself.",
);
static FAILURES: CounterFamily =
    counter("distric_gossip_failures_total", "Members that failed, by whoever found it.");
static SUSPICIONS: CounterFamily = counter(
    "distric_gossip_suspicions_total",
    "Members that did not answer this node, for a while or for good.",
);
static REFUTATIONS: CounterFamily = counter(
    "distric_gossip_refutations_total",
    "Times that this node was suspected and said that it is alive.",
);
static RENEWALS: CounterFamily = counter(
    "distric_gossip_renewals_total",
    "Times that this node was taken for failed and came back.",
);
static STALLS: CounterFamily =
    counter("distric_gossip_stalls_total", "Times that this node woke up late by 100 ms or more.");
static DIFFERENCES: CounterFamily = counter(
    "distric_gossip_differences_total",
    "Comparisons of views in which this node's and the other's differed.",
);
static DROPPED: CounterFamily =
    counter("distric_gossip_dropped_total", "Datagrams dropped, by reason (label reason).");
static MEMBERS: GaugeFamily = GaugeFamily {
    name: "distric_gossip_members",
    help: "Members that this node knows, itself included, by state (label state).",
    merge: Merge::Max,
};
static KEY: GaugeFamily = GaugeFamily {
    name: "distric_gossip_key",
    help: "1 for the key by which this node seals gossip, by its id (label key), 0 for earlier ones.",
    merge: Merge::Max,
};
static SLOWNESS: GaugeFamily = GaugeFamily {
    name: "distric_gossip_slowness",
    help: "How much slower than usual this node takes itself to be: 0 as usual, 1 twice as slow.",
    merge: Merge::Max,
};
static CONVERGENCE: HistogramFamily = HistogramFamily {
    name: "distric_gossip_convergence_seconds",
    help: "From when a member said something of itself until this node heard it by gossip, by the \
           two machines' clocks of day.",
    unit: Unit::Nanoseconds,
    bounds: DURATION_BOUNDS,
};

const fn counter(name: &'static str, help: &'static str) -> CounterFamily {
    CounterFamily { name, help, unit: Unit::One }
}

/// The cells of one node's gossip.
pub(crate) struct Metrics {
    detections: Counter,
    failures: Counter,
    suspicions: Counter,
    refutations: Counter,
    renewals: Counter,
    stalls: Counter,
    differences: Counter,
    slowness: Gauge,
    convergence: Histogram,
    members: [(State, Gauge); 4],
    /// Of the key that seals.
    key: RefCell<Option<Gauge>>,
    registry: Registry,
    /// What was last followed.
    last: RefCell<Counts>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let members = [State::Alive, State::Suspected, State::Failed, State::Left]
            .map(|state| (state, registry.gauge(&MEMBERS, &[("state", state.as_str())])));
        let metrics = Self {
            detections: registry.counter(&DETECTIONS, &[]),
            failures: registry.counter(&FAILURES, &[]),
            suspicions: registry.counter(&SUSPICIONS, &[]),
            refutations: registry.counter(&REFUTATIONS, &[]),
            renewals: registry.counter(&RENEWALS, &[]),
            stalls: registry.counter(&STALLS, &[]),
            differences: registry.counter(&DIFFERENCES, &[]),
            slowness: registry.gauge(&SLOWNESS, &[]),
            convergence: registry.histogram(&CONVERGENCE, &[]),
            members,
            key: RefCell::new(None),
            registry: registry.clone(),
            last: RefCell::default(),
        };
        metrics.members([State::Alive].into_iter());
        metrics
    }

    /// Takes over what the core has counted.
    pub(crate) fn follow(&self, counts: &Counts, slowness: u32) {
        self.slowness.set_count(u64::from(slowness));
        if *self.last.borrow() == *counts {
            return;
        }
        self.detections.advance_to(counts.detections);
        self.suspicions.advance_to(counts.suspicions);
        self.refutations.advance_to(counts.refutations);
        self.renewals.advance_to(counts.renewals);
        self.stalls.advance_to(counts.stalls);
        self.differences.advance_to(counts.differences);
        for (reason, count) in &counts.dropped {
            let cell = self.registry.counter(&DROPPED, &[("reason", reason.as_str())]);
            cell.advance_to(*count);
        }
        self.last.borrow_mut().clone_from(counts);
    }

    /// This key seals from now on.
    pub(crate) fn sealed_with(&self, key: u32) {
        let cell = self.registry.gauge(&KEY, &[("key", &format!("{key:08x}"))]);
        if let Some(before) = self.key.replace(Some(cell.clone())) {
            before.set_count(0);
        }
        cell.set_count(1);
    }

    pub(crate) fn failed(&self) {
        self.failures.increment();
    }

    pub(crate) fn heard(&self, took: Duration) {
        self.convergence.observe_duration(took);
    }

    pub(crate) fn members(&self, states: impl Iterator<Item = State>) {
        let mut counts = [0; 4];
        for state in states {
            let at = self.members.iter().position(|(other, _)| *other == state);
            counts[at.expect("every state has a cell")] += 1;
        }
        for ((_, cell), count) in self.members.iter().zip(counts) {
            cell.set_count(count);
        }
    }
}
