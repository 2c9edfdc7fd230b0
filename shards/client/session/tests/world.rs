//! Whole lives of a session in virtual time, against a model of a node that drops connections, loses
//! answers, answers late, applies late, and refuses.

use super::{Read, head, hello, options, read_frames};
use crate::error::{ClientError, Trouble};
use crate::options::{KEY_TTL, Options, WINDOW_MESSAGES};
use crate::receipt::{Outcome, Submitted};
use crate::session::{Effect, Session};
use base::{Instant, MessageId, Now, Outbox, Prng, UnixMicros};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{Decoder, ErrorReply, Flags, Kind, Message as _};

/// What of a hundred times goes wrong.
#[derive(Clone, Copy, Debug)]
struct Faults {
    /// The connection ends before a submit is applied: lost, or applied late.
    cut_before: u64,
    /// It ends after the submit was applied: the answer is lost.
    cut_after: u64,
    /// The whole submit is refused.
    refused: u64,
    /// One message is.
    refused_one: u64,
    /// The answer takes longer than the client waits.
    late: u64,
    /// An attempt to connect fails.
    unreachable: u64,
    /// A message is no JSON, for which its submit is refused.
    bad: u64,
}

/// What a node knows of a producer: SOUNDNESS 13.
#[derive(Debug, Default)]
struct Producer {
    known: BTreeMap<u64, (u64, String)>,
    highest: u64,
    touched: Instant,
}

#[derive(Debug)]
enum Event {
    /// A submit reaches the state machine.
    Apply { connection: u64, call: u64, producer: u64, sequence: u64, bodies: Vec<String> },
    /// Bytes reach the client.
    Deliver { connection: u64, bytes: Vec<u8> },
    /// The connection ends for the client.
    Cut { connection: u64 },
}

struct World {
    session: Session<u64>,
    out: Outbox<Effect<u64>>,
    now: Now,
    prng: Prng,
    faults: Faults,
    /// The client's connection, when it has one, and what the node reads on it.
    connection: Option<(u64, Decoder)>,
    connections: u64,
    events: BTreeMap<(Instant, u64), Event>,
    event_count: u64,
    producers: BTreeMap<u64, Producer>,
    /// Every acceptance: the body's text, and the id.
    log: Vec<(String, u64)>,
    /// Messages without a result, by body, and when they were submitted.
    open: BTreeMap<String, Instant>,
    results: BTreeMap<u64, Result<Submitted, ClientError>>,
    /// The number that a body was first sent under, by producer.
    numbers: BTreeMap<(u64, u64), String>,
}

