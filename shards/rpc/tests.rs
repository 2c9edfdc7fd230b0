//! Calls over real sockets. What is named here serves, calls, or speaks frames by hand.

mod calling;
mod channels;
mod faults;
mod retrying;
mod serving;

use crate::call::Service;
use crate::greeting::write_hello;
use crate::{
    Call, CallError, CallOptions, Ended, Identity, Peer, PeerInfo, PeerOptions, Reply, RpcMetrics,
    ServeOptions, Side, serve_connection,
};
use base::UnixMicros;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime::{Listener, LocalEvent, LocalNotify, Stream, TaskSet};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use telemetry::Registry;
use wire::{Decoder, ErrorReply, Flags, HEADER_BYTES, Head, Kind, Message as _, write_frame};

/// Longer than anything here takes, so that a fault is a failed test and no hung one.
const SOON: Duration = Duration::from_secs(20);

/// Large enough for every frame that is written by hand.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Runs a test, which must end soon.
fn run(test: impl Future<Output = ()>) {
    runtime::block_on(async { runtime::timeout(SOON, test).await.expect("the test ends soon") });
}

/// A server of one service.
struct Door {
    address: SocketAddr,
    registry: Registry,
    stop: LocalEvent,
    accepting: TaskSet,
    connections: Rc<TaskSet>,
    ended: Rc<RefCell<Vec<Ended>>>,
    changed: LocalNotify,
}

impl Door {
    fn open<S: Service>(service: S, options: ServeOptions) -> Self {
        Self::open_at(loopback(), service, options)
    }

    fn open_at<S: Service>(address: SocketAddr, service: S, options: ServeOptions) -> Self {
        let listener = Listener::bind(address).unwrap();
        let door = Self {
            address: listener.address(),
            registry: Registry::new(),
            stop: LocalEvent::new(),
            accepting: TaskSet::new(),
            connections: Rc::default(),
            ended: Rc::default(),
            changed: LocalNotify::new(),
        };
        let metrics = RpcMetrics::new(&door.registry, Side::Server, &[]);
        let shared = Rc::new((service, options, metrics, door.stop.clone()));
        let (connections, ended) = (Rc::clone(&door.connections), Rc::clone(&door.ended));
        let changed = door.changed.clone();
        door.accepting.spawn(async move {
            loop {
                let stream = listener.accept().await.unwrap();
                let (shared, ended, changed) =
                    (Rc::clone(&shared), Rc::clone(&ended), changed.clone());
                connections.spawn(async move {
                    let (service, options, metrics, stop) = &*shared;
                    let end = serve_connection(stream, service, options, metrics, stop).await;
                    ended.borrow_mut().push(end);
                    changed.notify();
                });
            }
        });
        door
    }

    /// How the first connections ended, once so many have.
    async fn ended(&self, count: usize) -> Vec<Ended> {
        while self.ended.borrow().len() < count {
            self.changed.notified().await;
        }
        self.ended.borrow().clone()
    }

    async fn close(self) {
        self.accepting.cancel_all().await;
        self.stop.set();
        self.connections.idle().await;
    }

    fn count(&self, family: &str, labels: &[(&str, &str)]) -> u64 {
        count(&self.registry, family, labels)
    }
}

/// The sum of the counters of a family that have these labels; of a histogram, its observations.
fn count(registry: &Registry, family: &str, labels: &[(&str, &str)]) -> u64 {
    let snapshot = registry.snapshot();
    let samples = snapshot.samples().iter().filter(|sample| {
        let has = |(label, value): &(&str, &str)| {
            sample.labels().iter().any(|(name, text)| name == label && text == value)
        };
        sample.name() == family && labels.iter().all(has)
    });
    samples
        .map(|sample| match sample.value() {
            telemetry::Value::Count(count) => *count,
            telemetry::Value::Buckets { buckets, .. } => buckets.iter().sum(),
            telemetry::Value::Level(level) => format!("{level}").parse().unwrap(),
            other @ telemetry::Value::Quantiles { .. } => panic!("{other:?} is not counted here"),
        })
        .sum()
}

/// Answers at once with what it got.
struct Echo;

impl Service for Echo {
    fn on_call(&self, call: Call<'_>, reply: Reply) {
        match call.kind {
            Kind::QUERY => {
                reply.send(Kind::QUERY_RESULT, |out| out.extend_from_slice(call.payload));
            }
            _ => reply.fail_unknown(),
        }
    }
}

/// A call's payload, and the way to answer it.
type Kept = (Vec<u8>, Reply);

/// Answers queries at once, and keeps submits until the test answers them.
#[derive(Clone, Default)]
struct Held {
    kept: Rc<RefCell<Vec<Kept>>>,
    came: LocalNotify,
    peers: Rc<RefCell<Vec<PeerInfo>>>,
}

impl Held {
    /// Waits until so many are kept.
    async fn wait(&self, count: usize) {
        while self.kept.borrow().len() < count {
            self.came.notified().await;
        }
    }

    fn take(&self, index: usize) -> Kept {
        self.kept.borrow_mut().remove(index)
    }
}

