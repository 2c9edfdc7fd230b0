//! Runs plugins in child processes of the node's own binary, shut in and watched.
//!
//! ```text
//! callers --- Job, stop, validate ---> Shared --- eventfd ---> driver thread --- frames ---> child
//!         <-- finished(), Pending ----        <--- waker -----   (poll)      <-- frames ---  N threads
//! ```
//!
//! - [`Host::open`] reads the folder and starts a process for each plugin; what cannot be used is in
//!   [`Host::refused`], with the reason.
//! - [`Host::run`] takes a [`Job`] or refuses at once; [`Host::finished`] tells the end of each.
//! - [`child_main`] is the other side: a program that hosts plugins calls it first thing in `main`.
//!
//! No thread of the callers' ever waits here, [`Host::open`] and [`Pending::wait`] excepted. Futures
//! are woken from the driver's thread, whatever executor polls them.
//!
//! What happens to the tasks of a process that ends, and when it has to end: [`plugin::pool`]. How a
//! process is shut in, and what that does not cover: docs/PLUGINS.md.
//!
//! Invariants:
//! - every job that was taken is told to be over exactly once, and does nothing any more then;
//! - no process outlives the host, nor the node that it is part of;
//! - whatever a plugin does, the node goes on: its errors are [`TaskError`]s.

mod child;
mod copy;
mod cpu;
mod driver;
mod folder;
mod job;
mod meters;
mod output;
mod pending;
mod process;
mod seat;
mod transport;

pub use child::child_main;
pub use job::{Finished, Job, PluginInfo, PluginMetrics, RefusedPlugin, RunError};
pub use meters::Meters;
pub use pending::Pending;
pub use plugin::TaskError;

use base::Instant;
use bytes::Bytes;
use driver::{Command, Driver};
use plugin::code;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The longest description of a job: all its texts but configuration and input. Unit: bytes.
const DESCRIPTION_BYTES_MAX: usize = 16 * 1024;

/// Where plugins are, and how they are started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of plugins, or one library.
    pub directory: PathBuf,
    /// The program whose `main` calls [`child_main`]: by default this one, even when its file has
    /// been replaced meanwhile.
    pub program: PathBuf,
    /// How long a process may take to load its library.
    pub start_limit: Duration,
    /// Who is told what plugins write, by name of the plugin, level from 1 (debug) to 4 (error), and
    /// line. `None`: the log. Called on the driver's thread.
    pub line: Option<fn(&str, u8, &str)>,
}

impl Options {
    /// The plugins of a folder, run by this program.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            program: PathBuf::from("/proc/self/exe"),
            start_limit: Duration::from_secs(10),
            line: None,
        }
    }
}

/// Why there is no host at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be read.
    #[error("the plugins in {} cannot be read: {source}", directory.display())]
    Folder {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine gives no thread, or nothing to wake it by.
    #[error("no thread for the plugins: {0}")]
    Thread(#[from] io::Error),
}

/// The plugins of this node. Clones are the same host; with the last one its processes end.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    plugins: Vec<PluginInfo>,
    names: HashMap<String, usize>,
    refused: Vec<RefusedPlugin>,
    capacity: u32,
}

/// What callers and the driver's thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    front: Mutex<Front>,
    finished: Mutex<Ended>,
    metrics: Mutex<Vec<PluginMetrics>>,
    /// Wakes the driver.
    bell: OwnedFd,
}

