//! What a partition says to those who read.

use super::Partition;
use super::assigned::Assigned;
use super::live::{ArchivedFinished, ArchivedShelved, Live, OnShelf, Run};
use crate::globals::Globals;
use crate::record::NAMESPACE;
use crate::shard::OrderId;
use api::{
    ApiError, InstanceSummary, InstancesQuery, InstancesView, KeyedStart, MessageView, Response,
    RuleMatch,
};
use base::{InstanceId, MessageId, UnixMicros, WorkerId};
use flow::{Holders, TaskIndex};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A row of a list of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedInstance {
    /// What is kept of it with the message that caused it.
    pub row: InstanceRow,
    /// That message.
    pub message: MessageId,
    /// The key that it was started for.
    pub key: Option<String>,
}

/// What a list tells of an instance, as it lies on the shelf.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct InstanceRow {
    /// The instance.
    pub id: InstanceId,
    /// Its workflow.
    pub workflow: String,
    /// The definition's version.
    pub version: u32,
    /// Its state.
    pub status: String,
    /// When it started.
    pub started_at: UnixMicros,
    /// When it ended.
    pub ended_at: Option<UnixMicros>,
}

impl InstanceRow {
    pub(super) fn of(run: &Run) -> Self {
        Self {
            id: run.instance.id(),
            workflow: run.definition.id.clone(),
            version: run.definition.version,
            status: run.instance.status().name().into(),
            started_at: run.instance.started(),
            ended_at: run.instance.ended(),
        }
    }
}

impl ListedInstance {
    fn of(row: InstanceRow, caused: Option<(MessageId, &str)>) -> Self {
        let message = caused.map_or(row.id.message, |(message, _)| message);
        Self { row, message, key: caused.map(|(_, key)| key.to_owned()) }
    }

    fn summary(&self) -> InstanceSummary<'_> {
        let Self { row, message, key } = self;
        InstanceSummary {
            instance: row.id,
            workflow: &row.workflow,
            version: u64::from(row.version),
            status: &row.status,
            started_at: row.started_at,
            ended_at: row.ended_at,
            message: *message,
            key: key.as_deref(),
        }
    }

    /// Ascending, the oldest first.
    fn place(&self) -> (UnixMicros, InstanceId) {
        (self.row.started_at, self.row.id)
    }
}

/// Whether a row is asked for.
fn is_wanted(
    query: &InstancesQuery,
    status: &str,
    workflow: &str,
    key: (UnixMicros, InstanceId),
) -> bool {
    query.status.is_none_or(|wanted| wanted.as_str() == status)
        && query.workflow.as_ref().is_none_or(|wanted| wanted == workflow)
        && query.after.is_none_or(|after| key < (after.started_at, after.instance))
}

/// Who has the tasks of an instance.
struct HoldersOf<'a> {
    assigned: &'a Assigned,
    instance: InstanceId,
}

impl Holders for HoldersOf<'_> {
    fn worker_of(&self, task: TaskIndex, attempt: u32) -> Option<WorkerId> {
        let order = OrderId { instance: self.instance, task, attempt };
        self.assigned.get(&order).map(|(worker, _)| *worker)
    }
}

/// Where a message is.
pub(super) enum Found<'a> {
    /// It was never accepted.
    Never,
    /// It finished and was dropped by the retention budget.
    Gone,
    /// Some instance of it runs.
    Live(&'a Live),
    /// It has finished.
    Shelved(OnShelf<'a>),
}

/// The sequences of finished messages that had instances, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    sequences: VecDeque<u64>,
}

impl Recent {
    pub(super) fn push(&mut self, sequence: u64) {
        self.sequences.push_back(sequence);
    }

    /// Forgets the oldest ones that are gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(u64) -> bool) {
        while self.sequences.front().is_some_and(|sequence| is_gone(*sequence)) {
            self.sequences.pop_front();
        }
    }

    fn newest_first(&self) -> impl Iterator<Item = u64> {
        self.sequences.iter().rev().copied()
    }
}

