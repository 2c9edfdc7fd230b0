//! Where all threads' lines meet, and the thread that writes them.
//!
//! Cores bring whole blocks, other threads single lines. The lock is held for a few moves of
//! pointers, or for the copy of one line, never while something is formatted or written; and a core
//! that does not get it at once comes again later.
//!
//! Invariants:
//! - A core never waits here.
//! - At most [`BLOCKS_MAX`] blocks wait, and one more per core that has left; what does not fit
//!   stays in its core's buffer, which drops and counts.
//! - A block that was written is used again.

use super::human;
use base::UnixMicros;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use telemetry::{Level, LogBuffer};

/// Blocks that wait for the writer, and blocks kept to be used again. Each has 0.3 MiB: with an
/// output that hangs, 5 MiB hold the last lines.
pub(super) const BLOCKS_MAX: usize = 16;

/// Lines that no core has counted yet: those of other threads, and those that could not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// By level, as [`level_index`] says.
    pub(super) lines: [u64; LEVELS.len()],
    pub(super) dropped: u64,
}

/// All levels, in their order.
pub(super) const LEVELS: [Level; 4] = [Level::Debug, Level::Info, Level::Warn, Level::Error];

/// Where a level stands in [`LEVELS`].
pub(super) fn level_index(level: Level) -> usize {
    match level {
        Level::Debug => 0,
        Level::Info => 1,
        Level::Warn => 2,
        Level::Error => 3,
    }
}

/// All lines that wait to be written.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write, or the log is to end.
    filled: Condvar,
    /// Everything has been written.
    settled: Condvar,
}

