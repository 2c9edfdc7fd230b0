//! Starting one pinned executor per core, and ending them all.
//!
//! Invariants:
//! - [`launch`] returns with every core ready, or with the first reason and no core left running.
//! - A core that fails or panics stops the others, and [`Running::join`] tells which one it was.

use crate::cores::{Placement, core_id};
use crate::local::LocalEvent;
use crate::shutdown::Shutdown;
use crate::task::spawn_local;
use crate::{core_state, trouble};
use base::CoreId;
use glommio::{LocalExecutor, LocalExecutorBuilder, PoolPlacement};
use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread::JoinHandle;

/// Memory that glommio registers with each executor's three rings, and that counts three times
/// against the locked-memory limit. Our large buffers are allocated apart, so this is glommio's
/// least. Unit: bytes.
const REGISTERED_BYTES: usize = 64 * 1024;

/// Entries of each submission ring. Ten thousand connections have a poll each in the kernel; this
/// many can be handed over in one call.
const RING_ENTRIES: usize = 512;

/// Why a core's body could not go on, in words for the operator.
pub type CoreFailure = Box<dyn Error + Send + Sync>;

/// A core could not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A thread could not be made.
    #[error("cannot start the thread of core {core}: {source}")]
    Thread {
        /// The core.
        core: CoreId,
        /// What the system said.
        source: std::io::Error,
    },
    /// A core reported why it cannot run.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Somebody asked to stop before every core was ready.
    #[error("stopped before every core was ready: {reason}")]
    Stopped {
        /// Who or what asked.
        reason: String,
    },
}

/// A core ended badly.
#[derive(Debug, thiserror::Error)]
#[error("core {core} (CPU {cpu}) {kind}")]
pub struct CoreError {
    /// The core.
    pub core: CoreId,
    /// The CPU it was pinned to.
    pub cpu: usize,
    /// What happened to it.
    pub kind: CoreErrorKind,
}

/// What happened to a core.
#[derive(Debug, thiserror::Error)]
pub enum CoreErrorKind {
    /// Its executor could not be made; the text says why and what to do.
    #[error("cannot run: {0}")]
    Executor(String),
    /// Its body gave up.
    #[error("failed: {0}")]
    Failed(CoreFailure),
    /// Its body ended without a failure and without ever being ready.
    #[error("ended before it was ready")]
    NeverReady,
    /// A bug.
    #[error("panicked: {0}")]
    Panicked(String),
    /// A bug: its body ended while somebody still held tasks that run.
    #[error("ended while {0} of its tasks were still held")]
    TasksLeft(usize),
}

/// What a core's body is handed: who it is, and how to stop.
#[derive(Debug)]
pub struct CoreContext {
    core: CoreId,
    cpu: usize,
    cores: usize,
    shutdown: Shutdown,
    stop: LocalEvent,
    reporter: Option<mpsc::Sender<Report>>,
    is_ready: Rc<Cell<bool>>,
}

impl CoreContext {
    /// Which core this is.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// The CPU it is pinned to; several cores may share one.
    pub fn cpu(&self) -> usize {
        self.cpu
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Says that this core can do its work: its sockets are bound, its files open.
    pub fn ready(&self) {
        if !self.is_ready.replace(true)
            && let Some(reporter) = &self.reporter
        {
            // The launcher is gone only when another core has failed already.
            let _ = reporter.send(Report::Ready);
        }
    }

    /// The order to stop that all cores share.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// The same order as an event of this core alone, cheap to wait for in every connection.
    pub fn stop(&self) -> &LocalEvent {
        &self.stop
    }
}

#[derive(Debug)]
enum Report {
    Ready,
    Failed(CoreError),
    Stopped,
}

/// Starts one thread and executor per core, pinned as `placement` says, and runs `bodies[i]` on
/// core `i`. Returns when every body has called [`CoreContext::ready`]. A body ends when its core's
/// work does: after [`CoreContext::stop`] happened, or with the reason why it cannot go on.
pub fn launch<B, F>(
    placement: &Placement,
    shutdown: &Shutdown,
    bodies: Vec<B>,
) -> Result<Running, LaunchError>
where
    B: FnOnce(CoreContext) -> F + Send + 'static,
    F: Future<Output = Result<(), CoreFailure>> + 'static,
{
    assert_eq!(bodies.len(), placement.len(), "there is one body per core");
    trouble::raise_locked_memory();
    crate::offload::remember_cpus();
    let (reporter, reports) = mpsc::channel();
    let mut running = Running { threads: Vec::new(), shutdown: shutdown.clone() };
    for ((core, cpu), body) in placement.cores().zip(bodies) {
        let seat = Seat { core, cpu, cores: placement.len(), shutdown: shutdown.clone() };
        let reporter = reporter.clone();
        let thread = std::thread::Builder::new()
            .name(format!("distric-core-{core}"))
            .spawn(move || seat.run(body, &reporter));
        match thread {
            Ok(thread) => running.threads.push((core, cpu, thread)),
            Err(source) => {
                running.abandon("a core's thread could not be started");
                return Err(LaunchError::Thread { core, source });
            }
        }
    }
    drop(reporter);
    for _ in 0..placement.len() {
        match reports.recv() {
            Ok(Report::Ready) => {}
            Ok(Report::Failed(error)) => {
                running.abandon("a core could not start");
                return Err(error.into());
            }
            Ok(Report::Stopped) | Err(mpsc::RecvError) => {
                running.abandon("stopped during the start");
                let reason = shutdown.reason().unwrap_or_default();
                return Err(LaunchError::Stopped { reason });
            }
        }
    }
    Ok(running)
}

type CoreThread = JoinHandle<Result<(), CoreError>>;

/// The threads of all cores.
#[derive(Debug)]
pub struct Running {
    threads: Vec<(CoreId, usize, CoreThread)>,
    shutdown: Shutdown,
}

impl Running {
    /// Waits until every core has ended. The error is that of the core that failed first in the
    /// order of cores, of which the others were told to stop.
    pub fn join(self) -> Result<(), CoreError> {
        let mut first = Ok(());
        for (core, cpu, thread) in self.threads {
            let result = thread.join().unwrap_or_else(|panic| {
                // Nothing but the reporting itself is outside of the thread's own catch.
                Err(CoreError { core, cpu, kind: CoreErrorKind::Panicked(panic_text(&*panic)) })
            });
            if first.is_ok() {
                first = result;
            }
        }
        first
    }

