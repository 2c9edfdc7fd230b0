//! A connection over which both sides send frames that nobody answers: coordinators among
//! themselves.
//!
//! Invariants:
//! - frames arrive in the order in which they were sent, or the connection ends;
//! - at most `output_bytes_max` wait to be written: a frame beyond is refused, never kept, so that
//!   a slow peer costs nobody else anything;
//! - one from which nothing is heard for long, pings included, is ended.

use crate::greeting::write_error;
use crate::output::Output;
use base::{Instant, Outbox, UnixMicros};
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use runtime::{LocalNotify, Sleep, Stream, sleep_until, yield_if_needed};
use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use wire::rpc::{Watch, WatchEffect, WatchOptions};
use wire::{
    Decoder, ErrorReply, Flags, Frame, FrameError, Head, Hello, Kind, Message as _, Ping, words,
    write_frame,
};

/// How a channel behaves.
#[derive(Clone, Copy, Debug)]
pub struct ChannelOptions {
    /// The largest payload that is taken. Unit: bytes.
    pub payload_bytes_max: usize,
    /// So much may wait to be written. Unit: bytes.
    pub output_bytes_max: usize,
    /// For connecting, and for the peer's hello.
    pub hello_within: Duration,
    /// A ping goes out when nothing was heard for so long.
    pub ping_after: Duration,
    /// So long after it the connection counts as dead.
    pub ping_patience: Duration,
}

/// Why there is no channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The machine is there, and nobody listens: the process is gone.
    #[error("{address} refuses connections: nothing listens there")]
    Refused {
        /// Where.
        address: String,
    },
    /// The connection was not made, or broke before both hellos.
    #[error("{address}: {reason}")]
    Lost {
        /// Where.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The peer will not speak with us, and says why.
    #[error("{address} says: {detail}")]
    Said {
        /// Where.
        address: String,
        /// Its words.
        detail: String,
    },
}

impl ChannelError {
    /// What happened, without where.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { .. } => "it refuses connections".to_owned(),
            Self::Lost { reason, .. } => reason.clone(),
            Self::Said { detail, .. } => format!("it says: {detail}"),
        }
    }
}

/// A connection of which one side's hello is known.
#[derive(Debug)]
pub struct Introduced {
    stream: Stream,
    decoder: Decoder,
    options: ChannelOptions,
    hello: Vec<u8>,
}

impl Introduced {
    /// What the other side's hello says.
    ///
    /// # Errors
    /// It is none.
    pub fn hello(&self) -> Result<Hello<'_>, wire::MessageError> {
        Hello::decode(&self.hello)
    }

    /// Where the other side is.
    pub fn peer(&self) -> SocketAddr {
        self.stream.peer()
    }

    /// The channel, and what moves its bytes.
    pub fn open(self) -> (Rc<Channel>, ChannelDriver) {
        let channel = Rc::new(Channel {
            output: RefCell::new(Output::default()),
            wake: LocalNotify::new(),
            is_ended: Cell::new(false),
            output_bytes_max: self.options.output_bytes_max,
        });
        let watch = WatchOptions {
            ping_after: self.options.ping_after,
            ping_patience: self.options.ping_patience,
            ..WatchOptions::default()
        };
        let now = runtime::instant();
        let mut watch = Watch::new(watch, now);
        // A link is always wanted.
        watch.on_calls(now, true);
        let driver = ChannelDriver {
            stream: self.stream,
            decoder: self.decoder,
            channel: Rc::clone(&channel),
            watch,
            alarm: None,
        };
        (channel, driver)
    }

    /// Answers the hello of a side that has connected.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn answer(&mut self, hello: &Hello<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        write_hello(&mut bytes, hello, Flags::RESPONSE);
        self.stream.write_all_within(&bytes, self.options.hello_within).await
    }

    /// Says why there will be no channel, and ends the connection. That it may not get through is
    /// no news: the other side asks again.
    pub async fn refuse(mut self, detail: &str) {
        let mut bytes = Vec::new();
        let error =
            ErrorReply { code: words::CLOSED, detail, hint: "", retry_after_ms: 0, version: 0 };
        write_error(&mut bytes, 0, runtime::now().wall, &error);
        let within = self.options.hello_within;
        if self.stream.write_all_within(&bytes, within).await.is_ok()
            && self.stream.close().await.is_ok()
        {
            // Until the other side has read it: to close with bytes unread would reset.
            let _end = self.stream.read_within(&mut [0; 256], within).await;
        }
    }
}

