//! Clients that send messages, remember every answer, and go on through crashes.
//!
//! What a client learns of a message:
//! - *accepted*: answered 202, so it must be there, whatever happens later;
//! - *refused*: answered otherwise, so it must not be there;
//! - *unknown*: the connection broke before the answer. With an `Idempotency-Key` it is sent again
//!   under that key until it is answered; without one it may be there once, or not at all.

use crate::client::{Connection, Message, request};
use crate::endpoint::Endpoint;
use crate::server::{Server, until};
use base::Prng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a message starts: its `kind` is the name of the workflow.
pub(crate) const KINDS: [&str; 4] = ["none", "pure", "pause", "call"];

/// How long a client that was refused holds still.
const PAUSE: Duration = Duration::from_millis(2);

/// How a client sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    /// So many requests ahead of their answers; 1 is one after the other.
    Single(usize),
    /// Requests of so many lines to `messages:batch`.
    Batch(usize),
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) clients: &'static [Style],
    /// How often each of [`KINDS`] comes, out of the sum.
    pub(crate) shares: [u64; 4],
    /// Bytes that make a message larger.
    pub(crate) padding: usize,
    /// Every so many-th message has a key; 0 is none.
    pub(crate) keyed: u64,
}

/// What a 202 said.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) key: Option<String>,
}

/// What clients know of the messages they sent, by nonce.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accepted: BTreeMap<u64, Accepted>,
    pub(crate) refused: BTreeSet<u64>,
    pub(crate) unknown: BTreeSet<u64>,
    /// How often a message came back as a duplicate.
    pub(crate) duplicates: u64,
}

/// Clients under way.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Ledger>>,
}

#[derive(Debug, Default)]
struct Shared {
    accepted: AtomicU64,
    refusals: Mutex<BTreeMap<String, u64>>,
    over: AtomicBool,
}

/// Puts the workflows that [`KINDS`] names into the catalogue, with the rules that start them.
pub(crate) fn put_workflows(server: &Server, endpoint: &Endpoint) {
    let workflows = format!(
        r#"
workflows:
  - id: pure
    tasks:
      - {{ id: one, type: transform, with: {{ n: "${{ input.nonce }}" }} }}
      - {{ id: two, type: transform, depends_on: [one], with: {{ n: "${{ tasks.one.output.n + 1 }}" }} }}
      - {{ id: three, type: transform, depends_on: [two], with: {{ n: "${{ tasks.two.output.n + 1 }}" }} }}
  - id: pause
    tasks:
      - {{ id: before, type: transform, with: {{ n: "${{ input.nonce }}" }} }}
      - {{ id: wait, type: delay, depends_on: [before], with: {{ for: 300ms }} }}
      - {{ id: after, type: transform, depends_on: [wait], with: {{ n: "${{ tasks.before.output.n }}" }} }}
  - id: call
    tasks:
      - id: ask
        type: http
        with: {{ method: POST, url: "http://{}/", body: {{ nonce: "${{ input.nonce }}" }} }}
        timeout: 20s
        retry: {{ max: 100, first: 20ms, cap: 200ms }}
      - {{ id: after, type: transform, depends_on: [ask], with: {{ serial: "${{ tasks.ask.output.body.serial }}" }} }}
"#,
        endpoint.address
    );
    let rule = |kind| {
        format!(
            "  - {{ id: is-{kind}, conditions: [{{ field: kind, op: equals, value: {kind} }}], \
             actions: [{{ workflow: {kind} }}] }}\n"
        )
    };
    let rules: String = KINDS[1..].iter().map(rule).collect();
    server.put("/api/v1/definitions", &workflows);
    server.put("/api/v1/rules", &format!("rules:\n{rules}"));
}

impl Load {
    /// At one node.
    pub(crate) fn start(address: SocketAddr, mix: Mix, seed: u64) -> Self {
        Self::over(&[address], mix, seed)
    }

    /// At several: each client begins with another one, and goes on to the next when a connection
    /// breaks or cannot be made. What has a key is sent again there.
    pub(crate) fn over(addresses: &[SocketAddr], mix: Mix, seed: u64) -> Self {
        // Nonces are never used twice in a process.
        static CLIENTS: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::new(Shared::default());
        let start = |(place, style): (usize, &Style)| {
            let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
            let client = Client {
                addresses: addresses.to_vec(),
                place,
                mix,
                style: *style,
                shared: Arc::clone(&shared),
                random: Prng::new(seed ^ number),
                next_nonce: number << 32,
                ledger: Ledger::default(),
                again: VecDeque::new(),
            };
            thread::spawn(move || client.run())
        };
        let clients = mix.clients.iter().enumerate().map(start).collect();
        Self { shared, clients }
    }

