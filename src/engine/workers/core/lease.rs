//! How long a worker may run what it runs.
//!
//! Invariants (SOUNDNESS 19):
//! - a lease counts from when the message was sent that the leader answered, never from the answer;
//! - the worker uses four fifths of it: the rest is for the drift of two clocks, a tenth each, and for
//!   what it takes to kill.

use base::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Renewals on their way whose time of sending is remembered: twice those of one lease. The answer to an
/// older one is of no use.
const ASKED_MAX: usize = 8;

/// Renewals per lease.
const RENEWALS: u32 = 4;

/// The shortest lease that is believed: a leader that says less would have the worker ask without end.
const LEASE_MIN: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Lease {
    /// How long each is. Zero: none was ever granted to this run.
    length: Duration,
    /// When the last message was sent that was answered.
    granted: Option<Instant>,
    /// When the leader last answered.
    heard: Option<Instant>,
    /// When the registration was sent, until it is answered.
    registering: Option<Instant>,
    /// The renewals that were sent over this link, the last one at the back.
    asked: VecDeque<(u64, Instant)>,
    /// The last renewal's number.
    number: u64,
    /// When the next one is due; none without a registration.
    renew_at: Option<Instant>,
}

impl Lease {
    pub(super) fn on_asked(&mut self, now: Instant) {
        self.registering = Some(now);
    }

    pub(super) fn on_registered(&mut self, now: Instant, length: Duration) {
        let Some(sent) = self.registering.take() else { return };
        self.heard = Some(now);
        self.length = length.max(LEASE_MIN);
        self.extend(sent);
        self.renew_at = Some(sent + self.length / RENEWALS);
    }

    /// The number of the renewal that is sent now.
    pub(super) fn on_renew_sent(&mut self, now: Instant) -> u64 {
        self.number += 1;
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((self.number, now));
        self.renew_at = Some(now + self.length / RENEWALS);
        self.number
    }

    /// Whether it holds for longer than before.
    pub(super) fn on_renewed(&mut self, now: Instant, number: u64) -> bool {
        let Some(&(_, sent)) = self.asked.iter().find(|(asked, _)| *asked == number) else {
            return false;
        };
        self.heard = Some(now);
        self.asked.retain(|(asked, _)| *asked > number);
        self.extend(sent)
    }

    /// What was asked over it is not answered any more. What was granted stays granted.
    pub(super) fn on_link_down(&mut self) {
        self.registering = None;
        self.heard = None;
        self.asked.clear();
        self.renew_at = None;
    }

    /// Whether something may run now.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.expiry().is_some_and(|expiry| now < expiry)
    }

    /// From when on nothing may run.
    pub(super) fn expiry(&self) -> Option<Instant> {
        self.granted.map(|granted| granted + self.length * 4 / 5)
    }

    /// When a leader that has said nothing till then is held for none.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        self.heard.map(|heard| heard + self.length)
    }

    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    /// Whether a leader ever knew of this run.
    pub(super) fn was_granted(&self) -> bool {
        self.granted.is_some() || self.registering.is_some()
    }

    fn extend(&mut self, sent: Instant) -> bool {
        let longer = self.granted.is_none_or(|granted| granted < sent);
        if longer {
            self.granted = Some(sent);
        }
        longer
    }
}
