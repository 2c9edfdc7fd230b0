//! The thread that owns the socket: it hands the session what comes, and carries out what it says.
//! It decides nothing.

use crate::error::{ClientError, Trouble};
use crate::inbox::{Command, Inbox, Letter, Mail};
use crate::receipt::{Answer, Promise, Submitted};
use crate::session::{Effect, Session};
use base::{Address, Now, Outbox, UnixMicros};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads between two looks at anything else: a node that sends without end must not starve the rest.
const READS_MAX: usize = 16;

/// What the session calls a message.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Its place among all that the driver was given.
    index: u64,
    result: Promise<Submitted>,
}

/// A flush that waits.
#[derive(Debug)]
struct Flush {
    /// Messages from here on came later.
    through: u64,
    /// Messages before it without a result.
    left: usize,
    done: Promise<()>,
}

/// The wait for the first connection.
#[derive(Debug)]
struct FirstConnection {
    done: Promise<()>,
    /// Addresses that failed.
    failures: usize,
}

/// The driver.
#[derive(Debug)]
pub(crate) struct Driver {
    inbox: Arc<Inbox>,
    session: Session<Ticket>,
    outbox: Outbox<Effect<Ticket>>,
    addresses: Vec<Address>,
    socket: Option<TcpStream>,
    is_connecting: bool,
    /// Attempts to connect, which also says which of a name's addresses is next.
    attempts: usize,
    first: Option<FirstConnection>,
    queries: BTreeMap<u64, Promise<Answer>>,
    queries_made: u64,
    flushes: Vec<Flush>,
    messages_given: u64,
    messages_open: usize,
    /// Messages that got their result since the inbox was told, and their bytes.
    released: (usize, usize),
    is_stopping: bool,
    began: Instant,
}

impl Driver {
    /// A driver that keeps `connected` when the first connection stands, or none could be made.
    pub(crate) fn new(
        inbox: Arc<Inbox>,
        session: Session<Ticket>,
        addresses: Vec<Address>,
        connected: Promise<()>,
    ) -> Self {
        Self {
            inbox,
            session,
            outbox: Outbox::new(),
            addresses,
            socket: None,
            is_connecting: false,
            attempts: 0,
            first: Some(FirstConnection { done: connected, failures: 0 }),
            queries: BTreeMap::new(),
            queries_made: 0,
            flushes: Vec::new(),
            messages_given: 0,
            messages_open: 0,
            released: (0, 0),
            is_stopping: false,
            began: Instant::now(),
        }
    }

    /// Runs until the client is closed.
    pub(crate) fn run(mut self) {
        let mut mail = Mail::default();
        while !self.is_stopping {
            self.read_mail(&mut mail);
            let now = self.now();
            self.session.on_turn(now, &mut self.outbox);
            self.carry_out();
            self.write();
            self.carry_out();
            if let Err(error) = self.wait() {
                // No descriptor of ours is wrong, so the system lacks memory: nothing goes on.
                let trouble = io_trouble(&error.into());
                let now = self.now();
                self.session.on_disconnected(now, trouble, &mut self.outbox);
                break;
            }
        }
        self.inbox.close();
        self.read_mail(&mut mail);
        self.session.on_close(&mut self.outbox);
        self.carry_out();
    }

    fn now(&self) -> Now {
        let instant = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        Now { instant: base::Instant(instant), wall: UnixMicros(wall) }
    }

    fn read_mail(&mut self, mail: &mut Mail) {
        self.inbox.take(mail);
        let now = self.now();
        for Letter { body, result } in mail.letters.drain(..) {
            let ticket = Ticket { index: self.messages_given, result };
            self.messages_given += 1;
            self.messages_open += 1;
            self.session.on_message(now, ticket, body);
        }
        for command in mail.commands.drain(..) {
            match command {
                Command::Query { path, answer } => {
                    self.queries_made += 1;
                    self.queries.insert(self.queries_made, answer);
                    self.session.on_query(now, self.queries_made, path);
                }
                Command::Flush { done } if self.messages_open == 0 => done.keep(Ok(())),
                Command::Flush { done } => {
                    let (through, left) = (self.messages_given, self.messages_open);
                    self.flushes.push(Flush { through, left, done });
                    self.session.on_flush();
                }
                Command::Stop => self.is_stopping = true,
            }
        }
    }

    /// Does what the session orders; that may bring further orders.
    fn carry_out(&mut self) {
        while !self.outbox.is_empty() {
            let mut effects = std::mem::take(&mut self.outbox);
            for effect in effects.drain() {
                match effect {
                    Effect::Connect { address } => self.connect(address),
                    Effect::Disconnect => self.socket = None,
                    Effect::Opened => self.on_opened(),
                    Effect::Failed { address, trouble } => self.on_failed(address, trouble),
                    Effect::Submitted { token, bytes, result } => {
                        self.on_submitted(token.index, bytes);
                        token.result.keep(result);
                    }
                    Effect::Queried { token, result } => {
                        if let Some(answer) = self.queries.remove(&token) {
                            answer.keep(result);
                        }
                    }
                }
            }
            if self.outbox.is_empty() {
                self.outbox = effects;
                break;
            }
        }
        self.flushes.extract_if(.., |flush| flush.left == 0).for_each(|f| f.done.keep(Ok(())));
        if self.released.0 > 0 {
            let (messages, bytes) = std::mem::take(&mut self.released);
            self.inbox.release(messages, bytes);
        }
    }

