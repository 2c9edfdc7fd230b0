//! What a rule adds to a message before its own actions, and the rules that continue from it, see
//! it.
//!
//! # Invariants
//! - After an enrichment each of its fields is what its expression gave, or it is missing: nothing
//!   of what stood there before is left, nor of an array on the way.
//! - No field of an enrichment lies inside another of the same one, so their order is no matter.
//! - [`Enrichment::apply`] to a value and [`text::splice`] into the message's own bytes tell the
//!   same, but for numbers that only the bytes hold exactly.

use crate::path::{FieldPath, PathStep};
use base::limits::{MESSAGE_BYTES_MAX, NESTING_MAX};
use expr::{EvalError, Map, Names, Steps, Tree, Value};
use std::sync::Arc;

pub(crate) mod text;

/// The most fields of one enrichment.
pub const ENRICH_FIELDS_MAX: usize = 64;

/// What the fields of one enrichment may take together, their keys counted, too. Unit: bytes as
/// JSON. A chain of them then stays within what a message may be many times over.
pub const ENRICH_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(ENRICH_BYTES_MAX <= MESSAGE_BYTES_MAX);

/// Fields to set in a message, each from an expression over the message as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enrichment {
    /// Ordered by their keys, so that those inside the same object are neighbours.
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    path: FieldPath,
    keys: Box<[Arc<str>]>,
    value: Tree,
}

/// A field to set, or to take out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edit<'e> {
    pub(crate) keys: &'e [Arc<str>],
    /// Nothing: it is missing afterwards.
    pub(crate) value: Option<Value>,
}

/// What became of a field of an enrichment.
#[derive(Clone, Debug, PartialEq)]
pub enum Enriched {
    /// It is this.
    Value(Value),
    /// It is missing, and why. The text names what is written in the rule, never data.
    Missing(String),
}

/// The keys of a path without indexes.
pub(crate) fn keys(path: &FieldPath) -> impl Iterator<Item = &str> {
    path.steps().iter().map(|step| match step {
        PathStep::Key(key) => key.as_str(),
        PathStep::Index(_) => unreachable!("an enrichment with an index was refused"),
    })
}

impl Enrichment {
    /// Of fields without indexes, of which none lies inside another.
    pub(crate) fn new(fields: Vec<(FieldPath, Tree)>) -> Self {
        let field = |(path, value): (FieldPath, Tree)| {
            let keys = keys(&path).map(Arc::from).collect();
            Field { path, keys, value }
        };
        let mut fields: Vec<Field> = fields.into_iter().map(field).collect();
        fields.sort_by(|left, right| left.keys.cmp(&right.keys));
        let is_apart = |pair: &[Field]| !pair[1].keys.starts_with(&pair[0].keys);
        assert!(fields.windows(2).all(is_apart), "no field lies inside another");
        Self { fields }
    }

    /// Whether it sets nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields with what they are set to.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&FieldPath, &Tree)> {
        self.fields.iter().map(|field| (&field.path, &field.value))
    }

    /// The message with the fields set.
    pub fn apply(&self, message: &Value) -> Value {
        if self.is_empty() {
            return message.clone();
        }
        edited(message.as_map(), 0, &self.edits(Some(message))).into()
    }

    /// The same, paid from steps that it shares with others. Not even a field that would be missing
    /// without that bound is left away because of it: then there is no message.
    pub fn apply_paid(&self, message: &Value, steps: &mut Steps) -> Result<Value, EvalError> {
        if self.is_empty() {
            return Ok(message.clone());
        }
        let mut left = ENRICH_BYTES_MAX;
        let mut edits = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let evaluate =
                |tree: &Tree| Ok(tree.evaluate_paid(&Names(&[("msg", message)]), steps)?);
            let value = match calculate(field, &mut left, evaluate) {
                Err(Missing::Evaluation(error @ EvalError::TooManyStepsTogether { .. })) => {
                    return Err(error);
                }
                value => value.ok(),
            };
            edits.push(Edit { keys: &field.keys, value });
        }
        steps.spend(copied(message.as_map(), 0, &edits))?;
        Ok(edited(message.as_map(), 0, &edits).into())
    }

    /// What each field becomes for a message: for people. Nothing stands for a message that no
    /// expression can read: a number of it fits neither a double nor 64 bits.
    pub(crate) fn explain(&self, message: Option<&Value>) -> Vec<(&FieldPath, Enriched)> {
        let mut left = ENRICH_BYTES_MAX;
        let mut one = |field| match evaluate(field, message, &mut left) {
            Ok(value) => Enriched::Value(value),
            Err(why) => Enriched::Missing(why.to_string()),
        };
        self.fields.iter().map(|field| (&field.path, one(field))).collect()
    }

    /// What is to be done to a message; see [`Enrichment::explain`].
    pub(crate) fn edits(&self, message: Option<&Value>) -> Vec<Edit<'_>> {
        let mut left = ENRICH_BYTES_MAX;
        let mut one = |field| evaluate(field, message, &mut left).ok();
        self.fields.iter().map(|field| Edit { keys: &field.keys, value: one(field) }).collect()
    }
}

