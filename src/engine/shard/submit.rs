//! Requests that change state: messages, batches of them, the catalogue, cancellations.

use super::limits::{GROUP_BYTES_MAX, MATCHES_MAX};
use super::queries::{reply, starting};
use super::session::Waiter;
use super::{RequestId, ShardCore, ShardEffect};
use crate::batch::{GLOBAL, Section};
use crate::message::NotTaken;
use crate::partition::scoped_key;
use crate::record::{Accepted, Cancelled, CatalogueChanged, Change, Match, RecordType};
use api::{ApiError, BatchLine, Code, Request, Route};
use base::limits::MESSAGE_BYTES_MAX;
use base::{InstanceId, Now, Outbox, PartitionId, hash64};
use document::Source;
use smallvec::SmallVec;

/// The namespace of everything, until requests can name one.
pub(super) const NAMESPACE: &str = "default";

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
            Route::PostRules | Route::PutRule(_) => self.put_rules(id, route, request, out),
            Route::PostDefinitions | Route::PutDefinition(_) => {
                self.put_definitions(id, route, request, out)
            }
            Route::DeleteRule(rule) => self.change_catalogue(
                id,
                vec![rule.clone()],
                vec![Change::DeleteRule(rule.clone())],
                out,
            ),
            Route::DeleteDefinition(definition) => {
                let change = Change::DeleteDefinition(definition.clone());
                self.change_catalogue(id, vec![definition.clone()], vec![change], out)
            }
            Route::CancelInstance(instance) => self.cancel(id, *instance, out),
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
    fn check_open(&self, bytes: usize) -> Result<(), ApiError> {
        if self.stopping {
            return Err(ApiError::stopping());
        }
        if !self.serving {
            return Err(starting());
        }
        if !self.role.leading {
            return Err(not_taken(NotTaken::NoLeader));
        }
        if !self.session.has_room(bytes) {
            let detail = format!(
                "{} bytes wait for the log on this core already",
                self.session.unanswered_bytes()
            );
            return Err(ApiError::overloaded(detail, RETRY_AFTER_SECONDS));
        }
        Ok(())
    }

    fn submit_message(
        &mut self,
        id: RequestId,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(request.body.len())?;
        api::check_json(request.content_type)?;
        let key = api::key_of(request.idempotency_key)?;
        self.check_message(request.body)?;
        self.scratch.clear();
        self.gather_matched(key.unwrap_or(""), request.body);
        self.push_gathered([Waiter::Message(id)], out);
        Ok(())
    }

    fn submit_batch(
        &mut self,
        id: RequestId,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(2 * request.body.len())?;
        let key = api::batch_key_of(request.idempotency_key)?;
        let mut lines = std::mem::take(&mut self.queries.lines);
        let gathered = self.gather_batch(key, request, &mut lines);
        let count = u32::try_from(lines.len()).expect("a batch has at most 1,000 lines");
        self.queries.lines = lines;
        gathered?;
        self.queries.begin_batch(id, count);
        self.push_gathered((0..count).map(|place| Waiter::Line(id, place)), out);
        Ok(())
    }

    /// Gathers all lines of a batch, or none: any bad line refuses all (SOUNDNESS 14).
    fn gather_batch(
        &mut self,
        key: Option<&str>,
        request: &Request<'_>,
        lines: &mut Vec<BatchLine>,
    ) -> Result<(), ApiError> {
        api::split_batch(request.content_type, request.body, lines)?;
        self.scratch.clear();
        let mut line_key = Vec::new();
        for line in &*lines {
            let body = &request.body[line.range.clone()];
            self.check_message(body).map_err(|error| error.at_line(line.number))?;
            line_key.clear();
            if let Some(key) = key {
                api::write_line_key(&mut line_key, key, line.number);
            }
            let key = std::str::from_utf8(&line_key).expect("a key is ASCII");
            self.gather_matched(key, body);
            if self.scratch.len() > GROUP_BYTES_MAX {
                let detail = format!(
                    "up to line {} the messages and the rules they wake take {} bytes of the log, \
                     at most {GROUP_BYTES_MAX} are allowed in one request",
                    line.number,
                    self.scratch.len()
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
        match self.matcher.matches(&self.globals.compiled, body, &mut self.matches) {
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
    fn gather_matched(&mut self, key: &str, body: &[u8]) {
        let partition = self.partition_for(key);
        push_matched(
            &mut self.scratch,
            partition,
            NAMESPACE,
            key,
            body,
            &self.globals.compiled,
            &self.matches,
        );
    }

    /// Puts what was gathered into the open batch.
    pub(super) fn push_gathered(
        &mut self,
        waiters: impl IntoIterator<Item = Waiter>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let catalogue = self.globals.catalogue_version;
        self.session.push(&self.scratch, waiters, catalogue, out);
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
        self.scratch.clear();
        self.scratch.push(kind, partition, write);
        self.push_gathered([waiter], out);
    }

    /// A message with a key belongs to the key's partition, which alone decides about repeats;
    /// one without to a partition of this core, each in its turn.
    fn partition_for(&mut self, key: &str) -> PartitionId {
        let Some(scoped) = scoped_key(NAMESPACE, key) else {
            self.turn = (self.turn + 1) % self.hosted.len();
            return self.hosted[self.turn];
        };
        let number = hash64(scoped.as_bytes()) % self.partitions.len() as u64;
        PartitionId(u16::try_from(number).expect("partitions are few"))
    }

    fn put_rules(
        &mut self,
        id: RequestId,
        route: &Route,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let text = document(request)?;
        let found = rules::parse(Source { name: "body", text })
            .map_err(|faults| invalid(Code::InvalidRule, &faults))?;
        if let Route::PutRule(named) = route {
            one_named("rule", named, found.iter().map(|rule| rule.id.as_str()))?;
        }
        let (ids, changes) =
            found.into_iter().map(|rule| (rule.id, Change::PutRule(rule.source))).unzip();
        self.change_catalogue(id, ids, changes, out)
    }

    fn put_definitions(
        &mut self,
        id: RequestId,
        route: &Route,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let text = document(request)?;
        let found = flow::parse(Source { name: "body", text })
            .map_err(|faults| invalid(Code::InvalidDefinition, &faults))?;
        if let Route::PutDefinition(named) = route {
            one_named("workflow", named, found.iter().map(|found| found.id.as_str()))?;
        }
        let put = |found: flow::Definition| (found.id, Change::PutDefinition(found.source));
        let (ids, changes) = found.into_iter().map(put).unzip();
        self.change_catalogue(id, ids, changes, out)
    }

    fn change_catalogue(
        &mut self,
        id: RequestId,
        ids: Vec<String>,
        changes: Vec<Change>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        self.check_open(changes.iter().map(Change::bytes).sum())?;
        let deletes =
            matches!(changes.first(), Some(Change::DeleteRule(_) | Change::DeleteDefinition(_)));
        self.queries.begin_change(id, ids, deletes);
        self.push_catalogue(changes, Waiter::Catalogue(id), out);
        Ok(())
    }

    /// Gathers a change of the catalogue and closes the batch behind it: a batch is matched with
    /// one catalogue, so nothing may follow its change.
    pub(super) fn push_catalogue(
        &mut self,
        changes: Vec<Change>,
        waiter: Waiter,
        out: &mut Outbox<ShardEffect>,
    ) {
        let record = CatalogueChanged { namespace: NAMESPACE.into(), changes };
        self.push_one(RecordType::CatalogueChanged, GLOBAL, waiter, |body| record.write(body), out);
        self.session.seal(self.globals.catalogue_version, out);
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

/// Writes a matched message as a record.
pub(super) fn push_matched(
    section: &mut Section,
    partition: PartitionId,
    namespace: &str,
    key: &str,
    payload: &[u8],
    compiled: &rules::Catalogue,
    matches: &rules::Matches,
) {
    let matches: SmallVec<[Match<'_>; 8]> = (matches.iter())
        .map(|index| {
            let rule = compiled.rule(*index);
            Match { rule: &rule.id, version: rule.version }
        })
        .collect();
    let record = Accepted { namespace, key, matches: &matches, payload };
    section.push(RecordType::Accepted, partition, |body| record.write(body));
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
        NotTaken::Stopping => ApiError::stopping(),
    }
}

fn document<'a>(request: &Request<'a>) -> Result<&'a str, ApiError> {
    api::document_format(request.content_type)?;
    std::str::from_utf8(request.body).map_err(|error| {
        let detail = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        ApiError::new(Code::BadRequest, detail).with_hint("send the text in UTF-8")
    })
}

fn invalid(code: Code, faults: &document::Faults) -> ApiError {
    let list: Vec<api::Fault> = (faults.0.iter())
        .map(|fault| api::Fault {
            file: None,
            line: fault.span.line,
            column: fault.span.column,
            what: fault.what.clone(),
            hint: fault.hint.clone(),
        })
        .collect();
    let detail = match &list[..] {
        [one] => format!("line {}, column {}: {}", one.line, one.column, one.what),
        [first, ..] => format!(
            "{} faults, the first at line {}, column {}: {}",
            list.len(),
            first.line,
            first.column,
            first.what
        ),
        [] => "the text was refused".into(),
    };
    ApiError::new(code, detail).with_faults(list)
}

fn one_named<'a>(
    what: &str,
    named: &str,
    mut found: impl Iterator<Item = &'a str>,
) -> Result<(), ApiError> {
    match (found.next(), found.next()) {
        (Some(id), None) if id == named => Ok(()),
        (Some(id), None) => {
            let detail = format!("the path names {what} `{named}`, the body holds `{id}`");
            Err(ApiError::new(Code::IdMismatch, detail))
        }
        _ => {
            let detail = format!("the path names one {what}, the body holds none or several");
            Err(ApiError::new(Code::IdMismatch, detail).with_hint("use POST to store several"))
        }
    }
}
