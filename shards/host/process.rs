//! One child process of the node: started, spoken to, ended.
//!
//! Invariants:
//! - a process leads a group of its own, and the whole group is killed when it ends;
//! - it is reaped once, and only then its end is told.

use crate::child::LEASE_OVER;
use crate::output::{LastWords, Lines};
use crate::transport::{Socket, Transport};
use plugin::Manifest;
use plugin::frame::FrameReader;
use plugin::pool::End;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

/// A child of this node.
pub(crate) struct Process {
    child: std::process::Child,
    pid: Pid,
    /// Readable when it has ended.
    ended: OwnedFd,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) frames: FrameReader,
    pub(crate) stdout: Option<Lines<ChildStdout>>,
    pub(crate) stderr: Option<Lines<ChildStderr>>,
    /// What it said when it crashed.
    pub(crate) last_words: Option<LastWords>,
    /// A line of it told that memory could not be had.
    pub(crate) told_of_memory: bool,
    /// Nothing more comes over the transport.
    pub(crate) is_deaf: bool,
    /// Nothing that it says counts any more: it is being killed for what it said.
    pub(crate) is_distrusted: bool,
    pub(crate) stage: Stage,
}

/// What a process has said of itself: in this order, and each once.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing. Nothing of the plugin has run in it.
    Started,
    /// How it is shut in, in words. From here on it may be the plugin that speaks.
    ShutIn(String),
    /// That the library is loaded.
    Ready,
}

/// What a process holds of the machine, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) threads: u64,
    /// Memory that is no file's, swapped out or not, whether it may be written to or not. Unit: bytes.
    pub(crate) memory_bytes: u64,
}

impl Process {
    /// Starts `program` as a process for the plugin `name`, and hands it the copy of its library.
    pub(crate) fn start(
        program: &Path,
        name: &str,
        manifest: &Manifest,
        library: Option<&OwnedFd>,
    ) -> io::Result<Self> {
        let (near, far) = Socket::pair()?;
        near.greet(library)?;
        let mut child = Command::new(program)
            .arg0(format!("distric-plugin {name}"))
            .arg(crate::child::COMMAND)
            .env_clear()
            .envs(&manifest.environment)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let raw = i32::try_from(child.id()).expect("a process id is an i32");
        let pid = Pid::from_raw(raw).expect("a child has one");
        let mut watched = || -> io::Result<_> {
            let ended = pidfd_open(pid, PidfdFlags::empty())?;
            let stdout = child.stdout.take().expect("it is piped");
            let stderr = child.stderr.take().expect("it is piped");
            rustix::io::ioctl_fionbio(&stdout, true)?;
            rustix::io::ioctl_fionbio(&stderr, true)?;
            Ok((ended, stdout, stderr))
        };
        match watched() {
            Ok((ended, stdout, stderr)) => Ok(Self {
                child,
                pid,
                ended,
                transport: Box::new(near),
                frames: FrameReader::default(),
                stdout: Some(Lines::new(stdout)),
                stderr: Some(Lines::new(stderr)),
                last_words: None,
                told_of_memory: false,
                is_deaf: false,
                is_distrusted: false,
                stage: Stage::Started,
            }),
            Err(error) => {
                // One that cannot be watched must not run. It has done nothing yet.
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, what it shares with others included; 0 once it has ended. Looked at from
    /// outside: it is busy, and could say anything. Unit: bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.id())).unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.unwrap_or(0).saturating_mul(rustix::param::page_size() as u64)
    }

    /// What it holds; nothing once it has ended.
    pub(crate) fn held(&self) -> Held {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        held(&status)
    }

    /// What becomes readable when it has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Kills it and whatever is in its group. It has ended when [`Process::reap`] says so.
    pub(crate) fn kill(&mut self) {
        // The group is gone already: then so is the process.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// How it ended. To be called once [`Process::ended`] is readable, and after all that it said has
    /// been read.
    pub(crate) fn reap(&mut self) -> io::Result<Option<End>> {
        // Children of its own do not outlive it. Until it is reaped the number is nobody else's.
        let _ = kill_process_group(self.pid, Signal::KILL);
        Ok(self.child.try_wait()?.map(|status| self.end(status)))
    }

    fn end(&self, status: ExitStatus) -> End {
        let words = self.last_words;
        let culprit = words.map(|words| words.ticket).filter(|ticket| *ticket != 0);
        let how = match (status.signal(), status.code(), words) {
            (Some(signal), _, _) => signal_name(signal),
            (None, Some(code), Some(_)) => format!("it called exit, with {code}"),
            (None, Some(LEASE_OVER), None) => "its node's lease on tasks was over".to_owned(),
            (None, Some(code), None) => format!("it ended with {code}"),
            (None, None, _) => "it ended".to_owned(),
        };
        let is_crash = words.is_some_and(|words| words.signal != 0);
        End {
            culprit,
            out_of_memory: words.is_some_and(|words| words.is_full)
                || (is_crash && self.told_of_memory),
            killed: status.signal() == Some(Signal::KILL.as_raw())
                || (words.is_none() && status.code() == Some(LEASE_OVER)),
            how,
        }
    }
}

/// Reads `/proc/PID/status`.
fn held(status: &str) -> Held {
    let mut held = Held::default();
    for line in status.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let number = || value.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let number = || number().unwrap_or(0);
        match name {
            "Threads" => held.threads = number(),
            "RssAnon" | "RssShmem" | "VmSwap" => {
                held.memory_bytes = held.memory_bytes.saturating_add(number().saturating_mul(1024));
            }
            _ => {}
        }
    }
    held
}

impl Drop for Process {
    fn drop(&mut self) {
        // A host that is given up leaves no process behind, and no zombie either.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV, a fault of memory",
        libc::SIGBUS => "SIGBUS, a fault of memory",
        libc::SIGILL => "SIGILL, an instruction that is none",
        libc::SIGFPE => "SIGFPE, a fault of arithmetic",
        libc::SIGABRT => "SIGABRT, it called abort",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGSYS => "SIGSYS, a forbidden system call",
        libc::SIGKILL => "SIGKILL",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_holds_is_read_from_its_status() {
        let status = "Name:\tThreads: 9\nRssAnon:\t     100 kB\nRssFile:\t  7 kB\nRssShmem:\t 20 kB\n\
                      VmSwap:\t  3 kB\nThreads:\t12\n";
        assert_eq!(held(status), Held { threads: 12, memory_bytes: 123 * 1024 });
        assert_eq!(held(""), Held::default());
        let own = held(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        assert!(own.threads > 0 && own.memory_bytes > 4096, "{own:?}");
    }
}
