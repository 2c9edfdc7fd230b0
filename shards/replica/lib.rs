//! Pumps a [`ShardCore`]: hands it requests, packets and the ends of calls, and carries out its
//! effects. It decides nothing.
//!
//! Invariants:
//! - packets leave in the order in which the mind gave them;
//! - a call's task is held here, and is gone when its order is withdrawn or the core stops;
//! - work that the mind orders is done on a thread beside the core, and what came of it comes back.

mod outgoing;
mod spans;

pub use outgoing::Outgoing;

use api::{Request, Response, Route};
use base::{CoreId, Instant, Outbox, WorkerId};
use engine::message::{Packet, ToShard};
use engine::record::Ended;
use engine::workers::{FromWorker, ToWorker, WorkerLink};
use engine::{OrderId, RequestId, ShardCore, ShardEffect, Submission, SubmitResults, Work};
use runtime::{
    LocalEvent, LocalNotify, LocalOneshot, LocalReceiver, LocalSender, OffloadFull, Task, TaskSet,
    offload, offload_aside, spawn_local, yield_now,
};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use telemetry::SpanBuffer;

use spans::{Answer, TaskSpan, Traced};

/// Carries out one order; the future is dropped when the order is withdrawn.
pub type Caller = Box<dyn Fn(Box<flow::Order>) -> Pin<Box<dyn Future<Output = Ended>>>>;

/// Says something to a worker over its connection to this node.
pub type ToWorkers = Box<dyn Fn(WorkerLink, &ToWorker)>;

/// What a mind says of its own end, or of a workflow's log line.
pub trait Host {
    /// A workflow wrote a line.
    fn log(&self, line: &flow::LogLine);
    /// Something that is as it should be.
    fn note(&self, text: &str);
    /// Something an operator should see.
    fn notice(&self, text: &str);
    /// The state cannot be carried on. Does not return to normal work: the process ends.
    fn fatal(&self, reason: &str);
}

/// One core's replica of the state, shared by all that live on the core.
#[derive(Clone)]
pub struct Replica {
    inner: Rc<Inner>,
}

/// Told what became of a submission, once.
pub type Done = Box<dyn FnOnce(SubmitResults)>;

/// Who waits for an answer.
struct Waiting {
    teller: Teller,
    /// Of a request that is recorded. Apart: most are not.
    traced: Option<Box<Traced>>,
}

enum Teller {
    Response(LocalSender<Response>),
    Results(Done),
}

struct Inner {
    consensus: CoreId,
    mind: RefCell<ShardCore>,
    out: RefCell<Outbox<ShardEffect>>,
    outgoing: Outgoing,
    /// Rings when there is something to flush or to send.
    wake: Rc<LocalNotify>,
    waiting: RefCell<HashMap<RequestId, Waiting>>,
    next_request: Cell<u64>,
    calls: RefCell<BTreeMap<OrderId, Task<()>>>,
    work: TaskSet,
    caller: Caller,
    /// None: this node takes no workers.
    to_workers: RefCell<Option<ToWorkers>>,
    host: Box<dyn Host>,
    serving: LocalEvent,
    spans: SpanBuffer,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("waiting", &self.inner.waiting.borrow().len()).finish()
    }
}