    fn on_submitted(&mut self, index: u64, bytes: usize) {
        self.messages_open -= 1;
        self.released.0 += 1;
        self.released.1 += bytes;
        for flush in &mut self.flushes {
            flush.left -= usize::from(index < flush.through);
        }
    }

    fn on_opened(&mut self) {
        if let Some(first) = self.first.take() {
            first.done.keep(Ok(()));
        }
    }

    fn on_failed(&mut self, address: usize, trouble: Trouble) {
        let Some(first) = &mut self.first else { return };
        first.failures += 1;
        if first.failures == self.addresses.len() {
            let address = self.addresses[address].to_string();
            let first = self.first.take().expect("it was looked at");
            first.done.keep(Err(ClientError::Unreachable { address, trouble }));
            self.is_stopping = true;
        }
    }

    fn connect(&mut self, address: usize) {
        match open(&self.addresses[address], self.attempts) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.is_connecting = true;
            }
            Err(trouble) => self.on_socket_ended(trouble),
        }
        self.attempts = self.attempts.wrapping_add(1);
    }

    fn on_socket_ended(&mut self, trouble: Trouble) {
        let now = self.now();
        self.session.on_disconnected(now, trouble, &mut self.outbox);
    }

    /// Writes what the socket takes.
    fn write(&mut self) {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.is_connecting) else { return };
        let mut ended = None;
        while !self.session.output().is_empty() && ended.is_none() {
            match socket.write(self.session.output()) {
                Ok(0) => ended = Some(Trouble::Closed),
                Ok(bytes) => self.session.on_written(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => ended = Some(io_trouble(&error)),
            }
        }
        if let Some(trouble) = ended {
            self.on_socket_ended(trouble);
        }
    }

    fn read(&mut self) {
        for _ in 0..READS_MAX {
            let now = self.now();
            let Some(socket) = &mut self.socket else { return };
            let space = self.session.space();
            let room = space.len();
            match socket.read(space) {
                Ok(0) => return self.on_socket_ended(Trouble::Closed),
                Ok(bytes) => {
                    self.session.on_bytes(now, bytes, &mut self.outbox);
                    // That may have been the connection's end.
                    self.carry_out();
                    // Less than there was room for: another read would only say that.
                    if bytes < room {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.on_socket_ended(io_trouble(&error)),
            }
        }
    }

    /// Waits for the bell, the socket, or the session's deadline, and takes what the socket brings.
    fn wait(&mut self) -> Result<(), Errno> {
        if self.is_stopping {
            return Ok(());
        }
        let timeout = self.session.deadline().map(|at| at.since(self.now().instant));
        let timeout = timeout.map(timespec);
        let inbox = Arc::clone(&self.inbox);
        let mut descriptors = vec![PollFd::from_borrowed_fd(inbox.bell(), PollFlags::IN)];
        if let Some(socket) = &self.socket {
            let writes = self.is_connecting || !self.session.output().is_empty();
            let flags = if writes { PollFlags::OUT } else { PollFlags::empty() };
            let flags = if self.is_connecting { flags } else { flags | PollFlags::IN };
            descriptors.push(PollFd::new(socket, flags));
        }
        match poll(&mut descriptors, timeout.as_ref()) {
            Err(Errno::INTR) => return Ok(()),
            other => other?,
        };
        let happened: Vec<_> = descriptors.iter().map(PollFd::revents).collect();
        if happened[0].contains(PollFlags::IN) {
            self.inbox.hush();
        }
        match happened.get(1) {
            None => {}
            Some(happened) if happened.is_empty() => {}
            Some(_) if self.is_connecting => self.on_connect_done(),
            // An error or a hang-up is learned from the read that fails.
            Some(happened) if *happened == PollFlags::OUT => {}
            Some(_) => self.read(),
        }
        Ok(())
    }

    /// The attempt to connect has come to an end.
    fn on_connect_done(&mut self) {
        self.is_connecting = false;
        let now = self.now();
        match self.socket.as_ref().map(TcpStream::take_error) {
            Some(Ok(None)) => self.session.on_connected(now),
            Some(Ok(Some(error)) | Err(error)) => self.on_socket_ended(io_trouble(&error)),
            None => {}
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    // A time too long for the system's clock is as good as the longest that fits.
    Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}

fn io_trouble(error: &io::Error) -> Trouble {
    Trouble::Io { error: error.to_string() }
}

/// Begins to connect. A name's addresses take turns.
fn open(address: &Address, attempt: usize) -> Result<TcpStream, Trouble> {
    let target = if let Some(target) = address.socket_address() {
        target
    } else {
        let lookup = |error: String| Trouble::Lookup { error };
        let found = address.to_string().to_socket_addrs();
        let found: Vec<_> = found.map_err(|error| lookup(error.to_string()))?.collect();
        let count = found.len();
        if count == 0 {
            return Err(lookup("it has no address".to_owned()));
        }
        found[attempt % count]
    };
    let begin = || {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            // Done or under way: either is told by the socket's becoming writable.
            Ok(()) | Err(_) => {}
        }
        let stream = TcpStream::from(socket);
        // A frame is written as a whole: there is nothing to wait for.
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    begin().map_err(|error: io::Error| io_trouble(&error))
}
