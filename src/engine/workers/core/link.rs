//! Whom a worker asks for work: the leader that the gossip knows, or the one that a coordinator named.
//!
//! Invariants:
//! - there is at most one connection, or one attempt at one;
//! - after an attempt that came to nothing there is a pause, twice as long each time, unless the gossip
//!   knows of another leader: coordinators that name each other get no more than one try per pause;
//! - what is said of a reason is said once.

use super::WorkerEffect;
use base::{Address, Instant, Outbox, Prng};
use std::time::Duration;
use wire::rpc::{Backoff, BackoffOptions};

/// Between two attempts. The first ones are quick: a leader that was just elected opens its door at once.
const PAUSES: BackoffOptions =
    BackoffOptions { first: Duration::from_millis(20), max: Duration::from_secs(1) };

/// Who does not take a worker for so long, is said not to: while a leader is elected, coordinators refuse
/// one for a moment.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// A connection that brings no answer to a registration for so long is given up: whoever is there neither
/// leads nor knows that it does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Link {
    /// The leader's door, as the gossip says.
    leader: Option<Address>,
    /// Where somebody said that the leader is: for the next attempt alone.
    hint: Option<Address>,
    state: State,
    backoff: Backoff,
    /// What was last said of it.
    said: String,
    /// Since when nobody has taken this worker who was there.
    refused_since: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Nobody is asked before this.
    Idle {
        until: Instant,
    },
    Connecting {
        address: Address,
    },
    /// A connection without a registration, which is given up when it has had no answer by then.
    Up {
        address: Address,
        until: Option<Instant>,
    },
    Registered {
        address: Address,
    },
    Closed,
}

impl Link {
    pub(super) fn new(prng: Prng) -> Self {
        Self {
            leader: None,
            hint: None,
            state: State::Idle { until: Instant(0) },
            backoff: Backoff::new(PAUSES, prng),
            said: String::new(),
            refused_since: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::Registered { .. })
    }

    pub(super) fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered { .. })
    }

    pub(super) fn leader(&self) -> Option<&Address> {
        match &self.state {
            State::Registered { address } => Some(address),
            _ => None,
        }
    }

    pub(super) fn on_leader(
        &mut self,
        now: Instant,
        door: Option<&Address>,
        out: &mut Outbox<WorkerEffect>,
    ) {
        // Who is linked knows better than a gossip that has heard of nobody.
        if door.is_none() || self.leader.as_ref() == door {
            return;
        }
        self.leader = door.cloned();
        self.hint = None;
        let elsewhere = match &self.state {
            State::Idle { .. } | State::Closed => false,
            State::Connecting { address }
            | State::Up { address, .. }
            | State::Registered { address } => Some(address) != door,
        };
        if elsewhere {
            out.push(WorkerEffect::Disconnect);
        }
        if elsewhere || matches!(self.state, State::Idle { .. }) {
            self.backoff.reset();
            self.state = State::Idle { until: now };
        }
        self.consider(now, out);
    }

    pub(super) fn on_up(&mut self, now: Instant) {
        if let State::Connecting { address } = &self.state {
            let until = Some(now + ANSWER_WITHIN);
            self.state = State::Up { address: address.clone(), until };
        }
    }

    pub(super) fn on_register_sent(&mut self, now: Instant) {
        if let State::Up { until, .. } = &mut self.state {
            *until = Some(now + ANSWER_WITHIN);
        }
    }

    pub(super) fn on_registered(&mut self) {
        if let State::Up { address, .. } = &self.state {
            self.state = State::Registered { address: address.clone() };
            self.backoff.reset();
            self.said.clear();
            self.refused_since = None;
        }
    }

    /// The leader does not know this run any more; the connection stays.
    pub(super) fn on_unregistered(&mut self) {
        if let State::Registered { address } = &self.state {
            self.state = State::Up { address: address.clone(), until: None };
        }
    }

    pub(super) fn on_down(&mut self, now: Instant, reason: &str, out: &mut Outbox<WorkerEffect>) {
        let address = match &self.state {
            State::Idle { .. } | State::Closed => return,
            State::Connecting { address }
            | State::Up { address, .. }
            | State::Registered { address } => address.clone(),
        };
        self.say(format!("no link to the leader at {address}: {reason}"), out);
        self.pause(now);
    }

    pub(super) fn on_not_taken(
        &mut self,
        now: Instant,
        why: &str,
        leader: Option<Address>,
        out: &mut Outbox<WorkerEffect>,
    ) {
        let (State::Up { address, .. } | State::Registered { address }) = &self.state else {
            return;
        };
        let address = address.clone();
        if now.since(*self.refused_since.get_or_insert(now)) >= REFUSED_FOR {
            self.say(format!("the coordinator at {address} does not take this worker: {why}"), out);
        }
        self.hint = leader.filter(|leader| *leader != address);
        self.give_up(now, out);
    }

    /// The leader says nothing any more.
    pub(super) fn on_silence(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        if let State::Registered { address } = &self.state {
            let text = format!("the leader at {address} has not answered for a whole lease");
            self.say(text, out);
            self.give_up(now, out);
        }
    }

    /// Whoever is at the other end is no use.
    pub(super) fn give_up(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        if matches!(self.state, State::Idle { .. } | State::Closed) {
            return;
        }
        out.push(WorkerEffect::Disconnect);
        self.pause(now);
    }

    pub(super) fn close(&mut self, out: &mut Outbox<WorkerEffect>) {
        if !matches!(self.state, State::Idle { .. } | State::Closed) {
            out.push(WorkerEffect::Disconnect);
        }
        self.state = State::Closed;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle { until } if self.target().is_some() => Some(*until),
            State::Up { until, .. } => *until,
            _ => None,
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        if let State::Up { address, until: Some(until) } = &self.state
            && *until <= now
        {
            let text = format!("the coordinator at {address} does not answer a registration");
            self.say(text, out);
            self.give_up(now, out);
        }
        self.consider(now, out);
    }

    fn target(&self) -> Option<&Address> {
        self.hint.as_ref().or(self.leader.as_ref())
    }

    fn consider(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        let State::Idle { until } = self.state else { return };
        if now < until {
            return;
        }
        let Some(address) = self.target().cloned() else { return };
        self.hint = None;
        out.push(WorkerEffect::Connect { address: address.clone() });
        self.state = State::Connecting { address };
    }

    fn pause(&mut self, now: Instant) {
        self.state = State::Idle { until: now + self.backoff.next_pause() };
    }

    fn say(&mut self, text: String, out: &mut Outbox<WorkerEffect>) {
        if self.said != text {
            out.push(WorkerEffect::Notice(text.clone()));
            self.said = text;
        }
    }
}
