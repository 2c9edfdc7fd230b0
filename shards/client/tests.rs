//! The whole client against a node that the test plays, over loopback.

use super::*;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;
use wire::{Decoder, ErrorReply, Flags, Head, Hello, Kind, Message, QueryResult};

/// One connection as a node sees it.
struct Peer {
    stream: TcpStream,
    decoder: Decoder,
}

/// A submit as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrived {
    call: u64,
    producer: u64,
    sequence: u64,
    bodies: Vec<String>,
}

fn hello(version: u8) -> Hello<'static> {
    Hello {
        version_min: version,
        version_max: version,
        node: 1,
        program: "a test",
        ..Hello::of(Hello::BOTH)
    }
}

impl Peer {
    /// Waits for a client, and reads its hello.
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        let mut peer = Self { stream, decoder: Decoder::new(1 << 21) };
        peer.next(|kind, _, payload| {
            assert_eq!(kind, Kind::HELLO);
            Hello::decode(payload).unwrap();
        });
        peer
    }

    /// Waits for a client, and greets it.
    fn greet(listener: &TcpListener) -> Self {
        let mut peer = Self::accept(listener);
        peer.say(0, &hello(1));
        peer
    }

    /// Waits for a frame. A client that closes instead is a test that failed.
    fn next<R>(&mut self, read: impl FnOnce(Kind, u64, &[u8]) -> R) -> R {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return read(frame.header.kind, frame.header.call, frame.payload);
            }
            let bytes = self.stream.read(self.decoder.space()).unwrap();
            assert!(bytes > 0, "the client has closed the connection");
            self.decoder.filled(bytes);
        }
    }

    fn submit(&mut self) -> Arrived {
        self.next(|kind, call, payload| {
            assert_eq!(kind, Kind::SUBMIT);
            let submit = wire::Submit::decode(payload).unwrap();
            let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
            let bodies = submit.messages.iter().map(text).collect();
            Arrived { call, producer: submit.producer, sequence: submit.sequence, bodies }
        })
    }

    fn say<'m, M: Message<'m>>(&mut self, call: u64, message: &M) {
        let mut bytes = Vec::new();
        let (kind, flags) = (M::KIND, Flags::RESPONSE);
        let head = Head { kind, flags, call, sent_at: base::UnixMicros(0), trace: None };
        wire::write_frame(&mut bytes, &head, |out| message.encode(out));
        self.stream.write_all(&bytes).unwrap();
    }

    /// Answers every message of a submit with its sequence as the id.
    fn answer(&mut self, arrived: &Arrived, outcome: Outcome) {
        let mut bytes = Vec::new();
        let (kind, flags, call) = (Kind::RESPONSE, Flags::RESPONSE, arrived.call);
        let head = Head { kind, flags, call, sent_at: base::UnixMicros(0), trace: None };
        let ids = arrived.sequence..arrived.sequence + arrived.bodies.len() as u64;
        let answers = ids.map(|id| match outcome {
            Outcome::Accepted => wire::Answer::Accepted { id, workflows: ["one", "two"] },
            Outcome::Duplicate => wire::Answer::Duplicate { id, workflows: ["one", "two"] },
        });
        wire::write_frame(&mut bytes, &head, |out| wire::write_submit_response(out, answers));
        self.stream.write_all(&bytes).unwrap();
    }

    /// Accepts whatever comes until the client leaves.
    fn serve(mut self) {
        loop {
            while let Some(frame) = self.decoder.next().unwrap() {
                assert_eq!(frame.header.kind, Kind::SUBMIT);
                let submit = wire::Submit::decode(frame.payload).unwrap();
                let bodies = vec![String::new(); submit.messages.len()];
                let (producer, sequence) = (submit.producer, submit.sequence);
                let call = frame.header.call;
                self.answer(&Arrived { call, producer, sequence, bodies }, Outcome::Accepted);
            }
            match self.stream.read(self.decoder.space()) {
                Ok(0) | Err(_) => return,
                Ok(bytes) => self.decoder.filled(bytes),
            }
        }
    }
}

/// A node that does what the test says, on a thread of its own.
fn node<R: Send + 'static>(
    script: impl FnOnce(&TcpListener) -> R + Send + 'static,
) -> (SocketAddr, JoinHandle<R>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || script(&listener)))
}

/// Options for tests: no pause is long.
fn options(addresses: &[SocketAddr]) -> Options {
    let backoff = BackoffOptions { first: Duration::from_millis(1), max: Duration::from_millis(5) };
    let addresses = addresses.iter().map(SocketAddr::to_string).collect();
    Options { addresses, backoff, ..Options::default() }
}

fn ids(results: Vec<Result<Submitted, ClientError>>) -> Vec<(u64, Outcome)> {
    results.into_iter().map(|result| result.map(|s| (s.id.0, s.outcome)).unwrap()).collect()
}

/// A channel by which a test tells its node to go on.
fn gate() -> (Sender<()>, Receiver<()>) {
    mpsc::channel()
}

