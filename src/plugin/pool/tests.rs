use super::*;
use proptest::prelude::*;

/// A pool, its clock, and the processes that it believes in.
struct Bench {
    pool: Pool,
    now: Instant,
    out: Outbox<Effect>,
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Bench {
    fn new(threads: u32, processes: u32) -> Self {
        let manifest = Manifest { threads, processes, ..Manifest::default() };
        let pool = Pool::new(&manifest, Duration::from_secs(10));
        let mut bench = Self { pool, now: Instant(1), out: Outbox::new() };
        bench.pool.on_open(bench.now, &mut bench.out);
        assert_eq!(bench.effects(), [Effect::Start(1)]);
        bench.ready(1);
        bench
    }

    fn effects(&mut self) -> Vec<Effect> {
        self.out.take()
    }

    fn ready(&mut self, child: Child) {
        self.pool.on_ready(self.now, child, &mut self.out);
    }

    fn want(&mut self, key: u64, timeout: Option<Duration>) {
        self.pool.on_wanted(self.now, Work::Task(key), timeout, &mut self.out);
    }

    fn result(&mut self, child: Child, ticket: Ticket, result: Result<Vec<u8>, TaskError>) {
        self.pool.on_result(self.now, child, ticket, result, &mut self.out);
    }

    fn ended(&mut self, child: Child, end: &End) {
        self.pool.on_ended(self.now, child, end, &mut self.out);
    }

    /// Goes to the next deadline, which must be `after` from now.
    fn wait(&mut self, after: Duration) {
        assert_eq!(self.pool.deadline(), Some(self.now + after));
        self.now = self.now + after;
        self.pool.on_deadline(self.now, &mut self.out);
    }
}

fn run(child: Child, ticket: Ticket, key: u64) -> Effect {
    Effect::Run { child, ticket, work: Work::Task(key), left: None }
}

fn code_of(effects: &[Effect], key: u64) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Ended { work, outcome } if *work == Work::Task(key) => {
            Some(outcome.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok"))
        }
        _ => None,
    })
}

fn crash(culprit: Option<Ticket>) -> End {
    End { culprit, how: "signal 11".to_owned(), ..End::default() }
}

#[test]
fn work_goes_to_free_threads_in_order_and_a_second_process_starts_for_more() {
    let mut bench = Bench::new(2, 2);
    for key in 1..=3 {
        bench.want(key, None);
    }
    assert_eq!(bench.effects(), [run(1, 1, 1), run(1, 2, 2), Effect::Start(2)]);
    // One that is starting is counted on: no third.
    bench.want(4, None);
    assert_eq!(bench.effects(), []);
    bench.ready(2);
    assert_eq!(bench.effects(), [run(2, 3, 3), run(2, 4, 4)]);
    bench.want(5, None);
    assert_eq!(bench.effects(), []);
    bench.result(2, 3, Ok(vec![1]));
    let ended = Effect::Ended { work: Work::Task(3), outcome: Ok(vec![1]) };
    assert_eq!(bench.effects(), [ended, run(2, 5, 5)]);
    let counts = bench.pool.counts();
    assert_eq!((counts.waiting, counts.running, counts.children, counts.succeeded), (0, 4, 2, 1));
}

#[test]
fn a_task_out_of_time_is_told_and_then_killed_and_the_others_run_again() {
    let mut bench = Bench::new(2, 1);
    bench.want(1, Some(ms(500)));
    bench.want(2, None);
    bench.effects();
    bench.wait(ms(500));
    assert_eq!(bench.effects(), [Effect::Cancel { child: 1, ticket: 1 }]);
    // The process is asked whether it lives meanwhile.
    bench.wait(ms(500));
    assert_eq!(bench.effects(), [Effect::Ping(1)]);
    bench.pool.on_pong(bench.now, 1);
    bench.wait(ms(500));
    let effects = bench.effects();
    assert!(matches!(effects[..], [Effect::Killed { .. }, Effect::Kill(1)]), "{effects:?}");
    assert_eq!(bench.pool.deadline(), None);
    bench.ended(1, &End { killed: true, ..End::default() });
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 1), Some("timeout"));
    assert_eq!(effects[1..], [Effect::Start(2)]);
    bench.ready(2);
    assert_eq!(bench.effects(), [run(2, 3, 2)]);
}

