//! Where the threads of a program leave what the driver is to do, and what bounds them.
//!
//! Invariants:
//! - no more messages, and no more bytes of them, are without a result than the options say; a
//!   single message always finds room in an empty client;
//! - the bell is rung once between two looks of the driver, whoever comes.

use crate::error::ClientError;
use crate::options::{Options, WhenFull};
use crate::receipt::{Answer, Promise, Receipt, Slot, Submitted};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is asked of the driver, besides messages.
#[derive(Debug)]
pub(crate) enum Command {
    Query {
        path: String,
        answer: Promise<Answer>,
    },
    /// Tell when every message left before has its result.
    Flush {
        done: Promise<()>,
    },
    Stop,
}

/// A message for the driver.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) body: Box<[u8]>,
    pub(crate) result: Promise<Submitted>,
}

/// What lies in the inbox.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) letters: Vec<Letter>,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug, Default)]
struct State {
    mail: Mail,
    /// The driver has been told to look.
    is_rung: bool,
    /// Messages without a result, and their bytes.
    messages: usize,
    bytes: usize,
    /// Threads that wait for room.
    waiting: usize,
    is_closed: bool,
}

/// The inbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    room: Condvar,
    bell: OwnedFd,
    messages_max: usize,
    bytes_max: usize,
    message_bytes_max: usize,
    when_full: WhenFull,
}

impl Inbox {
    pub(crate) fn new(options: &Options) -> Result<Self, ClientError> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| {
            ClientError::System { what: "make an eventfd", error: error.to_string() }
        })?;
        Ok(Self {
            state: Mutex::default(),
            room: Condvar::new(),
            bell,
            messages_max: options.queue_messages_max,
            bytes_max: options.queue_bytes_max,
            message_bytes_max: options.message_bytes_max(),
            when_full: options.when_full,
        })
    }

    /// Leaves a message.
    pub(crate) fn submit(&self, body: &[u8]) -> Result<Receipt, ClientError> {
        let (bytes, bytes_max) = (body.len(), self.message_bytes_max);
        if bytes > bytes_max {
            return Err(ClientError::TooLarge { bytes, bytes_max });
        }
        // Made before the lock: a copy takes a while.
        let slot = Slot::new();
        let letter = Letter { body: body.into(), result: Promise::new(&slot) };
        let mut state = self.lock();
        loop {
            if state.is_closed {
                letter.result.keep(Err(ClientError::Closed));
                return Err(ClientError::Closed);
            }
            if state.messages < self.messages_max && state.bytes + bytes <= self.bytes_max {
                break;
            }
            if self.when_full == WhenFull::Refuse {
                let (messages, bytes) = (state.messages, state.bytes);
                return Err(ClientError::QueueFull { messages, bytes });
            }
            state.waiting += 1;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.messages += 1;
        state.bytes += bytes;
        state.mail.letters.push(letter);
        self.ring(state);
        Ok(Receipt::new(slot))
    }

    /// Leaves a command; false when nobody will look any more.
    pub(crate) fn command(&self, command: Command) -> Result<(), ClientError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(ClientError::Closed);
        }
        state.mail.commands.push(command);
        self.ring(state);
        Ok(())
    }

    /// Takes everything out. Who comes later rings again.
    pub(crate) fn take(&self, mail: &mut Mail) {
        let mut state = self.lock();
        state.is_rung = false;
        std::mem::swap(&mut state.mail, mail);
    }

    /// So many messages, of so many bytes, have their result.
    pub(crate) fn release(&self, messages: usize, bytes: usize) {
        let mut state = self.lock();
        state.messages -= messages;
        state.bytes -= bytes;
        if state.waiting > 0 {
            self.room.notify_all();
        }
    }

    /// Nothing is taken any more.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.room.notify_all();
    }

    /// What is readable when the driver is to look.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Silences the bell.
    pub(crate) fn hush(&self) {
        // That it was silent already is no error.
        let _: Result<usize, _> = rustix::io::read(&self.bell, &mut [0; 8]);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, mut state: MutexGuard<'_, State>) {
        let is_rung = std::mem::replace(&mut state.is_rung, true);
        drop(state);
        if !is_rung {
            // It fails only when the counter is full, and then it is readable all the more.
            let _: Result<usize, _> = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
