//! A change of the catalogue: staged beside the tables, and put into them when all of it is right.

use super::draft::{Draft, Edit, Read, parse_definition, parse_rule};
use super::history::Past;
use super::{
    Came, Catalogue, CatalogueEdits, Changed, DEFINITIONS_MAX, Edits, How, Mark, RULES_MAX,
    Refusal, StoredDefinition, StoredRule, Table,
};
use base::hash64;
use document::{Entry, Kind, Node, Source, Span};
use flow::Definition;
use imbl::OrdMap;
use rules::{ChainCheck, ChainError, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Refused = (Refusal, String, String);

impl Catalogue {
    /// What a change makes of this catalogue; none if it stays as it is.
    pub(super) fn after(&self, draft: &Draft, mark: &Arc<Mark>) -> (Option<Self>, Changed) {
        let mut editor = Editor {
            catalogue: self,
            mark,
            flips: draft.flips,
            rules: Staged::new(&self.rules),
            definitions: Staged::new(&self.definitions),
        };
        let edited = draft.edits.iter().try_for_each(|edit| editor.edit(edit));
        if let Err((why, detail, hint)) = edited.and_then(|()| editor.check_references()) {
            return (None, Changed::Refused { why, detail, hint });
        }
        let (rules, definitions) = (editor.rules.new, editor.definitions.new);
        // A change that changes nothing must not refuse the batches in flight.
        if rules.is_empty() && definitions.is_empty() {
            let edits = CatalogueEdits::default();
            return (None, Changed::Applied { version: self.version, edits });
        }
        let mut next = Self { version: self.version + 1, ..self.clone() };
        let removed = Came { mark: Arc::clone(mark), how: How::Deleted };
        let edits = CatalogueEdits {
            definitions: Arc::new(next.put_definitions(definitions, &removed)),
            rules: Arc::new(next.put_rules(rules, &removed)),
        };
        let changed = Changed::Applied { version: next.version, edits };
        (Some(next), changed)
    }

    fn put_rules(
        &mut self,
        staged: BTreeMap<String, Option<Arc<StoredRule>>>,
        removed: &Came,
    ) -> Edits {
        let mut edits = Edits::default();
        for (id, new) in staged {
            let is_there = new.is_some();
            let old = self.rules.remove(&*id);
            if let Some(StoredRule { rule, came, .. }) = old.as_deref() {
                self.unlink(rule);
                let (name, text) = ((&*id, rule.version), rule.source.as_str());
                self.remember(Table::Rules, name, (came, text), !is_there, removed);
            }
            if let Some(stored) = new {
                self.link(&stored.rule);
                self.rules.insert(id.as_str().into(), stored);
            }
            edits.push(id, old.is_some(), is_there);
        }
        if !edits.is_empty() {
            self.compile_change(&edits);
        }
        edits
    }

    fn put_definitions(
        &mut self,
        staged: BTreeMap<String, Option<Arc<StoredDefinition>>>,
        removed: &Came,
    ) -> Edits {
        let mut edits = Edits::default();
        for (id, new) in staged {
            let is_there = new.is_some();
            let old = match new {
                Some(stored) => self.definitions.insert(Arc::clone(&stored.name), stored),
                None => self.definitions.remove(&*id),
            };
            if let Some(StoredDefinition { definition, came, .. }) = old.as_deref() {
                let (name, text) = ((&*id, definition.version), definition.source.as_str());
                self.remember(Table::Definitions, name, (came, text), !is_there, removed);
            }
            edits.push(id, old.is_some(), is_there);
        }
        edits
    }

    /// Puts what was in force into the history, and its removal behind it.
    fn remember(
        &mut self,
        table: Table,
        (id, version): (&str, u32),
        (came, text): (&Came, &str),
        is_removed: bool,
        removed: &Came,
    ) {
        let id: Arc<str> = id.into();
        let past = |came: &Came, text: &str| {
            let (id, came, text) = (Arc::clone(&id), came.clone(), text.into());
            Past { table, id, version, came, text }
        };
        self.history.push(past(came, text));
        if is_removed {
            self.history.push(past(removed, ""));
        }
    }
}

impl Edits {
    fn push(&mut self, id: String, was_there: bool, is_there: bool) {
        match (was_there, is_there) {
            (false, true) => self.added.push(id),
            (true, true) => self.changed.push(id),
            (true, false) => self.deleted.push(id),
            // It came and went within one change.
            (false, false) => {}
        }
    }
}

/// A table, and what a change makes of it.
struct Staged<'a, T> {
    old: &'a OrdMap<Arc<str>, Arc<T>>,
    /// Nothing stands for a removal.
    new: BTreeMap<String, Option<Arc<T>>>,
    len: usize,
}

