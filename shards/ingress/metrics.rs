//! What the doors count.

use std::cell::RefCell;
use std::time::Duration;
use telemetry::{Counter, Gauge, Histogram, Registry, families};

/// The label of what is counted of connections; the binary door's are counted by `rpc`.
const PROTOCOL: (&str, &str) = ("protocol", "http");

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
            connections: registry.counter(&families::TCP_CONNECTIONS, &[PROTOCOL]),
            active: registry.gauge(&families::TCP_CONNECTIONS_ACTIVE, &[PROTOCOL]),
            received: registry.counter(&families::TCP_BYTES_RECEIVED, &[PROTOCOL]),
            sent: registry.counter(&families::TCP_BYTES_SENT, &[PROTOCOL]),
            duration: registry.histogram(&families::HTTP_REQUEST_DURATION, &[]),
            answered: RefCell::default(),
            registry: registry.clone(),
        }
    }

    /// A connection was opened. It counts as open until what is returned is dropped.
    pub(crate) fn opened(&self) -> Open {
        self.connections.increment();
        self.active.add(1.0);
        Open(self.active.clone())
    }

    /// A connection ended badly.
    pub(crate) fn failed(&self, why: &str) {
        let labels = [("error_type", why), PROTOCOL];
        self.registry.counter(&families::TCP_ERRORS, &labels).increment();
    }

    /// A request took so long.
    pub(crate) fn took(&self, took: Duration) {
        self.duration.observe_duration(took);
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &'static str, status: u16) {
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

/// An open connection, as the gauge counts it.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}