impl Partition {
    pub(super) fn find(&self, message: MessageId) -> Found<'_> {
        let sequence = message.sequence();
        if let Some(live) = self.live.get(&sequence) {
            Found::Live(live)
        } else if let Some(entry) = self.shelf.find(sequence) {
            Found::Shelved(OnShelf::of(entry))
        } else if sequence == 0 || sequence >= self.next_sequence {
            Found::Never
        } else {
            Found::Gone
        }
    }

    /// The answer to `GET /api/v1/messages/{id}`.
    pub fn message_view(&self, globals: &Globals, id: MessageId) -> Result<Response, ApiError> {
        let mut body = Vec::new();
        match self.find(id) {
            Found::Gone => return Err(ApiError::gone("message", id)),
            Found::Live(live) if live.caused.is_none() => {
                let rows =
                    (live.runs.iter()).map(|run| ListedInstance::of(InstanceRow::of(run), None));
                let rules: Vec<(&str, u32)> =
                    live.rules.iter().map(|(rule, version)| (&**rule, *version)).collect();
                let keyed: Vec<KeyedStart<'_>> = (live.keyed.iter())
                    .map(|action| KeyedStart { workflow: &action.workflow, key: &action.key })
                    .collect();
                let (accepted_at, key) = (live.accepted_at, &*live.key);
                let what = Told { accepted_at, key, rules, rows: rows.collect(), keyed };
                what.write(globals, id, "accepted", &live.payload, &mut body);
            }
            Found::Shelved(OnShelf { finished, keyed, caused: None }) => {
                let rows = finished.rows().map(|row| ListedInstance::of(row, None));
                let rows: Vec<ListedInstance> = rows.collect();
                let well = rows.iter().all(|listed| listed.row.status == "completed");
                let rules: Vec<(&str, u32)> = (finished.matches.iter())
                    .map(|matched| (&*matched.rule, matched.version.to_native()))
                    .collect();
                let keyed: Vec<KeyedStart<'_>> = (keyed.iter())
                    .map(|entry| KeyedStart { workflow: &entry.workflow, key: &entry.key })
                    .collect();
                let accepted_at = UnixMicros(finished.accepted_at.0.to_native());
                let what = Told { accepted_at, key: &finished.key, rules, rows, keyed };
                let status = if well { "completed" } else { "failed" };
                what.write(globals, id, status, &finished.payload, &mut body);
            }
            // An instance with a key has a place in the sequence, but is no message.
            Found::Never | Found::Live(_) | Found::Shelved(_) => {
                return Err(ApiError::unknown_id("message", id));
            }
        }
        Ok(Response::json(200, body))
    }

    /// The answer to `GET /api/v1/workflows/{instance}`.
    pub fn instance_view(&self, id: InstanceId) -> Result<Response, ApiError> {
        let unknown = || ApiError::unknown_id("workflow instance", id);
        let body = match self.find(id.message) {
            Found::Never => return Err(unknown()),
            Found::Gone => return Err(ApiError::gone("workflow instance", id)),
            Found::Live(live) => {
                let run = live.run(id.ordinal).ok_or_else(unknown)?;
                live.json(run, &HoldersOf { assigned: &self.assigned, instance: id }).into_bytes()
            }
            Found::Shelved(found) => found.finished.json(id.ordinal).ok_or_else(unknown)?.to_vec(),
        };
        Ok(Response::json(200, body))
    }

    /// Adds the rows that are asked for to a page.
    fn list(&self, query: &InstancesQuery, page: &mut Page) {
        if let Some(key) = &query.key {
            return self.list_keyed(query, key, page);
        }
        for live in self.live.values() {
            for run in &live.runs {
                let row = InstanceRow::of(run);
                if is_wanted(query, &row.status, &row.workflow, (row.started_at, row.id)) {
                    page.add(ListedInstance::of(row, live.caused_by()));
                }
            }
        }
        for sequence in self.shelved_with_instances.newest_first() {
            let Some(entry) = self.shelf.find(sequence) else { continue };
            let found = OnShelf::of(entry);
            // What lies deeper ended no later than this, so it started no later either.
            if page.is_full_of_later(UnixMicros(found.finished.ended_at.0.to_native())) {
                page.more = true;
                break;
            }
            for shelved in found.finished.instances.iter().filter(|one| one.is_wanted(query)) {
                page.add(ListedInstance::of(shelved.to_row(), found.caused_by()));
            }
        }
    }

    /// Adds the instance that a workflow has for a key.
    fn list_keyed(&self, query: &InstancesQuery, key: &str, page: &mut Page) {
        let workflow = query.workflow.as_deref().unwrap_or_default();
        let Some(sequence) = self.keyed.find(NAMESPACE, workflow, key) else { return };
        let (row, message) = match self.find(MessageId::new(self.id, sequence)) {
            Found::Live(live) => (InstanceRow::of(&live.runs[0]), live.caused_by()),
            Found::Shelved(found) => (found.finished.instances[0].to_row(), found.caused_by()),
            Found::Never | Found::Gone => unreachable!("a key is known while its instance is kept"),
        };
        if is_wanted(query, &row.status, &row.workflow, (row.started_at, row.id)) {
            page.add(ListedInstance::of(row, message));
        }
    }

    /// Every message of the state with its body, in no particular order: for audits.
    pub fn messages(&self) -> impl Iterator<Item = (MessageId, &[u8])> {
        let live = self.live.iter().filter(|(_, live)| live.caused.is_none());
        let live = live.map(|(sequence, live)| (*sequence, &*live.payload));
        let finished =
            self.shelf.oldest_first().map(|(sequence, entry)| (sequence, OnShelf::of(entry)));
        let finished = finished.filter(|(_, found)| found.caused.is_none());
        let finished = finished.map(|(sequence, found)| (sequence, &*found.finished.payload));
        live.chain(finished).map(|(sequence, payload)| (MessageId::new(self.id, sequence), payload))
    }

    /// Every instance of the state as JSON, in no particular order: for audits.
    pub fn instances(&self) -> impl Iterator<Item = Vec<u8>> {
        let shown = |live: &Live, run: &Run| {
            let holders = HoldersOf { assigned: &self.assigned, instance: run.instance.id() };
            live.json(run, &holders).into_bytes()
        };
        let live = self
            .live
            .values()
            .flat_map(move |live| live.runs.iter().map(move |run| shown(live, run)));
        let finished = (self.shelf.oldest_first())
            .flat_map(|(_, entry)| OnShelf::of(entry).finished.instances.iter())
            .map(|shelved| shelved.json.to_vec());
        live.chain(finished)
    }

    /// Memory held by messages, instances and orders, as the budgets count it. Unit: bytes.
    pub fn held_bytes(&self) -> usize {
        self.live_bytes + self.passing.bytes() + self.shelf.used()
    }
}

