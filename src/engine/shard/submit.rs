//! Requests that change state: messages, batches of them, cancellations. Those that change the
//! catalogue are in `catalogue`.

use super::limits::{GROUP_BYTES_MAX, MATCHES_MAX};
use super::queries::{reply, starting, submitted};
use super::session::{Form, Waiter};
use super::{RequestId, ShardCore, ShardEffect};
use crate::batch::{Mark, Section};
use crate::message::NotTaken;
use crate::partition::scoped_key;
use crate::record::{Accepted, Cancelled, Match, NAMESPACE, ProducerSequence, RecordType};
use crate::submission::{Origin, Submission, SubmitResults};
use api::{ApiError, Code, Request, Route};
use base::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX};
use base::{InstanceId, Now, Outbox, PartitionId, hash64};
use smallvec::SmallVec;
use telemetry::TraceContext;

/// What a record takes besides its message, about: its header, names and lengths. Unit: bytes.
const RECORD_BYTES: usize = 128;

/// Messages in a row that go to one partition: what apply touches of it stays in the cache, and the
/// largest batch is still spread over them all.
const TURN_MESSAGES: usize = 16;

/// Seconds after which a client that was asked to wait may try again.
const RETRY_AFTER_SECONDS: u32 = 1;

impl ShardCore {
    /// A client's request. `route` is what the path asked for; the body is whole.
    pub fn on_request(
        &mut self,
        now: Now,
        id: RequestId,
        route: &Route,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let refused = match route {
            Route::SubmitMessage => self.submit_message(id, request, out),
            Route::SubmitBatch => self.submit_batch(id, request, out),
            Route::CancelInstance(instance) => self.cancel(id, *instance, out),
            Route::PostRules
            | Route::PutRule(_)
            | Route::ReplaceRules
            | Route::DeleteRule(_)
            | Route::EnableRule(_)
            | Route::DisableRule(_)
            | Route::RollBackRule(_)
            | Route::PostDefinitions
            | Route::PutDefinition(_)
            | Route::DeleteDefinition(_)
            | Route::RollBackDefinition(_) => self.on_catalogue(id, route, request, out),
            Route::AddNode | Route::PromoteNode(_) | Route::RemoveNode(_) | Route::TransferLead => {
                self.on_demand(id, route, request, out)
            }
            Route::DrainWorker(worker) => self.drain_worker(id, *worker, true, out),
            Route::ResumeWorker(worker) => self.drain_worker(id, *worker, false, out),
            _ => self.on_query(now, id, route, out),
        };
        if let Err(error) = refused {
            if matches!(route, Route::SubmitMessage | Route::SubmitBatch) {
                self.metrics.refused.increment();
            }
            reply(id, error.to_response(), out);
        }
    }

    /// Whether new work is taken, and so many more bytes of it.
    pub(super) fn check_open(&self, bytes: usize) -> Result<(), ApiError> {
        if self.stopping {
            return Err(ApiError::stopping());
        }
        if !self.serving {
            return Err(starting());
        }
        self.check_led()?;
        if !self.session.has_room(bytes) {
            let detail = format!(
                "{} bytes wait for the log on this core already",
                self.session.unanswered_bytes()
            );
            return Err(ApiError::overloaded(detail, RETRY_AFTER_SECONDS));
        }
        Ok(())
    }

    /// A client's messages, to be answered with [`ShardEffect::Submitted`].
    pub fn on_submit(
        &mut self,
        id: RequestId,
        submission: &Submission<'_>,
        out: &mut Outbox<ShardEffect>,
    ) {
        if let Err(error) = self.submit(id, submission, out) {
            self.metrics.refused.add(submission.messages.len() as u64);
            submitted(id, SubmitResults::Refused(error), out);
        }
    }

