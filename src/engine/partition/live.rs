//! A message while its instances run, and how it goes onto the shelf.

use super::view::InstanceRow;
use crate::record::{AcceptedView, Match};
use base::UnixMicros;
use flow::{Definition, Instance};
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
        }
    }

    pub(super) fn run(&self, ordinal: u16) -> Option<&Run> {
        self.runs.get(usize::from(ordinal).checked_sub(1)?)
    }

    pub(super) fn run_mut(&mut self, ordinal: u16) -> Option<&mut Run> {
        self.runs.get_mut(usize::from(ordinal).checked_sub(1)?)
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
        self.counted = self.payload.len() + self.key.len() + runs;
        self.counted
    }

    /// Writes the finished message.
    pub(super) fn write(&self, ended_at: UnixMicros, out: &mut Vec<u8>) {
        let texts: Vec<String> =
            (self.runs.iter()).map(|run| run.instance.to_json(&run.definition)).collect();
        let instances: Vec<Shelved<'_>> = (self.runs.iter().zip(&texts))
            .map(|(run, json)| Shelved { row: InstanceRow::of(run), json: json.as_bytes() })
            .collect();
        let matches: Vec<Match<'_>> =
            (self.rules.iter()).map(|(rule, version)| Match { rule, version: *version }).collect();
        Finished {
            accepted_at: self.accepted_at,
            ended_at,
            key: &self.key,
            matches: &matches,
            instances: &instances,
            payload: &self.payload,
        }
        .write(out);
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
