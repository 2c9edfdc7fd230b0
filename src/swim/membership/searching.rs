//! Finding others where nobody is named: a datagram to a multicast group, which whoever belongs to it
//! hears. It decides nothing: who hears it asks the sender as it would ask a seed.

use super::{Due, Effect, Membership};
use crate::config::jittered;
use crate::datagram::{Addressee, Dropped, Incoming, Talk};
use crate::identity::Identity;
use base::{Instant, Now, Outbox};
use std::net::SocketAddr;
use std::time::Duration;
use wire::Kind;

/// How many members ask each time, and how many of those who hear it answer. With three, nobody does
/// in one of twenty cases (e^-3), and the next time comes.
const ENOUGH: u64 = 3;

/// How soon this member asks again at first; then twice as rarely each time.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// How often at least, for ever: halves that were founded apart do not know of each other.
const SEARCH_EVERY_MAX: Duration = Duration::from_secs(30);

/// The same for one that knows nobody.
const ALONE_EVERY_MAX: Duration = Duration::from_secs(10);

/// How often this member answers at most: a thousand that are started at once, or forged searches,
/// are not to have the network filled with comparisons.
const ANSWER_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Searching {
    /// How often this member had the turn to ask.
    turns: u32,
    /// When it answered last.
    answered_at: Option<Instant>,
}

impl Membership {
    /// Asks the group whether somebody is there. Whoever is alone does so each time, of a cluster
    /// three members or so.
    pub(super) fn search(&mut self, now: Now, out: &mut Outbox<Effect>) {
        let Some(address) = self.config.group else { return };
        if self.prng.chance(ENOUGH, self.active() as u64) {
            let everybody = Identity { member: 0, boot: 0, renewal: 0, address, leaving: false };
            let talk = Talk::new(Kind::GOSSIP_SEARCH, self.own(), everybody);
            let anybody = Addressee { member: 0, boot: 0, renewal: 0 };
            self.post_to(now, &talk, anybody, &[], &[], b"", out);
        }
        let next = SEARCH_EVERY * (1 << self.searching.turns.min(5));
        self.searching.turns += 1;
        let is_alone = self.table.others() == 0;
        let next = next.min(if is_alone { ALONE_EVERY_MAX } else { SEARCH_EVERY_MAX });
        let next = jittered(next, &mut self.prng);
        self.after(now, next, Due::Search);
    }

    /// Somebody asks the group. As many answer as are needed, not all.
    pub(super) fn on_search(
        &mut self,
        now: Now,
        from: SocketAddr,
        incoming: &Incoming<'_>,
        out: &mut Outbox<Effect>,
    ) -> Result<(), Dropped> {
        let sender = incoming.from.identity;
        if sender.address != SocketAddr::new(from.ip().to_canonical(), from.port()) {
            return Err(Dropped::Address);
        }
        let own = *self.foca.identity();
        if sender.member == own.member {
            self.see_namesake(&incoming.from, out);
            // What it asked itself comes back to whoever belongs to the group.
            return if sender.boot == own.boot { Ok(()) } else { Err(Dropped::Own) };
        }
        // One that knows no cluster takes whichever answers.
        let is_others = |own: u64| incoming.cluster != 0 && incoming.cluster != own;
        if self.config.cluster.is_some_and(is_others) {
            return Err(Dropped::Cluster);
        }
        if self.is_too_many(sender.member) {
            return Err(Dropped::Full);
        }
        let answered_at = self.searching.answered_at;
        let is_early = answered_at.is_some_and(|at| now.instant.since(at) < ANSWER_EVERY);
        // Whom this member knows, others ask for news.
        if self.table.is_active(&sender) || is_early {
            return Ok(());
        }
        if self.prng.chance(ENOUGH, self.active() as u64) {
            self.searching.answered_at = Some(now.instant);
            self.sync_with(now, sender, false, out);
        }
        Ok(())
    }
}
