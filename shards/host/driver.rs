//! The thread that all processes of plugins are driven by: it waits on them, hands what they say to
//! each plugin's [`Pool`], and carries out what that wants.
//!
//! Invariants:
//! - what has arrived is handed in before any deadline is judged;
//! - the end of a process is told to its pool after all that it said.

use crate::folder::Candidate;
use crate::pending::Answer;
use crate::seat::Seat;
use crate::{Finished, Job, Options, PluginInfo, RefusedPlugin, Shared, TaskError, lock};
use base::Instant;
use bytes::Bytes;
use plugin::pool::Child;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::Duration;

/// How old the counts may be that callers see.
const METRICS_EVERY: Duration = Duration::from_millis(100);

/// How long the thread waits when poll itself fails, which it does only without memory.
const PAUSE: Duration = Duration::from_millis(10);

/// What callers want.
pub(crate) enum Command {
    /// See [`crate::Host::run`].
    Run { plugin: usize, job: Box<Job>, taken: Instant },
    /// See [`crate::Host::stop`].
    Stop { key: u64 },
    /// See [`crate::Host::stop_all`].
    StopAll { at_once: bool },
    /// See [`crate::Host::keep_until`].
    Keep { until: Instant },
    /// See [`crate::Host::validate`].
    Validate { plugin: usize, config: Bytes, answer: Answer<Result<(), TaskError>> },
    /// See [`crate::Host::shutdown`].
    Close { grace: Duration, answer: Answer<()> },
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

/// The clock of deadlines: it runs on while the machine sleeps.
pub(crate) fn now() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let below = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant(seconds.saturating_mul(1_000_000_000).saturating_add(below))
}

type Opened = (Vec<PluginInfo>, Vec<RefusedPlugin>);

/// What the thread owns.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// One per plugin that was not refused for its file alone, by name.
    seats: Vec<Seat>,
    /// Which of them is the n-th of those that are there.
    open: Vec<usize>,
    refused: Vec<RefusedPlugin>,
    opening: Option<Answer<Opened>>,
    closing: Vec<Answer<()>>,
    is_closing: bool,
    finished: Vec<Finished>,
    /// Something happened since the counts were told.
    is_news: bool,
    metrics_due: Instant,
}

/// What a descriptor of the poll belongs to.
#[derive(Clone, Copy)]
enum Source {
    Bell,
    Transport(usize, Child),
    Stdout(usize, Child),
    Stderr(usize, Child),
    Ended(usize, Child),
}

impl Driver {
    pub(crate) fn new(
        options: Options,
        candidates: Vec<Candidate>,
        shared: Arc<Shared>,
        opening: Answer<Opened>,
    ) -> Self {
        let options = Arc::new(options);
        let mut seats = Vec::new();
        let mut refused = Vec::new();
        for Candidate { name, file, manifest } in candidates {
            match manifest {
                Ok(manifest) => seats.push(Seat::new(name, file, manifest, Arc::clone(&options))),
                Err(why) => refused.push(RefusedPlugin { file, why }),
            }
        }
        Self {
            shared,
            seats,
            open: Vec::new(),
            refused,
            opening: Some(opening),
            closing: Vec::new(),
            is_closing: false,
            finished: Vec::new(),
            is_news: true,
            metrics_due: Instant(0),
        }
    }

    /// The life of the thread.
    pub(crate) fn run(mut self) {
        let start = now();
        for seat in &mut self.seats {
            seat.open(start);
        }
        while !self.turn() {}
        // The last counts are those of all that ever was.
        (self.is_news, self.metrics_due) = (true, Instant(0));
        self.publish(now());
        for answer in self.closing.drain(..) {
            answer.give(());
        }
        for command in self.shared.end() {
            if let Command::Close { answer, .. } = command {
                answer.give(());
            }
        }
    }

    /// Waits for something to do, and does it. True: there is nothing left to drive.
    fn turn(&mut self) -> bool {
        let ready = self.wait();
        let now = now();
        self.is_news |= !ready.is_empty();
        for source in ready {
            self.on_ready(now, source);
        }
        for command in self.shared.take_commands() {
            self.on_command(now, command);
        }
        for seat in &mut self.seats {
            seat.on_time(now);
            seat.flush(now);
            seat.take_finished(&mut self.finished);
        }
        self.finish_opening();
        self.shared.finish(&mut self.finished);
        self.publish(now);
        self.is_closing && self.seats.iter().all(Seat::is_over)
    }

