//! Events on their way to core 0, and those who wait for them there.
//!
//! Invariants:
//! - only core 0 keeps the log, and all who wait for events wait there, each until its deadline;
//! - what is replayed was told by the run that saw it: an event is of this run.

use super::queries::{Kind, reply};
use super::{RequestId, ShardCore, ShardEffect};
use crate::events::{EventKind, EventLog};
use crate::globals::CatalogueEdits;
use crate::message::{Answer, Question, ToShard};
use api::{ApiError, EventsQuery, Response};
use base::{CoreId, Instant, Now, Outbox, UnixMicros};
use std::sync::Arc;

/// Who keeps the log of events.
const KEEPER: CoreId = CoreId(0);

#[derive(Debug, Default)]
pub(super) struct Events {
    log: EventLog,
    /// Each core bounds its own requests that wait: [`EVENT_WAITS_MAX`].
    ///
    /// [`EVENT_WAITS_MAX`]: super::limits::EVENT_WAITS_MAX
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    from: CoreId,
    ticket: u64,
    query: EventsQuery,
    due: Instant,
}

impl Events {
    /// When the first of those who wait must be answered.
    pub(super) fn deadline(&self, stopping: bool) -> Option<Instant> {
        let due = self.waiting.iter().map(|waiting| waiting.due).min();
        if stopping { due.map(|_| Instant(0)) } else { due }
    }
}

impl ShardCore {
    /// Something happened: here, or on another core that says so.
    pub(super) fn on_event(
        &mut self,
        at: UnixMicros,
        kind: EventKind,
        out: &mut Outbox<ShardEffect>,
    ) {
        if self.config.core == KEEPER {
            self.events.log.push(at, kind);
            self.answer_events(None, out);
        } else {
            let message = ToShard::Event { at, kind: Box::new(kind) };
            out.push(ShardEffect::ToShard { to: KEEPER, message });
        }
    }

    /// The catalogue changed. Every core applies it, one tells.
    pub(super) fn on_edits(&mut self, edits: &CatalogueEdits, out: &mut Outbox<ShardEffect>) {
        if self.config.core != KEEPER || !self.role.in_office {
            return;
        }
        let (at, version) = (self.globals.stamp, self.globals.catalogue.version);
        let CatalogueEdits { rules, definitions } = edits;
        if !definitions.is_empty() {
            let edits = Arc::clone(definitions);
            self.on_event(at, EventKind::DefinitionsChanged { version, edits }, out);
        }
        if !rules.is_empty() {
            let edits = Arc::clone(rules);
            self.on_event(at, EventKind::RulesChanged { version, edits }, out);
        }
    }

    /// A client asks for events.
    pub(super) fn ask_events(
        &mut self,
        now: Now,
        id: RequestId,
        query: EventsQuery,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        if self.config.core == KEEPER && !self.is_to_wait(&query) {
            reply(id, self.events_page(&query), out);
            return Ok(());
        }
        let kind = if query.wait.is_zero() { Kind::Read } else { Kind::AwaitedEvents };
        let ticket = self.gather(id, kind, 1)?;
        if self.config.core == KEEPER {
            self.on_events_asked(now, KEEPER, ticket, query, out);
        } else {
            let question = Question::Events(query);
            let message = ToShard::Ask { ticket, question };
            out.push(ShardEffect::ToShard { to: KEEPER, message });
        }
        Ok(())
    }

    /// A core asks for events, for a client of its own.
    pub(super) fn on_events_asked(
        &mut self,
        now: Now,
        from: CoreId,
        ticket: u64,
        query: EventsQuery,
        out: &mut Outbox<ShardEffect>,
    ) {
        assert_eq!(self.config.core, KEEPER, "events are asked of who keeps them");
        if self.is_to_wait(&query) {
            let due = now.instant + query.wait;
            self.events.waiting.push(Waiting { from, ticket, query, due });
        } else {
            self.tell_events(from, ticket, &query, out);
        }
    }

    /// Answers those for whom there is something, whose deadline has come, and all when the node
    /// stops.
    pub(super) fn answer_events(&mut self, now: Option<Instant>, out: &mut Outbox<ShardEffect>) {
        for waiting in std::mem::take(&mut self.events.waiting) {
            if now.is_some_and(|now| waiting.due <= now) || !self.is_to_wait(&waiting.query) {
                self.tell_events(waiting.from, waiting.ticket, &waiting.query, out);
            } else {
                self.events.waiting.push(waiting);
            }
        }
    }

    fn is_to_wait(&self, query: &EventsQuery) -> bool {
        !query.wait.is_zero() && !self.stopping && !self.events.log.has_more(query)
    }

    fn tell_events(
        &mut self,
        to: CoreId,
        ticket: u64,
        query: &EventsQuery,
        out: &mut Outbox<ShardEffect>,
    ) {
        let answer = Answer::Response(self.events_page(query));
        self.answer(to, ticket, answer, out);
    }

    fn events_page(&self, query: &EventsQuery) -> Response {
        let mut body = Vec::new();
        self.events.log.write(self.config.boot, query, &mut body);
        Response::json(200, body)
    }
}
