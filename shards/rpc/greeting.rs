//! Who is there: the hello of each side, and what one side tells the other when it gives up.

use base::UnixMicros;
use std::net::SocketAddr;
use wire::{
    ErrorReply, Flags, FrameError, Head, Hello, Kind, Message as _, VERSION, words, write_frame,
};

/// The most of a peer's program name that is kept. Unit: bytes.
const PROGRAM_BYTES_MAX: usize = 64;

/// Who this side is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The node's id, 0 for a client.
    pub node: u64,
    /// What it does: 1 client, 2 coordinator, 3 worker, 4 both.
    pub role: u8,
    /// What it can do beyond the version's common ground, one bit each.
    pub features: u64,
    /// Its name and version, for people.
    pub program: Box<str>,
}

/// Who the other side is, as its hello said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its address.
    pub address: SocketAddr,
    /// The node's id, 0 for a client.
    pub node: u64,
    /// What it does: 1 client, 2 coordinator, 3 worker, 4 both.
    pub role: u8,
    /// What it can do beyond the version's common ground, one bit each.
    pub features: u64,
    /// Its name and version, for people.
    pub program: Box<str>,
    /// The largest payload that it takes. Unit: bytes.
    pub payload_bytes_max: usize,
    /// How many calls at once it takes.
    pub calls_max: usize,
}

/// A hello that cannot be agreed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GreetingError {
    #[error(
        "the peer speaks versions {theirs_min} to {theirs_max} of the protocol, this side version {VERSION}"
    )]
    Version { theirs_min: u8, theirs_max: u8 },
    #[error(transparent)]
    Message(#[from] wire::MessageError),
}

impl PeerInfo {
    /// Reads a hello.
    pub(crate) fn decode(address: SocketAddr, payload: &[u8]) -> Result<Self, GreetingError> {
        let hello = Hello::decode(payload)?;
        if !(hello.version_min..=hello.version_max).contains(&VERSION) {
            return Err(GreetingError::Version {
                theirs_min: hello.version_min,
                theirs_max: hello.version_max,
            });
        }
        Ok(Self {
            address,
            node: hello.node,
            role: hello.role,
            features: hello.features,
            program: clipped(hello.program).into(),
            payload_bytes_max: said(hello.payload_bytes_max),
            calls_max: said(hello.calls_max),
        })
    }
}

/// A limit; 0 says none.
fn said(limit: u32) -> usize {
    match limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(PROGRAM_BYTES_MAX)]
}

/// Appends this side's hello; `flags` is RESPONSE for the side that was connected to.
pub(crate) fn write_hello(
    out: &mut Vec<u8>,
    identity: &Identity,
    flags: Flags,
    call: u64,
    sent_at: UnixMicros,
    payload_bytes_max: usize,
    calls_max: usize,
) {
    let hello = Hello {
        node: identity.node,
        features: identity.features,
        program: clipped(&identity.program),
        payload_bytes_max: u32::try_from(payload_bytes_max).unwrap_or(u32::MAX),
        calls_max: u32::try_from(calls_max).unwrap_or(u32::MAX),
        ..Hello::of(identity.role)
    };
    let head = Head { kind: Kind::HELLO, flags, call, sent_at, trace: None };
    write_frame(out, &head, |out| hello.encode(out));
}

/// Appends an error about `call`, or about the whole connection when that is 0.
pub(crate) fn write_error(
    out: &mut Vec<u8>,
    call: u64,
    sent_at: UnixMicros,
    error: &ErrorReply<'_>,
) {
    let head = Head { kind: Kind::ERROR, flags: Flags::RESPONSE, call, sent_at, trace: None };
    write_frame(out, &head, |out| error.encode(out));
}

/// An error with a stable word, what happened and what to do.
pub fn error_reply<'a>(code: &'a str, detail: &'a str, hint: &'a str) -> ErrorReply<'a> {
    let version = if code == words::VERSION { VERSION } else { 0 };
    ErrorReply { code, detail, hint, retry_after_ms: 0, version }
}

/// The word for a broken stream.
pub(crate) fn code_of(error: &FrameError) -> &'static str {
    match error {
        FrameError::Version { .. } => words::VERSION,
        _ => words::BAD_FRAME,
    }
}
