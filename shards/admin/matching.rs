//! `rules test`: which rules of a file match a message, and whether the file's own tests pass.

use crate::Trouble;
use crate::check::{self, Item as _, counted};
use crate::files::{self, input};
use crate::table::{plain, write_table};
use anyhow::anyhow;
use base::limits::MESSAGE_BYTES_MAX;
use document::{Fault, Faults};
use rules::{Catalogue, Matcher, Matches, Rule};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A message out of a file. Whether it is one, the matcher says.
pub(crate) fn read_message(rules: &Path, message: &Path) -> Result<Vec<u8>, Trouble> {
    if files::is_standard_input(rules) && files::is_standard_input(message) {
        return Err(input(anyhow!("the rules and the message cannot both be standard input")));
    }
    files::read(message, MESSAGE_BYTES_MAX).map_err(input)
}

/// `rules test`. Without a message the tests in the files alone.
pub(crate) fn test(
    rules: &PathBuf,
    message: Option<&Path>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let read = |path| read_message(rules, path).map(|bytes| (path, bytes));
    let message = message.map(read).transpose()?;
    let mut files = check::rules_of(std::slice::from_ref(rules))?;
    let tests: usize = files.iter().map(check::count_tests).sum();
    Rule::lint(&mut files);
    let not_run: usize = files.iter().map(|file| file.not_run).sum();
    let failed: Vec<Fault> =
        files.iter_mut().flat_map(|file| std::mem::take(&mut file.faults)).collect();
    if let Some((path, bytes)) = message {
        let rules = files.into_iter().flat_map(|file| file.items).collect();
        let (catalogue, mut matches) = (Catalogue::compile(rules), Matches::new());
        Matcher::new()
            .matches(&catalogue, &bytes, &mut matches)
            .map_err(|error| input(anyhow!("{}: {error}", files::name(path))))?;
        let fired: Vec<_> = matches.iter().map(|index| catalogue.rule(*index)).collect();
        print(&fired, &catalogue, json, out)?;
    } else if json {
        let passed = tests.saturating_sub(failed.len() + not_run);
        let failed = check::faults_json(&failed);
        writeln!(out, "{}", json!({ "passed": passed, "failed": failed, "not_run": not_run }))?;
    } else {
        let told = check::tests_told(tests, failed.len(), not_run);
        writeln!(out, "{}: {told}", plain(&files::name(rules)))?;
    }
    refuse(failed)
}

/// Whoever wrote a test said what should be: rules that do other than that are wrong rules.
fn refuse(failed: Vec<Fault>) -> Result<(), Trouble> {
    if failed.is_empty() {
        return Ok(());
    }
    let what = format!("{} in the rules' own files", counted(failed.len(), "fault"));
    Err(input(anyhow!("{what}\n{}", Faults(failed))))
}

fn print(
    fired: &[&Rule],
    catalogue: &Catalogue,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if json {
        let ids: Vec<_> = fired.iter().map(|rule| &rule.id).collect();
        writeln!(out, "{}", json!({ "matched": ids }))?;
    } else if fired.is_empty() {
        writeln!(out, "none of {} matches", counted(catalogue.len(), "enabled rule"))?;
    } else {
        let rows: Vec<_> = fired.iter().map(|rule| fired_json(rule)).collect();
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

fn fired_json(rule: &Rule) -> Value {
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
