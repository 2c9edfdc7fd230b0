//! Probes of those that this member watches, besides foca's of one at random.

use super::{Due, Effect, Membership};
use crate::datagram::Talk;
use crate::identity::Update;
use crate::member::State;
use crate::table::Known;
use base::{Now, Outbox};
use std::collections::BTreeMap;
use wire::Kind;

/// Probes under way, by whom they are of.
#[derive(Debug, Default)]
pub(super) struct Probes {
    running: BTreeMap<u64, Probe>,
    /// How many were begun: the low byte goes out with each.
    count: u64,
    /// Of the last round: how many were begun, how many were answered.
    begun: usize,
    answered: usize,
}

#[derive(Debug)]
struct Probe {
    number: u64,
    target: Update,
    is_answered: bool,
}

/// What goes out with a probe.
fn wire_number(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

impl Probes {
    pub(super) fn remove(&mut self, member: u64) {
        self.running.remove(&member);
    }

    fn is_running(&self, member: u64) -> bool {
        self.running.contains_key(&member)
    }

    /// An answer came; foca has seen it, too, and takes it for the one it waits for if it is.
    pub(super) fn answered(&mut self, member: u64, number: u8) {
        if let Some(probe) = self.running.get_mut(&member)
            && wire_number(probe.number) == number
            && !probe.is_answered
        {
            probe.is_answered = true;
            self.answered += 1;
        }
    }

    /// The target of this very probe, if it has not answered.
    fn unanswered(&self, member: u64, number: u64) -> Option<Update> {
        let probe = self.running.get(&member)?;
        (probe.number == number && !probe.is_answered).then_some(probe.target)
    }
}

impl Membership {
    /// Begins to probe those that this member watches, one after the other in a circle of members.
    pub(super) fn on_round(&mut self, now: Now, out: &mut Outbox<Effect>) {
        self.judge_itself();
        for target in self.table.watched(self.config.pace.watched) {
            self.probe(now, &target, out);
        }
        // Behind the verdicts of this round, which are due at the same time.
        self.after(now, self.scaled(self.config.pace.period), Due::Round);
    }

    /// A node that nobody answers is more likely to be slow itself than to be the last one left.
    /// Source: Dadgar, Phillips and Currey 2018, "Lifeguard", section IV-A.
    fn judge_itself(&mut self) {
        let (begun, answered) = (self.probes.begun, self.probes.answered);
        (self.probes.begun, self.probes.answered) = (0, 0);
        if begun >= 2 && answered == 0 {
            self.set_slowness(self.slowness + 1);
        } else if begun > 0 && answered >= begun {
            self.set_slowness(self.slowness.saturating_sub(1));
        }
    }

    /// Begins a probe, unless one is under way.
    pub(super) fn probe(&mut self, now: Now, target: &Update, out: &mut Outbox<Effect>) {
        let member = target.identity.member;
        if self.probes.is_running(member) {
            return;
        }
        self.probes.count += 1;
        self.probes.begun += 1;
        let number = self.probes.count;
        let probe = Probe { number, target: *target, is_answered: false };
        self.probes.running.insert(member, probe);
        self.ping(now, target, number, out);
        let (timeout, period) =
            (self.scaled(self.config.pace.probe_timeout), self.scaled(self.config.pace.period));
        self.after(now, timeout, Due::Indirect { member, probe: number });
        self.after(now, period, Due::Verdict { member, probe: number });
    }

    fn ping(&mut self, now: Now, target: &Update, number: u64, out: &mut Outbox<Effect>) {
        let mut talk = Talk::new(Kind::GOSSIP_PING, self.own(), target.identity);
        talk.probe = wire_number(number);
        // A suspect learns of it with the first word (Lifeguard's "buddy system").
        let doubt = self.table.get(target.identity.member).map(Known::update);
        let doubt = doubt.filter(|known| known.state == State::Suspected).map(|it| it.encode());
        self.post(now, &talk, doubt.as_ref().map_or(&[], |doubt| &doubt[..]), &[], b"", out);
    }

    /// No answer yet: asks once more, and asks others to ask.
    pub(super) fn on_indirect(
        &mut self,
        now: Now,
        member: u64,
        number: u64,
        out: &mut Outbox<Effect>,
    ) {
        let Some(target) = self.probes.unanswered(member, number) else { return };
        self.ping(now, &target, number, out);
        let others = self.table.draw(self.config.pace.indirect_probes, member, &mut self.prng);
        for other in others {
            let mut talk = Talk::new(Kind::GOSSIP_INDIRECT_PING, self.own(), other.identity);
            talk.probe = wire_number(number);
            talk.other = Some(target);
            self.post(now, &talk, &[], &[], b"", out);
        }
    }

    /// The probe is over.
    pub(super) fn on_verdict(
        &mut self,
        now: Now,
        member: u64,
        number: u64,
        out: &mut Outbox<Effect>,
    ) {
        let failed = self.probes.unanswered(member, number);
        if self.probes.running.get(&member).is_some_and(|probe| probe.number == number) {
            self.probes.remove(member);
        }
        if let Some(target) = failed {
            self.suspect(now, target.identity, target.incarnation, out);
        }
    }
}