#[test]
fn a_task_that_gives_up_in_time_ends_for_the_reason_that_it_was_told_for() {
    for (result, expected) in
        [(Err(TaskError::lasting("gave_up", "")), "worker_stopped"), (Ok(b"1".to_vec()), "ok")]
    {
        let mut bench = Bench::new(1, 1);
        bench.want(1, None);
        bench.effects();
        bench.pool.on_stop(bench.now, Work::Task(1), false, &mut bench.out);
        assert_eq!(bench.effects(), [Effect::Cancel { child: 1, ticket: 1 }]);
        bench.result(1, 1, result);
        assert_eq!(code_of(&bench.effects(), 1), Some(expected));
    }
}

#[test]
fn what_waits_ends_at_once_when_it_is_stopped_or_out_of_time() {
    let mut bench = Bench::new(1, 1);
    for (key, timeout) in [(1, None), (2, None), (3, Some(ms(10)))] {
        bench.want(key, timeout);
    }
    bench.effects();
    bench.pool.on_stop(bench.now, Work::Task(2), false, &mut bench.out);
    assert_eq!(code_of(&bench.effects(), 2), Some("worker_stopped"));
    bench.wait(ms(10));
    assert_eq!(code_of(&bench.effects(), 3), Some("timeout"));
    bench.result(1, 1, Ok(vec![]));
    assert_eq!(code_of(&bench.effects(), 1), Some("ok"));
    assert_eq!(bench.pool.deadline(), None);
}

#[test]
fn the_task_that_ended_its_process_fails_and_the_others_run_again_once() {
    let mut bench = Bench::new(3, 1);
    for key in 1..=3 {
        bench.want(key, None);
    }
    bench.effects();
    bench.ended(1, &crash(Some(2)));
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 2), Some("plugin_crashed"));
    assert_eq!(effects.last(), Some(&Effect::Start(2)));
    bench.ready(2);
    assert_eq!(bench.effects(), [run(2, 4, 1), run(2, 5, 3)]);
    // Nobody knows who it was the second time: both have had their two.
    bench.ended(2, &crash(None));
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 1), Some("plugin_crashed"));
    assert_eq!(code_of(&effects, 3), Some("plugin_crashed"));
    assert_eq!(bench.pool.counts().crashes, 2);
}

#[test]
fn the_only_task_of_a_process_is_to_blame_unless_somebody_killed_it() {
    let mut bench = Bench::new(2, 1);
    bench.want(1, None);
    bench.ended(1, &crash(None));
    assert_eq!(code_of(&bench.effects(), 1), Some("plugin_crashed"));
    let mut bench = Bench::new(2, 1);
    bench.want(1, None);
    bench.ended(1, &End { killed: true, ..End::default() });
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 1), None);
    assert_eq!(effects.last(), Some(&Effect::Start(2)));
    // At its limit of memory it is another error.
    let mut bench = Bench::new(2, 1);
    bench.want(1, None);
    bench.ended(1, &End { out_of_memory: true, culprit: Some(1), ..End::default() });
    assert_eq!(code_of(&bench.effects(), 1), Some("plugin_memory"));
}

#[test]
fn a_process_that_ends_or_is_killed_is_told_with_what_it_ran_and_who_is_to_blame() {
    let mut bench = Bench::new(3, 1);
    for key in 1..=3 {
        bench.want(key, None);
    }
    bench.ended(1, &crash(Some(2)));
    let tasks = [1, 2, 3].map(Work::Task).to_vec();
    let told = bench.effects().into_iter().find_map(|effect| match effect {
        Effect::Crashed { works, culprit, .. } => Some((works, culprit)),
        _ => None,
    });
    assert_eq!(told, Some((tasks, Some(Work::Task(2)))));
    bench.ready(2);
    assert_eq!(bench.pool.work(2, 4), Some(Work::Task(1)));
    assert_eq!((bench.pool.work(2, 1), bench.pool.work(3, 4)), (None, None));
    bench.pool.on_nonsense(bench.now, 2, "so", &mut bench.out);
    let told = bench.effects().into_iter().find_map(|effect| match effect {
        Effect::Killed { works, .. } => Some(works),
        _ => None,
    });
    assert_eq!(told, Some([1, 3].map(Work::Task).to_vec()));
}

