//! What keeps an executor from running on this machine, in words that say what to do.

use glommio::{GlommioError, ReactorErrorKind};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Raises the soft limit of locked memory to the hard one: glommio refuses to start below 512 KiB,
/// and registered buffers count against it. What cannot be raised is reported when it is missed.
pub(crate) fn raise_locked_memory() {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let _ = setrlimit(Resource::Memlock, raised);
    }
}

/// Raises the soft limit of open files to the hard one: a connection is a file. Returns the limit
/// that now holds.
pub fn raise_open_files() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Takes this process's memory in small pages from now on, whatever the machine's default.
///
/// A huge page is cleared whole when it is first touched: 2 MiB on the core that touched it, and in
/// a virtual machine the host has to find them first. While the state of a new node grew, that
/// stopped a core for 10 to 20 ms at a time (perf/PROMISES.md).
pub fn use_small_pages() -> io::Result<()> {
    rustix::thread::disable_transparent_huge_pages(true).map_err(io::Error::from)
}

/// The system's own error, kept with its number: glommio's conversion to `io::Error` loses it.
pub(crate) fn io_error(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::IoError(source) | GlommioError::EnhancedIoError { source, .. } => source,
        other => other.into(),
    }
}

/// Why glommio could not make an executor, and what to do.
pub(crate) fn explain(error: &GlommioError<()>) -> String {
    let (GlommioError::IoError(source) | GlommioError::EnhancedIoError { source, .. }) = error
    else {
        return match error {
            GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(limit, needed)) => format!(
                "this process may lock only {limit} bytes of memory, io_uring needs {needed}; \
                 {RAISE_MEMLOCK}"
            ),
            other => other.to_string(),
        };
    };
    let text = source.to_string();
    let advice = advice(source.raw_os_error().map(Errno::from_raw_os_error), &text);
    match advice {
        Some(advice) => format!("{text}; {advice}"),
        None => text,
    }
}

const RAISE_MEMLOCK: &str = "raise the limit: `ulimit -l 65536` in the shell that starts this \
                             program, LimitMEMLOCK=64M in a systemd unit, or `--ulimit \
                             memlock=67108864` for a container";

const ALLOW_IO_URING: &str = "this program needs io_uring: in a container, run it with a seccomp \
                              profile that allows io_uring_setup, io_uring_enter and \
                              io_uring_register (for a first try `--security-opt \
                              seccomp=unconfined`); on the machine itself, look at `sysctl \
                              kernel.io_uring_disabled`, which must be 0";

/// What to do about an error of io_uring's. glommio turns the error of its first ring into a text
/// without the number, so the text is asked too.
fn advice(number: Option<Errno>, text: &str) -> Option<&'static str> {
    let says = |words: &str| text.contains(words);
    if number == Some(Errno::PERM) || says("not permitted") {
        return Some(ALLOW_IO_URING);
    }
    if number == Some(Errno::NOSYS) || says("does not implement io_uring") {
        return Some(
            "this program needs Linux 5.11 or newer with io_uring; inside gVisor and some \
             containers there is none",
        );
    }
    if says("missing operations") {
        return Some("this program needs Linux 5.11 or newer");
    }
    if number == Some(Errno::NOMEM) || says("Cannot allocate memory") || says("MemLockLimit") {
        return Some(RAISE_MEMLOCK);
    }
    if number == Some(Errno::MFILE) || says("Too many open files") {
        return Some(
            "raise the limit of open files: `ulimit -n`, or LimitNOFILE in a systemd unit",
        );
    }
    None
}

#[cfg(test)]
mod tests;
