//! Reads workflows from a file and checks everything that can be checked before one runs.
//!
//! Every fault of a file is reported, each with its place; a definition with a fault does not
//! exist. What the language knows but this version does not run is refused as "not supported yet",
//! so that no file changes its meaning later.

use crate::definition::{Definition, OnFailure, RunIf, Task, TaskIndex, Work};
use crate::expressions::{Reader, Seen};
use crate::graph::{Graph, TASKS_MAX};
use crate::http;
use crate::retry::{Backoff, Jitter, RETRIES_MAX, Retry};
use crate::types::{self, Plugins};
use base::limits::NAME_BYTES_MAX;
use document::{Fault, Faults, Fields, Kind, Node, Source, Span};
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest definition, as canonical JSON. Unit: bytes. It is a part of one record of the log.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;

/// Workflows in one file.
pub const WORKFLOWS_MAX: usize = 1_000;

const _: () = assert!(4 * DEFINITION_BYTES_MAX <= base::limits::ENTRY_BYTES_MAX);

/// Keys of a workflow that the language knows and this version does not run.
const WORKFLOW_NOT_YET: [&str; 5] = ["input", "key", "concurrency", "priority", "retention"];

/// The same of a task.
const TASK_NOT_YET: [&str; 4] = ["for_each", "repeat", "heartbeat", "compensate"];

/// Reads the workflows of a text: `workflow:` with one, `workflows:` with a list, or the map of one
/// workflow itself, as a definition's canonical JSON is. Tasks may be of the types that are built in,
/// and of these plugins.
///
/// # Errors
/// Everything that is wrong with the text, in the order of the text.
pub fn parse(source: Source<'_>, plugins: Plugins<'_>) -> Result<Vec<Definition>, Faults> {
    let node = document::parse(source)?;
    let mut loader = Loader { source, plugins, faults: Vec::new() };
    let definitions = loader.file(&node);
    if loader.faults.is_empty() {
        return Ok(definitions);
    }
    loader.faults.sort_by_key(|fault| fault.span);
    Err(Faults(loader.faults))
}

/// Reads a text and collects what is wrong with it.
pub(crate) struct Loader<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) plugins: Plugins<'a>,
    pub(crate) faults: Vec<Fault>,
}

/// A task of which the id is known and the rest is not read yet.
struct Draft<'a> {
    id: &'a str,
    fields: Fields<'a>,
    depends_on: &'a [Node],
}

/// What a workflow says about all of its tasks.
#[derive(Default)]
struct Defaults {
    retry: Option<Retry>,
    timeout: Option<Duration>,
}

impl<'a> Loader<'a> {
    /// What a reading gave; where it failed the fault is kept.
    pub(crate) fn keep<T>(&mut self, reading: Result<T, Fault>) -> Option<T> {
        reading.map_err(|fault| self.faults.push(fault)).ok()
    }

    pub(crate) fn fault(&mut self, span: Span, what: impl Into<String>) {
        self.faults.push(Fault::at(self.source, span, what));
    }

    /// A fault for every key of a map that nobody asked for.
    pub(crate) fn finish(&mut self, fields: Fields<'_>) {
        self.faults.extend(fields.finish());
    }

    fn file(&mut self, node: &'a Node) -> Vec<Definition> {
        let is_one = node.get("id").is_some() || node.get("tasks").is_some();
        if is_one && node.get("workflow").is_none() && node.get("workflows").is_none() {
            return self.workflow(node).into_iter().collect();
        }
        let Some(mut fields) = self.keep(Fields::of(self.source, node, "a file of workflows"))
        else {
            return Vec::new();
        };
        let single = fields.take("workflow");
        let several = fields.list("workflows");
        if single.is_none() && matches!(several, Ok(None)) {
            self.faults.push(fields.missing("workflow"));
        }
        let several = self.keep(several).flatten().unwrap_or_default();
        self.finish(fields);
        if several.len() > WORKFLOWS_MAX {
            let what =
                format!("too many workflows: {}, the limit is {WORKFLOWS_MAX}", several.len());
            self.fault(node.span, what);
            return Vec::new();
        }
        let nodes = single.into_iter().chain(several);
        let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
        let mut definitions = Vec::new();
        for node in nodes {
            let id = node.get("id").and_then(|id| Some((id.as_text()?, id.span)));
            if let Some((id, span)) = id
                && let Some(line) = lines.insert(id, span.line)
            {
                self.fault(span, format!("line {line} has a workflow `{id}` already"));
            }
            definitions.extend(self.workflow(node));
        }
        definitions
    }