impl<'a, T> Staged<'a, T> {
    fn new(old: &'a OrdMap<Arc<str>, Arc<T>>) -> Self {
        Self { old, new: BTreeMap::new(), len: old.len() }
    }

    fn get(&self, id: &str) -> Option<&T> {
        self.new.get(id).map_or_else(|| self.old.get(id), Option::as_ref).map(|stored| &**stored)
    }

    fn remove(&mut self, id: &str, what: &str) -> Result<(), Refused> {
        if self.get(id).is_none() {
            return Err(unknown(what, id));
        }
        self.new.insert(id.to_owned(), None);
        self.len -= 1;
        Ok(())
    }

    fn put(&mut self, id: &str, value: T) {
        self.len += usize::from(self.get(id).is_none());
        self.new.insert(id.to_owned(), Some(Arc::new(value)));
    }
}

struct Editor<'a> {
    catalogue: &'a Catalogue,
    mark: &'a Arc<Mark>,
    flips: bool,
    rules: Staged<'a, StoredRule>,
    definitions: Staged<'a, StoredDefinition>,
}

impl Editor<'_> {
    fn edit(&mut self, edit: &Edit) -> Result<(), Refused> {
        match edit {
            Edit::PutRule(rule) => self.put_rule(&read(rule)?),
            Edit::DeleteRule(id) => self.rules.remove(id, "rule"),
            Edit::PutDefinition(definition) => self.put_definition(read(definition)?),
            Edit::DeleteDefinition(id) => self.definitions.remove(id, "workflow"),
            Edit::EnableRule(id, enabled) => self.enable_rule(id, *enabled),
            Edit::RollBackRule(id, version) => self.roll_back_rule(id, *version),
            Edit::RollBackDefinition(id, version) => self.roll_back_definition(id, *version),
            Edit::ReplaceRules(keep, put) => self.replace_rules(keep, put),
        }
    }

    fn came(&self, how: How) -> Came {
        Came { mark: Arc::clone(self.mark), how }
    }

    fn put_rule(&mut self, rule: &Arc<Rule>) -> Result<(), Refused> {
        let mut how = How::Stored;
        if let Some(old) = self.rules.get(&rule.id).map(|old| &*old.rule) {
            if old.source == rule.source {
                return Ok(());
            }
            if self.flips && differ_in_enabled_alone(old, rule) {
                if old.enabled == rule.enabled {
                    return Ok(());
                }
                how = if rule.enabled { How::Enabled } else { How::Disabled };
            } else {
                version_grows("rule", &rule.id, old.version, rule.version)?;
            }
        } else {
            room("rules", self.rules.len, RULES_MAX)?;
        }
        self.stage_rule(Arc::clone(rule), how);
        Ok(())
    }

    fn stage_rule(&mut self, rule: Arc<Rule>, how: How) {
        let stored = StoredRule::new(rule, self.came(how));
        let id = stored.rule.id.clone();
        self.rules.put(&id, stored);
    }

    fn put_definition(&mut self, definition: Arc<Definition>) -> Result<(), Refused> {
        if let Some(old) = self.definitions.get(&definition.id) {
            let old = &old.definition;
            if old.source == definition.source {
                return Ok(());
            }
            version_grows("workflow", &definition.id, old.version, definition.version)?;
        } else {
            room("workflow definitions", self.definitions.len, DEFINITIONS_MAX)?;
        }
        self.stage_definition(definition, How::Stored);
        Ok(())
    }

    fn stage_definition(&mut self, definition: Arc<Definition>, how: How) {
        let stored = StoredDefinition::new(definition, self.came(how));
        let id = Arc::clone(&stored.name);
        self.definitions.put(&id, stored);
    }

    fn enable_rule(&mut self, id: &str, enabled: bool) -> Result<(), Refused> {
        let old = &self.rules.get(id).ok_or_else(|| unknown("rule", id))?.rule;
        if old.enabled == enabled {
            return Ok(());
        }
        // Enabled is what a rule is that says nothing of it.
        let text = with_field(&old.source, "enabled", (!enabled).then_some(Kind::Bool(false)));
        let how = if enabled { How::Enabled } else { How::Disabled };
        self.stage_rule(stored_rule(&text)?, how);
        Ok(())
    }

    fn roll_back_rule(&mut self, id: &str, version: u32) -> Result<(), Refused> {
        let current = self.rules.get(id).map(|stored| stored.rule.version);
        let Some(text) = self.earlier(Table::Rules, id, version, current)? else { return Ok(()) };
        if current.is_none() {
            room("rules", self.rules.len, RULES_MAX)?;
        }
        self.stage_rule(stored_rule(&text)?, How::RolledBack(version));
        Ok(())
    }

    fn roll_back_definition(&mut self, id: &str, version: u32) -> Result<(), Refused> {
        let current = self.definitions.get(id).map(|stored| stored.definition.version);
        let earlier = self.earlier(Table::Definitions, id, version, current)?;
        let Some(text) = earlier else { return Ok(()) };
        if current.is_none() {
            room("workflow definitions", self.definitions.len, DEFINITIONS_MAX)?;
        }
        let definition = Arc::new(parse_definition(&text).map_err(invalid)?);
        self.stage_definition(definition, How::RolledBack(version));
        Ok(())
    }

    /// The text of an earlier version under the number that follows all others; nothing when that
    /// version is in force.
    fn earlier(
        &self,
        table: Table,
        id: &str,
        version: u32,
        current: Option<u32>,
    ) -> Result<Option<String>, Refused> {
        if current == Some(version) {
            return Ok(None);
        }
        let what = table.what();
        let history = &self.catalogue.history;
        let Some(text) = history.text(table, id, version) else {
            let kept: BTreeSet<u32> = history.of(table, id).map(|past| past.version).collect();
            if current.is_none() && kept.is_empty() {
                return Err(unknown(what, id));
            }
            let detail = format!("of {what} `{id}` no version {version} is kept");
            let kept: Vec<String> = kept.iter().chain(&current).map(u32::to_string).collect();
            let hint = format!("the versions that are kept: {}", kept.join(", "));
            return Err((Refusal::Unknown, detail, hint));
        };
        let newest = history.of(table, id).map(|past| past.version).chain(current).max();
        let Some(next) = newest.expect("a version was found").checked_add(1) else {
            let detail = format!("{what} `{id}` has the highest version there is");
            return Err((Refusal::Conflict, detail, "store it under another id".into()));
        };
        Ok(Some(with_field(text, "version", Some(Kind::Int(i64::from(next))))))
    }

    fn replace_rules(
        &mut self,
        keep: &[(String, u64)],
        put: &Result<Vec<Arc<Rule>>, String>,
    ) -> Result<(), Refused> {
        let mut listed = BTreeSet::new();
        for (id, hash) in keep {
            let stored = self.rules.get(id);
            if stored.is_none_or(|stored| hash64(stored.rule.source.as_bytes()) != *hash) {
                let detail = format!("rule `{id}` was changed by somebody else meanwhile");
                let hint = "look at the rules as they are now, then send the set again".into();
                return Err((Refusal::Conflict, detail, hint));
            }
            listed.insert(id.clone());
        }
        let put = put.as_ref().map_err(|detail| invalid(detail.clone()))?;
        listed.extend(put.iter().map(|rule| rule.id.clone()));
        let staged =
            self.rules.new.iter().filter(|(_, new)| new.is_some()).map(|(id, _)| id.as_str());
        let there = self.rules.old.keys().map(|id| &**id);
        let gone: BTreeSet<String> = (there.chain(staged))
            .filter(|id| !listed.contains(*id) && self.rules.get(id).is_some())
            .map(str::to_owned)
            .collect();
        for id in gone {
            self.rules.remove(&id, "rule")?;
        }
        put.iter().try_for_each(|rule| self.put_rule(rule))
    }

    /// No rule may start a workflow, or need a rule, that is not there; nor may rules need each other
    /// in a circle. Only what is staged can have broken that.
    fn check_references(&self) -> Result<(), Refused> {
        self.check_workflows()?;
        self.check_chains()
    }

    fn check_chains(&self) -> Result<(), Refused> {
        let find = |id: &str| self.rules.get(id).map(|stored| &*stored.rule);
        let mut check = ChainCheck::new(&find);
        // Those that need a staged one may be longer chains now, or lack what was removed.
        let staged = self.rules.new.keys().map(String::as_str);
        let affected = self.catalogue.dependents.of_all(staged);
        let affected = affected.into_iter().filter_map(find);
        let staged = self.rules.new.values().flatten().map(|stored| &*stored.rule);
        for rule in staged.chain(affected) {
            check.check(rule).map_err(|error| self.broken(&error))?;
        }
        Ok(())
    }

    fn broken(&self, error: &ChainError) -> Refused {
        if let ChainError::Unknown { rule, needed } = error
            && self.rules.old.contains_key(&**needed)
        {
            let detail = format!("rule `{rule}` needs rule `{needed}`");
            let hint = "change or delete the rule that needs it first";
            return (Refusal::InUse, detail, hint.into());
        }
        (Refusal::Conflict, error.to_string(), error.hint().into())
    }

    fn check_workflows(&self) -> Result<(), Refused> {
        for stored in self.rules.new.values().flatten() {
            for action in &stored.rule.actions {
                if self.definitions.get(&action.workflow).is_none() {
                    return Err(self.lacks(&stored.rule.id, &action.workflow));
                }
            }
        }
        let removed = self.definitions.new.iter().filter(|(_, new)| new.is_none());
        for (workflow, _) in removed {
            let from: (Arc<str>, Arc<str>) = (workflow.as_str().into(), "".into());
            let uses = self.catalogue.uses.range(from..);
            let mut uses = uses.take_while(|(used, _)| **used == **workflow).map(|(_, rule)| rule);
            // A rule that is staged was looked at above.
            if let Some(rule) = uses.find(|rule| !self.rules.new.contains_key(&***rule)) {
                return Err(self.lacks(rule, workflow));
            }
        }
        Ok(())
    }

    fn lacks(&self, rule: &str, workflow: &str) -> Refused {
        let detail = format!("rule `{rule}` starts workflow `{workflow}`");
        if self.definitions.old.contains_key(workflow) {
            return (Refusal::InUse, detail, "change or delete the rule first".into());
        }
        let hint = "put the definition first, or change the rule".into();
        (Refusal::Conflict, format!("{detail}, which is not defined"), hint)
    }
}

