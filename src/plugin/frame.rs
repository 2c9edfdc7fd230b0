//! The frames between a node and a plugin's process, over a stream of their own.
//!
//! | at | bytes | what                                              |
//! |---:|------:|---------------------------------------------------|
//! |  0 |     4 | bytes of the payload                              |
//! |  4 |     2 | kind                                              |
//! |  6 |     2 | version, 3                                        |
//! |  8 |     8 | ticket: which task, or which question             |
//! | 16 |       | payload: [`wire::tlv`] fields                     |
//!
//! All numbers are big-endian. Both ends are the same program, so a version that does not fit is an
//! error and not a matter of negotiation. There is no checksum: it is a socket of one machine.
//!
//! Invariants:
//! - nothing that arrives makes the reader panic, or keep more than one frame of [`FRAME_BYTES_MAX`];
//! - what is read borrows from the reader's buffer;
//! - after the first fault a reader yields nothing more.

use crate::TaskError;
use wire::tlv::{Fault, TlvReader, TlvWriter};

/// What stands in front of a payload. Unit: bytes.
pub const HEAD_BYTES: usize = 16;

/// The version of the frames.
pub const VERSION: u16 = 3;

/// The longest payload: an input, a configuration, and what else a task is told. Unit: bytes.
pub const FRAME_BYTES_MAX: usize = crate::INPUT_BYTES_MAX + crate::CONFIG_BYTES_MAX + 64 * 1024;

/// Which task, or which question, a frame is about. The node gives them, never twice to a process.
pub type Ticket = u64;

/// What a process is to load, and how. The first frame it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The shared library.
    pub file: String,
    /// The plugin's name, after its file.
    pub name: String,
    /// Threads that run tasks.
    pub threads: u32,
    /// What it may take. Unit: bytes.
    pub memory_max: u64,
    /// The longest output. Unit: bytes.
    pub output_max: u64,
    /// Whether it may make sockets.
    pub network: bool,
    /// Whether the node wants to hear when a task begins, and on which thread.
    pub tell_begun: bool,
    /// What it may read.
    pub read: Vec<String>,
    /// The process id of the node: whose end is the child's.
    pub parent: u32,
}

/// A task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run<'a> {
    /// JSON.
    pub config: &'a str,
    /// JSON.
    pub input: &'a str,
    /// See `distric_plugin_task`.
    pub instance: &'a str,
    /// See `distric_plugin_task`.
    pub workflow: &'a str,
    /// See `distric_plugin_task`.
    pub task: &'a str,
    /// See `distric_plugin_task`.
    pub idempotency_key: &'a str,
    /// See `distric_plugin_task`.
    pub trace: &'a str,
    /// From 1.
    pub attempt: u32,
    /// What is left; 0: no limit. Unit: milliseconds.
    pub timeout_ms: u64,
}

/// From a node to a plugin's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToChild<'a> {
    /// Load a library; answered by `Ready` or `Failed`.
    Load(Load),
    /// Run a task; answered by `Done` or `Failed`.
    Run(Run<'a>),
    /// The ticket's result is not wanted any more: `is_cancelled` turns true.
    Cancel,
    /// Is this configuration legal? Answered by `Done` or `Failed`.
    Validate {
        /// JSON.
        config: &'a str,
    },
    /// Answered by `Pong`.
    Ping,
    /// Nothing runs: give all handles back and end.
    Quit,
    /// End at once when something runs and this is past, unless a later one came before: the node's
    /// lease on its tasks. The node itself may stand still then.
    Keep {
        /// By the machine's boot clock. Unit: nanoseconds.
        until: u64,
    },
}

