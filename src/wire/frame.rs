//! One frame: header, trace context where there is one, payload.

use crate::checksum;
use crate::header::{CRC_AT, Flags, HEADER_BYTES, Header, PAYLOAD_BYTES_AT, VERSION};
use crate::kind::Kind;
use base::UnixMicros;
use telemetry::TraceContext;

/// What a trace context takes in front of a payload: trace id 16, span id 8. Unit: bytes.
pub const TRACE_BYTES: usize = 24;

/// What a sender says about a frame; everything else follows from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the payload is.
    pub kind: Kind,
    /// URGENT and RESPONSE; TRACED goes by `trace`.
    pub flags: Flags,
    /// Which call it is about, 0 for none.
    pub call: u64,
    /// When it is sent.
    pub sent_at: UnixMicros,
    /// What caused it, when that is to be recorded.
    pub trace: Option<TraceContext>,
}

/// Appends a frame to `out`: `payload` appends what it carries. Nothing is allocated but what
/// `out` lacks.
#[inline]
pub fn write_frame(out: &mut Vec<u8>, head: &Head, payload: impl FnOnce(&mut Vec<u8>)) {
    let traced = if head.trace.is_some() { Flags::TRACED } else { Flags::NONE };
    let header = Header {
        version: VERSION,
        flags: head.flags.without(Flags::TRACED) | traced,
        kind: head.kind,
        payload_bytes: 0,
        crc: 0,
        call: head.call,
        sent_at: head.sent_at,
    };
    let start = out.len();
    out.extend_from_slice(&header.encode());
    if let Some(trace) = head.trace {
        out.extend_from_slice(&trace.trace.to_be_bytes());
        out.extend_from_slice(&trace.span.to_be_bytes());
    }
    payload(out);
    let frame = &mut out[start..];
    let payload_bytes = u32::try_from(frame.len() - HEADER_BYTES)
        .expect("a payload is shorter than 4 GiB: every message has a limit");
    let crc = checksum::of_written(frame, payload_bytes);
    frame[PAYLOAD_BYTES_AT..][..4].copy_from_slice(&payload_bytes.to_be_bytes());
    frame[CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
}

/// A frame that arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What stood in front.
    pub header: Header,
    /// What caused it.
    pub trace: Option<TraceContext>,
    /// One message, without the trace context.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a datagram, which is one frame and nothing else.
    ///
    /// # Errors
    /// It is no frame, is longer than `payload_bytes_max` allows, was damaged, or does not end where
    /// the datagram does.
    #[inline]
    pub fn decode(datagram: &'a [u8], payload_bytes_max: usize) -> Result<Self, FrameError> {
        let Some(first) = datagram.first_chunk::<HEADER_BYTES>() else {
            Header::check_start(datagram)?;
            return Err(FrameError::Truncated { bytes: datagram.len(), needed: HEADER_BYTES });
        };
        let header = Header::decode(first)?;
        let frame_bytes = frame_bytes(&header, payload_bytes_max)?;
        if datagram.len() < frame_bytes {
            return Err(FrameError::Truncated { bytes: datagram.len(), needed: frame_bytes });
        }
        if datagram.len() > frame_bytes {
            return Err(FrameError::Trailing { bytes: datagram.len() - frame_bytes });
        }
        check_crc(&header, datagram)?;
        Self::from_checked(header, &datagram[HEADER_BYTES..])
    }

    /// The frame whose header and checked payload these are.
    #[inline]
    pub(crate) fn from_checked(header: Header, payload: &'a [u8]) -> Result<Self, FrameError> {
        if !header.flags.contains(Flags::TRACED) {
            return Ok(Self { header, trace: None, payload });
        }
        let error = FrameError::Trace { payload_bytes: payload.len() };
        let (trace, payload) = payload.split_first_chunk::<16>().ok_or(error)?;
        let (span, payload) = payload.split_first_chunk::<8>().ok_or(error)?;
        let trace =
            TraceContext { trace: u128::from_be_bytes(*trace), span: u64::from_be_bytes(*span) };
        if trace.trace == 0 || trace.span == 0 {
            return Err(error);
        }
        Ok(Self { header, trace: Some(trace), payload })
    }
}

/// How long the frame with this header is, if it may be that long.
#[inline]
pub(crate) fn frame_bytes(header: &Header, payload_bytes_max: usize) -> Result<usize, FrameError> {
    let trace_bytes = if header.flags.contains(Flags::TRACED) { TRACE_BYTES } else { 0 };
    let payload_bytes = header.payload_bytes as usize;
    if payload_bytes > payload_bytes_max + trace_bytes {
        return Err(FrameError::TooLarge {
            payload_bytes: payload_bytes - trace_bytes,
            payload_bytes_max,
        });
    }
    Ok(HEADER_BYTES + payload_bytes)
}

#[inline]
pub(crate) fn check_crc(header: &Header, frame: &[u8]) -> Result<(), FrameError> {
    let computed = checksum::of_received(frame, header.crc);
    if computed == header.crc {
        return Ok(());
    }
    Err(FrameError::Crc { computed, found: header.crc })
}

/// Why bytes are no frame. Whoever reads a stream closes it: where the next frame would begin is
/// not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Something else speaks.
    #[error("a frame begins with {found:#010x} instead of `DIST`: the peer speaks something else")]
    Magic {
        /// The first four bytes, zeros where there are fewer.
        found: u32,
    },
    /// Another version of the protocol.
    #[error("the peer's frame is of protocol version {theirs}, this side speaks version {ours}")]
    Version {
        /// The frame's.
        theirs: u8,
        /// Ours.
        ours: u8,
    },
    /// Flags that this version does not know, or reserves.
    #[error("a frame has flags {flags:#04x}, supported are {supported:#04x}")]
    Flags {
        /// The frame's.
        flags: u8,
        /// All that are supported.
        supported: u8,
    },
    /// More than is allowed.
    #[error(
        "a frame announces {payload_bytes} bytes of payload, at most {payload_bytes_max} are allowed"
    )]
    TooLarge {
        /// Without the trace context.
        payload_bytes: usize,
        /// The limit.
        payload_bytes_max: usize,
    },
    /// Damaged on its way.
    #[error("a frame is damaged: its checksum is {computed:#010x}, it says {found:#010x}")]
    Crc {
        /// Of what arrived.
        computed: u32,
        /// What the header says.
        found: u32,
    },
    /// Ended too early.
    #[error("a frame is cut off after {bytes} bytes, {needed} were needed")]
    Truncated {
        /// How many arrived.
        bytes: usize,
        /// How many were needed to go on: the header, or the frame.
        needed: usize,
    },
    /// A trace context that is none.
    #[error("a traced frame holds no trace context in its {payload_bytes} bytes of payload")]
    Trace {
        /// With the trace context.
        payload_bytes: usize,
    },
    /// A datagram holds more than one frame.
    #[error("{bytes} bytes follow the frame in its datagram")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}
