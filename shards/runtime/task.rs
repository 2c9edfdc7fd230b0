//! Tasks of a core, each held by somebody.
//!
//! glommio never drops a detached task: one that owns a socket, a file or a channel would keep it
//! past the executor's end. So there is no detaching here.
//!
//! Invariants:
//! - A task ends with its handle: dropping it cancels the task.
//! - A [`TaskSet`] that says it is idle has dropped every future it ever held.

use crate::core_state;
use crate::local::LocalNotify;
use crate::timer::instant;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Starts a task on this core. It begins to run at once, inside this call, so nothing borrowed
/// from a `RefCell` may be held across it.
pub fn spawn_local<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let count = core_state::current().count_task();
    Task(glommio::spawn_local(async move {
        let _count = count;
        future.await
    }))
}

/// The longest that a task works on without looking whether input waits.
const TURN_MAX: Duration = Duration::from_micros(500);

/// Lets others run, and new input in, if the last time is more than half a millisecond ago. A loop
/// that may find work without end calls this once per round, after a batch: nothing else takes the
/// core from it. Costs a reading of the clock.
pub async fn yield_if_needed() {
    let core = core_state::current();
    if instant().since(core.yielded.get()) >= TURN_MAX {
        yield_to_input().await;
        core.yielded.set(instant());
    }
}

/// Lets every other task that is ready run, and then what new input makes ready.
async fn yield_to_input() {
    // glommio looks for input only when nothing is ready; `yield_now` keeps this task ready. So it
    // waits for what only that look can find: a timer that is due.
    glommio::timer::sleep(Duration::from_micros(1)).await;
}

/// Lets every task that is ready now run once. No new input is looked for.
pub async fn yield_now() {
    glommio::executor().yield_now().await;
}

/// A running task: a future of its result. Dropping it cancels the task.
#[must_use = "a task is cancelled when its handle is dropped"]
pub struct Task<T>(glommio::Task<T>);

impl<T> Task<T> {
    /// Cancels the task and waits until its future is dropped. A task that had already ended gives
    /// its result.
    pub async fn cancel(self) -> Option<T> {
        self.0.cancel().await
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Many tasks that end on their own, such as connections. Dropping the set cancels those that run.
#[derive(Default)]
pub struct TaskSet {
    state: Rc<SetState>,
}

#[derive(Default)]
struct SetState {
    next: Cell<u64>,
    running: Cell<usize>,
    tasks: RefCell<BTreeMap<u64, Task<()>>>,
    /// Tasks that have ended, whose handles are still in the map: a task cannot drop its own.
    ended: RefCell<Vec<u64>>,
    changed: LocalNotify,
}

impl TaskSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task in the set. As with [`spawn_local`], it begins to run inside this call. How
    /// many there may be is the caller's to bound, by [`TaskSet::len`].
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.reap();
        let state = &self.state;
        let id = state.next.get();
        state.next.set(id + 1);
        state.running.set(state.running.get() + 1);
        let member = Member { state: Rc::clone(state), id };
        let task = spawn_local(async move {
            let _member = member;
            future.await;
        });
        state.tasks.borrow_mut().insert(id, task);
    }

    /// How many tasks run.
    pub fn len(&self) -> usize {
        self.state.running.get()
    }

    /// Whether no task runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cancels every task and waits until their futures are dropped.
    pub async fn cancel_all(&self) {
        drop(self.state.tasks.take());
        self.idle().await;
    }

    /// Waits until no task runs. One task waits at a time.
    pub async fn idle(&self) {
        while !self.is_empty() {
            self.state.changed.notified().await;
        }
        self.reap();
    }

    fn reap(&self) {
        for id in self.state.ended.take() {
            let task = self.state.tasks.borrow_mut().remove(&id);
            drop(task);
        }
    }
}

impl Drop for TaskSet {
    fn drop(&mut self) {
        drop(self.state.tasks.take());
    }
}

impl fmt::Debug for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet").field("running", &self.len()).finish()
    }
}

struct Member {
    state: Rc<SetState>,
    id: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.state.running.set(self.state.running.get() - 1);
        self.state.ended.borrow_mut().push(self.id);
        self.state.changed.notify();
    }
}

#[cfg(test)]
mod tests;
