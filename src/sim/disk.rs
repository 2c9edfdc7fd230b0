//! A disk that forgets what was not synced.
//!
//! Every write is cut into sectors. A crash keeps some of the sectors that no completed fdatasync
//! covers, loses others, and leaves noise in a third kind; each sector on its own, as drives with
//! a cache do. What a completed fdatasync covers stays.

use base::Prng;
use journal::File;
use std::collections::BTreeMap;

/// The unit that is written whole or torn. Unit: bytes.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default, Clone)]
struct Content {
    /// As a reader sees it while the machine is up.
    seen: Vec<u8>,
    /// As it survives a crash for certain.
    durable: Vec<u8>,
    /// Sectors that differ or may differ, in the order of writing.
    unsynced: Vec<(usize, usize)>,
    /// Writes made durable so far.
    synced: usize,
}

/// A disk with the files of one node.
#[derive(Debug, Default, Clone)]
pub struct Disk {
    files: BTreeMap<File, Content>,
    snapshot: Option<(u64, Vec<u8>)>,
    unnamed: Vec<u8>,
    fetched: Vec<u8>,
    /// Bytes that files may take; more is "no space".
    pub capacity: Option<u64>,
    /// So many of a thousand reads fail while a process runs.
    pub read_errors: u64,
}

impl Disk {
    /// What all files take. Unit: bytes.
    pub fn taken(&self) -> u64 {
        self.files.values().map(|content| content.seen.len() as u64).sum()
    }

    /// Makes a file of zeros, durably. False when there is no space.
    pub fn prepare(&mut self, file: File, bytes: usize) -> bool {
        let taken = self.taken() + bytes as u64;
        if self.capacity.is_some_and(|capacity| taken > capacity) {
            return false;
        }
        // Zeros that nobody writes to cost nothing as long as they are not copied.
        let (seen, durable) = (vec![0; bytes], vec![0; bytes]);
        let content = Content { seen, durable, unsynced: Vec::new(), synced: 0 };
        self.files.insert(file, content);
        true
    }

    /// A write arrives in the drive's cache.
    pub fn write(&mut self, file: File, offset: u64, bytes: &[u8]) {
        let content = self.files.get_mut(&file).expect("a file is made before it is written");
        let offset = usize::try_from(offset).expect("a small disk");
        content.seen[offset..offset + bytes.len()].copy_from_slice(bytes);
        content.unsynced.push((offset, bytes.len()));
    }

    /// Which writes a sync that begins now will cover: those that have completed.
    pub fn begin_sync(&self, file: File) -> usize {
        let content = &self.files[&file];
        content.synced + content.unsynced.len()
    }

    /// The sync ends: the writes up to `covered` are durable.
    pub fn end_sync(&mut self, file: File, covered: usize) {
        let content = self.files.get_mut(&file).expect("a file is made before it is synced");
        let count = covered.saturating_sub(content.synced);
        content.synced += count;
        for (offset, length) in content.unsynced.drain(..count) {
            let range = offset..offset + length;
            content.durable[range.clone()].copy_from_slice(&content.seen[range]);
        }
    }

    /// The sync fails: of the writes up to `covered` the drive has lost what it likes. What is lost
    /// may be gone at once, or be seen until the power goes, as from a cache that takes it for
    /// written.
    pub fn fail_sync(&mut self, file: File, covered: usize, prng: &mut Prng) {
        let content = self.files.get_mut(&file).expect("a file is made before it is synced");
        let count = covered.saturating_sub(content.synced);
        content.synced += count;
        let is_seen = prng.chance(1, 2);
        for (offset, length) in content.unsynced.drain(..count) {
            for start in (offset..offset + length).step_by(SECTOR_BYTES) {
                let range = start..(start + SECTOR_BYTES).min(offset + length);
                if prng.chance(1, 2) {
                    content.durable[range.clone()].copy_from_slice(&content.seen[range]);
                } else if !is_seen {
                    content.seen[range.clone()].copy_from_slice(&content.durable[range]);
                }
            }
        }
    }

    /// Removes a file. A crash may bring it back; recovery must not care, so here it does not.
    pub fn remove(&mut self, file: File) {
        self.files.remove(&file);
    }

    /// The process that wrote snapshots without a name is gone, and the files with it.
    pub fn abandon_snapshot(&mut self) {
        self.unnamed.clear();
        self.fetched.clear();
    }

