//! A door: accepts connections up to its limit, and counts them.

use crate::{Backend, Doors};
use runtime::{
    Listener, LocalEvent, LocalNotify, Stream, TaskSet, is_out_of_files, sleep, spawn_local,
};
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use telemetry::{Registry, families};

/// The pause after the process ran out of file descriptors: some connection must close first.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);

/// One door of a core. Clones are the same.
#[derive(Clone)]
pub(crate) struct Gate<B> {
    /// For what is counted: the protocol that is spoken here.
    protocol: &'static str,
    connections_max: usize,
    /// Connections that are open here.
    open: Rc<Cell<usize>>,
    freed: Rc<LocalNotify>,
    /// And at all doors.
    all: Rc<Cell<usize>>,
    registry: Registry,
    backend: B,
}

impl<B: Backend> Gate<B> {
    pub(crate) fn new(doors: &Doors<B>, protocol: &'static str, connections_max: usize) -> Self {
        Self {
            protocol,
            connections_max,
            open: Rc::default(),
            freed: Rc::default(),
            all: Rc::clone(&doors.open),
            registry: doors.registry.clone(),
            backend: doors.backend.clone(),
        }
    }

    /// Hands every connection to `serve`, until `stop` happens and all of them have ended.
    pub(crate) async fn serve<F>(
        self,
        listener: Listener,
        stop: &LocalEvent,
        serve: impl Fn(Stream) -> F + 'static,
    ) where
        F: Future<Output = ()> + 'static,
    {
        let connections = Rc::new(TaskSet::new());
        let accepting = {
            let connections = Rc::clone(&connections);
            spawn_local(async move {
                loop {
                    let Some(stream) = self.next(&listener).await else { continue };
                    let (gate, serving) = (self.clone(), serve(stream));
                    gate.count(1);
                    connections.spawn(async move {
                        serving.await;
                        gate.count(-1);
                        gate.freed.notify();
                    });
                }
            })
        };
        stop.wait().await;
        accepting.cancel().await;
        connections.idle().await;
    }

    /// The next connection, when there is room for it; none when it could not be accepted.
    async fn next(&self, listener: &Listener) -> Option<Stream> {
        while self.open.get() >= self.connections_max {
            self.freed.notified().await;
        }
        match listener.accept().await {
            Ok(stream) => Some(stream),
            Err(error) => {
                let out_of_files = is_out_of_files(&error);
                let why = if out_of_files { "out_of_files" } else { "accept" };
                let labels = [("error_type", why), ("protocol", self.protocol)];
                self.registry.counter(&families::TCP_ERRORS, &labels).increment();
                if out_of_files {
                    sleep(OUT_OF_FILES_PAUSE).await;
                }
                None
            }
        }
    }

    /// One connection more or less.
    fn count(&self, change: isize) {
        for count in [&self.open, &self.all] {
            let changed = count.get().checked_add_signed(change);
            count.set(changed.expect("a connection closes once"));
        }
        self.backend.set_connections(self.all.get() as u64);
    }
}
