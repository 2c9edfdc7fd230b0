//! The session alone: scripts here, whole lives against a model of a node in `world`.

mod world;

use super::*;
use crate::receipt::Outcome;
use base::{MessageId, UnixMicros};
use proptest::prelude::*;
use wire::{ErrorReply, Message, QueryResult};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A session with the other end of its connection in the test's hands.
struct Bench {
    session: Session<u64>,
    now: Now,
    out: Outbox<Effect<u64>>,
    /// What the session wrote, as a node would read it.
    node: Decoder,
}

/// What a node reads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read {
    Hello,
    Submit { call: u64, producer: u64, sequence: u64, bodies: Vec<String> },
    Query { call: u64, path: String },
    Other(Kind, u64),
}

fn options() -> Options {
    Options {
        addresses: vec!["one:1".to_owned(), "two:2".to_owned()],
        batch_messages_max: 4,
        in_flight_max: 2,
        ..Options::default()
    }
}

impl Bench {
    fn new(options: Options) -> Self {
        let now = Now { instant: Instant(1), wall: UnixMicros(1) };
        let session = Session::new(options, 7, Prng::new(1));
        Self { session, now, out: Outbox::new(), node: Decoder::new(1 << 21) }
    }

    /// A session whose node has greeted.
    fn open(options: Options) -> Self {
        let mut bench = Self::new(options);
        assert_eq!(bench.turn(), [Effect::Connect { address: 0 }]);
        bench.greet();
        bench
    }

    /// A session that has an accepted message: its producer is known.
    fn known(options: Options) -> Self {
        let mut bench = Self::open(options);
        bench.submit(0..1);
        bench.session.on_flush();
        bench.turn();
        let call = bench.calls()[0];
        bench.accept(call, &[99]);
        bench
    }

    fn greet(&mut self) {
        self.session.on_connected(self.now);
        self.node = Decoder::new(1 << 21);
        assert_eq!(self.read(), [Read::Hello]);
        let hello = hello(1, 1);
        assert_eq!(self.frame(0, Flags::RESPONSE, &hello), [Effect::Opened]);
    }

    fn submit(&mut self, tokens: std::ops::Range<u64>) {
        for token in tokens {
            let body = token.to_string().into_bytes().into_boxed_slice();
            self.session.on_message(self.now, token, body);
        }
    }

    fn turn(&mut self) -> Vec<Effect<u64>> {
        self.session.on_turn(self.now, &mut self.out);
        self.out.take()
    }

    fn pass(&mut self, time: Duration) -> Vec<Effect<u64>> {
        self.now.instant = self.now.instant + time;
        self.turn()
    }

    /// Time passes until the session wants a turn.
    fn until_deadline(&mut self) -> Vec<Effect<u64>> {
        let deadline = self.session.deadline().expect("something is to come");
        assert!(deadline > self.now.instant, "a deadline that has passed would be a busy loop");
        self.now.instant = deadline;
        self.turn()
    }

