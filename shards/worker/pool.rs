//! Connections that wait for their next request.
//!
//! Invariants:
//! - At most [`HttpOptions::idle_per_origin_max`] wait per origin and
//!   [`HttpOptions::idle_max`] in all, none longer than [`HttpOptions::idle_time_max`] (and the
//!   reaper's round).
//! - A connection that the server has closed is not handed out, if that is known.
//! - `tcp_pool_size` is the number of connections that are open, in use or waiting.

use crate::client::HttpOptions;
use crate::target::Origin;
use crate::transport::Transport;
use base::Instant;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use runtime::http_io::HttpIo;
use runtime::{LocalNotify, Task, instant, spawn_local};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use telemetry::{Counter, Gauge, Histogram, Registry, families};

/// The longest that a server may take nothing of what we send. Unit: time.
const STALL_MAX: Duration = Duration::from_secs(30);

/// An open connection. Dropping it closes it.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    received: Rc<Cell<u64>>,
    _driver: Task<()>,
    _counted: Counted,
}

/// What is counted of connections.
#[derive(Debug, Clone)]
pub(crate) struct PoolMetrics {
    size: Gauge,
    pub(crate) acquired: Histogram,
    pub(crate) reused: Counter,
}

impl PoolMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let labels = [("protocol", "http")];
        Self {
            size: registry.gauge(&families::TCP_POOL_SIZE, &labels),
            acquired: registry.histogram(&families::TCP_POOL_ACQUIRE_DURATION, &labels),
            reused: registry.counter(&families::TCP_POOL_CONNECTION_REUSE, &labels),
        }
    }
}

/// One connection more, for as long as this lives.
struct Counted(Gauge);

impl Counted {
    fn new(size: &Gauge) -> Self {
        size.add(1.0);
        Self(size.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

impl Connection {
    pub(crate) async fn open(
        transport: Transport,
        options: &HttpOptions,
        metrics: &PoolMetrics,
    ) -> Result<Self, hyper::Error> {
        let counted = Counted::new(&metrics.size);
        let received = transport.received();
        let (sender, connection) = http1::Builder::new()
            .max_headers(crate::request::HEADERS_MAX)
            .max_header_size(options.header_bytes_max)
            // Bounds what is read ahead of the head's end; hyper refuses less than 8 KiB.
            .max_buf_size(options.header_bytes_max.max(8 * 1024))
            .handshake(HttpIo::new(transport, STALL_MAX))
            .await?;
        // What goes wrong on the connection is told to the request that is on it; without one,
        // it only ends.
        let driver = spawn_local(async move { drop(connection.await) });
        Ok(Self { sender, received, _driver: driver, _counted: counted })
    }

    /// Bytes that have come in so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

pub(crate) struct Pool {
    idle: RefCell<BTreeMap<Origin, VecDeque<Idle>>>,
    count: Cell<usize>,
    per_origin_max: usize,
    max: usize,
    time_max: Duration,
    filled: LocalNotify,
}

impl Pool {
    pub(crate) fn new(options: &HttpOptions) -> Self {
        Self {
            idle: RefCell::default(),
            count: Cell::new(0),
            per_origin_max: options.idle_per_origin_max,
            max: options.idle_max,
            time_max: options.idle_time_max,
            filled: LocalNotify::new(),
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.count.get()
    }

    /// The connection to `origin` that was used last: it is the least likely to be stale.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut useless = Vec::new();
        let taken = loop {
            let mut idle = self.idle.borrow_mut();
            let Some(queue) = idle.get_mut(origin) else { break None };
            let Some(last) = queue.pop_back() else { break None };
            if queue.is_empty() {
                idle.remove(origin);
            }
            self.count.set(self.count.get() - 1);
            if self.is_useful(&last) {
                break Some(last.connection);
            }
            useless.push(last);
        };
        drop(useless);
        taken
    }

    /// Keeps a connection whose last answer has come in whole; closes it when enough wait.
    pub(crate) fn put(&self, origin: &Origin, connection: Connection) {
        if connection.sender.is_closed() || self.max == 0 || self.per_origin_max == 0 {
            return;
        }
        if self.len() >= self.max {
            self.prune();
            if self.len() >= self.max {
                return;
            }
        }
        let mut idle = self.idle.borrow_mut();
        let queue = idle.entry(origin.clone()).or_default();
        let oldest = if queue.len() >= self.per_origin_max { queue.pop_front() } else { None };
        queue.push_back(Idle { connection, since: instant() });
        drop(idle);
        if oldest.is_none() {
            self.count.set(self.count.get() + 1);
        }
        drop(oldest);
        self.filled.notify();
    }

    fn is_useful(&self, idle: &Idle) -> bool {
        !idle.connection.sender.is_closed() && instant().since(idle.since) < self.time_max
    }

    /// Closes what waited too long or was closed by the server.
    fn prune(&self) {
        let mut useless = Vec::new();
        let mut idle = self.idle.borrow_mut();
        for queue in idle.values_mut() {
            for waiting in std::mem::take(queue) {
                if self.is_useful(&waiting) {
                    queue.push_back(waiting);
                } else {
                    useless.push(waiting);
                }
            }
        }
        idle.retain(|_, queue| !queue.is_empty());
        self.count.set(idle.values().map(VecDeque::len).sum());
        drop(idle);
        drop(useless);
    }

    /// Closes every waiting connection.
    pub(crate) fn clear(&self) {
        self.count.set(0);
        drop(self.idle.take());
    }

    /// Closes connections in their time. Runs for as long as its task is held.
    pub(crate) async fn reap(self: Rc<Self>) {
        loop {
            while self.len() == 0 {
                self.filled.notified().await;
            }
            runtime::sleep_coarse(self.time_max / 2).await;
            self.prune();
        }
    }
}
