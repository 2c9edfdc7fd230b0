//! Requests that read, and everything whose answer needs more than one outcome or core.
//!
//! Invariants:
//! - a gathering ends when each core asked has answered; cores of one process always do;
//! - at most [`QUERIES_MAX`] gatherings are open, at most [`EVENT_WAITS_MAX`] of them wait for events.

use super::cluster::Wanted;
use super::limits::{EVENT_WAITS_MAX, QUERIES_MAX};
use super::reads::Reads;
use super::session::{Form, Waiter};
use super::submit::outcome_unknown;
use super::{RequestId, ShardCore, ShardEffect};
use crate::cluster::GroupView;
use crate::globals::{CatalogueEdits, Changed, Edits, Refusal};
use crate::message::{
    Answer, AsOf, ConsensusStatus, Question, ShardStatus, ToConsensus, ToShard, WorkersPart,
};
use crate::partition::{CancelOutcome, ListedInstance, Outcome, Workflows, view};
use crate::submission::{LineResult, SubmitResults};
use api::{ApiError, BatchAnswer, BatchLine, Code, ContentType, InstancesQuery, Response, Route};
use base::{CoreId, FixedState, Now, Outbox, WorkerId};
use hashbrown::HashMap;
use smallvec::SmallVec;
use telemetry::json;

/// The status of an accepted message.
const ACCEPTED: u16 = 202;

#[derive(Debug, Default)]
pub(super) struct Queries {
    next_ticket: u64,
    gathering: HashMap<u64, Gathering, FixedState>,
    /// How many of them may wait for events.
    awaited: usize,
    batches: HashMap<RequestId, BatchResults, FixedState>,
    changes: HashMap<RequestId, Named, FixedState>,
    pub(super) reads: Reads,
    /// Reused by every batch request.
    pub(super) lines: Vec<BatchLine>,
}

/// The ids that a change of the catalogue is about.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) ids: Vec<String>,
    pub(super) told: Told,
}

/// What is told of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// That they are stored.
    Stored,
    /// That they are deleted.
    Deleted,
    /// That they are all there are, and what that has changed.
    Replaced,
}

#[derive(Debug)]
struct BatchResults {
    form: Form,
    left: u32,
    results: Vec<Option<LineResult>>,
}

impl BatchResults {
    /// Why, when not one line was taken: the status alone must tell.
    fn refused_whole(&self) -> Option<&ApiError> {
        let mut first = None;
        for result in self.results.iter().flatten() {
            match result {
                LineResult::Refused(error) => first = first.or(Some(&**error)),
                _ => return None,
            }
        }
        first
    }

    /// The answer, once every line has its result.
    fn response(self) -> Response {
        if let Some(error) = self.refused_whole() {
            return error.to_response();
        }
        let mut body = Vec::with_capacity(96 * self.results.len());
        let mut answer = BatchAnswer::new(&mut body);
        for result in self.results.into_iter().flatten() {
            match result {
                LineResult::Accepted { id, workflows } => {
                    answer.push(id, api::Outcome::Accepted, workflows.iter());
                }
                LineResult::Duplicate { id, workflows } => {
                    answer.push(id, api::Outcome::Duplicate, workflows.iter());
                }
                LineResult::Conflict { id } => {
                    answer.push(id, api::Outcome::Conflict, Workflows::default().iter());
                }
                LineResult::Refused(error) => answer.push_refused(&error),
            }
        }
        answer.finish();
        Response::json(ACCEPTED, body)
    }
}

/// The answer to a message that came alone.
fn message_response(result: LineResult) -> Response {
    let (outcome, id, workflows) = match result {
        LineResult::Accepted { id, workflows } => (api::Outcome::Accepted, id, workflows),
        LineResult::Duplicate { id, workflows } => (api::Outcome::Duplicate, id, workflows),
        LineResult::Conflict { id } => {
            let detail =
                format!("the Idempotency-Key came before, with another body, as message {id}");
            return ApiError::new(Code::KeyConflict, detail).to_response();
        }
        LineResult::Refused(error) => return error.to_response(),
    };
    let mut body = Vec::with_capacity(128);
    api::write_answer(&mut body, id, outcome, workflows.iter());
    Response::json(ACCEPTED, body)
}

