//! One connection: what is still to be written, and which requests wait for an answer.

use crate::binary::{self, Binary};
use crate::options::{Door, Plan};
use crate::response::{BadAnswer, Reader};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Why requests of a connection got no answer, or no good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// The answer's status is not 200 to 299.
    Status(u16),
    /// Over the binary protocol: one of the request's messages, or all of it, was refused.
    Refused(Word),
    /// Over the binary protocol: the number of a message belonged to another one.
    Conflict,
    /// The server closed the connection with requests in flight.
    Closed,
    /// The connection broke.
    Broken(ErrorName),
    /// What came is no answer that is understood.
    BadAnswer(&'static str),
}

impl Failure {
    /// Whether it is an answer all the same.
    pub(crate) fn is_answer(self) -> bool {
        matches!(self, Self::Status(_) | Self::Refused(_) | Self::Conflict)
    }
}

/// The name of an I/O error, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ErrorName(ErrorKind);

/// How much of a refusal's code is kept. Unit: bytes. The longest has 22.
const WORD_BYTES: usize = 32;

/// The code of a refusal, kept by value: there are as many as requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    bytes: [u8; WORD_BYTES],
    length: usize,
}

impl Word {
    pub(crate) fn new(text: &str) -> Self {
        let length = text.floor_char_boundary(WORD_BYTES);
        let mut bytes = [0; WORD_BYTES];
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { bytes, length }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes[..self.length]))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Refused(code) => write!(f, "refused: {code}"),
            Self::Conflict => f.write_str("conflict"),
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

/// The time that stands for a request that has been answered before an older one.
const ANSWERED: u64 = u64::MAX;

/// When the requests in flight were due. Unit: nanoseconds since the run's start.
#[derive(Debug, Default)]
struct InFlight {
    /// Oldest first; [`ANSWERED`] where one has overtaken the first.
    due: VecDeque<u64>,
    /// The first one's place among all requests of the connection.
    first: u64,
    /// Requests without an answer.
    count: usize,
}

impl InFlight {
    fn begin(&mut self, due: u64) {
        self.due.push_back(due.min(ANSWERED - 1));
        self.count += 1;
    }

    /// The `request`-th of the connection, counted from 0, is answered; nothing when it is not in
    /// flight.
    fn end(&mut self, request: u64) -> Option<u64> {
        let at = usize::try_from(request.checked_sub(self.first)?).ok()?;
        let due = std::mem::replace(self.due.get_mut(at)?, ANSWERED);
        if due == ANSWERED {
            return None;
        }
        while self.due.front() == Some(&ANSWERED) {
            self.due.pop_front();
            self.first += 1;
        }
        self.count -= 1;
        Some(due)
    }
}

/// How answers are read.
#[derive(Debug)]
enum Speech {
    /// In the order of the requests.
    Http { reader: Reader, answered: u64 },
    /// In any order.
    Binary(Binary),
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    speech: Speech,
    /// Requests, whole and in part, that the socket did not take yet.
    pub(crate) out: Vec<u8>,
    written: usize,
    in_flight: InFlight,
    /// Requests begun.
    pub(crate) begun: u64,
    /// Whether the socket is watched for room to write.
    pub(crate) watches_room: bool,
}

impl Connection {
    /// Connects, and exchanges hellos where there are any. This blocks: a server on the same machine
    /// answers at once or not at all.
    pub(crate) fn open(plan: &Plan) -> io::Result<Self> {
        let address = match plan.door {
            Door::Http => plan.target.address,
            Door::Binary(address) => address,
        };
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        let speech = match plan.door {
            Door::Http => Speech::Http { reader: Reader::default(), answered: 0 },
            Door::Binary(_) => {
                stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
                Speech::Binary(binary::greet(&mut stream, plan.pipeline)?)
            }
        };
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            speech,
            out: Vec::new(),
            written: 0,
            in_flight: InFlight::default(),
            begun: 0,
            watches_room: false,
        })
    }

    /// Requests that wait for their answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.count
    }

    /// A request that was due at `due` stands at the end of `out`.
    pub(crate) fn on_request(&mut self, due: u64) {
        self.in_flight.begin(due);
        self.begun += 1;
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
        mut on_answer: impl FnMut(Result<(), Failure>, u64),
    ) -> Result<(), Failure> {
        let Self { stream, speech, in_flight, .. } = self;
        loop {
            let space = match speech {
                Speech::Http { .. } => &mut *buffer,
                Speech::Binary(binary) => binary.space(),
            };
            let room = space.len();
            let bytes = match stream.read(space) {
                Ok(0) => return Err(Failure::Closed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let mut answered = |request, outcome| -> Result<(), Failure> {
                let due = in_flight.end(request).ok_or(UNASKED)?;
                on_answer(outcome, due);
                Ok(())
            };
            match speech {
                Speech::Http { reader, answered: count } => {
                    let mut input = &buffer[..bytes];
                    while let Some(answer) = reader.next(&mut input)? {
                        let is_good = (200..300).contains(&answer.status);
                        let bad = Failure::Status(answer.status);
                        answered(*count, if is_good { Ok(()) } else { Err(bad) })?;
                        *count += 1;
                        if answer.closes {
                            return Err(Failure::Closed);
                        }
                    }
                }
                Speech::Binary(binary) => {
                    binary.filled(bytes);
                    // Calls count from 1, requests from 0.
                    while let Some((call, outcome)) = binary.next()? {
                        answered(call.checked_sub(1).ok_or(UNASKED)?, outcome)?;
                    }
                }
            }
            // Less than there was room for: the socket is empty, another read would only say so.
            if bytes < room {
                return Ok(());
            }
        }
    }
}

const UNASKED: Failure = Failure::BadAnswer("an answer came that nobody asked for");

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests;
