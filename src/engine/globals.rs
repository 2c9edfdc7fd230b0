//! What every core holds a copy of: parameters, the catalogue, the sessions.
//!
//! Invariants:
//! - every core applies every entry's global part, so all copies at one index are equal;
//! - a section is admitted only when its number is the last one's successor in its session and its
//!   catalogue version is the current one (SOUNDNESS 8, 11);
//! - a change of the catalogue is applied whole or not at all, and takes time in the number of what
//!   it changes, not in that of all rules;
//! - how far the compiled rules are merged is no state: it makes no difference to what matches.

mod change;
mod history;
mod version_2;
pub(crate) mod view;

use crate::batch::SectionHeader;
use crate::record::Born;
use base::{BootId, CoreId, NodeId, UnixMicros};
use document::Source;
use expr::Value;
use flow::Definition;
use history::{History, Past};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use change::differ_in_enabled_alone;
pub(crate) use version_2::upgraded;

/// Rules a catalogue can hold.
pub(crate) const RULES_MAX: usize = 100_000;
/// Definitions a catalogue can hold.
pub(crate) const DEFINITIONS_MAX: usize = 10_000;
/// A change of more than this part of all rules compiles all of them, which costs no more than a
/// few times itself: one in so many.
const COMPILE_ALL_SHARE: usize = 4;

/// How a version of a rule or a definition came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum How {
    /// Its text was stored.
    Stored,
    /// The rule is looked at again.
    Enabled,
    /// The rule is no longer looked at.
    Disabled,
    /// The text of this earlier version was stored again.
    RolledBack(u32),
    /// It was removed.
    Deleted,
}

/// When and how a version came, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// The log's time.
    pub at: UnixMicros,
    /// Who says to have done it; empty when nobody was named.
    pub by: Arc<str>,
    /// How.
    pub how: How,
}

/// The catalogue's two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub(crate) enum Table {
    Rules,
    Definitions,
}

/// A rule in the catalogue.
#[derive(Clone, Debug)]
pub struct StoredRule {
    /// The rule, compiled.
    pub rule: rules::Rule,
    /// What each of its actions hands over beside the message, read once; nothing for an action of
    /// which something is calculated for each message, its input, its parameters or its key.
    pub params: Vec<Option<Value>>,
    /// How this version came.
    pub came: Came,
}

/// A definition in the catalogue.
#[derive(Clone, Debug)]
pub struct StoredDefinition {
    /// The definition, checked. Instances share it.
    pub definition: Arc<Definition>,
    /// Its id, shared by every answer that names it.
    pub name: Arc<str>,
    /// How this version came.
    pub came: Came,
}

/// What became of a change of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It holds from this catalogue version on.
    Applied {
        /// The catalogue's version after the change.
        version: u64,
        /// What it did.
        edits: CatalogueEdits,
    },
    /// Nothing changed.
    Refused {
        /// Whether an id was not found, a version clashes, or the change itself is wrong.
        why: Refusal,
        /// What is wrong, with the values.
        detail: String,
        /// What to do.
        hint: String,
    },
}

/// What a change did to one of the catalogue's tables, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Ids that were not there before.
    pub added: Vec<String>,
    /// Ids that have another text now.
    pub changed: Vec<String>,
    /// Ids that were removed.
    pub deleted: Vec<String>,
}

impl Edits {
    /// Whether it did nothing.
    pub fn is_empty(&self) -> bool {
        self.stored().next().is_none() && self.deleted.is_empty()
    }

    /// Ids that were added or have another text.
    pub fn stored(&self) -> impl Iterator<Item = &str> {
        self.added.iter().chain(&self.changed).map(String::as_str)
    }
}

/// What a change did to the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueEdits {
    /// To the rules.
    pub rules: Edits,
    /// To the definitions.
    pub definitions: Edits,
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such id.
    Unknown,
    /// It clashes with what is there.
    Conflict,
    /// Something else still needs it.
    InUse,
    /// It is wrong in itself.
    Invalid,
}

/// What admission says of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Apply its records.
    Admitted,
    /// Seen before, or not the next: skip it.
    OutOfOrder,
    /// Matched with another catalogue: skip it; its sender matches again.
    OtherCatalogue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    boot: BootId,
    last: u64,
}

