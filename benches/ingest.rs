//! Binary ingest of one core, in memory: bytes as a socket gives them -> frames -> submissions ->
//! matched and gathered -> applied -> answers as frames. 256-byte messages in submits of 100, 100
//! rules that none of them wakes. Only the log is left out: what is gathered is committed at once.
//!
//! Once more with every submit numbered by one of 64 producers, so that repeats would be known.
//!
//! Beside it, in the same run, what nobody can do without: one copy of the messages, and matching
//! alone. `cargo bench --bench ingest [-- SECONDS]`.

use base::{BootId, CoreId, Instant, NodeId, Now, Outbox, StoreId, UnixMicros};
use engine::batch::join;
use engine::message::{Committed, ToConsensus, ToShard};
use engine::record::{Born, Change};
use engine::{
    Birth, LineResult, Origin, RequestId, ShardConfig, ShardCore, ShardEffect, Submission,
    SubmitResults,
};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use wire::{
    Answer, Decoder, Flags, Head, Kind, List, Message, Submit, write_frame, write_submit_response,
};

/// What the node links: allocation is part of the cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGE_BYTES: usize = 256;
const TOGETHER: usize = 100;
const RULES: usize = 100;
/// Different submits, so that no branch learns the one message.
const SUBMITS: usize = 64;
/// What one read of a socket gives at most. Unit: bytes.
const READ_BYTES: usize = 256 * 1024;
const NOW: Now = Now { instant: Instant(1), wall: UnixMicros(1) };

fn message(number: usize) -> String {
    let mut text = format!(
        "{{\"event_type\":\"payment_received\",\"amount\":{},\"currency\":\"EUR\",\"country\":\"DE\",\
         \"user\":{{\"id\":\"user_{number}\",\"name\":\"Ada Lovelace\",\"tags\":[\"vip\",\"eu\"]}},\
         \"device\":\"iPhone 15\",\"ip\":\"203.0.113.7\",\"ok\":true,\"session\":\"",
        15_000 + number
    );
    let fill = MESSAGE_BYTES - text.len() - 2;
    text.extend(
        (0..fill).map(|at| char::from(b'a' + u8::try_from((number + at) % 26).expect("small"))),
    );
    text.push_str("\"}");
    assert_eq!(text.len(), MESSAGE_BYTES);
    text
}

/// The bytes of the different submits, one behind the other.
fn stream(messages: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (together, call) in messages.chunks(TOGETHER).zip(1..) {
        let list: Vec<&[u8]> = together.iter().map(String::as_bytes).collect();
        let submit = Submit { producer: 0, sequence: 0, key: "", messages: List::from(&list[..]) };
        write_frame(&mut bytes, &head(Kind::SUBMIT, Flags::NONE, call), |out| submit.encode(out));
    }
    bytes
}

fn head(kind: Kind, flags: Flags, call: u64) -> Head {
    Head { kind, flags, call, sent_at: UnixMicros(1), trace: None }
}

fn catalogue() -> Vec<Change> {
    let workflow = r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"transform","with":{}}]}"#;
    let mut text = String::from("rules:\n");
    for n in 0..RULES {
        writeln!(
            text,
            "  - {{ id: r{n}, version: 1, conditions: [{{ field: event_type, op: equals, value: never_{n} }}, {{ field: amount, op: in_range, value: [{n}, {}] }}, {{ field: country, op: in, value: [DE, FR, IT] }}], actions: [{{ workflow: w }}] }}",
            n + 500
        )
        .expect("writing to a string");
    }
    let rules = rules::parse(document::Source { name: "bench", text: &text });
    let rules = rules.expect("the bench's rules are right").into_iter();
    let put = [Change::PutDefinition(workflow.into())];
    put.into_iter().chain(rules.map(|rule| Change::PutRule(rule.source))).collect()
}

/// Time of the parts, of one run.
#[derive(Default)]
struct Parts {
    decode: Duration,
    submit: Duration,
    join: Duration,
    apply: Duration,
    answer: Duration,
}