/// From a plugin's process to its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromChild<'a> {
    /// The process is shut in, and nothing of the plugin has run in it: the last word that is not
    /// maybe the plugin's.
    ShutIn {
        /// How, in words.
        enforced: &'a str,
    },
    /// The library is loaded.
    Ready {
        /// As the plugin says.
        name: &'a str,
        /// As the plugin says.
        version: &'a str,
        /// The version of the ABI that it is made for.
        abi: u32,
    },
    /// A task begins.
    Begun {
        /// The kernel's number of the thread.
        thread: u32,
    },
    /// A task succeeded.
    Done {
        /// JSON.
        output: &'a [u8],
    },
    /// A task, a question or the loading failed.
    Failed(TaskError),
    /// A line for the log.
    Log {
        /// See `abi::LOG_LEVELS`.
        level: u8,
        /// One line.
        line: &'a str,
    },
    /// The process lives.
    Pong,
}

/// Why a stream of frames is not to be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// Another program.
    #[error("a frame of version {found}, expected {VERSION}")]
    Version {
        /// What stands there.
        found: u16,
    },
    /// Beyond the limit.
    #[error("a frame of {bytes} bytes, at most {FRAME_BYTES_MAX} are allowed")]
    TooLong {
        /// As announced.
        bytes: usize,
    },
    /// A kind that this end does not take.
    #[error("a frame of kind {kind:#06x}, which is not known here")]
    Kind {
        /// What stands there.
        kind: u16,
    },
    /// A payload that is none.
    #[error("field {tag} of a frame of kind {kind:#06x} {fault}")]
    Field {
        /// Of the frame.
        kind: u16,
        /// Of the field, or of the one before.
        tag: u16,
        /// What is wrong.
        fault: Fault,
    },
}

const LOAD: u16 = 0x0001;
const RUN: u16 = 0x0002;
const CANCEL: u16 = 0x0003;
const VALIDATE: u16 = 0x0004;
const PING: u16 = 0x0005;
const QUIT: u16 = 0x0006;
const KEEP: u16 = 0x0007;
const READY: u16 = 0x0101;
const BEGUN: u16 = 0x0102;
const DONE: u16 = 0x0103;
const FAILED: u16 = 0x0104;
const LOG: u16 = 0x0105;
const PONG: u16 = 0x0106;
const SHUT_IN: u16 = 0x0107;

/// Appends a frame: `payload` writes its fields.
fn write(out: &mut Vec<u8>, kind: u16, ticket: Ticket, payload: impl FnOnce(&mut TlvWriter<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&ticket.to_be_bytes());
    payload(&mut TlvWriter::new(out));
    let bytes = out.len() - start - HEAD_BYTES;
    assert!(bytes <= FRAME_BYTES_MAX, "whoever makes a frame holds its parts against their limits");
    let bytes = u32::try_from(bytes).expect("held against the limit");
    out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
}

impl ToChild<'_> {
    /// Appends the frame to `out`.
    pub fn write(&self, ticket: Ticket, out: &mut Vec<u8>) {
        match self {
            Self::Load(load) => write(out, LOAD, ticket, |to| {
                to.string(1, &load.file);
                to.string(2, &load.name);
                to.u32(3, load.threads);
                to.u64(4, load.memory_max);
                to.u64(5, load.output_max);
                to.bool(6, load.network);
                to.bool(7, load.tell_begun);
                to.array(8, |to| load.read.iter().for_each(|path| to.string(path)));
                to.u32(9, load.parent);
            }),
            Self::Run(run) => write(out, RUN, ticket, |to| {
                to.string(1, run.config);
                to.string(2, run.input);
                to.string(3, run.instance);
                to.string(4, run.workflow);
                to.string(5, run.task);
                to.string(6, run.idempotency_key);
                to.string(7, run.trace);
                to.u32(8, run.attempt);
                to.u64(9, run.timeout_ms);
            }),
            Self::Cancel => write(out, CANCEL, ticket, |_| {}),
            Self::Validate { config } => write(out, VALIDATE, ticket, |to| to.string(1, config)),
            Self::Ping => write(out, PING, ticket, |_| {}),
            Self::Quit => write(out, QUIT, ticket, |_| {}),
            Self::Keep { until } => write(out, KEEP, ticket, |to| to.u64(1, *until)),
        }
    }
}

