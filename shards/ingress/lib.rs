//! Accepts clients over HTTP/1.1. It speaks the protocol and keeps the limits; what is answered is
//! decided behind [`Backend`].
//!
//! Invariants:
//! - at most [`Limits::connections_max`] connections are open on a core; more wait in the kernel;
//! - a client that is slow to send its headers, its body, or to read its answer is cut off;
//! - on stop, nothing more is accepted, requests under way are answered, idle connections are
//!   closed at once.

mod connection;
mod counted;
mod metrics;

use api::{Request, Response, Route};
use metrics::Metrics;
use runtime::{Listener, LocalEvent, LocalReceiver, TaskSet, is_out_of_files, sleep, spawn_local};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use telemetry::Registry;

/// Where requests go.
pub trait Backend: Clone + 'static {
    /// Answers a request, at once or later.
    fn request(&self, route: &Route, request: &Request<'_>) -> LocalReceiver<Response>;
    /// How many connections are open now.
    fn set_connections(&self, count: u64);
}

/// What a client may take.
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

/// Bodies that one core gathers at once. Unit: bytes. Beyond it clients are asked to wait: many slow
/// ones together must not eat the machine.
const BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The pause after the process ran out of file descriptors: some connection must close first.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` happens and every connection has ended.
pub async fn serve<B: Backend>(
    listener: Listener,
    backend: B,
    limits: Limits,
    registry: &Registry,
    stop: &LocalEvent,
) {
    let metrics = Rc::new(Metrics::new(registry));
    let connections = Rc::new(TaskSet::new());
    let room = Room { open: Rc::default(), freed: Rc::default(), bodies: Rc::default() };
    let accepting = {
        let (stop, backend, metrics, room) =
            (stop.clone(), backend.clone(), Rc::clone(&metrics), room.clone());
        let connections = Rc::clone(&connections);
        spawn_local(async move {
            loop {
                while room.open.get() >= limits.connections_max {
                    room.freed.notified().await;
                }
                let stream = match listener.accept().await {
                    Ok(stream) => stream,
                    Err(error) => {
                        metrics.accept_failed(&error);
                        if is_out_of_files(&error) {
                            sleep(OUT_OF_FILES_PAUSE).await;
                        }
                        continue;
                    }
                };
                room.open.set(room.open.get() + 1);
                metrics.opened(room.open.get());
                backend.set_connections(room.open.get() as u64);
                let (backend, metrics) = (backend.clone(), Rc::clone(&metrics));
                let (room, stop) = (room.clone(), stop.clone());
                connections.spawn(async move {
                    connection::run(stream, &backend, limits, &metrics, &room, &stop).await;
                    room.open.set(room.open.get() - 1);
                    metrics.closed(room.open.get());
                    backend.set_connections(room.open.get() as u64);
                    room.freed.notify();
                });
            }
        })
    };
    stop.wait().await;
    accepting.cancel().await;
    connections.idle().await;
}

#[derive(Clone)]
struct Room {
    open: Rc<Cell<usize>>,
    freed: Rc<runtime::LocalNotify>,
    /// Bytes of bodies that are being gathered.
    bodies: Rc<Cell<usize>>,
}

/// A body's share of what may be gathered; given back when dropped.
struct Share<'a> {
    bodies: &'a Cell<usize>,
    bytes: usize,
}

impl<'a> Share<'a> {
    fn of(room: &'a Room) -> Self {
        Self { bodies: &room.bodies, bytes: 0 }
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