#[test]
fn a_message_is_submitted_and_its_result_says_what_it_started() {
    let (address, node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        let arrived = peer.submit();
        peer.answer(&arrived, Outcome::Accepted);
        arrived
    });
    let client = Client::connect(Options { producer: Some(7), ..options(&[address]) }).unwrap();
    let submitted = client.submit(b"{\"n\":1}").unwrap().wait().unwrap();
    let workflows = vec!["one".to_owned(), "two".to_owned()];
    let expected = Submitted { id: base::MessageId(1), outcome: Outcome::Accepted, workflows };
    assert_eq!(submitted, expected);
    let arrived = node.join().unwrap();
    assert_eq!((arrived.producer, arrived.sequence), (7, 1));
    assert_eq!(arrived.bodies, ["{\"n\":1}"]);
}

#[test]
fn results_of_many_come_in_the_order_of_the_messages() {
    let (address, node) = node(|listener| Peer::greet(listener).serve());
    let client = Client::connect(options(&[address])).unwrap();
    let results = ids(client.submit_all((0..5_000).map(|n| n.to_string())));
    assert!(results.into_iter().eq((1..=5_000).map(|id| (id, Outcome::Accepted))));
    client.close();
    node.join().unwrap();
}

#[test]
fn several_threads_share_a_client() {
    let (address, node) = node(|listener| Peer::greet(listener).serve());
    let client = Client::connect(options(&[address])).unwrap();
    let mut all: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ids(client.submit_all((0..500).map(|n| n.to_string())))))
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).map(|(id, _)| id).collect()
    });
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=2_000), "each has its own result");
    drop(client);
    node.join().unwrap();
}

#[test]
fn a_connection_cut_within_a_batch_and_its_lost_answer_make_no_second_message() {
    let (address, node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        let first = peer.submit();
        peer.answer(&first, Outcome::Accepted);
        // The next ones are accepted, as it were, and their answer is lost half-way.
        let lost = peer.submit();
        let half = [0x44, 0x49, 0x53, 0x54, 1];
        peer.stream.write_all(&half).unwrap();
        drop(peer);
        let mut peer = Peer::greet(listener);
        let again = peer.submit();
        peer.answer(&again, Outcome::Duplicate);
        (first, lost, again)
    });
    // Only a full batch or a flush goes out, so that it is known which messages travel together.
    let linger = Duration::from_secs(20);
    let options = Options { batch_messages_max: 3, linger, ..options(&[address]) };
    let client = Client::connect(options).unwrap();
    let first = client.submit(b"a").unwrap();
    client.flush().unwrap();
    assert_eq!(ids(vec![first.wait()]), [(1, Outcome::Accepted)]);
    let rest = ids(client.submit_all(["b", "c", "d"]));
    let (first, lost, again) = node.join().unwrap();
    assert!(rest.iter().map(|(id, _)| *id).eq(2..=4));
    assert!(rest.iter().all(|(_, outcome)| *outcome == Outcome::Duplicate));
    assert_eq!((first.producer, 2), (again.producer, again.sequence));
    assert_eq!((again.sequence, &again.bodies), (lost.sequence, &lost.bodies));
    assert_eq!(again.bodies, ["b", "c", "d"]);
}

#[test]
fn an_overloaded_node_gets_the_same_again_a_little_later() {
    let (address, node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        let refused = peer.submit();
        let error = ErrorReply {
            code: "overloaded",
            detail: "too much",
            hint: "wait",
            retry_after_ms: 3,
            version: 0,
        };
        peer.say(refused.call, &error);
        let again = peer.submit();
        peer.answer(&again, Outcome::Accepted);
        (refused, again)
    });
    let client = Client::connect(options(&[address])).unwrap();
    assert_eq!(ids(client.submit_all(["a"])), [(1, Outcome::Accepted)]);
    let (refused, again) = node.join().unwrap();
    assert_ne!(refused.call, again.call);
    assert_eq!((refused.producer, refused.sequence), (again.producer, again.sequence));
}

#[test]
fn a_node_that_closes_at_once_is_passed_over_for_the_next() {
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = closing.local_addr().unwrap();
    let closer = thread::spawn(move || drop(closing.accept().unwrap()));
    let (second, node) = node(|listener| Peer::greet(listener).serve());
    let client = Client::connect(options(&[first, second])).unwrap();
    assert_eq!(ids(client.submit_all(["a"])), [(1, Outcome::Accepted)]);
    closer.join().unwrap();
    drop(client);
    node.join().unwrap();
}

#[test]
fn a_node_that_does_not_answer_is_left_and_what_it_was_sent_asked_again() {
    let (leave, left) = gate();
    let (slow, slow_node) = node(move |listener| {
        let mut peer = Peer::greet(listener);
        let arrived = peer.submit();
        // It keeps the connection, and says nothing.
        left.recv().unwrap();
        arrived
    });
    let (quick, quick_node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        let arrived = peer.submit();
        peer.answer(&arrived, Outcome::Duplicate);
        arrived
    });
    let answer_timeout = Duration::from_millis(50);
    let options = Options { answer_timeout, ..options(&[slow, quick]) };
    let client = Client::connect(options).unwrap();
    assert_eq!(ids(client.submit_all(["a"])), [(1, Outcome::Duplicate)]);
    leave.send(()).unwrap();
    let (first, second) = (slow_node.join().unwrap(), quick_node.join().unwrap());
    assert_eq!((first.producer, first.sequence), (second.producer, second.sequence));
}