impl FromChild<'_> {
    /// Appends the frame to `out`.
    pub fn write(&self, ticket: Ticket, out: &mut Vec<u8>) {
        match self {
            Self::ShutIn { enforced } => {
                write(out, SHUT_IN, ticket, |to| to.string(1, enforced));
            }
            Self::Ready { name, version, abi } => write(out, READY, ticket, |to| {
                to.string(1, name);
                to.string(2, version);
                to.u32(3, *abi);
            }),
            Self::Begun { thread } => write(out, BEGUN, ticket, |to| to.u32(1, *thread)),
            Self::Done { output } => write(out, DONE, ticket, |to| to.bytes(1, output)),
            Self::Failed(error) => write(out, FAILED, ticket, |to| {
                to.string(1, &error.code);
                to.string(2, &error.message);
                to.bool(3, error.retryable);
            }),
            Self::Log { level, line } => write(out, LOG, ticket, |to| {
                to.u8(1, *level);
                to.string(2, line);
            }),
            Self::Pong => write(out, PONG, ticket, |_| {}),
        }
    }
}

/// A frame as it came: whole, not yet looked into.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    kind: u16,
    /// Which task, or which question.
    pub ticket: Ticket,
    payload: &'a [u8],
}

/// The fields of a payload, with a fault that knows where it is.
struct Payload<'a> {
    kind: u16,
    tag: u16,
    fields: TlvReader<'a>,
}

impl<'a> Payload<'a> {
    /// Calls `each` for every field.
    fn read(
        mut self,
        mut each: impl FnMut(u16, wire::tlv::Value<'a>) -> Result<(), Fault>,
    ) -> Result<(), FrameFault> {
        loop {
            let (kind, tag) = (self.kind, self.tag);
            let next =
                self.fields.next().map_err(|fault| FrameFault::Field { kind, tag, fault })?;
            let Some(field) = next else { return Ok(()) };
            self.tag = field.tag;
            let tag = field.tag;
            each(tag, field.value).map_err(|fault| FrameFault::Field { kind, tag, fault })?;
        }
    }
}

impl<'a> Raw<'a> {
    fn payload(&self) -> Payload<'a> {
        Payload { kind: self.kind, tag: 0, fields: TlvReader::new(self.payload) }
    }

