//! Bytes on their way to a peer.
//!
//! Frames are encoded straight into this buffer and leave it in as few writes as the socket allows.

use futures_lite::AsyncWrite;
use runtime::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What a buffer keeps of its memory once it is empty. Unit: bytes. A burst must not stay with each
/// of ten thousand connections.
const KEPT_BYTES: usize = 256 * 1024;

/// Written bytes that may stay in front of unwritten ones. Unit: bytes. Moving the rest forward
/// costs a copy, so it waits until much is won.
const WRITTEN_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How many of them were written to the socket.
    written: usize,
    /// All that was ever written to the socket.
    written_total: u64,
    is_begun: bool,
}

impl Output {
    /// Bytes that were not written yet.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the socket took a part of what is here: the next byte to be written may be in the
    /// middle of a frame.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Where to append a frame.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes that the socket took since the connection began.
    pub(crate) fn written_total(&self) -> u64 {
        self.written_total
    }

    /// The place in the stream where what is appended next begins.
    pub(crate) fn end(&self) -> u64 {
        self.written_total + self.len() as u64
    }

    /// Writes until everything is written or the socket takes no more; tells how much it took.
    pub(crate) fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while !self.is_empty() {
            let unwritten = &self.bytes[self.written..];
            match Pin::new(&mut *stream).poll_write(context, unwritten) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(bytes)) => {
                    self.written += bytes;
                    self.written_total += bytes as u64;
                    taken += bytes;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        self.tidy();
        Poll::Ready(Ok(taken))
    }

    fn tidy(&mut self) {
        self.is_begun = !self.is_empty();
        if self.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.written = 0;
        } else if self.written >= WRITTEN_BYTES_MAX && self.written >= self.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }

    /// Throws away what was not written.
    pub(crate) fn discard(&mut self) {
        self.bytes = Vec::new();
        self.written = 0;
    }
}

/// Ends this side of a connection: the peer reads the end after everything that was written.
pub(crate) fn poll_close(context: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<()>> {
    ready!(Pin::new(stream).poll_close(context))?;
    Poll::Ready(Ok(()))
}
