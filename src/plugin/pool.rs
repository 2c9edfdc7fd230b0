//! Which process of a plugin runs which task, and which process has to die: the mind of `host`.
//!
//! A plugin has up to `processes` child processes with `threads` threads each. Work waits in order
//! of arrival until a thread is free. A task that is stopped or out of time is told so, and when it
//! goes on beyond the grace, its process is killed: a thread cannot be.
//!
//! | a process ends | its tasks |
//! | --- | --- |
//! | killed for a task | that task ends with the reason; the others run again |
//! | a task is known to have ended it | that task ends with `plugin_crashed` or `plugin_memory`; the others run again |
//! | otherwise | all run again |
//!
//! A task is begun at most [`BEGUN_MAX`] times; one whose process ends that often for no fault that
//! is known to be another's ends with `plugin_crashed`. All of these keep their idempotency key.
//!
//! Invariants:
//! - every work that was taken ends exactly once;
//! - the end of a work that a process runs is told when that process is through with it, or is
//!   reaped: what has been told to have ended does nothing any more;
//! - a process never has more tasks than threads, and there are never more than `processes` that
//!   are not yet killed;
//! - after the second crash in a row the next process is started later and later.

use crate::frame::Ticket;
use crate::{Manifest, TaskError, code};
use base::{Instant, Outbox};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How often a task is begun in all: once, and once more when its process died under it.
pub const BEGUN_MAX: u8 = 2;

/// How often a process that runs tasks is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How long it may take to say so. Its thread that answers does nothing else, so only a stopped
/// process, or a machine without any CPU to give, takes so long.
const PONG_MAX: Duration = Duration::from_secs(10);

/// A deadline seen later than this was missed because the node itself stood still.
const LATE: Duration = Duration::from_secs(1);

/// How long a configuration is looked at.
const VALIDATE_MAX: Duration = Duration::from_secs(5);

/// The first wait before another start, doubled from crash to crash.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait before another start.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// How long a process may take to give its handles back at the end.
const QUIT_MAX: Duration = Duration::from_secs(2);

/// A process of the plugin; never the same number twice.
pub type Child = u64;

/// What is run: a task, or the question whether a configuration is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A task, by the name that whoever wants it gave it.
    Task(u64),
    /// A question, likewise.
    Question(u64),
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Which task was running on the thread that ended it, if it said so.
    pub culprit: Option<Ticket>,
    /// It had come to its limit of memory.
    pub out_of_memory: bool,
    /// Somebody killed it from outside: then no task of it is to blame.
    pub killed: bool,
    /// In words: `signal 11 (SIGSEGV)`.
    pub how: String,
}

/// What the pool wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a process and have it load the library.
    Start(Child),
    /// Send it a work.
    Run {
        /// To whom.
        child: Child,
        /// Under which number.
        ticket: Ticket,
        /// What.
        work: Work,
        /// What is left of its time.
        left: Option<Duration>,
    },
    /// Tell it that a result is not wanted any more.
    Cancel {
        /// To whom.
        child: Child,
        /// Which.
        ticket: Ticket,
    },
    /// Ask it whether it lives.
    Ping(Child),
    /// Tell it to end.
    Quit(Child),
    /// Kill it, and tell [`Pool::on_ended`] when it is reaped.
    Kill(Child),
    /// A work is over.
    Ended {
        /// Which.
        work: Work,
        /// Its output, or why there is none.
        outcome: Result<Vec<u8>, TaskError>,
    },
    /// A process ended by itself; for the log.
    Crashed {
        /// Which.
        child: Child,
        /// How, in words.
        how: String,
        /// What it ran.
        works: Vec<Work>,
        /// Which of that is to blame, as far as that is known.
        culprit: Option<Work>,
        /// The next one is started no earlier than after this.
        wait: Duration,
    },
    /// A process has been killed; for the log.
    Killed {
        /// Which.
        child: Child,
        /// Why.
        why: String,
        /// What it ran.
        works: Vec<Work>,
    },
}

