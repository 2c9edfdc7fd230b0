//! A partition as bytes: equal state gives equal bytes, whatever the order of its tables.
//!
//! The layout is of version [`IMAGE_VERSION`], which counts for the globals' image as well; a
//! snapshot's chunk names it. A change of the layout is
//! a new version, and [`upgraded`] makes the newest of every older one.

mod version_1;
mod version_3;
mod version_4;

use super::assigned::Holder;
use super::live::{Caused, KeyedAction, Live, OnShelf, Run};
use super::passing::{Link, Waiting};
use super::{Partition, forget_key};
use crate::keys::Known;
use crate::producers::Producer;
use crate::record::{Born, KeyedStart};
use crate::shard::OrderId;
use crate::shelf::{Entry, ShelfSum};
use base::{BootId, InstanceId, PartitionId, UnixMicros, WorkerId, hash64};
use document::Source;
use flow::{Definition, Instance, TaskIndex};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use telemetry::TraceContext;

/// The version of the layout.
pub(crate) const IMAGE_VERSION: u16 = 5;

/// An image of an older version in the newest layout.
pub(crate) fn upgraded(version: u16, bytes: &[u8]) -> Result<Vec<u8>, String> {
    match version {
        1 => version_1::upgraded(bytes),
        // Version 3 was another image of the globals: a partition's was as before.
        2 | 3 => version_3::upgraded(bytes),
        4 => version_4::upgraded(bytes),
        _ => Err(format!("an image of version {version}; this program knows {IMAGE_VERSION}")),
    }
}

#[derive(Archive, Serialize, Deserialize)]
struct PartitionImage {
    id: PartitionId,
    applied: u64,
    next_sequence: u64,
    /// Sources of the definitions that live instances and orders need, by their hash.
    definitions: Vec<String>,
    live: Vec<LiveImage>,
    keys: Vec<KeyImage>,
    /// By their number.
    producers: Vec<ProducerImage>,
    /// Orders to each partition.
    links: Vec<LinkImage>,
    /// The number of the last order taken from each partition.
    taken: Vec<(PartitionId, u64)>,
    /// Sequence and length of each entry of the shelf, the oldest first.
    shelf: Vec<(u64, u32)>,
    /// The sequences of those with the layout of linked ones, in the same order.
    linked: Vec<u64>,
    shelf_bytes: Vec<u8>,
    /// What workers have, by instance, task and attempt.
    assigned: Vec<AssignedImage>,
}

#[derive(Archive, Serialize, Deserialize)]
struct AssignedImage {
    instance: InstanceId,
    task: u16,
    attempt: u32,
    worker: WorkerId,
    boot: BootId,
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
    /// Ordinal, workflow and key of the actions with a key.
    keyed: Vec<(u16, String, String)>,
    caused: Option<CausedImage>,
}

#[derive(Archive, Serialize, Deserialize)]
struct CausedImage {
    cause: InstanceId,
    namespace: String,
    key: String,
}

