//! One peer, as its callers see it: connections that are made when they are needed, and calls that
//! are made again where that is harmless.
//!
//! Invariants:
//! - A call has one deadline, whatever is done for it meanwhile: connecting, waiting, trying again.
//! - A caller that gives up leaves nothing behind but a cancellation on its way to the peer.
//! - No task outlives the peer and its clones.

use crate::greeting::{Identity, PeerInfo};
use crate::link::{Answer, End, Link, Request, Waiter, closed, connect};
use crate::metrics::RpcMetrics;
use base::{Instant, Prng};
use runtime::{LocalEvent, TaskSet, sleep};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;
use telemetry::TraceContext;
use wire::Kind;
use wire::rpc::{
    Backoff, BackoffOptions, Breaker, BreakerOptions, BreakerState, CallError, Choice,
    ConnectionId, Permit, Pool, PoolOptions, RetryPolicy, WatchOptions,
};

/// How to call a peer.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Its connections.
    pub pool: PoolOptions,
    /// When a connection on which nothing is heard is dead.
    pub watch: WatchOptions,
    /// When the peer is left alone.
    pub breaker: BreakerOptions,
    /// The pauses between attempts.
    pub backoff: BackoffOptions,
    /// How often a call is made.
    pub retry: RetryPolicy,
    /// The largest payload of an answer. Unit: bytes. Default 16 MiB: a piece of a snapshot, or a
    /// large list.
    pub payload_bytes_max: usize,
    /// With so many bytes waiting to be written on a connection, further calls are refused. Unit:
    /// bytes. Default 4 MiB.
    pub output_bytes_max: usize,
    /// How long the peer may take nothing while bytes wait. Default 10 s.
    pub write_stall_max: Duration,
    /// Decides the random part of the pauses.
    pub seed: u64,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            pool: PoolOptions::default(),
            watch: WatchOptions::default(),
            breaker: BreakerOptions::default(),
            backoff: BackoffOptions::default(),
            retry: RetryPolicy::default(),
            payload_bytes_max: 16 * 1024 * 1024,
            output_bytes_max: 4 * 1024 * 1024,
            write_stall_max: Duration::from_secs(10),
            seed: 0,
        }
    }
}

/// How to make one call.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// The longest that the caller waits, all attempts together.
    pub timeout: Duration,
    /// Making the call twice does no more than making it once: it may be made again though it may
    /// have reached the peer.
    pub idempotent: bool,
    /// The trace that it belongs to, when that is recorded.
    pub trace: Option<TraceContext>,
}

impl CallOptions {
    /// A call that must not happen twice.
    pub fn once(timeout: Duration) -> Self {
        Self { timeout, idempotent: false, trace: None }
    }

    /// A call that may.
    pub fn idempotent(timeout: Duration) -> Self {
        Self { timeout, idempotent: true, trace: None }
    }

    /// The same call as part of a trace.
    pub fn with_trace(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }
}

/// The calling side of one address. Clones share its connections.
#[derive(Clone)]
pub struct Peer {
    tasks: Rc<TaskSet>,
    shared: Rc<Shared>,
}

/// What callers share with the tasks of connections. It holds no task, so that dropping the last
/// [`Peer`] ends them all.
struct Shared {
    address: SocketAddr,
    identity: Identity,
    options: PeerOptions,
    metrics: RpcMetrics,
    pool: RefCell<Pool>,
    links: RefCell<Vec<(ConnectionId, Rc<Link>)>>,
    /// The connection that is being made.
    attempt: RefCell<Option<Rc<Attempt>>>,
    /// Calls that wait for it.
    waiting: Cell<usize>,
    breaker: RefCell<Breaker>,
    prng: RefCell<Prng>,
    is_stopped: Cell<bool>,
}

/// A connection that is being made.
#[derive(Default)]
struct Attempt {
    done: LocalEvent,
    error: RefCell<Option<CallError>>,
}

impl Peer {
    /// The peer at `address`. Nothing is connected before the first call.
    pub fn new(
        address: SocketAddr,
        identity: Identity,
        options: PeerOptions,
        metrics: &RpcMetrics,
    ) -> Self {
        let shared = Shared {
            address,
            identity,
            metrics: metrics.clone(),
            pool: RefCell::new(Pool::new(options.pool)),
            links: RefCell::default(),
            attempt: RefCell::default(),
            waiting: Cell::new(0),
            breaker: RefCell::new(Breaker::new(options.breaker)),
            prng: RefCell::new(Prng::new(options.seed)),
            is_stopped: Cell::new(false),
            options,
        };
        Self { tasks: Rc::new(TaskSet::new()), shared: Rc::new(shared) }
    }

