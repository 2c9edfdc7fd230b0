//! Calls over one loopback connection: how many a second when many are in flight, and how long one
//! takes when they follow each other. Beside the latter, in the same run, the same bytes between two
//! threads on plain blocking sockets: what no design over TCP can save.
//!
//! Server and client have a core each. Wall time on a shared machine is noise: look at the CPU time
//! per call, and at the ratio to the blocking sockets.
//!
//! `cargo bench --bench rpc`

use rpc::{
    Call, CallOptions, Identity, Peer, PeerOptions, PoolOptions, Reply, RpcMetrics, ServeOptions,
    Service, Side, serve_connection,
};
use runtime::{CoreContext, CoreFailure, Listener, LocalEvent, Placement, Shutdown, TaskSet};
use rustix::process::Pid;
use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use telemetry::Registry;
use wire::{HEADER_BYTES, Kind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a call and its answer carry. Unit: bytes.
const PAYLOAD: [u8; 64] = [b'x'; 64];

const IN_FLIGHT: [u32; 5] = [16, 64, 256, 1_024, 4_096];
const RUN: Duration = Duration::from_secs(3);
const SEQUENTIAL: usize = 50_000;
const PATIENCE: Duration = Duration::from_mins(1);

/// The CPU time that a thread of this process has had.
fn cpu(thread: Pid) -> Duration {
    let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("Linux tells");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number"))
}

/// Answers at once with what it got.
struct Echo;

impl Service for Echo {
    fn on_call(&self, call: Call<'_>, reply: Reply) {
        reply.send(Kind::QUERY_RESULT, |out| out.extend_from_slice(call.payload));
    }
}

type Body =
    Box<dyn FnOnce(CoreContext) -> Pin<Box<dyn Future<Output = Result<(), CoreFailure>>>> + Send>;

fn main() {
    let placement = Placement::everywhere().expect("the machine tells its CPUs");
    let cpus: Vec<usize> = placement.cores().map(|(_, cpu)| cpu).take(2).collect();
    println!(
        "{} CPUs, server and client on {cpus:?}, {} bytes each way",
        placement.len(),
        PAYLOAD.len()
    );
    let placement = runtime::CoreSpec::place_among(&"0-1".parse().expect("two cores"), &cpus);
    let shutdown = Shutdown::new();
    let (listening, server) = mpsc::channel();
    let serving: Body = Box::new(move |context| Box::pin(serve(context, listening)));
    let calling: Body = Box::new(move |context| {
        Box::pin(async move {
            context.ready();
            // The server's core comes up at the same time.
            let (address, thread) = server.recv().expect("the server listens");
            call(address, thread).await;
            context.shutdown().request("done");
            Ok(())
        })
    });
    let running =
        runtime::launch(&placement, &shutdown, vec![serving, calling]).expect("two cores");
    running.join().expect("both cores end well");
    blocking(&cpus);
}

async fn serve(
    context: CoreContext,
    listening: mpsc::Sender<(SocketAddr, Pid)>,
) -> Result<(), CoreFailure> {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    listening.send((listener.address(), gettid()))?;
    context.ready();
    let connections = TaskSet::new();
    let stop = LocalEvent::new();
    let accepting = TaskSet::new();
    let stopping = stop.clone();
    accepting.spawn(async move {
        let metrics = RpcMetrics::new(&Registry::new(), Side::Server, &[Kind::QUERY]);
        let options = Rc::new(ServeOptions::default());
        while let Ok(stream) = listener.accept().await {
            let (options, metrics, stop) = (Rc::clone(&options), metrics.clone(), stopping.clone());
            connections.spawn(async move {
                serve_connection(stream, &Echo, &options, &metrics, &stop).await;
            });
        }
    });
    context.stop().wait().await;
    accepting.cancel_all().await;
    Ok(())
}

async fn call(address: SocketAddr, server: Pid) {
    let metrics = RpcMetrics::new(&Registry::new(), Side::Client, &[Kind::QUERY]);
    let pool = PoolOptions { connections_max: 1, ..PoolOptions::default() };
    let options = PeerOptions { pool, ..PeerOptions::default() };
    let peer = Peer::new(address, Identity::default(), options, &metrics);
    echo(&peer).await;
    for in_flight in IN_FLIGHT {
        pipelined(&peer, in_flight, server).await;
    }
    sequential(&peer).await;
    peer.stop().await;
}

async fn echo(peer: &Peer) {
    let write = |out: &mut Vec<u8>| out.extend_from_slice(&PAYLOAD);
    let bytes = peer
        .call(Kind::QUERY, &CallOptions::once(PATIENCE), write, |answer| answer.payload.len())
        .await
        .expect("an echo");
    assert_eq!(bytes, PAYLOAD.len(), "the answer is the question");
}

async fn pipelined(peer: &Peer, in_flight: u32, server: Pid) {
    let tasks = TaskSet::new();
    let calls = Rc::new(Cell::new(0u32));
    let (began, before) = (Instant::now(), (cpu(server), cpu(gettid())));
    for _ in 0..in_flight {
        let (peer, calls) = (peer.clone(), Rc::clone(&calls));
        tasks.spawn(async move {
            while began.elapsed() < RUN {
                echo(&peer).await;
                calls.set(calls.get() + 1);
            }
        });
    }
    tasks.idle().await;
    let (took, calls) = (began.elapsed(), calls.get());
    let (server, client) =
        (cpu(server).saturating_sub(before.0), cpu(gettid()).saturating_sub(before.1));
    println!(
        "pipelined, {in_flight:>4} in flight: {:>9.0} calls/s; CPU per call: server {:>5} ns, client {:>5} ns",
        f64::from(calls) / took.as_secs_f64(),
        (server / calls).as_nanos(),
        (client / calls).as_nanos(),
    );
}

async fn sequential(peer: &Peer) {
    let mut times = Vec::with_capacity(SEQUENTIAL);
    for _ in 0..SEQUENTIAL {
        let began = Instant::now();
        echo(peer).await;
        times.push(began.elapsed());
    }
    report("sequential, rpc", times);
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |hundredths: usize| times[times.len() * hundredths / 100].as_nanos();
    println!("{name}: p50 {} ns, p99 {} ns", at(50), at(99));
}

/// As many bytes as a call and its answer have, between two threads that block.
fn blocking(cpus: &[usize]) {
    const BYTES: usize = HEADER_BYTES + PAYLOAD.len();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let server_cpu = cpus[0];
    let server = std::thread::spawn(move || {
        pin(server_cpu);
        let (mut stream, _) = listener.accept().expect("the client");
        stream.set_nodelay(true).expect("a socket's option");
        let mut bytes = [0; BYTES];
        while stream.read_exact(&mut bytes).is_ok() {
            stream.write_all(&bytes).expect("the client reads");
        }
    });
    pin(cpus[cpus.len() - 1]);
    let mut stream = TcpStream::connect(address).expect("the server");
    stream.set_nodelay(true).expect("a socket's option");
    let mut bytes = [b'x'; BYTES];
    let mut times = Vec::with_capacity(SEQUENTIAL);
    for _ in 0..SEQUENTIAL {
        let began = Instant::now();
        stream.write_all(&bytes).expect("the server reads");
        stream.read_exact(&mut bytes).expect("the server answers");
        times.push(began.elapsed());
    }
    drop(stream);
    server.join().expect("the server ends well");
    report("sequential, blocking sockets", times);
}

fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("the CPU is ours");
}