/// Counts of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Works that wait for a thread.
    pub waiting: usize,
    /// Works that a process has.
    pub running: usize,
    /// Processes that take works.
    pub children: usize,
    /// Processes started in all.
    pub started: u64,
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Processes that ended by themselves.
    pub crashes: u64,
    /// Processes killed.
    pub kills: u64,
    /// Works that were begun again because their process ended.
    pub again: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Until then it must be ready.
    Starting(Instant),
    Serving,
    /// It is to end by itself until then.
    Quitting(Instant),
    /// It is being killed, for a fault of a task or because it is silent.
    Dying,
}

#[derive(Debug)]
struct Process {
    phase: Phase,
    running: BTreeMap<Ticket, Work>,
    /// When the unanswered question whether it lives was sent.
    asked: Option<Instant>,
    /// When it last said something, or was given work while it had none.
    heard: Instant,
}

impl Process {
    fn takes_work(&self, threads: usize) -> bool {
        self.phase == Phase::Serving && self.running.len() < threads
    }
}

#[derive(Debug)]
struct Wanted {
    deadline: Option<Instant>,
    /// How often it was begun.
    begun: u8,
    /// Where it runs.
    place: Option<(Child, Ticket)>,
    /// It is to end: at this time by force, and then for this reason.
    ending: Option<(Instant, TaskError)>,
}

/// The processes of one plugin and what they run.
#[derive(Debug)]
pub struct Pool {
    threads: usize,
    processes: usize,
    stop_grace: Duration,
    start_max: Duration,
    children: BTreeMap<Child, Process>,
    wanted: BTreeMap<Work, Wanted>,
    waiting: VecDeque<Work>,
    next_child: Child,
    next_ticket: Ticket,
    /// Crashes and failed starts since anything succeeded.
    crashes_in_a_row: u32,
    /// No process is started before.
    not_before: Instant,
    is_closed: bool,
    counts: Counts,
    /// What [`Pool::deadline`] said last.
    expected: Option<Instant>,
}

impl Pool {
    /// A pool without any process. A process must be ready `start_max` after its start.
    pub fn new(manifest: &Manifest, start_max: Duration) -> Self {
        Self {
            threads: manifest.threads as usize,
            processes: manifest.processes as usize,
            stop_grace: manifest.stop_grace,
            start_max,
            children: BTreeMap::new(),
            wanted: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_child: 1,
            next_ticket: 1,
            crashes_in_a_row: 0,
            not_before: Instant(0),
            is_closed: false,
            counts: Counts::default(),
            expected: None,
        }
    }

    /// Starts the first process, before there is any work.
    pub fn on_open(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        self.start(now, out);
    }

    /// Takes a work. `timeout` counts from now. A work that is there already is not taken twice: the
    /// caller names them.
    pub fn on_wanted(
        &mut self,
        now: Instant,
        work: Work,
        timeout: Option<Duration>,
        out: &mut Outbox<Effect>,
    ) {
        let timeout = match work {
            Work::Task(_) => timeout,
            Work::Question(_) => Some(VALIDATE_MAX),
        };
        let deadline = timeout.map(|timeout| now + timeout);
        let wanted = Wanted { deadline, begun: 0, place: None, ending: None };
        let before = self.wanted.insert(work, wanted);
        assert!(before.is_none(), "a work is taken once");
        if self.is_closed {
            let stopped = TaskError::passing(code::STOPPED, "the node stops");
            self.end(work, Err(stopped), out);
            return;
        }
        self.waiting.push_back(work);
        self.give(now, out);
    }

    /// Ends a task: at once, or after it had the plugin's grace.
    pub fn on_stop(&mut self, now: Instant, work: Work, at_once: bool, out: &mut Outbox<Effect>) {
        let stopped = TaskError::passing(code::STOPPED, "the task was stopped");
        let grace = if at_once { Duration::ZERO } else { self.stop_grace };
        self.begin_end(now, work, grace, stopped, out);
    }

