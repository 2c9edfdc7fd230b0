//! Work that takes longer than a core may rest, and that needs nothing but values: a mind orders it
//! by [`ShardEffect::Work`], its driver runs it beside the cores and brings what came of it to
//! [`ShardCore::on_worked`].
//!
//! Invariant: what comes of it is a function of what it was made of: neither the place nor the time
//! nor the order in which it runs makes a difference to the state.
//!
//! [`ShardEffect::Work`]: crate::ShardEffect::Work
//! [`ShardCore::on_worked`]: crate::ShardCore::on_worked

use crate::globals::{Catalogue, Draft, Globals, Merged, Plugins, Prepared};
use crate::message::Place;
use crate::shard::{Asked, ChangeReady};
use api::ApiError;
use bytes::Bytes;
use std::sync::Arc;

/// Work that was ordered.
#[derive(Debug)]
pub struct Work(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    /// A client's change is made ready before it goes into the log.
    Change { catalogue: Arc<Catalogue>, plugins: Arc<Plugins>, asked: Box<Asked> },
    /// A change is in the log and nothing is ready.
    Committed { place: Place, catalogue: Arc<Catalogue>, change: CommittedChange },
    /// The compiled rules are worth a merge.
    Merge(Arc<Catalogue>),
    /// A checksum wants the globals hashed.
    Sum(Place, Box<Globals>),
    /// A snapshot wants the globals.
    Image(Box<Globals>),
    /// What nobody needs any longer is let go.
    Drop(Vec<Retired>),
}

/// A change of the log.
#[derive(Debug)]
pub(crate) enum CommittedChange {
    /// Its texts were read.
    Drafted(Arc<Draft>),
    /// The record's version and body.
    Record(u8, Bytes),
}

/// What takes long to free.
#[derive(Debug)]
#[expect(dead_code, reason = "what is in it is there to be dropped")]
pub(crate) enum Retired {
    Catalogue(Arc<Catalogue>),
    Prepared(Arc<Prepared>),
    Merged(Arc<Merged>),
    Record(Bytes, Arc<Draft>),
}

/// What came of it.
#[derive(Debug)]
pub struct Worked(pub(crate) Outcome);

#[derive(Debug)]
pub(crate) enum Outcome {
    Change(Result<Box<ChangeReady>, ApiError>),
    Committed(Place, Result<Arc<Prepared>, String>),
    Merged(Arc<Merged>),
    /// `partitions`: how many the state has that it is an image of.
    Image {
        applied: u64,
        partitions: u16,
        bytes: Vec<u8>,
    },
    Summed(Place, u64),
    Nothing,
}

impl Work {
    /// Whether answers wait for it. Everything else gives way to what the cores do.
    pub fn is_urgent(&self) -> bool {
        matches!(self.0, Kind::Committed { .. } | Kind::Sum(..))
    }

    /// Carries it out. May take long.
    pub fn run(self) -> Worked {
        Worked(match self.0 {
            Kind::Change { catalogue, plugins, asked } => {
                Outcome::Change(asked.make_ready(&catalogue, &plugins).map(Box::new))
            }
            Kind::Committed { place, catalogue, change } => {
                let draft = match change {
                    CommittedChange::Drafted(draft) => Ok(draft),
                    CommittedChange::Record(version, body) => {
                        Draft::read(version, &body).map(Arc::new).map_err(|error| error.to_string())
                    }
                };
                let prepared = draft.map(|draft| Arc::new(Prepared::new(&catalogue, draft)));
                Outcome::Committed(place, prepared)
            }
            Kind::Merge(catalogue) => Outcome::Merged(Arc::new(catalogue.merged())),
            Kind::Sum(place, globals) => Outcome::Summed(place, base::hash64(&globals.image())),
            Kind::Image(globals) => {
                let partitions = globals.born.as_ref().map_or(0, |born| born.partitions);
                Outcome::Image { applied: globals.applied, partitions, bytes: globals.image() }
            }
            Kind::Drop(retired) => {
                drop(retired);
                Outcome::Nothing
            }
        })
    }
}
