//! Requests that read, and everything whose answer needs more than one outcome or core.
//!
//! Invariants:
//! - a gathering ends when each core asked has answered; cores of one process always do;
//! - at most [`QUERIES_MAX`] gatherings are open, at most [`EVENT_WAITS_MAX`] of them wait for events.

use super::limits::{EVENT_WAITS_MAX, QUERIES_MAX};
use super::session::{Form, Waiter};
use super::submit::outcome_unknown;
use super::{RequestId, ShardCore, ShardEffect};
use crate::globals::{self, CatalogueEdits, Changed, Edits, Refusal};
use crate::message::{Answer, ConsensusStatus, Question, ShardStatus, ToConsensus, ToShard};
use crate::partition::{CancelOutcome, ListedInstance, Outcome, Workflows, view};
use crate::submission::{LineResult, SubmitResults};
use api::{ApiError, BatchAnswer, BatchLine, Code, ContentType, InstancesQuery, Response, Route};
use base::{CoreId, FixedState, MessageId, NodeId, Now, Outbox, PartitionId, StoreId, hash64};
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
    /// Answers that wait until this core has applied an index.
    awaiting: Vec<(u64, CoreId, u64)>,
    /// Questions about the state that came before it was whole.
    early: Vec<(CoreId, u64, Question)>,
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
        uptime_seconds: u64,
    },
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
        self.gathering.len()
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
        // Until the log's end is applied an answer could deny what was acknowledged before.
        let of_the_node =
            matches!(route, Route::Metrics | Route::ClusterStatus | Route::Live | Route::Events(_));
        if !of_the_node && !self.serving {
            return Err(starting());
        }
        match route {
            Route::Message(message) => self.read_at(id, message.partition(), route, out),
            Route::Instance(instance) => self.read_at(id, instance.message.partition(), route, out),
            Route::Instances(query) => {
                let kind = Kind::List { query: query.clone(), rows: Vec::new(), more: false };
                self.ask_all(id, kind, &Question::List(query.clone()), false, out)
            }
            Route::Metrics => {
                let kind = Kind::Metrics { snapshots: Vec::new() };
                self.ask_all(id, kind, &Question::Metrics, true, out)
            }
            Route::ClusterStatus => {
                let kind = Kind::Status {
                    shards: Vec::new(),
                    consensus: ConsensusStatus::default(),
                    uptime_seconds: now.instant.since(self.config.started_at).as_secs(),
                };
                self.ask_all(id, kind, &Question::Status, true, out)
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
            _ => {
                let response = globals::view::catalogue(&self.globals, route)?;
                reply(id, response, out);
                Ok(())
            }
        }
    }

    fn read_at(
        &mut self,
        id: RequestId,
        partition: PartitionId,
        route: &Route,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        if usize::from(partition.0) >= self.partitions.len() {
            return Err(match route {
                Route::Instance(instance) => ApiError::unknown_id("workflow instance", instance),
                Route::Message(message) => ApiError::unknown_id("message", message),
                _ => unreachable!("only messages and instances are read by partition"),
            });
        }
        let host = self.host(partition);
        if host == self.config.core {
            let response = self.read(route);
            reply(id, response, out);
            return Ok(());
        }
        let question = Question::Read(route.clone());
        let ticket = self.gather(id, Kind::Read, 1)?;
        out.push(ShardEffect::ToShard { to: host, message: ToShard::Ask { ticket, question } });
        Ok(())
    }

    /// What a partition hosted here says.
    fn read(&self, route: &Route) -> Response {
        let (Route::Message(MessageId(_)) | Route::Instance(_)) = route else {
            unreachable!("only messages and instances are read by partition")
        };
        let partition = match route {
            Route::Message(message) => message.partition(),
            Route::Instance(instance) => instance.message.partition(),
            _ => unreachable!("matched above"),
        };
        let found = self.partitions.get(usize::from(partition.0)).and_then(Option::as_ref);
        // Another core may serve already while this one still reads its images.
        let Some(partition) = found.filter(|_| self.serving) else {
            return starting().to_response();
        };
        let answer = match route {
            Route::Message(message) => partition.message_view(&self.globals, *message),
            Route::Instance(instance) => partition.instance_view(*instance),
            _ => unreachable!("matched above"),
        };
        answer.unwrap_or_else(|error| error.to_response())
    }

    pub(super) fn gather(
        &mut self,
        request: RequestId,
        kind: Kind,
        left: usize,
    ) -> Result<u64, ApiError> {
        if self.queries.gathering.len() >= QUERIES_MAX {
            let detail = format!("{QUERIES_MAX} reads are under way on this core already");
            return Err(ApiError::overloaded(detail, 1));
        }
        let is_awaited = matches!(kind, Kind::AwaitedEvents);
        if is_awaited && self.queries.awaited >= EVENT_WAITS_MAX {
            let detail = format!("{EVENT_WAITS_MAX} requests on this core wait for events already");
            return Err(ApiError::overloaded(detail, 1));
        }
        self.queries.awaited += usize::from(is_awaited);
        self.queries.next_ticket += 1;
        let ticket = self.queries.next_ticket;
        self.queries.gathering.insert(ticket, Gathering { request, left, kind });
        Ok(ticket)
    }

    fn ask_all(
        &mut self,
        id: RequestId,
        kind: Kind,
        question: &Question,
        with_consensus: bool,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
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
        let mine = self.answer_to(question).expect("asked of all, so answered at once");
        self.on_answer(ticket, Some(self.config.core), mine, out);
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
        if let Question::AppliedThrough(index) = question
            && *index > self.applied()
        {
            self.queries.awaiting.push((*index, from, ticket));
            return;
        }
        if let Question::Events(query) = question {
            self.on_events_asked(now, from, ticket, *query, out);
            return;
        }
        if !self.serving && matches!(question, Question::Read(_) | Question::List(_)) {
            self.queries.early.push((from, ticket, question.clone()));
            return;
        }
        let answer = self.answer_to(question).unwrap_or(Answer::Applied);
        self.answer(from, ticket, answer, out);
    }

    /// The state is whole: what was asked before is answered.
    pub(super) fn answer_early(&mut self, out: &mut Outbox<ShardEffect>) {
        for (from, ticket, question) in std::mem::take(&mut self.queries.early) {
            let answer = self.answer_to(&question).expect("only reads and lists came early");
            self.answer(from, ticket, answer, out);
        }
    }

    pub(super) fn answer(
        &self,
        to: CoreId,
        ticket: u64,
        answer: Answer,
        out: &mut Outbox<ShardEffect>,
    ) {
        let message = ToShard::Answer { ticket, from: Some(self.config.core), answer };
        out.push(ShardEffect::ToShard { to, message });
    }

    /// What can be answered at once.
    fn answer_to(&self, question: &Question) -> Option<Answer> {
        Some(match question {
            Question::Read(route) => Answer::Response(self.read(route)),
            Question::List(query) => {
                let (rows, more) = view::list(self.partitions(), query);
                Answer::Rows { rows, more }
            }
            Question::Metrics => {
                self.refresh_metrics();
                Answer::Metrics(Box::new(self.metrics.registry().snapshot()))
            }
            Question::Status => Answer::Shard(self.status()),
            Question::AppliedThrough(_) | Question::Events(_) => return None,
        })
    }

    fn status(&self) -> ShardStatus {
        ShardStatus {
            partitions: u32::try_from(self.hosted.len()).expect("partitions are few"),
            running: self.partitions().map(|partition| partition.running() as u64).sum(),
            applied: self.applied(),
            connections: self.connections,
        }
    }

    fn refresh_metrics(&self) {
        let status = self.status();
        self.metrics.running.set_count(status.running);
        self.metrics.calls.set_count(self.orders.running() as u64);
        self.metrics.orders.set_count(self.orders.waiting() as u64);
        self.metrics.queries.set_count(self.queries.len() as u64);
        self.metrics.catalogue.set_count(self.globals.catalogue.version);
        self.metrics.unanswered.set_count(self.session.unanswered_bytes() as u64);
        let held: usize = self.partitions().map(crate::partition::Partition::held_bytes).sum();
        self.metrics.state_bytes.set_count(held as u64);
    }

    /// This core has applied more: who waited for that is answered.
    pub(super) fn answer_applied(&mut self, index: u64, out: &mut Outbox<ShardEffect>) {
        let waiting = std::mem::take(&mut self.queries.awaiting);
        for (needed, from, ticket) in waiting {
            if needed <= index {
                self.answer(from, ticket, Answer::Applied, out);
            } else {
                self.queries.awaiting.push((needed, from, ticket));
            }
        }
    }

    pub(super) fn on_answer(
        &mut self,
        ticket: u64,
        from: Option<CoreId>,
        answer: Answer,
        out: &mut Outbox<ShardEffect>,
    ) {
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
            (Kind::List { rows, more, .. }, Answer::Rows { rows: theirs, more: left_out }) => {
                rows.extend(theirs);
                *more |= left_out;
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
            let response = self.gathered(done.kind);
            reply(done.request, response, out);
        }
    }

    fn gathered(&self, kind: Kind) -> Response {
        match kind {
            Kind::Read | Kind::AwaitedEvents => unreachable!("answered by its only answer"),
            Kind::List { query, rows, more } => view::page(&query, rows, more),
            Kind::Applied { response } => response,
            Kind::Metrics { snapshots } => {
                let mut text = Vec::with_capacity(32 * 1024);
                telemetry::prometheus(&telemetry::merge(snapshots), &mut text);
                Response::new(200, ContentType::Prometheus, text)
            }
            Kind::Status { shards, consensus, uptime_seconds } => {
                self.cluster_status(&shards, consensus, uptime_seconds)
            }
        }
    }

    fn cluster_status(
        &self,
        shards: &[(CoreId, ShardStatus)],
        consensus: ConsensusStatus,
        uptime_seconds: u64,
    ) -> Response {
        let mut shards = shards.to_vec();
        shards.sort_by_key(|(core, _)| *core);
        let cores: Vec<api::CoreStatus<'_>> = (shards.iter())
            .map(|(core, status)| api::CoreStatus {
                core: *core,
                cpu: self.config.cpus[usize::from(core.0)],
                // Consensus shares the first core with a shard.
                roles: if core.0 == 0 { &["consensus", "shard"] } else { &["shard"] },
                partitions: status.partitions,
                connections: status.connections,
                instances_running: status.running,
            })
            .collect();
        let view = api::ClusterStatus {
            node: self.config.node,
            cluster_id: self.globals.born.as_ref().map_or(0, |born| born.cluster_id),
            // A fingerprint: who knew the id itself could write bytes that look like the journal's.
            store_id: StoreId(hash64(&self.config.store.0.to_le_bytes())),
            role: if consensus.leading { "leader" } else { "follower" },
            leader: (consensus.leader != 0).then_some(NodeId(consensus.leader)),
            voters: &[self.config.node],
            term: consensus.term,
            commit_index: consensus.commit,
            applied_index: consensus.applied,
            catalogue_version: self.globals.catalogue.version,
            partitions: self.globals.born.as_ref().map_or(0, |born| born.partitions),
            cores: &cores,
            uptime_seconds,
            program_version: self.config.program_version,
        };
        let mut body = Vec::new();
        view.write(&mut body);
        Response::json(200, body)
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
                        if self.read_at(request, at, &route, out).is_err() {
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
            Waiter::Cancel(request, _) => reply(*request, error.to_response(), out),
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