    /// A process has loaded the library.
    pub fn on_ready(&mut self, now: Instant, child: Child, out: &mut Outbox<Effect>) {
        let Some(process) = self.children.get_mut(&child) else { return };
        process.heard = now;
        if matches!(process.phase, Phase::Starting(_)) {
            process.phase = Phase::Serving;
        }
        self.give(now, out);
    }

    /// A process could not load the library: it ends by itself, or is made to.
    pub fn on_not_loaded(
        &mut self,
        now: Instant,
        child: Child,
        error: &TaskError,
        out: &mut Outbox<Effect>,
    ) {
        let Some(process) = self.children.get_mut(&child) else { return };
        if !matches!(process.phase, Phase::Starting(_)) {
            return;
        }
        process.phase = Phase::Dying;
        out.push(Effect::Kill(child));
        self.count_crash(now);
        self.fail_waiting(error, out);
    }

    /// A process is through with a work.
    pub fn on_result(
        &mut self,
        now: Instant,
        child: Child,
        ticket: Ticket,
        result: Result<Vec<u8>, TaskError>,
        out: &mut Outbox<Effect>,
    ) {
        let Some(process) = self.children.get_mut(&child) else { return };
        process.heard = now;
        // One that is being killed may have answered just before: then there is nothing to run again.
        let Some(work) = process.running.remove(&ticket) else { return };
        process.asked = None;
        self.crashes_in_a_row = 0;
        // What gave up because it was told to is not the plugin's own failure.
        let ending = self.wanted.get_mut(&work).and_then(|wanted| wanted.ending.take());
        let result = match (result, ending) {
            (Err(_), Some((_, error))) => Err(error),
            (result, _) => result,
        };
        self.end(work, result, out);
        self.give(now, out);
    }

    /// A process said that it lives.
    pub fn on_pong(&mut self, now: Instant, child: Child) {
        if let Some(process) = self.children.get_mut(&child) {
            process.heard = now;
            process.asked = None;
        }
    }

    /// A task has used more CPU time than it may.
    pub fn on_overran(
        &mut self,
        now: Instant,
        child: Child,
        ticket: Ticket,
        limit: Duration,
        out: &mut Outbox<Effect>,
    ) {
        let work = self.children.get(&child).and_then(|process| process.running.get(&ticket));
        let Some(work) = work.copied() else { return };
        let message = format!("the task used more than its {limit:?} of CPU time");
        let error = TaskError::passing(code::TIMEOUT, message);
        self.begin_end(now, work, Duration::ZERO, error, out);
    }

    /// What a process says is no sense: it is not to be trusted any more.
    pub fn on_nonsense(
        &mut self,
        now: Instant,
        child: Child,
        what: &str,
        out: &mut Outbox<Effect>,
    ) {
        self.give_up(now, child, &format!("it does not keep to its protocol: {what}"), out);
    }

    /// A process takes more of the machine than it may.
    pub fn on_excess(&mut self, now: Instant, child: Child, what: &str, out: &mut Outbox<Effect>) {
        self.give_up(now, child, what, out);
    }

    /// A process is reaped.
    pub fn on_ended(&mut self, now: Instant, child: Child, end: &End, out: &mut Outbox<Effect>) {
        let Some(process) = self.children.remove(&child) else { return };
        let was_ours = matches!(process.phase, Phase::Dying | Phase::Quitting(_));
        // The only task of a process that ended by itself is the one to blame.
        let only = process.running.keys().next().filter(|_| process.running.len() == 1).copied();
        let culprit = match end.culprit {
            Some(culprit) => Some(culprit),
            None if was_ours || end.killed => None,
            None => only,
        };
        if !was_ours {
            self.counts.crashes += 1;
            self.count_crash(now);
            out.push(Effect::Crashed {
                child,
                how: end.how.clone(),
                works: process.running.values().copied().collect(),
                culprit: culprit.and_then(|ticket| process.running.get(&ticket).copied()),
                wait: self.not_before.since(now),
            });
        }
        // Those that run again go in front, in their order.
        for (&ticket, &work) in process.running.iter().rev() {
            let blame = !was_ours && culprit == Some(ticket);
            self.orphan(work, blame, end, out);
        }
        if matches!(process.phase, Phase::Starting(_)) {
            let why = format!("the plugin's process ended while it loaded: {}", end.how);
            self.fail_waiting(&TaskError::passing(code::CRASHED, why), out);
        }
        self.give(now, out);
    }