/// Connects, says `hello`, and waits for the answer.
///
/// # Errors
/// Nobody is there, or does not want to speak.
pub async fn call_channel(
    address: SocketAddr,
    hello: &Hello<'_>,
    options: ChannelOptions,
) -> Result<Introduced, ChannelError> {
    let lost = |error: io::Error| ChannelError::Lost {
        address: address.to_string(),
        reason: error.to_string(),
    };
    let within = options.hello_within;
    let mut stream =
        Stream::connect(address, within).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                ChannelError::Refused { address: address.to_string() }
            }
            _ => lost(error),
        })?;
    let mut bytes = Vec::new();
    write_hello(&mut bytes, hello, Flags::NONE);
    stream.write_all_within(&bytes, within).await.map_err(lost)?;
    introduced(stream, options).await
}

/// Waits for the hello of a side that has connected.
///
/// # Errors
/// It said something else, or nothing.
pub async fn answer_channel(
    stream: Stream,
    options: ChannelOptions,
) -> Result<Introduced, ChannelError> {
    introduced(stream, options).await
}

async fn introduced(
    mut stream: Stream,
    options: ChannelOptions,
) -> Result<Introduced, ChannelError> {
    let address = stream.peer().to_string();
    let lost = |reason: String| ChannelError::Lost { address: address.clone(), reason };
    let mut decoder = Decoder::new(options.payload_bytes_max);
    let within = options.hello_within;
    let first = runtime::timeout(within, first_frame(&mut stream, &mut decoder));
    let (kind, payload) = first
        .await
        .map_err(|_late| lost(format!("no hello came within {within:?}")))?
        .map_err(lost)?;
    match kind {
        Kind::HELLO => Ok(Introduced { stream, decoder, options, hello: payload }),
        Kind::ERROR => match ErrorReply::decode(&payload) {
            Ok(error) => Err(ChannelError::Said {
                address: address.clone(),
                detail: error.detail.to_owned(),
            }),
            Err(error) => Err(lost(error.to_string())),
        },
        kind => Err(lost(format!("it greets with a frame of type {kind}"))),
    }
}

