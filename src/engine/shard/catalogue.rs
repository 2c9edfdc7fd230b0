//! Requests that change the catalogue: each becomes one record, applied whole or not at all.
//!
//! Texts are read, rules tested and compiled beside the core, before the record goes into the log
//! (docs/decisions/0014).
//!
//! Invariants:
//! - of one core one change at a time is made ready or in the log; the others wait, in order;
//! - a workflow goes into the log after its plugins have said that they take what they are to be set up
//!   with, as [`configs`] asks them;
//! - each change is answered once.

mod configs;

use super::limits::{CHANGES_MAX, GROUP_BYTES_MAX};
use super::queries::{Named, Told};
use super::session::Waiter;
use super::swap::work;
use super::{RequestId, ShardCore, ShardEffect};
use crate::globals::{self, Draft, Prepared, differ_in_enabled_alone};
use crate::record::{CatalogueChanged, Change, NAMESPACE};
use crate::work::{Kind, Retired};
use api::{ApiError, Code, Request, Route};
use base::{Outbox, hash64};
use bytes::Bytes;
use configs::{Asking, UsedConfig, used_configs};
use document::{FAULTS_MAX, Fault, Faults, Fields, Source, Span};
use rules::Rule;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a change may take in its record. Unit: bytes. Names and headers take the rest of a group.
const CHANGE_BYTES_MAX: usize = GROUP_BYTES_MAX - 4_096;
/// A smaller record is freed sooner than another thread is told of it. Unit: bytes.
const RETIRED_BYTES_MIN: usize = 64 * 1024;
/// How often a change is made ready for a catalogue that has moved on before it is sent, before it
/// goes into the log all the same: behind many small changes it would never be in time.
const TRIES_MAX: u32 = 3;

/// A change that somebody asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    by: String,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A client's request: what its path asks for, and the body.
    Request(Route, Vec<u8>),
    /// What a cluster is born with.
    Birth(Vec<Change>),
    /// It was made ready before.
    Again(Record),
}

/// A change as it goes into the log.
#[derive(Clone, Debug)]
struct Record {
    body: Bytes,
    draft: Arc<Draft>,
}

/// A change that can go into the log.
#[derive(Debug)]
pub(crate) struct ChangeReady {
    record: Record,
    prepared: Arc<Prepared>,
    /// What its client will be told of; known from the first time on.
    named: Option<Named>,
    /// What plugins are to be asked before it goes.
    configs: Vec<UsedConfig>,
}

/// The changes of one core.
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: VecDeque<(Waiter, Asked)>,
    /// What the waiting requests' bodies take.
    bytes: usize,
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    waiter: Waiter,
    by: String,
    tries: u32,
    /// Ready, while plugins are asked.
    asking: Option<Asking>,
    /// On its way through the log.
    sent: Option<Record>,
}

impl Changes {
    /// Clients whose changes are not in the session.
    pub(super) fn waiting(&self) -> usize {
        let is_client =
            |under_way: &UnderWay| under_way.waiter != Waiter::Own && under_way.sent.is_none();
        self.waiting.len() + usize::from(self.under_way.as_ref().is_some_and(is_client))
    }
}

impl Asked {
    pub(super) fn at_birth(catalogue: Vec<Change>) -> Self {
        Self { by: String::new(), what: What::Birth(catalogue) }
    }

    fn bytes(&self) -> usize {
        match &self.what {
            What::Request(_, body) => body.len(),
            What::Birth(_) | What::Again(_) => 0,
        }
    }

    /// Reads and checks what is asked, and makes it ready for this catalogue.
    pub(crate) fn make_ready(
        self,
        catalogue: &globals::Catalogue,
        plugins: &globals::Plugins,
    ) -> Result<ChangeReady, ApiError> {
        let Self { by, what } = self;
        let (named, changes, configs) = match what {
            What::Request(route, body) => {
                let (named, changes, configs) = changes(catalogue, plugins, &route, &body)?;
                (Some(named), changes, configs)
            }
            What::Birth(changes) => (None, changes, Vec::new()),
            What::Again(record) => {
                let prepared = Arc::new(Prepared::new(catalogue, Arc::clone(&record.draft)));
                return Ok(ChangeReady { record, prepared, named: None, configs: Vec::new() });
            }
        };
        let bytes: usize = changes.iter().map(Change::bytes).sum();
        if named.is_some() && bytes > CHANGE_BYTES_MAX {
            let detail = format!(
                "what changes takes {bytes} bytes of the log, at most {CHANGE_BYTES_MAX} are \
                 allowed in one request"
            );
            let hint = "change fewer rules at once, or shorten their tests";
            return Err(ApiError::new(Code::TooLarge, detail).with_hint(hint));
        }
        let change = CatalogueChanged::new(NAMESPACE, &by, changes);
        let mut body = Vec::with_capacity(bytes);
        change.clone().write(&mut body);
        let record = Record { body: body.into(), draft: Arc::new(Draft::of(change)) };
        let prepared = Arc::new(Prepared::new(catalogue, Arc::clone(&record.draft)));
        Ok(ChangeReady { record, prepared, named, configs })
    }
}

