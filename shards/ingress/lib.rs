//! Accepts clients: over HTTP/1.1, and over the binary protocol of docs/WIRE.md. It speaks the
//! protocols and keeps the limits; what is answered is decided behind [`Backend`].
//!
//! Invariants:
//! - at most `connections_max` connections are open on a core at each door; more wait in the kernel;
//! - a client that is slow to send its headers, its body, or to read its answer is cut off;
//! - on stop, nothing more is accepted, requests under way are answered, idle connections are
//!   closed at once.

mod accept;
mod binary;
mod connection;
mod counted;
mod metrics;

use accept::Gate;
use api::{Request, Response, Route};
use engine::{Submission, SubmitResults};
use metrics::Metrics;
use rpc::{Identity, RpcMetrics, ServeOptions, Side, serve_connection};
use runtime::{Listener, LocalEvent, LocalReceiver};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use telemetry::{Registry, Sampler, TraceContext, Traceparent};
use wire::Kind;

/// Where requests go.
pub trait Backend: Clone + 'static {
    /// Answers a request, at once or later.
    fn request(&self, route: &Route, request: &Request<'_>) -> LocalReceiver<Response>;
    /// Takes messages; `done` is told what became of them, at once or when they are durable.
    fn submit(&self, submission: &Submission<'_>, done: Box<dyn FnOnce(SubmitResults)>);
    /// How many connections are open now, at all doors.
    fn set_connections(&self, count: u64);
}

/// What a client of the HTTP door may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open on one core.
    pub connections_max: usize,
    /// For all headers of a request, from its first byte on; also how long an idle connection is
    /// kept between two requests.
    pub header_timeout: Duration,
    /// For the whole body of a request.
    pub body_timeout: Duration,
    /// How long an answer may make no progress because the client does not read.
    pub write_stall_max: Duration,
    /// A request's line and headers together. Unit: bytes.
    pub header_bytes_max: usize,
}

/// What a client of the binary door may take; see also [`ServeOptions`].
#[derive(Clone, Debug)]
pub struct BinaryLimits {
    /// Connections open on one core.
    pub connections_max: usize,
    /// How long a connection is kept with no call under way.
    pub idle_max: Duration,
    /// How long answers may make no progress because the client does not read.
    pub write_stall_max: Duration,
}

/// Bodies that one core gathers at once. Unit: bytes. Beyond it clients are asked to wait: many slow
/// ones together must not eat the machine.
const BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What the doors of one core share. Clones are the same.
#[derive(Clone, Debug)]
pub struct Doors<B> {
    backend: B,
    registry: Registry,
    metrics: Rc<Metrics>,
    sampler: Rc<RefCell<Sampler>>,
    /// Connections that are open at all of them.
    open: Rc<Cell<usize>>,
    /// Bytes of bodies that are being gathered.
    bodies: Rc<Cell<usize>>,
}

impl<B: Backend> Doors<B> {
    /// The doors to `backend`. `sampler` decides which requests are traced.
    pub fn new(backend: B, sampler: Sampler, registry: &Registry) -> Self {
        Self {
            backend,
            registry: registry.clone(),
            metrics: Rc::new(Metrics::new(registry)),
            sampler: Rc::new(RefCell::new(sampler)),
            open: Rc::default(),
            bodies: Rc::default(),
        }
    }

    /// Serves HTTP until `stop` happens and every connection has ended.
    pub async fn serve_http(&self, listener: Listener, limits: Limits, stop: &LocalEvent) {
        let gate = Gate::new(self, "http", limits.connections_max);
        let (doors, stopping) = (self.clone(), stop.clone());
        let serve = move |stream| {
            let (doors, stop) = (doors.clone(), stopping.clone());
            async move { connection::run(stream, &doors, limits, &stop).await }
        };
        gate.serve(listener, stop, serve).await;
    }

    /// Serves the binary protocol, in the name of `identity`, until `stop` happens and every
    /// connection has ended.
    pub async fn serve_binary(
        &self,
        listener: Listener,
        limits: BinaryLimits,
        identity: Identity,
        stop: &LocalEvent,
    ) {
        let gate = Gate::new(self, "binary", limits.connections_max);
        let options = Rc::new(ServeOptions {
            identity,
            idle_max: limits.idle_max,
            write_stall_max: limits.write_stall_max,
            ..ServeOptions::default()
        });
        let metrics = RpcMetrics::new(&self.registry, Side::Server, &[Kind::SUBMIT, Kind::QUERY]);
        let (doors, stopping) = (self.clone(), stop.clone());
        let serve = move |stream| {
            let service = binary::Connection::new(&doors);
            let (options, metrics) = (Rc::clone(&options), metrics.clone());
            let stop = stopping.clone();
            async move {
                // How it ended is counted there.
                let _ended = serve_connection(stream, &service, &options, &metrics, &stop).await;
            }
        };
        gate.serve(listener, stop, serve).await;
    }

    /// The trace that a submission is part of, if it is to be recorded.
    fn trace(&self, caller: Traceparent) -> Option<TraceContext> {
        self.sampler.borrow_mut().decide(caller)
    }
}

/// A body's share of what may be gathered; given back when dropped.
struct Share<'a> {
    bodies: &'a Cell<usize>,
    bytes: usize,
}

impl<'a> Share<'a> {
    fn of(bodies: &'a Cell<usize>) -> Self {
        Self { bodies, bytes: 0 }
    }

    /// Takes more; false when nothing is left.
    fn take(&mut self, bytes: usize) -> bool {
        let sum = self.bodies.get() + bytes;
        if sum > BODIES_BYTES_MAX {
            return false;
        }
        self.bodies.set(sum);
        self.bytes += bytes;
        true
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.bodies.set(self.bodies.get() - self.bytes);
    }
}
