//! Inside a plugin's process.
//!
//! ```text
//! main thread   loads the library; then reads frames: puts tasks into the queue, marks what is
//!               cancelled, answers pings; gives handles back in the end
//! N threads     take a task, call the plugin, write its result
//! ```
//!
//! The process is started by the node with a socket as its standard input, and ends with it.
//!
//! Invariants:
//! - not a line of the plugin runs before the process is shut in ([`sandbox`]);
//! - how it is shut in is told before that;
//! - the main thread runs the plugin's code before the first task and after the last: it answers while
//!   tasks run.

mod calls;
mod crash;
mod handles;
mod lease;
mod library;
mod sandbox;
mod work;

pub(crate) use crash::MARK;
pub(crate) use lease::LEASE_OVER;
pub(crate) use sandbox::{hide_node, own_bytes};

use crate::transport;
use plugin::frame::{FrameReader, FromChild, Load, Ticket, ToChild};
use plugin::{TaskError, code};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// What makes the program a plugin's process: its first argument.
pub(crate) const COMMAND: &str = "plugin-child";

/// What is read at once. Unit: bytes.
const READ_BYTES: usize = 64 * 1024;

/// Has this process be a plugin's, when that is what it was started for.
///
/// To be called first thing in `main`, with the program's arguments: `None` means that it is
/// anything else.
pub fn child_main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{COMMAND}: {error} (a node starts this by itself, for its plugins)");
            ExitCode::from(2)
        }
    })
}

fn run() -> io::Result<()> {
    let socket = take_socket()?;
    let copy = transport::greeted(&socket)?;
    let mut frames = Frames {
        socket: File::from(socket.try_clone()?),
        reader: FrameReader::default(),
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
    };
    let sender = Sender::new(File::from(socket));
    let mut load = None;
    // The first frame says what this process is for.
    while load.is_none() {
        let goes_on = frames.each(|_, frame| {
            if let ToChild::Load(first) = frame {
                load = Some(first);
            }
            load.is_some()
        })?;
        if !goes_on && load.is_none() {
            return Ok(());
        }
    }
    let load = load.expect("the loop ends with it");
    live_with(&load)?;
    match begin(&load, copy, &sender) {
        Ok(workers) => serve(&mut frames, &workers, &sender),
        Err(error) => {
            sender.send(0, &FromChild::Failed(error));
            Ok(())
        }
    }
}

/// The socket that came as standard input, at a place of its own; the plugin's is empty.
fn take_socket() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    rustix::net::getsockname(stdin)
        .map_err(|_| io::Error::other("standard input is not a node's socket"))?;
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    let nothing = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(nothing.as_fd())?;
    drop(nothing);
    sandbox::close_all_but(&socket);
    Ok(socket)
}

/// Ends this process with its node.
fn live_with(load: &Load) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended right before: then nobody will ever send that signal.
    let parent = getppid().map(|parent| parent.as_raw_nonzero().get().cast_unsigned());
    if parent == Some(load.parent) {
        Ok(())
    } else {
        Err(io::Error::other("the node that started this process has ended"))
    }
}

fn begin(
    load: &Load,
    copy: Option<OwnedFd>,
    sender: &Arc<Sender>,
) -> Result<work::Workers, TaskError> {
    let enforced = sandbox::enter(load).map_err(|error| {
        TaskError::lasting(
            code::MISSING,
            format!("the plugin's process cannot be shut in: {error}"),
        )
    })?;
    sender.send(0, &FromChild::ShutIn { enforced: &enforced });
    crash::install(load.memory_max).map_err(|error| {
        TaskError::passing(code::MISSING, format!("no signal handlers: {error}"))
    })?;
    let library = library::Library::open(&load.file, copy, &load.name)?;
    let (name, version, abi) = (library.name(), library.version(), library.abi());
    let ready = FromChild::Ready { name: &name, version: &version, abi };
    let mut bytes = Vec::new();
    ready.write(0, &mut bytes);
    let workers = work::Workers::start(load, library, Arc::clone(sender)).map_err(|error| {
        TaskError::passing(code::MISSING, format!("no thread for the plugin: {error}"))
    })?;
    sender.send_bytes(&bytes);
    Ok(workers)
}

fn serve(frames: &mut Frames, workers: &work::Workers, sender: &Sender) -> io::Result<()> {
    let mut quit = false;
    while !quit {
        let goes_on = frames.each(|ticket, frame| {
            match frame {
                ToChild::Run(run) => workers.run(ticket, &run),
                ToChild::Validate { config } => workers.validate(ticket, config),
                ToChild::Cancel => workers.cancel(ticket),
                ToChild::Ping => sender.send(ticket, &FromChild::Pong),
                ToChild::Quit => quit = true,
                ToChild::Keep { until } => lease::keep(until),
                ToChild::Load(_) => {}
            }
            quit
        })?;
        if !goes_on {
            break;
        }
    }
    if quit {
        workers.clean_up();
    }
    // Neither destructors of the library nor of this program: threads may be in both.
    crash::leave(0)
}

/// The node's frames.
struct Frames {
    socket: File,
    reader: FrameReader,
    buffer: Box<[u8]>,
}

impl Frames {
    /// Hands out whole frames until one is the last of interest; reads when there is none. False at
    /// the end of the stream.
    fn each(&mut self, mut take: impl FnMut(Ticket, ToChild<'_>) -> bool) -> io::Result<bool> {
        loop {
            let mut any = false;
            while let Some(raw) = self.reader.next().map_err(io::Error::other)? {
                any = true;
                if take(raw.ticket, raw.to_child().map_err(io::Error::other)?) {
                    return Ok(true);
                }
            }
            if any {
                return Ok(true);
            }
            let bytes = match self.socket.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if bytes == 0 {
                return Ok(false);
            }
            self.reader.push(&self.buffer[..bytes]);
        }
    }
}

/// What the threads send: whole frames, one after the other.
pub(crate) struct Sender {
    socket: Mutex<File>,
}

impl Sender {
    fn new(socket: File) -> Arc<Self> {
        Arc::new(Self { socket: Mutex::new(socket) })
    }

    fn send(&self, ticket: Ticket, frame: &FromChild<'_>) {
        let mut bytes = Vec::new();
        frame.write(ticket, &mut bytes);
        self.send_bytes(&bytes);
    }

    fn send_bytes(&self, bytes: &[u8]) {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if socket.write_all(bytes).is_err() {
            // Nobody wants anything of this process any more.
            crash::leave(0);
        }
    }
}