#[test]
fn a_process_that_is_given_up_while_it_starts_fails_what_waits_and_counts_as_a_crash() {
    let mut bench = Bench::new(1, 1);
    bench.ended(1, &crash(None));
    bench.want(1, None);
    assert!(bench.effects().contains(&Effect::Start(2)));
    bench.pool.on_nonsense(bench.now, 2, "so", &mut bench.out);
    assert_eq!(code_of(&bench.effects(), 1), Some("plugin_missing"));
    // Twice is one time.
    bench.pool.on_excess(bench.now, 2, "it has too many threads", &mut bench.out);
    assert_eq!((bench.effects(), bench.pool.crashes_in_a_row), (Vec::new(), 2));
}

#[test]
fn starts_come_later_and_later_after_the_second_crash_in_a_row() {
    let mut bench = Bench::new(1, 1);
    let wait_of = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Crashed { wait, .. } => Some(*wait),
            _ => None,
        })
    };
    bench.ended(1, &crash(None));
    let mut waits = vec![wait_of(&bench.effects()).unwrap()];
    for child in 2..=12 {
        bench.want(child, None);
        let wait = waits[waits.len() - 1];
        if !wait.is_zero() {
            assert_eq!(bench.effects(), []);
            bench.wait(wait);
        }
        assert_eq!(bench.effects(), [Effect::Start(child)]);
        bench.ended(child, &crash(None));
        let effects = bench.effects();
        assert_eq!(code_of(&effects, child), Some("plugin_crashed"));
        waits.push(wait_of(&effects).unwrap());
    }
    let expected = [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000];
    assert_eq!(waits, expected.map(ms));
    // One task that comes to an end of its own makes all good.
    bench.want(13, None);
    bench.wait(BACK_OFF_MAX);
    bench.ready(13);
    bench.result(13, 1, Ok(vec![]));
    bench.effects();
    bench.ended(13, &crash(None));
    assert_eq!(wait_of(&bench.effects()), Some(Duration::ZERO));
}

#[test]
fn a_process_that_cannot_load_fails_what_waits_and_is_tried_again_for_the_next() {
    let manifest = Manifest { threads: 1, processes: 1, ..Manifest::default() };
    let mut bench =
        Bench { pool: Pool::new(&manifest, ms(100)), now: Instant(1), out: Outbox::new() };
    bench.want(1, None);
    assert_eq!(bench.effects(), [Effect::Start(1)]);
    let error = TaskError::lasting(code::MISSING, "no such symbol");
    bench.pool.on_not_loaded(bench.now, 1, &error, &mut bench.out);
    let effects = bench.effects();
    assert_eq!(effects[0], Effect::Kill(1));
    let later = TaskError { retryable: true, ..error };
    assert_eq!(effects[1], Effect::Ended { work: Work::Task(1), outcome: Err(later) });
    bench.ended(1, &End::default());
    assert_eq!(bench.effects(), []);
    bench.want(2, None);
    assert_eq!(bench.effects(), [Effect::Start(2)]);
    // Not ready in time: the same.
    bench.wait(ms(100));
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 2), Some("plugin_missing"));
    assert!(effects.contains(&Effect::Kill(2)));
}

