//! One connection that is served.
//!
//! A turn reads as much as the socket gives, hands every frame of it to the service and writes what
//! was answered meanwhile in one go. Answers that come later wake the connection.
//!
//! ```text
//!   greeting --hello--> open --peer's end, or stop--> draining --all answered--> closed
//!      |                 |                                                         ^
//!      +---- a fault ----+---> error frame, end of writing, rest read and dropped -+
//! ```
//!
//! Invariants:
//! - At most `calls_max` calls are handled at once; those beyond are answered `overloaded` at once.
//! - With more than `output_high_bytes` waiting for a slow reader no further frame is taken; with
//!   more than `output_bytes_max`, or without progress for `write_stall_max`, it is cut off.
//! - On stop, every call that was taken is answered, and then the error `closed` says that nothing
//!   else was: whoever made it may make it again. A connection that is idle then is closed at once.

use crate::call::{Call, ServerSide, Service};
use crate::greeting::{
    GreetingError, Identity, PeerInfo, code_of, error_reply, write_error, write_hello,
};
use crate::metrics::RpcMetrics;
use crate::output::poll_close;
use base::{Instant, Now};
use futures_lite::AsyncRead;
use runtime::{CoarseSleep, EventWait, LocalEvent, Stream, sleep_coarse, yield_if_needed};
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use wire::{Decoder, ErrorReply, Flags, Frame, FrameError, Head, Kind, words, write_frame};

/// What a peer may take.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Who this side is.
    pub identity: Identity,
    /// The largest payload of a call. Unit: bytes. Default 2 MiB: the largest batch of messages, and
    /// as much again for what is around them.
    pub payload_bytes_max: usize,
    /// Calls of one connection that are handled at once. Default 4,096.
    pub calls_max: usize,
    /// With so many bytes of answers waiting, no further call is taken. Unit: bytes. Default 1 MiB.
    pub output_high_bytes: usize,
    /// With so many the peer is cut off: calls that were taken before the mark above may still be
    /// answered, but not without end. Unit: bytes. Default 16 MiB.
    pub output_bytes_max: usize,
    /// For the first frame. Default 5 s.
    pub hello_within: Duration,
    /// How long a connection is kept on which nothing is heard and no call is handled. Default
    /// 5 min: callers ping long before.
    pub idle_max: Duration,
    /// How long the peer may read nothing while answers wait. Default 10 s.
    pub write_stall_max: Duration,
    /// How long the rest is read and dropped after a fault, or after the last answers on stop, so
    /// that the last words get through. Default 1 s.
    pub linger_max: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            identity: Identity::default(),
            payload_bytes_max: 2 * base::limits::BATCH_BYTES_MAX,
            calls_max: 4_096,
            output_high_bytes: 1024 * 1024,
            output_bytes_max: 16 * 1024 * 1024,
            hello_within: Duration::from_secs(5),
            idle_max: Duration::from_mins(5),
            write_stall_max: Duration::from_secs(10),
            linger_max: Duration::from_secs(1),
        }
    }
}

/// What is asked of a peer that was answered `overloaded`. Unit: milliseconds. Some hundred calls of
/// its own end in that time.
const OVERLOADED_RETRY_MS: u32 = 50;

/// Why a connection that was served has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer has closed, and has all its answers.
    Closed,
    /// This side stops.
    Stopped,
    /// Nothing was heard for long.
    Idle,
    /// No hello came in time, or one that cannot be agreed to, or something else instead.
    Greeting,
    /// The peer sent what is no frame, or no frame that a caller may send.
    Fault,
    /// The peer did not read its answers.
    SlowReader,
    /// The connection broke.
    Broken,
}

impl Ended {
    /// The word it is counted under in `tcp_errors_total`; nothing for the ends that are no errors.
    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Closed | Self::Stopped | Self::Idle => None,
            Self::Greeting => Some("greeting"),
            Self::Fault => Some("bad_frame"),
            Self::SlowReader => Some("slow_reader"),
            Self::Broken => Some("io"),
        }
    }
}

/// Serves one connection until its peer has closed it and has its answers, until `stop` happens and
/// every call that was taken is answered, or until the peer is cut off.
pub async fn serve_connection<S: Service>(
    stream: Stream,
    service: &S,
    options: &ServeOptions,
    metrics: &RpcMetrics,
    stop: &LocalEvent,
) -> Ended {
    assert!(options.calls_max > 0, "a connection may have a call");
    let _open = metrics.on_open();
    let now = runtime::instant();
    let mut served = Served {
        peer: stream.peer(),
        stream,
        decoder: Decoder::new(options.payload_bytes_max),
        side: ServerSide::new(metrics, options.output_bytes_max),
        service,
        options,
        stop,
        stopping: stop.wait(),
        phase: Phase::Greeting { until: now + options.hello_within },
        has_frames: false,
        is_writing_ended: false,
        is_quiet: false,
        heard: now,
        stalled: None,
        alarm: None,
    };
    let ended = loop {
        match poll_fn(|context| served.poll_turn(context)).await {
            Turn::Worked => yield_if_needed().await,
            Turn::Ended(ended) => break ended,
        }
    };
    let mut state = served.side.state.borrow_mut();
    state.is_gone = true;
    state.output.discard();
    drop(state);
    if let Some(error_type) = ended.error_type() {
        metrics.on_connection_error(error_type);
    }
    ended
}