async fn first_frame(
    stream: &mut Stream,
    decoder: &mut Decoder,
) -> Result<(Kind, Vec<u8>), String> {
    loop {
        if let Some(frame) = decoder.next().map_err(|error| error.to_string())? {
            return Ok((frame.header.kind, frame.payload.to_vec()));
        }
        match stream.read(decoder.space()).await {
            Ok(0) => return Err("it closed the connection without a greeting".to_owned()),
            Ok(bytes) => decoder.filled(bytes),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn write_hello(out: &mut Vec<u8>, hello: &Hello<'_>, flags: Flags) {
    let head =
        Head { kind: Kind::HELLO, flags, call: 0, sent_at: runtime::now().wall, trace: None };
    write_frame(out, &head, |out| hello.encode(out));
}

fn write_ping(out: &mut Vec<u8>, flags: Flags, sent_at: UnixMicros) {
    let head = Head { kind: Kind::PING, flags, call: 0, sent_at, trace: None };
    write_frame(out, &head, |out| Ping {}.encode(out));
}

/// The part of a channel that senders see.
pub struct Channel {
    output: RefCell<Output>,
    /// Something is to be written.
    wake: LocalNotify,
    is_ended: Cell<bool>,
    output_bytes_max: usize,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("is_ended", &self.is_ended.get()).finish_non_exhaustive()
    }
}

impl Channel {
    /// Sends what `write` appends: whole frames. False when the channel has ended, or the peer is so
    /// slow that no more is kept for it: nothing was appended then.
    pub fn send(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut output = self.output.borrow_mut();
        if self.is_ended.get() || output.len() >= self.output_bytes_max {
            return false;
        }
        write(output.bytes());
        self.wake.notify();
        true
    }

    /// Whether it still takes something.
    pub fn is_ended(&self) -> bool {
        self.is_ended.get()
    }

    /// Ends it: what waits to be written is given up.
    pub fn end(&self) {
        self.is_ended.set(true);
        self.output.borrow_mut().discard();
        self.wake.notify();
    }
}

/// What moves the bytes of a [`Channel`].
#[derive(Debug)]
pub struct ChannelDriver {
    stream: Stream,
    decoder: Decoder,
    channel: Rc<Channel>,
    watch: Watch,
    alarm: Option<(Instant, Sleep)>,
}

impl Drop for ChannelDriver {
    fn drop(&mut self) {
        self.channel.end();
    }
}

impl ChannelDriver {
    /// Runs until the connection ends, and tells why. `take` gets every frame; what it says of one
    /// that cannot be ends the connection.
    pub async fn run(&mut self, mut take: impl FnMut(&Frame<'_>) -> Result<(), String>) -> String {
        // What came with the hello.
        if let Err(why) = self.take_frames(&mut take) {
            return why;
        }
        loop {
            let turn = poll_fn(|context| self.poll_turn(context, &mut take));
            if let Err(why) = turn.await {
                return why;
            }
            yield_if_needed().await;
        }
    }

    fn poll_turn(
        &mut self,
        context: &mut Context<'_>,
        take: &mut impl FnMut(&Frame<'_>) -> Result<(), String>,
    ) -> Poll<Result<(), String>> {
        let mut has_worked = false;
        match Pin::new(&mut self.stream).poll_read(context, self.decoder.space()) {
            Poll::Ready(Ok(0)) => {
                let why = self.decoder.finish().map_or_else(
                    |error: FrameError| error.to_string(),
                    |()| "the peer closed it".to_owned(),
                );
                return Poll::Ready(Err(why));
            }
            Poll::Ready(Ok(bytes)) => {
                self.decoder.filled(bytes);
                self.watch.on_heard(runtime::instant());
                self.take_frames(take)?;
                has_worked = true;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
            Poll::Pending => {}
        }
        let channel = Rc::clone(&self.channel);
        if channel.is_ended.get() {
            return Poll::Ready(Err("this side closed it".to_owned()));
        }
        let mut output = channel.output.borrow_mut();
        if !output.is_empty() {
            match output.poll_flush(context, &mut self.stream) {
                Poll::Ready(Ok(_)) => has_worked = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Pending => {}
            }
        }
        drop(output);
        if has_worked || channel.wake.poll_notified(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.poll_alarm(context)
    }

    fn take_frames(
        &mut self,
        take: &mut impl FnMut(&Frame<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        while let Some(frame) = self.decoder.next().map_err(|error| error.to_string())? {
            let header = frame.header;
            match header.kind {
                Kind::PING if header.flags.contains(Flags::RESPONSE) => {}
                Kind::PING => {
                    let now = runtime::now().wall;
                    self.channel.send(|out| write_ping(out, Flags::RESPONSE, now));
                }
                Kind::ERROR if header.call == 0 => {
                    let said =
                        ErrorReply::decode(frame.payload).map_err(|error| error.to_string())?;
                    return Err(said.detail.to_owned());
                }
                _ => take(&frame)?,
            }
        }
        Ok(())
    }

    /// Waits for the watch.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        let deadline = self.watch.deadline();
        let armed = match &mut self.alarm {
            // One that rings too early looks again; so most deadlines move for nothing.
            Some((at, sleep)) if *at <= deadline => sleep,
            _ => &mut self.alarm.insert((deadline, sleep_until(deadline))).1,
        };
        if Pin::new(armed).poll(context).is_pending() {
            return Poll::Pending;
        }
        self.alarm = None;
        let now = runtime::now();
        let mut effects = Outbox::new();
        self.watch.on_deadline(now.instant, &mut effects);
        for effect in effects.take() {
            match effect {
                WatchEffect::Ping => {
                    self.channel.send(|out| write_ping(out, Flags::NONE, now.wall));
                }
                WatchEffect::GiveUp | WatchEffect::Retire => {
                    return Poll::Ready(Err("the peer does not answer a ping".to_owned()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