    /// The frame, as a plugin's process takes it. What an older writer left out has its default.
    pub fn to_child(&self) -> Result<ToChild<'a>, FrameFault> {
        match self.kind {
            LOAD => self.load().map(ToChild::Load),
            RUN => self.run().map(ToChild::Run),
            CANCEL => Ok(ToChild::Cancel),
            VALIDATE => {
                let mut config = "";
                self.payload().read(|tag, value| {
                    if tag == 1 {
                        config = value.string()?;
                    }
                    Ok(())
                })?;
                Ok(ToChild::Validate { config })
            }
            PING => Ok(ToChild::Ping),
            QUIT => Ok(ToChild::Quit),
            KEEP => {
                let mut until = 0;
                self.payload().read(|tag, value| {
                    if tag == 1 {
                        until = value.u64()?;
                    }
                    Ok(())
                })?;
                Ok(ToChild::Keep { until })
            }
            kind => Err(FrameFault::Kind { kind }),
        }
    }

    fn load(&self) -> Result<Load, FrameFault> {
        let mut load = Load::default();
        self.payload().read(|tag, value| {
            match tag {
                1 => value.string()?.clone_into(&mut load.file),
                2 => value.string()?.clone_into(&mut load.name),
                3 => load.threads = value.u32()?,
                4 => load.memory_max = value.u64()?,
                5 => load.output_max = value.u64()?,
                6 => load.network = value.bool()?,
                7 => load.tell_begun = value.bool()?,
                8 => {
                    let mut paths = value.array()?;
                    while let Some(path) = paths.next()? {
                        load.read.push(path.string()?.to_owned());
                    }
                }
                9 => load.parent = value.u32()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(load)
    }

    fn run(&self) -> Result<Run<'a>, FrameFault> {
        let mut run = Run::default();
        self.payload().read(|tag, value| {
            match tag {
                1 => run.config = value.string()?,
                2 => run.input = value.string()?,
                3 => run.instance = value.string()?,
                4 => run.workflow = value.string()?,
                5 => run.task = value.string()?,
                6 => run.idempotency_key = value.string()?,
                7 => run.trace = value.string()?,
                8 => run.attempt = value.u32()?,
                9 => run.timeout_ms = value.u64()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(run)
    }

    /// The frame, as a node takes it. What an older writer left out has its default.
    pub fn from_child(&self) -> Result<FromChild<'a>, FrameFault> {
        match self.kind {
            SHUT_IN => {
                let mut enforced = "";
                self.payload().read(|tag, value| {
                    if tag == 1 {
                        enforced = value.string()?;
                    }
                    Ok(())
                })?;
                Ok(FromChild::ShutIn { enforced })
            }
            READY => self.ready(),
            BEGUN => {
                let mut thread = 0;
                self.payload().read(|tag, value| {
                    if tag == 1 {
                        thread = value.u32()?;
                    }
                    Ok(())
                })?;
                Ok(FromChild::Begun { thread })
            }
            DONE => {
                let mut output: &[u8] = &[];
                self.payload().read(|tag, value| {
                    if tag == 1 {
                        output = value.bytes()?;
                    }
                    Ok(())
                })?;
                Ok(FromChild::Done { output })
            }
            FAILED => self.failed().map(FromChild::Failed),
            LOG => {
                let (mut level, mut line) = (0, "");
                self.payload().read(|tag, value| {
                    match tag {
                        1 => level = value.u8()?,
                        2 => line = value.string()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                Ok(FromChild::Log { level, line })
            }
            PONG => Ok(FromChild::Pong),
            kind => Err(FrameFault::Kind { kind }),
        }
    }

    fn ready(&self) -> Result<FromChild<'a>, FrameFault> {
        let (mut name, mut version, mut abi) = ("", "", 0);
        self.payload().read(|tag, value| {
            match tag {
                1 => name = value.string()?,
                2 => version = value.string()?,
                3 => abi = value.u32()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(FromChild::Ready { name, version, abi })
    }

    fn failed(&self) -> Result<TaskError, FrameFault> {
        let (mut code, mut message, mut retryable) = ("", "", false);
        self.payload().read(|tag, value| {
            match tag {
                1 => code = value.string()?,
                2 => message = value.string()?,
                3 => retryable = value.bool()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(TaskError { code: code.to_owned(), message: message.to_owned(), retryable })
    }
}

/// Takes a stream's bytes as they come, and yields its frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// What of it is read already.
    from: usize,
    fault: Option<FrameFault>,
}

impl FrameReader {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.from > 0 {
            self.buffer.drain(..self.from);
            self.from = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// The stream is none of frames: the same fault from now on.
    #[allow(clippy::should_implement_trait, reason = "it lends from its buffer")]
    pub fn next(&mut self) -> Result<Option<Raw<'_>>, FrameFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let rest = &self.buffer[self.from..];
        let Some(head) = rest.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [b0, b1, b2, b3, k0, k1, v0, v1, ticket @ ..] = *head;
        let version = u16::from_be_bytes([v0, v1]);
        let bytes = u32::from_be_bytes([b0, b1, b2, b3]) as usize;
        if version != VERSION {
            return Err(*self.fault.insert(FrameFault::Version { found: version }));
        }
        if bytes > FRAME_BYTES_MAX {
            return Err(*self.fault.insert(FrameFault::TooLong { bytes }));
        }
        let end = HEAD_BYTES + bytes;
        if rest.len() < end {
            return Ok(None);
        }
        let start = self.from;
        self.from += end;
        let payload = &self.buffer[start + HEAD_BYTES..start + end];
        let kind = u16::from_be_bytes([k0, k1]);
        Ok(Some(Raw { kind, ticket: u64::from_be_bytes(ticket), payload }))
    }

    /// How much of a frame that is not whole yet lies here. Unit: bytes.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.from
    }
}

#[cfg(test)]
mod tests;
