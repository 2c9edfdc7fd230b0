use super::*;
use crate::trace::{SpanBuffer, TraceContext};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const BYTES: usize = 1 << 20;

/// An exporter, its time, and what it told so far.
struct World {
    exporter: SpanExporter,
    now: Instant,
    out: Outbox<ExportEffect>,
    taken: u64,
    exported: u64,
    dropped: Vec<(u64, DropReason)>,
    said: Vec<String>,
    posts: usize,
}

impl World {
    fn new() -> Self {
        let resource = Resource {
            service: "distric".to_owned(),
            instance: "1".to_owned(),
            version: "0".to_owned(),
        };
        Self {
            exporter: SpanExporter::new(resource, BYTES, Prng::new(1)).unwrap(),
            now: Instant(0),
            out: Outbox::new(),
            taken: 0,
            exported: 0,
            dropped: Vec::new(),
            said: Vec::new(),
            posts: 0,
        }
    }

    /// Spans from the cores, and whether a request goes out.
    fn spans(&mut self, count: usize) -> bool {
        let buffer = SpanBuffer::off();
        let root = TraceContext { trace: 1, span: 0 };
        let span = buffer.span_of(TraceContext { trace: 1, span: 2 }, root, "receive");
        self.taken += count as u64;
        self.exporter.on_spans(self.now, std::iter::repeat_n(span, count), &mut self.out);
        self.gather()
    }

    fn answer(&mut self, answer: Answer) -> bool {
        self.exporter.on_answer(self.now, answer, &mut self.out);
        self.gather()
    }

    fn accept(&mut self) -> bool {
        self.answer(Answer::Accepted { rejected: 0 })
    }

    fn later(&mut self) -> bool {
        self.answer(Answer::Later { reason: "refused".to_owned(), pause: None })
    }

    fn stop(&mut self) -> bool {
        self.exporter.on_stop(self.now, &mut self.out);
        self.gather()
    }

    /// Time passes until the exporter's deadline.
    fn wait(&mut self) -> Duration {
        let due = self.exporter.deadline().expect("something waits");
        let waited = due.since(self.now);
        self.now = due;
        self.exporter.on_deadline(self.now, &mut self.out);
        assert!(self.gather(), "a deadline sends");
        waited
    }

    fn gather(&mut self) -> bool {
        let posts = self.posts;
        for effect in self.out.drain() {
            match effect {
                ExportEffect::Post { body } => {
                    assert!(body.len() <= BYTES);
                    self.posts += 1;
                }
                ExportEffect::Exported { spans } => self.exported += spans,
                ExportEffect::Dropped { spans, reason } => self.dropped.push((spans, reason)),
                ExportEffect::WentDown { reason } => self.said.push(format!("down: {reason}")),
                ExportEffect::CameUp { dropped } => self.said.push(format!("up: {dropped}")),
            }
        }
        assert!(self.posts <= posts + 1, "one request at a time");
        self.posts > posts
    }

    fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(spans, _)| spans).sum()
    }
}

#[test]
fn spans_go_out_five_seconds_after_the_first() {
    let mut world = World::new();
    assert!(!world.spans(1));
    world.now = world.now + SECOND;
    assert!(!world.spans(2));
    assert_eq!(world.wait(), 4 * SECOND);
    assert!(!world.accept());
    assert_eq!((world.exported, world.exporter.deadline()), (3, None));
}

#[test]
fn a_thousand_spans_go_out_at_once_and_the_rest_of_them_later() {
    let mut world = World::new();
    assert!(!world.spans(BATCH_SPANS_MAX - 1));
    assert!(world.spans(BATCH_SPANS_MAX + 2));
    assert!(!world.spans(5), "one request at a time");
    assert!(world.accept(), "another thousand is there");
    assert!(!world.accept());
    assert_eq!(world.wait(), EXPORT_INTERVAL);
    world.accept();
    assert_eq!((world.exported, world.posts), (2_006, 3));
    assert!(world.exporter.is_settled());
}

#[test]
fn exporter_down_is_told_once_asked_again_later_and_later_and_given_up() {
    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX);
    let mut pauses = Vec::new();
    for _ in 1..ATTEMPTS_MAX {
        assert!(!world.later());
        pauses.push(world.wait());
    }
    assert_eq!(world.said, ["down: refused"]);
    for (failure, pause) in pauses.iter().enumerate() {
        let most = PAUSE_MIN * (1 << failure);
        assert!(*pause >= most / 2 && *pause <= most, "{failure}: {pause:?}");
    }
    world.later();
    assert_eq!(world.dropped, [(1_000, DropReason::Unreachable)]);
    assert_eq!(world.exporter.deadline(), None, "nothing waits any more");
    // Spans that come now wait out the pause of those before them: nobody is asked in between.
    assert!(!world.spans(BATCH_SPANS_MAX));
    let pause = world.wait();
    assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX, "{pause:?}");
    world.accept();
    assert_eq!(world.said, ["down: refused", "up: 1000"]);
    assert_eq!((world.exported, world.dropped_total()), (1_000, 1_000));
}

