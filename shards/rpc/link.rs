//! One connection over which calls are made.
//!
//! Invariants:
//! - Each call ends exactly once: with its answer, its deadline, its cancellation, or the end of
//!   the connection.
//! - A call whose frame was not written whole before the connection ended ended unsent; so did one
//!   that a peer which stops has not answered before its goodbye.
//! - At most `output_bytes_max` bytes wait to be written; calls beyond are refused, and a peer that
//!   takes nothing for `write_stall_max` loses the connection.

use crate::greeting::{GreetingError, Identity, PeerInfo, write_hello};
use crate::metrics::{KindIndex, RpcMetrics};
use crate::output::Output;
use crate::peer::PeerOptions;
use base::{Instant, Now, Outbox, UnixMicros};
use futures_lite::{AsyncRead, AsyncReadExt as _};
use runtime::{LocalNotify, Sleep, Stream, sleep_until, yield_if_needed};
use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use telemetry::TraceContext;
use wire::rpc::{Answered, CallError, Pending, Watch, WatchEffect};
use wire::{
    Cancel, Decoder, ErrorReply, Flags, Frame, FrameError, HEADER_BYTES, Head, Kind, Message as _,
    Ping, VERSION, words, write_frame,
};

/// An answer, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// What it is.
    pub kind: Kind,
    /// The message; it is the connection's memory.
    pub payload: &'a [u8],
}

/// Whoever waits for a call.
pub(crate) trait Waiter {
    /// The call has ended.
    fn on_end(&self, outcome: Result<Answer<'_>, CallError>);
}

/// What is to be called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
}

struct Waiting {
    waiter: Rc<dyn Waiter>,
    kind: KindIndex,
    begun: Instant,
    timeout: Duration,
    /// Where in the stream the call's frame ends.
    end: u64,
}

/// The part of a connection that callers see.
pub(crate) struct Link {
    state: RefCell<LinkState>,
    /// Something is to be written.
    wake: LocalNotify,
    /// Its task runs right now and will write without being woken.
    is_running: Cell<bool>,
    metrics: RpcMetrics,
    peer: PeerInfo,
    output_bytes_max: usize,
}

struct LinkState {
    output: Output,
    pending: Pending<Waiting>,
    is_ended: bool,
}

impl Link {
    /// Makes a call: `write` appends the message. Tells the call's number.
    pub(crate) fn start(
        &self,
        request: &Request,
        write: impl FnOnce(&mut Vec<u8>),
        waiter: Rc<dyn Waiter>,
    ) -> Result<u64, CallError> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.is_ended {
            return Err(closed(false, "it had ended"));
        }
        if state.output.len() >= self.output_bytes_max {
            return Err(CallError::Full {
                what: "bytes on their way",
                limit: self.output_bytes_max,
            });
        }
        let now = runtime::now();
        let kind = self.metrics.index(request.kind);
        let waiting = Waiting {
            waiter,
            kind,
            begun: now.instant,
            timeout: request.timeout,
            // Patched below: the number is part of the frame.
            end: 0,
        };
        let call = (state.pending.insert(request.deadline, waiting))
            .map_err(|full| CallError::Full { what: "calls", limit: full.calls_max })?;
        let head = Head {
            kind: request.kind,
            flags: Flags::NONE,
            call,
            sent_at: now.wall,
            trace: request.trace,
        };
        let out = state.output.bytes();
        let start = out.len();
        write_frame(out, &head, write);
        let bytes = out.len() - start - HEADER_BYTES;
        if bytes > self.peer.payload_bytes_max {
            out.truncate(start);
            state.pending.cancel(call);
            return Err(CallError::TooLarge { bytes, bytes_max: self.peer.payload_bytes_max });
        }
        let end = state.output.end();
        state.pending.value_mut(call).expect("the call was just inserted").end = end;
        self.metrics.on_call(kind);
        if !self.is_running.get() {
            self.wake.notify();
        }
        Ok(call)
    }

    /// Nobody waits for the call any more; the peer is told.
    pub(crate) fn cancel(&self, call: u64) {
        let mut state = self.state.borrow_mut();
        if let Some(waiting) = state.pending.cancel(call) {
            self.metrics.on_error(waiting.kind, words::CANCELLED);
            if !state.is_ended {
                write_cancel(state.output.bytes(), call, runtime::now().wall);
                self.wake.notify();
            }
        }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// The connection has ended: so has every call over it.
    pub(crate) fn end(&self, why: &End) {
        let mut state = self.state.borrow_mut();
        state.is_ended = true;
        let written = state.output.written_total();
        state.output.discard();
        let mut ended = Outbox::new();
        state.pending.drain(&mut ended);
        drop(state);
        for (_, waiting) in ended.drain() {
            let error = why.error(waiting.end <= written);
            self.metrics.on_error(waiting.kind, error.error_type());
            waiting.waiter.on_end(Err(error));
        }
    }
}

