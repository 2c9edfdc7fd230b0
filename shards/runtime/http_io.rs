//! What hyper needs of a runtime: input and output over any stream, and timers.

use crate::net::timed_out;
use crate::timer::TimedOut;
use crate::wheel::CoarseSleep;
use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Bytes read from a stream at once. One buffer serves all connections of a core: what is read is
/// copied to hyper's own before anything else happens, some 10 ns for a request, and no memory is
/// kept per connection. Unit: bytes.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream as hyper wants it, which cuts off a peer that does not read.
#[derive(Debug)]
pub struct HttpIo<S> {
    stream: S,
    /// The longest that a write may make no progress at all.
    stall_max: Duration,
    stalled: Option<CoarseSleep>,
}

impl<S> HttpIo<S> {
    /// Wraps `stream`. A write that makes no progress for about `stall_max` fails with `TimedOut`:
    /// the peer has stopped reading.
    pub fn new(stream: S, stall_max: Duration) -> Self {
        Self { stream, stall_max, stalled: None }
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

impl<S: AsyncRead + Unpin> Read for HttpIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with(|scratch| {
            let mut buffer = scratch.take();
            buffer.resize(SCRATCH_BYTES, 0);
            let room = cursor.remaining().min(buffer.len());
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer[..room]);
            let read = read.map_ok(|bytes| cursor.put_slice(&buffer[..bytes]));
            scratch.set(buffer);
            read
        })
    }
}

impl<S: AsyncWrite + Unpin> Write for HttpIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
