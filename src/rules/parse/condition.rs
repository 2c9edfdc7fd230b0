//! The conditions of a rule.

use super::{Read, all, expression, keep};
use crate::network::Network;
use crate::number::{Constant, is_number};
use crate::operator::{End, OPERATORS, Operator};
use crate::path::FieldPath;
use crate::pattern::{Folded, PATTERN_BYTES_MAX, Pattern, Wildcard};
use crate::program::SHARED_MAX;
use crate::rule::{Condition, Doubt, ExpressionCondition, Predicate, Quantifier};
use crate::value::{Bound, Value};
use document::{Fault, Fields, Kind, Node, Source};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a group does with its conditions.
#[derive(Clone, Copy)]
enum Combinator {
    All,
    Any,
    None,
}

const SHORT_GROUPS: [(&str, Combinator); 3] =
    [("all", Combinator::All), ("any", Combinator::Any), ("none", Combinator::None)];

/// Reads `conditions`: a list, which means all of them, or a group, or one condition.
pub(super) fn read(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Condition> {
    match &node.kind {
        Kind::List(_) => read_members(source, node, Combinator::All, faults),
        _ => read_one(source, node, faults),
    }
}

/// Recursion, with `read_group` and `read_members`: bounded by the nesting of the text.
fn read_one(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Condition> {
    let mut fields = keep(faults, Fields::of(source, node, "a condition"))?;
    if fields.has("expr") {
        let text = fields.take("expr").expect("it is there");
        let expression = expression::single(source, "expr", text, faults);
        faults.extend(fields.finish().into_iter().map(|fault| {
            fault.hint("`expr` is a whole condition: put others beside it in a list")
        }));
        let expression = expression?;
        return Some(Condition::Expression(ExpressionCondition { expression, span: text.span }));
    }
    let is_group = ["combinator", "conditions"].iter().any(|key| fields.has(key))
        || SHORT_GROUPS.iter().any(|(key, _)| fields.has(key));
    if is_group {
        return read_group(source, node, faults);
    }
    let predicate = keep(faults, read_predicate(source, &mut fields))?;
    faults.extend(fields.finish());
    Some(Condition::Predicate(predicate))
}

fn read_group(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Condition> {
    let mut fields = keep(faults, Fields::of(source, node, "a group of conditions"))?;
    let short = SHORT_GROUPS.iter().find(|(key, _)| fields.has(key));
    let is_long = fields.has("combinator") || fields.has("conditions");
    let (members, combinator) = match short {
        Some((key, combinator)) if !is_long => {
            (fields.take(key).expect("it is there"), *combinator)
        }
        _ => {
            let combinator = keep(faults, read_combinator(source, &mut fields));
            let members = keep(faults, fields.require("conditions"));
            (members?, combinator?)
        }
    };
    let condition = read_members(source, members, combinator, faults);
    faults.extend(fields.finish().into_iter().map(|fault| {
        let is_other_group =
            SHORT_GROUPS.iter().any(|(key, _)| fault.what.ends_with(&format!("`{key}`")));
        if is_other_group {
            fault.hint("one map is one group: put the other one inside it")
        } else {
            fault
        }
    }));
    condition
}

fn read_combinator(source: Source<'_>, fields: &mut Fields<'_>) -> Read<Combinator> {
    let node = fields.require("combinator")?;
    let Some(word) = node.as_text() else {
        return Err(fields.unexpected("combinator", "AND, OR or NOT", node));
    };
    match word.to_ascii_uppercase().as_str() {
        "AND" => Ok(Combinator::All),
        "OR" => Ok(Combinator::Any),
        "NOT" => Ok(Combinator::None),
        _ => Err(Fault::at(source, node.span, format!("unknown combinator `{word}`"))
            .expecting(word, &["AND", "OR", "NOT"])),
    }
}

fn read_members(
    source: Source<'_>,
    node: &Node,
    combinator: Combinator,
    faults: &mut Vec<Fault>,
) -> Option<Condition> {
    let Some(nodes) = node.as_list() else {
        let what = format!("a list of conditions was expected, this is {}", node.kind_name());
        faults.push(Fault::at(source, node.span, what));
        return None;
    };
    if nodes.is_empty() {
        let fault = Fault::at(source, node.span, "a group without conditions");
        faults.push(fault.hint("a rule for every message must ask for something they all have"));
        return None;
    }
    let members = all(nodes, faults, |node, faults| read_one(source, node, faults))?;
    Some(match combinator {
        Combinator::All => {
            keep(faults, refuse_crowds(source, &members))?;
            Condition::All(members)
        }
        Combinator::Any => Condition::Any(members),
        Combinator::None => Condition::None(members),
    })
}

/// At most `SHARED_MAX` predicates of one group may share a first key: they are looked at together.
fn refuse_crowds(source: Source<'_>, members: &[Condition]) -> Read<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for member in members {
        let Condition::Predicate(predicate) = member else { continue };
        let count = counts.entry(predicate.field.first()).or_default();
        *count += 1;
        if *count > SHARED_MAX {
            let what = format!(
                "more than {SHARED_MAX} conditions of one group ask about `{}`",
                predicate.field.first()
            );
            return Err(Fault::at(source, predicate.span, what).hint("split the group in two"));
        }
    }
    Ok(())
}

fn read_predicate(source: Source<'_>, fields: &mut Fields<'_>) -> Read<Predicate> {
    let Some(field) = fields.take("field") else {
        let fault = fields.missing("field");
        let is_hinted = fault.hint.is_some();
        return Err(if is_hinted {
            fault
        } else {
            fault.hint(
                "a condition is `field`, `op`, `value`; or `expr`; or a group: `all`, `any`, `none`",
            )
        });
    };
    let Some(path) = field.as_text() else { return Err(fields.unexpected("field", "text", field)) };
    let path =
        FieldPath::parse(path).map_err(|error| Fault::at(source, field.span, error.to_string()))?;
    let Some(name) = fields.take_any(&["op", "operator"])? else {
        let fault = fields.missing("operator");
        return Err(if fault.hint.is_some() { fault } else { fields.missing("op") });
    };
    let Some(word) = name.as_text() else { return Err(fields.unexpected("op", "text", name)) };
    let quantifier = read_quantifier(source, fields)?;
    let value = fields.take("value");
    let span = value.map_or(name.span, |value| value.span);
    let operand = Operand { source, name: word, value, span };
    let (operator, doubt) = match word {
        "exists" => operand.nothing(Operator::Exists)?,
        "not_exists" => operand.nothing(Operator::NotExists)?,
        _ if !OPERATORS.contains(&word) => {
            return Err(Fault::at(source, name.span, format!("unknown operator `{word}`"))
                .expecting(word, &OPERATORS));
        }
        _ => operand.read(value.ok_or_else(|| fields.missing("value"))?)?,
    };
    let is_about_the_field = matches!(operator, Operator::Exists | Operator::NotExists);
    if is_about_the_field && quantifier != Quantifier::Any {
        let what = format!("`{word}` is about the field, not about its values");
        return Err(Fault::at(source, name.span, what).hint("leave `quantifier` away"));
    }
    Ok(Predicate { field: path, quantifier, operator, doubt, span })
}

/// Of which values of the field: `any` unless something else is said.
fn read_quantifier(source: Source<'_>, fields: &mut Fields<'_>) -> Read<Quantifier> {
    let Some(node) = fields.take("quantifier") else { return Ok(Quantifier::Any) };
    match node.as_text() {
        Some("any") => Ok(Quantifier::Any),
        Some("all") => Ok(Quantifier::All),
        Some("none") => Ok(Quantifier::None),
        Some(word) => Err(Fault::at(source, node.span, format!("unknown quantifier `{word}`"))
            .expecting(word, &["any", "all", "none"])),
        None => Err(fields.unexpected("quantifier", "any, all or none", node)),
    }
}

/// The value of a condition, to be read as its operator wants it.
struct Operand<'a> {
    source: Source<'a>,
    /// The operator's name.
    name: &'a str,
    value: Option<&'a Node>,
    span: document::Span,
}

type Operation = (Operator, Option<Doubt>);

impl Operand<'_> {
    fn fault(&self, node: &Node, expected: &str) -> Fault {
        let what = format!("`{}` needs {expected}, this is {}", self.name, node.kind_name());
        Fault::at(self.source, node.span, what)
    }

    fn nothing(&self, operator: Operator) -> Read<Operation> {
        match self.value {
            Some(value) if value.as_bool() != Some(true) && !value.is_null() => {
                Err(Fault::at(self.source, self.span, format!("`{}` takes no value", self.name))
                    .hint("`exists` and `not_exists` are the two ways to say it"))
            }
            _ => Ok((operator, None)),
        }
    }

    fn read(&self, node: &Node) -> Read<Operation> {
        let operator = match self.name {
            "equals" | "not_equals" => return self.equality(node),
            "greater_than" | "greater_or_equal" | "less_than" | "less_or_equal" => {
                return self.order(node);
            }
            "in_range" => return self.range(node),
            "in" | "not_in" => return self.membership(node),
            "contains" => Operator::Contains(self.scalar(node)?),
            "starts_with" => Operator::StartsWith(self.text(node)?.into()),
            "ends_with" => Operator::EndsWith(self.text(node)?.into()),
            "wildcard" => {
                let pattern = Wildcard::parse(self.pattern(node)?);
                Operator::Wildcard(pattern.map_err(|error| self.refuse(node, &error.to_string()))?)
            }
            "regex" => {
                let pattern = Pattern::parse(self.pattern(node)?);
                Operator::Regex(pattern.map_err(|error| self.refuse_regex(node, &error))?)
            }
            "equals_ignore_case" => {
                let folded = Folded::of(self.pattern(node)?);
                let folded = folded.map_err(|error| self.refuse_regex(node, &error))?;
                Operator::EqualsIgnoreCase(folded)
            }
            "cidr" => Operator::Cidr(self.networks(node)?),
            other => unreachable!("`{other}` is not among the operators"),
        };
        Ok((operator, None))
    }

    fn refuse(&self, node: &Node, what: &str) -> Fault {
        Fault::at(self.source, node.span, what)
    }

    fn refuse_regex(&self, node: &Node, error: &regex::Error) -> Fault {
        // A syntax error draws its own picture over several lines; the last one says it.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        self.refuse(node, &format!("not a regular expression we can use: {reason}"))
    }

    fn scalar(&self, node: &Node) -> Read<Value> {
        Value::of(node).ok_or_else(|| {
            let fault = self.fault(node, "a single value");
            if node.as_list().is_some() { fault.hint("use `in` for a list") } else { fault }
        })
    }

    fn text<'n>(&self, node: &'n Node) -> Read<&'n str> {
        node.as_text()
            .ok_or_else(|| self.fault(node, "text").hint("put the value in quotes to make it text"))
    }

    fn pattern<'n>(&self, node: &'n Node) -> Read<&'n str> {
        let text = self.text(node)?;
        if text.len() > PATTERN_BYTES_MAX {
            let what =
                format!("the pattern has {} bytes, the limit is {PATTERN_BYTES_MAX}", text.len());
            return Err(self.refuse(node, &what));
        }
        Ok(text)
    }

    fn equality(&self, node: &Node) -> Read<Operation> {
        let value = self.scalar(node)?;
        let doubt = is_quoted_number(node).then_some(Doubt::QuotedNumberEqual);
        Ok(if self.name == "equals" {
            (Operator::Equals(value), doubt)
        } else {
            (Operator::NotEquals(value), doubt)
        })
    }

    fn membership(&self, node: &Node) -> Read<Operation> {
        let nodes = node.as_list().ok_or_else(|| self.fault(node, "a list"))?;
        let values: Vec<Value> = nodes.iter().map(|node| self.scalar(node)).collect::<Read<_>>()?;
        let is_empty = values.is_empty();
        let quoted = nodes.iter().any(is_quoted_number).then_some(Doubt::QuotedNumberEqual);
        Ok(if self.name == "in" {
            (Operator::In(values.into()), if is_empty { Some(Doubt::NeverHolds) } else { quoted })
        } else {
            (
                Operator::NotIn(values.into()),
                if is_empty { Some(Doubt::HoldsIfPresent) } else { quoted },
            )
        })
    }

    fn bound(&self, node: &Node) -> Read<(Bound, Option<Doubt>)> {
        match &node.kind {
            Kind::Int(_) | Kind::Number(_) | Kind::Float(_) => {
                Ok((Bound::Number(Constant::of(&node.to_json())), None))
            }
            Kind::Text { value, .. } if is_number(value) => {
                Ok((Bound::Number(Constant::of(value)), Some(Doubt::QuotedNumberOrdered)))
            }
            Kind::Text { value, .. } => Ok((Bound::Text(value.as_str().into()), None)),
            _ => Err(self.fault(node, "a number or text")),
        }
    }

    fn order(&self, node: &Node) -> Read<Operation> {
        let (bound, doubt) = self.bound(node)?;
        let operator = match self.name {
            "greater_than" => Operator::Greater(bound),
            "greater_or_equal" => Operator::GreaterOrEqual(bound),
            "less_than" => Operator::Less(bound),
            "less_or_equal" => Operator::LessOrEqual(bound),
            other => unreachable!("`{other}` does not order"),
        };
        Ok((operator, doubt))
    }

    /// `[low, high]`, both included, or `{gt | gte: low, lt | lte: high}`.
    fn range(&self, node: &Node) -> Read<Operation> {
        let (low, high) = match &node.kind {
            Kind::List(nodes) => match nodes.as_slice() {
                [low, high] => (Some((low, true)), Some((high, true))),
                _ => return Err(self.refuse(node, "`in_range` needs two ends: [low, high]")),
            },
            Kind::Map(_) => {
                let mut fields = Fields::of(self.source, node, "a range")?;
                let mut end = |included: &'static str, excluded: &'static str| {
                    let is_included = fields.has(included);
                    let end = fields.take_any(&[included, excluded])?;
                    Ok::<_, Fault>(end.map(|node| (node, is_included)))
                };
                let ends = (end("gte", "gt")?, end("lte", "lt")?);
                if let Some(fault) = fields.finish().into_iter().next() {
                    return Err(fault);
                }
                ends
            }
            _ => return Err(self.fault(node, "[low, high] or {gt | gte: …, lt | lte: …}")),
        };
        let mut doubt = None;
        let mut end = |end: Option<(&Node, bool)>| -> Read<Option<End>> {
            let Some((node, included)) = end else { return Ok(None) };
            let (bound, doubt_of_bound) = self.bound(node)?;
            doubt = doubt.or(doubt_of_bound);
            Ok(Some(End { bound, included }))
        };
        let (low, high) = (end(low)?, end(high)?);
        match (&low, &high) {
            (None, None) => return Err(self.refuse(node, "the range has no end")),
            (Some(low), Some(high)) => match low.bound.place_of(&high.bound) {
                None => return Err(self.refuse(node, "one end is a number, the other is text")),
                Some(Ordering::Greater) => {}
                Some(Ordering::Equal) if low.included && high.included => {}
                Some(_) => {
                    return Err(self
                        .refuse(node, "nothing lies in this range")
                        .hint("the lower end comes first"));
                }
            },
            _ => {}
        }
        Ok((Operator::InRange { low, high }, doubt))
    }

    fn networks(&self, node: &Node) -> Read<Vec<Network>> {
        let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
        if nodes.is_empty() {
            return Err(self.refuse(node, "`cidr` needs at least one network"));
        }
        let network = |node: &Node| {
            Network::parse(self.text(node)?).map_err(|error| self.refuse(node, &error.to_string()))
        };
        nodes.iter().map(network).collect()
    }
}

/// A text that reads as a number: perhaps one was meant.
fn is_quoted_number(node: &Node) -> bool {
    node.as_text().is_some_and(is_number)
}