/// The global part of the state.
#[derive(Debug)]
pub struct Globals {
    /// The last entry applied.
    pub applied: u64,
    /// The log's time.
    pub stamp: UnixMicros,
    /// The cluster's parameters, once it is born.
    pub born: Option<Born>,
    /// The catalogue's version: 0 is empty, one more per change.
    pub catalogue_version: u64,
    /// The rules by id.
    pub rules: BTreeMap<String, StoredRule>,
    /// The definitions by id.
    pub definitions: BTreeMap<String, StoredDefinition>,
    /// The rules as the matcher wants them.
    pub compiled: rules::Catalogue,
    /// Changes since all rules were compiled at once, and what they have cost: rules compiled.
    changed_since: usize,
    compiled_since: usize,
    /// Each workflow with each rule that starts it.
    uses: BTreeSet<(String, String)>,
    /// Which rules need a rule.
    dependents: rules::Dependents,
    history: History,
    sessions: BTreeMap<(NodeId, CoreId), Session>,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            applied: 0,
            stamp: UnixMicros(0),
            born: None,
            catalogue_version: 0,
            rules: BTreeMap::new(),
            definitions: BTreeMap::new(),
            compiled: rules::Catalogue::compile(Vec::new()),
            changed_since: 0,
            compiled_since: 0,
            uses: BTreeSet::new(),
            dependents: rules::Dependents::default(),
            history: History::default(),
            sessions: BTreeMap::new(),
        }
    }
}

impl Globals {
    /// Whether a section's records may be applied; counts it when they may.
    pub fn admit(&mut self, header: &SectionHeader) -> Admission {
        let key = (header.node, header.core);
        let session = self.sessions.get(&key).copied();
        let last = match session {
            Some(session) if session.boot > header.boot => return Admission::OutOfOrder,
            Some(session) if session.boot == header.boot => session.last,
            _ => 0,
        };
        if header.number != last + 1 {
            return Admission::OutOfOrder;
        }
        if header.catalogue != self.catalogue_version {
            return Admission::OtherCatalogue;
        }
        self.sessions.insert(key, Session { boot: header.boot, last: header.number });
        Admission::Admitted
    }

    /// The cluster's birth.
    pub fn apply_born(&mut self, born: Born) {
        assert!(self.born.is_none(), "a cluster is born once");
        assert!((1..base::limits::PARTITIONS_MAX).contains(&born.partitions), "partitions fit ids");
        self.born = Some(born);
    }

    fn compile(&mut self) {
        let rules: Vec<rules::Rule> = self.rules.values().map(|r| r.rule.clone()).collect();
        self.compiled = rules::Catalogue::compile(rules);
        (self.changed_since, self.compiled_since) = (0, 0);
    }

    /// Brings a change of the rules into their compiled form.
    fn compile_change(&mut self, edits: &Edits) {
        let count = edits.stored().count() + edits.deleted.len();
        if count * COMPILE_ALL_SHARE >= self.rules.len() {
            self.compile();
            return;
        }
        let put: Vec<rules::Rule> = edits.stored().map(|id| self.rules[id].rule.clone()).collect();
        let removed: Vec<&str> = edits.deleted.iter().map(String::as_str).collect();
        self.compiled = self.compiled.with_change(&put, &removed);
        self.changed_since += count;
        self.compiled_since += self.changed_since;
        // Whoever never rests pays with a merge for as much as the changes since the last one have
        // cost already: each change costs twice at most.
        if self.compiled_since >= self.rules.len() {
            self.merge();
        }
    }

    /// Compiles all rules at once if changes have left them so that matching costs more than it
    /// must. To be called where nobody waits.
    pub fn merge(&mut self) {
        if self.compiled.needs_merge() {
            self.compiled = self.compiled.merge();
            (self.changed_since, self.compiled_since) = (0, 0);
        }
    }

    /// The bytes of an image: equal state gives equal bytes.
    pub fn image(&self) -> Vec<u8> {
        let stored = |came: &Came, text: &str| StoredImage {
            at: came.at,
            by: String::from(&*came.by),
            how: came.how,
            text: text.into(),
        };
        let image = GlobalsImage {
            applied: self.applied,
            stamp: self.stamp,
            born: self.born.clone(),
            catalogue_version: self.catalogue_version,
            rules: self.rules.values().map(|r| stored(&r.came, &r.rule.source)).collect(),
            definitions: (self.definitions.values())
                .map(|d| stored(&d.came, &d.definition.source))
                .collect(),
            past: (self.history.oldest_first())
                .map(|past| PastImage {
                    table: past.table,
                    id: past.id.clone(),
                    version: past.version,
                    stored: stored(&past.came, &past.text),
                })
                .collect(),
            sessions: (self.sessions.iter())
                .map(|((node, core), session)| (*node, *core, session.boot, session.last))
                .collect(),
        };
        image.to_bytes()
    }