/// What a request asks to be changed.
fn changes(
    catalogue: &globals::Catalogue,
    plugins: &globals::Plugins,
    route: &Route,
    body: &[u8],
) -> Result<(Named, Vec<Change>, Vec<UsedConfig>), ApiError> {
    let one = |name: &String, told, change| (Named { ids: vec![name.clone()], told }, vec![change]);
    let (named, changes) = match route {
        Route::PostRules => put_rules(catalogue, None, body)?,
        Route::PutRule(rule) => put_rules(catalogue, Some(rule), body)?,
        Route::ReplaceRules => replace_rules(catalogue, body)?,
        Route::PostDefinitions => return put_definitions(plugins, None, body),
        Route::PutDefinition(workflow) => return put_definitions(plugins, Some(workflow), body),
        Route::DeleteRule(rule) => one(rule, Told::Deleted, Change::DeleteRule(rule.clone())),
        Route::DeleteDefinition(workflow) => {
            one(workflow, Told::Deleted, Change::DeleteDefinition(workflow.clone()))
        }
        Route::EnableRule(rule) | Route::DisableRule(rule) => {
            let enabled = matches!(route, Route::EnableRule(_));
            one(rule, Told::Stored, Change::EnableRule(rule.clone(), enabled))
        }
        Route::RollBackRule(rule) => {
            let version = rollback_version(body)?;
            one(rule, Told::Stored, Change::RollBackRule(rule.clone(), version))
        }
        Route::RollBackDefinition(workflow) => {
            let (id, version) = (workflow.clone(), rollback_version(body)?);
            one(workflow, Told::Stored, Change::RollBackDefinition(id, version))
        }
        route => unreachable!("{} does not change the catalogue", route.pattern()),
    };
    Ok((named, changes, Vec::new()))
}

/// Whether a request to it comes with a document.
fn has_document(route: &Route) -> bool {
    !matches!(
        route,
        Route::DeleteRule(_)
            | Route::DeleteDefinition(_)
            | Route::EnableRule(_)
            | Route::DisableRule(_)
    )
}

impl ShardCore {
    /// A request that changes the catalogue.
    pub(super) fn on_catalogue(
        &mut self,
        id: RequestId,
        route: &Route,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let by = api::user_of(request.by)?.to_owned();
        let body = if has_document(route) { request.body } else { &[] };
        self.check_open(self.changes.bytes + body.len())?;
        if self.changes.waiting.len() >= CHANGES_MAX {
            let detail = format!("{CHANGES_MAX} changes wait on this core already");
            return Err(ApiError::overloaded(detail, 1));
        }
        if has_document(route) {
            api::document_format(request.content_type)?;
        }
        let what = What::Request(route.clone(), body.to_vec());
        self.ask_change(Waiter::Catalogue(id), Asked { by, what }, out);
        Ok(())
    }

    /// A change is asked for.
    pub(super) fn ask_change(
        &mut self,
        waiter: Waiter,
        asked: Asked,
        out: &mut Outbox<ShardEffect>,
    ) {
        self.changes.bytes += asked.bytes();
        self.changes.waiting.push_back((waiter, asked));
        self.next_change(out);
    }

    fn next_change(&mut self, out: &mut Outbox<ShardEffect>) {
        if self.changes.under_way.is_some() {
            return;
        }
        let Some((waiter, asked)) = self.changes.waiting.pop_front() else { return };
        self.changes.bytes -= asked.bytes();
        let by = asked.by.clone();
        self.changes.under_way = Some(UnderWay { waiter, by, tries: 0, asking: None, sent: None });
        self.make_ready(asked, out);
    }

    fn make_ready(&self, asked: Asked, out: &mut Outbox<ShardEffect>) {
        let (catalogue, asked) = (Arc::clone(&self.globals.catalogue), Box::new(asked));
        let plugins = Arc::clone(self.globals.workers.plugins());
        work(Kind::Change { catalogue, plugins, asked }, out);
    }

