//! What a plugin's process writes to standard output and error: lines for the log, and the last
//! words of a process that crashes.
//!
//! Invariants:
//! - at most [`LINE_BYTES_MAX`] bytes of a line are kept, the rest is dropped;
//! - reading never waits, and one turn reads a bounded amount.

use crate::child::MARK;
use plugin::LOG_BYTES_MAX;
use plugin::frame::Ticket;
use std::io::{self, ErrorKind, Read};

/// What is kept of a line. Unit: bytes.
const LINE_BYTES_MAX: usize = LOG_BYTES_MAX;

/// What one turn reads at most. Unit: bytes.
const READ_BYTES: usize = 16 * 1024;
const READS_PER_TURN: usize = 4;

/// What a crashing process said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastWords {
    /// The task on the thread that ended it; 0: none.
    pub(crate) ticket: Ticket,
    /// The signal; 0: it called `exit`.
    pub(crate) signal: i32,
    /// It had come to its limit of memory.
    pub(crate) is_full: bool,
}

/// Lines of a pipe.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    pipe: R,
    line: Vec<u8>,
    /// The first words count: what follows is an echo.
    pub(crate) last_words: Option<LastWords>,
    /// A line told that memory could not be had.
    pub(crate) told_of_memory: bool,
}

impl<R: Read> Lines<R> {
    /// Of a pipe that does not block.
    pub(crate) fn new(pipe: R) -> Self {
        Self { pipe, line: Vec::new(), last_words: None, told_of_memory: false }
    }

    /// The pipe.
    pub(crate) fn pipe(&self) -> &R {
        &self.pipe
    }

    /// Hands out whole lines. False at the end of the pipe.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&str)) -> io::Result<bool> {
        let mut buffer = [0; READ_BYTES];
        for _ in 0..READS_PER_TURN {
            match self.pipe.read(&mut buffer) {
                Ok(0) => {
                    self.end_line(&mut take);
                    return Ok(false);
                }
                Ok(bytes) => self.push(&buffer[..bytes], &mut take),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn push(&mut self, bytes: &[u8], take: &mut impl FnMut(&str)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let mut piece = pieces.next();
        while let Some(here) = piece {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&here[..here.len().min(room)]);
            piece = pieces.next();
            if piece.is_some() {
                self.end_line(take);
            }
        }
    }

    fn end_line(&mut self, take: &mut impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if let Some(words) = line.strip_prefix(MARK) {
            self.last_words = self.last_words.or_else(|| read_last_words(words));
            return;
        }
        // As Rust's and C++'s runtimes say it before they abort.
        self.told_of_memory |=
            line.starts_with("memory allocation of ") || line.contains("std::bad_alloc");
        if !line.trim().is_empty() {
            take(&line);
        }
    }
}

fn read_last_words(words: &str) -> Option<LastWords> {
    let mut words = words.split(' ');
    let what = words.next()?;
    let signal = words.next()?.parse().ok()?;
    let ticket = words.next()?.parse().ok()?;
    let is_full = words.next()? == "1";
    ["signal", "exit"].contains(&what).then_some(LastWords { ticket, signal, is_full })
}

#[cfg(test)]
mod tests;