    fn workflow(&mut self, node: &'a Node) -> Option<Definition> {
        let faults_before = self.faults.len();
        let mut fields = self.keep(Fields::of(self.source, node, "a workflow"))?;
        let id = self.id(&mut fields, "workflow");
        // For people alone; it stays in the source.
        self.keep(fields.text("description"));
        let version = self.keep(fields.whole("version", 1..=i64::from(u32::MAX))).flatten();
        let timeout = self.timeout(&mut fields);
        let on_failure = self.on_failure(&mut fields);
        let defaults = self.defaults(&mut fields);
        let drafts = self.drafts(&mut fields);
        let output = fields.take("output");
        self.not_yet(&mut fields, &WORKFLOW_NOT_YET);
        self.finish(fields);

        let ids: Vec<&str> = drafts.iter().map(|draft| draft.id).collect();
        let mut by_id: Vec<TaskIndex> = (0..ids.len()).map(TaskIndex::new).collect();
        by_id.sort_by_key(|task| ids[task.index()]);
        let graph = self.graph(&ids, &drafts);
        let reader = Reader { ids: &ids, graph: graph.as_ref() };
        let mut tasks = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            tasks.extend(self.task(&reader, TaskIndex::new(index), draft, &defaults));
        }
        let output = output.and_then(|output| reader.tree(self, output, Seen::All));

