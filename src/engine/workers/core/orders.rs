//! What a worker runs, and what it remembers of what it ran.
//!
//! Invariants:
//! - an order is in one place: it runs, is being stopped, has ended and is kept, or is remembered as done
//!   with, which one that was refused is from the start;
//! - `running`, `live` and `kept_bytes` are what `held` says;
//! - the names of the last [`REMEMBERED`] orders that are done with are remembered: one that comes again
//!   is refused, not run.

use super::super::message::{CAPACITY_MAX, FromWorker, Refusal};
use crate::record::{Ended, Failed};
use crate::shard::OrderId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Ends that wait to be recorded, beyond which no order is taken. Those of what runs then are still kept.
pub const KEPT_MAX: usize = 1_024;

/// What they may have together, likewise. Unit: bytes.
pub const KEPT_BYTES_MAX: usize = 64 << 20;

/// Orders that are done with and whose names are remembered. A leader sends an order again only while its
/// state says that it is assigned here, and it has applied what is recorded: those would do whose end is on
/// its way into the log, which are not more than a worker has room for
/// ([`CAPACITY_MAX`]).
pub const REMEMBERED: usize = 4_096;
const _: () = assert!(REMEMBERED >= CAPACITY_MAX as usize);

#[derive(Debug, Default)]
pub(super) struct Orders {
    held: BTreeMap<OrderId, Held>,
    /// Those of `held` that run, or are being stopped.
    running: usize,
    /// Those of `held` that run and are not being stopped.
    live: usize,
    /// What is being stopped is being killed at once.
    killed: bool,
    kept_bytes: usize,
    /// Those that are done with, the last one at the back.
    done: VecDeque<OrderId>,
    done_names: BTreeSet<OrderId>,
}

#[derive(Clone, Debug)]
enum Held {
    Running,
    /// Being stopped; whether the leader asked for it.
    Stopping {
        wished: bool,
    },
    /// Ended; or, without an end, stopped though the leader did not ask.
    Over(Option<Ended>),
}

/// What is to be done about an order that comes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Known {
    /// It never came.
    New,
    /// It is being stopped: what becomes of it is told then.
    Dying,
    /// It came before.
    Say(FromWorker),
}

/// What is to be done about an order that the leader wants stopped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stopped {
    /// It runs.
    Stop,
    /// It is being stopped.
    Already,
    /// It does not run.
    Say(FromWorker),
}

impl Orders {
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Whether something runs that is not being killed already.
    pub(super) fn need_a_lease(&self) -> bool {
        self.live > 0 || (self.running > 0 && !self.killed)
    }

    pub(super) fn kept(&self) -> usize {
        self.held.len() - self.running
    }

    pub(super) fn has_room(&self, capacity: u32) -> bool {
        self.running < capacity as usize
            && self.kept() < KEPT_MAX
            && self.kept_bytes < KEPT_BYTES_MAX
    }

    /// Whether it came before.
    pub(super) fn known(&self, order: OrderId) -> Known {
        match self.held.get(&order) {
            Some(Held::Running) => Known::Say(FromWorker::Accepted { order }),
            Some(Held::Stopping { .. }) => Known::Dying,
            Some(Held::Over(ended)) => Known::Say(said(order, ended.as_ref())),
            None if self.done_names.contains(&order) => {
                Known::Say(FromWorker::Refused { order, why: Refusal::Over })
            }
            None => Known::New,
        }
    }

    /// It is not run, now or later: that it is refused may be on its way into the log when the leader
    /// changes, and it must not run here while the next attempt runs elsewhere.
    pub(super) fn on_refused(&mut self, order: OrderId) {
        self.remember(order);
    }

    pub(super) fn is_stopping(&self, order: OrderId) -> bool {
        matches!(self.held.get(&order), Some(Held::Stopping { .. }))
    }

    pub(super) fn start(&mut self, order: OrderId) {
        let before = self.held.insert(order, Held::Running);
        assert!(before.is_none(), "an order that is held is not started");
        self.running += 1;
        self.live += 1;
        self.killed = false;
    }

    /// Whether it is to be told now.
    pub(super) fn on_ended(&mut self, order: OrderId, ended: &Ended) -> bool {
        self.over(order, Some(ended.clone()))
    }

    /// Whether it is to be told now.
    pub(super) fn on_stopped(&mut self, order: OrderId) -> bool {
        if let Some(Held::Stopping { wished: true }) = self.held.get(&order) {
            self.held.remove(&order);
            self.running -= 1;
            self.remember(order);
            return true;
        }
        self.over(order, None)
    }

    pub(super) fn on_stop(&mut self, order: OrderId) -> Stopped {
        match self.held.get_mut(&order) {
            Some(held @ Held::Running) => {
                *held = Held::Stopping { wished: true };
                self.live -= 1;
                Stopped::Stop
            }
            Some(Held::Stopping { wished }) => {
                *wished = true;
                Stopped::Already
            }
            Some(Held::Over(ended)) => Stopped::Say(said(order, ended.as_ref())),
            None => {
                // Should it come after all, it is not wanted.
                self.remember(order);
                Stopped::Say(FromWorker::Stopped { order })
            }
        }
    }

    /// Nobody wants to hear of it any more. Whether it runs and is to be stopped.
    pub(super) fn on_recorded(&mut self, order: OrderId) -> bool {
        match self.held.get_mut(&order) {
            Some(held @ Held::Running) => {
                *held = Held::Stopping { wished: true };
                self.live -= 1;
                true
            }
            Some(Held::Stopping { wished }) => {
                *wished = true;
                false
            }
            Some(Held::Over(ended)) => {
                self.kept_bytes -= ended.as_ref().map_or(0, bytes);
                self.held.remove(&order);
                self.remember(order);
                false
            }
            None => false,
        }
    }

    /// All that run are being killed from now on. How many were not being stopped yet.
    pub(super) fn kill_all(&mut self) -> usize {
        for held in self.held.values_mut().filter(|held| matches!(held, Held::Running)) {
            *held = Held::Stopping { wished: false };
        }
        self.killed = true;
        std::mem::take(&mut self.live)
    }

    /// Everything that is kept, for a leader that may not have heard it.
    pub(super) fn say_again(&self) -> impl Iterator<Item = FromWorker> + '_ {
        self.held.iter().filter_map(|(order, held)| match held {
            Held::Over(ended) => Some(said(*order, ended.as_ref())),
            Held::Running | Held::Stopping { .. } => None,
        })
    }

    fn over(&mut self, order: OrderId, ended: Option<Ended>) -> bool {
        let Some(held) = self.held.get_mut(&order) else { return false };
        match held {
            Held::Running => self.live -= 1,
            Held::Stopping { .. } => {}
            Held::Over(_) => return false,
        }
        self.kept_bytes += ended.as_ref().map_or(0, bytes);
        *held = Held::Over(ended);
        self.running -= 1;
        true
    }

    fn remember(&mut self, order: OrderId) {
        if !self.done_names.insert(order) {
            return;
        }
        self.done.push_back(order);
        if self.done.len() > REMEMBERED
            && let Some(oldest) = self.done.pop_front()
        {
            self.done_names.remove(&oldest);
        }
    }
}

fn said(order: OrderId, ended: Option<&Ended>) -> FromWorker {
    match ended {
        Some(ended) => FromWorker::Ended { order, ended: ended.clone() },
        None => FromWorker::Stopped { order },
    }
}

fn bytes(ended: &Ended) -> usize {
    match ended {
        Ended::Output(output) => output.len(),
        Ended::Failed(Failed { code, message, .. }) => code.len() + message.len(),
    }
}