struct Waiting {
    blocks: Vec<Vec<u8>>,
    spares: Vec<Vec<u8>>,
    /// Lines of threads that are no core's.
    others: LogBuffer,
    uncounted: Counts,
    is_writing: bool,
    is_closed: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.others.is_empty()
    }

    fn is_settled(&self) -> bool {
        self.is_empty() && !self.is_writing
    }

    fn take_block(&mut self, buffer: &mut LogBuffer, at: UnixMicros) {
        let empty = self.spares.pop().unwrap_or_else(LogBuffer::block);
        self.blocks.push(buffer.take(at, empty));
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        let waiting = Waiting {
            blocks: Vec::with_capacity(BLOCKS_MAX),
            spares: Vec::with_capacity(BLOCKS_MAX),
            others: LogBuffer::new(),
            uncounted: Counts::default(),
            is_writing: false,
            is_closed: false,
        };
        Self { waiting: Mutex::new(waiting), filled: Condvar::new(), settled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A core brings its lines, if there are any, and takes what is to be counted. `None`: another
    /// thread is here just now. The lines stay with the core when the queue is full.
    pub(super) fn hand_over(&self, buffer: &mut LogBuffer, at: UnixMicros) -> Option<Counts> {
        let mut waiting = match self.waiting.try_lock() {
            Ok(waiting) => waiting,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let uncounted = std::mem::take(&mut waiting.uncounted);
        if !buffer.is_empty() && waiting.blocks.len() < BLOCKS_MAX {
            waiting.take_block(buffer, at);
            drop(waiting);
            self.filled.notify_one();
        }
        Some(uncounted)
    }

    /// A core that ends brings its last lines: it may wait, and there is room for them.
    pub(super) fn bring_last(&self, buffer: &mut LogBuffer, at: UnixMicros) {
        if !buffer.is_empty() {
            self.lock().take_block(buffer, at);
            self.filled.notify_one();
        }
    }

    /// A thread that is no core's brings one line.
    pub(super) fn push(&self, level: Level, line: &[u8]) {
        let mut waiting = self.lock();
        let is_kept = waiting.others.push(level, |out| out.extend_from_slice(line));
        if is_kept {
            waiting.uncounted.lines[level_index(level)] += 1;
        } else {
            waiting.uncounted.dropped += 1;
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until everything is written, but not longer than `time_max`. Tells whether it is.
    pub(super) fn flush(&self, time_max: Duration) -> bool {
        let (waiting, _) = self
            .settled
            .wait_timeout_while(self.lock(), time_max, |waiting| !waiting.is_settled())
            .unwrap_or_else(PoisonError::into_inner);
        waiting.is_settled()
    }

    /// Ends the writer when it has written everything, and waits for that as [`Queue::flush`] does.
    pub(super) fn close(&self, time_max: Duration) -> bool {
        self.lock().is_closed = true;
        self.filled.notify_one();
        self.flush(time_max)
    }

    /// The life of the writer's thread.
    pub(super) fn write_until_closed(&self, mut sink: Sink) {
        let mut blocks = Vec::with_capacity(BLOCKS_MAX);
        let mut spare = LogBuffer::block();
        let mut waiting = self.lock();
        loop {
            if waiting.is_empty() {
                self.settled.notify_all();
                if waiting.is_closed {
                    return;
                }
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            std::mem::swap(&mut blocks, &mut waiting.blocks);
            if !waiting.others.is_empty() {
                let empty = std::mem::take(&mut spare);
                blocks.push(waiting.others.take(runtime::now().wall, empty));
            }
            waiting.is_writing = true;
            drop(waiting);

            let mut lost = 0;
            for block in &blocks {
                lost += sink.write(block);
            }

            waiting = self.lock();
            waiting.is_writing = false;
            waiting.uncounted.dropped += lost;
            for block in blocks.drain(..) {
                if spare.capacity() == 0 {
                    spare = block;
                } else if waiting.spares.len() < BLOCKS_MAX {
                    waiting.spares.push(block);
                }
            }
        }
    }
}

/// Where lines are written to, and in which form.
pub(super) struct Sink {
    out: Box<dyn Write + Send>,
    for_people: bool,
    text: Vec<u8>,
    is_failing: bool,
    /// The last line that was written lacks its end.
    is_torn: bool,
}

impl Sink {
    pub(super) fn new(out: Box<dyn Write + Send>, for_people: bool) -> Self {
        Self { out, for_people, text: Vec::new(), is_failing: false, is_torn: false }
    }

    /// Writes a block of lines. Tells how many were lost.
    fn write(&mut self, block: &[u8]) -> u64 {
        let bytes = if self.for_people {
            self.text.clear();
            for line in lines(block) {
                human::write_line(&mut self.text, line);
            }
            &self.text
        } else {
            block
        };
        let (written, result) = write_some(&mut *self.out, bytes, &mut self.is_torn);
        match result {
            Ok(()) => {
                self.is_failing = false;
                0
            }
            Err(error) => {
                if !self.is_failing {
                    self.is_failing = true;
                    // The last place to turn to; when it fails too, nobody reads what we say.
                    let _ = writeln!(
                        std::io::stderr(),
                        "distric: cannot write the log: {error}; its lines are lost until it can \
                         be written again"
                    );
                }
                lines(&bytes[written..]).count() as u64
            }
        }
    }
}

/// Writes `bytes`, and tells how many were written, up to the end of the last whole line. A disk
/// that is full may take half a line: it is ended before the next one, so that only it is spoilt.
fn write_some(
    out: &mut dyn Write,
    bytes: &[u8],
    is_torn: &mut bool,
) -> (usize, std::io::Result<()>) {
    let mut written = 0;
    let result = loop {
        if *is_torn {
            match out.write(b"\n") {
                Ok(1) => *is_torn = false,
                Ok(_) => break Err(std::io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(error),
            }
        }
        if written == bytes.len() {
            break out.flush();
        }
        match out.write(&bytes[written..]) {
            Ok(0) => break Err(std::io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    let whole = bytes[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // What failed at the very start leaves the tear of an earlier block as it is.
    if written > 0 {
        *is_torn = whole < written;
    }
    (whole, result)
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split_inclusive(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests;
