//! What one core's thread keeps for everybody on it: its timers, its resolver, and a count of its
//! tasks, so that an executor never ends with one still holding a socket.

use crate::local::LocalNotify;
use crate::resolver::Resolver;
use crate::timer::Timers;
use crate::wheel::Wheel;
use base::Instant;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long an executor that has ended waits for cancelled tasks to be dropped. They are dropped
/// within a turn of the executor, unless somebody still holds one.
const DRAIN_MAX: Duration = Duration::from_secs(1);

thread_local! {
    static CURRENT: RefCell<Option<Rc<CoreState>>> = const { RefCell::new(None) };
}

/// The state of the core whose thread this is.
pub(crate) struct CoreState {
    /// Tells this executor's state from that of one which ran on the same thread before.
    pub(crate) id: u64,
    pub(crate) timers: Rc<Timers>,
    pub(crate) wheel: Rc<Wheel>,
    /// When a task last made room for others and for input.
    pub(crate) yielded: Cell<Instant>,
    /// Made when it is first asked for.
    pub(crate) resolver: RefCell<Option<Rc<Resolver>>>,
    tasks: Cell<usize>,
    task_ended: LocalNotify,
}

/// The current core's state, if this thread runs an executor.
pub(crate) fn try_current() -> Option<Rc<CoreState>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The current core's state.
pub(crate) fn current() -> Rc<CoreState> {
    try_current().expect("this is called on a core: below `launch` or `block_on`")
}

impl CoreState {
    /// Counts a task for as long as the guard lives.
    pub(crate) fn count_task(self: &Rc<Self>) -> TaskCount {
        self.tasks.set(self.tasks.get() + 1);
        TaskCount(Rc::clone(self))
    }
}

pub(crate) struct TaskCount(Rc<CoreState>);

impl Drop for TaskCount {
    fn drop(&mut self) {
        self.0.tasks.set(self.0.tasks.get() - 1);
        if self.0.tasks.get() == 0 {
            self.0.task_ended.notify();
        }
    }
}

/// Runs `body` on `executor` with a core's state around it. The second value is the number of
/// tasks that were still held at the end.
pub(crate) fn run<T>(
    executor: &glommio::LocalExecutor,
    body: impl Future<Output = T>,
) -> (T, usize) {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    executor.run(async {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let timers = Rc::new(Timers::default());
        let wheel = Rc::new(Wheel::new(id));
        let state = Rc::new(CoreState {
            id,
            timers,
            wheel,
            yielded: Cell::new(crate::timer::instant()),
            resolver: RefCell::default(),
            tasks: Cell::new(0),
            task_ended: LocalNotify::new(),
        });
        CURRENT.with(|current| *current.borrow_mut() = Some(Rc::clone(&state)));
        // These are glommio's own tasks, not counted ones: they end after all the others.
        let guard = glommio::spawn_local(crate::guard::watch());
        let timers = glommio::spawn_local(Rc::clone(&state.timers).drive());
        let wheel = glommio::spawn_local(Rc::clone(&state.wheel).drive());

        let output = body.await;

        // Its look-ups are tasks, and may take long.
        drop(state.resolver.take());
        let drained = async {
            while state.tasks.get() > 0 {
                state.task_ended.notified().await;
            }
        };
        let _ = crate::timer::timeout(DRAIN_MAX, drained).await;
        wheel.cancel().await;
        timers.cancel().await;
        guard.cancel().await;
        // A turn of the reactor, so that queued closes and cancellations reach the kernel.
        glommio::timer::sleep(Duration::from_micros(50)).await;
        CURRENT.with(|current| current.borrow_mut().take());
        (output, state.tasks.get())
    })
}
