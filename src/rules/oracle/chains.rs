//! Chains as the judge sees them: which rules hold, and what of a message they see.

use super::naive::Condition;
use super::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// What the judge knows of a rule.
pub(crate) struct Judged {
    pub(crate) priority: i64,
    pub(crate) stop: bool,
    pub(crate) text: String,
    enabled: bool,
    condition: Condition,
    requires: Vec<String>,
    continue_from: Option<String>,
    enrich: Vec<(Vec<String>, Setting)>,
}

/// What a field is set to.
enum Setting {
    /// This.
    Constant(Tree),
    /// What stands there in the message; nothing on the way is an array.
    Copy(Vec<String>),
    /// Nothing: the expression always fails.
    Fails,
}

impl Judged {
    /// Of a rule's text as JSON.
    pub(crate) fn of(text: &str) -> Self {
        let tree = Tree::parse(text);
        let flag = |key: &str, otherwise: bool| match tree.get(key) {
            Some(Tree::Bool(value)) => *value,
            _ => otherwise,
        };
        let word = |tree: &Tree| tree.text().unwrap().to_owned();
        let entries = |tree: &Tree| match tree {
            Tree::Object(entries) => entries.clone(),
            other => panic!("not a map: {other:?}"),
        };
        let enrich = tree.get("enrich").map(entries).unwrap_or_default();
        let priority = match tree.get("priority") {
            Some(Tree::Number(number)) => number.parse().unwrap(),
            _ => 0,
        };
        Self {
            priority,
            stop: flag("stop", false),
            text: text.to_owned(),
            enabled: flag("enabled", true),
            condition: Condition::of(tree.get("conditions").unwrap()),
            requires: tree
                .get("requires")
                .map(|list| list.elements().unwrap().iter().map(word).collect())
                .unwrap_or_default(),
            continue_from: tree.get("continue_from").map(word),
            enrich: enrich.iter().map(|(path, value)| (keys(path), Setting::of(value))).collect(),
        }
    }

    /// The message with its fields set.
    fn enriched(&self, message: &Tree) -> Tree {
        let mut out = message.clone();
        for (path, setting) in &self.enrich {
            set(&mut out, path, setting.value(message));
        }
        out
    }
}

/// A dot that is not escaped separates keys; the tests use no other escape.
fn keys(path: &str) -> Vec<String> {
    let path = path.replace("\\.", "\u{1}");
    path.split('.').map(|key| key.replace('\u{1}', ".")).collect()
}

impl Setting {
    fn of(written: &Tree) -> Self {
        match written.text() {
            Some("${ msg.a / 0 }") => Self::Fails,
            Some(text) if text.starts_with("${ msg.") => {
                let path = text.trim_start_matches("${ msg.").trim_end_matches(" }");
                Self::Copy(path.split('.').map(str::to_owned).collect())
            }
            _ => Self::Constant(written.clone()),
        }
    }

    fn value(&self, message: &Tree) -> Option<Tree> {
        match self {
            Self::Constant(tree) => Some(tree.clone()),
            Self::Fails => None,
            // Expressions see a message whole or not at all.
            Self::Copy(_) if !is_readable(message) => None,
            Self::Copy(path) => {
                let found = path.iter().try_fold(message, |at, key| at.get(key));
                found.map(calculated)
            }
        }
    }
}

fn is_readable(tree: &Tree) -> bool {
    match tree {
        Tree::Number(text) => text.parse::<f64>().unwrap().is_finite(),
        Tree::Array(elements) => elements.iter().all(is_readable),
        Tree::Object(entries) => entries.iter().all(|(_, value)| is_readable(value)),
        _ => true,
    }
}

/// A value as expressions have it: numbers are of 64 bits, or doubles.
fn calculated(tree: &Tree) -> Tree {
    match tree {
        Tree::Number(text) => {
            let is_whole = !text.contains(['.', 'e', 'E']);
            if is_whole && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()) {
                tree.clone()
            } else {
                Tree::Number(format!("{:?}", text.parse::<f64>().unwrap()))
            }
        }
        Tree::Array(elements) => Tree::Array(elements.iter().map(calculated).collect()),
        Tree::Object(entries) => {
            Tree::Object(entries.iter().map(|(key, v)| (key.clone(), calculated(v))).collect())
        }
        other => other.clone(),
    }
}

/// Sets a field, or takes it out with whatever stands in its way and is no object.
fn set(at: &mut Tree, path: &[String], value: Option<Tree>) {
    let Tree::Object(entries) = at else { panic!("a message is an object") };
    let (key, rest) = path.split_first().unwrap();
    let place = entries.iter().position(|(own, _)| own == key);
    if rest.is_empty() {
        match (place, value) {
            (Some(place), Some(value)) => entries[place].1 = value,
            (Some(place), None) => drop(entries.remove(place)),
            (None, Some(value)) => entries.push((key.clone(), value)),
            (None, None) => {}
        }
        return;
    }
    match place {
        Some(place) if matches!(entries[place].1, Tree::Object(_)) => {
            set(&mut entries[place].1, rest, value);
        }
        Some(place) if value.is_none() => drop(entries.remove(place)),
        Some(place) => {
            entries[place].1 = Tree::Object(Vec::new());
            set(&mut entries[place].1, rest, value);
        }
        None if value.is_none() => {}
        None => {
            let mut inside = Tree::Object(Vec::new());
            set(&mut inside, rest, value);
            entries.push((key.clone(), inside));
        }
    }
}

/// Holds rules against one message.
pub(crate) struct Holding<'j> {
    rules: &'j BTreeMap<String, Judged>,
    message: &'j Tree,
    known: BTreeMap<&'j str, bool>,
    /// Who is being looked at: one that needs itself never holds.
    open: BTreeSet<&'j str>,
}

impl<'j> Holding<'j> {
    pub(crate) fn new(rules: &'j BTreeMap<String, Judged>, message: &'j Tree) -> Self {
        Self { rules, message, known: BTreeMap::new(), open: BTreeSet::new() }
    }

    pub(crate) fn holds(&mut self, id: &'j str) -> bool {
        if let Some(known) = self.known.get(id) {
            return *known;
        }
        let Some(rule) = self.rules.get(id).filter(|rule| rule.enabled) else { return false };
        if !self.open.insert(id) {
            return false;
        }
        let needs = rule.continue_from.iter().chain(&rule.requires);
        let has_all = needs.fold(true, |has_all, needed| has_all & self.holds(needed));
        let holds = has_all && rule.condition.holds(&self.seen(rule));
        self.open.remove(id);
        self.known.insert(id, holds);
        holds
    }

    /// The message as a rule sees it, all whose needs hold.
    fn seen(&self, rule: &Judged) -> Tree {
        match &rule.continue_from {
            None => self.message.clone(),
            Some(id) => {
                let before = &self.rules[id];
                before.enriched(&self.seen(before))
            }
        }
    }
}