enum Turn {
    Worked,
    Ended(Ended),
}

enum Phase {
    /// The hello is to come.
    Greeting { until: Instant },
    /// Calls are taken.
    Open(PeerInfo),
    /// No further call is taken; those that were are answered.
    Draining(Ended),
    /// Everything was said. What the peer still sends is dropped: to close with bytes unread would
    /// reset the connection, and the last words might not get through.
    Lingering { ended: Ended, until: Instant },
}

impl Phase {
    fn lingering(ended: Ended, now: Instant, options: &ServeOptions) -> Self {
        Self::Lingering { ended, until: now + options.linger_max }
    }
}

struct Served<'a, S> {
    peer: std::net::SocketAddr,
    stream: Stream,
    decoder: Decoder,
    side: Rc<ServerSide>,
    service: &'a S,
    options: &'a ServeOptions,
    stop: &'a LocalEvent,
    stopping: EventWait,
    phase: Phase,
    /// The decoder may hold frames that were not taken yet.
    has_frames: bool,
    is_writing_ended: bool,
    /// No linger is needed: nothing was under way when this side stopped and nothing has come since,
    /// or the peer has said its end. There is nothing unread that could reset the connection.
    is_quiet: bool,
    heard: Instant,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    alarm: Option<(Instant, CoarseSleep)>,
}

