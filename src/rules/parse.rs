//! Rule files: YAML or JSON to checked [`Rule`]s.
//!
//! What is not supported yet is refused by name, so that no file changes its meaning when it will
//! be.

mod action;
mod condition;
mod expression;

use crate::chains::{ChainCheck, ChainError};
use crate::rule::{Rule, RuleTest};
use base::limits::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use document::{FAULTS_MAX, Fault, Faults, Fields, Kind, Node, Source, Span};
use std::collections::BTreeMap;

/// The most actions of a rule: each starts an instance, all in one entry of the log.
pub const ACTIONS_MAX: usize = 16;

/// The most tests of a rule.
const TESTS_MAX: usize = 1_000;

/// The most rules that one names in `requires`.
pub const REQUIRES_MAX: usize = 16;

/// Keys that later versions will know.
const RULE_KEYS_LATER: [&str; 3] = ["namespace", "chain", "transform"];

/// Reads a file of rules: a map with `rules`, a bare list of rules, or one rule. Everything that is
/// wrong is told at once, up to [`FAULTS_MAX`] faults.
pub fn parse(source: Source<'_>) -> Result<Vec<Rule>, Faults> {
    let root = document::parse(source)?;
    let mut faults = Vec::new();
    let nodes: Vec<&Node> = match &root.kind {
        Kind::List(nodes) => nodes.iter().collect(),
        Kind::Map(_) if root.get("rules").is_some() => {
            let mut fields = Fields::of(source, &root, "a rule file")?;
            let nodes = fields.list("rules")?.unwrap_or_default();
            faults.extend(fields.finish());
            nodes.iter().collect()
        }
        Kind::Map(_) => vec![&root],
        _ => {
            let what = format!("rules were expected, this is {}", root.kind_name());
            let fault = Fault::at(source, root.span, what);
            return Err(fault.hint("a file of rules begins with `rules:` and a list").into());
        }
    };
    let mut rules = Vec::with_capacity(nodes.len());
    let mut first_places = BTreeMap::new();
    for node in nodes {
        if faults.len() >= FAULTS_MAX {
            break;
        }
        let Some(rule) = read_rule(source, node, &mut faults) else { continue };
        if let Some(first) = first_places.insert(rule.id.clone(), rule.span) {
            let what = format!("the rule id `{}` is here twice", rule.id);
            let hint = format!("the first one is at {}:{}", first.line, first.column);
            faults.push(Fault::at(source, rule.span, what).hint(hint));
        }
        rules.push(rule);
    }
    if faults.is_empty() {
        faults.extend(circles(source, &rules));
    }
    if faults.is_empty() {
        Ok(rules)
    } else {
        faults.sort_by_key(|fault| fault.span);
        Err(Faults(faults))
    }
}

/// Rules that need each other in a circle, or too many in a row. Rules that the text does not hold
/// may be elsewhere.
fn circles(source: Source<'_>, rules: &[Rule]) -> Vec<Fault> {
    if rules.iter().all(|rule| rule.needs().next().is_none()) {
        return Vec::new();
    }
    let by_id: BTreeMap<&str, &Rule> = rules.iter().map(|rule| (&*rule.id, rule)).collect();
    let find = |id: &str| by_id.get(id).copied();
    let mut check = ChainCheck::among(&find);
    let wrong = rules.iter().filter_map(|rule| check.check(rule).err()).take(FAULTS_MAX);
    let fault = |wrong: ChainError| {
        let span = by_id.get(wrong.rule()).map_or(Span::START, |rule| rule.span);
        Fault::at(source, span, wrong.to_string()).hint(wrong.hint())
    };
    wrong.map(fault).collect()
}

/// What a closure for [`keep`] gives.
type Read<T> = Result<T, Fault>;

/// The value, or its fault put aside, so that the rest of the rule is still checked.
fn keep<T>(faults: &mut Vec<Fault>, read: Read<T>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn read_rule(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Rule> {
    let mut fields = keep(faults, Fields::of(source, node, "a rule"))?;
    refuse_later(source, &mut fields, &RULE_KEYS_LATER, faults);
    let id = keep(faults, require_name(source, &mut fields, "id"));
    let version = keep(faults, fields.whole("version", 1..=i64::from(u32::MAX)));
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let priority = keep(faults, fields.whole("priority", range));
    let enabled = keep(faults, fields.flag("enabled"));
    let stop = keep(faults, fields.flag("stop"));
    let description = keep(faults, fields.text("description"));
    let when = keep(faults, fields.require("conditions"))
        .and_then(|node| condition::read(source, node, faults));
    let requires = read_requires(source, &mut fields, faults);
    let continue_from = keep(faults, read_name(source, &mut fields, "continue_from"));
    let enrich = action::read_enrich(source, &mut fields, faults);
    let actions = keep(faults, read_optional(source, &mut fields, "actions", 1..=ACTIONS_MAX))
        .and_then(|nodes| all(nodes, faults, |node, faults| action::read(source, node, faults)));
    let tests = keep(faults, read_optional(source, &mut fields, "tests", 0..=TESTS_MAX))
        .and_then(|nodes| all(nodes, faults, |node, faults| read_test(source, node, faults)));
    faults.extend(fields.finish());
    Some(Rule {
        id: id?.to_owned(),
        version: version?.map_or(1, |n| u32::try_from(n).expect("is in range")),
        priority: priority?.map_or(0, |n| i32::try_from(n).expect("is in range")),
        enabled: enabled?.unwrap_or(true),
        when: when?,
        requires: requires?,
        continue_from: continue_from?.map(str::to_owned),
        enrich: enrich?,
        actions: actions?,
        stop: stop?.unwrap_or(false),
        tests: tests?,
        description: description?.map(str::to_owned),
        source: node.to_json(),
        span: node.span,
    })
}

/// Reads every part, so that every fault is told, until there are as many as are told at once: to
/// place a fault takes time in the length of the text. `None` if a part has one.
fn all<'n, P, T>(
    parts: &'n [P],
    faults: &mut Vec<Fault>,
    mut read: impl FnMut(&'n P, &mut Vec<Fault>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        if faults.len() >= FAULTS_MAX {
            return None;
        }
        values.push(read(part, faults));
    }
    values.into_iter().collect()
}

