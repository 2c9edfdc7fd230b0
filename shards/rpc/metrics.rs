//! What is counted of calls, their connections and pools.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use telemetry::{Counter, Gauge, Histogram, Registry, families};
use wire::Kind;

/// Errors that are told apart by kind and word; further ones are counted as `other`. The words are
/// the program's own, so this is never reached unless a service makes them up.
const ERRORS_MAX: usize = 256;

/// The label `protocol` of the families that HTTP connections are counted in, too.
const PROTOCOL: (&str, &str) = ("protocol", "binary");

/// On which side of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// They are served: durations are those of the handlers.
    Server,
    /// They are made: durations are those that callers wait.
    Client,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// The cells of one core for one side of calls. Clones are the same cells.
#[derive(Clone)]
pub struct RpcMetrics {
    cells: Rc<Cells>,
}

struct Cells {
    registry: Registry,
    side: Side,
    kinds: RefCell<Vec<KindCells>>,
    /// Where the kind that was asked for last stands: calls of one kind come in runs.
    last: Cell<KindIndex>,
    errors: RefCell<Vec<(KindIndex, Box<str>, Counter)>>,
    connections: Counter,
    active: Gauge,
    received: Counter,
    sent: Counter,
    pool: Option<PoolCells>,
}

struct KindCells {
    kind: Kind,
    calls: Counter,
    duration: Histogram,
    /// Calls answered since the last [`RpcMetrics::on_batch_end`], whose durations are one.
    answered: Cell<u64>,
}

struct PoolCells {
    size: Gauge,
    acquire: Histogram,
    reuse: Counter,
}

/// Where a kind's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KindIndex(u16);

impl RpcMetrics {
    /// The cells for calls of `kinds`, which exist from now on; those of other kinds begin with the
    /// first call.
    pub fn new(registry: &Registry, side: Side, kinds: &[Kind]) -> Self {
        let pool = (side == Side::Client).then(|| PoolCells {
            size: registry.gauge(&families::TCP_POOL_SIZE, &[PROTOCOL]),
            acquire: registry.histogram(&families::TCP_POOL_ACQUIRE_DURATION, &[PROTOCOL]),
            reuse: registry.counter(&families::TCP_POOL_CONNECTION_REUSE, &[PROTOCOL]),
        });
        let cells = Cells {
            registry: registry.clone(),
            side,
            kinds: RefCell::default(),
            last: Cell::new(KindIndex(0)),
            errors: RefCell::default(),
            connections: registry.counter(&families::TCP_CONNECTIONS, &[PROTOCOL]),
            active: registry.gauge(&families::TCP_CONNECTIONS_ACTIVE, &[PROTOCOL]),
            received: registry.counter(&families::TCP_BYTES_RECEIVED, &[PROTOCOL]),
            sent: registry.counter(&families::TCP_BYTES_SENT, &[PROTOCOL]),
            pool,
        };
        let metrics = Self { cells: Rc::new(cells) };
        for kind in kinds {
            metrics.index(*kind);
        }
        if side == Side::Server {
            // So that the family is there before the first mishap.
            metrics.error_counter(metrics.index(UNKNOWN), "unknown_type");
        }
        metrics
    }

    pub(crate) fn index(&self, kind: Kind) -> KindIndex {
        // Kinds without a name share one cell: a peer chooses them.
        let kind = if kind.name() == UNKNOWN.name() { UNKNOWN } else { kind };
        let last = self.cells.last.get();
        let mut kinds = self.cells.kinds.borrow_mut();
        if kinds.get(usize::from(last.0)).is_some_and(|cells| cells.kind == kind) {
            return last;
        }
        let place = kinds.iter().position(|cells| cells.kind == kind).unwrap_or_else(|| {
            let labels = [("msg_type", kind.name()), ("side", self.cells.side.as_str())];
            kinds.push(KindCells {
                kind,
                calls: self.cells.registry.counter(&families::RPC_CALLS, &labels),
                duration: self.cells.registry.histogram(&families::RPC_CALL_DURATION, &labels),
                answered: Cell::new(0),
            });
            kinds.len() - 1
        });
        let index = KindIndex(u16::try_from(place).expect("kinds are 16 bits"));
        self.cells.last.set(index);
        index
    }

