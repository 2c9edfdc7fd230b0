//! The `a-tree` crate: expressions over typed attributes; the event is read by serde_json first.

use crate::Engine;
use crate::workloads::Workload;
use a_tree::{ATree, AttributeDefinition};
use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Number,
}

struct Tree {
    tree: ATree<usize>,
    attributes: Vec<(Vec<String>, String, Kind)>,
}

/// Attributes' names have no dots.
fn attribute(field: &str) -> String {
    field.replace('.', "_")
}

pub(crate) fn make(workload: &Workload) -> Result<Box<dyn Engine>> {
    let mut kinds = BTreeMap::new();
    let expressions: Vec<String> = workload
        .conditions
        .iter()
        .map(|conditions| expression(conditions, &mut kinds))
        .collect::<Result<_>>()?;
    let definitions: Vec<AttributeDefinition> = kinds
        .iter()
        .map(|(field, kind)| match kind {
            Kind::Text => AttributeDefinition::string(&attribute(field)),
            Kind::Number => AttributeDefinition::float(&attribute(field)),
        })
        .collect();
    let mut tree = ATree::new(&definitions).map_err(|error| anyhow!("{error}"))?;
    for (rule, expression) in expressions.iter().enumerate() {
        tree.insert(&rule, expression).map_err(|error| anyhow!("{error}"))?;
    }
    let attributes = kinds
        .into_iter()
        .map(|(field, kind)| {
            (field.split('.').map(str::to_owned).collect(), attribute(&field), kind)
        })
        .collect();
    Ok(Box::new(Tree { tree, attributes }))
}

impl Engine for Tree {
    fn matches(&mut self, message: &[u8]) -> Result<usize> {
        let message: Value = serde_json::from_slice(message)?;
        let mut event = self.tree.make_event();
        for (path, name, kind) in &self.attributes {
            let value = path.iter().try_fold(&message, |at, key| at.get(key));
            let set = match (value, kind) {
                (Some(Value::String(text)), Kind::Text) => event.with_string(name, text),
                (Some(Value::Number(number)), Kind::Number) => {
                    // Hundredths are enough for these workloads.
                    #[allow(clippy::cast_possible_truncation, reason = "amounts are small")]
                    let hundredths = (number.as_f64().unwrap_or_default() * 100.0).round() as i64;
                    event.with_float(name, hundredths, 2)
                }
                _ => event.with_undefined(name),
            };
            set.map_err(|error| anyhow!("{error:?}"))?;
        }
        let event = event.build().map_err(|error| anyhow!("{error:?}"))?;
        let report = self.tree.search(&event).map_err(|error| anyhow!("{error}"))?;
        Ok(report.matches().len())
    }
}

fn expression(conditions: &Value, kinds: &mut BTreeMap<String, Kind>) -> Result<String> {
    let Some(conditions) = conditions.as_array() else { bail!("has no parts of texts") };
    let parts: Vec<String> =
        conditions.iter().map(|condition| predicate(condition, kinds)).collect::<Result<_>>()?;
    Ok(parts.join(" and "))
}

fn predicate(condition: &Value, kinds: &mut BTreeMap<String, Kind>) -> Result<String> {
    let Some(field) = condition["field"].as_str() else { bail!("has no parts of texts") };
    let (name, value) = (attribute(field), &condition["value"]);
    let mut note = |kind| kinds.insert(field.to_owned(), kind);
    Ok(match condition["op"].as_str().unwrap_or_default() {
        "equals" => {
            note(Kind::Text);
            format!("{name} = {value}")
        }
        "in" => {
            note(Kind::Text);
            format!("{name} in {value}")
        }
        "not_in" => {
            note(Kind::Text);
            format!("{name} not in {value}")
        }
        "in_range" => {
            note(Kind::Number);
            match value {
                Value::Array(ends) => {
                    format!("({name} >= {}.0 and {name} <= {}.0)", ends[0], ends[1])
                }
                ends => match (ends.get("gt"), ends.get("lt")) {
                    (Some(low), None) => format!("{name} > {low}.0"),
                    (None, Some(high)) => format!("{name} < {high}.0"),
                    _ => bail!("no such range"),
                },
            }
        }
        other => bail!("has no `{other}`"),
    })
}
