//! Many connections, and every way in which one can end.

use super::*;
use crate::trouble::raise_open_files;
use crate::{TaskSet, block_on, offload, spawn_local};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::rc::Rc;

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Tells a process that it plays the other part of a test, and with whom.
const OTHER_PART: &str = "DISTRIC_RUNTIME_TEST_OTHER_PART";

/// Beside the connections a process has files of its own.
const OTHER_FILES: u64 = 500;

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// This very program with this one test, as a process of its own.
fn other_part(test: &str, with: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("net::scenarios::{test}"), "--nocapture"])
        .env(OTHER_PART, with)
        .spawn()
        .unwrap()
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = timer::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// What was dropped is closed by the ring, a little later.
async fn only_the_listener_is_open(listener: &Listener) {
    within("every descriptor is closed", async {
        while tests::descriptors_of(listener.address().port()) > 1 {
            timer::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

const CONNECTIONS: usize = 10_000;

/// What each connection says: its own number.
const WORD_BYTES: usize = 8;

#[test]
fn ten_thousand_open_connections_each_get_their_own_words_back() {
    if let Ok(address) = std::env::var(OTHER_PART) {
        return be_ten_thousand_clients(address.parse().unwrap());
    }
    let files_max = raise_open_files().unwrap();
    if files_max < CONNECTIONS as u64 + OTHER_FILES {
        println!("skipped: {CONNECTIONS} connections, and this user may open {files_max} files");
        return;
    }
    block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        let mut clients = other_part(
            "ten_thousand_open_connections_each_get_their_own_words_back",
            &listener.address().to_string(),
        );
        let open = TaskSet::new();
        for _ in 0..CONNECTIONS {
            let stream = within("all connect", listener.accept()).await.unwrap();
            open.spawn(echo(stream));
        }
        assert_eq!(open.len(), CONNECTIONS, "no client closes before all were answered");
        within("all close", open.idle()).await;
        let ended = offload(move || clients.wait().unwrap()).unwrap().await;
        assert!(ended.success());
        only_the_listener_is_open(&listener).await;
    });
}

/// Sends back what comes until the other side has closed.
async fn echo(mut stream: Stream) {
    let mut word = [0; WORD_BYTES];
    loop {
        match stream.read(&mut word).await.unwrap() {
            0 => return,
            bytes => stream.write_all(&word[..bytes]).await.unwrap(),
        }
    }
}

/// The other process: opens all, says something on each, and only then looks for the answers.
fn be_ten_thousand_clients(address: SocketAddr) {
    raise_open_files().unwrap();
    let mut all: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    for round in 0..2_u64 {
        let word = |number: usize| (number as u64 * 2 + round).to_be_bytes();
        for (number, stream) in all.iter_mut().enumerate() {
            stream.write_all(&word(number)).unwrap();
        }
        for (number, stream) in all.iter_mut().enumerate() {
            let mut answer = [0; WORD_BYTES];
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, word(number), "connection {number}, round {round}");
        }
    }
}

#[test]
fn a_thousand_short_connections_lose_no_answer_and_leak_no_descriptor() {
    const AT_ONCE: u64 = 20;
    const EACH: u64 = 50;
    block_on(async {
        let listener = Rc::new(Listener::bind(loopback()).unwrap());
        let address = listener.address();
        let serving = spawn_local({
            let listener = Rc::clone(&listener);
            async move {
                let open = TaskSet::new();
                for _ in 0..AT_ONCE * EACH {
                    let mut stream = listener.accept().await.unwrap();
                    open.spawn(async move {
                        let mut number = [0; WORD_BYTES];
                        stream.read_exact(&mut number).await.unwrap();
                        // The answer is the last thing done: the connection is dropped with it.
                        number.reverse();
                        stream.write_all(&number).await.unwrap();
                    });
                }
                open.idle().await;
            }
        });
        let clients = TaskSet::new();
        let answered = Rc::new(Cell::new(0));
        for client in 0..AT_ONCE {
            let answered = Rc::clone(&answered);
            clients.spawn(async move {
                for number in 0..EACH {
                    let mut stream = Stream::connect(address, PATIENCE).await.unwrap();
                    let mut word = (client * EACH + number).to_be_bytes();
                    stream.write_all(&word).await.unwrap();
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).await.unwrap();
                    word.reverse();
                    assert_eq!(answer, word);
                    answered.set(answered.get() + 1);
                }
            });
        }
        within("all are answered", clients.idle()).await;
        within("all are served", serving).await;
        assert_eq!(answered.get(), AT_ONCE * EACH);
        only_the_listener_is_open(&listener).await;
    });
}

/// A connection of ours, and its other end as a plain socket.
async fn with_plain_peer() -> (Stream, TcpStream) {
    let listener = Listener::bind(loopback()).unwrap();
    let peer = TcpStream::connect(listener.address()).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (listener.accept().await.unwrap(), peer)
}

#[test]
fn an_answer_written_just_before_the_end_arrives_whole() {
    // Few enough for the kernel to hold them without a reader.
    let answer: Vec<u8> = (0..48 * 1024_u32).map(|at| at.to_be_bytes()[3]).collect();
    block_on(async {
        for orderly in [true, false] {
            let (mut ours, mut peer) = with_plain_peer().await;
            peer.write_all(b"question").unwrap();
            ours.read_exact(&mut [0; 8]).await.unwrap();
            ours.write_all(&answer).await.unwrap();
            if orderly {
                ours.close().await.unwrap();
            }
            drop(ours);
            // Read by another thread: this end is closed by now, or about to be.
            let read = offload(move || {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).map(|_| all)
            });
            assert!(read.unwrap().await.unwrap() == answer, "orderly: {orderly}");
        }
    });
}

