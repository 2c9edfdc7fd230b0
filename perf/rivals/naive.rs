//! serde_json's tree, and every rule in turn.

use crate::Engine;
use crate::workloads::Workload;
use anyhow::{Result, bail};
use serde_json::Value;

enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    None(Vec<Test>),
    Exists(Vec<String>),
    Field(Vec<String>, Operator),
}

enum Operator {
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Between(f64, f64),
    Above(f64),
    Below(f64),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    IgnoreCase(String),
    Wildcard(Vec<String>),
}

struct Naive(Vec<Test>);

pub(crate) fn make(workload: &Workload) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Naive(workload.conditions.iter().map(test).collect::<Result<_>>()?)))
}

impl Engine for Naive {
    fn matches(&mut self, message: &[u8]) -> Result<usize> {
        let message: Value = serde_json::from_slice(message)?;
        Ok(self.0.iter().filter(|test| test.holds(&message)).count())
    }
}

impl Test {
    fn holds(&self, message: &Value) -> bool {
        let at = |path: &[String]| path.iter().try_fold(message, |at, key| at.get(key));
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(message)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(message)),
            Self::None(tests) => !tests.iter().any(|test| test.holds(message)),
            Self::Exists(path) => at(path).is_some(),
            Self::Field(path, operator) => at(path).is_some_and(|value| operator.holds(value)),
        }
    }
}

impl Operator {
    fn holds(&self, value: &Value) -> bool {
        let text = || value.as_str();
        let number = || value.as_f64();
        match self {
            Self::In(values) => values.contains(value),
            Self::NotIn(values) => !values.contains(value),
            Self::Between(low, high) => number().is_some_and(|n| n >= *low && n <= *high),
            Self::Above(low) => number().is_some_and(|n| n > *low),
            Self::Below(high) => number().is_some_and(|n| n < *high),
            Self::Contains(part) => text().is_some_and(|text| text.contains(part)),
            Self::StartsWith(part) => text().is_some_and(|text| text.starts_with(part)),
            Self::EndsWith(part) => text().is_some_and(|text| text.ends_with(part)),
            Self::IgnoreCase(other) => text().is_some_and(|text| text.eq_ignore_ascii_case(other)),
            Self::Wildcard(parts) => text().is_some_and(|text| wildcard(parts, text)),
        }
    }
}

fn wildcard(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.iter().all(|part| part == text) };
    let Some(mut rest) = text.strip_prefix(first).and_then(|text| text.strip_suffix(last)) else {
        return false;
    };
    middle.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

fn test(condition: &Value) -> Result<Test> {
    let tests = |value: &Value| -> Result<Vec<Test>> {
        value.as_array().into_iter().flatten().map(test).collect()
    };
    if condition.is_array() {
        return Ok(Test::All(tests(condition)?));
    }
    for (key, group) in
        [("all", Test::All as fn(Vec<Test>) -> Test), ("any", Test::Any), ("none", Test::None)]
    {
        if let Some(members) = condition.get(key) {
            return Ok(group(tests(members)?));
        }
    }
    let path = condition["field"].as_str().unwrap_or_default().split('.').map(str::to_owned);
    let (path, value) = (path.collect(), &condition["value"]);
    let text = || value.as_str().unwrap_or_default().to_owned();
    let values = || value.as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let operator = match condition["op"].as_str().unwrap_or_default() {
        "exists" => return Ok(Test::Exists(path)),
        "equals" => Operator::In(vec![value.clone()]),
        "not_equals" => Operator::NotIn(vec![value.clone()]),
        "in" => Operator::In(values()),
        "not_in" => Operator::NotIn(values()),
        "contains" => Operator::Contains(text()),
        "starts_with" => Operator::StartsWith(text()),
        "ends_with" => Operator::EndsWith(text()),
        "equals_ignore_case" => Operator::IgnoreCase(text()),
        "wildcard" => Operator::Wildcard(text().split('*').map(str::to_owned).collect()),
        "in_range" => match (value.get(0), value.get("gt"), value.get("lt")) {
            (Some(low), _, _) => Operator::Between(number(low), number(&value[1])),
            (_, Some(low), _) => Operator::Above(number(low)),
            (_, _, Some(high)) => Operator::Below(number(high)),
            _ => bail!("no such range"),
        },
        other => bail!("has no `{other}`"),
    };
    Ok(Test::Field(path, operator))
}
