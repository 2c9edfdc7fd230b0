//! What the doors count.

use std::cell::RefCell;
use std::io;
use std::time::Duration;
use telemetry::{Counter, Gauge, Histogram, Registry, families};

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    connections: Counter,
    active: Gauge,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    duration: Histogram,
    /// A handful of pairs: a list is quicker than a table.
    answered: RefCell<Vec<(&'static str, u16, Counter)>>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            connections: registry.counter(&families::TCP_CONNECTIONS, &[]),
            active: registry.gauge(&families::TCP_CONNECTIONS_ACTIVE, &[]),
            received: registry.counter(&families::TCP_BYTES_RECEIVED, &[]),
            sent: registry.counter(&families::TCP_BYTES_SENT, &[]),
            duration: registry.histogram(&families::HTTP_REQUEST_DURATION, &[]),
            answered: RefCell::default(),
            registry: registry.clone(),
        }
    }

    pub(crate) fn accepted(&self) {
        self.connections.increment();
    }

    /// So many connections are open.
    pub(crate) fn open(&self, count: usize) {
        self.active.set_count(count as u64);
    }

    pub(crate) fn accept_failed(&self, error: &io::Error) {
        self.failed(if runtime::is_out_of_files(error) { "out_of_files" } else { "accept" });
    }

    /// A connection ended badly.
    pub(crate) fn failed(&self, why: &str) {
        self.registry.counter(&families::TCP_ERRORS, &[("error_type", why)]).increment();
    }

    pub(crate) fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.duration.observe_duration(took);
        let mut answered = self.answered.borrow_mut();
        // The patterns are constants: equal ones are the same text.
        let known =
            answered.iter().find(|(at, code, _)| *code == status && std::ptr::eq(*at, route));
        if let Some((_, _, counter)) = known {
            counter.increment();
            return;
        }
        let text = status.to_string();
        let labels = [("route", route), ("status", text.as_str())];
        let counter = self.registry.counter(&families::HTTP_REQUESTS, &labels);
        counter.increment();
        answered.push((route, status, counter));
    }
}
