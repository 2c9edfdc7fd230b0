//! Rule and workflow files, read and checked here as a node would.

use crate::Trouble;
use crate::table::{plain, write_table};
use anyhow::{Context as _, anyhow};
use base::limits::MESSAGE_BYTES_MAX;
use document::{Fault, Source};
use rules::{Catalogue, Matcher, Matches, Rule};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Reads `path`, or standard input for `-`, up to `bytes_max` bytes. What is longer is cut one byte
/// behind the limit, so that its reader finds it too large.
fn read(path: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    if is_standard_input(path) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    }
    .with_context(|| format!("cannot read {}", name(path)))?;
    Ok(bytes)
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name that faults are shown with.
fn name(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn read_text(path: &Path) -> Result<String, Trouble> {
    let bytes = read(path, document::TEXT_BYTES_MAX).map_err(input)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        input(anyhow!("{}: not UTF-8 at byte {at}", name(path)))
    })
}

fn input(error: anyhow::Error) -> Trouble {
    Trouble::Input(Some(error))
}

/// What is to be said about one file.
#[derive(Debug, Default)]
struct Verdict {
    file: String,
    /// What was found, in words.
    summary: String,
    /// The ids that were found.
    ids: Vec<String>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// `rules check`
pub(crate) fn check_rules(
    files: &[PathBuf],
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut verdicts = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for path in files {
        let (file, text) = (name(path), read_text(path)?);
        let source = Source { name: &file, text: &text };
        let mut verdict = Verdict { file: file.clone(), ..Verdict::default() };
        match rules::parse(source) {
            Err(faults) => verdict.faults = faults.0,
            Ok(rules) => {
                lint(source, &rules, &mut verdict);
                for rule in &rules {
                    if let Some(first) = seen.insert(rule.id.clone(), file.clone()) {
                        let what = format!("the rule id `{}` is in {first} too", rule.id);
                        let hint = "of two rules with one id, the one uploaded last stays";
                        verdict.warnings.push(Fault::at(source, rule.span, what).hint(hint));
                    }
                }
            }
        }
        verdicts.push(verdict);
    }
    tell(&verdicts, json, out)
}

/// Runs a file's tests and looks at what may not be meant as it is written.
fn lint(source: Source<'_>, rules: &[Rule], verdict: &mut Verdict) {
    // A test that fails is a fault: its author said what should be. Everything else is a doubt.
    let is_test = |fault: &Fault| {
        rules.iter().flat_map(|rule| &rule.tests).any(|test| test.span == fault.span)
    };
    (verdict.faults, verdict.warnings) = rules::lint(source, rules).into_iter().partition(is_test);
    verdict.ids = rules.iter().map(|rule| rule.id.clone()).collect();
    let tests: usize = rules.iter().map(|rule| rule.tests.len()).sum();
    let passed = tests - verdict.faults.len().min(tests);
    verdict.summary =
        format!("{}, {passed} of {} passed", counted(rules.len(), "rule"), counted(tests, "test"));
}

/// `definitions check`
pub(crate) fn check_definitions(
    files: &[PathBuf],
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut verdicts = Vec::new();
    for path in files {
        let (file, text) = (name(path), read_text(path)?);
        let mut verdict = Verdict { file: file.clone(), ..Verdict::default() };
        match flow::parse(Source { name: &file, text: &text }) {
            Err(faults) => verdict.faults = faults.0,
            Ok(definitions) => {
                let told: Vec<_> = definitions
                    .iter()
                    .map(|definition| {
                        let tasks = counted(definition.tasks.len(), "task");
                        format!("{} version {} with {tasks}", definition.id, definition.version)
                    })
                    .collect();
                let count = counted(definitions.len(), "workflow");
                verdict.summary = format!("{count}: {}", told.join(", "));
                verdict.ids = definitions.into_iter().map(|definition| definition.id).collect();
            }
        }
        verdicts.push(verdict);
    }
    tell(&verdicts, json, out)
}

/// Prints what was found; wrong files are an error.
fn tell(verdicts: &[Verdict], json: bool, out: &mut dyn Write) -> Result<(), Trouble> {
    if json {
        let files: Vec<_> = verdicts.iter().map(Verdict::to_json).collect();
        writeln!(out, "{}", json!({ "files": files }))?;
    } else {
        for verdict in verdicts {
            for fault in &verdict.faults {
                writeln!(out, "{}", plain(&fault.to_string()))?;
            }
            for warning in &verdict.warnings {
                writeln!(out, "warning: {}", plain(&warning.to_string()))?;
            }
            let file = plain(&verdict.file);
            if verdict.summary.is_empty() {
                writeln!(out, "{file}: {}", counted(verdict.faults.len(), "fault"))?;
            } else {
                writeln!(out, "{file}: {}", plain(&verdict.summary))?;
            }
        }
    }
    if verdicts.iter().all(|verdict| verdict.faults.is_empty()) {
        Ok(())
    } else {
        Err(Trouble::Input(None))
    }
}

impl Verdict {
    fn to_json(&self) -> Value {
        let list = |faults: &[Fault]| faults.iter().map(fault_json).collect::<Vec<_>>();
        json!({
            "file": self.file,
            "ids": self.ids,
            "faults": list(&self.faults),
            "warnings": list(&self.warnings),
        })
    }
}

fn fault_json(fault: &Fault) -> Value {
    json!({
        "file": fault.file,
        "line": fault.span.line,
        "column": fault.span.column,
        "what": fault.what,
        "hint": fault.hint,
    })
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// `rules test`
pub(crate) fn test_rules(
    rules: &Path,
    message: &Path,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if is_standard_input(rules) && is_standard_input(message) {
        return Err(input(anyhow!("the rules and the message cannot both be standard input")));
    }
    let (file, text) = (name(rules), read_text(rules)?);
    let parsed = rules::parse(Source { name: &file, text: &text })
        .map_err(|faults| input(anyhow!("the rules are wrong\n{faults}")))?;
    let bytes = read(message, MESSAGE_BYTES_MAX).map_err(input)?;
    let catalogue = Catalogue::compile(parsed);
    let mut matches = Matches::new();
    Matcher::new()
        .matches(&catalogue, &bytes, &mut matches)
        .map_err(|error| input(anyhow!("{}: {error}", name(message))))?;
    let rules: Vec<_> = matches.iter().map(|index| catalogue.rule(*index)).collect();
    if json {
        let ids: Vec<_> = rules.iter().map(|rule| &rule.id).collect();
        writeln!(out, "{}", json!({ "matched": ids }))?;
    } else if rules.is_empty() {
        writeln!(out, "none of {} matches", counted(catalogue.len(), "enabled rule"))?;
    } else {
        let rows: Vec<_> = rules.iter().map(|rule| matched_json(rule)).collect();
        let columns = [
            ("PRIORITY", "priority"),
            ("RULE", "id"),
            ("VERSION", "version"),
            ("WORKFLOWS", "workflows"),
        ];
        write_table(out, &columns, Some(&Value::from(rows)))?;
    }
    Ok(())
}

fn matched_json(rule: &Rule) -> Value {
    let workflows: Vec<_> = rule.actions.iter().map(|action| &action.workflow).collect();
    json!({
        "priority": rule.priority,
        "id": rule.id,
        "version": rule.version,
        "workflows": workflows,
    })
}

#[cfg(test)]
mod tests;
