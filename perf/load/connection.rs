//! One connection: what is still to be written, and which requests wait for an answer.

use crate::response::{Answer, BadAnswer, Reader};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Why requests of a connection got no answer, or no good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// The answer's status is not 200 to 299.
    Status(u16),
    /// The server closed the connection with requests in flight.
    Closed,
    /// The connection broke.
    Broken(ErrorName),
    /// What came is no answer that is understood.
    BadAnswer(&'static str),
}

/// The name of an I/O error, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ErrorName(ErrorKind);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Closed => f.write_str("connection closed by the server"),
            Self::Broken(name) => write!(f, "{}", name.0),
            Self::BadAnswer(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(ErrorName(error.kind()))
    }
}

impl From<BadAnswer> for Failure {
    fn from(bad: BadAnswer) -> Self {
        Self::BadAnswer(bad.as_str())
    }
}

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    reader: Reader,
    /// Requests, whole and in part, that the socket did not take yet.
    pub(crate) out: Vec<u8>,
    written: usize,
    /// When the requests in flight were due, oldest first. Unit: nanoseconds since the run's start.
    in_flight: VecDeque<u64>,
    /// Whether the socket is watched for room to write.
    pub(crate) watches_room: bool,
}

impl Connection {
    /// Connects. This blocks: a server on the same machine answers at once or not at all.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            reader: Reader::default(),
            out: Vec::new(),
            written: 0,
            in_flight: VecDeque::new(),
            watches_room: false,
        })
    }

    /// Requests that wait for their answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A request that was due at `due` stands at the end of `out`.
    pub(crate) fn on_request(&mut self, due: u64) {
        self.in_flight.push_back(due);
    }

    /// Writes what the socket takes; true when nothing is left.
    pub(crate) fn flush(&mut self) -> Result<bool, Failure> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(Failure::Closed),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// Reads what has come and hands each answer, with the time its request was due, to
    /// `on_answer`.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        mut on_answer: impl FnMut(Answer, u64),
    ) -> Result<(), Failure> {
        loop {
            let bytes = match self.stream.read(buffer) {
                Ok(0) => return Err(Failure::Closed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let mut input = &buffer[..bytes];
            while let Some(answer) = self.reader.next(&mut input)? {
                let Some(due) = self.in_flight.pop_front() else {
                    return Err(Failure::BadAnswer("an answer came that nobody asked for"));
                };
                on_answer(answer, due);
                if answer.closes {
                    return Err(Failure::Closed);
                }
            }
            // Less than there was room for: the socket is empty, another read would only say so.
            if bytes < buffer.len() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
