//! JSON as serde_json reads it: the judge of the scanner.
//!
//! Numbers stay as they are written, which is what serde_json's `arbitrary_precision` is for; that
//! feature would change serde_json for every crate whose tests are built along with these, so the
//! raw text of each value is asked for instead.

use super::BadMessage;
use super::tree::Tree;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// How deep a message may nest, written out: what docs/RULES.md promises.
const DEPTH_MAX: usize = 128;

/// Why an object that RFC 8259 calls valid is refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exception {
    LoneSurrogate,
    TooDeep,
    RepeatedKey,
}

/// What is to be said of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum Judgement {
    /// It is no JSON, or no object.
    Refused,
    /// It is an object, and there is at least one reason to refuse it.
    Excepted(BTreeSet<Exception>),
    Accepted(Tree),
}

impl Judgement {
    /// `tracked`: the keys that lead to each field that some rule asks for.
    pub(crate) fn of(text: &[u8], tracked: &[Vec<String>]) -> Self {
        let Ok(text) = std::str::from_utf8(text) else { return Self::Refused };
        let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return Self::Refused };
        let mut reader = Reader { tracked, exceptions: BTreeSet::new() };
        match reader.value(raw, &mut Vec::new(), 0) {
            _ if !reader.exceptions.is_empty() && raw.get().starts_with('{') => {
                Self::Excepted(reader.exceptions)
            }
            tree @ Tree::Object(_) => Self::Accepted(tree),
            _ => Self::Refused,
        }
    }

    /// Whether the scanner's answer is right.
    pub(crate) fn allows(&self, answer: &Result<(), BadMessage>) -> bool {
        let exception = match answer {
            Ok(()) => return matches!(self, Self::Accepted(_)),
            Err(BadMessage::LoneSurrogate { .. }) => Exception::LoneSurrogate,
            Err(BadMessage::TooDeep { .. }) => Exception::TooDeep,
            Err(BadMessage::RepeatedKey { .. }) => Exception::RepeatedKey,
            Err(_) => return matches!(self, Self::Refused),
        };
        match self {
            Self::Accepted(_) => false,
            Self::Excepted(reasons) => reasons.contains(&exception),
            // What is wrong may stand behind the exception.
            Self::Refused => true,
        }
    }
}

struct Reader<'f> {
    tracked: &'f [Vec<String>],
    exceptions: BTreeSet<Exception>,
}

/// The entries of an object as they are written, repeated keys and all.
struct Entries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Reader<'_> {
    /// `keys` lead here. Recursion: bounded by `DEPTH_MAX`.
    fn value(&mut self, raw: &RawValue, keys: &mut Vec<String>, depth: usize) -> Tree {
        let text = raw.get();
        let opens = text.starts_with(['{', '[']);
        if opens && depth == DEPTH_MAX {
            self.exceptions.insert(Exception::TooDeep);
            return Tree::Null;
        }
        match text.as_bytes()[0] {
            b'{' => {
                let Entries(entries) = serde_json::from_str(text).expect("was read once");
                self.object(&entries, keys, depth)
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).expect("was read once");
                let elements = elements.into_iter();
                Tree::Array(elements.map(|raw| self.value(raw, keys, depth + 1)).collect())
            }
            b'"' => Tree::Text(self.text(raw)),
            b't' => Tree::Bool(true),
            b'f' => Tree::Bool(false),
            b'n' => Tree::Null,
            _ => Tree::Number(text.to_owned()),
        }
    }

    fn object(
        &mut self,
        entries: &[(&RawValue, &RawValue)],
        keys: &mut Vec<String>,
        depth: usize,
    ) -> Tree {
        let mut read: Vec<(String, Tree)> = Vec::new();
        for (key, value) in entries {
            let key = self.text(key);
            keys.push(key.clone());
            let is_tracked = self.tracked.iter().any(|field| field.starts_with(keys));
            if is_tracked && read.iter().any(|(other, _)| *other == key) {
                self.exceptions.insert(Exception::RepeatedKey);
            }
            let value = self.value(value, keys, depth + 1);
            keys.pop();
            read.push((key, value));
        }
        Tree::Object(read)
    }

    fn text(&mut self, raw: &RawValue) -> String {
        // All that serde_json finds wrong with a text that it has stepped over before.
        serde_json::from_str(raw.get()).unwrap_or_else(|_| {
            self.exceptions.insert(Exception::LoneSurrogate);
            String::new()
        })
    }
}