pub(crate) fn closed(sent: bool, reason: &str) -> CallError {
    CallError::Closed { sent, reason: reason.into() }
}

fn write_cancel(out: &mut Vec<u8>, call: u64, sent_at: UnixMicros) {
    let head = Head { kind: Kind::CANCEL, flags: Flags::NONE, call, sent_at, trace: None };
    write_frame(out, &head, |out| Cancel {}.encode(out));
}

fn write_ping(out: &mut Vec<u8>, sent_at: UnixMicros) {
    let head = Head { kind: Kind::PING, flags: Flags::NONE, call: 0, sent_at, trace: None };
    write_frame(out, &head, |out| Ping {}.encode(out));
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It broke, or the peer closed it.
    Closed(Box<str>),
    /// The peer said goodbye: what it has not answered it has not begun.
    Goodbye(Box<str>),
    /// The peer refuses to go on.
    Refused(CallError),
}

impl End {
    /// What it means for a call that was written whole, or not.
    fn error(&self, is_written: bool) -> CallError {
        match self {
            _ if !is_written => closed(false, self.reason()),
            Self::Closed(reason) => closed(true, reason),
            Self::Goodbye(reason) => closed(false, reason),
            Self::Refused(error) => error.clone(),
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Closed(reason) | Self::Goodbye(reason) => reason,
            Self::Refused(_) => "the peer ended it",
        }
    }
}

/// A connection that was made and greeted, before calls go over it.
#[derive(Debug)]
pub(crate) struct Greeted {
    stream: Stream,
    decoder: Decoder,
    peer: PeerInfo,
}

/// Connects and exchanges hellos.
pub(crate) async fn connect(
    address: SocketAddr,
    identity: &Identity,
    options: &PeerOptions,
    metrics: &RpcMetrics,
) -> Result<Greeted, CallError> {
    let within = options.pool.connect_within;
    let late = |_| refused(&format!("{address} did not answer within {within:?}"));
    runtime::timeout(within, greeted(address, identity, options, metrics)).await.map_err(late)?
}

fn refused(reason: &str) -> CallError {
    CallError::Refused { reason: reason.into() }
}

async fn greeted(
    address: SocketAddr,
    identity: &Identity,
    options: &PeerOptions,
    metrics: &RpcMetrics,
) -> Result<Greeted, CallError> {
    let lost = |error: std::io::Error| refused(&format!("{address}: {error}"));
    let mut stream = Stream::connect(address, options.pool.connect_within).await.map_err(lost)?;
    let mut hello = Vec::new();
    let (payload_bytes_max, calls_max) = (options.payload_bytes_max, options.pool.calls_max);
    let sent_at = runtime::now().wall;
    write_hello(&mut hello, identity, Flags::NONE, 0, sent_at, payload_bytes_max, calls_max);
    futures_lite::AsyncWriteExt::write_all(&mut stream, &hello).await.map_err(lost)?;
    metrics.on_sent(hello.len());
    let mut decoder = Decoder::new(payload_bytes_max);
    loop {
        if let Some(frame) = decoder.next().map_err(|error| broken(&error))? {
            let peer = welcomed(address, &frame)?;
            return Ok(Greeted { stream, decoder, peer });
        }
        let bytes = stream.read(decoder.space()).await.map_err(lost)?;
        if bytes == 0 {
            return Err(refused(&format!("{address} closed the connection without a greeting")));
        }
        metrics.on_received(bytes);
        decoder.filled(bytes);
    }
}

