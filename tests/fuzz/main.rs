//! The bodies of the fuzz targets over a bounded corpus: every golden frame of the protocol, requests
//! of the API, and thousands of damaged ones, the same in every run.

mod bodies;
mod matching;

use base::Prng;
use matching::{random, texts};
use wire::{HEADER_BYTES, Kind};

/// Damaged inputs per body.
const CASES: usize = 100_000;

/// Those of a body that makes a catalogue, or a member of a cluster, of each.
const CASES_WITH_RULES: usize = 10_000;

/// The data that `wire`'s own tests check byte by byte.
const GOLDEN: &str = include_str!("../../src/wire/testdata/frames.txt");

/// What coordinators say to each other, as the engine's tests check it.
const PEERS: &str = include_str!("../../src/wire/testdata/peers.txt");
const WORKERS: &str = include_str!("../../src/wire/testdata/workers.txt");

/// Requests that have a route, and some that have none.
const REQUESTS: &[&str] = &[
    "POST /api/v1/messages",
    "POST /api/v1/messages:batch",
    "GET /api/v1/messages/00300000000000a1",
    "GET /api/v1/workflows?status=running&workflow=fraud_check&limit=50&after=0",
    "GET /api/v1/workflows/00300000000000a1-1",
    "POST /api/v1/workflows/00300000000000a1-1/cancel",
    "GET /api/v1/rules",
    "PUT /api/v1/rules/large%20payment",
    "DELETE /api/v1/definitions/%E2%82%AC",
    "GET /api/v1/events?after=1&limit=10&wait=30s",
    "PUT /api/v1/log",
    "GET /api/v1/cluster/status",
    "GET /api/v1/cluster/nodes",
    "POST /api/v1/cluster/nodes",
    "POST /api/v1/cluster/nodes/4/promote",
    "DELETE /api/v1/cluster/nodes/4",
    "POST /api/v1/cluster/transfer",
    "POST /api/v1/cluster/checksum",
    "GET /api/v1/workers/9f3c00d2ab5517e0",
    "POST /api/v1/workers/9f3c00d2ab5517e0/drain",
    "GET /metrics",
    "GET /health/ready",
    "PATCH /nowhere/%zz?%",
    "",
];

fn frames_of(text: &str) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("==") {
            frames.push(Vec::new());
        }
        let bytes = line.split(['#', '=']).next().unwrap_or_default().split_whitespace();
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect("two digits"));
        if let Some(frame) = frames.last_mut() {
            frame.extend(bytes);
        }
    }
    frames
}

fn golden_frames() -> Vec<Vec<u8>> {
    let frames = frames_of(GOLDEN);
    assert!(frames.len() > Kind::ALL.len(), "every kind has a golden frame");
    frames
}

