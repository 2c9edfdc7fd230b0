//! `rules check` and `definitions check`: files, read and checked here as a node would.

use crate::Trouble;
use crate::files::{self, Text};
use crate::table::plain;
use anyhow::anyhow;
use document::{Fault, Faults, Kind, Node, Source, Span};
use flow::Plugins;
use rules::Rule;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

/// A file, what is in it, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    pub(crate) text: Text,
    /// Empty when the file has faults that keep it from being read.
    pub(crate) items: Vec<T>,
    /// What is wrong.
    pub(crate) faults: Vec<Fault>,
    /// What is legal and probably not meant.
    pub(crate) warnings: Vec<Fault>,
    /// Tests that could not run.
    pub(crate) not_run: usize,
    /// What was found, in words; empty when it could not be read.
    summary: String,
}

/// What both kinds of files hold.
pub(crate) trait Item: Sized {
    /// For people: one of it.
    const NAME: &'static str;
    /// All of them, in the node's paths and answers.
    const COLLECTION: &'static str;
    /// Whether a node replaces all of them at once.
    const IS_REPLACEABLE: bool;
    /// Reads a file; workflows may name these plugins.
    fn parse(text: &Text, plugins: Plugins<'_>) -> Result<Vec<Self>, Faults>;
    fn id(&self) -> &str;
    fn version(&self) -> u32;
    /// Canonical JSON.
    fn source(&self) -> &str;
    /// How it differs from what a node holds under its id.
    fn difference(&self, there: &str) -> Difference {
        if self.source() == there { Difference::None } else { Difference::Text }
    }
    /// A fault at its place.
    fn fault(&self, text: &Text, what: String) -> Fault;
    /// Looks at the files that could be read, as one set: what may not be meant as it is written,
    /// what is in them.
    fn lint(files: &mut [Checked<Self>]);
}

/// How two texts under one id differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// In nothing that means something.
    None,
    /// In whether a rule is looked at: it stays the same version.
    Enabled,
    /// In anything else.
    Text,
}

impl Item for Rule {
    const NAME: &'static str = "rule";
    const COLLECTION: &'static str = "rules";
    const IS_REPLACEABLE: bool = true;