/// What a message's view tells besides the message.
struct Told<'a> {
    accepted_at: UnixMicros,
    key: &'a str,
    rules: Vec<(&'a str, u32)>,
    rows: Vec<ListedInstance>,
    keyed: Vec<KeyedStart<'a>>,
}

impl Told<'_> {
    fn write(
        &self,
        globals: &Globals,
        id: MessageId,
        status: &str,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        // The rules' actions as the catalogue has them now; the versions tell when that changed.
        let workflows: Vec<Vec<&str>> = (self.rules.iter())
            .map(|(rule, version)| {
                let stored =
                    globals.catalogue.rules.get(*rule).filter(|s| s.rule.version == *version);
                let actions = stored.map_or(&[][..], |stored| &stored.rule.actions);
                actions.iter().map(|action| action.workflow.as_str()).collect()
            })
            .collect();
        let rules: Vec<RuleMatch<'_>> = (self.rules.iter().zip(&workflows))
            .map(|((rule, version), workflows)| RuleMatch {
                rule,
                version: u64::from(*version),
                workflows,
            })
            .collect();
        let instances: Vec<InstanceSummary<'_>> =
            self.rows.iter().map(ListedInstance::summary).collect();
        MessageView {
            message_id: id,
            status,
            accepted_at: self.accepted_at,
            idempotency_key: (!self.key.is_empty()).then_some(self.key),
            rules: &rules,
            instances: &instances,
            keyed: &self.keyed,
            message: payload,
        }
        .write(out);
    }
}

