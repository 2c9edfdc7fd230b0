//! The `quamina` crate: patterns of JSON, all fields must match.

use crate::Engine;
use crate::workloads::Workload;
use anyhow::{Context, Result, bail};
use quamina::Quamina;
use serde_json::{Map, Value, json};

struct Patterns(Quamina<usize>);

pub(crate) fn make(workload: &Workload) -> Result<Box<dyn Engine>> {
    let mut patterns = Quamina::new();
    for (rule, conditions) in workload.conditions.iter().enumerate() {
        patterns.add_pattern(rule, &pattern(conditions)?.to_string()).context("is refused")?;
    }
    Ok(Box::new(Patterns(patterns)))
}

impl Engine for Patterns {
    fn matches(&mut self, message: &[u8]) -> Result<usize> {
        Ok(self.0.matches_for_event(message)?.len())
    }
}

fn pattern(conditions: &Value) -> Result<Value> {
    let Some(conditions) = conditions.as_array() else { bail!("has no groups") };
    let mut pattern = Map::new();
    for condition in conditions {
        let Some(field) = condition["field"].as_str() else { bail!("has no groups") };
        let mut at = &mut pattern;
        let mut keys: Vec<&str> = field.split('.').collect();
        let last = keys.pop().expect("a path has a key");
        for key in keys {
            let inner = at.entry(key).or_insert_with(|| json!({}));
            at = inner.as_object_mut().expect("no path ends inside of another");
        }
        at.insert(last.to_owned(), values(condition)?);
    }
    Ok(pattern.into())
}

fn values(condition: &Value) -> Result<Value> {
    let value = &condition["value"];
    Ok(match condition["op"].as_str().unwrap_or_default() {
        "equals" => json!([value]),
        "in" => value.clone(),
        "not_in" => json!([{ "anything-but": value }]),
        "starts_with" => json!([{ "prefix": value }]),
        "ends_with" => json!([{ "suffix": value }]),
        "wildcard" => json!([{ "wildcard": value }]),
        "equals_ignore_case" => json!([{ "equals-ignore-case": value }]),
        "in_range" => match value {
            Value::Array(ends) => json!([{ "numeric": [">=", ends[0], "<=", ends[1]] }]),
            ends => match (ends.get("gt"), ends.get("lt")) {
                (Some(low), None) => json!([{ "numeric": [">", low] }]),
                (None, Some(high)) => json!([{ "numeric": ["<", high] }]),
                _ => bail!("no such range"),
            },
        },
        other => bail!("has no `{other}`"),
    })
}
