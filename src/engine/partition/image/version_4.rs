//! Images as they were before workers had tasks: read, never written.

use super::{KeyImage, LinkImage, LiveImage, PartitionImage, ProducerImage};
use base::PartitionId;
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct PartitionImageV4 {
    pub(super) id: PartitionId,
    pub(super) applied: u64,
    pub(super) next_sequence: u64,
    pub(super) definitions: Vec<String>,
    pub(super) live: Vec<LiveImage>,
    pub(super) keys: Vec<KeyImage>,
    pub(super) producers: Vec<ProducerImage>,
    pub(super) links: Vec<LinkImage>,
    pub(super) taken: Vec<(PartitionId, u64)>,
    pub(super) shelf: Vec<(u64, u32)>,
    pub(super) linked: Vec<u64>,
    pub(super) shelf_bytes: Vec<u8>,
}

pub(super) fn upgraded(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let old =
        rkyv::from_bytes::<PartitionImageV4, Rancor>(bytes).map_err(|error| error.to_string())?;
    let image = PartitionImage {
        id: old.id,
        applied: old.applied,
        next_sequence: old.next_sequence,
        definitions: old.definitions,
        live: old.live,
        keys: old.keys,
        producers: old.producers,
        links: old.links,
        taken: old.taken,
        shelf: old.shelf,
        linked: old.linked,
        shelf_bytes: old.shelf_bytes,
        assigned: Vec::new(),
    };
    Ok(rkyv::to_bytes::<Rancor>(&image).expect("writing to memory cannot fail").to_vec())
}
