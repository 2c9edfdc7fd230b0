//! Work that may block for long (name look-ups, reading the machine's certificates), on threads
//! that are not the cores'.
//!
//! glommio's own pool has one thread per executor, kept for short file operations of that core: a
//! resolver that waits thirty seconds for its server must not hold up a rename.
//!
//! Work that takes the CPU for long goes to threads of its own, which give way to the cores
//! ([`offload_aside`]): where every CPU has a core, it would take that core's time otherwise.
//!
//! Invariants:
//! - There are at most [`THREADS_MAX`] threads of each kind and [`QUEUE_MAX`] waiting jobs for each.
//! - A thread runs on every CPU that the process may use, even when a pinned core started it.

use crate::local::keep_waker;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Threads that block at the same time.
pub(crate) const THREADS_MAX: usize = 8;

/// How far the threads of [`offload_aside`] give way: a core that wants the CPU has nine tenths of
/// it. All of it would let one busy core keep a change of the catalogue from ever coming.
const ASIDE_NICE: i32 = 10;

/// Jobs that wait for a thread.
pub(crate) const QUEUE_MAX: usize = 1024;

/// How long a thread waits for another job before it ends.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// The job was not taken: too many wait already, or no thread can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{QUEUE_MAX} blocking jobs wait already, or no thread can be started for them")]
pub struct OffloadFull;

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    name: &'static str,
    nice: i32,
    state: Mutex<PoolState>,
    filled: Condvar,
}

struct PoolState {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Pool = Pool::new("distric-offload", 0);
static ASIDE: Pool = Pool::new("distric-aside", ASIDE_NICE);

/// The CPUs of the process, read before the first core was pinned.
static CPUS: OnceLock<Option<CpuSet>> = OnceLock::new();

/// Remembers which CPUs the process may use. To be called on a thread that is not pinned.
pub(crate) fn remember_cpus() {
    CPUS.get_or_init(|| sched_getaffinity(None).ok());
}

/// Runs `job` on another thread and waits for its result. Giving up the wait does not stop the
/// job; its result is dropped. A panic of the job goes on where it is awaited.
pub fn offload<T, F>(job: F) -> Result<Offload<T>, OffloadFull>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    POOL.offload(job)
}

/// The same for work that takes the CPU for long and that nobody waits for: it gives way to the
/// cores.
pub fn offload_aside<T, F>(job: F) -> Result<Offload<T>, OffloadFull>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    ASIDE.offload(job)
}

impl Pool {
    fn offload<T, F>(&'static self, job: F) -> Result<Offload<T>, OffloadFull>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let answer = Arc::clone(&slot);
        self.push(Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            let waker = {
                let mut slot = answer.lock().unwrap_or_else(PoisonError::into_inner);
                slot.result = Some(result);
                slot.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }))?;
        Ok(Offload { slot })
    }
}

/// The future of [`offload`].
pub struct Offload<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

struct Slot<T> {
    result: Option<Result<T, Box<dyn Any + Send>>>,
    waker: Option<Waker>,
}

impl<T> Future for Offload<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.result.take() {
            Some(Ok(value)) => Poll::Ready(value),
            Some(Err(panic)) => {
                drop(slot);
                resume_unwind(panic)
            }
            None => {
                keep_waker(&mut slot.waker, context.waker());
                Poll::Pending
            }
        }
    }
}

impl<T> std::fmt::Debug for Offload<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offload").finish_non_exhaustive()
    }
}

impl Pool {
    const fn new(name: &'static str, nice: i32) -> Self {
        let state = PoolState { jobs: VecDeque::new(), threads: 0, idle: 0 };
        Self { name, nice, state: Mutex::new(state), filled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&'static self, job: Job) -> Result<(), OffloadFull> {
        let mut state = self.lock();
        if state.jobs.len() >= QUEUE_MAX {
            return Err(OffloadFull);
        }
        if state.idle <= state.jobs.len() && state.threads < THREADS_MAX {
            let thread =
                std::thread::Builder::new().name(self.name.to_owned()).spawn(move || self.work());
            match thread {
                Ok(_) => state.threads += 1,
                // Those that run will come to it; without any, nobody would.
                Err(_) if state.threads > 0 => {}
                Err(_) => return Err(OffloadFull),
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// The life of one thread.
    fn work(&self) {
        if let Some(Some(cpus)) = CPUS.get() {
            // A thread that stays pinned beside its core still does its work.
            let _ = sched_setaffinity(None, cpus);
        }
        if self.nice != 0 {
            // Of this thread alone, as Linux has it. One that cannot give way still does its work.
            let _ = setpriority_process(None, self.nice);
        }
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (woken, wait) =
                self.filled.wait_timeout(state, IDLE_MAX).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
