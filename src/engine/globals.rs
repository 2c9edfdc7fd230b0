//! What every core holds a copy of: parameters, the catalogue, the sessions.
//!
//! Invariants:
//! - every core applies every entry's global part, so all copies at one index are equal;
//! - a section is admitted only when its number is the last one's successor in its session and its
//!   catalogue version is the current one (SOUNDNESS 8, 11);
//! - a change of the catalogue is applied whole or not at all.

use crate::batch::SectionHeader;
use crate::record::{Born, CatalogueChanged, Change};
use base::{BootId, CoreId, NodeId, UnixMicros};
use document::Source;
use expr::Value;
use flow::Definition;
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rules a catalogue can hold.
pub(crate) const RULES_MAX: usize = 100_000;
/// Definitions a catalogue can hold.
pub(crate) const DEFINITIONS_MAX: usize = 10_000;

/// A rule in the catalogue.
#[derive(Clone, Debug)]
pub struct StoredRule {
    /// The rule, compiled.
    pub rule: rules::Rule,
    /// What each of its actions hands over, read once.
    pub params: Vec<Value>,
    /// When this version came.
    pub changed_at: UnixMicros,
}

/// A definition in the catalogue.
#[derive(Clone, Debug)]
pub struct StoredDefinition {
    /// The definition, checked. Instances share it.
    pub definition: Arc<Definition>,
    /// Its id, shared by every answer that names it.
    pub name: Arc<str>,
    /// When this version came.
    pub changed_at: UnixMicros,
}

/// What became of a change of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It holds from this catalogue version on. `created` tells whether any id is new.
    Applied {
        /// The catalogue's version after the change.
        version: u64,
        /// Whether an id came that was not there.
        created: bool,
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

/// What a change did to one of the catalogue's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Ids that were added or replaced.
    pub stored: Vec<String>,
    /// Ids that were removed.
    pub deleted: Vec<String>,
}

impl Edits {
    /// Whether it did nothing.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.deleted.is_empty()
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

    /// A change of the catalogue. What it did is told besides, for whoever watches; it is nothing
    /// when the change was refused.
    pub fn apply_catalogue(
        &mut self,
        change: &CatalogueChanged,
        stamp: UnixMicros,
    ) -> (Changed, CatalogueEdits) {
        let mut edits = CatalogueEdits::default();
        let changed = match self.changed(change, stamp) {
            Ok((rules, definitions, created, made)) => {
                edits = made;
                let same = rules.is_none() && definitions.is_none();
                if let Some(rules) = rules {
                    self.rules = rules;
                    self.compile();
                }
                self.definitions = definitions.unwrap_or(std::mem::take(&mut self.definitions));
                // A change that changes nothing must not refuse the batches in flight.
                self.catalogue_version += u64::from(!same);
                Changed::Applied { version: self.catalogue_version, created }
            }
            Err((why, detail, hint)) => Changed::Refused { why, detail, hint },
        };
        (changed, edits)
    }

    fn compile(&mut self) {
        let rules: Vec<rules::Rule> = self.rules.values().map(|r| r.rule.clone()).collect();
        self.compiled = rules::Catalogue::compile(rules);
    }

    fn changed(&self, change: &CatalogueChanged, stamp: UnixMicros) -> Result<Next, Refused> {
        let mut next = Editor {
            stamp,
            rules: Edited::new(&self.rules),
            definitions: Edited::new(&self.definitions),
            created: false,
        };
        for change in &change.changes {
            match change {
                Change::PutRule(text) => next.put_rule(text)?,
                Change::PutDefinition(text) => next.put_definition(text)?,
                Change::DeleteRule(id) => next.rules.remove(id, "rule")?,
                Change::DeleteDefinition(id) => next.definitions.remove(id, "workflow")?,
            }
        }
        next.check_references()?;
        let edits = CatalogueEdits {
            rules: std::mem::take(&mut next.rules.edits),
            definitions: std::mem::take(&mut next.definitions.edits),
        };
        Ok((next.rules.taken(), next.definitions.taken(), next.created, edits))
    }

    /// The bytes of an image: equal state gives equal bytes.
    pub fn image(&self) -> Vec<u8> {
        let image = GlobalsImage {
            applied: self.applied,
            stamp: self.stamp,
            born: self.born.clone(),
            catalogue_version: self.catalogue_version,
            rules: self.rules.values().map(|r| (r.changed_at, r.rule.source.clone())).collect(),
            definitions: (self.definitions.values())
                .map(|d| (d.changed_at, d.definition.source.clone()))
                .collect(),
            sessions: (self.sessions.iter())
                .map(|((node, core), session)| (*node, *core, session.boot, session.last))
                .collect(),
        };
        rkyv::to_bytes::<Rancor>(&image).expect("writing to memory cannot fail").to_vec()
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
        for (changed_at, source) in image.rules {
            let rule = parse_rule(&source)?;
            globals.rules.insert(rule.id.clone(), StoredRule::new(rule, changed_at)?);
        }
        for (changed_at, source) in image.definitions {
            let stored = StoredDefinition::new(parse_definition(&source)?, changed_at);
            globals.definitions.insert(stored.definition.id.clone(), stored);
        }
        for (node, core, boot, last) in image.sessions {
            globals.sessions.insert((node, core), Session { boot, last });
        }
        globals.compile();
        Ok(globals)
    }
}

