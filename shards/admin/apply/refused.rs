//! What a node refuses, told with places in the files.
//!
//! A node is sent one JSON text of all that differs, and counts lines and columns there. The trees
//! are the same ones, so a place in the one is found in the other.

use crate::check::{Checked, Item};
use crate::server::Refused;
use document::{Fault, Faults, Kind, Node, Source, Span};
use serde_json::Value;

/// A step from a node to one below it.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The faults that the node found in `body`, at their places in the files. `None`: it named none, or
/// one that is in none of the files.
pub(super) fn faults<T: Item>(
    refused: &Refused,
    body: &str,
    files: &[Checked<T>],
) -> Option<Faults> {
    let listed = refused.value().get("faults")?.as_array().filter(|faults| !faults.is_empty())?;
    let tree = document::parse(Source { name: "", text: body }).ok()?;
    let faults: Option<Vec<Fault>> =
        listed.iter().map(|fault| at_its_file(fault, &tree, files)).collect();
    let mut faults = faults?;
    faults.sort_by(|one, other| (&one.file, one.span).cmp(&(&other.file, other.span)));
    Some(Faults(faults))
}

fn at_its_file<T: Item>(fault: &Value, tree: &Node, files: &[Checked<T>]) -> Option<Fault> {
    let number = |name: &str| u32::try_from(fault.get(name)?.as_u64()?).ok();
    let span = Span { line: number("line")?, column: number("column")? };
    let mut path = Vec::new();
    // The place is in the text of one of the list's elements.
    let (list, _) = step_towards(tree, span, &mut path)?;
    let (item, _) = step_towards(list, span, &mut path)?;
    path.clear();
    let (mut below, mut is_key) = (item, false);
    while let Some((next, at_key)) = step_towards(below, span, &mut path) {
        (below, is_key) = (next, at_key);
    }
    let source = item.to_json();
    let mut holders = files.iter().filter(|file| file.items.iter().any(|i| i.source() == source));
    let text = &holders.next()?.text;
    let root = document::parse(text.source()).ok()?;
    let span = follow(find(&root, &source, 0)?, &path, is_key);
    let what = fault.get("what")?.as_str()?;
    let made = Fault::at(text.source(), span, what);
    Some(match fault.get("hint").and_then(Value::as_str) {
        Some(hint) => made.hint(hint),
        None => made,
    })
}

/// The last node below `node` that begins at or before a place, and whether the place is that of its
/// key. `None`: the place is that of `node` itself, or in its text.
fn step_towards<'a>(
    node: &'a Node,
    span: Span,
    path: &mut Vec<Step<'a>>,
) -> Option<(&'a Node, bool)> {
    match &node.kind {
        Kind::Map(entries) => {
            let entry = entries.iter().take_while(|entry| entry.key_span <= span).last()?;
            path.push(Step::Key(&entry.key));
            Some((&entry.value, span < entry.value.span))
        }
        Kind::List(nodes) => {
            let before = nodes.iter().take_while(|node| node.span <= span).count();
            let index = before.checked_sub(1)?;
            path.push(Step::Index(index));
            Some((&nodes[index], false))
        }
        _ => None,
    }
}

/// Where a path ends in another text of the same tree.
fn follow(from: &Node, path: &[Step<'_>], is_key: bool) -> Span {
    let (mut node, mut span) = (from, from.span);
    for (index, step) in path.iter().enumerate() {
        let is_last = index + 1 == path.len();
        let below = match (step, &node.kind) {
            (Step::Key(key), Kind::Map(entries)) => {
                let entry = entries.iter().find(|entry| entry.key == *key);
                entry.map(|entry| {
                    let at = if is_key && is_last { entry.key_span } else { entry.value.span };
                    (&entry.value, at)
                })
            }
            (Step::Index(index), Kind::List(nodes)) => nodes.get(*index).map(|it| (it, it.span)),
            _ => None,
        };
        let Some((next, at)) = below else { break };
        (node, span) = (next, at);
    }
    span
}

/// The node whose canonical JSON it is: a file, what its only key holds, or an element of that.
fn find<'a>(node: &'a Node, source: &str, depth: usize) -> Option<&'a Node> {
    if node.to_json() == source {
        return Some(node);
    }
    if depth == 2 {
        return None;
    }
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().find_map(|entry| find(&entry.value, source, depth + 1))
        }
        Kind::List(nodes) => nodes.iter().find_map(|node| find(node, source, depth + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