impl Replica {
    /// A replica around a mind. `consensus` is the core that keeps the log.
    pub fn new(
        mind: ShardCore,
        consensus: CoreId,
        outgoing: Outgoing,
        wake: Rc<LocalNotify>,
        caller: Caller,
        host: Box<dyn Host>,
    ) -> Self {
        let inner = Inner {
            consensus,
            mind: RefCell::new(mind),
            out: RefCell::new(Outbox::new()),
            outgoing,
            wake,
            waiting: RefCell::new(HashMap::new()),
            next_request: Cell::new(1),
            calls: RefCell::new(BTreeMap::new()),
            work: TaskSet::new(),
            caller,
            to_workers: RefCell::new(None),
            host,
            serving: LocalEvent::new(),
            spans: SpanBuffer::off(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// The same, recording spans of what is traced. Only a replica that nobody shares yet can change.
    pub fn with_spans(mut self, spans: SpanBuffer) -> Self {
        let inner = Rc::get_mut(&mut self.inner).expect("a new replica is nobody else's");
        inner.spans = spans;
        self
    }

    /// A client's request. The answer comes through the receiver, whenever it comes.
    pub fn request(&self, route: &Route, request: &Request<'_>) -> LocalReceiver<Response> {
        let inner = &self.inner;
        let (sender, receiver) = LocalOneshot::new();
        let now = runtime::now();
        let traced = Traced::begin(&inner.spans, request.trace, route.pattern(), now.wall);
        // What is not recorded here is not carried along either.
        let request = &Request { trace: traced.as_ref().map(|traced| traced.own), ..*request };
        let id = inner.wait(Teller::Response(sender), traced);
        inner.with(|mind, out| {
            mind.on_request(now, id, route, request, out);
            if *route == Route::SubmitMessage {
                let took = runtime::instant().since(now.instant);
                mind.metrics().rule_evaluation.observe_duration(took);
            }
        });
        inner.gathered(id);
        self.carry_out();
        inner.wake.notify();
        receiver
    }

    /// A client's messages. `done` is told what became of them: before this returns when nothing of
    /// it is taken, else when it is durable and applied.
    pub fn submit(&self, submission: &Submission<'_>, done: Done) {
        let inner = &self.inner;
        let now = runtime::now();
        let traced = Traced::begin(&inner.spans, submission.trace, "submit", now.wall);
        let submission =
            &Submission { trace: traced.as_ref().map(|traced| traced.own), ..*submission };
        let id = inner.wait(Teller::Results(done), traced);
        inner.with(|mind, out| {
            mind.on_submit(id, submission, out);
            let count = submission.messages.len() as u64;
            let took = runtime::instant().since(now.instant).as_nanos();
            let took = u64::try_from(took).unwrap_or(u64::MAX);
            if let Some(each) = took.checked_div(count) {
                mind.metrics().rule_evaluation.observe_many(each, count);
            }
        });
        inner.gathered(id);
        self.carry_out();
        inner.wake.notify();
    }

    /// A packet of another core, or of this one's consensus.
    pub fn on_packet(&self, from: CoreId, message: ToShard) {
        let now = runtime::now();
        self.inner.with(|mind, out| {
            let before = mind.globals().catalogue.version;
            mind.on_packet(now, from, message, out);
            if mind.globals().catalogue.version != before {
                let took = runtime::instant().since(now.instant);
                mind.metrics().catalogue_swap.observe_duration(took);
            }
        });
        self.carry_out();
    }

    /// Where what is said to workers goes from now on; nowhere without one. Of core 0.
    pub fn link_workers(&self, to_workers: Option<ToWorkers>) {
        *self.inner.to_workers.borrow_mut() = to_workers;
    }

    /// A worker says something, over a connection of its own. Of core 0.
    pub fn on_worker_message(&self, link: WorkerLink, message: FromWorker) {
        let now = runtime::now();
        self.inner.with(|mind, out| mind.on_worker_message(now, link, message, out));
        self.carry_out();
        self.inner.wake.notify();
    }

    /// A worker's connection has ended. Of core 0.
    pub fn on_worker_link_down(&self, link: WorkerLink) {
        let now = runtime::now();
        self.inner.with(|mind, out| mind.on_worker_link_down(now, link, out));
        self.carry_out();
        self.inner.wake.notify();
    }

    /// Whether gossip doubts that a worker lives. Of core 0.
    pub fn on_worker_suspected(&self, worker: WorkerId, is_suspected: bool) {
        let now = runtime::now();
        self.inner.with(|mind, out| mind.on_worker_suspected(now, worker, is_suspected, out));
        self.carry_out();
        self.inner.wake.notify();
    }

    /// The node has come to belong to a cluster.
    pub fn on_founded(&self, cluster: u64) {
        self.inner.mind.borrow_mut().on_founded(cluster);
    }

    /// The end of a round: what was gathered goes out.
    pub fn flush(&self) {
        self.inner.with(ShardCore::on_flush);
        self.carry_out();
    }

    /// When [`Self::on_deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.mind.borrow().deadline()
    }

    /// The deadline has come.
    pub fn on_deadline(&self) {
        let now = runtime::now();
        self.inner.with(|mind, out| mind.on_deadline(now, out));
        self.carry_out();
    }

    /// Nothing new is taken from now on; calls are stopped, as their orders are state and go out
    /// again after the next start.
    pub fn stop(&self) {
        self.inner.mind.borrow_mut().on_stop();
        // Who waits for something to happen need not wait any longer.
        self.on_deadline();
        self.inner.calls.borrow_mut().clear();
    }

    /// The core ends: calls, and what waits for work, hold the replica that holds them. Work goes on
    /// to its end, for nobody.
    pub async fn close(&self) {
        self.stop();
        self.inner.work.cancel_all().await;
    }

    /// Whether no client waits for anything.
    pub fn is_drained(&self) -> bool {
        self.inner.mind.borrow().is_drained()
    }

    /// How many requests have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.inner.mind.borrow().unanswered()
    }

    /// Resolves once the state is whole and this node takes messages.
    pub fn serving(&self) -> &LocalEvent {
        &self.inner.serving
    }

    /// A look at the mind.
    pub fn look<T>(&self, look: impl FnOnce(&ShardCore) -> T) -> T {
        look(&self.inner.mind.borrow())
    }

    /// How many client connections the core holds now.
    pub fn set_connections(&self, count: u64) {
        self.inner.mind.borrow_mut().on_connections(count);
    }

    fn carry_out(&self) {
        // Taken out first: an effect may call back in.
        loop {
            let effects = self.inner.out.borrow_mut().take();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out_one(effect);
            }
        }
    }