/// Reads the answer to a hello.
fn welcomed(address: SocketAddr, frame: &Frame<'_>) -> Result<PeerInfo, CallError> {
    match frame.header.kind {
        Kind::HELLO => PeerInfo::decode(address, frame.payload).map_err(|error| match error {
            GreetingError::Version { theirs_max, .. } => {
                CallError::Version { theirs: theirs_max, ours: VERSION }
            }
            GreetingError::Message(error) => refused(&format!("{address}: {error}")),
        }),
        Kind::ERROR => Err(said(frame.payload)),
        kind => Err(refused(&format!("{address} greets with a frame of type {kind}"))),
    }
}

/// What the peer says of the whole connection.
fn said(payload: &[u8]) -> CallError {
    match ErrorReply::decode(payload) {
        Ok(error) if error.code == words::VERSION => {
            CallError::Version { theirs: error.version, ours: VERSION }
        }
        Ok(error) => refused(&format!("{}: {}", error.code, error.detail)),
        Err(error) => CallError::Protocol { reason: error.to_string().into() },
    }
}

fn broken(error: &FrameError) -> CallError {
    match *error {
        FrameError::Version { theirs, ours } => CallError::Version { theirs, ours },
        error => CallError::Protocol { reason: error.to_string().into() },
    }
}

/// The error that a call was answered with.
fn remote(payload: &[u8]) -> CallError {
    let error = match ErrorReply::decode(payload) {
        Ok(error) => error,
        Err(error) => return CallError::Protocol { reason: error.to_string().into() },
    };
    let retry_after = Duration::from_millis(u64::from(error.retry_after_ms));
    if error.code == words::OVERLOADED {
        return CallError::Overloaded { detail: error.detail.into(), retry_after };
    }
    CallError::Remote {
        code: error.code.into(),
        detail: error.detail.into(),
        hint: error.hint.into(),
        retry_after,
    }
}

impl Greeted {
    /// The connection for callers, and its task's part.
    pub(crate) fn into_link(
        self,
        options: &PeerOptions,
        metrics: &RpcMetrics,
    ) -> (Rc<Link>, Driver) {
        let calls_max = options.pool.calls_max.min(self.peer.calls_max).max(1);
        let state = LinkState {
            output: Output::default(),
            pending: Pending::new(calls_max),
            is_ended: false,
        };
        let link = Rc::new(Link {
            state: RefCell::new(state),
            wake: LocalNotify::new(),
            is_running: Cell::new(false),
            metrics: metrics.clone(),
            peer: self.peer,
            output_bytes_max: options.output_bytes_max,
        });
        let now = runtime::instant();
        let driver = Driver {
            stream: self.stream,
            decoder: self.decoder,
            link: Rc::clone(&link),
            watch: Watch::new(options.watch, now),
            is_busy: false,
            probe: Output::default(),
            is_held: false,
            write_stall_max: options.write_stall_max,
            stalled: None,
            alarm: None,
        };
        (link, driver)
    }
}

/// What moves the bytes of a [`Link`].
pub(crate) struct Driver {
    stream: Stream,
    decoder: Decoder,
    link: Rc<Link>,
    watch: Watch,
    /// Calls were under way when the task waited last.
    is_busy: bool,
    /// A ping on its way, ahead of calls of which nothing was written yet.
    probe: Output,
    /// Calls wait for the answer to a ping.
    is_held: bool,
    write_stall_max: Duration,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    alarm: Option<(Instant, Sleep)>,
}

enum Turn {
    Worked,
    Ended(End),
}

