//! The log in a file: appended to, and made anew when somebody has moved it away.
//!
//! `logrotate` renames the file, or copies and truncates it. Both are right without a signal: the
//! file is opened for appending, and the writer looks once in a while whether its path still leads
//! to it.
//!
//! Invariants:
//! - Only the writer's thread touches the file, so a slow or full disk holds up no core.
//! - What is there already is not overwritten.

use anyhow::Context;
use base::Instant;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the path is looked at: what is written to a file that was moved away is late there by
/// this much at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl LogFile {
    /// Opens the file, or makes it; its directory has to be there.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = append(path)
            .with_context(|| format!("cannot open the log file {} to append to", path.display()))?;
        Ok(Self { path: path.to_owned(), file, looked: runtime::instant() })
    }

    /// Opens the file again if its path leads elsewhere, or nowhere. Where that fails the old file
    /// goes on, and the next look tries again.
    fn look(&mut self) {
        let now = runtime::instant();
        if now.since(self.looked) < LOOK_AGAIN {
            return;
        }
        self.looked = now;
        if !self.is_at_its_path().unwrap_or(false)
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
        }
    }

    fn is_at_its_path(&self) -> io::Result<bool> {
        let (there, mine) = (fs::metadata(&self.path)?, self.file.metadata()?);
        Ok((there.dev(), there.ino()) == (mine.dev(), mine.ino()))
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    /// Called after each block: the file changes between two lines, never within one.
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.look();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
