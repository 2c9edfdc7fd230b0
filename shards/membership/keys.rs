//! The file that has the keys.

use runtime::offload;
use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};
use swim::{KeyRing, KeyRingError};

/// The longest key file: eight keys with a comment each are shorter by far. Unit: bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("gossip_keys: {path} cannot be read: {source}")]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("gossip_keys: {path} cannot be used: {source}")]
    Keys {
        /// Where.
        path: PathBuf,
        /// What is wrong with them.
        source: KeyRingError,
    },
}

/// Whether a file has keys, for who wants to know before it starts.
///
/// # Errors
/// It cannot be read, or holds something else.
pub fn check_keys(path: &Path) -> Result<(), KeyFileError> {
    KeyFile::open(path.to_owned()).map(|_| ())
}

/// A key file, and what was last read from it.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    ring: RefCell<KeyRing>,
    /// As it was when it was last said to be of no use: that is said once.
    refused: RefCell<Option<String>>,
}

impl KeyFile {
    /// Reads it, before anything is served.
    pub(crate) fn open(path: PathBuf) -> Result<Self, KeyFileError> {
        let text =
            read(&path).map_err(|source| KeyFileError::Read { path: path.clone(), source })?;
        let ring = KeyRing::parse(&text)
            .map_err(|source| KeyFileError::Keys { path: path.clone(), source })?;
        Ok(Self { path, ring: RefCell::new(ring), refused: RefCell::new(None) })
    }

    pub(crate) fn ring(&self) -> KeyRing {
        self.ring.borrow().clone()
    }

    /// Its mode, where any user of the machine may read it.
    pub(crate) fn exposed(&self) -> Option<u32> {
        let mode = fs::metadata(&self.path).ok()?.permissions().mode() & 0o777;
        (mode & 0o007 != 0).then_some(mode)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the key that seals.
    pub(crate) fn sealing(&self) -> u32 {
        self.ring.borrow().ids().next().expect("a ring has a key")
    }

    /// The keys' names: which seals, which others open.
    pub(crate) fn describe(&self) -> String {
        let ids: Vec<_> = self.ring.borrow().ids().map(|id| format!("{id:08x}")).collect();
        match &ids[..] {
            [only] => format!("key {only}"),
            [first, others @ ..] => {
                format!("key {first}, and opened with {} too", others.join(", "))
            }
            [] => unreachable!("a ring has a key"),
        }
    }

    /// Reads it again, off the core: the ring, if it is another one. What is wrong is said once.
    pub(crate) async fn look(&self) -> Result<Option<KeyRing>, KeyFileError> {
        let path = self.path.clone();
        // A pool that is busy has time for it in ten seconds.
        let Ok(reading) = offload(move || read(&path)) else { return Ok(None) };
        let checked =
            reading.await.map_err(|source| KeyFileError::Read { path: self.path.clone(), source });
        let checked = checked.and_then(|text| {
            KeyRing::parse(&text)
                .map_err(|source| KeyFileError::Keys { path: self.path.clone(), source })
        });
        match checked {
            Ok(ring) => {
                *self.refused.borrow_mut() = None;
                let is_other = !ring.ids().eq(self.ring.borrow().ids());
                Ok(is_other.then(|| {
                    self.ring.borrow_mut().clone_from(&ring);
                    ring
                }))
            }
            Err(error) => {
                let text = error.to_string();
                let is_said = self.refused.borrow().as_ref() == Some(&text);
                *self.refused.borrow_mut() = Some(text);
                if is_said { Ok(None) } else { Err(error) }
            }
        }
    }
}

fn read(path: &PathBuf) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path)
}