#[derive(Debug, Default)]
struct Front {
    commands: Vec<Command>,
    /// Keys of jobs that are not over.
    live: HashSet<u64>,
    is_closed: bool,
    /// No process is left, and nobody takes commands any more.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Ended {
    jobs: Vec<Finished>,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            front: Mutex::default(),
            finished: Mutex::default(),
            metrics: Mutex::default(),
            bell,
        })
    }

    /// Hands a command over; the driver is woken by the first of those it has not seen.
    fn push(&self, mut front: MutexGuard<'_, Front>, command: Command) {
        let is_first = front.commands.is_empty();
        front.commands.push(command);
        drop(front);
        if is_first {
            // It can only be full of wake-ups that are still to come.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// What callers want since it was asked last.
    pub(crate) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut lock(&self.front).commands)
    }

    /// The last commands: from now on there is nobody to take any.
    pub(crate) fn end(&self) -> Vec<Command> {
        let mut front = lock(&self.front);
        front.is_over = true;
        std::mem::take(&mut front.commands)
    }

    /// Tells the end of jobs.
    pub(crate) fn finish(&self, jobs: &mut Vec<Finished>) {
        if jobs.is_empty() {
            return;
        }
        {
            // There is room again before anybody hears why.
            let mut front = lock(&self.front);
            for job in jobs.iter() {
                front.live.remove(&job.key);
            }
        }
        let waker = {
            let mut ended = lock(&self.finished);
            ended.jobs.append(jobs);
            ended.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Host {
    /// Reads the folder, starts a process for each plugin, and waits until each is ready or refused:
    /// at most [`Options::start_limit`], as all start at the same time.
    ///
    /// It blocks, and the driver's thread and the processes may run where the calling thread may: so
    /// not on a core, but before cores are started.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let candidates = folder::read(&options.directory)
            .map_err(|source| OpenError::Folder { directory: options.directory.clone(), source })?;
        if !candidates.is_empty() {
            child::hide_node();
        }
        let shared = Arc::new(Shared::new()?);
        let (answer, opened) = pending::pending();
        let driver = Driver::new(options, candidates, Arc::clone(&shared), answer);
        std::thread::Builder::new().name("distric-plugins".to_owned()).spawn(|| driver.run())?;
        let (plugins, refused) = opened.wait();
        let names = plugins.iter().enumerate();
        let names = names.map(|(index, plugin)| (plugin.name.clone(), index)).collect();
        let capacity = plugins.iter().map(|plugin| plugin.slots).sum();
        Ok(Self { inner: Arc::new(Inner { shared, plugins, names, refused, capacity }) })
    }

    /// The plugins that are there, by name.
    pub fn plugins(&self) -> &[PluginInfo] {
        &self.inner.plugins
    }

    /// Libraries in the folder that cannot be used, and manifests without one. The log has a line for each.
    pub fn refused(&self) -> &[RefusedPlugin] {
        &self.inner.refused
    }

    /// Jobs that are taken at once: the threads of all plugins together. Of one plugin more may be
    /// taken than it has threads; they wait.
    pub fn capacity(&self) -> u32 {
        self.inner.capacity
    }

    /// Jobs that were taken and are not over.
    pub fn running(&self) -> u32 {
        u32::try_from(lock(&self.inner.shared.front).live.len()).unwrap_or(u32::MAX)
    }

    /// Takes a job, or refuses it at once.
    pub fn run(&self, job: Job) -> Result<(), RunError> {
        let inner = &*self.inner;
        let Some(&plugin) = inner.names.get(&job.plugin) else {
            return Err(RunError::Unknown { plugin: job.plugin });
        };
        check(&job)?;
        let mut front = lock(&inner.shared.front);
        if front.is_closed {
            return Err(RunError::Stopping);
        }
        if front.live.contains(&job.key) {
            return Err(RunError::Repeated { key: job.key });
        }
        if front.live.len() >= inner.capacity as usize {
            return Err(RunError::Full { capacity: inner.capacity });
        }
        front.live.insert(job.key);
        let command = Command::Run { plugin, job: Box::new(job), taken: driver::now() };
        inner.shared.push(front, command);
        Ok(())
    }

    /// Has a job end: its plugin is told so, and its process is killed when it goes on for longer than
    /// the plugin's `stop_grace`. It is over when [`Host::finished`] says so: as `worker_stopped`, or
    /// with an output that was quicker. False: there is no such job.
    pub fn stop(&self, key: u64) -> bool {
        let front = lock(&self.inner.shared.front);
        let is_live = front.live.contains(&key);
        if is_live {
            self.inner.shared.push(front, Command::Stop { key });
        }
        is_live
    }

    /// Has all jobs end: as [`Host::stop`] does, or at once.
    pub fn stop_all(&self, at_once: bool) {
        let front = lock(&self.inner.shared.front);
        if !front.is_closed {
            self.inner.shared.push(front, Command::StopAll { at_once });
        }
    }

    /// No task runs beyond `until`, by the machine's boot clock, unless a later one is told: a process
    /// that runs one then ends itself, also when this one stands still. Nothing limits them so before
    /// the first call.
    pub fn keep_until(&self, until: Instant) {
        let front = lock(&self.inner.shared.front);
        if !front.is_closed {
            self.inner.shared.push(front, Command::Keep { until });
        }
    }

    /// The jobs that ended since it was asked last, in the order of their ends. One waits at a time:
    /// the last one that asked is woken.
    pub fn poll_finished(&self, context: &mut Context<'_>) -> Poll<Vec<Finished>> {
        let mut ended = lock(&self.inner.shared.finished);
        if !ended.jobs.is_empty() {
            return Poll::Ready(std::mem::take(&mut ended.jobs));
        }
        match &mut ended.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits for jobs to end.
    pub async fn finished(&self) -> Vec<Finished> {
        poll_fn(|context| self.poll_finished(context)).await
    }

    /// Waits for jobs to end, on a plain thread: never on a core.
    pub fn wait_finished(&self) -> Vec<Finished> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match self.poll_finished(&mut context) {
                Poll::Ready(jobs) => return jobs,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// Asks a plugin whether a configuration is legal. Answered within seconds: a plugin that hangs
    /// over it is killed.
    pub fn validate(&self, plugin: &str, config: Bytes) -> Pending<Result<(), TaskError>> {
        let (answer, pending) = pending::pending();
        let refused = match self.inner.names.get(plugin) {
            None => {
                let message = format!("there is no plugin `{plugin}` here");
                Some(TaskError::passing(code::MISSING, message))
            }
            Some(_) => check_part("config", &config, plugin::CONFIG_BYTES_MAX)
                .err()
                .map(|error| TaskError::lasting(code::CONFIG, error.to_string())),
        };
        if let Some(error) = refused {
            answer.give(Err(error));
            return pending;
        }
        let plugin = self.inner.names[plugin];
        let front = lock(&self.inner.shared.front);
        if front.is_closed {
            answer.give(Err(TaskError::passing(code::STOPPED, "the node stops")));
        } else {
            self.inner.shared.push(front, Command::Validate { plugin, config, answer });
        }
        pending
    }

    /// Counts of each plugin, a tenth of a second old at most; after a shutdown the last ones.
    pub fn metrics(&self) -> Vec<PluginMetrics> {
        lock(&self.inner.shared.metrics).clone()
    }

    /// Takes no more, gives what runs `grace`, and kills the rest. Answered when no process is left
    /// and the end of every job has been told.
    pub fn shutdown(&self, grace: Duration) -> Pending<()> {
        let (answer, pending) = pending::pending();
        let mut front = lock(&self.inner.shared.front);
        if front.is_over {
            answer.give(());
            return pending;
        }
        front.is_closed = true;
        self.inner.shared.push(front, Command::Close { grace, answer });
        pending
    }
}

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut front = lock(&self.shared.front);
        if !front.is_closed {
            front.is_closed = true;
            let (answer, _) = pending::pending();
            self.shared.push(front, Command::Close { grace: Duration::ZERO, answer });
        }
    }
}

fn check(job: &Job) -> Result<(), RunError> {
    check_part("config", &job.config, plugin::CONFIG_BYTES_MAX)?;
    check_part("input", &job.input, plugin::INPUT_BYTES_MAX)?;
    let texts = [&job.instance, &job.workflow, &job.task, &job.idempotency_key, &job.trace];
    let bytes = texts.iter().map(|text| text.len()).sum();
    let (part, bytes_max) = ("description", DESCRIPTION_BYTES_MAX);
    if bytes > bytes_max {
        return Err(RunError::TooLarge { part, bytes, bytes_max });
    }
    Ok(())
}

fn check_part(part: &'static str, text: &[u8], bytes_max: usize) -> Result<(), RunError> {
    if text.len() > bytes_max {
        return Err(RunError::TooLarge { part, bytes: text.len(), bytes_max });
    }
    std::str::from_utf8(text).map(|_| ()).map_err(|_| RunError::NotText { part })
}

#[cfg(test)]
mod tests;