#[test]
fn a_collector_that_is_away_fills_the_queue_and_no_more() {
    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX);
    world.later();
    world.spans(world.exporter.room());
    assert_eq!(world.exporter.room(), 0);
    world.wait();
    while world.accept() {}
    assert_eq!(world.exported, (BATCH_SPANS_MAX + QUEUE_SPANS_MAX) as u64);
}

#[test]
fn what_a_collector_will_never_take_is_dropped_and_does_not_hold_up_the_rest() {
    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX + 1);
    assert!(!world.answer(Answer::Never { reason: "404".to_owned() }));
    assert_eq!(world.dropped, [(1_000, DropReason::Rejected)]);
    assert!(!world.spans(BATCH_SPANS_MAX - 1), "not before the pause is over, batch or not");
    assert!(world.wait() >= PAUSE_MIN / 2);
    world.answer(Answer::Accepted { rejected: 9 });
    assert_eq!((world.dropped_total(), world.exported), (1_009, 991));
    assert_eq!(world.said, ["down: 404", "up: 1009"]);
    world.spans(1);
    world.wait();
    world.answer(Answer::Accepted { rejected: 9 });
    assert_eq!(world.dropped_total(), 1_010, "no more than were sent");
}

#[test]
fn a_collector_is_waited_for_as_it_asks_but_not_for_ever() {
    for (asked, least, most) in [(10, 10, 10), (3_600, 30, 30), (0, 0, 1)] {
        let mut world = World::new();
        world.spans(BATCH_SPANS_MAX);
        let pause = Some(asked * SECOND);
        world.answer(Answer::Later { reason: "429".to_owned(), pause });
        let waited = world.wait();
        assert!(waited >= least * SECOND && waited <= most * SECOND, "{asked}: {waited:?}");
    }
}

#[test]
fn a_stop_sends_what_waits_at_once() {
    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX / 2);
    assert!(world.stop());
    world.accept();
    assert!(world.exporter.is_settled());
    assert_eq!(world.exported, 500);

    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX);
    world.spans(BATCH_SPANS_MAX + 3);
    assert!(!world.stop(), "one is under way");
    while world.accept() {}
    assert!(world.exporter.is_settled());
    assert_eq!(world.exported, 2_003);
}

#[test]
fn a_stop_does_not_wait_for_a_collector_that_is_away() {
    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX + 3);
    world.later();
    assert!(!world.stop());
    assert!(world.exporter.is_settled());
    assert_eq!(world.dropped, [(1_003, DropReason::Stopped)]);

    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX + 3);
    world.stop();
    assert!(!world.later());
    assert!(world.exporter.is_settled());
    assert_eq!(world.dropped_total(), 1_003);
}

#[test]
fn an_end_without_an_answer_counts_what_is_lost() {
    let mut world = World::new();
    world.spans(BATCH_SPANS_MAX + 3);
    world.exporter.on_end(&mut world.out);
    world.gather();
    assert_eq!(world.dropped, [(1_003, DropReason::Stopped)]);
    assert!(world.exporter.is_settled());
}

#[test]
fn a_request_has_room_for_a_span_or_is_refused() {
    let resource =
        Resource { service: String::new(), instance: String::new(), version: String::new() };
    let error = SpanExporter::new(resource, 100, Prng::new(1)).unwrap_err();
    assert!(error.to_string().starts_with("100 bytes are too few"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens: no span is lost without being counted, and none is counted twice.
    #[test]
    fn every_span_is_exported_or_dropped_once(
        steps in prop::collection::vec((0_usize..1_500, 0_u8..5, 0_u64..9), 1..40),
    ) {
        let mut world = World::new();
        for (count, what, pause) in steps {
            world.spans(count.min(world.exporter.room()));
            if world.exporter.is_under_way {
                match what {
                    0 => world.accept(),
                    1 => world.later(),
                    2 => world.answer(Answer::Never { reason: "no".to_owned() }),
                    3 => world.answer(Answer::Accepted { rejected: pause }),
                    _ => world.answer(Answer::Later {
                        reason: "busy".to_owned(),
                        pause: Some(Duration::from_secs(pause)),
                    }),
                };
            } else if world.exporter.deadline().is_some() {
                world.wait();
            }
        }
        world.stop();
        while world.exporter.is_under_way {
            world.accept();
        }
        prop_assert!(world.exporter.is_settled());
        prop_assert_eq!(world.exported + world.dropped_total(), world.taken);
        let changes: Vec<_> = world.said.iter().map(|said| said.starts_with("down")).collect();
        let alternate = changes.iter().enumerate().all(|(at, down)| *down == (at % 2 == 0));
        prop_assert!(alternate, "{:?}", world.said);
    }
}
