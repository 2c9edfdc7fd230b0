//! One thread of the generator: its connections, served from one epoll.

use crate::connection::{Connection, Failure};
use crate::frame::Stamp;
use crate::options::{Door, Plan};
use crate::schedule::Schedule;
use crate::{frame, request};
use anyhow::Context as _;
use base::UnixMicros;
use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long answers are waited for once nothing more is sent.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How long a server that refuses every connection is tried again.
const LOST_AFTER: Duration = Duration::from_secs(3);

/// How often a connection that broke is opened again.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// The shortest sleep of an open loop. Waking for every request would take CPU from the server that
/// is measured; what a request waits for it is part of its latency.
const NAP: Duration = Duration::from_micros(100);

/// The longest sleep.
const DOZE: Duration = Duration::from_millis(100);

/// Bytes read at once. Several hundred answers.
const READ_BYTES: usize = 64 * 1024;

/// Sockets that one wait tells of at most.
const EVENTS_MAX: usize = 256;

/// Latencies above are counted as this. Unit: nanoseconds.
const LATENCY_MAX: u64 = 600_000_000_000;

/// The time of a run: it starts, is measured from `begin` to `end`, and answers are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Window {
    /// A run that starts now.
    pub(crate) fn from_now(warmup: Duration, duration: Duration) -> Self {
        let start = Instant::now();
        Self { start, begin: start + warmup, end: start + warmup + duration }
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What other threads may know of a thread while it runs.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answered: AtomicU64,
    errors: AtomicU64,
}

impl Progress {
    /// Requests answered well so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests that failed so far.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

/// What came of a run. Requests, not messages.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// Latencies of requests that were due in the window and answered well. Unit: nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Requests answered well.
    pub(crate) answered: u64,
    /// Of these, answered within the window.
    pub(crate) answered_in_window: u64,
    /// Requests that failed.
    pub(crate) failed: BTreeMap<Failure, u64>,
    /// Requests without an answer when the run ended.
    pub(crate) unanswered: u64,
    /// Requests that were due, and not sent as no connection was free.
    pub(crate) unsent: u64,
    /// Attempts to open a broken connection again that failed.
    pub(crate) refused: u64,
    /// The measured time that was used. Unit: nanoseconds.
    pub(crate) measured: u64,
}

impl Counts {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("the bounds are sound");
        Self {
            latency,
            answered: 0,
            answered_in_window: 0,
            failed: BTreeMap::new(),
            unanswered: 0,
            unsent: 0,
            refused: 0,
            measured: 0,
        }
    }

    /// Adds what came of another thread.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("equal bounds");
        self.answered += other.answered;
        self.answered_in_window += other.answered_in_window;
        for (failure, count) in &other.failed {
            *self.failed.entry(*failure).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.refused += other.refused;
        self.measured = self.measured.max(other.measured);
    }

    /// Answers, good or not.
    pub(crate) fn answers(&self) -> u64 {
        let refusals = self.failed.iter().filter(|(kind, _)| kind.is_answer());
        self.answered + refusals.map(|(_, count)| count).sum::<u64>()
    }

    /// Requests that failed.
    pub(crate) fn errors(&self) -> u64 {
        self.failed.values().sum()
    }

    fn fail(&mut self, failure: Failure, count: u64) {
        if count > 0 {
            *self.failed.entry(failure).or_default() += count;
        }
    }
}

/// A place for a connection. The permits of a connection that broke are told from those of the next
/// one in its place by their generation.
#[derive(Debug)]
struct Place {
    connection: Option<Connection>,
    generation: u32,
    /// Who numbers the connection's messages: one that breaks leaves numbers behind that are in doubt.
    producer: u64,
}

/// A request, ready to be patched and sent.
#[derive(Debug)]
enum Image {
    Http(request::Image),
    Binary(frame::Image),
}

