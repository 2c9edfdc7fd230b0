//! A message while its instances run, and how it goes onto the shelf.

use super::keyed::KEY_OVERHEAD_BYTES;
use super::view::InstanceRow;
use crate::record::{AcceptedView, Match};
use crate::shelf::Entry;
use base::{InstanceId, MessageId, UnixMicros};
use flow::{Definition, Holders, Instance};
use rkyv::rancor::Error as Rancor;
use rkyv::with::InlineAsBox;
use rkyv::{Archive, Serialize};
use std::sync::Arc;
use telemetry::TraceContext;

/// Bytes that a run costs besides what its instance says.
const RUN_OVERHEAD_BYTES: usize = 256;

/// One instance and the definition it started with.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) definition: Arc<Definition>,
    pub(super) instance: Instance,
}

/// A message with unfinished instances.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) accepted_at: UnixMicros,
    pub(super) key: Box<str>,
    pub(super) rules: Vec<(Box<str>, u32)>,
    pub(super) payload: Box<[u8]>,
    /// What its orders carry.
    pub(super) trace: Option<TraceContext>,
    /// In the order of the ordinals, from 1.
    pub(super) runs: Vec<Run>,
    pub(super) counted: usize,
    /// The actions with a key: what becomes of them is decided elsewhere.
    pub(super) keyed: Vec<KeyedAction>,
    /// Where this is no message but an instance with a key: what caused it.
    pub(super) caused: Option<Box<Caused>>,
}

/// An action of a message that names a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyedAction {
    pub(super) ordinal: u16,
    pub(super) workflow: Arc<str>,
    pub(super) key: Box<str>,
}

/// What caused an instance with a key, and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caused {
    pub(super) cause: InstanceId,
    pub(super) namespace: Box<str>,
    pub(super) key: Box<str>,
}

impl Live {
    pub(super) fn new(record: &AcceptedView<'_>, stamp: UnixMicros) -> Self {
        let rules = (record.matches.iter())
            .map(|matched| (Box::from(&*matched.rule), matched.version.to_native()))
            .collect();
        Self {
            accepted_at: stamp,
            key: Box::from(record.key),
            rules,
            payload: Box::from(record.payload),
            trace: record.trace,
            runs: Vec::new(),
            counted: 0,
            keyed: Vec::new(),
            caused: None,
        }
    }

    /// An instance with a key, by itself.
    pub(super) fn of_key(
        stamp: UnixMicros,
        trace: Option<TraceContext>,
        caused: Caused,
        run: Run,
    ) -> Self {
        Self {
            accepted_at: stamp,
            key: Box::default(),
            rules: Vec::new(),
            payload: Box::default(),
            trace,
            runs: vec![run],
            counted: 0,
            keyed: Vec::new(),
            caused: Some(Box::new(caused)),
        }
    }

    pub(super) fn run(&self, ordinal: u16) -> Option<&Run> {
        self.runs.get(self.place(ordinal)?)
    }

    pub(super) fn run_mut(&mut self, ordinal: u16) -> Option<&mut Run> {
        let place = self.place(ordinal)?;
        self.runs.get_mut(place)
    }

    /// Where a run stands: actions with a key leave gaps between the ordinals.
    fn place(&self, ordinal: u16) -> Option<usize> {
        self.runs.binary_search_by_key(&ordinal, |run| run.instance.id().ordinal).ok()
    }

    /// The message that caused an instance with a key, and the key.
    pub(super) fn caused_by(&self) -> Option<(MessageId, &str)> {
        self.caused.as_ref().map(|caused| (caused.cause.message, &*caused.key))
    }

    /// An instance as people and programs read it.
    pub(super) fn json(&self, run: &Run, holders: &dyn Holders) -> String {
        match self.caused_by() {
            None => run.instance.to_json(&run.definition, holders),
            Some(cause) => run.instance.to_json_of_key(&run.definition, cause, holders),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.runs.iter().all(|run| run.instance.is_finished())
    }

    /// What the message was last counted as. Unit: bytes.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }

    /// Counts the message anew.
    pub(super) fn recount(&mut self) -> usize {
        let runs: usize =
            (self.runs.iter()).map(|run| run.instance.bytes_estimate() + RUN_OVERHEAD_BYTES).sum();
        let keyed: usize =
            self.keyed.iter().map(|action| action.key.len() + KEY_OVERHEAD_BYTES).sum();
        let caused = self.caused.as_ref().map_or(0, |caused| caused.key.len() + KEY_OVERHEAD_BYTES);
        self.counted = self.payload.len() + self.key.len() + runs + keyed + caused;
        self.counted
    }

    /// Whether it is to be written in the layout of those that know of others.
    pub(super) fn is_linked(&self) -> bool {
        !self.keyed.is_empty() || self.caused.is_some()
    }

    /// Writes the finished message.
    pub(super) fn write(&self, ended_at: UnixMicros, out: &mut Vec<u8>) {
        let texts: Vec<String> = self.runs.iter().map(|run| self.json(run, &())).collect();
        let instances: Vec<Shelved<'_>> = (self.runs.iter().zip(&texts))
            .map(|(run, json)| Shelved { row: InstanceRow::of(run), json: json.as_bytes() })
            .collect();
        let matches: Vec<Match<'_>> =
            (self.rules.iter()).map(|(rule, version)| Match { rule, version: *version }).collect();
        let finished = Finished {
            accepted_at: self.accepted_at,
            ended_at,
            key: &self.key,
            matches: &matches,
            instances: &instances,
            payload: &self.payload,
        };
        if !self.is_linked() {
            return finished.write(out);
        }
        let keyed: Vec<KeyedEntry<'_>> = (self.keyed.iter())
            .map(|KeyedAction { ordinal, workflow, key }| KeyedEntry {
                ordinal: *ordinal,
                workflow,
                key,
            })
            .collect();
        let caused = self.caused.as_ref().map(|caused| CausedEntry {
            cause: caused.cause,
            namespace: &caused.namespace,
            key: &caused.key,
        });
        Linked { finished, keyed: &keyed, caused }.write(out);
    }
}

/// A finished message as it lies on the shelf.
#[derive(Archive, Serialize)]
pub(super) struct Finished<'a> {
    pub(super) accepted_at: UnixMicros,
    pub(super) ended_at: UnixMicros,
    #[rkyv(with = InlineAsBox)]
    pub(super) key: &'a str,
    #[rkyv(with = InlineAsBox)]
    pub(super) matches: &'a [Match<'a>],
    #[rkyv(with = InlineAsBox)]
    pub(super) instances: &'a [Shelved<'a>],
    #[rkyv(with = InlineAsBox)]
    pub(super) payload: &'a [u8],
}