    fn submit(
        &mut self,
        id: RequestId,
        submission: &Submission<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let Submission { origin, messages, trace } = *submission;
        let count = messages.len();
        if count == 0 {
            return Err(ApiError::new(Code::EmptyBatch, "there is no message to submit"));
        }
        if count > BATCH_MESSAGES_MAX {
            let detail = format!("{count} messages, at most {BATCH_MESSAGES_MAX} are allowed");
            return Err(ApiError::new(Code::TooLarge, detail));
        }
        let bytes = messages.iter().map(|message| message.len()).sum();
        if bytes > BATCH_BYTES_MAX {
            return Err(ApiError::too_large(bytes, BATCH_BYTES_MAX));
        }
        let names = match origin {
            Origin::None => Names::None,
            Origin::Key(key) if count == 1 => Names::Key(key_of(key)?),
            Origin::Key(key) => {
                api::batch_key_of(Some(key.as_bytes()))?;
                Names::Lines(key)
            }
            Origin::Producer { producer, sequence } => {
                check_numbers(producer, sequence, count)?;
                Names::Producer(ProducerSequence { producer, sequence })
            }
        };
        let group = Group { names, trace, form: Form::Results, bytes };
        if let [message] = messages {
            return self.gather_one(id, &group, message, out);
        }
        self.gather_all(id, &group, count, messages.iter().copied().zip(1..), out)
    }

    fn submit_message(
        &mut self,
        id: RequestId,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        api::check_json(request.content_type)?;
        let key = api::key_of(request.idempotency_key)?;
        let names = key.map_or(Names::None, Names::Key);
        let (trace, bytes) = (request.trace, request.body.len());
        self.gather_one(id, &Group { names, trace, form: Form::Json, bytes }, request.body, out)
    }

    fn submit_batch(
        &mut self,
        id: RequestId,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let key = api::batch_key_of(request.idempotency_key)?;
        let names = key.map_or(Names::None, Names::Lines);
        let mut lines = std::mem::take(&mut self.queries.lines);
        let gathered = api::split_batch(request.content_type, request.body, &mut lines);
        let gathered = gathered.and_then(|()| {
            let messages =
                lines.iter().map(|line| (&request.body[line.range.clone()], line.number));
            let (trace, bytes) = (request.trace, request.body.len());
            let group = Group { names, trace, form: Form::Json, bytes };
            self.gather_all(id, &group, lines.len(), messages, out)
        });
        self.queries.lines = lines;
        gathered
    }

    /// Gathers a message that came alone.
    fn gather_one(
        &mut self,
        id: RequestId,
        group: &Group<'_>,
        message: &[u8],
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(group.bytes + RECORD_BYTES)?;
        self.check_message(message)?;
        let (catalogue, bytes_min) = (self.globals.catalogue.version, group.bytes);
        let mark = self.session.begin_group(bytes_min, catalogue, out);
        match group.names {
            Names::Key(key) => self.gather_matched(key, None, group.trace, message),
            Names::Producer(at) => self.gather_matched("", Some(at), group.trace, message),
            Names::None => self.gather_matched("", None, group.trace, message),
            Names::Lines(_) => unreachable!("lines have a key, a message alone is none"),
        }
        self.session.keep(mark, [Waiter::Message(id, group.form)], catalogue, out);
        Ok(())
    }

    /// Gathers all messages of a batch, each with its number, or none: any bad one refuses all
    /// (SOUNDNESS 14).
    fn gather_all<'m>(
        &mut self,
        id: RequestId,
        group: &Group<'_>,
        count: usize,
        messages: impl Iterator<Item = (&'m [u8], u32)>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(group.bytes + count * RECORD_BYTES)?;
        let count = u32::try_from(count).expect("a batch has at most 1,000 lines");
        let catalogue = self.globals.catalogue.version;
        let mark = self.session.begin_group(group.bytes, catalogue, out);
        if let Err(error) = self.gather_lines(mark, group, messages) {
            self.session.abandon(mark);
            return Err(error);
        }
        self.queries.begin_batch(id, count, group.form);
        let waiters = (0..count).map(|place| Waiter::Line(id, place));
        self.session.keep(mark, waiters, catalogue, out);
        Ok(())
    }