/// A request that asked other cores.
#[derive(Debug)]
struct Gathering {
    request: RequestId,
    left: usize,
    kind: Kind,
    /// What a core said that could not give its part.
    refused: Option<Response>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Read,
    /// A page of events, maybe only once there is one.
    AwaitedEvents,
    List {
        query: InstancesQuery,
        rows: Vec<ListedInstance>,
        more: bool,
    },
    Applied {
        response: Response,
    },
    Metrics {
        snapshots: Vec<telemetry::Snapshot>,
    },
    Status {
        shards: Vec<(CoreId, ShardStatus)>,
        consensus: ConsensusStatus,
        group: Option<Box<GroupView>>,
        uptime_seconds: u64,
    },
    /// The workers, or one.
    Workers {
        only: Option<WorkerId>,
        parts: Vec<WorkersPart>,
    },
    /// The members.
    Nodes,
    /// A change of the group.
    Demand(Wanted),
    /// A comparison of all members.
    Compared,
}

/// The state is not yet whole.
pub(super) fn starting() -> ApiError {
    ApiError::new(
        Code::Starting,
        "the node is not ready yet: it reads its log, or has not met its cluster",
    )
    .with_retry_after(1)
}

/// What became of it was not seen.
pub(super) fn skipped() -> ApiError {
    outcome_unknown("a snapshot took the place of the part of the log that it is in")
}

/// Answers a client.
pub(super) fn reply(request: RequestId, response: Response, out: &mut Outbox<ShardEffect>) {
    out.push(ShardEffect::Reply { request, response });
}

/// Tells a client what became of its messages.
pub(super) fn submitted(request: RequestId, results: SubmitResults, out: &mut Outbox<ShardEffect>) {
    out.push(ShardEffect::Submitted { request, results });
}

/// Tells a client that none of its messages was taken.
fn refused(request: RequestId, form: Form, error: &ApiError, out: &mut Outbox<ShardEffect>) {
    match form {
        Form::Json => reply(request, error.to_response(), out),
        Form::Results => submitted(request, SubmitResults::Refused(error.clone()), out),
    }
}

/// The answer to a change of the catalogue that was applied.
fn applied(named: &Named, version: u64, edits: &CatalogueEdits) -> Response {
    let mut body = Vec::new();
    let ids: Vec<&str> = named.ids.iter().map(String::as_str).collect();
    let (stored, deleted): (&[&str], &[&str]) = match named.told {
        Told::Stored => (&ids, &[]),
        Told::Deleted => (&[], &ids),
        Told::Replaced => {
            let Edits { added, changed, deleted } = &*edits.rules;
            let unchanged = ids.len() - added.len() - changed.len();
            api::CatalogueReplaced { version, added, changed, deleted, unchanged }.write(&mut body);
            return Response::json(200, body);
        }
    };
    api::CatalogueChange { version, stored, deleted }.write(&mut body);
    let is_new = !(edits.rules.added.is_empty() && edits.definitions.added.is_empty());
    Response::json(if is_new { 201 } else { 200 }, body)
}

impl Queries {
    pub(super) fn len(&self) -> usize {
        self.gathering.len() + self.reads.len()
    }

    /// A name for a question: of this core, none is given twice.
    pub(super) fn next_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    pub(super) fn begin_batch(&mut self, id: RequestId, count: u32, form: Form) {
        let results = (0..count).map(|_| None).collect();
        self.batches.insert(id, BatchResults { form, left: count, results });
    }

    pub(super) fn begin_change(&mut self, id: RequestId, named: Named) {
        self.changes.insert(id, named);
    }
}