#[test]
fn a_silent_process_is_asked_and_killed_and_one_whose_node_stood_still_is_not() {
    let mut bench = Bench::new(1, 1);
    bench.want(1, None);
    bench.effects();
    bench.wait(PING_EVERY);
    assert_eq!(bench.effects(), [Effect::Ping(1)]);
    // The node itself stood still for a minute: it is given the whole time again.
    bench.pool.deadline();
    bench.now = bench.now + Duration::from_mins(1);
    bench.pool.on_deadline(bench.now, &mut bench.out);
    assert_eq!(bench.effects(), []);
    bench.wait(PONG_MAX);
    let effects = bench.effects();
    assert!(matches!(effects[..], [Effect::Killed { .. }, Effect::Kill(1)]), "{effects:?}");
    bench.ended(1, &End { killed: true, ..End::default() });
    assert_eq!(bench.effects(), [Effect::Start(2)]);
    // What it says now, or twice, is of no interest.
    bench.result(1, 1, Ok(vec![]));
    bench.ended(1, &End::default());
    bench.pool.on_nonsense(bench.now, 1, "late", &mut bench.out);
    assert_eq!(bench.effects(), []);
}

#[test]
fn a_closed_pool_ends_all_and_is_over_when_the_last_process_is_reaped() {
    let mut bench = Bench::new(1, 2);
    for key in 1..=3 {
        bench.want(key, None);
    }
    bench.ready(2);
    bench.effects();
    bench.pool.on_close(bench.now, ms(50), &mut bench.out);
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 3), Some("worker_stopped"));
    assert_eq!(effects.len(), 3, "{effects:?}");
    bench.result(1, 1, Ok(vec![]));
    let effects = bench.effects();
    assert_eq!(code_of(&effects, 1), Some("ok"));
    assert_eq!(effects.last(), Some(&Effect::Quit(1)));
    bench.ended(1, &End::default());
    bench.wait(ms(50));
    bench.ended(2, &End { killed: true, ..End::default() });
    assert_eq!(code_of(&bench.effects(), 2), Some("worker_stopped"));
    assert!(bench.pool.is_over());
    bench.want(4, None);
    assert_eq!(code_of(&bench.effects(), 4), Some("worker_stopped"));
}

#[test]
fn a_task_that_used_up_its_cpu_time_is_killed_at_once() {
    let mut bench = Bench::new(1, 1);
    bench.want(1, None);
    bench.effects();
    bench.pool.on_overran(bench.now, 1, 1, ms(200), &mut bench.out);
    let effects = bench.effects();
    assert_eq!(effects.last(), Some(&Effect::Kill(1)), "{effects:?}");
    bench.ended(1, &End { killed: true, ..End::default() });
    assert_eq!(code_of(&bench.effects(), 1), Some("timeout"));
}

/// What may happen to a pool from outside; processes and tickets are chosen from those that live.
#[derive(Clone, Debug)]
enum Event {
    Want(Option<u64>),
    Stop(usize, bool),
    Ready(usize),
    NotLoaded(usize),
    Result(usize, bool),
    Ended(usize, bool, bool),
    Nonsense(usize),
    Pass(u64),
    Close,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => proptest::option::of(1_u64..2_000).prop_map(Event::Want),
        1 => (0_usize..8, any::<bool>()).prop_map(|(index, now)| Event::Stop(index, now)),
        4 => (0_usize..4).prop_map(Event::Ready),
        1 => (0_usize..4).prop_map(Event::NotLoaded),
        6 => (0_usize..8, any::<bool>()).prop_map(|(index, ok)| Event::Result(index, ok)),
        2 => (0_usize..4, any::<bool>(), any::<bool>())
            .prop_map(|(index, known, killed)| Event::Ended(index, known, killed)),
        1 => (0_usize..4).prop_map(Event::Nonsense),
        4 => (0_u64..3_000).prop_map(Event::Pass),
        1 => Just(Event::Close),
    ]
}

/// What a driver sees: works given and not over, processes not reaped, what runs where.
#[derive(Default)]
struct Seen {
    given: std::collections::BTreeSet<u64>,
    over: std::collections::BTreeSet<u64>,
    running: BTreeMap<(Child, Ticket), u64>,
    alive: Vec<Child>,
}

