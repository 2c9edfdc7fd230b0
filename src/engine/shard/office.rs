//! Who leads, as a shard sees it: what it does in office, and what becomes of its clients' requests
//! while leaders come and go.
//!
//! Invariants (SOUNDNESS 11, 12):
//! - under each new leader everything unanswered goes again, in order;
//! - a client is told that its message is in the state, that it is nowhere, or that this is not known:
//!   never one of the first two when it might be the other;
//! - what only a leader does ends with the office.

use super::queries::skipped;
use super::session::{Overdue, Waiter};
use super::submit::{not_taken, outcome_unknown};
use super::{Role, ShardCore, ShardEffect};
use crate::events::EventKind;
use crate::globals::Globals;
use crate::message::{NotTaken, ToConsensus};
use api::{ApiError, Code};
use base::{CoreId, NodeId, Now, Outbox};
use bytes::Bytes;

impl ShardCore {
    /// Whether this node leads, and who does.
    pub(super) fn on_role(
        &mut self,
        now: Now,
        leading: bool,
        term: u64,
        leader: Option<NodeId>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let before = self.role;
        let stays = before.leading && leading && before.term == term;
        let leaderless_since =
            leader.is_none().then(|| before.leaderless_since.unwrap_or(now.instant));
        self.role = Role {
            leading,
            term,
            leader,
            in_office: stays && before.in_office,
            leaderless_since,
            is_forsaken: before.is_forsaken && leader.is_none(),
        };
        if before.leading && !stays {
            self.orders.leave_office();
            self.close_desk(out);
        }
        let is_new = (before.term, before.leader) != (term, leader) || !stays && leading;
        if leader.is_some() && is_new {
            self.session.send_again(out);
        }
        if self.config.core == CoreId(0) && leading && !stays {
            let kind = EventKind::LeaderElected { node: self.config.node, term };
            self.on_event(now.wall, kind, out);
        }
    }

    /// What asks for a leader is refused where none is to be found.
    pub(super) fn check_led(&self) -> Result<(), ApiError> {
        if self.session.is_removed() {
            let error = ApiError::new(Code::NoLeader, "this node was removed from the cluster");
            return Err(error.with_hint("ask a node that belongs to it"));
        }
        if self.role.is_forsaken {
            return Err(not_taken(NotTaken::NoLeader));
        }
        Ok(())
    }

    /// Serves once the cluster is born, and everything that was acknowledged before is applied here:
    /// a leader knows by its term's first entry, a follower because its leader has said so.
    pub(super) fn consider_serving(&mut self, out: &mut Outbox<ShardEffect>) {
        let has_all = self.caught_up.is_some_and(|index| index <= self.applied());
        if self.globals.born.is_some() && (self.role.in_office || has_all) {
            self.serve(out);
        }
    }

    /// The time of some clients is up.
    pub(super) fn on_overdue(&mut self, overdue: Overdue, out: &mut Outbox<ShardEffect>) {
        let ms = self.session.patience().as_millis();
        let unknown = outcome_unknown(format!("nothing was heard of it for {ms} ms"));
        for waiter in overdue.unknown {
            self.refuse(&waiter, &unknown, out);
        }
        for waiter in overdue.unsent {
            self.refuse(&waiter, &not_taken(NotTaken::NoLeader), out);
        }
    }

    /// Images to start from, or to go on from in place.
    pub(super) fn on_restore(
        &mut self,
        globals: Globals,
        partitions: &[Bytes],
        out: &mut Outbox<ShardEffect>,
    ) {
        let index = globals.applied;
        if self.role.term == 0 {
            assert_eq!(self.globals.applied, 0, "images come before any entry");
            self.restore(globals, partitions, out);
            return;
        }
        assert!(index > self.applied(), "a snapshot in place leads forward");
        // Its catalogue is as new as any other would make it: what was prepared, merged or halted for
        // the old one is of no use.
        self.backlog.give_up();
        self.merging.give_up();
        let before = self.globals.catalogue.version;
        self.restore(globals, partitions, out);
        let last = self.globals.last_of(self.config.node, self.config.core, self.config.boot);
        let unknown = skipped();
        for waiter in self.session.skip_through(last) {
            match waiter {
                Waiter::Own | Waiter::Gone => {}
                Waiter::Order(order) => self.passing.arrived(order),
                waiter => self.refuse(&waiter, &unknown, out),
            }
        }
        self.end_change_if_skipped(out);
        self.passing.start_over();
        self.tell_full(out);
        if self.globals.catalogue.version != before {
            self.match_open_again(out);
        }
        self.consider_serving(out);
        self.answer_applied(index, out);
        out.push(ShardEffect::ToConsensus(ToConsensus::Applied { index }));
        self.tell_wake(out);
        self.consider_merge(out);
    }
}