/// A core whose batches are committed at once.
struct Core {
    shard: ShardCore,
    out: Outbox<ShardEffect>,
    index: u64,
    answers: Vec<u8>,
    answered: usize,
    parts: Parts,
    /// Of each producer the next number; empty when messages have none.
    numbers: Vec<u64>,
}

impl Core {
    /// The name of the next submit.
    fn origin(&mut self, call: u64) -> Origin<'static> {
        if self.numbers.is_empty() {
            return Origin::None;
        }
        let producer = usize::try_from(call).expect("few") % self.numbers.len();
        let sequence = self.numbers[producer];
        self.numbers[producer] += TOGETHER as u64;
        Origin::Producer { producer: producer as u64 + 1, sequence }
    }

    fn serving() -> Self {
        let born = Born {
            cluster_id: 1,
            partitions: 64,
            retention_bytes: 256 << 20,
            keys_max: 1_000_000,
            key_ttl_ms: 120_000,
        };
        let shard = ShardCore::new(ShardConfig {
            node: NodeId(1),
            boot: BootId(1),
            store: StoreId(1),
            core: CoreId(0),
            shards: 1,
            cpus: vec![0],
            program_version: "bench",
            started_at: NOW.instant,
            birth: Birth { born, catalogue: catalogue() },
            workers: engine::WorkersConfig::default(),
        });
        let mut core = Self {
            shard,
            out: Outbox::new(),
            index: 0,
            answers: Vec::new(),
            answered: 0,
            parts: Parts::default(),
            numbers: Vec::new(),
        };
        let role = ToShard::Role { leading: true, term: 1, leader: Some(NodeId(1)) };
        core.shard.on_packet(NOW, CoreId(0), role, &mut core.out);
        core.commit(bytes::Bytes::new());
        core.settle();
        core
    }

    fn commit(&mut self, data: bytes::Bytes) {
        self.index += 1;
        let entry = Committed { index: self.index, term: 1, data, prepared: Vec::new() };
        let committed = ToShard::Committed(vec![entry]);
        self.shard.on_packet(NOW, CoreId(0), committed, &mut self.out);
    }

    /// Commits what was gathered and answers it, until nothing is left.
    fn settle(&mut self) {
        self.shard.on_flush(&mut self.out);
        while !self.out.is_empty() {
            for effect in self.out.take() {
                match effect {
                    ShardEffect::ToConsensus(ToConsensus::Submit { section, .. }) => {
                        let began = clock();
                        let data = join(UnixMicros(self.index), &[section]);
                        let joined = clock();
                        self.commit(data);
                        self.parts.join += joined.since(began);
                        self.parts.apply += clock().since(joined);
                    }
                    ShardEffect::Submitted { request, results } => {
                        let began = clock();
                        self.answer(request, &results);
                        self.parts.answer += clock().since(began);
                    }
                    ShardEffect::Work(work) => self.shard.on_worked(work.run(), &mut self.out),
                    ShardEffect::Fatal(reason) => panic!("{reason}"),
                    _ => {}
                }
            }
            self.shard.on_flush(&mut self.out);
        }
        black_box(&self.answers);
        self.answers.clear();
    }

    fn answer(&mut self, request: RequestId, results: &SubmitResults) {
        let SubmitResults::Lines(lines) = results else { panic!("{results:?}") };
        let answers = lines.iter().map(|line| -> Answer<'_, &[Arc<str>]> {
            let LineResult::Accepted { id, workflows } = line else { panic!("{line:?}") };
            Answer::Accepted { id: id.0, workflows }
        });
        let head = head(Kind::RESPONSE, Flags::RESPONSE, request.0);
        write_frame(&mut self.answers, &head, |out| write_submit_response(out, answers));
        self.answered += lines.len();
    }

    /// Everything that one read of a socket brings.
    fn read(&mut self, decoder: &mut Decoder) {
        let mut began = clock();
        while let Some(frame) = decoder.next().expect("the bytes are right") {
            let submit = Submit::decode(frame.payload).expect("it was encoded");
            let mut messages = [&b""[..]; TOGETHER];
            for (place, message) in messages.iter_mut().zip(&submit.messages) {
                *place = message;
            }
            let read = clock();
            let origin = self.origin(frame.header.call);
            let submission = Submission { origin, messages: &messages, trace: None };
            self.shard.on_submit(RequestId(frame.header.call), &submission, &mut self.out);
            let submitted = clock();
            self.parts.decode += read.since(began);
            self.parts.submit += submitted.since(read);
            began = submitted;
        }
        self.parts.decode += clock().since(began);
        self.settle();
    }
}