    /// The node says something.
    fn frame<'m>(
        &mut self,
        call: u64,
        flags: Flags,
        message: &impl Message<'m>,
    ) -> Vec<Effect<u64>> {
        let mut bytes = Vec::new();
        let kind = kind_of(message);
        wire::write_frame(&mut bytes, &head(self.now, kind, flags, call), |out| {
            message.encode(out);
        });
        self.bytes(&bytes)
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Vec<Effect<u64>> {
        while !bytes.is_empty() {
            let space = self.session.space();
            let here = space.len().min(bytes.len());
            space[..here].copy_from_slice(&bytes[..here]);
            bytes = &bytes[here..];
            self.session.on_bytes(self.now, here, &mut self.out);
        }
        self.out.take()
    }

    fn accept(&mut self, call: u64, ids: &[u64]) -> Vec<Effect<u64>> {
        let workflows: &[&str] = &[];
        let answers = ids.iter().map(|id| wire::Answer::Accepted { id: *id, workflows });
        self.answer(call, answers)
    }

    fn answer<'a>(
        &mut self,
        call: u64,
        answers: impl Iterator<Item = wire::Answer<'a, &'a [&'a str]>> + Clone,
    ) -> Vec<Effect<u64>> {
        let mut bytes = Vec::new();
        let head = head(self.now, Kind::RESPONSE, Flags::RESPONSE, call);
        let answers = answers.map(|answer| match answer {
            wire::Answer::Accepted { id, workflows } => {
                wire::Answer::Accepted { id, workflows: workflows.iter().copied() }
            }
            wire::Answer::Duplicate { id, workflows } => {
                wire::Answer::Duplicate { id, workflows: workflows.iter().copied() }
            }
            wire::Answer::Conflict { id } => wire::Answer::Conflict { id },
            wire::Answer::Refused { code, detail, hint, retry_after_ms } => {
                wire::Answer::Refused { code, detail, hint, retry_after_ms }
            }
        });
        wire::write_frame(&mut bytes, &head, |out| wire::write_submit_response(out, answers));
        self.bytes(&bytes)
    }

    fn refuse(&mut self, call: u64, code: &str, retry_after_ms: u32) -> Vec<Effect<u64>> {
        let error = ErrorReply { code, detail: "d", hint: "h", retry_after_ms, version: 0 };
        self.frame(call, Flags::RESPONSE, &error)
    }

    /// What the session has written since the last look.
    fn read(&mut self) -> Vec<Read> {
        let output = self.session.output().to_vec();
        self.session.on_written(output.len());
        read_frames(&mut self.node, &output)
    }

    /// The calls of what was written since the last look.
    fn calls(&mut self) -> Vec<u64> {
        let calls = self.read().into_iter().filter_map(|read| match read {
            Read::Submit { call, .. } | Read::Query { call, .. } => Some(call),
            Read::Hello | Read::Other(..) => None,
        });
        calls.collect()
    }

    /// Sequence and bodies of what was written since the last look.
    fn submits(&mut self) -> Vec<(u64, String)> {
        let submits = self.read().into_iter().filter_map(|read| match read {
            Read::Submit { sequence, bodies, .. } => Some((sequence, bodies.join(" "))),
            _ => None,
        });
        submits.collect()
    }
}

fn kind_of<'m, M: Message<'m>>(_: &M) -> Kind {
    M::KIND
}

fn hello(version_min: u8, version_max: u8) -> Hello<'static> {
    Hello { version_min, version_max, node: 1, program: "a test", ..Hello::of(Hello::BOTH) }
}