fn refuse_later(
    source: Source<'_>,
    fields: &mut Fields<'_>,
    keys: &[&'static str],
    faults: &mut Vec<Fault>,
) {
    for key in keys {
        // Looked for before it is asked for: `finish` must not name it among the known keys.
        if fields.has(key) {
            let entry = fields.entry(key).expect("it is there");
            faults.push(Fault::at(source, entry.key_span, format!("`{key}` is not supported yet")));
        }
    }
}

/// A list of so many elements, if it is there.
fn read_optional<'a>(
    source: Source<'a>,
    fields: &mut Fields<'a>,
    key: &'static str,
    count: std::ops::RangeInclusive<usize>,
) -> Read<&'a [Node]> {
    let Some(node) = fields.take(key) else { return Ok(&[]) };
    let Some(nodes) = node.as_list() else { return Err(fields.unexpected(key, "a list", node)) };
    if count.contains(&nodes.len()) {
        return Ok(nodes);
    }
    let what = format!(
        "`{key}` has {} elements, it must have {} to {}",
        nodes.len(),
        count.start(),
        count.end()
    );
    Err(Fault::at(source, node.span, what))
}

/// The ids of rules.
fn read_requires<'a>(
    source: Source<'a>,
    fields: &mut Fields<'a>,
    faults: &mut Vec<Fault>,
) -> Option<Vec<String>> {
    let nodes = keep(faults, read_optional(source, fields, "requires", 1..=REQUIRES_MAX))?;
    let mut ids: Vec<String> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(id) = keep(faults, check_name(source, "requires", node)) else { continue };
        if ids.iter().any(|other| other == id) {
            faults.push(Fault::at(source, node.span, format!("`{id}` is required twice")));
        }
        ids.push(id.to_owned());
    }
    Some(ids)
}

/// An id: of a rule, or of a workflow that an action names.
fn require_name<'a>(
    source: Source<'a>,
    fields: &mut Fields<'a>,
    key: &'static str,
) -> Read<&'a str> {
    let node = fields.require(key)?;
    if node.as_text().is_none() {
        return Err(fields.unexpected(key, "text", node));
    }
    check_name(source, key, node)
}

/// An id that may be left away.
fn read_name<'a>(
    source: Source<'a>,
    fields: &mut Fields<'a>,
    key: &'static str,
) -> Read<Option<&'a str>> {
    fields.take(key).map(|node| check_name(source, key, node)).transpose()
}

fn check_name<'a>(source: Source<'a>, key: &str, node: &'a Node) -> Read<&'a str> {
    let Some(name) = node.as_text() else {
        let what = format!("`{key}` must be text, this is {}", node.kind_name());
        return Err(Fault::at(source, node.span, what));
    };
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let what = if name.is_empty() {
        format!("`{key}` is empty")
    } else if name.len() > NAME_BYTES_MAX {
        format!("`{key}` has {} bytes, the limit is {NAME_BYTES_MAX}", name.len())
    } else if let Some(wrong) = name.chars().find(|character| !is_allowed(*character)) {
        format!("`{key}` must not hold {wrong:?}")
    } else {
        return Ok(name);
    };
    Err(Fault::at(source, node.span, what).hint("letters, digits and - _ . : are allowed"))
}

fn read_test(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<RuleTest> {
    let mut fields = keep(faults, Fields::of(source, node, "a rule's test"))?;
    let message = keep(faults, read_message(source, &mut fields));
    let fires = fields.flag("fires");
    let fires = keep(faults, fires.and_then(|fires| fires.ok_or_else(|| fields.missing("fires"))));
    faults.extend(fields.finish());
    Some(RuleTest { message: message?, fires: fires?, span: node.span })
}

fn read_message(source: Source<'_>, fields: &mut Fields<'_>) -> Read<String> {
    let Some(node) = fields.map("message")? else { return Err(fields.missing("message")) };
    let message = node.to_json();
    if message.len() > MESSAGE_BYTES_MAX {
        let what =
            format!("the message has {} bytes, the limit is {MESSAGE_BYTES_MAX}", message.len());
        return Err(Fault::at(source, node.span, what));
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
