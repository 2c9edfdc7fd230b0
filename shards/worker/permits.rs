//! How many calls may have a connection to one origin, and who is next.
//!
//! A connection that is kept belongs to nobody; one is opened only by who holds a permit and finds
//! none kept. So connections to an origin, kept or in use, are at most its permits.
//!
//! Invariants:
//! - At most `per_origin_max` permits of one origin are held at a time.
//! - Permits are given in the order in which they were asked for.
//! - At most [`WAITING_MAX`] calls wait for one origin; what is known of an origin is forgotten
//!   when nobody holds or wants a permit.

use crate::target::Origin;
use runtime::{LocalOneshot, LocalSender};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Calls that may wait for a permit of one origin.
pub(crate) const WAITING_MAX: usize = 1_024;

/// Too many calls wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyWait;

pub(crate) struct Permits {
    origins: RefCell<BTreeMap<Origin, Queue>>,
    per_origin_max: usize,
}

#[derive(Default)]
struct Queue {
    held: usize,
    waiting: VecDeque<LocalSender<Permit>>,
}

/// The right to have one connection. Dropping it gives it to who waits longest.
pub(crate) struct Permit {
    permits: Rc<Permits>,
    origin: Origin,
}

impl Permits {
    pub(crate) fn new(per_origin_max: usize) -> Rc<Self> {
        // With none, every call would wait for ever.
        Rc::new(Self { origins: RefCell::default(), per_origin_max: per_origin_max.max(1) })
    }

    pub(crate) fn per_origin_max(&self) -> usize {
        self.per_origin_max
    }

    /// Waits for a permit. The wait can be given up.
    pub(crate) async fn acquire(self: &Rc<Self>, origin: &Origin) -> Result<Permit, TooManyWait> {
        let receiver = {
            let mut origins = self.origins.borrow_mut();
            let queue = origins.entry(origin.clone()).or_default();
            if queue.held < self.per_origin_max {
                queue.held += 1;
                return Ok(self.permit(origin));
            }
            if queue.waiting.len() >= WAITING_MAX {
                queue.waiting.retain(|waiting| !waiting.is_closed());
            }
            if queue.waiting.len() >= WAITING_MAX {
                return Err(TooManyWait);
            }
            let (sender, receiver) = LocalOneshot::new();
            queue.waiting.push_back(sender);
            receiver
        };
        Ok(receiver.await.expect("a queue with waiting calls is kept until it is empty"))
    }

    fn permit(self: &Rc<Self>, origin: &Origin) -> Permit {
        Permit { permits: Rc::clone(self), origin: origin.clone() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = {
            let mut origins = self.permits.origins.borrow_mut();
            let queue = origins.get_mut(&self.origin).expect("a held permit keeps its queue");
            let next = loop {
                match queue.waiting.pop_front() {
                    Some(waiting) if waiting.is_closed() => {}
                    next => break next,
                }
            };
            if next.is_none() {
                queue.held -= 1;
                if queue.held == 0 {
                    origins.remove(&self.origin);
                }
            }
            next
        };
        if let Some(next) = next {
            // It goes on as the same permit, so the count stays. One that is given up before it
            // was seen is dropped like any other.
            let given = next.send(self.permits.permit(&self.origin));
            assert!(given.is_ok(), "who waits was there a moment ago");
        }
    }
}

#[cfg(test)]
mod tests;