/// One thread's part of a run.
#[derive(Debug)]
pub(crate) struct Generator {
    plan: Arc<Plan>,
    epoll: OwnedFd,
    places: Vec<Place>,
    /// Open loop: who may send next, one entry per request that may be in flight.
    permits: VecDeque<(usize, u32)>,
    /// Open loop: places with something to write; kept for its room.
    touched: Vec<usize>,
    /// Open loop: when requests are due.
    schedule: Option<Schedule>,
    image: Image,
    /// Tells one run from another.
    run: u64,
    thread: u64,
    /// Requests sent by this thread.
    sent: u64,
    /// Requests that this thread may send.
    sent_max: u64,
    /// Places without a connection.
    broken: Vec<usize>,
    retry_at: Instant,
    /// Since when no connection at all is open.
    lost_since: Option<Instant>,
    counts: Counts,
    progress: Arc<Progress>,
    buffer: Box<[u8]>,
}

impl Generator {
    /// Opens the connections of the `thread`-th thread.
    pub(crate) fn connect(
        plan: &Arc<Plan>,
        thread: usize,
        progress: Arc<Progress>,
    ) -> anyhow::Result<Self> {
        let share =
            |total: usize| total / plan.threads + usize::from(thread < total % plan.threads);
        let rest = u64::from((thread as u64) < plan.requests_max % plan.threads as u64);
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = u64::try_from(run.as_nanos()).unwrap_or_default();
        let mut generator = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot make an epoll")?,
            places: Vec::new(),
            permits: VecDeque::new(),
            touched: Vec::new(),
            schedule: (plan.rate > 0)
                .then(|| Schedule::new(plan.rate, plan.batch, thread, plan.threads)),
            image: match plan.door {
                Door::Http => Image::Http(request::Image::new(plan, run)),
                Door::Binary(_) => Image::Binary(frame::Image::new(plan)),
            },
            run,
            thread: thread as u64,
            sent: 0,
            sent_max: plan.requests_max / plan.threads as u64 + rest,
            broken: Vec::new(),
            retry_at: Instant::now(),
            lost_since: None,
            counts: Counts::new(),
            progress,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            plan: Arc::clone(plan),
        };
        for place in 0..share(plan.connections) {
            generator.places.push(Place { connection: None, generation: 0, producer: 0 });
            generator.open(place).with_context(|| {
                format!(
                    "no node answers at {} (connection {} of {}); start one with `distric-shard` \
                     or name it with {}",
                    plan.place(),
                    place + 1,
                    share(plan.connections),
                    if plan.door == Door::Http { "--url" } else { "--tcp" }
                )
            })?;
        }
        Ok(generator)
    }

    /// Sends and receives until the run is over.
    pub(crate) fn run(mut self, window: Window) -> anyhow::Result<Counts> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut stopped = None;
        if self.schedule.is_none() {
            for place in 0..self.places.len() {
                self.top_up(place, &window);
            }
        }
        loop {
            let now = Instant::now();
            let sending = now < window.end && self.sent < self.sent_max;
            if sending {
                self.reopen(now, &window)?;
                self.send_due(now, &window);
            } else {
                let in_flight = self.in_flight();
                let stopped_at = *stopped.get_or_insert(now);
                if in_flight == 0 || now >= stopped_at + GRACE {
                    self.counts.unanswered = in_flight as u64;
                    break;
                }
            }
            self.wait(now, sending, &window, &mut events)?;
            for (place, readable, writable) in events.drain(..) {
                self.on_event(place, readable, writable, &window);
            }
            self.progress.answered.store(self.counts.answered, Ordering::Relaxed);
            self.progress.errors.store(self.counts.errors(), Ordering::Relaxed);
        }
        Ok(self.finish(&window))
    }

    fn in_flight(&self) -> usize {
        let open = self.places.iter().filter_map(|place| place.connection.as_ref());
        open.map(Connection::in_flight).sum()
    }

    /// Counts what was due and not sent, and for how long was measured.
    fn finish(mut self, window: &Window) -> Counts {
        let end = window.nanos(window.end);
        if let Some(schedule) = self.schedule {
            while self.sent < self.sent_max && schedule.due(self.sent) < end {
                self.sent += 1;
                self.counts.unsent += 1;
            }
        }
        let ended = window.nanos(Instant::now()).min(end);
        self.counts.measured = ended.saturating_sub(window.nanos(window.begin));
        self.counts
    }

    /// Opens the connection of `place`.
    fn open(&mut self, place: usize) -> io::Result<()> {
        let connection = Connection::open(&self.plan)?;
        let data = epoll::EventData::new_u64(place as u64);
        epoll::add(&self.epoll, &connection, data, epoll::EventFlags::IN)?;
        let here = &mut self.places[place];
        here.connection = Some(connection);
        here.generation = here.generation.wrapping_add(1);
        let name = format!("{} {} {place} {}", self.run, self.thread, here.generation);
        // 0 stands for no producer.
        here.producer = base::hash64(name.as_bytes()) | 1;
        if self.schedule.is_some() {
            let permit = (place, here.generation);
            self.permits.extend(std::iter::repeat_n(permit, self.plan.pipeline));
        }
        Ok(())
    }

    /// Opens broken connections again, now and then.
    fn reopen(&mut self, now: Instant, window: &Window) -> anyhow::Result<()> {
        if self.broken.is_empty() || now < self.retry_at {
            return Ok(());
        }
        self.retry_at = now + RETRY_EVERY;
        while let Some(place) = self.broken.last().copied() {
            if let Err(error) = self.open(place) {
                self.counts.refused += 1;
                let all = self.broken.len() == self.places.len();
                let since = *self.lost_since.get_or_insert(now);
                if all && now >= since + LOST_AFTER {
                    return Err(error).with_context(|| {
                        format!(
                            "{} no longer answers, after {} good answers",
                            self.plan.place(),
                            self.counts.answered
                        )
                    });
                }
                return Ok(());
            }
            self.broken.pop();
            self.lost_since = None;
            if self.schedule.is_none() {
                self.top_up(place, window);
            }
        }
        Ok(())
    }

    /// The connection of `place` is of no use any more.
    fn lose(&mut self, place: usize, failure: Failure) {
        if let Some(connection) = self.places[place].connection.take() {
            self.counts.fail(failure, connection.in_flight() as u64);
            self.broken.push(place);
            // Dropping the connection closes it, which takes it out of the epoll too.
        }
    }

    /// Closed loop: sends until as many requests are in flight as may be.
    fn top_up(&mut self, place: usize, window: &Window) {
        let now = Instant::now();
        if now >= window.end {
            return;
        }
        let due = window.nanos(now);
        let in_flight = self.places[place].connection.as_ref().map_or(0, Connection::in_flight);
        for _ in in_flight..self.plan.pipeline {
            if self.sent < self.sent_max {
                self.append(place, due);
            }
        }
        self.flush(place);
    }

    /// Open loop: sends what is due, as far as there are permits.
    fn send_due(&mut self, now: Instant, window: &Window) {
        let Some(schedule) = self.schedule else { return };
        let now = window.nanos(now);
        let end = window.nanos(window.end);
        while self.sent < self.sent_max {
            let due = schedule.due(self.sent);
            if due > now || due >= end {
                break;
            }
            let Some((place, generation)) = self.permits.pop_front() else { break };
            if self.places[place].generation == generation
                && self.places[place].connection.is_some()
            {
                self.append(place, due);
                if self.touched.last() != Some(&place) {
                    self.touched.push(place);
                }
            }
        }
        // One write for all that is due on a connection.
        let mut touched = std::mem::take(&mut self.touched);
        touched.drain(..).for_each(|place| self.flush(place));
        self.touched = touched;
    }

    /// Puts the next request behind what `place` has to write.
    fn append(&mut self, place: usize, due: u64) {
        let here = &mut self.places[place];
        let Some(connection) = &mut here.connection else { return };
        let number = self.sent.wrapping_mul(self.plan.threads as u64).wrapping_add(self.thread);
        match &mut self.image {
            Image::Http(image) => image.append(&self.plan, number, &mut connection.out),
            Image::Binary(image) => {
                let sent_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let stamp = Stamp {
                    call: connection.begun + 1,
                    producer: here.producer,
                    sent_at: UnixMicros(u64::try_from(sent_at.as_micros()).unwrap_or_default()),
                };
                image.append(&self.plan, number, stamp, &mut connection.out);
            }
        }
        connection.on_request(due);
        self.sent += 1;
    }

    fn flush(&mut self, place: usize) {
        let Some(connection) = &mut self.places[place].connection else { return };
        match connection.flush() {
            Ok(done) if done == connection.watches_room => {
                connection.watches_room = !done;
                let room = if done { epoll::EventFlags::empty() } else { epoll::EventFlags::OUT };
                let data = epoll::EventData::new_u64(place as u64);
                let flags = epoll::EventFlags::IN | room;
                if let Err(error) = epoll::modify(&self.epoll, &*connection, data, flags) {
                    self.lose(place, io::Error::from(error).into());
                }
            }
            Ok(_) => {}
            Err(failure) => self.lose(place, failure),
        }
    }

    /// Waits for a socket, the next request that is due, or a while.
    fn wait(
        &self,
        now: Instant,
        sending: bool,
        window: &Window,
        events: &mut Vec<(usize, bool, bool)>,
    ) -> anyhow::Result<()> {
        let mut sleep = DOZE;
        if sending {
            sleep = sleep.min(window.end.saturating_duration_since(now));
            // Without a permit only an answer helps, and an answer wakes.
            if let Some(schedule) = self.schedule.filter(|_| !self.permits.is_empty()) {
                let due = Duration::from_nanos(schedule.due(self.sent));
                let due = window.start.checked_add(due).unwrap_or(window.end);
                sleep = sleep.min(due.saturating_duration_since(now).max(NAP));
            }
        }
        let timeout = Timespec::try_from(sleep).context("a short sleep fits")?;
        let mut ready = [const { std::mem::MaybeUninit::uninit() }; EVENTS_MAX];
        let (ready, _) = match epoll::wait(&self.epoll, &mut ready, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other.context("epoll failed")?,
        };
        for event in ready.iter() {
            let flags = event.flags;
            let place = usize::try_from(event.data.u64()).expect("it was a place");
            let writable = flags.contains(epoll::EventFlags::OUT);
            // An error or a hang-up is learned from the read that fails.
            let readable = flags != epoll::EventFlags::OUT;
            events.push((place, readable, writable));
        }
        Ok(())
    }

    fn on_event(&mut self, place: usize, readable: bool, writable: bool, window: &Window) {
        if writable {
            self.flush(place);
        }
        if readable {
            self.receive(place, window);
        }
    }

    /// Reads answers, and sends as many requests again where the loop is closed.
    fn receive(&mut self, place: usize, window: &Window) {
        let here = &mut self.places[place];
        let Some(connection) = &mut here.connection else { return };
        // One reading of the clock for all answers of a read: they came together.
        let now = Instant::now();
        let at = window.nanos(now);
        let begin = window.nanos(window.begin);
        let in_window = now >= window.begin && now < window.end;
        let (counts, permits) = (&mut self.counts, &mut self.permits);
        let permit = self.schedule.is_some().then_some((place, here.generation));
        let received = connection.receive(&mut self.buffer, |outcome, due| {
            permits.extend(permit);
            if let Err(failure) = outcome {
                counts.fail(failure, 1);
                return;
            }
            counts.answered += 1;
            counts.answered_in_window += u64::from(in_window);
            if due >= begin {
                counts.latency.saturating_record(at.saturating_sub(due).max(1));
            }
        });
        match received {
            Err(failure) => self.lose(place, failure),
            Ok(()) if self.schedule.is_none() => self.top_up(place, window),
            Ok(()) => {}
        }
    }
}