impl StoredRule {
    fn new(rule: rules::Rule, changed_at: UnixMicros) -> Result<Self, String> {
        let params = rule.actions.iter().map(|action| Value::parse_json(action.params.as_bytes()));
        let params = params.collect::<Result<_, _>>();
        let params =
            params.map_err(|error| format!("the parameters of rule `{}`: {error}", rule.id))?;
        Ok(Self { rule, params, changed_at })
    }
}

impl StoredDefinition {
    fn new(definition: Definition, changed_at: UnixMicros) -> Self {
        let name = Arc::from(definition.id.as_str());
        Self { definition: Arc::new(definition), name, changed_at }
    }
}

#[derive(Archive, Serialize, Deserialize)]
struct GlobalsImage {
    applied: u64,
    stamp: UnixMicros,
    born: Option<Born>,
    catalogue_version: u64,
    rules: Vec<(UnixMicros, String)>,
    definitions: Vec<(UnixMicros, String)>,
    sessions: Vec<(NodeId, CoreId, BootId, u64)>,
}

type Refused = (Refusal, String, String);
type Next = (
    Option<BTreeMap<String, StoredRule>>,
    Option<BTreeMap<String, StoredDefinition>>,
    bool,
    CatalogueEdits,
);

/// A table that is copied when first changed.
struct Edited<'a, T> {
    old: &'a BTreeMap<String, T>,
    new: Option<BTreeMap<String, T>>,
    edits: Edits,
}

impl<'a, T: Clone> Edited<'a, T> {
    fn new(old: &'a BTreeMap<String, T>) -> Self {
        Self { old, new: None, edits: Edits::default() }
    }

    fn read(&self) -> &BTreeMap<String, T> {
        self.new.as_ref().unwrap_or(self.old)
    }

    fn write(&mut self) -> &mut BTreeMap<String, T> {
        self.new.get_or_insert_with(|| self.old.clone())
    }

    fn remove(&mut self, id: &str, what: &str) -> Result<(), Refused> {
        if self.write().remove(id).is_none() {
            let detail = format!("there is no {what} `{id}`");
            return Err((Refusal::Unknown, detail, format!("list them to see every {what}'s id")));
        }
        self.edits.deleted.push(id.to_owned());
        Ok(())
    }

    fn put(&mut self, id: &str, value: T) {
        self.write().insert(id.to_owned(), value);
        self.edits.stored.push(id.to_owned());
    }

    fn taken(self) -> Option<BTreeMap<String, T>> {
        self.new
    }
}

struct Editor<'a> {
    stamp: UnixMicros,
    rules: Edited<'a, StoredRule>,
    definitions: Edited<'a, StoredDefinition>,
    created: bool,
}

impl Editor<'_> {
    fn put_rule(&mut self, text: &str) -> Result<(), Refused> {
        let rule = parse_rule(text).map_err(invalid)?;
        if let Some(old) = self.rules.read().get(&rule.id) {
            if old.rule.source == rule.source {
                return Ok(());
            }
            version_grows("rule", &rule.id, old.rule.version, rule.version)?;
        } else {
            room("rules", self.rules.read().len(), RULES_MAX)?;
            self.created = true;
        }
        let stored = StoredRule::new(rule, self.stamp).map_err(invalid)?;
        let id = stored.rule.id.clone();
        self.rules.put(&id, stored);
        Ok(())
    }

    fn put_definition(&mut self, text: &str) -> Result<(), Refused> {
        let definition = parse_definition(text).map_err(invalid)?;
        if let Some(old) = self.definitions.read().get(&definition.id) {
            let old = &old.definition;
            if old.source == definition.source {
                return Ok(());
            }
            version_grows("workflow", &definition.id, old.version, definition.version)?;
        } else {
            room("workflow definitions", self.definitions.read().len(), DEFINITIONS_MAX)?;
            self.created = true;
        }
        let stored = StoredDefinition::new(definition, self.stamp);
        let id = Arc::clone(&stored.name);
        self.definitions.put(&id, stored);
        Ok(())
    }

    /// No rule may start a workflow that is not there.
    fn check_references(&self) -> Result<(), Refused> {
        for stored in self.rules.read().values() {
            for action in &stored.rule.actions {
                if !self.definitions.read().contains_key(&action.workflow) {
                    let (rule, workflow) = (&stored.rule.id, &action.workflow);
                    if self.definitions.old.contains_key(workflow) {
                        let detail = format!("rule `{rule}` starts workflow `{workflow}`");
                        let hint = "change or delete the rule first".into();
                        return Err((Refusal::InUse, detail, hint));
                    }
                    let detail =
                        format!("rule `{rule}` starts workflow `{workflow}`, which is not defined");
                    let hint = "put the definition first, or change the rule".into();
                    return Err((Refusal::Conflict, detail, hint));
                }
            }
        }
        Ok(())
    }
}

fn invalid(detail: String) -> Refused {
    (Refusal::Invalid, detail, "correct the text and send it again".into())
}

fn version_grows(what: &str, id: &str, old: u32, new: u32) -> Result<(), Refused> {
    if new > old {
        return Ok(());
    }
    let detail = format!("{what} `{id}` is there in version {old} with another text");
    let hint = format!("set `version: {}` or higher, so that histories stay true", old + 1);
    Err((Refusal::Conflict, detail, hint))
}

fn room(what: &str, count: usize, max: usize) -> Result<(), Refused> {
    if count < max {
        return Ok(());
    }
    let detail = format!("the catalogue holds {count} {what} already, of {max}");
    Err((Refusal::Conflict, detail, "delete some that are no longer used".into()))
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