impl Driver {
    /// Runs until the connection ends.
    pub(crate) async fn run(&mut self) -> End {
        // What came with the hello.
        if let Err(end) = self.take_frames(runtime::now()) {
            return end;
        }
        loop {
            match poll_fn(|context| self.poll_turn(context)).await {
                Turn::Worked => yield_if_needed().await,
                Turn::Ended(end) => return end,
            }
        }
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let link = Rc::clone(&self.link);
        let _running = Running::new(&link.is_running);
        let mut has_worked = false;
        match Pin::new(&mut self.stream).poll_read(context, self.decoder.space()) {
            Poll::Ready(Ok(0)) => {
                let reason = match self.decoder.finish() {
                    Ok(()) => "the peer closed it".into(),
                    Err(error) => error.to_string().into(),
                };
                return Poll::Ready(Turn::Ended(End::Closed(reason)));
            }
            Poll::Ready(Ok(bytes)) => {
                self.decoder.filled(bytes);
                link.metrics.on_received(bytes);
                let now = runtime::now();
                self.watch.on_heard(now.instant);
                self.is_held = false;
                if let Err(end) = self.take_frames(now) {
                    return Poll::Ready(Turn::Ended(end));
                }
                // Before another task may call again: that call is the first one then.
                self.tell_watch(now.instant);
                has_worked = true;
            }
            Poll::Ready(Err(error)) => {
                return Poll::Ready(Turn::Ended(End::Closed(error.to_string().into())));
            }
            Poll::Pending => {}
        }
        match self.poll_write(context) {
            Ok(has_written) => has_worked |= has_written,
            Err(end) => return Poll::Ready(Turn::Ended(end)),
        }
        if has_worked || link.wake.poll_notified(context).is_ready() {
            return Poll::Ready(Turn::Worked);
        }
        self.poll_alarm(context).map(Turn::Ended)
    }

    /// Writes what waits; tells whether something went.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        let link = Rc::clone(&self.link);
        let mut state = link.state.borrow_mut();
        if state.output.is_empty() && self.probe.is_empty() {
            self.stalled = None;
            return Ok(false);
        }
        let now = runtime::now();
        if !self.is_held && !state.output.is_begun() && !self.watch.is_trusted(now.instant) {
            // The calls wait until a ping is answered: should the connection have ended unseen,
            // they were never sent.
            self.is_held = true;
            if !self.watch.is_pinged() {
                write_ping(self.probe.bytes(), now.wall);
                self.watch.on_pinged(now.instant);
            }
        }
        let output = if !self.probe.is_empty() {
            &mut self.probe
        } else if self.is_held {
            return Ok(false);
        } else {
            &mut state.output
        };
        match output.poll_flush(context, &mut self.stream) {
            Poll::Ready(Ok(bytes)) => {
                link.metrics.on_sent(bytes);
                self.stalled = None;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(End::Closed(error.to_string().into())),
            Poll::Pending => {
                self.stalled.get_or_insert(now.instant);
                Ok(false)
            }
        }
    }

