use super::*;
use crate::{block_on, spawn_local};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

const SOON: Duration = Duration::from_secs(10);

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A listener on a free port, and one connection to it.
async fn connected() -> (Listener, Stream, Stream) {
    let listener = Listener::bind(loopback()).unwrap();
    let (client, server) =
        futures_lite::future::zip(Stream::connect(listener.address(), SOON), listener.accept())
            .await;
    (listener, client.unwrap(), server.unwrap())
}

#[test]
fn bytes_go_both_ways_without_delay() {
    block_on(async {
        let (_listener, mut client, mut server) = connected().await;
        assert!(client.nodelay().unwrap() && server.nodelay().unwrap());
        assert_eq!(client.peer(), server.local_address().unwrap());
        assert_eq!(server.peer(), client.local_address().unwrap());

        client.write_all(b"question").await.unwrap();
        let mut text = [0; 8];
        server.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"question");
        server.write_all_within(b"answer", SOON).await.unwrap();
        server.close().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
    });
}

#[test]
fn sockets_are_closed_on_exec() {
    block_on(async {
        let (listener, client, server) = connected().await;
        assert!(closes_on_exec(listener.socket.as_raw_fd()));
        assert!(closes_on_exec(client.socket.as_raw_fd()));
        assert!(closes_on_exec(server.socket.as_raw_fd()));
    });
}

fn closes_on_exec(descriptor: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 != 0
}

#[test]
fn closing_towards_a_peer_that_has_left_is_no_error() {
    block_on(async {
        let (_listener, client, mut server) = connected().await;
        client.abort().unwrap();
        drop(client);
        let mut nothing = [0; 1];
        // Either the end or a reset: both say that the peer is gone.
        let _ = server.read_within(&mut nothing, SOON).await;
        server.close().await.unwrap();
        server.close().await.unwrap();
        server.abort().unwrap();
    });
}

#[test]
fn a_read_without_an_answer_and_a_write_without_a_reader_time_out() {
    block_on(async {
        let (_listener, mut client, server) = connected().await;
        let brief = Duration::from_millis(2);
        let error = client.read_within(&mut [0; 1], brief).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let too_much = vec![0; 64 * 1024 * 1024];
        let error = client.write_all_within(&too_much, brief).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(server);
    });
}

#[test]
fn several_listeners_share_a_port_and_one_that_ends_frees_it_at_once() {
    block_on(async {
        let port = probe_port(loopback()).unwrap();
        let first = Listener::bind(port.address()).unwrap();
        let second = Listener::bind(port.address()).unwrap();
        assert_eq!(first.address(), second.address());
        drop(second);
        // A connection that the listener's side closes first stays in TIME_WAIT.
        let (client, server) =
            futures_lite::future::zip(Stream::connect(first.address(), SOON), first.accept()).await;
        drop(server.unwrap());
        let mut client = client.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        drop((client, first));
        let address = port.address();
        drop(port);
        let again = probe_port(address).unwrap();
        drop(Listener::bind(again.address()).unwrap());
    });
}

#[test]
fn a_port_of_another_program_is_noticed_although_it_would_be_shared() {
    let other = std::net::TcpListener::bind(loopback()).unwrap();
    let address = other.local_addr().unwrap();
    let error = probe_port(address).unwrap_err();
    assert!(matches!(error, PortError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another program"), "{error}");

    let shared = bound_socket(loopback(), true).unwrap();
    shared.listen(1).unwrap();
    let address = local_address(&shared).unwrap();
    assert!(matches!(probe_port(address).unwrap_err(), PortError::InUse { .. }));
    block_on(async { drop(Listener::bind(address).expect("a bind alone would not have noticed")) });
}

#[test]
fn a_port_that_becomes_free_a_moment_later_is_taken() {
    let last = std::net::TcpListener::bind(loopback()).unwrap();
    let address = last.local_addr().unwrap();
    let probing = std::thread::spawn(move || probe_port(address).map(|port| port.address()));
    drop(last);
    assert_eq!(probing.join().unwrap().unwrap(), address);
}

#[test]
fn a_probed_port_is_kept_from_others_and_free_for_us() {
    let port = probe_port(loopback()).unwrap();
    assert_ne!(port.address().port(), 0);
    assert!(std::net::TcpListener::bind(port.address()).is_err());
    block_on(async {
        let listener = Listener::bind(port.address()).unwrap();
        // The kept socket does not listen: every connection comes to the listener.
        for _ in 0..20 {
            let client = TcpStream::connect(listener.address()).unwrap();
            let server = listener.accept().await.unwrap();
            assert_eq!(server.peer(), client.local_addr().unwrap());
        }
    });
}

#[test]
fn an_address_of_another_machine_is_refused_in_words() {
    let error = probe_port(SocketAddr::from(([192, 0, 2, 1], 0))).unwrap_err();
    assert_eq!(error.to_string(), "192.0.2.1:0 is not an address of this machine");
}

#[test]
fn connecting_to_nobody_is_refused_and_to_a_silent_host_times_out() {
    block_on(async {
        let port = probe_port(loopback()).unwrap();
        let error = Stream::connect(port.address(), SOON).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

        // A listener whose queue is full answers no further handshake.
        let full = bound_socket(loopback(), true).unwrap();
        full.listen(0).unwrap();
        let address = local_address(&full).unwrap();
        let _queued = TcpStream::connect(address).unwrap();
        let error = loop {
            match Stream::connect(address, Duration::from_millis(20)).await {
                Ok(stream) => drop(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_wait_for_connections_that_is_given_up_loses_none() {
    block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        for _ in 0..10 {
            let brief = Duration::from_micros(100);
            assert!(timer::timeout(brief, listener.accept()).await.is_err());
        }
        let client = TcpStream::connect(listener.address()).unwrap();
        let server = timer::timeout(SOON, listener.accept()).await.unwrap().unwrap();
        assert_eq!(server.peer(), client.local_addr().unwrap());
    });
}

/// Descriptors of this process that are sockets with `port` at their own end or the other one.
pub(super) fn descriptors_of(port: u16) -> usize {
    let suffix = format!(":{port:04X}");
    let sockets: BTreeSet<String> = std::fs::read_to_string("/proc/self/net/tcp")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[1].ends_with(&suffix) || fields[2].ends_with(&suffix))
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
        .count()
}

#[test]
fn churn_leaves_no_descriptor_open() {
    block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        let address = listener.address();
        let clients = spawn_local(async move {
            for _ in 0..500 {
                let mut client = Stream::connect(address, SOON).await.unwrap();
                client.write_all(b"x").await.unwrap();
                client.close().await.unwrap();
            }
        });
        for _ in 0..500 {
            let mut server = listener.accept().await.unwrap();
            let mut all = Vec::new();
            server.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, b"x");
        }
        clients.await;
        assert_eq!(descriptors_of(address.port()), 1, "the listener's own");
    });
}