    /// Reads an image back.
    pub fn from_image(bytes: &[u8]) -> Result<Self, String> {
        let image =
            rkyv::from_bytes::<GlobalsImage, Rancor>(bytes).map_err(|error| error.to_string())?;
        let mut globals = Self {
            applied: image.applied,
            stamp: image.stamp,
            born: image.born,
            catalogue_version: image.catalogue_version,
            ..Self::default()
        };
        for image in image.rules {
            let stored = StoredRule::new(parse_rule(&image.text)?, image.came());
            globals.link(&stored.rule);
            globals.rules.insert(stored.rule.id.clone(), stored);
        }
        for image in image.definitions {
            let stored = StoredDefinition::new(parse_definition(&image.text)?, image.came());
            globals.definitions.insert(stored.definition.id.clone(), stored);
        }
        for PastImage { table, id, version, stored } in image.past {
            let came = stored.came();
            globals.history.push(Past { table, id, version, came, text: stored.text });
        }
        for (node, core, boot, last) in image.sessions {
            globals.sessions.insert((node, core), Session { boot, last });
        }
        globals.compile();
        Ok(globals)
    }

    /// A rule comes: what it names of others is known from now on.
    fn link(&mut self, rule: &rules::Rule) {
        self.dependents.insert(rule);
        for action in &rule.actions {
            self.uses.insert((action.workflow.clone(), rule.id.clone()));
        }
    }

    /// A rule goes.
    fn unlink(&mut self, rule: &rules::Rule) {
        self.dependents.remove(rule);
        for action in &rule.actions {
            self.uses.remove(&(action.workflow.clone(), rule.id.clone()));
        }
    }
}

impl StoredRule {
    fn new(rule: rules::Rule, came: Came) -> Self {
        let sees_the_message = rule.continue_from.is_none() && rule.enrich.is_empty();
        let constant = |action: &rules::Action| {
            let is_plain = sees_the_message && action.is_plain();
            is_plain.then(|| action.params.constant().cloned()).flatten()
        };
        let params = rule.actions.iter().map(constant).collect();
        Self { rule, params, came }
    }
}

impl StoredDefinition {
    fn new(definition: Definition, came: Came) -> Self {
        let name = Arc::from(definition.id.as_str());
        Self { definition: Arc::new(definition), name, came }
    }
}

#[derive(Archive, Serialize, Deserialize)]
struct GlobalsImage {
    applied: u64,
    stamp: UnixMicros,
    born: Option<Born>,
    catalogue_version: u64,
    rules: Vec<StoredImage>,
    definitions: Vec<StoredImage>,
    /// The oldest first.
    past: Vec<PastImage>,
    sessions: Vec<(NodeId, CoreId, BootId, u64)>,
}

#[derive(Archive, Serialize, Deserialize)]
struct StoredImage {
    at: UnixMicros,
    by: String,
    how: How,
    text: String,
}

#[derive(Archive, Serialize, Deserialize)]
struct PastImage {
    table: Table,
    id: String,
    version: u32,
    stored: StoredImage,
}

impl GlobalsImage {
    fn to_bytes(&self) -> Vec<u8> {
        rkyv::to_bytes::<Rancor>(self).expect("writing to memory cannot fail").to_vec()
    }
}

impl StoredImage {
    fn came(&self) -> Came {
        Came { at: self.at, by: Arc::from(self.by.as_str()), how: self.how }
    }
}

fn parse_rule(text: &str) -> Result<rules::Rule, String> {
    let source = Source { name: "rule", text };
    let mut found = rules::parse(source).map_err(|faults| faults.to_string())?;
    match (found.pop(), found.is_empty()) {
        (Some(rule), true) => Ok(rule),
        _ => Err("the text must hold exactly one rule".into()),
    }
}

fn parse_definition(text: &str) -> Result<Definition, String> {
    let source = Source { name: "workflow", text };
    let mut found = flow::parse(source).map_err(|faults| faults.to_string())?;
    match (found.pop(), found.is_empty()) {
        (Some(definition), true) => Ok(definition),
        _ => Err("the text must hold exactly one workflow".into()),
    }
}

#[cfg(test)]
mod tests;
