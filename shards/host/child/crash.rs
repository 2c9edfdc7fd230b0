//! The last words of a plugin's process: which task ended it, and whether memory did.
//!
//! They go to standard error as a line of their own, which the node takes out of the plugin's
//! output. A plugin can forge one: it would blame one of its own tasks.
//!
//! Invariants:
//! - a signal handler here calls nothing but `write`, `pread` and `_exit`, and allocates nothing.

#![allow(unsafe_code, reason = "signal handlers, `atexit` and `_exit` have no safe form")]

use plugin::frame::Ticket;
use rustix::process::{Resource, getrlimit};
use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// What a line of last words begins with. No text that is meant for people does.
pub(crate) const MARK: &str = "\u{1e}distric-plugin ";

thread_local! {
    /// The task that this thread runs; 0: none. Without a destructor and constant at first, so that a
    /// signal handler may read it.
    static TICKET: Cell<Ticket> = const { Cell::new(0) };
}

/// `/proc/self/statm`, opened while that was allowed; -1: not.
static STATM: AtomicI32 = AtomicI32::new(-1);

/// From here on memory is counted as used up. Unit: pages of data.
static MEMORY_PAGES: AtomicU64 = AtomicU64::new(u64::MAX);

/// Signals that end a process for a fault of its own.
const SIGNALS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Opens what cannot be opened any more once the process is shut in.
pub(crate) fn prepare() -> io::Result<()> {
    let statm = File::open("/proc/self/statm")?;
    STATM.store(statm.into_raw_fd(), Ordering::Relaxed);
    Ok(())
}

/// Reads pages of data from `/proc/self/statm`. Safe in a signal handler.
fn data_pages() -> Option<u64> {
    let mut text = [0_u8; 128];
    let statm = STATM.load(Ordering::Relaxed);
    // SAFETY: the buffer is ours and as long as said; a descriptor that is none is an error.
    let read = unsafe { libc::pread(statm, text.as_mut_ptr().cast(), text.len(), 0) };
    let text = text.get(..usize::try_from(read).ok()?)?;
    let mut numbers = text.split(|byte| *byte == b' ').map(|digits| {
        digits.iter().filter(|byte| byte.is_ascii_digit()).fold(0_u64, |number, digit| {
            number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        })
    });
    // size resident shared text lib data dt
    numbers.nth(5)
}

/// Says from now on which task ended the process. `memory_max`: what the plugin may take.
pub(crate) fn install(memory_max: u64) -> io::Result<()> {
    // Counted from the limit down, and not from what is there now: stacks and heaps of threads that do
    // not run yet are the host's own. A quarter of what the plugin may take is left only by one that was
    // not about to use it up.
    if let Some(limit) = getrlimit(Resource::Data).current {
        let pages = limit.saturating_sub(memory_max / 4) / rustix::param::page_size() as u64;
        MEMORY_PAGES.store(pages, Ordering::Relaxed);
    }
    for signal in SIGNALS {
        // SAFETY: the struct is made of integers and pointers, for which zero is a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(i32) = on_signal;
        action.sa_sigaction = handler as *const () as usize;
        // Once: then the signal does what it always does. On the stack of its own that std gives to
        // each of its threads, for one that has used up its own.
        action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the action is whole, and its handler is safe to be called at any time.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // A write beyond RLIMIT_FSIZE is an error of the plugin's call, not its end.
    // SAFETY: SIG_IGN is a legal disposition of it.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    // SAFETY: the function is safe to be called by `exit` on any thread.
    if unsafe { libc::atexit(on_exit) } != 0 {
        return Err(io::Error::other("atexit refuses"));
    }
    Ok(())
}

/// Marks what this thread does, until the guard is dropped.
pub(crate) fn running(ticket: Ticket) -> Running {
    TICKET.set(ticket);
    Running
}

/// A thread runs a task.
pub(crate) struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        TICKET.set(0);
    }
}

/// Ends the process at once, without a word.
pub(crate) fn leave(status: i32) -> ! {
    // SAFETY: it does not return, and runs no code of anybody.
    unsafe { libc::_exit(status) }
}

extern "C" fn on_signal(signal: i32) {
    let data = data_pages().unwrap_or(0);
    let is_full = data >= MEMORY_PAGES.load(Ordering::Relaxed);
    say("signal", signal, is_full);
}

extern "C" fn on_exit() {
    if TICKET.get() != 0 {
        say("exit", 0, false);
    }
}

/// Writes the last words; what cannot be written is not said.
fn say(what: &str, number: i32, is_full: bool) {
    let mut line = Line { bytes: [0; 128], length: 0 };
    let (ticket, full) = (TICKET.get(), u8::from(is_full));
    // In front a line's end, as the plugin may have left a line without one.
    if writeln!(line, "\n{MARK}{what} {number} {ticket} {full}").is_ok() {
        // SAFETY: the bytes are ours and as many as said.
        unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.length) };
    }
}

/// Text without an allocation.
struct Line {
    bytes: [u8; 128],
    length: usize,
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
