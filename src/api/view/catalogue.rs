//! `GET /api/v1/rules` and `/api/v1/definitions`, and the answers to changes of either.

use crate::json;

/// A rule in a list.
#[derive(Clone, Debug)]
pub struct RuleSummary<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its version.
    pub version: u64,
    /// Higher is looked at first.
    pub priority: i64,
    /// Whether it is looked at, at all.
    pub enabled: bool,
    /// The workflows that its actions name.
    pub workflows: &'a [&'a str],
}

/// All rules.
#[derive(Clone, Debug)]
pub struct RulesView<'a> {
    /// The catalogue's version: it goes up with every change.
    pub version: u64,
    /// The rules, in the order in which they are looked at.
    pub rules: &'a [RuleSummary<'a>],
}

impl RulesView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("version", self.version);
            o.array("rules", |list| {
                for rule in self.rules {
                    list.object(|o| {
                        o.text("id", rule.id);
                        o.number("version", rule.version);
                        o.signed("priority", rule.priority);
                        o.boolean("enabled", rule.enabled);
                        o.texts("workflows", rule.workflows);
                    });
                }
            });
        });
    }
}

/// A workflow definition in a list.
#[derive(Clone, Debug)]
pub struct DefinitionSummary<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its version.
    pub version: u64,
    /// The ids of its tasks, in the definition's order.
    pub tasks: &'a [&'a str],
}

/// All workflow definitions.
#[derive(Clone, Debug)]
pub struct DefinitionsView<'a> {
    /// The catalogue's version: it goes up with every change.
    pub version: u64,
    /// The definitions, by id.
    pub definitions: &'a [DefinitionSummary<'a>],
}

impl DefinitionsView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("version", self.version);
            o.array("definitions", |list| {
                for definition in self.definitions {
                    list.object(|o| {
                        o.text("id", definition.id);
                        o.number("version", definition.version);
                        o.texts("tasks", definition.tasks);
                    });
                }
            });
        });
    }
}

/// The answer to a change of rules or definitions.
#[derive(Clone, Debug)]
pub struct CatalogueChange<'a> {
    /// The catalogue's version since the change.
    pub version: u64,
    /// The ids that were added or replaced.
    pub stored: &'a [&'a str],
    /// The ids that were removed.
    pub deleted: &'a [&'a str],
}

impl CatalogueChange<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("version", self.version);
            o.texts("stored", self.stored);
            o.texts("deleted", self.deleted);
        });
    }
}
