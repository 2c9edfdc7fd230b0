//! Pumps a [`WorkerCore`]: its link to the leader, its runner, its deadlines. It decides nothing.

use crate::greeting::{Caller, call};
use crate::load::Load;
use crate::runner::{Over, Runner};
use base::{Address, BootId, Instant, Outbox, StoreId};
use bytes::Bytes;
use engine::workers::{ToWorker, WorkerConfig, WorkerCore, WorkerEffect};
use rpc::Channel;
use runtime::{LocalEvent, LocalNotify, TaskSet, sleep, sleep_until, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// How often the load is looked at: oftener than it is told.
const LOAD_EVERY: Duration = Duration::from_secs(2);

/// What a worker says to the log.
pub trait Host {
    /// Something happened.
    fn note(&self, text: &str);
    /// Something is not as it should be.
    fn notice(&self, text: &str);
}

/// What a worker says of itself when it connects.
#[derive(Clone, Debug)]
pub struct WorkerIdentity {
    /// Its data directory.
    pub store: StoreId,
    /// The cluster that it belongs to.
    pub cluster: u64,
    /// Its program and version.
    pub program: String,
}

/// A worker at work.
#[derive(Clone)]
pub struct Worker {
    inner: Rc<Inner>,
}

struct Inner {
    core: RefCell<WorkerCore>,
    out: RefCell<Outbox<WorkerEffect>>,
    caller: Caller,
    runner: Box<dyn Runner>,
    host: Rc<dyn Host>,
    /// The connection, or the attempt at one, that counts: what others say is not heard.
    turn: Cell<u64>,
    channel: RefCell<Option<Rc<Channel>>>,
    /// The deadline may have moved.
    wake: LocalNotify,
    gone: LocalEvent,
    left: Cell<bool>,
    tasks: TaskSet,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("turn", &self.inner.turn.get()).finish_non_exhaustive()
    }
}

impl Worker {
    /// Starts one. It does nothing before [`Self::on_leader`].
    pub fn start(
        config: WorkerConfig,
        identity: WorkerIdentity,
        runner: Box<dyn Runner>,
        host: Rc<dyn Host>,
    ) -> Self {
        let caller = Caller {
            worker: config.worker,
            store: identity.store,
            boot: config.boot,
            cluster: identity.cluster,
            program: identity.program,
        };
        let inner = Inner {
            core: RefCell::new(WorkerCore::new(config)),
            out: RefCell::new(Outbox::new()),
            caller,
            runner,
            host,
            turn: Cell::new(0),
            channel: RefCell::new(None),
            wake: LocalNotify::new(),
            gone: LocalEvent::new(),
            left: Cell::new(false),
            tasks: TaskSet::new(),
        };
        let worker = Self { inner: Rc::new(inner) };
        let [timing, hearing, looking] = [worker.clone(), worker.clone(), worker.clone()];
        let tasks = &worker.inner.tasks;
        tasks.spawn(async move { timing.keep_time().await });
        tasks.spawn(async move { hearing.hear_the_runner().await });
        tasks.spawn(async move { looking.look_at_the_load().await });
        worker
    }

    /// Where the leader takes workers, as far as is known.
    pub fn on_leader(&self, door: Option<&Address>) {
        self.input(|core, now, out| core.on_leader(now, door, out));
    }

    /// The worker is to go; what runs may end within that time.
    pub fn stop(&self, within: Duration) {
        self.input(|core, now, out| core.on_stop(now, now + within, out));
    }

    /// Set once it is gone, after [`Self::stop`].
    pub fn gone(&self) -> &LocalEvent {
        &self.inner.gone
    }

    /// Whether the leader knew that it went.
    pub fn has_left(&self) -> bool {
        self.inner.left.get()
    }

    /// A look at the mind.
    pub fn look<T>(&self, look: impl FnOnce(&WorkerCore) -> T) -> T {
        look(&self.inner.core.borrow())
    }

    /// Which run it is.
    pub fn boot(&self) -> BootId {
        self.look(WorkerCore::boot)
    }

    /// Ends it where it stands. To be called before the last handle is dropped.
    pub async fn close(&self) {
        self.inner.disconnect();
        self.inner.runner.kill_all();
        self.inner.tasks.cancel_all().await;
    }

    fn input(&self, what: impl FnOnce(&mut WorkerCore, Instant, &mut Outbox<WorkerEffect>)) {
        let inner = &self.inner;
        let now = runtime::instant();
        what(&mut inner.core.borrow_mut(), now, &mut inner.out.borrow_mut());
        // Taken out first: an effect may call back in.
        let effects = inner.out.borrow_mut().take();
        for effect in effects {
            self.carry_out(effect);
        }
        inner.wake.notify();
    }