#[test]
fn what_nobody_answers_is_unknown_when_its_time_is_over() {
    let (address, node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        peer.submit();
        // Until the client leaves.
        let bytes = peer.stream.read(&mut [0; 1]);
        assert_eq!(bytes.unwrap(), 0);
    });
    let give_up_after = Duration::from_millis(50);
    let client = Client::connect(Options { give_up_after, ..options(&[address]) }).unwrap();
    let error = client.submit(b"{}").unwrap().wait().unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    assert!(matches!(error, ClientError::Unknown { sequence: 1, attempts: 1, .. }), "{error}");
    client.close();
    node.join().unwrap();
}

#[test]
fn another_version_and_a_refused_hello_are_told_as_what_they_are() {
    type Say = fn(&mut Peer);
    let refuse: Say = |peer| {
        let error = ErrorReply {
            code: "overloaded",
            detail: "1024 connections are open",
            hint: "wait",
            retry_after_ms: 0,
            version: 0,
        };
        peer.say(0, &error);
    };
    let rows: [(Say, &str); 3] = [
        (|peer| peer.say(0, &hello(9)), "versions 9 to 9 of the protocol, this client 1"),
        (refuse, "refused (overloaded): 1024 connections are open; wait"),
        (|peer| peer.stream.write_all(b"HTTP/1.1 400 x\r\n").unwrap(), "not the protocol"),
    ];
    for (say, expected) in rows {
        let (address, node) = node(move |listener| say(&mut Peer::accept(listener)));
        let error = Client::connect(options(&[address])).unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains(expected), "{text}");
        node.join().unwrap();
    }
}

#[test]
fn without_a_node_connecting_says_so_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::connect(options(&[free])).unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    let nowhere = Options::to("nowhere.invalid:1");
    let error = Client::connect(nowhere).unwrap_err().to_string();
    assert!(error.contains("cannot look the name up"), "{error}");
}

#[test]
fn a_query_goes_along_with_submits() {
    let (address, node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        let path = peer.next(|kind, call, payload| {
            assert_eq!(kind, Kind::QUERY);
            (call, wire::Query::decode(payload).unwrap().path.to_owned())
        });
        let body = b"{\"role\":\"leader\"}";
        peer.say(path.0, &QueryResult { status: 200, content_type: "application/json", body });
        path.1
    });
    let client = Client::connect(options(&[address])).unwrap();
    let answer = client.query("/api/v1/cluster/status").unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"role\":\"leader\"}"[..]));
    assert_eq!(answer.content_type, "application/json");
    assert_eq!(node.join().unwrap(), "/api/v1/cluster/status");
}

#[test]
fn a_flush_sends_what_lingers_and_waits_for_all_results() {
    let (address, node) = node(|listener| Peer::greet(listener).serve());
    let linger = Duration::from_secs(20);
    let client = Client::connect(Options { linger, ..options(&[address]) }).unwrap();
    let receipts: Vec<_> = (0..3).map(|_| client.submit(b"{}").unwrap()).collect();
    assert!(receipts.iter().all(|receipt| !receipt.is_done()));
    client.flush().unwrap();
    assert!(receipts.iter().all(Receipt::is_done));
    drop(client);
    node.join().unwrap();
}

#[test]
fn a_client_that_is_dropped_ends_at_once_and_says_what_became_of_everything() {
    let (address, node) = node(|listener| {
        let mut peer = Peer::greet(listener);
        peer.submit();
        peer
    });
    let options = Options { in_flight_max: 1, batch_messages_max: 1, ..options(&[address]) };
    let client = Client::connect(options).unwrap();
    let sent = client.submit(b"1").unwrap();
    let not_sent = client.submit(b"2").unwrap();
    let _peer = node.join().unwrap();
    drop(client);
    assert!(matches!(sent.wait(), Err(ClientError::Unknown { .. })));
    assert_eq!(not_sent.wait(), Err(ClientError::Closed));
}

#[test]
fn a_full_queue_holds_the_program_back_until_results_come() {
    let (address, node) = node(|listener| Peer::greet(listener).serve());
    let client = Client::connect(Options { queue_messages_max: 2, ..options(&[address]) }).unwrap();
    let results = ids(client.submit_all((0..100).map(|n| n.to_string())));
    assert!(results.into_iter().map(|(id, _)| id).eq(1..=100));
    drop(client);
    node.join().unwrap();
}

#[test]
fn a_message_that_is_too_large_is_refused_before_it_is_sent() {
    let (address, node) = node(|listener| Peer::greet(listener).serve());
    let client = Client::connect(options(&[address])).unwrap();
    let bytes_max = base::limits::MESSAGE_BYTES_MAX;
    let error = client.submit(&vec![b' '; bytes_max + 1]).unwrap_err();
    assert_eq!(error, ClientError::TooLarge { bytes: bytes_max + 1, bytes_max });
    drop(client);
    node.join().unwrap();
}