    /// Takes no more. What runs has `grace`; processes without work end.
    pub fn on_close(&mut self, now: Instant, grace: Duration, out: &mut Outbox<Effect>) {
        self.is_closed = true;
        let stopped = TaskError::passing(code::STOPPED, "the node stops");
        let all: Vec<Work> = self.wanted.keys().copied().collect();
        for work in all {
            self.begin_end(now, work, grace, stopped.clone(), out);
        }
        self.quit_idle(now, out);
    }

    /// Whether it is closed and no process is left.
    pub fn is_over(&self) -> bool {
        self.is_closed && self.children.is_empty()
    }

    /// What a process runs under a ticket.
    pub fn work(&self, child: Child, ticket: Ticket) -> Option<Work> {
        self.children.get(&child)?.running.get(&ticket).copied()
    }

    /// What there is to count.
    pub fn counts(&self) -> Counts {
        let running = self.children.values().map(|process| process.running.len()).sum();
        let serving = self.children.values().filter(|process| process.phase == Phase::Serving);
        let waiting = self.waiting.len();
        Counts { waiting, running, children: serving.count(), ..self.counts }
    }

    /// When [`Pool::on_deadline`] is to be called next.
    pub fn deadline(&mut self) -> Option<Instant> {
        let works = self.wanted.values().filter_map(|wanted| match &wanted.ending {
            Some((by, _)) => wanted.place.filter(|(child, _)| !self.is_dying(*child)).map(|_| *by),
            None => wanted.deadline,
        });
        let children = self.children.values().filter_map(|process| match process.phase {
            Phase::Starting(by) | Phase::Quitting(by) => Some(by),
            Phase::Serving if process.running.is_empty() => None,
            Phase::Serving => {
                Some(process.asked.map_or(process.heard + PING_EVERY, |asked| asked + PONG_MAX))
            }
            Phase::Dying => None,
        });
        let start = (self.wants_process() && !self.is_closed).then_some(self.not_before);
        self.expected = works.chain(children).chain(start).min();
        self.expected
    }

    /// Time has come. What arrived before must have been handed in.
    pub fn on_deadline(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        // A node that stood still did not read either: nobody is silent for that.
        let is_late = self.expected.is_some_and(|expected| now.since(expected) > LATE);
        self.watch_children(now, is_late, out);
        self.watch_works(now, out);
        self.give(now, out);
    }