#[test]
fn a_peer_that_closes_its_half_still_gets_its_answer() {
    let answer = vec![7; 1024 * 1024];
    block_on(async {
        let (mut ours, mut peer) = with_plain_peer().await;
        peer.write_all(b"all of the question").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut question = Vec::new();
        within("the end of the question", ours.read_to_end(&mut question)).await.unwrap();
        assert_eq!(question, b"all of the question");
        let reading = offload(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all)
        });
        ours.write_all_within(&answer, PATIENCE).await.unwrap();
        ours.close().await.unwrap();
        assert!(reading.unwrap().await.unwrap() == answer);
    });
}

#[test]
fn our_own_closed_half_still_receives() {
    block_on(async {
        let (mut ours, mut peer) = with_plain_peer().await;
        ours.close().await.unwrap();
        assert_eq!(ours.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        peer.write_all(b"late").unwrap();
        drop(peer);
        let mut late = Vec::new();
        within("what comes late", ours.read_to_end(&mut late)).await.unwrap();
        assert_eq!(late, b"late");
    });
}

#[test]
fn a_reset_ends_a_write_and_a_read_that_wait_with_an_error_that_says_so() {
    block_on(async {
        // More than any two buffers hold: the write waits when the reset comes.
        let (mut ours, peer) = with_plain_peer().await;
        let written = Rc::new(Cell::new(false));
        let writing = spawn_local({
            let written = Rc::clone(&written);
            async move {
                let endless = vec![0; 64 * 1024 * 1024];
                let result = ours.write_all(&endless).await;
                written.set(true);
                result
            }
        });
        assert!(!written.get(), "no buffer is as large");
        reset(peer);
        let error = within("the write ends", writing).await.unwrap_err();
        let expected = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(expected.contains(&error.kind()), "{error:?}");

        let (mut ours, peer) = with_plain_peer().await;
        let reading = spawn_local(async move { ours.read_within(&mut [0; 1], PATIENCE).await });
        reset(peer);
        let error = within("the read ends", reading).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error:?}");
    });
}

/// Closes a connection with a reset in the place of an end.
fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

#[test]
fn a_reader_that_stands_still_is_cut_off_and_costs_no_more_than_the_kernels_buffers() {
    const CHUNK_BYTES: usize = 64 * 1024;
    block_on(async {
        let (mut ours, mut peer) = with_plain_peer().await;
        // The largest that the kernel lets the two buffers of one connection grow.
        let max = |name: &str| {
            let path = format!("/proc/sys/net/ipv4/{name}");
            let text = std::fs::read_to_string(path).unwrap();
            text.split_whitespace().nth(2).unwrap().parse::<usize>().unwrap()
        };
        let buffers_max = max("tcp_wmem") + max("tcp_rmem");
        let chunk = vec![7; CHUNK_BYTES];
        let mut taken = 0;
        let error = loop {
            match ours.write_all_within(&chunk, Duration::from_millis(20)).await {
                Ok(()) => taken += CHUNK_BYTES,
                Err(error) => break error,
            }
            assert!(taken <= buffers_max, "{taken} bytes taken and none read");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("20ms"), "{error}");
        ours.abort().unwrap();
        drop(ours);
        // The reader, when it moves at last, finds whole bytes and then the end.
        let read = offload(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all)
        });
        match within("the reader", read.unwrap()).await {
            Ok(all) => assert!(all.len() >= taken && all.iter().all(|byte| *byte == 7)),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn without_files_a_connection_waits_and_is_accepted_when_there_is_one_again() {
    const NAME: &str = "without_files_a_connection_waits_and_is_accepted_when_there_is_one_again";
    // The limit is the process's: other tests must not meet it.
    if std::env::var(OTHER_PART).is_err() {
        assert!(other_part(NAME, "itself").wait().unwrap().success());
        return;
    }
    block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        // glommio's rings, the listener and the clients' ends are open already.
        let mut clients: Vec<_> =
            (0..3).map(|_| TcpStream::connect(listener.address()).unwrap()).collect();
        let before = getrlimit(Resource::Nofile);
        let limit = |current| setrlimit(Resource::Nofile, Rlimit { current, ..before });
        let spare = std::fs::File::open("/dev/null").unwrap();
        // The lowest number that is free is the next one that a socket would get.
        let next = lowest_free_descriptor();
        limit(Some(next + 1)).unwrap();
        let mut kept = vec![listener.accept().await.unwrap()];
        for _ in 0..2 {
            let error = listener.accept().await.unwrap_err();
            assert!(is_out_of_files(&error), "{error}");
        }
        drop(spare);
        kept.push(within("one more", listener.accept()).await.unwrap());
        assert!(is_out_of_files(&listener.accept().await.unwrap_err()));
        limit(before.current).unwrap();
        kept.push(within("the last", listener.accept()).await.unwrap());
        // Whoever waited was not forgotten: each is served, in the order of coming.
        for (client, stream) in clients.iter_mut().zip(&mut kept) {
            assert_eq!(stream.peer(), client.local_addr().unwrap());
            client.write_all(b"here").unwrap();
            let mut word = [0; 4];
            within("a word", stream.read_exact(&mut word)).await.unwrap();
            assert_eq!(&word, b"here");
        }
    });
}

fn lowest_free_descriptor() -> u64 {
    use std::os::fd::AsRawFd as _;
    let file = std::fs::File::open("/dev/null").unwrap();
    u64::try_from(file.as_raw_fd()).unwrap()
}
