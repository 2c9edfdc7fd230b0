//! Messages that have a number and no result yet.
//!
//! A number is a producer and a sequence. It is given when a message is sent for the first time, not
//! when it is submitted: so numbers have no holes while nothing fails.
//!
//! Invariants:
//! - a message of which an attempt may have been accepted is never sent under another number;
//! - the sequences of a producer are given out densely from 1;
//! - of one producer, at most [`WINDOW_MESSAGES`] sequences lie between the oldest without a result
//!   and the newest, both counted;
//! - until a producer has an accepted message, at most one submit of it is on its way: a node refuses
//!   a producer that it does not know and whose first message it has not seen;
//! - a message leaves the window once.

use crate::options::{PRODUCER_IDLE_MAX, WINDOW_MESSAGES};
use base::{Instant, Prng};
use std::collections::VecDeque;
use std::sync::Arc;

/// A message that waits for its result.
#[derive(Debug)]
pub(crate) struct Message<T> {
    /// Whom to tell.
    pub(crate) token: T,
    pub(crate) body: Box<[u8]>,
    pub(crate) queued_at: Instant,
    pub(crate) give_up_at: Instant,
    /// The last refusal that another try may overcome.
    pub(crate) refusal: Option<Arc<Refusal>>,
}

/// A refusal in a node's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) hint: String,
}

/// A message with its number.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) message: Message<T>,
    pub(crate) producer: u64,
    pub(crate) sequence: u64,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// An attempt has no answer and never will: it may have been accepted.
    pub(crate) in_doubt: bool,
    /// A submit that carries it is on its way.
    is_in_flight: bool,
    /// Messages that a submit with this one has at most.
    together_max: usize,
}

impl<T> Entry<T> {
    /// Whether an attempt may have been accepted, or may still be.
    pub(crate) fn may_be_accepted(&self) -> bool {
        self.in_doubt || self.is_in_flight
    }
}

/// Neighbours in the window that go out in one submit: their sequences follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The place of the first, counted since the client began.
    pub(crate) slot: u64,
    pub(crate) count: usize,
    pub(crate) producer: u64,
    /// The first one's.
    pub(crate) sequence: u64,
}

/// Why the messages of a submit are to be sent again.
#[derive(Clone, Debug)]
pub(crate) enum Again {
    /// The answer is lost.
    Lost,
    /// Refused as a whole, for a reason that passes.
    Later(Arc<Refusal>),
    /// Refused as a whole because of one of them: each half is tried by itself.
    Halved,
}

/// Under whose name messages are numbered.
#[derive(Debug)]
struct Producer {
    id: u64,
    next: u64,
    /// A message of it was accepted.
    is_open: bool,
    /// It numbers nothing more.
    is_retired: bool,
    /// Submits on their way.
    in_flight: usize,
    /// When a message of it was accepted last, or when it began.
    accepted_at: Instant,
}

/// The window.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// Nothing where a message has its result already, which the first never has.
    entries: VecDeque<Option<Entry<T>>>,
    /// The first entry's place.
    first: u64,
    /// Entries to be sent.
    waiting: usize,
    /// None before it is to be sent.
    scan_from: u64,
    producer: Producer,
    prng: Prng,
}

impl<T> Window<T> {
    /// An empty window that begins with `producer`; later ones are drawn from `prng`.
    pub(crate) fn new(producer: u64, prng: Prng) -> Self {
        assert!(producer != 0, "0 stands for no producer");
        let producer = Producer::new(producer, Instant(0));
        Self { entries: VecDeque::new(), first: 0, waiting: 0, scan_from: 0, producer, prng }
    }

    /// Messages that can be numbered now.
    pub(crate) fn room(&self) -> usize {
        WINDOW_MESSAGES - self.entries.len()
    }

    /// Whether every message has its result.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is something to send.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Gives `message` the next number.
    pub(crate) fn number(&mut self, now: Instant, message: Message<T>) {
        assert!(self.room() > 0, "the window bounds the sequences on their way");
        let idle = now.since(self.producer.accepted_at);
        if self.producer.next > 1 && (self.producer.is_retired || idle > PRODUCER_IDLE_MAX) {
            let id = std::iter::repeat_with(|| self.prng.next_u64()).find(|id| *id != 0);
            self.producer = Producer::new(id.expect("a generator does not end"), now);
        } else if self.producer.next == 1 {
            self.producer.accepted_at = now;
        }
        self.entries.push_back(Some(Entry {
            message,
            producer: self.producer.id,
            sequence: self.producer.next,
            attempts: 0,
            in_doubt: false,
            is_in_flight: false,
            together_max: usize::MAX,
        }));
        self.producer.next += 1;
        self.waiting += 1;
    }