    /// Messages answered 202 so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Waits until so many more were answered 202.
    pub(crate) fn after(&self, more: u64) {
        let wanted = self.accepted() + more;
        until("messages are accepted", || (self.accepted() >= wanted).then_some(()));
    }

    /// How often each refusal came, by its `error`.
    pub(crate) fn refusals(&self) -> BTreeMap<String, u64> {
        self.shared.refusals.lock().expect("clients do not panic holding it").clone()
    }

    /// Nothing new is sent; what has a key and no answer is sent until it has one.
    pub(crate) fn end(self) -> Ledger {
        self.shared.over.store(true, Ordering::Release);
        let mut all = Ledger::default();
        for client in self.clients {
            all.add(client.join().expect("a client does not panic"));
        }
        all
    }
}

impl Ledger {
    pub(crate) fn add(&mut self, other: Ledger) {
        self.accepted.extend(other.accepted);
        self.refused.extend(other.refused);
        self.unknown.extend(other.unknown);
        self.duplicates += other.duplicates;
    }
}

/// Messages that go in one request.
#[derive(Clone, Debug)]
struct Request {
    key: Option<String>,
    lines: Vec<(u64, &'static str)>,
}

struct Client {
    addresses: Vec<SocketAddr>,
    /// Which of them is used, counted on and on.
    place: usize,
    mix: Mix,
    style: Style,
    shared: Arc<Shared>,
    random: Prng,
    next_nonce: u64,
    ledger: Ledger,
    /// Requests with a key that are to be sent again.
    again: VecDeque<Request>,
}

impl Client {
    fn run(mut self) -> Ledger {
        while !self.is_over() || !self.again.is_empty() {
            let opened = until("a node accepts connections", || {
                let address = self.addresses[self.place % self.addresses.len()];
                let connection = Connection::open(address).ok();
                self.place += usize::from(connection.is_none());
                // Nothing is left to do, and the node need not come back.
                let idle = self.is_over() && self.again.is_empty();
                connection.map(Some).or(idle.then_some(None))
            });
            let Some(mut connection) = opened else { break };
            while self.round(&mut connection) {}
            self.place += 1;
        }
        self.ledger
    }

    fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Acquire)
    }

    /// Sends a few requests and reads their answers. False when the connection is of no more use.
    fn round(&mut self, connection: &mut Connection) -> bool {
        let ahead = match self.style {
            Style::Single(ahead) => ahead,
            Style::Batch(_) => 1,
        };
        let mut requests: VecDeque<Request> = VecDeque::with_capacity(ahead);
        while requests.len() < ahead {
            match self.again.pop_front() {
                Some(request) => requests.push_back(request),
                None if self.is_over() => break,
                None => requests.push_back(self.invent()),
            }
        }
        if requests.is_empty() {
            return false;
        }
        let bytes: Vec<u8> = requests.iter().flat_map(|request| self.bytes(request)).collect();
        // An error here is one of the answers, too: some may have arrived all the same.
        let _sent = connection.send(&bytes);
        let mut is_refused = false;
        while let Some(request) = requests.front() {
            let Ok(answer) = connection.answer() else {
                for request in requests {
                    self.on_silence(request);
                }
                return false;
            };
            let request = request.clone();
            requests.pop_front();
            is_refused |= answer.status() != 202;
            self.on_answer(request, &answer);
        }
        if is_refused {
            // A little less impolite than Retry-After allows.
            thread::park_timeout(PAUSE);
        }
        true
    }

    fn invent(&mut self) -> Request {
        let count = match self.style {
            Style::Single(_) => 1,
            Style::Batch(count) => count,
        };
        let lines: Vec<_> = (0..count).map(|_| (self.nonce(), self.kind())).collect();
        let is_keyed = self.mix.keyed > 0 && self.random.chance(1, self.mix.keyed);
        let key = is_keyed.then(|| format!("key-{}", lines[0].0));
        Request { key, lines }
    }

    fn nonce(&mut self) -> u64 {
        self.next_nonce += 1;
        self.next_nonce
    }

    fn kind(&mut self) -> &'static str {
        let mut drawn = self.random.below(self.mix.shares.iter().sum());
        for (kind, share) in KINDS.iter().zip(self.mix.shares) {
            match drawn.checked_sub(share) {
                None => return kind,
                Some(rest) => drawn = rest,
            }
        }
        unreachable!("the draw is below the sum of the shares")
    }

    fn bytes(&self, sent: &Request) -> Vec<u8> {
        let padding = "x".repeat(self.mix.padding);
        let line = |(nonce, kind): &(u64, &str)| {
            format!(r#"{{"nonce":{nonce},"kind":"{kind}","padding":"{padding}"}}"#)
        };
        let lines: Vec<String> = sent.lines.iter().map(line).collect();
        let (path, content_type) = match self.style {
            Style::Single(_) => ("/api/v1/messages", "application/json"),
            Style::Batch(_) => ("/api/v1/messages:batch", "application/x-ndjson"),
        };
        let mut headers = vec![("content-type", content_type)];
        headers.extend(sent.key.as_deref().map(|key| ("idempotency-key", key)));
        request("POST", path, &headers, lines.join("\n").as_bytes())
    }

    /// The connection broke before the answer.
    fn on_silence(&mut self, request: Request) {
        if request.key.is_some() {
            self.again.push_back(request);
        } else {
            self.ledger.unknown.extend(request.lines.iter().map(|(nonce, _)| *nonce));
        }
    }

    fn on_answer(&mut self, request: Request, answer: &Message) {
        let body = answer.json();
        if answer.status() != 202 {
            self.on_refusal(request, answer.status(), &body);
            return;
        }
        let results = match self.style {
            Style::Single(_) => std::slice::from_ref(&body),
            Style::Batch(_) => body["results"].as_array().expect("a batch has results"),
        };
        assert_eq!(results.len(), request.lines.len(), "every line has its result: {body}");
        for (at, ((nonce, kind), result)) in (1..).zip(request.lines.iter().zip(results)) {
            let key = request.key.as_ref().map(|key| match self.style {
                Style::Single(_) => key.clone(),
                Style::Batch(_) => format!("{key}#{at}"),
            });
            self.on_accepted(*nonce, kind, key, result);
        }
        self.shared.accepted.fetch_add(request.lines.len() as u64, Ordering::AcqRel);
        // Now and then somebody is not sure and asks again.
        if request.key.is_some() && !self.is_over() && self.random.chance(1, 16) {
            self.again.push_back(request);
        }
    }

    fn on_accepted(&mut self, nonce: u64, kind: &'static str, key: Option<String>, result: &Value) {
        let id = result["message_id"].as_str().expect("a 202 names the message").to_owned();
        match result["status"].as_str() {
            Some("accepted") => {}
            Some("duplicate") if key.is_some() => self.ledger.duplicates += 1,
            other => panic!("message {nonce} with key {key:?} was answered {other:?}: {result}"),
        }
        let triggered: &[Value] = result["workflows_triggered"].as_array().expect("a list");
        let expected = if kind == "none" { vec![] } else { vec![Value::from(kind)] };
        assert_eq!(triggered, expected, "message {nonce} of kind {kind}");
        let before = self.ledger.accepted.insert(nonce, Accepted { id: id.clone(), kind, key });
        if let Some(before) = before {
            assert_eq!(before.id, id, "message {nonce}: one key, one id");
            assert_eq!(result["status"], "duplicate", "message {nonce} was there: {result}");
        }
    }

    fn on_refusal(&mut self, request: Request, status: u16, body: &Value) {
        let text = |field: &str| body[field].as_str().filter(|text| !text.is_empty());
        let (Some(error), Some(detail), Some(_)) = (text("error"), text("detail"), text("hint"))
        else {
            panic!("a refusal says what, why and what to do: {status} {body}");
        };
        assert!(matches!(status, 503 | 429), "only a lack of something refuses: {status} {body}");
        let mut refusals = self.shared.refusals.lock().expect("clients do not panic holding it");
        *refusals.entry(error.to_owned()).or_default() += 1;
        drop(refusals);
        // The refusals that cannot tell what became of the message.
        let is_unknown =
            error == "outcome_unknown" || detail.contains("before the outcome was known");
        if request.key.is_some() || is_unknown {
            self.on_silence(request);
        } else {
            self.ledger.refused.extend(request.lines.iter().map(|(nonce, _)| *nonce));
        }
    }
}