    fn carry_out(&self, effect: WorkerEffect) {
        let inner = &self.inner;
        match effect {
            WorkerEffect::Connect { address } => self.connect(address),
            WorkerEffect::Disconnect => inner.disconnect(),
            WorkerEffect::Send(message) => {
                let Some(channel) = inner.channel.borrow().clone() else { return };
                let now = runtime::now().wall;
                if !channel.send(|out| message.encode(now, out)) {
                    // More than is kept for a leader: on the next connection all of it is said again.
                    channel.end();
                }
            }
            WorkerEffect::Run(run) => inner.runner.start(*run),
            WorkerEffect::Stop { order } => inner.runner.stop(order),
            WorkerEffect::KillAll => inner.runner.kill_all(),
            WorkerEffect::Keep { until } => inner.runner.keep(until),
            WorkerEffect::Validate { ticket, plugin, config } => {
                inner.runner.validate(ticket, &plugin, config);
            }
            WorkerEffect::Exit { left } => {
                inner.left.set(left);
                inner.gone.set();
            }
            WorkerEffect::Note(text) => inner.host.note(&text),
            WorkerEffect::Notice(text) => inner.host.notice(&text),
        }
    }

    fn connect(&self, address: Address) {
        let turn = self.inner.next_turn();
        let worker = self.clone();
        self.inner.tasks.spawn(async move {
            // A task runs at once when it is spawned, within an input.
            yield_now().await;
            let reason = worker.link(turn, &address).await;
            if worker.inner.turn.get() == turn {
                worker.inner.channel.borrow_mut().take();
                worker.input(|core, now, out| core.on_link_down(now, &reason, out));
            }
        });
    }

    /// Makes a connection and serves it until it ends, and tells why.
    async fn link(&self, turn: u64, address: &Address) -> String {
        let inner = &self.inner;
        let introduced = match call(address, &inner.caller).await {
            Ok(introduced) => introduced,
            Err(error) => return error.reason(),
        };
        if inner.turn.get() != turn {
            return String::new();
        }
        let (channel, mut driver) = introduced.open();
        *inner.channel.borrow_mut() = Some(channel);
        self.input(WorkerCore::on_link_up);
        driver
            .run(|frame| {
                if inner.turn.get() != turn {
                    return Err("this side has left it".to_owned());
                }
                let payload = Bytes::copy_from_slice(frame.payload);
                let message = ToWorker::decode(frame.header.kind, &payload, frame.trace)
                    .map_err(|error| error.to_string())?;
                self.input(|core, now, out| core.on_message(now, message, out));
                Ok(())
            })
            .await
    }

    async fn keep_time(&self) {
        let inner = &self.inner;
        loop {
            let deadline = self.look(WorkerCore::deadline);
            let mut due = pin!(async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            });
            poll_fn(|context| {
                if inner.wake.poll_notified(context).is_ready() {
                    return Poll::Ready(());
                }
                due.as_mut().poll(context)
            })
            .await;
            let now = runtime::instant();
            if self.look(WorkerCore::deadline).is_some_and(|due| due <= now) {
                self.input(WorkerCore::on_deadline);
            }
        }
    }

    async fn hear_the_runner(&self) {
        loop {
            let over = poll_fn(|context| self.inner.runner.poll_over(context)).await;
            for one in over {
                self.input(|core, now, out| match one {
                    Over::Ended { order, ended } => core.on_task_ended(now, order, ended, out),
                    Over::Stopped { order } => core.on_task_stopped(now, order, out),
                    Over::Validated { ticket, verdict } => core.on_validated(ticket, verdict, out),
                });
            }
        }
    }

    async fn look_at_the_load(&self) {
        let mut before = Load::read().unwrap_or_default();
        loop {
            sleep(LOAD_EVERY).await;
            let now = Load::read().unwrap_or_default();
            let (cpu, memory) = (now.permille_since(before), self.inner.runner.memory_bytes());
            self.inner.core.borrow_mut().on_load(cpu, memory);
            before = now;
        }
    }
}

impl Inner {
    fn next_turn(&self) -> u64 {
        let turn = self.turn.get() + 1;
        self.turn.set(turn);
        turn
    }

    fn disconnect(&self) {
        self.next_turn();
        if let Some(channel) = self.channel.borrow_mut().take() {
            channel.end();
        }
    }
}
