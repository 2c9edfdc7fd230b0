//! Suspicions: how long a suspect has to say that it is alive, and who confirms that it does not
//! answer. foca's own would last the same time always, and count nobody.
//!
//! Source: Dadgar, Phillips and Currey 2018, "Lifeguard", section IV-B. There everybody waits who
//! hears of a suspicion; here only those wait who came to it by themselves, and they tell each other
//! and the suspect directly: three datagrams in place of a broadcast, and a lost one is said again.

use super::{Due, Effect, Membership};
use crate::datagram::Talk;
use crate::identity::{Identity, Update};
use crate::member::State;
use base::{Instant, Now, Outbox};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire::Kind;

/// How many others must have come to the same suspicion for it to last no longer than it must.
const CONFIRMATIONS: usize = 2;

/// What one confirmation of two takes off, in thousandths: log 2 / log 3.
const FIRST_OF_TWO: u32 = 631;

/// How many that confirm are remembered: more than can make a difference.
const CONFIRMING_MAX: usize = 8;

/// Suspicions that are not settled, by whom they are of.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    open: BTreeMap<u64, Suspicion>,
    count: u64,
}

#[derive(Debug)]
struct Suspicion {
    /// Whom it is of, in the incarnation that did not answer.
    suspect: Update,
    /// Since when this member shares it; not when it only heard of it.
    own_since: Option<Instant>,
    /// Who else came to it.
    others: BTreeSet<u64>,
    /// Of the timers that count.
    serial: u64,
}

impl Suspicions {
    /// The suspect is alive, or is not, for sure.
    pub(super) fn settle(&mut self, member: u64) {
        self.open.remove(&member);
    }

    /// Time in which this node did not run.
    pub(super) fn shift(&mut self, by: Duration) {
        for suspicion in self.open.values_mut() {
            suspicion.own_since = suspicion.own_since.map(|since| since + by);
        }
    }

    /// The suspicion of a member in this incarnation; an older one is over.
    fn of(&mut self, suspect: &Update) -> &mut Suspicion {
        let member = suspect.identity.member;
        let is_same = |open: &Suspicion| {
            open.suspect.identity == suspect.identity
                && open.suspect.incarnation == suspect.incarnation
        };
        if !self.open.get(&member).is_some_and(is_same) {
            self.count += 1;
            let suspicion = Suspicion {
                suspect: *suspect,
                own_since: None,
                others: BTreeSet::new(),
                serial: self.count,
            };
            self.open.insert(member, suspicion);
        }
        self.open.get_mut(&member).expect("it was put there if it was not")
    }
}

/// The part of the time between the longest and the shortest that confirmations take off, in
/// thousandths.
fn shortened(confirmations: usize, possible: usize) -> u32 {
    match (confirmations, possible.min(CONFIRMATIONS)) {
        // Nobody could confirm it: between the two.
        (_, 0) => 500,
        (0, _) => 0,
        (1, 2) => FIRST_OF_TWO,
        _ => 1_000,
    }
}

impl Membership {
    /// One did not answer this member: foca's probe, or one of our own.
    pub(super) fn suspect(
        &mut self,
        now: Now,
        identity: Identity,
        incarnation: u16,
        out: &mut Outbox<Effect>,
    ) {
        let suspect = Update { identity, incarnation, state: State::Suspected };
        self.decide(now, &suspect, out);
        if !self.is_suspected(&suspect) {
            // It has come back since, or is gone.
            return;
        }
        let suspicion = self.suspicions.of(&suspect);
        if suspicion.own_since.is_some() {
            return;
        }
        suspicion.own_since = Some(now.instant);
        let serial = suspicion.serial;
        self.counts.suspicions += 1;
        let member = identity.member;
        self.wait(now, member);
        self.tell_of(now, &suspect, out);
        self.after(now, self.config.pace.probe_timeout, Due::Tell { member, serial });
    }

    /// Whether the view has this very suspicion.
    fn is_suspected(&self, suspect: &Update) -> bool {
        self.table.get(suspect.identity.member).is_some_and(|known| {
            known.identity == suspect.identity
                && known.state == State::Suspected
                && known.incarnation == suspect.incarnation
        })
    }

    /// Sets the time at which a suspicion of this member's own is over, by who confirms it so far.
    fn wait(&mut self, now: Now, member: u64) {
        let Some(suspicion) = self.suspicions.open.get(&member) else { return };
        let Some(since) = suspicion.own_since else { return };
        let serial = suspicion.serial;
        // All but the suspect, and this member.
        let possible = self.table.others().saturating_sub(1);
        let least = self.scaled(self.config.pace.period);
        let more = least * (self.config.pace.suspicion_periods - 1);
        let kept = 1_000 - shortened(suspicion.others.len(), possible);
        let until = (since + (least + more * kept / 1_000)).max(now.instant);
        self.timers.put(until, Due::Suspicion { member, serial });
    }

