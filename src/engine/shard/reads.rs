//! Requests that read the state: linearisable on every node (SOUNDNESS 22).
//!
//! Where this node alone is the group, what is applied here is all that was ever acknowledged. In any
//! other group a read waits until a majority has said up to where the log was committed after it
//! came, and then until the core that answers has applied that.
//!
//! Invariants:
//! - reads share a round of the group, but never one that began before they came;
//! - a read is answered by a core that has applied its index, or refused.

use super::limits::{READ_APPLY_MAX_MS, READ_ROUNDS_MAX};
use super::queries::{Kind, reply, starting};
use super::submit::not_taken;
use super::{RequestId, ShardCore, ShardEffect};
use crate::globals;
use crate::message::{Answer, AsOf, NotTaken, Question, ToConsensus, ToShard};
use crate::partition::view;
use api::{ApiError, Code, Response, Route};
use base::{CoreId, Instant, Now, Outbox, PartitionId};
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Reads on their way to an answer.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// From which index on this node alone is the group.
    alone_since: Option<u64>,
    next_ticket: u64,
    /// They came since a round was last asked for.
    waiting: Vec<(RequestId, Route)>,
    /// By ticket.
    asked: BTreeMap<u64, Vec<(RequestId, Route)>>,
    /// Questions about the state that came before it was whole.
    early: Vec<(CoreId, u64, Question)>,
    /// Questions whose index is not applied here yet.
    behind: Vec<Behind>,
}

#[derive(Debug)]
struct Behind {
    index: u64,
    /// When it is refused. What other cores of this node have applied, this one will, too.
    due: Option<Instant>,
    from: CoreId,
    ticket: u64,
    question: Question,
}

impl Reads {
    /// How many clients wait for an index.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.asked.values().map(Vec::len).sum::<usize>()
    }

    pub(super) fn on_alone(&mut self, since: Option<u64>) {
        self.alone_since = since;
    }

    /// The end of a round of inputs: the reads that came in it ask for an index.
    pub(super) fn flush(&mut self, out: &mut Outbox<ShardEffect>) {
        if self.waiting.is_empty() || self.asked.len() >= READ_ROUNDS_MAX {
            return;
        }
        let ticket = self.ask_index(out);
        self.asked.insert(ticket, std::mem::take(&mut self.waiting));
    }

    /// Asks up to where the log is committed.
    pub(super) fn ask_index(&mut self, out: &mut Outbox<ShardEffect>) -> u64 {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        out.push(ShardEffect::ToConsensus(ToConsensus::ReadIndex { ticket }));
        ticket
    }

    /// When the first of those that wait for this core must be refused.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.behind.iter().filter_map(|behind| behind.due).min()
    }
}

/// The index a question waits for, and until when.
fn needed(question: &Question) -> Option<(u64, Option<Instant>)> {
    match question {
        Question::Read(_, as_of) | Question::List(_, as_of) | Question::Workers(as_of) => {
            Some((as_of.index, Some(as_of.due)))
        }
        Question::AppliedThrough(index) => Some((*index, None)),
        Question::Events(_) | Question::Metrics | Question::Status => None,
    }
}

impl ShardCore {
    /// A client reads the state.
    pub(super) fn on_read(
        &mut self,
        id: RequestId,
        route: &Route,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        // Until the log's end is applied an answer could deny what was acknowledged before.
        if !self.serving {
            return Err(starting());
        }
        if self.queries.reads.alone_since.is_some_and(|since| since <= self.applied()) {
            return self.read(id, route, AsOf::APPLIED, out);
        }
        self.check_led()?;
        self.check_room()?;
        self.queries.reads.waiting.push((id, route.clone()));
        Ok(())
    }

    /// Reads have their index, or nobody could say it in time.
    pub(super) fn on_read_index(
        &mut self,
        now: Now,
        ticket: u64,
        index: Option<u64>,
        out: &mut Outbox<ShardEffect>,
    ) {
        if self.on_lead_confirmed(now, ticket, index, out) {
            return;
        }
        let reads = self.queries.reads.asked.remove(&ticket).expect("each round is answered once");
        let due = now.instant + Duration::from_millis(READ_APPLY_MAX_MS);
        for (id, route) in reads {
            let refused = match index {
                Some(index) => self.read(id, &route, AsOf { index, due }, out),
                None => Err(not_taken(NotTaken::NoLeader)),
            };
            if let Err(error) = refused {
                reply(id, error.to_response(), out);
            }
        }
    }

    fn read(
        &mut self,
        id: RequestId,
        route: &Route,
        as_of: AsOf,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        match route {
            Route::Message(message) => self.read_at(id, message.partition(), route, as_of, out),
            Route::Instance(instance) => {
                self.read_at(id, instance.message.partition(), route, as_of, out)
            }
            Route::Instances(query) => {
                let kind = Kind::List { query: query.clone(), rows: Vec::new(), more: false };
                let question = Question::List(query.clone(), as_of);
                self.ask_all(id, kind, &question, false, out).map(|_| ())
            }
            Route::Workers | Route::Worker(_) => {
                let only = match route {
                    Route::Worker(worker) => Some(*worker),
                    _ => None,
                };
                let kind = Kind::Workers { only, parts: Vec::new() };
                self.ask_all(id, kind, &Question::Workers(as_of), false, out).map(|_| ())
            }
            // The catalogue is on every core, and so are the plugins.
            _ => self.ask_for(id, self.config.core, route, as_of, out),
        }
    }

