//! Images of the globals as they were before workers: read, never written.

use super::workers::WorkersImage;
use super::{GlobalsImage, PastImage, StoredImage};
use crate::record::Born;
use base::{BootId, CoreId, NodeId, UnixMicros};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct GlobalsImageV4 {
    pub(super) applied: u64,
    pub(super) stamp: UnixMicros,
    pub(super) born: Option<Born>,
    pub(super) catalogue_version: u64,
    pub(super) rules: Vec<StoredImage>,
    pub(super) definitions: Vec<StoredImage>,
    pub(super) past: Vec<PastImage>,
    pub(super) sessions: Vec<(NodeId, CoreId, BootId, u64)>,
}

/// Of an image of version 3 or 4, which differ in the partitions alone.
pub(super) fn upgraded(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let old =
        rkyv::from_bytes::<GlobalsImageV4, Rancor>(bytes).map_err(|error| error.to_string())?;
    let image = GlobalsImage {
        applied: old.applied,
        stamp: old.stamp,
        born: old.born,
        catalogue_version: old.catalogue_version,
        rules: old.rules,
        definitions: old.definitions,
        past: old.past,
        sessions: old.sessions,
        workers: WorkersImage::default(),
    };
    Ok(image.to_bytes())
}
