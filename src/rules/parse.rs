//! Rule files: YAML or JSON to checked [`Rule`]s.
//!
//! What is not supported yet is refused by name, so that no file changes its meaning when it will
//! be.

mod condition;
mod expression;

use crate::rule::{Action, Rule, RuleTest};
use base::limits::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use document::{FAULTS_MAX, Fault, Faults, Fields, Kind, Node, Source};
use std::collections::BTreeMap;

/// The most actions of a rule: each starts an instance, all in one entry of the log.
pub const ACTIONS_MAX: usize = 16;

/// The most tests of a rule.
const TESTS_MAX: usize = 1_000;

/// Keys that later versions will know.
const RULE_KEYS_LATER: [&str; 6] =
    ["namespace", "requires", "chain", "continue_from", "transform", "enrich"];
const ACTION_KEYS_LATER: [&str; 3] = ["key", "transform", "enrich"];

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
        Ok(rules)
    } else {
        faults.sort_by_key(|fault| fault.span);
        Err(Faults(faults))
    }
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
    let id = keep(faults, read_name(source, &mut fields, "id"));
    let version = keep(faults, fields.whole("version", 1..=i64::from(u32::MAX)));
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let priority = keep(faults, fields.whole("priority", range));
    let enabled = keep(faults, fields.flag("enabled"));
    let stop = keep(faults, fields.flag("stop"));
    let description = keep(faults, fields.text("description"));
    let when = keep(faults, fields.require("conditions"))
        .and_then(|node| condition::read(source, node, faults));
    let actions = keep(faults, read_list(source, &mut fields, "actions", 1..=ACTIONS_MAX))
        .and_then(|nodes| all(nodes, faults, |node, faults| read_action(source, node, faults)));
    let tests = keep(faults, read_list(source, &mut fields, "tests", 0..=TESTS_MAX))
        .and_then(|nodes| all(nodes, faults, |node, faults| read_test(source, node, faults)));
    faults.extend(fields.finish());
    Some(Rule {
        id: id?.to_owned(),
        version: version?.map_or(1, |n| u32::try_from(n).expect("is in range")),
        priority: priority?.map_or(0, |n| i32::try_from(n).expect("is in range")),
        enabled: enabled?.unwrap_or(true),
        when: when?,
        actions: actions?,
        stop: stop?.unwrap_or(false),
        tests: tests?,
        description: description?.map(str::to_owned),
        source: node.to_json(),
        span: node.span,
    })
}

/// Reads every node, so that every fault is told; `None` if one has a fault.
fn all<T>(
    nodes: &[Node],
    faults: &mut Vec<Fault>,
    mut read: impl FnMut(&Node, &mut Vec<Fault>) -> Option<T>,
) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = nodes.iter().map(|node| read(node, faults)).collect();
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

fn read_list<'a>(
    source: Source<'a>,
    fields: &mut Fields<'a>,
    key: &'static str,
    count: std::ops::RangeInclusive<usize>,
) -> Read<&'a [Node]> {
    let node = match fields.take(key) {
        Some(node) => node,
        None if *count.start() == 0 => return Ok(&[]),
        None => return Err(fields.missing(key)),
    };
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

/// An id: of a rule, or of a workflow that an action names.
fn read_name<'a>(source: Source<'a>, fields: &mut Fields<'a>, key: &'static str) -> Read<&'a str> {
    let node = fields.require(key)?;
    let Some(name) = node.as_text() else { return Err(fields.unexpected(key, "text", node)) };
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

fn read_action(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Action> {
    let mut fields = keep(faults, Fields::of(source, node, "an action"))?;
    refuse_later(source, &mut fields, &ACTION_KEYS_LATER, faults);
    let workflow = keep(faults, read_name(source, &mut fields, "workflow"));
    let params = keep(faults, fields.map("params"));
    let timeout = keep(faults, fields.duration("timeout"));
    let retry = keep(faults, fields.whole("retry", 0..=100));
    faults.extend(fields.finish());
    let params = params?;
    if let Some(params) = params {
        keep(faults, refuse_expressions(source, params))?;
    }
    Some(Action {
        workflow: workflow?.to_owned(),
        params: params.map_or_else(|| "{}".to_owned(), Node::to_json),
        timeout: timeout?,
        retry: retry?.map(|n| u32::try_from(n).expect("is in range")),
        span: node.span,
    })
}

/// Recursion: bounded by the nesting of the text.
fn refuse_expressions(source: Source<'_>, node: &Node) -> Read<()> {
    match &node.kind {
        Kind::Text { value, .. } if value.contains("${") => {
            Err(Fault::at(source, node.span, "an expression in `params` is not supported yet")
                .hint("the workflow sees the message: compute it there, from `msg`"))
        }
        Kind::List(nodes) => nodes.iter().try_for_each(|node| refuse_expressions(source, node)),
        Kind::Map(entries) => {
            entries.iter().try_for_each(|entry| refuse_expressions(source, &entry.value))
        }
        _ => Ok(()),
    }
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