    /// Makes a call and waits for its answer. `write` appends the message, once per attempt, and
    /// does nothing else; `read` is handed the answer where it lies in the connection's memory.
    pub async fn call<R: 'static>(
        &self,
        kind: Kind,
        options: &CallOptions,
        write: impl Fn(&mut Vec<u8>),
        read: impl FnOnce(Answer<'_>) -> R + 'static,
    ) -> Result<R, CallError> {
        let deadline = runtime::instant() + options.timeout;
        let request = Request { kind, trace: options.trace, timeout: options.timeout, deadline };
        let seat = Rc::new(Seat { read: Cell::new(Some(read)), outcome: RefCell::default() });
        let mut backoff: Option<Backoff> = None;
        let mut attempts = 0;
        loop {
            let error = match self.attempt(&request, &write, &seat).await {
                Ok(read) => return Ok(read),
                Err(error) => error,
            };
            attempts += 1;
            let backoff = backoff.get_or_insert_with(|| {
                let prng = self.shared.prng.borrow_mut().fork("backoff");
                Backoff::new(self.shared.options.backoff, prng)
            });
            let remaining = deadline.since(runtime::instant());
            let retry = self.shared.options.retry;
            match retry.pause(&error, options.idempotent, attempts, remaining, backoff) {
                None => return Err(error),
                Some(Duration::ZERO) => {}
                Some(pause) => sleep(pause).await,
            }
        }
    }

