//! What apply says to whoever asked.

use crate::globals::Changed;
use base::MessageId;
use std::sync::Arc;

/// The workflows that a message started, in order. The names are shared with the catalogue.
pub type Workflows = Arc<[Arc<str>]>;

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in the state.
    Accepted {
        /// Its id.
        id: MessageId,
        /// What it started, by itself or for a key.
        workflows: Workflows,
        /// How many of them for a key: whether they are started is decided elsewhere.
        keyed: usize,
    },
    /// The same key, or the same sequence, with the same body came before.
    Duplicate {
        /// The first one's id.
        id: MessageId,
        /// What the first one started.
        workflows: Workflows,
    },
    /// The same key, or the same sequence, came with another body.
    Conflict {
        /// The first one's id.
        id: MessageId,
    },
    /// The table of keys, or that of producers, is full.
    KeysFull,
    /// Whether the producer's sequence was accepted is no longer known.
    SequenceTooOld {
        /// The lowest one that is known.
        lowest: u64,
    },
    /// Nothing is known of the producer, and it does not begin with 1.
    UnknownProducer,
    /// Too much is unfinished, or waits to be handed to other partitions.
    LiveFull,
    /// The catalogue was changed, or not. Shared by all cores.
    Catalogue(Arc<Changed>),
    /// An instance was to be cancelled.
    Cancelled(CancelOutcome),
    /// A worker was to be drained, or to get tasks again.
    Worker {
        /// Whether there is such a worker.
        is_known: bool,
    },
    /// The state was taken over with the record in it: what became of it was not seen.
    Skipped,
    /// Nobody waits for this one.
    Done,
}

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It is cancelled now.
    Cancelled,
    /// It had finished before.
    Finished,
    /// It finished and was dropped by the retention budget.
    Gone,
    /// There never was such an instance.
    Never,
}