/// What a number, a bool or null is taken for; or the quotes, the colon and the comma around an
/// entry. Unit: bytes.
const SMALL_BYTES: usize = 8;

/// Why a field of an enrichment is missing. The texts name what is written in the rule, never data.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error(transparent)]
    Evaluation(#[from] EvalError),
    #[error("the message holds a number that fits neither a double nor 64 bits")]
    Unreadable,
    #[error("the fields take more than {ENRICH_BYTES_MAX} bytes together")]
    TooLarge,
    #[error("the message would nest deeper than {NESTING_MAX} levels")]
    TooDeep,
}

/// The field's value, paid from the bytes that are left.
fn evaluate(field: &Field, message: Option<&Value>, left: &mut usize) -> Result<Value, Missing> {
    calculate(field, left, |tree| {
        let message = message.ok_or(Missing::Unreadable)?;
        Ok(tree.evaluate(&Names(&[("msg", message)]))?)
    })
}

fn calculate(
    field: &Field,
    left: &mut usize,
    evaluate: impl FnOnce(&Tree) -> Result<Value, Missing>,
) -> Result<Value, Missing> {
    let value = match field.value.constant() {
        Some(value) => value.clone(),
        None => evaluate(&field.value)?,
    };
    let keys: usize = field.keys.iter().map(|key| SMALL_BYTES + key.len()).sum();
    let bytes = keys + bytes_at_least(&value, *left);
    if bytes > *left {
        return Err(Missing::TooLarge);
    }
    if field.keys.len() + depth(&value) > NESTING_MAX {
        return Err(Missing::TooDeep);
    }
    *left -= bytes;
    Ok(value)
}

/// The value's length as JSON, escapes not counted; counting ends behind `enough`. Recursion: what
/// an evaluation builds, and what JSON was read from, nests at most `NESTING_MAX` deep.
fn bytes_at_least(value: &Value, enough: usize) -> usize {
    match value {
        Value::Text(text) => SMALL_BYTES + text.len(),
        Value::List(elements) => {
            let mut bytes = SMALL_BYTES;
            for element in elements.iter() {
                if bytes > enough {
                    break;
                }
                bytes += bytes_at_least(element, enough - bytes);
            }
            bytes
        }
        Value::Map(map) => {
            let mut bytes = SMALL_BYTES;
            for (key, value) in map.iter() {
                if bytes > enough {
                    break;
                }
                bytes += SMALL_BYTES + key.len();
                bytes += bytes_at_least(value, enough.saturating_sub(bytes));
            }
            bytes
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) => {
            SMALL_BYTES
        }
        Value::Transient(_) => unreachable!("an evaluation hands out JSON alone"),
    }
}

/// How deep a value nests; 0 for one that is no list and no map. Recursion: as for the length.
fn depth(value: &Value) -> usize {
    match value {
        Value::List(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// The edits by the key that stands `at` so many keys below the top. Those of one key are
/// neighbours.
pub(crate) fn by_key<'e, 'k>(
    edits: &'e [Edit<'k>],
    at: usize,
) -> impl Iterator<Item = (&'k Arc<str>, &'e [Edit<'k>])> {
    edits.chunk_by(move |left, right| left.keys[at] == right.keys[at]).map(move |group| {
        let keys = group[0].keys;
        (&keys[at], group)
    })
}

/// Whether the group sets or removes the field itself, and does not only reach into it.
pub(crate) fn is_whole(group: &[Edit<'_>], at: usize) -> bool {
    group[0].keys.len() == at + 1
}

/// How many entries [`edited`] copies: those of each map on the way to a field. Recursion: as deep as a
/// field path is long.
fn copied(map: Option<&Map>, at: usize, edits: &[Edit<'_>]) -> usize {
    let inside = |(key, group): (&Arc<str>, &[Edit<'_>])| {
        let map = map.and_then(|map| map.get(key)).and_then(Value::as_map);
        if is_whole(group, at) { 0 } else { copied(map, at + 1, group) }
    };
    map.map_or(0, Map::len) + by_key(edits, at).map(inside).sum::<usize>()
}

/// A map with edits made in it. Recursion: as deep as a field path is long.
pub(crate) fn edited(map: Option<&Map>, at: usize, edits: &[Edit<'_>]) -> Map {
    let mut entries: Vec<(Arc<str>, Value)> = match map {
        Some(map) => map.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        None => Vec::new(),
    };
    for (key, group) in by_key(edits, at) {
        let found = entries.binary_search_by(|(own, _)| own.cmp(key));
        let old = found.ok().map(|place| &entries[place].1);
        let new = if is_whole(group, at) {
            group[0].value.clone()
        } else {
            let inside = old.and_then(Value::as_map);
            let is_there = inside.is_some();
            let inside = edited(inside, at + 1, group);
            // An object is made on the way to something, not to nothing.
            (is_there || !inside.is_empty()).then(|| inside.into())
        };
        match (found, new) {
            (Ok(place), Some(value)) => entries[place].1 = value,
            (Ok(place), None) => {
                entries.remove(place);
            }
            (Err(place), Some(value)) => entries.insert(place, (Arc::clone(key), value)),
            (Err(_), None) => {}
        }
    }
    Map::from_entries(entries)
}

#[cfg(test)]
mod tests;