    /// Ends the calls whose answers are there.
    fn take_frames(&mut self, now: Now) -> Result<(), End> {
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => take_frame(&self.link, &frame, now)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(End::Refused(broken(&error))),
            }
        }
    }

    /// Whether calls are under way, when that has changed.
    fn tell_watch(&mut self, now: Instant) {
        let is_busy = !self.link.state.borrow().pending.is_empty();
        if is_busy != self.is_busy {
            self.is_busy = is_busy;
            self.watch.on_calls(now, is_busy);
        }
    }

    /// Waits for the next deadline: a call's, the watch's, or that of a write without progress.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            let now = runtime::instant();
            self.tell_watch(now);
            let first = self.link.state.borrow().pending.deadline();
            let stalled = self.stalled.map(|since| since + self.write_stall_max);
            let deadline =
                [first, stalled].into_iter().flatten().fold(self.watch.deadline(), Ord::min);
            let armed = match &mut self.alarm {
                // One that rings too early looks again; so most deadlines move for nothing.
                Some((at, sleep)) if *at <= deadline => sleep,
                _ => &mut self.alarm.insert((deadline, sleep_until(deadline))).1,
            };
            if Pin::new(armed).poll(context).is_pending() {
                return Poll::Pending;
            }
            self.alarm = None;
            if let Some(end) = self.on_deadline(runtime::now()) {
                return Poll::Ready(end);
            }
            let has_output = !self.link.state.borrow().output.is_empty();
            if (has_output || !self.probe.is_empty()) && self.stalled.is_none() {
                // A ping or a cancellation is to go out.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn on_deadline(&mut self, now: Now) -> Option<End> {
        if self.stalled.is_some_and(|since| now.instant >= since + self.write_stall_max) {
            let stall_max = self.write_stall_max;
            return Some(End::Closed(format!("the peer took nothing for {stall_max:?}").into()));
        }
        let mut expired = Outbox::new();
        let mut state = self.link.state.borrow_mut();
        state.pending.on_deadline(now.instant, &mut expired);
        let expired = expired.take();
        for (call, _) in &expired {
            write_cancel(state.output.bytes(), *call, now.wall);
        }
        drop(state);
        for (_, waiting) in expired {
            self.link.metrics.on_error(waiting.kind, "timeout");
            waiting.waiter.on_end(Err(CallError::Timeout { after: waiting.timeout }));
        }
        let mut effects = Outbox::new();
        self.watch.on_deadline(now.instant, &mut effects);
        for effect in effects.take() {
            match effect {
                WatchEffect::Ping => {
                    let mut state = self.link.state.borrow_mut();
                    let is_begun = state.output.is_begun();
                    // Never into the middle of a frame.
                    let out = if is_begun { &mut state.output } else { &mut self.probe };
                    write_ping(out.bytes(), now.wall);
                }
                WatchEffect::GiveUp => {
                    return Some(End::Closed("the peer did not answer a ping".into()));
                }
                WatchEffect::Retire => return Some(End::Closed("nobody needed it".into())),
            }
        }
        None
    }
}

/// Says for its life that the task runs.
struct Running<'a>(&'a Cell<bool>);

impl<'a> Running<'a> {
    fn new(flag: &'a Cell<bool>) -> Self {
        flag.set(true);
        Self(flag)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

fn take_frame(link: &Link, frame: &Frame<'_>, now: Now) -> Result<(), End> {
    let header = &frame.header;
    let is_response = header.flags.contains(Flags::RESPONSE);
    if header.kind == Kind::ERROR && header.call == 0 {
        return Err(match ErrorReply::decode(frame.payload) {
            Ok(error) if error.code == words::CLOSED => End::Goodbye(error.detail.into()),
            Ok(error) if error.code == words::VERSION => {
                End::Refused(CallError::Version { theirs: error.version, ours: VERSION })
            }
            Ok(error) => End::Closed(format!("{}: {}", error.code, error.detail).into()),
            Err(error) => End::Refused(CallError::Protocol { reason: error.to_string().into() }),
        });
    }
    if header.kind == Kind::PING && is_response {
        return Ok(());
    }
    if !is_response {
        let reason = format!("a server sent a call of type {}", header.kind);
        return Err(End::Refused(CallError::Protocol { reason: reason.into() }));
    }
    let answered = link.state.borrow_mut().pending.on_answer(header.call);
    match answered {
        Answered::Expected(waiting) => {
            link.metrics.on_answer(waiting.kind, now.instant.since(waiting.begun));
            let outcome = if header.kind == Kind::ERROR {
                let error = remote(frame.payload);
                link.metrics.on_error(waiting.kind, error.error_type());
                Err(error)
            } else {
                Ok(Answer { kind: header.kind, payload: frame.payload })
            };
            waiting.waiter.on_end(outcome);
            Ok(())
        }
        Answered::Late => {
            link.metrics.on_error(link.metrics.index(header.kind), "late");
            Ok(())
        }
        Answered::Unknown => {
            let reason = format!("an answer to call {}, which was never made", header.call);
            Err(End::Refused(CallError::Protocol { reason: reason.into() }))
        }
    }
}