impl ShardCore {
    /// A request that changes nothing.
    pub(super) fn on_query(
        &mut self,
        now: Now,
        id: RequestId,
        route: &Route,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        match route {
            Route::Metrics => {
                let kind = Kind::Metrics { snapshots: Vec::new() };
                self.ask_all(id, kind, &Question::Metrics, true, out).map(|_| ())
            }
            Route::ClusterStatus => self.ask_status(now, id, out),
            Route::ClusterNodes => {
                let ticket = self.gather(id, Kind::Nodes, 1)?;
                out.push(ShardEffect::ToConsensus(ToConsensus::View { ticket }));
                Ok(())
            }
            Route::Checksum => {
                self.check_open(0)?;
                let ticket = self.gather(id, Kind::Compared, 1)?;
                out.push(ShardEffect::ToConsensus(ToConsensus::Compare { ticket }));
                Ok(())
            }
            Route::Events(query) => self.ask_events(now, id, *query, out),
            // Answered by whoever knows, before it comes here.
            Route::Ready | Route::LogFilter | Route::PutLogFilter => {
                let detail = format!("this program does not answer {}", route.pattern());
                Err(ApiError::new(Code::NotSupported, detail))
            }
            Route::Live => {
                let body = br#"{"status":"UP"}"#.to_vec();
                reply(id, Response::json(200, body), out);
                Ok(())
            }
            _ => self.on_read(id, route, out),
        }
    }

    pub(super) fn gather(
        &mut self,
        request: RequestId,
        kind: Kind,
        left: usize,
    ) -> Result<u64, ApiError> {
        self.check_room()?;
        let is_awaited = matches!(kind, Kind::AwaitedEvents);
        if is_awaited && self.queries.awaited >= EVENT_WAITS_MAX {
            let detail = format!("{EVENT_WAITS_MAX} requests on this core wait for events already");
            return Err(ApiError::overloaded(detail, 1));
        }
        self.queries.awaited += usize::from(is_awaited);
        let ticket = self.queries.next_ticket();
        self.queries.gathering.insert(ticket, Gathering { request, left, kind, refused: None });
        Ok(ticket)
    }

    /// Whether one more read is taken.
    pub(super) fn check_room(&self) -> Result<(), ApiError> {
        if self.queries.len() >= QUERIES_MAX {
            let detail = format!("{QUERIES_MAX} reads are under way on this core already");
            return Err(ApiError::overloaded(detail, 1));
        }
        Ok(())
    }

