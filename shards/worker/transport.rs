//! A connection, encrypted or not, that counts what came in.

use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;
use runtime::Stream;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

#[derive(Debug)]
enum Kind {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
}

/// What hyper speaks over.
#[derive(Debug)]
pub(crate) struct Transport {
    kind: Kind,
    received: Rc<Cell<u64>>,
}

impl Transport {
    pub(crate) fn plain(stream: Stream) -> Self {
        Self { kind: Kind::Plain(stream), received: Rc::default() }
    }

    pub(crate) fn tls(stream: TlsStream<Stream>) -> Self {
        Self { kind: Kind::Tls(Box::new(stream)), received: Rc::default() }
    }

    /// Bytes of answers that have come in so far, shared with whoever wants to know later.
    pub(crate) fn received(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.received)
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Kind::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Poll::Ready(Ok(bytes)) = &read {
            self.received.set(self.received.get() + *bytes as u64);
        }
        read
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Kind::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Kind::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(context),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_close(context),
            Kind::Tls(stream) => Pin::new(stream).poll_close(context),
        }
    }
}
