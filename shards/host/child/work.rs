//! The threads that run tasks.
//!
//! Invariants:
//! - every task that was taken is answered, or the process ends;
//! - the queue is never longer than the node sends: as many as there are threads.

use super::handles::Handles;
use super::library::Library;
use super::{Sender, calls, crash, lease, sandbox};
use plugin::frame::{FromChild, Load, Run, Ticket};
use plugin::{TaskError, code};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A task while it runs, as its plugin may ask about it.
pub(crate) struct Live {
    ticket: Ticket,
    is_cancelled: AtomicBool,
    deadline: Option<Instant>,
    sender: Arc<Sender>,
}

impl Live {
    /// Whether its result is not wanted any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Sends a line to the node's log.
    pub(crate) fn log(&self, level: i32, line: &str) {
        let level = u8::try_from(level.clamp(1, 4)).expect("between 1 and 4");
        self.sender.send(self.ticket, &FromChild::Log { level, line });
    }
}

/// A task as it waits: the texts of its frame, one after the other.
struct Waiting {
    live: Arc<Live>,
    /// What is to be done.
    job: Job,
}

enum Job {
    Run(Box<OwnedRun>),
    Validate(String),
}

/// [`Run`], owned.
struct OwnedRun {
    texts: [String; 7],
    attempt: u32,
    timeout_ms: u64,
}

impl OwnedRun {
    fn of(run: &Run<'_>) -> Box<Self> {
        let Run { config, input, instance, workflow, task, idempotency_key, trace, .. } = *run;
        let texts = [config, input, instance, workflow, task, idempotency_key, trace];
        let texts = texts.map(ToOwned::to_owned);
        Box::new(Self { texts, attempt: run.attempt, timeout_ms: run.timeout_ms })
    }

    fn as_run(&self) -> Run<'_> {
        let [config, input, instance, workflow, task, idempotency_key, trace] = &self.texts;
        Run {
            config,
            input,
            instance,
            workflow,
            task,
            idempotency_key,
            trace,
            attempt: self.attempt,
            timeout_ms: self.timeout_ms,
        }
    }
}

/// The threads, as the main thread sees them.
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    library: Library,
    handles: Handles,
    sender: Arc<Sender>,
    output_max: usize,
    tell_begun: bool,
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    live: HashMap<Ticket, Arc<Live>>,
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start(load: &Load, library: Library, sender: Arc<Sender>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            handles: Handles::new(library.functions),
            library,
            sender,
            output_max: usize::try_from(load.output_max).unwrap_or(plugin::OUTPUT_BYTES_MAX),
            tell_begun: load.tell_begun,
            queue: Mutex::default(),
            filled: Condvar::new(),
        });
        for number in 0..load.threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("{}-{number}", load.name))
                .stack_size(sandbox::STACK_BYTES)
                .spawn(move || shared.work())?;
        }
        Ok(Self { shared })
    }

    /// Takes a task.
    pub(crate) fn run(&self, ticket: Ticket, run: &Run<'_>) {
        let timeout = (run.timeout_ms > 0).then(|| Duration::from_millis(run.timeout_ms));
        self.push(ticket, timeout, Job::Run(OwnedRun::of(run)));
    }

    /// Takes a question.
    pub(crate) fn validate(&self, ticket: Ticket, config: &str) {
        self.push(ticket, None, Job::Validate(config.to_owned()));
    }

    fn push(&self, ticket: Ticket, timeout: Option<Duration>, job: Job) {
        let live = Arc::new(Live {
            ticket,
            is_cancelled: AtomicBool::new(false),
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            sender: Arc::clone(&self.shared.sender),
        });
        let mut queue = self.shared.lock();
        queue.live.insert(ticket, Arc::clone(&live));
        queue.waiting.push_back(Waiting { live, job });
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Tells a task that its result is not wanted any more.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        if let Some(live) = self.shared.lock().live.get(&ticket) {
            live.is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Gives the plugin's handles back. Nothing runs.
    pub(crate) fn clean_up(&self) {
        self.shared.handles.clear();
    }
}

/// A thread of this program that panics must not leave a task without an answer.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one thread.
    fn work(&self) {
        let _guard = AbortOnPanic;
        let thread = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let mut bytes = Vec::new();
        loop {
            let mut queue = self.lock();
            let Waiting { live, job } = loop {
                if let Some(waiting) = queue.waiting.pop_front() {
                    break waiting;
                }
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            if self.tell_begun {
                self.sender.send(live.ticket, &FromChild::Begun { thread });
            }
            let result = {
                let _running = crash::running(live.ticket);
                self.answer(&live, &job)
            };
            self.lock().live.remove(&live.ticket);
            bytes.clear();
            match result {
                Ok(output) => FromChild::Done { output: &output }.write(live.ticket, &mut bytes),
                Err(error) => FromChild::Failed(error).write(live.ticket, &mut bytes),
            }
            self.sender.send_bytes(&bytes);
            bytes.shrink_to(plugin::OUTPUT_BYTES_MAX);
        }
    }

    fn answer(&self, live: &Live, job: &Job) -> Result<Vec<u8>, TaskError> {
        if live.is_cancelled.load(Ordering::Relaxed) {
            return Err(TaskError::passing(code::STOPPED, "the task was stopped before it began"));
        }
        let functions = &self.library.functions;
        match job {
            Job::Validate(config) => calls::validate(functions, config).map(|()| b"null".to_vec()),
            Job::Run(run) => {
                let run = run.as_run();
                let _leased = lease::running();
                let handle = self.handles.of(run.config)?;
                calls::execute(functions, &handle.raw, &run, live, self.output_max)
            }
        }
    }
}