impl<S: Service> Served<'_, S> {
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let mut has_worked = false;
        if self.takes_frames() {
            if !self.has_frames {
                match self.poll_read(context) {
                    Ok(has_read) => has_worked |= has_read,
                    Err(_) => return Poll::Ready(Turn::Ended(self.broken())),
                }
            }
            if self.has_frames {
                self.take_frames();
                has_worked = true;
            }
        }
        match self.poll_write(context) {
            Ok(has_written) => has_worked |= has_written,
            Err(ended) => return Poll::Ready(Turn::Ended(ended)),
        }
        if let Some(ended) = self.proceed(context) {
            return Poll::Ready(Turn::Ended(ended));
        }
        if has_worked || self.side.wake.poll_notified(context).is_ready() {
            return Poll::Ready(Turn::Worked);
        }
        if matches!(self.phase, Phase::Greeting { .. } | Phase::Open(_))
            && Pin::new(&mut self.stopping).poll(context).is_ready()
        {
            self.is_quiet = !self.has_frames
                && self.decoder.finish().is_ok()
                && self.side.state.borrow().calls.len() == 0;
            self.phase = Phase::Draining(Ended::Stopped);
            return Poll::Ready(Turn::Worked);
        }
        self.poll_alarm(context).map(Turn::Ended)
    }

    /// What a broken connection is counted as: after the last words that is nothing new.
    fn broken(&self) -> Ended {
        match self.phase {
            Phase::Lingering { ended, .. } => ended,
            _ => Ended::Broken,
        }
    }

    fn takes_frames(&self) -> bool {
        match self.phase {
            Phase::Greeting { .. } | Phase::Open(_) => {
                self.side.state.borrow().output.len() < self.options.output_high_bytes
                    && !self.stop.is_set()
            }
            Phase::Draining(_) => false,
            Phase::Lingering { .. } => true,
        }
    }

    /// Reads what is there; tells whether something was.
    fn poll_read(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        if matches!(self.phase, Phase::Lingering { .. }) {
            return self.poll_drop(context);
        }
        match Pin::new(&mut self.stream).poll_read(context, self.decoder.space()) {
            Poll::Ready(Ok(0)) => {
                // In the middle of a frame or not: the peer says no more, and may still listen.
                let ended =
                    if self.decoder.finish().is_ok() { Ended::Closed } else { Ended::Fault };
                self.phase = Phase::Draining(ended);
                Ok(true)
            }
            Poll::Ready(Ok(bytes)) => {
                self.decoder.filled(bytes);
                self.side.metrics.on_received(bytes);
                self.has_frames = true;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }

    fn poll_drop(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        match Pin::new(&mut self.stream).poll_read(context, &mut [0; 4096]) {
            // The end is read again and again: it is news once.
            Poll::Ready(Ok(0)) => Ok(!std::mem::replace(&mut self.is_quiet, true)),
            Poll::Ready(Ok(_)) => {
                self.is_quiet = false;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }

    /// Hands every frame that is there to the service, as long as there is room for answers.
    fn take_frames(&mut self) {
        let now = runtime::now();
        self.heard = now.instant;
        self.side.batch.set(Some(now));
        while self.takes_frames() {
            match self.decoder.next() {
                Ok(Some(frame)) => {
                    let taken = match &self.phase {
                        Phase::Open(peer) => {
                            take_frame(&self.side, self.service, self.options, peer, &frame, now)
                        }
                        _ => match greet(&self.side, self.options, self.peer, &frame, now) {
                            Ok(peer) => {
                                self.phase = Phase::Open(peer);
                                Ok(())
                            }
                            Err(fault) => Err(fault),
                        },
                    };
                    if let Err(fault) = taken {
                        self.end_with(&fault, now);
                        break;
                    }
                }
                Ok(None) => {
                    self.has_frames = false;
                    break;
                }
                Err(error) => {
                    self.end_with(&Fault::of_frame(&error), now);
                    break;
                }
            }
        }
        self.side.batch.set(None);
        self.side.metrics.on_batch_end(runtime::instant().since(now.instant));
    }

    /// Says why, and takes nothing more. Calls that are still being handled lose their answers.
    fn end_with(&mut self, fault: &Fault, now: Now) {
        self.has_frames = false;
        let mut state = self.side.state.borrow_mut();
        if let Some((code, detail)) = &fault.said {
            let error = error_reply(code, detail, "look at the program that connects here");
            write_error(state.output.bytes(), 0, now.wall, &error);
        }
        state.is_gone = true;
        self.phase = Phase::lingering(fault.ended, now.instant, self.options);
    }

    /// Writes what waits; tells whether something went.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<bool, Ended> {
        let mut state = self.side.state.borrow_mut();
        if state.output.is_empty() {
            self.stalled = None;
            return Ok(false);
        }
        let flushed = state.output.poll_flush(context, &mut self.stream);
        if state.is_overflown {
            return Err(Ended::SlowReader);
        }
        match flushed {
            Poll::Ready(Ok(bytes)) => {
                self.side.metrics.on_sent(bytes);
                self.stalled = None;
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(self.broken()),
            Poll::Pending => {
                self.stalled.get_or_insert_with(runtime::instant);
                Ok(false)
            }
        }
    }

    /// Goes on to the next phase when this one has nothing left to do.
    fn proceed(&mut self, context: &mut Context<'_>) -> Option<Ended> {
        let mut state = self.side.state.borrow_mut();
        match self.phase {
            Phase::Greeting { .. } | Phase::Open(_) => None,
            Phase::Draining(ended) => {
                if state.calls.len() > 0 || !state.output.is_empty() {
                    return None;
                }
                state.is_gone = true;
                if ended == Ended::Stopped {
                    let now = runtime::now();
                    let error = error_reply(
                        words::CLOSED,
                        "the node stops; what it has not answered it has not begun",
                        "call another node, or this one again later",
                    );
                    write_error(state.output.bytes(), 0, now.wall, &error);
                    self.phase = Phase::lingering(ended, now.instant, self.options);
                    // Not yet written: this task must run once more.
                    context.waker().wake_by_ref();
                    return None;
                }
                // The last answer is on its way; the peer reads the end after it.
                match poll_close(context, &mut self.stream) {
                    Poll::Ready(Ok(())) => Some(ended),
                    Poll::Ready(Err(_)) => Some(Ended::Broken),
                    Poll::Pending => None,
                }
            }
            Phase::Lingering { ended, until } => {
                // First of all: a peer that sends without end keeps every turn busy.
                if runtime::instant() >= until {
                    return Some(ended);
                }
                if !state.output.is_empty() {
                    return None;
                }
                if !self.is_writing_ended {
                    match poll_close(context, &mut self.stream) {
                        Poll::Ready(Ok(())) => self.is_writing_ended = true,
                        Poll::Ready(Err(_)) => return Some(ended),
                        Poll::Pending => return None,
                    }
                }
                self.is_quiet.then_some(ended)
            }
        }
    }

    /// When something must happen though nothing comes.
    fn deadline(&self) -> Option<(Instant, Ended)> {
        let stalled =
            self.stalled.map(|since| (since + self.options.write_stall_max, Ended::SlowReader));
        let phase = match self.phase {
            Phase::Greeting { until } => Some((until, Ended::Greeting)),
            Phase::Open(_) if self.side.state.borrow().calls.len() > 0 => None,
            Phase::Open(_) => Some((self.heard + self.options.idle_max, Ended::Idle)),
            Phase::Draining(_) => None,
            Phase::Lingering { ended, until } => Some((until, ended)),
        };
        [stalled, phase].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let Some((deadline, ended)) = self.deadline() else {
                self.alarm = None;
                return Poll::Pending;
            };
            // An alarm that rings too early looks again; so most deadlines move for nothing.
            let armed = match &mut self.alarm {
                Some((at, sleep)) if *at <= deadline => sleep,
                _ => {
                    let wait = deadline.since(runtime::instant());
                    &mut self.alarm.insert((deadline, sleep_coarse(wait))).1
                }
            };
            if Pin::new(armed).poll(context).is_pending() {
                return Poll::Pending;
            }
            self.alarm = None;
            if runtime::instant() >= deadline {
                return Poll::Ready(ended);
            }
        }
    }
}

/// Why the connection must end, and what the peer is told.
struct Fault {
    ended: Ended,
    said: Option<(&'static str, String)>,
}

impl Fault {
    fn of_frame(error: &FrameError) -> Self {
        Self { ended: Ended::Fault, said: Some((code_of(error), error.to_string())) }
    }

    fn bad_frame(detail: String) -> Self {
        Self { ended: Ended::Fault, said: Some((words::BAD_FRAME, detail)) }
    }
}

/// Answers the first frame.
fn greet(
    side: &ServerSide,
    options: &ServeOptions,
    address: std::net::SocketAddr,
    frame: &Frame<'_>,
    now: Now,
) -> Result<PeerInfo, Fault> {
    let fault = |code, detail| Fault { ended: Ended::Greeting, said: Some((code, detail)) };
    let kind = frame.header.kind;
    if kind != Kind::HELLO || frame.header.flags.contains(Flags::RESPONSE) {
        let detail = format!("the first frame is of type {kind}; a hello comes first");
        return Err(fault(words::HELLO_EXPECTED, detail));
    }
    let peer = PeerInfo::decode(address, frame.payload).map_err(|error| match error {
        GreetingError::Version { .. } => fault(words::VERSION, error.to_string()),
        GreetingError::Message(_) => fault(words::BAD_MESSAGE, error.to_string()),
    })?;
    let mut state = side.state.borrow_mut();
    state.payload_bytes_max = peer.payload_bytes_max;
    write_hello(
        state.output.bytes(),
        &options.identity,
        Flags::RESPONSE,
        frame.header.call,
        now.wall,
        options.payload_bytes_max,
        options.calls_max,
    );
    Ok(peer)
}

/// Does what a frame of an open connection asks.
fn take_frame<S: Service>(
    side: &Rc<ServerSide>,
    service: &S,
    options: &ServeOptions,
    peer: &PeerInfo,
    frame: &Frame<'_>,
    now: Now,
) -> Result<(), Fault> {
    let header = &frame.header;
    if header.flags.contains(Flags::RESPONSE) {
        if header.kind == Kind::ERROR {
            // The caller says why it leaves.
            return Err(Fault { ended: Ended::Fault, said: None });
        }
        let detail = format!("an answer of type {} came, and nothing was asked", header.kind);
        return Err(Fault::bad_frame(detail));
    }
    match header.kind {
        Kind::CANCEL => side.state.borrow_mut().calls.cancel(header.call),
        Kind::PING => {
            let head = Head {
                kind: Kind::PING,
                flags: Flags::RESPONSE,
                call: header.call,
                sent_at: now.wall,
                trace: None,
            };
            write_frame(side.state.borrow_mut().output.bytes(), &head, |_| {});
        }
        Kind::HELLO => {
            let error = error_reply(words::BAD_MESSAGE, "a hello came before", "say it once");
            side.refuse(header.call, header.kind, now.wall, &error);
        }
        Kind::ERROR => return Err(Fault { ended: Ended::Fault, said: None }),
        kind if header.call == 0 => {
            let detail = format!("a call of type {kind} has the number 0, the connection's own");
            return Err(Fault::bad_frame(detail));
        }
        kind => {
            let handled = side.state.borrow().calls.len();
            if handled >= options.calls_max {
                let detail = format!("{handled} calls of this connection are being handled");
                let error = ErrorReply {
                    code: words::OVERLOADED,
                    detail: &detail,
                    hint: "make fewer calls at once, or wait",
                    retry_after_ms: OVERLOADED_RETRY_MS,
                    version: 0,
                };
                side.refuse(header.call, kind, now.wall, &error);
                return Ok(());
            }
            let call = Call {
                kind,
                payload: frame.payload,
                trace: frame.trace,
                received: now.instant,
                peer,
            };
            side.dispatch(service, header.call, call);
        }
    }
    Ok(())
}