/// CPU time of the process: what a shared machine does meanwhile does not count.
fn clock() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let [seconds, nanoseconds] =
        [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).expect("time goes on"));
    Instant(seconds * 1_000_000_000 + nanoseconds)
}

fn nanoseconds_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(u32::try_from(count).expect("a bench is short"))
}

fn run(core: &mut Core, stream: &[u8], seconds: f64) -> (usize, Duration) {
    let mut decoder = Decoder::new(2 * 1024 * 1024);
    core.parts = Parts::default();
    core.answered = 0;
    let (began, mut at) = (clock(), 0);
    while clock().since(began).as_secs_f64() < seconds {
        let space = decoder.space();
        let bytes = space.len().min(READ_BYTES).min(stream.len() - at);
        space[..bytes].copy_from_slice(&stream[at..at + bytes]);
        decoder.filled(bytes);
        at = (at + bytes) % stream.len();
        core.read(&mut decoder);
    }
    (core.answered, clock().since(began))
}

fn main() {
    let seconds = std::env::args().find_map(|text| text.parse().ok()).unwrap_or(5.0);
    let messages: Vec<String> = (0..SUBMITS * TOGETHER).map(message).collect();
    let stream = stream(&messages);
    let mut core = Core::serving();
    // Until the retention budget is used up, memory still grows.
    run(&mut core, &stream, 3.0);
    println!("ingest, 1 core, {MESSAGE_BYTES} B in submits of {TOGETHER}, {RULES} rules:");
    measure(&mut core, &stream, seconds);
    println!("the same, numbered by {SUBMITS} producers:");
    core.numbers = vec![1; SUBMITS];
    measure(&mut core, &stream, seconds);
    compare(&core, &messages, stream.len());
}

fn measure(core: &mut Core, stream: &[u8], seconds: f64) {
    let (count, time) = run(core, stream, seconds);
    let each = nanoseconds_each(time, count);
    println!("  whole    {each:7.0} ns of CPU a message, {:.2} M messages/s", 1_000.0 / each);
    let Parts { decode, submit, join, apply, answer } = &core.parts;
    let parts = [
        ("decode", decode),
        ("submit", submit),
        ("join", join),
        ("apply", apply),
        ("answer", answer),
    ];
    for (name, time) in parts {
        println!("  {name:8} {:7.0} ns", nanoseconds_each(*time, count));
    }
}

/// What nobody can do without.
fn compare(core: &Core, messages: &[String], bytes: usize) {
    let mut copy = Vec::with_capacity(bytes);
    let (rounds, began) = (200, clock());
    for _ in 0..rounds {
        copy.clear();
        for message in messages {
            copy.extend_from_slice(black_box(message).as_bytes());
        }
        black_box(&copy);
    }
    let each = nanoseconds_each(clock().since(began), rounds * messages.len());
    println!("for comparison:\n  copy     {each:7.0} ns, the messages once, in order");

    let (mut matcher, mut woken) = (rules::Matcher::new(), rules::Matches::new());
    let compiled = &core.shard.globals().catalogue.compiled;
    let began = clock();
    for _ in 0..rounds {
        for message in messages {
            matcher
                .matches(compiled, black_box(message.as_bytes()), &mut woken)
                .expect("a message");
        }
    }
    let each = nanoseconds_each(clock().since(began), rounds * messages.len());
    println!("  match    {each:7.0} ns, strict, against {RULES} rules");
}