    /// Writes to the file of a snapshot that another node sends; at 0 it begins anew.
    pub fn write_fetched(&mut self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("a small disk");
        assert!(offset <= self.fetched.len(), "pieces come one after the other");
        self.fetched.truncate(offset);
        self.fetched.extend_from_slice(bytes);
    }

    /// Appends to it, makes it durable and reads it.
    pub fn append_fetched(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.fetched.extend_from_slice(bytes);
        self.fetched.clone()
    }

    /// Gives it its name, durably.
    pub fn name_fetched(&mut self, index: u64) {
        let bytes = std::mem::take(&mut self.fetched);
        self.name(index, bytes);
    }

    /// The newest of those with names is the one that is read; naming it removes the older ones.
    fn name(&mut self, index: u64, bytes: Vec<u8>) {
        if self.snapshot.as_ref().is_none_or(|(newest, _)| *newest <= index) {
            self.snapshot = Some((index, bytes));
        }
    }

    /// Nobody wants it any more.
    pub fn abandon_fetched(&mut self) {
        self.fetched.clear();
    }

    /// Whether something was written that no sync covers yet.
    pub fn has_unsynced(&self) -> bool {
        self.files.values().any(|content| !content.unsynced.is_empty())
    }

    /// The power fails. Whether that lost or tore something.
    pub fn crash(&mut self, prng: &mut Prng) -> bool {
        let mut is_lost = false;
        for content in self.files.values_mut() {
            let mut after = content.durable.clone();
            for (offset, length) in content.unsynced.drain(..) {
                for start in (offset..offset + length).step_by(SECTOR_BYTES) {
                    let end = (start + SECTOR_BYTES).min(offset + length);
                    let kept = match prng.below(16) {
                        0..8 => end,
                        8..15 => start,
                        _ => start + (end - start) / 2,
                    };
                    is_lost |= kept < end;
                    after[start..kept].copy_from_slice(&content.seen[start..kept]);
                }
            }
            content.seen = after.clone();
            content.durable = after;
        }
        self.abandon_snapshot();
        is_lost
    }

    /// Every file and its bytes.
    pub fn files(&self) -> impl Iterator<Item = (File, &[u8])> {
        self.files.iter().map(|(file, content)| (*file, &content.seen[..]))
    }

    /// A file's bytes.
    pub fn read(&self, file: File) -> Option<&[u8]> {
        self.files.get(&file).map(|content| &content.seen[..])
    }

    /// Begins an unnamed snapshot file.
    pub fn begin_snapshot(&mut self, bytes: Vec<u8>) {
        self.unnamed = bytes;
    }

    /// It could not be written.
    pub fn abandon_written(&mut self) {
        self.unnamed.clear();
    }

    /// Appends to it.
    pub fn append_snapshot(&mut self, bytes: &[u8]) {
        self.unnamed.extend_from_slice(bytes);
    }

    /// Gives it its name, durably.
    pub fn name_snapshot(&mut self, index: u64) {
        let bytes = std::mem::take(&mut self.unnamed);
        self.name(index, bytes);
    }

    /// The named snapshot.
    pub fn snapshot(&self) -> Option<&(u64, Vec<u8>)> {
        self.snapshot.as_ref()
    }

    /// Flips one bit of a file, as a failing medium does.
    pub fn flip(&mut self, file: File, bit: usize) {
        let content = self.files.get_mut(&file).expect("the file exists");
        content.seen[bit / 8] ^= 1 << (bit % 8);
        content.durable[bit / 8] ^= 1 << (bit % 8);
    }

    /// Flips some bit of what the journal has written, or of the snapshot. False where there is nothing.
    pub fn rot(&mut self, prng: &mut Prng) -> bool {
        let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        let mut below = |count: usize| usize::try_from(prng.below(count as u64)).expect("below");
        if let Some((_, bytes)) = &mut self.snapshot
            && below(4) == 0
        {
            let bit = below(8 * bytes.len());
            flip(bytes, bit);
            return true;
        }
        let files: Vec<File> = self.files.keys().copied().collect();
        let Some(file) = (!files.is_empty()).then(|| files[below(files.len())]) else {
            return false;
        };
        let content = self.files.get(&file).expect("it was listed");
        let used = content.seen.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        if used == 0 {
            return false;
        }
        self.flip(file, below(8 * used));
        true
    }
}
