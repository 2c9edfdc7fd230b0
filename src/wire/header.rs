//! The 32 bytes in front of every payload, big-endian, each field at a multiple of its size.
//!
//! | at | bytes | what                                                              |
//! |---:|------:|-------------------------------------------------------------------|
//! |  0 |     4 | magic `DIST`                                                      |
//! |  4 |     1 | version, 1                                                        |
//! |  5 |     1 | flags                                                             |
//! |  6 |     2 | kind                                                              |
//! |  8 |     4 | bytes of payload                                                  |
//! | 12 |     4 | CRC-32 (IEEE) of the header, this field zero, and of the payload  |
//! | 16 |     8 | call: an answer repeats it                                        |
//! | 24 |     8 | when it was sent, microseconds since 1970                         |
//!
//! The magic, the version and their places stay the same in every version to come.

use crate::frame::FrameError;
use crate::kind::Kind;
use base::UnixMicros;
use std::fmt;
use std::ops::BitOr;

/// How long a header is. Unit: bytes.
pub const HEADER_BYTES: usize = 32;

/// What every frame begins with: `DIST`.
pub const MAGIC: u32 = 0x4449_5354;

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;

/// Where the length of the payload stands in a header.
pub(crate) const PAYLOAD_BYTES_AT: usize = 8;

/// Where the checksum stands in a header.
pub(crate) const CRC_AT: usize = 12;

/// What is special about a frame, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The payload is compressed. Reserved: version 1 refuses it.
    pub const COMPRESSED: Self = Self(1);
    /// The payload is encrypted. Reserved: version 1 refuses it.
    pub const ENCRYPTED: Self = Self(2);
    /// Whoever sorts should take it first.
    pub const URGENT: Self = Self(4);
    /// The payload begins with a trace context.
    pub const TRACED: Self = Self(8);
    /// It answers the call that it names.
    pub const RESPONSE: Self = Self(16);

    /// What a frame of version 1 may carry.
    const SUPPORTED: Self = Self(Self::URGENT.0 | Self::TRACED.0 | Self::RESPONSE.0);

    /// Whether all of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags less those of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x})", self.0)
    }
}

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the protocol.
    pub version: u8,
    /// What is special.
    pub flags: Flags,
    /// What the payload is.
    pub kind: Kind,
    /// How long the payload is, with the trace context when there is one.
    pub payload_bytes: u32,
    /// The checksum of header and payload.
    pub crc: u32,
    /// Which call it is about; chosen by the side that makes the call, 0 for none.
    pub call: u64,
    /// When it was sent, by the sender's clock.
    pub sent_at: UnixMicros,
}

impl Header {
    /// The header's bytes.
    #[inline]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[4] = self.version;
        bytes[5] = self.flags.0;
        bytes[6..8].copy_from_slice(&self.kind.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.payload_bytes.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.crc.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.call.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.sent_at.0.to_be_bytes());
        bytes
    }

    /// The header that the bytes are. The checksum is not looked at: it is of the payload as well.
    ///
    /// # Errors
    /// Another magic, another version, flags that this version does not know or support.
    #[inline]
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let magic = u32::from_be_bytes(at(bytes, 0));
        let (version, flags) = (bytes[4], Flags(bytes[5]));
        let is_fine = magic == MAGIC && version == VERSION && Flags::SUPPORTED.contains(flags);
        if !is_fine {
            return Err(refusal(magic, version, flags));
        }
        Ok(Self {
            version,
            flags,
            kind: Kind(u16::from_be_bytes(at(bytes, 6))),
            payload_bytes: u32::from_be_bytes(at(bytes, PAYLOAD_BYTES_AT)),
            crc: u32::from_be_bytes(at(bytes, CRC_AT)),
            call: u64::from_be_bytes(at(bytes, 16)),
            sent_at: UnixMicros(u64::from_be_bytes(at(bytes, 24))),
        })
    }

    /// Refuses the beginning of a header as soon as it is known to be wrong: a stream that is not
    /// ours may never bring a whole one.
    pub(crate) fn check_start(bytes: &[u8]) -> Result<(), FrameError> {
        let magic = MAGIC.to_be_bytes();
        let there = bytes.len().min(magic.len());
        if bytes[..there] != magic[..there] {
            let mut found = [0; 4];
            found[..there].copy_from_slice(&bytes[..there]);
            return Err(FrameError::Magic { found: u32::from_be_bytes(found) });
        }
        match bytes.get(4) {
            Some(theirs) if *theirs != VERSION => {
                Err(FrameError::Version { theirs: *theirs, ours: VERSION })
            }
            _ => Ok(()),
        }
    }
}

#[inline]
fn at<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("every field lies within the header")
}

#[cold]
fn refusal(magic: u32, version: u8, flags: Flags) -> FrameError {
    if magic != MAGIC {
        return FrameError::Magic { found: magic };
    }
    if version != VERSION {
        return FrameError::Version { theirs: version, ours: VERSION };
    }
    FrameError::Flags { flags: flags.0, supported: Flags::SUPPORTED.0 }
}

#[cfg(test)]
mod tests;
