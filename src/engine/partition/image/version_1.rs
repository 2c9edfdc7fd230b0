//! Images as they were before producers and traces: read, never written.

use super::{KeyImage, KnownImage, LiveImage, PartitionImage};
use base::{PartitionId, UnixMicros};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct PartitionImageV1 {
    pub(super) id: PartitionId,
    pub(super) applied: u64,
    pub(super) next_sequence: u64,
    pub(super) definitions: Vec<String>,
    pub(super) live: Vec<LiveImageV1>,
    pub(super) keys: Vec<KeyImageV1>,
    pub(super) shelf: Vec<(u64, u32)>,
    pub(super) shelf_bytes: Vec<u8>,
}

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct LiveImageV1 {
    pub(super) sequence: u64,
    pub(super) accepted_at: UnixMicros,
    pub(super) key: String,
    pub(super) rules: Vec<(String, u32)>,
    pub(super) payload: Vec<u8>,
    pub(super) runs: Vec<(u64, Vec<u8>)>,
}

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct KeyImageV1 {
    pub(super) due: UnixMicros,
    pub(super) key: String,
    pub(super) sequence: u64,
    pub(super) body: (u64, u32),
    pub(super) workflows: Vec<String>,
}

pub(super) fn upgraded(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let old =
        rkyv::from_bytes::<PartitionImageV1, Rancor>(bytes).map_err(|error| error.to_string())?;
    let live = (old.live.into_iter())
        .map(|live| LiveImage {
            sequence: live.sequence,
            accepted_at: live.accepted_at,
            key: live.key,
            rules: live.rules,
            payload: live.payload,
            trace: None,
            runs: live.runs,
            keyed: Vec::new(),
            caused: None,
        })
        .collect();
    let keys = (old.keys.into_iter())
        .map(|key| KeyImage {
            due: key.due,
            key: key.key,
            known: KnownImage { sequence: key.sequence, body: key.body, workflows: key.workflows },
        })
        .collect();
    let image = PartitionImage {
        id: old.id,
        applied: old.applied,
        next_sequence: old.next_sequence,
        definitions: old.definitions,
        live,
        keys,
        producers: Vec::new(),
        links: Vec::new(),
        taken: Vec::new(),
        shelf: old.shelf,
        linked: Vec::new(),
        shelf_bytes: old.shelf_bytes,
        assigned: Vec::new(),
    };
    Ok(rkyv::to_bytes::<Rancor>(&image).expect("writing to memory cannot fail").to_vec())
}