    /// Tells the suspect, who may object, and those that watch it, who may confirm.
    fn tell_of(&mut self, now: Now, suspect: &Update, out: &mut Outbox<Effect>) {
        let watchers = self.table.watchers(suspect.identity.member, self.config.pace.watched);
        for other in watchers.iter().chain([suspect]) {
            self.say_suspicion(now, &other.identity, suspect, false, out);
        }
    }

    fn say_suspicion(
        &mut self,
        now: Now,
        to: &Identity,
        suspect: &Update,
        is_answer: bool,
        out: &mut Outbox<Effect>,
    ) {
        let mut talk = Talk::new(Kind::GOSSIP_SUSPICION, self.own(), *to);
        talk.other = Some(*suspect);
        talk.flag = is_answer;
        self.post(now, &talk, &[], &[], b"", out);
    }

    /// Once more: a datagram may have been lost.
    pub(super) fn on_tell(&mut self, now: Now, member: u64, serial: u64, out: &mut Outbox<Effect>) {
        let Some(suspicion) = self.suspicions.open.get(&member) else { return };
        if suspicion.serial != serial {
            return;
        }
        let suspect = suspicion.suspect;
        self.tell_of(now, &suspect, out);
        self.after(now, self.config.pace.probe_timeout, Due::Tell { member, serial });
    }

    /// The suspect had its time, unless somebody's confirmation gave it less, or more came of it.
    pub(super) fn on_suspicion_over(
        &mut self,
        now: Now,
        member: u64,
        serial: u64,
        out: &mut Outbox<Effect>,
    ) {
        let Some(suspicion) = self.suspicions.open.get(&member) else { return };
        if suspicion.serial != serial {
            return;
        }
        let suspect = suspicion.suspect;
        if !self.is_suspected(&suspect) {
            self.suspicions.settle(member);
            return;
        }
        self.counts.detections += 1;
        self.decide(now, &Update { state: State::Failed, ..suspect }, out);
        // If it is alive after all, it learns of it and comes back.
        let talk = Talk::new(Kind::GOSSIP_FAILED, self.own(), suspect.identity);
        self.post(now, &talk, &[], &[], b"", out);
    }

    /// Another member came to a suspicion by itself.
    pub(super) fn on_suspicion(
        &mut self,
        now: Now,
        sender: &Update,
        suspect: &Update,
        is_answer: bool,
        out: &mut Outbox<Effect>,
    ) {
        let suspect = Update { state: State::Suspected, ..*suspect };
        let own = *self.foca.identity();
        if suspect.identity.member == own.member {
            if suspect.identity == own {
                self.object(now, sender, &suspect, out);
            }
            return;
        }
        let Some(known) = self.table.get(suspect.identity.member).copied() else { return };
        if known.identity == suspect.identity {
            self.decide(now, &suspect, out);
        }
        if !self.is_suspected(&suspect) {
            // This member knows better: it has come back, has another name, or is gone.
            let talk = Talk::new(Kind::MEMBERSHIP_UPDATE, self.own(), sender.identity);
            self.post(now, &talk, &known.update().encode(), &[], b"", out);
            return;
        }
        let suspicion = self.suspicions.of(&suspect);
        let is_new = suspicion.others.len() < CONFIRMING_MAX
            && suspicion.others.insert(sender.identity.member);
        let member = suspect.identity.member;
        if suspicion.own_since.is_none() {
            // Does it answer this one? Whoever watches it looks at once.
            let watched = self.table.watched(self.config.pace.watched);
            if let Some(target) = watched.iter().find(|it| it.identity == suspect.identity) {
                self.probe(now, target, out);
            }
        } else if is_new {
            self.wait(now, member);
            if !is_answer {
                self.say_suspicion(now, &sender.identity, &suspect, true, out);
            }
        }
    }

    /// This member itself is suspected: it takes a higher incarnation, tells a few, and whoever
    /// doubts it.
    fn object(&mut self, now: Now, doubter: &Update, doubt: &Update, out: &mut Outbox<Effect>) {
        if doubt.incarnation >= self.incarnation {
            self.teach(&[*doubt], true);
            self.settle(now, out);
            // Why did it not answer? Perhaps it is slow.
            self.set_slowness(self.slowness + 1);
        }
        let talk = Talk::new(Kind::MEMBERSHIP_UPDATE, self.own(), doubter.identity);
        self.post(now, &talk, &[], &[], b"", out);
    }
}