impl Service for Held {
    fn on_call(&self, call: Call<'_>, reply: Reply) {
        if call.kind == Kind::SUBMIT {
            self.kept.borrow_mut().push((call.payload.to_vec(), reply));
            self.peers.borrow_mut().push(call.peer.clone());
            self.came.notify();
        } else {
            Echo.on_call(call, reply);
        }
    }
}

fn answer(reply: Reply, payload: &[u8]) {
    reply.send(Kind::RESPONSE, |out| out.extend_from_slice(payload));
}

fn identity(program: &str) -> Identity {
    Identity { node: 7, role: 1, features: 5, program: program.into() }
}

/// A caller, and what it counts.
fn peer(address: SocketAddr, options: PeerOptions) -> (Peer, Registry) {
    let registry = Registry::new();
    let metrics = RpcMetrics::new(&registry, Side::Client, &[Kind::QUERY]);
    (Peer::new(address, identity("caller"), options, &metrics), registry)
}

fn once() -> CallOptions {
    CallOptions::once(SOON)
}

fn idempotent() -> CallOptions {
    CallOptions::idempotent(SOON)
}

/// A call with this payload; its answer's.
async fn call(
    peer: &Peer,
    kind: Kind,
    options: CallOptions,
    payload: &[u8],
) -> Result<Vec<u8>, CallError> {
    let write = |out: &mut Vec<u8>| out.extend_from_slice(payload);
    peer.call(kind, &options, write, |answer| answer.payload.to_vec()).await
}

async fn query(peer: &Peer, payload: &[u8]) -> Result<Vec<u8>, CallError> {
    call(peer, Kind::QUERY, once(), payload).await
}

async fn submit(peer: &Peer, payload: &[u8]) -> Result<Vec<u8>, CallError> {
    call(peer, Kind::SUBMIT, once(), payload).await
}

/// A frame that was received by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    kind: Kind,
    flags: Flags,
    call: u64,
    payload: Vec<u8>,
}

impl Received {
    /// The error that it must be: about which call, and its word.
    fn error(&self) -> (u64, String, String) {
        assert_eq!(self.kind, Kind::ERROR, "{self:?}");
        let error = ErrorReply::decode(&self.payload).unwrap();
        (self.call, error.code.to_owned(), error.detail.to_owned())
    }
}

fn frame(kind: Kind, flags: Flags, call: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let head = Head { kind, flags, call, sent_at: UnixMicros(1), trace: None };
    write_frame(&mut out, &head, |out| out.extend_from_slice(payload));
    out
}

/// One end of a connection whose frames are written and read by hand.
struct Hand {
    stream: Stream,
    decoder: Decoder,
}

impl Hand {
    fn new(stream: Stream) -> Self {
        Self { stream, decoder: Decoder::new(PAYLOAD_BYTES_MAX) }
    }

    /// Connects and is greeted.
    async fn client(address: SocketAddr) -> Self {
        let mut hand = Self::new(Stream::connect(address, SOON).await.unwrap());
        hand.send(&hello(Flags::NONE, PAYLOAD_BYTES_MAX)).await;
        let hello = hand.receive().await.unwrap();
        assert_eq!((hello.kind, hello.flags), (Kind::HELLO, Flags::RESPONSE));
        hand
    }

    /// Accepts and greets.
    async fn server(listener: &Listener) -> Self {
        let mut hand = Self::new(listener.accept().await.unwrap());
        let came = hand.receive().await.unwrap();
        assert_eq!((came.kind, came.flags), (Kind::HELLO, Flags::NONE));
        hand.send(&hello(Flags::RESPONSE, PAYLOAD_BYTES_MAX)).await;
        hand
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn answer(&mut self, call: &Received, payload: &[u8]) {
        self.send(&frame(Kind::RESPONSE, Flags::RESPONSE, call.call, payload)).await;
    }

    /// The next frame; nothing when the peer has closed, in whichever way.
    async fn receive(&mut self) -> Option<Received> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                let header = frame.header;
                let (kind, flags, call) = (header.kind, header.flags, header.call);
                return Some(Received { kind, flags, call, payload: frame.payload.to_vec() });
            }
            match self.stream.read(self.decoder.space()).await {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => self.decoder.filled(bytes),
            }
        }
    }
}

fn hello(flags: Flags, payload_bytes_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_hello(&mut out, &identity("hand"), flags, 0, UnixMicros(1), payload_bytes_max, 100);
    out
}

/// Both ends' futures, to the end of both.
async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    futures_lite::future::zip(first, second).await
}

/// So many calls at once, each with its number as payload.
async fn many(peer: &Peer, count: u32, options: CallOptions) -> Vec<Result<Vec<u8>, CallError>> {
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    let left = Rc::new(Cell::new(count));
    let tasks = TaskSet::new();
    for number in 0..count {
        let (peer, outcomes, left) = (peer.clone(), Rc::clone(&outcomes), Rc::clone(&left));
        tasks.spawn(async move {
            let outcome = call(&peer, Kind::QUERY, options, &number.to_be_bytes()).await;
            outcomes.borrow_mut().push(outcome);
            left.set(left.get() - 1);
        });
    }
    tasks.idle().await;
    assert_eq!(left.get(), 0);
    outcomes.take()
}