    /// One attempt at a call.
    async fn attempt<R: 'static, F: FnOnce(Answer<'_>) -> R + 'static>(
        &self,
        request: &Request,
        write: impl FnOnce(&mut Vec<u8>),
        seat: &Rc<Seat<F, R>>,
    ) -> Result<R, CallError> {
        let shared = &self.shared;
        let now = runtime::instant();
        let admitted = shared.breaker.borrow_mut().admit(now);
        let permit = match admitted {
            Ok(permit) => permit,
            Err(refusal) => {
                let error = CallError::BreakerOpen { retry_after: refusal.retry_after };
                return Err(shared.failed(request.kind, error));
            }
        };
        let mut verdict = Verdict { shared, permit: Some(permit), connection: None };
        let lease = self.acquire(request.deadline, now, &mut verdict.connection).await;
        let outcome = match lease {
            Err(error) => Err(shared.failed(request.kind, error)),
            Ok(lease) => {
                let waiter: Rc<dyn Waiter> = Rc::<Seat<F, R>>::clone(seat);
                match lease.link.start(request, write, waiter) {
                    Err(error) => Err(shared.failed(request.kind, error)),
                    Ok(call) => {
                        let mut cancel = CancelOnDrop { link: &lease.link, call: Some(call) };
                        let outcome = seat.outcome().await;
                        cancel.call = None;
                        outcome
                    }
                }
            }
        };
        verdict.pronounce(outcome.as_ref().err());
        outcome
    }

    /// A connection for one more call; `used` is the one that was tried last.
    async fn acquire(
        &self,
        deadline: Instant,
        begun: Instant,
        used: &mut Option<ConnectionId>,
    ) -> Result<Lease<'_>, CallError> {
        let shared = &self.shared;
        let mut has_waited = false;
        loop {
            if shared.is_stopped.get() {
                return Err(closed(false, "this side stops"));
            }
            let choice = shared.pool.borrow_mut().choose();
            match choice {
                Choice::Use { connection, reused, grow } => {
                    let link = shared.link(connection);
                    *used = Some(connection);
                    let lease = Lease { shared, connection, link };
                    if let Some(grow) = grow {
                        self.open(grow);
                    }
                    let took =
                        if has_waited { runtime::instant().since(begun) } else { Duration::ZERO };
                    shared.metrics.on_acquired(took, reused);
                    return Ok(lease);
                }
                Choice::Connect(connection) => {
                    *used = Some(connection);
                    self.open(connection);
                }
                Choice::Wait(connection) => *used = Some(connection),
                Choice::Full { calls_max } => {
                    return Err(CallError::Full { what: "calls", limit: calls_max });
                }
            }
            has_waited = true;
            shared.connected(deadline).await?;
        }
    }

    /// Makes a connection, in a task that then keeps it running.
    fn open(&self, connection: ConnectionId) {
        let attempt = Rc::new(Attempt::default());
        *self.shared.attempt.borrow_mut() = Some(Rc::clone(&attempt));
        let opening = Opening { shared: Rc::clone(&self.shared), connection, attempt };
        self.tasks.spawn(opening.run());
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What the breaker does with calls.
    pub fn breaker(&self) -> BreakerState {
        self.shared.breaker.borrow().state()
    }

    /// Connections, those that are being made included.
    pub fn connections(&self) -> usize {
        self.shared.pool.borrow().len()
    }

    /// Who answered last at this address, if a connection is open.
    pub fn info(&self) -> Option<PeerInfo> {
        self.shared.links.borrow().last().map(|(_, link)| link.peer().clone())
    }

    /// Ends every connection, and with them the calls under way; further ones are refused.
    pub async fn stop(&self) {
        self.shared.is_stopped.set(true);
        self.tasks.cancel_all().await;
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn link(&self, connection: ConnectionId) -> Rc<Link> {
        let links = self.links.borrow();
        let link = links.iter().find(|(id, _)| *id == connection);
        Rc::clone(&link.expect("the pool knows the connections that there are").1)
    }

    /// Counts an error of a call that never went out.
    fn failed(&self, kind: Kind, error: CallError) -> CallError {
        self.metrics.on_error(self.metrics.index(kind), error.error_type());
        error
    }

    /// Waits until the connection that is being made is made, or has failed.
    async fn connected(&self, deadline: Instant) -> Result<(), CallError> {
        let waiting_max = self.options.pool.waiting_max;
        if self.waiting.get() >= waiting_max {
            return Err(CallError::Full {
                what: "calls that wait for a connection",
                limit: waiting_max,
            });
        }
        // It may be over already, as a task begins within the call that starts it: ask again.
        let Some(attempt) = self.attempt.borrow().clone() else { return Ok(()) };
        let _waits = Waits::new(&self.waiting);
        let remaining = deadline.since(runtime::instant());
        if runtime::timeout(remaining, attempt.done.wait()).await.is_err() {
            let reason = format!("{} was not connected within the deadline", self.address);
            return Err(CallError::Refused { reason: reason.into() });
        }
        let error = attempt.error.borrow().clone();
        error.map_or(Ok(()), Err)
    }
}

/// The task of one connection.
struct Opening {
    shared: Rc<Shared>,
    connection: ConnectionId,
    attempt: Rc<Attempt>,
}

impl Opening {
    async fn run(self) {
        let shared = Rc::clone(&self.shared);
        let made =
            connect(shared.address, &shared.identity, &shared.options, &shared.metrics).await;
        let greeted = match made {
            Ok(greeted) => greeted,
            Err(error) => {
                self.fail(error);
                return;
            }
        };
        let _open = shared.metrics.on_open();
        let (link, mut driver) = greeted.into_link(&shared.options, &shared.metrics);
        let open = OpenLink { shared: &shared, connection: self.connection, link };
        open.enter();
        self.finish();
        let end = driver.run().await;
        open.leave(&end);
    }

    /// No connection: whoever waits for it learns why.
    fn fail(self, error: CallError) {
        *self.attempt.error.borrow_mut() = Some(error);
        self.shared.pool.borrow_mut().on_closed(self.connection);
        self.finish();
    }

    fn finish(&self) {
        let mut current = self.shared.attempt.borrow_mut();
        if current.as_ref().is_some_and(|attempt| Rc::ptr_eq(attempt, &self.attempt)) {
            *current = None;
        }
        drop(current);
        self.attempt.done.set();
    }
}

impl Drop for Opening {
    /// The task was cancelled before there was a connection.
    fn drop(&mut self) {
        if !self.attempt.done.is_set() {
            *self.attempt.error.borrow_mut() = Some(closed(false, "this side stops"));
            self.shared.pool.borrow_mut().on_closed(self.connection);
            self.finish();
        }
    }
}

/// A connection of the pool, for as long as its task runs.
struct OpenLink<'a> {
    shared: &'a Shared,
    connection: ConnectionId,
    link: Rc<Link>,
}

