//! The calls in flight on one connection.
//!
//! A call's id is its slot (16 bits) and how often that slot was used before (48 bits): an answer
//! finds its call by an index, and one that comes too late finds that its slot has moved on.
//! Deadlines lie in a heap. Most calls are answered long before theirs, and taking an entry out of
//! the middle of a heap costs more than leaving it: so it stays, is known by its id to be void, and
//! the heap is swept when half of it is.
//!
//! Invariants:
//! - An id is never given twice, and never 0, which is the connection's own.
//! - Each call ends exactly once: by its answer, its deadline, its cancellation or the drain.
//! - At most `calls_max` calls are in flight; the heap holds at most twice that and a constant.

use base::{Instant, Outbox};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most calls that one connection can have in flight: an id gives the slot 16 bits.
pub const CALLS_MAX: usize = 1 << SLOT_BITS;

const SLOT_BITS: u32 = 16;

/// Void deadlines that are kept however few calls are in flight, so that a sweep is never for a few.
const VOID_FREE: usize = 64;

/// No more calls fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{calls_max} calls are in flight already")]
pub struct PendingFull {
    /// The bound.
    pub calls_max: usize,
}

/// Whose answer it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered<T> {
    /// A call's that waits; it has ended with this.
    Expected(T),
    /// That of a call that has ended already: it was late, or nobody waits any more. Drop it.
    Late,
    /// Nobody's: no such call was ever made. The peer is wrong.
    Unknown,
}

#[derive(Debug)]
struct Slot<T> {
    /// How many calls this slot has had, the one in flight included.
    uses: u64,
    value: Option<T>,
}

/// The calls in flight, each with a value of its caller's.
#[derive(Debug)]
pub struct Pending<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u16>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    calls_max: usize,
    late: u64,
}

impl<T> Pending<T> {
    /// A table for at most `calls_max` calls, which is at least 1 and at most [`CALLS_MAX`].
    pub fn new(calls_max: usize) -> Self {
        assert!(
            (1..=CALLS_MAX).contains(&calls_max),
            "{calls_max} calls fit into 16 bits of slots"
        );
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            deadlines: BinaryHeap::new(),
            calls_max,
            late: 0,
        }
    }

    /// Adds a call that must be answered before `deadline`; tells its id.
    pub fn insert(&mut self, deadline: Instant, value: T) -> Result<u64, PendingFull> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.calls_max => {
                self.slots.push(Slot { uses: 0, value: None });
                u16::try_from(self.slots.len() - 1).expect("calls_max fits into 16 bits")
            }
            None => return Err(PendingFull { calls_max: self.calls_max }),
        };
        let entry = &mut self.slots[usize::from(slot)];
        assert!(entry.value.is_none(), "a free slot holds no call");
        entry.uses += 1;
        entry.value = Some(value);
        let call = entry.uses << SLOT_BITS | u64::from(slot);
        self.sweep_if_void();
        self.deadlines.push(Reverse((deadline, call)));
        Ok(call)
    }

    /// An answer came.
    pub fn on_answer(&mut self, call: u64) -> Answered<T> {
        let Some((slot, uses)) = self.locate(call) else { return Answered::Unknown };
        let entry = &self.slots[slot];
        if uses == 0 || uses > entry.uses {
            return Answered::Unknown;
        }
        if let Some(value) = self.cancel(call) {
            return Answered::Expected(value);
        }
        self.late += 1;
        Answered::Late
    }

    /// Nobody waits for this call any more. `None` when it had ended already.
    pub fn cancel(&mut self, call: u64) -> Option<T> {
        let (slot, uses) = self.locate(call)?;
        let entry = &mut self.slots[slot];
        if entry.uses != uses {
            return None;
        }
        let value = entry.value.take()?;
        self.free.push(u16::try_from(slot).expect("a slot fits into 16 bits"));
        Some(value)
    }

    /// The value of a call in flight.
    pub fn value(&self, call: u64) -> Option<&T> {
        let (slot, uses) = self.locate(call)?;
        let entry = &self.slots[slot];
        if entry.uses == uses { entry.value.as_ref() } else { None }
    }

    /// The same, to change it.
    pub fn value_mut(&mut self, call: u64) -> Option<&mut T> {
        let (slot, uses) = self.locate(call)?;
        let entry = &mut self.slots[slot];
        if entry.uses == uses { entry.value.as_mut() } else { None }
    }

    /// When to call [`Pending::on_deadline`]: not later than the first deadline of a call in
    /// flight, but perhaps earlier, at that of a call that has ended. `None` when none is in flight.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Ends every call whose deadline is not after `now`, the earliest first.
    pub fn on_deadline(&mut self, now: Instant, expired: &mut Outbox<(u64, T)>) {
        while let Some(&Reverse((deadline, call))) = self.deadlines.peek() {
            let waits = self.value(call).is_some();
            if waits && deadline > now {
                return;
            }
            self.deadlines.pop();
            if let Some(value) = self.cancel(call) {
                expired.push((call, value));
            }
        }
    }

    /// Ends every call: the connection is gone. In the order of slots.
    pub fn drain(&mut self, ended: &mut Outbox<(u64, T)>) {
        self.deadlines.clear();
        for slot in 0..self.slots.len() {
            let call = self.slots[slot].uses << SLOT_BITS | slot as u64;
            if let Some(value) = self.cancel(call) {
                ended.push((call, value));
            }
        }
    }

    /// Calls in flight.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no call is in flight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no further call fits.
    pub fn is_full(&self) -> bool {
        self.len() >= self.calls_max
    }

    /// Answers that came after their call had ended.
    pub fn late(&self) -> u64 {
        self.late
    }

    fn locate(&self, call: u64) -> Option<(usize, u64)> {
        let slot = usize::try_from(call & (CALLS_MAX as u64 - 1)).expect("16 bits fit");
        (slot < self.slots.len()).then_some((slot, call >> SLOT_BITS))
    }

    /// Throws void deadlines away when more than half of the heap is void: each sweep is paid for
    /// by as many calls as it looks at.
    fn sweep_if_void(&mut self) {
        if self.deadlines.len() >= 2 * self.len() + VOID_FREE {
            let mut deadlines = std::mem::take(&mut self.deadlines);
            deadlines.retain(|Reverse((_, call))| self.value(*call).is_some());
            self.deadlines = deadlines;
        }
    }
}

#[cfg(test)]
mod tests;