fn read_frames(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Read> {
    let mut read = Vec::new();
    while !bytes.is_empty() {
        let space = decoder.space();
        let here = space.len().min(bytes.len());
        space[..here].copy_from_slice(&bytes[..here]);
        bytes = &bytes[here..];
        decoder.filled(here);
        while let Some(frame) = decoder.next().unwrap() {
            let (kind, call) = (frame.header.kind, frame.header.call);
            read.push(match kind {
                Kind::HELLO => {
                    let hello = Hello::decode(frame.payload).unwrap();
                    assert_eq!((hello.role, hello.node), (Hello::CLIENT, 0));
                    Read::Hello
                }
                Kind::SUBMIT => {
                    let submit = wire::Submit::decode(frame.payload).unwrap();
                    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
                    let bodies = submit.messages.iter().map(text).collect();
                    let (producer, sequence) = (submit.producer, submit.sequence);
                    Read::Submit { call, producer, sequence, bodies }
                }
                Kind::QUERY => {
                    let path = Query::decode(frame.payload).unwrap().path.to_owned();
                    Read::Query { call, path }
                }
                other => Read::Other(other, call),
            });
        }
    }
    read
}

fn accepted(token: u64, id: u64) -> Effect<u64> {
    let outcome = Outcome::Accepted;
    let result = Ok(Submitted { id: MessageId(id), outcome, workflows: Vec::new() });
    Effect::Submitted { token, bytes: token.to_string().len(), result }
}

/// The errors among effects, with the messages that they are of.
fn errors(effects: Vec<Effect<u64>>) -> Vec<(u64, ClientError)> {
    let errors = effects.into_iter().filter_map(|effect| match effect {
        Effect::Submitted { token, result: Err(error), .. } => Some((token, error)),
        _ => None,
    });
    errors.collect()
}

fn troubles(effects: Vec<Effect<u64>>) -> Vec<Trouble> {
    let troubles = effects.into_iter().filter_map(|effect| match effect {
        Effect::Failed { trouble, .. } => Some(trouble),
        _ => None,
    });
    troubles.collect()
}

#[test]
fn messages_that_wait_together_travel_together_and_each_has_its_own_result() {
    let mut bench = Bench::known(options());
    bench.submit(1..7);
    assert_eq!(bench.turn(), []);
    let [Read::Submit { call: first, .. }, Read::Submit { call: second, sequence, bodies, .. }] =
        &bench.read()[..]
    else {
        panic!("two submits")
    };
    assert_eq!((*sequence, &bodies.join(" ")[..]), (6, "5 6"));
    // Answers come in any order.
    assert_eq!(bench.accept(*second, &[15, 16]), [accepted(5, 15), accepted(6, 16)]);
    let rest = bench.accept(*first, &[11, 12, 13, 14]);
    assert_eq!(rest, [accepted(1, 11), accepted(2, 12), accepted(3, 13), accepted(4, 14)]);
    assert_eq!(bench.session.deadline(), None, "nothing is left to do");
}

#[test]
fn a_new_producer_has_one_submit_on_its_way_until_its_first_message_is_accepted() {
    let mut bench = Bench::open(options());
    bench.submit(0..6);
    bench.turn();
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    bench.accept(calls[0], &[1, 2, 3, 4]);
    bench.turn();
    assert_eq!(bench.submits(), [(5, "4 5".to_owned())]);
}

#[test]
fn a_message_waits_for_company_as_long_as_it_lingers_or_until_a_flush() {
    let mut bench = Bench::known(Options { linger: 5 * MILLISECOND, ..options() });
    bench.submit(1..3);
    bench.turn();
    assert_eq!(bench.submits(), []);
    bench.until_deadline();
    assert_eq!(bench.submits(), [(2, "1 2".to_owned())], "after its time");
    bench.submit(3..7);
    bench.turn();
    assert_eq!(bench.submits(), [(4, "3 4 5 6".to_owned())], "full");
    let mut bench = Bench::known(Options { linger: 5 * MILLISECOND, ..options() });
    bench.submit(1..3);
    bench.session.on_flush();
    bench.turn();
    assert_eq!(bench.submits(), [(2, "1 2".to_owned())], "flushed");
}

#[test]
fn a_lost_answer_is_asked_for_again_at_the_next_address_under_the_same_numbers() {
    let mut bench = Bench::known(options());
    bench.submit(1..4);
    bench.turn();
    let before = bench.submits();
    bench.session.on_disconnected(bench.now, Trouble::Closed, &mut bench.out);
    let failed = Effect::Failed { address: 0, trouble: Trouble::Closed };
    assert_eq!(bench.out.take(), [Effect::Disconnect, failed]);
    assert_eq!(bench.turn(), []);
    assert_eq!(bench.until_deadline(), [Effect::Connect { address: 1 }]);
    bench.greet();
    bench.turn();
    let [Read::Submit { call, producer: 7, sequence, bodies }] = &bench.read()[..] else {
        panic!("one submit of the same producer")
    };
    assert_eq!(before, [(*sequence, bodies.join(" "))]);
    let names: &[&str] = &["fraud_check"];
    let duplicate = |id| wire::Answer::Duplicate { id, workflows: names };
    let results = bench.answer(*call, [11, 12, 13].into_iter().map(duplicate));
    let outcome = Outcome::Duplicate;
    let workflows = vec!["fraud_check".to_owned()];
    let result = Ok(Submitted { id: MessageId(12), outcome, workflows });
    assert_eq!(results[1], Effect::Submitted { token: 2, bytes: 1, result });
}

#[test]
fn a_refusal_that_passes_is_tried_again_after_the_time_that_the_node_names() {
    let mut bench = Bench::known(options());
    bench.submit(1..3);
    bench.turn();
    let call = bench.calls()[0];
    assert_eq!(bench.refuse(call, "overloaded", 700), []);
    bench.submit(3..4);
    bench.turn();
    assert_eq!(bench.submits(), [], "nothing new meanwhile, either");
    bench.pass(699 * MILLISECOND);
    assert_eq!(bench.submits(), []);
    assert_eq!(bench.until_deadline(), []);
    assert_eq!(bench.submits(), [(2, "1 2".to_owned()), (4, "3".to_owned())]);
}

#[test]
fn of_a_submit_of_which_some_were_refused_those_alone_are_sent_again() {
    let mut bench = Bench::known(options());
    bench.submit(1..5);
    bench.turn();
    let call = bench.calls()[0];
    let refused = |code| wire::Answer::Refused { code, detail: "", hint: "", retry_after_ms: 0 };
    let accepted = |id| wire::Answer::Accepted { id, workflows: &[][..] };
    let answers = [accepted(1), refused("keys_full"), accepted(3), refused("overloaded")];
    assert_eq!(bench.answer(call, answers.into_iter()).len(), 2);
    bench.until_deadline();
    assert_eq!(bench.submits(), [(3, "2".to_owned()), (5, "4".to_owned())]);
}

#[test]
fn a_refusal_because_of_one_message_does_not_cost_the_others() {
    let mut bench = Bench::known(Options { in_flight_max: 1, ..options() });
    bench.submit(1..5);
    let mut seen = Vec::new();
    let mut failed = Vec::new();
    for _ in 0..6 {
        bench.turn();
        for read in bench.read() {
            let Read::Submit { call, bodies, .. } = read else { panic!("only submits") };
            seen.push(bodies.join(" "));
            if bodies.contains(&"3".to_owned()) {
                failed.extend(errors(bench.refuse(call, "bad_json", 0)));
            } else {
                let ids: Vec<_> = bodies.iter().map(|body| body.parse().unwrap()).collect();
                assert_eq!(bench.accept(call, &ids).len(), ids.len());
            }
        }
    }
    assert_eq!(seen, ["1 2 3 4", "1 2", "3 4", "3", "4"]);
    let [(3, ClientError::Refused { code, .. })] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(code, "bad_json");
}

#[test]
fn messages_of_a_producer_that_was_forgotten_get_a_new_one_when_they_were_never_sent_before() {
    let mut bench = Bench::known(options());
    bench.submit(1..3);
    bench.turn();
    let call = bench.calls()[0];
    assert_eq!(bench.refuse(call, "unknown_producer", 0), []);
    bench.turn();
    let [Read::Submit { call, producer, sequence: 1, bodies }] = &bench.read()[..] else {
        panic!("one submit from 1 on")
    };
    assert_ne!(*producer, 7);
    assert_eq!(bodies.join(" "), "1 2");
    assert_eq!(bench.accept(*call, &[1, 2]), [accepted(1, 1), accepted(2, 2)]);
}

#[test]
fn an_answer_that_is_too_large_to_be_sent_says_nothing_of_the_message() {
    let mut bench = Bench::known(options());
    bench.submit(1..2);
    bench.turn();
    let call = bench.calls()[0];
    assert_eq!(bench.refuse(call, wire::words::ANSWER_TOO_LARGE, 0), []);
    bench.until_deadline();
    let call = bench.calls()[0];
    let errors = errors(bench.refuse(call, "unknown_producer", 0));
    assert!(matches!(&errors[..], [(1, error)] if error.is_in_doubt()), "{errors:?}");
}

#[test]
fn messages_of_a_forgotten_producer_that_may_have_been_accepted_are_unknown() {
    let mut bench = Bench::known(options());
    bench.submit(1..2);
    bench.turn();
    bench.calls();
    bench.session.on_disconnected(bench.now, Trouble::Closed, &mut bench.out);
    bench.out.take();
    bench.until_deadline();
    bench.greet();
    bench.turn();
    let call = bench.calls()[0];
    let errors = errors(bench.refuse(call, "unknown_producer", 0));
    let [(1, error @ ClientError::Unknown { producer: 7, sequence: 2, attempts: 2, .. })] =
        &errors[..]
    else {
        panic!("{errors:?}")
    };
    assert!(error.is_in_doubt());
    bench.turn();
    assert_eq!(bench.submits(), [], "it is not sent as new");
}

#[test]
fn what_gets_no_answer_in_time_is_unknown_and_what_was_not_sent_is_not() {
    let mut bench = Bench::known(Options { in_flight_max: 1, batch_messages_max: 1, ..options() });
    bench.submit(1..3);
    bench.turn();
    assert_eq!(bench.submits(), [(2, "1".to_owned())]);
    let late = bench.pass(options().answer_timeout);
    let after = options().answer_timeout;
    assert_eq!(troubles(late), [Trouble::AnswerTimeout { after }]);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        ended.extend(errors(bench.until_deadline()));
    }
    assert_eq!(bench.now.instant, Instant(1) + options().give_up_after);
    let [(2, ClientError::NotSent { .. }), (1, ClientError::Unknown { attempts: 1, .. })] =
        &ended[..]
    else {
        panic!("{ended:?}")
    };
    let text = ended[1].1.to_string();
    let expected = "sent 1 times as sequence 2 of producer 0000000000000007, its fate is not known";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn a_message_refused_until_the_end_is_refused_not_unknown() {
    let mut bench = Bench::known(options());
    bench.submit(1..2);
    bench.turn();
    let mut ended = Vec::new();
    while ended.is_empty() {
        for call in bench.calls() {
            bench.refuse(call, "overloaded", 900);
        }
        ended = errors(bench.until_deadline());
    }
    let [(1, ClientError::Refused { code, .. })] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(code, "overloaded");
}

#[test]
fn a_node_that_cannot_serve_is_left_for_another_once_it_has_answered() {
    let mut bench = Bench::known(options());
    bench.submit(1..8);
    bench.turn();
    let calls = bench.calls();
    bench.refuse(calls[0], "stopping", 0);
    bench.turn();
    assert_eq!(bench.submits(), [], "nothing new is sent to it");
    assert_eq!(bench.accept(calls[1], &[5, 6, 7]).len(), 3);
    assert!(bench.turn().contains(&Effect::Disconnect));
    assert_eq!(bench.until_deadline(), [Effect::Connect { address: 1 }]);
}

#[test]
fn a_query_that_waits_does_not_hold_the_client_at_a_node_that_cannot_serve() {
    let mut bench = Bench::known(options());
    bench.session.on_query(bench.now, 1, "/api/v1/events?wait=60s".to_owned());
    bench.submit(1..2);
    bench.turn();
    let calls = bench.calls();
    bench.refuse(calls[1], "stopping", 0);
    assert!(bench.turn().contains(&Effect::Disconnect));
    assert_eq!(bench.until_deadline(), [Effect::Connect { address: 1 }]);
}

#[test]
fn a_number_that_another_client_used_is_a_conflict() {
    let mut bench = Bench::known(options());
    bench.submit(1..2);
    bench.turn();
    let call = bench.calls()[0];
    let answers = [wire::Answer::Conflict { id: 5 }];
    let errors = errors(bench.answer(call, answers.into_iter()));
    let conflict = ClientError::Conflict { producer: 7, sequence: 2, first: MessageId(5) };
    assert_eq!(errors, [(1, conflict)]);
}

#[test]
fn a_query_is_answered_refused_asked_again_or_given_up() {
    let mut bench = Bench::open(options());
    bench.session.on_query(bench.now, 1, "/a".to_owned());
    bench.session.on_query(bench.now, 2, "/b".to_owned());
    bench.turn();
    let calls = bench.calls();
    let refused = bench.refuse(calls[1], "overloaded", 0);
    let [Effect::Queried { token: 2, result: Err(ClientError::Refused { .. }) }] = &refused[..]
    else {
        panic!("{refused:?}")
    };
    bench.session.on_disconnected(bench.now, Trouble::Closed, &mut bench.out);
    bench.out.take();
    bench.until_deadline();
    bench.greet();
    bench.turn();
    let [Read::Query { call, path }] = &bench.read()[..] else { panic!("asked again") };
    assert_eq!(path, "/a");
    let result = QueryResult { status: 404, content_type: "text/plain", body: b"no" };
    let answered = bench.frame(*call, Flags::RESPONSE, &result);
    let answer =
        Answer { status: 404, content_type: "text/plain".to_owned(), body: b"no".to_vec() };
    assert_eq!(answered, [Effect::Queried { token: 1, result: Ok(answer) }]);
    bench.session.on_query(bench.now, 3, "/c".to_owned());
    let given_up = bench.pass(options().give_up_after);
    let [Effect::Queried { token: 3, result: Err(ClientError::NoAnswer { .. }) }] = &given_up[..]
    else {
        panic!("{given_up:?}")
    };
}

#[test]
fn a_query_that_asks_the_node_to_wait_is_given_that_time_besides() {
    let mut bench = Bench::open(options());
    bench.session.on_query(bench.now, 1, "/api/v1/events?after=3&wait=60s".to_owned());
    bench.turn();
    let call = bench.calls()[0];
    assert_eq!(bench.pass(options().answer_timeout), [], "the connection is as good as before");
    assert_eq!(bench.pass(Duration::from_secs(50)), []);
    let result = QueryResult { status: 200, content_type: "text/plain", body: b"none" };
    let answered = bench.frame(call, Flags::RESPONSE, &result);
    assert!(matches!(&answered[..], [Effect::Queried { token: 1, result: Ok(_) }]), "{answered:?}");
    // One that is not answered then is late like any other.
    bench.session.on_query(bench.now, 2, "/api/v1/events?wait=500ms".to_owned());
    bench.turn();
    let late = bench.pass(options().answer_timeout + Duration::from_millis(500));
    let after = options().answer_timeout;
    assert_eq!(troubles(late), [Trouble::AnswerTimeout { after }]);
}

#[test]
fn the_time_to_wait_is_read_from_the_path() {
    let rows = [
        ("/a", 0),
        ("/a?wait=30s", 30_000),
        ("/a?after=3&wait=500ms&limit=1", 500),
        ("/a?wait=61s", 60_000),
        ("/a?wait=18446744073709551615s", 60_000),
        ("/a?wait=", 0),
        ("/a?wait=s", 0),
        ("/a?await=3s", 0),
        ("/wait=3s", 0),
    ];
    for (path, millis) in rows {
        assert_eq!(wait_of(path), Duration::from_millis(millis), "{path}");
    }
}

#[test]
fn a_node_that_greets_badly_is_told_apart_by_what_is_wrong() {
    type Say = fn(&mut Bench) -> Vec<Effect<u64>>;
    let rows: [(Say, &str); 7] = [
        (|b| b.frame(0, Flags::RESPONSE, &hello(2, 3)), "speaks versions 2 to 3 of the protocol"),
        (|b| b.refuse(0, "overloaded", 0), "refused (overloaded): d; h"),
        (|b| b.frame(0, Flags::NONE, &wire::Ping {}), "ping came before the hello"),
        (
            |b| b.frame(0, Flags::RESPONSE, &Hello { payload_bytes_max: 5, ..hello(1, 1) }),
            "takes payloads of 5 bytes",
        ),
        (|b| b.bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "is not the protocol"),
        (|b| b.bytes(b"DIST\x02"), "speaks versions 2 to 2 of the protocol, this client 1"),
        (|b| b.until_deadline(), "no connection within 3s"),
    ];
    for (say, expected) in rows {
        let mut bench = Bench::new(options());
        bench.turn();
        bench.session.on_connected(bench.now);
        let troubles = troubles(say(&mut bench));
        assert!(troubles[0].to_string().contains(expected), "{expected}: {troubles:?}");
    }
}

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    type Say = fn(&mut Bench, u64) -> Vec<Effect<u64>>;
    let rows: [(Say, &str); 5] = [
        (|b, call| b.accept(call, &[1]), "1 results came for 2 messages"),
        (|b, call| b.accept(call + 1, &[1, 2]), "which was not made"),
        (|b, call| b.frame(call, Flags::RESPONSE, &hello(1, 1)), "which was not made"),
        (|b, _| b.bytes(b"no frame"), "the peer speaks something else"),
        (|b, _| b.refuse(0, "internal", 0), "refused (internal)"),
    ];
    for (say, expected) in rows {
        let mut bench = Bench::known(options());
        bench.submit(1..3);
        bench.turn();
        let call = bench.calls()[0];
        let troubles = troubles(say(&mut bench, call));
        assert!(troubles[0].to_string().contains(expected), "{expected}: {troubles:?}");
        bench.until_deadline();
        bench.greet();
        bench.turn();
        assert_eq!(bench.submits(), [(2, "1 2".to_owned())], "nothing is lost with it");
    }
}