    pub(super) fn ask_all(
        &mut self,
        id: RequestId,
        kind: Kind,
        question: &Question,
        with_consensus: bool,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<u64, ApiError> {
        let shards = usize::from(self.config.shards);
        let ticket = self.gather(id, kind, shards + usize::from(with_consensus))?;
        for core in (0..self.config.shards).map(CoreId) {
            if core != self.config.core {
                let message = ToShard::Ask { ticket, question: question.clone() };
                out.push(ShardEffect::ToShard { to: core, message });
            }
        }
        if with_consensus {
            let question = question.clone();
            out.push(ShardEffect::ToConsensus(ToConsensus::Ask { ticket, question }));
        }
        self.answer_question(self.config.core, ticket, question, out);
        Ok(ticket)
    }

    /// How the node fares: its cores, its part in the group, and the group.
    fn ask_status(
        &mut self,
        now: Now,
        id: RequestId,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let kind = Kind::Status {
            shards: Vec::new(),
            consensus: ConsensusStatus::default(),
            group: None,
            uptime_seconds: now.instant.since(self.config.started_at).as_secs(),
        };
        let ticket = self.ask_all(id, kind, &Question::Status, true, out)?;
        self.queries.gathering.get_mut(&ticket).expect("others have not answered yet").left += 1;
        out.push(ShardEffect::ToConsensus(ToConsensus::View { ticket }));
        Ok(())
    }

    /// Another shard asks.
    pub(super) fn on_question(
        &mut self,
        now: Now,
        from: CoreId,
        ticket: u64,
        question: &Question,
        out: &mut Outbox<ShardEffect>,
    ) {
        if let Question::Events(query) = question {
            self.on_events_asked(now, from, ticket, *query, out);
            return;
        }
        self.answer_question(from, ticket, question, out);
    }

    pub(super) fn answer(
        &mut self,
        to: CoreId,
        ticket: u64,
        answer: Answer,
        out: &mut Outbox<ShardEffect>,
    ) {
        if to == self.config.core {
            self.on_answer(ticket, Some(to), answer, out);
            return;
        }
        let message = ToShard::Answer { ticket, from: Some(self.config.core), answer };
        out.push(ShardEffect::ToShard { to, message });
    }

    pub(super) fn status(&self) -> ShardStatus {
        ShardStatus {
            partitions: u32::try_from(self.hosted.len()).expect("partitions are few"),
            running: self.partitions().map(|partition| partition.running() as u64).sum(),
            applied: self.applied(),
            connections: self.connections,
        }
    }

    pub(super) fn refresh_metrics(&self) {
        let status = self.status();
        self.metrics.running.set_count(status.running);
        let at_workers = self.refresh_worker_metrics();
        self.metrics.calls.set_count(self.orders.running() as u64 + at_workers);
        self.metrics.orders.set_count(self.orders.waiting() as u64);
        self.metrics.queries.set_count(self.queries.len() as u64);
        self.metrics.catalogue.set_count(self.globals.catalogue.version);
        self.metrics.unanswered.set_count(self.session.unanswered_bytes() as u64);
        let held: usize = self.partitions().map(crate::partition::Partition::held_bytes).sum();
        self.metrics.state_bytes.set_count(held as u64);
    }

    pub(super) fn on_answer(
        &mut self,
        ticket: u64,
        from: Option<CoreId>,
        answer: Answer,
        out: &mut Outbox<ShardEffect>,
    ) {
        if self.changes.is_asking(ticket) {
            return self.on_plugins_asked(answer, out);
        }
        let gathering =
            self.queries.gathering.get_mut(&ticket).expect("a question is answered once");
        gathering.left -= 1;
        match (&mut gathering.kind, answer) {
            (kind @ (Kind::Read | Kind::AwaitedEvents), Answer::Response(response)) => {
                self.queries.awaited -= usize::from(matches!(kind, Kind::AwaitedEvents));
                let request = gathering.request;
                self.queries.gathering.remove(&ticket);
                reply(request, response, out);
                return;
            }
            (Kind::Nodes, Answer::Group(group)) => {
                let request = gathering.request;
                self.queries.gathering.remove(&ticket);
                reply(request, super::cluster::nodes(&group), out);
                return;
            }
            (Kind::Demand(wanted), Answer::Fulfilled(fulfilled)) => {
                let (request, wanted) = (gathering.request, *wanted);
                self.queries.gathering.remove(&ticket);
                reply(request, wanted.response(*fulfilled), out);
                return;
            }
            (Kind::Compared, Answer::Compared(compared)) => {
                let request = gathering.request;
                self.queries.gathering.remove(&ticket);
                reply(request, super::cluster::compared(&compared), out);
                return;
            }
            (Kind::Compared, Answer::Fulfilled(fulfilled)) => {
                let request = gathering.request;
                self.queries.gathering.remove(&ticket);
                reply(request, Wanted::Lead.response(*fulfilled), out);
                return;
            }
            (Kind::Status { group, .. }, Answer::Group(view)) => *group = Some(view),
            (Kind::List { rows, more, .. }, Answer::Rows { rows: theirs, more: left_out }) => {
                rows.extend(theirs);
                *more |= left_out;
            }
            (Kind::Workers { parts, .. }, Answer::Workers(part)) => parts.push(*part),
            (Kind::List { .. } | Kind::Workers { .. }, Answer::Response(refusal)) => {
                gathering.refused = Some(refusal);
            }
            (Kind::Applied { .. }, Answer::Applied) => {}
            (Kind::Metrics { snapshots }, Answer::Metrics(snapshot)) => snapshots.push(*snapshot),
            (Kind::Status { shards, .. }, Answer::Shard(status)) => {
                shards.push((from.expect("a shard names itself"), status));
            }
            (Kind::Status { consensus, .. }, Answer::Consensus(status)) => *consensus = status,
            (kind, answer) => unreachable!("{answer:?} is no answer to {kind:?}"),
        }
        if gathering.left == 0 {
            let done = self.queries.gathering.remove(&ticket).expect("it was just there");
            let response = done.refused.unwrap_or_else(|| self.gathered(done.kind));
            reply(done.request, response, out);
        }
    }

    fn gathered(&self, kind: Kind) -> Response {
        match kind {
            Kind::Read | Kind::AwaitedEvents | Kind::Nodes | Kind::Demand(_) | Kind::Compared => {
                unreachable!("answered by its only answer")
            }
            Kind::List { query, rows, more } => view::page(&query, rows, more),
            Kind::Workers { only, parts } => self.workers_told(only, &parts),
            Kind::Applied { response } => response,
            Kind::Metrics { snapshots } => {
                let mut text = Vec::with_capacity(32 * 1024);
                telemetry::prometheus(&telemetry::merge(snapshots), &mut text);
                Response::new(200, ContentType::Prometheus, text)
            }
            Kind::Status { shards, consensus, group, uptime_seconds } => {
                let group = group.expect("the consensus core has answered");
                self.cluster_status(&shards, consensus, &group, uptime_seconds)
            }
        }
    }

    /// An outcome has come for a record of this shard's session.
    pub(super) fn resolve(
        &mut self,
        number: u64,
        slot: u32,
        outcome: Outcome,
        out: &mut Outbox<ShardEffect>,
    ) {
        let Some(waiter) = self.session.take(number, slot) else { return };
        match waiter {
            Waiter::Gone => {}
            Waiter::Own => {
                if matches!(outcome, Outcome::Catalogue(_)) {
                    self.end_change(out);
                }
            }
            Waiter::Worker(request, worker, on) => {
                let is_known = matches!(outcome, Outcome::Worker { is_known: true });
                Self::worker_drained(request, (worker, on), is_known, out);
            }
            Waiter::Cancel(request, _) if outcome == Outcome::Skipped => {
                reply(request, skipped().to_response(), out);
            }
            Waiter::Order(order) => self.passing.arrived(order),
            Waiter::Message(request, Form::Json) => {
                let response = message_response(self.line_result(outcome));
                reply(request, response, out);
            }
            Waiter::Message(request, Form::Results) => {
                let lines = SmallVec::from_buf([self.line_result(outcome)]);
                submitted(request, SubmitResults::Lines(lines), out);
            }
            Waiter::Line(request, line) => {
                let result = self.line_result(outcome);
                self.line(request, line, result, out);
            }
            Waiter::Catalogue(request) => self.catalogue_changed(request, outcome, out),
            Waiter::Cancel(request, instance) => {
                let Outcome::Cancelled(outcome) = outcome else {
                    unreachable!("a cancellation has its own outcome")
                };
                let response = match outcome {
                    CancelOutcome::Cancelled => {
                        let (at, route) = (instance.message.partition(), Route::Instance(instance));
                        // It is cancelled, whether or not it can be shown just now.
                        if self.read_at(request, at, &route, AsOf::APPLIED, out).is_err() {
                            let mut body = Vec::new();
                            json::object(&mut body, |o| {
                                o.display("instance", instance);
                                o.text("status", "cancelled");
                            });
                            reply(request, Response::json(200, body), out);
                        }
                        return;
                    }
                    CancelOutcome::Finished => {
                        let detail = format!("the instance `{instance}` has ended already");
                        ApiError::new(Code::WrongState, detail).to_response()
                    }
                    CancelOutcome::Gone => {
                        ApiError::gone("workflow instance", instance).to_response()
                    }
                    CancelOutcome::Never => {
                        ApiError::unknown_id("workflow instance", instance).to_response()
                    }
                };
                reply(request, response, out);
            }
        }
    }

    fn line_result(&self, outcome: Outcome) -> LineResult {
        let metrics = &self.metrics;
        let error = match outcome {
            Outcome::Accepted { id, workflows, keyed } => {
                metrics.accepted.increment();
                metrics.started.add((workflows.len() - keyed) as u64);
                return LineResult::Accepted { id, workflows };
            }
            Outcome::Duplicate { id, workflows } => {
                metrics.duplicate.increment();
                return LineResult::Duplicate { id, workflows };
            }
            Outcome::Conflict { id } => {
                metrics.conflict.increment();
                return LineResult::Conflict { id };
            }
            Outcome::KeysFull => {
                let detail = "the table of idempotency keys and producers is full";
                ApiError::new(Code::KeysFull, detail).with_retry_after(5)
            }
            Outcome::LiveFull => {
                let detail = "too many workflow instances are unfinished to start another";
                ApiError::overloaded(detail, 5)
            }
            Outcome::SequenceTooOld { lowest } => {
                let detail = format!("of this producer the sequences from {lowest} on are known");
                ApiError::new(Code::SequenceTooOld, detail)
            }
            Outcome::UnknownProducer => {
                let detail = "nothing is known of the producer, and this is not its sequence 1";
                ApiError::new(Code::UnknownProducer, detail)
            }
            Outcome::Skipped => skipped(),
            outcome => unreachable!("{outcome:?} is no message's outcome"),
        };
        metrics.refused.increment();
        LineResult::Refused(Box::new(error))
    }

    /// One line of a batch has its result; the last one answers the request.
    fn line(
        &mut self,
        request: RequestId,
        line: u32,
        result: LineResult,
        out: &mut Outbox<ShardEffect>,
    ) {
        let batch = self.queries.batches.get_mut(&request).expect("a batch waits for its lines");
        batch.left -= 1;
        batch.results[line as usize] = Some(result);
        if batch.left > 0 {
            return;
        }
        let batch = self.queries.batches.remove(&request).expect("it was just there");
        match batch.form {
            Form::Json => reply(request, batch.response(), out),
            Form::Results => {
                let lines = batch.results.into_iter().flatten().collect();
                submitted(request, SubmitResults::Lines(lines), out);
            }
        }
    }

    fn catalogue_changed(
        &mut self,
        request: RequestId,
        outcome: Outcome,
        out: &mut Outbox<ShardEffect>,
    ) {
        let Outcome::Catalogue(changed) = outcome else {
            unreachable!("a change of the catalogue has its own outcome")
        };
        self.end_change(out);
        let named = self.queries.changes.remove(&request).expect("a change waits once");
        let response = match &*changed {
            Changed::Applied { version, edits } => applied(&named, *version, edits),
            Changed::Refused { why, detail, hint } => {
                let code = match why {
                    Refusal::Unknown => Code::UnknownId,
                    Refusal::Conflict => Code::WrongState,
                    Refusal::InUse => Code::InUse,
                    Refusal::Invalid => Code::InvalidRule,
                };
                ApiError::new(code, detail.clone()).with_hint(hint.clone()).to_response()
            }
        };
        // A change is answered once every core of this node has swapped (SOUNDNESS 8).
        let index = self.globals.applied;
        let others = usize::from(self.config.shards) - 1;
        if others == 0 {
            reply(request, response, out);
            return;
        }
        let kind = Kind::Applied { response: response.clone() };
        match self.gather(request, kind, others) {
            Ok(ticket) => {
                for core in (0..self.config.shards).map(CoreId) {
                    if core != self.config.core {
                        let question = Question::AppliedThrough(index);
                        let message = ToShard::Ask { ticket, question };
                        out.push(ShardEffect::ToShard { to: core, message });
                    }
                }
            }
            // It is applied, though nobody can be asked just now when the others have it, too.
            Err(_) => reply(request, response, out),
        }
    }

    /// The log did not take a client's record.
    pub(super) fn refuse(
        &mut self,
        waiter: &Waiter,
        error: &ApiError,
        out: &mut Outbox<ShardEffect>,
    ) {
        match waiter {
            Waiter::Own | Waiter::Gone | Waiter::Order(_) => {
                unreachable!("no client waits for them")
            }
            Waiter::Message(request, form) => refused(*request, *form, error, out),
            Waiter::Cancel(request, _) | Waiter::Worker(request, ..) => {
                reply(*request, error.to_response(), out);
            }
            // All lines of a batch are in one section: the first one answers for all.
            Waiter::Line(request, _) => {
                if let Some(batch) = self.queries.batches.remove(request) {
                    refused(*request, batch.form, error, out);
                }
            }
            Waiter::Catalogue(request) => {
                self.queries.changes.remove(request);
                reply(*request, error.to_response(), out);
                self.end_change(out);
            }
        }
    }
}
