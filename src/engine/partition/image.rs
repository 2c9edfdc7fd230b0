//! A partition as bytes: equal state gives equal bytes, whatever the order of its tables.
//!
//! The layout is of version [`IMAGE_VERSION`], which counts for the globals' image as well; a
//! snapshot's chunk names it. A change of the layout is
//! a new version, and [`upgraded`] makes the newest of every older one.

mod version_1;

use super::Partition;
use super::live::{Live, Run};
use super::view::shelved;
use crate::keys::Known;
use crate::producers::Producer;
use crate::record::Born;
use base::{PartitionId, UnixMicros, hash64};
use document::Source;
use flow::{Definition, Instance};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use telemetry::TraceContext;

/// The version of the layout.
pub(crate) const IMAGE_VERSION: u16 = 3;

/// An image of an older version in the newest layout.
pub(crate) fn upgraded(version: u16, bytes: &[u8]) -> Result<Vec<u8>, String> {
    match version {
        1 => version_1::upgraded(bytes),
        // Version 3 is another image of the globals: a partition's is as it was.
        2 => Ok(bytes.to_vec()),
        _ => Err(format!("an image of version {version}; this program knows {IMAGE_VERSION}")),
    }
}

#[derive(Archive, Serialize, Deserialize)]
struct PartitionImage {
    id: PartitionId,
    applied: u64,
    next_sequence: u64,
    /// Sources of the definitions that live instances need, by their hash.
    definitions: Vec<String>,
    live: Vec<LiveImage>,
    keys: Vec<KeyImage>,
    /// By their number.
    producers: Vec<ProducerImage>,
    /// Sequence and length of each entry of the shelf, the oldest first.
    shelf: Vec<(u64, u32)>,
    shelf_bytes: Vec<u8>,
}

#[derive(Archive, Serialize, Deserialize)]
struct LiveImage {
    sequence: u64,
    accepted_at: UnixMicros,
    key: String,
    rules: Vec<(String, u32)>,
    payload: Vec<u8>,
    /// Trace and span.
    trace: Option<(u128, u64)>,
    /// Hash of the definition, and the instance's image.
    runs: Vec<(u64, Vec<u8>)>,
}

#[derive(Archive, Serialize, Deserialize)]
struct KeyImage {
    due: UnixMicros,
    key: String,
    known: KnownImage,
}

#[derive(Archive, Serialize, Deserialize)]
struct KnownImage {
    sequence: u64,
    body: (u64, u32),
    workflows: Vec<String>,
}

#[derive(Archive, Serialize, Deserialize)]
struct ProducerImage {
    producer: u64,
    seen: UnixMicros,
    base: u64,
    places: Vec<Option<KnownImage>>,
}

impl KnownImage {
    fn of(known: &Known) -> Self {
        Self {
            sequence: known.sequence,
            body: known.body,
            workflows: known.workflows.iter().map(|name| String::from(&**name)).collect(),
        }
    }

    fn known(self) -> Known {
        Known {
            sequence: self.sequence,
            body: self.body,
            workflows: self.workflows.iter().map(|name| Arc::from(name.as_str())).collect(),
        }
    }
}

impl Partition {
    /// The bytes of an image.
    pub fn image(&self) -> Vec<u8> {
        let mut sequences: Vec<u64> = self.live.keys().copied().collect();
        sequences.sort_unstable();
        let mut definitions: BTreeMap<u64, &Definition> = BTreeMap::new();
        let live = (sequences.into_iter())
            .map(|sequence| {
                let live = &self.live[&sequence];
                for run in &live.runs {
                    definitions.insert(run.definition.hash, &run.definition);
                }
                live_image(sequence, live)
            })
            .collect();
        let keys = (self.keys.iter())
            .map(|(due, key, known)| KeyImage {
                due,
                key: key.into(),
                known: KnownImage::of(known),
            })
            .collect();
        let producers = (self.producers.iter())
            .map(|(id, producer)| ProducerImage {
                producer: id,
                seen: producer.seen,
                base: producer.base,
                places: (producer.places.iter())
                    .map(|known| known.as_ref().map(KnownImage::of))
                    .collect(),
            })
            .collect();
        let mut places = Vec::with_capacity(self.shelf.len());
        let mut shelf_bytes = Vec::with_capacity(self.shelf.used());
        for (sequence, bytes) in self.shelf.oldest_first() {
            places.push((sequence, u32::try_from(bytes.len()).expect("an entry is small")));
            shelf_bytes.extend_from_slice(bytes);
        }
        let image = PartitionImage {
            id: self.id,
            applied: self.applied,
            next_sequence: self.next_sequence,
            definitions: definitions.values().map(|definition| definition.source.clone()).collect(),
            live,
            keys,
            producers,
            shelf: places,
            shelf_bytes,
        };
        rkyv::to_bytes::<Rancor>(&image).expect("writing to memory cannot fail").to_vec()
    }

