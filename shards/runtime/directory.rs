//! The data directory: one process at a time, and small files that are replaced whole.
//!
//! Everything here blocks for as long as the disk takes. Before the cores start that is right; on a
//! core, go through [`crate::offload`].
//!
//! Invariants:
//! - Two processes never hold the same directory: the kernel drops the lock with its holder, so a
//!   crash leaves none.
//! - A file that is replaced is, after a crash, the old one or the new one, whole.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOCK: &str = "lock";
const TEMPORARY: &str = "tmp";

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process holds it.
    #[error(
        "data directory {} is in use by another distric-shard{}: stop it, or use another directory",
        path.display(),
        holder.map_or_else(String::new, |pid| format!(" (pid {pid})"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it, if that could be read.
        holder: Option<u32>,
    },
    /// The system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The data directory of this process, held until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if needed and takes its lock.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let error =
            |action| move |source| DirectoryError::Io { action, path: path.to_owned(), source };
        make_directory(path).map_err(error("make the data directory"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path.join(LOCK))
            .map_err(error("open the lock file in"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = read_holder(&mut lock);
                return Err(DirectoryError::InUse { path: path.to_owned(), holder });
            }
            Err(source) => return Err(error("lock")(source.into())),
        }
        write_holder(&mut lock).map_err(error("write the lock file in"))?;
        Ok(Self { inner: Arc::new(Inner { path: path.to_owned(), _lock: lock }) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// A file of the directory, whole; `None` when there is none. One that is larger than
    /// `bytes_max` is an error.
    pub fn read(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, DirectoryError> {
        let path = self.file_path(name);
        let read = || -> io::Result<Option<Vec<u8>>> {
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let mut content = Vec::new();
            file.take(bytes_max as u64 + 1).read_to_end(&mut content)?;
            if content.len() > bytes_max {
                return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
            }
            Ok(Some(content))
        };
        read().map_err(|source| DirectoryError::Io { action: "read", path: path.clone(), source })
    }

    /// Puts `content` in the place of a file, durably: written under another name, synced, renamed,
    /// the directory synced.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), DirectoryError> {
        self.replace_parts(name, &[content])
    }

    /// As [`DataDirectory::replace`], of several parts one after the other.
    pub fn replace_parts<P: AsRef<[u8]>>(
        &self,
        name: &str,
        parts: &[P],
    ) -> Result<(), DirectoryError> {
        let path = self.file_path(name);
        let temporary = path.with_added_extension(TEMPORARY);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o640)
                .open(&temporary)?;
            for part in parts {
                file.write_all(part.as_ref())?;
            }
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            sync_directory(self.path())
        };
        write().map_err(|source| {
            // Half a file would keep a full disk full; the error at hand says more than this one.
            let _ = std::fs::remove_file(&temporary);
            DirectoryError::Io { action: "write", path: path.clone(), source }
        })
    }

    /// Removes a file, durably. One that is not there is removed already.
    pub fn remove(&self, name: &str) -> Result<(), DirectoryError> {
        let path = self.file_path(name);
        let removed = match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.and_then(|()| sync_directory(self.path())),
        };
        removed.map_err(|source| DirectoryError::Io { action: "remove", path, source })
    }

    /// The names of all files, in order, without those that were never finished.
    pub fn list(&self) -> Result<Vec<String>, DirectoryError> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(self.path())? {
                let entry = entry?;
                let finished =
                    Path::new(&entry.file_name()).extension() != Some(TEMPORARY.as_ref());
                if let (true, true, Ok(name)) =
                    (entry.file_type()?.is_file(), finished, entry.file_name().into_string())
                {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|source| DirectoryError::Io {
            action: "list",
            path: self.path().to_owned(),
            source,
        })
    }

    /// Space left for this user on the directory's file system. Unit: bytes.
    pub fn free_bytes(&self) -> Result<u64, DirectoryError> {
        let status = rustix::fs::statvfs(self.path()).map_err(|source| DirectoryError::Io {
            action: "ask for the free space of",
            path: self.path().to_owned(),
            source: source.into(),
        })?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    fn file_path(&self, name: &str) -> PathBuf {
        let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        assert!(plain, "`{name}` is the plain name of a file");
        assert_ne!(name, LOCK, "the lock file is nobody else's");
        self.path().join(name)
    }
}

/// The lock file says who holds the lock; it is only read when that matters to a person.
fn read_holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_holder(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// Makes a directory and its parents, each durably.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    make_directory(parent)?;
    match std::fs::DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    sync_directory(parent)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
