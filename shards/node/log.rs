//! The node's log: from `tracing`, and through it the `log` lines of libraries, to one thread that
//! writes to standard output or a file. What a line looks like and which are written is `telemetry`'s; here is who carries them.
//!
//! ```text
//! a core's events  -> its own LogBuffer --- every 20 ms, whole ---+
//!                                                                 v
//! other threads' events --- line by line -------------------->  Queue -> writer -> output
//! ```
//!
//! Spans are not kept: one per message would cost more than the message.
//!
//! Invariants:
//! - A core never waits for the log: not for the disk or the terminal, and not for another thread
//!   ([`Mode::Sync`] excepted, which is there to wait).
//! - A line of a core allocates nothing, and a line is whole or not there at all.
//! - What is dropped is counted, and a line tells how many.
//! - Every line that was accepted before [`LogGuard::close`] is written by it, unless the output
//!   hangs.

mod file;
mod human;
mod queue;
mod seat;

use anyhow::Context;
use base::CoreId;
use file::LogFile;
use queue::{Queue, Sink};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use telemetry::{Filter, FilterError, Level, Registry, component_of, write_event};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, LevelFilter, Metadata, Subscriber};
use tracing_log::{LogTracer, NormalizeEvent};

/// How long the end of the process waits for lines to be written. A pipe that nobody reads must not
/// keep a node from stopping.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// How long one line waits to be written in [`Mode::Sync`].
const SYNC_MAX: Duration = Duration::from_secs(1);

/// Room for a line of a thread that is no core's. Unit: bytes. Most lines fit; a longer one grows.
const LINE_BYTES_USUAL: usize = 512;

/// The log of this process.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// What a written line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line, for machines.
    Json,
    /// `time level component: message key=value`, for people.
    Text,
    /// Text on a terminal, JSON anywhere else.
    #[default]
    Auto,
}

impl Format {
    /// The name in options and in the config file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Json, Self::Text, Self::Auto]
            .into_iter()
            .find(|format| format.as_str() == text)
            .with_context(|| format!("`{text}` is no log format: expected json, text or auto"))
    }
}

/// When a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Soon, by another thread: who logs never waits, and what there is no room for is dropped.
    #[default]
    Async,
    /// Before the call that logs it returns, for who looks for the last line before a crash. The
    /// whole core waits for each of its lines, a second at most for an output that hangs.
    Sync,
}

impl Mode {
    /// The name in options and in the config file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Sync => "sync",
        }
    }
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Async, Self::Sync]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .with_context(|| format!("`{text}` is no log mode: expected async or sync"))
    }
}

/// What is logged, how and where.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'a> {
    /// As in [`Filter::parse`]: `info,consensus=debug`.
    pub(crate) filter: &'a str,
    pub(crate) format: Format,
    pub(crate) mode: Mode,
    /// Appended to. `None`: standard output.
    pub(crate) file: Option<&'a Path>,
}