    /// A read of one partition.
    pub(super) fn read_at(
        &mut self,
        id: RequestId,
        partition: PartitionId,
        route: &Route,
        as_of: AsOf,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        if usize::from(partition.0) >= self.partitions.len() {
            return Err(match route {
                Route::Instance(instance) => ApiError::unknown_id("workflow instance", instance),
                Route::Message(message) => ApiError::unknown_id("message", message),
                _ => unreachable!("only messages and instances are read by partition"),
            });
        }
        self.ask_for(id, self.host(partition), route, as_of, out)
    }

    /// Has a core answer a client's read.
    fn ask_for(
        &mut self,
        id: RequestId,
        host: CoreId,
        route: &Route,
        as_of: AsOf,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        if host == self.config.core && as_of.index <= self.applied() {
            reply(id, self.view(route), out);
            return Ok(());
        }
        let question = Question::Read(route.clone(), as_of);
        let ticket = self.gather(id, Kind::Read, 1)?;
        if host == self.config.core {
            self.answer_question(host, ticket, &question, out);
        } else {
            out.push(ShardEffect::ToShard { to: host, message: ToShard::Ask { ticket, question } });
        }
        Ok(())
    }

    /// What the state says here.
    fn view(&self, route: &Route) -> Response {
        let partition = match route {
            Route::Message(message) => message.partition(),
            Route::Instance(instance) => instance.message.partition(),
            Route::Plugins => return super::workers::view::plugins(&self.globals),
            _ => {
                let answer = globals::view::catalogue(&self.globals, route);
                return answer.unwrap_or_else(|error| error.to_response());
            }
        };
        let found = self.partitions.get(usize::from(partition.0)).and_then(Option::as_ref);
        let partition = found.expect("a core is asked for what it hosts, once its state is whole");
        let answer = match route {
            Route::Message(message) => partition.message_view(&self.globals, *message),
            Route::Instance(instance) => partition.instance_view(*instance),
            _ => unreachable!("matched above"),
        };
        answer.unwrap_or_else(|error| error.to_response())
    }

    /// A core of this node asks, maybe this one itself: answered once the state has what it needs.
    pub(super) fn answer_question(
        &mut self,
        from: CoreId,
        ticket: u64,
        question: &Question,
        out: &mut Outbox<ShardEffect>,
    ) {
        // Another core may serve already while this one still reads its images.
        let is_of_state =
            matches!(question, Question::Read(..) | Question::List(..) | Question::Workers(_));
        if !self.serving && is_of_state {
            self.queries.reads.early.push((from, ticket, question.clone()));
            return;
        }
        if let Some((index, due)) = needed(question)
            && index > self.applied()
        {
            let question = question.clone();
            self.queries.reads.behind.push(Behind { index, due, from, ticket, question });
            return;
        }
        let answer = match question {
            Question::Read(route, _) => Answer::Response(self.view(route)),
            Question::List(query, _) => {
                let (rows, more) = view::list(self.partitions(), query);
                Answer::Rows { rows, more }
            }
            Question::Workers(_) => Answer::Workers(Box::new(self.workers_part())),
            Question::AppliedThrough(_) => Answer::Applied,
            Question::Metrics => {
                self.refresh_metrics();
                Answer::Metrics(Box::new(self.metrics.registry().snapshot()))
            }
            Question::Status => Answer::Shard(self.status()),
            Question::Events(_) => unreachable!("events wait in a list of their own"),
        };
        self.answer(from, ticket, answer, out);
    }

    /// The state is whole: what was asked before is answered.
    pub(super) fn answer_early(&mut self, out: &mut Outbox<ShardEffect>) {
        for (from, ticket, question) in std::mem::take(&mut self.queries.reads.early) {
            self.answer_question(from, ticket, &question, out);
        }
    }

    /// This core has applied more: who waited for that is answered.
    pub(super) fn answer_applied(&mut self, index: u64, out: &mut Outbox<ShardEffect>) {
        let behind = &mut self.queries.reads.behind;
        let ready: Vec<Behind> = behind.extract_if(.., |behind| behind.index <= index).collect();
        for Behind { from, ticket, question, .. } in ready {
            self.answer_question(from, ticket, &question, out);
        }
    }

    /// What this core was not able to apply in time is not waited for.
    pub(super) fn refuse_late_reads(&mut self, now: Instant, out: &mut Outbox<ShardEffect>) {
        let is_late = |behind: &mut Behind| behind.due.is_some_and(|due| due <= now);
        let late: Vec<Behind> = self.queries.reads.behind.extract_if(.., is_late).collect();
        for Behind { index, from, ticket, .. } in late {
            let applied = self.applied();
            let detail = format!("the read needs entry {index}, entry {applied} is applied here");
            let error = ApiError::new(Code::Behind, detail).with_retry_after(1);
            self.answer(from, ticket, Answer::Response(error.to_response()), out);
        }
    }
}
