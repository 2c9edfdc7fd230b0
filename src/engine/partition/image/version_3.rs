//! Images as they were before orders between partitions: read, never written.

use super::{KeyImage, LiveImage, PartitionImage, ProducerImage};
use base::{PartitionId, UnixMicros};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct PartitionImageV3 {
    pub(super) id: PartitionId,
    pub(super) applied: u64,
    pub(super) next_sequence: u64,
    pub(super) definitions: Vec<String>,
    pub(super) live: Vec<LiveImageV3>,
    pub(super) keys: Vec<KeyImage>,
    pub(super) producers: Vec<ProducerImage>,
    pub(super) shelf: Vec<(u64, u32)>,
    pub(super) shelf_bytes: Vec<u8>,
}

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct LiveImageV3 {
    pub(super) sequence: u64,
    pub(super) accepted_at: UnixMicros,
    pub(super) key: String,
    pub(super) rules: Vec<(String, u32)>,
    pub(super) payload: Vec<u8>,
    pub(super) trace: Option<(u128, u64)>,
    pub(super) runs: Vec<(u64, Vec<u8>)>,
}

/// Of an image of version 2 or 3, which differ in the globals alone.
pub(super) fn upgraded(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let old =
        rkyv::from_bytes::<PartitionImageV3, Rancor>(bytes).map_err(|error| error.to_string())?;
    let live = (old.live.into_iter())
        .map(|live| LiveImage {
            sequence: live.sequence,
            accepted_at: live.accepted_at,
            key: live.key,
            rules: live.rules,
            payload: live.payload,
            trace: live.trace,
            runs: live.runs,
            keyed: Vec::new(),
            caused: None,
        })
        .collect();
    let image = PartitionImage {
        id: old.id,
        applied: old.applied,
        next_sequence: old.next_sequence,
        definitions: old.definitions,
        live,
        keys: old.keys,
        producers: old.producers,
        links: Vec::new(),
        taken: Vec::new(),
        shelf: old.shelf,
        linked: Vec::new(),
        shelf_bytes: old.shelf_bytes,
        assigned: Vec::new(),
    };
    Ok(rkyv::to_bytes::<Rancor>(&image).expect("writing to memory cannot fail").to_vec())
}