    /// A number that is equal exactly when the state is.
    pub fn checksum(&self) -> u64 {
        hash64(&self.image())
    }

    /// Reads an image back. `globals_applied` is the group's index: an image is never older.
    pub fn from_image(bytes: &[u8], born: &Born, globals_applied: u64) -> Result<Self, String> {
        let image =
            rkyv::from_bytes::<PartitionImage, Rancor>(bytes).map_err(|error| error.to_string())?;
        if image.applied < globals_applied {
            return Err(format!(
                "the image of partition {} ends at entry {}, before the globals' entry \
                 {globals_applied}",
                image.id, image.applied
            ));
        }
        let mut partition = Self::new(image.id, born, image.applied);
        partition.next_sequence = image.next_sequence;
        let definitions = definitions(&image.definitions)?;
        for live in image.live {
            partition.restore_live(live, &definitions)?;
        }
        for key in image.keys {
            partition.keys.restore(key.due, &key.key, key.known.known());
        }
        for ProducerImage { producer, seen, base, places } in image.producers {
            if places.is_empty() {
                return Err(format!("producer {producer} has an empty window"));
            }
            let places = places.into_iter().map(|known| known.map(KnownImage::known)).collect();
            partition.producers.restore(producer, Producer { seen, base, places });
        }
        let mut rest = &image.shelf_bytes[..];
        for (sequence, length) in image.shelf {
            let (bytes, tail) = rest
                .split_at_checked(length as usize)
                .ok_or_else(|| "the shelf's bytes end early".to_owned())?;
            rest = tail;
            rkyv::access::<super::live::ArchivedFinished<'_>, Rancor>(bytes)
                .map_err(|error| format!("message {sequence} on the shelf: {error}"))?;
            partition.shelf.put(sequence, bytes);
            if !shelved(bytes).instances.is_empty() {
                partition.shelved_with_instances.push(sequence);
            }
        }
        Ok(partition)
    }

    fn restore_live(
        &mut self,
        image: LiveImage,
        definitions: &BTreeMap<u64, Arc<Definition>>,
    ) -> Result<(), String> {
        let mut runs = Vec::with_capacity(image.runs.len());
        for ((hash, bytes), ordinal) in image.runs.iter().zip(1..) {
            let definition = definitions
                .get(hash)
                .ok_or_else(|| format!("definition {hash:016x} is missing"))?;
            let instance = Instance::from_image(bytes)
                .map_err(|error| format!("message {}: {error}", image.sequence))?;
            if let Some(due) = instance.deadline() {
                self.timers.insert((due, image.sequence, ordinal));
            }
            runs.push(Run { definition: Arc::clone(definition), instance });
        }
        let rules = image.rules.into_iter().map(|(id, version)| (id.into(), version)).collect();
        let mut live = Live {
            accepted_at: image.accepted_at,
            key: image.key.into(),
            rules,
            payload: image.payload.into(),
            trace: image.trace.map(|(trace, span)| TraceContext { trace, span }),
            runs,
            counted: 0,
        };
        self.live_bytes += live.recount();
        self.live.insert(image.sequence, live);
        Ok(())
    }
}

fn live_image(sequence: u64, live: &Live) -> LiveImage {
    LiveImage {
        sequence,
        accepted_at: live.accepted_at,
        key: live.key.to_string(),
        rules: live.rules.iter().map(|(id, version)| (id.to_string(), *version)).collect(),
        payload: live.payload.to_vec(),
        trace: live.trace.map(|context| (context.trace, context.span)),
        runs: (live.runs.iter()).map(|run| (run.definition.hash, run.instance.image())).collect(),
    }
}

fn definitions(sources: &[String]) -> Result<BTreeMap<u64, Arc<Definition>>, String> {
    let mut definitions = BTreeMap::new();
    for text in sources {
        let found =
            flow::parse(Source { name: "snapshot", text }).map_err(|faults| faults.to_string())?;
        for definition in found {
            definitions.insert(definition.hash, Arc::new(definition));
        }
    }
    Ok(definitions)
}

#[cfg(test)]
mod tests;
