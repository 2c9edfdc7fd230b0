//! Where a coordinator takes workers' connections: TCP, on the address of its gossip.

use crate::greeting::{OPTIONS, check_version};
use base::{BootId, NodeId, StoreId, WorkerId};
use bytes::Bytes;
use engine::workers::{FromWorker, ToWorker, WorkerLink};
use rpc::{Channel, Refusals, answer_channel};
use runtime::{Listener, Stream, TaskSet, is_out_of_files, sleep};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use wire::{Hello, PEER_BYTES_MAX};

/// Connections at a time: as many as there may be workers (1,024), and each once more that has not been
/// seen to break yet.
const LINKS_MAX: usize = 2 * 1_024;
/// After an attempt to accept for which no file was left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who decides about workers.
pub trait Desk {
    /// A worker said something.
    fn on_message(&self, link: WorkerLink, message: FromWorker);
    /// A connection that has said something has ended.
    fn on_down(&self, link: WorkerLink);
    /// For the log: callers are refused.
    fn notice(&self, text: &str);
}

/// What the door says of its node.
#[derive(Clone, Debug)]
pub struct DoorIdentity {
    /// Which node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// This run of its process.
    pub boot: BootId,
    /// Its program and version.
    pub program: String,
}

/// A coordinator's door for workers.
#[derive(Clone)]
pub struct Door {
    inner: Rc<Inner>,
}

struct Inner {
    own: DoorIdentity,
    desk: Rc<dyn Desk>,
    cluster: Cell<Option<u64>>,
    next_link: Cell<u64>,
    channels: RefCell<BTreeMap<WorkerLink, Rc<Channel>>>,
    connections: Cell<usize>,
    /// What was said against callers.
    refusals: Refusals,
    tasks: TaskSet,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("links", &self.links()).finish_non_exhaustive()
    }
}

impl Door {
    /// A door that is shut.
    pub fn new(own: DoorIdentity, desk: Rc<dyn Desk>) -> Self {
        let inner = Inner {
            own,
            desk,
            cluster: Cell::new(None),
            next_link: Cell::new(1),
            channels: RefCell::new(BTreeMap::new()),
            connections: Cell::new(0),
            refusals: Refusals::new("workers"),
            tasks: TaskSet::new(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Opens it, for the workers of this cluster.
    pub fn open(&self, listener: Listener, cluster: u64) {
        self.inner.cluster.set(Some(cluster));
        let door = self.clone();
        self.inner.tasks.spawn(async move { door.accept_all(listener).await });
    }

    /// Says it, while that connection lives. One for which no more can be kept is ended.
    pub fn send(&self, link: WorkerLink, message: &ToWorker) {
        let Some(channel) = self.inner.channels.borrow().get(&link).cloned() else { return };
        let now = runtime::now().wall;
        if !channel.send(|out| message.encode(now, out)) {
            channel.end();
        }
    }

    /// How many workers are connected.
    pub fn links(&self) -> usize {
        self.inner.channels.borrow().len()
    }

    /// Ends every connection. To be called before the last handle is dropped.
    pub async fn close(&self) {
        self.inner.tasks.cancel_all().await;
        self.inner.channels.borrow_mut().clear();
    }

    async fn accept_all(&self, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(stream) if self.inner.connections.get() < LINKS_MAX => {
                    let door = self.clone();
                    self.inner.tasks.spawn(async move {
                        let _counted = Counted::new(&door);
                        let from = stream.peer();
                        if let Err(reason) = door.serve(stream).await {
                            door.say_against(from, reason);
                        }
                    });
                }
                Ok(stream) => {
                    self.say_against(stream.peer(), format!("{LINKS_MAX} are there already"));
                }
                Err(error) => {
                    if !is_out_of_files(&error) {
                        self.inner.desk.notice(&format!("workers cannot be accepted: {error}"));
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn say_against(&self, caller: SocketAddr, reason: String) {
        if let Some(text) = self.inner.refusals.notice(caller, reason) {
            self.inner.desk.notice(&text);
        }
    }

    async fn serve(&self, stream: Stream) -> Result<(), String> {
        let inner = &self.inner;
        let greeted = answer_channel(stream, OPTIONS).await;
        let mut introduced = greeted.map_err(|error| error.reason())?;
        let verdict = introduced
            .hello()
            .map_err(|error| error.to_string())
            .and_then(|hello| Ok((WorkerId(hello.node), inner.check(&hello)?)));
        let (greeted, cluster) = match verdict {
            Ok(greeted) => greeted,
            Err(reason) => {
                introduced.refuse(&reason).await;
                return Err(reason);
            }
        };
        let own = Hello {
            node: inner.own.node.0,
            program: &inner.own.program,
            payload_bytes_max: u32::try_from(PEER_BYTES_MAX).unwrap_or(u32::MAX),
            cluster,
            store: inner.own.store.0,
            boot: inner.own.boot.0,
            ..Hello::of(Hello::COORDINATOR)
        };
        introduced.answer(&own).await.map_err(|error| error.to_string())?;
        let link = WorkerLink(inner.next_link.get());
        inner.next_link.set(link.0 + 1);
        let (channel, mut driver) = introduced.open();
        inner.channels.borrow_mut().insert(link, channel);
        let mut linked = Linked { inner: Rc::clone(inner), link, has_spoken: false };
        // How it ends, the worker tells its own log.
        let _why = driver
            .run(|frame| {
                let payload = Bytes::copy_from_slice(frame.payload);
                let message = FromWorker::decode(frame.header.kind, &payload)
                    .map_err(|error| error.to_string())?;
                check_register(&message, greeted)?;
                linked.has_spoken = true;
                inner.desk.on_message(link, message);
                Ok(())
            })
            .await;
        Ok(())
    }
}

impl Inner {
    /// The cluster that both belong to.
    fn check(&self, theirs: &Hello<'_>) -> Result<u64, String> {
        check_version(theirs)?;
        let own = self.cluster.get().ok_or("this node belongs to no cluster yet")?;
        if !matches!(theirs.role, Hello::WORKER | Hello::BOTH) {
            return Err("this is an address for workers".to_owned());
        }
        if theirs.cluster != 0 && theirs.cluster != own {
            return Err(format!(
                "the worker belongs to cluster {:016x}, and this node to cluster {own:016x}",
                theirs.cluster
            ));
        }
        Ok(own)
    }
}

/// A worker registers as who it said that it was: what is told of one is another's otherwise.
fn check_register(message: &FromWorker, greeted: WorkerId) -> Result<(), String> {
    match message {
        FromWorker::Register { worker, .. } if *worker != greeted => {
            Err(format!("worker {greeted} registers as worker {worker}"))
        }
        _ => Ok(()),
    }
}

/// One connection in the table, for as long as it is served.
struct Linked {
    inner: Rc<Inner>,
    link: WorkerLink,
    has_spoken: bool,
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.inner.channels.borrow_mut().remove(&self.link);
        if self.has_spoken {
            self.inner.desk.on_down(self.link);
        }
    }
}

/// One of the connections, counted while it lives.
struct Counted(Rc<Inner>);

impl Counted {
    fn new(door: &Door) -> Self {
        let inner = Rc::clone(&door.inner);
        inner.connections.set(inner.connections.get() + 1);
        Self(inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}