    /// The change under way can go into the log, or cannot.
    pub(super) fn on_change_ready(
        &mut self,
        ready: Result<ChangeReady, ApiError>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let under_way = self.changes.under_way.as_mut().expect("a change was made ready");
        match ready {
            Ok(ready) if ready.configs.is_empty() => self.on_change_sound(ready, out),
            Ok(ready) => self.ask_plugins(ready, out),
            Err(error) => {
                let waiter = under_way.waiter.clone();
                self.refuse(&waiter, &error, out);
            }
        }
    }

    /// Nothing is wrong with the change under way.
    fn on_change_sound(&mut self, ready: ChangeReady, out: &mut Outbox<ShardEffect>) {
        let under_way = self.changes.under_way.as_mut().expect("a change was made ready");
        under_way.tries += 1;
        let (waiter, tries) = (under_way.waiter.clone(), under_way.tries);
        let ChangeReady { record, prepared, named, .. } = ready;
        if let (Waiter::Catalogue(id), Some(named)) = (&waiter, named) {
            self.queries.begin_change(*id, named);
        }
        if !prepared.is_for(&self.globals.catalogue) && tries < TRIES_MAX {
            self.ready_again(record, out);
            return;
        }
        if waiter == Waiter::Own {
            if self.globals.born.is_none() {
                self.push_birth(out);
            }
        } else if let Err(error) = self.check_open(record.body.len()) {
            return self.refuse(&waiter, &error, out);
        }
        self.send_change(waiter, record, prepared, out);
    }

    /// Gathers a change of the catalogue and closes the batch behind it: a batch is matched with
    /// one catalogue, so nothing may follow its change.
    fn send_change(
        &mut self,
        waiter: Waiter,
        record: Record,
        prepared: Arc<Prepared>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let catalogue = self.globals.catalogue.version;
        let mark = self.session.begin_group(record.body.len(), catalogue, out);
        self.session.group().push_change(&record.body);
        self.session.keep(mark, [waiter], catalogue, out);
        self.session.seal_change(catalogue, prepared, out);
        let under_way = self.changes.under_way.as_mut().expect("it was made ready");
        under_way.sent = Some(record);
    }

    /// The catalogue changed under the change on its way: it has left its batch.
    pub(super) fn change_again(&mut self, out: &mut Outbox<ShardEffect>) {
        let under_way = self.changes.under_way.as_mut().expect("a change is on its way");
        let record = under_way.sent.take().expect("it was sent");
        if under_way.waiter == Waiter::Own {
            // Another leader's birth came first.
            self.end_change(out);
        } else {
            self.ready_again(record, out);
        }
    }

    fn ready_again(&self, record: Record, out: &mut Outbox<ShardEffect>) {
        let under_way = self.changes.under_way.as_ref().expect("a change is made ready again");
        let asked = Asked { by: under_way.by.clone(), what: What::Again(record) };
        self.make_ready(asked, out);
    }

    /// A snapshot was installed in place: the birth that this node wanted may be in it.
    pub(super) fn end_change_if_skipped(&mut self, out: &mut Outbox<ShardEffect>) {
        let is_own = |now: &UnderWay| now.waiter == Waiter::Own && now.sent.is_some();
        if self.changes.under_way.as_ref().is_some_and(is_own) && !self.session.holds_change() {
            self.end_change(out);
        }
    }

    /// The change under way has its outcome: the next one's turn.
    pub(super) fn end_change(&mut self, out: &mut Outbox<ShardEffect>) {
        let ended = self.changes.under_way.take().expect("a change has its outcome");
        if let Some(Record { body, draft }) = ended.sent
            && body.len() >= RETIRED_BYTES_MIN
        {
            work(Kind::Drop(vec![Retired::Record(body, draft)]), out);
        }
        self.next_change(out);
    }
}