    /// Waits until a process says something, a caller wants something, or time has come.
    fn wait(&mut self) -> Vec<Source> {
        let news = self.is_news.then_some(self.metrics_due);
        let deadline = self.seats.iter_mut().filter_map(Seat::deadline).chain(news).min();
        let timeout = deadline.map(|deadline| {
            let left = deadline.since(now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut sources = vec![Source::Bell];
        let mut descriptors = vec![PollFd::new(&self.shared.bell, PollFlags::IN)];
        for (index, seat) in self.seats.iter().enumerate() {
            for (child, process) in seat.processes() {
                if !process.is_deaf {
                    let out = if process.transport.has_unsent() {
                        PollFlags::IN | PollFlags::OUT
                    } else {
                        PollFlags::IN
                    };
                    sources.push(Source::Transport(index, child));
                    descriptors.push(PollFd::from_borrowed_fd(process.transport.descriptor(), out));
                }
                if let Some(lines) = &process.stdout {
                    sources.push(Source::Stdout(index, child));
                    descriptors.push(PollFd::new(lines.pipe(), PollFlags::IN));
                }
                if let Some(lines) = &process.stderr {
                    sources.push(Source::Stderr(index, child));
                    descriptors.push(PollFd::new(lines.pipe(), PollFlags::IN));
                }
                sources.push(Source::Ended(index, child));
                descriptors.push(PollFd::from_borrowed_fd(process.ended(), PollFlags::IN));
            }
        }
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "cannot wait for the processes of plugins");
                std::thread::sleep(PAUSE);
            }
        }
        let ready = sources.into_iter().zip(descriptors.iter().map(PollFd::revents));
        ready.filter(|(_, flags)| !flags.is_empty()).map(|(source, _)| source).collect()
    }

    fn on_ready(&mut self, now: Instant, source: Source) {
        match source {
            Source::Bell => {
                let mut count = [0; 8];
                // Taken back to zero; what rang it is in the queue.
                let _ = rustix::io::read(&self.shared.bell, &mut count);
            }
            Source::Transport(seat, child) => self.seats[seat].receive(now, child),
            Source::Stdout(seat, child) => self.seats[seat].read_stdout(now, child),
            Source::Stderr(seat, child) => self.seats[seat].read_stderr(now, child),
            Source::Ended(seat, child) => self.seats[seat].on_ended(now, child),
        }
    }

    fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Run { plugin, job, taken } => {
                let seat = self.open[plugin];
                self.seats[seat].run(now, *job, taken);
            }
            Command::Stop { key } => {
                for seat in &mut self.seats {
                    seat.stop(now, key, false);
                }
            }
            Command::StopAll { at_once } => {
                for seat in &mut self.seats {
                    seat.stop_all(now, at_once);
                }
            }
            Command::Keep { until } => {
                for seat in &mut self.seats {
                    seat.keep(until);
                }
            }
            Command::Validate { plugin, config, answer } => {
                let seat = self.open[plugin];
                self.seats[seat].validate(now, config, answer);
            }
            Command::Close { grace, answer } => {
                self.is_closing = true;
                self.closing.push(answer);
                for seat in &mut self.seats {
                    seat.close(now, grace);
                }
            }
        }
    }

    /// Tells which plugins are there, once all are known.
    fn finish_opening(&mut self) {
        if self.opening.is_none() || !self.seats.iter().all(Seat::is_decided) {
            return;
        }
        let mut plugins = Vec::new();
        for (index, seat) in self.seats.iter().enumerate() {
            match seat.verdict() {
                Ok(info) => {
                    self.open.push(index);
                    plugins.push(info);
                }
                Err(why) => self.refused.push(RefusedPlugin { file: seat.file().into(), why }),
            }
        }
        self.refused.sort_by(|one, other| one.file.cmp(&other.file));
        for plugin in &plugins {
            let (name, version) = (plugin.name.as_str(), plugin.version.as_str());
            let (tasks, enforced) = (plugin.slots, plugin.enforced.as_str());
            tracing::info!(plugin = name, version, tasks, enforced, "a plugin is ready");
        }
        for RefusedPlugin { file, why } in &self.refused {
            let file = file.display();
            tracing::warn!(%file, why = why.message, "a plugin is not used");
        }
        if let Some(answer) = self.opening.take() {
            answer.give((plugins, self.refused.clone()));
        }
    }

    fn publish(&mut self, now: Instant) {
        if self.opening.is_some() || !self.is_news || now < self.metrics_due {
            return;
        }
        self.is_news = false;
        self.metrics_due = now + METRICS_EVERY;
        let metrics = self.open.iter().map(|&index| self.seats[index].metrics()).collect();
        *lock(&self.shared.metrics) = metrics;
    }
}