    fn abandon(self, reason: &str) {
        self.shutdown.force(reason);
        // The reason for giving up is known already; what the others say now follows from it.
        let _ = self.join();
    }
}

struct Seat {
    core: CoreId,
    cpu: usize,
    cores: usize,
    shutdown: Shutdown,
}

impl Seat {
    /// The whole life of a core's thread.
    fn run<B, F>(self, body: B, reporter: &mpsc::Sender<Report>) -> Result<(), CoreError>
    where
        B: FnOnce(CoreContext) -> F,
        F: Future<Output = Result<(), CoreFailure>>,
    {
        let is_ready = Rc::new(Cell::new(false));
        let context = CoreContext {
            core: self.core,
            cpu: self.cpu,
            cores: self.cores,
            shutdown: self.shutdown.clone(),
            stop: LocalEvent::new(),
            reporter: Some(reporter.clone()),
            is_ready: Rc::clone(&is_ready),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| serve(self.cpu, context, body)));
        let outcome = match outcome {
            Ok(Ok(())) if !is_ready.get() && !self.shutdown.is_requested() => {
                Err(CoreErrorKind::NeverReady)
            }
            Ok(outcome) => outcome,
            Err(panic) => Err(CoreErrorKind::Panicked(panic_text(&*panic))),
        }
        .map_err(|kind| CoreError { core: self.core, cpu: self.cpu, kind });
        if let Err(error) = &outcome {
            self.shutdown.request(&error.to_string());
        }
        if is_ready.get() {
            return outcome;
        }
        // The launcher still waits for this core; if it does not, another one has failed already.
        let report = match outcome {
            Ok(()) => Report::Stopped,
            Err(error) => Report::Failed(error),
        };
        let _ = reporter.send(report);
        Ok(())
    }
}

fn serve<B, F>(cpu: usize, context: CoreContext, body: B) -> Result<(), CoreErrorKind>
where
    B: FnOnce(CoreContext) -> F,
    F: Future<Output = Result<(), CoreFailure>>,
{
    let executor = make_executor(glommio::Placement::Fixed(cpu))
        .map_err(|error| CoreErrorKind::Executor(trouble::explain(&error)))?;
    let (result, left) = core_state::run(&executor, until_forced(context, body));
    result.unwrap_or(Ok(())).map_err(CoreErrorKind::Failed)?;
    if left > 0 { Err(CoreErrorKind::TasksLeft(left)) } else { Ok(()) }
}

/// Runs a body with its `stop` event wired to the shutdown; `None` when it was ended by force.
async fn until_forced<B, F>(context: CoreContext, body: B) -> Option<F::Output>
where
    B: FnOnce(CoreContext) -> F,
    F: Future,
{
    let (stop, end) = (context.stop.clone(), LocalEvent::new());
    // A task of its own, so that the order's lock is not taken whenever the body is polled.
    let orders = spawn_local({
        let (shutdown, end) = (context.shutdown.clone(), end.clone());
        async move {
            shutdown.requested().await;
            stop.set();
            shutdown.forced().await;
            end.set();
        }
    });
    let mut forced = pin!(end.wait());
    let mut body = pin!(body(context));
    let output = std::future::poll_fn(|cx| match body.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => forced.as_mut().poll(cx).map(|()| None),
    })
    .await;
    orders.cancel().await;
    output
}

fn make_executor(
    placement: glommio::Placement,
) -> Result<LocalExecutor, glommio::GlommioError<()>> {
    LocalExecutorBuilder::new(placement)
        .io_memory(REGISTERED_BYTES)
        .ring_depth(RING_ENTRIES)
        // The time slice stays at glommio's 100 ms: one that is over too early meets the defect that
        // `guard` is about, and our loops yield by `yield_if_needed`, which does not wait for it.
        // The default is a thread pinned to the executor's own CPU, whose work would take turns
        // with the executor's.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .make()
}

/// Runs `body` on an executor of this thread, not pinned. For tests and tools; a node launches.
///
/// # Panics
///
/// When this machine cannot run an executor; the message says what to do.
pub fn block_on<T>(body: impl Future<Output = T>) -> T {
    trouble::raise_locked_memory();
    crate::offload::remember_cpus();
    let executor = match make_executor(glommio::Placement::Unbound) {
        Ok(executor) => executor,
        Err(error) => panic!("cannot run an executor here: {}", trouble::explain(&error)),
    };
    core_state::run(&executor, body).0
}

/// As [`block_on`], for a body that wants a [`CoreContext`]: that of core 0 of 1. `None` when
/// `shutdown` was forced.
pub fn block_on_core<B, F>(shutdown: &Shutdown, body: B) -> Option<F::Output>
where
    B: FnOnce(CoreContext) -> F,
    F: Future,
{
    let context = CoreContext {
        core: core_id(0),
        cpu: 0,
        cores: 1,
        shutdown: shutdown.clone(),
        stop: LocalEvent::new(),
        reporter: None,
        is_ready: Rc::default(),
    };
    block_on(until_forced(context, body))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests;
