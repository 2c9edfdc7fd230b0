//! Requests that change the catalogue: each becomes one record, applied whole or not at all.

use super::limits::GROUP_BYTES_MAX;
use super::queries::{Named, Told};
use super::session::Waiter;
use super::{RequestId, ShardCore, ShardEffect};
use crate::globals::{Globals, differ_in_enabled_alone};
use crate::record::{CatalogueChanged, Change, NAMESPACE};
use api::{ApiError, Code, Request, Route};
use base::{Outbox, hash64};
use document::{FAULTS_MAX, Fault, Faults, Fields, Source};
use rules::Rule;
use std::collections::BTreeMap;

/// What a change may take in its record. Unit: bytes. Names and headers take the rest of a group.
const CHANGE_BYTES_MAX: usize = GROUP_BYTES_MAX - 4_096;

impl ShardCore {
    /// A request that changes the catalogue.
    pub(super) fn on_catalogue(
        &mut self,
        id: RequestId,
        route: &Route,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let by = api::user_of(request.by)?;
        // Before a large body is read: it may not be taken at all.
        self.check_open(0)?;
        let one =
            |name: &String, told, change| (Named { ids: vec![name.clone()], told }, vec![change]);
        let (named, changes) = match route {
            Route::PostRules => self.put_rules(None, request)?,
            Route::PutRule(rule) => self.put_rules(Some(rule), request)?,
            Route::ReplaceRules => self.replace_rules(request)?,
            Route::PostDefinitions => put_definitions(None, request)?,
            Route::PutDefinition(workflow) => put_definitions(Some(workflow), request)?,
            Route::DeleteRule(rule) => one(rule, Told::Deleted, Change::DeleteRule(rule.clone())),
            Route::DeleteDefinition(workflow) => {
                one(workflow, Told::Deleted, Change::DeleteDefinition(workflow.clone()))
            }
            Route::EnableRule(rule) | Route::DisableRule(rule) => {
                let enabled = matches!(route, Route::EnableRule(_));
                one(rule, Told::Stored, Change::EnableRule(rule.clone(), enabled))
            }
            Route::RollBackRule(rule) => {
                let version = rollback_version(request)?;
                one(rule, Told::Stored, Change::RollBackRule(rule.clone(), version))
            }
            Route::RollBackDefinition(workflow) => {
                let (id, version) = (workflow.clone(), rollback_version(request)?);
                one(workflow, Told::Stored, Change::RollBackDefinition(id, version))
            }
            route => unreachable!("{} does not change the catalogue", route.pattern()),
        };
        let bytes: usize = changes.iter().map(Change::bytes).sum();
        if bytes > CHANGE_BYTES_MAX {
            let detail = format!(
                "what changes takes {bytes} bytes of the log, at most {CHANGE_BYTES_MAX} are \
                 allowed in one request"
            );
            let hint = "change fewer rules at once, or shorten their tests";
            return Err(ApiError::new(Code::TooLarge, detail).with_hint(hint));
        }
        self.check_open(bytes)?;
        self.queries.begin_change(id, named);
        self.push_catalogue(by, changes, Waiter::Catalogue(id), out);
        Ok(())
    }

    /// Gathers a change of the catalogue and closes the batch behind it: a batch is matched with
    /// one catalogue, so nothing may follow its change.
    pub(super) fn push_catalogue(
        &mut self,
        by: &str,
        changes: Vec<Change>,
        waiter: Waiter,
        out: &mut Outbox<ShardEffect>,
    ) {
        let catalogue = self.globals.catalogue_version;
        let bytes = changes.iter().map(Change::bytes).sum();
        let mark = self.session.begin_group(bytes, catalogue, out);
        self.session.group().push_change(CatalogueChanged::new(NAMESPACE, by, changes));
        self.session.keep(mark, [waiter], catalogue, out);
        self.session.seal(catalogue, out);
    }

    fn put_rules(
        &self,
        named: Option<&str>,
        request: &Request<'_>,
    ) -> Result<(Named, Vec<Change>), ApiError> {
        let found = parse_rules(request, Some(&self.globals))?;
        if let Some(named) = named {
            one_named("rule", named, found.iter().map(|rule| rule.id.as_str()))?;
        }
        let (ids, changes) =
            found.into_iter().map(|rule| (rule.id, Change::PutRule(rule.source))).unzip();
        Ok((Named { ids, told: Told::Stored }, changes))
    }

    /// What makes the rules of the body all rules. What stays as it is goes into the log by name.
    fn replace_rules(&self, request: &Request<'_>) -> Result<(Named, Vec<Change>), ApiError> {
        let found = parse_rules(request, None)?;
        let (mut keep, mut put, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for rule in found {
            let there = self.globals.rules.get(&rule.id).map(|stored| &stored.rule);
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
}

fn put_definitions(
    named: Option<&str>,
    request: &Request<'_>,
) -> Result<(Named, Vec<Change>), ApiError> {
    let text = document(request)?;
    let found = flow::parse(Source { name: "body", text })
        .map_err(|faults| invalid(Code::InvalidDefinition, &faults))?;
    if let Some(named) = named {
        one_named("workflow", named, found.iter().map(|found| found.id.as_str()))?;
    }
    let put = |found: flow::Definition| (found.id, Change::PutDefinition(found.source));
    let (ids, changes) = found.into_iter().map(put).unzip();
    Ok((Named { ids, told: Told::Stored }, changes))
}

/// The rules of the body; their own tests pass. `others` has those that are there besides.
fn parse_rules(request: &Request<'_>, others: Option<&Globals>) -> Result<Vec<Rule>, ApiError> {
    let source = Source { name: "body", text: document(request)? };
    let found = rules::parse(source).and_then(|rules| {
        let failed = failed_tests(source, &rules, others);
        if failed.is_empty() { Ok(rules) } else { Err(Faults(failed)) }
    });
    found.map_err(|faults| invalid(Code::InvalidRule, &faults))
}

/// The tests of rules that do not say what the rules do, up to as many as are shown.
fn failed_tests(source: Source<'_>, rules: &[Rule], others: Option<&Globals>) -> Vec<Fault> {
    let of_body: BTreeMap<&str, &Rule> = rules.iter().map(|rule| (&*rule.id, rule)).collect();
    let find = |id: &str| {
        let other = || Some(&others?.rules.get(id)?.rule);
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
fn rollback_version(request: &Request<'_>) -> Result<u32, ApiError> {
    let source = Source { name: "body", text: document(request)? };
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
