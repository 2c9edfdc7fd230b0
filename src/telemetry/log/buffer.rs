//! Where a core's lines wait for the thread that writes them. The core fills a block of memory and
//! now and then hands it over whole, getting an empty one back: no line costs an allocation, a lock
//! or a wake-up.
//!
//! Invariants:
//! - a full buffer drops the new line and counts it; it never grows and never waits;
//! - lines below WARN cannot take the room of those from WARN on;
//! - lines leave in the order in which they came.

use super::{LINE_BYTES_MAX, Level, Line};
use base::UnixMicros;

/// Room for all lines. Unit: bytes. About a thousand lines: more than a core writes between two
/// hand-overs unless something is wrong, and then the first lines tell what.
const COMMON_BYTES: usize = 256 * 1024;

/// Room that only lines from WARN on may use. Unit: bytes.
const URGENT_BYTES: usize = 64 * 1024;

/// A core's log lines, waiting.
#[derive(Debug)]
pub struct LogBuffer {
    bytes: Vec<u8>,
    dropped: u64,
    dropped_urgent: u64,
    dropped_total: u64,
}

impl Default for LogBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl LogBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self { bytes: Self::block(), dropped: 0, dropped_urgent: 0, dropped_total: 0 }
    }

    /// An empty block to hand to [`LogBuffer::take`]: large enough that no line makes it grow.
    pub fn block() -> Vec<u8> {
        // Room for the line that turns out not to fit, and for the one that tells of drops.
        Vec::with_capacity(COMMON_BYTES + URGENT_BYTES + 2 * LINE_BYTES_MAX)
    }

    /// Adds the line that `write` appends, of at most [`LINE_BYTES_MAX`] bytes, and tells whether
    /// there was room for it.
    pub fn push(&mut self, level: Level, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let urgent = level >= Level::Warn;
        let bytes_max = if urgent { COMMON_BYTES + URGENT_BYTES } else { COMMON_BYTES };
        let before = self.bytes.len();
        if before < bytes_max {
            write(&mut self.bytes);
            assert!(self.bytes.len() - before <= LINE_BYTES_MAX, "a line keeps to its limit");
            if self.bytes.len() <= bytes_max {
                return true;
            }
            self.bytes.truncate(before);
        }
        self.dropped_total += 1;
        if urgent {
            self.dropped_urgent += 1;
        } else {
            self.dropped += 1;
        }
        false
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.dropped == 0 && self.dropped_urgent == 0
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Lines dropped so far, for `distric_log_lines_dropped_total`.
    pub fn dropped_total(&self) -> u64 {
        self.dropped_total
    }

    /// Takes out all lines that wait, ending with one that tells how many were dropped, if any were.
    /// `empty` takes their place: a block that was written out, or a new one.
    pub fn take(&mut self, at: UnixMicros, mut empty: Vec<u8>) -> Vec<u8> {
        empty.clear();
        if self.dropped > 0 || self.dropped_urgent > 0 {
            let message = format_args!("log lines were dropped: their buffer was full");
            let mut line = Line::begin(&mut self.bytes, at, Level::Warn, "telemetry", message);
            line.number("below_warn", self.dropped);
            line.number("warn_and_above", self.dropped_urgent);
            line.end();
            self.dropped = 0;
            self.dropped_urgent = 0;
        }
        std::mem::replace(&mut self.bytes, empty)
    }
}

#[cfg(test)]
mod tests;
