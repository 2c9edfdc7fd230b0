//! A change of the catalogue with its texts read, and what it makes of a catalogue.
//!
//! Invariant: what is prepared is a function of the record and of the catalogue's state alone; only
//! the time of the change comes later, from the log.

use super::{Catalogue, Changed, Mark};
use crate::record::{BadBody, CatalogueChanged, Change};
use base::UnixMicros;
use document::Source;
use flow::Definition;
use rules::Rule;
use std::sync::Arc;

/// A text that was read, or what is wrong with it: told once its turn comes.
pub(super) type Read<T> = Result<Arc<T>, String>;

/// A change of the catalogue with its texts read: that takes most of the time, and depends on
/// nothing but the record.
#[derive(Debug)]
pub struct Draft {
    pub(super) by: Arc<str>,
    pub(super) flips: bool,
    pub(super) edits: Vec<Edit>,
}

/// A [`Change`] with its texts read.
#[derive(Debug)]
pub(super) enum Edit {
    PutRule(Read<Rule>),
    DeleteRule(String),
    PutDefinition(Read<Definition>),
    DeleteDefinition(String),
    EnableRule(String, bool),
    RollBackRule(String, u32),
    RollBackDefinition(String, u32),
    ReplaceRules(Vec<(String, u64)>, Result<Vec<Arc<Rule>>, String>),
}

impl Draft {
    /// Reads the texts of a change.
    pub fn of(change: CatalogueChanged) -> Self {
        let CatalogueChanged { by, changes, flips, .. } = change;
        Self { by: by.into(), flips, edits: changes.into_iter().map(Edit::of).collect() }
    }

    /// Reads a record's body, and its texts.
    pub fn read(version: u8, body: &[u8]) -> Result<Self, BadBody> {
        CatalogueChanged::read(version, body).map(Self::of)
    }
}

impl Edit {
    fn of(change: Change) -> Self {
        match change {
            Change::PutRule(text) => Self::PutRule(parse_rule(&text).map(Arc::new)),
            Change::DeleteRule(id) => Self::DeleteRule(id),
            Change::PutDefinition(text) => {
                Self::PutDefinition(parse_definition(&text).map(Arc::new))
            }
            Change::DeleteDefinition(id) => Self::DeleteDefinition(id),
            Change::EnableRule(id, enabled) => Self::EnableRule(id, enabled),
            Change::RollBackRule(id, version) => Self::RollBackRule(id, version),
            Change::RollBackDefinition(id, version) => Self::RollBackDefinition(id, version),
            Change::ReplaceRules(keep, put) => {
                let put = put.iter().map(|text| parse_rule(text).map(Arc::new)).collect();
                Self::ReplaceRules(keep, put)
            }
        }
    }
}

/// What a change makes of the catalogue of one version.
#[derive(Debug)]
pub struct Prepared {
    from: u64,
    draft: Arc<Draft>,
    mark: Arc<Mark>,
    /// None: the catalogue stays as it is.
    next: Option<Arc<Catalogue>>,
    changed: Arc<Changed>,
}

impl Prepared {
    /// Makes a change ready for this catalogue.
    pub fn new(catalogue: &Catalogue, draft: Arc<Draft>) -> Self {
        let mark = Arc::new(Mark::new(Arc::clone(&draft.by)));
        let (next, changed) = catalogue.after(&draft, &mark);
        let (next, changed) = (next.map(Arc::new), Arc::new(changed));
        Self { from: catalogue.version, draft, mark, next, changed }
    }

    /// Whether it is what the change makes of this catalogue.
    pub fn is_for(&self, catalogue: &Catalogue) -> bool {
        self.from == catalogue.version
    }

    /// The change.
    pub fn draft(&self) -> &Arc<Draft> {
        &self.draft
    }

    /// What becomes of the change.
    pub fn changed(&self) -> &Arc<Changed> {
        &self.changed
    }

    /// The catalogue after the change, which has its place in the log now; none if it stays as it
    /// is.
    pub fn next(&self, stamp: UnixMicros) -> Option<&Arc<Catalogue>> {
        self.mark.set(stamp);
        self.next.as_ref()
    }
}

pub(super) fn parse_rule(text: &str) -> Result<Rule, String> {
    let source = Source { name: "rule", text };
    let mut found = rules::parse(source).map_err(|faults| faults.to_string())?;
    match (found.pop(), found.is_empty()) {
        (Some(rule), true) => Ok(rule),
        _ => Err("the text must hold exactly one rule".into()),
    }
}

pub(super) fn parse_definition(text: &str) -> Result<Definition, String> {
    let source = Source { name: "workflow", text };
    let mut found = flow::parse(source, flow::Plugins::Any).map_err(|faults| faults.to_string())?;
    match (found.pop(), found.is_empty()) {
        (Some(definition), true) => Ok(definition),
        _ => Err("the text must hold exactly one workflow".into()),
    }
}
