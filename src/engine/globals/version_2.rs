//! Images of the globals as they were before the catalogue had a history: read, never written.

use super::workers::WorkersImage;
use super::{GlobalsImage, How, StoredImage, version_4};
use crate::record::Born;
use base::{BootId, CoreId, NodeId, UnixMicros};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct GlobalsImageV2 {
    pub(super) applied: u64,
    pub(super) stamp: UnixMicros,
    pub(super) born: Option<Born>,
    pub(super) catalogue_version: u64,
    pub(super) rules: Vec<(UnixMicros, String)>,
    pub(super) definitions: Vec<(UnixMicros, String)>,
    pub(super) sessions: Vec<(NodeId, CoreId, BootId, u64)>,
}

/// An image of an older version in the newest layout. Versions 1 and 2, and 3 and 4, differ in the
/// partitions alone.
pub(crate) fn upgraded(version: u16, bytes: &[u8]) -> Result<Vec<u8>, String> {
    if matches!(version, 3 | 4) {
        return version_4::upgraded(bytes);
    }
    if !matches!(version, 1 | 2) {
        return Err(format!("an image of the globals of version {version} is unknown"));
    }
    let old =
        rkyv::from_bytes::<GlobalsImageV2, Rancor>(bytes).map_err(|error| error.to_string())?;
    let stored = |(at, text)| StoredImage { at, by: String::new(), how: How::Stored, text };
    let image = GlobalsImage {
        applied: old.applied,
        stamp: old.stamp,
        born: old.born,
        catalogue_version: old.catalogue_version,
        rules: old.rules.into_iter().map(stored).collect(),
        definitions: old.definitions.into_iter().map(stored).collect(),
        past: Vec::new(),
        sessions: old.sessions,
        workers: WorkersImage::default(),
    };
    Ok(image.to_bytes())
}