#[test]
fn a_ping_is_answered_and_an_unknown_request_refused() {
    let mut bench = Bench::open(options());
    bench.frame(5, Flags::NONE, &wire::Ping {});
    bench.frame(6, Flags::NONE, &Query { path: "/" });
    assert_eq!(bench.read(), [Read::Other(Kind::PING, 5), Read::Other(Kind::ERROR, 6)]);
}

#[test]
fn when_it_closes_everything_has_the_result_that_is_known() {
    let mut bench = Bench::known(Options { in_flight_max: 1, batch_messages_max: 1, ..options() });
    bench.submit(1..3);
    bench.session.on_query(bench.now, 1, "/a".to_owned());
    bench.turn();
    bench.session.on_close(&mut bench.out);
    let effects = bench.out.take();
    let closed = Effect::Queried { token: 1, result: Err(ClientError::Closed) };
    assert_eq!(effects.last(), Some(&closed));
    let errors = errors(effects);
    let [(2, ClientError::Closed), (1, ClientError::Unknown { .. })] = &errors[..] else {
        panic!("{errors:?}")
    };
}

#[test]
fn an_idle_session_connects_again_only_when_there_is_something_to_send() {
    let mut bench = Bench::known(options());
    bench.session.on_disconnected(bench.now, Trouble::Closed, &mut bench.out);
    bench.out.take();
    assert_eq!(bench.session.deadline(), None);
    bench.pass(Duration::from_secs(10));
    bench.submit(1..2);
    assert_eq!(bench.turn(), [Effect::Connect { address: 1 }]);
}