    /// The next submit: the oldest message to be sent, and what may go with it.
    pub(crate) fn next_run(&mut self, messages_max: usize, bytes_max: usize) -> Option<Run> {
        if self.waiting == 0 {
            return None;
        }
        let at = (self.index(self.scan_from)..self.entries.len()).find(|at| self.is_waiting(*at));
        let at = at.expect("what waits stands behind `scan_from`");
        self.scan_from = self.first + at as u64;
        let head = self.entries[at].as_ref().expect("it waits");
        let (producer, sequence) = (head.producer, head.sequence);
        let current = &self.producer;
        if producer == current.id && !current.is_open && current.in_flight > 0 {
            return None;
        }
        let mut count = 0;
        let mut bytes = 0;
        let mut together_max = messages_max;
        while at + count < self.entries.len() && self.is_waiting(at + count) {
            let entry = self.entries[at + count].as_ref().expect("it waits");
            together_max = together_max.min(entry.together_max);
            bytes += entry.message.body.len();
            let fits = count < together_max && (bytes <= bytes_max || count == 0);
            if entry.producer != producer || !fits {
                break;
            }
            assert!(entry.sequence == sequence + count as u64, "neighbours follow one another");
            count += 1;
        }
        assert!(count > 0, "a message alone always fits");
        Some(Run { slot: self.scan_from, count, producer, sequence })
    }

    /// The bodies of a run that [`Self::next_run`] gave.
    pub(crate) fn bodies(&self, run: &Run) -> impl Iterator<Item = &[u8]> {
        let at = self.index(run.slot);
        let entries = self.entries.range(at..at + run.count);
        entries.map(|entry| &*entry.as_ref().expect("it waits").message.body)
    }

    /// The run goes out.
    pub(crate) fn on_sent(&mut self, run: &Run) {
        let at = self.index(run.slot);
        for entry in self.entries.range_mut(at..at + run.count) {
            let entry = entry.as_mut().expect("what is sent waited");
            assert!(!entry.is_in_flight, "a message is sent again only after its last attempt");
            entry.is_in_flight = true;
            entry.attempts += 1;
        }
        self.waiting -= run.count;
        self.scan_from = run.slot + run.count as u64;
        if run.producer == self.producer.id {
            self.producer.in_flight += 1;
        }
    }

    /// The submit has ended, with an answer or without; each of its messages goes its own way.
    pub(crate) fn on_ended(&mut self, run: &Run) {
        if run.producer == self.producer.id {
            self.producer.in_flight -= 1;
        }
    }

    /// The message at `slot`, unless it has its result already.
    pub(crate) fn get(&self, slot: u64) -> Option<&Entry<T>> {
        self.entries.get(self.index_of(slot)?)?.as_ref()
    }

    /// The message at `slot` is to be sent again.
    pub(crate) fn again(&mut self, slot: u64, together: usize, why: &Again) {
        let Some(at) = self.index_of(slot) else { return };
        let Some(Some(entry)) = self.entries.get_mut(at) else { return };
        assert!(entry.is_in_flight, "only what was sent is sent again");
        entry.is_in_flight = false;
        match why {
            Again::Lost => entry.in_doubt = true,
            Again::Later(refusal) => entry.message.refusal = Some(Arc::clone(refusal)),
            Again::Halved => entry.together_max = (together / 2).max(1),
        }
        self.waiting += 1;
        self.scan_from = self.scan_from.min(slot);
    }

    /// The message at `slot` was accepted.
    pub(crate) fn accept(&mut self, now: Instant, slot: u64) -> Option<Entry<T>> {
        let entry = self.leave(slot)?;
        if entry.producer == self.producer.id {
            self.producer.is_open = true;
            self.producer.accepted_at = now;
        }
        Some(entry)
    }

    /// The message at `slot` leaves without having been accepted, as far as is known.
    pub(crate) fn fail(&mut self, slot: u64) -> Option<Entry<T>> {
        let entry = self.leave(slot)?;
        if entry.producer == self.producer.id && !self.producer.is_open {
            // The node may never learn of this producer: others of it would wait for that in vain.
            self.producer.is_retired = true;
        }
        Some(entry)
    }

    /// No node knows the current producer any more, if it is `producer`: it numbers nothing more.
    pub(crate) fn retire(&mut self, producer: u64) {
        if producer == self.producer.id {
            self.producer.is_retired = true;
        }
    }

    /// The places of all that have no result, the oldest number first.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (u64, &Entry<T>)> {
        let places = (self.first..).zip(&self.entries);
        places.filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    fn leave(&mut self, slot: u64) -> Option<Entry<T>> {
        let at = self.index_of(slot)?;
        let entry = self.entries.get_mut(at)?.take()?;
        self.waiting -= usize::from(!entry.is_in_flight);
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        self.scan_from = self.scan_from.max(self.first);
        Some(entry)
    }

    fn is_waiting(&self, at: usize) -> bool {
        self.entries[at].as_ref().is_some_and(|entry| !entry.is_in_flight)
    }

    /// Where `slot` stands; nothing when it has left.
    fn index_of(&self, slot: u64) -> Option<usize> {
        let at = slot.checked_sub(self.first)?;
        Some(usize::try_from(at).expect("a window has few places"))
    }

    fn index(&self, slot: u64) -> usize {
        self.index_of(slot).expect("it is in the window")
    }
}

impl Producer {
    fn new(id: u64, now: Instant) -> Self {
        Self { id, next: 1, is_open: false, is_retired: false, in_flight: 0, accepted_at: now }
    }
}

#[cfg(test)]
mod tests;
