//! What every core holds: parameters, the catalogue, the sessions, the workers.
//!
//! Invariants:
//! - every core applies every entry's global part, so all copies at one index are equal;
//! - a section is admitted only when its number is the last one's successor in its session and its
//!   catalogue version is the current one (SOUNDNESS 8, 11);
//! - a change of the catalogue is applied whole or not at all; the catalogue itself is shared by all
//!   cores, and a change is a pointer to another.

mod catalogue;
mod change;
mod draft;
mod history;
mod version_2;
mod version_4;
pub(crate) mod view;
mod workers;

use crate::batch::SectionHeader;
use crate::record::Born;
use base::{BootId, CoreId, NodeId, UnixMicros};
use history::Past;
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use workers::WorkersImage;

pub use catalogue::{Catalogue, Merged, StoredDefinition, StoredRule};
pub(crate) use change::differ_in_enabled_alone;
pub use draft::{Draft, Prepared};
pub(crate) use version_2::upgraded;
pub(crate) use workers::WORKERS_MAX;
pub(crate) use workers::{Join, Plugins};
pub use workers::{Presence, Worker, Workers};

/// Rules a catalogue can hold.
pub(crate) const RULES_MAX: usize = 100_000;
/// Definitions a catalogue can hold.
pub(crate) const DEFINITIONS_MAX: usize = 10_000;

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

/// What the versions that came by one change have in common.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Set once, when the change has its place in the log: it may be prepared before.
    at: OnceLock<UnixMicros>,
    by: Arc<str>,
}

impl Mark {
    fn new(by: Arc<str>) -> Self {
        Self { at: OnceLock::new(), by }
    }

    /// Every core says it, each the same.
    fn set(&self, stamp: UnixMicros) {
        let at = self.at.get_or_init(|| stamp);
        assert_eq!(*at, stamp, "a change has one place in the log");
    }
}

/// When and how a version came, and by whom.
#[derive(Clone, Debug)]
pub struct Came {
    mark: Arc<Mark>,
    /// How.
    pub how: How,
}

impl Came {
    /// The log's time.
    pub fn at(&self) -> UnixMicros {
        *self.mark.at.get().expect("what is in force has its place in the log")
    }

    /// Who says to have done it; empty when nobody was named.
    pub fn by(&self) -> &str {
        &self.mark.by
    }
}

/// The catalogue's two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub(crate) enum Table {
    Rules,
    Definitions,
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
    pub rules: Arc<Edits>,
    /// To the definitions.
    pub definitions: Arc<Edits>,
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
    /// Seen before: skip it.
    OutOfOrder,
    /// One before it is missing: skip it; its sender sends all again.
    Gap,
    /// Matched with another catalogue: skip it; its sender matches again.
    OtherCatalogue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    boot: BootId,
    last: u64,
}

/// The global part of the state.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    /// The last entry applied.
    pub applied: u64,
    /// The log's time.
    pub stamp: UnixMicros,
    /// The cluster's parameters, once it is born.
    pub born: Option<Born>,
    /// The rules and definitions. All cores share them.
    pub catalogue: Arc<Catalogue>,
    sessions: BTreeMap<(NodeId, CoreId), Session>,
    /// The workers that the cluster knows.
    pub workers: Workers,
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
        match header.number.cmp(&(last + 1)) {
            Ordering::Less => return Admission::OutOfOrder,
            Ordering::Greater => return Admission::Gap,
            Ordering::Equal => {}
        }
        if header.catalogue != self.catalogue.version {
            return Admission::OtherCatalogue;
        }
        self.sessions.insert(key, Session { boot: header.boot, last: header.number });
        Admission::Admitted
    }

    /// The number of the last batch that was admitted of a session.
    pub fn last_of(&self, node: NodeId, core: CoreId, boot: BootId) -> u64 {
        let session = self.sessions.get(&(node, core));
        session.filter(|session| session.boot == boot).map_or(0, |session| session.last)
    }

    /// The cluster's birth. Where two leaders in turn wanted it born, the first one's counts.
    pub fn apply_born(&mut self, born: Born) {
        if self.born.is_some() {
            return;
        }
        assert!((1..base::limits::PARTITIONS_MAX).contains(&born.partitions), "partitions fit ids");
        self.born = Some(born);
    }

    /// The bytes of an image: equal state gives equal bytes.
    pub fn image(&self) -> Vec<u8> {
        let stored = |came: &Came, text: &str| StoredImage {
            at: came.at(),
            by: came.by().into(),
            how: came.how,
            text: text.into(),
        };
        let catalogue = &*self.catalogue;
        let image = GlobalsImage {
            applied: self.applied,
            stamp: self.stamp,
            born: self.born.clone(),
            catalogue_version: catalogue.version,
            rules: catalogue.rules.values().map(|r| stored(&r.came, &r.rule.source)).collect(),
            definitions: (catalogue.definitions.values())
                .map(|d| stored(&d.came, &d.definition.source))
                .collect(),
            past: (catalogue.history.oldest_first())
                .map(|past| PastImage {
                    table: past.table,
                    id: String::from(&*past.id),
                    version: past.version,
                    stored: stored(&past.came, &past.text),
                })
                .collect(),
            sessions: (self.sessions.iter())
                .map(|((node, core), session)| (*node, *core, session.boot, session.last))
                .collect(),
            workers: self.workers.image(),
        };
        image.to_bytes()
    }

    /// Reads an image back.
    pub fn from_image(bytes: &[u8]) -> Result<Self, String> {
        let image =
            rkyv::from_bytes::<GlobalsImage, Rancor>(bytes).map_err(|error| error.to_string())?;
        let mut catalogue = Catalogue { version: image.catalogue_version, ..Default::default() };
        let mut marks = Marks::default();
        for image in image.rules {
            let rule = Arc::new(draft::parse_rule(&image.text)?);
            let stored = StoredRule::new(rule, marks.came(&image));
            catalogue.link(&stored.rule);
            catalogue.rules.insert(stored.rule.id.as_str().into(), Arc::new(stored));
        }
        for image in image.definitions {
            let definition = Arc::new(draft::parse_definition(&image.text)?);
            let stored = StoredDefinition::new(definition, marks.came(&image));
            catalogue.definitions.insert(Arc::clone(&stored.name), Arc::new(stored));
        }
        for PastImage { table, id, version, stored } in image.past {
            let came = marks.came(&stored);
            let text = stored.text.into();
            catalogue.history.push(Past { table, id: id.into(), version, came, text });
        }
        catalogue.compile();
        let sessions = image.sessions.into_iter();
        let sessions =
            sessions.map(|(node, core, boot, last)| ((node, core), Session { boot, last }));
        Ok(Self {
            applied: image.applied,
            stamp: image.stamp,
            born: image.born,
            catalogue: Arc::new(catalogue),
            sessions: sessions.collect(),
            workers: Workers::from_image(image.workers),
        })
    }
}

/// Versions that came at one time by one name were one change, most likely: they share what they
/// have in common.
#[derive(Default)]
struct Marks(Option<Arc<Mark>>);

impl Marks {
    fn came(&mut self, image: &StoredImage) -> Came {
        let same = |mark: &&Arc<Mark>| mark.at.get() == Some(&image.at) && *mark.by == *image.by;
        let mark = self.0.as_ref().filter(same).cloned().unwrap_or_else(|| {
            let mark = Mark::new(image.by.as_str().into());
            mark.set(image.at);
            Arc::new(mark)
        });
        self.0 = Some(Arc::clone(&mark));
        Came { mark, how: image.how }
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
    workers: WorkersImage,
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

#[cfg(test)]
mod tests;