impl Seen {
    fn look(&mut self, effects: Vec<Effect>, threads: usize) {
        for effect in effects {
            match effect {
                Effect::Start(child) => self.alive.push(child),
                Effect::Run { child, ticket, work: Work::Task(key), .. } => {
                    assert!(self.alive.contains(&child) && !self.over.contains(&key));
                    assert!(self.running.values().all(|running| *running != key));
                    self.running.insert((child, ticket), key);
                    let of_child = self.running.keys().filter(|(of, _)| *of == child);
                    assert!(of_child.count() <= threads);
                }
                Effect::Ended { work: Work::Task(key), .. } => {
                    assert!(self.given.contains(&key) && self.over.insert(key));
                    // Told only when nothing runs it any more.
                    assert!(self.running.values().all(|running| *running != key), "{key}");
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_work_ends_once_and_only_when_nothing_runs_it(
        events in proptest::collection::vec(event(), 1..120),
        threads in 1_u32..3,
        processes in 1_u32..3,
    ) {
        let manifest = Manifest { threads, processes, ..Manifest::default() };
        let mut pool = Pool::new(&manifest, ms(1_000));
        let mut out = Outbox::new();
        let mut now = Instant(1);
        let mut seen = Seen::default();
        pool.on_open(now, &mut out);
        let threads = threads as usize;
        // At the end all is closed, all that runs ends, and every process is reaped.
        let end = [Event::Close].into_iter().chain((0..200).flat_map(|_| {
            [Event::Ended(0, false, true), Event::Pass(60_000)]
        }));
        for (key, event) in (0..).zip(events.into_iter().chain(end)) {
            seen.look(out.take(), threads);
            let child = |index: usize| seen.alive.get(index).copied();
            match event {
                Event::Want(timeout) => {
                    seen.given.insert(key);
                    pool.on_wanted(now, Work::Task(key), timeout.map(ms), &mut out);
                }
                Event::Stop(index, at_once) => {
                    if let Some(key) = seen.given.iter().nth(index) {
                        pool.on_stop(now, Work::Task(*key), at_once, &mut out);
                    }
                }
                Event::Ready(index) => {
                    if let Some(child) = child(index) { pool.on_ready(now, child, &mut out); }
                }
                Event::NotLoaded(index) => {
                    let error = TaskError::lasting(code::MISSING, "");
                    if let Some(child) = child(index) {
                        pool.on_not_loaded(now, child, &error, &mut out);
                    }
                }
                Event::Result(index, ok) => {
                    let task = seen.running.keys().nth(index).copied();
                    if let Some((child, ticket)) = task {
                        seen.running.remove(&(child, ticket));
                        let result = if ok { Ok(vec![]) } else { Err(TaskError::lasting("x", "")) };
                        pool.on_result(now, child, ticket, result, &mut out);
                    }
                }
                Event::Ended(index, known, killed) => {
                    if let Some(child) = child(index) {
                        seen.alive.retain(|alive| *alive != child);
                        let mut tasks = seen.running.keys().filter(|(of, _)| *of == child);
                        let culprit = tasks.next().map(|(_, ticket)| *ticket).filter(|_| known);
                        seen.running.retain(|(of, _), _| *of != child);
                        let end = End { culprit, killed, ..End::default() };
                        pool.on_ended(now, child, &end, &mut out);
                    }
                }
                Event::Nonsense(index) => {
                    if let Some(child) = child(index) { pool.on_nonsense(now, child, "x", &mut out); }
                }
                Event::Pass(count) => {
                    pool.deadline();
                    now = now + ms(count);
                    pool.on_deadline(now, &mut out);
                    // Nothing is due twice: a driver does not spin.
                    prop_assert!(pool.deadline().is_none_or(|deadline| deadline > now));
                }
                Event::Close => pool.on_close(now, ms(100), &mut out),
            }
            seen.look(out.take(), threads);
            let serving = pool.counts();
            prop_assert!(serving.children <= processes as usize);
            prop_assert_eq!(serving.running, seen.running.len());
        }
        prop_assert_eq!(&seen.given, &seen.over);
        prop_assert!(pool.is_over());
        prop_assert_eq!(pool.deadline(), None);
    }
}