#[derive(Archive, Serialize, Deserialize)]
struct LinkImage {
    to: PartitionId,
    given: u64,
    waiting: Vec<KeyedStart>,
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

fn add_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn add_known(bytes: &mut Vec<u8>, known: &Known) {
    let Known { sequence, body: (hash, length), workflows } = known;
    for number in [*sequence, *hash, u64::from(*length), workflows.len() as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for name in workflows.iter() {
        add_text(bytes, name);
    }
}

impl Partition {
    /// The bytes of an image.
    pub fn image(&self) -> Vec<u8> {
        let mut image = self.without_tables();
        let keys = self.keys.iter();
        image.keys.extend(keys.map(|(due, key, known)| KeyImage {
            due,
            key: key.into(),
            known: KnownImage::of(known),
        }));
        let producers = self.producers.iter();
        image.producers.extend(producers.map(|(id, producer)| ProducerImage {
            producer: id,
            seen: producer.seen,
            base: producer.base,
            places:
                (producer.places.iter()).map(|known| known.as_ref().map(KnownImage::of)).collect(),
        }));
        image.shelf.reserve(self.shelf.len());
        image.shelf_bytes.reserve(self.shelf.used());
        for (sequence, entry) in self.shelf.oldest_first() {
            let bytes = u32::try_from(entry.bytes.len()).expect("an entry is small");
            image.shelf.push((sequence, bytes));
            image.linked.extend(entry.linked.then_some(sequence));
            image.shelf_bytes.extend_from_slice(entry.bytes);
        }
        rkyv::to_bytes::<Rancor>(&image).expect("writing to memory cannot fail").to_vec()
    }

    /// A number that is equal exactly when the state is, for whoever asks again and again: what
    /// `hashed` knows of this very partition is not hashed again. Not the number of
    /// [`Self::checksum`].
    pub fn checksum_again(&self, hashed: &mut ShelfSum) -> u64 {
        let image = rkyv::to_bytes::<Rancor>(&self.without_tables());
        let mut bytes = image.expect("writing to memory cannot fail").into_vec();
        let mut keys = 0_u64;
        let image_bytes = bytes.len() as u64;
        for (due, key, known) in self.keys.iter() {
            keys += 1;
            bytes.extend_from_slice(&due.0.to_le_bytes());
            add_text(&mut bytes, key);
            add_known(&mut bytes, known);
        }
        for (id, producer) in self.producers.iter() {
            let Producer { seen, base, places } = producer;
            for number in [id, seen.0, *base, places.len() as u64] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            for place in places {
                bytes.push(u8::from(place.is_some()));
                if let Some(known) = place {
                    add_known(&mut bytes, known);
                }
            }
        }
        // How much of it is what: no two states are told by the same bytes.
        for number in [image_bytes, keys, self.shelf.sum(hashed)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        hash64(&bytes)
    }

    /// An image but for what is known of keys and producers, and for the shelf.
    fn without_tables(&self) -> PartitionImage {
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
        for link in self.passing.links.values() {
            for Waiting { definition, .. } in &link.waiting {
                definitions.insert(definition.hash, definition);
            }
        }
        let links = (self.passing.links.iter())
            .map(|(to, link)| LinkImage {
                to: *to,
                given: link.given,
                waiting: link.waiting.iter().map(|order| order.start.clone()).collect(),
            })
            .collect();
        PartitionImage {
            id: self.id,
            applied: self.applied,
            next_sequence: self.next_sequence,
            definitions: definitions.values().map(|definition| definition.source.clone()).collect(),
            live,
            keys: Vec::new(),
            producers: Vec::new(),
            links,
            taken: self.taken().collect(),
            shelf: Vec::new(),
            linked: Vec::new(),
            shelf_bytes: Vec::new(),
            assigned: self.assigned.iter().map(assigned_image).collect(),
        }
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
        for link in image.links {
            partition.restore_link(link, &definitions)?;
        }
        partition.passing.taken = image.taken.into_iter().collect();
        for AssignedImage { instance, task, attempt, worker, boot } in image.assigned {
            let order = OrderId { instance, task: TaskIndex(task), attempt };
            if instance.message.partition() != partition.id {
                return Err(format!("{instance} is of another partition and assigned in this one"));
            }
            partition.assigned.insert(order, (worker, boot));
        }
        partition.restore_shelf(&image.shelf, &image.linked, &image.shelf_bytes)?;
        Ok(partition)
    }

    fn restore_link(
        &mut self,
        image: LinkImage,
        definitions: &BTreeMap<u64, Arc<Definition>>,
    ) -> Result<(), String> {
        let LinkImage { to, given, waiting } = image;
        if waiting.len() as u64 > given {
            return Err(format!("more orders wait for partition {to} than were given"));
        }
        let waiting = (waiting.into_iter())
            .map(|start| {
                let definition = known(definitions, start.definition)?;
                Ok(Waiting { start, definition })
            })
            .collect::<Result<_, String>>()?;
        self.passing.restore(to, Link { given, waiting });
        Ok(())
    }

    fn restore_shelf(
        &mut self,
        places: &[(u64, u32)],
        linked: &[u64],
        mut rest: &[u8],
    ) -> Result<(), String> {
        let mut linked = linked.iter().copied().peekable();
        for &(sequence, length) in places {
            let (bytes, tail) = rest
                .split_at_checked(length as usize)
                .ok_or_else(|| "the shelf's bytes end early".to_owned())?;
            rest = tail;
            let linked = linked.next_if_eq(&sequence).is_some();
            let entry = Entry { bytes, linked };
            let found = OnShelf::read(entry)
                .map_err(|error| format!("message {sequence} on the shelf: {error}"))?;
            if let Some(caused) = found.caused {
                let [instance] = found.finished.instances.as_ref() else {
                    return Err(format!("the key of message {sequence} has not one instance"));
                };
                let (namespace, workflow) = (&*caused.namespace, &*instance.row.workflow);
                self.restore_key(namespace, workflow, &caused.key, sequence)?;
            }
            if !found.finished.instances.is_empty() {
                self.shelved_with_instances.push(sequence);
            }
            let Self { shelf, keyed, .. } = self;
            shelf.put(sequence, entry, |gone| forget_key(keyed, gone));
        }
        Ok(())
    }

    fn restore_key(
        &mut self,
        namespace: &str,
        workflow: &str,
        key: &str,
        sequence: u64,
    ) -> Result<(), String> {
        if let Some(other) = self.keyed.find(namespace, workflow, key) {
            return Err(format!("messages {other} and {sequence} have one key"));
        }
        self.keyed.insert(namespace, workflow, key, sequence);
        Ok(())
    }

    fn restore_live(
        &mut self,
        image: LiveImage,
        definitions: &BTreeMap<u64, Arc<Definition>>,
    ) -> Result<(), String> {
        let mut runs: Vec<Run> = Vec::with_capacity(image.runs.len());
        for (hash, bytes) in &image.runs {
            let definition = known(definitions, *hash)?;
            let instance = Instance::from_image(bytes)
                .map_err(|error| format!("message {}: {error}", image.sequence))?;
            let ordinal = instance.id().ordinal;
            if runs.last().is_some_and(|last| last.instance.id().ordinal >= ordinal) {
                return Err(format!("message {}: its instances are mixed up", image.sequence));
            }
            if let Some(due) = instance.deadline() {
                self.timers.insert((due, image.sequence, ordinal));
            }
            runs.push(Run { definition, instance });
        }
        let keyed = (image.keyed.into_iter())
            .map(|(ordinal, workflow, key)| KeyedAction {
                ordinal,
                workflow: workflow.into(),
                key: key.into(),
            })
            .collect();
        let caused = image.caused.map(|caused| {
            let CausedImage { cause, namespace, key } = caused;
            Box::new(Caused { cause, namespace: namespace.into(), key: key.into() })
        });
        if let Some(caused) = &caused {
            let [run] = &runs[..] else {
                return Err(format!("the key of message {} has not one instance", image.sequence));
            };
            let workflow = &run.definition.id;
            self.restore_key(&caused.namespace, workflow, &caused.key, image.sequence)?;
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
            keyed,
            caused,
        };
        self.live_bytes += live.recount();
        self.live.insert(image.sequence, live);
        Ok(())
    }
}

fn assigned_image((order, holder): (&OrderId, &Holder)) -> AssignedImage {
    let (OrderId { instance, task, attempt }, (worker, boot)) = (*order, *holder);
    AssignedImage { instance, task: task.0, attempt, worker, boot }
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
        keyed: (live.keyed.iter())
            .map(|action| (action.ordinal, action.workflow.to_string(), action.key.to_string()))
            .collect(),
        caused: live.caused.as_ref().map(|caused| CausedImage {
            cause: caused.cause,
            namespace: caused.namespace.to_string(),
            key: caused.key.to_string(),
        }),
    }
}

fn known(
    definitions: &BTreeMap<u64, Arc<Definition>>,
    hash: u64,
) -> Result<Arc<Definition>, String> {
    let definition = definitions.get(&hash);
    definition.cloned().ok_or_else(|| format!("definition {hash:016x} is missing"))
}

fn definitions(sources: &[String]) -> Result<BTreeMap<u64, Arc<Definition>>, String> {
    let mut definitions = BTreeMap::new();
    for text in sources {
        let found = flow::parse(Source { name: "snapshot", text }, flow::Plugins::Any)
            .map_err(|faults| faults.to_string())?;
        for definition in found {
            definitions.insert(definition.hash, Arc::new(definition));
        }
    }
    Ok(definitions)
}

#[cfg(test)]
mod tests;