    fn parse(text: &Text, _: Plugins<'_>) -> Result<Vec<Self>, Faults> {
        rules::parse(text.source())
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn difference(&self, there: &str) -> Difference {
        let there_enabled = |node: &Node| node.get("enabled").and_then(Node::as_bool);
        match (without_enabled(there), without_enabled(&self.source)) {
            (Some((node, there)), Some((_, here))) if there == here => {
                // A rule that says nothing of it is enabled.
                let is_same = there_enabled(&node).unwrap_or(true) == self.enabled;
                if is_same { Difference::None } else { Difference::Enabled }
            }
            _ => Difference::Text,
        }
    }

    fn fault(&self, text: &Text, what: String) -> Fault {
        Fault::at(text.source(), self.span, what)
    }

    /// Runs the tests, too.
    fn lint(files: &mut [Checked<Self>]) {
        let readable = files.iter().filter(|file| file.faults.is_empty());
        let readable: Vec<(Source<'_>, &[Rule])> =
            readable.map(|file| (file.text.source(), &*file.items)).collect();
        let found = rules::lint(&readable);
        let (mut faults, mut doubts) = (by_file(found.faults), by_file(found.doubts));
        for file in files.iter_mut().filter(|file| file.faults.is_empty()) {
            let name = &file.text.name;
            file.faults.extend(faults.remove(name).unwrap_or_default());
            file.warnings.extend(doubts.remove(name).unwrap_or_default());
            let places: BTreeSet<Span> =
                file.items.iter().flat_map(|rule| &rule.tests).map(|test| test.span).collect();
            let failed = file.faults.iter().filter(|fault| places.contains(&fault.span)).count();
            file.not_run = found.not_run.get(name).copied().unwrap_or(0);
            let tests = tests_told(count_tests(file), failed, file.not_run);
            file.summary = format!("{}, {tests}", counted(file.items.len(), "rule"));
        }
    }
}

fn by_file(faults: Vec<Fault>) -> BTreeMap<String, Vec<Fault>> {
    let mut by_file: BTreeMap<String, Vec<Fault>> = BTreeMap::new();
    for fault in faults {
        by_file.entry(fault.file.clone()).or_default().push(fault);
    }
    by_file
}

/// A rule's text as it was, and without saying whether it is enabled.
fn without_enabled(text: &str) -> Option<(Node, String)> {
    let node = document::parse(Source { name: "a rule", text }).ok()?;
    let mut rest = node.clone();
    if let Kind::Map(entries) = &mut rest.kind {
        entries.retain(|entry| entry.key != "enabled");
    }
    Some((node, rest.to_json()))
}

impl Item for flow::Definition {
    const NAME: &'static str = "workflow";
    const COLLECTION: &'static str = "definitions";
    const IS_REPLACEABLE: bool = false;

    fn parse(text: &Text, plugins: Plugins<'_>) -> Result<Vec<Self>, Faults> {
        flow::parse(text.source(), plugins)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn fault(&self, text: &Text, what: String) -> Fault {
        Fault::nowhere(text.source(), what)
    }

    fn lint(files: &mut [Checked<Self>]) {
        for file in files.iter_mut().filter(|file| file.faults.is_empty()) {
            let told = file.items.iter().map(|definition| {
                let tasks = counted(definition.tasks.len(), "task");
                format!("{} version {} with {tasks}", definition.id, definition.version)
            });
            let told: Vec<_> = told.collect();
            file.summary = format!("{}: {}", counted(told.len(), "workflow"), told.join(", "));
        }
    }
}

/// Reads the files and folders as one set. An id that is there twice in one folder, or in what is
/// `one_set` by itself, is a fault; in files that are named one by one it is a warning: they may be
/// meant one by one.
pub(crate) fn read<T: Item>(
    paths: &[PathBuf],
    one_set: bool,
    plugins: Plugins<'_>,
) -> Result<Vec<Checked<T>>, Trouble> {
    let mut seen: BTreeMap<String, (String, usize)> = BTreeMap::new();
    let mut files = Vec::new();
    for mut text in files::texts(paths)? {
        let parsed = match text.fault.take() {
            Some(fault) => Err(fault.into()),
            None => T::parse(&text, plugins),
        };
        let (items, faults) = match parsed {
            Ok(items) => (items, Vec::new()),
            Err(faults) => (Vec::new(), faults.0),
        };
        let mut file = Checked {
            text,
            items,
            faults,
            warnings: Vec::new(),
            not_run: 0,
            summary: String::new(),
        };
        for item in &file.items {
            let here = (file.text.name.clone(), file.text.argument);
            let Some((first, argument)) = seen.insert(item.id().to_owned(), here) else { continue };
            let what = format!("the {} id `{}` is in {first} too", T::NAME, item.id());
            let fault = item.fault(&file.text, what);
            if one_set || argument == file.text.argument {
                file.faults.push(fault.hint("an id stands for one text: rename one or remove it"));
            } else {
                let hint = format!("of two {}s with one id, the one uploaded last stays", T::NAME);
                file.warnings.push(fault.hint(hint));
            }
        }
        files.push(file);
    }
    Ok(files)
}

/// Fails with every fault of the files.
pub(crate) fn refuse_faults<T>(files: &[Checked<T>], what: &str) -> Result<(), Trouble> {
    let faults: Vec<Fault> = files.iter().flat_map(|file| file.faults.clone()).collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(files::input(anyhow!("{what}\n{}", Faults(faults))))
}

/// The rules of the files, if nothing is wrong with any.
pub(crate) fn rules_of(paths: &[PathBuf]) -> Result<Vec<Checked<Rule>>, Trouble> {
    let files = read::<Rule>(paths, true, Plugins::Known(&[]))?;
    refuse_faults(&files, "the rules are wrong")?;
    Ok(files)
}

pub(crate) fn count_tests(file: &Checked<Rule>) -> usize {
    file.items.iter().map(|rule| rule.tests.len()).sum()
}

/// How tests went, of which some failed, and others could not run.
pub(crate) fn tests_told(tests: usize, failed: usize, not_run: usize) -> String {
    if tests == 0 {
        return "no tests".to_owned();
    }
    let passed = tests.saturating_sub(failed + not_run);
    let told = format!("{passed} of {} passed", counted(tests, "test"));
    if not_run == 0 { told } else { format!("{told}, {not_run} could not run") }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) paths: &'a [PathBuf],
    /// Types that are taken to be there.
    pub(crate) plugins: &'a [String],
    /// Doubts are failures, too.
    pub(crate) strict: bool,
    pub(crate) json: bool,
}

/// `rules check`, `definitions check`
pub(crate) fn check<T: Item>(asked: &Asked<'_>, out: &mut dyn Write) -> Result<(), Trouble> {
    let plugins: Vec<&str> = asked.plugins.iter().map(String::as_str).collect();
    let mut files = read::<T>(asked.paths, false, Plugins::Known(&plugins))?;
    files.iter_mut().for_each(name_the_option);
    T::lint(&mut files);
    tell(&files, asked, out)
}

/// What would be right with a plugin of that name is told so: which plugins there are, nobody here
/// knows.
fn name_the_option<T: Item>(file: &mut Checked<T>) {
    if file.faults.is_empty() {
        return;
    }
    let left = T::parse(&file.text, Plugins::Any).err().map(|faults| faults.0).unwrap_or_default();
    let is_left =
        |fault: &Fault| left.iter().any(|one| (one.span, &one.what) == (fault.span, &fault.what));
    for fault in file.faults.iter_mut().filter(|fault| !is_left(fault)) {
        let option = "where it is a plugin's, say so: --plugins NAME,…";
        let known = fault.hint.take().map(|hint| format!("{hint}; ")).unwrap_or_default();
        fault.hint = Some(known + option);
    }
}

/// Prints what was found; wrong files are an error.
fn tell<T: Item>(
    files: &[Checked<T>],
    asked: &Asked<'_>,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if asked.json {
        let files: Vec<_> = files.iter().map(Checked::to_json).collect();
        writeln!(out, "{}", json!({ "files": files }))?;
    } else {
        for file in files {
            if !file.faults.is_empty() {
                writeln!(out, "{}", plain(&Faults(file.faults.clone()).to_string()))?;
            }
            for warning in &file.warnings {
                writeln!(out, "warning: {}", plain(&warning.to_string()))?;
            }
            writeln!(out, "{}: {}", plain(&file.text.name), plain(&file.verdict()))?;
        }
    }
    if files.iter().any(|file| !file.faults.is_empty()) {
        Err(Trouble::Input(None))
    } else if asked.strict && files.iter().any(|file| !file.warnings.is_empty()) {
        Err(Trouble::Doubt)
    } else {
        Ok(())
    }
}

impl<T: Item> Checked<T> {
    fn verdict(&self) -> String {
        let mut parts = vec![self.summary.clone()];
        if self.summary.is_empty() {
            parts[0] = counted(self.faults.len(), "fault");
        }
        if !self.warnings.is_empty() {
            parts.push(counted(self.warnings.len(), "warning"));
        }
        parts.join(", ")
    }

    fn to_json(&self) -> Value {
        let ids: Vec<_> = self.items.iter().map(Item::id).collect();
        json!({
            "file": self.text.name,
            "ids": ids,
            "faults": faults_json(&self.faults),
            "warnings": faults_json(&self.warnings),
        })
    }
}

pub(crate) fn faults_json(faults: &[Fault]) -> Value {
    let one = |fault: &Fault| {
        json!({
            "file": fault.file,
            "line": fault.span.line,
            "column": fault.span.column,
            "what": fault.what,
            "hint": fault.hint,
        })
    };
    faults.iter().map(one).collect()
}

pub(crate) fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

#[cfg(test)]
mod tests;