impl Table {
    /// What it holds, for a message to people.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Rules => "rule",
            Self::Definitions => "workflow",
        }
    }
}

/// Whether a rule differs from the one in force in nothing, or in whether it is looked at.
pub(crate) fn differ_in_enabled_alone(old: &rules::Rule, new: &rules::Rule) -> bool {
    let without = |rule: &rules::Rule| with_field(&rule.source, "enabled", None);
    old.version == new.version && without(old) == without(new)
}

/// A stored text with another value under `key`, or without the key.
fn with_field(text: &str, key: &str, value: Option<Kind>) -> String {
    let source = Source { name: "stored", text };
    let mut node = document::parse(source).expect("what is stored was read before");
    let Kind::Map(entries) = &mut node.kind else { unreachable!("a rule and a workflow are maps") };
    let at = entries.iter().position(|entry| entry.key == key);
    match (at, value) {
        (Some(at), Some(kind)) => entries[at].value.kind = kind,
        (Some(at), None) => {
            entries.remove(at);
        }
        (None, Some(kind)) => {
            let value = Node { span: Span::START, kind };
            entries.push(Entry { key: key.into(), key_span: Span::START, value });
        }
        (None, None) => {}
    }
    node.to_json()
}

fn unknown(what: &str, id: &str) -> Refused {
    let detail = format!("there is no {what} `{id}`");
    (Refusal::Unknown, detail, format!("list them to see every {what}'s id"))
}

/// A text of the change.
fn read<T>(text: &Read<T>) -> Result<Arc<T>, Refused> {
    text.clone().map_err(invalid)
}

/// A text made of one that was stored.
fn stored_rule(text: &str) -> Result<Arc<Rule>, Refused> {
    parse_rule(text).map(Arc::new).map_err(invalid)
}

fn invalid(detail: String) -> Refused {
    (Refusal::Invalid, detail, "correct the text and send it again".into())
}

fn version_grows(what: &str, id: &str, old: u32, new: u32) -> Result<(), Refused> {
    if new > old {
        return Ok(());
    }
    let detail = format!("{what} `{id}` is there in version {old} with another text");
    let next = u64::from(old) + 1;
    let hint = format!("set `version: {next}` or higher, so that histories stay true");
    Err((Refusal::Conflict, detail, hint))
}

fn room(what: &str, count: usize, max: usize) -> Result<(), Refused> {
    if count < max {
        return Ok(());
    }
    let detail = format!("the catalogue holds {count} {what} already, of {max}");
    Err((Refusal::Conflict, detail, "delete some that are no longer used".into()))
}
