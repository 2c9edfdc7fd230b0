//! The dynamic value that all workflow data is made of, and the map inside it.
//!
//! Invariants
//! - A value is immutable and cheap to clone: texts, lists and maps are shared.
//! - A map is ordered by its keys' bytes and holds each key once.
//! - A double is finite; outside of an evaluation a uint is above `i64::MAX` (the constructors keep
//!   this, and reading JSON does).

use crate::transient::Transient;
use std::sync::Arc;

/// A JSON-like value.
///
/// `==` of Rust is structural: `Int(1)` and `Double(1.0)` differ. The language's own equality is
/// [`Value::equals`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// A finite number with a fraction or an exponent.
    Double(f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// A map from texts.
    Map(Arc<Map>),
    /// What only an evaluation knows (bytes, times, types). No value that this crate hands out is
    /// one or has one in it: whoever matches on a value may call this unreachable.
    Transient(Transient),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// A list of these elements.
    pub fn list(elements: impl IntoIterator<Item = Value>) -> Value {
        Value::List(elements.into_iter().collect())
    }

    /// A map of these entries. Of equal keys the first stays.
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Map(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    /// A double, unless it is NaN or infinite: those have no form in JSON.
    pub fn double(number: f64) -> Option<Value> {
        number.is_finite().then_some(Value::Double(number))
    }

    /// What stands under `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The name of the kind, as people who write expressions know it.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Transient(Transient(kept)) => kept.kind_name(),
        }
    }

    /// The truth value, when this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The whole number, when this is one that fits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, when this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, when this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The map, when this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What the value holds in memory. Unit: bytes, about; what it shares with other values is
    /// counted as if it were its own.
    pub fn bytes_estimate(&self) -> usize {
        /// The two counters in front of everything shared.
        const SHARED_BYTES: usize = 2 * size_of::<usize>();
        let outside = match self {
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::Transient(_) => 0,
            Value::Text(text) => SHARED_BYTES + text.len(),
            Value::List(elements) => {
                SHARED_BYTES + elements.iter().map(Value::bytes_estimate).sum::<usize>()
            }
            Value::Map(map) => {
                let entry = |(key, value): (&Arc<str>, &Value)| {
                    size_of::<Arc<str>>() + SHARED_BYTES + key.len() + value.bytes_estimate()
                };
                SHARED_BYTES + size_of::<Map>() + map.iter().map(entry).sum::<usize>()
            }
        };
        size_of::<Value>() + outside
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Int(i64::from(number))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        i64::try_from(number).map_or(Value::Uint(number), Value::Int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::text(text)
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Value {
        Value::Text(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Value {
        Value::List(elements.into())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(Arc::new(map))
    }
}

/// A map from texts to values, ordered by the keys' bytes, so that it is walked and written the
/// same way everywhere.
///
/// A sorted array rather than a tree: it is built once, never changed, usually small, and found
/// in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: Box<[(Arc<str>, Value)]>,
}

impl Map {
    /// A map of these entries. Of equal keys the first stays.
    pub fn from_entries(mut entries: Vec<(Arc<str>, Value)>) -> Map {
        // What we wrote ourselves arrives sorted; the stable sort keeps the first of equal keys
        // in front.
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        entries.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Map { entries: entries.into_boxed_slice() }
    }

    /// What stands under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let index = self.entries.binary_search_by(|(own, _)| (**own).cmp(key)).ok()?;
        Some(&self.entries[index].1)
    }

    /// Whether there is a `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The key at this place in their order.
    pub(crate) fn key_at(&self, index: usize) -> Option<&Arc<str>> {
        self.entries.get(index).map(|(key, _)| key)
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(key, _)| &**key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Of equal keys the first stays.
impl FromIterator<(Arc<str>, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(entries: I) -> Map {
        Map::from_entries(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