impl OpenLink<'_> {
    fn enter(&self) {
        let calls_max = self.link.peer().calls_max;
        self.shared.links.borrow_mut().push((self.connection, Rc::clone(&self.link)));
        self.shared.pool.borrow_mut().on_connected(self.connection, calls_max);
        self.shared.metrics.on_pool_size(1.0);
    }

    /// Takes the connection out of the pool, then ends its calls: one that is made again at once
    /// must not find it there.
    fn leave(&self, end: &End) {
        let mut links = self.shared.links.borrow_mut();
        let before = links.len();
        links.retain(|(id, _)| *id != self.connection);
        let has_left = links.len() < before;
        drop(links);
        if has_left {
            self.shared.pool.borrow_mut().on_closed(self.connection);
            self.shared.metrics.on_pool_size(-1.0);
            self.link.end(end);
        }
    }
}

impl Drop for OpenLink<'_> {
    /// The task was cancelled.
    fn drop(&mut self) {
        self.leave(&End::Closed("this side stops".into()));
    }
}

/// A place on a connection for one call.
struct Lease<'a> {
    shared: &'a Shared,
    connection: ConnectionId,
    link: Rc<Link>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.shared.pool.borrow_mut().on_call_end(self.connection);
    }
}

/// Tells the breaker what became of a call, or that nobody waited for it.
struct Verdict<'a> {
    shared: &'a Shared,
    permit: Option<Permit>,
    connection: Option<ConnectionId>,
}

impl Verdict<'_> {
    fn pronounce(&mut self, error: Option<&CallError>) {
        let Some(permit) = self.permit.take() else { return };
        let mut breaker = self.shared.breaker.borrow_mut();
        match error {
            // Nothing was learnt of the peer: this side had no room.
            Some(CallError::Full { .. } | CallError::TooLarge { .. }) => {
                breaker.on_abandoned(runtime::instant(), permit);
            }
            Some(error) if error.is_failure_of_peer() => {
                // A call that ran out of time says nothing of its connection.
                let is_timeout = matches!(error, CallError::Timeout { .. });
                let lost = self.connection.filter(|_| !is_timeout);
                breaker.on_failure(runtime::instant(), permit, lost);
            }
            _ => breaker.on_success(permit),
        }
    }
}

impl Drop for Verdict<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.shared.breaker.borrow_mut().on_abandoned(runtime::instant(), permit);
        }
    }
}

/// Tells the peer when the caller goes away.
struct CancelOnDrop<'a> {
    link: &'a Link,
    call: Option<u64>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.link.cancel(call);
        }
    }
}

/// One more who waits, for its life.
struct Waits<'a>(&'a Cell<usize>);

impl<'a> Waits<'a> {
    fn new(waiting: &'a Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Where a call waits for its outcome: one allocation, kept over all attempts.
struct Seat<F, R> {
    read: Cell<Option<F>>,
    outcome: RefCell<Outcome<R>>,
}

enum Outcome<R> {
    Open(Option<Waker>),
    Done(Result<R, CallError>),
}

impl<R> Default for Outcome<R> {
    fn default() -> Self {
        Self::Open(None)
    }
}

impl<F, R> Seat<F, R> {
    /// Waits for the outcome and takes it, leaving the seat for another attempt.
    async fn outcome(&self) -> Result<R, CallError> {
        poll_fn(|context| {
            let mut outcome = self.outcome.borrow_mut();
            match &mut *outcome {
                Outcome::Done(_) => match std::mem::take(&mut *outcome) {
                    Outcome::Done(done) => Poll::Ready(done),
                    Outcome::Open(_) => unreachable!("it was seen as done"),
                },
                Outcome::Open(Some(waker)) if waker.will_wake(context.waker()) => Poll::Pending,
                Outcome::Open(waker) => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<F: FnOnce(Answer<'_>) -> R, R> Waiter for Seat<F, R> {
    fn on_end(&self, outcome: Result<Answer<'_>, CallError>) {
        let done = outcome.map(|answer| {
            let read = self.read.take().expect("a call has one answer");
            read(answer)
        });
        let before = self.outcome.replace(Outcome::Done(done));
        if let Outcome::Open(Some(waker)) = before {
            waker.wake();
        }
    }
}
