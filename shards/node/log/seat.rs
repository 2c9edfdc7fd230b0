//! A core's place in the log: its buffer, and the task that hands the buffer's lines over.
//!
//! The task sleeps for as long as the core is silent. The first line wakes it; it then lingers, so
//! that many lines share one hand-over.
//!
//! Invariants:
//! - The buffer is borrowed only while one line is written into it. An event within an event, from
//!   a `Debug` that logs, goes the way of other threads' lines.
//! - A seat that is left hands over its last lines.

use super::Log;
use super::queue::{LEVELS, level_index};
use base::CoreId;
use runtime::LocalNotify;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use telemetry::families::{LOG_LINES, LOG_LINES_DROPPED};
use telemetry::{Counter, Level, LogBuffer, Registry};

/// How long a line waits for others to go with it.
const LINGER: Duration = Duration::from_millis(20);

/// How long a silent core's task sleeps: lines that may not wake it, and other threads' counts, are
/// a second late at most.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// How full the buffer is when its lines go at once. Unit: bytes. Half of the room that lines below
/// WARN have, so that the other half lasts until the task has run.
const HURRY_BYTES: usize = 128 * 1024;

thread_local! {
    static SEAT: RefCell<Option<Rc<Seat>>> = const { RefCell::new(None) };
}

struct Seat {
    core: CoreId,
    log: Arc<Log>,
    buffer: RefCell<LogBuffer>,
    /// The buffer is no longer empty.
    filled: LocalNotify,
    /// The buffer is half full.
    hurry: LocalNotify,
    lines: [Counter; LEVELS.len()],
    dropped: Counter,
}

/// Puts a line into the buffer of the core whose thread this is. False when the line has to go
/// another way: the thread is no core's, or it is in the middle of another line.
pub(super) fn push(level: Level, may_wake: bool, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let Some(seat) = current() else { return false };
    let Ok(mut buffer) = seat.buffer.try_borrow_mut() else { return false };
    let bytes_before = buffer.len();
    if buffer.push(level, write) {
        seat.lines[level_index(level)].increment();
    } else {
        seat.dropped.increment();
    }
    let bytes = buffer.len();
    drop(buffer);
    if may_wake && bytes_before == 0 {
        seat.filled.notify();
    }
    if may_wake && bytes_before < HURRY_BYTES && bytes >= HURRY_BYTES {
        seat.hurry.notify();
    }
    true
}

/// The seat of the core whose thread this is.
fn current() -> Option<Rc<Seat>> {
    SEAT.try_with(|seat| seat.borrow().clone()).ok().flatten()
}

/// Which core's thread this is.
pub(super) fn core() -> Option<CoreId> {
    current().map(|seat| seat.core)
}

/// Hands over the lines of the core whose thread this is, for good.
pub(super) fn leave() {
    let seat = SEAT.try_with(RefCell::take).ok().flatten();
    if let Some(seat) = seat {
        seat.bring_last();
    }
}

/// Makes the current thread a core's: what it logs goes into a buffer, until the task ends.
pub(super) fn take(log: Arc<Log>, core: CoreId, registry: &Registry) -> runtime::Task<()> {
    let seat = Rc::new(Seat {
        core,
        log,
        buffer: RefCell::new(LogBuffer::new()),
        filled: LocalNotify::new(),
        hurry: LocalNotify::new(),
        lines: LEVELS.map(|level| {
            registry.counter(&LOG_LINES, &[("level", &level.as_str().to_ascii_lowercase())])
        }),
        dropped: registry.counter(&LOG_LINES_DROPPED, &[]),
    });
    leave();
    SEAT.set(Some(Rc::clone(&seat)));
    runtime::spawn_local(serve(Leaving(seat)))
}

/// The task of a seat.
async fn serve(leaving: Leaving) {
    let seat = &leaving.0;
    loop {
        if seat.is_empty() {
            // Either way it is time to look.
            let _ = runtime::timeout(SILENCE_MAX, seat.filled.notified()).await;
        }
        if !seat.is_empty() {
            let _ = runtime::timeout(LINGER, seat.hurry.notified()).await;
        }
        seat.hand_over();
    }
}

impl Seat {
    fn is_empty(&self) -> bool {
        self.buffer.borrow().is_empty()
    }

    fn hand_over(&self) {
        let at = runtime::now().wall;
        let uncounted = self.log.queue.hand_over(&mut self.buffer.borrow_mut(), at);
        if let Some(counts) = uncounted {
            for (counter, count) in self.lines.iter().zip(counts.lines) {
                counter.add(count);
            }
            self.dropped.add(counts.dropped);
        }
    }

    fn bring_last(&self) {
        // Borrowed only when a panic comes from the middle of a line: that line is not whole.
        if let Ok(mut buffer) = self.buffer.try_borrow_mut() {
            self.log.queue.bring_last(&mut buffer, runtime::now().wall);
        }
    }
}

/// Leaves the seat when its task ends, however it ends.
struct Leaving(Rc<Seat>);

impl Drop for Leaving {
    fn drop(&mut self) {
        // The thread may have got another seat meanwhile, when one core follows another on it.
        if current().is_some_and(|seat| Rc::ptr_eq(&seat, &self.0)) {
            leave();
        }
    }
}

#[cfg(test)]
mod tests;