/// A copy with a few bytes changed, lost, doubled, or two inputs spliced.
fn damaged(inputs: &[Vec<u8>], prng: &mut Prng) -> Vec<u8> {
    let pick = |prng: &mut Prng, count: usize| {
        usize::try_from(prng.below(count.max(1) as u64)).expect("it is below a usize")
    };
    let mut bytes = inputs[pick(prng, inputs.len())].clone();
    for _ in 0..=prng.below(4) {
        let at = pick(prng, bytes.len());
        match prng.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << prng.below(8),
            1 if !bytes.is_empty() => bytes[at] = prng.next_u64().to_le_bytes()[0],
            2 => bytes.truncate(at),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            4 => bytes.insert(at, prng.next_u64().to_le_bytes()[0]),
            _ => {
                let other = &inputs[pick(prng, inputs.len())];
                let from = pick(prng, other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

fn run(inputs: &[Vec<u8>], concern: &str, body: impl Fn(&[u8])) {
    run_cases(CASES, inputs, concern, body);
}

fn run_cases(cases: usize, inputs: &[Vec<u8>], concern: &str, body: impl Fn(&[u8])) {
    let mut prng = Prng::new(3).fork(concern);
    for input in inputs {
        body(input);
    }
    for _ in 0..cases {
        body(&damaged(inputs, &mut prng));
    }
}

fn payloads_of(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame[HEADER_BYTES..].to_vec()).collect()
}

fn payloads() -> Vec<Vec<u8>> {
    payloads_of(&golden_frames())
}

#[test]
fn no_header_is_read_otherwise_than_it_is_written() {
    run(&golden_frames(), "header", bodies::header);
}

#[test]
fn no_record_of_fields_is_read_beyond_its_end() {
    run(&payloads(), "tlv", bodies::tlv);
}

#[test]
fn no_payload_makes_a_coordinator_hear_what_cannot_be_said() {
    let payloads = payloads_of(&[frames_of(PEERS), golden_frames()].concat());
    run(&payloads, "peers", bodies::peers);
}

#[test]
fn no_payload_makes_a_worker_or_its_leader_hear_what_cannot_be_said() {
    let payloads = payloads_of(&[frames_of(WORKERS), golden_frames()].concat());
    run(&payloads, "workers", bodies::workers);
}

#[test]
fn no_payload_makes_a_message_that_it_does_not_hold() {
    run(&payloads(), "message", bodies::message);
}

#[test]
fn no_datagram_makes_a_member_say_what_is_no_frame() {
    let gossip = golden_frames().into_iter().filter(|frame| frame[6] == 0x20);
    let inputs: Vec<_> =
        gossip.map(|frame| [&[frame[7] - 1], &frame[HEADER_BYTES..]].concat()).collect();
    assert!(inputs.len() >= 20, "every kind of gossip has golden frames");
    run_cases(CASES_WITH_RULES, &inputs, "gossip", bodies::gossip);
}

#[test]
fn no_stream_yields_other_frames_when_it_is_cut_otherwise() {
    let choices = [0x00, 0x01, 0x03, 0x3f, 0x80, 0xff];
    let streams = golden_frames()
        .into_iter()
        .flat_map(|frame| choices.map(|choice| [&[choice], &frame[..], &frame[..]].concat()));
    run(&streams.collect::<Vec<_>>(), "decoder", bodies::decoder);
}

#[test]
fn no_request_line_is_without_a_route_or_a_refusal() {
    let requests: Vec<_> = REQUESTS.iter().map(|line| line.as_bytes().to_vec()).collect();
    run(&requests, "routes", bodies::routes);
}

/// The list of what is JSON and what is not, and messages by chance.
fn messages() -> Vec<Vec<u8>> {
    let values = texts::texts("values").into_iter();
    let values =
        values.map(|(value, _)| [b"{\"a\":", &value[..], b",\"b\":{\"c\":1e999}}"].concat());
    let objects = texts::texts("objects").into_iter().map(|(object, _)| object);
    let mut chance = chance("messages");
    let random = (0..500).map(|_| random::message(&mut chance).into_bytes());
    values.chain(objects).chain(random).collect()
}

/// Choices by chance.
fn chance(concern: &str) -> matching::chance::Prng {
    matching::chance::Prng::new(&bytes(&mut Prng::new(3).fork(concern), 1 << 20))
}

fn bytes(prng: &mut Prng, count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| prng.next_u64().to_le_bytes()).flatten().take(count).collect()
}

#[test]
fn no_bytes_are_taken_for_a_message_that_they_are_not() {
    run_cases(CASES_WITH_RULES, &messages(), "scanner", matching::scanner);
}

#[test]
fn no_choice_of_rules_and_messages_makes_matcher_and_judge_differ() {
    let mut prng = Prng::new(3).fork("choices");
    let inputs: Vec<_> = (0..50).map(|_| bytes(&mut prng, 4096)).collect();
    run_cases(CASES_WITH_RULES / 20, &inputs, "matcher", matching::matcher);
}