    fn gather_lines<'m>(
        &mut self,
        mark: Mark,
        group: &Group<'_>,
        messages: impl Iterator<Item = (&'m [u8], u32)>,
    ) -> Result<(), ApiError> {
        let mut line_key = Vec::new();
        for ((message, number), place) in messages.zip(0..) {
            self.check_message(message).map_err(|error| error.at_line(number))?;
            match group.names {
                Names::None => self.gather_matched("", None, group.trace, message),
                Names::Producer(first) => {
                    let at = ProducerSequence { sequence: first.sequence + place, ..first };
                    self.gather_matched("", Some(at), group.trace, message);
                }
                Names::Lines(key) => {
                    line_key.clear();
                    api::write_line_key(&mut line_key, key, number);
                    let key = std::str::from_utf8(&line_key).expect("a key is ASCII");
                    self.gather_matched(key, None, group.trace, message);
                }
                Names::Key(_) => unreachable!("each of several messages has a key of its own"),
            }
            let bytes = self.session.group_bytes(mark);
            if bytes > GROUP_BYTES_MAX {
                let detail = format!(
                    "up to line {number} the messages and the rules they wake take {bytes} bytes \
                     of the log, at most {GROUP_BYTES_MAX} are allowed in one request"
                );
                return Err(ApiError::new(Code::TooLarge, detail));
            }
        }
        Ok(())
    }

    /// Whether the body is a message, and what it wakes: left in `self.matches`.
    pub(super) fn check_message(&mut self, body: &[u8]) -> Result<(), ApiError> {
        if body.len() > MESSAGE_BYTES_MAX {
            return Err(ApiError::too_large(body.len(), MESSAGE_BYTES_MAX));
        }
        match self.matcher.matches(&self.globals.catalogue.compiled, body, &mut self.matches) {
            Ok(()) => {}
            Err(error @ rules::BadMessage::NotAnObject { .. }) => {
                return Err(ApiError::new(Code::NotAnObject, error.to_string()));
            }
            Err(error) => return Err(ApiError::new(Code::BadJson, error.to_string())),
        }
        if self.matches.len() > MATCHES_MAX {
            let detail = format!(
                "the message wakes {} rules, at most {MATCHES_MAX} are allowed",
                self.matches.len()
            );
            let hint = "narrow the rules' conditions, or end some with `stop: true`";
            return Err(ApiError::new(Code::TooLarge, detail).with_hint(hint));
        }
        // What a workflow will read must be readable when the log is applied.
        if !self.matches.is_empty()
            && let Err(error) = expr::Value::parse_json(body)
        {
            return Err(ApiError::new(Code::BadJson, error.to_string()));
        }
        Ok(())
    }

    /// Gathers a message that [`Self::check_message`] has just matched.
    fn gather_matched(
        &mut self,
        key: &str,
        producer: Option<ProducerSequence>,
        trace: Option<TraceContext>,
        payload: &[u8],
    ) {
        let partition = self.partition_for(key, producer);
        let message =
            Accepted { namespace: NAMESPACE, key, matches: &[], payload, producer, trace };
        let (compiled, matches) = (&self.globals.catalogue.compiled, &self.matches);
        push_matched(self.session.group(), partition, message, compiled, matches);
    }

    /// Gathers one record.
    pub(super) fn push_one(
        &mut self,
        kind: RecordType,
        partition: PartitionId,
        waiter: Waiter,
        write: impl FnOnce(&mut Vec<u8>),
        out: &mut Outbox<ShardEffect>,
    ) {
        let catalogue = self.globals.catalogue.version;
        let mark = self.session.begin_group(0, catalogue, out);
        self.session.group().push(kind, partition, write);
        self.session.keep(mark, [waiter], catalogue, out);
    }