    fn carry_out_one(&self, effect: ShardEffect) {
        let inner = &self.inner;
        match effect {
            ShardEffect::ToConsensus(message) => {
                inner.outgoing.push(inner.consensus, Packet::Consensus(message));
            }
            ShardEffect::ToShard { to, message } => {
                inner.outgoing.push(to, Packet::Shard(message));
            }
            ShardEffect::Reply { request, response } => {
                let answer = Answer::of_response(&response);
                let Some(Teller::Response(sender)) = inner.answered(request, answer) else {
                    unreachable!("a request of the REST API is answered once, by a response")
                };
                // A client that has gone needs no answer; its message is accepted all the same.
                let _gone = sender.send(response);
            }
            ShardEffect::Submitted { request, results } => {
                let answer = Answer::of_results(&results);
                let Some(Teller::Results(done)) = inner.answered(request, answer) else {
                    unreachable!("a submission is answered once, by its results")
                };
                done(results);
            }
            ShardEffect::Call(order) => self.start_call(order),
            ShardEffect::Abort(id) => {
                inner.calls.borrow_mut().remove(&id);
                inner.with(|mind, out| mind.on_call_stopped(id, out));
                inner.wake.notify();
            }
            ShardEffect::Work(work) => self.start_work(work),
            ShardEffect::ToWorker { link, message } => {
                if let Some(to_workers) = &*inner.to_workers.borrow() {
                    to_workers(link, &message);
                }
            }
            ShardEffect::Log(line) => inner.host.log(&line),
            ShardEffect::Note(text) => inner.host.note(&text),
            ShardEffect::Notice(text) => inner.host.notice(&text),
            ShardEffect::Serving => inner.serving.set(),
            ShardEffect::Fatal(reason) => inner.host.fatal(&reason),
        }
    }

    fn start_work(&self, work: Work) {
        let is_urgent = work.is_urgent();
        let here = Arc::new(Mutex::new(Some(work)));
        let there = Arc::clone(&here);
        let job = move || take(&there).run();
        let done = if is_urgent { offload(job) } else { offload_aside(job) };
        let replica = self.clone();
        self.inner.work.spawn(async move {
            // A task runs at once when it is spawned: effects that follow must not be overtaken.
            yield_now().await;
            let worked = match done {
                Ok(done) => done.await,
                // A machine that has no thread for it: the core rests meanwhile.
                Err(OffloadFull) => take(&here).run(),
            };
            replica.inner.with(|mind, out| mind.on_worked(worked, out));
            replica.carry_out();
            replica.inner.wake.notify();
        });
    }

    fn start_call(&self, mut order: Box<flow::Order>) {
        let id = OrderId::of(&order);
        let span = TaskSpan::begin(&self.inner.spans, &mut order);
        let call = (self.inner.caller)(order);
        let replica = self.clone();
        let task = spawn_local(async move {
            let began = runtime::now();
            // A task runs at once when it is spawned: its handle must be kept before it can end.
            yield_now().await;
            let ended = call.await;
            // The task's own handle: dropped here, after the last await.
            let _handle = replica.inner.calls.borrow_mut().remove(&id);
            let now = runtime::now();
            if let Some(span) = span {
                span.end(&replica.inner.spans, (began.wall, now.wall), id, &ended);
            }
            replica.inner.with(|mind, out| {
                let metrics = mind.metrics();
                let time = match &ended {
                    Ended::Output(_) => &metrics.task_completed,
                    Ended::Failed(_) => &metrics.task_failed,
                };
                time.observe_duration(now.instant.since(began.instant));
                mind.on_call_ended(id, ended, out);
            });
            replica.carry_out();
            replica.inner.wake.notify();
        });
        self.inner.calls.borrow_mut().insert(id, task);
    }
}

/// Work, by whoever does it: once.
fn take(slot: &Mutex<Option<Work>>) -> Work {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    slot.take().expect("it is done once")
}

impl Inner {
    fn wait(&self, teller: Teller, traced: Option<Box<Traced>>) -> RequestId {
        let id = RequestId(self.next_request.get());
        self.next_request.set(id.0 + 1);
        self.waiting.borrow_mut().insert(id, Waiting { teller, traced });
        id
    }

    /// The mind has seen a request.
    fn gathered(&self, request: RequestId) {
        // One look in vain at a buffer that is off, and the table is not asked.
        if self.spans.is_on()
            && let Some(waiting) = self.waiting.borrow_mut().get_mut(&request)
            && let Some(traced) = &mut waiting.traced
        {
            traced.gathered(&self.spans, runtime::now().wall);
        }
    }

    /// Who waits for that answer, which is about to be told.
    fn answered(&self, request: RequestId, answer: Answer) -> Option<Teller> {
        let Waiting { teller, traced } = self.waiting.borrow_mut().remove(&request)?;
        if let Some(traced) = traced {
            traced.end(&self.spans, runtime::now().wall, answer);
        }
        Some(teller)
    }

    fn with(&self, call: impl FnOnce(&mut ShardCore, &mut Outbox<ShardEffect>)) {
        call(&mut self.mind.borrow_mut(), &mut self.out.borrow_mut());
    }
}