impl ArchivedShelved<'_> {
    fn to_row(&self) -> InstanceRow {
        rkyv::deserialize::<InstanceRow, Rancor>(&self.row).expect("plain values are read back")
    }

    fn is_wanted(&self, query: &InstancesQuery) -> bool {
        let row = &self.row;
        let message = MessageId(row.id.message.0.to_native());
        let id = InstanceId { message, ordinal: row.id.ordinal.to_native() };
        let key = (UnixMicros(row.started_at.0.to_native()), id);
        is_wanted(query, &row.status, &row.workflow, key)
    }
}

impl ArchivedFinished<'_> {
    fn rows(&self) -> impl Iterator<Item = InstanceRow> {
        self.instances.iter().map(ArchivedShelved::to_row)
    }

    /// Actions with a key leave gaps between the ordinals.
    fn json(&self, ordinal: u16) -> Option<&[u8]> {
        let of = |shelved: &ArchivedShelved<'_>| shelved.row.id.ordinal.to_native();
        let at = self.instances.binary_search_by_key(&ordinal, of).ok()?;
        Some(&self.instances[at].json)
    }

    pub(super) fn has_instance(&self, ordinal: u16) -> bool {
        self.json(ordinal).is_some()
    }
}

/// The newest rows so far, at most a page of them.
struct Page {
    limit: usize,
    rows: BTreeMap<(UnixMicros, InstanceId), ListedInstance>,
    /// Whether older ones were left out.
    more: bool,
}

impl Page {
    fn new(query: &InstancesQuery) -> Self {
        Self { limit: query.limit as usize, rows: BTreeMap::new(), more: false }
    }

    fn add(&mut self, row: ListedInstance) {
        self.rows.insert(row.place(), row);
        if self.rows.len() > self.limit {
            self.rows.pop_first();
            self.more = true;
        }
    }

    /// Whether the page is full of rows that started after this.
    fn is_full_of_later(&self, at: UnixMicros) -> bool {
        let oldest = self.rows.first_key_value();
        self.rows.len() == self.limit && oldest.is_some_and(|((started, _), _)| *started > at)
    }

    fn newest_first(self) -> Vec<ListedInstance> {
        self.rows.into_values().rev().collect()
    }
}

/// A core's part of a page: the newest rows that are asked for, and whether there may be more.
pub(crate) fn list<'a>(
    partitions: impl Iterator<Item = &'a Partition>,
    query: &InstancesQuery,
) -> (Vec<ListedInstance>, bool) {
    let mut page = Page::new(query);
    for partition in partitions {
        partition.list(query, &mut page);
    }
    let more = page.more;
    (page.newest_first(), more)
}

/// The page made of all cores' parts.
pub(crate) fn page(query: &InstancesQuery, rows: Vec<ListedInstance>, more: bool) -> Response {
    let mut page = Page::new(query);
    page.more = more;
    for row in rows {
        page.add(row);
    }
    let more = page.more;
    let rows = page.newest_first();
    let instances: Vec<InstanceSummary<'_>> = rows.iter().map(ListedInstance::summary).collect();
    let next = instances.last().filter(|_| more).map(InstanceSummary::cursor);
    let mut body = Vec::new();
    InstancesView { instances: &instances, next }.write(&mut body);
    Response::json(200, body)
}
