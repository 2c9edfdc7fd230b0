//! A map read strictly: every key is asked for by name, and what nobody asked for is a fault.

use crate::fault::{FAULTS_MAX, Fault, Source};
use crate::node::{Entry, Kind, Node, Span};
use std::cell::Cell;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Reads the keys of one map.
///
/// ```
/// # use document::{Fields, Source, parse};
/// let source = Source { name: "rule.yaml", text: "id: a\npriorty: 5" };
/// let node = parse(source).unwrap();
/// let mut fields = Fields::of(source, &node, "a rule").unwrap();
/// assert_eq!(fields.require_text("id").unwrap(), "a");
/// assert_eq!(fields.whole("priority", -10..=10).unwrap(), None);
/// let faults = fields.finish();
/// assert_eq!(faults[0].what, "a rule has no key `priorty`");
/// assert_eq!(faults[0].hint.as_deref(), Some("did you mean `priority`?"));
/// ```
#[derive(Debug)]
pub struct Fields<'a> {
    source: Source<'a>,
    what: &'static str,
    span: Span,
    entries: &'a [Entry],
    /// What was asked for, or named in a fault already.
    taken: Vec<Cell<bool>>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts to read `node`, which must be a map. `what` names it to people: "a rule".
    pub fn of(source: Source<'a>, node: &'a Node, what: &'static str) -> Result<Self, Fault> {
        let Some(entries) = node.as_map() else {
            let wrong = format!("{what} must be a map, this is {}", node.kind_name());
            return Err(Fault::at(source, node.span, wrong));
        };
        let taken = vec![Cell::new(false); entries.len()];
        Ok(Self { source, what, span: node.span, entries, taken, asked: Vec::new() })
    }

    /// Where the map starts.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whether the key is there; does not take it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// The entry under `key`.
    pub fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        self.taken[index].set(true);
        Some(&self.entries[index])
    }

    /// The value under `key`.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value under one of several spellings of one key; two of them at once are a fault.
    pub fn take_any(&mut self, keys: &[&'static str]) -> Result<Option<&'a Node>, Fault> {
        let mut found: Option<&'a Entry> = None;
        for key in keys {
            let Some(entry) = self.entry(key) else { continue };
            if let Some(first) = found {
                let what = format!("`{key}` and `{}` are the same key", first.key);
                return Err(Fault::at(self.source, entry.key_span, what).hint("keep one of them"));
            }
            found = Some(entry);
        }
        Ok(found.map(|entry| &entry.value))
    }

    /// The value under `key`, which must be there.
    pub fn require(&mut self, key: &'static str) -> Result<&'a Node, Fault> {
        self.take(key).ok_or_else(|| self.missing(key))
    }

    /// The fault of a key that is not there; names the key that was probably meant for it, which
    /// [`Fields::finish`] then does not name again.
    pub fn missing(&self, key: &str) -> Fault {
        let fault =
            Fault::at(self.source, self.span, format!("{} needs the key `{key}`", self.what));
        let free = self.entries.iter().zip(&self.taken).filter(|(_, taken)| !taken.get());
        let Some(near) = crate::did_you_mean(key, free.map(|(entry, _)| entry.key.as_str())) else {
            return fault;
        };
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            taken.set(taken.get() || entry.key == near);
        }
        fault.hint(format!("is `{near}` meant to be it?"))
    }

    /// Text under `key`.
    pub fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, Fault> {
        let Some(node) = self.take(key) else { return Ok(None) };
        match &node.kind {
            Kind::Text { value, .. } => Ok(Some(value)),
            _ => Err(self.unexpected(key, "text", node)),
        }
    }

    /// Text under `key`, which must be there.
    pub fn require_text(&mut self, key: &'static str) -> Result<&'a str, Fault> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// True or false under `key`.
    pub fn flag(&mut self, key: &'static str) -> Result<Option<bool>, Fault> {
        let Some(node) = self.take(key) else { return Ok(None) };
        node.as_bool().map(Some).ok_or_else(|| self.unexpected(key, "true or false", node))
    }

    /// A whole number of a range under `key`.
    pub fn whole(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Fault> {
        let Some(node) = self.take(key) else { return Ok(None) };
        match node.kind {
            Kind::Int(value) if range.contains(&value) => Ok(Some(value)),
            Kind::Int(_) | Kind::Number(_) => {
                let what = format!(
                    "`{key}` is out of range: {} is not in {} to {}",
                    node.to_json(),
                    range.start(),
                    range.end()
                );
                Err(Fault::at(self.source, node.span, what))
            }
            _ => Err(self.unexpected(key, "a whole number", node)),
        }
    }

    /// A list under `key`.
    pub fn list(&mut self, key: &'static str) -> Result<Option<&'a [Node]>, Fault> {
        let Some(node) = self.take(key) else { return Ok(None) };
        node.as_list().map(Some).ok_or_else(|| self.unexpected(key, "a list", node))
    }

    /// A map under `key`, as a node.
    pub fn map(&mut self, key: &'static str) -> Result<Option<&'a Node>, Fault> {
        let Some(node) = self.take(key) else { return Ok(None) };
        if node.as_map().is_none() {
            return Err(self.unexpected(key, "a map", node));
        }
        Ok(Some(node))
    }

    /// A duration under `key`.
    pub fn duration(&mut self, key: &'static str) -> Result<Option<Duration>, Fault> {
        self.take(key).map(|node| crate::duration(self.source, node)).transpose()
    }

    /// The fault of a value of the wrong kind.
    pub fn unexpected(&self, key: &str, expected: &str, node: &Node) -> Fault {
        let what = format!("`{key}` must be {expected}, this is {}", node.kind_name());
        let fault = Fault::at(self.source, node.span, what);
        let is_number = matches!(node.kind, Kind::Int(_) | Kind::Number(_) | Kind::Float(_));
        if expected == "text" && (is_number || node.as_bool().is_some()) {
            return fault.hint("put it in quotes to make it text");
        }
        fault
    }

    /// Ends the reading: one fault for every key that nobody asked for, up to [`FAULTS_MAX`].
    pub fn finish(self) -> Vec<Fault> {
        let mut known = self.asked;
        known.sort_unstable();
        known.dedup();
        let unknown = self.entries.iter().zip(&self.taken).filter(|(_, taken)| !taken.get());
        unknown
            .take(FAULTS_MAX)
            .map(|(entry, _)| {
                let what = format!("{} has no key `{}`", self.what, entry.key);
                Fault::at(self.source, entry.key_span, what).expecting(&entry.key, &known)
            })
            .collect()
    }
}