    /// A call was begun.
    pub(crate) fn on_call(&self, index: KindIndex) {
        self.cells.kinds.borrow()[usize::from(index.0)].calls.increment();
    }

    /// A call was answered after so long.
    pub(crate) fn on_answer(&self, index: KindIndex, took: Duration) {
        self.cells.kinds.borrow()[usize::from(index.0)].duration.observe_duration(took);
    }

    /// A call was answered within the batch that it came with.
    pub(crate) fn on_answer_in_batch(&self, index: KindIndex) {
        let kinds = self.cells.kinds.borrow();
        let answered = &kinds[usize::from(index.0)].answered;
        answered.set(answered.get() + 1);
    }

    /// A batch that was received at once is handled: reading the clock once serves all its calls.
    pub(crate) fn on_batch_end(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        for cells in self.cells.kinds.borrow().iter() {
            match cells.answered.take() {
                0 => {}
                answered => cells.duration.observe_many(took, answered),
            }
        }
    }

    /// A call failed.
    pub(crate) fn on_error(&self, index: KindIndex, error_type: &str) {
        self.error_counter(index, error_type).increment();
    }

    fn error_counter(&self, index: KindIndex, error_type: &str) -> Counter {
        let mut errors = self.cells.errors.borrow_mut();
        let known = |word: &str| {
            errors
                .iter()
                .find(|(at, known, _)| *at == index && **known == *word)
                .map(|e| e.2.clone())
        };
        if let Some(counter) = known(error_type) {
            return counter;
        }
        let error_type = if errors.len() < ERRORS_MAX { error_type } else { "other" };
        if let Some(counter) = known(error_type) {
            return counter;
        }
        let kind = self.cells.kinds.borrow()[usize::from(index.0)].kind;
        let labels = [
            ("msg_type", kind.name()),
            ("side", self.cells.side.as_str()),
            ("error_type", error_type),
        ];
        let counter = self.cells.registry.counter(&families::RPC_ERRORS, &labels);
        errors.push((index, error_type.into(), counter.clone()));
        counter
    }

    /// A connection was opened. It counts as open until what is returned is dropped.
    pub(crate) fn on_open(&self) -> Open {
        self.cells.connections.increment();
        self.cells.active.add(1.0);
        Open(self.clone())
    }

    /// A connection ended badly.
    pub(crate) fn on_connection_error(&self, error_type: &'static str) {
        let labels = [("error_type", error_type), PROTOCOL];
        self.cells.registry.counter(&families::TCP_ERRORS, &labels).increment();
    }

    pub(crate) fn on_received(&self, bytes: usize) {
        self.cells.received.add(bytes as u64);
    }

    pub(crate) fn on_sent(&self, bytes: usize) {
        self.cells.sent.add(bytes as u64);
    }

    /// A connection joined a pool (1.0) or left it (-1.0).
    pub(crate) fn on_pool_size(&self, by: f64) {
        if let Some(pool) = &self.cells.pool {
            pool.size.add(by);
        }
    }

    /// A call got its connection after so long.
    pub(crate) fn on_acquired(&self, took: Duration, reused: bool) {
        if let Some(pool) = &self.cells.pool {
            pool.acquire.observe_duration(took);
            if reused {
                pool.reuse.increment();
            }
        }
    }
}

/// What every kind without a name is counted as.
const UNKNOWN: Kind = Kind(0);

/// An open connection, as the gauge counts it.
pub(crate) struct Open(RpcMetrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.cells.active.add(-1.0);
    }
}

impl fmt::Debug for RpcMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcMetrics").field("side", &self.cells.side).finish_non_exhaustive()
    }
}
