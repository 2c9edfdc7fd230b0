//! What tests of whole clusters see and do that nobody else may.

use super::Membership;
use crate::data::Said;
use crate::identity::{Identity, Update};
use crate::member::State;
use base::{Instant, Now};
use std::sync::Arc;

/// `(member, boot, renewal, incarnation, state)`.
pub(crate) type Row = (u64, u64, u32, u16, u8);

impl Membership {
    /// The view, and foca's own list.
    pub(crate) fn both_views(&self) -> [Vec<Row>; 2] {
        let row = |update: Update| {
            let state = match update.state {
                State::Alive => 1,
                State::Suspected => 2,
                State::Failed | State::Left => 3,
            };
            let Identity { member, boot, renewal, .. } = update.identity;
            (member, boot, renewal, update.incarnation, state)
        };
        let ours = self.table.iter().map(|known| row(known.update())).collect();
        let theirs = self.foca.iter_membership_state();
        let mut theirs: Vec<_> = theirs.map(|member| row(Update::from_foca(member))).collect();
        theirs.sort_unstable();
        [ours, theirs]
    }

    /// What this member would tell another of itself.
    pub(crate) fn card(&self) -> (Update, Arc<Said>) {
        let own = self.own();
        let said = self.table.said(own.identity.member).expect("it has started");
        (own, Arc::clone(said))
    }

    /// Knows others, as if it had been with them for long.
    pub(crate) fn acquaint(&mut self, now: Now, others: &[(Update, Arc<Said>)]) {
        let own = self.own().identity.member;
        let others = others.iter().filter(|(update, _)| update.identity.member != own);
        let mut updates = Vec::new();
        for (update, said) in others {
            self.note(now, update, &mut base::Outbox::new());
            assert!(self.table.hear(Arc::clone(said)), "it is the first word");
            updates.push(*update);
        }
        self.teach(&updates, false);
        self.joining.acquaint();
        self.news.remove(own);
        let mut out = base::Outbox::new();
        self.settle(now, &mut out);
        assert!(out.is_empty() && self.deadline() > Some(Instant(0)));
    }
}
