//! `GET /api/v1/rules` and `/api/v1/definitions`, their versions, and the answers to changes of
//! either.

use crate::json;
use base::UnixMicros;

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
    /// [`base::hash64`] of its text: equal where the texts are.
    pub hash: u64,
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
                        o.text("hash", &format!("{:016x}", rule.hash));
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
    /// As that of a rule.
    pub hash: u64,
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
                        o.text("hash", &format!("{:016x}", definition.hash));
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

/// The answer to the replacement of all rules.
#[derive(Clone, Debug)]
pub struct CatalogueReplaced<'a> {
    /// The catalogue's version since the change.
    pub version: u64,
    /// Ids that were not there before.
    pub added: &'a [String],
    /// Ids that have another text now.
    pub changed: &'a [String],
    /// Ids that were removed.
    pub deleted: &'a [String],
    /// How many stayed as they were.
    pub unchanged: usize,
}

impl CatalogueReplaced<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("version", self.version);
            o.texts("added", self.added);
            o.texts("changed", self.changed);
            o.texts("deleted", self.deleted);
            o.number("unchanged", self.unchanged as u64);
        });
    }
}

/// How a version of a rule or a definition came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionHow {
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

impl VersionHow {
    /// Its name in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::RolledBack(_) => "rolled_back",
            Self::Deleted => "deleted",
        }
    }
}

/// What happened to a rule or a definition once.
#[derive(Clone, Copy, Debug)]
pub struct VersionSummary<'a> {
    /// Its version since then; of one that was removed, the last.
    pub version: u32,
    /// What happened.
    pub how: VersionHow,
    /// When.
    pub at: UnixMicros,
    /// Who says to have done it; empty when nobody was named.
    pub by: &'a str,
}

/// What happened to a rule or a definition.
#[derive(Clone, Debug)]
pub struct VersionsView<'a> {
    /// Its id.
    pub id: &'a str,
    /// The newest first.
    pub versions: &'a [VersionSummary<'a>],
}

impl VersionsView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.text("id", self.id);
            o.array("versions", |list| {
                for one in self.versions {
                    list.object(|o| {
                        o.number("version", u64::from(one.version));
                        o.text("action", one.how.as_str());
                        if let VersionHow::RolledBack(to) = one.how {
                            o.number("to", u64::from(to));
                        }
                        o.time("at", Some(one.at));
                        o.text("by", one.by);
                    });
                }
            });
        });
    }
}