impl World {
    fn new(seed: u64, faults: Faults, options: Options) -> Self {
        let mut prng = Prng::new(seed);
        Self {
            session: Session::new(options, 7, prng.fork("client")),
            out: Outbox::new(),
            now: Now { instant: Instant(1), wall: UnixMicros(1) },
            prng,
            faults,
            connection: None,
            connections: 0,
            events: BTreeMap::new(),
            event_count: 0,
            producers: BTreeMap::new(),
            log: Vec::new(),
            open: BTreeMap::new(),
            results: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.prng.chance(percent, 100)
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.event_count += 1;
        self.events.insert((self.now.instant + after, self.event_count), event);
    }

    fn micros(&mut self, below: u64) -> Duration {
        Duration::from_micros(1 + self.prng.below(below))
    }

    fn submit(&mut self, token: u64) {
        let is_bad = self.happens(self.faults.bad);
        let body = if is_bad { format!("bad {token}") } else { token.to_string() };
        self.open.insert(body.clone(), self.now.instant);
        self.session.on_message(self.now, token, body.into_bytes().into_boxed_slice());
    }

    /// A turn of the driver.
    fn turn(&mut self) {
        self.session.on_turn(self.now, &mut self.out);
        loop {
            self.carry_out();
            self.write();
            if self.out.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self) {
        for effect in self.out.take() {
            match effect {
                Effect::Connect { .. } if self.happens(self.faults.unreachable) => {
                    self.session.on_disconnected(self.now, Trouble::Closed, &mut self.out);
                }
                Effect::Connect { .. } => {
                    self.connections += 1;
                    self.connection = Some((self.connections, Decoder::new(1 << 21)));
                    self.session.on_connected(self.now);
                }
                Effect::Disconnect => self.connection = None,
                Effect::Opened | Effect::Failed { .. } => {}
                Effect::Submitted { token, result, .. } => self.on_result(token, result),
                Effect::Queried { .. } => panic!("nobody asked"),
            }
        }
    }

    fn on_result(&mut self, token: u64, result: Result<Submitted, ClientError>) {
        let body = [token.to_string(), format!("bad {token}")];
        let submitted = body.iter().find_map(|body| self.open.remove(body));
        let submitted = submitted.expect("a message gets one result");
        assert!(self.now.instant <= submitted + options().give_up_after, "in its time");
        self.results.insert(token, result);
    }

    /// The node reads all that the client wrote. Some of it will not get far.
    fn write(&mut self) {
        let Some((connection, decoder)) = &mut self.connection else { return };
        let connection = *connection;
        let output = self.session.output().to_vec();
        self.session.on_written(output.len());
        for read in read_frames(decoder, &output) {
            match read {
                Read::Hello => {
                    let mut bytes = Vec::new();
                    let head = head(self.now, Kind::HELLO, Flags::RESPONSE, 0);
                    wire::write_frame(&mut bytes, &head, |out| hello(1, 1).encode(out));
                    let after = self.micros(1_000);
                    self.schedule(after, Event::Deliver { connection, bytes });
                }
                Read::Submit { call, producer, sequence, bodies } => {
                    self.check_sent(producer, sequence, &bodies);
                    if self.happens(self.faults.cut_before) {
                        let after = self.micros(1_000);
                        self.schedule(after, Event::Cut { connection });
                        if self.happens(50) {
                            continue;
                        }
                    }
                    let is_late = self.happens(self.faults.late);
                    let after = self.micros(if is_late { 12_000_000 } else { 2_000 });
                    let apply = Event::Apply { connection, call, producer, sequence, bodies };
                    self.schedule(after, apply);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The promises of the window, at the moment of sending.
    fn check_sent(&mut self, producer: u64, sequence: u64, bodies: &[String]) {
        for (number, body) in (sequence..).zip(bodies) {
            let known = self.numbers.entry((producer, number)).or_insert_with(|| body.clone());
            assert_eq!(known, body, "a number stands for one message");
        }
        let last = sequence + bodies.len() as u64 - 1;
        let numbers = self.numbers.range((producer, 0)..=(producer, u64::MAX));
        let open = numbers.filter(|(_, body)| self.open.contains_key(*body));
        let oldest = open.map(|((_, sequence), _)| *sequence).min().expect("these are open");
        assert!(last - oldest < WINDOW_MESSAGES as u64, "{oldest} to {last} are on their way");
    }

    fn on_event(&mut self, event: Event) {
        let current = self.connection.as_ref().map(|(connection, _)| *connection);
        match event {
            Event::Apply { connection, call, producer, sequence, bodies } => {
                let bytes = self.apply(call, producer, sequence, &bodies);
                if self.happens(self.faults.cut_after) {
                    self.schedule(Duration::ZERO, Event::Cut { connection });
                } else {
                    let after = self.micros(500);
                    self.schedule(after, Event::Deliver { connection, bytes });
                }
            }
            Event::Deliver { connection, bytes } if current == Some(connection) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() && self.out.is_empty() {
                    let space = self.session.space();
                    let here = space.len().min(rest.len()).min(1 + bytes.len() / 2);
                    space[..here].copy_from_slice(&rest[..here]);
                    rest = &rest[here..];
                    self.session.on_bytes(self.now, here, &mut self.out);
                }
            }
            Event::Cut { connection } if current == Some(connection) => {
                self.session.on_disconnected(self.now, Trouble::Closed, &mut self.out);
            }
            Event::Deliver { .. } | Event::Cut { .. } => {}
        }
    }

    /// The node's state machine, and its answer.
    fn apply(&mut self, call: u64, producer: u64, sequence: u64, bodies: &[String]) -> Vec<u8> {
        let now = self.now.instant;
        let ttl = KEY_TTL.mul_f64(0.9);
        self.producers.retain(|_, producer| now < producer.touched + ttl);
        let mut bytes = Vec::new();
        let mut code = None;
        if bodies.iter().any(|body| body.starts_with("bad")) {
            code = Some("bad_json");
        } else if self.happens(self.faults.refused) {
            let codes =
                ["overloaded", "no_leader", "stopping", "internal", "closed", "outcome_unknown"];
            code = Some(codes[usize::try_from(self.prng.below(6)).unwrap()]);
        }
        if let Some(code) = code {
            if ["internal", "outcome_unknown"].contains(&code) && self.happens(50) {
                self.apply_all(producer, sequence, bodies);
            }
            let head = head(self.now, Kind::ERROR, Flags::RESPONSE, call);
            let retry_after_ms = u32::try_from(self.prng.below(200)).unwrap();
            let error = ErrorReply { code, detail: "", hint: "", retry_after_ms, version: 0 };
            wire::write_frame(&mut bytes, &head, |out| error.encode(out));
            return bytes;
        }
        let answers = self.apply_all(producer, sequence, bodies);
        let head = head(self.now, Kind::RESPONSE, Flags::RESPONSE, call);
        let answers = answers.iter().copied();
        wire::write_frame(&mut bytes, &head, |out| wire::write_submit_response(out, answers));
        bytes
    }

    fn apply_all(
        &mut self,
        producer: u64,
        sequence: u64,
        bodies: &[String],
    ) -> Vec<wire::Answer<'static, [&'static str; 0]>> {
        let numbered = (sequence..).zip(bodies);
        numbered.map(|(sequence, body)| self.apply_one(producer, sequence, body)).collect()
    }

    fn apply_one(
        &mut self,
        id: u64,
        sequence: u64,
        body: &str,
    ) -> wire::Answer<'static, [&'static str; 0]> {
        let refused =
            |code| wire::Answer::Refused { code, detail: "", hint: "", retry_after_ms: 0 };
        if self.happens(self.faults.refused_one) {
            return refused("overloaded");
        }
        if sequence > 1 && !self.producers.contains_key(&id) {
            return refused("unknown_producer");
        }
        let producer = self.producers.entry(id).or_default();
        if let Some((id, known)) = producer.known.get(&sequence) {
            assert_eq!(known, body, "the client never gives a number twice");
            return wire::Answer::Duplicate { id: *id, workflows: [] };
        }
        if sequence + (WINDOW_MESSAGES as u64) <= producer.highest {
            return refused("sequence_too_old");
        }
        let id = self.log.len() as u64 + 1;
        producer.touched = self.now.instant;
        producer.highest = producer.highest.max(sequence);
        producer.known.insert(sequence, (id, body.to_owned()));
        let oldest = (producer.highest + 1).saturating_sub(WINDOW_MESSAGES as u64);
        producer.known = producer.known.split_off(&oldest);
        self.log.push((body.to_owned(), id));
        wire::Answer::Accepted { id, workflows: [] }
    }

    /// Lets time pass until the next thing happens; false when nothing will.
    fn step(&mut self, until: Instant) -> bool {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let next = [event, self.session.deadline()].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now.instant = until;
            return false;
        };
        self.now.instant = self.now.instant.max(next);
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.now.instant
        {
            let event = entry.remove();
            self.on_event(event);
            self.turn();
        }
        self.turn();
        true
    }

    fn check_end(&self, messages: u64) -> (usize, usize) {
        assert_eq!(self.results.len() as u64, messages, "every message has a result");
        let mut ids = BTreeMap::new();
        for (body, id) in &self.log {
            let before = ids.insert(body.as_str(), *id);
            assert_eq!(before, None, "message {body} was accepted twice");
        }
        let (mut good, mut unknown) = (0, 0);
        for (token, result) in &self.results {
            let id = ids.get(token.to_string().as_str());
            match result {
                Ok(Submitted { id: told, outcome, .. }) => {
                    assert_eq!(id.map(|id| MessageId(*id)), Some(*told), "the result is its own");
                    assert!(matches!(outcome, Outcome::Accepted | Outcome::Duplicate));
                    good += 1;
                }
                Err(error) if error.is_in_doubt() => unknown += 1,
                Err(error) => assert_eq!(id, None, "{token}: {error}"),
            }
        }
        (good, unknown)
    }
}

/// A life: messages come in bursts, then the world is left alone until nothing is open.
fn live(seed: u64, faults: Faults, messages: u64) -> (World, usize, usize) {
    let linger = Duration::from_micros(300 * (seed % 2));
    let options = Options { batch_messages_max: 128, in_flight_max: 8, linger, ..options() };
    let mut world = World::new(seed, faults, options);
    let mut token = 0;
    while token < messages {
        let burst = 1 + world.prng.below(400);
        for _ in 0..burst.min(messages - token) {
            world.submit(token);
            token += 1;
        }
        world.turn();
        // Now and then a pause longer than a producer lives.
        let pause = if world.happens(3) { 150_000_000 } else { 20_000 };
        let until = world.now.instant + world.micros(pause);
        while world.step(until) {}
    }
    // What was applied late must not be a second message either, so events are heard to the end.
    let end = world.now.instant + Duration::from_mins(10);
    while world.step(end) {}
    let (good, unknown) = world.check_end(messages);
    (world, good, unknown)
}

const NONE: Faults = Faults {
    cut_before: 0,
    cut_after: 0,
    refused: 0,
    refused_one: 0,
    late: 0,
    unreachable: 0,
    bad: 0,
};

#[test]
fn without_faults_every_message_is_accepted_at_the_first_attempt_in_order() {
    for seed in 0..8 {
        let (world, good, _) = live(seed, NONE, 3_000);
        assert_eq!(good, 3_000);
        let accepted = |result: &Result<Submitted, _>| {
            matches!(result, Ok(Submitted { outcome: Outcome::Accepted, .. }))
        };
        assert!(world.results.values().all(accepted));
        assert_eq!(world.log.len(), 3_000);
    }
}

#[test]
fn a_node_that_loses_and_refuses_much_gets_every_message_once_all_the_same() {
    let faults = Faults {
        cut_before: 5,
        cut_after: 5,
        refused: 10,
        refused_one: 2,
        unreachable: 20,
        ..NONE
    };
    let (mut duplicates, mut good) = (0, 0);
    for seed in 0..8 {
        let (world, here, _) = live(seed, faults, 2_000);
        good += here;
        let outcomes = world.results.values().flatten().map(|submitted| submitted.outcome);
        duplicates += outcomes.filter(|outcome| *outcome == Outcome::Duplicate).count();
    }
    assert!(duplicates > 0, "answers were lost");
    assert!(good > 8 * 1_900, "{good}");
}

#[test]
fn bad_messages_fail_alone() {
    let faults = Faults { bad: 2, ..NONE };
    let (world, good, unknown) = live(1, faults, 2_000);
    assert_eq!(unknown, 0);
    let bad = world.results.values().filter(|result| result.is_err()).count();
    assert!(bad > 0, "some were bad");
    assert_eq!(good + bad, 2_000);
    assert_eq!(world.log.len(), good);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_no_message_is_accepted_twice_and_no_result_is_wrong(
        seed: u64,
        percents in proptest::collection::vec(0_u64..30, 7),
        messages in 1_u64..1_500,
    ) {
        let faults = Faults {
            cut_before: percents[0],
            cut_after: percents[1],
            refused: percents[2],
            refused_one: percents[3] / 2,
            late: percents[4] / 4,
            unreachable: percents[5],
            bad: percents[6] / 10,
        };
        live(seed, faults, messages);
    }
}
