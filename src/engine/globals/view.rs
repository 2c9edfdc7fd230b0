//! What the catalogue says to those who read it: every core has all of it.

use super::{Came, Globals, How, Table};
use api::{
    ApiError, Code, DefinitionSummary, DefinitionsView, Response, Route, RuleSummary, RulesView,
    VersionHow, VersionSummary, VersionsView,
};
use base::hash64;

/// The answers about rules and definitions: every core has them.
pub(crate) fn catalogue(globals: &Globals, route: &Route) -> Result<Response, ApiError> {
    let mut body = Vec::new();
    match route {
        Route::Rules => rules(globals, &mut body),
        Route::Definitions => definitions(globals, &mut body),
        Route::RuleVersions(id) => versions(globals, Table::Rules, id, &mut body)?,
        Route::DefinitionVersions(id) => versions(globals, Table::Definitions, id, &mut body)?,
        Route::RuleVersion(id, version) => {
            body.extend_from_slice(text(globals, Table::Rules, id, *version)?.as_bytes());
        }
        Route::DefinitionVersion(id, version) => {
            body.extend_from_slice(text(globals, Table::Definitions, id, *version)?.as_bytes());
        }
        Route::Rule(id) => {
            let stored = globals
                .catalogue
                .rules
                .get(&**id)
                .ok_or_else(|| ApiError::unknown_id("rule", id))?;
            body.extend_from_slice(stored.rule.source.as_bytes());
        }
        Route::Definition(id) => {
            let stored = globals.catalogue.definitions.get(&**id);
            let stored = stored.ok_or_else(|| ApiError::unknown_id("workflow", id))?;
            body.extend_from_slice(stored.definition.source.as_bytes());
        }
        route => unreachable!("{} is not about the catalogue", route.pattern()),
    }
    Ok(Response::json(200, body))
}

fn rules(globals: &Globals, body: &mut Vec<u8>) {
    let mut stored: Vec<&rules::Rule> =
        globals.catalogue.rules.values().map(|s| &*s.rule).collect();
    stored.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id)));
    let workflows: Vec<Vec<&str>> = (stored.iter())
        .map(|rule| rule.actions.iter().map(|action| action.workflow.as_str()).collect())
        .collect();
    let rules: Vec<RuleSummary<'_>> = (stored.iter().zip(&workflows))
        .map(|(rule, workflows)| RuleSummary {
            id: &rule.id,
            version: u64::from(rule.version),
            priority: i64::from(rule.priority),
            enabled: rule.enabled,
            workflows,
            hash: hash64(rule.source.as_bytes()),
        })
        .collect();
    RulesView { version: globals.catalogue.version, rules: &rules }.write(body);
}

fn definitions(globals: &Globals, body: &mut Vec<u8>) {
    let tasks: Vec<Vec<&str>> = (globals.catalogue.definitions.values())
        .map(|s| s.definition.tasks.iter().map(|task| task.id.as_str()).collect())
        .collect();
    let definitions: Vec<DefinitionSummary<'_>> =
        (globals.catalogue.definitions.values().zip(&tasks))
            .map(|(stored, tasks)| DefinitionSummary {
                id: &stored.definition.id,
                version: u64::from(stored.definition.version),
                tasks,
                hash: hash64(stored.definition.source.as_bytes()),
            })
            .collect();
    DefinitionsView { version: globals.catalogue.version, definitions: &definitions }.write(body);
}

/// The version in force, with its text.
fn current<'a>(globals: &'a Globals, table: Table, id: &str) -> Option<(u32, &'a Came, &'a str)> {
    match table {
        Table::Rules => {
            let stored = globals.catalogue.rules.get(id)?;
            Some((stored.rule.version, &stored.came, &stored.rule.source))
        }
        Table::Definitions => {
            let stored = globals.catalogue.definitions.get(id)?;
            Some((stored.definition.version, &stored.came, &stored.definition.source))
        }
    }
}

fn versions(globals: &Globals, table: Table, id: &str, body: &mut Vec<u8>) -> Result<(), ApiError> {
    let current = current(globals, table, id).map(|(version, came, _)| summary(version, came));
    let past =
        globals.catalogue.history.of(table, id).map(|past| summary(past.version, &past.came));
    let versions: Vec<VersionSummary<'_>> = current.into_iter().chain(past).collect();
    if versions.is_empty() {
        return Err(ApiError::unknown_id(table.what(), id));
    }
    VersionsView { id, versions: &versions }.write(body);
    Ok(())
}

fn summary(version: u32, came: &Came) -> VersionSummary<'_> {
    let how = match came.how {
        How::Stored => VersionHow::Stored,
        How::Enabled => VersionHow::Enabled,
        How::Disabled => VersionHow::Disabled,
        How::RolledBack(to) => VersionHow::RolledBack(to),
        How::Deleted => VersionHow::Deleted,
    };
    VersionSummary { version, how, at: came.at(), by: came.by() }
}

fn text<'a>(
    globals: &'a Globals,
    table: Table,
    id: &str,
    version: u32,
) -> Result<&'a str, ApiError> {
    let (current, history) = (current(globals, table, id), &globals.catalogue.history);
    if let Some((_, _, text)) = current.filter(|(there, ..)| *there == version) {
        return Ok(text);
    }
    history.text(table, id, version).ok_or_else(|| {
        let what = table.what();
        if current.is_none() && history.of(table, id).next().is_none() {
            return ApiError::unknown_id(what, id);
        }
        let detail = format!("of {what} `{id}` no version {version} is kept");
        let hint = "its `versions` lists those that are kept";
        ApiError::new(Code::UnknownId, detail).with_hint(hint)
    })
}
