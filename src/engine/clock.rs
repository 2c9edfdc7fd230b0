//! The log's own time.
//!
//! The wall clock is that of a majority (`consensus/clocks.rs`).
//!
//! Invariants (SOUNDNESS 9):
//! - stamps never go back;
//! - while one leader reigns, they advance by 0.9 to 1.1 times the boot clock, steered towards the
//!   wall clock; so a jump of the wall clock expires nothing early;
//! - only on taking office may a leader step forward to the wall clock.

use base::{Instant, Now, UnixMicros};

/// Makes stamps from two clocks.
#[derive(Clone, Copy, Debug)]
pub struct StampClock {
    last: UnixMicros,
    read_at: Option<Instant>,
}

impl StampClock {
    /// A clock that continues after the last stamp known from the log.
    pub fn new(last: UnixMicros) -> Self {
        Self { last, read_at: None }
    }

    /// An applied entry's stamp: ours must never fall behind it.
    pub fn on_applied(&mut self, stamp: UnixMicros) {
        self.last = self.last.max(stamp);
    }

    /// This node took office: forward to the wall clock, never back.
    pub fn on_office(&mut self, now: Now) {
        self.last = self.last.max(now.wall);
        self.read_at = Some(now.instant);
    }

    /// The stamp for an entry made now.
    pub fn stamp(&mut self, now: Now) -> UnixMicros {
        self.last = self.peek(now);
        self.read_at = Some(now.instant);
        self.last
    }

    /// What [`Self::stamp`] would say, without saying it.
    pub fn peek(&self, now: Now) -> UnixMicros {
        let Some(read_at) = self.read_at else { return self.last };
        let elapsed = u64::try_from(now.instant.since(read_at).as_micros()).unwrap_or(u64::MAX);
        let slow = self.last.0.saturating_add(elapsed - elapsed / 10);
        let fast = self.last.0.saturating_add(elapsed).saturating_add(elapsed / 10);
        UnixMicros(now.wall.0.clamp(slow, fast))
    }

    /// What [`Self::stamp`] would say if the wall clock agreed with the boot clock; at first, the wall
    /// clock itself.
    pub fn coasting(&self, now: Now) -> UnixMicros {
        match self.read_at {
            Some(read_at) => self.last + now.instant.since(read_at),
            None if self.last == UnixMicros(0) => now.wall,
            None => self.last,
        }
    }

    /// How long until the stamp reaches `due` if the wall clock agrees; a little late at worst.
    pub fn until(&self, due: UnixMicros, now: Now) -> std::time::Duration {
        due.since(self.peek(now))
    }
}

#[cfg(test)]
mod tests;
