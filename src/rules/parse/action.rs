//! The actions of a rule, and enrichments.

use super::{Read, all, expression, keep, require_name};
use crate::action::{Action, key_text};
use crate::enrichment::{self, ENRICH_FIELDS_MAX, Enrichment};
use crate::path::FieldPath;
use document::{Entry, Fault, Fields, Node, Source};
use expr::{Map, Template, Tree};

pub(super) fn read(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Action> {
    let mut fields = keep(faults, Fields::of(source, node, "an action"))?;
    let workflow = keep(faults, require_name(source, &mut fields, "workflow"));
    let params = keep(faults, fields.map("params"));
    let params = params.and_then(|params| {
        let Some(params) = params else {
            return Some(Tree::from(expr::Value::from(Map::default())));
        };
        expression::tree(source, params, faults)
    });
    let timeout = keep(faults, fields.duration("timeout"));
    let retry = keep(faults, fields.whole("retry", 0..=100));
    let key = match fields.take("key") {
        Some(node) => read_key(source, node, faults).map(Some),
        None => Some(None),
    };
    let enrich = read_enrich(source, &mut fields, faults);
    let transform = match fields.take("transform") {
        Some(node) => read_transform(source, node, faults).map(Some),
        None => Some(None),
    };
    faults.extend(fields.finish());
    Some(Action {
        workflow: workflow?.to_owned(),
        params: params?,
        timeout: timeout?,
        retry: retry?.map(|n| u32::try_from(n).expect("is in range")),
        key: key?,
        enrich: enrich?,
        transform: transform?,
        span: node.span,
    })
}

fn read_key(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Template> {
    let Some(text) = node.as_text() else {
        let what = format!("`key` must be text, this is {}", node.kind_name());
        let fault = Fault::at(source, node.span, what);
        faults.push(fault.hint("a field of the message, as in `key: ${ msg.payment_id }`"));
        return None;
    };
    let template = expression::template(source, node, text, faults)?;
    if let Some(constant) = template.constant() {
        let checked = key_text(constant);
        keep(faults, checked.map_err(|error| Fault::at(source, node.span, error.to_string())))?;
    }
    Some(template)
}

/// A map, or one expression that will give one.
fn read_transform(source: Source<'_>, node: &Node, faults: &mut Vec<Fault>) -> Option<Tree> {
    let is_expression = node.as_text().is_some_and(|text| text.contains("${"));
    if node.as_map().is_none() && !is_expression {
        let what = format!("`transform` must be a map, this is {}", node.kind_name());
        faults.push(Fault::at(source, node.span, what));
        return None;
    }
    let tree = expression::tree(source, node, faults)?;
    let is_text = match &tree {
        Tree::Template(template) => template.single().is_none(),
        Tree::Constant(value) => value.as_map().is_none(),
        Tree::List(_) | Tree::Map(_) => false,
    };
    if is_text {
        let fault = Fault::at(source, node.span, "`transform` must be a map, this gives none");
        faults.push(fault.hint("a map whose values are expressions, or one ${ } that gives a map"));
        return None;
    }
    Some(tree)
}

/// `enrich`, of a rule or of an action.
pub(super) fn read_enrich(
    source: Source<'_>,
    fields: &mut Fields<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Enrichment> {
    let Some(node) = keep(faults, fields.map("enrich"))? else {
        return Some(Enrichment::default());
    };
    let entries = node.as_map().expect("was asked for as a map");
    if !(1..=ENRICH_FIELDS_MAX).contains(&entries.len()) {
        let what =
            format!("`enrich` has {} fields, it must have 1 to {ENRICH_FIELDS_MAX}", entries.len());
        faults.push(Fault::at(source, node.span, what));
        return None;
    }
    let read: Vec<(FieldPath, Tree)> =
        all(entries, faults, |entry, faults| read_field(source, entry, faults))?;
    let paths: Vec<(&Entry, &FieldPath)> =
        entries.iter().zip(read.iter().map(|(path, _)| path)).collect();
    keep(faults, refuse_overlap(source, &paths))?;
    Some(Enrichment::new(read))
}

fn read_field(
    source: Source<'_>,
    entry: &Entry,
    faults: &mut Vec<Fault>,
) -> Option<(FieldPath, Tree)> {
    let path = keep(faults, read_path(source, entry));
    let value = expression::tree(source, &entry.value, faults);
    Some((path?, value?))
}

/// Objects are made on the way to a field; there is no such thing for an element of an array.
fn read_path(source: Source<'_>, entry: &Entry) -> Read<FieldPath> {
    let path = FieldPath::parse(&entry.key)
        .map_err(|error| Fault::at(source, entry.key_span, error.to_string()))?;
    if path.indexes().next().is_some() {
        let what = format!("`enrich` cannot set an element of an array: `{}`", entry.key);
        return Err(Fault::at(source, entry.key_span, what)
            .hint("set the array as a whole, or another field"));
    }
    Ok(path)
}

/// A field that is set cannot lie inside another one that is.
fn refuse_overlap(source: Source<'_>, paths: &[(&Entry, &FieldPath)]) -> Read<()> {
    let keys = |path| enrichment::keys(path).map(str::to_owned).collect::<Vec<_>>();
    let mut sorted: Vec<(Vec<String>, &Entry)> =
        paths.iter().map(|(entry, path)| (keys(path), *entry)).collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    // What begins with a path stands behind it, with nothing between that does not.
    for pair in sorted.windows(2) {
        let ((outer, whole), (inner, part)) = (&pair[0], &pair[1]);
        if inner.starts_with(outer) {
            let (outer, inner) = (&whole.key, &part.key);
            let what = format!("`{inner}` lies inside `{outer}`, which is set, too");
            return Err(Fault::at(source, part.key_span, what)
                .hint("set one of them, or all of it as a map"));
        }
    }
    Ok(())
}
