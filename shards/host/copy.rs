//! A plugin's library as it was when its folder was read: a sealed copy in memory, which all of the
//! plugin's processes load.
//!
//! The file itself would be mapped: who writes over it would change the code of tasks that run, and a
//! process that is started later would run another version than the first.
//!
//! Invariants:
//! - what has been copied never changes.

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest library that is copied. Beyond, the memory costs more than what it is good for.
/// Unit: bytes.
const LIBRARY_BYTES_MAX: u64 = 256 << 20;

/// A copy of `file`, under a name that debuggers show.
pub(crate) fn copy(file: &Path, name: &str) -> io::Result<OwnedFd> {
    let metadata = std::fs::metadata(file)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if metadata.len() > LIBRARY_BYTES_MAX {
        let mebibytes = LIBRARY_BYTES_MAX >> 20;
        return Err(io::Error::other(format!("it is larger than {mebibytes} MiB")));
    }
    // One that grows meanwhile is cut there, and no library any more.
    let mut from = File::open(file)?.take(LIBRARY_BYTES_MAX);
    let mut copy = File::from(in_memory(name)?);
    io::copy(&mut from, &mut copy)?;
    fcntl_add_seals(
        &copy,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(copy.into())
}

/// A file that has no place in any folder. It cannot be run as a program, where the kernel knows how
/// to say so (Linux 6.3); its code can be mapped.
fn in_memory(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        made => Ok(made?),
    }
}

#[cfg(test)]
mod tests;