/// What makes the rules of the body all rules. What stays as it is goes into the log by name.
fn replace_rules(
    catalogue: &globals::Catalogue,
    body: &[u8],
) -> Result<(Named, Vec<Change>), ApiError> {
    let found = parse_rules(body, None)?;
    let (mut keep, mut put, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for rule in found {
        let there = catalogue.rules.get(&*rule.id).map(|stored| &*stored.rule);
        let same = there.filter(|there| {
            there.source == rule.source
                || (there.enabled == rule.enabled && differ_in_enabled_alone(there, &rule))
        });
        ids.push(rule.id.clone());
        match same {
            Some(there) => keep.push((rule.id, hash64(there.source.as_bytes()))),
            None => put.push(rule.source),
        }
    }
    let named = Named { ids, told: Told::Replaced };
    Ok((named, vec![Change::ReplaceRules(keep, put)]))
}

fn put_rules(
    catalogue: &globals::Catalogue,
    named: Option<&str>,
    body: &[u8],
) -> Result<(Named, Vec<Change>), ApiError> {
    let found = parse_rules(body, Some(catalogue))?;
    if let Some(named) = named {
        one_named("rule", named, found.iter().map(|rule| rule.id.as_str()))?;
    }
    let (ids, changes) =
        found.into_iter().map(|rule| (rule.id, Change::PutRule(rule.source))).unzip();
    Ok((Named { ids, told: Told::Stored }, changes))
}

fn put_definitions(
    plugins: &globals::Plugins,
    named: Option<&str>,
    body: &[u8],
) -> Result<(Named, Vec<Change>, Vec<UsedConfig>), ApiError> {
    let text = document(body)?;
    let plugins: Vec<&str> = plugins.keys().map(String::as_str).collect();
    let found = flow::parse(Source { name: "body", text }, flow::Plugins::Known(&plugins))
        .map_err(|faults| invalid(Code::InvalidDefinition, &faults))?;
    if let Some(named) = named {
        one_named("workflow", named, found.iter().map(|found| found.id.as_str()))?;
    }
    let configs = used_configs(&found);
    let put = |found: flow::Definition| (found.id, Change::PutDefinition(found.source));
    let (ids, changes) = found.into_iter().map(put).unzip();
    Ok((Named { ids, told: Told::Stored }, changes, configs))
}

/// The rules of the body; their own tests pass. `others` has those that are there besides.
fn parse_rules(body: &[u8], others: Option<&globals::Catalogue>) -> Result<Vec<Rule>, ApiError> {
    let source = Source { name: "body", text: document(body)? };
    let found = rules::parse(source).and_then(|rules| {
        let failed = failed_tests(source, &rules, others);
        if failed.is_empty() { Ok(rules) } else { Err(Faults(failed)) }
    });
    found.map_err(|faults| invalid(Code::InvalidRule, &faults))
}

/// The tests of rules that do not say what the rules do, up to as many as are shown.
fn failed_tests(
    source: Source<'_>,
    rules: &[Rule],
    others: Option<&globals::Catalogue>,
) -> Vec<Fault> {
    let of_body: BTreeMap<&str, &Rule> = rules.iter().map(|rule| (&*rule.id, rule)).collect();
    let find = |id: &str| {
        let other = || Some(&*others?.rules.get(id)?.rule);
        of_body.get(id).copied().or_else(other)
    };
    let mut failed = Vec::new();
    for rule in rules {
        // Without what it needs it says nothing; the change will be refused for that.
        let found = rules::failed_tests(rule, &find, FAULTS_MAX - failed.len());
        failed.extend(found.unwrap_or_default().into_iter().map(|test| {
            let hint = "`distric-admin rules explain` shows why; correct the rule or its test";
            Fault::at(source, test.span, test.what).hint(hint)
        }));
        if failed.len() >= FAULTS_MAX {
            break;
        }
    }
    failed
}

/// `{"version":N}`
fn rollback_version(body: &[u8]) -> Result<u32, ApiError> {
    let source = Source { name: "body", text: document(body)? };
    let read = |node: document::Node| -> Result<i64, Faults> {
        let mut fields = Fields::of(source, &node, "a rollback")?;
        let Some(version) = fields.whole("version", 1..=i64::from(u32::MAX))? else {
            return Err(fields.missing("version").into());
        };
        let unknown = fields.finish();
        if unknown.is_empty() { Ok(version) } else { Err(Faults(unknown)) }
    };
    let version = document::parse(source).map_err(Faults::from).and_then(read);
    let version = version.map_err(|faults| {
        invalid(Code::BadRequest, &faults)
            .with_hint("name the version to go back to, as in {\"version\":3}")
    })?;
    Ok(u32::try_from(version).expect("is in range"))
}

fn document(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| {
        let detail = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        ApiError::new(Code::BadRequest, detail).with_hint("send the text in UTF-8")
    })
}

fn invalid(code: Code, faults: &document::Faults) -> ApiError {
    let told = (faults.0.iter())
        .map(|fault| told(fault.span, fault.what.clone(), fault.hint.clone()))
        .collect();
    refused_for(code, told)
}

fn told(at: Span, what: String, hint: Option<String>) -> api::Fault {
    api::Fault { file: None, line: at.line, column: at.column, what, hint }
}

fn refused_for(code: Code, list: Vec<api::Fault>) -> ApiError {
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