    fn watch_children(&mut self, now: Instant, is_late: bool, out: &mut Outbox<Effect>) {
        let mut silent = Vec::new();
        for (&child, process) in &mut self.children {
            match process.phase {
                Phase::Starting(by) if by <= now => {
                    silent.push((child, format!("it was not ready after {:?}", self.start_max)));
                }
                Phase::Quitting(by) if by <= now => {
                    silent.push((child, format!("it had not ended after {QUIT_MAX:?}")));
                }
                Phase::Serving if process.running.is_empty() => process.asked = None,
                Phase::Serving => match process.asked {
                    Some(asked) if is_late => process.asked = Some(asked.max(now)),
                    Some(asked) if asked + PONG_MAX <= now => {
                        silent.push((child, format!("it was silent for {PONG_MAX:?}")));
                    }
                    None if process.heard + PING_EVERY <= now => {
                        process.asked = Some(now);
                        out.push(Effect::Ping(child));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        for (child, why) in silent {
            let is_starting = self
                .children
                .get(&child)
                .is_some_and(|one| matches!(one.phase, Phase::Starting(_)));
            if is_starting {
                self.give_up(now, child, &why, out);
            } else {
                self.kill(child, &why, out);
            }
        }
    }

    fn watch_works(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        let due = |wanted: &Wanted| match &wanted.ending {
            Some((by, _)) => wanted.place.is_some() && *by <= now,
            None => wanted.deadline.is_some_and(|deadline| deadline <= now),
        };
        let works = self.wanted.iter().filter(|(_, wanted)| due(wanted));
        let works: Vec<Work> = works.map(|(work, _)| *work).collect();
        for work in works {
            let wanted = &self.wanted[&work];
            let (Some((_, error)), Some((child, _))) = (&wanted.ending, wanted.place) else {
                let message = if wanted.place.is_some() {
                    "the task ran out of time"
                } else {
                    "the task ran out of time while it waited for a free thread of its plugin"
                };
                let error = TaskError::passing(code::TIMEOUT, message);
                self.begin_end(now, work, self.stop_grace, error, out);
                continue;
            };
            let why = format!("a task had to be ended: {error}");
            self.kill(child, &why, out);
        }
    }

    /// Has a work end: at once where it does not run, otherwise when it gives up or by force.
    fn begin_end(
        &mut self,
        now: Instant,
        work: Work,
        grace: Duration,
        error: TaskError,
        out: &mut Outbox<Effect>,
    ) {
        let Some(wanted) = self.wanted.get_mut(&work) else { return };
        let Some((child, ticket)) = wanted.place else {
            self.waiting.retain(|waiting| *waiting != work);
            self.end(work, Err(error), out);
            return;
        };
        let by = now + grace;
        match &mut wanted.ending {
            // The first reason stays, the earlier end counts.
            Some((before, _)) => *before = by.min(*before),
            none => {
                *none = Some((by, error));
                out.push(Effect::Cancel { child, ticket });
            }
        }
        if grace.is_zero() {
            let reason = wanted.ending.as_ref().map(|(_, error)| error.to_string());
            let why = format!("a task had to be ended: {}", reason.unwrap_or_default());
            self.kill(child, &why, out);
        }
    }

    /// Kills a process for its own fault: the next one is started later and later, as after a crash.
    fn give_up(&mut self, now: Instant, child: Child, why: &str, out: &mut Outbox<Effect>) {
        let phase = self.children.get(&child).map(|process| &process.phase);
        let is_starting = matches!(phase, Some(Phase::Starting(_)));
        if matches!(phase, None | Some(Phase::Dying)) {
            return;
        }
        self.kill(child, why, out);
        self.count_crash(now);
        if is_starting {
            let error = TaskError::passing(code::MISSING, format!("the plugin's process: {why}"));
            self.fail_waiting(&error, out);
        }
    }

    fn kill(&mut self, child: Child, why: &str, out: &mut Outbox<Effect>) {
        let Some(process) = self.children.get_mut(&child) else { return };
        if process.phase == Phase::Dying {
            return;
        }
        process.phase = Phase::Dying;
        self.counts.kills += 1;
        let works = process.running.values().copied().collect();
        out.push(Effect::Killed { child, why: why.to_owned(), works });
        out.push(Effect::Kill(child));
    }

    /// A work's process is no more.
    fn orphan(&mut self, work: Work, blame: bool, end: &End, out: &mut Outbox<Effect>) {
        let wanted = self.wanted.get_mut(&work).expect("what runs is wanted");
        wanted.place = None;
        if let Some((_, error)) = wanted.ending.take() {
            self.end(work, Err(error), out);
            return;
        }
        let how = &end.how;
        if blame {
            let error = if end.out_of_memory {
                let message = format!("the plugin's process came to its limit of memory: {how}");
                TaskError::passing(code::MEMORY, message)
            } else {
                let message = format!("the plugin's process ended in the midst of the task: {how}");
                TaskError::passing(code::CRASHED, message)
            };
            self.end(work, Err(error), out);
        } else if wanted.begun >= BEGUN_MAX {
            let message = format!("the plugin's process ended under the task again: {how}");
            self.end(work, Err(TaskError::passing(code::CRASHED, message)), out);
        } else {
            self.counts.again += 1;
            self.waiting.push_front(work);
        }
    }

    fn end(&mut self, work: Work, outcome: Result<Vec<u8>, TaskError>, out: &mut Outbox<Effect>) {
        self.wanted.remove(&work).expect("a work ends once");
        match (&work, &outcome) {
            (Work::Task(_), Ok(_)) => self.counts.succeeded += 1,
            (Work::Task(_), Err(_)) => self.counts.failed += 1,
            (Work::Question(_), _) => {}
        }
        out.push(Effect::Ended { work, outcome });
    }

    /// Nothing can be loaded: who waits for that hears why, as long as no process serves.
    fn fail_waiting(&mut self, error: &TaskError, out: &mut Outbox<Effect>) {
        let alive =
            |process: &Process| matches!(process.phase, Phase::Starting(_) | Phase::Serving);
        if self.children.values().any(alive) {
            return;
        }
        for work in std::mem::take(&mut self.waiting) {
            // Another attempt comes later, and the library may be mended by then.
            let error = TaskError { retryable: true, ..error.clone() };
            self.end(work, Err(error), out);
        }
    }

    fn count_crash(&mut self, now: Instant) {
        self.crashes_in_a_row = self.crashes_in_a_row.saturating_add(1);
        let doublings = self.crashes_in_a_row.saturating_sub(2).min(16);
        let wait = match self.crashes_in_a_row {
            0 | 1 => Duration::ZERO,
            _ => BACK_OFF_MAX.min(BACK_OFF_MIN * (1 << doublings)),
        };
        self.not_before = now + wait;
    }

    fn is_dying(&self, child: Child) -> bool {
        self.children.get(&child).is_some_and(|process| process.phase == Phase::Dying)
    }

    /// Whether there is work that no process has a thread for, and there may be one more.
    fn wants_process(&self) -> bool {
        let alive =
            |process: &&Process| matches!(process.phase, Phase::Starting(_) | Phase::Serving);
        let alive = self.children.values().filter(alive).count();
        let starting =
            self.children.values().filter(|process| matches!(process.phase, Phase::Starting(_)));
        alive < self.processes && self.waiting.len() > starting.count() * self.threads
    }

    /// Hands out what waits, and starts what it needs.
    fn give(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        if self.is_closed {
            self.quit_idle(now, out);
            return;
        }
        while !self.waiting.is_empty() {
            let free = self.children.iter().filter(|(_, process)| process.takes_work(self.threads));
            let Some(child) =
                free.min_by_key(|(_, process)| process.running.len()).map(|(c, _)| *c)
            else {
                break;
            };
            let work = self.waiting.pop_front().expect("it is not empty");
            self.begin(now, child, work, out);
        }
        while self.wants_process() && self.not_before <= now {
            self.start(now, out);
        }
    }

    fn begin(&mut self, now: Instant, child: Child, work: Work, out: &mut Outbox<Effect>) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let wanted = self.wanted.get_mut(&work).expect("what waits is wanted");
        wanted.begun += 1;
        wanted.place = Some((child, ticket));
        // Out of time already: the deadline that is due will say so. 0 would mean no limit.
        let left =
            wanted.deadline.map(|deadline| deadline.since(now).max(Duration::from_millis(1)));
        let process = self.children.get_mut(&child).expect("it was found right now");
        if process.running.is_empty() {
            process.heard = now;
            process.asked = None;
        }
        process.running.insert(ticket, work);
        assert!(process.running.len() <= self.threads, "a process has a thread for every task");
        out.push(Effect::Run { child, ticket, work, left });
    }

    fn start(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        let child = self.next_child;
        self.next_child += 1;
        self.counts.started += 1;
        let phase = Phase::Starting(now + self.start_max);
        let process = Process { phase, running: BTreeMap::new(), asked: None, heard: now };
        self.children.insert(child, process);
        out.push(Effect::Start(child));
    }

    fn quit_idle(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        for (&child, process) in &mut self.children {
            match process.phase {
                Phase::Serving if process.running.is_empty() => {
                    process.phase = Phase::Quitting(now + QUIT_MAX);
                    out.push(Effect::Quit(child));
                }
                // It has done nothing yet that would need a goodbye.
                Phase::Starting(_) => {
                    process.phase = Phase::Dying;
                    out.push(Effect::Kill(child));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
