//! What the operator and the build decide about a journal.

use crate::format::{BLOCK_BYTES, frame_bytes};
use base::StoreId;

/// The sizes of a journal. Segments of another size that an earlier run left are read as they are,
/// and removed instead of recycled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The data directory's identity. Files of another store are refused.
    pub store: StoreId,
    /// One segment file. Unit: bytes, a multiple of [`BLOCK_BYTES`]. Default 64 MiB: rolling over
    /// costs nothing then, and preparing one takes a fraction of a second.
    pub segment_bytes: u64,
    /// Segments kept ready for use; more than these are removed. At least 1. Default 4.
    pub spare_segments_max: usize,
    /// The data of the largest entry. Unit: bytes. Default [`base::limits::ENTRY_BYTES_MAX`].
    pub entry_bytes_max: usize,
    /// A frame takes no further entry once its payload has reached this. Unit: bytes. Default
    /// 4 MiB: large enough that the fdatasync dominates, small enough that nobody waits long
    /// behind it.
    pub frame_bytes_max: usize,
    /// A start copies the last segment as a whole and gives it up when its frames take no more than
    /// this, so that a node which is restarted again and again does not fill its disk with nearly
    /// empty segments. Unit: bytes. Default 1 MiB: a copy of milliseconds.
    pub merge_bytes_max: u64,
}

impl Config {
    /// The defaults.
    pub fn new(store: StoreId) -> Self {
        Self {
            store,
            segment_bytes: 64 * 1024 * 1024,
            spare_segments_max: 4,
            entry_bytes_max: base::limits::ENTRY_BYTES_MAX,
            frame_bytes_max: 4 * 1024 * 1024,
            merge_bytes_max: 1024 * 1024,
        }
    }

    /// Panics where the sizes do not fit each other.
    pub(crate) fn check(&self) {
        let block = BLOCK_BYTES as u64;
        assert_eq!(self.segment_bytes % block, 0, "a segment is whole blocks");
        assert!(
            self.segment_bytes >= 2 * block + frame_bytes(self.entry_bytes_max),
            "a segment holds its header, the largest entry and a seal"
        );
        assert!(self.spare_segments_max >= 1, "the next segment is made ready ahead");
        assert!(
            self.frame_bytes_max + self.entry_bytes_max < u32::MAX as usize / 2,
            "a frame's payload is counted in 32 bits"
        );
    }
}
