//! The expressions of a rule: they see the message, as `msg`, and nothing else.

use super::{Read, all, keep};
use crate::expression::MESSAGE;
use document::{Entry, FAULTS_MAX, Fault, Kind, Node, Source};
use expr::{Expression, ParseError, Reference, Template, Tree, Value};

/// A text that may hold `${ }`.
pub(super) fn template(
    source: Source<'_>,
    node: &Node,
    text: &str,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let template = Template::parse(text);
    let template = keep(faults, template.map_err(|error| parse_fault(source, node, text, &error)))?;
    let wrong = |reference| check(source, node, text, reference).err();
    let wrong: Vec<Fault> = template.references().filter_map(wrong).take(FAULTS_MAX).collect();
    let is_right = wrong.is_empty();
    faults.extend(wrong);
    is_right.then_some(template)
}

/// A text that is one `${ }` and nothing else.
pub(super) fn single(
    source: Source<'_>,
    key: &str,
    node: &Node,
    faults: &mut Vec<Fault>,
) -> Option<Expression> {
    let Some(text) = node.as_text() else {
        let what = format!("`{key}` must be an expression, this is {}", node.kind_name());
        faults.push(Fault::at(source, node.span, what));
        return None;
    };
    // A block of YAML ends with a line break.
    let template = template(source, node, text.trim_end(), faults)?;
    let single = template.single().cloned();
    if single.is_none() {
        let fault =
            Fault::at(source, node.span, format!("`{key}` must be one expression in ${{ }}"));
        faults.push(fault);
    }
    single
}

/// Any value, whose texts may hold `${ }`. Recursion: bounded by the nesting of the text.
pub(super) fn tree<'n>(
    source: Source<'_>,
    node: &'n Node,
    faults: &mut Vec<Fault>,
) -> Option<Tree> {
    let scalar = match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(truth) => Value::Bool(*truth),
        Kind::Int(number) => Value::Int(*number),
        Kind::Float(number) => Value::Double(*number),
        Kind::Number(text) => keep(faults, number(source, node, text))?,
        Kind::Text { value, .. } => {
            let template = template(source, node, value, faults)?;
            return Some(match template.constant() {
                Some(constant) => Tree::from(constant.clone()),
                None => Tree::Template(template),
            });
        }
        Kind::List(nodes) => {
            let elements = all(nodes, faults, |node, faults| tree(source, node, faults))?;
            return Some(Tree::list(elements));
        }
        Kind::Map(entries) => {
            let read = |entry: &'n Entry, faults: &mut Vec<Fault>| {
                Some((entry.key.as_str(), tree(source, &entry.value, faults)?))
            };
            return all(entries, faults, read).map(Tree::map);
        }
    };
    Some(Tree::from(scalar))
}

fn number(source: Source<'_>, node: &Node, text: &str) -> Read<Value> {
    Value::parse_json(text.as_bytes())
        .map_err(|error| Fault::at(source, node.span, error.to_string()))
}

fn check(source: Source<'_>, node: &Node, text: &str, reference: &Reference) -> Read<()> {
    let root = reference.root();
    if root == MESSAGE {
        return Ok(());
    }
    let span = source.place_in(node, text, reference.at).unwrap_or(node.span);
    Err(match root {
        "secrets" => Fault::at(source, span, "a rule cannot see `secrets`")
            .hint("the tasks of a workflow can, in `with`"),
        "input" => Fault::at(source, span, "a rule has no `input`")
            .hint("a rule sees the message, which is `msg`"),
        "params" | "tasks" | "workflow" | "item" | "index" | "error" => {
            Fault::at(source, span, format!("a rule has no `{root}`, a workflow has"))
                .hint("a rule sees the message, which is `msg`")
        }
        other => {
            Fault::at(source, span, format!("there is no `{other}`")).expecting(other, &[MESSAGE])
        }
    })
}

fn parse_fault(source: Source<'_>, node: &Node, text: &str, error: &ParseError) -> Fault {
    match source.place_in(node, text, error.at) {
        Some(span) => Fault::at(source, span, error.problem.to_string()),
        // The text was not written as it is: its place in it is all that can be said.
        None => Fault::at(source, node.span, error.to_string()),
    }
}
