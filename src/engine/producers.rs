//! What one partition remembers of producers: clients that number their messages.
//!
//! A producer's messages are numbered from 1. Of each producer the table keeps a window of the last
//! [`WINDOW`] numbers: which of them were accepted, as what. So a client may send ahead and send
//! again what had no answer: a repeat is told the first answer, and 5 before 4 does not lose 4.
//!
//! Invariants (SOUNDNESS 13):
//! - a number is accepted once; what is below the window, or of a producer that is not known and
//!   does not begin with 1, is an error, never silently dropped and never accepted twice;
//! - a producer is remembered until its time to live has passed in log time since its last message;
//! - every place of a window counts, those of numbers that have not come, too; a full table refuses,
//!   it never forgets one early;
//! - what the table says depends on its image alone.

use crate::keys::Known;
use crate::record::ProducerSequence;
use base::{FixedState, UnixMicros};
use hashbrown::HashMap;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Numbers of a producer that are remembered. A client must not have more than these without an
/// answer.
pub(crate) const WINDOW: u64 = 1_024;

/// Places that a table has at least: one whole window, or no producer could ever fill its own.
pub(crate) const PLACES_MIN: usize = 1_024;

const _: () = assert!(PLACES_MIN as u64 == WINDOW);

/// What the table says to a producer's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not accepted so far: go on, then [`ProducerTable::remember`].
    New,
    /// Accepted before, with the same body.
    Repeat(Known),
    /// Accepted before, with another body.
    Conflict(Known),
    /// There is no room to remember it.
    Full,
    /// Whether it was accepted is no longer known. The lowest number that is.
    TooOld(u64),
    /// Nothing is known of the producer, and it does not begin with 1.
    Unknown,
}

/// One producer.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    /// The stamp of its last message.
    pub(crate) seen: UnixMicros,
    /// The number of the first place.
    pub(crate) base: u64,
    /// The window, never empty, up to the highest number seen; nothing where a number has not been
    /// accepted.
    pub(crate) places: VecDeque<Option<Known>>,
}

/// The producers of one partition.
#[derive(Debug)]
pub(crate) struct ProducerTable {
    ttl: Duration,
    places_max: usize,
    places: usize,
    known: HashMap<u64, Producer, FixedState>,
    /// Each producer once, never later than it expires: looked at then, and put back when it has
    /// been heard of since.
    expiry: BTreeSet<(UnixMicros, u64)>,
}

impl Producer {
    /// How many places the window gains up to `sequence`, and how many it loses below.
    fn growth(&self, sequence: u64) -> (usize, usize) {
        let end = self.base + self.places.len() as u64;
        let gained = (sequence + 1).saturating_sub(end);
        let lost = (sequence + 1).saturating_sub(WINDOW).saturating_sub(self.base);
        let lost = lost.min(self.places.len() as u64);
        let gained = gained.min(WINDOW);
        (places(gained), places(lost))
    }

    fn place(&self, sequence: u64) -> Option<&Known> {
        let at = usize::try_from(sequence.checked_sub(self.base)?).ok()?;
        self.places.get(at)?.as_ref()
    }
}

fn places(count: u64) -> usize {
    usize::try_from(count).expect("a window is small")
}

impl ProducerTable {
    /// An empty table.
    pub(crate) fn new(ttl: Duration, places_max: usize) -> Self {
        Self {
            ttl,
            places_max,
            places: 0,
            known: HashMap::with_hasher(FixedState),
            expiry: BTreeSet::new(),
        }
    }

    /// Forgets the producers that have been silent for too long at `stamp`.
    pub(crate) fn expire(&mut self, stamp: UnixMicros) {
        while let Some(&(due, id)) = self.expiry.first()
            && due <= stamp
        {
            self.expiry.pop_first();
            let due = self.known[&id].seen + self.ttl;
            if due > stamp {
                self.expiry.insert((due, id));
                continue;
            }
            let gone = self.known.remove(&id).expect("it was just there");
            self.places -= gone.places.len();
        }
    }

    /// What is known of a producer's number. Being asked counts as a sign of life; and a producer
    /// that begins is known from then on, whatever becomes of its first message, so that the rest of
    /// what it sent ahead is not refused with it.
    pub(crate) fn look(
        &mut self,
        at: ProducerSequence,
        body: (u64, u32),
        stamp: UnixMicros,
    ) -> Verdict {
        let ProducerSequence { producer: id, sequence } = at;
        let room = self.places_max - self.places;
        let Some(producer) = self.known.get_mut(&id) else {
            // The room comes first: of what was sent ahead with a refused beginning, all can come
            // again.
            if room == 0 {
                return Verdict::Full;
            }
            if sequence != 1 {
                return Verdict::Unknown;
            }
            let places = VecDeque::from([None]);
            self.restore(id, Producer { seen: stamp, base: 1, places });
            return Verdict::New;
        };
        producer.seen = stamp;
        if sequence < producer.base {
            return Verdict::TooOld(producer.base);
        }
        match producer.place(sequence) {
            Some(known) if known.body == body => Verdict::Repeat(known.clone()),
            Some(known) => Verdict::Conflict(known.clone()),
            None => {
                let (gained, lost) = producer.growth(sequence);
                if gained > lost + room { Verdict::Full } else { Verdict::New }
            }
        }
    }

    /// Remembers a number that [`Self::look`] has just called new.
    pub(crate) fn remember(&mut self, at: ProducerSequence, known: Known) {
        let producer = self.known.get_mut(&at.producer).expect("it was just looked for");
        let (gained, lost) = producer.growth(at.sequence);
        self.places += gained;
        self.places -= lost;
        assert!(self.places <= self.places_max, "a full table refuses");
        producer.places.drain(..lost);
        if producer.places.is_empty() {
            // A leap over the whole window: all places are new.
            producer.base = at.sequence + 1 - gained as u64;
        } else {
            producer.base += lost as u64;
        }
        producer.places.extend(std::iter::repeat_n(None, gained));
        let place = places(at.sequence - producer.base);
        let old = producer.places[place].replace(known);
        assert!(old.is_none(), "a number is accepted once");
        assert!(producer.places.len() as u64 <= WINDOW, "a window has its size");
    }

    /// Puts a producer back that [`Self::iter`] gave out.
    pub(crate) fn restore(&mut self, id: u64, producer: Producer) {
        assert!(!producer.places.is_empty(), "a producer has a place");
        self.places += producer.places.len();
        self.expiry.insert((producer.seen + self.ttl, id));
        let old = self.known.insert(id, producer);
        assert!(old.is_none(), "a producer is there once");
    }

    /// Every producer, by its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Producer)> {
        let mut ids: Vec<u64> = self.known.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| (id, &self.known[&id]))
    }
}

#[cfg(test)]
mod tests;
