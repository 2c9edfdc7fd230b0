//! The door against a backend that answers when the test lets it.

use super::*;
use crate::BinaryLimits;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rpc::Identity;
use runtime::{
    Listener, LocalEvent, LocalOneshot, LocalReceiver, LocalSender, Stream, block_on, spawn_local,
};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use telemetry::{Registry, Sampler, TraceContext};
use wire::{Decoder, Flags, Head, Hello, Messages, SubmitResponse, write_frame};

type Done = Box<dyn FnOnce(SubmitResults)>;

/// Keeps everything unanswered.
#[derive(Clone, Default)]
struct Kept {
    submits: Rc<RefCell<Vec<Done>>>,
    traces: Rc<RefCell<Vec<Option<TraceContext>>>>,
    requests: Rc<RefCell<Vec<LocalSender<Response>>>>,
    connections: Rc<Cell<u64>>,
}

impl Backend for Kept {
    fn request(&self, _: &api::Route, _: &Request<'_>) -> LocalReceiver<Response> {
        let (sender, receiver) = LocalOneshot::new();
        self.requests.borrow_mut().push(sender);
        receiver
    }

    fn submit(&self, submission: &Submission<'_>, done: Done) {
        self.traces.borrow_mut().push(submission.trace);
        self.submits.borrow_mut().push(done);
    }

    fn set_connections(&self, count: u64) {
        self.connections.set(count);
    }
}

impl Kept {
    /// Answers all submits: one message accepted each.
    fn answer_submits(&self) {
        for done in self.submits.take() {
            let line = LineResult::Accepted { id: base::MessageId(7), workflows: Arc::new([]) };
            done(SubmitResults::Lines([line].into_iter().collect()));
        }
    }
}

struct Client {
    stream: Stream,
    decoder: Decoder,
    calls: u64,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = Stream::connect(address, Duration::from_secs(5)).await.unwrap();
        let mut client = Self { stream, decoder: Decoder::new(1 << 20), calls: 0 };
        let hello = Hello { payload_bytes_max: 1 << 20, ..Hello::of(Hello::CLIENT) };
        client.send(&hello, None).await;
        assert_eq!(client.answer().await.1, Kind::HELLO);
        client
    }

    async fn send<'a, M: wire::Message<'a>>(&mut self, message: &M, trace: Option<TraceContext>) {
        self.calls += 1;
        let (kind, call) = (M::KIND, self.calls);
        let sent_at = base::UnixMicros(0);
        let head = Head { kind, flags: Flags::NONE, call, sent_at, trace };
        let mut frame = Vec::new();
        write_frame(&mut frame, &head, |out| message.encode(out));
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next answer: call, kind, payload.
    async fn answer(&mut self) -> (u64, Kind, Vec<u8>) {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return (frame.header.call, frame.header.kind, frame.payload.to_vec());
            }
            let bytes = self.stream.read(self.decoder.space()).await.unwrap();
            assert!(bytes > 0, "the door keeps the connection");
            self.decoder.filled(bytes);
        }
    }
}

const LIMITS: BinaryLimits = BinaryLimits {
    connections_max: 2,
    idle_max: Duration::from_mins(1),
    write_stall_max: Duration::from_mins(1),
};

/// Runs `test` as a client of a door to `Kept`, and stops the door.
fn with_door(sampler: Sampler, test: impl AsyncFnOnce(Kept, SocketAddr) + 'static) {
    block_on(async move {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, kept, stop) = (listener.address(), Kept::default(), LocalEvent::new());
        let doors = Doors::new(kept.clone(), sampler, &Registry::new());
        let stopping = stop.clone();
        let door = spawn_local(async move {
            doors.serve_binary(listener, LIMITS, Identity::default(), &stopping).await;
        });
        test(kept.clone(), address).await;
        stop.set();
        door.await;
        assert_eq!(kept.connections.get(), 0, "every connection is counted out");
    });
}

#[test]
fn beyond_its_share_of_submits_a_connection_is_told_at_once_and_another_is_not() {
    with_door(Sampler::off(), async |kept, address| {
        let mut client = Client::connect(address).await;
        let body = vec![b' '; 1_000_000];
        let bodies = [&body[..]];
        let submit =
            Submit { producer: 0, sequence: 0, key: "", messages: Messages::from(&bodies) };
        for _ in 0..9 {
            client.send(&submit, None).await;
        }
        let (call, kind, payload) = client.answer().await;
        assert_eq!((call, kind), (10, Kind::ERROR), "the hello was the first frame");
        let error = ErrorReply::decode(&payload).unwrap();
        assert_eq!((error.code, error.retry_after_ms), (words::OVERLOADED, RETRY_AFTER_MS));
        assert_eq!(kept.submits.borrow().len(), 8);
        // Another has a share of its own.
        let mut other = Client::connect(address).await;
        other.send(&submit, None).await;
        other.send(&submit, None).await;
        while kept.submits.borrow().len() < 10 {
            runtime::yield_now().await;
        }
        // What is answered makes room.
        kept.answer_submits();
        for call in 2..10 {
            let (answered, kind, payload) = client.answer().await;
            assert_eq!((answered, kind), (call, Kind::RESPONSE));
            let response = SubmitResponse::decode(&payload).unwrap();
            assert_eq!(response.answers().next().and_then(|answer| answer.id()), Some(7));
        }
        client.send(&submit, None).await;
        while kept.submits.borrow().is_empty() {
            runtime::yield_now().await;
        }
        kept.answer_submits();
        assert_eq!(client.answer().await.1, Kind::RESPONSE);
    });
}

#[test]
fn a_submit_that_is_given_up_is_answered_and_gives_its_share_back() {
    with_door(Sampler::off(), async |kept, address| {
        let mut client = Client::connect(address).await;
        let bodies: [&[u8]; 1] = [b"{}"];
        let submit =
            Submit { producer: 0, sequence: 0, key: "", messages: Messages::from(&bodies) };
        client.send(&submit, None).await;
        while kept.submits.borrow().is_empty() {
            runtime::yield_now().await;
        }
        kept.submits.take();
        let (_, _, payload) = client.answer().await;
        assert_eq!(ErrorReply::decode(&payload).unwrap().code, words::INTERNAL);
        // So is a query whose request is given up.
        client.send(&Query { path: "/api/v1/rules" }, None).await;
        while kept.requests.borrow().is_empty() {
            runtime::yield_now().await;
        }
        kept.requests.take();
        let (_, _, payload) = client.answer().await;
        assert_eq!(ErrorReply::decode(&payload).unwrap().code, words::INTERNAL);
    });
}

#[test]
fn a_frame_with_a_trace_is_part_of_it_and_one_without_is_traced_by_chance() {
    let context = TraceContext { trace: 3, span: 4 };
    let all = Sampler::new(1.0, base::Prng::new(1)).unwrap();
    with_door(all, async move |kept, address| {
        let mut client = Client::connect(address).await;
        let bodies: [&[u8]; 1] = [b"{}"];
        let submit =
            Submit { producer: 0, sequence: 0, key: "", messages: Messages::from(&bodies) };
        client.send(&submit, Some(context)).await;
        client.send(&submit, None).await;
        while kept.traces.borrow().len() < 2 {
            runtime::yield_now().await;
        }
        let traces = kept.traces.take();
        assert_eq!(traces[0], Some(context));
        let own = traces[1].expect("the dice say yes");
        assert!(own.trace != 0 && own.span == 0, "a trace begins here: {own:?}");
        kept.answer_submits();
        client.answer().await;
        client.answer().await;
    });
}
