//! TCP: one listener per core on the same port, streams, and a look at whether the port is free.
//!
//! Invariants:
//! - Every socket has TCP_NODELAY and is closed on exec.
//! - A listener's port is shared only with listeners of this process: [`probe_port`] is called
//!   before the first one, because SO_REUSEPORT would let two programs split the connections.

use crate::timer;
use crate::trouble::io_error;
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::io::PollableFd;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Connections that may wait to be accepted, per core. The kernel caps it at
/// `net.core.somaxconn`, whose default is 4,096.
const BACKLOG: i32 = 4096;

/// How long a port that is in use is given to become free. What io_uring held for a process that
/// was killed, its listening sockets too, the kernel lets go of a little after the process is gone:
/// 6 to 11 ms on an idle machine. Whoever starts the node again at once must not fail by that.
const PORT_PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks at it.
const PORT_RETRY: Duration = Duration::from_millis(1);

/// Connections accepted in a row before other tasks get a turn.
const TURN_ACCEPTS: u32 = 16;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Another program (or another node) has the port.
    #[error("{address} is in use by another program: stop it, or listen on another port")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// A port below 1024, usually.
    #[error(
        "this user may not listen on {address}: ports below 1024 need root or \
         CAP_NET_BIND_SERVICE; choose a higher one"
    )]
    Forbidden {
        /// The address.
        address: SocketAddr,
    },
    /// The address belongs to another machine.
    #[error("{address} is not an address of this machine")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl PortError {
    pub(crate) fn new(address: SocketAddr, source: io::Error) -> Self {
        match Errno::from_io_error(&source) {
            Some(Errno::ADDRINUSE) => Self::InUse { address },
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden { address },
            Some(Errno::ADDRNOTAVAIL) => Self::NotHere { address },
            _ => Self::Io { address, source },
        }
    }
}

/// A port that was found free and is kept from other programs while this lives.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    /// Bound, not listening: it gets no connection, and nobody without SO_REUSEPORT gets the port.
    _socket: Socket,
}

impl Port {
    /// The address to listen on, with the port that was chosen when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Looks whether `address` can be listened on, by a plain bind: one with SO_REUSEPORT, which the
/// listeners use, would succeed beside another program's. Port 0 chooses a free port. Keep the
/// result until every core listens. Blocks for a second before it says that the port is in use.
pub fn probe_port(address: SocketAddr) -> Result<Port, PortError> {
    let error = |source| PortError::new(address, source);
    let plain = patiently_bound(address).map_err(error)?;
    let address = local_address(&plain).map_err(error)?;
    drop(plain);
    let socket = bound_socket(address, true).map_err(error)?;
    // Was needed to bind beside TIME_WAIT, and would now let others listen: this one does not.
    socket.set_reuse_address(false).map_err(error)?;
    Ok(Port { address, _socket: socket })
}

fn patiently_bound(address: SocketAddr) -> io::Result<Socket> {
    let deadline = Instant::now() + PORT_PATIENCE;
    loop {
        match bound_socket(address, false) {
            Err(error)
                if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(PORT_RETRY);
            }
            bound => return bound,
        }
    }
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("a TCP socket has no IP address"))
}

fn bound_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a node that ran a moment ago may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Accepts connections on one core.
pub struct Listener {
    socket: PollableFd<Socket>,
    address: SocketAddr,
    accepted: Cell<u32>,
}

impl Listener {
    /// Listens on this core. Other cores may listen on the same address; the kernel spreads the
    /// connections among them.
    pub fn bind(address: SocketAddr) -> Result<Self, PortError> {
        Self::open(address).map_err(|source| PortError::new(address, source))
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = bound_socket(address, true)?;
        // Accepted sockets inherit it: one system call for all instead of one for each.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
        let address = local_address(&socket)?;
        let socket = PollableFd::new(socket).map_err(io_error)?;
        Ok(Self { socket, address, accepted: Cell::new(0) })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection. It can be given up without losing one. An error means that
    /// this process or machine has run out of something, usually open files
    /// ([`is_out_of_files`]): wait a little before the next call.
    pub async fn accept(&self) -> io::Result<Stream> {
        if self.accepted.replace(self.accepted.get() + 1) >= TURN_ACCEPTS {
            self.accepted.set(0);
            crate::task::yield_if_needed().await;
        }
        loop {
            match self.socket.get_ref().accept() {
                Ok((socket, peer)) => {
                    let peer = peer.as_socket();
                    let peer = peer.ok_or_else(|| io::Error::other("a peer has no IP address"))?;
                    return Ok(Stream { socket: socket.into(), peer });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accepted.set(0);
                    self.socket.readable().await.map_err(io_error)?;
                }
                // accept(2) hands on what befell the one connection; the next one is another.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
        )
    )
}

/// Whether an error says that no more files (so no more sockets) can be opened.
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A TCP connection of this core.
#[derive(Debug)]
pub struct Stream {
    socket: glommio::net::TcpStream,
    peer: SocketAddr,
}

impl Stream {
    /// Connects to `peer`. The error's kind is `TimedOut` when that took longer than `within`.
    pub async fn connect(peer: SocketAddr, within: Duration) -> io::Result<Self> {
        let socket = glommio::net::TcpStream::connect_timeout(peer, within.max(SHORTEST))
            .await
            .map_err(io_error)?;
        socket.set_nodelay(true).map_err(io_error)?;
        Ok(Self { socket, peer })
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// This end's address.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().map_err(io_error)
    }

    /// Whether small writes leave at once. They always do.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.nodelay().map_err(io_error)
    }

    /// Reads what is there, waiting for something at most `within`. 0 bytes: the peer has closed.
    pub async fn read_within(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize> {
        let read = futures_lite::AsyncReadExt::read(self, buffer);
        timer::timeout(within, read).await.map_err(timed_out)?
    }

    /// Writes all of `bytes`, or fails when that takes longer than `within`; how many of them the
    /// peer will get is not known then.
    pub async fn write_all_within(&mut self, bytes: &[u8], within: Duration) -> io::Result<()> {
        let write = futures_lite::AsyncWriteExt::write_all(self, bytes);
        timer::timeout(within, write).await.map_err(timed_out)?
    }

    /// Ends the connection at once in both directions.
    pub fn abort(&self) -> io::Result<()> {
        let shutdown = self
            .socket
            .poll_shutdown(&mut Context::from_waker(std::task::Waker::noop()), Shutdown::Both);
        match shutdown {
            Poll::Ready(result) => swallow_not_connected(result.map_err(io_error)),
            Poll::Pending => unreachable!("shutdown is one system call"),
        }
    }
}

/// glommio refuses a timeout of nothing.
const SHORTEST: Duration = Duration::from_millis(1);

/// A timeout as an error of input or output.
pub(crate) fn timed_out(timeout: timer::TimedOut) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, timeout)
}

/// A peer that has left makes shutdown(2) answer ENOTCONN; there is nothing left to close then.
fn swallow_not_connected(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context).map(swallow_not_connected)
    }
}

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
