//! The catalogue: rules, definitions, their history, and the rules as the matcher wants them.
//!
//! Invariants:
//! - it never changes: a change makes another one, which shares what stays as it is, in time in the
//!   number of what changes, not in that of all rules;
//! - how far the compiled rules are merged is no state: it makes no difference to what matches;
//! - all cores of a node hold the same one at the same place in the log, but for that.

use super::history::History;
use super::{Came, Edits};
use expr::Value;
use flow::Definition;
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// When more than this part of all rules has changed, compiling all of them costs no more than a
/// few times what the changes cost: one in so many.
const COMPILE_ALL_SHARE: usize = 4;

/// A rule in the catalogue.
#[derive(Clone, Debug)]
pub struct StoredRule {
    /// The rule. The compiled rules share it.
    pub rule: Arc<rules::Rule>,
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

/// The rules and definitions at one version.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// 0 is empty, one more per change.
    pub version: u64,
    /// The rules by id.
    pub rules: OrdMap<Arc<str>, Arc<StoredRule>>,
    /// The definitions by id.
    pub definitions: OrdMap<Arc<str>, Arc<StoredDefinition>>,
    /// The rules as the matcher wants them.
    pub compiled: rules::Catalogue,
    /// The version at which all rules were compiled at once.
    pub(super) compiled_at: u64,
    /// The rules changed since, each with the version of its last change.
    pub(super) touched: OrdMap<Arc<str>, u64>,
    /// Each workflow with each rule that starts it.
    pub(super) uses: OrdSet<(Arc<str>, Arc<str>)>,
    /// Which rules need a rule. Copied by a change of a rule that needs others: few do.
    pub(super) dependents: Arc<rules::Dependents>,
    pub(super) history: History,
}

/// The rules of one version, compiled at once.
#[derive(Debug)]
pub struct Merged {
    version: u64,
    compiled: rules::Catalogue,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            version: 0,
            rules: OrdMap::new(),
            definitions: OrdMap::new(),
            compiled: rules::Catalogue::compile(Vec::new()),
            compiled_at: 0,
            touched: OrdMap::new(),
            uses: OrdSet::new(),
            dependents: Arc::default(),
            history: History::default(),
        }
    }
}

impl Catalogue {
    /// Compiles all rules.
    pub(super) fn compile(&mut self) {
        let rules = self.rules.values().map(|stored| Arc::clone(&stored.rule)).collect();
        self.compiled = rules::Catalogue::compile_shared(rules);
        self.compiled_at = self.version;
        self.touched.clear();
    }

    /// Brings the change that made this version into the compiled rules.
    pub(super) fn compile_change(&mut self, edits: &Edits) {
        let changed = edits.stored().chain(edits.deleted.iter().map(String::as_str));
        for id in changed {
            self.touched.insert(Arc::from(id), self.version);
        }
        // A merge that is under way may be late: whatever happens, the delta stays a part of all.
        if self.touched.len() * COMPILE_ALL_SHARE >= self.rules.len() {
            self.compile();
            return;
        }
        let put: Vec<_> = edits.stored().map(|id| Arc::clone(&self.rules[id].rule)).collect();
        let removed: Vec<&str> = edits.deleted.iter().map(String::as_str).collect();
        self.compiled = self.compiled.with_shared_change(&put, &removed);
    }

    /// Whether changes have left the compiled rules so that matching, or the next change, costs
    /// more than it must.
    pub(crate) fn needs_merge(&self) -> bool {
        self.compiled.needs_merge()
    }

    /// The same rules compiled at once. Takes time in the number of all of them.
    pub(crate) fn merged(&self) -> Merged {
        Merged { version: self.version, compiled: self.compiled.merge() }
    }

    /// This catalogue over rules that were merged at an earlier version; nothing if all of them were
    /// compiled later than that, or the merge is of a version yet to come.
    pub(crate) fn over(&self, merged: &Merged) -> Option<Self> {
        if merged.version > self.version || self.is_past(merged) {
            return None;
        }
        let newer = self.touched.iter().filter(|(_, version)| **version > merged.version);
        let touched: OrdMap<Arc<str>, u64> = newer.map(|(id, at)| (Arc::clone(id), *at)).collect();
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for id in touched.keys() {
            match self.rules.get(id) {
                Some(stored) => put.push(Arc::clone(&stored.rule)),
                None => removed.push(&**id),
            }
        }
        let compiled = if touched.is_empty() {
            merged.compiled.clone()
        } else {
            merged.compiled.with_shared_change(&put, &removed)
        };
        Some(Self { compiled, compiled_at: merged.version, touched, ..self.clone() })
    }

    /// Whether most of the compiled rules are the same.
    pub(crate) fn shares_compiled(&self, other: &Self) -> bool {
        self.compiled_at == other.compiled_at
    }

    /// Whether a merge is of no more use: all rules were compiled at its version or later.
    pub(crate) fn is_past(&self, merged: &Merged) -> bool {
        self.compiled_at >= merged.version
    }

    /// Whether no catalogue can come any more that would gain by a merge: all rules were compiled
    /// later. At the merge's own version one can, made over older rules before the merge came.
    pub(crate) fn is_beyond(&self, merged: &Merged) -> bool {
        self.compiled_at > merged.version
    }

    /// A rule comes: what it names is known to be used from now on.
    pub(super) fn link(&mut self, rule: &rules::Rule) {
        if rule.needs().next().is_some() {
            Arc::make_mut(&mut self.dependents).insert(rule);
        }
        for (workflow, id) in uses(rule) {
            self.uses.insert((workflow, id));
        }
    }

    /// A rule goes.
    pub(super) fn unlink(&mut self, rule: &rules::Rule) {
        if rule.needs().next().is_some() {
            Arc::make_mut(&mut self.dependents).remove(rule);
        }
        for (workflow, id) in uses(rule) {
            self.uses.remove(&(workflow, id));
        }
    }
}

fn uses(rule: &rules::Rule) -> impl Iterator<Item = (Arc<str>, Arc<str>)> {
    let workflow = |action: &rules::Action| Arc::from(action.workflow.as_str());
    rule.actions.iter().map(move |action| (workflow(action), Arc::from(rule.id.as_str())))
}

impl StoredRule {
    pub(super) fn new(rule: Arc<rules::Rule>, came: Came) -> Self {
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
    pub(super) fn new(definition: Arc<Definition>, came: Came) -> Self {
        let name = Arc::from(definition.id.as_str());
        Self { definition, name, came }
    }
}
