//! What hyper needs of a runtime: input and output over any stream, and timers.
//!
//! A server gathers its answers: a client that sends requests ahead gets theirs in one system call.
//! hyper has a switch for that, too (`pipeline_flush`), but with it gathers without any bound for as
//! long as the client goes on sending: one connection that never reads could take all memory.
//!
//! Invariants:
//! - what is gathered goes out as soon as nothing more is there to be read;
//! - at most [`GATHER_BYTES_MAX`] are gathered; beyond it the writer waits for the stream, and a
//!   peer that does not read is cut off.

use crate::net::timed_out;
use crate::timer::TimedOut;
use crate::wheel::CoarseSleep;
use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Bytes read from a stream at once. One buffer serves all connections of a core: what is read is
/// copied to hyper's own before anything else happens, some 10 ns for a request, and no memory is
/// kept per connection. Unit: bytes.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Answers that are gathered before the stream is bothered with them. A larger write goes straight
/// through. Unit: bytes.
pub const GATHER_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// A buffer for what is gathered. Nearly always it is given back in the turn in which it was
    /// taken, so that one serves all connections of a core.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream as hyper wants it, which cuts off a peer that does not read.
#[derive(Debug)]
pub struct HttpIo<S> {
    stream: S,
    /// The longest that a write may make no progress at all.
    stall_max: Duration,
    stalled: Option<CoarseSleep>,
    gathers: bool,
    /// The last read found nothing.
    is_dry: bool,
    /// Written by hyper. The stream has the first `given` bytes.
    gathered: Vec<u8>,
    given: usize,
}

impl<S> HttpIo<S> {
    /// Wraps `stream`. A write that makes no progress for about `stall_max` fails with `TimedOut`:
    /// the peer has stopped reading.
    pub fn new(stream: S, stall_max: Duration) -> Self {
        Self {
            stream,
            stall_max,
            stalled: None,
            gathers: false,
            is_dry: true,
            gathered: Vec::new(),
            given: 0,
        }
    }

    /// The same for a server: answers go out when no request is left that could be read.
    pub fn gathering(stream: S, stall_max: Duration) -> Self {
        Self { gathers: true, ..Self::new(stream, stall_max) }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Takes the stream out again.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let stall_max = self.stall_max;
        let stalled =
            self.stalled.get_or_insert_with(|| CoarseSleep::until(Instant::now() + stall_max));
        Pin::new(stalled).poll(context).map(|()| Err(timed_out(TimedOut(stall_max))))
    }
}

impl<S: AsyncWrite + Unpin> HttpIo<S> {
    /// Gives the stream what was gathered. Ready once it has all of it.
    fn poll_give(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.given < self.gathered.len() {
            let rest = &self.gathered[self.given..];
            let progress = Pin::new(&mut self.stream).poll_write(context, rest);
            match ready!(self.watch(context, progress))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.given += bytes,
            }
        }
        if !self.gathered.is_empty() {
            self.given = 0;
            self.gathered.clear();
            SPARE.set(std::mem::take(&mut self.gathered));
        }
        Poll::Ready(Ok(()))
    }

    /// Takes as much of a write as may be gathered. None when it is to go straight through.
    fn poll_gather(
        &mut self,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<Option<usize>>> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if self.gathered.len() + bytes > GATHER_BYTES_MAX {
            ready!(self.poll_give(context))?;
        }
        if bytes > GATHER_BYTES_MAX {
            return Poll::Ready(Ok(None));
        }
        if self.gathered.capacity() == 0 {
            self.gathered = SPARE.take();
        }
        for part in parts {
            self.gathered.extend_from_slice(part);
        }
        Poll::Ready(Ok(Some(bytes)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Read for HttpIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = SCRATCH.with(|scratch| {
            let mut buffer = scratch.take();
            buffer.resize(SCRATCH_BYTES, 0);
            let room = cursor.remaining().min(buffer.len());
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer[..room]);
            if let Poll::Ready(Ok(bytes)) = read {
                cursor.put_slice(&buffer[..bytes]);
            }
            scratch.set(buffer);
            read
        });
        // The peer's end is no request, either.
        self.is_dry = matches!(read, Poll::Pending | Poll::Ready(Ok(0)));
        if self.is_dry
            && let Poll::Ready(Err(error)) = self.poll_give(context)
        {
            return Poll::Ready(Err(error));
        }
        read.map_ok(|_| ())
    }
}

impl<S: AsyncWrite + Unpin> Write for HttpIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.gathers
            && let Some(taken) = ready!(self.poll_gather(context, &[io::IoSlice::new(bytes)]))?
        {
            return Poll::Ready(Ok(taken));
        }
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gathers
            && let Some(taken) = ready!(self.poll_gather(context, parts))?
        {
            return Poll::Ready(Ok(taken));
        }
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There may be another request, and the read that finds none gives what was gathered.
        if self.gathers && !self.is_dry {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_give(context))?;
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_give(context))?;
        let progress = Pin::new(&mut self.stream).poll_close(context);
        self.watch(context, progress)
    }
}

/// hyper's timer: coarse sleeps, at most 200 ms late.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpTimer;

impl Timer for HttpTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(CoarseSleep::until(deadline))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<CoarseSleep>() {
            Some(sleep) => sleep.get_mut().reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl Sleep for CoarseSleep {}

#[cfg(test)]
mod tests;
