//! What happened to an instance, step by step.
//!
//! Invariants:
//! - the steps are in the order in which they happened, and none is changed afterwards;
//! - there are at most [`HISTORY_STEPS_MAX`]; where more happened, the oldest have gone and are
//!   counted.

use crate::definition::TaskIndex;
use crate::status::{InstanceStatus, TaskStatus};
use base::UnixMicros;
use std::borrow::Cow;
use std::collections::VecDeque;

/// Steps that are kept. The largest workflow takes three for each of its tasks when nothing goes
/// wrong; the rest is room for retries. A step is about 50 bytes.
pub const HISTORY_STEPS_MAX: usize = 1_024;

const _: () = assert!(HISTORY_STEPS_MAX > 3 * crate::graph::TASKS_MAX);

/// Why something happened; a fixed text costs nothing.
pub(crate) type Reason = Cow<'static, str>;

/// Who changed, and into what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The instance itself.
    Instance(InstanceStatus),
    /// One of its tasks.
    Task {
        /// Which.
        task: TaskIndex,
        /// The attempt it was at; 0 before the first.
        attempt: u32,
        /// Its new status.
        status: TaskStatus,
    },
}

/// One transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The stamp at which it happened.
    pub at: UnixMicros,
    /// Who changed, and into what.
    pub change: Change,
    /// Why, where the change alone does not say it.
    pub reason: Option<Reason>,
}

/// The transitions of one instance, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) steps: VecDeque<Step>,
    pub(crate) forgotten: u32,
    /// Bytes of the reasons that are not fixed texts; kept so that nobody has to count.
    pub(crate) reason_bytes: usize,
}

impl History {
    /// A history with room for an undisturbed run of `tasks` tasks.
    pub(crate) fn with_room_for(tasks: usize) -> Self {
        Self { steps: VecDeque::with_capacity(2 * tasks + 2), ..Self::default() }
    }

    pub(crate) fn push(&mut self, at: UnixMicros, change: Change, reason: Option<Reason>) {
        if self.steps.len() == HISTORY_STEPS_MAX {
            let oldest = self.steps.pop_front().expect("the history is full");
            self.reason_bytes -= owned_bytes(oldest.reason.as_ref());
            self.forgotten = self.forgotten.saturating_add(1);
        }
        self.reason_bytes += owned_bytes(reason.as_ref());
        self.steps.push_back(Step { at, change, reason });
    }
}

/// Counts a text alike whether it is a fixed one or was read back from an image, or the size of an
/// instance would depend on whether it went through a snapshot.
fn owned_bytes(reason: Option<&Reason>) -> usize {
    reason.map_or(0, |text| text.len())
}