#[test]
fn a_node_that_closes_at_once_is_tried_ever_more_rarely() {
    let mut bench = Bench::new(Options { give_up_after: Duration::from_mins(1), ..options() });
    bench.submit(0..1);
    let mut attempts = 0;
    bench.turn();
    while errors(bench.until_deadline()).is_empty() {
        attempts += 1;
        bench.session.on_disconnected(bench.now, Trouble::Closed, &mut bench.out);
        bench.out.take();
    }
    // Six pauses up to 2 s, then one every 1 to 2 s.
    assert!((30..=66).contains(&attempts), "{attempts}");
}

/// Something that a node may say, wrong or right, whatever it was asked.
fn saying(kind: u8, call: u64, count: usize, bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    let kind = match kind {
        0 => {
            let answers = (0..count).map(|at| match bytes.get(at).map_or(0, |byte| byte % 4) {
                0 => wire::Answer::Accepted { id: 1, workflows: ["one"] },
                1 => wire::Answer::Duplicate { id: 2, workflows: ["two"] },
                2 => wire::Answer::Conflict { id: 3 },
                _ => wire::Answer::Refused {
                    code: ["overloaded", "unknown_producer", "bad_json", "stopping"][at % 4],
                    detail: "",
                    hint: "",
                    retry_after_ms: 0,
                },
            });
            wire::write_submit_response(&mut payload, answers);
            Kind::RESPONSE
        }
        1 => {
            let codes = ["overloaded", "unknown_producer", "bad_json", "stopping", "internal"];
            let error = ErrorReply {
                code: codes[count % codes.len()],
                detail: "",
                hint: "",
                retry_after_ms: u32::MAX,
                version: 0,
            };
            error.encode(&mut payload);
            Kind::ERROR
        }
        2 => {
            QueryResult { status: 200, content_type: "", body: bytes }.encode(&mut payload);
            Kind::QUERY_RESULT
        }
        3 => Kind::PING,
        4 => Kind::CANCEL,
        5 => {
            hello(1, 1).encode(&mut payload);
            Kind::HELLO
        }
        6 => {
            payload.extend_from_slice(bytes);
            [Kind::RESPONSE, Kind::ERROR, Kind::QUERY_RESULT, Kind::HELLO][count % 4]
        }
        _ => {
            payload.extend_from_slice(bytes);
            Kind(u16::try_from(count).unwrap())
        }
    };
    let flags = if count % 5 == 4 { Flags::NONE } else { Flags::RESPONSE };
    let mut frame = Vec::new();
    let now = Now { instant: Instant(1), wall: UnixMicros(1) };
    wire::write_frame(&mut frame, &head(now, kind, flags, call), |out| out.extend(&payload));
    if kind == Kind(7) { bytes.to_vec() } else { frame }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_node_says_every_message_and_query_gets_one_result(
        sayings in proptest::collection::vec(
            (0_u8..8, 0_u64..8, 0_usize..9, proptest::collection::vec(any::<u8>(), 0..12)),
            0..60,
        ),
    ) {
        let mut bench = Bench::open(Options { linger: Duration::ZERO, ..options() });
        let mut results = 0;
        let count = |effects: &[Effect<u64>]| {
            let results = effects.iter().filter(|effect| {
                matches!(effect, Effect::Submitted { .. } | Effect::Queried { .. })
            });
            results.count()
        };
        bench.submit(0..20);
        bench.session.on_query(bench.now, 1, "/a".to_owned());
        bench.session.on_query(bench.now, 2, "/b".to_owned());
        results += count(&bench.turn());
        for (kind, call, messages, bytes) in sayings {
            let effects = bench.bytes(&saying(kind, call, messages, &bytes));
            results += count(&effects);
            let mut effects = bench.turn();
            results += count(&effects);
            if bench.session.deadline().is_some() && matches!(bench.session.state.link, Link::Down { .. }) {
                effects = bench.until_deadline();
                results += count(&effects);
            }
            if effects.iter().any(|effect| matches!(effect, Effect::Connect { .. })) {
                bench.greet();
            }
        }
        // Nobody says anything any more.
        while bench.session.deadline().is_some() {
            results += count(&bench.until_deadline());
            bench.session.on_disconnected(bench.now, Trouble::Closed, &mut bench.out);
            results += count(&bench.out.take());
        }
        prop_assert_eq!(results, 22);
    }
}