        let source = node.to_json();
        if source.len() > DEFINITION_BYTES_MAX {
            let what = format!(
                "the workflow is too large: {} bytes as JSON, the limit is {DEFINITION_BYTES_MAX}",
                source.len()
            );
            self.fault(node.span, what);
        }
        if self.faults.len() > faults_before {
            return None;
        }
        Some(Definition {
            id: id?.to_owned(),
            version: u32::try_from(version.unwrap_or(1)).expect("the range was checked"),
            timeout,
            on_failure,
            tasks,
            hash: base::hash64(source.as_bytes()),
            source,
            output,
            default_retry: defaults.retry,
            graph: graph?,
            by_id,
        })
    }

    /// An id, kept even where it has a fault: others may refer to it.
    fn id(&mut self, fields: &mut Fields<'a>, what: &str) -> Option<&'a str> {
        let id = self.keep(fields.require_text("id"))?;
        let known = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if id.is_empty() || id.len() > NAME_BYTES_MAX || !id.bytes().all(known) {
            let span = fields.take("id").map_or(fields.span(), |node| node.span);
            let shown: String = id.chars().take(40).collect();
            let fault = Fault::at(self.source, span, format!("`{shown}` is no id of a {what}"));
            let rule = format!("1 to {NAME_BYTES_MAX} of the characters A-Z a-z 0-9 _ . -");
            self.faults.push(fault.hint(rule));
        }
        Some(id)
    }

    /// Refuses keys whose meaning is fixed but not built.
    fn not_yet(&mut self, fields: &mut Fields<'a>, keys: &[&'static str]) {
        for key in keys {
            // Asking for a key makes it one that is offered to whoever mistypes another.
            if fields.has(key)
                && let Some(entry) = fields.entry(key)
            {
                self.fault(entry.key_span, format!("`{key}` is not supported yet"));
            }
        }
    }

    fn timeout(&mut self, fields: &mut Fields<'a>) -> Option<Duration> {
        let node = fields.take("timeout")?;
        let timeout = self.keep(document::duration(self.source, node))?;
        if timeout.is_zero() {
            self.fault(node.span, "a timeout must be longer than nothing");
        }
        Some(timeout)
    }

    fn on_failure(&mut self, fields: &mut Fields<'a>) -> OnFailure {
        let choice = self.choice(
            fields,
            "on_failure",
            &[
                ("stop", Some(OnFailure::Stop)),
                ("continue", Some(OnFailure::Continue)),
                ("compensate", None),
            ],
        );
        choice.unwrap_or(OnFailure::Stop)
    }

    /// One of a few words; a word without a meaning is one that is not supported yet.
    fn choice<T: Copy>(
        &mut self,
        fields: &mut Fields<'a>,
        key: &'static str,
        words: &[(&str, Option<T>)],
    ) -> Option<T> {
        let word = self.keep(fields.text(key)).flatten()?;
        let span = fields.take(key).map_or(fields.span(), |node| node.span);
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, Some(meaning))) => return Some(*meaning),
            Some((_, None)) => self.fault(span, format!("`{key}: {word}` is not supported yet")),
            None => {
                let known: Vec<&str> =
                    words.iter().filter(|(_, m)| m.is_some()).map(|(word, _)| *word).collect();
                let fault = Fault::at(self.source, span, format!("`{key}` cannot be `{word}`"));
                self.faults.push(fault.expecting(word, &known));
            }
        }
        None
    }

    fn defaults(&mut self, fields: &mut Fields<'a>) -> Defaults {
        let Some(node) = fields.take("defaults") else { return Defaults::default() };
        let Some(mut fields) = self.keep(Fields::of(self.source, node, "`defaults`")) else {
            return Defaults::default();
        };
        let reader = Reader { ids: &[], graph: None };
        let retry =
            fields.take("retry").and_then(|retry| self.retry(&reader, retry, Seen::Nothing));
        let timeout = self.timeout(&mut fields);
        self.finish(fields);
        Defaults { retry, timeout }
    }

    fn drafts(&mut self, fields: &mut Fields<'a>) -> Vec<Draft<'a>> {
        let tasks = fields.require("tasks").and_then(|node| {
            node.as_list().ok_or_else(|| fields.unexpected("tasks", "a list", node))
        });
        let Some(nodes) = self.keep(tasks) else { return Vec::new() };
        let span = fields.take("tasks").map_or(fields.span(), |node| node.span);
        if nodes.is_empty() || nodes.len() > TASKS_MAX {
            let count = nodes.len();
            self.fault(
                span,
                format!("a workflow has 1 to {TASKS_MAX} tasks, this one has {count}"),
            );
            return Vec::new();
        }
        let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
        let mut drafts = Vec::with_capacity(nodes.len());
        for node in nodes {
            let Some(mut fields) = self.keep(Fields::of(self.source, node, "a task")) else {
                continue;
            };
            let Some(id) = self.id(&mut fields, "task") else { continue };
            let span = fields.take("id").map_or(fields.span(), |node| node.span);
            if let Some(line) = lines.get(id) {
                self.fault(span, format!("line {line} has a task `{id}` already"));
                continue;
            }
            lines.insert(id, span.line);
            let depends_on = self.keep(fields.list("depends_on")).flatten().unwrap_or_default();
            drafts.push(Draft { id, fields, depends_on });
        }
        drafts
    }

    /// The graph; none where a dependency has a fault.
    fn graph(&mut self, ids: &[&str], drafts: &[Draft<'a>]) -> Option<Graph> {
        let faults_before = self.faults.len();
        let mut dependencies = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let mut list: Vec<TaskIndex> = Vec::with_capacity(draft.depends_on.len());
            for node in draft.depends_on {
                let Some(name) = node.as_text() else {
                    let what =
                        format!("the id of a task was expected, this is {}", node.kind_name());
                    self.fault(node.span, what);
                    continue;
                };
                let Some(place) = ids.iter().position(|id| *id == name) else {
                    let what = format!("`{}` waits for `{name}`, which is no task", draft.id);
                    let fault = Fault::at(self.source, node.span, what);
                    self.faults.push(fault.expecting(name, ids));
                    continue;
                };
                let before = TaskIndex::new(place);
                if list.contains(&before) {
                    self.fault(node.span, format!("`{name}` is listed twice"));
                    continue;
                }
                list.push(before);
            }
            dependencies.push(list);
        }
        if self.faults.len() > faults_before {
            return None;
        }
        match Graph::new(dependencies) {
            Ok(graph) => Some(graph),
            Err(cycle) => {
                self.cycle(ids, drafts, &cycle);
                None
            }
        }
    }

    fn cycle(&mut self, ids: &[&str], drafts: &[Draft<'a>], cycle: &[TaskIndex]) {
        let names: Vec<&str> =
            cycle.iter().chain(&cycle[..1]).map(|task| ids[task.index()]).collect();
        let first = &drafts[cycle[0].index()];
        let span = first
            .depends_on
            .iter()
            .find(|node| node.as_text() == Some(names[1]))
            .map_or(first.fields.span(), |node| node.span);
        let what = format!("the tasks wait for each other: {}", names.join(" -> "));
        self.fault(span, what);
    }

    fn task(
        &mut self,
        reader: &Reader<'_>,
        task: TaskIndex,
        draft: Draft<'a>,
        defaults: &Defaults,
    ) -> Option<Task> {
        let Draft { id, mut fields, depends_on } = draft;
        let seen = Seen::Before(task);
        let work = types::work(self, reader, &mut fields, task);
        let when = fields.take("when").and_then(|when| reader.condition(self, "when", when, seen));
        let run_if = self.run_if(&mut fields, depends_on);
        let retry = fields.take("retry").and_then(|retry| self.retry(reader, retry, seen));
        let own_timeout = self.timeout(&mut fields);
        self.not_yet(&mut fields, &TASK_NOT_YET);
        self.finish(fields);
        let work = work?;
        let timeout = match work {
            Work::Http { .. } => own_timeout.or(defaults.timeout).or(Some(http::TIMEOUT_DEFAULT)),
            Work::Plugin(_) => own_timeout.or(defaults.timeout),
            // A default is meant for what can hang; a delay takes as long as it says.
            _ => own_timeout,
        };
        Some(Task { id: id.to_owned(), run_if, timeout, work, when, retry })
    }

    fn run_if(&mut self, fields: &mut Fields<'a>, depends_on: &[Node]) -> RunIf {
        let words = [
            ("success", Some(RunIf::Success)),
            ("failure", Some(RunIf::Failure)),
            ("always", Some(RunIf::Always)),
        ];
        let run_if = self.choice(fields, "run_if", &words).unwrap_or(RunIf::Success);
        if run_if == RunIf::Failure && depends_on.is_empty() {
            let span = fields.take("run_if").map_or(fields.span(), |node| node.span);
            let fault =
                Fault::at(self.source, span, "nothing comes before this task that could fail");
            self.faults.push(fault.hint("name what it watches in `depends_on`"));
        }
        run_if
    }

    fn retry(&mut self, reader: &Reader<'_>, node: &'a Node, seen: Seen) -> Option<Retry> {
        let range = 0..=i64::from(RETRIES_MAX);
        if let Kind::Int(max) = node.kind {
            if range.contains(&max) {
                return Some(Retry::times(u32::try_from(max).expect("the range was checked")));
            }
            let what = format!("`retry` is out of range: {max} is not in 0 to {RETRIES_MAX}");
            self.fault(node.span, what);
            return None;
        }
        if node.as_map().is_none() {
            let what = format!(
                "`retry` must be how many more attempts there are, or a map, this is {}",
                node.kind_name()
            );
            self.fault(node.span, what);
            return None;
        }
        let mut fields = self.keep(Fields::of(self.source, node, "`retry`"))?;
        let max = match self.keep(fields.whole("max", range)) {
            Some(None) => {
                self.faults.push(fields.missing("max"));
                None
            }
            max => max.flatten(),
        };
        let backoffs =
            [("exponential", Some(Backoff::Exponential)), ("fixed", Some(Backoff::Fixed))];
        let jitters = [("full", Some(Jitter::Full)), ("none", Some(Jitter::None))];
        let backoff = self.choice(&mut fields, "backoff", &backoffs);
        let jitter = self.choice(&mut fields, "jitter", &jitters);
        let first = self.keep(fields.duration("first")).flatten();
        let cap = self.keep(fields.duration("cap")).flatten();
        let unless = fields
            .take("unless")
            .and_then(|unless| reader.condition(self, "unless", unless, seen.with_error()));
        if let (Some(first), Some(cap)) = (first, cap)
            && first > cap
        {
            let span = fields.take("first").map_or(fields.span(), |node| node.span);
            self.fault(span, "`first` is longer than `cap`");
        }
        self.finish(fields);
        let plain = Retry::times(u32::try_from(max?).expect("the range was checked"));
        let first = first.unwrap_or(plain.first);
        Some(Retry {
            backoff: backoff.unwrap_or(plain.backoff),
            jitter: jitter.unwrap_or(plain.jitter),
            first,
            cap: cap.unwrap_or(plain.cap.max(first)),
            unless,
            ..plain
        })
    }
}

#[cfg(test)]
mod tests;