    /// A message with a name belongs to the partition of its key or its producer, which alone
    /// decides about repeats; one without to a partition of this core, a few in a row to each.
    fn partition_for(&mut self, key: &str, producer: Option<ProducerSequence>) -> PartitionId {
        let hash = if let Some(at) = producer {
            hash64(&at.producer.to_le_bytes())
        } else if let Some(scoped) = scoped_key(NAMESPACE, key) {
            hash64(scoped.as_bytes())
        } else {
            self.turn = (self.turn + 1) % (self.hosted.len() * TURN_MESSAGES);
            return self.hosted[self.turn / TURN_MESSAGES];
        };
        let number = hash % self.partitions.len() as u64;
        PartitionId(u16::try_from(number).expect("partitions are few"))
    }

    fn cancel(
        &mut self,
        id: RequestId,
        instance: InstanceId,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(0)?;
        let partition = instance.message.partition();
        if usize::from(partition.0) >= self.partitions.len() {
            return Err(ApiError::unknown_id("workflow instance", instance));
        }
        let record = Cancelled { instance };
        let waiter = Waiter::Cancel(id, instance);
        self.push_one(RecordType::Cancelled, partition, waiter, |body| record.write(body), out);
        Ok(())
    }
}

/// Writes a message with what it wakes as a record.
pub(super) fn push_matched(
    section: &mut Section,
    partition: PartitionId,
    message: Accepted<'_>,
    compiled: &rules::Catalogue,
    matches: &rules::Matches,
) {
    let matches: SmallVec<[Match<'_>; 8]> = (matches.iter())
        .map(|index| {
            let rule = compiled.rule(*index);
            Match { rule: &rule.id, version: rule.version }
        })
        .collect();
    section.push_accepted(partition, &Accepted { matches: &matches, ..message });
}

/// What the messages of a submission have in common.
struct Group<'a> {
    names: Names<'a>,
    trace: Option<TraceContext>,
    form: Form,
    /// The messages' bytes, at least.
    bytes: usize,
}

/// How the messages of a submission are named, so that repeats are known.
#[derive(Clone, Copy)]
enum Names<'a> {
    None,
    /// The only message's key.
    Key(&'a str),
    /// From it and its line's number each message's key is made.
    Lines(&'a str),
    /// The first message's number at its producer.
    Producer(ProducerSequence),
}

fn key_of(key: &str) -> Result<&str, ApiError> {
    let key = api::key_of(Some(key.as_bytes()))?;
    Ok(key.expect("there is one"))
}

/// Whether these can be the numbers of so many messages.
fn check_numbers(producer: u64, sequence: u64, count: usize) -> Result<(), ApiError> {
    let ends = sequence.checked_add(count as u64).is_some();
    if producer != 0 && sequence != 0 && ends {
        return Ok(());
    }
    let detail = format!("{count} messages of producer {producer} from sequence {sequence} on");
    let hint = "draw a producer id at random, not 0, and count its messages from 1";
    Err(ApiError::new(Code::BadRequest, detail).with_hint(hint))
}

/// What a client is told whose record may be in the log, or come into it.
pub(super) fn outcome_unknown(detail: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(Code::OutcomeUnknown, detail).with_retry_after(RETRY_AFTER_SECONDS)
}

/// What a client is told when the log did not take its record.
pub(super) fn not_taken(why: NotTaken) -> ApiError {
    match why {
        NotTaken::NoSpace => {
            ApiError::new(Code::NoSpace, "the journal's disk has no room for more")
                .with_retry_after(10)
        }
        NotTaken::NoLeader => {
            ApiError::new(Code::NoLeader, "this node does not lead and knows no leader")
                .with_retry_after(RETRY_AFTER_SECONDS)
        }
        NotTaken::Gap => unreachable!("what is missing is sent again, not refused"),
        NotTaken::Stopping => ApiError::stopping(),
    }
}
