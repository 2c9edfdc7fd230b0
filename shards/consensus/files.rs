//! The journal's files: one per segment, and the vote.

use journal::{BLOCK_BYTES, File};
use runtime::{DmaBuffer, LogDirectory, LogError, LogFile};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The vote's file: two copies of a block.
pub(crate) const VOTE: &str = "vote";
/// The vote file's size. Unit: bytes.
pub(crate) const VOTE_BYTES: u64 = 2 * BLOCK_BYTES as u64;

const SUFFIX: &str = ".seg";

/// The open files.
pub(crate) struct Files {
    directory: LogDirectory,
    vote: Rc<LogFile>,
    segments: RefCell<BTreeMap<u32, Rc<LogFile>>>,
}

/// A segment's name.
pub(crate) fn name(slot: u32) -> String {
    format!("{slot:08x}{SUFFIX}")
}

/// The slot that a name tells.
pub(crate) fn slot(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok())?
}

impl Files {
    pub(crate) fn new(
        directory: LogDirectory,
        vote: LogFile,
        segments: BTreeMap<u32, LogFile>,
    ) -> Self {
        let segments = segments.into_iter().map(|(slot, file)| (slot, Rc::new(file))).collect();
        Self { directory, vote: Rc::new(vote), segments: RefCell::new(segments) }
    }

    pub(crate) async fn write(
        &self,
        file: File,
        offset: u64,
        bytes: DmaBuffer,
    ) -> Result<(), LogError> {
        self.file(file).write_at(bytes, offset).await
    }

    pub(crate) async fn sync(&self, file: File) -> Result<(), LogError> {
        self.file(file).fdatasync().await
    }

    /// Reads a part of a segment back. It may have been compacted meanwhile.
    pub(crate) async fn read(
        &self,
        file: File,
        offset: u64,
        bytes: usize,
    ) -> Result<Vec<u8>, String> {
        let found = match file {
            File::Vote => Some(Rc::clone(&self.vote)),
            File::Segment(slot) => self.segments.borrow().get(&slot).map(Rc::clone),
        };
        let found = found.ok_or_else(|| "its segment was removed meanwhile".to_owned())?;
        found.read_at(offset, bytes).await.map_err(|error| error.to_string())
    }

    pub(crate) async fn prepare(&self, slot: u32, bytes: u64) -> Result<(), LogError> {
        let file = self.directory.create(&name(slot), bytes).await?;
        self.segments.borrow_mut().insert(slot, Rc::new(file));
        Ok(())
    }

    pub(crate) async fn remove(&self, slot: u32) -> Result<(), LogError> {
        let file = self.segments.borrow_mut().remove(&slot);
        if let Some(file) = file.and_then(|file| Rc::try_unwrap(file).ok()) {
            file.close().await?;
        }
        self.directory.remove(&name(slot)).await
    }

    pub(crate) async fn close(&self) {
        let segments = std::mem::take(&mut *self.segments.borrow_mut());
        for file in segments.into_values().filter_map(|file| Rc::try_unwrap(file).ok()) {
            // The process ends: everything that was answered is durable already.
            let _closed = file.close().await;
        }
    }

    fn file(&self, file: File) -> Rc<LogFile> {
        match file {
            File::Vote => Rc::clone(&self.vote),
            File::Segment(slot) => {
                let segments = self.segments.borrow();
                Rc::clone(segments.get(&slot).expect("a segment is prepared before it is used"))
            }
        }
    }
}