/// A finished instance: what lists need, and its whole story as JSON, so that it can be told when
/// its definition has long gone.
#[derive(Archive, Serialize)]
pub(super) struct Shelved<'a> {
    pub(super) row: InstanceRow,
    #[rkyv(with = InlineAsBox)]
    pub(super) json: &'a [u8],
}

impl Finished<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        rkyv::api::high::to_bytes_in::<_, Rancor>(self, out)
            .expect("writing to memory cannot fail");
    }
}

/// A finished message, or instance with a key, that knows of others.
#[derive(Archive, Serialize)]
pub(super) struct Linked<'a> {
    pub(super) finished: Finished<'a>,
    #[rkyv(with = InlineAsBox)]
    pub(super) keyed: &'a [KeyedEntry<'a>],
    pub(super) caused: Option<CausedEntry<'a>>,
}

/// A [`KeyedAction`] on the shelf.
#[derive(Archive, Serialize)]
pub(super) struct KeyedEntry<'a> {
    pub(super) ordinal: u16,
    #[rkyv(with = InlineAsBox)]
    pub(super) workflow: &'a str,
    #[rkyv(with = InlineAsBox)]
    pub(super) key: &'a str,
}

/// A [`Caused`] on the shelf.
#[derive(Archive, Serialize)]
pub(super) struct CausedEntry<'a> {
    pub(super) cause: InstanceId,
    #[rkyv(with = InlineAsBox)]
    pub(super) namespace: &'a str,
    #[rkyv(with = InlineAsBox)]
    pub(super) key: &'a str,
}

impl Linked<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        rkyv::api::high::to_bytes_in::<_, Rancor>(self, out)
            .expect("writing to memory cannot fail");
    }
}

/// What lies on the shelf, seen in place.
#[derive(Clone, Copy)]
pub(super) struct OnShelf<'a> {
    pub(super) finished: &'a ArchivedFinished<'a>,
    pub(super) keyed: &'a [ArchivedKeyedEntry<'a>],
    pub(super) caused: Option<&'a ArchivedCausedEntry<'a>>,
}

impl<'a> OnShelf<'a> {
    /// Reads an entry, checking every byte.
    pub(super) fn read(entry: Entry<'a>) -> Result<Self, Rancor> {
        if entry.linked {
            let linked = rkyv::access::<ArchivedLinked<'a>, Rancor>(entry.bytes)?;
            let (keyed, caused) = (&*linked.keyed, linked.caused.as_ref());
            return Ok(Self { finished: &linked.finished, keyed, caused });
        }
        let finished = rkyv::access::<ArchivedFinished<'a>, Rancor>(entry.bytes)?;
        Ok(Self { finished, keyed: &[], caused: None })
    }

    /// Reads an entry that the state machine wrote, or an image that checked did.
    pub(super) fn of(entry: Entry<'a>) -> Self {
        Self::read(entry).expect("the shelf holds what the state machine wrote")
    }

    /// The message that caused an instance with a key, and the key.
    pub(super) fn caused_by(&self) -> Option<(MessageId, &'a str)> {
        self.caused.map(|caused| (MessageId(caused.cause.message.0.to_native()), &*caused.key))
    }
}

/// Writes a message that started nothing.
pub(super) fn write_plain(record: &AcceptedView<'_>, stamp: UnixMicros, out: &mut Vec<u8>) {
    let matches: smallvec::SmallVec<[Match<'_>; 8]> = (record.matches.iter())
        .map(|matched| Match { rule: &matched.rule, version: matched.version.to_native() })
        .collect();
    Finished {
        accepted_at: stamp,
        ended_at: stamp,
        key: record.key,
        matches: &matches,
        instances: &[],
        payload: record.payload,
    }
    .write(out);
}