/// Sets up the log of this process. Once per process, before the cores start.
pub(crate) fn init(options: &Options<'_>) -> anyhow::Result<LogGuard> {
    let is_terminal = options.file.is_none() && std::io::stdout().is_terminal();
    let for_people = match options.format {
        Format::Auto => is_terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let out: Box<dyn Write + Send> = match options.file {
        Some(path) => Box::new(LogFile::open(path)?),
        None => Box::new(std::io::stdout()),
    };
    init_to(options.filter, options.mode, Sink::new(out, for_people))
}

/// As [`init`], to anything that can be written to.
fn init_to(filter: &str, mode: Mode, sink: Sink) -> anyhow::Result<LogGuard> {
    let log = Arc::new(Log::new(Filter::parse(filter)?, mode));
    tracing_core::dispatcher::set_global_default(Front { log: Arc::clone(&log) }.into())
        .context("the log of this process is set up already")?;
    // Nothing from TRACE is ever written, so libraries' own lines of it end at their first check.
    LogTracer::builder()
        .with_max_level(tracing_log::log::LevelFilter::Debug)
        .init()
        .context("the log lines of libraries go elsewhere already")?;
    let guard = LogGuard::start(Arc::clone(&log), sink)?;
    // Nobody else gets here: the dispatcher takes one only.
    LOG.get_or_init(|| Arc::clone(&log));
    tell_of_panics(log);
    Ok(guard)
}

/// Changes which lines are written, from now on. Nothing happens before [`init`].
pub(crate) fn set_filter(text: &str) -> Result<(), FilterError> {
    let filter = Filter::parse(text)?;
    if let Some(log) = LOG.get() {
        *log.filter.write().unwrap_or_else(PoisonError::into_inner) = filter;
        // Outside of the lock: this asks about every place that logs.
        tracing_core::callsite::rebuild_interest_cache();
    }
    Ok(())
}

/// Which lines are written now, as [`Filter::parse`] reads it.
pub(crate) fn filter() -> String {
    let filter = LOG.get().map(|log| log.filter.read().unwrap_or_else(PoisonError::into_inner));
    filter.map_or_else(|| Filter::default().to_string(), |filter| filter.to_string())
}

/// Gives this core a buffer of its own, for as long as the task lives; hold it until the core's
/// other work has ended. The core's lines, and its share of all others', are counted in `registry`.
pub(crate) fn on_core(core: CoreId, registry: &Registry) -> runtime::Task<()> {
    match LOG.get() {
        Some(log) => seat::take(Arc::clone(log), core, registry),
        None => runtime::spawn_local(async {}),
    }
}

/// Which lines are written, and where they wait.
pub(crate) struct Log {
    /// Asked once for each place that logs through `tracing`, and once for each line through the
    /// `log` crate: a lock that is written to when an operator changes the filter is cheap enough.
    filter: RwLock<Filter>,
    mode: Mode,
    queue: Queue,
}

impl Log {
    fn new(filter: Filter, mode: Mode) -> Self {
        Self { filter: RwLock::new(filter), mode, queue: Queue::new() }
    }

    fn is_written(&self, level: Level, target: &str) -> bool {
        self.filter.read().unwrap_or_else(PoisonError::into_inner).enabled(level, target)
    }
}

/// Keeps the log going. Dropping it is [`LogGuard::close`].
#[must_use = "the log ends with its guard"]
pub(crate) struct LogGuard {
    log: Arc<Log>,
    writer: Option<JoinHandle<()>>,
}

impl LogGuard {
    fn start(log: Arc<Log>, sink: Sink) -> anyhow::Result<Self> {
        let writing = Arc::clone(&log);
        let writer = std::thread::Builder::new()
            .name("distric-log".to_owned())
            .spawn(move || writing.queue.write_until_closed(sink))
            .context("cannot start the thread that writes the log")?;
        Ok(Self { log, writer: Some(writer) })
    }

    /// Writes what waits and ends the log; to be called when the cores have ended. Waits at most a
    /// second for an output that hangs. What is logged afterwards is lost.
    pub(crate) fn close(self) {
        drop(self);
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if self.log.queue.close(CLOSE_MAX)
            && let Some(writer) = self.writer.take()
        {
            // It has written everything; how its thread ended says nothing more.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGuard").finish_non_exhaustive()
    }
}

/// Logs a panic and writes what waits before it ends the process: the last lines are those that
/// tell why.
fn tell_of_panics(log: Arc<Log>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log_panic(panic);
        seat::leave();
        // An output that hangs does not hold up the end.
        let _ = log.queue.flush(CLOSE_MAX);
        before(panic);
    }));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("a panic without a message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    // Where panics unwind, as in tests, somebody may catch it.
    let fatal = cfg!(panic = "abort");
    let core = seat::core().map(|core| core.0);
    tracing::error!(fatal, place, core, thread, "{text}");
}

/// What `tracing` hands its events to.
struct Front {
    log: Arc<Log>,
}

impl Subscriber for Front {
    /// Whether a place logs is asked once, not for each of its lines.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && Level::of(*metadata.level())
                .is_some_and(|level| self.log.is_written(level, metadata.target()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let lowest = self.log.filter.read().unwrap_or_else(PoisonError::into_inner).lowest();
        Some(match lowest {
            None => LevelFilter::OFF,
            Some(Level::Error) => LevelFilter::ERROR,
            Some(Level::Warn) => LevelFilter::WARN,
            Some(Level::Info) => LevelFilter::INFO,
            Some(Level::Debug) => LevelFilter::DEBUG,
        })
    }

    fn event(&self, event: &Event<'_>) {
        // A line of the `log` crate has its target in a field.
        let of_log_crate = event.normalized_metadata();
        let metadata = of_log_crate.as_ref().unwrap_or_else(|| event.metadata());
        let Some(level) = Level::of(*metadata.level()) else { return };
        let at = runtime::now().wall;
        let component = component_of(metadata.target());
        let write = |out: &mut Vec<u8>| write_event(out, at, level, component, event);
        // glommio logs through the `log` crate, perhaps from the middle of its scheduler, where no
        // task may be woken.
        let may_wake = of_log_crate.is_none();
        if self.log.mode == Mode::Async && seat::push(level, may_wake, write) {
            return;
        }
        let mut line = Vec::with_capacity(LINE_BYTES_USUAL);
        write(&mut line);
        self.log.queue.push(level, &line);
        if self.log.mode == Mode::Sync {
            // An output that hangs holds up its lines, not the node for ever.
            let _ = self.log.queue.flush(SYNC_MAX);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // Spans are never enabled, but one may be made all the same. All are the same to us.
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
pub(crate) mod tests;
